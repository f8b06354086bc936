//! Writes that wait for their durability later, and together: for a server that does the writes of many clients on one thread.
//!
//! A write on the database ends when it is durable, so as many threads are needed as there are writes that are to share a flush.
//! Through a [`Deferred`] a thread does one write after the other without waiting; another one waits for all of them, and
//! then tells of each what came of it.

use std::cell::{Cell, RefCell};
use std::fmt;

use dynamite_txn::{Durability, Series, TxnId};

use crate::api::batch::BatchWrite;
use crate::api::database::DynaMite;
use crate::api::delete::DeleteItem;
use crate::api::history::RestoreVersion;
use crate::api::put::PutItem;
use crate::api::source::{Target, WriteTo};
use crate::api::statement::ExecuteStatement;
use crate::api::statement_batch::StatementBatch;
use crate::api::statement_transaction::StatementTransaction;
use crate::api::transact::Transaction;
use crate::api::transact_write::TransactWrite;
use crate::api::update::UpdateItem;
use crate::api::writing::Writing;
use crate::error::{Error, Result};

/// A target of writes that does not wait until they are durable; [`DynaMite::deferred`] makes one.
///
/// Nothing of what its operations return, be it a version, an item or an error, may be told to anybody, or acted on, before
/// [`DynaMite::settle`] has returned `Ok` for the [`Pending`] that was taken afterwards: readers do not see the writes
/// until then, and a power cut takes them back. Somebody has to settle, since nobody flushes otherwise. If that fails, so did all
/// the writes.
///
/// ```
/// # use dynamite_core::{api::DynaMite, types::KeyType};
/// # use serde_json::json;
/// # fn main() -> Result<(), dynamite_core::Error> {
/// # let db = DynaMite::in_memory()?;
/// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
/// let writes = db.deferred();
/// let alice = writes.put("users").item(json!({"id": "alice"})).execute()?;
/// let bob = writes.put("users").item(json!({"id": "bob"})).execute()?;
/// let pending = writes.pending();
/// assert!(db.get_item("users").partition_key("alice").execute()?.is_none());
///
/// // Perhaps on another thread: one flush for both.
/// db.settle(pending)?;
/// assert_eq!(db.get_item_versioned("users").partition_key("bob").execute()?.unwrap().version, bob);
/// # Ok(())
/// # }
/// ```
pub struct Deferred<'db> {
    db: &'db DynaMite,
    /// What all that was done depends on.
    pending: Cell<TxnId>,
    /// When there will first be something to do in the background because of what was done since somebody asked what that is.
    due_ms: Cell<u64>,
    /// What writes are a part of, if they follow one another at once.
    series: RefCell<Option<Series<'db>>>,
    parts: RefCell<Parts>,
}

/// The parts into which writes that stand by themselves cut a series. Each is made by itself, or is not.
#[derive(Debug, Default)]
struct Parts {
    /// Those that have ended, and why they were not made, if they were not.
    ended: Vec<Result<()>>,
    /// The first and the last in which the write under way has written or read something.
    touched: Option<(usize, usize)>,
}

impl Parts {
    /// The write under way does something in the part that is open.
    fn touch(&mut self) {
        let open = self.ended.len();
        let (first, _) = self.touched.unwrap_or((open, open));
        self.touched = Some((first, open));
    }

    /// Whether the parts were made that a write has touched.
    fn made(&self, touched: Option<(usize, usize)>) -> Result<()> {
        let Some((first, last)) = touched else { return Ok(()) };
        self.ended[first..=last].iter().cloned().collect()
    }
}

/// What [`DynaMite::settle`] waits for. Later ones include earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "nothing is durable before it is settled"]
pub struct Pending(TxnId);

impl DynaMite {
    /// A target of writes that does not wait until they are durable; see [`Deferred`].
    pub fn deferred(&self) -> Deferred<'_> {
        Deferred {
            db: self,
            pending: Cell::new(TxnId(0)),
            due_ms: Cell::new(u64::MAX),
            series: RefCell::default(),
            parts: RefCell::default(),
        }
    }

    /// Waits until the writes of a [`Deferred`] are durable. Who waits at the same time, writers of any kind, shares one flush.
    ///
    /// # Errors
    ///
    /// What the device says. Nobody knows then what became of the writes.
    pub fn settle(&self, pending: Pending) -> Result<()> {
        self.shared.store.wait_durable(pending.0)?;
        self.shared.news.announce();
        self.shared.bell.seen(pending.0);
        Ok(())
    }
}

