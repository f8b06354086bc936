//! The expressions of an operation, and what their placeholders stand for, as a builder collects them.

use std::collections::BTreeMap;

use crate::api::key::IntoAttribute;
use crate::error::{Error, Result};
use crate::expression::{Condition, Expressions, KeyCondition, Update};
use crate::value::Item;

/// The method of a builder with `terms` that says what placeholders of names stand for.
macro_rules! name_placeholders {
    ($($terms:tt).+) => {
        /// What a placeholder like `#name` in an expression stands for.
        pub fn name(mut self, placeholder: &str, name: &str) -> Self {
            self.$($terms).+.name(placeholder, name);
            self
        }

        /// What all placeholders like `#name` stand for, instead of [`name`](Self::name). DynamoDB refuses none at all.
        pub fn names(mut self, names: std::collections::BTreeMap<String, String>) -> Self {
            self.$($terms).+.names(names);
            self
        }
    };
}

/// The method of a builder with `terms` that says what placeholders of values stand for.
macro_rules! value_placeholders {
    ($($terms:tt).+) => {
        /// What a placeholder like `:value` in an expression stands for.
        pub fn value(mut self, placeholder: &str, value: impl crate::api::IntoAttribute) -> Self {
            self.$($terms).+.value(placeholder, value);
            self
        }

        /// What all placeholders like `:value` stand for, instead of [`value`](Self::value). DynamoDB refuses none at all.
        pub fn values(mut self, values: crate::value::Item) -> Self {
            self.$($terms).+.values(values);
            self
        }
    };
}

/// Both.
macro_rules! placeholders {
    ($($terms:tt).+) => {
        crate::api::terms::name_placeholders!($($terms).+);

        crate::api::terms::value_placeholders!($($terms).+);
    };
}

pub(crate) use {name_placeholders, placeholders, value_placeholders};

/// What was said so far. In a box, since most operations say nothing.
#[derive(Debug, Default)]
pub(crate) struct Terms<'a>(Option<Box<Said<'a>>>);

/// The expressions and the placeholders.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    pub(crate) condition: Option<&'a str>,
    pub(crate) update: Option<&'a str>,
    pub(crate) filter: Option<&'a str>,
    pub(crate) key_condition: Option<&'a str>,
    pub(crate) projection: Option<&'a str>,
    names: Option<BTreeMap<String, String>>,
    values: Option<Item>,
    /// What was said by attributes, instead of in the language.
    pub(crate) by_attribute: ByAttribute,
    /// The first value that could not be converted.
    error: Option<Error>,
}

/// Conditions and updates that were said by attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByAttribute {
    pub(crate) condition: Option<Condition>,
    pub(crate) filter: Option<Condition>,
    pub(crate) key_condition: Option<KeyCondition>,
    pub(crate) update: Option<Update>,
}

impl<'a> Terms<'a> {
    /// To say something.
    pub(crate) fn say(&mut self) -> &mut Said<'a> {
        self.0.get_or_insert_default()
    }

    pub(crate) fn name(&mut self, placeholder: &str, name: &str) {
        self.say().names.get_or_insert_default().insert(placeholder.to_owned(), name.to_owned());
    }

    pub(crate) fn value(&mut self, placeholder: &str, value: impl IntoAttribute) {
        let said = self.say();
        match value.into_attribute() {
            Ok(value) => drop(said.values.get_or_insert_default().insert(placeholder.to_owned(), value)),
            Err(error) => drop(said.error.get_or_insert(error)),
        }
    }

    pub(crate) fn names(&mut self, names: BTreeMap<String, String>) {
        self.say().names = Some(names);
    }

    pub(crate) fn values(&mut self, values: Item) {
        self.say().values = Some(values);
    }

    pub(crate) fn projection(&self) -> Option<&'a str> {
        self.0.as_ref()?.projection
    }

    pub(crate) fn key_condition(&self) -> Option<&'a str> {
        self.0.as_ref()?.key_condition
    }

    /// Hands all that was said to `field`, piece by piece, so that other words give other pieces.
    pub(crate) fn describe(&self, field: &mut impl FnMut(&[u8])) -> Result<()> {
        let Some(said) = &self.0 else {
            field(&[0]);
            return Ok(());
        };
        field(&[1]);
        let Said {
            condition,
            update,
            filter,
            key_condition,
            projection,
            names,
            values,
            by_attribute: _,
            error: _,
        } = &**said;
        for text in [condition, update, filter, key_condition, projection] {
            // An empty expression is none: it was refused.
            field(text.unwrap_or("").as_bytes());
        }
        field(&(names.as_ref().map_or(0, BTreeMap::len) as u64).to_le_bytes());
        for (placeholder, name) in names.iter().flatten() {
            field(placeholder.as_bytes());
            field(name.as_bytes());
        }
        for (placeholder, value) in values.iter().flatten() {
            field(placeholder.as_bytes());
            // As JSON: a value may be as large as an item, and has no name that would count.
            field(&serde_json::to_vec(value).unwrap_or_default());
        }
        Ok(())
    }

    /// Reads the expressions. `None` if there is nothing at all to be read.
    #[inline]
    pub(crate) fn compile(&self) -> Result<Option<Expressions>> {
        self.0.as_ref().map(|said| said.compile()).transpose()
    }
}

impl Said<'_> {
    fn compile(&self) -> Result<Expressions> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let mut expressions = Expressions::builder()
            .condition(self.condition)
            .update(self.update)
            .filter(self.filter)
            .key_condition(self.key_condition)
            .projection(self.projection)
            .names(self.names.as_ref())
            .values(self.values.as_ref())
            .build()?;
        let ByAttribute { condition, filter, key_condition, update } = &self.by_attribute;
        expressions.condition = expressions.condition.or_else(|| condition.clone());
        expressions.filter = expressions.filter.or_else(|| filter.clone());
        expressions.key_condition = expressions.key_condition.or_else(|| key_condition.clone());
        expressions.update = expressions.update.or_else(|| update.clone());
        Ok(expressions)
    }
}
