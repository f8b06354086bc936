//! What the writer does: frames of its own, publication, forgetting.

use std::thread;

use super::*;
use crate::pool::dirty_frame::PinnedFrame;

fn newer(id: u32, birth: u64) -> PagePtr {
    PagePtr { id: PageId(id), birth: Birth(birth) }
}

fn publish(pool: &BufferPool, ptr: PagePtr) -> PinnedFrame {
    let mut frame = pool.take_frame().expect("room");
    fill(&mut frame, ptr);
    frame.publish(ptr)
}

#[test]
fn a_published_page_is_read_without_the_disk() {
    let disk = TestDisk::with_pages(10);
    let pool = pool(&disk, 16);
    let pinned = publish(&pool, newer(500, 3));
    assert_page(&pinned, newer(500, 3));
    assert_eq!(pinned.ptr(), newer(500, 3));
    check_read(&mut pool.enter().expect("not forked"), newer(500, 3), Access::Point);
    assert!(disk.take_requests().is_empty());
    pinned.unpin();
    assert_no_frame_is_lost(&pool);
}

#[test]
fn an_owned_frame_is_counted_and_comes_back() {
    let disk = TestDisk::with_pages(10);
    let pool = pool(&disk, 4);
    for _ in 0..3 {
        let frames: Vec<_> = (0..4).map(|_| pool.take_frame().expect("room")).collect();
        assert_eq!(pool.dirty(), 4);
        let error = pool.take_frame().map(|_| ());
        assert!(matches!(error, Err(PagerError::PoolExhausted { frames: 4 })), "{error:?}");
        drop(frames);
        assert_eq!(pool.dirty(), 0);
    }
    assert_no_frame_is_lost(&pool);
}

#[test]
fn pinned_pages_are_not_evicted_and_unpinned_ones_are() {
    let disk = TestDisk::with_pages(200);
    let pool = pool(&disk, 8);
    let pins: Vec<_> = (2..7).map(|id| publish(&pool, newer(id, 2))).collect();
    let read_others = || {
        for id in 50..150 {
            check_read(&mut pool.enter().expect("not forked"), ptr(id), Access::Point);
        }
    };
    read_others();
    assert_eq!(pool.dirty(), 5);
    for id in 2..7 {
        check_read(&mut pool.enter().expect("not forked"), newer(id, 2), Access::Point);
    }
    pins.into_iter().for_each(PinnedFrame::unpin);
    assert_eq!(pool.dirty(), 0);
    read_others();
    assert!((2..7).all(|id| !is_resident(&pool, id)));
    assert_no_frame_is_lost(&pool);
}

#[test]
fn a_pool_full_of_dirty_pages_is_exhausted_and_not_stuck() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 4);
    let pins: Vec<_> = (2..6).map(|id| publish(&pool, newer(id, 2))).collect();
    let mut operation = pool.enter().expect("not forked");
    let error = operation.read(ptr(50), Access::Point).map(|_| ());
    assert!(matches!(error, Err(PagerError::PoolExhausted { frames: 4 })), "{error:?}");
    let error = operation.read_many(&[ptr(50), ptr(51)], Access::Point, |_, _| Ok::<_, PagerError>(()));
    assert!(matches!(error, Err(PagerError::PoolExhausted { frames: 4 })), "{error:?}");
    pins.into_iter().for_each(PinnedFrame::unpin);
    check_read(&mut operation, ptr(50), Access::Point);
}

/// A commit failed: its published pages are neither written nor taken back.
#[test]
fn a_pin_that_is_dropped_keeps_its_page_readable() {
    let disk = TestDisk::with_pages(200);
    let pool = pool(&disk, 8);
    drop(publish(&pool, newer(7, 2)));
    for id in 50..150 {
        check_read(&mut pool.enter().expect("not forked"), ptr(id), Access::Point);
    }
    check_read(&mut pool.enter().expect("not forked"), newer(7, 2), Access::Point);
    assert_eq!(pool.dirty(), 1);
}

