//! What requests have in common: expressions with their placeholders, keys, and which part of which items is read.

use dynamite_core::api::EncodedItem;
use serde::{Deserialize, Serialize};

use crate::protocol::text::{Text, WireValue};

/// Where a read looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum At {
    /// At the newest state.
    #[default]
    Newest,
    /// At a state that the connection holds, by its handle.
    Held(u64),
}

/// The expressions of an operation, and what their placeholders stand for. Behind a pointer wherever most requests have none: they are
/// large, and what is awaited for a request has room for all of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Terms<'a> {
    #[serde(borrow)]
    pub(crate) condition: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) update: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) filter: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) key_condition: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) projection: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) names: Vec<(Text<'a>, Text<'a>)>,
    #[serde(borrow)]
    pub(crate) values: Vec<(Text<'a>, WireValue<'a>)>,
}

/// The key of an item, as far as it was given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Key<'a> {
    #[serde(borrow)]
    pub(crate) partition: Option<WireValue<'a>>,
    #[serde(borrow)]
    pub(crate) sort: Option<WireValue<'a>>,
}

/// Which part of an item is wanted: attributes by name, or the projection among the terms, or all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Want<'a> {
    #[serde(borrow)]
    pub(crate) attributes: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(crate) terms: Option<Box<Terms<'a>>>,
}

/// What queries and scans are told alike.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Selection<'a> {
    pub(crate) at: At,
    #[serde(borrow)]
    pub(crate) table: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) index: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) want: Want<'a>,
    pub(crate) limit: Option<u64>,
    #[serde(borrow)]
    pub(crate) start: Option<EncodedItem<'a>>,
    pub(crate) all_attributes: bool,
}

/// A condition on a sort key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum SortTest<'a> {
    Eq(#[serde(borrow)] WireValue<'a>),
    Lt(#[serde(borrow)] WireValue<'a>),
    Le(#[serde(borrow)] WireValue<'a>),
    Gt(#[serde(borrow)] WireValue<'a>),
    Ge(#[serde(borrow)] WireValue<'a>),
    Between(#[serde(borrow)] WireValue<'a>, #[serde(borrow)] WireValue<'a>),
    BeginsWith(#[serde(borrow)] WireValue<'a>),
}

/// Operations that are told the same.
macro_rules! same_terms {
    ($($name:ident of $terms:ident;)*) => {$(
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(crate) struct $name<'a>(#[serde(borrow)] pub(crate) $terms<'a>);
    )*};
}

pub(crate) use same_terms;
