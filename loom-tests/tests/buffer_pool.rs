//! The buffer pool under all orders of its steps.

#![cfg(loom)]

use std::sync::Arc;

use dynamite_loom_tests::explore;
use dynamite_loom_tests::model_disk::{ModelDisk, assert_page, fill, pool, ptr};
use dynamite_pager::error::PagerError;
use dynamite_pager::format::page_id::{Birth, PageId, PagePtr};
use dynamite_pager::pool::buffer_pool::BufferPool;
use dynamite_pager::pool::operation::Access;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// Reads a page in an operation of its own. A pool this small may have no room, which is an error and no harm.
/// Whatever is read is what it should be.
#[track_caller]
fn read(pool: &BufferPool, ptr: PagePtr, access: Access) {
    let mut operation = pool.enter().expect("not forked");
    match operation.read(ptr, access) {
        Ok(page) => assert_page(&page, ptr),
        Err(PagerError::PoolExhausted { .. }) => {}
        Err(error) => panic!("{ptr:?}: {error}"),
    }
}

/// Nobody uses the pool any more: all of its frames can be had.
#[track_caller]
fn assert_no_frame_is_lost(pool: &BufferPool) {
    let frames: Vec<_> = (0..pool.frames()).map(|_| pool.take_frame()).collect();
    assert!(frames.iter().all(Result::is_ok), "{frames:?}");
}

/// A reader inside its epoch sees the old page or the new page in a frame, never half of each.
#[test]
fn a_reader_never_sees_a_frame_that_is_being_filled_again() {
    explore(6, || {
        let pool = pool(Arc::default(), 1);
        read(&pool, ptr(2), Access::Scan);
        let evictor = {
            let pool = pool.clone();
            thread::spawn(move || read(&pool, ptr(3), Access::Scan))
        };
        let operation = pool.enter().expect("not forked");
        if let Some(page) = operation.read_resident(ptr(2), Access::Scan) {
            assert_page(&page, ptr(2));
            thread::yield_now();
            assert_page(&page, ptr(2));
        }
        drop(operation);
        evictor.join().expect("the evictor ends");
        assert_no_frame_is_lost(&pool);
    });
}

/// As above, with a reader that moves its frame epoch forward as it reads on. It is there from the beginning, so the fence
/// of its entering orders nothing.
#[test]
fn a_reader_that_reads_on_lets_go_of_what_it_has_read() {
    explore(4, || {
        let pool = pool(Arc::default(), 1);
        read(&pool, ptr(2), Access::Scan);
        let mut operation = pool.enter().expect("not forked");
        let evictor = {
            let pool = pool.clone();
            thread::spawn(move || read(&pool, ptr(3), Access::Scan))
        };
        for _ in 0..2 {
            match operation.read(ptr(2), Access::Scan) {
                Ok(page) => assert_page(&page, ptr(2)),
                Err(PagerError::PoolExhausted { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            thread::yield_now();
        }
        drop(operation);
        evictor.join().expect("the evictor ends");
        assert_no_frame_is_lost(&pool);
    });
}

/// The reader is there from the beginning, so nothing but the entry in the page table orders its look at the page after the
/// load.
#[test]
fn a_page_that_is_found_is_whole() {
    explore(8, || {
        let pool = pool(Arc::default(), 2);
        let operation = pool.enter().expect("not forked");
        let loader = {
            let pool = pool.clone();
            thread::spawn(move || read(&pool, ptr(2), Access::Scan))
        };
        // Loom begins with the order in which the loader comes first.
        thread::yield_now();
        if let Some(page) = operation.read_resident(ptr(2), Access::Scan) {
            assert_page(&page, ptr(2));
        }
        drop(operation);
        loader.join().expect("the loader ends");
    });
}

#[test]
fn two_misses_of_one_page_cause_one_load() {
    explore(8, || {
        let disk = Arc::<ModelDisk>::default();
        let pool = pool(disk.clone(), 2);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || read(&pool, ptr(2), Access::Scan))
        };
        read(&pool, ptr(2), Access::Scan);
        other.join().expect("the other thread ends");
        assert_eq!(disk.reads(), 1);
    });
}

#[test]
fn a_failed_load_reaches_its_waiters_and_leaves_nothing_behind() {
    explore(5, || {
        let disk = ModelDisk::failing_at_first(1);
        let pool = pool(disk.clone(), 2);
        let try_read = |pool: &BufferPool| {
            let mut operation = pool.enter().expect("not forked");
            match operation.read(ptr(2), Access::Point) {
                Ok(page) => assert_page(&page, ptr(2)),
                Err(PagerError::Io { .. }) => return false,
                Err(error) => panic!("{error}"),
            }
            true
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || try_read(&pool))
            })
            .collect();
        let read: Vec<_> = others.into_iter().map(|other| other.join().expect("it ends")).collect();
        assert!(!read[0] || !read[1], "somebody's load failed");
        // One read failed; there was another one if somebody succeeded.
        let succeeded = read[0] || read[1];
        assert_eq!(disk.reads(), 1 + usize::from(succeeded));
        assert!(try_read(&pool), "a retry succeeds");
        assert_no_frame_is_lost(&pool);
    });
}

