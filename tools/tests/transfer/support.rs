//! Tables of all kinds of values, and the two programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Item};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::scratch_file;

pub(crate) const IMPORT: &str = env!("CARGO_BIN_EXE_dynamite-import");
pub(crate) const EXPORT: &str = env!("CARGO_BIN_EXE_dynamite-export");

pub(crate) const TABLE: &str = "things";
pub(crate) const DEFINITION: &str = "(id S, n N)";

/// What a run of a program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Run {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("the program runs");
    Run {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A run that ends well. Returns its report.
#[track_caller]
pub(crate) fn run_json(program: &str, arguments: &[&str]) -> Value {
    let run = run(program, &[arguments, &["--json"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("it is JSON: {run:?}"))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// Every kind of value, at the top and within others, and names and texts that are meant to cause trouble.
pub(crate) fn things() -> Vec<Item> {
    let number = |text: &str| AttributeValue::N(text.parse().expect("it is a number"));
    let numbers = [
        "0",
        "1",
        "-1",
        "0.1",
        "9007199254740993",
        "18446744073709551616",
        "1E-130",
        "-1E-130",
        "9.9999999999999999999999999999999999999E+125",
        "0.12345678901234567890123456789012345678",
    ];
    let mut values = vec![
        AttributeValue::Null,
        AttributeValue::Bool(true),
        AttributeValue::Bool(false),
        AttributeValue::B(Vec::new()),
        AttributeValue::B((0..=255).collect()),
        AttributeValue::string_set(["", "a", "a,b", "\"q\"", "é"]),
        AttributeValue::Ns(numbers.iter().map(|text| text.parse().expect("it is a number")).collect()),
        AttributeValue::binary_set([vec![], vec![0], vec![255; 10]]),
        AttributeValue::L(Vec::new()),
        AttributeValue::M(Item::new()),
    ];
    let texts = [
        "",
        " ",
        "null",
        "true",
        "1",
        "a\tb",
        "line\nbreak\r\n",
        "\"quoted\", and more",
        "ünï😀",
        "\u{0}\u{1f}",
        "\\\\",
        "{\"S\":\"x\"}",
        "-- no comment",
        ";",
        "=1+1",
        "\u{feff}bom",
    ];
    values.extend(texts.map(|text| AttributeValue::S(text.to_owned())));
    values.extend(numbers.map(number));
    // Maps that look like the marks of JSON.
    for name in ["$ss", "$ns", "$number", "$binary", "$$binary", "S", "Item"] {
        values.push(AttributeValue::M(Item::from([(
            name.to_owned(),
            AttributeValue::L(values[..3].to_vec()),
        )])));
    }
    values.push(AttributeValue::L(values.clone()));
    values.push(AttributeValue::M(
        values.iter().enumerate().map(|(nth, value)| (format!("v{nth}"), value.clone())).collect(),
    ));

    let mut items: Vec<Item> = values
        .iter()
        .enumerate()
        .map(|(nth, value)| {
            let key = [
                ("id".to_owned(), format!("thing {}", nth % 7).into()),
                ("n".to_owned(), (nth as u64).into()),
            ];
            // Alone in its column, and in one of all types.
            let own = (format!("of {}", value.attribute_type()), value.clone());
            key.into_iter().chain([own, ("any".to_owned(), value.clone())]).collect()
        })
        .collect();
    for (nth, name) in ["a:b", "x:N", "ünï", "", " ", "\"", ",", "\n", "#id", ":v"].into_iter().enumerate()
    {
        if name.is_empty() {
            continue;
        }
        let mut item = Item::from([("id".to_owned(), "names".into()), ("n".to_owned(), (nth as u64).into())]);
        item.insert(name.to_owned(), "a value".into());
        items.push(item);
    }
    items
}

/// A database with a table of these things.
pub(crate) fn database() -> (TempDir, PathBuf) {
    let (directory, path) = scratch_file();
    let db = DynaMite::create(&path).expect("the file is created");
    let table = db.create_table(TABLE).partition_key("id", KeyType::String).sort_key("n", KeyType::Number);
    table.execute().expect("there is room");
    for item in things() {
        db.put_item(TABLE, item).expect("there is room");
    }
    db.close().expect("the file is sealed");
    (directory, path)
}

/// All items of a table, in order.
pub(crate) fn items(path: &Path) -> Vec<Item> {
    let db = DynaMite::builder().read_only(true).open(path).expect("it can be read");
    let items = db.scan(TABLE).iter_items().expect("it can be read");
    items.map(|item| item.expect("it can be read")).collect()
}

/// Items of about 400 bytes, in the order of their keys or in none, as lines of JSON.
pub(crate) fn lines(count: u64, in_order: bool) -> String {
    let mut lines = String::new();
    for nth in 0..count {
        // A step that has no divisor in common with the count comes by every number.
        let number = if in_order { nth } else { nth * 7_368_787 % count };
        let item = json!({"id": format!("user {number:08}"), "n": number, "text": "x".repeat(330), "list": [1, 2.5, null]});
        lines += &format!("{item}\n");
    }
    lines
}
