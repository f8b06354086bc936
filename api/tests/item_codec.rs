//! The stored form of items: what goes in comes out, equal items have equal bytes, and what DynamoDB refuses is refused on
//! every way in.

#![allow(clippy::unwrap_used)]

mod items;
mod numbers;

use dynamite_core::api::EncodedItem;
use dynamite_core::dynamodb_json::to_dynamodb_json;
use dynamite_core::item_codec::{
    ItemError, ItemView, ItemWriter, check, decode, decode_json, encode, encode_into, encode_json,
    encode_json_into, from_bytes, to_bytes, to_bytes_into,
};
use dynamite_core::json::{item_from_json, item_to_json};
use dynamite_core::limits::{MAX_ITEM_SIZE, ValueError, item_size};
use dynamite_core::{AttributeValue, Item};
use items::{any_item, item_of, nested};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn items_come_back_as_they_went_in(item in any_item()) {
        let mut bytes = b"kept".to_vec();
        let size = encode_into(&item, &mut bytes).unwrap();
        prop_assert_eq!(&bytes[..4], b"kept");
        let bytes = &bytes[4..];
        prop_assert_eq!(size, item_size(&item));
        prop_assert_eq!(check(bytes), Ok(size));
        prop_assert_eq!(&decode(bytes).unwrap(), &item);
        prop_assert_eq!(&ItemView::new(bytes).unwrap().to_item().unwrap(), &item);
    }

    #[test]
    fn json_goes_the_same_way_with_and_without_the_model_in_between(item in any_item()) {
        let bytes = encode(&item).unwrap();
        let json = item_to_json(item.clone());
        let mut straight = Vec::new();
        prop_assert_eq!(encode_json_into(&json, &mut straight).unwrap(), item_size(&item));
        prop_assert_eq!(&straight, &bytes);
        prop_assert_eq!(&decode_json(&bytes).unwrap(), &json);
    }

    #[test]
    fn serde_goes_the_same_way_as_the_model(item in any_item()) {
        let bytes = encode(&item).unwrap();
        let mut by_serde = Vec::new();
        prop_assert_eq!(to_bytes_into(&item, &mut by_serde).unwrap(), item_size(&item));
        prop_assert_eq!(&by_serde, &bytes);
        prop_assert_eq!(&from_bytes::<Item>(&bytes).unwrap(), &item);
        let value = AttributeValue::M(item);
        prop_assert_eq!(&to_bytes(&value).unwrap(), &bytes);
        prop_assert_eq!(&from_bytes::<AttributeValue>(&bytes).unwrap(), &value);
    }

    #[test]
    fn a_writer_puts_and_copies_in_any_order(item in any_item(), keys in prop::collection::vec(any::<u64>(), 6)) {
        let bytes = encode(&item).unwrap();
        let view = ItemView::new(&bytes).unwrap();
        let mut shuffled: Vec<_> = view.iter().map(|entry| entry.unwrap()).zip(keys).collect();
        shuffled.sort_by_key(|(_, key)| *key);
        let mut writer = ItemWriter::with_buffer(b"kept".to_vec());
        for ((name, value), key) in shuffled {
            if key % 2 == 0 {
                writer.copy(name, value).unwrap();
            } else {
                writer.put(name, &value.to_value().unwrap()).unwrap();
            }
        }
        prop_assert_eq!(writer.size(), item_size(&item));
        prop_assert_eq!(&writer.finish().unwrap()[4..], bytes);
    }

    #[test]
    fn equal_items_have_equal_bytes_and_others_have_others(a in few_items(), b in few_items()) {
        prop_assert_eq!(a == b, encode(&a).unwrap() == encode(&b).unwrap());
    }
}

/// Few enough items that two are often equal, in values that look alike.
fn few_items() -> impl Strategy<Value = Item> {
    let value = prop_oneof![
        prop::sample::select(vec!["", "a", "1"]).prop_map(AttributeValue::from),
        prop::sample::select(vec![&b""[..], b"a", b"1"]).prop_map(AttributeValue::from),
        prop::sample::select(vec!["0", "1", "1.0", "10e-1", "-0", "-1", "100"])
            .prop_map(|text| AttributeValue::N(text.parse().unwrap())),
        any::<bool>().prop_map(AttributeValue::from),
        Just(AttributeValue::Null),
        prop::sample::select(vec![vec!["a"], vec!["", "a"], vec!["1", "a"]])
            .prop_map(AttributeValue::string_set),
        prop::sample::select(vec![vec![0], vec![1], vec![0, 1]]).prop_map(AttributeValue::number_set),
        Just(AttributeValue::L(vec![])),
        Just(AttributeValue::M(Item::new())),
    ];
    prop::collection::btree_map("[ab]", value, 0..3)
}

