//! Batches: many gets from one state, many writes in one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use dynamite_txn::TableId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::database::DynaMite;
use crate::api::key::{self, IntoAttribute, KeyArguments};
use crate::api::put::IntoItem;
use crate::api::source::{Source, Target};
use crate::api::table::Table;
use crate::api::walk::{AS_ITEM, AS_VALUE, Decode, Projection, as_type};
use crate::error::{Error, Invalid, Result};
use crate::item_codec;
use crate::value::Item;

/// Gets that are about to be made; [`DynaMite::batch_get`] begins, [`execute`](BatchGet::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct BatchGet<'a, S> {
    source: &'a S,
    gets: Vec<(String, KeyArguments)>,
}

/// Writes that are about to be made; [`DynaMite::batch_write`] begins, [`execute`](BatchWrite::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is written before execute"]
pub struct BatchWrite<'a, T> {
    target: &'a T,
    writes: Vec<(String, Write)>,
}

#[derive(Debug)]
enum Write {
    Put(Result<Vec<u8>>),
    Delete(KeyArguments),
}

impl DynaMite {
    /// Begins to get many items, also of several tables, as they stand at one moment.
    ///
    /// What is not in the cache is read in batches, many pages at a time.
    ///
    /// ```
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// db.batch_write()
    ///     .put("users", json!({"user_id": "alice", "age": 30}))
    ///     .put("users", json!({"user_id": "bob", "age": 40}))
    ///     .execute()?;
    /// let found = db.batch_get().get("users", "bob").get("users", "carol").get("users", "alice").execute()?;
    /// assert_eq!(found[0].as_ref().unwrap()["age"], 40);
    /// assert!(found[1].is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_get(&self) -> BatchGet<'_, DynaMite> {
        BatchGet::new(self)
    }

    /// Begins to put and delete many items, also of several tables, all or nothing, in one commit.
    pub fn batch_write(&self) -> BatchWrite<'_, DynaMite> {
        BatchWrite::new(self)
    }
}

impl<'a, S: Source> BatchGet<'a, S> {
    pub(crate) fn new(source: &'a S) -> Self {
        BatchGet { source, gets: Vec::new() }
    }

    /// Asks for one more item, of a table without sort key.
    pub fn get(mut self, table: &str, partition_key: impl IntoAttribute) -> Self {
        self.gets.push((table.to_owned(), KeyArguments::of(partition_key)));
        self
    }

    /// Asks for one more item, of a table with a sort key.
    pub fn get_sorted(
        mut self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: impl IntoAttribute,
    ) -> Self {
        self.gets.push((table.to_owned(), KeyArguments::of_both(partition_key, sort_key)));
        self
    }

    /// Gets the items as JSON, in the order in which they were asked for; `None` stands for one that is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Operation`] says which of them failed. No item may be asked for twice.
    pub fn execute(self) -> Result<Vec<Option<Value>>> {
        self.run(AS_VALUE)
    }

    /// Gets the items with their exact attribute values.
    pub fn execute_items(self) -> Result<Vec<Option<Item>>> {
        self.run(AS_ITEM)
    }

    /// Gets the items as a type of one's own, straight from their stored form.
    pub fn execute_as<T: DeserializeOwned>(self) -> Result<Vec<Option<T>>> {
        self.run(as_type())
    }

