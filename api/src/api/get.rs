//! Getting one item.

use dynamite_txn::TxnId;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::consumed::{self, Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::{IntoAttribute, KeyArguments, item_key};
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode, Wanted, as_type, projects};
use crate::api::source::Source;
use crate::error::Result;
use crate::value::Item;

/// An item that is about to be read; [`DynaMite::get_item`] begins, [`execute`](GetItem::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct GetItem<'a, S> {
    source: &'a S,
    table: &'a str,
    key: KeyArguments,
    wanted: Wanted<'a>,
    consumed: Option<&'a Consumed>,
}

impl DynaMite {
    /// Begins to get an item by its key.
    ///
    /// ```
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// db.put_item("users", json!({"user_id": "alice", "name": "Alice", "age": 30}))?;
    ///
    /// let whole = db.get_item("users").partition_key("alice").execute()?;
    /// assert_eq!(whole.unwrap()["name"], "Alice");
    /// let part = db.get_item("users").partition_key("alice").attributes(["age"]).execute()?;
    /// assert_eq!(part.unwrap(), json!({"age": 30}));
    /// assert!(db.get_item("users").partition_key("bob").execute()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_item<'a>(&'a self, table: &'a str) -> GetItem<'a, DynaMite> {
        GetItem::new(self, table)
    }

    /// Begins to get an item and its version by its key.
    pub fn get_item_versioned<'a>(&'a self, table: &'a str) -> GetItemVersioned<'a, DynaMite> {
        GetItemVersioned::new(self, table)
    }
}

impl<'a, S: Source> GetItem<'a, S> {
    pub(crate) fn new(source: &'a S, table: &'a str) -> Self {
        GetItem { source, table, key: KeyArguments::default(), wanted: Wanted::default(), consumed: None }
    }

    item_key!();

    projects!(wanted);

    consumes!(consumed);

    /// Gets the item as JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound), [`Error::Validation`](crate::Error::Validation) for a key
    /// that does not fit the table; [`Error::Expression`](crate::Error::Expression).
    ///
    /// Cost: one descent, and a decoding.
    pub fn execute(self) -> Result<Option<Value>> {
        self.run(AS_VALUE, |_, item| item)
    }

    /// Gets the item with its exact attribute values.
    pub fn execute_item(self) -> Result<Option<Item>> {
        self.run(AS_ITEM, |_, item| item)
    }

    /// Gets the item as a type of one's own, straight from its stored form.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) if it does not fit the type.
    pub fn execute_as<T: DeserializeOwned>(self) -> Result<Option<T>> {
        self.run(as_type(), |_, item| item)
    }

    /// Gets the item in its stored form.
    pub fn execute_encoded(self) -> Result<Option<EncodedItem<'static>>> {
        self.run(AS_ENCODED, |_, item| item)
    }

    fn run<T, R>(self, decode: Decode<T>, with: impl FnOnce(TxnId, T) -> R) -> Result<Option<R>> {
        let GetItem { source, table, key, wanted, consumed } = self;
        let wanted = wanted.compile()?;
        let mut bytes = 0;
        let found = source.read_table(table, |table, reading| {
            let key = key.encode(table)?;
            let projection = wanted.resolve(table)?;
            let found = reading.get(table, &key, |version, item| -> Result<R> {
                if consumed.is_some() {
                    bytes = consumed::size(table, item)?;
                }
                Ok(with(version, projection.decode(table, item, decode)?))
            })?;
            found.transpose()
        })?;
        if let Some(consumed) = consumed {
            consumed.read(table, bytes);
        }
        Ok(found)
    }
}

/// An item and its version, about to be read.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct GetItemVersioned<'a, S>(GetItem<'a, S>);

/// An item and its version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionedItem<T = Value> {
    /// The item.
    pub item: T,
    /// The transaction that wrote it: what [`DynaMite::put_item_versioned`] compares.
    pub version: u64,
}

impl<'a, S: Source> GetItemVersioned<'a, S> {
    pub(crate) fn new(source: &'a S, table: &'a str) -> Self {
        GetItemVersioned(GetItem::new(source, table))
    }

    /// The partition key of the item.
    pub fn partition_key(self, value: impl IntoAttribute) -> Self {
        GetItemVersioned(self.0.partition_key(value))
    }

    /// The sort key of the item, if its table has one.
    pub fn sort_key(self, value: impl IntoAttribute) -> Self {
        GetItemVersioned(self.0.sort_key(value))
    }

    projects!(0.wanted);

    consumes!(0.consumed);

    /// Gets the item as JSON, and its version; see [`GetItem::execute`].
    pub fn execute(self) -> Result<Option<VersionedItem>> {
        self.run(AS_VALUE)
    }

    /// Gets the item with its exact attribute values, and its version.
    pub fn execute_item(self) -> Result<Option<VersionedItem<Item>>> {
        self.run(AS_ITEM)
    }

    /// Gets the item as a type of one's own, and its version; see [`GetItem::execute_as`].
    pub fn execute_as<T: DeserializeOwned>(self) -> Result<Option<VersionedItem<T>>> {
        self.run(as_type())
    }

    /// Gets the item in its stored form, and its version.
    pub fn execute_encoded(self) -> Result<Option<VersionedItem<EncodedItem<'static>>>> {
        self.run(AS_ENCODED)
    }

    fn run<T>(self, decode: Decode<T>) -> Result<Option<VersionedItem<T>>> {
        self.0.run(decode, |version, item| VersionedItem { item, version: version.0 })
    }
}
