//! What can go wrong, one variant per decision that a caller can take.
//!
//! Where DynamoDB has a text for a mistake, it is DynamoDB's text: programs that look at it find what they look for.

pub mod elsewhere;
mod index;
mod past;

use std::io;
use std::path::Path;
use std::sync::Arc;

use dynamite_txn::{PagerError, TreeError, TxnError};
use thiserror::Error;

use crate::api::SequenceNumber;
pub use crate::error::index::IndexError;
pub use crate::error::past::PastMoment;
use crate::expression::{ExpressionError, KeyConditionProblem, UpdateError};
use crate::item_codec::ItemDamage;
use crate::key_codec::{KeyDamage, KeyError};
use crate::limits::ValueError;
use crate::number::NumberError;
use crate::partiql::StatementError;
use crate::types::{KeyType, SchemaError};
use crate::value::Item;

/// A `Result` of the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the database could not do what it was asked.
///
/// Nothing was changed, unless the variant says otherwise.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such table.
    #[error("Requested resource not found: Table: {table} not found")]
    TableNotFound {
        /// The name asked for.
        table: String,
    },

    /// A table has no such index, which was to be dropped or waited for.
    #[error("Requested resource not found: Index: {index} not found")]
    IndexNotFound {
        /// The table's name.
        table: String,
        /// The name asked for.
        index: String,
    },

    /// A table of that name exists.
    #[error("Table already exists: {table}")]
    TableExists {
        /// The name asked for.
        table: String,
    },

    /// The table has no such stream, or no longer.
    #[error("Requested resource not found: Stream: {label} of table {table} not found")]
    StreamNotFound {
        /// The table.
        table: String,
        /// The label asked for.
        label: String,
    },

    /// Records of a stream that were asked for have reached their age, and were trimmed. Begin at the start, or with what is
    /// latest; what happened between is not known any more.
    #[error(
        "The operation attempted to read past the oldest stream record in a shard: table {table}, {asked} was asked for, \
        and what is not behind {trimmed} was trimmed"
    )]
    StreamTrimmed {
        /// The table.
        table: String,
        /// The place asked for.
        asked: SequenceNumber,
        /// The last record that was trimmed.
        trimmed: SequenceNumber,
    },

    /// There is no such backup of a table.
    #[error("Backup not found: {backup}")]
    BackupNotFound {
        /// The id asked for.
        backup: String,
    },

    /// A table keeps no history.
    #[error("table {table} keeps no history; update_table lets it begin to keep one")]
    NoHistory {
        /// The table.
        table: String,
    },

    /// A past state that the table's history does not reach back to.
    #[error(
        "the history of table {table} does not reach back to {asked}{}; keep a snapshot, or a longer history",
        only_to(*.oldest)
    )]
    BeyondHistory {
        /// The table.
        table: String,
        /// What was asked for.
        asked: PastMoment,
        /// The oldest version that can be asked for, if that is known.
        oldest: Option<u64>,
    },

    /// A state that does not exist yet, or not durably.
    #[error("{asked} has not come yet; the newest version is {newest}")]
    NotYet {
        /// What was asked for.
        asked: PastMoment,
        /// The newest version.
        newest: u64,
    },

    /// An item has no such version, or no longer.
    #[error(
        "the item has no version {version} in the history of table {table}; item_history lists those that there are"
    )]
    NoSuchVersion {
        /// The table.
        table: String,
        /// The version asked for.
        version: u64,
    },

    /// An item does not have the version that a write expected. Read it again, and decide anew.
    #[error("version conflict: {}", describe_conflict(*expected, *actual))]
    VersionConflict {
        /// The version that the write expected; 0 if it expected no item.
        expected: u64,
        /// The version that the item has; `None` if there is no item.
        actual: Option<u64>,
    },

    /// An item or a value that the data model does not allow.
    #[error(transparent)]
    Value(ValueError),

    /// An item of more than 400 KB, as DynamoDB counts it.
    #[error("Item size has exceeded the maximum allowed size")]
    ItemTooLarge,

    /// An expression that cannot be read, or does not fit its table.
    #[error(transparent)]
    Expression(#[from] ExpressionError),

    /// An update that does not fit the item that there is.
    #[error(transparent)]
    Update(UpdateError),

    /// A statement of PartiQL that cannot be read, or does not fit its table.
    #[error(transparent)]
    Statement(#[from] StatementError),

    /// A statement inserts an item where there is one.
    #[error("Duplicate primary key exists in table")]
    DuplicateItem,

    /// The condition of a write does not hold.
    #[error("The conditional request failed")]
    ConditionFailed {
        /// The item that there is, if there is one.
        item: Option<Box<Item>>,
    },

    /// A request that makes no sense for its table, or for any.
    #[error(transparent)]
    Validation(#[from] Invalid),

    /// An operation of a batch or of a transaction failed, and nothing of it was done.
    #[error("operation {operation} failed: {source}")]
    Operation {
        /// Which one, counted from 0.
        operation: usize,
        /// Why.
        source: Box<Error>,
    },

    /// A transaction of actions was not done, since not all of them could be. Each has a reason, in the order of the actions;
    /// that of those that could have been done is [`CancellationCode::None`].
    #[error(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(", ")
    )]
    TransactionCanceled {
        /// The reasons.
        reasons: Vec<CancellationReason>,
    },

    /// The token of a transaction was given to another one within the last ten minutes. Use another token.
    #[error(
        "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent token \
        that was already used."
    )]
    IdempotentParameterMismatch,

    /// The caller's own reason to roll a transaction back; see [`Error::abort`].
    #[error("the transaction was rolled back: {0}")]
    Aborted(Arc<dyn std::error::Error + Send + Sync>),

    /// A backup was called off by whoever was told of its progress.
    #[error("the backup was cancelled; nothing is left of it")]
    Cancelled,

    /// A write was called on the database while this thread is inside a transaction: it would wait for itself.
    #[error("this thread is inside a transaction; write through it, or finish it first")]
    NestedTransaction,

    /// Another process, or another handle in this one, has the file open.
    #[error("{} is locked by another process or handle; close it there first, or share it through dynamite-server", path.display())]
    Locked {
        /// The database file.
        path: Arc<Path>,
    },

    /// There is no such file.
    #[error("{} does not exist; create it, or use open_or_create", path.display())]
    NotFound {
        /// The database file.
        path: Arc<Path>,
    },

    /// There is a file where one should be created.
    #[error("{} already exists; open it, or use open_or_create, or choose another name", path.display())]
    AlreadyExists {
        /// The file.
        path: Arc<Path>,
    },

    /// The database was opened for reading only.
    #[error("{} was opened read-only", path.display())]
    ReadOnly {
        /// The database file.
        path: Arc<Path>,
    },

    /// The device is full, or the file cannot grow for another reason. Reads and deletions go on.
    #[error("{} cannot grow: {source}; free space on the device, or delete data", path.display())]
    DiskFull {
        /// The database file.
        path: Arc<Path>,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// An earlier write or flush failed, so what is on disk is unknown until the file is opened again.
    #[error("writes to {} are refused since an earlier write or flush failed ({source}); reopen the database", path.display())]
    Poisoned {
        /// The database file.
        path: Arc<Path>,
        /// The failure.
        source: Arc<io::Error>,
    },

    /// The operating system refused an operation on the file.
    #[error("{source}")]
    Io {
        /// The database file.
        path: Arc<Path>,
        /// What was tried, on which page, and what the system said.
        source: PagerError,
    },

    /// The file holds what was never written there: the device, or another program, damaged it. The text names the page.
    #[error(transparent)]
    Corrupt(TxnError),

    /// An item or a key that was stored is damaged although its page is whole.
    #[error("an item of table {table} is damaged: {source}; run dynamite-fsck on the file")]
    DamagedItem {
        /// The table's name.
        table: String,
        /// The check that it failed.
        source: Damage,
    },

    /// A stored item does not fit the type that it was asked as.
    #[error("the item cannot be read as the type asked for: {0}")]
    Decode(String),

    /// Whatever else the storage says: the text tells what to do.
    #[error(transparent)]
    Storage(TxnError),
}

