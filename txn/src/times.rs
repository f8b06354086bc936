//! Times: which transaction was the newest at some moment.
//!
//! Each commit stores its time, which never goes back, in the header. The table [`TIMES`] is a sparse record of these:
//! when a commit finds that the last entry is older than [`STEP_MS`], it enters the commit *before* it. So an entry
//! says "this was the newest state from then on", and the answer for a moment is at most one step too old.
//!
//! ```text
//! key    8 bytes  time, milliseconds since 1970, big-endian
//! value  8 bytes  transaction, little-endian
//! ```
//!
//! Entries go when no table keeps versions that old.

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
    if before == 0 || now == before {
        return Ok(());
    }
    let mut record = txn.record(TIMES)?;
    let last = last_entry(&record.tree, &mut txn.batch)?.map_or(0, |(time, _)| time);
    if last != 0 && before < last.saturating_add(STEP_MS) {
        return Ok(());
    }
    let base = txn.batch.base().0;
    let value = NewValue { head: &[], body: Body::Bytes(&base.to_le_bytes()) };
    record.tree.insert(&mut txn.batch, &before.to_be_bytes(), value)?;
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
    let mut cursor = tree.cursor(pages, Access::Point);
    match time.checked_add(1) {
        Some(after) => cursor.seek(&after.to_be_bytes()),
        None => cursor.seek_last(),
    }
    Ok(cursor.prev()?.map(|entry| decode(entry.key, entry.value.head())).transpose()?.map(|(_, txn)| txn))
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
