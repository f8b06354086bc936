//! Real threads against a history checker: writers note in a log what they changed, in the order of their turns;
//! readers compare all that a snapshot shows with a replay of the log up to it (INV-6). Nothing is timed: what
//! is checked holds under any schedule.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{Durability, Range, Result, Retention, Snapshot, Store, TableId, TxnError, TxnId};

type Change = (Vec<u8>, Option<Vec<u8>>);

/// What each committed transaction changed.
#[derive(Default)]
struct Log(Mutex<BTreeMap<TxnId, Vec<Change>>>);

impl Log {
    fn replay(&self, up_to: TxnId) -> Items {
        let mut items = Items::new();
        for (key, payload) in self.0.lock().unwrap().range(..=up_to).flat_map(|(_, changes)| changes) {
            match payload {
                Some(payload) => drop(items.insert(key.clone(), payload.clone())),
                None => drop(items.remove(key)),
            }
        }
        items
    }
}

fn write_some(store: &Store, table: TableId, log: &Log, random: &mut Random) -> Result<(), TxnError> {
    let mut txn = store.begin()?;
    let mut changes: Vec<Change> = Vec::new();
    for _ in 0..=random.below(4) {
        let key = format!("{:02}", random.below(30)).into_bytes();
        if random.one_in(4) {
            txn.delete(table, &key)?;
            changes.push((key, None));
        } else {
            let len = if random.one_in(20) { 6_000 } else { random.below(60) as usize };
            let payload = vec![random.next() as u8; len];
            txn.put(table, &key, &payload)?;
            changes.push((key, Some(payload)));
        }
    }
    if random.one_in(8) {
        return txn.roll_back();
    }
    // Noted while the transaction has the turn: whoever can see it finds it in the log.
    log.0.lock().unwrap().insert(txn.id(), changes);
    let durability = if random.one_in(2) { Durability::Eventual } else { Durability::Immediate };
    txn.commit(durability).map(drop)
}

#[track_caller]
fn check_snapshot(snapshot: &Snapshot, table: TableId, log: &Log) {
    let found: Items =
        read_items(&mut snapshot.read().unwrap(), table, &Range::all()).unwrap().into_iter().collect();
    let expected = log.replay(snapshot.txn());
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "keys as of {}",
        snapshot.txn()
    );
    assert!(found == expected, "payloads as of {}", snapshot.txn());
}

#[test]
fn every_snapshot_equals_one_prefix_of_the_commits() {
    let store = options().background(true).in_memory(DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    let log = Log::default();
    let writing = AtomicUsize::new(3);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (store, log, writing) = (&store, &log, &writing);
            scope.spawn(move || {
                let mut random = Random(writer);
                for _ in 0..400 {
                    write_some(store, table, log, &mut random).unwrap();
                }
                writing.fetch_sub(1, Ordering::Release);
            });
        }
        for reader in 0..2 {
            let (store, log, writing) = (&store, &log, &writing);
            scope.spawn(move || {
                let mut random = Random(1000 + reader);
                let mut held: Vec<Snapshot> = Vec::new();
                let mut last = TxnId(0);
                while writing.load(Ordering::Acquire) > 0 {
                    let snapshot = store.snapshot().unwrap();
                    assert!(snapshot.txn() >= last, "visibility goes forward");
                    last = snapshot.txn();
                    check_snapshot(&snapshot, table, log);
                    held.push(snapshot);
                    if held.len() > 6 {
                        let old = held.swap_remove(random.below(6) as usize);
                        check_snapshot(&old, table, log);
                    }
                }
                for snapshot in held {
                    check_snapshot(&snapshot, table, log);
                }
            });
        }
    });
    store.flush().unwrap();
    check_snapshot(&store.snapshot().unwrap(), table, &log);
    store.maintain().unwrap();
    check_snapshot(&store.snapshot().unwrap(), table, &log);
    check_sound(&store, "after the threads");
}

/// Threads write until the power goes. What survives is a prefix of the log that holds all that was acknowledged.
#[test]
fn power_loss_under_threads_leaves_one_prefix_with_every_acknowledged_transaction() {
    for crash_after in (30..330).step_by(20) {
        let disk = DiskSim::new(crash_after);
        let store = options().create_on(Arc::new(disk.clone()), DATABASE_ID).unwrap();
        let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
        let log = Log::default();
        let acknowledged = Mutex::new(TxnId(0));
        disk.crash_after(disk.operations() + crash_after);
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (store, log, acknowledged) = (&store, &log, &acknowledged);
                scope.spawn(move || {
                    let mut random = Random(writer + 10 * crash_after);
                    loop {
                        let Ok(mut txn) = store.begin() else { return };
                        let mut changes: Vec<Change> = Vec::new();
                        let mut failed = false;
                        for _ in 0..=random.below(3) {
                            let key = format!("{:02}", random.below(20)).into_bytes();
                            let payload = vec![random.next() as u8; random.below(2_000) as usize];
                            failed |= txn.put(table, &key, &payload).is_err();
                            changes.push((key, Some(payload)));
                        }
                        if failed {
                            return;
                        }
                        let id = txn.id();
                        log.0.lock().unwrap().insert(id, changes);
                        if txn.commit(Durability::Immediate).is_err() {
                            return;
                        }
                        let mut newest = acknowledged.lock().unwrap();
                        *newest = id.max(*newest);
                    }
                });
            }
        });
        let acknowledged = *acknowledged.lock().unwrap();
        for seed in 0..6 {
            let context = format!("power cut after {crash_after} operations, survivor {seed}");
            let survivor = open_on(&disk.after_power_loss(seed)).unwrap();
            let mut read = survivor.read().unwrap();
            let found: Items = read_items(&mut read, table, &Range::all()).unwrap().into_iter().collect();
            drop(read);
            let later = log.0.lock().unwrap().range(acknowledged..).map(|(txn, _)| *txn).collect::<Vec<_>>();
            let prefixes = std::iter::once(acknowledged).chain(later);
            assert!(
                prefixes.into_iter().any(|up_to| log.replay(up_to) == found),
                "{context}: no prefix from transaction {acknowledged} on"
            );
            check_sound(&survivor, &context);
        }
    }
}

/// Long scans come up for air between their portions; what they see stays what it was.
#[test]
fn a_long_scan_sees_one_state_while_writers_go_on() {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    let key = |n: u32| format!("{n:06}").into_bytes();
    store.write(|txn| (0..5_000).try_for_each(|n| txn.put(table, &key(n), &[0; 100]))).unwrap();
    let snapshot = store.snapshot().unwrap();
    for range in [Range::all(), Range::all().reversed()] {
        let reverse = range.reverse;
        let mut scan = snapshot.scan(table, range);
        let mut seen = 0;
        while let Some(row) = scan.next().unwrap() {
            let expected = if reverse { 4_999 - seen } else { seen };
            assert_eq!((row.key, row.payload), (&key(expected)[..], &[0; 100][..]));
            seen += 1;
            if seen % 200 == 0 {
                store
                    .write(|txn| -> Result<()> {
                        for n in (seen % 7..5_000).step_by(701) {
                            txn.put(table, &key(n), &[1; 300])?;
                            txn.delete(table, &key(n + 1))?;
                            txn.put(table, format!("{n:06}+").as_bytes(), b"new")?;
                        }
                        Ok(())
                    })
                    .unwrap();
            }
        }
        assert_eq!(seen, 5_000);
    }
    drop(snapshot);
    store.maintain().unwrap();
    check_sound(&store, "after the scans");
}
