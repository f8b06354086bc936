//! Epochs: what says when something that was unlinked can be seen by nobody any more.
//!
//! Two things are taken away from under readers that hold neither pin nor latch: *page ids*, which a commit frees
//! and a later commit gives out again (INV-2), and *frames*, which eviction empties and a later miss fills. Both
//! wait in limbo until every operation that might still look at them has ended. So each operation announces two
//! epochs in a [`Slot`] of its own:
//!
//! * the **operation epoch**, held from beginning to end, keeps the page ids it may meet from being given out;
//! * the **frame epoch** keeps every frame in which it found a page. It is left before any wait and entered again
//!   afterwards, when pages are looked up anew: waiting for a frame inside a frame epoch would be a deadlock.
//!
//! # Protocol
//!
//! 1. A reader *enters*: it copies the global epoch into its slot, `fence(SeqCst)`, and only then follows links (a
//!    root, the page table).
//! 2. Whoever takes something away unlinks it first and then calls [`Epochs::advance`]: `fence(SeqCst)`, global
//!    epoch + 1. The new value is the tag of what was unlinked.
//! 3. What bears tag `t` may be used again once no active slot holds an epoch below `t`.
//! 4. A reader *leaves*: it stores "inactive" into its slot (release; the scan's load of it is an acquire), so that
//!    all its reads come before whatever is done to the thing that it let go of.
//!
//! # Why a slot that the scan misses is harmless
//!
//! Let F1 be the fence of step 1 and F2 that of step 2. The `SeqCst` fences have one order.
//!
//! * F1 before F2: the scan comes after F2 and therefore sees the reader's store, or a later one of the same slot. If
//!   the epoch in it is at least `t`, the reader copied a value that `advance` had stored, so F2 came before F1: a
//!   contradiction. So the epoch is below `t` and the scan refuses, until the reader leaves.
//! * F2 before F1: the scan may miss the slot, or find an epoch of `t` or above in it. But then everything that the
//!   reader follows after F1 it finds as it was after the unlinking, and it never meets the thing.
//!
//! A reader that copies an outdated global epoch only holds things back longer. A slot that is created after the scan
//! is taken under the mutex that the scan held, so its reader comes after the unlinking altogether.

use std::sync::Arc;

use crate::sync::{AtomicU64, Mutex, Ordering, fence};

/// A moment in the order of retirements. What bears a tag may be used again when its epoch has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// The value of a slot that nobody is in.
const INACTIVE: u64 = 0;

/// The global epoch and all slots.
#[derive(Debug)]
pub struct Epochs {
    current: OwnLines<AtomicU64>,
    slots: Mutex<Slots>,
}

/// All slots that were ever needed at a time, and those of them that nobody has leased. A scan walks over `all`.
#[derive(Debug, Default)]
struct Slots {
    all: Vec<Arc<Slot>>,
    free: Vec<Arc<Slot>>,
}

/// Keeps a value off the cache lines of its neighbours. (Two lines: they are fetched in pairs.)
#[derive(Debug, Default)]
#[repr(align(128))]
struct OwnLines<T>(T);

/// Where one operation announces its epochs. Only the operation that leased it writes to it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Slot {
    operation: AtomicU64,
    frames: AtomicU64,
    hits: AtomicU64,
}

impl Epochs {
    pub(crate) fn new() -> Epochs {
        Epochs { current: OwnLines(AtomicU64::new(INACTIVE + 1)), slots: Mutex::default() }
    }

    /// Ends the current epoch, after something was unlinked, and returns the tag for it.
    pub fn advance(&self) -> Epoch {
        // F2 of the argument above.
        fence(Ordering::SeqCst);
        Epoch(self.current.0.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// Whether every operation that was under way when `tag` was made has ended, read-aheads included.
    pub fn operations_passed(&self, tag: Epoch) -> bool {
        self.oldest(|slot| &slot.operation) >= tag
    }

    /// The oldest frame epoch that is held. Frames whose tag is not above it may be filled again.
    pub(crate) fn oldest_frames(&self) -> Epoch {
        self.oldest(|slot| &slot.frames)
    }

    fn oldest(&self, epoch: impl Fn(&Slot) -> &AtomicU64) -> Epoch {
        let slots = self.slots.lock();
        let held = slots.all.iter().map(|slot| epoch(slot).load(Ordering::Acquire));
        Epoch(held.filter(|epoch| *epoch != INACTIVE).min().unwrap_or(u64::MAX))
    }

    /// The global epoch, as a hint: whoever holds this one as its frame epoch holds back nothing retired so far.
    #[inline]
    pub(crate) fn hint(&self) -> Epoch {
        Epoch(self.current.0.load(Ordering::Relaxed))
    }

    /// A slot for one operation. It is inactive.
    pub(crate) fn lease(&self) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        slots.free.pop().unwrap_or_else(|| {
            let slot = Arc::<Slot>::default();
            slots.all.push(slot.clone());
            slot
        })
    }

    /// Takes back a slot, whose operation has left.
    pub(crate) fn give_back(&self, slot: Arc<Slot>) {
        debug_assert_eq!(slot.operation.load(Ordering::Relaxed), INACTIVE);
        self.slots.lock().free.push(slot);
    }

    /// Leases a slot that holds the operation epoch of `heir_of`, for work that outlives that operation. Its frame
    /// epoch is not entered.
    ///
    /// The epoch is handed over under the lock of the scan. Else a scan could pass the new slot before the epoch was
    /// in it, and the old slot after its operation left, and see neither.
    pub(crate) fn lease_heir(&self, heir_of: &Slot) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        let slot = slots.free.pop().unwrap_or_else(|| {
            let slot = Arc::<Slot>::default();
            slots.all.push(slot.clone());
            slot
        });
        slot.operation.store(heir_of.operation.load(Ordering::Relaxed), Ordering::Release);
        slot
    }

