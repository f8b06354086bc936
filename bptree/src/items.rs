//! The slots of one or two nodes out of their pages: to be changed, cut into pieces by bytes, and laid out in pages.
//!
//! The size of a piece depends on its common prefix, and that on which items are in it. The prefix of a piece is as long as
//! its items share, but not so long that no item has a tail that it shortens: so the size that is computed is the least
//! possible, and whatever fits in a page under any prefix fits here.

use std::ops::Range;

use dynamite_pager::{Page, PagePtr};

use crate::check::{check, may_precede};
use crate::node::{
    CAPACITY, HEAD_SIZE, KEY_KEPT, NODE_START, Node, SLOT_SIZE, SPILLED_PREFIX_MAX, StoredKey,
};
use crate::node_mut::{Payload, cell_len, put_cell, put_slot};
use crate::overflow::Overflow;
use crate::search::head_of;
use crate::separator::OwnedKey;

/// Slots of a node, or of neighbours, with their keys and payloads. Of an inner node the key of item 0 means nothing.
#[derive(Debug)]
pub(crate) struct Items {
    leaf: bool,
    list: Vec<Item>,
    /// The bytes of keys and payloads.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    key_start: u32,
    key_len: u16,
    payload_len: u16,
    payload_start: u32,
    key_run: Option<Overflow>,
    spilled: bool,
}

/// Items that share a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) items: Range<usize>,
    pub(crate) prefix_len: usize,
    /// Bytes of prefix, slots and cells.
    pub(crate) size: usize,
}

impl Items {
    pub(crate) fn new(leaf: bool) -> Items {
        Items { leaf, list: Vec::with_capacity(64), bytes: Vec::with_capacity(8192) }
    }

    /// The slots of a node.
    pub(crate) fn of(node: Node<'_>) -> Items {
        let mut items = Items::new(node.is_leaf());
        items.append(node);
        items
    }

    /// Adds the slots of a node behind what is here.
    pub(crate) fn append(&mut self, node: Node<'_>) {
        for slot in 0..node.len() {
            let key_start = self.bytes.len();
            self.bytes.extend_from_slice(node.prefix());
            node.append_rest(slot, &mut self.bytes);
            let key_len = self.bytes.len() - key_start;
            let (bytes, spilled) = node.payload(slot);
            let payload = Payload { bytes, spilled };
            let item = self.item(key_start, key_len, node.key_run(slot), payload);
            self.list.push(item);
        }
    }

    pub(crate) fn insert(&mut self, at: usize, key: StoredKey<'_>, payload: Payload<'_>) {
        let item = self.store(key, payload);
        self.list.insert(at, item);
    }

    pub(crate) fn push(&mut self, key: StoredKey<'_>, payload: Payload<'_>) {
        self.insert(self.len(), key, payload);
    }

    /// Adds the slots of a node before what is here.
    pub(crate) fn prepend(&mut self, node: Node<'_>) {
        self.append(node);
        self.list.rotate_right(node.len());
    }

    /// Adds a child, with the separator to its left neighbour unless it is the first.
    pub(crate) fn insert_child(&mut self, at: usize, separator: Option<&OwnedKey>, child: PagePtr) {
        self.insert(at, OwnedKey::or_none(separator), Payload { bytes: &child.to_bytes(), spilled: false });
    }

    pub(crate) fn push_child(&mut self, separator: Option<&OwnedKey>, child: PagePtr) {
        self.insert_child(self.len(), separator, child);
    }

    /// Gives an item another payload.
    pub(crate) fn set_payload(&mut self, at: usize, payload: Payload<'_>) {
        let Item { key_start, key_len, key_run, .. } = self.list[at];
        self.list[at] = self.item(key_start as usize, key_len.into(), key_run, payload);
    }

    /// Gives an item another key.
    pub(crate) fn set_key(&mut self, at: usize, key: StoredKey<'_>) {
        let key_start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(key.bytes);
        let item = &mut self.list[at];
        (item.key_start, item.key_len, item.key_run) = (key_start, key.bytes.len() as u16, key.run);
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.leaf
    }

    /// Takes the last item away.
    pub(crate) fn pop(&mut self) {
        if let Some(item) = self.list.pop() {
            self.bytes.truncate(item.key_start as usize);
        }
    }

