//! Backups by pages: the copy is the whole database as it was when the backup began, its past included, whatever is written
//! meanwhile; and it is a database that life goes on in.
//!
//! Whoever is told how far a backup is may write to the original: so most of these tests interleave the same way each time.

mod common;
mod copies;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::*;
use copies::*;
use dynamite_pager::disk::sim::{DiskSim, Fault};
use dynamite_txn::{Durability, Result, Retention, Store, TableId};

/// Rows that the tests below write again and again: some MiB, more than is copied at once.
const ROWS: u32 = 3_000;

fn fill(store: &Store, byte: u8) -> TableId {
    store
        .write(|txn| -> Result<_> {
            let table = match txn.table(b"rows")? {
                Some(table) => table.id,
                None => txn.create_table(b"rows", b"", Retention::None)?,
            };
            (0..ROWS).try_for_each(|row| txn.put(table, &row.to_be_bytes(), &[byte; 1_000]))?;
            Ok(table)
        })
        .unwrap()
}

/// Says that it is done when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_is_written_meanwhile_takes_no_page_that_is_still_to_be_copied() {
    let (directory, path) = scratch();
    let store = options().create(directory.path().join("original"), DATABASE_ID).unwrap();
    // So that there are free pages to begin with.
    fill(&store, 0);
    fill(&store, 1);
    let expected = dump(&mut store.read().unwrap());
    let mut byte = 2;
    let copied = store
        .backup(&path, COPY_ID, &mut |_| {
            // Two commits: what the first one frees the second one would like to have.
            for _ in 0..2 {
                fill(&store, byte);
                byte += 1;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(byte > 8, "it was told too rarely for the test to say much");
    assert_eq!(copied.items, u64::from(ROWS));
    let copy = open(&path);
    check_copy(&copy, &expected, "the copy");
    // Afterwards these pages are used again.
    let pages = store.stats().page_count;
    for byte in 0..8 {
        fill(&store, byte);
    }
    assert!(store.stats().page_count <= pages, "the original went on growing");
    check_sound(&store, "the original");
}

#[test]
fn the_whole_past_goes_along() {
    let (_directory, path) = scratch();
    let store = options().create_on(Arc::new(DiskSim::new(1)), DATABASE_ID).unwrap();
    let mut client = Client::new(7);
    let mut world = World::new();
    let kept = store.write(|txn| txn.create_table(b"kept", b"", Retention::Versions(3))).unwrap();
    for nth in 0..200_u32 {
        store
            .write(|txn| -> Result<_> {
                txn.put(kept, b"key", &nth.to_be_bytes())?;
                client.changes(txn, &mut world)
            })
            .unwrap();
        if nth == 100 {
            store.write(|txn| txn.create_snapshot(b"then").map(drop)).unwrap();
        }
    }
    let then = |store: &Store| dump(&mut store.named_snapshot(b"then").unwrap().read().unwrap());
    let versions = |store: &Store| {
        let mut versions = Vec::new();
        let mut read = store.read().unwrap();
        read.versions(kept, b"key", |version| {
            versions.push((version.version, version.payload.map(<[u8]>::to_vec)));
            ControlFlow::Continue(())
        })
        .unwrap();
        versions
    };
    store.backup(&path, COPY_ID, &mut go_on).unwrap();
    let copy = open(&path);
    check_copy(&copy, &dump(&mut store.read().unwrap()), "now");
    assert!(then(&copy) == then(&store), "the named snapshot");
    assert_eq!(versions(&copy), versions(&store));
    assert!(versions(&copy).len() >= 4);
    drop(copy);
    // And it is gone with the snapshot, in the copy too.
    let copy = open(&path);
    copy.write(|txn| txn.delete_snapshot(b"then").map(drop)).unwrap();
    copy.maintain().unwrap();
    check_sound(&copy, "without the snapshot");
}

#[test]
fn life_goes_on_in_both_while_threads_write() {
    let (directory, path) = scratch();
    let options = options().background(true).cache_bytes(4 << 20);
    let store = options.create(directory.path().join("original"), DATABASE_ID).unwrap();
    let table = fill(&store, 0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also if a check fails, or this waits for them for ever.
        let _ends_them = Ends(&done);
        for seed in [2, 3] {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                let mut random = Random(seed);
                while !done.load(Ordering::Relaxed) {
                    // Each transaction writes one number to three rows, far from one another.
                    let number = random.next();
                    let durability =
                        if random.one_in(2) { Durability::Immediate } else { Durability::Eventual };
                    store
                        .write_with(durability, |txn| -> Result<()> {
                            for third in 0..3 {
                                let row = third * 1_000 + (number % 1_000) as u32;
                                let len = 8 + random.below(2_000) as usize;
                                txn.put(table, &row.to_be_bytes(), &number.to_be_bytes().repeat(len / 8))?;
                            }
                            Ok(())
                        })
                        .unwrap();
                }
            });
        }
        for round in 0..6 {
            let path = path.with_extension(round.to_string());
            let before = store.read().unwrap().txn();
            store.backup(&path, COPY_ID, &mut go_on).unwrap();
            let copy = open(&path);
            assert!(copy.read().unwrap().txn() >= before, "what was published is in it");
            for row in 0..1_000_u32 {
                let number = |third: u32| {
                    let key = (third * 1_000 + row).to_be_bytes();
                    copy.read().unwrap().get(table, &key, |_, payload| payload[..8].to_vec()).unwrap()
                };
                assert!(number(0) == number(1) && number(1) == number(2), "a transaction is whole or absent");
            }
            check_sound(&copy, "the copy");
            fill(&copy, 9);
            copy.maintain().unwrap();
            check_sound(&copy, "a life of its own");
        }
    });
    check_sound(&store, "the original");
}

