//! Recalling: the memories that fit, within a number of items and of tokens.

use dynamite_core::api::DynaMite;

use crate::error::{MemoryError, Result};
use crate::key;
use crate::meaning::Encoder;
use crate::request::{Entry, Export, Exported, Get, Item, Recall, Recalled};
use crate::store::record::Memory;
use crate::store::search::{self, Found, Terms};
use crate::store::tables::{MEMORIES, Typed, View, each};
use crate::text::time::rfc3339;
use crate::text::{fence, tokens};

/// Items of an answer.
const MOST_ITEMS: usize = 50;

/// Tokens of an answer.
const TOKENS: std::ops::RangeInclusive<usize> = 50..=20_000;

/// A text of which less could be shown is left for the next answer.
const LEAST_SHOWN: usize = 60;

/// Memories of a portion of an export.
const EXPORTED: usize = 200;

/// Memories, and where they are.
type Counted = (Recalled, Vec<(String, String)>);

/// Recalls what was asked for.
pub(super) fn recall(
    db: &DynaMite,
    encoder: Option<&dyn Encoder>,
    now: u64,
    recall: &Recall,
) -> Result<Counted> {
    if let Some(category) = &recall.category {
        key::check_category(category)?;
    }
    let prefix = key::normal_prefix(recall.prefix.as_deref().unwrap_or_default())?;
    let mut answer = Answer {
        recalled: Recalled::default(),
        places: Vec::new(),
        limit: recall.limit.clamp(1, MOST_ITEMS),
        tokens_left: recall.max_tokens.clamp(*TOKENS.start(), *TOKENS.end()) - ENVELOPE,
    };
    let query = recall.query.as_deref().map(str::trim).filter(|query| !query.is_empty());
    match (query, &recall.category) {
        (Some(query), category) => {
            let skipped = match &recall.cursor {
                Some(cursor) => {
                    cursor.strip_prefix('q').and_then(|at| at.parse().ok()).ok_or_else(foreign)?
                }
                None => 0,
            };
            let terms =
                Terms { scopes: &recall.scopes, category: category.as_deref(), prefix: &prefix, query };
            let mut seen: usize = 0;
            search::search(db, encoder, now, terms, |Found { memory, score, .. }| {
                seen += 1;
                if seen <= skipped {
                    return Ok(true);
                }
                Ok(answer.add(memory, (score > 0.0).then_some(score)))
            })?;
            if answer.recalled.more {
                answer.recalled.cursor = Some(format!("q{}", skipped + answer.recalled.items.len()));
            }
        }
        (None, Some(category)) => list(db, now, recall, category, &prefix, &mut answer)?,
        (None, None) => {
            return Err(MemoryError::Invalid(
                "pass category or query; discover shows the categories".to_owned(),
            ));
        }
    }
    Ok((answer.recalled, answer.places))
}

/// All memories of a category, in the order of their keys, scope by scope.
fn list(
    db: &DynaMite,
    now: u64,
    recall: &Recall,
    category: &str,
    prefix: &str,
    answer: &mut Answer,
) -> Result<()> {
    let (first, after) = match &recall.cursor {
        None => (0, None),
        Some(cursor) => {
            let (scope, key) =
                cursor.strip_prefix('k').and_then(|rest| rest.split_once('/')).ok_or_else(foreign)?;
            (scope.parse::<usize>().map_err(|_| foreign())?, Some(key))
        }
    };
    let mut at = String::new();
    for (number, scope) in recall.scopes.iter().enumerate().skip(first) {
        let partition = key::partition(scope, category);
        let after = after.filter(|_| number == first);
        let begin = || {
            let query = db.partition(MEMORIES, &partition).limit(MOST_ITEMS);
            let query = if prefix.is_empty() { query } else { query.sort_key_begins_with(prefix) };
            match after {
                Some(key) => {
                    query.exclusive_start_key(serde_json::json!({"partition": partition, "key": key}))
                }
                None => query,
            }
        };
        each(begin, |memory: Memory| {
            if memory.is_expired(now) || search::is_shadowed(db, now, &recall.scopes, &memory)? {
                return Ok(true);
            }
            let (place, had) = (format!("k{number}/{}", memory.key), answer.recalled.items.len());
            let goes_on = answer.add(memory, None);
            if answer.recalled.items.len() > had {
                at = place;
            }
            Ok(goes_on)
        })?;
        if answer.recalled.more {
            answer.recalled.cursor = Some(at);
            break;
        }
    }
    Ok(())
}

