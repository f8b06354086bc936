//! Why a statement was not done, and what the process says of it when it ends.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use dynamite_core::error::{CancellationCode, CancellationReason, Error};
use dynamite_server::ClientError;
use thiserror::Error as ThisError;

use crate::console::text::SyntaxError;

pub(crate) type Result<T, E = ConsoleError> = std::result::Result<T, E>;

/// Why a statement was not done.
#[derive(Debug, ThisError)]
pub(crate) enum ConsoleError {
    /// It is no statement.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),

    /// It is one, but not here: there is no page to go on with, no transaction to commit, no table named.
    #[error("{0}")]
    Misplaced(String),

    /// The database refused.
    #[error("{}", describe(.0))]
    Database(Box<Error>),

    /// The server could not be asked.
    #[error(transparent)]
    Server(ClientError),

    /// The user has pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,

    /// Nothing can be typed.
    #[error("the terminal cannot be read: {0}")]
    Terminal(io::Error),

    /// The answer cannot be printed.
    #[error("the answer cannot be printed: {0}")]
    Output(#[from] io::Error),
}

impl From<Error> for ConsoleError {
    fn from(error: Error) -> ConsoleError {
        ConsoleError::Database(Box::new(error))
    }
}

impl From<ClientError> for ConsoleError {
    fn from(error: ClientError) -> ConsoleError {
        match error {
            ClientError::Database(error) => error.into(),
            error => ConsoleError::Server(error),
        }
    }
}

/// Ends what is done step by step once the user has pressed Ctrl-C.
pub(crate) fn check_interrupt(interrupt: &AtomicBool) -> Result<()> {
    if interrupt.load(Ordering::Relaxed) { Err(ConsoleError::Interrupted) } else { Ok(()) }
}

/// What kinds of errors there are, for programs: the exit status, and the word that stands for it in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The database refused.
    Refused,
    /// It was not understood, or made no sense.
    Statement,
    /// The database cannot be reached or read.
    Unavailable,
    /// A condition did not hold, or an item had another version.
    Condition,
    Interrupted,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::Refused => 1,
            Kind::Statement => 2,
            Kind::Unavailable => 3,
            Kind::Condition => 4,
            Kind::Interrupted => 130,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Refused => "refused",
            Kind::Statement => "statement",
            Kind::Unavailable => "unavailable",
            Kind::Condition => "condition",
            Kind::Interrupted => "interrupted",
        }
    }
}

impl ConsoleError {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            ConsoleError::Syntax(_) | ConsoleError::Misplaced(_) => Kind::Statement,
            ConsoleError::Interrupted => Kind::Interrupted,
            ConsoleError::Server(_) | ConsoleError::Terminal(_) | ConsoleError::Output(_) => {
                Kind::Unavailable
            }
            ConsoleError::Database(error) => kind_of(error),
        }
    }
}

fn kind_of(error: &Error) -> Kind {
    match error {
        Error::ConditionFailed { .. } | Error::DuplicateItem | Error::VersionConflict { .. } => {
            Kind::Condition
        }
        Error::TransactionCanceled { reasons } => {
            use CancellationCode::{ConditionalCheckFailed, DuplicateItem, None};
            let is_condition = |reason: &CancellationReason| {
                matches!(reason.code, None | ConditionalCheckFailed | DuplicateItem)
            };
            if reasons.iter().all(is_condition) { Kind::Condition } else { Kind::Refused }
        }
        Error::Operation { source, .. } => kind_of(source),
        Error::Expression(_) | Error::Statement(_) => Kind::Statement,
        Error::Locked { .. }
        | Error::NotFound { .. }
        | Error::AlreadyExists { .. }
        | Error::ReadOnly { .. }
        | Error::DiskFull { .. }
        | Error::Poisoned { .. }
        | Error::Io { .. }
        | Error::Corrupt(_)
        | Error::DamagedItem { .. }
        | Error::Storage(_) => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

/// The error's own text; of a transaction with the reason of each action that could not be done, counted as the user has said them.
fn describe(error: &Error) -> String {
    match error {
        Error::TransactionCanceled { reasons } => {
            let reasons =
                reasons.iter().enumerate().filter(|(_, reason)| reason.code != CancellationCode::None);
            let described = reasons.map(|(nth, reason)| {
                let message = reason.message.as_deref().unwrap_or(reason.code.as_str());
                format!("statement {} of the transaction: {message}", nth + 1)
            });
            format!("nothing was done; {}", described.collect::<Vec<_>>().join("; "))
        }
        Error::Operation { operation, source } => {
            format!("nothing was done; statement {} of the transaction: {source}", operation + 1)
        }
        error => error.to_string(),
    }
}
