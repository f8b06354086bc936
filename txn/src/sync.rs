//! The one door to locks: parking_lot in the shipped build, loom's under `--cfg loom`, so that the models in
//! `loom-tests/` explore the types that ship.

#[cfg(not(loom))]
pub(crate) use parking_lot::MutexGuard;

#[cfg(loom)]
pub(crate) use loom::sync::MutexGuard;

use std::time::Duration;

/// A mutex without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    #[cfg(not(loom))]
    inner: parking_lot::Mutex<T>,
    #[cfg(loom)]
    inner: loom::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        #[cfg(not(loom))]
        return Mutex { inner: parking_lot::Mutex::new(value) };
        #[cfg(loom)]
        return Mutex { inner: loom::sync::Mutex::new(value) };
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(not(loom))]
        return self.inner.lock();
        #[cfg(loom)]
        return self.inner.lock().expect("loom's mutexes are poisoned only by a failed model");
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    #[cfg(not(loom))]
    inner: parking_lot::Condvar,
    #[cfg(loom)]
    inner: loom::sync::Condvar,
}

impl Condvar {
    pub(crate) fn new() -> Condvar {
        #[cfg(not(loom))]
        return Condvar { inner: parking_lot::Condvar::new() };
        #[cfg(loom)]
        return Condvar { inner: loom::sync::Condvar::new() };
    }

    /// Gives the mutex back, waits for a notification, and takes it again. Wakes up spuriously at times.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
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
    pub(crate) fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, limit: Duration) -> MutexGuard<'a, T> {
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

    pub(crate) fn notify_one(&self) {
        self.inner.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.inner.notify_all();
    }
}
