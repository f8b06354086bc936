//! DynamoDB JSON straight to and from the stored form, in the form that [`crate::dynamodb_json`] describes.
//!
//! Items come in through any deserializer of a format for humans, so that one within a larger body is encoded where it stands. They
//! go out as text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::ItemDamage;
use super::check::{check_level, members};
use super::cursor::Encoded;
use super::encoder::Encoder;
use super::layout::tag;
use super::model::{write_members, write_numbers};
use super::text_window::TextWindow;
use super::view::ItemView;
use crate::dynamodb_json::{self, TypeName, set_of};
use crate::limits::ValueError;
use crate::typed::{Bytes, DecimalText};
use crate::value::AttributeType;

/// Most items are no longer.
const USUAL_LEN: usize = 512;

/// The stored form of an item that comes as DynamoDB JSON.
///
/// # Errors
///
/// Those of [`crate::dynamodb_json`], and what DynamoDB refuses to store; also two attributes of one name.
pub(crate) fn encode_dynamodb_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let mut bytes = Vec::with_capacity(USUAL_LEN);
    Entries { encoder: &mut Encoder::resume(&mut bytes, 0), level: 0 }.deserialize(deserializer)?;
    Ok(bytes)
}

fn refused<E: de::Error>(error: ValueError) -> E {
    E::custom(error)
}

/// The entries of a map, or of the item itself.
struct Entries<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    level: u32,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of attribute values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Entries { encoder, level } = self;
        let mut map = encoder.begin_map(level).map_err(refused)?;
        while let Some(Text(name)) = entries.next_key()? {
            encoder.name(&mut map, &name).map_err(refused)?;
            entries.next_value_seed(TypedValue { encoder, level: map.inner_level() })?;
        }
        encoder.end_map(map).map_err(refused)
    }
}

/// A value with its type around it.
struct TypedValue<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    level: u32,
}

impl<'de> DeserializeSeed<'de> for TypedValue<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TypedValue<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(dynamodb_json::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let TypedValue { encoder, level } = self;
        let TypeName(kind) = map.next_key()?.ok_or_else(|| de::Error::custom(dynamodb_json::NO_TYPE))?;
        map.next_value_seed(Content { encoder, level, kind })?;
        match map.next_key()? {
            None => Ok(()),
            Some(TypeName(_)) => Err(de::Error::custom(dynamodb_json::SEVERAL_TYPES)),
        }
    }
}

/// What a type announced.
struct Content<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    level: u32,
    kind: AttributeType,
}

impl<'de> DeserializeSeed<'de> for Content<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Content { encoder, level, kind } = self;
        let written = match kind {
            AttributeType::S => encoder.string(level, &Text::deserialize(deserializer)?.0),
            AttributeType::N => encoder.number(level, &DecimalText::deserialize(deserializer)?.0),
            AttributeType::B => encoder.binary(level, &Bytes::deserialize(deserializer)?.0),
            AttributeType::Bool => encoder.boolean(level, bool::deserialize(deserializer)?),
            AttributeType::Null => match bool::deserialize(deserializer)? {
                true => encoder.null(level),
                false => return Err(de::Error::custom(dynamodb_json::FALSE_NULL)),
            },
            AttributeType::M => return Entries { encoder, level }.deserialize(deserializer),
            AttributeType::L => return Elements { encoder, level }.deserialize(deserializer),
            AttributeType::Ss => {
                let members = Vec::<Text<'_>>::deserialize(deserializer)?;
                let members = set_of(kind, members, |member| member.0.clone().into_owned())?;
                write_members(encoder, level, tag::SS, members.iter().map(|member| member.0.as_bytes()))
            }
            AttributeType::Ns => {
                let members = Vec::<DecimalText>::deserialize(deserializer)?;
                let members = members.into_iter().map(|member| member.0).collect();
                write_numbers(encoder, level, &set_of(kind, members, |member| member.to_string())?)
            }
            AttributeType::Bs => {
                let members = Vec::<Bytes<Vec<u8>>>::deserialize(deserializer)?;
                let members = members.into_iter().map(|member| member.0).collect();
                let members = set_of(kind, members, |member| STANDARD.encode(member))?;
                write_members(encoder, level, tag::BS, members)
            }
        };
        written.map_err(refused)
    }
}

/// The elements of a list.
struct Elements<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    level: u32,
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of attribute values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Elements { encoder, level } = self;
        let list = encoder.begin_list(level).map_err(refused)?;
        while elements.next_element_seed(Element { encoder, level: list.inner_level() })?.is_some() {}
        encoder.end_list(list);
        Ok(())
    }
}

/// One of them, which counts beside its value.
struct Element<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    level: u32,
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Element { encoder, level } = self;
        encoder.element().map_err(refused)?;
        TypedValue { encoder, level }.deserialize(deserializer)
    }
}

/// A text, borrowed if nothing in it is escaped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Appends the DynamoDB JSON of an item, without spaces.
///
/// # Errors
///
/// The first damage found. What was appended until then stays.
pub(crate) fn write_dynamodb_json(item: ItemView<'_>, json: &mut Vec<u8>) -> Result<(), ItemDamage> {
    write_entries(json, item.encoded(), 0, TextWindow::NONE)
}

