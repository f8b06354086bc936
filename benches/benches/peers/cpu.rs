//! The processor time of durable puts: of one thread, and of 32 together.
//!
//! All of the process is counted, threads in the background too, and what the kernel does on its behalf. In memory (a
//! tmpfs) a flush is nothing and a write is a copy, so what is left is the engine's own and the calls that it makes. On the
//! device the kernel's part of writing and flushing comes on top, and those who wait for a flush gather, as they do there
//! only.

use std::path::Path;
use std::thread;

use dynamite_benches::dataset::Dataset;
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome, Session};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;

use crate::contest::{Contest, Contestant};
use dynamite_benches::harness::crew::{Crew, Job};
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{rows, spread, spread_columns, us_each};

const THREADS: [usize; 2] = [1, 32];

/// Where Linux keeps a file system in memory.
const MEMORY: &str = "/dev/shm";

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    match Scratch::within(Path::new(MEMORY)) {
        Ok(memory) => in_directory(contest, memory.path(), "in memory (tmpfs)")?,
        Err(error) => contest.report.note(&format!("cpu: not measured in memory: {MEMORY}: {error}")),
    }
    in_directory(contest, &contest.scratch.file("cpu"), "on the device")
}

fn in_directory(contest: &Contest, parent: &Path, place: &str) -> Outcome<()> {
    let contestants = contest.loaded(parent, &contest.ample(THREADS.iter().sum()))?;
    for threads in THREADS {
        compare(contest, &contestants, threads, place)?;
    }
    remove(contestants)
}

fn compare(contest: &Contest, contestants: &[Contestant], threads: usize, place: &str) -> Outcome<()> {
    // As many for all threads together.
    let puts = contest.effort.pick(2048, 512, 64) / threads;
    // Others for each: a row that is put as it stands already is no work for an engine that compares.
    let mut seeds = Random(51 + threads as u64);
    thread::scope(|scope| {
        let crews: Vec<Crew<dyn Session + '_>> =
            contestants.iter().map(|one| Crew::hire(scope, threads, move || one.engine.session())).collect();
        let mut walls = vec![Sample::default(); crews.len()];
        let samples = interleave(contest.effort.pick(20, 5, 1), crews.len(), |number| {
            let turn = crews[number].run(|_| put(contest.data, puts, seeds.next()))?;
            walls[number].push(us_each(turn.wall, puts * threads));
            Ok::<_, Failure>(us_each(turn.cpu, puts * threads))
        })?;
        let columns = spread_columns("cpu us a put");
        let columns: Vec<&str> = columns.iter().map(String::as_str).chain(["elapsed us"]).collect();
        contest.report.versus(
            format!(
                "cpu: processor time a put of one row into {}, {threads} thread{}, {place}",
                rows(contest.data.rows),
                if threads == 1 { "" } else { "s" }
            ),
            &contest.names(),
            &columns,
            |number| {
                let mut cells = spread(&samples[number], 1);
                cells.push(format!("{:.1}", walls[number].median()));
                cells
            },
            &samples,
        );
        Ok(())
    })
}

fn put<'a>(data: Dataset, count: usize, seed: u64) -> Job<dyn Session + 'a> {
    Box::new(move |session| {
        let mut random = Random(seed);
        for _ in 0..count {
            let row = random.below(data.rows);
            session.put(&data.key(row), &data.value(row, random.next()))?;
        }
        Ok(Sample::default())
    })
}
