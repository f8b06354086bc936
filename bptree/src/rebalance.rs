//! Pages that hold too much or too little: sharing with a sibling, splitting, merging, and what that means for the parent.
//!
//! A page that overflows first shares with the emptier of its neighbours under the same parent; if they are full too, two pages
//! become three. So pages of a randomly loaded tree are some 80 % full, where halving leaves them at 69 %. At the
//! edges of the tree, where keys arrive in order, the new entry gets a page of its own, and the full page stays full.
//!
//! A page below 60 % merges with a neighbour if both fit in one page, or with both of them if the three fit in two; below 40 % it evens
//! out with one otherwise. So pages of a tree from which most is deleted at random are some 75 % full, where merging two into one
//! alone leaves them at 57 %, and a scan reads as many more of them.
//!
//! All cuts are by bytes, and by the exact sizes of the pages that come out: so whatever the mixture of sizes, and however
//! a key changes the common prefix, enough pages are made for everything to fit.

use dynamite_pager::{Access, PagePtr};

use crate::check::may_precede;
use crate::edit::Edit;
use crate::error::{Malformed, Result};
use crate::items::{Items, Piece};
use crate::node::{CAPACITY, INNER, KEY_KEPT, LEAF, LEVEL_MAX, Node};
use crate::node_mut::{NodeMut, Payload};
use crate::pages::{Pages, with_node};
use crate::separator::{OwnedKey, between};

/// Bytes below which a page merges with its neighbours, if that saves a page.
const SPARSE: usize = CAPACITY * 3 / 5;
/// Bytes below which a page takes from a neighbour if they do not merge.
const LEAST: usize = CAPACITY * 2 / 5;
/// Bytes up to which two pages become one: less than a page, or else the next insertion splits it again.
const MERGED_MOST: usize = CAPACITY * 19 / 20;
/// Bytes of each page up to which three pages become two: what that leaves to be inserted and to be deleted before the next change of
/// their number is about the same.
const GATHERED_MOST: usize = CAPACITY * 9 / 10;
/// Bytes of each page up to which two pages share rather than become three.
const SHARED_MOST: usize = CAPACITY * 92 / 100;

/// What happened to the items of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Grew,
    /// The first item is new, and the page is the first of its level.
    GrewAtLeftEdge,
    /// The last items are new, and the page is the last of its level.
    GrewAtRightEdge,
}

/// A neighbour under the same parent.
#[derive(Clone, Copy, Debug)]
struct Sibling {
    ptr: PagePtr,
    /// Its slot in the parent.
    slot: usize,
    used: usize,
}

/// A page to be put under a parent; the separator is that of the page and its left neighbour.
struct Child {
    separator: Option<OwnedKey>,
    ptr: PagePtr,
}

impl Edit<'_, '_> {
    /// Sees to a writable page from which something was taken: it may be empty or have too little in it, and the root may
    /// be superfluous.
    pub(crate) fn refill(&mut self, depth: usize) -> Result<()> {
        let ptr = self.path[depth].ptr;
        let node = Node::of(self.batch.page_mut(ptr));
        if node.len() == 0 {
            return self.drop_page(depth);
        }
        let used = node.used();
        if depth == 0 {
            self.collapse()
        } else if self.path[depth - 1].count > 1 && used < SPARSE {
            self.gather(depth, used)
        } else {
            Ok(())
        }
    }

    /// Merges a sparse page with its neighbours if that saves a page, else sees to it that it has enough in it.
    fn gather(&mut self, depth: usize, used: usize) -> Result<()> {
        let neighbours = self.neighbours(depth)?;
        let emptier = emptier(&neighbours);
        let both = used + emptier.used;
        let all = used + neighbours.iter().map(|one| one.used).sum::<usize>();
        let (company, count) = if both <= MERGED_MOST {
            (&[emptier][..], 1)
        } else if neighbours.len() == 2 && all <= 2 * GATHERED_MOST {
            (&neighbours[..], 2)
        } else if used < LEAST {
            (&[emptier][..], pages_for(both))
        } else {
            return Ok(());
        };
        let items = Items::of(Node::of(self.batch.page_mut(self.path[depth].ptr)));
        self.share(depth, items, company, count)
    }

