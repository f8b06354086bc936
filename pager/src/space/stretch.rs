//! Stretches: where the pages of groups go that write many holes at once.
//!
//! A lone leaf is best put into the lowest short hole: a piece of the commit's write it is anyhow. But a transaction that puts a
//! thousand random rows writes a thousand leaves, and on the device that we measure on each further piece takes as long as
//! seven more pages of a piece. So a group that has taken more than a few holes goes over to *stretches*: it fills a run of
//! free pages from its beginning to its end, then another one. That is a log-structured file system without a cleaner: what
//! was written to a stretch dies page by page, and where most of it is dead there are long runs again. Which runs are filled
//! first matters. A simulation of leaves that are rewritten at random, in a file one and a half times as large as what lives in
//! it, gave 1.0 pages a piece with low holes, 2.4 going round the file, 3.4 with the longest run each time, and 2.9 with the
//! lowest run of 16 pages, else of 8, and so on: that costs no search of the whole file, and keeps to its lower part where
//! much is free.
//!
//! # Growing for it
//!
//! A file that is nearly full has no runs, and while it is loaded in random order it always is. So *large* batches, and only
//! these, let the file grow, by stretches at its end, while there is no long run and less than a third of it is free. Among
//! a hundred thousand documents that gave four pages a piece, and 1.2 without. Groups of small batches never let it
//! grow. What was gained is given back when the database is idle, by those above who move pages down
//! ([`WriteBatch::move_down`](crate::commit::write_batch::WriteBatch::move_down)).

use crate::error::Result;
use crate::format::page_id::{Extent, PageId};
use crate::space::map::MapStore;
use crate::space::range::LONGEST_EXTENT;
use crate::space::{Placement, Space};

/// How many holes a group takes one by one.
const FEW: u32 = 3;
/// The lengths of runs that are looked for, one after the other.
const LENGTHS: [u32; 6] = [16, 8, 6, 4, 3, 2];
/// Shorter runs are not worth it to a large batch as long as the file may grow.
const WORTH_FILLING: u32 = 8;
/// Pages by which the file grows for a large batch, at once.
const GROWN_AT_ONCE: u32 = 64;
/// A batch that takes so many holes is large.
const LARGE: u32 = 256;
/// Pages that groups have freed since free neighbours last met in the map, if there is anything to be gained from having them meet again:
/// in ranges whose leaf is rewritten anyhow, and in others, for each leaf.
const WORTH_MERGING: u32 = 16;
const PAGES_A_LEAF: u32 = 32;
/// For how many groups extents stay listed when all could be in the map, and how many at the least and at the most.
const GROUPS_LISTED: u32 = 4;
const LISTED_MIN: u32 = 32;
const LISTED_MAX: u32 = 237;
/// The file grows for large batches while less than one page in so many is free.
pub(crate) const SLACK: u64 = 3;

/// How the holes of the gathering group are placed.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    /// The page behind the last one that was placed in a stretch.
    next: Option<PageId>,
    /// Holes that this group has taken so far, and the open batch.
    group: u32,
    batch: u32,
    /// What groups have taken of late, in sixteenths of a page.
    usual: u32,
    /// Whether this group has found no run of even two pages.
    found_none: bool,
    /// Pages that batches have freed since neighbours last met in the map.
    freed: u32,
    /// Whether the batch before this one was large.
    last_was_large: bool,
    /// The device is full.
    cannot_grow: bool,
}

impl Stretches {
    /// A batch has begun.
    pub(crate) fn batch_begun(&mut self) {
        self.batch = 0;
        self.cannot_grow = false;
    }

    /// A batch has ended; it has freed so many pages, and given up so many that others of its group had taken.
    pub(crate) fn batch_finished(&mut self, freed: u64, recycled: usize) {
        self.last_was_large = self.batch >= LARGE;
        self.freed = self.freed.saturating_add(u32::try_from(freed).unwrap_or(u32::MAX));
        self.group = self.group.saturating_sub(recycled as u32);
    }

    /// A group has been written.
    pub(crate) fn group_closed(&mut self, is_merged: bool) {
        self.freed = if is_merged { 0 } else { self.freed };
        self.found_none = false;
        self.usual = self.usual - self.usual / 8 + 2 * self.group.min(1 << 20);
        self.group = 0;
    }

