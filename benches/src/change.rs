//! What the commits change that are measured: leaves of a toy index, and the pages above them.

use dynamite_pager::Placement;

use crate::random::Random;
use crate::toy_index::Policy;

/// Leaves of the index.
pub const LEAVES: usize = 2_000;

/// What a commit changes.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// In words.
    pub name: &'static str,
    /// How many leaves.
    pub leaves: usize,
    /// Whether they are other leaves each time.
    pub anywhere: bool,
    /// Where the copies go.
    pub policy: Policy,
}

/// The root and the free-space root are rewritten by every commit, and placed together. So are the pages that are
/// the same every time; leaves that are others each time go to single holes, and their parents beside the others, as those of
/// trees do.
pub const CHANGES: [Change; 6] = [
    Change { name: "1 page: the root", leaves: 0, anywhere: false, policy: RUN },
    Change { name: "3 pages: any leaf, parent, root", leaves: 1, anywhere: true, policy: TREE },
    Change { name: "7 pages, the same each time", leaves: 5, anywhere: false, policy: RUN },
    Change { name: "64 pages, the same each time", leaves: 62, anywhere: false, policy: RUN },
    Change { name: "8 leaves anywhere, parents, root", leaves: 8, anywhere: true, policy: TREE },
    Change { name: "64 leaves anywhere, parents, root", leaves: 64, anywhere: true, policy: TREE },
];

const RUN: Policy = Policy { leaf: Placement::Together, inner: Placement::Together };
const TREE: Policy = Policy { leaf: Placement::Hole, inner: Placement::Beside };

impl Change {
    /// The leaves of one commit.
    pub fn choose(&self, random: &mut Random) -> Vec<usize> {
        if self.anywhere { random.distinct(self.leaves, LEAVES) } else { (0..self.leaves).collect() }
    }
}
