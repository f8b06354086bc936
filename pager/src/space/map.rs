//! The space map: a radix tree of bitmaps over the ranges of the file, for the free pages that the space root
//! does not list.
//!
//! Leaves mark pages, directories sum up 254 children each, the space root up to 16. So the way to a range
//! is known from its number, and no file is large enough for more than two directories on it. The map
//! is read page by page, through the pool, and never held in memory: that is the root's 16 entries, and the few leaves that were
//! written last.
//!
//! The map knows nothing of batches. [`crate::space`] asks it where marked pages are, and a close
//! ([`crate::space::close`]) has all leaves that changed rewritten in one walk, each map page on the way
//! read once and written once, to its other place (INV-2; [`crate::space::range`] argues why that suffices).

use std::sync::Arc;

use crate::error::{Corruption, Result};
use crate::format::page::Page;
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::space::bits::RangeBits;
use crate::space::page::{
    Directory, Entry, ROOT_FAN_OUT, SpaceRoot, decode_directory, decode_leaf, encode_directory, encode_leaf,
    summary,
};
use crate::space::range::{FAN_OUT, LEVELS, span};

/// Where the space map's pages are read.
pub(crate) trait MapStore {
    /// Reads a committed page of the free-space structure, its checksum, id and birth checked (INV-1).
    fn read(&mut self, ptr: PagePtr, into: &mut Page) -> Result<()>;

    /// The error for a page whose contents contradict each other.
    fn corrupt(&self, page: PageId, source: Corruption) -> crate::error::PagerError;
}

/// Takes a page that a close writes: has it encoded into memory of its own, so that it is not copied. What is encoded has
/// no checksum yet.
pub(crate) type Emit<'a> = dyn FnMut(PagePtr, &mut dyn FnMut(&mut Page)) -> Result<()> + 'a;

/// The root of the map, as of the newest closed state.
#[derive(Clone, Debug)]
pub(crate) struct SpaceMap {
    height: u8,
    entries: [Entry; ROOT_FAN_OUT],
    /// Pages in the file that the map was written for, against which its pages are checked.
    page_count: u64,
    /// The leaves that were written last, the newest first: a close most often rewrites those of the closes before, and the
    /// next groups look there for room. What was written need be neither read nor checked.
    written: Vec<Arc<Written>>,
}

/// A leaf as it was written.
#[derive(Debug)]
struct Written {
    range: u32,
    entry: Entry,
    bits: RangeBits,
}

/// How many leaves that were written are kept.
const WRITTEN_MAX: usize = 4;

impl SpaceMap {
    /// A map that marks nothing.
    pub(crate) fn empty() -> SpaceMap {
        SpaceMap { height: 0, entries: [Entry::EMPTY; ROOT_FAN_OUT], page_count: 0, written: Vec::new() }
    }

    /// The map below a decoded root.
    pub(crate) fn new(root: &SpaceRoot, page_count: u64) -> SpaceMap {
        SpaceMap { height: root.height, entries: root.entries, page_count, written: Vec::new() }
    }

    pub(crate) fn height(&self) -> u8 {
        self.height
    }

    pub(crate) fn entries(&self) -> &[Entry; ROOT_FAN_OUT] {
        &self.entries
    }

    /// How many pages are marked.
    pub(crate) fn free_pages(&self) -> u64 {
        summary(&self.entries).0
    }

    /// The first range from `from` on that has a marked run of `count` pages and that `accept` takes.
    pub(crate) fn find(
        &self,
        store: &mut dyn MapStore,
        from: u32,
        count: u16,
        accept: &mut dyn FnMut(u32, &Entry) -> bool,
    ) -> Result<Option<(u32, Entry)>> {
        if self.height == 0 {
            return Ok(None);
        }
        self.find_below(store, &self.entries, self.height - 1, 0, from, count, accept)
    }

