//! The bytes of the free-space pages: the space root, and the leaves and directories of the space map.
//!
//! Every free page of a file is either *listed* in the space root or *marked* in a leaf of the map, never both.
//! The list holds what was freed lately and is reused first, so that a small commit writes the root and no map page.
//!
//! # Layout
//!
//! Offsets are within the payload. Integers are little-endian.
//!
//! The space root, kind [`PageKind::SPACE_ROOT`], level 0:
//!
//! ```text
//! offset  size      field          meaning
//! ------  --------  -------------  ---------------------------------------------------------------
//!      0     1      height         0: nothing is marked; h: the entries describe map pages of level h - 1
//!      1     1      zero
//!      2     2      extent count   listed extents, up to 475
//!      4     4      zero
//!      8   16 * 16  entries        of the first 16 map pages of level height - 1
//!    264  475 * 8   extents        first page u32, count u32; ascending, apart from one another; then zeros
//! ```
//!
//! A leaf, kind [`PageKind::SPACE_MAP`], level 0: 4064 bytes, one bit for each page of its range, see
//! [`crate::space::bits`].
//!
//! A directory, kind [`PageKind::SPACE_MAP`], level 1 or 2: 254 entries for its children, the map pages
//! of the level below.
//!
//! An entry:
//!
//! ```text
//! offset  size  field        meaning
//! ------  ----  -----------  ---------------------------------------------------------------
//!      0     8  birth        of the child's current version; 0: nothing is free below, there is no version
//!      8     4  free pages   marked below
//!     12     2  longest run  of marked pages within one leaf below
//!     14     1  place        which of the child's two places holds the current version, 0 or 1
//!     15     1  zero
//! ```
//!
//! # Reading
//!
//! What a page says is believed only after [`SpaceRoot::decode`], [`decode_directory`] or [`decode_leaf`] found that
//! it agrees with itself, with the entry that led to it and with the page count. Afterwards nothing can be out
//! of bounds: no extent and no marked page is reserved, beyond the end of the file or part of two ranges.
//! That no page is free and in use at once is seen only by a walk over the whole file.

use crate::error::Corruption;
use crate::format::page::{PAYLOAD_SIZE, Page, PageKind};
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::space::bits::RangeBits;
use crate::space::range::{
    FAN_OUT, LEVELS, first_range, is_usable, map_page, range_start, usable_pages, usable_start,
};

/// Entries in the space root.
pub(crate) const ROOT_FAN_OUT: usize = 16;
/// Extents that fit the space root's list.
pub(crate) const LIST_CAPACITY: usize = 475;

pub(super) const HEIGHT: usize = 0;
pub(super) const EXTENT_COUNT: usize = 2;
pub(super) const ENTRIES: usize = 8;
pub(super) const EXTENTS: usize = ENTRIES + ROOT_FAN_OUT * Entry::SIZE;
pub(super) const EXTENT_SIZE: usize = 8;
const _: () = assert!(EXTENTS + LIST_CAPACITY * EXTENT_SIZE == PAYLOAD_SIZE);
const _: () = assert!(FAN_OUT * Entry::SIZE == PAYLOAD_SIZE);
// The whole address space is within the root's reach.
const _: () = assert!(ROOT_FAN_OUT * FAN_OUT * FAN_OUT * PAYLOAD_SIZE * 8 >= 1 << 32);

/// The children of a directory page.
pub(crate) type Directory = [Entry; FAN_OUT];

/// What a parent knows of a map page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Of the current version; 0 if there is none.
    pub(crate) birth: Birth,
    /// How many pages are marked below.
    pub(crate) free: u32,
    /// The longest run of marked pages within one leaf below.
    pub(crate) longest: u16,
    /// Which of the two places holds the current version.
    pub(crate) place: u8,
}

impl Entry {
    /// Nothing is marked below, and there is no map page.
    pub(crate) const EMPTY: Entry = Entry { birth: Birth(0), free: 0, longest: 0, place: 0 };
    pub(super) const SIZE: usize = 16;

    pub(crate) fn is_empty(&self) -> bool {
        self.free == 0
    }

    /// The version of map page `index` of this level that the entry describes, which must not be empty.
    pub(crate) fn ptr(&self, level: u8, index: u32) -> PagePtr {
        PagePtr { id: map_page(level, index, self.place), birth: self.birth }
    }

    fn encode(&self, bytes: &mut [u8]) {
        bytes[..8].copy_from_slice(&self.birth.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.free.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.longest.to_le_bytes());
        bytes[14] = self.place;
        bytes[15] = 0;
    }

