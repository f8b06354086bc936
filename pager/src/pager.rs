//! An open database file, as the layers above see it: operations that read, batches that write.
//!
//! ```
//! use dynamite_pager::{Access, Options, PageKind, Placement, Roots};
//!
//! # fn main() -> dynamite_pager::Result<()> {
//! let database_id = *b"drawn by chance!";
//! let pager = Options::new().in_memory(database_id)?;
//!
//! // Writing: a batch allocates pages, points the roots at them and commits.
//! let mut batch = pager.begin()?;
//! let root = batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Together)?;
//! batch.page_mut(root).payload_mut()[..5].copy_from_slice(b"hello");
//! batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
//! batch.commit()?;
//!
//! // Reading: an operation follows pointers from the roots that it entered with.
//! let (mut operation, state) = pager.enter()?;
//! let page = operation.read(state.roots.catalog.expect("set above"), Access::Point)?;
//! assert_eq!(&page.payload()[..5], b"hello");
//! # Ok(())
//! # }
//! ```

use std::path::Path;
use std::sync::Arc;

use crate::commit::published::{Published, State};
use crate::commit::write_batch::WriteBatch;
use crate::commit::write_state::Core;
use crate::commit::writer::Writer;
use crate::create::{Beginning, initialise};
use crate::disk::Disk;
use crate::disk::file::{self, IoChoice};
use crate::error::{Corruption, ErrorContext, PagerError, Result, memory_path};
use crate::format::checksum::DatabaseSeed;
use crate::format::header::Header;
use crate::format::page::PAGE_SIZE;
use crate::format::page_id::Birth;
use crate::inspect::HeaderContents;
use crate::pool::buffer_pool::{BufferPool, PageCheck};
use crate::pool::operation::Operation;
use crate::recovery::{Recovered, heal, recover, recover_damaged, recover_older};
use crate::stats::{Counters, Stats};

/// Bytes of the buffer pool unless an option says otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 64 << 20;

/// How to open a database file.
#[derive(Clone, Debug)]
pub struct Options {
    cache_bytes: usize,
    io: Option<IoChoice>,
    background: bool,
    page_check: PageCheck,
    first_birth: Birth,
    unfinished: bool,
    forget_free_space: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache_bytes: DEFAULT_CACHE_BYTES,
            io: None,
            background: true,
            page_check: |_| Ok(()),
            first_birth: Birth(1),
            unfinished: false,
            forget_free_space: false,
        }
    }
}

impl Options {
    /// The defaults: a buffer pool of 64 MiB, I/O chosen automatically, work in the background allowed.
    pub fn new() -> Options {
        Options::default()
    }

    /// Bytes of the buffer pool. Rounded up to the least that works, 1 MiB. The process's memory for the database
    /// stays within this plus 10 % plus 16 MiB, whatever is done with it.
    pub fn cache_bytes(mut self, bytes: usize) -> Options {
        self.cache_bytes = bytes;
        self
    }

    /// Which I/O to use; without this the environment variable `DYNAMITE_IO` (`auto`, `uring` or `syscall`), or else
    /// [`IoChoice::Auto`].
    pub fn io(mut self, choice: IoChoice) -> Options {
        self.io = Some(choice);
        self
    }

    /// Whether background threads may extend the file ahead of need, cut its free tail, and write pages of a large batch while it goes on
    /// (default: yes). Without them the owner calls [`Pager::maintain`] now and then.
    pub fn background(mut self, enabled: bool) -> Options {
        self.background = enabled;
        self
    }

    /// What looks at the form of each page that comes from disk (default: nothing does). See [`PageCheck`].
    pub fn page_check(mut self, check: PageCheck) -> Options {
        self.page_check = check;
        self
    }

    /// The first birth of a database that is created (default: 1): every batch gets a later one. For a copy of a database whose
    /// contents name births of the original.
    pub fn first_birth(mut self, birth: Birth) -> Options {
        self.first_birth = birth;
        self
    }

