//! What fits a query by its words and what fits it by its meaning, as one order.
//!
//! Both are brought to the same measure first: a score of words as a share of the best one, a closeness as its share of the way from the farthest of those that
//! are near to the nearest; importance and age count for that as they do for words. The half of each is what a document has then, and what it has not of one
//! kind is nothing. Scores say more than places: that a document is far ahead by its words is kept.

use std::collections::{BinaryHeap, HashMap};

use crate::store::ranking::{Hit, favour};
use crate::store::vectors::Near;

/// What words count for, and what the meaning does.
const SHARES: (f32, f32) = (0.5, 0.5);

/// The hits of words and those that are near, as one.
pub(super) fn fuse(hits: BinaryHeap<Hit>, near: &[Near], day: u16) -> BinaryHeap<Hit> {
    let nearest = near.iter().map(|near| near.closeness).fold(0.0, f32::max);
    let farthest = near.iter().map(|near| near.closeness).fold(nearest, f32::min);
    let best = hits.peek().map_or(0.0, |hit| hit.score);
    let mut fused: HashMap<(usize, u32), Hit> = HashMap::with_capacity(hits.len() + near.len());
    for hit in hits {
        let score = SHARES.0 * hit.score / best;
        fused.insert((hit.scope, hit.document), Hit { score, ..hit });
    }
    for near in near {
        // Of one alone, or of several that are equally near, each is as near as can be.
        let way = if nearest > farthest { (near.closeness - farthest) / (nearest - farthest) } else { 1.0 };
        let score = SHARES.1 * way * favour(near.importance, day.saturating_sub(near.day));
        let new = Hit { score: 0.0, coverage: 0.0, scope: near.scope, document: near.document };
        fused.entry((near.scope, near.document)).or_insert(new).score += score;
    }
    fused.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(document: u32, score: f32) -> Hit {
        Hit { score, coverage: 0.5, scope: 0, document }
    }

    fn near(document: u32, closeness: f32) -> Near {
        Near { closeness, scope: 0, document, importance: 0, day: 7 }
    }

    #[track_caller]
    fn check(hits: &[Hit], near: &[Near], expected: &[(u32, f32)]) {
        let mut fused = fuse(hits.iter().copied().collect(), near, 7);
        for (document, score) in expected {
            let hit = fused.pop().unwrap();
            assert!(
                hit.document == *document && (hit.score - score).abs() < 1e-5,
                "{hit:?}, not {document} {score}"
            );
        }
        assert_eq!(fused.pop(), None);
    }

    #[test]
    fn words_and_meaning_count_half_each() {
        let hits = [hit(1, 8.0), hit(2, 6.0), hit(3, 2.0)];
        let near = [near(2, 0.9), near(4, 0.7), near(1, 0.5)];
        check(&hits, &near, &[(2, 0.875), (1, 0.5), (4, 0.25), (3, 0.125)]);
    }

    #[test]
    fn one_kind_alone_keeps_its_order() {
        check(&[hit(1, 8.0), hit(2, 4.0)], &[], &[(1, 0.5), (2, 0.25)]);
        check(&[], &[near(3, 0.4), near(2, 0.8), near(1, 0.6)], &[(2, 0.5), (1, 0.25), (3, 0.0)]);
        check(&[], &[near(1, 0.4)], &[(1, 0.5)]);
        check(&[], &[], &[]);
    }
}
