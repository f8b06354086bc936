//! What a close lists and what it leaves to the map: chosen before anything is written, from the free extents that memory
//! knows of. See [`crate::space::close`], steps 3 and 4.
//!
//! Most closes write the root alone, of a file in whose list there is room: then the plan is the list of what is free, and
//! nothing is looked at one by one. So what memory knows of is gathered as arrays, which are copied from, and looked at range
//! by range.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::slice;

use crate::format::page_id::{Extent, PageId};
use crate::space::Space;
use crate::space::extent_set::{between, united};
use crate::space::page::LIST_CAPACITY;
use crate::space::page_set::PageSet;
use crate::space::range::{range_end, range_of, range_start, whole_range};

/// How many extents stay listed when the list overflows.
const LIST_AFTER_SPILL: usize = LIST_CAPACITY / 2;
/// How many extents the hot area may have if it is to stay listed.
const HOT_LISTED_MAX: usize = LIST_CAPACITY / 4 * 3;
/// A range with fewer extents is spilled only if it must be.
const WORTH_SPILLING: usize = 4;
/// How many extents may stay claimed and unused; beyond, they go back to the map, which writes nothing.
const KEPT_MAX: usize = 2 * LIST_CAPACITY;
/// How many extents are not available, though free, after most batches.
const USUAL_OTHERS: usize = 64;

/// What becomes of the ranges that memory knows free extents of.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) listed: Vec<Extent>,
    /// Ranges with taken pages.
    pub(crate) dirty: BTreeSet<u32>,
    /// Ranges whose free extents go into the map.
    pub(crate) spilled: BTreeSet<u32>,
    /// All that memory knows to be free, ascending, if ranges are spilled.
    pub(crate) free: Vec<Extent>,
    /// Available extents of spilled ranges that are listed all the same, ascending: in each range the lowest ones.
    pub(crate) spared: Vec<Extent>,
    /// Whether the hot area is never spilled.
    pub(crate) spares_hot: bool,
    /// Ranges whose claimed extents are left to the map, where they are marked already.
    pub(crate) forgotten: BTreeSet<u32>,
}

/// The free extents of a range that memory knows of.
#[derive(Debug)]
struct RangeLoad {
    range: u32,
    /// Extents that the list would have to take.
    listed: usize,
    /// Extents that are claimed and keep their mark in the map.
    kept: usize,
}

/// The free extents that memory knows of, ascending: those outside the hot area, and those in it.
struct KnownFree {
    cold: Vec<Extent>,
    hot: Vec<Extent>,
}

impl Space {
    /// Chooses what a close does with what memory knows to be free.
    pub(crate) fn plan(&self) -> Plan {
        let known = self.known_free();
        let free = united(&[&known.cold], &known.hot);
        let mut plan = Plan { dirty: ranges(&self.taken), ..Plan::default() };
        if self.claimed.is_empty() && free.len() <= LIST_CAPACITY && !self.is_merge_due() {
            plan.listed = free;
            return plan;
        }
        let mut loads: Vec<RangeLoad> = Vec::new();
        plan.listed.reserve(free.len());
        self.survey(&free, &plan.dirty, |range, extents, is_kept| {
            RangeLoad::add(&mut loads, range, extents.len(), is_kept);
            if !is_kept {
                plan.listed.extend_from_slice(extents);
            }
        });
        plan.spilled = self.ranges_to_merge(&plan.dirty, &loads);
        if plan.listed.len() > LIST_CAPACITY || !plan.spilled.is_empty() {
            plan.free = free;
            self.plan_spill(&mut plan, &known, loads);
        } else {
            plan.forget(loads);
        }
        plan
    }

    /// Whether free neighbours should meet in the map, and whether that leaves enough in memory.
    fn is_merge_due(&self) -> bool {
        // What is given out until those pages are released has to be listed by then: another group gathers meanwhile.
        let is_enough = || self.available.cold().pages() >= self.stretches.listed_extents() as u64;
        self.stretches.is_merge_due() && is_enough()
    }

