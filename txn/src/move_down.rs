//! Making the file shorter when the database is idle: pages that stand high up are moved to free ones below, in bounded steps, until
//! the end of the file is free and can be cut.
//!
//! A load in random order leaves a third of the file free, a deletion any part of it, and what is free lies anywhere. The pager says
//! whether the file could be notably shorter, and where it would end then: the *ceiling*. A walk goes through all trees in
//! the order of their keys and has whatever lies beyond the ceiling copied below it. Each step is a transaction that changes
//! no item: a crash undoes it or does not, readers and snapshots see nothing of it, and between two steps anybody
//! may write. The walk's place is kept in memory: after an open it is decided anew.
//!
//! # The order of a descent
//!
//! 1. A walk through the pages of the trees, which reads no leaf but those that it moves.
//! 2. Commits without changes, each of which may cut off a part of the end, until both headers know the smaller file.
//! 3. If the file still could be notably shorter, runs stand high up: another walk, which reads the leaves too, and (2) again.
//! 4. If even that has not helped, somebody holds pages, or writes more than is moved. Nothing is tried until the
//!    file, or what lives in it, has changed by a sixteenth, or the database has been idle many times.

use dynamite_bptree::MoveDown;

use crate::error::Result;
use crate::txn_id::TableId;
use crate::write_txn::WriteTxn;

/// Pages that a step moves.
const MOVED_PAGES: u32 = 256;
/// Leaves that a step looks for in their parents, or into.
const LEAVES_PASSED: u32 = 8_192;
const LEAVES_READ: u32 = 512;
/// So many commits in a row find the file as it was when a descent ends.
const UNCHANGED: u32 = 2;
/// By which part the file must have changed before what was futile is tried again.
const CHANGED: u64 = 16;
/// After how many occasions it is tried again all the same.
const TRIED_AGAIN: u32 = 16;

/// What is known of moving pages down. Kept in memory.
#[derive(Debug, Default)]
pub(crate) struct Descent {
    walk: Option<Walk>,
    /// The page count, and the ceiling, that a descent ended with although the file could have been shorter; and how often it has not
    /// been tried again since.
    futile: Option<(u64, u64, u32)>,
}

/// A walk through all trees.
#[derive(Clone, Debug)]
struct Walk {
    ceiling: u64,
    /// Whether runs are moved too.
    runs: bool,
    /// Where it goes on; `None` when it is through.
    place: Option<Place>,
    /// Pages of the file, as the last of the commits at its end has found them, and how many commits have found as many.
    page_count: u64,
    unchanged: u32,
}

/// A place in one of the trees, in the order of the walk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    tree: TreeName,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TreeName {
    Catalog,
    Table(TableId, Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Items,
    History,
}

/// What a step has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing, and there is nothing to do.
    Done,
    /// Nothing that has to be committed.
    Looked,
    /// Something that has to be committed.
    Changed,
}

impl Walk {
    fn new(ceiling: u64, runs: bool) -> Walk {
        let place = Place { tree: TreeName::Catalog, key: Vec::new() };
        Walk { ceiling, runs, place: Some(place), page_count: u64::MAX, unchanged: 0 }
    }
}

impl WriteTxn<'_> {
    /// A step of a transaction that does nothing else.
    pub(crate) fn move_down_step(&mut self) -> Result<Progress> {
        let Some(mut walk) = self.walk_to_go_on_with() else { return Ok(Progress::Done) };
        self.batch.move_down(walk.ceiling);
        let progress = match walk.place.take() {
            Some(place) => {
                let (next, progress) = self.attempt(|txn| txn.walk_on(&walk, place))?;
                walk.place = next;
                progress
            }
            None => {
                let page_count = self.shared.pager.stats().page_count;
                walk.unchanged = if page_count < walk.page_count { 0 } else { walk.unchanged + 1 };
                walk.page_count = page_count;
                Progress::Changed
            }
        };
        self.shared.descent.lock().walk = Some(walk);
        Ok(progress)
    }

    /// The walk that is under way, or one that is worth beginning.
    fn walk_to_go_on_with(&mut self) -> Option<Walk> {
        let mut descent = self.shared.descent.lock();
        let is_through = |walk: &Walk| walk.place.is_none() && walk.unchanged == UNCHANGED;
        let last = match descent.walk.take() {
            Some(walk) if !is_through(&walk) => return Some(walk),
            last => last,
        };
        let ceiling = self.batch.ceiling()?;
        match last {
            Some(Walk { runs: false, .. }) => return Some(Walk::new(ceiling, true)),
            Some(Walk { runs: true, .. }) => {
                descent.futile = Some((self.shared.pager.stats().page_count, ceiling, 0));
                return None;
            }
            None => {}
        }
        if let Some((page_count, futile, passed)) = &mut descent.futile {
            *passed += 1;
            let is_near = |now: u64, then: u64| now.abs_diff(then) <= then / CHANGED;
            let is_as_before = is_near(self.shared.pager.stats().page_count, *page_count);
            if is_as_before && is_near(ceiling, *futile) && *passed < TRIED_AGAIN {
                return None;
            }
            descent.futile = None;
        }
        Some(Walk::new(ceiling, false))
    }

    /// Moves pages from a place on. Returns the next place.
    fn walk_on(&mut self, walk: &Walk, place: Place) -> Result<(Option<Place>, Progress)> {
        let leaves_left = if walk.runs { LEAVES_READ } else { LEAVES_PASSED };
        let mut moving = MoveDown {
            ceiling: walk.ceiling,
            runs: walk.runs,
            pages_left: MOVED_PAGES,
            leaves_left,
            runs_stay: false,
        };
        let trees = self.trees()?;
        let mut next = Some(place);
        while let Some(place) = next.take()
            && !moving.is_spent()
        {
            // It may be gone by now; then it goes on with the one behind it.
            let at = trees.partition_point(|tree| *tree < place.tree);
            let Some(&tree) = trees.get(at) else { break };
            let from = if tree == place.tree { place.key } else { Vec::new() };
            next = match self.move_tree_down(tree, &from, &mut moving)? {
                Some(key) => Some(Place { tree, key }),
                None => trees.get(at + 1).map(|tree| Place { tree: *tree, key: Vec::new() }),
            };
            if moving.is_spent() {
                break;
            }
        }
        let progress = if moving.pages_left < MOVED_PAGES { Progress::Changed } else { Progress::Looked };
        Ok((next, progress))
    }

    /// All trees, in the order of the walk.
    fn trees(&mut self) -> Result<Vec<TreeName>> {
        let tables = self.catalog.tables(&mut self.batch)?;
        let of_table = |(table, _)| [Part::Items, Part::History].map(|part| TreeName::Table(table, part));
        Ok([TreeName::Catalog].into_iter().chain(tables.into_iter().flat_map(of_table)).collect())
    }

    fn move_tree_down(
        &mut self,
        tree: TreeName,
        from: &[u8],
        moving: &mut MoveDown,
    ) -> Result<Option<Vec<u8>>> {
        let TreeName::Table(table, part) = tree else {
            return self.catalog.move_down(&mut self.batch, from, moving);
        };
        let mut record = self.record(table)?;
        let before = record;
        let tree = match part {
            Part::Items => &mut record.tree,
            Part::History => &mut record.history,
        };
        let next = tree.move_down(&mut self.batch, from, moving)?;
        if record != before {
            self.set_table(table, record);
        }
        Ok(next)
    }
}
