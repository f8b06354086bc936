//! Tables come and go; names belong to snapshots too.

mod common;

use common::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{Range, ReadTxn, Result, Retention, Store, TableId, TxnError};

fn fill(store: &Store, name: &[u8], items: u32) -> TableId {
    store
        .write(|txn| -> Result<TableId> {
            let table = txn.create_table(name, b"", Retention::None)?;
            for n in 0..items {
                // Every tenth has pages of its own.
                let len = if n % 10 == 0 { 6_000 } else { 150 };
                txn.put(table, &n.to_be_bytes(), &vec![7; len])?;
            }
            Ok(table)
        })
        .unwrap()
}

fn used_pages(store: &Store) -> u64 {
    let stats = store.stats();
    stats.page_count - stats.free_pages.unwrap()
}

#[test]
fn dropping_a_large_table_returns_at_once_and_frees_its_pages_in_bounded_steps() {
    let disk = DiskSim::new(1);
    let store = create_on(&disk).unwrap();
    let empty = used_pages(&store);
    fill(&store, b"large", 3_000);
    let full = used_pages(&store);
    assert!(full > empty + 700, "{full} pages");
    let written = store.stats().pages_written;
    assert!(store.write(|txn| txn.drop_table(b"large")).unwrap());
    assert!(store.stats().pages_written - written < 30, "the drop itself writes a few pages");
    assert!(store.read().unwrap().table(b"large").unwrap().is_none());

    // Ordinary transactions free a little each; closing and opening in between forgets nothing.
    let other = fill(&store, b"other", 1);
    let mut store = Some(store);
    let mut last = full;
    for round in 0..100 {
        if round % 7 == 6 {
            store.take().unwrap().close().unwrap();
            store = Some(open_on(&disk).unwrap());
        }
        let store = store.as_ref().unwrap();
        store.write(|txn| txn.put(other, b"key", &[round])).unwrap();
        check_sound(store, "while pages are freed");
        let used = used_pages(store);
        assert!(last.saturating_sub(used) < 200, "a bounded step: from {last} to {used}");
        last = used;
    }
    assert!(last < empty + 20, "{last} pages are left of {full}, {empty} before");
}

#[test]
fn a_dropped_table_stays_readable_for_older_snapshots_and_no_longer() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let empty = used_pages(&store);
    let table = fill(&store, b"t", 50);
    let snapshot = store.snapshot().unwrap();
    store.write(|txn| txn.drop_table(b"t")).unwrap();
    store.maintain().unwrap();
    assert_eq!(snapshot.read().unwrap().table(b"t").unwrap().unwrap().id, table);
    assert_eq!(read_items(&mut snapshot.read().unwrap(), table, &Range::all()).unwrap().len(), 50);
    check_sound(&store, "held");
    // To everybody else it is gone.
    let gone = |error| matches!(error, TxnError::NoSuchTable { table: named } if named == table);
    assert!(gone(store.read().unwrap().get(table, b"", |_, _| ()).unwrap_err()));
    assert!(gone(store.write(|txn| txn.put(table, b"", b"")).unwrap_err()));
    drop(snapshot);
    store.maintain().unwrap();
    assert!(used_pages(&store) <= empty + 6, "{} pages, {empty} before", used_pages(&store));
    assert!(gone(store.read().unwrap().get(table, b"", |_, _| ()).unwrap_err()));
    check_sound(&store, "let go");
}

#[test]
fn a_name_can_be_given_again_and_each_snapshot_sees_its_own_table() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let first = fill(&store, b"t", 5);
    let snapshot = store.snapshot().unwrap();
    let second = store
        .write(|txn| -> Result<TableId> {
            txn.drop_table(b"t")?;
            txn.create_table(b"t", b"second", Retention::None)
        })
        .unwrap();
    assert_ne!(first, second, "ids are never used again");
    let named = |read: &mut dynamite_txn::ReadTxn<'_>| read.table(b"t").unwrap().unwrap().id;
    assert_eq!(named(&mut snapshot.read().unwrap()), first);
    assert_eq!(named(&mut store.read().unwrap()), second);
    assert!(matches!(
        store.write(|txn| txn.create_table(b"t", b"", Retention::None)),
        Err(TxnError::TableExists { name }) if name == "t"
    ));
}

#[test]
fn what_is_kept_with_a_name_changes_with_the_transaction_and_not_for_older_snapshots() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    fill(&store, b"t", 1);
    let snapshot = store.snapshot().unwrap();
    assert!(store.write(|txn| txn.set_table_meta(b"t", b"new")).unwrap());
    assert!(!store.write(|txn| txn.set_table_meta(b"no such table", b"")).unwrap());
    assert_eq!(snapshot.read().unwrap().table(b"t").unwrap().unwrap().meta, b"");
    assert_eq!(store.read().unwrap().table(b"t").unwrap().unwrap().meta, b"new");
}

