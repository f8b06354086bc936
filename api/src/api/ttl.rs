//! TTL: items that say when they expire. Reads and conditions see nothing of an expired item from that second on; a chore
//! deletes it later, in bounded steps.
//!
//! An item expires if the attribute that its table names is a number of seconds since 1970, and the time, in whole seconds, has
//! passed it: at 100 an item of 100 is there, at 101 it is not. As in DynamoDB, what is no number never expires, nor does what
//! should have expired more than five years ago: such a number is hardly meant as a time.
//!
//! # The queue
//!
//! A tree of the table's own, in the order in which items expire. It is kept in the transaction that writes the item.
//!
//! ```text
//! key    8 bytes  the second, big-endian; fractions are cut off
//!        .        the item's stored key
//! value  empty
//!
//! key    FF       (while the queue is filled) up to where the table was gone through
//! value  .        a stored key; empty for none of it
//! ```
//!
//! # Invariants
//!
//! 1. Whether an item has expired follows from its attribute and the time alone: the queue only tells the chore where to look.
//! 2. The queue holds each item that can expire once, and nothing else. While it is filled that holds for the items up to where
//!    the table was gone through; of those behind, it may hold some.

use std::ops::{Bound, ControlFlow};

use dynamite_txn::{Access, Range, Retention, Snapshot, TableId, WriteTxn};

use crate::api::database::Engine;
use crate::api::housekeeping::Pace;
use crate::api::table::Table;
use crate::api::tables;
use crate::api::writing::Writing;
use crate::error::{Invalid, Result};
use crate::item_codec::{ItemDamage, ItemView};
use crate::number::Number;

/// An attribute that should have made its item expire longer ago than this is not taken for a time: five years, in seconds.
const LONGEST_PAST: u64 = 5 * 365 * 24 * 60 * 60;
/// Bytes of the longest name of the attribute.
const LONGEST_NAME: usize = 255;
/// Items that one transaction deletes at the most.
const DELETED: usize = 128;
/// Bytes of items after which such a transaction ends.
const DELETED_BYTES: usize = 4 << 20;
/// Items that one step of filling a queue looks at.
const FILLED: usize = 512;
/// Bytes of items after which such a step ends.
const FILLED_BYTES: usize = 4 << 20;
/// Where a filling is noted. Other keys are longer.
const PROGRESS: &[u8] = &[0xFF];
/// Bytes of a second in a queue's key.
const SECOND: usize = 8;

/// A table's TTL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ttl {
    /// The attribute that says when an item expires.
    pub(crate) attribute: String,
    /// The tree of what is going to.
    pub(crate) queue: TableId,
}

impl Ttl {
    /// The last second in which an item is there, if it can expire.
    pub(crate) fn last_second(&self, item: &[u8]) -> Result<Option<u64>, ItemDamage> {
        let Some(value) = ItemView::new(item)?.get(&self.attribute)? else { return Ok(None) };
        Ok(value.as_number()?.and_then(whole_seconds))
    }

    /// Whether an item has expired at a second.
    pub(crate) fn is_expired(&self, item: &[u8], now: u64) -> Result<bool, ItemDamage> {
        Ok(self.last_second(item)?.is_some_and(|last| has_passed(last, now)))
    }
}

fn has_passed(last: u64, now: u64) -> bool {
    (now.saturating_sub(LONGEST_PAST)..now).contains(&last)
}

/// A number as a second, without its fraction. `None` if it cannot be one.
fn whole_seconds(number: Number) -> Option<u64> {
    if number.exponent() >= 0 || number.is_negative() {
        return number.to_u64();
    }
    // What lies further behind the point than the longest number has digits leaves nothing before it.
    let power = 10_u128.checked_pow(number.exponent().unsigned_abs());
    u64::try_from(power.map_or(0, |power| number.coefficient() / power)).ok()
}

/// Refuses what is no attribute name.
pub(crate) fn check_attribute(name: &str) -> Result<()> {
    match (1..=LONGEST_NAME).contains(&name.len()) {
        true => Ok(()),
        false => Err(Invalid::TtlAttribute { name: name.to_owned() }.into()),
    }
}

/// Creates the queue of a table. `has_items` says whether the table may have items, which are then to be gone through.
pub(crate) fn create_queue(txn: &mut WriteTxn<'_>, table: &str, has_items: bool) -> Result<TableId> {
    let queue = txn.create_table(&queue_name(table), b"", Retention::None)?;
    if has_items {
        begin_filling(txn, queue)?;
    }
    Ok(queue)
}

