//! What updates make of items, what they return, and what projections leave.

mod expressions;

use dynamite_core::AttributeValue;
use dynamite_core::expression::{AttributeChange, Update, UpdateError};
use dynamite_core::item_codec::{ItemView, decode_json, encode_json};
use expressions::{build, item};
use serde_json::{Value, json};

#[track_caller]
fn compile(text: &str, values: &Value) -> Update {
    let mut request = json!({"update": text});
    if values != &json!({}) {
        request["values"] = values.clone();
    }
    build(&request).unwrap_or_else(|error| panic!("{text}: {error}")).update.unwrap()
}

fn apply(text: &str, values: &Value, old: Option<&Value>) -> Result<Value, UpdateError> {
    let key = item(json!({"id": "k"}));
    let old = old.map(|old| encode_json(old).unwrap());
    let view = old.as_deref().map(|old| ItemView::new(old).unwrap());
    compile(text, values).apply(view, &key).map(|new| decode_json(&new).unwrap())
}

/// The update makes `new` of `old`, to both of which the key is added.
#[track_caller]
fn check(text: &str, values: Value, mut old: Value, mut new: Value) {
    old["id"] = "k".into();
    new["id"] = "k".into();
    assert_eq!(apply(text, &values, Some(&old)), Ok(new), "{text}");
}

#[track_caller]
fn check_refused(text: &str, values: Value, old: Value, expected: &str) {
    let error = apply(text, &values, Some(&old)).expect_err(text);
    assert_eq!(error.to_string(), expected, "{text}");
}

const INVALID_PATH: &str = "The document path provided in the update expression is invalid for update";
const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const OVERFLOW: &str =
    "Number overflow. Attempting to store a number with magnitude larger than supported range";
const UNDERFLOW: &str =
    "Number underflow. Attempting to store a number with magnitude smaller than supported range";

#[test]
fn set_writes_values_and_what_is_at_other_paths() {
    check("SET a = :v", json!({":v": 1}), json!({}), json!({"a": 1}));
    check(
        "SET a = :v",
        json!({":v": [1, {"x": null}]}),
        json!({"a": 5, "z": 1}),
        json!({"a": [1, {"x": null}], "z": 1}),
    );
    check("SET a = b", json!({}), json!({"b": {"c": [1]}}), json!({"a": {"c": [1]}, "b": {"c": [1]}}));
    check("SET a = b.c[0]", json!({}), json!({"b": {"c": [1]}}), json!({"a": 1, "b": {"c": [1]}}));
    check("SET m.x = :v", json!({":v": 1}), json!({"m": {"y": 2}}), json!({"m": {"x": 1, "y": 2}}));
    check(
        "SET m.l[0].x = m.y",
        json!({}),
        json!({"m": {"l": [{}], "y": 2}}),
        json!({"m": {"l": [{"x": 2}], "y": 2}}),
    );
    check("SET a = (b)", json!({}), json!({"b": 1}), json!({"a": 1, "b": 1}));
    check(
        "set aa = :v, z = :v, id2 = id",
        json!({":v": 1}),
        json!({"m": 1}),
        json!({"aa": 1, "m": 1, "z": 1, "id2": "k"}),
    );
}

#[test]
fn all_values_are_taken_from_the_item_as_it_was() {
    check("SET a = b, b = a", json!({}), json!({"a": 1, "b": 2}), json!({"a": 2, "b": 1}));
    check("SET a = :v, b = a", json!({":v": 9}), json!({"a": 1}), json!({"a": 9, "b": 1}));
    check("REMOVE a SET b = a", json!({}), json!({"a": 1}), json!({"b": 1}));
    check("SET l[0] = l[1], l[1] = l[0]", json!({}), json!({"l": [1, 2]}), json!({"l": [2, 1]}));
    check("SET b = a ADD a :n", json!({":n": 1}), json!({"a": 1}), json!({"a": 2, "b": 1}));
    check("REMOVE l[0] SET a = l[1]", json!({}), json!({"l": [1, 2]}), json!({"a": 2, "l": [2]}));
}

