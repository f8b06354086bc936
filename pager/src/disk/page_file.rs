//! The file below the real disks: whole pages in and out, whatever the system calls return.
//!
//! What both backends share stands here once: exact reads and writes, growth, flushes. A call that a signal
//! interrupted is made again; a short one is continued (see [`crate::disk::transfer`]). A flush that failed is never made
//! again (INV-4): the kernel may have marked the pages clean, so a second one would "succeed" with the data lost.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use crate::disk::transfer::Progress;
use crate::disk::{PageRead, PageWrite};
use crate::format::page::{PAGE_SIZE, Page};
use crate::format::page_id::PageId;
use crate::sync::Mutex;

/// Offsets of 32-bit systems would not reach the pages above 2 GiB.
const _: () = assert!(size_of::<libc::off_t>() == 8);

/// What growth and preparation write.
static ZEROS: Page = Page::zeroed();

/// Pages of zeros in one request: 1 MiB.
const ZERO_PAGES_MAX: usize = 256;

/// What stands between the file and its medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Nothing: O_DIRECT.
    Direct,
    /// The kernel's page cache.
    Cached,
    /// The page cache is the medium: anonymous memory.
    Memory,
}

/// An open file of pages.
#[derive(Debug)]
pub(crate) struct PageFile {
    file: File,
    caching: Caching,
    /// Held while the length changes, so that a failed growth can be taken back.
    length: Mutex<()>,
}

impl PageFile {
    pub(crate) fn new(file: File, caching: Caching) -> PageFile {
        PageFile { file, caching, length: Mutex::new(()) }
    }

    pub(crate) fn caching(&self) -> Caching {
        self.caching
    }

