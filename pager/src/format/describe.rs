//! The fields of a page, with their names and values, for those who want to look at the bytes.
//!
//! Nothing is decided by what is said here. The bytes may be anything: a field is described as it stands, and what a reader
//! would say to it is the business of the checks.

use crate::format::header::{
    CATALOG_ROOT, CATALOG_SHAPE, COMMIT_TIME, DATABASE_ID, FEATURE_UNFINISHED, FEATURES_COMPATIBLE,
    FEATURES_INCOMPATIBLE, FEATURES_READ_ONLY, FLAG_SEALED, FLAG_SYNCED, FLAGS, HORIZON, MAGIC_AT, MANIFEST,
    MANIFEST_LEN, PAGE_COUNT, PAGE_SIZE_AT, SPACE_ROOT, VERSION,
};
use crate::format::manifest::{MANIFEST_ENTRY_SIZE, MANIFEST_PAGES};
use crate::format::page::{
    BIRTH, CELL_OFFSET, CHECKSUM, ID, KIND, LEVEL, PREFIX_LEN, Page, PageKind, RESERVED, SLOT_COUNT,
};
use crate::format::page_id::PagePtr;
use crate::space::describe::describe_space;

/// A field of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where in the page it begins.
    pub offset: usize,
    /// Its bytes.
    pub len: usize,
    /// Its name, as in the tables of `docs/format.md`; of one of many, with its number.
    pub name: String,
    /// Its value, in words.
    pub value: String,
}

impl Field {
    /// A field.
    pub fn new(offset: usize, len: usize, name: impl Into<String>, value: impl ToString) -> Field {
        Field { offset, len, name: name.into(), value: value.to_string() }
    }
}

/// The fields of a page, in the order of their offsets: of any page its header, of the pager's own kinds all of it. What no field
/// covers is zero, or means nothing.
pub fn describe(page: &Page) -> Vec<Field> {
    let mut fields = vec![
        Field::new(CHECKSUM, 8, "checksum", format_args!("{:#018x}", page.checksum())),
        Field::new(BIRTH, 8, "birth", page.birth()),
        Field::new(ID, 4, "page id", page.id()),
        Field::new(KIND, 1, "kind", kind(page.kind())),
        Field::new(LEVEL, 1, "level", page.level()),
        Field::new(SLOT_COUNT, 2, "slot count", page.slot_count()),
        Field::new(CELL_OFFSET, 2, "cell offset", page.cell_offset()),
        Field::new(PREFIX_LEN, 2, "prefix len", page.prefix_len()),
        Field::new(RESERVED, 4, "reserved", u32::from_le_bytes(page.get(RESERVED))),
    ];
    match page.kind() {
        PageKind::HEADER => describe_header(page, &mut fields),
        PageKind::SPACE_ROOT | PageKind::SPACE_MAP => describe_space(page, &mut fields),
        _ => {}
    }
    fields
}

/// A kind, by its number and its name.
fn kind(kind: PageKind) -> String {
    let name = match kind {
        PageKind::HEADER => "header",
        PageKind::SPACE_ROOT => "space root",
        PageKind::SPACE_MAP => "space map",
        _ => return kind.0.to_string(),
    };
    format!("{} ({name})", kind.0)
}

