//! The header: the one place that says which state of the database is current.
//!
//! Pages 0 and 1 each hold one header. A commit overwrites the place that does **not** hold the newest one, so the
//! newest durable header is never being written, and a torn write damages only a commit that nobody was told of.
//!
//! # Layout
//!
//! Integers are little-endian. A header page begins like every page (see [`crate::format::page`]); its birth is the
//! commit number, its checksum covers all 4096 bytes and is seeded with the place (0 or 1).
//!
//! ```text
//! offset  size  field              meaning
//! ------  ----  -----------------  ------------------------------------------------------------------
//!      0    32  page header        birth = commit number, page id = place, kind = 1
//!     32     4  magic              "DYNA"
//!     36     4  version            format version; an older build must refuse a newer file
//!     40     4  page size          4096
//!     44     4  flags              1: sealed, 2: synced
//!     48     8  features           flags that an unaware build may ignore
//!     56     8  features (write)   flags that an unaware build may ignore when it only reads
//!     64     8  features (all)     flags that an unaware build must refuse; 1: unfinished
//!     72    16  database id        drawn at creation, seeds the checksums of all other pages
//!     88     8  page count         pages that the file has
//!     96    12  catalog root       pointer to the root of the layer above; all zero: none yet
//!    108    12  space root         pointer to the root of the free-space structure
//!    120     8  catalog shape      the layer above's; opaque to the pager
//!    128     8  horizon            the layer above's; opaque to the pager
//!    136     8  commit time        the layer above's; opaque to the pager
//!    144   108  reserved           zero
//!    252     4  manifest length    entries that follow
//!    256  3840  manifest           240 entries of 16 bytes, see `manifest`
//! ```
//!
//! Magic, version, page size and the checksum's place and range stay what they are in every future version,
//! so that any build can tell a newer file from a damaged one.
//!
//! # Invariants
//!
//! 1. No field is used before the checksum was verified (INV-1). (The magic is looked at without it in one case:
//!    to choose between the errors "damaged" and "not ours".)
//! 2. A header is believed only if it is sealed, synced, or its manifest was verified.
//! 3. Commit numbers only grow, and no two commits share one, across crashes too.

use crate::error::Corruption;
use crate::format::checksum::header_checksum;
use crate::format::manifest::{MANIFEST_ENTRY_SIZE, MANIFEST_PAGES, Manifest};
use crate::format::page::{PAGE_SIZE, Page, PageKind};
use crate::format::page_id::{Birth, PageId, PagePtr};

/// The newest format version that this build reads and the one it writes.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 4] = *b"DYNA";

pub(super) const MAGIC_AT: usize = 32;
pub(super) const VERSION: usize = 36;
pub(super) const PAGE_SIZE_AT: usize = 40;
pub(super) const FLAGS: usize = 44;
pub(super) const FEATURES_COMPATIBLE: usize = 48;
pub(super) const FEATURES_READ_ONLY: usize = 56;
pub(super) const FEATURES_INCOMPATIBLE: usize = 64;
pub(crate) const DATABASE_ID: usize = 72;
pub(super) const PAGE_COUNT: usize = 88;
pub(super) const CATALOG_ROOT: usize = 96;
pub(super) const SPACE_ROOT: usize = 108;
pub(super) const CATALOG_SHAPE: usize = 120;
pub(super) const HORIZON: usize = 128;
pub(super) const COMMIT_TIME: usize = 136;
pub(super) const MANIFEST_LEN: usize = 252;
pub(super) const MANIFEST: usize = 256;
const _: () =
    assert!(CATALOG_ROOT + PagePtr::SIZE == SPACE_ROOT && SPACE_ROOT + PagePtr::SIZE == CATALOG_SHAPE);
const _: () = assert!(MANIFEST + MANIFEST_PAGES * MANIFEST_ENTRY_SIZE == PAGE_SIZE);

/// The form of a root that does not exist yet.
const NO_PAGE: [u8; PagePtr::SIZE] = [0; PagePtr::SIZE];

