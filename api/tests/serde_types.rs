//! Users' types to and from the stored form by `serde`.

#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;

use dynamite_core::item_codec::{
    DecodeError, ItemDamage, check, decode_json, encode_json, from_bytes, to_bytes,
};
use dynamite_core::limits::ValueError;
use dynamite_core::number::NumberError;
use dynamite_core::{AttributeValue, Item, Number};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A value becomes this JSON, which is also what `serde_json` makes of it, and comes back.
#[track_caller]
fn check_type<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, json: Value) {
    assert_eq!(serde_json::to_value(&value).unwrap(), json, "what serde_json makes of it");
    check_ours(value, json);
}

/// A value becomes this JSON and comes back.
#[track_caller]
fn check_ours<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, json: Value) {
    let document = Wrapped { v: value };
    let bytes = to_bytes(&document).unwrap();
    check(&bytes).unwrap();
    assert_eq!(decode_json(&bytes).unwrap(), json!({ "v": json }));
    assert_eq!(from_bytes::<Wrapped<T>>(&bytes).unwrap(), document);
    assert_eq!(bytes, encode_json(&json!({ "v": json })).unwrap());
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Wrapped<T> {
    v: T,
}

#[track_caller]
fn mismatch<T: DeserializeOwned + Debug>(json: Value, message: &str) {
    let bytes = encode_json(&json!({ "v": json })).unwrap();
    match from_bytes::<Wrapped<T>>(&bytes) {
        Err(DecodeError::Mismatch(said)) => assert_eq!(said, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn simple_types_are_what_serde_json_makes_of_them() {
    check_type(true, json!(true));
    check_type('ß', json!("ß"));
    check_type("text".to_owned(), json!("text"));
    check_type((), json!(null));
    check_type((i8::MIN, i16::MIN, i32::MIN, i64::MIN), json!([i8::MIN, i16::MIN, i32::MIN, i64::MIN]));
    check_type((u8::MAX, u16::MAX, u32::MAX, u64::MAX), json!([u8::MAX, u16::MAX, u32::MAX, u64::MAX]));
    check_type((0.1f64, -2.5f64), json!([0.1, -2.5]));
    check_type(Some(1), json!(1));
    check_type(None::<i32>, json!(null));
    check_type(vec![Some(1), None], json!([1, null]));
    check_type([1, 2, 3], json!([1, 2, 3]));
    check_type((1, "a".to_owned(), vec![true]), json!([1, "a", [true]]));
    check_type(
        BTreeMap::from([("a".to_owned(), vec![HashMap::from([("b".to_owned(), 1)])])]),
        json!({"a": [{"b": 1}]}),
    );
    check_type(BTreeSet::from([3, 1, 2]), json!([1, 2, 3]));
    check_type(Box::new(Cow::<str>::Borrowed("cow")), json!("cow"));
    check_type(std::net::IpAddr::from([127, 0, 0, 1]), json!("127.0.0.1"));
    check_type(std::time::Duration::from_millis(1500), json!({"secs": 1, "nanos": 500_000_000}));
}

#[test]
fn numbers_are_exact_beyond_json() {
    check_ours(0.1f32, json!(0.1));
    check_ours(16_777_216f32, json!(16_777_216));
    check_ours(f32::MIN_POSITIVE / 3.0, json!(3.918_315e-39));
    check_ours(1e23, json!(1e23));
    check_ours(i128::from(u64::MAX) + 1, json!({"$number": "18446744073709551616"}));
    check_ours(
        -99_999_999_999_999_999_999_999_999_999_999_999_999i128,
        json!({"$number": format!("-{}", "9".repeat(38))}),
    );
    check_ours(i128::MIN + 728, json!({"$number": "-170141183460469231731687303715884105000"}));
    check_ours(10u128.pow(38), json!(1e38));
    check_ours(u128::from(u64::MAX), json!(u64::MAX));

    assert_eq!(to_bytes(&Wrapped { v: u128::MAX }), Err(NumberError::TooManyDigits.into()));
    assert_eq!(to_bytes(&Wrapped { v: f64::MAX }), Err(NumberError::Overflow.into()));
    assert_eq!(to_bytes(&Wrapped { v: f64::NAN }), Err(NumberError::NotFinite { name: "NaN" }.into()));
    assert_eq!(
        to_bytes(&Wrapped { v: f32::INFINITY }),
        Err(NumberError::NotFinite { name: "Infinity" }.into())
    );
}

/// An `f32` is read from the decimal, not from a double that was rounded before.
#[test]
fn floats_are_rounded_once() {
    for float in (0..u32::MAX).step_by(9_999_991).map(f32::from_bits).filter(|float| float.is_finite()) {
        let bytes = to_bytes(&Wrapped { v: float }).unwrap();
        assert_eq!(from_bytes::<Wrapped<f32>>(&bytes).unwrap().v, float);
    }
    // Just above halfway between two `f32`s, by less than a double can tell; the second among those below the normal ones.
    for text in ["1.00000005960464477539062500000001", "-3.5032461608120426773093239582247903283E-45"] {
        let bytes = encode_json(&json!({"v": {"$number": text}})).unwrap();
        assert_eq!(from_bytes::<Wrapped<f32>>(&bytes).unwrap().v, text.parse::<f32>().unwrap());
        assert_ne!(text.parse::<f32>().unwrap(), text.parse::<f64>().unwrap() as f32);
    }
}

#[test]
fn integers_are_read_from_any_number_that_is_one() {
    let read = |json: Value| {
        from_bytes::<Wrapped<i64>>(&encode_json(&json!({ "v": json })).unwrap()).map(|wrapped| wrapped.v)
    };
    assert_eq!(read(json!(5.0)), Ok(5));
    assert_eq!(read(json!({"$number": "12e2"})), Ok(1200));
    assert_eq!(read(json!(1e18)), Ok(1_000_000_000_000_000_000));
    mismatch::<i64>(json!(1.5), "invalid type: floating point `1.5`, expected i64");
    mismatch::<i64>(json!(u64::MAX), "invalid value: integer `18446744073709551615`, expected i64");
    mismatch::<u8>(json!(256), "invalid value: integer `256`, expected u8");
    mismatch::<u8>(json!(-1), "invalid value: integer `-1`, expected u8");
    mismatch::<i128>(json!(0.5), "invalid type: floating point `0.5`, expected i128");
    mismatch::<i128>(
        json!({"$number": "1e39"}),
        "invalid type: floating point `1000000000000000000000000000000000000000.0`, expected i128",
    );
    mismatch::<u128>(json!(-1), "invalid value: integer `-1`, expected u128");
    mismatch::<i64>(json!("5"), "invalid type: string \"5\", expected i64");
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum External {
    Unit,
    Newtype(u32),
    Tuple(u32, String),
    Struct { b: u32, a: Option<u32> },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Newtype(Plain),
    Struct { b: u32, a: Vec<u32> },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "t", content = "c", rename_all = "camelCase")]
enum Adjacent {
    Unit,
    Newtype(u32),
    Tuple(u32, f64),
    Struct { b: u32 },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Float(f64),
    Text(String),
    List(Vec<u32>),
    Struct { b: u32, a: bool },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Plain {
    z: u32,
    y: String,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct UnitStruct;

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct TupleStruct(u32, String);

/// As dates and ids are.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Clone)]
struct Newtype(String);

#[test]
fn enums_of_all_four_kinds_come_back() {
    check_type(External::Unit, json!("Unit"));
    check_type(External::Newtype(1), json!({"Newtype": 1}));
    check_type(External::Tuple(1, "a".to_owned()), json!({"Tuple": [1, "a"]}));
    check_type(External::Struct { b: 1, a: None }, json!({"Struct": {"a": null, "b": 1}}));
    check_type(Internal::Unit, json!({"kind": "Unit"}));
    check_type(
        Internal::Newtype(Plain { z: 1, y: "y".to_owned() }),
        json!({"kind": "Newtype", "z": 1, "y": "y"}),
    );
    check_type(Internal::Struct { b: 1, a: vec![2] }, json!({"kind": "Struct", "a": [2], "b": 1}));
    check_type(Adjacent::Unit, json!({"t": "unit"}));
    check_type(Adjacent::Newtype(5), json!({"t": "newtype", "c": 5}));
    check_type(Adjacent::Tuple(5, 0.5), json!({"t": "tuple", "c": [5, 0.5]}));
    check_type(Adjacent::Struct { b: 5 }, json!({"t": "struct", "c": {"b": 5}}));
    check_type(Untagged::Number(-5), json!(-5));
    check_type(Untagged::Float(0.5), json!(0.5));
    check_type(Untagged::Text("5".to_owned()), json!("5"));
    check_type(Untagged::List(vec![1, 2]), json!([1, 2]));
    check_type(Untagged::Struct { b: 1, a: true }, json!({"a": true, "b": 1}));

    mismatch::<External>(json!({}), "invalid length 0, expected a map with one entry");
    mismatch::<External>(
        json!({"Newtype": 1, "Unit": 2}),
        "a variant is a map with one entry, and this one has more",
    );
    mismatch::<External>(json!("Newtype"), "invalid type: unit variant, expected newtype variant");
    mismatch::<External>(
        json!("Other"),
        "unknown variant `Other`, expected one of `Unit`, `Newtype`, `Tuple`, `Struct`",
    );
    mismatch::<External>(json!({"Unit": 1}), "invalid type: integer `1`, expected unit");
    mismatch::<External>(json!(1), "invalid type: integer `1`, expected a string or a map");
    mismatch::<External>(
        json!({"Tuple": [1, "a", 2]}),
        "invalid length 3, expected fewer elements in the sequence",
    );
}

#[test]
fn structs_of_all_kinds_come_back() {
    check_type(UnitStruct, json!(null));
    check_type(TupleStruct(1, "a".to_owned()), json!([1, "a"]));
    check_type(Newtype("2024-05-01T12:00:00Z".to_owned()), json!("2024-05-01T12:00:00Z"));
    check_type(Plain { z: 1, y: "y".to_owned() }, json!({"y": "y", "z": 1}));
    mismatch::<Plain>(json!({"z": 1}), "missing field `y`");
    mismatch::<(u32, u32)>(json!([1]), "invalid length 1, expected a tuple of size 2");
    mismatch::<(u32, u32)>(json!([1, 2, 3]), "invalid length 3, expected fewer elements in the sequence");
    mismatch::<Vec<u32>>(json!({}), "invalid type: map, expected a sequence");
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u32>,
    #[serde(rename = "$binary")]
    renamed: u32,
    #[serde(alias = "other")]
    name: String,
}

impl Default for Options {
    fn default() -> Self {
        Options { skipped: None, renamed: 7, name: "default".to_owned() }
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    plain: Plain,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[test]
fn attributes_of_serde_do_what_they_say() {
    let options = Options { skipped: None, renamed: 1, name: "n".to_owned() };
    let bytes = to_bytes(&options).unwrap();
    assert_eq!(decode_json(&bytes).unwrap(), json!({"$binary": 1, "name": "n"}));
    assert_eq!(from_bytes::<Options>(&bytes).unwrap(), options);
    let read = |json: Value| from_bytes::<Options>(&encode_json(&json).unwrap());
    assert_eq!(read(json!({})), Ok(Options::default()));
    assert_eq!(read(json!({"other": "o", "skipped": 3})).unwrap().name, "o");
    assert_eq!(
        read(json!({"a": 1})),
        Err(DecodeError::Mismatch(
            "unknown field `a`, expected one of `skipped`, `$binary`, `name`, `other`".to_owned()
        ))
    );

    let flat = Flat {
        id: 1,
        plain: Plain { z: 2, y: "y".to_owned() },
        rest: BTreeMap::from([("more".to_owned(), json!([1, {"a": null}])), ("é".to_owned(), json!(0.5))]),
    };
    check_type(flat, json!({"id": 1, "z": 2, "y": "y", "more": [1, {"a": null}], "é": 0.5}));
}

#[test]
fn keys_of_maps_are_what_serde_json_makes_of_them() {
    check_type(HashMap::from([(-1i8, 1), (100, 2)]), json!({"-1": 1, "100": 2}));
    check_type(BTreeMap::from([(u64::MAX, 1)]), json!({"18446744073709551615": 1}));
    check_type(BTreeMap::from([(i128::MIN, 1)]), json!({i128::MIN.to_string(): 1}));
    check_type(BTreeMap::from([(true, 1), (false, 2)]), json!({"true": 1, "false": 2}));
    check_type(BTreeMap::from([('x', 1)]), json!({"x": 1}));
    check_type(BTreeMap::from([(Newtype("k".to_owned()), 1)]), json!({"k": 1}));

    #[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
    enum Key {
        One,
        Two,
    }
    check_type(BTreeMap::from([(Key::Two, 1), (Key::One, 2)]), json!({"One": 2, "Two": 1}));
    // `serde_json` takes such keys too when it writes text.
    check_ours(BTreeMap::from([(Some(Key::Two), 1)]), json!({"Two": 1}));

    assert_eq!(to_bytes(&BTreeMap::from([(vec![1], 1)])), Err(ValueError::KeyNotString));
    assert_eq!(to_bytes(&BTreeMap::from([(None::<i32>, 1)])), Err(ValueError::KeyNotString));
    assert_eq!(to_bytes(&BTreeMap::from([((), 1)])), Err(ValueError::KeyNotString));
    assert_eq!(to_bytes(&BTreeMap::from([((1, 2), 1)])), Err(ValueError::KeyNotString));
    mismatch::<BTreeMap<u8, u8>>(json!({"a": 1}), "invalid type: string \"a\", expected u8");
}

/// A key may be a float where a type wants it so.
#[test]
fn keys_that_are_floats_are_written_as_json_writes_them() {
    struct FloatKeys(Vec<(f64, f32)>);

    impl Serialize for FloatKeys {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|&(a, b)| (a, BTreeMap::from([(b.to_string(), b)]))))
        }
    }

    let floats = FloatKeys(vec![(1.0, 0.1), (0.1, 1.0)]);
    let json = serde_json::to_string(&floats).unwrap();
    assert_eq!(json, r#"{"1.0":{"0.1":0.1},"0.1":{"1":1.0}}"#);
    assert_eq!(
        decode_json(&to_bytes(&floats).unwrap()).unwrap(),
        json!({"1.0": {"0.1": 0.1}, "0.1": {"1": 1}})
    );
    assert_eq!(to_bytes(&FloatKeys(vec![(f64::NAN, 0.0)])), Err(ValueError::KeyNotString));
}

#[test]
fn text_and_bytes_are_borrowed() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        text: &'a str,
        #[serde(borrow)]
        cow: Cow<'a, str>,
        bytes: &'a [u8],
        members: BTreeSet<&'a str>,
        map: BTreeMap<&'a str, IgnoredAny>,
    }

    let json = json!({
        "text": "borrowed text", "cow": "borrowed cow", "bytes": {"$binary": "AQID"},
        "members": {"$ss": ["a", "b"]}, "map": {"k": [1, 2]},
    });
    let bytes = encode_json(&json).unwrap();
    let value: Borrowed<'_> = from_bytes(&bytes).unwrap();
    assert_eq!((value.text, &*value.cow, value.bytes), ("borrowed text", "borrowed cow", &[1, 2, 3][..]));
    assert!(matches!(value.cow, Cow::Borrowed(_)) || value.cow == "borrowed cow");
    assert!(bytes.as_ptr_range().contains(&value.text.as_ptr()));
    assert!(bytes.as_ptr_range().contains(&value.bytes.as_ptr()));
    assert_eq!(value.members, BTreeSet::from(["a", "b"]));
    assert!(value.map.contains_key("k"));
}

/// What the crate `serde_bytes` does.
#[derive(PartialEq, Debug)]
struct ByteBuf(Vec<u8>);

impl Serialize for ByteBuf {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for ByteBuf {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ByteBuf;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes.to_vec()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<ByteBuf, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(ByteBuf(bytes))
            }
        }

        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn bytes_are_binaries() {
    check_ours(ByteBuf(vec![1, 2, 3]), json!({"$binary": "AQID"}));
    check_ours(Some(ByteBuf(vec![])), json!({"$binary": ""}));
    let read = |json: Value| {
        from_bytes::<Wrapped<ByteBuf>>(&encode_json(&json!({ "v": json })).unwrap()).map(|wrapped| wrapped.v)
    };
    assert_eq!(read(json!([1, 2])), Ok(ByteBuf(vec![1, 2])));
    assert_eq!(read(json!("ab")), Ok(ByteBuf(b"ab".to_vec())));

    // A type that knows nothing of bytes reads them all the same.
    let bytes = encode_json(&json!({"v": {"$binary": "AQID"}})).unwrap();
    assert_eq!(from_bytes::<Wrapped<Vec<u8>>>(&bytes).unwrap().v, [1, 2, 3]);
    assert_eq!(from_bytes::<Wrapped<[u8; 3]>>(&bytes).unwrap().v, [1, 2, 3]);
    from_bytes::<Wrapped<[u8; 2]>>(&bytes).unwrap_err();
    from_bytes::<Wrapped<[u8; 4]>>(&bytes).unwrap_err();
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Typed {
    number: Number,
    value: AttributeValue,
    some: Option<AttributeValue>,
    list: Vec<AttributeValue>,
    map: HashMap<String, AttributeValue>,
    item: Item,
}

#[test]
fn attribute_values_keep_their_types_in_structs() {
    let number: Number = "0.1000000000000000000000000000001".parse().unwrap();
    let values = vec![
        AttributeValue::from("text"),
        AttributeValue::N(number),
        AttributeValue::from(5),
        AttributeValue::from(-7),
        AttributeValue::try_from(0.5).unwrap(),
        AttributeValue::from(vec![0, 255]),
        AttributeValue::from(true),
        AttributeValue::Null,
        AttributeValue::M(Item::from([("S".to_owned(), AttributeValue::string_set(["x"]))])),
        AttributeValue::L(vec![AttributeValue::L(vec![]), AttributeValue::Null]),
        AttributeValue::string_set(["b", "a"]),
        AttributeValue::Ns([number, 5.into(), Number::from(-5)].into()),
        AttributeValue::binary_set([vec![1], vec![]]),
    ];
    for value in &values {
        let typed = Typed {
            number,
            value: value.clone(),
            some: Some(value.clone()),
            list: values.clone(),
            map: HashMap::from([("k".to_owned(), value.clone())]),
            item: Item::from([("i".to_owned(), value.clone())]),
        };
        let bytes = to_bytes(&typed).unwrap();
        check(&bytes).unwrap();
        let json = decode_json(&bytes).unwrap();
        assert_eq!(json["value"], Value::from(value.clone()));
        assert_eq!(json["map"]["k"], json["value"]);
        assert_eq!(json["number"], json!({"$number": "0.1000000000000000000000000000001"}));
        let mut expected = typed.clone();
        // As everywhere in `serde`, an option of a type that may be null is `None` for it.
        expected.some = expected.some.filter(|value| !value.is_null());
        assert_eq!(from_bytes::<Typed>(&bytes).unwrap(), expected);
        // And through JSON text, in DynamoDB's form.
        let text = serde_json::to_string(&typed).unwrap();
        assert_eq!(serde_json::from_str::<Typed>(&text).unwrap(), typed);
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Sets {
    #[serde(with = "dynamite_core::typed_fields::string_set")]
    strings: HashSet<String>,
    #[serde(with = "dynamite_core::typed_fields::number_set")]
    numbers: Vec<i64>,
    #[serde(with = "dynamite_core::typed_fields::binary_set")]
    binaries: BTreeSet<Vec<u8>>,
    #[serde(with = "dynamite_core::typed_fields::binary")]
    binary: Vec<u8>,
}

#[test]
fn fields_marked_as_sets_are_sets() {
    // As many as a hash set never gives in order by chance.
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let sets = Sets {
        strings: letters.iter().cloned().collect(),
        numbers: vec![-10, 2, 30],
        binaries: [vec![2], vec![1, 1]].into(),
        binary: vec![1, 2, 3],
    };
    let bytes = to_bytes(&sets).unwrap();
    check(&bytes).unwrap();
    let json = json!({
        "strings": {"$ss": letters}, "numbers": {"$ns": [-10, 2, 30]},
        "binaries": {"$bs": ["AQE=", "Ag=="]}, "binary": {"$binary": "AQID"},
    });
    assert_eq!(decode_json(&bytes).unwrap(), json);
    assert_eq!(from_bytes::<Sets>(&bytes).unwrap(), sets);
    let elsewhere = serde_json::to_value(&sets).unwrap();
    let plain =
        json!({"strings": letters, "numbers": [-10, 2, 30], "binaries": ["AQE=", "Ag=="], "binary": "AQID"});
    assert_eq!(elsewhere, plain);
    assert_eq!(serde_json::from_value::<Sets>(plain).unwrap(), sets);

    let empty = Sets { strings: HashSet::new(), ..sets };
    assert!(matches!(to_bytes(&empty), Err(ValueError::EmptySet { .. })));
}

/// The names by which types announce themselves are private, but who takes one is not believed either.
#[test]
fn a_set_by_its_private_name_must_be_in_order() {
    struct Announced(&'static str, &'static [&'static str]);

    impl Serialize for Announced {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_newtype_struct(self.0, self.1)
        }
    }

    let string_set = "$dynamite::private::StringSet";
    let number_set = "$dynamite::private::NumberSet";
    let to_json = |name, members| {
        to_bytes(&Wrapped2 { v: Announced(name, members) }).map(|bytes| decode_json(&bytes).unwrap())
    };
    assert_eq!(to_json(string_set, &["", "a", "b"]), Ok(json!({"v": {"$ss": ["", "a", "b"]}})));
    assert_eq!(to_json(number_set, &["-1", "9", "10"]), Ok(json!({"v": {"$ns": [-1, 9, 10]}})));
    let disorder = ValueError::Serialize("the members of a set must come in order, each once".to_owned());
    for members in [&["b", "a"][..], &["a", "a"], &["", ""]] {
        assert_eq!(to_json(string_set, members), Err(disorder.clone()));
    }
    for members in [&["10", "9"][..], &["0", "0"], &["1", "1.0"]] {
        assert_eq!(to_json(number_set, members), Err(disorder.clone()));
    }
    assert!(matches!(to_json("$dynamite::private::BinarySet", &["a"]), Err(ValueError::Serialize(_))));
    assert!(matches!(
        to_json("$dynamite::private::Number", &["1"]),
        Err(ValueError::KeyNotString | ValueError::Serialize(_))
    ));
    assert_eq!(to_json("$dynamite::private::other", &["1"]), Ok(json!({"v": ["1"]})));
}

#[test]
fn sets_are_read_as_sequences() {
    let bytes = encode_json(&json!({"v": {"$ss": ["a", "b"]}})).unwrap();
    assert_eq!(from_bytes::<Wrapped<Vec<String>>>(&bytes).unwrap().v, ["a", "b"]);
    assert_eq!(
        from_bytes::<Wrapped<HashSet<String>>>(&bytes).unwrap().v,
        ["a", "b"].map(str::to_owned).into()
    );
    let bytes = encode_json(&json!({"v": {"$ns": [1, 2.5]}})).unwrap();
    assert_eq!(from_bytes::<Wrapped<Vec<f64>>>(&bytes).unwrap().v, [1.0, 2.5]);
    assert_eq!(from_bytes::<Wrapped<(u8, f32)>>(&bytes).unwrap().v, (1, 2.5));
}

#[test]
fn plain_json_values_go_through_serde_as_they_are() {
    let json = json!({"a": [1, 0.5, null, true, {"b": "c"}], "$ss": ["a"], "n": u64::MAX, "m": i64::MIN});
    let bytes = to_bytes(&json).unwrap();
    assert_eq!(from_bytes::<Value>(&bytes).unwrap(), json);
    assert_eq!(bytes, encode_json(&json).unwrap());
    // A marker means nothing here.
    let bytes = to_bytes(&json!({"v": {"$ss": ["a"]}})).unwrap();
    assert_eq!(decode_json(&bytes).unwrap(), json!({"v": {"$$ss": ["a"]}}));
}

/// What a number of `serde_json` looks like when some crate of the program has switched `arbitrary_precision` on.
#[test]
fn json_numbers_that_keep_their_text_are_exact() {
    struct JsonNumber(&'static str);

    impl Serialize for JsonNumber {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct;
            let mut number = serializer.serialize_struct("$serde_json::private::Number", 1)?;
            number.serialize_field("$serde_json::private::Number", self.0)?;
            number.end()
        }
    }

    let bytes = to_bytes(&BTreeMap::from([("a", JsonNumber("0.10")), ("b", JsonNumber("1e23"))])).unwrap();
    assert_eq!(decode_json(&bytes).unwrap(), json!({"a": 0.1, "b": 1e23}));
    assert_eq!(to_bytes(&BTreeMap::from([("a", JsonNumber("1e126"))])), Err(NumberError::Overflow.into()));
}

#[test]
fn names_that_occur_twice_are_refused() {
    #[derive(Serialize)]
    struct Twice {
        name: u32,
        #[serde(flatten)]
        rest: HashMap<String, u32>,
    }
    let twice = Twice { name: 1, rest: HashMap::from([("name".to_owned(), 2)]) };
    assert_eq!(to_bytes(&twice), Err(ValueError::DuplicateName { name: "name".to_owned() }));
}

#[test]
fn only_what_serializes_as_a_map_is_an_item() {
    for result in [
        to_bytes(&5),
        to_bytes("a"),
        to_bytes(&[1][..]),
        to_bytes(&None::<i32>),
        to_bytes(&Newtype("a".to_owned())),
    ] {
        assert!(matches!(result, Err(ValueError::NotAnItem { .. })), "{result:?}");
    }
    let bytes = to_bytes(&External::Tuple(1, "a".to_owned())).unwrap();
    assert_eq!(from_bytes::<External>(&bytes).unwrap(), External::Tuple(1, "a".to_owned()));
    assert_eq!(to_bytes(&External::Unit), to_bytes("a"));
}

#[test]
fn a_failing_serialize_says_why() {
    struct Failing;

    impl Serialize for Failing {
        fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("out of order"))
        }
    }

    assert_eq!(to_bytes(&Wrapped2 { v: Failing }), Err(ValueError::Serialize("out of order".to_owned())));
}

#[derive(Serialize)]
struct Wrapped2<T> {
    v: T,
}

#[test]
fn damage_is_told_apart_from_a_mismatch() {
    let sound = to_bytes(&Wrapped { v: "é".to_owned() }).unwrap();
    let cut = &sound[..sound.len() - 1];
    assert_eq!(
        from_bytes::<Wrapped<String>>(cut),
        Err(DecodeError::Damage(ItemDamage::Truncated { offset: 3 }))
    );
    let mut not_text = sound.clone();
    *not_text.last_mut().unwrap() = b'a';
    assert_eq!(
        from_bytes::<Wrapped<String>>(&not_text),
        Err(DecodeError::Damage(ItemDamage::NotUtf8 { offset: 4 }))
    );
    assert!(matches!(from_bytes::<Wrapped<u32>>(&sound), Err(DecodeError::Mismatch(_))));
}
