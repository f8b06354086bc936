//! The disk by system calls: `pread` for a lone page, `preadv` and `pwritev` for runs, a few threads for batches.
//!
//! It runs wherever io_uring is refused, and holds databases in memory. A batch that is one request runs on the
//! caller. The threads are started by the first batch of more; where they cannot be had, the caller does all.

use std::io;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::disk::page_file::{Caching, PageFile};
use crate::disk::transfer::{runs, runs_mut};
use crate::disk::{Backend, BackendKind, Disk, PageRead, PageWrite};
use crate::format::page::Page;
use crate::format::page_id::PageId;
use crate::sync::Mutex;

/// Requests of a batch that are under way at a time.
const THREADS: usize = 8;

/// A file, read and written by system calls.
#[derive(Debug)]
pub(crate) struct SyscallDisk {
    file: PageFile,
    reason: String,
    /// Started by the first batch that wants them.
    threads: OnceLock<Option<ThreadPool>>,
}

impl SyscallDisk {
    pub(crate) fn new(file: PageFile, reason: String) -> SyscallDisk {
        SyscallDisk { file, reason, threads: OnceLock::new() }
    }

    /// For a file in memory. Copying is no faster by threads, and waking them takes longer than to copy a few pages, so it has none.
    pub(crate) fn in_memory(file: PageFile, reason: String) -> SyscallDisk {
        SyscallDisk { file, reason, threads: OnceLock::from(None) }
    }

    pub(crate) fn file(&self) -> &PageFile {
        &self.file
    }

    /// The threads for batches, if there are any.
    fn threads(&self) -> Option<&ThreadPool> {
        let start = || {
            let builder = ThreadPoolBuilder::new().num_threads(THREADS);
            match builder.thread_name(|index| format!("dynamite-io-{index}")).build() {
                Ok(threads) => Some(threads),
                Err(error) => {
                    tracing::warn!(%error, "no threads for batches of I/O, each caller does its own");
                    None
                }
            }
        };
        self.threads.get_or_init(start).as_ref()
    }

    /// Does `work` for each run, all at a time as far as there are threads. The caller does the first one.
    fn for_each_run<R: Send>(&self, mut runs: impl Iterator<Item = R>, work: impl Fn(R) + Sync) {
        let Some(first) = runs.next() else { return };
        let Some(second) = runs.next() else { return work(first) };
        let rest = std::iter::once(second).chain(runs);
        match self.threads() {
            Some(threads) => threads.in_place_scope(|scope| {
                let work = &work;
                rest.for_each(|run| scope.spawn(move |_| work(run)));
                work(first);
            }),
            None => std::iter::once(first).chain(rest).for_each(work),
        }
    }
}

impl Disk for SyscallDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.file.read_page(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        self.for_each_run(runs_mut(reads, |read| read.id), |run| self.file.read_run(run));
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        let failure = Mutex::new(None);
        self.for_each_run(runs(writes, |write| write.id), |run| {
            if let Err(error) = self.file.write_run(run) {
                failure.lock().get_or_insert(error);
            }
        });
        let failure = failure.lock().take();
        failure.map_or(Ok(()), Err)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.flush()
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.file.byte_len()
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        self.file.grow(page_count)
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.file.write_zeros(first, count)
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        self.file.truncate(page_count)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }

    fn backend(&self) -> Backend {
        let kind = match self.file.caching() {
            Caching::Direct | Caching::Cached => BackendKind::Syscall,
            Caching::Memory => BackendKind::Memory,
        };
        Backend { kind, direct: self.file.caching() == Caching::Direct, reason: self.reason.clone() }
    }
}
