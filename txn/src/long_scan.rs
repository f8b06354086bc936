//! Long scans: an iterator that holds a snapshot and no page.
//!
//! It fetches the rows of a range in portions. Each portion is one read of the current trees, entered and left; between
//! two calls nothing is held but the snapshot's place in the registry. So it may rest for hours in the hands of a user,
//! move to another thread, and delays nobody.
//!
//! Memory: one portion, of 16 KiB at first and at most 256 KiB, or one row if that is larger.

use std::ops::ControlFlow;

use dynamite_pager::Access;

use crate::error::Result;
use crate::scan::{Range, Row};
use crate::store::Snapshot;
use crate::txn_id::{TableId, TxnId};

const FIRST_PORTION: usize = 16 << 10;
const LARGEST_PORTION: usize = 256 << 10;

/// What a scan fetches its portions from: a state that stays what it is from one portion to the next, or after whose changes the scan is
/// told to [fetch again](Scan::fetch_again).
pub trait Portions {
    /// Visits the items of a range, in order, until `visit` breaks off. Returns whether it did.
    fn portion(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool>;
}

impl Portions for Snapshot {
    fn portion(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.read()?.scan(table, range, Access::Scan, visit)
    }
}

/// The items of a range, as a snapshot (or whatever else it is given) sees them. See the [module](self).
#[derive(Debug)]
pub struct Scan<S = Snapshot> {
    source: S,
    table: TableId,
    /// What is left of the range behind the portion at hand.
    rest: Range,
    /// Keys and payloads of the portion at hand.
    bytes: Vec<u8>,
    rows: Vec<StoredRow>,
    next_row: usize,
    portion: usize,
    exhausted: bool,
}

#[derive(Clone, Copy, Debug)]
struct StoredRow {
    version: TxnId,
    key: usize,
    payload: usize,
    end: usize,
}

impl Snapshot {
    /// The items of a range, one after the other.
    pub fn scan(&self, table: TableId, range: Range) -> Scan {
        Scan::new(self.clone(), table, range)
    }
}

impl<S: Portions> Scan<S> {
    /// The items of a range, one after the other.
    pub fn new(source: S, table: TableId, range: Range) -> Scan<S> {
        Scan {
            source,
            table,
            rest: range,
            bytes: Vec::new(),
            rows: Vec::new(),
            next_row: 0,
            portion: FIRST_PORTION,
            exhausted: false,
        }
    }

    /// The next item. After an error the scan may be asked again, and goes on where it was.
    // A lending iterator: the row borrows from the scan.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        while self.next_row == self.rows.len() {
            if self.exhausted {
                return Ok(None);
            }
            self.fetch()?;
        }
        let row = self.rows[self.next_row];
        self.next_row += 1;
        Ok(Some(Row {
            key: &self.bytes[row.key..row.payload],
            version: row.version,
            payload: &self.bytes[row.payload..row.end],
        }))
    }

    /// What the portions are fetched from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Forgets what was fetched and not given yet: the source has changed, and what it is now is asked for next, behind the last item that
    /// was given.
    pub fn fetch_again(&mut self) {
        // The first row of a portion is given as soon as that is fetched.
        if let Some(given) = self.next_row.checked_sub(1) {
            let given = self.rows[given];
            self.rest.go_on_behind(&self.bytes[given.key..given.payload]);
        }
        self.rows.clear();
        (self.next_row, self.portion, self.exhausted) = (0, FIRST_PORTION, false);
    }

    fn fetch(&mut self) -> Result<()> {
        let Scan { source, table, rest, bytes, rows, portion, .. } = self;
        bytes.clear();
        rows.clear();
        self.next_row = 0;
        let broke_off = source.portion(*table, &rest.borrow(), &mut |row| {
            let key = bytes.len();
            bytes.extend_from_slice(row.key);
            let payload = bytes.len();
            bytes.extend_from_slice(row.payload);
            rows.push(StoredRow { version: row.version, key, payload, end: bytes.len() });
            if bytes.len() < *portion { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let broke_off = broke_off.inspect_err(|_| self.rows.clear())?;
        self.exhausted = !broke_off;
        if let Some(last) = self.rows.last() {
            self.rest.go_on_behind(&self.bytes[last.key..last.payload]);
        }
        self.portion = (self.portion * 2).min(LARGEST_PORTION);
        Ok(())
    }
}
