//! The clock: which pages have been useful lately, and which ones go when room is needed.
//!
//! Each frame has a mark of one byte. A hand goes round the frames, decrements the counters in the marks, and evicts
//! the pages that it finds at 0.
//!
//! ```text
//! bits  field    meaning
//! ----  -------  ---------------------------------------------------------------------------
//! 0..3  counter  how many times the hand will spare the page
//! 3     inner    the page is above the leaves: it may climb higher
//! 4..6  state    see below
//! 6     full     the counter is at the page's ceiling: a hit has nothing to do
//! ```
//!
//! Pages that a scan brings in begin at 0, and scans never raise a counter. (That goes for inner pages too, though inner
//! pages are more useful: a scan long enough brings in as many of them as there are frames.) Pages that were asked for
//! one by one begin in the middle, inner pages high. A hit raises the counter up to the page's ceiling, and writes only while it
//! is below, so the mark of a hot page is a cache line that is only read.
//!
//! The hand decrements only in rounds that follow a lean one (less than an eighth of the frames evicted). While a scan
//! floods the pool, its own pages are enough to evict, and whatever is hot keeps its counters, however long the scan.
//!
//! # States of a frame
//!
//! ```text
//!               admit(pinned: false)
//!   detached ─────────────────────────► clean
//!    ▲  ▲  │                           ▲  │ │
//!    │  │  │ admit(pinned: true)  unpin│  │ │ evict, detach
//!    │  │  └─────────────────────► pinned │ └──────────────► detached
//!    │  │              detach │           │
//!    │  └──────────────────── unlinked ◄──┘
//!    │           unpin
//! ```
//!
//! *Detached*: not in the page table (free, in limbo, being filled). *Clean*: in the table, may be evicted. *Pinned*:
//! in the table, dirty, the hand passes over it. *Unlinked*: no longer in the table, but still somebody's pinned frame.
//! All transitions but `unpin` happen under the lock of the page's shard.

use crate::pool::frames::FrameId;
use crate::pool::operation::Access;
use crate::sync::{AtomicU8, Ordering};

const COUNTER: u8 = 0b0000_0111;
const INNER: u8 = 0b0000_1000;
const STATE: u8 = 0b0011_0000;
const DETACHED: u8 = 0b0000_0000;
const CLEAN: u8 = 0b0001_0000;
const PINNED: u8 = 0b0010_0000;
const UNLINKED: u8 = 0b0011_0000;
const FULL: u8 = 0b0100_0000;

const SCANNED: u8 = 0;
const POINT_MISS: u8 = 2;
const LEAF_CEILING: u8 = 4;
const INNER_CEILING: u8 = COUNTER;

/// The marks of all frames.
#[derive(Debug)]
pub(crate) struct Clock {
    marks: Box<[AtomicU8]>,
}

/// The hand. Whoever has it turns the clock.
#[derive(Debug)]
pub(crate) struct Hand {
    next: usize,
    evicted_this_round: usize,
    decrements: bool,
}

/// What a frame was before it was detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detached {
    /// Clean: whoever detached it retires it.
    Clean,
    /// Pinned: whoever unpins it retires it.
    Pinned,
}

impl Clock {
    pub(crate) fn new(frames: usize) -> Clock {
        Clock { marks: (0..frames).map(|_| AtomicU8::new(DETACHED)).collect() }
    }

