//! Updating one item in place, by an update expression.

use serde_json::Value;

use crate::api::change::{Change, Changed, Wants};
use crate::api::consumed::{Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::{IntoAttribute, KeyArguments, item_key};
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode, Projection};
use crate::api::source::Target;
use crate::api::terms::{Terms, placeholders};
use crate::error::{Error, Result};
use crate::expression::{Condition, Update};
use crate::item_codec::{ItemError, ItemView};
use crate::value::Item;

/// Which attributes an update returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ReturnValues {
    /// None.
    #[default]
    None,
    /// The whole item as it was.
    AllOld,
    /// What was changed, as it was.
    UpdatedOld,
    /// The whole item as it is.
    AllNew,
    /// What was changed, as it is.
    UpdatedNew,
}

/// An update that is about to be made; [`DynaMite::update_item`] begins, [`execute`](UpdateItem::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is updated before execute"]
pub struct UpdateItem<'a, T> {
    target: &'a T,
    table: &'a str,
    key: KeyArguments,
    expected: Option<u64>,
    terms: Terms<'a>,
    return_values: ReturnValues,
    consumed: Option<&'a Consumed>,
}

/// What an update has done.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated<T = Value> {
    /// The item's new version; 0 if there is none, since there was none and the update only removes.
    pub version: u64,
    /// What was asked for with [`return_values`](UpdateItem::return_values); `None` if that is nothing.
    pub attributes: Option<T>,
}

impl DynaMite {
    /// Begins to update an item by an expression of DynamoDB's language. If there is no such item, one is made of the key, unless
    /// the update only removes: then there is nothing to do.
    ///
    /// ```
    /// use dynamite_core::api::ReturnValues;
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// db.put_item("users", json!({"user_id": "alice", "visits": 1}))?;
    /// let updated = db
    ///     .update_item("users")
    ///     .partition_key("alice")
    ///     .update("SET visits = visits + :one, #s = :active")
    ///     .condition("attribute_exists(user_id)")
    ///     .name("#s", "state")
    ///     .value(":one", 1)
    ///     .value(":active", "active")
    ///     .return_values(ReturnValues::UpdatedNew)
    ///     .execute()?;
    /// assert_eq!(updated.attributes, Some(json!({"visits": 2, "state": "active"})));
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_item<'a>(&'a self, table: &'a str) -> UpdateItem<'a, DynaMite> {
        UpdateItem::new(self, table)
    }
}

impl<'a, T: Target> UpdateItem<'a, T> {
    pub(crate) fn new(target: &'a T, table: &'a str) -> Self {
        UpdateItem {
            target,
            table,
            key: KeyArguments::default(),
            expected: None,
            terms: Terms::default(),
            return_values: ReturnValues::None,
            consumed: None,
        }
    }

    item_key!();

    /// What to do, in DynamoDB's language: `SET a = :a REMOVE b ADD c :c DELETE d :d`. Without it an item is only made if there
    /// is none.
    pub fn update(mut self, expression: &'a str) -> Self {
        self.terms.say().update = Some(expression);
        self
    }

    /// Updates only if this holds for the item, or for an absent one if there is none.
    pub fn condition(mut self, expression: &'a str) -> Self {
        self.terms.say().condition = Some(expression);
        self
    }

    /// Updates only if the item has this version; 0 stands for none.
    pub fn if_version(mut self, version: u64) -> Self {
        self.expected = Some(version);
        self
    }

    /// Updates only if this holds, said by attributes, instead of [`condition`](Self::condition).
    pub fn condition_by_attribute(mut self, condition: Condition) -> Self {
        self.terms.say().by_attribute.condition = Some(condition);
        self
    }

    /// What is changed, said by attributes, instead of [`update`](Self::update).
    pub fn update_by_attribute(mut self, update: Update) -> Self {
        self.terms.say().by_attribute.update = Some(update);
        self
    }

    placeholders!(terms);

    consumes!(consumed);

    /// Which attributes to return.
    pub fn return_values(mut self, return_values: ReturnValues) -> Self {
        self.return_values = return_values;
        self
    }

    /// Updates the item.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`]; [`Error::Validation`] for a key that does not fit the table; [`Error::Expression`] and
    /// [`Error::Update`] for what the expressions say, or for an item that they do not fit; [`Error::VersionConflict`];
    /// [`Error::ConditionFailed`] with the item that there is.
    ///
    /// Cost: as for a put, a descent more, and a copy of the item.
    pub fn execute(self) -> Result<Updated> {
        self.run(AS_VALUE)
    }

    /// Updates the item. What is returned has its exact attribute values; see [`execute`](UpdateItem::execute).
    pub fn execute_item(self) -> Result<Updated<Item>> {
        self.run(AS_ITEM)
    }

    /// Updates the item. Returns what is asked for in its stored form; see [`execute`](UpdateItem::execute).
    pub fn execute_encoded(self) -> Result<Updated<EncodedItem<'static>>> {
        self.run(AS_ENCODED)
    }

    fn run<R: Send>(self, decode: Decode<R>) -> Result<Updated<R>> {
        let UpdateItem { target, table, key, expected, terms, return_values, consumed } = self;
        let expressions = terms.compile()?;
        let wants = Wants { old: false, bytes: consumed.is_some() };
        let (written, updated) = target.write_few(|writing| {
            let table = writing.table(table)?;
            let key = key.encode(&table)?;
            let change =
                Change { table: &table, key: &key, expected, expressions: expressions.as_ref(), wants };
            let mut changed = change.update(writing)?;
            let written = std::mem::take(&mut changed.written);
            let version = if changed.new.is_some() { writing.version() } else { 0 };
            let update = expressions.as_ref().and_then(|expressions| expressions.update.as_ref());
            let returned = returned(return_values, update, changed)?;
            let attributes =
                returned.map(|item| Projection::All.decode(&table, &item, decode)).transpose()?;
            Ok((written, Updated { version, attributes }))
        })?;
        if let Some(consumed) = consumed {
            consumed.written(table, written);
        }
        Ok(updated)
    }
}

/// What is asked for of what an update has changed.
pub(crate) fn returned(
    asked: ReturnValues,
    update: Option<&Update>,
    changed: Changed,
) -> Result<Option<Vec<u8>>> {
    match asked {
        ReturnValues::None => Ok(None),
        ReturnValues::AllOld => Ok(changed.old),
        ReturnValues::AllNew => Ok(changed.new),
        ReturnValues::UpdatedOld => updated(update, changed.old.as_deref()),
        ReturnValues::UpdatedNew => updated(update, changed.new.as_deref()),
    }
}

/// What an update changes, of an item before or after it.
fn updated(update: Option<&Update>, item: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
    let (Some(update), Some(item)) = (update, item) else { return Ok(None) };
    let part = ItemView::new(item).map_err(ItemError::from).and_then(|item| update.updated(item));
    part.map_err(|error| match error {
        ItemError::Damage(damage) => Error::Update(damage.into()),
        ItemError::Value(error) => Error::Value(error),
    })
}
