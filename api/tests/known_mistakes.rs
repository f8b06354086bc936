//! Mistakes that systems like this one have been seen to make, a test for each.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{create_events, create_things, directory, events, pick, things};
use dynamite_core::Error;
use dynamite_core::api::DynaMite;
use dynamite_core::error::Invalid;
use dynamite_core::types::KeyType;
use dynamite_txn::disk::gated::GatedDisk;
use dynamite_txn::disk::sim::DiskSim;
use serde_json::{Value, json};

/// Thirty items fill one leaf; grown tenfold they need many, while the leaf is being rewritten.
#[test]
fn overwriting_thirty_items_of_one_leaf_with_ten_times_their_size() {
    let db = things();
    let item = |nth: usize, size: usize| json!({"id": format!("{nth:02}"), "text": "x".repeat(size)});
    for size in [40, 400] {
        for nth in 0..30 {
            db.put_item("things", item(nth, size)).unwrap();
        }
        for nth in 0..30 {
            let found = db.get_item("things").partition_key(format!("{nth:02}")).execute().unwrap();
            assert_eq!(found, Some(item(nth, size)), "item {nth} of {size} bytes");
        }
    }
    assert_eq!(db.scan("things").count().unwrap(), 30);
}

#[test]
fn items_of_thirty_bytes_stand_beside_items_of_four_hundred_kilobytes() {
    let db = things();
    let sizes = [1, 409_000, 30, 1_000, 100_000, 4_000, 4_096, 12_000, 300_000, 2];
    let item = |round: usize, nth: usize| {
        let size = sizes[(nth + round) % sizes.len()];
        json!({"id": format!("{nth:03}"), "text": "y".repeat(size)})
    };
    for round in 0..3 {
        for nth in 0..40 {
            db.put_item("things", item(round, nth)).unwrap();
        }
    }
    for nth in 0..40 {
        let found = db.get_item("things").partition_key(format!("{nth:03}")).execute().unwrap();
        assert!(found == Some(item(2, nth)), "item {nth} is not what was put last");
    }
    let ids = db.scan("things").attributes(["id"]).iter().unwrap().map(|item| item.unwrap()["id"].clone());
    assert!(ids.eq((0..40).map(|nth| json!(format!("{nth:03}")))));
}

#[test]
fn two_puts_into_one_leaf_in_one_transaction_are_there_after_reopening() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    create_things(&db);
    db.transact(|txn| {
        txn.put_item("things", json!({"id": "a", "n": 1}))?;
        txn.put_item("things", json!({"id": "b", "n": 2}))?;
        txn.put_item("things", json!({"id": "a", "n": 3}))
    })
    .unwrap();
    db.close().unwrap();

    let db = DynaMite::open(&path).unwrap();
    let items = db.scan("things").execute().unwrap().items;
    assert_eq!(items, [json!({"id": "a", "n": 3}), json!({"id": "b", "n": 2})]);
}

