//! Durable puts of one row, one after the other, in multiples of F, by turns of some puts each (a figure is a turn's mean): into a database that was just loaded, and after many
//! commits have mixed its free pages.

use std::time::Instant;

use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Failure, Outcome, Session};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::table::Table;

use crate::contest::{Contest, Contestant};
use dynamite_benches::harness::entrant::remove;
use dynamite_benches::harness::report::{rows, spread, spread_columns};
use dynamite_benches::harness::unit::Unit;

/// The puts that age a database come in so many parts, in turns.
const PARTS: usize = 10;

/// Operations in a turn that is measured. The first ones find in the processor's caches what another engine left there,
/// which no application does to itself that commits one put after the other; they are not counted.
const TURN: usize = 10;
const UNCOUNTED: usize = 2;

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let contestants = contest.loaded(&contest.scratch.file("put"), &contest.ample(1))?;
    compare(contest, &contestants)?;
    remove(contestants)
}

fn compare(contest: &Contest, contestants: &[Contestant]) -> Outcome<()> {
    let mut sessions = contestants.iter().map(|one| one.engine.session()).collect::<Outcome<Vec<_>>>()?;
    let mut unit = Unit::settled(&contest.scratch.file("unit"))?;
    let mut puts = Puts { contest, random: Random(31), version: 0 };
    let commits = contest.commits.unwrap_or_else(|| contest.effort.pick(100_000, 2_000, 20));

    measure(&mut puts, &mut sessions, &mut unit, "right after loading")?;
    interleave(PARTS, sessions.len(), |number| {
        (0..commits / PARTS).try_for_each(|_| puts.one(&mut *sessions[number]))?;
        Ok::<_, Failure>(0.0)
    })?;
    measure(&mut puts, &mut sessions, &mut unit, &format!("after {commits} commits of one put"))
}

/// Puts new values into any rows.
struct Puts<'a> {
    contest: &'a Contest,
    random: Random,
    version: u64,
}

impl Puts<'_> {
    fn one(&mut self, session: &mut dyn Session) -> Outcome<()> {
        let data = &self.contest.data;
        self.version += 1;
        let row = self.random.below(data.rows);
        session.put(&data.key(row), &data.value(row, self.version))
    }
}

fn measure(
    puts: &mut Puts<'_>,
    sessions: &mut [Box<dyn Session + '_>],
    unit: &mut Unit,
    when: &str,
) -> Outcome<()> {
    let effort = puts.contest.effort;
    let mut samples = interleave(effort.pick(300, 30, 3), sessions.len() + 1, |subject| {
        let mut turn = Sample::default();
        for number_in_turn in 0..TURN {
            let started = Instant::now();
            match subject.checked_sub(1) {
                None => unit.run()?,
                Some(number) => puts.one(&mut *sessions[number])?,
            }
            if number_in_turn >= UNCOUNTED {
                turn.push_us(started.elapsed());
            }
        }
        Ok::<_, Failure>(turn.mean())
    })?;
    let unit = samples.remove(0);
    let names = puts.contest.names();
    let columns = spread_columns("us a put");
    let columns: Vec<&str> =
        columns.iter().map(String::as_str).chain(["max", "of F", "mean of mean F"]).collect();
    let title = format!("put: one durable put into {}, {when}", rows(puts.contest.data.rows));
    puts.contest.report.versus(title, &names, &columns, |number| figures(&samples[number], &unit), &samples);
    let mut table = Table::new("F of these rounds", &["what", "us", "p10", "p90", "max"]);
    let [median, p10, p90] = [0.5, 0.1, 0.9].map(|q| format!("{:.0}", unit.quantile(q)));
    table.row(["F".to_owned(), median, p10, p90, format!("{:.0}", unit.quantile(1.0))]);
    puts.contest.report.table(&table);
    Ok(())
}

/// The mean says what the median cannot: what the puts cost that pay for others, such as those that write a log back.
fn figures(sample: &Sample, unit: &Sample) -> Vec<String> {
    let mut cells = spread(sample, 0);
    cells.push(format!("{:.0}", sample.quantile(1.0)));
    cells.push(format!("{:.2}", sample.ratios(unit).median()));
    cells.push(format!("{:.2}", sample.mean() / unit.mean()));
    cells
}
