//! The free space against a model of plain sets, over random histories: nothing is handed out twice or while an
//! older state needs it, nothing is lost, and every closed state can be opened although everything that it does not
//! consist of has been destroyed.

use crate::format::page_id::{Birth, Extent, PageId};
use crate::space::Placement;
use crate::space::page_set::PageSet;
use crate::space::range::LONGEST_EXTENT;
use crate::space::testing::{Choices, NO_LIMIT, Twins};

/// How a history behaves.
struct Temper {
    steps: u64,
    /// Ranges that the file gets at the beginning.
    ranges: u32,
    /// Scattered pages freed at once, at most.
    freed_at_once: u64,
    /// Extents allocated at once, at most.
    allocated_at_once: u64,
}

fn run_history(seed: u64, temper: &Temper) -> Twins {
    let mut twins = Twins::new(seed);
    let mut choices = Choices(seed);
    if temper.ranges > 0 {
        twins.begin();
        for _ in 0..temper.ranges {
            twins.allocate_at_end(LONGEST_EXTENT - 4, NO_LIMIT).expect("there is room");
        }
        twins.finish(&[]);
        twins.close();
    }
    for _ in 0..temper.steps {
        step(&mut twins, &mut choices, temper);
    }
    if twins.model.open.is_some() {
        twins.finish(&[]);
    }
    twins.close();
    twins
}

fn step(twins: &mut Twins, choices: &mut Choices, temper: &Temper) {
    let placement = [Placement::Hole, Placement::Beside, Placement::Together][choices.below(3) as usize];
    let is_open = twins.model.open.is_some();
    match choices.below(100) {
        _ if !is_open && choices.chance(60) => {
            if choices.chance(80) {
                let room = [0, 40, 400][choices.below(3) as usize];
                twins.tend(twins.space.page_count() + room);
            }
            twins.begin();
            if choices.chance(10) {
                twins.space.set_ceiling(choices.below(twins.space.page_count()));
            }
        }
        0..30 if is_open => {
            let count = if choices.chance(70) { 1 } else { 1 + choices.below(200) as u32 };
            for _ in 0..1 + choices.below(temper.allocated_at_once) {
                if choices.chance(30) {
                    let room = [0, 40, 400][choices.below(3) as usize];
                    twins.grow_stretch(placement, twins.space.page_count() + room);
                }
                if choices.chance(10) {
                    let limit = twins.space.page_count() + choices.below(100);
                    twins.allocate_at_end(count, limit);
                } else if twins.allocate(count, placement).is_none() {
                    match choices.below(4) {
                        0 | 1 => twins.allocate_at_end(count, NO_LIMIT),
                        2 => twins.allocate_hot(count),
                        _ => None,
                    };
                }
            }
        }
        30..60 if is_open => {
            let extents = 1 + choices.below(temper.freed_at_once);
            let pages_max = if choices.chance(80) { 1 } else { 300 };
            let place = choices.below(twins.space.page_count());
            for nth in 0..extents {
                // Scattered over the file, or every few pages.
                let near =
                    if extents > 50 { place + 3 * nth } else { choices.below(twins.space.page_count()) };
                if let Some(extent) = find_used(twins, near, 1 + choices.below(pages_max) as u32) {
                    twins.free(extent);
                }
            }
        }
        60..65 if is_open => {
            let (_, allocated, freed) = twins.model.open.as_ref().expect("open");
            let mut own = allocated.clone();
            own.remove_all(freed);
            if let Some(extent) = own.extents().next() {
                twins.take_back(Extent { count: 1 + choices.below(extent.count.into()) as u32, ..extent });
            }
        }
        65..75 if is_open => {
            let mut superseded = twins.model.unwritten.clone();
            superseded.remove_all(&twins.model.open.as_ref().expect("open").2);
            let pages = superseded.extents().flat_map(Extent::pages);
            let recycled: Vec<PageId> = pages.filter(|_| choices.chance(30)).take(100).collect();
            twins.finish(&recycled);
        }
        75..79 if is_open => twins.abort(),
        79..88 => {
            twins.close();
        }
        88..97 => {
            // A commit's pages may be released once it is closed.
            if let Some(closed) = twins.closed {
                let behind = choices.below(3) * choices.below(12);
                twins.release(Birth(closed.root.birth.0.saturating_sub(behind)));
            }
        }
        97 if twins.closed.is_some() => {
            let newest = twins.birth;
            twins.reopen();
            twins.birth = newest;
        }
        98 => fail_a_close(twins, choices),
        _ => {}
    }
}

/// A close that fails has not happened.
fn fail_a_close(twins: &mut Twins, choices: &mut Choices) {
    if choices.chance(50) {
        twins.store.reads_left = Some(choices.below(3));
        let _ = twins.close_within(NO_LIMIT);
        twins.store.reads_left = None;
    } else {
        let mut left = choices.below(4);
        let _ = twins.close_failing(NO_LIMIT, &mut || {
            left = left.wrapping_sub(1);
            left == u64::MAX
        });
    }
}

/// The first pages in use, and not freed, from about `near` on.
fn find_used(twins: &Twins, near: u64, count: u32) -> Option<Extent> {
    let (_, allocated, freed) = twins.model.open.as_ref()?;
    let is_used =
        |page: Extent| (twins.model.live.contains(page) || allocated.contains(page)) && !freed.contains(page);
    let mut first = PageId(near as u32);
    for _ in 0..20 {
        let candidates = [&twins.model.live, allocated].map(|set: &PageSet| set.next(first));
        first = candidates.into_iter().flatten().min()?;
        if is_used(Extent::single(first)) {
            let mut extent = Extent::single(first);
            while extent.count < count
                && extent.end() < twins.space.page_count()
                && is_used(Extent::single(PageId(extent.end() as u32)))
            {
                extent.count += 1;
            }
            return Some(extent);
        }
        first = PageId(first.0.checked_add(1)?);
    }
    None
}

#[test]
fn small_files_agree_with_the_model() {
    for seed in 0..40 {
        let temper = Temper { steps: 400, ranges: 0, freed_at_once: 8, allocated_at_once: 8 };
        run_history(seed, &temper);
    }
}

#[test]
fn lists_that_overflow_agree_with_the_model() {
    for seed in 100..112 {
        let temper = Temper { steps: 400, ranges: 3, freed_at_once: 900, allocated_at_once: 300 };
        run_history(seed, &temper);
    }
}

#[test]
fn extents_spread_over_many_ranges_agree_with_the_model() {
    for seed in 200..206 {
        let temper = Temper { steps: 300, ranges: 40, freed_at_once: 50, allocated_at_once: 40 };
        run_history(seed, &temper);
    }
}

/// 16 ranges are within reach of a map of height 1, 4064 of a map of height 2.
#[test]
fn maps_of_every_height_agree_with_the_model() {
    let mut heights = std::collections::BTreeSet::new();
    for (seed, ranges) in [(300, 12), (301, 60), (302, 300), (303, 4100)] {
        let temper = Temper { steps: 120, ranges, freed_at_once: 1500, allocated_at_once: 40 };
        heights.insert(run_history(seed, &temper).space.map.height());
    }
    assert_eq!(heights.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
}
