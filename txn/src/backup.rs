//! Online backup: a consistent copy of the database in another file, while writes go on. There are two kinds.
//!
//! * [`Store::backup`] copies *pages*: all that is in use in the newest commit, each in its place, as fast as the devices read and
//!   write. The copy is the database as an open after a power cut would find it, named snapshots and old versions included; free
//!   pages stay free. What the original frees meanwhile it uses again only afterwards. See [`dynamite_pager::copy`].
//! * [`Snapshot::backup`] copies *records*: what the snapshot sees, loaded in the order of the keys. The pages of the copy are full
//!   and stand one after the other, and it holds nothing that only the original's past explains. What that costs is
//!   processor time for each record, and for a table that was filled in random order a random read of each leaf.
//!
//! Either copy has another database id: pages of the two are never taken for one another.
//!
//! # What a copy of records is
//!
//! 1. Every table has its id, its name and what is kept with that, its retention, and every live item with its version: the
//!    layers above store ids and versions, and users hold versions to write against. No table id is given out twice; ids
//!    that the original gave out up to now count as used.
//! 2. Every version that the copy gives out is above all that it holds: its first birth is behind the snapshot.
//! 3. A table that keeps old versions brings them along, as far back as the original has them when they are copied:
//!    what was superseded up to the snapshot, and the tombstones that lead to it. The times of these go along too, so
//!    that [`as_of`](Store::as_of) answers for the past as the original does. Other tables bring neither versions nor
//!    tombstones.
//! 4. Named snapshots and dropped tables are left behind.
//!
//! # How the file comes into being
//!
//! It is written under the name with `.partial` added, as an [unfinished](dynamite_pager::Options::unfinished)
//! database, which nobody can open. When everything in it is durable it is made complete, then given its name. So
//! there is never a file of that name that is not the whole copy. After an error nothing is left; what a crash leaves
//! is refused by an open and replaced by the next backup to that name.
//!
//! # How a copy of records keeps out of the way
//!
//! One thread reads portions of a few hundred KiB, each in an operation of its own, and hands them to the calling thread,
//! which writes. So reading and writing overlap, no page is held for long, and writers wait for neither. What the
//! snapshot costs is the versions that change meanwhile. Memory: [`CACHE_BYTES`] for the pages of the copy, and some
//! portions; never a whole table.

mod load;
mod portion;
mod reader;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread;

use dynamite_bptree::TreeError;
use dynamite_pager::copy::NewCopy;
use dynamite_pager::disk::Disk;
use dynamite_pager::disk::file::rename_to_new;
use dynamite_pager::{Birth, IoOperation, PAGE_SIZE, Pager, PagerError};

use crate::backup::load::Load;
use crate::backup::portion::Portion;
use crate::backup::reader::Reader;
use crate::error::{Result, TxnError};
use crate::store::{Snapshot, Store};

/// Bytes of the buffer pool through which the copy is written.
const CACHE_BYTES: usize = 8 << 20;

/// Portions that have been read and wait to be written.
const PORTIONS_AHEAD: usize = 3;

/// How far a backup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items that are copied. Where pages are copied, none before the last page, and then all.
    pub items: u64,
    /// Bytes of their keys and payloads, or of the pages that are copied.
    pub bytes: u64,
    /// Items that there were when the backup began, in its tables. What was written since the snapshot was taken
    /// counts, so the end may be a little above or below.
    pub of_items: u64,
    /// The same of bytes; of pages, all that are in use.
    pub of_bytes: u64,
}

/// Is told how far a backup is, a few times for each MiB, and may call it off.
pub type Tell<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

impl Store {
    /// Copies the whole database, as it is now, to a new file, which is a database of its own then: page by page, named snapshots and
    /// old versions included. Returns what was copied, durably. See the [module](self).
    ///
    /// # Errors
    ///
    /// Those of [`Snapshot::backup`]. After a failed write only a snapshot can be backed up, since what is durable is not
    /// all that was promised.
    pub fn backup(&self, path: impl AsRef<Path>, database_id: [u8; 16], tell: Tell<'_>) -> Result<Progress> {
        let options = &self.shared().options;
        let create = |partial: &Path| Ok(NewCopy::create(options, partial, database_id)?);
        into_place(path.as_ref(), create, |copy| self.fill(copy, tell))
    }

    /// As [`backup`](Store::backup), to a disk of the caller's. After an error there is an unfinished database on it.
    pub fn backup_on(&self, disk: Arc<dyn Disk>, database_id: [u8; 16], tell: Tell<'_>) -> Result<Progress> {
        self.fill(NewCopy::create_on(disk, database_id)?, tell)
    }

    fn fill(&self, copy: NewCopy, tell: Tell<'_>) -> Result<Progress> {
        match self.flush() {
            Err(TxnError::Tree(TreeError::Pager(PagerError::ReadOnly { .. }))) => {}
            flushed => flushed?,
        }
        let mut progress = Progress { of_items: self.items()?, ..Progress::default() };
        let copied = copy.fill(&self.shared().pager, &mut |copied| {
            (progress.bytes, progress.of_bytes) = (bytes(copied.pages), bytes(copied.of_pages));
            if copied.pages == copied.of_pages {
                progress.items = progress.of_items;
            }
            tell(progress)
        })?;
        match copied {
            Some(_) => Ok(progress),
            None => Err(TxnError::Cancelled),
        }
    }

    /// Items of all tables.
    fn items(&self) -> Result<u64> {
        let mut read = self.read()?;
        let tables = read.tables()?;
        tables.iter().try_fold(0_u64, |sum, (_, table)| Ok(sum.saturating_add(read.stats(table.id)?.items)))
    }
}

