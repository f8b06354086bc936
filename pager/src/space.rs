//! Free space: which pages may be written.
//!
//! Single-threaded and without I/O of its own: one writer at a time calls it, and map pages are read through
//! [`MapStore`].
//!
//! # The life of a page
//!
//! ```text
//!              allocate                 finish
//!  available -----------> allocated ---------------> in use
//!   ^   ^  ^               |   |                       | free
//!   |   |  |   take_back   |   | (batch open)          v
//!   |   |  +---------------+   |                     freed
//!   |   |      abort           |                       | finish
//!   |   +----------------------+                       v
//!   +------------------------------------------------ limbo (under the batch's birth)
//!        release(births up to N)
//! ```
//!
//! A *batch* is one write transaction, with a birth of its own. Finished batches gather in a group, until
//! [`Space::close`] writes the state of all of them as one commit; the next batch may be open meanwhile. A page that a
//! batch freed stays in limbo, since older operations may still read it and a crash may bring the older commit
//! back (INV-2). Whoever knows that neither can happen any more calls [`Space::release`].
//!
//! # What is in memory, what in the map
//!
//! What the space root lists is in memory as a whole; what the map marks is not. Pages are taken from the map a
//! handful of extents at a time. These are *claimed*: memory has the truth about them, and their mark in the map is
//! out of date until a close rewrites the leaf, which it does only if it must. So for every page, at any time:
//!
//! 1. It is in at most one of `available`, limbo and the open batch's `allocated`.
//! 2. `claimed` pages are marked in the map. What is marked and not claimed is free, and nothing else in memory
//!    knows of it. What is claimed and in none of the sets of (1) is in use, and is in `taken`.
//! 3. If it is marked, not claimed and in limbo for some birth (a close spilled it into the map), then its range
//!    is in `quarantine` up to that birth, and nothing is claimed from a range in quarantine.
//! 4. Nothing reserved and nothing beyond `page_count` is in any set.
//!
//! Memory stays small: `available` and limbo are cut back by every close to what fits the list and a bounded rest,
//! whatever the number of free pages, and what the batches of a group allocate and free costs at
//! most 2 bytes a page and set.
//!
//! A file that was tampered with may list or mark a page that is in use. That leads to errors where it is noticed,
//! and to a page with two owners where it is not, but never to a panic here.

pub(crate) mod range;

mod page;

mod bits;

pub(crate) mod map;

mod extent_set;

mod free_pages;

mod hot;

mod stretch;

mod descent;

mod page_set;

mod search;

pub(crate) mod close;

mod plan;

pub(crate) mod check;

pub(crate) mod describe;

#[cfg(test)]
mod testing;

#[cfg(test)]
mod model_test;

#[cfg(test)]
mod promises_test;

#[cfg(test)]
mod hot_test;

#[cfg(test)]
mod stretch_test;

use std::collections::BTreeMap;

use crate::error::{Corruption, Result};
use crate::format::page::Page;
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::space::bits::RangeBits;
use crate::space::free_pages::FreePages;
use crate::space::hot::HotArea;
use crate::space::map::{MapStore, SpaceMap};
use crate::space::page::{Entry, SpaceRoot, free_twice};
use crate::space::page_set::PageSet;
use crate::space::range::{
    FIRST_USABLE, LONGEST_EXTENT, PAGE_COUNT_MAX, extent_in_range, is_page_count, is_usable, offset_in_range,
    range_end, range_of, usable_start, whole_range,
};
use crate::space::search::Search;
use crate::space::stretch::Stretches;

/// How many extents are claimed from a leaf at once.
const CLAIM_EXTENTS: usize = 128;
/// How many leaves one request for a run may look into.
const LEAVES_PER_SEARCH: usize = 8;
/// How many of the lowest extents a hole is chosen from.
const HOLES_COMPARED: usize = 16;
/// How many of the lowest extents are looked at to find a run for [`Placement::Together`], and how many of the shortest.
const RUNS_COMPARED: usize = 32;
/// The shortest run that is worth beginning with for [`Placement::Together`].
const RUN_PAGES: u32 = 8;

