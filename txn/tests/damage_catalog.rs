//! Table records, names, times and named snapshots that lie, on pages that are in order. The check of the whole database names each
//! lie by the check that it fails; and whoever reads or writes such a database gets answers or typed errors, never a
//! panic, an endless loop or all the memory there is.

mod common;
mod forge;

use dynamite_bptree::{Malformed, Tree};
use dynamite_pager::Roots;
use dynamite_txn::verify::Inconsistency;
use dynamite_txn::{Damage, Retention, Store, TableId, TxnError, TxnId};
use forge::expect::*;
use forge::live::{Watchdog, live};
use forge::*;

/// A table like another one, of which nobody knows.
const STOWAWAY: TableId = TableId(15);
const NEXT_ID: TableId = TableId(u32::MAX);

/// See the tables in `catalog.rs` and in `tree.rs`.
#[test]
fn catalog_entries_that_lie_are_named() {
    check_forged(&[
        (
            "a key that is no table id",
            |forger| forger.put(Place::Catalog, b"table", &[0; 46]),
            finding!(Inconsistency: CatalogEntry),
        ),
        (
            "a short table record",
            |forger| edit_record(forger, PLAIN, |record| record.truncate(30)),
            finding!(Inconsistency: CatalogEntry),
        ),
        (
            "a long table record",
            |forger| edit_record(forger, PLAIN, |record| record.push(0)),
            finding!(Inconsistency: CatalogEntry),
        ),
        (
            "an unknown retention",
            |forger| edit_record(forger, KEPT, |record| record[45] = 3),
            finding!(Inconsistency: CatalogEntry),
        ),
        (
            "more versions than can be counted",
            |forger| edit_record(forger, COUNTED, |record| put64(record, 46, 1 << 40)),
            finding!(Inconsistency: CatalogEntry),
        ),
        (
            "a table under a reserved id",
            |forger| {
                let record = forger.get(Place::Catalog, &catalog_key(KEPT));
                forger.put(Place::Catalog, &catalog_key(STOWAWAY), &record);
            },
            finding!(Inconsistency: CatalogEntry),
        ),
        (
            "a next id of three bytes",
            |forger| edit_record(forger, NEXT_ID, |next| next.truncate(3)),
            finding!(Inconsistency: CatalogEntry),
        ),
        (
            "a next id that was given out",
            |forger| edit_record(forger, NEXT_ID, |next| next[0] = 18),
            finding!(Inconsistency: NextTable { next: TableId(18), .. }),
        ),
        (
            "a next id of a system table",
            |forger| edit_record(forger, NEXT_ID, |next| next.fill(0)),
            finding!(Inconsistency: NextTable { next: TableId(0), .. }),
        ),
        (
            "no next id",
            |forger| forger.remove(Place::Catalog, &catalog_key(NEXT_ID)),
            finding!(Inconsistency: NextTable { .. }),
        ),
    ]);
}