#[test]
fn sums_and_differences_are_exact() {
    check("SET a = a + :n", json!({":n": 1}), json!({"a": 41}), json!({"a": 42}));
    check("SET a = :n - a", json!({":n": 0.3}), json!({"a": 0.1}), json!({"a": 0.2}));
    check("SET a = (b + c)", json!({}), json!({"b": 0.1, "c": 0.2}), json!({"a": 0.3, "b": 0.1, "c": 0.2}));
    check(
        "SET a = ((m.b)+(l[0]))",
        json!({}),
        json!({"m": {"b": 1}, "l": [2]}),
        json!({"a": 3, "m": {"b": 1}, "l": [2]}),
    );
    check("SET a = if_not_exists(a, :z) + :n", json!({":z": 0, ":n": 5}), json!({}), json!({"a": 5}));
    check(
        "SET a = if_not_exists(a, :z) - if_not_exists(b, :n)",
        json!({":z": 0, ":n": 5}),
        json!({"b": 2}),
        json!({"a": -2, "b": 2}),
    );
    let big = |digits: &str| json!({"$number": digits});
    check(
        "SET a = a + :n",
        json!({":n": 1}),
        json!({"a": big("99999999999999999999999999999999999998")}),
        json!({"a": big("99999999999999999999999999999999999999")}),
    );
    for (a, b, expected) in [
        (big("1e125"), big("9.5e125"), OVERFLOW),
        (json!(1), big("1e60"), OVERFLOW),
        (big("0.9e-129"), big("-0.89e-129"), UNDERFLOW),
    ] {
        check_refused("SET a = b + c", json!({}), json!({"b": a, "c": b}), expected);
        check_refused("ADD b :c", json!({":c": b}), json!({"b": a}), expected);
    }
    check_refused("SET a = b + c", json!({}), json!({"b": 1, "c": "1"}), WRONG_TYPE);
    check_refused("SET a = b - c", json!({}), json!({"b": [1], "c": 1}), WRONG_TYPE);
    check_refused("SET a = b + c", json!({}), json!({"b": 1}), MISSING);
}

#[test]
fn if_not_exists_takes_what_is_there_or_else_the_other() {
    check("SET a = if_not_exists(a, :v)", json!({":v": 1}), json!({}), json!({"a": 1}));
    check("SET a = if_not_exists(a, :v)", json!({":v": 1}), json!({"a": null}), json!({"a": null}));
    check(
        "SET a = if_not_exists(m.x, m.y)",
        json!({}),
        json!({"m": {"y": 3}}),
        json!({"a": 3, "m": {"y": 3}}),
    );
    let nested = "SET a = if_not_exists(b, if_not_exists(c, if_not_exists(d, :v)))";
    check(nested, json!({":v": 0}), json!({}), json!({"a": 0}));
    check(nested, json!({":v": 0}), json!({"d": 1}), json!({"a": 1, "d": 1}));
    check(nested, json!({":v": 0}), json!({"c": 2, "d": 1}), json!({"a": 2, "c": 2, "d": 1}));
    // What is not needed may be missing.
    check("SET a = if_not_exists(b, gone)", json!({}), json!({"b": 1}), json!({"a": 1, "b": 1}));
    check_refused("SET a = if_not_exists(b, gone)", json!({}), json!({}), MISSING);
}

/// Their number has no limit but that of a request, and they come in any order.
#[test]
fn any_number_of_attributes_is_changed_and_what_is_said_last_counts() {
    let name = |nth: usize| format!("a{nth:06}");
    let changes = (0..200_000).rev().map(|nth| (name(nth), AttributeChange::Remove));
    let again = [(name(7), AttributeChange::Put(7.into())), (name(8), AttributeChange::Add(1.into()))];
    let update = Update::of_attributes(changes.chain(again)).unwrap().unwrap();
    assert_eq!(update.paths().count(), 200_000);
    let old = encode_json(&json!({"id": "k", "a000007": "old", "a000008": 41, "a123456": "old"})).unwrap();
    let new = update.apply(Some(ItemView::new(&old).unwrap()), &item(json!({}))).unwrap();
    assert_eq!(decode_json(&new).unwrap(), json!({"id": "k", "a000007": 7, "a000008": 42}));
}

#[test]
fn list_append_puts_one_list_behind_the_other() {
    check("SET l = list_append(l, :v)", json!({":v": [3]}), json!({"l": [1, 2]}), json!({"l": [1, 2, 3]}));
    check("SET l = list_append(:v, l)", json!({":v": [3]}), json!({"l": [1, 2]}), json!({"l": [3, 1, 2]}));
    check(
        "SET l = list_append(if_not_exists(gone, list_append(l, :v)), if_not_exists(m, :e))",
        json!({":v": [3], ":e": []}),
        json!({"l": [1], "m": [[0]]}),
        json!({"l": [1, 3, [0]], "m": [[0]]}),
    );
    check(
        "SET l = list_append(if_not_exists(l, :e), :v)",
        json!({":v": [3], ":e": []}),
        json!({}),
        json!({"l": [3]}),
    );
    check_refused("SET l = list_append(l, s)", json!({}), json!({"l": [], "s": "x"}), WRONG_TYPE);
    check_refused("SET l = list_append(l, s)", json!({}), json!({"l": []}), MISSING);
}