    /// Whether a database that is created is *unfinished* until [`Pager::complete`] is called (default: no): opening it is
    /// refused until then, whatever has been committed to it, and creating one in the place of another unfinished
    /// one starts afresh. For files that are worth nothing before they are full.
    pub fn unfinished(mut self, unfinished: bool) -> Options {
        self.unfinished = unfinished;
        self
    }

    /// Whether a writable open takes nothing for free, whatever the file says of it (default: no). For repairs of a file whose free space
    /// is damaged: pages come from the end of the file, and whoever knows which pages are in use frees all others.
    pub fn forget_free_space(mut self, forget: bool) -> Options {
        self.forget_free_space = forget;
        self
    }

    /// Creates a database in a new file of 64 KiB. `database_id` should be drawn by chance: it keeps pages of one
    /// database from being taken for pages of another.
    ///
    /// # Errors
    ///
    /// [`PagerError::AlreadyExists`]; [`PagerError::NotFound`] if the directory does not exist, [`PagerError::Io`] if it
    /// cannot be written to.
    pub fn create(&self, path: impl AsRef<Path>, database_id: [u8; 16]) -> Result<Pager> {
        let (disk, context) = self.create_file(path.as_ref(), database_id)?;
        self.start(disk, context, true)
    }

    /// The file of a new database, with nothing in it.
    pub(crate) fn create_file(
        &self,
        path: &Path,
        database_id: [u8; 16],
    ) -> Result<(Arc<dyn Disk>, ErrorContext)> {
        let context = ErrorContext(path.into());
        let disk = match file::create(path, IoChoice::resolve(self.io)?) {
            Err(PagerError::AlreadyExists { .. }) if self.unfinished => {
                let disk = file::open(path, true, IoChoice::resolve(self.io)?)?;
                match recover(&*disk, &context, true) {
                    Ok(Recovered { header: Header { unfinished: true, .. }, .. })
                    | Err(PagerError::UnfinishedCreate { .. }) => disk,
                    Ok(_) => return Err(PagerError::AlreadyExists { path: context.0 }),
                    Err(error) => return Err(error),
                }
            }
            created => created?,
        };
        let created = initialise(&*disk, &context, self.beginning(database_id))
            .and_then(|()| file::sync_directory(path));
        if let Err(error) = created {
            // Nothing was stored in it, so leaving it would only stand in the way of the next attempt.
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        Ok((disk, context))
    }

    /// Opens a database for reading and writing. No other handle may have it open.
    ///
    /// # Errors
    ///
    /// [`PagerError::NotFound`], [`PagerError::FileLocked`] (after at most half a second), and whatever is wrong
    /// with the file: see [`PagerError`].
    ///
    /// Cost: at most 250 page reads and one write and flush, whatever the size of the file.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Pager> {
        let path = path.as_ref();
        let disk = file::open(path, true, IoChoice::resolve(self.io)?)?;
        self.start(disk, ErrorContext(path.into()), true)
    }

    /// Opens a database for reading only. Any number of such handles may have it open, but no writer. Nothing is
    /// written, not even after a crash.
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<Pager> {
        let path = path.as_ref();
        let disk = file::open(path, false, IoChoice::resolve(self.io)?)?;
        self.start(disk, ErrorContext(path.into()), false)
    }

    /// Opens what is left of a database for reading only, also where [`open_read_only`](Options::open_read_only) refuses it: of a file
    /// that was cut, or one of whose headers is impossible. It goes by the header that an open would go by, else by the newest
    /// that can be used, and if there is none by `guess`, with the id of the database. What cannot be read shows when it is asked for.
    ///
    /// # Errors
    ///
    /// Those of an open, if there is no header and no guess.
    pub fn open_damaged(
        &self,
        path: impl AsRef<Path>,
        guess: Option<([u8; 16], HeaderContents)>,
    ) -> Result<Pager> {
        let path = path.as_ref();
        let disk = file::open(path, false, IoChoice::resolve(self.io)?)?;
        let context = ErrorContext(path.into());
        let recovered = match (recover(&*disk, &context, false), guess) {
            (Ok(recovered), _) => recovered,
            (Err(error), guess) => match recover_damaged(&*disk, &context, guess)? {
                Some(recovered) => recovered,
                None => return Err(error),
            },
        };
        self.open_at(disk, context, recovered, false)
    }

