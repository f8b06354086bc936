//! DynamoDB JSON, the form with explicit types.

#![allow(clippy::unwrap_used)]

mod items;
mod numbers;

use dynamite_core::api::EncodedItem;
use dynamite_core::dynamodb_json::{from_dynamodb_json, to_dynamodb_json};
use dynamite_core::{AttributeValue, Item, Number};
use items::{any_item, item_of};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn items_come_back_exactly_through_text_too(item in any_item()) {
        let json = to_dynamodb_json(&item);
        prop_assert_eq!(&from_dynamodb_json(&json).unwrap(), &item);
        let text = serde_json::to_string(&item).unwrap();
        prop_assert_eq!(&json.to_string(), &text);
        prop_assert_eq!(&serde_json::from_str::<Item>(&text).unwrap(), &item);

        // Straight from and to the stored form.
        let encoded = EncodedItem::of(&item).unwrap();
        prop_assert_eq!(&serde_json::from_str::<EncodedItem<'_>>(&text).unwrap(), &encoded);
        prop_assert_eq!(&EncodedItem::deserialize(&json).unwrap(), &encoded);
        prop_assert_eq!(&serde_json::to_string(&encoded).unwrap(), &text);
        prop_assert_eq!(text_of(&encoded), text);
    }
}

/// The text that is written without serde.
fn text_of(item: &EncodedItem<'_>) -> String {
    let mut text = b"before ".to_vec();
    item.write_dynamodb_json(&mut text).unwrap();
    String::from_utf8(text).unwrap().strip_prefix("before ").unwrap().to_owned()
}

#[track_caller]
fn check(value: AttributeValue, json: Value) {
    assert_eq!(serde_json::to_value(&value).unwrap(), json);
    assert_eq!(serde_json::from_value::<AttributeValue>(json).unwrap(), value);
}

#[test]
fn each_type_has_its_form() {
    check("text".into(), json!({"S": "text"}));
    check(30.into(), json!({"N": "30"}));
    check(AttributeValue::N("1e2".parse().unwrap()), json!({"N": "100"}));
    check(vec![1, 2, 3].into(), json!({"B": "AQID"}));
    check(true.into(), json!({"BOOL": true}));
    check(AttributeValue::Null, json!({"NULL": true}));
    check(item_of("a", 1).into(), json!({"M": {"a": {"N": "1"}}}));
    check(
        AttributeValue::L(vec!["a".into(), AttributeValue::Null]),
        json!({"L": [{"S": "a"}, {"NULL": true}]}),
    );
    check(AttributeValue::string_set(["b", "a"]), json!({"SS": ["a", "b"]}));
    check(AttributeValue::number_set([10, 9]), json!({"NS": ["9", "10"]}));
    check(AttributeValue::binary_set([vec![255], vec![]]), json!({"BS": ["", "/w=="]}));
}

#[track_caller]
fn check_refused(json: Value, message: &str) {
    assert_eq!(serde_json::from_value::<AttributeValue>(json.clone()).unwrap_err().to_string(), message);
    // The same in an item, and in text, where the place follows.
    let item = json!({"v": {"L": [json]}});
    assert_eq!(from_dynamodb_json(&item).unwrap_err().to_string(), message);
    assert_eq!(EncodedItem::deserialize(&item).unwrap_err().to_string(), message);
    let text = serde_json::from_str::<AttributeValue>(&json.to_string()).unwrap_err().to_string();
    assert!(text.starts_with(message), "{text}");
}

