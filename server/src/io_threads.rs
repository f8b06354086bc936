//! The threads that connections are served on: one for each processor, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to when it was accepted, which is the one that has the fewest. So a thread wakes up
//! for its own connections and for nothing else. (Threads that share their work wake each other up to do so, which takes as long as
//! a request that is answered from memory.) What that gives up is little: whatever takes long is done by other threads anyway.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads of all runtimes together for what would hold connections up, as many as one runtime has by itself.
const BLOCKING: usize = 512;

/// See the [module](self). Dropping them ends what is still served.
#[derive(Debug)]
pub(crate) struct IoThreads(Vec<IoThread>);

#[derive(Debug)]
struct IoThread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// Gone when the thread is to end.
    go_on: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The place of a connection on a thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl IoThreads {
    pub(crate) fn start() -> io::Result<IoThreads> {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let blocking = BLOCKING.div_ceil(count);
        // One after the other, so that those that run end if another one cannot be started.
        let mut threads = IoThreads(Vec::with_capacity(count));
        for _ in 0..count {
            threads.0.push(IoThread::start(blocking)?);
        }
        Ok(threads)
    }

    /// A place for the next connection.
    pub(crate) fn seat(&self) -> Seat {
        let count = |thread: &&IoThread| thread.connections.load(Ordering::Relaxed);
        let thread = self.0.iter().min_by_key(count).expect("a machine has a processor");
        thread.connections.fetch_add(1, Ordering::Relaxed);
        Seat { runtime: thread.runtime.clone(), connections: thread.connections.clone() }
    }
}

impl Drop for IoThreads {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|thread| drop(thread.go_on.take()));
        for thread in &mut self.0 {
            // A panic was reported when it happened.
            let _ = thread.thread.take().map(JoinHandle::join);
        }
    }
}

impl IoThread {
    fn start(blocking: usize) -> io::Result<IoThread> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(blocking).build()?;
        let handle = runtime.handle().clone();
        let (go_on, ended) = oneshot::channel::<()>();
        let run = move || drop(runtime.block_on(ended));
        let thread = thread::Builder::new().name("dynamite-io".to_owned()).spawn(run)?;
        Ok(IoThread {
            runtime: handle,
            connections: Arc::default(),
            go_on: Some(go_on),
            thread: Some(thread),
        })
    }
}

impl Seat {
    /// The runtime of its thread.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_where_there_are_the_fewest() {
        let threads = IoThreads::start().unwrap();
        let count = threads.0.len();
        let mut seats: Vec<Seat> = (0..3 * count).map(|_| threads.seat()).collect();
        let counts = || -> Vec<usize> {
            threads.0.iter().map(|thread| thread.connections.load(Ordering::Relaxed)).collect()
        };
        assert_eq!(counts(), vec![3; count]);
        // Whichever end, the next ones come in their places.
        seats.retain(|seat| !Arc::ptr_eq(&seat.connections, &threads.0[0].connections));
        assert_eq!(counts()[0], 0);
        let next = [threads.seat(), threads.seat(), threads.seat()];
        assert_eq!(counts(), vec![3; count]);
        drop((seats, next));
        assert_eq!(counts(), vec![0; count]);
    }

    #[test]
    fn what_is_still_served_ends_with_the_threads() {
        let threads = IoThreads::start().unwrap();
        let held = Arc::new(());
        for _ in 0..2 * threads.0.len() {
            let (seat, held) = (threads.seat(), held.clone());
            seat.runtime().spawn(async move {
                std::future::pending::<()>().await;
                drop((seat, held));
            });
        }
        drop(threads);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
