//! Running the workloads that the command line asks for.

use crate::arguments::Arguments;
use crate::harness::report::Report;
use crate::peers::Outcome;

/// A workload on a contest of type `C`: what the command line calls it, and what it does.
pub type Workload<C> = (&'static str, fn(&C) -> Outcome<()>);

/// Runs those of the workloads that are wanted, on one contest, or lists them.
pub fn run<C>(
    workloads: &[Workload<C>],
    arguments: &Arguments,
    contest: impl FnOnce(&Arguments) -> Outcome<C>,
    report: impl Fn(&C) -> &Report,
) -> Outcome<()> {
    let wanted = workloads.iter().filter(|(name, _)| arguments.wants(name));
    if arguments.list {
        wanted.for_each(list);
        return Ok(());
    }
    let contest = contest(arguments)?;
    for (name, run) in wanted {
        run(&contest).map_err(|error| format!("{name}: {error}"))?;
        report(&contest).end(name)?;
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "that is what was asked for")]
fn list<C>((name, _): &Workload<C>) {
    println!("{name}: benchmark");
}
