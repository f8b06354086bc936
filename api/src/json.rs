//! Items as `serde_json::Value`, the way most programs write them, and back.
//!
//! ```text
//! attribute value                        JSON
//! -------------------------------------  ------------------------------------
//! S, BOOL, NULL, M, L                    string, boolean, null, object, array
//! N, as i64 or u64                       number
//! N, as the shortest decimal of a double number
//! N, any other                           {"$number": "decimal"}
//! B                                      {"$binary": "base64"}
//! SS                                     {"$ss": [string, …]}
//! NS                                     {"$ns": [N as above, …]}
//! BS                                     {"$bs": ["base64", …]}
//! M with exactly one entry, whose name   the same with one `$` more in front
//! is one or more `$` and then `number`,
//! `binary`, `ss`, `ns` or `bs`
//! ```
//!
//! The table is read from right to left too: an object with exactly one entry whose name is one of the five markers is
//! that value, and an error if it holds something else; with two or more `$` it is a map, whose name has one `$` less.
//! Every other object is a map, `{"$foo": 1}` and `{"$ss": ["a"], "n": 1}` included. An item is a map like any other.
//!
//! So whatever was got can be put back and nothing changes, whatever the names. Numbers compare by value: `1.0` comes
//! back as `1`. (A double that is printed and parsed again on its way is another matter: `serde_json` parses some with an
//! error in the last digit, unless the program switches its `float_roundtrip` on.)
//!
//! What the program's own build of `serde_json` does is of no concern here: with `preserve_order` names are sorted on
//! the way in, and with `arbitrary_precision` numbers are taken as they are written.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::limits::{MAX_LEVELS, ValueError};
use crate::number::{Number, NumberError};
use crate::value::{AttributeType, AttributeValue, Item};

/// The JSON of an item.
///
/// ```
/// use dynamite_core::AttributeValue;
/// use dynamite_core::json::{item_from_json, item_to_json};
/// use serde_json::json;
///
/// let json = json!({"id": "a", "photo": {"$binary": "AQID"}, "score": 0.1});
/// let item = item_from_json(json.clone())?;
/// assert_eq!(item["photo"], AttributeValue::B(vec![1, 2, 3]));
/// assert_eq!(item_to_json(item), json);
/// # Ok::<(), dynamite_core::limits::ValueError>(())
/// ```
pub fn item_to_json(item: Item) -> Value {
    map_to_json(item)
}

/// The item that a JSON object stands for.
///
/// # Errors
///
/// [`ValueError`] for anything but an object, a malformed marker, a number out of range, an empty set or one with
/// duplicates, and values below level [`MAX_LEVELS`]. Names and the size of the whole are checked when it is encoded.
pub fn item_from_json(json: Value) -> Result<Item, ValueError> {
    match from_json(json, 0)? {
        AttributeValue::M(item) => Ok(item),
        other => Err(ValueError::NotAnItem { found: other.attribute_type() }),
    }
}

impl From<AttributeValue> for Value {
    /// See the [module](crate::json).
    fn from(value: AttributeValue) -> Value {
        match value {
            AttributeValue::S(text) => Value::String(text),
            AttributeValue::N(number) => number_to_json(&number),
            AttributeValue::B(bytes) => marked(Marker::Binary, STANDARD.encode(bytes).into()),
            AttributeValue::Bool(value) => Value::Bool(value),
            AttributeValue::Null => Value::Null,
            AttributeValue::M(entries) => map_to_json(entries),
            AttributeValue::L(elements) => Value::Array(elements.into_iter().map(Value::from).collect()),
            AttributeValue::Ss(members) => {
                marked(Marker::Ss, members.into_iter().map(Value::String).collect::<Vec<_>>().into())
            }
            AttributeValue::Ns(members) => {
                marked(Marker::Ns, members.iter().map(number_to_json).collect::<Vec<_>>().into())
            }
            AttributeValue::Bs(members) => marked(
                Marker::Bs,
                members.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>().into(),
            ),
        }
    }
}

