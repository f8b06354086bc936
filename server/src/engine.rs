//! The database, and the threads that work on it: never those of tokio, which have the connections to look after.
//!
//! | threads | work | why |
//! |---|---|---|
//! | some readers | reads | one that misses the cache waits for the disk, and nobody else for it |
//! | one writer | writes, one after the other | the engine has one write transaction at a time anyway |
//! | one settler | waits until writes are durable, and answers | while it waits, the writer goes on: all that it does meanwhile shares the next flush |
//! | a few for what is slow | tables, backups, waiting for an index | they may take as long as they like |
//!
//! A get whose pages are in the cache takes less time than handing it to another thread, so it is done where its request arrives. Whether
//! they are is not known before; so as soon as one takes long, those after it go to the readers for a while.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dynamite_core::api::{DynaMite, Pending};

use crate::dispatch;
use crate::extension::Extension;
use crate::frame::Identity;
use crate::link::{self, Link, weight};
use crate::news::News;
use crate::protocol::Asked;
use crate::protocol::fault::{Failure, Refusal};
use crate::queue::FairQueue;
use crate::stats::ServerStats;

/// A get that takes longer has waited for the disk.
const LONG: Duration = Duration::from_micros(100);

/// Gets that go to the readers after one that took long.
const COLD_GETS: u32 = 128;

/// Threads for what is slow.
const SLOW_THREADS: usize = 4;

/// Work on the database.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// The database and its threads.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) db: DynaMite,
    extension: Option<Arc<dyn Extension>>,
    pub(crate) identity: Identity,
    pub(crate) counters: Counters,
    pub(crate) reads: FairQueue<Task>,
    pub(crate) slow: FairQueue<Task>,
    pub(crate) news: News,
    writes: FairQueue<Write>,
    done: Done,
    cold_gets: AtomicU32,
    begun: Instant,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_total: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// A request for a write.
struct Write {
    link: Arc<Link>,
    asked: Asked,
    id: u64,
    body: Vec<u8>,
}

/// A write that is done, but perhaps not durable.
struct Finished {
    link: Arc<Link>,
    asked: Asked,
    id: u64,
    frames: Vec<u8>,
    pending: Pending,
}

/// Writes that are done, in their order.
#[derive(Default)]
struct Done {
    state: Mutex<(Vec<Finished>, bool)>,
    more: Condvar,
}

impl Engine {
    pub(crate) fn start(
        db: DynaMite,
        readers: usize,
        extension: Option<Arc<dyn Extension>>,
    ) -> std::io::Result<Arc<Engine>> {
        let mut drawn = [0; 8];
        getrandom::fill(&mut drawn).map_err(std::io::Error::other)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let identity = Identity { database: db.database_id(), server: u64::from_le_bytes(drawn), version };
        let engine = Arc::new(Engine {
            db,
            extension,
            identity,
            counters: Counters::default(),
            reads: FairQueue::new(),
            slow: FairQueue::new(),
            news: News::default(),
            writes: FairQueue::new(),
            done: Done::default(),
            cold_gets: AtomicU32::new(0),
            begun: Instant::now(),
            threads: Mutex::default(),
        });
        for _ in 0..readers {
            engine.spawn("dynamite-read", |engine| run(&engine.reads))?;
        }
        for _ in 0..SLOW_THREADS {
            engine.spawn("dynamite-slow", |engine| run(&engine.slow))?;
        }
        engine.spawn("dynamite-write", write)?;
        engine.spawn("dynamite-settle", settle)?;
        Ok(engine)
    }

