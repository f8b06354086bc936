//! Picks attributes out of encoded items as they stand, and puts items together of them.
//!
//! What is picked is not decoded, nor is it looked at inside: the bytes of equal attributes are equal, and an item that is put
//! together of attributes of one encoded item is what an encoder would have written.

use super::cursor::Encoded;
use super::{ItemDamage, ValueView, layout};

/// An attribute of an encoded item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked<'a> {
    /// Its name and its value, as they stand.
    pub(crate) entry: &'a [u8],
    pub(crate) value: ValueView<'a>,
}

/// The attributes with these names, which ascend, in their order; `None` for one that the item does not have.
///
/// Cost: one walk over the item, up to the last of the names.
pub(crate) fn pick<'a>(item: &'a [u8], names: &[Box<str>]) -> Result<Vec<Option<Picked<'a>>>, ItemDamage> {
    let mut picked = Vec::with_capacity(names.len());
    let mut cursor = Encoded::item(item)?.contents();
    while picked.len() < names.len() && !cursor.is_empty() {
        let start = cursor.rest();
        let name = cursor.name_bytes()?;
        let value = cursor.value().ok_or_else(|| cursor.value_damage())?;
        while let Some(wanted) = names.get(picked.len()).filter(|wanted| wanted.as_bytes() <= name) {
            let found = wanted.as_bytes() == name;
            let entry = &start[..start.len() - cursor.rest().len()];
            picked.push(found.then_some(Picked { entry, value: ValueView::of(value) }));
        }
    }
    picked.resize_with(names.len(), || None);
    Ok(picked)
}

/// Appends an item of attributes that were picked out of one item, in the order of their names.
pub(crate) fn join<'a>(attributes: impl Iterator<Item = Picked<'a>>, item: &mut Vec<u8>) {
    item.push(layout::VERSION);
    attributes.for_each(|attribute| item.extend_from_slice(attribute.entry));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::item_codec::{decode_json, encode_json};

    #[test]
    fn what_is_picked_and_joined_is_what_an_encoder_writes() {
        let item = json!({"a": 1, "b": {"c": [1, null]}, "bb": "text", "d": "x".repeat(300), "e": true});
        let encoded = encode_json(&item).unwrap();
        for names in ["", "a", "e", "0 a", "a b c", "b bb d z", "a b bb c d e f"] {
            let names = names.split_whitespace().map(Box::from).collect::<Vec<Box<str>>>();
            let mut expected = item.clone();
            expected.as_object_mut().unwrap().retain(|name, _| names.iter().any(|wanted| **wanted == **name));
            let picked = pick(&encoded, &names).unwrap();
            for (name, picked) in names.iter().zip(&picked) {
                assert_eq!(picked.map(|picked| picked.value.to_json().unwrap()), item.get(&**name).cloned());
            }
            let mut joined = Vec::new();
            join(picked.into_iter().flatten(), &mut joined);
            assert_eq!(joined, encode_json(&expected).unwrap(), "{names:?}");
            assert_eq!(decode_json(&joined).unwrap(), expected);
        }
    }

    #[test]
    fn a_damaged_item_is_an_error() {
        let encoded = encode_json(&json!({"a": "text", "b": 1})).unwrap();
        let names = ["b".into()];
        for len in 0..encoded.len() {
            if len != 1 && len != 8 {
                assert!(pick(&encoded[..len], &names).is_err(), "{len} bytes");
            }
        }
    }
}
