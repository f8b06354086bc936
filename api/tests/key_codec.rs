//! Keys: the order of the bytes is the order of the values, a value has one encoding, and no bytes do harm.

mod numbers;

use std::cmp::Ordering;

use dynamite_core::key_codec::*;
use dynamite_core::number::Number;
use dynamite_core::types::KeyType;
use numbers::{any_number, dyadic, landmarks, two_numbers};
use proptest::collection::vec;
use proptest::prelude::*;

fn encode(value: KeyValue<'_>) -> Vec<u8> {
    KeyPrefix::new().with(value).into_bytes()
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

fn n(text: &str) -> Vec<u8> {
    encode(KeyValue::N(number(text)))
}

/// Text of few characters, so that strings often share beginnings, with all that a comparison of bytes could get wrong.
fn text() -> impl Strategy<Value = String> {
    let characters =
        vec!['\0', '\u{1}', 'a', 'b', '\u{7f}', '\u{80}', 'þ', 'ÿ', 'ā', '\u{7ff}', '\u{ffff}', '\u{10ffff}'];
    prop_oneof![
        4 => vec(prop::sample::select(characters), 0..5).prop_map(String::from_iter),
        1 => any::<String>(),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(prop::sample::select(vec![0, 1, 0x42, 0x4e, 0x53, 0x7f, 0xfe, 0xff]), 0..5),
        1 => vec(any::<u8>(), 0..40),
    ]
}

fn any_value() -> impl Strategy<Value = OwnedKeyValue> {
    prop_oneof![
        text().prop_map(OwnedKeyValue::S),
        bytes().prop_map(OwnedKeyValue::B),
        any_number().prop_map(OwnedKeyValue::N),
    ]
}

/// Whether a sort key is in a range.
type Expected<'a> = &'a dyn Fn(&OwnedKeyValue) -> bool;

/// Two keys of the same types, as those of one table or index.
fn two_keys() -> impl Strategy<Value = (Vec<OwnedKeyValue>, Vec<OwnedKeyValue>)> {
    let two_values = prop_oneof![
        (text(), text()).prop_map(|(one, other)| (OwnedKeyValue::S(one), OwnedKeyValue::S(other))),
        (bytes(), bytes()).prop_map(|(one, other)| (OwnedKeyValue::B(one), OwnedKeyValue::B(other))),
        two_numbers().prop_map(|(one, other)| (OwnedKeyValue::N(one), OwnedKeyValue::N(other))),
        any_value().prop_map(|value| (value.clone(), value)),
    ];
    vec(two_values, 1..5).prop_map(|pairs| pairs.into_iter().unzip())
}

fn encode_all(values: &[OwnedKeyValue]) -> Vec<u8> {
    values.iter().fold(KeyPrefix::new(), |prefix, value| prefix.with(value.borrow())).into_bytes()
}

/// Whatever the bytes are, they are refused, or they are what the value that they mean is encoded to.
#[track_caller]
fn check_hostile(bytes: &[u8]) {
    let rest = skip(bytes);
    match decode(bytes) {
        Ok((value, behind)) => {
            let len = bytes.len() - behind.len();
            assert_eq!(encode(value.borrow()), bytes[..len], "{value:?}");
            assert_eq!(rest, Ok(behind));
        }
        Err(KeyDamage::Short) => assert_eq!(rest, Err(KeyDamage::Short), "{bytes:02x?}"),
        Err(_) => {}
    }
}

/// Compares a double with a number digit by digit: all digits of a double can be printed.
fn cmp_digits(double: f64, number: &Number) -> Ordering {
    let digits = |text: String| {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text.to_owned()),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        (negative, format!("{whole:0>200}{fraction:0<600}"))
    };
    let (one_negative, one) = digits(format!("{double:.600}"));
    let (other_negative, other) = digits(number.to_string());
    match (one_negative, other_negative) {
        (false, false) => one.cmp(&other),
        (true, true) => other.cmp(&one),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

#[track_caller]
fn check_floor(number: Number) {
    let key = encode(KeyValue::N(number));
    let ordered = u64::from_be_bytes(key[1..9].try_into().unwrap());
    let double = f64::from_bits(if ordered >> 63 == 1 { ordered ^ 1 << 63 } else { !ordered });
    let exact = cmp_digits(double, &number) == Ordering::Equal;
    assert_ne!(cmp_digits(double, &number), Ordering::Greater, "{number}");
    assert_eq!(cmp_digits(double.next_up(), &number), Ordering::Greater, "{number}");
    assert_eq!(key[9], u8::from(!exact), "{number}");
    assert_eq!(key.len() == 10, exact, "{number}");
    assert!(key.len() <= 30, "{number}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_ordered_by_value((one, other) in two_numbers()) {
        let bytes = encode(KeyValue::N(one)).cmp(&encode(KeyValue::N(other)));
        prop_assert_eq!(bytes, one.cmp(&other), "{} {}", one, other);
    }

    #[test]
    fn strings_are_ordered_by_their_utf8(one in text(), other in text()) {
        let bytes = encode(KeyValue::S(&one)).cmp(&encode(KeyValue::S(&other)));
        prop_assert_eq!(bytes, one.as_bytes().cmp(other.as_bytes()));
    }

    #[test]
    fn binaries_are_ordered_as_unsigned_bytes(one in bytes(), other in bytes()) {
        prop_assert_eq!(encode(KeyValue::B(&one)).cmp(&encode(KeyValue::B(&other))), one.cmp(&other));
    }

    #[test]
    fn keys_are_ordered_value_by_value((one, other) in two_keys()) {
        prop_assert_eq!(encode_all(&one).cmp(&encode_all(&other)), one.cmp(&other));
    }

    #[test]
    fn no_value_is_the_beginning_of_another(one in any_value(), other in any_value()) {
        let (one_key, other_key) = (encode(one.borrow()), encode(other.borrow()));
        prop_assert_eq!(one_key.starts_with(&other_key), one == other);
        prop_assert_eq!(one_key.cmp(&other_key), one.cmp(&other));
    }

    #[test]
    fn what_is_encoded_is_decoded(values in vec(any_value(), 1..9), behind in bytes()) {
        let mut key = encode_all(&values);
        let types: Vec<KeyType> = values.iter().map(|value| value.borrow().key_type()).collect();
        prop_assert_eq!(decode_all(&key, types), Ok(values.clone()));

        key.extend(&behind);
        let mut rest = &key[..];
        for value in &values {
            let (decoded, next) = decode(rest).unwrap();
            prop_assert_eq!(&decoded, value);
            prop_assert_eq!(skip(rest), Ok(next));
            rest = next;
        }
        prop_assert_eq!(rest, behind);
    }

    #[test]
    fn the_double_of_a_number_is_the_greatest_that_is_not_greater((one, other) in two_numbers()) {
        check_floor(one);
        check_floor(other);
    }

    #[test]
    fn integers_to_2_to_53_and_binary_fractions_take_ten_bytes(
        integer in -(1i64 << 53)..=1 << 53, mantissa in 0u64..1 << 53, shift in 0u32..1024, negative: bool,
    ) {
        prop_assert_eq!(encode(KeyValue::N(integer.into())).len(), 10);
        if let Some(number) = dyadic(negative, mantissa >> (shift % 53), shift / 32) {
            prop_assert_eq!(encode(KeyValue::N(number)).len(), 10, "{}", number);
        }
    }

    #[test]
    fn any_damage_to_a_key_is_refused_or_another_key(
        value in any_value(), place in any::<prop::sample::Index>(), byte: u8,
    ) {
        let key = encode(value.borrow());
        let mut damaged = key.clone();
        damaged[place.index(key.len())] = byte;
        check_hostile(&damaged);
        damaged[place.index(key.len())] = key[place.index(key.len())] ^ 1 << (byte % 8);
        check_hostile(&damaged);
        for len in 0..key.len() {
            prop_assert_eq!(decode(&key[..len]), Err(KeyDamage::Short));
            prop_assert_eq!(skip(&key[..len]), Err(KeyDamage::Short));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_a_key(
        tag in prop::sample::select(vec![b'B', b'N', b'S', 0, 0xff]), bytes in bytes(),
        exact in 0u8..3, tail in bytes(), double: u64,
    ) {
        check_hostile(&[&[tag][..], &bytes].concat());
        // The decimal of a damaged number is reached only behind a double.
        check_hostile(&[&[b'N'][..], &double.to_be_bytes(), &[exact], &tail].concat());
    }

    #[test]
    fn ranges_hold_exactly_the_keys_that_are_asked_for(
        partitions in vec(text(), 2..4),
        sort_values in prop_oneof![
            vec(text().prop_map(OwnedKeyValue::S), 2..12),
            vec(bytes().prop_map(OwnedKeyValue::B), 2..12),
            vec(any_number().prop_map(OwnedKeyValue::N), 2..12),
        ],
        behind in any_value(),
    ) {
        let partition = KeyPrefix::new().with(KeyValue::S(&partitions[0]));
        let (one, other) = (&sort_values[0], &sort_values[1]);
        let (a, b) = (one.borrow(), other.borrow());
        let ranges: [(&str, KeyRange, Expected<'_>); 8] = [
            ("all", partition.all(), &|_| true),
            ("eq", partition.sort_eq(a), &|value| value == one),
            ("lt", partition.sort_lt(a), &|value| value < one),
            ("le", partition.sort_le(a), &|value| value <= one),
            ("gt", partition.sort_gt(a), &|value| value > one),
            ("ge", partition.sort_ge(a), &|value| value >= one),
            ("between", partition.sort_between(a, b), &|value| one <= value && value <= other),
            ("between, turned", partition.sort_between(b, a), &|value| other <= value && value <= one),
        ];
        for (name, range, expected) in ranges {
            prop_assert!(range.start <= range.end, "{}", name);
            for other_partition in &partitions {
                for value in &sort_values {
                    let inside = other_partition == &partitions[0] && expected(value);
                    // Alone, as in a table, and with a table's key behind it, as in an index.
                    let key = KeyPrefix::new().with(KeyValue::S(other_partition)).with(value.borrow());
                    prop_assert_eq!(range.contains(key.as_bytes()), inside, "{} {:?} {:?}", name, other_partition, value);
                    let entry = key.with(behind.borrow());
                    prop_assert_eq!(range.contains(entry.as_bytes()), inside, "{} {:?} {:?}", name, other_partition, value);
                }
            }
        }
    }

    #[test]
    fn begins_with_is_the_range_of_the_strings_that_begin_so(
        partitions in vec(bytes(), 2..3), texts in vec(text(), 1..12), binaries in vec(bytes(), 1..12),
        text in text(), prefix in bytes(), cut in 0usize..4,
    ) {
        let partition = KeyPrefix::new().with(KeyValue::B(&partitions[0]));
        let check = |prefix: KeyValue<'_>, value: KeyValue<'_>, begins: bool| {
            let range = partition.sort_begins_with(prefix).unwrap();
            for other in &partitions {
                let key = KeyPrefix::new().with(KeyValue::B(other)).with(value);
                let inside = other == &partitions[0] && begins;
                assert_eq!(range.contains(key.as_bytes()), inside, "{prefix:?} {value:?}");
                assert_eq!(range.contains(key.with(KeyValue::S("x")).as_bytes()), inside, "{prefix:?} {value:?}");
            }
        };
        for value in &texts {
            let own: String = value.chars().take(cut).collect();
            for prefix in [&text, &own] {
                check(KeyValue::S(prefix), KeyValue::S(value), value.starts_with(prefix.as_str()));
            }
        }
        for value in &binaries {
            for prefix in [&prefix[..], &value[..cut.min(value.len())]] {
                check(KeyValue::B(prefix), KeyValue::B(value), value.starts_with(prefix));
            }
        }
    }
}

/// The layout is a promise: it is in every file.
#[test]
fn encoded_bytes_are_the_documented_ones() {
    let golden: [(KeyValue<'_>, &[u8]); 18] = [
        (KeyValue::S(""), &[0x53, 0, 0]),
        (KeyValue::S("a\0b"), &[0x53, 0x61, 0, 0xff, 0x62, 0, 0]),
        (KeyValue::S("ÿ"), &[0x53, 0xc3, 0xbf, 0, 0]),
        (KeyValue::S("\0\0"), &[0x53, 0, 0xff, 0, 0xff, 0, 0]),
        (KeyValue::B(&[]), &[0x42, 0, 0]),
        (KeyValue::B(&[0xff, 0, 0xff]), &[0x42, 0xff, 0, 0xff, 0xff, 0, 0]),
        (KeyValue::N(number("0")), &[0x4e, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]),
        (KeyValue::N(number("1")), &[0x4e, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0, 0]),
        (KeyValue::N(number("-2")), &[0x4e, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
        (KeyValue::N(number("0.75")), &[0x4e, 0xbf, 0xe8, 0, 0, 0, 0, 0, 0, 0]),
        (KeyValue::N(number("9007199254740992")), &[0x4e, 0xc3, 0x40, 0, 0, 0, 0, 0, 0, 0]),
        (
            KeyValue::N(number("9007199254740993")),
            // 90 07 19 92 54 74 09 93
            &[0x4e, 0xc3, 0x40, 0, 0, 0, 0, 0, 0, 1, 145, 181, 15, 39, 185, 109, 149, 19, 186],
        ),
        (KeyValue::N(number("0.1")), &[0x4e, 0xbf, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 1, 0x81, 0x14]),
        (KeyValue::N(number("-0.1")), &[0x4e, 0x40, 0x46, 0x66, 0x66, 0x66, 0x66, 0x66, 0x65, 1, 0x7e, 0xeb]),
        (
            KeyValue::N(number("19.99")),
            &[0x4e, 0xc0, 0x33, 0xfd, 0x70, 0xa3, 0xd7, 0x0a, 0x3d, 1, 131, 39, 198],
        ),
        (
            // Three digits: the last pair is filled up.
            KeyValue::N(number("12.3")),
            &[0x4e, 0xc0, 0x28, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 1, 131, 25, 60],
        ),
        (KeyValue::N(number("1E-130")), &[0x4e, 0xa4, 0xf1, 0xbe, 0xbd, 0xf5, 0x78, 0xb2, 0xf3, 1, 0, 20]),
        (
            KeyValue::N(number("-9.9999999999999999999999999999999999999E+125")),
            &[
                0x4e, 0x25, 0xe8, 0x5d, 0x13, 0x3b, 0xeb, 0x5f, 0xbf, 1, 0, 56, 56, 56, 56, 56, 56, 56, 56,
                56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 57,
            ],
        ),
    ];
    for (value, bytes) in golden {
        assert_eq!(encode(value), bytes, "{value:?}");
        assert_eq!(decode(bytes).map(|(value, rest)| (value, rest.len())).unwrap().0.borrow(), value);
        if let KeyValue::N(number) = value {
            check_floor(number);
        }
    }
    let key = KeyPrefix::new().with(KeyValue::S("a")).with(KeyValue::N(number("1")));
    assert_eq!(key.as_bytes(), [0x53, 0x61, 0, 0, 0x4e, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_landmarks_are_in_order_and_come_back() {
    for one in landmarks() {
        check_floor(one);
        let key = encode(KeyValue::N(one));
        assert_eq!(decode(&key), Ok((OwnedKeyValue::N(one), &[][..])));
        for other in landmarks() {
            assert_eq!(key.cmp(&encode(KeyValue::N(other))), one.cmp(&other), "{one} {other}");
        }
    }
}

#[test]
fn integers_around_every_power_of_two_are_keys_of_their_own() {
    let mut last: Option<(Number, Vec<u8>)> = None;
    for bit in 1..126 {
        for by in -2..=2 {
            let Ok(number) = Number::try_from((1i128 << bit) + by) else { continue };
            let key = encode(KeyValue::N(number));
            check_floor(number);
            if let Some((last, last_key)) = &last {
                assert_eq!(key.cmp(last_key), number.cmp(last), "{number} {last}");
            }
            last = Some((number, key));
        }
    }
}

#[test]
fn equal_numbers_are_one_key() {
    for same in [["0", "-0"], ["1", "1.0"], ["1", "1e0"], ["100", "1E2"], ["0.1", ".100"], ["-5", "-0.5e1"]] {
        assert_eq!(n(same[0]), n(same[1]));
    }
    assert_ne!(n("9007199254740992"), n("9007199254740993"));
}

#[test]
fn begins_with_is_right_beside_what_could_be_mistaken() {
    let partition = KeyPrefix::new().with(KeyValue::S("p"));
    let check = |prefix: KeyValue<'_>, inside: &[KeyValue<'_>], outside: &[KeyValue<'_>]| {
        let range = partition.sort_begins_with(prefix).unwrap();
        for value in inside {
            assert!(range.contains(partition.clone().with(*value).as_bytes()), "{prefix:?} {value:?}");
        }
        for value in outside {
            assert!(!range.contains(partition.clone().with(*value).as_bytes()), "{prefix:?} {value:?}");
        }
        let other = KeyPrefix::new().with(KeyValue::S("p\0")).with(prefix);
        assert!(!range.contains(other.as_bytes()));
    };
    let s = KeyValue::S;
    check(s("ÿ"), &[s("ÿ"), s("ÿ\0"), s("ÿÿ"), s("ÿ\u{10ffff}")], &[s("þ"), s("þ\u{10ffff}"), s("ā"), s("")]);
    check(s("a\0"), &[s("a\0"), s("a\0\0"), s("a\0b")], &[s("a"), s("a\u{1}"), s("aa"), s("b")]);
    check(s("\0"), &[s("\0"), s("\0\0")], &[s(""), s("\u{1}")]);
    check(s(""), &[s(""), s("\0"), s("\u{10ffff}")], &[KeyValue::B(b""), KeyValue::N(0.into())]);
    check(s("\u{10ffff}"), &[s("\u{10ffff}"), s("\u{10ffff}\u{10ffff}")], &[s("\u{10fffe}"), s("")]);
    let b = |bytes: &'static [u8]| KeyValue::B(bytes);
    check(b(&[0xff, 0xff]), &[b(&[0xff, 0xff]), b(&[0xff; 9])], &[b(&[0xff]), b(&[0xff, 0xfe]), b(&[])]);
    check(b(&[1, 0xff]), &[b(&[1, 0xff]), b(&[1, 0xff, 0xff])], &[b(&[2]), b(&[1, 0xfe, 0xff]), b(&[1])]);
    check(
        b(&[0xff, 0]),
        &[b(&[0xff, 0]), b(&[0xff, 0, 0xff])],
        &[b(&[0xff]), b(&[0xff, 1]), b(&[0xff, 0xff])],
    );
    check(b(&[]), &[b(&[]), b(&[0xff; 9])], &[s("")]);
    assert_eq!(partition.sort_begins_with(KeyValue::N(1.into())), None);
}

#[test]
fn ranges_hold_values_of_one_type() {
    let partition = KeyPrefix::new().with(KeyValue::S("p"));
    let key = |value| partition.clone().with(value).into_bytes();
    let (binary, number, text) = (KeyValue::B(b"b"), KeyValue::N(1.into()), KeyValue::S("s"));
    for value in [binary, number, text] {
        let ranges = [
            partition.sort_le(value),
            partition.sort_ge(value),
            partition.sort_between(value, value),
            partition.sort_eq(value),
        ];
        for other in [binary, number, text] {
            for range in ranges.iter().chain([&partition.sort_lt(value), &partition.sort_gt(value)]) {
                assert!(other == value || !range.contains(&key(other)), "{value:?} {other:?}");
            }
            assert!(ranges.iter().all(|range| range.contains(&key(value))));
            assert!(partition.all().contains(&key(other)));
        }
    }
}

#[test]
fn a_range_becomes_the_range_of_a_scan() {
    let range = KeyPrefix::new().with(KeyValue::S("a")).all();
    assert_eq!((&range.start[..], &range.end[..]), (&b"Sa\0\0"[..], &b"Sa\0\0\xff"[..]));
    let scan = dynamite_txn::Range::from(range.clone());
    assert_eq!((scan.from, scan.to), range.clone().into_bounds());
    assert!(!scan.reverse);
    assert!(range.contains(b"Sa\0\0") && !range.contains(b"Sa\0\0\xff"));
    assert_eq!(KeyPrefix::new().all().into_bounds().0, std::ops::Bound::Included(vec![]));
}

#[test]
fn each_damage_is_named() {
    let double = |double: f64| {
        let bits = double.to_bits();
        if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }.to_be_bytes()
    };
    let number = |floor: f64, rest: &[u8]| [&[b'N'][..], &double(floor), rest].concat();
    let not_a_number = |value: f64| KeyDamage::Double { bits: value.to_bits() };
    let floor = 0.1f64.next_down();

    for (bytes, damage) in [
        (vec![], KeyDamage::Short),
        (b"S".to_vec(), KeyDamage::Short),
        (b"Sabc".to_vec(), KeyDamage::Short),
        (b"Sabc\0".to_vec(), KeyDamage::Short),
        (b"Nabcdefgh".to_vec(), KeyDamage::Short),
        (number(floor, &[1]), KeyDamage::Short),
        (number(floor, &[1, 0x81]), KeyDamage::Short),
        (number(floor, &[1, 0x81, 21]), KeyDamage::Short),
        (b"X\0\0".to_vec(), KeyDamage::Tag { tag: b'X' }),
        (b"Sa\0\x01".to_vec(), KeyDamage::Escape { byte: 1 }),
        (b"Ba\0\xfe\0\0".to_vec(), KeyDamage::Escape { byte: 0xfe }),
        (b"Sa\xff\0\0".to_vec(), KeyDamage::NotUtf8 { valid_up_to: 1 }),
        (number(-0.0, &[0]), not_a_number(-0.0)),
        (number(-0.0, &[1, 0x81, 20]), not_a_number(-0.0)),
        (number(f64::INFINITY, &[0]), not_a_number(f64::INFINITY)),
        (number(f64::NEG_INFINITY, &[0]), not_a_number(f64::NEG_INFINITY)),
        (number(f64::NAN, &[0]), not_a_number(f64::NAN)),
        // Doubles whose digits are too many, or that are out of range.
        (number(0.1, &[0]), not_a_number(0.1)),
        (number(1e-130, &[0]), not_a_number(1e-130)),
        (number(1e300, &[0]), not_a_number(1e300)),
        (number(f64::MIN_POSITIVE, &[0]), not_a_number(f64::MIN_POSITIVE)),
        (number(5e-324, &[0]), not_a_number(5e-324)),
        (number(f64::MAX, &[0]), not_a_number(f64::MAX)),
        (number(2f64.powi(127), &[0]), not_a_number(2f64.powi(127))),
        (number(1.0, &[2]), KeyDamage::Exact { exact: 2 }),
        // 0.1 with a pair of zeros behind it, with a zero before it, with a pair of 120, and with 20 pairs and more.
        (number(floor, &[1, 0x81, 21, 0]), KeyDamage::Digits),
        (number(floor, &[1, 0x82, 2]), KeyDamage::Digits),
        (number(floor, &[1, 0x82, 0]), KeyDamage::Digits),
        (number(floor, &[1, 0x82, 3, 20]), KeyDamage::Digits),
        (number(floor, &[1, 0x81, 240]), KeyDamage::Digits),
        (number(floor, &[&[1, 0x81][..], &[21; 19], &[20]].concat()), KeyDamage::Digits),
        (number(floor, &[&[1, 0x81][..], &[21; 99], &[20]].concat()), KeyDamage::Digits),
        // 1.1005 as 10, 100 and 50, where the hundred carries.
        (number(1.1005f64.next_down(), &[1, 130, 21, 201, 100]), KeyDamage::Digits),
        (number(1.1005, &[1, 130, 21, 201, 100]), KeyDamage::Digits),
        (
            number(0.1, &[1, 0x81, 20]),
            KeyDamage::NotItsFloor { bits: 0.1f64.to_bits(), number: self::number("0.1") },
        ),
        (
            number(-floor, &[1, 0x7e, 0xeb]),
            KeyDamage::NotItsFloor { bits: (-floor).to_bits(), number: self::number("-0.1") },
        ),
        // A number that its double is.
        (
            number(0.5, &[1, 0x81, 100]),
            KeyDamage::NotItsFloor { bits: 0.5f64.to_bits(), number: self::number("0.5") },
        ),
        (number(0.0, &[1, 0x81, 20]), KeyDamage::NotItsFloor { bits: 0, number: self::number("0.1") }),
        (
            number(f64::NAN, &[1, 0x81, 20]),
            KeyDamage::NotItsFloor { bits: f64::NAN.to_bits(), number: self::number("0.1") },
        ),
    ] {
        assert_eq!(decode(&bytes), Err(damage), "{bytes:02x?}");
        check_hostile(&bytes);
    }
    assert_eq!(decode(&number(floor, &[1, 0x81, 20])), Ok((OwnedKeyValue::N(self::number("0.1")), &[][..])));

    let key = encode(KeyValue::S("a"));
    assert_eq!(decode_all(&key, [KeyType::String]), Ok(vec![OwnedKeyValue::S("a".to_owned())]));
    let wrong = KeyDamage::WrongType { expected: KeyType::Number, found: KeyType::String };
    assert_eq!(decode_all(&key, [KeyType::Number]), Err(wrong.clone()));
    assert_eq!(wrong.to_string(), "a key value is of type S, the schema says N");
    assert_eq!(decode_all(&key, []), Err(KeyDamage::TooLong { len: 4 }));
    assert_eq!(decode_all(&key, [KeyType::String; 2]), Err(KeyDamage::Short));
}

#[test]
fn key_values_are_neither_empty_nor_too_long() {
    let check = |value: KeyValue<'_>, role, index| {
        value.check_limits(role, "id", index).map_err(|error| error.to_string())
    };
    let long = "\0".repeat(2049);
    let umlauts = "ä".repeat(1024);
    for index in [None, Some("by_id")] {
        for (role, max) in [(KeyRole::Partition, 2048), (KeyRole::Sort, 1024)] {
            for len in [1, max] {
                assert_eq!(check(KeyValue::S(&long[..len]), role, index), Ok(()));
                assert_eq!(check(KeyValue::B(&long.as_bytes()[..len]), role, index), Ok(()));
            }
            assert!(check(KeyValue::S(&long[..=max]), role, index).is_err());
            assert!(check(KeyValue::B(&long.as_bytes()[..=max]), role, index).is_err());
            for number in landmarks() {
                assert_eq!(check(KeyValue::N(number), role, index), Ok(()));
            }
        }
    }
    // Bytes count, not characters, and as they are, not as they are stored.
    assert_eq!(check(KeyValue::S(&umlauts), KeyRole::Partition, None), Ok(()));
    assert!(check(KeyValue::S(&umlauts), KeyRole::Sort, None).is_err());

    let empty = |what| {
        format!(
            "One or more parameter values are not valid. \
            The AttributeValue for a key attribute cannot contain an empty {what} value. Key: id"
        )
    };
    assert_eq!(check(KeyValue::S(""), KeyRole::Partition, None), Err(empty("string")));
    assert_eq!(check(KeyValue::B(b""), KeyRole::Sort, None), Err(empty("binary")));
    let empty_in_index = |what| {
        format!(
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. \
            The AttributeValue for a key attribute cannot contain an empty {what} value. IndexName: by_id, IndexKey: id"
        )
    };
    assert_eq!(check(KeyValue::S(""), KeyRole::Sort, Some("by_id")), Err(empty_in_index("string")));
    assert_eq!(check(KeyValue::B(b""), KeyRole::Partition, Some("by_id")), Err(empty_in_index("binary")));

    let invalid = "One or more parameter values were invalid: ";
    assert_eq!(
        check(KeyValue::S(&long), KeyRole::Partition, None),
        Err(format!("{invalid}Size of hashkey has exceeded the maximum size limit of2048 bytes"))
    );
    assert_eq!(
        check(KeyValue::S(&long), KeyRole::Sort, None),
        Err(format!("{invalid}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"))
    );
    assert_eq!(
        check(KeyValue::B(long.as_bytes()), KeyRole::Sort, Some("by_id")),
        Err(format!(
            "{invalid}Size limit exceeded for Index Key id Actual Size: 2049 bytes Max Size: 1024 bytes IndexName: by_id"
        ))
    );
}

#[test]
fn the_longest_key_of_nuls_takes_two_bytes_each() {
    let nuls = "\0".repeat(2048);
    let key = KeyPrefix::new().with(KeyValue::S(&nuls)).with(KeyValue::S(&nuls[..1024])).into_bytes();
    assert_eq!(key.len(), 2 * 2048 + 3 + 2 * 1024 + 3);
    let values = decode_all(&key, [KeyType::String; 2]).unwrap();
    assert_eq!(values, [OwnedKeyValue::S(nuls.clone()), OwnedKeyValue::S(nuls[..1024].to_owned())]);
}