    /// Makes `items` the contents of a page of the path, taking more pages if they need them.
    pub(crate) fn store(&mut self, depth: usize, items: Items, change: Change) -> Result<()> {
        let whole = items.whole();
        if whole.size <= CAPACITY {
            let ptr = self.writable(depth)?;
            items.lay_out(&whole, self.batch.page_mut(ptr));
            return if depth == 0 { self.collapse() } else { Ok(()) };
        }
        let own = self.path[depth].ptr;
        let parent = depth.checked_sub(1).map(|parent| self.path[parent]);
        let slot = parent.map_or(0, |parent| parent.slot);
        let at_edge = match change {
            Change::GrewAtLeftEdge => vec![items.piece(0..1), items.piece(1..items.len())],
            Change::GrewAtRightEdge => items.fill(),
            Change::Grew => Vec::new(),
        };
        if !at_edge.is_empty() && at_edge.iter().all(|piece| piece.size <= CAPACITY) {
            return self.lay_out(depth, &items, &at_edge, &[own], slot);
        }
        if parent.is_none_or(|parent| parent.count == 1) {
            return self.lay_out(depth, &items, &items.cut(pages_for(whole.size)), &[own], slot);
        }
        let sibling = emptier(&self.neighbours(depth)?);
        self.share(depth, items, &[sibling], pages_for(whole.size + sibling.used))
    }

    /// Puts the items of a page and of some of its neighbours into `count` pages, or more if they do not fit.
    fn share(&mut self, depth: usize, mut items: Items, company: &[Sibling], count: usize) -> Result<()> {
        let mut old = vec![(self.path[depth - 1].slot, self.path[depth].ptr)];
        for sibling in company {
            self.join(depth, &mut items, *sibling)?;
            old.push((sibling.slot, sibling.ptr));
        }
        old.sort_unstable_by_key(|(slot, _)| *slot);
        let (slot, _) = old[0];
        let old: Vec<PagePtr> = old.into_iter().map(|(_, ptr)| ptr).collect();
        self.lay_out(depth, &items, &items.cut(count), &old, slot)
    }

    /// The one or two neighbours of a page under the same parent, which has more than one child.
    fn neighbours(&mut self, depth: usize) -> Result<Vec<Sibling>> {
        let level = self.level(depth);
        let parent = self.path[depth - 1];
        let slots = [parent.slot.checked_sub(1), Some(parent.slot + 1)];
        let mut neighbours = Vec::with_capacity(2);
        for slot in slots.into_iter().flatten().filter(|slot| *slot < parent.count) {
            let ptr = with_node(self.batch, parent.ptr, level + 1, Access::Point, |node| node.child(slot))?;
            let used = with_node(self.batch, ptr, level, Access::Point, |node| node.used())?;
            neighbours.push(Sibling { ptr, slot, used });
        }
        Ok(neighbours)
    }

    /// Adds the items of a page's neighbour, in order. The separator between them goes: to the items, or away.
    fn join(&mut self, depth: usize, items: &mut Items, sibling: Sibling) -> Result<()> {
        let level = self.level(depth);
        let parent = self.path[depth - 1];
        let separator = {
            let slot = sibling.slot.max(parent.slot);
            with_node(self.batch, parent.ptr, level + 1, Access::Point, |node| OwnedKey {
                bytes: node.stored_key(slot),
                run: node.key_run(slot),
            })?
        };
        let own = items.len();
        let junction = with_node(self.batch, sibling.ptr, level, Access::Point, |node| {
            if sibling.slot < parent.slot {
                items.prepend(node);
                node.len()
            } else {
                items.append(node);
                own
            }
        })?;
        if level > 0 {
            items.set_key(junction, separator.as_ref());
        } else if let Some(run) = separator.run {
            run.free(self.batch)?;
        }
        if !items.in_order(junction) || !items.in_order(junction + 1) {
            let why = Malformed::SiblingOrder { neighbour: sibling.ptr.id.0 };
            return Err(Pages::malformed(self.batch, parent.ptr.id, why).into());
        }
        Ok(())
    }

    /// Puts pieces into the places of the pages `old`, whose first is at `slot` of the parent.
    pub(crate) fn lay_out(
        &mut self,
        depth: usize,
        items: &Items,
        pieces: &[Piece],
        old: &[PagePtr],
        slot: usize,
    ) -> Result<()> {
        let level = self.level(depth);
        let kind = if level == 0 { LEAF } else { INNER };
        let mut children = Vec::with_capacity(pieces.len());
        for (nth, piece) in pieces.iter().enumerate() {
            let ptr = match old.get(nth) {
                Some(old) => self.batch.writable(*old, self.tree.placement(level))?,
                None => self.batch.allocate(kind, level, self.tree.placement(level))?,
            };
            items.lay_out(piece, self.batch.page_mut(ptr));
            let at = piece.items.start;
            let separator = match at {
                0 => None,
                _ if items.is_leaf() => Some(between(self.batch, items, at)?),
                _ => Some(items.key(at).to_owned()),
            };
            children.push(Child { separator, ptr });
        }
        for superfluous in old.iter().skip(pieces.len()) {
            self.batch.free(*superfluous)?;
        }
        match depth.checked_sub(1) {
            Some(parent) => self.replace_children(parent, slot, old.len(), &children),
            None => self.replace_root(&children),
        }
    }

