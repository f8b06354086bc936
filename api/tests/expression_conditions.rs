//! What conditions say of items, rule by rule, and what key conditions ask for.

#![recursion_limit = "256"]

mod expressions;

use dynamite_core::AttributeValue;
use dynamite_core::expression::{Condition, SortKeyTest};
use dynamite_core::item_codec::{ItemView, encode_json};
use dynamite_core::types::{KeyAttribute, KeySchema, KeyType};
use expressions::build;
use serde_json::{Value, json};

fn sample() -> Value {
    json!({
        "s": "text", "blank": "", "emoji": "a😀", "n": 42, "half": 0.5, "t": true, "f": false, "nil": null,
        "bin": {"$binary": "AQIDAQID"}, "m": {"x": 1, "y": {"z": [10, 20, {"w": "deep"}]}}, "em": {},
        "l": [1, "two", [3], null], "el": [], "ss": {"$ss": ["a", "b"]}, "ns": {"$ns": [1, 2.5]},
        "bs": {"$bs": ["AQ==", "Ag=="]}, "m2": {"y": {"z": [10, 20, {"w": "deep"}]}, "x": 1},
        "dotted.name": 7, "big": {"$number": "12345678901234567890123456789012345678"},
        "bigger": {"$number": "12345678901234567890123456789012345679"},
    })
}

fn values() -> Value {
    json!({
        ":text": "text", ":te": "te", ":ex": "ex", ":empty": "", ":n42": 42, ":n1": 1, ":n2": 2, ":n25": 2.5, ":n100": 100,
        ":n6": 6, ":n3": 3, ":n0": 0, ":n4": 4, ":true": true, ":false": false, ":null": null, ":s42": "42",
        ":bin": {"$binary": "AQIDAQID"}, ":bin12": {"$binary": "AQI="}, ":bin31": {"$binary": "AwE="},
        ":bin1": {"$binary": "AQ=="}, ":bin9": {"$binary": "CQ=="},
        ":ssba": {"$ss": ["b", "a"]}, ":ssa": {"$ss": ["a"]}, ":ns": {"$ns": [2.5, 1]}, ":bs": {"$bs": ["Ag==", "AQ=="]},
        ":l": [1, "two", [3], null], ":lr": ["two", 1, [3], null], ":three": [3], ":em": {}, ":el": [],
        ":a": "a", ":S": "S", ":N": "N", ":B": "B", ":BOOL": "BOOL", ":NULL": "NULL", ":M": "M", ":L": "L",
        ":SS": "SS", ":NS": "NS", ":BS": "BS", ":deep": "deep", ":seven": 7,
    })
}

