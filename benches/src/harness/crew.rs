//! Threads that keep their sessions from turn to turn: a session that is opened for a turn would begin it with an empty
//! cache.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crate::cpu_time::process_cpu_time;
use crate::peers::Outcome;
use crate::sample::Sample;

/// What one thread does in a turn, with its session.
pub type Job<S> = Box<dyn FnOnce(&mut S) -> Outcome<Sample> + Send>;

/// Threads with a session of the same engine each.
pub struct Crew<S: ?Sized> {
    workers: Vec<Worker<S>>,
}

/// What a turn took.
#[derive(Clone, Debug)]
pub struct Turn {
    /// From the moment when all threads had their jobs until the last one had finished.
    pub wall: Duration,
    /// The processor time of the whole process in between.
    pub cpu: Duration,
    /// What the threads' jobs returned, all together.
    pub sample: Sample,
}

impl<S: ?Sized> Crew<S> {
    /// Starts threads, which end when the crew is dropped. Each opens its own session.
    pub fn hire<'scope>(
        scope: &'scope Scope<'scope, '_>,
        count: usize,
        open: impl Fn() -> Outcome<Box<S>> + Copy + Send + 'scope,
    ) -> Crew<S>
    where
        S: 'scope,
    {
        Crew { workers: (0..count).map(|_| Worker::start(scope, open)).collect() }
    }

    /// How many they are.
    pub fn size(&self) -> usize {
        self.workers.len()
    }

    /// Gives each thread a job, which all begin at once, and waits for all of them.
    pub fn run(&self, mut job: impl FnMut(usize) -> Job<S>) -> Outcome<Turn> {
        let start = Arc::new(Barrier::new(self.workers.len() + 1));
        for (number, worker) in self.workers.iter().enumerate() {
            worker.jobs.send((start.clone(), job(number))).map_err(|_| "a thread has ended")?;
        }
        // Before they are let go: this thread may well be the last to go on when they are many. What this counts too
        // much is that they come to where they wait.
        let (started, cpu) = (Instant::now(), process_cpu_time());
        start.wait();
        let mut sample = Sample::default();
        let mut failed = Ok(());
        for worker in &self.workers {
            match worker.results.recv()? {
                Ok(part) => sample.extend(&part),
                // The others are waited for all the same, lest their results be taken for those of the next turn.
                Err(error) => failed = Err(error),
            }
        }
        failed?;
        Ok(Turn { wall: started.elapsed(), cpu: process_cpu_time().saturating_sub(cpu), sample })
    }
}

struct Worker<S: ?Sized> {
    jobs: Sender<(Arc<Barrier>, Job<S>)>,
    results: Receiver<Outcome<Sample>>,
}

impl<S: ?Sized> Worker<S> {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        open: impl Fn() -> Outcome<Box<S>> + Send + 'scope,
    ) -> Worker<S>
    where
        S: 'scope,
    {
        let (jobs, todo) = mpsc::channel::<(Arc<Barrier>, Job<S>)>();
        let (done, results) = mpsc::channel();
        scope.spawn(move || {
            let mut session = open();
            for (start, job) in todo {
                start.wait();
                let outcome = match &mut session {
                    Ok(session) => job(&mut **session),
                    Err(error) => Err(error.to_string().into()),
                };
                if done.send(outcome).is_err() {
                    return;
                }
            }
        });
        Worker { jobs, results }
    }
}