    /// Reads the entry of map page `index` of this level, in a parent of birth `parent`.
    fn decode(
        bytes: &[u8],
        level: u8,
        index: u32,
        parent: Birth,
        page_count: u64,
    ) -> Result<Entry, Corruption> {
        let entry = Entry {
            birth: Birth(u64::from_le_bytes(field(bytes, 0))),
            free: u32::from_le_bytes(field(bytes, 8)),
            longest: u16::from_le_bytes(field(bytes, 12)),
            place: bytes[14],
        };
        if bytes[15] != 0 {
            return refuse("entry padding", bytes[15]);
        }
        if entry.birth.0 == 0 {
            return if entry == Entry::EMPTY { Ok(entry) } else { refuse("entry without birth", entry.free) };
        }
        if entry.birth > parent {
            return refuse("entry birth", entry.birth.0);
        }
        if entry.place > 1 {
            return refuse("entry place", entry.place);
        }
        let first = first_range(level, index);
        if range_start(first) >= page_count {
            return refuse("entry beyond the end", first);
        }
        // Leaves are held to what their range can hold; a sum is checked where the parts are known.
        let free_max = if level == 0 { usable_pages(first, page_count) } else { u32::MAX };
        if entry.free == 0 || entry.free > free_max {
            return refuse("entry free pages", entry.free);
        }
        if entry.longest == 0 || u32::from(entry.longest) > entry.free {
            return refuse("entry longest run", entry.longest);
        }
        Ok(entry)
    }
}

/// The sum of some children: how many pages are marked, and the longest run.
pub(crate) fn summary(entries: &[Entry]) -> (u64, u16) {
    let free = entries.iter().map(|entry| u64::from(entry.free)).sum();
    let longest = entries.iter().map(|entry| entry.longest).max().unwrap_or(0);
    (free, longest)
}

/// The contents of the space root page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpaceRoot {
    /// Levels of map pages in use.
    pub(crate) height: u8,
    /// The map pages of level `height - 1`.
    pub(crate) entries: [Entry; ROOT_FAN_OUT],
    /// Free pages that are not marked in the map; at most [`LIST_CAPACITY`] extents.
    pub(crate) listed: Vec<Extent>,
}

impl SpaceRoot {
    /// Reads the root of a file with `page_count` pages, a number that [`is_page_count`](crate::space::range::is_page_count).
    pub(crate) fn decode(page: &Page, page_count: u64) -> Result<SpaceRoot, Corruption> {
        check_kind(page, PageKind::SPACE_ROOT, 0)?;
        if !is_usable(Extent::single(page.id()), page_count) {
            return refuse("root page", page.id().0);
        }
        let payload = page.payload();
        let height = payload[HEIGHT];
        if height > LEVELS {
            return refuse("map height", height);
        }
        if let Some(padding) = [1, 4, 5, 6, 7].into_iter().find(|offset| payload[*offset] != 0) {
            return refuse("root padding", payload[padding]);
        }
        let entries = decode_root_entries(&payload[ENTRIES..EXTENTS], height, page.birth(), page_count)?;
        let count = u16::from_le_bytes(field(payload, EXTENT_COUNT));
        if usize::from(count) > LIST_CAPACITY {
            return refuse("extent count", count);
        }
        let (used, rest) = payload[EXTENTS..].split_at(usize::from(count) * EXTENT_SIZE);
        let listed = decode_extents(used, page.id(), page_count)?;
        match rest.iter().find(|byte| **byte != 0) {
            Some(byte) => refuse("extent padding", *byte),
            None => Ok(SpaceRoot { height, entries, listed }),
        }
    }
}

fn decode_root_entries(
    bytes: &[u8],
    height: u8,
    birth: Birth,
    page_count: u64,
) -> Result<[Entry; ROOT_FAN_OUT], Corruption> {
    let mut entries = [Entry::EMPTY; ROOT_FAN_OUT];
    if height == 0 {
        return match bytes.iter().find(|byte| **byte != 0) {
            Some(byte) => refuse("entry of no map", *byte),
            None => Ok(entries),
        };
    }
    for (index, bytes) in bytes.chunks_exact(Entry::SIZE).enumerate() {
        entries[index] = Entry::decode(bytes, height - 1, index as u32, birth, page_count)?;
    }
    let (free, _) = summary(&entries);
    if free >= page_count {
        return refuse("free pages", free);
    }
    Ok(entries)
}

