//! A tree, as its owner sees it.

use dynamite_pager::{Access, PageId, PagePtr, Placement, WriteBatch};

use crate::cursor::Cursor;
use crate::error::Result;
use crate::free_some::free_some;
use crate::insert::insert;
use crate::insert_many::insert_many;
use crate::move_down::{MoveDown, move_down};
use crate::multi_get::get_many;
use crate::node::{KEY_KEPT, Node};
use crate::pages::{Pages, with_node};
use crate::remove::remove;
use crate::search::{child_of, search, search_any};
use crate::value::{Displaced, NewValue, Value};

/// An ordered map of byte strings in pages. All that whoever owns a tree must store: 21 bytes on disk.
///
/// ```text
/// offset  size  field    meaning
/// ------  ----  -------  ----------------------------------------------
///      0    12  root     pointer to the root; all zero: the tree is empty
///     12     1  level    levels above the leaves
///     13     8  entries  how many
/// ```
///
/// A tree is a value: a change makes this one another tree, while copies of it still are what they were, as long as their pages
/// are kept by an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tree {
    pub(crate) root: Option<PagePtr>,
    pub(crate) level: u8,
    pub(crate) entries: u64,
    pub(crate) hot: bool,
}

impl Tree {
    /// The tree without entries, which has no pages either.
    pub const EMPTY: Tree = Tree { root: None, level: 0, entries: 0, hot: false };

    /// Bytes of a tree on disk.
    pub const SIZE: usize = 21;

    /// A tree whose parts are kept apart.
    pub fn from_parts(root: Option<PagePtr>, level: u8, entries: u64) -> Tree {
        Tree { root, level, entries, hot: false }
    }

    /// The same tree, for an owner that changes it in nearly every commit: all of its pages go where the commit writes in one piece. Not
    /// stored with the tree.
    pub fn hot(self) -> Tree {
        Tree { hot: true, ..self }
    }

    /// Where the pages of a level go. Most commits rewrite the few pages above level 1, so they are written in one piece, and
    /// the parents of leaves with them, as long as there is room; leaves fill the holes.
    pub(crate) fn placement(&self, level: u8) -> Placement {
        match level {
            0 if !self.hot => Placement::Hole,
            1 if !self.hot => Placement::Beside,
            _ => Placement::Together,
        }
    }

    /// The root page; none if the tree is empty.
    pub fn root(&self) -> Option<PagePtr> {
        self.root
    }

