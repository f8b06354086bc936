//! A search: what [ranking](super::ranking) gives, and where there is an encoder what is [near](super::vectors), made into memories that are there, the exact
//! key first.

use std::collections::{BinaryHeap, HashMap};

use crate::error::Result;
use crate::key;
use crate::meaning::Encoder;
use crate::store::fusion;
use crate::store::ranking::{self, Hit, Within};
use crate::store::record::{Category, Document, Memory};
use crate::store::tables::{CATEGORIES, DOCUMENTS, MEMORIES, Typed, View, each};
use crate::store::vectors;
use crate::text::time::DAY_MS;

/// Memories whose keys begin with the query that come before all others.
const MOST_BY_KEY: usize = 32;

/// What is looked for, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) scopes: &'a [String],
    pub(super) category: Option<&'a str>,
    pub(super) prefix: &'a str,
    pub(super) query: &'a str,
}

/// A memory that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) memory: Memory,
    pub(super) score: f32,
    pub(super) coverage: f32,
}

/// Hands what is found to `visit`, best first, until it has enough.
pub(super) fn search(
    view: &impl View,
    encoder: Option<&dyn Encoder>,
    now: u64,
    terms: Terms<'_>,
    mut visit: impl FnMut(Found) -> Result<bool>,
) -> Result<()> {
    let Terms { scopes, category, prefix, query } = terms;
    let categories = categories(view, scopes, category)?;
    let within: Vec<Within> = categories
        .iter()
        .map(|of_scope| category.map(|_| of_scope.iter().map(|category| category.number).collect()))
        .collect();
    let day = u16::try_from(now / DAY_MS).unwrap_or(u16::MAX);
    let mut hits = ranking::rank(view, scopes, &within, query, day)?;
    if let Some(encoder) = encoder {
        hits = fusion::fuse(hits, &vectors::nearest(view, encoder, scopes, &within, query)?, day);
    }
    let shadowed = |memory: &Memory| is_shadowed(view, now, scopes, memory);
    let fits = |memory: &Memory| -> Result<bool> {
        Ok(!memory.is_expired(now) && memory.key.starts_with(prefix) && !shadowed(memory)?)
    };

    let mut by_key = Vec::new();
    for memory in by_key_first(view, scopes, &categories, query)? {
        if fits(&memory)? {
            by_key.push(memory);
        }
    }
    let scores = if by_key.is_empty() { HashMap::new() } else { take_out(&mut hits, scopes, &by_key) };
    for memory in by_key {
        let score = scores.get(&(memory.scope.clone(), memory.document)).copied().unwrap_or(0.0);
        if !visit(Found { score, coverage: 1.0, memory })? {
            return Ok(());
        }
    }
    while let Some(Hit { score, coverage, scope, document }) = hits.pop() {
        let Some(place) = view.get::<Document>(DOCUMENTS, &scopes[scope], Some(document))? else { continue };
        let Some(memory) = view.get::<Memory>(MEMORIES, &place.partition, Some(place.key.as_str()))? else {
            continue;
        };
        if fits(&memory)? && !visit(Found { memory, score, coverage })? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a scope that was named before has a memory of the same name.
pub(super) fn is_shadowed(view: &impl View, now: u64, scopes: &[String], memory: &Memory) -> Result<bool> {
    for scope in scopes.iter().take_while(|scope| **scope != memory.scope) {
        let partition = key::partition(scope, memory.category());
        let other = view.get::<Memory>(MEMORIES, &partition, Some(memory.key.as_str()))?;
        if other.is_some_and(|other| !other.is_expired(now)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The categories of each scope, or the one.
pub(super) fn categories(
    view: &impl View,
    scopes: &[String],
    category: Option<&str>,
) -> Result<Vec<Vec<Category>>> {
    let mut all = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let mut of_scope = Vec::new();
        match category {
            Some(category) => of_scope.extend(view.get::<Category>(CATEGORIES, scope, Some(category))?),
            None => each(
                || view.partition(CATEGORIES, scope),
                |category| {
                    of_scope.push(category);
                    Ok(true)
                },
            )?,
        }
        all.push(of_scope);
    }
    Ok(all)
}

/// The memories whose key the query is, and then those whose key begins with it.
fn by_key_first(
    view: &impl View,
    scopes: &[String],
    categories: &[Vec<Category>],
    query: &str,
) -> Result<Vec<Memory>> {
    let (mut exact, mut beginning) = (Vec::new(), Vec::new());
    let Ok(key) = key::normal_key(query) else { return Ok(exact) };
    if key.contains(char::is_whitespace) {
        return Ok(exact);
    }
    for (scope, categories) in scopes.iter().zip(categories) {
        for category in categories {
            let partition = key::partition(scope, &category.category);
            let query = view.partition(MEMORIES, &partition).sort_key_begins_with(key.as_str());
            for memory in query.limit(MOST_BY_KEY).page::<Memory>()?.items {
                if memory.key == key { &mut exact } else { &mut beginning }.push(memory);
            }
        }
    }
    beginning.truncate(MOST_BY_KEY);
    exact.append(&mut beginning);
    Ok(exact)
}

/// Takes the hits of some memories out, and returns their scores.
fn take_out(
    hits: &mut BinaryHeap<Hit>,
    scopes: &[String],
    memories: &[Memory],
) -> HashMap<(String, u32), f32> {
    let mut taken = HashMap::new();
    hits.retain(|hit| {
        let scope = &scopes[hit.scope];
        let is_one = memories.iter().any(|memory| memory.document == hit.document && memory.scope == *scope);
        if is_one {
            taken.insert((scope.clone(), hit.document), hit.score);
        }
        !is_one
    });
    taken
}
