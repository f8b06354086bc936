//! Queries: items of one partition, in the order of the sort key.

use crate::api::database::DynaMite;
use crate::api::key::{self, IntoAttribute, KeyArguments};
use crate::api::projection::AS_VALUE;
use crate::api::segment::Segment;
use crate::api::source::Source;
use crate::api::table::Place;
use crate::api::walk::{Page, Selection, Walk, selections};
use crate::error::{Invalid, Result};
use crate::expression::{
    ExpressionError, Expressions, KeyCondition, KeyConditionProblem, KeyQuery, SortKeyTest,
};
use crate::types::KeyAttribute;

/// A query that is about to be made; [`DynaMite::query`] begins, [`execute`](Query::execute), [`iter`](Query::iter) and
/// their like end.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct Query<'a, S> {
    source: &'a S,
    table: &'a str,
    key: KeyArguments,
    conditions: Vec<Result<SortKeyTest>>,
    descending: bool,
    selection: Selection<'a>,
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
            descending: false,
            selection: Selection::default(),
        }
    }

    /// The partition. For an index whose partition key has several attributes it is called once for each, in their order.
    pub fn partition_key(mut self, value: impl IntoAttribute) -> Self {
        self.key.add_partition(value);
        self
    }

    /// Only items whose sort key is this. For an index whose sort key has several attributes there may be a condition on each
    /// of the first of them, in their order; all but the last must be of this kind.
    pub fn sort_key_eq(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortKeyTest::Eq))
    }

    /// Only items whose sort key is less.
    pub fn sort_key_lt(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortKeyTest::Lt))
    }

    /// Only items whose sort key is less or equal.
    pub fn sort_key_le(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortKeyTest::Le))
    }

    /// Only items whose sort key is greater.
    pub fn sort_key_gt(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortKeyTest::Gt))
    }

    /// Only items whose sort key is greater or equal.
    pub fn sort_key_ge(self, value: impl IntoAttribute) -> Self {
        self.condition(value.into_attribute().map(SortKeyTest::Ge))
    }

    /// Only items whose sort key is one of these or lies between them.
    pub fn sort_key_between(self, lower: impl IntoAttribute, upper: impl IntoAttribute) -> Self {
        let lower = lower.into_attribute();
        self.condition(lower.and_then(|lower| Ok(SortKeyTest::Between(lower, upper.into_attribute()?))))
    }

    /// Only items whose sort key, a string or a binary, begins so.
    pub fn sort_key_begins_with(self, prefix: impl IntoAttribute) -> Self {
        self.condition(prefix.into_attribute().map(SortKeyTest::BeginsWith))
    }

    fn condition(mut self, condition: Result<SortKeyTest>) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The partition and the condition on the sort key at once, in DynamoDB's language: `device_id = :d AND seen_at > :t`.
    pub fn key_condition(mut self, expression: &'a str) -> Self {
        self.selection.wanted.terms.say().key_condition = Some(expression);
        self
    }

    /// The condition on the key, said by attributes, instead of [`key_condition`](Query::key_condition).
    pub fn key_condition_by_attribute(mut self, condition: KeyCondition) -> Self {
        self.selection.wanted.terms.say().by_attribute.key_condition = Some(condition);
        self
    }

    /// Whether the least sort key comes first (default), or the greatest.
    pub fn scan_forward(mut self, forward: bool) -> Self {
        self.descending = !forward;
        self
    }

    selections!();

    /// Reads a page of items as JSON: at most 1 MB of them, counted as DynamoDB counts.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound); [`Error::Validation`](crate::Error::Validation) for a
    /// partition key that is missing, conditions that the table's sort key cannot meet, a start key from elsewhere;
    /// [`Error::Expression`](crate::Error::Expression), also for a filter that mentions an attribute of the key.
    ///
    /// Cost: one descent, and the pages that the items stand on.
    pub fn execute(self) -> Result<Page> {
        self.page(AS_VALUE)
    }

    fn compile(&self) -> Result<Option<Expressions>> {
        let by_methods = !self.key.is_empty() || !self.conditions.is_empty();
        if by_methods && self.selection.wanted.terms.key_condition().is_some() {
            return Err(
                Invalid::Mixed { method: "KeyConditions", expression: "KeyConditionExpression" }.into()
            );
        }
        let expressions = self.selection.compile()?;
        // Only indexes may have more attributes in their keys.
        let condition = expressions.as_ref().and_then(|expressions| expressions.key_condition.as_ref());
        if self.selection.index.is_none() && condition.is_some_and(|condition| condition.len() > 2) {
            return Err(ExpressionError::KeyCondition(KeyConditionProblem::TooMany).into());
        }
        Ok(expressions)
    }

    fn walk(mut self, place: Place<'_>, expressions: Option<Expressions>) -> Result<Walk<'a>> {
        let keys = &place.layout().keys;
        let start = self.selection.check(place, true)?;
        let beside = |attribute: &KeyAttribute, role| match &start {
            Some(start) => key::check_start_part(place.layout(), start, attribute, role),
            None => Ok(()),
        };
        let (mut key, mut conditions) = (self.key, self.conditions.into_iter().collect::<Result<Vec<_>>>()?);
        match expressions.as_ref().and_then(|expressions| expressions.key_condition.as_ref()) {
            Some(condition) => {
                let KeyQuery { partition, sort } = condition.resolve_beside(keys, beside)?;
                partition.into_iter().for_each(|value| key.add_partition(value));
                conditions = sort;
            }
            None => {
                place.layout().own_attributes().try_for_each(|(attribute, role)| beside(attribute, role))?
            }
        }
        let (mut range, within) = key::partition_range(place.layout(), key, conditions)?;
        range.reverse = self.descending;
        self.selection.walk(place, range, Some(within), start, Segment::ALL, expressions)
    }
}
