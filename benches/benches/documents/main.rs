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
use dynamite_benches::harness::workloads::{self, Workload};
use dynamite_benches::harness::{entrant, helper};
use dynamite_benches::peers::Outcome;

use crate::contest::Contest;

const WORKLOADS: [Workload<Contest>; 6] = [
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
    workloads::run(&WORKLOADS, &arguments, Contest::new, |contest| &contest.report)
}
