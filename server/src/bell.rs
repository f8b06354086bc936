//! A bell: wakes whoever waits for what is done elsewhere, once.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Wakes who listened.
type Wake = Box<dyn FnOnce() + Send>;

/// Rung by who works, heard by who tells of it.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Silent,
    /// Rung when nobody listened: whoever listens next is woken at once.
    Rung,
    Listening(Wake),
}

impl Bell {
    /// Wakes who listens, or who does next.
    pub(crate) fn ring(&self) {
        let mut state = self.state();
        let before = std::mem::replace(&mut *state, State::Silent);
        let State::Listening(wake) = before else {
            *state = State::Rung;
            return;
        };
        drop(state);
        wake();
    }

    /// Has `wake` called when it rings, or at once if it has rung since it was last heard.
    pub(crate) fn listen(&self, wake: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if matches!(*state, State::Rung) {
            *state = State::Silent;
            drop(state);
            wake();
        } else {
            *state = State::Listening(Box::new(wake));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn each_ring_is_heard_once_whether_or_not_somebody_listened_already() {
        let bell = Bell::default();
        let heard = Arc::new(AtomicU32::new(0));
        let listen = || {
            let heard = heard.clone();
            bell.listen(move || {
                heard.fetch_add(1, Ordering::Relaxed);
            });
        };
        let count = || heard.load(Ordering::Relaxed);
        listen();
        assert_eq!(count(), 0);
        bell.ring();
        assert_eq!(count(), 1);
        // Rung twice while nobody listens: there is something to look at, not how often.
        bell.ring();
        bell.ring();
        listen();
        assert_eq!(count(), 2);
        listen();
        assert_eq!(count(), 2, "that was heard");
        bell.ring();
        assert_eq!(count(), 3);
    }
}