fn write_entries<'a>(
    json: &mut Vec<u8>,
    map: &Encoded<'a>,
    level: u32,
    window: TextWindow<'a>,
) -> Result<(), ItemDamage> {
    let window = TextWindow::within(map, level, window);
    let mut entries = map.contents();
    let mut before: &[u8] = &[];
    json.push(b'{');
    while !entries.is_empty() {
        if !before.is_empty() {
            json.push(b',');
        }
        write_text(json, entries.name_within(&mut before, window)?);
        json.push(b':');
        let Some(value) = entries.value() else {
            return Err(entries.value_damage());
        };
        write_value(json, &value, level + 1, window)?;
    }
    json.push(b'}');
    Ok(())
}

fn write_value<'a>(
    json: &mut Vec<u8>,
    value: &Encoded<'a>,
    level: u32,
    window: TextWindow<'a>,
) -> Result<(), ItemDamage> {
    check_level(value, level)?;
    match value.tag {
        tag::S => {
            json.extend_from_slice(br#"{"S":"#);
            write_text(json, window.text(value.body, value.end)?);
        }
        tag::N => {
            json.extend_from_slice(br#"{"N":"#);
            write_number(json, value)?;
        }
        tag::B => {
            json.extend_from_slice(br#"{"B":"#);
            write_base64(json, value.body);
        }
        tag::M => {
            json.extend_from_slice(br#"{"M":"#);
            write_entries(json, value, level, window)?;
        }
        tag::L => {
            json.extend_from_slice(br#"{"L":["#);
            let window = TextWindow::within(value, level, window);
            let mut elements = value.contents();
            while !elements.is_empty() {
                let Some(element) = elements.value() else {
                    return Err(elements.value_damage());
                };
                write_value(json, &element, level + 1, window)?;
                if !elements.is_empty() {
                    json.push(b',');
                }
            }
            json.push(b']');
        }
        tag::SS => write_set(json, br#"{"SS":["#, value, |json, member| {
            write_text(json, member.text()?);
            Ok(())
        })?,
        tag::NS => write_set(json, br#"{"NS":["#, value, write_number)?,
        tag::BS => write_set(json, br#"{"BS":["#, value, |json, member| {
            write_base64(json, member.body);
            Ok(())
        })?,
        tag::TRUE => json.extend_from_slice(br#"{"BOOL":true"#),
        tag::FALSE => json.extend_from_slice(br#"{"BOOL":false"#),
        _ => json.extend_from_slice(br#"{"NULL":true"#),
    }
    json.push(b'}');
    Ok(())
}

fn write_set(
    json: &mut Vec<u8>,
    beginning: &[u8],
    set: &Encoded<'_>,
    write: impl Fn(&mut Vec<u8>, &Encoded<'_>) -> Result<(), ItemDamage>,
) -> Result<(), ItemDamage> {
    json.extend_from_slice(beginning);
    for (nth, member) in members(set)?.enumerate() {
        if nth > 0 {
            json.push(b',');
        }
        write(json, &member?)?;
    }
    json.push(b']');
    Ok(())
}

fn write_number(json: &mut Vec<u8>, value: &Encoded<'_>) -> Result<(), ItemDamage> {
    let number = value.number()?;
    json.push(b'"');
    number.write_text(json);
    json.push(b'"');
    Ok(())
}

fn write_base64(json: &mut Vec<u8>, bytes: &[u8]) {
    json.push(b'"');
    let start = json.len();
    json.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(bytes, &mut json[start..])
        .expect("base64 has four bytes for each three, or part of them");
    json.push(b'"');
}

/// Text as JSON: between quotation marks, and with those characters escaped that must be.
fn write_text(json: &mut Vec<u8>, text: &str) {
    json.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_len(rest);
        let (before, from) = rest.split_at(plain);
        json.extend_from_slice(before);
        let Some((&byte, after)) = from.split_first() else { break };
        write_escaped(json, byte);
        rest = after;
    }
    json.push(b'"');
}

/// How many bytes in front need no escaping. Eight are looked at together.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let (eights, _) = bytes.as_chunks::<8>();
    let is_plain = |eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight);
        // The high bit of a byte is set where the byte is zero, or stands above one that is.
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let (quote, backslash) = (zeros(word ^ (ONES * 0x22)), zeros(word ^ (ONES * 0x5C)));
        (control | quote | backslash) & HIGHS == 0
    };
    let plain = eights.iter().take_while(|eight| is_plain(eight)).count() * 8;
    let needs_escape = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    plain + bytes[plain..].iter().position(needs_escape).unwrap_or(bytes.len() - plain)
}

#[cold]
fn write_escaped(json: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0A => b'n',
        0x0C => b'f',
        0x0D => b'r',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]);
            return json.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    json.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::super::layout::{VERSION, put_header};
    use super::*;

    /// An item's bytes with as many levels, which may be more than an item can have.
    fn nested(levels: u32, tag: u8) -> Vec<u8> {
        let value = (1..levels).fold(vec![tag::NULL], |inner, _| {
            let name: &[u8] = if tag == tag::M { b"\x01m" } else { b"" };
            let mut value = Vec::new();
            put_header(&mut value, tag, name.len() + inner.len());
            [&value[..], name, &inner].concat()
        });
        [&[VERSION], &b"\x01v"[..], &value].concat()
    }

    #[test]
    fn what_lies_too_deep_is_damage_also_when_it_is_written() {
        for tag in [tag::M, tag::L] {
            let write = |levels| {
                let bytes = nested(levels, tag);
                write_dynamodb_json(ItemView::new(&bytes).unwrap(), &mut Vec::new())
            };
            assert_eq!(write(32), Ok(()));
            assert!(matches!(write(33), Err(ItemDamage::TooDeep { .. })), "{:?}", write(33));
        }
    }
}