#[test]
fn what_is_no_value_is_refused_in_dynamodbs_words() {
    check_refused(
        json!({}),
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    );
    check_refused(
        json!({"S": "a", "N": "1"}),
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    );
    let invalid = "One or more parameter values were invalid: ";
    check_refused(
        json!({"NULL": false}),
        &format!("{invalid}Null attribute value types must have the value of true"),
    );
    check_refused(json!({"SS": []}), &format!("{invalid}An string set  may not be empty"));
    check_refused(json!({"NS": []}), &format!("{invalid}An number set  may not be empty"));
    check_refused(json!({"BS": []}), &format!("{invalid}Binary sets should not be empty"));
    check_refused(
        json!({"SS": ["a", "a"]}),
        &format!("{invalid}Input collection [a, a] contains duplicates."),
    );
    check_refused(json!({"NS": ["1", "1.0"]}), "Input collection contains duplicates");
    check_refused(
        json!({"BS": ["AA==", "AA=="]}),
        &format!("{invalid}Input collection [AA==, AA==]of type BS contains duplicates."),
    );
    check_refused(json!({"N": "abc"}), "The parameter cannot be converted to a numeric value: abc");
    check_refused(
        json!({"N": "1e126"}),
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    );
    check_refused(json!({"N": 5}), "invalid type: integer `5`, expected a decimal number in a string");
    check_refused(json!({"B": "?"}), "invalid value: string \"?\", expected bytes in base64");
    check_refused(
        json!({"X": 1}),
        "unknown variant `X`, expected one of `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS`, `BS`",
    );
    check_refused(
        json!("a"),
        "invalid type: string \"a\", expected an attribute value, as a map with its type as the only key",
    );
}

#[test]
fn numbers_on_their_own_are_numbers_where_json_holds_them() {
    for (text, json) in [
        ("30", json!(30)),
        ("-30", json!(-30)),
        ("0.1", json!(0.1)),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!("18446744073709551616")),
        ("0.10000000000000000001", json!("0.10000000000000000001")),
    ] {
        let number: Number = text.parse().unwrap();
        assert_eq!(serde_json::to_value(number).unwrap(), json);
        assert_eq!(serde_json::from_value::<Number>(json).unwrap(), number);
        assert_eq!(serde_json::from_value::<Number>(json!(text)).unwrap(), number);
    }
    serde_json::from_value::<Number>(json!(1e200)).unwrap_err();
    serde_json::from_value::<Number>(json!("a")).unwrap_err();
    serde_json::from_value::<Number>(json!(true)).unwrap_err();
}

#[test]
fn what_is_encoded_at_once_may_come_in_any_order_and_with_escapes() {
    let text = r#" { "b\u00e4" : {"M": {"z": {"S": "\"\\\n\u0001\ud83d\ude00"}, "\u0061": {"SS": ["b", "\u0061"]}}},
        "a": {"NS": ["10", "9", "-1e2"]}, "c": {"L": [{"BS": ["AQ==", ""]}, {"NULL": true}]} } "#;
    let item: Item = serde_json::from_str(text).unwrap();
    let encoded: EncodedItem<'_> = serde_json::from_str(text).unwrap();
    assert_eq!(encoded, EncodedItem::of(&item).unwrap());
    assert_eq!(text_of(&encoded), serde_json::to_string(&item).unwrap());
    for (refused, message) in [
        (
            r#"{"a": {"S": "1"}, "a": {"S": "2"}}"#,
            "One or more parameter values were invalid: Duplicate attribute name: a",
        ),
        (r#"{"": {"S": "1"}}"#, "Empty attribute name"),
        (r#"{"a": {"S": "1"}} {}"#, "trailing characters"),
        (r#"[]"#, "invalid type: sequence, expected a map of attribute values"),
    ] {
        let error = serde_json::from_str::<EncodedItem<'_>>(refused).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let large = json!({"a": {"S": "x".repeat(409_600)}});
    let error = EncodedItem::deserialize(&large).unwrap_err();
    assert_eq!(error.to_string(), "Item size has exceeded the maximum allowed size");
    let deep = (0..33).fold(json!({"NULL": true}), |value, _| json!({"L": [value]}));
    let deep = json!({"a": deep});
    let error = EncodedItem::deserialize(&deep).unwrap_err();
    assert!(error.to_string().starts_with("Nesting Levels have exceeded supported limits"), "{error}");
}

/// At every place, since eight bytes are looked at together.
#[test]
fn texts_are_escaped_as_json_has_it_wherever_that_must_be() {
    for byte in 0..=0x7F_u8 {
        for place in 0..20 {
            let mut text = "äbcdefghijklmnopqrst".to_owned();
            text.insert(text.char_indices().nth(place).unwrap().0, char::from(byte));
            let item = EncodedItem::of(Item::from([(text.clone(), AttributeValue::from(text))])).unwrap();
            assert_eq!(text_of(&item), serde_json::to_string(&item).unwrap(), "{byte} at {place}");
        }
    }
}
