//! What the hot area promises, one promise a test: over a file that behaves as trees make it behave.

use std::collections::BTreeMap;

use crate::format::page_id::{Birth, Extent, PageId};
use crate::space::Placement;
use crate::space::range::RANGE_PAGES;
use crate::space::testing::{Choices, NO_LIMIT, Twins};

/// A tree of leaves with parents, and the few pages that every commit rewrites.
struct Forest {
    twins: Twins,
    choices: Choices,
    leaves: Vec<PageId>,
    parents: BTreeMap<usize, PageId>,
    tops: Vec<PageId>,
    /// Leaves below a parent.
    fan_out: usize,
    /// In how many pieces the last commit wrote what is not a leaf, root included.
    pieces: usize,
}

const TOPS: usize = 4;

impl Forest {
    /// As many leaves as that, and every fifth page free.
    fn new(leaves: usize, fan_out: usize) -> Forest {
        let mut twins = Twins::new(0);
        twins.begin();
        let mut pages = Vec::new();
        for nth in 0..leaves * 5 / 4 {
            let page = twins.allocate_at_end(1, NO_LIMIT).expect("room").first;
            if nth % 5 > 0 {
                pages.push(page);
            } else {
                twins.take_back(Extent::single(page));
            }
        }
        twins.finish(&[]);
        twins.close();
        let (parents, tops) = (BTreeMap::new(), Vec::new());
        Forest { twins, choices: Choices(3), leaves: pages, parents, tops, fan_out, pieces: 0 }
    }

    /// Changes `count` leaves in as many batches of one group.
    fn commit(&mut self, count: usize, room: u64) {
        let mut placed: Vec<PageId> = Vec::new();
        for _ in 0..count {
            self.twins.tend(self.twins.space.page_count() + room);
            self.twins.begin();
            let leaf = self.choices.below(self.leaves.len() as u64) as usize;
            let parent = leaf / self.fan_out;
            let mut recycled = Vec::new();
            let old = std::mem::replace(&mut self.leaves[leaf], PageId(0));
            self.replace(old, &mut placed, &mut recycled);
            self.leaves[leaf] = self.twins.obtain(1, Placement::Hole).first;
            if let Some(old) = self.parents.remove(&parent) {
                self.replace(old, &mut placed, &mut recycled);
            }
            let beside = self.twins.obtain(1, Placement::Beside).first;
            self.parents.insert(parent, beside);
            placed.push(beside);
            for old in std::mem::take(&mut self.tops) {
                self.replace(old, &mut placed, &mut recycled);
            }
            for _ in 0..TOPS {
                self.tops.push(self.twins.obtain(1, Placement::Together).first);
            }
            placed.extend(&self.tops);
            recycled.sort();
            self.twins.finish(&recycled);
        }
        let closed = self.twins.close();
        placed.push(closed.root.id);
        placed.sort();
        self.pieces = placed.chunk_by(|a, b| a.0 + 1 == b.0).count();
        // The commit before this one is published by now, and its readers are gone.
        self.twins.release(Birth(closed.root.birth.0 - 10));
    }

    /// Frees a page, or gives it up if the group allocated it.
    fn replace(&mut self, old: PageId, placed: &mut Vec<PageId>, recycled: &mut Vec<PageId>) {
        if self.twins.model.unwritten.contains(Extent::single(old)) {
            recycled.push(old);
            placed.retain(|page| *page != old);
        } else {
            self.twins.free(Extent::single(old));
        }
    }

    fn mean_pieces(&mut self, commits: usize, count: usize, room: u64) -> f64 {
        let pieces: usize = (0..commits)
            .map(|_| {
                self.commit(count, room);
                self.pieces
            })
            .sum();
        pieces as f64 / commits as f64
    }
}