pub(super) const FLAG_SEALED: u32 = 1;
pub(super) const FLAG_SYNCED: u32 = 2;

/// The highest number that a commit can have. At a million commits a second it takes 290,000 years to get there, so that
/// a higher one is damage; and what is added to a number that was read does not overflow.
const COMMIT_MAX: Birth = Birth(u64::MAX / 2);

/// The database is being filled by whoever created it, and means nothing to others before that is done.
pub(super) const FEATURE_UNFINISHED: u64 = 1;

/// Feature flags that this build knows, of those that an unaware build must refuse.
const KNOWN_INCOMPATIBLE: u64 = FEATURE_UNFINISHED;
/// The same of the others: none yet.
const KNOWN_FEATURES: u64 = 0;

/// One of the two pages that hold a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Second,
}

impl Place {
    pub(crate) const BOTH: [Place; 2] = [Place::First, Place::Second];

    pub(crate) fn page(self) -> PageId {
        PageId(self as u32)
    }

    pub(crate) fn other(self) -> Place {
        match self {
            Place::First => Place::Second,
            Place::Second => Place::First,
        }
    }
}

/// How far a header may be believed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Only if the pages of the manifest are all there.
    Manifest,
    /// Its pages were flushed before it was written.
    Synced,
    /// It wrote no pages: it repeats a state that was durable before.
    Sealed,
}

/// What the layer above keeps in the header. Opaque to the pager, except that a root is a pointer to a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The root of the tree of trees; none in a new database.
    pub catalog: Option<PagePtr>,
    /// What the layer above knows of that tree besides its root.
    pub catalog_shape: u64,
    /// Versions at or below this transaction id may be gone.
    pub horizon: u64,
    /// When the commit was made, in a unit of the caller's choice.
    pub commit_time: u64,
}

/// A header, decoded and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) commit: Birth,
    pub(crate) trust: Trust,
    /// See [`Options::unfinished`](crate::pager::Options::unfinished).
    pub(crate) unfinished: bool,
    pub(crate) database_id: [u8; 16],
    pub(crate) page_count: u64,
    pub(crate) space_root: PagePtr,
    pub(crate) roots: Roots,
    pub(crate) manifest: Manifest,
}

/// Why a page is not a usable header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// What a crash leaves behind, or rot: the other header answers for it.
    Rejected(Corruption),
    /// The checksum holds, so no crash made this: the file must not be opened by falling back.
    Impossible(Corruption),
    /// A newer build wrote it.
    NewerVersion(u32),
    /// Flags that this build does not know. `writing` if a read-only open would be possible.
    UnknownFeatures { bits: u64, writing: bool },
    /// Pages of another size.
    PageSize(u32),
}

impl Header {
    /// Writes the header page for `place`.
    pub(crate) fn encode(&self, place: Place, page: &mut Page) {
        page.format(place.page(), self.commit, PageKind::HEADER, 0);
        page.put(MAGIC_AT, MAGIC);
        page.put(VERSION, FORMAT_VERSION.to_le_bytes());
        page.put(PAGE_SIZE_AT, (PAGE_SIZE as u32).to_le_bytes());
        let flags = match self.trust {
            Trust::Manifest => 0,
            Trust::Synced => FLAG_SYNCED,
            Trust::Sealed => FLAG_SEALED,
        };
        page.put(FLAGS, flags.to_le_bytes());
        for features in [FEATURES_COMPATIBLE, FEATURES_READ_ONLY] {
            page.put(features, KNOWN_FEATURES.to_le_bytes());
        }
        let incompatible = if self.unfinished { FEATURE_UNFINISHED } else { 0 };
        page.put(FEATURES_INCOMPATIBLE, incompatible.to_le_bytes());
        page.put(DATABASE_ID, self.database_id);
        page.put(PAGE_COUNT, self.page_count.to_le_bytes());
        page.put(CATALOG_ROOT, self.roots.catalog.map_or(NO_PAGE, PagePtr::to_bytes));
        page.put(SPACE_ROOT, self.space_root.to_bytes());
        page.put(CATALOG_SHAPE, self.roots.catalog_shape.to_le_bytes());
        page.put(HORIZON, self.roots.horizon.to_le_bytes());
        page.put(COMMIT_TIME, self.roots.commit_time.to_le_bytes());
        page.put(MANIFEST_LEN, (self.manifest.len() as u32).to_le_bytes());
        self.manifest.encode(&mut page.bytes_mut()[MANIFEST..]);
        let checksum = header_checksum(page, place as u64);
        page.set_checksum(checksum);
    }

