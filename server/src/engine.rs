//! The database, and the threads that work on it: never those of tokio, which have the connections to look after.
//!
//! | threads | work | why |
//! |---|---|---|
//! | some readers | reads | one that misses the cache waits for the disk, and nobody else for it |
//! | one writer and one settler | writes, and waiting until they are durable | see [`writes`](crate::writes) |
//! | a few for what is slow | tables, backups, waiting for an index | they may take as long as they like |
//!
//! A get whose pages are in the cache is done where its request arrives, see [`warmth`](crate::warmth).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use dynamite_core::api::{Deferred, DynaMite};

use crate::dispatch;
use crate::extension::Extension;
use crate::frame::Identity;
use crate::link::{self, Link, load};
use crate::news::News;
use crate::protocol::Asked;
use crate::protocol::fault::Refusal;
use crate::queue::FairQueue;
use crate::stats::ServerStats;
use crate::warmth::Warmth;
use crate::writes::Writes;

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
    pub(crate) writes: Arc<Writes>,
    pub(crate) warmth: Warmth,
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

impl Engine {
    /// An engine that does nothing but write.
    pub(crate) fn new(db: DynaMite, extension: Option<Arc<dyn Extension>>) -> std::io::Result<Engine> {
        let writes = Arc::new(Writes::start(&db)?);
        Engine::writing_by(writes, db, extension)
    }

    fn writing_by(
        writes: Arc<Writes>,
        db: DynaMite,
        extension: Option<Arc<dyn Extension>>,
    ) -> std::io::Result<Engine> {
        let mut drawn = [0; 8];
        getrandom::fill(&mut drawn).map_err(std::io::Error::other)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let identity = Identity { database: db.database_id(), server: u64::from_le_bytes(drawn), version };
        Ok(Engine {
            db,
            extension,
            identity,
            counters: Counters::default(),
            reads: FairQueue::default(),
            slow: FairQueue::default(),
            news: News::default(),
            writes,
            warmth: Warmth::default(),
            begun: Instant::now(),
            threads: Mutex::default(),
        })
    }

    /// Starts the other threads. They end when it is told to [`stop`](Engine::stop), also if one cannot be started.
    pub(crate) fn start(self: &Arc<Engine>, readers: usize) -> std::io::Result<()> {
        for _ in 0..readers {
            self.spawn("dynamite-read", |engine| run(&engine.reads))?;
        }
        for _ in 0..SLOW_THREADS {
            self.spawn("dynamite-slow", |engine| run(&engine.slow))?;
        }
        Ok(())
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

    /// Takes a request for a write.
    pub(crate) fn write(self: &Arc<Engine>, link: &Arc<Link>, asked: Asked, id: u64, body: &[u8]) {
        let load = load(asked.code, body);
        let (engine, body) = (self.clone(), body.to_vec());
        let write = move |target: &Deferred<'_>| {
            let mut frames = Vec::new();
            let written = dispatch::write(&engine, target, asked, id, &body, &mut frames);
            written.map(|()| frames)
        };
        let told = link.clone();
        self.writes.push(link.number, write, move |written, answers| {
            match written {
                Ok(Ok(frames)) => answers.frames.extend_from_slice(&frames),
                Ok(Err(fault)) => told.refuse(fault),
                Err(lost) => link::put_failure(&mut answers.frames, id, lost.into()),
            }
            if answers.is_last {
                told.outbox.send(&answers.frames);
            }
            told.end(load);
        });
    }

    /// Does what was asked for, and ends the threads.
    pub(crate) fn stop(&self) {
        self.news.stop();
        self.reads.close();
        self.slow.close();
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            // It ends only by returning: panics in it were caught.
            let _ = thread.join();
        }
        self.writes.stop();
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

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc::channel;

    use dynamite_core::api::Pending;
    use dynamite_core::error::{Error, Invalid, Result};
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    use super::*;
    use crate::frame::{self, Frame, Kind};
    use crate::outbox::Outbox;
    use crate::protocol::fault::{Failure, Fault};
    use crate::protocol::{self, Code, operation};
    use crate::socket::Socket;

    /// An engine without readers, a connection, and its other end.
    pub(crate) fn connected(
        settle: impl Fn(Pending) -> Result<()> + Clone + Send + 'static,
    ) -> (Arc<Engine>, Arc<Link>, UnixStream) {
        let db = DynaMite::in_memory().unwrap();
        let writes = Arc::new(Writes::settled_by(&db, settle).unwrap());
        let engine = Arc::new(Engine::writing_by(writes, db, None).unwrap());
        let (near, far) = UnixStream::pair().unwrap();
        let outbox = Outbox::new(Arc::new(Socket::new(near.into_std().unwrap()).unwrap()));
        let link = Arc::new(Link::new(engine.writes.new_connection(), outbox));
        (engine, link, far)
    }

