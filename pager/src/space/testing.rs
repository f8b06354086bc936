//! What the tests of the free space share: a store that forgets whatever no state needs, a model made of plain
//! sets, and a source of choices.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Corruption, ErrorContext, PagerError, Result};
use crate::format::page::{Page, PageKind};
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::space::check::free_extents;
use crate::space::close::{Closed, tail_slack};
use crate::space::map::MapStore;
use crate::space::page::{Entry, SpaceRoot, decode_directory};
use crate::space::page_set::PageSet;
use crate::space::range::{FAN_OUT, is_usable, range_of, range_start};
use crate::space::{Placement, Space};

pub(crate) const NO_LIMIT: u64 = 1 << 32;

pub(crate) fn extent(first: u32, count: u32) -> Extent {
    Extent { first: PageId(first), count }
}

/// Choices that a seed determines.
pub(crate) struct Choices(pub(crate) u64);

impl Choices {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Holds the pages that the newest closed state consists of and nothing else: reading any other page fails, as if
/// it had been overwritten with garbage.
#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) pages: HashMap<PageId, Box<Page>>,
    pub(crate) reads: u64,
    /// Fails the read that finds this at 0.
    pub(crate) reads_left: Option<u64>,
}

impl MapStore for FakeStore {
    fn read(&mut self, ptr: PagePtr, into: &mut Page) -> Result<()> {
        self.reads += 1;
        if let Some(left) = &mut self.reads_left {
            if *left == 0 {
                return Err(io_error());
            }
            *left -= 1;
        }
        let Some(page) = self.pages.get(&ptr.id) else {
            return Err(self.corrupt(ptr.id, Corruption::Blank));
        };
        if page.birth() != ptr.birth {
            let source = Corruption::Birth { found: page.birth(), expected: ptr.birth };
            return Err(self.corrupt(ptr.id, source));
        }
        into.bytes_mut().copy_from_slice(page.bytes());
        Ok(())
    }

    fn corrupt(&self, page: PageId, source: Corruption) -> PagerError {
        ErrorContext(Arc::from(Path::new("fake"))).corrupt(page, source)
    }
}

pub(crate) fn io_error() -> PagerError {
    ErrorContext(Arc::from(Path::new("fake")))
        .io(crate::error::IoOperation::WriteBatch, std::io::Error::from_raw_os_error(5))
}

impl FakeStore {
    /// The map pages of a state, and its root.
    fn reachable(&mut self, closed: Closed) -> HashSet<PageId> {
        let mut root = Page::zeroed();
        self.read(closed.root, &mut root).expect("the root was emitted");
        let root = SpaceRoot::decode(&root, closed.page_count).expect("the root is valid");
        let mut reached = HashSet::from([closed.root.id]);
        if root.height > 0 {
            self.reach(closed, root.height - 1, 0, &root.entries, &mut reached);
        }
        reached
    }

    fn reach(
        &mut self,
        closed: Closed,
        level: u8,
        first: u32,
        entries: &[Entry],
        reached: &mut HashSet<PageId>,
    ) {
        for (index, entry) in (first..).zip(entries).filter(|(_, entry)| !entry.is_empty()) {
            let ptr = entry.ptr(level, index);
            reached.insert(ptr.id);
            let mut page = Page::zeroed();
            self.read(ptr, &mut page).expect("a map page is there");
            if level > 0 {
                let children =
                    decode_directory(&page, level, index, entry, closed.page_count).expect("valid");
                self.reach(closed, level - 1, index * FAN_OUT as u32, &*children, reached);
            }
        }
    }
}

/// The oracle: who has which page, as plain sets.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) free: PageSet,
    pub(crate) limbo: BTreeMap<Birth, PageSet>,
    pub(crate) live: PageSet,
    /// Pages that finished batches of the group allocated, and no batch gave up.
    pub(crate) unwritten: PageSet,
    pub(crate) open: Option<(Birth, PageSet, PageSet)>,
}

/// A space, the store behind it and the model beside it. Every step checks the one against the other.
pub(crate) struct Twins {
    pub(crate) space: Space,
    pub(crate) store: FakeStore,
    pub(crate) model: Model,
    pub(crate) birth: Birth,
    pub(crate) closed: Option<Closed>,
    /// Map pages that the last close emitted.
    pub(crate) map_pages: u64,
    /// What failures are reported with.
    pub(crate) seed: u64,
}

impl Twins {
    pub(crate) fn new(seed: u64) -> Twins {
        Twins {
            space: Space::create(),
            store: FakeStore::default(),
            model: Model::default(),
            birth: Birth(0),
            closed: None,
            map_pages: 0,
            seed,
        }
    }

