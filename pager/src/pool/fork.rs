//! Tells a process from its forked children, so that a child's use of an inherited handle is an error instead of a
//! crash: the frames are not inherited, and neither are the threads nor the state of any I/O.
//!
//! One page of memory that the kernel wipes in the child holds a 1 in the parent. Looking costs one load, where
//! asking for the process id is a system call.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::format::page::PAGE_SIZE;

/// Remembers the process that made it.
#[derive(Debug)]
pub(crate) enum ForkDetector {
    /// Memory that is 0 in a child.
    WipedPage(NonNull<AtomicU8>),
    /// Where the kernel does not wipe memory on fork: the process's id.
    ProcessId(u32),
}

// SAFETY: the memory is not bound to a thread, and its only access is an atomic load.
unsafe impl Send for ForkDetector {}
// SAFETY: as above.
unsafe impl Sync for ForkDetector {}

impl ForkDetector {
    pub(crate) fn new() -> io::Result<ForkDetector> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice disturbs no other memory.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range is the mapping of above, which nothing refers to yet.
        let advised = unsafe { libc::madvise(page, PAGE_SIZE, libc::MADV_WIPEONFORK) };
        if advised != 0 {
            // SAFETY: as above.
            let _ = unsafe { libc::munmap(page, PAGE_SIZE) };
            return Ok(ForkDetector::ProcessId(std::process::id()));
        }
        let flag = NonNull::new(page).ok_or(io::ErrorKind::OutOfMemory)?.cast::<AtomicU8>();
        // SAFETY: the mapping is readable, writable, zeroed and lives until `drop`; an `AtomicU8` fits anywhere.
        unsafe { flag.as_ref() }.store(1, Ordering::Relaxed);
        Ok(ForkDetector::WipedPage(flag))
    }

    /// Whether this process is not the one that made the detector.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        match self {
            // SAFETY: the mapping lives until `drop`, in a child too.
            ForkDetector::WipedPage(flag) => unsafe { flag.as_ref() }.load(Ordering::Relaxed) == 0,
            ForkDetector::ProcessId(id) => std::process::id() != *id,
        }
    }
}

impl Drop for ForkDetector {
    fn drop(&mut self) {
        if let ForkDetector::WipedPage(flag) = self {
            // SAFETY: the mapping is the one that `new` made (a child has its own copy), and the only reference to it
            // ends here.
            let _ = unsafe { libc::munmap(flag.as_ptr().cast(), PAGE_SIZE) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forks, and returns what the child found.
    fn in_child(look: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child only loads, compares and exits: no locks, no allocation.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let found = look();
            // SAFETY: ends the child at once, without the parent's destructors and buffers.
            unsafe { libc::_exit(i32::from(found)) }
        }
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(waited, child);
        assert!(libc::WIFEXITED(status), "the child ended with status {status:#x}");
        libc::WEXITSTATUS(status) == 1
    }

    #[test]
    fn a_child_knows_that_it_is_one() {
        for detector in [ForkDetector::new().expect("memory"), ForkDetector::ProcessId(std::process::id())] {
            assert!(!detector.forked());
            assert!(in_child(|| detector.forked()), "{detector:?} in the child");
            assert!(!detector.forked());
        }
    }
}
