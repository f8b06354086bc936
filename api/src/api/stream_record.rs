//! Records of a stream: what is said of a change, and how it is stored.
//!
//! # Layout
//!
//! A stream is a tree of rows in the order of their sequence numbers ([`SequenceNumber`]: transaction and ordinal, big-endian).
//!
//! ```text
//! key    12 bytes  sequence number, not of transaction 0
//! offset  size  field    meaning
//! ------  ----  -------  ---------------------------------------------------------------------------
//!      0     1  kind     1 INSERT, 2 MODIFY, 3 REMOVE; + 16: done by the database itself, for TTL;
//!                        + 32: the new image stands in a row of its own; + 64: the old image does
//!      1     8  time     of the change, milliseconds since 1970, little-endian
//!      9     2  key_len  little-endian
//!     11     4  new_len  bytes of the new image, little-endian; 0 if there is none
//!     15     4  old_len  bytes of the old image, likewise
//!     19     .  key      the item's stored key
//!      .     .  new      the item after the change, as it is stored
//!      .     .  old      the item before it, as it was stored
//!
//! key    13 bytes  sequence number, and 1 for the new image, 2 for the old one: images above 128 KiB
//! value  the image
//!
//! key    12 bytes of 0
//! value  12 bytes: the sequence number of the last record that was trimmed
//! ```

use serde_json::Value;
use xxhash_rust::xxh64::xxh64;

use crate::api::key;
use crate::api::projection::{Decode, Projection};
use crate::api::sequence_number::SequenceNumber;
use crate::api::table::Table;
use crate::error::{Damage, Error, Result};
use crate::item_codec;

const HEAD: usize = 19;
const KIND: u8 = 0x0F;
const BY_SERVICE: u8 = 16;
const NEW_APART: u8 = 32;
const OLD_APART: u8 = 64;
/// A longer image stands apart, so that a record with two of them fits under its key.
const LONGEST_INLINE: usize = 128 << 10;

/// What a change did to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum StreamEvent {
    /// There was none before.
    Insert,
    /// It became another.
    Modify,
    /// There is none any more.
    Remove,
}

impl StreamEvent {
    /// DynamoDB's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamEvent::Insert => "INSERT",
            StreamEvent::Modify => "MODIFY",
            StreamEvent::Remove => "REMOVE",
        }
    }

    fn of_kind(kind: u8) -> Option<StreamEvent> {
        match kind & KIND {
            1 => Some(StreamEvent::Insert),
            2 => Some(StreamEvent::Modify),
            3 => Some(StreamEvent::Remove),
            _ => None,
        }
    }
}

/// Who made a change that no client made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct UserIdentity {
    /// The kind of who.
    #[serde(deserialize_with = "crate::word::deserialize")]
    pub identity_type: crate::word::Word,
    /// Who.
    #[serde(deserialize_with = "crate::word::deserialize")]
    pub principal_id: crate::word::Word,
}

/// The deletions of what has expired.
const SERVICE: UserIdentity =
    UserIdentity { identity_type: "Service", principal_id: "dynamodb.amazonaws.com" };

/// A change of an item, as its stream tells it. Items are JSON, or exact attribute values.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct StreamRecord<T = Value> {
    /// Its place in the stream.
    pub sequence_number: SequenceNumber,
    /// A name that no other record has, of this or any other stream: 32 digits.
    pub event_id: String,
    /// What was done.
    pub event: StreamEvent,
    /// The attributes of the item's key.
    pub keys: T,
    /// The item after the change, if the stream has these and there is one.
    pub new_image: Option<T>,
    /// The item before the change, if the stream has these and there was one.
    pub old_image: Option<T>,
    /// When it was done, in seconds since 1970.
    pub approximate_creation_time: u64,
    /// Bytes of keys and images, as DynamoDB counts them.
    pub size_bytes: usize,
    /// Who did it, if the database did by itself: TTL.
    pub user_identity: Option<UserIdentity>,
}

impl<T> StreamRecord<T> {
    /// The record with its keys and images made into something else.
    ///
    /// # Errors
    ///
    /// The first error of `map`.
    pub fn try_map<U, E>(self, mut map: impl FnMut(T) -> Result<U, E>) -> Result<StreamRecord<U>, E> {
        Ok(StreamRecord {
            sequence_number: self.sequence_number,
            event_id: self.event_id,
            event: self.event,
            keys: map(self.keys)?,
            new_image: self.new_image.map(&mut map).transpose()?,
            old_image: self.old_image.map(&mut map).transpose()?,
            approximate_creation_time: self.approximate_creation_time,
            size_bytes: self.size_bytes,
            user_identity: self.user_identity,
        })
    }
}