#[test]
fn elements_beyond_the_end_are_appended_in_the_order_of_their_indexes() {
    check("SET l[7] = :a", json!({":a": 7}), json!({"l": [0, 1]}), json!({"l": [0, 1, 7]}));
    check(
        "SET l[9] = :b, l[7] = :a, l[0] = :b",
        json!({":a": 7, ":b": 9}),
        json!({"l": [0, 1]}),
        json!({"l": [9, 1, 7, 9]}),
    );
    check("SET l[0] = :a", json!({":a": 7}), json!({"l": []}), json!({"l": [7]}));
    check(
        "ADD l[8] :s, l[6] :n",
        json!({":s": {"$ss": ["a"]}, ":n": 2}),
        json!({"l": [1]}),
        json!({"l": [1, 2, {"$ss": ["a"]}]}),
    );
}

#[test]
fn remove_goes_by_the_indexes_before_the_update() {
    check("REMOVE a, b", json!({}), json!({"a": 1, "c": 2}), json!({"c": 2}));
    check("REMOVE l[0], l[2]", json!({}), json!({"l": [0, 1, 2, 3]}), json!({"l": [1, 3]}));
    check(
        "REMOVE l[1] SET l[2] = :v, l[9] = :v",
        json!({":v": 7}),
        json!({"l": [0, 1, 2]}),
        json!({"l": [0, 7, 7]}),
    );
    check("REMOVE l[1] SET l[5] = :v", json!({":v": 7}), json!({"l": [0]}), json!({"l": [0, 7]}));
    check("REMOVE l[5], m.x", json!({}), json!({"l": [0], "m": {}}), json!({"l": [0], "m": {}}));
    check("REMOVE l[0].x, l[1]", json!({}), json!({"l": [{"x": 1, "y": 2}, 5]}), json!({"l": [{"y": 2}]}));
    check("REMOVE m.a.b", json!({}), json!({"m": {"a": {"b": 1}}}), json!({"m": {"a": {}}}));
}

#[test]
fn add_counts_and_unites() {
    check("ADD n :n", json!({":n": 2}), json!({}), json!({"n": 2}));
    check(
        "ADD n :n, m.x :n",
        json!({":n": -2}),
        json!({"n": 1, "m": {"x": 5}}),
        json!({"n": -1, "m": {"x": 3}}),
    );
    for (set, more, union) in [
        (json!({"$ss": ["a", "b"]}), json!({"$ss": ["b", "c"]}), json!({"$ss": ["a", "b", "c"]})),
        (json!({"$ns": [1]}), json!({"$ns": [1, 2.5]}), json!({"$ns": [1, 2.5]})),
        (json!({"$bs": ["AQ=="]}), json!({"$bs": ["Ag=="]}), json!({"$bs": ["AQ==", "Ag=="]})),
    ] {
        check("ADD s :s", json!({":s": more}), json!({"s": set}), json!({"s": union}));
        check("ADD s :s", json!({":s": set}), json!({}), json!({"s": set}));
    }
    check_refused("ADD s :s", json!({":s": {"$ss": ["a"]}}), json!({"s": {"$ns": [1]}}), WRONG_TYPE);
    check_refused("ADD s :s", json!({":s": 1}), json!({"s": {"$ns": [1]}}), WRONG_TYPE);
    check_refused("ADD s :s", json!({":s": 1}), json!({"s": "1"}), WRONG_TYPE);
    check_refused("ADD m.x :s", json!({":s": 1}), json!({}), INVALID_PATH);
}

#[test]
fn delete_takes_members_away_and_with_the_last_one_the_set() {
    for (set, some, rest) in [
        (json!({"$ss": ["a", "b"]}), json!({"$ss": ["b", "c"]}), json!({"$ss": ["a"]})),
        (json!({"$ns": [1, 2]}), json!({"$ns": [1]}), json!({"$ns": [2]})),
        (json!({"$bs": ["AQ==", "Ag=="]}), json!({"$bs": ["Ag=="]}), json!({"$bs": ["AQ=="]})),
    ] {
        check("DELETE s :s", json!({":s": some}), json!({"s": set}), json!({"s": rest}));
        check("DELETE m.s :s", json!({":s": set}), json!({"m": {"s": set}}), json!({"m": {}}));
        check("DELETE s :s", json!({":s": set}), json!({"s": set}), json!({}));
        check("DELETE s :s", json!({":s": set}), json!({}), json!({}));
    }
    let set = json!({"$ss": ["a"]});
    check("DELETE l[0] :s", json!({":s": set}), json!({"l": [set, 1]}), json!({"l": [1]}));
    check("DELETE m.s :s", json!({":s": set}), json!({"m": {"x": 1}}), json!({"m": {"x": 1}}));
    check_refused("DELETE s :s", json!({":s": set}), json!({"s": {"$ns": [1]}}), WRONG_TYPE);
    check_refused("DELETE s :s", json!({":s": set}), json!({"s": "a"}), WRONG_TYPE);
    check_refused("DELETE m.s :s", json!({":s": set}), json!({}), INVALID_PATH);
}

