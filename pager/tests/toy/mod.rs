//! A toy client of the pager: an array of cells, each a run of pages, under one root page. Small enough to know by
//! heart what every state must look like, and yet it allocates, copies, frees, and spans commits of all sizes.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::sync::Arc;

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{
    Access, Birth, Durability, Extent, Finding, Operation, Options, Page, PageId, PageKind, PagePtr, Pager,
    PagerError, Placement, Result, Roots, State, WriteBatch,
};

pub const DATABASE_ID: [u8; 16] = *b"a test database.";

const ROOT: PageKind = PageKind(16);
const CELL: PageKind = PageKind(17);

/// Cells that fit under one root page.
pub const CELLS_MAX: usize = dynamite_pager::PAYLOAD_SIZE / 16;

/// What a cell holds, and in how many pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub value: u64,
    pub pages: u32,
}

impl Cell {
    pub fn of(value: u64) -> Cell {
        Cell { value, pages: 1 }
    }
}

/// The contents of a whole database.
pub type Cells = Vec<Cell>;

/// Options for tests on simulated disks: a small pool, nothing in the background.
pub fn quiet() -> Options {
    Options::new().cache_bytes(1 << 20).background(false)
}

pub fn create_on(disk: &DiskSim) -> Result<Pager> {
    quiet().create_on(Arc::new(disk.clone()) as Arc<dyn Disk>, DATABASE_ID)
}

pub fn open_on(disk: &DiskSim) -> Result<Pager> {
    quiet().open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, true)
}

/// Writes all cells anew.
pub fn fill(pager: &Pager, cells: &[Cell]) -> Result<Birth> {
    let mut batch = pager.begin()?;
    write_all(&mut batch, cells)?;
    batch.commit()
}

/// The first write of a batch: a root and all cells under it.
pub fn write_all(batch: &mut WriteBatch<'_>, cells: &[Cell]) -> Result<()> {
    assert!(cells.len() <= CELLS_MAX);
    let root = batch.allocate(ROOT, 1, Placement::Together)?;
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    for (index, cell) in cells.iter().enumerate() {
        let (first, pages) = write_cell(batch, index, *cell)?;
        let root = batch.roots().catalog.expect("set above");
        let root = batch.writable(root, Placement::Together)?;
        batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
        put_entry(batch.page_mut(root), index, first, pages);
        batch.end_operation()?;
    }
    Ok(())
}

/// Changes some cells in one batch. `at_once` stands between two operations of the batch.
pub fn change(batch: &mut WriteBatch<'_>, changes: &[(usize, Cell)]) -> Result<()> {
    for (index, cell) in changes {
        let root = batch.roots().catalog.expect("the cells were filled");
        let root = batch.writable(root, Placement::Together)?;
        batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
        let (old, pages) = entry(batch.read(root, Access::Point)?, *index);
        let (first, count) = if pages == 1 && cell.pages == 1 {
            // The ordinary way: copy the page and change the copy.
            let page = batch.writable(old, Placement::Hole)?;
            stamp(batch.page_mut(page), *index, 0, *cell);
            (page, 1)
        } else {
            batch.free_run(Extent { first: old.id, count: pages }, old.birth)?;
            write_cell(batch, *index, *cell)?
        };
        put_entry(batch.page_mut(root), *index, first, count);
        batch.end_operation()?;
    }
    Ok(())
}

/// Changes some cells in one commit.
pub fn commit(pager: &Pager, changes: &[(usize, Cell)]) -> Result<Birth> {
    let mut batch = pager.begin()?;
    change(&mut batch, changes)?;
    batch.commit()
}

/// Changes some cells in one batch that joins the group.
pub fn finish(pager: &Pager, changes: &[(usize, Cell)], durability: Durability) -> Result<Birth> {
    let mut batch = pager.begin()?;
    change(&mut batch, changes)?;
    batch.finish(durability)
}

/// Everything that a new reader sees. Checks that each page of a cell is the one that was written.
pub fn read_all(pager: &Pager) -> Result<Cells> {
    let (mut operation, state) = pager.enter()?;
    read_state(&mut operation, state)
}

/// Everything that a reader sees who entered with this state.
pub fn read_state(operation: &mut Operation<'_>, state: State) -> Result<Cells> {
    let Some(root) = state.roots.catalog else { return Ok(Vec::new()) };
    let root = operation.read(root, Access::Point)?;
    let entries: Vec<(PagePtr, u32)> =
        (0..root.slot_count()).map(|index| entry(&root, index.into())).collect();
    let mut cells = Vec::new();
    for (index, (first, pages)) in entries.into_iter().enumerate() {
        let mut cell = None;
        for (part, ptr) in run(first, pages).enumerate() {
            let page = operation.read(ptr, Access::Point)?;
            let found = parse(&page, index, part);
            assert!(cell.is_none_or(|cell| cell == found), "cell {index} is a mixture: {cell:?}, {found:?}");
            cell = Some(found);
        }
        let cell = cell.expect("a cell has pages");
        assert_eq!(cell.pages, pages, "cell {index}");
        cells.push(cell);
    }
    Ok(cells)
}

/// Every finding of a census of the newest durable commit.
pub fn audit(pager: &Pager) -> Vec<Finding> {
    let mut census = pager.census().expect("a census can be begun");
    let mut page = Page::zeroed();
    if let Some(root) = census.roots().catalog
        && census.mark(Extent::single(root.id))
        && census.read(root, &mut page)
    {
        for index in 0..page.slot_count() {
            let (first, count) = entry(&page, index.into());
            census.mark(Extent { first: first.id, count });
            let mut cell = Page::zeroed();
            for ptr in run(first, count) {
                census.read(ptr, &mut cell);
            }
        }
    }
    census.finish()
}

