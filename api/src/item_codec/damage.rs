//! What can be wrong with bytes that should be an item.

use thiserror::Error;

/// The check that stored bytes failed, with the offset of what is wrong, counted from the first byte of the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum ItemDamage {
    /// The first byte is not a version that this program knows.
    #[error("an item of format version {found}, which is not known; a newer program may have written it")]
    UnknownVersion {
        /// The version found.
        found: u8,
    },

    /// The bytes end, or those of the enclosing value do, before what begins at `offset` does.
    #[error("the item is cut off: what begins at byte {offset} does not end")]
    Truncated {
        /// Where the unfinished piece begins.
        offset: usize,
    },

    /// A first byte of a value that no type has.
    #[error("byte {offset} of the item, {found:#04x}, is no type of a value")]
    UnknownType {
        /// Where the value begins.
        offset: usize,
        /// The byte found.
        found: u8,
    },

    /// A length that takes more bytes than it needs.
    #[error("the length at byte {offset} of the item is written longer than needed")]
    LongLength {
        /// Where the length begins.
        offset: usize,
    },

    /// A string or name that is not UTF-8.
    #[error("the text at byte {offset} of the item is not UTF-8")]
    NotUtf8 {
        /// Where the text begins.
        offset: usize,
    },

    /// A name of no bytes, or of more than 65,535.
    #[error("the name at byte {offset} of the item has no bytes, or too many")]
    NameLength {
        /// Where its length begins.
        offset: usize,
    },

    /// A name that is not above the one before it.
    #[error("the name at byte {offset} of the item is not above the one before it")]
    NameOrder {
        /// Where the name begins.
        offset: usize,
    },

    /// The body of a number that no number has.
    #[error("the number at byte {offset} of the item is none, or not in the form that is stored")]
    Number {
        /// Where the body of the number begins.
        offset: usize,
    },

    /// A set without members.
    #[error("the set at byte {offset} of the item is empty")]
    EmptySet {
        /// Where the body of the set would begin.
        offset: usize,
    },

    /// A member of a set that is not above the one before it.
    #[error("the member at byte {offset} of the item is not above the one before it in its set")]
    SetOrder {
        /// Where the member begins.
        offset: usize,
    },

    /// A value on a level that no item has.
    #[error("the value whose body begins at byte {offset} of the item is nested too deep")]
    TooDeep {
        /// Where the body of the value begins.
        offset: usize,
    },

    /// More than an item may hold.
    #[error("the item counts {size} bytes, more than an item may")]
    TooLarge {
        /// Bytes counted as DynamoDB does.
        size: usize,
    },
}

// It is given back in registers. If it had to be written to memory, then so would every value that is read, since it
// might have been damage instead, and reading items would take half as long again.
const _: () = assert!(size_of::<ItemDamage>() <= 16);
