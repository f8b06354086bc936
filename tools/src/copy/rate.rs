//! How fast the endpoint may be asked.
//!
//! What a request uses is known when it has been answered. So each request that is to be made waits until the units of those before it are paid
//! for, and what it uses is charged to the next ones: over time the rate is kept, whatever single requests use. Time in which nothing
//! is asked is saved up for one second at most.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Units a second, or as many as there are.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: Option<f64>,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Units that may be used without waiting; less than zero is debt.
    balance: f64,
    at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: Option<u32>, now: Instant) -> Rate {
        let per_second = per_second.map(f64::from);
        Rate { per_second, account: Mutex::new(Account { balance: 0.0, at: now }) }
    }

    /// How long a request has to wait.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        let Some(per_second) = self.per_second else { return Duration::ZERO };
        let balance = self.with_account(per_second, now, |account| account.balance);
        Duration::from_secs_f64((-balance / per_second).max(0.0))
    }

    /// Says what a request has used.
    pub(crate) fn charge(&self, units: f64, now: Instant) {
        if let Some(per_second) = self.per_second {
            self.with_account(per_second, now, |account| account.balance -= units);
        }
    }

    fn with_account<R>(&self, per_second: f64, now: Instant, act: impl FnOnce(&mut Account) -> R) -> R {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(account.at).as_secs_f64();
        account.balance = (account.balance + passed * per_second).min(per_second);
        account.at = account.at.max(now);
        act(&mut account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever single requests use, so much is used over time.
    #[test]
    fn what_is_used_is_paid_for_before_more_is() {
        let begin = Instant::now();
        let rate = Rate::new(Some(10), begin);
        let (mut now, mut used) = (begin, 0.0);
        for nth in 0..100 {
            now += rate.pause(now);
            // Up to three seconds' worth at once, after nothing has been asked for a moment.
            let units = f64::from(nth * 7 % 31);
            rate.charge(units, now);
            used += units;
            if nth % 10 == 0 {
                now += Duration::from_millis(300);
            }
        }
        now += rate.pause(now);
        let seconds = (now - begin).as_secs_f64();
        assert!((used / seconds) <= 10.0 + 1e-6, "{used} units in {seconds} s");
        assert!((used / seconds) > 9.0, "{used} units in {seconds} s");
    }

    #[test]
    fn idle_time_is_saved_for_a_second_at_most() {
        let begin = Instant::now();
        let rate = Rate::new(Some(10), begin);
        let later = begin + Duration::from_secs(1000);
        assert_eq!(rate.pause(later), Duration::ZERO);
        rate.charge(10.0, later);
        assert_eq!(rate.pause(later), Duration::ZERO, "that was saved");
        rate.charge(5.0, later);
        assert_eq!(rate.pause(later), Duration::from_millis(500));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let now = Instant::now();
        let rate = Rate::new(None, now);
        rate.charge(1e9, now);
        assert_eq!(rate.pause(now), Duration::ZERO);
    }
}