#[track_caller]
pub fn assert_sound(pager: &Pager, context: &str) {
    let findings = audit(pager);
    assert!(
        findings.is_empty(),
        "{context}:\n{}",
        findings.iter().map(|finding| format!("  {finding}\n")).collect::<String>()
    );
}

/// A database of that many cells, each of value 0.
pub fn database(cells: usize) -> (DiskSim, Pager) {
    let disk = DiskSim::new(1);
    let pager = create_on(&disk).expect("nothing fails");
    fill(&pager, &vec![Cell::of(0); cells]).expect("nothing fails");
    (disk, pager)
}

/// What the cells hold.
pub fn values(pager: &Pager) -> Vec<u64> {
    read_all(pager).expect("the state can be read").iter().map(|cell| cell.value).collect()
}

/// Closes, opens, and checks that all is well and as expected.
#[track_caller]
pub fn check_after_reopening(disk: &DiskSim, pager: Pager, expected: &[u64]) {
    pager.close().expect("nothing fails");
    let pager = open_on(disk).expect("nothing fails");
    assert_eq!(values(&pager), expected);
    assert_sound(&pager, "after reopening");
}

/// Whether an error is the simulated power cut or its consequence.
pub fn is_crash(error: &PagerError) -> bool {
    matches!(error, PagerError::Io { .. } | PagerError::Poisoned { .. } | PagerError::DiskFull { .. })
}

fn write_cell(batch: &mut WriteBatch<'_>, index: usize, cell: Cell) -> Result<(PagePtr, u32)> {
    let birth = batch.birth();
    let run = batch.allocate_run(cell.pages, CELL)?;
    for (part, id) in run.pages().enumerate() {
        stamp(batch.page_mut(PagePtr { id, birth }), index, part, cell);
    }
    Ok((PagePtr { id: run.first, birth }, cell.pages))
}

fn run(first: PagePtr, pages: u32) -> impl Iterator<Item = PagePtr> {
    Extent { first: first.id, count: pages }.pages().map(move |id| PagePtr { id, birth: first.birth })
}

/// Fills a page with what belongs there, from the first byte to the last.
fn stamp(page: &mut Page, index: usize, part: usize, cell: Cell) {
    let words = [index as u64, part as u64, cell.value, u64::from(cell.pages)];
    for (position, chunk) in page.payload_mut().chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&words[position % 4].to_le_bytes());
    }
}

fn parse(page: &Page, index: usize, part: usize) -> Cell {
    let word = |position: usize| {
        u64::from_le_bytes(page.payload()[position * 8..][..8].try_into().expect("8 bytes"))
    };
    let cell = Cell { value: word(2), pages: word(3) as u32 };
    let mut expected = Page::zeroed();
    stamp(&mut expected, index, part, cell);
    assert!(page.payload() == expected.payload(), "cell {index} part {part} is not what was written");
    cell
}

fn entry(root: &Page, index: usize) -> (PagePtr, u32) {
    let bytes = &root.payload()[index * 16..][..16];
    let ptr = PagePtr::from_bytes(bytes[..12].try_into().expect("12 bytes"));
    (ptr, u32::from_le_bytes(bytes[12..].try_into().expect("4 bytes")))
}

fn put_entry(root: &mut Page, index: usize, first: PagePtr, pages: u32) {
    let bytes = &mut root.payload_mut()[index * 16..][..16];
    bytes[..12].copy_from_slice(&first.to_bytes());
    bytes[12..].copy_from_slice(&pages.to_le_bytes());
    let slots = root.slot_count().max(index as u16 + 1);
    root.set_slot_count(slots);
}

/// A small generator for workloads: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The page ids that a test wants to damage, by what they hold.
pub fn pages_of(pager: &Pager) -> Vec<(PageId, &'static str)> {
    let (mut operation, state) = pager.enter().expect("not forked");
    pages_of_state(&mut operation, state)
}

/// The page ids that a state reaches, by what they hold.
pub fn pages_of_state(operation: &mut Operation<'_>, state: State) -> Vec<(PageId, &'static str)> {
    let root = state.roots.catalog.expect("the cells were filled");
    let cells = cell_ptrs(operation, state).into_iter().map(|ptr| (ptr.id, "cell"));
    std::iter::once((root.id, "root")).chain(cells).collect()
}

/// The pages of all cells of a state, in order.
pub fn cell_ptrs(operation: &mut Operation<'_>, state: State) -> Vec<PagePtr> {
    let root = state.roots.catalog.expect("the cells were filled");
    let root = operation.read(root, Access::Point).expect("the root is whole");
    let mut ptrs = Vec::new();
    for index in 0..root.slot_count() {
        let (first, count) = entry(&root, index.into());
        ptrs.extend(run(first, count));
    }
    ptrs
}

/// Adds a cell behind the last one.
pub fn append(batch: &mut WriteBatch<'_>, cell: Cell) -> Result<()> {
    let root = batch.roots().catalog.expect("the cells were filled");
    let root = batch.writable(root, Placement::Together)?;
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    let index = usize::from(batch.page_mut(root).slot_count());
    assert!(index < CELLS_MAX);
    let (first, pages) = write_cell(batch, index, cell)?;
    put_entry(batch.page_mut(root), index, first, pages);
    batch.end_operation()
}

/// Takes the last cell away.
pub fn remove_last(batch: &mut WriteBatch<'_>) -> Result<()> {
    let root = batch.roots().catalog.expect("the cells were filled");
    let root = batch.writable(root, Placement::Together)?;
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    let last = usize::from(batch.page_mut(root).slot_count()) - 1;
    let (first, count) = entry(batch.page_mut(root), last);
    batch.page_mut(root).set_slot_count(last as u16);
    batch.free_run(Extent { first: first.id, count }, first.birth)?;
    batch.end_operation()
}
