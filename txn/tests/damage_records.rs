//! Records and history entries that lie, on pages that are in order: wrong writers, links that lead nowhere, elsewhere or round in
//! circles, entries about nothing. The check of the whole database names each lie by the check that it fails; and whoever
//! reads or writes such a database gets answers or typed errors, never a panic, an endless loop or all the memory
//! there is.

mod common;
mod forge;

use dynamite_txn::verify::Inconsistency;
use dynamite_txn::{Damage, RecordDamage, TableId, TxnError, TxnId};
use forge::expect::*;
use forge::*;

/// A key of [`PLAIN`] whose record links to an older version, and where that link begins in it.
const LINKED: u32 = 8;
/// One more.
const OTHER: u32 = 10;
/// Which was deleted.
const DELETED: u32 = 80;

/// Bytes of a record, see `record.rs`.
fn record(created: u64, flags: u8, link: Option<(u64, u32)>, payload: &[u8]) -> Vec<u8> {
    let digits = (8 - created.leading_zeros() as usize / 8).max(1);
    let mut bytes = vec![flags | (digits - 1) as u8];
    bytes.extend(&created.to_le_bytes()[..digits]);
    if let Some((txn, ordinal)) = link {
        bytes[0] |= 0x10;
        bytes.extend(ordinal.to_le_bytes());
        if txn != created {
            bytes[0] |= 0x20;
            bytes.extend(txn.to_le_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

fn put_record(forger: &mut Forger<'_>, number: u32, bytes: &[u8]) {
    forger.put(Place::Table(PLAIN), &key(number), bytes);
}

/// What wrote a record, and where it links to: of short records only.
fn parse(bytes: &[u8]) -> (u64, u32) {
    let digits = usize::from(bytes[0] & 7) + 1;
    let mut created = [0; 8];
    created[..digits].copy_from_slice(&bytes[1..1 + digits]);
    let ordinal = bytes.get(1 + digits..5 + digits).map_or([0; 4], |ordinal| ordinal.try_into().unwrap());
    (u64::from_le_bytes(created), u32::from_le_bytes(ordinal))
}

fn link_of(forger: &mut Forger<'_>, number: u32) -> (u64, u32) {
    let bytes = forger.get(Place::Table(PLAIN), &key(number));
    assert_eq!(bytes[0] & 0xf0, 0x10, "a record whose link has the short form");
    parse(&bytes)
}

#[test]
fn records_that_lie_are_named() {
    check_forged(&[
        (
            "an empty record",
            |forger| put_record(forger, LINKED, b""),
            finding!(Inconsistency: Record { table: PLAIN, source: Damage::Record(RecordDamage::Short { .. }), .. }),
        ),
        (
            "reserved flags",
            |forger| forger.edit(Place::Table(PLAIN), &key(LINKED), |record| record[0] |= 0x40),
            finding!(Inconsistency: Record { source: Damage::Record(RecordDamage::Flags { .. }), .. }),
        ),
        (
            "a number with a leading zero",
            |forger| put_record(forger, LINKED, &[1, 9, 0, b'x']),
            finding!(Inconsistency: Record { source: Damage::Record(RecordDamage::NotShortest), .. }),
        ),
        (
            "a version superseded by a later writer",
            |forger| put_record(forger, LINKED, &record(20, 0, Some((21, 0)), b"x")),
            finding!(Inconsistency: Record { source: Damage::Record(RecordDamage::Order { .. }), .. }),
        ),
        (
            "a writer of the future",
            |forger| put_record(forger, LINKED, &record(FAR, 0, None, b"x")),
            finding!(Inconsistency: Future { table: PLAIN, created: TxnId(FAR), .. }),
        ),
        (
            "a tombstone with a payload",
            |forger| forger.edit(Place::Table(PLAIN), &key(DELETED), |record| record.push(1)),
            finding!(Inconsistency: Record { source: Damage::Record(RecordDamage::TombstonePayload { .. }), .. }),
        ),
        (
            "a tombstone that nothing takes away",
            |forger| put_record(forger, 7, &record(1, 8, None, b"")),
            finding!(Inconsistency: LostTombstone { table: PLAIN, .. }),
        ),
        (
            "a tombstone with pages",
            |forger| forger.edit(Place::Table(PLAIN), &key(2), |record| record[0] |= 8),
            finding!(Inconsistency: Record { source: Damage::Record(RecordDamage::TombstonePayload { .. }), .. }),
        ),
        (
            "a payload in two places",
            |forger| forger.edit(Place::Table(PLAIN), &key(2), |record| record.push(1)),
            finding!(Inconsistency: Record { source: Damage::Record(RecordDamage::Short { .. }), .. }),
        ),
        (
            "a link to nowhere",
            |forger| {
                let (created, _) = link_of(forger, LINKED);
                put_record(forger, LINKED, &record(created, 0, Some((created, 9_999)), b"x"));
            },
            finding!(Inconsistency: MissingVersion { table: PLAIN, .. }),
        ),
        (
            "a link to another item's version",
            |forger| {
                let (created, ordinal) = link_of(forger, OTHER);
                put_record(forger, LINKED, &record(created, 0, Some((created, ordinal)), b"x"));
            },
            finding!(Inconsistency: ForeignVersion { table: PLAIN, .. }),
        ),
        (
            "a link to another table's version",
            |forger| {
                let (created, ordinal) = parse(&forger.get(Place::Table(KEPT), &key(LINKED)));
                let record = record(created, 0, Some((created, ordinal)), b"x");
                forger.put(Place::Table(COUNTED), &key(LINKED), &record);
            },
            |finding| {
                finding!(Inconsistency: ForeignVersion { .. })(finding)
                    || finding!(Inconsistency: MissingVersion { .. })(finding)
                    || finding!(Inconsistency: LostTombstone { .. })(finding)
            },
        ),
        (
            "a link to a version that was written later",
            |forger| {
                let (txn, ordinal) = link_of(forger, LINKED);
                edit_version(forger, txn, ordinal, |_, record| {
                    *record = self::record(txn, 0, None, b"x");
                });
            },
            finding!(Inconsistency: Record { source: Damage::ChainOrder { .. }, .. }),
        ),
        (
            "a chain that comes back to itself",
            |forger| {
                let (txn, ordinal) = link_of(forger, LINKED);
                edit_version(forger, txn, ordinal, |_, record| {
                    *record = self::record(txn, 0, Some((txn, ordinal)), b"x");
                });
            },
            finding!(Inconsistency: Record { source: Damage::ChainOrder { .. }, .. }),
        ),
        (
            "chains that come back to themselves, in all tables and for all items",
            |forger| {
                // Shorter ones are not swept, see `reclaim.rs`.
                assert!(forger.tree(Place::Table(HISTORY)).len() > 256);
                for place in [Place::Table(HISTORY), Place::HistoryOf(KEPT), Place::HistoryOf(COUNTED)] {
                    for (key, _) in forger.entries(place) {
                        let Ok(at) = <[u8; 12]>::try_from(key) else { continue };
                        forger.edit(place, &at, |head| {
                            let from = 7 + usize::from(u16::from_le_bytes([head[5], head[6]]));
                            if head[0] & 1 == 0 || head.len() < from + 4 {
                                return;
                            }
                            let txn = u64::from_be_bytes(at[..8].try_into().unwrap());
                            let ordinal = u32::from_be_bytes(at[8..].try_into().unwrap());
                            head.splice(from.., record(txn, 0, Some((txn, ordinal)), b""));
                        });
                    }
                }
            },
            finding!(Inconsistency: Record { source: Damage::ChainOrder { .. }, .. }),
        ),
    ]);
}

fn version_key(txn: u64, ordinal: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&txn.to_be_bytes());
    key[8..].copy_from_slice(&ordinal.to_be_bytes());
    key
}

/// Changes an entry of the common history: what stands before its record, and its record with what follows.
fn edit_version(
    forger: &mut Forger<'_>,
    txn: u64,
    ordinal: u32,
    change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>),
) {
    forger.edit(Place::Table(HISTORY), &version_key(txn, ordinal), |head| {
        let from = 7 + usize::from(u16::from_le_bytes([head[5], head[6]]));
        let mut record = head.split_off(from);
        change(head, &mut record);
        head.append(&mut record);
    });
}

/// Changes the history entry to which the record of an item links.
fn edit_entry_of(forger: &mut Forger<'_>, number: u32, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
    let (txn, ordinal) = link_of(forger, number);
    edit_version(forger, txn, ordinal, change);
}

/// Gives a history entry another key.
fn move_entry(forger: &mut Forger<'_>, to: &[u8]) {
    let (txn, ordinal) = link_of(forger, LINKED);
    let bytes = forger.get(Place::Table(HISTORY), &version_key(txn, ordinal));
    forger.remove(Place::Table(HISTORY), &version_key(txn, ordinal));
    forger.put(Place::Table(HISTORY), to, &bytes);
}

#[test]
fn history_entries_that_lie_are_named() {
    check_forged(&[
        (
            "a short key",
            |forger| forger.put(Place::Table(HISTORY), b"short", b"whatever"),
            finding!(Inconsistency: Record { table: HISTORY, source: Damage::HistoryEntry, .. }),
        ),
        (
            "an empty entry",
            |forger| forger.put(Place::Table(HISTORY), &version_key(1 << 40, 0), b""),
            finding!(Inconsistency: Record { table: HISTORY, source: Damage::HistoryEntry, .. }),
        ),
        (
            "unknown flags",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[0] |= 0x80),
            finding!(Inconsistency: Record { table: HISTORY, source: Damage::HistoryEntry, .. }),
        ),
        (
            "a table that does not exist",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[1] = 99),
            finding!(Inconsistency: HistoryOfNothing { table: TableId(99) }),
        ),
        (
            "a table whose history is elsewhere",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[1] = 17),
            finding!(Inconsistency: MisplacedHistory { table: KEPT }),
        ),
        (
            "another table without a history of its own",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[1] = 19),
            finding!(Inconsistency: ForeignVersion { table: PLAIN, .. }),
        ),
        (
            "a key that is longer than the entry",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[6] = 0xff),
            finding!(Inconsistency: Record { table: HISTORY, source: Damage::HistoryEntry, .. }),
        ),
        (
            "another key",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[7] = b'K'),
            finding!(Inconsistency: ForeignVersion { table: PLAIN, .. }),
        ),
        (
            "a damaged record",
            |forger| edit_entry_of(forger, LINKED, |_, record| record[0] |= 0xc0),
            finding!(Inconsistency: Record { table: HISTORY, source: Damage::HistoryEntry, .. }),
        ),
        (
            "an entry without its version",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[0] &= !1),
            finding!(Inconsistency: Record { table: HISTORY, source: Damage::HistoryEntry, .. }),
        ),
        (
            "an entry without version and payload",
            |forger| {
                edit_entry_of(forger, LINKED, |entry, record| {
                    entry[0] &= !1;
                    record.clear();
                });
            },
            finding!(Inconsistency: MissingVersion { table: PLAIN, .. }),
        ),
        (
            "a version superseded before it was written",
            |forger| edit_entry_of(forger, LINKED, |_, bytes| *bytes = record(FAR, 0, None, b"x")),
            finding!(Inconsistency: Record { table: PLAIN, source: Damage::ChainOrder { .. }, .. }),
        ),
        (
            "a tombstone in the history with a payload",
            |forger| edit_entry_of(forger, LINKED, |_, bytes| bytes[0] |= 8),
            finding!(Inconsistency: Record { source: Damage::Record(RecordDamage::TombstonePayload { .. }), .. }),
        ),
        (
            "a tombstone that no entry names",
            |forger| edit_entry_of(forger, DELETED, |entry, _| entry[0] &= !2),
            finding!(Inconsistency: LostTombstone { table: PLAIN, .. }),
        ),
        (
            "an item that counts as a tombstone and as a dropped table",
            |forger| edit_entry_of(forger, LINKED, |entry, _| entry[0] |= 2 | 4),
            finding!(Inconsistency: NotDropped { table: PLAIN }),
        ),
        (
            "a system table to be freed",
            |forger| {
                edit_entry_of(forger, LINKED, |entry, record| {
                    *entry = vec![4, HISTORY.0 as u8, 0, 0, 0, 0, 0];
                    record.clear();
                });
            },
            finding!(Inconsistency: NotDropped { table: HISTORY }),
        ),
        (
            "an entry superseded in the future",
            |forger| move_entry(forger, &version_key(FAR, 0)),
            finding!(Inconsistency: Record { source: Damage::ChainOrder { from: TxnId(FAR), .. }, .. }),
        ),
        (
            "the last ordinal that there is",
            |forger| {
                let (txn, _) = link_of(forger, LINKED);
                move_entry(forger, &version_key(txn, u32::MAX));
            },
            finding!(Inconsistency: MissingVersion { table: PLAIN, .. }),
        ),
        (
            "the last key that there is",
            |forger| move_entry(forger, &version_key(u64::MAX, u32::MAX)),
            finding!(Inconsistency: Record { source: Damage::ChainOrder { .. }, .. }),
        ),
        (
            "a long key that belongs to nothing",
            |forger| {
                let (txn, ordinal) = link_of(forger, LINKED);
                let key = [&version_key(txn, ordinal)[..], &[1]].concat();
                forger.put(Place::Table(HISTORY), &key, &[b'k'; 600]);
            },
            finding!(Inconsistency: LostKey),
        ),
        (
            "an entry whose long key is missing",
            |forger| {
                let entries = forger.entries(Place::HistoryOf(KEPT));
                let long =
                    entries.into_iter().find(|(key, _)| key.len() == 13).expect("there are long keys").0;
                forger.remove(Place::HistoryOf(KEPT), &long);
            },
            finding!(Inconsistency: LostKey),
        ),
        (
            "a long key that ends otherwise",
            |forger| {
                let entries = forger.entries(Place::HistoryOf(KEPT));
                let long =
                    entries.into_iter().find(|(key, _)| key.len() == 13).expect("there are long keys").0;
                forger.remove(Place::HistoryOf(KEPT), &long);
                forger.put(Place::HistoryOf(KEPT), &[&long[..12], &[2]].concat(), &[b'k'; 504]);
            },
            finding!(Inconsistency: LostKey),
        ),
        (
            "an entry that claims a long key",
            |forger| {
                edit_entry_of(forger, LINKED, |entry, _| {
                    entry.truncate(7);
                    entry[0] |= 8;
                    entry[5..7].fill(0);
                });
            },
            finding!(Inconsistency: LostKey),
        ),
    ]);
}

/// Whoever looks for the next entry passes over one long key, and not over any number of them.
#[test]
fn long_keys_in_a_row_end_the_search_for_an_entry() {
    let disk = forge(&sample(), |forger| {
        for ordinal in 0..2 {
            forger.put(Place::Table(HISTORY), &[&version_key(1, ordinal)[..], &[1]].concat(), &[b'k'; 600]);
        }
    });
    let error = open(&disk, true).expect("the catalog is whole").maintain().expect_err("it is met");
    assert!(matches!(error, TxnError::Damaged { source: Damage::HistoryEntry, .. }), "{error:?}");
}
