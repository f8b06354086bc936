//! Errors on their way to a client: what arrives has the variant and the text of what was sent.
//!
//! What is wrong with a request travels as it is, down to the last field. Of what is wrong with a file only the kind and the text do,
//! since nobody decides by more.

use std::io;
use std::path::Path;
use std::sync::Arc;

use dynamite_core::api::SequenceNumber;
use dynamite_core::error::{CancellationCode, CancellationReason, Damage, Invalid, PastMoment};
use dynamite_core::expression::{ExpressionError, UpdateError};
use dynamite_core::item_codec;
use dynamite_core::limits::ValueError;
use dynamite_core::partiql::StatementError;
use dynamite_core::{Error, Item, error};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::caught::Panicked;
use crate::protocol::text::Bytes;
use crate::writes::Lost;

/// Why the server itself did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// It is shutting down, and begins nothing new.
    #[error("the server is shutting down")]
    ShuttingDown,

    /// What was asked for does not fit into a frame.
    #[error("the answer has more bytes than a frame may have; ask for less at once")]
    AnswerTooLarge,

    /// The snapshot or past table is not held any more, since its connection ended.
    #[error("the snapshot is gone, since its connection was lost; take another one")]
    NoSuchHandle,

    /// Too many snapshots, or streams, of one connection.
    #[error("this connection has {most} snapshots and streams open; close some")]
    TooManyOpen {
        /// How many there may be.
        most: usize,
    },

    /// An operation that this server does not know.
    #[error("this server does not know operation {code}; it is an older build")]
    UnknownOperation {
        /// Its number.
        code: u8,
    },

    /// An operation ended by a panic, which is a bug of the server's.
    #[error("the operation ended by a panic, which is a bug: {text}")]
    Panicked {
        /// What the panic said.
        text: String,
    },

    /// An operation of an extension, which this server does not have.
    #[error(
        "this server has no operations besides the database's; another program serves those at another socket"
    )]
    NotExtended,
}

/// An error, as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fault<'a> {
    /// The operations of a batch or a transaction that it is the error of, from the outside in.
    operations: Vec<u64>,
    #[serde(borrow)]
    cause: Cause<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Cause<'a> {
    Refused(Refusal),
    TableNotFound {
        table: String,
    },
    IndexNotFound {
        table: String,
        index: String,
    },
    TableExists {
        table: String,
    },
    StreamNotFound {
        table: String,
        label: String,
    },
    StreamTrimmed {
        table: String,
        asked: SequenceNumber,
        trimmed: SequenceNumber,
    },
    BackupNotFound {
        backup: String,
    },
    NoHistory {
        table: String,
    },
    BeyondHistory {
        table: String,
        asked: PastMoment,
        oldest: Option<u64>,
    },
    NotYet {
        asked: PastMoment,
        newest: u64,
    },
    NoSuchVersion {
        table: String,
        version: u64,
    },
    VersionConflict {
        expected: u64,
        actual: Option<u64>,
    },
    Value(ValueError),
    ItemTooLarge,
    Expression(ExpressionError),
    Update(UpdateError),
    ConditionFailed {
        #[serde(borrow)]
        item: Option<Bytes<'a>>,
    },
    Validation(Invalid),
    TransactionCanceled {
        #[serde(borrow)]
        reasons: Vec<Reason<'a>>,
    },
    IdempotentParameterMismatch,
    Aborted {
        text: String,
    },
    Cancelled,
    NestedTransaction,
    Locked {
        path: String,
    },
    NotFound {
        path: String,
    },
    AlreadyExists {
        path: String,
    },
    ReadOnly {
        path: String,
    },
    DiskFull {
        path: String,
        source: IoFault,
    },
    Poisoned {
        path: String,
        source: IoFault,
    },
    Io {
        path: String,
        text: String,
    },
    Corrupt {
        text: String,
    },
    DamagedItem {
        table: String,
        source: Damage,
    },
    Decode {
        text: String,
    },
    Storage {
        text: String,
    },
    Statement(StatementError),
    DuplicateItem,
}

#[derive(Debug, Serialize, Deserialize)]
struct Reason<'a> {
    code: CancellationCode,
    message: Option<String>,
    #[serde(borrow)]
    item: Option<Bytes<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct IoFault {
    code: Option<i32>,
    text: String,
}

