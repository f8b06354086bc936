//! The one place where memories change, with all that belongs to them: postings, vectors, counts, versions, the queue of what is to be swept.

use std::collections::BTreeMap;

use dynamite_core::api::Transaction;

use crate::error::{MemoryError, Result};
use crate::key;
use crate::meaning::Encoder;
use crate::store::postings;
use crate::store::record::{
    Category, Document, Due, DueKind, KEPT_VERSIONS, Memory, Scope, Tombstone, Version, name,
};
use crate::store::tables::{
    self, CATEGORIES, DOCUMENTS, MEMORIES, NO_SORT, QUEUE, SCOPES, TOMBSTONES, VERSIONS, View, each,
};
use crate::store::vectors;
use crate::text::time::DAY_MS;

/// How long what was forgotten can be restored.
const TOMBSTONE_MS: u64 = 30 * DAY_MS;

/// Puts a memory in the place of the one that is there, which goes to the history. Its document's number is given here.
pub(super) fn put(
    txn: &Transaction<'_>,
    encoder: Option<&dyn Encoder>,
    old: Option<&Memory>,
    mut new: Memory,
) -> Result<Memory> {
    let name_of_category = new.category().to_owned();
    let mut scope = scope(txn, &new.scope)?;
    let category = txn.get::<Category>(CATEGORIES, &new.scope, Some(name_of_category.as_str()))?;
    let mut category = match category {
        Some(category) => category,
        None => {
            let number = scope.next_category;
            let too_many =
                || MemoryError::Failed("there were 65,535 categories already; use one of them".to_owned());
            scope.next_category = number.checked_add(1).ok_or_else(too_many)?;
            Category { scope: new.scope.clone(), category: name_of_category, number, count: 0, updated: 0 }
        }
    };
    let (old_length, old_postings) = old.map(|old| postings::of(old, category.number)).unwrap_or_default();
    match old {
        Some(old) => {
            new.document = old.document;
            keep_version(txn, old)?;
        }
        None => {
            new.document = scope.next_document;
            scope.next_document += 1;
            scope.documents += 1;
            category.count += 1;
            let (partition, key) = (new.partition.clone(), new.key.clone());
            let document = Document { scope: new.scope.clone(), document: new.document, partition, key };
            tables::put(txn, DOCUMENTS, &document)?;
        }
    }
    let (length, new_postings) = postings::of(&new, category.number);
    postings::replace(txn, &new.scope, &old_postings, &new_postings)?;
    vectors::put(txn, encoder, &new, category.number)?;
    scope.length = scope.length + u64::from(length) - u64::from(old_length);
    category.updated = category.updated.max(new.updated);
    let old_expiry = old.and_then(|old| old.expires_at);
    if old_expiry != new.expires_at {
        set_due(txn, &new, old_expiry, new.expires_at)?;
    }
    new.pinned = (new.importance == 3).then(|| new.scope.clone());
    tables::put(txn, SCOPES, &scope)?;
    tables::put(txn, CATEGORIES, &category)?;
    tables::put(txn, MEMORIES, &new)?;
    Ok(new)
}

/// Takes a memory away. Unless it is to be purged, its versions stay, and a tombstone; returns until when.
pub(super) fn remove(txn: &Transaction<'_>, now: u64, old: &Memory, purge: bool) -> Result<Option<u64>> {
    let mut scope = scope(txn, &old.scope)?;
    if let Some(mut category) = txn.get::<Category>(CATEGORIES, &old.scope, Some(old.category()))? {
        let (length, there) = postings::of(old, category.number);
        postings::replace(txn, &old.scope, &there, &BTreeMap::new())?;
        scope.length -= u64::from(length);
        category.count -= 1;
        match category.count {
            0 => {
                let delete = txn.delete_item(CATEGORIES).partition_key(category.scope);
                delete.sort_key(category.category).execute()?;
            }
            _ => tables::put(txn, CATEGORIES, &category)?,
        }
    }
    vectors::remove(txn, &old.scope, old.document)?;
    scope.documents -= 1;
    tables::put(txn, SCOPES, &scope)?;
    let document = txn.delete_item(DOCUMENTS).partition_key(old.scope.as_str());
    document.sort_key(old.document).execute()?;
    set_due(txn, old, old.expires_at, None)?;
    let memory = txn.delete_item(MEMORIES).partition_key(old.partition.as_str());
    memory.sort_key(old.key.as_str()).execute()?;
    if purge {
        remove_past(txn, &old.partition, &old.key)?;
        return Ok(None);
    }
    let until = now + TOMBSTONE_MS;
    keep_version(txn, old)?;
    let (partition, key) = (old.partition.clone(), old.key.clone());
    tables::put(txn, QUEUE, &Due::new(DueKind::Tombstone, until, &partition, &key))?;
    tables::put(txn, TOMBSTONES, &Tombstone { partition, key, version: old.version, until })?;
    Ok(Some(until))
}

