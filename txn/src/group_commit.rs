//! Group commit: transactions that finish at about the same time share one flush, and one thread's turn.
//!
//! A transaction that has joined the pager's gathering group waits here until it is durable. One of those who wait
//! leads: it has the group written and flushed. Meanwhile the next group gathers, and one of it leads next.
//!
//! Whoever wants to write says here what, and one of those who wait does it for all ([`Lent`]), in [series](crate::write_txn::series) of what
//! was asked for when it begins: it has the upper pages in its processor's cache and wakes nobody in between. To hand the turn from thread to
//! thread takes longer than most transactions do. It stops when its own transaction is durable, so that nobody's answer waits for more than
//! one series of others.
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
//! 4. Should what one does for all panic, the others are told, and the next one goes on.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use dynamite_pager::Durability;
use dynamite_pager::sync::{Condvar, Lent, Mutex, MutexGuard, Turn, lend};

use crate::clock::Clock;
use crate::error::{Result, TxnError};
use crate::txn_id::TxnId;

/// With more writers than these nobody waits for company.
const PATIENT_WRITERS: usize = 8;

/// What those do who wait, for themselves and for others. Work is handed a series.
pub trait Company: Turn {
    /// Begins a series of transactions that promise this.
    fn begin(&self, durability: Durability) -> Self::With<'_>;

    /// Ends it. Returns the transaction that is to be durable before anybody is told what became of those in it.
    fn finish(&self, series: Self::With<'_>) -> Result<TxnId>;

    /// Makes everything durable that was finished when it was called, and returns the newest transaction of it.
    fn flush(&self) -> Result<TxnId>;
}

/// Those who wait for durability.
#[derive(Debug)]
pub struct GroupCommit<C: Company> {
    queue: Mutex<Queue<C>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Queue<C: Company> {
    /// The newest transaction that is known to be durable.
    durable: TxnId,
    combining: bool,
    leading: bool,
    /// Whether somebody was woken to lead, and has not begun.
    called: bool,
    /// Whether the leader waits for company, and then where it sits.
    gathering: Option<Place>,
    /// What nobody has done yet.
    requests: VecDeque<Request<C>>,
    seats: Vec<Seat>,
    vacant: Vec<Place>,
    /// How many wait for a flush.
    waiting: usize,
    /// How many have to wait before the next group goes without waiting.
    expected: usize,
    last_flush: Duration,
}

#[derive(Debug)]
struct Request<C: Company> {
    /// Who asked for it.
    place: Place,
    durability: Durability,
    work: Lent<C>,
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

impl<C: Company> GroupCommit<C> {
    /// Nobody waits yet; everything up to `durable` is durable.
    pub fn new(durable: TxnId, clock: Arc<dyn Clock>) -> GroupCommit<C> {
        let queue = Queue {
            durable,
            combining: false,
            leading: false,
            called: false,
            gathering: None,
            requests: VecDeque::new(),
            seats: Vec::new(),
            vacant: Vec::new(),
            waiting: 0,
            expected: 0,
            last_flush: Duration::ZERO,
        };
        GroupCommit { queue: Mutex::new(queue), clock }
    }

    /// Has `work` done, here or on the thread of somebody who waits too, after all that was asked for before, and waits for the durability.
    ///
    /// # Errors
    ///
    /// Those of the company, and [`TxnError::Panicked`] if the company did.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub fn perform<R: Send>(
        &self,
        company: &C,
        durability: Durability,
        work: impl for<'a, 's> FnOnce(&'a mut C::With<'s>) -> R + Send,
    ) -> Result<R> {
        let (result, told) = lend(work, |work| {
            let mut queue = self.queue.lock();
            let place = queue.sit();
            queue.requests.push_back(Request { place, durability, work });
            self.wait(queue, place, company)
        });
        told?;
        Ok(result.expect("whoever takes a request does it"))
    }

