//! DynaMite's engine beside others: the same rows, the same memory, the same durability, in turns.
//!
//! ```text
//! cargo bench -p dynamite-benches --features peers --bench peers -- [workload…] [--quick]
//!     [--rows N] [--commits N] [--engines a,b] [--dir PATH] [--record DIRECTORY]
//! ```
//!
//! Keys of 24 bytes and values of 150, a million of them unless `--rows` says otherwise, loaded in random order. All
//! engines take turns in every round, so a device or a machine that drifts drifts for all. Tables give each engine's own
//! figures, and beside them its ratio to each of the others: the median of the ratios within the rounds. Where
//! durability matters, F is one write of 4 KiB and one flush on the same file system, measured in turns with the rest.

#![forbid(unsafe_code)]

mod contest;

mod fixture;

mod get;

mod scan;

mod put;

mod threads;

mod cpu;

mod cold;

mod snapshot;

mod load;

mod delete;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::harness::helper;
use dynamite_benches::harness::workloads::{self, Workload};
use dynamite_benches::peers::Outcome;

use crate::contest::Contest;

const WORKLOADS: [Workload<Contest>; 9] = [
    ("get", get::run),
    ("scan", scan::run),
    ("put", put::run),
    ("threads", threads::run),
    ("cpu", cpu::run),
    ("cold", cold::run),
    ("snapshot", snapshot::run),
    ("load", load::run),
    ("delete", delete::run),
];

fn main() -> Outcome<()> {
    if let Some((arguments, limited)) = helper::child_arguments()? {
        return cold::run_as_child(&arguments, limited);
    }
    let arguments = Arguments::of_process_with(&contest::options());
    workloads::run(&WORKLOADS, &arguments, Contest::new, |contest| &contest.report)
}
