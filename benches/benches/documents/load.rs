//! Loading: all documents in random order, in durable batches.

use std::time::{Duration, Instant};

use dynamite_benches::documents::FoundBy;
use dynamite_benches::harness::report::{Better, count_of, us_each};
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{DiskUse, Outcome};
use dynamite_benches::sample::Sample;
use serde_json::Value;

use crate::contest::{Contest, Contestant, LOAD_BATCH};

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let parent = contest.scratch.file("load");
    let people = contest.people;
    let contestants = contest.empty(&parent, &contest.ample(people, 1))?;
    let samples = load(contest, &contestants)?;
    let loaded = contestants.iter().map(Contestant::disk_use).collect::<Outcome<Vec<DiskUse>>>()?;
    // Some make their files shorter when nobody is at work.
    std::thread::sleep(contest.effort.pick(Duration::from_secs(5), Duration::from_secs(2), Duration::ZERO));
    let closed = contestants.into_iter().map(Contestant::close).collect::<Outcome<Vec<DiskUse>>>()?;
    std::fs::remove_dir_all(parent)?;

    let raw = people.raw_bytes() as f64;
    // Every turn loads as many documents, but perhaps the last.
    let seconds: Vec<f64> = samples.iter().map(|sample| sample.mean() * people.count as f64 / 1e6).collect();
    let title = format!(
        "load: {} in random order, {LOAD_BATCH} in a durable batch; size of all files, of JSON",
        count_of(people.count, "documents")
    );
    contest.report.versus(
        title.clone(),
        &contest.names(),
        &[
            "seconds",
            "documents/s",
            "us a document, median of batches",
            "mean",
            "size when loaded",
            "after a rest, closed",
        ],
        |number| {
            vec![
                format!("{:.2}", seconds[number]),
                format!("{:.0}", people.count as f64 / seconds[number]),
                format!("{:.2}", samples[number].median()),
                format!("{:.2}", samples[number].mean()),
                format!("{:.2}", loaded[number].length_bytes as f64 / raw),
                format!("{:.2}", closed[number].length_bytes as f64 / raw),
            ]
        },
        &samples,
    );
    let sizes: Vec<f64> = closed.iter().map(|use_| use_.length_bytes as f64).collect();
    contest.report.chart_figures(
        "load: all the time that it takes",
        &contest.names(),
        &seconds,
        Better::Less,
    );
    contest.report.chart_figures(
        "load: size of all files (not a time: how many times as large as DynaMite's)",
        &contest.names(),
        &sizes,
        Better::Less,
    );
    Ok(())
}

/// Loads batch after batch, in turns. Returns microseconds a document.
fn load(contest: &Contest, contestants: &[Contestant]) -> Outcome<Vec<Sample>> {
    let people = contest.people;
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    let mut done = vec![0; sessions.len()];
    interleave(people.count.div_ceil(LOAD_BATCH), sessions.len(), |number| {
        let first = done[number];
        done[number] = people.count.min(first + LOAD_BATCH);
        let batch: Vec<Value> = (first..done[number]).map(|number| people.document(number, 0)).collect();
        let started = Instant::now();
        sessions[number].put_many(FoundBy::Id, &batch)?;
        Ok(us_each(started.elapsed(), batch.len()))
    })
}
