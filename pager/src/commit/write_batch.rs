//! A write batch: copy-on-write changes that become visible and durable together, or not at all.
//!
//! # Life of a batch
//!
//! 1. [`Pager::begin`](crate::pager::Pager::begin) waits for the turn and gives the batch a birth that was never used before.
//! 2. The layer above reads through the batch, and for each page that it changes asks for a
//!    [`writable`](WriteBatch::writable) copy, which stands at another page id; the old page is freed. So nothing that
//!    a reader or a crash may need is written to (INV-2).
//! 3. At the end of each of its operations it calls [`end_operation`](WriteBatch::end_operation): there, and only
//!    there, pages are written before the end. A batch that holds too many frames writes all of its pages out and gives the
//!    frames back; one that is large anyhow has leaves that it seems to be done with written [behind](crate::commit::write_behind) it.
//!    A page that was written early is never written again; a further change copies it to a new page id.
//! 4. [`finish`](WriteBatch::finish) joins the gathering group, [`commit`](WriteBatch::commit) also makes it durable,
//!    dropping the batch aborts it: its pages, its free space and its roots are as if it had never begun.
//!
//! Memory: the pages that were not written early (at most a quarter of the pool between operations), and about
//! two bytes for each page that the batch allocated or freed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::commit::page_map::PageMap;
use crate::commit::published::State;
use crate::commit::savepoint::Savepoint;
use crate::commit::write_state::{FinishedBatch, WriteState};
use crate::commit::writer::Writer;
use crate::error::{Corruption, PagerError, Result};
use crate::format::header::Roots;
use crate::format::manifest::MANIFEST_PAGES;
use crate::format::page::{Page, PageKind};
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::pool::dirty_frame::{OwnedFrame, PinnedFrame};
use crate::pool::operation::{Access, Operation, PageRef};
use crate::space::Placement;
use crate::sync::MutexGuard;

/// Leaves that are handed over to be written behind at a time: half a megabyte keeps a device busy. Fewer in a small pool.
const HANDFUL: usize = 128;

/// Leaves that are the last to have become writable, and so may be changed again soon: with their siblings, if changes come in
/// the order of their keys.
const RECENT: usize = 32;

/// When others may see a finished batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is durable.
    #[default]
    Immediate,
    /// As soon as every `Immediate` batch before it is durable. A power cut may take it back, never out of order.
    Eventual,
}

/// An open batch. Dropping it aborts it. See the [module](self).
#[derive(Debug)]
pub struct WriteBatch<'p> {
    pub(super) writer: &'p Writer,
    /// The birth of what it writes now.
    pub(super) birth: Birth,
    /// The birth of what it wrote first.
    first_birth: Birth,
    base: Birth,
    pub(super) roots: Roots,
    /// Pages of this batch that only it can see.
    pub(super) dirty: PageMap<OwnedFrame>,
    /// Pages of this batch that were written early.
    pub(super) written_early: RoaringBitmap,
    /// Leaves of this batch in the order in which they became so, or were given another chance; some are not there any more.
    leaves: VecDeque<PageId>,
    /// Those that were made writable once more since.
    touched: PageMap<()>,
    /// How many leaves were written behind, and how many pages that were written early were changed again.
    behind: usize,
    again: usize,
    /// Pages of unwritten earlier batches that this one freed; what becomes of them is decided at the end.
    pub(super) superseded: BTreeMap<PageId, Birth>,
    /// Whether allocations may use the file's last pages.
    may_use_reserve: bool,
    pub(super) savepoint: Option<Savepoint>,
    /// Whether what had this birth was undone: the next savepoint draws another one.
    pub(super) is_birth_spent: bool,
    /// Keeps the frame of the page that is read in place. Gone before the batch waits for anything (see
    /// [`rest`](Self::rest)).
    operation: Option<Operation<'p>>,
    finished: bool,
    /// One batch at a time.
    _turn: MutexGuard<'p, ()>,
}

