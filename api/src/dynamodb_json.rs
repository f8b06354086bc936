//! DynamoDB JSON, the form with explicit types: `{"name": {"S": "Alice"}, "age": {"N": "30"}}`.
//!
//! It is what [`AttributeValue`] and [`Item`] look like in every `serde` format but our own
//! [stored form](crate::item_codec), and what DynamoDB's API, its exports and its tools speak.
//!
//! ```text
//! type  JSON                        in formats that are not for humans
//! ----  --------------------------  ----------------------------------------
//! S     {"S": string}               variants 0..=9 of an enum, in this order,
//! N     {"N": "decimal"}            with the same content; binaries are bytes
//! B     {"B": "base64"}
//! BOOL  {"BOOL": boolean}
//! NULL  {"NULL": true}
//! M     {"M": {name: value, …}}
//! L     {"L": [value, …]}
//! SS    {"SS": [string, …]}
//! NS    {"NS": ["decimal", …]}
//! BS    {"BS": ["base64", …]}
//! ```
//!
//! [`Number`] on its own, in a user's struct, is a number where the format can hold it exactly, and else decimal text.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, Deserializer, EnumAccess, MapAccess, VariantAccess, Visitor};
use serde::ser::{self, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

use crate::item_codec::{Entries, ItemDamage, ItemView, ValueView};
use crate::limits::ValueError;
use crate::number::Number;
use crate::typed::{self, Bytes, DecimalText, TypedSet};
use crate::value::{AttributeType, AttributeValue, Item};

/// The DynamoDB JSON of an item.
///
/// ```
/// use dynamite_core::dynamodb_json::{from_dynamodb_json, to_dynamodb_json};
/// use dynamite_core::{AttributeValue, Item};
/// use serde_json::json;
///
/// let item = Item::from([("age".to_owned(), AttributeValue::from(30))]);
/// let json = to_dynamodb_json(&item);
/// assert_eq!(json, json!({"age": {"N": "30"}}));
/// assert_eq!(from_dynamodb_json(&json)?, item);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn to_dynamodb_json(item: &Item) -> Value {
    serde_json::to_value(item).expect("keys are strings, and nothing else can fail")
}

/// The item that DynamoDB JSON stands for.
///
/// # Errors
///
/// With DynamoDB's texts where it has one: values with no type or several, numbers, base64, empty sets and duplicates in sets.
/// Depth and size are checked when the item is encoded.
pub fn from_dynamodb_json(json: &Value) -> Result<Item, serde_json::Error> {
    Item::deserialize(json)
}

pub(crate) const EXPECTED: &str = "an attribute value, as a map with its type as the only key";
pub(crate) const NO_TYPE: &str =
    "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
pub(crate) const SEVERAL_TYPES: &str = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the \
    supported datatypes";
pub(crate) const FALSE_NULL: &str =
    "One or more parameter values were invalid: Null attribute value types must have the value of true";

const TYPE_NAMES: &[&str; 10] = &["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(typed::VALUE, &Typed(self))
    }
}

/// A value with its type around it.
struct Typed<'a>(&'a AttributeValue);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.0.attribute_type();
        match self.0 {
            AttributeValue::S(text) => typed(serializer, kind, text),
            AttributeValue::N(number) => typed(serializer, kind, &DecimalText(*number)),
            AttributeValue::B(bytes) => typed(serializer, kind, &Bytes(bytes)),
            AttributeValue::Bool(value) => typed(serializer, kind, value),
            AttributeValue::Null => typed(serializer, kind, &true),
            AttributeValue::M(entries) => typed(serializer, kind, entries),
            AttributeValue::L(elements) => typed(serializer, kind, elements),
            AttributeValue::Ss(members) => typed(serializer, kind, &TypedSet(typed::STRING_SET, || members)),
            AttributeValue::Ns(members) => typed(
                serializer,
                kind,
                &TypedSet(typed::NUMBER_SET, || members.iter().copied().map(DecimalText)),
            ),
            AttributeValue::Bs(members) => {
                typed(serializer, kind, &TypedSet(typed::BINARY_SET, || members.iter().map(Bytes)))
            }
        }
    }
}

fn typed<S: Serializer>(
    serializer: S,
    kind: AttributeType,
    content: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(kind.as_str(), content)?;
        map.end()
    } else {
        serializer.serialize_newtype_variant("AttributeValue", kind as u32, kind.as_str(), content)
    }
}

/// The type's place among the names, and in formats that number variants.
const _: () = assert!(TYPE_NAMES.len() == AttributeType::ALL.len());

/// The DynamoDB JSON of an item, straight from its stored form. For formats that humans read.
impl Serialize for ItemView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_entries(self.iter(), serializer)
    }
}

/// The same of a value.
impl Serialize for ValueView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.attribute_type().as_str(), &ViewContent(*self))?;
        map.end()
    }
}

/// What stands within the type of a stored value, or of a member of a set.
struct ViewContent<'a>(ValueView<'a>);

