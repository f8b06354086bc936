//! Counts an encoded item, for those who read many and have no use for what is in them.

use super::ItemDamage;
use super::check::check_level;
use super::cursor::{Cursor, Encoded};
use super::layout::tag;
use crate::limits::{CONTAINER_SIZE, ELEMENT_SIZE, number_size};

/// The size of an encoded item as DynamoDB counts it: what [`check`](super::check()) returns, but only lengths and numbers are looked
/// at. Whether text is UTF-8 and things stand in their order is seen by whoever reads them.
///
/// # Errors
///
/// A damage that keeps it from going on.
pub(crate) fn size(bytes: &[u8]) -> Result<usize, ItemDamage> {
    entries(Encoded::item(bytes)?.contents(), 1, 0)
}

fn value(encoded: &Encoded<'_>, level: u32) -> Result<usize, ItemDamage> {
    // Damage must not nest deeper than the stack.
    check_level(encoded, level)?;
    Ok(match encoded.tag {
        tag::S | tag::B => encoded.body.len(),
        tag::N => number_size(&encoded.number()?),
        tag::M => CONTAINER_SIZE + entries(encoded.contents(), level + 1, ELEMENT_SIZE)?,
        tag::L => {
            let (mut elements, mut size) = (encoded.contents(), CONTAINER_SIZE);
            while !elements.is_empty() {
                size += ELEMENT_SIZE + next(&mut elements, level + 1)?;
            }
            size
        }
        tag::SS | tag::NS | tag::BS => {
            let (mut members, mut size) = (encoded.contents(), 0);
            while !members.is_empty() {
                size += value(&members.member(encoded.tag)?, level)?;
            }
            size
        }
        _ => 1,
    })
}

fn entries(mut entries: Cursor<'_>, level: u32, overhead: usize) -> Result<usize, ItemDamage> {
    let mut size = 0;
    while !entries.is_empty() {
        size += entries.name_bytes()?.len() + overhead + next(&mut entries, level)?;
    }
    Ok(size)
}

fn next(cursor: &mut Cursor<'_>, level: u32) -> Result<usize, ItemDamage> {
    match cursor.value() {
        Some(encoded) => value(&encoded, level),
        None => Err(cursor.value_damage()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::item_codec::{check, encode_json};

    fn all_types() -> Vec<u8> {
        let item = json!({
            "text": "Zürich", "number": -12.5, "integer": 1_234_567, "bytes": {"$binary": "AAEC"}, "no": null, "yes": true,
            "map": {"inner": {"list": [1, [], {}, "x"]}}, "strings": {"$ss": ["a", "bc"]},
            "numbers": {"$ns": [1, 20.5, -3]}, "binaries": {"$bs": ["AA==", "AAEC"]},
        });
        encode_json(&item).unwrap()
    }

    #[test]
    fn an_item_of_all_types_has_the_size_that_the_check_counts() {
        let item = all_types();
        assert_eq!(size(&item), check(&item));
        assert!(size(&item).unwrap() > 100);
    }

    proptest! {
        /// Whatever passes the check has one size; the rest is refused, or counted somehow.
        #[test]
        fn damaged_items_are_counted_or_refused(at in 0..1000_usize, byte: u8, cut in 0..400_usize) {
            let mut item = all_types();
            let len = item.len();
            item[at % len] = byte;
            item.truncate(len.saturating_sub(cut / 20));
            if let Ok(checked) = check(&item) {
                prop_assert_eq!(size(&item), Ok(checked));
            }
            let _ = size(&item);
        }
    }
}
