//! The page table: which frame holds a page. A hit takes one or two loads of one cache line, and no lock.
//!
//! A hash table of fixed size, made for the number of frames. A bucket is one cache line:
//!
//! ```text
//! offset  size  field      meaning
//! ------  ----  ---------  ------------------------------------------------------------------------------
//!      0  7×8   entries    page id << 32 | frame + 1, or 0 where the entry is empty
//!     56     8  overflow   number of entries that would be here, or before, but had to be placed further on
//! ```
//!
//! A page is looked for in its home bucket, and in the next one only while the overflow counter says so. Entries
//! never move, so a look-up needs no protection against movement.
//!
//! # Who may do what
//!
//! [`find`](PageTable::find) may be called by anybody at any time. [`insert`](PageTable::insert) and
//! [`remove`](PageTable::remove) need the lock of the page's shard (see [`crate::pool::loads`]), so that entries of one page
//! come and go one after the other.
//!
//! * A **false miss** is possible without the lock, and harmless: the miss path looks again under the lock. There
//!   it is impossible: the entry was placed under the same lock, and the overflow counters that lead to it were
//!   incremented before and count it until it is removed.
//! * A **false hit** is impossible while the frame epoch is held: the frame of an entry that was seen is not filled
//!   again before the epoch has passed (see [`crate::pool::epoch`]).
//!
//! # It is never full
//!
//! Each frame is in at most one entry, so there are at most as many entries as frames; the table has room for more
//! than twice that. An insertion therefore always finds an empty entry, unless others take each one before it: then
//! they have made progress, and it goes round once more.

use crate::format::page_id::PageId;
use crate::pool::frames::FrameId;
use crate::sync::{AtomicU64, Ordering};

#[cfg(not(loom))]
const ENTRIES: usize = 7;
/// Fewer steps to explore.
#[cfg(loom)]
const ENTRIES: usize = 2;

/// Entries per bucket at the most, on average, when all frames are in use.
const MEAN_LOAD: usize = if ENTRIES >= 3 { 3 } else { 1 };

