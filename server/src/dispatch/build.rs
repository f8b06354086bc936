//! The builders of the embedded database, told what a request says.

use dynamite_core::api::IntoAttribute;
use dynamite_core::error::{Error, Result};
use dynamite_core::key_codec::KeyValue;
use dynamite_core::{AttributeType, AttributeValue};

use crate::protocol::text::WireValue;

/// A value of a request; keys are looked at where they stand.
impl IntoAttribute for &WireValue<'_> {
    fn into_attribute(self) -> Result<AttributeValue> {
        // The value was checked when it arrived.
        self.value().map_err(|damage| Error::Decode(damage.to_string()))
    }

    fn with_key_value<R>(self, with: impl FnOnce(Option<KeyValue<'_>>) -> R) -> Result<R> {
        let damaged = |damage: dynamite_core::item_codec::ItemDamage| Error::Decode(damage.to_string());
        let view = self.view().map_err(damaged)?;
        let value = match view.attribute_type() {
            AttributeType::S => view.as_str().map_err(damaged)?.map(KeyValue::S),
            AttributeType::N => view.as_number().map_err(damaged)?.map(KeyValue::N),
            AttributeType::B => view.as_bytes().map(KeyValue::B),
            _ => None,
        };
        Ok(with(value))
    }
}

/// A number of the wire as one of this machine's.
pub(super) fn count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// A builder with the key of one item, as far as it was given.
macro_rules! with_key {
    ($builder:expr, $key:expr) => {{
        let (mut builder, key) = ($builder, $key);
        if let Some(partition) = &key.partition {
            builder = builder.partition_key(partition);
        }
        if let Some(sort) = &key.sort {
            builder = builder.sort_key(sort);
        }
        builder
    }};
}

/// A builder with some of the expressions, and the placeholders of names.
macro_rules! with_terms {
    ($builder:expr, $terms:expr, $($expression:ident)*) => {{
        let mut builder = $builder;
        if let Some(terms) = &$terms {
            $(if let Some(text) = &terms.$expression {
                builder = builder.$expression(text);
            })*
            for (placeholder, name) in &terms.names {
                builder = builder.name(placeholder, name);
            }
        }
        builder
    }};
}

/// The same, and the placeholders of values.
macro_rules! with_values {
    ($builder:expr, $terms:expr, $($expression:ident)*) => {{
        let mut builder = $crate::dispatch::build::with_terms!($builder, $terms, $($expression)*);
        for (placeholder, value) in $terms.iter().flat_map(|terms| &terms.values) {
            builder = builder.value(placeholder, value);
        }
        builder
    }};
}

/// A builder that is told which part of an item is wanted.
macro_rules! with_want {
    ($builder:expr, $want:expr) => {{
        let (mut builder, want) = ($builder, $want);
        if let Some(names) = &want.attributes {
            builder = builder.attributes(names.iter().map(|name| &**name));
        }
        $crate::dispatch::build::with_terms!(builder, want.terms, projection)
    }};
}

/// A builder that collects what is consumed, if that is asked for.
macro_rules! with_consumed {
    ($builder:expr, $consumed:expr) => {
        match $consumed {
            Some(consumed) => $builder.consumed(consumed),
            None => $builder,
        }
    };
}

pub(super) use {with_consumed, with_key, with_terms, with_values, with_want};
