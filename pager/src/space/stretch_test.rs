//! What groups that write many leaves are promised, one promise a test: over leaves that are rewritten at random.

use crate::format::page_id::{Birth, Extent, PageId};
use crate::space::Placement;
use crate::space::range::RANGE_PAGES;
use crate::space::stretch::SLACK;
use crate::space::testing::{Choices, NO_LIMIT, Twins};

/// Leaves, and nothing else.
struct Leaves {
    twins: Twins,
    choices: Choices,
    pages: Vec<PageId>,
    limit: u64,
    /// Whether a commit is released only when the next one has been written, as when groups gather while others are flushed.
    lags: bool,
    last: Option<Birth>,
    /// How many pages the last commit wrote, and in how many pieces.
    written: (usize, usize),
}

impl Leaves {
    /// As many leaves as that, and one page in `nth_free` free.
    fn new(leaves: usize, nth_free: usize) -> Leaves {
        let mut twins = Twins::new(0);
        twins.begin();
        let mut pages = Vec::new();
        for nth in 1.. {
            if pages.len() == leaves {
                break;
            }
            let page = twins.allocate_at_end(1, NO_LIMIT).expect("room").first;
            if nth % nth_free == 0 {
                twins.take_back(Extent::single(page));
            } else {
                pages.push(page);
            }
        }
        twins.finish(&[]);
        twins.close();
        Leaves {
            twins,
            choices: Choices(3),
            pages,
            limit: NO_LIMIT,
            lags: false,
            last: None,
            written: (0, 0),
        }
    }

    /// Rewrites leaves at random: as many batches of a group, each with as many leaves.
    fn commit(&mut self, batches: usize, leaves: usize) {
        let mut placed: Vec<PageId> = Vec::new();
        for _ in 0..batches {
            self.twins.begin();
            let mut recycled = Vec::new();
            let mut changed: Vec<usize> =
                (0..leaves).map(|_| self.choices.below(self.pages.len() as u64) as usize).collect();
            changed.sort_unstable();
            changed.dedup();
            for leaf in changed {
                let old = self.pages[leaf];
                if self.twins.model.unwritten.contains(Extent::single(old)) {
                    recycled.push(old);
                } else {
                    self.twins.free(Extent::single(old));
                }
                self.pages[leaf] = self.place();
                placed.retain(|page| *page != old);
                placed.push(self.pages[leaf]);
            }
            recycled.sort_unstable();
            self.twins.finish(&recycled);
        }
        let closed = self.twins.close();
        placed.sort_unstable();
        let pieces = placed.chunk_by(|one, next| one.0 + 1 == next.0).count();
        self.written = (placed.len(), pieces);
        // It is published by now, and nobody reads; or the next batches come first.
        let before = self.last.replace(closed.root.birth);
        self.twins.release(if self.lags { before.unwrap_or(Birth(0)) } else { closed.root.birth });
    }

    fn place(&mut self) -> PageId {
        self.twins.grow_stretch(Placement::Hole, self.limit);
        self.twins.obtain(1, Placement::Hole).first
    }

    /// Pages a piece.
    fn mean_piece(&mut self, commits: usize, batches: usize, leaves: usize) -> f64 {
        let mut sum = (0, 0);
        for _ in 0..commits {
            self.commit(batches, leaves);
            sum = (sum.0 + self.written.0, sum.1 + self.written.1);
        }
        sum.0 as f64 / sum.1 as f64
    }

    fn page_count(&self) -> u64 {
        self.twins.space.page_count()
    }
}

/// The file has next to no free pages at first, as while it is loaded.
#[test]
fn a_large_batch_is_written_in_few_pieces() {
    let mut leaves = Leaves::new(6_000, 50);
    leaves.mean_piece(20, 1, 500);
    let pages = leaves.mean_piece(40, 1, 500);
    assert!(pages > 2.6, "{pages} pages a piece");
}

