//! Time, from outside: nothing in this crate asks the system what time it is.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where commit times come from.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since 1970 (UTC). May jump, also backwards: commit times are made monotone by who stores them.
    fn now_ms(&self) -> u64;

    /// Time since some fixed moment; never goes back. Paces the group commit, nothing stored depends on it.
    fn elapsed(&self) -> Duration;
}

/// A clock that stands still unless it is told to go on: for tests, and for replaying what happened.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows a time.
    pub fn at(now_ms: u64) -> ManualClock {
        ManualClock(AtomicU64::new(now_ms))
    }

    /// Sets the time.
    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now_ms())
    }
}
