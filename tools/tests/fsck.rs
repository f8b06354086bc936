//! `dynamite-fsck` as its users see it: the process, its exit code and what it prints, on real files. It names what is wrong by
//! page and check, and never changes a byte.

mod common;

use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, io};

use common::*;
use dynamite_core::api::{DynaMite, GlobalIndex};
use dynamite_core::types::KeyType;
use dynamite_pager::{Extent, PAGE_SIZE, PageId, PageKind};
use dynamite_txn::TxnError;
use serde_json::{Value, json};

/// The exit code is the documented one, the report says this, and the file stays as it is.
#[track_caller]
fn check(path: &Path, code: i32, says: &[&str]) {
    let before = fs::read(path).ok();
    let report = fsck(&[path.as_os_str()]);
    assert_eq!(report.code, code, "{report:?}");
    for part in says {
        assert!(report.out.contains(part), "{part:?} is not in the report: {}", report.out);
    }
    assert_eq!(report.err, "", "what is no terminal sees no progress");
    assert!(fs::read(path).ok() == before, "the file has changed");
}

/// A byte of a page is another one than was written.
#[track_caller]
fn check_rot(find: impl FnOnce(&Pages) -> PageId) {
    let (_directory, path) = database();
    let page = find(&Pages::of(&path));
    flip(&path, page, 1234);
    check(&path, 2, &[&format!("damage: page {page}: checksum 0x"), "damage (", "findings: "]);
}

#[test]
fn a_sound_file_is_clean() {
    let (_directory, path) = database();
    let summary = format!("{}: clean (", path.display());
    check(&path, 0, &[&summary, " pages, commit ", "findings: 0)"]);
    let report = fsck(&[path.as_os_str(), "--quiet".as_ref()]);
    assert_eq!((report.code, &report.out[..], &report.err[..]), (0, "", ""));
}

const CHILD: &str = "DYNAMITE_TEST_KILLED";

/// The killed process leaves a commit that is not sealed, which a writer would seal at once.
#[test]
fn a_file_of_a_killed_process_is_clean_and_stays_as_it_is() {
    if let Some(path) = env::var_os(CHILD) {
        let store = options().create(&path, DATABASE_ID).expect("the file is created");
        fill(&store).expect("the device has room");
        let mut out = io::stdout();
        writeln!(out, "committed").and_then(|()| out.flush()).expect("the parent listens");
        loop {
            std::thread::park();
        }
    }
    let (_directory, path) = scratch_file();
    let test = env::current_exe().expect("the test knows its binary");
    let name = "a_file_of_a_killed_process_is_clean_and_stays_as_it_is";
    let mut child = Command::new(test)
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary runs");
    let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let committed = lines.map_while(Result::ok).any(|line| line.ends_with("committed"));
    child.kill().expect("it waits to be killed");
    child.wait().expect("it was killed");
    assert!(committed);
    check(&path, 0, &["clean"]);
    drop(options().open(&path).expect("a writer heals it"));
    check(&path, 0, &["clean"]);
}

#[test]
fn one_damaged_header_is_a_warning() {
    for place in 0..2 {
        let (_directory, path) = database();
        flip(&path, PageId(place), 200);
        let warning =
            format!("warning: page {place}: this header cannot be used, the other one can: checksum");
        check(&path, 1, &[&warning, "warnings ("]);
    }
}

#[test]
fn two_damaged_headers_are_damage() {
    let (_directory, path) = database();
    (0..2).for_each(|place| flip(&path, PageId(place), 200));
    check(&path, 2, &["no header of ", "page 0: checksum", "page 1: checksum"]);
}

#[test]
fn rot_in_a_leaf_is_damage() {
    check_rot(|pages| pages.leaf);
}

#[test]
fn rot_in_an_inner_node_is_damage() {
    check_rot(|pages| pages.inner);
}

#[test]
fn rot_in_an_overflow_page_is_damage() {
    check_rot(|pages| pages.overflow);
}

#[test]
fn rot_in_an_extent_list_is_damage() {
    check_rot(|pages| pages.extent_list);
}

#[test]
fn rot_in_the_catalog_is_damage() {
    check_rot(|pages| pages.catalog);
}

#[test]
fn rot_in_the_free_space_is_damage() {
    check_rot(|pages| pages.space_root);
}

#[test]
fn lost_pages_are_a_warning() {
    let (_directory, path) = database();
    let mut lost = Extent::single(PageId(0));
    forge(&path, |batch| {
        lost = batch.allocate_run(3, PageKind(18)).expect("the device has room");
    });
    let (first, last) = (lost.first, lost.first.0 + 2);
    check(&path, 1, &[&format!("warning: pages {first} to {last}: neither in use nor free"), "findings: 1)"]);
}

