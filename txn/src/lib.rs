//! The transaction layer of DynaMite: tables of versioned records, snapshots that read through version chains, group
//! commit.
//!
//! It knows snapshots, versions, what is durable and what may be collected, and the tree of trees. It does not know
//! what the bytes of a record mean.
//!
//! # What it promises
//!
//! * **INV-6** Every read of a snapshot sees exactly the commits up to it.
//! * **INV-7** Under any mixture of overwrites, deletes, long snapshots, aborts and crashes, [`verify`](mod@verify) accounts for every page
//!   of the file, and the file is bounded by the live data and the versions needed.
//! * An answer that depended on a transaction is given only when that transaction is durable.
//!
//! # The modules, in reading order
//!
//! `txn_id` numbers things; `record`, `payload`, `history`, `catalog` and `names` are what is stored, `recent` what is kept in
//! memory for a moment, and `known_tables` spares some of the looking up; `visibility` says which version a reader sees, and
//! `scan` walks a range of them; [`snapshot`] is the registry of who may still look where.
//! `read_txn` and `write_txn` are the two kinds of transaction, `named` and `times` what else they store, `past` what they tell of
//! it, `reclaim`
//! what they tidy up; [`group_commit`] makes them durable together, `tasks` does what nobody waits for. `long_scan` is the
//! iterator for users, [`backup`] copies everything to another file, [`store`] is the handle, [`verify`](mod@verify) checks it all,
//! [`describe`] shows what stored bytes say, and [`salvage`](mod@salvage) gets what is left out of a damaged file, [`repair`] mends one
//! in place.

#![forbid(unsafe_code)]

pub mod txn_id;

mod record;

mod payload;

mod history;

mod recent;

mod catalog;

mod names;

mod known_tables;

mod visibility;

mod scan;

pub mod snapshot;

mod read_txn;

mod write_txn;

mod named;

mod times;

mod past;

mod reclaim;

mod move_down;

pub mod group_commit;

mod tasks;

mod long_scan;

pub mod backup;

pub mod store;

pub mod verify;

pub mod describe;

pub mod salvage;

pub mod repair;

pub mod clock;

pub mod error;

pub use dynamite_bptree::{MAX_KEY, TreeError};
pub use dynamite_pager::{Access, Durability, Extent, IoChoice, PagerError, Stats, disk};

pub use crate::catalog::Retention;
pub use crate::clock::{Clock, ManualClock};
pub use crate::error::{Damage, Result, TxnError};
pub use crate::long_scan::{Portions, Scan};
pub use crate::named::NamedSnapshot;
pub use crate::names::TableInfo;
pub use crate::read_txn::{ReadTxn, TableStats};
pub use crate::record::RecordDamage;
pub use crate::scan::{Range, Row};
pub use crate::store::{Options, Snapshot, Store};
pub use crate::txn_id::{TableId, TxnId, VersionKey};
pub use crate::visibility::ItemVersion;
pub use crate::write_txn::series::Series;
pub use crate::write_txn::{MAX_PAYLOAD, WriteTxn};