    /// What is made of each frame that came until the connection was closed.
    pub(crate) async fn received<T>(mut far: UnixStream, make: impl Fn(Frame<'_>) -> T) -> Vec<T> {
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.unwrap();
        let (mut made, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let (frame, len) = frame::split(rest).unwrap().expect("the last frame is whole");
            made.push(make(frame));
            rest = &rest[len..];
        }
        made
    }

    /// The kinds of the frames that came, all of one request.
    pub(crate) async fn kinds(far: UnixStream, id: u64) -> Vec<Kind> {
        let kind = |frame: Frame<'_>| {
            assert_eq!(frame.id, id);
            frame.kind
        };
        received(far, kind).await
    }

    /// Puts no item, which is refused.
    fn put(engine: &Arc<Engine>, link: &Arc<Link>, id: u64) {
        let put = operation::Put {
            table: "things".into(),
            item: None,
            expected: None,
            terms: None,
            return_old: false,
        };
        let mut body = Vec::new();
        protocol::encode(&put, &mut body).unwrap();
        write(engine, link, id, &body);
    }

    fn write(engine: &Arc<Engine>, link: &Arc<Link>, id: u64, body: &[u8]) {
        let asked = Asked { code: Code::Put, counted: false };
        link.begin(load(asked.code, body));
        engine.write(link, asked, id, body);
    }

    /// All that is told, each an error, once the engine has stopped.
    async fn told(engine: &Engine, link: Arc<Link>, far: UnixStream) -> Vec<(u64, Failure)> {
        engine.stop();
        assert!(link.is_idle(), "all is told");
        drop(link);
        let told = received(far, |frame| {
            assert_eq!(frame.kind, Kind::Error);
            (frame.id, protocol::decode::<Fault<'_>>(frame.body).unwrap().into_failure())
        });
        told.await
    }

    #[tokio::test]
    async fn each_write_of_a_batch_is_answered_once_and_in_order() {
        let (begin, begun) = channel();
        let (go_on, wait) = channel();
        let wait = Arc::new(Mutex::new(wait));
        let (engine, link, far) = connected(move |_| {
            let _ = begin.send(());
            // Without the other end all is settled at once.
            let _ = wait.lock().unwrap().recv();
            Ok(())
        });
        put(&engine, &link, 1);
        begun.recv().unwrap();
        (2..=5).for_each(|id| put(&engine, &link, id));
        let (done, all_done) = channel();
        go_on.send(()).unwrap();
        begun.recv().unwrap();
        // While one is settled, or a few are, all others are written.
        engine.writes.push(link.number + 1, move |_| done.send(()).unwrap(), |_, _| ());
        all_done.recv().unwrap();
        drop(go_on);
        let told = told(&engine, link, far).await;
        let is_known =
            |failure: &Failure| matches!(failure, Failure::Database(Error::Validation(Invalid::NoItem)));
        assert!(told.iter().all(|(_, failure)| is_known(failure)), "{told:?}");
        assert_eq!(told.iter().map(|&(id, _)| id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn a_write_that_does_not_become_durable_is_answered_with_the_failure() {
        let (engine, link, far) = connected(|_| Err(Error::Cancelled));
        put(&engine, &link, 1);
        let told = told(&engine, link, far).await;
        assert!(matches!(told[..], [(1, Failure::Database(Error::Cancelled))]), "{told:?}");

        let (engine, link, far) = connected(|_| panic!("a bug, as it should be"));
        put(&engine, &link, 1);
        let told = self::told(&engine, link, far).await;
        let [(1, Failure::Refused(Refusal::Panicked { text }))] = &told[..] else { panic!("{told:?}") };
        assert_eq!(text, "a bug, as it should be");
    }

    #[tokio::test]
    async fn a_write_that_cannot_be_read_ends_the_connection_behind_the_answers_to_those_before() {
        let (engine, link, far) = connected(|_| Ok(()));
        put(&engine, &link, 1);
        write(&engine, &link, 2, b"nonsense");
        engine.stop();
        assert!(matches!(link.fault(), Some(frame::FrameError::Body(_))), "{:?}", link.fault());
        let told = told(&engine, link, far).await;
        assert_eq!(told.iter().map(|&(id, _)| id).collect::<Vec<_>>(), [1]);
    }
}
