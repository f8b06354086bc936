//! `dynamite-fsck --salvage` as its users see it: everything outside the damage is in the new database, and what is lost is reported.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::*;
use dynamite_core::api::DynaMite;
use dynamite_pager::{PAGE_SIZE, PageId};
use dynamite_txn::ManualClock;
use serde_json::Value;
use tempfile::TempDir;

/// All items of a table, by their keys as text.
fn items(path: &Path, table: &str, key: &str) -> BTreeMap<String, Value> {
    // At a time at which nothing has expired.
    let clock = Arc::new(ManualClock::at(1_700_000_010_000));
    let builder = DynaMite::builder().background(false).read_only(true).clock(clock);
    let db = builder.open(path).expect("it is a database");
    let items =
        db.scan(table).iter().expect("there is such a table").map(|item| item.expect("it can be read"));
    items.map(|item| (item[key].to_string(), item)).collect()
}

struct Salvaged {
    _directory: TempDir,
    path: PathBuf,
    report: Report,
    json: Value,
}

/// Salvages a damaged copy; the new database is sound, and the old one stays as it is.
#[track_caller]
fn salvage(path: &Path) -> Salvaged {
    let before = fs::read(path).expect("the file is there");
    let (directory, out) = scratch_file();
    let arguments = [path.as_os_str(), "--salvage".as_ref(), out.as_os_str()];
    let report = fsck(&arguments);
    assert_eq!(report.err, "", "{}", report.out);
    assert!(fs::read(path).expect("the file is there") == before, "the file has changed");
    let check = fsck(&[&out]);
    assert_eq!(check.code, 0, "what was salvaged is not sound: {}", check.out);
    let (_other, again) = scratch_file();
    let arguments = [path.as_os_str(), "--salvage".as_ref(), again.as_os_str(), "--json".as_ref()];
    let json = serde_json::from_str(&fsck(&arguments).out).expect("it is JSON");
    Salvaged { _directory: directory, path: out, report, json }
}

/// The page of a tree's root, and its children.
fn pages_of(path: &Path, tree: &str) -> (PageId, Vec<PageId>) {
    let shown = |arguments: &[&str]| -> Value {
        let arguments: Vec<&str> = [path.to_str().expect("text")].iter().chain(arguments).copied().collect();
        serde_json::from_str(&run(DUMP, &arguments).out).expect("it is JSON")
    };
    let catalog = shown(&["catalog", "--json"]);
    let trees = catalog["trees"].as_array().expect("an array");
    let root = trees.iter().find(|found| found["tree"] == tree).expect("it is listed")["root"].clone();
    let root = root.as_u64().expect("it has pages") as u32;
    let children = shown(&["page", &root.to_string(), "--json"])["children"].clone();
    let children = children.as_array().expect("an array");
    let id = |value: &Value| PageId(value.as_u64().expect("a page") as u32);
    (PageId(root), children.iter().map(id).collect())
}

fn wipe(path: &Path, page: PageId) {
    let mut bytes = fs::read(path).expect("the file is there");
    let at = page.0 as usize * PAGE_SIZE;
    bytes[at..at + PAGE_SIZE].fill(0xa5);
    fs::write(path, bytes).expect("the file can be written");
}

/// Everything is there, but for some users.
#[track_caller]
fn check_kept(original: &Path, salvaged: &Salvaged, lost_users: std::ops::RangeInclusive<usize>) {
    for (table, key) in [("sessions", "id"), ("events", "at")] {
        assert_eq!(items(&salvaged.path, table, key), items(original, table, key), "{table}");
    }
    let (before, after) = (items(original, "users", "id"), items(&salvaged.path, "users", "id"));
    let lost = before.len() - after.len();
    assert!(lost_users.contains(&lost), "{lost} users are lost: {}", salvaged.report.out);
    for (key, user) in &after {
        assert_eq!(before.get(key), Some(user), "{key}");
    }
}

#[test]
fn of_a_sound_file_everything_is_salvaged() {
    let (_directory, path) = documents();
    let salvaged = salvage(&path);
    check_kept(&path, &salvaged, 0..=0);
    assert_eq!(salvaged.report.code, 0, "{}", salvaged.report.out);
    assert!(salvaged.report.out.contains("table users: 343 of 343 items\n"), "{}", salvaged.report.out);
    assert!(salvaged.report.out.ends_with("nothing was lost\n"), "{}", salvaged.report.out);
    assert_eq!(salvaged.json["status"], "clean");
    let db = DynaMite::builder().read_only(true).open(&salvaged.path).expect("it is a database");
    let of = DynaMite::builder().read_only(true).open(&path).expect("it is a database");
    let [here, there] = [&db, &of].map(|db| db.describe_table("sessions").expect("it is there"));
    assert_eq!((here.ttl, here.stream.map(|s| s.view)), (there.ttl, there.stream.map(|s| s.view)));
    let [here, there] = [&db, &of].map(|db| db.describe_table("events").expect("it is there"));
    assert_eq!((here.history, here.keys, here.created_ms), (there.history, there.keys, there.created_ms));
}

