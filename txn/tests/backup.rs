//! Backups: the copy is what the snapshot saw, item by item and version by version, whatever is written meanwhile; and it is a
//! database that life goes on in.
//!
//! Whoever is told how far a backup is may write to the original: so these tests interleave as they like, and the same way
//! each time.

mod common;
mod copies;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::*;
use copies::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::backup::Progress;
use dynamite_txn::{Access, Durability, MAX_KEY, MAX_PAYLOAD, Range, Result, Retention, Store};

#[test]
fn the_copy_is_what_the_snapshot_saw_while_writers_go_on() {
    let (directory, path) = scratch();
    let options = options().background(true).cache_bytes(4 << 20);
    let store = options.create(directory.path().join("original"), DATABASE_ID).unwrap();
    let mut client = Client::new(1);
    client.keys = 4_000;
    let mut world = World::new();
    for _ in 0..2_500 {
        let mut txn = store.begin().unwrap();
        client.changes(&mut txn, &mut world).unwrap();
        txn.commit(Durability::Eventual).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let expected = dump(&mut snapshot.read().unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in [2, 3] {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                let mut random = Random(seed);
                while !done.load(Ordering::Relaxed) {
                    store
                        .write_with(Durability::Eventual, |txn| -> Result<()> {
                            for name in ["ants", "bees", "cats", "dogs"] {
                                if random.one_in(200) {
                                    txn.drop_table(name.as_bytes())?;
                                }
                                let table = match txn.table(name.as_bytes())? {
                                    Some(table) => table.id,
                                    None => txn.create_table(name.as_bytes(), b"again", Retention::None)?,
                                };
                                let key = format!("key {:04}", random.below(4_000));
                                if random.one_in(3) {
                                    txn.delete(table, key.as_bytes())?;
                                } else {
                                    let len = random.below(3_000) as usize;
                                    txn.put(table, key.as_bytes(), &vec![seed as u8; len])?;
                                }
                            }
                            Ok(())
                        })
                        .unwrap();
                }
            });
        }
        for round in 0..3 {
            let path = directory.path().join(format!("copy {round}"));
            snapshot.backup(&path, COPY_ID, &mut go_on).unwrap();
            check_copy(&open(&path), &expected, &format!("copy {round}"));
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(snapshot);
    store.maintain().unwrap();
    check_sound(&store, "the original");
    let now = dump(&mut store.read().unwrap());
    assert_ne!(now.len(), 0);
    store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    check_copy(&open(&path), &now, "the original of today");
}

#[test]
fn keys_and_records_of_every_size_are_copied() {
    let (_directory, path) = scratch();
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"sizes", b"", Retention::None)).unwrap();
    let payloads = [0, 1, 100, 900, 1_000, 1_100, 4_064, 4_065, 60_000, MAX_PAYLOAD];
    for key_len in [0, 1, 12, 255, 383, 384, 385, 400, 500, 9_000, MAX_KEY - 2] {
        store
            .write(|txn| {
                payloads.iter().enumerate().try_for_each(|(nth, len)| {
                    let mut key = vec![0; key_len];
                    key.extend([key_len as u8, nth as u8]);
                    txn.put(table, &key, &vec![nth as u8; *len])
                })
            })
            .unwrap();
    }
    let expected = dump(&mut store.read().unwrap());
    let copied = store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    assert_eq!((copied.items, copied.of_items), (110, 110));
    assert_eq!(copied.bytes, copied.of_bytes);
    check_copy(&open(&path), &expected, "all sizes");
}

