//! Putting one item, and what can be put.

use serde::Serialize;
use serde_json::Value;

use crate::api::change::{Change, Changed, Wants};
use crate::api::consumed::{Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key;
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode, Projection};
use crate::api::source::Target;
use crate::api::table::Table;
use crate::api::terms::{Terms, placeholders};
use crate::error::{Error, Invalid, Result};
use crate::expression::Condition;
use crate::item_codec;
use crate::value::Item;

/// What can be put as an item: a JSON object, an [`Item`] of exact attribute values, or one that is encoded, owned or borrowed. Values of one's
/// own types go through [`DynaMite::put_item_from`].
pub trait IntoItem: sealed::Encode {}

mod sealed {
    use crate::error::Result;

    pub trait Encode {
        /// The item's stored form, within the limits of items.
        fn encode(&self) -> Result<Vec<u8>>;
    }
}

pub(crate) use sealed::Encode;

impl IntoItem for Value {}

impl Encode for Value {
    fn encode(&self) -> Result<Vec<u8>> {
        Ok(item_codec::encode_json(self)?)
    }
}

impl IntoItem for Item {}

impl Encode for Item {
    fn encode(&self) -> Result<Vec<u8>> {
        Ok(item_codec::encode(self)?)
    }
}

impl<T: IntoItem + ?Sized> IntoItem for &T {}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self) -> Result<Vec<u8>> {
        (**self).encode()
    }
}

impl DynaMite {
    /// Puts an item in place of whatever has its key. Returns its version.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`]; [`Error::Validation`] if the item lacks an attribute of the key, or has one of another
    /// type; [`Error::Value`] and [`Error::ItemTooLarge`] for what is no item.
    ///
    /// Cost: an encoding, two to three descents of the table's tree, and a commit, whose flush is shared with all writers that
    /// commit at the same time.
    pub fn put_item(&self, table: &str, item: impl IntoItem) -> Result<u64> {
        put(self, table, item, None)
    }

    /// Puts an item if the one in its place still has the version that is expected: `Some(v)`. With `Some(0)` only if there is none,
    /// with `None` in any case. Returns the new version.
    ///
    /// # Errors
    ///
    /// [`Error::VersionConflict`], and those of [`put_item`](DynaMite::put_item).
    ///
    /// ```
    /// use dynamite_core::{Error, api::DynaMite, types::KeyType};
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// let first = db.put_item_versioned("users", json!({"user_id": "alice", "age": 30}), Some(0))?;
    /// let second = db.put_item_versioned("users", json!({"user_id": "alice", "age": 31}), Some(first))?;
    ///
    /// let late = db.put_item_versioned("users", json!({"user_id": "alice", "age": 32}), Some(first));
    /// assert!(matches!(late, Err(Error::VersionConflict { expected, actual })
    ///     if expected == first && actual == Some(second)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_item_versioned(&self, table: &str, item: impl IntoItem, expected: Option<u64>) -> Result<u64> {
        put(self, table, item, expected)
    }

    /// Puts a value of a type of one's own, which serde makes an item, without a [`Value`] in between.
    ///
    /// ```
    /// use dynamite_core::{api::DynaMite, types::KeyType};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, PartialEq, Serialize, Deserialize)]
    /// struct User { user_id: String, age: u32 }
    ///
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// let alice = User { user_id: "alice".into(), age: 30 };
    /// db.put_item_from("users", &alice)?;
    /// let found: Option<User> = db.get_item("users").partition_key("alice").execute_as()?;
    /// assert_eq!(found, Some(alice));
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_item_from(&self, table: &str, item: &(impl Serialize + ?Sized)) -> Result<u64> {
        put_from(self, table, item)
    }
}

/// A put that is about to be made; [`DynaMite::put`] begins, [`execute`](PutItem::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is put before execute"]
pub struct PutItem<'a, T> {
    target: &'a T,
    table: &'a str,
    item: Option<Result<Vec<u8>>>,
    expected: Option<u64>,
    terms: Terms<'a>,
    consumed: Option<&'a Consumed>,
}

/// What a put has done.
#[derive(Clone, Debug, PartialEq)]
pub struct Replaced<T = Value> {
    /// The item's new version.
    pub version: u64,
    /// The item that stood in its place; `None` if there was none.
    pub old: Option<T>,
}

impl DynaMite {
    /// Begins to put an item under a condition.
    ///
    /// ```
    /// # use dynamite_core::{Error, api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// let put = || db.put("users").item(json!({"user_id": "alice"})).condition("attribute_not_exists(user_id)");
    /// put().execute()?;
    /// assert!(matches!(put().execute(), Err(Error::ConditionFailed { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn put<'a>(&'a self, table: &'a str) -> PutItem<'a, DynaMite> {
        PutItem::new(self, table)
    }
}

