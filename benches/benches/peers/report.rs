//! Columns that compare every engine with every other.

use std::time::Duration;

use dynamite_benches::sample::Sample;
use dynamite_benches::table::Table;

/// Prints a table of one row an engine: its own figures, and the ratios of its sample to the others', turn by turn.
pub(crate) fn print_versus(
    title: impl Into<String>,
    names: &[&str],
    columns: &[&str],
    figures: impl Fn(usize) -> Vec<String>,
    samples: &[Sample],
) {
    let ratios: Vec<String> = names.iter().map(|name| format!("of {name}")).collect();
    let columns: Vec<&str> =
        ["engine"].iter().chain(columns).copied().chain(ratios.iter().map(String::as_str)).collect();
    let mut table = Table::new(title, &columns);
    for (number, name) in names.iter().enumerate() {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(figures(number));
        cells.extend(versus(samples, number));
        table.row_of(cells);
    }
    table.print();
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
pub(crate) fn spread(sample: &Sample, decimals: usize) -> Vec<String> {
    [0.5, 0.1, 0.9].map(|q| format!("{:.decimals$}", sample.quantile(q))).to_vec()
}

/// What is at the head of the columns of [`spread`].
pub(crate) fn spread_columns(unit: &str) -> [String; 3] {
    [unit.to_owned(), "p10".to_owned(), "p90".to_owned()]
}

/// Nanoseconds for one of `count`.
pub(crate) fn ns_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// Microseconds for one of `count`.
pub(crate) fn us_each(time: Duration, count: usize) -> f64 {
    ns_each(time, count) / 1e3
}

/// Bytes as megabytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// A title's beginning that says how many rows there are.
pub(crate) fn rows(count: usize) -> String {
    match count % 1000 {
        0 => format!("{} k rows", count / 1000),
        _ => format!("{count} rows"),
    }
}
