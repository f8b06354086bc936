//! Items of the data model to and from the stored form.

use std::collections::BTreeSet;

use super::ItemDamage;
use super::check::{check_level, members};
use super::cursor::Encoded;
use super::encoder::{Encoder, encode_with};
use super::layout::tag;
use crate::limits::{self, MAX_ITEM_SIZE, ValueError};
use crate::number::Number;
use crate::value::{AttributeValue, Item};

/// The stored form of an item.
///
/// ```
/// use dynamite_core::{AttributeValue, Item};
/// use dynamite_core::item_codec::{decode, encode};
///
/// let item = Item::from([("id".to_owned(), AttributeValue::from("alice"))]);
/// let bytes = encode(&item)?;
/// assert_eq!(bytes, b"\x01\x02id\x35alice");
/// assert_eq!(decode(&bytes)?, item);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ValueError`] for what DynamoDB refuses.
pub fn encode(item: &Item) -> Result<Vec<u8>, ValueError> {
    let mut bytes = Vec::new();
    encode_into(item, &mut bytes)?;
    Ok(bytes)
}

/// Appends the stored form of an item to a buffer, and returns the item's size as DynamoDB counts it.
///
/// # Errors
///
/// Those of [`encode`]. The buffer is then as it was.
pub fn encode_into(item: &Item, buffer: &mut Vec<u8>) -> Result<usize, ValueError> {
    encode_with(buffer, |encoder| write_map(encoder, 0, item))
}

/// The item that the bytes are the stored form of.
///
/// # Errors
///
/// The first damage found: nothing passes but what [`encode`] writes.
pub fn decode(bytes: &[u8]) -> Result<Item, ItemDamage> {
    let item = read_map(&Encoded::item(bytes)?, 0)?;
    // No value counts more than four times what it takes: a null in a list counts 2, an empty list in a list 4.
    if bytes.len() > MAX_ITEM_SIZE / 4 {
        let size = limits::item_size(&item);
        if size > MAX_ITEM_SIZE {
            return Err(ItemDamage::TooLarge { size });
        }
    }
    Ok(item)
}

fn write_map(encoder: &mut Encoder<'_>, level: u32, entries: &Item) -> Result<(), ValueError> {
    let mut map = encoder.begin_map(level)?;
    for (name, value) in entries {
        encoder.name(&mut map, name)?;
        write(encoder, map.inner_level(), value)?;
    }
    encoder.end_map(map)
}

pub(super) fn write(encoder: &mut Encoder<'_>, level: u32, value: &AttributeValue) -> Result<(), ValueError> {
    match value {
        AttributeValue::S(text) => encoder.string(level, text),
        AttributeValue::N(number) => encoder.number(level, number),
        AttributeValue::B(bytes) => encoder.binary(level, bytes),
        AttributeValue::Bool(value) => encoder.boolean(level, *value),
        AttributeValue::Null => encoder.null(level),
        AttributeValue::M(entries) => write_map(encoder, level, entries),
        AttributeValue::L(elements) => {
            let list = encoder.begin_list(level)?;
            for element in elements {
                encoder.element()?;
                write(encoder, list.inner_level(), element)?;
            }
            encoder.end_list(list);
            Ok(())
        }
        AttributeValue::Ss(members) => write_members(encoder, level, tag::SS, members),
        AttributeValue::Ns(members) => write_numbers(encoder, level, members),
        AttributeValue::Bs(members) => write_members(encoder, level, tag::BS, members),
    }
}

/// Writes a set of strings or binaries, whose members come in order.
pub(super) fn write_members(
    encoder: &mut Encoder<'_>,
    level: u32,
    tag: u8,
    members: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<(), ValueError> {
    let mut set = encoder.begin_set(level, tag)?;
    for member in members {
        encoder.member(&mut set, member.as_ref())?;
    }
    encoder.end_set(set)
}

/// Writes a set of numbers.
pub(super) fn write_numbers(
    encoder: &mut Encoder<'_>,
    level: u32,
    members: &BTreeSet<Number>,
) -> Result<(), ValueError> {
    let mut set = encoder.begin_set(level, tag::NS)?;
    for member in members {
        encoder.number_member(&mut set, member)?;
    }
    encoder.end_set(set)
}

pub(super) fn read_map(map: &Encoded<'_>, level: u32) -> Result<Item, ItemDamage> {
    let mut cursor = map.contents();
    // A map of sorted entries is built at once from a vector, whose entries are filled where they are.
    let mut entries = Vec::new();
    entries.resize_with(cursor.count_entries()?, || (String::new(), AttributeValue::Null));
    let mut before: &[u8] = &[];
    for (name_slot, value_slot) in &mut entries {
        let name = cursor.name(&mut before)?;
        let Some(value) = cursor.value() else {
            return Err(cursor.value_damage());
        };
        *name_slot = name.to_owned();
        read_into(&value, level + 1, value_slot)?;
    }
    Ok(Item::from_iter(entries))
}

pub(super) fn read(value: &Encoded<'_>, level: u32) -> Result<AttributeValue, ItemDamage> {
    let mut read = AttributeValue::Null;
    read_into(value, level, &mut read)?;
    Ok(read)
}

/// Reads into a value that is null. (Handing results up through each level, wrapped and unwrapped, takes longer than
/// all the rest.)
fn read_into(value: &Encoded<'_>, level: u32, read: &mut AttributeValue) -> Result<(), ItemDamage> {
    check_level(value, level)?;
    match value.tag {
        tag::S => *read = AttributeValue::S(value.text()?.to_owned()),
        tag::N => *read = AttributeValue::N(value.number()?),
        tag::B => *read = AttributeValue::B(value.body.to_vec()),
        tag::M => *read = AttributeValue::M(read_map(value, level)?),
        tag::L => {
            let mut elements = value.contents();
            let mut list = Vec::new();
            list.resize_with(elements.count_values()?, || AttributeValue::Null);
            for slot in &mut list {
                let Some(element) = elements.value() else {
                    return Err(elements.value_damage());
                };
                read_into(&element, level + 1, slot)?;
            }
            *read = AttributeValue::L(list);
        }
        tag::SS => *read = AttributeValue::Ss(read_members(value, |member| Ok(member.text()?.to_owned()))?),
        tag::NS => *read = AttributeValue::Ns(read_members(value, |member| member.number())?),
        tag::BS => *read = AttributeValue::Bs(read_members(value, |member| Ok(member.body.to_vec()))?),
        tag::TRUE => *read = AttributeValue::Bool(true),
        tag::FALSE => *read = AttributeValue::Bool(false),
        _ => {}
    }
    Ok(())
}

fn read_members<T: Ord>(
    set: &Encoded<'_>,
    member: impl Fn(&Encoded<'_>) -> Result<T, ItemDamage>,
) -> Result<BTreeSet<T>, ItemDamage> {
    members(set)?.map(|encoded| member(&encoded?)).collect()
}
