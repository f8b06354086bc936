//! A change of one item: what a put, an update, a delete and a check do, whether they stand alone or are actions of a
//! transaction.

use crate::api::consumed::{self, Written};
use crate::api::key;
use crate::api::table::Table;
use crate::api::writing::Writing;
use crate::error::{Error, Result};
use crate::expression::{Condition, Expressions, Update, UpdateError};
use crate::item_codec::{self, ItemDamage, ItemView};
use crate::value::Item;

/// A change that is about to be made, but for what it changes.
#[derive(Clone, Copy)]
pub(crate) struct Change<'c> {
    pub(crate) table: &'c Table,
    /// The stored key.
    pub(crate) key: &'c [u8],
    /// Only if the item has this version; 0 stands for no item.
    pub(crate) expected: Option<u64>,
    /// The condition under which it is made, and the update.
    pub(crate) expressions: Option<&'c Expressions>,
    pub(crate) wants: Wants,
}

/// What is to be told of a change, beside that it was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    /// The item as it was.
    pub(crate) old: bool,
    /// How many bytes were written.
    pub(crate) bytes: bool,
}

/// What a change has done.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// The item as it was, if that is wanted, or had to be read anyway.
    pub(crate) old: Option<Vec<u8>>,
    /// The item as it is, if that is not what it was put as.
    pub(crate) new: Option<Vec<u8>>,
    /// What was written, if that is wanted.
    pub(crate) written: Written,
}

impl Change<'_> {
    /// Puts an item.
    pub(crate) fn put(self, writing: &mut Writing<'_, '_>, item: &[u8]) -> Result<Changed> {
        let old = self.check_conditions(writing, self.wants.old || self.wants.bytes)?;
        writing.count_index_writes(self.wants.bytes);
        writing.put(self.table, self.key, item)?;
        self.changed(writing, old, Some(item), None)
    }

    /// Deletes the item. Returns whether there was one, too.
    pub(crate) fn delete(self, writing: &mut Writing<'_, '_>) -> Result<(bool, Changed)> {
        let old = self.check_conditions(writing, self.wants.old || self.wants.bytes)?;
        writing.count_index_writes(self.wants.bytes);
        let was_there = writing.delete(self.table, self.key)?;
        Ok((was_there, self.changed(writing, old, None, None)?))
    }

    /// Changes nothing.
    pub(crate) fn check(self, writing: &mut Writing<'_, '_>) -> Result<Changed> {
        let old = self.check_conditions(writing, self.wants.bytes)?;
        writing.count_index_writes(self.wants.bytes);
        self.changed(writing, old, None, None)
    }

    /// Updates the item by the update among the expressions; without one, an item is only made if there is none. None is made by
    /// an update that only removes, as in DynamoDB.
    pub(crate) fn update(self, writing: &mut Writing<'_, '_>) -> Result<Changed> {
        let table = self.table;
        let old = self.check_conditions(writing, true)?;
        let damaged = |damage: ItemDamage| table.damaged(damage);
        // Only a new item needs the attributes of the key: an old one has them.
        let made = if old.is_none() { key::to_item(table, self.key)? } else { Item::new() };
        let update = self.expressions.and_then(|expressions| expressions.update.as_ref());
        if old.is_none() && update.is_some_and(Update::only_removes) {
            return self.changed(writing, None, None, None);
        }
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
        writing.count_index_writes(self.wants.bytes);
        writing.put(table, self.key, &new).map_err(Error::of_update)?;
        self.changed(writing, old, None, Some(new))
    }

    /// Refuses a change whose expressions do not fit the table, or whose conditions do not hold for what stands under the key.
    /// Returns that, if it is wanted.
    fn check_conditions(&self, writing: &mut Writing<'_, '_>, wanted: bool) -> Result<Option<Vec<u8>>> {
        if let Some(expressions) = self.expressions {
            expressions.check_update_apart(&self.table.keys)?;
            if let Some(update) = &expressions.update {
                self.table.indexes.check_update(update)?;
            }
            expressions.check_conditions(&self.table.keys, &self.table.index_keys())?;
        }
        writing.check_version(self.table, self.key, self.expected)?;
        let condition = self.expressions.and_then(|expressions| expressions.condition.as_ref());
        if condition.is_none() && !wanted {
            return Ok(None);
        }
        let found = writing.get(self.table, self.key, |_, item| {
            check_condition(self.table, Some(item), condition).map(|()| wanted.then(|| item.to_vec()))
        })?;
        match found {
            Some(found) => found,
            None => check_condition(self.table, None, condition).map(|()| None),
        }
    }

    fn changed(
        &self,
        writing: &mut Writing<'_, '_>,
        old: Option<Vec<u8>>,
        put: Option<&[u8]>,
        new: Option<Vec<u8>>,
    ) -> Result<Changed> {
        let mut written = Written::default();
        if self.wants.bytes {
            for item in [old.as_deref(), put, new.as_deref()].into_iter().flatten() {
                written.bytes = written.bytes.max(consumed::size(self.table, item)?);
            }
            written.indexes = writing.take_index_writes();
        }
        Ok(Changed { old, new, written })
    }
}

/// Refuses a change whose condition does not hold for the item that there is.
fn check_condition(table: &Table, item: Option<&[u8]>, condition: Option<&Condition>) -> Result<()> {
    let Some(condition) = condition else { return Ok(()) };
    let damaged = |damage| table.damaged(damage);
    let holds = match item {
        None => condition.matches_absent(),
        Some(item) => ItemView::new(item).and_then(|item| condition.matches(item)).map_err(damaged)?,
    };
    if holds {
        return Ok(());
    }
    let item = item.map(item_codec::decode).transpose().map_err(damaged)?;
    Err(Error::ConditionFailed { item: item.map(Box::new) })
}
