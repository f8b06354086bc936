//! Gets of random documents that are all in memory: whole as [`Value`](serde_json::Value), one attribute, and as a type of
//! one's own.

use std::time::Instant;

use dynamite_benches::documents::DocumentSession;
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{Better, count_of, ns_each, spread, spread_columns};
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::table::Table;

use crate::contest::{Contest, Contestant};

/// Gets in a turn: some ten milliseconds.
const TURN: usize = 5_000;

/// What is wanted of a document: what tables call it, and a get that says whether the document was right.
type Form = (&'static str, fn(&mut dyn DocumentSession, &str) -> Outcome<bool>);

const FORMS: [Form; 3] = [
    ("whole, as Value", |session, id| Ok(session.get(id)?.is_some_and(|document| document["id"] == id))),
    ("one attribute", |session, id| Ok(session.email(id)?.is_some_and(|email| email.contains('@')))),
    ("as struct", |session, id| Ok(session.person(id)?.is_some_and(|person| person.id == id))),
];

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let people = contest.few();
    let contestants = contest.loaded(&contest.scratch.file("get"), &contest.ample(people, 1), people)?;
    compare(contest, &contestants)?;
    remove(contestants)
}

fn compare(contest: &Contest, contestants: &[Contestant]) -> Outcome<()> {
    let people = contest.few();
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    for session in &mut sessions {
        session.scan(&mut |_| ())?;
    }
    let gets = contest.effort.pick(TURN, TURN, 100);
    let mut random = Random(121);
    let subjects = sessions.len() * FORMS.len();
    let samples = interleave(contest.effort.pick(50, 15, 2), subjects, |subject| {
        let (number, (_, get)) = (subject / FORMS.len(), FORMS[subject % FORMS.len()]);
        let ids: Vec<String> = (0..gets).map(|_| people.id(random.below(people.count))).collect();
        let mut right = 0;
        let started = Instant::now();
        for id in &ids {
            right += usize::from(get(&mut *sessions[number], id)?);
        }
        let took = started.elapsed();
        match right == gets {
            true => Ok::<_, Failure>(ns_each(took, gets)),
            false => Err(format!("{right} of {gets} documents were right").into()),
        }
    })?;
    print(contest, &samples);
    Ok(())
}

/// The samples come engine by engine, and form by form of each.
fn print(contest: &Contest, samples: &[Sample]) {
    let names = contest.names();
    let whole: Vec<&Sample> = samples.iter().step_by(FORMS.len()).collect();
    let ratios: Vec<String> = names.iter().map(|name| format!("of {name}, whole")).collect();
    let columns: Vec<String> =
        ["engine, form".to_owned()].into_iter().chain(spread_columns("ns a get")).chain(ratios).collect();
    let mut table = Table::new(
        format!(
            "get: one of {} in memory, in a transaction of its own, 1 thread",
            count_of(contest.few().count, "documents")
        ),
        &columns.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for (subject, sample) in samples.iter().enumerate() {
        let (engine, (form, _)) = (names[subject / FORMS.len()], FORMS[subject % FORMS.len()]);
        let mut cells = vec![format!("{engine}, {form}")];
        cells.extend(spread(sample, 0));
        cells.extend(whole.iter().map(|whole| format!("{:.2}", sample.ratios(whole).median())));
        table.row_of(cells);
    }
    contest.report.table(&table);
    for (nth, (form, _)) in FORMS.iter().enumerate() {
        let samples: Vec<Sample> = samples.iter().skip(nth).step_by(FORMS.len()).cloned().collect();
        contest.report.chart(format!("get: {form}"), &names, &samples, Better::Less);
    }
}
