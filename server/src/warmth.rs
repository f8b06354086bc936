//! Whether the pages of small reads are in the cache.
//!
//! A read whose pages are there takes less time than handing it to another thread, so it is done where its request arrives. Whether they
//! are is not known before. So as soon as one has waited for the disk, those after it are left to other threads for a while: whoever
//! waits for the network does not wait for the disk of somebody else.
//!
//! Time alone does not tell: on a busy machine many a read is interrupted for longer than the disk takes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dynamite_core::api::DynaMite;

/// A read that takes longer may have waited for the disk.
const LONG: Duration = Duration::from_micros(100);

/// Reads that are left to others after one that has waited.
const COLD_READS: u32 = 128;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Warmth {
    /// Reads that others have yet to do.
    cold: AtomicU32,
}

impl Warmth {
    /// Whether the next read may be done where it has arrived.
    pub(crate) fn is_warm(&self) -> bool {
        let cold = self.cold.load(Ordering::Relaxed);
        if cold > 0 {
            // It does not matter if two threads count the same read.
            self.cold.store(cold - 1, Ordering::Relaxed);
        }
        cold == 0
    }

    /// Does a read where it has arrived.
    pub(crate) fn watch<R>(&self, db: &DynaMite, read: impl FnOnce() -> R) -> R {
        let (misses, begun) = (db.cache_misses(), Instant::now());
        let found = read();
        self.took(begun.elapsed(), || db.cache_misses() > misses);
        found
    }

    fn took(&self, time: Duration, has_missed: impl FnOnce() -> bool) {
        // Some other thread may have missed meanwhile; that is seldom, where most are warm.
        if time > LONG && has_missed() {
            self.cold.store(COLD_READS, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
impl Warmth {
    /// As if a read had waited for the disk.
    pub(crate) fn cooled() -> Warmth {
        Warmth { cold: COLD_READS.into() }
    }

    /// How many reads others have yet to do.
    pub(crate) fn cold(&self) -> u32 {
        self.cold.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use dynamite_core::types::KeyType;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_are_left_to_others_for_a_while_behind_one_that_has_waited_for_the_disk() {
        let warmth = Warmth::default();
        warmth.took(LONG, || unreachable!("nobody asks"));
        warmth.took(2 * LONG, || false);
        assert!(warmth.is_warm());
        warmth.took(2 * LONG, || true);
        assert_eq!((0..2 * COLD_READS).filter(|_| !warmth.is_warm()).count(), COLD_READS as usize);
        assert!(warmth.is_warm());
    }

    #[test]
    fn a_read_that_takes_long_is_cold_only_if_its_pages_were_not_in_the_cache() {
        let db = DynaMite::builder().background(false).cache_size(1 << 20).in_memory().unwrap();
        db.create_table("things").partition_key("id", KeyType::Number).execute().unwrap();
        for id in 0..1000 {
            db.put_item("things", json!({"id": id, "text": "x".repeat(3000)})).unwrap();
        }
        let get = |id: u64| db.get_item("things").partition_key(id).execute().unwrap().unwrap();
        (0..1000).for_each(|id| drop(get(id)));
        let is_warm_behind = |id| {
            let warmth = Warmth::default();
            warmth.watch(&db, || {
                get(id);
                thread::sleep(2 * LONG);
            });
            warmth.is_warm()
        };
        assert!(!is_warm_behind(0));
        assert!(is_warm_behind(0));
    }
}
