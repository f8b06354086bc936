//! Reads of single pages: hits, misses, shared misses, failures, room.

use std::thread;

use super::*;

#[test]
fn a_page_is_read_from_disk_once_and_found_from_then_on() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    let mut operation = pool.enter().expect("not forked");
    assert!(operation.read_resident(ptr(7), Access::Point).is_none());
    for _ in 0..5 {
        check_read(&mut operation, ptr(7), Access::Point);
    }
    assert_page(&operation.read_resident(ptr(7), Access::Point).expect("resident"), ptr(7));
    assert_eq!(disk.take_requests(), [[7]]);
    assert_eq!(pool.hits(), 5);
    let counters = &pool.shared.counters;
    assert_eq!((counters.misses.get(), counters.pages_read.get(), counters.read_batches[0].get()), (1, 1, 1));
}

#[test]
fn pages_come_and_go_in_a_pool_of_any_size() {
    for frames in [1, 2, 3, 8, 64] {
        let disk = TestDisk::with_pages(200);
        let pool = pool(&disk, frames);
        for round in 0..3_u32 {
            for id in 2..200 {
                let access = if (id + round).is_multiple_of(3) { Access::Point } else { Access::Scan };
                check_read(&mut pool.enter().expect("not forked"), ptr(id), access);
            }
        }
        let resident = (2..200).filter(|id| is_resident(&pool, *id)).count();
        assert!(resident <= frames, "{resident} pages in {frames} frames");
        assert_no_frame_is_lost(&pool);
        assert_eq!(pool.shared.counters.evictions.get(), pool.shared.counters.misses.get());
    }
}

/// The scan is ten times as long as the pool is large, and meanwhile nobody asks for the hot pages.
#[test]
fn one_scan_does_not_evict_the_hot_pages() {
    let disk = TestDisk::with_pages(3000);
    let pool = pool(&disk, 256);
    let mut operation = pool.enter().expect("not forked");
    for _ in 0..3 {
        for id in 2..100 {
            check_read(&mut operation, ptr(id), Access::Point);
        }
    }
    for id in 100..3000 {
        check_read(&mut operation, ptr(id), Access::Scan);
        check_read(&mut operation, ptr(id), Access::Scan);
    }
    let kept = (2..100).filter(|id| is_resident(&pool, *id)).count();
    assert_eq!(kept, 98);
}

/// And yet what was hot goes, once other pages are.
#[test]
fn new_hot_pages_displace_old_ones() {
    let disk = TestDisk::with_pages(3000);
    let pool = pool(&disk, 256);
    let mut operation = pool.enter().expect("not forked");
    for start in [2, 1000] {
        for _ in 0..20 {
            for id in start..start + 200 {
                check_read(&mut operation, ptr(id), Access::Point);
            }
        }
    }
    let new = (1000..1200).filter(|id| is_resident(&pool, *id)).count();
    assert_eq!(new, 200);
}

#[test]
fn two_threads_that_miss_one_page_cause_one_read() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    disk.hold();
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| check_read(&mut pool.enter().expect("not forked"), ptr(7), Access::Point));
        }
        disk.wait_for_requests(1);
        wait_until(|| pool.shared.counters.shared_misses.get() == 2);
        disk.release();
    });
    assert_eq!(disk.take_requests(), [[7]]);
    assert_eq!((pool.shared.counters.misses.get(), pool.hits()), (1, 0));
}

#[test]
fn a_failed_load_gives_every_waiter_the_error_and_a_retry_succeeds() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    disk.fail(7);
    disk.hold();
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                let mut operation = pool.enter().expect("not forked");
                check_io_error(operation.read(ptr(7), Access::Point));
            });
        }
        disk.wait_for_requests(1);
        wait_until(|| pool.shared.counters.shared_misses.get() == 2);
        disk.release();
    });
    assert_eq!(disk.take_requests(), [[7]]);
    assert!(!is_resident(&pool, 7));
    disk.heal();
    check_read(&mut pool.enter().expect("not forked"), ptr(7), Access::Point);
    assert_no_frame_is_lost(&pool);
}

