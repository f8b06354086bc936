//! What the free space promises to those above it, one promise a test.

use crate::error::{Corruption, PagerError};
use crate::format::page::{Page, PageKind};
use crate::format::page_id::{Birth, Extent, PageId};
use crate::space::check::free_extents;
use crate::space::close::Closed;
use crate::space::page::{LIST_CAPACITY, SpaceRoot, encode_root};
use crate::space::page_set::PageSet;
use crate::space::range::{RANGE_PAGES, range_end, range_of, usable_start};
use crate::space::testing::{Choices, FakeStore, NO_LIMIT, Twins, extent};
use crate::space::{Placement, Space};

/// A closed file of `page_count` pages, all in use, and one more for the root.
fn full_file(page_count: u32) -> Twins {
    let mut twins = Twins::new(0);
    twins.begin();
    while twins.space.page_count() < page_count.into() {
        // Nothing is skipped if each extent ends with its range.
        let range = range_of(PageId(twins.space.page_count() as u32));
        let first = twins.space.page_count().max(usable_start(range));
        let end = range_end(range).min(page_count.into());
        twins.allocate_at_end((end - first) as u32, NO_LIMIT).expect("room");
    }
    assert_eq!(twins.space.free_pages(), 0);
    twins.finish(&[]);
    twins.close();
    twins
}

/// Frees extents in a batch of their own, and closes it.
fn free_and_close(twins: &mut Twins, extents: impl IntoIterator<Item = Extent>) -> Closed {
    twins.begin();
    for extent in extents {
        twins.free(extent);
    }
    twins.finish(&[]);
    twins.close()
}

fn release_all(twins: &mut Twins) {
    twins.release(twins.birth);
}

/// Every second page of a file is free, and released.
fn scattered_file(free: u32) -> Twins {
    let mut twins = full_file(2 * free + 100);
    let singles: Vec<Extent> = used(&twins).filter(|page| page.0 % 2 == 1).map(Extent::single).collect();
    free_and_close(&mut twins, singles.into_iter().take(free as usize));
    release_all(&mut twins);
    twins
}

/// Frees an extent for the roots to come, so that none is at the end of the file.
fn move_root_below(twins: &mut Twins, extent: Extent) {
    free_and_close(twins, [extent]);
    for _ in 0..2 {
        release_all(twins);
        assert!(extent.contains(twins.close().root.id));
    }
    release_all(twins);
}

fn used_within(twins: &Twins, extent: Extent) -> Vec<Extent> {
    twins.model.live.extents_within(extent).collect()
}

fn used(twins: &Twins) -> impl Iterator<Item = PageId> {
    twins.model.live.extents().flat_map(Extent::pages)
}

#[test]
fn a_new_file_has_eight_reserved_pages_and_nothing_free() {
    let mut twins = Twins::new(0);
    assert_eq!((twins.space.page_count(), twins.space.free_pages()), (8, 0));
    twins.begin();
    assert_eq!(twins.allocate(1, Placement::Hole), None);
    assert_eq!(twins.allocate_at_end(1, 8), None);
    assert_eq!(twins.allocate_at_end(2, 10), Some(extent(8, 2)));
}

/// In the steady state, a commit that replaces some pages writes the space root and no map page.
#[test]
fn a_small_commit_writes_the_root_alone() {
    let mut twins = full_file(1000);
    let mut choices = Choices(1);
    let mut commits_with_map_pages = 0;
    for _ in 0..300 {
        twins.begin();
        for nth in 0..9 {
            let near = PageId(choices.below(1000) as u32);
            let (_, allocated, freed) = twins.model.open.as_ref().expect("open");
            let mut old = twins.model.live.clone();
            old.remove_all(freed);
            old.remove_all(allocated);
            if let Some(page) = old.next(near) {
                twins.free(Extent::single(page));
            }
            twins.obtain(1, if nth < 4 { Placement::Together } else { Placement::Hole });
        }
        twins.finish(&[]);
        let closed = twins.close();
        commits_with_map_pages += u64::from(twins.map_pages > 0);
        // The commit before this one is published by now, and its readers are gone.
        twins.release(Birth(closed.root.birth.0 - 10));
    }
    assert_eq!(commits_with_map_pages, 0);
}

/// While a file fills up the holes that its map marks, a leaf is rewritten once for many commits.
#[test]
fn commits_that_fill_marked_holes_seldom_write_a_map_page() {
    let mut twins = scattered_file(20_000);
    let mut map_pages = 0;
    for _ in 0..200 {
        twins.begin();
        for _ in 0..5 {
            twins.allocate(1, Placement::Hole).expect("there are holes");
        }
        twins.finish(&[]);
        twins.close();
        release_all(&mut twins);
        map_pages += twins.map_pages;
    }
    // A leaf for every 128 of the 1000 holes; the list serves the first ones.
    assert!((4..=9).contains(&map_pages), "{map_pages} map pages");
}

