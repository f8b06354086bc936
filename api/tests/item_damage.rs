//! Bytes from disk are not believed: whatever they are, reading them ends in values or in a named damage.

#![allow(clippy::unwrap_used)]

mod items;
mod numbers;

use dynamite_core::item_codec::{
    DecodeError, ItemDamage, ItemView, ValueView, check, decode, decode_json, encode, encode_json, from_bytes,
};
use dynamite_core::{AttributeValue, Item};
use items::{any_item, item_of, nested};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Reads bytes in every way there is. They must agree, and what passes the check must be what an encoder writes.
#[track_caller]
fn read_in_every_way(bytes: &[u8]) -> Result<usize, ItemDamage> {
    let checked = check(bytes);
    let decoded = decode(bytes);
    // Which damage is found first is another question: `decode` counts the entries of a map before it reads them.
    assert_eq!(decoded.is_err(), checked.is_err(), "{bytes:02x?}");
    let json = decode_json(bytes);
    let by_serde = from_bytes::<Item>(bytes);
    let _ = from_bytes::<Value>(bytes);
    let _ = from_bytes::<std::collections::HashMap<String, Vec<f32>>>(bytes);
    if let Ok(view) = ItemView::new(bytes) {
        for name in ["", "a", "address", "name", "zzz"] {
            let _ = view.get(name).map(|value| value.map(|value| look_at(value, 0)));
        }
        for (_, value) in view.iter().flatten() {
            look_at(value, 0);
        }
    }
    match &decoded {
        Ok(item) => {
            assert_eq!(encode(item).as_deref(), Ok(bytes), "what passes is what is written");
            assert_eq!(encode_json(&json.unwrap()).as_deref(), Ok(bytes));
            assert_eq!(&by_serde.unwrap(), item);
        }
        // JSON is checked as much as the model is, except for the size of the whole.
        Err(ItemDamage::TooLarge { .. }) => {}
        Err(_) => {
            // By serde a set is a sequence, whose order nobody looks at; but text is text.
            let no_text = matches!(decoded, Err(ItemDamage::NotUtf8 { .. }));
            assert!(by_serde.is_err() || !no_text, "{bytes:02x?}");
            assert_eq!(json.err(), decoded.err(), "{bytes:02x?}");
        }
    }
    checked
}

fn look_at(value: ValueView<'_>, depth: u32) {
    let _ = (value.attribute_type(), value.as_str(), value.as_number(), value.as_bytes(), value.as_bool());
    let _ = (value.get("a"), value.get_index(1), value.check(), value.to_json(), value.deserialize::<f64>());
    // Views know no limit of depth, since they go down only when they are told to.
    if depth < 40 {
        let entries = value.entries().map(|entry| entry.map(|(_, value)| value));
        value.elements().chain(entries).flatten().for_each(|value| look_at(value, depth + 1));
    }
}

fn sample() -> Vec<u8> {
    encode_json(&json!({
        "a": {"$ns": [-1.5, 0, 7, {"$number": "12345678901234567890123456789"}]},
        "address": {"city": "Yverdon-les-Bains", "ünïcode": true, "zip": 1400},
        "b": {"$binary": "AAECAwQFBgcICQoLDA0ODw=="},
        "deep": [[[null, {"x": [1e-100]}]]],
        "sets": [{"$ss": ["", "a", "aa"]}, {"$bs": ["", "AA=="]}],
        "text": "é".repeat(150),
    }))
    .unwrap()
}

#[test]
fn every_damaged_byte_is_refused_or_means_another_item() {
    let sound = sample();
    read_in_every_way(&sound).unwrap();
    let mut refused = 0;
    // In the long text at the end one place is like the other.
    let long_text = sound.len() - 290..sound.len() - 4;
    for at in (0..sound.len()).filter(|at| !long_text.contains(at)) {
        let mut bytes = sound.clone();
        for xor in 1..=255 {
            bytes[at] = sound[at] ^ xor;
            refused += usize::from(read_in_every_way(&bytes).is_err());
        }
    }
    let damaged = (sound.len() - long_text.len()) * 255;
    assert!(refused > damaged / 2, "most damage is seen: {refused} of {damaged}");
}

