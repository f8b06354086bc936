//! Promises about closing a group: what it costs, what it spills into the map, what it leaves in memory.

use crate::format::page_id::{Birth, Extent, PageId};
use crate::space::page::LIST_CAPACITY;
use crate::space::page_set::PageSet;
use crate::space::promises_test::{
    exhaust, free_and_close, full_file, move_root_below, release_all, scattered_file, take_what_is_listed,
    used, used_within,
};
use crate::space::range::RANGE_PAGES;
use crate::space::testing::{Choices, NO_LIMIT, extent};
use crate::space::{Placement, Space};

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

#[test]
fn a_leaf_that_was_just_written_is_not_read_again() {
    let mut twins = scattered_file(5000);
    take_what_is_listed(&mut twins);
    twins.store.reads = 0;
    assert!(twins.allocate(1, Placement::Hole).is_some());
    assert_eq!(twins.store.reads, 0);
}
