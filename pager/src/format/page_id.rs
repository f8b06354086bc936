//! Where a page is and which commit wrote it: page ids, births, pointers and extents.
//!
//! A pointer is `(page id, birth)`, 12 bytes on disk. A parent thereby knows which commit must have written its
//! child, so a write that the device acknowledged and lost (an old page that is consistent in itself) is caught
//! on the first read. A checksum inside the page alone cannot see that.
//!
//! ```text
//! offset  size  field    meaning
//! ------  ----  -------  ------------------------------------------------
//!      0     4  page id  byte offset in the file / 4096, little-endian
//!      4     8  birth    the number of the batch that wrote the page
//! ```

use std::fmt;

use crate::format::page::PAGE_SIZE;

/// The place of a page in the file: its byte offset divided by [`PAGE_SIZE`].
///
/// 32 bits address 16 TiB, which is also the largest file of ext4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u32);

impl PageId {
    /// The byte offset of the page in the file.
    pub fn offset(self) -> u64 {
        u64::from(self.0) * PAGE_SIZE as u64
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// The number of the write batch that wrote a page. Never used twice, not even across crashes; a commit's
/// number is the birth of the last batch in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Birth(pub u64);

impl Birth {
    /// The birth after this one.
    pub fn next(self) -> Birth {
        Birth(self.0 + 1)
    }
}

impl fmt::Display for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "birth {}", self.0)
    }
}

/// A reference from one page to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PagePtr {
    /// Where the page is.
    pub id: PageId,
    /// Which batch must have written it.
    pub birth: Birth,
}

impl PagePtr {
    /// Bytes of a pointer on disk.
    pub const SIZE: usize = 12;

    /// The pointer's form on disk.
    #[inline]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&self.id.0.to_le_bytes());
        bytes[4..].copy_from_slice(&self.birth.0.to_le_bytes());
        bytes
    }

    /// Reads a pointer from disk. Every bit pattern is a pointer; whether the page exists and has that birth is
    /// checked when it is read.
    #[inline]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> PagePtr {
        let (id, birth) = bytes.split_at(4);
        PagePtr {
            id: PageId(u32::from_le_bytes(id.try_into().expect("4 of 12 bytes"))),
            birth: Birth(u64::from_le_bytes(birth.try_into().expect("8 of 12 bytes"))),
        }
    }
}

/// `count` pages that follow one another in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extent {
    /// The first page.
    pub first: PageId,
    /// How many pages, at least 1.
    pub count: u32,
}

impl Extent {
    /// The extent of one page.
    pub fn single(id: PageId) -> Extent {
        Extent { first: id, count: 1 }
    }

    /// The id after the last page, which may be 2^32.
    pub fn end(self) -> u64 {
        u64::from(self.first.0) + u64::from(self.count)
    }

    /// The page ids, ascending.
    pub fn pages(self) -> impl Iterator<Item = PageId> {
        (u64::from(self.first.0)..self.end()).map(|id| PageId(id as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file format is a promise.
    #[test]
    fn pointer_bytes_are_the_documented_ones() {
        let ptr = PagePtr { id: PageId(0x0403_0201), birth: Birth(0x0c0b_0a09_0807_0605) };
        assert_eq!(ptr.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(PagePtr::from_bytes(&ptr.to_bytes()), ptr);
    }

    #[test]
    fn the_last_extent_of_the_address_space_has_an_end() {
        let last = Extent { first: PageId(u32::MAX), count: 1 };
        assert_eq!(last.end(), 1 << 32);
        assert_eq!(last.pages().collect::<Vec<_>>(), [PageId(u32::MAX)]);
    }
}
