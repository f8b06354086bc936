//! The one door to locks and atomics: parking_lot and std in the shipped build, loom's under `--cfg loom`, so that
//! the loom models in `loom-tests/` explore the very types that ship.
//!
//! Only what two threads touch without a lock between them has to come from here. Reference counts may be std's. The locks
//! are public for the layers above, so that there is one door.

use std::time::Duration;

mod lend;

pub use lend::{Lent, Turn, lend};

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(not(loom))]
pub use parking_lot::MutexGuard;

#[cfg(loom)]
pub use loom::sync::MutexGuard;

/// A mutex without poisoning.
#[derive(Debug, Default)]
pub struct Mutex<T> {
    #[cfg(not(loom))]
    inner: parking_lot::Mutex<T>,
    #[cfg(loom)]
    inner: loom::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    pub fn new(value: T) -> Mutex<T> {
        #[cfg(not(loom))]
        return Mutex { inner: parking_lot::Mutex::new(value) };
        #[cfg(loom)]
        return Mutex { inner: loom::sync::Mutex::new(value) };
    }

    /// Waits until nobody else holds the mutex.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(not(loom))]
        return self.inner.lock();
        #[cfg(loom)]
        return self.inner.lock().expect("loom's mutexes are poisoned only by a failed model");
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar {
    #[cfg(not(loom))]
    inner: parking_lot::Condvar,
    #[cfg(loom)]
    inner: loom::sync::Condvar,
}

impl Condvar {
    /// A condition variable that nobody waits for.
    pub fn new() -> Condvar {
        #[cfg(not(loom))]
        return Condvar { inner: parking_lot::Condvar::new() };
        #[cfg(loom)]
        return Condvar { inner: loom::sync::Condvar::new() };
    }

    /// Gives the mutex back, waits for a notification, and takes it again. Wakes up spuriously at times.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        #[cfg(not(loom))]
        {
            let mut guard = guard;
            self.inner.wait(&mut guard);
            guard
        }
        #[cfg(loom)]
        return self.inner.wait(guard).expect("loom's mutexes are poisoned only by a failed model");
    }

    /// Waits for a notification, but not longer than `limit`. Loom knows no time: there the limit passes at once.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, limit: Duration) -> MutexGuard<'a, T> {
        #[cfg(not(loom))]
        {
            let mut guard = guard;
            self.inner.wait_for(&mut guard, limit);
            guard
        }
        #[cfg(loom)]
        {
            let _ = limit;
            guard
        }
    }

    /// Wakes one of those who wait.
    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.inner.notify_all();
    }
}

/// Lets other threads run, in a loop that waits for one of them.
pub(crate) fn yield_now() {
    #[cfg(not(loom))]
    std::thread::yield_now();
    #[cfg(loom)]
    loom::thread::yield_now();
}
