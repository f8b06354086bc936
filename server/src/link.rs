//! A connection, as those who work for it see it: where answers go, what is under way, and what is held for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamite_core::api::{PastTable, Snapshot};

use crate::caught::caught;
use crate::engine::Engine;
use crate::flow::Flow;
use crate::frame::{self, FrameError, Kind};
use crate::outbox::Outbox;
use crate::protocol::fault::{Failure, Fault, Refusal};
use crate::protocol::operation::Class;
use crate::protocol::{self, Code};

/// Quick work of one connection that may be under way, as [`load`] counts it. What comes on top stays in the socket.
pub(crate) const MOST_QUICK: usize = 64;

/// Slow work likewise. Of that there is so much room that it keeps nothing else from being looked at: its answers are short, and who
/// waits for an index, or for a backup, may have a lot to do meanwhile, or call that off.
pub(crate) const MOST_SLOW: usize = 256;

/// Bytes of a request for something slow that count as much as another one.
const SLOW_BODY: usize = 16 << 10;

/// Bytes of answers that may wait to be sent before a connection's next request is looked at.
pub(crate) const MOST_UNSENT: usize = 1 << 20;

/// Snapshots and streams that a connection may have open.
const MOST_OPEN: usize = 256;

/// What work counts among that of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Quick(usize),
    /// Whatever may take long, see [`Class::Slow`].
    Slow(usize),
}