#[test]
fn a_batch_that_frees_scattered_pages_writes_each_leaf_once() {
    let mut twins = full_file(4 * RANGE_PAGES);
    let singles: Vec<Extent> = used(&twins).step_by(13).map(Extent::single).collect();
    assert!(singles.len() > 10_000);
    free_and_close(&mut twins, singles);
    assert!(twins.map_pages <= 5, "{} map pages", twins.map_pages);
}

/// The worst place for freed pages is one in each range, where every spilled extent costs a leaf of its own.
#[test]
fn thinly_spread_frees_cost_no_more_map_pages_than_pages_freed() {
    let mut twins = full_file(200 * RANGE_PAGES);
    let page_in = |range: u32, nth: u32| Extent::single(PageId(range * RANGE_PAGES + 1000 + 2 * nth));
    for nth in 0..30 {
        let freed = 100;
        free_and_close(&mut twins, (0..freed).map(|range| page_in(range, nth)));
        // The root entries' 254 ranges share one directory.
        assert!(twins.map_pages <= u64::from(freed) + 1, "{} map pages at {nth}", twins.map_pages);
    }
}

/// Extents that are three in each of 200 ranges: spilling them to half would cost 121 leaves.
#[test]
fn where_extents_are_thin_no_more_is_spilled_than_must_be() {
    let mut twins = full_file(200 * RANGE_PAGES);
    for nth in 0..3 {
        free_and_close(&mut twins, (0..200).map(|range| extent(range * RANGE_PAGES + 1000 + 2 * nth, 1)));
    }
    // 601 extents, with one for old roots, less 475, by three; and the directory.
    assert_eq!(twins.map_pages, 42 + 1);
}

#[test]
fn a_spill_takes_whole_ranges_until_the_list_is_half_full() {
    let mut twins = full_file(10 * RANGE_PAGES);
    let extents = (0..10 * 60).map(|nth| extent(nth / 60 * RANGE_PAGES + 100 + 2 * (nth % 60), 1));
    free_and_close(&mut twins, extents);
    // 601 extents with the old root; 6 ranges would leave 241, and 237 are half.
    assert_eq!(twins.map_pages, 7);
}

/// The only range of a file gets a mass of pages from limbo, and small commits go on.
#[test]
fn a_spill_leaves_enough_to_go_on_with() {
    let mut twins = full_file(10_000);
    free_and_close(&mut twins, [extent(50, 1), extent(100, 40), extent(200, 1)]);
    release_all(&mut twins);
    free_and_close(&mut twins, (2000..4000).step_by(2).map(|page| extent(page, 1)));
    assert!(!twins.space.quarantine.is_empty());
    let page_count = twins.space.page_count();
    for _ in 0..10 {
        twins.begin();
        twins.allocate(1, Placement::Hole).expect("a page is free");
        twins.allocate(2, Placement::Together).expect("a run is free");
        twins.finish(&[]);
        twins.close();
        assert_eq!((twins.map_pages, twins.space.page_count()), (0, page_count));
    }
}

#[test]
fn memory_holds_no_more_than_the_list_and_a_rest_whatever_is_free() {
    let mut twins = full_file(10 * RANGE_PAGES);
    let singles: Vec<Extent> = used(&twins).step_by(2).map(Extent::single).collect();
    free_and_close(&mut twins, singles);
    let in_limbo: u64 = twins.space.limbo.values().map(PageSet::len).sum();
    assert!(in_limbo <= LIST_CAPACITY as u64, "{in_limbo} pages");
    release_all(&mut twins);
    // A batch that takes everything and gives up leaves nothing behind either.
    twins.begin();
    while twins.allocate(1, Placement::Hole).is_some() {}
    twins.abort();
    twins.close();
    let extents = twins.space.available.extents().len();
    assert!(
        extents <= 3 * LIST_CAPACITY && twins.space.claimed.len() <= 3 * LIST_CAPACITY as u64,
        "{extents}"
    );
}

/// One batch takes all free pages of the map, the next one of the same group frees them.
#[test]
fn pages_taken_and_freed_before_a_close_do_not_stay_in_memory() {
    let mut twins = scattered_file(20_000);
    twins.begin();
    let mut taken = Vec::new();
    while let Some(page) = twins.allocate(1, Placement::Hole) {
        taken.push(page);
    }
    twins.finish(&[]);
    free_and_close(&mut twins, taken);
    let in_limbo: u64 = twins.space.limbo.values().map(PageSet::len).sum();
    assert!(in_limbo <= 3 * LIST_CAPACITY as u64, "{in_limbo} pages");
    release_all(&mut twins);
    twins.begin();
    for _ in 0..20_000 {
        twins.allocate(1, Placement::Hole).expect("all are free again");
    }
}

