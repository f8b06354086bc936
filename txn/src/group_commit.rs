//! Group commit: transactions that finish at about the same time share one flush, and one thread's turn.
//!
//! A transaction that has joined the pager's gathering group waits here until it is durable. One of those who wait
//! leads: it has the group written and flushed. Meanwhile the next group gathers, and one of it leads next.
//!
//! Whoever wants to write says here what, and one of those who wait does it for all ([`Lent`]): it has the upper pages in its processor's
//! cache and wakes nobody in between. To hand the turn from thread to thread takes longer than most transactions do. It stops when its own
//! transaction is durable, so that nobody's answer waits for more than one transaction of somebody else.
//!
//! # When the next group goes
//!
//! Going at once when the last flush ends would make, with few writers, groups of half of them: those whom
//! the flush released have not finished their next transaction yet. So a leader waits until as many have joined as the last
//! group and the queue behind it held, or until a third of the time of the last flush has passed. With more than
//! [`PATIENT_WRITERS`] writers it goes at once: enough are there at any time.
//!
//! ```text
//!   asking ──(done)──▶ waiting ──(durable ≥ mine)──▶ done
//!      │ nobody combines    │ nobody leads
//!      ▼                    ▼
//!   combining: do what    leading: wait for company, flush, wake one who leads next,
//!   was asked for         tell the others
//! ```
//!
//! # Invariants
//!
//! 1. At most one thread leads, and at most one combines. When it is done and something is left, it wakes one who goes on, or one
//!    is awake who will see it before it sleeps.
//! 2. Nobody is told that it is durable before a flush that covered it has returned.
//! 3. Transactions are done in the order in which they were asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dynamite_pager::sync::{Condvar, Lent, Mutex, MutexGuard, lend};

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
    combining: bool,
    leading: bool,
    /// Whether somebody was woken to lead, and has not begun.
    called: bool,
    /// Whether the leader waits for company, and then where it sits.
    gathering: Option<Place>,
    /// What nobody has done yet, and who asked for it.
    requests: VecDeque<(Place, Lent<TxnId>)>,
    seats: Vec<Seat>,
    vacant: Vec<Place>,
    /// How many wait for a flush.
    waiting: usize,
    /// How many have to wait before the next group goes without waiting.
    expected: usize,
    last_flush: Duration,
}

/// Which seat.
type Place = usize;

/// Where one waits.
#[derive(Debug, Default)]
struct Seat {
    wake: Arc<Condvar>,
    asleep: bool,
    /// The transaction that has to be durable, once it is known.
    needs: Option<TxnId>,
    outcome: Option<Result<()>>,
}

impl GroupCommit {
    /// Nobody waits yet; everything up to `durable` is durable.
    pub fn new(durable: TxnId, clock: Arc<dyn Clock>) -> GroupCommit {
        GroupCommit { queue: Mutex::new(Queue { durable, ..Queue::default() }), clock }
    }

    /// Has `work` done, here or on the thread of somebody who waits too, after all that was asked for before. It returns the transaction that
    /// is to be durable before this returns what it returns besides. For `flush` see [`wait_durable`](Self::wait_durable).
    ///
    /// # Panics
    ///
    /// If `work` does; then nothing is waited for.
    pub fn perform<R: Send>(
        &self,
        work: impl FnOnce() -> (TxnId, R) + Send,
        flush: impl Fn() -> Result<TxnId>,
    ) -> Result<R> {
        let (result, told) = lend(work, |work| {
            let mut queue = self.queue.lock();
            let place = queue.sit();
            queue.requests.push_back((place, work));
            self.wait(queue, place, &flush)
        });
        told?;
        Ok(result.expect("whoever takes a request does it"))
    }

    /// Waits until `txn` is durable. `flush` makes everything durable that was finished when it was called, and returns
    /// the newest transaction of it; whoever leads calls it.
    pub fn wait_durable(&self, txn: TxnId, flush: impl Fn() -> Result<TxnId>) -> Result<()> {
        let mut queue = self.queue.lock();
        let place = queue.sit();
        queue.done(place, txn);
        self.wait(queue, place, &flush)
    }

    /// The newest transaction that is known to be durable.
    pub fn durable(&self) -> TxnId {
        self.queue.lock().durable
    }

