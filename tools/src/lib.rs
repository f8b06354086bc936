//! The operator's tools. They present what the layers below report, and know no format of their own.
//!
//! * [`fsck`]: `dynamite-fsck`, which checks a database file.

#![forbid(unsafe_code)]

pub mod fsck;
