//! Changing a node in place. Cells that are removed or become longer leave gaps; when there is no room between slots and cells, the
//! gaps are closed. What does not fit then is left to [`Items`](crate::items::Items), which lays the page out anew.

use dynamite_pager::{PAGE_SIZE, Page, PagePtr};

use crate::node::{
    CAPACITY, HEAD_SIZE, KEY_INLINE_MAX, LEAF_HEADER, LONG_SEPARATOR, LeafHeader, NODE_START, Node,
    SLOT_SIZE, SPILLED_PREFIX_MAX, SPILLED_SEPARATOR, StoredKey, run_len, separator_header_len, tail_len,
};
use crate::overflow::Overflow;
use crate::search::head_of;

/// What stands in a cell beside the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    /// Of a leaf: the value, or its head and the descriptor of its run. Of an inner node: the pointer to the child.
    pub(crate) bytes: &'a [u8],
    /// Whether the value is spilled.
    pub(crate) spilled: bool,
}

/// A node that its batch may write to.
pub(crate) struct NodeMut<'a>(pub(crate) &'a mut Page);

impl NodeMut<'_> {
    pub(crate) fn node(&self) -> Node<'_> {
        Node::of(self.0)
    }

    /// Puts a slot before slot `at`. `false`, and nothing has changed, if the key lacks the page's prefix or there is no
    /// room.
    pub(crate) fn insert(&mut self, at: usize, key: StoredKey<'_>, payload: Payload<'_>) -> bool {
        let leaf = self.0.level() == 0;
        let prefix_len = usize::from(self.0.prefix_len());
        let count = usize::from(self.0.slot_count());
        debug_assert!(at <= count && (leaf || at > 0) && key.bytes.len() <= KEY_INLINE_MAX);
        let Some(rest) = key.bytes.strip_prefix(self.node().prefix()) else { return false };
        if key.run.is_some() && prefix_len > SPILLED_PREFIX_MAX {
            return false;
        }
        let len = cell_len(leaf, rest.len(), key.run.is_some(), payload);
        let slots = NODE_START + prefix_len;
        let slots_end = slots + SLOT_SIZE * count;
        if !self.make_room(SLOT_SIZE + len, None) {
            return false;
        }
        let start = usize::from(self.0.cell_offset()) - len;
        let bytes = self.0.bytes_mut();
        put_cell(bytes, start, leaf, rest, key.run, payload);
        let slot = slots + SLOT_SIZE * at;
        bytes.copy_within(slot..slots_end, slot + SLOT_SIZE);
        put_slot(bytes, slot, head_of(rest), start);
        self.0.set_slot_count(count as u16 + 1);
        self.0.set_cell_offset(start as u16);
        true
    }

    /// Removes a slot. Its cell becomes a gap.
    pub(crate) fn remove(&mut self, at: usize) {
        let count = usize::from(self.0.slot_count());
        let slots = NODE_START + usize::from(self.0.prefix_len());
        let (slot, end) = (slots + SLOT_SIZE * at, slots + SLOT_SIZE * count);
        debug_assert!(at < count);
        self.0.bytes_mut().copy_within(slot + SLOT_SIZE..end, slot);
        self.0.set_slot_count(count as u16 - 1);
    }

    /// Removes a child with its separator, or if it is the first, with the separator of the next.
    pub(crate) fn remove_child(&mut self, at: usize) {
        self.remove(at);
        if at == 0 && self.0.slot_count() > 0 {
            let start = self.node().cell_start(0);
            let slot = NODE_START + usize::from(self.0.prefix_len());
            let bytes = self.0.bytes_mut();
            bytes[start + PagePtr::SIZE] = 0;
            put_slot(bytes, slot, 0, start);
        }
    }

    /// Points a slot of an inner node to another child.
    pub(crate) fn set_child(&mut self, at: usize, child: PagePtr) {
        let start = self.node().cell_start(at);
        self.0.bytes_mut()[start..start + PagePtr::SIZE].copy_from_slice(&child.to_bytes());
    }

    /// Says where the run of a slot's value is now, which must have one.
    pub(crate) fn set_value_run(&mut self, at: usize, run: Overflow) {
        let start = self.node().cell_start(at);
        let header = self.node().leaf_header(start);
        debug_assert!(header.value_spilled, "slot {at} has a run");
        self.put_run(start + header.cell_len() - Overflow::SIZE, run);
    }

    /// Says where the run of a slot's key is now, which must have one.
    pub(crate) fn set_key_run(&mut self, at: usize, run: Overflow) {
        let node = self.node();
        let start = node.cell_start(at);
        let part = node.key_part(at);
        debug_assert!(part.run.is_some(), "slot {at} has a run");
        let header =
            if node.is_leaf() { LEAF_HEADER } else { PagePtr::SIZE + separator_header_len(part.rest, true) };
        let from = start + header + part.tail.len();
        self.put_run(from, run);
    }

    fn put_run(&mut self, from: usize, run: Overflow) {
        self.0.bytes_mut()[from..from + Overflow::SIZE].copy_from_slice(&run.to_bytes());
    }

    /// Puts another value in the place of one. `false`, and nothing has changed, if there is no room.
    pub(crate) fn replace_value(&mut self, at: usize, payload: Payload<'_>) -> bool {
        let node = self.node();
        let mut start = node.cell_start(at);
        let header = node.leaf_header(start);
        let (old, _) = node.payload(at);
        let key_len = header.cell_len() - old.len();
        if payload.bytes.len() > old.len() {
            let mut key = [0; LEAF_HEADER + KEY_INLINE_MAX + Overflow::SIZE];
            key[..key_len].copy_from_slice(&self.0.bytes()[start..start + key_len]);
            let len = key_len + payload.bytes.len();
            if !self.make_room(len, Some(at)) {
                return false;
            }
            start = usize::from(self.0.cell_offset()) - len;
            self.0.set_cell_offset(start as u16);
            self.set_cell_start(at, start);
            self.0.bytes_mut()[start..start + key_len].copy_from_slice(&key[..key_len]);
        }
        let from = start + key_len;
        let value_len = payload.bytes.len() - run_len(payload.spilled);
        let header = LeafHeader { value_spilled: payload.spilled, value_len, ..header };
        let bytes = self.0.bytes_mut();
        bytes[start..start + LEAF_HEADER].copy_from_slice(&header.pack());
        bytes[from..from + payload.bytes.len()].copy_from_slice(payload.bytes);
        true
    }

    /// Sees to it that there are so many bytes between slots and cells; the cell of slot `without` may go for them. `false`, and nothing
    /// has changed, if the page has less to spare.
    fn make_room(&mut self, bytes: usize, without: Option<usize>) -> bool {
        let slots_end = NODE_START + usize::from(self.0.prefix_len()) + SLOT_SIZE * self.node().len();
        if slots_end + bytes <= usize::from(self.0.cell_offset()) {
            return true;
        }
        let node = self.node();
        let count = node.len();
        let used = node.used() - without.map_or(0, |slot| node.cell_len(slot));
        if used + bytes > CAPACITY {
            return false;
        }
        // Cells are moved as they are: the prefix stays what it is.
        let mut cells = [0; PAGE_SIZE];
        let mut start = PAGE_SIZE;
        for slot in (0..count).filter(|slot| Some(*slot) != without) {
            let node = self.node();
            let (from, len) = (node.cell_start(slot), node.cell_len(slot));
            start -= len;
            cells[start..start + len].copy_from_slice(&self.0.bytes()[from..from + len]);
            self.set_cell_start(slot, start);
        }
        self.0.bytes_mut()[slots_end..].copy_from_slice(&cells[slots_end..]);
        self.0.set_cell_offset(start as u16);
        true
    }

    fn set_cell_start(&mut self, at: usize, start: usize) {
        let slot = NODE_START + usize::from(self.0.prefix_len()) + SLOT_SIZE * at;
        self.0.bytes_mut()[slot + HEAD_SIZE..slot + SLOT_SIZE].copy_from_slice(&(start as u16).to_le_bytes());
    }
}