/// Says that a queue, which is empty, is to be filled.
pub(crate) fn begin_filling(txn: &mut WriteTxn<'_>, queue: TableId) -> Result<()> {
    Ok(txn.put(queue, PROGRESS, b"")?)
}

/// The name of a table's queue among the tables.
pub(crate) fn queue_name(table: &str) -> Vec<u8> {
    format!("{table}\0ttl").into_bytes()
}

/// Keeps the queue when an item changes. Returns the last second in which the new one is there, if it can expire.
pub(crate) fn follow(
    txn: &mut WriteTxn<'_>,
    table: &Table,
    ttl: &Ttl,
    key: &[u8],
    old: Option<&[u8]>,
    new: Option<&[u8]>,
) -> Result<Option<u64>> {
    let last_second = |item: Option<&[u8]>| {
        item.map_or(Ok(None), |item| ttl.last_second(item).map_err(|damage| table.damaged(damage)))
    };
    let (before, after) = (last_second(old)?, last_second(new)?);
    if before != after {
        if let Some(before) = before {
            txn.delete(ttl.queue, &entry(before, key))?;
        }
        if let Some(after) = after {
            txn.put(ttl.queue, &entry(after, key), b"")?;
        }
    }
    Ok(after)
}

/// When the clock shows this, in milliseconds, an item has expired.
pub(crate) fn due_ms(last_second: u64) -> u64 {
    last_second.saturating_add(1).saturating_mul(1000)
}

/// The chore: deletes what has expired and fills queues, a step for each table.
pub(crate) fn tend(engine: &Engine) -> Result<Pace> {
    let tables = tables::all(&mut engine.store.read()?)?;
    let mut pace = Pace::WhenRung;
    for table in &tables {
        if let Some(ttl) = &table.ttl {
            pace = pace.min(step(engine, table, ttl)?);
        }
    }
    Ok(pace)
}

/// A step for one table: a look that costs a descent or two, and a transaction if there is something to do.
fn step(engine: &Engine, table: &Table, ttl: &Ttl) -> Result<Pace> {
    let now = engine.clock.now_ms() / 1000;
    let mut read = engine.store.read()?;
    if read.described(ttl.queue)?.is_none() {
        // Its TTL was turned off meanwhile.
        return Ok(Pace::WhenRung);
    }
    let is_filling = read.get(ttl.queue, PROGRESS, |_, _| ())?.is_some();
    let mut first = None;
    read.scan(ttl.queue, &range(now, None).borrow(), Access::Point, |row| {
        first = split(row.key).map(|(second, _)| second);
        ControlFlow::Break(())
    })?;
    drop(read);
    match first {
        _ if is_filling => {}
        None => return Ok(Pace::WhenRung),
        Some(last) if last < now => {}
        Some(last) => return Ok(Pace::At(due_ms(last))),
    }
    engine.change(|writing| {
        let Some(table) = writing.find_table(&table.name)? else { return Ok(()) };
        let Some(ttl) = &table.ttl else { return Ok(()) };
        fill_some(writing, &table, ttl)?;
        expire_some(writing, &table, ttl)
    })?;
    Ok(Pace::AtOnce)
}

/// Fills the queues that are to be filled, to the end, and deletes nothing of what has expired: for repairs.
pub(crate) fn fill(engine: &Engine) -> Result<()> {
    let tables = tables::all(&mut engine.store.read()?)?;
    for table in tables {
        let Some(ttl) = &table.ttl else { continue };
        while engine.store.read()?.get(ttl.queue, PROGRESS, |_, _| ())?.is_some() {
            engine.change(|writing| fill_some(writing, &table, ttl))?;
        }
    }
    Ok(())
}

/// The entries of what counts as expired or will expire: those up to a second (exclusively), or all.
fn range(now: u64, until: Option<u64>) -> Range {
    let bound = |second: u64| second.to_be_bytes().to_vec();
    Range {
        from: Bound::Included(bound(now.saturating_sub(LONGEST_PAST))),
        to: Bound::Excluded(until.map_or(PROGRESS.to_vec(), bound)),
        reverse: false,
    }
}

