//! A hash map by page id, for the pages of a batch: looked into for every page that the writer reads.
//!
//! Page ids are hashed by one multiplication. They come from our own free space and lie close together; were they chosen
//! so as to collide, in a file made for that, a batch would become slow and nothing else. Unlike the standard
//! hasher this one is the same in every run, so pages are visited in the same order when a failure is replayed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::format::page_id::PageId;

/// See the [module](self).
pub(crate) type PageMap<T> = HashMap<PageId, T, BuildHasherDefault<PageIdHasher>>;

/// Hashes one page id.
#[derive(Debug, Default)]
pub(crate) struct PageIdHasher(u64);

impl Hasher for PageIdHasher {
    #[inline]
    fn write_u32(&mut self, id: u32) {
        // Fibonacci hashing spreads ids over the upper bits; the map takes its bucket from the lower ones.
        let spread = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a page id is one u32");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    /// Whatever the distance between ids, their hashes differ in the bits that choose a bucket, and in those that tell
    /// entries of a bucket apart.
    #[test]
    fn ids_at_regular_distances_get_spread_hashes() {
        let build = BuildHasherDefault::<PageIdHasher>::default();
        for distance in (0..20).map(|shift| 1 << shift) {
            let hashes: Vec<u64> = (1..=1024).map(|n| build.hash_one(PageId(n * distance))).collect();
            let buckets: HashSet<u64> = hashes.iter().map(|hash| hash % 2048).collect();
            let tags: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            assert!(buckets.len() > 512, "{distance}: {} buckets", buckets.len());
            assert!(tags.len() > 64, "{distance}: {} tags", tags.len());
        }
    }
}