/// Bytes of the cell for a stored key, of which `rest` bytes are behind the prefix.
#[inline]
pub(crate) fn cell_len(leaf: bool, rest: usize, key_spilled: bool, payload: Payload<'_>) -> usize {
    let header = if leaf { LEAF_HEADER } else { separator_header_len(rest, key_spilled) };
    header + tail_len(rest) + run_len(key_spilled) + payload.bytes.len()
}

/// Writes a cell; `rest` is the stored key behind the prefix.
pub(crate) fn put_cell(
    bytes: &mut [u8; PAGE_SIZE],
    start: usize,
    leaf: bool,
    rest: &[u8],
    key_run: Option<Overflow>,
    payload: Payload<'_>,
) {
    let mut cell = Writer { bytes, at: start };
    if leaf {
        let header = LeafHeader {
            rest: rest.len(),
            key_spilled: key_run.is_some(),
            value_spilled: payload.spilled,
            value_len: payload.bytes.len() - run_len(payload.spilled),
        };
        cell.put(&header.pack());
    } else {
        cell.put(payload.bytes);
        match (key_run, u8::try_from(rest.len())) {
            (Some(_), _) => cell.put(&[SPILLED_SEPARATOR]),
            (None, Ok(len)) if len < LONG_SEPARATOR => cell.put(&[len]),
            (None, _) => {
                cell.put(&[LONG_SEPARATOR]);
                cell.put(&(rest.len() as u16).to_le_bytes());
            }
        }
    }
    cell.put(rest.get(HEAD_SIZE..).unwrap_or_default());
    if let Some(run) = key_run {
        cell.put(&run.to_bytes());
    }
    if leaf {
        cell.put(payload.bytes);
    }
}

/// Writes a slot.
pub(crate) fn put_slot(bytes: &mut [u8; PAGE_SIZE], at: usize, head: u32, cell_start: usize) {
    bytes[at..at + HEAD_SIZE].copy_from_slice(&head.to_be_bytes());
    bytes[at + HEAD_SIZE..at + SLOT_SIZE].copy_from_slice(&(cell_start as u16).to_le_bytes());
}

/// Writes one thing behind the other.
struct Writer<'a> {
    bytes: &'a mut [u8; PAGE_SIZE],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}
