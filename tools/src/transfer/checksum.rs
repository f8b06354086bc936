//! The checksum of what a table holds, in whatever order it is come upon.
//!
//! Each item's stored form is hashed, which is canonical: equal items have equal bytes. The hashes are added up, so two tables, or a table
//! and a file, have one checksum if they hold the same items, and by chance alone with a probability of 2^-128 if not.

use std::fmt;

use dynamite_core::api::EncodedItem;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

/// The items that were counted, and their checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) item_count: u64,
    /// Bytes of their stored form.
    pub(crate) bytes: u64,
    sum: u128,
}

impl Content {
    pub(crate) fn add(&mut self, item: &EncodedItem<'_>) {
        self.item_count += 1;
        self.bytes += item.as_bytes().len() as u64;
        self.sum = self.sum.wrapping_add(xxh3_128(item.as_bytes()));
    }

    pub(crate) fn add_all(&mut self, other: Content) {
        self.item_count += other.item_count;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// What [`restored`](Content::restored) makes the same of.
    pub(crate) fn remembered(&self) -> Value {
        json!({"items": self.item_count, "bytes": self.bytes, "checksum": self.checksum().to_string()})
    }

    pub(crate) fn restored(remembered: &Value) -> Content {
        let number = |name: &str| remembered[name].as_u64().unwrap_or(0);
        let checksum = remembered["checksum"].as_str().unwrap_or_default();
        let sum = u128::from_str_radix(checksum, 16).unwrap_or(0);
        Content { item_count: number("items"), bytes: number("bytes"), sum }
    }

    /// The checksum, as it is printed.
    pub(crate) fn checksum(&self) -> impl fmt::Display + use<> {
        Hex(self.sum)
    }
}

struct Hex(u128);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(items: &[Value]) -> Content {
        let mut content = Content::default();
        items.iter().for_each(|item| content.add(&EncodedItem::of(item).expect("it is an item")));
        content
    }

    #[test]
    fn the_order_does_not_matter_and_everything_else_does() {
        let [a, b, c] = [json!({"id": 1}), json!({"id": 2, "x": [1, "y"]}), json!({"id": 2, "x": [1, "z"]})];
        assert_eq!(content(&[a.clone(), b.clone()]), content(&[b.clone(), a.clone()]));
        assert_ne!(content(&[a.clone(), b.clone()]), content(&[a.clone(), c]));
        assert_ne!(content(&[a.clone(), a.clone()]), content(std::slice::from_ref(&a)));
        // Of two that are the same the hashes do not take each other away.
        assert_ne!(content(&[a.clone(), a.clone()]).sum, content(&[b.clone(), b]).sum);
        assert_eq!(content(&[]).checksum().to_string(), "0".repeat(32));
    }
}
