//! What the tests of backups share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use dynamite_txn::backup::Progress;
use dynamite_txn::{Access, Range, ReadTxn, Store, TableId, TableStats, TxnId};
use tempfile::TempDir;

use crate::common::{check_sound, options};

pub(crate) const COPY_ID: [u8; 16] = *b"the copy has one";

/// Everything that a read sees of a table: id, version and meta of the name, and each item with its version.
pub(crate) type TableDump = (TableId, TxnId, Vec<u8>, BTreeMap<Vec<u8>, (TxnId, Vec<u8>)>);

pub(crate) fn dump(read: &mut ReadTxn<'_>) -> BTreeMap<Vec<u8>, TableDump> {
    let mut tables = BTreeMap::new();
    for (name, info) in read.tables().unwrap() {
        let mut items = BTreeMap::new();
        read.scan(info.id, &Range::all().borrow(), Access::Scan, |row| {
            items.insert(row.key.to_vec(), (row.version, row.payload.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
        tables.insert(name, (info.id, info.version, info.meta, items));
    }
    tables
}

/// The copy has everything, and nothing else, and its counts are right.
#[track_caller]
pub(crate) fn check_copy(copy: &Store, expected: &BTreeMap<Vec<u8>, TableDump>, context: &str) {
    let mut read = copy.read().unwrap();
    let found = dump(&mut read);
    assert_eq!(
        found.iter().map(|(name, table)| (name, table.0, table.1, &table.2)).collect::<Vec<_>>(),
        expected.iter().map(|(name, table)| (name, table.0, table.1, &table.2)).collect::<Vec<_>>(),
        "{context}: names"
    );
    for (name, (id, _, _, items)) in expected {
        let name = String::from_utf8_lossy(name);
        assert!(&found[name.as_bytes()].3 == items, "{context}: the items of {name}");
        let bytes = items.iter().map(|(key, (_, payload))| (key.len() + payload.len()) as u64).sum();
        let TableStats { items: counted, bytes: counted_bytes, .. } = read.stats(*id).unwrap();
        assert_eq!((counted, counted_bytes), (items.len() as u64, bytes), "{context}: the counts of {name}");
    }
    drop(read);
    check_sound(copy, context);
}

pub(crate) fn scratch() -> (TempDir, PathBuf) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("copy");
    (directory, path)
}

pub(crate) fn open(path: &Path) -> Store {
    options().open(path).unwrap()
}

pub(crate) fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
