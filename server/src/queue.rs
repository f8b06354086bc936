//! A queue of work that is fair to connections: each has a turn, however much another one has asked for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work of many connections. That of one is done in the order in which it came.
pub(crate) struct FairQueue<J> {
    state: Mutex<State<J>>,
    more: Condvar,
}

struct State<J> {
    jobs: HashMap<u64, VecDeque<J>>,
    /// Connections that have jobs, in the order of their turns.
    turns: VecDeque<u64>,
    /// Threads that wait for jobs and were not woken.
    idle: usize,
    closed: bool,
}

impl<J> Default for FairQueue<J> {
    fn default() -> FairQueue<J> {
        let state = State { jobs: HashMap::new(), turns: VecDeque::new(), idle: 0, closed: false };
        FairQueue { state: Mutex::new(state), more: Condvar::new() }
    }
}

impl<J> FairQueue<J> {
    /// Adds a job of a connection; it is dropped if the queue is closed.
    pub(crate) fn push(&self, connection: u64, job: J) {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.closed {
            return;
        }
        let jobs = state.jobs.entry(connection).or_default();
        if jobs.is_empty() {
            state.turns.push_back(connection);
        }
        jobs.push_back(job);
        // To wake nobody is a system call, too.
        let wakes = state.idle > 0;
        state.idle -= usize::from(wakes);
        drop(guard);
        if wakes {
            self.more.notify_one();
        }
    }

    /// Takes the next job, when there is one. `None` when the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<J> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.next() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job, if there is one.
    pub(crate) fn pop_now(&self) -> Option<J> {
        self.state().next()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().turns.is_empty()
    }

    /// Whoever waits for jobs, ends when there are none.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.more.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        // No job is run under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> State<J> {
    fn next(&mut self) -> Option<J> {
        let connection = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&connection)?;
        let job = jobs.pop_front();
        match jobs.is_empty() {
            true => drop(self.jobs.remove(&connection)),
            false => self.turns.push_back(connection),
        }
        job
    }
}

impl<J> fmt::Debug for FairQueue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairQueue").field("connections", &self.state().turns.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_have_turns_and_their_jobs_keep_their_order() {
        let queue = FairQueue::default();
        for nth in 0..4 {
            queue.push(1, (1, nth));
        }
        queue.push(2, (2, 0));
        queue.push(3, (3, 0));
        queue.push(3, (3, 1));
        queue.close();
        let jobs = std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>();
        assert_eq!(jobs, [(1, 0), (2, 0), (3, 0), (1, 1), (3, 1), (1, 2), (1, 3)]);
        assert!(queue.state().jobs.is_empty(), "nothing is kept of connections without jobs");
    }

    #[test]
    fn as_many_as_wait_are_woken_as_there_are_jobs() {
        let (queue, all_have_one) = (FairQueue::default(), std::sync::Barrier::new(3));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    assert!(queue.pop().is_some());
                    all_have_one.wait();
                });
            }
            while queue.state().idle < 3 {
                std::thread::yield_now();
            }
            (0..3).for_each(|connection| queue.push(connection, ()));
        });
    }
}
