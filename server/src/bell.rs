//! A bell: wakes a stream that waits for what is done elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::engine::Engine;
use crate::flow::Flow;

/// Rung by who works, heard by the stream that tells of it.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Rung when nobody waited: whoever waits next is woken at once.
    rung: bool,
    waiting: Option<(Weak<Flow>, Arc<Engine>)>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let mut state = self.state();
        let waiting = state.waiting.take();
        state.rung = waiting.is_none();
        drop(state);
        if let Some((flow, engine)) = waiting.and_then(|(flow, engine)| Some((flow.upgrade()?, engine))) {
            Flow::hear(&flow, &engine);
        }
    }

    /// Wakes the stream when it rings, or at once if it rang since the stream looked.
    pub(crate) fn listen(&self, engine: &Arc<Engine>, flow: &Arc<Flow>) {
        let mut state = self.state();
        if std::mem::take(&mut state.rung) {
            drop(state);
            return Flow::hear(flow, engine);
        }
        state.waiting = Some((Arc::downgrade(flow), engine.clone()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
