//! A database with all that there is in it, and the means to forge it: pages, records and entries that say something else
//! than what was written, with good checksums, correct births and correct counts around them.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its own part")]

pub(crate) mod expect;
pub(crate) mod live;

use std::sync::Arc;
use std::time::Duration;

use dynamite_bptree::{Body, NewValue, Tree, Value, check_page};
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::format::checksum::DatabaseSeed;
use dynamite_pager::{Access, Finding, Operation, PageId, PageKind, PagePtr, Pager, Roots, WriteBatch};
use dynamite_txn::verify::verify;
use dynamite_txn::{ManualClock, Options, Result, Retention, Store, TableId};

use crate::common::DATABASE_ID;

/// See the table in `catalog.rs`.
pub(crate) const NAMES: TableId = TableId(0);
pub(crate) const HISTORY: TableId = TableId(1);
pub(crate) const TIMES: TableId = TableId(2);
pub(crate) const SNAPSHOTS: TableId = TableId(3);
/// The tables of the sample, in the order of their creation.
pub(crate) const PLAIN: TableId = TableId(16);
pub(crate) const KEPT: TableId = TableId(17);
pub(crate) const COUNTED: TableId = TableId(18);
pub(crate) const GONE: TableId = TableId(19);
pub(crate) const FREED: TableId = TableId(20);

const TABLES: [(&str, TableId, Retention); 5] = [
    ("plain", PLAIN, Retention::None),
    ("kept", KEPT, Retention::Duration(Duration::from_secs(3600))),
    ("counted", COUNTED, Retention::Versions(3)),
    ("gone", GONE, Retention::None),
    ("freed", FREED, Retention::None),
];

/// The names of the sample's snapshots.
const SNAPSHOT_NAMES: [&[u8]; 2] = [b"before", b"between"];

fn options(now_ms: u64) -> (Options, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now_ms));
    (Options::new(clock.clone()).background(false).cache_bytes(2 << 20), clock)
}

pub(crate) fn open(disk: &DiskSim, writable: bool) -> Result<Store> {
    options(20_000).0.open_on(Arc::new(disk.clone()), writable)
}

fn open_pager(disk: &DiskSim, writable: bool) -> Pager {
    let options =
        dynamite_pager::Options::new().cache_bytes(2 << 20).background(false).page_check(check_page);
    options.open_on(Arc::new(disk.clone()), writable).expect("the sample is whole")
}

/// The key of an item: most are short, some spill within and without a common prefix, one is long and all zeros.
pub(crate) fn key(number: u32) -> Vec<u8> {
    let mut key = format!("key {number:04}").into_bytes();
    match number % 16 {
        3 => key.resize(450, b'.'),
        4 => key = [&[b'k'; 500][..], &number.to_be_bytes()].concat(),
        5 if number == 5 => key = vec![0; 9_000],
        _ => {}
    }
    key
}

/// A payload: most are in the leaf, some in pages of their own.
fn payload(number: u32, version: u32) -> Vec<u8> {
    let len = match number % 16 {
        1 => 5_000,
        2 => 2_200,
        9 if number == 9 => 300_000,
        _ => 20 + number as usize % 60,
    };
    vec![(number + version) as u8; len]
}

/// Items of the table [`PLAIN`], and of the others.
pub(crate) const PLAIN_ITEMS: u32 = 160;
const OTHER_ITEMS: u32 = 24;

