//! A frame that was taken out of the reserve: its taker is alone with it.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use crate::format::page::Page;
use crate::pool::buffer_pool::Shared;
use crate::pool::frames::FrameId;

/// Exclusive access to a frame that is in nobody's reach: not in the page table, not in the reserve. Goes back to the
/// reserve when dropped.
///
/// `P` leads to the pool: a reference for a load, an `Arc` for a frame that its owner takes elsewhere.
#[derive(Debug)]
pub(crate) struct TakenFrame<P: Deref<Target = Shared>> {
    pool: P,
    frame: FrameId,
}

impl<P: Deref<Target = Shared>> TakenFrame<P> {
    /// Takes a frame, if one can be had without waiting.
    pub(crate) fn take(pool: P) -> Result<TakenFrame<P>, P> {
        match pool.reserve.take(&pool.epochs, |hand, wanted| pool.evict(hand, wanted)) {
            Some(frame) => Ok(TakenFrame { pool, frame }),
            None => Err(pool),
        }
    }

    /// Gives up the exclusive access, for a frame that the caller enters into the page table.
    pub(crate) fn enter(self) -> (P, FrameId) {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither dropped nor used after its field was moved out.
        (unsafe { std::ptr::read(&this.pool) }, this.frame)
    }

    /// The pool.
    pub(crate) fn pool(&self) -> &P {
        &self.pool
    }

    /// Which frame it is.
    pub(crate) fn frame(&self) -> FrameId {
        self.frame
    }
}

impl<P: Deref<Target = Shared>> Deref for TakenFrame<P> {
    type Target = Page;

    fn deref(&self) -> &Page {
        // SAFETY: the reserve gave this frame to nobody else, all epochs in which others could have found it have
        // passed (`Reserve::take`), and it is not in the table before `enter` consumes `self` (rule 1 of `frames`).
        unsafe { self.pool.frames.page(self.frame) }
    }
}

impl<P: Deref<Target = Shared>> DerefMut for TakenFrame<P> {
    fn deref_mut(&mut self) -> &mut Page {
        // SAFETY: as for `deref`; and `&mut self` makes this the only reference.
        unsafe { self.pool.frames.page_mut(self.frame) }
    }
}

impl<P: Deref<Target = Shared>> Drop for TakenFrame<P> {
    fn drop(&mut self) {
        self.pool.reserve.put_back(self.frame);
    }
}
