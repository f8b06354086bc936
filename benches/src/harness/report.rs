//! What a comparison tells: tables that compare every engine with every other, printed at once, and recorded if that was
//! asked for.
//!
//! A chart shows for each other engine how many times as long as DynaMite it takes (or how many times less it does in a
//! second): beyond 1 DynaMite is ahead, below it behind.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Duration;

use crate::harness::chart::{Bar, Group};
use crate::harness::record::Record;
use crate::peers::Outcome;
use crate::sample::Sample;
use crate::table::Table;

/// The one that the others are compared with in charts.
const OURS: &str = "dynamite";

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The lesser: of times and sizes.
    Less,
    /// The greater: of speeds.
    More,
}

/// The tables of a run.
#[derive(Debug, Default)]
pub struct Report {
    record: Option<Record>,
    text: RefCell<String>,
    groups: RefCell<Vec<Group>>,
}

impl Report {
    /// One that is also recorded, if there is a record.
    pub fn new(record: Option<Record>) -> Report {
        Report { record, ..Report::default() }
    }

    /// Prints a table of one row an engine: its own figures, and the ratios of its sample to the others', turn by turn. The
    /// samples are times: less is better.
    pub fn versus(
        &self,
        title: impl Into<String>,
        names: &[&str],
        columns: &[&str],
        figures: impl Fn(usize) -> Vec<String>,
        samples: &[Sample],
    ) {
        let title = title.into();
        let ratios: Vec<String> = names.iter().map(|name| format!("of {name}")).collect();
        let columns: Vec<&str> =
            ["engine"].iter().chain(columns).copied().chain(ratios.iter().map(String::as_str)).collect();
        let mut table = Table::new(title.clone(), &columns);
        for (number, name) in names.iter().enumerate() {
            let mut cells = vec![(*name).to_owned()];
            cells.extend(figures(number));
            cells.extend(versus(samples, number));
            table.row_of(cells);
        }
        self.table(&table);
        self.chart(title, names, samples, Better::Less);
    }

    /// Prints any other table.
    pub fn table(&self, table: &Table) {
        table.print();
        self.add(table);
    }

    /// Prints what there is to say besides.
    #[allow(clippy::print_stdout, reason = "it belongs to the tables")]
    pub fn note(&self, text: &str) {
        println!("\n{text}");
        self.add(format_args!("\n{text}\n"));
    }

    /// Adds a group of bars to the chart: for each engine but DynaMite, the median of the ratios within the rounds.
    pub fn chart(&self, title: impl Into<String>, names: &[&str], samples: &[Sample], better: Better) {
        let ratio = |ours: usize, other: usize| match better {
            Better::Less => samples[other].ratios(&samples[ours]).median(),
            Better::More => samples[ours].ratios(&samples[other]).median(),
        };
        self.bars(title, names, ratio);
    }

    /// Adds a group of bars to the chart for figures of which there is one each.
    pub fn chart_figures(&self, title: impl Into<String>, names: &[&str], figures: &[f64], better: Better) {
        let ratio = |ours: usize, other: usize| match better {
            Better::Less => figures[other] / figures[ours],
            Better::More => figures[ours] / figures[other],
        };
        self.bars(title, names, ratio);
    }

    fn bars(&self, title: impl Into<String>, names: &[&str], ratio: impl Fn(usize, usize) -> f64) {
        let Some(ours) = names.iter().position(|name| *name == OURS) else { return };
        let others = names.iter().enumerate().filter(|(number, _)| *number != ours);
        let bars = others.map(|(number, name)| Bar { label: (*name).to_owned(), ratio: ratio(ours, number) });
        self.groups.borrow_mut().push(Group { title: title.into(), bars: bars.collect() });
    }

    /// Ends a workload: what was told of it is recorded, if there is a record.
    pub fn end(&self, workload: &str) -> Outcome<()> {
        let (text, groups) = (self.text.take(), self.groups.take());
        match &self.record {
            Some(record) => record.write(workload, &text, &groups),
            None => Ok(()),
        }
    }

    fn add(&self, text: impl std::fmt::Display) {
        write!(self.text.borrow_mut(), "{text}").expect("text can always be added to a string");
    }
}

/// One engine's ratio to each: the median of the ratios within the rounds.
fn versus(samples: &[Sample], number: usize) -> Vec<String> {
    let ratio = |other: usize| match other == number {
        true => "-".to_owned(),
        false => format!("{:.2}", samples[number].ratios(&samples[other]).median()),
    };
    (0..samples.len()).map(ratio).collect()
}

/// Median, tenth and ninetieth percentile.
pub fn spread(sample: &Sample, decimals: usize) -> Vec<String> {
    [0.5, 0.1, 0.9].map(|q| format!("{:.decimals$}", sample.quantile(q))).to_vec()
}

/// What is at the head of the columns of [`spread`].
pub fn spread_columns(unit: &str) -> [String; 3] {
    [unit.to_owned(), "p10".to_owned(), "p90".to_owned()]
}

/// Nanoseconds for one of `count`.
pub fn ns_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// Microseconds for one of `count`.
pub fn us_each(time: Duration, count: usize) -> f64 {
    ns_each(time, count) / 1e3
}

/// Bytes as megabytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// How many there are of something, for titles: "20 k rows".
pub fn count_of(count: usize, things: &str) -> String {
    match count % 1000 {
        0 => format!("{} k {things}", count / 1000),
        _ => format!("{count} {things}"),
    }
}

/// How many rows there are, for titles.
pub fn rows(count: usize) -> String {
    count_of(count, "rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: [f64; 3]) -> Sample {
        let mut sample = Sample::default();
        values.into_iter().for_each(|value| sample.push(value));
        sample
    }

    #[test]
    fn a_bar_beyond_one_means_that_we_are_ahead_in_times_and_in_speeds() {
        let (fast, slow) = (sample([1.0, 2.0, 3.0]), sample([2.0, 6.0, 3.0]));
        let ratios = |samples: &[Sample], better| {
            let report = Report::default();
            report.chart("title", &["lmdb", "dynamite"], samples, better);
            report.groups.take()[0].bars.iter().map(|bar| (bar.label.clone(), bar.ratio)).collect::<Vec<_>>()
        };
        let samples = [slow, fast];
        assert_eq!(ratios(&samples, Better::Less), [("lmdb".to_owned(), 2.0)]);
        assert_eq!(ratios(&samples, Better::More), [("lmdb".to_owned(), 0.5)]);
    }

    #[test]
    fn a_row_shows_its_ratio_to_each_other_by_turns() {
        let samples = [sample([1.0, 2.0, 3.0]), sample([2.0, 6.0, 3.0])];
        assert_eq!(versus(&samples, 0), ["-", "0.50"]);
        assert_eq!(versus(&samples, 1), ["2.00", "-"]);
    }
}