#[test]
fn a_page_in_use_that_counts_as_free_is_damage() {
    let (_directory, path) = database();
    let leaf = Pages::of(&path).leaf_ptr;
    forge(&path, |batch| batch.free(leaf).expect("it is in use"));
    check(&path, 2, &[&format!("damage: page {}: in use, but counted as free", leaf.id)]);
}

#[test]
fn a_page_of_two_trees_is_damage() {
    let (_directory, path) = database();
    let root = Pages::of(&path).inner;
    forge(&path, |batch| {
        // The record of one table under the id of another.
        let mut catalog = catalog_of(&batch.roots());
        let record =
            catalog.get(batch, &FIRST_TABLE.to_be_bytes()).expect("it is whole").expect("it is there");
        let record = record.head().to_vec();
        put(batch, &mut catalog, &(FIRST_TABLE + 1).to_be_bytes(), &record);
        set_catalog(batch, &catalog);
    });
    check(&path, 2, &[&format!("damage: page {root}: reached more than once")]);
}

/// Pages that are in order and say something wrong.
#[test]
fn records_that_lie_are_damage() {
    let (_directory, path) = database();
    forge(&path, |batch| {
        let mut catalog = catalog_of(&batch.roots());
        let record =
            catalog.get(batch, &FIRST_TABLE.to_be_bytes()).expect("it is whole").expect("it is there");
        let mut record = record.head().to_vec();
        record[21] ^= 1;
        put(batch, &mut catalog, &FIRST_TABLE.to_be_bytes(), &record);
        set_catalog(batch, &catalog);
    });
    check(&path, 2, &["damage: page ", "table 16 has ", " items, the catalog counts "]);
}

#[test]
fn a_truncated_file_is_damage() {
    let (_directory, path) = database();
    let pages = Pages::of(&path).page_count;
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the file is there");
    file.set_len((pages - 1) * PAGE_SIZE as u64).expect("the file is cut");
    check(&path, 2, &[&format!("has {} pages where its header counts {pages}", pages - 1)]);
}

#[test]
fn what_is_no_database_cannot_be_checked() {
    let (directory, path) = scratch_file();
    check(&path, 3, &["does not exist"]);
    assert!(!path.exists(), "the check has created it");
    check(directory.path(), 3, &["is a directory, not a regular file"]);
    fs::write(&path, "").expect("the file is written");
    check(&path, 3, &["was interrupted and it holds no data"]);
    fs::write(&path, "Dear diary, ".repeat(4000)).expect("the file is written");
    check(&path, 3, &["is not a DynaMite database"]);
}

#[test]
fn a_file_in_use_by_a_writer_cannot_be_checked() {
    let (_directory, path) = database();
    let writer = options().open(&path).expect("nobody else has it");
    check(&path, 3, &["is locked by another process or handle"]);
    drop(writer);
    let reader = options().open_read_only(&path).expect("nobody else has it");
    check(&path, 0, &["clean"]);
    drop(reader);
}

#[test]
fn wrong_arguments_are_not_damage() {
    for arguments in [&[][..], &["--no-such-option", "file"], &["one", "two"], &["file", "--limit", "few"]] {
        let report = fsck(arguments);
        assert_eq!((report.code, &report.out[..]), (3, ""), "{arguments:?}");
        assert!(report.err.starts_with("error: ") && report.err.contains("--help"), "{}", report.err);
    }
    for asked in ["--help", "--version"] {
        let report = fsck(&[asked]);
        assert_eq!((report.code, &report.err[..]), (0, ""), "{asked}");
        assert!(report.out.contains("fsck"), "{}", report.out);
    }
}

/// The one JSON object of a report, which has exactly these fields.
#[track_caller]
fn json(path: &Path, options: &[&str], code: i32, fields: &[&str]) -> Value {
    let arguments =
        [path.as_os_str(), "--json".as_ref()].into_iter().chain(options.iter().map(AsRef::as_ref));
    let report = fsck(&arguments.collect::<Vec<_>>());
    assert_eq!((report.code, &report.err[..]), (code, ""), "{}", report.out);
    assert_eq!(report.out.lines().count(), 1, "{}", report.out);
    let value: Value = serde_json::from_str(&report.out).expect("it is JSON");
    check_fields(&value, fields);
    assert_eq!(value["file"], path.display().to_string());
    value
}

#[track_caller]
fn check_fields(value: &Value, fields: &[&str]) {
    let mut found: Vec<&str> =
        value.as_object().expect("it is an object").keys().map(String::as_str).collect();
    let mut expected = fields.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{value}");
}

const REPORT: [&str; 7] = ["file", "status", "pages", "commit", "finding_count", "findings", "lost"];
const FINDING: [&str; 6] = ["severity", "first_page", "page_count", "tree", "table", "message"];
const ERROR: [&str; 3] = ["file", "status", "error"];

