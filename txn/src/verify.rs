//! Checking everything from the catalog down: the trees, the records in them, the history against the horizon, the
//! counts, and that every page of the file is reachable exactly once or free (INV-7).
//!
//! It looks at the newest durable state, on the medium, and changes nothing. On an open database reads and writes go
//! on meanwhile.
//!
//! What is wrong becomes a [`Finding`] of the page on which it stands, whose problem is
//! [`Malformed`](dynamite_pager::Problem::Malformed) with an [`Inconsistency`] inside.

mod inconsistency;

mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use dynamite_bptree::{Body, EntryCheck, Tree, Value, Visit};
use dynamite_pager::{Census, Extent, Finding, Options, PageId, Pager, Problem};

use crate::catalog::{
    Catalog, CatalogEntry, FIRST_TABLE, HISTORY, NAMES, Retention, SNAPSHOTS, TIMES, TableRecord,
};
use crate::error::{Damage, Result};
use crate::history;
use crate::named;
use crate::names;
use crate::record::{Record, RecordDamage};
use crate::store::Store;
use crate::times;
use crate::txn_id::{TableId, TxnId, VersionKey};

pub use crate::verify::inconsistency::Inconsistency;
pub use crate::verify::watch::{Found, Owner, PayloadCheck, Progress, Scope, TreeShape, Watch};
pub use dynamite_pager::Severity;

/// Checks an open database.
///
/// # Errors
///
/// Only if the file cannot be looked at at all; whatever is wrong in it becomes a [`Finding`].
///
/// Cost: reads every page in use once, and looks up the older versions that records link to. Memory: two bits for each page of
/// the file, beyond the cache's budget, what is known of each table, and what is [read ahead](Census::read_ahead): some 24 MiB.
pub fn verify(store: &Store, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>> {
    verify_pager(&store.shared().pager, progress)
}

/// Checks a file, for whoever opened it without a [`Store`].
pub fn verify_pager(pager: &Pager, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>> {
    struct OnlyProgress<'p>(&'p mut dyn FnMut(Progress));
    impl Watch for OnlyProgress<'_> {
        fn progress(&mut self, progress: Progress) {
            (self.0)(progress);
        }
    }
    let found = survey(pager, Scope::Everything, &mut OnlyProgress(progress))?;
    Ok(found.into_iter().map(|found| found.finding).collect())
}

/// Checks a file, or some of it, and shows to `watch` what is in it.
///
/// # Errors
///
/// As [`verify`].
pub fn survey(pager: &Pager, scope: Scope, watch: &mut dyn Watch) -> Result<Vec<Found>> {
    let mut census = pager.census()?;
    let newest = TxnId::from(census.commit());
    let horizon = TxnId(census.roots().horizon);
    let catalog = Catalog::at(&census.roots());
    let (mut tables, mut next) = (BTreeMap::new(), FIRST_TABLE);
    watch.free(&census.free_extents());
    let mut owners = vec![(census.finding_count(), None)];
    dynamite_bptree::verify(&mut census, catalog.tree(), &mut |census, visit| match visit {
        Visit::Page { page, used } => watch.page(Owner::Catalog, page, used),
        Visit::Lost { from, to } => watch.lost(Owner::Catalog, from, to),
        Visit::Entry { leaf, key, value, .. } => match Catalog::decode_entry(key, value.head()) {
            Some(CatalogEntry::Table(table, record)) => drop(tables.insert(table, record)),
            Some(CatalogEntry::NextId(id)) => next = id,
            None => report(census, leaf, Inconsistency::CatalogEntry),
        },
    });
    let catalog_page = catalog.tree().root().map_or(PageId(0), |root| root.id);
    if let Some(highest) = tables.keys().next_back().copied().filter(|highest| *highest >= next) {
        report(&mut census, catalog_page, Inconsistency::NextTable { next, highest });
    }
    let horizons = tables.iter().map(|(table, record)| (Some(*table), record.horizon));
    for (table, horizon) in [(None, horizon)].into_iter().chain(horizons) {
        if horizon > newest {
            let wrong = Inconsistency::FutureHorizon { table, horizon, newest };
            report(&mut census, catalog_page, wrong);
        }
    }
    owners.push((census.finding_count(), Some(Owner::Catalog)));
    let mut check = Check {
        pager,
        newest,
        horizon,
        tables,
        named: BTreeSet::new(),
        cleaned: Cleaned::default(),
        awaits_long_key: None,
        watch,
        owners,
        told: 0,
        is_whole: scope == Scope::Everything,
    };
    check.trees();
    check.histories(&mut census, scope);
    let tables: Vec<_> = check.tables.iter().map(|(table, record)| (*table, *record)).collect();
    for (table, record) in tables.into_iter().filter(|(table, _)| scope.has(Owner::Table(*table))) {
        match table {
            HISTORY => {}
            TIMES => check.times(&mut census, &record.tree),
            SNAPSHOTS => check.snapshots(&mut census, &record.tree),
            _ => check.table(&mut census, table, &record),
        }
    }
    if scope == Scope::Everything {
        check.names(&mut census);
        check.tell(&census);
    }
    let owners = check.owners;
    let owner_of = |nth: usize| owners.iter().find(|(end, _)| nth < *end).and_then(|(_, owner)| *owner);
    let findings = if scope == Scope::Everything { census.finish() } else { census.into_findings() };
    let findings = findings.into_iter().enumerate();
    Ok(findings.map(|(nth, finding)| Found { owner: owner_of(nth), finding }).collect())
}

