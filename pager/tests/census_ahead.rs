//! What is read ahead of a walk is what the walk would have read: whatever the scout says, and whatever becomes of the readers.

use std::sync::Arc;

use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{
    Birth, Examined, Extent, Malformation, Options, Page, PageId, PageKind, PagePtr, Pager, Placement, Roots,
};

const KIND: PageKind = PageKind::FIRST_FOREIGN;
const PAGES: usize = 700;

/// A database of so many pages, each of which says which it is.
fn database() -> (Arc<DiskSim>, Vec<PagePtr>) {
    let disk = Arc::new(DiskSim::new(1));
    let pager = Options::new().background(false).create_on(disk.clone(), [7; 16]).unwrap();
    let mut batch = pager.begin().unwrap();
    let pages: Vec<PagePtr> = (0..PAGES)
        .map(|nth| {
            let ptr = batch.allocate(KIND, 0, Placement::Together).unwrap();
            batch.page_mut(ptr).payload_mut()[..8].copy_from_slice(&(nth as u64).to_le_bytes());
            batch.end_operation().unwrap();
            ptr
        })
        .collect();
    batch.set_roots(Roots { catalog: Some(pages[0]), ..batch.roots() });
    batch.commit().unwrap();
    pager.close().unwrap();
    (disk, pages)
}

fn open(disk: &Arc<DiskSim>) -> Pager {
    Options::new().background(false).open_on(disk.clone(), false).unwrap()
}

/// Leads from every hundredth page to the ninety behind it.
fn follow(page: &Page, into: &mut Vec<(Extent, Birth)>) {
    let nth = u64::from_le_bytes(*page.payload().first_chunk().unwrap());
    if nth.is_multiple_of(100) && page.id().0 > 0 {
        into.push((Extent { first: PageId(page.id().0 + 1), count: 90 }, page.birth()));
    }
}

fn follow_badly(_: &Page, _: &mut Vec<(Extent, Birth)>) {
    panic!("a reader that fails");
}

/// A walk over all pages, which a scout names in groups of so many, reads each of them.
#[track_caller]
fn check(group: usize, follow: dynamite_pager::Follow, damaged: Option<usize>) {
    let (disk, pages) = database();
    if let Some(nth) = damaged {
        disk.flip_bit(pages[nth].id, 20_000);
    }
    let pager = open(&disk);
    let mut census = pager.census().unwrap();
    let named = pages.clone();
    census.read_ahead(follow, move |scout| {
        named.chunks(group).all(|group| scout.expect(group[0], &group[1..]));
    });
    let mut page = Page::boxed();
    for (nth, ptr) in pages.iter().enumerate() {
        if nth % group == 0 {
            census.begin_group(ptr.id);
        }
        let is_read = census.read(*ptr, &mut page);
        assert_eq!(is_read, damaged != Some(nth), "page {nth} in groups of {group}");
        if is_read {
            assert_eq!(page.payload()[..8], (nth as u64).to_le_bytes());
        }
    }
    assert_eq!(census.finding_count(), usize::from(damaged.is_some()));
}

#[test]
fn every_page_is_read_in_whatever_groups_it_is_named() {
    for group in [1, 2, 7, 128, 129, 300, PAGES] {
        check(group, |_, _| {}, None);
        check(group, follow, None);
    }
}

#[test]
fn a_damaged_page_is_found_as_without_reading_ahead() {
    for nth in [0, 1, 99, 130, 450, PAGES - 1] {
        check(64, |_, _| {}, Some(nth));
        check(300, follow, Some(nth));
    }
}

#[test]
fn what_is_remarked_on_a_page_comes_with_it() {
    let (disk, pages) = database();
    let pager = open(&disk);
    for group in [1, 64, 300] {
        let mut census = pager.census().unwrap();
        census.examine_pages_by(Arc::new(|page| {
            let nth = u64::from_le_bytes(*page.payload().first_chunk().unwrap()) as usize;
            let remark: Malformation = Arc::from(Box::from(format!("page {nth}")));
            if nth == 444 { Err(remark) } else { Ok(vec![(nth, remark); nth % 3]) }
        }));
        // The last pages are not named, and read by the walker.
        let named = pages[..600].to_vec();
        census.read_ahead(follow, move |scout| {
            named.chunks(group).all(|group| scout.expect(group[0], &group[1..]));
        });
        for (nth, ptr) in pages.iter().enumerate() {
            if nth % group == 0 {
                census.begin_group(ptr.id);
            }
            let remarks = census.take(*ptr).map(|Examined { remarks, .. }| remarks);
            assert_eq!(remarks.as_ref().map(Vec::len), if nth == 444 { None } else { Some(nth % 3) });
            assert!(remarks.unwrap_or_default().iter().all(|(of, _)| *of == nth));
        }
        let findings: Vec<String> = census.findings().iter().map(ToString::to_string).collect();
        assert_eq!(findings, [format!("page {}: page 444", pages[444].id)]);
    }
}

#[test]
fn readers_that_fail_leave_nobody_waiting() {
    check(64, follow_badly, None);
}

/// Groups that are never come to, pages that are not named, and an end in the midst of it.
#[test]
fn a_walk_that_goes_its_own_way_reads_what_it_asks_for() {
    let (disk, pages) = database();
    let pager = open(&disk);
    let mut page = Page::boxed();
    for skip in [1, 3, 10] {
        let mut census = pager.census().unwrap();
        let named = pages.clone();
        census.read_ahead(follow, move |scout| {
            named.chunks(50).all(|group| scout.expect(group[0], &group[1..40.min(group.len())]));
        });
        for group in pages.chunks(50).step_by(skip) {
            census.begin_group(group[0].id);
            for ptr in group.iter().rev().step_by(7) {
                assert!(census.read(*ptr, &mut page));
                assert_eq!(page.id(), ptr.id);
            }
        }
        assert_eq!(census.finding_count(), 0);
    }
    // Dropped while much is on its way.
    let mut census = pager.census().unwrap();
    let named = pages.clone();
    census.read_ahead(follow, move |scout| {
        named.chunks(50).all(|group| scout.expect(group[0], &group[1..]));
    });
    census.begin_group(pages[0].id);
    assert!(census.read(pages[0], &mut page));
}
