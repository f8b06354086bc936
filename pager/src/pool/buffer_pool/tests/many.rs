//! Reads of many pages at a time.

use std::thread;

use super::*;

/// Reads pages and returns, for each pointer, how often it was visited. Every visit sees the right page.
fn visits(operation: &mut Operation<'_>, ptrs: &[PagePtr]) -> Result<Vec<usize>> {
    let mut visits = vec![0; ptrs.len()];
    operation.read_many(ptrs, Access::Point, |index, page| -> Result<()> {
        assert_page(page, ptrs[index]);
        visits[index] += 1;
        Ok(())
    })?;
    Ok(visits)
}

#[track_caller]
fn check_visits(operation: &mut Operation<'_>, ptrs: &[PagePtr]) {
    assert_eq!(visits(operation, ptrs).expect("good pages"), vec![1; ptrs.len()]);
}

#[test]
fn misses_are_read_in_ordered_batches_and_hits_not_at_all() {
    let disk = TestDisk::with_pages(1000);
    let pool = pool(&disk, 512);
    let mut operation = pool.enter().expect("not forked");
    check_read(&mut operation, ptr(12), Access::Point);
    disk.take_requests();
    let ptrs: Vec<_> = (10..160).rev().map(ptr).collect();
    check_visits(&mut operation, &ptrs);
    let missing: Vec<_> = (10..160).filter(|id| *id != 12).collect();
    let expected: Vec<_> = missing.chunks(64).map(|chunk| chunk.to_vec()).collect();
    assert_eq!(disk.take_requests(), expected);
    check_visits(&mut operation, &ptrs);
    assert!(disk.take_requests().is_empty());
    let counters = &pool.shared.counters;
    assert_eq!((counters.misses.get(), counters.pages_read.get()), (150, 150));
    assert_eq!(counters.read_batches.each_ref().map(|class| class.get()), [1, 0, 0, 0, 1, 0, 2]);
}

#[test]
fn repeated_pointers_are_visited_as_often_as_they_occur() {
    let disk = TestDisk::with_pages(300);
    let pool = pool(&disk, 16);
    let mut operation = pool.enter().expect("not forked");
    let ptrs: Vec<_> = (0..400).map(|i| ptr(2 + i * i % 90)).collect();
    check_visits(&mut operation, &ptrs);
    check_visits(&mut operation, &[ptr(5); 200]);
}

#[test]
fn pools_of_any_size_serve_batches_of_any_size() {
    let disk = TestDisk::with_pages(300);
    for frames in [1, 2, 5, 16, 100] {
        let pool = pool(&disk, frames);
        let mut operation = pool.enter().expect("not forked");
        for count in [0, 1, 2, 63, 64, 65, 250] {
            let ptrs: Vec<_> = (0..count).map(|i| ptr(2 + i * 7 % 298)).collect();
            check_visits(&mut operation, &ptrs);
        }
        drop(operation);
        assert_no_frame_is_lost(&pool);
    }
}

#[test]
fn a_failed_page_of_a_batch_is_an_error_and_the_others_stay() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 64);
    disk.fail(10);
    let mut operation = pool.enter().expect("not forked");
    let ptrs: Vec<_> = (5..15).map(ptr).collect();
    check_io_error(visits(&mut operation, &ptrs));
    for id in 5..15 {
        assert_eq!(is_resident(&pool, id), id != 10, "page {id}");
    }
    disk.heal();
    disk.damage(20, |page| page.payload_mut()[0] ^= 1);
    let corrupt = visits(&mut operation, &[ptr(19), ptr(20), ptr(21)]);
    assert!(
        matches!(corrupt, Err(PagerError::Corrupt { source: Corruption::Checksum { .. }, .. })),
        "{corrupt:?}"
    );
    assert!(!is_resident(&pool, 20));
    check_visits(&mut operation, &ptrs);
    drop(operation);
    assert_no_frame_is_lost(&pool);
}