/// Checks everything in a file, see [`survey`].
pub fn survey_file(path: &Path, watch: &mut dyn Watch) -> Result<Vec<Found>> {
    let options = Options::new().background(false).page_check(dynamite_bptree::check_page);
    survey(&options.open_read_only(path)?, Scope::Everything, watch)
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
    watch: &'p mut dyn Watch,
    /// Up to which finding each tree's findings go.
    owners: Vec<(usize, Option<Owner>)>,
    /// Pages that had been looked at when that was last told.
    told: u64,
    /// Everything is looked at: what is not seen is not there.
    is_whole: bool,
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
        self.watch.progress(Progress { pages: self.told, of_pages: census.page_count() });
    }

    fn tell_now_and_then(&mut self, census: &Census<'_>) {
        if census.pages_marked() >= self.told + TELL_AFTER {
            self.tell(census);
        }
    }

    /// Walks a tree, and hands its entries to `entry`, with the bytes of their runs.
    fn walk(
        &mut self,
        census: &mut Census<'_>,
        owner: Owner,
        tree: &Tree,
        entry: impl FnMut(&mut Self, &mut Census<'_>, PageId, &[u8], &Value<'_>, Option<&[u8]>),
    ) {
        self.walk_checking(census, owner, tree, None, entry);
    }

    /// As [`walk`](Self::walk), with something that looks at each entry by itself.
    fn walk_checking(
        &mut self,
        census: &mut Census<'_>,
        owner: Owner,
        tree: &Tree,
        check: Option<EntryCheck>,
        mut entry: impl FnMut(&mut Self, &mut Census<'_>, PageId, &[u8], &Value<'_>, Option<&[u8]>),
    ) {
        self.owners.push((census.finding_count(), None));
        dynamite_bptree::verify_entries(census, tree, check, &mut |census, visit| match visit {
            Visit::Page { page, used } => {
                self.tell_now_and_then(census);
                self.watch.page(owner, page, used);
            }
            Visit::Lost { from, to } => self.watch.lost(owner, from, to),
            Visit::Entry { leaf, key, value, body } => entry(self, census, leaf, key, &value, body),
        });
        self.owners.push((census.finding_count(), Some(owner)));
    }

    /// Shows all trees.
    fn trees(&mut self) {
        for (table, record) in &self.tables {
            let TableRecord { tree, history, items, bytes, dropped, .. } = *record;
            let shape = |owner, tree: Tree, items, bytes| TreeShape {
                owner,
                root: tree.root(),
                level: tree.level(),
                entries: tree.len(),
                items,
                bytes,
                dropped,
            };
            self.watch.tree(shape(Owner::Table(*table), tree, items, bytes));
            if record.retention != Retention::None {
                self.watch.tree(shape(Owner::HistoryOf(*table), history, 0, 0));
            }
        }
    }

    fn histories(&mut self, census: &mut Census<'_>, scope: Scope) {
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
            let of = owner.map_or(Owner::Table(HISTORY), Owner::HistoryOf);
            if !scope.has(of) {
                continue;
            }
            self.walk(census, of, &tree, |check, census, page, key, value, _| {
                check.history_entry(census, page, owner, key, value);
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
            if awaited != Some(*at) || rest != [history::KEY_ENTRY] {
                report(census, page, Inconsistency::LostKey);
            }
            return;
        }
        if awaited.is_some() {
            report(census, page, Inconsistency::LostKey);
        }
        let version_key = *at;
        let at = VersionKey::from_bytes(at);
        let (mut entry, payload) = match history::decode(value) {
            Ok(decoded) => decoded,
            Err(_) => {
                return report(census, page, self.record_damage(HISTORY, key, Damage::HistoryEntry));
            }
        };
        self.awaits_long_key = entry.long_key.then_some(version_key);
        let Some(about) = self.tables.get(&entry.table) else {
            return report(census, page, Inconsistency::HistoryOfNothing { table: entry.table });
        };
        // That a table was dropped stands in the common history, whatever keeps the table's versions.
        let elsewhere = match owner {
            Some(owner) => owner != entry.table,
            None => entry.version.is_some() && about.retention != Retention::None,
        };
        if elsewhere {
            return report(census, page, Inconsistency::MisplacedHistory { table: entry.table });
        }
        if entry.dropped_table && !about.dropped {
            report(census, page, Inconsistency::NotDropped { table: entry.table });
        }
        let has_payload = !matches!(payload, Body::Bytes([]));
        if has_payload && entry.version.is_none() {
            report(census, page, self.record_damage(HISTORY, key, Damage::HistoryEntry));
        }
        // Without its long key, which the next entry must be, nothing can be said about its item.
        let common = self.tables.get(&HISTORY).map_or(Tree::EMPTY, |history| history.tree);
        let tree = owner.map_or(common, |_| about.history);
        if self.load_key(&tree, at, &mut entry).is_none() {
            return;
        }
        let created = entry.version.map_or(TxnId(0), |version| version.created);
        if created >= at.superseded_by || at.superseded_by > self.newest {
            let wrong = Damage::ChainOrder { from: at.superseded_by, to: created };
            report(census, page, self.record_damage(entry.table, &entry.key, wrong));
        }
        if let Some(version) = entry.version {
            if version.tombstone && has_payload {
                let wrong = RecordDamage::TombstonePayload { len: value.len() };
                report(census, page, self.record_damage(entry.table, &entry.key, wrong.into()));
            }
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
        let is_named = self.named.contains(&table);
        let payloads = if is_named { self.watch.payload_check(table) } else { None };
        let (owner, each) = (Owner::Table(table), payloads.map(check_payloads));
        self.walk_checking(census, owner, &record.tree, each, |check, census, page, key, value, body| {
            last_page = page;
            let (found, at) = match Record::decode(value.head()) {
                Ok(decoded) => decoded,
                Err(damage) => return report(census, page, check.record_damage(table, key, damage.into())),
            };
            if found.created > check.newest {
                let (created, newest) = (found.created, check.newest);
                report(census, page, Inconsistency::Future { table, key: text(key), created, newest });
            }
            if let Value::Spilled { head, .. } = value
                && head.len() != at
            {
                let wrong = RecordDamage::Short { len: at };
                report(census, page, check.record_damage(table, key, wrong.into()));
            } else if found.tombstone && value.len() > at {
                let wrong = RecordDamage::TombstonePayload { len: value.len() - at };
                report(census, page, check.record_damage(table, key, wrong.into()));
            }
            check.link(census, page, table, key, &found);
            if found.tombstone {
                let long = key.len() > history::LONGEST_INLINE_KEY;
                if check.is_whole
                    && !record.freeing
                    && !check.cleaned.tombstones.contains(&(table, hash(key, long)))
                {
                    let created = found.created;
                    report(census, page, Inconsistency::LostTombstone { table, key: text(key), created });
                }
            } else {
                items += 1;
                bytes += (key.len() + value.len() - at) as u64;
            }
            // What cannot be read was reported where it stands.
            if let Some(body) = body
                && table == NAMES
                && !found.tombstone
            {
                check.name(census, page, key, found, payload(value, at, body));
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
        self.owners.push((census.finding_count(), Some(Owner::Table(table))));
    }

    fn name(&mut self, census: &mut Census<'_>, page: PageId, name: &[u8], record: Record, payload: &[u8]) {
        let Ok(info) = names::decode(record.created, payload) else {
            return report(census, page, self.record_damage(NAMES, name, Damage::Name));
        };
        let table = info.id;
        let known = self.tables.get(&table).filter(|known| !known.dropped && !known.freeing);
        let Some(known) = known else {
            return report(census, page, Inconsistency::NameOfNothing { name: text(name), table });
        };
        let (described, created) = (known.described, record.created);
        self.watch.name(name, &info);
        if !self.named.insert(table) {
            report(census, page, Inconsistency::NamedTwice { name: text(name), table });
        } else if described != created {
            report(census, page, Inconsistency::Description { name: text(name), described, created });
        }
    }

    /// The times ascend together with the transactions.
    fn times(&mut self, census: &mut Census<'_>, tree: &Tree) {
        let mut last = TxnId(0);
        self.walk(
            census,
            Owner::Table(TIMES),
            tree,
            |check, census, page, key, value, _| match times::decode(key, value.head()) {
                Ok((_, txn)) if txn > check.newest => {
                    let (created, newest) = (txn, check.newest);
                    let key = text(key);
                    report(census, page, Inconsistency::Future { table: TIMES, key, created, newest });
                }
                Ok((_, txn)) if txn > last => last = txn,
                _ => report(census, page, check.record_damage(TIMES, key, Damage::Time)),
            },
        );
    }

    fn snapshots(&mut self, census: &mut Census<'_>, tree: &Tree) {
        let (newest, horizon) = (self.newest, self.horizon);
        self.walk(census, Owner::Table(SNAPSHOTS), tree, |check, census, page, name, value, _| {
            match named::decode(value.head()) {
                Ok(named) if named.txn > newest => {
                    let (key, created) = (text(name), named.txn);
                    report(census, page, Inconsistency::Future { table: SNAPSHOTS, key, created, newest });
                }
                Ok(named) if named.txn < horizon => {
                    let (name, txn) = (text(name), named.txn);
                    report(census, page, Inconsistency::LostSnapshot { name, txn, horizon });
                }
                Ok(_) => {}
                Err(_) => {
                    report(census, page, check.record_damage(SNAPSHOTS, name, Damage::NamedSnapshot));
                }
            }
        });
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
        // What cannot be read was reported where it stands.
        let Some(found) = self.find_version(&tree, older) else { return };
        let (item, superseded_by) = (text(key), older.superseded_by);
        let wrong = match found {
            Some(entry) if entry.table != table || entry.key != key => {
                Inconsistency::ForeignVersion { table, key: item, superseded_by }
            }
            Some(history::Entry { version: Some(version), .. }) if version.created < record.created => return,
            Some(history::Entry { version: Some(version), .. }) => {
                let source = Damage::ChainOrder { from: record.created, to: version.created };
                Inconsistency::Record { table, key: item, source }
            }
            _ => Inconsistency::MissingVersion { table, key: item, superseded_by, horizon },
        };
        report(census, page, wrong);
    }

    /// The history entry at a place, with its key. `None` if it cannot be read.
    fn find_version(&self, tree: &Tree, at: VersionKey) -> Option<Option<history::Entry>> {
        let (mut operation, _) = self.pager.enter().ok()?;
        let mut found = history::find(tree, &mut operation, at).ok()?;
        if let Some(entry) = &mut found {
            history::load_key(tree, &mut operation, at, entry).ok()?;
        }
        Some(found)
    }

    /// Looks up an entry's key, if that is long. `None` if it cannot be read.
    fn load_key(&self, tree: &Tree, at: VersionKey, entry: &mut history::Entry) -> Option<()> {
        let (mut operation, _) = self.pager.enter().ok()?;
        history::load_key(tree, &mut operation, at, entry).ok()
    }

    fn record_damage(&self, table: TableId, key: &[u8], source: Damage) -> Inconsistency {
        Inconsistency::Record { table, key: text(key), source }
    }
}

/// Looks at the payloads of entries that are live items.
fn check_payloads(check: PayloadCheck) -> EntryCheck {
    Arc::new(move |key, value, body| {
        let (record, at) = Record::decode(value.head()).ok()?;
        if record.tombstone { None } else { check(key, payload(value, at, body)) }
    })
}

/// What stands behind a record, which ends there.
fn payload<'a>(value: &Value<'a>, at: usize, body: &'a [u8]) -> &'a [u8] {
    if body.is_empty() { &value.head()[at..] } else { body }
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