    pub(crate) fn key(&self, at: usize) -> StoredKey<'_> {
        let item = &self.list[at];
        StoredKey { bytes: self.key_of(item), run: item.key_run }
    }

    fn key_of(&self, item: &Item) -> &[u8] {
        &self.bytes[item.key_start as usize..][..item.key_len.into()]
    }

    /// Whether an item may stand behind the one before it, as far as their stored keys can tell.
    pub(crate) fn in_order(&self, at: usize) -> bool {
        let first = usize::from(!self.leaf);
        if at <= first || at >= self.len() {
            return true;
        }
        let (low, high) = (self.key(at - 1), self.key(at));
        may_precede(low.bytes, high.bytes, high.run.is_some(), KEY_KEPT)
    }

    /// All items as one piece, which may be too large for a page.
    pub(crate) fn whole(&self) -> Piece {
        self.piece(0..self.len())
    }

    /// Some items as one piece, which may be too large for a page.
    pub(crate) fn piece(&self, items: Range<usize>) -> Piece {
        let keyed = self.list.get(self.first_keyed(items.start)..items.end).unwrap_or_default();
        // Keys ascend: what the first and the last share is what all of them share.
        let shared = match keyed {
            [] => 0,
            [first, .., last] => shared_len(self.key_of(first), self.key_of(last)),
            [only] => only.key_len.into(),
        };
        let longest = keyed.iter().map(|item| item.key_len).max().unwrap_or(0);
        let any_spilled = keyed.iter().any(|item| item.key_run.is_some());
        let prefix_len = prefix_len(shared, longest.into(), any_spilled);
        let fill = Fill { prefix_len, ..Fill::begin(items.start) };
        let size = prefix_len + items.clone().map(|at| fill.cost(self, at)).sum::<usize>();
        Piece { items, prefix_len, size }
    }

    /// Cuts the items into `count` pieces of about equal size that fit in pages each, or more if they do not fit in so few.
    pub(crate) fn cut(&self, count: usize) -> Vec<Piece> {
        let whole = self.whole();
        let fits = whole.size <= count * CAPACITY;
        let count = if fits { count } else { count.max(self.cut_below(CAPACITY).len()) };
        let even = self.cut_evenly(&whole, count);
        if even.iter().all(|piece| piece.size <= CAPACITY) {
            return even;
        }
        // Large items do not stand where the cuts would have to be.
        let mut best = self.cut_below(CAPACITY);
        let count = count.max(best.len());
        // The least limit that still gives so few pieces is the one that evens them out.
        let (mut low, mut high) = (whole.size / count, CAPACITY);
        while high.saturating_sub(low) > 64 {
            let limit = low.midpoint(high);
            let pieces = self.cut_below(limit);
            if pieces.len() <= count && pieces.iter().all(|piece| piece.size <= limit) {
                (best, high) = (pieces, limit);
            } else {
                low = limit;
            }
        }
        best
    }

    /// Ends each piece with the item that brings it to its part of all bytes, counted under the prefix of the whole: under its own, a piece
    /// takes no more. So the last one gets less, and pages that were filled together do not overflow together. Pieces may be too
    /// large for a page. There are fewer of them if there are fewer items.
    fn cut_evenly(&self, whole: &Piece, count: usize) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(count);
        let fill = Fill { prefix_len: whole.prefix_len, ..Fill::begin(0) };
        let (mut start, mut size) = (0, 0);
        for at in 0..self.len() {
            if size * count >= whole.size {
                pieces.push(self.piece(start..at));
                (start, size) = (at, 0);
            }
            size += fill.cost(self, at);
        }
        pieces.push(self.piece(start..self.len()));
        pieces
    }

    /// Fills one page after the other.
    pub(crate) fn fill(&self) -> Vec<Piece> {
        self.cut_below(CAPACITY)
    }

    /// Fills one piece after the other up to `limit` bytes. A piece has at least one item.
    fn cut_below(&self, limit: usize) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(4);
        let mut start = 0;
        while start < self.len() {
            let mut fill = Fill::begin(start);
            while fill.add(self, limit) {}
            start = fill.end;
            pieces.push(fill.piece());
        }
        pieces
    }

    /// Writes a piece into a page, whose kind and level are set already.
    pub(crate) fn lay_out(&self, piece: &Piece, page: &mut Page) {
        debug_assert!(piece.size <= CAPACITY && !piece.items.is_empty());
        debug_assert_eq!(page.level() == 0, self.leaf);
        let Piece { items, prefix_len, .. } = piece.clone();
        page.payload_mut().fill(0);
        page.set_prefix_len(prefix_len as u16);
        page.set_slot_count(items.len() as u16);
        let mut start = page.bytes().len();
        let bytes = page.bytes_mut();
        let keyed = self.first_keyed(items.start);
        if keyed < items.end {
            let prefix = &self.key(keyed).bytes[..prefix_len];
            bytes[NODE_START..NODE_START + prefix_len].copy_from_slice(prefix);
        }
        for (nth, at) in items.enumerate() {
            let (rest, run) = if at < keyed {
                (&[][..], None)
            } else {
                let key = self.key(at);
                (&key.bytes[prefix_len..], key.run)
            };
            let payload = self.payload(at);
            start -= cell_len(self.leaf, rest.len(), run.is_some(), payload);
            put_cell(bytes, start, self.leaf, rest, run, payload);
            put_slot(bytes, NODE_START + prefix_len + SLOT_SIZE * nth, head_of(rest), start);
        }
        page.set_cell_offset(start as u16);
        debug_assert_eq!(check(page), Ok(()));
    }

    /// The first item whose key counts in a piece that begins with `start`.
    fn first_keyed(&self, start: usize) -> usize {
        if self.leaf { start } else { start + 1 }
    }

    fn payload(&self, at: usize) -> Payload<'_> {
        let item = &self.list[at];
        let bytes = &self.bytes[item.payload_start as usize..][..item.payload_len.into()];
        Payload { bytes, spilled: item.spilled }
    }

    fn store(&mut self, key: StoredKey<'_>, payload: Payload<'_>) -> Item {
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(key.bytes);
        self.item(key_start, key.bytes.len(), key.run, payload)
    }

    fn item(
        &mut self,
        key_start: usize,
        key_len: usize,
        key_run: Option<Overflow>,
        payload: Payload<'_>,
    ) -> Item {
        let payload_start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(payload.bytes);
        Item {
            key_start: key_start as u32,
            key_len: key_len as u16,
            payload_len: payload.bytes.len() as u16,
            payload_start,
            key_run,
            spilled: payload.spilled,
        }
    }
}

