//! Extents that may be allocated, found by place and by length.
//!
//! A commit lists all of them, takes a handful and gives back a handful, and mostly there are some hundreds. So they stand in
//! *blocks*, arrays in the order of their places: a search halves one array and then another, a change moves a part of a
//! KiB, and to go through all of them costs next to nothing. A block knows its longest extent, so that a search by
//! length passes over the blocks that have none; and blocks are split and joined, so that a set that has grown to
//! hundreds of thousands of extents is no slower than a tree.

use std::slice;

use crate::format::page_id::{Extent, PageId};

/// Extents in a block, at the most.
#[cfg(not(test))]
const BLOCK_MAX: usize = 128;
/// The tests have few extents, and shall have many blocks.
#[cfg(test)]
const BLOCK_MAX: usize = 6;

/// A set of pages, kept as maximal extents. Extents of different ranges never touch, since reserved places lie
/// between them, so no extent crosses the end of a range.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtentSet {
    /// None is empty.
    blocks: Vec<Block>,
    pages: u64,
}

/// Extents that follow one another.
#[derive(Clone, Debug)]
struct Block {
    /// Ascending.
    extents: Vec<Extent>,
    /// Pages in the longest of them.
    longest: u32,
}

/// Where an extent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    block: usize,
    at: usize,
}

impl ExtentSet {
    /// Adds pages; those that are in the set already stay.
    pub(crate) fn insert(&mut self, extent: Extent) {
        let (mut first, mut end) = (extent.first, extent.end());
        let mut place = match self.last_until(clamp(end)) {
            Some(place) if self.at(place).end() >= u64::from(first.0) => place,
            before => return self.add_behind(before, extent),
        };
        // Whatever overlaps or touches becomes one extent, where the first of them stands.
        end = end.max(self.at(place).end());
        first = first.min(self.at(place).first);
        while let Some(before) = self.before(place).filter(|before| before.end() >= u64::from(first.0)) {
            self.drop_until(place, self.at(place).first);
            first = first.min(before.first);
            place = self.last_until(before.first.0).expect("it stands before the one that is gone");
        }
        self.replace_at(place, between(first.0.into(), end));
    }

    /// Removes pages; those that are not in the set are passed over.
    pub(crate) fn remove(&mut self, extent: Extent) {
        let (first, end) = (u64::from(extent.first.0), extent.end());
        while let Some(place) = self.last_until(clamp(end - 1)) {
            let found = self.at(place);
            let (low, high) = (u64::from(found.first.0), found.end());
            if high <= first {
                return;
            }
            match (low < first, high > end) {
                (false, false) => self.drop_until(place, extent.first),
                (false, true) => self.replace_at(place, between(end, high)),
                (true, false) => self.replace_at(place, between(low, first)),
                (true, true) => {
                    self.replace_at(place, between(low, first));
                    self.add_behind(Some(place), between(end, high));
                }
            }
            if low <= first {
                return;
            }
        }
    }

    /// Whether any page of the extent is in the set.
    pub(crate) fn overlaps(&self, extent: Extent) -> bool {
        self.last_until(clamp(extent.end() - 1))
            .is_some_and(|place| self.at(place).end() > u64::from(extent.first.0))
    }