/// A sealed database with tables of every retention, inner nodes, long keys, large values (one of them in pieces), tombstones,
/// chains of versions, a dropped table that a snapshot sees, one whose pages are being freed, named snapshots and times.
pub(crate) fn sample() -> DiskSim {
    let disk = DiskSim::new(3);
    let (options, clock) = options(1_000);
    let store = options.create_on(Arc::new(disk.clone()), DATABASE_ID).expect("nothing fails");
    let commit = |change: &dyn Fn(&mut dynamite_txn::WriteTxn<'_>) -> Result<()>| {
        clock.advance(700);
        store.write(change).expect("nothing fails");
    };
    commit(&|txn| {
        for (name, table, retention) in TABLES {
            assert_eq!(txn.create_table(name.as_bytes(), b"what is kept with it", retention)?, table);
        }
        Ok(())
    });
    commit(&|txn| (0..800).try_for_each(|number| txn.put(FREED, &key(16 * number), &[7; 2_100])));
    commit(&|txn| (0..800).step_by(2).try_for_each(|number| txn.delete(FREED, &key(16 * number)).map(drop)));
    store.maintain().expect("nothing fails");
    // Long values that are deleted between others leave holes, so that the next large one comes to stand in pieces. Each transaction
    // collects some of them; maintenance would do that at once, and close the holes.
    commit(&|txn| (801..841).try_for_each(|number| txn.put(FREED, &key(16 * number), &[7; 30_000])));
    commit(&|txn| {
        (801..841).step_by(2).try_for_each(|number| txn.delete(FREED, &key(16 * number)).map(drop))
    });
    for _ in 0..20 {
        store.write(|txn| txn.put(FREED, &key(0), &[7; 2_100])).expect("nothing fails");
    }
    commit(&|txn| (0..PLAIN_ITEMS).try_for_each(|number| txn.put(PLAIN, &key(number), &payload(number, 0))));
    for version in 0..4 {
        commit(&|txn| {
            for table in [KEPT, COUNTED, GONE] {
                for number in 0..OTHER_ITEMS {
                    txn.put(table, &key(number), &payload(number, version))?;
                }
            }
            Ok(())
        });
    }
    commit(&|txn| txn.drop_table(b"freed").map(drop));
    for (round, name) in (1..).zip(SNAPSHOT_NAMES) {
        commit(&|txn| txn.create_snapshot(name).map(drop));
        commit(&|txn| {
            for number in (0..PLAIN_ITEMS).filter(|number| number % 8 < 7) {
                txn.put(PLAIN, &key(number), &payload(number, round))?;
            }
            for table in [KEPT, COUNTED] {
                for number in 0..OTHER_ITEMS / 2 {
                    txn.put(table, &key(number), &payload(number, round))?;
                }
            }
            Ok(())
        });
    }
    commit(&|txn| {
        for (table, from) in [(PLAIN, PLAIN_ITEMS / 2), (KEPT, 0), (COUNTED, 0)] {
            for number in from..from + 10 {
                assert!(txn.delete(table, &key(number))?);
            }
        }
        txn.drop_table(b"gone").map(drop)
    });
    let findings = verify(&store, &mut |_| {}).expect("the file can be looked at");
    assert!(findings.is_empty(), "{findings:?}");
    store.close().expect("nothing fails");
    disk.after_kill()
}

/// A tree of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Catalog,
    Table(TableId),
    /// The history of a table with retention.
    HistoryOf(TableId),
}

/// Where in a table's record its trees stand, see `catalog.rs`.
pub(crate) const RECORD_TREE: usize = 0;
pub(crate) const RECORD_HISTORY: usize = 54;

/// Changes what trees hold, past the layer that knows what it means.
pub(crate) struct Forger<'p> {
    pub(crate) batch: WriteBatch<'p>,
    catalog: Tree,
}

