//! A client with holes: leaves under inner pages under a root, every second leaf taken away, so that the free pages are
//! too many and too scattered for the list in the space root and go into the space map. The file begins, as far as the
//! pager can tell, with 16 full ranges, so that the map has a directory too.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::Arc;

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::format::checksum::DatabaseSeed;
use dynamite_pager::{
    Access, Birth, Extent, Finding, Operation, Options, PAGE_SIZE, Page, PageId, PageKind, PagePtr, Pager,
    Placement, Problem, Result, Roots,
};
use xxhash_rust::xxh64::xxh64;

pub(crate) const DATABASE_ID: [u8; 16] = *b"a sieve of pages";

const ROOT: PageKind = PageKind(20);
const INNER: PageKind = PageKind(21);
const LEAF: PageKind = PageKind(22);

/// Leaves below one inner page, before they are thinned out.
const FAN_OUT: usize = 300;
/// Pages in a range of the space map, and the first range whose leaf is not below the root's own entries.
const RANGE_PAGES: u32 = 32_512;
const FAR_RANGE: u32 = 16;

/// Where the fields of a header are that these tests look at or damage.
pub(crate) const HEADER_PAGE_COUNT: usize = 88;
pub(crate) const HEADER_SPACE_ROOT: usize = 108;

pub(crate) fn options(frames: usize) -> Options {
    Options::new().cache_bytes(frames * PAGE_SIZE).background(false)
}

pub(crate) fn open(disk: &DiskSim, writable: bool) -> Result<Pager> {
    options(256).open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, writable)
}

/// A sealed database that nobody uses, its space map three pages high, and its values.
pub(crate) fn sieve() -> (DiskSim, Vec<u64>) {
    let disk = DiskSim::new(11);
    let pager = options(256).create_on(Arc::new(disk.clone()), DATABASE_ID).expect("nothing fails");
    pager.close().expect("nothing fails");
    // The pages in between are in use by nobody, which only a census would mind.
    let page_count = u64::from(FAR_RANGE * RANGE_PAGES + 2);
    disk.set_file_len_bytes((page_count + 16) * PAGE_SIZE as u64);
    for place in 0..2 {
        damage_header(&disk, place, |header| {
            header[HEADER_PAGE_COUNT..][..8].copy_from_slice(&page_count.to_le_bytes());
        });
    }
    let pager = options(4096).open_on(Arc::new(disk.clone()), true).expect("the forgery is good");
    let mut values: Vec<u64> = (0..4 * FAN_OUT as u64).collect();
    build(&pager, &values).expect("nothing fails");
    thin(&pager).expect("nothing fails");
    values.retain(|value| value % 2 == 0);
    // The older versions of all that become free for good.
    for round in 0..4 {
        let index = round * 37;
        values[index] += 10_000;
        change(&pager, &[(index, values[index])]).expect("nothing fails");
    }
    pager.close().expect("nothing fails");
    assert_eq!(read_all(&open(&disk, false).expect("nothing fails")).expect("nothing fails"), values);
    (disk.after_kill(), values)
}

/// The pages of the database, one of each kind, and what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds {
    pub(crate) newest_header: u32,
    pub(crate) space_root: PageId,
    pub(crate) directory: PageId,
    pub(crate) leaf_of_map: PageId,
    pub(crate) root: PagePtr,
    pub(crate) inner: PagePtr,
    pub(crate) leaf: PagePtr,
}