/// Why an action of a transaction could not be done.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CancellationReason {
    /// The kind of reason.
    pub code: CancellationCode,
    /// What the action alone would have failed with; `None` if it would not have failed.
    pub message: Option<String>,
    /// The item for which a condition did not hold, if it was asked for and there is one.
    pub item: Option<Box<Item>>,
}

/// The kinds of [`CancellationReason`], by DynamoDB's codes. (Its others, for conflicts and throughput, cannot occur.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum CancellationCode {
    /// The action could have been done.
    #[default]
    None,
    /// Its condition does not hold, or the item has another version than was expected.
    ConditionalCheckFailed,
    /// It does not fit its table, or the item that there is.
    ValidationError,
    /// It is a statement that inserts an item where there is one.
    DuplicateItem,
    /// It is a statement, and there is no such table.
    ResourceNotFound,
}

impl CancellationCode {
    /// DynamoDB's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            CancellationCode::None => "None",
            CancellationCode::ConditionalCheckFailed => "ConditionalCheckFailed",
            CancellationCode::ValidationError => "ValidationError",
            CancellationCode::DuplicateItem => "DuplicateItem",
            CancellationCode::ResourceNotFound => "ResourceNotFound",
        }
    }
}

/// The check that stored bytes failed.
#[derive(Clone, Debug, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Damage {
    /// An item's bytes.
    #[error(transparent)]
    Item(#[from] ItemDamage),
    /// A key's bytes.
    #[error(transparent)]
    Key(#[from] KeyDamage),
    /// A record of a change stream.
    #[error("a record of the table's change stream is malformed")]
    StreamRecord,
    /// What is kept with a table's name, or with an index.
    #[error("the table's description is malformed")]
    Schema,
    /// An entry of an index leads to no item.
    #[error("an entry of the index leads to no item")]
    LostItem,
    /// What is kept of an idempotency token.
    #[error("the record of an idempotency token is malformed")]
    Token,
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Invalid {
    /// A table's name.
    #[error(
        "Invalid table/index name. Table/index names must be between 3 and 255 characters long, and may contain only the \
        characters a-z, A-Z, 0-9, '_', '-', and '.'"
    )]
    TableName {
        /// The name.
        name: String,
    },

    /// A table's keys.
    #[error(transparent)]
    Schema(#[from] SchemaError),

    /// A number.
    #[error(transparent)]
    Number(#[from] NumberError),

    /// The value of a key attribute is empty or too long.
    #[error(transparent)]
    Key(#[from] KeyError),

    /// An item lacks an attribute of its table's key.
    #[error("One or more parameter values were invalid: Missing the key {name} in the item")]
    MissingKey {
        /// The attribute.
        name: String,
    },

    /// An attribute of an item's key has the wrong type.
    #[error(
        "One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} actual: {actual}"
    )]
    KeyTypeMismatch {
        /// The attribute.
        name: String,
        /// The type that the table says.
        expected: KeyType,
        /// The type of the value, by DynamoDB's letters.
        #[serde(deserialize_with = "crate::word::deserialize")]
        actual: crate::word::Word,
    },

    /// Something about an index.
    #[error(transparent)]
    Index(#[from] IndexError),

    /// A key that lacks a part, has one too many, or has one of another type.
    #[error("The provided key element does not match the schema")]
    KeySchema,

    /// A query without a partition key.
    #[error("Query condition missed key schema element: {name}")]
    MissingPartitionKey {
        /// The partition key's attribute.
        name: String,
    },

    /// A condition on the sort key of a table that has none, or on a sort attribute behind one that is not compared by `=`.
    #[error("Query key condition not supported")]
    NoSortKey,

    /// A condition on the sort key with a value of another type.
    #[error("One or more parameter values were invalid: Condition parameter type does not match schema type")]
    ConditionType,

    /// `begins_with` on a number.
    #[error(
        "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: \
        begins_with, operand type: N"
    )]
    BeginsWithNumber,

    /// `between` with its bounds exchanged.
    #[error(
        "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower \
        bound; lower bound operand: {lower}, upper bound operand: {upper}"
    )]
    BetweenOrder {
        /// The lower bound.
        lower: String,
        /// The upper bound.
        upper: String,
    },

    /// Two conditions on the sort key of one query.
    #[error("KeyConditionExpressions must only contain one condition per key")]
    ConditionTwice,

    /// A condition or a projection both by methods and as an expression.
    #[error(
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
        {{{method}}} Expression parameters: {{{expression}}}"
    )]
    Mixed {
        /// DynamoDB's name for what was said by methods: `KeyConditions` for the key, `AttributesToGet` for attributes.
        #[serde(deserialize_with = "crate::word::deserialize")]
        method: crate::word::Word,
        /// DynamoDB's name of the expression.
        #[serde(deserialize_with = "crate::word::deserialize")]
        expression: crate::word::Word,
    },

    /// A limit of 0.
    #[error(
        "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater \
        than or equal to 1"
    )]
    Limit,

    /// A start key that is no key of the table.
    #[error("The provided starting key is invalid")]
    StartKey,

    /// A start key whose attributes, where it is also a key of the table, are none.
    #[error("The provided starting key is invalid: The provided key element does not match the schema")]
    StartKeySchema,

    /// A start key outside what the condition on the sort key asks for.
    #[error("The provided starting key does not match the range key predicate")]
    StartKeyRange,

    /// A start key of another partition, where there is a condition on the sort key as well.
    #[error("The query can return at most one row and cannot be restarted")]
    StartKeyPartition,

    /// A start key outside what is asked for.
    #[error("The provided starting key is outside query boundaries based on provided conditions")]
    StartKeyOutside,

    /// A start key of another segment.
    #[error(
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct \
        Segment. TotalSegments: {total} Segment: {segment}"
    )]
    StartKeySegment {
        /// The segment asked for.
        segment: u32,
        /// How many there are.
        total: u32,
    },

    /// A segment that does not exist.
    #[error(
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not \
        less than TotalSegments: {total}"
    )]
    Segment {
        /// The segment asked for.
        segment: u32,
        /// How many there are.
        total: u32,
    },

    /// More segments than a scan may have.
    #[error(
        "1 validation error detected: Value '{total}' at 'totalSegments' failed to satisfy constraint: Member must have \
        value less than or equal to 1000000"
    )]
    TotalSegments {
        /// How many were asked for.
        total: u32,
    },

    /// A batch names an item twice.
    #[error("Provided list of item keys contains duplicates")]
    Duplicates,

    /// A transaction without actions.
    #[error(
        "1 validation error detected: Value at 'TransactItems' failed to satisfy constraint: Member must have length \
        greater than or equal to 1"
    )]
    NoActions,

    /// A transaction of more than 100 actions.
    #[error(
        "1 validation error detected: Value at 'TransactItems' failed to satisfy constraint: Member must have length less \
        than or equal to 100"
    )]
    TooManyActions,

    /// A transaction of more than 4 MB.
    #[error("Transaction payload size cannot exceed 4MB. Payload Size: {size}")]
    TransactionTooLarge {
        /// Bytes of its items and keys, as DynamoDB counts them.
        size: usize,
    },

    /// Two actions of a transaction on one item.
    #[error("Transaction request cannot include multiple operations on one item")]
    SameItem,

    /// An idempotency token without characters.
    #[error(
        "1 validation error detected: Value at 'ClientRequestToken' failed to satisfy constraint: Member must have length \
        greater than or equal to 1"
    )]
    EmptyToken,

    /// An idempotency token of more than 36 characters.
    #[error(
        "1 validation error detected: Value at 'ClientRequestToken' failed to satisfy constraint: Member must have length \
        less than or equal to 36"
    )]
    LongToken,

    /// A check of a transaction without anything to check.
    #[error("a check needs a condition, or a version")]
    NoCondition,

    /// A put without an item.
    #[error("a put needs an item")]
    NoItem,

    /// The name of a TTL attribute.
    #[error(
        "1 validation error detected: Value '{name}' at 'timeToLiveSpecification.attributeName' failed to satisfy \
        constraint: Member must have length between 1 and 255, inclusive"
    )]
    TtlAttribute {
        /// The name.
        name: String,
    },

    /// TTL is to be enabled where it is.
    #[error("TimeToLive is already enabled")]
    TtlEnabled,

    /// TTL is to be enabled by another attribute: disable it first.
    #[error("TimeToLive is active on a different AttributeName: current AttributeName is {current}")]
    TtlAttributeDiffers {
        /// The attribute that says when items expire.
        current: String,
    },

    /// TTL is to be disabled where it is not enabled.
    #[error("TimeToLive is already disabled")]
    TtlDisabled,

    /// A stream is to be enabled where one is.
    #[error("Table already has an enabled stream: TableName: {table}")]
    StreamEnabled {
        /// The table.
        table: String,
    },

    /// A stream is to be disabled where none is enabled.
    #[error("Table already has a disabled stream: TableName: {table}")]
    StreamDisabled {
        /// The table.
        table: String,
    },

    /// What is no sequence number.
    #[error("Invalid SequenceNumber: {text}")]
    SequenceNumber {
        /// What was given.
        text: String,
    },

    /// A history of no duration.
    #[error("a history must be kept for some time; leave it out for none")]
    History,

    /// An update of a table that says nothing.
    #[error(
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
        SSESpecification or ReplicaUpdates is required"
    )]
    NoUpdate,

    /// A setting that makes no sense here.
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// Rolls a transaction back for a reason of the caller's, when it is returned from inside.
    pub fn abort(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Aborted(Arc::from(reason.into()))
    }

    /// The error of an operation of a batch or a transaction, counted from 0.
    pub(crate) fn of_operation(self, operation: usize) -> Error {
        Error::Operation { operation, source: Box::new(self) }
    }

    /// What an update is told of a new item that does not fit an index.
    pub(crate) fn of_update(self) -> Error {
        match self {
            Error::Validation(Invalid::Index(IndexError::KeyType { .. })) => IndexError::UpdateOfType.into(),
            Error::Validation(Invalid::Key(KeyError::EmptyInIndex { kind, .. })) => {
                IndexError::UpdateToEmpty { kind }.into()
            }
            Error::Validation(Invalid::Key(KeyError::IndexKeyTooLong { .. })) => {
                IndexError::UpdateToTooLong.into()
            }
            other => other,
        }
    }

    /// What made it fail: looks through [`Error::Operation`].
    pub fn cause(&self) -> &Error {
        match self {
            Error::Operation { source, .. } => source.cause(),
            other => other,
        }
    }
}