/// Where a batch would like its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In a low hole, the shorter the better: for pages that will stay where they are for a while.
    Hole,
    /// With the group's other pages of this kind: for the pages that every commit rewrites. One contiguous
    /// write and the header cost 1.1 to 1.2 flushes, scattered pages 1.9 to 2.1.
    Together,
    /// With those too, if there is room enough; else in a hole. For pages that are rewritten often though not by every
    /// commit, such as the parents of leaves.
    Beside,
}

/// The free space of a file.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) page_count: u64,
    /// Pages that may be allocated now.
    pub(crate) available: FreePages,
    /// Pages that are marked in the map although memory has the truth about them.
    pub(crate) claimed: PageSet,
    /// Those claimed pages that are in use, so that their mark has to go.
    pub(crate) taken: PageSet,
    /// Pages that finished batches freed, by the birth of the batch.
    pub(crate) limbo: BTreeMap<Birth, PageSet>,
    /// Ranges whose leaf marks pages that are still in limbo, and the newest birth of those.
    pub(crate) quarantine: BTreeMap<u32, Birth>,
    pub(crate) open: Option<Batch>,
    /// The newest birth that was used.
    pub(crate) newest: Birth,
    pub(crate) map: SpaceMap,
    pub(crate) search: Search,
    /// The marked and unclaimed pages of the range from which extents were claimed last, so that its leaf is not
    /// decoded again for every handful. Forgotten whenever marks or claims change in another way.
    pub(crate) unclaimed: Option<(u32, Box<RangeBits>)>,
    /// The root page of the newest closed state.
    pub(crate) root: Option<PagePtr>,
    /// How the part of `available` is used that is kept for pages which are rewritten often.
    pub(crate) hot: HotArea,
    /// Where groups go that take many holes.
    pub(crate) stretches: Stretches,
    /// The page behind the last one that was placed together outside the hot area.
    pub(crate) run_next: Option<PageId>,
    /// The newest batch moves pages down: it, and the commit that it belongs to, place theirs below this page count.
    pub(crate) ceiling: Option<u64>,
    /// No page from this one on is marked and unclaimed, as far as a free tail is concerned: so the map was found when it was
    /// last asked for one. Forgotten whenever it gains pages.
    pub(crate) unmarked_from: Option<u64>,
}

/// The batch that is open.
#[derive(Debug)]
pub(crate) struct Batch {
    birth: Birth,
    pub(crate) allocated: PageSet,
    pub(crate) freed: PageSet,
}

impl Space {
    /// The free space of a new file: there is none.
    pub(crate) fn create() -> Space {
        Space {
            page_count: FIRST_USABLE,
            available: FreePages::default(),
            hot: HotArea::default(),
            stretches: Stretches::default(),
            claimed: PageSet::default(),
            taken: PageSet::default(),
            limbo: BTreeMap::new(),
            quarantine: BTreeMap::new(),
            open: None,
            newest: Birth(0),
            map: SpaceMap::empty(),
            search: Search::default(),
            unclaimed: None,
            root: None,
            run_next: None,
            ceiling: None,
            unmarked_from: None,
        }
    }

    /// The free space of a file whose newest commit has this space root. The page was checked by whoever read
    /// it, as every page is (INV-1).
    pub(crate) fn open(root: &Page, root_ptr: PagePtr, page_count: u64) -> Result<Space, Corruption> {
        if !is_page_count(page_count) {
            return Err(Corruption::SpaceField { field: "page count", value: page_count });
        }
        if root.id() != root_ptr.id {
            return Err(Corruption::PageId { found: root.id(), expected: root_ptr.id });
        }
        if root.birth() != root_ptr.birth {
            return Err(Corruption::Birth { found: root.birth(), expected: root_ptr.birth });
        }
        let decoded = SpaceRoot::decode(root, page_count)?;
        let mut space = Space { page_count, ..Space::create() };
        space.newest = root_ptr.birth;
        space.root = Some(root_ptr);
        space.map = SpaceMap::new(&decoded, page_count);
        for extent in decoded.listed {
            space.available.insert(extent);
        }
        Ok(space)
    }

