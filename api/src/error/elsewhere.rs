//! Errors of a storage in another process, for those who are told of them by their kind and their text.

use std::path::Path;
use std::sync::Arc;

use dynamite_txn::PagerError;

use crate::error::Error;

/// [`Error::Io`] with this text.
pub fn io(path: Arc<Path>, text: String) -> Error {
    Error::Io { path, source: PagerError::Elsewhere { text } }
}

/// [`Error::Corrupt`] with this text.
pub fn corrupt(text: String) -> Error {
    Error::Corrupt(PagerError::Elsewhere { text }.into())
}

/// [`Error::Storage`] with this text.
pub fn storage(text: String) -> Error {
    Error::Storage(PagerError::Elsewhere { text }.into())
}
