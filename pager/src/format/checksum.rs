//! The checks that a page passes before any of its bytes are used (INV-1): checksum, page id and birth.
//!
//! The checksum is xxHash64 over everything behind it, padding included, seeded with database id and page id.
//! So a page of another database, or of another place in this one, fails even if it is whole. Header pages are
//! seeded with their place only, since the database id is inside them.
//!
//! The seed of a database is `xxHash64(database id, seed 0)`; the seed of a page is that, xor the page id.

use xxhash_rust::xxh64::xxh64;

use crate::error::Corruption;
use crate::format::page::{CHECKED_FROM, Page};
use crate::format::page_id::{PageId, PagePtr};

/// The seed that all page checksums of one database share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseSeed(u64);

impl DatabaseSeed {
    /// Derives the seed from the id in the header.
    pub fn new(database_id: [u8; 16]) -> DatabaseSeed {
        DatabaseSeed(xxh64(&database_id, 0))
    }

    fn checksum(self, page: &Page, id: PageId) -> u64 {
        xxh64(&page.bytes()[CHECKED_FROM..], self.0 ^ u64::from(id.0))
    }

    /// Puts the checksum into a page that is about to be written where its header says.
    pub fn stamp(self, page: &mut Page) {
        page.set_checksum(self.checksum(page, page.id()));
    }

    /// Checks that a page is whole and stands where it belongs, whichever batch wrote it.
    pub fn check_place(self, page: &Page, id: PageId) -> Result<(), Corruption> {
        let computed = self.checksum(page, id);
        if computed != page.checksum() {
            return Err(self.explain(page, id, computed));
        }
        if page.id() != id {
            return Err(Corruption::PageId { found: page.id(), expected: id });
        }
        Ok(())
    }

    /// Checks a page that was read by following `ptr`.
    pub fn check(self, page: &Page, ptr: PagePtr) -> Result<(), Corruption> {
        self.check_place(page, ptr.id)?;
        if page.birth() != ptr.birth {
            return Err(Corruption::Birth { found: page.birth(), expected: ptr.birth });
        }
        Ok(())
    }

    /// Tells a page that is whole, but stands in the wrong place, from one that is damaged.
    #[cold]
    fn explain(self, page: &Page, id: PageId, computed: u64) -> Corruption {
        if page.is_blank() {
            Corruption::Blank
        } else if page.id() != id && self.checksum(page, page.id()) == page.checksum() {
            Corruption::PageId { found: page.id(), expected: id }
        } else {
            Corruption::Checksum { found: page.checksum(), computed }
        }
    }
}

/// The checksum of a header page, seeded with its place.
pub(crate) fn header_checksum(page: &Page, place: u64) -> u64 {
    xxh64(&page.bytes()[CHECKED_FROM..], place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::page::PageKind;
    use crate::format::page_id::Birth;

    const SEED: DatabaseSeed = DatabaseSeed(0x5eed);
    const PTR: PagePtr = PagePtr { id: PageId(7), birth: Birth(9) };

    fn stamped() -> Box<Page> {
        let mut page = Page::boxed();
        page.format(PTR.id, PTR.birth, PageKind(16), 0);
        page.payload_mut()[100] = 42;
        SEED.stamp(&mut page);
        page
    }

    #[test]
    fn a_whole_page_in_its_place_passes() {
        assert_eq!(SEED.check(&stamped(), PTR), Ok(()));
    }

    /// The seed and the hash are part of the file format.
    #[test]
    fn the_checksum_is_the_documented_one() {
        let seed = DatabaseSeed::new(*b"0123456789abcdef");
        let mut page = Page::boxed();
        page.format(PageId(7), Birth(9), PageKind(16), 0);
        seed.stamp(&mut page);
        let expected = xxh64(&page.bytes()[8..], xxh64(b"0123456789abcdef", 0) ^ 7);
        assert_eq!(page.bytes()[..8], expected.to_le_bytes());
        assert_eq!(expected, 0xa8ac_3b1c_ac9c_cfb5);
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let page = stamped();
        for bit in 0..4096 * 8 {
            let mut damaged = page.clone();
            damaged.bytes_mut()[bit / 8] ^= 1 << (bit % 8);
            assert!(SEED.check(&damaged, PTR).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_page_of_another_place_is_named_as_such() {
        let elsewhere = PagePtr { id: PageId(8), ..PTR };
        let expected = Corruption::PageId { found: PTR.id, expected: elsewhere.id };
        assert_eq!(SEED.check(&stamped(), elsewhere), Err(expected));
    }

    #[test]
    fn a_page_of_an_older_commit_is_named_as_such() {
        let newer = PagePtr { birth: Birth(10), ..PTR };
        assert_eq!(
            SEED.check(&stamped(), newer),
            Err(Corruption::Birth { found: Birth(9), expected: Birth(10) })
        );
    }

    #[test]
    fn a_page_of_another_database_fails() {
        let other = DatabaseSeed(0x5eee);
        assert!(matches!(other.check(&stamped(), PTR), Err(Corruption::Checksum { .. })));
    }

    #[test]
    fn a_page_that_was_never_written_is_named_as_such() {
        assert_eq!(SEED.check(&Page::zeroed(), PTR), Err(Corruption::Blank));
    }
}