impl<'p> WriteBatch<'p> {
    /// A batch that goes on from the state `base`.
    pub(crate) fn new(writer: &'p Writer, turn: MutexGuard<'p, ()>, birth: Birth, base: State) -> Self {
        WriteBatch {
            writer,
            birth,
            first_birth: birth,
            base: base.birth,
            roots: base.roots,
            dirty: PageMap::default(),
            written_early: RoaringBitmap::new(),
            leaves: VecDeque::new(),
            touched: PageMap::default(),
            behind: 0,
            again: 0,
            superseded: BTreeMap::new(),
            may_use_reserve: false,
            savepoint: None,
            is_birth_spent: false,
            operation: None,
            finished: false,
            _turn: turn,
        }
    }

    /// The birth of every page that this batch writes from now on, until the next [savepoint](Self::savepoint). Grows from batch to batch,
    /// also across crashes.
    pub fn birth(&self) -> Birth {
        self.birth
    }

    /// The last batch before this one: what this one reads may not be durable before that one is.
    pub fn base(&self) -> Birth {
        self.base
    }

    /// The roots, as the batch leaves them so far.
    pub fn roots(&self) -> Roots {
        self.roots
    }

    /// Replaces the roots.
    pub fn set_roots(&mut self, roots: Roots) {
        self.roots = roots;
    }

    /// Lets the batch use the last pages of a full device from here on, or no longer: for changes that free more than they allocate, and for
    /// the little that has to be noted in the end.
    pub fn use_reserve(&mut self, may: bool) {
        self.may_use_reserve = may;
    }

    /// The page count that the file could have if whatever lies beyond were made [`writable`](Self::writable) by batches that
    /// [`move_down`](Self::move_down). `None` if that gains too little.
    pub fn ceiling(&mut self) -> Option<u64> {
        self.write_state().space.ceiling_worth_having()
    }

    /// From here on the batch places its pages below this page count, as long as there is room.
    pub fn move_down(&mut self, ceiling: u64) {
        self.write_state().space.set_ceiling(ceiling);
    }

    /// Reads a page of the state that the batch has made so far.
    pub fn read(&mut self, ptr: PagePtr, access: Access) -> Result<&Page> {
        self.writer.core.check_forked()?;
        if ptr.birth >= self.first_birth
            && let Some(page) = self.dirty.get(&ptr.id)
            && page.birth() == ptr.birth
        {
            return Ok(page);
        }
        if self.operation.is_none() {
            self.operation = Some(self.writer.core.pool.enter()?);
        }
        let operation = self.operation.as_mut().expect("set above");
        operation.read(ptr, access).map(PageRef::into_page)
    }

    /// Lets go of the frames that were read. Whoever holds the batch open and does something else for a while calls this before: as with
    /// an [`Operation`] that rests, all others would have to do without the frames that are evicted meanwhile. To wait for a frame while
    /// holding some would be to wait for oneself; and so would be to wait for a lock, since a commit holds it while it waits for frames.
    ///
    /// Cost: a store, if anything was read.
    pub fn rest(&mut self) {
        self.operation = None;
    }

    /// Asks for pages that will be wanted soon, see [`Operation::prefetch`]. Those of the batch itself are here, or were written a
    /// moment ago.
    pub fn prefetch(&mut self, ptrs: &[PagePtr]) {
        if self.operation.is_none() {
            // The read that follows will see to an error.
            self.operation = self.writer.core.pool.enter().ok();
        }
        if let Some(operation) = &self.operation {
            let older: Vec<PagePtr> =
                ptrs.iter().filter(|ptr| ptr.birth < self.first_birth).copied().collect();
            operation.prefetch(&older);
        }
    }

    /// See [`Operation::ahead_most`].
    pub fn ahead_most(&self) -> usize {
        self.writer.core.pool.ahead_most()
    }

    /// The error for a page that holds what the calling layer never writes there.
    pub fn malformed(&self, page: PageId, why: impl std::error::Error + Send + Sync + 'static) -> PagerError {
        self.writer.core.context.malformed(page, Arc::new(why))
    }

    /// A new empty page. Its contents go in through [`page_mut`](Self::page_mut).
    pub fn allocate(&mut self, kind: PageKind, level: u8, placement: Placement) -> Result<PagePtr> {
        let extent = self.allocate_pages(1, placement)?;
        self.format(extent, kind, level)?;
        Ok(PagePtr { id: extent.first, birth: self.birth })
    }

