//! What an idle snapshot costs: a thousand rows are overwritten again and again while somebody holds on to the state from
//! before.

use std::time::Instant;

use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{DiskUse, Failure, Outcome, Session, Snapshot};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::table::Table;

use crate::contest::{Contest, Contestant};
use dynamite_benches::harness::report::{Better, megabytes, rows, us_each};

/// Rows that are overwritten.
const HOT: usize = 1_000;

/// The commits come in so many parts, in turns.
const PARTS: usize = 10;

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let parent = contest.scratch.file("snapshot");
    let contestants = contest.loaded(&parent, &contest.ample(1))?;
    let commits = contest.commits.unwrap_or_else(|| contest.effort.pick(30_000, 3_000, 100));
    let grown = grow(contest, &contestants, commits)?;
    let mut table = Table::new(
        format!(
            "snapshot: one idle snapshot, {commits} commits of one put to {HOT} hot rows of {}; MB of all files",
            rows(contest.data.rows)
        ),
        &[
            "engine",
            "before",
            "held",
            "grew by",
            "allocated",
            "released, a tenth more commits",
            "closed",
            "us a commit, min of ten parts",
            "median",
            "max",
        ],
    );
    let held: Vec<f64> = grown.iter().map(|grown| grown.held.length_bytes as f64).collect();
    for (contestant, grown) in contestants.into_iter().zip(grown) {
        let name = contestant.kind.name.to_owned();
        let closed = contestant.close()?;
        let grew = grown.held.length_bytes.saturating_sub(grown.before.length_bytes);
        table.row([
            name,
            megabytes(grown.before.length_bytes),
            megabytes(grown.held.length_bytes),
            megabytes(grew),
            megabytes(grown.held.allocated_bytes),
            megabytes(grown.released.length_bytes),
            megabytes(closed.length_bytes),
            format!("{:.0}", grown.commit.quantile(0.0)),
            format!("{:.0}", grown.commit.median()),
            format!("{:.0}", grown.commit.quantile(1.0)),
        ]);
    }
    contest.report.table(&table);
    contest.report.chart_figures(
        "snapshot: size of all files while it is held (not a time: how many times as large as DynaMite's)",
        &contest.names(),
        &held,
        Better::Less,
    );
    Ok(std::fs::remove_dir_all(parent)?)
}

/// One engine's files, and its commits.
struct Grown {
    before: DiskUse,
    held: DiskUse,
    released: DiskUse,
    /// Microseconds of one commit while the snapshot is held, part by part.
    commit: Sample,
}

fn grow(contest: &Contest, contestants: &[Contestant], commits: usize) -> Outcome<Vec<Grown>> {
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    let mut puts = Puts { contest, random: Random(71), version: 0 };
    let before = sizes(contestants)?;
    let mut snapshots = contestants.iter().map(|one| one.engine.snapshot()).collect::<Outcome<Vec<_>>>()?;
    let each = interleave(PARTS, sessions.len(), |number| {
        let started = Instant::now();
        (0..commits / PARTS).try_for_each(|_| puts.one(&mut *sessions[number]))?;
        Ok::<_, Failure>(us_each(started.elapsed(), commits / PARTS))
    })?;
    let held = sizes(contestants)?;
    for snapshot in &mut snapshots {
        has_not_moved(contest, &mut **snapshot)?;
    }
    drop(snapshots);
    for session in &mut sessions {
        (0..commits / PARTS).try_for_each(|_| puts.one(&mut **session))?;
    }
    let released = sizes(contestants)?;
    Ok((0..contestants.len())
        .map(|number| Grown {
            before: before[number],
            held: held[number],
            released: released[number],
            commit: each[number].clone(),
        })
        .collect())
}

/// An engine that let go of the old state would have it easy.
fn has_not_moved(contest: &Contest, snapshot: &mut dyn Snapshot) -> Outcome<()> {
    for row in 0..HOT {
        if snapshot.get(&contest.data.key(row))?.as_deref() != Some(&contest.data.value(row, 0)[..]) {
            return Err(format!("row {row} has changed below a snapshot").into());
        }
    }
    Ok(())
}

fn sizes(contestants: &[Contestant]) -> Outcome<Vec<DiskUse>> {
    contestants.iter().map(Contestant::disk_use).collect()
}

/// Puts new values into hot rows.
struct Puts<'a> {
    contest: &'a Contest,
    random: Random,
    version: u64,
}

impl Puts<'_> {
    fn one(&mut self, session: &mut dyn Session) -> Outcome<()> {
        let data = &self.contest.data;
        self.version += 1;
        let row = self.random.below(HOT);
        session.put(&data.key(row), &data.value(row, self.version))
    }
}