/// What is stored of a change.
pub(crate) struct Change<'a> {
    pub(crate) event: StreamEvent,
    pub(crate) by_service: bool,
    pub(crate) time_ms: u64,
    pub(crate) key: &'a [u8],
    pub(crate) new: Option<&'a [u8]>,
    pub(crate) old: Option<&'a [u8]>,
}

/// What stands in the row of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    New,
    Old,
}

impl Image {
    /// The key of its row.
    pub(crate) fn row_key(self, number: SequenceNumber) -> [u8; SequenceNumber::SIZE + 1] {
        let mut key = [0; SequenceNumber::SIZE + 1];
        key[..SequenceNumber::SIZE].copy_from_slice(&number.to_bytes());
        key[SequenceNumber::SIZE] = match self {
            Image::New => 1,
            Image::Old => 2,
        };
        key
    }
}

impl<'a> Change<'a> {
    /// The row of the record, and the images that do not stand in it.
    pub(crate) fn encode(&self) -> (Vec<u8>, impl Iterator<Item = (Image, &'a [u8])> + use<'a>) {
        let is_long = |image: &&[u8]| image.len() > LONGEST_INLINE;
        let (new_apart, old_apart) = (self.new.filter(is_long), self.old.filter(is_long));
        let mut kind = match self.event {
            StreamEvent::Insert => 1,
            StreamEvent::Modify => 2,
            StreamEvent::Remove => 3,
        };
        for (flag, set) in [
            (BY_SERVICE, self.by_service),
            (NEW_APART, new_apart.is_some()),
            (OLD_APART, old_apart.is_some()),
        ] {
            kind |= if set { flag } else { 0 };
        }
        let (new, old) = (self.new.unwrap_or_default(), self.old.unwrap_or_default());
        let mut row = Vec::with_capacity(HEAD + self.key.len() + new.len() + old.len());
        row.push(kind);
        row.extend(self.time_ms.to_le_bytes());
        // Keys have at most some 6 KB, items some 500 KB.
        row.extend((self.key.len() as u16).to_le_bytes());
        row.extend((new.len() as u32).to_le_bytes());
        row.extend((old.len() as u32).to_le_bytes());
        row.extend(self.key);
        for (image, apart) in [(new, new_apart), (old, old_apart)] {
            if apart.is_none() {
                row.extend(image);
            }
        }
        let apart = [new_apart.map(|new| (Image::New, new)), old_apart.map(|old| (Image::Old, old))];
        (row, apart.into_iter().flatten())
    }
}

/// A record as it is stored.
#[derive(Debug)]
pub(crate) struct StoredRecord {
    pub(crate) number: SequenceNumber,
    pub(crate) row: Vec<u8>,
    /// The images that stand apart: the new one and the old one.
    pub(crate) apart: [Option<Vec<u8>>; 2],
}

/// The time of a change, from the row of its record.
pub(crate) fn time_ms(row: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(row.get(1..9)?.try_into().ok()?))
}

impl StoredRecord {
    /// Takes a row for the beginning of a record. `None` if it is no such row.
    pub(crate) fn begin(key: &[u8], row: &[u8]) -> Option<StoredRecord> {
        match SequenceNumber::split(key)? {
            (number, []) => Some(StoredRecord { number, row: row.to_vec(), apart: [None, None] }),
            _ => None,
        }
    }

    /// Takes a row for an image of this record. Returns whether it is one.
    pub(crate) fn add(&mut self, key: &[u8], image: &[u8]) -> bool {
        let at = match SequenceNumber::split(key) {
            Some((number, [1])) if number == self.number => 0,
            Some((number, [2])) if number == self.number => 1,
            _ => return false,
        };
        self.apart[at] = Some(image.to_vec());
        true
    }

