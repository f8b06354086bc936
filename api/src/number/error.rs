//! Why something is not a number that can be stored. The texts are DynamoDB's.

use thiserror::Error;

/// Why something is not a [`Number`](super::Number), one variant per cause. The texts are those that DynamoDB gives.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NumberError {
    /// No text at all.
    #[error("The parameter cannot be converted to a numeric value")]
    Empty,

    /// Text that is no number: `[+-] digits [. digits] [e [+-] digits]`, with nothing around it, is one.
    #[error("The parameter cannot be converted to a numeric value: {text}")]
    Malformed {
        /// The text.
        text: String,
    },

    /// A double that is an infinity or not a number.
    #[error("The parameter cannot be converted to a numeric value: {name}")]
    NotFinite {
        /// `NaN`, `Infinity` or `-Infinity`.
        #[serde(deserialize_with = "crate::word::deserialize")]
        name: crate::word::Word,
    },

    /// 1E+126 or more, without the sign.
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,

    /// Less than 1E-130 without the sign, and not zero.
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,

    /// More than 38 digits, not counting zeros at either end.
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooManyDigits,

    /// A sum or difference that cannot be had exactly in 38 digits, such as 1E+50 + 1. DynamoDB refuses it too, and calls
    /// it an overflow.
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Inexact,
}
