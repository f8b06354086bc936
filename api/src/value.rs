//! Attribute values and items: DynamoDB's data model as Rust types.
//!
//! An [`Item`] maps attribute names to [`AttributeValue`]s. The types hold any tree that can be built of them; what
//! DynamoDB refuses (empty sets, too deep, too large, see [`limits`](crate::limits)) is refused where an item is
//! encoded, in the pass that encodes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::number::{Number, NumberError};

/// An item, or the contents of a map: attribute names and their values, in the order of the names' UTF-8 bytes.
pub type Item = BTreeMap<String, AttributeValue>;

/// A value of one of DynamoDB's ten types.
///
/// ```
/// use dynamite_core::{AttributeValue, Item};
///
/// let user = Item::from([
///     ("user_id".to_owned(), AttributeValue::from("alice")),
///     ("age".to_owned(), AttributeValue::from(30)),
///     ("tags".to_owned(), AttributeValue::string_set(["admin", "staff"])),
/// ]);
/// assert_eq!(user["user_id"].as_s(), Some("alice"));
/// assert_eq!(user["tags"].attribute_type().as_str(), "SS");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// A string.
    S(String),
    /// A number: decimal and exact.
    N(Number),
    /// Bytes.
    B(Vec<u8>),
    /// True or false.
    Bool(bool),
    /// Known to be nothing, which is not the same as being absent.
    Null,
    /// A map: an item within an item.
    M(Item),
    /// A list of values of any types.
    L(Vec<AttributeValue>),
    /// A set of strings, never empty when stored.
    Ss(BTreeSet<String>),
    /// A set of numbers, never empty when stored.
    Ns(BTreeSet<Number>),
    /// A set of binaries, never empty when stored.
    Bs(BTreeSet<Vec<u8>>),
}

/// The type of an attribute value, with the name that DynamoDB has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum AttributeType {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
    /// Boolean.
    Bool,
    /// Null.
    Null,
    /// Map.
    M,
    /// List.
    L,
    /// String set.
    Ss,
    /// Number set.
    Ns,
    /// Binary set.
    Bs,
}

impl AttributeType {
    /// All ten, in the order of the variants.
    pub const ALL: [AttributeType; 10] = [
        AttributeType::S,
        AttributeType::N,
        AttributeType::B,
        AttributeType::Bool,
        AttributeType::Null,
        AttributeType::M,
        AttributeType::L,
        AttributeType::Ss,
        AttributeType::Ns,
        AttributeType::Bs,
    ];

