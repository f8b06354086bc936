//! Counters of what the pager did, for operators, benchmarks and tests.
//!
//! Hits are counted by each operation slot on its own cache line (see [`crate::pool::epoch`]), so that a hit writes no
//! line that another thread reads. Everything else is rare enough for shared counters.

use crate::disk::Backend;
use crate::error::Corruption;
use crate::sync::{AtomicU64, Ordering};

/// A counter that many threads may add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Number of classes in [`Stats::read_batches`].
pub const BATCH_CLASSES: usize = 7;

/// The shared counters, bumped where things happen.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) misses: Counter,
    pub(crate) shared_misses: Counter,
    pub(crate) evictions: Counter,
    pub(crate) frame_waits: Counter,
    pub(crate) pages_read: Counter,
    pub(crate) read_batches: [Counter; BATCH_CLASSES],
    pub(crate) prefetched: Counter,
    pub(crate) pages_written: Counter,
    pub(crate) early_writes: Counter,
    pub(crate) flushes: Counter,
    pub(crate) commits: Counter,
    pub(crate) large_commits: Counter,
    pub(crate) zeroed_pages: Counter,
}

impl Counters {
    /// Counts one read request of the disk for `pages` pages.
    pub(crate) fn count_read_batch(&self, pages: usize) {
        let class = (usize::BITS - pages.max(1).leading_zeros() - 1) as usize;
        self.read_batches[class.min(BATCH_CLASSES - 1)].add(1);
        self.pages_read.add(pages as u64);
    }
}

/// What the pager did since it was opened, and what it is running on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Pages found in the pool.
    pub hits: u64,
    /// Pages that had to be read by whoever asked for them.
    pub misses: u64,
    /// Misses that waited for a read that another thread had begun.
    pub shared_misses: u64,
    /// Pages dropped from the pool to make room.
    pub evictions: u64,
    /// Times that a read had to wait for a free frame.
    pub frame_waits: u64,
    /// Pages read from disk.
    pub pages_read: u64,
    /// Read requests by size: class `i` counts those of `2^i` up to `2^(i+1) - 1` pages, the last one all larger ones.
    pub read_batches: [u64; BATCH_CLASSES],
    /// Pages that read-ahead brought in.
    pub prefetched: u64,
    /// Pages written, headers included, growth's zeros not.
    pub pages_written: u64,
    /// Pages of large batches that were written before their commit.
    pub early_writes: u64,
    /// Flushes (`fdatasync`).
    pub flushes: u64,
    /// Commits that became durable, seals included.
    pub commits: u64,
    /// Commits that were too large for a manifest and took two flushes.
    pub large_commits: u64,
    /// Pages that growth filled with zeros ahead of use.
    pub zeroed_pages: u64,
    /// Frames in the pool.
    pub frames: usize,
    /// Pages in the file, as of the newest durable commit.
    pub page_count: u64,
    /// Pages that hold nothing; unknown to a read-only handle.
    pub free_pages: Option<u64>,
    /// The I/O in use, and why.
    pub backend: Backend,
    /// Why one of the two headers was rejected when the file was opened, if one was. That is what a commit, a seal or a
    /// heal leaves behind that a crash interrupted; nobody was told that it was done.
    pub rejected_header: Option<Corruption>,
}

impl Stats {
    /// Bytes read from disk.
    pub fn bytes_read(&self) -> u64 {
        self.pages_read * crate::format::page::PAGE_SIZE as u64
    }

    /// Bytes written to disk.
    pub fn bytes_written(&self) -> u64 {
        self.pages_written * crate::format::page::PAGE_SIZE as u64
    }
}
