//! The writes of all connections, one after the other on a thread of its own, and made durable together on another.
//!
//! The engine has one write transaction at a time anyway. A thread for each write would wait for its turn, and then for the disk; here nobody
//! waits but the settler, and while it does the writer goes on: all that is written meanwhile shares the next flush, and what was queued
//! together is written in one [series](Deferred::in_series). A lone write,
//! which has nobody to share with, is settled by the writer itself, so that it is handed from thread to thread once less. It is known by
//! the [`ALONE`] before it, which shared nothing either: of those who were told together one comes first, and the others right behind.
//!
//! ```text
//!   push ──▶ queued, in turns ──▶ written ──(more are queued, or were settled just now)──▶ done ──▶ settled ──▶ told
//!                                    └───────────────(it is alone)─────────────────────────────────────┘
//! ```
//!
//! What is written, and how it is told, is the business of those who push: connections over the socket and over HTTP have their turns, and
//! share flushes, with one another.
//!
//! # Invariants
//!
//! 1. Nothing is told before all that it depends on is durable, be it a refusal.
//! 2. Whatever was taken is told what came of it, once: the threads end when nothing is left, and a panic ends only the write, or the
//!    telling, in which it happened.
//! 3. The writes of a connection are done, and told, in the order in which they came. So the writer settles nothing itself while the
//!    settler has something to tell.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use dynamite_core::api::{Deferred, DynaMite, Pending};
use dynamite_core::error::{Error, Result};

use crate::caught::{Panicked, caught};
use crate::queue::FairQueue;

/// So many writes are one series at the most, so that the first of them need not wait long for the last.
const SERIES: usize = 64;

/// So many writes in a row that were settled by themselves make the next one a lone one.
const ALONE: u32 = 8;

/// The way to the threads, of which a database has one pair. They end after [`stop`](Writes::stop), or when this is dropped.
pub(crate) struct Writes {
    shared: Arc<Shared>,
    connections: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Why nobody is told what a write has returned.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    /// The write was undone.
    Panicked(Panicked),
    /// It did not become durable.
    Database(Error),
}

/// Answers to one connection that are told one after the other, for those who want to send them together.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// What is to be sent of those that were told already.
    pub(crate) frames: Vec<u8>,
    /// Whether no other follows: it is time to send them.
    pub(crate) is_last: bool,
}

#[derive(Default)]
struct Shared {
    queue: FairQueue<Asked>,
    done: Done,
}

/// A write that is to be done.
struct Asked {
    connection: u64,
    write: Box<dyn FnOnce(&Deferred<'_>) -> Tell + Send>,
}

/// Tells what came of a write, knowing whether it is durable.
type Tell = Box<dyn FnOnce(Result<(), Lost>, &mut Answers) + Send>;

/// A write that is done, but perhaps not durable.
struct Finished {
    connection: u64,
    tell: Tell,
    pending: Pending,
    /// Why it was not made after all.
    lost: Option<Lost>,
}

impl Writes {
    /// Starts the threads.
    pub(crate) fn start(db: &DynaMite) -> io::Result<Writes> {
        let settled = db.clone();
        Writes::settled_by(db, move |pending| settled.settle(pending))
    }

    /// The same, where something else waits until they are durable.
    pub(crate) fn settled_by(
        db: &DynaMite,
        settle: impl Fn(Pending) -> Result<()> + Clone + Send + 'static,
    ) -> io::Result<Writes> {
        let shared = Arc::new(Shared::default());
        let writes =
            Writes { shared: shared.clone(), connections: AtomicU64::new(0), threads: Mutex::default() };
        let (db, settle_lone) = (db.clone(), settle.clone());
        let write = move || write(&shared, &db, &settle_lone);
        let writer = Builder::new().name("dynamite-write".into()).spawn(write)?;
        writes.threads().push(writer);
        let shared = writes.shared.clone();
        let settle_all = move || shared.done.batches().for_each(|batch| tell(batch, &settle));
        let settler = Builder::new().name("dynamite-settle".into()).spawn(settle_all)?;
        writes.threads().push(settler);
        Ok(writes)
    }

    /// The number of a new connection, by which it has its turns.
    pub(crate) fn new_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Has something written, and what it returns told when that is durable. Both are dropped if the threads are to end.
    pub(crate) fn push<R: Send + 'static>(
        &self,
        connection: u64,
        write: impl FnOnce(&Deferred<'_>) -> R + Send + 'static,
        tell: impl FnOnce(Result<R, Lost>, &mut Answers) + Send + 'static,
    ) {
        let write = Box::new(move |target: &Deferred<'_>| -> Tell {
            let done = caught(|| write(target)).map_err(Lost::Panicked);
            Box::new(move |settled, answers| tell(settled.and(done), answers))
        });
        self.shared.queue.push(connection, Asked { connection, write });
    }

