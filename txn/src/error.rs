//! What can go wrong with a transaction, one variant per decision that a caller can take.

use dynamite_bptree::TreeError;
use dynamite_pager::PagerError;
use thiserror::Error;

use crate::record::RecordDamage;
use crate::txn_id::{TableId, TxnId};

/// A `Result` of the transaction layer.
pub type Result<T, E = TxnError> = std::result::Result<T, E>;

/// Why a transaction, or a read, could not do what it was asked.
///
/// Cloneable, since all transactions of a group may get the error of their one flush.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TxnError {
    /// The tree refused a key or a value, or something below it failed.
    #[error(transparent)]
    Tree(#[from] TreeError),

    /// There is no such table, or no longer.
    #[error("there is no table {table}; it was dropped, or never existed")]
    NoSuchTable {
        /// The table asked for.
        table: TableId,
    },

    /// A table of that name exists.
    #[error("a table named {name:?} exists; drop it first, or choose another name")]
    TableExists {
        /// The name, as far as it is text.
        name: String,
    },

    /// Four thousand million tables were created.
    #[error("no more table ids; export the data into a new database")]
    TooManyTables,

    /// A write transaction was begun while the same thread had one open: it would wait for itself.
    #[error("this thread has a write transaction open; finish it first, or use it")]
    NestedTransaction,

    /// An operation of this transaction failed half-way, so nothing of it can be committed.
    #[error("an operation of this transaction failed; roll it back and try again")]
    Aborted,

    /// Something went wrong that never should, in the middle of committing what several threads had asked for.
    #[error(
        "a thread panicked while it committed this transaction with those of others, so what became of it is unknown; \
        reopen the database, look, and report what the panic said"
    )]
    Panicked,

    /// What was superseded so long ago may be gone.
    #[error(
        "table {table} keeps old versions back to transaction {horizon} only, {asked} was asked for; \
        keep a snapshot, or create the table with a longer retention"
    )]
    BelowHorizon {
        /// The table.
        table: TableId,
        /// The transaction asked for.
        asked: TxnId,
        /// The oldest that can be asked for.
        horizon: TxnId,
    },

    /// A table without retention keeps no old versions but those that snapshots need.
    #[error("table {table} keeps no history; create it with a retention")]
    NoRetention {
        /// The table.
        table: TableId,
    },

    /// A state that does not exist yet, or not durably.
    #[error("transaction {asked} is in the future; the newest is {newest}")]
    NotYet {
        /// The transaction asked for.
        asked: TxnId,
        /// The newest that can be asked for.
        newest: TxnId,
    },

    /// A snapshot of that name exists.
    #[error("a snapshot named {name:?} exists; delete it first, or choose another name")]
    SnapshotExists {
        /// The name, as far as it is text.
        name: String,
    },

    /// There is no snapshot of that name.
    #[error("there is no snapshot named {name:?}")]
    NoSuchSnapshot {
        /// The name, as far as it is text.
        name: String,
    },

    /// The state of one table in the past is no state of the database.
    #[error("this snapshot sees table {table} only, as it was; back up a snapshot of the whole database")]
    OneTableOnly {
        /// The table.
        table: TableId,
    },

    /// Whoever was told how far a backup is called it off.
    #[error("the backup was cancelled; nothing is left of it")]
    Cancelled,

    /// A record that this layer never writes, on a page that is whole.
    #[error("a record of table {table} is damaged: {source}; run dynamite-fsck on the file")]
    Damaged {
        /// The table.
        table: TableId,
        /// What is wrong.
        source: Damage,
    },
}

impl From<PagerError> for TxnError {
    fn from(error: PagerError) -> TxnError {
        TxnError::Tree(error.into())
    }
}

/// What is known of a table, if it exists.
#[inline]
pub(crate) fn if_exists<T>(known: Result<T>) -> Result<Option<T>> {
    match known {
        Err(TxnError::NoSuchTable { .. }) => Ok(None),
        known => known.map(Some),
    }
}

/// A name, as far as it is text.
pub(crate) fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The check that stored bytes failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Damage {
    /// A record of a table.
    #[error(transparent)]
    Record(#[from] RecordDamage),
    /// An entry of a history tree.
    #[error("a history entry is malformed")]
    HistoryEntry,
    /// A table's record in the catalog.
    #[error("the catalog's record is malformed")]
    TableRecord,
    /// A name's record.
    #[error("a name's record is malformed")]
    Name,
    /// Keys that a walk came to are not in order: pages of a tree have changed places, or are part of it twice.
    #[error("the keys of a tree are not in order")]
    KeyOrder,
    /// A commit time.
    #[error("a commit time is malformed")]
    Time,
    /// A named snapshot.
    #[error("a named snapshot is malformed")]
    NamedSnapshot,
    /// An old version that must still be there is not.
    #[error("a version superseded by transaction {superseded_by} is missing")]
    MissingVersion {
        /// The transaction that superseded it.
        superseded_by: TxnId,
    },
    /// A chain of versions that does not lead to ever older ones.
    #[error("a chain of versions leads from transaction {from} to {to}, which is not older")]
    ChainOrder {
        /// The version from which the link leads.
        from: TxnId,
        /// The version to which it leads.
        to: TxnId,
    },
}