    /// Checks and decodes what was read from `place`. Features that forbid only writing matter if `writable`.
    pub(crate) fn decode(page: &Page, place: Place, writable: bool) -> Result<Header, HeaderError> {
        if page.is_blank() {
            return Err(HeaderError::Rejected(Corruption::Blank));
        }
        let computed = header_checksum(page, place as u64);
        if page.checksum() != computed {
            return Err(HeaderError::Rejected(Corruption::Checksum { found: page.checksum(), computed }));
        }
        let u32_at = |offset| u32::from_le_bytes(page.get(offset));
        let u64_at = |offset| u64::from_le_bytes(page.get(offset));
        let impossible = |field, value| HeaderError::Impossible(Corruption::HeaderField { field, value });
        if !has_magic(page) {
            return Err(HeaderError::Impossible(Corruption::Magic));
        }
        if u32_at(VERSION) > FORMAT_VERSION {
            return Err(HeaderError::NewerVersion(u32_at(VERSION)));
        }
        if u32_at(VERSION) == 0 {
            return Err(impossible("version", 0));
        }
        if u32_at(PAGE_SIZE_AT) != PAGE_SIZE as u32 {
            return Err(HeaderError::PageSize(u32_at(PAGE_SIZE_AT)));
        }
        for (features, known, writing) in
            [(FEATURES_INCOMPATIBLE, KNOWN_INCOMPATIBLE, false), (FEATURES_READ_ONLY, KNOWN_FEATURES, true)]
        {
            let bits = u64_at(features) & !known;
            if bits != 0 && (writable || !writing) {
                return Err(HeaderError::UnknownFeatures { bits, writing });
            }
        }
        let trust = match u32_at(FLAGS) {
            0 => Trust::Manifest,
            FLAG_SYNCED => Trust::Synced,
            FLAG_SEALED => Trust::Sealed,
            flags => return Err(impossible("flags", u64::from(flags))),
        };
        let page_count = u64_at(PAGE_COUNT);
        if !(2..=1 << 32).contains(&page_count) {
            return Err(impossible("page count", page_count));
        }
        let commit = page.birth();
        if commit == Birth(0) || commit > COMMIT_MAX {
            return Err(impossible("commit number", commit.0));
        }
        let root = |name, offset| {
            let ptr = PagePtr::from_bytes(&page.get(offset));
            if ptr.id.0 < 2 || u64::from(ptr.id.0) >= page_count {
                return Err(impossible(name, u64::from(ptr.id.0)));
            }
            if ptr.birth > commit {
                return Err(impossible(name, ptr.birth.0));
            }
            Ok(ptr)
        };
        let catalog = match page.get(CATALOG_ROOT) {
            NO_PAGE => None,
            _ => Some(root("catalog root", CATALOG_ROOT)?),
        };
        let manifest_len = u32_at(MANIFEST_LEN) as usize;
        if manifest_len > MANIFEST_PAGES || trust != Trust::Manifest && manifest_len > 0 {
            return Err(impossible("manifest length", manifest_len as u64));
        }
        let manifest = &page.bytes()[MANIFEST..][..manifest_len * MANIFEST_ENTRY_SIZE];
        Ok(Header {
            commit,
            trust,
            unfinished: u64_at(FEATURES_INCOMPATIBLE) & FEATURE_UNFINISHED != 0,
            database_id: page.get(DATABASE_ID),
            page_count,
            space_root: root("space root", SPACE_ROOT)?,
            roots: Roots {
                catalog,
                catalog_shape: u64_at(CATALOG_SHAPE),
                horizon: u64_at(HORIZON),
                commit_time: u64_at(COMMIT_TIME),
            },
            manifest: Manifest::decode(manifest, page_count).map_err(HeaderError::Impossible)?,
        })
    }
}