fn decode_extents(bytes: &[u8], root: PageId, page_count: u64) -> Result<Vec<Extent>, Corruption> {
    let mut extents = Vec::with_capacity(bytes.len() / EXTENT_SIZE);
    let mut end = 0;
    for bytes in bytes.chunks_exact(EXTENT_SIZE) {
        let first = u32::from_le_bytes(field(bytes, 0));
        let extent = Extent { first: PageId(first), count: u32::from_le_bytes(field(bytes, 4)) };
        if !is_usable(extent, page_count) {
            return refuse("listed extent's count", extent.count);
        }
        // Page 0 is reserved, so the first extent passes too.
        if u64::from(first) <= end {
            return refuse("listed extent's place", first);
        }
        if extent.contains(root) {
            return refuse("listed root", root.0);
        }
        end = extent.end();
        extents.push(extent);
    }
    Ok(extents)
}

/// Makes `page` the space root of this state, see [`SpaceRoot`].
pub(crate) fn encode_root(
    height: u8,
    entries: &[Entry; ROOT_FAN_OUT],
    listed: &[Extent],
    ptr: PagePtr,
    page: &mut Page,
) {
    assert!(listed.len() <= LIST_CAPACITY, "the list of free extents overflows the space root");
    page.format(ptr.id, ptr.birth, PageKind::SPACE_ROOT, 0);
    let payload = page.payload_mut();
    payload[HEIGHT] = height;
    payload[EXTENT_COUNT..EXTENT_COUNT + 2].copy_from_slice(&(listed.len() as u16).to_le_bytes());
    for (entry, bytes) in entries.iter().zip(payload[ENTRIES..].chunks_exact_mut(Entry::SIZE)) {
        entry.encode(bytes);
    }
    for (extent, bytes) in listed.iter().zip(payload[EXTENTS..].chunks_exact_mut(EXTENT_SIZE)) {
        bytes[..4].copy_from_slice(&extent.first.0.to_le_bytes());
        bytes[4..].copy_from_slice(&extent.count.to_le_bytes());
    }
}

/// Makes `page` a directory of this level (1 or 2).
pub(crate) fn encode_directory(entries: &Directory, level: u8, ptr: PagePtr, page: &mut Page) {
    page.format(ptr.id, ptr.birth, PageKind::SPACE_MAP, level);
    for (entry, bytes) in entries.iter().zip(page.payload_mut().chunks_exact_mut(Entry::SIZE)) {
        entry.encode(bytes);
    }
}

/// Reads directory `index` of this level, which `entry` describes.
pub(crate) fn decode_directory(
    page: &Page,
    level: u8,
    index: u32,
    entry: &Entry,
    page_count: u64,
) -> Result<Box<Directory>, Corruption> {
    check_kind(page, PageKind::SPACE_MAP, level)?;
    let mut entries = Box::new([Entry::EMPTY; FAN_OUT]);
    for (child, bytes) in page.payload().chunks_exact(Entry::SIZE).enumerate() {
        let child_index = index * FAN_OUT as u32 + child as u32;
        entries[child] = Entry::decode(bytes, level - 1, child_index, page.birth(), page_count)?;
    }
    let (free, longest) = summary(&*entries);
    check_summary(free, longest.into(), entry)?;
    Ok(entries)
}

/// Makes `page` a leaf.
pub(crate) fn encode_leaf(bits: &RangeBits, ptr: PagePtr, page: &mut Page) {
    page.format(ptr.id, ptr.birth, PageKind::SPACE_MAP, 0);
    bits.to_payload(page.payload_mut());
}

/// Reads the leaf of a range, which `entry` describes.
pub(crate) fn decode_leaf(
    page: &Page,
    range: u32,
    entry: &Entry,
    page_count: u64,
) -> Result<RangeBits, Corruption> {
    check_kind(page, PageKind::SPACE_MAP, 0)?;
    let bits = RangeBits::from_payload(page.payload());
    check_summary(bits.count().into(), bits.longest_run(), entry)?;
    let usable = usable_start(range) - range_start(range);
    let mut allowed = RangeBits::new();
    let _ = allowed.set(usable as u32, usable_pages(range, page_count));
    match bits.first_beyond(&allowed) {
        Some(offset) => refuse("marked page", range_start(range) + u64::from(offset)),
        None => Ok(bits),
    }
}

/// That a map page marks what its parent's entry says.
fn check_summary(free: u64, longest: u32, entry: &Entry) -> Result<(), Corruption> {
    if free != u64::from(entry.free) {
        return refuse("marked pages", free);
    }
    if longest != u32::from(entry.longest) {
        return refuse("longest marked run", longest);
    }
    Ok(())
}