    /// The file cannot grow, so that this batch takes what there is.
    pub(crate) fn cannot_grow(&mut self) {
        self.cannot_grow = true;
    }

    /// A hole has been taken.
    pub(crate) fn placed(&mut self) {
        self.group = self.group.saturating_add(1);
        self.batch = self.batch.saturating_add(1);
    }

    /// Whether the gathering group is to be written in few pieces.
    pub(crate) fn is_wanted(&self) -> bool {
        self.group.max(self.usual / 16) > FEW
    }

    /// Whether there are likely to be new neighbours in the ranges whose leaves are rewritten anyhow.
    pub(crate) fn is_merge_due(&self) -> bool {
        self.is_wanted() && self.freed >= WORTH_MERGING
    }

    /// How many other leaves of the map may be rewritten, only to find runs.
    pub(crate) fn leaves_to_merge(&self) -> usize {
        if self.found_none { (self.freed / PAGES_A_LEAF) as usize } else { 0 }
    }

    /// How many extents stay listed where more could be in the map: enough for a few groups.
    pub(crate) fn listed_extents(&self) -> usize {
        (self.group.max(self.usual / 16) * GROUPS_LISTED).clamp(LISTED_MIN, LISTED_MAX) as usize
    }

    fn may_grow(&self) -> bool {
        !self.cannot_grow && (self.batch >= LARGE || self.last_was_large)
    }
}

impl Space {
    /// Where the next hole of a group goes that takes many: the rest of the stretch that is being filled, or the beginning of another
    /// one. None if a low hole is as good.
    pub(crate) fn stretch(&mut self, store: &mut dyn MapStore) -> Result<Option<Extent>> {
        if !self.stretches.is_wanted() {
            return Ok(None);
        }
        let found = match self.rest_of_stretch() {
            None => self.next_stretch(store, LENGTHS[LENGTHS.len() - 1])?,
            rest => rest,
        };
        self.stretches.next = found.and_then(|found| found.first.0.checked_add(1)).map(PageId);
        Ok(found)
    }

    /// Whether the file should grow before the open batch allocates a page: it is large, there are no long runs left, and not too much
    /// is free.
    pub(crate) fn wants_stretch(&mut self, store: &mut dyn MapStore, placement: Placement) -> Result<bool> {
        let is_hole = match placement {
            Placement::Hole => true,
            Placement::Beside => !self.has_hot_run(),
            Placement::Together => false,
        };
        if !is_hole
            || self.ceiling.is_some()
            || !self.stretches.may_grow()
            || self.rest_of_stretch().is_some()
        {
            return Ok(false);
        }
        let freed = self.open.as_ref().map_or(0, |batch| batch.freed.len());
        let free = self.free_pages() + freed;
        Ok(free < self.page_count / SLACK && self.next_stretch(store, WORTH_FILLING)?.is_none())
    }

    /// Lets the file grow by a stretch, within `limit_page_count`. Says whether there was room.
    pub(crate) fn grow_stretch(&mut self, limit_page_count: u64) -> bool {
        let room = limit_page_count.saturating_sub(self.page_count).min(GROWN_AT_ONCE.into()) as u32;
        let Some(grown) = (room > 0).then(|| self.grow(room, limit_page_count)).flatten() else {
            return false;
        };
        self.available.insert(grown);
        self.stretches.next = Some(grown.first);
        true
    }

    fn rest_of_stretch(&self) -> Option<Extent> {
        self.stretches.next.and_then(|next| self.available.cold().starting_at(next))
    }

    /// The run that is filled next, of `least` pages or more: one of the lowest, the longer the better.
    fn next_stretch(&mut self, store: &mut dyn MapStore, least: u32) -> Result<Option<Extent>> {
        for length in LENGTHS.into_iter().take_while(|length| *length >= least) {
            if let Some(run) = self.lowest_run(length) {
                return Ok(Some(run));
            }
            if self.claim_some(store, length)? {
                return Ok(self.lowest_run(length));
            }
        }
        self.stretches.found_none |= least <= LENGTHS[LENGTHS.len() - 1];
        Ok(None)
    }
}

const _: () = assert!(GROWN_AT_ONCE <= LONGEST_EXTENT);
