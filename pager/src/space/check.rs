//! The checker's walk over the free space of a committed state: every free page, and everything that is wrong.
//!
//! Streaming: one path of map pages is in memory, whatever the size of the file. What a page says is checked as
//! every reader checks it ([`crate::space::page`]). The walk adds the one thing that no reader can see: that no page
//! is both listed and marked. That no free page is in use is for the caller to see, who knows what is reachable.

use crate::error::{Corruption, PagerError, Result};
use crate::format::page::Page;
use crate::format::page_id::{Extent, PagePtr};
use crate::space::bits::RangeBits;
use crate::space::map::MapStore;
use crate::space::page::{Entry, SpaceRoot, decode_directory, decode_leaf, free_twice};
use crate::space::range::{FAN_OUT, extent_in_range, is_page_count, offset_in_range, range_of};

/// Visits the free extents of a committed state: the listed ones, then the marked ones, each ascending. Reports every
/// page that is corrupt to `finding`, with the page's name in it, and goes on with the others.
///
/// # Errors
///
/// A page that cannot be read for another reason than corruption ends the walk.
pub(crate) fn free_extents(
    store: &mut dyn MapStore,
    root: PagePtr,
    page_count: u64,
    visit: &mut dyn FnMut(Extent),
    finding: &mut dyn FnMut(PagerError),
) -> Result<()> {
    if !is_page_count(page_count) {
        let source = Corruption::SpaceField { field: "page count", value: page_count };
        finding(store.corrupt(root.id, source));
        return Ok(());
    }
    let mut walk = Walk { store, page_count, listed: Vec::new(), visit, finding };
    let decode = |page: &Page| SpaceRoot::decode(page, page_count);
    let Some(state) = walk.read(root, &decode)? else {
        return Ok(());
    };
    for extent in &state.listed {
        (walk.visit)(*extent);
    }
    walk.listed = state.listed;
    if state.height > 0 {
        walk.map_pages(state.height - 1, 0, &state.entries)?;
    }
    Ok(())
}

struct Walk<'a> {
    store: &'a mut dyn MapStore,
    page_count: u64,
    listed: Vec<Extent>,
    visit: &'a mut dyn FnMut(Extent),
    finding: &'a mut dyn FnMut(PagerError),
}

impl Walk<'_> {
    /// Walks the map pages of this level that `entries` describe, from the one numbered `first_index` on.
    fn map_pages(&mut self, level: u8, first_index: u32, entries: &[Entry]) -> Result<()> {
        let page_count = self.page_count;
        for (index, entry) in (first_index..).zip(entries).filter(|(_, entry)| !entry.is_empty()) {
            let ptr = entry.ptr(level, index);
            if level == 0 {
                let leaf = self.read(ptr, &|page| decode_leaf(page, index, entry, page_count))?;
                if let Some(bits) = leaf {
                    self.leaf(ptr, index, &bits);
                }
                continue;
            }
            let children = self.read(ptr, &|page| decode_directory(page, level, index, entry, page_count))?;
            if let Some(children) = children {
                self.map_pages(level - 1, index * FAN_OUT as u32, &*children)?;
            }
        }
        Ok(())
    }

    fn leaf(&mut self, ptr: PagePtr, range: u32, bits: &RangeBits) {
        let from = self.listed.partition_point(|extent| range_of(extent.first) < range);
        for extent in self.listed[from..].iter().take_while(|extent| range_of(extent.first) == range) {
            if bits.any(offset_in_range(extent.first), extent.count) {
                (self.finding)(self.store.corrupt(ptr.id, free_twice(*extent)));
            }
        }
        for (first, count) in bits.runs() {
            (self.visit)(extent_in_range(range, first, count));
        }
    }

    /// Reads and decodes a page. `None` after reporting that it is corrupt.
    fn read<T>(
        &mut self,
        ptr: PagePtr,
        decode: &dyn Fn(&Page) -> Result<T, Corruption>,
    ) -> Result<Option<T>> {
        let mut page = Page::boxed();
        match self.store.read(ptr, &mut page) {
            Ok(()) => {}
            Err(corrupt @ PagerError::Corrupt { .. }) => {
                (self.finding)(corrupt);
                return Ok(None);
            }
            Err(other) => return Err(other),
        }
        match decode(&page) {
            Ok(decoded) => Ok(Some(decoded)),
            Err(source) => {
                (self.finding)(self.store.corrupt(ptr.id, source));
                Ok(None)
            }
        }
    }
}
