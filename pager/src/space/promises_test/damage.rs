//! Promises about damage: no page of the free space whose checksum holds is dangerous, and the checker names it.

use crate::error::PagerError;
use crate::format::page::{Page, PageKind};
use crate::format::page_id::{Birth, Extent, PageId};
use crate::space::check::free_extents;
use crate::space::close::Closed;
use crate::space::page::{SpaceRoot, encode_root};
use crate::space::page_set::PageSet;
use crate::space::promises_test::{free_and_close, full_file, release_all};
use crate::space::range::{RANGE_PAGES, range_of};
use crate::space::testing::{FakeStore, NO_LIMIT, Twins, extent};
use crate::space::{Placement, Space};

/// A file with all kinds of free-space pages: a directory, leaves, a list.
fn state_of_every_kind() -> Twins {
    let mut twins = full_file(20 * RANGE_PAGES);
    let extents =
        (0..2000).map(|nth| extent(nth / 500 * 6 * RANGE_PAGES + 100 + nth % 500 * 20, 1 + nth % 12));
    free_and_close(&mut twins, extents);
    free_and_close(&mut twins, (0..30).map(|nth| extent(20_000 + nth * 10, 1 + nth % 9)));
    release_all(&mut twins);
    twins.close();
    assert_eq!(twins.space.map.height(), 2);
    assert!(twins.space.available.extents().len() > 10);
    twins
}

/// A damaged page whose checksum holds is refused, or what follows from it is consistent: nothing panics, nothing
/// is handed out twice.
#[test]
fn no_damaged_byte_of_a_free_space_page_is_dangerous() {
    let mut twins = state_of_every_kind();
    let closed = twins.closed.expect("closed");
    let mut kinds = std::collections::BTreeSet::new();
    let mut victims: Vec<PageId> = twins.store.pages.keys().copied().collect();
    victims.sort();
    // Of the leaves, one is enough.
    victims.retain(|id| {
        let page = &twins.store.pages[id];
        kinds.insert((page.kind().0, page.level()))
    });
    assert_eq!(victims.len(), 3);
    let mut refused = 0_u32;
    for victim in victims {
        let valid = twins.store.pages[&victim].clone();
        // The pager's header was checked before; kind and level are ours.
        for offset in (20..22).chain(32..4096) {
            let mut damaged = valid.clone();
            damaged.bytes_mut()[offset] ^= if offset % 3 == 0 { 0x80 } else { 1 << (offset % 8) };
            twins.store.pages.insert(victim, damaged);
            refused += u32::from(use_hostile_state(&mut twins.store, closed).is_err());
        }
        twins.store.pages.insert(victim, valid);
    }
    assert!(refused > 8000, "{refused} refused");
}

fn use_hostile_state(store: &mut FakeStore, closed: Closed) -> Result<(), PagerError> {
    let mut findings = Vec::new();
    let mut free = PageSet::default();
    let visit = &mut |extent| free.insert(extent);
    free_extents(store, closed.root, closed.page_count, visit, &mut |error| findings.push(error))?;
    let root = store.pages[&closed.root.id].clone();
    let corrupt =
        |source| PagerError::Corrupt { page: closed.root.id, path: std::path::Path::new("").into(), source };
    let mut space = Space::open(&root, closed.root, closed.page_count).map_err(corrupt)?;
    space.begin(Birth(1000));
    let mut handed_out = PageSet::default();
    for count in [1, 9, 1, 12, 40] {
        for placement in [Placement::Hole, Placement::Together] {
            if let Some(extent) = space.allocate(store, count, placement)? {
                assert!(!handed_out.overlaps(extent), "{extent:?} is handed out twice");
                assert!(extent.end() <= closed.page_count, "{extent:?} is beyond the end");
                handed_out.insert(extent);
            }
        }
    }
    space.free(extent(15_000, 1)).map_err(corrupt)?;
    space.finish(&[]);
    space.close(store, Birth(1000), NO_LIMIT, &mut |_, _| Ok(()))?;
    match findings.into_iter().next() {
        Some(finding) => Err(finding),
        None => Ok(()),
    }
}

/// Lists an extent that the leaf of its range marks too, and gives the leaf's page.
fn list_what_is_marked(twins: &mut Twins) -> PageId {
    let closed = twins.closed.expect("closed");
    let is_leaf = |page: &Page| page.kind() == PageKind::SPACE_MAP && page.level() == 0;
    let leaf = twins.store.pages.values().find(|page| is_leaf(page)).expect("there is a leaf").id();
    let decode = |page| SpaceRoot::decode(page, closed.page_count).expect("valid");
    let mut state = decode(&twins.store.pages[&closed.root.id]);
    let mut marked = Vec::new();
    let visit = &mut |extent: Extent| {
        if range_of(extent.first) == range_of(leaf) && !state.listed.contains(&extent) {
            marked.push(extent);
        }
    };
    free_extents(&mut twins.store, closed.root, closed.page_count, visit, &mut |error| panic!("{error}"))
        .expect("no I/O fails");
    state.listed = vec![marked[0]];
    let mut root = Page::boxed();
    encode_root(state.height, &state.entries, &state.listed, closed.root, &mut root);
    twins.store.pages.insert(closed.root.id, root);
    leaf
}

#[test]
fn the_checker_names_the_leaf_that_marks_a_listed_page() {
    let mut twins = state_of_every_kind();
    let closed = twins.closed.expect("closed");
    let leaf = list_what_is_marked(&mut twins);
    let mut findings = Vec::new();
    let finding = &mut |error| findings.push(error);
    free_extents(&mut twins.store, closed.root, closed.page_count, &mut |_| {}, finding)
        .expect("no I/O fails");
    assert!(matches!(&findings[..], [PagerError::Corrupt { page, .. }] if *page == leaf), "{findings:?}");
}

#[test]
fn a_page_that_is_listed_and_marked_is_handed_out_once() {
    let mut twins = state_of_every_kind();
    let closed = twins.closed.expect("closed");
    let leaf = list_what_is_marked(&mut twins);
    let root = &twins.store.pages[&closed.root.id];
    let mut space = Space::open(root, closed.root, closed.page_count).expect("the root alone is valid");
    space.begin(Birth(1000));
    let mut handed_out = PageSet::default();
    let error = loop {
        match space.allocate(&mut twins.store, 1, Placement::Hole) {
            Ok(Some(page)) => assert!(!handed_out.overlaps(page), "{page:?} is handed out twice"),
            Ok(None) => panic!("the contradiction was not noticed"),
            Err(error) => break error,
        }
        handed_out = space.open.as_ref().expect("open").allocated.clone();
    };
    assert!(matches!(error, PagerError::Corrupt { page, .. } if page == leaf), "{error}");
}
