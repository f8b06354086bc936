//! The rows of a stream, of a state that may change meanwhile.
//!
//! A [`Scan`] holds a portion of rows, as they were when it fetched it. That is well for a snapshot; but who deletes, within a transaction,
//! what lies ahead of the stream that they read, would find it all the same, and an entry of an index could lead to an item that is
//! gone or has another one. So what was fetched before a write is fetched again.

use dynamite_txn::{Portions, Range, Row, Scan, TableId, TxnError};

use crate::api::source::Timed;

/// The rows of a range, one after the other.
pub(crate) struct Rows<S> {
    scan: Scan<S>,
    /// What it takes to begin again, of a state that can change.
    again: Option<Again<S>>,
}

struct Again<S> {
    state: S,
    tree: TableId,
    /// What is left of the range.
    rest: Range,
    /// What the state's [count of changes](Timed::changes) was when the rows were fetched, or before.
    changes: usize,
}

impl<S: Portions + Timed + Clone> Rows<S> {
    pub(crate) fn new(state: S, tree: TableId, range: Range) -> Rows<S> {
        let again =
            state.changes().map(|changes| Again { state: state.clone(), tree, rest: range.clone(), changes });
        Rows { scan: Scan::new(state, tree, range), again }
    }

    /// The next row. After an error it may be asked again, and goes on where it was.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, TxnError> {
        if let Some(again) = &mut self.again
            && let Some(changes) = again.state.changes()
            && changes != again.changes
        {
            again.changes = changes;
            self.scan = Scan::new(again.state.clone(), again.tree, again.rest.clone());
        }
        let row = self.scan.next()?;
        if let (Some(again), Some(row)) = (&mut self.again, &row) {
            again.rest.go_on_behind(row.key);
        }
        Ok(row)
    }
}