    /// Makes the pages into which the root was cut the children of a new root.
    fn replace_root(&mut self, children: &[Child]) -> Result<()> {
        let level = self.tree.level + 1;
        if level > LEVEL_MAX {
            let why = Malformed::Depth { levels: level };
            return Err(Pages::malformed(self.batch, children[0].ptr.id, why).into());
        }
        let mut items = Items::new(false);
        for child in children {
            items.push_child(child.separator.as_ref(), child.ptr);
        }
        let root = self.batch.allocate(INNER, level, self.tree.placement(level))?;
        items.lay_out(&items.whole(), self.batch.page_mut(root));
        (self.tree.root, self.tree.level) = (Some(root), level);
        Ok(())
    }

    /// Puts `children` into the places of `removed` children of a page of the path, from slot `slot` on. The first takes over
    /// the separator that stands there; those of the others that go have been taken care of.
    fn replace_children(
        &mut self,
        depth: usize,
        slot: usize,
        removed: usize,
        children: &[Child],
    ) -> Result<()> {
        let ptr = self.writable(depth)?;
        let mut node = NodeMut(self.batch.page_mut(ptr));
        for _ in 1..removed {
            node.remove(slot + 1);
        }
        node.set_child(slot, children[0].ptr);
        for (nth, child) in children.iter().enumerate().skip(1) {
            let at = slot + nth;
            let separator = child.separator.as_ref().expect("all but the first have one");
            if !fits_between(node.node(), at, separator) {
                let why = Malformed::SeparatorOrder { slot: at };
                return Err(Pages::malformed(self.batch, ptr.id, why).into());
            }
            let bytes = child.ptr.to_bytes();
            if !node.insert(at, separator.as_ref(), Payload { bytes: &bytes, spilled: false }) {
                let mut items = Items::of(node.node());
                for (nth, child) in children.iter().enumerate().skip(nth) {
                    items.insert_child(slot + nth, child.separator.as_ref(), child.ptr);
                    if !items.in_order(slot + nth) || !items.in_order(slot + nth + 1) {
                        let why = Malformed::SeparatorOrder { slot: slot + nth };
                        return Err(Pages::malformed(self.batch, ptr.id, why).into());
                    }
                }
                let is_last = slot + children.len() == items.len();
                let change = if removed == 1 && is_last && self.is_rightmost(depth) {
                    Change::GrewAtRightEdge
                } else if removed == 1 && children.len() == 2 && at == 1 && self.is_leftmost(depth) {
                    Change::GrewAtLeftEdge
                } else {
                    Change::Grew
                };
                return self.store(depth, items, change);
            }
        }
        if children.len() < removed { self.refill(depth) } else { Ok(()) }
    }

    /// Takes an empty page out of the tree.
    pub(crate) fn drop_page(&mut self, depth: usize) -> Result<()> {
        self.batch.free(self.path[depth].ptr)?;
        let Some(depth) = depth.checked_sub(1) else {
            (self.tree.root, self.tree.level) = (None, 0);
            return Ok(());
        };
        let slot = self.path[depth].slot;
        let ptr = self.writable(depth)?;
        let node = Node::of(self.batch.page_mut(ptr));
        // The separator before the page goes, or if it is the first, the one behind it.
        let dropped = slot.max(1);
        let run = if dropped < node.len() { node.key_run(dropped) } else { None };
        NodeMut(self.batch.page_mut(ptr)).remove_child(slot);
        self.refill(depth)?;
        // Last, see `remove_at`.
        run.map_or(Ok(()), |run| run.free(self.batch))
    }

    /// Takes roots away that have one child only.
    fn collapse(&mut self) -> Result<()> {
        while let Some(root) = self.tree.root
            && self.tree.level > 0
        {
            let level = self.tree.level;
            let only = with_node(self.batch, root, level, Access::Point, |node| {
                (node.len() == 1).then(|| node.child(0))
            })?;
            let Some(only) = only else { break };
            self.batch.free(root)?;
            (self.tree.root, self.tree.level) = (Some(only), level - 1);
        }
        Ok(())
    }
}

/// That of the neighbours which has most room.
fn emptier(neighbours: &[Sibling]) -> Sibling {
    *neighbours.iter().min_by_key(|one| one.used).expect("the parent has more than one child")
}

/// Into how many pages so many bytes go.
pub(crate) fn pages_for(size: usize) -> usize {
    if size <= MERGED_MOST { 1 } else { size.div_ceil(SHARED_MOST).max(2) }
}

/// Whether a separator may stand before slot `at`, as far as stored keys can tell.
fn fits_between(node: Node<'_>, at: usize, separator: &OwnedKey) -> bool {
    let spilled = |slot| node.key_run(slot).is_some();
    let fits_left =
        at <= 1 || may_precede(&node.stored_key(at - 1), &separator.bytes, separator.run.is_some(), KEY_KEPT);
    let fits_right =
        at >= node.len() || may_precede(&separator.bytes, &node.stored_key(at), spilled(at), KEY_KEPT);
    fits_left && fits_right
}