    /// Enters both epochs.
    #[inline]
    pub(crate) fn enter(&self, slot: &Slot) -> Epoch {
        let epoch = self.hint();
        slot.operation.store(epoch.0, Ordering::Release);
        self.store_frames(slot, epoch);
        epoch
    }

    /// Enters the frame epoch, or moves it forward. Whatever was found before may be gone after this call.
    #[inline]
    pub(crate) fn enter_frames(&self, slot: &Slot) -> Epoch {
        let epoch = self.hint();
        self.store_frames(slot, epoch);
        epoch
    }

    #[inline]
    fn store_frames(&self, slot: &Slot, epoch: Epoch) {
        // Release, since this may end an earlier frame epoch of the same slot (step 4).
        slot.frames.store(epoch.0, Ordering::Release);
        // F1 of the argument above.
        fence(Ordering::SeqCst);
    }

    /// Pages found in the pool, by all operations so far.
    pub(crate) fn hits(&self) -> u64 {
        self.slots.lock().all.iter().map(|slot| slot.hits.load(Ordering::Relaxed)).sum()
    }

    /// Slots that were ever needed at a time.
    #[cfg(test)]
    pub(crate) fn slot_count(&self) -> usize {
        self.slots.lock().all.len()
    }
}

impl Slot {
    /// Leaves the frame epoch: every frame found so far may be filled with another page.
    #[inline]
    pub(crate) fn leave_frames(&self) {
        self.frames.store(INACTIVE, Ordering::Release);
    }

    /// Leaves both epochs.
    #[inline]
    pub(crate) fn leave(&self) {
        self.frames.store(INACTIVE, Ordering::Release);
        self.operation.store(INACTIVE, Ordering::Release);
    }

    /// Counts a hit. Only the operation that leased the slot calls this, so load and store need not be one step.
    #[inline]
    pub(crate) fn count_hit(&self) {
        self.hits.store(self.hits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_tag_passes_when_the_operations_before_it_have_left() {
        let epochs = Epochs::new();
        let (before, after) = (epochs.lease(), epochs.lease());
        epochs.enter(&before);
        let tag = epochs.advance();
        assert!(!epochs.operations_passed(tag));
        epochs.enter(&after);
        assert!(!epochs.operations_passed(tag));
        before.leave();
        assert!(epochs.operations_passed(tag), "an operation that came later holds nothing back");
    }

    #[test]
    fn the_frame_epoch_is_left_alone() {
        let epochs = Epochs::new();
        let slot = epochs.lease();
        epochs.enter(&slot);
        let tag = epochs.advance();
        assert!(epochs.oldest_frames() < tag);
        slot.leave_frames();
        assert!(epochs.oldest_frames() >= tag);
        assert!(!epochs.operations_passed(tag), "the operation is still under way");
        epochs.enter_frames(&slot);
        assert!(epochs.oldest_frames() >= tag);
    }

    #[test]
    fn an_heir_holds_what_its_ancestor_held() {
        let epochs = Epochs::new();
        let ancestor = epochs.lease();
        epochs.enter(&ancestor);
        let tag = epochs.advance();
        let heir = epochs.lease_heir(&ancestor);
        ancestor.leave();
        assert!(
            !epochs.operations_passed(tag),
            "the heir counts from its ancestor's epoch, not from its own"
        );
        assert!(epochs.oldest_frames() >= tag, "the heir holds no frames");
        heir.leave();
        assert!(epochs.operations_passed(tag));
    }

    #[test]
    fn slots_are_used_again() {
        let epochs = Epochs::new();
        for _ in 0..100 {
            let slot = epochs.lease();
            slot.count_hit();
            epochs.give_back(slot);
        }
        assert_eq!((epochs.slot_count(), epochs.hits()), (1, 100));
    }
}
