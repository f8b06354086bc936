//! Overflow runs: bytes that are too long for a leaf, in pages of their own, read with one batch of reads.
//!
//! A run is contiguous where the free space allows, else its pieces are gathered in one extent-list page, so that a
//! fragmented file need not grow for a long value. The pages of a run are all written by the batch that made the run, so the
//! descriptor's one birth is that of each of them.
//!
//! ```text
//! descriptor (17 bytes)
//! offset  size  field   meaning
//! ------  ----  ------  --------------------------------------------------------------
//!      0     4  length  bytes in the run, at least 1
//!      4     4  page    the first page of the run, or the extent-list page
//!      8     8  birth   the batch that wrote all of its pages
//!     16     1  flags   1: `page` is an extent-list page
//!
//! overflow page, kind 18, level 0: the page header, then 4,064 bytes of the run; zeros behind its end
//!
//! extent-list page, kind 19, level 0; the header's slot count is the number of extents, up to 508
//! offset  size  field   meaning (of each extent, from offset 32 on)
//! ------  ----  ------  --------------------------------------------------------------
//!      0     4  first   its first page
//!      4     4  count   how many pages, at least 1
//! ```

use dynamite_pager::{
    Access, Extent, PAYLOAD_SIZE, Page, PageId, PagePtr, PagerError, Placement, WriteBatch,
};

use crate::error::{Malformed, Result, TreeError};
use crate::node::{EXTENT_LIST, MAX_VALUE, OVERFLOW};
use crate::pages::Pages;

/// The one flag: the pointer leads to an extent-list page.
const LISTED: u8 = 1;
/// Pages of a run that are written at once even if the pool is nearly exhausted.
const PORTION: u32 = 32;
/// Bytes of an extent in a list.
const EXTENT_SIZE: usize = 8;
/// Extents that fit in a list page.
const EXTENTS_MAX: usize = PAYLOAD_SIZE / EXTENT_SIZE;
const _: () = assert!(MAX_VALUE.div_ceil(PAYLOAD_SIZE) <= EXTENTS_MAX);

/// Bytes that stand in pages of their own: a descriptor, which is all that whoever owns the run must store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Overflow {
    len: u32,
    first: PagePtr,
    flags: u8,
}

impl Overflow {
    /// Bytes of a descriptor.
    pub const SIZE: usize = 17;

    /// Bytes of an entry in an extent-list page.
    pub(crate) const LISTED_SIZE: usize = EXTENT_SIZE;

