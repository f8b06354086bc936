//! Who takes part in a run: those that the command line names, each with a directory of its own.

use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::peers::{Config, Database, DiskUse, Kind, Outcome};
use crate::scratch::Scratch;

/// The command line's options that every comparison knows, besides those of its own.
pub const OPTIONS: [&str; 4] = ["--rows", "--engines", "--dir", "--record"];

/// One engine's open database.
pub struct Entrant<E: ?Sized> {
    /// Which engine.
    pub kind: Kind<E>,
    /// Where all its files are.
    pub directory: PathBuf,
    /// The database.
    pub engine: Box<E>,
}

impl<E: Database + ?Sized> Entrant<E> {
    /// Opens the database in this directory, and creates it if there is none.
    pub fn open(kind: Kind<E>, directory: PathBuf, config: &Config) -> Outcome<Entrant<E>> {
        let engine = (kind.open)(&directory, config).map_err(|error| format!("{}: {error}", kind.name))?;
        Ok(Entrant { kind, directory, engine })
    }

    /// The size of all its files.
    pub fn disk_use(&self) -> Outcome<DiskUse> {
        Ok(DiskUse::of(&self.directory)?)
    }

    /// Closes it and looks at what it leaves.
    pub fn close(self) -> Outcome<DiskUse> {
        self.engine.close()?;
        Ok(DiskUse::of(&self.directory)?)
    }

    /// Closes it and opens it again, and says how large it was in between.
    pub fn reopen(self, config: &Config) -> Outcome<(Entrant<E>, DiskUse)> {
        let (kind, directory) = (self.kind, self.directory.clone());
        let closed = self.close()?;
        Ok((Entrant::open(kind, directory, config)?, closed))
    }
}

/// Closes databases and removes their files.
pub fn remove<E: Database + ?Sized>(entrants: Vec<Entrant<E>>) -> Outcome<()> {
    for entrant in entrants {
        let directory = entrant.directory.clone();
        entrant.close()?;
        std::fs::remove_dir_all(directory)?;
    }
    Ok(())
}

/// Those engines that `--engines` names, in its order, or else all.
pub fn chosen<E: ?Sized>(arguments: &Arguments, all: &[Kind<E>]) -> Outcome<Vec<Kind<E>>> {
    let Some(names) = arguments.option("--engines") else { return Ok(all.to_vec()) };
    let find = |name: &str| all.iter().find(|kind| kind.name == name).copied();
    names
        .split(',')
        .map(|name| find(name).ok_or_else(|| format!("no engine is called {name}").into()))
        .collect()
}

/// The number that an option gives, if it is there.
pub fn number(arguments: &Arguments, option: &str) -> Outcome<Option<usize>> {
    let parse = |value: &str| value.parse().map_err(|error| format!("{option} {value}: {error}"));
    Ok(arguments.option(option).map(parse).transpose()?)
}

/// A directory in the one that `--dir` names, or else where [`Scratch::new`] makes it.
pub fn scratch(arguments: &Arguments, default: &str) -> Outcome<Scratch> {
    Ok(match arguments.option("--dir") {
        Some(parent) => Scratch::within(Path::new(parent))?,
        None => Scratch::new(default)?,
    })
}