    /// Waits on a seat until there is an outcome, and does what is to be done for all meanwhile.
    fn wait<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        place: Place,
        flush: &impl Fn() -> Result<TxnId>,
    ) -> Result<()> {
        loop {
            if let Some(outcome) = queue.seats[place].outcome.take() {
                queue.vacant.push(place);
                return outcome;
            }
            queue = if !queue.leading && queue.seats[place].needs.is_some() {
                self.lead(queue, place, flush)
            } else if !queue.combining && !queue.requests.is_empty() {
                self.combine(queue, place)
            } else {
                Queue::sleep(queue, place, |wake, queue| wake.wait(queue))
            };
        }
    }

    /// Does what was asked for, until nothing is left or the caller, who sits in the queue itself, may go.
    fn combine<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, place: Place) -> MutexGuard<'a, Queue> {
        queue.combining = true;
        while queue.seats[place].outcome.is_none()
            && let Some((asking, work)) = queue.requests.pop_front()
        {
            drop(queue);
            let needs = work.run();
            queue = self.queue.lock();
            queue.done(asking, needs.unwrap_or_default());
        }
        queue.combining = false;
        if let Some((next, _)) = queue.requests.front() {
            queue.seats[*next].wake.notify_one();
        }
        queue
    }

    /// Writes and flushes one group. The caller sits in the queue itself.
    fn lead<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        place: Place,
        flush: &impl Fn() -> Result<TxnId>,
    ) -> MutexGuard<'a, Queue> {
        queue.leading = true;
        queue.called = false;
        if queue.waiting < queue.expected && queue.expected <= PATIENT_WRITERS {
            queue.gathering = Some(place);
            let patience = queue.last_flush / 3;
            queue = Queue::sleep(queue, place, |wake, queue| wake.wait_for(queue, patience));
            queue.gathering = None;
        }
        drop(queue);
        let begun = self.clock.elapsed();
        let flushed = flush();
        let mut queue = self.queue.lock();
        queue.last_flush = self.clock.elapsed().saturating_sub(begun);
        let told = queue.settle(flushed);
        queue.leading = false;
        let next = queue.call();
        drop(queue);
        // First the one who has the next group written. Whoever is woken while the lock is held would wait for it, and so on.
        next.iter().chain(&told).for_each(|wake| wake.notify_one());
        self.queue.lock()
    }
}

impl Queue {
    /// Takes a seat.
    fn sit(&mut self) -> Place {
        self.vacant.pop().unwrap_or_else(|| {
            self.seats.push(Seat::default());
            self.seats.len() - 1
        })
    }