#[test]
fn the_json_report_has_the_documented_fields() {
    let (_directory, path) = database();
    let pages = Pages::of(&path);
    let clean = json(&path, &[], 0, &REPORT);
    assert_eq!((&clean["status"], &clean["finding_count"]), (&"clean".into(), &0.into()));
    assert_eq!(clean["pages"], pages.page_count);
    assert_eq!(clean["findings"], Value::Array(Vec::new()));
    assert!(clean["commit"].as_u64().is_some_and(|commit| commit > 0));

    flip(&path, pages.older_header, 200);
    flip(&path, pages.leaf, 77);
    let damaged = json(&path, &[], 2, &REPORT);
    assert_eq!(damaged["status"], "damage");
    let findings = damaged["findings"].as_array().expect("it is an array");
    assert_eq!(damaged["finding_count"], findings.len());
    findings.iter().for_each(|finding| check_fields(finding, &FINDING));
    let of =
        |page: PageId| findings.iter().find(|finding| finding["first_page"] == page.0).expect("it is named");
    let (header, leaf) = (of(pages.older_header), of(pages.leaf));
    assert_eq!((&header["severity"], &leaf["severity"]), (&"warning".into(), &"damage".into()));
    assert_eq!(leaf["page_count"], 1);
    let message = leaf["message"].as_str().expect("it is a text");
    assert!(message.starts_with(&format!("page {}: checksum", pages.leaf)), "{message}");
    assert!(findings.len() > 2, "what is below the leaf is lost: {damaged}");

    let first = json(&path, &["--limit", "1"], 2, &REPORT);
    assert_eq!(first["findings"], Value::Array(findings[..1].to_vec()));
    assert_eq!(first["finding_count"], findings.len());
    assert_eq!(json(&path, &["--quiet"], 2, &REPORT), damaged);

    flip(&path, PageId(1 - pages.older_header.0), 200);
    let hopeless = json(&path, &[], 2, &ERROR);
    assert_eq!(hopeless["status"], "damage");
    fs::remove_file(&path).expect("it is there");
    let missing = json(&path, &[], 3, &ERROR);
    assert_eq!(missing["status"], "cannot check");
    assert!(missing["error"].as_str().is_some_and(|error| error.contains("does not exist")), "{missing}");
}

#[test]
fn a_limit_counts_what_it_does_not_print() {
    let (_directory, path) = database();
    flip(&path, Pages::of(&path).inner, 77);
    let all = fsck(&[path.as_os_str()]);
    // What is lost is said behind the findings.
    fn but_lost(report: &Report) -> Vec<&str> {
        report.out.lines().filter(|line| !line.starts_with("lost: ")).collect()
    }
    let lines = but_lost(&all);
    let (summary, findings) = lines.split_last().expect("there is a summary");
    assert!(
        findings.len() > 3 && summary.ends_with(&format!("findings: {})", findings.len())),
        "{}",
        all.out
    );

    for limit in [0, 2] {
        let text = limit.to_string();
        let report = fsck(&[path.as_os_str(), "--limit".as_ref(), text.as_ref()]);
        let mut expected = findings[..limit].to_vec();
        let more = format!("... and {} more", findings.len() - limit);
        expected.extend([&more[..], summary]);
        assert_eq!((report.code, but_lost(&report)), (2, expected));
    }
    let quiet = fsck(&[path.as_os_str(), "-q".as_ref()]);
    assert_eq!((quiet.code, quiet.out.lines().collect::<Vec<_>>()), (2, findings.to_vec()));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let (_directory, path) = database();
    flip(&path, Pages::of(&path).inner, 77);
    for json in [false, true] {
        let (reader, writer) = pipe().expect("there are descriptors");
        drop(reader);
        let mut command = Command::new(FSCK);
        command.arg(&path).args(json.then_some("--json")).stdout(writer);
        let output = command.output().expect("the program runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{err}");
        assert!(
            err.starts_with("dynamite-fsck: cannot print the report: ") && err.lines().count() == 1,
            "{err}"
        );
    }
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    let (_directory, path) = database();
    for (option, shown) in [(None, true), (Some("--quiet"), false), (Some("--json"), false)] {
        let (mut here, there) = terminal();
        let mut command = Command::new(FSCK);
        command.arg(&path).args(option).env("TERM", "xterm").stderr(there);
        let output = command.output().expect("the program runs");
        // The last descriptor of the other side goes with the command.
        drop(command);
        assert_eq!(output.status.code(), Some(0));
        assert!(!String::from_utf8_lossy(&output.stdout).contains("left"), "the report is no progress");
        let mut seen = Vec::new();
        // A terminal whose other side is closed ends with an error, after all that was written to it.
        let _ = here.read_to_end(&mut seen);
        let seen = String::from_utf8_lossy(&seen);
        assert_eq!(seen.contains(" checked, "), shown, "{option:?}: {seen:?}");
    }
}

