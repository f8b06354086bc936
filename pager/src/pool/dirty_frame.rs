//! Dirty frames: pages that the writer makes, from an empty frame to a page that can be read again from disk.
//!
//! ```text
//!  BufferPool::take_frame        publish                 unpin
//! ────────────────────► owned ───────────────► pinned ───────────► clean: evicted when not used
//!                         │                      │
//!                    drop │               forget │
//!                         ▼                      ▼
//!                        free                  limbo
//! ```
//!
//! * [`OwnedFrame`]: its owner writes to it; nobody else can see it.
//! * [`PinnedFrame`]: in the page table, seen by readers, and immutable. Not on disk yet, so it cannot be evicted.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::format::page::Page;
use crate::format::page_id::PagePtr;
use crate::pool::buffer_pool::Shared;
use crate::pool::frames::FrameId;
use crate::pool::operation::Access;
use crate::pool::taken_frame::TakenFrame;
use crate::sync::Ordering;

/// A frame to build a page in. Dropping it gives the frame back.
#[derive(Debug)]
pub struct OwnedFrame {
    frame: TakenFrame<Arc<Shared>>,
}

/// A page that readers can see and that is not on disk yet.
///
/// Dropping it leaves the page where it is, for as long as the pool lives: nothing says that it could be read again. That is
/// what a failed commit needs, whose published pages must stay readable (INV-4).
#[derive(Debug)]
#[must_use = "a page that is neither unpinned nor forgotten keeps its frame for ever"]
pub struct PinnedFrame {
    pool: Arc<Shared>,
    frame: FrameId,
    ptr: PagePtr,
}

impl OwnedFrame {
    pub(crate) fn new(frame: TakenFrame<Arc<Shared>>) -> OwnedFrame {
        frame.pool().dirty.fetch_add(1, Ordering::Relaxed);
        OwnedFrame { frame }
    }

    /// Makes the page visible to readers, as the one that `ptr` leads to. An older page of that id leaves the pool.
    ///
    /// # Panics
    ///
    /// If the page's header does not say what the pointer says.
    pub fn publish(self, ptr: PagePtr) -> PinnedFrame {
        assert_eq!((self.id(), self.birth()), (ptr.id, ptr.birth), "the page belongs elsewhere");
        let inner = self.level() > 0;
        // The frame stays dirty, and so stays in the count.
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither dropped nor used after its field was moved out.
        let taken = unsafe { std::ptr::read(&this.frame) };
        let (pool, frame) = taken.enter();
        let replaced = {
            let mut shard = pool.loads.shard(ptr.id);
            // A load under way has read what this page replaces.
            shard.supersede(ptr.id);
            let replaced = pool.unlink(ptr.id);
            pool.frames.label(frame, ptr.id);
            pool.clock.admit(frame, Access::Point, inner, true);
            pool.table.insert(ptr.id, frame);
            replaced
        };
        if let Some(replaced) = replaced {
            pool.reserve.retire(&pool.epochs, &[replaced]);
        }
        PinnedFrame { pool, frame, ptr }
    }
}

impl PinnedFrame {
    /// The pointer that leads to the page.
    pub fn ptr(&self) -> PagePtr {
        self.ptr
    }

    /// Lets the page be evicted, after it was written to disk.
    pub fn unpin(self) {
        let resident = self.pool.clock.unpin(self.frame);
        if !resident {
            // It was replaced or forgotten while it was pinned.
            self.pool.reserve.retire(&self.pool.epochs, &[self.frame]);
        }
        self.pool.dirty.fetch_sub(1, Ordering::Relaxed);
    }

    /// Removes the page from the pool, since another one has superseded it and nobody can reach it any more who did not
    /// before.
    pub fn forget(self) {
        {
            let _shard = self.pool.loads.shard(self.ptr.id);
            if self.pool.table.find(self.ptr.id) == Some(self.frame) {
                // Pinned, so it is not retired before it is unpinned.
                let _ = self.pool.unlink(self.ptr.id);
            }
        }
        self.unpin();
    }
}

impl Drop for OwnedFrame {
    fn drop(&mut self) {
        self.frame.pool().dirty.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for OwnedFrame {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.frame
    }
}

impl DerefMut for OwnedFrame {
    fn deref_mut(&mut self) -> &mut Page {
        &mut self.frame
    }
}

impl Deref for PinnedFrame {
    type Target = Page;

    fn deref(&self) -> &Page {
        // SAFETY: the frame is pinned until `self` is consumed, so it goes back to the reserve no earlier; and nobody
        // writes to a frame that was published (rule 2 of `frames`).
        unsafe { self.pool.frames.page(self.frame) }
    }
}
