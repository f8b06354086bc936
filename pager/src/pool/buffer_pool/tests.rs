//! The buffer pool over a disk in memory that counts, blocks, fails and lies on request.

mod ahead;
mod dirty;
mod disk;
mod many;
mod model;
mod reads;
mod threads;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::{SEED, TestDisk};

use super::BufferPool;
use crate::error::{Corruption, ErrorContext, PagerError, Result};
use crate::format::page::{Page, PageKind};
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::pool::operation::{Access, Operation};

/// What has not happened by then will not.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pool of `frames` frames over the disk, which has 10,000 pages.
fn pool(disk: &Arc<TestDisk>, frames: usize) -> BufferPool {
    let context = ErrorContext(Path::new("test.dynamite").into());
    let pool = BufferPool::with_exactly(disk.clone(), *SEED, context, frames, |_| Ok(()), Arc::default())
        .expect("memory");
    pool.set_page_count(10_000);
    pool
}

/// The pointer to a page as [`TestDisk::with_pages`] wrote it.
fn ptr(id: u32) -> PagePtr {
    PagePtr { id: PageId(id), birth: Birth(1) }
}

/// The page that stands for a pointer: contents that follow from id and birth.
fn fill(page: &mut Page, ptr: PagePtr) {
    let level = if ptr.id.0.is_multiple_of(16) { 1 } else { 0 };
    page.format(ptr.id, ptr.birth, PageKind(16), level);
    for word in page.payload_mut().chunks_exact_mut(8) {
        word.copy_from_slice(&contents(ptr).to_le_bytes());
    }
    SEED.stamp(page);
}

fn contents(ptr: PagePtr) -> u64 {
    (u64::from(ptr.id.0) << 32 | ptr.birth.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Every byte of the page is that of the pointer.
#[track_caller]
fn assert_page(page: &Page, ptr: PagePtr) {
    assert_eq!((page.id(), page.birth()), (ptr.id, ptr.birth));
    let expected = contents(ptr).to_le_bytes();
    assert!(page.payload().chunks_exact(8).all(|word| word == expected), "the contents of {ptr:?}");
}

/// Reads a page and checks what comes.
#[track_caller]
fn check_read(operation: &mut Operation<'_>, ptr: PagePtr, access: Access) {
    match operation.read(ptr, access) {
        Ok(page) => assert_page(&page, ptr),
        Err(error) => panic!("{ptr:?}: {error}"),
    }
}

#[track_caller]
fn check_corrupt<T: std::fmt::Debug>(result: Result<T>, expected: Corruption) {
    match result {
        Err(PagerError::Corrupt { source, .. }) => assert_eq!(source, expected),
        other => panic!("{expected} expected, got {other:?}"),
    }
}

#[track_caller]
fn check_io_error<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(PagerError::Io { .. })), "an I/O error expected, got {result:?}");
}

fn is_resident(pool: &BufferPool, id: u32) -> bool {
    pool.shared.table.find(PageId(id)).is_some()
}

/// Waits for what another thread is about to do.
#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::yield_now();
    }
}

/// Every frame is in the reserve, or comes there when nobody uses it. All operations have ended and all pins are gone.
#[track_caller]
fn assert_no_frame_is_lost(pool: &BufferPool) {
    assert_eq!(pool.dirty(), 0);
    let mut hand = crate::pool::clock::Hand::new();
    loop {
        let evicted = pool.shared.evict(&mut hand, pool.frames());
        if evicted.is_empty() {
            break;
        }
        pool.shared.reserve.retire(&pool.shared.epochs, &evicted);
    }
    let (free, limbo) = pool.shared.reserve.counts();
    assert_eq!(free + limbo, pool.frames());
}
