//! What numbers transactions, tables and superseded versions.
//!
//! A transaction's id is the birth of its write batch: the pager draws births from one counter that never repeats one,
//! not after an abort and not after a crash, so a second counter would only have to be kept in step with it. Ids grow,
//! with gaps.

use std::fmt;

use dynamite_pager::Birth;

/// The number of a transaction, and the version of every item that it wrote. 0 is no transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnId(pub u64);

impl From<Birth> for TxnId {
    fn from(birth: Birth) -> TxnId {
        TxnId(birth.0)
    }
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a table. Never used twice in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a superseded version stands in a history tree: the transaction that superseded it, and which of that
/// transaction's victims it is.
///
/// ```text
/// offset  size  field        meaning
/// ------  ----  -----------  -----------------------------------------
///      0     8  transaction  big-endian, so that the tree is in order of age
///      8     4  ordinal      big-endian
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionKey {
    /// The transaction that superseded the version.
    pub superseded_by: TxnId,
    /// Counts the versions that this transaction superseded.
    pub ordinal: u32,
}

impl VersionKey {
    /// Bytes of a version key on disk.
    pub const SIZE: usize = 12;

    /// The next key, if there is one.
    pub(crate) fn successor(self) -> Option<VersionKey> {
        match self.ordinal.checked_add(1) {
            Some(ordinal) => Some(VersionKey { ordinal, ..self }),
            None => {
                let superseded_by = TxnId(self.superseded_by.0.checked_add(1)?);
                Some(VersionKey { superseded_by, ordinal: 0 })
            }
        }
    }

    /// The key's form on disk.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.superseded_by.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ordinal.to_be_bytes());
        bytes
    }

    /// Reads a key from disk. Every bit pattern is a key.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> VersionKey {
        let (txn, ordinal) = bytes.split_at(8);
        VersionKey {
            superseded_by: TxnId(u64::from_be_bytes(txn.try_into().expect("8 of 12 bytes"))),
            ordinal: u32::from_be_bytes(ordinal.try_into().expect("4 of 12 bytes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file format is a promise.
    #[test]
    fn version_key_bytes_are_the_documented_ones() {
        let key = VersionKey { superseded_by: TxnId(0x0102_0304_0506_0708), ordinal: 0x090a_0b0c };
        assert_eq!(key.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(VersionKey::from_bytes(&key.to_bytes()), key);
    }
}
