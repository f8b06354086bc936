//! Consumed: how many bytes operations read and wrote, as DynamoDB counts them.
//!
//! Counting an item costs a fifth of decoding it, so it is done only for those who ask: a builder that is given a [`Consumed`]
//! adds an entry to it for each item that it gets or writes, for each entry of an index that changes with it, and for each page. Capacity units are rounded up entry by entry,
//! which is why the entries are not one sum; making units of them is left to those who show units.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::api::index::IndexKind;
use crate::api::layout::Layout;
use crate::api::table::Place;
use crate::error::Result;
use crate::item_codec;

/// Collects what operations read and wrote, of as many operations as it is given to. Clones share it.
///
/// A failed operation adds nothing.
///
/// ```
/// use dynamite_core::api::{ConsumedKind, Consumed};
/// # use dynamite_core::{api::DynaMite, types::KeyType};
/// # use serde_json::json;
/// # fn main() -> Result<(), dynamite_core::Error> {
/// # let db = DynaMite::in_memory()?;
/// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
/// let consumed = Consumed::default();
/// db.put("users").item(json!({"id": "alice"})).consumed(&consumed).execute()?;
/// db.get_item("users").partition_key("bob").consumed(&consumed).execute()?;
///
/// let entries = consumed.take();
/// assert_eq!((entries[0].kind, entries[0].bytes), (ConsumedKind::Write, 7));
/// assert_eq!((entries[1].kind, entries[1].bytes), (ConsumedKind::Read, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Consumed {
    entries: Arc<Mutex<Vec<ConsumedEntry>>>,
}

/// What one operation consumed, or one of the operations of a batch or a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConsumedEntry {
    /// The table's name.
    pub table: String,
    /// The index that was read or written; `None` for the table itself.
    pub index: Option<(String, IndexKind)>,
    /// Whether it was read or written.
    pub kind: ConsumedKind,
    /// Bytes of items. Of a read: of all items that were looked at, also of those that a filter dropped. Of a write: of the item
    /// before it or after it, whichever is larger. 0 where there is no item, which consumes as well.
    pub bytes: u64,
}

/// Reads and writes are not counted in the same units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsumedKind {
    /// A read.
    Read,
    /// A write, or a check within a transaction of writes.
    Write,
}

impl Consumed {
    /// What was collected so far, in the order of the operations.
    pub fn entries(&self) -> Vec<ConsumedEntry> {
        self.with(|entries| entries.clone())
    }

    /// Takes what was collected so far away.
    pub fn take(&self) -> Vec<ConsumedEntry> {
        self.with(std::mem::take)
    }

    /// Adds what was collected elsewhere.
    pub fn extend(&self, entries: Vec<ConsumedEntry>) {
        self.with(|collected| collected.extend(entries));
    }

    pub(crate) fn read(&self, table: &str, bytes: usize) {
        self.add(table, None, ConsumedKind::Read, bytes);
    }

    /// Adds what was read of a place; or, if entries of an index led into the table, of both.
    pub(crate) fn read_place(&self, place: Place<'_>, bytes: usize, entry_bytes: Option<usize>) {
        self.read_of(&place.table.name, index_of(place), bytes, entry_bytes);
    }

    fn read_of(
        &self,
        table: &str,
        index: Option<(String, IndexKind)>,
        bytes: usize,
        entry_bytes: Option<usize>,
    ) {
        self.add(table, index, ConsumedKind::Read, entry_bytes.unwrap_or(bytes));
        if entry_bytes.is_some() {
            self.read(table, bytes);
        }
    }

    pub(crate) fn written(&self, table: &str, written: Written) {
        self.add(table, None, ConsumedKind::Write, written.bytes);
        for IndexWrite { index, kind, bytes } in written.indexes {
            self.add(table, Some((index, kind)), ConsumedKind::Write, bytes);
        }
    }

    fn add(&self, table: &str, index: Option<(String, IndexKind)>, kind: ConsumedKind, bytes: usize) {
        let entry = ConsumedEntry { table: table.to_owned(), index, kind, bytes: bytes as u64 };
        self.with(|entries| entries.push(entry));
    }

    fn with<R>(&self, body: impl FnOnce(&mut Vec<ConsumedEntry>) -> R) -> R {
        // Nothing panics between two halves of a change.
        body(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a change wrote.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Bytes of the item before or after, whichever is larger.
    pub(crate) bytes: usize,
    /// Entries of indexes that were put or removed.
    pub(crate) indexes: Vec<IndexWrite>,
}

/// An entry of an index that was put or removed.
#[derive(Debug)]
pub(crate) struct IndexWrite {
    pub(crate) index: String,
    pub(crate) kind: IndexKind,
    pub(crate) bytes: usize,
}

/// Bytes of a stored item, as DynamoDB counts them.
#[inline(never)]
pub(crate) fn size(layout: &Layout, item: &[u8]) -> Result<usize> {
    item_codec::size(item).map_err(|damage| layout.damaged(damage))
}

fn index_of(place: Place<'_>) -> Option<(String, IndexKind)> {
    place.index.map(|index| (index.name.clone(), index.kind))
}

/// What a stream has read so far, added when the stream is dropped.
#[derive(Debug)]
pub(crate) struct Tally {
    consumed: Consumed,
    table: String,
    index: Option<(String, IndexKind)>,
    bytes: usize,
    /// Bytes of entries of the index, where these lead into the table.
    entry_bytes: Option<usize>,
}

impl Tally {
    pub(crate) fn new(consumed: &Consumed, place: Place<'_>, leads_into_table: bool) -> Tally {
        Tally {
            consumed: consumed.clone(),
            table: place.table.name.clone(),
            index: index_of(place),
            bytes: 0,
            entry_bytes: leads_into_table.then_some(0),
        }
    }

    /// Counts an item, and the entry that led to it.
    pub(crate) fn count(&mut self, layout: &Layout, item: &[u8], entry: &[u8]) -> Result<()> {
        self.bytes += size(layout, item)?;
        if let Some(bytes) = &mut self.entry_bytes {
            *bytes += size(layout, entry)?;
        }
        Ok(())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.consumed.read_of(&self.table, self.index.take(), self.bytes, self.entry_bytes);
    }
}

/// The method of a builder with a field `consumed`.
macro_rules! consumes {
    ($($consumed:tt).+) => {
        /// Adds what is read or written, in bytes, to `consumed`; see [`Consumed`](crate::api::Consumed).
        pub fn consumed(mut self, consumed: &'a crate::api::Consumed) -> Self {
            self.$($consumed).+ = Some(consumed);
            self
        }
    };
}

pub(crate) use consumes;
