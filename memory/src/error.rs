//! What can go wrong, in one sentence that says what to do. Errors travel from the owner of the file to who asked.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A `Result` of the memory.
pub type Result<T, E = MemoryError> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryError {
    /// What was asked for is malformed.
    #[error("{0}")]
    Invalid(String),

    /// The memory has another version than was expected.
    #[error("version conflict: stored is {stored}, you passed {passed}; recall and merge")]
    Conflict {
        /// The version that is stored; 0 for none.
        stored: u64,
        /// The version that was expected.
        passed: u64,
    },

    /// A memory that was to be created is there already.
    #[error(
        "{category}/{key} exists with version {version}; recall it, then use mode upsert, or choose another key"
    )]
    Exists {
        /// Its category.
        category: String,
        /// Its key.
        key: String,
        /// Its version.
        version: u64,
    },

    /// There is no such memory.
    #[error("{what} is not there; discover shows what is")]
    NotFound {
        /// What was looked for.
        what: String,
    },

    /// The text holds what looks like a secret. It is not repeated here.
    #[error(
        "the text holds a secret ({rule}), so nothing was stored; leave it out and say where it is kept instead"
    )]
    Secret {
        /// The rule that found it.
        rule: String,
    },

    /// The database, or the system, failed.
    #[error("{0}")]
    Failed(String),

    /// The owner of the file cannot be reached or started.
    #[error("the memory at {file} cannot be opened: {reason}; dynamite-memory doctor says more")]
    Unreachable {
        /// The database file.
        file: String,
        /// What was said.
        reason: String,
    },

    /// The connection broke while a write was under way that must not be done twice.
    #[error("the connection was lost, so it is not known whether this was done; recall it and see")]
    Lost,
}

impl MemoryError {
    /// The exit code of a command that ends so.
    pub fn exit_code(&self) -> u8 {
        match self {
            MemoryError::NotFound { .. } => 3,
            MemoryError::Conflict { .. } | MemoryError::Exists { .. } => 4,
            _ => 1,
        }
    }
}

impl From<dynamite_core::Error> for MemoryError {
    fn from(error: dynamite_core::Error) -> MemoryError {
        match error {
            // One of our own, on its way through a transaction.
            dynamite_core::Error::Aborted(reason) => match reason.downcast_ref::<MemoryError>() {
                Some(own) => own.clone(),
                None => MemoryError::Failed(reason.to_string()),
            },
            error => MemoryError::Failed(error.to_string()),
        }
    }
}

/// So that a transaction is rolled back by one of our errors.
impl From<MemoryError> for dynamite_core::Error {
    fn from(error: MemoryError) -> dynamite_core::Error {
        dynamite_core::Error::abort(error)
    }
}