/// The filter, with only the placeholders that it mentions.
#[track_caller]
fn compile(text: &str) -> Condition {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let used: serde_json::Map<String, Value> = values()
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| {
            text.match_indices(key.as_str()).any(|(at, _)| !text[at + key.len()..].starts_with(is_word))
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut request = json!({"filter": text});
    if !used.is_empty() {
        request["values"] = used.into();
    }
    if text.contains("#d") {
        request["names"] = json!({"#d": "dotted.name"});
    }
    build(&request).unwrap_or_else(|error| panic!("{text}: {error}")).filter.unwrap()
}

#[track_caller]
fn check(text: &str, expected: bool) {
    let item = encode_json(&sample()).unwrap();
    assert_eq!(compile(text).matches(ItemView::new(&item).unwrap()), Ok(expected), "{text}");
    // What holds for the reverse of it, three ways.
    for reverse in [format!("NOT {text}"), format!("NOT ({text})"), format!("NOT (NOT NOT ({text}))")] {
        if !text.contains(" AND ") && !text.contains(" OR ") {
            assert_eq!(compile(&reverse).matches(ItemView::new(&item).unwrap()), Ok(!expected), "{reverse}");
        }
    }
}

#[test]
fn values_are_equal_if_their_types_and_contents_are() {
    for text in [
        "s = :text",
        "n = :n42",
        "t = :true",
        "f = :false",
        "nil = :null",
        "bin = :bin",
        "ss = :ssba",
        "ns = :ns",
        "bs = :bs",
        "l = :l",
        "em = :em",
        "el = :el",
        "m = m2",
        "m.y = m2.y",
        ":n1 = :n1",
        "l[0] = m.x",
        "#d = :seven",
        "m.y.z[2].w = :deep",
        "blank = :empty",
        "l[2] = :three",
    ] {
        check(text, true);
        check(&text.replace(" = ", " <> "), false);
    }
    for text in [
        "s = :te",
        "n = :s42",
        "n = :n1",
        "t = :false",
        "t = nil",
        "nil = :false",
        "ss = :ssa",
        "ss = l",
        "l = :lr",
        "em = :el",
        "m = em",
        "big = bigger",
        "s = gone",
        "gone = gone2",
        "m.gone = :n1",
        "l[4] = :n1",
        "s.x = :n1",
        "s[0] = :n1",
        "m[0] = :n1",
        "l.x = :n1",
        "blank = nil",
        "bin = :text",
    ] {
        check(text, false);
        check(&text.replace(" = ", " <> "), true);
    }
}

#[test]
fn strings_numbers_and_binaries_have_an_order_within_their_type() {
    for (text, expected) in [
        ("n < :n100", true),
        ("n < :n42", false),
        ("n <= :n42", true),
        ("n >= :n42", true),
        ("n > :n42", false),
        ("n > :n1", true),
        ("big < bigger", true),
        ("bigger <= big", false),
        ("half < :n1", true),
        (":n1 > half", true),
        ("s > :te", true),
        ("s < :te", false),
        ("s >= :text", true),
        ("blank < :a", true),
        ("bin > :bin12", true),
        ("bin < :bin9", true),
        ("bin <= :bin", true),
        // Different types, and types without an order.
        ("n < :text", false),
        ("n > :text", false),
        ("n >= :text", false),
        ("t < f", false),
        ("t >= f", false),
        ("l <= l[2]", false),
        ("ss >= ns", false),
        ("nil <= gone", false),
        ("nil >= f", false),
        ("gone < :n1", false),
        ("gone >= :n1", false),
        ("m <= m2", false),
        ("m >= m2", false),
    ] {
        check(text, expected);
    }
}

#[test]
fn ranges_hold_their_bounds() {
    for (text, expected) in [
        ("n BETWEEN :n42 AND :n42", true),
        ("n between :n1 and :n100", true),
        ("n BETWEEN :n1 AND :n2", false),
        ("n BETWEEN half AND :n100", true),
        ("s BETWEEN :te AND :text", true),
        (":n2 BETWEEN half AND n", true),
        ("n BETWEEN :n100 AND m.x", false),
        ("n BETWEEN s AND bin", false),
        ("gone BETWEEN :n1 AND :n2", false),
        ("n BETWEEN gone AND :n100", false),
        ("n BETWEEN :n1 AND gone", false),
        ("size(s) BETWEEN :n3 AND :n4", true),
    ] {
        check(text, expected);
    }
}

#[test]
fn in_finds_an_equal_value() {
    for (text, expected) in [
        ("n IN (:n42)", true),
        ("n in (:n1, :s42, :n42)", true),
        ("n IN (:s42, gone)", false),
        ("l IN (:lr, :l)", true),
        ("gone IN (:n1, gone2)", false),
        ("ss IN (:ssba)", true),
        ("size(l) IN (:n1, :n4)", true),
        ("n IN (size(l), size(ss), (n2), (:n42))", true),
    ] {
        check(text, expected);
    }
}

#[test]
fn functions_look_for_attributes_and_their_types() {
    for (text, expected) in [
        ("attribute_exists(s)", true),
        ("attribute_exists(nil)", true),
        ("attribute_exists(gone)", false),
        ("attribute_exists(m.y.z[2].w)", true),
        ("attribute_exists(m.y.z[3])", false),
        ("attribute_exists(s.x)", false),
        ("attribute_exists(#d)", true),
        ("attribute_exists(dotted)", false),
        ("attribute_not_exists(gone)", true),
        ("attribute_not_exists(l[3])", false),
        ("attribute_not_exists(l[4])", true),
        ("attribute_type(gone, :S)", false),
        ("attribute_type(n, :S)", false),
        ("attribute_type(m.x, :N)", true),
        // Not only of attributes.
        ("attribute_type(:N, :S)", true),
        ("attribute_type(:N, :N)", false),
        ("attribute_type(size(s), :N)", true),
        ("attribute_type(size(s), :S)", false),
        ("attribute_type(size(gone), :N)", false),
    ] {
        check(text, expected);
    }
    let types = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];
    for (attribute, kind) in ["s", "n", "bin", "t", "nil", "m", "l", "ss", "ns", "bs"].into_iter().zip(types)
    {
        for other in types {
            check(&format!("attribute_type({attribute}, :{other})"), kind == other);
        }
    }
}