/// A piece under construction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    start: usize,
    end: usize,
    /// What all of its keys share.
    shared: usize,
    longest: usize,
    any_spilled: bool,
    prefix_len: usize,
    size: usize,
}

impl Fill {
    /// A piece that begins with an item.
    pub(crate) fn begin(start: usize) -> Fill {
        Fill { start, end: start, shared: usize::MAX, longest: 0, any_spilled: false, prefix_len: 0, size: 0 }
    }

    /// Takes the next item, if there is one and the piece then has at most `limit` bytes. The first item is always taken.
    pub(crate) fn add(&mut self, items: &Items, limit: usize) -> bool {
        let at = self.end;
        if at >= items.len() {
            return false;
        }
        let mut next = Fill { end: at + 1, ..*self };
        let first = items.first_keyed(self.start);
        if at >= first {
            let key = items.key(at);
            let model = items.key(first).bytes;
            let model = &model[..self.shared.min(model.len())];
            next.shared = shared_len(model, key.bytes);
            next.longest = self.longest.max(key.bytes.len());
            next.any_spilled |= key.run.is_some();
        }
        next.prefix_len = prefix_len(next.shared, next.longest, next.any_spilled);
        next.size = if next.prefix_len == self.prefix_len && at > self.start {
            self.size + next.cost(items, at)
        } else {
            next.prefix_len + (self.start..=at).map(|item| next.cost(items, item)).sum::<usize>()
        };
        let fits = next.size <= limit || at == self.start;
        if fits {
            *self = next;
        }
        fits
    }

    pub(crate) fn piece(&self) -> Piece {
        Piece { items: self.start..self.end, prefix_len: self.prefix_len, size: self.size }
    }

    /// Bytes of an item's slot and cell.
    fn cost(&self, items: &Items, at: usize) -> usize {
        let (rest, spilled) = if at < items.first_keyed(self.start) {
            (0, false)
        } else {
            let item = &items.list[at];
            (usize::from(item.key_len) - self.prefix_len, item.key_run.is_some())
        };
        SLOT_SIZE + cell_len(items.leaf, rest, spilled, items.payload(at))
    }
}