    /// Notes a hit of the page in this frame.
    #[inline]
    pub(crate) fn touch(&self, frame: FrameId) {
        let place = &self.marks[frame.0 as usize];
        let mark = place.load(Ordering::Relaxed);
        if mark & FULL == 0 {
            // One try: if the mark is changing just now, this hit goes unnoticed.
            let _ = place.compare_exchange(mark, raised(mark), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Makes a detached frame clean, or pinned. It enters the page table right after this.
    pub(crate) fn admit(&self, frame: FrameId, access: Access, inner: bool, pinned: bool) {
        let (counter, inner) = match (access, inner) {
            (Access::Point, true) => (INNER_CEILING | FULL, INNER),
            (Access::Point, false) => (POINT_MISS, 0),
            (Access::Scan, true) => (SCANNED, INNER),
            (Access::Scan, false) => (SCANNED, 0),
        };
        let place = &self.marks[frame.0 as usize];
        debug_assert_eq!(place.load(Ordering::Relaxed) & STATE, DETACHED);
        // Release: whoever finds the frame clean also finds its page id.
        place.store(counter | inner | if pinned { PINNED } else { CLEAN }, Ordering::Release);
    }

    /// Makes a pinned frame clean and returns true, or an unlinked one detached and returns false.
    pub(crate) fn unpin(&self, frame: FrameId) -> bool {
        let next = |state| if state == PINNED { CLEAN } else { DETACHED };
        let before = self.change_state(frame, next);
        debug_assert!(before == PINNED || before == UNLINKED);
        before == PINNED
    }

    /// Makes a frame that leaves the page table detached, or unlinked if somebody has pinned it.
    pub(crate) fn detach(&self, frame: FrameId) -> Detached {
        let before = self.change_state(frame, |state| if state == PINNED { UNLINKED } else { DETACHED });
        debug_assert!(before == CLEAN || before == PINNED);
        if before == PINNED { Detached::Pinned } else { Detached::Clean }
    }

    /// Makes a clean frame whose counter is at 0 detached. Returns false if it is no such frame (any more).
    pub(crate) fn evict(&self, frame: FrameId) -> bool {
        let place = &self.marks[frame.0 as usize];
        let mark = place.load(Ordering::Relaxed);
        // Relaxed, since the hand has acquired what made the frame clean (`admit` or `unpin`) when it found it so.
        mark & (STATE | COUNTER) == CLEAN
            && place.compare_exchange(mark, DETACHED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn change_state(&self, frame: FrameId, next: impl Fn(u8) -> u8) -> u8 {
        let place = &self.marks[frame.0 as usize];
        let mut mark = place.load(Ordering::Relaxed);
        loop {
            let changed = mark & !STATE | next(mark & STATE);
            // AcqRel: what the one who pinned the frame read of it comes before whatever follows its unpinning.
            match place.compare_exchange(mark, changed, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return mark & STATE,
                Err(found) => mark = found,
            }
        }
    }

    /// Turns the hand until `wanted` pages were evicted. `evict` is given frames that seem evictable, and says whether
    /// it did evict.
    ///
    /// The hand stops early when a whole round met no clean frame, and in any case after so many rounds that it has
    /// found one page at least, were all counters at their maximum: one until a lean round is noticed, one for each
    /// decrement, and one to find the page. (Others that keep hitting pages may raise all counters as fast; they must not
    /// keep us here.)
    pub(crate) fn sweep(&self, hand: &mut Hand, wanted: usize, mut evict: impl FnMut(FrameId) -> bool) {
        let frames = self.marks.len();
        let (mut evicted, mut passed_over) = (0, 0);
        for _ in 0..frames * (usize::from(COUNTER) + 2) {
            if evicted >= wanted || passed_over >= frames {
                break;
            }
            let at = hand.next;
            hand.step(frames);
            let place = &self.marks[at];
            // Acquire pairs with `admit`: the page id of a clean frame is that of the page in it. And with `unpin`: what
            // the one who had pinned the frame read of it comes before its next filling.
            let mark = place.load(Ordering::Acquire);
            if mark & STATE != CLEAN {
                passed_over += 1;
                continue;
            }
            passed_over = 0;
            if mark & COUNTER > 0 {
                if hand.decrements {
                    // One try: if the mark is changing just now, the page is spared this time.
                    let lowered = (mark - 1) & !FULL;
                    let _ = place.compare_exchange(mark, lowered, Ordering::Relaxed, Ordering::Relaxed);
                }
            } else if evict(FrameId(at as u32)) {
                evicted += 1;
                hand.evicted_this_round += 1;
            }
        }
    }

    /// The counter of a frame.
    #[cfg(test)]
    pub(crate) fn counter(&self, frame: FrameId) -> u8 {
        self.marks[frame.0 as usize].load(Ordering::Relaxed) & COUNTER
    }
}

/// The mark of a page that is not full, after a hit.
#[inline]
fn raised(mark: u8) -> u8 {
    let ceiling = if mark & INNER == 0 { LEAF_CEILING } else { INNER_CEILING };
    let raised = mark + 1;
    if raised & COUNTER == ceiling { raised | FULL } else { raised }
}

impl Hand {
    pub(crate) fn new() -> Hand {
        Hand { next: 0, evicted_this_round: 0, decrements: true }
    }

    fn step(&mut self, frames: usize) {
        self.next += 1;
        if self.next == frames {
            self.next = 0;
            self.decrements = self.evicted_this_round < (frames / 8).max(1);
            self.evicted_this_round = 0;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn evict_all(clock: &Clock, hand: &mut Hand, wanted: usize) -> Vec<u32> {
        let mut evicted = Vec::new();
        clock.sweep(hand, wanted, |frame| {
            let did = clock.evict(frame);
            evicted.extend(did.then_some(frame.0));
            did
        });
        evicted
    }

    #[test]
    fn the_least_useful_pages_go_first() {
        let clock = Clock::new(4);
        clock.admit(FrameId(0), Access::Point, true, false);
        clock.admit(FrameId(1), Access::Point, false, false);
        clock.admit(FrameId(2), Access::Scan, false, false);
        clock.admit(FrameId(3), Access::Point, false, false);
        clock.touch(FrameId(1));
        let mut hand = Hand::new();
        let order: Vec<_> = (0..4).flat_map(|_| evict_all(&clock, &mut hand, 1)).collect();
        assert_eq!(order, [2, 3, 1, 0]);
    }

    #[test]
    fn hits_raise_a_counter_to_its_ceiling_and_no_further() {
        let clock = Clock::new(2);
        clock.admit(FrameId(0), Access::Scan, false, false);
        clock.admit(FrameId(1), Access::Scan, true, false);
        for hit in 1..20 {
            clock.touch(FrameId(0));
            clock.touch(FrameId(1));
            assert_eq!(clock.counter(FrameId(0)), LEAF_CEILING.min(hit));
            assert_eq!(clock.counter(FrameId(1)), INNER_CEILING.min(hit));
        }
        assert_eq!(evict_all(&clock, &mut Hand::new(), 2), [0, 1], "the states were left alone");
    }

    #[test]
    fn a_page_that_the_hand_has_passed_climbs_again() {
        let clock = Clock::new(2);
        clock.admit(FrameId(0), Access::Point, true, false);
        clock.admit(FrameId(1), Access::Scan, false, false);
        let mut hand = Hand::new();
        // Once round: the first page is lowered, the second one goes.
        assert_eq!(evict_all(&clock, &mut hand, 1), [1]);
        assert_eq!(clock.counter(FrameId(0)), INNER_CEILING - 1);
        clock.touch(FrameId(0));
        assert_eq!(clock.counter(FrameId(0)), INNER_CEILING);
    }

    /// The last frame that the bound of `sweep` allows for: everything at the maximum, and the hand in mid-round.
    #[test]
    fn one_sweep_suffices_to_evict_something() {
        for start in 0..8 {
            let clock = Clock::new(8);
            for frame in (0..8).map(FrameId) {
                clock.admit(frame, Access::Point, true, false);
            }
            let mut hand = Hand { next: start, evicted_this_round: 8, decrements: false };
            assert_eq!(evict_all(&clock, &mut hand, 1).len(), 1, "from {start}");
        }
    }

    #[test]
    fn pinned_frames_are_passed_over_and_the_hand_comes_to_rest() {
        let clock = Clock::new(100);
        for frame in (0..100).map(FrameId) {
            clock.admit(frame, Access::Scan, false, true);
        }
        let mut hand = Hand { next: 0, evicted_this_round: 100, decrements: true };
        assert_eq!(evict_all(&clock, &mut hand, 5), []);
        assert_eq!((hand.next, hand.decrements), (0, false), "one round");
        assert!(clock.unpin(FrameId(50)));
        assert_eq!(evict_all(&clock, &mut hand, 5), [50]);
    }

    #[test]
    fn a_refusal_to_evict_does_not_keep_the_hand_turning() {
        let clock = Clock::new(10);
        for frame in (0..10).map(FrameId) {
            clock.admit(frame, Access::Scan, false, false);
        }
        clock.sweep(&mut Hand::new(), 1, |_| false);
    }

    #[test]
    fn whoever_comes_last_retires_a_frame_that_is_replaced_while_pinned() {
        let clock = Clock::new(2);
        clock.admit(FrameId(0), Access::Point, false, true);
        clock.admit(FrameId(1), Access::Point, false, true);
        assert_eq!(clock.detach(FrameId(0)), Detached::Pinned);
        assert!(!clock.unpin(FrameId(0)), "it left the table before");
        assert!(clock.unpin(FrameId(1)));
        assert_eq!(clock.detach(FrameId(1)), Detached::Clean);
    }
}
