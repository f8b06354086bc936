//! Why bytes are no key.

use thiserror::Error;

use crate::number::Number;
use crate::types::KeyType;

/// The check that the bytes of a key failed, with what was found.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum KeyDamage {
    /// The bytes end inside a value, or before it.
    #[error("the key ends inside a value")]
    Short,

    /// Bytes follow the last value.
    #[error("{len} bytes follow the last value of the key")]
    TooLong {
        /// How many.
        len: usize,
    },

    /// A tag that no type has.
    #[error("key tag {tag:#04x} means nothing")]
    Tag {
        /// The tag.
        tag: u8,
    },

    /// A value of another type than the schema says.
    #[error("a key value is of type {found}, the schema says {expected}")]
    WrongType {
        /// The schema's type.
        expected: KeyType,
        /// The value's type.
        found: KeyType,
    },

    /// A NUL that is neither followed by `00` nor by `FF`.
    #[error("{byte:#04x} follows a NUL in a key")]
    Escape {
        /// What follows it.
        byte: u8,
    },

    /// A string that is not UTF-8.
    #[error("a string in a key is not UTF-8 from byte {valid_up_to} on")]
    NotUtf8 {
        /// Bytes of it that are UTF-8.
        valid_up_to: usize,
    },

    /// A double that no number has in its key: negative zero, not finite, or said to be a number which it is not.
    #[error("the double of bits {bits:#018x} is no number of a key")]
    Double {
        /// The double's bits.
        bits: u64,
    },

    /// Neither `00` nor `01` says whether the double is the number.
    #[error("{exact:#04x} follows the double of a number in a key")]
    Exact {
        /// What says it.
        exact: u8,
    },

    /// A decimal that is not written as it should be.
    #[error("the digits of a number in a key are malformed")]
    Digits,

    /// A decimal that another double belongs to, or none.
    #[error("the double of bits {bits:#018x} does not belong to the decimal {number} in a key")]
    NotItsFloor {
        /// The double's bits.
        bits: u64,
        /// The decimal.
        number: Number,
    },
}
