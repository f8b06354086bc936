//! Snapshots: a consistent view of all tables, for as long as it is held.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use dynamite_txn::{Portions, Range, Row, TableId, TxnError};

use crate::api::database::DynaMite;
use crate::api::moment::Moment;
use crate::api::source::{ReadFrom, Reading, Source, Timed, reads};
use crate::api::table::{Table, TableCache};
use crate::api::tables::{self, TableDescription};
use crate::error::Result;

/// All tables as they were at one moment. Costs what changes while it is held, and not what exists: versions that it sees
/// are kept for it. Clones share it.
///
/// ```
/// use dynamite_core::api::DynaMite;
/// use dynamite_core::types::KeyType;
/// use serde_json::json;
///
/// # fn main() -> Result<(), dynamite_core::Error> {
/// # let db = DynaMite::in_memory()?;
/// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
/// db.put_item("users", json!({"user_id": "alice", "age": 30}))?;
/// let snapshot = db.snapshot()?;
/// db.put_item("users", json!({"user_id": "alice", "age": 31}))?;
///
/// let then = snapshot.get_item("users").partition_key("alice").execute()?.unwrap();
/// let now = db.get_item("users").partition_key("alice").execute()?.unwrap();
/// assert_eq!((&then["age"], &now["age"]), (&json!(30), &json!(31)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) state: dynamite_txn::Snapshot,
    /// When it was taken.
    moment_ms: u64,
    /// Names may stand for other tables than today.
    tables: Arc<TableCache>,
}

impl DynaMite {
    /// A consistent view of all tables as they are now. Items that expire later are seen in it as before.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let (state, moment_ms) = (self.shared.store.snapshot()?, self.shared.clock.now_ms());
        Ok(Snapshot { state, moment_ms, tables: Arc::default() })
    }
}

impl Snapshot {
    /// The newest version that the snapshot sees.
    pub fn version(&self) -> u64 {
        self.state.txn().0
    }

    reads!();

    /// The partition keys of a table; see [`DynaMite::list_partition_keys`].
    pub fn list_partition_keys(
        &self,
        table: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<serde_json::Value>> {
        crate::api::scan::list_partition_keys(self, table, prefix, limit)
    }

    /// The names of all tables, in order.
    pub fn list_tables(&self) -> Result<Vec<String>> {
        tables::list(&mut self.state.read()?)
    }

    /// What is known of a table; see [`DynaMite::describe_table`].
    pub fn describe_table(&self, table: &str) -> Result<TableDescription> {
        tables::describe(&mut self.state.read()?, table)
    }
}

impl Source for Snapshot {
    type State<'a> = Snapshot;
}

impl ReadFrom for Snapshot {
    fn read<R>(&self, body: impl FnOnce(&TableCache, &mut Reading<'_, '_>) -> Result<R>) -> Result<R> {
        let moment = Moment::at(self.moment_ms);
        body(&self.tables, &mut Reading::of(&mut self.state.read()?, &moment))
    }

    fn stream(&self, table: &str) -> Result<(Arc<Table>, Snapshot)> {
        let table = self.read(|tables, reading| tables.find(reading, table))?;
        Ok((table, self.clone()))
    }
}

impl Timed for Snapshot {
    fn seconds(&self) -> u64 {
        self.moment_ms / 1000
    }
}

impl Portions for Snapshot {
    fn portion(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool, TxnError> {
        self.state.portion(table, range, visit)
    }
}

impl Source for DynaMite {
    type State<'a> = Snapshot;
}

impl ReadFrom for DynaMite {
    #[inline]
    fn read<R>(&self, body: impl FnOnce(&TableCache, &mut Reading<'_, '_>) -> Result<R>) -> Result<R> {
        let moment = Moment::now(&*self.shared.clock);
        body(&self.shared.tables, &mut Reading::of(&mut self.shared.store.read()?, &moment))
    }

    fn stream(&self, table: &str) -> Result<(Arc<Table>, Snapshot)> {
        let snapshot = self.snapshot()?;
        // The table as the snapshot sees it: it may have been dropped since.
        let mut read = snapshot.state.read()?;
        let moment = Moment::at(snapshot.moment_ms);
        let table = self.shared.tables.find(&mut Reading::of(&mut read, &moment), table)?;
        drop(read);
        Ok((table, snapshot))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.version()).finish_non_exhaustive()
    }
}
