//! Moving a tree's pages to lower places in the file, in bounded steps, each of which leaves a valid tree with the same entries.
//!
//! The walk is in the order of the keys, so that a step needs to know nothing but the key where the last one ended: whatever
//! happened to the tree in between, it goes on from there. It reads the pages above the leaves only, since these say where the
//! leaves are. Where runs are is said in the leaves; for them all leaves have to be read, which is why that is asked for
//! separately.

use dynamite_pager::{Access, PagePtr, WriteBatch};

use crate::edit::{Edit, Step};
use crate::error::Result;
use crate::node_mut::NodeMut;
use crate::overflow::Overflow;
use crate::pages::with_node;
use crate::tree::Tree;
use crate::value::Value;

/// Leaves that are moved, or looked at, between two ends of the batch's operation: their frames are held meanwhile.
const AT_ONCE: usize = 16;

/// What is moved, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveDown {
    /// Pages at or beyond this page count are moved.
    pub ceiling: u64,
    /// Whether runs are moved, and so all leaves read; else only the pages of the tree itself.
    pub runs: bool,
    /// How many more pages may be moved. A run that has been begun is moved as a whole.
    pub pages_left: u32,
    /// How many more leaves may be looked at, or looked for in their parents.
    pub leaves_left: u32,
    /// A run has found no place below the ceiling, so no others are tried.
    pub runs_stay: bool,
}

impl MoveDown {
    /// Nothing more may be done.
    pub fn is_spent(&self) -> bool {
        self.pages_left == 0 || self.leaves_left == 0
    }

    fn is_beyond(&self, ptr: PagePtr) -> bool {
        u64::from(ptr.id.0) >= self.ceiling
    }

    fn count_pages(&mut self, pages: u32) {
        self.pages_left = self.pages_left.saturating_sub(pages);
    }
}

pub(crate) fn move_down(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    from: &[u8],
    moving: &mut MoveDown,
) -> Result<Option<Vec<u8>>> {
    let mut from = from.to_vec();
    while tree.root.is_some() {
        let mut edit = Edit::new(*tree, batch);
        let went_on = edit.move_some(&from, moving)?;
        *tree = edit.tree;
        batch.end_operation()?;
        match went_on {
            WentOn::NotYet => return Ok(Some(from)),
            // In a tree whose separators are out of order it might go round in circles.
            WentOn::To(next) if next > from => from = next,
            WentOn::To(_) | WentOn::AtEnd => return Ok(None),
        }
        if moving.is_spent() {
            return Ok(Some(from));
        }
    }
    Ok(None)
}

/// Where a part of a walk has ended.
enum WentOn {
    /// In the midst of a leaf.
    NotYet,
    /// In front of the leaf that this key belongs to.
    To(Vec<u8>),
    AtEnd,
}

/// A run that was moved, and the slot that it belongs to.
#[derive(Clone, Copy, Debug)]
struct Moved {
    slot: usize,
    of_key: bool,
    run: Overflow,
}

impl Edit<'_, '_> {
    /// Moves the path to the leaf that a key belongs to, then this leaf and some that follow it under the same parent.
    fn move_some(&mut self, from: &[u8], moving: &mut MoveDown) -> Result<WentOn> {
        self.descend_to_parent(from)?;
        if self.tree.level == 0 {
            let root = self.path[0].ptr;
            let (moved, is_whole) = self.move_leaf(root, moving)?;
            self.tree.root = Some(moved);
            return Ok(if is_whole { WentOn::AtEnd } else { WentOn::NotYet });
        }
        if moving.runs {
            self.move_separators(moving)?;
        }
        let parent = self.path.len() - 1;
        for depth in 0..=parent {
            if moving.is_beyond(self.path[depth].ptr) {
                moving.count_pages(1);
                self.writable(depth)?;
            }
        }
        let step = self.path[parent];
        let end = step.count.min(step.slot + if moving.runs { 1 } else { AT_ONCE });
        for slot in step.slot..end {
            let ptr = self.path[parent].ptr;
            let child = with_node(self.batch, ptr, 1, Access::Point, |node| node.child(slot))?;
            moving.leaves_left = moving.leaves_left.saturating_sub(1);
            let (moved, is_whole) = self.move_leaf(child, moving)?;
            if moved != child {
                let ptr = self.writable(parent)?;
                NodeMut(self.batch.page_mut(ptr)).set_child(slot, moved);
            }
            if !is_whole {
                return Ok(WentOn::NotYet);
            }
        }
        self.first_key_from(end)
    }

