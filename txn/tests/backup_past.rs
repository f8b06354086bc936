//! Backups of tables that keep old versions: the copy answers for the past as the original does, also if that past goes by while it
//! is copied.

mod common;
mod copies;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use copies::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{
    Clock, Durability, ManualClock, Options, Range, Result, Retention, Store, TableId, TxnError, TxnId,
};

/// A table that keeps old versions, and how it was after each transaction.
struct Past {
    store: Store,
    clock: Arc<ManualClock>,
    table: TableId,
    random: Random,
    /// Whether all keys are too long to stand in a history entry; otherwise some are.
    long_keys: bool,
    items: Items,
    worlds: BTreeMap<TxnId, Items>,
}

impl Past {
    fn new(seed: u64, retention: Retention) -> Past {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let store = Options::new(clock.clone())
            .background(false)
            .cache_bytes(4 << 20)
            .create_on(Arc::new(DiskSim::new(seed)), DATABASE_ID)
            .unwrap();
        let table = store.write(|txn| txn.create_table(b"past", b"", retention)).unwrap();
        let (items, worlds) = (Items::new(), BTreeMap::new());
        Past { store, clock, table, random: Random(seed), long_keys: false, items, worlds }
    }

    fn change(&mut self, changes: u64, keys: u64) {
        let Past { store, table, random, long_keys, items, .. } = self;
        let txn = store
            .write_with(Durability::Immediate, |txn| -> Result<TxnId> {
                for _ in 0..changes {
                    let mut key = format!("key {:04}", random.below(keys)).into_bytes();
                    if *long_keys || key[7].is_multiple_of(5) {
                        key.resize(1_500, b'.');
                    }
                    match random.below(10) {
                        0..=2 => drop((txn.delete(*table, &key)?, items.remove(&key))),
                        // Put and deleted, within the transaction.
                        3 => {
                            txn.put(*table, &key, b"for a moment")?;
                            txn.delete(*table, &key)?;
                            items.remove(&key);
                        }
                        _ => {
                            let len =
                                if random.one_in(30) { 9_000 } else { 500 + random.below(800) as usize };
                            let payload = vec![random.next() as u8; len];
                            txn.put(*table, &key, &payload)?;
                            items.insert(key, payload);
                        }
                    }
                }
                Ok(txn.id())
            })
            .unwrap();
        self.worlds.insert(txn, self.items.clone());
        self.clock.advance(700);
    }
}

