//! Writing: a write transaction as the operations see it. Items change here and nowhere else, so that what belongs to an item
//! changes with it, in the same transaction.

use std::sync::Arc;

use dynamite_txn::WriteTxn;

use crate::api::source::Reading;
use crate::api::table::{Table, TableCache};
use crate::error::{Error, Result};

/// A write transaction, and the tables that are known.
pub(crate) struct Writing<'a, 's> {
    tables: &'a TableCache,
    txn: &'a mut WriteTxn<'s>,
}

impl<'a, 's> Writing<'a, 's> {
    pub(crate) fn new(tables: &'a TableCache, txn: &'a mut WriteTxn<'s>) -> Writing<'a, 's> {
        Writing { tables, txn }
    }

    /// The version of everything that is written.
    pub(crate) fn version(&self) -> u64 {
        self.txn.id().0
    }

    /// A table, as the transaction has left it.
    pub(crate) fn table(&mut self, name: &str) -> Result<Arc<Table>> {
        self.tables.find(&mut Reading::Write(self.txn), name)
    }

    /// Hands an item and its version, as the transaction has left it, to `with`.
    pub(crate) fn get<R>(
        &mut self,
        table: &Table,
        key: &[u8],
        with: impl FnOnce(u64, &[u8]) -> R,
    ) -> Result<Option<R>> {
        Ok(self.txn.get(table.id, key, |version, item| with(version.0, item))?)
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

    /// Puts an item, in place of what stands under its key.
    pub(crate) fn put(&mut self, table: &Table, key: &[u8], item: &[u8]) -> Result<()> {
        Ok(self.txn.put(table.id, key, item)?)
    }

    /// Deletes an item. Returns whether there was one.
    pub(crate) fn delete(&mut self, table: &Table, key: &[u8]) -> Result<bool> {
        Ok(self.txn.delete(table.id, key)?)
    }
}