    /// DynamoDB's name of the type: `"S"`, `"BOOL"`, `"SS"`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            AttributeType::S => "S",
            AttributeType::N => "N",
            AttributeType::B => "B",
            AttributeType::Bool => "BOOL",
            AttributeType::Null => "NULL",
            AttributeType::M => "M",
            AttributeType::L => "L",
            AttributeType::Ss => "SS",
            AttributeType::Ns => "NS",
            AttributeType::Bs => "BS",
        }
    }

    /// The type of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AttributeValue {
    /// A set of strings. What occurs twice in `members` is in the set once.
    pub fn string_set<T: Into<String>>(members: impl IntoIterator<Item = T>) -> Self {
        AttributeValue::Ss(members.into_iter().map(Into::into).collect())
    }

    /// A set of numbers. What occurs twice in `members` is in the set once.
    pub fn number_set<T: Into<Number>>(members: impl IntoIterator<Item = T>) -> Self {
        AttributeValue::Ns(members.into_iter().map(Into::into).collect())
    }

    /// A set of binaries. What occurs twice in `members` is in the set once.
    pub fn binary_set<T: Into<Vec<u8>>>(members: impl IntoIterator<Item = T>) -> Self {
        AttributeValue::Bs(members.into_iter().map(Into::into).collect())
    }

    /// The type.
    pub const fn attribute_type(&self) -> AttributeType {
        match self {
            AttributeValue::S(_) => AttributeType::S,
            AttributeValue::N(_) => AttributeType::N,
            AttributeValue::B(_) => AttributeType::B,
            AttributeValue::Bool(_) => AttributeType::Bool,
            AttributeValue::Null => AttributeType::Null,
            AttributeValue::M(_) => AttributeType::M,
            AttributeValue::L(_) => AttributeType::L,
            AttributeValue::Ss(_) => AttributeType::Ss,
            AttributeValue::Ns(_) => AttributeType::Ns,
            AttributeValue::Bs(_) => AttributeType::Bs,
        }
    }

    /// The string, if this is one.
    pub fn as_s(&self) -> Option<&str> {
        match self {
            AttributeValue::S(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_n(&self) -> Option<Number> {
        match self {
            AttributeValue::N(number) => Some(*number),
            _ => None,
        }
    }

    /// The bytes, if this is a binary.
    pub fn as_b(&self) -> Option<&[u8]> {
        match self {
            AttributeValue::B(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// True or false, if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            AttributeValue::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, AttributeValue::Null)
    }

    /// The entries, if this is a map.
    pub fn as_m(&self) -> Option<&Item> {
        match self {
            AttributeValue::M(entries) => Some(entries),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_l(&self) -> Option<&[AttributeValue]> {
        match self {
            AttributeValue::L(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members, if this is a set of strings.
    pub fn as_ss(&self) -> Option<&BTreeSet<String>> {
        match self {
            AttributeValue::Ss(members) => Some(members),
            _ => None,
        }
    }

    /// The members, if this is a set of numbers.
    pub fn as_ns(&self) -> Option<&BTreeSet<Number>> {
        match self {
            AttributeValue::Ns(members) => Some(members),
            _ => None,
        }
    }

    /// The members, if this is a set of binaries.
    pub fn as_bs(&self) -> Option<&BTreeSet<Vec<u8>>> {
        match self {
            AttributeValue::Bs(members) => Some(members),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty => |$value:ident| $expression:expr;)*) => {$(
        impl From<$type> for AttributeValue {
            fn from($value: $type) -> Self {
                $expression
            }
        }
    )*};
}

from! {
    &str => |value| AttributeValue::S(value.to_owned());
    String => |value| AttributeValue::S(value);
    &String => |value| AttributeValue::S(value.clone());
    char => |value| AttributeValue::S(value.into());
    Number => |value| AttributeValue::N(value);
    bool => |value| AttributeValue::Bool(value);
    () => |_value| AttributeValue::Null;
    Vec<u8> => |value| AttributeValue::B(value);
    &[u8] => |value| AttributeValue::B(value.to_vec());
    Item => |value| AttributeValue::M(value);
    Vec<AttributeValue> => |value| AttributeValue::L(value);
    BTreeSet<String> => |value| AttributeValue::Ss(value);
    BTreeSet<Number> => |value| AttributeValue::Ns(value);
    BTreeSet<Vec<u8>> => |value| AttributeValue::Bs(value);
}

macro_rules! from_integer {
    ($($type:ty)*) => {$(
        impl From<$type> for AttributeValue {
            fn from(value: $type) -> Self {
                AttributeValue::N(Number::from(value))
            }
        }
    )*};
}

from_integer! { i8 i16 i32 i64 u8 u16 u32 u64 }

macro_rules! try_from_number {
    ($($type:ty)*) => {$(
        /// Fails with what no number can hold: NaN, an infinity, more than 38 digits, or a magnitude out of range.
        impl TryFrom<$type> for AttributeValue {
            type Error = NumberError;

            fn try_from(value: $type) -> Result<Self, NumberError> {
                Number::try_from(value).map(AttributeValue::N)
            }
        }
    )*};
}

try_from_number! { i128 u128 f32 f64 }

/// `None` becomes null.
impl<T: Into<AttributeValue>> From<Option<T>> for AttributeValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(AttributeValue::Null, Into::into)
    }
}