    /// Takes no more, and waits until all that was taken is told.
    pub(crate) fn stop(&self) {
        self.shared.queue.close();
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            // It ends only by returning: panics in it were caught.
            let _ = thread.join();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        // Whoever drops it may be on one of the threads, and so cannot wait for them.
        self.shared.queue.close();
    }
}

/// The writer.
fn write(shared: &Shared, db: &DynaMite, settle: &impl Fn(Pending) -> Result<()>) {
    let Shared { queue, done } = shared;
    while let Some(first) = queue.pop() {
        let finished = write_series(first, queue, db);
        match finished.len() == 1 && queue.is_empty() && done.is_quiet() {
            true => tell(finished, settle),
            false => done.push(finished),
        }
    }
    done.close();
}

/// Does what is queued, one after the other, as one series.
fn write_series(first: Asked, queue: &FairQueue<Asked>, db: &DynaMite) -> Vec<Finished> {
    let deferred = db.deferred();
    let tells = RefCell::new(Vec::new());
    let all = std::iter::once(first).chain(std::iter::from_fn(|| queue.pop_now())).take(SERIES);
    let written = caught(|| {
        deferred.in_series(all.map(|Asked { connection, write }| {
            let (deferred, tells) = (&deferred, &tells);
            move || {
                let tell = write(deferred);
                tells.borrow_mut().push((connection, tell));
            }
        }))
    });
    let pending = deferred.pending();
    let tells = tells.into_inner();
    let lost: Vec<Option<Lost>> = match written {
        Ok(written) => written.into_iter().map(|made| made.err().map(Lost::Database)).collect(),
        Err(panicked) => vec![Some(Lost::Panicked(panicked)); tells.len()],
    };
    let told = tells.into_iter().zip(lost);
    told.map(|((connection, tell), lost)| Finished { connection, tell, pending, lost }).collect()
}

/// Makes writes durable, and tells what came of them, to one connection after the other.
fn tell(mut batch: Vec<Finished>, settle: &impl Fn(Pending) -> Result<()>) {
    let Some(pending) = batch.iter().map(|finished| finished.pending).max() else { return };
    let settled = match caught(|| settle(pending)) {
        Ok(settled) => settled.map_err(Lost::Database),
        Err(panicked) => Err(Lost::Panicked(panicked)),
    };
    // Those of a connection stay in their order.
    batch.sort_by_key(|finished| finished.connection);
    let mut answers = Answers::default();
    let mut rest = batch.into_iter().peekable();
    while let Some(Finished { connection, tell, lost, .. }) = rest.next() {
        answers.is_last = rest.peek().is_none_or(|next| next.connection != connection);
        // Whom it did not reach is not told again.
        let settled = lost.map_or(settled.clone(), Err);
        let _ = caught(|| tell(settled, &mut answers));
        if answers.is_last {
            answers.frames.clear();
        }
    }
}

/// Writes that are done, in their order.
struct Done {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    finished: Vec<Finished>,
    /// Whether the settler waits for more.
    is_awaited: bool,
    /// Whether the last batch may not be told yet.
    is_settling: bool,
    /// Batches in a row that were one write.
    alone: u32,
    is_closed: bool,
}

impl Default for Done {
    fn default() -> Done {
        // Nothing is known of company yet.
        let state = State {
            finished: Vec::new(),
            is_awaited: false,
            is_settling: false,
            alone: ALONE,
            is_closed: false,
        };
        Done { state: Mutex::new(state), more: Condvar::new() }
    }
}

impl Done {
    fn push(&self, finished: Vec<Finished>) {
        let mut state = self.state();
        state.finished.extend(finished);
        // To wake nobody is a system call, too.
        let wakes = std::mem::take(&mut state.is_awaited);
        drop(state);
        if wakes {
            self.more.notify_one();
        }
    }

    /// Whether all that was pushed is told, and what came last did not come together.
    fn is_quiet(&self) -> bool {
        let state = self.state();
        state.finished.is_empty() && !state.is_settling && state.alone >= ALONE
    }

