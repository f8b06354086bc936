//! Keeping memories.

use dynamite_core::api::{Deferred, Transaction};

use crate::error::{MemoryError, Result};
use crate::key;
use crate::meaning::Encoder;
use crate::request::{Mode, Remember, Remembered, Similar};
use crate::store::clean::{self, Clean};
use crate::store::postings::{self, Chunk};
use crate::store::record::{Category, Document, Memory, hash};
use crate::store::tables::{CATEGORIES, DOCUMENTS, MEMORIES, POSTINGS, Typed, View, transact};
use crate::store::{change, sweep};
use crate::text::shingles::{ALIKE, Shingles};

/// What is swept with every write, so that nobody has to do it.
const SWEPT_BESIDE: usize = 4;

/// Memories that are compared with a new one.
const MOST_COMPARED: usize = 16;

/// Terms of a new memory by which those are chosen, and chunks of postings that are read of each: of frequent terms, the newest documents.
const CHOSEN_BY: (usize, usize) = (64, 3);

/// Keeps memories in one transaction. What is wrong with one does not keep the others from being kept.
pub(super) fn remember_all(
    target: &Deferred<'_>,
    encoder: Option<&dyn Encoder>,
    now: u64,
    remembers: &[Remember],
) -> Result<Vec<Result<Remembered>>> {
    let cleaned: Vec<Result<Clean>> = remembers.iter().map(clean::clean).collect();
    transact(target, |txn| {
        sweep::sweep_some(txn, now, SWEPT_BESIDE)?;
        let mut done = Vec::with_capacity(remembers.len());
        for (remember, clean) in remembers.iter().zip(cleaned) {
            let planned = clean.and_then(|clean| plan(txn, now, remember, clean));
            done.push(match planned {
                Ok(planned) => Ok(keep(txn, encoder, remember, planned)?),
                // The database's own errors end it all; ours, of one memory, only say what is wrong with that.
                Err(MemoryError::Failed(reason)) => return Err(MemoryError::Failed(reason)),
                Err(error) => Err(error),
            });
        }
        Ok(done)
    })
}

/// What is to be done; nothing of it is written before it is known.
struct Plan {
    old: Option<Memory>,
    /// `None` if it is there already.
    new: Option<Memory>,
    key: String,
    warnings: Vec<String>,
}

fn plan(txn: &Transaction<'_>, now: u64, remember: &Remember, clean: Clean) -> Result<Plan> {
    let Clean { key, content, tags, warnings } = clean;
    let Remember { scope, category, mode, .. } = remember;
    let partition = key::partition(scope, category);
    let old = change::living(txn, now, scope, category, &key)?;
    let stored = old.as_ref().map_or(0, |old| old.version);
    if let Some(passed) = remember.if_version.filter(|passed| *passed != stored) {
        return Err(MemoryError::Conflict { stored, passed });
    }
    if let (Mode::Create, Some(old)) = (mode, &old) {
        return Err(MemoryError::Exists { category: category.clone(), key, version: old.version });
    }
    let content = match (&old, mode) {
        (Some(old), Mode::Append) => format!("{}\n{content}", old.content),
        _ => content,
    };
    clean::check_size(&content)?;
    let hash = hash(&content);
    let tags = tags.or_else(|| old.as_ref().map(|old| old.tags.clone())).unwrap_or_default();
    let importance = remember.importance.or(old.as_ref().map(|old| old.importance)).unwrap_or(0);
    let same = old.as_ref().is_some_and(|old| {
        old.hash == hash && old.tags == tags && old.importance == importance && remember.ttl_ms.is_none()
    });
    let version = match &old {
        Some(old) => old.version,
        None => change::take_tombstone(txn, &partition, &key)?.map_or(0, |tombstone| tombstone.version),
    };
    let expires_at = remember.ttl_ms.map(|ttl| now + ttl).or(old.as_ref().and_then(|old| old.expires_at));
    let updated = remember.updated.unwrap_or(now).min(now);
    let new = (!same).then(|| Memory {
        partition,
        key: key.clone(),
        scope: scope.clone(),
        pinned: None,
        version: version + 1,
        content,
        tags,
        importance,
        created: old.as_ref().map_or(remember.created.unwrap_or(updated).min(now), |old| old.created),
        updated,
        accessed: old.as_ref().and_then(|old| old.accessed),
        accesses: old.as_ref().map_or(0, |old| old.accesses),
        expires_at,
        hash,
        source: remember.source,
        session: remember.session.clone(),
        document: 0,
    });
    Ok(Plan { old, new, key, warnings })
}

fn keep(
    txn: &Transaction<'_>,
    encoder: Option<&dyn Encoder>,
    remember: &Remember,
    plan: Plan,
) -> Result<Remembered> {
    let Plan { old, new, key, warnings } = plan;
    let category = remember.category.clone();
    let created = old.is_none();
    let Some(new) = new else {
        let version = old.map_or(0, |old| old.version);
        return Ok(Remembered {
            category,
            key,
            version,
            created: false,
            changed: false,
            similar: Vec::new(),
            warnings,
        });
    };
    let kept = change::put(txn, encoder, old.as_ref(), new)?;
    let similar = if remember.find_similar { similar(txn, &kept)? } else { Vec::new() };
    Ok(Remembered { category, key, version: kept.version, created, changed: true, similar, warnings })
}

/// The others of its category that say nearly the same as a memory, most alike first. Candidates are those that share most of its
/// terms, rare ones counting more.
fn similar(txn: &Transaction<'_>, memory: &Memory) -> Result<Vec<Similar>> {
    let Some(category) = txn.get::<Category>(CATEGORIES, &memory.scope, Some(memory.category()))? else {
        return Ok(Vec::new());
    };
    let (terms, _) = postings::frequencies("", &[], &memory.content);
    let mut candidates: std::collections::HashMap<u32, f32> = std::collections::HashMap::new();
    for term in terms.keys().take(CHOSEN_BY.0) {
        let partition = postings::partition(&memory.scope, term);
        let newest = txn.partition(POSTINGS, &partition).scan_forward(false).limit(CHOSEN_BY.1);
        let chunks = newest.page::<Chunk>()?.items;
        let found: Vec<_> = chunks.iter().flat_map(|chunk| postings::decode(&chunk.postings)).collect();
        let weight = 1.0 / (1.0 + found.len() as f32);
        for posting in found {
            if posting.category == category.number && posting.document != memory.document {
                *candidates.entry(posting.document).or_default() += weight;
            }
        }
    }
    let mut candidates: Vec<_> = candidates.into_iter().collect();
    candidates.sort_by(|(a, weight_a), (b, weight_b)| weight_b.total_cmp(weight_a).then(b.cmp(a)));
    let shingles = Shingles::of(&memory.content);
    let mut similar = Vec::new();
    for (document, _) in candidates.into_iter().take(MOST_COMPARED) {
        let Some(place) = txn.get::<Document>(DOCUMENTS, &memory.scope, Some(document))? else { continue };
        let other = txn.get::<Memory>(MEMORIES, &place.partition, Some(place.key.as_str()))?;
        let Some(other) = other else { continue };
        let score = shingles.jaccard(&Shingles::of(&other.content));
        if score >= ALIKE && !other.is_expired(memory.updated) {
            similar.push(Similar { key: other.key, score: (score * 100.0).round() / 100.0 });
        }
    }
    similar.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(similar)
}
