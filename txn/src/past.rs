//! The past of a table that keeps it: for how long, what there was, and when.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::catalog::{Catalog, HISTORY, Retention, TIMES, TableRecord};
use crate::error::{Damage, Result, TxnError};
use crate::history;
use crate::store::Store;
use crate::times;
use crate::txn_id::{TableId, TxnId, VersionKey};
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

    /// Changes for how long a table keeps its versions, or lets it begin to keep them [for a duration](Retention::Duration). With
    /// a longer duration nothing comes back that was too old before; with a shorter one versions go by and by. A table cannot
    /// cease to keep versions.
    ///
    /// Of a table that begins, nothing is known from before this transaction but what snapshots need: that
    /// [`as_of`](Store::as_of) is not asked for older states is for the caller to see to.
    ///
    /// Cost: of a table that begins, a pass over all superseded versions that snapshots need, of whichever table; its own are moved
    /// to a tree of their own.
    ///
    /// # Errors
    ///
    /// [`TxnError::NoRetention`] for a table that keeps [a number of versions](Retention::Versions).
    pub fn set_retention(&mut self, table: TableId, duration: Duration) -> Result<()> {
        let record = self.view(table)?.record;
        self.attempt(|txn| {
            match record.retention {
                Retention::Duration(_) => {}
                Retention::None => return txn.begin_retention(table, duration),
                Retention::Versions(_) => return Err(TxnError::NoRetention { table }),
            }
            txn.set_table(table, TableRecord { retention: Retention::Duration(duration), ..record });
            Ok(())
        })
    }

    /// Lets a table keep its versions from now on. Links stay what they are: the versions that they lead to keep their places, in
    /// the table's own tree.
    fn begin_retention(&mut self, table: TableId, duration: Duration) -> Result<()> {
        let mut record = self.record(table)?;
        (record.retention, record.horizon) = (Retention::Duration(duration), self.horizon);
        let mut next = Some(VersionKey { superseded_by: TxnId(0), ordinal: 0 });
        while let Some(from) = next {
            let mut common = self.record(HISTORY)?;
            let Some((at, mut entry)) = history::first_from(&common.tree, &mut self.batch, from)? else {
                break;
            };
            // In a tree whose leaves have changed places it might go round in circles.
            if at < from {
                let source = Damage::MissingVersion { superseded_by: from.superseded_by };
                return Err(TxnError::Damaged { table: HISTORY, source });
            }
            next = at.successor();
            if entry.table != table {
                continue;
            }
            history::load_key(&common.tree, &mut self.batch, at, &mut entry)?;
            history::move_to(&mut common.tree, &mut record.history, &mut self.batch, at, &entry)?;
            self.set_table(HISTORY, common);
        }
        self.set_table(table, record);
        Ok(())
    }

    /// Visits the versions of an item, the newest first, as this transaction has left them; see
    /// [`ReadTxn::versions`](crate::ReadTxn::versions).
    pub fn versions(
        &mut self,
        table: TableId,
        key: &[u8],
        visit: impl FnMut(ItemVersion<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.look(|txn| txn.view(table)?.versions(&mut txn.batch, key, visit))
    }
}