#[test]
fn descending_pages_of_three_over_ten_items_return_each_once() {
    let db = events(KeyType::Number);
    for at in 0..10 {
        db.put_item("events", json!({"device": "d", "at": at})).unwrap();
    }
    for neighbour in ["c", "e"] {
        db.put_item("events", json!({"device": neighbour, "at": 5})).unwrap();
    }
    let (mut found, mut start, mut sizes) = (Vec::new(), None::<Value>, Vec::new());
    loop {
        let mut query = db.query("events").partition_key("d").scan_forward(false).limit(3);
        if let Some(key) = &start {
            query = query.exclusive_start_key(key);
        }
        let page = query.execute().unwrap();
        sizes.push(page.items.len());
        found.extend(pick(&page.items, "at"));
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(found, (0..10).rev().map(Value::from).collect::<Vec<_>>());
    assert_eq!(sizes, [3, 3, 3, 1]);
}

/// `ÿ` is U+00FF: its UTF-8 begins with C3 and ends with BF, so the next prefix must carry.
#[test]
fn begins_with_y_diaeresis_finds_nothing_of_its_neighbours() {
    let db = events(KeyType::String);
    for at in ["þ", "þÿ", "ÿ", "ÿ\0", "ÿa", "ÿÿ", "ÿ\u{10FFFF}", "Ā", "ā"] {
        db.put_item("events", json!({"device": "d", "at": at})).unwrap();
    }
    let found = db.query("events").partition_key("d").sort_key_begins_with("ÿ").execute().unwrap();
    assert_eq!(pick(&found.items, "at"), ["ÿ", "ÿ\0", "ÿa", "ÿÿ", "ÿ\u{10FFFF}"]);
    let backwards = db.query("events").partition_key("d").sort_key_begins_with("ÿ").scan_forward(false);
    assert_eq!(pick(&backwards.execute().unwrap().items, "at")[0], "ÿ\u{10FFFF}");
}

#[test]
fn begins_with_on_a_number_key_is_an_error() {
    let db = events(KeyType::Number);
    let refused = db.query("events").partition_key("d").sort_key_begins_with(1).execute();
    assert!(matches!(refused, Err(Error::Validation(Invalid::BeginsWithNumber))), "{refused:?}");
    let refused = db.query("events").partition_key("d").sort_key_begins_with("1").execute();
    assert!(matches!(refused, Err(Error::Validation(_))), "{refused:?}");
}

#[test]
fn integers_beyond_doubles_are_different_keys() {
    let db = events(KeyType::Number);
    let numbers = [9_007_199_254_740_992_u64, 9_007_199_254_740_993, 9_007_199_254_740_994];
    for at in numbers.into_iter().rev() {
        db.put_item("events", json!({"device": "d", "at": at, "self": at.to_string()})).unwrap();
    }
    let found = db.query("events").partition_key("d").execute().unwrap();
    assert_eq!(pick(&found.items, "at"), numbers.map(Value::from));
    for at in numbers {
        let item = db.get_item("events").partition_key("d").sort_key(at).execute().unwrap().unwrap();
        assert_eq!(item["self"], at.to_string());
    }
}

#[test]
fn a_put_with_the_version_of_a_deleted_item_conflicts() {
    let db = things();
    let version = db.put_item("things", json!({"id": "a"})).unwrap();
    assert!(db.delete_item("things").partition_key("a").execute().unwrap());
    let late = db.put_item_versioned("things", json!({"id": "a"}), Some(version)).unwrap_err();
    assert!(
        matches!(late, Error::VersionConflict { expected, actual: None } if expected == version),
        "{late:?}"
    );
    assert!(late.to_string().contains("version conflict"), "{late}");
    assert!(db.get_item("things").partition_key("a").execute().unwrap().is_none());
    db.put_item_versioned("things", json!({"id": "a"}), Some(0)).unwrap();
}

#[test]
fn a_get_without_the_sort_key_of_its_table_is_an_error() {
    let db = events(KeyType::Number);
    let refused = db.get_item("events").partition_key("d").execute();
    assert!(matches!(refused, Err(Error::Validation(Invalid::KeySchema))), "{refused:?}");
    let refused = db.delete_item("events").partition_key("d").execute();
    assert!(matches!(refused, Err(Error::Validation(Invalid::KeySchema))), "{refused:?}");
    let db = things();
    let refused = db.get_item("things").partition_key("d").sort_key(1).execute();
    assert!(matches!(refused, Err(Error::Validation(Invalid::KeySchema))), "{refused:?}");
}

#[test]
fn a_limit_of_one_on_a_partition_of_a_hundred_thousand_items_touches_a_handful_of_pages() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    create_events(&db, KeyType::Number);
    for batch in (0..100_000).collect::<Vec<u32>>().chunks(10_000) {
        let write = batch.iter().fold(db.batch_write(), |write, at| {
            write.put("events", json!({"device": "d", "at": at, "text": "some text to fill the pages with"}))
        });
        write.execute().unwrap();
    }
    db.close().unwrap();

    let db = DynaMite::builder().background(false).open(&path).unwrap();
    for forward in [true, false] {
        let before = db.stats();
        let page = db.query("events").partition_key("d").limit(1).scan_forward(forward).execute().unwrap();
        let after = db.stats();
        assert_eq!(pick(&page.items, "at"), [json!(if forward { 0 } else { 99_999 })]);
        assert!(page.last_evaluated_key.is_some());
        let touched = (after.hits + after.misses) - (before.hits + before.misses);
        let read = after.pages_read - before.pages_read;
        // The catalog, the name and the path down the table's tree, some of these twice.
        assert!(touched <= 24 && read <= 8, "{touched} pages touched, {read} read");
    }
    for forward in [true, false] {
        let before = db.stats();
        let mut events = db.query("events").partition_key("d").scan_forward(forward).iter().unwrap();
        assert!(events.next().is_some());
        let read = db.stats().pages_read - before.pages_read;
        assert!(read <= 100, "a stream of which one item was taken read {read} pages");
    }
}

