//! Which version of an item a reader sees.
//!
//! Trees are always the current ones. A reader of the newest state takes what stands in the tree. A snapshot at
//! transaction *s* takes the record if it was created at or before *s*; otherwise the version of its time is one of those that
//! were superseded a moment ago and are kept in memory ([`recent`](crate::recent)), or it follows the record's link to
//! older versions until it meets one that was created early enough (INV-6). Where nothing stands in the tree, the version of its time
//! can only be in memory:
//!
//! ```text
//!   leaf                    history
//!   created 9 ──older──▶ (9,0): created 7 ──older──▶ (7,2): created 3
//!
//!   s ≥ 9 sees the leaf, s = 7 or 8 sees (9,0), s = 3 to 6 sees (7,2), s < 3 sees no item
//! ```

use std::ops::ControlFlow;

use dynamite_bptree::{Overflow, Pages, Tree, Value};

use crate::catalog::{Catalog, HISTORY, Retention, TableRecord};
use crate::error::{Damage, Result, TxnError};
use crate::history;
use crate::payload::{Loaded, Payload};
use crate::recent::{RecentVersion, RecentVersions};
use crate::record::Record;
use crate::txn_id::{TableId, TxnId};

/// A table, as somebody sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'s> {
    pub(crate) table: TableId,
    pub(crate) record: TableRecord,
    /// Where the history is found, should it be needed.
    pub(crate) catalog: Catalog,
    /// What was superseded a moment ago.
    pub(crate) recent: &'s RecentVersions,
    /// The state that is seen; `None` for the newest that the trees hold.
    pub(crate) as_of: Option<TxnId>,
}

/// A version of an item, current or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemVersion<'a> {
    /// The transaction that wrote it.
    pub version: TxnId,
    /// The transaction that superseded it; `None` for the current one.
    pub superseded_by: Option<TxnId>,
    /// Its bytes; `None` if the item was deleted.
    pub payload: Option<&'a [u8]>,
}

