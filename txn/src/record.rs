//! A record: what a table's tree stores under a key. It says which transaction wrote it and where the version before
//! it is; the rest is the payload, which this layer never looks into.
//!
//! # Layout
//!
//! ```text
//! offset  size  field    meaning
//! ------  ----  -------  ----------------------------------------------------------------
//!      0     1  flags    bits 0-2: bytes of `created`, less one
//!                        bit 3: a tombstone: the item was deleted, there is no payload
//!                        bit 4: there is an older version
//!                        bit 5: which another transaction superseded than the one that wrote this record
//!                        bits 6-7: zero
//!      1   1-8  created  the transaction that wrote the record, little-endian, without leading zeros
//!      .     4  ordinal  (bit 4) ordinal of the older version in the history, little-endian
//!      .     8  txn      (bit 5) the transaction that superseded the older version, little-endian
//!      .     .  payload
//! ```
//!
//! An ordinary record of a young database has three bytes before its payload.
//!
//! # Invariants
//!
//! 1. The older version, if it is still there, was written before `created` and superseded at or before it.
//! 2. A link to an older version may lead nowhere: whoever collected that version knew that no snapshot needs it.

use thiserror::Error;

use crate::error::TxnError;
use crate::txn_id::{TableId, TxnId, VersionKey};

const CREATED_LEN: u8 = 0b0000_0111;
const TOMBSTONE: u8 = 0b0000_1000;
const HAS_OLDER: u8 = 0b0001_0000;
const OLDER_TXN: u8 = 0b0010_0000;
const RESERVED: u8 = 0b1100_0000;

/// What a record says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The transaction that wrote it: the item's version.
    pub(crate) created: TxnId,
    /// Whether it stands for a deleted item.
    pub(crate) tombstone: bool,
    /// The version before it.
    pub(crate) older: Option<VersionKey>,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordDamage {
    /// The bytes end inside the record's own fields.
    #[error("the record ends after {len} bytes, inside its fields")]
    Short {
        /// Bytes that there are.
        len: usize,
    },
    /// Flags that mean nothing.
    #[error("record flags {flags:#04x} mean nothing")]
    Flags {
        /// The flags.
        flags: u8,
    },
    /// A number with a leading zero, or a link that should have had the short form.
    #[error("the record's numbers are not in their shortest form")]
    NotShortest,
    /// A tombstone with a payload.
    #[error("a tombstone with a payload of {len} bytes")]
    TombstonePayload {
        /// Bytes of the payload.
        len: usize,
    },
    /// The record was superseded before it was written.
    #[error("written by {created}, but its older version was superseded by {superseded_by}")]
    Order {
        /// The transaction that wrote the record.
        created: TxnId,
        /// The transaction that is said to have superseded the version before it.
        superseded_by: TxnId,
    },
}

/// Bytes before the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedRecord {
    bytes: [u8; Record::MAX_SIZE],
    len: u8,
}

impl std::ops::Deref for EncodedRecord {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Record {
    /// Bytes before the payload, at the most.
    pub(crate) const MAX_SIZE: usize = 1 + 8 + 4 + 8;

    /// A record of a live item.
    pub(crate) fn live(created: TxnId, older: Option<VersionKey>) -> Record {
        Record { created, tombstone: false, older }
    }

    /// The record of a deleted item.
    pub(crate) fn tombstone(created: TxnId, older: Option<VersionKey>) -> Record {
        Record { created, tombstone: true, older }
    }

    /// The record's form on disk, without the payload.
    pub(crate) fn encode(&self) -> EncodedRecord {
        let mut encoded = EncodedRecord { bytes: [0; Record::MAX_SIZE], len: 1 };
        let created_len = (8 - self.created.0.leading_zeros() as usize / 8).max(1);
        let mut flags = created_len as u8 - 1;
        encoded.push(&self.created.0.to_le_bytes()[..created_len]);
        if self.tombstone {
            flags |= TOMBSTONE;
        }
        if let Some(older) = self.older {
            flags |= HAS_OLDER;
            encoded.push(&older.ordinal.to_le_bytes());
            if older.superseded_by != self.created {
                flags |= OLDER_TXN;
                encoded.push(&older.superseded_by.0.to_le_bytes());
            }
        }
        encoded.bytes[0] = flags;
        encoded
    }

    /// Reads a record of a table.
    #[inline]
    pub(crate) fn decode_of(table: TableId, bytes: &[u8]) -> Result<(Record, usize), TxnError> {
        Record::decode(bytes).map_err(|damage| TxnError::Damaged { table, source: damage.into() })
    }

