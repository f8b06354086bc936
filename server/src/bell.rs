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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use dynamite_core::api::DynaMite;

    use super::*;
    use crate::flow::{Next, Source};
    use crate::frame::{self, Kind};
    use crate::link::Link;
    use crate::outbox::Outbox;
    use crate::protocol::fault::Failure;

    /// Has nothing to say so often, and is rung for in the moment between its look and its waiting.
    struct Rung {
        bell: Arc<Bell>,
        left: u32,
    }

    impl Source for Rung {
        fn next(&mut self, _: &Engine, _: &mut Vec<u8>) -> Result<Next, Failure> {
            if self.left == 0 {
                return Ok(Next::End);
            }
            self.left -= 1;
            self.bell.ring();
            Ok(Next::WhenRung(self.bell.clone()))
        }
    }

    #[test]
    fn a_bell_that_rings_before_it_is_listened_for_is_heard() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (_, writer) = tokio::net::UnixStream::from_std(ours).unwrap().into_split();
        let link = Arc::new(Link::new(1, Outbox::new(writer)));
        let engine = Engine::start(DynaMite::in_memory().unwrap(), 1, None).unwrap();
        let bell = Arc::new(Bell::default());
        let flow = Flow::new(7, link.clone(), Box::new(Rung { bell, left: 3 }));
        link.add_flow(flow.clone()).unwrap();
        Flow::grant(&flow, &engine, 1);
        let mut answer = [0; frame::HEADER];
        theirs.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        theirs.read_exact(&mut answer).unwrap();
        assert_eq!((answer[4], answer[5]), (Kind::Answer as u8, 7));
        engine.stop();
    }
}
