//! The file becomes shorter when nobody is at work: pages that stand high up are moved down, no item changes, readers and snapshots
//! notice nothing, and a power cut in the midst of it loses nothing.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::*;
use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{ManualClock, Options, Result, Retention, Store, TableId};

const PAGE: u64 = 4096;

fn roomy() -> Options {
    Options::new(Arc::new(ManualClock::at(1))).background(false).cache_bytes(16 << 20)
}

/// A key for each number, in random order.
fn key(number: u64) -> Vec<u8> {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [scattered.to_be_bytes(), number.to_be_bytes()].concat()
}

fn value(number: u64, len: usize) -> Vec<u8> {
    vec![number as u8; len]
}

/// Puts rows in random order, by transactions of so many.
fn load(store: &Store, rows: u64, at_once: u64, len: usize) -> Result<TableId> {
    let table = store.write(|txn| txn.create_table(b"rows", b"", Retention::None))?;
    for first in (0..rows).step_by(at_once as usize) {
        let rows = first..rows.min(first + at_once);
        store
            .write(|txn| rows.into_iter().try_for_each(|row| txn.put(table, &key(row), &value(row, len))))?;
    }
    Ok(table)
}

fn delete(store: &Store, table: TableId, rows: impl Iterator<Item = u64>) -> Result<()> {
    let rows: Vec<u64> = rows.collect();
    rows.chunks(300).try_for_each(|rows| {
        store.write(|txn| rows.iter().try_for_each(|row| txn.delete(table, &key(*row)).map(drop)))
    })
}

fn in_use(store: &Store) -> u64 {
    let stats = store.stats();
    stats.page_count - stats.free_pages.expect("it is writable")
}

/// Slack, the hot area of a small file, and a free tail too short to be cut.
fn little_more_than(used: u64) -> u64 {
    used + used / 32 + 64 + 256 + 128
}

#[track_caller]
fn check_rows(store: &Store, table: TableId, rows: impl Iterator<Item = u64>, len: usize) {
    let mut read = store.read().unwrap();
    let mut count = 0;
    for row in rows {
        let found = read.get(table, &key(row), |_, payload| payload.to_vec()).unwrap();
        assert_eq!(found, Some(value(row, len)), "row {row}");
        count += 1;
    }
    assert_eq!(read.stats(table).unwrap().items, count);
}

#[test]
fn after_a_random_load_the_file_is_cut_to_little_more_than_what_is_in_use() {
    let disk = DiskSim::new(1);
    let store = roomy().create_on(Arc::new(disk.clone()), DATABASE_ID).unwrap();
    let table = load(&store, 60_000, 500, 150).unwrap();
    let loaded = store.stats().page_count;
    store.maintain().unwrap();
    let (page_count, used) = (store.stats().page_count, in_use(&store));
    assert!(loaded > used * 4 / 3, "{loaded} pages for {used} in use: there is nothing to gain");
    assert!(page_count <= little_more_than(used), "{page_count} pages for {used} in use, of {loaded}");
    let file = disk.byte_len().unwrap() / PAGE;
    assert!(file <= page_count + page_count / 16 + 32, "the file has {file} pages for {page_count}");
    check_rows(&store, table, 0..60_000, 150);
    check_sound(&store, "moved down");
}

#[test]
fn after_a_deletion_of_nearly_all_rows_the_file_is_cut() {
    let store = roomy().in_memory(DATABASE_ID).unwrap();
    let table = load(&store, 60_000, 100, 150).unwrap();
    let full = store.stats().page_count;
    let stays = |row: &u64| row.is_multiple_of(10);
    delete(&store, table, (0..60_000).filter(|row| !stays(row))).unwrap();
    store.maintain().unwrap();
    let (page_count, used) = (store.stats().page_count, in_use(&store));
    assert!(page_count <= little_more_than(used), "{page_count} pages for {used} in use, of {full}");
    check_rows(&store, table, (0..60_000).filter(stays), 150);
    check_sound(&store, "moved down");
}

