//! The catalog: the tree of trees. One small record per table says where its tree is and what is in it.
//!
//! Records are unversioned: whoever reads takes them from the root that it entered with, and whoever holds a snapshot
//! reads the *current* tree and follows version chains. What is versioned, the names and schemas of tables, is itself a
//! table ([`NAMES`]).
//!
//! # Layout
//!
//! Keys are table ids, 4 bytes, big-endian. The key `ff ff ff ff` holds the next table id to give out, 4 bytes,
//! little-endian; any other holds a table record:
//!
//! ```text
//! offset  size  field      meaning
//! ------  ----  ---------  ------------------------------------------------------------------------
//!      0    21  tree       see `dynamite_bptree::Tree`
//!     21     8  items      live items, little-endian
//!     29     8  bytes      bytes of their keys and payloads
//!     37     8  described  the transaction that last changed what is kept with the table's name; 0 for system tables
//!     45     1  retention  0 none, 1 for a duration, 2 a number of versions;
//!                           + 128: dropped; + 64: no snapshot sees it any more, its pages are being freed
//!     46     8  amount     (retention) milliseconds, or versions
//!     54    21  history    (retention) the table's own history tree
//!     75     8  horizon    (retention) what was superseded at or before it may be gone
//! ```
//!
//! # Table ids
//!
//! ```text
//!      0  names       name → table id and what the layer above keeps with it; a table like any other
//!      1  history     superseded versions, see `history`; not versioned
//!      2  times       commit time → transaction, see `times`; not versioned
//!      3  snapshots   name → transaction, see `named`; not versioned
//!   4-15              reserved
//!  16 ..              tables, never given out twice
//! ```

use std::time::Duration;

use dynamite_bptree::{Body, BulkLoad, MoveDown, NewValue, Pages, Tree};
use dynamite_pager::{Roots, WriteBatch};

use crate::error::{Damage, Result, TxnError};
use crate::txn_id::{TableId, TxnId};

/// Names and schemas.
pub(crate) const NAMES: TableId = TableId(0);
/// Superseded versions.
pub(crate) const HISTORY: TableId = TableId(1);
/// Commit times.
pub(crate) const TIMES: TableId = TableId(2);
/// Named snapshots.
pub(crate) const SNAPSHOTS: TableId = TableId(3);
/// The first id that a table gets.
pub(crate) const FIRST_TABLE: TableId = TableId(16);
/// Not a table: where the next id is kept.
const NEXT_ID: TableId = TableId(u32::MAX);

const NO_RETENTION: u8 = 0;
const DURATION: u8 = 1;
const VERSIONS: u8 = 2;
const DROPPED: u8 = 128;
const FREEING: u8 = 64;

/// Which superseded versions a table keeps although no snapshot needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// None.
    #[default]
    None,
    /// Those that were current at some time within this duration before now; milliseconds count.
    Duration(Duration),
    /// So many of each item, besides the current one. A write of an item reads as many of its old versions.
    Versions(u32),
}

/// What the catalog says of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableRecord {
    pub(crate) tree: Tree,
    /// Live items: tombstones are not counted.
    pub(crate) items: u64,
    /// Bytes of the live items' keys and payloads.
    pub(crate) bytes: u64,
    /// The transaction that last changed what is kept with the table's name, so that whoever remembers it knows whether it is
    /// still true.
    pub(crate) described: TxnId,
    /// The table has no name any more; older snapshots may still see it.
    pub(crate) dropped: bool,
    /// No snapshot can see the table any more; its pages are being freed.
    pub(crate) freeing: bool,
    pub(crate) retention: Retention,
    /// The superseded versions of a table with retention.
    pub(crate) history: Tree,
    /// Versions of a table with retention that were superseded at or before this may be gone.
    pub(crate) horizon: TxnId,
}

impl TableRecord {
    const SHORT: usize = 46;
    const LONG: usize = 83;

