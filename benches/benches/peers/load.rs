//! Loading: all rows in random order and in ascending order, and how large the file is then, and when nobody has worked on
//! it for some seconds.

use std::time::{Duration, Instant};

use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{DiskUse, Outcome};
use dynamite_benches::sample::Sample;

use crate::contest::{Contest, Contestant};
use crate::fixture::{load_batch, put};
use dynamite_benches::harness::report::{Better, rows, us_each};

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    load(contest, &(0..contest.data.rows).collect::<Vec<_>>(), "random")?;
    load(contest, &contest.data.ascending(), "ascending")
}

fn load(contest: &Contest, order: &[usize], called: &str) -> Outcome<()> {
    let parent = contest.scratch.file("load");
    let contestants = contest.empty(&parent, &contest.ample(1))?;
    let samples = fill(contest, &contestants, order)?;
    let loaded = contestants.iter().map(Contestant::disk_use).collect::<Outcome<Vec<DiskUse>>>()?;
    // Some make their files shorter when nobody is at work.
    std::thread::sleep(contest.effort.pick(Duration::from_secs(5), Duration::from_secs(2), Duration::ZERO));
    let mut sizes = Vec::new();
    for (contestant, loaded) in contestants.into_iter().zip(loaded) {
        let rested = contestant.disk_use()?;
        sizes.push((loaded, rested, contestant.close()?));
    }
    std::fs::remove_dir_all(parent)?;

    let raw = contest.data.raw_bytes();
    let of_raw = |bytes: u64| format!("{:.2}", bytes as f64 / raw as f64);
    contest.report.versus(
        format!(
            "load: {} in {called} order, {} in a durable transaction; sizes of all files, of raw data",
            rows(contest.data.rows),
            load_batch(&contest.data)
        ),
        &contest.names(),
        &["seconds", "us a row", "when loaded", "after a rest", "closed", "closed, allocated"],
        |number| {
            let (loaded, rested, closed): (DiskUse, DiskUse, DiskUse) = sizes[number];
            // Every turn loads as many rows, but perhaps the last.
            let seconds = samples[number].mean() * contest.data.rows as f64 / 1e6;
            vec![
                format!("{seconds:.2}"),
                format!("{:.2}", samples[number].mean()),
                of_raw(loaded.length_bytes),
                of_raw(rested.length_bytes),
                of_raw(closed.length_bytes),
                of_raw(closed.allocated_bytes),
            ]
        },
        &samples,
    );
    contest.report.chart_figures(
        format!(
            "load: size of all files, {called} order (not a time: how many times as large as DynaMite's)"
        ),
        &contest.names(),
        &sizes.iter().map(|(.., closed)| closed.length_bytes as f64).collect::<Vec<_>>(),
        Better::Less,
    );
    Ok(())
}

/// Loads batch after batch, in turns. Returns microseconds a row.
fn fill(contest: &Contest, contestants: &[Contestant], order: &[usize]) -> Outcome<Vec<Sample>> {
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    let batches: Vec<&[usize]> = order.chunks(load_batch(&contest.data)).collect();
    let mut done = vec![0; sessions.len()];
    interleave(batches.len(), sessions.len(), |number| {
        let batch = batches[done[number]];
        done[number] += 1;
        let started = Instant::now();
        put(&mut *sessions[number], &contest.data, batch)?;
        Ok(us_each(started.elapsed(), batch.len()))
    })
}
