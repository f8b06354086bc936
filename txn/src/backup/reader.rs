//! The reading half of a backup: everything that a snapshot sees, in portions, in the order in which the copy stores it.
//!
//! # Superseded versions
//!
//! Each portion is read from the newest state, in which the versions that a snapshot needs are still there. The old
//! versions that a table's *retention* keeps are not held by the snapshot: some may be collected while the backup
//! reads. So that all links of the copy lead to what it has, or to what its horizon says may be gone, a table with
//! retention is read in this order:
//!
//! 1. Its history, up to what was superseded by the snapshot's transaction. Nothing is added to that meanwhile. What is
//!    collected while it is read was superseded at or before the horizon of step 3.
//! 2. Its items. A link of one of these that leads beyond the horizon of its time leads to something that was there
//!    in step 1.
//! 3. Its horizon, as of the last portion.
//!
//! A tombstone is only there for what its link leads to, and goes when the history entry that names it goes. One that
//! was superseded since the snapshot may have outlived that entry. It is copied if what it links to is younger than
//! the horizon; where a number of versions is kept, which has no such horizon, if the copy's history has what it
//! links to.

use std::ops::{Bound, ControlFlow};
use std::sync::mpsc::{Receiver, SyncSender};

use dynamite_bptree::Value;
use dynamite_pager::Access;

use crate::backup::portion::{Destination, Portion, TableEnd};
use crate::catalog::{HISTORY, NAMES, Retention, TIMES, TableRecord};
use crate::error::{Damage, Result, TxnError};
use crate::history;
use crate::names;
use crate::record::Record;
use crate::scan::{Range, Seen};
use crate::store::Snapshot;
use crate::times;
use crate::txn_id::{TableId, TxnId, VersionKey};

/// Bytes of a portion, or a little more: as many as its last entry has.
const PORTION_BYTES: usize = 512 << 10;

/// Reads a snapshot from end to end.
pub(super) struct Reader<'a> {
    snapshot: &'a Snapshot,
    portions: &'a SyncSender<Result<Portion>>,
    /// Portions that have been written.
    empty: &'a Receiver<Portion>,
    of: (u64, u64),
}

/// Why a reader ends early.
enum Stop {
    /// Nobody takes portions any more.
    Unwanted,
    Failed(TxnError),
}

