//! News: who waits for commits is told of them. Without listeners a commit pays a fence and a load.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::database::DynaMite;

/// Tells of commits; [`DynaMite::commits`] makes one.
#[derive(Debug)]
pub struct Commits<'db>(Listener<'db>);

impl DynaMite {
    /// Begins to listen for commits, for those who follow many streams at once: look at them after this, and wait if they show
    /// nothing new.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
    /// let mut commits = db.commits();
    /// db.put_item("users", json!({"id": "alice"}))?;
    /// assert!(commits.wait(Duration::MAX));
    /// # Ok(())
    /// # }
    /// ```
    pub fn commits(&self) -> Commits<'_> {
        Commits(self.shared.news.listen())
    }
}

impl Commits<'_> {
    /// Waits for a commit since it began to listen, or last waited; at most so long. Returns whether there was one.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        // A time beyond all times is as good as none.
        self.0.wait(Instant::now().checked_add(timeout))
    }
}

/// Tells listeners that something was published.
#[derive(Debug, Default)]
pub(crate) struct News {
    listeners: AtomicUsize,
    /// Counts what was told while somebody listened.
    edition: Mutex<u64>,
    told: Condvar,
}

/// Somebody who listens, from before a look at the published state on.
#[derive(Debug)]
pub(crate) struct Listener<'a> {
    news: &'a News,
    edition: u64,
}

impl News {
    /// Tells that something was published. Whoever listened before and does not see it is woken.
    pub(crate) fn announce(&self) {
        // Pairs with that of `listen`: either this sees the listener, or the listener's look sees what was published.
        fence(Ordering::SeqCst);
        if self.listeners.load(Ordering::Relaxed) > 0 {
            *self.edition() += 1;
            self.told.notify_all();
        }
    }

    /// Begins to listen. Look at the published state after this, and wait if it shows nothing new.
    pub(crate) fn listen(&self) -> Listener<'_> {
        self.listeners.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Listener { news: self, edition: *self.edition() }
    }

    fn edition(&self) -> MutexGuard<'_, u64> {
        // A number is whole, whoever panicked.
        self.edition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener<'_> {
    /// Waits until something is told that was not when it began to listen, or last waited; or until then. Returns whether
    /// there was.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> bool {
        let News { told, .. } = self.news;
        let is_old = |edition: &mut u64| *edition == self.edition;
        let edition = self.news.edition();
        let edition = match until {
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                told.wait_timeout_while(edition, left, is_old).unwrap_or_else(PoisonError::into_inner).0
            }
            None => told.wait_while(edition, is_old).unwrap_or_else(PoisonError::into_inner),
        };
        let is_new = *edition != self.edition;
        self.edition = *edition;
        is_new
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.news.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}