    /// Bytes in the run.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "no run is empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The descriptor's form on disk.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..16].copy_from_slice(&self.first.to_bytes());
        bytes[16] = self.flags;
        bytes
    }

    /// Reads a descriptor from disk. Every bit pattern is taken; whether it describes a run is checked when that is read
    /// or freed.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Overflow {
        let (len, rest) = bytes.split_first_chunk().expect("17 bytes");
        let first = rest.first_chunk().expect("13 bytes");
        Overflow { len: u32::from_le_bytes(*len), first: PagePtr::from_bytes(first), flags: bytes[16] }
    }

    /// Appends the bytes of the run to `into`.
    ///
    /// Cost: one batch of reads, and one more read if the run is in pieces.
    ///
    /// # Errors
    ///
    /// [`PagerError::Malformed`] if it describes no run; then `into` is as it was.
    pub fn read(&self, pages: &mut (impl Pages + ?Sized), into: &mut Vec<u8>) -> Result<()> {
        let start = into.len();
        let ptrs = self.page_ptrs(pages)?;
        into.reserve_exact(self.len());
        let result = read_bodies(pages, &ptrs, self.len(), into);
        if result.is_err() {
            into.truncate(start);
        }
        result
    }

    /// Frees the pages of the run. Does not end the batch's operation.
    pub fn free(self, batch: &mut WriteBatch<'_>) -> Result<()> {
        for extent in self.extents(batch)? {
            batch.free_run(extent, self.first.birth)?;
        }
        if self.is_listed() {
            batch.free(self.first)?;
        }
        Ok(())
    }

    /// Stores bytes in a new run.
    ///
    /// One of more than [`PORTION`] pages ends the batch's operation, so that a small pool has room for what follows; if even
    /// the run is too much for what waits to be written beside it, it goes out in portions. So nothing may have been made
    /// writable before.
    pub(crate) fn write(batch: &mut WriteBatch<'_>, bytes: &[u8]) -> Result<Overflow> {
        debug_assert!(!bytes.is_empty() && bytes.len() <= MAX_VALUE);
        let extents = match write_portion(batch, bytes) {
            Err(TreeError::Pager(PagerError::PoolExhausted { .. })) if page_count(bytes.len()) > PORTION => {
                let mut extents: Vec<Extent> = Vec::new();
                for portion in bytes.chunks(PORTION as usize * PAYLOAD_SIZE) {
                    for next in write_portion(batch, portion)? {
                        match extents.last_mut() {
                            Some(last) if last.end() == next.first.0.into() => last.count += next.count,
                            _ => extents.push(next),
                        }
                    }
                    batch.end_operation()?;
                }
                extents
            }
            written => written?,
        };
        if page_count(bytes.len()) > PORTION {
            batch.end_operation()?;
        }
        let (len, birth) = (bytes.len() as u32, batch.birth());
        if let [extent] = extents[..] {
            return Ok(Overflow { len, first: PagePtr { id: extent.first, birth }, flags: 0 });
        }
        let list = batch.allocate(EXTENT_LIST, 0, Placement::Hole)?;
        let page = batch.page_mut(list);
        page.set_slot_count(extents.len() as u16);
        for (entry, extent) in page.payload_mut().chunks_exact_mut(EXTENT_SIZE).zip(&extents) {
            entry[..4].copy_from_slice(&extent.first.0.to_le_bytes());
            entry[4..].copy_from_slice(&extent.count.to_le_bytes());
        }
        Ok(Overflow { len, first: list, flags: LISTED })
    }

    /// Whether any page of the run lies beyond a page count.
    pub(crate) fn is_beyond(&self, batch: &mut WriteBatch<'_>, page_count: u64) -> Result<bool> {
        let is_list_beyond = u64::from(self.first.id.0) >= page_count;
        Ok(is_list_beyond || self.extents(batch)?.iter().any(|extent| extent.end() > page_count))
    }

    /// Stores the run anew, and frees it where it is. As with [`write`](Self::write), nothing may have been made writable before.
    pub(crate) fn move_elsewhere(self, batch: &mut WriteBatch<'_>) -> Result<Overflow> {
        let mut bytes = Vec::new();
        self.read(batch, &mut bytes)?;
        batch.end_operation()?;
        let moved = Overflow::write(batch, &bytes)?;
        self.free(batch)?;
        Ok(moved)
    }

    /// What is wrong with the descriptor by itself, if anything.
    pub(crate) fn wrong(&self) -> Option<Malformed> {
        let end = u64::from(self.first.id.0) + u64::from(page_count(self.len()));
        let in_range = (1..=MAX_VALUE).contains(&self.len()) && (self.is_listed() || end <= 1 << 32);
        let sound = in_range && self.flags <= LISTED;
        (!sound).then_some(Malformed::Descriptor { len: self.len, flags: self.flags })
    }

    /// The page that the descriptor names.
    pub(crate) fn first(&self) -> PagePtr {
        self.first
    }

    /// Pages of the run, without an extent-list page.
    pub(crate) fn page_count(&self) -> u32 {
        page_count(self.len())
    }

    /// Whether that is an extent-list page.
    pub(crate) fn is_listed(&self) -> bool {
        self.flags & LISTED != 0
    }

    /// The pieces of the run, without the extent-list page.
    fn extents(&self, pages: &mut (impl Pages + ?Sized)) -> Result<Vec<Extent>> {
        if let Some(why) = self.wrong() {
            return Err(pages.malformed(self.first.id, why).into());
        }
        if !self.is_listed() {
            return Ok(vec![Extent { first: self.first.id, count: page_count(self.len()) }]);
        }
        let list = pages.read(self.first, Access::Point)?;
        match self.listed(list) {
            Ok(extents) => Ok(extents),
            Err(why) => Err(pages.malformed(self.first.id, why).into()),
        }
    }

    /// The pieces in the extent-list page, if they make up this run.
    pub(crate) fn listed(&self, list: &Page) -> Result<Vec<Extent>, Malformed> {
        if list.kind() != EXTENT_LIST {
            return Err(Malformed::Kind { found: list.kind().0, expected: EXTENT_LIST.0 });
        }
        let extents: Vec<Extent> = list_entries(list).collect();
        let pages: u64 = extents.iter().map(|extent| u64::from(extent.count)).sum();
        if pages != u64::from(page_count(self.len())) {
            return Err(Malformed::ExtentList { extents: list.slot_count(), pages });
        }
        Ok(extents)
    }

    /// The pages of the run, in order.
    fn page_ptrs(&self, pages: &mut (impl Pages + ?Sized)) -> Result<Vec<PagePtr>> {
        let birth = self.first.birth;
        let extents = self.extents(pages)?;
        Ok(extents.iter().flat_map(|extent| extent.pages()).map(|id| PagePtr { id, birth }).collect())
    }
}

/// Pages for so many bytes.
fn page_count(len: usize) -> u32 {
    len.div_ceil(PAYLOAD_SIZE) as u32
}

