//! A portion: entries of one tree of the copy, on their way from the thread that reads to the one that writes.

use crate::catalog::{NAMES, Retention, TableRecord};
use crate::record::Record;
use crate::txn_id::{TableId, TxnId, VersionKey};

/// Where the entries belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// The superseded versions of a table. They come before its items.
    History(TableId),
    /// A table.
    Table(TableId),
    /// Nowhere: everything has been read.
    End {
        /// The next table id that the original gives out.
        next_table: TableId,
    },
}

/// What is known of a table when its last entry has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableEnd {
    /// The version of its name.
    pub(super) described: TxnId,
    pub(super) retention: Retention,
    /// What was superseded at or before this may be missing.
    pub(super) horizon: TxnId,
}

/// Entries of one tree, in order. Its memory is used again and again.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) destination: Destination,
    entries: Vec<Stored>,
    bytes: Vec<u8>,
    /// Items of users' tables in it, and bytes of their keys and payloads.
    pub(super) items: u64,
    pub(super) live_bytes: u64,
    /// All items and bytes that there are.
    pub(super) of: (u64, u64),
    /// The tree ends here.
    pub(super) end: Option<TableEnd>,
}

/// An entry, as it goes into its tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortionEntry<'a> {
    pub(super) key: &'a [u8],
    pub(super) head: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) is_live: bool,
    /// Whether it goes in only if its table's history holds this.
    pub(super) only_with: Option<VersionKey>,
}

#[derive(Clone, Copy, Debug)]
struct Stored {
    key: usize,
    head: usize,
    body: usize,
    end: usize,
    is_live: bool,
    only_with: Option<VersionKey>,
}

impl Portion {
    pub(super) fn new() -> Portion {
        Portion {
            destination: Destination::End { next_table: TableId(0) },
            entries: Vec::new(),
            bytes: Vec::new(),
            items: 0,
            live_bytes: 0,
            of: (0, 0),
            end: None,
        }
    }

    /// An empty portion of a tree.
    pub(super) fn begin(&mut self, destination: Destination, of: (u64, u64)) {
        self.destination = destination;
        self.entries.clear();
        self.bytes.clear();
        (self.items, self.live_bytes) = (0, 0);
        self.of = of;
        self.end = None;
    }

    /// Adds what stands under a key of a table.
    pub(super) fn push_record(
        &mut self,
        key: &[u8],
        record: &Record,
        payload: &[u8],
        only_with: Option<VersionKey>,
    ) {
        self.push(key, &record.encode(), payload);
        let stored = self.entries.last_mut().expect("it was pushed");
        (stored.is_live, stored.only_with) = (!record.tombstone, only_with);
        if !record.tombstone && self.destination != Destination::Table(NAMES) {
            self.items += 1;
            self.live_bytes += (key.len() + payload.len()) as u64;
        }
    }

    /// Adds an entry that is taken as it is.
    pub(super) fn push(&mut self, key: &[u8], head: &[u8], body: &[u8]) {
        let start = self.bytes.len();
        for part in [key, head, body] {
            self.bytes.extend_from_slice(part);
        }
        let (head_at, body_at) = (start + key.len(), start + key.len() + head.len());
        self.entries.push(Stored {
            key: start,
            head: head_at,
            body: body_at,
            end: self.bytes.len(),
            is_live: false,
            only_with: None,
        });
    }

    /// Its entries, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = PortionEntry<'_>> {
        self.entries.iter().map(|stored| PortionEntry {
            key: &self.bytes[stored.key..stored.head],
            head: &self.bytes[stored.head..stored.body],
            body: &self.bytes[stored.body..stored.end],
            is_live: stored.is_live,
            only_with: stored.only_with,
        })
    }

    /// The key of the last entry.
    pub(super) fn last_key(&self) -> Option<&[u8]> {
        self.entries.last().map(|stored| &self.bytes[stored.key..stored.head])
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_last(&self) -> bool {
        matches!(self.destination, Destination::End { .. })
    }
}

impl TableEnd {
    pub(super) fn of(record: &TableRecord) -> TableEnd {
        TableEnd { described: TxnId(0), retention: record.retention, horizon: record.horizon }
    }
}
