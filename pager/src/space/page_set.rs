//! A compressed set of page ids: at most 2 bytes a page, far less where pages follow one another.

use roaring::RoaringBitmap;

use crate::format::page_id::{Extent, PageId};

/// A set of page ids. It knows how many there are: the bitmap would count its runs, each time it is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PageSet {
    pages: RoaringBitmap,
    len: u64,
}

impl PageSet {
    pub(crate) fn insert(&mut self, extent: Extent) {
        self.len += if extent.count == 1 {
            self.pages.insert(extent.first.0).into()
        } else {
            self.pages.insert_range(bounds(extent))
        };
    }

    pub(crate) fn remove(&mut self, extent: Extent) {
        self.len -= if extent.count == 1 {
            self.pages.remove(extent.first.0).into()
        } else {
            self.pages.remove_range(bounds(extent))
        };
    }

    pub(crate) fn clear(&mut self) {
        *self = PageSet::default();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many pages are in the set.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether any page of the extent is in the set.
    pub(crate) fn overlaps(&self, extent: Extent) -> bool {
        if extent.count == 1 {
            self.pages.contains(extent.first.0)
        } else {
            self.len > 0 && self.pages.range(bounds(extent)).next().is_some()
        }
    }

    /// Whether all pages of the extent are in the set.
    pub(crate) fn contains(&self, extent: Extent) -> bool {
        if extent.count == 1 {
            self.pages.contains(extent.first.0)
        } else {
            self.pages.contains_range(bounds(extent))
        }
    }

    /// The lowest page from `from` on.
    pub(crate) fn next(&self, from: PageId) -> Option<PageId> {
        self.pages.range(from.0..).next().map(PageId)
    }

    /// The pages of both sets.
    pub(crate) fn intersection(&self, other: &PageSet) -> PageSet {
        PageSet::from(&self.pages & &other.pages)
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
        self.pages |= &other.pages;
        self.len = self.pages.len();
    }

    /// Removes the pages of another set.
    pub(crate) fn remove_all(&mut self, other: &PageSet) {
        self.pages -= &other.pages;
        self.len = self.pages.len();
    }

    /// The pages as extents, ascending, as long as possible.
    pub(crate) fn extents(&self) -> impl Iterator<Item = Extent> {
        runs(self.pages.iter())
    }

    /// The pages within an extent, as extents, ascending, as long as possible.
    pub(crate) fn extents_within(&self, extent: Extent) -> impl Iterator<Item = Extent> {
        runs(self.pages.range(bounds(extent)))
    }
}

impl From<RoaringBitmap> for PageSet {
    fn from(pages: RoaringBitmap) -> PageSet {
        PageSet { len: pages.len(), pages }
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

    #[test]
    fn the_length_counts_each_page_once_whatever_is_done() {
        let mut set = PageSet::default();
        let check = |set: &PageSet, len: u64| {
            let counted: u64 = set.extents().map(|extent| u64::from(extent.count)).sum();
            assert_eq!((set.len(), counted, set.is_empty()), (len, len, len == 0));
        };
        for (first, count, len) in [(10, 1, 1), (10, 1, 1), (8, 5, 5), (12, 100_000, 100_004)] {
            set.insert(extent(first, count));
            check(&set, len);
        }
        let mut other = PageSet::default();
        other.insert(extent(100_000, 50_000));
        check(&set.intersection(&other), 12);
        let mut both = set.clone();
        both.insert_all(&other);
        check(&both, 149_992);
        both.remove_all(&set);
        check(&both, 49_988);
        for (first, count, len) in [(8, 1, 100_003), (8, 1, 100_003), (0, 20, 99_992), (20, 200_000, 0)] {
            set.remove(extent(first, count));
            check(&set, len);
        }
        other.clear();
        check(&other, 0);
    }
}
