//! The writing half of a backup: portions become trees, tree by tree, and in the end a database.
//!
//! Pages are written once, as soon as they are full. Every [`COMMIT_BYTES`] what there is becomes durable, so that
//! neither the last flush nor the books of an open batch grow with the database. No root leads to it before
//! [`finish`](Load::finish), and nobody can open the file before it is complete.

use dynamite_bptree::{Body, BulkLoad, NewValue, Tree, TreeError};
use dynamite_pager::{Pager, Roots, WriteBatch};

use crate::backup::portion::{Destination, Portion, TableEnd};
use crate::catalog::{Catalog, CatalogLoad, TableRecord};
use crate::error::{Damage, Result, TxnError};
use crate::history;
use crate::txn_id::{TableId, TxnId};

/// Bytes between two commits.
const COMMIT_BYTES: u64 = 64 << 20;

/// A copy under construction.
pub(super) struct Load<'p> {
    pager: &'p Pager,
    batch: WriteBatch<'p>,
    /// The state that is copied.
    snapshot: TxnId,
    catalog: CatalogLoad,
    next_table: TableId,
    /// The tree at hand.
    tree: BulkLoad,
    /// The table at hand, as far as it has been copied.
    record: TableRecord,
    uncommitted_bytes: u64,
}

impl<'p> Load<'p> {
    pub(super) fn begin(pager: &'p Pager, snapshot: TxnId) -> Result<Load<'p>> {
        Ok(Load {
            pager,
            batch: pager.begin()?,
            snapshot,
            catalog: CatalogLoad::default(),
            next_table: TableId(0),
            tree: BulkLoad::new(),
            record: TableRecord::EMPTY,
            uncommitted_bytes: 0,
        })
    }

    /// Adds a portion.
    pub(super) fn take(mut self, portion: &Portion) -> Result<Load<'p>> {
        match portion.destination {
            Destination::History(table) => {
                self.push_all(table, portion)?;
                if portion.end.is_some() {
                    self.record.history = self.end_tree()?;
                }
            }
            Destination::Table(table) => {
                self.push_all(table, portion)?;
                if let Some(TableEnd { described, retention, horizon }) = portion.end {
                    let tree = self.end_tree()?;
                    let record = TableRecord { tree, described, retention, horizon, ..self.record };
                    self.catalog.push(&mut self.batch, table, &record)?;
                    self.record = TableRecord::EMPTY;
                }
            }
            Destination::End { next_table } => self.next_table = next_table,
        }
        self.uncommitted_bytes += portion.len_bytes() as u64;
        if self.uncommitted_bytes < COMMIT_BYTES {
            return Ok(self);
        }
        self.batch.commit()?;
        // A tree that is being loaded does not mind: what it holds back is not in pages yet.
        Ok(Load { batch: self.pager.begin()?, uncommitted_bytes: 0, ..self })
    }

    /// Makes everything durable. `now_ms` is the time of the copy's first commit.
    pub(super) fn finish(self, now_ms: u64) -> Result<()> {
        let Load { mut batch, catalog, next_table, snapshot, .. } = self;
        let catalog: Catalog = catalog.finish(&mut batch, next_table)?;
        let mut roots = Roots { horizon: snapshot.0, commit_time: now_ms, ..batch.roots() };
        catalog.store_in(&mut roots);
        batch.set_roots(roots);
        batch.commit()?;
        Ok(())
    }

    fn push_all(&mut self, table: TableId, portion: &Portion) -> Result<()> {
        for entry in portion.entries() {
            if let Some(version) = entry.only_with
                && history::find(&self.record.history, &mut self.batch, version)?.is_none()
            {
                continue;
            }
            let value = NewValue { head: entry.head, body: Body::Bytes(entry.body) };
            self.tree.push(&mut self.batch, entry.key, value).map_err(|error| match error {
                // A walk finds out that leaves have changed places; that a leaf is in disorder it does not.
                TreeError::NotAscending { .. } => TxnError::Damaged { table, source: Damage::KeyOrder },
                error => error.into(),
            })?;
            if entry.is_live {
                self.record.count_item((entry.key.len() + entry.body.len()) as u64);
            }
        }
        Ok(())
    }

    fn end_tree(&mut self) -> Result<Tree> {
        Ok(std::mem::take(&mut self.tree).finish(&mut self.batch)?)
    }
}