    /// `count` new empty pages that follow one another in the file, each with a header of its own. Grows the file
    /// if there is no such run; see [`try_allocate_run`](Self::try_allocate_run). All of its pages are in the pool until the next
    /// [`end_operation`](Self::end_operation), so a run is a good deal shorter than the pool, or it fails with
    /// [`PagerError::PoolExhausted`](crate::error::PagerError::PoolExhausted).
    pub fn allocate_run(&mut self, count: u32, kind: PageKind) -> Result<Extent> {
        let extent = self.allocate_pages(count, Placement::Hole)?;
        self.format(extent, kind, 0)?;
        Ok(extent)
    }

    /// Like [`allocate_run`](Self::allocate_run), from free space only: `None` if it holds no such run.
    pub fn try_allocate_run(&mut self, count: u32, kind: PageKind) -> Result<Option<Extent>> {
        self.rest();
        let found = self.writer.growth.allocate_from_free(count, Placement::Hole, self.may_use_reserve)?;
        if let Some(extent) = found {
            self.format(extent, kind, 0)?;
        }
        Ok(found)
    }

    /// Makes a page writable in this batch, copying it if it is not, and returns where it is now. The caller points
    /// the parent there.
    pub fn writable(&mut self, ptr: PagePtr, placement: Placement) -> Result<PagePtr> {
        if self.holds(ptr)? {
            self.keep_original(ptr)?;
            self.touch(ptr.id);
            return Ok(ptr);
        }
        let mut frame = self.take_frame()?;
        frame.clone_from(self.read(ptr, Access::Point)?);
        let id = self.allocate_pages(1, placement)?.first;
        self.writer.core.pool.forget(id);
        frame.set_place(id, self.birth);
        self.insert(id, frame);
        self.again += usize::from(ptr.birth >= self.first_birth);
        self.free(ptr)?;
        Ok(PagePtr { id, birth: self.birth })
    }

    /// The page behind a pointer that this batch allocated or made writable since its last
    /// [`end_operation`](Self::end_operation).
    ///
    /// # Panics
    ///
    /// If it is no such page: that is a mistake of the caller, not of the data.
    pub fn page_mut(&mut self, ptr: PagePtr) -> &mut Page {
        let may_change = self.may_change(ptr);
        let page = self.dirty.get_mut(&ptr.id).filter(|page| may_change && page.birth() == ptr.birth);
        page.unwrap_or_else(|| panic!("{ptr:?} is not writable"))
    }

    /// Frees a page that the state made so far no longer reaches.
    ///
    /// # Errors
    ///
    /// [`PagerError::Corrupt`](crate::error::PagerError::Corrupt) if the page cannot have been in use: then whatever led
    /// to it is wrong.
    pub fn free(&mut self, ptr: PagePtr) -> Result<()> {
        if self.holds(ptr)? {
            self.give_up(ptr);
            return Ok(());
        }
        let is_written = self.written_early.contains(ptr.id.0);
        let is_given_up = self.savepoint.as_ref().is_some_and(|savepoint| savepoint.has_given_up(ptr.id));
        if self.dirty.contains_key(&ptr.id) || is_given_up || (is_written && ptr.birth < self.first_birth) {
            // It is freed twice, or an older page has been given out as free, so the free space of the file lies.
            let source = Corruption::NotInUse { page: ptr.id };
            return Err(self.writer.core.context.corrupt(ptr.id, source));
        }
        let mut write = self.write_state();
        let is_in_group = write.group.pages.get(&ptr.id).is_some_and(|page| page.birth() == ptr.birth);
        let freed = if is_in_group {
            match self.superseded.insert(ptr.id, ptr.birth) {
                None => Ok(()),
                Some(_) => Err(Corruption::NotInUse { page: ptr.id }),
            }
        } else {
            write.space.free(Extent::single(ptr.id))
        };
        freed.map_err(|source| self.writer.core.context.corrupt(ptr.id, source))?;
        if let Some(savepoint) = &mut self.savepoint {
            let since = if is_in_group { &mut savepoint.superseded } else { &mut savepoint.freed };
            since.push(ptr.id);
        }
        Ok(())
    }

    /// Frees pages that were allocated as one run. For errors see [`free`](Self::free).
    pub fn free_run(&mut self, run: Extent, birth: Birth) -> Result<()> {
        run.pages().try_for_each(|id| self.free(PagePtr { id, birth }))
    }