    /// That of a table that nothing was stored in.
    pub(crate) const EMPTY: TableRecord = TableRecord {
        tree: Tree::EMPTY,
        items: 0,
        bytes: 0,
        described: TxnId(0),
        dropped: false,
        freeing: false,
        retention: Retention::None,
        history: Tree::EMPTY,
        horizon: TxnId(0),
    };

    /// A table without items, described by this transaction.
    pub(crate) fn empty(described: TxnId, retention: Retention) -> TableRecord {
        TableRecord { described, retention, ..TableRecord::EMPTY }
    }

    /// Counts a live item, of so many bytes. A damaged count stays wrong, and does no harm.
    pub(crate) fn count_item(&mut self, bytes: u64) {
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts a live item no longer.
    pub(crate) fn forget_item(&mut self, bytes: u64) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn encode(&self) -> ([u8; Self::LONG], usize) {
        let mut bytes = [0; Self::LONG];
        let (kind, amount) = match self.retention {
            Retention::None => (NO_RETENTION, 0),
            Retention::Duration(duration) => {
                (DURATION, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
            }
            Retention::Versions(count) => (VERSIONS, u64::from(count)),
        };
        bytes[..21].copy_from_slice(&self.tree.to_bytes());
        bytes[21..29].copy_from_slice(&self.items.to_le_bytes());
        bytes[29..37].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[37..45].copy_from_slice(&self.described.0.to_le_bytes());
        bytes[45] = kind | if self.dropped { DROPPED } else { 0 } | if self.freeing { FREEING } else { 0 };
        if kind == NO_RETENTION {
            return (bytes, Self::SHORT);
        }
        bytes[46..54].copy_from_slice(&amount.to_le_bytes());
        bytes[54..75].copy_from_slice(&self.history.to_bytes());
        bytes[75..].copy_from_slice(&self.horizon.0.to_le_bytes());
        (bytes, Self::LONG)
    }

    /// Reads the record of a table. Reserved ids have none, and system tables are never dropped and keep no history: the
    /// history and the times of a table with retention are found through them.
    fn decode_of(table: TableId, bytes: &[u8]) -> Option<TableRecord> {
        let record = TableRecord::decode(bytes)?;
        let plain = !record.dropped && !record.freeing && record.retention == Retention::None;
        (table >= FIRST_TABLE || (table <= SNAPSHOTS && plain)).then_some(record)
    }

    fn decode(bytes: &[u8]) -> Option<TableRecord> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let tree = |at: usize| Some(Tree::from_bytes(bytes.get(at..at + Tree::SIZE)?.try_into().ok()?));
        let flags = *bytes.get(45)?;
        let mut record = TableRecord {
            tree: tree(0)?,
            items: word(21)?,
            bytes: word(29)?,
            described: TxnId(word(37)?),
            dropped: flags & DROPPED != 0,
            freeing: flags & FREEING != 0,
            ..TableRecord::EMPTY
        };
        let kind = flags & !(DROPPED | FREEING);
        let expected = if kind == NO_RETENTION { Self::SHORT } else { Self::LONG };
        if bytes.len() != expected {
            return None;
        }
        if kind != NO_RETENTION {
            let amount = word(46)?;
            record.retention = match kind {
                DURATION => Retention::Duration(Duration::from_millis(amount)),
                VERSIONS => Retention::Versions(u32::try_from(amount).ok()?),
                _ => return None,
            };
            record.history = tree(54)?;
            record.horizon = TxnId(word(75)?);
        }
        Some(record)
    }
}

/// What stands in the catalog's tree.
pub(crate) enum CatalogEntry {
    /// A table, and what is known of it.
    Table(TableId, TableRecord),
    /// The next table id to give out.
    NextId(TableId),
}

/// The catalog, as of some root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Catalog {
    tree: Tree,
}

impl Catalog {
    /// The catalog that the header leads to. Of its shape the header holds the levels in the lowest byte, the number of entries in
    /// the others.
    #[inline]
    pub(crate) fn at(roots: &Roots) -> Catalog {
        let (level, entries) = (roots.catalog_shape as u8, roots.catalog_shape >> 8);
        Catalog { tree: Tree::from_parts(roots.catalog, level, entries).hot() }
    }

