//! Results that are streamed: queries and scans, change streams that are followed, and how far a backup is.
//!
//! The client grants credit for so many pages; each is a short piece of work of its own in the queue of reads, so that a long
//! result is fair to everybody else. Without credit, or as long as the client does not read what was sent, a stream costs what it
//! holds (a snapshot), and no thread.
//!
//! ```text
//!   resting ──(credit, room to send)──▶ queued ──▶ running ──▶ resting
//!      ▲                                              │  │
//!      └─(a commit, a bell)─ listening ◀─(no news)────┘  └──(end, error, cancelled)──▶ gone
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bell::Bell;
use crate::engine::Engine;
use crate::frame::{self, Kind};
use crate::link::{self, Link, MOST_UNSENT};
use crate::protocol::fault::{Failure, Refusal};
use crate::protocol::{self};

/// What the work for a page counts among that of its connection.
const WEIGHT: usize = 8;

/// Pages that may be granted and not yet sent.
const MOST_CREDIT: u32 = 1024;

/// Where pages come from.
pub(crate) trait Source: Send {
    /// Appends the body of the next page, or of the answer at the end.
    fn next(&mut self, engine: &Engine, body: &mut Vec<u8>) -> Result<Next, Failure>;
}

/// What became of that.
#[derive(Debug)]
pub(crate) enum Next {
    /// There was one.
    Page,
    /// There is none before the next commit.
    AfterCommit,
    /// There is none before this rings.
    WhenRung(Arc<Bell>),
    /// It was not a page, but the answer.
    Last,
    /// There is none, and the answer is empty.
    End,
}

/// A stream.
pub(crate) struct Flow {
    /// The request's.
    pub(crate) id: u64,
    link: Arc<Link>,
    state: Mutex<State>,
}

struct State {
    credit: u32,
    /// Where the pages come from, while it rests.
    source: Option<Box<dyn Source>>,
    listening: bool,
    cancelled: bool,
}

impl Flow {
    pub(crate) fn new(id: u64, link: Arc<Link>, source: Box<dyn Source>) -> Arc<Flow> {
        let state = State { credit: 0, source: Some(source), listening: false, cancelled: false };
        Arc::new(Flow { id, link, state: Mutex::new(state) })
    }

    /// Grants more pages.
    pub(crate) fn grant(flow: &Arc<Flow>, engine: &Arc<Engine>, pages: u32) {
        let mut state = flow.state();
        state.credit = state.credit.saturating_add(pages).min(MOST_CREDIT);
        drop(state);
        Flow::resume(flow, engine);
    }

    /// Goes on if it rests and may.
    pub(crate) fn resume(flow: &Arc<Flow>, engine: &Arc<Engine>) {
        let mut state = flow.state();
        if state.credit == 0 || state.listening || state.cancelled || flow.link.outbox.unsent() >= MOST_UNSENT
        {
            return;
        }
        let Some(source) = state.source.take() else { return };
        drop(state);
        flow.link.begin(WEIGHT);
        let (flow, engine_) = (flow.clone(), engine.clone());
        engine.reads.push(flow.link.number, Box::new(move || flow.run(source, &engine_)));
    }

    /// A commit has come, or a bell has rung, for which it may have listened.
    pub(crate) fn hear(flow: &Arc<Flow>, engine: &Arc<Engine>) {
        flow.state().listening = false;
        Flow::resume(flow, engine);
    }

    /// Ends it.
    pub(crate) fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        let source = state.source.take();
        drop(state);
        drop(source);
    }

    fn run(self: Arc<Flow>, mut source: Box<dyn Source>, engine: &Arc<Engine>) {
        let edition = engine.news.edition();
        let mut frames = Vec::new();
        let mut next = Ok(Next::End);
        let put = frame::put(&mut frames, Kind::Page, self.id, |body| {
            next = link::guarded(|| source.next(engine, body));
            Ok::<(), frame::FrameError>(())
        });
        if put.is_err() {
            next = Err(Refusal::AnswerTooLarge.into());
        }
        match next {
            Ok(Next::Page) => {}
            Ok(Next::Last) => frame::set_kind(&mut frames, Kind::Answer),
            _ => frames.clear(),
        }
        let mut state = self.state();
        let mut rung_by = None;
        match next {
            // Whoever has cancelled it may wait for its end all the same.
            Ok(Next::Last) => drop(self.link.remove_flow(self.id)),
            Ok(Next::End) => {
                let put = frame::put(&mut frames, Kind::Answer, self.id, |body| protocol::encode(&(), body));
                debug_assert!(put.is_ok(), "an empty body");
                drop(self.link.remove_flow(self.id));
            }
            Err(failure) => {
                link::put_failure(&mut frames, self.id, failure);
                drop(self.link.remove_flow(self.id));
            }
            _ if state.cancelled => frames.clear(),
            Ok(Next::Page) => {
                state.credit -= 1;
                state.source = Some(source);
            }
            Ok(Next::AfterCommit) => {
                state.listening = true;
                state.source = Some(source);
            }
            Ok(Next::WhenRung(bell)) => {
                state.listening = true;
                state.source = Some(source);
                rung_by = Some(bell);
            }
        }
        // Under the lock: as soon as it rests, another thread may run it and send the page behind this one.
        self.link.outbox.send(&frames);
        let listens = state.listening;
        drop(state);
        self.link.end(WEIGHT);
        match (listens, rung_by) {
            (true, Some(bell)) => {
                // The bell is held by the source, and that by the stream.
                let (flow, engine) = (Arc::downgrade(&self), engine.clone());
                bell.listen(move || {
                    if let Some(flow) = flow.upgrade() {
                        Flow::hear(&flow, &engine);
                    }
                });
            }
            (true, None) => engine.news.listen(engine, &self, edition),
            (false, _) => Flow::resume(&self, engine),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No source is run under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("id", &self.id).finish_non_exhaustive()
    }
}