/// What is wrong with the form of an extent-list page, if anything.
pub(crate) fn wrong_list(list: &Page) -> Option<Malformed> {
    let count = usize::from(list.slot_count());
    if !(1..=EXTENTS_MAX).contains(&count) {
        return Some(Malformed::SlotCount { count: list.slot_count() });
    }
    let pages = list_entries(list).map(|extent| u64::from(extent.count)).sum();
    let sound = list_entries(list).all(|extent| extent.count > 0 && extent.end() <= 1 << 32)
        && pages <= u64::from(page_count(MAX_VALUE));
    (!sound).then_some(Malformed::ExtentList { extents: list.slot_count(), pages })
}

fn list_entries(list: &Page) -> impl Iterator<Item = Extent> {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("4 bytes"));
    list.payload()
        .chunks_exact(EXTENT_SIZE)
        .take(list.slot_count().into())
        .map(move |entry| Extent { first: PageId(word(&entry[..4])), count: word(&entry[4..]) })
}

/// Appends `len` bytes, which stand in these pages.
fn read_bodies(
    pages: &mut (impl Pages + ?Sized),
    ptrs: &[PagePtr],
    len: usize,
    into: &mut Vec<u8>,
) -> Result<()> {
    let start = into.len();
    let mut wrong = None;
    pages.read_many(ptrs, Access::Point, &mut |index, page| {
        if page.kind() == OVERFLOW {
            let at = index * PAYLOAD_SIZE;
            let part_len = PAYLOAD_SIZE.min(len - at);
            put_part(into, start + at, &page.payload()[..part_len]);
        } else {
            wrong = Some((ptrs[index].id, page.kind().0));
        }
        Ok(())
    })?;
    match wrong {
        None => Ok(()),
        Some((id, found)) => Err(pages.malformed(id, Malformed::Kind { found, expected: OVERFLOW.0 }).into()),
    }
}

/// Puts a part where it belongs. Parts that come in order are appended, and no byte is written twice; those that come early
/// leave a gap of zeros, for those that are read from disk meanwhile.
fn put_part(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    if bytes.len() < at {
        bytes.resize(at, 0);
    }
    match bytes.get_mut(at..at + part.len()) {
        Some(gap) => gap.copy_from_slice(part),
        None => bytes.extend_from_slice(part),
    }
}

/// Writes bytes to pages that it allocates: from free space if there is enough, else by growth of the file. After an error
/// nothing is allocated.
fn write_portion(batch: &mut WriteBatch<'_>, bytes: &[u8]) -> Result<Vec<Extent>> {
    let count = page_count(bytes.len());
    let mut extents = Vec::new();
    let gathered = gather(batch, count, &mut extents);
    let birth = batch.birth();
    if !matches!(gathered, Ok(true)) {
        extents.drain(..).try_for_each(|extent| batch.free_run(extent, birth))?;
        gathered?;
        extents.push(batch.allocate_run(count, OVERFLOW)?);
    }
    let ids = extents.iter().flat_map(|extent| extent.pages());
    for (id, body) in ids.zip(bytes.chunks(PAYLOAD_SIZE)) {
        batch.page_mut(PagePtr { id, birth }).payload_mut()[..body.len()].copy_from_slice(body);
    }
    Ok(extents)
}

/// Allocates pages from free space: in one piece if there is such a run, else in pieces by halving. `false` if there is not
/// enough of it.
fn gather(batch: &mut WriteBatch<'_>, count: u32, extents: &mut Vec<Extent>) -> Result<bool> {
    let (mut missing, mut size) = (count, count);
    while missing > 0 {
        match batch.try_allocate_run(size.min(missing), OVERFLOW)? {
            Some(extent) => {
                missing -= extent.count;
                extents.push(extent);
            }
            None if size > 1 => size /= 2,
            None => return Ok(false),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use dynamite_pager::Birth;

    use super::*;

    #[test]
    fn parts_may_come_in_any_order() {
        let expected: Vec<u8> = (0..=99).collect();
        for first in 0..4 {
            for step in [1, 3] {
                let mut bytes = vec![0; 10];
                for nth in 0..4 {
                    let at = 10 + (first + nth * step) % 4 * 25;
                    put_part(&mut bytes, at, &expected[at - 10..at + 15]);
                }
                assert_eq!(bytes[..10], [0; 10]);
                assert_eq!(bytes[10..], expected);
            }
        }
    }

    /// The file format is a promise.
    #[test]
    fn descriptor_bytes_are_the_documented_ones() {
        let first = PagePtr { id: PageId(0x0807_0605), birth: Birth(0x100f_0e0d_0c0b_0a09) };
        let run = Overflow { len: 0x0403_0201, first, flags: 0x11 };
        assert_eq!(run.to_bytes(), std::array::from_fn(|index| index as u8 + 1));
        assert_eq!(Overflow::from_bytes(&run.to_bytes()), run);
    }
}
