//! Named snapshots: states that stay readable until they are given up, also after the database was closed.
//!
//! The table [`SNAPSHOTS`] is not versioned. Its keys are the names, its values:
//!
//! ```text
//! offset  size  field  meaning
//! ------  ----  -----  --------------------------------------------------------------
//!      0     8  txn    the transaction that is seen, little-endian
//!      8     8  time   its commit time, milliseconds since 1970, little-endian
//! ```
//!
//! Each is registered for as long as it has its name, so it holds the horizon like any other snapshot.

use dynamite_bptree::{Body, NewValue, Pages, Tree};
use dynamite_pager::Access;

use crate::catalog::SNAPSHOTS;
use crate::error::{Damage, Result, TxnError, text};
use crate::read_txn::ReadTxn;
use crate::snapshot::Registry;
use crate::txn_id::TxnId;
use crate::write_txn::WriteTxn;

/// A snapshot with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSnapshot {
    /// The state that it sees.
    pub txn: TxnId,
    /// When that was committed, in milliseconds since 1970.
    pub time_ms: u64,
}

/// What a transaction does to the names of snapshots. Undone unless it commits.
#[derive(Debug)]
pub(crate) struct NamedSnapshots<'s> {
    registry: &'s Registry,
    /// Held already; let go if the transaction does not commit.
    created: Vec<TxnId>,
    /// Let go when it has committed.
    deleted: Vec<TxnId>,
}

impl WriteTxn<'_> {
    /// Gives the state that this transaction leaves a name. It stays readable until the name is deleted.
    pub fn create_snapshot(&mut self, name: &[u8]) -> Result<TxnId> {
        let mut record = self.record(SNAPSHOTS)?;
        if self.look(|this| find(&record.tree, &mut this.batch, name))?.is_some() {
            return Err(TxnError::SnapshotExists { name: text(name) });
        }
        let txn = self.id();
        let time_ms = self.now_ms();
        self.attempt(|this| {
            let value = encode(NamedSnapshot { txn, time_ms });
            let value = NewValue { head: &[], body: Body::Bytes(&value) };
            record.tree.insert(&mut this.batch, name, value)?;
            this.set_table(SNAPSHOTS, record);
            this.named.create(txn);
            Ok(txn)
        })
    }

    /// Gives a named snapshot up. What only it needed is collected from then on.
    pub fn delete_snapshot(&mut self, name: &[u8]) -> Result<()> {
        let mut record = self.record(SNAPSHOTS)?;
        let Some(named) = self.look(|this| find(&record.tree, &mut this.batch, name))? else {
            return Err(TxnError::NoSuchSnapshot { name: text(name) });
        };
        self.attempt_with_reserve(|this| {
            record.tree.remove(&mut this.batch, name)?;
            this.set_table(SNAPSHOTS, record);
            this.named.delete(named.txn);
            Ok(())
        })
    }
}

impl ReadTxn<'_> {
    /// All named snapshots.
    pub fn named_snapshots(&mut self) -> Result<Vec<(Vec<u8>, NamedSnapshot)>> {
        let tree = self.catalog.table(&mut self.operation, SNAPSHOTS)?.tree;
        let mut cursor = tree.cursor(&mut self.operation, Access::Point);
        cursor.seek_first();
        let mut snapshots: Vec<(Vec<u8>, NamedSnapshot)> = Vec::new();
        while let Some(entry) = cursor.next()? {
            if snapshots.last().is_some_and(|(last, _)| last[..] >= *entry.key) {
                return Err(TxnError::Damaged { table: SNAPSHOTS, source: Damage::KeyOrder });
            }
            snapshots.push((entry.key.to_vec(), decode(entry.value.head())?));
        }
        Ok(snapshots)
    }

    /// Looks up a named snapshot.
    pub fn named_snapshot(&mut self, name: &[u8]) -> Result<Option<NamedSnapshot>> {
        let tree = self.catalog.table(&mut self.operation, SNAPSHOTS)?.tree;
        find(&tree, &mut self.operation, name)
    }
}

impl<'s> NamedSnapshots<'s> {
    pub(crate) fn new(registry: &'s Registry) -> NamedSnapshots<'s> {
        NamedSnapshots { registry, created: Vec::new(), deleted: Vec::new() }
    }

    fn create(&mut self, txn: TxnId) {
        self.registry.hold(txn);
        self.created.push(txn);
    }

    fn delete(&mut self, txn: TxnId) {
        self.deleted.push(txn);
    }

    /// Another transaction, which came before, commits with this one, or not at all.
    pub(crate) fn follow(&mut self, mut before: NamedSnapshots<'s>) {
        self.created.append(&mut before.created);
        self.deleted.append(&mut before.deleted);
    }

    /// The transaction has committed.
    pub(crate) fn committed(mut self) {
        self.created.clear();
        for txn in std::mem::take(&mut self.deleted) {
            self.registry.release(txn);
        }
    }
}

impl Drop for NamedSnapshots<'_> {
    fn drop(&mut self) {
        for txn in std::mem::take(&mut self.created) {
            self.registry.release(txn);
        }
    }
}

fn find(tree: &Tree, pages: &mut impl Pages, name: &[u8]) -> Result<Option<NamedSnapshot>> {
    tree.get(pages, name)?.map(|value| decode(value.head())).transpose()
}

fn encode(NamedSnapshot { txn, time_ms }: NamedSnapshot) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&txn.0.to_le_bytes());
    bytes[8..].copy_from_slice(&time_ms.to_le_bytes());
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Result<NamedSnapshot> {
    let damaged = TxnError::Damaged { table: SNAPSHOTS, source: Damage::NamedSnapshot };
    let bytes: &[u8; 16] = bytes.try_into().map_err(|_| damaged)?;
    let (txn, time) = bytes.split_at(8);
    Ok(NamedSnapshot {
        txn: TxnId(u64::from_le_bytes(txn.try_into().expect("8 of 16 bytes"))),
        time_ms: u64::from_le_bytes(time.try_into().expect("8 of 16 bytes")),
    })
}