    /// All that there is, whenever there is something and what was taken before is told, until no more will come.
    fn batches(&self) -> impl Iterator<Item = Vec<Finished>> {
        std::iter::from_fn(|| {
            let mut state = self.state();
            state.is_settling = false;
            let nothing = |state: &mut State| {
                state.is_awaited = state.finished.is_empty() && !state.is_closed;
                state.is_awaited
            };
            let mut state = self.more.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
            let batch = std::mem::take(&mut state.finished);
            state.is_settling = !batch.is_empty();
            state.alone = if batch.len() == 1 { state.alone.saturating_add(1) } else { 0 };
            (!batch.is_empty()).then_some(batch)
        })
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.more.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes").field("queue", &self.shared.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use dynamite_core::types::KeyType;
    use serde_json::json;

    use super::*;

    /// Writes that are settled when the test says so, and as it says.
    struct Held {
        writes: Writes,
        /// The threads that have begun to settle.
        begun: Receiver<String>,
        settled: Sender<Result<()>>,
    }

    impl Held {
        fn new() -> Held {
            let (begin, begun) = channel();
            let (settled, wait) = channel();
            let wait = Arc::new(Mutex::new(wait));
            let writes = Writes::settled_by(&DynaMite::in_memory().unwrap(), move |_| {
                begin.send(std::thread::current().name().unwrap().to_owned()).unwrap();
                wait.lock().unwrap().recv().unwrap()
            });
            Held { writes: writes.unwrap(), begun, settled }
        }

        /// Which thread has begun to settle.
        fn begun(&self) -> String {
            self.begun.recv().unwrap()
        }

        fn end(&self, settled: Result<()>) {
            self.settled.send(settled).unwrap();
        }
    }

    /// What was done and told, in that order.
    #[derive(Clone)]
    struct Log(Sender<String>);

    impl Log {
        fn new() -> (Log, Receiver<String>) {
            let (log, seen) = channel();
            (Log(log), seen)
        }

        /// Pushes a write that is logged when it is done, and when it is told, then with all that is to be sent.
        fn push(&self, writes: &Writes, connection: u64, nth: u8) {
            self.push_after(writes, connection, nth, || ());
        }

        fn push_after(
            &self,
            writes: &Writes,
            connection: u64,
            nth: u8,
            first: impl FnOnce() + Send + 'static,
        ) {
            let (done, told) = (self.0.clone(), self.0.clone());
            let write = move |_: &Deferred<'_>| {
                done.send(format!("{connection}.{nth} done")).unwrap();
                first();
                nth
            };
            writes.push(connection, write, move |written, answers| {
                match written {
                    Ok(nth) => answers.frames.push(nth),
                    Err(Lost::Panicked(_)) => told.send(format!("{connection}.{nth} panicked")).unwrap(),
                    Err(Lost::Database(_)) => told.send(format!("{connection}.{nth} failed")).unwrap(),
                }
                if answers.is_last {
                    told.send(format!("{connection} told {:?}", answers.frames)).unwrap();
                }
            });
        }
    }

    fn seen(log: &Receiver<String>) -> Vec<String> {
        log.try_iter().collect()
    }

    #[test]
    fn a_lone_write_is_settled_by_the_writer_and_told_only_then() {
        let (held, (log, told)) = (Held::new(), Log::new());
        for nth in 1..=2 {
            log.push(&held.writes, 1, nth);
            assert_eq!(held.begun(), "dynamite-write");
            assert_eq!(seen(&told), [format!("1.{nth} done")]);
            held.end(Ok(()));
            assert_eq!(told.recv().unwrap(), format!("1 told [{nth}]"));
        }
        held.writes.stop();
    }

    /// What is seen of a lone write, of those that come while it is settled, and of one that comes while those are.
    fn settled(settled: [Result<()>; 3]) -> Vec<String> {
        let (held, (log, told)) = (Held::new(), Log::new());
        let [lone, together, last] = settled;
        log.push(&held.writes, 1, 0);
        assert_eq!(held.begun(), "dynamite-write");
        log.push(&held.writes, 2, 1);
        log.push(&held.writes, 1, 2);
        log.push(&held.writes, 1, 3);
        log.push(&held.writes, 2, 4);
        held.end(lone);
        assert_eq!(held.begun(), "dynamite-settle");
        log.push(&held.writes, 3, 5);
        // Nothing is queued behind it, but the settler has something to tell before.
        while held.writes.shared.done.state().finished.is_empty() {
            assert_eq!(held.begun.try_recv().ok(), None);
            std::thread::yield_now();
        }
        held.end(together);
        assert_eq!(held.begun(), "dynamite-settle");
        held.end(last);
        // As soon as that is told, a lone one is the writer's again.
        let mut settled_by = (0..1000).map(|_| {
            held.writes.push(4, |_| (), |_, _| ());
            held.end(Ok(()));
            held.begun()
        });
        assert!(settled_by.any(|thread| thread == "dynamite-write"));
        held.writes.stop();
        drop(log);
        told.iter().collect()
    }

