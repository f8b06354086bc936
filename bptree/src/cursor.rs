//! Cursors: entries in the order of their keys, either way.
//!
//! A cursor stands in a gap between two entries: [`next`](Cursor::next) gives the one behind the gap, [`prev`](Cursor::prev) the one
//! before it. So turning round gives the same entry again. It finds its place only when it is asked for an entry, and follows its path rather
//! than links between leaves, which in a copy-on-write tree would make each change copy the whole level.

use dynamite_pager::{Access, Page, PagePtr};

use crate::edit::Step;
use crate::error::Result;
use crate::node::Node;
use crate::overflow::Overflow;
use crate::pages::{Pages, with_node};
use crate::read_ahead::ReadAhead;
use crate::run_ahead::RunAhead;
use crate::search::{child_of, search_any};
use crate::tree::Tree;
use crate::value::Value;

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: Value<'a>,
}

/// A place in a tree. See [`Tree::cursor`].
///
/// An error leaves the cursor where it was.
#[derive(Debug)]
pub struct Cursor<'p, P> {
    pages: &'p mut P,
    tree: Tree,
    access: Access,
    place: Place,
    /// From the root to the leaf; the leaf's slot is the gap before that slot. Of meaning in `Place::Found`.
    path: Vec<Step>,
    /// Where a path is made before it replaces the old one.
    next_path: Vec<Step>,
    /// The key sought, or the key of the last entry.
    key: Vec<u8>,
    ahead: ReadAhead,
    runs_ahead: RunAhead,
}

/// Where a cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Last,
    /// Before the first entry that is not below `key`.
    Sought,
    Found,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

use Direction::{Backward, Forward};

impl<'p, P: Pages> Cursor<'p, P> {
    pub(crate) fn new(pages: &'p mut P, tree: Tree, access: Access) -> Cursor<'p, P> {
        Cursor {
            pages,
            tree,
            access,
            place: Place::First,
            path: Vec::new(),
            next_path: Vec::new(),
            key: Vec::new(),
            ahead: ReadAhead::default(),
            runs_ahead: RunAhead::default(),
        }
    }

    /// What the cursor reads from, for other reads in between. The cursor's place is not touched.
    pub fn pages(&mut self) -> &mut P {
        self.pages
    }

    /// Goes before the first entry. Costs nothing until the next step.
    pub fn seek_first(&mut self) {
        self.place = Place::First;
    }

    /// Goes behind the last entry. Costs nothing until the next step.
    pub fn seek_last(&mut self) {
        self.place = Place::Last;
    }

    /// Goes to where the key is or would be: `next` gives the first entry that is not below it, `prev` the last that is.
    /// Costs nothing until the next step.
    pub fn seek(&mut self, key: &[u8]) {
        self.place = Place::Sought;
        self.key.clear();
        self.key.extend_from_slice(key);
    }

    /// The entry behind the cursor, which moves behind that.
    ///
    /// Cost: a few page touches; [`next_rows`](Cursor::next_rows) spreads them over the entries of a leaf.
    #[allow(clippy::should_implement_trait, reason = "entries borrow from the cursor, and steps may fail")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        self.step(Forward)
    }

