//! Many threads at once.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

use parking_lot::RwLock;

use super::*;
use crate::disk::{Disk, PageWrite};
use crate::sync::Ordering;

/// A generator of numbers that look random. Each test thread has one with a seed of its own.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(end)) >> 32) as u32
    }
}

#[test]
fn threads_that_share_a_small_pool_all_read_what_is_on_disk() {
    let disk = TestDisk::with_pages(600);
    let pool = pool(&disk, 256);
    thread::scope(|threads| {
        for seed in 1..5 {
            let pool = &pool;
            threads.spawn(move || {
                let mut numbers = Numbers(seed * 0x9e37_79b9);
                for _ in 0..300 {
                    let mut operation = pool.enter().expect("not forked");
                    for _ in 0..10 {
                        let access = if numbers.below(2) == 0 { Access::Point } else { Access::Scan };
                        check_read(&mut operation, ptr(2 + numbers.below(598)), access);
                    }
                    let ptrs: Vec<_> = (0..20).map(|_| ptr(2 + numbers.below(598))).collect();
                    operation.prefetch(&ptrs[..10]);
                    let visit = |index: usize, page: &Page| -> Result<()> {
                        assert_page(page, ptrs[index]);
                        Ok(())
                    };
                    operation.read_many(&ptrs, Access::Point, visit).expect("good pages");
                }
            });
        }
    });
    let tag = pool.epochs().advance();
    wait_until(|| pool.epochs().operations_passed(tag));
    assert_no_frame_is_lost(&pool);
}

/// A database in small: a directory (the root) says which pointer is current for each key. The writer moves keys to
/// page ids that it had freed before, as soon as all operations since have ended, and readers follow the directory. No
/// reader may ever meet another page than the one that the directory had promised it.
#[test]
fn page_ids_are_used_again_under_readers_that_never_notice() {
    const KEYS: usize = 30;
    let disk = TestDisk::with_pages(64);
    let pool = pool(&disk, 48);
    let root = RwLock::new((0..KEYS as u32).map(|key| ptr(2 + key)).collect::<Vec<_>>());
    let done = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    thread::scope(|threads| {
        for seed in 1..4 {
            let (pool, root, done, reads) = (&pool, &root, &done, &reads);
            threads.spawn(move || {
                let mut numbers = Numbers(seed * 0x9e37_79b9);
                while !done.load(Ordering::Relaxed) {
                    let mut operation = pool.enter().expect("not forked");
                    let directory = root.read().clone();
                    for _ in 0..8 {
                        let ptr = directory[numbers.below(KEYS as u32) as usize];
                        check_read(&mut operation, ptr, Access::Point);
                        operation.prefetch(&directory[..4]);
                    }
                    reads.fetch_add(8, Ordering::Relaxed);
                }
            });
        }
        let mut numbers = Numbers(77);
        let mut free: Vec<_> = (2 + KEYS as u32..64).map(PageId).collect();
        let mut limbo = Vec::new();
        for birth in 2..1500 {
            limbo.retain(|(tag, id)| {
                let passed = pool.epochs().operations_passed(*tag);
                if passed {
                    pool.forget(*id);
                    free.push(*id);
                }
                !passed
            });
            if free.is_empty() {
                thread::yield_now();
                continue;
            }
            let ptr = PagePtr {
                id: free.swap_remove(numbers.below(free.len() as u32) as usize),
                birth: Birth(birth),
            };
            let mut frame = pool.take_frame().expect("room");
            fill(&mut frame, ptr);
            let pinned = frame.publish(ptr);
            let old = std::mem::replace(&mut root.write()[numbers.below(KEYS as u32) as usize], ptr);
            limbo.push((pool.epochs().advance(), old.id));
            disk.write_batch(&[PageWrite { id: ptr.id, page: &pinned }]).expect("this disk takes all");
            pinned.unpin();
        }
        wait_until(|| reads.load(Ordering::Relaxed) > 1000);
        done.store(true, Ordering::Relaxed);
    });
    assert_no_frame_is_lost(&pool);
}

#[test]
fn threads_that_end_leave_their_slots_to_others() {
    let disk = TestDisk::with_pages(10);
    let pool = pool(&disk, 8);
    for _ in 0..500 {
        thread::scope(|threads| {
            let read = || {
                let outer = pool.enter().expect("not forked");
                check_read(&mut pool.enter().expect("not forked"), ptr(7), Access::Point);
                drop(outer);
            };
            // Joined, since a scope may end before its threads have given back what they keep.
            for thread in [threads.spawn(read), threads.spawn(read)] {
                thread.join().expect("good pages");
            }
        });
    }
    let slots = pool.shared.epochs.slot_count();
    assert!(slots <= 4, "{slots} slots");
    assert_eq!(
        pool.hits() + pool.shared.counters.misses.get() + pool.shared.counters.shared_misses.get(),
        1000
    );
}