fn foreign() -> MemoryError {
    MemoryError::Invalid(
        "cursor must be one that the same recall returned; leave it out to begin anew".to_owned(),
    )
}

/// Tokens of what stands around the items.
const ENVELOPE: usize = 16;

/// An answer under way.
struct Answer {
    recalled: Recalled,
    places: Vec<(String, String)>,
    limit: usize,
    tokens_left: usize,
}

impl Answer {
    /// Adds a memory, or as much of it as there is room for. Returns whether there may be room for another.
    fn add(&mut self, memory: Memory, score: Option<f32>) -> bool {
        if self.recalled.items.len() == self.limit {
            self.recalled.more = true;
            return false;
        }
        let place = (memory.partition.clone(), memory.key.clone());
        let mut item = Item {
            category: memory.category().to_owned(),
            key: memory.key,
            content: memory.content,
            version: memory.version,
            updated: rfc3339(memory.updated),
            score: score.map(|score| (f64::from(score) * 100.0).round() / 100.0),
            truncated: false,
        };
        let mut cost = cost(&item);
        if cost > self.tokens_left {
            self.recalled.more = true;
            let text = tokens::count(&item.content);
            let mut room = self.tokens_left.saturating_sub(cost - text.min(cost));
            if room < LEAST_SHOWN && !self.recalled.items.is_empty() {
                return false;
            }
            item.truncated = true;
            let whole = std::mem::take(&mut item.content);
            loop {
                item.content = tokens::cut(&whole, room).to_owned();
                cost = self::cost(&item);
                // What is escaped costs more than it seems.
                if cost <= self.tokens_left || room == 0 {
                    break;
                }
                room = room * 9 / 10;
            }
        }
        self.tokens_left = self.tokens_left.saturating_sub(cost);
        let was_cut = item.truncated;
        self.recalled.items.push(item);
        self.places.push(place);
        !was_cut
    }
}

/// What an item costs a model, fenced.
fn cost(item: &Item) -> usize {
    let fenced = Item { content: fence::fence(&item.content), ..item.clone() };
    tokens::count(&serde_json::to_string(&fenced).unwrap_or_default())
}

/// One memory.
pub(super) fn get(db: &DynaMite, now: u64, get: &Get) -> Result<Option<Entry>> {
    key::check_category(&get.category)?;
    let key = key::normal_key(&get.key)?;
    for scope in &get.scopes {
        let found = db.get::<Memory>(MEMORIES, &key::partition(scope, &get.category), Some(key.as_str()))?;
        if let Some(memory) = found.filter(|memory| !memory.is_expired(now)) {
            return Ok(Some(entry(memory)));
        }
    }
    Ok(None)
}

/// A portion of all memories, of some scopes or of all.
pub(super) fn export(db: &DynaMite, now: u64, export: &Export) -> Result<Exported> {
    let mut scan = db.scan(MEMORIES).limit(EXPORTED);
    if let Some(cursor) = &export.cursor {
        let key: serde_json::Value = serde_json::from_str(cursor).map_err(|_| foreign())?;
        scan = scan.exclusive_start_key(key);
    }
    let page = scan.page::<Memory>()?;
    let wanted = |memory: &Memory| export.scopes.is_empty() || export.scopes.contains(&memory.scope);
    let living = page.items.into_iter().filter(|memory| !memory.is_expired(now) && wanted(memory));
    Ok(Exported {
        entries: living.map(entry).collect(),
        cursor: page.last_evaluated_key.map(|key| key.to_string()),
    })
}

/// A memory with all that is known of it.
pub(super) fn entry(memory: Memory) -> Entry {
    Entry {
        category: memory.category().to_owned(),
        scope: memory.scope,
        key: memory.key,
        version: memory.version,
        content: memory.content,
        tags: memory.tags,
        importance: memory.importance,
        created: rfc3339(memory.created),
        updated: rfc3339(memory.updated),
        accessed: memory.accessed.map(rfc3339),
        accesses: memory.accesses,
        expires: memory.expires_at.map(rfc3339),
        source: memory.source,
        session: memory.session,
    }
}
