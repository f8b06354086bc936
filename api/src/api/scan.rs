//! Scans: the items of a whole table, in the order of their keys, or of one of several segments of it.

use std::borrow::Cow;
use std::ops::ControlFlow;

use dynamite_txn::{Access, Range};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::database::DynaMite;
use crate::api::key;
use crate::api::put::IntoItem;
use crate::api::source::Source;
use crate::api::table::Table;
use crate::api::terms::{Terms, placeholders};
use crate::api::walk::{AS_ITEM, AS_VALUE, Decode, Iter, Page, Projection, Walk, as_type};
use crate::error::{Invalid, Result};
use crate::value::Item;

/// A scan that is about to be made; [`DynaMite::scan`] begins, [`execute`](Scan::execute), [`iter`](Scan::iter) and their
/// like end.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct Scan<'a, S> {
    source: &'a S,
    table: &'a str,
    projection: Projection<'a>,
    terms: Terms<'a>,
    limit: Option<usize>,
    start: Option<Result<Vec<u8>>>,
    segment: Segment,
}

/// One of several parts of a table: those partitions whose key's hash falls to it.
///
/// A pure function of the partition key and the number of segments, so that it holds through all changes of the
/// table, and workers never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    number: u32,
    total: u32,
}

impl Segment {
    const ALL: Segment = Segment { number: 0, total: 1 };
    const MOST: u32 = 1_000_000;

    fn check(self) -> Result<()> {
        if self.total > Segment::MOST {
            return Err(Invalid::TotalSegments { total: self.total }.into());
        }
        match self.number < self.total {
            true => Ok(()),
            false => Err(Invalid::Segment { segment: self.number, total: self.total }.into()),
        }
    }

    /// Whether an item with this key, as it is stored, belongs to the segment.
    fn holds(self, key: &[u8]) -> bool {
        if self.total == 1 {
            return true;
        }
        // A damaged key, which decoding its item will report, falls somewhere.
        let partition = key::partition_of(key).unwrap_or(key);
        let hash = xxhash_rust::xxh64::xxh64(partition, 0);
        let falls_to = (u128::from(hash) * u128::from(self.total)) >> 64;
        falls_to == u128::from(self.number)
    }
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
        Scan {
            source,
            table,
            projection: Projection::default(),
            terms: Terms::default(),
            limit: None,
            start: None,
            segment: Segment::ALL,
        }
    }

    /// Only the items of one segment, counted from 0, of so many: for workers that share a table. All items of a partition
    /// are in the same one. Every worker walks all keys, and decodes its own items.
    pub fn segment(mut self, segment: u32, total: u32) -> Self {
        self.segment = Segment { number: segment, total };
        self
    }

    /// Only these attributes: the others are not decoded.
    pub fn attributes<N: Into<Cow<'a, str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.projection = Projection::of(names);
        self
    }

    /// Only items for which this holds, in DynamoDB's language. Those that it drops count for the limit and the size of a
    /// page, and of what [`count`](Self::count) looks at, all the same; an iterator's limit is of what it returns.
    pub fn filter(mut self, expression: &'a str) -> Self {
        self.terms.filter = Some(expression);
        self
    }

    placeholders!();

    /// At most so many items: in a page, or in all from an iterator.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Begins behind this key: what the page before gave as its last.
    pub fn exclusive_start_key(mut self, key: impl IntoItem) -> Self {
        self.start = Some(key.encode());
        self
    }

    /// Reads a page of items as JSON: at most 1 MB of them, counted as DynamoDB counts.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound); [`Error::Validation`](crate::Error::Validation) for a
    /// segment that does not exist, or a start key from elsewhere.
    pub fn execute(self) -> Result<Page> {
        self.page(AS_VALUE)
    }

    /// Reads a page of items with their exact attribute values.
    pub fn execute_items(self) -> Result<Page<Item>> {
        self.page(AS_ITEM)
    }

    /// Reads a page of items as a type of one's own, straight from their stored form.
    pub fn execute_as<T: DeserializeOwned>(self) -> Result<Page<T>> {
        self.page(as_type())
    }

    /// Counts the items, all of them unless a limit is set, without decoding any.
    pub fn count(self) -> Result<u64> {
        let (source, segment) = (self.source, self.segment);
        source.read_table(self.table, |table, reading| {
            self.walk(table)?.count(reading, table, &|key| segment.holds(key))
        })
    }

    /// Streams all items as JSON, from one snapshot.
    pub fn iter(self) -> Result<Iter<S::State<'a>, Value>> {
        self.stream(AS_VALUE)
    }

    /// Streams all items with their exact attribute values, from one snapshot.
    pub fn iter_items(self) -> Result<Iter<S::State<'a>, Item>> {
        self.stream(AS_ITEM)
    }

    /// Streams all items as a type of one's own, from one snapshot.
    pub fn iter_as<T: DeserializeOwned>(self) -> Result<Iter<S::State<'a>, T>> {
        self.stream(as_type())
    }

    fn page<T>(self, decode: Decode<T>) -> Result<Page<T>> {
        let (source, segment) = (self.source, self.segment);
        source.read_table(self.table, |table, reading| {
            self.walk(table)?.page(reading, table, &|key| segment.holds(key), decode)
        })
    }

    fn stream<T>(self, decode: Decode<T>) -> Result<Iter<S::State<'a>, T>> {
        let segment = self.segment;
        let (table, stream) = self.source.stream(self.table)?;
        let walk = self.walk(&table)?;
        Ok(Iter::new(stream, table, walk, Box::new(move |key| segment.holds(key)), decode))
    }

    fn walk(self, table: &Table) -> Result<Walk<'a>> {
        if self.limit == Some(0) {
            return Err(Invalid::Limit.into());
        }
        self.segment.check()?;
        let mut range = Range::all();
        if let Some(start) = self.start {
            let key = key::start_behind(table, &mut range, &start?)?;
            let Segment { number: segment, total } = self.segment;
            if !self.segment.holds(&key) {
                return Err(Invalid::StartKeySegment { segment, total }.into());
            }
        }
        let filter = self.terms.compile_filter(table)?;
        Ok(Walk { range, limit: self.limit, projection: self.projection, filter })
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
            reading.scan(table.id, &range.borrow(), Access::Point, |row| {
                first = Some(key::partition_of(row.key).map(<[u8]>::to_vec));
                ControlFlow::Break(())
            })?;
            let Some(partition) = first.transpose().map_err(|damage| table.damaged(damage))? else { break };
            found.push(key::partition_to_value(table, &partition)?);
            range.from = key::behind_partition(partition);
        }
        Ok(found)
    })
}
