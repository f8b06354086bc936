//! The buffer pool: the pages that are in memory, and the only door between them and the disk.
//!
//! A page is found by its id in the [page table](crate::pool::page_table) and read in its [frame](crate::pool::frames), without a
//! lock or a pin: committed pages are immutable (INV-2), and a frame is filled again only when no
//! [operation](crate::pool::operation) can see what was in it ([`crate::pool::epoch`]). What a miss does is in [`crate::pool::operation`] and
//! [`crate::pool::read_many`], what the writer does in [`crate::pool::dirty_frame`].
//!
//! * **INV-1** is kept by [`Shared::verify`], which every page passes before it enters the table, and by the comparison of
//!   births on every hit.
//! * **INV-5** is kept by the fixed number of frames: nothing here grows with the file, a query or a transaction.

use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Corruption, ErrorContext, IoOperation, Malformation, PagerError, Result};
use crate::format::checksum::DatabaseSeed;
use crate::format::page::Page;
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::pool::clock::{Clock, Detached, Hand};
use crate::pool::dirty_frame::OwnedFrame;
use crate::pool::epoch::Epochs;
use crate::pool::frames::{FrameId, Frames};
use crate::pool::loads::{Claim, Loads};
use crate::pool::operation::{Access, Operation};
use crate::pool::page_table::PageTable;
use crate::pool::read_ahead::ReadAhead;
use crate::pool::reserve::Reserve;
use crate::pool::taken_frame::TakenFrame;
use crate::stats::Counters;
use crate::sync::{AtomicU64, AtomicUsize, Ordering, yield_now};

/// Looks at what a page of a layer above holds. Called once for each page that comes from disk, before anybody sees it, so that
/// the layer that owns the page may rely on its form from then on.
pub type PageCheck = fn(&Page) -> Result<(), Malformation>;

/// Frames that a pool has at the least: room for a batch of reads, a path through each of a few trees, and a reserve.
pub const MIN_FRAMES: usize = 256;

/// More frames than this are not numbered: 8 TiB.
const MAX_FRAMES: usize = 1 << 31;

/// Pages below this one are headers, which are read by themselves and never through the pool.
const FIRST_PAGE: u32 = 2;

/// The pages in memory. See the module documentation.
#[derive(Debug)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

/// What the operations, the dirty frames and the read-ahead of a pool share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) frames: Frames,
    pub(crate) table: PageTable,
    pub(crate) clock: Clock,
    pub(crate) loads: Loads,
    pub(crate) reserve: Reserve,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) read_ahead: ReadAhead,
    pub(crate) counters: Arc<Counters>,
    /// Frames that are owned or pinned.
    pub(crate) dirty: AtomicUsize,
    disk: Arc<dyn Disk>,
    seed: DatabaseSeed,
    page_check: PageCheck,
    context: ErrorContext,
    /// Pages from here on are not in the file.
    page_count: AtomicU64,
}

impl BufferPool {
    /// A pool of at least [`MIN_FRAMES`] frames over a disk. `path` is for error messages.
    ///
    /// No page can be read before [`set_page_count`](BufferPool::set_page_count) says how many there are.
    pub fn new(disk: Arc<dyn Disk>, seed: DatabaseSeed, path: &Path, frames: usize) -> Result<BufferPool> {
        let context = ErrorContext(path.into());
        BufferPool::with_counters(disk, seed, context, frames, |_| Ok(()), Arc::default())
    }

    /// A pool that counts what it does together with the rest of the pager.
    pub(crate) fn with_counters(
        disk: Arc<dyn Disk>,
        seed: DatabaseSeed,
        context: ErrorContext,
        frames: usize,
        page_check: PageCheck,
        counters: Arc<Counters>,
    ) -> Result<BufferPool> {
        BufferPool::with_exactly(
            disk,
            seed,
            context,
            frames.clamp(MIN_FRAMES, MAX_FRAMES),
            page_check,
            counters,
        )
    }