#[test]
fn the_file_grows_for_large_batches_until_a_third_of_it_is_free() {
    let mut leaves = Leaves::new(6_000, 50);
    let before = leaves.page_count();
    leaves.mean_piece(60, 1, 500);
    let page_count = leaves.page_count();
    assert!(page_count > before * 4 / 3, "{before} pages grew to {page_count}, and pieces are short");
    // The last commit's pages are not released when the next one takes its own.
    assert!(page_count <= 6_000 * SLACK / (SLACK - 1) + 200, "{before} pages grew to {page_count}");
}

#[test]
fn small_batches_never_let_the_file_grow_however_many_there_are_in_a_group() {
    let mut leaves = Leaves::new(6_000, 4);
    leaves.commit(1, 1);
    let before = leaves.page_count();
    for turn in 0..40 {
        leaves.commit(200, 1);
        leaves.commit(20, 30);
        assert_eq!(leaves.page_count(), before, "turn {turn}");
    }
}

/// All of a small file is one range, and closed to allocations while what was spilled into it is not released.
#[test]
fn merging_neighbours_never_lets_the_file_grow() {
    let mut leaves = Leaves::new(6_000, 12);
    leaves.lags = true;
    leaves.mean_piece(3, 1, 1);
    let before = leaves.page_count();
    for turn in 0..400 {
        leaves.commit(17, 1);
        assert_eq!(leaves.page_count(), before, "turn {turn}");
    }
}

/// One batch of many pages does not make those after it large.
#[test]
fn the_file_does_not_grow_for_small_batches_behind_a_large_one() {
    let mut leaves = Leaves::new(6_000, 50);
    leaves.mean_piece(3, 1, 500);
    leaves.commit(1, 1);
    let before = leaves.page_count();
    for _ in 0..200 {
        leaves.commit(3, 20);
    }
    assert_eq!(leaves.page_count(), before);
}

/// A quarter of the file is free, and no two free pages are neighbours at first.
#[test]
fn groups_of_small_batches_find_neighbours() {
    let mut leaves = Leaves::new(6_000, 4);
    leaves.mean_piece(600, 32, 1);
    let pages = leaves.mean_piece(200, 32, 1);
    assert!(pages > 1.5, "{pages} pages a piece");
}

/// What is free is marked in the map, in many ranges, and not known to memory.
#[test]
fn runs_are_found_in_the_map() {
    let mut leaves = Leaves::new(3 * RANGE_PAGES as usize, 50);
    leaves.twins.begin();
    for first in (1_000..80_000).step_by(400) {
        for page in leaves.pages.splice(first..first + 30, []).collect::<Vec<_>>() {
            leaves.twins.free(Extent::single(page));
        }
    }
    // Those who lie alone are so many that the list has no room.
    for first in (1_000..70_000).step_by(100) {
        leaves.twins.free(Extent::single(leaves.pages.remove(first)));
    }
    leaves.twins.finish(&[]);
    leaves.twins.close();
    leaves.twins.release(leaves.twins.birth);
    let before = leaves.page_count();
    let pages = leaves.mean_piece(5, 1, 1_000);
    assert!(pages > 10.0, "{pages} pages a piece");
    assert_eq!(leaves.page_count(), before, "runs of thirty are long enough");
}

#[test]
fn a_large_batch_takes_every_free_page_where_the_file_cannot_grow() {
    let mut leaves = Leaves::new(6_000, 5);
    leaves.mean_piece(3, 1, 300);
    leaves.limit = leaves.page_count();
    leaves.twins.begin();
    let limit = leaves.limit;
    let free = leaves.twins.model.free.len();
    for _ in 0..free {
        assert!(!leaves.twins.grow_stretch(Placement::Hole, limit));
        leaves.twins.allocate(1, Placement::Hole).expect("a page is free");
    }
    assert_eq!(leaves.twins.allocate(1, Placement::Hole), None);
}

