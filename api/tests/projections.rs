//! Random projections of stored items beside a naive one that works on JSON: by gets, batches, queries and streams, in all three
//! decodings.

mod common;

use common::things;
use dynamite_core::Error;
use dynamite_core::json::item_to_json;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(&'static str),
    Index(usize),
}

const NAMES: [&str; 5] = ["a", "b", "$binary", "size", "é"];

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        select(vec!["", "x", "é"]).prop_map(Value::from),
        (-3_i64..300).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"$ss": ["a", "b"]})),
    ];
    scalar.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(select(&NAMES[..]), inner, 0..4).prop_map(object),
        ]
    })
}

/// The object of these entries, whose names mean themselves.
fn object(entries: std::collections::BTreeMap<&'static str, Value>) -> Value {
    let escaped = |name: &str| {
        if entries.len() == 1 && name.starts_with('$') { format!("${name}") } else { name.to_owned() }
    };
    Value::Object(entries.iter().map(|(name, value)| (escaped(name), value.clone())).collect())
}

fn any_path() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![select(&NAMES[..]).prop_map(Step::Name), (0_usize..4).prop_map(Step::Index)];
    (select(&NAMES[..]), prop::collection::vec(step, 0..4)).prop_map(|(name, mut steps)| {
        steps.insert(0, Step::Name(name));
        steps
    })
}

/// What is left of a value; each path is given from there on.
fn project(value: &Value, paths: &[&[Step]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    let inside = |step: Step| -> Vec<&[Step]> {
        paths.iter().filter(|path| path[0] == step).map(|path| &path[1..]).collect()
    };
    match value {
        Value::Object(entries) if !entries.contains_key("$ss") => {
            let left = NAMES.into_iter().filter_map(|name| {
                let escaped = format!("${name}");
                let value = if entries.len() == 1 && name.starts_with('$') {
                    entries.get(&escaped)
                } else {
                    entries.get(name)
                };
                let paths = inside(Step::Name(name));
                if paths.is_empty() { None } else { Some((name, project(value?, &paths)?)) }
            });
            let left: std::collections::BTreeMap<_, _> = left.collect();
            (!left.is_empty()).then(|| object(left))
        }
        Value::Array(elements) => {
            let left = elements.iter().enumerate().filter_map(|(index, value)| {
                let paths = inside(Step::Index(index));
                if paths.is_empty() { None } else { project(value, &paths) }
            });
            let left: Vec<_> = left.collect();
            (!left.is_empty()).then_some(Value::Array(left))
        }
        _ => None,
    }
}

fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text += &format!("[{index}]"),
            Step::Name(name) => {
                text += if text.is_empty() { "" } else { "." };
                text += &format!("#n{}", NAMES.iter().position(|other| other == name).unwrap());
            }
        }
    }
    text
}

/// Names every placeholder that a text mentions.
macro_rules! named {
    ($builder:expr, $text:expr $(, $table:literal)?) => {{
        let mut builder = $builder;
        for (nth, name) in NAMES.iter().enumerate() {
            let placeholder = format!("#n{nth}");
            if $text.contains(&placeholder) {
                builder = builder.name($($table,)? &placeholder, name);
            }
        }
        builder
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_a_naive_projection_leaves(
        paths in prop::collection::vec(any_path(), 1..4),
        entries in prop::collection::btree_map(select(&NAMES[..]), any_value(), 0..5),
    ) {
        let db = things();
        let mut item = Map::from_iter([("id".to_owned(), json!("k"))]);
        item.extend(entries.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let item = Value::Object(item);
        db.put_item("things", &item).unwrap();

        let text = paths.iter().map(|path| written(path)).collect::<Vec<_>>().join(", ");
        let get = || named!(db.get_item("things").partition_key("k").projection(&text), text);
        let found = match get().execute() {
            Ok(found) => found.unwrap(),
            Err(error) => {
                let text = error.to_string();
                prop_assert!(matches!(error, Error::Expression(_)) && text.contains("Two document paths"), "{text}");
                return Ok(());
            }
        };
        let paths: Vec<&[Step]> = paths.iter().map(Vec::as_slice).collect();
        let expected = project(&item, &paths).unwrap_or_else(|| json!({}));
        prop_assert_eq!(&found, &expected, "{} of {}", text, item);
        prop_assert_eq!(&item_to_json(get().execute_item().unwrap().unwrap()), &expected);
        // As serde sees it there are no markers.
        let plain = |value: &Value| -> Value {
            let bytes = dynamite_core::item_codec::encode_json(value).unwrap();
            dynamite_core::item_codec::from_bytes(&bytes).unwrap()
        };
        prop_assert_eq!(get().execute_as::<Value>().unwrap().unwrap(), plain(&expected));

        let batch = || named!(db.batch_get().get("things", "k").projection("things", &text), text, "things");
        prop_assert_eq!(batch().execute().unwrap(), [Some(expected.clone())]);
        let query = || named!(db.query("things").partition_key("k").projection(&text), text);
        prop_assert_eq!(&query().execute().unwrap().items[0], &expected);
        prop_assert_eq!(&item_to_json(query().execute_items().unwrap().items.remove(0)), &expected);
        let scan = || named!(db.scan("things").projection(&text), text);
        prop_assert_eq!(&scan().iter().unwrap().next().unwrap().unwrap(), &expected);
        prop_assert_eq!(scan().iter_as::<Value>().unwrap().next().unwrap().unwrap(), plain(&expected));
    }
}

#[test]
fn a_name_that_no_attribute_can_have_is_refused() {
    let db = things();
    db.put_item("things", json!({"id": "a"})).unwrap();
    let names = |len: usize| ["id".to_owned(), "x".repeat(len)];
    let get = |len| db.get_item("things").partition_key("a").attributes(names(len)).execute();
    assert_eq!(get(65_535).unwrap(), Some(json!({"id": "a"})));
    let text = "Attribute name is too large, must be less than 65536 bytes";
    assert_eq!(get(65_536).unwrap_err().to_string(), text);
    assert_eq!(db.scan("things").attributes(names(65_536)).execute().unwrap_err().to_string(), text);
    assert_eq!(db.scan("things").attributes(names(65_536)).iter().unwrap_err().to_string(), text);
}