impl<'db> Deferred<'db> {
    /// Makes writes that follow one another at once, for less than each by itself: each has a version of its own and may fail without the
    /// others, as ever, but what all of them change is copied once. Nobody else writes meanwhile. What may change many items
    /// ([`batch_write`](Self::batch_write), [`transact`](Self::transact), statements without a key) is written by itself between them.
    ///
    /// Returns what each of them has returned, or the error for which it was not made after all: that of the device, when those that
    /// followed one another at once are put together. Those on the other side of what is written by itself may have been made all the same.
    ///
    /// ```
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
    /// let writes = db.deferred();
    /// let users = ["alice", "bob"].map(|id| json!({"id": id}));
    /// let put = |user| writes.put("users").item(user).execute();
    /// let versions = writes.in_series(users.iter().map(|user| move || put(user)));
    /// db.settle(writes.pending())?;
    /// for version in versions {
    ///     assert!(version?? > 0);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_series<R>(&self, writes: impl IntoIterator<Item = impl FnOnce() -> R>) -> Vec<Result<R>> {
        self.parts.take();
        self.begin_series();
        // A panic undoes what is open.
        let undone_by_panic = Undone(self);
        let done = writes.into_iter().map(|write| {
            self.parts.borrow_mut().touched = None;
            let result = write();
            (result, self.parts.borrow_mut().touched.take())
        });
        let done = done.collect::<Vec<_>>();
        self.end_series();
        drop(undone_by_panic);
        let parts = self.parts.take();
        done.into_iter().map(|(result, touched)| parts.made(touched).map(|()| result)).collect()
    }

    /// What all operations so far depend on.
    pub fn pending(&self) -> Pending {
        let pending = self.pending.get();
        self.db.shared.bell.expect_unseen(pending, self.due_ms.replace(u64::MAX));
        Pending(pending)
    }

    /// Begins to put an item; see [`DynaMite::put`].
    pub fn put<'a>(&'a self, table: &'a str) -> PutItem<'a, Self> {
        PutItem::new(self, table)
    }

    /// Begins to update an item; see [`DynaMite::update_item`].
    pub fn update_item<'a>(&'a self, table: &'a str) -> UpdateItem<'a, Self> {
        UpdateItem::new(self, table)
    }

    /// Begins to delete an item; see [`DynaMite::delete_item`].
    pub fn delete_item<'a>(&'a self, table: &'a str) -> DeleteItem<'a, Self> {
        DeleteItem::new(self, table)
    }

    /// Begins to put an old version of an item back; see [`DynaMite::restore_version`].
    pub fn restore_version<'a>(&'a self, table: &'a str, version: u64) -> RestoreVersion<'a, Self> {
        RestoreVersion::new(self, table, version)
    }

    /// Puts and deletes many items; see [`DynaMite::batch_write`].
    pub fn batch_write(&self) -> BatchWrite<'_, Self> {
        BatchWrite::new(self)
    }

    /// Begins a transaction of actions; see [`DynaMite::transact_write`].
    pub fn transact_write(&self) -> TransactWrite<'_, Self> {
        TransactWrite::new(self)
    }

    /// Begins to execute a statement; see [`DynaMite::statement`]. What reads, reads what is durable.
    pub fn statement<'a>(&'a self, text: &'a str) -> ExecuteStatement<'a, Self> {
        ExecuteStatement::new(self.db, self, text)
    }

    /// Begins to execute several statements; see [`DynaMite::statement_batch`].
    pub fn statement_batch(&self) -> StatementBatch<'_, Self> {
        StatementBatch::new(self.db, self)
    }

    /// Begins to execute statements, all or nothing; see [`DynaMite::statement_transaction`].
    pub fn statement_transaction(&self) -> StatementTransaction<'_, Self> {
        StatementTransaction::new(self.db, self)
    }

    /// Runs a transaction; see [`DynaMite::transact`].
    ///
    /// # Errors
    ///
    /// Those of [`DynaMite::transact`].
    pub fn transact<R>(&self, body: impl FnOnce(&Transaction<'_>) -> Result<R>) -> Result<R> {
        let shared = &self.db.shared;
        let _goes_on = self.interrupt_series();
        let transaction = Transaction::begin(shared)?;
        self.depend_on(transaction.base());
        let result = body(&transaction);
        let (txn, due_ms, result) = transaction.end(result);
        let result = result?;
        self.depend_on(txn.join()?);
        self.expect(due_ms);
        Ok(result)
    }

    /// For what may take long, and so is no part of a series: one ends before it, and another one begins behind it, when what this
    /// returns is dropped.
    fn interrupt_series(&self) -> Option<GoesOn<'_, 'db>> {
        self.end_series().then(|| GoesOn(self))
    }

    fn begin_series(&self) {
        *self.series.borrow_mut() = Some(self.db.shared.store.series(Durability::Immediate));
    }

    /// Ends the series that is open; whether one was. What became of it is told when [`in_series`](Self::in_series) ends.
    fn end_series(&self) -> bool {
        let Some(series) = self.series.take() else { return false };
        let ended = series.finish().map(|txn| self.depend_on(txn)).map_err(Error::from);
        self.parts.borrow_mut().ended.push(ended);
        true
    }

    fn depend_on(&self, txn: TxnId) {
        self.pending.set(self.pending.get().max(txn));
    }

    /// Says that there will be something to do in the background, as soon as it is settled.
    fn expect(&self, due_ms: u64) {
        self.due_ms.set(self.due_ms.get().min(due_ms));
    }
}