impl From<KeyConditionProblem> for Error {
    fn from(problem: KeyConditionProblem) -> Error {
        Error::Expression(problem.into())
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Error {
        match error {
            ValueError::ItemTooLarge { .. } => Error::ItemTooLarge,
            other => Error::Value(other),
        }
    }
}

impl From<TxnError> for Error {
    fn from(error: TxnError) -> Error {
        match error {
            TxnError::NestedTransaction => Error::NestedTransaction,
            TxnError::Cancelled => Error::Cancelled,
            TxnError::Damaged { .. } => Error::Corrupt(error),
            TxnError::Tree(TreeError::Pager(error)) => from_pager(error),
            other => Error::Storage(other),
        }
    }
}

fn from_pager(error: PagerError) -> Error {
    match error {
        PagerError::FileLocked { path } => Error::Locked { path },
        PagerError::NotFound { path } => Error::NotFound { path },
        PagerError::AlreadyExists { path } => Error::AlreadyExists { path },
        PagerError::ReadOnly { path } => Error::ReadOnly { path },
        PagerError::Poisoned { path, source } => Error::Poisoned { path, source },
        PagerError::DiskFull { path, source, .. } => Error::DiskFull { path, source },
        PagerError::Io { ref path, .. } => Error::Io { path: path.clone(), source: error },
        PagerError::Corrupt { .. }
        | PagerError::Malformed { .. }
        | PagerError::NoValidHeader { .. }
        | PagerError::Truncated { .. } => Error::Corrupt(error.into()),
        other => Error::Storage(other.into()),
    }
}

/// So that one `?` makes an error of it.
impl From<IndexError> for Error {
    fn from(error: IndexError) -> Error {
        Error::Validation(error.into())
    }
}

fn only_to(oldest: Option<u64>) -> String {
    oldest.map(|oldest| format!(", only to version {oldest}")).unwrap_or_default()
}

fn describe_conflict(expected: u64, actual: Option<u64>) -> String {
    match (expected, actual) {
        (0, Some(actual)) => format!("no item was expected, but there is one, of version {actual}"),
        (expected, Some(actual)) => {
            format!("version {expected} was expected, but the item has version {actual}")
        }
        (expected, None) => format!("version {expected} was expected, but there is no such item"),
    }
}
