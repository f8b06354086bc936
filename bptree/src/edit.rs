//! A change of a tree under way: the path from the root to a leaf, and how its pages become writable.
//!
//! A change reads its way down first, so that nothing is copied if nothing changes. Then it makes the leaf writable and points
//! the parent there, if the leaf moved, which makes the parent writable, and so on up to the first page that did not move.

use dynamite_pager::{Access, PagePtr, WriteBatch};

use crate::error::{Malformed, Result};
use crate::node::{KEY_KEPT, LEVEL_MAX, Node};
use crate::node_mut::NodeMut;
use crate::pages::{Pages, with_node};
use crate::search::{Position, child_of, search, search_any};
use crate::tree::Tree;

/// A change of a tree under way.
pub(crate) struct Edit<'a, 'w> {
    /// The tree as it will be.
    pub(crate) tree: Tree,
    pub(crate) batch: &'a mut WriteBatch<'w>,
    /// From the root to the leaf. What is above a page that is being split or merged stays valid, what is below need not.
    pub(crate) path: Vec<Step>,
}

/// A page on the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) ptr: PagePtr,
    /// The slot that the path goes through.
    pub(crate) slot: usize,
    /// Slots of the page.
    pub(crate) count: usize,
}

impl<'a, 'w> Edit<'a, 'w> {
    pub(crate) fn new(tree: Tree, batch: &'a mut WriteBatch<'w>) -> Edit<'a, 'w> {
        Edit { tree, batch, path: Vec::with_capacity(usize::from(tree.level.min(LEVEL_MAX)) + 1) }
    }

    /// Goes from the root, which there must be, to the leaf that a key belongs to.
    pub(crate) fn descend(&mut self, key: &[u8]) -> Result<Position> {
        // In one look at each page, unless the key may tie.
        let is_long = key.len() > KEY_KEPT;
        self.descend_by(
            0,
            |batch, ptr, level| match is_long {
                true => search_any(batch, ptr, level, Access::Point, key).map(Some),
                false => Ok(None),
            },
            |node| search(node, key),
        )
    }

    /// Goes from the root to the parent of the leaf that a key belongs to, or to the root if that is the leaf.
    pub(crate) fn descend_to_parent(&mut self, key: &[u8]) -> Result<()> {
        let lowest = self.tree.level.min(1);
        self.descend_by(
            lowest,
            |batch, ptr, level| search_any(batch, ptr, level, Access::Point, key).map(Some),
            |_| Err(0),
        )
        .map(drop)
    }

    /// Goes from the root to the first leaf.
    pub(crate) fn descend_to_first(&mut self) -> Result<Position> {
        self.descend_by(0, |_, _, _| Ok(None), |node| if node.is_leaf() { Ok(0) } else { Err(1) })
    }

    fn descend_by(
        &mut self,
        lowest: u8,
        mut find_long: impl FnMut(&mut WriteBatch<'w>, PagePtr, u8) -> Result<Option<Position>>,
        find: impl Fn(Node<'_>) -> Position,
    ) -> Result<Position> {
        let mut ptr = self.tree.root.expect("the caller has seen a root");
        if self.tree.level > LEVEL_MAX {
            let why = Malformed::Depth { levels: self.tree.level };
            return Err(Pages::malformed(self.batch, ptr.id, why).into());
        }
        self.path.clear();
        for level in (lowest..=self.tree.level).rev() {
            let found = find_long(self.batch, ptr, level)?;
            let (position, step, child) = with_node(self.batch, ptr, level, Access::Point, |node| {
                let position = found.unwrap_or_else(|| find(node));
                let slot = if level > 0 { child_of(position) } else { position.unwrap_or_else(|slot| slot) };
                let step = Step { ptr, slot, count: node.len() };
                (position, step, (level > 0).then(|| node.child(slot)))
            })?;
            self.path.push(step);
            match child {
                Some(child) if level > lowest => ptr = child,
                _ => return Ok(position),
            }
        }
        unreachable!("the lowest level ends the loop")
    }

    /// The level of a page of the path.
    pub(crate) fn level(&self, depth: usize) -> u8 {
        self.tree.level - depth as u8
    }

    /// Where the leaf of the path is in it.
    pub(crate) fn leaf_depth(&self) -> usize {
        self.path.len() - 1
    }

    /// Makes a page of the path writable, and all above it that have to point to it anew.
    pub(crate) fn writable(&mut self, depth: usize) -> Result<PagePtr> {
        let old = self.path[depth].ptr;
        let new = self.batch.writable(old, self.tree.placement(self.level(depth)))?;
        if new != old {
            self.path[depth].ptr = new;
            match depth.checked_sub(1) {
                None => self.tree.root = Some(new),
                Some(parent) => {
                    let ptr = self.writable(parent)?;
                    let slot = self.path[parent].slot;
                    NodeMut(self.batch.page_mut(ptr)).set_child(slot, new);
                }
            }
        }
        Ok(new)
    }

    /// Whether the path goes through the last child everywhere above a page.
    pub(crate) fn is_rightmost(&self, depth: usize) -> bool {
        self.path[..depth].iter().all(|step| step.slot + 1 == step.count)
    }

    /// Whether the path goes through the first child everywhere above a page.
    pub(crate) fn is_leftmost(&self, depth: usize) -> bool {
        self.path[..depth].iter().all(|step| step.slot == 0)
    }
}
