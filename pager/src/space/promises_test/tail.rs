//! Promises about the end of the file: when it is cut, and how it grows.

use crate::format::page_id::{Birth, Extent};
use crate::space::promises_test::{free_and_close, full_file, move_root_below, release_all};
use crate::space::range::RANGE_PAGES;
use crate::space::testing::{FakeStore, NO_LIMIT, extent};
use crate::space::{Placement, Space};

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
