//! The past of a table that keeps it: for how long, what there was, and when.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::catalog::{Catalog, Retention, TIMES, TableRecord};
use crate::error::{Result, TxnError};
use crate::store::Store;
use crate::times;
use crate::txn_id::{TableId, TxnId};
use crate::visibility::ItemVersion;
use crate::write_txn::WriteTxn;

impl Store {
    /// When a transaction was committed, in milliseconds since 1970: at most a second too early, or a millisecond too late. `None` if nothing is known of
    /// that time any more. The last one before the database was closed, or crashed, is taken for as old as the one before it
    /// once there are younger ones: opening numbers the state anew, and what is entered later is the time of that number.
    ///
    /// Cost: some forty descents of a small tree.
    pub fn time_of(&self, txn: TxnId) -> Result<Option<u64>> {
        let (mut operation, state) = self.shared().pager.enter()?;
        if txn >= state.birth.into() {
            return Ok(Some(state.roots.commit_time));
        }
        let times = Catalog::at(&state.roots).table(&mut operation, TIMES)?.tree;
        times::time_of(&times, &mut operation, txn, state.roots.commit_time)
    }
}

impl WriteTxn<'_> {
    /// Which superseded versions a table keeps.
    pub fn retention(&mut self, table: TableId) -> Result<Retention> {
        Ok(self.view(table)?.record.retention)
    }

    /// Changes for how long a table keeps its versions, if it keeps them [for a duration](Retention::Duration). With a longer
    /// one nothing comes back that was too old before; with a shorter one versions go by and by.
    ///
    /// A table cannot begin or cease to keep versions: those of one that keeps them have a tree of their own, and links lead there.
    ///
    /// # Errors
    ///
    /// [`TxnError::NoRetention`].
    pub fn set_retention(&mut self, table: TableId, duration: Duration) -> Result<()> {
        let record = self.view(table)?.record;
        let Retention::Duration(_) = record.retention else {
            return Err(TxnError::NoRetention { table });
        };
        self.attempt(|txn| {
            txn.set_table(table, TableRecord { retention: Retention::Duration(duration), ..record });
            Ok(())
        })
    }

    /// Visits the versions of an item, the newest first, as this transaction has left them; see
    /// [`ReadTxn::versions`](crate::ReadTxn::versions).
    pub fn versions(
        &mut self,
        table: TableId,
        key: &[u8],
        visit: impl FnMut(ItemVersion<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.view(table)?.versions(&mut self.batch, key, visit)
    }
}