    /// Moves a leaf, and if so wanted its runs. Returns where it is now, and whether all of its runs were looked at.
    fn move_leaf(&mut self, leaf: PagePtr, moving: &mut MoveDown) -> Result<(PagePtr, bool)> {
        let (runs, is_whole) = if moving.runs { self.move_runs(leaf, moving)? } else { (Vec::new(), true) };
        if runs.is_empty() && !moving.is_beyond(leaf) {
            return Ok((leaf, is_whole));
        }
        moving.count_pages(1);
        let ptr = self.batch.writable(leaf, self.tree.placement(0))?;
        let mut node = NodeMut(self.batch.page_mut(ptr));
        for Moved { slot, of_key, run } in runs {
            if of_key { node.set_key_run(slot, run) } else { node.set_value_run(slot, run) }
        }
        Ok((ptr, is_whole))
    }

    /// Moves the runs of a leaf, as many as may be moved. The leaf stays as it is.
    fn move_runs(&mut self, leaf: PagePtr, moving: &mut MoveDown) -> Result<(Vec<Moved>, bool)> {
        let runs: Vec<Moved> = with_node(self.batch, leaf, 0, Access::Scan, |node| {
            let of_slot = |slot| {
                let of_value = match node.value(slot) {
                    Value::Spilled { run, .. } => Some(run),
                    Value::Inline(_) => None,
                };
                let of_key = node.key_run(slot).map(|run| Moved { slot, of_key: true, run });
                of_key.into_iter().chain(of_value.map(|run| Moved { slot, of_key: false, run }))
            };
            (0..node.len()).flat_map(of_slot).collect()
        })?;
        let mut moved = Vec::new();
        for found in runs {
            if moving.runs_stay || !found.run.is_beyond(self.batch, moving.ceiling)? {
                continue;
            }
            if moving.pages_left == 0 {
                return Ok((moved, false));
            }
            moved.push(Moved { run: self.move_run(found.run, moving)?, ..found });
        }
        Ok((moved, true))
    }

    /// Moves the runs of the separators that the path goes by.
    fn move_separators(&mut self, moving: &mut MoveDown) -> Result<()> {
        for depth in 0..self.path.len() {
            let Step { ptr, slot, .. } = self.path[depth];
            let run =
                with_node(self.batch, ptr, self.level(depth), Access::Point, |node| node.key_run(slot))?;
            if let Some(run) = run
                && !moving.runs_stay
                && run.is_beyond(self.batch, moving.ceiling)?
            {
                let moved = self.move_run(run, moving)?;
                let ptr = self.writable(depth)?;
                NodeMut(self.batch.page_mut(ptr)).set_key_run(slot, moved);
            }
        }
        Ok(())
    }

    fn move_run(&mut self, run: Overflow, moving: &mut MoveDown) -> Result<Overflow> {
        moving.count_pages(run.page_count() + u32::from(run.is_listed()));
        let moved = run.move_elsewhere(self.batch)?;
        moving.runs_stay = moved.is_beyond(self.batch, moving.ceiling)?;
        Ok(moved)
    }

    /// The first key of the leaf in a slot of the last page of the path, or behind that page.
    fn first_key_from(&mut self, slot: usize) -> Result<WentOn> {
        let parent = self.path.len() - 1;
        let next_slot =
            |(depth, step): (usize, &Step)| (depth, if depth == parent { slot } else { step.slot + 1 });
        let found = self
            .path
            .iter()
            .enumerate()
            .rev()
            .map(next_slot)
            .find(|(depth, slot)| *slot < self.path[*depth].count);
        let Some((depth, slot)) = found else { return Ok(WentOn::AtEnd) };
        let (ptr, level) = (self.path[depth].ptr, self.level(depth));
        let (mut key, run) = with_node(self.batch, ptr, level, Access::Point, |node| {
            (node.stored_key(slot), node.key_run(slot))
        })?;
        if let Some(run) = run {
            run.read(self.batch, &mut key)?;
        }
        Ok(WentOn::To(key))
    }
}