    /// Takes it apart. `None` if it is malformed.
    pub(crate) fn parts(&self) -> Option<Change<'_>> {
        let kind = *self.row.first()?;
        if kind & !(KIND | BY_SERVICE | NEW_APART | OLD_APART) != 0 {
            return None;
        }
        let key_len = usize::from(u16::from_le_bytes(self.row.get(9..11)?.try_into().ok()?));
        let len_at =
            |at: usize| Some(u32::from_le_bytes(self.row.get(at..at + 4)?.try_into().ok()?) as usize);
        let (key, mut rest) = self.row.get(HEAD..)?.split_at_checked(key_len)?;
        let [apart_new, apart_old] = &self.apart;
        let mut images = [None, None];
        for (image, len, flag, apart) in
            [(0, len_at(11)?, NEW_APART, apart_new), (1, len_at(15)?, OLD_APART, apart_old)]
        {
            let bytes = match kind & flag == 0 {
                true => {
                    let (inline, behind) = rest.split_at_checked(len)?;
                    rest = behind;
                    inline
                }
                false => apart.as_deref().filter(|apart| apart.len() == len)?,
            };
            images[image] = (len > 0).then_some(bytes);
        }
        let [new, old] = images;
        rest.is_empty().then_some(Change {
            event: StreamEvent::of_kind(kind)?,
            by_service: kind & BY_SERVICE != 0,
            time_ms: time_ms(&self.row)?,
            key,
            new,
            old,
        })
    }

    /// The record for its reader. `stream` is what event ids of the stream are made of.
    pub(crate) fn decode<T>(
        &self,
        table: &Table,
        stream: &[u8],
        decode: Decode<T>,
    ) -> Result<StreamRecord<T>> {
        let parts = self.parts().ok_or_else(|| malformed(table))?;
        let damaged = |damage| table.damaged(damage);
        let keys = item_codec::encode(&key::to_item(table, parts.key)?)?;
        let mut size_bytes = 0;
        let mut item = |bytes: &[u8]| -> Result<T> {
            size_bytes += item_codec::check(bytes).map_err(damaged)?;
            Projection::All.decode(table, bytes, decode)
        };
        let (keys, new_image) = (item(&keys)?, parts.new.map(&mut item).transpose()?);
        let old_image = parts.old.map(&mut item).transpose()?;
        Ok(StreamRecord {
            sequence_number: self.number,
            event_id: event_id(stream, self.number),
            event: parts.event,
            keys,
            new_image,
            old_image,
            approximate_creation_time: parts.time_ms / 1000,
            size_bytes,
            user_identity: parts.by_service.then_some(SERVICE),
        })
    }
}

/// The error for a record that was never written so.
pub(crate) fn malformed(table: &Table) -> Error {
    table.damaged(Damage::StreamRecord)
}

fn event_id(stream: &[u8], number: SequenceNumber) -> String {
    let bytes = [stream, &number.to_bytes()].concat();
    format!("{:016x}{:016x}", xxh64(&bytes, 0), xxh64(&bytes, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change<'a>(new: Option<&'a [u8]>, old: Option<&'a [u8]>) -> Change<'a> {
        Change { event: StreamEvent::Modify, by_service: true, time_ms: 0x0102_0304, key: b"key", new, old }
    }

    /// The file format is a promise.
    #[test]
    fn stored_bytes_are_the_documented_ones() {
        let (row, apart) = change(Some(b"new"), Some(b"older")).encode();
        let mut expected = vec![18, 4, 3, 2, 1, 0, 0, 0, 0, 3, 0, 3, 0, 0, 0, 5, 0, 0, 0];
        expected.extend(b"keynewolder");
        assert_eq!(row, expected);
        assert_eq!(apart.count(), 0);
        let number = SequenceNumber::new(dynamite_txn::TxnId(5), 6);
        assert_eq!(Image::Old.row_key(number), [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6, 2]);
    }

    #[track_caller]
    fn check(new: Option<&[u8]>, old: Option<&[u8]>) {
        let number = SequenceNumber::new(dynamite_txn::TxnId(5), 6);
        let (row, apart) = change(new, old).encode();
        assert!(row.len() < 300 << 10);
        let mut stored = StoredRecord::begin(&number.to_bytes(), &row).unwrap();
        for (image, bytes) in apart {
            assert!(stored.add(&image.row_key(number), bytes));
        }
        let parts = stored.parts().unwrap();
        assert_eq!((parts.key, parts.new, parts.old), (&b"key"[..], new, old));
        assert_eq!((parts.event, parts.by_service, parts.time_ms), (StreamEvent::Modify, true, 0x0102_0304));
        // A row that is cut short, or too long, is none.
        for len in 0..row.len().min(64) {
            let cut = StoredRecord { row: row[..len].to_vec(), apart: stored.apart.clone(), number };
            assert!(cut.parts().is_none(), "{len} bytes");
        }
        stored.row.push(0);
        assert!(stored.parts().is_none());
    }

    #[test]
    fn records_with_images_of_any_size_are_read_as_they_were_written() {
        let (small, large) = (vec![1; 9], vec![2; 500_000]);
        for new in [None, Some(&small[..]), Some(&large[..])] {
            for old in [None, Some(&small[..]), Some(&large[..])] {
                check(new, old);
            }
        }
    }
}