#[test]
fn trees_of_table_records_that_lie_are_named() {
    check_forged(&[
        (
            "a root beyond the end",
            |forger| edit_record(forger, PLAIN, |record| record[..4].fill(0xff)),
            finding!(Corruption: OutOfBounds { .. }),
        ),
        (
            "a root in a header",
            |forger| edit_record(forger, PLAIN, |record| record[..4].fill(0)),
            finding!(Corruption: OutOfBounds { .. }),
        ),
        (
            "a root of another birth",
            |forger| edit_record(forger, KEPT, |record| record[4] ^= 1),
            finding!(Corruption: Birth { .. }),
        ),
        (
            "a description of another transaction",
            |forger| edit_record(forger, PLAIN, |record| record[37] ^= 1),
            finding!(Inconsistency: Description { .. }),
        ),
        (
            "a root of another table",
            |forger| {
                let other = forger.tree(Place::Table(COUNTED)).to_bytes();
                edit_record(forger, KEPT, |record| record[..21].copy_from_slice(&other));
            },
            finding!(Problem: ReachedTwice),
        ),
        (
            "a table in the history of all",
            |forger| {
                let other = forger.tree(Place::Table(HISTORY)).to_bytes();
                edit_record(forger, PLAIN, |record| record[..21].copy_from_slice(&other));
            },
            finding!(Problem: ReachedTwice),
        ),
        (
            "a table in the catalog",
            |forger| {
                let catalog = forger.tree(Place::Catalog).to_bytes();
                edit_record(forger, PLAIN, |record| record[..21].copy_from_slice(&catalog));
            },
            |finding| {
                finding!(Problem: ReachedTwice)(finding)
                    || finding!(Corruption: Birth { .. })(finding)
                    || finding!(Problem: ReachedAndFree)(finding)
            },
        ),
        (
            "a root that was forgotten",
            |forger| edit_record(forger, PLAIN, |record| record[..12].fill(0)),
            finding!(Inconsistency: ItemCount { found: 0, .. }),
        ),
        (
            "a tree of 255 levels",
            |forger| edit_record(forger, PLAIN, |record| record[12] = 255),
            finding!(Malformed: Depth { levels: 255 }),
        ),
        (
            "a tree of 24 levels",
            |forger| edit_record(forger, PLAIN, |record| record[12] = 24),
            finding!(Malformed: Level { .. }),
        ),
        (
            "a tree of no levels",
            |forger| edit_record(forger, PLAIN, |record| record[12] = 0),
            finding!(Malformed: Kind { .. }),
        ),
        (
            "one entry more",
            |forger| edit_record(forger, PLAIN, |record| record[13] += 1),
            finding!(Malformed: EntryCount { .. }),
        ),
        (
            "a history with more entries than there can be",
            |forger| edit_record(forger, HISTORY, |record| put64(record, 13, u64::MAX)),
            finding!(Malformed: EntryCount { expected: u64::MAX, .. }),
        ),
        (
            "a history that was forgotten",
            |forger| edit_record(forger, HISTORY, |record| record[..21].fill(0)),
            finding!(Inconsistency: MissingVersion { .. }),
        ),
        (
            "a table's own history that was forgotten",
            |forger| edit_record(forger, KEPT, |record| record[54..75].fill(0)),
            finding!(Inconsistency: MissingVersion { table: KEPT, .. }),
        ),
        (
            "a history of another table",
            |forger| {
                let other = forger.tree(Place::HistoryOf(COUNTED)).to_bytes();
                edit_record(forger, KEPT, |record| record[54..75].copy_from_slice(&other));
            },
            finding!(Inconsistency: MisplacedHistory { table: COUNTED }),
        ),
    ]);
}

#[test]
fn counts_flags_and_horizons_of_table_records_that_lie_are_named() {
    check_forged(&[
        (
            "no items",
            |forger| edit_record(forger, PLAIN, |record| put64(record, 21, 0)),
            finding!(Inconsistency: ItemCount { table: PLAIN, expected: 0, .. }),
        ),
        (
            "all items",
            |forger| edit_record(forger, PLAIN, |record| put64(record, 21, u64::MAX)),
            finding!(Inconsistency: ItemCount { table: PLAIN, expected: u64::MAX, .. }),
        ),
        (
            "all bytes",
            |forger| edit_record(forger, PLAIN, |record| put64(record, 29, u64::MAX)),
            finding!(Inconsistency: ByteCount { table: PLAIN, expected: u64::MAX, .. }),
        ),
        (
            "a dropped table with a name",
            |forger| edit_record(forger, PLAIN, |record| record[45] |= 128),
            finding!(Inconsistency: NameOfNothing { table: PLAIN, .. }),
        ),
        (
            "a table that is being freed, with a name",
            |forger| edit_record(forger, PLAIN, |record| record[45] |= 64),
            finding!(Inconsistency: NameOfNothing { table: PLAIN, .. }),
        ),
        (
            "a dropped table that was not dropped",
            |forger| edit_record(forger, GONE, |record| record[45] &= !128),
            finding!(Inconsistency: LostTable { table: GONE }),
        ),
        (
            "a table that is no longer being freed",
            |forger| edit_record(forger, FREED, |record| record[45] &= !64),
            finding!(Inconsistency: LostTable { table: FREED }),
        ),
        (
            "a horizon in the future",
            |forger| edit_record(forger, KEPT, |record| put64(record, 75, u64::MAX)),
            finding!(Inconsistency: FutureHorizon { table: Some(KEPT), .. }),
        ),
        (
            "a horizon of the whole in the future",
            |forger| {
                let roots = forger.batch.roots();
                forger.batch.set_roots(Roots { horizon: FAR, ..roots });
            },
            finding!(Inconsistency: FutureHorizon { table: None, .. }),
        ),
        (
            "a horizon above what snapshots see",
            |forger| {
                let roots = forger.batch.roots();
                forger.batch.set_roots(Roots { horizon: forger.batch.birth().0, ..roots });
            },
            finding!(Inconsistency: LostSnapshot { .. }),
        ),
        ("a history of the history", |forger| retain(forger, HISTORY), finding!(Inconsistency: CatalogEntry)),
        ("a history of the times", |forger| retain(forger, TIMES), finding!(Inconsistency: CatalogEntry)),
        ("a history of the names", |forger| retain(forger, NAMES), finding!(Inconsistency: CatalogEntry)),
        (
            "names that are being freed",
            |forger| edit_record(forger, NAMES, |record| record[45] = 64 | 128),
            finding!(Inconsistency: CatalogEntry),
        ),
    ]);
}

