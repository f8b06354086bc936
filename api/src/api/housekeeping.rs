//! Work on items that nobody waits for: one thread that sleeps until something is due.
//!
//! What is to be done is in [`CHORES`]. Each does a bounded amount of work, in write transactions like those of users, and says when
//! it wants to be called again. All that they need to know stands in the database, so whatever a crash interrupts is taken up
//! after the next open. Without a background the owner calls [`DynaMite::maintain`](crate::api::DynaMite::maintain).

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dynamite_txn::TxnId;

use crate::api::database::Engine;
use crate::api::{index_build, stream, table_backup, token, ttl};
use crate::error::{Error, Result};

/// When a chore wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pace {
    /// At once: there is more to do.
    AtOnce,
    /// When the clock shows this time, in milliseconds since 1970, or before.
    At(u64),
    /// When somebody [rings](Bell::ring).
    WhenRung,
}

/// A bounded amount of work.
pub(crate) type Chore = fn(&Engine) -> Result<Pace>;

/// All that there is to do, in this order.
const CHORES: [Chore; 5] = [ttl::tend, index_build::chore, token::expire, stream::trim, table_backup::tidy];

/// The longest sleep while something is due at some time: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long a chore that failed rests.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How the thread is told that there may be something to do.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
    /// When the thread looks again by itself, in milliseconds; 0 before it has looked at all, which it does at once.
    next_ms: AtomicU64,
    /// When there will be something to do because of transactions that are not to be seen yet, each or earlier.
    unseen: Mutex<Vec<(TxnId, u64)>>,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    stopped: bool,
}

impl Bell {
    /// Says that there will be something to do when the clock shows this time, in milliseconds (`u64::MAX`: never). Whoever makes
    /// the work says so when the thread can see it. It rings only if the thread would sleep longer.
    pub(crate) fn expect(&self, due_ms: u64) {
        if due_ms == u64::MAX {
            return;
        }
        // Pairs with that of `will_look_at`: either this sees that the thread is looking, or the thread sees the work.
        fence(Ordering::SeqCst);
        let would_sleep = due_ms < self.next_ms.load(Ordering::Relaxed);
        if would_sleep && due_ms < self.next_ms.fetch_min(due_ms, Ordering::Relaxed) {
            self.ring();
        }
    }

    /// As [`expect`](Self::expect), by whoever makes work that the thread cannot see yet: it is said when this transaction is
    /// [seen](Self::seen).
    pub(crate) fn expect_unseen(&self, txn: TxnId, due_ms: u64) {
        if due_ms != u64::MAX {
            self.unseen().push((txn, due_ms));
        }
    }

    /// Says that a transaction, and so all before it, can be seen now.
    pub(crate) fn seen(&self, txn: TxnId) {
        let mut unseen = self.unseen();
        let due_ms = unseen.extract_if(.., |(of, _)| *of <= txn).map(|(_, due_ms)| due_ms).min();
        drop(unseen);
        self.expect(due_ms.unwrap_or(u64::MAX));
    }

    fn unseen(&self) -> MutexGuard<'_, Vec<(TxnId, u64)>> {
        // Each change is one step.
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that there may be something to do.
    pub(crate) fn ring(&self) {
        self.set(|state| state.rung = true);
    }

    /// Says when the thread will look again by itself.
    fn will_look_at(&self, next_ms: u64) {
        self.next_ms.store(next_ms, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        // Two flags are whole, whoever panicked.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_all();
    }

    /// Waits until it rings, or for so long. Returns whether to go on.
    fn wait(&self, at_most: Option<Duration>) -> bool {
        let asleep = |state: &mut State| !state.rung && !state.stopped;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = match at_most {
            Some(at_most) => {
                self.rung.wait_timeout_while(state, at_most, asleep).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.rung.wait_while(state, asleep).unwrap_or_else(PoisonError::into_inner),
        };
        state.rung = false;
        !state.stopped
    }
}

/// The thread. Dropping it ends it, after the step that it is doing.
#[derive(Debug)]
pub(crate) struct Housekeeper {
    engine: Arc<Engine>,
    thread: Option<JoinHandle<()>>,
}

impl Housekeeper {
    /// Starts the thread. `None` if the system has none to give: then it is as if the background was switched off.
    pub(crate) fn start(engine: &Arc<Engine>) -> Option<Housekeeper> {
        let worked = engine.clone();
        let spawned = std::thread::Builder::new().name("dynamite-chores".into()).spawn(move || work(&worked));
        match spawned {
            Ok(thread) => Some(Housekeeper { engine: engine.clone(), thread: Some(thread) }),
            Err(error) => {
                tracing::warn!(%error, "no thread for work in the background");
                None
            }
        }
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        self.engine.bell.set(|state| state.stopped = true);
        if let Some(thread) = self.thread.take() {
            // It ends only by returning; a panic in it was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn work(engine: &Engine) {
    let bell = &engine.bell;
    loop {
        // Whatever is expected from here on, be it seen by this round or not, rings.
        bell.will_look_at(u64::MAX);
        let sleep = match round(engine) {
            Ok(Pace::AtOnce) => Some(Duration::ZERO),
            Ok(Pace::At(due)) => {
                bell.will_look_at(due);
                Some(Duration::from_millis(due.saturating_sub(engine.clock.now_ms())).min(LONGEST_SLEEP))
            }
            Ok(Pace::WhenRung) => None,
            Err(error) => {
                tracing::warn!(%error, "work in the background failed");
                // After a failed flush nothing can be written before the file is opened again.
                (!matches!(error, Error::Poisoned { .. })).then_some(AFTER_FAILURE)
            }
        };
        if !bell.wait(sleep) {
            return;
        }
    }
}

/// Does a step of each chore. Says when the next one is due.
fn round(engine: &Engine) -> Result<Pace> {
    CHORES.iter().try_fold(Pace::WhenRung, |pace, chore| Ok(pace.min(chore(engine)?)))
}

/// Does all that is due now.
pub(crate) fn run(engine: &Engine) -> Result<()> {
    while round(engine)? == Pace::AtOnce {}
    Ok(())
}
