//! The fields of the free-space pages, for those who want to look at the bytes; see [`crate::format::describe`].

use crate::format::describe::Field;
use crate::format::page::{PAGE_HEADER_SIZE, PAYLOAD_SIZE, Page, PageKind};
use crate::space::bits::RangeBits;
use crate::space::page::{
    ENTRIES, EXTENT_COUNT, EXTENT_SIZE, EXTENTS, Entry, HEIGHT, LIST_CAPACITY, ROOT_FAN_OUT,
};
use crate::space::range::FAN_OUT;

/// Runs of free pages that a leaf's description names.
const RUNS_NAMED: usize = 8;

/// Adds the fields of a space root, or of a page of the map.
pub(crate) fn describe_space(page: &Page, fields: &mut Vec<Field>) {
    if page.kind() == PageKind::SPACE_ROOT {
        root(page, fields);
    } else if page.level() == 0 {
        leaf(page, fields);
    } else {
        entries(page, 0, FAN_OUT, fields);
    }
}

fn root(page: &Page, fields: &mut Vec<Field>) {
    let u32_at = |at: usize| u32::from_le_bytes(page.get(PAGE_HEADER_SIZE + at));
    let height = page.payload()[HEIGHT];
    let count = u16::from_le_bytes(page.get(PAGE_HEADER_SIZE + EXTENT_COUNT));
    fields.push(Field::new(PAGE_HEADER_SIZE + HEIGHT, 1, "height", height));
    fields.push(Field::new(PAGE_HEADER_SIZE + EXTENT_COUNT, 2, "extent count", count));
    entries(page, ENTRIES, ROOT_FAN_OUT, fields);
    for index in 0..LIST_CAPACITY.min(count.into()) {
        let at = EXTENTS + index * EXTENT_SIZE;
        let value = format!("{} free pages from {} on", u32_at(at + 4), u32_at(at));
        fields.push(Field::new(PAGE_HEADER_SIZE + at, EXTENT_SIZE, format!("extent {index}"), value));
    }
}

/// Adds the entries that are not empty.
fn entries(page: &Page, from: usize, count: usize, fields: &mut Vec<Field>) {
    for index in 0..count {
        let at = PAGE_HEADER_SIZE + from + index * Entry::SIZE;
        let birth = u64::from_le_bytes(page.get(at));
        if birth == 0 {
            continue;
        }
        let free = u32::from_le_bytes(page.get(at + 8));
        let longest = u16::from_le_bytes(page.get(at + 12));
        let [place] = page.get(at + 14);
        let value = format!("birth {birth}, {free} free pages, at most {longest} in a row, in place {place}");
        fields.push(Field::new(at, Entry::SIZE, format!("entry {index}"), value));
    }
}

fn leaf(page: &Page, fields: &mut Vec<Field>) {
    let bits = RangeBits::from_payload(page.payload());
    let runs: Vec<(u32, u32)> = bits.runs().collect();
    let named = runs.iter().take(RUNS_NAMED).map(|(first, count)| format!("{count} from {first} on"));
    let mut value = format!("{} free pages in {} runs", bits.count(), runs.len());
    if !runs.is_empty() {
        let more = if runs.len() > RUNS_NAMED { ", and others" } else { "" };
        value = format!("{value}: {}{more}", named.collect::<Vec<_>>().join(", "));
    }
    fields.push(Field::new(PAGE_HEADER_SIZE, PAYLOAD_SIZE, "bits", value));
}