    /// Ranges whose free pages all go into the map, so that neighbours meet: one page of a run may be listed and the next one
    /// marked. That costs nothing where the leaf is rewritten anyhow. Where groups find no runs at all, other leaves are rewritten
    /// too, one for so many pages that were freed.
    fn ranges_to_merge(&self, dirty: &BTreeSet<u32>, loads: &[RangeLoad]) -> BTreeSet<u32> {
        if !self.is_merge_due() {
            return BTreeSet::new();
        }
        let is_open = |range: &u32| !self.quarantine.contains_key(range);
        let mut merged: BTreeSet<u32> = dirty.iter().copied().filter(is_open).collect();
        let leaves = self.stretches.leaves_to_merge();
        if leaves > 0 {
            let mut loads: Vec<&RangeLoad> = loads
                .iter()
                .filter(|load| load.listed >= WORTH_SPILLING && is_open(&load.range))
                .filter(|load| !dirty.contains(&load.range))
                .collect();
            loads.sort_unstable_by_key(|load| Reverse((load.listed, load.range)));
            merged.extend(loads.into_iter().take(leaves).map(|load| load.range));
        }
        merged
    }

    /// Chooses what goes into the map, since the list would overflow or for the sake of stretches, and what is listed then.
    fn plan_spill(&self, plan: &mut Plan, known: &KnownFree, loads: Vec<RangeLoad>) {
        let mut hot = 0;
        self.survey(&known.hot, &plan.dirty, |_, extents, _| hot += extents.len());
        plan.spares_hot = hot <= HOT_LISTED_MAX;
        if plan.spares_hot {
            let mut loads = Vec::new();
            self.survey(&known.cold, &plan.dirty, |range, extents, is_kept| {
                RangeLoad::add(&mut loads, range, extents.len(), is_kept);
            });
            plan.choose(loads, hot);
        } else {
            plan.choose(loads, 0);
        }
        let Plan { listed, spilled, free, spared, spares_hot, dirty, .. } = plan;
        listed.clear();
        self.survey(free, dirty, |range, extents, is_kept| {
            if !is_kept && !spilled.contains(&range) {
                listed.extend_from_slice(extents);
            }
        });
        let goes = |extent: &Extent| spilled.contains(&range_of(extent.first));
        let spared_hot = if *spares_hot { &known.hot[..] } else { &[] };
        let spared_hot: Vec<Extent> = spared_hot.iter().copied().filter(goes).collect();
        let others = listed.len() + spared_hot.len();
        let room = match self.stretches.is_wanted() {
            true => self.stretches.listed_extents().min(LIST_CAPACITY.saturating_sub(others)),
            false => LIST_AFTER_SPILL.saturating_sub(others),
        };
        if *spares_hot {
            spared.extend(self.available.cold().iter().filter(goes).take(room));
        } else {
            spared.extend(self.available.extents().into_iter().filter(goes).take(room));
        }
        *listed = united(&[listed], &united(&[spared], &spared_hot));
    }

    /// Visits free extents, ascending, those of a range together where they are alike, and says of them whether they keep
    /// their marks in the map.
    fn survey(&self, free: &[Extent], dirty: &BTreeSet<u32>, mut visit: impl FnMut(u32, &[Extent], bool)) {
        for (range, extents) in by_range(free) {
            // Most files are so small that nothing is ever claimed.
            if dirty.contains(&range) || !self.claimed.overlaps(whole_range(range)) {
                visit(range, extents, false);
                continue;
            }
            for extent in extents {
                let mut first = u64::from(extent.first.0);
                for claimed in self.claimed.extents_within(*extent) {
                    if first < u64::from(claimed.first.0) {
                        visit(range, &[between(first, claimed.first.0.into())], false);
                    }
                    visit(range, slice::from_ref(&claimed), true);
                    first = claimed.end();
                }
                if first < extent.end() {
                    visit(range, &[between(first, extent.end())], false);
                }
            }
        }
    }

