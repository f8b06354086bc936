//! What a check of the whole database can find, beyond what a page tells by itself.

use thiserror::Error;

use crate::error::Damage;
use crate::txn_id::{TableId, TxnId};

/// Something in the state of the database that contradicts something else, although each page is in order.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// A record that this layer never writes.
    #[error("table {table}, key {key}: {source}")]
    Record {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// What is wrong.
        source: Damage,
    },
    /// A record that was written after the newest commit.
    #[error("table {table}, key {key}: written by transaction {created}, the newest is {newest}")]
    Future {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// The transaction that is said to have written it.
        created: TxnId,
        /// The newest transaction.
        newest: TxnId,
    },
    /// A record links to a version that no longer is where a snapshot would look for it.
    #[error(
        "table {table}, key {key}: the version superseded by {superseded_by} is missing, the horizon is {horizon}"
    )]
    MissingVersion {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// The transaction that superseded the version.
        superseded_by: TxnId,
        /// Versions superseded at or before this may be gone.
        horizon: TxnId,
    },
    /// A record links to a version of something else.
    #[error(
        "table {table}, key {key}: the link to the version superseded by {superseded_by} leads to another item's"
    )]
    ForeignVersion {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// The transaction that superseded the version.
        superseded_by: TxnId,
    },
    /// A long key without the history entry that it belongs to, or the reverse.
    #[error("a history entry and its long key are not together")]
    LostKey,
    /// A history entry about a table that does not exist.
    #[error("a history entry is about table {table}, which does not exist")]
    HistoryOfNothing {
        /// The table.
        table: TableId,
    },
    /// A version in another history tree than its table's.
    #[error("a history entry is about table {table}, whose history is elsewhere")]
    MisplacedHistory {
        /// The table.
        table: TableId,
    },
    /// A history entry that would have a table freed which was not dropped.
    #[error("a history entry says that table {table} was dropped, which it was not")]
    NotDropped {
        /// The table.
        table: TableId,
    },
    /// A horizon that no transaction can have set: all that snapshots need counts as garbage.
    #[error("versions up to transaction {horizon} may be gone, but the newest is {newest}")]
    FutureHorizon {
        /// The table, if it has a horizon of its own.
        table: Option<TableId>,
        /// The horizon.
        horizon: TxnId,
        /// The newest transaction.
        newest: TxnId,
    },
    /// What a named snapshot sees was not kept.
    #[error("the snapshot {name:?} sees transaction {txn}, but versions up to {horizon} may be gone")]
    LostSnapshot {
        /// The snapshot's name.
        name: String,
        /// The transaction that it sees.
        txn: TxnId,
        /// The horizon.
        horizon: TxnId,
    },
    /// The number of a table's items is not what the catalog says.
    #[error("table {table} has {found} items, the catalog counts {expected}")]
    ItemCount {
        /// The table.
        table: TableId,
        /// Items found.
        found: u64,
        /// Items counted.
        expected: u64,
    },
    /// The bytes of a table's items are not what the catalog says.
    #[error("table {table} has {found} bytes of items, the catalog counts {expected}")]
    ByteCount {
        /// The table.
        table: TableId,
        /// Bytes found.
        found: u64,
        /// Bytes counted.
        expected: u64,
    },
    /// A tombstone that no history entry will take away.
    #[error("table {table}, key {key}: nothing will remove the tombstone of transaction {created}")]
    LostTombstone {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// The transaction that deleted the item.
        created: TxnId,
    },
    /// A name without a table, or with one that was dropped.
    #[error("the name {name:?} stands for table {table}, which does not exist, or was dropped")]
    NameOfNothing {
        /// The name.
        name: String,
        /// The table.
        table: TableId,
    },
    /// Two names for one table.
    #[error("the name {name:?} stands for table {table}, and so does another one")]
    NamedTwice {
        /// The name that comes second.
        name: String,
        /// The table.
        table: TableId,
    },
    /// A table whose record names another transaction than the one that wrote what is kept with its name.
    #[error("table {name:?} was described by transaction {created}, but its record says {described}")]
    Description {
        /// The table's name.
        name: String,
        /// What its record says.
        described: TxnId,
        /// The version of its name.
        created: TxnId,
    },
    /// A table that no name leads to, and that nothing will free.
    #[error("table {table} has no name, and nothing will free it")]
    LostTable {
        /// The table.
        table: TableId,
    },
    /// A catalog entry that means nothing.
    #[error("a catalog entry means nothing")]
    CatalogEntry,
    /// A table id would be given out twice.
    #[error("table {next} would be the next to be created, but there is a table {highest}")]
    NextTable {
        /// The next id to be given out.
        next: TableId,
        /// The highest that was.
        highest: TableId,
    },
}
