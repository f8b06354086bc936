//! Discovering: which categories there are, and which keys, from above.

use std::collections::{BTreeMap, BTreeSet};

use dynamite_core::api::DynaMite;
use serde::Deserialize;

use crate::error::{MemoryError, Result};
use crate::key;
use crate::request::{CategoryCount, Discover, Discovered, KeyCount, Stats};
use crate::store::record::{Due, DueKind, Memory, QUEUE_NAME};
use crate::store::search;
use crate::store::tables::{MEMORIES, POSTINGS, QUEUE, TOMBSTONES, Typed, VERSIONS, View, each};
use crate::text::time::rfc3339;

/// Lines of an answer.
const MOST: usize = 100;

/// Shows what there is.
pub(super) fn discover(db: &DynaMite, now: u64, discover: &Discover) -> Result<Discovered> {
    let after = discover.cursor.as_deref().unwrap_or_default();
    match &discover.category {
        None => {
            let mut all = categories(db, now, &discover.scopes)?;
            all.retain(|category| *category.name > *after || after.is_empty());
            let cursor = cut(&mut all, |category| category.name.clone());
            Ok(Discovered { categories: Some(all), keys: None, cursor })
        }
        Some(category) => {
            key::check_category(category)?;
            let mut all = keys(db, now, discover, category)?;
            all.retain(|key| *key.prefix > *after || after.is_empty());
            let cursor = cut(&mut all, |key| key.prefix.clone());
            Ok(Discovered { categories: None, keys: Some(all), cursor })
        }
    }
}

/// Leaves as many as an answer has, and says where it ends if that was not all.
fn cut<T>(all: &mut Vec<T>, name: impl Fn(&T) -> String) -> Option<String> {
    let is_cut = all.len() > MOST;
    all.truncate(MOST);
    all.last().filter(|_| is_cut).map(name)
}

/// The categories of some scopes, by their names. What has expired is not counted.
pub(super) fn categories(db: &DynaMite, now: u64, scopes: &[String]) -> Result<Vec<CategoryCount>> {
    let mut expired: BTreeMap<String, u64> = BTreeMap::new();
    each(
        || db.partition(QUEUE, QUEUE_NAME).sort_key_lt(Due::time(now + 1)),
        |due: Due| {
            if due.what == DueKind::Expiry {
                *expired.entry(due.partition).or_default() += 1;
            }
            Ok(true)
        },
    )?;
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for category in search::categories(db, scopes, None)?.into_iter().flatten() {
        let gone = expired.get(&key::partition(&category.scope, &category.category));
        let count = category.count.saturating_sub(gone.copied().unwrap_or(0));
        if count > 0 {
            let sum = counts.entry(category.category).or_default();
            *sum = (sum.0 + count, sum.1.max(category.updated));
        }
    }
    let count = |(name, (count, updated))| CategoryCount { name, count, updated: rfc3339(updated) };
    Ok(counts.into_iter().map(count).collect())
}

/// A memory's key, without its text.
#[derive(Deserialize)]
struct Key {
    key: String,
    #[serde(default)]
    expires_at: Option<u64>,
}

/// The keys of a category, cut some segments behind the prefix.
fn keys(db: &DynaMite, now: u64, discover: &Discover, category: &str) -> Result<Vec<KeyCount>> {
    if !(1..=4).contains(&discover.depth) {
        return Err(MemoryError::Invalid("depth must be 1 to 4".to_owned()));
    }
    let prefix = key::normal_prefix(discover.prefix.as_deref().unwrap_or_default())?;
    let depth = prefix.matches('/').count() + discover.depth;
    let mut counts: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for scope in &discover.scopes {
        let partition = key::partition(scope, category);
        let begin = || {
            let query = db.partition(MEMORIES, &partition).attributes(["key", "expires_at"]);
            if prefix.is_empty() { query } else { query.sort_key_begins_with(prefix.as_str()) }
        };
        each(begin, |Key { key, expires_at }| {
            let is_expired = expires_at.is_some_and(|at| at <= now);
            // One that hides another of the same name is counted once.
            if is_expired || (discover.scopes.len() > 1 && !seen.insert(key.clone())) {
                return Ok(true);
            }
            let cut = key.match_indices('/').nth(depth - 1).map(|(at, slash)| at + slash.len());
            let entry = counts.entry(cut.map_or(key.as_str(), |end| &key[..end]).to_owned()).or_default();
            *entry = (entry.0 + 1, entry.1 || cut.is_none());
            Ok(true)
        })?;
    }
    Ok(counts.into_iter().map(|(prefix, (count, leaf))| KeyCount { prefix, count, leaf }).collect())
}

/// Counts, of one scope or of all.
pub(super) fn stats(db: &DynaMite, now: u64, only: &Option<String>) -> Result<Stats> {
    let mut stats = Stats::default();
    for memory in db.scan(MEMORIES).attributes(["partition", "key", "expires_at"]).items::<Place>()? {
        let Place { partition, expires_at } = memory?;
        let (scope, category) = key::split_partition(&partition);
        let is_wanted = only.as_deref().is_none_or(|only| only == scope);
        if is_wanted && expires_at.is_none_or(|at| at > now) {
            *stats.scopes.entry(scope.to_owned()).or_default().entry(category.to_owned()).or_default() += 1;
            stats.memories += 1;
        }
    }
    let count = |table: &str| db.describe_table(table).map(|table| table.item_count);
    stats.versions = count(VERSIONS)?;
    stats.tombstones = count(TOMBSTONES)?;
    stats.postings = count(POSTINGS)?;
    Ok(stats)
}

#[derive(Deserialize)]
struct Place {
    partition: String,
    #[serde(default)]
    expires_at: Option<u64>,
}

/// The newest memories of an index, newest first.
pub(super) fn newest(
    db: &DynaMite,
    now: u64,
    index: &str,
    scopes: &[String],
    most: usize,
    mut wanted: impl FnMut(&Memory) -> bool,
) -> Result<Vec<Memory>> {
    let mut newest: Vec<Memory> = Vec::new();
    for scope in scopes {
        let mut found = 0;
        let query = db.query(MEMORIES).index(index).partition_key(scope.as_str()).scan_forward(false);
        for key in query.items::<KeyOfMemory>()? {
            let KeyOfMemory { partition, key } = key?;
            let Some(memory) = db.get::<Memory>(MEMORIES, &partition, Some(key.as_str()))? else { continue };
            if memory.is_expired(now) || search::is_shadowed(db, now, scopes, &memory)? || !wanted(&memory) {
                continue;
            }
            newest.push(memory);
            found += 1;
            if found == most {
                break;
            }
        }
    }
    newest.sort_by_key(|memory| std::cmp::Reverse(memory.updated));
    newest.truncate(most);
    Ok(newest)
}

#[derive(Deserialize)]
struct KeyOfMemory {
    partition: String,
    key: String,
}