/// A copy of the database in which something was changed in a way that no page can tell.
pub(crate) fn forge(disk: &DiskSim, change: impl FnOnce(&mut Forger<'_>)) -> DiskSim {
    let disk = disk.after_kill();
    let pager = open_pager(&disk, true);
    {
        let batch = pager.begin().expect("nothing fails");
        let catalog = catalog_of(&batch.roots());
        let mut forger = Forger { batch, catalog };
        change(&mut forger);
        let Forger { mut batch, catalog } = forger;
        let catalog_shape = catalog.len() << 8 | u64::from(catalog.level());
        batch.set_roots(Roots { catalog: catalog.root(), catalog_shape, ..batch.roots() });
        batch.commit().expect("nothing fails");
    }
    pager.close().expect("nothing fails");
    disk.after_kill()
}

fn catalog_of(roots: &Roots) -> Tree {
    Tree::from_parts(roots.catalog, roots.catalog_shape as u8, roots.catalog_shape >> 8)
}

pub(crate) fn catalog_key(table: TableId) -> [u8; 4] {
    table.0.to_be_bytes()
}

impl Forger<'_> {
    pub(crate) fn tree(&mut self, place: Place) -> Tree {
        let (table, at) = match place {
            Place::Catalog => return self.catalog,
            Place::Table(table) => (table, RECORD_TREE),
            Place::HistoryOf(table) => (table, RECORD_HISTORY),
        };
        let record = self.get(Place::Catalog, &catalog_key(table));
        Tree::from_bytes(record[at..at + Tree::SIZE].try_into().expect("21 bytes"))
    }

    fn set_tree(&mut self, place: Place, tree: Tree) {
        let (table, at) = match place {
            Place::Catalog => return self.catalog = tree,
            Place::Table(table) => (table, RECORD_TREE),
            Place::HistoryOf(table) => (table, RECORD_HISTORY),
        };
        self.edit(Place::Catalog, &catalog_key(table), |record| {
            record[at..at + Tree::SIZE].copy_from_slice(&tree.to_bytes());
        });
    }

    /// What stands in the leaf under a key that is there.
    pub(crate) fn get(&mut self, place: Place, key: &[u8]) -> Vec<u8> {
        let tree = self.tree(place);
        let value = tree.get(&mut self.batch, key).expect("the sample is whole");
        value.unwrap_or_else(|| panic!("{place:?} has no {key:?}")).head().to_vec()
    }

    /// Changes what stands in the leaf under a key that is there; pages of its own stay.
    pub(crate) fn edit(&mut self, place: Place, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        let mut tree = self.tree(place);
        let value = tree.get(&mut self.batch, key).expect("the sample is whole");
        let value = value.unwrap_or_else(|| panic!("{place:?} has no {key:?}"));
        let mut head = value.head().to_vec();
        let run = match value {
            Value::Inline(_) => None,
            Value::Spilled { run, .. } => Some(run),
        };
        change(&mut head);
        let value = match run {
            Some(run) => NewValue { head: &head, body: Body::Run(run) },
            None => NewValue { head: &[], body: Body::Bytes(&head) },
        };
        let _ = tree.insert(&mut self.batch, key, value).expect("there is room");
        self.set_tree(place, tree);
    }

    /// Adds an entry, or replaces one with all that belongs to it.
    pub(crate) fn put(&mut self, place: Place, key: &[u8], bytes: &[u8]) {
        let mut tree = self.tree(place);
        let value = NewValue { head: &[], body: Body::Bytes(bytes) };
        let displaced = tree.insert(&mut self.batch, key, value).expect("there is room");
        if let Some(run) = displaced.and_then(|displaced| displaced.run) {
            run.free(&mut self.batch).expect("it was in use");
        }
        self.set_tree(place, tree);
    }

    /// Takes an entry away.
    pub(crate) fn remove(&mut self, place: Place, key: &[u8]) {
        let mut tree = self.tree(place);
        let displaced = tree.remove(&mut self.batch, key).expect("the sample is whole");
        let displaced = displaced.unwrap_or_else(|| panic!("{place:?} has no {key:?}"));
        if let Some(run) = displaced.run {
            run.free(&mut self.batch).expect("it was in use");
        }
        self.set_tree(place, tree);
    }

    /// Keys, and what stands in the leaf under them.
    pub(crate) fn entries(&mut self, place: Place) -> Vec<(Vec<u8>, Vec<u8>)> {
        let tree = self.tree(place);
        let mut cursor = tree.cursor(&mut self.batch, Access::Point);
        let mut entries = Vec::new();
        while let Some(entry) = cursor.next().expect("the sample is whole") {
            entries.push((entry.key.to_vec(), entry.value.head().to_vec()));
        }
        entries
    }
}

/// A page of a tree of the database, and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) ptr: PagePtr,
    pub(crate) kind: PageKind,
    pub(crate) parent: Option<PageId>,
}

