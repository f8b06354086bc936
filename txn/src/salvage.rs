//! Getting what is left out of a damaged database: every current item that can be read, and what cannot.
//!
//! # What is looked at
//!
//! 1. The state that an open would find; else that of the newest header that can be used; and if there is none, one that is guessed: of all
//!    whole pages that look like the catalog's, those of the newest batch.
//! 2. The catalog. What cannot be read of it is replaced by older versions of its pages, as far as these are still somewhere in
//!    the file. They lead to trees of that time, whose pages may have been replaced since; then (4) finds those.
//! 3. Each table's tree, as a check walks it. What cannot be seen is a range of keys.
//! 4. Leaves that nothing leads to, since pages above them cannot be read. They are not free, and nobody has counted them.
//!    Whose they are their items say: the key must lie in a range that was lost, and whoever receives the items says whether one
//!    can be of that table. The oldest come first, so that newer versions of an item replace older ones.
//!
//! Superseded versions, tombstones and dropped tables are left behind.

use std::collections::BTreeMap;
use std::path::Path;

use dynamite_bptree::{Tree, Value, Visit};
use dynamite_pager::{
    Birth, Census, HeaderContents, Inspection, Options, Page, PageId, PageKind, PagePtr, Pager, Roots,
};

use crate::catalog::{Catalog, CatalogEntry, FIRST_TABLE, NAMES, Retention, TableRecord};
use crate::error::Result;
use crate::names::{self, TableInfo};
use crate::record::Record;
use crate::txn_id::{TableId, TxnId};

/// Bytes of the buffer pool, which is hardly used: pages are read past it.
const CACHE_BYTES: usize = 4 << 20;

/// Takes what is salvaged.
pub trait Receive {
    /// What goes wrong with those who take it.
    type Error;

    /// A table. Tables come before their items. `info` is what is known of its name; none if that cannot be read.
    fn table(
        &mut self,
        table: TableId,
        name: Option<(&[u8], &TableInfo)>,
        shape: TableShape,
    ) -> Result<(), Self::Error>;

    /// An item. It may come a second time, in a newer version.
    fn item(&mut self, table: TableId, key: &[u8], version: TxnId, payload: &[u8])
    -> Result<(), Self::Error>;

    /// Whether an item can be of a table: asked of items in pages that nothing leads to.
    fn can_be_of(&self, table: TableId, key: &[u8], payload: &[u8]) -> bool;

    /// Keys that cannot be read where they belong, from one up to another; `None`: from the beginning, to the end.
    fn lost(&mut self, table: TableId, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<(), Self::Error>;

    /// How many of the pages of a file have been looked at.
    fn progress(&mut self, _pages: u64, _of: u64) {}
}

/// What the catalog says of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// Live items.
    pub items: u64,
    /// Which superseded versions it keeps.
    pub retention: Retention,
}

/// What was found on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// No header could be used: what was read is the newest state that could be guessed.
    pub guessed: bool,
    /// Part of the catalog could not be read, and older versions of it were used.
    pub old_catalog: bool,
    /// The free space could not be read, so what was deleted may have been found again.
    pub free_space_unknown: bool,
    /// Items that stood in pages that nothing leads to.
    pub stray_items: u64,
    /// Leaves that nothing leads to, of whose items none was taken.
    pub stray_pages: u64,
}

/// Reads everything that is left of a database. Nothing is written to it.
///
/// # Errors
///
/// Those of an open, if not even a state can be guessed; and those of `into`.
pub fn salvage<R: Receive>(path: &Path, into: &mut R) -> Result<Outcome, R::Error>
where
    R::Error: From<crate::error::TxnError>,
{
    let txn_error = |error: dynamite_pager::PagerError| crate::error::TxnError::from(error);
    let options =
        Options::new().background(false).cache_bytes(CACHE_BYTES).page_check(dynamite_bptree::check_page);
    let mut outcome = Outcome::default();
    let pager = match options.open_damaged(path, None) {
        Ok(pager) => pager,
        Err(
            error @ (dynamite_pager::PagerError::NoValidHeader { .. }
            | dynamite_pager::PagerError::Corrupt { .. }),
        ) => {
            let Some(guess) = guess(path).map_err(txn_error)? else { return Err(txn_error(error).into()) };
            outcome.guessed = true;
            options.open_damaged(path, Some(guess)).map_err(txn_error)?
        }
        Err(error) => return Err(txn_error(error).into()),
    };
    Salvage::begin(&pager, into, outcome)?.run()
}