    /// What is free in the state that is being written, as far as memory knows of it.
    fn known_free(&self) -> KnownFree {
        let freed = self.limbo.values();
        let not_available = freed.chain(self.open.iter().map(|batch| &batch.allocated));
        let mut others: Vec<Extent> = Vec::with_capacity(USUAL_OTHERS);
        others.extend(not_available.flat_map(PageSet::extents));
        others.sort_unstable();
        let (mut cold, mut hot) = (Vec::with_capacity(others.len()), Vec::with_capacity(others.len()));
        for (part, is_hot) in others.into_iter().flat_map(|extent| self.available.parts(extent)) {
            if is_hot { hot.push(part) } else { cold.push(part) }
        }
        KnownFree {
            cold: self.available.cold().united_with(&cold),
            hot: self.available.hot().united_with(&hot),
        }
    }
}

impl Plan {
    /// Chooses the ranges to spill besides those that are already chosen, and to forget. `always` extents are listed besides those of the loads.
    fn choose(&mut self, mut loads: Vec<RangeLoad>, always: usize) {
        loads.retain(|load| !self.spilled.contains(&load.range));
        let mut listed: usize = always + loads.iter().map(|load| load.listed).sum::<usize>();
        if listed > LIST_CAPACITY {
            loads.sort_unstable_by_key(|load| Reverse((load.listed, load.range)));
            for load in &loads {
                let must = listed > LIST_CAPACITY;
                let should = listed > LIST_AFTER_SPILL && load.listed >= WORTH_SPILLING;
                if !must && !should {
                    break;
                }
                listed -= load.listed;
                self.spilled.insert(load.range);
            }
        }
        loads.retain(|load| !self.spilled.contains(&load.range));
        self.forget(loads);
    }

    /// Chooses the ranges to forget.
    fn forget(&mut self, mut loads: Vec<RangeLoad>) {
        let mut kept: usize = loads.iter().map(|load| load.kept).sum();
        if kept <= KEPT_MAX {
            return;
        }
        loads.sort_unstable_by_key(|load| Reverse((load.kept, load.range)));
        for load in loads {
            if kept <= KEPT_MAX {
                break;
            }
            kept -= load.kept;
            self.forgotten.insert(load.range);
        }
    }
}

impl RangeLoad {
    /// Counts extents; they come in ascending order.
    fn add(loads: &mut Vec<RangeLoad>, range: u32, extents: usize, is_kept: bool) {
        if loads.last().is_none_or(|load| load.range != range) {
            loads.push(RangeLoad { range, listed: 0, kept: 0 });
        }
        let load = loads.last_mut().expect("one was pushed");
        if is_kept {
            load.kept += extents;
        } else {
            load.listed += extents;
        }
    }
}

/// Extents in ascending order, by the ranges that they belong to.
fn by_range(mut extents: &[Extent]) -> impl Iterator<Item = (u32, &[Extent])> {
    std::iter::from_fn(move || {
        let range = range_of(extents.first()?.first);
        let (of_range, rest) = extents.split_at(until(extents, range_end(range)));
        extents = rest;
        Some((range, of_range))
    })
}

/// Those extents of an ascending sequence that belong to a range.
pub(crate) fn in_range(extents: &[Extent], range: u32) -> &[Extent] {
    &extents[until(extents, range_start(range))..until(extents, range_end(range))]
}

/// How many extents of an ascending sequence begin before a page.
fn until(extents: &[Extent], page: u64) -> usize {
    extents.partition_point(|extent| u64::from(extent.first.0) < page)
}

/// The ranges that pages of the set belong to.
fn ranges(pages: &PageSet) -> BTreeSet<u32> {
    let mut ranges = BTreeSet::new();
    let mut next = pages.next(PageId(0));
    while let Some(page) = next {
        let range = range_of(page);
        ranges.insert(range);
        next = u32::try_from(range_end(range)).ok().and_then(|end| pages.next(PageId(end)));
    }
    ranges
}
