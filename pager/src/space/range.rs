//! Ranges: how the file is divided for the space map, and where the map's own pages are.
//!
//! A range is as many pages as one leaf of the map has bits. Every range begins with the *reserved places* of the
//! map pages that belong to it, two for each, which are never allocated:
//!
//! ```text
//! range 0      | header 0 | header 1 | leaf | leaf | level 1 | level 1 | level 2 | level 2 | usable from 8 ..
//! range r      | leaf | leaf | usable ..
//!   r % 254   == 0: two more places, for the directory of level 1 that covers ranges r .. r + 254
//!   r % 254^2 == 0: two more again, for the directory of level 2 that covers ranges r .. r + 254^2
//! ```
//!
//! # Why fixed places, and why two
//!
//! If map pages were allocated like others, writing the map would change the map. With fixed places it does not.
//! A map page's versions alternate between its two places: a new version is written to the place that does not
//! hold the version of the commit before. Two places suffice for INV-2 because only one commit is in flight, and
//! nothing of the next one is written before the flush of that one has returned. So when commit N+1 overwrites
//! the place that commit N-1 used, commit N is durable, and it refers to the other place or to neither. Operations
//! in flight never read map pages: only the writer does, and it reads the newest version.
//!
//! A map page that would mark nothing is not written at all: its parent's entry is empty, and the commit that
//! next needs it may take either place, since the durable commit before it refers to none.
//!
//! No extent of usable pages crosses the end of a range, since the next range begins with reserved places.

use crate::format::page::PAYLOAD_SIZE;
use crate::format::page_id::{Extent, PageId};

/// Pages in a range: one bit each in the payload of a leaf.
pub(crate) const RANGE_PAGES: u32 = PAYLOAD_SIZE as u32 * 8;
/// Children of a directory page.
pub(crate) const FAN_OUT: usize = 254;
/// Levels of map pages: leaves, directories of level 1 and of level 2.
pub(crate) const LEVELS: u8 = 3;
/// The first page of a file that is not reserved; an empty file ends here.
pub(crate) const FIRST_USABLE: u64 = 8;
/// The longest extent that can exist.
pub(crate) const LONGEST_EXTENT: u32 = RANGE_PAGES - PLACES as u32;
/// The page count of the largest file.
pub(crate) const PAGE_COUNT_MAX: u64 = 1 << 32;

/// Places of each map page.
const PLACES: u64 = 2;
/// Pages 0 and 1, in front of the places of range 0.
const HEADERS: u64 = 2;

const _: () = assert!(RANGE_PAGES == 32_512);
const _: () = assert!(FIRST_USABLE == HEADERS + PLACES * LEVELS as u64);

/// The range that a page belongs to.
pub(crate) fn range_of(page: PageId) -> u32 {
    page.0 / RANGE_PAGES
}

/// Where in its range a page is.
pub(crate) fn offset_in_range(page: PageId) -> u32 {
    page.0 % RANGE_PAGES
}

/// The extent that covers `count` pages of a range, from an offset in it.
pub(crate) fn extent_in_range(range: u32, offset: u32, count: u32) -> Extent {
    Extent { first: PageId((range_start(range) + u64::from(offset)) as u32), count }
}

/// The id of the first page of a range, which is 2^32 or more for a range beyond the address space.
pub(crate) fn range_start(range: u32) -> u64 {
    u64::from(range) * u64::from(RANGE_PAGES)
}

/// The id after the last page of a range. The last range of the address space is cut short.
pub(crate) fn range_end(range: u32) -> u64 {
    (range_start(range) + u64::from(RANGE_PAGES)).min(PAGE_COUNT_MAX)
}

/// The first page of a range that is not reserved.
pub(crate) fn usable_start(range: u32) -> u64 {
    let mut places = PLACES;
    for level in 1..LEVELS {
        if range.is_multiple_of(span(level)) {
            places += PLACES;
        }
    }
    if range == 0 {
        places += HEADERS;
    }
    range_start(range) + places
}

/// Every page of a range, reserved ones included. The range must begin within the address space.
pub(crate) fn whole_range(range: u32) -> Extent {
    let count = range_end(range) - range_start(range);
    Extent { first: PageId(range_start(range) as u32), count: count as u32 }
}

/// The places of map pages in a file of `page_count` pages.
pub(crate) fn reserved_extents(page_count: u64) -> impl Iterator<Item = Extent> {
    let ranges = page_count.div_ceil(u64::from(RANGE_PAGES)) as u32;
    (0..ranges).map(move |range| {
        // The headers stand before the places of the first range, and are not among them.
        let first = range_start(range).max(HEADERS);
        Extent { first: PageId(first as u32), count: (usable_start(range).min(page_count) - first) as u32 }
    })
}