    pub(crate) fn begin(&mut self) {
        // The gap leaves numbers for closes while the batch is open.
        self.birth = Birth(self.birth.0 + 10);
        self.space.begin(self.birth);
        self.model.open = Some((self.birth, PageSet::default(), PageSet::default()));
    }

    /// As before each batch.
    #[track_caller]
    pub(crate) fn tend(&mut self, limit: u64) {
        let before = self.space.page_count();
        self.space.tend_hot_area(&mut self.store, limit).expect("nothing is corrupt");
        self.check_growth(before, limit);
    }

    /// As before each page that a batch allocates: a large one may have the file grow. Says whether it has.
    #[track_caller]
    pub(crate) fn grow_stretch(&mut self, placement: Placement, limit: u64) -> bool {
        let wanted = self.space.wants_stretch(&mut self.store, placement).expect("nothing is corrupt");
        let before = self.space.page_count();
        let has_grown = wanted && self.space.grow_stretch(limit);
        if wanted && !has_grown {
            self.space.stretches.cannot_grow();
        }
        self.check_growth(before, limit);
        has_grown
    }

    /// Pages by which the file has grown without being asked for an extent are free.
    #[track_caller]
    fn check_growth(&mut self, before: u64, limit: u64) {
        let after = self.space.page_count();
        assert!(after <= limit.max(before), "seed {}", self.seed);
        for page in before..after {
            let gained = Extent::single(PageId(page as u32));
            if is_usable(gained, after) {
                self.model.free.insert(gained);
            }
        }
        self.check_counts();
    }

    #[track_caller]
    pub(crate) fn allocate_hot(&mut self, count: u32) -> Option<Extent> {
        let found = self.space.allocate_hot(count);
        if let Some(extent) = found {
            assert_eq!(extent.count, count, "seed {}", self.seed);
            assert!(self.model.free.contains(extent), "seed {}: {extent:?} is not free", self.seed);
            self.model.free.remove(extent);
            self.model.open.as_mut().expect("open").1.insert(extent);
        }
        self.check_counts();
        found
    }

    #[track_caller]
    pub(crate) fn allocate(&mut self, count: u32, placement: Placement) -> Option<Extent> {
        let found = self.space.allocate(&mut self.store, count, placement).expect("nothing is corrupt");
        let seed = self.seed;
        match found {
            Some(extent) => {
                assert_eq!(extent.count, count, "seed {seed}");
                assert!(self.model.free.contains(extent), "seed {seed}: {extent:?} is not free");
                let is_hot = extent.pages().any(|page| self.space.available.is_hot(page));
                assert!(!is_hot || placement != Placement::Hole, "seed {seed}: {extent:?} is no hole");
                self.model.free.remove(extent);
                self.model.open.as_mut().expect("open").1.insert(extent);
            }
            None if count == 1 && self.space.quarantine.is_empty() => {
                let mut free = self.model.free.extents().flat_map(Extent::pages);
                let is_kept = |page| placement != Placement::Together && self.space.available.is_hot(page);
                assert!(free.all(is_kept), "seed {seed}: a free page was not found");
            }
            None => {}
        }
        self.check_counts();
        found
    }

    #[track_caller]
    pub(crate) fn allocate_at_end(&mut self, count: u32, limit: u64) -> Option<Extent> {
        let before = self.space.page_count();
        let found = self.space.allocate_at_end(count, limit);
        let (seed, after) = (self.seed, self.space.page_count());
        match found {
            Some(extent) => {
                assert!(extent.count == count && after <= limit && extent.end() == after, "seed {seed}");
                assert!(
                    u64::from(extent.first.0) >= before && is_usable(extent, after),
                    "seed {seed}: {extent:?}"
                );
                self.model.open.as_mut().expect("open").1.insert(extent);
                for page in before..u64::from(extent.first.0) {
                    let skipped = Extent::single(PageId(page as u32));
                    if is_usable(skipped, after) {
                        self.model.free.insert(skipped);
                    }
                }
            }
            None => assert_eq!(before, after, "seed {seed}"),
        }
        self.check_counts();
        found
    }

    /// Allocates, and lets the file grow if there is no such run.
    #[track_caller]
    pub(crate) fn obtain(&mut self, count: u32, placement: Placement) -> Extent {
        self.allocate(count, placement)
            .unwrap_or_else(|| self.allocate_at_end(count, NO_LIMIT).expect("room"))
    }

    #[track_caller]
    pub(crate) fn free(&mut self, extent: Extent) {
        assert_eq!(self.space.free(extent), Ok(()), "seed {}", self.seed);
        self.model.open.as_mut().expect("open").2.insert(extent);
    }