#[test]
fn the_past_of_tables_with_retention_is_copied_as_far_back_as_it_reaches() {
    for seed in 0..3 {
        let (_directory, path) = scratch();
        let mut past = Past::new(seed, Retention::Duration(Duration::from_secs(20)));
        for _ in 0..60 {
            past.change(60, 700);
        }
        let snapshot = past.store.snapshot().unwrap();
        let at = snapshot.txn();
        let worlds = past.worlds.clone();
        let mut told = 0;
        snapshot
            .backup(&path, COPY_ID, &mut |_| {
                told += 1;
                past.change(40, 700);
                if told % 3 == 0 {
                    past.store.maintain().unwrap();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(told > 8, "seed {seed}: only {told} portions");
        let clock = past.clock.clone();
        let copy = Options::new(clock.clone()).background(false).open(&path).unwrap();
        check_sound(&copy, &format!("seed {seed}"));
        let mut reached = 0;
        for (txn, world) in &worlds {
            let [original, copied] = [&past.store, &copy].map(|store| store.as_of(past.table, *txn));
            match copied {
                Ok(copied) => {
                    reached += 1;
                    let items = read_items(&mut copied.read().unwrap(), past.table, &Range::all()).unwrap();
                    assert!(items.into_iter().collect::<Items>() == *world, "seed {seed}, as of {txn}");
                }
                Err(TxnError::BelowHorizon { .. }) => {
                    assert!(original.is_err(), "seed {seed}: the original still knows {txn}");
                }
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        assert!(reached > 1, "seed {seed}: {reached} states of {} reached", worlds.len());
        for ms in (1_000_000..clock.now_ms()).step_by(350) {
            let [original, copied] = [&past.store, &copy].map(|store| store.newest_at(ms).unwrap());
            // The original may know less of those times by now.
            if original.is_some() && copied.is_some_and(|copied| copied < at) {
                assert_eq!(copied, original, "seed {seed}: the newest at {ms}");
            }
        }
        // The copied past goes by as the original's does.
        clock.advance(3_600_000);
        copy.write(|txn| txn.put(past.table, b"later", b"")).unwrap();
        clock.advance(3_600_000);
        copy.write(|txn| txn.put(past.table, b"much later", b"")).unwrap();
        copy.maintain().unwrap();
        let stats = copy.read().unwrap().stats(past.table).unwrap();
        assert_eq!(stats.entries, stats.items, "seed {seed}: no tombstones are left");
        check_sound(&copy, &format!("seed {seed}, later"));
    }
}

/// All of it at once, between two portions: no link of the copy may lead to what it does not have, and no entry lack its key.
#[test]
fn the_past_may_go_by_while_it_is_copied() {
    for seed in 0..5 {
        let (_directory, path) = scratch();
        let mut past = Past::new(seed, Retention::Duration(Duration::from_secs(1_000)));
        past.long_keys = true;
        for _ in 0..4 {
            past.change(1_500, 1_500);
        }
        let snapshot = past.store.snapshot().unwrap();
        let expected = dump(&mut snapshot.read().unwrap());
        let mut told = 0;
        snapshot
            .backup(&path, COPY_ID, &mut |_| {
                told += 1;
                if told == 2 + seed {
                    past.clock.advance(1_000_000);
                    past.change(1_500, 1_500);
                    past.clock.advance(1_000_000);
                    past.change(1_500, 1_500);
                    past.store.maintain().unwrap();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(told > 10, "only {told} portions");
        let copy = Options::new(past.clock.clone()).background(false).open(&path).unwrap();
        check_copy(&copy, &expected, &format!("seed {seed}"));
        copy.write(|txn| txn.put(past.table, b"later", b"")).unwrap();
        copy.maintain().unwrap();
        check_sound(&copy, &format!("seed {seed}, later"));
    }
}

#[test]
fn what_is_written_meanwhile_leaves_no_trace_in_the_copy() {
    let (directory, path) = scratch();
    for (name, retention) in [
        ("none", Retention::None),
        ("duration", Retention::Duration(Duration::from_secs(100_000))),
        ("versions", Retention::Versions(1_000)),
    ] {
        let mut past = Past::new(4, retention);
        for _ in 0..30 {
            past.change(60, 600);
        }
        let snapshot = past.store.snapshot().unwrap();
        let pages = |path: &Path| options().open_read_only(path).unwrap().stats().page_count;
        let [quiet, busy] = ["quiet", "busy"].map(|kind| path.with_extension(format!("{name}.{kind}")));
        snapshot.backup(&quiet, COPY_ID, &mut go_on).unwrap();
        snapshot
            .backup(&busy, COPY_ID, &mut |_| {
                past.change(100, 600);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(pages(&busy), pages(&quiet), "{name}");
    }
    drop(directory);
}

#[test]
fn so_many_versions_as_a_table_keeps_are_copied() {
    let versions = |store: &Store, table: TableId, keys: &[Vec<u8>]| {
        let mut read = store.read().unwrap();
        let mut all = Vec::new();
        for key in keys {
            read.versions(table, key, |version| {
                all.push((version.version, version.superseded_by, version.payload.map(<[u8]>::to_vec)));
                ControlFlow::Continue(())
            })
            .unwrap();
        }
        all
    };
    for (seed, count) in [(1, 1), (2, 2), (3, 3)] {
        let (directory, path) = scratch();
        let mut past = Past::new(seed, Retention::Versions(count));
        for _ in 0..40 {
            past.change(60, 500);
        }
        let keys: Vec<Vec<u8>> = past.worlds.values().flat_map(|items| items.keys().cloned()).collect();
        let expected = versions(&past.store, past.table, &keys);
        past.store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
        let copy = open(&path);
        assert!(versions(&copy, past.table, &keys) == expected, "{count} versions");
        check_sound(&copy, &format!("{count} versions"));

        // More than is read before the first change: the history of the rest shrinks while it is read, and afterwards.
        for _ in 0..3 {
            past.change(6_000, 6_000);
        }
        let now = dump(&mut past.store.read().unwrap());
        let path = directory.path().join("while it changes");
        let snapshot = past.store.snapshot().unwrap();
        let mut told = 0;
        snapshot
            .backup(&path, COPY_ID, &mut |_| {
                told += 1;
                past.change(2_000, 6_000);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(told > 12, "only {told} portions");
        let copy = open(&path);
        check_copy(&copy, &now, &format!("{count} versions, while they change"));
        // What was still there is in order.
        assert!(versions(&copy, past.table, &keys).len() >= past.items.len() / 2);
        copy.write(|txn| keys.iter().try_for_each(|key| txn.put(past.table, key, b"new"))).unwrap();
        check_sound(&copy, &format!("{count} versions, written to"));
    }
}

#[test]
fn a_copy_of_a_copy_is_the_same_again() {
    let (directory, path) = scratch();
    let mut past = Past::new(9, Retention::Duration(Duration::from_secs(1_000)));
    for _ in 0..20 {
        past.change(40, 100);
    }
    let expected = dump(&mut past.store.read().unwrap());
    past.store.snapshot().unwrap().backup(&path, COPY_ID, &mut go_on).unwrap();
    let again = directory.path().join("again");
    open(&path).snapshot().unwrap().backup(&again, DATABASE_ID, &mut go_on).unwrap();
    let copy = open(&again);
    check_copy(&copy, &expected, "a copy of a copy");
    for (txn, world) in &past.worlds {
        let state = copy.as_of(past.table, *txn).unwrap();
        let items = read_items(&mut state.read().unwrap(), past.table, &Range::all()).unwrap();
        assert!(items.into_iter().collect::<Items>() == *world, "as of {txn}");
    }
}

#[test]
fn the_state_of_one_table_cannot_be_backed_up() {
    let (_directory, path) = scratch();
    let mut past = Past::new(1, Retention::Duration(Duration::from_secs(1_000)));
    past.change(1, 1);
    let txn = *past.worlds.keys().next().unwrap();
    let one = past.store.as_of(past.table, txn).unwrap();
    let refused = one.backup(&path, COPY_ID, &mut go_on).unwrap_err();
    assert!(matches!(refused, TxnError::OneTableOnly { table } if table == past.table), "{refused}");
}
