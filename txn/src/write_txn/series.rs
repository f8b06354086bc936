//! Series: transactions that follow one another at once, in one batch of pages.
//!
//! Each has an id of its own, sees what those before it have left, and can be undone without the others; together they are seen, and
//! become durable, like one. So what all of them change, the upper pages of trees and the catalog, is copied and written once, and garbage is
//! collected once. Nobody can tell that from transactions that share a [group](crate::group_commit), which are not seen before all
//! are durable either.
//!
//! ```text
//!   begin ──▶ run ──▶ run ──▶ … ──▶ finish: joins the gathering group
//!              │ error or panic
//!              ▼
//!            undone, to the savepoint before it
//! ```

use std::collections::BTreeMap;

use dynamite_pager::Durability;

use crate::catalog::Catalog;
use crate::error::{Result, TxnError};
use crate::named::NamedSnapshots;
use crate::recent::SupersededHere;
use crate::store::Shared;
use crate::txn_id::{TableId, TxnId};
use crate::write_txn::{OpenTable, WriteTxn};

/// Transactions that follow one another at once, and are seen and become durable like one; [`Store::series`](crate::Store::series)
/// begins one. Dropping it undoes all of it. Belongs to the thread that began it.
///
/// ```
/// # use std::sync::Arc;
/// # use dynamite_txn::{Durability, ManualClock, Options, Retention, TxnError};
/// # fn main() -> Result<(), TxnError> {
/// # let store = Options::new(Arc::new(ManualClock::at(1))).in_memory(*b"drawn by chance!")?;
/// # let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None))?;
/// let mut series = store.series(Durability::Immediate);
/// let first = series.run(|txn| txn.put(table, b"a", b"1").map(|()| txn.id()))?;
/// let refused = series.run(|txn| -> Result<(), TxnError> {
///     txn.put(table, b"a", b"2")?;
///     Err(TxnError::Aborted)
/// });
/// let last = series.run(|txn| txn.put(table, b"b", b"1").map(|()| txn.id()))?;
/// store.wait_durable(series.finish()?)?;
/// assert!(first < last && refused.is_err());
/// assert_eq!(store.read()?.get(table, b"a", |version, value| (version, value.to_vec()))?, Some((first, b"1".to_vec())));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Series<'s> {
    /// What they share; the error is told to each.
    txn: Result<WriteTxn<'s>>,
    durability: Durability,
}

impl<'s> Series<'s> {
    /// Begins a series; waits while another transaction is open.
    pub(crate) fn begin(shared: &'s Shared, durability: Durability) -> Series<'s> {
        Series { txn: WriteTxn::begin(shared), durability }
    }

    /// Runs a transaction. An error, or a panic, undoes it, and the series goes on. Nothing that it returns may be told to anybody before
    /// what [`finish`](Self::finish) returns is durable.
    ///
    /// Cost: beside its own changes, a copy in memory of each page that it changes and one before it has copied.
    pub fn run<R, E: From<TxnError>>(
        &mut self,
        body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let part = Part::begin(self.next()?);
        let result = body(part.txn)?;
        if part.txn.failed {
            return Err(TxnError::Aborted.into());
        }
        part.keep();
        Ok(result)
    }

    /// Joins the gathering group, and waits for nothing. Returns for which transaction [`Store::wait_durable`](crate::Store::wait_durable)
    /// has to wait before anybody is told what became of any of them. Somebody must wait: nobody flushes otherwise.
    ///
    /// # Errors
    ///
    /// Then none of them ever was; but of a series of so many that a commit had to come in its middle, as it must after some 65,000 without one,
    /// nobody knows what became of those before it, as after an error of the device.
    pub fn finish(self) -> Result<TxnId> {
        let (_, needs) = self.txn?.conclude(self.durability)?;
        Ok(needs)
    }

    /// Makes room for another transaction, which can be undone by itself.
    fn next(&mut self) -> Result<&mut WriteTxn<'s>> {
        if !self.txn()?.batch.savepoint()? {
            // There was no commit for so long that one has to come first.
            let shared = self.txn()?.shared;
            let begun = std::mem::replace(&mut self.txn, Err(TxnError::Aborted));
            self.txn =
                begun.and_then(|txn| txn.conclude(self.durability)).and_then(|_| WriteTxn::begin(shared));
            self.txn()?.batch.savepoint()?;
        }
        self.txn()
    }

    fn txn(&mut self) -> Result<&mut WriteTxn<'s>> {
        self.txn.as_mut().map_err(|error| error.clone())
    }
}

/// A transaction of a series. Dropping it undoes it.
struct Part<'t, 's> {
    txn: &'t mut WriteTxn<'s>,
    /// What it was before; `None` once it is kept.
    before: Option<Before<'s>>,
}

struct Before<'s> {
    catalog: Catalog,
    tables: BTreeMap<TableId, OpenTable>,
    next_ordinal: u32,
    changed: bool,
    named: NamedSnapshots<'s>,
}

impl<'t, 's> Part<'t, 's> {
    /// The batch has a savepoint here.
    fn begin(txn: &'t mut WriteTxn<'s>) -> Part<'t, 's> {
        let here = SupersededHere::new(txn.id(), txn.recent.room_left());
        txn.recent_before.push(std::mem::replace(&mut txn.recent, here));
        let before = Before {
            catalog: txn.catalog,
            tables: txn.tables.clone(),
            next_ordinal: txn.next_ordinal,
            changed: std::mem::take(&mut txn.changed),
            named: std::mem::replace(&mut txn.named, NamedSnapshots::new(&txn.shared.registry)),
        };
        Part { txn, before: Some(before) }
    }

    fn keep(mut self) {
        let Before { changed, named, .. } = self.before.take().expect("kept once");
        if self.txn.changed {
            self.txn.predecessor = Some(self.txn.id());
        }
        self.txn.changed |= changed;
        self.txn.named.follow(named);
    }
}

impl Drop for Part<'_, '_> {
    fn drop(&mut self) {
        let Some(before) = self.before.take() else { return };
        let txn = &mut *self.txn;
        txn.batch.undo();
        txn.recent = txn.recent_before.pop().expect("pushed when it began");
        txn.catalog = before.catalog;
        txn.tables = before.tables;
        txn.next_ordinal = before.next_ordinal;
        txn.changed = before.changed;
        txn.named = before.named;
        txn.failed = false;
    }
}