    /// Searches `entries`, which describe the map pages of this level from `first_index` on.
    #[expect(clippy::too_many_arguments, reason = "the request, unchanged, and the place in the tree")]
    fn find_below(
        &self,
        store: &mut dyn MapStore,
        entries: &[Entry],
        level: u8,
        first_index: u32,
        from: u32,
        count: u16,
        accept: &mut dyn FnMut(u32, &Entry) -> bool,
    ) -> Result<Option<(u32, Entry)>> {
        let skipped = (from / span(level)).saturating_sub(first_index);
        for (index, entry) in (first_index..).zip(entries).skip(skipped as usize) {
            if entry.longest < count {
                continue;
            }
            if level == 0 {
                if accept(index, entry) {
                    return Ok(Some((index, *entry)));
                }
                continue;
            }
            let children = self.read_directory(store, level, index, entry)?;
            let first_child = index * FAN_OUT as u32;
            let found = self.find_below(store, &*children, level - 1, first_child, from, count, accept)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The entry of a range's leaf.
    pub(crate) fn entry(&self, store: &mut dyn MapStore, range: u32) -> Result<Entry> {
        let found = self.find(store, range, 1, &mut |_, _| true)?;
        Ok(found.filter(|(first, _)| *first == range).map_or(Entry::EMPTY, |(_, entry)| entry))
    }

    /// The marked pages of a range.
    pub(crate) fn leaf(&self, store: &mut dyn MapStore, range: u32, entry: &Entry) -> Result<RangeBits> {
        if entry.is_empty() {
            return Ok(RangeBits::new());
        }
        if let Some(leaf) = self.written.iter().find(|leaf| (leaf.range, leaf.entry) == (range, *entry)) {
            return Ok(leaf.bits.clone());
        }
        let page = read(store, entry.ptr(0, range))?;
        decode_leaf(&page, range, entry, self.page_count).map_err(|source| store.corrupt(page.id(), source))
    }

    fn read_directory(
        &self,
        store: &mut dyn MapStore,
        level: u8,
        index: u32,
        entry: &Entry,
    ) -> Result<Box<Directory>> {
        if entry.is_empty() {
            return Ok(Box::new([Entry::EMPTY; FAN_OUT]));
        }
        let page = read(store, entry.ptr(level, index))?;
        decode_directory(&page, level, index, entry, self.page_count)
            .map_err(|source| store.corrupt(page.id(), source))
    }

    /// Lets `edit` change the leaves of `ranges` (ascending), and emits the changed map pages under `birth`,
    /// each below its parent first. Gives the map's new root, for a file of `page_count` pages; this one stays
    /// as it was.
    pub(crate) fn update(
        &self,
        store: &mut dyn MapStore,
        birth: Birth,
        page_count: u64,
        ranges: &[u32],
        edit: &mut dyn FnMut(&dyn MapStore, u32, &mut RangeBits) -> Result<()>,
        emit: &mut Emit<'_>,
    ) -> Result<SpaceMap> {
        let mut new = SpaceMap { page_count, ..self.clone() };
        let Some(&last) = ranges.last() else {
            return Ok(new);
        };
        let mut targets = ranges.to_vec();
        let mut pushed_down = None;
        while new.height == 0 || last >= ROOT_FAN_OUT as u32 * span(new.height - 1) {
            new.height += 1;
            debug_assert!(new.height <= LEVELS, "every range is within reach of the greatest height");
        }
        if self.height > 0 && new.height > self.height {
            // The map grew: the root's entries move down into the first directory of what was the root's level.
            // Range 0 is visited so that this directory is written, whether or not a leaf below it changes.
            pushed_down = Some((self.height, &self.entries));
            new.entries = [Entry::EMPTY; ROOT_FAN_OUT];
            if targets[0] != 0 {
                targets.insert(0, 0);
            }
        }
        let mut written = std::mem::take(&mut new.written);
        let mut walk =
            Update { map: self, store, birth, edit, emit, pushed_down, ranges, written: &mut written };
        walk.children(new.height - 1, 0, &mut new.entries, &targets)?;
        new.written = written;
        if summary(&new.entries).0 == 0 {
            new.height = 0;
        }
        Ok(new)
    }
}

/// The walk of [`SpaceMap::update`].
struct Update<'a, 'b> {
    map: &'a SpaceMap,
    store: &'a mut dyn MapStore,
    birth: Birth,
    edit: &'a mut dyn FnMut(&dyn MapStore, u32, &mut RangeBits) -> Result<()>,
    emit: &'a mut Emit<'b>,
    /// Entries of the old root, and the level of the directory, the first one, that has them now.
    pushed_down: Option<(u8, &'a [Entry; ROOT_FAN_OUT])>,
    /// The ranges to edit. (A walk may visit range 0 besides.)
    ranges: &'a [u32],
    /// See [`SpaceMap`].
    written: &'a mut Vec<Arc<Written>>,
}

impl Update<'_, '_> {
    /// Updates those of `entries`, for map pages of this level from `first_index` on, that lead to a target.
    fn children(
        &mut self,
        level: u8,
        first_index: u32,
        entries: &mut [Entry],
        targets: &[u32],
    ) -> Result<()> {
        for targets in targets.chunk_by(|a, b| a / span(level) == b / span(level)) {
            let index = targets[0] / span(level);
            let entry = &mut entries[(index - first_index) as usize];
            *entry = if level == 0 {
                self.leaf(index, entry)?
            } else {
                self.directory(level, index, entry, targets)?
            };
        }
        Ok(())
    }

    fn leaf(&mut self, range: u32, old: &Entry) -> Result<Entry> {
        if self.ranges.binary_search(&range).is_err() {
            return Ok(*old);
        }
        let mut bits = self.map.leaf(self.store, range, old)?;
        (self.edit)(&*self.store, range, &mut bits)?;
        let sum = (u64::from(bits.count()), bits.longest_run() as u16);
        let entry = self.write(0, range, old, sum, &mut |ptr, page| encode_leaf(&bits, ptr, page))?;
        self.written.retain(|leaf| leaf.range != range);
        if !entry.is_empty() {
            self.written.insert(0, Arc::new(Written { range, entry, bits }));
            self.written.truncate(WRITTEN_MAX);
        }
        Ok(entry)
    }

    fn directory(&mut self, level: u8, index: u32, old: &Entry, targets: &[u32]) -> Result<Entry> {
        let mut children = self.map.read_directory(self.store, level, index, old)?;
        if let Some((pushed_level, entries)) = self.pushed_down
            && (pushed_level, 0) == (level, index)
        {
            children[..ROOT_FAN_OUT].copy_from_slice(entries);
        }
        self.children(level - 1, index * FAN_OUT as u32, &mut *children, targets)?;
        let sum = summary(&*children);
        self.write(level, index, old, sum, &mut |ptr, page| encode_directory(&children, level, ptr, page))
    }

    /// Emits a new version of a map page, unless nothing is marked below it.
    fn write(
        &mut self,
        level: u8,
        index: u32,
        old: &Entry,
        (free, longest): (u64, u16),
        encode: &mut dyn FnMut(PagePtr, &mut Page),
    ) -> Result<Entry> {
        if free == 0 {
            return Ok(Entry::EMPTY);
        }
        let place = if old.is_empty() { 0 } else { 1 - old.place };
        let new = Entry { birth: self.birth, free: free as u32, longest, place };
        let ptr = new.ptr(level, index);
        (self.emit)(ptr, &mut |page| encode(ptr, page))?;
        Ok(new)
    }
}

fn read(store: &mut dyn MapStore, ptr: PagePtr) -> Result<Box<Page>> {
    let mut page = Page::boxed();
    store.read(ptr, &mut page)?;
    Ok(page)
}
