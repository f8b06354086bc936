//! The hot area: a small part of the file, kept for the pages that commits rewrite often.
//!
//! Each commit rewrites the upper pages of its trees, the catalog, the history and the space root, and for each leaf the leaf's
//! parent. A file of a million rows has some 46,000 leaves, but only 350 parents. What is rewritten often leaves long
//! runs of free pages behind, all by itself, if nothing that lives long settles in between: that is how
//! log-structured file systems clean segments of hot data for next to nothing (Rosenblum and Ousterhout 1992). So
//! leaves never go into the hot area, and each commit writes what it places there as one piece, into the longest run that
//! the area has. A simulation gave 1.0 pieces a commit, for single puts and for groups of 32 alike, with an area of
//! four to five times the pages that live there.
//!
//! # What it is made of
//!
//! Granules of 16 pages, in memory only: a file does not say what is hot. The area gains granules when it has
//! no run for a commit like the last ones: the emptiest ones of the file, or new ones at its end. So after an open the old area
//! is found again, since nothing is as empty. It is bounded by a part of the file and by [`HOT_PAGES_MAX`], so that its
//! free extents stay listed in the space root, whatever else a close spills into the map. Where the parents are too many for
//! that, they do without (see [`Placement::Beside`]), and the few pages above them still have their run.
//!
//! Granules that are full of pages which nobody rewrites are given back, and so are those in the upper half of
//! a file that has become nearly empty, lest they keep it from being cut.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::format::page_id::{Extent, PageId};
use crate::space::free_pages::{GRANULE, granule_extent, granule_of};
use crate::space::map::MapStore;
use crate::space::{Placement, RUN_PAGES, Space};

/// Pages of the hot area, at the most.
const HOT_PAGES_MAX: u64 = 2048;
/// The longest run that the area is enlarged for: above, a commit in two pieces costs little more than one in one.
const LONGEST_WANTED: u32 = 32;
/// How many pages of a granule are free if it is worth having.
const WORTH_HEATING: u32 = 10;
/// The shortest run that has a granule worth having, wherever it begins.
const RUN_WORTH_HEATING: u32 = 2 * WORTH_HEATING - 1;
/// How many groups pass between two looks at an area for which nothing could be done, or which may be too high up.
const LOOK_AGAIN: u32 = 16;
/// How many groups pass between two looks for granules that stay full.
const STAYS_FULL: u32 = 256;

/// What the hot area needs to be the right size, and to be filled run by run.
#[derive(Debug, Default)]
pub(crate) struct HotArea {
    /// The page behind the last one that was placed, if that was in the area.
    next: Option<PageId>,
    /// Whether a group has placed nothing yet.
    filling: bool,
    /// Pages that this group has placed for [`Placement::Beside`].
    beside: BTreeSet<PageId>,
    /// Pages of this group that were given up within it: those that stood beside, and the others. They are used first, by
    /// their like.
    given_up: [BTreeSet<PageId>; 2],
    /// Pages that this group has placed in the area so far.
    placed: u32,
    /// What groups have placed there of late, in sixteenths of a page.
    need: u32,
    /// Pages by which the file has grown for the area.
    grown: u64,
    /// Groups that were closed so far, and by the time the area was last tended.
    closed: u32,
    tended: u32,
    /// Until so many groups are closed, nothing can be done for the area.
    pause_until: u32,
    /// The granules that were full when they were last looked at, and when that was.
    full: Vec<u32>,
    full_since: u32,
}

impl HotArea {
    /// A group has been written.
    pub(crate) fn group_closed(&mut self) {
        self.need = self.need - self.need / 8 + 2 * self.placed.min(1 << 20);
        self.placed = 0;
        self.filling = false;
        self.beside.clear();
        self.given_up.iter_mut().for_each(BTreeSet::clear);
        self.closed = self.closed.wrapping_add(1);
    }

    /// Pages that a group usually places.
    fn need(&self) -> u32 {
        (self.need / 16).clamp(RUN_PAGES, LONGEST_WANTED)
    }
}

/// Pages that the hot area of a file may have: an eighth of a small file, and 3 % of a large one.
fn hot_pages_max(page_count: u64) -> u64 {
    let small = (page_count / 8).clamp(GRANULE.into(), 256);
    (page_count / 32).max(small).min(HOT_PAGES_MAX)
}