#[test]
fn a_lost_leaf_costs_its_items_and_no_others() {
    let (_directory, path) = documents();
    let (_copy, original) = copy_of(&path);
    wipe(&path, pages_of(&path, "table users").1[1]);
    let salvaged = salvage(&path);
    check_kept(&original, &salvaged, 20..=60);
    assert_eq!(salvaged.report.code, 2);
    assert!(
        salvaged.report.out.contains("unreadable: keys from [\"user 0057…] to before [\"user 0096…]"),
        "{}",
        salvaged.report.out
    );
    let users = &salvaged.json["tables"].as_array().expect("an array")[2];
    assert_eq!((&users["table"], &users["expected"]), (&"users".into(), &343.into()));
    assert_eq!(users["unreadable"][0]["from"], "[\"user 0057…]");
}

/// Its leaves are outside the damage.
#[test]
fn a_lost_root_costs_nothing() {
    let (_directory, path) = documents();
    let (_copy, original) = copy_of(&path);
    wipe(&path, pages_of(&path, "table users").0);
    let salvaged = salvage(&path);
    check_kept(&original, &salvaged, 0..=0);
    assert_eq!(salvaged.report.code, 2, "there is damage all the same");
    assert!(
        salvaged.report.out.contains("343 items stood in pages that nothing leads to"),
        "{}",
        salvaged.report.out
    );
}

#[test]
fn a_lost_index_costs_nothing() {
    let (_directory, path) = documents();
    let (_copy, original) = copy_of(&path);
    wipe(&path, pages_of(&path, "index by_age of table users").0);
    check_kept(&original, &salvage(&path), 0..=0);
}

#[test]
fn a_lost_long_value_costs_its_item() {
    let (_directory, path) = documents();
    let (_copy, original) = copy_of(&path);
    let stats = run(DUMP, &[path.as_os_str(), "map".as_ref()]).out;
    let line = stats.lines().next().expect("there is a map").trim_start();
    let letters = line.split_once("  ").expect("a number is in front").1;
    for page in letters.char_indices().filter(|(_, letter)| *letter == 'o').map(|(at, _)| at) {
        wipe(&path, PageId(page as u32));
    }
    let salvaged = salvage(&path);
    check_kept(&original, &salvaged, 1..=1);
    assert!(salvaged.report.out.contains("user long"), "{}", salvaged.report.out);
}

#[test]
fn lost_headers_cost_nothing_if_their_ids_can_be_read() {
    let (_directory, path) = documents();
    let (_copy, original) = copy_of(&path);
    (0..2).for_each(|page| flip(&path, PageId(page), 2000));
    let salvaged = salvage(&path);
    check_kept(&original, &salvaged, 0..=0);
    assert!(salvaged.report.out.starts_with("no header could be used"), "{}", salvaged.report.out);
    assert_eq!(salvaged.json["guessed"], true);
}

#[test]
fn a_lost_catalog_is_replaced_by_an_older_one() {
    let (_directory, path) = documents();
    let (_copy, original) = copy_of(&path);
    let header: Value =
        serde_json::from_str(&run(DUMP, &[path.as_os_str(), "header".as_ref(), "--json".as_ref()]).out)
            .expect("it is JSON");
    let fields = header["headers"][0]["fields"].as_array().expect("an array").iter();
    let root = fields.clone().find(|field| field["name"] == "catalog root").expect("it is named");
    let text = root["value"].as_str().expect("a text");
    let page: u32 =
        text.trim_start_matches("page ").split(',').next().expect("a page").parse().expect("a number");
    wipe(&path, PageId(page));
    let salvaged = salvage(&path);
    check_kept(&original, &salvaged, 0..=0);
    assert!(salvaged.report.out.contains("an older version of it was used"), "{}", salvaged.report.out);
}

#[test]
fn a_cut_file_keeps_what_is_before_the_cut() {
    let (_directory, path) = documents();
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the file is there");
    file.set_len(50 * PAGE_SIZE as u64).expect("it can be cut");
    let salvaged = salvage(&path);
    assert_eq!(salvaged.report.code, 2);
    assert!(salvaged.report.out.contains("table users: "), "{}", salvaged.report.out);
}

#[test]
fn nothing_is_left_where_nothing_could_be_salvaged() {
    let (directory, path) = scratch_file();
    let out = directory.path().join("out");
    fs::write(&path, "Dear diary, ".repeat(4000)).expect("the file is written");
    let report = fsck(&[path.as_os_str(), "--salvage".as_ref(), out.as_os_str()]);
    assert_eq!((report.code, &report.out[..]), (3, ""));
    assert!(report.err.contains("is not a DynaMite database"), "{}", report.err);
    assert!(!out.exists());
    let (_directory, path) = documents();
    let report = fsck(&[path.as_os_str(), "--salvage".as_ref(), path.as_os_str()]);
    assert_eq!(report.code, 3);
    assert!(report.err.contains("already exists") && path.exists(), "{}", report.err);
    assert_eq!(items(&path, "users", "id").len(), 343);
}
