//! Leases of epoch slots, cached by each thread, so that to begin an operation costs a few nanoseconds and no lock.
//!
//! A thread keeps some of the slots that its ended operations left behind, by pool. Operations may nest: each open one has
//! a slot of its own. When the thread ends, its slots go back to their pools; what it kept for a pool that is gone is
//! dropped when the thread first meets another pool.
//!
//! A slot may come from another thread than the one that gives it back: a request of the read-ahead has it from who asks. So
//! what a thread keeps is bounded, and the rest goes back to the pool; else slots would pile up, and each scan of the epochs
//! looks at all of them.

use std::sync::Arc;

use crate::pool::epoch::{Epochs, Slot};

/// A slot leased by the calling thread. It is inactive.
#[inline]
pub(crate) fn lease(epochs: &Arc<Epochs>) -> Arc<Slot> {
    #[cfg(not(loom))]
    if let Some(slot) = cached::take(epochs) {
        return slot;
    }
    epochs.lease()
}

/// Gives back a slot whose operation has left.
#[inline]
pub(crate) fn give_back(epochs: &Arc<Epochs>, slot: Arc<Slot>) {
    #[cfg(not(loom))]
    cached::keep(epochs, slot);
    #[cfg(loom)]
    epochs.give_back(slot);
}

/// The cache. Loom's models go without: their threads lease each slot from the pool.
#[cfg(not(loom))]
mod cached {
    use std::cell::RefCell;
    use std::sync::{Arc, Weak};

    use crate::pool::epoch::{Epochs, Slot};

    /// Slots that a thread keeps for one pool, at the most: more operations are seldom open in one thread.
    const KEPT_MOST: usize = 8;

    thread_local! {
        static KEPT: RefCell<Vec<KeptSlots>> = const { RefCell::new(Vec::new()) };
    }

    /// What this thread keeps for one pool.
    struct KeptSlots {
        /// Weak, so that an idle thread keeps no pool alive. It does keep the address from being used again.
        epochs: Weak<Epochs>,
        slots: Vec<Arc<Slot>>,
    }

    impl KeptSlots {
        #[inline]
        fn belongs_to(&self, epochs: &Arc<Epochs>) -> bool {
            std::ptr::eq(self.epochs.as_ptr(), Arc::as_ptr(epochs))
        }
    }

    impl Drop for KeptSlots {
        fn drop(&mut self) {
            if let Some(epochs) = self.epochs.upgrade() {
                self.slots.drain(..).for_each(|slot| epochs.give_back(slot));
            }
        }
    }

    #[inline]
    pub(super) fn take(epochs: &Arc<Epochs>) -> Option<Arc<Slot>> {
        // An operation that begins while the thread's variables are being destroyed goes without the cache.
        KEPT.try_with(|kept| kept.borrow_mut().iter_mut().find(|kept| kept.belongs_to(epochs))?.slots.pop())
            .ok()
            .flatten()
    }

    #[inline]
    pub(super) fn keep(epochs: &Arc<Epochs>, slot: Arc<Slot>) {
        let mut slot = Some(slot);
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            match kept.iter_mut().find(|kept| kept.belongs_to(epochs)) {
                Some(kept) if kept.slots.len() == KEPT_MOST => {}
                Some(kept) => kept.slots.extend(slot.take()),
                None => start_keeping(&mut kept, epochs, slot.take()),
            }
        });
        if let Some(slot) = slot {
            epochs.give_back(slot);
        }
    }

    #[cold]
    fn start_keeping(kept: &mut Vec<KeptSlots>, epochs: &Arc<Epochs>, slot: Option<Arc<Slot>>) {
        kept.retain(|kept| kept.epochs.strong_count() > 0);
        kept.push(KeptSlots { epochs: Arc::downgrade(epochs), slots: slot.into_iter().collect() });
    }

    /// Pools that this thread keeps slots for.
    #[cfg(test)]
    pub(super) fn pools() -> usize {
        KEPT.with(|kept| kept.borrow().len())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ends_gives_its_slots_back() {
        let epochs = Arc::new(Epochs::new());
        for _ in 0..1000 {
            let epochs = epochs.clone();
            let thread = std::thread::spawn(move || {
                let (outer, inner) = (lease(&epochs), lease(&epochs));
                give_back(&epochs, inner);
                give_back(&epochs, outer);
            });
            thread.join().expect("the thread ends");
        }
        assert_eq!(epochs.slot_count(), 2);
    }

    #[test]
    fn slots_of_pools_that_are_gone_are_dropped() {
        std::thread::spawn(|| {
            for _ in 0..10 {
                let epochs = Arc::new(Epochs::new());
                give_back(&epochs, lease(&epochs));
            }
            assert_eq!(cached::pools(), 1);
        })
        .join()
        .expect("the thread ends");
    }

    #[test]
    fn a_thread_uses_its_slots_again() {
        let epochs = Arc::new(Epochs::new());
        for _ in 0..10 {
            let (outer, inner) = (lease(&epochs), lease(&epochs));
            assert!(!Arc::ptr_eq(&outer, &inner), "two open operations share a slot");
            give_back(&epochs, outer);
            give_back(&epochs, inner);
        }
        assert_eq!(epochs.slot_count(), 2);
    }
}