#[test]
fn a_table_says_which_transaction_described_it_last() {
    let disk = DiskSim::new(1);
    let store = create_on(&disk).unwrap();
    let table = fill(&store, b"t", 10);
    let seen = |read: &mut ReadTxn<'_>| {
        let info = read.table(b"t").unwrap().unwrap();
        (info.version, read.described(table).unwrap().unwrap())
    };
    let (created, described) = seen(&mut store.read().unwrap());
    assert_eq!(created, described);

    let snapshot = store.snapshot().unwrap();
    store.write(|txn| txn.set_table_meta(b"t", b"new")).unwrap();
    store.write(|txn| txn.put(table, b"k", b"")).unwrap();
    let (changed, described) = seen(&mut store.read().unwrap());
    assert!(changed == described && changed > created);
    // A snapshot sees its own description, and can tell that it is not the last one.
    assert_eq!(seen(&mut snapshot.read().unwrap()), (created, changed));

    store.write(|txn| txn.drop_table(b"t")).unwrap();
    assert_eq!(store.read().unwrap().described(table).unwrap(), None);
}

#[test]
fn a_table_that_is_created_and_dropped_in_one_transaction_leaves_nothing() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let empty = used_pages(&store);
    store
        .write(|txn| -> Result<()> {
            let table = txn.create_table(b"t", b"", Retention::None)?;
            txn.put(table, b"key", &[1; 10_000])?;
            txn.drop_table(b"t").map(drop)
        })
        .unwrap();
    store.maintain().unwrap();
    check_sound(&store, "at the end");
    assert!(used_pages(&store) <= empty + 6, "{} pages, {empty} before", used_pages(&store));
}

#[test]
fn keys_and_payloads_that_are_too_long_are_refused_and_the_transaction_goes_on() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let table = fill(&store, b"t", 0);
    store
        .write(|txn| -> Result<()> {
            txn.put(table, b"before", b"1")?;
            let longest = vec![0; dynamite_txn::MAX_KEY];
            let too_long = vec![0; dynamite_txn::MAX_KEY + 1];
            assert!(txn.put(table, &too_long, b"").is_err());
            assert!(txn.put(table, b"key", &vec![0; dynamite_txn::MAX_PAYLOAD + 1]).is_err());
            txn.put(table, &longest, &vec![1; dynamite_txn::MAX_PAYLOAD])
        })
        .unwrap();
    store.write(|txn| txn.delete(table, &vec![0; dynamite_txn::MAX_KEY])).unwrap();
    let items = read_items(&mut store.read().unwrap(), table, &Range::all()).unwrap();
    assert_eq!(items, [(b"before".to_vec(), b"1".to_vec())]);
    store.maintain().unwrap();
    check_sound(&store, "at the end");
}

/// Databases that were made alike have the same table ids, pages and transactions, but not the same tables.
#[test]
fn databases_that_are_open_side_by_side_are_not_taken_for_one_another() {
    let stores = [1, 2].map(|items| {
        let store = options().in_memory(DATABASE_ID).unwrap();
        let table = fill(&store, b"twin", items);
        (store, table, items)
    });
    assert_eq!(stores[0].1, stores[1].1);
    for (store, table, items) in stores.iter().cycle().take(6) {
        assert_eq!(store.read().unwrap().stats(*table).unwrap().items, u64::from(*items));
    }
}

/// What one thread looked up is not what holds for ever.
#[test]
fn reads_between_commits_see_each_state_of_a_table_and_of_its_end() {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = fill(&store, b"table", 1);
    for n in 0..20_u8 {
        let before = store.snapshot().unwrap();
        store.write(|txn| txn.put(table, b"n", &[n])).unwrap();
        let read = |mut txn: ReadTxn<'_>| {
            let n = txn.get(table, b"n", |_, payload| payload[0]).unwrap();
            (n, txn.stats(table).unwrap().items)
        };
        assert_eq!(read(store.read().unwrap()), (Some(n), 2));
        assert_eq!(read(before.read().unwrap()).0, n.checked_sub(1));
    }
    let last = store.snapshot().unwrap();
    store.write(|txn| txn.drop_table(b"table")).unwrap();
    assert!(store.read().unwrap().described(table).unwrap().is_none());
    assert!(last.read().unwrap().described(table).unwrap().is_some());
}

/// Payloads in pages of their own are put together in memory that is used again.
#[test]
fn a_large_payload_stays_what_it_is_while_others_are_read() {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let payload = |n: u8| vec![n; 5_000 + 4_000 * usize::from(n % 7)];
    let table = store
        .write(|txn| -> Result<TableId> {
            let table = txn.create_table(b"large", b"", Retention::None)?;
            (0..20).try_for_each(|n| txn.put(table, &[n], &payload(n)))?;
            Ok(table)
        })
        .unwrap();
    let get = |n: u8, look: &mut dyn FnMut(&[u8])| {
        let found = store.read().unwrap().get(table, &[n], |_, bytes| look(bytes)).unwrap();
        assert!(found.is_some(), "{n}");
    };
    for n in 0..19 {
        get(n, &mut |outer| {
            get(n + 1, &mut |inner| assert_eq!(inner, payload(n + 1)));
            get(0, &mut |again| assert_eq!(again, payload(0)));
            assert_eq!(outer, payload(n));
        });
    }
}
