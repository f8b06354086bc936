//! The disk: the only thing that the pager assumes of files, and what it assumes of them.
//!
//! # What is assumed
//!
//! 1. A write is durable once a flush that began after the write's completion has returned without error.
//! 2. Before that, a power cut keeps any subset of the unflushed writes, each torn into pieces of 8 bytes that
//!    are kept or lost one by one, in any order. No sector is assumed to be atomic.
//! 3. A killed process loses nothing of what it had written, but what it left unflushed stays unflushed.
//! 4. A write changes nothing outside its own pages. Bytes rot, writes get lost or go astray all the same: that is
//!    detected by checksums, page ids and births, not assumed away.
//! 5. After a failed flush nothing is known of any write since the last successful one. A flush is never retried,
//!    since the kernel may have marked the pages clean.
//! 6. The length of the file is as volatile as its contents until a flush.
//!
//! The simulated disk of the tests (module `sim`, behind the feature `sim`) implements exactly this, and a bit meaner.

pub mod file;

mod page_file;

mod transfer;

mod syscall;

mod uring;

mod ring;

#[cfg(feature = "sim")]
pub mod sim;

#[cfg(feature = "sim")]
pub mod gated;

#[cfg(feature = "sim")]
mod sim_medium;

#[cfg(feature = "reference")]
pub mod reference;

use std::fmt;
use std::io;

use crate::format::page::{PAGE_SIZE, Page};
use crate::format::page_id::PageId;

/// One page of a batch of reads.
#[derive(Debug)]
pub struct PageRead<'a> {
    /// Which page to read.
    pub id: PageId,
    /// Where its bytes go. Undefined contents after an error.
    pub page: &'a mut Page,
    /// How it ended; `Ok` before the batch.
    pub result: io::Result<()>,
}

/// One page of a batch of writes. It is written where `id` says, whatever its own header says.
#[derive(Clone, Copy, Debug)]
pub struct PageWrite<'a> {
    /// Where to write.
    pub id: PageId,
    /// The bytes.
    pub page: &'a Page,
}

/// A file of pages on some medium.
///
/// Every call blocks until it is done. Short transfers and interrupted calls are continued by the
/// implementation; what comes out is the whole page or an error. All methods may be called from many threads at
/// once; the callers see to it that no page is written twice at a time, nor read while it is written.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Reads one page. Beyond the end of the file: [`io::ErrorKind::UnexpectedEof`].
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()>;

    /// Reads many pages, as many at a time as the device takes. Each read has a result of its own. Pages that
    /// follow one another in the slice and in the file may be read by one request.
    fn read_batch(&self, reads: &mut [PageRead<'_>]);

    /// Writes pages in no particular order and returns when all of them have completed. After an error any
    /// subset may have been written.
    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()>;

    /// Makes all completed writes durable, and the length of the file.
    fn flush(&self) -> io::Result<()>;

    /// Bytes in the file. A file that is not ours may end within a page.
    fn byte_len(&self) -> io::Result<u64>;

    /// Whole pages in the file.
    fn page_count(&self) -> io::Result<u64> {
        Ok(self.byte_len()? / PAGE_SIZE as u64)
    }

    /// Makes the file at least `page_count` pages long and reserves the blocks, so that writing to them cannot
    /// fail for want of space. New pages read as zeros.
    fn grow(&self, page_count: u64) -> io::Result<()>;

    /// Writes zeros over pages that [`grow`](Disk::grow) added, so that later writes there need no change to the
    /// file system's metadata (a first write to a block costs two to three times as much to flush).
    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()>;

    /// Cuts the file to `page_count` pages.
    fn truncate(&self, page_count: u64) -> io::Result<()>;

    /// Makes the next reads come from the medium, where a cache of the kernel stands between. Clean pages only.
    fn drop_cache(&self) -> io::Result<()>;

    /// Which implementation this is, and why it was chosen.
    fn backend(&self) -> Backend;
}

/// Which implementation of [`Disk`] does the I/O, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The implementation.
    pub kind: BackendKind,
    /// Whether I/O goes past the kernel's page cache.
    pub direct: bool,
    /// Why this one, in words for an operator: what was asked for, or what was refused.
    pub reason: String,
}

/// The implementations of [`Disk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// Batches through io_uring, lone reads by `pread`.
    Uring,
    /// `pread` and `pwritev`, batches by a few threads.
    Syscall,
    /// Anonymous memory (`memfd`), gone with the handle.
    Memory,
    /// The simulated disk of the tests.
    Simulated,
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackendKind::Uring => "io_uring",
            BackendKind::Syscall => "syscall",
            BackendKind::Memory => "memory",
            BackendKind::Simulated => "simulated",
        })
    }
}
