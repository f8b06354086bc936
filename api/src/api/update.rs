//! Updating one item in place, by an update expression.

use serde_json::Value;

use crate::api::database::DynaMite;
use crate::api::key::{self, IntoAttribute, KeyArguments, item_key};
use crate::api::source::Target;
use crate::api::terms::{Terms, check_condition, placeholders};
use crate::error::{Error, Result};
use crate::expression::{Update, UpdateError};
use crate::item_codec::{self, ItemDamage, ItemError, ItemView};
use crate::value::Item;

/// Which attributes an update returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    terms: Terms<'a>,
    return_values: ReturnValues,
}

/// What an update has done.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// The item's new version.
    pub version: u64,
    /// What was asked for with [`return_values`](UpdateItem::return_values); `None` if that is nothing.
    pub attributes: Option<Value>,
}

impl DynaMite {
    /// Begins to update an item by an expression of DynamoDB's language. If there is no such item, one is made of the key.
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
            terms: Terms::default(),
            return_values: ReturnValues::None,
        }
    }

    item_key!();

    /// What to do, in DynamoDB's language: `SET a = :a REMOVE b ADD c :c DELETE d :d`. Without it an item is only made if there
    /// is none.
    pub fn update(mut self, expression: &'a str) -> Self {
        self.terms.update = Some(expression);
        self
    }

    /// Updates only if this holds for the item, or for an absent one if there is none.
    pub fn condition(mut self, expression: &'a str) -> Self {
        self.terms.condition = Some(expression);
        self
    }

    placeholders!(terms);

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
    /// [`Error::Update`] for what the expressions say, or for an item that they do not fit;
    /// [`Error::ConditionFailed`] with the item that there is.
    ///
    /// Cost: as for a put, a descent more, and a copy of the item.
    pub fn execute(self) -> Result<Updated> {
        let UpdateItem { target, table, key, terms, return_values } = self;
        let expressions = terms.compile()?;
        target.write(|writing| {
            let table = writing.table(table)?;
            if let Some(expressions) = &expressions {
                expressions.check_schema(&table.keys)?;
            }
            let (condition, update) = match &expressions {
                Some(expressions) => (expressions.condition.as_ref(), expressions.update.as_ref()),
                None => (None, None),
            };
            let key = key.encode(&table)?;
            let old = writing.get(&table, &key, |_, item| item.to_vec())?;
            if let Some(condition) = condition {
                check_condition(&table, old.as_deref(), condition)?;
            }

            let damaged = |damage: ItemDamage| table.damaged(damage);
            // Only a new item needs the attributes of the key: an old one has them.
            let made = if old.is_none() { key::to_item(&table, &key)? } else { Item::new() };
            let new = match (update, &old) {
                (None, Some(old)) => old.clone(),
                (None, None) => item_codec::encode(&made)?,
                (Some(update), old) => {
                    let view = old.as_deref().map(ItemView::new).transpose().map_err(damaged)?;
                    update.apply(view, &made).map_err(|error| match error {
                        UpdateError::Damage(damage) => damaged(damage),
                        other => Error::Update(other),
                    })?
                }
            };
            writing.put(&table, &key, &new).map_err(Error::of_update)?;
            let attributes = match return_values {
                ReturnValues::None => None,
                ReturnValues::AllOld => old,
                ReturnValues::AllNew => Some(new),
                ReturnValues::UpdatedOld => updated(update, old.as_deref())?,
                ReturnValues::UpdatedNew => updated(update, Some(&new))?,
            };
            let attributes =
                attributes.map(|item| item_codec::decode_json(&item)).transpose().map_err(damaged)?;
            Ok(Updated { version: writing.version(), attributes })
        })
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