    /// A pool of any size, for tests of what happens when there is hardly any room.
    pub(crate) fn with_exactly(
        disk: Arc<dyn Disk>,
        seed: DatabaseSeed,
        context: ErrorContext,
        frames: usize,
        page_check: PageCheck,
        counters: Arc<Counters>,
    ) -> Result<BufferPool> {
        let shared = Shared {
            frames: Frames::new(frames).map_err(|error| context.io(IoOperation::MapMemory, error))?,
            table: PageTable::new(frames),
            clock: Clock::new(frames),
            loads: Loads::new(),
            reserve: Reserve::new(frames),
            epochs: Arc::new(Epochs::new()),
            read_ahead: ReadAhead::new(),
            counters,
            dirty: AtomicUsize::new(0),
            disk,
            seed,
            page_check,
            context,
            page_count: AtomicU64::new(0),
        };
        Ok(BufferPool { shared: Arc::new(shared) })
    }

    /// Begins an operation: whatever it finds stays in place and keeps its page id until it ends.
    ///
    /// The root from which it goes must be loaded *after* this call, see [`crate::pool::epoch`].
    #[inline]
    pub fn enter(&self) -> Result<Operation<'_>> {
        self.check_forked()?;
        Ok(Operation::enter(&self.shared))
    }

    /// Refuses a pool that was inherited through `fork`: its frames are not there any more.
    #[inline]
    pub(crate) fn check_forked(&self) -> Result<()> {
        if self.shared.frames.forked() { Err(self.shared.forked()) } else { Ok(()) }
    }

    /// Takes a frame for a page that is yet to be written. Its contents are undefined. Waits, a bounded time, if there is
    /// none; so the calling thread should have no operation open.
    pub fn take_frame(&self) -> Result<OwnedFrame> {
        self.check_forked()?;
        let frame = self.shared.wait_for_frame(|| TakenFrame::take(self.shared.clone()).ok())?;
        Ok(OwnedFrame::new(frame))
    }

    /// Drops a page from the pool, since its id is about to be given out again, or lies in a part of the file that is
    /// about to be cut off. Every operation that could meet the page has ended.
    pub fn forget(&self, id: PageId) {
        let retired = {
            let mut shard = self.shared.loads.shard(id);
            shard.supersede(id);
            self.shared.unlink(id)
        };
        if let Some(frame) = retired {
            self.shared.reserve.retire(&self.shared.epochs, &[frame]);
        }
    }

    /// Says how many pages the file has. Pointers beyond are corrupt.
    pub fn set_page_count(&self, page_count: u64) {
        self.shared.page_count.store(page_count, Ordering::Release);
    }

    /// The epochs of all operations, for whoever wants to know when page ids can be used again.
    pub fn epochs(&self) -> &Epochs {
        &self.shared.epochs
    }

    /// Frames in the pool.
    pub fn frames(&self) -> usize {
        self.shared.frames.count()
    }

    /// Frames that hold something that is not on disk: [owned](OwnedFrame) and
    /// [pinned](crate::pool::dirty_frame::PinnedFrame) ones. They cannot be evicted.
    pub fn dirty(&self) -> usize {
        self.shared.dirty.load(Ordering::Relaxed)
    }

    /// See [`Operation::ahead_most`].
    pub(crate) fn ahead_most(&self) -> usize {
        self.shared.ahead_most()
    }

    /// Pages found in the pool so far.
    pub fn hits(&self) -> u64 {
        self.shared.epochs.hits()
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        // A forked child has no such thread.
        if !self.shared.frames.forked() {
            self.shared.read_ahead.stop();
        }
    }
}

impl Shared {
    /// Refuses pointers that lead out of the file, or to a header.
    pub(crate) fn check_bounds(&self, id: PageId) -> Result<()> {
        let page_count = self.page_count.load(Ordering::Acquire);
        if id.0 < FIRST_PAGE || u64::from(id.0) >= page_count {
            return Err(self.context.corrupt(id, Corruption::OutOfBounds { page_count }));
        }
        Ok(())
    }

    /// See [`Operation::ahead_most`].
    pub(crate) fn ahead_most(&self) -> usize {
        self.frames.count() / 8
    }

    /// Checks the birth of a page that was found in the table against the pointer that led to it (INV-1).
    pub(crate) fn check_birth(&self, found: Birth, ptr: PagePtr) -> Result<()> {
        if found != ptr.birth {
            return Err(self.context.corrupt(ptr.id, Corruption::Birth { found, expected: ptr.birth }));
        }
        Ok(())
    }