#[test]
fn long_values_are_moved_too() {
    let store = roomy().in_memory(DATABASE_ID).unwrap();
    let table = load(&store, 600, 20, 9_000).unwrap();
    let full = store.stats().page_count;
    let stays = |row: &u64| row % 3 == 1;
    delete(&store, table, (0..600).filter(|row| !stays(row))).unwrap();
    store.maintain().unwrap();
    let (page_count, used) = (store.stats().page_count, in_use(&store));
    assert!(page_count <= little_more_than(used), "{page_count} pages for {used} in use, of {full}");
    check_rows(&store, table, (0..600).filter(stays), 9_000);
    check_sound(&store, "moved down");
}

/// Maintenance of a file that cannot become notably shorter writes nothing but what it has to.
#[test]
fn nothing_is_moved_again_and_again() {
    let store = roomy().in_memory(DATABASE_ID).unwrap();
    let table = load(&store, 20_000, 500, 150).unwrap();
    store.maintain().unwrap();
    let mut random = Random(4);
    let mut written = store.stats().pages_written;
    for turn in 0..20 {
        for _ in 0..20 {
            let row = random.below(20_000);
            store.write(|txn| txn.put(table, &key(row), &value(row, 150))).unwrap();
        }
        let moved_from = store.stats().pages_written;
        assert!(moved_from - written < 20 * 14, "turn {turn}");
        store.maintain().unwrap();
        written = store.stats().pages_written;
        assert!(written - moved_from < 30, "turn {turn}: {} pages", written - moved_from);
    }
}

/// What only a snapshot sees is in the history, which is moved like anything else.
#[test]
fn snapshots_see_what_they_saw() {
    let store = roomy().in_memory(DATABASE_ID).unwrap();
    let table = load(&store, 8_000, 500, 150).unwrap();
    let snapshot = store.snapshot().unwrap();
    for first in (0..2_000).step_by(100) {
        store
            .write(|txn| (first..first + 100).try_for_each(|row| txn.put(table, &key(row), b"new")))
            .unwrap();
    }
    delete(&store, table, 2_000..8_000).unwrap();
    let before = store.stats().page_count;
    store.maintain().unwrap();
    assert!(store.stats().page_count < before, "{before} pages");
    let mut read = snapshot.read().unwrap();
    for row in 0..8_000 {
        let found = read.get(table, &key(row), |_, payload| payload.to_vec()).unwrap();
        assert_eq!(found, Some(value(row, 150)), "row {row}");
    }
    drop(read);
    check_sound(&store, "with a snapshot");
    drop(snapshot);
    store.maintain().unwrap();
    check_sound(&store, "without one");
    let (page_count, used) = (store.stats().page_count, in_use(&store));
    assert!(page_count <= little_more_than(used), "{page_count} pages for {used} in use");
}

/// A reader that entered before keeps its pages, and the file is cut once it has ended.
#[test]
fn an_operation_in_flight_reads_what_it_entered_with() {
    let store = roomy().in_memory(DATABASE_ID).unwrap();
    let table = load(&store, 10_000, 500, 150).unwrap();
    let mut read = store.read().unwrap();
    store.maintain().unwrap();
    for row in (0..10_000).step_by(7) {
        let found = read.get(table, &key(row), |_, payload| payload.to_vec()).unwrap();
        assert_eq!(found, Some(value(row, 150)), "row {row}");
    }
    drop(read);
    // What was futile is tried again when something has changed.
    delete(&store, table, 0..2_000).unwrap();
    store.maintain().unwrap();
    let (page_count, used) = (store.stats().page_count, in_use(&store));
    assert!(page_count <= little_more_than(used), "{page_count} pages for {used} in use");
    check_rows(&store, table, 2_000..10_000, 150);
}

