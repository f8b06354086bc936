//! Which overflow runs a scan will come to: those of the next entries in its leaf.
//!
//! Whoever reads long values one after the other would wait for each; asked for ahead, some are read while those before them are
//! looked at. Runs in pieces are left to whoever comes to them, and so are those behind the end of the leaf.

use dynamite_pager::{PageId, PagePtr};

use crate::node::Node;
use crate::value::Value;

/// Pages asked for ahead at first, and at the most.
const WINDOW_FIRST: usize = 16;
const WINDOW_MOST: usize = 128;

/// How far ahead of a scan runs were asked for.
#[derive(Debug)]
pub(crate) struct RunAhead {
    /// The leaf, and its slot behind the last that was asked for.
    leaf: Option<PagePtr>,
    next: usize,
    window: usize,
}

impl Default for RunAhead {
    fn default() -> RunAhead {
        RunAhead { leaf: None, next: 0, window: WINDOW_FIRST }
    }
}

impl RunAhead {
    /// The pages to be asked for when a scan, on its way up, has come to a long value before `slot` of a leaf.
    pub(crate) fn wanted(&mut self, leaf: PagePtr, node: Node<'_>, slot: usize) -> Vec<PagePtr> {
        let mut wanted = Vec::new();
        if self.leaf != Some(leaf) || self.next < slot {
            (self.leaf, self.next) = (Some(leaf), slot);
        }
        let run_at = |slot| match node.value(slot) {
            Value::Spilled { run, .. } if !run.is_listed() && run.wrong().is_none() => Some(run),
            _ => None,
        };
        let asked: usize = (slot..self.next).filter_map(run_at).map(|run| run.page_count() as usize).sum();
        // Asking for few at a time would make small requests.
        if asked <= self.window / 2 {
            while self.next < node.len() && asked + wanted.len() < self.window {
                if let Some(run) = run_at(self.next) {
                    let PagePtr { id, birth } = run.first();
                    wanted.extend((0..run.page_count()).map(|nth| PagePtr { id: PageId(id.0 + nth), birth }));
                }
                self.next += 1;
            }
            self.window = (2 * self.window).min(WINDOW_MOST);
        }
        wanted
    }
}