#[test]
fn commits_stay_in_one_piece_however_often_the_hot_area_was_filled() {
    let mut forest = Forest::new(8_000, 130);
    let before = forest.twins.space.page_count();
    forest.mean_pieces(3_000, 1, 400);
    let pieces = forest.mean_pieces(1_000, 1, 400);
    assert!(pieces < 1.05, "{pieces} pieces a commit");
    let page_count = forest.twins.space.page_count();
    assert!(page_count <= before + before / 32 + 64, "{before} pages grew to {page_count}");
}

#[test]
fn a_group_stays_in_two_pieces_although_its_batches_replace_the_pages_of_one_another() {
    let mut forest = Forest::new(8_000, 130);
    forest.mean_pieces(200, 16, 400);
    let pieces = forest.mean_pieces(100, 16, 400);
    assert!(pieces < 2.5, "{pieces} pieces a group");
}

/// Far more parents than the hot area could take: they stay out, and the few pages above them still have a run.
#[test]
fn parents_that_do_not_fit_leave_the_run_to_the_pages_above_them() {
    let mut forest = Forest::new(12_000, 3);
    forest.mean_pieces(3_000, 1, 400);
    let pieces = forest.mean_pieces(500, 1, 400);
    assert!(pieces < 2.2, "{pieces} pieces a commit");
}

#[test]
fn leaves_never_land_in_the_hot_area() {
    let mut forest = Forest::new(4_000, 130);
    for _ in 0..1_000 {
        forest.commit(2, 100);
    }
    let space = &forest.twins.space;
    assert!(!space.available.granules().is_empty());
    // Those that stood there when it became hot have been rewritten by now, or else it was grown for the purpose.
    let hot = forest.leaves.iter().filter(|leaf| space.available.is_hot(**leaf)).count();
    assert!(hot < 10, "{hot} leaves in the hot area");
}

/// Where nothing else is free, a leaf may not wait for a full disk.
#[test]
fn the_hot_area_is_a_reserve_for_whoever_finds_nothing_else() {
    let mut forest = Forest::new(1_000, 130);
    forest.mean_pieces(100, 1, 100);
    let twins = &mut forest.twins;
    twins.begin();
    while twins.allocate(1, Placement::Hole).is_some() {}
    assert!(twins.allocate_hot(1).is_some());
    while twins.allocate_hot(1).is_some() {}
    assert_eq!(twins.allocate(1, Placement::Together), None);
}

#[test]
fn a_file_that_shrinks_is_cut_although_the_hot_area_was_at_its_end() {
    let mut forest = Forest::new(8_000, 130);
    forest.mean_pieces(500, 1, 400);
    let end = forest.twins.space.page_count();
    let is_high = |granule: &u32| u64::from(granule * 16) > end * 3 / 4;
    assert!(forest.twins.space.available.granules().iter().any(is_high), "the area is at the end");
    // All leaves go but those below the first two parents, as after the deletion of nearly all rows.
    forest.twins.begin();
    for leaf in forest.leaves.split_off(260) {
        forest.twins.free(Extent::single(leaf));
    }
    for (_, parent) in forest.parents.split_off(&2) {
        forest.twins.free(Extent::single(parent));
    }
    forest.twins.finish(&[]);
    forest.twins.close();
    forest.mean_pieces(3_000, 1, 400);
    let page_count = forest.twins.space.page_count();
    assert!(page_count < end / 4, "{page_count} pages of {end}");
    let pieces = forest.mean_pieces(500, 1, 400);
    assert!(pieces < 1.1, "{pieces} pieces a commit");
}

/// A mass of scattered pages goes into the map; what the next commits are to be written to stays in the list.
#[test]
fn the_hot_area_stays_listed_when_its_range_goes_into_the_map() {
    let mut forest = Forest::new(20_000, 130);
    forest.mean_pieces(1_000, 1, 400);
    let hot: Vec<Extent> = forest.twins.space.available.hot().iter().collect();
    assert!(hot.len() > 20);
    forest.twins.begin();
    for leaf in forest.leaves.split_off(10_000) {
        forest.twins.free(Extent::single(leaf));
    }
    forest.twins.finish(&[]);
    forest.twins.close();
    assert!(forest.twins.map_pages > 0, "nothing was spilled");
    let kept = hot.iter().filter(|run| forest.twins.space.available.hot().overlaps(**run)).count();
    assert!(kept + 1 >= hot.len(), "{kept} of {} runs are left", hot.len());
    let pieces = forest.mean_pieces(100, 1, 400);
    assert!(pieces < 1.3, "{pieces} pieces a commit");
}