    /// The free space of a file of which it is not known what is free: nothing is. The next close writes it anew.
    pub(crate) fn forgotten(root_ptr: PagePtr, page_count: u64, newest: Birth) -> Result<Space, Corruption> {
        if !is_page_count(page_count) {
            return Err(Corruption::SpaceField { field: "page count", value: page_count });
        }
        let is_root = is_usable(Extent::single(root_ptr.id), page_count);
        Ok(Space { page_count, newest, root: is_root.then_some(root_ptr), ..Space::create() })
    }

    /// Pages in the file, reserved ones included.
    pub(crate) fn page_count(&self) -> u64 {
        self.page_count
    }

    /// How many pages hold nothing, or nothing that a new operation could read: available ones and those in limbo.
    pub(crate) fn free_pages(&self) -> u64 {
        let limbo: u64 = self.limbo.values().map(PageSet::len).sum();
        self.spare_pages() + limbo
    }

    /// How many pages hold nothing and may be given out, or are marked in the map and may be soon.
    pub(crate) fn spare_pages(&self) -> u64 {
        self.available.pages() + self.map.free_pages().saturating_sub(self.claimed.len())
    }

    /// Opens a batch. Its birth is newer than all before.
    pub(crate) fn begin(&mut self, birth: Birth) {
        assert!(self.open.is_none(), "a batch is open already");
        assert!(birth > self.newest, "births ascend");
        self.stretches.batch_begun();
        self.ceiling = None;
        self.open = Some(Batch { birth, allocated: PageSet::default(), freed: PageSet::default() });
    }

    /// Finds `count` free pages in a row for the open batch. `None` if there is no such run, or none was found with
    /// reasonable effort: then the file may grow. Whether or not, pages for holes are not taken from the hot area.
    pub(crate) fn allocate(
        &mut self,
        store: &mut dyn MapStore,
        count: u32,
        placement: Placement,
    ) -> Result<Option<Extent>> {
        assert!(self.open.is_some(), "pages are allocated by a batch");
        let found = self.take(store, count, placement)?;
        if let Some(extent) = found {
            self.open_batch().allocated.insert(extent);
        }
        Ok(found)
    }

    /// Finds `count` free pages in a row in the hot area, whatever they are for: better that than a full disk.
    pub(crate) fn allocate_hot(&mut self, count: u32) -> Option<Extent> {
        let run = self.available.hot().shortest(count)?;
        let extent = Extent { count, ..run };
        self.available.remove(extent);
        self.open_batch().allocated.insert(extent);
        Some(extent)
    }

    /// Gives the open batch `count` pages in a row behind the end of the file, if that keeps the page count within
    /// `limit_page_count` and the address space.
    pub(crate) fn allocate_at_end(&mut self, count: u32, limit_page_count: u64) -> Option<Extent> {
        assert!(self.open.is_some(), "pages are allocated by a batch");
        let extent = self.grow(count, limit_page_count)?;
        self.open_batch().allocated.insert(extent);
        Some(extent)
    }

    /// The open batch gives up pages that earlier batches wrote, or that it has written itself.
    ///
    /// An error says that the pages cannot have been in use, so whatever led to them is corrupt.
    pub(crate) fn free(&mut self, extent: Extent) -> Result<(), Corruption> {
        let in_limbo = self.limbo.values().any(|freed| freed.overlaps(extent));
        let usable = is_usable(extent, self.page_count);
        let batch = self.open.as_mut().expect("pages are freed by a batch");
        let is_root = self.root.is_some_and(|root| extent.contains(root.id));
        if !usable || in_limbo || is_root || self.available.overlaps(extent) || batch.freed.overlaps(extent) {
            return Err(Corruption::NotInUse { page: extent.first });
        }
        batch.freed.insert(extent);
        Ok(())
    }

