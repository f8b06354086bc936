//! Transactions: many operations that are seen together, durable together, or never were.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use dynamite_txn::{Access, Portions, Range, Row, TableId, TxnError, TxnId, WriteTxn};
use serde::Serialize;

use crate::api::batch::BatchWrite;
use crate::api::database::{DynaMite, Engine};
use crate::api::delete::DeleteItem;
use crate::api::history::RestoreVersion;
use crate::api::put::{self, IntoItem, PutItem};
use crate::api::source::{ReadFrom, Reading, Source, Target, Timed, WriteTo, reads};
use crate::api::table::{Table, TableCache};
use crate::api::update::UpdateItem;
use crate::api::writing::{Course, Writing};
use crate::error::{Error, Result};

/// A transaction under way, inside [`DynaMite::transact`]. It reads what it wrote.
pub struct Transaction<'s> {
    txn: RefCell<WriteTxn<'s>>,
    tables: &'s TableCache,
    course: Course<'s>,
    /// Writes that were asked for so far.
    writes: Cell<usize>,
    /// The last of them that met another version than it expected, or another item than its condition did.
    conflict: Cell<Option<usize>>,
}

impl DynaMite {
    /// Runs a transaction. What it wrote is committed when `body` returns `Ok`; an error, or a panic, rolls it back.
    /// One transaction writes at a time, readers go on meanwhile. It costs one commit, however much it writes.
    ///
    /// # Errors
    ///
    /// Whatever `body` returns ([`Error::abort`] makes an error of any reason): a version conflict or a failed condition says in an
    /// [`Error::Operation`] which of the writes met it. [`Error::NestedTransaction`] inside another transaction of this
    /// thread. An error is returned only when everything that the transaction can have read is durable.
    ///
    /// ```
    /// use dynamite_core::api::DynaMite;
    /// use dynamite_core::types::KeyType;
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("accounts").partition_key("name", KeyType::String).execute()?;
    /// # for name in ["alice", "bob"] {
    /// #     db.put_item("accounts", json!({"name": name, "balance": 100}))?;
    /// # }
    /// db.transact(|txn| {
    ///     for (name, change) in [("alice", -30), ("bob", 30)] {
    ///         let mut account = txn.get_item("accounts").partition_key(name).execute()?.unwrap();
    ///         account["balance"] = json!(account["balance"].as_i64().unwrap() + change);
    ///         txn.put_item("accounts", account)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// let bob = db.get_item("accounts").partition_key("bob").execute()?.unwrap();
    /// assert_eq!(bob["balance"], 130);
    /// # Ok(())
    /// # }
    /// ```
    pub fn transact<R>(&self, body: impl FnOnce(&Transaction<'_>) -> Result<R>) -> Result<R> {
        let transaction = Transaction::begin(&self.shared)?;
        let result = body(&transaction);
        let (txn, due_ms, result) = transaction.end(result);
        match result {
            Ok(result) => {
                txn.commit(self.shared.durability)?;
                self.shared.news.announce();
                self.shared.bell.expect(due_ms);
                Ok(result)
            }
            Err(error) => {
                txn.roll_back()?;
                Err(error)
            }
        }
    }
}

impl<'s> Transaction<'s> {
    pub(crate) fn begin(engine: &'s Engine) -> Result<Transaction<'s>> {
        Ok(Transaction {
            txn: RefCell::new(engine.store.begin()?),
            tables: &engine.tables,
            course: engine.course(),
            writes: Cell::new(0),
            conflict: Cell::new(None),
        })
    }

    /// The transaction that this one is based on.
    pub(crate) fn base(&self) -> TxnId {
        self.txn.borrow().base()
    }

    /// What is to be committed or rolled back, when the next chore is due, and the result, in which a conflict says which write met it.
    pub(crate) fn end<R>(self, result: Result<R>) -> (WriteTxn<'s>, u64, Result<R>) {
        let result = result.map_err(|error| match (error, self.conflict.get()) {
            (error @ (Error::VersionConflict { .. } | Error::ConditionFailed { .. }), Some(operation)) => {
                error.of_operation(operation)
            }
            (error, _) => error,
        });
        (self.txn.into_inner(), self.course.due_ms(), result)
    }

    /// The version that everything written here will have.
    pub fn version(&self) -> u64 {
        self.txn.borrow().id().0
    }

    reads!();

    /// Puts an item; see [`DynaMite::put_item`].
    pub fn put_item(&self, table: &str, item: impl IntoItem) -> Result<u64> {
        put::put(self, table, item, None)
    }

    /// Puts an item if it has the version that is expected; see [`DynaMite::put_item_versioned`].
    pub fn put_item_versioned(&self, table: &str, item: impl IntoItem, expected: Option<u64>) -> Result<u64> {
        put::put(self, table, item, expected)
    }

    /// Begins to put an item under a condition; see [`DynaMite::put`].
    pub fn put<'a>(&'a self, table: &'a str) -> PutItem<'a, Self> {
        PutItem::new(self, table)
    }

    /// Begins to update an item; see [`DynaMite::update_item`].
    pub fn update_item<'a>(&'a self, table: &'a str) -> UpdateItem<'a, Self> {
        UpdateItem::new(self, table)
    }

    /// Puts an item that is a value of the caller's type; see [`DynaMite::put_item_from`].
    pub fn put_item_from(&self, table: &str, item: &(impl Serialize + ?Sized)) -> Result<u64> {
        put::put_from(self, table, item)
    }

    /// Deletes an item; see [`DynaMite::delete_item`].
    pub fn delete_item<'a>(&'a self, table: &'a str) -> DeleteItem<'a, Self> {
        DeleteItem::new(self, table)
    }

    /// Puts an old version of an item back; see [`DynaMite::restore_version`].
    pub fn restore_version<'a>(&'a self, table: &'a str, version: u64) -> RestoreVersion<'a, Self> {
        RestoreVersion::new(self, table, version)
    }

    /// Puts and deletes many items; see [`DynaMite::batch_write`].
    pub fn batch_write(&self) -> BatchWrite<'_, Self> {
        BatchWrite::new(self)
    }
}

impl Target for Transaction<'_> {}

impl WriteTo for Transaction<'_> {
    fn write<R>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R>) -> Result<R> {
        let operation = self.writes.replace(self.writes.get() + 1);
        let result = body(&mut Writing::new(self.tables, &mut self.txn.borrow_mut(), &self.course));
        if let Err(Error::VersionConflict { .. } | Error::ConditionFailed { .. }) = result {
            self.conflict.set(Some(operation));
        }
        result
    }
}

