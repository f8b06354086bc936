//! Which leaves a scan will come to: what a [`Cursor`](crate::Cursor) asks to be read ahead.
//!
//! The cursor's path shows what follows. The *frontier* is a path of its own, some leaves ahead of the cursor's: to the leaf
//! that was asked for last. It goes on over the end of a node of level 1 as over any other.

use dynamite_pager::{Access, PagePtr};

use crate::cursor::Direction::{self, Backward, Forward};
use crate::cursor::end_slot;
use crate::edit::Step;
use crate::error::Result;
use crate::pages::{Pages, with_node};

/// Leaves asked for ahead at first.
const WINDOW_FIRST: usize = 8;
/// Leaves asked for ahead at the most.
const WINDOW_MOST: usize = 256;
/// Leaves that are asked for at a time, once so many are asked for ahead.
const PORTION: usize = 64;

/// How far ahead of a scan leaves were asked for.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    direction: Direction,
    /// From the root to the node of level 1 whose child at its slot was asked for last. Empty before the first request, and
    /// when there are no more leaves.
    frontier: Vec<Step>,
    /// Leaves that were asked for, and which the scan has not come to.
    asked: usize,
    /// Leaves to be asked for ahead; 0 before the first request.
    window: usize,
    wanted: Vec<PagePtr>,
}

impl Default for ReadAhead {
    fn default() -> Self {
        ReadAhead { direction: Forward, frontier: Vec::new(), asked: 0, window: 0, wanted: Vec::new() }
    }
}

impl ReadAhead {
    /// The pages to be asked for when a scan goes on to the leaf that `path`, from the root to a node of level 1, leads to.
    ///
    /// The leaves of the next node of level 1 are among them in time. That node itself was asked for when the frontier entered
    /// the one before it, so that looking into it does not wait.
    pub(crate) fn wanted<P: Pages + ?Sized>(
        &mut self,
        pages: &mut P,
        path: &[Step],
        root_level: u8,
        direction: Direction,
    ) -> &[PagePtr] {
        self.wanted.clear();
        if direction != self.direction {
            *self = ReadAhead { direction, ..ReadAhead::default() };
        }
        self.asked = self.asked.saturating_sub(1);
        // Asking for few at a time would make small requests, and for many would leave the device without any meanwhile.
        if self.asked > (self.window / 2).max(self.window.saturating_sub(PORTION)) {
            return &[];
        }
        // Only who has come as far as the half of what was asked for is worth more: short queries end before.
        let most = WINDOW_MOST.min(pages.ahead_most()).max(WINDOW_FIRST);
        self.window = (2 * self.window).clamp(WINDOW_FIRST, most);
        if self.asked == 0 {
            self.frontier.clear();
            self.frontier.extend_from_slice(path);
        }
        while self.asked < self.window {
            // Whoever comes to a page that cannot be read meets the error.
            match self.advance(pages, root_level) {
                Ok(true) => self.asked += 1,
                Ok(false) | Err(_) => break,
            }
        }
        &self.wanted
    }

    /// Moves the frontier to the next leaf, and wants it. `false` if there is none.
    fn advance<P: Pages + ?Sized>(&mut self, pages: &mut P, root_level: u8) -> Result<bool> {
        let Some(turn) = self.frontier.iter().rposition(|step| step.can_move(self.direction)) else {
            self.frontier.clear();
            return Ok(false);
        };
        let lowest = self.frontier.len() - 1;
        self.frontier[turn].move_on(self.direction);
        for depth in turn..=lowest {
            let step = self.frontier[depth];
            let level = root_level - depth as u8;
            let (child, next) = with_node(pages, step.ptr, level, Access::Scan, |node| {
                let next = step.can_move(self.direction).then(|| node.child(step.neighbour(self.direction)));
                (node.child(step.slot), next)
            })?;
            if depth == lowest {
                self.wanted.push(child);
                return Ok(true);
            }
            if level == 2 {
                self.wanted.extend(next);
            }
            let from_end = self.direction == Backward;
            self.frontier[depth + 1] = with_node(pages, child, level - 1, Access::Scan, |node| Step {
                ptr: child,
                slot: end_slot(node, from_end),
                count: node.len(),
            })?;
        }
        unreachable!("a frontier ends in a node of level 1")
    }
}