    /// Says that no page borrowed or made writable so far is needed as such any longer. Here a large batch writes
    /// its pages out early.
    pub fn end_operation(&mut self) -> Result<()> {
        self.writer.core.check_forked()?;
        self.rest();
        let kept = self.savepoint.as_ref().map_or(0, |savepoint| savepoint.originals.len());
        if self.dirty.len() + kept > self.writer.core.pool.frames() / 4 {
            self.write_early()
        } else {
            self.write_behind()
        }
    }

    /// Joins the gathering group and gives the turn away. The batch becomes durable with the next
    /// [`Pager::commit_group`](crate::pager::Pager::commit_group), and visible as `durability` says.
    pub fn finish(mut self, durability: Durability) -> Result<Birth> {
        self.writer.core.check_forked()?;
        self.accept();
        // While the last of them are written, the others get their checksums.
        let mut pages: Vec<(PageId, PinnedFrame)> = std::mem::take(&mut self.dirty)
            .into_iter()
            .map(|(id, mut frame)| {
                self.writer.core.seed.stamp(&mut frame);
                let birth = frame.birth();
                (id, frame.publish(PagePtr { id, birth }))
            })
            .collect();
        let writer = self.writer;
        let entered = self
            .settle_behind()
            .and_then(|()| writer.in_one_piece(|| self.enter_group(&mut pages, durability)));
        if let Err(error) = entered {
            pages.into_iter().for_each(|(_, page)| page.forget());
            return Err(error);
        }
        Ok(self.birth)
    }

    /// Finishes the batch and makes it, and all before it, durable.
    ///
    /// Cost: one write of the changed pages and the header together, and one flush; above
    /// [`MANIFEST_PAGES`](crate::format::manifest::MANIFEST_PAGES) pages a second write and flush.
    pub fn commit(self) -> Result<Birth> {
        let writer = self.writer;
        let birth = self.finish(Durability::Immediate)?;
        writer.commit_group()?;
        Ok(birth)
    }

    /// Adds the batch to the gathering group. After an error the pages are still there.
    fn enter_group(&mut self, pages: &mut Vec<(PageId, PinnedFrame)>, durability: Durability) -> Result<()> {
        let mut write = self.write_state();
        let recycled = self.settle_superseded(&mut write)?;
        write.space.finish(&recycled);
        write.group.pages.extend(pages.drain(..));
        write.group.written_early |= !self.written_early.is_empty();
        let state = State { birth: self.birth, roots: self.roots };
        write.group.last = Some(state);
        let eventual = durability == Durability::Eventual;
        write.unpublished.push_back(FinishedBatch { state, eventual });
        self.writer.publish_ready(&mut write);
        self.finished = true;
        Ok(())
    }

    /// Decides what becomes of the pages of unwritten batches that this one freed. Returns those that can be given out
    /// again at once.
    fn settle_superseded(&mut self, write: &mut WriteState) -> Result<Vec<PageId>> {
        let context = &self.writer.core.context;
        write.check_poison(context)?;
        let mut recycled = Vec::new();
        let superseded = std::mem::take(&mut self.superseded);
        for (&id, &birth) in &superseded {
            // If the group was closed meanwhile, the page has been, or is being, written.
            if write.group.pages.contains_key(&id) && !write.may_be_seen(birth) {
                recycled.push(id);
            } else {
                write.space.free(Extent::single(id)).map_err(|source| context.corrupt(id, source))?;
            }
        }
        // From here on nothing fails.
        for id in superseded.into_keys() {
            match write.group.pages.remove(&id) {
                Some(page) if recycled.binary_search(&id).is_ok() => page.forget(),
                Some(page) => write.group.superseded.push(page),
                None => {}
            }
        }
        Ok(recycled)
    }

    /// Whether a page is of this batch, and nobody else can see it. The page itself tells, which is not there in a forked child.
    fn holds(&self, ptr: PagePtr) -> Result<bool> {
        self.writer.core.check_forked()?;
        let is_of_birth = |page: &OwnedFrame| page.birth() == ptr.birth;
        Ok(ptr.birth >= self.first_birth && self.dirty.get(&ptr.id).is_some_and(is_of_birth))
    }

