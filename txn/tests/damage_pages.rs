//! Nodes, overflow pages and extent lists that lie and have a good checksum, one field at a time. The check of the whole database
//! names each lie by the check that it fails; and whoever reads or writes such a database gets answers or typed errors,
//! never a panic or an endless loop.

mod common;
mod forge;

use std::ops::{Bound, ControlFlow};

use dynamite_bptree::Malformed;
use dynamite_pager::{PageKind, PagePtr};
use dynamite_txn::verify::Inconsistency;
use dynamite_txn::{Access, Damage, Range, TxnError};
use forge::expect::*;
use forge::live::Watchdog;
use forge::*;

/// What is done to the bytes of a page.
type PageLie = (&'static str, fn(&mut [u8]), Expected);

#[track_caller]
fn check_pages(place: Place, kind: PageKind, lies: &[PageLie]) {
    let watchdog = Watchdog::start();
    let disk = sample();
    let found = page_of(&disk, place, kind);
    for (case, damage, expected) in lies {
        let disk = disk.after_kill();
        damage_page(&disk, found.ptr.id, damage);
        check(&watchdog, case, &disk, *expected);
    }
}

fn put16(page: &mut [u8], at: usize, value: usize) {
    page[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
}

fn count(page: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([page[22], page[23]]))
}

/// A slot whose cell has these bits set in its header, see `node.rs`.
fn slot_with(page: &[u8], bits: u32) -> usize {
    let header = |slot| {
        let at = cell_at(page, slot);
        u32::from_le_bytes([page[at], page[at + 1], page[at + 2], 0])
    };
    (0..count(page)).find(|slot| header(*slot) & bits == bits).expect("there is such a cell")
}

const KEY_SPILLED: u32 = 1 << 9;
const VALUE_SPILLED: u32 = 1 << 10;

/// Where the descriptor of a spilled key, or of a spilled value, is.
fn run_at(page: &[u8], bits: u32) -> usize {
    let slot = slot_with(page, bits);
    let at = cell_at(page, slot);
    let header = u32::from_le_bytes([page[at], page[at + 1], page[at + 2], 0]);
    let key_end = at + 3 + (header as usize & 0x1ff).saturating_sub(4);
    if bits == KEY_SPILLED {
        return key_end;
    }
    let key_run = if header & KEY_SPILLED != 0 { 17 } else { 0 };
    key_end + key_run + (header as usize >> 11 & 0x7ff)
}

#[test]
fn a_page_header_that_lies_is_named() {
    check_pages(
        Place::Table(PLAIN),
        LEAF,
        &[
            ("birth", |page| page[8] ^= 1, finding!(Corruption: Birth { .. })),
            ("page id", |page| page[16] ^= 1, finding!(Corruption: PageId { .. })),
            ("a kind of nobody", |page| page[20] = 99, finding!(Malformed: Kind { found: 99, expected: 16 })),
            ("a leaf called inner", |page| page[20] = 17, finding!(Malformed: Level { .. })),
            ("a leaf with a level", |page| page[21] = 3, finding!(Malformed: Level { found: 3, .. })),
            ("no slots", |page| put16(page, 22, 0), finding!(Malformed: SlotCount { count: 0 })),
            ("all slots", |page| put16(page, 22, 0xffff), finding!(Malformed: CellArea { .. })),
            ("cells in front", |page| put16(page, 24, 40), finding!(Malformed: CellArea { .. })),
            ("cells behind", |page| put16(page, 24, 4097), finding!(Malformed: CellArea { .. })),
            ("a short cell area", |page| put16(page, 24, 4090), finding!(Malformed: CellBounds { .. })),
            ("a long prefix", |page| put16(page, 26, 401), finding!(Malformed: Prefix { len: 401 })),
        ],
    );
}

#[test]
fn slots_and_cells_of_a_leaf_that_lie_are_named() {
    check_pages(
        Place::Table(PLAIN),
        LEAF,
        &[
            (
                "a slot out of order",
                |page| page[slot_at(page, 2)] = 0xff,
                finding!(Malformed: KeyOrder { .. }),
            ),
            (
                "a slot's head without its key",
                |page| {
                    let at = cell_at(page, count(page) - 1);
                    page[at] = 1;
                    page[at + 1] &= !1;
                },
                finding!(Malformed: Head { .. }),
            ),
            (
                "a cell in front of the cells",
                |page| put16(page, slot_at(page, 1) + 4, 33),
                finding!(Malformed: CellBounds { slot: 1, .. }),
            ),
            (
                "a cell behind the page",
                |page| put16(page, slot_at(page, 1) + 4, 4095),
                finding!(Malformed: CellBounds { slot: 1, .. }),
            ),
            (
                "a cell twice",
                |page| put16(page, slot_at(page, 1) + 4, cell_at(page, 0)),
                finding!(Malformed: CellOverlap { .. }),
            ),
            (
                "bits of a cell header",
                |page| page[cell_at(page, 0) + 2] |= 0x80,
                finding!(Malformed: CellHeader { slot: 0, .. }),
            ),
            (
                "a key that is too long",
                |page| {
                    let at = cell_at(page, 0);
                    page[at] = 0xff;
                    page[at + 1] |= 1;
                },
                |finding| {
                    finding!(Malformed: KeyLength { slot: 0, .. })(finding)
                        || finding!(Malformed: CellBounds { slot: 0, .. })(finding)
                },
            ),
            (
                "a value that is too long",
                |page| {
                    let at = cell_at(page, count(page) - 1);
                    page[at + 1] |= 0xf8;
                    page[at + 2] |= 0x3f;
                },
                |finding| {
                    finding!(Malformed: CellLength { .. })(finding)
                        || finding!(Malformed: CellBounds { .. })(finding)
                        || finding!(Malformed: CellHeader { .. })(finding)
                },
            ),
        ],
    );
}

#[test]
fn descriptors_of_overflow_runs_that_lie_are_named() {
    check_pages(
        Place::Table(PLAIN),
        LEAF,
        &[
            (
                "an empty run",
                |page| {
                    let at = run_at(page, VALUE_SPILLED);
                    page[at..at + 4].fill(0);
                },
                finding!(Malformed: Descriptor { len: 0, .. }),
            ),
            (
                "a run of four gigabytes",
                |page| {
                    let at = run_at(page, VALUE_SPILLED);
                    page[at..at + 4].fill(0xff);
                },
                finding!(Malformed: Descriptor { len: u32::MAX, .. }),
            ),
            (
                "a run longer than it is",
                |page| {
                    let at = run_at(page, VALUE_SPILLED);
                    page[at + 2] = 1;
                },
                |finding| {
                    finding!(Problem: ReachedTwice)(finding)
                        || finding!(Problem: ReachedAndFree)(finding)
                        || finding!(Corruption: Birth { .. })(finding)
                        || finding!(Inconsistency: ByteCount { .. })(finding)
                },
            ),
            (
                "a run beyond the end",
                |page| {
                    let at = run_at(page, VALUE_SPILLED) + 4;
                    page[at..at + 4].copy_from_slice(&0xffff_0000_u32.to_le_bytes());
                },
                finding!(Corruption: OutOfBounds { .. }),
            ),
            (
                "a run in a header",
                |page| {
                    let at = run_at(page, VALUE_SPILLED) + 4;
                    page[at..at + 4].fill(0);
                },
                finding!(Corruption: OutOfBounds { .. }),
            ),
            (
                "a run of another birth",
                |page| {
                    let at = run_at(page, VALUE_SPILLED) + 8;
                    page[at] ^= 1;
                },
                finding!(Corruption: Birth { .. }),
            ),
            (
                "a run said to be in pieces",
                |page| {
                    let at = run_at(page, VALUE_SPILLED) + 16;
                    page[at] ^= 1;
                },
                finding!(Malformed: Kind { .. }),
            ),
            (
                "flags of a run",
                |page| {
                    let at = run_at(page, VALUE_SPILLED) + 16;
                    page[at] |= 2;
                },
                finding!(Malformed: Descriptor { .. }),
            ),
        ],
    );
    check_pages(
        Place::HistoryOf(KEPT),
        LEAF,
        &[(
            "a long key's run beyond the end",
            |page| {
                let at = run_at(page, VALUE_SPILLED) + 4;
                page[at..at + 4].copy_from_slice(&0xffff_0000_u32.to_le_bytes());
            },
            finding!(Corruption: OutOfBounds { .. }),
        )],
    );
}

#[test]
fn runs_of_spilled_keys_that_lie_are_named() {
    let watchdog = Watchdog::start();
    let disk = sample();
    let leaves = pages_of(&disk).into_iter().filter(|found| found.kind == LEAF);
    let has_long_key = |found: &Found| {
        let page = disk.page(found.ptr.id);
        let bytes = page.bytes();
        found.place == Place::Table(PLAIN)
            && (0..count(bytes)).any(|slot| bytes[cell_at(bytes, slot) + 1] & 2 != 0)
    };
    let leaf = leaves.into_iter().find(has_long_key).expect("there are long keys").ptr.id;
    let lies: [PageLie; 3] = [
        (
            "a key of nothing",
            |page| {
                let at = run_at(page, KEY_SPILLED);
                page[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
            },
            finding!(Malformed: KeyLength { .. }),
        ),
        (
            "a key without end",
            |page| {
                let at = run_at(page, KEY_SPILLED);
                page[at..at + 4].copy_from_slice(&50_000_u32.to_le_bytes());
            },
            finding!(Malformed: KeyLength { .. }),
        ),
        (
            "a key's run of another birth",
            |page| {
                let at = run_at(page, KEY_SPILLED) + 8;
                page[at] ^= 1;
            },
            finding!(Corruption: Birth { .. }),
        ),
    ];
    for (case, damage, expected) in lies {
        let disk = disk.after_kill();
        damage_page(&disk, leaf, damage);
        check(&watchdog, case, &disk, expected);
    }
}

#[test]
fn inner_nodes_that_lie_are_named() {
    let lies: [PageLie; 10] = [
        ("an inner node called leaf", |page| page[20] = 16, finding!(Malformed: Level { .. })),
        ("an inner node of level 0", |page| page[21] = 0, finding!(Malformed: Level { .. })),
        ("an inner node of another level", |page| page[21] = 2, finding!(Malformed: Level { found: 2, .. })),
        ("an inner node of level 25", |page| page[21] = 25, finding!(Malformed: Depth { levels: 25 })),
        (
            "a child beyond the end",
            |page| {
                let at = cell_at(page, 1);
                page[at..at + 4].fill(0xff);
            },
            finding!(Corruption: OutOfBounds { .. }),
        ),
        (
            "a child of another birth",
            |page| {
                let at = cell_at(page, 1) + 4;
                page[at] ^= 1;
            },
            finding!(Corruption: Birth { .. }),
        ),
        (
            "one child for two",
            |page| {
                let (from, to) = (cell_at(page, 0), cell_at(page, 1));
                page.copy_within(from..from + 12, to);
            },
            finding!(Problem: ReachedTwice),
        ),
        (
            "a separator for the first child",
            |page| {
                let at = cell_at(page, 0) + 12;
                page[at] = 3;
            },
            finding!(Malformed: FirstSeparator),
        ),
        (
            "the length of a separator",
            |page| {
                let at = cell_at(page, 1) + 12;
                page[at..at + 3].copy_from_slice(&[254, 7, 0]);
            },
            |finding| {
                finding!(Malformed: CellHeader { .. })(finding)
                    || finding!(Malformed: CellOverlap { .. })(finding)
                    || finding!(Malformed: KeyOrder { .. })(finding)
            },
        ),
        (
            "separators out of order",
            |page| {
                let at = slot_at(page, 1);
                page[at..at + 4].fill(0xff);
            },
            finding!(Malformed: KeyOrder { .. }),
        ),
    ];
    check_pages(Place::Table(PLAIN), INNER, &lies);
    check_pages(Place::Table(HISTORY), INNER, &lies);
}

#[test]
fn overflow_pages_and_their_lists_that_lie_are_named() {
    check_pages(
        Place::Table(PLAIN),
        OVERFLOW,
        &[
            (
                "an overflow page of nobody's kind",
                |page| page[20] = 77,
                finding!(Malformed: Kind { found: 77, expected: 18 }),
            ),
            ("an overflow page with a level", |page| page[21] = 1, finding!(Malformed: Level { .. })),
            ("an overflow page of another birth", |page| page[8] ^= 1, finding!(Corruption: Birth { .. })),
        ],
    );
    check_pages(
        Place::Table(PLAIN),
        EXTENT_LIST,
        &[
            ("a list called overflow", |page| page[20] = 18, finding!(Malformed: Kind { .. })),
            ("an empty list", |page| put16(page, 22, 0), finding!(Malformed: SlotCount { count: 0 })),
            (
                "a list of too many",
                |page| put16(page, 22, 509),
                finding!(Malformed: SlotCount { count: 509 }),
            ),
            (
                "a list of one less",
                |page| put16(page, 22, count(page) - 1),
                finding!(Malformed: ExtentList { .. }),
            ),
            ("an extent of nothing", |page| page[36..40].fill(0), finding!(Malformed: ExtentList { .. })),
            (
                "an extent of everything",
                |page| page[36..40].fill(0xff),
                finding!(Malformed: ExtentList { .. }),
            ),
            (
                "an extent beyond the end",
                |page| page[32..36].copy_from_slice(&0xffff_0000_u32.to_le_bytes()),
                finding!(Corruption: OutOfBounds { .. }),
            ),
            (
                "an extent twice",
                |page| {
                    let first: [u8; 4] = page[32..36].try_into().expect("4 bytes");
                    page[40..44].copy_from_slice(&first);
                },
                finding!(Problem: ReachedTwice),
            ),
        ],
    );
}

/// Two leaves that changed places: a cursor sees entries that a search does not find, and they are not in order.
#[test]
fn leaves_that_changed_places_are_named() {
    let watchdog = Watchdog::start();
    let disk = sample();
    for place in [Place::Table(PLAIN), Place::Table(HISTORY)] {
        let root = page_of(&disk, place, INNER).ptr.id;
        let children = count(disk.page(root).bytes());
        for (a, b) in [(0, 1), (0, children - 1), (1, 2)] {
            let disk = disk.after_kill();
            damage_page(&disk, root, |page| swap_children(page, a, b));
            let case = format!("children {a} and {b} of {place:?}");
            check(&watchdog, &case, &disk, finding!(Malformed: Fence { .. }));
        }
    }
}

/// What a scan gives of leaves that changed places is within its range and in order, both ways and from every key; or the scan
/// says that it is not.
#[test]
fn scans_of_leaves_that_changed_places_refuse_keys_out_of_order() {
    let disk = sample();
    let root = page_of(&disk, Place::Table(PLAIN), INNER).ptr.id;
    let keys: Vec<Vec<u8>> = (0..PLAIN_ITEMS).map(key).collect();
    for (swaps, context) in
        [(&[(0, 1)][..], "neighbours"), (&[(0, 2), (1, 3)], "pairs"), (&[(0, 3)], "far ones")]
    {
        let disk = disk.after_kill();
        damage_page(&disk, root, |page| swaps.iter().for_each(|(a, b)| swap_children(page, *a, *b)));
        let store = open(&disk, false).expect("the catalog is whole");
        let mut read = store.read().expect("not forked");
        let mut refused = 0;
        for start in &keys {
            for reverse in [false, true] {
                let (mut from, mut to) = (Bound::Excluded(&start[..]), Bound::Unbounded);
                if reverse {
                    std::mem::swap(&mut from, &mut to);
                }
                let mut last = start.clone();
                let scanned = read.scan(PLAIN, &Range { from, to, reverse }, Access::Scan, |row| {
                    let goes_on = if reverse { row.key < &last[..] } else { row.key > &last[..] };
                    assert!(goes_on, "{context}: {:?} after {last:?}", row.key);
                    last = row.key.to_vec();
                    ControlFlow::Continue(())
                });
                match scanned {
                    Ok(_) => {}
                    Err(TxnError::Damaged { table: PLAIN, source: Damage::KeyOrder }) => refused += 1,
                    Err(other) => panic!("{context}: {other:?}"),
                }
            }
        }
        assert!(refused > 0, "{context}");
    }
}

fn swap_children(page: &mut [u8], a: usize, b: usize) {
    let (a, b) = (cell_at(page, a), cell_at(page, b));
    (0..12).for_each(|byte| page.swap(a + byte, b + byte));
}

/// Every pointer of a root leads to the same child, which must not keep anybody for long.
#[test]
fn a_child_of_many_parents_is_named() {
    let watchdog = Watchdog::start();
    let disk = sample();
    for place in [Place::Table(PLAIN), Place::Table(HISTORY)] {
        let root = page_of(&disk, place, INNER).ptr.id;
        for chosen in 0..2 {
            let disk = disk.after_kill();
            damage_page(&disk, root, |page| {
                let child = cell_at(page, chosen);
                let pointer: [u8; PagePtr::SIZE] = page[child..child + 12].try_into().expect("12 bytes");
                for slot in 0..count(page) {
                    let at = cell_at(page, slot);
                    page[at..at + 12].copy_from_slice(&pointer);
                }
            });
            let case = format!("child {chosen} of {place:?}");
            check(&watchdog, &case, &disk, finding!(Problem: ReachedTwice));
        }
    }
}

/// Leaves of the history so placed that whoever goes on behind the last entry of the third comes to the second, and from there to
/// the third again.
#[test]
fn a_history_that_leads_in_circles_is_named() {
    let watchdog = Watchdog::start();
    let disk = sample();
    let root = page_of(&disk, Place::Table(HISTORY), INNER).ptr.id;
    damage_page(&disk, root, |page| {
        let pointers: Vec<PagePtr> = (0..3).map(|slot| child(page, slot)).collect();
        for (slot, pointer) in [(1, pointers[2]), (2, pointers[0]), (3, pointers[1])] {
            let at = cell_at(page, slot);
            page[at..at + PagePtr::SIZE].copy_from_slice(&pointer.to_bytes());
        }
    });
    watchdog.case("a sweep of a history that leads in circles");
    let error =
        open(&disk.after_kill(), true).expect("the catalog is whole").maintain().expect_err("it is met");
    assert!(matches!(error, TxnError::Damaged { table: HISTORY, .. }), "{error:?}");
    check(&watchdog, "a history that leads in circles", &disk, finding!(Problem: ReachedTwice));
}
