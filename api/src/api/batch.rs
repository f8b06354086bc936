//! Batches: many gets from one state, many writes in one commit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use dynamite_txn::TableId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::change::{Change, Wants};
use crate::api::consumed::{self, Consumed, Written, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::{self, IntoAttribute, KeyArguments};
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Compiled, Decode, Projection, Wanted, as_type};
use crate::api::put::IntoItem;
use crate::api::source::{Reading, Source, Target};
use crate::api::table::Table;
use crate::error::{Error, Invalid, Result};
use crate::item_codec;
use crate::value::Item;

/// Gets that are about to be made; [`DynaMite::batch_get`] begins, [`execute`](BatchGet::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct BatchGet<'a, S> {
    source: &'a S,
    gets: Vec<(String, KeyArguments)>,
    /// What is wanted of the items of a table, if not all of it.
    wanted: BTreeMap<String, Wanted<'a>>,
    consumed: Option<&'a Consumed>,
}

/// Writes that are about to be made; [`DynaMite::batch_write`] begins, [`execute`](BatchWrite::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is written before execute"]
pub struct BatchWrite<'a, T> {
    target: &'a T,
    writes: Vec<(String, Write)>,
    consumed: Option<&'a Consumed>,
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
        BatchGet { source, gets: Vec::new(), wanted: BTreeMap::new(), consumed: None }
    }

    /// Asks for one more item, of a table without sort key.
    pub fn get(mut self, table: &str, partition_key: impl IntoAttribute) -> Self {
        self.gets.push((table.to_owned(), KeyArguments::of(partition_key)));
        self
    }

    /// An item of a table, by the names of the attributes of its key.
    pub fn get_named(mut self, table: &str, key: Item) -> Self {
        self.gets.push((table.to_owned(), KeyArguments::of_named(key)));
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

    /// Of the items of this table only these attributes: the others are not decoded.
    pub fn attributes<N: Into<Cow<'a, str>>>(
        mut self,
        table: &str,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.wanted(table).projection = Projection::of(names);
        self
    }

    /// Of the items of this table only what is at these paths, in DynamoDB's language: `age, address.city, tags[0]`.
    pub fn projection(mut self, table: &str, expression: &'a str) -> Self {
        self.wanted(table).terms.say().projection = Some(expression);
        self
    }

    /// What a placeholder like `#name` in the projection of this table stands for.
    pub fn name(mut self, table: &str, placeholder: &str, name: &str) -> Self {
        self.wanted(table).terms.name(placeholder, name);
        self
    }

    /// What all placeholders like `#name` in the projection of a table stand for, instead of [`name`](BatchGet::name).
    pub fn names(mut self, table: &str, names: BTreeMap<String, String>) -> Self {
        self.wanted(table).terms.names(names);
        self
    }

    fn wanted(&mut self, table: &str) -> &mut Wanted<'a> {
        self.wanted.entry(table.to_owned()).or_default()
    }

    consumes!(consumed);

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

    /// Gets the items in their stored form.
    pub fn execute_encoded(self) -> Result<Vec<Option<EncodedItem<'static>>>> {
        self.run(AS_ENCODED)
    }

    fn run<T>(self, decode: Decode<T>) -> Result<Vec<Option<T>>> {
        let BatchGet { source, gets, wanted, consumed } = self;
        if let Some(table) = wanted.keys().find(|table| gets.iter().all(|(other, _)| other != *table)) {
            let text = format!("a projection is given for table {table}, of which no item is asked for");
            return Err(Invalid::Setting(text).into());
        }
        let compiled = wanted.into_iter().map(|(table, wanted)| Ok((table, wanted.compile()?)));
        let mut compiled = compiled.collect::<Result<BTreeMap<String, Compiled<'_>>>>()?;
        let counted = consumed.map(|consumed| (consumed, names(&gets)));
        let (found, sizes) = source.read(|tables, reading| {
            let mut found = std::iter::repeat_with(|| None).take(gets.len()).collect::<Vec<_>>();
            let mut sizes = vec![0; gets.len()];
            let (mut keys, mut projections) = (Keys::default(), BTreeMap::new());
            for (operation, (name, key)) in gets.into_iter().enumerate() {
                let failed = |error: Error| error.of_operation(operation);
                let table = tables.find(reading, &name).map_err(failed)?;
                if let Some(compiled) = compiled.remove(&name) {
                    projections.insert(table.id, compiled.resolve(&table).map_err(failed)?);
                }
                let key = key.encode(&table).map_err(failed)?;
                if !keys.add(table, key, operation) {
                    return Err(Invalid::Duplicates.into());
                }
            }
            keys.get(reading, |table, operation, item| {
                let Some(item) = item else { return Ok(()) };
                if consumed.is_some() {
                    sizes[operation] = consumed::size(table, item)?;
                }
                let projection = projections.get(&table.id).unwrap_or(&Projection::All);
                found[operation] = Some(projection.decode(table, item, decode)?);
                Ok(())
            })?;
            Ok((found, sizes))
        })?;
        if let Some((consumed, tables)) = counted {
            tables.iter().zip(sizes).for_each(|(table, bytes)| consumed.read(table, bytes));
        }
        Ok(found)
    }
}