pub(crate) const LEAF: PageKind = PageKind(16);
pub(crate) const INNER: PageKind = PageKind(17);
pub(crate) const OVERFLOW: PageKind = PageKind(18);
pub(crate) const EXTENT_LIST: PageKind = PageKind(19);

/// All pages of all trees; of the overflow runs of values, the first page.
pub(crate) fn pages_of(disk: &DiskSim) -> Vec<Found> {
    let pager = open_pager(disk, false);
    let (mut operation, state) = pager.enter().expect("not forked");
    let catalog = catalog_of(&state.roots);
    let mut trees = vec![(Place::Catalog, catalog)];
    let mut cursor = catalog.cursor(&mut operation, Access::Point);
    while let Some(entry) = cursor.next().expect("the sample is whole") {
        let table = TableId(u32::from_be_bytes(entry.key.try_into().expect("4 bytes")));
        let record = entry.value.head();
        let mut add = |place, at: usize| {
            if let Some(bytes) = record.get(at..at + Tree::SIZE) {
                trees.push((place, Tree::from_bytes(bytes.try_into().expect("21 bytes"))));
            }
        };
        add(Place::Table(table), RECORD_TREE);
        add(Place::HistoryOf(table), RECORD_HISTORY);
    }
    let mut found = Vec::new();
    for (place, tree) in trees {
        if let Some(root) = tree.root() {
            walk(&mut operation, place, root, None, &mut found);
        }
        let mut runs = Vec::new();
        let mut cursor = tree.cursor(&mut operation, Access::Point);
        while let Some(entry) = cursor.next().expect("the sample is whole") {
            if let Value::Spilled { run, .. } = entry.value {
                runs.push(PagePtr::from_bytes(run.to_bytes()[4..].first_chunk().expect("12 bytes")));
            }
        }
        for ptr in runs {
            let kind = operation.read(ptr, Access::Point).expect("the sample is whole").kind();
            found.push(Found { place, ptr, kind, parent: None });
        }
    }
    found
}

fn walk(
    operation: &mut Operation<'_>,
    place: Place,
    ptr: PagePtr,
    parent: Option<PageId>,
    found: &mut Vec<Found>,
) {
    let page = operation.read(ptr, Access::Point).expect("the sample is whole");
    let kind = page.kind();
    let children: Vec<PagePtr> = if kind == INNER {
        (0..usize::from(page.slot_count())).map(|slot| child(page.bytes(), slot)).collect()
    } else {
        Vec::new()
    };
    found.push(Found { place, ptr, kind, parent });
    for child in children {
        walk(operation, place, child, Some(ptr.id), found);
    }
}

/// Where things are in a node, see `node.rs`.
pub(crate) fn slot_at(page: &[u8], slot: usize) -> usize {
    32 + usize::from(u16::from_le_bytes([page[26], page[27]])) + 6 * slot
}

pub(crate) fn cell_at(page: &[u8], slot: usize) -> usize {
    let at = slot_at(page, slot) + 4;
    usize::from(u16::from_le_bytes([page[at], page[at + 1]]))
}

pub(crate) fn child(page: &[u8], slot: usize) -> PagePtr {
    PagePtr::from_bytes(page[cell_at(page, slot)..].first_chunk().expect("12 bytes"))
}

/// Changes the bytes of a page, and stamps its checksum anew.
pub(crate) fn damage_page(disk: &DiskSim, id: PageId, damage: impl FnOnce(&mut [u8])) {
    let mut page = disk.page(id);
    damage(page.bytes_mut());
    DatabaseSeed::new(DATABASE_ID).stamp(&mut page);
    disk.set_page(id, &page);
}

/// What a check finds, on a file that can be opened at all, without a store.
pub(crate) fn findings_of(disk: &DiskSim) -> Vec<Finding> {
    let pager = open_pager(disk, false);
    dynamite_txn::verify::verify_pager(&pager, &mut |_| {}).expect("the file can be looked at")
}
