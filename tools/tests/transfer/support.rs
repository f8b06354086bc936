//! Tables of all kinds of values, and the two programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dynamite_core::Item;
use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::scratch_file;
pub(crate) use crate::common::things::things;

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