    fn run<T>(self, decode: Decode<T>) -> Result<Vec<Option<T>>> {
        let BatchGet { source, gets } = self;
        source.read(|tables, reading| {
            let mut found = std::iter::repeat_with(|| None).take(gets.len()).collect::<Vec<_>>();
            let mut keys = Keys::default();
            for (operation, (table, key)) in gets.into_iter().enumerate() {
                let failed = |error: Error| error.of_operation(operation);
                let table = tables.find(reading, &table).map_err(failed)?;
                let key = key.encode(&table).map_err(failed)?;
                keys.add(table, key, operation)?;
            }
            for (table, wanted) in keys.0.into_values() {
                let (keys, operations): (Vec<&[u8]>, Vec<usize>) =
                    wanted.iter().map(|(key, &operation)| (&key[..], operation)).unzip();
                let mut failed = None;
                reading.get_many(&table, &keys, |nth, item| {
                    let Some((_, item)) = item else { return };
                    match Projection::default().decode(&table, item, decode) {
                        Ok(item) => found[operations[nth]] = Some(item),
                        Err(error) => failed = Some((operations[nth], error)),
                    }
                })?;
                if let Some((operation, error)) = failed {
                    return Err(error.of_operation(operation));
                }
            }
            Ok(found)
        })
    }
}

impl<'a, T: Target> BatchWrite<'a, T> {
    pub(crate) fn new(target: &'a T) -> Self {
        BatchWrite { target, writes: Vec::new() }
    }

    /// Puts one more item.
    pub fn put(mut self, table: &str, item: impl IntoItem) -> Self {
        self.writes.push((table.to_owned(), Write::Put(item.encode())));
        self
    }

    /// Puts one more item that is a value of the caller's type.
    pub fn put_from(mut self, table: &str, item: &(impl Serialize + ?Sized)) -> Self {
        self.writes.push((table.to_owned(), Write::Put(item_codec::to_bytes(item).map_err(Error::from))));
        self
    }

    /// Deletes one more item, of a table without sort key.
    pub fn delete(mut self, table: &str, partition_key: impl IntoAttribute) -> Self {
        self.writes.push((table.to_owned(), Write::Delete(KeyArguments::of(partition_key))));
        self
    }

    /// Deletes one more item, of a table with a sort key.
    pub fn delete_sorted(
        mut self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: impl IntoAttribute,
    ) -> Self {
        self.writes.push((table.to_owned(), Write::Delete(KeyArguments::of_both(partition_key, sort_key))));
        self
    }

    /// Writes them all. Returns the version of the items that were put.
    ///
    /// # Errors
    ///
    /// [`Error::Operation`] says which of them failed. No item may be written twice. Nothing is written then.
    pub fn execute(self) -> Result<u64> {
        let BatchWrite { target, writes } = self;
        target.write(|writing| {
            let mut keys = Keys::default();
            let mut items = Vec::with_capacity(writes.len());
            for (operation, (table, write)) in writes.into_iter().enumerate() {
                let failed = |error: Error| error.of_operation(operation);
                let table = writing.table(&table).map_err(failed)?;
                let (key, item) = match write {
                    Write::Put(item) => {
                        let item = item.map_err(failed)?;
                        writing.check_put(&table, &item).map_err(failed)?;
                        (key::of_item(&table, &item).map_err(failed)?, Some(item))
                    }
                    Write::Delete(key) => (key.encode(&table).map_err(failed)?, None),
                };
                keys.add(table, key, operation)?;
                items.push(item);
            }
            // In the order of the keys, so that each page is come to once.
            for (table, wanted) in keys.0.into_values() {
                for (key, operation) in wanted {
                    match &items[operation] {
                        Some(item) => writing.put(&table, &key, item)?,
                        None => writing.delete(&table, &key).map(drop)?,
                    }
                }
            }
            Ok(writing.version())
        })
    }
}

/// The keys of a batch by table, each with the place of its operation in the batch.
#[derive(Default)]
struct Keys(BTreeMap<TableId, (Arc<Table>, Places)>);

/// Where in a batch the operations on these keys stand.
type Places = BTreeMap<Vec<u8>, usize>;

impl Keys {
    fn add(&mut self, table: Arc<Table>, key: Vec<u8>, operation: usize) -> Result<()> {
        let (_, keys) = self.0.entry(table.id).or_insert_with(|| (table, Places::new()));
        match keys.insert(key, operation) {
            None => Ok(()),
            Some(_) => Err(Invalid::Duplicates.into()),
        }
    }
}