    /// Checks a page that came from disk (INV-1), and has the layer that owns it look at its form.
    pub(crate) fn verify(&self, page: &Page, ptr: PagePtr) -> Result<()> {
        self.seed.check(page, ptr).map_err(|corruption| self.context.corrupt(ptr.id, corruption))?;
        (self.page_check)(page).map_err(|malformation| self.malformed(ptr.id, malformation))
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(crate) fn read_error(&self, id: PageId, error: std::io::Error) -> PagerError {
        self.context.io(IoOperation::Read(id), error)
    }

    pub(crate) fn malformed(&self, page: PageId, source: Malformation) -> PagerError {
        self.context.malformed(page, source)
    }

    fn forked(&self) -> PagerError {
        PagerError::Forked { path: self.context.0.clone() }
    }

    /// Enters a page that was read and verified into the table, and settles its load. Returns `None` if the load was
    /// superseded. The caller is in its frame epoch, so the page stays.
    pub(crate) fn enter_page(
        &self,
        claim: Claim<'_>,
        page: TakenFrame<&Shared>,
        access: Access,
    ) -> Option<FrameId> {
        let (ptr, frame, inner) = (claim.ptr(), page.frame(), page.level() > 0);
        let entered = claim.finish(|| {
            self.frames.label(frame, ptr.id);
            self.clock.admit(frame, access, inner, false);
            let (_, frame) = page.enter();
            self.table.insert(ptr.id, frame);
        });
        entered.then_some(frame)
    }

    /// Removes a page from the table, if it is there. Returns its frame if it is for the caller to retire. The caller
    /// holds the lock of the page's shard.
    pub(crate) fn unlink(&self, id: PageId) -> Option<FrameId> {
        let frame = self.table.find(id)?;
        self.table.remove(id, frame);
        match self.clock.detach(frame) {
            Detached::Clean => Some(frame),
            Detached::Pinned => None,
        }
    }

    /// Turns the hand until so many pages were taken out of the table, if it can. Returns their frames, to be retired.
    pub(crate) fn evict(&self, hand: &mut Hand, wanted: usize) -> Vec<FrameId> {
        let mut evicted = Vec::new();
        self.clock.sweep(hand, wanted, |frame| {
            let did = self.evict_frame(frame);
            evicted.extend(did.then_some(frame));
            did
        });
        self.counters.evictions.add(evicted.len() as u64);
        evicted
    }

    /// Takes the page of a frame that the hand has found clean out of the table.
    fn evict_frame(&self, frame: FrameId) -> bool {
        // The caller holds the lock of the reserve. So a frame that leaves the table now is not filled with another page,
        // and this is the id of the page that the hand has found.
        let id = self.frames.page_id(frame);
        // Under its lock the page stays as it is: it may have been forgotten, replaced or hit, but not after this.
        let _shard = self.loads.shard(id);
        let evicted = self.clock.evict(frame);
        if evicted {
            self.table.remove(id, frame);
        }
        evicted
    }

    /// Takes a frame, waiting for one if need be. The caller has left its frame epoch and holds no frame.
    ///
    /// Nobody is told when a frame can be had: frames come free as operations of other threads go on, and
    /// no event marks that moment. So this asks again and again, and gives up after a bounded number of rounds, since what
    /// it waits for may be an operation of its own thread.
    pub(crate) fn wait_for_frame<T>(&self, take: impl Fn() -> Option<T>) -> Result<T> {
        if let Some(frame) = take() {
            return Ok(frame);
        }
        self.counters.frame_waits.add(1);
        for round in 0..WAIT_ROUNDS {
            pause(round);
            if let Some(frame) = take() {
                return Ok(frame);
            }
        }
        Err(PagerError::PoolExhausted { frames: self.frames.count() })
    }
}

/// How often a read asks for a frame: for about a second.
#[cfg(not(any(loom, test)))]
const WAIT_ROUNDS: usize = YIELDING_ROUNDS + 500;
/// The tests exhaust pools on purpose, and often.
#[cfg(all(test, not(loom)))]
const WAIT_ROUNDS: usize = YIELDING_ROUNDS + 50;
/// Each round is a path to explore.
#[cfg(loom)]
const WAIT_ROUNDS: usize = 2;

/// After so many rounds the thread sleeps between them.
#[cfg(not(loom))]
const YIELDING_ROUNDS: usize = 100;

fn pause(round: usize) {
    #[cfg(not(loom))]
    if round >= YIELDING_ROUNDS {
        std::thread::sleep(std::time::Duration::from_millis(2));
        return;
    }
    let _ = round;
    yield_now();
}

#[cfg(all(test, not(loom)))]
mod tests;
