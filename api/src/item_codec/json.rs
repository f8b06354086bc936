//! JSON values straight to and from the stored form, by the rules of [`crate::json`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::ItemDamage;
use super::check::{check_level, members};
use super::cursor::Encoded;
use super::encoder::{Encoder, encode_with};
use super::layout::tag;
use super::model::{write_members, write_numbers};
use super::text_window::TextWindow;
use crate::json::{Marker, OnlyName, escaped, marked, number_from_json, number_to_json};
use crate::limits::ValueError;

/// The stored form of the item that a JSON object stands for.
///
/// ```
/// use dynamite_core::item_codec::{decode_json, encode_json};
/// use serde_json::json;
///
/// let user = json!({"user_id": "alice", "age": 30, "photo": {"$binary": "AQID"}});
/// let bytes = encode_json(&user)?;
/// assert!(bytes.len() < user.to_string().len());
/// assert_eq!(decode_json(&bytes)?, user);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ValueError`] for a malformed marker (see [`crate::json`]) and for what DynamoDB refuses.
pub fn encode_json(json: &Value) -> Result<Vec<u8>, ValueError> {
    let mut bytes = Vec::new();
    encode_json_into(json, &mut bytes)?;
    Ok(bytes)
}

/// Appends the stored form to a buffer, and returns the item's size as DynamoDB counts it.
///
/// # Errors
///
/// Those of [`encode_json`]. The buffer is then as it was.
pub fn encode_json_into(json: &Value, buffer: &mut Vec<u8>) -> Result<usize, ValueError> {
    encode_with(buffer, |encoder| write(encoder, 0, json))
}

/// The JSON object of an item.
///
/// # Errors
///
/// The first damage found. The size of the whole is not counted.
pub fn decode_json(bytes: &[u8]) -> Result<Value, ItemDamage> {
    read(&Encoded::item(bytes)?, 0)
}

fn write(encoder: &mut Encoder<'_>, level: u32, json: &Value) -> Result<(), ValueError> {
    match json {
        Value::Null => encoder.null(level),
        Value::Bool(value) => encoder.boolean(level, *value),
        Value::Number(number) => encoder.number(level, &number_from_json(number)?),
        Value::String(text) => encoder.string(level, text),
        Value::Array(elements) => {
            let list = encoder.begin_list(level)?;
            for element in elements {
                encoder.element()?;
                write(encoder, list.inner_level(), element)?;
            }
            encoder.end_list(list);
            Ok(())
        }
        Value::Object(entries) => write_object(encoder, level, entries),
    }
}

fn write_object(
    encoder: &mut Encoder<'_>,
    level: u32,
    entries: &Map<String, Value>,
) -> Result<(), ValueError> {
    if entries.len() == 1
        && let Some((name, value)) = entries.iter().next()
    {
        return match OnlyName::of(name) {
            OnlyName::Plain => write_entries(encoder, level, [(name.as_str(), value)]),
            OnlyName::Escaped(name) => write_entries(encoder, level, [(name, value)]),
            OnlyName::Marker(marker) => write_marked(encoder, level, marker, value),
        };
    }
    write_entries(encoder, level, entries.iter().map(|(name, value)| (name.as_str(), value)))
}

#[inline]
fn write_entries<'a>(
    encoder: &mut Encoder<'_>,
    level: u32,
    entries: impl IntoIterator<Item = (&'a str, &'a Value)> + Clone,
) -> Result<(), ValueError> {
    touch(entries.clone());
    let mut map = encoder.begin_map(level)?;
    for (name, value) in entries {
        encoder.name(&mut map, name)?;
        write(encoder, map.inner_level(), value)?;
    }
    encoder.end_map(map)
}

/// Looks at the texts of a map once, and at nothing in between: they lie wherever they were allocated, and so the processor
/// waits for all of them at once. That takes a third off the time of a large document.
#[inline]
fn touch<'a>(entries: impl IntoIterator<Item = (&'a str, &'a Value)>) {
    let first = |text: &str| text.as_bytes().first().copied().unwrap_or_default();
    let seen = entries
        .into_iter()
        .fold(0, |seen, (name, value)| seen ^ first(name) ^ value.as_str().map_or(0, first));
    std::hint::black_box(seen);
}

