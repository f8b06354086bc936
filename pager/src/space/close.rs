//! Closing a group: writing the free space of all finished batches, at the cost of what they changed.
//!
//! Free, for the state that is written, is what is available, what is in limbo (a reader may need it, the next
//! commit does not), what the open batch has allocated so far (if the machine stops now, that batch never was) and
//! what the map marks without being claimed. What the open batch has freed is in use.
//!
//! # The order of a close
//!
//! 1. Take a page for the new root; the old root goes into limbo.
//! 2. Cut the free tail off the file.
//! 3. Survey the free extents that memory knows of, by range. Ranges with taken pages are *dirty*: their leaf must be
//!    rewritten, so all that is claimed there loses its mark and can be listed. (Otherwise the next commits
//!    would have to rewrite the same leaf again, one hole after another.)
//! 4. If more is to be listed than fits, *spill* ranges into the map until the list is half full. Whole ranges with the
//!    most extents go first, so that few leaves are written. A range with few extents is spilled only if the
//!    list would overflow: where extents are spread thinly, each spilled one costs a map page, and the cost of a
//!    close must stay in proportion to what its batches freed. The lowest extents of spilled ranges that are available
//!    now are listed nevertheless, as far as half the list has room: a range that gets pages from limbo is closed to
//!    allocations until they are released, and a file of a single range would have to grow meanwhile. For the same reason
//!    the hot area stays listed as a whole, limbo and all, unless it alone would fill three quarters of the list.
//!    A group that is to be written in few pieces also spills the ranges that are dirty anyhow, so that the map sees which
//!    free pages are neighbours.
//! 5. Rewrite the leaves of dirty and spilled ranges and the directories above them, then the root.
//! 6. Bring memory into line.
//!
//! Nothing in memory changes for good before (6), so a close that fails has not happened, and may be tried again
//! with a number that was never used. (Of what it has emitted, nothing may have been written.)
//!
//! A small commit, in the steady state, takes what earlier commits freed from the list, adds what it frees itself, and
//! writes the root alone.

use crate::error::Result;
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::space::map::{Emit, MapStore, SpaceMap};
use crate::space::page::{encode_root, free_twice};
use crate::space::plan::{Plan, in_range};
use crate::space::range::{
    extent_in_range, offset_in_range, range_of, range_start, usable_start, whole_range,
};
use crate::space::{Placement, Space};

/// How many leaves a close looks into for the free tail.
const TAIL_LEAVES: usize = 4;
/// How many runs it claims from them. They are more than one a leaf where other pages of the tail are in memory already.
const TAIL_RUNS: usize = 512;

/// How many free pages stay at the end of a file whose free tail begins with this page. Twice as many are there before any are cut, so that a file that
/// breathes is not cut at every breath.
pub(crate) fn tail_slack(tail: PageId) -> u32 {
    (tail.0 / 8).clamp(8, 64)
}

/// What a close wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The space root of the commit.
    pub(crate) root: PagePtr,
    /// The pages of the file as of this commit.
    pub(crate) page_count: u64,
}

/// What a close has changed before it is certain to succeed.
#[derive(Debug)]
struct Undo {
    root: Extent,
    page_count: u64,
    cut: Vec<Extent>,
}

impl Space {
    /// Writes the state of all finished batches as commit `number`: emits the map pages that changed, then the space
    /// root. `None` if there is no page for the root within `limit_page_count`.
    ///
    /// After an error or `None` nothing has changed.
    pub(crate) fn close(
        &mut self,
        store: &mut dyn MapStore,
        number: Birth,
        limit_page_count: u64,
        emit: &mut Emit<'_>,
    ) -> Result<Option<Closed>> {
        assert!(number >= self.newest, "a commit is as new as its newest batch");
        assert!(self.root.is_none_or(|root| number > root.birth), "commit numbers ascend");
        assert!(self.open.as_ref().is_none_or(|batch| batch.birth() > number), "the open batch is not in it");
        let page_count = self.page_count;
        let taken = self.take(store, 1, Placement::Together)?;
        let Some(root) = taken.or_else(|| self.grow(1, limit_page_count)) else {
            return Ok(None);
        };
        self.taken.insert_all(&self.claimed.within(root));
        if let Some(old) = self.root {
            self.limbo.entry(number).or_default().insert(Extent::single(old.id));
        }
        let mut undo = Undo { root, page_count, cut: Vec::new() };
        let ptr = PagePtr { id: root.first, birth: number };
        match self.write_state(store, ptr, emit, &mut undo.cut) {
            Ok((map, plan)) => {
                self.settle(map, &plan);
                self.cool_beyond_end();
                self.root = Some(ptr);
                self.newest = number;
                if self.open.is_none() {
                    self.run_next = None;
                }
                self.hot.group_closed();
                self.stretches.group_closed(!plan.spilled.is_empty());
                Ok(Some(Closed { root: ptr, page_count: self.page_count }))
            }
            Err(error) => {
                self.undo(undo, number);
                Err(error)
            }
        }
    }

