//! Read-ahead.

use std::thread;

use super::*;

fn pages_ahead(pool: &BufferPool) -> u64 {
    pool.shared.counters.prefetched.get()
}

#[test]
fn prefetched_pages_are_found_without_a_miss() {
    let disk = TestDisk::with_pages(300);
    let pool = pool(&disk, 256);
    let mut operation = pool.enter().expect("not forked");
    check_read(&mut operation, ptr(20), Access::Scan);
    operation.prefetch(&(10..50).chain(30..40).map(ptr).collect::<Vec<_>>());
    wait_until(|| (10..50).all(|id| is_resident(&pool, id)));
    for id in 10..50 {
        check_read(&mut operation, ptr(id), Access::Scan);
    }
    assert_eq!((pages_ahead(&pool), pool.shared.counters.misses.get()), (39, 1));
    operation.prefetch(&[ptr(10), ptr(49)]);
    drop(operation);
    assert_eq!(disk.take_requests().len(), 2, "one for page 20, one batch");
    assert_no_frame_is_lost(&pool);
}

#[test]
fn a_read_ahead_keeps_the_page_ids_of_its_operation_until_it_is_done() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 64);
    let operation = pool.enter().expect("not forked");
    let tag = pool.epochs().advance();
    disk.hold();
    operation.prefetch(&[ptr(7)]);
    operation.prefetch(&[ptr(8)]);
    drop(operation);
    disk.wait_for_requests(1);
    assert!(!pool.epochs().operations_passed(tag), "it began before the tag, though it was asked for after");
    disk.release();
    wait_until(|| pool.epochs().operations_passed(tag));
    assert!(is_resident(&pool, 7) && is_resident(&pool, 8));
}

#[test]
fn errors_of_a_read_ahead_are_left_to_the_read() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 64);
    disk.fail(7);
    disk.damage(8, |page| page.payload_mut()[0] ^= 1);
    let mut operation = pool.enter().expect("not forked");
    operation.prefetch(&[ptr(7), ptr(8), ptr(9), ptr(0), ptr(99_999)]);
    wait_until(|| is_resident(&pool, 9));
    check_io_error(operation.read(ptr(7), Access::Point));
    disk.heal();
    check_read(&mut operation, ptr(7), Access::Point);
    assert!(operation.read(ptr(8), Access::Point).is_err());
}

#[test]
fn too_many_requests_are_dropped_and_the_pool_ends_all_the_same() {
    let disk = TestDisk::with_pages(9000);
    let pool = pool(&disk, 256);
    let operation = pool.enter().expect("not forked");
    disk.hold();
    for start in 0..1000 {
        let ptrs: Vec<_> = (0..40).map(|i| ptr(2 + start * 7 + i)).collect();
        operation.prefetch(&ptrs);
    }
    // The thread's own, the operation's, and those of the queue.
    assert!(pool.shared.epochs.slot_count() <= 2 + 64);
    disk.release();
    drop(operation);
    drop(pool);
    let read: usize = disk.take_requests().iter().map(Vec::len).sum();
    assert!(read <= 1024 + 40, "{read} pages");
}

#[test]
fn requests_use_slots_again() {
    let disk = TestDisk::with_pages(1000);
    let pool = pool(&disk, 64);
    for id in 2..1000 {
        pool.enter().expect("not forked").prefetch(&[ptr(id)]);
        wait_until(|| pages_ahead(&pool) == u64::from(id) - 1);
    }
    // Each scan of the epochs looks at all of them. The threads keep some.
    let slots = pool.shared.epochs.slot_count();
    assert!(slots <= 32, "{slots} slots");
}

/// Has both threads wait for a page each.
fn occupy_threads(disk: &TestDisk, operation: &Operation<'_>, pages: [u32; 2]) {
    disk.hold();
    for (id, waiting) in pages.into_iter().zip(1..) {
        operation.prefetch(&[ptr(id)]);
        disk.wait_for_requests(waiting);
    }
}

#[test]
fn what_is_asked_for_at_once_is_work_for_both_threads() {
    let disk = TestDisk::with_pages(200);
    let pool = pool(&disk, 512);
    let operation = pool.enter().expect("not forked");
    disk.hold();
    operation.prefetch(&(2..130).map(ptr).collect::<Vec<_>>());
    disk.wait_for_requests(2);
    disk.release();
    let sizes: Vec<_> = disk.take_requests().iter().map(Vec::len).collect();
    assert_eq!(sizes, [64, 64]);
}