impl Space {
    /// Sees to it that the hot area has a run for what the next commit places there, within `limit_page_count`, and that it
    /// is no larger and no higher up than it should be.
    pub(crate) fn tend_hot_area(&mut self, store: &mut dyn MapStore, limit_page_count: u64) -> Result<()> {
        let closed = self.hot.closed;
        if self.hot.tended == closed && !self.available.granules().is_empty() {
            return Ok(());
        }
        self.hot.tended = closed;
        self.cool_beyond_end();
        if closed.is_multiple_of(LOOK_AGAIN) {
            self.lower_hot_area(store)?;
        }
        if self.available.hot().longest_count() >= self.hot.need() {
            return Ok(());
        }
        if self.hot.pause_until.wrapping_sub(closed) <= LOOK_AGAIN && self.hot.pause_until != closed {
            return Ok(());
        }
        let area = self.available.hot_area_pages();
        let room = hot_pages_max(self.page_count).saturating_sub(area) as u32 / GRANULE;
        let wanted = self.hot.need().max(area as u32 / 16).div_ceil(GRANULE).min(room) * GRANULE;
        let enlarged = wanted > 0
            && (self.heat_emptiest(wanted)
                || (self.claim_some(store, RUN_WORTH_HEATING)? && self.heat_emptiest(wanted))
                || self.grow_hot(wanted, limit_page_count));
        if !enlarged {
            self.hot.pause_until = closed.wrapping_add(LOOK_AGAIN);
            self.cool_granules_that_stay_full();
        }
        Ok(())
    }

    /// Where the next page of the hot area goes, or pages. None if it has no such run.
    ///
    /// The batches of a group replace the pages that all of them write, which alternate between two places that way, while
    /// the parents of their leaves follow one another.
    pub(crate) fn hot_run(&mut self, count: u32, placement: Placement) -> Option<Extent> {
        let found = self.given_up_before(count, placement).or_else(|| self.next_of_run(count))?;
        self.hot.placed = self.hot.placed.saturating_add(count);
        if placement == Placement::Beside {
            self.hot.beside.extend(Extent { count, ..found }.pages());
        }
        Some(found)
    }

    fn given_up_before(&mut self, count: u32, placement: Placement) -> Option<Extent> {
        let given_up = &mut self.hot.given_up[usize::from(placement == Placement::Beside)];
        while count == 1
            && let Some(page) = given_up.pop_first()
        {
            if self.available.hot().overlaps(Extent::single(page)) {
                return Some(Extent::single(page));
            }
        }
        None
    }

    fn next_of_run(&mut self, count: u32) -> Option<Extent> {
        let Space { available, hot, .. } = self;
        let longest = available.hot().longest().filter(|longest| longest.count >= count)?;
        let rest = hot.next.and_then(|next| available.hot().starting_at(next));
        let is_first = !std::mem::replace(&mut hot.filling, true);
        // The rest of the last group's run is left to grow if it is too short for this one.
        let is_enough = |run: Extent| run.count >= if is_first { count.max(hot.need()) } else { count };
        let run = rest.filter(|rest| is_enough(*rest) || rest.count == longest.count).unwrap_or(longest);
        hot.next = u32::try_from(u64::from(run.first.0) + u64::from(count)).ok().map(PageId);
        Some(run)
    }

    /// Whether the hot area has room for more than the pages that need it most.
    pub(crate) fn has_hot_run(&self) -> bool {
        self.available.hot().longest_count() >= RUN_PAGES
    }

    /// Pages that the gathering group placed and nobody will see are available again.
    pub(crate) fn given_up(&mut self, pages: impl IntoIterator<Item = PageId>) {
        for page in pages {
            if self.available.is_hot(page) {
                let was_beside = self.hot.beside.remove(&page);
                self.hot.given_up[usize::from(was_beside)].insert(page);
                self.hot.placed = self.hot.placed.saturating_sub(1);
            }
        }
    }

    /// Makes the emptiest granules hot, `pages` pages at the most. Says whether there were any.
    fn heat_emptiest(&mut self, pages: u32) -> bool {
        let end = if self.is_nearly_empty() { self.page_count / 2 } else { self.page_count };
        let mut emptiest = self.nearly_empty_granules(self.ceiling.map_or(end, |ceiling| ceiling.min(end)));
        emptiest.truncate((pages / GRANULE) as usize);
        for granule in &emptiest {
            self.available.heat(*granule);
        }
        !emptiest.is_empty()
    }

