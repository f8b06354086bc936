//! The queue of group commit under all orders of its steps: nobody is told too early, nobody is forgotten, and only one
//! leads.

#![cfg(loom)]

use std::sync::Arc;

use dynamite_loom_tests::explore;
use dynamite_txn::group_commit::GroupCommit;
use dynamite_txn::{ManualClock, TxnError, TxnId};
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

struct Model {
    group: GroupCommit,
    finished: AtomicU64,
    durable: AtomicU64,
    flushing: AtomicBool,
}

impl Model {
    fn new() -> Arc<Model> {
        Arc::new(Model {
            group: GroupCommit::new(TxnId(0), Arc::new(ManualClock::default())),
            finished: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            flushing: AtomicBool::new(false),
        })
    }

    fn commit(&self) {
        let txn = self.finished.fetch_add(1, Ordering::AcqRel) + 1;
        self.group.wait_durable(TxnId(txn), || Ok(self.flush())).expect("no flush fails");
        assert!(self.durable.load(Ordering::Acquire) >= txn, "told too early");
    }

    fn flush(&self) -> TxnId {
        assert!(!self.flushing.swap(true, Ordering::AcqRel), "two lead");
        let covered = self.finished.load(Ordering::Acquire);
        self.durable.store(covered, Ordering::Release);
        self.flushing.store(false, Ordering::Release);
        TxnId(covered)
    }
}

#[test]
fn three_writers_are_told_in_time_and_none_is_forgotten() {
    explore(3, || {
        let model = Model::new();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let model = model.clone();
                thread::spawn(move || model.commit())
            })
            .collect();
        model.commit();
        others.into_iter().for_each(|other| other.join().expect("nobody waits for ever"));
    });
}

/// With a group behind it, a leader waits for company.
#[test]
fn a_leader_that_waits_for_company_goes_on() {
    explore(2, || {
        let model = Model::new();
        let other = {
            let model = model.clone();
            thread::spawn(move || (0..2).for_each(|_| model.commit()))
        };
        (0..2).for_each(|_| model.commit());
        other.join().expect("nobody waits for ever");
    });
}

#[test]
fn a_failed_flush_is_told_to_all_who_wait_and_leaves_nobody_waiting() {
    explore(3, || {
        let model = Model::new();
        let failed = Arc::new(AtomicBool::new(false));
        let fail_once = |model: &Model, failed: &AtomicBool| {
            let txn = model.finished.fetch_add(1, Ordering::AcqRel) + 1;
            let told = model.group.wait_durable(TxnId(txn), || {
                if failed.swap(true, Ordering::AcqRel) { Ok(model.flush()) } else { Err(TxnError::Aborted) }
            });
            if told.is_ok() {
                assert!(model.durable.load(Ordering::Acquire) >= txn, "told too early");
            }
        };
        let other = {
            let (model, failed) = (model.clone(), failed.clone());
            thread::spawn(move || fail_once(&model, &failed))
        };
        fail_once(&model, &failed);
        other.join().expect("nobody waits for ever");
    });
}
