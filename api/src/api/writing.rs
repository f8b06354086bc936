//! Writing: a write transaction as the operations see it. Items change here and nowhere else, so that what belongs to an item
//! changes with it, in the same transaction.

use std::cell::Cell;
use std::sync::Arc;

use dynamite_txn::{Clock, TxnId, WriteTxn};

use crate::api::consumed::IndexWrite;
use crate::api::index_entry::Changes;
use crate::api::moment::Moment;
use crate::api::source::Reading;
use crate::api::stream::{self, Happening};
use crate::api::table::{Table, TableCache};
use crate::api::ttl;
use crate::error::{Error, Result};

/// What a write transaction keeps beside its items, from its first write to its last.
#[derive(Debug)]
pub(crate) struct Course<'c> {
    /// When it happens.
    moment: Moment<'c>,
    /// When there will first be something to do for the thread that looks after what nobody waits for, as far as
    /// this transaction made it; in milliseconds.
    due_ms: Cell<u64>,
    /// Records that it wrote to streams so far.
    records: Cell<u32>,
    stream_retention_ms: u64,
}

impl<'c> Course<'c> {
    pub(crate) fn new(clock: &'c dyn Clock, stream_retention_ms: u64) -> Course<'c> {
        Course {
            moment: Moment::now(clock),
            due_ms: Cell::new(u64::MAX),
            records: Cell::new(0),
            stream_retention_ms,
        }
    }

    /// Counts a record for a stream: all streams together, so that no two records of a transaction have one number.
    pub(crate) fn next_ordinal(&self) -> u32 {
        let ordinal = self.records.get();
        self.records.set(
            ordinal.checked_add(1).expect("the pages of 2^32 records are more than a transaction holds"),
        );
        ordinal
    }

    /// Says that a record was written, which will have to be trimmed.
    pub(crate) fn expect_trimming(&self) {
        self.expect(self.moment.ms().saturating_add(self.stream_retention_ms));
    }

    /// When the transaction happens: the time at which this is first asked for.
    pub(crate) fn moment(&self) -> &Moment<'c> {
        &self.moment
    }

    /// When there will first be something to do in the background.
    pub(crate) fn due_ms(&self) -> u64 {
        self.due_ms.get()
    }

    /// Says that there will be something to do in the background.
    pub(crate) fn expect(&self, due_ms: u64) {
        self.due_ms.set(self.due_ms.get().min(due_ms));
    }
}

/// A write transaction, and the tables that are known.
pub(crate) struct Writing<'a, 's> {
    tables: &'a TableCache,
    txn: &'a mut WriteTxn<'s>,
    course: &'a Course<'a>,
    /// Entries of indexes that were written since that is counted, if it is.
    index_writes: Option<Vec<IndexWrite>>,
}

impl<'a, 's> Writing<'a, 's> {
    pub(crate) fn new(
        tables: &'a TableCache,
        txn: &'a mut WriteTxn<'s>,
        course: &'a Course<'a>,
    ) -> Writing<'a, 's> {
        Writing { tables, txn, course, index_writes: None }
    }

    /// The version of everything that is written.
    pub(crate) fn version(&self) -> u64 {
        self.txn.id().0
    }