#[test]
fn begins_with_is_for_strings_and_binaries() {
    for (text, expected) in [
        ("begins_with(s, :te)", true),
        ("begins_with(s, :text)", true),
        ("begins_with(s, :ex)", false),
        ("begins_with(s, :empty)", true),
        ("begins_with(:text, s)", true),
        ("begins_with(:te, s)", false),
        ("begins_with(bin, :bin12)", true),
        ("begins_with(bin, :bin31)", false),
        ("begins_with(bin, s)", false),
        ("begins_with(n, :te)", false),
        ("begins_with(gone, :te)", false),
        ("begins_with(s, gone)", false),
        ("begins_with(s, ss)", false),
    ] {
        check(text, expected);
    }
}

#[test]
fn contains_is_for_strings_binaries_sets_and_lists() {
    for (text, expected) in [
        ("contains(s, :ex)", true),
        ("contains(s, :text)", true),
        ("contains(s, :a)", false),
        ("contains(s, :empty)", true),
        ("contains(s, :n1)", false),
        ("contains(bin, :bin31)", true),
        ("contains(bin, :bin9)", false),
        ("contains(bin, :text)", false),
        ("contains(ss, :a)", true),
        ("contains(ss, :te)", false),
        ("contains(ss, :n1)", false),
        ("contains(ns, :n25)", true),
        ("contains(ns, :n2)", false),
        ("contains(bs, :bin1)", true),
        ("contains(bs, :bin9)", false),
        ("contains(l, :three)", true),
        ("contains(l, :n1)", true),
        ("contains(l, :null)", true),
        ("contains(l, :n3)", false),
        ("contains(ss, :ssa)", false),
        ("contains(m, :n1)", false),
        ("contains(n, :n42)", false),
        ("contains(gone, :a)", false),
        ("contains(s, gone)", false),
        ("contains(:text, s)", true),
        ("contains(m.y.z, size(bin))", false),
        ("contains(l, size(l[2]))", true),
        ("contains(ns, l[0])", true),
    ] {
        check(text, expected);
    }
}

#[test]
fn every_type_but_numbers_booleans_and_null_has_a_size() {
    for (attribute, size) in [
        ("s", 4),
        ("blank", 0),
        ("emoji", 3),
        ("bin", 6),
        ("m", 2),
        ("em", 0),
        ("l", 4),
        ("el", 0),
        ("ss", 2),
        ("bs", 2),
    ] {
        for n in [0, 1, 2, 3, 4, 6] {
            check(&format!("size({attribute}) = :n{n}"), n == size);
            check(&format!("size({attribute}) > :n{n}"), size > n);
            check(&format!(":n{n} >= (size({attribute}))"), n >= size);
        }
    }
    for text in
        ["size(n) >= :n0", "size(t) < :n100", "size(nil) = :n0", "size(gone) >= :n0", "size(s) < :text"]
    {
        check(text, false);
    }
    check("size(n) <> :n0", true);
    check("size(:text) = size(s)", true);
    check("size(l) > size(ss)", true);
    check("size(ss) = size(m)", true);
    check("size(s) = s", false);
}

