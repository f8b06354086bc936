//! What is finished and not yet durable: nobody sees it, nobody is told of it, and what it superseded stays.

mod common;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use common::*;
use dynamite_pager::disk::gated::GatedDisk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{Access, Durability, Range, Result, Retention, Snapshot, Store, TableId, TxnId, WriteTxn};

fn store() -> (Arc<GatedDisk>, Store, TableId) {
    let disk = GatedDisk::new(DiskSim::new(1));
    let store = options().create_on(disk.clone(), DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    store.write(|txn| txn.put(table, b"key", b"old")).unwrap();
    (disk, store, table)
}

fn bytes(_: TxnId, payload: &[u8]) -> Vec<u8> {
    payload.to_vec()
}

/// Until a transaction that is not durable yet has left this under the key.
fn wait_for(store: &Store, table: TableId, expected: &[u8]) {
    loop {
        let mut txn = store.begin().unwrap();
        if txn.get(table, b"key", bytes).unwrap().as_deref() == Some(expected) {
            return;
        }
        drop(txn);
        std::thread::yield_now();
    }
}

#[test]
fn a_version_stays_until_its_successor_is_published() {
    let (disk, store, table) = store();
    disk.shut();
    std::thread::scope(|scope| {
        scope.spawn(|| store.write(|txn| txn.put(table, b"key", b"new")).unwrap());
        disk.wait_for_a_flush();
        scope.spawn(|| store.write(|txn| txn.put(table, b"key", b"newer")).unwrap());
        wait_for(&store, table, b"newer");
        // Both are finished, neither is published.
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.read().unwrap().get(table, b"key", bytes).unwrap().unwrap(), b"old");
        disk.open();
        // Whatever happens next, the snapshot sees what it saw.
        store.write(|txn| txn.put(table, b"key", b"newest")).unwrap();
        assert_eq!(snapshot.read().unwrap().get(table, b"key", bytes).unwrap().unwrap(), b"old");
        store.maintain().unwrap();
        assert_eq!(snapshot.read().unwrap().get(table, b"key", bytes).unwrap().unwrap(), b"old");
    });
    check_sound(&store, "at the end");
}

/// Between two transactions of one group others are rolled back; these leave nothing, and the others are whole.
#[test]
fn an_abort_inside_a_group_leaves_the_others_unharmed() {
    let (disk, store, table) = store();
    disk.shut();
    std::thread::scope(|scope| {
        scope.spawn(|| store.write(|txn| txn.put(table, b"other", b"first")).unwrap());
        disk.wait_for_a_flush();
        for round in 0..4_u8 {
            scope.spawn({
                let store = &store;
                move || store.write(|txn| txn.put(table, b"key", &[round; 3_000])).unwrap()
            });
            wait_for(&store, table, &[round; 3_000]);
            let mut aborted = store.begin().unwrap();
            aborted.put(table, b"key", b"never").unwrap();
            aborted.delete(table, b"other").unwrap();
            aborted.put(table, b"large", &[1; 100_000]).unwrap();
            aborted.create_table(b"never", b"", Retention::None).unwrap();
            drop(aborted);
        }
        disk.open();
    });
    let mut read = store.read().unwrap();
    assert_eq!(read.get(table, b"key", bytes).unwrap().unwrap(), [3; 3_000]);
    assert_eq!(read.get(table, b"other", bytes).unwrap().unwrap(), b"first");
    assert_eq!(read.get(table, b"large", bytes).unwrap(), None);
    assert!(read.table(b"never").unwrap().is_none());
    drop(read);
    check_sound(&store, "at the end");
    store.maintain().unwrap();
    check_sound(&store, "tidied up");
}

#[test]
fn readers_go_on_during_a_flush_and_see_what_is_durable() {
    let (disk, store, table) = store();
    disk.shut();
    std::thread::scope(|scope| {
        scope.spawn(|| store.write(|txn| txn.put(table, b"key", b"new")).unwrap());
        disk.wait_for_a_flush();
        assert_eq!(store.read().unwrap().get(table, b"key", bytes).unwrap().unwrap(), b"old");
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.read().unwrap().get(table, b"key", bytes).unwrap().unwrap(), b"old");
        disk.open();
    });
    assert_eq!(store.read().unwrap().get(table, b"key", bytes).unwrap().unwrap(), b"new");
}

