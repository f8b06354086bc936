//! A history tree: superseded versions in the order in which they were superseded, so that what becomes garbage first
//! stands first, and the tree grows at its right edge.
//!
//! It is also the queue of what else is to be cleaned up once no snapshot looks back that far: tombstones and dropped
//! tables. So a crash leaks nothing.
//!
//! # Layout
//!
//! The key is a [`VersionKey`]. The value:
//!
//! ```text
//! offset  size  field       meaning
//! ------  ----  ----------  ------------------------------------------------------------------------
//!      0     1  flags       bit 0: holds a version; its record follows
//!                           bit 1: the table holds a tombstone that goes when this entry goes
//!                           bit 2: the table was dropped; its pages go when this entry goes
//!                           bit 3: the key is long and stands in an entry of its own
//!      1     4  table       the table's id, little-endian
//!      5     2  key length  little-endian; 0 with bit 3
//!      7     .  key
//!      .     .  record      (bit 0) as it stood in the table, see `record`
//! ```
//!
//! A key of more than [`LONGEST_INLINE_KEY`] bytes is the value of an entry under the version key and one more byte, 1.
//! The payload of a version that had pages of its own keeps them: they are handed over.

use dynamite_bptree::{Body, Displaced, MAX_HEAD, NewValue, Pages, Tree, Value};
use dynamite_pager::WriteBatch;

use crate::catalog::HISTORY;
use crate::error::{Damage, Result, TxnError};
use crate::record::Record;
use crate::txn_id::{TableId, VersionKey};

const VERSION: u8 = 1;
const TOMBSTONE: u8 = 2;
const DROPPED_TABLE: u8 = 4;
const LONG_KEY: u8 = 8;
const ALL: u8 = VERSION | TOMBSTONE | DROPPED_TABLE | LONG_KEY;

const FIXED: usize = 7;

/// Longer keys stand in entries of their own, so that the rest stays within the head of a value.
pub(crate) const LONGEST_INLINE_KEY: usize = MAX_HEAD - FIXED - Record::MAX_SIZE;

/// The byte after a version key under which its long key stands.
pub(crate) const KEY_ENTRY: u8 = 1;

/// What an entry says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) table: TableId,
    /// Empty while a long key has not been looked up.
    pub(crate) key: Vec<u8>,
    pub(crate) long_key: bool,
    pub(crate) names_tombstone: bool,
    pub(crate) dropped_table: bool,
    /// The version that it holds.
    pub(crate) version: Option<Record>,
}

impl Entry {
    fn head(&self) -> Vec<u8> {
        let mut flags = 0;
        let mut set = |bit, on| flags |= if on { bit } else { 0 };
        set(VERSION, self.version.is_some());
        set(TOMBSTONE, self.names_tombstone);
        set(DROPPED_TABLE, self.dropped_table);
        set(LONG_KEY, self.long_key);
        let key: &[u8] = if self.long_key { &[] } else { &self.key };
        let mut head = Vec::with_capacity(FIXED + key.len() + Record::MAX_SIZE);
        head.push(flags);
        head.extend(self.table.0.to_le_bytes());
        head.extend((key.len() as u16).to_le_bytes());
        head.extend(key);
        if let Some(record) = &self.version {
            head.extend(&*record.encode());
        }
        head
    }