/// Keys that were lost where they belong.
type LostRange = (Option<Vec<u8>>, Option<Vec<u8>>);

struct Salvage<'p, 'r, R: Receive> {
    census: Census<'p>,
    into: &'r mut R,
    tables: BTreeMap<TableId, TableRecord>,
    names: BTreeMap<TableId, (Vec<u8>, TableInfo)>,
    lost: BTreeMap<TableId, Vec<LostRange>>,
    outcome: Outcome,
}

impl<'p, 'r, R: Receive> Salvage<'p, 'r, R>
where
    R::Error: From<crate::error::TxnError>,
{
    fn begin(pager: &'p Pager, into: &'r mut R, mut outcome: Outcome) -> Result<Self, R::Error> {
        let census = pager.census().map_err(crate::error::TxnError::from)?;
        // What is wrong with headers is no news; the rest is about the free space.
        let is_about_space =
            |finding: &dynamite_pager::Finding| finding.pages.is_none_or(|pages| pages.first > PageId(1));
        outcome.free_space_unknown = census.findings().iter().any(is_about_space);
        let (tables, names, lost) = Default::default();
        Ok(Salvage { census, into, tables, names, lost, outcome })
    }

    fn run(mut self) -> Result<Outcome, R::Error> {
        self.read_catalog();
        self.read_names()?;
        let tables: Vec<(TableId, TableRecord)> = self
            .tables
            .range(FIRST_TABLE..)
            .filter(|(_, record)| !record.dropped && !record.freeing)
            .map(|(table, record)| (*table, *record))
            .collect();
        for (table, record) in &tables {
            let shape = TableShape { items: record.items, retention: record.retention };
            let name = self.names.get(table).map(|(name, info)| (&name[..], info));
            self.into.table(*table, name, shape)?;
        }
        // Whatever a table does not have, its history or its index may; they are walked so that their pages are no strays.
        for (table, record) in &tables {
            self.walk_table(*table, record)?;
            self.mark(&record.history);
        }
        let system: Vec<Tree> = self.tables.range(..FIRST_TABLE).map(|(_, record)| record.tree).collect();
        system.iter().for_each(|tree| self.mark(tree));
        let dropped: Vec<Tree> = self
            .tables
            .values()
            .filter(|record| record.dropped || record.freeing)
            .flat_map(|record| [record.tree, record.history])
            .collect();
        dropped.iter().for_each(|tree| self.mark(tree));
        if !self.lost.is_empty() {
            self.strays()?;
        }
        Ok(self.outcome)
    }

    /// Reads what the catalog says of the tables; what is lost of it, in older versions.
    fn read_catalog(&mut self) {
        let tree = *Catalog::at(&self.census.roots()).tree();
        let mut tables = BTreeMap::new();
        let mut is_whole = true;
        dynamite_bptree::verify(&mut self.census, &tree, &mut |_, visit| match visit {
            Visit::Entry { key, value, .. } => {
                if let Some(CatalogEntry::Table(table, record)) = Catalog::decode_entry(key, value.head()) {
                    tables.insert(table, record);
                }
            }
            Visit::Lost { .. } => is_whole = false,
            Visit::Page { .. } => {}
        });
        if !is_whole {
            self.outcome.old_catalog = true;
            // Free pages too: the version before the one that is damaged was freed with it.
            let mut found: BTreeMap<TableId, (Birth, TableRecord)> = BTreeMap::new();
            self.census.each_whole_page(&mut |page| {
                for (table, record) in catalog_entries(page).unwrap_or_default() {
                    let known = found.entry(table).or_insert((page.birth(), record));
                    if known.0 < page.birth() {
                        *known = (page.birth(), record);
                    }
                }
            });
            for (table, (_, record)) in found {
                tables.entry(table).or_insert(record);
            }
            // What these lead to may have been replaced since, and is free then: the leaves that took its place are strays.
            self.census.shun_free_pages();
        }
        self.tables = tables;
    }

    /// Reads the names of tables, with what is kept with them.
    fn read_names(&mut self) -> Result<(), R::Error> {
        let Some(record) = self.tables.get(&NAMES).copied() else { return Ok(()) };
        let mut names: BTreeMap<TableId, (Vec<u8>, TableInfo)> = BTreeMap::new();
        let mut lost = Vec::new();
        let mut take = |name: &[u8], version: TxnId, payload: &[u8]| {
            if let Ok(info) = names::decode(version, payload)
                && names.get(&info.id).is_none_or(|(_, known)| known.version < version)
            {
                names.insert(info.id, (name.to_vec(), info));
            }
        };
        walk(&mut self.census, &record.tree, &mut |found| match found {
            Seen::Item { key, version, payload } => take(key, version, payload),
            Seen::Lost(range) => lost.push(range),
        });
        if !lost.is_empty() {
            // Names in older versions of their pages are better than none.
            let mut leaves = Vec::new();
            self.census.each_whole_page(&mut |page| {
                let is_leaf = dynamite_bptree::kind_name(page.kind()) == Some("leaf");
                if is_leaf && looks_like_names(page) {
                    leaves.push(page.clone());
                }
            });
            for page in leaves {
                for (name, version, payload) in records(&page) {
                    take(&name, version, &payload);
                }
            }
        }
        self.names = names;
        Ok(())
    }

    fn walk_table(&mut self, table: TableId, record: &TableRecord) -> Result<(), R::Error> {
        let mut failed = Ok(());
        let into = &mut *self.into;
        let lost = &mut self.lost;
        let mut seen = 0;
        let of = self.census.page_count();
        let marked = self.census.pages_marked();
        walk(&mut self.census, &record.tree, &mut |found| {
            if failed.is_err() {
                return;
            }
            seen += 1;
            if seen % 4096 == 0 {
                into.progress(marked, of);
            }
            failed = match found {
                Seen::Item { key, version, payload } => into.item(table, key, version, payload),
                Seen::Lost((from, to)) => {
                    let told = into.lost(table, from.as_deref(), to.as_deref());
                    lost.entry(table).or_default().push((from, to));
                    told
                }
            };
        });
        failed
    }

    /// Counts the pages of a tree whose items nobody wants.
    fn mark(&mut self, tree: &Tree) {
        dynamite_bptree::verify(&mut self.census, tree, &mut |_, _| {});
    }

    /// Looks for lost items in leaves that nothing leads to, the oldest first.
    fn strays(&mut self) -> Result<(), R::Error> {
        let mut leaves: Vec<PagePtr> = Vec::new();
        self.census.each_stray(&mut |page| {
            if dynamite_bptree::kind_name(page.kind()) == Some("leaf") {
                leaves.push(PagePtr { id: page.id(), birth: page.birth() });
            }
        });
        leaves.sort_unstable_by_key(|ptr| (ptr.birth, ptr.id));
        for leaf in leaves {
            let mut failed = Ok(());
            let Salvage { census, into, lost, outcome, .. } = self;
            let before = outcome.stray_items;
            walk(census, &Tree::from_parts(Some(leaf), 0, 0), &mut |found| {
                let Seen::Item { key, version, payload } = found else { return };
                let table = lost
                    .iter()
                    .filter(|(_, ranges)| ranges.iter().any(|range| is_within(range, key)))
                    .map(|(table, _)| *table)
                    .find(|table| into.can_be_of(*table, key, payload));
                if let Some(table) = table.filter(|_| failed.is_ok()) {
                    outcome.stray_items += 1;
                    failed = into.item(table, key, version, payload);
                }
            });
            outcome.stray_pages += u64::from(outcome.stray_items == before);
            failed?;
        }
        Ok(())
    }
}