    /// The open batch does not give up pages after all.
    pub(crate) fn keep(&mut self, extent: Extent) {
        self.open_batch().freed.remove(extent);
    }

    /// The open batch returns pages that it allocated itself and that nobody ever wrote or saw.
    pub(crate) fn take_back(&mut self, extent: Extent) {
        let batch = self.open_batch();
        assert!(
            batch.allocated.contains(extent) && !batch.freed.overlaps(extent),
            "only pages that the open batch holds can be taken back"
        );
        batch.allocated.remove(extent);
        self.available.insert(extent);
        self.given_up(extent.pages());
    }

    /// Ends the open batch: what it allocated is in use, what it freed is in limbo. `recycled` are pages that earlier
    /// batches of the unwritten group allocated and that this one superseded: nobody can see them, so they are
    /// available at once.
    pub(crate) fn finish(&mut self, recycled: &[PageId]) {
        let Batch { birth, allocated, mut freed } = self.open.take().expect("a batch is open");
        self.newest = birth;
        self.taken.insert_all(&allocated.intersection(&self.claimed));
        self.taken.remove_all(&freed);
        for page in recycled {
            let page = Extent::single(*page);
            self.taken.remove(page);
            freed.remove(page);
            self.available.insert(page);
        }
        self.given_up(recycled.iter().copied());
        let holes = recycled.iter().filter(|page| !self.available.is_hot(**page)).count();
        self.stretches.batch_finished(freed.len(), holes);
        if !freed.is_empty() {
            self.limbo.insert(birth, freed);
        }
    }

    /// Undoes the open batch. The file does not shrink by that; its free tail is cut by the next close.
    pub(crate) fn abort(&mut self) {
        let Batch { mut allocated, .. } = self.open.take().expect("a batch is open");
        // Pages of the map return to it, so that a large batch leaves nothing behind in memory.
        let claimed = allocated.intersection(&self.claimed);
        allocated.remove_all(&claimed);
        self.claimed.remove_all(&claimed);
        self.unclaimed = None;
        let mut next = claimed.next(PageId(0));
        while let Some(page) = next {
            let range = range_of(page);
            self.search.improved(range);
            next = u32::try_from(range_end(range)).ok().and_then(|end| claimed.next(PageId(end)));
        }
        for extent in allocated.extents() {
            self.available.insert(extent);
        }
        self.unmarked_from = None;
    }

    /// Pages that batches up to this birth freed may be given out again: their commit is durable and published,
    /// and every operation that entered before has ended.
    pub(crate) fn release(&mut self, up_to: Birth) {
        while let Some(oldest) = self.limbo.first_entry().filter(|oldest| *oldest.key() <= up_to) {
            for extent in oldest.remove().extents() {
                self.available.insert(extent);
            }
        }
        if self.quarantine.is_empty() {
            return;
        }
        let Space { quarantine, search, .. } = self;
        quarantine.retain(|range, birth| {
            let stays = *birth > up_to;
            if !stays {
                search.improved(*range);
            }
            stays
        });
    }

    /// Removes `count` free pages in a row from what is available, after claiming more from the map if need be.
    pub(crate) fn take(
        &mut self,
        store: &mut dyn MapStore,
        count: u32,
        placement: Placement,
    ) -> Result<Option<Extent>> {
        assert!(count > 0, "an extent has pages");
        if count > LONGEST_EXTENT {
            return Ok(None);
        }
        let hot = match placement {
            Placement::Beside if !self.has_hot_run() => None,
            Placement::Hole => None,
            Placement::Beside | Placement::Together => self.hot_run(count, placement),
        };
        if let Some(extent) = hot.map(|found| Extent { count, ..found }) {
            self.available.remove(extent);
            return Ok(Some(extent));
        }
        let found = match placement {
            Placement::Hole | Placement::Beside => self.hole_or_stretch(store, count)?,
            Placement::Together => match self.below_ceiling(store, count)? {
                None => self.run(store, count)?,
                low => low,
            },
        };
        let Some(extent) = found.map(|found| Extent { count, ..found }) else {
            return Ok(None);
        };
        self.available.remove(extent);
        if placement != Placement::Together {
            self.stretches.placed();
        } else {
            // An extent that ends with the address space is followed by nothing.
            self.run_next = u32::try_from(extent.end()).ok().map(PageId);
        }
        Ok(Some(extent))
    }

