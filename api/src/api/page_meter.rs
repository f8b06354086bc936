//! When a page of results is full: at 1 MB of items.
//!
//! The megabyte is not one of the bytes that items are billed by. What the service was seen to count is what it seems to store: a
//! byte for each name, however long, a byte or so for the length of each value, and beside each item, and again for each 3 KB of
//! it, a frame that repeats the sort key. Capacity is told by the bytes that are billed, so both are counted.
//!
//! Counting an item is not for nothing, and most pages end long before. So items are put aside, uncounted, until they may be
//! too many.

use crate::api::layout::Layout;
use crate::item_codec::{self, ItemDamage, ItemView, ValueView};
use crate::limits::number_size;
use crate::value::AttributeType;

/// Bytes of items, as the service stores them, after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

/// An item counts at most so many bytes for each byte of its stored form, frames and all: an empty map in a list is one byte
/// there, and counts four; its frames take another half, and the sort key in them is not longer than the item.
const MOST_COUNTED: usize = 7;

/// What stands beside an item, and again for each so many bytes of it, without the sort key.
const FRAME: usize = 18;
const FRAMED: usize = 3072;

/// Counts the items of a page.
#[derive(Debug)]
pub(crate) struct PageMeter<'l> {
    /// The sort key of the table.
    sort_key: Option<&'l str>,
    /// Items that were not counted yet, one behind the other.
    aside: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Bytes of those that were, as the service stores them.
    counted: usize,
    /// The same, as they are billed.
    billed: usize,
}

impl<'l> PageMeter<'l> {
    pub(crate) fn new(layout: &'l Layout) -> PageMeter<'l> {
        let table_keys = layout.table_keys.as_ref().unwrap_or(&layout.keys);
        let sort_key = table_keys.sort_key().map(|attribute| attribute.name());
        PageMeter { sort_key, aside: Vec::new(), ends: Vec::new(), counted: 0, billed: 0 }
    }

    /// Adds an item, as it is stored. Returns whether the page is full.
    pub(crate) fn add(&mut self, item: &[u8]) -> Result<bool, ItemDamage> {
        self.aside.extend_from_slice(item);
        self.ends.push(self.aside.len());
        if self.counted + MOST_COUNTED * self.aside.len() + 2 * FRAME * self.ends.len() < PAGE_BYTES {
            return Ok(false);
        }
        self.count()?;
        Ok(self.counted >= PAGE_BYTES)
    }

    /// Bytes of all the items so far, as they are billed.
    pub(crate) fn billed(&mut self) -> Result<usize, ItemDamage> {
        self.count()?;
        Ok(self.billed)
    }

    /// Counts what was put aside.
    fn count(&mut self) -> Result<(), ItemDamage> {
        let mut begin = 0;
        for end in self.ends.drain(..) {
            let item = &self.aside[begin..end];
            self.counted += stored_size(ItemView::new(item)?, self.sort_key)?;
            self.billed += item_codec::size(item)?;
            begin = end;
        }
        self.aside.clear();
        Ok(())
    }
}

/// Bytes of an item as the service stores it.
fn stored_size(item: ItemView<'_>, sort_key: Option<&str>) -> Result<usize, ItemDamage> {
    let (mut size, mut framed) = (0, 0);
    for entry in item.iter() {
        let (name, value) = entry?;
        match sort_key == Some(name) {
            // It stands in the frames.
            true => framed = value_size(value)?.0,
            false => size += attribute_size(value)?,
        }
    }
    Ok(2 + size + (1 + (1 + size) / FRAMED) * (FRAME + framed))
}

/// An attribute, or an entry of a map, with its name.
fn attribute_size(value: ValueView<'_>) -> Result<usize, ItemDamage> {
    Ok(1 + length_size(value)?)
}

/// A value and its length.
fn length_size(value: ValueView<'_>) -> Result<usize, ItemDamage> {
    let (size, members) = value_size(value)?;
    Ok(match value.attribute_type() {
        AttributeType::S => {
            size + if size < 1 << 7 {
                1
            } else if size < 1 << 14 {
                2
            } else {
                3
            }
        }
        AttributeType::B | AttributeType::N => size + 1,
        AttributeType::Ss | AttributeType::Ns | AttributeType::Bs => size + members + 1,
        AttributeType::Null => 0,
        AttributeType::Bool | AttributeType::L | AttributeType::M => size,
    })
}

/// A value, and how many members it has, if it is a set.
fn value_size(value: ValueView<'_>) -> Result<(usize, usize), ItemDamage> {
    let mut members = 0;
    let size = match value.attribute_type() {
        AttributeType::S => value.as_str()?.map_or(0, str::len),
        AttributeType::B => value.as_bytes().map_or(0, <[u8]>::len),
        AttributeType::N => value.as_number()?.map_or(0, |number| number_size(&number)),
        AttributeType::Null | AttributeType::Bool => 1,
        AttributeType::L => {
            let mut size = 3;
            for element in value.elements() {
                size += 1 + length_size(element?)?;
            }
            size
        }
        AttributeType::M => {
            let mut size = 3;
            for entry in value.entries() {
                size += 1 + attribute_size(entry?.1)?;
            }
            size
        }
        AttributeType::Ss | AttributeType::Ns | AttributeType::Bs => {
            let mut size = 0;
            for member in value.elements() {
                size += value_size(member?)?.0;
                members += 1;
            }
            size
        }
    };
    Ok((size, members))
}

#[cfg(test)]
mod tests {
    use dynamite_txn::TableId;
    use serde_json::{Value, json};

