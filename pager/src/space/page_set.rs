//! A compressed set of page ids: at most 2 bytes a page, far less where pages follow one another.

use roaring::RoaringBitmap;

use crate::format::page_id::{Extent, PageId};

/// A set of page ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PageSet(RoaringBitmap);

impl PageSet {
    pub(crate) fn insert(&mut self, extent: Extent) {
        if extent.count == 1 {
            self.0.insert(extent.first.0);
        } else {
            self.0.insert_range(bounds(extent));
        }
    }

    pub(crate) fn remove(&mut self, extent: Extent) {
        if extent.count == 1 {
            self.0.remove(extent.first.0);
        } else {
            self.0.remove_range(bounds(extent));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pages are in the set.
    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether any page of the extent is in the set.
    pub(crate) fn overlaps(&self, extent: Extent) -> bool {
        if extent.count == 1 {
            self.0.contains(extent.first.0)
        } else {
            !self.0.is_empty() && self.0.range(bounds(extent)).next().is_some()
        }
    }

    /// Whether all pages of the extent are in the set.
    pub(crate) fn contains(&self, extent: Extent) -> bool {
        if extent.count == 1 {
            self.0.contains(extent.first.0)
        } else {
            self.0.contains_range(bounds(extent))
        }
    }

    /// The lowest page from `from` on.
    pub(crate) fn next(&self, from: PageId) -> Option<PageId> {
        self.0.range(from.0..).next().map(PageId)
    }

    /// The pages of both sets.
    pub(crate) fn intersection(&self, other: &PageSet) -> PageSet {
        PageSet(&self.0 & &other.0)
    }

    /// The pages within an extent.
    pub(crate) fn within(&self, extent: Extent) -> PageSet {
        let mut set = PageSet::default();
        for extent in self.extents_within(extent) {
            set.insert(extent);
        }
        set
    }

    /// Adds the pages of another set.
    pub(crate) fn insert_all(&mut self, other: &PageSet) {
        self.0 |= &other.0;
    }

    /// Removes the pages of another set.
    pub(crate) fn remove_all(&mut self, other: &PageSet) {
        self.0 -= &other.0;
    }

    /// The pages as extents, ascending, as long as possible.
    pub(crate) fn extents(&self) -> impl Iterator<Item = Extent> {
        runs(self.0.iter())
    }

    /// The pages within an extent, as extents, ascending, as long as possible.
    pub(crate) fn extents_within(&self, extent: Extent) -> impl Iterator<Item = Extent> {
        runs(self.0.range(bounds(extent)))
    }
}

fn bounds(extent: Extent) -> std::ops::RangeInclusive<u32> {
    extent.first.0..=extent.first.0 + (extent.count - 1)
}

fn runs(mut pages: roaring::bitmap::Iter<'_>) -> impl Iterator<Item = Extent> {
    std::iter::from_fn(move || {
        let run = pages.next_range()?;
        Some(Extent { first: PageId(*run.start()), count: run.end() - run.start() + 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(first: u32, count: u32) -> Extent {
        Extent { first: PageId(first), count }
    }

    /// Runs that cross the blocks of 65,536 in which the set is kept, sparse pages, and the last page of all.
    #[test]
    fn extents_come_back_whole_and_cut_to_their_bounds() {
        let mut set = PageSet::default();
        let extents =
            [extent(3, 1), extent(5, 70_000), extent(200_000, 1), extent(200_002, 5000), extent(u32::MAX, 1)];
        for extent in extents {
            set.insert(extent);
        }
        assert_eq!(set.extents().collect::<Vec<_>>(), extents);
        assert_eq!(set.len(), 1 + 70_000 + 1 + 5000 + 1);
        let within: Vec<_> = set.extents_within(extent(65_000, 135_003)).collect();
        assert_eq!(within, [extent(65_000, 5005), extent(200_000, 1), extent(200_002, 1)]);
        assert!(set.overlaps(extent(u32::MAX - 10, 11)) && !set.overlaps(extent(u32::MAX - 10, 10)));
        assert!(set.contains(extent(5, 70_000)) && !set.contains(extent(5, 70_001)));
        assert_eq!(set.next(PageId(70_005)), Some(PageId(200_000)));
        set.remove(extent(10, 69_000));
        assert_eq!(
            set.extents_within(extent(0, 70_000)).collect::<Vec<_>>(),
            [extent(3, 1), extent(5, 5), extent(69_010, 990)]
        );
    }
}