    /// The one way to the lock that a commit may hold while it waits for frames.
    pub(super) fn write_state(&mut self) -> MutexGuard<'p, WriteState> {
        self.rest();
        self.writer.write.lock()
    }

    fn allocate_pages(&mut self, count: u32, placement: Placement) -> Result<Extent> {
        self.rest();
        self.writer.growth.allocate(count, placement, self.may_use_reserve)
    }

    pub(super) fn take_frame(&mut self) -> Result<OwnedFrame> {
        self.rest();
        self.writer.core.pool.take_frame()
    }

    /// Makes newly allocated pages empty pages of this batch. After an error they are as if never allocated.
    fn format(&mut self, extent: Extent, kind: PageKind, level: u8) -> Result<()> {
        for id in extent.pages() {
            match self.take_frame() {
                Ok(mut frame) => {
                    self.writer.core.pool.forget(id);
                    frame.format(id, self.birth, kind, level);
                    self.insert(id, frame);
                }
                Err(error) => {
                    extent.pages().for_each(|id| drop(self.dirty.remove(&id)));
                    self.write_state().space.take_back(extent);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Adds a page that only the batch can see.
    fn insert(&mut self, id: PageId, frame: OwnedFrame) {
        if frame.level() == 0 {
            self.leaves.push_back(id);
        }
        self.dirty.insert(id, frame);
    }

    /// Writes the batch's pages and lets the pool evict them. A failure poisons the handle.
    fn write_early(&mut self) -> Result<()> {
        self.leaves.clear();
        self.touched.clear();
        let pages = std::mem::take(&mut self.dirty);
        self.hand_over(pages)?;
        self.settle_behind()
    }

    /// Has a handful of leaves written behind, if the batch is so large that this costs no flush, and there are as many that it
    /// seems to be done with. Not where leaves are often changed again: each is copied to another place then.
    fn write_behind(&mut self) -> Result<()> {
        let handful = HANDFUL.min(self.writer.core.pool.frames() / 32);
        let is_large = self.behind > 0 || self.dirty.len() > MANIFEST_PAGES;
        let is_done_with = self.again * 8 <= self.behind && self.savepoint.is_none();
        if !is_large || !is_done_with || self.leaves.len() < handful + RECENT {
            return Ok(());
        }
        let mut pages = Vec::with_capacity(handful);
        for _ in 0..handful {
            let Some(id) = self.leaves.pop_front() else { break };
            match self.touched.remove(&id) {
                Some(()) => self.leaves.push_back(id),
                None => pages.extend(self.dirty.remove_entry(&id)),
            }
        }
        self.behind += pages.len();
        self.hand_over(pages)
    }

    /// Notes that a page is about to be changed again, if it is a leaf that has not just become writable, and the batch so large that it
    /// matters.
    fn touch(&mut self, id: PageId) {
        let is_large = self.leaves.len() > RECENT;
        if is_large && self.dirty[&id].level() == 0 && !self.leaves.iter().rev().take(4).any(|new| *new == id)
        {
            self.touched.insert(id, ());
        }
    }

    /// Has pages written that then may leave the pool. A failure poisons the handle.
    fn hand_over(&mut self, pages: impl IntoIterator<Item = (PageId, OwnedFrame)>) -> Result<()> {
        let publish = |(id, mut frame): (PageId, OwnedFrame)| {
            self.writer.core.seed.stamp(&mut frame);
            self.written_early.insert(id.0);
            let ptr = PagePtr { id, birth: frame.birth() };
            if let Some(savepoint) = &mut self.savepoint {
                savepoint.written_early.push(ptr);
            }
            frame.publish(ptr)
        };
        let pages = pages.into_iter().map(publish).collect();
        let writer = self.writer;
        writer.in_one_piece(|| writer.behind.hand_over(pages)).map_err(|error| writer.poison(error))
    }

    /// Waits until everything that was handed over is written.
    fn settle_behind(&mut self) -> Result<()> {
        self.rest();
        self.writer.behind.settle().map_err(|error| self.writer.poison(error))
    }
}

impl Drop for WriteBatch<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.dirty.clear();
        if self.writer.core.check_forked().is_err() {
            // The thread that would say that it has written is the parent's.
            return;
        }
        // Poisons the handle if it fails; the batch is gone either way.
        let _ = self.settle_behind();
        for id in &self.written_early {
            self.writer.core.pool.forget(PageId(id));
        }
        self.write_state().space.abort();
    }
}
