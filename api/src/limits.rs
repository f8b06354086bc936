//! What DynamoDB refuses: its limits, how it counts sizes, and the errors it answers with.
//!
//! The rule for sizes is that of DynamoDB's developer guide ("Item sizes and formats"), made exact for numbers by what
//! the service accepts and refuses at the limit: a number costs one byte, one for each pair of digits that is left
//! when leading and trailing pairs of zeros are dropped (pairs are counted from the decimal point), and one more if
//! it is negative, but never more than 21.

use thiserror::Error;

use crate::number::{Number, NumberError};
use crate::value::{AttributeType, AttributeValue, Item};

/// Bytes of the largest item, counted as [`item_size`] does.
pub const MAX_ITEM_SIZE: usize = 409_600;

/// Levels of the deepest item. The value of an attribute is on level 1, what is in a map or list one level below it.
pub const MAX_LEVELS: u32 = 32;

/// Bytes of the longest attribute name.
pub const MAX_NAME_LEN: usize = 65_535;

/// Bytes that a map or list costs, beside its contents.
pub(crate) const CONTAINER_SIZE: usize = 3;

/// Bytes that each element or pair in a map or list costs, beside name and value.
pub(crate) const ELEMENT_SIZE: usize = 1;

/// Why a value cannot be stored.
///
/// The texts are DynamoDB's where it has one.
#[derive(Clone, Debug, PartialEq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum ValueError {
    /// The item is larger than [`MAX_ITEM_SIZE`].
    #[error("Item size has exceeded the maximum allowed size")]
    ItemTooLarge {
        /// Bytes counted until the limit was passed: the item has at least these.
        size: usize,
    },

    /// A value is on a level below [`MAX_LEVELS`].
    #[error(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported \
         limit"
    )]
    NestingTooDeep,

    /// An attribute without a name, at the top or in a map.
    #[error("Empty attribute name")]
    EmptyName,

    /// A name longer than [`MAX_NAME_LEN`].
    #[error("Attribute name is too large, must be less than 65536 bytes")]
    NameTooLong {
        /// Bytes of the name.
        len: usize,
    },

    /// Two attributes of one name.
    #[error("One or more parameter values were invalid: Duplicate attribute name: {name}")]
    DuplicateName {
        /// The name.
        name: String,
    },

    /// A set without members.
    #[error("One or more parameter values were invalid: {}", empty_set(*.set))]
    EmptySet {
        /// The type of the set.
        set: AttributeType,
    },

    /// A set that was given a member twice.
    #[error("{}", duplicates(*.set, .members))]
    DuplicateInSet {
        /// The type of the set.
        set: AttributeType,
        /// The members as they were given; binaries in base64.
        members: Vec<String>,
    },

    /// What was to be stored as an item is no map.
    #[error("an item must be a map of attributes, not {found}")]
    NotAnItem {
        /// The type of what was given.
        found: AttributeType,
    },

    /// A JSON object such as `{"$binary": …}` holds something else than its name announces.
    #[error(
        "the JSON object {{\"{name}\": …}} must hold {expected}; a map with that name is written {{\"${name}\": …}}"
    )]
    MalformedMarker {
        /// The name.
        #[serde(deserialize_with = "crate::word::deserialize")]
        name: crate::word::Word,
        /// What it must hold.
        #[serde(deserialize_with = "crate::word::deserialize")]
        expected: crate::word::Word,
    },

    /// A number that cannot be stored.
    #[error(transparent)]
    Number(#[from] NumberError),

    /// The key of a map is not a string, nor anything that JSON would write as one.
    #[error("a key of a map must be a string")]
    KeyNotString,

    /// A `Serialize` implementation failed, with this message.
    #[error("{0}")]
    Serialize(String),
}

fn empty_set(set: AttributeType) -> &'static str {
    match set {
        AttributeType::Ss => "An string set  may not be empty",
        AttributeType::Ns => "An number set  may not be empty",
        _ => "Binary sets should not be empty",
    }
}

/// The members as they were given; those of number sets are not listed, nor is the sentence before them.
fn duplicates(set: AttributeType, members: &[String]) -> String {
    let invalid = "One or more parameter values were invalid: Input collection";
    match set {
        AttributeType::Ns => "Input collection contains duplicates".to_owned(),
        AttributeType::Bs => format!("{invalid} [{}]of type BS contains duplicates.", members.join(", ")),
        _ => format!("{invalid} [{}] contains duplicates.", members.join(", ")),
    }
}

/// The size of an item as DynamoDB counts it, in bytes: names and values, without any overhead at the top level.
///
/// ```
/// use dynamite_core::limits::item_size;
/// use dynamite_core::{AttributeValue, Item};
///
/// let item = Item::from([("id".to_owned(), AttributeValue::from("abc")), ("n".to_owned(), AttributeValue::from(-42))]);
/// assert_eq!(item_size(&item), 2 + 3 + 1 + 3);
/// ```
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

/// The size of a value as DynamoDB counts it, in bytes.
pub fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number_size(number),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::Bool(_) | AttributeValue::Null => 1,
        AttributeValue::M(entries) => {
            let contents: usize =
                entries.iter().map(|(name, value)| name.len() + value_size(value) + ELEMENT_SIZE).sum();
            CONTAINER_SIZE + contents
        }
        AttributeValue::L(elements) => {
            let contents: usize = elements.iter().map(|value| value_size(value) + ELEMENT_SIZE).sum();
            CONTAINER_SIZE + contents
        }
        AttributeValue::Ss(members) => members.iter().map(String::len).sum(),
        AttributeValue::Ns(members) => members.iter().map(number_size).sum(),
        AttributeValue::Bs(members) => members.iter().map(Vec::len).sum(),
    }
}

/// The size of a number as DynamoDB counts it, in bytes: 1..=21.
pub fn number_size(number: &Number) -> usize {
    decimal_size(number.is_negative(), number.coefficient(), number.exponent())
}

/// The size of a normalised decimal.
#[inline]
pub(crate) fn decimal_size(negative: bool, coefficient: u128, exponent: i32) -> usize {
    let last_digit = match u64::try_from(coefficient) {
        Ok(coefficient) => coefficient.checked_ilog10(),
        Err(_) => coefficient.checked_ilog10(),
    };
    let Some(last_digit) = last_digit else {
        return 1;
    };
    // Neither the first nor the last digit is zero, so the pairs that hold them are the outermost ones that count.
    let highest_pair = (exponent + last_digit as i32).div_euclid(2);
    let lowest_pair = exponent.div_euclid(2);
    let pairs = (highest_pair - lowest_pair) as usize + 1;
    (1 + pairs + usize::from(negative)).min(21)
}
