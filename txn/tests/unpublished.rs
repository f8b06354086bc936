//! What is finished and not yet durable: nobody sees it, nobody is told of it, and what it superseded stays.

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use dynamite_pager::disk::gated::GatedDisk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{Durability, Retention, Store, TableId, TxnId};

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
