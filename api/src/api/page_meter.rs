//! When a page of results is full: at 1 MB of items, counted as DynamoDB counts them.
//!
//! Counting an item is not for nothing, and most pages end long before. So items are put aside, uncounted, until they may be
//! too many.

use crate::item_codec::{self, ItemDamage};

/// Bytes of items, as DynamoDB counts them, after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

/// An item counts at most so many bytes for each byte of its stored form: an empty map in a list is one byte there,
/// and counts four.
const MOST_COUNTED: usize = 4;

/// Counts the items of a page.
#[derive(Debug, Default)]
pub(crate) struct PageMeter {
    /// Items that were not counted yet, one behind the other.
    aside: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Bytes of those that were.
    counted: usize,
}

impl PageMeter {
    /// Adds an item, as it is stored. Returns whether the page is full.
    pub(crate) fn add(&mut self, item: &[u8]) -> Result<bool, ItemDamage> {
        self.aside.extend_from_slice(item);
        self.ends.push(self.aside.len());
        if self.counted + MOST_COUNTED * self.aside.len() < PAGE_BYTES {
            return Ok(false);
        }
        self.count()?;
        Ok(self.counted >= PAGE_BYTES)
    }

    /// Bytes of all the items.
    pub(crate) fn total(mut self) -> Result<usize, ItemDamage> {
        self.count()?;
        Ok(self.counted)
    }

    /// Counts what was put aside.
    fn count(&mut self) -> Result<(), ItemDamage> {
        let mut begin = 0;
        for end in self.ends.drain(..) {
            self.counted += item_codec::size(&self.aside[begin..end])?;
            begin = end;
        }
        self.aside.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Pages end where they would if every item was counted at once.
    #[track_caller]
    fn check(items: impl Iterator<Item = Value>) {
        let (mut meter, mut counted) = (PageMeter::default(), 0);
        for (nth, item) in items.enumerate() {
            let item = item_codec::encode_json(&item).unwrap();
            counted += item_codec::check(&item).unwrap();
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
        // One byte short of a page, and then one item more.
        let exact = (PAGE_BYTES - 1) / 4;
        check([exact, exact, exact, exact + 3, 1].into_iter().map(|size| json!({"t": "x".repeat(size - 1)})));
    }
}
