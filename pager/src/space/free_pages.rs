//! The pages that may be allocated, and which part of the file is *hot*: kept for the pages that commits rewrite often.
//!
//! Pages that live long and pages that live short do not mix: a leaf that settles among the pages of a run ends the run
//! for as long as the leaf lives. So the two kinds are given out of two sets. [`crate::space::hot`] says what is hot.

use std::collections::BTreeSet;

use crate::format::page_id::{Extent, PageId};
use crate::space::extent_set::ExtentSet;

/// Pages that are hot or not as a whole. Ranges are a multiple of it, so none crosses the end of a range.
pub(crate) const GRANULE: u32 = 16;

const _: () = assert!(crate::space::range::RANGE_PAGES.is_multiple_of(GRANULE));

/// A set of pages in two parts, by the granules that they belong to.
#[derive(Clone, Debug, Default)]
pub(crate) struct FreePages {
    cold: ExtentSet,
    hot: ExtentSet,
    granules: BTreeSet<u32>,
}

impl FreePages {
    /// Free pages outside the hot area.
    pub(crate) fn cold(&self) -> &ExtentSet {
        &self.cold
    }

    /// Free pages of the hot area.
    pub(crate) fn hot(&self) -> &ExtentSet {
        &self.hot
    }

    /// The granules of the hot area, ascending.
    pub(crate) fn granules(&self) -> &BTreeSet<u32> {
        &self.granules
    }

    /// Pages of the hot area, free or not.
    pub(crate) fn hot_area_pages(&self) -> u64 {
        self.granules.len() as u64 * u64::from(GRANULE)
    }

    /// Whether a page belongs to the hot area.
    pub(crate) fn is_hot(&self, page: PageId) -> bool {
        self.granules.contains(&granule_of(page))
    }

    /// Makes a granule hot.
    pub(crate) fn heat(&mut self, granule: u32) {
        if self.granules.insert(granule) {
            move_within(&mut self.cold, &mut self.hot, granule_extent(granule));
        }
    }

    /// Makes a granule like any other.
    pub(crate) fn cool(&mut self, granule: u32) {
        if self.granules.remove(&granule) {
            move_within(&mut self.hot, &mut self.cold, granule_extent(granule));
        }
    }

    /// Adds pages; those that are in the set already stay.
    pub(crate) fn insert(&mut self, extent: Extent) {
        let FreePages { cold, hot, granules } = self;
        for (part, is_hot) in parts(granules, extent) {
            if is_hot { hot.insert(part) } else { cold.insert(part) }
        }
    }

    /// Removes pages; those that are not in the set are passed over.
    pub(crate) fn remove(&mut self, extent: Extent) {
        let [cold, hot] = self.may_have(extent);
        if cold {
            self.cold.remove(extent);
        }
        if hot {
            self.hot.remove(extent);
        }
    }

    /// Whether any page of the extent is in the set.
    pub(crate) fn overlaps(&self, extent: Extent) -> bool {
        let [cold, hot] = self.may_have(extent);
        (cold && self.cold.overlaps(extent)) || (hot && self.hot.overlaps(extent))
    }

    /// Which of the two parts may have pages of an extent.
    fn may_have(&self, extent: Extent) -> [bool; 2] {
        let is_hot = self.is_hot(extent.first);
        let is_single = extent.count == 1;
        [!is_single || !is_hot, !is_single || is_hot]
    }

    /// How many pages are in the set.
    pub(crate) fn pages(&self) -> u64 {
        self.cold.pages() + self.hot.pages()
    }

    /// The extents, ascending, hot and other pages as one where they touch.
    pub(crate) fn extents(&self) -> Vec<Extent> {
        let hot: Vec<Extent> = self.hot.iter().collect();
        self.cold.united_with(&hot)
    }

    /// The extent that ends in front of this page id.
    pub(crate) fn ending_at(&self, end: u64) -> Option<Extent> {
        let mut first = end;
        while let Some(before) = self.cold.ending_at(first).or_else(|| self.hot.ending_at(first)) {
            first = before.first.0.into();
        }
        (first < end).then(|| Extent { first: PageId(first as u32), count: (end - first) as u32 })
    }

    /// An extent in parts that are hot as a whole, or not at all, ascending.
    pub(crate) fn parts(&self, extent: Extent) -> impl Iterator<Item = (Extent, bool)> {
        parts(&self.granules, extent)
    }
}