fn is_within((from, to): &LostRange, key: &[u8]) -> bool {
    from.as_ref().is_none_or(|from| key >= &from[..]) && to.as_ref().is_none_or(|to| key < &to[..])
}

/// What a walk over a table comes to.
enum Seen<'a> {
    Item { key: &'a [u8], version: TxnId, payload: &'a [u8] },
    Lost(LostRange),
}

/// Walks a table's tree: its live items, and what cannot be read.
fn walk(census: &mut Census<'_>, tree: &Tree, take: &mut dyn FnMut(Seen<'_>)) {
    dynamite_bptree::verify(census, tree, &mut |_, visit| match visit {
        Visit::Page { .. } => {}
        Visit::Lost { from, to } => {
            take(Seen::Lost((from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec))));
        }
        Visit::Entry { key, value, body, .. } => {
            let payload = Record::decode(value.head()).ok().zip(body);
            match payload {
                Some(((record, _), _)) if record.tombstone => {}
                Some(((record, at), body)) => {
                    let payload = match value {
                        Value::Inline(bytes) => &bytes[at..],
                        Value::Spilled { .. } => body,
                    };
                    take(Seen::Item { key, version: record.created, payload });
                }
                None => take(Seen::Lost((Some(key.to_vec()), Some([key, &[0]].concat())))),
            }
        }
    });
}

