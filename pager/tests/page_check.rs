//! The layers above look at their pages once, when they come from disk: what they refuse nobody gets to see.

use std::sync::Arc;

use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Access, Malformation, Options, Page, PageKind, PagerError, Placement, Problem, Roots};

const KIND: PageKind = PageKind::FIRST_FOREIGN;

fn refuses_odd_pages(page: &Page) -> Result<(), Malformation> {
    if page.kind() == KIND && page.payload()[0] % 2 == 1 {
        return Err(Arc::new(std::io::Error::other("an odd page")));
    }
    Ok(())
}

/// A disk with a database whose catalog is one page that begins with `first_byte`.
fn disk_with(first_byte: u8) -> Arc<DiskSim> {
    let disk = Arc::new(DiskSim::new(1));
    let pager = Options::new().background(false).create_on(disk.clone(), [7; 16]).unwrap();
    let mut batch = pager.begin().unwrap();
    let root = batch.allocate(KIND, 0, Placement::Together).unwrap();
    batch.page_mut(root).payload_mut()[0] = first_byte;
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    batch.commit().unwrap();
    pager.close().unwrap();
    disk
}

#[test]
fn a_page_that_its_layer_refuses_is_an_error_of_the_read_and_a_finding_of_the_census() {
    let pager = Options::new().page_check(refuses_odd_pages).open_on(disk_with(1), true).unwrap();
    let (mut operation, state) = pager.enter().unwrap();
    let root = state.roots.catalog.unwrap();
    for _ in 0..2 {
        let error = operation.read(root, Access::Point).unwrap_err();
        assert!(matches!(&error, PagerError::Malformed { page, .. } if *page == root.id), "{error}");
        assert!(error.to_string().contains("an odd page"), "{error}");
    }
    let findings = {
        let mut census = pager.census().unwrap();
        assert!(!census.read(root, &mut Page::zeroed()));
        census.mark(dynamite_pager::Extent::single(root.id));
        census.finish()
    };
    assert!(
        matches!(&findings[..], [finding] if matches!(finding.problem, Problem::Malformed(_))),
        "{findings:?}"
    );
}

#[test]
fn a_page_that_its_layer_accepts_is_read() {
    let pager = Options::new().page_check(refuses_odd_pages).open_on(disk_with(2), true).unwrap();
    let (mut operation, state) = pager.enter().unwrap();
    assert_eq!(operation.read(state.roots.catalog.unwrap(), Access::Point).unwrap().payload()[0], 2);
}