#[test]
fn each_pointer_of_a_batch_is_held_to_its_own_birth() {
    let disk = TestDisk::with_pages(100);
    let wrong = PagePtr { birth: Birth(4), ..ptr(7) };
    let expected = Corruption::Birth { found: Birth(1), expected: Birth(4) };
    for ptrs in [vec![ptr(7), wrong], vec![wrong, ptr(7)], vec![ptr(6), wrong, ptr(7), ptr(8)]] {
        let pool = pool(&disk, 64);
        let mut operation = pool.enter().expect("not forked");
        let mut visit = |_, page: &Page| -> Result<()> {
            assert_page(page, ptr(page.id().0));
            Ok(())
        };
        check_corrupt(operation.read_many(&ptrs, Access::Point, &mut visit), expected);
        check_corrupt(operation.read_many(&ptrs, Access::Point, &mut visit), expected);
    }
}

#[test]
fn an_error_of_the_visitor_ends_the_visits_and_loses_nothing() {
    #[derive(Debug)]
    enum Ended {
        ByVisitor(usize),
        ByPager,
    }
    impl From<PagerError> for Ended {
        fn from(_: PagerError) -> Ended {
            Ended::ByPager
        }
    }
    let disk = TestDisk::with_pages(200);
    let pool = pool(&disk, 64);
    let mut operation = pool.enter().expect("not forked");
    let ptrs: Vec<_> = (2..150).map(ptr).collect();
    let mut visited = 0;
    let result = operation.read_many(&ptrs, Access::Scan, |index, _| {
        visited += 1;
        if visited == 70 { Err(Ended::ByVisitor(index)) } else { Ok(()) }
    });
    assert!(matches!(result, Err(Ended::ByVisitor(index)) if index < ptrs.len()), "{result:?}");
    assert_eq!(visited, 70);
    disk.fail(180);
    let result = operation.read_many(&[ptr(180)], Access::Scan, |_, _| Err(Ended::ByVisitor(0)));
    assert!(matches!(result, Err(Ended::ByPager)), "{result:?}");
    drop(operation);
    assert_no_frame_is_lost(&pool);
}

/// The visitor begins an operation of its own that misses pages, some of them of the same batch.
#[test]
fn a_visitor_may_read() {
    let disk = TestDisk::with_pages(300);
    let pool = pool(&disk, 256);
    let mut operation = pool.enter().expect("not forked");
    let ptrs: Vec<_> = (2..80).map(ptr).collect();
    let result = operation.read_many(&ptrs, Access::Point, |index, page| -> Result<()> {
        let mut inner = pool.enter()?;
        check_read(&mut inner, ptr(2 + (index as u32 * 5) % 80), Access::Point);
        check_read(&mut inner, ptr(200 + index as u32 / 2), Access::Point);
        assert_page(page, ptrs[index]);
        Ok(())
    });
    result.expect("good pages");
}

#[test]
fn a_batch_shares_the_reads_that_others_have_begun() {
    let disk = TestDisk::with_pages(100);
    let pool = pool(&disk, 64);
    let ptrs: Vec<_> = (2..12).map(ptr).collect();
    disk.hold();
    thread::scope(|threads| {
        threads.spawn(|| check_read(&mut pool.enter().expect("not forked"), ptr(7), Access::Point));
        disk.wait_for_requests(1);
        threads.spawn(|| check_visits(&mut pool.enter().expect("not forked"), &ptrs));
        disk.wait_for_requests(2);
        // All of it is under way by now.
        threads.spawn(|| check_visits(&mut pool.enter().expect("not forked"), &ptrs));
        wait_until(|| pool.shared.counters.shared_misses.get() >= 1);
        disk.release();
    });
    let mut read: Vec<_> = disk.take_requests().concat();
    read.sort_unstable();
    assert_eq!(read, (2..12).collect::<Vec<_>>());
}
