//! Writing behind: the pages that a large batch is done with go to the device while the batch goes on.
//!
//! A batch of more pages than a manifest names needs two flushes whenever its pages are written, so nothing is lost by writing some of them
//! before its end; and the device, and a second processor, work meanwhile. One thread does it, started by the first batch that is large
//! enough, joined when the pager is closed. Where there is none, the batch writes by itself at once.
//!
//! # Invariants
//!
//! 1. Nobody but the open batch hands pages over, and it neither ends nor writes anything itself before all of them [are
//!    written](WriteBehind::settle): no flush is issued, and no page given out again, while a write is under way.
//! 2. A page that was handed over is immutable, and stays in the pool until it is on disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::commit::write_state::Core;
use crate::error::{IoOperation, PagerError, Result};
use crate::pool::dirty_frame::PinnedFrame;
use crate::sync::Mutex;

/// Handfuls that are with the thread at a time: one that is written, and one that waits.
const AHEAD: usize = 2;

/// Writes pages for the open batch.
#[derive(Debug)]
pub(crate) struct WriteBehind {
    core: Arc<Core>,
    /// Whether to start a thread at all.
    enabled: bool,
    /// Touched by the open batch, and by whoever closes the pager.
    worker: Mutex<Option<Worker>>,
}

#[derive(Debug)]
struct Worker {
    handfuls: SyncSender<Vec<PinnedFrame>>,
    outcomes: Receiver<Result<()>>,
    /// Handfuls whose outcome was not looked at.
    under_way: usize,
    thread: JoinHandle<()>,
}

impl WriteBehind {
    pub(crate) fn new(core: Arc<Core>, enabled: bool) -> WriteBehind {
        WriteBehind { core, enabled, worker: Mutex::new(None) }
    }

    /// Has pages written, in the order of their ids. Waits while enough of them are under way. Returns the failure of any that were handed
    /// over since [`settle`](Self::settle); the caller poisons the handle then.
    pub(crate) fn hand_over(&self, mut pages: Vec<PinnedFrame>) -> Result<()> {
        if pages.is_empty() {
            return Ok(());
        }
        pages.sort_unstable_by_key(|page| page.ptr().id);
        let mut worker = self.worker.lock();
        if worker.is_none() && self.enabled {
            *worker = self.start();
        }
        let Some(worker) = &mut *worker else { return write(&self.core, pages) };
        if worker.under_way == AHEAD
            && let Err(error) = self.outcome(worker)
        {
            pages.into_iter().for_each(PinnedFrame::forget);
            return Err(error);
        }
        // Its thread ends no sooner than this sender, but by a panic, which the next outcome tells.
        worker.under_way += 1;
        match worker.handfuls.send(pages) {
            Ok(()) => Ok(()),
            Err(unsent) => {
                unsent.0.into_iter().for_each(PinnedFrame::forget);
                self.outcome(worker)
            }
        }
    }

    /// Waits until everything that was handed over is written. Costs nothing if nothing was.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut settled = Ok(());
        if let Some(worker) = &mut *self.worker.lock() {
            while worker.under_way > 0 {
                settled = settled.and(self.outcome(worker));
            }
        }
        settled
    }

    /// Ends the thread. No batch is open.
    pub(crate) fn stop(&self) {
        if let Some(Worker { handfuls, thread, .. }) = self.worker.lock().take() {
            drop(handfuls);
            // A panic in it has been told to the batch that waited for it.
            let _ = thread.join();
        }
    }

    fn outcome(&self, worker: &mut Worker) -> Result<()> {
        worker.under_way -= 1;
        worker.outcomes.recv().unwrap_or_else(|_| {
            let panicked = std::io::Error::other("the thread that writes behind has panicked");
            Err(self.core.context.io(IoOperation::WriteBatch, panicked))
        })
    }

    fn start(&self) -> Option<Worker> {
        let (handfuls, inbox) = sync_channel::<Vec<PinnedFrame>>(AHEAD);
        let (outbox, outcomes) = sync_channel(AHEAD);
        let core = self.core.clone();
        let work = move || {
            for pages in inbox {
                if outbox.send(write(&core, pages)).is_err() {
                    break;
                }
            }
        };
        match std::thread::Builder::new().name("dynamite-behind".into()).spawn(work) {
            Ok(thread) => Some(Worker { handfuls, outcomes, under_way: 0, thread }),
            Err(error) => {
                tracing::warn!(%error, "no thread that writes behind; large batches write when they must");
                None
            }
        }
    }
}

/// Writes pages that then may leave the pool; those that could not be written are gone.
fn write(core: &Core, mut pages: Vec<PinnedFrame>) -> Result<(), PagerError> {
    core.write_early(&mut pages).inspect_err(|_| pages.into_iter().for_each(PinnedFrame::forget))
}
