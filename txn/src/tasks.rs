//! What is done when nobody waits for it: flushing eventual commits in time; collecting garbage, moving pages down
//! and sealing when the database is idle.
//!
//! One thread, which sleeps until it is told of something.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dynamite_pager::sync::{Condvar, Mutex};
use dynamite_pager::{IoOperation, PagerError};

use crate::error::Result;
use crate::store::{MAINTENANCE_STEP, Shared};

/// A database on which nothing was committed for so long is idle.
const IDLE: Duration = Duration::from_millis(50);

/// What the thread has been told.
#[derive(Debug)]
pub(crate) struct Tasks {
    state: Mutex<State>,
    told: Condvar,
    eventual_interval: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// An eventual commit waits to be durable.
    flush_wanted: bool,
    /// Something happened since the last idle work.
    restless: bool,
    /// Counts what happened.
    events: u64,
    stopped: bool,
}

impl Tasks {
    pub(crate) fn new(eventual_interval: Duration) -> Tasks {
        Tasks { state: Mutex::default(), told: Condvar::new(), eventual_interval }
    }

    /// An eventual commit was finished.
    pub(crate) fn flush_later(&self) {
        let mut state = self.state.lock();
        if !state.flush_wanted {
            state.flush_wanted = true;
            self.told.notify_all();
        }
    }

    /// A transaction was committed: there may be garbage, and the file is not sealed.
    pub(crate) fn committed(&self) {
        let mut state = self.state.lock();
        state.events += 1;
        if !state.restless {
            state.restless = true;
            self.told.notify_all();
        }
    }

    /// A snapshot was let go: what only it needed is garbage.
    pub(crate) fn snapshot_released(&self) {
        self.committed();
    }
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Worker> {
        let worked = Arc::downgrade(shared);
        let thread = std::thread::Builder::new()
            .name("dynamite-tasks".into())
            .spawn(move || work(&worked))
            .map_err(|source| PagerError::Io {
            operation: IoOperation::Spawn,
            path: shared.pager.path(),
            source: Arc::new(source),
        })?;
        Ok(Worker { shared: shared.clone(), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.shared.pager.is_forked() {
            // The thread is the parent's, and so, perhaps, is the lock.
            std::mem::forget(self.thread.take());
            return;
        }
        self.shared.tasks.state.lock().stopped = true;
        self.shared.tasks.told.notify_all();
        if let Some(thread) = self.thread.take() {
            // It ends only by returning; a panic in it was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Lives as long as the worker, which holds the database.
fn work(shared: &Weak<Shared>) {
    let Some(shared) = shared.upgrade() else { return };
    let tasks = &shared.tasks;
    let mut flush_due: Option<Instant> = None;
    let mut idle_due: Option<Instant> = None;
    let mut seen_events = 0;
    loop {
        let mut state = tasks.state.lock();
        if state.stopped {
            return;
        }
        let now = Instant::now();
        if state.flush_wanted && flush_due.is_none() {
            flush_due = Some(now + tasks.eventual_interval);
        }
        if state.restless && (idle_due.is_none() || state.events != seen_events) {
            idle_due = Some(now + IDLE);
            seen_events = state.events;
        }
        let due = flush_due.into_iter().chain(idle_due).min();
        match due {
            None => {
                drop(tasks.told.wait(state));
                continue;
            }
            Some(due) if due > now => {
                drop(tasks.told.wait_for(state, due - now));
                continue;
            }
            Some(_) => {}
        }
        if flush_due.is_some_and(|due| due <= now) {
            flush_due = None;
            state.flush_wanted = false;
            drop(state);
            report(shared.pager.commit_group().map(drop).map_err(Into::into));
            continue;
        }
        idle_due = None;
        state.restless = false;
        drop(state);
        report(idle_work(&shared, seen_events));
    }
}

/// Collects garbage and then moves pages down, step by step, until nothing is left to do or somebody else works; then seals.
fn idle_work(shared: &Shared, seen_events: u64) -> Result<()> {
    while shared.reclaim(MAINTENANCE_STEP)? || shared.move_down()? {
        let state = shared.tasks.state.lock();
        if state.stopped || state.events != seen_events {
            return Ok(());
        }
    }
    Ok(shared.pager.seal()?)
}

fn report(result: Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "work in the background failed");
    }
}
