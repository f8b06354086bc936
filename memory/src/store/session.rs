//! Sessions: what one is told when it begins, what fits what a person says in it, and what it was told already.

use std::collections::HashMap;

use dynamite_core::api::{Deferred, DynaMite, Transaction};

use crate::error::Result;
use crate::key;
use crate::meaning::Encoder;
use crate::request::{Opened, Opening, Prompt, ShownTo};
use crate::store::discover;
use crate::store::recall::entry;
use crate::store::record::{Memory, Shown, name};
use crate::store::search::{self, Found, Terms};
use crate::store::tables::{self, MEMORIES, PINNED, RECENT, SESSIONS, View, each, transact};
use crate::text::time::DAY_MS;

/// How long it is known what a session was told.
const KNOWN_FOR_MS: u64 = 14 * DAY_MS;

/// Of the highest importance, and of the newest ones: as many as a session is told of.
const MOST: (usize, usize) = (12, 5);

/// Newest ones that are looked through for those that a session that goes on has not seen.
const MOST_CHANGED: usize = 12;

/// The row of a session that says when it was told something last, in the place of a version.
const LAST: &str = "-";

/// The share of the weight of what was said that a memory must have terms for, to be worth an interruption. One word of two is enough for that, one of
/// three is not unless the others are more usual, or two of six.
const BAR: f32 = 0.3;

/// What a session is told when it begins, or goes on.
pub(super) fn opening(db: &DynaMite, now: u64, opening: &Opening) -> Result<Opened> {
    let scopes = &opening.scopes;
    let since = match &opening.unseen_by {
        Some(session) => db.get::<Shown>(SESSIONS, session, Some(LAST))?.map(|last| last.version),
        None => None,
    };
    if let Some(since) = since {
        let changed =
            discover::newest(db, now, RECENT, scopes, MOST_CHANGED, |memory| memory.updated > since)?;
        return Ok(Opened { entries: changed.into_iter().map(entry).collect(), ..Opened::default() });
    }
    let pinned = discover::newest(db, now, PINNED, scopes, MOST.0, |_| true)?;
    let recent = discover::newest(db, now, RECENT, scopes, MOST.1, |memory| memory.importance < 3)?;
    Ok(Opened {
        pinned: pinned.into_iter().map(entry).collect(),
        entries: recent.into_iter().map(entry).collect(),
        categories: discover::categories(db, now, scopes)?,
    })
}

/// What fits what was said well enough, and was not shown to the session in this version.
pub(super) fn prompt(
    db: &DynaMite,
    encoder: Option<&dyn Encoder>,
    now: u64,
    prompt: &Prompt,
) -> Result<Opened> {
    let mut seen: HashMap<String, u64> = HashMap::new();
    each(
        || db.partition(SESSIONS, &prompt.session),
        |shown: Shown| {
            seen.insert(shown.memory, shown.version);
            Ok(true)
        },
    )?;
    let mut entries = Vec::new();
    let terms = Terms { scopes: &prompt.scopes, category: None, prefix: "", query: &prompt.prompt };
    // Scores fall, coverage need not: how many below the bar are passed over before that is given up.
    let mut patience = 8;
    search::search(db, encoder, now, terms, |Found { memory, coverage, .. }| {
        if coverage < BAR {
            patience -= 1;
            return Ok(patience > 0);
        }
        if seen.get(&memory.name()) != Some(&memory.version) {
            entries.push(entry(memory));
        }
        Ok(entries.len() < prompt.limit)
    })?;
    Ok(Opened { entries, ..Opened::default() })
}

/// Notes what a session was told.
pub(super) fn shown(target: &Deferred<'_>, now: u64, shown: &ShownTo) -> Result<()> {
    let row = |memory: String, version: u64| Shown {
        session: shown.session.clone(),
        memory,
        version,
        expires: (now + KNOWN_FOR_MS) / 1000,
    };
    transact(target, |txn| {
        if shown.anew {
            take_shown(txn, &shown.session)?;
        }
        for (scope, category, key, version) in &shown.shown {
            tables::put(txn, SESSIONS, &row(name(&key::partition(scope, category), key), *version))?;
        }
        Ok(tables::put(txn, SESSIONS, &row(LAST.to_owned(), now))?)
    })
}

/// Counts what a session was told as accesses. When it was told something last is kept, should it go on.
pub(super) fn end(target: &Deferred<'_>, now: u64, session: &str) -> Result<()> {
    transact(target, |txn| {
        for memory in take_shown(txn, session)? {
            // A name is a scope, a category and a key; neither of the first two has a `#` in it.
            let Some((at, _)) = memory.match_indices('#').nth(1) else { continue };
            count_one(txn, now, &memory[..at], &memory[at + 1..], 1)?;
        }
        Ok(())
    })
}

/// Takes the rows of what a session was shown away, and returns the names.
fn take_shown(txn: &Transaction<'_>, session: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    each(
        || txn.partition(SESSIONS, session),
        |shown: Shown| {
            names.push(shown.memory);
            Ok(true)
        },
    )?;
    names.retain(|name| name != LAST);
    for name in &names {
        txn.delete_item(SESSIONS).partition_key(session).sort_key(name.as_str()).execute()?;
    }
    Ok(names)
}

/// Counts accesses.
pub(super) fn count(target: &Deferred<'_>, now: u64, counted: HashMap<(String, String), u64>) -> Result<()> {
    transact(target, |txn| {
        for ((partition, key), count) in counted {
            count_one(txn, now, &partition, &key, count)?;
        }
        Ok(())
    })
}

/// An access is no change: the version and everything else stays.
fn count_one(txn: &Transaction<'_>, now: u64, partition: &str, key: &str, count: u64) -> Result<()> {
    if let Some(mut memory) = txn.get::<Memory>(MEMORIES, partition, Some(key))? {
        memory.accessed = Some(now);
        memory.accesses += count;
        tables::put(txn, MEMORIES, &memory)?;
    }
    Ok(())
}