impl Kinds {
    pub(crate) fn of(disk: &DiskSim) -> Kinds {
        let commit = |place| disk.page(PageId(place)).birth();
        let newest_header = u32::from(commit(1) > commit(0));
        let header = disk.page(PageId(newest_header));
        let space_root = ptr_at(&header.bytes()[HEADER_SPACE_ROOT..]);
        // See the tables in `space/page.rs` and `space/range.rs`.
        let root = disk.page(space_root.id);
        assert_eq!(root.payload()[0], 2, "the map has leaves and a directory");
        let directory = PageId(4 + u32::from(root.payload()[8 + 14]));
        let place = disk.page(directory).payload()[FAR_RANGE as usize * 16 + 14];
        let leaf_of_map = PageId(FAR_RANGE * RANGE_PAGES + u32::from(place));
        for (page, level) in [(directory, 1), (leaf_of_map, 0)] {
            let page = disk.page(page);
            assert_eq!((page.kind(), page.level()), (PageKind::SPACE_MAP, level));
        }
        let pager = open(disk, false).expect("the database is whole");
        let (mut operation, state) = pager.enter().expect("not forked");
        let root = state.roots.catalog.expect("the sieve was built");
        let inner = children(&mut operation, root).expect("the database is whole")[2];
        let leaf = children(&mut operation, inner).expect("the database is whole")[99];
        Kinds { newest_header, space_root: space_root.id, directory, leaf_of_map, root, inner, leaf }
    }
}

/// Writes all values anew.
fn build(pager: &Pager, values: &[u64]) -> Result<Birth> {
    let mut batch = pager.begin()?;
    let birth = batch.birth();
    let mut inner_pages = Vec::new();
    for (index, values) in values.chunks(FAN_OUT).enumerate() {
        let run = batch.allocate_run(values.len() as u32, LEAF)?;
        let leaves: Vec<PagePtr> = run.pages().map(|id| PagePtr { id, birth }).collect();
        for (leaf, value) in leaves.iter().zip(values) {
            stamp(batch.page_mut(*leaf), *value);
        }
        let inner = batch.allocate(INNER, 1, Placement::Together)?;
        assert!(index < 4);
        put_children(batch.page_mut(inner), &leaves);
        inner_pages.push(inner);
    }
    let root = batch.allocate(ROOT, 2, Placement::Together)?;
    put_children(batch.page_mut(root), &inner_pages);
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    batch.commit()
}

/// Takes every second leaf away.
fn thin(pager: &Pager) -> Result<Birth> {
    let mut batch = pager.begin()?;
    let root = batch.writable(batch.roots().catalog.expect("built"), Placement::Together)?;
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    let mut inner_pages = parse_children(batch.page_mut(root));
    for inner in &mut inner_pages {
        *inner = batch.writable(*inner, Placement::Together)?;
        let leaves = parse_children(batch.page_mut(*inner));
        let (kept, gone): (Vec<_>, Vec<_>) =
            leaves.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
        gone.into_iter().try_for_each(|(_, leaf)| batch.free(leaf))?;
        put_children(batch.page_mut(*inner), &kept.into_iter().map(|(_, leaf)| leaf).collect::<Vec<_>>());
    }
    put_children(batch.page_mut(root), &inner_pages);
    batch.commit()
}

/// Changes some values in one commit.
pub(crate) fn change(pager: &Pager, changes: &[(usize, u64)]) -> Result<Birth> {
    let mut batch = pager.begin()?;
    for (index, value) in changes {
        let Some(root) = batch.roots().catalog else { break };
        let root = batch.writable(root, Placement::Together)?;
        batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
        let mut inner_pages = parse_children(batch.page_mut(root));
        let (which, slot) = (index / (FAN_OUT / 2), index % (FAN_OUT / 2));
        let Some(inner) = inner_pages.get_mut(which) else { continue };
        *inner = batch.writable(*inner, Placement::Together)?;
        let inner = *inner;
        put_children(batch.page_mut(root), &inner_pages);
        let mut leaves = parse_children(batch.page_mut(inner));
        let Some(leaf) = leaves.get_mut(slot) else { continue };
        *leaf = batch.writable(*leaf, Placement::Hole)?;
        stamp(batch.page_mut(*leaf), *value);
        put_children(batch.page_mut(inner), &leaves);
        batch.end_operation()?;
    }
    batch.commit()
}

