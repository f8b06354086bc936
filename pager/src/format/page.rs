//! A page: 4096 bytes that begin with a header of 32 bytes.
//!
//! The pager reads and writes the header and never looks past it; what the rest means is the business of the
//! layer that owns the page's kind. (The pager's own kinds are described in [`header`](crate::format::header)
//! and in `space/page.rs`.)
//!
//! # Layout
//!
//! Integers are little-endian.
//!
//! ```text
//! offset  size  field        meaning
//! ------  ----  -----------  ---------------------------------------------------------------
//!      0     8  checksum     xxHash64 of bytes 8..4096, seeded, see `checksum`
//!      8     8  birth        the batch that wrote the page
//!     16     4  page id      where the page belongs
//!     20     1  kind         which layer reads the rest, and as what
//!     21     1  level        0 for a leaf, its height for an inner page
//!     22     2  slot count   (slotted pages) number of slots
//!     24     2  cell offset  (slotted pages) lowest byte of the cell area
//!     26     2  prefix len   (slotted pages) bytes of the common prefix
//!     28     4  reserved     zero
//!     32  4064  payload
//! ```

use std::fmt;

use crate::format::page_id::{Birth, PageId};

/// Bytes in a page, on disk and in the pool.
pub const PAGE_SIZE: usize = 4096;
/// Bytes of the header that every page begins with.
pub const PAGE_HEADER_SIZE: usize = 32;
/// Bytes of a page that belong to the layer that owns it.
pub const PAYLOAD_SIZE: usize = PAGE_SIZE - PAGE_HEADER_SIZE;

pub(super) const CHECKSUM: usize = 0;
pub(super) const BIRTH: usize = 8;
pub(super) const ID: usize = 16;
pub(super) const KIND: usize = 20;
pub(super) const LEVEL: usize = 21;
pub(super) const SLOT_COUNT: usize = 22;
pub(super) const CELL_OFFSET: usize = 24;
pub(super) const PREFIX_LEN: usize = 26;
pub(super) const RESERVED: usize = 28;
const _: () = assert!(RESERVED + 4 == PAGE_HEADER_SIZE);

/// The first byte that the checksum covers.
pub(crate) const CHECKED_FROM: usize = BIRTH;

/// What a page holds. The pager owns the values below 16; the layers above choose theirs from 16 on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageKind(pub u8);

impl PageKind {
    /// Pages 0 and 1.
    pub const HEADER: PageKind = PageKind(1);
    /// The list of recently freed extents and the roots of the space map.
    pub const SPACE_ROOT: PageKind = PageKind(2);
    /// A page of the space map.
    pub const SPACE_MAP: PageKind = PageKind(3);
    /// The first kind that is free for the layers above.
    pub const FIRST_FOREIGN: PageKind = PageKind(16);
}

impl fmt::Debug for PageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PageKind::HEADER => f.write_str("header"),
            PageKind::SPACE_ROOT => f.write_str("space root"),
            PageKind::SPACE_MAP => f.write_str("space map"),
            PageKind(other) => write!(f, "kind {other}"),
        }
    }
}

/// 4096 bytes, aligned so that O_DIRECT takes them.
#[derive(Clone)]
#[repr(C, align(4096))]
pub struct Page([u8; PAGE_SIZE]);

const _: () = assert!(size_of::<Page>() == PAGE_SIZE && align_of::<Page>() == PAGE_SIZE);

impl Page {
    /// A page of zeros.
    pub const fn zeroed() -> Page {
        Page([0; PAGE_SIZE])
    }

    /// A page of zeros on the heap.
    pub fn boxed() -> Box<Page> {
        Box::new(Page::zeroed())
    }