#[test]
fn a_second_opener_is_told_within_half_a_second() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    let begun = Instant::now();
    let second = DynaMite::open(&path);
    let waited = begun.elapsed();
    let Err(Error::Locked { path: locked }) = &second else { panic!("{second:?}") };
    assert_eq!(&**locked, path);
    // No measurement: a lock that hangs would wait for ever.
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    db.close().unwrap();
    DynaMite::open(&path).unwrap();
}

#[test]
fn files_whose_names_differ_in_their_endings_are_different_databases() {
    let directory = directory();
    let paths = ["a.db", "a.dat", "a"].map(|name| directory.path().join(name));
    let open = paths.each_ref().map(|path| DynaMite::create(path).unwrap());
    for (db, path) in open.iter().zip(&paths) {
        create_things(db);
        db.put_item("things", json!({"id": "name", "is": path.to_str().unwrap()})).unwrap();
    }
    drop(open);
    for path in &paths {
        let db = DynaMite::open(path).unwrap();
        let item = db.get_item("things").partition_key("name").execute().unwrap().unwrap();
        assert_eq!(item["is"], path.to_str().unwrap());
    }
    let files = std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path());
    assert_eq!(files.collect::<BTreeSet<_>>(), paths.into_iter().collect());
}

#[test]
fn three_thousand_one_item_commits_leave_a_file_of_reasonable_size() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    create_things(&db);
    for nth in 0..3_000 {
        db.put_item("things", json!({"id": format!("{:04}", nth * 7919 % 3_000), "nth": nth})).unwrap();
    }
    db.close().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let stored = DynaMite::open(&path).unwrap().describe_table("things").unwrap().size_bytes;
    assert!(size <= 2 << 20, "{size} bytes of file for {stored} bytes of items");
}

/// A writer waits for its flush; readers of what it is about to replace go on as if it were not there.
#[test]
fn a_reader_is_not_delayed_by_a_writers_flush() {
    let disk = GatedDisk::new(DiskSim::new(1));
    let db = DynaMite::builder().create_on(disk.clone()).unwrap();
    create_things(&db);
    db.put_item("things", json!({"id": "a", "state": "old"})).unwrap();
    disk.shut();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| db.put_item("things", json!({"id": "a", "state": "new"})).unwrap());
        disk.wait_for_a_flush();
        let state = || db.get_item("things").partition_key("a").execute().unwrap().unwrap()["state"].clone();
        for _ in 0..1_000 {
            assert_eq!(state(), "old");
        }
        assert_eq!(db.scan("things").count().unwrap(), 1);
        assert_eq!(db.snapshot().unwrap().list_tables().unwrap(), ["things"]);
        assert!(!writer.is_finished());
        disk.open();
        writer.join().unwrap();
        assert_eq!(state(), "new");
    });
}
