//! Versions that were superseded a moment ago: kept in memory until it is known that nobody needs them.
//!
//! A version may be dropped once its successor is published and no registered snapshot sees it (see [`snapshot`](crate::snapshot)).
//! When it is superseded, the first is never so, and the second nearly always: a handful of milliseconds later it is garbage. To
//! move it to the history tree, and to collect it there, would cost each overwrite two changes of that tree and a page more in
//! its commit. So it waits here.
//!
//! What needs it after a crash must not be here: snapshots with names, and the retention of tables. Nor must what is large, or
//! what a registered snapshot sees already. All of that goes to the history, and so does everything once [`MAX_BYTES`] are kept.
//!
//! # Where a reader looks
//!
//! The trees are as if the versions that are here had been dropped: records link past them, and an item that was deleted has no
//! tombstone, unless an older version in the history needs one to be found. So whoever finds a record that is too new, or none, asks
//! here first, by the item's key, and then follows the links; and whoever walks over a range of a tree walks over what is here
//! beside it. A tree is never younger than what is here: versions come here before the transaction that superseded them can be seen.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use dynamite_pager::sync::Mutex;

use crate::record::Record;
use crate::scan::Range;
use crate::snapshot::Registry;
use crate::txn_id::{TableId, TxnId};

/// Bytes of keys and payloads that are kept, at the most: those of some thousand items.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Versions that a snapshot was seen to need which one transaction looks at again.
const LOOKED_AT_AGAIN: usize = 16;

/// What a version costs besides its bytes, about.
const OVERHEAD: usize = 160;

/// An item's version that was superseded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecentVersion {
    /// What stood in the tree.
    pub(crate) record: Record,
    pub(crate) payload: Vec<u8>,
}

/// An item, and the transaction that superseded a version of it.
type Place = (TableId, Arc<[u8]>, TxnId);

/// The versions that are kept in memory.
#[derive(Debug, Default)]
pub(crate) struct RecentVersions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    versions: BTreeMap<Place, RecentVersion>,
    /// Those whose successor was not published when somebody looked, the oldest successor first.
    unpublished: VecDeque<Place>,
    /// Those that a registered snapshot sees.
    needed: VecDeque<Place>,
    bytes: usize,
}

impl RecentVersions {
    /// Bytes that may still be added.
    pub(crate) fn room(&self) -> usize {
        MAX_BYTES.saturating_sub(self.inner.lock().bytes)
    }

    /// Takes over what a transaction superseded, before it can be published. Should it not be finished after all, that does no harm:
    /// who might find these versions would find the same in the tree.
    pub(crate) fn add(&self, superseded: SupersededHere) {
        if superseded.versions.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        inner.bytes += superseded.bytes;
        for ((table, key), version) in superseded.versions {
            let place = (table, key, superseded.by);
            inner.unpublished.push_back(place.clone());
            inner.versions.insert(place, version);
        }
    }

    /// Drops what nobody needs. `published` was read before.
    pub(crate) fn settle(&self, published: TxnId, registry: &Registry) {
        let mut inner = self.inner.lock();
        while let Some(place) = inner.unpublished.pop_front_if(|place| place.2 <= published) {
            inner.drop_unless_seen(place, registry);
        }
        for _ in 0..inner.needed.len().min(LOOKED_AT_AGAIN) {
            let place = inner.needed.pop_front().expect("so many are there");
            inner.drop_unless_seen(place, registry);
        }
    }

    /// The version of an item that a snapshot sees, if it is here, and the transaction that superseded it.
    pub(crate) fn find(&self, table: TableId, key: &[u8], as_of: TxnId) -> Option<(TxnId, RecentVersion)> {
        let inner = self.inner.lock();
        if inner.versions.is_empty() {
            return None;
        }
        let behind = (table, Arc::from(key), TxnId(as_of.0.checked_add(1)?));
        let (place, version) = inner.versions.range(behind..).next()?;
        let is_seen = place.0 == table && *place.1 == *key && version.record.created <= as_of;
        is_seen.then(|| (place.2, version.clone()))
    }