#[test]
fn cut_off_items_are_refused_unless_the_cut_is_between_attributes() {
    let sound = sample();
    let between: Vec<usize> = (1..sound.len()).filter(|&len| check(&sound[..len]).is_ok()).collect();
    assert_eq!(between.len(), 6, "before each attribute: {between:?}");
    for len in 0..sound.len() {
        let _ = read_in_every_way(&sound[..len]);
        // Bytes taken out of the middle, and put in.
        let mut bytes = sound.clone();
        bytes.remove(len);
        let _ = read_in_every_way(&bytes);
        bytes.insert(len, 0x5a);
        let _ = read_in_every_way(&bytes);
        bytes.insert(len, 0);
        let _ = read_in_every_way(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn random_bytes_harm_nobody(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = read_in_every_way(&bytes);
        bytes.insert(0, 1);
        let _ = read_in_every_way(&bytes);
    }

    /// Short bodies of small bytes are often nearly right.
    #[test]
    fn nearly_right_bytes_harm_nobody(mut bytes in prop::collection::vec(prop_oneof![0u8..4, 0x30u8..0x34, 0x40u8..0x44, 0x60u8..0x66, 0x70u8..0x76, 0x80u8..0xA6], 0..24)) {
        bytes.insert(0, 1);
        let _ = read_in_every_way(&bytes);
    }

    #[test]
    fn items_with_a_few_damaged_bytes_harm_nobody(item in any_item(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = encode(&item).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read_in_every_way(&bytes);
    }
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: ItemDamage) {
    assert_eq!(read_in_every_way(bytes), Err(expected));
}

#[test]
fn each_kind_of_damage_has_its_name_and_place() {
    // No version, a wrong one.
    check_refused(b"", ItemDamage::Truncated { offset: 0 });
    check_refused(b"\x02", ItemDamage::UnknownVersion { found: 2 });
    // Names: cut off, none, out of order, twice, no text, a length too long.
    check_refused(b"\x01\x02a", ItemDamage::Truncated { offset: 1 });
    check_refused(b"\x01\x00\x00", ItemDamage::NameLength { offset: 1 });
    check_refused(b"\x01\x01b\x00\x01a\x00", ItemDamage::NameOrder { offset: 5 });
    check_refused(b"\x01\x01a\x00\x01a\x00", ItemDamage::NameOrder { offset: 5 });
    check_refused(b"\x01\x01\xff\x00", ItemDamage::NotUtf8 { offset: 2 });
    check_refused(b"\x01\x81\x00a\x00", ItemDamage::LongLength { offset: 1 });
    check_refused(b"\x01\x81", ItemDamage::Truncated { offset: 1 });
    check_refused(b"\x01\x81\x81", ItemDamage::Truncated { offset: 1 });
    check_refused(b"\x01\x81\x81\x81\x01a\x00", ItemDamage::LongLength { offset: 1 });
    let mut long_name = b"\x01\x80\x80\x04".to_vec();
    long_name.extend([b'a'; 65_536]);
    check_refused(&long_name, ItemDamage::NameLength { offset: 1 });
    // Values: missing, of no type, with bits that must not be set, too long or with a length that is.
    check_refused(b"\x01\x01a", ItemDamage::Truncated { offset: 3 });
    check_refused(b"\x01\x01a\xb0", ItemDamage::UnknownType { offset: 3, found: 0xb0 });
    check_refused(b"\x01\x01a\x01", ItemDamage::UnknownType { offset: 3, found: 0x01 });
    check_refused(b"\x01\x01a\x2c\x00", ItemDamage::UnknownType { offset: 3, found: 0x2c });
    check_refused(b"\x01\x01a\x3f", ItemDamage::UnknownType { offset: 3, found: 0x3f });
    check_refused(b"\x01\x01a\x32b", ItemDamage::Truncated { offset: 3 });
    check_refused(b"\x01\x01a\x3c", ItemDamage::Truncated { offset: 3 });
    check_refused(b"\x01\x01a\x3d\x00", ItemDamage::Truncated { offset: 3 });
    check_refused(b"\x01\x01a\x3c\x01b", ItemDamage::LongLength { offset: 3 });
    check_refused(b"\x01\x01a\x3d\xff\x00b", ItemDamage::LongLength { offset: 3 });
    check_refused(b"\x01\x01a\x3e\xff\xff\x00b", ItemDamage::LongLength { offset: 3 });
    check_refused(b"\x01\x01a\x31\xff", ItemDamage::NotUtf8 { offset: 4 });
    // A value that reaches beyond the list around it, though not beyond the item.
    check_refused(b"\x01\x01a\x72\x33b\x01cde", ItemDamage::Truncated { offset: 4 });
    // Numbers: a scale alone, a zero byte or digit at the end, out of range, too long.
    for number in [
        &b"\x41\x00"[..],
        b"\x43\x00\x01\x00",
        b"\x42\x00\x0a",
        b"\x42\x01\x00",
        b"\x43\x80\x00\x01",
        b"\x43\xf8\x03\x01",
        b"\x43\xf8\x07\x01",
        b"\x4c\x12\x00\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
        b"\x4c\x11\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let bytes = [b"\x01\x01a", number].concat();
        let body = if number[0] == 0x4c { 5 } else { 4 };
        check_refused(&bytes, ItemDamage::Number { offset: body });
    }
    // Sets: empty, out of order, twice, no text, no number; members cut off.
    check_refused(b"\x01\x01a\x80", ItemDamage::EmptySet { offset: 4 });
    check_refused(b"\x01\x01a\x84\x01b\x01a", ItemDamage::SetOrder { offset: 7 });
    check_refused(b"\x01\x01a\xa4\x01b\x01b", ItemDamage::SetOrder { offset: 7 });
    check_refused(b"\x01\x01a\x96\x02\x00\x02\x02\x00\x01", ItemDamage::SetOrder { offset: 8 });
    check_refused(b"\x01\x01a\x82\x01\xff", ItemDamage::NotUtf8 { offset: 5 });
    check_refused(b"\x01\x01a\x92\x01\x00", ItemDamage::Number { offset: 5 });
    check_refused(b"\x01\x01a\x82\x02b", ItemDamage::Truncated { offset: 4 });
    check_refused(b"\x01\x01a\x83\x81\x00b", ItemDamage::LongLength { offset: 4 });
}

/// The texts of a small map or list are checked together, and its bytes may be UTF-8 where a text of its own is not.
#[test]
fn a_text_that_is_no_text_by_itself_is_refused_though_what_surrounds_it_makes_one_of_it() {
    let refused = |header: &[u8], body: &[u8], offset| {
        assert!(std::str::from_utf8(body).is_ok(), "all of it is UTF-8");
        let bytes = [&[1, 1, b'a'], header, body].concat();
        let damage = ItemDamage::NotUtf8 { offset };
        assert_eq!(decode(&bytes), Err(damage));
        assert_eq!(decode_json(&bytes), Err(damage));
        assert_eq!(from_bytes::<Value>(&bytes), Err(DecodeError::Damage(damage)));
        assert_eq!(from_bytes::<Item>(&bytes), Err(DecodeError::Damage(damage)));
    };
    // The text ends within a character, which the header of a set of two bytes completes.
    refused(&[0x76], &[0x32, b'x', 0xC3, 0x82, 1, b'y'], 5);
    // The same in a map, where the length of a name of 130 bytes completes it.
    let name = [b'c'; 130];
    refused(&[0x6C, 138], &[&[1, b'b', 0x32, b'x', 0xC3, 0x82, 1], &name[..], &[0]].concat(), 8);
    // The text begins within a character: the byte before it, which says that it has 195, is the first of the two.
    refused(&[0x7C, 197], &[&[0x3C, 0xC3, 0xA9], &[b'x'; 194][..]].concat(), 7);
}

#[test]
fn values_nested_too_deep_are_refused_before_the_stack_is_used_up() {
    // What no encoder writes: a list in a list and so on, 20,000 times.
    let mut value = vec![0x00];
    for _ in 0..20_000 {
        let len = value.len();
        let header = match len {
            ..12 => vec![0x70 | len as u8],
            12..256 => vec![0x7c, len as u8],
            256..65_536 => vec![0x7d, len as u8, (len >> 8) as u8],
            _ => vec![0x7e, len as u8, (len >> 8) as u8, (len >> 16) as u8],
        };
        value.splice(..0, header);
    }
    let bytes = [b"\x01\x01a", &value[..]].concat();
    assert!(matches!(read_in_every_way(&bytes), Err(ItemDamage::TooDeep { .. })));
    let value = ItemView::new(&bytes).unwrap().get("a").unwrap().unwrap();
    assert!(matches!(value.check(), Err(ItemDamage::TooDeep { .. })));
    assert!(matches!(value.deserialize::<Value>(), Err(DecodeError::Damage(ItemDamage::TooDeep { .. }))));

    // A list in the innermost list, in place of a boolean: one level too many as soon as it holds something.
    let deepest =
        encode(&item_of("v", nested(31, AttributeValue::L(vec![true.into(), false.into()])))).unwrap();
    assert_eq!(deepest[deepest.len() - 3..], [0x72, 0x20, 0x10]);
    check(&deepest).unwrap();
    let offset = deepest.len() - 1;
    let with_list = [&deepest[..offset - 1], b"\x71\x00"].concat();
    check_refused(&with_list, ItemDamage::TooDeep { offset: offset + 1 });
}

#[test]
fn an_item_that_counts_too_much_is_refused() {
    // 204,800 nulls in a list count 409,600 bytes, and take half of that.
    let mut bytes = b"\x01\x01a\x7e\xfc\x1f\x03".to_vec();
    bytes.resize(bytes.len() + 0x31ffc, 0);
    assert_eq!(read_in_every_way(&bytes), Ok(1 + 3 + 2 * 0x31ffc));
    let mut bytes = b"\x01\x01a\x7e\xff\x1f\x03".to_vec();
    bytes.resize(bytes.len() + 0x31fff, 0);
    check_refused(&bytes, ItemDamage::TooLarge { size: 1 + 3 + 2 * 0x31fff });
}

#[test]
fn what_is_not_asked_for_may_be_damaged() {
    // The second attribute is no text, and the third is no number.
    let bytes = b"\x01\x01a\x31x\x01b\x31\xff\x01c\x41\x00";
    let item = ItemView::new(bytes).unwrap();
    assert_eq!(item.get("a").unwrap().unwrap().as_str(), Ok(Some("x")));
    assert_eq!(item.get("b").unwrap().unwrap().as_str(), Err(ItemDamage::NotUtf8 { offset: 8 }));
    assert_eq!(item.get("c").unwrap().unwrap().as_number(), Err(ItemDamage::Number { offset: 12 }));
    assert_eq!(item.get("d"), Ok(None));
    check_refused(bytes, ItemDamage::NotUtf8 { offset: 8 });
}
