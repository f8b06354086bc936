//! What can go wrong with a tree, one variant per decision that a caller can take.

use dynamite_pager::PagerError;
use thiserror::Error;

use crate::node::{MAX_HEAD, MAX_KEY, MAX_VALUE};

/// A `Result` of this crate.
pub type Result<T, E = TreeError> = std::result::Result<T, E>;

/// Why a tree could not do what it was asked.
///
/// After an error in the midst of a change the batch holds a half-made change: it is to be dropped, which aborts it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The layer below failed, or a page holds what this crate never writes ([`PagerError::Malformed`] with a
    /// [`Malformed`] inside).
    #[error(transparent)]
    Pager(#[from] PagerError),

    /// The key is longer than keys may be. Nothing was changed.
    #[error("a key of {len} bytes; the longest key has {MAX_KEY}")]
    KeyTooLong {
        /// Bytes of the key.
        len: usize,
        /// The limit, [`MAX_KEY`].
        max: usize,
    },

    /// The value is longer than values may be. Nothing was changed.
    #[error("a value of {len} bytes; the longest value has {MAX_VALUE}")]
    ValueTooLong {
        /// Bytes of the value, head included.
        len: usize,
        /// The limit, [`MAX_VALUE`].
        max: usize,
    },

    /// The head of a value is longer than heads may be. Nothing was changed.
    #[error("a head of {len} bytes; the longest head has {MAX_HEAD}")]
    HeadTooLong {
        /// Bytes of the head.
        len: usize,
        /// The limit, [`MAX_HEAD`].
        max: usize,
    },

    /// Entries that are to come in the order of their keys have a key that is not above the one before it.
    #[error("the keys of entries that are loaded in order must ascend; key {position} does not")]
    NotAscending {
        /// How many keys came before it.
        position: u64,
    },
}

/// The check that a page failed, with the value found: a test can name the check that it expects, an operator sees the
/// evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A page of another kind than its place requires.
    #[error("kind {found} where kind {expected} belongs")]
    Kind {
        /// The kind in the page header.
        found: u8,
        /// The kind that belongs here.
        expected: u8,
    },
    /// A page of another height than its place requires. So a path never comes back to itself.
    #[error("level {found} where level {expected} belongs")]
    Level {
        /// The level in the page header.
        found: u8,
        /// The level that belongs here.
        expected: u8,
    },
    /// A tree of more levels than a file of 2^32 pages can need.
    #[error("a tree of {levels} levels")]
    Depth {
        /// Levels above the leaves.
        levels: u8,
    },
    /// No slots, or more than fit in a page.
    #[error("{count} slots")]
    SlotCount {
        /// The number of slots in the page header.
        count: u16,
    },
    /// A common prefix longer than the keys in the page allow.
    #[error("a common prefix of {len} bytes")]
    Prefix {
        /// The prefix length in the page header.
        len: u16,
    },
    /// Slots and cells overlap, or the cell area begins behind the page.
    #[error("the cell area begins at {cell_offset}, the slots end at {slots_end}")]
    CellArea {
        /// The cell offset in the page header.
        cell_offset: u16,
        /// The byte after the last slot.
        slots_end: usize,
    },
    /// A slot points out of the cell area, or its cell ends behind the page.
    #[error("slot {slot} points at {start}, where no whole cell lies in the cell area")]
    CellBounds {
        /// The slot.
        slot: usize,
        /// The offset in it.
        start: usize,
    },
    /// Two cells share bytes.
    #[error("the cell of slot {slot} overlaps another one")]
    CellOverlap {
        /// The slot that comes second.
        slot: usize,
    },
    /// A cell that would not have been stored like this.
    #[error("the cell of slot {slot} would have {len} bytes without the common prefix")]
    CellLength {
        /// The slot.
        slot: usize,
        /// Bytes of the cell if the page had no common prefix.
        len: usize,
    },
    /// Bits or length bytes of a cell that are never written so.
    #[error("the cell header of slot {slot} is {header:#x}")]
    CellHeader {
        /// The slot.
        slot: usize,
        /// What its cell begins with.
        header: u32,
    },
    /// A stored key that is too long to be inline, or that does not have the length of a spilled one.
    #[error("slot {slot} keeps {len} bytes of its key")]
    KeyLength {
        /// The slot.
        slot: usize,
        /// Bytes kept, prefix included.
        len: usize,
    },
    /// The first bytes of a short key are not followed by zeros in the slot.
    #[error("the head of slot {slot} is {head:#010x}, which does not agree with the length of its key")]
    Head {
        /// The slot.
        slot: usize,
        /// The four bytes.
        head: u32,
    },
    /// The first child of an inner page has a separator.
    #[error("the first child has a separator")]
    FirstSeparator,
    /// The key of a slot is not above the one before it.
    #[error("the key of slot {slot} is not above the one before it")]
    KeyOrder {
        /// The slot that comes second.
        slot: usize,
    },
    /// A descriptor of an overflow run that describes none.
    #[error("an overflow run of {len} bytes with flags {flags:#x}")]
    Descriptor {
        /// Bytes in the run.
        len: u32,
        /// Its flags.
        flags: u8,
    },
    /// A list of extents that is not the run that its descriptor speaks of.
    #[error("a list of {extents} extents with {pages} pages")]
    ExtentList {
        /// Entries of the list.
        extents: u16,
        /// Pages in all of them.
        pages: u64,
    },
    /// The keys of a page are not all below those of its right neighbour.
    #[error("the keys of this page are not apart from those of its neighbour, page {neighbour}")]
    SiblingOrder {
        /// The neighbour's page id.
        neighbour: u32,
    },
    /// A separator does not fit between its neighbours.
    #[error("the separator of slot {slot} is out of order")]
    SeparatorOrder {
        /// The slot.
        slot: usize,
    },
    /// A key lies outside what the separators above its page allow.
    #[error("the key of slot {slot} is outside the range that the pages above give this page")]
    Fence {
        /// The slot.
        slot: usize,
    },
    /// A tree whose number of entries is not what its owner stored.
    #[error("the tree has {found} entries where {expected} were counted")]
    EntryCount {
        /// Entries in the leaves.
        found: u64,
        /// Entries as the tree's descriptor says.
        expected: u64,
    },
}
