//! The database, one operation a file.
//!
//! [`DynaMite`] is the handle. Its operations are builders that end in `execute`, or in `iter` for results that are streamed.
//! [`Snapshot`] and [`Transaction`] have the same read operations: a builder is generic over the [`Source`] that it reads.
//!
//! # The modules, in reading order
//!
//! `options` opens a database, `database` is the handle; `schema`, `table`, `tables` and `update_table` are what is known of
//! tables; `source` is where a read looks, and `moment` by which time it judges; `writing` is where items change, and with them what
//! belongs to them: `index` and its like, `ttl`, `stream`; `key` makes keys of arguments, `terms` are what is said in expressions,
//! `encoded` are items in their stored form, `projection` is which part of an item is read, `change` what a write does to one, `consumed` counts for those who ask. Then the
//! operations: `get`, `put`, `update`, `delete`, `query` and `scan` (which share `walk`, and `segment`, `page_meter` and `rows` within it),
//! `batch`, `snapshot`, `transact`; `deferred`, writes that wait together; `transact_write` (of `transact_action`s, with `token`s) and `transact_get`;
//! `statement`, `statement_batch` and `statement_transaction`, which do what their `statement_plan`s say; `backup`, `table_backup`, and
//! `salvage` and `repair` of what is damaged;
//! `stream_reader` (of `stream_record`s, woken by `news`), `history` and `past_table`; and `housekeeping`, what is done when nobody
//! waits for it. [`inspect`] says what stored bytes mean to those who look at a file past the database.

mod backup;
mod batch;
mod belongings;
mod change;
mod clock;
mod consumed;
mod database;
mod deferred;
mod delete;
mod encoded;
mod get;
mod history;
mod housekeeping;
mod index;
mod index_build;
mod index_entry;
mod index_read;
mod index_schema;
mod index_update;
mod index_verify;
pub mod inspect;
mod key;
mod layout;
mod moment;
mod news;
mod options;
mod page_meter;
mod past_table;
mod projection;
mod put;
mod query;
mod repair;
mod rows;
mod salvage;
mod scan;
mod schema;
mod segment;
mod sequence_number;
mod snapshot;
mod source;
mod statement;
mod statement_batch;
mod statement_plan;
mod statement_transaction;
mod stream;
mod stream_reader;
mod stream_record;
mod table;
mod table_backup;
mod tables;
mod terms;
mod token;
mod transact;
mod transact_action;
mod transact_get;
mod transact_write;
mod ttl;
mod update;
mod update_table;
mod walk;
mod writing;

pub use dynamite_txn::{Clock, Durability, IoChoice, ManualClock, Stats};

pub use crate::api::backup::{Backup, BackupProgress};
pub use crate::api::batch::{BatchGet, BatchWrite};
pub use crate::api::clock::SystemClock;
pub use crate::api::consumed::{Consumed, ConsumedEntry, ConsumedKind};
pub use crate::api::database::DynaMite;
pub use crate::api::deferred::{Deferred, Pending};
pub use crate::api::delete::DeleteItem;
pub use crate::api::encoded::EncodedItem;
pub use crate::api::get::{GetItem, GetItemVersioned, VersionedItem};
pub use crate::api::history::{ItemHistory, ItemVersion, RestoreVersion};
pub use crate::api::index::{
    GlobalIndex, IndexDescription, IndexKind, IndexState, LocalIndex, MAX_GLOBAL_INDEXES, MAX_INCLUDED,
    MAX_INCLUDED_IN_ALL, MAX_LOCAL_INDEXES, Projection,
};
pub use crate::api::index_verify::{IndexFault, IndexFinding, IndexProgress};
pub use crate::api::key::IntoAttribute;
pub use crate::api::news::Commits;
pub use crate::api::options::Builder;
pub use crate::api::past_table::PastTable;
pub use crate::api::put::{IntoItem, PutItem, Replaced};
pub use crate::api::query::Query;
pub use crate::api::repair::Repaired;
pub use crate::api::salvage::{LostKeys, Salvaged, SalvagedTable};
pub use crate::api::scan::Scan;
pub use crate::api::sequence_number::SequenceNumber;
pub use crate::api::snapshot::Snapshot;
pub use crate::api::source::Source;
pub use crate::api::statement::{ExecuteStatement, StatementPage};
pub use crate::api::statement_batch::{StatementBatch, StatementOutcome};
pub use crate::api::statement_transaction::StatementTransaction;
pub use crate::api::stream::{StreamDescription, StreamView};
pub use crate::api::stream_reader::{StreamIter, StreamPage, StreamReader};
pub use crate::api::stream_record::{StreamEvent, StreamRecord, UserIdentity};
pub use crate::api::table_backup::{RestoreTable, TableBackup};
pub use crate::api::tables::{CreateTable, TableDescription};
pub use crate::api::transact::Transaction;
pub use crate::api::transact_action::{Check, Delete, Put, Update};
pub use crate::api::transact_get::{Get, TransactGet};
pub use crate::api::transact_write::TransactWrite;
pub use crate::api::update::{ReturnValues, UpdateItem, Updated};
pub use crate::api::update_table::UpdateTable;
pub use crate::api::walk::{Iter, Page, PageCount};
