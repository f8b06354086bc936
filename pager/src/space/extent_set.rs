//! Extents that may be allocated, found by place and by length.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::format::page_id::{Extent, PageId};

/// A set of pages, kept as maximal extents. Extents of different ranges never touch, since reserved places lie
/// between them, so no extent crosses the end of a range.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtentSet {
    by_place: BTreeMap<u32, u32>,
    by_length: BTreeSet<(u32, u32)>,
    pages: u64,
}

impl ExtentSet {
    /// Adds pages; those that are in the set already stay.
    pub(crate) fn insert(&mut self, extent: Extent) {
        let mut first = u64::from(extent.first.0);
        let mut end = extent.end();
        // Whatever overlaps or touches becomes one extent. It cannot begin behind the end of the new one.
        while let Some((&low, &count)) = self.by_place.range(..=clamp(end)).next_back() {
            let high = u64::from(low) + u64::from(count);
            if high < first {
                break;
            }
            self.drop_extent(low, count);
            first = first.min(u64::from(low));
            end = end.max(high);
        }
        self.add_extent(first as u32, (end - first) as u32);
    }

    /// Removes pages; those that are not in the set are passed over.
    pub(crate) fn remove(&mut self, extent: Extent) {
        let (first, end) = (u64::from(extent.first.0), extent.end());
        while let Some((&low, &count)) = self.by_place.range(..=clamp(end - 1)).next_back() {
            let high = u64::from(low) + u64::from(count);
            if high <= first {
                break;
            }
            self.drop_extent(low, count);
            if high > end {
                self.add_extent(end as u32, (high - end) as u32);
            }
            if u64::from(low) < first {
                self.add_extent(low, (first - u64::from(low)) as u32);
            }
        }
    }

    /// Whether any page of the extent is in the set.
    pub(crate) fn overlaps(&self, extent: Extent) -> bool {
        self.by_place
            .range(..=clamp(extent.end() - 1))
            .next_back()
            .is_some_and(|(&low, &count)| u64::from(low) + u64::from(count) > u64::from(extent.first.0))
    }

    /// How many extents there are.
    pub(crate) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// How many pages are in the set.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// The extents, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Extent> {
        self.by_place.iter().map(|(&first, &count)| Extent { first: PageId(first), count })
    }

    /// The pages within an extent, as extents, ascending.
    pub(crate) fn extents_within(&self, extent: Extent) -> impl Iterator<Item = Extent> {
        let (first, end) = (u64::from(extent.first.0), extent.end());
        let before = self.by_place.range(..extent.first.0).next_back();
        let inside = self.by_place.range(extent.first.0..=clamp(end - 1));
        before.into_iter().chain(inside).filter_map(move |(&low, &count)| {
            let low_end = (u64::from(low) + u64::from(count)).min(end);
            let low = u64::from(low).max(first);
            (low < low_end).then(|| Extent { first: PageId(low as u32), count: (low_end - low) as u32 })
        })
    }

    /// The extent that begins with this page.
    pub(crate) fn starting_at(&self, first: PageId) -> Option<Extent> {
        self.by_place.get(&first.0).map(|&count| Extent { first, count })
    }

    /// The extent that ends in front of this page id.
    pub(crate) fn ending_at(&self, end: u64) -> Option<Extent> {
        let (&first, &count) = self.by_place.range(..=clamp(end.checked_sub(1)?)).next_back()?;
        let extent = Extent { first: PageId(first), count };
        (extent.end() == end).then_some(extent)
    }

    /// The shortest extent of at least `count` pages, the lowest of those.
    pub(crate) fn shortest(&self, count: u32) -> Option<Extent> {
        self.by_length(count).next()
    }

    /// The extents of at least `count` pages, the shortest first, and of the same length the lowest.
    pub(crate) fn by_length(&self, count: u32) -> impl Iterator<Item = Extent> {
        self.by_length.range((count, 0)..).map(by_length)
    }

    /// The longest extent.
    pub(crate) fn longest(&self) -> Option<Extent> {
        self.by_length.last().map(by_length)
    }

    fn add_extent(&mut self, first: u32, count: u32) {
        self.by_place.insert(first, count);
        self.by_length.insert((count, first));
        self.pages += u64::from(count);
    }

    fn drop_extent(&mut self, first: u32, count: u32) {
        self.by_place.remove(&first);
        self.by_length.remove(&(count, first));
        self.pages -= u64::from(count);
    }
}