    /// How many pages are in the set.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// The extents, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Extent> {
        self.blocks.iter().flat_map(|block| block.extents.iter().copied())
    }

    /// The extents, and others that are given in the order of their places, as long as possible, ascending.
    pub(crate) fn united_with(&self, others: &[Extent]) -> Vec<Extent> {
        let parts: Vec<&[Extent]> = self.blocks.iter().map(|block| &block.extents[..]).collect();
        united(&parts, others)
    }

    /// The pages within an extent, as extents, ascending.
    pub(crate) fn extents_within(&self, extent: Extent) -> impl Iterator<Item = Extent> {
        let (first, end) = (u64::from(extent.first.0), extent.end());
        let Place { block, at } = self.last_until(extent.first.0).unwrap_or(Place { block: 0, at: 0 });
        let (begun, rest) = match &self.blocks[block..] {
            [begun, rest @ ..] => (&begun.extents[at..], rest),
            [] => (&[][..], &[][..]),
        };
        let all = begun.iter().chain(rest.iter().flat_map(|block| &block.extents)).copied();
        all.take_while(move |found| u64::from(found.first.0) < end).filter_map(move |found| {
            let (low, high) = (first.max(found.first.0.into()), found.end().min(end));
            (low < high).then(|| between(low, high))
        })
    }

    /// The extent that begins with this page.
    pub(crate) fn starting_at(&self, first: PageId) -> Option<Extent> {
        self.last_until(first.0).map(|place| self.at(place)).filter(|extent| extent.first == first)
    }

    /// The extent that ends in front of this page id.
    pub(crate) fn ending_at(&self, end: u64) -> Option<Extent> {
        let place = self.last_until(clamp(end.checked_sub(1)?))?;
        Some(self.at(place)).filter(|extent| extent.end() == end)
    }

    /// The shortest extent of at least `count` pages, the lowest of those.
    pub(crate) fn shortest(&self, count: u32) -> Option<Extent> {
        self.at_least(count).min_by_key(|extent| (extent.count, extent.first))
    }

    /// The lowest one of those `among` extents of at least `count` pages that are the shortest, and of the same length the lowest.
    pub(crate) fn lowest_of_shortest(&self, count: u32, among: usize) -> Option<Extent> {
        let mut counts: Vec<u32> = Vec::with_capacity(2 * BLOCK_MAX);
        counts.extend(self.at_least(count).map(|extent| extent.count));
        let longest = match counts.len() <= among {
            true => u32::MAX,
            false => *counts.select_nth_unstable(among - 1).1,
        };
        // Of those that are as long as the last one that counts, the first counts too.
        self.at_least(count).find(|extent| extent.count <= longest)
    }

    /// Pages in the longest extent; 0 if there is none.
    pub(crate) fn longest_count(&self) -> u32 {
        self.blocks.iter().map(|block| block.longest).max().unwrap_or(0)
    }

    /// The longest extent, the highest of those.
    pub(crate) fn longest(&self) -> Option<Extent> {
        let longest = self.longest_count();
        let block = self.blocks.iter().rev().find(|block| block.longest == longest)?;
        block.extents.iter().rev().find(|extent| extent.count == longest).copied()
    }

    /// The extents of at least `count` pages, ascending.
    fn at_least(&self, count: u32) -> impl Iterator<Item = Extent> {
        let blocks = self.blocks.iter().filter(move |block| block.longest >= count);
        blocks.flat_map(|block| block.extents.iter().copied()).filter(move |extent| extent.count >= count)
    }

    fn at(&self, place: Place) -> Extent {
        self.blocks[place.block].extents[place.at]
    }

    /// The last extent that begins with this page or before it.
    fn last_until(&self, first: u32) -> Option<Place> {
        let begins = |block: &Block| block.extents[0].first.0 <= first;
        let block = self.blocks.partition_point(begins).checked_sub(1)?;
        let at = self.blocks[block].extents.partition_point(|extent| extent.first.0 <= first) - 1;
        Some(Place { block, at })
    }

    /// The extent before that of a place.
    fn before(&self, Place { block, at }: Place) -> Option<Extent> {
        match at.checked_sub(1) {
            Some(at) => Some(self.at(Place { block, at })),
            None => self.blocks[..block].last().and_then(|block| block.extents.last()).copied(),
        }
    }

    /// Puts an extent behind that of a place, or in front of all.
    fn add_behind(&mut self, place: Option<Place>, extent: Extent) {
        self.pages += u64::from(extent.count);
        let Place { mut block, mut at } = match place {
            Some(Place { block, at }) => Place { block, at: at + 1 },
            None => Place { block: 0, at: 0 },
        };
        match self.blocks.get_mut(block) {
            None => self.blocks.push(Block::new(Vec::with_capacity(BLOCK_MAX))),
            Some(full) if full.extents.len() == BLOCK_MAX => {
                let upper = full.split();
                let half = full.extents.len();
                self.blocks.insert(block + 1, upper);
                if at > half {
                    (block, at) = (block + 1, at - half);
                }
            }
            Some(_) => {}
        }
        let block = &mut self.blocks[block];
        block.extents.insert(at, extent);
        block.longest = block.longest.max(extent.count);
    }

    /// Takes away the extent of a place, and those before it in its block that begin with this page or behind it.
    fn drop_until(&mut self, Place { block, at }: Place, first: PageId) {
        let changed = &mut self.blocks[block];
        let from = changed.extents[..at].partition_point(|extent| extent.first < first);
        let (mut pages, mut longest) = (0, 0);
        for dropped in changed.extents.drain(from..=at) {
            pages += u64::from(dropped.count);
            longest = longest.max(dropped.count);
        }
        changed.shortened(longest);
        self.pages -= pages;
        if changed.extents.len() <= BLOCK_MAX / 4 {
            self.join(block);
        }
    }

    fn replace_at(&mut self, Place { block, at }: Place, extent: Extent) {
        let block = &mut self.blocks[block];
        let replaced = std::mem::replace(&mut block.extents[at], extent);
        self.pages = self.pages - u64::from(replaced.count) + u64::from(extent.count);
        if extent.count >= block.longest {
            block.longest = extent.count;
        } else {
            block.shortened(replaced.count);
        }
    }

    /// Joins a block of few extents, or of none, with its neighbour if that has few as well.
    fn join(&mut self, block: usize) {
        if self.blocks[block].extents.is_empty() {
            self.blocks.remove(block);
            return;
        }
        let left = block.saturating_sub(1);
        if let Some([low, high]) = self.blocks.get_mut(left..left + 2)
            && low.extents.len() + high.extents.len() <= BLOCK_MAX / 2
        {
            low.extents.append(&mut high.extents);
            low.longest = low.longest.max(high.longest);
            self.blocks.remove(left + 1);
        }
    }
}