/// All values. Checks that each leaf is what was written.
pub(crate) fn read_all(pager: &Pager) -> Result<Vec<u64>> {
    let (mut operation, state) = pager.enter()?;
    let mut values = Vec::new();
    for inner in children(&mut operation, state.roots.catalog.expect("built"))? {
        for leaf in children(&mut operation, inner)? {
            let page = operation.read(leaf, Access::Point)?;
            let value = value_of(&page);
            let mut expected = Page::zeroed();
            stamp(&mut expected, value);
            assert!(page.payload() == expected.payload(), "{leaf:?} is not what was written");
            values.push(value);
        }
    }
    Ok(values)
}

/// Reads every page, whatever it holds, and says how many there were.
pub(crate) fn touch_all(pager: &Pager) -> Result<usize> {
    let (mut operation, state) = pager.enter()?;
    let mut pages = 0;
    let Some(root) = state.roots.catalog else { return Ok(0) };
    for inner in children(&mut operation, root)? {
        for leaf in children(&mut operation, inner)? {
            operation.read(leaf, Access::Scan)?;
            pages += 1;
        }
    }
    Ok(pages)
}

/// What a census finds, but for the pages in front of the sieve, which are nobody's.
pub(crate) fn audit(pager: &Pager) -> Vec<Finding> {
    let mut census = pager.census().expect("a census can be begun");
    let mut page = Page::zeroed();
    if let Some(root) = census.roots().catalog
        && census.mark(Extent::single(root.id))
        && census.read(root, &mut page)
    {
        for inner in parse_children(&page) {
            if census.mark(Extent::single(inner.id)) && census.read(inner, &mut page) {
                for leaf in parse_children(&page) {
                    census.mark(Extent::single(leaf.id));
                    census.read(leaf, &mut Page::zeroed());
                }
            }
        }
    }
    let in_front = |finding: &Finding| {
        matches!(finding.problem, Problem::Lost)
            && finding.pages.is_some_and(|pages| pages.first.0 < FAR_RANGE * RANGE_PAGES)
    };
    census.finish().into_iter().filter(|finding| !in_front(finding)).collect()
}

/// Changes the bytes of a header, and stamps its checksum anew.
pub(crate) fn damage_header(disk: &DiskSim, place: u32, damage: impl FnOnce(&mut [u8])) {
    let mut page = disk.page(PageId(place));
    damage(page.bytes_mut());
    let checksum = xxh64(&page.bytes()[8..], u64::from(place));
    page.bytes_mut()[..8].copy_from_slice(&checksum.to_le_bytes());
    disk.set_page(PageId(place), &page);
}

/// Changes the bytes of a page that is no header, and stamps its checksum anew.
pub(crate) fn damage_page(disk: &DiskSim, id: PageId, damage: impl FnOnce(&mut [u8])) {
    let mut page = disk.page(id);
    damage(page.bytes_mut());
    DatabaseSeed::new(DATABASE_ID).stamp(&mut page);
    disk.set_page(id, &page);
}

/// The pointers in an inner page or root.
pub(crate) fn children(operation: &mut Operation<'_>, ptr: PagePtr) -> Result<Vec<PagePtr>> {
    operation.read(ptr, Access::Point).map(|page| parse_children(&page))
}

fn parse_children(page: &Page) -> Vec<PagePtr> {
    let count = usize::from(page.slot_count());
    page.payload().chunks_exact(PagePtr::SIZE).take(count).map(ptr_at).collect()
}

fn put_children(page: &mut Page, children: &[PagePtr]) {
    for (child, bytes) in children.iter().zip(page.payload_mut().chunks_exact_mut(PagePtr::SIZE)) {
        bytes.copy_from_slice(&child.to_bytes());
    }
    page.set_slot_count(children.len() as u16);
}

fn ptr_at(bytes: &[u8]) -> PagePtr {
    PagePtr::from_bytes(bytes[..PagePtr::SIZE].try_into().expect("12 bytes"))
}

/// Fills a leaf from the first byte to the last.
fn stamp(page: &mut Page, value: u64) {
    for (position, chunk) in page.payload_mut().chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&(value ^ (position as u64) << 32).to_le_bytes());
    }
}

fn value_of(page: &Page) -> u64 {
    u64::from_le_bytes(page.payload()[..8].try_into().expect("8 bytes"))
}
