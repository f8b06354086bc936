//! Real threads against a history checker: writers note in a log what they changed, in the order of their turns;
//! readers compare all that a snapshot shows with a replay of the log up to it (INV-6). Nothing is timed: what
//! is checked holds under any schedule.

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{
    Access, Durability, Range, ReadTxn, Result, Retention, Snapshot, Store, TableId, TxnError, TxnId,
    WriteTxn,
};

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

/// Runs a transaction on this thread or, as often, wherever it is run in company.
fn write<R: Send>(
    store: &Store,
    durability: Durability,
    in_company: bool,
    body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R> + Send,
) -> Result<R> {
    if in_company { store.write_in_company(durability, body) } else { store.write_with(durability, body) }
}

fn write_some(store: &Store, table: TableId, log: &Log, random: &mut Random) -> Result<()> {
    let durability = if random.one_in(2) { Durability::Eventual } else { Durability::Immediate };
    let in_company = random.one_in(2);
    let done = write(store, durability, in_company, |txn| {
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
            return Err(TxnError::Aborted);
        }
        // Noted while the transaction has the turn: whoever can see it finds it in the log.
        log.0.lock().unwrap().insert(txn.id(), changes);
        Ok(())
    });
    match done {
        Err(TxnError::Aborted) => Ok(()),
        done => done,
    }
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
                        let in_company = random.one_in(2);
                        let done = write(store, Durability::Immediate, in_company, |txn| {
                            let mut changes: Vec<Change> = Vec::new();
                            for _ in 0..=random.below(3) {
                                let key = format!("{:02}", random.below(20)).into_bytes();
                                let payload = vec![random.next() as u8; random.below(2_000) as usize];
                                txn.put(table, &key, &payload)?;
                                changes.push((key, Some(payload)));
                            }
                            log.0.lock().unwrap().insert(txn.id(), changes);
                            Ok(txn.id())
                        });
                        let Ok(id) = done else { return };
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

#[test]
fn transactions_in_company_are_those_of_their_own_threads() {
    let store = options().background(true).in_memory(DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    let (threads, each) = (8, 150);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let store = &store;
            scope.spawn(move || {
                let mine = format!("mine {thread}");
                for round in 1..=each {
                    // Each counts on a row that all have and on one of its own, and says what it found.
                    let counted = store.write_in_company(Durability::Immediate, |txn| {
                        count(txn, table, b"all")?;
                        count(txn, table, mine.as_bytes())
                    });
                    assert_eq!(counted.unwrap(), round);
                    let refused: Result<()> = store.write_in_company(Durability::Immediate, |txn| {
                        count(txn, table, b"all")?;
                        Err(TxnError::Aborted)
                    });
                    assert!(matches!(refused, Err(TxnError::Aborted)));
                    if round % 50 == 0 {
                        let panic = catch_unwind(AssertUnwindSafe(|| {
                            store.write_in_company(Durability::Immediate, |txn| -> Result<()> {
                                count(txn, table, b"all")?;
                                std::panic::panic_any(thread);
                            })
                        }));
                        assert_eq!(
                            panic.unwrap_err().downcast_ref(),
                            Some(&thread),
                            "a panic of another one"
                        );
                    }
                }
            });
        }
    });
    let mut read = store.read().unwrap();
    let counted = |key: &[u8], read: &mut ReadTxn<'_>| {
        read.get(table, key, |_, count| u64::from_le_bytes(count.try_into().unwrap())).unwrap()
    };
    assert_eq!(
        counted(b"all", &mut read),
        Some(threads * each),
        "what was rolled back counts, or something was lost"
    );
    assert_eq!(counted(b"mine 0", &mut read), Some(each));
    drop(read);
    check_sound(&store, "after the threads");
}

fn count(txn: &mut WriteTxn<'_>, table: TableId, key: &[u8]) -> Result<u64> {
    let before = txn.get(table, key, |_, count| u64::from_le_bytes(count.try_into().unwrap()))?;
    let count = before.unwrap_or(0) + 1;
    txn.put(table, key, &count.to_le_bytes())?;
    Ok(count)
}