#[test]
fn not_binds_tighter_than_and_which_binds_tighter_than_or() {
    // T and F are conditions that hold and that do not.
    for (text, expected) in [
        ("T OR F AND F", true),
        ("(T OR F) AND F", false),
        ("F AND F OR T", true),
        ("F AND (F OR T)", false),
        ("NOT F AND F", false),
        ("NOT (F AND F)", true),
        ("NOT F OR T", true),
        ("NOT (F OR T)", false),
        ("NOT T OR T", true),
        ("F OR NOT F AND T", true),
        ("T AND T AND F OR F", false),
        ("F OR F OR T", true),
        ("T AND NOT T OR NOT F AND T", true),
        ("not T and T or F", false),
        ("NOT NOT T", true),
        ("(T AND (F OR (T AND NOT F)))", true),
        ("NOT (T AND (F OR NOT (T AND F)))", false),
    ] {
        let words = text.split(' ').map(|word| match word.trim_matches(['(', ')']) {
            "T" => word.replace('T', "s = :text"),
            "F" => word.replace('F', "s = :te"),
            _ => word.to_owned(),
        });
        let written = words.collect::<Vec<_>>().join(" ");
        let item = encode_json(&sample()).unwrap();
        assert_eq!(
            compile(&written).matches(ItemView::new(&item).unwrap()),
            Ok(expected),
            "{text}: {written}"
        );
    }
}

#[test]
fn without_an_item_all_attributes_are_missing() {
    for (text, expected) in [
        ("attribute_exists(s)", false),
        ("attribute_not_exists(s)", true),
        ("s = :text", false),
        ("s <> :text", true),
        ("NOT s < :text", true),
        ("attribute_not_exists(s) AND NOT s = :text", true),
        (":n1 = :n1", true),
    ] {
        assert_eq!(compile(text).matches_absent(), expected, "{text}");
    }
}

#[test]
fn damage_that_is_met_is_an_error() {
    let mut item = encode_json(&json!({"a": "x", "b": "yyyyyyyyyyyyyyyy"})).unwrap();
    item.pop();
    let view = ItemView::new(&item).unwrap();
    assert!(compile("a <> b OR a = :text").matches(view).is_err());
    assert_eq!(compile("attribute_exists(a)").matches(view), Ok(true));
}

#[test]
fn compiled_expressions_go_to_other_threads() {
    fn is_send_and_sync<T: Send + Sync + Clone>() {}
    is_send_and_sync::<dynamite_core::expression::Expressions>();
}

fn schema(with_sort_key: bool) -> KeySchema {
    let sort_key = with_sort_key.then(|| KeyAttribute::new("seen", KeyType::Number).unwrap());
    KeySchema::new(KeyAttribute::new("id", KeyType::String).unwrap(), sort_key).unwrap()
}

fn key_values() -> Value {
    json!({":a": "a", ":b": "b", ":n": 1, ":m": 2})
}

#[test]
fn key_conditions_give_the_partition_and_a_range() {
    let n = |n: i32| AttributeValue::from(n);
    for (text, sort) in [
        ("id = :a", None),
        (":a = id", None),
        ("(id = :a)", None),
        ("id = :a AND seen = :n", Some(SortKeyTest::Eq(n(1)))),
        ("seen < :n AND id = :a", Some(SortKeyTest::Lt(n(1)))),
        ("(id = :a) and (seen <= :n)", Some(SortKeyTest::Le(n(1)))),
        ("(id = :a and seen > :n)", Some(SortKeyTest::Gt(n(1)))),
        ("id = :a AND seen >= (:n)", Some(SortKeyTest::Ge(n(1)))),
        ("id = :a AND :n < seen", Some(SortKeyTest::Gt(n(1)))),
        ("id = :a AND :n <= seen", Some(SortKeyTest::Ge(n(1)))),
        ("id = :a AND :n > seen", Some(SortKeyTest::Lt(n(1)))),
        ("id = :a AND :n >= seen", Some(SortKeyTest::Le(n(1)))),
        ("id = :a AND seen BETWEEN :n AND :m", Some(SortKeyTest::Between(n(1), n(2)))),
    ] {
        let key = build(&request(text)).unwrap().key_condition.unwrap();
        let query = key.resolve(&schema(true)).unwrap_or_else(|error| panic!("{text}: {error}"));
        let expected = (vec![AttributeValue::from("a")], Vec::from_iter(sort));
        assert_eq!((query.partition, query.sort), expected, "{text}");
    }
    let key = build(&request("begins_with(seen, :b) AND id = :a")).unwrap().key_condition.unwrap();
    let schema = KeySchema::new(
        KeyAttribute::new("id", KeyType::String).unwrap(),
        Some(KeyAttribute::new("seen", KeyType::String).unwrap()),
    );
    assert_eq!(key.resolve(&schema.unwrap()).unwrap().sort, [SortKeyTest::BeginsWith("b".into())]);
}