/// The mark of a file whose creation has begun: the magic bytes, where a header has them, and nothing else.
pub(crate) fn mark_begun(page: &mut Page) {
    page.put(MAGIC_AT, MAGIC);
}

/// Whether a page that is no valid header at least looks like one, for the choice of an error message.
pub(crate) fn has_magic(page: &Page) -> bool {
    page.get(MAGIC_AT) == MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::checksum::DatabaseSeed;

    fn sample() -> Header {
        let seed = DatabaseSeed::new(*b"0123456789abcdef");
        let pages: Vec<Page> = [20, 21, 40]
            .map(|id| {
                let mut page = Page::zeroed();
                page.format(PageId(id), Birth(77), PageKind(16), 0);
                seed.stamp(&mut page);
                page
            })
            .into();
        Header {
            commit: Birth(77),
            trust: Trust::Manifest,
            unfinished: false,
            database_id: *b"0123456789abcdef",
            page_count: 100,
            space_root: PagePtr { id: PageId(21), birth: Birth(77) },
            roots: Roots {
                catalog: Some(PagePtr { id: PageId(20), birth: Birth(76) }),
                catalog_shape: 0x1122,
                horizon: 0x3344,
                commit_time: 0x5566,
            },
            manifest: Manifest::of(Birth(77), pages.iter()),
        }
    }

    fn encoded(header: &Header, place: Place) -> Box<Page> {
        let mut page = Page::boxed();
        header.encode(place, &mut page);
        page
    }

    /// Encodes a header, damages it, and makes the checksum fit again.
    fn forged(damage: impl FnOnce(&mut Page)) -> Result<Header, HeaderError> {
        let mut page = encoded(&sample(), Place::First);
        damage(&mut page);
        let checksum = header_checksum(&page, 0);
        page.set_checksum(checksum);
        Header::decode(&page, Place::First, true)
    }

    #[track_caller]
    fn check_impossible(damage: impl FnOnce(&mut Page), field: &'static str, value: u64) {
        let expected = HeaderError::Impossible(Corruption::HeaderField { field, value });
        assert_eq!(forged(damage), Err(expected));
    }

    /// The file format is a promise. If this fails, bump the version and write the upgrade.
    #[test]
    fn header_bytes_are_the_documented_ones() {
        let page = encoded(&sample(), Place::Second);
        let mut expected = [0; PAGE_SIZE];
        let mut put = |offset: usize, bytes: &[u8]| expected[offset..][..bytes.len()].copy_from_slice(bytes);
        put(0, &page.checksum().to_le_bytes());
        put(8, &[77]);
        put(16, &[1, 0, 0, 0, 1]);
        put(32, b"DYNA");
        put(36, &[1]);
        put(40, &[0, 0x10]);
        put(72, b"0123456789abcdef");
        put(88, &[100]);
        put(96, &[20, 0, 0, 0, 76]);
        put(108, &[21, 0, 0, 0, 77]);
        put(120, &[0x22, 0x11]);
        put(128, &[0x44, 0x33]);
        put(136, &[0x66, 0x55]);
        put(252, &[2]);
        put(256, &[20, 0, 0, 0, 2, 0, 0, 0]);
        put(264, &0xf074_648a_8b20_4591_u64.to_le_bytes());
        put(272, &[40, 0, 0, 0, 1, 0, 0, 0]);
        put(280, &0x7f06_71f9_26df_5d71_u64.to_le_bytes());
        assert_eq!(page.bytes(), &expected);
        assert_eq!(page.checksum(), header_checksum(&page, 1));
        assert_eq!(Header::decode(&page, Place::Second, true), Ok(sample()));
    }

    #[test]
    fn seals_and_synced_headers_decode_as_such() {
        for trust in [Trust::Sealed, Trust::Synced] {
            let header = Header { trust, manifest: Manifest::default(), ..sample() };
            assert_eq!(Header::decode(&encoded(&header, Place::First), Place::First, true), Ok(header));
        }
    }

    #[test]
    fn every_flipped_bit_is_rejected_as_a_checksum_failure() {
        let page = encoded(&sample(), Place::First);
        for bit in 0..PAGE_SIZE * 8 {
            let mut damaged = page.clone();
            damaged.bytes_mut()[bit / 8] ^= 1 << (bit % 8);
            let result = Header::decode(&damaged, Place::First, true);
            assert!(
                matches!(result, Err(HeaderError::Rejected(Corruption::Checksum { .. }))),
                "bit {bit}: {result:?}"
            );
        }
    }

    #[test]
    fn a_header_in_the_other_place_is_rejected() {
        let page = encoded(&sample(), Place::First);
        assert!(matches!(Header::decode(&page, Place::Second, true), Err(HeaderError::Rejected(_))));
    }

    #[test]
    fn a_blank_page_is_rejected_as_blank() {
        let blank = Err(HeaderError::Rejected(Corruption::Blank));
        assert_eq!(Header::decode(&Page::zeroed(), Place::First, true), blank);
    }

    #[test]
    fn files_of_the_future_are_named_as_such() {
        assert_eq!(forged(|page| page.put(VERSION, [2, 0, 0, 0])), Err(HeaderError::NewerVersion(2)));
        assert_eq!(forged(|page| page.put(PAGE_SIZE_AT, [0, 0x20, 0, 0])), Err(HeaderError::PageSize(8192)));
        let unknown = |bits, writing| Err(HeaderError::UnknownFeatures { bits, writing });
        assert_eq!(forged(|page| page.put(FEATURES_INCOMPATIBLE, [4])), unknown(4, false));
        assert_eq!(forged(|page| page.put(FEATURES_READ_ONLY, [8])), unknown(8, true));
        assert_eq!(forged(|page| page.put(FEATURES_COMPATIBLE, [16])), Ok(sample()));
        let unfinished = Header { unfinished: true, ..sample() };
        assert_eq!(
            encoded(&unfinished, Place::First).get::<8>(FEATURES_INCOMPATIBLE),
            [1, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(forged(|page| page.put(FEATURES_INCOMPATIBLE, [1])), Ok(unfinished));
    }

    #[test]
    fn impossible_fields_are_refused_by_name() {
        let u32_bytes = |value: u32| value.to_le_bytes();
        check_impossible(|page| page.put(VERSION, u32_bytes(0)), "version", 0);
        check_impossible(|page| page.put(FLAGS, [3]), "flags", 3);
        check_impossible(|page| page.put(PAGE_COUNT, [1]), "page count", 1);
        check_impossible(|page| page.put(PAGE_COUNT, [1, 0, 0, 0, 1]), "page count", (1 << 32) + 1);
        check_impossible(|page| page.put(SPACE_ROOT, u32_bytes(100)), "space root", 100);
        check_impossible(|page| page.put(SPACE_ROOT + 4, [78]), "space root", 78);
        check_impossible(|page| page.put(CATALOG_ROOT, u32_bytes(1)), "catalog root", 1);
        check_impossible(|page| page.put(MANIFEST_LEN, u32_bytes(241)), "manifest length", 241);
        check_impossible(|page| page.put(FLAGS, [1]), "manifest length", 2);
        check_impossible(|page| page.put(MANIFEST, u32_bytes(1)), "manifest", 1);
        check_impossible(|page| page.put(MANIFEST + 4, u32_bytes(0)), "manifest", 0);
        check_impossible(|page| page.put(MANIFEST + 4, u32_bytes(241)), "manifest", 241);
        check_impossible(|page| page.put(MANIFEST + 16, u32_bytes(21)), "manifest", 21);
        check_impossible(|page| page.put(MANIFEST + 16, u32_bytes(100)), "manifest", 100);
        assert_eq!(forged(|page| page.put(MAGIC_AT, [0])), Err(HeaderError::Impossible(Corruption::Magic)));
    }
}
