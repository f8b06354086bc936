//! Deleting one item.

use crate::api::database::DynaMite;
use crate::api::key::{IntoAttribute, KeyArguments, item_key};
use crate::api::source::Target;
use crate::api::terms::{Terms, check_write, placeholders};
use crate::error::Result;

/// An item that is about to be deleted; [`DynaMite::delete_item`] begins, [`execute`](DeleteItem::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is deleted before execute"]
pub struct DeleteItem<'a, T> {
    target: &'a T,
    table: &'a str,
    key: KeyArguments,
    expected: Option<u64>,
    terms: Terms<'a>,
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
        DeleteItem { target, table, key: KeyArguments::default(), expected: None, terms: Terms::default() }
    }

    item_key!();

    /// Deletes only if the item has this version.
    pub fn if_version(mut self, version: u64) -> Self {
        self.expected = Some(version);
        self
    }

    /// Deletes only if this holds, in DynamoDB's language, for the item, or for an absent one if there is none.
    pub fn condition(mut self, expression: &'a str) -> Self {
        self.terms.condition = Some(expression);
        self
    }

    placeholders!(terms);

    /// Deletes the item. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound), [`Error::Validation`](crate::Error::Validation) for a key
    /// that does not fit the table, [`Error::VersionConflict`](crate::Error::VersionConflict),
    /// [`Error::Expression`](crate::Error::Expression), [`Error::ConditionFailed`](crate::Error::ConditionFailed) with the
    /// item that there is.
    pub fn execute(self) -> Result<bool> {
        let DeleteItem { target, table, key, expected, terms } = self;
        let expressions = terms.compile()?;
        target.write(|writing| {
            let table = writing.table(table)?;
            let key = key.encode(&table)?;
            writing.check_version(&table, &key, expected)?;
            check_write(writing, &table, &key, expressions.as_ref())?;
            writing.delete(&table, &key)
        })
    }
}