/// Deletes some of what has expired.
fn expire_some(writing: &mut Writing<'_, '_>, table: &Table, ttl: &Ttl) -> Result<()> {
    let now = writing.moment().seconds();
    let mut due = Vec::new();
    writing.txn().scan(ttl.queue, &range(now, Some(now)).borrow(), Access::Point, |row| {
        due.push(row.key.to_vec());
        if due.len() < DELETED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let mut bytes = 0;
    for entry in due {
        let key = split(&entry).map_or(&[][..], |(_, key)| key);
        match writing.expire(table, key)? {
            Some(len) => bytes += len,
            // The item says otherwise, and it is right.
            None => drop(writing.txn().delete(ttl.queue, &entry)?),
        }
        if bytes >= DELETED_BYTES {
            break;
        }
    }
    Ok(())
}

/// Enters some of the items that were there before the queue.
fn fill_some(writing: &mut Writing<'_, '_>, table: &Table, ttl: &Ttl) -> Result<()> {
    let txn = writing.txn();
    let Some(done) = txn.get(ttl.queue, PROGRESS, |_, key| key.to_vec())? else { return Ok(()) };
    let from = if done.is_empty() { Bound::Unbounded } else { Bound::Excluded(done) };
    let range = Range { from, to: Bound::Unbounded, reverse: false };
    let (mut entries, mut last, mut count, mut bytes) = (Vec::new(), None, 0, 0);
    let mut failed = None;
    let is_more = txn.scan(table.id, &range.borrow(), Access::Scan, |row| {
        match ttl.last_second(row.payload) {
            Ok(second) => entries.extend(second.map(|second| entry(second, row.key))),
            Err(damage) => failed = Some(table.damaged(damage)),
        }
        (count, bytes) = (count + 1, bytes + row.payload.len());
        last = Some(row.key.to_vec());
        match failed.is_some() || count == FILLED || bytes >= FILLED_BYTES {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    for entry in entries {
        txn.put(ttl.queue, &entry, b"")?;
    }
    match last.filter(|_| is_more) {
        Some(last) => txn.put(ttl.queue, PROGRESS, &last)?,
        None => drop(txn.delete(ttl.queue, PROGRESS)?),
    }
    Ok(())
}

/// Checks the second invariant. Hands what is wrong to `report`, in words.
pub(crate) fn verify(
    state: &Snapshot,
    table: &Table,
    ttl: &Ttl,
    report: &mut dyn FnMut(String),
) -> Result<()> {
    let done = state.read()?.get(ttl.queue, PROGRESS, |_, key| key.to_vec())?;
    let mut items = state.scan(table.id, Range::all());
    while let Some(row) = items.next()? {
        if done.as_ref().is_some_and(|done| row.key > &done[..]) {
            break;
        }
        let second = ttl.last_second(row.payload).map_err(|damage| table.damaged(damage))?;
        if let Some(second) = second
            && state.read()?.get(ttl.queue, &entry(second, row.key), |_, _| ())?.is_none()
        {
            report(format!("an item that expires after {second} is not in the queue: key {:02x?}", row.key));
        }
    }
    let mut entries = state.scan(ttl.queue, Range::all());
    while let Some(row) = entries.next()? {
        if row.key == PROGRESS {
            continue;
        }
        let Some((second, key)) = split(row.key) else {
            report(format!("the queue has an entry without a second: {:02x?}", row.key));
            continue;
        };
        let found = state.read()?.get(table.id, key, |_, item| ttl.last_second(item))?;
        let found = found.transpose().map_err(|damage| table.damaged(damage))?.flatten();
        if found != Some(second) {
            report(format!("the queue says {second} of an item that says {found:?}: key {key:02x?}"));
        }
    }
    Ok(())
}

fn entry(second: u64, key: &[u8]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(SECOND + key.len());
    entry.extend(second.to_be_bytes());
    entry.extend(key);
    entry
}

/// The second and the item's key of an entry. `None` for what is no entry.
fn split(entry: &[u8]) -> Option<(u64, &[u8])> {
    let (second, key) = entry.split_first_chunk::<SECOND>()?;
    Some((u64::from_be_bytes(*second), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: &str, expected: Option<u64>) {
        assert_eq!(whole_seconds(number.parse().unwrap()), expected, "{number}");
    }

    #[test]
    fn seconds_are_whole_and_in_range() {
        check("0", Some(0));
        check("1645119622", Some(1_645_119_622));
        check("1645119622.999", Some(1_645_119_622));
        check("16451e5", Some(1_645_100_000));
        check("0.000000000000000000000000000000000000000000000000000001", Some(0));
        check("1e-130", Some(0));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("9.9e125", None);
        check("-1", None);
        check("-0.5", None);
    }

    #[test]
    fn an_item_is_there_in_the_second_that_it_names_and_in_none_of_the_five_years_behind() {
        let now = 2_000_000_000;
        assert!(!has_passed(now, now));
        assert!(has_passed(now - 1, now));
        assert!(has_passed(now - LONGEST_PAST, now));
        assert!(!has_passed(now - LONGEST_PAST - 1, now));
        assert!(has_passed(0, 1));
    }
}
