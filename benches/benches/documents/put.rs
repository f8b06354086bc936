//! Durable puts of one document each, by one thread and by 32 together: how long they take, and the processor time of all
//! the process a put. On the device, and in memory (a tmpfs), where a flush is nothing.

use std::path::Path;
use std::thread;

use dynamite_benches::documents::DocumentSession;
use dynamite_benches::harness::crew::{Crew, Job};
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{Better, count_of, spread, spread_columns, us_each};
use dynamite_benches::harness::unit::Unit;
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use serde_json::Value;

use crate::contest::{Contest, Contestant};

const THREADS: [usize; 2] = [1, 32];

/// Where Linux keeps a file system in memory.
const MEMORY: &str = "/dev/shm";

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    in_directory(contest, &contest.scratch.file("put"), "on the device")?;
    match Scratch::within(Path::new(MEMORY)) {
        Ok(memory) => in_directory(contest, memory.path(), "in memory (tmpfs)"),
        Err(error) => {
            contest.report.note(&format!("put: not measured in memory: {MEMORY}: {error}"));
            Ok(())
        }
    }
}

fn in_directory(contest: &Contest, parent: &Path, place: &str) -> Outcome<()> {
    let people = contest.few();
    let contestants = contest.loaded(parent, &contest.ample(people, THREADS.iter().sum()), people)?;
    let mut unit = Unit::settled(&parent.join("unit"))?;
    // One for all of them: a document that is put as it stands already is no work for an engine that compares.
    let mut random = Random(131);
    for threads in THREADS {
        compare(contest, &contestants, threads, place, &mut unit, &mut random)?;
    }
    remove(contestants)
}

fn compare(
    contest: &Contest,
    contestants: &[Contestant],
    threads: usize,
    place: &str,
    unit: &mut Unit,
    random: &mut Random,
) -> Outcome<()> {
    let people = contest.few();
    // As many for all threads together.
    let puts = contest.effort.pick(1024, 256, 64) / threads;
    let mut units = Sample::default();
    thread::scope(|scope| {
        let crews: Vec<Crew<dyn DocumentSession + '_>> =
            contestants.iter().map(|one| Crew::hire(scope, threads, move || one.engine.session())).collect();
        let mut cpu = vec![Sample::default(); crews.len()];
        let mut walls = interleave(contest.effort.pick(20, 5, 1), crews.len() + 1, |subject| {
            let Some(number) = subject.checked_sub(1) else {
                units.extend(&unit.round()?);
                return Ok(0.0);
            };
            let turn = crews[number].run(|_| {
                // Made beforehand, so that their making is not measured.
                put((0..puts).map(|_| people.document(random.below(people.count), random.next())).collect())
            })?;
            cpu[number].push(us_each(turn.cpu, puts * threads));
            Ok::<_, Failure>(us_each(turn.wall, puts * threads))
        })?;
        walls.remove(0);
        let columns: Vec<String> =
            spread_columns("us a put").into_iter().chain(spread_columns("cpu us a put")).collect();
        let what = format!("{threads} thread{}, {place}", if threads == 1 { "" } else { "s" });
        contest.report.versus(
            format!(
                "put: one durable put into {}, {what}; F {:.0} us, p90 {:.0}",
                count_of(people.count, "documents"),
                units.median(),
                units.quantile(0.9)
            ),
            &contest.names(),
            &columns.iter().map(String::as_str).collect::<Vec<_>>(),
            |number| [spread(&walls[number], 1), spread(&cpu[number], 1)].concat(),
            &walls,
        );
        let title = format!("put: processor time, {what}");
        contest.report.chart(title, &contest.names(), &cpu, Better::Less);
        Ok(())
    })
}

fn put<'a>(documents: Vec<Value>) -> Job<dyn DocumentSession + 'a> {
    Box::new(move |session| {
        documents.iter().try_for_each(|document| session.put(document))?;
        Ok(Sample::default())
    })
}
