//! A toy client of the pager: leaves under inner pages under one root. Enough to make commits of the shape that a
//! tree makes, and descents of its length.

use std::collections::BTreeSet;

use dynamite_pager::{
    Access, Birth, Operation, PAYLOAD_SIZE, Page, PageKind, PagePtr, Pager, Placement, Result, Roots,
    WriteBatch,
};

const KIND: PageKind = PageKind::FIRST_FOREIGN;

/// Children of the root and of an inner page.
pub const FANOUT: usize = PAYLOAD_SIZE / PagePtr::SIZE;

/// Where the pages of a level go when they are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Leaves.
    pub leaf: Placement,
    /// The pages above the leaves.
    pub inner: Placement,
}

/// An index of so many leaves.
#[derive(Clone, Copy, Debug)]
pub struct ToyIndex {
    leaves: usize,
}

impl ToyIndex {
    /// Writes an index, in one batch that the pool has to have the frames for.
    pub fn create(pager: &Pager, leaves: usize) -> Result<ToyIndex> {
        assert!((1..=FANOUT * FANOUT).contains(&leaves));
        let mut batch = pager.begin()?;
        let root = batch.allocate(KIND, 2, Placement::Together)?;
        batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
        for first in (0..leaves).step_by(FANOUT) {
            let inner = batch.allocate(KIND, 1, Placement::Together)?;
            put_child(batch.page_mut(root), first / FANOUT, inner);
            for leaf in first..leaves.min(first + FANOUT) {
                let ptr = batch.allocate(KIND, 0, Placement::Hole)?;
                put_value(batch.page_mut(ptr), leaf as u64);
                put_child(batch.page_mut(inner), leaf % FANOUT, ptr);
            }
        }
        batch.commit()?;
        Ok(ToyIndex { leaves })
    }

    /// Leaves in the index.
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    /// Writes a value to each of these leaves, and commits. Copies them, the inner pages above them, and the root.
    pub fn change(&self, pager: &Pager, leaves: &[usize], value: u64, policy: Policy) -> Result<Birth> {
        let mut batch = pager.begin()?;
        let root = batch.roots().catalog.expect("the index was created");
        let root = batch.writable(root, Placement::Together)?;
        batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
        for inner in leaves.iter().map(|leaf| leaf / FANOUT).collect::<BTreeSet<_>>() {
            copy_child(&mut batch, root, inner, policy.inner)?;
        }
        for leaf in leaves {
            let inner = child(batch.read(root, Access::Point)?, leaf / FANOUT);
            let ptr = copy_child(&mut batch, inner, leaf % FANOUT, policy.leaf)?;
            put_value(batch.page_mut(ptr), value);
        }
        batch.commit()
    }

    /// The value of a leaf: three touches.
    #[inline]
    pub fn get(operation: &mut Operation<'_>, root: PagePtr, leaf: usize) -> Result<u64> {
        let inner = child(&*operation.read(root, Access::Point)?, leaf / FANOUT);
        let leaf = child(&*operation.read(inner, Access::Point)?, leaf % FANOUT);
        Ok(value(&*operation.read(leaf, Access::Point)?))
    }
}

fn copy_child(
    batch: &mut WriteBatch<'_>,
    parent: PagePtr,
    index: usize,
    placement: Placement,
) -> Result<PagePtr> {
    let old = child(batch.read(parent, Access::Point)?, index);
    let new = batch.writable(old, placement)?;
    put_child(batch.page_mut(parent), index, new);
    Ok(new)
}

#[inline]
fn child(page: &Page, index: usize) -> PagePtr {
    let bytes = &page.payload()[index * PagePtr::SIZE..][..PagePtr::SIZE];
    PagePtr::from_bytes(bytes.try_into().expect("the bytes of a pointer"))
}

fn put_child(page: &mut Page, index: usize, ptr: PagePtr) {
    page.payload_mut()[index * PagePtr::SIZE..][..PagePtr::SIZE].copy_from_slice(&ptr.to_bytes());
}

#[inline]
fn value(page: &Page) -> u64 {
    u64::from_le_bytes(page.payload()[..8].try_into().expect("8 bytes"))
}

fn put_value(page: &mut Page, value: u64) {
    page.payload_mut()[..8].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use dynamite_pager::Options;

    use super::*;

    #[test]
    fn every_leaf_has_the_value_that_was_last_written_to_it() -> Result<()> {
        let pager = Options::new().in_memory([7; 16])?;
        let leaves = 2 * FANOUT + 5;
        let index = ToyIndex::create(&pager, leaves)?;
        let policy = Policy { leaf: Placement::Hole, inner: Placement::Together };
        index.change(&pager, &[0, 3, FANOUT, leaves - 1], 1 << 40, policy)?;
        let (mut operation, state) = pager.enter()?;
        let root = state.roots.catalog.expect("the index was created");
        for leaf in 0..leaves {
            let changed = [0, 3, FANOUT, leaves - 1].contains(&leaf);
            let expected = if changed { 1 << 40 } else { leaf as u64 };
            assert_eq!(ToyIndex::get(&mut operation, root, leaf)?, expected, "leaf {leaf}");
        }
        Ok(())
    }
}
