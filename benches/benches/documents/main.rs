//! DynaMite's document API beside LMDB, redb and SQLite with each document as JSON text that `serde_json` writes and reads.
//!
//! ```text
//! cargo bench -p dynamite-benches --features peers --bench documents -- [workload…] [--quick]
//!     [--rows N] [--engines a,b] [--dir PATH] [--record DIRECTORY]
//! ```
//!
//! The documents are people, in some 400 bytes of JSON with eight attributes, a million of them unless `--rows` says
//! otherwise, under random-looking keys of 24 bytes. The engines have the same memory and the same durability as in the
//! benchmark `peers`, and take turns in the same way.

#![forbid(unsafe_code)]

mod contest;

mod get;

mod put;

mod query;

mod load;

mod scan;

mod bare_scan;

mod large;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::harness::{entrant, helper};
use dynamite_benches::peers::Outcome;

use crate::contest::Contest;

/// A workload: what the command line calls it, and what it does.
type Workload = (&'static str, fn(&Contest) -> Outcome<()>);

const WORKLOADS: [Workload; 6] = [
    ("get", get::run),
    ("put", put::run),
    ("query", query::run),
    ("load", load::run),
    ("scan", scan::run),
    ("large", large::run),
];

fn main() -> Outcome<()> {
    if let Some((arguments, limited)) = helper::child_arguments()? {
        return scan::run_as_child(&arguments, limited);
    }
    let arguments = Arguments::of_process_with(&entrant::OPTIONS);
    let wanted = WORKLOADS.into_iter().filter(|(name, _)| arguments.wants(name));
    if arguments.list {
        list(wanted);
        return Ok(());
    }
    let contest = Contest::new(&arguments)?;
    for (name, run) in wanted {
        run(&contest).map_err(|error| format!("{name}: {error}"))?;
        contest.report.end(name)?;
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "that is what was asked for")]
fn list(workloads: impl Iterator<Item = Workload>) {
    workloads.for_each(|(name, _)| println!("{name}: benchmark"));
}
