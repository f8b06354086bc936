//! A copy of the database in another file, page by page, while writes go on: as fast as the devices read and write.
//!
//! # What is copied
//!
//! The newest durable commit: the pages that are in use in it, and its free space. So the copy is what an open after a power cut
//! would find (INV-3). Every page keeps its id and its birth, and with them every pointer holds. Its checksum is made anew,
//! since the copy has a database id of its own. Each page is checked before: a damaged one ends the copy.
//!
//! # How that commit stays what it is
//!
//! The copy is an operation, so no page that the commit reaches is written over before it ends (INV-2); what is freed meanwhile is
//! used again afterwards. Map pages are no operation's to read: each version takes the place of the last but one. They are
//! copied first, and no commit is under way meanwhile.
//!
//! # How the file comes into being
//!
//! As an [unfinished](Options::unfinished) database, which nobody can open, until all pages are durable. Then two seals name the
//! commit, one in each header place, each flushed before the next is issued.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use roaring::RoaringBitmap;
use roaring::bitmap::Iter;

use crate::census::Medium;
use crate::commit::write_state::Core;
use crate::create::{Beginning, initialise};
use crate::disk::{Disk, PageRead, PageWrite};
use crate::error::{Corruption, ErrorContext, IoOperation, PagerError, Result, memory_path};
use crate::format::checksum::DatabaseSeed;
use crate::format::header::{Header, Place, Trust};
use crate::format::manifest::Manifest;
use crate::format::page::Page;
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::pager::{Options, Pager};
use crate::recovery::write_header;
use crate::space::check::free_extents;
use crate::space::map::MapStore;
use crate::space::range::reserved_extents;
use crate::sync::Mutex;

/// Pages of a piece: it is read at once, and then written at once.
const PIECE_PAGES: usize = 256;

/// Pieces that are copied at the same time: while one is read another is written. More of them leave commits that go on meanwhile less of
/// the device.
const THREADS: usize = 2;

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyProgress {
    /// Pages that are copied.
    pub pages: u64,
    /// Pages that are in use.
    pub of_pages: u64,
}

/// Is told how far a copy is, a few times for each MiB, and may call it off.
pub type Tell<'a> = &'a mut dyn FnMut(CopyProgress) -> ControlFlow<()>;

/// A new file that is to become a copy. Until it is [filled](NewCopy::fill) nobody can open it, and it may be replaced like any
/// [unfinished](Options::unfinished) one.
#[derive(Debug)]
pub struct NewCopy {
    disk: Arc<dyn Disk>,
    context: ErrorContext,
    database_id: [u8; 16],
    seed: DatabaseSeed,
}

impl NewCopy {
    /// Creates the file, with the I/O that `options` say. For errors see [`Options::create`].
    pub fn create(options: &Options, path: &Path, database_id: [u8; 16]) -> Result<NewCopy> {
        let (disk, context) = options.clone().unfinished(true).create_file(path, database_id)?;
        Ok(NewCopy { disk, context, database_id, seed: DatabaseSeed::new(database_id) })
    }

    /// As [`create`](NewCopy::create), on a disk of the caller's.
    pub fn create_on(disk: Arc<dyn Disk>, database_id: [u8; 16]) -> Result<NewCopy> {
        let context = ErrorContext(memory_path().into());
        initialise(&*disk, &context, Beginning { database_id, first: Birth(1), unfinished: true })?;
        Ok(NewCopy { disk, context, database_id, seed: DatabaseSeed::new(database_id) })
    }

    /// Copies the newest durable commit of `original`. When this returns, the copy is durable, and a database of its own. `None` if
    /// it was called off; then, and after an error, it remains what it was. See the [module](self).
    ///
    /// # Errors
    ///
    /// [`PagerError::Corrupt`] for a damaged page of the original, [`PagerError::DiskFull`] and [`PagerError::Io`], which
    /// name the file that is concerned.
    ///
    /// Cost: a read, a write and two hashes of every page in use, and three flushes. Memory: 2 MiB, and at most one bit for each page of
    /// the file. Pages that are freed meanwhile are used again only afterwards, so the original grows by what is written
    /// meanwhile.
    pub fn fill(self, original: &Pager, tell: Tell<'_>) -> Result<Option<CopyProgress>> {
        let no_commits = original.writer.as_ref().map(|writer| writer.flush_turn.lock());
        let _operation = original.core.pool.enter()?.rest();
        let header = match &original.writer {
            Some(writer) => writer.write.lock().durable.clone(),
            None => original.opened.clone(),
        };
        let source = Source { core: &original.core, page_count: header.page_count };
        self.disk.grow(source.page_count).map_err(|error| self.context.growth(source.page_count, error))?;
        let used = source.copy_map(header.space_root, &self)?;
        drop(no_commits);
        let Some(progress) = source.copy_used(&used, &self, tell)? else { return Ok(None) };
        self.complete(header)?;
        Ok(Some(progress))
    }

    /// Makes a database of it, whose newest commit is the one that is copied.
    fn complete(&self, original: Header) -> Result<()> {
        self.disk.flush().map_err(|error| self.context.io(IoOperation::Flush, error))?;
        let mut header = Header {
            trust: Trust::Sealed,
            unfinished: false,
            database_id: self.database_id,
            manifest: Manifest::default(),
            ..original
        };
        // Until the first of them is whole, the file has no header but those that call it unfinished.
        for place in Place::BOTH {
            header.commit = header.commit.next();
            write_header(&*self.disk, &self.context, &header, place)?;
        }
        Ok(())
    }

