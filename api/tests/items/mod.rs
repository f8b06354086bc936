//! Items of all ten types, for property tests.
#![allow(dead_code, reason = "each test program uses a part")]

use dynamite_core::{AttributeValue, Item};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use crate::numbers::any_number;

/// Any item of moderate size.
pub(crate) fn any_item() -> impl Strategy<Value = Item> {
    btree_map(any_name(), any_value(), 0..6)
}

/// Any value that can be stored: at most 5 levels of maps and lists around values of the other eight types.
pub(crate) fn any_value() -> impl Strategy<Value = AttributeValue> {
    any_leaf().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            2 => btree_map(any_name(), inner.clone(), 0..5).prop_map(AttributeValue::M),
            2 => btree_map(any_name(), inner.clone(), 1).prop_map(AttributeValue::M),
            1 => vec(inner, 0..5).prop_map(AttributeValue::L),
        ]
    })
}

/// Any name, often one that means something in JSON.
pub(crate) fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{1,2}",
        2 => r"\${0,3}(number|binary|ss|ns|bs|foo|)".prop_filter("names are not empty", |name| !name.is_empty()),
        1 => any::<String>().prop_filter("names are not empty", |name| !name.is_empty()),
        1 => (120usize..140).prop_map(|len| "n".repeat(len)),
    ]
}

fn any_leaf() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any_text().prop_map(AttributeValue::S),
        any_number().prop_map(AttributeValue::N),
        any_bytes().prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        btree_set(any_text(), 1..4).prop_map(AttributeValue::Ss),
        btree_set(any_number(), 1..6).prop_map(AttributeValue::Ns),
        btree_set(any_bytes(), 1..4).prop_map(AttributeValue::Bs),
        Just(AttributeValue::M(Item::new())),
        Just(AttributeValue::L(Vec::new())),
    ]
}

/// Text whose length is often one where the length of a length changes.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>(),
        1 => (9usize..14).prop_map(|len| "x".repeat(len)),
        1 => (250usize..260).prop_map(|len| "x".repeat(len)),
    ]
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..20),
        1 => (250usize..260).prop_map(|len| vec![7; len]),
    ]
}

/// A map around a map and so on, so that the innermost value is on level `levels` when this is the value of an attribute.
pub(crate) fn nested(levels: u32, leaf: AttributeValue) -> AttributeValue {
    (1..levels).fold(leaf, |inner, level| match level % 2 {
        0 => AttributeValue::L(vec![inner]),
        _ => AttributeValue::M(Item::from([("m".to_owned(), inner)])),
    })
}

/// An item with one attribute.
pub(crate) fn item_of(name: &str, value: impl Into<AttributeValue>) -> Item {
    Item::from([(name.to_owned(), value.into())])
}
