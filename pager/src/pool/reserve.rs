//! The reserve: frames that are free, and the limbo of frames that will be when their epoch has passed.
//!
//! # The life of a frame
//!
//! 1. *Free*, in the reserve.
//! 2. *Taken* ([`Reserve::take`]): its taker is alone with it, and fills it.
//! 3. *Resident*: entered into the page table, found and read by anybody.
//! 4. *In limbo* ([`Reserve::retire`]): taken out of the table, with a tag; readers that found it before may still be
//!    reading.
//! 5. Free again, when all frame epochs older than the tag have been left ([`crate::pool::epoch`]).
//!
//! A few frames are kept free, or on the way there, so that a miss seldom waits for an eviction. The order of
//! locks is: reserve, then the shard of a page; reserve, then the epoch slots.

use std::collections::VecDeque;

use crate::pool::clock::Hand;
use crate::pool::epoch::{Epoch, Epochs};
use crate::pool::frames::FrameId;
use crate::sync::{Mutex, MutexGuard};

/// Free frames, limbo, and the hand of the clock.
#[derive(Debug)]
pub(crate) struct Reserve {
    state: Mutex<State>,
    /// How many frames are to be free or in limbo.
    target: usize,
}

#[derive(Debug)]
struct State {
    free: Vec<FrameId>,
    limbo: VecDeque<(Epoch, FrameId)>,
    /// How many frames in limbo are reason enough to look whether some are free again, even while others are: frames
    /// that were used lately are in the processor's caches, and those that never were cost a page fault each.
    reclaim_at: usize,
    hand: Hand,
}

/// How much the limbo grows from one look at it to the next.
const RECLAIM_STEP: usize = 32;

/// Frames at the most that are kept in reserve.
const TARGET_MAX: usize = 64;

impl Reserve {
    /// All of `frames` frames, free.
    pub(crate) fn new(frames: usize) -> Reserve {
        let state = State {
            // From the back, so that the region is used from its beginning.
            free: (0..frames as u32).rev().map(FrameId).collect(),
            limbo: VecDeque::new(),
            reclaim_at: RECLAIM_STEP,
            hand: Hand::new(),
        };
        Reserve { state: Mutex::new(state), target: (frames / 64).clamp(1, TARGET_MAX) }
    }

    /// Takes a frame out of the reserve, if one can be had without waiting.
    ///
    /// `evict` is called when the reserve has run low: it turns the hand until so many pages were taken out of the
    /// page table, and returns their frames.
    pub(crate) fn take(
        &self,
        epochs: &Epochs,
        evict: impl FnOnce(&mut Hand, usize) -> Vec<FrameId>,
    ) -> Option<FrameId> {
        let mut state = self.state.lock();
        if state.free.len() + state.limbo.len() <= self.target {
            let evicted = evict(&mut state.hand, self.target);
            state.retire(epochs, &evicted);
        }
        if state.free.is_empty() || state.limbo.len() >= state.reclaim_at {
            state.reclaim(epochs);
        }
        state.free.pop()
    }

    /// Sees to it that so many frames more than usual will be free when the present frame epochs have passed, as far as there
    /// are pages to evict. `evict` is as in [`take`](Reserve::take).
    pub(crate) fn stock(
        &self,
        wanted: usize,
        epochs: &Epochs,
        evict: impl FnOnce(&mut Hand, usize) -> Vec<FrameId>,
    ) {
        let mut state = self.lock();
        let missing = (self.target + wanted).saturating_sub(state.free.len() + state.limbo.len());
        if missing > 0 {
            let evicted = evict(&mut state.hand, missing);
            state.retire(epochs, &evicted);
        }
    }

    /// Puts back a frame that nobody else has seen since it was taken.
    pub(crate) fn put_back(&self, frame: FrameId) {
        self.lock().free.push(frame);
    }

    /// Puts frames that were taken out of the page table into limbo.
    pub(crate) fn retire(&self, epochs: &Epochs, frames: &[FrameId]) {
        self.lock().retire(epochs, frames);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Frames that are free, and in limbo.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.free.len(), state.limbo.len())
    }
}

impl State {
    fn retire(&mut self, epochs: &Epochs, frames: &[FrameId]) {
        if !frames.is_empty() {
            // One tag for all: each of them was unlinked before.
            let tag = epochs.advance();
            self.limbo.extend(frames.iter().map(|frame| (tag, *frame)));
        }
    }

    /// Frees what has waited long enough. Tags ascend, since they are made under the lock.
    fn reclaim(&mut self, epochs: &Epochs) {
        if self.limbo.is_empty() {
            return;
        }
        let oldest = epochs.oldest_frames();
        while let Some((_, frame)) = self.limbo.pop_front_if(|(tag, _)| *tag <= oldest) {
            self.free.push(frame);
        }
        self.reclaim_at = self.limbo.len() + RECLAIM_STEP;
    }
}