#[test]
fn opening_reads_no_map_page() {
    let mut twins = scattered_file(20_000);
    twins.store.reads = 0;
    let closed = twins.closed.expect("closed");
    let root = &twins.store.pages[&closed.root.id];
    let space = Space::open(root, closed.root, closed.page_count).expect("valid");
    assert_eq!(twins.store.reads, 0);
    assert!(space.free_pages() >= 20_000);
    twins.reopen();
}

#[test]
fn freed_pages_are_given_out_only_after_their_release() {
    let mut twins = full_file(2 * RANGE_PAGES);
    let pages: Vec<Extent> = used(&twins).step_by(2).map(Extent::single).collect();
    // Most of these are spilled into the map, and must not be found there.
    let closed = free_and_close(&mut twins, pages.clone());
    assert!(twins.map_pages > 0);
    let before = Birth(closed.root.birth.0 - 1);
    twins.release(before);
    twins.begin();
    assert_eq!(twins.allocate(1, Placement::Hole), None);
    twins.abort();
    twins.release(closed.root.birth);
    twins.begin();
    for _ in &pages {
        assert!(twins.allocate(1, Placement::Hole).is_some());
    }
}

#[test]
fn every_free_page_can_be_allocated() {
    for placement in [Placement::Hole, Placement::Together] {
        let mut twins = scattered_file(5000);
        let free = twins.space.free_pages();
        twins.begin();
        for _ in 0..free {
            twins.allocate(1, placement).expect("a page is free");
        }
        assert_eq!(twins.allocate(1, placement), None);
    }
}

#[test]
fn a_hole_is_filled_before_a_run_is_cut() {
    let mut twins = full_file(200);
    free_and_close(&mut twins, [extent(20, 9), extent(40, 1), extent(60, 3), extent(100, 1)]);
    release_all(&mut twins);
    twins.begin();
    assert_eq!(twins.allocate(1, Placement::Hole), Some(extent(40, 1)));
    assert_eq!(twins.allocate(2, Placement::Hole), Some(extent(60, 2)));
    assert_eq!(twins.allocate(1, Placement::Hole), Some(extent(62, 1)));
    assert_eq!(twins.allocate(5, Placement::Hole), Some(extent(20, 5)));
}

#[test]
fn pages_placed_together_and_the_root_form_one_run() {
    let mut twins = full_file(200);
    free_and_close(&mut twins, [extent(20, 7), extent(40, 12), extent(60, 30), extent(95, 1)]);
    release_all(&mut twins);
    twins.begin();
    assert_eq!(twins.allocate(1, Placement::Together), Some(extent(40, 1)));
    assert_eq!(twins.allocate(1, Placement::Hole), Some(extent(95, 1)));
    assert_eq!(twins.allocate(7, Placement::Together), Some(extent(41, 7)));
    assert_eq!(
        twins.allocate(1, Placement::Hole),
        Some(extent(20, 1)),
        "the run is spared, and so is the old root, far up"
    );
    assert_eq!(twins.allocate(1, Placement::Together), Some(extent(48, 1)));
    twins.finish(&[]);
    assert_eq!(twins.close().root.id, PageId(49));
}

/// The map marks long runs, and the list has short ones.
#[test]
fn a_run_is_fetched_from_the_map_when_the_list_has_none() {
    let mut twins = full_file(2 * RANGE_PAGES);
    let extents =
        (0..1000).map(|nth| extent(RANGE_PAGES + 100 + 20 * nth, if nth % 2 == 0 { 1 } else { 15 }));
    free_and_close(&mut twins, extents);
    release_all(&mut twins);
    assert!(twins.space.map.free_pages() > 0);
    twins.begin();
    let first = twins.allocate(1, Placement::Together).expect("there are runs");
    for nth in 1..15 {
        assert_eq!(twins.allocate(1, Placement::Together), Some(extent(first.first.0 + nth, 1)));
    }
}

#[test]
fn a_run_that_exists_nowhere_is_searched_once() {
    let mut twins = scattered_file(40_000);
    twins.begin();
    assert_eq!(twins.allocate(2, Placement::Hole), None);
    twins.store.reads = 0;
    for count in 2..100 {
        assert_eq!(twins.allocate(count, Placement::Hole), None);
    }
    assert_eq!(twins.store.reads, 0);
}

/// A batch that has taken all runs of a file, whose map still promises them.
fn file_with_taken_runs() -> Twins {
    let mut twins = full_file(16 * RANGE_PAGES);
    let runs = (0..16 * 101).map(|nth| {
        let first = nth / 101 * RANGE_PAGES + 100 + nth % 101 * 200;
        extent(first, if nth % 101 == 100 { 1 } else { 100 })
    });
    free_and_close(&mut twins, runs);
    release_all(&mut twins);
    twins.begin();
    for _ in 0..16 * 100 {
        assert!(twins.allocate(100, Placement::Hole).is_some());
    }
    twins.finish(&[]);
    twins
}

