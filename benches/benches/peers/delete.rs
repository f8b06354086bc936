//! What is left when nine rows of ten have been deleted: the file, the scans, and the use of the pages that became free.

use std::time::Instant;

use dynamite_benches::dataset::Key;
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{DiskUse, Outcome};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::table::Table;

use crate::contest::{Contest, Contestant};
use crate::fixture::put;
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{Better, megabytes, ns_each, rows, us_each};

/// Rows deleted, or put back, in one transaction.
const BATCH: usize = 1_000;

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let config = contest.ample(1);
    let contestants = contest.loaded(&contest.scratch.file("delete"), &config)?;
    let data = contest.data;
    let mut order: Vec<usize> = (0..data.rows).collect();
    Random(91).shuffle(&mut order);
    let doomed = &order[..data.rows / 10 * 9];

    let before = sizes(&contestants)?;
    let full_scan = scans(contest, &contestants)?;
    let deleting = in_batches(&contestants, doomed, |session, batch| {
        let keys: Vec<Key> = batch.iter().map(|row| data.key(*row)).collect();
        session.delete_many(&keys)
    })?;
    let deleted = sizes(&contestants)?;
    let sparse_scan = scans(contest, &contestants)?;
    let (contestants, closed): (Vec<Contestant>, Vec<DiskUse>) = contestants
        .into_iter()
        .map(|contestant| contestant.reopen(&config))
        .collect::<Outcome<Vec<_>>>()?
        .into_iter()
        .unzip();
    // Others, and as many, so that they come to other places than those deleted.
    let new: Vec<usize> = (0..doomed.len()).map(|number| data.rows + number).collect();
    let refilling = in_batches(&contestants, &new, |session, batch| put(session, &data, batch))?;
    let refilled = sizes(&contestants)?;

    let mut table = Table::new(
        format!("delete: 90 % of {}, {BATCH} in a durable transaction; MB of all files", rows(data.rows)),
        &[
            "engine",
            "before",
            "deleted",
            "closed",
            "as many new rows put",
            "of before",
            "us a delete",
            "us a new row",
            "scan ns/row before",
            "deleted",
            "of it",
        ],
    );
    for (number, name) in contest.names().iter().enumerate() {
        table.row([
            (*name).to_owned(),
            megabytes(before[number].length_bytes),
            megabytes(deleted[number].length_bytes),
            megabytes(closed[number].length_bytes),
            megabytes(refilled[number].length_bytes),
            format!("{:.2}", refilled[number].length_bytes as f64 / before[number].length_bytes as f64),
            format!("{:.2}", deleting[number].mean()),
            format!("{:.2}", refilling[number].mean()),
            format!("{:.1}", full_scan[number].median()),
            format!("{:.1}", sparse_scan[number].median()),
            format!("{:.2}", sparse_scan[number].ratios(&full_scan[number]).median()),
        ]);
    }
    contest.report.table(&table);
    let scans: Vec<f64> = sparse_scan.iter().map(Sample::median).collect();
    contest.report.chart_figures(
        "delete: scan of a row when nine of ten are gone",
        &contest.names(),
        &scans,
        Better::Less,
    );
    remove(contestants)
}

fn sizes(contestants: &[Contestant]) -> Outcome<Vec<DiskUse>> {
    contestants.iter().map(Contestant::disk_use).collect()
}

/// Nanoseconds a row of scans, in turns.
fn scans(contest: &Contest, contestants: &[Contestant]) -> Outcome<Vec<Sample>> {
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    for session in &mut sessions {
        session.scan()?;
    }
    interleave(contest.effort.pick(10, 5, 2), sessions.len(), |number| {
        let started = Instant::now();
        let tally = sessions[number].scan()?;
        Ok(ns_each(started.elapsed(), tally.rows as usize))
    })
}

/// Changes rows batch after batch, in turns. Returns microseconds a row.
fn in_batches(
    contestants: &[Contestant],
    rows: &[usize],
    change: impl Fn(&mut dyn dynamite_benches::peers::Session, &[usize]) -> Outcome<()>,
) -> Outcome<Vec<Sample>> {
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    let batches: Vec<&[usize]> = rows.chunks(BATCH).collect();
    let mut done = vec![0; sessions.len()];
    interleave(batches.len(), sessions.len(), |number| {
        let batch = batches[done[number]];
        done[number] += 1;
        let started = Instant::now();
        change(&mut *sessions[number], batch)?;
        Ok(us_each(started.elapsed(), batch.len()))
    })
}