#[test]
fn free_pages_stay_free_though_they_are_many_and_scattered() {
    let (_directory, path) = scratch();
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = fill(&store, 1);
    // More holes than the root of the free space lists: there are map pages, which later commits write over.
    for row in (0..ROWS).step_by(8) {
        store.write(|txn| txn.delete(table, &row.to_be_bytes()).map(drop)).unwrap();
        store.write(|txn| txn.put(table, &(ROWS + row).to_be_bytes(), &[3; 3_000])).unwrap();
    }
    (0..ROWS).filter(|row| row % 5 > 0).for_each(|row| {
        store
            .write_with(Durability::Eventual, |txn| txn.delete(table, &row.to_be_bytes()).map(drop))
            .unwrap();
    });
    let expected = dump(&mut store.read().unwrap());
    let copied = store
        .backup(&path, COPY_ID, &mut |_| {
            (0..4_u32).for_each(|row| store.write(|txn| txn.put(table, &row.to_be_bytes(), b"new")).unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    let copy = open(&path);
    check_copy(&copy, &expected, "the copy");
    let stats = copy.stats();
    assert_eq!(copied.bytes / 4096, stats.page_count - stats.free_pages.unwrap() - 8, "pages in use");
    assert!(stats.free_pages.unwrap() > 100, "{stats:?}");
}

#[test]
fn a_database_that_is_open_for_reading_only_can_be_backed_up() {
    let (directory, path) = scratch();
    let original = directory.path().join("original");
    let store = options().create(&original, DATABASE_ID).unwrap();
    fill(&store, 1);
    let expected = dump(&mut store.read().unwrap());
    store.close().unwrap();
    let before = std::fs::read(&original).unwrap();
    let store = options().open_read_only(&original).unwrap();
    store.backup(&path, COPY_ID, &mut go_on).unwrap();
    check_copy(&open(&path), &expected, "the copy");
    drop(store);
    assert!(std::fs::read(&original).unwrap() == before, "the original is as it was");
}

#[test]
fn what_was_promised_to_become_durable_is_in_it() {
    let (_directory, path) = scratch();
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = fill(&store, 1);
    store.write_with(Durability::Eventual, |txn| txn.put(table, b"late", b"but there")).unwrap();
    store.backup(&path, COPY_ID, &mut go_on).unwrap();
    check_copy(&open(&path), &dump(&mut store.read().unwrap()), "the copy");
}

#[test]
fn after_a_failed_write_only_a_snapshot_can_be_backed_up() {
    let (_directory, path) = scratch();
    let disk = DiskSim::new(1);
    let store = create_on(&disk).unwrap();
    let table = fill(&store, 1);
    // The first failures may be others than of writes, after which all goes on.
    while store.flush().is_ok() {
        disk.fail_operation(disk.operations(), Fault::Eio);
        let _ = store.write(|txn| txn.put(table, b"perhaps", b""));
    }
    let expected = dump(&mut store.read().unwrap());
    let refused = store.backup(&path, COPY_ID, &mut go_on).unwrap_err();
    assert!(refused.to_string().contains("reopen"), "{refused}");
    store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    check_copy(&open(&path), &expected, "the copy");
}

#[test]
fn the_pages_of_the_two_are_never_taken_for_one_another() {
    let (_directory, path) = scratch();
    let store = options().in_memory(DATABASE_ID).unwrap();
    fill(&store, 1);
    store.backup(&path, COPY_ID, &mut go_on).unwrap();
    let again = path.with_extension("again");
    open(&path).backup(&again, DATABASE_ID, &mut go_on).unwrap();
    let [copy, again] = [&path, &again].map(|path| std::fs::read(path).unwrap());
    assert_eq!(copy.len(), again.len());
    let same = (2..copy.len() / 4096).filter(|page| {
        let page = page * 4096..(page + 1) * 4096;
        copy[page.clone()] == again[page.clone()] && copy[page].iter().any(|byte| *byte != 0)
    });
    assert_eq!(same.collect::<Vec<_>>(), []);
}
