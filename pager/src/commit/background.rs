//! The thread that looks after the size of the file: it extends and cuts the file between commits. Started when there is first
//! something to do, joined when the pager is closed.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use crate::commit::growth::Growth;
use crate::sync::Mutex;

/// Runs [`Growth::maintain`] when asked to.
#[derive(Debug)]
pub(crate) struct Background {
    growth: Arc<Growth>,
    /// Whether to start a thread at all. Without one the owner calls [`Growth::maintain`] when it likes.
    enabled: bool,
    worker: Mutex<Option<Worker>>,
}

#[derive(Debug)]
struct Worker {
    /// One pending request is enough: a run looks at everything.
    requests: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Background {
    pub(crate) fn new(growth: Arc<Growth>, enabled: bool) -> Background {
        Background { growth, enabled, worker: Mutex::new(None) }
    }

    /// Asks for a run. Never blocks for long.
    pub(crate) fn request(&self) {
        if !self.enabled {
            return;
        }
        let mut worker = self.worker.lock();
        if worker.is_none() {
            *worker = self.start();
        }
        if let Some(running) = &*worker
            && let Err(TrySendError::Disconnected(())) = running.requests.try_send(())
        {
            // The thread has panicked; the next request starts another.
            *worker = None;
        }
    }

    fn start(&self) -> Option<Worker> {
        let (requests, inbox) = sync_channel(1);
        let growth = self.growth.clone();
        let work = move || inbox.into_iter().for_each(|()| growth.maintain());
        match std::thread::Builder::new().name("dynamite-growth".into()).spawn(work) {
            Ok(thread) => Some(Worker { requests, thread }),
            Err(error) => {
                tracing::warn!(%error, "no background thread; the file grows when it is needed");
                None
            }
        }
    }

    /// Ends the thread and waits for what it is doing.
    pub(crate) fn stop(&self) {
        if let Some(Worker { requests, thread }) = self.worker.lock().take() {
            drop(requests);
            // A panic in it has been reported by the panic hook and harms nothing here.
            let _ = thread.join();
        }
    }
}