    #[test]
    fn connections_have_turns_and_each_is_told_at_once_and_in_order() {
        let done = ["2.1 done", "1.2 done", "2.4 done", "1.3 done", "3.5 done"];
        let told = ["1 told [2, 3]", "2 told [1, 4]", "3 told [5]"];
        let all = [&["1.0 done", "1 told [0]"][..], &done, &told].concat();
        assert_eq!(settled([Ok(()), Ok(()), Ok(())]), all);
    }

    #[test]
    fn a_failure_to_settle_is_told_to_all_that_it_concerns_and_to_nobody_else() {
        let failed = || Err(Error::Cancelled);
        let all = settled([failed(), failed(), Ok(())]);
        let lone = ["1.0 done", "1.0 failed", "1 told []"];
        assert_eq!(all[..3], lone);
        let together = ["1.2 failed", "1.3 failed", "1 told []", "2.1 failed", "2.4 failed", "2 told []"];
        assert_eq!(all[8..], [&together[..], &["3 told [5]"]].concat());
    }

    #[test]
    fn who_was_not_written_after_all_is_told_and_nobody_else() {
        let (outcomes, told) = channel();
        let pending = DynaMite::in_memory().unwrap().deferred().pending();
        let batch = [None, Some(Lost::Database(Error::Cancelled)), None].into_iter().map(|lost| {
            let outcomes = outcomes.clone();
            let tell = Box::new(move |settled: Result<(), Lost>, _: &mut Answers| {
                outcomes.send(settled.is_ok()).unwrap();
            });
            Finished { connection: 1, tell, pending, lost }
        });
        tell(batch.collect(), &|_| Ok(()));
        drop(outcomes);
        assert_eq!(told.iter().collect::<Vec<_>>(), [true, false, true]);
    }

