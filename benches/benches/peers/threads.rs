//! Durable puts of many threads at once: how many in a second, and how long each waits.

use std::thread;
use std::time::{Duration, Instant};

use dynamite_benches::dataset::Dataset;
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome, Session};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::table::Table;

use crate::contest::{Contest, Contestant};
use dynamite_benches::harness::crew::{Crew, Job};
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{Better, rows};
use dynamite_benches::harness::unit::Unit;

const THREADS: [usize; 5] = [1, 8, 16, 32, 64];

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let config = contest.ample(THREADS.iter().sum());
    let contestants = contest.loaded(&contest.scratch.file("threads"), &config)?;
    compare(contest, &contestants)?;
    remove(contestants)
}

fn compare(contest: &Contest, contestants: &[Contestant]) -> Outcome<()> {
    let time =
        contest.effort.pick(Duration::from_secs(1), Duration::from_millis(250), Duration::from_millis(20));
    let mut unit = Unit::settled(&contest.scratch.file("unit"))?;
    let mut units = Sample::default();
    let mut seeds = Random(41);
    thread::scope(|scope| {
        let crews: Vec<Crew<dyn Session + '_>> = contestants
            .iter()
            .flat_map(|one| THREADS.map(|threads| Crew::hire(scope, threads, move || one.engine.session())))
            .collect();
        let mut latencies = vec![Sample::default(); crews.len()];
        let mut samples = interleave(contest.effort.pick(10, 4, 1), crews.len() + 1, |subject| {
            let Some(number) = subject.checked_sub(1) else {
                // As long as each of the others, so that the longest can be compared too.
                let begun = Instant::now();
                while begun.elapsed() < time {
                    units.extend(&unit.round()?);
                }
                return Ok(0.0);
            };
            let turn = crews[number].run(|_| put_for(contest.data, time, seeds.next()))?;
            latencies[number].extend(&turn.sample);
            Ok::<_, Failure>(turn.sample.len() as f64 / turn.wall.as_secs_f64())
        })?;
        samples.remove(0);
        print(contest, &samples, &latencies, &units);
        Ok(())
    })
}

/// Puts rows until the time is over, and returns what each took.
fn put_for<'a>(data: Dataset, time: Duration, seed: u64) -> Job<dyn Session + 'a> {
    Box::new(move |session| {
        let mut random = Random(seed);
        let mut sample = Sample::default();
        let begun = Instant::now();
        while begun.elapsed() < time {
            let row = random.below(data.rows);
            let (key, value) = (data.key(row), data.value(row, random.next()));
            let started = Instant::now();
            session.put(&key, &value)?;
            sample.push_us(started.elapsed());
        }
        Ok(sample)
    })
}

fn print(contest: &Contest, samples: &[Sample], latencies: &[Sample], units: &Sample) {
    let mut table = Table::new(
        format!(
            "threads: durable puts into {} by many threads; F {:.0} us, p90 {:.0}, p99 {:.0}, max {:.0}",
            rows(contest.data.rows),
            units.median(),
            units.quantile(0.9),
            units.quantile(0.99),
            units.quantile(1.0)
        ),
        &["engine, threads", "puts/s", "p10", "p90", "x one thread", "puts/F", "p50 us", "p99 us", "max us"],
    );
    for (engine, name) in contest.names().iter().enumerate() {
        for (turn, threads) in THREADS.iter().enumerate() {
            let (speed, one) = (&samples[engine * THREADS.len() + turn], &samples[engine * THREADS.len()]);
            let latency = &latencies[engine * THREADS.len() + turn];
            table.row([
                format!("{name}, {threads}"),
                format!("{:.0}", speed.median()),
                format!("{:.0}", speed.quantile(0.1)),
                format!("{:.0}", speed.quantile(0.9)),
                format!("{:.2}", speed.ratios(one).median()),
                format!("{:.2}", speed.median() * units.median() / 1e6),
                format!("{:.0}", latency.median()),
                format!("{:.0}", latency.quantile(0.99)),
                format!("{:.0}", latency.quantile(1.0)),
            ]);
        }
    }
    contest.report.table(&table);
    for (turn, threads) in THREADS.iter().enumerate() {
        let speeds: Vec<Sample> = samples.iter().skip(turn).step_by(THREADS.len()).cloned().collect();
        contest.report.chart(
            format!("threads: durable puts in a second, {threads} threads"),
            &contest.names(),
            &speeds,
            Better::More,
        );
    }
}