    fn hole_or_stretch(&mut self, store: &mut dyn MapStore, count: u32) -> Result<Option<Extent>> {
        if let Some(low) = self.below_ceiling(store, count)? {
            return Ok(Some(low));
        }
        if self.ceiling.is_some() && count > 1 {
            // Better in pieces, but low.
            return Ok(None);
        }
        if count == 1
            && let Some(stretch) = self.stretch(store)?
        {
            return Ok(Some(stretch));
        }
        match self.hole(count) {
            None if self.claim_some(store, count)? => Ok(self.hole(count)),
            found => Ok(found),
        }
    }

    /// A short one of the lowest extents, so that holes fill up and runs stay whole. Where there are few extents, those are
    /// not all low: whatever lies in the upper half of the file comes last, however short. Else the pages of a file that
    /// has become nearly empty would go on taking one another's places at its end, and it could not be cut.
    fn hole(&self, count: u32) -> Option<Extent> {
        let mut best: Option<Extent> = None;
        for extent in self.available.cold().iter().take(HOLES_COMPARED).filter(|extent| extent.count >= count)
        {
            if best.is_some() && u64::from(extent.first.0) >= self.page_count / 2 {
                break;
            }
            if Some(extent.first) == self.run_next {
                continue;
            }
            if extent.count == count {
                return Some(extent);
            }
            if best.is_none_or(|best| extent.count < best.count) {
                best = Some(extent);
            }
        }
        best.or_else(|| self.available.cold().shortest(count))
    }

    /// The rest of the run that is being filled, or the lowest run that is worth beginning, or the longest there is.
    fn run(&mut self, store: &mut dyn MapStore, count: u32) -> Result<Option<Extent>> {
        let behind = self.run_next.and_then(|next| self.available.cold().starting_at(next));
        if let Some(rest) = behind.filter(|rest| rest.count >= count) {
            return Ok(Some(rest));
        }
        let wanted = count.max(RUN_PAGES);
        if let Some(run) = self.lowest_run(wanted) {
            return Ok(Some(run));
        }
        if self.claim_some(store, wanted)? {
            return Ok(self.lowest_run(wanted));
        }
        let longest = self.available.cold().longest().filter(|longest| longest.count >= count);
        if longest.is_none() && self.claim_some(store, count)? {
            return Ok(self.available.cold().longest());
        }
        Ok(longest)
    }

    /// The lowest of the extents that are long enough. Where the lowest ones are too short and many others are not, one of
    /// the shortest of those.
    fn lowest_run(&self, count: u32) -> Option<Extent> {
        let cold = self.available.cold();
        // Most often there is none, and the longest extent tells so at once.
        if cold.longest_count() < count {
            return None;
        }
        let lowest = cold.iter().take(RUNS_COMPARED).find(|extent| extent.count >= count);
        lowest.or_else(|| cold.lowest_of_shortest(count, RUNS_COMPARED))
    }

    /// Takes `count` pages in a row behind the end of the file.
    pub(crate) fn grow(&mut self, count: u32, limit_page_count: u64) -> Option<Extent> {
        assert!(count > 0, "an extent has pages");
        if count > LONGEST_EXTENT {
            return None;
        }
        let limit = limit_page_count.min(PAGE_COUNT_MAX);
        // A run that does not fit the rest of this range begins in a later one; the ranges that it skips become
        // available.
        let mut skipped = Vec::new();
        let mut first = self.page_count;
        let extent = loop {
            if first + u64::from(count) > limit {
                return None;
            }
            let range = range_of(PageId(first as u32));
            first = first.max(usable_start(range));
            let end = range_end(range);
            let count_left = (end - first) as u32;
            let found = Extent { first: PageId(first as u32), count };
            if found.end() > limit {
                return None;
            }
            if count <= count_left {
                break found;
            }
            if count_left > 0 {
                skipped.push(Extent { first: PageId(first as u32), count: count_left });
            }
            first = end;
        };
        self.page_count = extent.end();
        for extent in skipped {
            self.available.insert(extent);
        }
        Some(extent)
    }