    /// Granules below `end` that are nearly empty and not hot, the emptiest first, of those the lowest.
    fn nearly_empty_granules(&self, end: u64) -> Vec<u32> {
        let mut counts: Vec<(u32, u32)> = Vec::new();
        for extent in self.available.cold().iter().take_while(|extent| u64::from(extent.first.0) < end) {
            let mut first = extent.first.0;
            let mut left = extent.count;
            while left > 0 {
                let granule = granule_of(PageId(first));
                let count = left.min(GRANULE - first % GRANULE);
                match counts.last_mut() {
                    Some((last, free)) if *last == granule => *free += count,
                    _ => counts.push((granule, count)),
                }
                left -= count;
                first = first.wrapping_add(count);
            }
        }
        let fits = |granule: u32| granule_extent(granule).end() <= end;
        counts.retain(|(granule, free)| *free >= WORTH_HEATING && fits(*granule));
        counts.sort_unstable_by_key(|(granule, free)| (std::cmp::Reverse(*free), *granule));
        counts.into_iter().map(|(granule, _)| granule).collect()
    }

    /// Lets the file grow by about so many pages for the hot area. In all the file grows for it by no more than the area may
    /// have, or while few pages are free anyway.
    fn grow_hot(&mut self, pages: u32, limit_page_count: u64) -> bool {
        let free = self.free_pages();
        let few_are_free = free < (self.page_count / 16).max(64);
        let is_allowed = self.hot.grown + u64::from(pages) <= hot_pages_max(self.page_count);
        if self.ceiling.is_some() || (!few_are_free && !is_allowed) {
            return false;
        }
        // So that the file ends where a granule does.
        let count = pages + (GRANULE - (self.page_count % u64::from(GRANULE)) as u32) % GRANULE;
        let Some(extent) = self.grow(count, limit_page_count) else { return false };
        self.hot.grown += u64::from(count);
        for granule in granule_of(extent.first)..=granule_of(PageId((extent.end() - 1) as u32)) {
            self.available.heat(granule);
        }
        self.available.insert(extent);
        true
    }

    /// Granules that the end of the file has passed are hot no longer: who lets the file grow again decides anew.
    pub(crate) fn cool_beyond_end(&mut self) {
        while let Some(last) = self.available.granules().last().copied()
            && granule_extent(last).end() > self.page_count
        {
            self.available.cool(last);
        }
    }

    /// Gives back granules that have had nothing free for long: what is in them is not rewritten.
    fn cool_granules_that_stay_full(&mut self) {
        if self.hot.closed.wrapping_sub(self.hot.full_since) < STAYS_FULL {
            return;
        }
        self.hot.full_since = self.hot.closed;
        let hot = self.available.hot();
        let is_full = |granule: &u32| !hot.overlaps(granule_extent(*granule));
        let full: Vec<u32> = self.available.granules().iter().copied().filter(is_full).collect();
        for granule in std::mem::replace(&mut self.hot.full, full) {
            if self.hot.full.contains(&granule) {
                self.available.cool(granule);
            }
        }
    }

    /// Gives back what is more than the area may have, and moves it down where the file is nearly empty: its pages would
    /// keep taking one another's places at the end of the file.
    fn lower_hot_area(&mut self, store: &mut dyn MapStore) -> Result<()> {
        while self.available.hot_area_pages() > hot_pages_max(self.page_count).max(GRANULE.into())
            && let Some(last) = self.available.granules().last().copied()
        {
            self.available.cool(last);
        }
        let middle = self.page_count / 2;
        let is_high = |granule: &u32| u64::from(granule_extent(*granule).first.0) >= middle;
        let high: Vec<u32> = self.available.granules().iter().copied().filter(is_high).collect();
        if high.is_empty() || !self.is_nearly_empty() {
            return Ok(());
        }
        let mut low = self.nearly_empty_granules(middle);
        if low.is_empty() && self.claim_some(store, 2 * GRANULE)? {
            low = self.nearly_empty_granules(middle);
        }
        low.truncate(high.len());
        if !low.is_empty() {
            high.into_iter().for_each(|granule| self.available.cool(granule));
            low.into_iter().for_each(|granule| self.available.heat(granule));
        }
        Ok(())
    }

    /// Whether the file could be much shorter.
    fn is_nearly_empty(&self) -> bool {
        self.free_pages() > self.page_count / 2
    }
}
