//! Checking everything from the catalog down: the trees, the records in them, the history against the horizon, the
//! counts, and that every page of the file is reachable exactly once or free (INV-7).
//!
//! It looks at the newest durable state, on the medium, and changes nothing. On an open database reads and writes go
//! on meanwhile.
//!
//! What is wrong becomes a [`Finding`] of the page on which it stands, whose problem is
//! [`Malformed`](dynamite_pager::Problem::Malformed) with an [`Inconsistency`] inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dynamite_bptree::{Tree, Value};
use dynamite_pager::{Census, Extent, Finding, PageId, Pager, Problem};
use thiserror::Error;

use crate::catalog::{Catalog, FIRST_TABLE, HISTORY, NAMES, Retention, SNAPSHOTS, TIMES, TableRecord};
use crate::error::{Damage, Result};
use crate::history;
use crate::names;
use crate::record::Record;
use crate::store::Store;
use crate::txn_id::{TableId, TxnId, VersionKey};

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pages of the file that were looked at.
    pub pages: u64,
    /// Pages of the file.
    pub of_pages: u64,
}

/// Something in the state of the database that contradicts something else, although each page is in order.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// A record that this layer never writes.
    #[error("table {table}, key {key}: {source}")]
    Record {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// What is wrong.
        source: Damage,
    },
    /// A record that was written after the newest commit.
    #[error("table {table}, key {key}: written by transaction {created}, the newest is {newest}")]
    Future {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// The transaction that is said to have written it.
        created: TxnId,
        /// The newest transaction.
        newest: TxnId,
    },
    /// A record links to a version that no longer is where a snapshot would look for it.
    #[error(
        "table {table}, key {key}: the version superseded by {superseded_by} is missing, the horizon is {horizon}"
    )]
    MissingVersion {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// The transaction that superseded the version.
        superseded_by: TxnId,
        /// Versions superseded at or before this may be gone.
        horizon: TxnId,
    },
    /// A long key without the history entry that it belongs to, or the reverse.
    #[error("a history entry and its long key are not together")]
    LostKey,
    /// A history entry about a table that does not exist.
    #[error("a history entry is about table {table}, which does not exist")]
    HistoryOfNothing {
        /// The table.
        table: TableId,
    },
    /// The number of a table's items is not what the catalog says.
    #[error("table {table} has {found} items, the catalog counts {expected}")]
    ItemCount {
        /// The table.
        table: TableId,
        /// Items found.
        found: u64,
        /// Items counted.
        expected: u64,
    },
    /// The bytes of a table's items are not what the catalog says.
    #[error("table {table} has {found} bytes of items, the catalog counts {expected}")]
    ByteCount {
        /// The table.
        table: TableId,
        /// Bytes found.
        found: u64,
        /// Bytes counted.
        expected: u64,
    },
    /// A tombstone that no history entry will take away.
    #[error("table {table}, key {key}: nothing will remove the tombstone of transaction {created}")]
    LostTombstone {
        /// The table.
        table: TableId,
        /// The key, as text.
        key: String,
        /// The transaction that deleted the item.
        created: TxnId,
    },
    /// A name without a table.
    #[error("the name {name:?} stands for table {table}, which does not exist")]
    NameOfNothing {
        /// The name.
        name: String,
        /// The table.
        table: TableId,
    },
    /// A table that no name leads to, and that nothing will free.
    #[error("table {table} has no name, and nothing will free it")]
    LostTable {
        /// The table.
        table: TableId,
    },
    /// A catalog entry that means nothing.
    #[error("a catalog entry means nothing")]
    CatalogEntry,
}

