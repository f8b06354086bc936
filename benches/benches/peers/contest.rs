//! Who takes part in a run, with what rows, and where.

use std::path::{Path, PathBuf};

use dynamite_benches::arguments::{Arguments, Effort};
use dynamite_benches::dataset::Dataset;
use dynamite_benches::peers::{Config, DiskUse, Engine, KINDS, Kind, Outcome, drop_page_cache};
use dynamite_benches::scratch::Scratch;

use crate::fixture::Fixture;

/// The command line's own options.
pub(crate) const OPTIONS: [&str; 4] = ["--rows", "--commits", "--engines", "--dir"];

/// What all workloads share.
pub(crate) struct Contest {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) data: Dataset,
    /// One-put commits where a workload needs many.
    pub(crate) commits: Option<usize>,
    pub(crate) effort: Effort,
    /// On the device to be measured.
    pub(crate) scratch: Scratch,
    fixture: Fixture,
}

impl Contest {
    pub(crate) fn new(arguments: &Arguments) -> Outcome<Contest> {
        let scratch = match arguments.option("--dir") {
            Some(parent) => Scratch::within(Path::new(parent))?,
            None => Scratch::new(env!("CARGO_TARGET_TMPDIR"))?,
        };
        let rows = number(arguments, "--rows")?;
        let rows = rows.unwrap_or_else(|| arguments.effort.pick(1_000_000, 100_000, 3_000));
        let data = Dataset { rows: rows.max(2_000), seed: 1 };
        Ok(Contest {
            kinds: kinds(arguments.option("--engines"))?,
            data,
            commits: number(arguments, "--commits")?,
            effort: arguments.effort,
            fixture: Fixture::new(data, scratch.file("loaded")),
            scratch,
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

/// One engine's open database.
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    pub(crate) directory: PathBuf,
    pub(crate) engine: Box<dyn Engine>,
}

impl Contestant {
    pub(crate) fn open(kind: Kind, directory: PathBuf, config: &Config) -> Outcome<Contestant> {
        let engine = (kind.open)(&directory, config).map_err(|error| format!("{}: {error}", kind.name))?;
        Ok(Contestant { kind, directory, engine })
    }

    /// The size of all its files.
    pub(crate) fn disk_use(&self) -> Outcome<DiskUse> {
        Ok(DiskUse::of(&self.directory)?)
    }

    /// Closes it and looks at what it leaves.
    pub(crate) fn close(self) -> Outcome<DiskUse> {
        self.engine.close()?;
        Ok(DiskUse::of(&self.directory)?)
    }

    /// Closes it and opens it again, and says how large it was in between.
    pub(crate) fn reopen(self, config: &Config) -> Outcome<(Contestant, DiskUse)> {
        let (kind, directory) = (self.kind, self.directory.clone());
        let closed = self.close()?;
        Ok((Contestant::open(kind, directory, config)?, closed))
    }
}

/// Closes databases and removes their files.
pub(crate) fn remove(contestants: Vec<Contestant>) -> Outcome<()> {
    for contestant in contestants {
        let directory = contestant.directory.clone();
        contestant.close()?;
        std::fs::remove_dir_all(directory)?;
    }
    Ok(())
}

fn kinds(names: Option<&str>) -> Outcome<Vec<Kind>> {
    let Some(names) = names else { return Ok(KINDS.to_vec()) };
    let find = |name: &str| KINDS.iter().find(|kind| kind.name == name).copied();
    names
        .split(',')
        .map(|name| find(name).ok_or_else(|| format!("no engine is called {name}").into()))
        .collect()
}

fn number(arguments: &Arguments, option: &str) -> Outcome<Option<usize>> {
    let parse = |value: &str| value.parse().map_err(|error| format!("{option} {value}: {error}"));
    Ok(arguments.option(option).map(parse).transpose()?)
}
