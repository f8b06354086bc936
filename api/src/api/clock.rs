//! The system's clock: the only place of the engine that asks what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dynamite_txn::Clock;

/// The system's clock, by which a database goes. For those who keep times of their own beside its.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        // A clock set before 1970 shows 0: commit times are made monotone by who stores them.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