#[test]
fn runs_that_were_taken_are_not_searched_again() {
    let mut twins = file_with_taken_runs();
    twins.begin();
    twins.store.reads = 0;
    for count in [100, 99, 57, 100, 30, 2] {
        assert_eq!(twins.allocate(count, Placement::Hole), None);
    }
    assert_eq!(twins.store.reads, 0);
}

#[test]
fn a_search_gives_up_after_a_few_leaves_and_goes_on_from_there() {
    let mut twins = file_with_taken_runs();
    // What an aborted batch gives back makes all ranges worth a look again.
    twins.begin();
    while twins.allocate(1, Placement::Hole).is_some() {}
    twins.abort();
    twins.begin();
    twins.store.reads = 0;
    assert_eq!(twins.allocate(100, Placement::Hole), None);
    assert_eq!(twins.store.reads, 8);
    for count in [100, 120, 90, 2, 100] {
        assert_eq!(twins.allocate(count, Placement::Hole), None);
    }
    assert!((9..=16).contains(&twins.store.reads), "each leaf once at most: {}", twins.store.reads);
}

#[test]
fn a_page_taken_back_is_available_at_once() {
    let mut twins = full_file(100);
    twins.begin();
    let page = twins.obtain(3, Placement::Hole);
    twins.take_back(extent(page.first.0 + 1, 1));
    assert_eq!(twins.allocate(1, Placement::Hole), Some(extent(page.first.0 + 1, 1)));
}

#[test]
fn recycled_pages_are_available_at_once() {
    let mut twins = full_file(100);
    twins.begin();
    let page = twins.obtain(1, Placement::Hole);
    twins.finish(&[]);
    twins.begin();
    twins.obtain(1, Placement::Hole);
    twins.finish(&[page.first]);
    twins.begin();
    assert_eq!(twins.allocate(1, Placement::Hole), Some(page));
}

#[test]
fn an_aborted_batch_leaves_no_trace() {
    let mut twins = scattered_file(3000);
    let free = twins.space.free_pages();
    twins.begin();
    for _ in 0..2500 {
        twins.allocate(1, Placement::Hole);
    }
    let page = used(&twins).next().expect("a page is in use");
    twins.free(Extent::single(page));
    twins.abort();
    assert_eq!(twins.space.free_pages(), free);
    twins.close();
    assert_eq!(twins.space.free_pages(), free - 1 + 1, "a new root, and the old one in limbo");
}

/// Takes every free page, one by one.
fn exhaust(twins: &mut Twins) {
    twins.begin();
    for _ in 0..twins.space.free_pages() {
        twins.allocate(1, Placement::Hole).expect("a page is free");
    }
    assert_eq!(twins.allocate(1, Placement::Hole), None);
}

#[test]
fn pages_of_an_aborted_batch_are_all_found_again() {
    let mut twins = scattered_file(3000);
    exhaust(&mut twins);
    twins.abort();
    exhaust(&mut twins);
}

/// A close spills pages into the very range that allocations are being served from.
#[test]
fn pages_spilled_into_a_range_in_use_are_all_found_again() {
    let mut twins = scattered_file(8000);
    twins.begin();
    for _ in 0..1000 {
        twins.allocate(1, Placement::Hole).expect("a page is free");
    }
    twins.finish(&[]);
    let pages: Vec<Extent> = used(&twins).take(1600).step_by(2).map(Extent::single).collect();
    free_and_close(&mut twins, pages);
    assert!(twins.map_pages > 0);
    release_all(&mut twins);
    exhaust(&mut twins);
}

/// What one batch of a group takes out of the map and a later one of it gives up is where it was.
#[test]
fn pages_taken_and_given_up_within_a_group_cost_no_map_page() {
    for recycles in [false, true] {
        let mut twins = scattered_file(5000);
        twins.begin();
        let mut taken = Vec::new();
        for _ in 0..800 {
            taken.push(twins.allocate(1, Placement::Hole).expect("a page is free"));
        }
        // The root shall not need a page of the map.
        let run = twins.allocate_at_end(20, NO_LIMIT).expect("room");
        twins.finish(&[]);
        twins.begin();
        let mut recycled: Vec<PageId> = run.pages().collect();
        for page in taken {
            if recycles {
                recycled.push(page.first);
            } else {
                twins.free(page);
            }
        }
        twins.finish(&recycled);
        twins.close();
        assert_eq!(twins.map_pages, 0);
    }
}

