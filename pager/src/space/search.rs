//! What searches of the space map have learned, so that none looks twice where there is nothing.
//!
//! The map's entries say how long the longest marked run below is. They count pages that are claimed by now. So a
//! search may look into a leaf in vain, and must remember that: a batch that takes millions of pages would look into
//! every leaf that it has emptied, for every page.

use std::collections::BTreeMap;

use crate::space::page::Entry;

/// How many sizes of runs the frontier tells apart.
const FRONTIER_MAX: usize = 32;

/// The memory of the searches. It forgets a range when that range gains free pages.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// An upper bound of the longest run that can be claimed from a range, where it is below that of its entry.
    bounds: BTreeMap<u32, u16>,
    /// Pairs (count, range): no range below has a run of `count` pages or more. Both ascend.
    frontier: Vec<(u16, u32)>,
}

impl Search {
    /// The range from which on a run of `count` pages has to be searched.
    pub(crate) fn start(&self, count: u16) -> u32 {
        let known = self.frontier.iter().rev().find(|(shortest, _)| *shortest <= count);
        known.map_or(0, |(_, range)| *range)
    }

    /// No range below `range` has a run of `count` pages.
    pub(crate) fn passed(&mut self, count: u16, range: u32) {
        if self.start(count) >= range {
            return;
        }
        self.frontier.retain(|(other, below)| *other < count || *below > range);
        let at = self.frontier.partition_point(|(other, _)| *other < count);
        self.frontier.insert(at, (count, range));
        self.frontier.truncate(FRONTIER_MAX);
    }

    /// The longest run that a range may have, given its entry.
    pub(crate) fn longest(&self, range: u32, entry: &Entry) -> u16 {
        self.bounds.get(&range).map_or(entry.longest, |bound| entry.longest.min(*bound))
    }

    /// No run of more than `longest` pages can be claimed from this range.
    pub(crate) fn learned(&mut self, range: u32, entry: &Entry, longest: u16) {
        let bound = self.longest(range, entry).min(longest);
        self.bounds.insert(range, bound);
    }

    /// This range has a new leaf, with no more free pages than before.
    pub(crate) fn rewritten(&mut self, range: u32) {
        self.bounds.remove(&range);
    }

    /// This range has gained free pages.
    pub(crate) fn improved(&mut self, range: u32) {
        self.bounds.remove(&range);
        for (_, below) in &mut self.frontier {
            *below = range.min(*below);
        }
        // Of equal ranges the first one, of the shortest run, says it all.
        self.frontier.dedup_by_key(|(_, below)| *below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::page_id::Birth;

    #[test]
    fn a_search_resumes_where_shorter_runs_were_missing_already() {
        let mut search = Search::default();
        search.passed(4, 10);
        search.passed(8, 20);
        assert_eq!([3, 4, 7, 8, 100].map(|count| search.start(count)), [0, 10, 10, 20, 20]);
        search.passed(4, 30);
        assert_eq!([3, 4, 8].map(|count| search.start(count)), [0, 30, 30]);
        search.passed(100, 25);
        assert_eq!(search.start(100), 30, "nothing is forgotten");
    }

    #[test]
    fn a_range_that_gains_pages_is_searched_again() {
        let mut search = Search::default();
        search.passed(1, 10);
        search.passed(8, 20);
        let entry = Entry { birth: Birth(1), free: 9, longest: 9, place: 0 };
        search.learned(15, &entry, 3);
        assert_eq!(search.longest(15, &entry), 3);
        search.improved(15);
        assert_eq!([1, 8].map(|count| search.start(count)), [10, 15]);
        assert_eq!(search.longest(15, &entry), 9);
        search.improved(4);
        assert_eq!([1, 8].map(|count| search.start(count)), [4, 4]);
    }

    #[test]
    fn the_memory_of_many_sizes_stays_small() {
        let mut search = Search::default();
        for count in 1..=1000 {
            search.passed(count, u32::from(count) * 10);
        }
        assert_eq!(search.frontier.len(), FRONTIER_MAX);
        assert_eq!(search.start(5), 50);
    }
}
