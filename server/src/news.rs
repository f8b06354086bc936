//! News of commits, for change streams that are followed: one thread listens for all of them, as long as there are any.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;

use crate::engine::Engine;
use crate::flow::Flow;

/// How long a thread without followers listens on, and after how long it sees that the server has stopped.
const PATIENCE: Duration = Duration::from_millis(250);

/// Who waits for the next commit.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Counts the times that the thread has heard of commits.
    edition: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Weak<Flow>>,
    /// Streams that are followed, whether they wait or not.
    followers: usize,
    is_running: bool,
    stopped: bool,
}

/// A stream that is followed. While there is one, somebody listens.
pub(crate) struct Follower(Arc<Engine>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.news.state().followers -= 1;
    }
}

impl News {
    /// Begins to follow: commits from now on are heard of.
    pub(crate) fn follow(engine: &Arc<Engine>) -> Follower {
        let mut state = engine.news.state();
        state.followers += 1;
        let follower = Follower(engine.clone());
        if !state.is_running && !state.stopped {
            // Under the lock, so that whoever comes next finds it listening.
            let (listens, begun) = mpsc::channel();
            let worked = engine.clone();
            let spawned = std::thread::Builder::new()
                .name("dynamite-news".into())
                .spawn(move || listen(&worked, &listens));
            match spawned {
                Ok(thread) => {
                    engine.keep(thread);
                    state.is_running = begun.recv().is_ok();
                }
                Err(error) => tracing::warn!(%error, "no thread for news of commits"),
            }
        }
        follower
    }

    /// What is the latest. Ask before a look at the state.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::SeqCst)
    }

    /// Wakes the stream at the next commit after that edition.
    pub(crate) fn listen(&self, engine: &Arc<Engine>, flow: &Arc<Flow>, edition: u64) {
        let mut state = self.state();
        if self.edition() != edition {
            drop(state);
            return Flow::hear(flow, engine);
        }
        state.waiting.push(Arc::downgrade(flow));
    }

    pub(crate) fn stop(&self) {
        self.state().stopped = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(engine: &Arc<Engine>, listens: &mpsc::Sender<()>) {
    let news = &engine.news;
    let mut commits = engine.db.commits();
    // Whoever started this thread waits for it.
    let _ = listens.send(());
    loop {
        let heard = commits.wait(PATIENCE);
        let mut state = news.state();
        if state.stopped || state.followers == 0 {
            state.is_running = false;
            return;
        }
        if heard {
            news.edition.fetch_add(1, Ordering::SeqCst);
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.iter().filter_map(Weak::upgrade).for_each(|flow| Flow::hear(&flow, engine));
        }
    }
}