/// Merges two ascending sequences of extents into one, ascending, that has what touches or overlaps as one extent.
pub(crate) fn union(
    mut left: impl Iterator<Item = Extent>,
    mut right: impl Iterator<Item = Extent>,
) -> impl Iterator<Item = Extent> {
    // Where the next extent begins and ends. Behind the last one comes one that begins behind all pages.
    const NONE: (u64, u64) = (u64::MAX, u64::MAX);
    let bounds = |extent: Option<Extent>| extent.map_or(NONE, |extent| (extent.first.0.into(), extent.end()));
    let (mut low, mut high) = (bounds(left.next()), bounds(right.next()));
    std::iter::from_fn(move || {
        let first = low.0.min(high.0);
        if first == NONE.0 {
            return None;
        }
        let mut end = first;
        loop {
            if low.0 <= end {
                end = end.max(low.1);
                low = bounds(left.next());
            } else if high.0 <= end {
                end = end.max(high.1);
                high = bounds(right.next());
            } else {
                return Some(Extent { first: PageId(first as u32), count: (end - first) as u32 });
            }
        }
    })
}

/// Merges any number of ascending sequences of extents into one, ascending. What touches or overlaps stays apart.
pub(crate) fn merged<'a>(
    mut sources: Vec<Box<dyn Iterator<Item = Extent> + 'a>>,
) -> impl Iterator<Item = Extent> + 'a {
    let mut heads = BinaryHeap::new();
    for (source, extents) in sources.iter_mut().enumerate() {
        heads.extend(extents.next().map(|extent| Reverse((extent, source))));
    }
    std::iter::from_fn(move || {
        let Reverse((extent, source)) = heads.pop()?;
        heads.extend(sources[source].next().map(|extent| Reverse((extent, source))));
        Some(extent)
    })
}

fn by_length(&(count, first): &(u32, u32)) -> Extent {
    Extent { first: PageId(first), count }
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
            let longest = all.iter().map(|extent| extent.count).max();
            assert_eq!(extents.longest().map(|extent| extent.count), longest, "step {step}");
            let fitting = all.iter().filter(|extent| extent.count >= 3).min_by_key(|extent| extent.count);
            assert_eq!(extents.shortest(3).as_ref(), fitting, "step {step}");
            assert_eq!(extents.ending_at(some.end()).is_some(), all.iter().any(|e| e.end() == some.end()));
            let within: Vec<_> = naive.extents_within(some).collect();
            assert_eq!(extents.extents_within(some).collect::<Vec<_>>(), within, "step {step}");
        }
    }

    #[test]
    fn united_extents_are_those_of_the_union() {
        let lists = [
            vec![extent(1, 2), extent(10, 5), extent(u32::MAX - 3, 4)],
            vec![],
            vec![extent(3, 1), extent(12, 9), extent(30, 1)],
            vec![extent(10, 1), extent(11, 1), extent(40, 2)],
        ];
        for split in 0..=lists.len() {
            let sources = |lists: &[Vec<Extent>]| {
                merged(
                    lists
                        .iter()
                        .map(|list| -> Box<dyn Iterator<Item = Extent>> {
                            Box::new(list.clone().into_iter())
                        })
                        .collect(),
                )
            };
            let (left, right) = lists.split_at(split);
            assert_eq!(
                union(sources(left), sources(right)).collect::<Vec<_>>(),
                [extent(1, 3), extent(10, 11), extent(30, 1), extent(40, 2), extent(u32::MAX - 3, 4)],
                "{split} lists on the left"
            );
        }
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