/// Tables come and go between the steps.
#[test]
fn moving_down_goes_on_whatever_others_do_in_between() {
    let store = roomy().background(true).in_memory(DATABASE_ID).unwrap();
    let mut client = Client::new(5);
    let mut world = World::new();
    let table = load(&store, 12_000, 500, 150).unwrap();
    delete(&store, table, 0..11_000).unwrap();
    for turn in 0..30 {
        let mut txn = store.begin().unwrap();
        client.changes(&mut txn, &mut world).unwrap();
        txn.commit(dynamite_txn::Durability::Immediate).unwrap();
        if turn % 3 == 0 {
            store.maintain().unwrap();
        }
    }
    let mut read = store.read().unwrap();
    let mut found = read_world(&mut read).unwrap();
    found.remove("rows").expect("it is still there");
    drop(read);
    assert!(found == world, "other tables have changed");
    check_rows(&store, table, 11_000..12_000, 150);
    store.maintain().unwrap();
    check_sound(&store, "in the end");
}

/// Nobody calls for maintenance.
#[test]
fn an_idle_database_moves_pages_down_by_itself() {
    let store = roomy().background(true).in_memory(DATABASE_ID).unwrap();
    let table = load(&store, 20_000, 500, 150).unwrap();
    loop {
        let (page_count, used) = (store.stats().page_count, in_use(&store));
        if page_count <= little_more_than(used) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    check_rows(&store, table, 0..20_000, 150);
    check_sound(&store, "idle");
}

/// The rows of two tables, of which one has long values, and most of which are deleted again.
fn sparse_file(disk: &DiskSim) -> Result<Store> {
    let store = create_on(disk)?;
    let table = load(&store, 12_000, 500, 300)?;
    let long = store.write(|txn| txn.create_table(b"long", b"", Retention::None))?;
    for row in 0..40 {
        store.write(|txn| txn.put(long, &key(row), &value(row, 7_000)))?;
    }
    delete(&store, table, 0..11_500)?;
    store.flush()?;
    Ok(store)
}

#[test]
fn a_power_cut_in_the_midst_of_it_loses_nothing() {
    let disk = DiskSim::new(7);
    let store = sparse_file(&disk).unwrap();
    let before = (disk.operations(), store.stats().page_count);
    // Known, not read: what a scan has asked to be read ahead would hold pages for a moment.
    let items = |rows: std::ops::Range<u64>, len| rows.map(|row| (key(row), value(row, len))).collect();
    let expected: World =
        [("rows".into(), items(11_500..12_000, 300)), ("long".into(), items(0..40, 7_000))].into();
    store.maintain().unwrap();
    let (end, after) = (disk.operations(), store.stats().page_count);
    assert!(after < before.1 * 3 / 4, "{} pages became {after}", before.1);
    assert!(end > before.0 + 100, "{} operations", end - before.0);
    let cuts: BTreeSet<u64> = (before.0..end).step_by(((end - before.0) / 25) as usize).collect();
    for cut in cuts {
        let disk = DiskSim::new(7);
        let store = sparse_file(&disk).unwrap();
        disk.crash_after(cut);
        // The last thing it does is to size the file; if that fails, it is only logged.
        assert!(store.maintain().is_err() || cut + 1 == end, "the power goes after {cut} operations");
        assert!(disk.crashed());
        for survivor in 0..2 {
            let context = format!("power cut after {cut} operations, survivor {survivor}");
            let store = open_on(&disk.after_power_loss(survivor)).unwrap();
            check_newest(&store, &expected, &context);
            check_sound(&store, &context);
            // Opened anew, since what the scans have asked to be read ahead would hold pages for a moment.
            let store = open_on(&disk.after_power_loss(survivor)).unwrap();
            store.maintain().unwrap();
            let (page_count, used) = (store.stats().page_count, in_use(&store));
            assert!(page_count <= little_more_than(used), "{context}: {page_count} pages for {used} in use");
            check_newest(&store, &expected, &context);
            check_sound(&store, &format!("{context}, tidied up"));
        }
    }
}