    /// Reads a record from the front of `bytes`. Also returns where its payload begins.
    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Record, usize), RecordDamage> {
        let short = RecordDamage::Short { len: bytes.len() };
        let &flags = bytes.first().ok_or(short)?;
        let created_len = usize::from(flags & CREATED_LEN) + 1;
        let mut at = 1 + created_len;
        let digits = bytes.get(1..at).ok_or(short)?;
        let mut created = [0; 8];
        created[..created_len].copy_from_slice(digits);
        let created = TxnId(u64::from_le_bytes(created));
        if created_len > 1 && digits[created_len - 1] == 0 {
            return Err(RecordDamage::NotShortest);
        }
        let tombstone = flags & TOMBSTONE != 0;
        let mut record = Record { created, tombstone, older: None };
        if flags & (HAS_OLDER | OLDER_TXN | RESERVED) != 0 {
            (record.older, at) = decode_older(bytes, flags, created, at)?;
        }
        Ok((record, at))
    }
}

#[cold]
fn decode_older(
    bytes: &[u8],
    flags: u8,
    created: TxnId,
    mut at: usize,
) -> Result<(Option<VersionKey>, usize), RecordDamage> {
    let short = RecordDamage::Short { len: bytes.len() };
    if flags & RESERVED != 0 || flags & HAS_OLDER == 0 {
        return Err(RecordDamage::Flags { flags });
    }
    let (ordinal, rest) = bytes[at..].split_first_chunk::<4>().ok_or(short)?;
    at += 4;
    let mut superseded_by = created;
    if flags & OLDER_TXN != 0 {
        let (txn, _) = rest.split_first_chunk::<8>().ok_or(short)?;
        at += 8;
        superseded_by = TxnId(u64::from_le_bytes(*txn));
        if superseded_by == created {
            return Err(RecordDamage::NotShortest);
        }
        if superseded_by > created {
            return Err(RecordDamage::Order { created, superseded_by });
        }
    }
    Ok((Some(VersionKey { superseded_by, ordinal: u32::from_le_bytes(*ordinal) }), at))
}

impl EncodedRecord {
    fn push(&mut self, bytes: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn older(superseded_by: u64, ordinal: u32) -> Option<VersionKey> {
        Some(VersionKey { superseded_by: TxnId(superseded_by), ordinal })
    }

    /// The file format is a promise.
    #[test]
    fn record_bytes_are_the_documented_ones() {
        let check = |record: Record, bytes: &[u8]| {
            assert_eq!(&*record.encode(), bytes);
            assert_eq!(Record::decode(bytes), Ok((record, bytes.len())));
        };
        check(Record::live(TxnId(0x0201), None), &[0x01, 1, 2]);
        check(Record::tombstone(TxnId(7), None), &[0x08, 7]);
        check(Record::live(TxnId(5), older(5, 0x0403_0201)), &[0x10, 5, 1, 2, 3, 4]);
        check(Record::live(TxnId(5), older(4, 1)), &[0x30, 5, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
        check(Record::live(TxnId(u64::MAX), None), &[7, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn each_kind_of_damage_is_named() {
        assert_eq!(Record::decode(&[]), Err(RecordDamage::Short { len: 0 }));
        assert_eq!(Record::decode(&[3, 1, 1]), Err(RecordDamage::Short { len: 3 }));
        assert_eq!(Record::decode(&[0x10, 1, 0, 0, 0]), Err(RecordDamage::Short { len: 5 }));
        assert_eq!(Record::decode(&[0x30, 1, 0, 0, 0, 0, 0]), Err(RecordDamage::Short { len: 7 }));
        assert_eq!(Record::decode(&[0x40, 1]), Err(RecordDamage::Flags { flags: 0x40 }));
        assert_eq!(Record::decode(&[0x20, 1, 0, 0, 0, 0]), Err(RecordDamage::Flags { flags: 0x20 }));
        assert_eq!(Record::decode(&[1, 1, 0]), Err(RecordDamage::NotShortest));
        let own = [0x30, 5, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Record::decode(&own), Err(RecordDamage::NotShortest));
        let later = [0x30, 5, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
        let order = RecordDamage::Order { created: TxnId(5), superseded_by: TxnId(6) };
        assert_eq!(Record::decode(&later), Err(order));
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was_encoded(
            created: u64, tombstone: bool, link: Option<(u64, u32)>, payload: Vec<u8>
        ) {
            let older = link.and_then(|(txn, ordinal)| older(txn.min(created), ordinal));
            let record = Record { created: TxnId(created), tombstone, older };
            let mut bytes = record.encode().to_vec();
            let payload_at = bytes.len();
            bytes.extend(payload);
            prop_assert_eq!(Record::decode(&bytes), Ok((record, payload_at)));
        }

        /// What is accepted has one form only, so nothing hides in it.
        #[test]
        fn arbitrary_bytes_are_refused_or_are_the_one_form_of_a_record(bytes: Vec<u8>) {
            if let Ok((record, at)) = Record::decode(&bytes) {
                prop_assert_eq!(&*record.encode(), &bytes[..at]);
            }
        }
    }
}
