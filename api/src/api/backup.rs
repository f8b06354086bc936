//! Backups: the whole database, as it was at one moment, in another file.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::api::database::{DynaMite, Shared};
use crate::api::options::new_database_id;
use crate::api::snapshot::Snapshot;
use crate::error::Result;

pub use dynamite_txn::backup::Progress as BackupProgress;

/// A copy of everything into a new file, which is a database of its own then. [`DynaMite::backup`] and
/// [`Snapshot::backup`] begin one.
///
/// ```
/// # let directory = tempfile::tempdir_in(std::env::var("CARGO_TARGET_TMPDIR").unwrap_or(".".into()))?;
/// # let path = directory.path().join("backup.db");
/// use std::ops::ControlFlow;
///
/// use dynamite_core::api::DynaMite;
/// use dynamite_core::types::KeyType;
/// use serde_json::json;
///
/// let db = DynaMite::in_memory()?;
/// db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
/// db.put_item("users", json!({"user_id": "alice", "age": 30}))?;
///
/// let copied = db
///     .backup(&path)
///     .progress(|done| {
///         println!("{} of {} items", done.items, done.of_items);
///         ControlFlow::Continue(())
///     })
///     .execute()?;
/// assert_eq!(copied.items, 1);
///
/// let copy = DynaMite::open(&path)?;
/// let alice = copy.get_item("users").partition_key("alice").execute()?.unwrap();
/// assert_eq!(alice["age"], 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is copied before `execute`"]
pub struct Backup<'a> {
    original: Original,
    path: PathBuf,
    tell: Option<Box<dyn FnMut(BackupProgress) -> ControlFlow<()> + 'a>>,
}

/// What is copied.
enum Original {
    /// Everything, page by page.
    Database(Arc<Shared>),
    /// What a snapshot sees, item by item.
    Snapshot(dynamite_txn::Snapshot),
}

impl DynaMite {
    /// Begins to say how the database, as it is when that is executed, is to be copied to a new file: page by page, as fast as the
    /// devices read and write, whatever the order in which it was filled. Reads and writes go on meanwhile; nothing that is
    /// written from then on is in the copy. This is also how a database in memory is saved.
    ///
    /// Named snapshots and old versions come along. Free pages remain free pages in the copy; for one that is as small as can be,
    /// back up a [snapshot](DynaMite::snapshot). Pages that the original frees meanwhile are used again only afterwards.
    pub fn backup<'a>(&self, path: impl Into<PathBuf>) -> Backup<'a> {
        Backup { original: Original::Database(self.shared.clone()), path: path.into(), tell: None }
    }
}

impl Snapshot {
    /// Begins to say how what this snapshot sees is to be copied to a new file: item by item, into full pages that follow one another.
    /// Reads and writes go on meanwhile. A copy for which a table that was filled in random order is read leaf by leaf, so
    /// it takes longer than [that of the whole database](DynaMite::backup).
    ///
    /// Tables that keep old versions bring them along; named snapshots are left behind.
    pub fn backup<'a>(&self, path: impl Into<PathBuf>) -> Backup<'a> {
        Backup { original: Original::Snapshot(self.state.clone()), path: path.into(), tell: None }
    }
}

impl<'a> Backup<'a> {
    /// Is told a few times for each MiB how far the backup is, and calls it off by returning [`ControlFlow::Break`].
    pub fn progress(mut self, tell: impl FnMut(BackupProgress) -> ControlFlow<()> + 'a) -> Backup<'a> {
        self.tell = Some(Box::new(tell));
        self
    }

    /// Copies, and returns how much that was. When it returns, the copy is durable.
    ///
    /// The copy has all tables and items, with their versions, so that a version from the original can be expected of
    /// it; versions that it gives out are greater.
    ///
    /// While it is written the file has another name, with `.partial` added. After an error, or when it was called
    /// off, nothing is left.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`](crate::Error::AlreadyExists) if there is something at the path, whatever it is;
    /// [`Error::Locked`](crate::Error::Locked) if another backup to it is under way;
    /// [`Error::Cancelled`](crate::Error::Cancelled); [`Error::DiskFull`](crate::Error::DiskFull),
    /// [`Error::Corrupt`](crate::Error::Corrupt) and the like name the file that is concerned.
    pub fn execute(self) -> Result<BackupProgress> {
        let mut go_on = |_| ControlFlow::Continue(());
        let mut tell = self.tell;
        let tell: &mut dyn FnMut(BackupProgress) -> ControlFlow<()> = match &mut tell {
            Some(tell) => tell,
            None => &mut go_on,
        };
        let database_id = new_database_id()?;
        Ok(match self.original {
            Original::Database(shared) => shared.store.backup(self.path, database_id, tell)?,
            Original::Snapshot(state) => state.backup(self.path, database_id, tell)?,
        })
    }
}

impl fmt::Debug for Backup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("path", &self.path).finish_non_exhaustive()
    }
}