    /// The first version of a range, in its order, that a snapshot sees, and its key.
    pub(crate) fn first_in(
        &self,
        table: TableId,
        range: &Range<&[u8]>,
        as_of: TxnId,
    ) -> Option<(Arc<[u8]>, RecentVersion)> {
        let inner = self.inner.lock();
        if inner.versions.is_empty() || range.is_empty() {
            return None;
        }
        let place = |key: &[u8], by| (table, Arc::from(key), TxnId(by));
        let from = match range.from {
            Bound::Unbounded => Bound::Included(place(&[], 0)),
            Bound::Included(key) => Bound::Included(place(key, 0)),
            Bound::Excluded(key) => Bound::Excluded(place(key, u64::MAX)),
        };
        let to = match range.to {
            Bound::Unbounded => {
                Bound::Excluded((TableId(table.0.checked_add(1)?), Arc::from(&[][..]), TxnId(0)))
            }
            Bound::Included(key) => Bound::Included(place(key, u64::MAX)),
            Bound::Excluded(key) => Bound::Excluded(place(key, 0)),
        };
        let is_seen =
            |(place, version): &(&Place, &RecentVersion)| version.record.created <= as_of && as_of < place.2;
        let mut versions = inner.versions.range((from, to));
        let found = if range.reverse { versions.rfind(is_seen) } else { versions.find(is_seen) };
        found.map(|(place, version)| (place.1.clone(), version.clone()))
    }

    /// Whether there is none of any item.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().versions.is_empty()
    }
}

impl Inner {
    fn drop_unless_seen(&mut self, place: Place, registry: &Registry) {
        match self.versions.get(&place) {
            Some(version) if registry.is_seen(version.record.created, place.2) => {
                self.needed.push_back(place)
            }
            _ => self.drop_version(&place),
        }
    }

    fn drop_version(&mut self, place: &Place) {
        if let Some(version) = self.versions.remove(place) {
            self.bytes -= size(&place.1, version.payload.len());
        }
    }
}

/// What an open transaction has superseded and would keep in memory. Nobody else sees it.
#[derive(Debug)]
pub(crate) struct SupersededHere {
    by: TxnId,
    versions: BTreeMap<(TableId, Arc<[u8]>), RecentVersion>,
    bytes: usize,
    room: usize,
}

impl SupersededHere {
    /// Nothing yet. `room` bytes may be added.
    pub(crate) fn new(by: TxnId, room: usize) -> SupersededHere {
        SupersededHere { by, versions: BTreeMap::new(), bytes: 0, room }
    }

    /// Bytes that may still be added.
    pub(crate) fn room_left(&self) -> usize {
        self.room - self.bytes
    }

    /// Whether a version of this size may be added.
    pub(crate) fn has_room(&self, key: &[u8], payload_len: usize) -> bool {
        self.bytes + size(key, payload_len) <= self.room
    }

    pub(crate) fn add(&mut self, table: TableId, key: &[u8], version: RecentVersion) {
        self.bytes += size(key, version.payload.len());
        self.versions.insert((table, Arc::from(key)), version);
    }

    /// Takes the version of an item out again, if it links to an older one.
    pub(crate) fn take_if_linked(&mut self, table: TableId, key: &[u8]) -> Option<RecentVersion> {
        let place = (table, Arc::from(key));
        self.versions.get(&place)?.record.older?;
        let version = self.versions.remove(&place)?;
        self.bytes -= size(key, version.payload.len());
        Some(version)
    }
}