fn describe_header(page: &Page, fields: &mut Vec<Field>) {
    let u32_at = |offset| u32::from_le_bytes(page.get(offset));
    let u64_at = |offset| u64::from_le_bytes(page.get(offset));
    let mut add = |offset, len, name: &str, value: String| fields.push(Field::new(offset, len, name, value));
    add(MAGIC_AT, 4, "magic", page.get::<4>(MAGIC_AT).escape_ascii().to_string());
    add(VERSION, 4, "version", u32_at(VERSION).to_string());
    add(PAGE_SIZE_AT, 4, "page size", u32_at(PAGE_SIZE_AT).to_string());
    let flags = match u32_at(FLAGS) {
        0 => "0 (believed if its manifest is there)".to_owned(),
        FLAG_SEALED => format!("{FLAG_SEALED} (sealed)"),
        FLAG_SYNCED => format!("{FLAG_SYNCED} (synced)"),
        other => other.to_string(),
    };
    add(FLAGS, 4, "flags", flags);
    add(FEATURES_COMPATIBLE, 8, "features", format!("{:#x}", u64_at(FEATURES_COMPATIBLE)));
    add(FEATURES_READ_ONLY, 8, "features (write)", format!("{:#x}", u64_at(FEATURES_READ_ONLY)));
    let features = u64_at(FEATURES_INCOMPATIBLE);
    let unfinished = if features & FEATURE_UNFINISHED != 0 { " (unfinished)" } else { "" };
    add(FEATURES_INCOMPATIBLE, 8, "features (all)", format!("{features:#x}{unfinished}"));
    let id = page.get::<16>(DATABASE_ID).iter().map(|byte| format!("{byte:02x}")).collect();
    add(DATABASE_ID, 16, "database id", id);
    add(PAGE_COUNT, 8, "page count", u64_at(PAGE_COUNT).to_string());
    add(CATALOG_ROOT, PagePtr::SIZE, "catalog root", pointer(page.get(CATALOG_ROOT)));
    add(SPACE_ROOT, PagePtr::SIZE, "space root", pointer(page.get(SPACE_ROOT)));
    add(CATALOG_SHAPE, 8, "catalog shape", format!("{:#x}", u64_at(CATALOG_SHAPE)));
    add(HORIZON, 8, "horizon", u64_at(HORIZON).to_string());
    add(COMMIT_TIME, 8, "commit time", u64_at(COMMIT_TIME).to_string());
    add(MANIFEST_LEN, 4, "manifest length", u32_at(MANIFEST_LEN).to_string());
    for index in 0..MANIFEST_PAGES.min(u32_at(MANIFEST_LEN) as usize) {
        let at = MANIFEST + index * MANIFEST_ENTRY_SIZE;
        let value = format!("{} pages from {} on, hash {:#018x}", u32_at(at + 4), u32_at(at), u64_at(at + 8));
        add(at, MANIFEST_ENTRY_SIZE, &format!("manifest {index}"), value);
    }
}

/// A pointer that may be none.
fn pointer(bytes: [u8; PagePtr::SIZE]) -> String {
    if bytes == [0; PagePtr::SIZE] {
        return "none".to_owned();
    }
    let PagePtr { id, birth } = PagePtr::from_bytes(&bytes);
    format!("page {id}, birth {birth}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header::{Header, Place, Roots, Trust};
    use crate::format::manifest::Manifest;
    use crate::format::page::PAGE_SIZE;
    use crate::format::page_id::{Birth, PageId};

    /// No byte belongs to two fields, and none to what is outside the page.
    #[track_caller]
    fn check_apart(fields: &[Field]) {
        let mut end = 0;
        for field in fields {
            assert!(field.offset >= end && field.len > 0, "{field:?} begins before {end}");
            end = field.offset + field.len;
        }
        assert!(end <= PAGE_SIZE);
    }

    #[test]
    fn a_header_is_described_field_by_field() {
        let mut page = Page::boxed();
        let header = Header {
            commit: Birth(77),
            trust: Trust::Sealed,
            unfinished: false,
            database_id: *b"0123456789abcdef",
            page_count: 100,
            space_root: PagePtr { id: PageId(21), birth: Birth(76) },
            roots: Roots { catalog: None, catalog_shape: 0x102, horizon: 5, commit_time: 6 },
            manifest: Manifest::default(),
        };
        header.encode(Place::Second, &mut page);
        let fields = describe(&page);
        check_apart(&fields);
        let value = |name: &str| &fields.iter().find(|field| field.name == name).expect(name).value[..];
        assert_eq!((value("birth"), value("page id"), value("kind")), ("77", "1", "1 (header)"));
        assert_eq!((value("magic"), value("flags")), ("DYNA", "1 (sealed)"));
        assert_eq!((value("page count"), value("horizon"), value("commit time")), ("100", "5", "6"));
        assert_eq!((value("catalog root"), value("space root")), ("none", "page 21, birth 76"));
        assert_eq!(value("database id"), "30313233343536373839616263646566");
    }

    /// A page may hold anything.
    #[test]
    fn every_kind_of_page_full_of_anything_is_described() {
        for kind in 0..=u8::MAX {
            for filling in [0, 1, 0x7f, 0xff] {
                let mut page = Page::boxed();
                page.bytes_mut().fill(filling);
                page.bytes_mut()[KIND] = kind;
                for level in [0, 1, 2, 0xff] {
                    page.bytes_mut()[LEVEL] = level;
                    check_apart(&describe(&page));
                }
            }
        }
    }
}
