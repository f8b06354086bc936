//! What is no item, what a table refuses, and what the programs refuse.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::scratch_file;
use crate::support::*;

fn import(path: &Path, input: &Path, options: &[&str]) -> Run {
    let arguments = ["--db", text(path), "-t", TABLE, "--create", DEFINITION, text(input)];
    run(IMPORT, &[&arguments, options].concat())
}

const LINES: &str = "{\"id\": \"a\", \"n\": 1}\n\n{\"id\": \"b\", \"n\": }\n{\"id\": \"c\", \"n\": 3}\n{\"id\": 4, \"n\": 4}\n{\"id\": \"e\", \"n\": 5}\n";

#[test]
fn the_first_line_that_is_no_item_ends_an_import_and_is_named() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("in.jsonl");
    fs::write(&input, LINES).expect("there is room");
    let run = import(&path, &input, &[]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.err.contains(&format!("{}, line 3: expected a JSON value at byte 17", text(&input))),
        "{run:?}"
    );
    // What stands before it is there.
    assert_eq!(items(&path).len(), 1);
}

#[test]
fn an_item_that_the_table_refuses_is_named() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("in.jsonl");
    fs::write(&input, LINES.replace("\"n\": }", "\"n\": 2}")).expect("there is room");
    let run = import(&path, &input, &[]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.err.contains("line 5: One or more parameter values were invalid: Type mismatch for key id"),
        "{run:?}"
    );
}

#[test]
fn rejects_go_into_a_file_and_everything_else_into_the_table() {
    let (directory, path) = scratch_file();
    let (input, rejects) = (directory.path().join("in.jsonl"), directory.path().join("rejects"));
    fs::write(&input, LINES).expect("there is room");
    let run = import(&path, &input, &["--rejects", text(&rejects), "--json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let report: Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!((&report["items"], &report["rejected"]), (&json!(3), &json!(2)));
    assert_eq!(items(&path).len(), 3);
    let rejected = fs::read_to_string(&rejects).expect("it is there");
    let rejected: Vec<Value> =
        rejected.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!(rejected.iter().map(|reject| &reject["line"]).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(rejected[0]["text"], "{\"id\": \"b\", \"n\": }");

    let csv = directory.path().join("in.csv");
    fs::write(&csv, "id,n:N\nx,1\ny\nz,two\n\"w\n\",4\n").expect("there is room");
    let run = import(&path, &csv, &["--rejects", text(&rejects), "--json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let rejected = fs::read_to_string(&rejects).expect("it is there");
    let rejected: Vec<Value> =
        rejected.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!(rejected.iter().map(|reject| &reject["line"]).collect::<Vec<_>>(), [3, 4]);
    assert!(
        rejected[0]["error"].as_str().is_some_and(|error| error.contains("there are 2 columns, and 1 cells"))
    );
}

#[test]
fn a_cell_that_is_no_text_is_refused_by_its_line() {
    let (directory, path) = scratch_file();
    let (input, rejects) = (directory.path().join("in.csv"), directory.path().join("rejects"));
    fs::write(&input, b"id,n:N\nx,1\nM\xfcller,2\nz,3\n").expect("there is room");
    let refused = import(&path, &input, &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("line 3: this is no UTF-8"), "{refused:?}");
    let run = import(&path, &input, &["--rejects", text(&rejects), "--json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let rejected = fs::read_to_string(&rejects).expect("it is there");
    let rejected: Value = serde_json::from_str(&rejected).expect("it is one line of JSON");
    assert_eq!((&rejected["line"], &rejected["text"]), (&json!(3), &json!("M\u{fffd}ller,2")));
    assert_eq!(items(&path).len(), 2);
}

/// Spreadsheets on old Macs, and on new ones that are asked to, end lines so.
#[test]
fn lines_may_end_in_any_way() {
    for end in ["\n", "\r\n", "\r"] {
        let (directory, path) = scratch_file();
        let input = directory.path().join("in.csv");
        fs::write(&input, ["id,n:N", "x,1", "\"y\n\",2", ""].join(end)).expect("there is room");
        let run = import(&path, &input, &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(items(&path).len(), 2, "{end:?}");
    }
}

/// However the input is sorted, and however much of it is gathered at once.
#[test]
fn of_two_items_with_one_key_the_later_one_stays() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("in.jsonl");
    let mut all = String::new();
    for round in 0..3 {
        for number in (0..3000).rev() {
            all += &format!("{}\n", json!({"id": format!("{}", number % 100), "n": number, "round": round}));
        }
    }
    fs::write(&input, all).expect("there is room");
    let run = import(&path, &input, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let items = items(&path);
    assert_eq!(items.len(), 3000);
    assert!(items.iter().all(|item| item["round"] == 2.into()));
}

#[test]
fn verification_notices_what_else_is_in_the_table() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("in.jsonl");
    fs::write(&input, "{\"id\": \"a\", \"n\": 1}\n").expect("there is room");
    assert_eq!(import(&path, &input, &["--verify"]).code, Some(0));
    fs::write(&input, "{\"id\": \"b\", \"n\": 1}\n").expect("there is room");
    let run = import(&path, &input, &["--verify"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.out.contains("NOT VERIFIED: the table holds 2 items"), "{run:?}");
}

#[test]
fn what_cannot_be_done_is_said_with_its_exit_code() {
    let (directory, path) = database();
    let missing = directory.path().join("missing.jsonl");
    let (db, input) = (text(&path), text(&missing));
    for (program, arguments, code, says) in [
        (IMPORT, &["--db", db, "-t", TABLE, input][..], 3, "missing.jsonl failed: No such file"),
        (IMPORT, &["--db", input, "-t", TABLE, db], 2, "does not say its form"),
        (IMPORT, &["--db", input, "-t", TABLE, "--format", "csv", db], 3, "does not exist"),
        (IMPORT, &["--db", db, "-t", "nothing", "--format", "csv", db], 1, "nothing not found"),
        (IMPORT, &["--db", db, "-t", TABLE, "--create", "(id)", input], 2, "expected the attribute's type"),
        (IMPORT, &["--db", db, "-t", TABLE, "--format", "jsonl", "--resume", "-"], 2, "cannot be resumed"),
        (IMPORT, &["--db", db, input], 2, "--table"),
        (
            IMPORT,
            &["--db", db, "-t", TABLE, "--format", "dynamodb", text(directory.path())],
            2,
            "holds no export",
        ),
        (EXPORT, &["--db", input, "-t", TABLE, input], 3, "does not exist"),
        (EXPORT, &["--db", db, "-t", "nothing", input], 1, "nothing not found"),
        (EXPORT, &["--db", db, "-t", TABLE, "--format", "jsonl", db], 2, "is there already"),
        (EXPORT, &["--db", db, "-t", TABLE, "/no/such/directory/x.jsonl"], 3, "No such file"),
    ] {
        let run = run(program, arguments);
        assert_eq!(run.code, Some(code), "{arguments:?}: {run:?}");
        assert!(run.err.contains(says), "{arguments:?}: {run:?}");
        assert_eq!(run.out, "", "{arguments:?}");
    }
}