    /// Puts the catalog into the header.
    pub(crate) fn store_in(&self, roots: &mut Roots) {
        roots.catalog = self.tree.root();
        roots.catalog_shape = self.tree.len() << 8 | u64::from(self.tree.level());
    }

    /// The tree itself, for the check of the whole file.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What is known of a table. A system table that nothing was stored in has no record, and is empty.
    pub(crate) fn find(&self, pages: &mut impl Pages, table: TableId) -> Result<Option<TableRecord>> {
        let mut record = match self.tree.get(pages, &key(table))? {
            Some(value) => TableRecord::decode_of(table, value.head())
                .ok_or(TxnError::Damaged { table, source: Damage::TableRecord })?,
            None if table < FIRST_TABLE => TableRecord::EMPTY,
            None => return Ok(None),
        };
        if table == HISTORY {
            // Nearly every commit adds to its right edge and takes from its left.
            record.tree = record.tree.hot();
        }
        Ok(Some(record))
    }

    /// What is known of a table that must exist.
    pub(crate) fn table(&self, pages: &mut impl Pages, table: TableId) -> Result<TableRecord> {
        self.find(pages, table)?.ok_or(TxnError::NoSuchTable { table })
    }

    /// Replaces what is known of a table.
    pub(crate) fn put(
        &mut self,
        batch: &mut WriteBatch<'_>,
        table: TableId,
        record: &TableRecord,
    ) -> Result<()> {
        let (bytes, len) = record.encode();
        self.store(batch, table, &bytes[..len])
    }

    /// Forgets a table.
    pub(crate) fn remove(&mut self, batch: &mut WriteBatch<'_>, table: TableId) -> Result<()> {
        self.tree.remove(batch, &key(table))?;
        Ok(())
    }

    /// The table id that will be given out next.
    pub(crate) fn next_table_id(&self, pages: &mut impl Pages) -> Result<TableId> {
        let Some(value) = self.tree.get(pages, &key(NEXT_ID))? else { return Ok(FIRST_TABLE) };
        let bytes = value.head().try_into().ok();
        let damaged = TxnError::Damaged { table: NEXT_ID, source: Damage::TableRecord };
        bytes.map(u32::from_le_bytes).map(TableId).ok_or(damaged)
    }

    /// Moves pages of the catalog's own tree; see [`Tree::move_down`].
    pub(crate) fn move_down(
        &mut self,
        batch: &mut WriteBatch<'_>,
        from: &[u8],
        moving: &mut MoveDown,
    ) -> Result<Option<Vec<u8>>> {
        Ok(self.tree.move_down(batch, from, moving)?)
    }

    /// A table id that was never given out.
    pub(crate) fn new_table_id(&mut self, batch: &mut WriteBatch<'_>) -> Result<TableId> {
        let next = self.next_table_id(batch)?.0;
        if next == NEXT_ID.0 {
            return Err(TxnError::TooManyTables);
        }
        // A second table under an id would take the place of the first.
        if next < FIRST_TABLE.0 || self.tree.get(batch, &key(TableId(next)))?.is_some() {
            return Err(TxnError::Damaged { table: NEXT_ID, source: Damage::TableRecord });
        }
        self.store(batch, NEXT_ID, &(next + 1).to_le_bytes())?;
        Ok(TableId(next))
    }

    /// All tables and what is known of them, in the order of their ids.
    pub(crate) fn tables(&self, pages: &mut impl Pages) -> Result<Vec<(TableId, TableRecord)>> {
        let mut cursor = self.tree.cursor(pages, dynamite_pager::Access::Point);
        cursor.seek_first();
        let mut tables: Vec<(TableId, TableRecord)> = Vec::new();
        while let Some(entry) = cursor.next()? {
            let decoded = Catalog::decode_entry(entry.key, entry.value.head())
                .ok_or(TxnError::Damaged { table: NEXT_ID, source: Damage::TableRecord })?;
            if let CatalogEntry::Table(table, record) = decoded {
                if tables.last().is_some_and(|(last, _)| *last >= table) {
                    return Err(TxnError::Damaged { table, source: Damage::KeyOrder });
                }
                tables.push((table, record));
            }
        }
        Ok(tables)
    }