/// The entries of a page that looks like a leaf of the catalog: all of its entries are the catalog's.
fn catalog_entries(page: &Page) -> Option<Vec<(TableId, TableRecord)>> {
    if dynamite_bptree::kind_name(page.kind()) != Some("leaf") {
        return None;
    }
    let view = dynamite_bptree::describe(page);
    let mut tables = Vec::new();
    for entry in &view.entries {
        match Catalog::decode_entry(&entry.key, &entry.value)? {
            CatalogEntry::Table(table, record) => tables.push((table, record)),
            CatalogEntry::NextId(_) => {}
        }
    }
    Some(tables).filter(|tables| !tables.is_empty())
}

/// Whether all of a leaf's live records are those of names.
fn looks_like_names(page: &Page) -> bool {
    let records = records(page);
    !records.is_empty()
        && records.iter().all(|(name, version, payload)| {
            let info = names::decode(*version, payload);
            info.is_ok_and(|info| info.id.0 < 1 << 24) && name.iter().all(|byte| *byte < 0x80)
        })
}

/// The live records of a leaf whose payloads stand in it.
fn records(page: &Page) -> Vec<(Vec<u8>, TxnId, Vec<u8>)> {
    let entries = dynamite_bptree::describe(page).entries;
    let inline = entries.into_iter().filter(|entry| entry.run.is_none());
    inline
        .filter_map(|entry| {
            let (record, at) = Record::decode(&entry.value).ok()?;
            (!record.tombstone).then(|| (entry.key, record.created, entry.value[at..].to_vec()))
        })
        .collect()
}

/// The newest state of a database without a header, as far as it can be guessed: the root of the catalog is written by every batch that changes
/// anything, so it is the newest of the pages that can be it.
fn guess(path: &Path) -> dynamite_pager::Result<Option<([u8; 16], HeaderContents)>> {
    let inspection = Inspection::open(path)?;
    let Some(database_id) = inspection.database_id() else { return Ok(None) };
    let page_count = inspection.page_count()?;
    let (mut newest, mut space) = (Birth(0), None::<PagePtr>);
    let mut leaves: BTreeMap<PageId, (Birth, u64)> = BTreeMap::new();
    inspection.each_page(&mut |id, page, checked| {
        if id < PageId(2) || checked.is_err() {
            return;
        }
        newest = newest.max(page.birth());
        if page.kind() == PageKind::SPACE_ROOT {
            let ptr = PagePtr { id, birth: page.birth() };
            space = space.filter(|space| space.birth > ptr.birth).or(Some(ptr));
        }
        if catalog_entries(page).is_some() {
            leaves.insert(id, (page.birth(), page.slot_count().into()));
        }
    })?;
    // A page that leads to such leaves and nothing else is the root of a catalog of many tables.
    let newest_leaf = leaves.iter().max_by_key(|(_, (birth, _))| *birth);
    let mut root =
        newest_leaf.map(|(id, (birth, entries))| (PagePtr { id: *id, birth: *birth }, 0_u8, *entries));
    inspection.each_page(&mut |id, page, checked| {
        let is_inner = dynamite_bptree::kind_name(page.kind()) == Some("inner node") && page.level() == 1;
        if !is_inner || checked.is_err() || root.is_some_and(|(root, ..)| root.birth > page.birth()) {
            return;
        }
        let children = dynamite_bptree::describe(page).children;
        let known = children.iter().map(|child| {
            leaves.get(&child.id).filter(|(birth, _)| *birth == child.birth).map(|(_, entries)| entries)
        });
        if let Some(entries) = known.sum::<Option<u64>>() {
            root = Some((PagePtr { id, birth: page.birth() }, 1, entries));
        }
    })?;
    Ok(root.map(|(root, level, entries)| {
        let roots =
            Roots { catalog: Some(root), catalog_shape: entries << 8 | u64::from(level), ..Roots::default() };
        let space_root = space.unwrap_or(PagePtr { id: PageId(2), birth: Birth(0) });
        (database_id, HeaderContents { commit: newest, page_count, space_root, roots })
    }))
}