    /// Emits everything, and leaves memory as it is but for the tail.
    fn write_state(
        &mut self,
        store: &mut dyn MapStore,
        root: PagePtr,
        emit: &mut Emit<'_>,
        cut: &mut Vec<Extent>,
    ) -> Result<(SpaceMap, Plan)> {
        self.cut_tail(store, cut)?;
        let plan = self.plan();
        let rewritten: Vec<u32> = plan.dirty.union(&plan.spilled).copied().collect();
        let map = self.map.update(
            store,
            root.birth,
            self.page_count,
            &rewritten,
            &mut |store, range, bits| {
                for claimed in self.claimed.extents_within(whole_range(range)) {
                    bits.clear(offset_in_range(claimed.first), claimed.count);
                }
                if plan.spilled.contains(&range) {
                    for free in in_range(&plan.free, range) {
                        if !bits.set(offset_in_range(free.first), free.count) {
                            return Err(store.corrupt(root.id, free_twice(*free)));
                        }
                    }
                    for spared in in_range(&plan.listed, range) {
                        bits.clear(offset_in_range(spared.first), spared.count);
                    }
                }
                Ok(())
            },
            emit,
        )?;
        emit(root, &mut |page| encode_root(map.height(), map.entries(), &plan.listed, root, page))?;
        Ok((map, plan))
    }

    /// Lowers the page count past available pages at the end of the file, and past the reserved places of a range
    /// that becomes empty. Marked pages at the end are claimed for that. Some pages stay, as a run for what the next
    /// commits place together: a file without any slack has single holes only, and scattered commits.
    fn cut_tail(&mut self, store: &mut dyn MapStore, cut: &mut Vec<Extent>) -> Result<()> {
        let mut leaves = 0;
        let mut last_range = None;
        for runs in 0.. {
            while let Some(tail) = self.available.ending_at(self.page_count) {
                let range = range_of(tail.first);
                if range == 0 || u64::from(tail.first.0) != usable_start(range) {
                    break;
                }
                self.cut(tail, cut);
                self.page_count = range_start(range);
            }
            let range = range_of(PageId((self.tail_start() - 1) as u32));
            leaves += usize::from(last_range.replace(range) != Some(range));
            if leaves > TAIL_LEAVES || runs == TAIL_RUNS || !self.claim_tail(store)? {
                break;
            }
        }
        if let Some(tail) = self.available.ending_at(self.page_count) {
            let slack = tail_slack(tail.first);
            if tail.count > 2 * slack {
                let first = PageId(tail.first.0 + slack);
                self.cut(Extent { first, count: tail.count - slack }, cut);
                self.page_count = first.0.into();
            }
        }
        Ok(())
    }

    fn cut(&mut self, tail: Extent, cut: &mut Vec<Extent>) {
        self.available.remove(tail);
        self.taken.insert_all(&self.claimed.within(tail));
        cut.push(tail);
    }

    /// Where the available pages at the end of the file begin.
    fn tail_start(&self) -> u64 {
        self.available.ending_at(self.page_count).map_or(self.page_count, |tail| tail.first.0.into())
    }