    /// Waits until `txn` is durable.
    pub fn wait_durable(&self, company: &C, txn: TxnId) -> Result<()> {
        let mut queue = self.queue.lock();
        let place = queue.sit();
        queue.done(place, Ok(txn));
        queue.summon();
        self.wait(queue, place, company)
    }

    /// The newest transaction that is known to be durable.
    pub fn durable(&self) -> TxnId {
        self.queue.lock().durable
    }

    /// Waits on a seat until there is an outcome, and does what is to be done for all meanwhile.
    fn wait<'a>(&'a self, mut queue: MutexGuard<'a, Queue<C>>, place: Place, company: &C) -> Result<()> {
        loop {
            if let Some(outcome) = queue.seats[place].outcome.take() {
                queue.vacant.push(place);
                return outcome;
            }
            queue = if !queue.leading && queue.seats[place].needs.is_some() {
                self.lead(queue, place, company)
            } else if !queue.combining && !queue.requests.is_empty() {
                self.combine(queue, place, company)
            } else {
                Queue::sleep(queue, place, |wake, queue| wake.wait(queue))
            };
        }
    }

    /// Does what was asked for by now, as far as it is to have the same durability. The caller sits in the queue itself.
    fn combine<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue<C>>,
        place: Place,
        company: &C,
    ) -> MutexGuard<'a, Queue<C>> {
        queue.combining = true;
        let durability = queue.requests[0].durability;
        let alike = queue.requests.iter().take_while(|request| request.durability == durability).count();
        let requests: Vec<Request<C>> = queue.requests.drain(..alike).collect();
        drop(queue);
        let places: Vec<Place> = requests.iter().map(|request| request.place).collect();
        let needs = for_all(|| {
            let mut series = company.begin(durability);
            requests.into_iter().for_each(|request| request.work.run(&mut series));
            company.finish(series)
        });
        let mut queue = self.queue.lock();
        places.into_iter().for_each(|place| queue.done(place, needs.clone()));
        queue.combining = false;
        // Whoever else was called to: who is awake already is faster, and covers those too.
        let leads_next = !queue.leading && queue.seats[place].needs.is_some();
        let is_done = queue.seats[place].outcome.is_some();
        if !leads_next {
            queue.summon();
        }
        if (leads_next || is_done)
            && let Some(next) = queue.requests.front()
        {
            queue.seats[next.place].wake.notify_one();
        }
        queue
    }

    /// Writes and flushes one group. The caller sits in the queue itself.
    fn lead<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue<C>>,
        place: Place,
        company: &C,
    ) -> MutexGuard<'a, Queue<C>> {
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
        let flushed = for_all(|| company.flush());
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

/// Does something that others wait for. A panic is an error for each of them: whom it unwound past could tell nobody. What it leaves behind
/// is the company's affair, which refuses what cannot go on from there.
fn for_all(work: impl FnOnce() -> Result<TxnId>) -> Result<TxnId> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(TxnError::Panicked))
}

impl<C: Company> Queue<C> {
    /// Takes a seat.
    fn sit(&mut self) -> Place {
        self.vacant.pop().unwrap_or_else(|| {
            self.seats.push(Seat::default());
            self.seats.len() - 1
        })
    }