/// Checks an open database.
///
/// # Errors
///
/// Only if the file cannot be looked at at all; whatever is wrong in it becomes a [`Finding`].
///
/// Cost: reads every page in use once, and looks up the older versions that records link to. Memory: two bits for each page of
/// the file, beyond the cache's budget, and what is known of each table.
pub fn verify(store: &Store, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>> {
    verify_pager(&store.shared().pager, progress)
}

/// Checks a file, for whoever opened it without a [`Store`].
pub fn verify_pager(pager: &Pager, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>> {
    let mut census = pager.census()?;
    let newest = TxnId::from(census.commit());
    let horizon = TxnId(census.roots().horizon);
    let catalog = Catalog::at(&census.roots());
    let mut tables = BTreeMap::new();
    dynamite_bptree::verify(&mut census, catalog.tree(), &mut |census, page, key, value| {
        match Catalog::decode_entry(key, value.head()) {
            Some(entry) => tables.extend(entry),
            None => report(census, page, Inconsistency::CatalogEntry),
        }
    });
    let mut check = Check {
        pager,
        newest,
        horizon,
        tables,
        named: BTreeSet::new(),
        cleaned: Cleaned::default(),
        awaits_long_key: None,
        progress,
        told: 0,
    };
    check.histories(&mut census);
    let tables: Vec<_> = check.tables.iter().map(|(table, record)| (*table, *record)).collect();
    for (table, record) in tables {
        match table {
            HISTORY => {}
            TIMES | SNAPSHOTS => dynamite_bptree::verify(&mut census, &record.tree, &mut |_, _, _, _| {}),
            _ => check.table(&mut census, table, &record),
        }
    }
    check.names(&mut census);
    check.tell(&census);
    Ok(census.finish())
}

struct Check<'p> {
    pager: &'p Pager,
    newest: TxnId,
    horizon: TxnId,
    tables: BTreeMap<TableId, TableRecord>,
    /// Tables that have a name, now or in a version that is kept.
    named: BTreeSet<TableId>,
    cleaned: Cleaned,
    /// The last history entry, if its key is to follow.
    awaits_long_key: Option<[u8; VersionKey::SIZE]>,
    progress: &'p mut dyn FnMut(Progress),
    /// Pages that had been looked at when that was last told.
    told: u64,
}

/// Progress is told after so many pages.
const TELL_AFTER: u64 = 256;

/// What the history will clean up.
#[derive(Default)]
struct Cleaned {
    tables: BTreeSet<TableId>,
    /// Items whose tombstones will be removed: tables, and what stands for their keys.
    tombstones: BTreeSet<(TableId, u64)>,
}

impl Check<'_> {
    fn tell(&mut self, census: &Census<'_>) {
        self.told = census.pages_marked();
        (self.progress)(Progress { pages: self.told, of_pages: census.page_count() });
    }

    fn tell_now_and_then(&mut self, census: &Census<'_>) {
        if census.pages_marked() >= self.told + TELL_AFTER {
            self.tell(census);
        }
    }

    fn histories(&mut self, census: &mut Census<'_>) {
        let histories: Vec<(Option<TableId>, Tree)> = self
            .tables
            .iter()
            .filter_map(|(table, record)| match record.retention {
                _ if *table == HISTORY => Some((None, record.tree)),
                Retention::None => None,
                _ => Some((Some(*table), record.history)),
            })
            .collect();
        for (owner, tree) in histories {
            dynamite_bptree::verify(census, &tree, &mut |census, page, key, value| {
                self.tell_now_and_then(census);
                self.history_entry(census, page, owner, key, value);
            });
            if self.awaits_long_key.take().is_some() {
                report(census, tree.root().map_or(PageId(0), |root| root.id), Inconsistency::LostKey);
            }
        }
    }

    fn history_entry(
        &mut self,
        census: &mut Census<'_>,
        page: PageId,
        owner: Option<TableId>,
        key: &[u8],
        value: &Value<'_>,
    ) {
        let Some((at, rest)) = key.split_first_chunk::<{ VersionKey::SIZE }>() else {
            let wrong = Damage::HistoryEntry;
            return report(census, page, self.record_damage(HISTORY, key, wrong));
        };
        // Keys of 13 bytes hold the long keys of the entries before them.
        let awaited = self.awaits_long_key.take();
        if !rest.is_empty() {
            if awaited != Some(*at) {
                report(census, page, Inconsistency::LostKey);
            }
            return;
        }
        if awaited.is_some() {
            report(census, page, Inconsistency::LostKey);
        }
        let version_key = *at;
        let at = VersionKey::from_bytes(at);
        let entry = match history::decode(value) {
            Ok((entry, _)) => entry,
            Err(_) => {
                return report(census, page, self.record_damage(HISTORY, key, Damage::HistoryEntry));
            }
        };
        self.awaits_long_key = entry.long_key.then_some(version_key);
        if !self.tables.contains_key(&entry.table) || owner.is_some_and(|owner| owner != entry.table) {
            return report(census, page, Inconsistency::HistoryOfNothing { table: entry.table });
        }
        let created = entry.version.map_or(TxnId(0), |version| version.created);
        if created >= at.superseded_by || at.superseded_by > self.newest {
            let wrong = Damage::ChainOrder { from: at.superseded_by, to: created };
            report(census, page, self.record_damage(entry.table, &entry.key, wrong));
        }
        if let Some(version) = entry.version {
            self.link(census, page, entry.table, &entry.key, &version);
        }
        if entry.dropped_table {
            self.cleaned.tables.insert(entry.table);
        }
        if entry.names_tombstone {
            self.cleaned.tombstones.insert((entry.table, hash(&entry.key, entry.long_key)));
        }
    }

    fn table(&mut self, census: &mut Census<'_>, table: TableId, record: &TableRecord) {
        let (mut items, mut bytes, mut last_page) = (0, 0, PageId(0));
        dynamite_bptree::verify(census, &record.tree, &mut |census, page, key, value| {
            last_page = page;
            self.tell_now_and_then(census);
            let (found, at) = match Record::decode(value.head()) {
                Ok(decoded) => decoded,
                Err(damage) => return report(census, page, self.record_damage(table, key, damage.into())),
            };
            if found.created > self.newest {
                let (created, newest) = (found.created, self.newest);
                report(census, page, Inconsistency::Future { table, key: text(key), created, newest });
            }
            self.link(census, page, table, key, &found);
            if found.tombstone {
                let long = key.len() > history::LONGEST_INLINE_KEY;
                if !record.freeing && !self.cleaned.tombstones.contains(&(table, hash(key, long))) {
                    let created = found.created;
                    report(census, page, Inconsistency::LostTombstone { table, key: text(key), created });
                }
            } else {
                items += 1;
                bytes += (key.len() + value.len() - at) as u64;
            }
            if table == NAMES
                && let Value::Inline(head) = value
                && !found.tombstone
            {
                self.name(census, page, key, found, &head[at..]);
            }
        });
        // Of a table that is being freed, part of the items is gone.
        if record.freeing {
            return;
        }
        let expected = (record.items, record.bytes);
        if items != expected.0 {
            let wrong = Inconsistency::ItemCount { table, found: items, expected: expected.0 };
            report(census, last_page, wrong);
        }
        if bytes != expected.1 {
            let wrong = Inconsistency::ByteCount { table, found: bytes, expected: expected.1 };
            report(census, last_page, wrong);
        }
    }

    fn name(&mut self, census: &mut Census<'_>, page: PageId, name: &[u8], record: Record, payload: &[u8]) {
        match names::decode(record.created, payload) {
            Ok(info) if self.tables.contains_key(&info.id) => drop(self.named.insert(info.id)),
            Ok(info) => {
                report(census, page, Inconsistency::NameOfNothing { name: text(name), table: info.id });
            }
            Err(_) => report(census, page, self.record_damage(NAMES, name, Damage::Name)),
        }
    }

    /// Every table has a name, or something that frees it.
    fn names(&self, census: &mut Census<'_>) {
        for (table, record) in self.tables.range(FIRST_TABLE..) {
            let will_be_freed = record.freeing || (record.dropped && self.cleaned.tables.contains(table));
            if !will_be_freed && !self.named.contains(table) {
                let page = record.tree.root().map_or(PageId(0), |root| root.id);
                report(census, page, Inconsistency::LostTable { table: *table });
            }
        }
    }

    /// The version that a record links to is there, unless nobody can need it.
    fn link(&self, census: &mut Census<'_>, page: PageId, table: TableId, key: &[u8], record: &Record) {
        let Some(older) = record.older else { return };
        let Some(known) = self.tables.get(&table).filter(|known| !known.freeing) else { return };
        let (horizon, tree) = match known.retention {
            Retention::None => (self.horizon, self.tables.get(&HISTORY).map_or(Tree::EMPTY, |h| h.tree)),
            Retention::Duration(_) => (known.horizon, known.history),
            Retention::Versions(_) => (self.horizon, known.history),
        };
        if older.superseded_by <= horizon {
            return;
        }
        let found = self
            .pager
            .enter()
            .map_err(crate::TxnError::from)
            .and_then(|(mut operation, _)| history::find(&tree, &mut operation, older));
        // What cannot be read was reported where it stands.
        if let Ok(None) = found {
            let superseded_by = older.superseded_by;
            let wrong = Inconsistency::MissingVersion { table, key: text(key), superseded_by, horizon };
            report(census, page, wrong);
        }
    }

    fn record_damage(&self, table: TableId, key: &[u8], source: Damage) -> Inconsistency {
        Inconsistency::Record { table, key: text(key), source }
    }
}

fn report(census: &mut Census<'_>, page: PageId, wrong: Inconsistency) {
    census.report(Extent::single(page), Problem::Malformed(Arc::new(wrong)));
}

/// A key for a message: the beginning, with what is no text escaped.
fn text(key: &[u8]) -> String {
    let shown = key[..key.len().min(64)].escape_ascii().to_string();
    if key.len() > 64 { format!("{shown}… ({} bytes)", key.len()) } else { shown }
}

/// Stands for a key whose tombstone an entry names. Long keys, which stand elsewhere, share one value.
fn hash(key: &[u8], long: bool) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (!long).then_some(key).hash(&mut hasher);
    hasher.finish()
}
