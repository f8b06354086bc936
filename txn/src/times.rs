//! Times: which transaction was the newest at some moment.
//!
//! Each commit stores its time, which never goes back, in the header. The table [`TIMES`] is a sparse record of these. An entry
//! says "this was the newest state from then on". A commit enters the commit *before* it
//!
//! 1. when the last entry is [`STEP_MS`] older than that, so that the entries follow a busy time step by step;
//! 2. when that was as long ago, so that what a burst of commits ended with is the answer for the pause behind it;
//! 3. when that had the time of the last entry, so that one millisecond has its first commit and, at the millisecond behind, its last.
//!
//! So the answer for a moment is at most two steps too old, and a transaction was committed less than a step behind the last
//! entry that is not newer than it, or a millisecond before.
//!
//! ```text
//! key    8 bytes  time, milliseconds since 1970, big-endian
//! value  8 bytes  transaction, little-endian
//! ```
//!
//! Entries go when no table keeps versions that old.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dynamite_bptree::{Body, NewValue, Pages, Tree};
use dynamite_pager::Access;

use crate::catalog::{Retention, TIMES};
use crate::error::{Damage, Result, TxnError};
use crate::txn_id::{TableId, TxnId};
use crate::write_txn::WriteTxn;

/// Between two entries.
const STEP_MS: u64 = 1000;

/// Entries that one commit removes, at the most.
const REMOVED_PER_COMMIT: usize = 8;

/// Enters the commit before this one, if it is time to. `now` is this commit's time.
pub(crate) fn note(txn: &mut WriteTxn<'_>, now: u64) -> Result<()> {
    let before = txn.batch.roots().commit_time;
    let is_due = |last: u64| {
        last == 0
            || before == last
            || before >= last.saturating_add(STEP_MS)
            || now >= before.saturating_add(STEP_MS)
    };
    // Entries only go when there are younger ones, so what was the last one once tells most commits that they need not look.
    if before == 0 || !is_due(txn.shared.noted_ms.load(Ordering::Relaxed)) {
        return Ok(());
    }
    let mut record = txn.record(TIMES)?;
    let (last, entered) = last_entry(&record.tree, &mut txn.batch)?.unwrap_or_default();
    txn.shared.noted_ms.store(last, Ordering::Relaxed);
    let base = txn.batch.base().0;
    let at = if before > last { before } else { last.saturating_add(1) };
    if !is_due(last) || entered.0 == base || at > now {
        return Ok(());
    }
    let value = NewValue { head: &[], body: Body::Bytes(&base.to_le_bytes()) };
    record.tree.insert(&mut txn.batch, &at.to_be_bytes(), value)?;
    let needed = oldest_needed(txn)?;
    for _ in 0..REMOVED_PER_COMMIT {
        // The last entry at or before what is needed answers for it.
        let Some(first) = first_two(&record.tree, &mut txn.batch, needed)? else { break };
        record.tree.remove(&mut txn.batch, &first.to_be_bytes())?;
    }
    txn.set_table(TIMES, record);
    Ok(())
}

/// The newest transaction that was committed at or before a time, as far as is known.
pub(crate) fn newest_at(tree: &Tree, pages: &mut impl Pages, time: u64) -> Result<Option<TxnId>> {
    Ok(entry_at(tree, pages, time)?.map(|(_, txn)| txn))
}

/// When a transaction was committed, as far as is known. No entry is later than `newest`.
pub(crate) fn time_of(tree: &Tree, pages: &mut impl Pages, txn: TxnId, newest: u64) -> Result<Option<u64>> {
    // The last entry that is not newer lies at `found`, or between `low` and `high`.
    let (mut found, mut low, mut high) = (None, 0, newest);
    while low <= high {
        let middle = low + (high - low) / 2;
        let entry = entry_at(tree, pages, middle)?;
        let next = match entry {
            Some((time, entered)) if entered > txn => time.checked_sub(1).map(|before| (low, before)),
            entry => {
                found = entry.map(|(time, _)| time).or(found);
                middle.checked_add(1).map(|after| (after, high))
            }
        };
        let Some(narrower) = next else { break };
        (low, high) = narrower;
    }
    Ok(found)
}

/// The last entry at or before a time.
fn entry_at(tree: &Tree, pages: &mut impl Pages, time: u64) -> Result<Option<(u64, TxnId)>> {
    let mut cursor = tree.cursor(pages, Access::Point);
    match time.checked_add(1) {
        Some(after) => cursor.seek(&after.to_be_bytes()),
        None => cursor.seek_last(),
    }
    cursor.prev()?.map(|entry| decode(entry.key, entry.value.head())).transpose()
}

/// How far the versions of a table that keeps them for a duration may be collected.
pub(crate) fn horizon(
    txn: &mut WriteTxn<'_>,
    table: TableId,
    stored: TxnId,
    duration: Duration,
) -> Result<TxnId> {
    let now = txn.now_ms();
    let duration = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let times = txn.record(TIMES)?.tree;
    let wanted = newest_at(&times, &mut txn.batch, now.saturating_sub(duration))?.unwrap_or_default();
    Ok(txn.shared.registry.advance_table(table, stored, wanted.min(txn.published)))
}

/// The oldest transaction whose time somebody may ask for.
fn oldest_needed(txn: &mut WriteTxn<'_>) -> Result<TxnId> {
    let mut oldest = txn.horizon;
    for (table, stored) in txn.catalog.tables(&mut txn.batch)? {
        if let Retention::Duration(_) = stored.retention {
            oldest = oldest.min(txn.find_record(table)?.map_or(oldest, |record| record.horizon));
        }
    }
    Ok(oldest)
}

/// The first entry, if the second is not newer than `needed` either.
fn first_two(tree: &Tree, pages: &mut impl Pages, needed: TxnId) -> Result<Option<u64>> {
    let mut cursor = tree.cursor(pages, Access::Point);
    cursor.seek_first();
    let Some(first) = cursor.next()? else { return Ok(None) };
    let (time, _) = decode(first.key, first.value.head())?;
    let Some(second) = cursor.next()? else { return Ok(None) };
    let (_, second) = decode(second.key, second.value.head())?;
    Ok((second <= needed).then_some(time))
}

fn last_entry(tree: &Tree, pages: &mut impl Pages) -> Result<Option<(u64, TxnId)>> {
    let mut cursor = tree.cursor(pages, Access::Point);
    cursor.seek_last();
    cursor.prev()?.map(|entry| decode(entry.key, entry.value.head())).transpose()
}

pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<(u64, TxnId)> {
    let damaged = TxnError::Damaged { table: TIMES, source: Damage::Time };
    let time = key.try_into().map(u64::from_be_bytes);
    let txn = value.try_into().map(u64::from_le_bytes);
    match (time, txn) {
        (Ok(time), Ok(txn)) => Ok((time, TxnId(txn))),
        _ => Err(damaged),
    }
}