    /// Makes the run of marked pages available that ends the file, or ends where the available ones at its end begin.
    fn claim_tail(&mut self, store: &mut dyn MapStore) -> Result<bool> {
        let tail_start = self.tail_start();
        if self.unmarked_from.is_some_and(|unmarked| tail_start > unmarked) {
            return Ok(false);
        }
        let last = PageId((tail_start - 1) as u32);
        let range = range_of(last);
        if self.quarantine.contains_key(&range) || self.claimed.contains(Extent::single(last)) {
            return Ok(false);
        }
        let entry = self.map.entry(store, range)?;
        if entry.is_empty() {
            self.unmarked_from = Some(range_start(range));
            return Ok(false);
        }
        let bits = self.unclaimed_bits(store, range, &entry)?;
        let end = offset_in_range(last) + 1;
        let first = bits.run_before(end);
        if first == end {
            self.unmarked_from = Some(range_start(range) + u64::from(bits.end()));
            return Ok(false);
        }
        let tail = extent_in_range(range, first, end - first);
        self.unclaimed = None;
        self.claim(tail).map_err(|source| store.corrupt(entry.ptr(0, range).id, source))?;
        Ok(true)
    }

    /// Brings memory into line with what was written.
    fn settle(&mut self, map: SpaceMap, plan: &Plan) {
        self.map = map;
        self.unclaimed = None;
        if !plan.forgotten.is_empty() || !plan.spilled.is_empty() {
            self.unmarked_from = None;
        }
        for &range in &plan.forgotten {
            let claimed: Vec<Extent> = self.claimed.extents_within(whole_range(range)).collect();
            for extent in claimed {
                self.leave_to_map(extent, None, true);
            }
            self.search.improved(range);
        }
        for &range in &plan.spilled {
            let spared = in_range(&plan.spared, range).last();
            self.leave_to_map(whole_range(range), spared.copied(), plan.spares_hot);
            if plan.spares_hot {
                // What is listed there, or in use, has lost its mark.
                for (hot, _) in self.available.parts(whole_range(range)).filter(|(_, is_hot)| *is_hot) {
                    self.claimed.remove(hot);
                }
            }
            self.search.improved(range);
        }
        for &range in &plan.dirty {
            if !plan.spilled.contains(&range) {
                self.claimed.remove(whole_range(range));
                self.search.rewritten(range);
            }
        }
        self.taken.clear();
    }

    /// Forgets the free pages within an extent, which lies in one range, but for the available ones up to the last that is
    /// spared, and the hot ones if these are: the map marks them. What the open batch has allocated there is claimed; what was
    /// in limbo puts the range into quarantine.
    fn leave_to_map(&mut self, extent: Extent, last_spared: Option<Extent>, spares_hot: bool) {
        let spared_until = last_spared.map_or(0, Extent::end);
        let parts: Vec<Extent> = match spares_hot {
            true => {
                self.available.parts(extent).filter(|(_, is_hot)| !is_hot).map(|(part, _)| part).collect()
            }
            false => vec![extent],
        };
        for part in parts {
            let first = spared_until.max(part.first.0.into());
            if first < part.end() {
                let count = (part.end() - first) as u32;
                self.available.remove(Extent { first: PageId(first as u32), count });
            }
            for (birth, freed) in &mut self.limbo {
                if freed.overlaps(part) {
                    freed.remove(part);
                    let quarantined = self.quarantine.entry(range_of(part.first)).or_insert(*birth);
                    *quarantined = (*quarantined).max(*birth);
                }
            }
            self.claimed.remove(part);
            if let Some(batch) = &self.open {
                self.claimed.insert_all(&batch.allocated.within(part));
            }
        }
        self.limbo.retain(|_, freed| !freed.is_empty());
    }

    fn undo(&mut self, undo: Undo, number: Birth) {
        for cut in undo.cut {
            self.available.insert(cut);
            self.taken.remove(cut);
        }
        self.page_count = undo.page_count;
        self.taken.remove(undo.root);
        // A root that the file grew for is cut off again.
        if undo.root.end() <= self.page_count {
            self.available.insert(undo.root);
        }
        if let Some(old) = self.root
            && let Some(freed) = self.limbo.get_mut(&number)
        {
            freed.remove(Extent::single(old.id));
        }
        self.limbo.retain(|_, freed| !freed.is_empty());
    }
}
