//! Reading: one operation on one root. What a get, a short query or one refill of a long scan does.
//!
//! It registers nothing: the operation keeps what the root reaches in place. So it is for the time of one lookup or
//! one page of results, not for user code; what lasts longer holds a [`Snapshot`](crate::Snapshot) and begins a
//! read for each step.

use std::ops::ControlFlow;

use dynamite_pager::{Access, Operation};

use crate::catalog::{Catalog, NAMES, Retention, TableRecord};
use crate::error::{Result, TxnError, if_exists};
use crate::known_tables::{FoundAt, StoreId};
use crate::names::{self, TableInfo};
use crate::recent::RecentVersions;
use crate::scan::{Range, Row};
use crate::txn_id::{TableId, TxnId};
use crate::visibility::{ItemVersion, View};

/// A read of one state. Belongs to the thread that began it.
#[derive(Debug)]
pub struct ReadTxn<'s> {
    pub(crate) operation: Operation<'s>,
    pub(crate) catalog: Catalog,
    /// The database that is read.
    store: StoreId,
    recent: &'s RecentVersions,
    /// The newest transaction that the trees hold.
    pub(crate) newest: TxnId,
    pub(crate) as_of: Option<TxnId>,
    /// The only table that may be read, if the state is one of the past.
    only: Option<TableId>,
    /// The table that was looked at last.
    view: Option<View<'s>>,
}

/// What is known of a table without looking at its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Items in it, as of the newest state (a snapshot's differ by what changed since).
    pub items: u64,
    /// Bytes of their keys and payloads.
    pub bytes: u64,
    /// Entries of its tree: items and tombstones.
    pub entries: u64,
    /// Which superseded versions it keeps.
    pub retention: Retention,
}

impl<'s> ReadTxn<'s> {
    pub(crate) fn new(
        operation: Operation<'s>,
        state: dynamite_pager::State,
        store: StoreId,
        recent: &'s RecentVersions,
        as_of: Option<TxnId>,
        only: Option<TableId>,
    ) -> ReadTxn<'s> {
        let catalog = Catalog::at(&state.roots);
        ReadTxn { operation, catalog, store, recent, newest: state.birth.into(), as_of, only, view: None }
    }

    /// The state that is read: a transaction id.
    pub fn txn(&self) -> TxnId {
        self.as_of.unwrap_or(self.newest)
    }

    /// Whether the state that is read was the newest one when the read began: then [`stats`](Self::stats) are those of this very state.
    pub fn is_newest(&self) -> bool {
        self.txn() == self.newest
    }

    /// Hands the payload of an item to `with`, where it stands: nothing is copied unless it is large or an older version.
    ///
    /// # Errors
    ///
    /// [`NoSuchTable`](crate::TxnError::NoSuchTable), and whatever is wrong with the file.
    #[inline]
    pub fn get<R>(
        &mut self,
        table: TableId,
        key: &[u8],
        with: impl FnOnce(TxnId, &[u8]) -> R,
    ) -> Result<Option<R>> {
        let view = self.view(table)?;
        view.get(&mut self.operation, key, with)
    }

    /// Looks up many keys, with one batch of reads per level of the tree. `visit` gets the index of each key, and the
    /// version and payload of the item if there is one, in no particular order.
    pub fn get_many(
        &mut self,
        table: TableId,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<(TxnId, &[u8])>),
    ) -> Result<()> {
        let view = self.view(table)?;
        view.get_many(&mut self.operation, keys, visit)
    }

    /// Visits the items of a range, in order, until `visit` breaks off. Returns whether it did. For a range that may be long hold a
    /// snapshot and use [`Scan`](crate::Scan), which comes up for air.
    pub fn scan(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        access: Access,
        visit: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        let view = self.view(table)?;
        view.scan(&mut self.operation, range, access, visit)
    }

    /// The transaction that last changed what is kept with the name of a table. That is the table's [`TableInfo::version`], without
    /// looking it up, unless a snapshot is read and it was changed since. `None` if there is no such table, as this read sees it.
    #[inline]
    pub fn described(&mut self, table: TableId) -> Result<Option<TxnId>> {
        if_exists(self.view(table).map(|view| view.record.described))
    }

    /// Looks up a table by its name.
    pub fn table(&mut self, name: &[u8]) -> Result<Option<TableInfo>> {
        let view = self.view(NAMES)?;
        names::find(&view, &mut self.operation, name)
    }

    /// The names of all tables, and what is kept with them, in the order of the names.
    pub fn tables(&mut self) -> Result<Vec<(Vec<u8>, TableInfo)>> {
        let view = self.view(NAMES)?;
        names::list(&view, &mut self.operation)
    }

    /// Visits the versions of an item that this read can see, the newest first, as far back as they are kept: those that
    /// snapshots need, and those that the table's retention keeps.
    ///
    /// Cost: a descent per version.
    pub fn versions(
        &mut self,
        table: TableId,
        key: &[u8],
        visit: impl FnMut(ItemVersion<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let view = self.view(table)?;
        view.versions(&mut self.operation, key, visit)
    }

    /// How much is in a table.
    pub fn stats(&mut self, table: TableId) -> Result<TableStats> {
        let record = self.view(table)?.record;
        Ok(TableStats {
            items: record.items,
            bytes: record.bytes,
            entries: record.tree.len(),
            retention: record.retention,
        })
    }

    /// The table as this read sees it. Remembers the last one, so that many lookups in a row ask the catalog once.
    #[inline]
    pub(crate) fn view(&mut self, table: TableId) -> Result<View<'s>> {
        if let Some(view) = self.view
            && view.table == table
        {
            return Ok(view);
        }
        if self.only.is_some_and(|only| only != table) {
            return Err(TxnError::NoRetention { table });
        }
        let found_at =
            self.catalog.tree().root().map(|catalog| FoundAt { store: self.store, catalog, table });
        let record = match found_at.and_then(FoundAt::recall) {
            Some(record) => record,
            None => self.look_up(table, found_at)?,
        };
        if record.freeing || (record.dropped && self.as_of.is_none()) {
            return Err(TxnError::NoSuchTable { table });
        }
        let view = View { table, record, catalog: self.catalog, recent: self.recent, as_of: self.as_of };
        self.view = Some(view);
        Ok(view)
    }

    #[cold]
    fn look_up(&mut self, table: TableId, found_at: Option<FoundAt>) -> Result<TableRecord> {
        let record = self.catalog.table(&mut self.operation, table)?;
        if let Some(found_at) = found_at {
            found_at.keep(record);
        }
        Ok(record)
    }
}
