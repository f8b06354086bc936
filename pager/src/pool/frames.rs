//! Frames: the memory that pages are kept in, one anonymous region of fixed size (INV-5), and which page is in each.
//!
//! The region is aligned to huge pages and asks for them, so that a look into a random page costs fewer misses of
//! the TLB. It is not inherited by forked children ([`crate::pool::fork`]): I/O may be under way into it.
//!
//! # Who may touch the bytes of a frame
//!
//! 1. Whoever took it out of the [`reserve`](crate::pool::reserve) has it alone, and may write ([`TakenFrame`]
//!    (crate::pool::taken_frame::TakenFrame)), until it puts it back or enters it into the page table.
//! 2. From then on nobody writes: pages in the table are immutable. Whoever finds it in the table inside a frame
//!    epoch may read as long as the epoch is held; whoever pinned it may read until it is unpinned.
//! 3. It goes back to the reserve only after it left the table, was unpinned, and all frame epochs since have passed.
//!
//! Under `--cfg loom` each frame is a cell of loom's, which reports two accesses that nothing has ordered.

use std::io;

use crate::format::page::Page;
use crate::format::page_id::PageId;
use crate::sync::{AtomicU32, Ordering};

use region::Region;

/// The number of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FrameId(pub(crate) u32);

/// All frames. The number of them never changes.
#[derive(Debug)]
pub(crate) struct Frames {
    region: Region,
    /// The page in each frame, for eviction. (Its birth is looked up in the page: whoever finds a page reads its header.)
    page_ids: Box<[AtomicU32]>,
}

impl Frames {
    pub(crate) fn new(count: usize) -> io::Result<Frames> {
        Ok(Frames { region: Region::map(count)?, page_ids: (0..count).map(|_| AtomicU32::new(0)).collect() })
    }

    /// How many frames there are.
    pub(crate) fn count(&self) -> usize {
        self.page_ids.len()
    }

    /// The page in a frame. Certain only under the lock of that page's shard.
    pub(crate) fn page_id(&self, frame: FrameId) -> PageId {
        // Relaxed, here and below: whoever finds the frame clean has acquired what was stored before (`Clock::admit`).
        PageId(self.page_ids[frame.0 as usize].load(Ordering::Relaxed))
    }

    /// Says what is in a frame that is about to enter the page table.
    pub(crate) fn label(&self, frame: FrameId, id: PageId) {
        self.page_ids[frame.0 as usize].store(id.0, Ordering::Relaxed);
    }

    /// The bytes of a frame, to read.
    ///
    /// # Safety
    ///
    /// Rule 1 or rule 2 of the module documentation lets the caller read the frame for as long as the reference
    /// lives.
    #[inline]
    pub(crate) unsafe fn page(&self, frame: FrameId) -> &Page {
        // SAFETY: the pointer is aligned, inside the region, and leads to initialised bytes, since anonymous memory
        // begins as zeros. Nobody writes to them: the caller vouches for that.
        unsafe { &*self.region.page(frame) }
    }

    /// The bytes of a frame, to write.
    ///
    /// # Safety
    ///
    /// The caller has taken the frame (rule 1 of the module documentation), and holds no other reference to it for
    /// as long as this one lives.
    #[allow(clippy::mut_from_ref)] // The frames are cells; the caller vouches for being alone.
    pub(crate) unsafe fn page_mut(&self, frame: FrameId) -> &mut Page {
        // SAFETY: aligned, inside the region, initialised, as above. The caller is alone with the frame.
        unsafe { &mut *self.region.page_mut(frame) }
    }

    /// Whether this process inherited the frames through `fork`. It has none of the memory then.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.region.forked()
    }
}

#[cfg(not(loom))]
mod region {
    use std::io;
    use std::ptr::NonNull;

    use super::FrameId;
    use crate::format::page::{PAGE_SIZE, Page};
    use crate::pool::fork::ForkDetector;

    const HUGE_PAGE: usize = 2 << 20;

    /// Anonymous memory for `count` pages.
    #[derive(Debug)]
    pub(super) struct Region {
        first: NonNull<Page>,
        count: usize,
        mapping: NonNull<libc::c_void>,
        mapping_len: usize,
        fork: ForkDetector,
    }

    // SAFETY: the region is plain memory that belongs to this value and to no thread. Access to the pages in it is
    // ordered by those who call `Frames::page` and `Frames::page_mut`.
    unsafe impl Send for Region {}
    // SAFETY: as above; a shared `Region` only gives out pointers.
    unsafe impl Sync for Region {}