/// A close claims the free tail from the map, and fails afterwards.
#[test]
fn a_failed_close_loses_nothing_that_it_claimed() {
    let mut twins = full_file(2 * RANGE_PAGES - 1000);
    let tail = 2 * RANGE_PAGES - 10_000;
    move_root_below(&mut twins, extent(100, 20));
    let end = twins.space.page_count() as u32;
    // Single pages, which are claimed first, and a run behind them up to the end.
    let singles = (tail..end - 400).step_by(2).map(|page| extent(page, 1));
    let run = used_within(&twins, extent(end - 350, 350));
    free_and_close(&mut twins, singles.chain(run));
    assert!(twins.map_pages > 0);
    release_all(&mut twins);
    twins.begin();
    let mut low = Vec::new();
    while twins.space.unclaimed.is_none() {
        low.push(twins.allocate(1, Placement::Hole).expect("a page is free"));
    }
    // With a run for the root, it does not claim the one at the end.
    for page in low.into_iter().filter(|page| page.first.0 < tail || page.first.0 >= end - 400) {
        twins.take_back(page);
    }
    twins.finish(&[]);
    let free = twins.space.free_pages();
    twins.close_failing(NO_LIMIT, &mut || true).expect_err("emitting fails");
    assert_eq!(twins.space.free_pages(), free);
    exhaust(&mut twins);
    twins.abort();
    let page_count = twins.space.page_count();
    assert!(twins.close().page_count < page_count, "the next close cuts the tail");
}

/// The root's entries move into a directory, whether or not a leaf below it changes at that time.
#[test]
fn a_map_that_grows_keeps_what_it_marked() {
    for ranges in [&[3_u32, 20][..], &[3, 300], &[3, 300, 4066], &[3, 4066]] {
        let mut twins = full_file((ranges.last().expect("not empty") + 1) * RANGE_PAGES);
        for range in ranges {
            free_and_close(&mut twins, (0..600).map(|nth| extent(range * RANGE_PAGES + 100 + 2 * nth, 1)));
            let height = [0, 16, 16 * 254].iter().filter(|reach| *range >= **reach).count();
            assert_eq!(usize::from(twins.space.map.height()), height);
        }
    }
}

#[test]
fn a_page_that_is_not_in_use_cannot_be_freed() {
    let mut twins = full_file(100);
    free_and_close(&mut twins, [extent(20, 2)]);
    let root = twins.closed.expect("closed").root.id;
    twins.begin();
    let refused = |twins: &mut Twins, page: Extent| {
        assert_eq!(twins.space.free(page), Err(Corruption::NotInUse { page: page.first }));
    };
    refused(&mut twins, extent(19, 2));
    refused(&mut twins, extent(3, 1));
    refused(&mut twins, extent(100, 100));
    refused(&mut twins, Extent::single(root));
    twins.free(extent(30, 2));
    refused(&mut twins, extent(31, 1));
    release_all(&mut twins);
    refused(&mut twins, extent(21, 1));
}

#[test]
fn a_free_tail_is_cut_once_it_is_released() {
    let mut twins = full_file(1000);
    let closed = free_and_close(&mut twins, [extent(500, 500)]);
    assert_eq!(closed.page_count, 1002, "a reader may need the tail");
    release_all(&mut twins);
    assert_eq!(twins.close().page_count, 1002, "the old root is behind it");
    release_all(&mut twins);
    assert_eq!(
        twins.close().page_count,
        502 + 62,
        "two roots alternate in front of it, and some slack stays"
    );
}

/// The tail was spilled into the map while readers may still need it.
#[test]
fn a_tail_in_quarantine_is_not_cut() {
    let mut twins = full_file(10_000);
    move_root_below(&mut twins, extent(100, 30));
    let singles = |from: u32| (from..from + 2000).step_by(2).map(|page| extent(page, 1));
    let closed = free_and_close(&mut twins, singles(4000).chain([extent(9000, 1000)]));
    assert!(twins.map_pages > 0);
    assert_eq!(twins.close().page_count, closed.page_count);
    // The tail is taken out of the map, and freed again before it was unmarked.
    release_all(&mut twins);
    twins.begin();
    assert_eq!(twins.allocate(1000, Placement::Hole), Some(extent(9000, 1000)));
    twins.finish(&[]);
    free_and_close(&mut twins, singles(6500).chain([extent(9000, 1000)]));
    assert!(twins.space.quarantine.contains_key(&0));
    for _ in 0..3 {
        assert_eq!(twins.close().page_count, closed.page_count);
    }
    release_all(&mut twins);
    assert_eq!(twins.close().page_count, 9000 + 64, "some slack stays");
}

