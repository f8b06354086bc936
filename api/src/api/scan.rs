//! Scans: the items of a whole table, in the order of their keys, or of one of several segments of it.

use std::ops::ControlFlow;

use dynamite_txn::{Access, Range};
use serde_json::Value;

use crate::api::database::DynaMite;
use crate::api::key;
use crate::api::projection::AS_VALUE;
use crate::api::segment::Segment;
use crate::api::source::Source;
use crate::api::table::Place;
use crate::api::walk::{Page, Selection, Walk, selections};
use crate::error::Result;
use crate::expression::Expressions;

/// A scan that is about to be made; [`DynaMite::scan`] begins, [`execute`](Scan::execute), [`iter`](Scan::iter) and their
/// like end.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct Scan<'a, S> {
    source: &'a S,
    table: &'a str,
    segment: Segment,
    selection: Selection<'a>,
}

impl DynaMite {
    /// Begins to scan a table. Items come in the order of their keys.
    ///
    /// ```
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// for nth in 0..100 {
    ///     db.put_item("users", json!({"user_id": format!("user {nth:03}")}))?;
    /// }
    /// assert_eq!(db.scan("users").execute()?.items.len(), 100);
    ///
    /// // Four workers share the table.
    /// let mut found = 0;
    /// std::thread::scope(|scope| {
    ///     let workers: Vec<_> =
    ///         (0..4).map(|nth| scope.spawn({ let db = &db; move || db.scan("users").segment(nth, 4).count() })).collect();
    ///     found = workers.into_iter().map(|worker| worker.join().unwrap().unwrap()).sum();
    /// });
    /// assert_eq!(found, 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan<'a>(&'a self, table: &'a str) -> Scan<'a, DynaMite> {
        Scan::new(self, table)
    }

    /// The partition keys of a table in order, each once: the first `limit` of those that begin with `prefix`.
    ///
    /// Cost: a descent per key, however many items its partition has.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound); [`Error::Validation`](crate::Error::Validation) for a prefix
    /// of numbers.
    pub fn list_partition_keys(&self, table: &str, prefix: &str, limit: usize) -> Result<Vec<Value>> {
        list_partition_keys(self, table, prefix, limit)
    }
}

impl<'a, S: Source> Scan<'a, S> {
    pub(crate) fn new(source: &'a S, table: &'a str) -> Self {
        Scan { source, table, segment: Segment::ALL, selection: Selection::default() }
    }

    /// Only the items of one segment, counted from 0, of so many: for workers that share a table. All items of a partition
    /// are in the same one. Every worker walks all keys, and decodes its own items.
    pub fn segment(mut self, segment: u32, total: u32) -> Self {
        self.segment = Segment { number: segment, total };
        self
    }

    selections!();

    /// Reads a page of items as JSON: at most 1 MB of them, counted as DynamoDB counts.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound); [`Error::Validation`](crate::Error::Validation) for a
    /// segment that does not exist, or a start key from elsewhere.
    pub fn execute(self) -> Result<Page> {
        self.page(AS_VALUE)
    }

    fn compile(&self) -> Result<Option<Expressions>> {
        self.segment.check()?;
        self.selection.compile()
    }

    fn walk(mut self, place: Place<'_>, expressions: Option<Expressions>) -> Result<Walk<'a>> {
        let start = self.selection.check(place, false)?;
        self.selection.walk(place, Range::all(), None, start, self.segment, expressions)
    }
}

/// See [`DynaMite::list_partition_keys`].
pub(crate) fn list_partition_keys(
    source: &impl Source,
    table: &str,
    prefix: &str,
    limit: usize,
) -> Result<Vec<Value>> {
    source.read_table(table, |table, reading| {
        let mut range = key::partitions_beginning_with(table, prefix)?;
        let mut found = Vec::new();
        while found.len() < limit {
            let mut first = None;
            reading.scan(table, &range.borrow(), Access::Point, |row| {
                first = Some(key::partition_of(table, row.key).map(<[u8]>::to_vec));
                ControlFlow::Break(())
            })?;
            let Some(partition) = first.transpose().map_err(|damage| table.damaged(damage))? else { break };
            found.push(key::partition_to_value(table, &partition)?);
            range.from = key::behind_partition(partition);
        }
        Ok(found)
    })
}
