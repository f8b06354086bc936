//! Bare I/O that benchmarks divide by: what the device and the kernel give with nothing of ours in between.
//!
//! Behind the cargo feature `reference`. Shipped paths never ask for it. Nothing here measures time or checks what it
//! read; whoever calls does the former and has no use for the latter. All of it needs a file system with O_DIRECT.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use io_uring::{IoUring, opcode, types};

use crate::disk::page_file::retry_interrupted;
use crate::format::page::{PAGE_SIZE, Page};
use crate::format::page_id::PageId;

/// Bytes of one request of a copy, and how many threads copy: more of either added nothing where it was tried.
const COPY_PIECE: usize = 1 << 20;
const COPY_THREADS: usize = 4;

/// Reads pages by io_uring with `depth` requests in flight, setup included; see [`UringReads`].
pub fn random_reads_uring(path: &Path, ids: &[PageId], depth: usize) -> io::Result<()> {
    UringReads::open(path, depth)?.run(ids)
}

/// Reads pages by `pread`, one after the other, setup included; see [`PreadReads`].
pub fn random_reads_pread(path: &Path, ids: &[PageId]) -> io::Result<()> {
    PreadReads::open(path)?.run(ids)
}

/// A bare io_uring loop of reads of one page each.
pub struct UringReads {
    file: File,
    ring: IoUring,
    /// One per request in flight.
    buffers: Vec<Page>,
    /// The buffers that no request has.
    free: Vec<usize>,
}

impl UringReads {
    /// Opens the file and sets up the ring and its buffers.
    pub fn open(path: &Path, depth: usize) -> io::Result<UringReads> {
        let entries = u32::try_from(depth).map_err(io::Error::other)?;
        Ok(UringReads {
            file: open_direct(OpenOptions::new().read(true), path)?,
            ring: IoUring::builder().dontfork().setup_coop_taskrun().build(entries)?,
            buffers: vec![Page::zeroed(); depth],
            free: (0..depth).collect(),
        })
    }

    /// Reads the pages, in order of submission, as many at a time as the depth says.
    pub fn run(&mut self, ids: &[PageId]) -> io::Result<()> {
        let mut left = ids.iter();
        loop {
            while !self.free.is_empty()
                && let Some(id) = left.next()
            {
                self.push(*id);
            }
            if self.free.len() == self.buffers.len() {
                return Ok(());
            }
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => self.reap()?,
            }
        }
    }

    fn push(&mut self, id: PageId) {
        let index = self.free.pop().expect("the caller has looked");
        let buffer = self.buffers.as_mut_ptr().wrapping_add(index).cast::<u8>();
        let read = opcode::Read::new(types::Fd(self.file.as_raw_fd()), buffer, PAGE_SIZE as u32);
        let entry = read.offset(id.offset()).build().user_data(index as u64);
        // SAFETY: the buffer is no other request's, since its index was in `free`, and nobody else looks at
        // `buffers`, whose memory is kept until `drop` has seen every request completed.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("the queue has an entry for each buffer");
    }

    /// Takes back the buffers of all completed requests, and returns the first failure.
    fn reap(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for completion in self.ring.completion() {
            self.free.push(completion.user_data() as usize);
            if completion.result() != PAGE_SIZE as i32 && outcome.is_ok() {
                outcome = match completion.result() {
                    error @ ..0 => Err(io::Error::from_raw_os_error(-error)),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
        outcome
    }
}

impl Drop for UringReads {
    fn drop(&mut self) {
        // After an error requests may be in flight. Those that the kernel has not taken are forgotten with the ring;
        // if it cannot even be waited for, the buffers are too, as the kernel may still write to them.
        while self.free.len() + self.ring.submission().len() < self.buffers.len() {
            let submitted = self.ring.submit_and_wait(1);
            let _ = self.reap();
            if submitted.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
                std::mem::forget(std::mem::take(&mut self.buffers));
                return;
            }
        }
    }
}

/// Reads one page after the other by `pread`.
pub struct PreadReads {
    file: File,
    buffer: Box<Page>,
}

impl PreadReads {
    /// Opens the file.
    pub fn open(path: &Path) -> io::Result<PreadReads> {
        Ok(PreadReads { file: open_direct(OpenOptions::new().read(true), path)?, buffer: Page::boxed() })
    }

    /// Reads the pages.
    pub fn run(&mut self, ids: &[PageId]) -> io::Result<()> {
        ids.iter().try_for_each(|id| self.file.read_exact_at(self.buffer.bytes_mut(), id.offset()))
    }
}

/// The unit that durable commits are measured in: one write of a page and one flush.
pub struct WriteAndFlush {
    file: File,
    page: Box<Page>,
}

impl WriteAndFlush {
    /// Opens a scratch file of its own, created if missing. Its first page is written once, so that what is measured
    /// afterwards changes no metadata of the file system.
    pub fn open(path: &Path) -> io::Result<WriteAndFlush> {
        let file = open_direct(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)?;
        let mut unit = WriteAndFlush { file, page: Page::boxed() };
        unit.run()?;
        unit.file.sync_all()?;
        Ok(unit)
    }

    /// Writes the page and flushes.
    pub fn run(&mut self) -> io::Result<()> {
        // Another byte each time, lest anything below finds that nothing has changed.
        self.page.bytes_mut()[0] = self.page.bytes()[0].wrapping_add(1);
        self.file.write_all_at(self.page.bytes(), 0)?;
        retry_interrupted(|| self.file.sync_data())
    }
}

/// Copies a file to a new one, whose length must be a multiple of a page: large direct reads and writes by a few threads, then a
/// flush.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let from = open_direct(OpenOptions::new().read(true), from)?;
    let to = open_direct(OpenOptions::new().write(true).create_new(true), to)?;
    let len = from.metadata()?.len();
    let signed = i64::try_from(len).map_err(io::Error::other)?;
    // SAFETY: `fallocate` touches no memory, and `to` keeps the descriptor open.
    if unsafe { libc::fallocate(to.as_raw_fd(), 0, 0, signed) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let next = AtomicU64::new(0);
    let copy_pieces = || {
        let mut buffer = vec![0; COPY_PIECE + PAGE_SIZE];
        let aligned = buffer.as_ptr().align_offset(PAGE_SIZE);
        loop {
            let begin = next.fetch_add(COPY_PIECE as u64, Ordering::Relaxed);
            if begin >= len {
                return Ok(());
            }
            let piece = &mut buffer[aligned..][..COPY_PIECE.min((len - begin) as usize)];
            from.read_exact_at(piece, begin)?;
            to.write_all_at(piece, begin)?;
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..COPY_THREADS).map(|_| scope.spawn(copy_pieces)).collect();
        let died = |_| Err(io::Error::other("a thread has panicked"));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(died))
    })?;
    retry_interrupted(|| to.sync_all())
}

fn open_direct(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(libc::O_DIRECT).open(path)
}