    /// Claims extents from the lowest leaf that has a run of `count` pages. Says whether there was one.
    pub(crate) fn claim_some(&mut self, store: &mut dyn MapStore, count: u32) -> Result<bool> {
        let count = count as u16;
        let mut from = self.search.start(count);
        if from == u32::MAX {
            return Ok(false);
        }
        for leaves in 0.. {
            if count > 1 && leaves == LEAVES_PER_SEARCH {
                break;
            }
            let Space { map, search, quarantine, .. } = self;
            let found = map.find(store, from, count, &mut |range, entry| {
                !quarantine.contains_key(&range) && search.longest(range, entry) >= count
            })?;
            let Some((range, entry)) = found else {
                from = u32::MAX;
                break;
            };
            if self.claim_from(store, range, &entry, count)? {
                self.search.passed(count, range);
                return Ok(true);
            }
            from = range + 1;
        }
        self.search.passed(count, from);
        Ok(false)
    }

    fn claim_from(
        &mut self,
        store: &mut dyn MapStore,
        range: u32,
        entry: &Entry,
        count: u16,
    ) -> Result<bool> {
        let mut bits = match self.unclaimed.take() {
            Some((known, bits)) if known == range => bits,
            _ => Box::new(self.unclaimed_bits(store, range, entry)?),
        };
        let (mut extents, mut longest_left, mut is_exhausted) = (Vec::new(), 0, true);
        for (first, pages) in bits.runs() {
            if pages < u32::from(count) {
                longest_left = longest_left.max(pages);
            } else if extents.len() < CLAIM_EXTENTS {
                extents.push(extent_in_range(range, first, pages));
            } else {
                is_exhausted = false;
                break;
            }
        }
        for extent in &extents {
            self.claim(*extent).map_err(|source| store.corrupt(entry.ptr(0, range).id, source))?;
            bits.clear(offset_in_range(extent.first), extent.count);
        }
        if is_exhausted {
            self.search.learned(range, entry, longest_left as u16);
        }
        self.unclaimed = Some((range, bits));
        Ok(!extents.is_empty())
    }

    /// The pages of a range that are marked and not claimed.
    pub(crate) fn unclaimed_bits(
        &self,
        store: &mut dyn MapStore,
        range: u32,
        entry: &Entry,
    ) -> Result<RangeBits> {
        let mut bits = self.map.leaf(store, range, entry)?;
        for claimed in self.claimed.extents_within(whole_range(range)) {
            bits.clear(offset_in_range(claimed.first), claimed.count);
        }
        Ok(bits)
    }

    /// Makes marked pages available. They are free, unless the file was tampered with.
    pub(crate) fn claim(&mut self, extent: Extent) -> Result<(), Corruption> {
        let in_batch = self
            .open
            .as_ref()
            .is_some_and(|batch| batch.allocated.overlaps(extent) || batch.freed.overlaps(extent));
        let in_limbo = self.limbo.values().any(|freed| freed.overlaps(extent));
        let is_root = self.root.is_some_and(|root| extent.contains(root.id));
        if in_batch || in_limbo || is_root || self.available.overlaps(extent) {
            return Err(free_twice(extent));
        }
        self.claimed.insert(extent);
        self.available.insert(extent);
        Ok(())
    }

    fn open_batch(&mut self) -> &mut Batch {
        self.open.as_mut().expect("a batch is open")
    }
}

impl Batch {
    pub(crate) fn birth(&self) -> Birth {
        self.birth
    }
}