    impl Region {
        pub(super) fn map(count: usize) -> io::Result<Region> {
            let fork = ForkDetector::new()?;
            // Room to begin at a multiple of the huge page size. What is left out is never touched: it costs nothing.
            let mapping_len = count
                .checked_mul(PAGE_SIZE)
                .and_then(|len| len.checked_add(HUGE_PAGE))
                .ok_or(io::ErrorKind::OutOfMemory)?;
            // SAFETY: an anonymous mapping at an address of the kernel's choice disturbs no other memory.
            let mapping = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    mapping_len,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                    -1,
                    0,
                )
            };
            if mapping == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            for advice in [libc::MADV_HUGEPAGE, libc::MADV_DONTFORK] {
                // A kernel that refuses the advice serves small pages, or copies the region on fork: slower, no less
                // correct. So the result does not matter.
                //
                // SAFETY: the range is the mapping of above, and neither advice changes what is in it.
                let _ = unsafe { libc::madvise(mapping, mapping_len, advice) };
            }
            let mapping = NonNull::new(mapping).ok_or(io::ErrorKind::OutOfMemory)?;
            let padding = mapping.as_ptr().align_offset(HUGE_PAGE);
            // SAFETY: `padding` is less than HUGE_PAGE, by which the mapping is longer than the frames.
            let first = unsafe { mapping.byte_add(padding) }.cast();
            Ok(Region { first, count, mapping, mapping_len, fork })
        }

        #[inline]
        pub(super) fn page(&self, frame: FrameId) -> *const Page {
            self.page_mut(frame)
        }

        #[inline]
        pub(super) fn page_mut(&self, frame: FrameId) -> *mut Page {
            debug_assert!((frame.0 as usize) < self.count, "frame {} of {}", frame.0, self.count);
            // SAFETY: frame numbers come from the reserve, which gives out those below `count` only, and the mapping
            // holds `count` pages from `first` on.
            unsafe { self.first.as_ptr().add(frame.0 as usize) }
        }

        /// Whether this is a child of the process that mapped the region.
        #[inline]
        pub(super) fn forked(&self) -> bool {
            self.fork.forked()
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // A forked child has no such mapping, and may have another one at its address.
            if !self.forked() {
                // SAFETY: the mapping is the one that `map` made, and nobody can refer to it any more: references to
                // pages borrow from `Frames`.
                let _ = unsafe { libc::munmap(self.mapping.as_ptr(), self.mapping_len) };
            }
        }
    }
}

/// The cells of the models, with the face of the region.
#[cfg(loom)]
mod region {
    use std::io;

    use loom::cell::UnsafeCell;

    use super::FrameId;
    use crate::format::page::Page;

    #[derive(Debug)]
    pub(super) struct Region(Box<[UnsafeCell<Page>]>);

    // SAFETY: loom checks each access that goes through the cells.
    unsafe impl Sync for Region {}

    impl Region {
        pub(super) fn map(count: usize) -> io::Result<Region> {
            Ok(Region((0..count).map(|_| UnsafeCell::new(Page::zeroed())).collect()))
        }

        /// Notes an access that reads.
        #[track_caller]
        pub(super) fn page(&self, frame: FrameId) -> *const Page {
            self.0[frame.0 as usize].with(|page| page)
        }

        /// Notes an access that writes.
        #[track_caller]
        pub(super) fn page_mut(&self, frame: FrameId) -> *mut Page {
            self.0[frame.0 as usize].with_mut(|page| page)
        }

        pub(super) fn forked(&self) -> bool {
            false
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn frames_are_apart_and_aligned_to_huge_pages() {
        let frames = Frames::new(300).expect("memory");
        for frame in (0..300).map(FrameId) {
            // SAFETY: nobody else uses these frames.
            let page = unsafe { frames.page_mut(frame) };
            page.bytes_mut().fill(frame.0 as u8);
        }
        for frame in (0..300).map(FrameId) {
            // SAFETY: nobody else uses these frames.
            let page = unsafe { frames.page(frame) };
            assert!(page.bytes().iter().all(|byte| *byte == frame.0 as u8), "{frame:?}");
            assert_eq!(std::ptr::from_ref(page).addr() % (2 << 20), (frame.0 as usize * 4096) % (2 << 20));
        }
    }

    #[test]
    fn more_memory_than_there_can_be_is_an_error() {
        assert!(Frames::new(1 << 40).is_err());
    }
}
