//! The expressions of an operation, and what their placeholders stand for, as a builder collects them.

use std::collections::BTreeMap;

use crate::api::key::IntoAttribute;
use crate::api::layout::Layout;
use crate::api::table::Table;
use crate::api::writing::Writing;
use crate::error::{Error, Result};
use crate::expression::{Condition, Expressions};
use crate::item_codec::{self, ItemView};
use crate::value::Item;

/// The methods of a builder with `terms` that say what placeholders stand for.
macro_rules! placeholders {
    ($($terms:ident).+) => {
        /// What a placeholder like `#name` in an expression stands for.
        pub fn name(mut self, placeholder: &str, name: &str) -> Self {
            self.$($terms).+.name(placeholder, name);
            self
        }

        /// What a placeholder like `:value` in an expression stands for.
        pub fn value(mut self, placeholder: &str, value: impl crate::api::IntoAttribute) -> Self {
            self.$($terms).+.value(placeholder, value);
            self
        }
    };
}

pub(crate) use placeholders;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Terms<'a> {
    pub(crate) condition: Option<&'a str>,
    pub(crate) update: Option<&'a str>,
    pub(crate) filter: Option<&'a str>,
    names: BTreeMap<String, String>,
    values: Item,
    /// The first value that could not be converted.
    error: Option<Error>,
}

impl Terms<'_> {
    pub(crate) fn name(&mut self, placeholder: &str, name: &str) {
        self.names.insert(placeholder.to_owned(), name.to_owned());
    }

    pub(crate) fn value(&mut self, placeholder: &str, value: impl IntoAttribute) {
        match value.into_attribute() {
            Ok(value) => drop(self.values.insert(placeholder.to_owned(), value)),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
    }

    /// Reads the filter of a read, and holds it against the table's key.
    pub(crate) fn compile_filter(self, table: &Layout) -> Result<Option<Condition>> {
        let Some(expressions) = self.compile()? else { return Ok(None) };
        expressions.check_schema(&table.keys)?;
        Ok(expressions.filter)
    }

    /// Reads the expressions. `None` if there is nothing at all to be read.
    pub(crate) fn compile(self) -> Result<Option<Expressions>> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let has_expression = [self.condition, self.update, self.filter].iter().any(Option::is_some);
        if !has_expression && self.names.is_empty() && self.values.is_empty() {
            return Ok(None);
        }
        let expressions = Expressions::builder()
            .condition(self.condition)
            .update(self.update)
            .filter(self.filter)
            .names((!self.names.is_empty()).then_some(&self.names))
            .values((!self.values.is_empty()).then_some(&self.values))
            .build()?;
        Ok(Some(expressions))
    }
}

/// Refuses a write whose expressions do not fit the table, or whose condition does not hold for what stands under the key.
pub(crate) fn check_write(
    writing: &mut Writing<'_, '_>,
    table: &Table,
    key: &[u8],
    expressions: Option<&Expressions>,
) -> Result<()> {
    let Some(expressions) = expressions else { return Ok(()) };
    expressions.check_schema(&table.keys)?;
    let Some(condition) = &expressions.condition else { return Ok(()) };
    match writing.get(table, key, |_, item| check_condition(table, Some(item), condition))? {
        Some(checked) => checked,
        None => check_condition(table, None, condition),
    }
}

/// Refuses a write whose condition does not hold for the item that there is.
pub(crate) fn check_condition(table: &Table, item: Option<&[u8]>, condition: &Condition) -> Result<()> {
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
