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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether to start a thread at all. Without one the owner calls [`Growth::maintain`] when it likes. Not after a
    /// [stop](Background::stop), since the file is given free then.
    enabled: bool,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    /// One pending request is enough: a run looks at everything.
    requests: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Background {
    pub(crate) fn new(growth: Arc<Growth>, enabled: bool) -> Background {
        Background { growth, state: Mutex::new(State { enabled, worker: None }) }
    }

    /// Asks for a run. Never blocks for long.
    pub(crate) fn request(&self) {
        let mut state = self.state.lock();
        if !state.enabled {
            return;
        }
        if state.worker.is_none() {
            state.worker = self.start();
        }
        if let Some(running) = &state.worker
            && let Err(TrySendError::Disconnected(())) = running.requests.try_send(())
        {
            // The thread has panicked; the next request starts another.
            state.worker = None;
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

    /// Ends the thread, for good, and waits for what it is doing.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.enabled = false;
        let worker = state.worker.take();
        drop(state);
        if let Some(Worker { requests, thread }) = worker {
            drop(requests);
            // A panic in it has been reported by the panic hook and harms nothing here.
            let _ = thread.join();
        }
    }
}