    /// All bytes, the header included.
    #[inline]
    pub fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.0
    }

    /// All bytes, the header included.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_SIZE] {
        &mut self.0
    }

    /// What follows the header.
    #[inline]
    pub fn payload(&self) -> &[u8; PAYLOAD_SIZE] {
        self.0[PAGE_HEADER_SIZE..].try_into().expect("PAYLOAD_SIZE bytes follow the header")
    }

    /// What follows the header.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8; PAYLOAD_SIZE] {
        (&mut self.0[PAGE_HEADER_SIZE..]).try_into().expect("PAYLOAD_SIZE bytes follow the header")
    }

    /// Makes this an empty page of the given kind and level: a header, and zeros.
    pub fn format(&mut self, id: PageId, birth: Birth, kind: PageKind, level: u8) {
        self.0.fill(0);
        self.set_place(id, birth);
        self.0[KIND] = kind.0;
        self.0[LEVEL] = level;
    }

    /// Says where the page belongs and which batch writes it.
    pub(crate) fn set_place(&mut self, id: PageId, birth: Birth) {
        self.put(BIRTH, birth.0.to_le_bytes());
        self.put(ID, id.0.to_le_bytes());
    }

    /// The stored checksum, see [`crate::format::checksum`].
    pub(crate) fn checksum(&self) -> u64 {
        u64::from_le_bytes(self.get(CHECKSUM))
    }

    pub(crate) fn set_checksum(&mut self, checksum: u64) {
        self.put(CHECKSUM, checksum.to_le_bytes());
    }

    /// The batch that wrote the page.
    #[inline]
    pub fn birth(&self) -> Birth {
        Birth(u64::from_le_bytes(self.get(BIRTH)))
    }

    /// Where the page belongs.
    #[inline]
    pub fn id(&self) -> PageId {
        PageId(u32::from_le_bytes(self.get(ID)))
    }

    /// What the page holds.
    #[inline]
    pub fn kind(&self) -> PageKind {
        PageKind(self.0[KIND])
    }

    /// 0 for a leaf, the height above the leaves for an inner page.
    #[inline]
    pub fn level(&self) -> u8 {
        self.0[LEVEL]
    }

    /// Number of slots of a slotted page.
    #[inline]
    pub fn slot_count(&self) -> u16 {
        u16::from_le_bytes(self.get(SLOT_COUNT))
    }

    /// Sets the number of slots.
    pub fn set_slot_count(&mut self, count: u16) {
        self.put(SLOT_COUNT, count.to_le_bytes());
    }

    /// Lowest byte of a slotted page's cell area.
    #[inline]
    pub fn cell_offset(&self) -> u16 {
        u16::from_le_bytes(self.get(CELL_OFFSET))
    }

    /// Sets the lowest byte of the cell area.
    pub fn set_cell_offset(&mut self, offset: u16) {
        self.put(CELL_OFFSET, offset.to_le_bytes());
    }

    /// Bytes of the prefix that all keys of a slotted page share.
    #[inline]
    pub fn prefix_len(&self) -> u16 {
        u16::from_le_bytes(self.get(PREFIX_LEN))
    }

    /// Sets the bytes of the common prefix.
    pub fn set_prefix_len(&mut self, len: u16) {
        self.put(PREFIX_LEN, len.to_le_bytes());
    }

    /// Whether every byte is zero, as in a page that was never written.
    pub(crate) fn is_blank(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    #[inline]
    pub(crate) fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0[offset..offset + N].try_into().expect("N bytes")
    }

    pub(crate) fn put<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        self.0[offset..offset + N].copy_from_slice(&bytes);
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("id", &self.id())
            .field("birth", &self.birth())
            .field("kind", &self.kind())
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file format is a promise. If this fails, bump the version and write the upgrade.
    #[test]
    fn page_header_bytes_are_the_documented_ones() {
        let mut page = Page::boxed();
        page.bytes_mut().fill(0xff);
        page.format(PageId(0x1413_1211), Birth(0x100f_0e0d_0c0b_0a09), PageKind(0x15), 0x16);
        page.set_checksum(0x0807_0605_0403_0201);
        page.set_slot_count(0x1817);
        page.set_cell_offset(0x1a19);
        page.set_prefix_len(0x1c1b);
        let mut expected = [0; PAGE_SIZE];
        for (value, byte) in (1..=0x1c).zip(&mut expected) {
            *byte = value;
        }
        assert_eq!(page.bytes(), &expected);
        assert_eq!(page.id(), PageId(0x1413_1211));
        assert_eq!(page.birth(), Birth(0x100f_0e0d_0c0b_0a09));
        assert_eq!((page.kind(), page.level()), (PageKind(0x15), 0x16));
        assert_eq!((page.slot_count(), page.cell_offset(), page.prefix_len()), (0x1817, 0x1a19, 0x1c1b));
    }
}
