//! What a series promises: each of its transactions is one, with an id of its own, and can be undone without the others; together they are
//! seen and become durable, or never were.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{Durability, Result, Retention, Store, TableId, TxnError, TxnId, WriteTxn};

fn store() -> (DiskSim, Store, TableId) {
    let disk = DiskSim::new(1);
    let store = create_on(&disk).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    (disk, store, table)
}

/// Adds something to a row, and returns the transaction that did.
fn append(txn: &mut WriteTxn<'_>, table: TableId, key: &[u8], more: &str) -> Result<TxnId> {
    let mut text = txn.get(table, key, |_, text| text.to_vec())?.unwrap_or_default();
    text.extend_from_slice(more.as_bytes());
    txn.put(table, key, &text)?;
    Ok(txn.id())
}

fn refused(txn: &mut WriteTxn<'_>, table: TableId, key: &[u8]) -> Result<()> {
    append(txn, table, key, "never")?;
    txn.delete(table, b"there")?;
    Err(TxnError::Aborted)
}

fn read(store: &Store, table: TableId, key: &[u8]) -> Option<(TxnId, String)> {
    let text = |version, text: &[u8]| (version, String::from_utf8(text.to_vec()).unwrap());
    store.read().unwrap().get(table, key, text).unwrap()
}

#[test]
fn each_builds_on_those_before_it_and_who_is_refused_leaves_nothing() {
    let (_disk, store, table) = store();
    store.write(|txn| txn.put(table, b"there", b"still")).unwrap();
    let old = store.snapshot().unwrap();
    let mut series = store.series(Durability::Immediate);
    let first = series.run(|txn| append(txn, table, b"a", "1")).unwrap();
    assert!(matches!(series.run(|txn| refused(txn, table, b"a")), Err(TxnError::Aborted)));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        series.run(|txn| -> Result<()> {
            refused(txn, table, b"b").unwrap_err();
            std::panic::panic_any("on purpose");
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
    let (third, base) =
        series.run(|txn| Ok::<_, TxnError>((append(txn, table, b"a", "2")?, txn.base()))).unwrap();
    assert_eq!(base, first, "it builds on the last one that was kept");
    let fourth = series.run(|txn| append(txn, table, b"b", "3")).unwrap();
    assert!(first < third && third < fourth);
    assert_eq!(read(&store, table, b"a"), None, "nothing is seen before all of it is");
    let needs = series.finish().unwrap();
    assert!(needs >= fourth);
    store.wait_durable(needs).unwrap();
    assert_eq!(read(&store, table, b"a"), Some((third, "12".to_owned())));
    assert_eq!(read(&store, table, b"b"), Some((fourth, "3".to_owned())));
    assert_eq!(read(&store, table, b"there").unwrap().1, "still");
    assert_eq!(old.read().unwrap().get(table, b"a", |_, _| ()).unwrap(), None);
    drop(old);
    assert!(store.write(|txn| append(txn, table, b"a", "4")).unwrap() > needs);
    check_sound(&store, "after the series");
}

#[test]
fn a_series_costs_one_commit_and_the_pages_of_one_transaction() {
    let (_disk, store, table) = store();
    let before = store.stats();
    let mut series = store.series(Durability::Immediate);
    for round in 0..20 {
        series.run(|txn| append(txn, table, b"a", &round.to_string())).unwrap();
    }
    store.wait_durable(series.finish().unwrap()).unwrap();
    let after = store.stats();
    assert_eq!((after.commits - before.commits, after.flushes - before.flushes), (1, 1));
    assert!(
        after.pages_written - before.pages_written <= 6,
        "the leaf, the catalog, the free space, the header"
    );
}

#[test]
fn a_snapshot_that_is_taken_meanwhile_sees_what_was_before() {
    let (_disk, store, table) = store();
    for key in [&b"changed"[..], b"deleted", b"again"] {
        store.write(|txn| txn.put(table, key, b"before")).unwrap();
    }
    let mut series = store.series(Durability::Immediate);
    series.run(|txn| txn.put(table, b"changed", b"after")).unwrap();
    series.run(|txn| txn.delete(table, b"deleted")).unwrap();
    series.run(|txn| txn.put(table, b"again", b"after")).unwrap();
    series.run(|txn| txn.put(table, b"again", b"once more")).unwrap();
    let snapshot = store.snapshot().unwrap();
    store.wait_durable(series.finish().unwrap()).unwrap();
    store.maintain().unwrap();
    let mut read = snapshot.read().unwrap();
    let mut seen = |key| read.get(table, key, |_, text| text.to_vec()).unwrap();
    for key in [&b"changed"[..], b"deleted", b"again"] {
        assert_eq!(seen(key).as_deref(), Some(&b"before"[..]));
    }
    check_sound(&store, "beside the snapshot");
}

#[test]
fn who_is_dropped_takes_all_of_it_along() {
    let (_disk, store, table) = store();
    let before = store.stats().free_pages;
    let mut series = store.series(Durability::Immediate);
    series.run(|txn| append(txn, table, b"a", "1")).unwrap();
    series.run(|txn| append(txn, table, b"b", "2")).unwrap();
    drop(series);
    assert_eq!(read(&store, table, b"a"), None);
    assert_eq!(store.stats().free_pages, before);
    let first = store.write(|txn| append(txn, table, b"a", "3")).unwrap();
    assert_eq!(read(&store, table, b"a"), Some((first, "3".to_owned())));
}

#[test]
fn what_changes_nothing_waits_for_what_it_read() {
    let (_disk, store, table) = store();
    let joined = {
        let mut txn = store.begin().unwrap();
        txn.put(table, b"a", b"1").unwrap();
        txn.join().unwrap()
    };
    let mut series = store.series(Durability::Immediate);
    assert!(series.run(|txn| refused(txn, table, b"a")).is_err());
    assert_eq!(series.run(|txn| txn.get(table, b"a", |version, _| version)).unwrap(), Some(joined));
    assert_eq!(series.finish().unwrap(), joined);
}

/// One that goes on after an error of its own half-way is refused as a whole.
#[test]
fn who_swallows_an_error_half_way_is_undone() {
    let (disk, store, table) = store();
    let mut series = store.series(Durability::Immediate);
    series.run(|txn| append(txn, table, b"a", "1")).unwrap();
    disk.set_capacity(0);
    let big = vec![7; 300_000];
    let swallowed = series.run(|txn| {
        txn.put(table, b"small", b"1")?;
        txn.put(table, b"big", &big).unwrap_err();
        Ok::<_, TxnError>(())
    });
    assert!(matches!(swallowed, Err(TxnError::Aborted)), "{swallowed:?}");
    disk.set_capacity(u64::MAX);
    series.run(|txn| append(txn, table, b"b", "2")).unwrap();
    store.wait_durable(series.finish().unwrap()).unwrap();
    assert_eq!(read(&store, table, b"small"), None);
    assert_eq!(read(&store, table, b"b").unwrap().1, "2");
    check_sound(&store, "after the series");
}

#[test]
fn a_snapshot_is_named_by_who_is_kept_only() {
    let (_disk, store, table) = store();
    let mut series = store.series(Durability::Immediate);
    let kept = series.run(|txn| {
        append(txn, table, b"a", "1")?;
        txn.create_snapshot(b"kept")
    });
    let refused: Result<()> = series.run(|txn| {
        txn.create_snapshot(b"never")?;
        txn.delete_snapshot(b"kept")?;
        Err(TxnError::Aborted)
    });
    assert!(refused.is_err());
    series.run(|txn| append(txn, table, b"a", "2")).unwrap();
    store.wait_durable(series.finish().unwrap()).unwrap();
    assert_eq!(store.snapshots_held(), 1);
    let snapshot = store.named_snapshot(b"kept").unwrap();
    assert_eq!(snapshot.txn(), kept.unwrap());
    let text = snapshot.read().unwrap().get(table, b"a", |_, text| text.to_vec()).unwrap();
    assert_eq!(text.as_deref(), Some(&b"1"[..]), "the state after one of a series can be looked at");
    check_sound(&store, "after the series");
}

#[test]
fn a_series_that_cannot_begin_says_so_to_each() {
    let (_disk, store, table) = store();
    let open = store.begin().unwrap();
    let mut series = store.series(Durability::Immediate);
    for _ in 0..2 {
        let told = series.run(|txn| append(txn, table, b"a", "1"));
        assert!(matches!(told, Err(TxnError::NestedTransaction)));
    }
    assert!(matches!(series.finish(), Err(TxnError::NestedTransaction)));
    drop(open);
}
