//! Taking a whole tree away in bounded steps, each of which leaves a valid tree with fewer entries.

use dynamite_pager::{Access, WriteBatch};

use crate::edit::Edit;
use crate::error::Result;
use crate::node::Node;
use crate::node_mut::NodeMut;
use crate::overflow::Overflow;
use crate::pages::with_node;
use crate::tree::Tree;
use crate::value::Value;

pub(crate) fn free_some(tree: &mut Tree, batch: &mut WriteBatch<'_>, pages: u32) -> Result<bool> {
    let mut edit = Edit::new(*tree, batch);
    let mut budget = u64::from(pages.max(1));
    while edit.tree.root.is_some() && budget > 0 {
        edit.free_first_leaf(&mut budget)?;
    }
    if edit.tree.root.is_none() {
        // Whatever a damaged tree had counted, nothing is left.
        edit.tree = Tree::EMPTY;
    }
    *tree = edit.tree;
    batch.end_operation()?;
    Ok(tree.is_empty())
}

impl Edit<'_, '_> {
    /// Frees the first leaf with all that belongs to it, or if that is more than the budget allows, its first entries.
    fn free_first_leaf(&mut self, budget: &mut u64) -> Result<()> {
        let _ = self.descend_to_first()?;
        let depth = self.leaf_depth();
        let leaf = self.path[depth];
        // Runs are counted before any is freed: the page cannot be looked at meanwhile.
        let (mut runs, mut freed, mut taken) = (Vec::new(), 0, 0);
        with_node(self.batch, leaf.ptr, 0, Access::Scan, |node| {
            while taken < node.len() && freed < *budget {
                for run in runs_of(node, taken).into_iter().flatten() {
                    freed += u64::from(run.page_count()) + u64::from(run.is_listed());
                    runs.push(run);
                }
                taken += 1;
            }
        })?;
        runs.into_iter().try_for_each(|run| run.free(self.batch))?;
        *budget = budget.saturating_sub(freed + 1);
        self.tree.entries = self.tree.entries.saturating_sub(taken as u64);
        if taken == leaf.count {
            return self.drop_page(depth);
        }
        let ptr = self.writable(depth)?;
        let mut node = NodeMut(self.batch.page_mut(ptr));
        (0..taken).for_each(|_| node.remove(0));
        Ok(())
    }
}

/// The runs of an entry: of its key, and of its value.
fn runs_of(node: Node<'_>, slot: usize) -> [Option<Overflow>; 2] {
    let value = match node.value(slot) {
        Value::Spilled { run, .. } => Some(run),
        Value::Inline(_) => None,
    };
    [node.key_run(slot), value]
}