impl<'a, T: Target> BatchWrite<'a, T> {
    pub(crate) fn new(target: &'a T) -> Self {
        BatchWrite { target, writes: Vec::new(), consumed: None }
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

    /// Deletes an item, by the names of the attributes of its key.
    pub fn delete_named(mut self, table: &str, key: Item) -> Self {
        self.writes.push((table.to_owned(), Write::Delete(KeyArguments::of_named(key))));
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

    consumes!(consumed);

    /// Writes them all. Returns the version of the items that were put.
    ///
    /// # Errors
    ///
    /// [`Error::Operation`] says which of them failed. No item may be written twice. Nothing is written then.
    pub fn execute(self) -> Result<u64> {
        let BatchWrite { target, writes, consumed } = self;
        let counted = consumed.map(|consumed| (consumed, names(&writes)));
        let (version, sizes) = target.write(|writing| {
            let mut keys = Keys::default();
            let mut sizes: Vec<Written> =
                std::iter::repeat_with(Written::default).take(writes.len()).collect();
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
                if !keys.add(table, key, operation) {
                    return Err(Invalid::Duplicates.into());
                }
                items.push(item);
            }
            // In the order of the keys, so that each page is come to once.
            for (table, wanted) in keys.0.into_values() {
                for (key, operation) in wanted {
                    let wants = Wants { bytes: consumed.is_some(), ..Wants::default() };
                    let change =
                        Change { table: &table, key: &key, expected: None, expressions: None, wants };
                    let changed = match &items[operation] {
                        Some(item) => change.put(writing, item)?,
                        None => change.delete(writing)?.1,
                    };
                    sizes[operation] = changed.written;
                }
            }
            Ok((writing.version(), sizes))
        })?;
        if let Some((consumed, tables)) = counted {
            tables.iter().zip(sizes).for_each(|(table, written)| consumed.written(table, written));
        }
        Ok(version)
    }
}

/// The tables of the operations of a batch.
fn names<T>(operations: &[(String, T)]) -> Vec<String> {
    operations.iter().map(|(table, _)| table.clone()).collect()
}

/// The keys of a batch by table, each with the place of its operation in the batch.
#[derive(Default)]
pub(crate) struct Keys(BTreeMap<TableId, (Arc<Table>, Places)>);

/// Where in a batch the operations on these keys stand.
type Places = BTreeMap<Vec<u8>, usize>;

impl Keys {
    /// Adds a key. Returns whether it is new.
    pub(crate) fn add(&mut self, table: Arc<Table>, key: Vec<u8>, operation: usize) -> bool {
        let (_, keys) = self.0.entry(table.id).or_insert_with(|| (table, Places::new()));
        keys.insert(key, operation).is_none()
    }

    /// Hands the item under each key, if there is one, to `visit`, with the place of its operation.
    pub(crate) fn get(
        self,
        reading: &mut Reading<'_, '_>,
        mut visit: impl FnMut(&Table, usize, Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        for (table, places) in self.0.into_values() {
            let (keys, operations): (Vec<&[u8]>, Vec<usize>) =
                places.iter().map(|(key, &operation)| (&key[..], operation)).unzip();
            let mut failed = None;
            reading.get_many(&table, &keys, |nth, item| {
                if failed.is_none() {
                    let visited = visit(&table, operations[nth], item.map(|(_, item)| item));
                    failed = visited.err().map(|error| error.of_operation(operations[nth]));
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }
}