/// Puts a memory into its history, where it takes the place of the oldest version if there are enough.
fn keep_version(txn: &Transaction<'_>, old: &Memory) -> Result<()> {
    tables::put(txn, VERSIONS, &Version::of(old))?;
    if let Some(outdated) = old.version.checked_sub(KEPT_VERSIONS) {
        txn.delete_item(VERSIONS).partition_key(old.name()).sort_key(outdated).execute()?;
    }
    Ok(())
}

/// Takes the tombstone of a memory away, if it has one, and leaves its versions.
pub(super) fn take_tombstone(txn: &Transaction<'_>, partition: &str, key: &str) -> Result<Option<Tombstone>> {
    let found = txn.get::<Tombstone>(TOMBSTONES, partition, Some(key))?;
    if let Some(tombstone) = &found {
        txn.delete_item(TOMBSTONES).partition_key(partition).sort_key(key).execute()?;
        delete_due(txn, &Due::new(DueKind::Tombstone, tombstone.until, partition, key))?;
    }
    Ok(found)
}

/// Removes what is left of a memory that is not there any more. Returns whether there was anything.
pub(super) fn remove_past(txn: &Transaction<'_>, partition: &str, key: &str) -> Result<bool> {
    let had_tombstone = take_tombstone(txn, partition, key)?.is_some();
    let memory = name(partition, key);
    let mut versions = Vec::new();
    each(
        || txn.partition(VERSIONS, &memory),
        |version: Version| {
            versions.push(version.version);
            Ok(true)
        },
    )?;
    for version in &versions {
        txn.delete_item(VERSIONS).partition_key(memory.as_str()).sort_key(*version).execute()?;
    }
    Ok(had_tombstone || !versions.is_empty())
}

pub(super) fn scope(txn: &Transaction<'_>, scope: &str) -> Result<Scope> {
    let found = txn.get::<Scope>(SCOPES, scope, NO_SORT)?;
    Ok(found.unwrap_or_else(|| Scope { scope: scope.to_owned(), ..Scope::default() }))
}

fn set_due(txn: &Transaction<'_>, memory: &Memory, old: Option<u64>, new: Option<u64>) -> Result<()> {
    let due = |at| Due::new(DueKind::Expiry, at, &memory.partition, &memory.key);
    if let Some(old) = old {
        delete_due(txn, &due(old))?;
    }
    if let Some(new) = new {
        tables::put(txn, QUEUE, &due(new))?;
    }
    Ok(())
}

fn delete_due(txn: &Transaction<'_>, due: &Due) -> Result<()> {
    txn.delete_item(QUEUE).partition_key(due.queue.as_str()).sort_key(due.due.as_str()).execute()?;
    Ok(())
}

/// The memory of a name, if it is there and has not expired. One that has is removed.
pub(super) fn living(
    txn: &Transaction<'_>,
    now: u64,
    scope: &str,
    category: &str,
    key: &str,
) -> Result<Option<Memory>> {
    let found = txn.get::<Memory>(MEMORIES, &key::partition(scope, category), Some(key))?;
    match found {
        Some(memory) if memory.is_expired(now) => {
            remove(txn, now, &memory, true)?;
            Ok(None)
        }
        found => Ok(found),
    }
}