    /// Reads an entry of the catalog's tree. `None` if it means nothing.
    pub(crate) fn decode_entry(key: &[u8], value: &[u8]) -> Option<CatalogEntry> {
        match table_of(key)? {
            NEXT_ID => Some(CatalogEntry::NextId(TableId(u32::from_le_bytes(value.try_into().ok()?)))),
            table => Some(CatalogEntry::Table(table, TableRecord::decode_of(table, value)?)),
        }
    }

    fn store(&mut self, batch: &mut WriteBatch<'_>, table: TableId, bytes: &[u8]) -> Result<()> {
        self.tree.insert(batch, &key(table), NewValue { head: &[], body: Body::Bytes(bytes) })?;
        Ok(())
    }
}

/// A catalog under construction, for a database that is written from end to end.
#[derive(Debug, Default)]
pub(crate) struct CatalogLoad(BulkLoad);

impl CatalogLoad {
    /// Adds a table. In the order of the ids.
    pub(crate) fn push(
        &mut self,
        batch: &mut WriteBatch<'_>,
        table: TableId,
        record: &TableRecord,
    ) -> Result<()> {
        let (bytes, len) = record.encode();
        self.store(batch, table, &bytes[..len])
    }

    /// The catalog, which is to give out `next` as the next table id.
    pub(crate) fn finish(mut self, batch: &mut WriteBatch<'_>, next: TableId) -> Result<Catalog> {
        self.store(batch, NEXT_ID, &next.0.to_le_bytes())?;
        Ok(Catalog { tree: self.0.finish(batch)? })
    }

    fn store(&mut self, batch: &mut WriteBatch<'_>, table: TableId, bytes: &[u8]) -> Result<()> {
        Ok(self.0.push(batch, &key(table), NewValue { head: &[], body: Body::Bytes(bytes) })?)
    }
}

fn key(table: TableId) -> [u8; 4] {
    table.0.to_be_bytes()
}

fn table_of(key: &[u8]) -> Option<TableId> {
    key.try_into().ok().map(u32::from_be_bytes).map(TableId)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file format is a promise.
    #[test]
    fn table_record_bytes_are_the_documented_ones() {
        let mut tree = [0; Tree::SIZE];
        tree.copy_from_slice(&(1..=21).collect::<Vec<u8>>());
        let mut record = TableRecord {
            tree: Tree::from_bytes(&tree),
            items: 0x1d1c_1b1a_1918_1716,
            bytes: 0x2524_2322_2120_1f1e,
            described: TxnId(0x2d2c_2b2a_2928_2726),
            ..TableRecord::EMPTY
        };
        let mut expected: Vec<u8> = (1..=45).collect();
        expected.push(0);
        let (bytes, len) = record.encode();
        assert_eq!(&bytes[..len], &expected);
        assert_eq!(TableRecord::decode(&expected), Some(record));

        record.dropped = true;
        record.retention = Retention::Versions(9);
        record.history = Tree::from_bytes(&tree);
        record.horizon = TxnId(0x0807_0605_0403_0201);
        expected[45] = 130;
        expected.extend([9, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend(1..=21);
        expected.extend(1..=8);
        let (bytes, len) = record.encode();
        assert_eq!(&bytes[..len], &expected);
        assert_eq!(TableRecord::decode(&expected), Some(record));
    }

    #[test]
    fn damaged_table_records_are_refused() {
        let (bytes, len) = TableRecord::empty(TxnId(7), Retention::Duration(Duration::from_secs(1))).encode();
        for short in 0..len {
            assert_eq!(TableRecord::decode(&bytes[..short]), None, "{short} bytes");
        }
        let mut unknown = bytes;
        unknown[45] = 3;
        assert_eq!(TableRecord::decode(&unknown[..len]), None);
    }
}