#[test]
fn a_backup_is_clean_and_an_unfinished_one_cannot_be_checked() -> Result<(), TxnError> {
    let (directory, path) = database();
    let [copy, kept] = ["copy", "kept"].map(|name| directory.path().join(name));
    let store = options().open(&path)?;
    store.backup(&copy, *b"the copy has one", &mut |_| {
        fs::copy(directory.path().join("copy.partial"), &kept).expect("it is there meanwhile");
        ControlFlow::Continue(())
    })?;
    check(&copy, 0, &["clean"]);
    let report = fsck(&[&kept]);
    assert_eq!(report.code, 3);
    assert!(report.out.contains("unfinished copy"), "{report:?}");
    Ok(())
}

/// A check of what is not a tree of its own does not stand in the way of one that is.
#[test]
fn a_file_is_checked_while_others_read_it() -> Result<(), TxnError> {
    let (_directory, path) = database();
    let reader = options().open_read_only(&path)?;
    let snapshot = reader.snapshot()?;
    check(&path, 0, &["clean"]);
    assert!(!snapshot.read()?.tables()?.is_empty());
    Ok(())
}

/// The page, the tree and the keys are named.
#[test]
fn damage_in_documents_is_named_by_table_and_keys() {
    let (_directory, path) = documents();
    let page_of = |tree: &str| {
        let shape = run(DUMP, &[path.as_os_str(), "catalog".as_ref(), "--json".as_ref()]);
        let shape: Value = serde_json::from_str(&shape.out).expect("it is JSON");
        let trees = shape["trees"].as_array().expect("an array");
        let tree = trees.iter().find(|found| found["tree"] == tree).expect("it is listed");
        tree["root"].to_string()
    };
    let root = page_of("table users");
    let shown = run(DUMP, &[path.as_os_str(), "page".as_ref(), root.as_ref(), "--json".as_ref()]);
    let shown: Value = serde_json::from_str(&shown.out).expect("it is JSON");
    let second = PageId(shown["children"][1].as_u64().expect("a page") as u32);
    check(&path, 0, &["clean"]);
    flip(&path, second, 3000);
    let named = format!("damage: page {second}: checksum 0x");
    check(&path, 2, &[&named, "(table users)", "lost: table users, keys from [\"user 0057"]);
    flip(&path, second, 3000);
    let index: u32 = page_of("index by_age of table users").parse().expect("a number");
    flip(&path, PageId(index), 100);
    let named = format!("damage: page {index}: checksum 0x");
    let lost = "lost: index by_age of table users, keys from the first to the last";
    check(&path, 2, &[&named, "(index by_age of table users)", lost]);
}

/// Bytes that are no item of their table, on a page that is whole.
#[test]
fn items_that_are_none_are_damage() {
    let (_directory, path) = documents();
    let store = options().open(&path).expect("nobody else has it");
    let users = store.read().and_then(|mut read| read.table(b"users")).expect("it can be read");
    let users = users.expect("there is such a table").id;
    let key = b"Sother\0\0";
    store.write(|txn| txn.put(users, key, b"\x01\xff")).expect("the device has room");
    store.close().expect("the file is sealed");
    check(&path, 2, &["table users, key [\"other\"]: the item is malformed: "]);

    // Another value, and one more than the table has.
    for (key, shown, own) in
        [(&key[..], r#"["other"]"#, "somebody"), (b"Sother\0\0Smore\0\0", r#"["other","more"]"#, "other")]
    {
        let store = options().open(&path).expect("nobody else has it");
        let item = dynamite_core::item_codec::encode_json(&json!({"id": own})).expect("it is an item");
        store.write(|txn| txn.put(users, key, &item)).expect("the device has room");
        store.close().expect("the file is sealed");
        let says =
            format!("table users, key {shown}: the item's own key attributes are others (table users)");
        check(&path, 2, &[&says]);
    }
}

/// The trees are whole; what one of them holds is not what another one says.
#[test]
fn an_index_that_is_not_the_projection_of_its_table_is_damage() {
    let (_directory, path) = scratch_file();
    let db = DynaMite::create(&path).expect("the file is created");
    let index = GlobalIndex::new("by_x").partition_key("x", KeyType::Number);
    let table = db.create_table("things").partition_key("id", KeyType::String);
    table.global_index(index).execute().expect("the device has room");
    for id in ["a", "b"] {
        db.put_item("things", json!({"id": id, "x": 1})).expect("the device has room");
    }
    db.close().expect("the file is sealed");
    check(&path, 0, &["clean"]);

    remove_first(&path, b"by_x");
    let says = "damage: index by_x of table things: there is no entry for the item {\"id\":\"a\"}";
    check(&path, 2, &[says, "findings: 1)"]);
}
