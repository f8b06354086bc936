//! What builders are told alike: keys, expressions, placeholders. What cannot be sent is kept until the builder is executed.

use dynamite_core::api::{EncodedItem, IntoAttribute, IntoItem};
use dynamite_core::error::{Error, Invalid};
use dynamite_core::expression::ExpressionError;

use crate::error::{ClientError, Result};
use crate::protocol::terms::Terms;
use crate::protocol::text::WireValue;

/// The first thing that cannot be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Option<Box<Error>>);

impl Faults {
    /// What could be made to be sent, if it could.
    pub(crate) fn keep<T>(&mut self, made: Result<T, Error>) -> Option<T> {
        made.map_err(|error| self.0.get_or_insert_with(|| Box::new(error))).ok()
    }

    /// The same of what belongs to one of several operations.
    pub(crate) fn keep_of<T>(&mut self, operation: usize, made: Result<T, Error>) -> Option<T> {
        self.keep(made.map_err(|error| Error::Operation { operation, source: Box::new(error) }))
    }

    /// The value of a key.
    pub(crate) fn key(&mut self, value: impl IntoAttribute) -> Option<WireValue<'static>> {
        // What no item can hold is no key of any table.
        let encode = |value| WireValue::of(value).map_err(|_| Error::from(Invalid::KeySchema));
        self.keep(value.into_attribute().and_then(encode))
    }

    pub(crate) fn item(&mut self, item: impl IntoItem) -> Option<EncodedItem<'static>> {
        self.keep(EncodedItem::of(item))
    }

    pub(crate) fn name(&mut self, terms: &mut Option<Box<Terms<'static>>>, placeholder: &str, name: &str) {
        let terms = terms.get_or_insert_default();
        terms.names.push((placeholder.to_owned().into(), name.to_owned().into()));
    }

    pub(crate) fn value(
        &mut self,
        terms: &mut Option<Box<Terms<'static>>>,
        placeholder: &str,
        value: impl IntoAttribute,
    ) {
        let encode = |value| {
            let key = || placeholder.to_owned();
            WireValue::of(value)
                .map_err(|source| Error::from(ExpressionError::InvalidValue { key: key(), source }))
        };
        if let Some(value) = self.keep(value.into_attribute().and_then(encode)) {
            terms.get_or_insert_default().values.push((placeholder.to_owned().into(), value));
        }
    }

    /// Refuses to send anything if something cannot be sent.
    pub(crate) fn check(self) -> Result<()> {
        self.outcome().map_err(ClientError::Database)
    }

    /// Whether everything can be sent.
    pub(crate) fn outcome(self) -> Result<(), Error> {
        self.0.map_or(Ok(()), |error| Err(*error))
    }
}

/// A number of the wire as one of this machine's.
pub(crate) fn count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The methods of a builder with the key of one item at `$key`, and `faults`.
macro_rules! item_key {
    ($($key:tt).+) => {
        /// The partition key of the item.
        pub fn partition_key(mut self, value: impl dynamite_core::api::IntoAttribute) -> Self {
            self.$($key).+.partition = self.faults.key(value);
            self
        }

        /// The sort key of the item, if its table has one.
        pub fn sort_key(mut self, value: impl dynamite_core::api::IntoAttribute) -> Self {
            self.$($key).+.sort = self.faults.key(value);
            self
        }
    };
}

/// The method of a builder with terms that says one of its expressions.
macro_rules! expression {
    ($(#[$doc:meta])* $expression:ident in $($terms:tt).+) => {
        $(#[$doc])*
        pub fn $expression(mut self, expression: &str) -> Self {
            self.$($terms).+.get_or_insert_default().$expression = Some(expression.to_owned().into());
            self
        }
    };
}

/// The method that says what placeholders of names stand for.
macro_rules! names {
    ($($terms:tt).+) => {
        /// What a placeholder like `#name` in an expression stands for.
        pub fn name(mut self, placeholder: &str, name: &str) -> Self {
            self.faults.name(&mut self.$($terms).+, placeholder, name);
            self
        }
    };
}

/// The methods that say what placeholders stand for.
macro_rules! placeholders {
    ($($terms:tt).+) => {
        $crate::client::told::names!($($terms).+);

        /// What a placeholder like `:value` in an expression stands for.
        pub fn value(mut self, placeholder: &str, value: impl dynamite_core::api::IntoAttribute) -> Self {
            self.faults.value(&mut self.$($terms).+, placeholder, value);
            self
        }
    };
}

/// The methods of a builder with a `Want` at `$want`.
macro_rules! projects {
    ($($want:tt).+) => {
        /// Only these attributes.
        pub fn attributes<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.$($want).+.attributes = Some(names.into_iter().map(|name| name.into().into()).collect());
            self
        }

        $crate::client::told::expression! {
            /// Only what is at these paths, in DynamoDB's language: `age, address.city, tags[0]`.
            projection in $($want).+.terms
        }
    };
}

/// The method of a builder that has somebody collect what is consumed.
macro_rules! consumes {
    ($($route:tt).+) => {
        /// Adds what is read or written, in bytes, to `consumed`; see [`Consumed`](dynamite_core::api::Consumed). What a stream
        /// has read is added at its end.
        pub fn consumed(mut self, consumed: &dynamite_core::api::Consumed) -> Self {
            self.$($route).+.consumed = Some(consumed.clone());
            self
        }
    };
}

/// A builder that is awaited does what its method `execute` does.
macro_rules! awaited {
    ($name:ident $(<$parameter:ident>)? => $output:ty) => {
        impl $(<$parameter>)? IntoFuture for $name $(<$parameter>)? {
            type Output = $crate::error::Result<$output>;
            type IntoFuture = $crate::client::Answer<$output>;

            fn into_future(self) -> $crate::client::Answer<$output> {
                Box::pin(self.execute())
            }
        }
    };
}

pub(crate) use {awaited, consumes, expression, item_key, names, placeholders, projects};