    /// All that is queued is one series, in which what is written is written at once, and what fails alone.
    #[test]
    fn what_is_queued_together_is_written_together() {
        let db = DynaMite::in_memory().unwrap();
        db.create_table("things").partition_key("id", KeyType::Number).execute().unwrap();
        let queue = FairQueue::default();
        let (told, outcomes) = channel();
        let asked = |id: u64| {
            let told = told.clone();
            let write = Box::new(move |target: &Deferred<'_>| -> Tell {
                let put = target.put("things").item(json!({"id": id / 2})).if_version(0).execute();
                Box::new(move |settled, _| told.send((id, put.is_ok(), settled.is_ok())).unwrap())
            });
            Asked { connection: 1, write }
        };
        (1..=2 * SERIES as u64).for_each(|id| queue.push(1, asked(id)));
        let before = db.stats().commits;
        let finished = write_series(asked(0), &queue, &db);
        assert_eq!(finished.len(), SERIES);
        assert!(!queue.is_empty());
        tell(finished, &|pending| db.settle(pending));
        assert_eq!(db.stats().commits - before, 1);
        let seen: Vec<_> = outcomes.try_iter().collect();
        let expected = (0..SERIES as u64).map(|id| (id, id % 2 == 0, true));
        assert_eq!(seen, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_told_is_durable() {
        let db = DynaMite::in_memory().unwrap();
        db.create_table("things").partition_key("id", KeyType::Number).execute().unwrap();
        let writes = Writes::start(&db).unwrap();
        let (tell, told) = channel();
        for id in 0..200 {
            let (tell, db) = (tell.clone(), db.clone());
            let write = move |target: &Deferred<'_>| target.put("things").item(json!({"id": id})).execute();
            writes.push(id % 3, write, move |written, _| {
                // Readers see what is durable.
                let found = db.get_item_versioned("things").partition_key(id).execute().unwrap();
                tell.send((written.unwrap().unwrap(), found.map(|found| found.version))).unwrap();
            });
        }
        writes.stop();
        drop(tell);
        let told = told.iter().collect::<Vec<_>>();
        assert_eq!(told.len(), 200);
        assert!(told.iter().all(|&(version, found)| found == Some(version)), "{told:?}");
    }

    #[test]
    fn a_batch_is_settled_up_to_what_its_last_write_depends_on() {
        let db = DynaMite::in_memory().unwrap();
        db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
        let deferred = db.deferred();
        // The first refuses something at once, and so depends on nothing.
        let first = deferred.pending();
        deferred.put("things").item(json!({"id": "a"})).execute().unwrap();
        let last = deferred.pending();
        assert!(first < last);
        let batch = [(2, first), (1, last)];
        let batch = batch.map(|(connection, pending)| Finished {
            connection,
            tell: Box::new(|_, _| ()),
            pending,
            lost: None,
        });
        let (settled, waited_for) = channel();
        tell(batch.into(), &move |pending| {
            settled.send(pending).unwrap();
            Ok(())
        });
        assert_eq!(waited_for.iter().collect::<Vec<_>>(), [last]);
    }

    #[test]
    fn what_comes_behind_a_batch_is_not_taken_for_a_lone_write() {
        let db = DynaMite::in_memory().unwrap();
        let done = Done::default();
        let push = || {
            let pending = db.deferred().pending();
            done.push(vec![Finished { connection: 1, tell: Box::new(|_, _| ()), pending, lost: None }]);
        };
        assert!(done.is_quiet());
        push();
        assert!(!done.is_quiet(), "it is not settled");
        push();
        let mut batches = done.batches();
        assert_eq!(batches.next().unwrap().len(), 2);
        for _ in 0..ALONE {
            done.state().is_settling = false;
            assert!(!done.is_quiet());
            push();
            assert_eq!(batches.next().unwrap().len(), 1);
        }
        assert!(!done.is_quiet(), "it is not told");
        done.state().is_settling = false;
        assert!(done.is_quiet());
    }

    #[test]
    fn a_panic_ends_only_what_panics() {
        let db = DynaMite::in_memory().unwrap();
        let (writes, (log, told)) = (Writes::start(&db).unwrap(), Log::new());
        log.push_after(&writes, 1, 1, || panic!("a bug, as it should be"));
        writes.push(2, |_| (), |_, _| panic!("another one"));
        log.push(&writes, 3, 2);
        writes.stop();
        drop(log);
        let mut all = told.iter().collect::<Vec<_>>();
        all.sort_unstable();
        assert_eq!(all, ["1 told []", "1.1 done", "1.1 panicked", "3 told [2]", "3.2 done"]);
    }

    #[test]
    fn a_panic_while_settling_is_told_and_is_not_the_end() {
        let (held, (log, told)) = (Held::new(), Log::new());
        // Its settling panics when nobody says how it ends.
        drop(held.settled);
        for nth in 1..=2 {
            log.push(&held.writes, 1, nth);
            let all = told.iter().take(3).collect::<Vec<_>>();
            assert_eq!(all, [format!("1.{nth} done"), format!("1.{nth} panicked"), "1 told []".to_owned()]);
        }
        held.writes.stop();
    }

    #[test]
    fn connections_have_numbers_of_their_own() {
        let held = Held::new();
        let numbers = std::iter::repeat_with(|| held.writes.new_connection()).take(100);
        assert_eq!(numbers.collect::<std::collections::HashSet<_>>().len(), 100);
    }

    #[test]
    fn all_that_was_taken_is_told_at_the_end_and_nothing_is_taken_then() {
        let (held, (log, told)) = (Held::new(), Log::new());
        for nth in 0..20 {
            log.push(&held.writes, u64::from(nth % 4), nth);
        }
        (0..20).for_each(|_| held.end(Ok(())));
        held.writes.stop();
        let entries = seen(&told);
        log.push(&held.writes, 1, 20);
        drop(log);
        assert!(told.recv().is_err(), "nobody has it");
        let count = |what| entries.iter().filter(|entry| entry.contains(what)).count();
        assert_eq!(count(" done"), 20);
        let answers = entries.iter().filter_map(|entry| entry.split_once(" told ")).map(|(_, told)| told);
        let answers = answers.flat_map(|told| serde_json::from_str::<Vec<u8>>(told).unwrap());
        let mut answers = answers.collect::<Vec<_>>();
        answers.sort_unstable();
        assert_eq!(answers, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn the_threads_end_when_nobody_can_push_any_more() {
        let held = Held::new();
        let (log, told) = Log::new();
        log.push(&held.writes, 1, 1);
        held.end(Ok(()));
        drop(log);
        drop(held.writes);
        assert_eq!(told.iter().collect::<Vec<_>>(), ["1.1 done", "1 told [1]"]);
        // Each thread drops its end when it ends.
        assert_eq!(held.begun.iter().count(), 1);
    }
}