/// An eventual transaction does not wait for its own flush, but for those before it that must not be seen earlier: whoever has been told
/// of it finds it.
#[test]
fn an_eventual_write_is_seen_by_whoever_has_been_told_of_it() {
    let (disk, store, table) = store();
    // Nothing is before it.
    disk.shut();
    store.write_with(Durability::Eventual, |txn| txn.put(table, b"eventual", b"first")).unwrap();
    let seen = |store: &Store| store.read().unwrap().get(table, b"eventual", bytes).unwrap().unwrap();
    assert_eq!(seen(&store), b"first");
    std::thread::scope(|scope| {
        scope.spawn(|| store.write(|txn| txn.put(table, b"key", b"new")).unwrap());
        disk.wait_for_a_flush();
        let eventual = scope.spawn(|| {
            store.write_with(Durability::Eventual, |txn| txn.put(table, b"eventual", b"second")).unwrap();
            seen(&store)
        });
        let in_company = scope.spawn(|| {
            let put = |txn: &mut WriteTxn<'_>| txn.put(table, b"in company", b"third");
            store.write_in_company(Durability::Eventual, put).unwrap();
            store.read().unwrap().get(table, b"in company", bytes).unwrap()
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        disk.open();
        assert_eq!(eventual.join().unwrap(), b"second");
        assert_eq!(in_company.join().unwrap().as_deref(), Some(&b"third"[..]));
    });
}

/// Not only with the last of its snapshots, which may outlive it by long.
#[test]
fn a_dropped_store_leaves_everything_durable() {
    let sim = DiskSim::new(2);
    let store = create_on(&sim).unwrap();
    let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None)).unwrap();
    let snapshot = store.snapshot().unwrap();
    store.write_with(Durability::Eventual, |txn| txn.put(table, b"key", b"last")).unwrap();
    drop(store);
    let survivor = open_on(&sim.after_power_loss(3)).unwrap();
    assert_eq!(survivor.read().unwrap().get(table, b"key", bytes).unwrap().unwrap(), b"last");
    assert_eq!(snapshot.read().unwrap().get(table, b"key", bytes).unwrap(), None);
}

/// A transaction that only read what another one had written says so when that one is durable.
#[test]
fn an_answer_waits_for_the_transaction_that_it_depends_on() {
    let (disk, store, table) = store();
    disk.shut();
    let answered = Mutex::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| store.write(|txn| txn.put(table, b"key", b"new")).unwrap());
        disk.wait_for_a_flush();
        wait_for(&store, table, b"new");
        for roll_back in [true, false] {
            let (store, answered) = (&store, &answered);
            scope.spawn(move || {
                let mut txn = store.begin().unwrap();
                assert_eq!(txn.get(table, b"key", bytes).unwrap().unwrap(), b"new");
                if roll_back {
                    txn.roll_back().unwrap();
                } else {
                    txn.commit(Durability::Immediate).unwrap();
                }
                *answered.lock().unwrap() = true;
            });
        }
        // They may not have come so far; but if they have, they must not have answered.
        for _ in 0..1_000 {
            std::thread::yield_now();
            assert!(!*answered.lock().unwrap(), "told what a power cut can take back");
        }
        disk.open();
    });
    assert!(*answered.lock().unwrap());
}