/// The lengths of bodies at which their headers become longer, for each type whose body can have them.
#[test]
fn bodies_of_all_lengths_around_the_limits_of_a_header_come_back() {
    for len in [0, 1, 10, 11, 12, 13, 254, 255, 256, 257, 65_534, 65_535, 65_536, 65_537, 300_000] {
        let text = "x".repeat(len);
        let mut values = vec![AttributeValue::from(&text), AttributeValue::from(text.clone().into_bytes())];
        // A string in a list has a header of its own, and so has one in a map, with 2 bytes of name; a member has a varint.
        for header in 1..=4 {
            if let Some(rest) = len.checked_sub(header) {
                values.push(AttributeValue::L(vec![AttributeValue::from(&text[..rest])]));
                values.push(AttributeValue::string_set([&text[..rest]]));
                values.push(AttributeValue::binary_set([text.as_bytes()[..rest].to_vec()]));
            }
            if let Some(rest) = len.checked_sub(header + 2) {
                values.push(AttributeValue::M(item_of("k", AttributeValue::from(&text[..rest]))));
            }
        }
        for value in values {
            let item = item_of("v", value.clone());
            let bytes = encode(&item).unwrap();
            assert_eq!(decode(&bytes).unwrap(), item, "a body of about {len} bytes");
            assert_eq!(check(&bytes), Ok(item_size(&item)), "a body of about {len} bytes");
            assert_eq!(encode_json(&item_to_json(item.clone())).unwrap(), bytes);
            assert_eq!(to_bytes(&item).unwrap(), bytes);
            assert_eq!(ItemView::new(&bytes).unwrap().get("v").unwrap().unwrap().to_value().unwrap(), value);
        }
    }
}

/// The five ways in by which a whole item comes.
#[track_caller]
fn encode_on_every_way(item: &Item) -> Result<Vec<u8>, ValueError> {
    let results = [
        encode(item),
        encode_json(&item_to_json(item.clone())),
        to_bytes(item),
        write_pieces(item).map_err(|error| match error {
            ItemError::Value(error) => error,
            ItemError::Damage(damage) => panic!("{damage}"),
        }),
    ];
    for result in &results {
        assert_eq!(result, &results[0]);
    }
    // The error of this one is a text.
    let straight = EncodedItem::deserialize(&to_dynamodb_json(item)).map(EncodedItem::into_bytes);
    assert_eq!(
        straight.map_err(|error| error.to_string()),
        results[0].clone().map_err(|error| error.to_string())
    );
    results.into_iter().next().unwrap()
}

/// Writes an item with every map and list opened by hand.
fn write_pieces(item: &Item) -> Result<Vec<u8>, ItemError> {
    fn entry(writer: &mut ItemWriter, name: &str, value: &AttributeValue) -> Result<(), ItemError> {
        match value {
            AttributeValue::M(entries) => {
                writer.begin_map(name)?;
                entries.iter().try_for_each(|(name, value)| entry(writer, name, value))?;
                writer.end()
            }
            AttributeValue::L(elements) => {
                writer.begin_list(name)?;
                elements.iter().try_for_each(|value| element(writer, value))?;
                writer.end()
            }
            value => writer.put(name, value),
        }
    }
    fn element(writer: &mut ItemWriter, value: &AttributeValue) -> Result<(), ItemError> {
        match value {
            AttributeValue::M(entries) => {
                writer.push_map()?;
                entries.iter().try_for_each(|(name, value)| entry(writer, name, value))?;
                writer.end()
            }
            AttributeValue::L(elements) => {
                writer.push_list()?;
                elements.iter().try_for_each(|value| element(writer, value))?;
                writer.end()
            }
            value => writer.push(value),
        }
    }
    let mut writer = ItemWriter::new();
    item.iter().try_for_each(|(name, value)| entry(&mut writer, name, value))?;
    writer.finish()
}

