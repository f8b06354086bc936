//! A node: a slotted page that holds keys in order, with values (a leaf) or children (an inner node).
//!
//! # Layout
//!
//! ```text
//! leaf: kind 16, level 0; inner node: kind 17, level 1 and up
//! offset  size  field        meaning
//! ------  ----  -----------  ---------------------------------------------------------------------
//!      0    32  page header  slot count n, cell offset c and prefix length p are used
//!     32     p  prefix       bytes that all stored keys of the page begin with
//! 32 + p    6n  slots        in the order of the keys
//!     ..        free
//!      c        cells        to the end of the page, in any order, with gaps where cells were removed
//!
//! slot (6 bytes)
//!      0     4  head         the first 4 bytes of the stored key behind the prefix, padded with zeros
//!      4     2  offset       of the cell in the page, little-endian
//!
//! cell of a leaf
//!      0     3  header       bits 0..9: r, bytes of the stored key behind the prefix
//!                            bit 9: the key is spilled; bit 10: the value is spilled
//!                            bits 11..22: v, bytes of the value in the leaf; the rest is zero
//!      3        tail         the stored key behind prefix and head: max(r - 4, 0) bytes
//!           17  key run      if the key is spilled: the descriptor of the run with its bytes from 384 on
//!            v  value        all of it, or if it is spilled its head
//!           17  value run    if the value is spilled: the descriptor of the run with its body
//!
//! cell of an inner node
//!      0    12  child        pointer to a page of the level below
//!     12  1, 3  length       0..=253: r; 254: r follows in 2 bytes (at least 254); 255: the separator is spilled,
//!                            so r is 384 - p
//!               tail         as in a leaf
//!           17  key run      if the separator is spilled
//! ```
//!
//! The *stored key* is the key itself up to 400 bytes, and of a longer one the first 384. Slots order by head, which settles
//! most comparisons without a look at a cell; then by the rest of the stored key; and where stored keys tie, by the runs.
//! Where a page holds a spilled key its prefix has at most 380 bytes, so that the head of such a key is made of real
//! bytes.
//!
//! Slot 0 of an inner node has no separator (head 0, r = 0): its child holds all that is below the separator of slot 1. A separator s
//! of slot i says: keys below i-1 are less than s, keys below i are not. The prefix is that of the separators from slot 1 on.
//!
//! An inner node below the root may have a single child, when what was beside it has been taken away.
//!
//! A cell would have at most 2,024 bytes in a page without prefix, so any two fit in a page, and whatever overflows a page fits in two.

use dynamite_pager::{PAGE_SIZE, PAYLOAD_SIZE, Page, PageKind, PagePtr};

use crate::overflow::Overflow;
use crate::value::Value;

/// Entries.
pub(crate) const LEAF: PageKind = PageKind(16);
/// Separators and children.
pub(crate) const INNER: PageKind = PageKind(17);
/// A part of an overflow run.
pub(crate) const OVERFLOW: PageKind = PageKind(18);
/// The pieces of an overflow run.
pub(crate) const EXTENT_LIST: PageKind = PageKind(19);

/// Bytes of the longest key.
pub const MAX_KEY: usize = 32 << 10;
/// Bytes of the longest head of a value.
pub const MAX_HEAD: usize = 512;
/// Bytes of the longest value, head included: 130 overflow pages, a little above 512 KiB.
pub const MAX_VALUE: usize = 130 * PAYLOAD_SIZE;

/// Where the prefix begins.
pub(crate) const NODE_START: usize = PAGE_SIZE - PAYLOAD_SIZE;
/// Bytes for prefix, slots and cells.
pub(crate) const CAPACITY: usize = PAYLOAD_SIZE;
/// Bytes of a slot.
pub(crate) const SLOT_SIZE: usize = 6;
/// Bytes of the key in a slot.
pub(crate) const HEAD_SIZE: usize = 4;
/// The longest key that is stored whole.
pub(crate) const KEY_INLINE_MAX: usize = 400;
/// What is stored of a longer one; the rest is in a run.
pub(crate) const KEY_KEPT: usize = 384;
/// The longest prefix of a page with a spilled key.
pub(crate) const SPILLED_PREFIX_MAX: usize = KEY_KEPT - HEAD_SIZE;
/// The longest cell, counted without a common prefix. Two bytes less than half of the page with its slot.
pub(crate) const CELL_MAX: usize = 2024;
/// Bytes before the tail in a cell of a leaf.
pub(crate) const LEAF_HEADER: usize = 3;
/// The largest number of levels above the leaves: nodes of four children would fill a file with fewer.
pub(crate) const LEVEL_MAX: u8 = 24;