    fn spawn(self: &Arc<Engine>, name: &str, work: fn(&Arc<Engine>)) -> std::io::Result<()> {
        let engine = self.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || work(&engine))?;
        self.keep(thread);
        Ok(())
    }

    /// What the server can do besides.
    pub(crate) fn extension(&self) -> Result<&dyn Extension, Refusal> {
        self.extension.as_deref().ok_or(Refusal::NotExtended)
    }

    /// Waits for a thread at the end.
    pub(crate) fn keep(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// Whether a get may be done where its request arrived.
    pub(crate) fn is_warm(&self) -> bool {
        let cold = self.cold_gets.load(Ordering::Relaxed);
        if cold > 0 {
            // It does not matter if two threads count the same get.
            self.cold_gets.store(cold - 1, Ordering::Relaxed);
        }
        cold == 0
    }

    /// A get was done where its request arrived.
    pub(crate) fn took(&self, time: Duration) {
        if time > LONG {
            self.cold_gets.store(COLD_GETS, Ordering::Relaxed);
        }
    }

    /// Takes a request for a write.
    pub(crate) fn write(&self, link: &Arc<Link>, asked: Asked, id: u64, body: &[u8]) {
        let write = Write { link: link.clone(), asked, id, body: body.to_vec() };
        self.writes.push(link.number, write);
    }

    /// Does what was asked for, and ends the threads.
    pub(crate) fn stop(&self) {
        self.news.stop();
        self.reads.close();
        self.slow.close();
        self.writes.close();
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            // It ends only by returning: panics in it were caught.
            let _ = thread.join();
        }
    }

    pub(crate) fn stats(&self) -> ServerStats {
        let (engine, counters) = (self.db.stats(), &self.counters);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerStats {
            connections: count(&counters.connections),
            connections_total: count(&counters.connections_total),
            requests: count(&counters.requests),
            refused: count(&counters.refused),
            uptime_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            cache_bytes: engine.frames as u64 * 4096,
            hits: engine.hits,
            misses: engine.misses,
            pages_written: engine.pages_written,
            flushes: engine.flushes,
            commits: engine.commits,
            page_count: engine.page_count,
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(queue: &FairQueue<Task>) {
    while let Some(task) = queue.pop() {
        task();
    }
}

/// The writer.
fn write(engine: &Arc<Engine>) {
    let deferred = engine.db.deferred();
    while let Some(Write { link, asked, id, body }) = engine.writes.pop() {
        let mut frames = Vec::new();
        if let Err(fault) = dispatch::write(engine, &deferred, asked, id, &body, &mut frames) {
            link.refuse(fault);
        }
        engine.done.push(Finished { link, asked, id, frames, pending: deferred.pending() });
    }
    engine.done.close();
}

/// The settler.
fn settle(engine: &Arc<Engine>) {
    while let Some(mut batch) = engine.done.take() {
        let last = batch.iter().map(|finished| finished.pending).max();
        let settled = last.map_or(Ok(()), |pending| engine.db.settle(pending));
        // One write for all answers of a connection, which stay in their order.
        batch.sort_by_key(|finished| finished.link.number);
        let mut frames = Vec::new();
        for same in batch.chunk_by(|a, b| a.link.number == b.link.number) {
            frames.clear();
            for finished in same {
                match &settled {
                    Ok(()) => frames.extend_from_slice(&finished.frames),
                    Err(error) => {
                        link::put_failure(&mut frames, finished.id, Failure::Database(error.clone()));
                    }
                }
            }
            same[0].link.outbox.send(&frames);
            same.iter().for_each(|finished| finished.link.end(weight(finished.asked.code)));
        }
    }
}

impl Done {
    fn push(&self, finished: Finished) {
        self.state().0.push(finished);
        self.more.notify_one();
    }

    fn close(&self) {
        self.state().1 = true;
        self.more.notify_one();
    }

    /// All that there is, when there is something. `None` when no more will come.
    fn take(&self) -> Option<Vec<Finished>> {
        let nothing = |(finished, closed): &mut (Vec<Finished>, bool)| finished.is_empty() && !*closed;
        let mut state = self.more.wait_while(self.state(), nothing).unwrap_or_else(PoisonError::into_inner);
        let batch = std::mem::take(&mut state.0);
        (!batch.is_empty()).then_some(batch)
    }

    fn state(&self) -> MutexGuard<'_, (Vec<Finished>, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Done").finish_non_exhaustive()
    }
}