    /// Opens a database for reading only by its other header, where the newest cannot be used: what [`fall_back`](Options::fall_back) would
    /// make current. `None` if there is none that can be used.
    pub fn open_older(&self, path: impl AsRef<Path>) -> Result<Option<Pager>> {
        let path = path.as_ref();
        let disk = file::open(path, false, IoChoice::resolve(self.io)?)?;
        let context = ErrorContext(path.into());
        let older = recover_older(&*disk, &context)?;
        older.map(|older| self.open_at(disk, context, older, false)).transpose()
    }

    /// Makes a database usable again whose newest header nobody can open it by, though the other one can be used and the file holds all that
    /// it counts: the state of that one becomes current, and what was committed since is gone. Returns the commits gone back from and to;
    /// `None` if the database can be opened as it is.
    ///
    /// # Errors
    ///
    /// Those of the open, if the other header does not help either.
    pub fn fall_back(&self, path: impl AsRef<Path>) -> Result<Option<(Birth, Birth)>> {
        let path = path.as_ref();
        let disk = file::open(path, true, IoChoice::resolve(self.io)?)?;
        let context = ErrorContext(path.into());
        match recover(&*disk, &context, true) {
            Ok(_) => Ok(None),
            Err(error @ (PagerError::Truncated { .. } | PagerError::Corrupt { .. })) => {
                match recover_older(&*disk, &context)? {
                    None => Err(error),
                    Some(older) => {
                        let (from, to) = (older.highest_seen, older.header.commit);
                        heal(&*disk, &context, older)?;
                        Ok(Some((from, to)))
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a database, creating it if there is none, or if its creation was interrupted.
    pub fn open_or_create(&self, path: impl AsRef<Path>, database_id: [u8; 16]) -> Result<Pager> {
        let path = path.as_ref();
        match self.open(path) {
            Err(PagerError::NotFound { .. }) => match self.create(path, database_id) {
                // Somebody else was faster.
                Err(PagerError::AlreadyExists { .. }) => self.open(path),
                created => created,
            },
            Err(PagerError::UnfinishedCreate { .. }) => {
                let disk = file::open(path, true, IoChoice::resolve(self.io)?)?;
                let context = ErrorContext(path.into());
                // Somebody else may have finished it between the two opens.
                if let Err(PagerError::UnfinishedCreate { .. }) = recover(&*disk, &context, true) {
                    initialise(&*disk, &context, self.beginning(database_id))?;
                    file::sync_directory(path)?;
                }
                self.start(disk, context, true)
            }
            opened => opened,
        }
    }

    /// Creates a database in memory, gone with the handle.
    pub fn in_memory(&self, database_id: [u8; 16]) -> Result<Pager> {
        self.create_on(file::memory()?, database_id)
    }

    /// Creates a database on a disk of the caller's.
    pub fn create_on(&self, disk: Arc<dyn Disk>, database_id: [u8; 16]) -> Result<Pager> {
        let context = ErrorContext(memory_path().into());
        initialise(&*disk, &context, self.beginning(database_id))?;
        self.start(disk, context, true)
    }

    /// Opens a database on a disk of the caller's.
    pub fn open_on(&self, disk: Arc<dyn Disk>, writable: bool) -> Result<Pager> {
        self.start(disk, ErrorContext(memory_path().into()), writable)
    }

    fn beginning(&self, database_id: [u8; 16]) -> Beginning {
        Beginning { database_id, first: self.first_birth, unfinished: self.unfinished }
    }

    fn start(&self, disk: Arc<dyn Disk>, context: ErrorContext, writable: bool) -> Result<Pager> {
        let recovered = recover(&*disk, &context, writable)?;
        if recovered.header.unfinished && !self.unfinished {
            return Err(PagerError::UnfinishedCopy { path: context.0 });
        }
        self.open_at(disk, context, recovered, writable)
    }

    /// Opens a database in the state that was found.
    fn open_at(
        &self,
        disk: Arc<dyn Disk>,
        context: ErrorContext,
        recovered: Recovered,
        writable: bool,
    ) -> Result<Pager> {
        let Recovered { rejected, file_pages, .. } = recovered;
        if let Some(reason) = rejected {
            tracing::warn!(
                path = %context.0.display(), commit = %recovered.header.commit, %reason,
                "one of the two headers was rejected: a crash interrupted a commit, and the one before it is current"
            );
        }
        let (header, place) =
            if writable { heal(&*disk, &context, recovered)? } else { (recovered.header, recovered.place) };
        let backend = disk.backend();
        tracing::info!(
            path = %context.0.display(), backend = %backend.kind, direct = backend.direct,
            reason = backend.reason, commit = %header.commit, "opened"
        );
        let counters = Arc::new(Counters::default());
        let seed = DatabaseSeed::new(header.database_id);
        let frames = self.cache_bytes.div_ceil(PAGE_SIZE);
        let page_check = self.page_check;
        let pool = BufferPool::with_counters(
            disk.clone(),
            seed,
            context.clone(),
            frames,
            page_check,
            counters.clone(),
        )?;
        pool.set_page_count(file_pages);
        let published = Published::new(State { birth: header.commit, roots: header.roots });
        let core = Arc::new(Core { disk, pool, seed, page_check, context, counters, published });
        let writer = if writable {
            let knows_free = !self.forget_free_space;
            Some(Writer::new(core.clone(), header.clone(), place, file_pages, self.background, knows_free)?)
        } else {
            None
        };
        Ok(Pager { core, writer, opened: header, rejected })
    }
}

/// An open database file. Share it by reference, or in an `Arc`; all methods may be called from many threads.
///
/// Dropping it commits what was finished and seals, if it can; [`close`](Pager::close) does the same and says
/// whether it worked.
#[derive(Debug)]
pub struct Pager {
    pub(crate) core: Arc<Core>,
    pub(crate) writer: Option<Writer>,
    /// The header that this open found or wrote.
    pub(crate) opened: Header,
    /// Why the other header lost, if it was not simply the older one.
    rejected: Option<Corruption>,
}

impl Pager {
    /// Enters an operation and loads the state that new readers see. Nothing that this state reaches is written over
    /// before the operation ends. Operations are for the time of one lookup or one page of a scan, not for user code
    /// that may take long: as long as one is open, no page that was freed since can be used again.
    ///
    /// # Errors
    ///
    /// [`PagerError::Forked`].
    pub fn enter(&self) -> Result<(Operation<'_>, State)> {
        let operation = self.core.pool.enter()?;
        // After entering, see `published`.
        Ok((operation, self.core.published.load()))
    }

    /// The state that new readers see. To follow its pointers, [`enter`](Pager::enter) instead.
    pub fn published(&self) -> State {
        self.core.published.load()
    }

    /// Begins a batch; waits while another one is open. The state that it starts from is that of the last finished
    /// batch, durable or not.
    ///
    /// # Errors
    ///
    /// [`PagerError::ReadOnly`], [`PagerError::Poisoned`], [`PagerError::Forked`].
    pub fn begin(&self) -> Result<WriteBatch<'_>> {
        self.writer()?.begin()
    }

    /// Whether this process is a child that has inherited the handle by `fork`: everything is refused then, and the threads that served it are
    /// the parent's.
    pub fn is_forked(&self) -> bool {
        self.core.check_forked().is_err()
    }

    /// The newest batch before this one that was finished as [`Immediate`](crate::commit::write_batch::Durability::Immediate) and is not
    /// published yet. Once that is durable, everything up to an eventual batch of this birth is published. `None` if it is already.
    pub fn published_after(&self, birth: Birth) -> Result<Option<Birth>> {
        Ok(self.writer()?.write.lock().published_after(birth))
    }

    /// Makes everything that was finished so far durable, publishes it, and returns the number of the newest durable
    /// commit. Batches that finish while a flush is under way gather and share the next one.
    ///
    /// # Errors
    ///
    /// A failed write or flush fails all of the group and poisons the handle; see [`PagerError::Poisoned`].
    pub fn commit_group(&self) -> Result<Birth> {
        self.writer()?.commit_group()
    }

    /// Seals the newest commit: repeats its header, under a fresh number, in the other place. From then on rot in one
    /// header page loses nothing, and an open need not verify a manifest. Commits what was finished first, and waits
    /// for an open batch. For moments when the database is idle; closing does it too.
    ///
    /// Cost: one page write and a flush; nothing if the newest commit is sealed already.
    pub fn seal(&self) -> Result<()> {
        self.writer()?.seal()
    }

    /// Makes a database complete that was created [unfinished](Options::unfinished): commits what was finished and, when that is
    /// durable, lets others open it. It is sealed then.
    ///
    /// Cost: two page writes with a flush each.
    pub fn complete(&self) -> Result<()> {
        self.writer()?.complete()
    }

    /// Extends the file ahead of need or cuts its free tail, where that is due. For owners who have switched the
    /// [background](Options::background) off.
    pub fn maintain(&self) -> Result<()> {
        let writer = self.writer()?;
        self.core.check_forked()?;
        writer.growth.maintain();
        Ok(())
    }

    /// Makes everything durable, seals, and gives the file free.
    pub fn close(self) -> Result<()> {
        match &self.writer {
            Some(writer) => writer.seal(),
            None => Ok(()),
        }
    }

    /// What happened so far, and on what.
    pub fn stats(&self) -> Stats {
        let counters = &self.core.counters;
        let (page_count, free_pages) = match &self.writer {
            Some(writer) => {
                let write = writer.write.lock();
                (write.durable.page_count, Some(write.space.free_pages()))
            }
            None => (self.opened.page_count, None),
        };
        Stats {
            hits: self.core.pool.hits(),
            misses: counters.misses.get(),
            shared_misses: counters.shared_misses.get(),
            evictions: counters.evictions.get(),
            frame_waits: counters.frame_waits.get(),
            pages_read: counters.pages_read.get(),
            read_batches: std::array::from_fn(|class| counters.read_batches[class].get()),
            prefetched: counters.prefetched.get(),
            pages_written: counters.pages_written.get(),
            early_writes: counters.early_writes.get(),
            flushes: counters.flushes.get(),
            commits: counters.commits.get(),
            large_commits: counters.large_commits.get(),
            zeroed_pages: counters.zeroed_pages.get(),
            frames: self.core.pool.frames(),
            page_count,
            free_pages,
            backend: self.core.disk.backend(),
            rejected_header: self.rejected,
        }
    }

    /// How often a page was not in the pool when it was wanted: `misses` and `shared_misses` of [`stats`](Pager::stats), for those who ask
    /// after each operation. Cost: two loads.
    pub fn cache_misses(&self) -> u64 {
        self.core.counters.misses.get() + self.core.counters.shared_misses.get()
    }

    /// The database file, for error messages; a database in memory has the name `:memory:`.
    pub fn path(&self) -> Arc<Path> {
        self.core.context.0.clone()
    }

    /// The id that was given at creation.
    pub fn database_id(&self) -> [u8; 16] {
        self.opened.database_id
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(|| PagerError::ReadOnly { path: self.core.context.0.clone() })
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        if self.is_forked() {
            // The parent's threads do not exist here, and its file is not ours to write. Leak the handle's share.
            std::mem::forget(self.core.clone());
            return;
        }
        if let Some(writer) = &self.writer {
            writer.background.stop();
            writer.behind.stop();
            if writer.write.lock().durable.unfinished {
                // Nobody will ever open it.
                return;
            }
            if let Err(error) = writer.seal() {
                tracing::warn!(path = %self.core.context.0.display(), %error, "closing without a seal");
            }
        }
    }
}
