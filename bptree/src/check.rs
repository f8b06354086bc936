//! What a page must be before anybody looks into it: called once for each page that comes from disk.
//!
//! The checks run from the outside in, so each may rely on those above it. What passes can be searched, iterated and
//! changed without a panic. What only shows between pages (kinds and levels of children, order across pages) is
//! checked at the visit.

use std::cmp::Ordering;
use std::sync::Arc;

use dynamite_pager::{Malformation, PAGE_SIZE, Page, PagePtr};

use crate::error::Malformed;
use crate::node::{
    CELL_MAX, EXTENT_LIST, HEAD_SIZE, INNER, KEY_INLINE_MAX, KEY_KEPT, LEAF, LEAF_HEADER, LEAF_HEADER_BITS,
    LEVEL_MAX, LONG_SEPARATOR, LeafHeader, MAX_HEAD, MAX_KEY, NODE_START, Node, OVERFLOW, SLOT_SIZE,
    SPILLED_PREFIX_MAX, SPILLED_SEPARATOR, run_len, separator_header_len, tail_len,
};
use crate::overflow::{Overflow, wrong_list};

/// Checks the form of a page of this crate, and accepts pages of other kinds. For
/// [`Options::page_check`](dynamite_pager::Options::page_check); whoever has page kinds of their own calls it from theirs.
///
/// # Errors
///
/// A [`Malformed`] that says which check failed.
///
/// Cost: some 3 ns a byte that is used, at most.
pub fn check_page(page: &Page) -> Result<(), Malformation> {
    match check(page) {
        Ok(()) => Ok(()),
        Err(why) => Err(Arc::new(why)),
    }
}

pub(crate) fn check(page: &Page) -> Result<(), Malformed> {
    match page.kind() {
        LEAF => level(page, 0).and_then(|()| check_node(page)),
        INNER if page.level() == 0 => Err(Malformed::Level { found: 0, expected: 1 }),
        INNER if page.level() > LEVEL_MAX => Err(Malformed::Depth { levels: page.level() }),
        INNER => check_node(page),
        OVERFLOW => level(page, 0),
        EXTENT_LIST => level(page, 0).and_then(|()| wrong_list(page).map_or(Ok(()), Err)),
        _ => Ok(()),
    }
}

fn level(page: &Page, expected: u8) -> Result<(), Malformed> {
    if page.level() == expected { Ok(()) } else { Err(Malformed::Level { found: page.level(), expected }) }
}

fn check_node(page: &Page) -> Result<(), Malformed> {
    let (count, prefix_len) = (page.slot_count(), page.prefix_len());
    if count == 0 {
        return Err(Malformed::SlotCount { count });
    }
    if usize::from(prefix_len) > KEY_INLINE_MAX {
        return Err(Malformed::Prefix { len: prefix_len });
    }
    let slots_end = NODE_START + usize::from(prefix_len) + SLOT_SIZE * usize::from(count);
    let cell_offset = page.cell_offset();
    if slots_end > usize::from(cell_offset) || usize::from(cell_offset) > PAGE_SIZE {
        return Err(Malformed::CellArea { cell_offset, slots_end });
    }
    let mut taken = Taken([0; PAGE_SIZE / 64]);
    for slot in 0..usize::from(count) {
        let cell = Cell { page, slot, prefix_len: prefix_len.into() };
        let (start, len) = if page.level() == 0 { cell.check_leaf()? } else { cell.check_inner()? };
        if !taken.take(start, len) {
            return Err(Malformed::CellOverlap { slot });
        }
    }
    check_order(Node::of(page))
}

/// A cell that is being checked.
struct Cell<'a> {
    page: &'a Page,
    slot: usize,
    prefix_len: usize,
}