/// What an operation failed with.
#[derive(Clone, Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Database(#[from] Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Failure {
        match lost {
            Lost::Panicked(panicked) => Refusal::from(panicked).into(),
            Lost::Database(error) => error.into(),
        }
    }
}

impl From<Panicked> for Refusal {
    fn from(panicked: Panicked) -> Refusal {
        Refusal::Panicked { text: panicked.text }
    }
}

impl Fault<'_> {
    pub(crate) fn of(failure: Failure) -> Fault<'static> {
        let mut operations = Vec::new();
        let mut error = match failure {
            Failure::Refused(refusal) => return Fault { operations, cause: Cause::Refused(refusal) },
            Failure::Database(error) => error,
        };
        while let Error::Operation { operation, source } = error {
            operations.push(operation as u64);
            error = *source;
        }
        Fault { operations, cause: Cause::of(error) }
    }

    pub(crate) fn into_failure(self) -> Failure {
        let error = match self.cause.into_failure() {
            Failure::Database(error) => error,
            refused => return refused,
        };
        let operations = self.operations.into_iter().rev();
        Failure::Database(operations.fold(error, |error, operation| Error::Operation {
            operation: usize::try_from(operation).unwrap_or(usize::MAX),
            source: Box::new(error),
        }))
    }
}

impl Cause<'_> {
    fn of(error: Error) -> Cause<'static> {
        match error {
            Error::TableNotFound { table } => Cause::TableNotFound { table },
            Error::IndexNotFound { table, index } => Cause::IndexNotFound { table, index },
            Error::TableExists { table } => Cause::TableExists { table },
            Error::StreamNotFound { table, label } => Cause::StreamNotFound { table, label },
            Error::StreamTrimmed { table, asked, trimmed } => Cause::StreamTrimmed { table, asked, trimmed },
            Error::BackupNotFound { backup } => Cause::BackupNotFound { backup },
            Error::NoHistory { table } => Cause::NoHistory { table },
            Error::BeyondHistory { table, asked, oldest } => Cause::BeyondHistory { table, asked, oldest },
            Error::NotYet { asked, newest } => Cause::NotYet { asked, newest },
            Error::NoSuchVersion { table, version } => Cause::NoSuchVersion { table, version },
            Error::VersionConflict { expected, actual } => Cause::VersionConflict { expected, actual },
            Error::Value(error) => Cause::Value(error),
            Error::ItemTooLarge => Cause::ItemTooLarge,
            Error::Expression(error) => Cause::Expression(error),
            Error::Update(error) => Cause::Update(error),
            Error::ConditionFailed { item } => Cause::ConditionFailed { item: encoded(item) },
            Error::Validation(error) => Cause::Validation(error),
            Error::TransactionCanceled { reasons } => {
                let reasons = reasons.into_iter().map(|CancellationReason { code, message, item }| Reason {
                    code,
                    message,
                    item: encoded(item),
                });
                Cause::TransactionCanceled { reasons: reasons.collect() }
            }
            Error::IdempotentParameterMismatch => Cause::IdempotentParameterMismatch,
            Error::Aborted(reason) => Cause::Aborted { text: reason.to_string() },
            Error::Cancelled => Cause::Cancelled,
            Error::NestedTransaction => Cause::NestedTransaction,
            Error::Locked { path } => Cause::Locked { path: text_of(&path) },
            Error::NotFound { path } => Cause::NotFound { path: text_of(&path) },
            Error::AlreadyExists { path } => Cause::AlreadyExists { path: text_of(&path) },
            Error::ReadOnly { path } => Cause::ReadOnly { path: text_of(&path) },
            Error::DiskFull { path, source } => {
                Cause::DiskFull { path: text_of(&path), source: IoFault::of(&source) }
            }
            Error::Poisoned { path, source } => {
                Cause::Poisoned { path: text_of(&path), source: IoFault::of(&source) }
            }
            Error::Io { path, source } => Cause::Io { path: text_of(&path), text: source.to_string() },
            Error::Corrupt(error) => Cause::Corrupt { text: error.to_string() },
            Error::DamagedItem { table, source } => Cause::DamagedItem { table, source },
            Error::Decode(text) => Cause::Decode { text },
            Error::Statement(error) => Cause::Statement(error),
            Error::DuplicateItem => Cause::DuplicateItem,
            // What is new below is a matter of the storage until it has a place here.
            other => Cause::Storage { text: other.to_string() },
        }
    }

    fn into_failure(self) -> Failure {
        Failure::Database(match self {
            Cause::Refused(refusal) => return Failure::Refused(refusal),
            Cause::TableNotFound { table } => Error::TableNotFound { table },
            Cause::IndexNotFound { table, index } => Error::IndexNotFound { table, index },
            Cause::TableExists { table } => Error::TableExists { table },
            Cause::StreamNotFound { table, label } => Error::StreamNotFound { table, label },
            Cause::StreamTrimmed { table, asked, trimmed } => Error::StreamTrimmed { table, asked, trimmed },
            Cause::BackupNotFound { backup } => Error::BackupNotFound { backup },
            Cause::NoHistory { table } => Error::NoHistory { table },
            Cause::BeyondHistory { table, asked, oldest } => Error::BeyondHistory { table, asked, oldest },
            Cause::NotYet { asked, newest } => Error::NotYet { asked, newest },
            Cause::NoSuchVersion { table, version } => Error::NoSuchVersion { table, version },
            Cause::VersionConflict { expected, actual } => Error::VersionConflict { expected, actual },
            Cause::Value(error) => Error::Value(error),
            Cause::ItemTooLarge => Error::ItemTooLarge,
            Cause::Expression(error) => Error::Expression(error),
            Cause::Update(error) => Error::Update(error),
            Cause::ConditionFailed { item } => Error::ConditionFailed { item: decoded(item) },
            Cause::Validation(error) => Error::Validation(error),
            Cause::TransactionCanceled { reasons } => {
                let reasons = reasons.into_iter().map(|Reason { code, message, item }| CancellationReason {
                    code,
                    message,
                    item: decoded(item),
                });
                Error::TransactionCanceled { reasons: reasons.collect() }
            }
            Cause::IdempotentParameterMismatch => Error::IdempotentParameterMismatch,
            Cause::Aborted { text } => Error::abort(text),
            Cause::Cancelled => Error::Cancelled,
            Cause::NestedTransaction => Error::NestedTransaction,
            Cause::Locked { path } => Error::Locked { path: path_of(&path) },
            Cause::NotFound { path } => Error::NotFound { path: path_of(&path) },
            Cause::AlreadyExists { path } => Error::AlreadyExists { path: path_of(&path) },
            Cause::ReadOnly { path } => Error::ReadOnly { path: path_of(&path) },
            Cause::DiskFull { path, source } => {
                Error::DiskFull { path: path_of(&path), source: source.into_error() }
            }
            Cause::Poisoned { path, source } => {
                Error::Poisoned { path: path_of(&path), source: source.into_error() }
            }
            Cause::Io { path, text } => error::elsewhere::io(path_of(&path), text),
            Cause::Corrupt { text } => error::elsewhere::corrupt(text),
            Cause::DamagedItem { table, source } => Error::DamagedItem { table, source },
            Cause::Decode { text } => Error::Decode(text),
            Cause::Storage { text } => error::elsewhere::storage(text),
            Cause::Statement(error) => Error::Statement(error),
            Cause::DuplicateItem => Error::DuplicateItem,
        })
    }
}

impl IoFault {
    fn of(error: &io::Error) -> IoFault {
        IoFault { code: error.raw_os_error(), text: error.to_string() }
    }

    fn into_error(self) -> Arc<io::Error> {
        Arc::new(match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::other(self.text),
        })
    }
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

fn path_of(text: &str) -> Arc<Path> {
    Path::new(text).into()
}

/// An item that was stored can be encoded.
fn encoded(item: Option<Box<Item>>) -> Option<Bytes<'static>> {
    item.and_then(|item| item_codec::encode(&item).ok()).map(Bytes::from)
}

fn decoded(item: Option<Bytes<'_>>) -> Option<Box<Item>> {
    item.and_then(|item| item_codec::decode(&item).ok()).map(Box::new)
}
