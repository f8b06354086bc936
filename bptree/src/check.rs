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

/// Keys ascend, as far as the page can tell. Where two heads differ they tell, since what a short key lacks is zero in its head.
fn check_order(node: Node<'_>) -> Result<(), Malformed> {
    let first = usize::from(!node.is_leaf());
    let head = |slot: usize| node.slots()[slot].first_chunk::<HEAD_SIZE>();
    for slot in first + 1..node.len() {
        if head(slot - 1) < head(slot) {
            continue;
        }
        let spilled = node.key_part(slot).run.is_some();
        let kept = KEY_KEPT.saturating_sub(node.prefix().len());
        let [before, key] = [slot - 1, slot].map(|slot| {
            let mut rest = Vec::new();
            node.append_rest(slot, &mut rest);
            rest
        });
        if !may_precede(&before, &key, spilled, kept) {
            return Err(Malformed::KeyOrder { slot });
        }
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

#[cfg(test)]
mod tests {
    use dynamite_pager::{Birth, PageId};

    use super::*;
    use crate::items::Items;
    use crate::node::{EXTENT_LIST, StoredKey};
    use crate::node_mut::Payload;
    use crate::separator::OwnedKey;

    fn blank(kind: dynamite_pager::PageKind, level: u8) -> Box<Page> {
        let mut page = Page::boxed();
        page.format(PageId(0x0201), Birth(0x0403), kind, level);
        page
    }

    fn run(len: u32) -> Overflow {
        let mut bytes = [0; Overflow::SIZE];
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4] = 77;
        Overflow::from_bytes(&bytes)
    }

    /// Four rows: `key1`, `key2` with a spilled value, `key3xyz`, and a spilled key.
    fn leaf() -> Box<Page> {
        let mut items = Items::new(true);
        let mut push = |key: &[u8], run: Option<Overflow>, bytes: &[u8], spilled: bool| {
            items.push(StoredKey { bytes: key, run }, Payload { bytes, spilled });
        };
        push(b"key1", None, b"one", false);
        push(b"key2", None, &[b"head", &run(5000).to_bytes()[..]].concat(), true);
        push(b"key3xyz", None, b"", false);
        push(&[&b"key4"[..], &[b'-'; 380]].concat(), Some(run(100)), b"four", false);
        let mut page = blank(LEAF, 0);
        items.lay_out(&items.whole(), &mut page);
        page
    }

    /// Three children, of which the third has a separator of 300 bytes.
    fn inner() -> Box<Page> {
        let mut items = Items::new(false);
        let child = |id| PagePtr { id: PageId(id), birth: Birth(id.into()) };
        items.push_child(None, child(11));
        items.push_child(Some(&OwnedKey { bytes: b"sep1".to_vec(), run: None }), child(12));
        items.push_child(Some(&OwnedKey { bytes: vec![b't'; 300], run: None }), child(13));
        let mut page = blank(INNER, 1);
        items.lay_out(&items.whole(), &mut page);
        page
    }

    fn cell(page: &Page, slot: usize) -> usize {
        Node::of(page).cell_start(slot)
    }

    /// Damages a valid page, and names the check that must refuse it.
    #[track_caller]
    fn check_refused(mut page: Box<Page>, damage: impl FnOnce(&mut Page), expected: Malformed) {
        assert_eq!(check(&page), Ok(()));
        damage(&mut page);
        assert_eq!(check(&page), Err(expected));
        assert!(check_page(&page).is_err());
    }

    #[test]
    fn levels_that_do_not_suit_the_kind_are_refused() {
        check_refused(leaf(), |page| page.bytes_mut()[21] = 1, Malformed::Level { found: 1, expected: 0 });
        check_refused(inner(), |page| page.bytes_mut()[21] = 0, Malformed::Level { found: 0, expected: 1 });
        check_refused(inner(), |page| page.bytes_mut()[21] = 25, Malformed::Depth { levels: 25 });
        let overflow = blank(OVERFLOW, 0);
        check_refused(overflow, |page| page.bytes_mut()[21] = 3, Malformed::Level { found: 3, expected: 0 });
    }

    #[test]
    fn counts_and_offsets_of_the_page_header_are_bounded() {
        check_refused(leaf(), |page| page.set_slot_count(0), Malformed::SlotCount { count: 0 });
        check_refused(leaf(), |page| page.set_prefix_len(401), Malformed::Prefix { len: 401 });
        let slots_end = 32 + 3 + 6 * 4;
        let refused = Malformed::CellArea { cell_offset: slots_end as u16 - 1, slots_end };
        check_refused(leaf(), |page| page.set_cell_offset(slots_end as u16 - 1), refused);
        let refused = Malformed::CellArea { cell_offset: 4097, slots_end };
        check_refused(leaf(), |page| page.set_cell_offset(4097), refused);
        let slots_end = 32 + 3 + 6 * 0xffff;
        let refused = Malformed::CellArea { cell_offset: leaf().cell_offset(), slots_end };
        check_refused(leaf(), |page| page.set_slot_count(0xffff), refused);
    }

    fn set_cell(page: &mut Page, slot: usize, start: usize) {
        let at = NODE_START + usize::from(page.prefix_len()) + SLOT_SIZE * slot + HEAD_SIZE;
        page.bytes_mut()[at..at + 2].copy_from_slice(&(start as u16).to_le_bytes());
    }

    #[test]
    fn cells_are_whole_within_the_cell_area_and_apart() {
        let before = usize::from(leaf().cell_offset()) - 1;
        let refused = Malformed::CellBounds { slot: 2, start: before };
        check_refused(leaf(), |page| set_cell(page, 2, before), refused);
        for start in [4094, 4096, 0xffff] {
            check_refused(leaf(), |page| set_cell(page, 0, start), Malformed::CellBounds { slot: 0, start });
        }
        // The cell of the first row is the last of the page; a longer value would end behind it.
        let start = cell(&leaf(), 0);
        check_refused(
            leaf(),
            |page| page.bytes_mut()[start + 1] |= 0x80,
            Malformed::CellBounds { slot: 0, start },
        );
        check_refused(leaf(), |page| set_cell(page, 1, start), Malformed::CellOverlap { slot: 1 });
        let start = cell(&inner(), 0);
        check_refused(
            inner(),
            |page| set_cell(page, 0, start + 1),
            Malformed::CellBounds { slot: 0, start: start + 1 },
        );
    }

    #[test]
    fn cell_headers_hold_only_what_is_ever_written() {
        let page = leaf();
        let (start, header) = (cell(&page, 0), u32::from(page.bytes()[cell(&page, 0) + 1]) << 8 | 1);
        let refused = Malformed::CellHeader { slot: 0, header: header | 0x40_0000 };
        check_refused(page, |page| page.bytes_mut()[start + 2] |= 0x40, refused);
        // A length below 254 in its long form.
        let start = cell(&inner(), 2) + PagePtr::SIZE;
        let refused = Malformed::CellHeader { slot: 2, header: 254 };
        check_refused(
            inner(),
            |page| page.bytes_mut()[start + 1..start + 3].copy_from_slice(&[253, 0]),
            refused,
        );
    }

    #[test]
    fn keys_have_the_lengths_that_are_stored() {
        // The spilled key keeps 384 bytes: one less, and one more.
        let start = cell(&leaf(), 3);
        for (change, len) in [(-1_i8, 383), (1, 385)] {
            check_refused(
                leaf(),
                |page| {
                    let byte = &mut page.bytes_mut()[start];
                    *byte = byte.wrapping_add_signed(change);
                },
                // One byte more reaches into the next cell, which comes to light later.
                Malformed::KeyLength { slot: 3, len },
            );
        }
        // Behind the cell of the last separator there is another long one, into which it may reach.
        let mut items = Items::of(Node::of(&inner()));
        let child = PagePtr { id: PageId(14), birth: Birth(14) };
        items.push_child(Some(&OwnedKey { bytes: vec![b'u'; 300], run: None }), child);
        let mut page = blank(INNER, 1);
        items.lay_out(&items.whole(), &mut page);
        let at = cell(&page, 3) + PagePtr::SIZE + 1;
        let longer = |page: &mut Page| page.bytes_mut()[at..at + 2].copy_from_slice(&401_u16.to_le_bytes());
        check_refused(page, longer, Malformed::KeyLength { slot: 3, len: 401 });
        // The rest of the spilled key has too few bytes for a key that is spilled, or too many for any.
        let at = cell(&leaf(), 3) + LEAF_HEADER + 384 - 3 - 4;
        let set = |len: u32| {
            move |page: &mut Page| page.bytes_mut()[at..at + 4].copy_from_slice(&len.to_le_bytes())
        };
        check_refused(leaf(), set(16), Malformed::KeyLength { slot: 3, len: 400 });
        check_refused(leaf(), set(40_000), Malformed::KeyLength { slot: 3, len: 40_384 });
        check_refused(leaf(), set(0), Malformed::Descriptor { len: 0, flags: 0 });
        check_refused(
            leaf(),
            |page| page.bytes_mut()[at + 16] = 2,
            Malformed::Descriptor { len: 100, flags: 2 },
        );
    }

    #[test]
    fn a_prefix_leaves_a_spilled_key_a_head_of_real_bytes() {
        let key = |len: usize| StoredKey { bytes: &[b'a'; 400][..len], run: Some(run(99)) };
        let mut items = Items::new(true);
        items.push(key(384), Payload { bytes: b"", spilled: false });
        let mut page = blank(LEAF, 0);
        items.lay_out(&items.whole(), &mut page);
        assert_eq!(page.prefix_len(), 380);
        // The page as it would be with a prefix of 381 bytes: everything a byte further, and a tail of nothing.
        let mut moved = page.clone();
        moved.set_prefix_len(381);
        let slot = NODE_START + 380;
        let bytes = moved.bytes_mut();
        bytes.copy_within(slot..slot + SLOT_SIZE, slot + 1);
        (bytes[slot], bytes[slot + 4]) = (b'a', 0);
        let start = Node::of(&page).cell_start(0);
        bytes[start] -= 1;
        assert_eq!(check(&moved), Err(Malformed::Prefix { len: 381 }));
    }

    #[test]
    fn a_cell_too_long_for_half_a_page_is_refused() {
        let mut items = Items::new(true);
        items.push(StoredKey { bytes: b"k", run: None }, Payload { bytes: &[0; 2020], spilled: false });
        let mut page = blank(LEAF, 0);
        items.lay_out(&items.whole(), &mut page);
        let start = cell(&page, 0);
        // One byte more of value, and of key behind the prefix.
        let longer = |page: &mut Page| {
            page.bytes_mut().copy_within(start..start + LEAF_HEADER, start - 1);
            let header = LeafHeader { rest: 1, key_spilled: false, value_spilled: false, value_len: 2021 };
            page.bytes_mut()[start - 1..start + 2].copy_from_slice(&header.pack());
            page.set_cell_offset(start as u16 - 1);
            set_cell(page, 0, start - 1);
        };
        check_refused(page, longer, Malformed::CellLength { slot: 0, len: 2025 });
    }

    #[test]
    fn heads_are_those_of_the_keys_and_ascend() {
        let slot = |nth: usize| NODE_START + 3 + SLOT_SIZE * nth;
        let refused = Malformed::Head { slot: 0, head: u32::from_be_bytes(*b"1\0\0\x01") };
        check_refused(leaf(), |page| page.bytes_mut()[slot(0) + 3] = 1, refused);
        check_refused(leaf(), |page| page.bytes_mut()[slot(1)] = b'0', Malformed::KeyOrder { slot: 1 });
        check_refused(leaf(), |page| page.bytes_mut()[slot(1)] = b'1', Malformed::KeyOrder { slot: 1 });
        check_refused(inner(), |page| page.bytes_mut()[NODE_START] = 1, Malformed::FirstSeparator);
        let at = cell(&inner(), 0) + PagePtr::SIZE;
        check_refused(inner(), |page| page.bytes_mut()[at] = 1, Malformed::FirstSeparator);
    }

    #[test]
    fn a_list_of_extents_is_that_of_a_run() {
        let list = || {
            let mut page = blank(EXTENT_LIST, 0);
            page.set_slot_count(2);
            page.payload_mut()[..16].copy_from_slice(&[9, 0, 0, 0, 3, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0]);
            page
        };
        check_refused(list(), |page| page.set_slot_count(0), Malformed::SlotCount { count: 0 });
        check_refused(list(), |page| page.set_slot_count(509), Malformed::SlotCount { count: 509 });
        let pages = |pages| Malformed::ExtentList { extents: 2, pages };
        check_refused(list(), |page| page.payload_mut()[4] = 0, pages(1));
        check_refused(list(), |page| page.payload_mut()[5] = 1, pages(260));
        check_refused(list(), |page| page.payload_mut()[..4].fill(0xff), pages(4));
    }

    /// Keys as the page can compare them: by 384 bytes where one of them is spilled.
    #[test]
    fn order_is_judged_by_what_is_stored_of_the_keys() {
        let kept = vec![b'k'; KEY_KEPT];
        let longer = [&kept[..], b"x"].concat();
        assert!(may_precede(b"a", b"b", false, KEY_KEPT));
        assert!(!may_precede(b"b", b"b", false, KEY_KEPT));
        assert!(!may_precede(b"c", b"b", true, KEY_KEPT));
        // An inline key of 384 bytes is a prefix of the spilled one, so below it, and not above.
        assert!(may_precede(&kept, &kept, true, KEY_KEPT));
        assert!(!may_precede(&kept, &kept, false, KEY_KEPT));
        // One that goes on may be on either side.
        assert!(may_precede(&longer, &kept, true, KEY_KEPT));
        assert!(may_precede(&kept, &longer, false, KEY_KEPT));
    }

    /// The file format is a promise. If this fails, bump the version and write the upgrade.
    #[test]
    fn node_bytes_are_the_documented_ones() {
        let page = leaf();
        let bytes = page.bytes();
        // Kind, level, slots, cell offset, prefix length; then the prefix.
        let cells = 4096 - (3 + 3) - (3 + 4 + 17) - 3 - (3 + 377 + 17 + 4);
        let offset = (cells as u16).to_le_bytes();
        assert_eq!(bytes[20..32], [16, 0, 4, 0, offset[0], offset[1], 3, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[32..35], b"key");
        let slot = |head: &[u8; 4], cell: usize| [&head[..], &(cell as u16).to_le_bytes()].concat();
        let slots =
            [slot(b"1\0\0\0", 4090), slot(b"2\0\0\0", 4066), slot(b"3xyz", 4063), slot(b"4---", cells)];
        assert_eq!(bytes[35..35 + 24], slots.concat());
        // Bits 0..9 the rest of the key, 9 and 10 what is spilled, 11..22 the bytes of the value.
        assert_eq!(bytes[4090..], [1, 3 << 3, 0, b'o', b'n', b'e']);
        let spilled = [&[1, 4 << 3 | 4, 0][..], b"head", &run(5000).to_bytes()].concat();
        assert_eq!(bytes[4066..4090], spilled);
        assert_eq!(bytes[4063..4066], [4, 0, 0]);
        let header = [(381 & 0xff) as u8, 4 << 3 | 2 | 1, 0];
        let long = [&header[..], &[b'-'; 377], &run(100).to_bytes(), b"four"].concat();
        assert_eq!(bytes[cells..4063], long);

        let longest = LeafHeader { rest: 0, key_spilled: false, value_spilled: false, value_len: 2021 };
        assert_eq!(longest.pack(), (2021_u32 << 11).to_le_bytes()[..3]);

        let page = inner();
        let bytes = page.bytes();
        assert_eq!(bytes[20..24], [17, 1, 3, 0]);
        let cells = [4096 - 13, 4096 - 13 - 13, 4096 - 13 - 13 - (12 + 3 + 296)];
        let slots = [slot(&[0; 4], cells[0]), slot(b"sep1", cells[1]), slot(b"tttt", cells[2])];
        assert_eq!(bytes[26..28], [0, 0]);
        assert_eq!(bytes[32..50], slots.concat());
        let child = |id: u8| [id, 0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes[cells[0]..], [&child(11)[..], &[0]].concat());
        assert_eq!(bytes[cells[1]..cells[0]], [&child(12)[..], &[4]].concat());
        let long = [&child(13)[..], &[254, 44, 1], &[b't'; 296]].concat();
        assert_eq!(bytes[cells[2]..cells[1]], long);
    }
}
