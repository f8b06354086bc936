//! Items as JSON: what was got can be put back, and nothing changes.

#![allow(clippy::unwrap_used)]

mod items;
mod numbers;

use dynamite_core::item_codec::{decode_json, encode_json};
use dynamite_core::json::{item_from_json, item_to_json};
use dynamite_core::limits::ValueError;
use dynamite_core::number::NumberError;
use dynamite_core::{AttributeType, AttributeValue, Item, Number};
use items::{any_item, any_value, item_of};
use proptest::prelude::*;
use serde_json::{Value, json};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn putting_back_what_was_got_changes_nothing(item in any_item()) {
        prop_assert_eq!(item_from_json(item_to_json(item.clone())).unwrap(), item);
    }

    #[test]
    fn values_of_all_types_come_back(value in any_value()) {
        prop_assert_eq!(AttributeValue::try_from(Value::from(value.clone())).unwrap(), value);
    }

    #[test]
    fn documents_of_others_come_back(json in any_document()) {
        prop_assert_eq!(decode_json(&encode_json(&json).unwrap()).unwrap(), json.clone());
        prop_assert_eq!(item_to_json(item_from_json(json.clone()).unwrap()), json);
    }
}

/// JSON as people write it: nothing that means another type.
fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // A double that is an integer comes back as one.
        (-1e9..1e9f64).prop_filter("not an integer", |value| value.fract() != 0.0).prop_map(Value::from),
        (1e-100..1e-90f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(r"[a-z]{1,8}|\$[a-z]{7}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-z]{1,8}", value, 0..8)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

#[track_caller]
fn check(value: AttributeValue, json: Value) {
    assert_eq!(Value::from(value.clone()), json);
    assert_eq!(AttributeValue::try_from(json.clone()).unwrap(), value);
    let item = item_of("v", value);
    let document = json!({ "v": json });
    assert_eq!(decode_json(&encode_json(&document).unwrap()).unwrap(), document);
    assert_eq!(item_from_json(document).unwrap(), item);
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

#[test]
fn each_type_has_its_json() {
    check("text".into(), json!("text"));
    check(30.into(), json!(30));
    check(vec![1, 2, 3].into(), json!({"$binary": "AQID"}));
    check(true.into(), json!(true));
    check(AttributeValue::Null, json!(null));
    check(AttributeValue::M(Item::new()), json!({}));
    check(item_of("a", 1).into(), json!({"a": 1}));
    check(AttributeValue::L(vec![1.into(), "a".into()]), json!([1, "a"]));
    check(AttributeValue::string_set(["b", "a"]), json!({"$ss": ["a", "b"]}));
    check(AttributeValue::number_set([2, -1]), json!({"$ns": [-1, 2]}));
    check(AttributeValue::binary_set([vec![255], vec![]]), json!({"$bs": ["", "/w=="]}));
}

#[test]
fn numbers_are_json_numbers_where_those_are_exact() {
    for (text, json) in [
        ("0", json!(0)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551615", json!(u64::MAX)),
        ("9007199254740993", json!(9_007_199_254_740_993_u64)),
        ("0.1", json!(0.1)),
        ("-2.5", json!(-2.5)),
        ("1e20", json!(1e20)),
        ("1e-7", json!(1e-7)),
        ("0.30000000000000004", json!(0.1 + 0.2)),
        ("-9223372036854775809", json!({"$number": "-9223372036854775809"})),
        ("18446744073709551616", json!({"$number": "18446744073709551616"})),
        ("0.1000000000000000000001", json!({"$number": "0.1000000000000000000001"})),
        ("1.7976931348623157081e100", json!({"$number": number("1.7976931348623157081e100").to_string()})),
    ] {
        check(AttributeValue::N(number(text)), json);
    }
    check(
        AttributeValue::number_set([number("0.5"), number("18446744073709551616")]),
        json!({"$ns": [0.5, {"$number": "18446744073709551616"}]}),
    );
}

#[test]
fn what_is_written_otherwise_is_the_same_value() {
    for (written, value) in [
        (json!(1.0), AttributeValue::from(1)),
        (json!(-0.0), AttributeValue::from(0)),
        (json!(1e3), AttributeValue::from(1000)),
        (json!({"$number": "5"}), AttributeValue::from(5)),
        (json!({"$number": "-1.50e1"}), AttributeValue::from(-15)),
        (json!({"$ns": [{"$number": "1"}, 2]}), AttributeValue::number_set([1, 2])),
        (json!({"$ss": ["b", "a"]}), AttributeValue::string_set(["a", "b"])),
    ] {
        assert_eq!(AttributeValue::try_from(written.clone()).unwrap(), value);
        assert_eq!(
            encode_json(&json!({"v": written})).unwrap(),
            encode_json(&json!({"v": Value::from(value)})).unwrap()
        );
    }
}

#[test]
fn maps_that_look_like_markers_get_one_dollar_more() {
    for (name, in_json) in [
        ("$binary", "$$binary"),
        ("$ss", "$$ss"),
        ("$$ns", "$$$ns"),
        ("$$$bs", "$$$$bs"),
        ("$number", "$$number"),
        ("$foo", "$foo"),
        ("$", "$"),
        ("$$", "$$"),
        ("$ss ", "$ss "),
        ("$SS", "$SS"),
        ("ss", "ss"),
        ("a$ss", "a$ss"),
    ] {
        check(AttributeValue::M(item_of(name, "a")), json!({in_json: "a"}));
        // An item is a map like any other.
        let item = item_of(name, "a");
        assert_eq!(item_to_json(item.clone()), json!({in_json: "a"}));
        assert_eq!(item_from_json(json!({in_json: "a"})).unwrap(), item);
        // With a second entry there is nothing to mistake.
        let two = Item::from([(name.to_owned(), "a".into()), ("z".to_owned(), 1.into())]);
        check(AttributeValue::M(two), json!({name: "a", "z": 1}));
    }
    let inner = AttributeValue::M(item_of(
        "$ss",
        AttributeValue::M(item_of("$$ss", AttributeValue::string_set(["a"]))),
    ));
    check(inner, json!({"$$ss": {"$$$ss": {"$ss": ["a"]}}}));
}

#[track_caller]
fn check_refused(json: Value, expected: ValueError) {
    assert_eq!(AttributeValue::try_from(json.clone()), Err(expected.clone()));
    assert_eq!(item_from_json(json!({"v": [json]})), Err(expected.clone()));
    assert_eq!(encode_json(&json!({"v": [json]})), Err(expected));
}

#[test]
fn malformed_markers_are_clear_errors() {
    let malformed = |name, expected| ValueError::MalformedMarker { name, expected };
    for json in [
        json!({"$binary": 5}),
        json!({"$binary": "A"}),
        json!({"$binary": "AQI"}),
        json!({"$binary": ["AQID"]}),
    ] {
        check_refused(json, malformed("$binary", "a string in base64"));
    }
    for json in [json!({"$number": 5}), json!({"$number": null})] {
        check_refused(json, malformed("$number", "a decimal in a string"));
    }
    for json in [json!({"$ss": "a"}), json!({"$ss": [1]}), json!({"$ss": {"a": 1}})] {
        check_refused(json, malformed("$ss", "an array of strings"));
    }
    for json in [
        json!({"$ns": 1}),
        json!({"$ns": ["1"]}),
        json!({"$ns": [{"$number": "1", "n": 1}]}),
        json!({"$ns": [{"$ss": ["1"]}]}),
    ] {
        check_refused(json, malformed("$ns", "an array of numbers"));
    }
    check_refused(json!({"$ns": [{"$number": 1}]}), malformed("$number", "a decimal in a string"));
    for json in [json!({"$bs": "AQID"}), json!({"$bs": ["AQID", "?"]}), json!({"$bs": [1]})] {
        check_refused(json, malformed("$bs", "an array of strings in base64"));
    }
    let text = AttributeValue::try_from(json!({"$binary": 5})).unwrap_err().to_string();
    assert_eq!(
        text,
        r#"the JSON object {"$binary": …} must hold a string in base64; a map with that name is written {"$$binary": …}"#
    );
}

#[test]
fn numbers_and_sets_that_cannot_be_stored_are_refused() {
    check_refused(json!({"$number": "abc"}), NumberError::Malformed { text: "abc".to_owned() }.into());
    check_refused(json!({"$number": "1e126"}), NumberError::Overflow.into());
    check_refused(json!(1e200), NumberError::Overflow.into());
    check_refused(json!(1e-200), NumberError::Underflow.into());
    for (name, set) in [("$ss", AttributeType::Ss), ("$ns", AttributeType::Ns), ("$bs", AttributeType::Bs)] {
        check_refused(json!({name: []}), ValueError::EmptySet { set });
    }
    let duplicate = |set, members: &[&str]| ValueError::DuplicateInSet {
        set,
        members: members.iter().map(|&member| member.to_owned()).collect(),
    };
    check_refused(json!({"$ss": ["b", "a", "b"]}), duplicate(AttributeType::Ss, &["b", "a", "b"]));
    check_refused(json!({"$ns": [1, 1.0]}), duplicate(AttributeType::Ns, &["1", "1.0"]));
    check_refused(json!({"$bs": ["AA==", "AA=="]}), duplicate(AttributeType::Bs, &["AA==", "AA=="]));
}
