//! Queries of a hundred documents that have their `id` in common, all in memory.

use std::time::Instant;

use dynamite_benches::documents::FoundBy;
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{count_of, spread, spread_columns, us_each};
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome};
use dynamite_benches::random::Random;

use crate::contest::{Contest, Contestant, fill};

/// Documents in a group: what a query returns.
const GROUP: usize = 100;

/// Queries in a turn.
const TURN: usize = 50;

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let people = contest.few();
    let contestants = contest.empty(&contest.scratch.file("query"), &contest.ample(people, 1))?;
    compare(contest, &contestants)?;
    remove(contestants)
}

fn compare(contest: &Contest, contestants: &[Contestant]) -> Outcome<()> {
    let people = contest.few();
    let groups = people.count / GROUP;
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    for session in &mut sessions {
        fill(&mut **session, FoundBy::IdAndEmail, groups * GROUP, |number| people.member(number, GROUP))?;
        for group in 0..groups {
            session.query(&people.id(group))?;
        }
    }
    let queries = contest.effort.pick(TURN, TURN, 2);
    let mut random = Random(141);
    let samples = interleave(contest.effort.pick(50, 15, 2), sessions.len(), |number| {
        let ids: Vec<String> = (0..queries).map(|_| people.id(random.below(groups))).collect();
        let mut found = 0;
        let started = Instant::now();
        for id in &ids {
            found += sessions[number].query(id)?.iter().filter(|document| document["id"] == **id).count();
        }
        let took = started.elapsed();
        match found == queries * GROUP {
            true => Ok::<_, Failure>(us_each(took, queries)),
            false => Err(format!("{found} documents were right in {queries} queries").into()),
        }
    })?;
    contest.report.versus(
        format!("query: {GROUP} of {} in memory, as Value", count_of(people.count, "documents")),
        &contest.names(),
        &spread_columns("us a query").each_ref().map(String::as_str),
        |number| spread(&samples[number], 1),
        &samples,
    );
    Ok(())
}
