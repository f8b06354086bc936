//! Where a read looks: at the newest state, at a snapshot, or at what a transaction has written.
//!
//! The builders of reads are generic over it, so that there is one `get`, one `query` and one `scan`.

use std::ops::ControlFlow;
use std::sync::Arc;

use dynamite_txn::{Access, Portions, Range, ReadTxn, Row, TableId, TableInfo, TxnId, WriteTxn};

use crate::api::table::{Table, TableCache};
use crate::api::writing::Writing;
use crate::error::Result;

/// Where a read looks: a [`DynaMite`](crate::api::DynaMite), a [`Snapshot`](crate::api::Snapshot) or a
/// [`Transaction`](crate::api::Transaction). Not for others to implement.
// The supertrait is what seals it.
#[allow(private_bounds)]
pub trait Source: ReadFrom {
    /// What a stream of items reads from: a state that stays what it is meanwhile.
    type State<'a>: Portions
    where
        Self: 'a;
}

/// What a [`Source`] must be able to do.
pub(crate) trait ReadFrom {
    /// Reads once: `body` gets the state, and the tables that are known of it.
    fn read<R>(&self, body: impl FnOnce(&TableCache, &mut Reading<'_, '_>) -> Result<R>) -> Result<R>;

    /// Begins to read a table for longer.
    fn stream(&self, table: &str) -> Result<(Arc<Table>, Self::State<'_>)>
    where
        Self: Source;

    /// Reads one table once.
    fn read_table<R>(
        &self,
        table: &str,
        body: impl FnOnce(&Arc<Table>, &mut Reading<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        self.read(|tables, reading| tables.with(reading, table, body))
    }
}

/// The reads of a state, for a [`Source`] that a user holds.
macro_rules! reads {
    () => {
        /// Gets one item; see [`DynaMite::get_item`].
        pub fn get_item<'a>(&'a self, table: &'a str) -> crate::api::GetItem<'a, Self> {
            crate::api::GetItem::new(self, table)
        }

        /// Gets one item and its version; see [`DynaMite::get_item_versioned`].
        pub fn get_item_versioned<'a>(&'a self, table: &'a str) -> crate::api::GetItemVersioned<'a, Self> {
            crate::api::GetItemVersioned::new(self, table)
        }

        /// Gets many items; see [`DynaMite::batch_get`].
        pub fn batch_get(&self) -> crate::api::BatchGet<'_, Self> {
            crate::api::BatchGet::new(self)
        }

        /// Reads items of one partition; see [`DynaMite::query`].
        pub fn query<'a>(&'a self, table: &'a str) -> crate::api::Query<'a, Self> {
            crate::api::Query::new(self, table)
        }

        /// Reads items of a whole table; see [`DynaMite::scan`].
        pub fn scan<'a>(&'a self, table: &'a str) -> crate::api::Scan<'a, Self> {
            crate::api::Scan::new(self, table)
        }
    };
}

pub(crate) use reads;

/// One read, of one state.
pub(crate) enum Reading<'a, 's> {
    /// Of a published one.
    Read(&'a mut ReadTxn<'s>),
    /// Of what a transaction has made of it.
    Write(&'a mut WriteTxn<'s>),
}

impl Reading<'_, '_> {
    /// The transaction that last described a table; `None` if there is no such table.
    #[inline]
    pub(crate) fn described(&mut self, table: TableId) -> Result<Option<TxnId>> {
        Ok(match self {
            Reading::Read(txn) => txn.described(table)?,
            Reading::Write(txn) => txn.described(table)?,
        })
    }

    /// The newest transaction that is seen.
    #[inline]
    pub(crate) fn newest(&self) -> TxnId {
        match self {
            Reading::Read(txn) => txn.txn(),
            Reading::Write(txn) => txn.id(),
        }
    }

    pub(crate) fn table(&mut self, name: &str) -> Result<Option<TableInfo>> {
        Ok(match self {
            Reading::Read(txn) => txn.table(name.as_bytes())?,
            Reading::Write(txn) => txn.table(name.as_bytes())?,
        })
    }

    #[inline]
    pub(crate) fn get<R>(
        &mut self,
        table: TableId,
        key: &[u8],
        with: impl FnOnce(TxnId, &[u8]) -> R,
    ) -> Result<Option<R>> {
        Ok(match self {
            Reading::Read(txn) => txn.get(table, key, with)?,
            Reading::Write(txn) => txn.get(table, key, with)?,
        })
    }

    pub(crate) fn get_many(
        &mut self,
        table: TableId,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<(TxnId, &[u8])>),
    ) -> Result<()> {
        match self {
            Reading::Read(txn) => txn.get_many(table, keys, visit)?,
            Reading::Write(txn) => {
                for (nth, key) in keys.iter().enumerate() {
                    if txn.get(table, key, |version, payload| visit(nth, Some((version, payload))))?.is_none()
                    {
                        visit(nth, None);
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn scan(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        access: Access,
        visit: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        Ok(match self {
            Reading::Read(txn) => txn.scan(table, range, access, visit)?,
            Reading::Write(txn) => txn.scan(table, range, visit)?,
        })
    }
}

/// Where a write goes: a [`DynaMite`](crate::api::DynaMite), which commits it, or a [`Transaction`](crate::api::Transaction). Not for others to
/// implement.
// The supertrait is what seals it.
#[allow(private_bounds)]
pub trait Target: WriteTo {}

/// What a [`Target`] must be able to do.
pub(crate) trait WriteTo {
    /// Runs a write.
    fn write<R>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R>) -> Result<R>;
}
