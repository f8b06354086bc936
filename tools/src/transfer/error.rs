//! Why a transfer did not come to its end.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::console::error::{ConsoleError, Kind};

pub(crate) type Result<T, E = TransferError> = std::result::Result<T, E>;

/// Why a transfer did not come to its end.
#[derive(Debug, Error)]
pub(crate) enum TransferError {
    /// The database refused, or cannot be reached.
    #[error(transparent)]
    Database(#[from] ConsoleError),

    /// A file cannot be read or written.
    #[error("{what} {} failed: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },

    /// What was read is not what it should be.
    #[error("{place}: {reason}")]
    Input { place: String, reason: String },

    /// What was asked for cannot be done, and why.
    #[error("{0}")]
    Refused(String),

    /// The user has had enough; what was done is kept.
    #[error("interrupted; --resume goes on where this stopped")]
    Interrupted,
}

impl TransferError {
    /// That something could not be done to a file.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TransferError + use<> {
        let path = path.to_owned();
        move |source| TransferError::Io { what, path, source }
    }

    /// The exit code of the process: that of the console, for the same kinds of errors.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            TransferError::Database(error) => error.kind(),
            TransferError::Io { .. } => Kind::Unavailable,
            TransferError::Input { .. } => Kind::Refused,
            TransferError::Refused(_) => Kind::Statement,
            TransferError::Interrupted => Kind::Interrupted,
        }
        .exit_code()
    }
}

impl From<dynamite_core::Error> for TransferError {
    fn from(error: dynamite_core::Error) -> TransferError {
        TransferError::Database(error.into())
    }
}
