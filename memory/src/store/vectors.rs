//! The vectors of memories, one beside each, where there is an [`Encoder`].
//!
//! # Invariants
//!
//! 1. A vector is that of the present text of its memory. Whoever changes or removes a memory takes its vector away, with an encoder or without one, and puts
//!    another in its place if there is an encoder.
//! 2. All vectors are of the encoder that `meta` names: another one begins with none.
//!
//! So a memory may be without a vector, written by a build that makes none, or not yet encoded anew; then it is found by its words. [`Waiting`] is what
//! is known of those.

use std::collections::{BinaryHeap, HashSet};

use dynamite_core::api::{Deferred, DynaMite, EncodedItem, Transaction};
use dynamite_core::typed_fields::binary;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::meaning::{self, Encoder};
use crate::store::ranking::Within;
use crate::store::record::{Category, Document, Memory};
use crate::store::tables::{
    self, CATEGORIES, DOCUMENTS, MEMORIES, META, NO_SORT, Typed, VECTORS, View, each, transact,
};
use crate::text::time::DAY_MS;

/// Documents that are near, of all scopes together: what is behind them is near nothing.
const MOST: usize = 64;

/// How near a document must be at the least. Texts that have nothing to do with each other are nearer than not at all.
const LEAST: f32 = 0.2;

/// Vectors that are removed in one transaction.
const PORTION: usize = 100;

/// What the name of the encoder is noted under.
const ENCODER: &str = "encoder";

/// The vector of a document, with what the ranking needs to know of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    scope: String,
    document: u32,
    category: u16,
    importance: u8,
    day: u16,
    #[serde(with = "binary")]
    vector: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    name: String,
    encoder: String,
}

/// A document whose meaning is near that of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub(super) closeness: f32,
    pub(super) scope: usize,
    pub(super) document: u32,
    pub(super) importance: u8,
    pub(super) day: u16,
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Near) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The farthest first, so that a heap gives it away.
impl Ord for Near {
    fn cmp(&self, other: &Near) -> std::cmp::Ordering {
        let farther = other.closeness.total_cmp(&self.closeness);
        farther.then(self.scope.cmp(&other.scope)).then(other.document.cmp(&self.document))
    }
}

/// Makes the vector of a memory what it is to be. It has its document's number already.
pub(super) fn put(
    txn: &Transaction<'_>,
    encoder: Option<&dyn Encoder>,
    memory: &Memory,
    category: u16,
) -> Result<()> {
    // What joins the words of a name says nothing, and where a text has its tags does not matter.
    let name = memory.key.replace(['/', '-', '_', '.'], " ");
    let text = format!("{name}. {} {}", memory.content, memory.tags.join(" "));
    let vector = encoder.and_then(|encoder| encoder.encode(&text));
    match vector.and_then(|vector| meaning::quantised(&vector)) {
        Some(vector) => {
            let stored = Stored {
                scope: memory.scope.clone(),
                document: memory.document,
                category,
                importance: memory.importance,
                day: u16::try_from(memory.updated / DAY_MS).unwrap_or(u16::MAX),
                vector,
            };
            Ok(tables::put(txn, VECTORS, &stored)?)
        }
        None => remove(txn, &memory.scope, memory.document),
    }
}

/// Takes the vector of a document away, if it has one.
pub(super) fn remove(txn: &Transaction<'_>, scope: &str, document: u32) -> Result<()> {
    txn.delete_item(VECTORS).partition_key(scope).sort_key(document).execute()?;
    Ok(())
}

/// The documents that are nearest to a query, in no order.
pub(super) fn nearest(
    view: &impl View,
    encoder: &dyn Encoder,
    scopes: &[String],
    within: &[Within],
    query: &str,
) -> Result<Vec<Near>> {
    let mut nearest = BinaryHeap::with_capacity(MOST + 1);
    let Some(query) = encoder.encode(query).and_then(|vector| meaning::quantised(&vector)) else {
        return Ok(Vec::new());
    };
    for (number, scope) in scopes.iter().enumerate() {
        each(
            || view.partition(VECTORS, scope),
            |stored: Stored| {
                let is_asked_for =
                    within[number].as_ref().is_none_or(|numbers| numbers.contains(&stored.category));
                let closeness = meaning::closeness(&query, &stored.vector);
                if is_asked_for && closeness >= LEAST {
                    let Stored { document, importance, day, .. } = stored;
                    nearest.push(Near { closeness, scope: number, document, importance, day });
                    if nearest.len() > MOST {
                        nearest.pop();
                    }
                }
                Ok(true)
            },
        )?;
    }
    Ok(nearest.into_vec())
}

/// The documents that have no vector.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<(String, u32)>);

/// A document's number, without where it is; and a vector's, without the vector.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Number {
    scope: String,
    document: u32,
}

impl Waiting {
    /// Sees to it that there are no vectors but this encoder's, and looks which documents have none.
    pub(super) fn for_encoder(db: &DynaMite, encoder: &dyn Encoder) -> Result<Waiting> {
        let made = db.get::<Meta>(META, ENCODER, NO_SORT)?;
        if made.is_none_or(|made| made.encoder != encoder.name()) {
            let target = db.deferred();
            remove_all(&target)?;
            db.settle(target.pending())?;
            // Last, so that a crash before it makes it be done again.
            let meta = Meta { name: ENCODER.to_owned(), encoder: encoder.name().to_owned() };
            db.put_item(META, EncodedItem::of_type(&meta)?)?;
        }
        let numbers = |table| db.scan(table).attributes(["scope", "document"]).items::<Number>();
        let encoded = numbers(VECTORS)?.collect::<Result<HashSet<_>, _>>()?;
        let mut waiting = Vec::new();
        for number in numbers(DOCUMENTS)? {
            let number = number?;
            if !encoded.contains(&number) {
                waiting.push((number.scope, number.document));
            }
        }
        Ok(Waiting(waiting))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives up to `most` of them their vectors.
    pub(super) fn encode(
        &mut self,
        target: &Deferred<'_>,
        encoder: &dyn Encoder,
        most: usize,
    ) -> Result<u64> {
        let portion = self.0.split_off(self.0.len().saturating_sub(most));
        let done = transact(target, |txn| {
            let mut done = 0;
            for (scope, document) in &portion {
                // It may have been forgotten meanwhile.
                let Some(place) = txn.get::<Document>(DOCUMENTS, scope, Some(*document))? else { continue };
                let found = txn.get::<Memory>(MEMORIES, &place.partition, Some(place.key.as_str()))?;
                let Some(memory) = found else { continue };
                let category = txn.get::<Category>(CATEGORIES, scope, Some(memory.category()))?;
                let Some(category) = category else { continue };
                put(txn, Some(encoder), &memory, category.number)?;
                done += 1;
            }
            Ok(done)
        });
        if done.is_err() {
            self.0.extend(portion);
        }
        done
    }
}

fn remove_all(target: &Deferred<'_>) -> Result<()> {
    loop {
        let removed = transact(target, |txn| {
            let vectors = txn.scan(VECTORS).attributes(["scope", "document"]).limit(PORTION);
            let vectors = vectors.page::<Number>()?.items;
            for vector in &vectors {
                remove(txn, &vector.scope, vector.document)?;
            }
            Ok(vectors.len())
        })?;
        if removed == 0 {
            return Ok(());
        }
    }
}