/// What no transaction wrote, and one could have.
#[test]
fn what_is_unusual_and_no_lie_does_no_harm() {
    let unusual: [(&str, Change); 4] = [
        ("no next id left", |forger| edit_record(forger, NEXT_ID, |next| next.fill(0xff))),
        ("a retention that never ends", |forger| {
            edit_record(forger, KEPT, |record| put64(record, 46, u64::MAX))
        }),
        ("a number of versions for a duration", |forger| {
            edit_record(forger, KEPT, |record| (record[45], record[46]) = (2, 0))
        }),
        ("the end of all times", |forger| {
            let roots = forger.batch.roots();
            forger.batch.set_roots(Roots { commit_time: u64::MAX, ..roots });
        }),
    ];
    let watchdog = Watchdog::start();
    let disk = sample();
    for (case, change) in unusual {
        watchdog.case(case);
        let disk = forge(&disk, change);
        let findings = findings_of(&disk);
        assert!(findings.is_empty(), "{case}: {findings:?}");
        live(case, &disk, 1);
    }
}

/// Makes a table one that keeps its versions for a while, all of them.
fn retain(forger: &mut Forger<'_>, table: TableId) {
    edit_record(forger, table, |record| {
        record.resize(83, 0);
        record[45] = 1;
        put64(record, 46, u64::MAX);
    });
}

fn edit_name(forger: &mut Forger<'_>, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    forger.edit(Place::Table(NAMES), name.as_bytes(), |record| {
        // Flags and a transaction id of three bytes come first.
        let mut payload = record.split_off(4);
        change(&mut payload);
        record.append(&mut payload);
    });
}

#[test]
fn names_that_lie_are_named() {
    check_forged(&[
        (
            "a name that stands for nothing",
            |forger| edit_name(forger, "kept", |payload| payload.truncate(3)),
            finding!(Inconsistency: Record { table: NAMES, source: Damage::Name, .. }),
        ),
        (
            "a name for a table that does not exist",
            |forger| edit_name(forger, "kept", |payload| payload[0] = 200),
            finding!(Inconsistency: NameOfNothing { table: TableId(200), .. }),
        ),
        (
            "a name for a table that was dropped",
            |forger| edit_name(forger, "kept", |payload| payload[0] = 19),
            finding!(Inconsistency: NameOfNothing { table: GONE, .. }),
        ),
        (
            "two names for one table",
            |forger| edit_name(forger, "kept", |payload| payload[0] = 16),
            finding!(Inconsistency: NamedTwice { table: PLAIN, .. }),
        ),
        (
            "a name for the names",
            |forger| edit_name(forger, "kept", |payload| payload[0] = 0),
            finding!(Inconsistency: Record { table: NAMES, source: Damage::Name, .. }),
        ),
        (
            "a name for the history",
            |forger| edit_name(forger, "plain", |payload| payload[0] = 1),
            finding!(Inconsistency: Record { table: NAMES, source: Damage::Name, .. }),
        ),
        (
            "a name that is missing",
            |forger| forger.remove(Place::Table(NAMES), b"plain"),
            finding!(Inconsistency: LostTable { table: PLAIN }),
        ),
    ]);
}

#[test]
fn times_and_snapshots_that_lie_are_named() {
    check_forged(&[
        (
            "a time of five bytes",
            |forger| forger.put(Place::Table(TIMES), b"today", &[0; 8]),
            finding!(Inconsistency: Record { table: TIMES, source: Damage::Time, .. }),
        ),
        (
            "a time of a short transaction",
            |forger| forger.put(Place::Table(TIMES), &9_999_u64.to_be_bytes(), &[0; 7]),
            finding!(Inconsistency: Record { table: TIMES, source: Damage::Time, .. }),
        ),
        (
            "a time at the end of all times",
            |forger| forger.put(Place::Table(TIMES), &[0xff; 8], &FAR.to_le_bytes()),
            finding!(Inconsistency: Future { table: TIMES, created: TxnId(FAR), .. }),
        ),
        (
            "times that go back",
            |forger| {
                let last = forger.entries(Place::Table(TIMES)).pop().expect("there are times").0;
                forger.put(Place::Table(TIMES), &last, &1_u64.to_le_bytes());
            },
            finding!(Inconsistency: Record { table: TIMES, source: Damage::Time, .. }),
        ),
        (
            "a snapshot of nothing",
            |forger| forger.put(Place::Table(SNAPSHOTS), b"before", &[0; 15]),
            finding!(Inconsistency: Record { table: SNAPSHOTS, source: Damage::NamedSnapshot, .. }),
        ),
        (
            "a snapshot of the future",
            |forger| forger.edit(Place::Table(SNAPSHOTS), b"before", |record| put64(record, 0, u64::MAX)),
            finding!(Inconsistency: Future { table: SNAPSHOTS, .. }),
        ),
        (
            "a snapshot of what was collected",
            |forger| forger.edit(Place::Table(SNAPSHOTS), b"before", |record| put64(record, 0, 1)),
            finding!(Inconsistency: LostSnapshot { txn: TxnId(1), .. }),
        ),
    ]);
}