    /// The entry before the cursor, which moves before that.
    pub fn prev(&mut self) -> Result<Option<Entry<'_>>> {
        self.step(Backward)
    }

    /// The entries behind the cursor that are in the same leaf. The cursor stands behind the last one that was taken. `None` at
    /// the end of the tree.
    ///
    /// A key that is spilled is delivered alone: when a `Rows` is at its end, ask for the next one.
    ///
    /// Cost: two touches of a page.
    pub fn next_rows(&mut self) -> Result<Option<Rows<'_>>> {
        self.rows(Forward)
    }

    /// As [`next_rows`](Cursor::next_rows), backwards.
    pub fn prev_rows(&mut self) -> Result<Option<Rows<'_>>> {
        self.rows(Backward)
    }

    /// Asks for the pages of long values that stand behind the cursor to be read ahead, if the cursor is one of a scan. For whoever reads all
    /// values on the way up, and is about to read a long one.
    pub fn prefetch_runs(&mut self) {
        let Some(leaf) = self.path.last().filter(|_| self.access == Access::Scan) else { return };
        // It was read a moment ago; whoever goes on meets the error.
        let Ok(page) = self.pages.read(leaf.ptr, self.access) else { return };
        let wanted = self.runs_ahead.wanted(leaf.ptr, Node::of(page), leaf.slot);
        if !wanted.is_empty() {
            self.pages.prefetch(&wanted);
        }
    }

    fn step(&mut self, direction: Direction) -> Result<Option<Entry<'_>>> {
        let Some((ptr, slot)) = self.entry(direction)? else { return Ok(None) };
        let Cursor { pages, key, access, .. } = self;
        let run = with_node(*pages, ptr, 0, *access, |node| {
            key.clear();
            key.extend_from_slice(node.prefix());
            node.append_rest(slot, key);
            node.key_run(slot)
        })?;
        if let Some(run) = run {
            run.read(*pages, key)?;
        }
        let page = pages.read(ptr, *access)?;
        let leaf = self.path.last_mut().expect("a path has a leaf");
        leaf.slot = if direction == Forward { slot + 1 } else { slot };
        Ok(Some(Entry { key, value: Node::of(page).value(slot) }))
    }

    fn rows(&mut self, direction: Direction) -> Result<Option<Rows<'_>>> {
        let Some((ptr, slot)) = self.entry(direction)? else { return Ok(None) };
        let Cursor { pages, key, access, .. } = self;
        key.clear();
        let run = with_node(*pages, ptr, 0, *access, |node| {
            key.extend_from_slice(node.prefix());
            let run = node.key_part(slot).run.map(Overflow::from_bytes);
            if run.is_some() {
                node.append_rest(slot, key);
            }
            run
        })?;
        if let Some(run) = run {
            run.read(*pages, key)?;
        }
        let page = pages.read(ptr, *access)?;
        if *access == Access::Scan {
            load_lines(page);
        }
        let gap = &mut self.path.last_mut().expect("a path has a leaf").slot;
        Ok(Some(Rows { node: Node::of(page), gap, direction, key, alone: run.is_some(), done: false }))
    }

    /// The leaf and slot of the next entry in a direction, after which it moves the path to its leaf.
    fn entry(&mut self, direction: Direction) -> Result<Option<(PagePtr, usize)>> {
        let Some(root) = self.tree.root else { return Ok(None) };
        if self.place != Place::Found {
            self.find(root)?;
        }
        loop {
            let leaf = self.path.last().expect("a path has a leaf");
            match direction {
                Forward if leaf.slot < leaf.count => return Ok(Some((leaf.ptr, leaf.slot))),
                Backward if leaf.slot > 0 => return Ok(Some((leaf.ptr, leaf.slot - 1))),
                _ => {}
            }
            if !self.move_leaf(direction)? {
                return Ok(None);
            }
        }
    }

    /// Makes the path to where the cursor was sent.
    fn find(&mut self, root: PagePtr) -> Result<()> {
        self.next_path.clear();
        let mut ptr = root;
        for level in (0..=self.tree.level).rev() {
            let position = match self.place {
                Place::Sought => Some(search_any(self.pages, ptr, level, self.access, &self.key)?),
                _ => None,
            };
            let from_end = self.place == Place::Last;
            let (step, child) = with_node(self.pages, ptr, level, self.access, |node| {
                let slot = match position {
                    Some(position) if level > 0 => child_of(position),
                    Some(position) => position.unwrap_or_else(|slot| slot),
                    None => end_slot(node, from_end),
                };
                (Step { ptr, slot, count: node.len() }, (level > 0).then(|| node.child(slot)))
            })?;
            self.next_path.push(step);
            ptr = child.unwrap_or(ptr);
        }
        self.arrive();
        self.ahead = ReadAhead::default();
        Ok(())
    }

    /// Moves the path to the neighbouring leaf. `false` if there is none.
    fn move_leaf(&mut self, direction: Direction) -> Result<bool> {
        let inner = &self.path[..self.path.len() - 1];
        let Some(depth) = inner.iter().rposition(|step| step.can_move(direction)) else { return Ok(false) };
        self.next_path.clear();
        self.next_path.extend_from_slice(&self.path[..=depth]);
        self.next_path[depth].move_on(direction);
        for depth in depth..self.path.len() - 1 {
            let step = self.next_path[depth];
            let level = self.tree.level - depth as u8;
            if level == 1 && self.access == Access::Scan {
                let wanted = self.ahead.wanted(self.pages, &self.next_path, self.tree.level, direction);
                if !wanted.is_empty() {
                    self.pages.prefetch(wanted);
                }
            }
            let (ptr, from_end) = (step.ptr, direction == Backward);
            let child = with_node(self.pages, ptr, level, self.access, |node| node.child(step.slot))?;
            let step = with_node(self.pages, child, level - 1, self.access, |node| Step {
                ptr: child,
                slot: end_slot(node, from_end),
                count: node.len(),
            })?;
            self.next_path.push(step);
        }
        self.arrive();
        Ok(true)
    }

    fn arrive(&mut self) {
        std::mem::swap(&mut self.path, &mut self.next_path);
        self.place = Place::Found;
    }
}

