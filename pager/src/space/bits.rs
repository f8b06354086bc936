//! One bit for each page of a range, 1 for a free page: the contents of a leaf of the space map.
//!
//! Bit `i % 8` of byte `i / 8`, the lowest bit first, stands for page `i` of the range.

use std::fmt;

use crate::format::page::PAYLOAD_SIZE;
use crate::space::range::RANGE_PAGES;

const WORDS: usize = PAYLOAD_SIZE / 8;
const _: () = assert!(WORDS * 64 == RANGE_PAGES as usize);

/// The free pages of a range, by their offset in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RangeBits([u64; WORDS]);

impl fmt::Debug for RangeBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangeBits({} pages)", self.count())
    }
}

impl RangeBits {
    /// Nothing is free.
    pub(crate) fn new() -> RangeBits {
        RangeBits([0; WORDS])
    }

    /// Reads the payload of a leaf. Every bit pattern is a set of pages; whether it is a legal one is the
    /// business of [`crate::space::page`].
    pub(crate) fn from_payload(payload: &[u8; PAYLOAD_SIZE]) -> RangeBits {
        let mut bits = RangeBits::new();
        for (word, bytes) in bits.0.iter_mut().zip(payload.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of 8 bytes"));
        }
        bits
    }

    /// Writes the payload of a leaf.
    pub(crate) fn to_payload(&self, payload: &mut [u8; PAYLOAD_SIZE]) {
        for (word, bytes) in self.0.iter().zip(payload.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Marks `count` pages from `first` on as free. Says whether none of them was.
    #[must_use]
    pub(crate) fn set(&mut self, first: u32, count: u32) -> bool {
        let mut was_clear = true;
        for_words(first, count, |word, mask| {
            was_clear &= self.0[word] & mask == 0;
            self.0[word] |= mask;
        });
        was_clear
    }

    /// Marks `count` pages from `first` on as used.
    pub(crate) fn clear(&mut self, first: u32, count: u32) {
        for_words(first, count, |word, mask| self.0[word] &= !mask);
    }

    /// Whether any of `count` pages from `first` on is free.
    pub(crate) fn any(&self, first: u32, count: u32) -> bool {
        let mut any = false;
        for_words(first, count, |word, mask| any |= self.0[word] & mask != 0);
        any
    }

    /// The first page that is free here and not in `allowed`.
    pub(crate) fn first_beyond(&self, allowed: &RangeBits) -> Option<u32> {
        let beyond = self.0.iter().zip(&allowed.0).map(|(word, allowed)| word & !allowed);
        let (word, bits) = beyond.enumerate().find(|(_, bits)| *bits != 0)?;
        Some(word as u32 * 64 + bits.trailing_zeros())
    }

    /// One more than the last free page; 0 if there is none.
    pub(crate) fn end(&self) -> u32 {
        let last = self.0.iter().rposition(|word| *word != 0);
        last.map_or(0, |word| (word as u32 + 1) * 64 - self.0[word].leading_zeros())
    }

    /// How many pages are free.
    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The length of the longest run of free pages.
    pub(crate) fn longest_run(&self) -> u32 {
        let mut longest = 0;
        // The run that reaches the end of the words seen so far.
        let mut open = 0;
        for &word in &self.0 {
            if word == u64::MAX {
                open += 64;
                continue;
            }
            longest = longest.max(open + word.trailing_ones());
            open = word.leading_ones();
            // Runs inside one word: each step takes one page off the end of every run.
            if longest < 62 {
                let (mut rest, mut steps) = (word, 0);
                while rest != 0 {
                    rest &= rest >> 1;
                    steps += 1;
                }
                longest = longest.max(steps);
            }
        }
        longest.max(open)
    }

    /// The runs of free pages as (first, count), ascending.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, u32)> {
        // The bits of a word that are behind the last run.
        let (mut word, mut bits) = (0, self.0[0]);
        std::iter::from_fn(move || {
            while bits == 0 {
                word += 1;
                bits = *self.0.get(word)?;
            }
            let low = bits.trailing_zeros();
            let (first, mut count) = (word as u32 * 64 + low, (bits >> low).trailing_ones());
            let mut end = low + count;
            // A run that reaches the end of its word goes on in the next one, if with no page at all.
            while end == 64 {
                word += 1;
                bits = self.0.get(word).copied().unwrap_or(0);
                end = bits.trailing_ones();
                count += end;
            }
            bits &= u64::MAX << end;
            Some((first, count))
        })
    }

    /// The first page of the run of free pages that ends in front of `end`; `end` itself if there is none.
    pub(crate) fn run_before(&self, end: u32) -> u32 {
        let mut first = end;
        while first > 0 && self.any(first - 1, 1) {
            first -= 1;
        }
        first
    }
}

/// Calls `each` with every word that `count` bits from `first` on touch, and the mask of those bits in it.
fn for_words(first: u32, count: u32, mut each: impl FnMut(usize, u64)) {
    let end = first + count;
    let mut at = first;
    while at < end {
        let low = at % 64;
        let width = (64 - low).min(end - at);
        each(at as usize / 64, (u64::MAX >> (64 - width)) << low);
        at += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets and clears pseudo-random runs, in a set of bits and in a plain array.
    fn scribbled(seed: u64) -> (RangeBits, Vec<bool>) {
        let mut state = seed;
        let mut draw = |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % u64::from(below)) as u32
        };
        let (mut bits, mut naive) = (RangeBits::new(), vec![false; RANGE_PAGES as usize]);
        for _ in 0..200 {
            let first = draw(RANGE_PAGES);
            let count = 1 + draw((RANGE_PAGES - first).min(300));
            let slice = &mut naive[first as usize..(first + count) as usize];
            assert_eq!(bits.any(first, count), slice.contains(&true), "seed {seed}");
            if draw(3) < 2 {
                assert_eq!(bits.set(first, count), !slice.contains(&true), "seed {seed}");
                slice.fill(true);
            } else {
                bits.clear(first, count);
                slice.fill(false);
            }
        }
        (bits, naive)
    }