/// What is hot is nowhere on disk: an open finds the emptiest part of the file, which is where the area was.
#[test]
fn after_an_open_the_area_is_where_it_was_and_the_file_does_not_grow_for_it() {
    let mut forest = Forest::new(8_000, 130);
    forest.mean_pieces(1_000, 1, 400);
    let before = forest.twins.space.available.granules().clone();
    let newest = forest.twins.birth;
    forest.twins.reopen();
    forest.twins.birth = newest;
    let page_count = forest.twins.space.page_count();
    assert!(forest.twins.space.available.granules().is_empty());
    forest.mean_pieces(100, 1, 400);
    let pieces = forest.mean_pieces(300, 1, 400);
    assert!(pieces < 1.1, "{pieces} pieces a commit");
    let after = forest.twins.space.available.granules();
    let again = after.iter().filter(|granule| before.contains(granule)).count();
    assert!(4 * again >= 3 * after.len(), "{again} of {} granules", after.len());
    let grown = forest.twins.space.page_count() - page_count;
    assert!(grown <= 64, "the file grew by {grown} pages");
}

/// Pages that are written once and stay, such as those of a load, do not keep the area for ever.
#[test]
fn granules_full_of_pages_that_nobody_rewrites_are_given_back() {
    let mut forest = Forest::new(8_000, 130);
    forest.twins.tend(NO_LIMIT);
    // A load fills the area with parents.
    let mut static_pages = Vec::new();
    for _ in 0..60 {
        forest.twins.tend(forest.twins.space.page_count() + 400);
        forest.twins.begin();
        for _ in 0..100 {
            static_pages.push(forest.twins.obtain(1, Placement::Beside).first);
        }
        forest.twins.finish(&[]);
        let closed = forest.twins.close();
        forest.twins.release(closed.root.birth);
    }
    let hot = |forest: &Forest| {
        static_pages.iter().filter(|page| forest.twins.space.available.is_hot(**page)).count()
    };
    let before = hot(&forest);
    let pieces = forest.mean_pieces(2_000, 1, 400);
    let after = hot(&forest);
    assert!(before > 200 && after < before, "{before} pages stood in the area, and now {after}");
    assert!(pieces < 2.0, "{pieces} pieces a commit");
}

/// Pages settle in the area for good, as fast as leaves are freed elsewhere, so it is never what it should be.
#[test]
fn the_file_does_not_grow_for_the_area_again_and_again() {
    let mut forest = Forest::new(8_000, 130);
    let before = forest.twins.space.page_count();
    for nth in 0..3_000 {
        forest.twins.tend(forest.twins.space.page_count() + 400);
        forest.twins.begin();
        forest.twins.free(Extent::single(forest.leaves[nth]));
        forest.twins.obtain(1, Placement::Together);
        forest.twins.finish(&[]);
        let closed = forest.twins.close();
        forest.twins.release(closed.root.birth);
    }
    let page_count = forest.twins.space.page_count();
    assert!(page_count <= before + before / 32 + 64, "{before} pages grew to {page_count}");
}

/// The area of a file of many ranges is a small part of the file, whatever is asked for.
#[test]
fn the_area_stays_small() {
    let mut forest = Forest::new(40_000, 2);
    assert!(forest.twins.space.page_count() > u64::from(RANGE_PAGES));
    forest.mean_pieces(50, 64, 4_000);
    forest.mean_pieces(500, 1, 4_000);
    let hot = forest.twins.space.available.hot_area_pages();
    let page_count = forest.twins.space.page_count();
    assert!(hot <= 2048 && hot <= page_count / 32 + 16, "{hot} pages of {page_count}");
}
