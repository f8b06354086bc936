//! Databases that are loaded once and copied for every workload that begins with a loaded one.

use std::path::{Path, PathBuf};

use dynamite_benches::dataset::Dataset;
use dynamite_benches::peers::{Config, Kind, Outcome, Session, copy_database};

/// Rows in one transaction of a load: a hundredth of all. A fixed number would have each transaction of a small run
/// rewrite the whole file, and what copy-on-write leaves behind then would be out of all proportion.
pub(crate) fn load_batch(data: &Dataset) -> usize {
    data.rows.div_ceil(100)
}

/// Memory for loading.
const CACHE_BYTES: usize = 512 << 20;

/// All rows in every engine's files, closed.
pub(crate) struct Fixture {
    data: Dataset,
    directory: PathBuf,
}

impl Fixture {
    pub(crate) fn new(data: Dataset, directory: PathBuf) -> Fixture {
        Fixture { data, directory }
    }

    /// Copies an engine's database, which is loaded if nobody has asked for it before.
    pub(crate) fn copy(&self, kind: &Kind, to: &Path) -> Outcome<()> {
        let loaded = self.directory.join(kind.name);
        if !loaded.exists() {
            let unfinished = self.directory.join(format!("{}-unfinished", kind.name));
            let config = Config { cache_bytes: CACHE_BYTES, sessions: 1, exceeds_memory: false };
            let engine = (kind.open)(&unfinished, &config)?;
            let mut session = engine.session()?;
            let rows: Vec<usize> = (0..self.data.rows).collect();
            rows.chunks(load_batch(&self.data))
                .try_for_each(|batch| put(&mut *session, &self.data, batch))?;
            drop(session);
            engine.close()?;
            std::fs::rename(unfinished, &loaded)?;
        }
        Ok(copy_database(&loaded, to)?)
    }
}

/// Puts these rows as a database begins with them, in one transaction.
pub(crate) fn put(session: &mut dyn Session, data: &Dataset, rows: &[usize]) -> Outcome<()> {
    let rows: Vec<_> = rows.iter().map(|row| data.row(*row)).collect();
    session.put_many(&rows.iter().map(|(key, value)| (&key[..], &value[..])).collect::<Vec<_>>())
}
