//! A table as it was: of those that keep a history, as of a past version or time.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dynamite_txn::{Portions, Range, Row, TableId, TxnError, TxnId};

use crate::api::database::DynaMite;
use crate::api::get::{GetItem, GetItemVersioned};
use crate::api::history::past_error;
use crate::api::moment::Moment;
use crate::api::query::Query;
use crate::api::scan::Scan;
use crate::api::source::{ReadFrom, Reading, Source, Timed};
use crate::api::table::{Table, TableCache};
use crate::error::{Error, PastMoment, Result};

/// One table as it was after some transaction. It stays so for as long as this is held, whatever the table's history forgets
/// meanwhile; that costs the versions that change. Clones share it.
///
/// What had expired at that time is not seen, by the attribute that says so today. Indexes have no past: a query of one is
/// an [`IndexError::NoHistory`](crate::error::IndexError::NoHistory).
#[derive(Clone)]
pub struct PastTable {
    state: dynamite_txn::Snapshot,
    table: Arc<Table>,
    moment_ms: u64,
}

impl PastTable {
    pub(crate) fn table_id(&self) -> dynamite_txn::TableId {
        self.table.id
    }

    /// What it reads.
    pub(crate) fn into_state(self) -> dynamite_txn::Snapshot {
        self.state
    }
}

impl DynaMite {
    /// A table [with a history](crate::api::CreateTable::history), as it was after the transaction of this version: that of any item,
    /// also of another table. What had expired is told by the transaction's time, which is known to a second; the last one before
    /// the database was closed counts as old as the one before it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dynamite_core::api::DynaMite;
    /// # use dynamite_core::types::KeyType;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// let users = db.create_table("users").partition_key("user_id", KeyType::String);
    /// users.history(Duration::from_secs(3600)).execute()?;
    /// let version = db.put_item("users", json!({"user_id": "alice", "age": 30}))?;
    /// db.put_item("users", json!({"user_id": "bob", "age": 40}))?;
    /// db.delete_item("users").partition_key("alice").execute()?;
    ///
    /// let past = db.as_of("users", version)?;
    /// assert_eq!(past.scan().execute()?.items, [json!({"user_id": "alice", "age": 30})]);
    /// assert!(past.get_item().partition_key("bob").execute()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`]; [`Error::NoHistory`] if the table keeps none; [`Error::BeyondHistory`] for what is too long ago, and
    /// [`Error::NotYet`] for what has not happened.
    pub fn as_of(&self, table: &str, version: u64) -> Result<PastTable> {
        let table = self.find_past(table)?;
        let time_ms = self.shared.store.time_of(TxnId(version))?;
        // Of what nobody knows the time, nothing can be said to have expired.
        self.past_table(table, TxnId(version), time_ms.unwrap_or(0), PastMoment::Version(version))
    }

    /// A table with a history, as it was at a time; see [`as_of`](DynaMite::as_of). What was committed within the last two seconds before
    /// that time may not be in it.
    pub fn as_of_time(&self, table: &str, time: SystemTime) -> Result<PastTable> {
        let table = self.find_past(table)?;
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let asked = PastMoment::TimeMs(time_ms);
        if time_ms > self.shared.clock.now_ms() {
            return Err(Error::NotYet { asked, newest: self.shared.store.read()?.txn().0 });
        }
        let txn = self.shared.store.newest_at(time_ms)?;
        let beyond = || Error::BeyondHistory { table: table.name.clone(), asked, oldest: None };
        self.past_table(table.clone(), txn.ok_or_else(beyond)?, time_ms, asked)
    }

    /// A table as it is described now.
    fn find_past(&self, table: &str) -> Result<Arc<Table>> {
        self.read(|_, reading| {
            let info =
                reading.table(table)?.ok_or_else(|| Error::TableNotFound { table: table.to_owned() })?;
            Ok(Arc::new(Table::of_past(table, &info)?))
        })
    }

    fn past_table(
        &self,
        table: Arc<Table>,
        txn: TxnId,
        moment_ms: u64,
        asked: PastMoment,
    ) -> Result<PastTable> {
        if let Some(since) = table.history_since.filter(|since| txn < *since) {
            return Err(Error::BeyondHistory { table: table.name.clone(), asked, oldest: Some(since.0) });
        }
        let state = self.shared.store.as_of(table.id, txn);
        let state = state.map_err(|error| past_error(&table.name, asked, error))?;
        Ok(PastTable { state, table, moment_ms })
    }
}

impl PastTable {
    /// The newest version that is seen.
    pub fn version(&self) -> u64 {
        self.state.txn().0
    }

    /// Gets one item; see [`DynaMite::get_item`].
    pub fn get_item(&self) -> GetItem<'_, PastTable> {
        GetItem::new(self, &self.table.name)
    }

    /// Gets one item and its version; see [`DynaMite::get_item_versioned`].
    pub fn get_item_versioned(&self) -> GetItemVersioned<'_, PastTable> {
        GetItemVersioned::new(self, &self.table.name)
    }

    /// Reads items of one partition; see [`DynaMite::query`].
    pub fn query(&self) -> Query<'_, PastTable> {
        Query::new(self, &self.table.name)
    }

    /// Reads items of the whole table; see [`DynaMite::scan`].
    pub fn scan(&self) -> Scan<'_, PastTable> {
        Scan::new(self, &self.table.name)
    }
}

impl Source for PastTable {
    type State<'a> = PastTable;
}

impl ReadFrom for PastTable {
    fn read<R>(&self, body: impl FnOnce(&TableCache, &mut Reading<'_, '_>) -> Result<R>) -> Result<R> {
        // Nothing is known of other tables.
        let moment = Moment::at(self.moment_ms);
        body(&TableCache::default(), &mut Reading::of(&mut self.state.read()?, &moment))
    }

    fn stream(&self, _: &str) -> Result<(Arc<Table>, PastTable)> {
        Ok((self.table.clone(), self.clone()))
    }

    /// Reads the one table that there is, whatever its name stands for by now.
    fn read_table<R>(
        &self,
        _: &str,
        body: impl FnOnce(&Arc<Table>, &mut Reading<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        self.read(|_, reading| body(&self.table, reading))
    }
}

impl Timed for PastTable {
    fn seconds(&self) -> u64 {
        self.moment_ms / 1000
    }
}

impl Portions for PastTable {
    fn portion(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool, TxnError> {
        self.state.portion(table, range, visit)
    }
}

impl fmt::Debug for PastTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PastTable");
        debug.field("table", &self.table.name).field("version", &self.version()).finish_non_exhaustive()
    }
}