/// How many bytes two keys begin with in common.
fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The prefix that takes the least room: what all keys share, as long as a longer prefix still shortens a tail.
fn prefix_len(shared: usize, longest: usize, any_spilled: bool) -> usize {
    let most = if any_spilled { SPILLED_PREFIX_MAX } else { usize::MAX };
    shared.min(longest.saturating_sub(HEAD_SIZE)).min(most)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dynamite_pager::{Birth, PageId};
    use proptest::prelude::*;

    use super::*;
    use crate::node::{CELL_MAX, INNER, KEY_INLINE_MAX, LEAF, LEAF_HEADER};
    use crate::search::search;

    /// Keys that share a lot or nothing, with payloads of any size that fits beside them.
    fn rows() -> impl Strategy<Value = Vec<(Vec<u8>, usize)>> {
        let shared = prop::sample::select(vec![0_usize, 1, 3, 4, 5, 20, 380, 390]);
        let tails = prop::collection::vec((prop::collection::vec(0..3_u8, 0..10), 0..2100_usize), 1..70);
        (shared, tails, any::<bool>()).prop_map(|(shared, tails, small)| {
            let keys: BTreeSet<Vec<u8>> =
                tails.iter().map(|(tail, _)| [&vec![1; shared][..], tail].concat()).collect();
            let room = |key: &Vec<u8>| CELL_MAX - LEAF_HEADER - key.len();
            keys.into_iter()
                .zip(tails)
                .map(|(key, (_, size))| {
                    let size = (if small { size / 100 } else { size }).min(room(&key));
                    (key, size)
                })
                .collect()
        })
    }

    fn items(rows: &[(Vec<u8>, usize)]) -> Items {
        let mut items = Items::new(true);
        for (key, size) in rows {
            assert!(key.len() <= KEY_INLINE_MAX);
            items.push(
                StoredKey { bytes: key, run: None },
                Payload { bytes: &vec![key.len() as u8; *size], spilled: false },
            );
        }
        items
    }

    fn page(items: &Items, piece: &Piece) -> Box<Page> {
        let mut page = Page::boxed();
        let (kind, level) = if items.is_leaf() { (LEAF, 0) } else { (INNER, 1) };
        page.format(PageId(9), Birth(1), kind, level);
        items.lay_out(piece, &mut page);
        page
    }

    /// Bytes that keys take under a prefix, the naive way.
    fn size_under(rows: &[(Vec<u8>, usize)], prefix_len: usize) -> usize {
        let cells = rows.iter().map(|(key, size)| {
            SLOT_SIZE + LEAF_HEADER + (key.len() - prefix_len).saturating_sub(HEAD_SIZE) + size
        });
        prefix_len + cells.sum::<usize>()
    }

    proptest! {
        #[test]
        fn a_piece_has_the_least_size_that_any_common_prefix_gives(rows in rows()) {
            let whole = items(&rows).whole();
            let common = (0..).take_while(|len| {
                rows.iter().all(|(key, _)| key.len() > *len && key[*len] == rows[0].0[*len])
            });
            let least = (0..=common.count()).map(|len| size_under(&rows, len)).min().unwrap();
            prop_assert_eq!(whole.size, least);
            prop_assert_eq!(whole.size, size_under(&rows, whole.prefix_len));
        }

        #[test]
        fn pieces_hold_every_item_once_and_fit_in_their_pages(rows in rows(), count in 1..4_usize) {
            let items = items(&rows);
            let pieces = items.cut(count);
            let least = items.cut_below(CAPACITY).len();
            prop_assert!(pieces.len() <= count.max(least), "{} pieces", pieces.len());
            let mut seen = 0;
            for piece in &pieces {
                prop_assert_eq!(piece.items.start, seen);
                seen = piece.items.end;
                let page = page(&items, piece);
                let node = Node::of(&page);
                prop_assert_eq!(node.used(), piece.size);
                for (slot, (key, size)) in rows[piece.items.clone()].iter().enumerate() {
                    prop_assert_eq!(&node.stored_key(slot), key);
                    prop_assert_eq!(node.value(slot).head(), &vec![key.len() as u8; *size]);
                    prop_assert_eq!(search(node, key), Ok(slot));
                }
            }
            prop_assert_eq!(seen, rows.len());
        }

        /// Against a linear search, for keys that are there and keys that are not.
        #[test]
        fn searching_a_page_finds_what_a_linear_search_finds(rows in rows(), wanted in rows()) {
            let items = items(&rows);
            let piece = &items.cut(1)[0];
            let page = page(&items, piece);
            let keys = &rows[piece.items.clone()];
            for (key, _) in wanted.iter().chain(&rows).filter(|(key, _)| key.len() <= KEY_KEPT) {
                let above = keys.iter().position(|(other, _)| other >= key).unwrap_or(keys.len());
                let found = keys.get(above).is_some_and(|(other, _)| other == key);
                prop_assert_eq!(search(Node::of(&page), key), if found { Ok(above) } else { Err(above) });
            }
        }
    }

    /// Two pieces of uniform rows are as large as one another, give or take a row.
    #[test]
    fn uniform_rows_are_cut_in_equal_parts() {
        let rows: Vec<_> = (0..40_u32).map(|row| (row.to_be_bytes().to_vec(), 90)).collect();
        for count in [2, 3, 4] {
            let pieces = items(&rows).cut(count);
            assert_eq!(pieces.len(), count);
            let sizes = pieces.iter().map(|piece| piece.items.len());
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= count, "{pieces:?}");
        }
    }
}