impl TryFrom<Value> for AttributeValue {
    type Error = ValueError;

    /// See the [module](crate::json), and [`item_from_json`] for the errors.
    fn try_from(json: Value) -> Result<Self, ValueError> {
        from_json(json, 1)
    }
}

fn map_to_json(entries: Item) -> Value {
    let only = entries.len() == 1;
    Value::Object(
        entries
            .into_iter()
            .map(|(name, value)| (if only { escaped(name) } else { name }, Value::from(value)))
            .collect(),
    )
}

fn from_json(json: Value, level: u32) -> Result<AttributeValue, ValueError> {
    if level > MAX_LEVELS {
        return Err(ValueError::NestingTooDeep);
    }
    Ok(match json {
        Value::Null => AttributeValue::Null,
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(number) => AttributeValue::N(number_from_json(&number)?),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(elements) => AttributeValue::L(
            elements.into_iter().map(|element| from_json(element, level + 1)).collect::<Result<_, _>>()?,
        ),
        Value::Object(entries) => return object_from_json(entries, level),
    })
}

fn object_from_json(mut entries: Map<String, Value>, level: u32) -> Result<AttributeValue, ValueError> {
    let only = match (entries.len(), entries.iter().next()) {
        (1, Some((name, value))) => Some((OnlyName::of(name), value)),
        _ => None,
    };
    match only {
        Some((OnlyName::Marker(marker), value)) => return marker.value_from_json(value),
        Some((OnlyName::Escaped(name), _)) => {
            let name = name.to_owned();
            entries = entries.into_iter().map(|(_, value)| (name.clone(), value)).collect();
        }
        Some((OnlyName::Plain, _)) | None => {}
    }
    let map: Result<Item, ValueError> =
        entries.into_iter().map(|(name, value)| Ok((name, from_json(value, level + 1)?))).collect();
    map.map(AttributeValue::M)
}

/// What stands for a type that JSON lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Number,
    Binary,
    Ss,
    Ns,
    Bs,
}

/// What the name of the only entry of a map means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnlyName<'a> {
    /// Itself.
    Plain,
    /// Coming in, a value of another type. Going out, it needs one `$` more.
    Marker(Marker),
    /// Coming in, this name. Going out, it needs one `$` more.
    Escaped(&'a str),
}

impl<'a> OnlyName<'a> {
    #[inline]
    pub(crate) fn of(name: &'a str) -> Self {
        match name.strip_prefix('$') {
            None => OnlyName::Plain,
            Some(rest) => Self::of_marked(rest),
        }
    }

    fn of_marked(rest: &'a str) -> Self {
        let marker = match rest.trim_start_matches('$') {
            "number" => Marker::Number,
            "binary" => Marker::Binary,
            "ss" => Marker::Ss,
            "ns" => Marker::Ns,
            "bs" => Marker::Bs,
            _ => return OnlyName::Plain,
        };
        match rest.starts_with('$') {
            true => OnlyName::Escaped(rest),
            false => OnlyName::Marker(marker),
        }
    }
}

/// The name of the only entry of a map, as it goes out.
pub(crate) fn escaped(name: String) -> String {
    match OnlyName::of(&name) {
        OnlyName::Plain => name,
        OnlyName::Marker(_) | OnlyName::Escaped(_) => format!("${name}"),
    }
}

/// An object with one entry.
pub(crate) fn marked(marker: Marker, value: Value) -> Value {
    Value::Object(Map::from_iter([(marker.name().to_owned(), value)]))
}