#[test]
fn publication_replaces_an_older_page_of_that_id() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 8);
    check_read(&mut pool.enter().expect("not forked"), ptr(7), Access::Point);
    let second = publish(&pool, newer(7, 2));
    check_read(&mut pool.enter().expect("not forked"), newer(7, 2), Access::Point);
    let third = publish(&pool, newer(7, 3));
    check_read(&mut pool.enter().expect("not forked"), newer(7, 3), Access::Point);
    assert_page(&second, newer(7, 2));
    second.unpin();
    check_read(&mut pool.enter().expect("not forked"), newer(7, 3), Access::Point);
    third.forget();
    assert!(!is_resident(&pool, 7));
    assert_no_frame_is_lost(&pool);
}

#[test]
fn a_pinned_page_that_was_replaced_can_be_forgotten_too() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 8);
    let second = publish(&pool, newer(7, 2));
    let third = publish(&pool, newer(7, 3));
    second.forget();
    check_read(&mut pool.enter().expect("not forked"), newer(7, 3), Access::Point);
    pool.forget(PageId(7));
    assert!(!is_resident(&pool, 7));
    assert_page(&third, newer(7, 3));
    third.unpin();
    assert_no_frame_is_lost(&pool);
}

#[test]
fn a_forgotten_page_is_read_anew() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 8);
    let mut operation = pool.enter().expect("not forked");
    check_read(&mut operation, ptr(7), Access::Point);
    pool.forget(PageId(7));
    pool.forget(PageId(7));
    pool.forget(PageId(8));
    disk.write(newer(7, 2));
    check_read(&mut operation, newer(7, 2), Access::Point);
    drop(operation);
    assert_no_frame_is_lost(&pool);
}

/// Whoever found the page before still sees it, whatever becomes of the frame afterwards.
#[test]
fn a_page_that_is_forgotten_or_replaced_stays_in_place_for_its_readers() {
    let disk = TestDisk::with_pages(300);
    let pool = pool(&disk, 8);
    let mut operation = pool.enter().expect("not forked");
    for id in [7, 8] {
        check_read(&mut operation, ptr(id), Access::Point);
    }
    let pages = [7, 8].map(|id| operation.read_resident(ptr(id), Access::Point).expect("resident"));
    thread::scope(|threads| {
        threads.spawn(|| {
            pool.forget(PageId(7));
            publish(&pool, newer(8, 2)).unpin();
            let mut operation = pool.enter().expect("not forked");
            let _ = (50..300).try_for_each(|id| operation.read(ptr(id), Access::Point).map(|_| ()));
        });
    });
    for (id, page) in [7, 8].into_iter().zip(pages) {
        assert_page(&page, ptr(id));
    }
}

/// Only a wrong pointer gets here: a right one would have kept the page id from being used again.
#[test]
fn a_load_that_began_before_its_page_was_replaced_does_not_enter_the_table() {
    for replace in [true, false] {
        let disk = TestDisk::with_pages(100);
        let pool = pool(&disk, 8);
        disk.hold();
        thread::scope(|threads| {
            let old = threads.spawn(|| {
                let mut operation = pool.enter().expect("not forked");
                operation.read(ptr(7), Access::Point).map(|page| assert_page(&page, ptr(7)))
            });
            disk.wait_for_requests(1);
            let pinned = replace.then(|| publish(&pool, newer(7, 2)));
            pool.forget(PageId(if replace { 8 } else { 7 }));
            disk.release();
            let result = old.join().expect("no panic");
            if let Some(pinned) = pinned {
                check_corrupt(result, Corruption::Birth { found: Birth(2), expected: Birth(1) });
                check_read(&mut pool.enter().expect("not forked"), newer(7, 2), Access::Point);
                pinned.unpin();
            } else {
                result.expect("the page is still on disk");
                assert_eq!(disk.take_requests(), [[7], [7]]);
            }
        });
        assert_no_frame_is_lost(&pool);
    }
}

#[test]
#[should_panic = "the page belongs elsewhere"]
fn a_page_cannot_be_published_under_another_pointer() {
    let disk = TestDisk::with_pages(10);
    let pool = pool(&disk, 8);
    let mut frame = pool.take_frame().expect("room");
    fill(&mut frame, newer(7, 2));
    let _ = frame.publish(newer(7, 3));
}
