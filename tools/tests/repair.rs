//! `dynamite-fsck --repair` as its users see it: what can be made anew is, nothing that is stored is lost, and the file is clean
//! afterwards; what cannot be is left as it is.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::*;
use dynamite_core::api::DynaMite;
use dynamite_pager::{PAGE_SIZE, PageId, PageKind};
use dynamite_txn::ManualClock;
use serde_json::Value;

/// The items of all tables, and those that the index finds.
fn contents(path: &Path) -> BTreeMap<String, Vec<Value>> {
    let clock = Arc::new(ManualClock::at(1_700_000_010_000));
    let builder = DynaMite::builder().background(false).read_only(true).clock(clock);
    let db = builder.open(path).expect("it is a database");
    let mut contents = BTreeMap::new();
    for table in db.list_tables().expect("it can be read") {
        let items = db.scan(&table).iter().expect("it is there").map(|item| item.expect("it can be read"));
        contents.insert(table, items.collect());
    }
    let found = db.scan("users").index("by_age").iter().expect("it is there");
    contents.insert("by_age".to_owned(), found.map(|item| item.expect("it can be read")).collect());
    contents
}

/// The damage is repaired: the program says so, and all items are there.
#[track_caller]
fn check_repaired(damage: impl FnOnce(&Path), says: &str) {
    let (_directory, path) = documents();
    let before = contents(&path);
    damage(&path);
    let found = fsck(&[&path]);
    assert!(found.code == 1 || found.code == 2, "there is no damage: {}", found.out);

    // On a copy first, which leaves the file as it is.
    let bytes = fs::read(&path).expect("the file is there");
    let (_other, copy) = scratch_file();
    let arguments = [path.as_os_str(), "--repair".as_ref(), "--on-copy".as_ref(), copy.as_os_str()];
    let on_copy = fsck(&arguments);
    assert_eq!((on_copy.code, &on_copy.err[..]), (1, ""), "{}", on_copy.out);
    assert!(fs::read(&path).expect("the file is there") == bytes, "the file has changed");

    let repaired = fsck(&[path.as_os_str(), "--repair".as_ref()]);
    assert_eq!((repaired.code, &repaired.err[..]), (1, ""), "{}", repaired.out);
    assert!(repaired.out.contains(says), "{says:?} is not in the report: {}", repaired.out);
    for file in [&path, &copy] {
        let check = fsck(&[file]);
        assert_eq!(check.code, 0, "{}", check.out);
        assert!(contents(file) == before, "the contents have changed");
    }
    let again = fsck(&[path.as_os_str(), "--repair".as_ref()]);
    assert_eq!(again.code, 0, "there is nothing left to repair: {}", again.out);

    // Whoever writes to it finds it in order.
    let db = DynaMite::builder().background(false).open(&path).expect("it is a database");
    for number in 0..200 {
        let user = serde_json::json!({"id": format!("new {number}"), "age": 7, "about": "z".repeat(300)});
        db.put_item("users", user).expect("the device has room");
    }
    db.close().expect("the file is sealed");
    let check = fsck(&[&path]);
    assert_eq!(check.code, 0, "{}", check.out);
}

fn root_of(path: &Path, tree: &str) -> PageId {
    let catalog = run(DUMP, &[path.as_os_str(), "catalog".as_ref(), "--json".as_ref()]).out;
    let catalog: Value = serde_json::from_str(&catalog).expect("it is JSON");
    let trees = catalog["trees"].as_array().expect("an array");
    let tree = trees.iter().find(|found| found["tree"] == tree).expect("it is listed");
    PageId(tree["root"].as_u64().expect("it has pages") as u32)
}

#[test]
fn a_header_is_written_anew() {
    for place in 0..2 {
        check_repaired(|path| flip(path, PageId(place), 200), "repaired: ");
    }
}

#[test]
fn lost_pages_are_free_again() {
    let damage = |path: &Path| {
        forge(path, |batch| {
            batch.allocate_run(3, PageKind(18)).expect("the device has room");
        });
    };
    check_repaired(damage, "repaired: rebuilt the free space: 3 pages were lost, 0 in use counted as free");
}

#[test]
fn pages_in_use_count_as_free_no_more() {
    let damage = |path: &Path| {
        let root = root_of(path, "table users");
        let bytes = fs::read(path).expect("the file is there");
        let at = root.0 as usize * PAGE_SIZE + 8;
        let birth = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let ptr = dynamite_pager::PagePtr { id: root, birth: dynamite_pager::Birth(birth) };
        forge(path, |batch| batch.free(ptr).expect("it is in use"));
    };
    check_repaired(damage, "0 pages were lost, 1 in use counted as free");
}