impl Target for DynaMite {}

impl WriteTo for DynaMite {
    fn write<R>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R>) -> Result<R> {
        self.shared.change(body)
    }

    fn write_few<R: Send>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R> + Send) -> Result<R> {
        self.shared.change_in_company(body)
    }
}

impl<'s> Source for Transaction<'s> {
    type State<'a>
        = &'a Transaction<'s>
    where
        's: 'a;
}

impl<'s> ReadFrom for Transaction<'s> {
    fn read<R>(&self, body: impl FnOnce(&TableCache, &mut Reading<'_, '_>) -> Result<R>) -> Result<R> {
        body(self.tables, &mut Reading::within(&mut self.txn.borrow_mut(), self.course.moment()))
    }

    fn stream(&self, table: &str) -> Result<(Arc<Table>, <Self as Source>::State<'_>)> {
        let table = self.read(|tables, reading| tables.find(reading, table))?;
        Ok((table, self))
    }
}

impl Timed for &Transaction<'_> {
    fn seconds(&self) -> u64 {
        self.course.moment().seconds()
    }

    fn changes(&self) -> Option<usize> {
        Some(self.writes.get())
    }
}

/// A long result that is read from a transaction sees what is written meanwhile, as far as it lies ahead: see
/// [`Rows`](crate::api::rows::Rows).
impl Portions for &Transaction<'_> {
    fn portion(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool, TxnError> {
        self.txn.borrow_mut().scan(table, range, Access::Scan, visit)
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("writes", &self.writes.get()).finish_non_exhaustive()
    }
}