/// The reader enters its epoch and then loads the root. The writer publishes a new root, and uses the page id of
/// the old one again as soon as all operations that may have seen it have ended. (The root is relaxed: the fences
/// have to do.)
#[test]
fn a_page_id_is_used_again_only_when_no_operation_can_meet_it() {
    explore(8, || {
        let pool = pool(Arc::default(), 4);
        let root = Arc::new(AtomicU32::new(2));
        // The roots, in their order: pages 2, 3, and 2 again. So the birth follows from the number of the root.
        let roots = [ptr(2), newer(3, 2), newer(2, 3)];
        let publish = |pool: &BufferPool, ptr: PagePtr| {
            let mut frame = pool.take_frame().expect("the pool has room for all of them");
            fill(&mut frame, ptr);
            drop(frame.publish(ptr));
        };
        publish(&pool, roots[0]);
        root.store(0, Ordering::Relaxed);
        let reader = {
            let (pool, root) = (pool.clone(), root.clone());
            thread::spawn(move || {
                let mut operation = pool.enter().expect("not forked");
                let ptr = roots[root.load(Ordering::Relaxed) as usize];
                let page = operation.read(ptr, Access::Point).expect("the page that the root leads to");
                assert_page(&page, ptr);
            })
        };
        publish(&pool, roots[1]);
        root.store(1, Ordering::Relaxed);
        let tag = pool.epochs().advance();
        if pool.epochs().operations_passed(tag) {
            pool.forget(roots[0].id);
            publish(&pool, roots[2]);
            root.store(2, Ordering::Relaxed);
        }
        reader.join().expect("the reader ends");
    });
}

/// The hand goes over frames that are being filled and entered.
#[test]
fn the_clock_never_evicts_what_is_not_there_yet() {
    explore(3, || {
        let pool = pool(Arc::default(), 2);
        let others: Vec<_> = [3, 4]
            .into_iter()
            .map(|id| {
                let pool = pool.clone();
                thread::spawn(move || read(&pool, ptr(id), Access::Scan))
            })
            .collect();
        read(&pool, ptr(2), Access::Scan);
        others.into_iter().for_each(|other| other.join().expect("it ends"));
        assert_no_frame_is_lost(&pool);
    });
}

/// A page is replaced, and another one forgotten, while the hand is about to evict them.
#[test]
fn the_clock_and_the_writer_never_remove_the_same_page_twice() {
    explore(4, || {
        let pool = pool(Arc::default(), 3);
        read(&pool, ptr(2), Access::Scan);
        read(&pool, ptr(4), Access::Scan);
        let evictor = {
            let pool = pool.clone();
            thread::spawn(move || {
                read(&pool, ptr(3), Access::Scan);
                read(&pool, ptr(5), Access::Scan);
            })
        };
        pool.forget(ptr(4).id);
        if let Ok(mut frame) = pool.take_frame() {
            fill(&mut frame, newer(2, 2));
            frame.publish(newer(2, 2)).unpin();
        }
        evictor.join().expect("the evictor ends");
        assert_no_frame_is_lost(&pool);
    });
}

/// The writer unpins a page while another thread wants its frame and a third one reads it.
#[test]
fn an_unpinned_page_is_evicted_only_after_its_readers_have_left() {
    explore(4, || {
        let pool = pool(Arc::default(), 1);
        let mut frame = pool.take_frame().expect("room");
        fill(&mut frame, ptr(2));
        let pinned = frame.publish(ptr(2));
        let others: Vec<_> = [2, 3]
            .into_iter()
            .map(|id| {
                let pool = pool.clone();
                thread::spawn(move || read(&pool, ptr(id), Access::Scan))
            })
            .collect();
        assert_page(&pinned, ptr(2));
        pinned.unpin();
        others.into_iter().for_each(|other| other.join().expect("it ends"));
        assert_no_frame_is_lost(&pool);
    });
}

fn newer(id: u32, birth: u64) -> PagePtr {
    PagePtr { id: PageId(id), birth: Birth(birth) }
}
