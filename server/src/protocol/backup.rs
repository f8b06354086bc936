//! Backups: of single tables, in the database; and of the whole database, in another file.

use dynamite_core::api::{BackupProgress, EncodedItem};
use serde::{Deserialize, Serialize};

use crate::protocol::terms::At;
use crate::protocol::text::Text;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CreateTableBackup<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ListTableBackups;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DescribeTableBackup<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeleteTableBackup<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
}

/// Where a restored table comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum RestoreFrom<'a> {
    /// A backup, by its id.
    Backup(#[serde(borrow)] Text<'a>),
    /// A table as it was at a time, in milliseconds since 1970.
    Past(#[serde(borrow)] Text<'a>, u64),
    /// A table as it is.
    Table(#[serde(borrow)] Text<'a>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RestoreTable<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) source: Option<RestoreFrom<'a>>,
    #[serde(borrow)]
    pub(crate) global: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(crate) local: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(crate) metadata: Option<EncodedItem<'a>>,
}

/// A copy of the database whose progress is streamed, each page a [`Copied`]. A CANCEL calls it off; if that comes behind a page, the
/// last frame says also then what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WatchedBackup<'a> {
    /// All pages of the newest state, or, densely, what a snapshot sees.
    pub(crate) at: At,
    /// Absolute.
    #[serde(borrow)]
    pub(crate) path: Text<'a>,
}

/// How far a copy is, as [`BackupProgress`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copied {
    items: u64,
    bytes: u64,
    of_items: u64,
    of_bytes: u64,
}

impl From<BackupProgress> for Copied {
    fn from(BackupProgress { items, bytes, of_items, of_bytes }: BackupProgress) -> Copied {
        Copied { items, bytes, of_items, of_bytes }
    }
}

impl From<Copied> for BackupProgress {
    fn from(Copied { items, bytes, of_items, of_bytes }: Copied) -> BackupProgress {
        BackupProgress { items, bytes, of_items, of_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::encode;

    #[track_caller]
    fn check(value: &impl Serialize, expected: &[u8]) {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).expect("it is short");
        assert_eq!(bytes, expected);
    }

    /// What is sent is a promise.
    #[test]
    fn what_is_told_of_backups_has_the_documented_bytes() {
        check(&WatchedBackup { at: At::Held(3), path: "/b".into() }, b"\x01\x03\x02/b");
        check(&Copied { items: 1, bytes: 300, of_items: 2, of_bytes: 4 }, b"\x01\xac\x02\x02\x04");
        check(&CreateTableBackup { table: "t".into(), name: "n".into() }, b"\x01t\x01n");
        let source = |source| RestoreTable {
            name: "t".into(),
            source: Some(source),
            global: Some(vec!["g".into()]),
            local: None,
            metadata: None,
        };
        check(&source(RestoreFrom::Backup("b".into())), b"\x01t\x01\0\x01b\x01\x01\x01g\0\0");
        check(&source(RestoreFrom::Past("p".into(), 5)), b"\x01t\x01\x01\x01p\x05\x01\x01\x01g\0\0");
        check(&source(RestoreFrom::Table("p".into())), b"\x01t\x01\x02\x01p\x01\x01\x01g\0\0");
    }
}