/// A byte of an inner cell: the length follows in two bytes.
pub(crate) const LONG_SEPARATOR: u8 = 254;
/// A byte of an inner cell: the separator is spilled.
pub(crate) const SPILLED_SEPARATOR: u8 = 255;

const KEY_SPILLED: u32 = 1 << 9;
const VALUE_SPILLED: u32 = 1 << 10;
const VALUE_LEN_SHIFT: u32 = 11;
pub(crate) const LEAF_HEADER_BITS: u32 = 22;
const REST_MASK: u32 = (1 << 9) - 1;
const VALUE_LEN_MASK: u32 = (1 << 11) - 1;

const _: () = assert!(2 * (CELL_MAX + SLOT_SIZE) <= CAPACITY);
const _: () = assert!(KEY_INLINE_MAX <= REST_MASK as usize && CELL_MAX <= VALUE_LEN_MASK as usize);
// The largest key beside the largest head, both spilled, fits in a cell.
const _: () = assert!(LEAF_HEADER + KEY_INLINE_MAX + MAX_HEAD + 2 * Overflow::SIZE <= CELL_MAX);

/// The first bytes of a cell of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeafHeader {
    /// Bytes of the stored key behind the prefix.
    pub(crate) rest: usize,
    pub(crate) key_spilled: bool,
    pub(crate) value_spilled: bool,
    /// Bytes of the value that are in the leaf.
    pub(crate) value_len: usize,
}

impl LeafHeader {
    #[inline]
    pub(crate) fn unpack(bytes: [u8; LEAF_HEADER]) -> LeafHeader {
        let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        LeafHeader {
            rest: (bits & REST_MASK) as usize,
            key_spilled: bits & KEY_SPILLED != 0,
            value_spilled: bits & VALUE_SPILLED != 0,
            value_len: (bits >> VALUE_LEN_SHIFT & VALUE_LEN_MASK) as usize,
        }
    }

    pub(crate) fn pack(self) -> [u8; LEAF_HEADER] {
        let key = if self.key_spilled { KEY_SPILLED } else { 0 };
        let value = if self.value_spilled { VALUE_SPILLED } else { 0 };
        let bits = self.rest as u32 | key | value | (self.value_len as u32) << VALUE_LEN_SHIFT;
        let [first, second, third, _] = bits.to_le_bytes();
        [first, second, third]
    }

    /// Where the value begins, counted from the beginning of the cell.
    #[inline]
    fn value_start(self) -> usize {
        LEAF_HEADER + tail_len(self.rest) + run_len(self.key_spilled)
    }

    /// Bytes of the cell.
    #[inline]
    pub(crate) fn cell_len(self) -> usize {
        self.value_start() + self.value_len + run_len(self.value_spilled)
    }
}

/// Bytes of a stored key that are in its cell.
#[inline]
pub(crate) fn tail_len(rest: usize) -> usize {
    rest.saturating_sub(HEAD_SIZE)
}

#[inline]
pub(crate) fn run_len(spilled: bool) -> usize {
    if spilled { Overflow::SIZE } else { 0 }
}

/// Bytes of an inner cell that say how long the separator is.
#[inline]
pub(crate) fn separator_header_len(rest: usize, spilled: bool) -> usize {
    if spilled || rest < LONG_SEPARATOR.into() { 1 } else { 3 }
}

/// A stored key, as it goes into a page or comes out of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredKey<'a> {
    /// All of the key, or its first [`KEY_KEPT`] bytes.
    pub(crate) bytes: &'a [u8],
    /// The run with the rest.
    pub(crate) run: Option<Overflow>,
}

/// The part of a stored key that is in its cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyPart<'a> {
    /// Bytes of the stored key behind the prefix, head included.
    pub(crate) rest: usize,
    pub(crate) tail: &'a [u8],
    pub(crate) run: Option<&'a [u8; Overflow::SIZE]>,
}

/// A view of a node. It does not check what [`check_page`](crate::check_page) vouches for; a page that never passed it may make it
/// panic, and nothing worse.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    bytes: &'a [u8; PAGE_SIZE],
    prefix: &'a [u8],
    slots: &'a [[u8; SLOT_SIZE]],
    leaf: bool,
}

impl<'a> Node<'a> {
    #[inline]
    pub(crate) fn of(page: &'a Page) -> Node<'a> {
        let bytes = page.bytes();
        let prefix_end = NODE_START + usize::from(page.prefix_len());
        let slots_end = prefix_end + SLOT_SIZE * usize::from(page.slot_count());
        let (slots, _) = bytes[prefix_end..slots_end].as_chunks();
        Node { bytes, prefix: &bytes[NODE_START..prefix_end], slots, leaf: page.level() == 0 }
    }

    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        self.leaf
    }

