//! Collecting what no snapshot needs any more, in bounded steps.
//!
//! 1. **By age.** What was superseded at or before the horizon is needed by nobody, and stands first in the history.
//!    Each transaction collects a little more than it adds, so the history follows the horizon.
//! 2. **Sweeping.** One old snapshot holds the horizon back while many young ones come and go: what these needed lies
//!    behind it. When the history has doubled since the last sweep, transactions go through it step by step, and
//!    drop from each chain what no snapshot sees, linking what is left.
//! 3. **Dropped tables.** When the horizon has passed the drop, pages are freed from the tree's left edge.
//!
//! All of it is ordinary changes of trees within a transaction: a crash undoes a step or does not.

use dynamite_bptree::{NewValue, Tree, Value};
use dynamite_pager::WriteBatch;

use crate::catalog::{HISTORY, Retention, TableRecord};
use crate::error::{Damage, Result, TxnError};
use crate::history::{self, Entry};
use crate::payload::Payload;
use crate::record::Record;
use crate::txn_id::{TableId, TxnId, VersionKey};
use crate::write_txn::{WriteTxn, chain_order};

/// Entries that a transaction collects beyond twice those that it added.
const EXTRA_ENTRIES: usize = 8;
/// Entries that a transaction looks at when a sweep is under way.
const SWEPT_ENTRIES: usize = 32;
/// Pages of dropped tables that a transaction frees.
const FREED_PAGES: u32 = 64;
/// A history of fewer entries is not swept.
const WORTH_SWEEPING: u64 = 256;

const OLDEST: VersionKey = VersionKey { superseded_by: TxnId(0), ordinal: 0 };

/// How far a sweep is. Kept in memory: a sweep that a crash interrupts begins anew when it is due.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    /// Entries in the history when the last sweep ended.
    after_last: u64,
    /// Where the present one goes on.
    at: Option<VersionKey>,
}

