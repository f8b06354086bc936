//! Removing.

use dynamite_pager::WriteBatch;

use crate::edit::Edit;
use crate::error::Result;
use crate::node_mut::NodeMut;
use crate::tree::Tree;
use crate::value::Displaced;

/// Removes a key; `tree` is as it was if that fails.
pub(crate) fn remove(tree: &mut Tree, batch: &mut WriteBatch<'_>, key: &[u8]) -> Result<Option<Displaced>> {
    let mut displaced = None;
    if tree.root.is_some() {
        let mut edit = Edit::new(*tree, batch);
        if let Ok(slot) = edit.descend(key)? {
            displaced = Some(edit.remove_at(slot)?);
            *tree = edit.tree;
        }
    }
    batch.end_operation()?;
    Ok(displaced)
}

impl Edit<'_, '_> {
    fn remove_at(&mut self, slot: usize) -> Result<Displaced> {
        let depth = self.leaf_depth();
        let ptr = self.writable(depth)?;
        let mut node = NodeMut(self.batch.page_mut(ptr));
        let (displaced, key_run) = (node.node().value(slot).displaced(), node.node().key_run(slot));
        node.remove(slot);
        // A damaged tree may hold more than it knows of.
        self.tree.entries = self.tree.entries.saturating_sub(1);
        self.refill(depth)?;
        // Last: in a damaged tree a run may lie about its pages, and name one that was just made writable.
        if let Some(run) = key_run {
            run.free(self.batch)?;
        }
        Ok(displaced)
    }
}