impl Block {
    fn new(extents: Vec<Extent>) -> Block {
        let mut block = Block { extents, longest: 0 };
        block.measure();
        block
    }

    /// Takes the upper half away.
    fn split(&mut self) -> Block {
        let mut upper = Vec::with_capacity(BLOCK_MAX);
        upper.extend(self.extents.drain(BLOCK_MAX / 2..));
        self.measure();
        Block::new(upper)
    }

    /// An extent of so many pages is gone, or shorter than it was.
    fn shortened(&mut self, count: u32) {
        if count == self.longest {
            self.measure();
        }
    }

    fn measure(&mut self) {
        self.longest = self.extents.iter().map(|extent| extent.count).max().unwrap_or(0);
    }
}

/// Parts of an ascending sequence of extents that are apart, and others, ascending too, as one sequence that has what touches or
/// overlaps as one extent. Quick where the others are few.
pub(crate) fn united(parts: &[&[Extent]], others: &[Extent]) -> Vec<Extent> {
    let len = others.len() + parts.iter().map(|part| part.len()).sum::<usize>();
    let (mut all, mut others) = (Vec::with_capacity(len), others);
    for mut part in parts.iter().copied() {
        while let ([other, later @ ..], [.., last]) = (others, part)
            && other.first < last.first
        {
            // Mostly they stand together.
            let before = match part[0].first < other.first {
                true => part.partition_point(|extent| extent.first < other.first),
                false => 0,
            };
            let (before, behind) = part.split_at(before);
            append(&mut all, before);
            append(&mut all, slice::from_ref(other));
            (part, others) = (behind, later);
        }
        append(&mut all, part);
    }
    others.iter().for_each(|other| append(&mut all, slice::from_ref(other)));
    all
}

/// Adds extents that begin behind all the others, of which the first may touch or overlap what is there.
fn append(all: &mut Vec<Extent>, mut extents: &[Extent]) {
    while let [first, rest @ ..] = extents
        && let Some(last) = all.last_mut()
        && last.end() >= u64::from(first.first.0)
    {
        *last = between(last.first.0.into(), last.end().max(first.end()));
        extents = rest;
    }
    all.extend_from_slice(extents);
}