/// A lone page cuts no long run, and comes to stand low, whatever groups did before.
#[test]
fn commits_of_one_leaf_return_to_low_holes() {
    let mut leaves = Leaves::new(6_000, 4);
    leaves.mean_piece(20, 1, 500);
    leaves.mean_piece(40, 1, 1);
    for _ in 0..20 {
        let free: Vec<Extent> = leaves.twins.model.free.extents().collect();
        leaves.twins.begin();
        let hole = leaves.twins.allocate(1, Placement::Hole).expect("much is free");
        leaves.twins.abort();
        assert!(u64::from(hole.first.0) < leaves.page_count() / 3, "{hole:?}");
        let around = free.iter().find(|extent| extent.contains(hole.first)).expect("it was free");
        assert!(around.count < 8, "{hole:?} cuts {around:?}");
        leaves.commit(1, 1);
    }
}

/// Stretches use up the long runs, or hold them in the map. The hot area is not left without.
#[test]
fn the_hot_area_finds_a_run_after_large_batches() {
    let mut leaves = Leaves::new(6_000, 50);
    leaves.mean_piece(40, 1, 500);
    let mut pieces = 0;
    for nth in 0..60 {
        leaves.twins.tend(leaves.page_count() + 400);
        leaves.twins.begin();
        let placed: Vec<PageId> = (0..6).map(|_| leaves.twins.obtain(1, Placement::Together).first).collect();
        let mut sorted = placed.clone();
        sorted.sort_unstable();
        let in_pieces = sorted.chunk_by(|one, next| one.0 + 1 == next.0).count();
        pieces += if nth < 20 { 0 } else { in_pieces };
        leaves.twins.finish(&[]);
        leaves.twins.close();
        leaves.twins.release(leaves.twins.birth);
        leaves.twins.begin();
        placed.into_iter().for_each(|page| leaves.twins.free(Extent::single(page)));
        leaves.twins.finish(&[]);
        leaves.twins.close();
        leaves.twins.release(leaves.twins.birth);
    }
    assert!(pieces <= 44, "{pieces} pieces of forty commits");
}

/// Whatever a batch with a ceiling writes, its commit's root too, and wherever runs and the hot area were.
#[test]
fn a_batch_that_moves_pages_down_places_all_of_its_own_below_the_ceiling() {
    let mut leaves = Leaves::new(6_000, 50);
    leaves.mean_piece(40, 1, 500);
    leaves.twins.tend(leaves.page_count() + 400);
    let space = &leaves.twins.space;
    let ceiling = space.ceiling_worth_having().expect("a third of the file is free");
    let in_use = space.page_count() - space.free_pages();
    assert!(ceiling <= in_use + in_use / 8, "{ceiling} pages for {in_use}");
    let mut limit = NO_LIMIT;
    while let Some(high) = leaves.pages.iter().position(|page| u64::from(page.0) >= ceiling) {
        leaves.twins.begin();
        leaves.twins.space.set_ceiling(ceiling);
        for leaf in leaves.pages[high..].iter_mut().filter(|page| u64::from(page.0) >= ceiling).take(100) {
            leaves.twins.free(Extent::single(*leaf));
            *leaf = leaves.twins.allocate(1, Placement::Hole).expect("there is room").first;
            assert!(u64::from(leaf.0) < ceiling, "{leaf:?} is not below {ceiling}");
        }
        let beside = leaves.twins.allocate(1, Placement::Beside).expect("there is room");
        assert!(beside.end() <= ceiling, "{beside:?}");
        leaves.twins.take_back(beside);
        leaves.twins.finish(&[]);
        let closed = leaves.twins.close();
        assert!(u64::from(closed.root.id.0) < ceiling, "{closed:?}");
        leaves.twins.release(closed.root.birth);
        leaves.twins.tend(limit.min(leaves.page_count()));
        limit = leaves.page_count();
    }
    leaves.twins.begin();
    leaves.twins.space.set_ceiling(ceiling);
    leaves.twins.finish(&[]);
    let closed = leaves.twins.close();
    assert!(closed.page_count <= ceiling + 64, "{closed:?}, {ceiling} were possible");
}
