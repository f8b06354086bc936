//! The registry of snapshots: which states of the past somebody may still read.
//!
//! A snapshot is a transaction id. It reads the current trees and, where a record is newer, follows the record's
//! chain of older versions; whoever writes keeps the versions that a registered snapshot needs.
//!
//! # Why none is missed
//!
//! A reader registers under the lock of the registry: it reads the published id *inside* and enters that. A writer
//! that wants to know whether a version is needed reads the published id first and takes the lock then. Either it
//! finds the snapshot there; or the reader takes the lock later, and then it reads a published id that is at least the
//! writer's. So a version that was superseded at or before the writer's published id, and that no registered snapshot
//! needs, will be needed by nobody. What was superseded later counts as needed.

use std::collections::{BTreeMap, HashMap};

use dynamite_pager::sync::Mutex;

use crate::txn_id::{TableId, TxnId};

/// The snapshots that are held.
#[derive(Debug, Default)]
pub struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How often each state is held.
    held: BTreeMap<TxnId, usize>,
    /// What was superseded at or before this may be gone, be it published or not.
    horizon: TxnId,
    /// The same for tables with retention, each of which has a horizon of its own.
    horizons: HashMap<TableId, TxnId>,
}

impl Registry {
    /// A registry without snapshots, over a file whose horizon is `horizon`.
    pub fn new(horizon: TxnId) -> Registry {
        Registry { inner: Mutex::new(Inner { horizon, ..Inner::default() }) }
    }

    /// Registers a snapshot of the newest published state. `published` reads its id.
    pub fn register(&self, published: impl FnOnce() -> TxnId) -> TxnId {
        let mut inner = self.inner.lock();
        let txn = published();
        *inner.held.entry(txn).or_default() += 1;
        txn
    }

    /// Registers a snapshot of a state that will be published, or that was never let go.
    pub fn hold(&self, txn: TxnId) {
        *self.inner.lock().held.entry(txn).or_default() += 1;
    }

    /// Registers another snapshot of a state that is held. `false` if it is not, or no longer.
    pub fn hold_again(&self, txn: TxnId) -> bool {
        match self.inner.lock().held.get_mut(&txn) {
            Some(count) => {
                *count += 1;
                true
            }
            None => false,
        }
    }

    /// Registers a past state of a table with retention, unless its versions may be gone. `stored` is the horizon in the
    /// table's record; returns the horizon that forbids it.
    pub fn hold_past(&self, table: TableId, stored: TxnId, txn: TxnId) -> Result<(), TxnId> {
        let mut inner = self.inner.lock();
        let horizon = inner.horizons.get(&table).copied().unwrap_or_default().max(stored);
        if txn < horizon {
            return Err(horizon);
        }
        *inner.held.entry(txn).or_default() += 1;
        Ok(())
    }

    /// Lets go of a snapshot.
    pub fn release(&self, txn: TxnId) {
        let mut inner = self.inner.lock();
        let count = inner.held.get_mut(&txn).expect("released as often as registered");
        *count -= 1;
        if *count == 0 {
            inner.held.remove(&txn);
        }
    }

    /// Announces that what no snapshot needs, now or later, will be collected, and returns up to where. Never goes back.
    /// `published` was read before.
    pub fn advance(&self, published: TxnId) -> TxnId {
        let mut inner = self.inner.lock();
        let allowed = inner.oldest().map_or(published, |oldest| oldest.min(published));
        inner.horizon = inner.horizon.max(allowed);
        inner.horizon
    }

    /// Announces that versions of a table that were superseded at or before `wanted` will be collected, as far as snapshots
    /// allow it. Returns how far.
    pub fn advance_table(&self, table: TableId, stored: TxnId, wanted: TxnId) -> TxnId {
        let mut inner = self.inner.lock();
        let allowed = inner.oldest().map_or(wanted, |oldest| oldest.min(wanted));
        let horizon = inner.horizons.entry(table).or_default();
        *horizon = (*horizon).max(allowed).max(stored);
        *horizon
    }

    /// Whether a registered snapshot sees a version that was current from `created` until it was superseded.
    pub fn is_seen(&self, created: TxnId, superseded_by: TxnId) -> bool {
        created < superseded_by && self.inner.lock().held.range(created..superseded_by).next().is_some()
    }

    /// Snapshots that are held.
    pub fn count(&self) -> usize {
        self.inner.lock().held.values().sum()
    }

    /// The oldest state that is held.
    pub fn oldest(&self) -> Option<TxnId> {
        self.inner.lock().oldest()
    }
}

impl Inner {
    fn oldest(&self) -> Option<TxnId> {
        self.held.first_key_value().map(|(txn, _)| *txn)
    }
}