/// Loads a byte of each cache line of a page that is about to be read from end to end: rows stand in it in any order, so the
/// processor would wait for one after the other, where it can wait for a dozen at a time.
#[inline]
fn load_lines(page: &Page) {
    const CACHE_LINE: usize = 64;
    std::hint::black_box(page.bytes().iter().step_by(CACHE_LINE).fold(0, |all, byte| all ^ byte));
}

/// The slot with which a node is entered from one of its ends; of a leaf, the gap.
pub(crate) fn end_slot(node: Node<'_>, from_end: bool) -> usize {
    match (from_end, node.is_leaf()) {
        (false, _) => 0,
        (true, true) => node.len(),
        (true, false) => node.len() - 1,
    }
}

/// The rest of a leaf, see [`Cursor::next_rows`].
pub struct Rows<'a> {
    node: Node<'a>,
    /// The cursor's place in the leaf.
    gap: &'a mut usize,
    direction: Direction,
    /// Begins with the page's prefix, or is the whole key of the one row there is.
    key: &'a mut Vec<u8>,
    /// The key is whole already, and this is the only row.
    alone: bool,
    done: bool,
}

impl Rows<'_> {
    /// The next entry of the leaf. (Not an iterator: each entry borrows the place where its key is put together.)
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "entries borrow from it")]
    pub fn next(&mut self) -> Option<Entry<'_>> {
        let slot = match self.direction {
            Forward if *self.gap < self.node.len() => *self.gap,
            Backward if *self.gap > 0 => *self.gap - 1,
            _ => return None,
        };
        if self.alone {
            if std::mem::replace(&mut self.done, true) {
                return None;
            }
        } else {
            if self.node.key_part(slot).run.is_some() {
                return None;
            }
            self.key.truncate(self.node.prefix().len());
            self.node.append_rest(slot, self.key);
        }
        *self.gap = if self.direction == Forward { slot + 1 } else { slot };
        Some(Entry { key: self.key, value: self.node.value(slot) })
    }
}

impl Step {
    /// Whether the page has a child beyond this one.
    pub(crate) fn can_move(&self, direction: Direction) -> bool {
        match direction {
            Forward => self.slot + 1 < self.count,
            Backward => self.slot > 0,
        }
    }

    /// The slot beyond this one, which there is.
    pub(crate) fn neighbour(&self, direction: Direction) -> usize {
        if direction == Forward { self.slot + 1 } else { self.slot - 1 }
    }

    pub(crate) fn move_on(&mut self, direction: Direction) {
        self.slot = self.neighbour(direction);
    }
}
