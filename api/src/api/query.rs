//! Queries: items of one partition, in the order of the sort key.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::database::DynaMite;
use crate::api::key::{self, IntoAttribute, KeyArguments, SortCondition};
use crate::api::put::IntoItem;
use crate::api::source::Source;
use crate::api::table::Table;
use crate::api::terms::{Terms, placeholders};
use crate::api::walk::{AS_ITEM, AS_VALUE, Decode, Iter, Page, Projection, Walk, as_type};
use crate::error::{Invalid, Result};
use crate::value::Item;

/// A query that is about to be made; [`DynaMite::query`] begins, [`execute`](Query::execute), [`iter`](Query::iter) and
/// their like end.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct Query<'a, S> {
    source: &'a S,
    table: &'a str,
    key: KeyArguments,
    conditions: Vec<Result<SortCondition>>,
    projection: Projection<'a>,
    terms: Terms<'a>,
    limit: Option<usize>,
    descending: bool,
    start: Option<Result<Vec<u8>>>,
}

impl DynaMite {
    /// Begins to query one partition of a table.
    ///
    /// ```
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("events").partition_key("device_id", KeyType::String)
    /// #     .sort_key("timestamp", KeyType::Number).execute()?;
    /// for timestamp in [50, 100, 150, 200, 250] {
    ///     db.put_item("events", json!({"device_id": "device_123", "timestamp": timestamp}))?;
    /// }
    /// let query = || db.query("events").partition_key("device_123");
    ///
    /// let results = query().sort_key_between(100.0, 200.0).execute()?;
    /// assert_eq!(results.items.len(), 3);
    ///
    /// // The newest two, and then the rest.
    /// let page = query().scan_forward(false).limit(2).execute()?;
    /// assert_eq!(page.items[0]["timestamp"], 250);
    /// let rest = query().scan_forward(false).exclusive_start_key(page.last_evaluated_key.unwrap()).execute()?;
    /// assert_eq!(rest.items.len(), 3);
    ///
    /// // All of them, however many, without holding more than a portion.
    /// for event in query().iter()? {
    ///     println!("{}", event?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn query<'a>(&'a self, table: &'a str) -> Query<'a, DynaMite> {
        Query::new(self, table)
    }
}

impl<'a, S: Source> Query<'a, S> {
    pub(crate) fn new(source: &'a S, table: &'a str) -> Self {
        Query {
            source,
            table,
            key: KeyArguments::default(),
            conditions: Vec::new(),
            projection: Projection::default(),
            terms: Terms::default(),
            limit: None,
            descending: false,
            start: None,
        }
    }

    /// The partition.
    pub fn partition_key(mut self, value: impl IntoAttribute) -> Self {
        self.key.partition(value);
        self
    }

    /// Only items whose sort key is this.
    pub fn sort_key_eq(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortCondition::Eq))
    }

    /// Only items whose sort key is less.
    pub fn sort_key_lt(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortCondition::Lt))
    }

    /// Only items whose sort key is less or equal.
    pub fn sort_key_le(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortCondition::Le))
    }

    /// Only items whose sort key is greater.
    pub fn sort_key_gt(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortCondition::Gt))
    }

    /// Only items whose sort key is greater or equal.
    pub fn sort_key_ge(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortCondition::Ge))
    }

    /// Only items whose sort key is one of these or lies between them.
    pub fn sort_key_between(self, lower: impl IntoAttribute, upper: impl IntoAttribute) -> Self {
        let lower = lower.into_attribute();
        self.condition(lower.and_then(|lower| Ok(SortCondition::Between(lower, upper.into_attribute()?))))
    }

    /// Only items whose sort key, a string or a binary, begins so.
    pub fn sort_key_begins_with(self, prefix: impl IntoAttribute) -> Self {
        self.condition(prefix.into_attribute().map(SortCondition::BeginsWith))
    }

    fn condition(mut self, condition: Result<SortCondition>) -> Self {
        self.conditions.push(condition);
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

    /// Whether the least sort key comes first (default), or the greatest.
    pub fn scan_forward(mut self, forward: bool) -> Self {
        self.descending = !forward;
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
    /// partition key that is missing, conditions that the table's sort key cannot meet, a start key from elsewhere.
    ///
    /// Cost: one descent, and the pages that the items stand on.
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
        let source = self.source;
        source.read_table(self.table, |table, reading| self.walk(table)?.count(reading, table, &|_| true))
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
        let source = self.source;
        source.read_table(self.table, |table, reading| {
            self.walk(table)?.page(reading, table, &|_| true, decode)
        })
    }

    fn stream<T>(self, decode: Decode<T>) -> Result<Iter<S::State<'a>, T>> {
        let (table, stream) = self.source.stream(self.table)?;
        let walk = self.walk(&table)?;
        Ok(Iter::new(stream, table, walk, Box::new(|_| true), decode))
    }

    fn walk(self, table: &Table) -> Result<Walk<'a>> {
        if self.limit == Some(0) {
            return Err(Invalid::Limit.into());
        }
        let mut conditions = self.conditions.into_iter();
        let condition = conditions.next().transpose()?;
        if conditions.next().is_some() {
            return Err(Invalid::ConditionTwice.into());
        }
        let mut range = key::partition_range(table, self.key, condition)?;
        range.reverse = self.descending;
        if let Some(start) = self.start {
            key::start_behind(table, &mut range, &start?)?;
        }
        let filter = self.terms.compile_filter(table)?;
        Ok(Walk { range, limit: self.limit, projection: self.projection, filter })
    }
}