#[test]
fn what_leads_to_a_place_must_be_there_and_fit() {
    for text in [
        "SET m.x = :v",
        "SET l[0] = :v",
        "SET m.x.y = :v",
        "SET s.x = :v",
        "SET s[0] = :v",
        "SET a.b[0] = :v",
    ] {
        check_refused(text, json!({":v": 1}), json!({"s": "x", "a": {"b": {}}}), INVALID_PATH);
    }
    for text in ["REMOVE m.x", "REMOVE l[0]", "REMOVE s.x", "REMOVE s[0]", "REMOVE a[0]", "REMOVE l2.x"] {
        check_refused(text, json!({}), json!({"s": "x", "a": {}, "l2": []}), INVALID_PATH);
    }
    // Steps that do not fit are found first, then wrong types, then what is missing, of which the last clause is looked at first.
    check_refused("SET a = s + :v, s.x = :v", json!({":v": 1}), json!({"s": "x"}), INVALID_PATH);
    check_refused("SET a = gone, b = s + :v", json!({":v": 1}), json!({"s": "x"}), WRONG_TYPE);
    check_refused("SET a = gone REMOVE m.x", json!({}), json!({}), INVALID_PATH);
    check_refused("REMOVE m.x SET a = gone", json!({}), json!({}), MISSING);
}

#[test]
fn an_item_is_made_of_its_key() {
    for (text, expected) in [
        ("SET a = :v", Ok(json!({"id": "k", "a": 1}))),
        ("SET a = if_not_exists(b, id), c = :v", Ok(json!({"id": "k", "a": "k", "c": 1}))),
        ("ADD n :v", Ok(json!({"id": "k", "n": 1}))),
        ("REMOVE a ADD a2 :v", Ok(json!({"id": "k", "a2": 1}))),
        ("REMOVE x.y, z[0] SET a = :v", Ok(json!({"id": "k", "a": 1}))),
        ("SET x.y = :v", Err(UpdateError::InvalidPath)),
        ("SET a = gone, b = :v", Err(UpdateError::MissingAttribute)),
    ] {
        assert_eq!(apply(text, &json!({":v": 1}), None), expected, "{text}");
    }
}

#[test]
fn an_item_that_would_be_too_large_or_too_deep_is_refused() {
    let half = "x".repeat(250_000);
    check_refused(
        "SET b = :v",
        json!({":v": half}),
        json!({"a": half}),
        "Item size to update has exceeded the maximum allowed size",
    );
    check_refused(
        "SET b = list_append(a, a)",
        json!({}),
        json!({"a": [half]}),
        "Item size to update has exceeded the maximum allowed size",
    );
    // A short text that asks for a list of five million elements.
    let repeated =
        (0..60).fold("a".to_owned(), |list, _| format!("list_append(if_not_exists(c, {list}), a)"));
    let error = apply(&format!("SET b = {repeated}"), &json!({}), Some(&json!({"a": vec![0; 90_000]})));
    assert_eq!(error, Err(UpdateError::TooLarge));

    let deep = (0..30).fold(json!(1), |value, _| json!([value]));
    check("SET a[0] = b", json!({}), json!({"a": [], "b": deep}), json!({"a": [deep], "b": deep}));
    check_refused(
        "SET a[0][0] = b",
        json!({}),
        json!({"a": [[]], "b": deep}),
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
    );
}

/// `UPDATED_OLD` and `UPDATED_NEW`.
#[track_caller]
fn check_returned(
    text: &str,
    values: Value,
    old: Option<Value>,
    updated_old: Option<Value>,
    updated_new: Option<Value>,
) {
    let update = compile(text, &values);
    let returned = |item: &[u8]| {
        let updated = update.updated(ItemView::new(item).unwrap()).unwrap();
        updated.map(|bytes| decode_json(&bytes).unwrap())
    };
    let old = old.map(|old| encode_json(&old).unwrap());
    let view = old.as_deref().map(|old| ItemView::new(old).unwrap());
    let new = update.apply(view, &item(json!({"id": "k"}))).unwrap();
    assert_eq!(old.as_deref().and_then(returned), updated_old, "UPDATED_OLD of {text}");
    assert_eq!(returned(&new), updated_new, "UPDATED_NEW of {text}");
}