/// What the work for a request counts.
pub(crate) fn load(code: Code, body: &[u8]) -> Load {
    match code {
        Code::Ping | Code::Stats | Code::Get | Code::Put | Code::Update | Code::Delete => Load::Quick(1),
        _ if code.class() == Class::Slow => Load::Slow(1 + body.len() / SLOW_BODY),
        // Their answers may have megabytes.
        _ => Load::Quick(8),
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// No other connection has the same.
    pub(crate) number: u64,
    pub(crate) outbox: Outbox,
    quick: AtomicUsize,
    slow: AtomicUsize,
    /// Whether the connection's task waits for both to fall to 0.
    draining: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<u64, View>,
    next_handle: u64,
    /// Streams that were asked for, and that nobody has come to yet.
    opening: HashSet<u64>,
    flows: HashMap<u64, Arc<Flow>>,
    /// Why the connection is to be ended.
    fault: Option<FrameError>,
}

/// A state that is held for a client.
#[derive(Clone, Debug)]
pub(crate) enum View {
    Snapshot(Snapshot),
    Past(PastTable),
}

impl Link {
    pub(crate) fn new(number: u64, outbox: Outbox) -> Link {
        Link {
            number,
            outbox,
            quick: AtomicUsize::new(0),
            slow: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Counts work that begins.
    pub(crate) fn begin(&self, load: Load) {
        match load {
            Load::Quick(load) => self.quick.fetch_add(load, Ordering::Relaxed),
            Load::Slow(load) => self.slow.fetch_add(load, Ordering::Relaxed),
        };
    }

    /// Counts work that has ended, its answer sent.
    pub(crate) fn end(&self, load: Load) {
        let was_full = match load {
            Load::Quick(load) => self.quick.fetch_sub(load, Ordering::SeqCst) >= MOST_QUICK,
            Load::Slow(load) => self.slow.fetch_sub(load, Ordering::SeqCst) >= MOST_SLOW,
        };
        if was_full || self.draining.load(Ordering::SeqCst) {
            self.outbox.wake();
        }
    }

    /// Whether the next request may be looked at.
    pub(crate) fn has_room(&self) -> bool {
        self.quick.load(Ordering::SeqCst) < MOST_QUICK
            && self.slow.load(Ordering::SeqCst) < MOST_SLOW
            && self.outbox.unsent() < MOST_UNSENT
    }

    /// Whether nothing is under way. From the first call on, the task is woken for everything that ends.
    pub(crate) fn is_idle(&self) -> bool {
        self.draining.store(true, Ordering::SeqCst);
        self.quick.load(Ordering::SeqCst) == 0 && self.slow.load(Ordering::SeqCst) == 0
    }

    /// Ends the connection, since something came over it that has no place in the protocol.
    pub(crate) fn refuse(&self, fault: FrameError) {
        self.state().fault.get_or_insert(fault);
        self.outbox.wake();
    }

    pub(crate) fn fault(&self) -> Option<FrameError> {
        self.state().fault.clone()
    }

    /// Holds a state for the client. Returns its handle.
    pub(crate) fn hold(&self, view: View) -> Result<u64, Refusal> {
        let mut state = self.state();
        state.check_room()?;
        state.next_handle += 1;
        let handle = state.next_handle;
        state.held.insert(handle, view);
        Ok(handle)
    }

    pub(crate) fn held(&self, handle: u64) -> Result<View, Refusal> {
        self.state().held.get(&handle).cloned().ok_or(Refusal::NoSuchHandle)
    }

    pub(crate) fn release(&self, handle: u64) {
        let view = self.state().held.remove(&handle);
        drop(view);
    }

    /// A stream was asked for. To be told before it is opened elsewhere, so that whoever does knows whether it is still wanted.
    pub(crate) fn expect_flow(&self, id: u64) {
        self.state().opening.insert(id);
    }

    /// Whether a stream that was asked for is still wanted.
    pub(crate) fn expects_flow(&self, id: u64) -> bool {
        self.state().opening.contains(&id)
    }

    /// A stream that was asked for is not to be expected any more.
    pub(crate) fn give_up_flow(&self, id: u64) {
        self.state().opening.remove(&id);
    }

    /// Takes up a stream, if it is still wanted. Returns whether it is.
    pub(crate) fn add_flow(&self, flow: Arc<Flow>) -> Result<bool, Refusal> {
        let mut state = self.state();
        if !state.opening.remove(&flow.id) {
            return Ok(false);
        }
        state.check_room()?;
        state.flows.insert(flow.id, flow);
        Ok(true)
    }

    /// The rest of a stream is not wanted, whether it has been opened or not.
    pub(crate) fn cancel_flow(&self, id: u64) {
        let mut state = self.state();
        state.opening.remove(&id);
        let flow = state.flows.remove(&id);
        drop(state);
        if let Some(flow) = flow {
            flow.cancel();
        }
    }

    pub(crate) fn flow(&self, id: u64) -> Option<Arc<Flow>> {
        self.state().flows.get(&id).cloned()
    }

    pub(crate) fn remove_flow(&self, id: u64) -> Option<Arc<Flow>> {
        self.state().flows.remove(&id)
    }

    /// Lets the streams go on that waited until there is room for what they send.
    pub(crate) fn resume_flows(&self, engine: &Arc<Engine>) {
        let flows = self.state().flows.values().cloned().collect::<Vec<_>>();
        flows.iter().for_each(|flow| Flow::resume(flow, engine));
    }

    /// Ends what is held for the client, and what is streamed to it.
    pub(crate) fn close(&self) {
        self.outbox.close();
        self.end_flows();
        let held = std::mem::take(&mut self.state().held);
        drop(held);
    }

    pub(crate) fn end_flows(&self) {
        let mut state = self.state();
        state.opening.clear();
        let flows = std::mem::take(&mut state.flows);
        drop(state);
        flows.into_values().for_each(|flow| flow.cancel());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_room(&self) -> Result<(), Refusal> {
        match self.held.len() + self.flows.len() < MOST_OPEN {
            true => Ok(()),
            false => Err(Refusal::TooManyOpen { most: MOST_OPEN }),
        }
    }
}

/// Appends the frame of an error.
pub(crate) fn put_failure(buffer: &mut Vec<u8>, id: u64, failure: Failure) {
    let fault = Fault::of(failure);
    let put = frame::put(buffer, Kind::Error, id, |buffer| protocol::encode(&fault, buffer));
    if put.is_err() {
        // Reasons of a transaction with an item each may be too long.
        let fault = Fault::of(Refusal::AnswerTooLarge.into());
        let put = frame::put(buffer, Kind::Error, id, |buffer| protocol::encode(&fault, buffer));
        debug_assert!(put.is_ok(), "a short body");
    }
}

/// Runs an operation, of which a panic is a failure as well.
pub(crate) fn guarded<R>(run: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    caught(run).unwrap_or_else(|panicked| Err(Refusal::from(panicked).into()))
}