    #[track_caller]
    pub(crate) fn take_back(&mut self, extent: Extent) {
        self.space.take_back(extent);
        self.model.open.as_mut().expect("open").1.remove(extent);
        self.model.free.insert(extent);
        self.check_counts();
    }

    #[track_caller]
    pub(crate) fn finish(&mut self, recycled: &[PageId]) {
        self.space.finish(recycled);
        let (birth, allocated, freed) = self.model.open.take().expect("open");
        self.model.live.insert_all(&allocated);
        self.model.unwritten.insert_all(&allocated);
        self.model.live.remove_all(&freed);
        self.model.unwritten.remove_all(&freed);
        self.model.limbo.insert(birth, freed);
        for page in recycled.iter().copied().map(Extent::single) {
            self.model.live.remove(page);
            self.model.unwritten.remove(page);
            self.model.free.insert(page);
        }
        self.check_counts();
    }

    #[track_caller]
    pub(crate) fn abort(&mut self) {
        self.space.abort();
        let (_, allocated, _) = self.model.open.take().expect("open");
        self.model.free.insert_all(&allocated);
        self.check_counts();
    }

    pub(crate) fn release(&mut self, up_to: Birth) {
        self.space.release(up_to);
        let later = self.model.limbo.split_off(&up_to.next());
        for freed in std::mem::replace(&mut self.model.limbo, later).values() {
            self.model.free.insert_all(freed);
        }
        self.check_counts();
    }

    /// Closes under a number of its own, or under that of the last batch if one is open above it.
    #[track_caller]
    pub(crate) fn close(&mut self) -> Closed {
        self.close_within(NO_LIMIT).expect("nothing fails").expect("there is room")
    }

    #[track_caller]
    pub(crate) fn close_within(&mut self, limit: u64) -> Result<Option<Closed>> {
        self.close_failing(limit, &mut || false)
    }