/// Takes a snapshot while a transaction is being flushed, and lets the flush go on.
fn snapshot_during(
    disk: &GatedDisk,
    store: &Store,
    change: impl FnOnce(&mut WriteTxn<'_>) -> Result<()> + Send,
) -> Snapshot {
    disk.shut();
    std::thread::scope(|scope| {
        scope.spawn(|| store.write(change).unwrap());
        disk.wait_for_a_flush();
        let snapshot = store.snapshot().unwrap();
        disk.open();
        snapshot
    })
}

/// What a snapshot sees of keys, asked one by one, all at once and as a range.
fn seen(snapshot: &Snapshot, table: TableId, keys: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut read = snapshot.read().unwrap();
    let singly: Vec<_> = keys.iter().map(|key| read.get(table, key, bytes).unwrap()).collect();
    let mut together = vec![None; keys.len()];
    read.get_many(table, keys, |nth, found| together[nth] = found.map(|(_, payload)| payload.to_vec()))
        .unwrap();
    let mut walked = vec![None; keys.len()];
    read.scan(table, &Range::all().borrow(), Access::Scan, |row| {
        if let Some(nth) = keys.iter().position(|key| *key == row.key) {
            walked[nth] = Some(row.payload.to_vec());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(singly, together);
    assert_eq!(singly, walked);
    singly
}

/// Entries of the history tree, whose table id is 1.
fn history_entries(store: &Store) -> u64 {
    store.read().unwrap().stats(TableId(1)).unwrap().entries
}

#[test]
fn what_nobody_needs_leaves_nothing_in_the_history() {
    let (_disk, store, table) = store();
    for n in 0..100_u8 {
        store.write(|txn| txn.put(table, b"key", &[n])).unwrap();
        assert_eq!(history_entries(&store), 0);
    }
    // What a snapshot needs does, once.
    let snapshot = store.snapshot().unwrap();
    for n in 0..100_u8 {
        store.write(|txn| txn.put(table, b"key", &[n])).unwrap();
        assert_eq!(history_entries(&store), 1);
    }
    assert_eq!(seen(&snapshot, table, &[b"key"]), [Some(vec![99])]);
    check_sound(&store, "at the end");
}

#[test]
fn a_deletion_that_nobody_looks_behind_leaves_nothing() {
    let (_disk, store, table) = store();
    let left = || (history_entries(&store), store.read().unwrap().stats(table).unwrap().entries);
    store.write(|txn| txn.delete(table, b"key").map(drop)).unwrap();
    assert_eq!(left(), (0, 0));
    store.write(|txn| txn.put(table, b"key", b"new")).unwrap();
    // What a snapshot sees already moves to the history, and so does what hides something there.
    let snapshot = store.snapshot().unwrap();
    store.write(|txn| txn.put(table, b"key", b"newer")).unwrap();
    store.write(|txn| txn.delete(table, b"key").map(drop)).unwrap();
    assert_eq!(left(), (2, 1));
    assert_eq!(seen(&snapshot, table, &[b"key"]), [Some(b"new".to_vec())]);
    drop(snapshot);
    store.maintain().unwrap();
    assert_eq!(left(), (0, 0));
    check_sound(&store, "at the end");
}

/// Whatever happens in the transaction that is being flushed, and in others afterwards, a snapshot sees what was before: what was
/// superseded and deleted, with and without something in its place, is in memory, in the history, or both.
#[test]
fn snapshots_taken_during_flushes_see_what_the_model_was() {
    for seed in 0..12 {
        let disk = GatedDisk::new(DiskSim::new(seed));
        let store = options().create_on(disk.clone(), DATABASE_ID).unwrap();
        let mut client = Client::new(seed);
        (client.keys, client.large) = ([6, 40][seed as usize % 2], seed % 3 == 0);
        // A transaction that changes nothing is not flushed.
        let steps = store.write(|txn| txn.create_table(b"steps", b"", Retention::None)).unwrap();
        let mut world = World::from([("steps".to_owned(), Items::new())]);
        let mut snapshots: Vec<(Snapshot, World)> = Vec::new();
        for step in 0..60 {
            let before = world.clone();
            if step % 3 == 0 {
                let change = |txn: &mut WriteTxn<'_>| {
                    world.get_mut("steps").unwrap().insert(b"step".to_vec(), vec![step]);
                    txn.put(steps, b"step", &[step])?;
                    client.changes(txn, &mut world)
                };
                snapshots.push((snapshot_during(&disk, &store, change), before));
            } else {
                store.write(|txn| client.changes(txn, &mut world)).unwrap();
            }
            if snapshots.len() > 4 {
                snapshots.remove(client.random.below(5) as usize);
            }
            for (snapshot, world) in &snapshots {
                let context = format!("seed {seed}, step {step}, snapshot {}", snapshot.txn());
                check_world(&mut snapshot.read().unwrap(), world, &context);
            }
            check_newest(&store, &world, &format!("seed {seed}, step {step}"));
            if step % 20 == 19 {
                store.maintain().unwrap();
                check_sound(&store, &format!("seed {seed}, step {step}"));
            }
        }
        snapshots.clear();
        store.maintain().unwrap();
        assert_eq!(history_entries(&store), 0, "seed {seed}");
    }
}

#[test]
fn a_snapshot_taken_during_a_flush_sees_what_was_before_for_as_long_as_it_is_held() {
    let (disk, store, table) = store();
    store.write(|txn| txn.put(table, b"other", b"old")).unwrap();
    let snapshot = snapshot_during(&disk, &store, |txn| {
        txn.put(table, b"key", b"new")?;
        txn.put(table, b"made", b"new")?;
        txn.put(table, b"other", b"new")
    });
    let check = || {
        let old = Some(b"old".to_vec());
        assert_eq!(seen(&snapshot, table, &[b"key", b"made", b"other"]), [old.clone(), None, old]);
        let mut versions = Vec::new();
        let mut read = snapshot.read().unwrap();
        read.versions(table, b"key", |version| {
            versions.push(version.payload.map(<[u8]>::to_vec));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(versions, [Some(b"old".to_vec())]);
    };
    check();
    for n in 0..50_u8 {
        store.write(|txn| txn.put(table, b"key", &[n])).unwrap();
        check();
    }
    store.write(|txn| txn.delete(table, b"other").map(drop)).unwrap();
    store.write(|txn| txn.delete(table, b"key").map(drop)).unwrap();
    store.maintain().unwrap();
    check();
    drop(snapshot);
    store.write(|txn| txn.put(table, b"key", b"")).unwrap();
    store.maintain().unwrap();
    assert_eq!(history_entries(&store), 0);
    check_sound(&store, "at the end");
}

#[test]
fn what_a_transaction_overwrites_and_deletes_stays_for_a_snapshot() {
    let (disk, store, table) = store();
    let snapshot = snapshot_during(&disk, &store, |txn| {
        txn.put(table, b"key", b"new")?;
        txn.put(table, b"key", b"newer")?;
        assert!(txn.delete(table, b"key")?);
        assert!(!txn.delete(table, b"key")?);
        Ok(())
    });
    store.write(|txn| txn.put(table, b"more", b"")).unwrap();
    store.maintain().unwrap();
    assert_eq!(seen(&snapshot, table, &[b"key"]), [Some(b"old".to_vec())]);
    drop(snapshot);
    store.maintain().unwrap();
    check_sound(&store, "at the end");
    assert_eq!((history_entries(&store), store.read().unwrap().stats(table).unwrap().entries), (0, 1));
}

#[test]
fn what_was_deleted_or_is_large_is_kept_for_a_snapshot_too() {
    let (disk, store, table) = store();
    let large = vec![7; 50_000];
    store.write(|txn| txn.put(table, b"large", &large)).unwrap();
    store.write(|txn| txn.delete(table, b"key").map(drop)).unwrap();
    let snapshot = snapshot_during(&disk, &store, |txn| {
        txn.put(table, b"key", b"new")?;
        txn.put(table, b"large", b"new")
    });
    assert_eq!(seen(&snapshot, table, &[b"key", b"large"]), [None, Some(large)]);
    drop(snapshot);
    store.write(|txn| txn.put(table, b"more", b"")).unwrap();
    store.maintain().unwrap();
    check_sound(&store, "at the end");
}

#[test]
fn a_sweep_takes_no_tombstone_away_behind_which_a_snapshot_looks() {
    let (disk, store, table) = store();
    for n in 0..600_u32 {
        store.write(|txn| txn.put(table, &n.to_be_bytes(), b"")).unwrap();
    }
    let snapshot = snapshot_during(&disk, &store, |txn| txn.put(table, b"key", b"new"));
    store.write(|txn| txn.delete(table, b"key").map(drop)).unwrap();
    // The history doubles, and is swept.
    for n in 0..600_u32 {
        store.write(|txn| txn.put(table, &n.to_be_bytes(), b"x")).unwrap();
        store.write(|txn| txn.delete(table, &n.to_be_bytes()).map(drop)).unwrap();
    }
    store.maintain().unwrap();
    assert_eq!(seen(&snapshot, table, &[b"key"]), [Some(b"old".to_vec())]);
    drop(snapshot);
    store.maintain().unwrap();
    check_sound(&store, "at the end");
    assert_eq!(store.read().unwrap().stats(table).unwrap().entries, 0);
}

#[test]
fn a_transaction_that_overwrites_more_than_memory_may_hold_keeps_it_all_for_a_snapshot() {
    let (disk, store, table) = store();
    let count = 4_000_u32;
    let put_all = |txn: &mut WriteTxn<'_>, byte: u8| {
        (0..count).try_for_each(|n| txn.put(table, &n.to_be_bytes(), &[byte; 500]))
    };
    store.write(|txn| put_all(txn, 1)).unwrap();
    let snapshot = snapshot_during(&disk, &store, |txn| put_all(txn, 2));
    assert!(history_entries(&store) > 1_000, "two megabytes do not all fit");
    store.write(|txn| put_all(txn, 3)).unwrap();
    let mut rows = 0;
    let mut read = snapshot.read().unwrap();
    read.scan(table, &Range::all().borrow(), Access::Scan, |row| {
        assert!(row.key == b"key" || row.payload == [1; 500]);
        rows += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(rows, count + 1);
}

/// Transactions that joined without waiting are published, and durable, when somebody has waited for the last of them: not before.
#[test]
fn what_joined_is_seen_when_somebody_has_waited_for_it() {
    let (disk, store, table) = store();
    let put = |payload: &[u8]| {
        let mut txn = store.begin().unwrap();
        txn.put(table, b"key", payload).unwrap();
        txn.join().unwrap()
    };
    let seen = || store.read().unwrap().get(table, b"key", bytes).unwrap().unwrap();
    let first = put(b"first");
    let last = put(b"last");
    assert!(first < last);
    assert_eq!(store.begin().unwrap().join().unwrap(), last, "what changed nothing depends on what it saw");
    assert_eq!(seen(), b"old");
    store.wait_durable(last).unwrap();
    assert_eq!(seen(), b"last");
    disk.shut();
    // Both are durable: nobody has to flush.
    store.wait_durable(first).unwrap();
    disk.open();
}