impl View<'_> {
    /// Whether a version written by `created` is old enough to be seen.
    #[inline]
    pub(crate) fn sees(&self, created: TxnId) -> bool {
        self.as_of.is_none_or(|as_of| created <= as_of)
    }

    /// Decodes a record of the table.
    #[inline]
    pub(crate) fn decode(&self, head: &[u8]) -> Result<(Record, usize)> {
        Record::decode_of(self.table, head)
    }

    /// Looks up the version that is seen, and hands its payload to `with`.
    ///
    /// Cost: one descent; one more per version that is too new, and a batch of reads for a large payload.
    pub(crate) fn get<P: Pages, R>(
        &self,
        pages: &mut P,
        key: &[u8],
        with: impl FnOnce(TxnId, &[u8]) -> R,
    ) -> Result<Option<R>> {
        let Some(value) = self.record.tree.get(pages, key)? else {
            return Ok(self.recent(key).map(|(_, version)| with(version.record.created, &version.payload)));
        };
        let (record, at) = self.decode(value.head())?;
        if self.sees(record.created)
            && !record.tombstone
            && let Value::Inline(bytes) = value
        {
            return Ok(Some(with(record.created, &bytes[at..])));
        }
        let run = self.run_of(&value, at)?;
        let seen = self.resolve(pages, key, record, run)?;
        Ok(seen.map(|(version, payload)| with(version, &payload)))
    }

    /// What is seen of a record that is not simply visible and inline: who wrote it, and its payload. `None` if the item was
    /// deleted, or did not exist.
    #[cold]
    pub(crate) fn resolve(
        &self,
        pages: &mut impl Pages,
        key: &[u8],
        record: Record,
        run: Option<Overflow>,
    ) -> Result<Option<(TxnId, Loaded)>> {
        let seen = self.resolve_record(pages, key, record, run)?.filter(|(record, _)| !record.tombstone);
        Ok(seen.map(|(record, payload)| (record.created, payload)))
    }

    /// As [`resolve`](View::resolve), with all that the record says; a deletion is seen as a tombstone.
    pub(crate) fn resolve_record(
        &self,
        pages: &mut impl Pages,
        key: &[u8],
        record: Record,
        run: Option<Overflow>,
    ) -> Result<Option<(Record, Loaded)>> {
        if self.sees(record.created) {
            if record.tombstone {
                return Ok(Some((record, Payload::Bytes(Vec::new()).load(pages)?)));
            }
            let Some(run) = run else { return Ok(None) };
            return Ok(Some((record, Payload::Run(run).load(pages)?)));
        }
        if let Some((_, version)) = self.recent(key) {
            return Ok(Some((version.record, Payload::Bytes(version.payload).load(pages)?)));
        }
        let history = self.history(pages)?;
        let mut newer = record;
        while let Some(at) = newer.older {
            let missing = Damage::MissingVersion { superseded_by: at.superseded_by };
            if self.sees(at.superseded_by) {
                return Err(self.damaged(missing));
            }
            let value = history.get(pages, &at.to_bytes())?.ok_or_else(|| self.damaged(missing))?;
            let (entry, payload) = history::decode(&value)?;
            let version = entry.version.ok_or_else(|| self.damaged(missing))?;
            if version.created >= newer.created {
                let order = Damage::ChainOrder { from: newer.created, to: version.created };
                return Err(self.damaged(order));
            }
            if self.sees(version.created) {
                let payload = Payload::from(payload);
                return Ok(Some((version, payload.load(pages)?)));
            }
            newer = version;
        }
        Ok(None)
    }

    /// Visits the versions of an item, the newest that is seen first.
    pub(crate) fn versions<P: Pages>(
        &self,
        pages: &mut P,
        key: &[u8],
        mut visit: impl FnMut(ItemVersion<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let history = self.history(pages)?;
        let current = match self.record.tree.get(pages, key)? {
            None => None,
            Some(value) => {
                let (record, at) = self.decode(value.head())?;
                let stored = match (&value, self.run_of(&value, at)?) {
                    (_, Some(run)) => Payload::Run(run),
                    (value, None) => Payload::Bytes(value.head()[at..].to_vec()),
                };
                Some((record, stored, None))
            }
        };
        let is_seen = current.as_ref().is_some_and(|(record, ..)| self.sees(record.created));
        let recent = if is_seen { None } else { self.recent(key) };
        let recent = recent.map(|(by, version)| (version.record, Payload::Bytes(version.payload), Some(by)));
        let Some((mut record, mut stored, mut superseded_by)) = recent.or(current) else { return Ok(()) };
        loop {
            if self.sees(record.created) {
                let payload = stored.load(pages)?;
                let payload = (!record.tombstone).then_some(&payload[..]);
                if visit(ItemVersion { version: record.created, superseded_by, payload }).is_break() {
                    return Ok(());
                }
            }
            let Some(at) = record.older else { return Ok(()) };
            let Some(value) = history.get(pages, &at.to_bytes())? else { return Ok(()) };
            let (entry, payload) = history::decode(&value)?;
            let Some(older) = entry.version else { return Ok(()) };
            if older.created >= record.created {
                let order = Damage::ChainOrder { from: record.created, to: older.created };
                return Err(self.damaged(order));
            }
            stored = Payload::from(payload);
            (record, superseded_by) = (older, Some(at.superseded_by));
        }
    }

    /// The version of an item that is seen, if it was superseded a moment ago, and the transaction that did that.
    pub(crate) fn recent(&self, key: &[u8]) -> Option<(TxnId, RecentVersion)> {
        self.recent.find(self.table, key, self.as_of?)
    }

    /// The tree that holds the table's superseded versions.
    pub(crate) fn history(&self, pages: &mut impl Pages) -> Result<Tree> {
        match self.record.retention {
            Retention::None => Ok(self.catalog.table(pages, HISTORY)?.tree),
            _ => Ok(self.record.history),
        }
    }

    /// The pages that a record's payload has to itself.
    pub(crate) fn run_of(&self, value: &Value<'_>, payload_at: usize) -> Result<Option<Overflow>> {
        match value {
            Value::Inline(_) => Ok(None),
            Value::Spilled { head, run } if head.len() == payload_at => Ok(Some(*run)),
            Value::Spilled { .. } => {
                let short = crate::record::RecordDamage::Short { len: payload_at };
                Err(self.damaged(short.into()))
            }
        }
    }

    pub(crate) fn damaged(&self, source: Damage) -> TxnError {
        TxnError::Damaged { table: self.table, source }
    }
}
