//! Group commit: transactions that finish at about the same time share one flush.
//!
//! A transaction that has joined the pager's gathering group waits here until it is durable. One of those who wait
//! leads: it has the group written and flushed. Meanwhile the next group gathers, and the first of it leads next.
//!
//! # When the next group goes
//!
//! Going at once when the last flush ends would make, with few writers, groups of half of them: those whom
//! the flush released have not finished their next transaction yet. So a leader waits until as many have joined as the last
//! group and the queue behind it held, or until a tenth of the time of the last flush has passed. With more than
//! [`PATIENT_WRITERS`] writers it goes at once: enough are there at any time.
//!
//! ```text
//!   join ──▶ waiting ──(durable ≥ mine)──▶ done
//!               │ nobody leads
//!               ▼
//!            leading: wait for company, flush, tell the others, hand the lead to the first who still waits
//! ```
//!
//! # Invariants
//!
//! 1. At most one thread leads. When it is done, whoever still waits first is woken to lead.
//! 2. Nobody is told that it is durable before a flush that covered it has returned.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dynamite_pager::sync::{Condvar, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::error::Result;
use crate::txn_id::TxnId;

/// With more writers than these nobody waits for company.
const PATIENT_WRITERS: usize = 8;

/// Those who wait for durability.
#[derive(Debug)]
pub struct GroupCommit {
    queue: Mutex<Queue>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The newest transaction that is known to be durable.
    durable: TxnId,
    leading: bool,
    /// Whether the leader waits for company, and then where it is woken.
    gathering: Option<Arc<Condvar>>,
    waiting: VecDeque<Waiter>,
    /// How many have to join before the next group goes without waiting.
    expected: usize,
    last_flush: Duration,
    /// Numbers the waiters.
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    txn: TxnId,
    wake: Arc<Condvar>,
    outcome: Option<Result<()>>,
}

impl GroupCommit {
    /// Nobody waits yet; everything up to `durable` is durable.
    pub fn new(durable: TxnId, clock: Arc<dyn Clock>) -> GroupCommit {
        GroupCommit { queue: Mutex::new(Queue { durable, ..Queue::default() }), clock }
    }

    /// Waits until `txn` is durable. `flush` makes everything durable that was finished when it was called, and returns
    /// the newest transaction of it; whoever leads calls it.
    pub fn wait_durable(&self, txn: TxnId, flush: impl Fn() -> Result<TxnId>) -> Result<()> {
        let mut queue = self.queue.lock();
        if queue.durable >= txn {
            return Ok(());
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        let wake = Arc::new(Condvar::new());
        queue.waiting.push_back(Waiter { ticket, txn, wake: wake.clone(), outcome: None });
        if let Some(leader) = &queue.gathering
            && queue.waiting.len() >= queue.expected
        {
            leader.notify_one();
        }
        loop {
            if let Some(outcome) = queue.take_outcome(ticket) {
                return outcome;
            }
            queue = if queue.leading { wake.wait(queue) } else { self.lead(queue, &wake, &flush) };
        }
    }

    /// The newest transaction that is known to be durable.
    pub fn durable(&self) -> TxnId {
        self.queue.lock().durable
    }

    /// Writes and flushes one group. The caller waits in the queue itself.
    fn lead<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        wake: &Arc<Condvar>,
        flush: &impl Fn() -> Result<TxnId>,
    ) -> MutexGuard<'a, Queue> {
        queue.leading = true;
        if queue.waiting.len() < queue.expected && queue.expected <= PATIENT_WRITERS {
            queue.gathering = Some(wake.clone());
            let patience = queue.last_flush / 10;
            queue = wake.wait_for(queue, patience);
            queue.gathering = None;
        }
        drop(queue);
        let begun = self.clock.elapsed();
        let flushed = flush();
        let mut queue = self.queue.lock();
        queue.last_flush = self.clock.elapsed().saturating_sub(begun);
        queue.settle(flushed);
        queue.leading = false;
        // The caller takes its own outcome; the first who is left without one leads.
        if let Some(next) = queue.waiting.iter().find(|waiter| waiter.outcome.is_none()) {
            next.wake.notify_one();
        }
        queue
    }
}

impl Queue {
    /// Tells those whom a flush concerned.
    fn settle(&mut self, flushed: Result<TxnId>) {
        let waiting = self.waiting.len();
        match flushed {
            Ok(durable) => {
                self.durable = self.durable.max(durable);
                for waiter in self.waiting.iter_mut().filter(|waiter| waiter.txn <= durable) {
                    waiter.outcome = Some(Ok(()));
                    waiter.wake.notify_one();
                }
                // The last group and the queue behind it.
                self.expected = waiting;
            }
            // Nobody knows what became of whom; who waits is told so.
            Err(error) => {
                for waiter in &mut self.waiting {
                    waiter.outcome = Some(Err(error.clone()));
                    waiter.wake.notify_one();
                }
            }
        }
    }

    fn take_outcome(&mut self, ticket: u64) -> Option<Result<()>> {
        let at = self.waiting.iter().position(|waiter| waiter.ticket == ticket)?;
        self.waiting[at].outcome.as_ref()?;
        self.waiting.remove(at).and_then(|waiter| waiter.outcome)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::clock::ManualClock;
    use crate::error::TxnError;

    fn group(durable: u64) -> GroupCommit {
        GroupCommit::new(TxnId(durable), Arc::new(ManualClock::default()))
    }

    #[test]
    fn what_is_durable_already_needs_no_flush() {
        let group = group(5);
        assert!(group.wait_durable(TxnId(5), || unreachable!("durable already")).is_ok());
    }

    #[test]
    fn a_failed_flush_fails_those_who_wait_and_not_the_next() {
        let group = group(0);
        assert!(group.wait_durable(TxnId(1), || Err(TxnError::Aborted)).is_err());
        assert!(group.wait_durable(TxnId(2), || Ok(TxnId(2))).is_ok());
        assert_eq!(group.durable(), TxnId(2));
    }

    #[test]
    fn many_threads_share_flushes_and_none_is_told_too_early() {
        let group = group(0);
        let finished = AtomicU64::new(0);
        let flushed = AtomicU64::new(0);
        let flushes = AtomicU64::new(0);
        let (threads, each) = (16, 200);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..each {
                        let txn = finished.fetch_add(1, Ordering::SeqCst) + 1;
                        let flush = || {
                            let covered = finished.load(Ordering::SeqCst);
                            std::thread::yield_now();
                            flushes.fetch_add(1, Ordering::SeqCst);
                            flushed.fetch_max(covered, Ordering::SeqCst);
                            Ok(TxnId(covered))
                        };
                        group.wait_durable(TxnId(txn), flush).unwrap();
                        assert!(flushed.load(Ordering::SeqCst) >= txn);
                    }
                });
            }
        });
        let flushes = flushes.load(Ordering::SeqCst);
        assert!(flushes < threads * each, "{flushes} flushes for {} transactions", threads * each);
    }
}
