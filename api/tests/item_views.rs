//! Encoded items looked into without decoding them.

#![allow(clippy::unwrap_used)]

mod items;
mod numbers;

use dynamite_core::item_codec::{ItemView, encode, encode_json};
use dynamite_core::limits::value_size;
use dynamite_core::{AttributeType, AttributeValue, Item};
use items::any_item;
use proptest::prelude::*;
use serde_json::json;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(800) })]

    #[test]
    fn every_value_is_found_where_it_is(item in any_item(), absent in "[a-c$]{1,3}") {
        let bytes = encode(&item).unwrap();
        let view = ItemView::new(&bytes).unwrap();
        for (name, value) in &item {
            compare(view.get(name).unwrap().unwrap(), value);
        }
        prop_assert_eq!(view.get(&absent).unwrap().is_some(), item.contains_key(&absent));
        prop_assert!(view.iter().map(|entry| entry.unwrap().0).eq(item.keys()));
        prop_assert!(view.into_iter().map(|entry| entry.unwrap().1.to_value().unwrap()).eq(item.values().cloned()));
        compare(view.as_value(), &AttributeValue::M(item));
    }
}

/// Compares a view with its value in every way a view can be looked at.
#[track_caller]
fn compare(view: dynamite_core::item_codec::ValueView<'_>, value: &AttributeValue) {
    assert_eq!(view.attribute_type(), value.attribute_type());
    assert_eq!(view.as_str().unwrap(), value.as_s());
    assert_eq!(view.as_number().unwrap(), value.as_n());
    assert_eq!(view.as_bytes(), value.as_b());
    assert_eq!(view.as_bool(), value.as_bool());
    assert_eq!(view.is_null(), value.is_null());
    assert_eq!(view.check().unwrap(), value_size(value));
    assert_eq!(&view.to_value().unwrap(), value);
    assert_eq!(view.to_json().unwrap(), serde_json::Value::from(value.clone()));
    assert_eq!(&view.deserialize::<AttributeValue>().unwrap(), value);
    assert_eq!(view.get("no such name").unwrap(), None);

    let empty = Item::new();
    let entries = value.as_m().unwrap_or(&empty);
    let found: Vec<_> = view.entries().map(Result::unwrap).collect();
    assert!(found.iter().map(|(name, _)| *name).eq(entries.keys()));
    for (name, inner) in entries {
        compare(view.get(name).unwrap().unwrap(), inner);
    }
    let elements: Vec<AttributeValue> = match value {
        AttributeValue::L(elements) => elements.clone(),
        AttributeValue::Ss(members) => members.iter().map(AttributeValue::from).collect(),
        AttributeValue::Ns(members) => members.iter().map(|member| AttributeValue::from(*member)).collect(),
        AttributeValue::Bs(members) => {
            members.iter().map(|member| AttributeValue::from(member.clone())).collect()
        }
        _ => Vec::new(),
    };
    let found: Vec<_> = view.elements().map(Result::unwrap).collect();
    assert_eq!(found.len(), elements.len());
    for (index, (found, element)) in found.iter().zip(&elements).enumerate() {
        compare(*found, element);
        let by_index = view.get_index(index).unwrap();
        match value.attribute_type() {
            AttributeType::L => compare(by_index.unwrap(), element),
            _ => assert_eq!(by_index, None),
        }
    }
    assert_eq!(view.get_index(elements.len()).unwrap(), None);
}

#[test]
fn names_are_told_apart_by_every_byte() {
    let names = ["a", "aa", "ab", "b", "ba", "bb", "é", "éa"];
    for left_out in names {
        let item: Item = names
            .iter()
            .filter(|name| **name != left_out)
            .map(|name| ((*name).to_owned(), (*name).into()))
            .collect();
        let bytes = encode(&item).unwrap();
        let view = ItemView::new(&bytes).unwrap();
        for name in names {
            let found = view.get(name).unwrap().map(|value| value.as_str().unwrap().unwrap());
            assert_eq!(found, (name != left_out).then_some(name));
        }
        assert_eq!(view.get("").unwrap(), None);
        assert_eq!(view.get("zz").unwrap(), None);
    }
}

#[test]
fn views_are_equal_if_the_values_are() {
    let bytes = encode_json(&json!({"a": [1, 1.0, "1", {"$number": "10e-1"}], "b": {"x": 1}, "c": {"x": 1}}))
        .unwrap();
    let item = ItemView::new(&bytes).unwrap();
    let list: Vec<_> = item.get("a").unwrap().unwrap().elements().map(Result::unwrap).collect();
    assert_eq!(list[0], list[1]);
    assert_eq!(list[0], list[3]);
    assert_ne!(list[0], list[2]);
    assert_eq!(item.get("b").unwrap(), item.get("c").unwrap());
}