impl WriteTxn<'_> {
    /// What each transaction does for the tidiness of the whole.
    pub(crate) fn reclaim_some(&mut self) -> Result<()> {
        let budget = 2 * self.superseded() as usize + EXTRA_ENTRIES;
        self.attempt_with_reserve(|txn| {
            txn.collect(None, txn.horizon, budget)?;
            txn.sweep(SWEPT_ENTRIES)?;
            txn.collect_touched(budget)?;
            txn.free_dropped(FREED_PAGES).map(drop)
        })
    }

    /// A step of a transaction that does nothing else. Returns whether anything was done.
    pub(crate) fn reclaim_step(&mut self, budget: usize) -> Result<bool> {
        self.attempt_with_reserve(|txn| {
            let mut did = txn.collect(None, txn.horizon, budget)?;
            for (table, record) in txn.catalog.tables(&mut txn.batch)? {
                if let Retention::Duration(_) = record.retention {
                    let horizon = txn.record(table)?.horizon;
                    did += txn.collect(Some(table), horizon, budget)?;
                }
            }
            let before = txn.record(HISTORY)?.tree.len();
            let sweeping = txn.sweep(budget)?;
            let freed = txn.free_dropped(8 * FREED_PAGES)?;
            Ok(did > 0 || freed || sweeping || txn.record(HISTORY)?.tree.len() != before)
        })
    }

    /// Collects at most `budget` of the oldest entries of a history tree: the common one, or that of a table with retention. Returns how
    /// many.
    fn collect(&mut self, owner: Option<TableId>, horizon: TxnId, budget: usize) -> Result<usize> {
        for done in 0..budget {
            let mut record = self.record(owner.unwrap_or(HISTORY))?;
            let tree = if owner.is_some() { record.history } else { record.tree };
            let first = history::first_from(&tree, &mut self.batch, OLDEST)?;
            let Some((at, mut entry)) = first.filter(|(at, _)| at.superseded_by <= horizon) else {
                return Ok(done);
            };
            if entry.names_tombstone {
                history::load_key(&tree, &mut self.batch, at, &mut entry)?;
                self.remove_tombstone(at, &entry, horizon)?;
            }
            if entry.dropped_table
                && let Some(dropped) = self.find_record(entry.table)?
            {
                if !dropped.dropped {
                    return Err(TxnError::Damaged { table: HISTORY, source: Damage::HistoryEntry });
                }
                self.set_table(entry.table, TableRecord { freeing: true, ..dropped });
                self.shared.dropped.lock().insert(entry.table);
            }
            record = self.record(owner.unwrap_or(HISTORY))?;
            let tree = if owner.is_some() { &mut record.history } else { &mut record.tree };
            history::remove(tree, &mut self.batch, at, entry.long_key)?;
            self.set_table(owner.unwrap_or(HISTORY), record);
        }
        Ok(budget)
    }

    /// Collects in the tables with retention that this transaction has written to.
    fn collect_touched(&mut self, budget: usize) -> Result<()> {
        for (table, record) in self.changed_tables() {
            if let Retention::Duration(_) = record.retention {
                self.collect(Some(table), record.horizon, budget)?;
            }
        }
        Ok(())
    }

    /// Removes the tombstone that an entry names, unless something else has taken its place.
    fn remove_tombstone(&mut self, at: VersionKey, entry: &Entry, horizon: TxnId) -> Result<()> {
        let table = entry.table;
        let Some(mut record) = self.find_record(table)? else { return Ok(()) };
        let Some(value) = record.tree.get(&mut self.batch, &entry.key)? else { return Ok(()) };
        let (found, _) = Record::decode_of(table, value.head())?;
        let unneeded =
            found.created <= horizon || (found.older == Some(at) && found.created <= self.published);
        if found.tombstone && unneeded {
            record.tree.remove(&mut self.batch, &entry.key)?;
            self.set_table(table, record);
        }
        Ok(())
    }

    /// Goes on with a sweep, or begins one if it is due. Returns whether one is under way.
    fn sweep(&mut self, budget: usize) -> Result<bool> {
        let entries = self.record(HISTORY)?.tree.len();
        let mut sweep = *self.shared.sweep.lock();
        if sweep.at.is_none() && entries < WORTH_SWEEPING.max(sweep.after_last.saturating_mul(2)) {
            // The last sweep's result shrinks with the history, or the next one would never be due.
            sweep.after_last = sweep.after_last.min(entries);
            *self.shared.sweep.lock() = sweep;
            return Ok(false);
        }
        let mut at = sweep.at.unwrap_or(VersionKey { superseded_by: self.horizon, ordinal: u32::MAX });
        for _ in 0..budget {
            let tree = self.record(HISTORY)?.tree;
            let Some((found, mut entry)) = history::first_from(&tree, &mut self.batch, at)? else {
                let after_last = self.record(HISTORY)?.tree.len();
                *self.shared.sweep.lock() = Sweep { after_last, at: None };
                return Ok(false);
            };
            // In a tree whose leaves have changed places it might go round in circles.
            at = found.successor().filter(|_| found >= at).ok_or(TxnError::Damaged {
                table: HISTORY,
                source: Damage::MissingVersion { superseded_by: at.superseded_by },
            })?;
            let Some(version) = entry.version else { continue };
            let Some(record) = self.find_record(entry.table)? else { continue };
            if !self.is_needed(&record, version.created, found.superseded_by) {
                history::load_key(&tree, &mut self.batch, found, &mut entry)?;
                self.sweep_item(entry.table, &entry.key)?;
            }
        }
        self.shared.sweep.lock().at = Some(at);
        Ok(true)
    }

    /// Drops from an item's chain what nobody needs, and links what is left.
    fn sweep_item(&mut self, table: TableId, key: &[u8]) -> Result<()> {
        let record = self.record(table)?;
        let Some(value) = record.tree.get(&mut self.batch, key)? else { return Ok(()) };
        let (newest, _) = Record::decode_of(table, value.head())?;
        let mut chain = Vec::new();
        let (mut link, mut newer) = (newest.older, newest.created);
        while let Some(at) = link.filter(|at| at.superseded_by > self.horizon) {
            let (entry, version) = self.version_at(table, at)?;
            if version.created >= newer {
                return Err(chain_order(table, newer, version.created));
            }
            newer = version.created;
            let needed = self.is_needed(&record, version.created, at.superseded_by);
            chain.push((at, entry, version, needed));
            link = version.older;
        }
        // From the oldest to the newest, so that each link is known when it is set.
        let mut below = None;
        for (at, entry, version, needed) in chain.into_iter().rev() {
            let mut owner = self.record(HISTORY)?;
            if !needed {
                history::remove(&mut owner.tree, &mut self.batch, at, entry.long_key)?;
                self.set_table(HISTORY, owner);
                continue;
            }
            let relinked = Entry {
                version: Some(Record { older: below, ..version }),
                // Whatever may turn out to be the last of the chain must take the tombstone with it.
                names_tombstone: entry.names_tombstone || newest.tombstone,
                ..entry.clone()
            };
            if relinked != entry {
                replace_entry(&mut owner.tree, &mut self.batch, at, &relinked)?;
                self.set_table(HISTORY, owner);
            }
            below = Some(at);
        }
        let mut record = self.record(table)?;
        if newest.tombstone && below.is_none() && newest.created <= self.published {
            record.tree.remove(&mut self.batch, key)?;
        } else if newest.older != below {
            relink(&mut record.tree, &mut self.batch, table, key, below)?;
        }
        self.set_table(table, record);
        Ok(())
    }

    /// Frees pages of dropped tables, about `pages` of them. Returns whether there were any.
    fn free_dropped(&mut self, pages: u32) -> Result<bool> {
        let Some(table) = self.shared.dropped.lock().first().copied() else { return Ok(false) };
        match self.find_record(table)? {
            Some(mut record) if record.freeing => {
                let done = record.tree.free_some(&mut self.batch, pages)?
                    && record.history.free_some(&mut self.batch, pages)?;
                if done {
                    self.forget_table(table)?;
                } else {
                    self.set_table(table, record);
                }
            }
            // It is forgotten for good when it has been seen that its record is: this transaction may yet be undone.
            _ => {
                self.shared.dropped.lock().remove(&table);
            }
        }
        Ok(true)
    }
}

/// Replaces an entry's head; its payload stays where it is.
fn replace_entry(tree: &mut Tree, batch: &mut WriteBatch<'_>, at: VersionKey, entry: &Entry) -> Result<()> {
    let missing = Damage::MissingVersion { superseded_by: at.superseded_by };
    let value =
        tree.get(batch, &at.to_bytes())?.ok_or(TxnError::Damaged { table: HISTORY, source: missing })?;
    let payload = Payload::from(history::decode(&value)?.1);
    history::replace_head(tree, batch, at, entry, payload.body())
}

/// Changes what a table's record links to; its payload stays where it is.
fn relink(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    table: TableId,
    key: &[u8],
    older: Option<VersionKey>,
) -> Result<()> {
    let Some(value) = tree.get(batch, key)? else { return Ok(()) };
    let (record, at) = Record::decode_of(table, value.head())?;
    let payload = match value {
        Value::Inline(bytes) => Payload::Bytes(bytes[at..].to_vec()),
        Value::Spilled { run, .. } => Payload::Run(run),
    };
    let head = Record { older, ..record }.encode();
    tree.insert(batch, key, NewValue { head: &head, body: payload.body() })?;
    Ok(())
}
