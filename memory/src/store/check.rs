//! Whether the index, the counts and the queue say what the memories say; and making the index anew where they do not, or where a build
//! takes texts apart in another way than the one that indexed them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use dynamite_core::api::{Deferred, DynaMite, EncodedItem};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::request::Checked;
use crate::store::change;
use crate::store::postings::{self, Chunk, Posting};
use crate::store::record::{Category, Document, Due, DueKind, Memory, Scope};
use crate::store::tables::{
    self, CATEGORIES, DOCUMENTS, MEMORIES, META, NO_SORT, POSTINGS, QUEUE, SCOPES, Typed, View, transact,
};

/// The rules by which texts are taken apart: raised with every change of the tokenizer, the stemmer, the stop words or the weights.
const INDEXED_BY: u64 = 1;

/// What the rules of the index are noted under.
const INDEX: &str = "index";

#[derive(Serialize, Deserialize)]
struct Meta {
    name: String,
    value: u64,
}

/// Problems that are told.
const MOST_PROBLEMS: usize = 20;

/// Chunks, or memories, of one transaction.
const PORTION: usize = 100;

/// What is counted of a scope on both sides.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    documents: u64,
    length: u64,
    postings: u64,
    /// The sum of a hash of each posting with its term, in which order does not matter.
    hash: u64,
}

impl Sums {
    fn add(&mut self, partition: &str, posting: &Posting) {
        let mut hasher = DefaultHasher::new();
        (partition, posting.document, posting.category, posting.frequency).hash(&mut hasher);
        (posting.length, posting.importance, posting.day).hash(&mut hasher);
        self.postings += 1;
        self.hash = self.hash.wrapping_add(hasher.finish());
    }
}

/// Compares everything.
pub(super) fn check(db: &DynaMite) -> Result<Checked> {
    let db = db.snapshot()?;
    let mut checked = Checked::default();
    let (mut expected, mut found): (BTreeMap<String, Sums>, BTreeMap<String, Sums>) = Default::default();
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut categories: BTreeMap<(String, String), Category> = BTreeMap::new();
    for category in db.scan(CATEGORIES).items::<Category>()? {
        let category = category?;
        categories.insert((category.scope.clone(), category.category.clone()), category);
    }
    let mut problem = |text: String| {
        if checked.problems.len() < MOST_PROBLEMS {
            checked.problems.push(text);
        }
    };
    let mut expiries = 0_u64;
    let mut memories = 0;
    for memory in db.scan(MEMORIES).items::<Memory>()? {
        let memory = memory?;
        memories += 1;
        let place = (memory.scope.clone(), memory.category().to_owned());
        let what = format!("{}/{} in {}", memory.category(), memory.key, memory.scope);
        *counts.entry(place.clone()).or_default() += 1;
        let Some(category) = categories.get(&place) else {
            problem(format!("the category of {what} is not known"));
            continue;
        };
        let (length, of_memory) = postings::of(&memory, category.number);
        let sums = expected.entry(memory.scope.clone()).or_default();
        sums.documents += 1;
        sums.length += u64::from(length);
        for (term, posting) in &of_memory {
            sums.add(&postings::partition(&memory.scope, term), posting);
        }
        let document = db.get::<Document>(DOCUMENTS, &memory.scope, Some(memory.document))?;
        if document
            .is_none_or(|document| document.partition != memory.partition || document.key != memory.key)
        {
            problem(format!("document {} is not {what}", memory.document));
        }
        if let Some(at) = memory.expires_at {
            expiries += 1;
            let due = Due::new(DueKind::Expiry, at, &memory.partition, &memory.key);
            if db.get::<Due>(QUEUE, &due.queue, Some(due.due.as_str()))?.is_none() {
                problem(format!("nothing will sweep {what}"));
            }
        }
    }
    for chunk in db.scan(POSTINGS).items::<Chunk>()? {
        let chunk = chunk?;
        let scope = chunk.term.split('#').next().unwrap_or_default();
        let sums = found.entry(scope.to_owned()).or_default();
        postings::decode(&chunk.postings).for_each(|posting| sums.add(&chunk.term, &posting));
    }
    for scope in db.scan(SCOPES).items::<Scope>()? {
        let scope = scope?;
        let sums = found.entry(scope.scope).or_default();
        (sums.documents, sums.length) = (scope.documents, scope.length);
    }
    for (scope, sums) in &found {
        let wanted = expected.remove(scope).unwrap_or_default();
        if wanted != *sums {
            problem(format!("the index of {scope} is {sums:?}, its memories make {wanted:?}"));
        }
    }
    for scope in expected.keys() {
        problem(format!("{scope} has memories and no index"));
    }
    for (place, category) in &categories {
        let count = counts.get(place).copied().unwrap_or(0);
        if count != category.count {
            problem(format!("category {} of {} counts {}, it has {count}", place.1, place.0, category.count));
        }
    }
    let mut queued = 0;
    for due in db.scan(QUEUE).items::<Due>()? {
        queued += u64::from(due?.what == DueKind::Expiry);
    }
    if queued != expiries {
        problem(format!("{queued} memories are to be swept, {expiries} expire"));
    }
    checked.memories = memories;
    Ok(checked)
}

/// Notes by which rules a new index is made, and makes one anew that was made by others.
pub(super) fn keep_index(db: &DynaMite) -> Result<()> {
    let made = db.get::<Meta>(META, INDEX, NO_SORT)?;
    if made.as_ref().is_some_and(|made| made.value == INDEXED_BY) {
        return Ok(());
    }
    if made.is_some() {
        let target = db.deferred();
        reindex(&target)?;
        db.settle(target.pending())?;
    }
    // Last, so that a crash before it makes it be done again.
    let meta = EncodedItem::of_type(&Meta { name: INDEX.to_owned(), value: INDEXED_BY })?;
    db.put_item(META, meta)?;
    Ok(())
}

/// Makes the inverted index anew, in transactions of bounded size.
pub(super) fn reindex(target: &Deferred<'_>) -> Result<()> {
    loop {
        let left = transact(target, |txn| {
            let chunks = txn.scan(POSTINGS).limit(PORTION).page::<Chunk>()?.items;
            for chunk in &chunks {
                txn.delete_item(POSTINGS)
                    .partition_key(chunk.term.as_str())
                    .sort_key(chunk.start)
                    .execute()?;
            }
            Ok(chunks.len())
        })?;
        if left == 0 {
            break;
        }
    }
    let mut start: Option<serde_json::Value> = None;
    let mut lengths: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let next = transact(target, |txn| {
            let mut scan = txn.scan(MEMORIES).limit(PORTION);
            if let Some(start) = start.take() {
                scan = scan.exclusive_start_key(start);
            }
            let page = scan.page::<Memory>()?;
            for memory in &page.items {
                let category = txn.get::<Category>(CATEGORIES, &memory.scope, Some(memory.category()))?;
                let Some(category) = category else { continue };
                let (length, of_memory) = postings::of(memory, category.number);
                postings::replace(txn, &memory.scope, &BTreeMap::new(), &of_memory)?;
                *lengths.entry(memory.scope.clone()).or_default() += u64::from(length);
            }
            Ok(page.last_evaluated_key)
        })?;
        match next {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    transact(target, |txn| {
        for (scope, length) in &lengths {
            let mut scope = change::scope(txn, scope)?;
            scope.length = *length;
            tables::put(txn, SCOPES, &scope)?;
        }
        Ok(())
    })
}