    /// When the transaction happens.
    pub(crate) fn moment(&self) -> &Moment<'a> {
        self.course.moment()
    }

    /// Says that there will be something to do in the background, at this time in milliseconds.
    pub(crate) fn expect(&self, due_ms: u64) {
        self.course.expect(due_ms);
    }

    /// The transaction below, for what is no item.
    pub(crate) fn txn(&mut self) -> &mut WriteTxn<'s> {
        self.txn
    }

    /// Begins to count what is written to indexes, or ends it.
    pub(crate) fn count_index_writes(&mut self, wanted: bool) {
        self.index_writes = wanted.then(Vec::new);
    }

    /// What was counted.
    pub(crate) fn take_index_writes(&mut self) -> Vec<IndexWrite> {
        self.index_writes.take().unwrap_or_default()
    }

    /// A table, as the transaction has left it.
    pub(crate) fn table(&mut self, name: &str) -> Result<Arc<Table>> {
        self.tables.find(&mut Reading::within(self.txn, self.course.moment()), name)
    }

    /// A table that may not be there any more.
    pub(crate) fn find_table(&mut self, name: &str) -> Result<Option<Arc<Table>>> {
        match self.table(name) {
            Ok(table) => Ok(Some(table)),
            Err(Error::TableNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands an item and its version, as the transaction has left it, to `with`. One that has expired is none.
    pub(crate) fn get<R>(
        &mut self,
        table: &Table,
        key: &[u8],
        with: impl FnOnce(u64, &[u8]) -> R,
    ) -> Result<Option<R>> {
        let mut reading = Reading::within(self.txn, self.course.moment());
        reading.get(table, key, |version, item| with(version.0, item))
    }

    /// Refuses a write that expected another version of what stands under the key; 0 stands for nothing, `None` for anything.
    pub(crate) fn check_version(&mut self, table: &Table, key: &[u8], expected: Option<u64>) -> Result<()> {
        let Some(expected) = expected else { return Ok(()) };
        let actual = self.get(table, key, |version, _| version)?;
        if expected == actual.unwrap_or(0) {
            Ok(())
        } else {
            Err(Error::VersionConflict { expected, actual })
        }
    }

    /// Refuses an item that [`put`](Self::put) would refuse because of the table's indexes: for those who must know before they
    /// write others.
    pub(crate) fn check_put(&self, table: &Table, item: &[u8]) -> Result<()> {
        if table.indexes.is_empty() {
            return Ok(());
        }
        let seen = table.indexes.look(item).map_err(|damage| table.damaged(damage))?;
        table.indexes.iter().try_for_each(|index| index.admits(&seen).map(drop))
    }

    /// Puts an item, in place of what stands under its key.
    pub(crate) fn put(&mut self, table: &Table, key: &[u8], item: &[u8]) -> Result<()> {
        if table.is_plain() {
            return Ok(self.txn.put(table.id, key, item)?);
        }
        let old = self.stored(table, key)?;
        let is_expired = self.is_expired(table, old.as_ref())?;
        let changes =
            Changes::of(table, old.as_ref().map(borrowed), key, Some(item), self.index_writes.as_mut())?;
        self.txn.put(table.id, key, item)?;
        changes.apply(self.txn)?;
        self.follow(table, key, old.as_ref().map(|(_, old)| &old[..]), Some(item), is_expired)
    }

    /// Deletes an item. Returns whether there was one.
    pub(crate) fn delete(&mut self, table: &Table, key: &[u8]) -> Result<bool> {
        if table.is_plain() {
            return Ok(self.txn.delete(table.id, key)?);
        }
        let old = self.stored(table, key)?;
        // One that has expired is gone already; it is for the database to delete it.
        if self.is_expired(table, old.as_ref())? {
            return Ok(false);
        }
        let Some(old) = old else { return Ok(false) };
        self.remove(table, key, &old, false)?;
        Ok(true)
    }

    /// Deletes an item that has expired, in the name of the database. Returns how many bytes it had; `None` if there is no
    /// such item.
    pub(crate) fn expire(&mut self, table: &Table, key: &[u8]) -> Result<Option<usize>> {
        let Some(old) = self.stored(table, key)? else { return Ok(None) };
        if !self.is_expired(table, Some(&old))? {
            return Ok(None);
        }
        self.remove(table, key, &old, true)?;
        Ok(Some(old.1.len()))
    }

    /// Deletes an item that is there.
    fn remove(&mut self, table: &Table, key: &[u8], old: &(TxnId, Vec<u8>), is_expired: bool) -> Result<()> {
        let changes = Changes::of(table, Some(borrowed(old)), key, None, self.index_writes.as_mut())?;
        self.txn.delete(table.id, key)?;
        changes.apply(self.txn)?;
        self.follow(table, key, Some(&old.1), None, is_expired)
    }

    /// What stands under a key, expired or not.
    fn stored(&mut self, table: &Table, key: &[u8]) -> Result<Option<(TxnId, Vec<u8>)>> {
        Ok(self.txn.get(table.id, key, |version, item| (version, item.to_vec()))?)
    }

    /// Whether there is an item that has expired.
    fn is_expired(&self, table: &Table, stored: Option<&(TxnId, Vec<u8>)>) -> Result<bool> {
        stored.map_or(Ok(false), |(_, item)| table.is_expired(item, self.course.moment()))
    }

    /// Changes what belongs to an item along with it, beside the entries of indexes. `is_expired` says that the old one has expired:
    /// then the database deletes it, before anything else happens.
    fn follow(
        &mut self,
        table: &Table,
        key: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
        is_expired: bool,
    ) -> Result<()> {
        if let Some(ttl) = &table.ttl
            && let Some(last) = ttl::follow(self.txn, table, ttl, key, old, new)?
        {
            self.course.expect(ttl::due_ms(last));
        }
        if let Some(stream) = table.open_stream() {
            let (expired, old) = if is_expired { (old, None) } else { (None, old) };
            for (old, new, by_service) in [(expired, None, true), (old, new, false)] {
                let happening = Happening { key, old, new, by_service };
                stream::append(self.txn, stream, self.course, happening)?;
            }
        }
        Ok(())
    }
}

fn borrowed(stored: &(TxnId, Vec<u8>)) -> (TxnId, &[u8]) {
    (stored.0, &stored.1)
}