    fn write(&self, ids: &[PageId], pages: &mut [Page]) -> Result<()> {
        pages.iter_mut().for_each(|page| self.seed.stamp(page));
        let writes: Vec<_> = ids.iter().zip(&*pages).map(|(&id, page)| PageWrite { id, page }).collect();
        self.disk.write_batch(&writes).map_err(|error| self.context.io(IoOperation::WriteBatch, error))
    }
}

/// What is copied.
struct Source<'a> {
    core: &'a Core,
    page_count: u64,
}

impl Source<'_> {
    /// Copies the pages of the space map. Returns which other pages are in use, the headers left out.
    fn copy_map(&self, space_root: PagePtr, target: &NewCopy) -> Result<RoaringBitmap> {
        let medium = Medium { core: self.core, page_count: self.page_count };
        let mut store = MapCopy { medium, target };
        let mut used = RoaringBitmap::new();
        used.insert_range(2..=(self.page_count - 1) as u32);
        let mut visit = |extent: Extent| {
            used.remove_range(extent.first.0..=(extent.end() - 1) as u32);
        };
        reserved_extents(self.page_count).for_each(&mut visit);
        let mut wrong = None;
        let mut report = |error| {
            wrong.get_or_insert(error);
        };
        free_extents(&mut store, space_root, self.page_count, &mut visit, &mut report)?;
        wrong.map_or(Ok(used), Err)
    }

    /// Copies the pages that are in use. `None` if it was called off.
    fn copy_used(
        &self,
        used: &RoaringBitmap,
        target: &NewCopy,
        tell: Tell<'_>,
    ) -> Result<Option<CopyProgress>> {
        let mut progress = CopyProgress { pages: 0, of_pages: used.len() };
        if tell(progress).is_break() {
            return Ok(None);
        }
        let pieces = Pieces(Mutex::new(Some(used.iter())));
        let mut called_off = false;
        thread::scope(|scope| {
            // What is received here ends with the last thread; and the threads end if nobody receives any more.
            let (copied, receiver) = channel();
            let threads = (0..THREADS)
                .map(|_| {
                    let (copied, pieces) = (copied.clone(), &pieces);
                    thread::Builder::new().name("dynamite-copy".into()).spawn_scoped(scope, move || {
                        let outcome = self.copy_pieces(pieces, target, &copied);
                        if outcome.is_err() {
                            pieces.end();
                        }
                        outcome
                    })
                })
                .collect::<Result<Vec<_>, _>>();
            let threads = threads.map_err(|error| {
                pieces.end();
                self.core.context.io(IoOperation::Spawn, error)
            })?;
            drop(copied);
            while let Ok(pages) = receiver.recv() {
                progress.pages += pages;
                if !called_off && tell(progress).is_break() {
                    called_off = true;
                    pieces.end();
                }
            }
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        Ok(if called_off { None } else { Some(progress) })
    }

    /// Copies one piece after the other, until there is none left or nobody wants to know.
    fn copy_pieces(&self, pieces: &Pieces<'_>, target: &NewCopy, copied: &Sender<u64>) -> Result<()> {
        let mut pages = vec![Page::zeroed(); PIECE_PAGES];
        loop {
            let ids = pieces.next();
            if ids.is_empty() {
                return Ok(());
            }
            let pages = &mut pages[..ids.len()];
            self.read(&ids, pages)?;
            target.write(&ids, pages)?;
            if copied.send(ids.len() as u64).is_err() {
                return Ok(());
            }
        }
    }

    fn read(&self, ids: &[PageId], pages: &mut [Page]) -> Result<()> {
        let context = &self.core.context;
        let mut reads: Vec<_> =
            ids.iter().zip(pages).map(|(&id, page)| PageRead { id, page, result: Ok(()) }).collect();
        self.core.disk.read_batch(&mut reads);
        reads.into_iter().try_for_each(|PageRead { id, page, result }| {
            result.map_err(|error| context.io(IoOperation::Read(id), error))?;
            self.core.seed.check_place(page, id).map_err(|source| context.corrupt(id, source))
        })
    }
}

/// Which pages are still to be copied.
struct Pieces<'a>(Mutex<Option<Iter<'a>>>);

impl Pieces<'_> {
    /// The next pages in use, in order; none at the end.
    fn next(&self) -> Vec<PageId> {
        self.0.lock().iter_mut().flatten().take(PIECE_PAGES).map(PageId).collect()
    }

    /// Gives out nothing any more.
    fn end(&self) {
        *self.0.lock() = None;
    }
}

/// The space map on its way: what is read is written to the copy.
struct MapCopy<'a> {
    medium: Medium<'a>,
    target: &'a NewCopy,
}

impl MapStore for MapCopy<'_> {
    fn read(&mut self, ptr: PagePtr, into: &mut Page) -> Result<()> {
        self.medium.read(ptr, into)?;
        self.target.write(&[ptr.id], &mut [into.clone()])
    }

    fn corrupt(&self, page: PageId, source: Corruption) -> PagerError {
        self.medium.corrupt(page, source)
    }
}