fn write_marked(
    encoder: &mut Encoder<'_>,
    level: u32,
    marker: Marker,
    json: &Value,
) -> Result<(), ValueError> {
    match marker {
        Marker::Number => encoder.number(level, &marker.number(json)?),
        Marker::Binary => encoder.binary(level, &marker.binary(json)?),
        Marker::Ss => write_members(encoder, level, tag::SS, marker.strings(json)?),
        Marker::Ns => write_numbers(encoder, level, &marker.numbers(json)?),
        Marker::Bs => write_members(encoder, level, tag::BS, marker.binaries(json)?),
    }
}

pub(super) fn read(value: &Encoded<'_>, level: u32) -> Result<Value, ItemDamage> {
    let mut json = Value::Null;
    read_into(value, level, TextWindow::NONE, &mut json)?;
    Ok(json)
}

/// Reads into a value that is null. (Handing results up through each level, wrapped and unwrapped, takes longer than
/// all the rest.)
fn read_into<'a>(
    value: &Encoded<'a>,
    level: u32,
    window: TextWindow<'a>,
    json: &mut Value,
) -> Result<(), ItemDamage> {
    check_level(value, level)?;
    match value.tag {
        tag::S => *json = Value::String(window.text(value.body, value.end)?.to_owned()),
        tag::N => *json = number_to_json(&value.number()?),
        tag::B => *json = marked(Marker::Binary, base64(value)),
        tag::M => *json = Value::Object(read_entries(value, level, window)?),
        tag::L => {
            let window = TextWindow::within(value, level, window);
            let mut elements = value.contents();
            let mut array = Vec::new();
            array.resize_with(elements.count_values()?, || Value::Null);
            for slot in &mut array {
                let Some(element) = elements.value() else {
                    return Err(elements.value_damage());
                };
                read_into(&element, level + 1, window, slot)?;
            }
            *json = Value::Array(array);
        }
        tag::SS => *json = read_set(value, Marker::Ss, |member| Ok(member.text()?.into()))?,
        tag::NS => *json = read_set(value, Marker::Ns, |member| Ok(number_to_json(&member.number()?)))?,
        tag::BS => *json = read_set(value, Marker::Bs, |member| Ok(base64(&member)))?,
        tag::TRUE => *json = Value::Bool(true),
        tag::FALSE => *json = Value::Bool(false),
        _ => {}
    }
    Ok(())
}

fn read_entries<'a>(
    value: &Encoded<'a>,
    level: u32,
    window: TextWindow<'a>,
) -> Result<Map<String, Value>, ItemDamage> {
    let window = TextWindow::within(value, level, window);
    let mut cursor = value.contents();
    // A map of sorted entries is built at once from a vector, whose entries are filled where they are.
    let mut entries = Vec::new();
    entries.resize_with(cursor.count_entries()?, || (String::new(), Value::Null));
    let mut before: &[u8] = &[];
    for (name_slot, value_slot) in &mut entries {
        let name = cursor.name_within(&mut before, window)?;
        let Some(value) = cursor.value() else {
            return Err(cursor.value_damage());
        };
        *name_slot = name.to_owned();
        read_into(&value, level + 1, window, value_slot)?;
    }
    if let [(name, _)] = &mut entries[..] {
        *name = escaped(std::mem::take(name));
    }
    Ok(Map::from_iter(entries))
}

fn base64(value: &Encoded<'_>) -> Value {
    STANDARD.encode(value.body).into()
}

fn read_set(
    set: &Encoded<'_>,
    marker: Marker,
    member: impl Fn(Encoded<'_>) -> Result<Value, ItemDamage>,
) -> Result<Value, ItemDamage> {
    let array: Result<Vec<Value>, ItemDamage> = members(set)?.map(|m| member(m?)).collect();
    Ok(marked(marker, array?.into()))
}