#[test]
fn updated_values_are_those_at_the_paths_of_the_expression() {
    let some = Some;
    check_returned("SET a = :v", json!({":v": 1}), None, None, some(json!({"a": 1})));
    check_returned("SET a = :v", json!({":v": 1}), some(json!({"b": 2})), None, some(json!({"a": 1})));
    check_returned(
        "SET a = :v",
        json!({":v": 1}),
        some(json!({"a": 1})),
        some(json!({"a": 1})),
        some(json!({"a": 1})),
    );
    check_returned("REMOVE a", json!({}), some(json!({"a": 1, "b": 2})), some(json!({"a": 1})), None);
    let nested = json!({"a": {"b": "dog", "c": [1, 2, 3]}, "d": "cat"});
    check_returned(
        "SET a.b = :v",
        json!({":v": "hi"}),
        some(nested.clone()),
        some(json!({"a": {"b": "dog"}})),
        some(json!({"a": {"b": "hi"}})),
    );
    check_returned(
        "SET a.c[1] = :v",
        json!({":v": 7}),
        some(nested.clone()),
        some(json!({"a": {"c": [2]}})),
        some(json!({"a": {"c": [7]}})),
    );
    // What was appended is not at the index that was given.
    check_returned("SET a.c[100] = :v", json!({":v": 7}), some(nested.clone()), None, None);
    // The next element has moved up.
    check_returned(
        "REMOVE a.c[1]",
        json!({}),
        some(nested),
        some(json!({"a": {"c": [2]}})),
        some(json!({"a": {"c": [3]}})),
    );
    check_returned(
        "set b.c=((c[1])+(b.a)),b.a = a,c[1] = a, c[4] = b.a - b.b, c[2] = b.c add c[8] :b, c[6] :a",
        json!({":a": 2, ":b": {"$ss": ["a"]}}),
        some(json!({"a": "k", "b": {"a": 1, "b": 2, "c": 3}, "c": [1, 3]})),
        some(json!({"b": {"a": 1, "c": 3}, "c": [3]})),
        some(json!({"b": {"a": "k", "c": 4}, "c": ["k", 3, 2]})),
    );
}

#[test]
fn projections_keep_the_structure_and_close_lists_up() {
    let old = json!({
        "a": {"b": [10, 11, {"c": 12, "d": 13}], "e": 1}, "l": [0, 1, 2, [30, 31]], "s": "x", "dotted.name": 5, "n": null,
    });
    for (text, expected) in [
        ("s, n", json!({"s": "x", "n": null})),
        ("gone", json!({})),
        ("a.gone, s.x, l.x", json!({})),
        ("a[0], l[9], s[0]", json!({})),
        ("a.e", json!({"a": {"e": 1}})),
        ("a.b[2].d, a.b[0]", json!({"a": {"b": [10, {"d": 13}]}})),
        ("a.b[2].c, a.b[2].d", json!({"a": {"b": [{"c": 12, "d": 13}]}})),
        ("l[3][1], l[0], l[2]", json!({"l": [0, 2, [31]]})),
        ("l[3][9], l[1]", json!({"l": [1]})),
        ("a", json!({"a": {"b": [10, 11, {"c": 12, "d": 13}], "e": 1}})),
        ("#d, dotted.name2", json!({"dotted.name": 5})),
    ] {
        let mut request = json!({"projection": text});
        if text.contains("#d") {
            request["names"] = json!({"#d": "dotted.name"});
        }
        let projection = build(&request).unwrap().projection.unwrap();
        let bytes = encode_json(&old).unwrap();
        let projected = projection.project(ItemView::new(&bytes).unwrap()).unwrap();
        assert_eq!(decode_json(&projected).unwrap(), expected, "{text}");
    }
}

#[test]
fn one_update_serves_many_items() {
    let update = compile("SET n = if_not_exists(n, :z) + :n", &json!({":z": 0, ":n": 1}));
    let key = item(json!({"id": "k"}));
    let mut bytes = update.apply(None, &key).unwrap();
    for _ in 0..9 {
        bytes = update.apply(Some(ItemView::new(&bytes).unwrap()), &key).unwrap();
    }
    let n = ItemView::new(&bytes).unwrap().get("n").unwrap().unwrap().to_value();
    assert_eq!(n, Ok(AttributeValue::from(10)));
}