impl<'a, T: Target> PutItem<'a, T> {
    pub(crate) fn new(target: &'a T, table: &'a str) -> Self {
        PutItem { target, table, item: None, expected: None, terms: Terms::default(), consumed: None }
    }

    /// The item.
    pub fn item(mut self, item: impl IntoItem) -> Self {
        self.item = Some(item.encode());
        self
    }

    /// The item, a value of a type of one's own.
    pub fn item_from(mut self, item: &(impl Serialize + ?Sized)) -> Self {
        self.item = Some(item_codec::to_bytes(item).map_err(Error::from));
        self
    }

    /// Puts only if the item in its place has this version; 0 stands for none.
    pub fn if_version(mut self, version: u64) -> Self {
        self.expected = Some(version);
        self
    }

    /// Puts only if this holds, in DynamoDB's language, for the item in its place, or for an absent one if there is none.
    pub fn condition(mut self, expression: &'a str) -> Self {
        self.terms.say().condition = Some(expression);
        self
    }

    /// Puts only if this holds, said by attributes, instead of [`condition`](Self::condition).
    pub fn condition_by_attribute(mut self, condition: Condition) -> Self {
        self.terms.say().by_attribute.condition = Some(condition);
        self
    }

    placeholders!(terms);

    consumes!(consumed);

    /// Puts the item. Returns its version.
    ///
    /// # Errors
    ///
    /// Those of [`DynaMite::put_item_versioned`]; [`Error::Expression`]; [`Error::ConditionFailed`] with the item that there
    /// is.
    pub fn execute(self) -> Result<u64> {
        self.run(false, |_, _| Ok(())).map(|(version, ())| version)
    }

    /// Puts the item. Returns the one in its place, too, as JSON; see [`execute`](PutItem::execute).
    ///
    /// ```
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// db.put_item("users", json!({"user_id": "alice", "age": 30}))?;
    /// let put = db.put("users").item(json!({"user_id": "alice", "age": 31})).execute_returning_old()?;
    /// assert_eq!(put.old, Some(json!({"user_id": "alice", "age": 30})));
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute_returning_old(self) -> Result<Replaced> {
        self.replace(AS_VALUE)
    }

    /// Puts the item. Returns the one in its place, too, with its exact attribute values; see [`execute`](PutItem::execute).
    pub fn execute_returning_old_item(self) -> Result<Replaced<Item>> {
        self.replace(AS_ITEM)
    }

    /// Puts the item. Returns the one in its place, too, in its stored form; see [`execute`](PutItem::execute).
    pub fn execute_returning_old_encoded(self) -> Result<Replaced<EncodedItem<'static>>> {
        self.replace(AS_ENCODED)
    }

    fn replace<R: Send>(self, decode: Decode<R>) -> Result<Replaced<R>> {
        let (version, old) = self.run(true, |table, changed| {
            changed.old.map(|old| Projection::All.decode(table, &old, decode)).transpose()
        })?;
        Ok(Replaced { version, old })
    }

    /// Puts the item, and makes of what was changed what is asked for before it is committed. Returns the version, too.
    fn run<R: Send>(
        self,
        old: bool,
        with: impl FnOnce(&Table, Changed) -> Result<R> + Send,
    ) -> Result<(u64, R)> {
        let PutItem { target, table, item, expected, terms, consumed } = self;
        let expressions = terms.compile()?;
        let item = item.ok_or(Invalid::NoItem)??;
        let wants = Wants { old, bytes: consumed.is_some() };
        let (version, written, result) = target.write_few(|writing| {
            let table = writing.table(table)?;
            let key = key::of_item(&table, &item)?;
            let change =
                Change { table: &table, key: &key, expected, expressions: expressions.as_ref(), wants };
            let mut changed = change.put(writing, &item)?;
            let written = std::mem::take(&mut changed.written);
            Ok((writing.version(), written, with(&table, changed)?))
        })?;
        if let Some(consumed) = consumed {
            consumed.written(table, written);
        }
        Ok((version, result))
    }
}

pub(crate) fn put(
    target: &impl Target,
    table: &str,
    item: impl IntoItem,
    expected: Option<u64>,
) -> Result<u64> {
    put_encoded(target, table, &item.encode()?, expected)
}

pub(crate) fn put_from(target: &impl Target, table: &str, item: &(impl Serialize + ?Sized)) -> Result<u64> {
    put_encoded(target, table, &item_codec::to_bytes(item)?, None)
}

fn put_encoded(target: &impl Target, table: &str, item: &[u8], expected: Option<u64>) -> Result<u64> {
    target.write_few(|writing| {
        let table = writing.table(table)?;
        let key = key::of_item(&table, item)?;
        let wants = Wants::default();
        Change { table: &table, key: &key, expected, expressions: None, wants }.put(writing, item)?;
        Ok(writing.version())
    })
}
