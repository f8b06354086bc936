//! What is to be sent over a connection, by whoever has something to send.
//!
//! Frames go out on the thread that made them, as long as the socket takes them: no other thread has to wake up for an answer. What
//! the socket does not take stays here, and the connection's own task sends it when there is room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::socket::Socket;

/// A buffer that is larger is given back when it is empty.
const KEPT: usize = 64 << 10;

/// The sending half of a connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    socket: Arc<Socket>,
    state: Mutex<State>,
    /// Wakes the connection's task.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What the socket has not taken yet, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    closed: bool,
}

impl Outbox {
    pub(crate) fn new(socket: Arc<Socket>) -> Outbox {
        Outbox { socket, state: Mutex::default(), wake: Notify::new() }
    }

    /// Sends whole frames, now or as soon as there is room. Returns whether the connection is still there.
    pub(crate) fn send(&self, frames: &[u8]) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        let mut rest = frames;
        if state.unsent.is_empty() {
            match self.socket.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(_) => state.closed = true,
            }
        }
        if rest.is_empty() {
            return true;
        }
        let is_open = !state.closed;
        if is_open {
            state.unsent.extend_from_slice(rest);
        }
        drop(state);
        self.wake();
        is_open
    }

    /// Leaves whole frames for the connection's task to send, together with those that come before it does. Returns whether the
    /// connection is still there.
    pub(crate) fn leave(&self, frames: &[u8]) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        let is_first = state.unsent.is_empty();
        state.unsent.extend_from_slice(frames);
        drop(state);
        if is_first {
            self.wake();
        }
        true
    }

    /// Sends what there is, as far as the socket takes it.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        if state.unsent.is_empty() {
            return;
        }
        match self.socket.write(&state.unsent[state.sent..]) {
            Ok(written) => state.sent += written,
            // Nobody will read the rest.
            Err(_) => {
                state.closed = true;
                state.sent = state.unsent.len();
            }
        }
        if state.sent == state.unsent.len() {
            state.sent = 0;
            state.unsent.clear();
            state.unsent.shrink_to(KEPT);
        }
    }

    /// Bytes that were not sent yet.
    pub(crate) fn unsent(&self) -> usize {
        let state = self.state();
        state.unsent.len() - state.sent
    }

    /// Nothing is sent any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.sent = 0;
        state.unsent = Vec::new();
        drop(state);
        self.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Waits until the socket takes more.
    pub(crate) async fn writable(&self) {
        self.socket.writable().await;
    }

    /// Waits until there is something to look at.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Frames are added whole; whoever panics, panics elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
