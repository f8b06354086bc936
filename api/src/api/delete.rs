//! Deleting one item.

use serde_json::Value;

use crate::api::change::{Change, Changed, Wants};
use crate::api::consumed::{Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::{IntoAttribute, KeyArguments, item_key};
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode, Projection};
use crate::api::source::Target;
use crate::api::table::Table;
use crate::api::terms::{Terms, placeholders};
use crate::error::Result;
use crate::expression::Condition;
use crate::value::Item;

/// An item that is about to be deleted; [`DynaMite::delete_item`] begins, [`execute`](DeleteItem::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is deleted before execute"]
pub struct DeleteItem<'a, T> {
    target: &'a T,
    table: &'a str,
    key: KeyArguments,
    expected: Option<u64>,
    terms: Terms<'a>,
    consumed: Option<&'a Consumed>,
}

impl DynaMite {
    /// Begins to delete an item.
    ///
    /// ```
    /// use dynamite_core::{api::DynaMite, types::KeyType};
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// let version = db.put_item("users", json!({"user_id": "alice"}))?;
    /// assert!(db.delete_item("users").partition_key("alice").if_version(version).execute()?);
    /// assert!(!db.delete_item("users").partition_key("alice").execute()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete_item<'a>(&'a self, table: &'a str) -> DeleteItem<'a, DynaMite> {
        DeleteItem::new(self, table)
    }
}

impl<'a, T: Target> DeleteItem<'a, T> {
    pub(crate) fn new(target: &'a T, table: &'a str) -> Self {
        DeleteItem {
            target,
            table,
            key: KeyArguments::default(),
            expected: None,
            terms: Terms::default(),
            consumed: None,
        }
    }

    item_key!();

    /// Deletes only if the item has this version.
    pub fn if_version(mut self, version: u64) -> Self {
        self.expected = Some(version);
        self
    }

    /// Deletes only if this holds, in DynamoDB's language, for the item, or for an absent one if there is none.
    pub fn condition(mut self, expression: &'a str) -> Self {
        self.terms.say().condition = Some(expression);
        self
    }

    /// Deletes only if this holds, said by attributes, instead of [`condition`](Self::condition).
    pub fn condition_by_attribute(mut self, condition: Condition) -> Self {
        self.terms.say().by_attribute.condition = Some(condition);
        self
    }

    placeholders!(terms);

    consumes!(consumed);

    /// Deletes the item. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound), [`Error::Validation`](crate::Error::Validation) for a key
    /// that does not fit the table, [`Error::VersionConflict`](crate::Error::VersionConflict),
    /// [`Error::Expression`](crate::Error::Expression), [`Error::ConditionFailed`](crate::Error::ConditionFailed) with the
    /// item that there is.
    pub fn execute(self) -> Result<bool> {
        self.run(false, |_, was_there, _| Ok(was_there))
    }

    /// Deletes the item. Returns it, as JSON; `None` if there was none. See [`execute`](DeleteItem::execute).
    pub fn execute_returning_old(self) -> Result<Option<Value>> {
        self.take(AS_VALUE)
    }

    /// Deletes the item. Returns it, with its exact attribute values; `None` if there was none. See
    /// [`execute`](DeleteItem::execute).
    pub fn execute_returning_old_item(self) -> Result<Option<Item>> {
        self.take(AS_ITEM)
    }

    /// Deletes the item. Returns what it was, in its stored form; see [`execute`](DeleteItem::execute).
    pub fn execute_returning_old_encoded(self) -> Result<Option<EncodedItem<'static>>> {
        self.take(AS_ENCODED)
    }

    fn take<R: Send>(self, decode: Decode<R>) -> Result<Option<R>> {
        self.run(true, |table, _, changed| {
            changed.old.map(|old| Projection::All.decode(table, &old, decode)).transpose()
        })
    }

    /// Deletes the item, and makes of whether there was one and of what was changed what is asked for before it is committed.
    fn run<R: Send>(
        self,
        old: bool,
        with: impl FnOnce(&Table, bool, Changed) -> Result<R> + Send,
    ) -> Result<R> {
        let DeleteItem { target, table, key, expected, terms, consumed } = self;
        let expressions = terms.compile()?;
        let wants = Wants { old, bytes: consumed.is_some() };
        let (written, result) = target.write_few(|writing| {
            let table = writing.table(table)?;
            let key = key.encode(&table)?;
            let change =
                Change { table: &table, key: &key, expected, expressions: expressions.as_ref(), wants };
            let (was_there, mut changed) = change.delete(writing)?;
            let written = std::mem::take(&mut changed.written);
            Ok((written, with(&table, was_there, changed)?))
        })?;
        if let Some(consumed) = consumed {
            consumed.written(table, written);
        }
        Ok(result)
    }
}
