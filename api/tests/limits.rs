//! Sizes as DynamoDB counts them, and its words for what it refuses.

#![allow(clippy::unwrap_used)]

use dynamite_core::item_codec::{check, encode};
use dynamite_core::limits::{ValueError, item_size, number_size, value_size};
use dynamite_core::{AttributeType, AttributeValue, Item, Number};

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

/// What the service was seen to accept and refuse at its limit, to the byte.
#[test]
fn numbers_cost_what_the_service_charges_for_them() {
    for (text, size) in [
        ("0", 1),
        ("-0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("1234", 3),
        ("12345678901234567890123456789012345678", 20),
        ("0042", 2),
        ("100", 2),
        ("1010", 3),
        ("0.0000001", 2),
        ("1E125", 2),
        ("1E-100", 2),
        ("1.5", 3),
        ("15", 2),
        ("1.2", 3),
        ("1.200", 3),
        ("1.234", 4),
        ("3.14159", 5),
        ("123456", 4),
        ("100.5", 4),
        ("0.15", 2),
        ("-42", 3),
    ] {
        assert_eq!(number_size(&number(text)), size, "{text}");
    }
}

/// Pairs of digits are counted from the decimal point, so the same digits cost more where they straddle it; no number costs
/// more than 21.
#[test]
fn pairs_of_digits_are_counted_from_the_point() {
    for (text, size) in [
        ("120", 3),
        ("0.012", 3),
        ("0.12", 2),
        ("0.0012", 2),
        ("-1.5", 4),
        ("1234567890123456789012345678901234567.8", 21),
        ("-1234567890123456789012345678901234567.8", 21),
        ("-12345678901234567890123456789012345678", 21),
        ("-123456789012345678901234567890123456", 20),
        ("9.9999999999999999999999999999999999999E+125", 20),
        ("1.2345678901234567890123456789012345678E-129", 20),
        ("1.2345678901234567890123456789012345678E-130", 21),
        ("1E-130", 2),
    ] {
        assert_eq!(number_size(&number(text)), size, "{text}");
    }
}

#[test]
fn values_cost_what_the_developer_guide_says() {
    let map = |entries: &[(&str, AttributeValue)]| -> AttributeValue {
        let entries: Item = entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        entries.into()
    };
    let cases = [
        (AttributeValue::from(""), 0),
        (AttributeValue::from("abc"), 3),
        (AttributeValue::from("é😀"), 6),
        (AttributeValue::from(vec![0; 5]), 5),
        (AttributeValue::from(true), 1),
        (AttributeValue::Null, 1),
        (AttributeValue::L(vec![]), 3),
        (AttributeValue::L(vec!["ab".into(), AttributeValue::Null]), 3 + (2 + 1) + (1 + 1)),
        (AttributeValue::L(vec![AttributeValue::L(vec![])]), 3 + (3 + 1)),
        (map(&[]), 3),
        (map(&[("k", "ab".into())]), 3 + (1 + 2 + 1)),
        (map(&[("é", map(&[("k", 1.into())]))]), 3 + (2 + (3 + (1 + 2 + 1)) + 1)),
        (AttributeValue::string_set(["a", "bcd"]), 4),
        (AttributeValue::number_set([1, -100]), 2 + 3),
        (AttributeValue::binary_set([vec![1, 2], vec![]]), 2),
    ];
    let mut item = Item::new();
    let mut total = 0;
    for (n, (value, size)) in cases.into_iter().enumerate() {
        assert_eq!(value_size(&value), size, "{value:?}");
        item.insert(format!("{n:03}"), value);
        total += 3 + size;
    }
    assert_eq!(item_size(&item), total, "an item has no overhead of its own");
    assert_eq!(check(&encode(&item).unwrap()), Ok(total));
}

#[test]
fn errors_speak_as_dynamodb_does() {
    let duplicates = |set, members: &[&str]| ValueError::DuplicateInSet {
        set,
        members: members.iter().map(|&member| member.to_owned()).collect(),
    };
    let invalid = "One or more parameter values were invalid: ";
    for (error, text) in [
        (ValueError::ItemTooLarge { size: 409_601 }, "Item size has exceeded the maximum allowed size".to_owned()),
        (
            ValueError::NestingTooDeep,
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
                .to_owned(),
        ),
        (ValueError::EmptySet { set: AttributeType::Ss }, format!("{invalid}An string set  may not be empty")),
        (ValueError::EmptySet { set: AttributeType::Ns }, format!("{invalid}An number set  may not be empty")),
        (ValueError::EmptySet { set: AttributeType::Bs }, format!("{invalid}Binary sets should not be empty")),
        (
            duplicates(AttributeType::Ss, &["b", "a", "b"]),
            format!("{invalid}Input collection [b, a, b] contains duplicates."),
        ),
        (
            duplicates(AttributeType::Bs, &["/w==", "AA==", "AA=="]),
            format!("{invalid}Input collection [/w==, AA==, AA==]of type BS contains duplicates."),
        ),
        (duplicates(AttributeType::Ns, &["2", "1", "2"]), "Input collection contains duplicates".to_owned()),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
