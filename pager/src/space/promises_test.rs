//! What the free space promises to those above it, one promise a test; and the files that the tests begin with.

mod allocating;

mod closing;

mod damage;

mod tail;

use crate::format::page_id::{Extent, PageId};
use crate::space::Placement;
use crate::space::close::Closed;
use crate::space::range::{range_end, range_of, usable_start};
use crate::space::testing::{NO_LIMIT, Twins};

/// A closed file of `page_count` pages, all in use, and one more for the root.
fn full_file(page_count: u32) -> Twins {
    let mut twins = Twins::new(0);
    twins.begin();
    while twins.space.page_count() < page_count.into() {
        // Nothing is skipped if each extent ends with its range.
        let range = range_of(PageId(twins.space.page_count() as u32));
        let first = twins.space.page_count().max(usable_start(range));
        let end = range_end(range).min(page_count.into());
        twins.allocate_at_end((end - first) as u32, NO_LIMIT).expect("room");
    }
    assert_eq!(twins.space.free_pages(), 0);
    twins.finish(&[]);
    twins.close();
    twins
}

/// Frees extents in a batch of their own, and closes it.
fn free_and_close(twins: &mut Twins, extents: impl IntoIterator<Item = Extent>) -> Closed {
    twins.begin();
    for extent in extents {
        twins.free(extent);
    }
    twins.finish(&[]);
    twins.close()
}

fn release_all(twins: &mut Twins) {
    twins.release(twins.birth);
}

/// Every second page of a file is free, and released.
fn scattered_file(free: u32) -> Twins {
    let mut twins = full_file(2 * free + 100);
    let singles: Vec<Extent> = used(&twins).filter(|page| page.0 % 2 == 1).map(Extent::single).collect();
    free_and_close(&mut twins, singles.into_iter().take(free as usize));
    release_all(&mut twins);
    twins
}

/// Frees an extent for the roots to come, so that none is at the end of the file.
fn move_root_below(twins: &mut Twins, extent: Extent) {
    free_and_close(twins, [extent]);
    for _ in 0..2 {
        release_all(twins);
        assert!(extent.contains(twins.close().root.id));
    }
    release_all(twins);
}

fn used_within(twins: &Twins, extent: Extent) -> Vec<Extent> {
    twins.model.live.extents_within(extent).collect()
}

fn used(twins: &Twins) -> impl Iterator<Item = PageId> {
    twins.model.live.extents().flat_map(Extent::pages)
}

/// Opens a batch, and takes all that is listed.
fn take_what_is_listed(twins: &mut Twins) {
    twins.begin();
    while twins.space.available.extents().first().is_some_and(|lowest| lowest.count <= 1) {
        twins.allocate(1, Placement::Hole);
    }
}

/// Takes every free page, one by one.
fn exhaust(twins: &mut Twins) {
    twins.begin();
    for _ in 0..twins.space.free_pages() {
        twins.allocate(1, Placement::Hole).expect("a page is free");
    }
    assert_eq!(twins.allocate(1, Placement::Hole), None);
}