#[test]
fn a_transaction_in_company_inside_another_one_is_refused() {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let nested = || store.write_in_company(Durability::Immediate, |_| -> Result<()> { Ok(()) });
    let txn = store.begin().unwrap();
    assert!(matches!(nested(), Err(TxnError::NestedTransaction)));
    drop(txn);
    store
        .write_in_company(Durability::Immediate, |_| -> Result<()> {
            assert!(matches!(nested(), Err(TxnError::NestedTransaction)));
            assert!(matches!(store.begin(), Err(TxnError::NestedTransaction)));
            Ok(())
        })
        .unwrap();
    nested().unwrap();
}

/// Who has the turn for others has it for no longer than an open transaction lets it.
#[test]
fn transactions_in_company_wait_for_one_that_is_open() {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    std::thread::scope(|scope| {
        let mut open = store.begin().unwrap();
        for _ in 0..3 {
            scope.spawn(|| {
                let found = store.write_in_company(Durability::Immediate, |txn| count(txn, table, b"n"));
                assert!(found.unwrap() > 10, "the open transaction came first");
            });
        }
        open.put(table, b"n", &10u64.to_le_bytes()).unwrap();
        open.commit(Durability::Immediate).unwrap();
    });
}

/// A transaction that reads and then takes its time holds no page: others find frames for theirs, and so does a commit.
#[test]
fn nobody_waits_for_the_pages_that_an_open_transaction_has_read() {
    let disk = DiskSim::new(6);
    let store = create_on(&disk).unwrap();
    let key = |n: u32| n.to_be_bytes();
    let payload = [7; 700];
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    for from in (0..5_000).step_by(250) {
        store.write(|txn| (from..from + 250).try_for_each(|n| txn.put(table, &key(n), &payload))).unwrap();
    }
    let name = b"s";
    store.write(|txn| txn.create_snapshot(name)).unwrap();
    type Look = fn(&mut WriteTxn<'_>, TableId);
    let looks: [(&str, Look); 10] = [
        ("get", |txn, table| assert!(txn.get(table, &4_000u32.to_be_bytes(), |_, _| ()).unwrap().is_some())),
        ("versions", |txn, table| {
            txn.versions(table, &4_000u32.to_be_bytes(), |_| ControlFlow::Continue(())).unwrap();
        }),
        ("scan", |txn, table| {
            txn.scan(table, &Range::all().borrow(), Access::Scan, |_| ControlFlow::Break(())).unwrap();
        }),
        ("put", |txn, table| txn.put(table, &4_000u32.to_be_bytes(), b"other").unwrap()),
        ("delete", |txn, table| assert!(txn.delete(table, &4_000u32.to_be_bytes()).unwrap())),
        ("delete of nothing", |txn, table| assert!(!txn.delete(table, b"none").unwrap())),
        ("table", |txn, _| assert!(txn.table(b"t").unwrap().is_some())),
        ("described", |txn, table| assert!(txn.described(table).unwrap().is_some())),
        ("retention", |txn, table| assert_eq!(txn.retention(table).unwrap(), Retention::None)),
        ("name that is taken", |txn, _| assert!(txn.create_snapshot(b"s").is_err())),
    ];
    for (what, look) in looks {
        // A group that is not written yet: its commit wants a frame too.
        store.write_with(Durability::Eventual, |txn| txn.put(table, &key(0), what.as_bytes())).unwrap();
        let mut txn = store.begin().unwrap();
        look(&mut txn, table);
        std::thread::scope(|scope| {
            let others = || {
                for n in (1..3_000).step_by(7) {
                    store.read()?.get(table, &key(n), |_, _| ())?;
                }
                store.flush()
            };
            scope.spawn(others).join().unwrap().unwrap_or_else(|error| panic!("{what}: {error}"));
        });
        txn.roll_back().unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    store.write(|txn| txn.delete_snapshot(name)).unwrap();
}