/// The granule of a page.
pub(crate) fn granule_of(page: PageId) -> u32 {
    page.0 / GRANULE
}

/// The pages of a granule.
pub(crate) fn granule_extent(granule: u32) -> Extent {
    Extent { first: PageId(granule * GRANULE), count: GRANULE }
}

fn parts(granules: &BTreeSet<u32>, extent: Extent) -> impl Iterator<Item = (Extent, bool)> {
    let mut first = u64::from(extent.first.0);
    let start_of = |granule: &u32| u64::from(*granule) * u64::from(GRANULE);
    std::iter::from_fn(move || {
        if first >= extent.end() {
            return None;
        }
        let granule = granule_of(PageId(first as u32));
        let is_hot = granules.contains(&granule);
        let mut end = start_of(&granule) + u64::from(GRANULE);
        if is_hot {
            while end < extent.end() && granules.contains(&granule_of(PageId(end as u32))) {
                end += u64::from(GRANULE);
            }
        } else {
            end = granules.range(granule..).next().map_or(u64::MAX, start_of);
        }
        let end = end.min(extent.end());
        let part = Extent { first: PageId(first as u32), count: (end - first) as u32 };
        first = end;
        Some((part, is_hot))
    })
}

fn move_within(from: &mut ExtentSet, to: &mut ExtentSet, extent: Extent) {
    let moved: Vec<Extent> = from.extents_within(extent).collect();
    for extent in moved {
        from.remove(extent);
        to.insert(extent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(first: u32, count: u32) -> Extent {
        Extent { first: PageId(first), count }
    }

    #[test]
    fn hot_and_other_pages_are_kept_apart_and_seen_as_one() {
        let mut free = FreePages::default();
        free.insert(extent(10, 100));
        [2, 3, 5].into_iter().for_each(|granule| free.heat(granule));
        assert_eq!(free.hot().iter().collect::<Vec<_>>(), [extent(32, 32), extent(80, 16)]);
        assert_eq!(free.cold().iter().collect::<Vec<_>>(), [extent(10, 22), extent(64, 16), extent(96, 14)]);
        assert_eq!(free.extents(), [extent(10, 100)]);
        assert_eq!((free.pages(), free.ending_at(110)), (100, Some(extent(10, 100))));
        free.remove(extent(40, 50));
        assert_eq!(free.hot().iter().collect::<Vec<_>>(), [extent(32, 8), extent(90, 6)]);
        free.insert(extent(35, 60));
        assert_eq!(free.extents(), [extent(10, 100)]);
        let parts: Vec<_> = free.parts(extent(30, 60)).collect();
        let expected =
            [(extent(30, 2), false), (extent(32, 32), true), (extent(64, 16), false), (extent(80, 10), true)];
        assert_eq!(parts, expected);
        [2, 3, 5].into_iter().for_each(|granule| free.cool(granule));
        assert_eq!((free.hot().pages(), free.cold().iter().collect::<Vec<_>>()), (0, vec![extent(10, 100)]));
    }

    #[test]
    fn an_extent_that_begins_in_one_part_is_looked_for_in_the_other_too() {
        let mut free = FreePages::default();
        free.heat(1);
        for (hot, cold) in [(extent(20, 4), extent(10, 2)), (extent(24, 4), extent(34, 2))] {
            let both = extent(hot.first.0.min(cold.first.0), 16);
            for one in [hot, cold] {
                free.insert(one);
                assert!(free.overlaps(both) && free.overlaps(one), "{one:?}");
                assert!(free.overlaps(Extent::single(one.first)), "{one:?}");
                free.remove(both);
                assert_eq!(free.pages(), 0, "{one:?}");
                free.insert(Extent::single(one.first));
                free.remove(Extent::single(one.first));
                assert!(!free.overlaps(both), "{one:?}");
            }
        }
    }

    #[test]
    fn the_last_granule_of_the_address_space_is_an_ordinary_one() {
        let mut free = FreePages::default();
        let last = granule_of(PageId(u32::MAX));
        free.heat(last);
        free.insert(extent(u32::MAX - 19, 20));
        assert_eq!(free.hot().iter().collect::<Vec<_>>(), [extent(u32::MAX - 15, 16)]);
        assert_eq!(free.cold().iter().collect::<Vec<_>>(), [extent(u32::MAX - 19, 4)]);
        assert_eq!(free.ending_at(1 << 32), Some(extent(u32::MAX - 19, 20)));
    }
}
