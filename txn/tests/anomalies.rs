//! The textbook anomalies, by name: none is possible. Write transactions are serial, and readers see one state.

mod common;

use common::*;
use dynamite_txn::{Durability, Result, Retention, Store, TableId, TxnError};

fn store() -> (Store, TableId) {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = store.write(|txn| txn.create_table(b"accounts", b"", Retention::None)).unwrap();
    put(&store, table, b"x", 50);
    put(&store, table, b"y", 50);
    (store, table)
}

fn put(store: &Store, table: TableId, key: &[u8], amount: u8) {
    store.write(|txn| txn.put(table, key, &[amount])).unwrap();
}

fn amount(_: dynamite_txn::TxnId, payload: &[u8]) -> u8 {
    payload[0]
}

fn read(store: &Store, table: TableId, key: &[u8]) -> Option<u8> {
    store.read().unwrap().get(table, key, amount).unwrap()
}

#[test]
fn anomaly_dirty_read_is_impossible() {
    let (store, table) = store();
    let mut txn = store.begin().unwrap();
    txn.put(table, b"x", &[99]).unwrap();
    assert_eq!(read(&store, table, b"x"), Some(50));
    txn.roll_back().unwrap();
    assert_eq!(read(&store, table, b"x"), Some(50));
}

#[test]
fn anomaly_dirty_write_is_impossible() {
    let (store, table) = store();
    let mut txn = store.begin().unwrap();
    txn.put(table, b"x", &[1]).unwrap();
    // Another writer waits; one on the same thread would wait for itself, and is refused.
    assert!(matches!(store.begin(), Err(TxnError::NestedTransaction)));
    txn.put(table, b"y", &[1]).unwrap();
    txn.commit(Durability::Immediate).unwrap();
    put(&store, table, b"x", 2);
    assert_eq!((read(&store, table, b"x"), read(&store, table, b"y")), (Some(2), Some(1)));
}

#[test]
fn anomaly_lost_update_is_impossible() {
    let (store, table) = store();
    put(&store, table, b"x", 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    store
                        .write(|txn| {
                            let old = txn.get(table, b"x", amount)?.unwrap();
                            txn.put(table, b"x", &[old + 1])
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(read(&store, table, b"x"), Some(100));
}

#[test]
fn anomaly_non_repeatable_read_is_impossible() {
    let (store, table) = store();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.read().unwrap().get(table, b"x", amount).unwrap(), Some(50));
    put(&store, table, b"x", 51);
    assert_eq!(snapshot.read().unwrap().get(table, b"x", amount).unwrap(), Some(50));
    store.write(|txn| txn.delete(table, b"x")).unwrap();
    assert_eq!(snapshot.read().unwrap().get(table, b"x", amount).unwrap(), Some(50));
    assert_eq!(read(&store, table, b"x"), None);
}

#[test]
fn anomaly_phantom_read_is_impossible() {
    let (store, table) = store();
    let snapshot = store.snapshot().unwrap();
    put(&store, table, b"xx", 1);
    store.write(|txn| txn.delete(table, b"y")).unwrap();
    store.maintain().unwrap();
    let seen = read_items(&mut snapshot.read().unwrap(), table, &dynamite_txn::Range::all()).unwrap();
    assert_eq!(seen, [(b"x".to_vec(), vec![50]), (b"y".to_vec(), vec![50])]);
}

/// Half of a transfer is never seen.
#[test]
fn anomaly_read_skew_is_impossible() {
    let (store, table) = store();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for step in 0..200 {
                let transfer = (step % 50) as u8;
                store
                    .write_with(Durability::Eventual, |txn| -> Result<()> {
                        txn.put(table, b"x", &[50 - transfer])?;
                        txn.put(table, b"y", &[50 + transfer])
                    })
                    .unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            let mut read = store.read().unwrap();
            let x = read.get(table, b"x", amount).unwrap().unwrap();
            let y = read.get(table, b"y", amount).unwrap().unwrap();
            assert_eq!(u32::from(x) + u32::from(y), 100);
            drop(read);
            let snapshot = store.snapshot().unwrap();
            let x = snapshot.read().unwrap().get(table, b"x", amount).unwrap().unwrap();
            let y = snapshot.read().unwrap().get(table, b"y", amount).unwrap().unwrap();
            assert_eq!(u32::from(x) + u32::from(y), 100);
        }
    });
}

/// Two transactions that each read both and write one cannot both have read the old state.
#[test]
fn anomaly_write_skew_is_impossible() {
    let (store, table) = store();
    let withdraw = |key: &'static [u8]| {
        store.write(|txn| -> Result<()> {
            let x = txn.get(table, b"x", amount)?.unwrap();
            let y = txn.get(table, b"y", amount)?.unwrap();
            if x + y >= 100 {
                txn.put(table, key, &[0])?;
            }
            Ok(())
        })
    };
    std::thread::scope(|scope| {
        scope.spawn(|| withdraw(b"x").unwrap());
        scope.spawn(|| withdraw(b"y").unwrap());
    });
    assert_eq!(read(&store, table, b"x").unwrap() + read(&store, table, b"y").unwrap(), 50);
}
