//! Scans of a whole database that is in memory.

use std::time::Instant;

use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome};

use crate::contest::{Contest, Contestant};
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{ns_each, rows, spread, spread_columns};

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let contestants = contest.loaded(&contest.scratch.file("scan"), &contest.ample(1))?;
    compare(contest, &contestants)?;
    remove(contestants)
}

fn compare(contest: &Contest, contestants: &[Contestant]) -> Outcome<()> {
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    for session in &mut sessions {
        session.scan()?;
    }
    let samples = interleave(contest.effort.pick(20, 10, 2), sessions.len(), |number| {
        let started = Instant::now();
        let tally = sessions[number].scan()?;
        let took = started.elapsed();
        if (tally.rows, tally.bytes) != (contest.data.rows as u64, contest.data.raw_bytes()) {
            return Err(format!("{} has seen {tally:?}", contestants[number].kind.name).into());
        }
        Ok::<_, Failure>(ns_each(took, contest.data.rows))
    })?;
    let columns = spread_columns("ns a row");
    contest.report.versus(
        format!("scan: {} in memory, key and value of each", rows(contest.data.rows)),
        &contest.names(),
        &columns.each_ref().map(String::as_str),
        |number| spread(&samples[number], 1),
        &samples,
    );
    Ok(())
}
