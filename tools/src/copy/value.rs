//! Items as the SDK has them, and as we have them.
//!
//! Both have DynamoDB's ten types. Numbers are decimal text there; of two texts of one number the shorter one comes back.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use dynamite_core::{AttributeValue, Item, Number};

use crate::copy::error::{CopyError, Result};

/// An item as the SDK has it.
pub(crate) type SdkItem = HashMap<String, SdkValue>;

/// As the SDK has it.
pub(crate) fn to_sdk(item: &Item) -> SdkItem {
    item.iter().map(|(name, value)| (name.clone(), value_to_sdk(value))).collect()
}

fn value_to_sdk(value: &AttributeValue) -> SdkValue {
    match value {
        AttributeValue::S(text) => SdkValue::S(text.clone()),
        AttributeValue::N(number) => SdkValue::N(number.to_string()),
        AttributeValue::B(bytes) => SdkValue::B(Blob::new(bytes.clone())),
        AttributeValue::Bool(value) => SdkValue::Bool(*value),
        AttributeValue::Null => SdkValue::Null(true),
        AttributeValue::M(entries) => SdkValue::M(to_sdk(entries)),
        AttributeValue::L(elements) => SdkValue::L(elements.iter().map(value_to_sdk).collect()),
        AttributeValue::Ss(members) => SdkValue::Ss(members.iter().cloned().collect()),
        AttributeValue::Ns(members) => SdkValue::Ns(members.iter().map(Number::to_string).collect()),
        AttributeValue::Bs(members) => SdkValue::Bs(members.iter().cloned().map(Blob::new).collect()),
    }
}

/// As we have it.
pub(crate) fn from_sdk(item: SdkItem) -> Result<Item> {
    item.into_iter().map(|(name, value)| Ok((name, value_from_sdk(value)?))).collect()
}

fn value_from_sdk(value: SdkValue) -> Result<AttributeValue> {
    Ok(match value {
        SdkValue::S(text) => AttributeValue::S(text),
        SdkValue::N(text) => AttributeValue::N(number(&text)?),
        SdkValue::B(bytes) => AttributeValue::B(bytes.into_inner()),
        SdkValue::Bool(value) => AttributeValue::Bool(value),
        SdkValue::Null(_) => AttributeValue::Null,
        SdkValue::M(entries) => AttributeValue::M(from_sdk(entries)?),
        SdkValue::L(elements) => {
            AttributeValue::L(elements.into_iter().map(value_from_sdk).collect::<Result<_>>()?)
        }
        SdkValue::Ss(members) => AttributeValue::Ss(members.into_iter().collect()),
        SdkValue::Ns(members) => {
            AttributeValue::Ns(members.iter().map(|text| number(text)).collect::<Result<_>>()?)
        }
        SdkValue::Bs(members) => AttributeValue::Bs(members.into_iter().map(Blob::into_inner).collect()),
        other => return Err(CopyError::Answer(format!("it has a value of an unknown type: {other:?}"))),
    })
}

fn number(text: &str) -> Result<Number> {
    text.parse().map_err(|error| CopyError::Answer(format!("it has {text:?} for a number: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back_as_it_was() {
        let number = |text: &str| -> Number { text.parse().expect("it is a number") };
        let mut item = Item::new();
        let values = [
            AttributeValue::S(String::new()),
            AttributeValue::N(number("-0.12345678901234567890123456789012345678")),
            AttributeValue::N(number("9.9999999999999999999999999999999999999E+125")),
            AttributeValue::N(number("1E-130")),
            AttributeValue::B(Vec::new()),
            AttributeValue::B((0..=255).collect()),
            AttributeValue::Bool(true),
            AttributeValue::Null,
            AttributeValue::L(Vec::new()),
            AttributeValue::M(Item::new()),
            AttributeValue::string_set(["", "a", "é"]),
            AttributeValue::Ns([number("1"), number("2.5"), number("18446744073709551616")].into()),
            AttributeValue::binary_set([vec![], vec![0], vec![255; 10]]),
        ];
        for (nth, value) in values.iter().enumerate() {
            item.insert(format!("v{nth}"), value.clone());
        }
        item.insert("all".to_owned(), AttributeValue::M(item.clone()));
        item.insert("list".to_owned(), AttributeValue::L(values.to_vec()));
        assert_eq!(from_sdk(to_sdk(&item)).expect("it comes back"), item);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let item = SdkItem::from([("n".to_owned(), SdkValue::N("1e999".to_owned()))]);
        let error = from_sdk(item).expect_err("it is too large");
        assert!(error.to_string().contains("\"1e999\" for a number"), "{error}");
    }
}