#[test]
fn a_damaged_space_root_is_rebuilt() {
    let damage = |path: &Path| {
        let header = run(DUMP, &[path.as_os_str(), "header".as_ref(), "--json".as_ref()]).out;
        let header: Value = serde_json::from_str(&header).expect("it is JSON");
        let headers = header["headers"].as_array().expect("an array");
        let current = headers.iter().find(|header| header["state"] == "current").expect("there is one");
        let fields = current["fields"].as_array().expect("an array");
        let root = fields.iter().find(|field| field["name"] == "space root").expect("it is named");
        let text = root["value"].as_str().expect("a text");
        let page = text.trim_start_matches("page ").split(',').next().expect("a page");
        flip(path, PageId(page.parse().expect("a number")), 300);
    };
    check_repaired(damage, "repaired: rebuilt the free space: ");
}

#[test]
fn damaged_indexes_and_queues_are_built_anew() {
    let tree = "index by_age of table users";
    check_repaired(
        |path| flip(path, root_of(path, tree), 3000),
        "repaired: built anew: index by_age of table users",
    );
    let tree = "TTL queue of table sessions";
    check_repaired(
        |path| flip(path, root_of(path, tree), 3000),
        "repaired: built anew: TTL queue of table sessions",
    );
}

#[test]
fn an_index_that_is_not_what_its_table_says_is_built_anew() {
    let damage = |path: &Path| remove_first(path, b"by_age");
    check_repaired(damage, "repaired: built anew: index by_age of table users");
}

#[test]
fn wrong_counts_are_corrected() {
    let damage = |path: &Path| {
        forge(path, |batch| {
            let mut catalog = catalog_of(&batch.roots());
            let users = 17_u32.to_be_bytes();
            let record = catalog.get(batch, &users).expect("it is whole").expect("it is there");
            let mut record = record.head().to_vec();
            record[21] ^= 1;
            put(batch, &mut catalog, &users, &record);
            set_catalog(batch, &catalog);
        });
    };
    check_repaired(damage, "repaired: corrected what the catalog counts in table users");
}

#[test]
fn what_is_nowhere_else_is_left_to_salvage() {
    let (_directory, path) = documents();
    flip(&path, root_of(&path, "table users"), 3000);
    let bytes = fs::read(&path).expect("the file is there");
    let report = fsck(&[path.as_os_str(), "--repair".as_ref()]);
    assert_eq!(report.code, 2);
    assert!(report.out.contains("cannot be repaired in place: page "), "{}", report.out);
    assert!(report.out.contains("--salvage"), "{}", report.out);
    assert!(fs::read(&path).expect("the file is there") == bytes, "the file has changed");
}

/// The newest commit counts pages that the file does not have; the one before it does not.
#[test]
fn a_file_that_was_cut_goes_back_to_the_older_header_if_that_helps() {
    let (_directory, path) = documents();
    let (_other, before) = copy_of(&path);
    let sealed = fs::read(&path).expect("the file is there");
    let db = DynaMite::builder().background(false).open(&path).expect("it is a database");
    db.transact(|txn| {
        for number in 0..300 {
            let user =
                serde_json::json!({"id": format!("new {number}"), "age": 7, "about": "z".repeat(3_000)});
            txn.put_item("users", user)?;
        }
        Ok(())
    })
    .expect("the device has room");
    db.close().expect("the file is sealed");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the file is there");
    file.set_len(sealed.len() as u64).expect("it can be cut");
    // Both headers of a closed file count all pages: nothing helps, and nothing is changed.
    let mut cut = fs::read(&path).expect("the file is there");
    let report = fsck(&[path.as_os_str(), "--repair".as_ref()]);
    assert_eq!(report.code, 2, "{report:?}");
    assert!(report.err.contains("where its header counts"), "{report:?}");
    assert!(fs::read(&path).expect("the file is there") == cut, "the file has changed");
    // An older header that counts fewer does: nothing of its state was written over by a single commit.
    let birth = |page: &[u8]| u64::from_le_bytes(page[8..16].try_into().expect("8 bytes"));
    let newest = usize::from(birth(&cut[PAGE_SIZE..]) > birth(&cut));
    let at = (1 - newest) * PAGE_SIZE;
    cut[at..at + PAGE_SIZE].copy_from_slice(&sealed[at..at + PAGE_SIZE]);
    fs::write(&path, &cut).expect("it can be written");
    let report = fsck(&[path.as_os_str(), "--repair".as_ref()]);
    assert_eq!(report.code, 1, "{report:?}");
    assert!(report.out.contains("repaired: went back from commit "), "{report:?}");
    assert_eq!(fsck(&[&path]).code, 0);
    assert!(contents(&path) == contents(&before), "the contents have changed");
}

#[test]
fn a_file_in_use_is_not_repaired() {
    let (_directory, path) = documents();
    let writer = options().open(&path).expect("nobody else has it");
    let report = fsck(&[path.as_os_str(), "--repair".as_ref()]);
    assert_eq!(report.code, 3);
    assert!(report.err.contains("is locked by another process or handle"), "{report:?}");
    drop(writer);
    let existing = fsck(&[path.as_os_str(), "--repair".as_ref(), "--on-copy".as_ref(), path.as_os_str()]);
    assert_eq!(existing.code, 3);
    assert!(existing.err.contains("already exists"), "{existing:?}");
}