fn bytes(pages: u64) -> u64 {
    pages * PAGE_SIZE as u64
}

impl Snapshot {
    /// Copies everything that this snapshot sees to a new file, which is a database of its own then. Returns what was
    /// copied, durably. See the [module](self).
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use std::sync::Arc;
    /// use dynamite_txn::{ManualClock, Options, Retention};
    ///
    /// # let directory = tempfile::tempdir_in(std::env::var("CARGO_TARGET_TMPDIR").unwrap_or(".".into()))?;
    /// # let path = directory.path().join("copy.db");
    /// let options = Options::new(Arc::new(ManualClock::at(0)));
    /// let store = options.in_memory(*b"drawn by chance!")?;
    /// let fruit = store.write(|txn| txn.create_table(b"fruit", b"", Retention::None))?;
    /// store.write(|txn| txn.put(fruit, b"apple", b"red"))?;
    ///
    /// let copied = store.snapshot()?.backup(&path, *b"another by luck!", &mut |_| ControlFlow::Continue(()))?;
    /// assert_eq!(copied.items, 1);
    ///
    /// let copy = options.open(&path)?;
    /// let version = |store: &dynamite_txn::Store| store.read()?.get(fruit, b"apple", |version, _| version);
    /// assert_eq!(version(&copy)?, version(&store)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PagerError::AlreadyExists`] if there is something at `path`, [`PagerError::FileLocked`] if another backup to
    /// that path is under way, [`TxnError::Cancelled`], and whatever goes wrong with either file; the error names it.
    /// Nothing is left behind then, and the original is none the worse.
    pub fn backup(&self, path: impl AsRef<Path>, database_id: [u8; 16], tell: Tell<'_>) -> Result<Progress> {
        let create = |partial: &Path| Ok(self.copy_options()?.create(partial, database_id)?);
        into_place(path.as_ref(), create, |pager| {
            let copied = self.copy_to(&pager, tell)?;
            pager.complete()?;
            Ok(copied)
        })
    }

    /// As [`backup`](Snapshot::backup), to a disk of the caller's. After an error there is an unfinished database on it.
    pub fn backup_on(&self, disk: Arc<dyn Disk>, database_id: [u8; 16], tell: Tell<'_>) -> Result<Progress> {
        let pager = self.copy_options()?.create_on(disk, database_id)?;
        let copied = self.copy_to(&pager, tell)?;
        pager.complete()?;
        Ok(copied)
    }

    /// How the copy is created: with the I/O of the original.
    fn copy_options(&self) -> Result<dynamite_pager::Options> {
        if let Some(table) = self.only {
            return Err(TxnError::OneTableOnly { table });
        }
        let options = self.shared.options.clone().cache_bytes(CACHE_BYTES).background(false);
        Ok(options.unfinished(true).first_birth(Birth(self.txn.0).next()))
    }

    fn copy_to(&self, pager: &Pager, tell: Tell<'_>) -> Result<Progress> {
        let (portions, read) = sync_channel(PORTIONS_AHEAD);
        let (emptied, empty) = channel();
        thread::scope(|scope| {
            let reader = move || {
                let outcome = Reader::new(self, &portions, &empty).run();
                // Whoever broke off knows why.
                let _ = outcome.or_else(|error| portions.send(Err(error)));
            };
            thread::Builder::new().name("dynamite-backup".into()).spawn_scoped(scope, reader).map_err(
                |source| PagerError::Io {
                    operation: IoOperation::Spawn,
                    path: self.shared.pager.path(),
                    source: Arc::new(source),
                },
            )?;
            self.write(pager, read, |portion| drop(emptied.send(portion)), tell)
        })
    }

    /// Writes what the other thread reads. Dropping `read` ends that.
    fn write(
        &self,
        pager: &Pager,
        read: Receiver<Result<Portion>>,
        give_back: impl Fn(Portion),
        tell: Tell<'_>,
    ) -> Result<Progress> {
        let mut load = Load::begin(pager, self.txn)?;
        let mut progress = Progress::default();
        while let Ok(portion) = read.recv() {
            let portion = portion?;
            load = load.take(&portion)?;
            progress.items += portion.items;
            progress.bytes += portion.live_bytes;
            (progress.of_items, progress.of_bytes) = portion.of;
            let is_last = portion.is_last();
            give_back(portion);
            if tell(progress).is_break() {
                return Err(TxnError::Cancelled);
            }
            if is_last {
                let published = self.shared.pager.published().roots.commit_time;
                let now = self.shared.clock.now_ms().max(self.committed_ms).max(published);
                load.finish(now)?;
                return Ok(progress);
            }
        }
        // Only a panic ends the reader without a last portion or an error; it goes on when the scope ends.
        Err(TxnError::Cancelled)
    }
}

/// Has a copy created and filled under the name of one that is not complete, and gives it its own. After an error nothing is left.
fn into_place<C>(
    path: &Path,
    create: impl FnOnce(&Path) -> Result<C>,
    fill: impl FnOnce(C) -> Result<Progress>,
) -> Result<Progress> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(PagerError::AlreadyExists { path: path.into() }.into());
    }
    let partial = partial(path);
    let created = create(&partial)?;
    let mut leftover = Leftover(Some(partial));
    let copied = fill(created)?;
    if let Some(partial) = &leftover.0 {
        rename_to_new(partial, path)?;
    }
    leftover.0 = None;
    Ok(copied)
}

/// The name of a copy that is not complete.
fn partial(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

/// What is removed unless the copy becomes complete.
struct Leftover(Option<PathBuf>);

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(partial) = &self.0
            && let Err(error) = fs::remove_file(partial)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %partial.display(), "an unfinished backup could not be removed");
        }
    }
}