    #[test]
    fn bits_agree_with_an_array_of_booleans() {
        for seed in 0..20 {
            let (bits, naive) = scribbled(seed);
            let mut runs = Vec::new();
            for (page, free) in naive.iter().enumerate() {
                match runs.last_mut() {
                    _ if !free => {}
                    Some((first, count)) if *first + *count == page as u32 => *count += 1,
                    _ => runs.push((page as u32, 1)),
                }
            }
            assert_eq!(bits.runs().collect::<Vec<_>>(), runs, "seed {seed}");
            assert_eq!(bits.count() as usize, naive.iter().filter(|free| **free).count(), "seed {seed}");
            assert_eq!(bits.longest_run(), runs.iter().map(|run| run.1).max().unwrap_or(0), "seed {seed}");
            assert_eq!(bits.end(), runs.last().map_or(0, |run| run.0 + run.1), "seed {seed}");
            for &(first, count) in &runs {
                assert_eq!(bits.run_before(first + count), first, "seed {seed}");
                assert_eq!(bits.run_before(first), first, "seed {seed}");
            }
            let mut payload = [0; PAYLOAD_SIZE];
            bits.to_payload(&mut payload);
            for (page, free) in naive.iter().enumerate() {
                assert_eq!(payload[page / 8] >> (page % 8) & 1 == 1, *free, "seed {seed}, page {page}");
            }
            assert!(RangeBits::from_payload(&payload) == bits, "seed {seed}");
        }
    }

    #[test]
    fn the_longest_run_is_found_at_every_length_and_place() {
        for count in [1, 2, 61, 62, 63, 64, 65, 127, 128, 129, 1000, RANGE_PAGES] {
            for first in [0, 1, 31, 63, 64, 100, RANGE_PAGES - count] {
                let mut bits = RangeBits::new();
                let first = first.min(RANGE_PAGES - count);
                assert!(bits.set(first, count));
                assert_eq!(bits.longest_run(), count, "{count} pages from {first}");
                assert_eq!(bits.end(), first + count, "{count} pages from {first}");
            }
        }
        assert_eq!((RangeBits::new().longest_run(), RangeBits::new().end()), (0, 0));
    }
}