/// The pointer of the one that reads is wrong, that of the one that waits is right.
#[test]
fn a_waiter_is_not_refused_for_the_birth_that_another_one_expected() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    let wrong = PagePtr { birth: Birth(5), ..ptr(7) };
    for (first, second) in [(wrong, ptr(7)), (ptr(7), wrong)] {
        pool.forget(PageId(7));
        let shared_misses = pool.shared.counters.shared_misses.get();
        disk.hold();
        let check = |ptr: PagePtr| {
            let mut operation = pool.enter().expect("not forked");
            if ptr == wrong {
                let expected = Corruption::Birth { found: Birth(1), expected: Birth(5) };
                check_corrupt(operation.read(ptr, Access::Point), expected);
            } else {
                check_read(&mut operation, ptr, Access::Point);
            }
        };
        thread::scope(|threads| {
            threads.spawn(|| check(first));
            disk.wait_for_requests(1);
            threads.spawn(|| check(second));
            wait_until(|| pool.shared.counters.shared_misses.get() > shared_misses);
            disk.release();
        });
    }
}

#[test]
fn a_load_that_panics_leaves_nobody_waiting() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 4);
    disk.panic_at(7);
    disk.hold();
    thread::scope(|threads| {
        let panicking =
            threads.spawn(|| pool.enter().expect("not forked").read(ptr(7), Access::Point).map(|_| ()));
        disk.wait_for_requests(1);
        let waiting =
            threads.spawn(|| check_read(&mut pool.enter().expect("not forked"), ptr(7), Access::Point));
        wait_until(|| pool.shared.counters.shared_misses.get() == 1);
        disk.release();
        assert!(panicking.join().is_err());
        waiting.join().expect("the waiter reads the page itself");
    });
    assert_no_frame_is_lost(&pool);
    let tag = pool.epochs().advance();
    assert!(pool.epochs().operations_passed(tag), "the operation that panicked has left");
}

#[test]
fn pages_that_fail_a_check_are_refused_and_never_enter_the_table() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    disk.damage(7, |page| page.payload_mut()[9] ^= 1);
    disk.damage(8, |page| fill(page, PagePtr { birth: Birth(3), ..ptr(8) }));
    disk.damage(9, |page| fill(page, ptr(10)));
    disk.damage(10, |page| page.bytes_mut().fill(0));
    let mut operation = pool.enter().expect("not forked");
    let mut read = |id| operation.read(ptr(id), Access::Point).map(|_| ());
    assert!(matches!(read(7), Err(PagerError::Corrupt { source: Corruption::Checksum { .. }, .. })));
    check_corrupt(read(8), Corruption::Birth { found: Birth(3), expected: Birth(1) });
    check_corrupt(read(9), Corruption::PageId { found: PageId(10), expected: PageId(9) });
    check_corrupt(read(10), Corruption::Blank);
    for id in 7..11 {
        assert!(!is_resident(&pool, id), "page {id}");
        disk.write(ptr(id));
        check_read(&mut operation, ptr(id), Access::Point);
    }
    drop(operation);
    assert_no_frame_is_lost(&pool);
}

#[test]
fn a_page_in_the_pool_is_refused_to_a_pointer_with_another_birth() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    let mut operation = pool.enter().expect("not forked");
    check_read(&mut operation, ptr(7), Access::Point);
    let newer = PagePtr { birth: Birth(2), ..ptr(7) };
    assert!(operation.read_resident(newer, Access::Point).is_none());
    let expected = Corruption::Birth { found: Birth(1), expected: Birth(2) };
    check_corrupt(operation.read(newer, Access::Point), expected);
    check_read(&mut operation, ptr(7), Access::Point);
    assert_eq!(disk.take_requests(), [[7]]);
}

#[test]
fn pointers_out_of_the_file_and_to_headers_are_refused_without_a_read() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    pool.set_page_count(50);
    let mut operation = pool.enter().expect("not forked");
    for id in [0, 1, 50, 51, u32::MAX] {
        let expected = Corruption::OutOfBounds { page_count: 50 };
        check_corrupt(operation.read(ptr(id), Access::Point), expected);
        let visit = |_, _: &Page| -> Result<()> { panic!("there is nothing to visit") };
        check_corrupt(operation.read_many(&[ptr(id)], Access::Point, visit), expected);
        assert!(operation.read_resident(ptr(id), Access::Point).is_none());
    }
    assert!(disk.take_requests().is_empty());
    check_read(&mut operation, ptr(49), Access::Point);
}