/// The run at the end of the file is used up and freed again, so that the free tail begins elsewhere each time.
#[test]
fn a_tail_that_moves_is_looked_for_in_the_map_once() {
    let mut twins = full_file(10_000);
    free_and_close(&mut twins, (4000..6000).step_by(2).map(|page| extent(page, 1)));
    assert!(twins.map_pages > 0);
    release_all(&mut twins);
    twins.close();
    twins.begin();
    let mut tail: Vec<Extent> = (0..20).map(|_| twins.allocate_at_end(1, NO_LIMIT).expect("room")).collect();
    twins.finish(&[]);
    twins.close();
    let known = twins.space.unmarked_from.expect("the map was asked for a tail");
    while let Some(last) = tail.pop() {
        free_and_close(&mut twins, [last]);
        release_all(&mut twins);
        // A close that asked the map again would find this out.
        twins.space.unmarked_from = Some(known + 1);
        twins.close();
        assert_eq!(twins.space.unmarked_from, Some(known + 1), "{} freed", last.first.0);
        twins.space.unmarked_from = Some(known);
    }
}

/// The tail spans ranges, is marked in the map, and leaves reserved places behind.
#[test]
fn ranges_that_become_empty_are_cut_with_their_reserved_places() {
    let mut twins = full_file(3 * RANGE_PAGES);
    let singles = (RANGE_PAGES..3 * RANGE_PAGES).filter(|page| page % 2 == 0);
    let usable = |page: &u32| twins.model.live.contains(extent(*page, 1));
    let singles: Vec<u32> = singles.filter(usable).collect();
    free_and_close(&mut twins, singles.iter().map(|page| extent(*page, 1)));
    release_all(&mut twins);
    twins.close();
    release_all(&mut twins);
    let rest: Vec<Extent> = twins.model.live.extents_within(extent(RANGE_PAGES, 3 * RANGE_PAGES)).collect();
    free_and_close(&mut twins, rest);
    for _ in 0..4 {
        release_all(&mut twins);
        twins.close();
    }
    // The two roots that alternate find room in range 0 only at its end, so range 1 may have to stay.
    let page_count = twins.space.page_count();
    assert!(page_count <= u64::from(RANGE_PAGES) + 10 + 64, "{page_count} pages are left");
    assert!(twins.store.pages.len() <= 2, "no map page is left");
}

#[test]
fn growth_skips_reserved_places_and_keeps_what_it_skips() {
    let mut twins = full_file(RANGE_PAGES - 100);
    let page_count = twins.space.page_count() as u32;
    twins.begin();
    assert_eq!(twins.allocate_at_end(200, NO_LIMIT), Some(extent(RANGE_PAGES + 2, 200)));
    assert_eq!(twins.allocate(1, Placement::Hole), Some(extent(page_count, 1)));
    assert_eq!(twins.allocate_at_end(RANGE_PAGES, NO_LIMIT), None, "no range has such a run");
}

#[test]
fn the_file_grows_up_to_the_end_of_the_address_space() {
    let mut space = Space::create();
    space.page_count = (1 << 32) - 100;
    space.begin(Birth(1));
    assert_eq!(space.allocate_at_end(60, u64::MAX), Some(extent(u32::MAX - 99, 60)));
    assert_eq!(space.allocate_at_end(60, u64::MAX), None);
    assert_eq!(space.allocate_at_end(40, u64::MAX), Some(extent(u32::MAX - 39, 40)));
    assert_eq!(space.allocate_at_end(1, u64::MAX), None);
    space.take_back(extent(u32::MAX - 9, 10));
    let mut store = FakeStore::default();
    let found = space.allocate(&mut store, 10, Placement::Together).expect("no I/O");
    assert_eq!(found, Some(extent(u32::MAX - 9, 10)));
}

#[test]
fn a_close_without_room_for_its_root_changes_nothing() {
    let mut twins = full_file(100);
    let page_count = twins.space.page_count();
    assert_eq!(twins.close_within(page_count).expect("no I/O fails"), None);
    assert!(twins.close_within(page_count + 1).expect("no I/O fails").is_some());
}

/// A group closes while the next batch has taken more than the list can hold.
#[test]
fn a_close_beside_a_large_open_batch_keeps_both_ways_open() {
    for aborts in [false, true] {
        let mut twins = scattered_file(5000);
        twins.begin();
        twins.obtain(1, Placement::Hole);
        twins.finish(&[]);
        twins.begin();
        for _ in 0..4000 {
            twins.allocate(1, Placement::Hole).expect("there are holes");
        }
        let mut grown = Vec::new();
        for _ in 0..700 {
            grown.push(twins.allocate_at_end(2, NO_LIMIT).expect("room"));
        }
        for pair in grown {
            twins.take_back(Extent { count: 1, ..pair });
        }
        twins.close();
        if aborts {
            twins.abort()
        } else {
            twins.finish(&[])
        }
        twins.close();
        release_all(&mut twins);
        twins.close();
        twins.reopen();
        twins.close();
    }
}