fn size(key: &[u8], payload_len: usize) -> usize {
    key.len() + payload_len + OVERHEAD
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::txn_id::VersionKey;

    const TABLE: TableId = TableId(16);

    fn superseded(by: u64, keys: &[&[u8]], created: u64) -> SupersededHere {
        let mut here = SupersededHere::new(TxnId(by), MAX_BYTES);
        for key in keys {
            let record = Record::live(TxnId(created), None);
            here.add(TABLE, key, RecentVersion { record, payload: vec![created as u8] });
        }
        here
    }

    fn found(recent: &RecentVersions, key: &[u8], as_of: u64) -> Option<u64> {
        recent.find(TABLE, key, TxnId(as_of)).map(|(_, version)| version.record.created.0)
    }

    #[test]
    fn a_snapshot_finds_the_version_of_its_time_and_of_its_item() {
        let recent = RecentVersions::default();
        recent.add(superseded(5, &[b"a", b"ab"], 2));
        recent.add(superseded(9, &[b"a"], 5));
        assert_eq!([1, 2, 4].map(|as_of| found(&recent, b"a", as_of)), [None, Some(2), Some(2)]);
        assert_eq!([5, 8, 9].map(|as_of| found(&recent, b"a", as_of)), [Some(5), Some(5), None]);
        assert_eq!((found(&recent, b"ab", 4), found(&recent, b"ab", 5)), (Some(2), None));
        assert_eq!((found(&recent, b"", 4), found(&recent, b"b", 4)), (None, None));
        assert!(recent.find(TableId(15), b"a", TxnId(4)).is_none());
    }

    #[test]
    fn a_walk_comes_to_the_versions_that_a_snapshot_sees_in_order() {
        let recent = RecentVersions::default();
        recent.add(superseded(5, &[b"a", b"ab", b"b"], 2));
        recent.add(superseded(9, &[b"a", b"c"], 5));
        recent.add(superseded(9, &[b"c"], 5));
        let first = |from: Bound<&'static [u8]>, to: Bound<&'static [u8]>, reverse, as_of| {
            let found = recent.first_in(TABLE, &Range { from, to, reverse }, TxnId(as_of));
            found.map(|(key, version)| (key.to_vec(), version.record.created.0))
        };
        let all = |reverse, as_of| first(Bound::Unbounded, Bound::Unbounded, reverse, as_of);
        let found = |key: &[u8], created| Some((key.to_vec(), created));
        assert_eq!([1, 2, 4].map(|as_of| all(false, as_of)), [None, found(b"a", 2), found(b"a", 2)]);
        assert_eq!([5, 8, 9].map(|as_of| all(false, as_of)), [found(b"a", 5), found(b"a", 5), None]);
        assert_eq!((all(true, 4), all(true, 5)), (found(b"b", 2), found(b"c", 5)));
        let (a, b): (&[u8], &[u8]) = (b"a", b"b");
        assert_eq!(first(Bound::Excluded(a), Bound::Unbounded, false, 4), found(b"ab", 2));
        assert_eq!(first(Bound::Excluded(a), Bound::Excluded(b), true, 4), found(b"ab", 2));
        assert_eq!(first(Bound::Included(b), Bound::Included(b), true, 4), found(b"b", 2));
        assert_eq!(first(Bound::Excluded(a), Bound::Unbounded, false, 5), found(b"c", 5));
        assert_eq!(first(Bound::Excluded(b), Bound::Included(a), false, 4), None);
        assert_eq!(first(Bound::Excluded(a), Bound::Excluded(a), false, 4), None);
        let other = Range { from: Bound::Unbounded, to: Bound::Unbounded, reverse: false };
        assert!([15, 17].iter().all(|table| recent.first_in(TableId(*table), &other, TxnId(4)).is_none()));
    }

    #[test]
    fn a_version_goes_when_its_successor_is_published_and_no_snapshot_sees_it() {
        let (recent, registry) = (RecentVersions::default(), Registry::new(TxnId(0)));
        let has = |key: &[u8]| recent.inner.lock().versions.keys().any(|place| *place.1 == *key);
        registry.hold(TxnId(3));
        recent.add(superseded(5, &[b"a"], 2));
        recent.add(superseded(6, &[b"b"], 4));
        recent.add(superseded(7, &[b"c"], 4));
        recent.settle(TxnId(4), &registry);
        assert!([b"a", b"b", b"c"].into_iter().all(|key| has(key)));
        // The snapshot at 3 sees the first, nobody the second; the third may still be registered.
        recent.settle(TxnId(6), &registry);
        assert_eq!([b"a", b"b", b"c"].map(|key| has(key)), [true, false, true]);
        registry.release(TxnId(3));
        recent.settle(TxnId(6), &registry);
        assert_eq!([b"a", b"c"].map(|key| has(key)), [false, true]);
        recent.settle(TxnId(7), &registry);
        assert!(recent.is_empty());
        assert_eq!(recent.room(), MAX_BYTES);
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let recent = RecentVersions::default();
        let mut here = SupersededHere::new(TxnId(5), recent.room());
        assert!(here.has_room(b"k", MAX_BYTES - OVERHEAD - 1) && !here.has_room(b"k", MAX_BYTES - OVERHEAD));
        let older = Some(VersionKey { superseded_by: TxnId(1), ordinal: 0 });
        let version =
            RecentVersion { record: Record::live(TxnId(1), older), payload: vec![0; MAX_BYTES / 2] };
        here.add(TABLE, b"k", version.clone());
        assert!(!here.has_room(b"l", MAX_BYTES / 2));
        here.add(TABLE, b"m", RecentVersion { record: Record::live(TxnId(1), None), payload: vec![] });
        assert_eq!(here.take_if_linked(TABLE, b"m"), None);
        assert_eq!(here.take_if_linked(TABLE, b"k"), Some(version.clone()));
        assert!(here.has_room(b"l", MAX_BYTES / 2));
        here.add(TABLE, b"k", version);
        recent.add(here);
        assert!(recent.room() < MAX_BYTES / 2);
        recent.settle(TxnId(5), &Registry::new(TxnId(0)));
        assert_eq!(recent.room(), MAX_BYTES);
    }
}