    /// Gives the lock away and waits on a seat.
    fn sleep<'a>(
        mut queue: MutexGuard<'a, Queue<C>>,
        place: Place,
        wait: impl FnOnce(&Condvar, MutexGuard<'a, Queue<C>>) -> MutexGuard<'a, Queue<C>>,
    ) -> MutexGuard<'a, Queue<C>> {
        let seat = &mut queue.seats[place];
        seat.asleep = true;
        let wake = seat.wake.clone();
        let mut queue = wait(&wake, queue);
        queue.seats[place].asleep = false;
        queue
    }

    /// What a seat waits for is known now, or that it need not wait.
    fn done(&mut self, place: Place, needs: Result<TxnId>) {
        let seat = &mut self.seats[place];
        match needs {
            Ok(needs) if needs > self.durable => {
                seat.needs = Some(needs);
                self.waiting += 1;
            }
            outcome => {
                seat.outcome = Some(outcome.map(drop));
                seat.wake.notify_one();
            }
        }
    }

    /// Wakes the one who is to lead, or who leads and waits for company, if it is time to.
    fn summon(&mut self) {
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
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::clock::ManualClock;
    use crate::error::TxnError;

    /// A series with this in it cannot be finished.
    const PANICS: u64 = u64::MAX;

    /// Transactions that are numbers.
    struct Toy {
        group: GroupCommit<Toy>,
        clock: Arc<ManualClock>,
        finished: AtomicU64,
        flushes: AtomicU64,
        flush: fn(&Toy) -> Result<TxnId>,
    }

    /// What was done in a series, and with what durability.
    #[derive(Debug, PartialEq)]
    struct Numbers(Vec<u64>, Durability);

    impl Turn for Toy {
        type With<'t> = Numbers;
    }

    impl Company for Toy {
        fn begin(&self, durability: Durability) -> Numbers {
            Numbers(Vec::new(), durability)
        }

        /// A series with a 0 in it fails.
        fn finish(&self, series: Numbers) -> Result<TxnId> {
            assert!(!series.0.contains(&PANICS), "on purpose");
            if series.0.contains(&0) { Err(TxnError::Aborted) } else { Ok(self.finished()) }
        }

        fn flush(&self) -> Result<TxnId> {
            self.flushes.fetch_add(1, Ordering::SeqCst);
            (self.flush)(self)
        }
    }

    impl Toy {
        fn new(durable: u64, flush: fn(&Toy) -> Result<TxnId>) -> Toy {
            let clock = Arc::new(ManualClock::default());
            Toy {
                group: GroupCommit::new(TxnId(durable), clock.clone()),
                clock,
                finished: AtomicU64::new(durable),
                flushes: AtomicU64::new(0),
                flush,
            }
        }

        fn finished(&self) -> TxnId {
            TxnId(self.finished.load(Ordering::SeqCst))
        }

        fn finish_one(&self) -> u64 {
            self.finished.fetch_add(1, Ordering::SeqCst) + 1
        }

        fn wait_durable(&self, txn: u64) -> Result<()> {
            self.group.wait_durable(self, TxnId(txn))
        }

        fn perform<R: Send>(&self, work: impl FnOnce(&mut Numbers) -> R + Send) -> Result<R> {
            self.group.perform(self, Durability::Immediate, work)
        }

        /// Finishes a transaction after something else, and waits until it is durable.
        fn perform_after(&self, first: impl FnOnce() + Send) {
            let done = self.perform(|_| {
                first();
                self.finish_one();
            });
            done.unwrap();
        }

        fn wait_for_requests(&self, count: usize) {
            wait_until(|| self.group.queue.lock().requests.len() >= count);
        }

        fn is_combining(&self) -> bool {
            self.group.queue.lock().combining
        }
    }

    fn no_flush(_: &Toy) -> Result<TxnId> {
        unreachable!("there is nothing to flush")
    }

    fn flush_all(toy: &Toy) -> Result<TxnId> {
        Ok(toy.finished())
    }

    fn wait_until(condition: impl Fn() -> bool) {
        while !condition() {
            std::thread::yield_now();
        }
    }

    /// Fails, instead of waiting for ever, if that never comes.
    fn wait_for_word(told: &Receiver<()>) {
        told.recv_timeout(Duration::from_secs(60)).expect("somebody goes on");
    }

    #[test]
    fn what_is_durable_already_needs_no_flush() {
        assert!(Toy::new(5, no_flush).wait_durable(5).is_ok());
    }

    #[test]
    fn a_failed_flush_fails_those_who_wait_and_not_the_next() {
        let fails_once = |toy: &Toy| match toy.flushes.load(Ordering::SeqCst) {
            1 => Err(TxnError::Aborted),
            _ => Ok(TxnId(2)),
        };
        let toy = Toy::new(0, fails_once);
        assert!(toy.wait_durable(1).is_err());
        assert!(toy.wait_durable(2).is_ok());
        assert_eq!(toy.group.durable(), TxnId(2));
    }

    #[test]
    fn many_threads_share_flushes_and_none_is_told_too_early() {
        let slowly = |toy: &Toy| {
            let covered = toy.finished();
            std::thread::yield_now();
            Ok(covered)
        };
        let toy = Toy::new(0, slowly);
        let (threads, each) = (16, 200);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..each {
                        let txn = toy.finish_one();
                        toy.wait_durable(txn).unwrap();
                        assert!(toy.group.durable() >= TxnId(txn));
                    }
                });
            }
        });
        let flushes = toy.flushes.load(Ordering::SeqCst);
        assert!(flushes < threads * each, "{flushes} flushes for {} transactions", threads * each);
    }

    #[test]
    fn what_was_asked_for_is_done_in_order_and_in_series_of_what_was_there() {
        let toy = Toy::new(0, flush_all);
        let seen = std::sync::Mutex::new(Vec::new());
        let ask = |number: u64| {
            let told = toy.perform(|series| {
                if number == 1 {
                    toy.wait_for_requests(2);
                }
                series.0.push(number);
                seen.lock().unwrap().push(series.0.clone());
                toy.finish_one();
                number * 10
            });
            assert_eq!(told.unwrap(), number * 10, "each is told what is his");
        };
        std::thread::scope(|scope| {
            scope.spawn(|| ask(1));
            wait_until(|| toy.is_combining());
            scope.spawn(|| ask(2));
            toy.wait_for_requests(1);
            scope.spawn(|| ask(3));
        });
        assert_eq!(seen.into_inner().unwrap(), [vec![1], vec![2], vec![2, 3]]);
    }

    #[test]
    fn a_series_is_of_one_durability_and_its_failure_is_for_all_of_it() {
        let toy = Toy::new(0, flush_all);
        let ask = |number: u64, durability: Durability| {
            toy.group.perform(&toy, durability, |series| {
                if number == 1 {
                    toy.wait_for_requests(4);
                }
                series.0.push(number);
                assert_eq!(series.1, durability);
                toy.finish_one()
            })
        };
        std::thread::scope(|scope| {
            let ask = &ask;
            let first = scope.spawn(|| ask(1, Durability::Immediate));
            wait_until(|| toy.is_combining());
            let mut others = Vec::new();
            for (number, durability) in [
                (2, Durability::Eventual),
                (3, Durability::Immediate),
                (0, Durability::Immediate),
                (4, Durability::Eventual),
            ] {
                // In this order; when all four are there, the first one goes on.
                toy.wait_for_requests(others.len());
                others.push(scope.spawn(move || ask(number, durability)));
            }
            assert_eq!(first.join().unwrap().unwrap(), 1);
            let told: Vec<_> = others.into_iter().map(|other| other.join().unwrap().ok()).collect();
            assert_eq!(told, [Some(2), None, None, Some(5)]);
        });
    }

    #[test]
    fn nobody_waits_for_what_was_asked_for_after_his_series_had_begun() {
        let toy = &Toy::new(0, flush_all);
        let (answered, told) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                toy.perform_after(|| toy.wait_for_requests(1));
                answered.send(()).unwrap();
            });
            wait_until(|| toy.is_combining());
            scope.spawn(move || toy.perform_after(move || wait_for_word(&told)));
        });
    }

    #[test]
    fn who_works_for_others_stops_when_its_own_is_durable() {
        let toy = &Toy::new(0, flush_all);
        let (answered, told) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                toy.perform_after(|| toy.wait_for_requests(2));
                answered.send(()).unwrap();
            });
            wait_until(|| toy.is_combining());
            scope.spawn(|| toy.perform_after(|| wait_until(|| toy.group.durable() == TxnId(1))));
            toy.wait_for_requests(1);
            scope.spawn(move || toy.perform_after(move || wait_for_word(&told)));
        });
    }

    #[test]
    fn who_leads_instead_of_the_one_that_was_called_leaves_the_requests_to_somebody() {
        let toy: &'static Toy = Box::leak(Box::new(Toy::new(0, flush_all)));
        let (answered, told) = channel();
        let first = std::thread::spawn(move || {
            toy.perform_after(|| {
                toy.wait_for_requests(1);
                // As if a leader had called somebody, who is about to wake up.
                toy.group.queue.lock().called = true;
            });
        });
        wait_until(|| toy.is_combining());
        std::thread::spawn(move || {
            toy.perform_after(|| ());
            answered.send(()).unwrap();
        });
        wait_for_word(&told);
        first.join().unwrap();
    }

    #[test]
    fn a_leader_that_waits_for_company_is_woken_when_it_is_there() {
        // Two wait for each group, and a flush takes so long that patience outlasts every test.
        let with_company = |toy: &Toy| {
            wait_until(|| toy.group.queue.lock().waiting == 2);
            toy.clock.advance(1 << 30);
            Ok(TxnId(2 * toy.flushes.load(Ordering::SeqCst)))
        };
        let toy = Toy::new(0, with_company);
        std::thread::scope(|scope| {
            let toy = &toy;
            scope.spawn(move || [1, 3, 5].into_iter().for_each(|txn| toy.wait_durable(txn).unwrap()));
            wait_until(|| toy.group.queue.lock().leading);
            toy.wait_durable(2).unwrap();
            wait_until(|| toy.group.queue.lock().gathering.is_some());
            toy.wait_durable(4).unwrap();
            wait_until(|| toy.group.queue.lock().gathering.is_some());
            toy.finished.store(6, Ordering::SeqCst);
            toy.perform(|_| ()).unwrap();
        });
        assert_eq!(toy.flushes.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_flush_that_panics_is_an_error_for_those_who_wait_and_the_next_one_leads() {
        let panics_once = |toy: &Toy| {
            if toy.flushes.load(Ordering::SeqCst) == 1 {
                wait_until(|| toy.group.queue.lock().waiting == 2);
                panic!("on purpose");
            }
            Ok(toy.finished())
        };
        let toy = &Toy::new(0, panics_once);
        std::thread::scope(|scope| {
            let waiting: Vec<_> = [1, 2].map(|txn| scope.spawn(move || toy.wait_durable(txn))).into();
            for waiting in waiting {
                assert!(matches!(waiting.join().unwrap(), Err(TxnError::Panicked)));
            }
        });
        assert!(toy.perform(|_| toy.finish_one()).is_ok());
        assert_eq!(toy.group.durable(), TxnId(1));
    }

    #[test]
    fn a_series_that_panics_is_an_error_for_those_in_it_and_the_next_one_is_done() {
        let toy = &Toy::new(0, flush_all);
        std::thread::scope(|scope| {
            // While this one is done, two more ask, one of whom then does the work of both.
            let first = scope.spawn(|| toy.perform(|_| toy.wait_for_requests(2)));
            wait_until(|| toy.is_combining());
            let both =
                [PANICS, 1].map(|number| scope.spawn(move || toy.perform(|series| series.0.push(number))));
            assert!(first.join().unwrap().is_ok());
            for one in both {
                assert!(matches!(one.join().unwrap(), Err(TxnError::Panicked)));
            }
        });
        assert!(toy.perform(|_| toy.finish_one()).is_ok());
    }

    #[test]
    fn a_panic_is_for_the_one_who_asked() {
        let toy = Toy::new(0, flush_all);
        let panic = catch_unwind(AssertUnwindSafe(|| toy.perform(|_| -> () { panic!("on purpose") })));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
        assert_eq!(toy.perform(|_| toy.finish_one()).unwrap(), 1);
    }
}
