//! Random gets of rows that are all in memory: one in each transaction, and a hundred in each.

use std::thread;

use dynamite_benches::dataset::Key;
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome, Session};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;

use crate::contest::Contest;
use dynamite_benches::harness::crew::{Crew, Job};
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{ns_each, rows, spread, spread_columns};

/// Gets of one thread in a turn: some ten milliseconds.
const TURN: usize = 10_000;

/// Gets in one transaction.
const BATCHES: [usize; 2] = [1, 100];

const THREADS: [usize; 2] = [1, 2];

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let contestants =
        contest.loaded(&contest.scratch.file("get"), &contest.ample(THREADS[THREADS.len() - 1]))?;
    for threads in THREADS {
        thread::scope(|scope| {
            let crews: Vec<Crew<dyn Session + '_>> = contestants
                .iter()
                .map(|one| Crew::hire(scope, threads, move || one.engine.session()))
                .collect();
            for crew in &crews {
                // Every session sees every row once, so that all of them are in its cache, if it has one.
                crew.run(|_| Box::new(|session| session.scan().map(|_| Sample::default())))?;
            }
            BATCHES.iter().try_for_each(|batch| compare(contest, &crews, *batch))
        })?;
    }
    remove(contestants)
}

fn compare(contest: &Contest, crews: &[Crew<dyn Session + '_>], batch: usize) -> Outcome<()> {
    let threads = crews[0].size();
    let gets = contest.effort.pick(TURN, TURN, 200);
    let data = contest.data;
    let mut random = Random(21);
    let samples = interleave(contest.effort.pick(50, 15, 2), crews.len(), |number| {
        let turn = crews[number].run(|_| {
            // Made beforehand, so that their making is not measured.
            get_all((0..gets).map(|_| data.key(random.below(data.rows))).collect(), batch)
        })?;
        Ok::<_, Failure>(ns_each(turn.wall, gets))
    })?;
    let columns = spread_columns("ns a get");
    let columns: Vec<&str> = columns.iter().map(String::as_str).chain(["gets/s"]).collect();
    let title = match batch {
        1 => "one in a transaction".to_owned(),
        _ => format!("{batch} in a transaction"),
    };
    contest.report.versus(
        format!(
            "get: {} in memory, {title}, {threads} thread{}; time a get in each thread",
            rows(data.rows),
            if threads == 1 { "" } else { "s" }
        ),
        &contest.names(),
        &columns,
        |number| {
            let mut cells = spread(&samples[number], 0);
            cells.push(format!("{:.0}", threads as f64 * 1e9 / samples[number].median()));
            cells
        },
        &samples,
    );
    Ok(())
}

fn get_all<'a>(keys: Vec<Key>, batch: usize) -> Job<dyn Session + 'a> {
    Box::new(move |session| {
        let (mut found, mut ends) = (0, 0);
        let mut see = |value: &[u8]| {
            found += 1;
            ends += u64::from(value[0]) + u64::from(value[value.len() - 1]);
        };
        match batch {
            1 => keys.iter().try_for_each(|key| session.get(key, &mut see))?,
            _ => keys
                .chunks(batch)
                .try_for_each(|batch| session.get_many(batch, &mut |_, value| see(value)))?,
        }
        std::hint::black_box(ends);
        // Whoever does not find what is there would be the fastest.
        if found != keys.len() {
            return Err(format!("{found} of {} rows were found", keys.len()).into());
        }
        Ok(Sample::default())
    })
}
