//! Documents near the limit of 400 KB: one of many parts, and one that is mostly one long text. Durable puts, and gets in
//! memory.

use std::time::Instant;

use dynamite_benches::documents::People;
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{spread, spread_columns, us_each};
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome};
use dynamite_benches::random::Random;
use serde_json::Value;

use crate::contest::{Contest, Contestant};

/// Bytes of JSON.
const BYTES: usize = 380_000;

/// How many documents there are.
const COUNT: usize = 50;

/// Operations in a turn.
const TURN: usize = 5;

/// What a document is made of: what tables call it, and how it is made of its number, its version and its size.
type Shape = (&'static str, fn(&People, usize, u64, usize) -> Value);

const SHAPES: [Shape; 2] = [("many parts", People::large_of_parts), ("one long text", People::large_of_text)];

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let people = People { count: COUNT, ..contest.people };
    for shape in SHAPES {
        let config = contest.ample(contest.people, 1);
        let contestants = contest.empty(&contest.scratch.file("large"), &config)?;
        compare(contest, &contestants, people, shape)?;
        remove(contestants)?;
    }
    Ok(())
}

fn compare(contest: &Contest, contestants: &[Contestant], people: People, shape: Shape) -> Outcome<()> {
    let (called, make) = shape;
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    let documents: Vec<Value> = (0..COUNT).map(|number| make(&people, number, 0, BYTES)).collect();
    for session in &mut sessions {
        documents.iter().try_for_each(|document| session.put(document))?;
    }
    let (rounds, turn) = contest.effort.pick((40, TURN), (10, TURN), (1, 1));
    let mut random = Random(151);
    let puts = interleave(rounds, sessions.len(), |number| {
        let documents: Vec<Value> =
            (0..turn).map(|_| make(&people, random.below(COUNT), random.next(), BYTES)).collect();
        let started = Instant::now();
        documents.iter().try_for_each(|document| sessions[number].put(document))?;
        Ok::<_, Failure>(us_each(started.elapsed(), turn))
    })?;
    let gets = interleave(rounds, sessions.len(), |number| {
        let ids: Vec<String> = (0..turn).map(|_| people.id(random.below(COUNT))).collect();
        let mut found = 0;
        let started = Instant::now();
        for id in &ids {
            found += usize::from(sessions[number].get(id)?.is_some_and(|document| document["id"] == **id));
        }
        let took = started.elapsed();
        match found == turn {
            true => Ok::<_, Failure>(us_each(took, turn)),
            false => Err(format!("{found} of {turn} documents were found").into()),
        }
    })?;
    for (what, samples) in [("one durable put of", puts), ("one get in memory of", gets)] {
        contest.report.versus(
            format!("large: {what} {} KB of JSON, {called}", BYTES / 1000),
            &contest.names(),
            &spread_columns("us").each_ref().map(String::as_str),
            |number| spread(&samples[number], 0),
            &samples,
        );
    }
    Ok(())
}
