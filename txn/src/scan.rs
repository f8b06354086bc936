//! Ranges of keys, and the walk over the versions that are seen in one.

use std::cmp::Ordering;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use dynamite_bptree::{Cursor, Pages, Value};
use dynamite_pager::Access;

use crate::error::{Damage, Result};
use crate::recent::RecentVersion;
use crate::record::Record;
use crate::txn_id::TxnId;
use crate::visibility::View;

/// Which keys, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range<B = Vec<u8>> {
    /// Where the range begins.
    pub from: Bound<B>,
    /// Where it ends.
    pub to: Bound<B>,
    /// Whether the greatest key comes first.
    pub reverse: bool,
}

/// An item, for as long as nobody goes on to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// The transaction that wrote it.
    pub version: TxnId,
    /// Its bytes.
    pub payload: &'a [u8],
}

impl Range {
    /// Every key, ascending.
    pub fn all() -> Range {
        Range { from: Bound::Unbounded, to: Bound::Unbounded, reverse: false }
    }

    /// Leaves of the range what is behind a key of it.
    pub fn go_on_behind(&mut self, key: &[u8]) {
        let key = Bound::Excluded(key.to_vec());
        if self.reverse {
            self.to = key;
        } else {
            self.from = key;
        }
    }
}

impl<B: AsRef<[u8]>> Range<B> {
    /// The same keys, the greatest first.
    pub fn reversed(self) -> Range<B> {
        Range { reverse: !self.reverse, ..self }
    }

    /// The range without copying its bounds.
    pub fn borrow(&self) -> Range<&[u8]> {
        fn borrow<B: AsRef<[u8]>>(bound: &Bound<B>) -> Bound<&[u8]> {
            bound.as_ref().map(AsRef::as_ref)
        }
        Range { from: borrow(&self.from), to: borrow(&self.to), reverse: self.reverse }
    }
}

impl Range<&[u8]> {
    /// Whether its bounds leave no room for any key.
    pub(crate) fn is_empty(&self) -> bool {
        match (self.from, self.to) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
                from >= to
            }
        }
    }

    /// Whether a key, met in the range's order, lies behind its end.
    #[inline]
    fn is_behind(&self, key: &[u8]) -> bool {
        let outside = |bound: &Bound<&[u8]>, beyond: Ordering| match bound {
            Bound::Unbounded => false,
            Bound::Included(end) => key.cmp(end) == beyond,
            Bound::Excluded(end) => key.cmp(end) != beyond.reverse(),
        };
        if self.reverse { outside(&self.from, Ordering::Less) } else { outside(&self.to, Ordering::Greater) }
    }

    /// Whether a key lies before the range, in its order.
    fn is_before(&self, key: &[u8]) -> bool {
        Range { reverse: !self.reverse, ..*self }.is_behind(key)
    }

    /// Puts a cursor at the range's beginning.
    fn seek<P: Pages>(&self, cursor: &mut Cursor<'_, P>) {
        let (start, past) = if self.reverse {
            (&self.to, matches!(self.to, Bound::Included(_)))
        } else {
            (&self.from, matches!(self.from, Bound::Excluded(_)))
        };
        match start {
            Bound::Unbounded if self.reverse => cursor.seek_last(),
            Bound::Unbounded => cursor.seek_first(),
            Bound::Included(key) | Bound::Excluded(key) if past => {
                // The first string behind a string is that string and a zero.
                let mut successor = Vec::with_capacity(key.len() + 1);
                successor.extend_from_slice(key);
                successor.push(0);
                cursor.seek(&successor);
            }
            Bound::Included(key) | Bound::Excluded(key) => cursor.seek(key),
        }
    }
}

/// What a walk comes to: an item, or what is left of one that was deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) key: &'a [u8],
    /// What is seen under the key; maybe a tombstone.
    pub(crate) record: Record,
    pub(crate) payload: &'a [u8],
    /// Whether that has been superseded since.
    pub(crate) is_old: bool,
}

/// What is left to do for a row that is not simply visible and inline.
struct Slow {
    key: Vec<u8>,
    record: Record,
    run: Option<dynamite_bptree::Overflow>,
}

/// The versions in memory that a walk comes to: of items that stand in the tree, which the walk asks for itself, and of others.
struct Beside<'s> {
    view: View<'s>,
    as_of: TxnId,
    /// What is left of the range behind the next one.
    rest: Range,
    next: Option<(Arc<[u8]>, RecentVersion)>,
}

