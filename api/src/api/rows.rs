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
    /// What the state's [count of changes](Timed::changes) was when the rows were fetched, or before.
    changes: Option<usize>,
}

impl<S: Portions + Timed> Rows<S> {
    pub(crate) fn new(state: S, tree: TableId, range: Range) -> Rows<S> {
        Rows { changes: state.changes(), scan: Scan::new(state, tree, range) }
    }

    /// The next row. After an error it may be asked again, and goes on where it was.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, TxnError> {
        let changes = self.scan.source().changes();
        if changes != self.changes {
            self.changes = changes;
            self.scan.fetch_again();
        }
        self.scan.next()
    }
}
