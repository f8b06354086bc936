//! The state that new readers see: one small record, read without a lock and replaced as a whole.
//!
//! A sequence lock: the writer makes the sequence odd, replaces the words, and makes it even again; a reader that
//! saw an odd sequence, or another one after reading the words than before, reads again. Readers write nothing, so
//! they share the cache line. Writers exclude one another by the pager's write lock.
//!
//! A reader must have entered its operation epoch **before** it loads the state: then whatever the state reaches
//! stays in place until the operation ends, since pages are given out again only when every operation that entered
//! before the publication of the state that freed them has ended.

use crate::format::header::Roots;
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::sync::{AtomicU64, Ordering, fence, yield_now};

/// What a reader may see: the last batch that was published, and the roots that it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The last batch that is visible.
    pub birth: Birth,
    /// Its roots.
    pub roots: Roots,
}

const WORDS: usize = 6;

/// The published [`State`].
#[derive(Debug)]
pub(crate) struct Published {
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Published {
    pub(crate) fn new(state: State) -> Published {
        Published { sequence: AtomicU64::new(0), words: to_words(state).map(AtomicU64::new) }
    }

    /// Loads the state. Whoever means to follow its pointers has entered an operation before.
    pub(crate) fn load(&self) -> State {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let words = std::array::from_fn(|word| self.words[word].load(Ordering::Relaxed));
            // Keeps the loads above from moving below the second look at the sequence.
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return from_words(words);
            }
            yield_now();
        }
    }

    /// Replaces the state. The caller holds the write lock.
    pub(crate) fn store(&self, state: State) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        // Keeps the stores below from moving above the odd sequence.
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(to_words(state)) {
            word.store(value, Ordering::Relaxed);
        }
        self.sequence.store(sequence + 2, Ordering::Release);
    }
}

fn to_words(State { birth, roots }: State) -> [u64; WORDS] {
    // Page 0 is a header, so it stands for "no catalog".
    let catalog = roots.catalog.unwrap_or(PagePtr { id: PageId(0), birth: Birth(0) });
    [birth.0, u64::from(catalog.id.0), catalog.birth.0, roots.catalog_shape, roots.horizon, roots.commit_time]
}

fn from_words(words: [u64; WORDS]) -> State {
    let [birth, catalog_id, catalog_birth, catalog_shape, horizon, commit_time] = words;
    let catalog = PagePtr { id: PageId(catalog_id as u32), birth: Birth(catalog_birth) };
    State {
        birth: Birth(birth),
        roots: Roots { catalog: (catalog_id != 0).then_some(catalog), catalog_shape, horizon, commit_time },
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn state(n: u64) -> State {
        let catalog = (n > 0).then_some(PagePtr { id: PageId(n as u32), birth: Birth(n) });
        State { birth: Birth(n), roots: Roots { catalog, catalog_shape: n, horizon: n, commit_time: n } }
    }

    #[test]
    fn a_state_comes_back_as_it_was_stored() {
        let published = Published::new(state(0));
        assert_eq!(published.load(), state(0));
        published.store(state(7));
        assert_eq!(published.load(), state(7));
    }

    #[test]
    fn readers_never_see_half_of_a_state() {
        let published = Published::new(state(0));
        let last = 20_000;
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=last).for_each(|n| published.store(state(n))));
            let mut seen = 0;
            while seen < last {
                let loaded = published.load();
                assert_eq!(loaded, state(loaded.birth.0));
                assert!(loaded.birth.0 >= seen);
                seen = loaded.birth.0;
            }
        });
    }
}
