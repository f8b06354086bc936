//! Where benchmarks keep their files: a directory on the device to be measured, gone afterwards.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Names the directory on the device to be measured.
pub const VARIABLE: &str = "BENCH_DIR";

/// A directory of this benchmark's own, removed when dropped.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// A directory in the one that `BENCH_DIR` names, or else in `default`.
    pub fn new(default: &str) -> io::Result<Scratch> {
        Scratch::within(&std::env::var_os(VARIABLE).map_or_else(|| default.into(), PathBuf::from))
    }

    /// A directory in this one, which is created if need be.
    pub fn within(parent: &Path) -> io::Result<Scratch> {
        std::fs::create_dir_all(parent)?;
        Ok(Scratch(TempDir::with_prefix_in("dynamite-bench-", parent)?))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
