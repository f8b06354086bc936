//! What fits a query best: BM25 over the inverted index, then importance and age.
//!
//! The score of a document is the sum over the query's terms of `idf · f · (k1 + 1) / (f + k1 · (1 − b + b · length / average))`, where `f` is how often
//! it has the term, weighed by where; times `1 + 0.15 · importance`; times `0.85 + 0.15 · e^(−age / 90 days)`, so that what is old fades, but
//! never by more than a seventh.

use std::collections::BinaryHeap;

use crate::error::Result;
use crate::store::postings::{self, Chunk, Posting};
use crate::store::record::Scope;
use crate::store::tables::{NO_SORT, POSTINGS, SCOPES, View, each};
use crate::text::words;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Terms of a query that are looked at. Who pastes a file into a question means its beginning.
const MOST_TERMS: usize = 48;

/// The categories of a scope that a search is limited to, by their numbers.
pub(super) type Within = Option<Vec<u16>>;

/// A document that fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    pub(super) score: f32,
    /// The share of the query's weight that it has terms for: 0 to 1.
    pub(super) coverage: f32,
    /// The number of the scope among those that were asked for.
    pub(super) scope: usize,
    pub(super) document: u32,
}

impl Eq for Hit {}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Hit) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By score; of equals, the newer one first, and the scope that was named first.
impl Ord for Hit {
    fn cmp(&self, other: &Hit) -> std::cmp::Ordering {
        let scores = self.score.total_cmp(&other.score);
        scores.then(other.scope.cmp(&self.scope)).then(self.document.cmp(&other.document))
    }
}

/// What is known of a document while the terms are gone through.
#[derive(Clone, Copy, Default)]
struct Sum {
    score: f32,
    /// Of the terms that it has: 0 if there is none.
    weight: f32,
    importance: u8,
    day: u16,
}

/// All documents that have a term of the query, the best on top.
pub(super) fn rank(
    view: &impl View,
    scopes: &[String],
    within: &[Within],
    query: &str,
    day: u16,
) -> Result<BinaryHeap<Hit>> {
    let mut known = Vec::with_capacity(scopes.len());
    for scope in scopes {
        known.push(view.get::<Scope>(SCOPES, scope, NO_SORT)?.unwrap_or_default());
    }
    let documents = known.iter().map(|scope| scope.documents).sum::<u64>() as f32;
    let average = (known.iter().map(|scope| scope.length).sum::<u64>() as f32 / documents).max(1.0);
    let mut sums: Vec<Vec<Sum>> =
        known.iter().map(|scope| vec![Sum::default(); scope.next_document as usize]).collect();
    let mut total_weight = 0.0;
    for term in query_terms(query) {
        let found = postings_of(view, scopes, &term)?;
        let having = found.len() as f32;
        let idf = (1.0 + (documents - having + 0.5) / (having + 0.5)).ln();
        total_weight += idf;
        for (scope, posting) in found {
            if within[scope].as_ref().is_some_and(|numbers| !numbers.contains(&posting.category)) {
                continue;
            }
            // One that was made since the counts were read can wait.
            let Some(sum) = sums[scope].get_mut(posting.document as usize) else { continue };
            let frequency = f32::from(posting.frequency);
            let length = 1.0 - B + B * f32::from(posting.length) / average;
            sum.score += idf * frequency * (K1 + 1.0) / (frequency + K1 * length);
            sum.weight += idf;
            (sum.importance, sum.day) = (posting.importance, posting.day);
        }
    }
    let hits = sums.iter().enumerate().flat_map(|(scope, sums)| {
        let found = sums.iter().zip(0..).filter(|(sum, _)| sum.weight > 0.0);
        found.map(move |(sum, document)| Hit {
            score: sum.score * favour(sum.importance, day.saturating_sub(sum.day)),
            coverage: sum.weight / total_weight,
            scope,
            document,
        })
    });
    Ok(hits.collect())
}

/// What importance and age make of a score.
pub(super) fn favour(importance: u8, age_days: u16) -> f32 {
    (1.0 + 0.15 * f32::from(importance)) * (0.85 + 0.15 * (-f32::from(age_days) / 90.0).exp())
}

/// The terms of a query, each once.
fn query_terms(query: &str) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    words::terms(query, |term| {
        if terms.len() < MOST_TERMS && !terms.iter().any(|other| other == term) {
            terms.push(term.to_owned());
        }
    });
    terms
}

fn postings_of(view: &impl View, scopes: &[String], term: &str) -> Result<Vec<(usize, Posting)>> {
    let mut found = Vec::new();
    for (number, scope) in scopes.iter().enumerate() {
        let partition = postings::partition(scope, term);
        each(
            || view.partition(POSTINGS, &partition),
            |chunk: Chunk| {
                found.extend(postings::decode(&chunk.postings).map(|posting| (number, posting)));
                Ok(true)
            },
        )?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importance_lifts_and_age_lowers_within_bounds() {
        assert!((favour(0, 0) - 1.0).abs() < 1e-6);
        assert!((favour(3, 0) - 1.45).abs() < 1e-6);
        assert!((favour(0, 90) - (0.85 + 0.15 / std::f32::consts::E)).abs() < 1e-6);
        assert!(favour(0, u16::MAX) >= 0.85);
    }
}