#[test]
fn level_32_is_accepted_and_level_33_refused_on_every_way_in() {
    for leaf in
        [AttributeValue::from("leaf"), AttributeValue::M(Item::new()), AttributeValue::string_set(["a"])]
    {
        let deepest = item_of("v", nested(32, leaf.clone()));
        let bytes = encode_on_every_way(&deepest).unwrap();
        assert_eq!(decode(&bytes).unwrap(), deepest);
        assert_eq!(decode_json(&bytes).unwrap(), item_to_json(deepest.clone()));
        let mut text = Vec::new();
        EncodedItem::new(&bytes).unwrap().write_dynamodb_json(&mut text).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), to_dynamodb_json(&deepest));
        assert_eq!(from_bytes::<Item>(&bytes).unwrap(), deepest);
        assert_eq!(from_bytes::<Value>(&to_bytes(&json!({"v": 1})).unwrap()).unwrap(), json!({"v": 1}));
        assert_eq!(check(&bytes), Ok(item_size(&deepest)));
        assert_eq!(item_from_json(item_to_json(deepest.clone())).unwrap(), deepest);

        let too_deep = item_of("v", nested(33, leaf));
        assert_eq!(encode_on_every_way(&too_deep), Err(ValueError::NestingTooDeep));
        assert_eq!(item_from_json(item_to_json(too_deep)), Err(ValueError::NestingTooDeep));
    }
}

#[test]
fn a_copy_that_would_lie_too_deep_is_refused() {
    let bytes = encode(&item_of("v", nested(20, AttributeValue::Null))).unwrap();
    let value = ItemView::new(&bytes).unwrap().get("v").unwrap().unwrap();
    for (maps, fits) in [(12, true), (13, false)] {
        let mut writer = ItemWriter::new();
        (0..maps).for_each(|_| writer.begin_map("m").unwrap());
        let copied = writer.copy("v", value);
        assert_eq!(copied.is_ok(), fits, "{maps} maps around 20 levels");
        if !fits {
            assert_eq!(copied, Err(ValueError::NestingTooDeep.into()));
            // An error that nobody looked at comes up again.
            assert_eq!(writer.put("other", &AttributeValue::Null), Err(ValueError::NestingTooDeep.into()));
            assert_eq!(writer.finish(), Err(ValueError::NestingTooDeep.into()));
            continue;
        }
        (0..maps).for_each(|_| writer.end().unwrap());
        check(&writer.finish().unwrap()).unwrap();
    }
}

#[test]
fn the_largest_item_is_accepted_and_one_byte_more_refused_on_every_way_in() {
    let shapes: [&dyn Fn(usize) -> AttributeValue; 5] = [
        &|len| AttributeValue::from("s".repeat(len)),
        &|len| AttributeValue::from(vec![1; len]),
        &|len| AttributeValue::L(vec![AttributeValue::from("s".repeat(len - 3 - 1))]),
        &|len| AttributeValue::M(item_of("k", "s".repeat(len - 3 - 1 - 1))),
        // Each null in a list counts two.
        &|len| {
            let mut list = vec![AttributeValue::Null; (len - 3 - 10) / 2];
            list.push(AttributeValue::from("s".repeat(len - 3 - 2 * list.len() - 1)));
            AttributeValue::L(list)
        },
    ];
    for shape in shapes {
        let largest = item_of("name", shape(MAX_ITEM_SIZE - 4));
        assert_eq!(item_size(&largest), 409_600);
        let bytes = encode_on_every_way(&largest).unwrap();
        assert_eq!(check(&bytes), Ok(409_600));
        assert_eq!(decode(&bytes).unwrap(), largest);

        let too_large = item_of("name", shape(MAX_ITEM_SIZE - 3));
        assert_eq!(encode_on_every_way(&too_large), Err(ValueError::ItemTooLarge { size: 409_601 }));
    }
}

