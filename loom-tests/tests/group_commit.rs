//! The queue of group commit under all orders of its steps: nobody is told too early, nobody is forgotten, and only one
//! leads.

#![cfg(loom)]

use std::sync::Arc;

use dynamite_loom_tests::explore;
use dynamite_pager::sync::Turn;
use dynamite_txn::group_commit::{Company, GroupCommit};
use dynamite_txn::{Durability, ManualClock, TxnError, TxnId};
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

struct Model {
    group: GroupCommit<Model>,
    working: AtomicBool,
    finished: AtomicU64,
    durable: AtomicU64,
    flushing: AtomicBool,
    fails_next: AtomicBool,
}

/// Its transactions are numbers; the numbers of those in a series.
impl Turn for Model {
    type With<'t> = Vec<u64>;
}

impl Company for Model {
    fn begin(&self, _: Durability) -> Vec<u64> {
        assert!(!self.working.swap(true, Ordering::AcqRel), "two have the turn");
        Vec::new()
    }

    fn finish(&self, series: Vec<u64>) -> Result<TxnId, TxnError> {
        assert!(series.is_sorted());
        let last = self.finished.fetch_add(series.len() as u64, Ordering::AcqRel) + series.len() as u64;
        self.working.store(false, Ordering::Release);
        Ok(TxnId(last))
    }

    fn flush(&self) -> Result<TxnId, TxnError> {
        assert!(!self.flushing.swap(true, Ordering::AcqRel), "two lead");
        let covered = self.finished.load(Ordering::Acquire);
        let fails = self.fails_next.swap(false, Ordering::AcqRel);
        if !fails {
            self.durable.store(covered, Ordering::Release);
        }
        self.flushing.store(false, Ordering::Release);
        if fails { Err(TxnError::Aborted) } else { Ok(TxnId(covered)) }
    }
}

impl Model {
    fn new() -> Arc<Model> {
        Arc::new(Model {
            group: GroupCommit::new(TxnId(0), Arc::new(ManualClock::default())),
            working: AtomicBool::new(false),
            finished: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            flushing: AtomicBool::new(false),
            fails_next: AtomicBool::new(false),
        })
    }

    fn commit(&self) {
        let txn = self.finished.fetch_add(1, Ordering::AcqRel) + 1;
        self.group.wait_durable(self, TxnId(txn)).expect("no flush fails");
        assert!(self.durable.load(Ordering::Acquire) >= txn, "told too early");
    }

    /// A commit that may be done on the thread of another one.
    fn commit_in_company(&self) {
        let mut mine = 0;
        let told = self.group.perform(self, Durability::Immediate, |series| {
            series.push(self.finished.load(Ordering::Acquire) + series.len() as u64 + 1);
            mine = *series.last().expect("pushed above");
            mine
        });
        let told = told.expect("no flush fails");
        assert!(self.durable.load(Ordering::Acquire) >= told, "told too early");
        assert_eq!(told, mine);
    }
}

fn three_writers(commit: fn(&Model)) {
    explore(3, move || {
        let model = Model::new();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let model = model.clone();
                thread::spawn(move || commit(&model))
            })
            .collect();
        commit(&model);
        others.into_iter().for_each(|other| other.join().expect("nobody waits for ever"));
    });
}

#[test]
fn three_writers_are_told_in_time_and_none_is_forgotten() {
    three_writers(Model::commit);
}

#[test]
fn three_writers_in_company_have_the_turn_one_by_one_and_none_is_forgotten() {
    three_writers(Model::commit_in_company);
}

/// One who has the turn gives it to the next when its own transaction is durable.
#[test]
fn writers_in_company_and_one_who_waits_for_what_is_finished_do_not_forget_one_another() {
    explore(3, || {
        let model = Model::new();
        let other = {
            let model = model.clone();
            thread::spawn(move || (0..2).for_each(|_| model.commit_in_company()))
        };
        model.commit_in_company();
        model.commit();
        other.join().expect("nobody waits for ever");
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
        model.fails_next.store(true, Ordering::Release);
        let commit = |model: &Model| {
            let txn = model.finished.fetch_add(1, Ordering::AcqRel) + 1;
            if model.group.wait_durable(model, TxnId(txn)).is_ok() {
                assert!(model.durable.load(Ordering::Acquire) >= txn, "told too early");
            }
        };
        let other = {
            let model = model.clone();
            thread::spawn(move || commit(&model))
        };
        commit(&model);
        other.join().expect("nobody waits for ever");
    });
}