    /// Number of slots.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(crate) fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    #[inline]
    pub(crate) fn slots(&self) -> &'a [[u8; SLOT_SIZE]] {
        self.slots
    }

    #[inline]
    pub(crate) fn cell_start(&self, slot: usize) -> usize {
        let [.., low, high] = self.slots[slot];
        usize::from(u16::from_le_bytes([low, high]))
    }

    /// The child of a slot of an inner node.
    #[inline]
    pub(crate) fn child(&self, slot: usize) -> PagePtr {
        PagePtr::from_bytes(self.bytes_at(self.cell_start(slot)))
    }

    /// The value of a slot of a leaf.
    #[inline]
    pub(crate) fn value(&self, slot: usize) -> Value<'a> {
        let start = self.cell_start(slot);
        let header = self.leaf_header(start);
        let from = start + header.value_start();
        let (value, behind) = self.bytes[from..].split_at(header.value_len);
        if !header.value_spilled {
            return Value::Inline(value);
        }
        let run = behind.first_chunk().expect("the descriptor follows");
        Value::Spilled { head: value, run: Overflow::from_bytes(run) }
    }

    /// The key of a slot, as far as it is in the cell.
    #[inline]
    pub(crate) fn key_part(&self, slot: usize) -> KeyPart<'a> {
        let start = self.cell_start(slot);
        let (from, rest, spilled) = if self.leaf {
            let header = self.leaf_header(start);
            (start + LEAF_HEADER, header.rest, header.key_spilled)
        } else {
            let from = start + PagePtr::SIZE;
            match self.bytes[from] {
                SPILLED_SEPARATOR => (from + 1, KEY_KEPT - self.prefix.len(), true),
                LONG_SEPARATOR => {
                    (from + 3, usize::from(u16::from_le_bytes(*self.bytes_at(from + 1))), false)
                }
                rest => (from + 1, usize::from(rest), false),
            }
        };
        let (tail, behind) = self.bytes[from..].split_at(tail_len(rest));
        let run = spilled.then(|| behind.first_chunk().expect("the descriptor follows"));
        KeyPart { rest, tail, run }
    }

    /// The run with the rest of a slot's key, if it is spilled.
    pub(crate) fn key_run(&self, slot: usize) -> Option<Overflow> {
        self.key_part(slot).run.map(Overflow::from_bytes)
    }

    /// Appends what is stored of a slot's key behind the prefix.
    #[inline]
    pub(crate) fn append_rest(&self, slot: usize, into: &mut Vec<u8>) {
        let part = self.key_part(slot);
        into.extend_from_slice(&self.slots[slot][..part.rest.min(HEAD_SIZE)]);
        into.extend_from_slice(part.tail);
    }

    /// The stored key of a slot.
    pub(crate) fn stored_key(&self, slot: usize) -> Vec<u8> {
        let mut key = self.prefix.to_vec();
        self.append_rest(slot, &mut key);
        key
    }

    /// What stands in a leaf's cell behind the key: the value, or its head and a descriptor.
    pub(crate) fn payload(&self, slot: usize) -> (&'a [u8], bool) {
        let start = self.cell_start(slot);
        if self.leaf {
            let header = self.leaf_header(start);
            (&self.bytes[start + header.value_start()..start + header.cell_len()], header.value_spilled)
        } else {
            (&self.bytes[start..start + PagePtr::SIZE], false)
        }
    }

    /// Bytes of a slot's cell.
    #[inline]
    pub(crate) fn cell_len(&self, slot: usize) -> usize {
        if self.leaf {
            return self.leaf_header(self.cell_start(slot)).cell_len();
        }
        let part = self.key_part(slot);
        let spilled = part.run.is_some();
        PagePtr::SIZE + separator_header_len(part.rest, spilled) + part.tail.len() + run_len(spilled)
    }

    /// Bytes that prefix, slots and cells take, without gaps.
    pub(crate) fn used(&self) -> usize {
        let cells: usize = (0..self.len()).map(|slot| self.cell_len(slot)).sum();
        self.prefix.len() + SLOT_SIZE * self.len() + cells
    }

    #[inline]
    pub(crate) fn leaf_header(&self, cell_start: usize) -> LeafHeader {
        LeafHeader::unpack(*self.bytes_at(cell_start))
    }

    #[inline]
    fn bytes_at<const N: usize>(&self, offset: usize) -> &'a [u8; N] {
        self.bytes[offset..].first_chunk().expect("within the page")
    }
}