/// Opens a batch, and takes all that is listed.
fn take_what_is_listed(twins: &mut Twins) {
    twins.begin();
    while twins.space.available.extents().first().is_some_and(|lowest| lowest.count <= 1) {
        twins.allocate(1, Placement::Hole);
    }
}

#[test]
fn a_leaf_that_was_just_written_is_not_read_again() {
    let mut twins = scattered_file(5000);
    take_what_is_listed(&mut twins);
    twins.store.reads = 0;
    assert!(twins.allocate(1, Placement::Hole).is_some());
    assert_eq!(twins.store.reads, 0);
}

#[test]
fn an_error_of_the_store_leaves_allocation_as_it_was() {
    let mut twins = scattered_file(5000);
    // It knows the leaf, having written it.
    twins.reopen();
    take_what_is_listed(&mut twins);
    twins.store.reads_left = Some(0);
    let failed = twins.space.allocate(&mut twins.store, 1, Placement::Hole);
    assert!(matches!(failed, Err(PagerError::Io { .. })), "{failed:?}");
    twins.store.reads_left = None;
    assert!(twins.allocate(1, Placement::Hole).is_some());
}

/// A file with all kinds of free-space pages: a directory, leaves, a list.
fn state_of_every_kind() -> Twins {
    let mut twins = full_file(20 * RANGE_PAGES);
    let extents =
        (0..2000).map(|nth| extent(nth / 500 * 6 * RANGE_PAGES + 100 + nth % 500 * 20, 1 + nth % 12));
    free_and_close(&mut twins, extents);
    free_and_close(&mut twins, (0..30).map(|nth| extent(20_000 + nth * 10, 1 + nth % 9)));
    release_all(&mut twins);
    twins.close();
    assert_eq!(twins.space.map.height(), 2);
    assert!(twins.space.available.extents().len() > 10);
    twins
}

/// A damaged page whose checksum holds is refused, or what follows from it is consistent: nothing panics, nothing
/// is handed out twice.
#[test]
fn no_damaged_byte_of_a_free_space_page_is_dangerous() {
    let mut twins = state_of_every_kind();
    let closed = twins.closed.expect("closed");
    let mut kinds = std::collections::BTreeSet::new();
    let mut victims: Vec<PageId> = twins.store.pages.keys().copied().collect();
    victims.sort();
    // Of the leaves, one is enough.
    victims.retain(|id| {
        let page = &twins.store.pages[id];
        kinds.insert((page.kind().0, page.level()))
    });
    assert_eq!(victims.len(), 3);
    let mut refused = 0_u32;
    for victim in victims {
        let valid = twins.store.pages[&victim].clone();
        // The pager's header was checked before; kind and level are ours.
        for offset in (20..22).chain(32..4096) {
            let mut damaged = valid.clone();
            damaged.bytes_mut()[offset] ^= if offset % 3 == 0 { 0x80 } else { 1 << (offset % 8) };
            twins.store.pages.insert(victim, damaged);
            refused += u32::from(use_hostile_state(&mut twins.store, closed).is_err());
        }
        twins.store.pages.insert(victim, valid);
    }
    assert!(refused > 8000, "{refused} refused");
}

fn use_hostile_state(store: &mut FakeStore, closed: Closed) -> Result<(), PagerError> {
    let mut findings = Vec::new();
    let mut free = PageSet::default();
    let visit = &mut |extent| free.insert(extent);
    free_extents(store, closed.root, closed.page_count, visit, &mut |error| findings.push(error))?;
    let root = store.pages[&closed.root.id].clone();
    let corrupt =
        |source| PagerError::Corrupt { page: closed.root.id, path: std::path::Path::new("").into(), source };
    let mut space = Space::open(&root, closed.root, closed.page_count).map_err(corrupt)?;
    space.begin(Birth(1000));
    let mut handed_out = PageSet::default();
    for count in [1, 9, 1, 12, 40] {
        for placement in [Placement::Hole, Placement::Together] {
            if let Some(extent) = space.allocate(store, count, placement)? {
                assert!(!handed_out.overlaps(extent), "{extent:?} is handed out twice");
                assert!(extent.end() <= closed.page_count, "{extent:?} is beyond the end");
                handed_out.insert(extent);
            }
        }
    }
    space.free(extent(15_000, 1)).map_err(corrupt)?;
    space.finish(&[]);
    space.close(store, Birth(1000), NO_LIMIT, &mut |_, _| Ok(()))?;
    match findings.into_iter().next() {
        Some(finding) => Err(finding),
        None => Ok(()),
    }
}

