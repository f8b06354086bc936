//! Where a tree's pages are read: the one trait that readers and the writer share, and the checks at each visit.

use dynamite_pager::{Access, Operation, Page, PageId, PagePtr, PagerError, WriteBatch};

use crate::error::{Malformed, Result};
use crate::node::{INNER, LEAF, Node};

/// Where a tree's pages are read: an operation of a reader, or a writer's batch.
pub trait Pages {
    /// The page that `ptr` leads to.
    fn read(&mut self, ptr: PagePtr, access: Access) -> Result<&Page>;

    /// Visits the pages that `ptrs` lead to, in any order, each with its index. Ends with the first error.
    fn read_many(
        &mut self,
        ptrs: &[PagePtr],
        access: Access,
        visit: &mut dyn FnMut(usize, &Page) -> Result<()>,
    ) -> Result<()>;

    /// Asks for pages that will be wanted soon. May do nothing.
    fn prefetch(&mut self, ptrs: &[PagePtr]);

    /// How many pages are worth asking for ahead of a scan.
    fn ahead_most(&self) -> usize;

    /// The error for a page that holds what a tree never writes there.
    fn malformed(&self, page: PageId, why: Malformed) -> PagerError;
}

impl Pages for Operation<'_> {
    #[inline]
    fn read(&mut self, ptr: PagePtr, access: Access) -> Result<&Page> {
        match Operation::read(self, ptr, access) {
            Ok(page) => Ok(page.into_page()),
            Err(error) => Err(error.into()),
        }
    }

    fn read_many(
        &mut self,
        ptrs: &[PagePtr],
        access: Access,
        visit: &mut dyn FnMut(usize, &Page) -> Result<()>,
    ) -> Result<()> {
        Operation::read_many(self, ptrs, access, visit)
    }

    fn prefetch(&mut self, ptrs: &[PagePtr]) {
        Operation::prefetch(self, ptrs);
    }

    fn ahead_most(&self) -> usize {
        Operation::ahead_most(self)
    }

    fn malformed(&self, page: PageId, why: Malformed) -> PagerError {
        Operation::malformed(self, page, why)
    }
}

/// A batch reads in turn: what it reads it mostly wrote a moment ago.
impl Pages for WriteBatch<'_> {
    fn read(&mut self, ptr: PagePtr, access: Access) -> Result<&Page> {
        Ok(WriteBatch::read(self, ptr, access)?)
    }

    fn read_many(
        &mut self,
        ptrs: &[PagePtr],
        access: Access,
        visit: &mut dyn FnMut(usize, &Page) -> Result<()>,
    ) -> Result<()> {
        for (index, ptr) in ptrs.iter().enumerate() {
            visit(index, WriteBatch::read(self, *ptr, access)?)?;
        }
        Ok(())
    }

    fn prefetch(&mut self, ptrs: &[PagePtr]) {
        WriteBatch::prefetch(self, ptrs);
    }

    fn ahead_most(&self) -> usize {
        WriteBatch::ahead_most(self)
    }

    fn malformed(&self, page: PageId, why: Malformed) -> PagerError {
        WriteBatch::malformed(self, page, why)
    }
}

/// What is wrong with a page as a node of this level, if anything. Everything else about a node was checked when it came
/// from disk.
#[inline]
pub(crate) fn wrong_node(page: &Page, level: u8) -> Option<Malformed> {
    let expected = if level == 0 { LEAF } else { INNER };
    if page.kind() != expected {
        return Some(Malformed::Kind { found: page.kind().0, expected: expected.0 });
    }
    if page.level() != level {
        return Some(Malformed::Level { found: page.level(), expected: level });
    }
    None
}

/// Reads a node of a level and hands it to `look`, whose result cannot borrow from the page: so the error can be made
/// here, once.
#[inline]
pub(crate) fn with_node<P: Pages + ?Sized, R>(
    pages: &mut P,
    ptr: PagePtr,
    level: u8,
    access: Access,
    look: impl FnOnce(Node<'_>) -> R,
) -> Result<R> {
    let page = pages.read(ptr, access)?;
    match wrong_node(page, level) {
        None => Ok(look(Node::of(page))),
        Some(why) => Err(pages.malformed(ptr.id, why).into()),
    }
}