/// The pages from one up to, not including, another.
pub(crate) fn between(first: u64, end: u64) -> Extent {
    Extent { first: PageId(first as u32), count: (end - first) as u32 }
}

fn clamp(id: u64) -> u32 {
    id.min(u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::page_set::PageSet;

    fn extent(first: u32, count: u32) -> Extent {
        Extent { first: PageId(first), count }
    }

    #[test]
    fn extents_agree_with_a_set_of_pages() {
        let (mut extents, mut naive) = (ExtentSet::default(), PageSet::default());
        let mut state = 7_u64;
        for step in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let some = extent((state >> 40) as u32 % 1000, 1 + (state >> 33) as u32 % 12);
            assert_eq!(extents.overlaps(some), naive.overlaps(some), "step {step}");
            if state >> 63 == 0 {
                extents.insert(some);
                naive.insert(some);
            } else {
                extents.remove(some);
                naive.remove(some);
            }
            let all: Vec<_> = naive.extents().collect();
            assert_eq!(extents.iter().collect::<Vec<_>>(), all, "step {step}");
            assert_eq!(extents.pages(), naive.len(), "step {step}");
            assert_eq!(
                extents.longest(),
                all.iter().copied().max_by_key(|e| (e.count, e.first)),
                "step {step}"
            );
            let mut fitting: Vec<_> = all.iter().copied().filter(|extent| extent.count >= 3).collect();
            fitting.sort_by_key(|extent| extent.count);
            assert_eq!(extents.shortest(3), fitting.first().copied(), "step {step}");
            for among in [1, 4, 1000] {
                let lowest = fitting.iter().take(among).min().copied();
                assert_eq!(extents.lowest_of_shortest(3, among), lowest, "step {step}");
            }
            assert_eq!(extents.starting_at(some.first).is_some(), all.iter().any(|e| e.first == some.first));
            assert_eq!(extents.ending_at(some.end()).is_some(), all.iter().any(|e| e.end() == some.end()));
            let within: Vec<_> = naive.extents_within(some).collect();
            assert_eq!(extents.extents_within(some).collect::<Vec<_>>(), within, "step {step}");
        }
    }

    #[test]
    fn united_extents_are_those_of_the_union() {
        let mut state = 11_u64;
        for step in 0..2000 {
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                extent((state >> 40) as u32 % 300, 1 + (state >> 33) as u32 % 6)
            };
            let mut extents = ExtentSet::default();
            let (mut others, mut both) = (PageSet::default(), PageSet::default());
            for some in (0..step % 40).map(|_| draw()) {
                extents.insert(some);
                both.insert(some);
            }
            for some in (0..step % 7).map(|_| draw()) {
                others.insert(some);
                both.insert(some);
            }
            // Some of them touch.
            let others: Vec<_> = others.extents().flat_map(Extent::pages).map(Extent::single).collect();
            assert_eq!(extents.united_with(&others), both.extents().collect::<Vec<_>>(), "step {step}");
        }
        let last = [extent(10, 5), extent(u32::MAX - 3, 4)];
        assert_eq!(united(&[&last, &[]], &[extent(15, 1)]), [extent(10, 6), last[1]]);
    }

    #[test]
    fn the_end_of_the_address_space_is_an_ordinary_place() {
        let mut extents = ExtentSet::default();
        extents.insert(extent(u32::MAX, 1));
        extents.insert(extent(u32::MAX - 3, 3));
        assert_eq!(extents.iter().collect::<Vec<_>>(), [extent(u32::MAX - 3, 4)]);
        assert_eq!(extents.ending_at(1 << 32), Some(extent(u32::MAX - 3, 4)));
        extents.remove(extent(u32::MAX - 1, 2));
        assert_eq!(extents.iter().collect::<Vec<_>>(), [extent(u32::MAX - 3, 2)]);
    }
}
