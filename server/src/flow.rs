//! Results that are streamed: queries and scans, change streams that are followed, and how far a backup is.
//!
//! The client grants credit for so many pages; each is a short piece of work of its own in the queue of reads, or several of them if much is
//! looked at and little found, so that a long result is fair to everybody else. Without credit, or as long as the client does not read what
//! was sent, a stream costs what it holds (a snapshot), and no thread.
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
use crate::link::{self, Link, Load, MOST_UNSENT};
use crate::protocol::fault::{Failure, Refusal};
use crate::protocol::{self};

/// What the work for a page counts among that of its connection.
const PAGE: Load = Load::Quick(8);

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
    /// There is none yet: it is to be asked again, after whoever else has something to be done.
    NotYet,
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
        flow.link.begin(PAGE);
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
            Ok(Next::NotYet) => state.source = Some(source),
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
        self.link.end(PAGE);
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

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use tokio::net::UnixStream;

    use super::*;
    use crate::engine::tests::{connected, kinds};
    use crate::frame::MAX_BODY;

    const ID: u64 = 7;

    type Body<'b> = &'b mut Vec<u8>;

    /// A source that does as it is told.
    struct Told<F> {
        link: Arc<Link>,
        next: F,
        _held: Arc<()>,
    }

    impl<F: FnMut(&Link, Body<'_>) -> Result<Next, Failure> + Send> Source for Told<F> {
        fn next(&mut self, _: &Engine, body: Body<'_>) -> Result<Next, Failure> {
            (self.next)(&self.link, body)
        }
    }

    /// A stream of a connection, whose work is done when the test says so.
    struct Stream {
        engine: Arc<Engine>,
        link: Arc<Link>,
        far: UnixStream,
        flow: Arc<Flow>,
        held: Weak<()>,
    }

    fn stream(next: impl FnMut(&Link, Body<'_>) -> Result<Next, Failure> + Send + 'static) -> Stream {
        let (engine, link, far) = connected(|_| Ok(()));
        let held = Arc::new(());
        let source = Told { link: link.clone(), next, _held: held.clone() };
        let flow = Flow::new(ID, link.clone(), Box::new(source));
        link.expect_flow(ID);
        assert!(link.add_flow(flow.clone()).unwrap());
        Stream { engine, link, far, flow, held: Arc::downgrade(&held) }
    }

    impl Stream {
        fn grant(&self, pages: u32) {
            Flow::grant(&self.flow, &self.engine, pages);
        }

        /// Does what is queued, and returns how often there was something.
        fn work(&self) -> usize {
            let mut count = 0;
            while !self.engine.reads.is_empty() && count < 100 {
                self.engine.reads.pop().unwrap()();
                count += 1;
            }
            count
        }

        fn is_open(&self) -> bool {
            self.link.flow(ID).is_some()
        }

        fn is_held(&self) -> bool {
            self.held.strong_count() > 0
        }

        /// What was sent until the stream was given up.
        async fn sent(self) -> Vec<Kind> {
            let Stream { engine, link, far, flow, .. } = self;
            link.close();
            drop((engine, link, flow));
            kinds(far, ID).await
        }
    }

    fn page(_: &Link, body: Body<'_>) -> Result<Next, Failure> {
        body.push(1);
        Ok(Next::Page)
    }

    #[tokio::test]
    async fn as_many_pages_are_sent_as_were_granted() {
        let stream = stream(page);
        stream.grant(3);
        assert_eq!(stream.work(), 3);
        Flow::resume(&stream.flow, &stream.engine);
        assert_eq!(stream.work(), 0);
        assert_eq!(stream.sent().await, [Kind::Page; 3]);
    }

    #[tokio::test]
    async fn what_may_be_granted_is_bounded() {
        let stream = stream(page);
        stream.grant(u32::MAX);
        stream.grant(u32::MAX);
        assert_eq!(stream.flow.state().credit, MOST_CREDIT);
        stream.flow.cancel();
        assert_eq!(stream.work(), 1);
    }

    #[tokio::test]
    async fn nothing_is_made_that_the_client_does_not_read() {
        let stream = stream(page);
        stream.link.outbox.send(&vec![0; 4 * MOST_UNSENT]);
        stream.grant(3);
        assert_eq!(stream.work(), 0);
    }

    #[tokio::test]
    async fn a_stream_that_is_cancelled_while_it_runs_sends_nothing_more_and_holds_nothing() {
        let stream = stream(|link, body| {
            link.remove_flow(ID).unwrap().cancel();
            page(link, body)
        });
        stream.grant(3);
        assert_eq!(stream.work(), 1);
        assert!(!stream.is_held());
        assert_eq!(stream.sent().await, []);
    }

    #[tokio::test]
    async fn what_finds_nothing_yet_is_asked_again_until_it_is_cancelled() {
        let mut pieces = 0;
        let stream = stream(move |link, body| {
            pieces += 1;
            match pieces {
                1..=3 => Ok(Next::NotYet),
                4 => page(link, body),
                5..=6 => Ok(Next::NotYet),
                _ => {
                    link.cancel_flow(ID);
                    Ok(Next::NotYet)
                }
            }
        });
        stream.grant(2);
        assert_eq!(stream.work(), 7);
        assert!(!stream.is_open() && !stream.is_held());
        assert_eq!(stream.sent().await, [Kind::Page]);
    }

    #[tokio::test]
    async fn a_stream_that_has_ended_is_not_open_and_holds_nothing() {
        let check = async |next: fn(Body<'_>) -> Result<Next, Failure>, kind| {
            let stream = stream(move |_, body| next(body));
            stream.grant(3);
            assert_eq!(stream.work(), 1);
            assert!(!stream.is_open() && !stream.is_held());
            assert_eq!(stream.sent().await, [kind]);
        };
        check(|_| Ok(Next::End), Kind::Answer).await;
        check(|_| Ok(Next::Last), Kind::Answer).await;
        check(|_| Err(Refusal::NoSuchHandle.into()), Kind::Error).await;
        check(|_| panic!("a bug, as it should be"), Kind::Error).await;
        let too_large = |body: Body<'_>| {
            body.resize(body.len() + MAX_BODY + 1, 0);
            Ok(Next::Page)
        };
        check(too_large, Kind::Error).await;
    }

    #[tokio::test]
    async fn a_stream_that_listens_goes_on_when_the_bell_has_rung_and_not_before() {
        let bell = Arc::new(Bell::default());
        let listened = bell.clone();
        let stream = stream(move |_, _| Ok(Next::WhenRung(listened.clone())));
        stream.grant(3);
        assert_eq!(stream.work(), 1);
        stream.grant(3);
        assert_eq!(stream.work(), 0);
        bell.ring();
        assert_eq!(stream.work(), 1);
        // What it listens to does not keep it.
        drop(stream.link.remove_flow(ID));
        assert_eq!(Arc::strong_count(&stream.flow), 1);
        assert_eq!(stream.sent().await, []);
    }

    #[tokio::test]
    async fn a_stream_that_nobody_wants_any_more_when_it_is_opened_is_not_taken_up() {
        let Stream { link, flow, held, .. } = stream(page);
        link.close();
        drop(flow);
        for give_up in [|link: &Link| link.cancel_flow(ID), Link::close, Link::end_flows] {
            link.expect_flow(ID);
            give_up(&link);
            let source =
                Told { link: link.clone(), next: |_: &Link, _: Body<'_>| Ok(Next::End), _held: Arc::new(()) };
            assert!(!link.add_flow(Flow::new(ID, link.clone(), Box::new(source))).unwrap());
            assert!(link.flow(ID).is_none() && !link.expects_flow(ID));
        }
        assert_eq!(held.strong_count(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_holds_nothing_for_its_streams() {
        let stream = stream(page);
        assert!(stream.is_held());
        stream.link.close();
        assert!(!stream.is_open() && !stream.is_held());
    }
}