fn check_kind(page: &Page, kind: PageKind, level: u8) -> Result<(), Corruption> {
    if page.kind() != kind {
        return Err(Corruption::Kind { found: page.kind().0, expected: kind.0 });
    }
    if page.level() != level {
        return refuse("level", page.level());
    }
    Ok(())
}

/// Where two free-space pages, or a page and the state in memory, claim the same page.
pub(crate) fn free_twice(extent: Extent) -> Corruption {
    Corruption::SpaceField { field: "page that is free twice", value: u64::from(extent.first.0) }
}

fn refuse<T>(field: &'static str, value: impl Into<u64>) -> Result<T, Corruption> {
    Err(Corruption::SpaceField { field, value: value.into() })
}

fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::range::RANGE_PAGES;

    const PTR: PagePtr = PagePtr { id: PageId(20), birth: Birth(0x0807_0605_0403_0201) };
    const PAGE_COUNT: u64 = 60 * RANGE_PAGES as u64;

    fn entry(free: u32, longest: u16, place: u8) -> Entry {
        Entry { birth: Birth(0x0807_0605_0403_0201), free, longest, place }
    }

    fn extent(first: u32, count: u32) -> Extent {
        Extent { first: PageId(first), count }
    }

    fn root() -> SpaceRoot {
        let mut entries = [Entry::EMPTY; ROOT_FAN_OUT];
        entries[0] = entry(0x0403, 0x0201, 1);
        SpaceRoot { height: 2, entries, listed: vec![extent(0x0100, 3), extent(0x0201, 0x0102)] }
    }

    fn encoded(root: &SpaceRoot) -> Box<Page> {
        let mut page = Page::boxed();
        encode_root(root.height, &root.entries, &root.listed, PTR, &mut page);
        page
    }

    /// The file format is a promise. If one of these fails, bump the version and write the upgrade.
    #[test]
    fn root_bytes_are_the_documented_ones() {
        let page = encoded(&root());
        let mut expected = [0; PAYLOAD_SIZE];
        expected[..8].copy_from_slice(&[2, 0, 2, 0, 0, 0, 0, 0]);
        expected[8..24].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 3, 4, 0, 0, 1, 2, 1, 0]);
        expected[264..280].copy_from_slice(&[0, 1, 0, 0, 3, 0, 0, 0, 1, 2, 0, 0, 2, 1, 0, 0]);
        assert_eq!(page.payload(), &expected);
        assert_eq!((page.id(), page.birth()), (PTR.id, PTR.birth));
        assert_eq!((page.kind(), page.level()), (PageKind::SPACE_ROOT, 0));
        assert_eq!(SpaceRoot::decode(&page, PAGE_COUNT), Ok(root()));
    }

    #[test]
    fn directory_bytes_are_the_documented_ones() {
        let mut entries = [Entry::EMPTY; FAN_OUT];
        entries[1] = entry(0x0403, 0x0201, 1);
        let mut page = Page::boxed();
        encode_directory(&entries, 1, PTR, &mut page);
        let mut expected = [0; PAYLOAD_SIZE];
        expected[16..32].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 3, 4, 0, 0, 1, 2, 1, 0]);
        assert_eq!(page.payload(), &expected);
        assert_eq!((page.kind(), page.level()), (PageKind::SPACE_MAP, 1));
        let sum = entry(0x0403, 0x0201, 0);
        assert_eq!(*decode_directory(&page, 1, 0, &sum, PAGE_COUNT).expect("valid"), entries);
    }

    #[test]
    fn leaf_bytes_are_the_documented_ones() {
        let mut bits = RangeBits::new();
        assert!(bits.set(9, 2) && bits.set(20, 1));
        let mut page = Page::boxed();
        encode_leaf(&bits, PTR, &mut page);
        let mut expected = [0; PAYLOAD_SIZE];
        expected[1..3].copy_from_slice(&[0b110, 0b1_0000]);
        assert_eq!(page.payload(), &expected);
        assert_eq!((page.kind(), page.level()), (PageKind::SPACE_MAP, 0));
        assert!(decode_leaf(&page, 0, &entry(3, 2, 0), PAGE_COUNT).expect("valid") == bits);
    }

    #[test]
    fn a_full_list_fits_the_root() {
        let listed: Vec<Extent> = (0..LIST_CAPACITY as u32).map(|i| extent(100 + 3 * i, 2)).collect();
        let root = SpaceRoot { listed, ..root() };
        assert_eq!(SpaceRoot::decode(&encoded(&root), PAGE_COUNT), Ok(root));
    }

    /// Damages a valid root, and names the check that must refuse it.
    #[track_caller]
    fn check_root_refused(damage: impl FnOnce(&mut SpaceRoot), field: &str) {
        let mut root = root();
        damage(&mut root);
        check_field(SpaceRoot::decode(&encoded(&root), PAGE_COUNT), field);
    }

    #[track_caller]
    fn check_field<T>(decoded: Result<T, Corruption>, expected: &str) {
        match decoded {
            Err(Corruption::SpaceField { field, .. }) => assert_eq!(field, expected),
            Err(other) => panic!("{expected} expected, but {other}"),
            Ok(_) => panic!("{expected} passed"),
        }
    }

    #[test]
    fn a_root_that_contradicts_itself_is_refused() {
        check_root_refused(|root| root.height = 4, "map height");
        check_root_refused(|root| root.height = 0, "entry of no map");
        check_root_refused(|root| root.entries[0].birth.0 += 1, "entry birth");
        check_root_refused(|root| root.entries[0].birth.0 = 0, "entry without birth");
        check_root_refused(|root| root.entries[0].place = 2, "entry place");
        check_root_refused(|root| root.entries[0].free = 0, "entry free pages");
        check_root_refused(|root| root.entries[0].longest = 0x0404, "entry longest run");
        check_root_refused(|root| root.entries[1] = root.entries[0], "entry beyond the end");
        check_root_refused(|root| root.entries[0].free = PAGE_COUNT as u32, "free pages");
        check_root_refused(|root| root.listed[0].count = 0, "listed extent's count");
        check_root_refused(|root| root.listed[0].first.0 = 7, "listed extent's count");
        check_root_refused(|root| root.listed[1].count = RANGE_PAGES, "listed extent's count");
        check_root_refused(|root| root.listed[1].first.0 = PAGE_COUNT as u32, "listed extent's count");
        check_root_refused(|root| root.listed[1].first.0 = 0x0102, "listed extent's place");
        check_root_refused(|root| root.listed[1].first.0 = 0x0103, "listed extent's place");
        check_root_refused(|root| root.listed[0] = extent(18, 3), "listed root");
    }

    #[test]
    fn bytes_that_mean_nothing_must_be_zero() {
        for (offset, field) in
            [(1, "root padding"), (4, "root padding"), (23, "entry padding"), (280, "extent padding")]
        {
            let mut page = encoded(&root());
            page.payload_mut()[offset] = 1;
            check_field(SpaceRoot::decode(&page, PAGE_COUNT), field);
        }
    }

    #[test]
    fn a_leaf_that_marks_what_cannot_be_free_is_refused() {
        for (range, offset, page_count) in [(0, 7, PAGE_COUNT), (1, 1, PAGE_COUNT), (0, 100, 100)] {
            let mut bits = RangeBits::new();
            assert!(bits.set(offset, 1));
            let mut page = Page::boxed();
            encode_leaf(&bits, PTR, &mut page);
            check_field(decode_leaf(&page, range, &entry(1, 1, 0), page_count), "marked page");
        }
    }

    #[test]
    fn a_summary_that_does_not_add_up_is_refused() {
        let mut bits = RangeBits::new();
        assert!(bits.set(9, 2) && bits.set(20, 1));
        let mut leaf = Page::boxed();
        encode_leaf(&bits, PTR, &mut leaf);
        check_field(decode_leaf(&leaf, 0, &entry(4, 2, 0), PAGE_COUNT), "marked pages");
        check_field(decode_leaf(&leaf, 0, &entry(3, 1, 0), PAGE_COUNT), "longest marked run");
        let mut entries = [Entry::EMPTY; FAN_OUT];
        entries[3] = entry(3, 2, 0);
        entries[4] = entry(5, 1, 0);
        let mut directory = Page::boxed();
        encode_directory(&entries, 1, PTR, &mut directory);
        check_field(decode_directory(&directory, 1, 0, &entry(7, 2, 0), PAGE_COUNT), "marked pages");
        check_field(decode_directory(&directory, 1, 0, &entry(8, 3, 0), PAGE_COUNT), "longest marked run");
        check_field(decode_directory(&directory, 2, 0, &entry(8, 2, 0), PAGE_COUNT), "level");
    }

    #[test]
    fn a_page_of_another_kind_is_refused() {
        let page = encoded(&root());
        let expected = Corruption::Kind { found: 2, expected: 3 };
        assert_eq!(decode_leaf(&page, 0, &entry(3, 2, 0), PAGE_COUNT).err(), Some(expected));
    }
}