#[test]
fn pages_stay_readable_while_their_operation_looks_at_them() {
    let disk = TestDisk::with_pages(1000);
    let pool = pool(&disk, 64);
    let mut outer = pool.enter().expect("not forked");
    for id in 2..20 {
        check_read(&mut outer, ptr(id), Access::Scan);
    }
    let pages: Vec<_> =
        (2..20).map(|id| outer.read_resident(ptr(id), Access::Scan).expect("resident")).collect();
    thread::scope(|threads| {
        threads.spawn(|| {
            // Evicts everything, but can fill only what nobody may be looking at.
            let mut operation = pool.enter().expect("not forked");
            let _ = (20..1000).try_for_each(|id| operation.read(ptr(id), Access::Point).map(|_| ()));
        });
    });
    assert!((2..20).any(|id| !is_resident(&pool, id)), "nothing was evicted");
    for (id, page) in (2..20).zip(pages) {
        assert_page(&page, ptr(id));
    }
}

/// What an operation found long ago does not matter when it reads on.
#[test]
fn an_operation_that_finds_everything_in_the_pool_holds_back_no_frames() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    let mut operation = pool.enter().expect("not forked");
    check_read(&mut operation, ptr(7), Access::Point);
    let tag = pool.epochs().advance();
    assert!(pool.shared.epochs.oldest_frames() < tag);
    check_read(&mut operation, ptr(7), Access::Point);
    assert!(pool.shared.epochs.oldest_frames() >= tag);
    assert!(!pool.epochs().operations_passed(tag), "page ids are another matter");
}

#[test]
fn a_read_waits_outside_its_frame_epoch() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 16);
    disk.hold();
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| check_read(&mut pool.enter().expect("not forked"), ptr(7), Access::Point));
        }
        wait_until(|| pool.shared.counters.shared_misses.get() == 1);
        let tag = pool.epochs().advance();
        wait_until(|| pool.shared.epochs.oldest_frames() >= tag);
        assert!(!pool.epochs().operations_passed(tag));
        disk.release();
    });
}

#[test]
fn operations_of_one_thread_nest() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 32);
    let mut outer = pool.enter().expect("not forked");
    let page = outer.read(ptr(7), Access::Point).expect("a good page");
    {
        let mut inner = pool.enter().expect("not forked");
        check_read(&mut inner, ptr(7), Access::Point);
        check_read(&mut inner, ptr(8), Access::Point);
    }
    assert_page(&page, ptr(7));
    let tag = pool.epochs().advance();
    assert!(!pool.epochs().operations_passed(tag), "the outer operation goes on");
}

#[test]
fn a_pool_that_its_own_thread_has_pinned_is_exhausted_and_not_stuck() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 4);
    let outer = pool.enter().expect("not forked");
    let mut inner = pool.enter().expect("not forked");
    let error = (2..100).find_map(|id| inner.read(ptr(id), Access::Scan).err());
    assert!(matches!(error, Some(PagerError::PoolExhausted { frames: 4 })), "{error:?}");
    assert!(pool.shared.counters.frame_waits.get() > 0);
    drop(outer);
    for id in 2..100 {
        check_read(&mut inner, ptr(id), Access::Scan);
    }
}

#[test]
fn small_pools_are_rounded_up() {
    let disk = TestDisk::with_pages(2);
    let pool = BufferPool::new(disk, *SEED, Path::new("test.dynamite"), 1).expect("memory");
    assert_eq!(pool.frames(), super::super::MIN_FRAMES);
}

#[test]
fn a_forked_child_is_refused() {
    let disk = TestDisk::with_pages(10);
    let pool = pool(&disk, 16);
    // SAFETY: the child only looks at the result of two calls that neither lock nor allocate, and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = matches!(pool.enter(), Err(PagerError::Forked { .. }))
            && matches!(pool.take_frame(), Err(PagerError::Forked { .. }));
        // SAFETY: ends the child at once, without the parent's destructors and buffers.
        unsafe { libc::_exit(i32::from(!refused)) }
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status:#x}");
    assert!(pool.enter().is_ok(), "the parent goes on");
}
