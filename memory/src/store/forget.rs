//! Forgetting: memories go, and can be restored for a while; or nothing of them is left.

use dynamite_core::api::{Deferred, Transaction};
use serde::de::DeserializeOwned;

use crate::error::{MemoryError, Result};
use crate::key;
use crate::request::{Forget, Forgot};
use crate::store::change;
use crate::store::record::{Memory, Tombstone};
use crate::store::tables::{MEMORIES, TOMBSTONES, Typed, View, transact};
use crate::text::time::rfc3339;

/// Memories that are forgotten in one transaction.
const PORTION: usize = 100;

/// Forgets one memory, or some of those below a path, of the first scope that has any; then `more` says whether that has more of them.
pub(super) fn forget(target: &Deferred<'_>, now: u64, forget: &Forget) -> Result<Forgot> {
    key::check_category(&forget.category)?;
    let refused = |why: &str| Err(MemoryError::Invalid(why.to_owned()));
    match (&forget.key, &forget.prefix) {
        (Some(key), None) => {
            let key = key::normal_key(key)?;
            transact(target, |txn| forget_one(txn, now, forget, &key))
        }
        (None, Some(_)) if forget.if_version.is_some() => {
            refused("if_version goes with key, not with prefix")
        }
        (None, Some(prefix)) if forget.recursive => {
            let path = key::normal_prefix(prefix)?;
            transact(target, |txn| forget_below(txn, now, forget, path.trim_end_matches('/')))
        }
        (None, Some(prefix)) => {
            let prefix = key::shortened(prefix);
            refused(&format!("pass recursive: true to forget everything below {prefix:?}"))
        }
        _ => refused("pass key, or prefix and recursive: true"),
    }
}

fn forget_one(txn: &Transaction<'_>, now: u64, forget: &Forget, key: &str) -> Result<Forgot> {
    for scope in &forget.scopes {
        let Some(memory) = change::living(txn, now, scope, &forget.category, key)? else { continue };
        if let Some(passed) = forget.if_version.filter(|passed| *passed != memory.version) {
            return Err(MemoryError::Conflict { stored: memory.version, passed });
        }
        let until = change::remove(txn, now, &memory, forget.purge)?;
        return Ok(Forgot { forgotten: 1, restorable_until: until.map(rfc3339), more: false });
    }
    if let Some(passed) = forget.if_version.filter(|passed| *passed != 0) {
        return Err(MemoryError::Conflict { stored: 0, passed });
    }
    // Forgotten before: what can still be restored is purged, or said again.
    for scope in &forget.scopes {
        let partition = key::partition(scope, &forget.category);
        if forget.purge {
            if change::remove_past(txn, &partition, key)? {
                return Ok(Forgot { forgotten: 1, ..Forgot::default() });
            }
        } else if let Some(tombstone) = txn.get::<Tombstone>(TOMBSTONES, &partition, Some(key))? {
            return Ok(Forgot { restorable_until: Some(rfc3339(tombstone.until)), ..Forgot::default() });
        }
    }
    Ok(Forgot::default())
}

/// Forgets what is at a path and below it, in the first scope that has anything there.
fn forget_below(txn: &Transaction<'_>, now: u64, forget: &Forget, path: &str) -> Result<Forgot> {
    for scope in &forget.scopes {
        let partition = key::partition(scope, &forget.category);
        let forgot = forget_living_below(txn, now, forget, &partition, path)?;
        if forgot.forgotten > 0 {
            if forget.purge && !forgot.more {
                purge_tombstones_below(txn, &partition, path)?;
            }
            return Ok(forgot);
        }
    }
    // Forgotten before: what can still be restored is purged.
    for scope in forget.scopes.iter().filter(|_| forget.purge) {
        let forgotten = purge_tombstones_below(txn, &key::partition(scope, &forget.category), path)?;
        if forgotten > 0 {
            return Ok(Forgot { forgotten, ..Forgot::default() });
        }
    }
    Ok(Forgot::default())
}

fn forget_living_below(
    txn: &Transaction<'_>,
    now: u64,
    forget: &Forget,
    partition: &str,
    path: &str,
) -> Result<Forgot> {
    let mut forgot = Forgot::default();
    for memory in below::<Memory>(txn, MEMORIES, partition, path, |memory| &memory.key)? {
        let memory = memory?;
        if forgot.forgotten as usize == PORTION {
            forgot.more = true;
            break;
        }
        let is_living = !memory.is_expired(now);
        let until = change::remove(txn, now, &memory, forget.purge || !is_living)?;
        forgot.forgotten += u64::from(is_living);
        forgot.restorable_until = until.map(rfc3339).or(forgot.restorable_until);
    }
    Ok(forgot)
}

/// Returns how many there were.
fn purge_tombstones_below(txn: &Transaction<'_>, partition: &str, path: &str) -> Result<u64> {
    let mut count = 0;
    for tombstone in below::<Tombstone>(txn, TOMBSTONES, partition, path, |tombstone| &tombstone.key)? {
        change::remove_past(txn, partition, &tombstone?.key)?;
        count += 1;
    }
    Ok(count)
}

/// What a table has at a path and below it.
fn below<'t, T: DeserializeOwned + 't>(
    txn: &'t Transaction<'_>,
    table: &'t str,
    partition: &str,
    path: &'t str,
    key_of: fn(&T) -> &str,
) -> Result<impl Iterator<Item = Result<T>> + 't> {
    let mut query = txn.partition(table, partition);
    if !path.is_empty() {
        query = query.sort_key_begins_with(path);
    }
    // Those that only begin alike, `database` beside `data`, are passed over.
    let is_below = move |key: &str| {
        path.is_empty() || key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = query.items::<T>()?.map(|found| found.map_err(MemoryError::from));
    Ok(found.filter(move |found| found.as_ref().map_or(true, |found| is_below(key_of(found)))))
}
