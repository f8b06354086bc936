//! Who takes part in a run, with what rows, and where.

use std::path::Path;

use dynamite_benches::arguments::{Arguments, Effort};
use dynamite_benches::dataset::Dataset;
use dynamite_benches::harness::entrant::{self, number};
use dynamite_benches::harness::record::Record;
use dynamite_benches::harness::report::Report;
use dynamite_benches::peers::{Config, Engine, KINDS, Kind, Outcome, drop_page_cache};
use dynamite_benches::scratch::Scratch;

use crate::fixture::Fixture;

/// The command line's own options, besides those of every comparison.
const COMMITS: &str = "--commits";

/// One engine's open database.
pub(crate) type Contestant = entrant::Entrant<dyn Engine>;

/// The command line's options.
pub(crate) fn options() -> Vec<&'static str> {
    entrant::OPTIONS.into_iter().chain([COMMITS]).collect()
}

/// What all workloads share.
pub(crate) struct Contest {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) data: Dataset,
    /// One-put commits where a workload needs many.
    pub(crate) commits: Option<usize>,
    pub(crate) effort: Effort,
    /// On the device to be measured.
    pub(crate) scratch: Scratch,
    pub(crate) report: Report,
    fixture: Fixture,
}

impl Contest {
    pub(crate) fn new(arguments: &Arguments) -> Outcome<Contest> {
        let scratch = entrant::scratch(arguments, env!("CARGO_TARGET_TMPDIR"))?;
        let rows = number(arguments, "--rows")?;
        let rows = rows.unwrap_or_else(|| arguments.effort.pick(1_000_000, 100_000, 3_000));
        let data = Dataset { rows: rows.max(2_000), seed: 1 };
        Ok(Contest {
            kinds: entrant::chosen(arguments, KINDS)?,
            data,
            commits: number(arguments, COMMITS)?,
            effort: arguments.effort,
            fixture: Fixture::new(data, scratch.file("loaded")),
            scratch,
            report: Report::new(Record::asked_for(arguments, "peers")?),
        })
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.kinds.iter().map(|kind| kind.name).collect()
    }

    /// Memory that is enough for everything to stay in it.
    pub(crate) fn ample(&self, sessions: usize) -> Config {
        let cache_bytes = (4 * self.data.raw_bytes() as usize).max(64 << 20) * sessions.min(2);
        Config { cache_bytes, sessions, exceeds_memory: false }
    }

    /// A database of each engine with all rows in it, below a directory, as if it had been open for a while: what the engine
    /// reads is in its memory, or in the kernel's if that is what it uses, and the copying has left nothing there.
    pub(crate) fn loaded(&self, parent: &Path, config: &Config) -> Outcome<Vec<Contestant>> {
        let open = |kind: &Kind| {
            let directory = parent.join(kind.name);
            self.fixture.copy(kind, &directory)?;
            // A write past the page cache has to look for what the copying left there.
            drop_page_cache(&directory)?;
            let contestant = Contestant::open(*kind, directory, config)?;
            contestant.engine.session()?.scan()?;
            Ok(contestant)
        };
        self.kinds.iter().map(open).collect()
    }

    /// A database of each engine without any row, below a directory.
    pub(crate) fn empty(&self, parent: &Path, config: &Config) -> Outcome<Vec<Contestant>> {
        self.kinds.iter().map(|kind| Contestant::open(*kind, parent.join(kind.name), config)).collect()
    }

    /// Where a loaded database of this engine stands that nobody has open.
    pub(crate) fn copy(&self, kind: &Kind, directory: &Path) -> Outcome<()> {
        self.fixture.copy(kind, directory)
    }
}