impl Cell<'_> {
    /// Returns where the cell begins and how long it is.
    fn check_leaf(&self) -> Result<(usize, usize), Malformed> {
        let start = self.start(LEAF_HEADER)?;
        let bytes = self.page.bytes();
        let packed = [bytes[start], bytes[start + 1], bytes[start + 2]];
        let header = LeafHeader::unpack(packed);
        let bits = u32::from_le_bytes([packed[0], packed[1], packed[2], 0]);
        if bits >> LEAF_HEADER_BITS != 0 || header.value_spilled && header.value_len > MAX_HEAD {
            return Err(Malformed::CellHeader { slot: self.slot, header: bits });
        }
        let len = header.cell_len();
        self.check_key(header.rest, header.key_spilled, start, len)?;
        if header.key_spilled {
            self.check_key_run(start + LEAF_HEADER + tail_len(header.rest))?;
        }
        if header.value_spilled {
            self.check_run(start + len - Overflow::SIZE)?;
        }
        Ok((start, len))
    }

    fn check_inner(&self) -> Result<(usize, usize), Malformed> {
        let start = self.start(PagePtr::SIZE + 1)?;
        let bytes = self.page.bytes();
        let at = start + PagePtr::SIZE;
        let first = bytes[at];
        let unsound = Malformed::CellHeader { slot: self.slot, header: first.into() };
        let (rest, spilled) = match first {
            SPILLED_SEPARATOR => (KEY_KEPT.checked_sub(self.prefix_len).ok_or(unsound)?, true),
            LONG_SEPARATOR => {
                let [low, high] =
                    *bytes[at + 1..].first_chunk().ok_or(Malformed::CellBounds { slot: self.slot, start })?;
                let rest = u16::from_le_bytes([low, high]);
                if rest < LONG_SEPARATOR.into() {
                    return Err(unsound);
                }
                (rest.into(), false)
            }
            rest => (rest.into(), false),
        };
        let tail = at + separator_header_len(rest, spilled);
        let end = tail + tail_len(rest) + run_len(spilled);
        if self.slot == 0 {
            if rest > 0 || spilled || self.head() != 0 {
                return Err(Malformed::FirstSeparator);
            }
            return Ok((start, end - start));
        }
        self.check_key(rest, spilled, start, end - start)?;
        if spilled {
            self.check_key_run(end - Overflow::SIZE)?;
        }
        Ok((start, end - start))
    }

    /// Where the cell begins; it is in the cell area, with at least `least` bytes.
    fn start(&self, least: usize) -> Result<usize, Malformed> {
        let at = self.slot_start() + HEAD_SIZE;
        let bytes = self.page.bytes();
        let start = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        if start < self.page.cell_offset().into() || start + least > PAGE_SIZE {
            return Err(Malformed::CellBounds { slot: self.slot, start });
        }
        Ok(start)
    }

    fn check_key(&self, rest: usize, spilled: bool, start: usize, len: usize) -> Result<(), Malformed> {
        let slot = self.slot;
        if start + len > PAGE_SIZE {
            return Err(Malformed::CellBounds { slot, start });
        }
        let kept = self.prefix_len + rest;
        let sound = if spilled { kept == KEY_KEPT } else { kept <= KEY_INLINE_MAX };
        if !sound {
            return Err(Malformed::KeyLength { slot, len: kept });
        }
        if spilled && self.prefix_len > SPILLED_PREFIX_MAX {
            return Err(Malformed::Prefix { len: self.prefix_len as u16 });
        }
        let unprefixed = len - tail_len(rest) + kept;
        if unprefixed > CELL_MAX {
            return Err(Malformed::CellLength { slot, len: unprefixed });
        }
        let head = self.head();
        // Of a short key the bytes that are not there must be zero.
        let padding_bits = 8 * (HEAD_SIZE - rest.min(HEAD_SIZE)) as u32;
        if padding_bits > 0 && head.trailing_zeros() < padding_bits {
            return Err(Malformed::Head { slot, head });
        }
        Ok(())
    }

    fn check_key_run(&self, at: usize) -> Result<(), Malformed> {
        let run = self.check_run(at)?;
        let len = KEY_KEPT + run.len();
        if len <= KEY_INLINE_MAX || len > MAX_KEY {
            return Err(Malformed::KeyLength { slot: self.slot, len });
        }
        Ok(())
    }

    fn check_run(&self, at: usize) -> Result<Overflow, Malformed> {
        let run =
            Overflow::from_bytes(self.page.bytes()[at..].first_chunk().expect("the cell is in the page"));
        run.wrong().map_or(Ok(run), Err)
    }

    fn slot_start(&self) -> usize {
        NODE_START + self.prefix_len + SLOT_SIZE * self.slot
    }

    fn head(&self) -> u32 {
        let bytes = self.page.bytes()[self.slot_start()..].first_chunk();
        u32::from_be_bytes(*bytes.expect("the slots are in the page"))
    }
}

/// Keys ascend, as far as the page can tell.
fn check_order(node: Node<'_>) -> Result<(), Malformed> {
    let first = usize::from(!node.is_leaf());
    let (mut before, mut key) = (Vec::new(), Vec::new());
    for slot in first..node.len() {
        key.clear();
        node.append_rest(slot, &mut key);
        if slot > first {
            let spilled = node.key_part(slot).run.is_some();
            let kept = KEY_KEPT.saturating_sub(node.prefix().len());
            if !may_precede(&before, &key, spilled, kept) {
                return Err(Malformed::KeyOrder { slot });
            }
        }
        std::mem::swap(&mut before, &mut key);
    }
    Ok(())
}

/// Whether a key may stand before another one, going by what is stored of them; `kept` bytes of a spilled one.
pub(crate) fn may_precede(low: &[u8], high: &[u8], high_spilled: bool, kept: usize) -> bool {
    // Of a key beside a spilled one only that much can be compared; behind it, the run decides.
    let low_kept = if high_spilled { &low[..low.len().min(kept)] } else { low };
    match low_kept.cmp(high) {
        // A spilled low key that the high one extends is among these; its run decides too.
        Ordering::Less => true,
        // The high key goes on, and so may the low one.
        Ordering::Equal => high_spilled,
        Ordering::Greater => false,
    }
}

/// The bytes of a page that belong to a cell.
struct Taken([u64; PAGE_SIZE / 64]);

impl Taken {
    /// Takes a range, if no byte of it is taken.
    fn take(&mut self, start: usize, len: usize) -> bool {
        let end = start + len;
        let mut at = start;
        while at < end {
            let (word, bit) = (at / 64, at % 64);
            let count = (64 - bit).min(end - at);
            let mask = u64::MAX >> (64 - count) << bit;
            if self.0[word] & mask != 0 {
                return false;
            }
            self.0[word] |= mask;
            at += count;
        }
        true
    }
}