#[test]
fn names_have_1_to_65535_bytes_on_every_way_in() {
    for len in [1, 127, 128, 129, 16_383, 16_384, 65_535] {
        let item = item_of(&"n".repeat(len), item_of(&"m".repeat(len), true));
        let bytes = encode_on_every_way(&item).unwrap();
        assert_eq!(decode(&bytes).unwrap(), item);
        assert!(ItemView::new(&bytes).unwrap().get(&"n".repeat(len)).unwrap().is_some());
    }
    let long = "n".repeat(65_536);
    for item in [item_of(&long, 1), item_of("m", item_of(&long, 1))] {
        assert_eq!(encode_on_every_way(&item), Err(ValueError::NameTooLong { len: 65_536 }));
    }
    for item in [item_of("", 1), item_of("m", item_of("", 1))] {
        assert_eq!(encode_on_every_way(&item), Err(ValueError::EmptyName));
    }
}

#[test]
fn empty_sets_are_refused_when_they_are_stored() {
    let sets = [
        AttributeValue::Ss(Default::default()),
        AttributeValue::Ns(Default::default()),
        AttributeValue::Bs(Default::default()),
    ];
    for set in sets {
        let expected = ValueError::EmptySet { set: set.attribute_type() };
        assert_eq!(encode_on_every_way(&item_of("s", AttributeValue::L(vec![set]))), Err(expected));
    }
}

#[test]
fn only_a_map_is_an_item() {
    let not_items = [
        json!("a"),
        json!(1),
        json!(null),
        json!(true),
        json!([1]),
        json!({"$ss": ["a"]}),
        json!({"$binary": ""}),
    ];
    for json in not_items {
        let value = AttributeValue::try_from(json.clone()).unwrap();
        let expected = Err(ValueError::NotAnItem { found: value.attribute_type() });
        assert_eq!(encode_json(&json), expected);
        assert_eq!(item_from_json(json), expected.clone().map(|_| Item::new()));
        assert_eq!(to_bytes(&value), expected);
    }
}

#[test]
fn after_an_error_the_buffer_is_as_it_was() {
    let item = Item::from([
        ("a".to_owned(), AttributeValue::from(1)),
        ("z".to_owned(), nested(40, AttributeValue::Null)),
    ]);
    let mut buffer = b"kept".to_vec();
    encode_into(&item, &mut buffer).unwrap_err();
    encode_json_into(&item_to_json(item.clone()), &mut buffer).unwrap_err();
    to_bytes_into(&item, &mut buffer).unwrap_err();
    assert_eq!(buffer, b"kept");
}

#[test]
fn names_written_twice_are_refused() {
    let mut writer = ItemWriter::new();
    for name in ["b", "a", "b"] {
        writer.put(name, &AttributeValue::Null).unwrap();
    }
    assert_eq!(writer.finish(), Err(ValueError::DuplicateName { name: "b".to_owned() }.into()));

    let mut writer = ItemWriter::new();
    writer.begin_map("m").unwrap();
    for name in ["long name one", "long name two", "long name", "long name two"] {
        writer.put(name, &AttributeValue::Null).unwrap();
    }
    let expected: ItemError = ValueError::DuplicateName { name: "long name two".to_owned() }.into();
    assert_eq!(writer.end(), Err(expected.clone()));
    assert_eq!(writer.finish(), Err(expected));
}

#[test]
fn many_names_in_any_order_are_sorted() {
    // Names that differ early, late, only in length, or in bytes that are no ASCII.
    let mut names: Vec<String> = (0..100).map(|n| format!("{n}")).collect();
    names.extend((0..50).map(|n| format!("the same long beginning {n}")));
    names.extend((1..20).map(|n| "z".repeat(n)));
    names.extend(["ÿ", "þ", "ā", "\u{0}", "a\u{0}", "a", "a\u{0}\u{0}b", "😀"].map(str::to_owned));
    let item: Item = names.iter().map(|name| (name.clone(), AttributeValue::from(name))).collect();
    let expected = encode(&item).unwrap();
    for step in [1, 7, 55, 91] {
        let mut writer = ItemWriter::new();
        let mut at = 0;
        for _ in 0..names.len() {
            writer.put(&names[at], &AttributeValue::from(&names[at])).unwrap();
            at = (at + step) % names.len();
        }
        assert_eq!(writer.finish().unwrap(), expected, "in steps of {step} of {}", names.len());
    }
}