    /// Gives the lock away and waits on a seat.
    fn sleep<'a>(
        mut queue: MutexGuard<'a, Queue>,
        place: Place,
        wait: impl FnOnce(&Condvar, MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue>,
    ) -> MutexGuard<'a, Queue> {
        let seat = &mut queue.seats[place];
        seat.asleep = true;
        let wake = seat.wake.clone();
        let mut queue = wait(&wake, queue);
        queue.seats[place].asleep = false;
        queue
    }

    /// What a seat waits for is known now.
    fn done(&mut self, place: Place, needs: TxnId) {
        let seat = &mut self.seats[place];
        if needs <= self.durable {
            seat.outcome = Some(Ok(()));
            seat.wake.notify_one();
            return;
        }
        seat.needs = Some(needs);
        self.waiting += 1;
        let wake = match self.gathering {
            Some(leader) if self.waiting >= self.expected => Some(self.seats[leader].wake.clone()),
            _ => self.call(),
        };
        if let Some(wake) = wake {
            wake.notify_one();
        }
    }

    /// Finds one who is to be woken to lead: the first of those who wait, unless somebody leads or will.
    fn call(&mut self) -> Option<Arc<Condvar>> {
        if self.leading || self.called {
            return None;
        }
        let asleep = self.seats.iter().filter(|seat| seat.asleep && seat.outcome.is_none());
        let first = asleep.filter(|seat| seat.needs.is_some()).min_by_key(|seat| seat.needs)?;
        self.called = true;
        Some(first.wake.clone())
    }

    /// Says to those whom a flush concerned what came of it. Returns where they are to be woken.
    fn settle(&mut self, flushed: Result<TxnId>) -> Vec<Arc<Condvar>> {
        let (covered, outcome) = match flushed {
            Ok(durable) => {
                self.durable = self.durable.max(durable);
                // The last group and the queue behind it.
                self.expected = self.waiting;
                (durable, Ok(()))
            }
            // Nobody knows what became of whom; who waits is told so.
            Err(error) => (TxnId(u64::MAX), Err(error)),
        };
        let mut told = Vec::with_capacity(self.waiting);
        for seat in &mut self.seats {
            if seat.needs.is_some_and(|needs| needs <= covered) {
                seat.needs = None;
                seat.outcome = Some(outcome.clone());
                if seat.asleep {
                    told.push(seat.wake.clone());
                }
            }
        }
        self.waiting = self.seats.iter().filter(|seat| seat.needs.is_some()).count();
        told
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

    fn wait_until(condition: impl Fn() -> bool) {
        while !condition() {
            std::thread::yield_now();
        }
    }

    fn wait_for_requests(group: &GroupCommit, count: usize) {
        wait_until(|| group.queue.lock().requests.len() >= count);
    }

    /// Transactions that are finished by whoever has the turn, and flushed by whoever leads.
    struct Finishing {
        group: GroupCommit,
        finished: AtomicU64,
    }

    impl Finishing {
        fn new() -> Finishing {
            Finishing { group: group(0), finished: AtomicU64::new(0) }
        }

        fn flush(&self) -> Result<TxnId> {
            Ok(TxnId(self.finished.load(Ordering::SeqCst)))
        }

        /// Finishes a transaction after something else, and waits until it is durable.
        fn perform_after(&self, first: impl FnOnce() + Send) {
            let work = || {
                first();
                (TxnId(self.finished.fetch_add(1, Ordering::SeqCst) + 1), ())
            };
            self.group.perform(work, || self.flush()).unwrap();
        }
    }

    /// Fails, instead of waiting for ever, if that never comes.
    fn wait_for_word(told: &std::sync::mpsc::Receiver<()>) {
        told.recv_timeout(Duration::from_secs(60)).expect("the one before has been told");
    }

    #[test]
    fn what_was_asked_for_is_done_in_order_and_each_is_told_what_is_his() {
        let group = group(0);
        let order = std::sync::Mutex::new(Vec::new());
        let ask = |number: u64| {
            let work = || {
                if number == 1 {
                    wait_for_requests(&group, 2);
                }
                order.lock().unwrap().push(number);
                (TxnId(number), number * 10)
            };
            assert_eq!(group.perform(work, || Ok(TxnId(3))).unwrap(), number * 10);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| ask(1));
            wait_until(|| group.queue.lock().combining);
            scope.spawn(|| ask(2));
            wait_for_requests(&group, 1);
            scope.spawn(|| ask(3));
        });
        assert_eq!(order.into_inner().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn nobody_waits_for_what_was_asked_for_after_him() {
        let all = &Finishing::new();
        let (answered, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| all.perform_after(|| wait_for_requests(&all.group, 2)));
            wait_until(|| all.group.queue.lock().combining);
            scope.spawn(move || {
                all.perform_after(|| ());
                answered.send(()).unwrap();
            });
            wait_for_requests(&all.group, 1);
            scope.spawn(move || all.perform_after(move || wait_for_word(&told)));
        });
    }

    #[test]
    fn who_works_for_others_stops_when_its_own_is_durable() {
        let all = &Finishing::new();
        let (answered, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                all.perform_after(|| wait_for_requests(&all.group, 2));
                answered.send(()).unwrap();
            });
            wait_until(|| all.group.queue.lock().combining);
            scope.spawn(|| all.perform_after(|| wait_until(|| all.group.durable() == TxnId(1))));
            wait_for_requests(&all.group, 1);
            scope.spawn(move || all.perform_after(move || wait_for_word(&told)));
            wait_until(|| all.finished.load(Ordering::SeqCst) == 1);
            all.group.wait_durable(TxnId(1), || all.flush()).unwrap();
        });
    }

    #[test]
    fn a_leader_that_waits_for_company_is_woken_when_it_is_there() {
        let clock = Arc::new(ManualClock::default());
        let group = GroupCommit::new(TxnId(0), clock.clone());
        let no_flush = || unreachable!("the other one leads");
        std::thread::scope(|scope| {
            let group = &group;
            scope.spawn(move || {
                // Two wait for each group, and a flush takes so long that patience outlasts every test.
                for txn in [1, 3, 5] {
                    let flush = || {
                        wait_until(|| group.queue.lock().waiting == 2);
                        clock.advance(1 << 30);
                        Ok(TxnId(txn + 1))
                    };
                    group.wait_durable(TxnId(txn), flush).unwrap();
                }
            });
            wait_until(|| group.queue.lock().leading);
            group.wait_durable(TxnId(2), no_flush).unwrap();
            wait_until(|| group.queue.lock().gathering.is_some());
            group.wait_durable(TxnId(4), no_flush).unwrap();
            wait_until(|| group.queue.lock().gathering.is_some());
            group.perform(|| (TxnId(6), ()), no_flush).unwrap();
        });
    }

    #[test]
    fn a_panic_is_for_the_one_who_asked() {
        let group = group(0);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            group.perform(|| -> (TxnId, ()) { panic!("on purpose") }, || unreachable!("nothing to flush"))
        }));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
        assert_eq!(group.perform(|| (TxnId(1), 7), || Ok(TxnId(1))).unwrap(), 7);
    }
}
