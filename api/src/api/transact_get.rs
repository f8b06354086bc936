//! Transactions that read, as DynamoDB's `TransactGetItems` has them: up to a hundred items, as they stand at one moment.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::batch::Keys;
use crate::api::consumed::{self, Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::{IntoAttribute, KeyArguments, item_key};
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Compiled, Decode, Wanted, as_type, projects};
use crate::api::snapshot::Snapshot;
use crate::api::source::{Reading, Source};
use crate::api::table::TableCache;
use crate::api::transact_action::is_of_one_action;
use crate::api::transact_write::{check_count, check_payload};
use crate::error::{CancellationCode, CancellationReason, Error, Invalid, Result};
use crate::value::Item;

/// An item that a [`TransactGet`] asks for.
#[derive(Debug)]
#[must_use = "it is nothing before it is given to a transaction"]
pub struct Get<'a> {
    table: &'a str,
    key: KeyArguments,
    wanted: Wanted<'a>,
}

impl<'a> Get<'a> {
    /// Gets an item of this table.
    pub fn new(table: &'a str) -> Get<'a> {
        Get { table, key: KeyArguments::default(), wanted: Wanted::default() }
    }

    item_key!();

    projects!(wanted);
}

/// Gets that are about to be made; [`DynaMite::transact_get`] begins, [`execute`](TransactGet::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct TransactGet<'a, S> {
    source: &'a S,
    gets: Vec<Get<'a>>,
    consumed: Option<&'a Consumed>,
}

impl DynaMite {
    /// Begins to get up to a hundred items as they stand at one moment, each with a projection of its own.
    ///
    /// [`batch_get`](DynaMite::batch_get) reads one state as well; this one has DynamoDB's limits and errors.
    ///
    /// ```
    /// use dynamite_core::api::Get;
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
    /// # db.put_item("users", json!({"id": "alice", "age": 30, "tags": ["a", "b"]}))?;
    /// let gets = db.transact_get().get(Get::new("users").partition_key("alice").projection("age, tags[1]"));
    /// let found = gets.get(Get::new("users").partition_key("bob")).execute()?;
    /// assert_eq!(found, [Some(json!({"age": 30, "tags": ["b"]})), None]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn transact_get(&self) -> TransactGet<'_, DynaMite> {
        TransactGet { source: self, gets: Vec::new(), consumed: None }
    }
}

impl Snapshot {
    /// Gets up to a hundred items; see [`DynaMite::transact_get`].
    pub fn transact_get(&self) -> TransactGet<'_, Snapshot> {
        TransactGet { source: self, gets: Vec::new(), consumed: None }
    }
}

impl<'a, S: Source> TransactGet<'a, S> {
    /// Asks for one more item.
    pub fn get(mut self, get: Get<'a>) -> Self {
        self.gets.push(get);
        self
    }

    consumes!(consumed);

    /// Gets the items as JSON, in the order in which they were asked for; `None` stands for one that is not there.
    ///
    /// # Errors
    ///
    /// [`Error::TransactionCanceled`] for a key or a projection that does not fit its table. [`Error::Validation`] for no gets, more than
    /// 100, more than 4 MB of items, or two gets of one item; [`Error::Operation`] says for which there is no such table, or
    /// which projection cannot be read.
    pub fn execute(self) -> Result<Vec<Option<Value>>> {
        self.run(AS_VALUE)
    }

    /// Gets the items with their exact attribute values; see [`execute`](TransactGet::execute).
    pub fn execute_items(self) -> Result<Vec<Option<Item>>> {
        self.run(AS_ITEM)
    }

    /// Gets the items as a type of one's own; see [`execute`](TransactGet::execute).
    pub fn execute_as<T: DeserializeOwned>(self) -> Result<Vec<Option<T>>> {
        self.run(as_type())
    }

    /// Gets the items in their stored form.
    pub fn execute_encoded(self) -> Result<Vec<Option<EncodedItem<'static>>>> {
        self.run(AS_ENCODED)
    }

    fn run<T>(self, decode: Decode<T>) -> Result<Vec<Option<T>>> {
        let TransactGet { source, gets, consumed } = self;
        check_count(gets.len())?;
        let tables = gets.iter().map(|get| get.table).collect::<Vec<_>>();
        let compiled = gets.into_iter().enumerate().map(|(nth, Get { table, key, wanted })| {
            Ok((table, key, wanted.compile().map_err(|error| error.of_operation(nth))?))
        });
        let gets = compiled.collect::<Result<Vec<_>>>()?;
        let (found, sizes) = source.read(|tables, reading| read(tables, reading, gets, decode))?;
        if let Some(consumed) = consumed {
            tables.iter().zip(sizes).for_each(|(table, bytes)| consumed.read(table, bytes));
        }
        Ok(found)
    }
}

/// The items, and bytes of each.
pub(crate) fn read<T>(
    tables: &TableCache,
    reading: &mut Reading<'_, '_>,
    gets: Vec<(&str, KeyArguments, Compiled<'_>)>,
    decode: Decode<T>,
) -> Result<(Vec<Option<T>>, Vec<usize>)> {
    let count = gets.len();
    let (mut keys, mut projections) = (Keys::default(), Vec::with_capacity(count));
    let (mut reasons, mut is_distinct) = (Vec::with_capacity(count), true);
    for (nth, (name, key, compiled)) in gets.into_iter().enumerate() {
        let failed = |error: Error| error.of_operation(nth);
        let table = tables.find(reading, name).map_err(failed)?;
        match key.encode(&table).and_then(|key| Ok((key, compiled.resolve(&table)?))) {
            Ok((key, projection)) => {
                is_distinct &= keys.add(table, key, nth);
                projections.push(projection);
                reasons.push(CancellationReason::default());
            }
            Err(error) if is_of_one_action(&error) => {
                let (code, message) = (CancellationCode::ValidationError, Some(error.to_string()));
                reasons.push(CancellationReason { code, message, item: None });
            }
            Err(error) => return Err(failed(error)),
        }
    }
    if projections.len() < count {
        return Err(Error::TransactionCanceled { reasons });
    }
    if !is_distinct {
        return Err(Invalid::SameItem.into());
    }
    let mut found = std::iter::repeat_with(|| None).take(count).collect::<Vec<_>>();
    let mut sizes = vec![0; count];
    keys.get(reading, |table, nth, item| {
        let Some(item) = item else { return Ok(()) };
        sizes[nth] = consumed::size(table, item)?;
        found[nth] = Some(projections[nth].decode(table, item, decode)?);
        Ok(())
    })?;
    check_payload(sizes.iter().sum())?;
    Ok((found, sizes))
}
