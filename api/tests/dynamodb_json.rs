//! DynamoDB JSON, the form with explicit types.

#![allow(clippy::unwrap_used)]

mod items;
mod numbers;

use dynamite_core::dynamodb_json::{from_dynamodb_json, to_dynamodb_json};
use dynamite_core::{AttributeValue, Item, Number};
use items::{any_item, item_of};
use proptest::prelude::*;
use serde_json::{Value, json};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn items_come_back_exactly_through_text_too(item in any_item()) {
        let json = to_dynamodb_json(&item);
        prop_assert_eq!(&from_dynamodb_json(&json).unwrap(), &item);
        let text = serde_json::to_string(&item).unwrap();
        prop_assert_eq!(&json.to_string(), &text);
        prop_assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), item);
    }
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
    assert_eq!(from_dynamodb_json(&json!({"v": {"L": [json]}})).unwrap_err().to_string(), message);
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