/// The key of an index: two partition attributes, three sort attributes.
fn schema_of_several() -> KeySchema {
    let attribute = |name, key_type| KeyAttribute::new(name, key_type).unwrap();
    let partition = vec![attribute("p", KeyType::String), attribute("q", KeyType::Number)];
    let sort = ["x", "y", "z"].map(|name| attribute(name, KeyType::Number));
    KeySchema::of_several(partition, sort.to_vec()).unwrap()
}

#[test]
fn conditions_on_a_key_of_several_attributes_go_from_left_to_right() {
    let n = |n: i32| AttributeValue::from(n);
    let (eq, lt) = (SortKeyTest::Eq(n(1)), SortKeyTest::Lt(n(2)));
    for (text, sort) in [
        ("p = :a AND q = :n", vec![]),
        ("q = :n AND x = :n AND p = :a", vec![eq.clone()]),
        ("q = :n AND x < :m AND p = :a", vec![lt.clone()]),
        ("y < :m AND q = :n AND x = :n AND p = :a", vec![eq.clone(), lt.clone()]),
        ("p = :a AND q = :n AND x = :n AND y = :n AND z < :m", vec![eq.clone(), eq, lt]),
    ] {
        let key = build(&request(text)).unwrap().key_condition.unwrap();
        let query = key.resolve(&schema_of_several()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((query.partition, query.sort), (vec![AttributeValue::from("a"), n(1)], sort), "{text}");
    }
    let not_equal = |names: &str, behind: &str| {
        format!(
            "RANGE key attributes {names} must have equality conditions specified in the query because a condition is present \
             on key attribute {behind}"
        )
    };
    let missed = |name| format!("Query condition missed key schema element: {name}");
    let not_supported = "Query key condition not supported".to_owned();
    let wrong_type =
        "One or more parameter values were invalid: Condition parameter type does not match schema type"
            .to_owned();
    for (text, expected) in [
        ("p = :a", missed("q")),
        ("q = :n", missed("p")),
        ("p = :a AND q > :n", not_supported.clone()),
        ("p = :a AND q = :n AND y = :n", not_equal("x", "y")),
        ("p = :a AND q = :n AND x = :n AND z = :n", not_equal("y", "z")),
        ("p = :a AND q = :n AND z = :n", not_equal("x, y", "z")),
        ("p = :a AND q = :n AND another = :n", missed("x")),
        ("p = :a AND q = :n AND x < :n AND y = :m", not_equal("x", "y")),
        ("p = :a AND q = :n AND x = :b", wrong_type),
        (
            "p = :a AND q = :n AND x = :n AND y = :n AND z = :n AND o = :n",
            "The number of query conditions (6) exceeds the number of key attributes defined in the schema (5)"
                .to_owned(),
        ),
    ] {
        let key = build(&request(text)).unwrap().key_condition.unwrap();
        assert_eq!(key.resolve(&schema_of_several()).expect_err(text).to_string(), expected, "{text}");
    }
}

/// A key condition with only the placeholders that it mentions.
fn request(text: &str) -> Value {
    let values = key_values();
    let used = values.as_object().unwrap().iter().filter(|(key, _)| text.contains(key.as_str()));
    let used: serde_json::Map<String, Value> =
        used.map(|(key, value)| (key.clone(), value.clone())).collect();
    if used.is_empty() { json!({"key": text}) } else { json!({"key": text, "values": used}) }
}

#[test]
fn what_is_no_key_condition_is_refused_with_dynamodbs_text() {
    let first = |operator| {
        format!(
            "Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute as its first operand"
        )
    };
    let operator = |operator| format!("Invalid operator used in KeyConditionExpression: {operator}");
    let nested = "KeyConditionExpressions cannot contain nested operations".to_owned();
    let several =
        "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
            .to_owned();
    let inside = "KeyConditionExpressions cannot have conditions on nested attributes".to_owned();
    let none = "Invalid condition in KeyConditionExpression: No key attribute specified".to_owned();
    let twice = "KeyConditionExpressions must only contain one condition per key".to_owned();
    for (text, expected) in [
        ("a > b and size(b) > c or a > c", operator("OR")),
        ("a in (b, size(c), d)", operator("IN")),
        ("attribute_exists(a)", operator("attribute_exists")),
        ("attribute_not_exists(a)", operator("attribute_not_exists")),
        ("contains(a.d, b)", operator("contains")),
        ("not a > b", operator("NOT")),
        ("a <> b", operator("<>")),
        (":a between size(b) and size(a) and b > :b", first("BETWEEN")),
        ("begins_with(:a, b) and a > :b", first("begins_with")),
        ("size(b) > a AND a.b > b AND b > c", nested.clone()),
        ("a > size(b.d)", nested.clone()),
        ("a between size(b) and size(a)", nested),
        ("b > a.b", several.clone()),
        ("b between c[1] and d", several.clone()),
        ("a between b and size(a)", several.clone()),
        ("begins_with(a, b)", several),
        ("b.d > a AND c.d > e.f", inside.clone()),
        ("b[0] > a", inside),
        (":b > :a AND a < :b", none.clone()),
        (":a > b AND :a < :b", none),
        ("b > :n AND b < :n and c = :n and d = :n", twice.clone()),
        ("(a > :n and b > :n) and (b > :n and c > :n)", twice),
    ] {
        let error = build(&request(text)).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn key_conditions_fit_their_key_or_are_refused() {
    let missed = |name| format!("Query condition missed key schema element: {name}");
    let not_supported = "Query key condition not supported".to_owned();
    let wrong_type =
        "One or more parameter values were invalid: Condition parameter type does not match schema type"
            .to_owned();
    for (text, with_sort_key, expected) in [
        ("another = :a", true, missed("id")),
        ("seen = :n", true, missed("id")),
        ("id = :a AND another = :n", true, missed("seen")),
        ("id = :a AND another = :n", false, not_supported.clone()),
        ("id > :a", true, not_supported.clone()),
        ("begins_with(id, :a)", false, not_supported.clone()),
        ("id between :a and :b", false, not_supported),
        ("id = :n", true, wrong_type.clone()),
        (":n > id", false, wrong_type.clone()),
        ("id = :a AND seen = :b", true, wrong_type.clone()),
        ("id = :a AND seen BETWEEN :a AND :b", true, wrong_type),
        (
            "id = :a AND seen = :n AND another = :b",
            true,
            "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)".to_owned(),
        ),
    ] {
        let key = build(&request(text)).unwrap().key_condition.unwrap();
        assert_eq!(key.resolve(&schema(with_sort_key)).expect_err(text).to_string(), expected, "{text}");
    }
}

#[test]
fn expressions_leave_the_key_alone() {
    let inside =
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: id";
    for (request, expected) in [
        (json!({"filter": "attribute_exists(id.b.c) and a = b"}), inside),
        (json!({"condition": "size(id[0]) > a"}), inside),
        (json!({"projection": "a, id.b"}), inside),
        (json!({"update": "SET a = if_not_exists(id.b, c)"}), inside),
        (
            json!({"update": "SET a = b REMOVE id"}),
            "One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key",
        ),
        (
            json!({"update": "SET seen.x = b"}),
            "One or more parameter values were invalid: Cannot update attribute seen. This attribute is part of the key",
        ),
        (
            json!({"key": "id = :a", "filter": "a = :a AND seen > b", "values": {":a": "a"}}),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: seen",
        ),
    ] {
        let error = build(&request).unwrap().check_schema(&schema(true)).expect_err(&request.to_string());
        assert_eq!(error.to_string(), expected, "{request}");
    }
    for request in [
        json!({"filter": "id = seen"}),
        json!({"condition": "attribute_exists(id)", "update": "SET a = id, b.id = seen", "projection": "id, seen, x.id"}),
    ] {
        assert_eq!(build(&request).unwrap().check_schema(&schema(true)), Ok(()), "{request}");
    }
}