#[test]
fn a_scan_reads_what_was_asked_for_with_its_page_if_no_thread_has_begun() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 256);
    let operation = pool.enter().expect("not forked");
    occupy_threads(&disk, &operation, [10, 11]);
    operation.prefetch(&(30..50).map(ptr).collect::<Vec<_>>());
    operation.prefetch(&(60..80).map(ptr).collect::<Vec<_>>());
    thread::scope(|threads| {
        threads.spawn(|| check_read(&mut pool.enter().expect("not forked"), ptr(65), Access::Scan));
        disk.wait_for_requests(3);
        // Who wants one page does not wait for twenty.
        threads.spawn(|| check_read(&mut pool.enter().expect("not forked"), ptr(35), Access::Point));
        disk.wait_for_requests(4);
        disk.release();
    });
    wait_until(|| (30..50).chain(60..80).all(|id| is_resident(&pool, id)));
    let requests = disk.take_requests();
    assert_eq!(requests[2..4], [(60..80).collect(), vec![35]]);
    assert_eq!((pages_ahead(&pool), pool.shared.counters.misses.get()), (41, 1));
}

#[test]
fn frames_for_a_read_ahead_are_there_when_it_begins() {
    let disk = TestDisk::with_pages(1300);
    let pool = pool(&disk, 1024);
    let mut operation = pool.enter().expect("not forked");
    for id in 2..1100 {
        check_read(&mut operation, ptr(id), Access::Scan);
    }
    disk.take_requests();
    occupy_threads(&disk, &operation, [1200, 1201]);
    operation.prefetch(&(1210..1270).map(ptr).collect::<Vec<_>>());
    drop(operation);
    // From here on what is evicted is not free before this one ends.
    let _operation = pool.enter().expect("not forked");
    disk.release();
    wait_until(|| (1210..1270).all(|id| is_resident(&pool, id)));
    assert_eq!(disk.take_requests()[2..], [(1210..1270).collect::<Vec<_>>()]);
}

#[test]
fn a_read_ahead_that_found_few_frames_goes_on_with_the_rest() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 64);
    let owned: Vec<_> = (0..59).map(|_| pool.take_frame().expect("room")).collect();
    let operation = pool.enter().expect("not forked");
    disk.hold();
    operation.prefetch(&(10..26).map(ptr).collect::<Vec<_>>());
    disk.wait_for_requests(1);
    drop(owned);
    disk.release();
    wait_until(|| (10..26).all(|id| is_resident(&pool, id)));
    let sizes: Vec<_> = disk.take_requests().iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 11]);
}

#[test]
fn a_read_ahead_does_not_wait_for_frames() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 4);
    let owned: Vec<_> = (0..4).map(|_| pool.take_frame().expect("room")).collect();
    let operation = pool.enter().expect("not forked");
    let tag = pool.epochs().advance();
    operation.prefetch(&[ptr(7)]);
    drop(operation);
    wait_until(|| pool.epochs().operations_passed(tag));
    assert_eq!(pages_ahead(&pool), 0);
    assert_eq!(pool.shared.counters.frame_waits.get(), 0);
    drop(owned);
}

#[test]
fn a_read_ahead_that_panics_holds_nothing_back_for_ever() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 64);
    disk.hold();
    disk.panic_at(7);
    let operation = pool.enter().expect("not forked");
    operation.prefetch(&[ptr(7)]);
    disk.wait_for_requests(1);
    operation.prefetch(&[ptr(8)]);
    drop(operation);
    let tag = pool.epochs().advance();
    disk.release();
    wait_until(|| pool.epochs().operations_passed(tag));
    // The operation of the thread ends before the thread does.
    wait_until(|| pool.shared.read_ahead.is_closed());
    let mut operation = pool.enter().expect("not forked");
    operation.prefetch(&[ptr(9)]);
    check_read(&mut operation, ptr(7), Access::Point);
    drop(operation);
    let tag = pool.epochs().advance();
    assert!(pool.epochs().operations_passed(tag), "the request was dropped");
    assert_no_frame_is_lost(&pool);
}