    /// Reads an entry. Also returns where the version's payload begins.
    fn decode(bytes: &[u8]) -> Result<(Entry, usize), Damage> {
        let short = Damage::HistoryEntry;
        let (&flags, rest) = bytes.split_first().ok_or(short)?;
        let (table, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let (key_len, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let key_len = usize::from(u16::from_le_bytes(*key_len));
        let (key, rest) = rest.split_at_checked(key_len).ok_or(short)?;
        if flags & !ALL != 0 || (flags & LONG_KEY != 0 && key_len > 0) {
            return Err(Damage::HistoryEntry);
        }
        let mut payload_at = FIXED + key_len;
        let mut version = None;
        if flags & VERSION != 0 {
            let (record, len) = Record::decode(rest)?;
            payload_at += len;
            version = Some(record);
        }
        let entry = Entry {
            table: TableId(u32::from_le_bytes(*table)),
            key: key.to_vec(),
            long_key: flags & LONG_KEY != 0,
            names_tombstone: flags & TOMBSTONE != 0,
            dropped_table: flags & DROPPED_TABLE != 0,
            version,
        };
        Ok((entry, payload_at))
    }
}

/// Reads the entry of an entry's value, and the payload of the version in it.
pub(crate) fn decode<'a>(value: &'a Value<'_>) -> Result<(Entry, Body<'a>)> {
    let damaged = |source| TxnError::Damaged { table: HISTORY, source };
    let (entry, at) = Entry::decode(value.head()).map_err(damaged)?;
    let payload = match value {
        Value::Inline(bytes) => Body::Bytes(&bytes[at..]),
        Value::Spilled { head, run } if at == head.len() => Body::Run(*run),
        Value::Spilled { .. } => return Err(damaged(Damage::HistoryEntry)),
    };
    Ok((entry, payload))
}

/// Reads as much of an entry as stands in the leaf, and where the version's payload begins.
pub(crate) fn decode_head(head: &[u8]) -> Result<(Entry, usize), Damage> {
    Entry::decode(head)
}

/// Stores an entry.
pub(crate) fn insert(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    at: VersionKey,
    entry: &Entry,
    payload: Body<'_>,
) -> Result<()> {
    if entry.long_key {
        let value = NewValue { head: &[], body: Body::Bytes(&entry.key) };
        tree.insert(batch, &key_entry(at), value)?;
    }
    replace_head(tree, batch, at, entry, payload)
}

/// Stores an entry, but not its long key, which is there already.
pub(crate) fn replace_head(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    at: VersionKey,
    entry: &Entry,
    payload: Body<'_>,
) -> Result<()> {
    tree.insert(batch, &at.to_bytes(), NewValue { head: &entry.head(), body: payload })?;
    Ok(())
}

/// Looks an entry up, without its long key and without its payload.
pub(crate) fn find(tree: &Tree, pages: &mut impl Pages, at: VersionKey) -> Result<Option<Entry>> {
    match tree.get(pages, &at.to_bytes())? {
        Some(value) => Ok(Some(decode(&value)?.0)),
        None => Ok(None),
    }
}

/// The key that an entry is about.
pub(crate) fn load_key(tree: &Tree, pages: &mut impl Pages, at: VersionKey, entry: &mut Entry) -> Result<()> {
    if !entry.long_key {
        return Ok(());
    }
    entry.key.clear();
    let run = match tree.get(pages, &key_entry(at))? {
        None => return Err(TxnError::Damaged { table: HISTORY, source: Damage::HistoryEntry }),
        Some(Value::Inline(bytes)) => {
            entry.key.extend(bytes);
            return Ok(());
        }
        Some(Value::Spilled { head, run }) => {
            entry.key.extend(head);
            run
        }
    };
    run.read(pages, &mut entry.key)?;
    Ok(())
}

/// Removes an entry, which there must be, with all that belongs to it.
pub(crate) fn remove(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    at: VersionKey,
    long_key: bool,
) -> Result<()> {
    match take(tree, batch, at, long_key)?.run {
        Some(run) => Ok(run.free(batch)?),
        None => Ok(()),
    }
}

/// Moves an entry, whose key is known, to another tree. Its payload's pages stay where they are.
pub(crate) fn move_to(
    tree: &mut Tree,
    other: &mut Tree,
    batch: &mut WriteBatch<'_>,
    at: VersionKey,
    entry: &Entry,
) -> Result<()> {
    let Displaced { head, run } = take(tree, batch, at, entry.long_key)?;
    let (_, payload_at) =
        Entry::decode(&head).map_err(|source| TxnError::Damaged { table: HISTORY, source })?;
    let payload = run.map_or(Body::Bytes(&head[payload_at..]), Body::Run);
    insert(other, batch, at, entry, payload)
}

/// Removes an entry, which there must be, and its long key. Its payload's pages are the caller's.
fn take(tree: &mut Tree, batch: &mut WriteBatch<'_>, at: VersionKey, long_key: bool) -> Result<Displaced> {
    // A cursor may see what a search does not find, in a tree whose leaves have changed places. Whoever collects entry by
    // entry would never come to an end.
    let missing = Damage::MissingVersion { superseded_by: at.superseded_by };
    let taken =
        tree.remove(batch, &at.to_bytes())?.ok_or(TxnError::Damaged { table: HISTORY, source: missing })?;
    if long_key {
        let displaced = tree.remove(batch, &key_entry(at))?;
        if let Some(run) = displaced.and_then(|displaced| displaced.run) {
            run.free(batch)?;
        }
    }
    Ok(taken)
}

/// The oldest entry at or after a place, without its long key.
pub(crate) fn first_from(
    tree: &Tree,
    pages: &mut impl Pages,
    from: VersionKey,
) -> Result<Option<(VersionKey, Entry)>> {
    let mut cursor = tree.cursor(pages, dynamite_pager::Access::Point);
    cursor.seek(&from.to_bytes());
    // Keys of 13 bytes hold the long keys of the entries before them, so no two of them are neighbours.
    for _ in 0..2 {
        let Some(row) = cursor.next()? else { return Ok(None) };
        if let Ok(key) = row.key.try_into() {
            return Ok(Some((VersionKey::from_bytes(key), decode(&row.value)?.0)));
        }
    }
    Err(TxnError::Damaged { table: HISTORY, source: Damage::HistoryEntry })
}

fn key_entry(at: VersionKey) -> [u8; VersionKey::SIZE + 1] {
    let mut key = [KEY_ENTRY; VersionKey::SIZE + 1];
    key[..VersionKey::SIZE].copy_from_slice(&at.to_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn_id::TxnId;

    fn entry() -> Entry {
        Entry {
            table: TableId(0x0403_0201),
            key: b"key".to_vec(),
            long_key: false,
            names_tombstone: true,
            dropped_table: false,
            version: Some(Record::live(TxnId(9), None)),
        }
    }

    /// The file format is a promise.
    #[test]
    fn history_entry_bytes_are_the_documented_ones() {
        let mut bytes = vec![3, 1, 2, 3, 4, 3, 0, b'k', b'e', b'y', 0, 9];
        assert_eq!(entry().head(), bytes);
        bytes.extend(b"payload");
        assert_eq!(Entry::decode(&bytes), Ok((entry(), 12)));
    }

    #[test]
    fn damaged_history_entries_are_refused() {
        let bytes = entry().head();
        for len in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        let mut unknown = bytes.clone();
        unknown[0] |= 0x10;
        assert_eq!(Entry::decode(&unknown), Err(Damage::HistoryEntry));
        let mut both = bytes;
        both[0] |= LONG_KEY;
        assert_eq!(Entry::decode(&both), Err(Damage::HistoryEntry));
    }

    #[test]
    fn the_longest_inline_key_leaves_room_for_the_longest_record() {
        let longest = Entry {
            key: vec![1; LONGEST_INLINE_KEY],
            version: Some(Record::live(
                TxnId(u64::MAX),
                Some(VersionKey { superseded_by: TxnId(1), ordinal: 1 }),
            )),
            ..entry()
        };
        assert_eq!(longest.head().len(), MAX_HEAD);
    }
}