    /// Levels above the leaves.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The tree's form on disk.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        if let Some(root) = self.root {
            bytes[..12].copy_from_slice(&root.to_bytes());
        }
        bytes[12] = self.level;
        bytes[13..].copy_from_slice(&self.entries.to_le_bytes());
        bytes
    }

    /// Reads a tree from disk. Every bit pattern is taken; whether there is such a tree is checked when it is used.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Tree {
        let (root, rest) = bytes.split_first_chunk().expect("21 bytes");
        let root = (*root != [0; PagePtr::SIZE]).then(|| PagePtr::from_bytes(root));
        let entries = rest.last_chunk().expect("9 bytes");
        Tree { root, level: rest[0], entries: u64::from_le_bytes(*entries), hot: false }
    }

    /// The number of entries, exactly.
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of a key.
    ///
    /// Cost: one page touch a level, and one more of the leaf; no allocation for keys of up to 384 bytes. A longer key
    /// is compared with what else begins with the same 384 bytes, which reads runs.
    pub fn get<'p>(&self, pages: &'p mut impl Pages, key: &[u8]) -> Result<Option<Value<'p>>> {
        let Some(mut ptr) = self.root else { return Ok(None) };
        for level in (1..=self.level).rev() {
            ptr = child(pages, ptr, level, key)?;
        }
        match search_any(pages, ptr, 0, Access::Point, key)? {
            // Read again, since the checks above may need the pages for an error and so cannot lend them to a result.
            Ok(slot) => Ok(Some(Node::of(pages.read(ptr, Access::Point)?).value(slot))),
            Err(_) => Ok(None),
        }
    }

    /// Whether the search for a key comes by a page: whether the page is one of this tree's, if the key stands in it.
    pub fn passes(&self, pages: &mut impl Pages, key: &[u8], page: PageId) -> Result<bool> {
        let Some(mut ptr) = self.root else { return Ok(false) };
        for level in (1..=self.level).rev() {
            if ptr.id == page {
                return Ok(true);
            }
            ptr = child(pages, ptr, level, key)?;
        }
        Ok(ptr.id == page)
    }

    /// The values of many keys, in any order; `visit` gets the index of each key and its value, in any order. The first error
    /// ends it.
    ///
    /// Cost: the keys descend together, and what one level misses in the pool is read in one batch. Memory: some 40 bytes a key.
    pub fn get_many(
        &self,
        pages: &mut impl Pages,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<Value<'_>>) -> Result<()>,
    ) -> Result<()> {
        get_many(self, pages, keys, visit)
    }

    /// Inserts or replaces. The displaced value is handed to the caller, who from then on owns its overflow run: frees it,
    /// or stores it elsewhere. Ends the batch's operation (with a long value twice, see
    /// [`end_operation`](WriteBatch::end_operation)).
    ///
    /// # Errors
    ///
    /// [`TreeError::KeyTooLong`](crate::TreeError::KeyTooLong) and the like before anything is changed. After any other error
    /// the tree is what it was, but the batch is not: it is to be dropped.
    ///
    /// Cost: a path of pages is read and, unless the batch wrote them already, copied.
    pub fn insert(
        &mut self,
        batch: &mut WriteBatch<'_>,
        key: &[u8],
        value: NewValue<'_>,
    ) -> Result<Option<Displaced>> {
        insert(self, batch, key, &value)
    }

    /// Inserts entries that come in the order of their keys, up to the first that is there already; returns how many. Their values are
    /// a `head` that is the same for all, and a body each. Ends the batch's operation now and then.
    ///
    /// # Errors
    ///
    /// As [`insert`](Tree::insert), and [`TreeError::NotAscending`](crate::TreeError::NotAscending) before anything is changed.
    ///
    /// Cost: the pages of an [`insert`](Tree::insert), once for all entries of a leaf.
    pub fn insert_many(
        &mut self,
        batch: &mut WriteBatch<'_>,
        head: &[u8],
        rows: &[(&[u8], &[u8])],
    ) -> Result<usize> {
        insert_many(self, batch, head, rows)
    }

    /// Removes a key. For the displaced value, errors and cost see [`insert`](Tree::insert). If there is no such key nothing
    /// is copied.
    pub fn remove(&mut self, batch: &mut WriteBatch<'_>, key: &[u8]) -> Result<Option<Displaced>> {
        remove(self, batch, key)
    }

    /// Frees about `pages` pages (at least one, and never in the midst of a run) from the tree's left edge, entries, overflow
    /// runs and all; `true` when nothing is left. Whoever stores the tree after each step and commits has a valid tree with
    /// fewer entries in between. Ends the batch's operation.
    ///
    /// # Errors
    ///
    /// As [`insert`](Tree::insert).
    pub fn free_some(&mut self, batch: &mut WriteBatch<'_>, pages: u32) -> Result<bool> {
        free_some(self, batch, pages)
    }

    /// Copies pages that lie beyond a ceiling to lower places, from the leaf on that `from` belongs to, as many as `moving` allows. Returns
    /// the key to go on with; `None` at the end of the tree. Entries stay what they are. The batch has to
    /// [`move_down`](WriteBatch::move_down) itself. Ends the batch's operation.
    ///
    /// # Errors
    ///
    /// As [`insert`](Tree::insert).
    pub fn move_down(
        &mut self,
        batch: &mut WriteBatch<'_>,
        from: &[u8],
        moving: &mut MoveDown,
    ) -> Result<Option<Vec<u8>>> {
        move_down(self, batch, from, moving)
    }

    /// A cursor before the first entry. `access` says what its reads are for: [`Access::Scan`] for many entries in a row,
    /// which reads ahead and leaves what is hot in the pool alone.
    pub fn cursor<'p, P: Pages>(&self, pages: &'p mut P, access: Access) -> Cursor<'p, P> {
        Cursor::new(pages, *self, access)
    }
}

#[inline]
fn child(pages: &mut impl Pages, ptr: PagePtr, level: u8, key: &[u8]) -> Result<PagePtr> {
    if key.len() <= KEY_KEPT {
        return with_node(pages, ptr, level, Access::Point, |node| node.child(child_of(search(node, key))));
    }
    let slot = child_of(search_any(pages, ptr, level, Access::Point, key)?);
    with_node(pages, ptr, level, Access::Point, |node| node.child(slot))
}

#[cfg(test)]
mod tests {
    use dynamite_pager::Birth;

    use super::*;

    /// The file format is a promise.
    #[test]
    fn tree_bytes_are_the_documented_ones() {
        let root = PagePtr { id: PageId(0x0403_0201), birth: Birth(0x0c0b_0a09_0807_0605) };
        let tree = Tree::from_parts(Some(root), 13, 0x1514_1312_1110_0f0e);
        assert_eq!(tree.to_bytes(), std::array::from_fn(|index| index as u8 + 1));
        assert_eq!(Tree::from_bytes(&tree.to_bytes()), tree);
        assert_eq!(Tree::EMPTY.to_bytes(), [0; Tree::SIZE]);
        assert_eq!(Tree::from_bytes(&[0; Tree::SIZE]), Tree::EMPTY);
    }
}
