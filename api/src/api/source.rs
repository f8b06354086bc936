//! Where a read looks: at the newest state, at a snapshot, or at what a transaction has written.
//!
//! The builders of reads are generic over it, so that there is one `get`, one `query` and one `scan`.

use std::ops::ControlFlow;
use std::sync::Arc;

use dynamite_txn::{Access, Portions, Range, ReadTxn, Row, TableId, TableInfo, TxnId, WriteTxn};

use crate::api::moment::Moment;
use crate::api::schema::is_of_users;
use crate::api::table::{Table, TableCache};
use crate::api::writing::Writing;
use crate::error::Result;

/// Where a read looks: a [`DynaMite`](crate::api::DynaMite), a [`Snapshot`](crate::api::Snapshot) or a
/// [`Transaction`](crate::api::Transaction). Not for others to implement.
// The supertrait is what seals it.
#[allow(private_bounds)]
pub trait Source: ReadFrom {
    /// What a stream of items reads from: a state that stays what it is meanwhile.
    type State<'a>: Portions + Timed + Clone
    where
        Self: 'a;
}

/// A state that lasts, and the moment by which it judges what has expired.
pub(crate) trait Timed {
    /// The moment, in whole seconds since 1970.
    fn seconds(&self) -> u64;

    /// How often it was changed so far; `None` if it stays what it is.
    fn changes(&self) -> Option<usize> {
        None
    }
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

/// One read, of one state. Of items it sees those that have not expired.
pub(crate) struct Reading<'a, 's> {
    state: State<'a, 's>,
    moment: &'a Moment<'a>,
}

enum State<'a, 's> {
    /// A published one.
    Read(&'a mut ReadTxn<'s>),
    /// What a transaction has made of it.
    Write(&'a mut WriteTxn<'s>),
}

impl<'a, 's> Reading<'a, 's> {
    /// A read of a published state.
    #[inline]
    pub(crate) fn of(txn: &'a mut ReadTxn<'s>, moment: &'a Moment<'a>) -> Self {
        Reading { state: State::Read(txn), moment }
    }

    /// A read of what a transaction has made of it.
    #[inline]
    pub(crate) fn within(txn: &'a mut WriteTxn<'s>, moment: &'a Moment<'a>) -> Self {
        Reading { state: State::Write(txn), moment }
    }

    /// The transaction that last described a table; `None` if there is no such table.
    #[inline]
    pub(crate) fn described(&mut self, table: TableId) -> Result<Option<TxnId>> {
        Ok(match &mut self.state {
            State::Read(txn) => txn.described(table)?,
            State::Write(txn) => txn.described(table)?,
        })
    }

    /// The newest transaction that is seen.
    #[inline]
    pub(crate) fn newest(&self) -> TxnId {
        match &self.state {
            State::Read(txn) => txn.txn(),
            State::Write(txn) => txn.id(),
        }
    }

    /// What a name stands for. Trees that belong to a table have names too, but not for users.
    pub(crate) fn table(&mut self, name: &str) -> Result<Option<TableInfo>> {
        if !is_of_users(name.as_bytes()) {
            return Ok(None);
        }
        Ok(match &mut self.state {
            State::Read(txn) => txn.table(name.as_bytes())?,
            State::Write(txn) => txn.table(name.as_bytes())?,
        })
    }

    /// Hands an item and its version to `with`.
    #[inline]
    pub(crate) fn get<R>(
        &mut self,
        table: &Table,
        key: &[u8],
        with: impl FnOnce(TxnId, &[u8]) -> R,
    ) -> Result<Option<R>> {
        let moment = self.moment;
        let living = |version, item: &[u8]| match table.is_expired(item, moment) {
            Ok(false) => Ok(Some(with(version, item))),
            Ok(true) => Ok(None),
            Err(error) => Err(error),
        };
        let found = match &mut self.state {
            State::Read(txn) => txn.get(table.id, key, living)?,
            State::Write(txn) => txn.get(table.id, key, living)?,
        };
        found.unwrap_or(Ok(None))
    }

    /// Looks up many items; see [`ReadTxn::get_many`].
    pub(crate) fn get_many(
        &mut self,
        table: &Table,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<(TxnId, &[u8])>),
    ) -> Result<()> {
        let mut failed = None;
        let mut living = |nth, found: Option<(TxnId, &[u8])>| {
            let expired = found.map(|(_, item)| table.is_expired(item, self.moment)).transpose();
            match expired {
                Ok(expired) => visit(nth, found.filter(|_| expired != Some(true))),
                Err(error) => failed = Some(error),
            }
        };
        match &mut self.state {
            State::Read(txn) => txn.get_many(table.id, keys, living)?,
            State::Write(txn) => {
                for (nth, key) in keys.iter().enumerate() {
                    let found = txn.get(table.id, key, |version, item| living(nth, Some((version, item))))?;
                    if found.is_none() {
                        living(nth, None);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Visits the items of a range; see [`ReadTxn::scan`].
    pub(crate) fn scan(
        &mut self,
        table: &Table,
        range: &Range<&[u8]>,
        access: Access,
        visit: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.scan_tree(table.id, table, range, access, visit)
    }

    /// Visits what stands in a range of a table's items, or of the entries of an index of the table. Of entries that do not hold
    /// what says when they expire, all are seen.
    pub(crate) fn scan_tree(
        &mut self,
        tree: TableId,
        table: &Table,
        range: &Range<&[u8]>,
        access: Access,
        mut visit: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        let mut failed = None;
        let living = |row: Row<'_>| match table.is_expired(row.payload, self.moment) {
            Ok(false) => visit(row),
            Ok(true) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        };
        let broke_off = match &mut self.state {
            State::Read(txn) => txn.scan(tree, range, access, living)?,
            State::Write(txn) => txn.scan(tree, range, access, living)?,
        };
        failed.map_or(Ok(broke_off), Err)
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

    /// Runs a write of few items, perhaps on the thread of somebody who writes at the same time.
    fn write_few<R: Send>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R> + Send) -> Result<R> {
        self.write(body)
    }
}