/// Whether all pages of an extent may hold data in a file of `page_count` pages.
pub(crate) fn is_usable(extent: Extent, page_count: u64) -> bool {
    let range = range_of(extent.first);
    extent.count > 0
        && u64::from(extent.first.0) >= usable_start(range)
        && extent.end() <= range_end(range).min(page_count)
}

/// How many pages of a range may hold data in a file of `page_count` pages.
pub(crate) fn usable_pages(range: u32, page_count: u64) -> u32 {
    range_end(range).min(page_count).saturating_sub(usable_start(range)) as u32
}

/// Whether a file can have this many pages: at least an empty file's, and no part of a range's reserved places.
pub(crate) fn is_page_count(page_count: u64) -> bool {
    if !(FIRST_USABLE..=PAGE_COUNT_MAX).contains(&page_count) {
        return false;
    }
    let last = range_of(PageId((page_count - 1) as u32));
    page_count >= usable_start(last)
}

/// How many ranges a map page of this level covers.
pub(crate) fn span(level: u8) -> u32 {
    (FAN_OUT as u32).pow(u32::from(level))
}

/// The first range that the map page `index` of this level covers.
pub(crate) fn first_range(level: u8, index: u32) -> u32 {
    index * span(level)
}

/// Where a version of the map page `index` of this level is. The page's first range must begin within the
/// address space.
pub(crate) fn map_page(level: u8, index: u32, place: u8) -> PageId {
    let range = first_range(level, index);
    let headers = if range == 0 { HEADERS } else { 0 };
    PageId((range_start(range) + headers + PLACES * u64::from(level) + u64::from(place)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file format is a promise.
    #[test]
    fn reserved_places_are_the_documented_ones() {
        assert_eq!([map_page(0, 0, 0), map_page(0, 0, 1)], [PageId(2), PageId(3)]);
        assert_eq!([map_page(1, 0, 0), map_page(1, 0, 1)], [PageId(4), PageId(5)]);
        assert_eq!([map_page(2, 0, 0), map_page(2, 0, 1)], [PageId(6), PageId(7)]);
        assert_eq!([map_page(0, 1, 0), map_page(0, 1, 1)], [PageId(32_512), PageId(32_513)]);
        assert_eq!(usable_start(1), 32_514);
        let group = 254 * 32_512;
        assert_eq!([map_page(0, 254, 1), map_page(1, 1, 0)], [PageId(group + 1), PageId(group + 2)]);
        assert_eq!(usable_start(254), u64::from(group) + 4);
        let super_group = 254 * 254 * 32_512;
        assert_eq!(map_page(2, 1, 1), PageId(super_group + 5));
        assert_eq!(usable_start(254 * 254), u64::from(super_group) + 6);
    }

    #[test]
    fn no_two_map_pages_share_a_place_and_none_is_usable() {
        let mut places = std::collections::HashSet::from([PageId(0), PageId(1)]);
        let last = range_of(PageId(u32::MAX));
        for level in 0..LEVELS {
            for index in (0..).take_while(|index| first_range(level, *index) <= last) {
                for place in 0..2 {
                    let page = map_page(level, index, place);
                    assert!(places.insert(page), "{page:?} is given twice");
                    assert!(!is_usable(Extent::single(page), PAGE_COUNT_MAX), "{page:?}");
                }
            }
        }
        let reserved: u64 = (0..=last).map(|range| usable_start(range) - range_start(range)).sum();
        assert_eq!(places.len() as u64, reserved);
    }

    #[test]
    fn the_last_range_ends_with_the_address_space() {
        let last = range_of(PageId(u32::MAX));
        assert_eq!(range_end(last), PAGE_COUNT_MAX);
        assert_eq!(whole_range(last).end(), PAGE_COUNT_MAX);
        assert!(is_usable(Extent::single(PageId(u32::MAX)), PAGE_COUNT_MAX));
        assert!(is_page_count(PAGE_COUNT_MAX) && !is_page_count(PAGE_COUNT_MAX + 1));
    }

    #[test]
    fn a_page_count_never_cuts_reserved_places_in_two() {
        assert!(!is_page_count(7) && is_page_count(8) && is_page_count(32_512));
        assert!(!is_page_count(32_513) && is_page_count(32_514));
    }
}