/// Undoes the series that is still open when this is dropped.
struct Undone<'a, 'db>(&'a Deferred<'db>);

impl Drop for Undone<'_, '_> {
    fn drop(&mut self) {
        self.0.series.take();
    }
}

/// Begins another series when this is dropped.
struct GoesOn<'a, 'db>(&'a Deferred<'db>);

impl Drop for GoesOn<'_, '_> {
    fn drop(&mut self) {
        self.0.begin_series();
    }
}

/// Where several writes are made, one after the other, that become durable together.
pub(crate) trait Together {
    /// Makes them, and waits until they are durable, if that is not left to somebody else.
    fn together<R>(&self, writes: impl FnOnce(&Deferred<'_>) -> R) -> Result<R>;
}

impl Together for DynaMite {
    fn together<R>(&self, writes: impl FnOnce(&Deferred<'_>) -> R) -> Result<R> {
        let deferred = self.deferred();
        let result = writes(&deferred);
        self.settle(deferred.pending())?;
        Ok(result)
    }
}

impl Together for Deferred<'_> {
    fn together<R>(&self, writes: impl FnOnce(&Deferred<'_>) -> R) -> Result<R> {
        Ok(writes(self))
    }
}

impl Target for Deferred<'_> {}

impl WriteTo for Deferred<'_> {
    fn write<R>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R>) -> Result<R> {
        let shared = &self.db.shared;
        let _goes_on = self.interrupt_series();
        let course = shared.course();
        let mut txn = shared.store.begin()?;
        // Also an error tells what was read.
        self.depend_on(txn.base());
        let result = body(&mut Writing::new(&shared.tables, &mut txn, &course))?;
        self.depend_on(txn.join()?);
        self.expect(course.due_ms());
        Ok(result)
    }

    fn write_few<R: Send>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R> + Send) -> Result<R> {
        let mut open = self.series.borrow_mut();
        let Some(series) = &mut *open else {
            drop(open);
            return self.write(body);
        };
        let shared = &self.db.shared;
        self.parts.borrow_mut().touch();
        let course = shared.course();
        let result = series.run(|txn| body(&mut Writing::new(&shared.tables, txn, &course)))?;
        self.expect(course.due_ms());
        Ok(result)
    }
}

impl fmt::Debug for Deferred<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").field("pending", &self.pending.get()).finish_non_exhaustive()
    }
}