    use super::*;
    use crate::types::{KeyAttribute, KeySchema, KeyType};

    fn layout(sort: Option<&str>) -> Layout {
        let key = |name| KeyAttribute::new(name, KeyType::String).unwrap();
        let keys = KeySchema::new(key("a"), sort.map(key)).unwrap();
        let name = "table".to_owned();
        Layout { id: TableId(0), name, index: None, keys, table_keys: None, hashed_ties: false }
    }

    /// Pages end where they would if every item was counted at once.
    #[track_caller]
    fn check(items: impl Iterator<Item = Value>) {
        let layout = layout(None);
        let (mut meter, mut counted) = (PageMeter::new(&layout), 0);
        for (nth, item) in items.enumerate() {
            let item = item_codec::encode_json(&item).unwrap();
            counted += stored_size(ItemView::new(&item).unwrap(), None).unwrap();
            let full = counted >= PAGE_BYTES;
            assert_eq!(meter.add(&item).unwrap(), full, "item {nth}, {counted} bytes");
            if full {
                return;
            }
        }
        panic!("{counted} bytes do not fill a page");
    }

    #[test]
    fn a_page_is_full_with_the_item_that_reaches_a_megabyte() {
        check((0..100_000).map(|nth| json!({"id": nth, "text": "x".repeat(nth % 300)})));
        check((0..10).map(|nth| json!({"id": nth, "text": "x".repeat(300_000)})));
        check((0..10_000).map(|_| json!({"l": vec![json!({}); 500]})));
        check((0..10_000).map(|_| json!({"l": vec![json!(0); 500], "m": {"a": [[], [], null, true]}})));
        check((0..100_000).map(|_| json!({"": null})).map(|_| json!({"a": ""})));
    }

    /// As the service was seen to end pages: 25 items of one partition, where a byte more or less makes the difference.
    #[track_caller]
    fn check_seen(lengths: [usize; 25], expected: usize) {
        let layout = layout(Some("b"));
        let mut meter = PageMeter::new(&layout);
        let mut count = 0;
        for (nth, length) in lengths.into_iter().enumerate() {
            let item = json!({"a": "0123456789", "b": format!("{nth:02}"), "e": "e".repeat(length)});
            count += 1;
            if meter.add(&item_codec::encode_json(&item).unwrap()).unwrap() {
                break;
            }
        }
        assert_eq!(count, expected);
    }

    #[test]
    fn pages_end_where_those_of_the_service_were_seen_to() {
        let mut lengths = [43_372; 25];
        lengths[24] = 44_999;
        lengths[23] = 43_388;
        check_seen(lengths, 24);
        lengths[23] = 43_387;
        check_seen(lengths, 25);
    }
}