#[test]
fn a_copy_that_takes_many_commits_is_whole() {
    let (_directory, path) = scratch();
    let store = options().cache_bytes(8 << 20).in_memory(DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"large", b"", Retention::None)).unwrap();
    let payload = |number: u32| vec![number as u8; 100_000 + number as usize];
    for first in (0..1_400_u32).step_by(20) {
        store
            .write_with(Durability::Eventual, |txn| {
                (first..first + 20)
                    .try_for_each(|number| txn.put(table, &number.to_be_bytes(), &payload(number)))
            })
            .unwrap();
    }
    store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    let copy = open(&path);
    check_sound(&copy, "many commits");
    let mut number = 0_u32;
    copy.read()
        .unwrap()
        .scan(table, &Range::all().borrow(), Access::Scan, |row| {
            assert!(row.key == number.to_be_bytes() && row.payload == payload(number), "item {number}");
            number += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(number, 1_400);
}

#[test]
fn an_empty_database_and_empty_tables_are_copied() {
    let (directory, path) = scratch();
    let store = options().in_memory(DATABASE_ID).unwrap();
    assert_eq!(store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap(), Progress::default());
    let copy = open(&path);
    check_copy(&copy, &BTreeMap::new(), "no tables");
    assert_eq!(copy.database_id(), COPY_ID);
    copy.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();

    for (name, retention) in [
        ("a", Retention::None),
        ("b", Retention::Versions(2)),
        ("c", Retention::Duration(Duration::from_secs(9))),
    ] {
        store.write(|txn| txn.create_table(name.as_bytes(), name.as_bytes(), retention)).unwrap();
    }
    let expected = dump(&mut store.read().unwrap());
    let path = directory.path().join("empty tables");
    store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    let copy = open(&path);
    check_copy(&copy, &expected, "empty tables");
    let retention = |name: &[u8]| copy.read().unwrap().stats(expected[name].0).unwrap().retention;
    assert_eq!(retention(b"b"), Retention::Versions(2));
    assert_eq!(retention(b"c"), Retention::Duration(Duration::from_secs(9)));
}

#[test]
fn the_copy_goes_on_where_the_original_was() {
    let (_directory, path) = scratch();
    let disk = DiskSim::new(1);
    let mut store = create_on(&disk).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    // Each open leaps ahead, so that a database that began from scratch would give these ids out again for long.
    for number in 0..7_u32 {
        store.close().unwrap();
        store = open_on(&disk).unwrap();
        store.write(|txn| txn.put(table, &number.to_be_bytes(), b"before")).unwrap();
    }
    let last = store.write(|txn| txn.create_table(b"last", b"", Retention::None)).unwrap();
    store.write(|txn| txn.drop_table(b"last")).unwrap();
    store.maintain().unwrap();
    let versions = |store: &Store| {
        let mut versions = Vec::new();
        let mut read = store.read().unwrap();
        read.scan(table, &Range::all().borrow(), Access::Scan, |row| {
            versions.push(row.version);
            ControlFlow::Continue(())
        })
        .unwrap();
        versions
    };
    let held = versions(&store);
    let newest = store.read().unwrap().txn();
    store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();

    for life in 0..2 {
        let copy = open(&path);
        assert!(copy.read().unwrap().txn() > newest);
        if life == 0 {
            assert_eq!(versions(&copy), held, "a version that somebody holds is still that of the item");
        }
        let written = copy.write(|txn| txn.put(table, b"new", b"").map(|()| txn.id())).unwrap();
        assert!(written > newest && written > *versions(&copy).iter().rev().nth(1).unwrap());
        let name = format!("table {life}");
        let created = copy.write(|txn| txn.create_table(name.as_bytes(), b"", Retention::None)).unwrap();
        assert!(created > last, "{created} was given out before");
        copy.write(|txn| txn.delete(table, &3_u32.to_be_bytes())).unwrap();
        copy.maintain().unwrap();
        check_sound(&copy, "a life of its own");
    }
}

#[test]
fn named_snapshots_and_dropped_tables_are_left_behind() {
    let (_directory, path) = scratch();
    let store = options().create_on(Arc::new(DiskSim::new(1)), DATABASE_ID).unwrap();
    let mut client = Client::new(7);
    let mut world = World::new();
    for nth in 0..200 {
        store.write(|txn| client.changes(txn, &mut world)).unwrap();
        if nth == 100 {
            store.write(|txn| txn.create_snapshot(b"then").map(drop)).unwrap();
        }
    }
    let then = store.named_snapshot(b"then").unwrap();
    let expected = [dump(&mut then.read().unwrap()), dump(&mut store.read().unwrap())];
    store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    let copy = open(&path);
    check_copy(&copy, &expected[1], "now");
    assert_eq!(copy.read().unwrap().named_snapshots().unwrap(), []);
    let entries: u64 =
        expected[1].values().map(|table| copy.read().unwrap().stats(table.0).unwrap().entries).sum();
    assert_eq!(entries, expected[1].values().map(|table| table.3.len() as u64).sum(), "no tombstones");
    // And of what it saw a copy can be made.
    let path = path.with_extension("then");
    then.backup(&path, COPY_ID, &mut go_on).unwrap();
    check_copy(&open(&path), &expected[0], "then");
}

#[test]
fn a_database_that_is_open_for_reading_only_can_be_backed_up() {
    let (directory, path) = scratch();
    let original = directory.path().join("original");
    let store = options().create(&original, DATABASE_ID).unwrap();
    let mut world = World::new();
    let mut client = Client::new(3);
    for _ in 0..100 {
        store.write(|txn| client.changes(txn, &mut world)).unwrap();
    }
    store.close().unwrap();
    let before = std::fs::read(&original).unwrap();
    let store = options().open_read_only(&original).unwrap();
    store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    check_newest(&open(&path), &world, "the copy");
    drop(store);
    assert!(std::fs::read(&original).unwrap() == before, "the original is as it was");
}
