//! A device without a page left: what frees space goes on, by transactions of every kind, and in the end everything can be deleted.

mod common;

use common::*;
use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{
    Durability, PagerError, Result, Retention, Store, TableId, TreeError, TxnError, WriteTxn,
};

fn key(number: u32) -> [u8; 4] {
    // Not in their order: each deletion is in another leaf.
    (number.wrapping_mul(0x9e37_79b1)).to_be_bytes()
}

fn put(txn: &mut WriteTxn<'_>, table: TableId, number: u32) -> Result<()> {
    txn.put(table, &key(number), &vec![number as u8; 60 + (number as usize * 37) % 2_900])
}

#[track_caller]
fn assert_full<R: std::fmt::Debug>(result: Result<R>) {
    let is_full = matches!(&result, Err(TxnError::Tree(TreeError::Pager(PagerError::DiskFull { .. }))));
    assert!(is_full, "{result:?}");
}

/// A store on a device that has room for nothing any more, and how many items its table has.
fn on_full_device(prepare: impl FnOnce(&Store)) -> (DiskSim, Store, TableId, u32) {
    let disk = DiskSim::new(5);
    // A reader that holds back pages holds back frames too.
    let large = options().cache_bytes(32 << 20);
    let store = large.create_on(std::sync::Arc::new(disk.clone()), DATABASE_ID).unwrap();
    prepare(&store);
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    store.write(|txn| (0..600).try_for_each(|number| put(txn, table, number))).unwrap();
    disk.set_capacity(disk.page_count().unwrap());
    let mut items = 600;
    loop {
        match store.write(|txn| put(txn, table, items)) {
            Ok(()) => items += 1,
            full => {
                assert_full(full);
                return (disk, store, table, items);
            }
        }
    }
}

/// Deletes all items, one by one.
fn delete_all(store: &Store, items: u32, mut delete: impl FnMut(u32) -> Result<bool>) {
    for number in 0..items {
        let deleted = delete(number).unwrap_or_else(|error| panic!("{} are left: {error}", items - number));
        assert!(deleted);
        if number < 3 {
            // What is not for everybody has not been given to anybody.
            assert_full(store.write(|txn| {
                let table = txn.create_table(b"large", b"", Retention::None)?;
                txn.put(table, b"k", &[1; 300_000])
            }));
        }
    }
}

#[test]
fn everything_can_be_deleted_item_by_item() {
    let (_disk, store, table, items) = on_full_device(|_| ());
    delete_all(&store, items, |number| store.write(|txn| txn.delete(table, &key(number))));
    // What was freed serves what comes next.
    store.write(|txn| (0..600).try_for_each(|number| put(txn, table, number))).unwrap();
}

#[test]
fn everything_can_be_deleted_in_company_of_those_who_fail() {
    let (_disk, store, table, items) = on_full_device(|_| ());
    delete_all(&store, items, |number| {
        let mut series = store.series(Durability::Immediate);
        let deleted = series.run(|txn| txn.delete(table, &key(number)));
        // It needs more than there is at first, and is undone; and then one that changes nothing.
        let refused: Result<()> = series.run(|txn| {
            (0..40).try_for_each(|more| put(txn, table, items + more))?;
            Err(TxnError::Aborted)
        });
        assert!(refused.is_err());
        assert!(!series.run(|txn| txn.delete(table, b"none"))?);
        store.wait_durable(series.finish()?)?;
        deleted
    });
}

#[test]
fn a_dropped_table_gives_its_pages_back() {
    let (_disk, store, table, items) = on_full_device(|_| ());
    assert_full(store.write(|txn| (0..40).try_for_each(|more| put(txn, table, items + more))));
    assert!(store.write(|txn| txn.drop_table(b"t")).unwrap());
    store.maintain().unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    store.write(|txn| (0..600).try_for_each(|number| put(txn, table, number))).unwrap();
}

#[test]
fn versions_that_a_deleted_snapshot_kept_are_collected() {
    let (_disk, store, table, items) = on_full_device(|_| ());
    // The first ones pass; then each keeps what the snapshot sees, until there is no room for that.
    store.write(|txn| txn.delete(table, &key(0))).unwrap();
    store.write(|txn| txn.create_snapshot(b"s")).unwrap();
    let kept =
        (1..items).take_while(|number| store.write(|txn| txn.delete(table, &key(*number))).is_ok()).count();
    assert!(kept < items as usize / 2, "{kept}");
    store.write(|txn| txn.delete_snapshot(b"s")).unwrap();
    for number in kept as u32 + 1..items {
        store
            .write(|txn| txn.delete(table, &key(number)))
            .unwrap_or_else(|error| panic!("{number}: {error}"));
    }
}

/// While a reader holds back what is freed, not a page is left but for what frees some.
#[test]
fn the_last_pages_are_for_what_frees_some() {
    type Free = fn(&mut WriteTxn<'_>, TableId) -> Result<()>;
    let frees: [(&str, Free); 4] = [
        ("delete", |txn, table| txn.delete(table, &key(7)).map(drop)),
        // It has pages of its own, and goes by the history.
        ("delete of a long one", |txn, table| txn.delete(table, &key(40)).map(drop)),
        ("drop", |txn, _| txn.drop_table(b"t").map(drop)),
        ("snapshot", |txn, _| txn.delete_snapshot(b"empty")),
    ];
    for (what, free) in frees {
        let (_disk, store, table, _) = on_full_device(|store| {
            store.write(|txn| txn.create_table(b"small", b"", Retention::None)).unwrap();
            if what == "snapshot" {
                let small = store.read().unwrap().table(b"small").unwrap().unwrap().id;
                store.write(|txn| (0..60).try_for_each(|number| put(txn, small, number))).unwrap();
                store.write(|txn| txn.create_snapshot(b"empty")).unwrap();
                // Each leaves a version that only the snapshot needs.
                store.write(|txn| (0..60).try_for_each(|number| put(txn, small, number))).unwrap();
            }
        });
        let small = store.read().unwrap().table(b"small").unwrap().unwrap().id;
        let change = |number: u32| store.write(|txn| txn.put(small, b"k", &number.to_be_bytes()));
        let reader = store.read().unwrap();
        assert_full((0..10_000).try_for_each(change));
        assert_full(store.write(|txn| {
            free(txn, table)?;
            txn.put(small, b"k", b"")
        }));
        store.write(|txn| free(txn, table)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_full(change(0));
        if what == "snapshot" {
            store.maintain().expect("garbage is collected");
        }
        drop(reader);
        store.maintain().unwrap();
        change(0).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}