/// What is kept with a name may be large, and then stands in pages of its own.
#[test]
fn a_table_with_a_large_description_is_sound() {
    let disk = sample();
    let store = open(&disk, true).expect("the sample is whole");
    for len in [100, 900, 1_000, 5_000, 100_000] {
        store.write(|txn| txn.set_table_meta(b"plain", &vec![1; len])).expect("nothing fails");
        common::check_sound(&store, &format!("{len} bytes"));
    }
}

/// The empty tree has no pages, whatever its owner says of it.
#[test]
fn an_empty_tree_with_entries_is_named() {
    check_forged(&[(
        "entries of nothing",
        |forger| {
            let tree = Tree::from_parts(None, 7, 9).to_bytes();
            edit_record(forger, KEPT, |record| record[..21].copy_from_slice(&tree));
        },
        finding!(Malformed: EntryCount { found: 0, expected: 9 }),
    )]);
}

/// Whatever the catalog says is the next one.
#[test]
fn a_table_id_that_exists_is_not_given_out_again() {
    let disk = sample();
    for next in [0, HISTORY.0, PLAIN.0, COUNTED.0] {
        let disk = forge(&disk, |forger| {
            edit_record(forger, NEXT_ID, |bytes| bytes.copy_from_slice(&next.to_le_bytes()));
        });
        let store = open(&disk, true).expect("reading is possible");
        let error =
            store.write(|txn| txn.create_table(b"new", b"", Retention::None)).expect_err("it is taken");
        assert!(matches!(error, TxnError::Damaged { source: Damage::TableRecord, .. }), "{next}: {error:?}");
        let names = store.read().and_then(|mut read| read.tables()).expect("nothing has changed");
        assert_eq!(names.len(), 3, "{next}");
    }
}

/// What the history says was dropped, and was not, keeps its pages.
#[test]
fn a_live_table_is_not_freed() {
    let disk = forge(&sample(), |forger| {
        let mut at = [0; 12];
        at[7] = 1;
        forger.put(Place::Table(HISTORY), &at, &[4, PLAIN.0 as u8, 0, 0, 0, 0, 0]);
    });
    let store = open(&disk, true).expect("the catalog is whole");
    let items =
        |store: &Store| store.read().and_then(|mut read| read.stats(PLAIN)).expect("it is there").items;
    let before = items(&store);
    let error = store.maintain().expect_err("it is met");
    assert!(matches!(error, TxnError::Damaged { source: Damage::HistoryEntry, .. }), "{error:?}");
    assert_eq!(items(&store), before);
}

/// Every open reads these trees from one end to the other, so they must not lead in circles.
#[test]
fn an_open_refuses_a_catalog_and_snapshots_out_of_order() {
    let disk = sample();
    let store = open(&disk, true).expect("the sample is whole");
    let many = store.write(|txn| {
        for number in 0..300 {
            let name = format!("name {number}").into_bytes();
            txn.create_table(&name, b"", Retention::None)?;
            txn.create_snapshot(&name)?;
        }
        Ok::<_, TxnError>(())
    });
    many.and_then(|()| store.close()).expect("there is room");
    for place in [Place::Catalog, Place::Table(SNAPSHOTS)] {
        let disk = disk.after_kill();
        let root = page_of(&disk, place, INNER).ptr.id;
        damage_page(&disk, root, |page| {
            let (first, second) = (child(page, 0), child(page, 1));
            for (slot, pointer) in [(0, second), (1, first)] {
                let at = cell_at(page, slot);
                page[at..at + 12].copy_from_slice(&pointer.to_bytes());
            }
        });
        for writable in [false, true] {
            let error = open(&disk, writable).expect_err("the order is wrong");
            assert!(
                matches!(error, TxnError::Damaged { source: Damage::KeyOrder, .. }),
                "{place:?}: {error:?}"
            );
        }
    }
}