    /// Closes; emitting a page fails when `fails` says so.
    #[track_caller]
    pub(crate) fn close_failing(
        &mut self,
        limit: u64,
        fails: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Closed>> {
        let seed = self.seed;
        // The birth of the last finished batch, or a number of its own if nothing was finished.
        let last = self.closed.map_or(Birth(0), |closed| closed.root.birth);
        let number = if self.space.newest > last { self.space.newest } else { last.next() };
        if self.model.open.as_ref().is_some_and(|(birth, ..)| *birth <= number) {
            return Ok(self.closed);
        }
        let before = self.space.page_count();
        let mut emitted: HashMap<PageId, Box<Page>> = HashMap::new();
        let result = self.space.close(&mut self.store, number, limit, &mut |ptr, encode| {
            if fails() {
                return Err(io_error());
            }
            // As a frame comes: with something else in it.
            let mut page = Page::boxed();
            page.bytes_mut().fill(0xa5);
            encode(&mut page);
            assert_eq!((page.id(), page.birth()), (ptr.id, number), "seed {seed}");
            let again = emitted.insert(ptr.id, page);
            assert!(again.is_none(), "seed {seed}: {:?} is written twice", ptr.id);
            Ok(())
        });
        let closed = match result {
            Ok(Some(closed)) => closed,
            other => {
                assert_eq!(
                    self.space.page_count(),
                    before,
                    "seed {seed}: a failed close changed the page count"
                );
                self.check_counts();
                return other;
            }
        };
        self.birth = self.birth.max(number);
        self.map_pages = emitted.values().filter(|page| page.kind() == PageKind::SPACE_MAP).count() as u64;
        self.write(closed, emitted);
        self.check_close(closed, number, before);
        Ok(Some(closed))
    }

    /// Takes the emitted pages into the store, and forgets what the new state does not need.
    #[track_caller]
    fn write(&mut self, closed: Closed, emitted: HashMap<PageId, Box<Page>>) {
        let kept = self.store.reads;
        self.store.reads_left = None;
        for (id, page) in emitted {
            // What is in the store is what the previous state needs (INV-2).
            assert!(
                !self.store.pages.contains_key(&id),
                "seed {}: {id:?} is in use, and overwritten",
                self.seed
            );
            self.store.pages.insert(id, page);
        }
        let reachable = self.store.reachable(closed);
        self.store.pages.retain(|id, _| reachable.contains(id));
        self.store.reads = kept;
    }

    #[track_caller]
    fn check_close(&mut self, closed: Closed, number: Birth, before: u64) {
        let seed = self.seed;
        let root = Extent::single(closed.root.id);
        assert!(is_usable(root, closed.page_count), "seed {seed}");
        assert!(
            self.model.free.contains(root) || u64::from(root.first.0) >= before,
            "seed {seed}: root {root:?}"
        );
        self.model.free.remove(root);
        if let Some(old) = self.closed.replace(closed) {
            self.model.limbo.entry(number).or_default().insert(Extent::single(old.root.id));
        }
        self.model.unwritten = PageSet::default();
        assert_eq!(self.space.page_count(), closed.page_count, "seed {seed}");
        for page in closed.page_count..before {
            let cut = Extent::single(PageId(page as u32));
            assert!(
                self.model.free.contains(cut) || !is_usable(cut, before),
                "seed {seed}: {cut:?} was cut off"
            );
            self.model.free.remove(cut);
        }
        let last = PageId((closed.page_count - 1) as u32);
        let is_free = |page: u64| self.model.free.contains(Extent::single(PageId(page as u32)));
        let tail = (0..closed.page_count).rev().take_while(|page| is_free(*page)).count() as u64;
        let is_excused = self.space.quarantine.contains_key(&range_of(last))
            || before.saturating_sub(closed.page_count) > 90_000;
        assert!(
            is_excused || tail <= 2 * u64::from(tail_slack(PageId((closed.page_count - tail) as u32))),
            "seed {seed}: a free tail of {tail} pages is left"
        );

        let mut expected = self.model.free.clone();
        for freed in self.model.limbo.values() {
            expected.insert_all(freed);
        }
        if let Some((_, allocated, _)) = &self.model.open {
            expected.insert_all(allocated);
        }
        let mut persisted = PageSet::default();
        let visit = &mut |extent: Extent| {
            assert!(!persisted.overlaps(extent), "seed {seed}: {extent:?} is free twice");
            persisted.insert(extent);
        };
        let finding = &mut |error| panic!("seed {seed}: {error}");
        free_extents(&mut self.store, closed.root, closed.page_count, visit, finding).expect("no I/O fails");
        let (mut lost, mut invented) = (expected.clone(), persisted.clone());
        lost.remove_all(&persisted);
        invented.remove_all(&expected);
        let summary =
            (lost.extents().take(5).collect::<Vec<_>>(), invented.extents().take(5).collect::<Vec<_>>());
        assert!(lost.is_empty() && invented.is_empty(), "seed {seed}: lost and invented: {summary:?}");
        self.check_unmarked();
        self.check_counts();
    }

    /// What the space remembers of the map holds: from some page on nothing is marked that could be claimed.
    #[track_caller]
    fn check_unmarked(&mut self) {
        let Some(from) = self.space.unmarked_from else { return };
        let last = range_of(PageId((self.space.page_count() - 1) as u32));
        for range in range_of(PageId(from.min(u64::from(u32::MAX)) as u32))..=last {
            if self.space.quarantine.contains_key(&range) {
                continue;
            }
            let entry = self.space.map.entry(&mut self.store, range).expect("valid");
            let bits = self.space.unclaimed_bits(&mut self.store, range, &entry).expect("valid");
            let end = range_start(range) + u64::from(bits.end());
            let seed = self.seed;
            assert!(
                bits.end() == 0 || end <= from,
                "seed {seed}: marks up to {end}, said to be none from {from}"
            );
        }
    }

    /// Opens the newest closed state, as after a crash.
    #[track_caller]
    pub(crate) fn reopen(&mut self) {
        let closed = self.closed.expect("a state was closed");
        let root = &self.store.pages[&closed.root.id];
        self.space = Space::open(root, closed.root, closed.page_count).expect("the state is valid");
        let mut free = PageSet::default();
        let finding = &mut |error| panic!("seed {}: {error}", self.seed);
        free_extents(
            &mut self.store,
            closed.root,
            closed.page_count,
            &mut |extent| free.insert(extent),
            finding,
        )
        .expect("no I/O fails");
        // Whatever is not free after the crash is in use, for all that the space can know.
        let mut live = PageSet::default();
        let last = range_of(PageId((closed.page_count - 1) as u32));
        for range in 0..=last {
            let first = crate::space::range::usable_start(range) as u32;
            let count = crate::space::range::usable_pages(range, closed.page_count);
            if count > 0 {
                live.insert(extent(first, count));
            }
        }
        live.remove_all(&free);
        live.remove(Extent::single(closed.root.id));
        self.model = Model { free, live, ..Model::default() };
        self.check_counts();
    }

    #[track_caller]
    fn check_counts(&self) {
        let limbo: u64 = self.model.limbo.values().map(PageSet::len).sum();
        assert_eq!(self.space.free_pages(), self.model.free.len() + limbo, "seed {}: free pages", self.seed);
    }
}