impl Serialize for ViewContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let damaged = ser::Error::custom::<ItemDamage>;
        let view = &self.0;
        match view.attribute_type() {
            AttributeType::S => serializer.serialize_str(view.as_str().map_err(damaged)?.unwrap_or_default()),
            AttributeType::N => {
                let number = view.as_number().map_err(damaged)?.unwrap_or(Number::ZERO);
                serializer.collect_str(&number)
            }
            AttributeType::B => {
                serializer.serialize_str(&STANDARD.encode(view.as_bytes().unwrap_or_default()))
            }
            AttributeType::Bool => serializer.serialize_bool(view.as_bool().unwrap_or_default()),
            AttributeType::Null => serializer.serialize_bool(true),
            AttributeType::M => serialize_entries(view.entries(), serializer),
            kind => {
                let mut elements = serializer.serialize_seq(None)?;
                for element in view.elements() {
                    let element = element.map_err(ser::Error::custom)?;
                    match kind {
                        AttributeType::L => elements.serialize_element(&element)?,
                        _ => elements.serialize_element(&ViewContent(element))?,
                    }
                }
                elements.end()
            }
        }
    }
}

fn serialize_entries<S: Serializer>(entries: Entries<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for entry in entries {
        let (name, value) = entry.map_err(ser::Error::custom)?;
        map.serialize_entry(name, &value)?;
    }
    map.end()
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(typed::VALUE, ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = AttributeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<AttributeValue, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_enum("AttributeValue", TYPE_NAMES, self)
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
        let Some(TypeName(kind)) = map.next_key()? else {
            return Err(de::Error::custom(NO_TYPE));
        };
        let value = map.next_value_seed(Content(kind))?;
        match map.next_key()? {
            None => Ok(value),
            Some(TypeName(_)) => Err(de::Error::custom(SEVERAL_TYPES)),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<AttributeValue, A::Error> {
        let (TypeName(kind), content) = data.variant()?;
        content.newtype_variant_seed(Content(kind))
    }
}

/// The name of a type, or its number.
pub(crate) struct TypeName(pub(crate) AttributeType);

impl<'de> Deserialize<'de> for TypeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TypeNameVisitor;

        impl Visitor<'_> for TypeNameVisitor {
            type Value = TypeName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the type of an attribute value")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<TypeName, E> {
                let kind = AttributeType::from_name(name);
                kind.map(TypeName).ok_or_else(|| E::unknown_variant(name, TYPE_NAMES))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<TypeName, E> {
                let kind = usize::try_from(number).ok().and_then(|number| AttributeType::ALL.get(number));
                let unknown = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
                kind.copied().map(TypeName).ok_or_else(unknown)
            }
        }

        deserializer.deserialize_identifier(TypeNameVisitor)
    }
}

/// Reads what a type announced.
struct Content(AttributeType);

impl<'de> de::DeserializeSeed<'de> for Content {
    type Value = AttributeValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AttributeValue, D::Error> {
        Ok(match self.0 {
            AttributeType::S => AttributeValue::S(String::deserialize(deserializer)?),
            AttributeType::N => AttributeValue::N(DecimalText::deserialize(deserializer)?.0),
            AttributeType::B => AttributeValue::B(Bytes::deserialize(deserializer)?.0),
            AttributeType::Bool => AttributeValue::Bool(bool::deserialize(deserializer)?),
            AttributeType::Null => match bool::deserialize(deserializer)? {
                true => AttributeValue::Null,
                false => return Err(de::Error::custom(FALSE_NULL)),
            },
            AttributeType::M => AttributeValue::M(Item::deserialize(deserializer)?),
            AttributeType::L => AttributeValue::L(Vec::deserialize(deserializer)?),
            kind @ AttributeType::Ss => {
                let members = Vec::<String>::deserialize(deserializer)?;
                AttributeValue::Ss(set_of(kind, members, String::clone)?)
            }
            kind @ AttributeType::Ns => {
                let members = Vec::<DecimalText>::deserialize(deserializer)?;
                let members = members.into_iter().map(|member| member.0).collect();
                AttributeValue::Ns(set_of(kind, members, Number::to_string)?)
            }
            kind @ AttributeType::Bs => {
                let members = Vec::<Bytes<Vec<u8>>>::deserialize(deserializer)?;
                let members = members.into_iter().map(|member| member.0).collect();
                AttributeValue::Bs(set_of(kind, members, |member| STANDARD.encode(member))?)
            }
        })
    }
}

/// A set of members, of which there must be some, and none twice; `text` is how one was given.
pub(crate) fn set_of<T: Ord + Clone, E: de::Error>(
    set: AttributeType,
    members: Vec<T>,
    text: impl Fn(&T) -> String,
) -> Result<BTreeSet<T>, E> {
    if members.is_empty() {
        return Err(E::custom(ValueError::EmptySet { set }));
    }
    let members_set: BTreeSet<T> = members.iter().cloned().collect();
    if members_set.len() < members.len() {
        let members = members.iter().map(text).collect();
        return Err(E::custom(ValueError::DuplicateInSet { set, members }));
    }
    Ok(members_set)
}