impl<'s> Beside<'s> {
    fn new(view: View<'s>, as_of: TxnId, range: &Range<&[u8]>) -> Beside<'s> {
        let owned = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        let rest = Range { from: owned(range.from), to: owned(range.to), reverse: range.reverse };
        let mut beside = Beside { view, as_of, rest, next: None };
        beside.find_next();
        beside
    }

    fn find_next(&mut self) {
        self.next = self.view.recent.first_in(self.view.table, &self.rest.borrow(), self.as_of);
        if let Some((key, _)) = &self.next {
            self.rest.go_on_behind(key);
        }
    }

    /// Visits those that the walk comes to before this key, or at all.
    fn visit_before(
        &mut self,
        key: Option<&[u8]>,
        visit: &mut impl FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        while let Some((key, RecentVersion { record, payload })) = self.next_before(key) {
            visit(Seen { key: &key, record, payload: &payload, is_old: true })?;
        }
        ControlFlow::Continue(())
    }

    /// The next one, if the walk comes to it before this key, or at all.
    fn next_before(&mut self, key: Option<&[u8]>) -> Option<(Arc<[u8]>, RecentVersion)> {
        loop {
            let (next, _) = self.next.as_ref()?;
            let order = match key {
                Some(key) if self.rest.reverse => key.cmp(next),
                Some(key) => (**next).cmp(key),
                None => Ordering::Less,
            };
            if order == Ordering::Greater {
                return None;
            }
            let passed = self.next.take();
            self.find_next();
            // What stands in the tree leads here by itself.
            if order != Ordering::Equal {
                return passed;
            }
        }
    }
}

/// Sees to it that a walk makes headway. A tree whose pages hang in it more than once could otherwise keep a scan for
/// ever, and one whose leaves have changed places could lead whoever goes on from the last key back to the first. One key of
/// each leaf tells.
struct KeyOrder {
    reverse: bool,
    last: Option<Vec<u8>>,
}

impl KeyOrder {
    /// Whether a key may come after the one of the last call.
    fn goes_on(&mut self, key: &[u8]) -> bool {
        let Some(last) = &mut self.last else {
            self.last = Some(key.to_vec());
            return true;
        };
        let order = key.cmp(&last[..]);
        last.clear();
        last.extend_from_slice(key);
        order == if self.reverse { Ordering::Less } else { Ordering::Greater }
    }
}

impl View<'_> {
    /// Visits the items of a range in order, until `visit` breaks off. Returns whether it did.
    ///
    /// Cost: one descent, and one page per leaf; what follows is read ahead if `access` says that it is a scan.
    #[inline]
    pub(crate) fn scan<P: Pages>(
        &self,
        pages: &mut P,
        range: &Range<&[u8]>,
        access: Access,
        mut visit: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.walk(pages, range, access, |Seen { key, record, payload, .. }| {
            if record.tombstone {
                return ControlFlow::Continue(());
            }
            visit(Row { key, version: record.created, payload })
        })
    }

    /// As [`scan`](View::scan), with all that the records say, and with what is left of deleted items.
    pub(crate) fn walk<P: Pages>(
        &self,
        pages: &mut P,
        range: &Range<&[u8]>,
        access: Access,
        mut visit: impl FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        let mut beside = match self.as_of {
            Some(as_of) if !self.recent.is_empty() => Some(Beside::new(*self, as_of, range)),
            _ => None,
        };
        let mut cursor = self.record.tree.cursor(pages, access);
        range.seek(&mut cursor);
        let mut order = KeyOrder { reverse: range.reverse, last: None };
        'walk: loop {
            let mut slow = None;
            let mut is_first = true;
            let rows = if range.reverse { cursor.prev_rows()? } else { cursor.next_rows()? };
            let Some(mut rows) = rows else { break };
            while let Some(entry) = rows.next() {
                if range.is_behind(entry.key) {
                    break 'walk;
                }
                if std::mem::take(&mut is_first) && (range.is_before(entry.key) || !order.goes_on(entry.key))
                {
                    return Err(self.damaged(Damage::KeyOrder));
                }
                if let Some(beside) = &mut beside
                    && beside.visit_before(Some(entry.key), &mut visit).is_break()
                {
                    return Ok(true);
                }
                let (record, at) = self.decode(entry.value.head())?;
                if self.sees(record.created) {
                    if let Value::Inline(bytes) = entry.value {
                        let seen = Seen { key: entry.key, record, payload: &bytes[at..], is_old: false };
                        if visit(seen).is_break() {
                            return Ok(true);
                        }
                        continue;
                    }
                } else if record.older.is_none() && self.recent.is_empty() {
                    continue;
                }
                let run = self.run_of(&entry.value, at)?;
                slow = Some(Slow { key: entry.key.to_vec(), record, run });
                break;
            }
            if let Some(Slow { key, record, run }) = slow {
                if run.is_some() && !range.reverse {
                    cursor.prefetch_runs();
                }
                let pages = cursor.pages();
                let Some((seen, payload)) = self.resolve_record(pages, &key, record, run)? else { continue };
                let is_old = seen != record;
                if visit(Seen { key: &key, record: seen, payload: &payload, is_old }).is_break() {
                    return Ok(true);
                }
            }
        }
        Ok(beside.is_some_and(|mut beside| beside.visit_before(None, &mut visit).is_break()))
    }

    /// Looks up many keys at once. `visit` gets the index of each key and what is seen under it, in no particular
    /// order.
    ///
    /// Cost: one batch of reads per level of the tree.
    pub(crate) fn get_many<P: Pages>(
        &self,
        pages: &mut P,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<(TxnId, &[u8])>),
    ) -> Result<()> {
        let mut slow: Vec<(usize, Record, Option<dynamite_bptree::Overflow>)> = Vec::new();
        let mut damage = None;
        self.record.tree.get_many(pages, keys, &mut |index, value| {
            let Some(value) = value else {
                let seen = self.recent(keys[index]);
                visit(
                    index,
                    seen.as_ref().map(|(_, version)| (version.record.created, &version.payload[..])),
                );
                return Ok(());
            };
            let looked = self.decode(value.head()).and_then(|(record, at)| {
                match value {
                    Value::Inline(bytes) if self.sees(record.created) => {
                        let live = !record.tombstone;
                        visit(index, live.then_some((record.created, &bytes[at..])));
                    }
                    _ => slow.push((index, record, self.run_of(&value, at)?)),
                }
                Ok(())
            });
            if let Err(error) = looked {
                damage.get_or_insert(error);
            }
            Ok(())
        })?;
        if let Some(error) = damage {
            return Err(error);
        }
        for (index, record, run) in slow {
            let seen = self.resolve(pages, keys[index], record, run)?;
            visit(index, seen.as_ref().map(|(version, payload)| (*version, &payload[..])));
        }
        Ok(())
    }
}
