//! What a thread has read in the catalog lately, so that it need not look up a table's record again for each read.
//!
//! # Why it never lies
//!
//! A record is kept with the root of the catalog that it was found under. What a root leads to never changes: pages are
//! never written again, and no birth is given to two pages. So the same root, of the same open database, holds the same
//! record. A commit makes another root, and what was kept under the old one is not found any more.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use dynamite_pager::PagePtr;

use crate::catalog::TableRecord;
use crate::txn_id::TableId;

/// Tables that a thread remembers, as far as their ids do not clash.
const PLACES: usize = 8;

/// Tells apart the databases that this process has opened, one after the other or side by side: births begin anew in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreId(u64);

impl StoreId {
    /// One that no other database has had.
    pub(crate) fn new() -> StoreId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        StoreId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a record was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundAt {
    pub(crate) store: StoreId,
    pub(crate) catalog: PagePtr,
    pub(crate) table: TableId,
}

struct Place {
    found_at: Cell<Option<FoundAt>>,
    record: Cell<TableRecord>,
}

thread_local! {
    static KNOWN: [Place; PLACES] = const {
        [const { Place { found_at: Cell::new(None), record: Cell::new(TableRecord::EMPTY) } }; PLACES]
    };
}

impl FoundAt {
    /// The record, if this thread has found it there before.
    #[inline]
    pub(crate) fn recall(self) -> Option<TableRecord> {
        KNOWN.with(|known| {
            let place = &known[self.place()];
            (place.found_at.get() == Some(self)).then(|| place.record.get())
        })
    }

    /// Remembers what was found.
    pub(crate) fn keep(self, record: TableRecord) {
        KNOWN.with(|known| {
            let place = &known[self.place()];
            place.record.set(record);
            place.found_at.set(Some(self));
        });
    }

    #[inline]
    fn place(&self) -> usize {
        self.table.0 as usize % PLACES
    }
}
