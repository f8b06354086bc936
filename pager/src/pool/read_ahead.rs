//! Read-ahead: threads that bring in pages before they are asked for.
//!
//! A request outlives the call that makes it, and often the operation too. So it has an epoch slot of its own, which
//! inherits the operation epoch of the operation: the page ids in it are not given out again before it is done.
//! What it reads passes the same checks, and goes the same way, as what is read on demand ([`crate::pool::read_many`]).
//!
//! Nothing here may slow down those who read on demand. A request never waits; when too much is queued it is dropped. There are
//! two threads, so that the device works on one request while the pages of another are verified; what is asked for at once is
//! cut into requests of a batch each, so that both have some. They begin with the first request, and end with the pool. Should
//! one die, requests are dropped from then on.
//!
//! A scan that comes to a page before the threads do [takes its request over](ReadAhead::take_over): to read that page alone
//! would take nearly as long as to read them all, and the next one would be missing again.
//!
//! Frames are [evicted](crate::pool::reserve::Reserve::stock) when pages are asked for, for a batch more than that, and so are
//! free when their turn comes. Who evicts what he needs at once finds it in limbo: the scan is still in the epoch before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::format::page_id::PagePtr;
use crate::pool::buffer_pool::Shared;
use crate::pool::epoch::{Epochs, Slot};
use crate::pool::operation::Operation;
use crate::pool::read_many::{BATCH, Purpose};
use crate::sync::{Condvar, Mutex};

/// Pages in the queue, at the most.
const QUEUED_PAGES: usize = 1024;
/// Requests in the queue, at the most. Each one has a slot, which every scan of the epochs looks at.
const QUEUED_REQUESTS: usize = 64;

/// The threads, by their names.
const THREADS: [&str; 2] = ["dynamite-ahead", "dynamite-ahead2"];

/// The queue, and its threads.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    requests: VecDeque<Request>,
    pages: usize,
    threads: Vec<JoinHandle<()>>,
    /// The pool is going, or a thread is gone. No requests are taken.
    closed: bool,
}

/// Pages to be read, a batch at the most, in the order of their ids.
#[derive(Debug)]
pub(crate) struct Request {
    ptrs: Vec<PagePtr>,
    epoch: HeldEpoch,
}

/// The operation epoch of a request, left when dropped.
#[derive(Debug)]
struct HeldEpoch {
    epochs: Arc<Epochs>,
    /// `Some` until an operation carries on with it.
    slot: Option<Arc<Slot>>,
}

impl ReadAhead {
    pub(crate) fn new() -> ReadAhead {
        ReadAhead { queue: Mutex::default(), changed: Condvar::new() }
    }

    /// Queues what there is room for. `operation` is the slot of the operation that asks.
    pub(crate) fn request(&self, pool: &Arc<Shared>, operation: &Slot, ptrs: impl Iterator<Item = PagePtr>) {
        let mut queue = self.queue.lock();
        // In a small pool what is read far ahead would be evicted before it is wanted.
        let room = QUEUED_PAGES.min(pool.frames.count() / 4).saturating_sub(queue.pages);
        if queue.closed || room == 0 || queue.requests.len() == QUEUED_REQUESTS {
            return;
        }
        if queue.threads.is_empty() {
            for name in THREADS {
                let pool = pool.clone();
                match std::thread::Builder::new().name(name.into()).spawn(move || run(&pool)) {
                    Ok(thread) => queue.threads.push(thread),
                    // One will do.
                    Err(error) => tracing::warn!(%error, "a thread of the read-ahead cannot be started"),
                }
            }
            if queue.threads.is_empty() {
                // Reads still work, one by one.
                queue.closed = true;
                return;
            }
        }
        let mut ptrs: Vec<_> = ptrs.take(room).collect();
        ptrs.sort_unstable_by_key(|ptr| ptr.id);
        ptrs.dedup_by_key(|ptr| ptr.id);
        for ptrs in ptrs.chunks(BATCH).take(QUEUED_REQUESTS - queue.requests.len()) {
            queue.pages += ptrs.len();
            let slot = Some(pool.epochs.lease_heir(operation));
            let epoch = HeldEpoch { epochs: pool.epochs.clone(), slot };
            queue.requests.push_back(Request { ptrs: ptrs.to_vec(), epoch });
            self.changed.notify_one();
        }
        let soon = (queue.pages + BATCH).min(pool.ahead_most());
        drop(queue);
        pool.reserve.stock(soon, &pool.epochs, |hand, wanted| pool.evict(hand, wanted));
    }

    /// Takes the request for a page out of the queue, if none of the threads has.
    pub(crate) fn take_over(&self, ptr: PagePtr) -> Option<Request> {
        let mut queue = self.queue.lock();
        let asks = |request: &Request| request.ptrs.binary_search_by_key(&ptr.id, |ptr| ptr.id).is_ok();
        let place = queue.requests.iter().position(asks)?;
        let request = queue.requests.remove(place)?;
        queue.pages -= request.ptrs.len();
        Some(request)
    }

    /// Drops all requests, and waits for the threads to end.
    pub(crate) fn stop(&self) {
        for thread in self.close() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }

    fn close(&self) -> Vec<JoinHandle<()>> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.pages = 0;
        queue.requests.clear();
        self.changed.notify_all();
        std::mem::take(&mut queue.threads)
    }

    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// Waits for a request. `None` when no more will come.
    fn next(&self) -> Option<Request> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(request) = queue.requests.pop_front() {
                queue.pages -= request.ptrs.len();
                return Some(request);
            }
            if queue.closed {
                return None;
            }
            queue = self.changed.wait(queue);
        }
    }
}

/// What each thread does.
fn run(pool: &Arc<Shared>) {
    /// Leaves no request behind whose epoch would be held for ever.
    struct Close<'a>(&'a ReadAhead);
    impl Drop for Close<'_> {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    let _close = Close(&pool.read_ahead);
    while let Some(request) = pool.read_ahead.next() {
        request.serve(pool);
    }
}

impl Request {
    /// Reads the pages. The caller is in no frame epoch.
    pub(crate) fn serve(mut self, pool: &Arc<Shared>) {
        let Some(slot) = self.epoch.slot.take() else { return };
        let mut operation = Operation::inherit(pool, slot);
        let mut rest = &self.ptrs[..];
        // Whoever needs a page that cannot be read meets the same error. A batch ends where there are no more frames; some may
        // be there when it has been read.
        while let Ok(loaded) = operation.load_batch(rest, Purpose::ReadAhead)
            && let Some((last, _)) = loaded.last()
        {
            rest = &rest[rest.partition_point(|ptr| ptr.id <= last.id)..];
        }
    }
}

impl Drop for HeldEpoch {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.leave();
            self.epochs.give_back(slot);
        }
    }
}
