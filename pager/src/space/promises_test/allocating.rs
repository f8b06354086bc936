//! Promises about single pages: which are given out, taken back, freed, and found again.

use crate::error::{Corruption, PagerError};
use crate::format::page::Page;
use crate::format::page_id::{Birth, Extent, PageId};
use crate::space::promises_test::{
    exhaust, free_and_close, full_file, release_all, scattered_file, take_what_is_listed, used,
};
use crate::space::range::RANGE_PAGES;
use crate::space::testing::{FakeStore, NO_LIMIT, Twins, extent};
use crate::space::{Placement, Space};

#[test]
fn a_new_file_has_eight_reserved_pages_and_nothing_free() {
    let mut twins = Twins::new(0);
    assert_eq!((twins.space.page_count(), twins.space.free_pages()), (8, 0));
    twins.begin();
    assert_eq!(twins.allocate(1, Placement::Hole), None);
    assert_eq!(twins.allocate_at_end(1, 8), None);
    assert_eq!(twins.allocate_at_end(2, 10), Some(extent(8, 2)));
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
