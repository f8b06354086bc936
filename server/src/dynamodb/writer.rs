//! The writes of all connections, one after the other on a thread of its own, and made durable together on another.
//!
//! The engine has one write transaction at a time anyway. A thread for each write would wait for its turn, and then for the disk; here nobody
//! waits but the settler, and while it does the writer goes on: all that is written meanwhile shares the next flush. A lone write,
//! which has nobody to share with, is settled by the writer itself, so that it is handed from thread to thread once less.
//!
//! # Invariants
//!
//! 1. No answer is told before all that it depends on is durable, be it a refusal.
//! 2. What was taken is answered: the threads end when nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use dynamite_core::api::{Deferred, DynaMite, Pending};
use tokio::sync::oneshot;

use crate::dynamodb::Endpoint;
use crate::dynamodb::errors::{Answer, Failure};

/// What is to be written, of a request that was read and checked. What it returns is told when that is durable.
pub(crate) type Write = Box<dyn FnOnce(&Endpoint, &Deferred<'_>) -> Answer + Send>;

/// The way to the threads.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

struct Job {
    write: Write,
    tell: oneshot::Sender<Answer>,
}

/// A write that is done, but perhaps not durable.
struct Finished {
    answer: Answer,
    pending: Pending,
    tell: oneshot::Sender<Answer>,
}

impl Writer {
    /// Starts the threads.
    pub(crate) fn start(endpoint: &Arc<Endpoint>) -> std::io::Result<()> {
        let (jobs, taken) = channel();
        let (done, finished) = channel();
        let unsettled = Arc::new(AtomicUsize::new(0));
        let (written, settled) = ((endpoint.clone(), unsettled.clone()), (endpoint.clone(), unsettled));
        let writer = Builder::new()
            .name("dynamite-http-write".into())
            .spawn(move || write(&written.0, &taken, &done, &written.1))?;
        let settler = Builder::new()
            .name("dynamite-http-settle".into())
            .spawn(move || settle(&settled.0.db, &finished, &settled.1))?;
        let mut state = endpoint.writer.state();
        state.jobs = Some(jobs);
        state.threads = vec![writer, settler];
        Ok(())
    }

    /// Has something written, and waits until it is durable.
    pub(crate) async fn write(&self, write: Write) -> Answer {
        let (tell, told) = oneshot::channel();
        let sent = self.state().jobs.as_ref().map(|jobs| jobs.send(Job { write, tell }));
        match sent {
            Some(Ok(())) => told.await.unwrap_or_else(|_| Err(Failure::internal("the operation panicked"))),
            _ => Err(Failure::internal("the endpoint is ending")),
        }
    }

    /// Takes no more. The threads, which are returned, end when all that was taken is answered.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        let mut state = self.state();
        state.jobs = None;
        std::mem::take(&mut state.threads)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two halves of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer.
fn write(endpoint: &Endpoint, jobs: &Receiver<Job>, done: &Sender<Finished>, unsettled: &AtomicUsize) {
    let deferred = endpoint.db.deferred();
    while let Ok(first) = jobs.recv() {
        let mut finished = perform(endpoint, &deferred, first);
        while let Ok(next) = jobs.try_recv() {
            hand_over(done, unsettled, finished);
            finished = perform(endpoint, &deferred, next);
        }
        match unsettled.load(Ordering::Acquire) {
            0 => tell(endpoint.db.settle(finished.pending), finished),
            _ => hand_over(done, unsettled, finished),
        }
    }
}

fn perform(endpoint: &Endpoint, deferred: &Deferred<'_>, job: Job) -> Finished {
    // A panic drops the transaction, and nothing of it was seen.
    let answer = catch_unwind(AssertUnwindSafe(|| (job.write)(endpoint, deferred)));
    let answer = answer.unwrap_or_else(|_| Err(Failure::internal("the operation panicked")));
    Finished { answer, pending: deferred.pending(), tell: job.tell }
}

fn hand_over(done: &Sender<Finished>, unsettled: &AtomicUsize, finished: Finished) {
    unsettled.fetch_add(1, Ordering::AcqRel);
    // The settler ends after the writer.
    let _ = done.send(finished);
}

/// The settler.
fn settle(db: &DynaMite, done: &Receiver<Finished>, unsettled: &AtomicUsize) {
    while let Ok(first) = done.recv() {
        let mut batch = vec![first];
        batch.extend(done.try_iter());
        let count = batch.len();
        let settled =
            batch.iter().map(|finished| finished.pending).max().map_or(Ok(()), |last| db.settle(last));
        batch.into_iter().for_each(|finished| tell(settled.clone(), finished));
        unsettled.fetch_sub(count, Ordering::AcqRel);
    }
}

fn tell(settled: dynamite_core::error::Result<()>, finished: Finished) {
    let answer = settled.map_err(Failure::from).and(finished.answer);
    // Who has gone away is told nothing.
    let _ = finished.tell.send(answer);
}