    pub(crate) fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        let mut progress = Progress::default();
        while progress.pages == 0 {
            let bytes = retry_interrupted(|| self.file.read_at(page.bytes_mut(), id.offset()))?;
            if !progress.advance(bytes) {
                return Err(self.short_read(id));
            }
        }
        Ok(())
    }

    /// Reads pages that follow one another in the file.
    pub(crate) fn read_run(&self, run: &mut [PageRead<'_>]) {
        let mut progress = Progress::default();
        if let [first, _, ..] = run {
            let first = first.id;
            let mut slices: Vec<_> =
                run.iter_mut().map(|read| IoSliceMut::new(read.page.bytes_mut())).collect();
            while progress.pages < slices.len() {
                let offset = first.offset() + (progress.pages * PAGE_SIZE) as u64;
                match self.preadv(&mut slices[progress.pages..], offset) {
                    Ok(bytes) if progress.advance(bytes) => {}
                    // One bad page fails a request for many.
                    Ok(_) | Err(_) => break,
                }
            }
        }
        self.read_singly(&mut run[progress.pages..]);
    }

    /// Reads pages one by one, so that each gets a result of its own.
    pub(crate) fn read_singly(&self, reads: &mut [PageRead<'_>]) {
        for read in reads {
            read.result = self.read_page(read.id, read.page);
        }
    }

    /// Writes pages that follow one another in the file.
    pub(crate) fn write_run(&self, run: &[PageWrite<'_>]) -> io::Result<()> {
        match run {
            [] => Ok(()),
            [first, ..] => {
                let slices: Vec<_> = run.iter().map(|write| IoSlice::new(write.page.bytes())).collect();
                self.write_slices(first.id.offset(), &slices)
            }
        }
    }

    /// Writes slices of one page each.
    fn write_slices(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut progress = Progress::default();
        while progress.pages < slices.len() {
            let bytes =
                self.pwritev(&slices[progress.pages..], offset + (progress.pages * PAGE_SIZE) as u64)?;
            if !progress.advance(bytes) {
                return Err(io::Error::new(
                    io::ErrorKind::WriteZero,
                    "the device took only a part of a page",
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        match self.caching {
            Caching::Direct | Caching::Cached => retry_interrupted(|| self.file.sync_data()),
            Caching::Memory => Ok(()),
        }
    }

    pub(crate) fn byte_len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn page_count(&self) -> io::Result<u64> {
        Ok(self.byte_len()? / PAGE_SIZE as u64)
    }

    pub(crate) fn grow(&self, page_count: u64) -> io::Result<()> {
        let _length = self.length.lock();
        let old_pages = self.page_count()?;
        if page_count <= old_pages {
            return Ok(());
        }
        if self.file.metadata()?.len() % PAGE_SIZE as u64 != 0 {
            // What is left of a page behind the last whole one must not show in the new page.
            self.set_page_count(old_pages)?;
        }
        let grown = match self.reserve(old_pages, page_count) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                self.write_zero_pages(old_pages, page_count - old_pages)
            }
            other => other,
        };
        if grown.is_err() {
            // Gives back what was had before space ran out. The growth has failed in any case.
            let _ = self.set_page_count(old_pages);
        }
        grown
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        let (offset, len) = (file_offset(from)?, file_offset(to - from)?);
        retry_interrupted(|| {
            // SAFETY: `fallocate` touches no memory of ours, and `self.file` keeps the descriptor open.
            match unsafe { libc::fallocate(self.raw_fd(), 0, offset, len) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })
    }

    pub(crate) fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.write_zero_pages(u64::from(first.0), u64::from(count))
    }

    fn write_zero_pages(&self, first: u64, count: u64) -> io::Result<()> {
        let slices = [IoSlice::new(ZEROS.bytes()); ZERO_PAGES_MAX];
        let mut written = 0;
        while written < count {
            let pages = (count - written).min(ZERO_PAGES_MAX as u64);
            self.write_slices(file_offset(first + written)? as u64, &slices[..pages as usize])?;
            written += pages;
        }
        Ok(())
    }

    pub(crate) fn truncate(&self, page_count: u64) -> io::Result<()> {
        let _length = self.length.lock();
        if page_count < self.page_count()? { self.set_page_count(page_count) } else { Ok(()) }
    }

    fn set_page_count(&self, page_count: u64) -> io::Result<()> {
        retry_interrupted(|| self.file.set_len(file_offset(page_count)? as u64))
    }

    pub(crate) fn drop_cache(&self) -> io::Result<()> {
        if self.caching != Caching::Cached {
            return Ok(());
        }
        // SAFETY: `posix_fadvise` touches no memory of ours, and `self.file` keeps the descriptor open.
        match unsafe { libc::posix_fadvise(self.raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    fn preadv(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        retry_interrupted(|| {
            // SAFETY: `IoSliceMut` is documented to have the layout of `iovec`. The slices are borrowed exclusively,
            // each for the bytes that it names, until the call returns, and the kernel keeps no pointer beyond that.
            let bytes = unsafe {
                libc::preadv(
                    self.raw_fd(),
                    slices.as_mut_ptr().cast(),
                    slices.len() as i32,
                    offset as libc::off_t,
                )
            };
            usize::try_from(bytes).map_err(|_| io::Error::last_os_error())
        })
    }

    fn pwritev(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        retry_interrupted(|| {
            // SAFETY: `IoSlice` is documented to have the layout of `iovec`. The slices are borrowed, each for the
            // bytes that it names, until the call returns, and the kernel only reads them.
            let bytes = unsafe {
                libc::pwritev(
                    self.raw_fd(),
                    slices.as_ptr().cast(),
                    slices.len() as i32,
                    offset as libc::off_t,
                )
            };
            usize::try_from(bytes).map_err(|_| io::Error::last_os_error())
        })
    }

    /// Tells the end of the file from a device that stops within a page.
    #[cold]
    fn short_read(&self, id: PageId) -> io::Error {
        match self.page_count() {
            Ok(page_count) if u64::from(id.0) < page_count => {
                io::Error::other("the device returned only a part of the page")
            }
            Ok(_) => io::Error::new(io::ErrorKind::UnexpectedEof, "the page lies beyond the end of the file"),
            Err(error) => error,
        }
    }
}

/// The byte offset of a page that may lie beyond the address space of the file system.
fn file_offset(page: u64) -> io::Result<libc::off_t> {
    let offset = page.checked_mul(PAGE_SIZE as u64).and_then(|offset| libc::off_t::try_from(offset).ok());
    offset.ok_or_else(|| io::Error::from_raw_os_error(libc::EFBIG))
}

/// Makes a call again for as long as signals interrupt it.
pub(crate) fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_call_is_made_again_and_a_failed_one_is_not() {
        let mut answers = vec![
            Err(io::ErrorKind::Other),
            Ok(3),
            Err(io::ErrorKind::Interrupted),
            Err(io::ErrorKind::Interrupted),
        ];
        let mut call = || answers.pop().expect("nobody asks further").map_err(io::Error::from);
        assert_eq!(retry_interrupted(&mut call).ok(), Some(3));
        assert_eq!(retry_interrupted(&mut call).map_err(|error| error.kind()), Err(io::ErrorKind::Other));
    }
}