const EMPTY: u64 = 0;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct PageTable {
    /// A power of two.
    buckets: Box<[Bucket]>,
    /// Leaves as many of the 64 bits of a hash as number the buckets.
    shift: u32,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket {
    entries: [AtomicU64; ENTRIES],
    overflow: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 64);

impl PageTable {
    /// A table for `frames` frames.
    pub(crate) fn new(frames: usize) -> PageTable {
        // At least two, since a shift by 64 is none.
        let buckets = frames.div_ceil(MEAN_LOAD).next_power_of_two().max(2);
        PageTable {
            buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect(),
            shift: u64::BITS - buckets.trailing_zeros(),
        }
    }

    /// Fibonacci hashing: neighbouring page ids spread evenly.
    #[inline]
    fn home(&self, id: PageId) -> usize {
        (u64::from(id.0).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The frame that holds the page.
    #[inline]
    pub(crate) fn find(&self, id: PageId) -> Option<FrameId> {
        let home = self.home(id);
        let bucket = &self.buckets[home];
        for entry in &bucket.entries {
            // Acquire: the page's bytes and its birth were written before the entry.
            if let Some(frame) = frame_of(entry.load(Ordering::Acquire), id) {
                return Some(frame);
            }
        }
        if bucket.overflow.load(Ordering::Acquire) == 0 { None } else { self.find_further(id, home) }
    }

    /// Looks beyond the home bucket.
    #[cold]
    fn find_further(&self, id: PageId, home: usize) -> Option<FrameId> {
        for distance in 1..self.buckets.len() {
            let bucket = self.bucket(home + distance);
            for entry in &bucket.entries {
                if let Some(frame) = frame_of(entry.load(Ordering::Acquire), id) {
                    return Some(frame);
                }
            }
            if bucket.overflow.load(Ordering::Acquire) == 0 {
                return None;
            }
        }
        None
    }

    /// Enters a page that has no entry. The caller holds the lock of the page's shard.
    pub(crate) fn insert(&self, id: PageId, frame: FrameId) {
        let entry = u64::from(id.0) << 32 | (u64::from(frame.0) + 1);
        let home = self.home(id);
        loop {
            for distance in 0..self.buckets.len() {
                let bucket = self.bucket(home + distance);
                let empty = bucket.entries.iter().find(|place| {
                    place.load(Ordering::Relaxed) == EMPTY
                        && place.compare_exchange(EMPTY, entry, Ordering::Release, Ordering::Relaxed).is_ok()
                });
                if empty.is_some() {
                    return;
                }
                // Before the entry is placed further on, so that nobody stops looking too early.
                bucket.overflow.fetch_add(1, Ordering::Relaxed);
            }
            for bucket in &self.buckets {
                bucket.overflow.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes the entry of a page. The caller holds the lock of the page's shard and knows that the entry exists.
    pub(crate) fn remove(&self, id: PageId, frame: FrameId) {
        let home = self.home(id);
        for distance in 0..self.buckets.len() {
            let place = self
                .bucket(home + distance)
                .entries
                .iter()
                .find(|place| frame_of(place.load(Ordering::Relaxed), id) == Some(frame));
            if let Some(place) = place {
                place.store(EMPTY, Ordering::Release);
                for passed in 0..distance {
                    self.bucket(home + passed).overflow.fetch_sub(1, Ordering::Relaxed);
                }
                return;
            }
        }
        unreachable!("{id:?} was in frame {} and had no entry", frame.0);
    }

    fn bucket(&self, number: usize) -> &Bucket {
        &self.buckets[number & (self.buckets.len() - 1)]
    }
}

/// The frame in an entry, if it is the entry of this page. (Page 0 has the bits of an empty entry, but no frame.)
#[inline]
fn frame_of(entry: u64, id: PageId) -> Option<FrameId> {
    // One comparison for "the id is this one" and "it is not empty": a look-up may have to go through seven entries.
    let frame = (entry ^ u64::from(id.0) << 32).wrapping_sub(1);
    if frame < u64::from(u32::MAX) { Some(FrameId(frame as u32)) } else { None }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const FRAMES: usize = 24;

    /// Ids whose home is bucket 0 of a table for `FRAMES` frames, and more of them than fit into it.
    fn colliding_ids() -> Vec<PageId> {
        let table = PageTable::new(FRAMES);
        (0..).map(PageId).filter(|id| table.home(*id) == 0).take(20).collect()
    }

    fn page_id() -> impl Strategy<Value = PageId> {
        prop_oneof![
            proptest::sample::select(colliding_ids()),
            (0..40_u32).prop_map(PageId),
            (0..4_u32).prop_map(|back| PageId(u32::MAX - back)),
            any::<u32>().prop_map(PageId),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_table_agrees_with_a_hash_map(steps in prop::collection::vec(page_id(), 1..400)) {
            let table = PageTable::new(FRAMES);
            let mut oracle = HashMap::new();
            let mut free: Vec<_> = (0..FRAMES as u32).map(FrameId).collect();
            for id in steps {
                if let Some(frame) = oracle.remove(&id) {
                    table.remove(id, frame);
                    free.push(frame);
                } else if let Some(frame) = free.pop() {
                    table.insert(id, frame);
                    oracle.insert(id, frame);
                }
                prop_assert_eq!(table.find(id), oracle.get(&id).copied());
                for (id, frame) in &oracle {
                    prop_assert_eq!(table.find(*id), Some(*frame));
                }
            }
            for (id, frame) in oracle {
                table.remove(id, frame);
            }
            for bucket in &table.buckets {
                prop_assert_eq!(bucket.overflow.load(Ordering::Relaxed), 0);
            }
        }
    }

    #[test]
    fn an_empty_table_holds_no_page_whatever_its_id() {
        let table = PageTable::new(1);
        for id in [0, 1, 2, u32::MAX] {
            assert_eq!(table.find(PageId(id)), None);
        }
    }

    #[test]
    fn a_table_takes_all_frames_though_all_pages_collide() {
        for frames in 1..40 {
            let table = PageTable::new(frames);
            let ids: Vec<_> = (2..).map(PageId).filter(|id| table.home(*id) == 1).take(frames).collect();
            for (frame, id) in (0..).map(FrameId).zip(&ids) {
                table.insert(*id, frame);
            }
            for (frame, id) in (0..).map(FrameId).zip(&ids) {
                assert_eq!(table.find(*id), Some(frame));
            }
        }
    }

    #[test]
    fn a_look_up_stops_where_nothing_overflowed() {
        let table = PageTable::new(FRAMES);
        let ids = colliding_ids();
        for (frame, id) in (0..8).map(FrameId).zip(&ids) {
            table.insert(*id, frame);
        }
        assert_eq!(table.buckets[0].overflow.load(Ordering::Relaxed), 1);
        assert_eq!(table.buckets[1].overflow.load(Ordering::Relaxed), 0);
        table.remove(ids[7], FrameId(7));
        assert_eq!(table.buckets[0].overflow.load(Ordering::Relaxed), 0);
    }
}