impl From<TxnError> for Stop {
    fn from(error: TxnError) -> Stop {
        Stop::Failed(error)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        portions: &'a SyncSender<Result<Portion>>,
        empty: &'a Receiver<Portion>,
    ) -> Reader<'a> {
        Reader { snapshot, portions, empty, of: (0, 0) }
    }

    /// Reads everything. An error is one of reading; that nobody takes the portions is none.
    pub(super) fn run(mut self) -> Result<()> {
        match self.read_all() {
            Err(Stop::Failed(error)) => Err(error),
            Ok(()) | Err(Stop::Unwanted) => Ok(()),
        }
    }

    fn read_all(&mut self) -> Result<(), Stop> {
        let tables = self.tables()?;
        self.table(NAMES, TxnId(0))?;
        self.times()?;
        for (table, described) in tables {
            self.history(table)?;
            self.table(table, described)?;
        }
        let mut read = self.snapshot.read()?;
        let next_table = read.catalog.next_table_id(&mut read.operation)?;
        drop(read);
        let mut last = self.begin(Destination::End { next_table });
        last.end = Some(TableEnd::of(&TableRecord::EMPTY));
        self.send(last)
    }

    /// The tables that have a name, in the order of their ids, and who wrote their names. Finds out how much is in them.
    fn tables(&mut self) -> Result<Vec<(TableId, TxnId)>> {
        let mut tables = Vec::new();
        let mut scan = self.snapshot.scan(NAMES, Range::all());
        while let Some(row) = scan.next()? {
            tables.push((names::decode(row.version, row.payload)?.id, row.version));
        }
        tables.sort_unstable();
        tables.dedup_by_key(|(table, _)| *table);
        for (table, _) in &tables {
            let stats = self.snapshot.read()?.stats(*table)?;
            self.of.0 = self.of.0.saturating_add(stats.items);
            self.of.1 = self.of.1.saturating_add(stats.bytes);
        }
        Ok(tables)
    }

    /// Reads the items of a table, whose name `described` wrote.
    fn table(&self, table: TableId, described: TxnId) -> Result<(), Stop> {
        let mut from = Bound::Unbounded;
        loop {
            let mut portion = self.begin(Destination::Table(table));
            let mut read = self.snapshot.read()?;
            let view = read.view(table)?;
            let range =
                Range { from: from.as_ref().map(Vec::as_slice), to: Bound::Unbounded, reverse: false };
            let more = view.walk(&mut read.operation, &range, Access::Scan, |seen| {
                push_seen(&mut portion, &view.record, seen);
                full(&portion)
            })?;
            drop(read);
            match portion.last_key() {
                Some(key) if more => from = Bound::Excluded(key.to_vec()),
                _ => {
                    portion.end = Some(TableEnd { described, ..TableEnd::of(&view.record) });
                    return self.send(portion);
                }
            }
            self.send(portion)?;
        }
    }

    /// Reads the superseded versions of a table, if it keeps any.
    fn history(&self, table: TableId) -> Result<(), Stop> {
        let mut from: Option<Vec<u8>> = None;
        loop {
            let mut portion = self.begin(Destination::History(table));
            let mut read = self.snapshot.read()?;
            let record = read.view(table)?.record;
            if record.retention == Retention::None {
                return Ok(());
            }
            let mut cursor = record.history.cursor(&mut read.operation, Access::Scan);
            match &from {
                None => cursor.seek_first(),
                Some(last) => cursor.seek(&[last, &[0][..]].concat()),
            }
            // The key of an entry, if that is long, is the next entry: none of the two may be collected in between.
            let mut awaits_key = false;
            let end = loop {
                if !awaits_key && full(&portion).is_break() {
                    break None;
                }
                let Some(entry) = cursor.next().map_err(TxnError::from)? else {
                    break Some(TableEnd::of(&record));
                };
                let damaged = TxnError::Damaged { table: HISTORY, source: Damage::HistoryEntry };
                let (at, rest) = entry.key.split_first_chunk().ok_or(damaged)?;
                if VersionKey::from_bytes(at).superseded_by > self.snapshot.txn() {
                    break Some(TableEnd::of(&record));
                }
                awaits_key = rest.is_empty() && history::decode(&entry.value)?.0.long_key;
                match entry.value {
                    Value::Inline(bytes) => portion.push(entry.key, &[], bytes),
                    Value::Spilled { head, run } => {
                        let (key, head) = (entry.key.to_vec(), head.to_vec());
                        let mut body = Vec::with_capacity(run.len());
                        run.read(cursor.pages(), &mut body).map_err(TxnError::from)?;
                        portion.push(&key, &head, &body);
                    }
                }
            };
            drop(read);
            portion.end = end;
            if end.is_some() {
                return self.send(portion);
            }
            from = portion.last_key().map(<[u8]>::to_vec);
            self.send(portion)?;
        }
    }

    /// Reads the times of transactions up to the snapshot's, and adds its own.
    fn times(&self) -> Result<(), Stop> {
        let Snapshot { txn, committed_ms, .. } = *self.snapshot;
        let mut last = (0_u64, TxnId(0));
        let mut more = true;
        while more {
            let mut portion = self.begin(Destination::Table(TIMES));
            let mut read = self.snapshot.read()?;
            let tree = read.catalog.table(&mut read.operation, TIMES)?.tree;
            let mut cursor = tree.cursor(&mut read.operation, Access::Scan);
            cursor.seek(&last.0.saturating_add(1).to_be_bytes());
            while more && full(&portion).is_continue() {
                more = false;
                if let Some(entry) = cursor.next().map_err(TxnError::from)? {
                    let (time, of) = times::decode(entry.key, entry.value.head())?;
                    if of <= txn {
                        portion.push(entry.key, &[], entry.value.head());
                        (last, more) = ((time, of), true);
                    }
                }
            }
            drop(read);
            if !more {
                if committed_ms > last.0 && txn > last.1 {
                    portion.push(&committed_ms.to_be_bytes(), &[], &txn.0.to_le_bytes());
                }
                portion.end = Some(TableEnd::of(&TableRecord::EMPTY));
            }
            self.send(portion)?;
        }
        Ok(())
    }

    fn begin(&self, destination: Destination) -> Portion {
        let mut portion = self.empty.try_recv().unwrap_or_else(|_| Portion::new());
        portion.begin(destination, self.of);
        portion
    }

    fn send(&self, portion: Portion) -> Result<(), Stop> {
        self.portions.send(Ok(portion)).map_err(|_| Stop::Unwanted)
    }
}

fn full(portion: &Portion) -> ControlFlow<()> {
    if portion.len_bytes() < PORTION_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// Adds what is seen under a key of a table, if the copy is to have it.
fn push_seen(portion: &mut Portion, table: &TableRecord, seen: Seen<'_>) {
    let Seen { key, record, payload, is_old } = seen;
    let older = match table.retention {
        Retention::None => None,
        Retention::Duration(_) => record.older.filter(|older| older.superseded_by > table.horizon),
        Retention::Versions(_) => record.older,
    };
    let mut only_with = None;
    if record.tombstone {
        match table.retention {
            _ if older.is_none() => return,
            Retention::Versions(_) => only_with = older.filter(|_| is_old),
            // The transaction that deleted the item superseded what the tombstone links to, and the entry that names
            // the tombstone is of that transaction too: if one is younger than the horizon, the other is.
            Retention::None | Retention::Duration(_) => {}
        }
    }
    portion.push_record(key, &Record { older, ..record }, payload, only_with);
}