impl Marker {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Marker::Number => "$number",
            Marker::Binary => "$binary",
            Marker::Ss => "$ss",
            Marker::Ns => "$ns",
            Marker::Bs => "$bs",
        }
    }

    #[cold]
    fn malformed(self) -> ValueError {
        let expected = match self {
            Marker::Number => "a decimal in a string",
            Marker::Binary => "a string in base64",
            Marker::Ss => "an array of strings",
            Marker::Ns => "an array of numbers",
            Marker::Bs => "an array of strings in base64",
        };
        ValueError::MalformedMarker { name: self.name(), expected }
    }

    fn value_from_json(self, json: &Value) -> Result<AttributeValue, ValueError> {
        Ok(match self {
            Marker::Number => AttributeValue::N(self.number(json)?),
            Marker::Binary => AttributeValue::B(self.binary(json)?),
            Marker::Ss => AttributeValue::Ss(self.strings(json)?.into_iter().map(str::to_owned).collect()),
            Marker::Ns => AttributeValue::Ns(self.numbers(json)?),
            Marker::Bs => AttributeValue::Bs(self.binaries(json)?),
        })
    }

    pub(crate) fn number(self, json: &Value) -> Result<Number, ValueError> {
        let text = json.as_str().ok_or_else(|| self.malformed())?;
        Ok(text.parse()?)
    }

    pub(crate) fn binary(self, json: &Value) -> Result<Vec<u8>, ValueError> {
        let text = json.as_str().ok_or_else(|| self.malformed())?;
        STANDARD.decode(text).map_err(|_| self.malformed())
    }

    pub(crate) fn strings(self, json: &Value) -> Result<BTreeSet<&str>, ValueError> {
        self.set(json, AttributeType::Ss, |member| member.as_str().ok_or_else(|| self.malformed()))
    }

    pub(crate) fn numbers(self, json: &Value) -> Result<BTreeSet<Number>, ValueError> {
        self.set(json, AttributeType::Ns, |member| match member {
            Value::Number(number) => Ok(number_from_json(number)?),
            Value::Object(entries) => match (entries.len(), entries.iter().next()) {
                (1, Some((name, value))) if OnlyName::of(name) == OnlyName::Marker(Marker::Number) => {
                    Marker::Number.number(value)
                }
                _ => Err(self.malformed()),
            },
            _ => Err(self.malformed()),
        })
    }

    pub(crate) fn binaries(self, json: &Value) -> Result<BTreeSet<Vec<u8>>, ValueError> {
        self.set(json, AttributeType::Bs, |member| self.binary(member))
    }

    fn set<'a, T: Ord>(
        self,
        json: &'a Value,
        set: AttributeType,
        member: impl Fn(&'a Value) -> Result<T, ValueError>,
    ) -> Result<BTreeSet<T>, ValueError> {
        let elements = json.as_array().ok_or_else(|| self.malformed())?;
        if elements.is_empty() {
            return Err(ValueError::EmptySet { set });
        }
        let members: BTreeSet<T> = elements.iter().map(member).collect::<Result<_, _>>()?;
        if members.len() < elements.len() {
            let text = |element: &Value| element.as_str().map_or_else(|| element.to_string(), str::to_owned);
            return Err(ValueError::DuplicateInSet { set, members: elements.iter().map(text).collect() });
        }
        Ok(members)
    }
}

/// Whether `serde_json::Number` keeps the text of a number, because some crate of the program has switched
/// `arbitrary_precision` on. If not it is a tagged 8-byte number.
const KEEPS_TEXT: bool = size_of::<serde_json::Number>() > 16;

/// The exact number.
#[inline]
pub(crate) fn number_from_json(number: &serde_json::Number) -> Result<Number, NumberError> {
    if let Some(value) = number.as_u64() {
        return Ok(Number::from(value));
    }
    if let Some(value) = number.as_i64() {
        return Ok(Number::from(value));
    }
    match number.as_f64() {
        Some(value) if !KEEPS_TEXT => Number::try_from(value),
        _ => number.to_string().parse(),
    }
}

/// The JSON number, or an object marked `$number`.
pub(crate) fn number_to_json(number: &Number) -> Value {
    if let Some(value) = number.to_u64() {
        return value.into();
    }
    if let Some(value) = number.to_i64() {
        return value.into();
    }
    match number.to_f64_exact().and_then(serde_json::Number::from_f64) {
        Some(value) => Value::Number(value),
        None => marked(Marker::Number, number.to_string().into()),
    }
}
