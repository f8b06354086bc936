//! The inverted index: for each term of a scope, which documents have it, and how often.
//!
//! The postings of a term stand in chunks of up to 64, in the order of the documents; a chunk is an item, and its sort key the first document that
//! belongs into it. The first chunk of a term has 0. So a rare term is one item, and a new document, which has the greatest number, goes to the end
//! of the last one. What the ranking needs of a document stands beside its postings, so that nothing else is read for what is not returned.
//!
//! # Layout of a posting
//!
//! Integers are little-endian.
//!
//! ```text
//! offset  size  field       meaning
//! ------  ----  ----------  --------------------------------------------------
//!      0     4  document    its number in the scope
//!      4     2  category    the category's number in the scope
//!      6     2  frequency   how often it has the term, weighed by where
//!      8     2  length      how many terms it has, weighed alike
//!     10     1  importance  0 to 3
//!     11     1  zero
//!     12     2  day         the day of its last change, since 1970
//! ```

use std::collections::BTreeMap;

use dynamite_core::api::Transaction;
use dynamite_core::typed_fields::binary;
use serde::{Deserialize, Serialize};

use crate::error::{MemoryError, Result};
use crate::store::record::Memory;
use crate::store::tables::{self, POSTINGS, Typed, View};
use crate::text::time::DAY_MS;
use crate::text::words;

/// Postings of a chunk.
const MOST: usize = 64;

const LEN: usize = 14;

const _: () = assert!(MOST * LEN < 1024, "a chunk stays in its leaf");

/// What terms of the key, the tags and the content weigh.
const WEIGHTS: [u32; 3] = [3, 2, 1];

/// A document that has a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) document: u32,
    pub(super) category: u16,
    pub(super) frequency: u16,
    pub(super) length: u16,
    pub(super) importance: u8,
    pub(super) day: u16,
}

impl Posting {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.document.to_le_bytes());
        bytes.extend(self.category.to_le_bytes());
        bytes.extend(self.frequency.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.extend([self.importance, 0]);
        bytes.extend(self.day.to_le_bytes());
    }

    fn decode(bytes: &[u8; LEN]) -> Posting {
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Posting {
            document: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            category: short(4),
            frequency: short(6),
            length: short(8),
            importance: bytes[10],
            day: short(12),
        }
    }
}

/// Postings of a term, as they are stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) term: String,
    pub(super) start: u32,
    #[serde(with = "binary")]
    pub(super) postings: Vec<u8>,
}

/// The postings in a chunk's bytes.
pub(super) fn decode(bytes: &[u8]) -> impl Iterator<Item = Posting> {
    bytes.as_chunks::<LEN>().0.iter().map(Posting::decode)
}

/// The partition of a term.
pub(super) fn partition(scope: &str, term: &str) -> String {
    format!("{scope}#{term}")
}

/// The terms of a memory with their frequencies, and its length.
pub(super) fn frequencies(key: &str, tags: &[String], content: &str) -> (BTreeMap<String, u16>, u16) {
    let mut frequencies: BTreeMap<String, u32> = BTreeMap::new();
    let mut length = 0_u32;
    let mut add = |text: &str, weight: u32| {
        words::terms(text, |term| {
            match frequencies.get_mut(term) {
                Some(frequency) => *frequency += weight,
                None => drop(frequencies.insert(term.to_owned(), weight)),
            }
            length += weight;
        });
    };
    add(key, WEIGHTS[0]);
    tags.iter().for_each(|tag| add(tag, WEIGHTS[1]));
    add(content, WEIGHTS[2]);
    let short = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
    (frequencies.into_iter().map(|(term, frequency)| (term, short(frequency))).collect(), short(length))
}

/// What is in the index for a memory: its length, and its postings by their terms.
pub(super) fn of(memory: &Memory, category: u16) -> (u16, BTreeMap<String, Posting>) {
    let (terms, length) = frequencies(&memory.key, &memory.tags, &memory.content);
    let day = u16::try_from(memory.updated / DAY_MS).unwrap_or(u16::MAX);
    let posting = |frequency| Posting {
        document: memory.document,
        category,
        frequency,
        length,
        importance: memory.importance,
        day,
    };
    (length, terms.into_iter().map(|(term, frequency)| (term, posting(frequency))).collect())
}

/// Makes the postings of a document in a scope what they are to be.
pub(super) fn replace(
    txn: &Transaction<'_>,
    scope: &str,
    old: &BTreeMap<String, Posting>,
    new: &BTreeMap<String, Posting>,
) -> Result<()> {
    for (term, posting) in old {
        if !new.contains_key(term) {
            edit(txn, scope, term, posting.document, None)?;
        }
    }
    for (term, posting) in new {
        if old.get(term) != Some(posting) {
            edit(txn, scope, term, posting.document, Some(posting))?;
        }
    }
    Ok(())
}

/// Puts a posting in its place, or takes it away.
fn edit(
    txn: &Transaction<'_>,
    scope: &str,
    term: &str,
    document: u32,
    posting: Option<&Posting>,
) -> Result<()> {
    let partition = partition(scope, term);
    let last = txn.partition(POSTINGS, &partition).sort_key_le(document).scan_forward(false).limit(1);
    let found = last.page::<Chunk>()?.items.pop();
    let mut chunk = found.unwrap_or(Chunk { term: partition, start: 0, postings: Vec::new() });
    let mut postings: Vec<Posting> = decode(&chunk.postings).collect();
    match (postings.binary_search_by_key(&document, |posting| posting.document), posting) {
        (Ok(at), Some(posting)) => postings[at] = *posting,
        (Ok(at), None) => drop(postings.remove(at)),
        (Err(at), Some(posting)) => postings.insert(at, *posting),
        (Err(_), None) => {
            return Err(MemoryError::Failed(format!("term {term:?} has no posting of document {document}")));
        }
    }
    if postings.len() > MOST {
        // What is new has the greatest number: then the full chunk stays full.
        let at = if postings.last().is_some_and(|last| last.document == document) { MOST } else { MOST / 2 };
        let upper = postings.split_off(at);
        put(txn, chunk.term.clone(), upper[0].document, &upper)?;
    }
    if postings.is_empty() {
        txn.delete_item(POSTINGS).partition_key(chunk.term).sort_key(chunk.start).execute()?;
        return Ok(());
    }
    put(txn, std::mem::take(&mut chunk.term), chunk.start, &postings)
}

fn put(txn: &Transaction<'_>, term: String, start: u32, postings: &[Posting]) -> Result<()> {
    let mut bytes = Vec::with_capacity(postings.len() * LEN);
    postings.iter().for_each(|posting| posting.encode(&mut bytes));
    Ok(tables::put(txn, POSTINGS, &Chunk { term, start, postings: bytes })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_bytes_are_the_documented_ones() {
        let posting = Posting {
            document: 0x0403_0201,
            category: 0x0605,
            frequency: 0x0807,
            length: 0x0a09,
            importance: 3,
            day: 0x0c0b,
        };
        let mut bytes = Vec::new();
        posting.encode(&mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 3, 0, 11, 12]);
        assert_eq!(decode(&bytes).collect::<Vec<_>>(), [posting]);
    }

    #[test]
    fn a_term_weighs_by_where_it_is() {
        let (terms, length) =
            frequencies("db/pool", &["pool".into()], "The pool has ten connections in the pool.");
        assert_eq!(terms["pool"], 3 + 2 + 2);
        assert_eq!(terms["db"], 3);
        assert_eq!(terms["db/pool"], 3);
        assert_eq!(terms["connect"], 1);
        assert_eq!(length, 9 + 2 + 4);
    }
}