/// Lists an extent that the leaf of its range marks too, and gives the leaf's page.
fn list_what_is_marked(twins: &mut Twins) -> PageId {
    let closed = twins.closed.expect("closed");
    let is_leaf = |page: &Page| page.kind() == PageKind::SPACE_MAP && page.level() == 0;
    let leaf = twins.store.pages.values().find(|page| is_leaf(page)).expect("there is a leaf").id();
    let decode = |page| SpaceRoot::decode(page, closed.page_count).expect("valid");
    let mut state = decode(&twins.store.pages[&closed.root.id]);
    let mut marked = Vec::new();
    let visit = &mut |extent: Extent| {
        if range_of(extent.first) == range_of(leaf) && !state.listed.contains(&extent) {
            marked.push(extent);
        }
    };
    free_extents(&mut twins.store, closed.root, closed.page_count, visit, &mut |error| panic!("{error}"))
        .expect("no I/O fails");
    state.listed = vec![marked[0]];
    let mut root = Page::boxed();
    encode_root(state.height, &state.entries, &state.listed, closed.root, &mut root);
    twins.store.pages.insert(closed.root.id, root);
    leaf
}

#[test]
fn the_checker_names_the_leaf_that_marks_a_listed_page() {
    let mut twins = state_of_every_kind();
    let closed = twins.closed.expect("closed");
    let leaf = list_what_is_marked(&mut twins);
    let mut findings = Vec::new();
    let finding = &mut |error| findings.push(error);
    free_extents(&mut twins.store, closed.root, closed.page_count, &mut |_| {}, finding)
        .expect("no I/O fails");
    assert!(matches!(&findings[..], [PagerError::Corrupt { page, .. }] if *page == leaf), "{findings:?}");
}

#[test]
fn a_page_that_is_listed_and_marked_is_handed_out_once() {
    let mut twins = state_of_every_kind();
    let closed = twins.closed.expect("closed");
    let leaf = list_what_is_marked(&mut twins);
    let root = &twins.store.pages[&closed.root.id];
    let mut space = Space::open(root, closed.root, closed.page_count).expect("the root alone is valid");
    space.begin(Birth(1000));
    let mut handed_out = PageSet::default();
    let error = loop {
        match space.allocate(&mut twins.store, 1, Placement::Hole) {
            Ok(Some(page)) => assert!(!handed_out.overlaps(page), "{page:?} is handed out twice"),
            Ok(None) => panic!("the contradiction was not noticed"),
            Err(error) => break error,
        }
        handed_out = space.open.as_ref().expect("open").allocated.clone();
    };
    assert!(matches!(error, PagerError::Corrupt { page, .. } if page == leaf), "{error}");
}

/// Prints what an allocation costs with ten million free pages: `cargo test --release -- --ignored --nocapture`.
#[test]
#[ignore = "prints numbers, promises none"]
#[expect(clippy::print_stdout, reason = "the numbers are what this is for")]
fn allocation_at_ten_million_free_pages() {
    const FREE: u32 = 10_000_000;
    for (name, stride, run) in [("scattered", 2, 1), ("contiguous", 40_000, 30_000)] {
        let mut space = Space::create();
        let mut store = FakeStore::default();
        space.begin(Birth(1));
        while space.page_count() < u64::from(FREE / run * stride) + 100_000 {
            space.allocate_at_end(1000, NO_LIMIT).expect("room");
        }
        space.finish(&[]);
        space.begin(Birth(2));
        let mut left = FREE;
        let mut first = 8;
        while left > 0 && u64::from(first) < space.page_count() {
            for page in extent(first, run).pages() {
                left -= u32::from(left > 0 && space.free(Extent::single(page)).is_ok());
            }
            first += stride;
        }
        space.finish(&[]);
        let started = cpu_time();
        let mut emitted = std::collections::HashMap::new();
        space
            .close(&mut store, Birth(3), NO_LIMIT, &mut |ptr, encode| {
                let mut page = Page::boxed();
                encode(&mut page);
                emitted.insert(ptr.id, page);
                Ok(())
            })
            .expect("no I/O fails");
        store.pages = emitted;
        println!("{name}: close with {} free pages: {:?}", space.free_pages(), cpu_time() - started);
        space.release(Birth(3));
        for (count, placement) in [(1, Placement::Hole), (1, Placement::Together), (25, Placement::Hole)] {
            space.begin(Birth(space.newest.0 + 1));
            let started = cpu_time();
            let mut allocations = 0;
            while allocations < 5_000_000 {
                let found = space.allocate(&mut store, count, placement).expect("no I/O fails");
                allocations += 1;
                if found.is_none() && allocations >= 100_000 {
                    break;
                }
            }
            let each = (cpu_time() - started).as_nanos() / allocations;
            println!("{name}: {count} pages, {placement:?}: {each} ns, {allocations} times");
            space.abort();
        }
    }
}

/// The processor time of this thread: on a busy machine, the clock on the wall measures the neighbours.
fn cpu_time() -> std::time::Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    let nanoseconds = schedstat.split(' ').next().and_then(|field| field.parse().ok());
    std::time::Duration::from_nanos(nanoseconds.expect("a number"))
}
