//! The registry of snapshots against a writer that collects, under all orders of their steps: no version that a
//! snapshot can still be asked for is dropped.

#![cfg(loom)]

use std::sync::Arc;

use dynamite_loom_tests::explore;
use dynamite_txn::TxnId;
use dynamite_txn::snapshot::Registry;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

/// A version that transaction 1 wrote and transaction 2 superseded.
struct Model {
    registry: Registry,
    published: AtomicU64,
    dropped: AtomicBool,
}

impl Model {
    fn new() -> Arc<Model> {
        Arc::new(Model {
            registry: Registry::new(TxnId(0)),
            published: AtomicU64::new(1),
            dropped: AtomicBool::new(false),
        })
    }

    fn published(&self) -> TxnId {
        TxnId(self.published.load(Ordering::Acquire))
    }

    /// Takes a snapshot, and reads what it sees.
    fn read(&self) {
        let txn = self.registry.register(|| self.published());
        if txn == TxnId(1) {
            assert!(!self.dropped.load(Ordering::Acquire), "snapshot {txn} needs the version");
        }
        self.registry.release(txn);
    }

    fn drop_version(&self) {
        self.dropped.store(true, Ordering::Release);
    }
}

fn check(collect: impl Fn(&Model) + Send + Sync + Copy + 'static) {
    explore(3, move || {
        let model = Model::new();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let model = model.clone();
                thread::spawn(move || model.read())
            })
            .collect();
        model.published.store(2, Ordering::Release);
        collect(&model);
        readers.into_iter().for_each(|reader| reader.join().expect("the reader ends"));
    });
}

#[test]
fn the_horizon_never_passes_a_snapshot() {
    check(|model| {
        let published = model.published();
        if model.registry.advance(published) >= TxnId(2) {
            model.drop_version();
        }
    });
}

#[test]
fn a_version_that_no_snapshot_sees_is_never_wanted_again() {
    check(|model| {
        let published = model.published();
        if published >= TxnId(2) && !model.registry.is_seen(TxnId(1), TxnId(2)) {
            model.drop_version();
        }
    });
}
