//! `dynamite-dump` as its users see it: what each command prints of a file that is always the same, and of damaged ones.
//!
//! What is printed is held against the files in `tests/golden`; with `UPDATE_GOLDEN` in the environment they are written instead.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use dynamite_pager::PageId;
use serde_json::Value;

/// The command prints what is in the golden file, and changes nothing.
#[track_caller]
fn check_golden(path: &Path, golden: &str, arguments: &[&str], code: i32) {
    let before = fs::read(path).expect("the file is there");
    let arguments: Vec<&str> = ["db"].iter().chain(arguments).copied().collect();
    let report = run_beside(DUMP, path, &arguments);
    assert_eq!((report.code, &report.err[..]), (code, ""), "{}", report.out);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(golden);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &report.out).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&file).expect("there is a golden file");
    assert!(report.out == expected, "{golden} differs; with UPDATE_GOLDEN=1 see the change:\n{}", report.out);
    assert!(fs::read(path).expect("the file is there") == before, "the file has changed");
}

#[test]
fn each_command_prints_the_golden_text() {
    let (_directory, path) = documents();
    check_golden(&path, "header.txt", &["header"], 0);
    check_golden(&path, "catalog.txt", &["catalog"], 0);
    check_golden(&path, "stats.txt", &["stats"], 0);
    check_golden(&path, "free.txt", &["free"], 0);
    check_golden(&path, "tree.txt", &["tree", "users"], 0);
    check_golden(&path, "tree_index.txt", &["tree", "users/by_age"], 0);
    check_golden(&path, "versions.txt", &["versions", "events", r#"{"device": "d", "at": 1}"#], 0);
    check_golden(&path, "versions_kept.txt", &["versions", "users", r#"{"id": "user 0007"}"#], 0);
    check_golden(&path, "map.txt", &["map"], 0);
}

#[test]
fn each_command_prints_the_golden_json() {
    let (_directory, path) = documents();
    for (golden, arguments) in [
        ("header.json", &["header"][..]),
        ("catalog.json", &["catalog"]),
        ("stats.json", &["stats"]),
        ("free.json", &["free"]),
        ("tree.json", &["tree", "users"]),
        ("versions.json", &["versions", "events", r#"{"device": "d", "at": 1}"#]),
        ("map.json", &["map"]),
    ] {
        let arguments: Vec<&str> = arguments.iter().chain(&["--json"]).copied().collect();
        check_golden(&path, golden, &arguments, 0);
    }
}

/// The number of the first page of a class, as the map shows it.
fn first_of(path: &Path, letter: char) -> u32 {
    let map = run_beside(DUMP, path, &["db", "map"]).out;
    let lines = map.lines().filter_map(|line| {
        let (first, letters) = line.trim_start().split_once("  ")?;
        Some((first.parse::<u32>().ok()?, letters.to_owned()))
    });
    lines
        .flat_map(|(first, letters)| (first..).zip(letters.chars().collect::<Vec<_>>()))
        .find(|(_, found)| *found == letter)
        .expect("there is such a page")
        .0
}

#[test]
fn pages_of_each_kind_are_shown_byte_by_byte() {
    let (_directory, path) = documents();
    for (golden, letter) in [("page_leaf.txt", 'l'), ("page_inner.txt", 'i'), ("page_overflow.txt", 'o')] {
        let page = first_of(&path, letter).to_string();
        check_golden(&path, golden, &["page", &page], 0);
    }
    let root = run_beside(DUMP, &path, &["db", "catalog", "--json"]).out;
    let catalog: Value = serde_json::from_str(&root).expect("it is JSON");
    let users =
        catalog["trees"].as_array().expect("an array").iter().find(|tree| tree["tree"] == "table users");
    let root = users.expect("it is listed")["root"].to_string();
    check_golden(&path, "page_root.json", &["page", &root, "--json"], 0);
}

/// Fields cover all that is not said to be unused.
#[test]
fn no_byte_of_a_page_is_shown_twice() {
    let (_directory, path) = documents();
    let count = fs::metadata(&path).expect("the file is there").len() / 4096;
    for page in 0..count {
        let shown = run_beside(DUMP, &path, &["db", "page", &page.to_string(), "--json"]);
        let shown: Value = serde_json::from_str(&shown.out).expect("it is JSON");
        let mut end = 0;
        for field in shown["fields"].as_array().expect("an array") {
            let [offset, size] = ["offset", "size"].map(|name| field[name].as_u64().expect("a number"));
            assert!(offset >= end && size > 0 && offset + size <= 4096, "page {page}: {field}");
            end = offset + size;
        }
    }
}

#[test]
fn damage_is_shown_with_its_place() {
    let (_directory, path) = documents();
    let leaf = first_of(&path, 'l');
    flip(&path, PageId(leaf), 3000);
    let page = run_beside(DUMP, &path, &["db", "page", &leaf.to_string()]);
    assert_eq!(page.code, 2);
    assert!(page.out.contains("\ndamage: checksum 0x"), "{}", page.out);
    let stats = run_beside(DUMP, &path, &["db", "stats"]);
    assert_eq!(stats.code, 2);
    assert!(stats.out.contains(&format!("damage: page {leaf}: checksum 0x")), "{}", stats.out);
    let map = run_beside(DUMP, &path, &["db", "map"]);
    assert_eq!(map.code, 2);
    assert!(map.out.contains(" damaged\n"), "{}", map.out);
}

#[test]
fn what_nobody_can_open_is_shown_all_the_same() {
    let (_directory, path) = documents();
    (0..2).for_each(|page| flip(&path, PageId(page), 2000));
    let header = run_beside(DUMP, &path, &["db", "header"]);
    assert_eq!(header.code, 2);
    assert!(header.out.contains("page 0: header, cannot be used: checksum 0x"), "{}", header.out);
    let page = run_beside(DUMP, &path, &["db", "page", "8"]);
    assert_eq!(page.code, 0, "{page:?}");
    let map = run_beside(DUMP, &path, &["db", "map"]);
    assert_eq!(map.code, 2);
    assert!(map.out.contains(" leaf\n") && map.out.contains("2 damaged"), "{}", map.out);
    for command in ["catalog", "stats", "free"] {
        let report = run_beside(DUMP, &path, &["db", command]);
        assert_eq!((report.code, &report.out[..]), (2, ""), "{command}");
        assert!(report.err.contains("no header of db can be used"), "{}", report.err);
    }
}

#[test]
fn pictures_are_written_where_they_are_asked_for() {
    let (directory, path) = documents();
    for by in ["kind", "table", "age", "fill"] {
        let report = run_beside(
            DUMP,
            &path,
            &["db", "map", "--svg", "map.svg", "--png", "map.png", "--html", "map.html", "--by", by],
        );
        assert_eq!((report.code, &report.err[..]), (0, ""), "{}", report.out);
        let read = |name: &str| fs::read(directory.path().join(name)).expect("it was written");
        let svg = String::from_utf8(read("map.svg")).expect("it is text");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("<rect "));
        let png = read("map.png");
        assert_eq!(&png[..8], &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a]);
        assert_eq!(&png[png.len() - 8..png.len() - 4], b"IEND");
        let html = String::from_utf8(read("map.html")).expect("it is text");
        assert!(html.contains("\"table users\"") && !html.contains("{{"), "{by}");
        assert!(!html.contains("http"), "it needs nothing else");
    }
}

#[test]
fn wrong_arguments_say_what_there_is() {
    let (_directory, path) = documents();
    let missing = run_beside(DUMP, &path, &["db", "tree", "nothing"]);
    assert_eq!((missing.code, &missing.out[..]), (3, ""));
    assert!(missing.err.contains("there is no tree \"nothing\""), "{}", missing.err);
    let beyond = run_beside(DUMP, &path, &["db", "page", "1000000"]);
    assert_eq!(beyond.code, 3);
    assert!(beyond.err.contains(" pages, from 0 on"), "{}", beyond.err);
    let key = run_beside(DUMP, &path, &["db", "versions", "users", "{"]);
    assert_eq!(key.code, 3);
    assert!(key.err.contains("the key is no JSON object"), "{}", key.err);
    assert_eq!(run_beside(DUMP, &path, &["db"]).code, 3);
    assert_eq!(run_beside(DUMP, &path, &["no such file", "header"]).code, 3);
}
