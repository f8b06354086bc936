//! The JSON of requests: a tree that borrows what it can from the body, and keeps the order of names.
//!
//! Items that are to be written are no part of the tree, but encoded while the body is read, if there is nothing about them that must
//! be refused or overlooked: then the body is read again as a tree, in which mistakes are found in the service's order.
//!
//! What the shape of the body does not know is read over, and no part of the tree: nobody would look at it.

use std::borrow::Cow;
use std::fmt::{self, Write};

use dynamite_core::api::EncodedItem;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dynamodb::model::{Field, Shape};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// What is no integer, or too large for one.
    Decimal(f64),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Entries<'a>),
    /// An item, where the shape of the body has one.
    Item(EncodedItem<'static>),
}

/// The entries of an object, in the order in which they were written. Of several with one name the last counts.
pub(crate) type Entries<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

impl<'a> Json<'a> {
    /// Reads the body of a request that has these fields.
    pub(crate) fn parse(body: &'a [u8], fields: &'static [Field]) -> Result<Json<'a>, serde_json::Error> {
        Json::parse_as(body, fields, Items::Encoded).or_else(|_| Json::parse_as(body, fields, Items::Trees))
    }

    fn parse_as(
        body: &'a [u8],
        fields: &'static [Field],
        items: Items,
    ) -> Result<Json<'a>, serde_json::Error> {
        let mut body = serde_json::Deserializer::from_slice(body);
        // Its limit is below ours.
        body.disable_recursion_limit();
        let json =
            JsonVisitor { inner: Inner::Fields(fields), items, room: MAX_DEPTH }.deserialize(&mut body)?;
        body.end()?;
        Ok(json)
    }

    /// A field of an object; one that is null counts as missing.
    pub(crate) fn field(&self, name: &str) -> Option<&Json<'a>> {
        let Json::Object(entries) = self else { return None };
        let found = entries.iter().rfind(|(other, _)| other == name).map(|(_, value)| value);
        found.filter(|value| **value != Json::Null)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// A boolean; some texts count as one.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            Json::String(text) => bool_of_text(text),
            _ => None,
        }
    }

    /// An integer: what stands behind the point is dropped.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Json::Integer(value) => Some(*value),
            // A cast that stays within the bounds of the type, which is how far away the others are.
            Json::Decimal(value) => Some(value.floor() as i64),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Json::Array(elements) => Some(elements),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        match self {
            Json::Object(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn str(&self, name: &str) -> Option<&str> {
        self.field(name)?.as_str()
    }

    pub(crate) fn bool(&self, name: &str) -> Option<bool> {
        self.field(name)?.as_bool()
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.field(name)?.as_integer()
    }

    /// A time that is given in seconds, with milliseconds behind the point.
    pub(crate) fn milliseconds(&self, name: &str) -> Option<u64> {
        match self.field(name)? {
            Json::Integer(seconds) => u64::try_from(*seconds).ok()?.checked_mul(1000),
            Json::Decimal(seconds) => Some((seconds * 1000.0).round() as u64),
            _ => None,
        }
    }

    pub(crate) fn array(&self, name: &str) -> Option<&[Json<'a>]> {
        self.field(name)?.as_array()
    }

    pub(crate) fn object(&self, name: &str) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        self.field(name)?.as_object()
    }
}

/// What counts as a boolean among texts.
pub(crate) fn bool_of_text(text: &str) -> Option<bool> {
    match text.to_ascii_uppercase().as_str() {
        "TRUE" | "1" | "YES" => Some(true),
        "FALSE" | "0" | "NO" => Some(false),
        _ => None,
    }
}

/// Arrays and objects in one another, at the most. A value may have 32 levels, of two each, but what else is wrong with a request is
/// found before one that has some more.
const MAX_DEPTH: u32 = 256;

/// How items that are to be written are read.
#[derive(Clone, Copy)]
enum Items {
    Encoded,
    Trees,
}

/// What is known of the shapes of what is in a value.
#[derive(Clone, Copy)]
enum Inner {
    /// Anything: it is an attribute value.
    Unknown,
    /// These fields, and others that nobody looks at.
    Fields(&'static [Field]),
    Members(Shape),
}

impl Inner {
    fn of(shape: Shape) -> Inner {
        match shape {
            Shape::List(member) | Shape::Map(member) => Inner::Members(member.shape),
            Shape::Structure(structure) => Inner::Fields(structure.fields),
            Shape::AttributeValue | Shape::Item => Inner::Unknown,
            // Nothing can be in them.
            Shape::Boolean | Shape::Integer | Shape::Long | Shape::String | Shape::Blob => Inner::Fields(&[]),
        }
    }

    /// The shape of a field, unless nobody looks at it.
    fn field(self, name: &str) -> Option<Shape> {
        match self {
            Inner::Fields(fields) => fields.iter().find(|field| field.name == name).map(|field| field.shape),
            inner => inner.element(),
        }
    }

    /// The shape of an element, unless nobody looks at it.
    fn element(self) -> Option<Shape> {
        match self {
            Inner::Unknown => Some(Shape::AttributeValue),
            Inner::Fields(_) => None,
            Inner::Members(shape) => Some(shape),
        }
    }
}

/// Reads a value of a shape, in so much depth.
struct Shaped(Shape, Items, u32);

impl<'de> DeserializeSeed<'de> for Shaped {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        let Shaped(shape, items, room) = self;
        match (shape, items) {
            (Shape::Item, Items::Encoded) => {
                EncodedItem::deserialize(deserializer).map(|item| Json::Item(item.into_owned()))
            }
            _ => JsonVisitor { inner: Inner::of(shape), items, room }.deserialize(deserializer),
        }
    }
}

