//! Why a copy, or a comparison, did not come to its end.

use std::error::Error as StdError;
use std::io;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use dynamite_core::types::KeySchema;
use thiserror::Error;

use crate::console::error::{ConsoleError, Kind};
use crate::transfer::error::TransferError;

pub(crate) type Result<T, E = CopyError> = std::result::Result<T, E>;

/// Why a copy, or a comparison, did not come to its end.
#[derive(Debug, Error)]
pub(crate) enum CopyError {
    /// The database refused or cannot be reached, or it cannot be remembered how far the copy is.
    #[error(transparent)]
    Transfer(#[from] TransferError),

    /// What would tell where the endpoint is, or who asks it, is missing or wrong.
    #[error("{what}: {reason}")]
    Configuration { what: &'static str, reason: String },

    /// The endpoint gives no answer.
    #[error("{action} failed, since the endpoint cannot be reached: {reason}")]
    Unreachable { action: &'static str, reason: String },

    /// The endpoint refused.
    #[error("{action} failed: the endpoint refused with {code}: {reason}")]
    Refused { action: &'static str, code: String, reason: String },

    /// The endpoint has no such table.
    #[error("the endpoint has no table {table}")]
    NoTable { table: String },

    /// The endpoint's table is not in use in time.
    #[error(
        "the endpoint's table {table} is {status} after {seconds} seconds; --resume goes on when it is ACTIVE"
    )]
    NotActive { table: String, status: String, seconds: u64 },

    /// One item cannot be put.
    #[error("the item with the key {key} was refused: {reason}")]
    Item { key: String, reason: String },

    /// The endpoint has taken nothing for some time.
    #[error(
        "the endpoint takes no more, and took nothing the last {attempts} times; --resume goes on later, --rate asks for less"
    )]
    Throttled { attempts: u32 },

    /// The tables have different keys.
    #[error("the key is ({here}) in the database, and ({there}) at the endpoint")]
    OtherKeys { here: String, there: String },

    /// What the endpoint says is nothing that this program knows.
    #[error("the endpoint's answer makes no sense: {0}")]
    Answer(String),

    /// What was done cannot be said.
    #[error("cannot print what was done: {0}")]
    Print(#[from] io::Error),
}

impl CopyError {
    /// The tables have different keys.
    pub(crate) fn other_keys(here: &KeySchema, there: &KeySchema) -> CopyError {
        let text = |keys: &KeySchema| {
            let named: Vec<String> =
                keys.attributes().map(|key| format!("{} {}", key.name(), key.key_type())).collect();
            named.join(", ")
        };
        CopyError::OtherKeys { here: text(here), there: text(there) }
    }

    /// What the SDK says of a request.
    pub(crate) fn of_request<E>(action: &'static str, error: &SdkError<E>) -> CopyError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            SdkError::ServiceError(refused) => {
                let meta = refused.err().meta();
                let code = meta.code().unwrap_or("an unknown error").to_owned();
                CopyError::Refused { action, code, reason: meta.message().unwrap_or_default().to_owned() }
            }
            error => CopyError::Unreachable { action, reason: with_causes(error) },
        }
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            CopyError::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The exit code of the process: that of the console, for the same kinds of errors.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            CopyError::Transfer(error) => return error.exit_code(),
            CopyError::Refused { .. } | CopyError::NoTable { .. } | CopyError::Item { .. } => Kind::Refused,
            CopyError::Configuration { .. } | CopyError::OtherKeys { .. } => Kind::Statement,
            CopyError::Unreachable { .. }
            | CopyError::NotActive { .. }
            | CopyError::Throttled { .. }
            | CopyError::Answer(_)
            | CopyError::Print(_) => Kind::Unavailable,
        }
        .exit_code()
    }
}

/// An error, and what it comes from.
pub(crate) fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

impl From<ConsoleError> for CopyError {
    fn from(error: ConsoleError) -> CopyError {
        CopyError::Transfer(error.into())
    }
}

impl From<dynamite_core::Error> for CopyError {
    fn from(error: dynamite_core::Error) -> CopyError {
        CopyError::Transfer(error.into())
    }
}