struct JsonVisitor {
    inner: Inner,
    items: Items,
    /// Arrays and objects that may be in one another.
    room: u32,
}

impl JsonVisitor {
    /// The depth that is left within an array or an object.
    fn inner_room<E: de::Error>(&self) -> Result<u32, E> {
        self.room.checked_sub(1).ok_or_else(|| E::custom("what is in one another is too much"))
    }
}

impl<'de> DeserializeSeed<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::Decimal(value as f64), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Decimal(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<'de>, A::Error> {
        let (mut array, room) = (Vec::new(), self.inner_room()?);
        let Some(shape) = self.inner.element() else {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Json::Array(array));
        };
        while let Some(element) = elements.next_element_seed(Shaped(shape, self.items, room))? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let (mut object, room) = (Vec::new(), self.inner_room()?);
        while let Some(Name(name)) = entries.next_key()? {
            match self.inner.field(&name) {
                Some(shape) => object.push((name, entries.next_value_seed(Shaped(shape, self.items, room))?)),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Json::Object(object))
    }
}

/// The name of an entry, borrowed if nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// As JSON text, without spaces.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Integer(value) => write!(f, "{value}"),
            Json::Decimal(value) => write!(f, "{value}"),
            Json::String(text) => write_text(f, text),
            Json::Array(elements) => {
                f.write_char('[')?;
                for (nth, element) in elements.iter().enumerate() {
                    f.write_str(if nth == 0 { "" } else { "," })?;
                    element.fmt(f)?;
                }
                f.write_char(']')
            }
            Json::Object(entries) => {
                f.write_char('{')?;
                for (nth, (name, value)) in entries.iter().enumerate() {
                    f.write_str(if nth == 0 { "" } else { "," })?;
                    write_text(f, name)?;
                    f.write_char(':')?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
            Json::Item(item) => f.write_str(&serde_json::to_string(item).map_err(|_| fmt::Error)?),
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::operations::{batch_write_item, put_item, transact_write_items};

    /// Counts the items that were encoded while a body was read.
    fn encoded(json: &Json<'_>) -> usize {
        match json {
            Json::Item(_) => 1,
            Json::Array(elements) => elements.iter().map(encoded).sum(),
            Json::Object(entries) => entries.iter().map(|(_, value)| encoded(value)).sum(),
            _ => 0,
        }
    }

    #[test]
    fn items_are_encoded_while_a_body_is_read_wherever_it_has_some() {
        let item = r#"{"a": {"S": "x"}, "m": {"M": {"Item": {"N": "1"}}}}"#;
        let odd = item.replace(r#""x""#, r#""x", "N": null"#);
        let bodies = [
            (put_item::FIELDS, r#"{"Item": I, "Key": I}"#, 1),
            (
                batch_write_item::FIELDS,
                r#"{"RequestItems": {"a": [{"PutRequest": {"Item": I}}], "b": [{"PutRequest": {"Item": I}}]}}"#,
                2,
            ),
            (
                transact_write_items::FIELDS,
                r#"{"TransactItems": [{"Put": {"Item": I}}, {"Put": {"Item": I}}]}"#,
                2,
            ),
        ];
        for (fields, body, count) in bodies {
            let body = body.replace(": I", &format!(": {item}"));
            assert_eq!(encoded(&Json::parse(body.as_bytes(), fields).unwrap()), count, "{body}");
            // Something in one of them that the service overlooks.
            let body = body.replacen(item, &odd, 1);
            assert_eq!(encoded(&Json::parse(body.as_bytes(), fields).unwrap()), 0, "{body}");
        }
    }

    #[test]
    fn what_no_shape_knows_is_not_kept() {
        let parse = |body: &'static str| Json::parse(body.as_bytes(), put_item::FIELDS).unwrap().to_string();
        assert_eq!(parse(r#"{"x": [0, {"Item": 1}], "TableName": "a", "y": {}}"#), r#"{"TableName":"a"}"#);
        assert_eq!(parse(r#"[0, [{"TableName": "a"}]]"#), "[]");
        // Where no value can be in one, only its kind is kept.
        assert_eq!(
            parse(r#"{"TableName": [0, 0], "ReturnValues": {"a": 0}}"#),
            r#"{"TableName":[],"ReturnValues":{}}"#
        );
        let expected = r#"{"Expected":{"a":{"Value":{"S":"x","y":[0]}}}}"#;
        assert_eq!(parse(r#"{"Expected": {"a": {"Value": {"S": "x", "y": [0]}, "z": [0]}}}"#), expected);
        // An item that is read as a tree, since something in it is overlooked.
        let odd = r#"{"Item":{"a":{"S":"x","N":null}}}"#;
        assert_eq!(parse(r#"{"Item": {"a": {"S": "x", "N": null}}, "x": 0}"#), odd);
        for broken in [r#"{"x": [0,}"#, r#"{"x": 0"#, r#"{"x": 0} 1"#] {
            assert!(Json::parse(broken.as_bytes(), put_item::FIELDS).is_err(), "{broken}");
        }
    }
}
