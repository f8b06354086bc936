//! What the writes of single items share.

use dynamite_core::AttributeValue;
use dynamite_core::api::EncodedItem;
use dynamite_core::api::{Consumed, IndexKind};
use dynamite_core::error::Error;
use dynamite_core::expression::Condition;
use serde_json::{Value, json};

use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::reply::ReplyJson;
use crate::dynamodb::{Endpoint, arn, legacy};

/// Refuses return values that only updates have.
pub(crate) fn check_return_values(request: &Json<'_>) -> Answer<()> {
    match request.str("ReturnValues") {
        None | Some("ALL_OLD" | "NONE") => Ok(()),
        Some(_) => Err(Failure::validation("ReturnValues can only be ALL_OLD or NONE")),
    }
}

/// The condition that legacy parameters say. They are checked before expressions are read.
pub(crate) fn expected(request: &Json<'_>) -> Answer<Option<Condition>> {
    match legacy::expected(request)? {
        Some(expected) => legacy::together(expected, request),
        None => Ok(None),
    }
}

/// The failure of a write, which shows the item that its condition does not hold for, if that is wanted.
pub(crate) fn failed(shows_old: bool, error: Error) -> Failure {
    match error {
        Error::ConditionFailed { item } => Failure::conditional(item.as_deref().filter(|_| shows_old)),
        other => other.into(),
    }
}

/// Whether a failure of the write is to show the item that its condition does not hold for.
pub(crate) fn shows_old(request: &Json<'_>) -> bool {
    request.str("ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD")
}

/// What a write of one item is to answer.
pub(crate) struct Asked {
    pub(crate) table: String,
    pub(crate) returns_old: bool,
    shows_old: bool,
    has_metrics: bool,
    wanted: Wanted,
}

impl Asked {
    pub(crate) fn of(request: &Json<'_>) -> Asked {
        Asked {
            table: arn::table_name(request.str("TableName").unwrap_or_default()).to_owned(),
            returns_old: request.str("ReturnValues") == Some("ALL_OLD"),
            shows_old: shows_old(request),
            has_metrics: request.str("ReturnItemCollectionMetrics") == Some("SIZE"),
            wanted: Wanted::of(request),
        }
    }

    /// Whether it is to be counted what was consumed.
    pub(crate) fn is_counted(&self) -> bool {
        self.wanted.is_any()
    }

    /// The failure of the write.
    pub(crate) fn failed(&self, error: Error) -> Failure {
        failed(self.shows_old, error)
    }

    /// Tells what was written: of an item whose key has these values.
    pub(crate) fn answer(
        &self,
        endpoint: &Endpoint,
        key: impl FnOnce(&str) -> Option<AttributeValue>,
        attributes: Option<EncodedItem<'static>>,
        consumed: &Consumed,
    ) -> Answer {
        let metrics = match self.has_metrics {
            true => collection_metrics(endpoint, &self.table, key)?,
            false => None,
        };
        let capacity = capacity::describe_one(&consumed.take(), self.wanted, Rate::of(true));
        let mut reply = ReplyJson::new();
        if let Some(attributes) = attributes.filter(|attributes| !is_empty(attributes)) {
            reply.item("Attributes", &attributes)?;
        }
        reply.optional("ConsumedCapacity", capacity.as_ref())?;
        reply.optional("ItemCollectionMetrics", metrics.as_ref())?;
        reply.end()
    }
}

/// Whether an item, or the part of one that was asked for, has no attributes.
pub(crate) fn is_empty(item: &EncodedItem<'_>) -> bool {
    item.view().is_ok_and(|view| view.iter().next().is_none())
}

/// The value of an attribute, for the metrics of an item that was put.
pub(crate) fn value_of(item: &EncodedItem<'_>, name: &str) -> Option<AttributeValue> {
    item.view().ok()?.get(name).ok()??.to_value().ok()
}

/// The metrics of the collection of the item that has this key.
pub(crate) fn collection_metrics(
    endpoint: &Endpoint,
    table: &str,
    key: impl FnOnce(&str) -> Option<AttributeValue>,
) -> Answer<Option<Value>> {
    let table = endpoint.db.describe_table(table)?;
    if table.indexes.iter().all(|index| index.kind != IndexKind::Local) {
        return Ok(None);
    }
    let name = table.keys.partition_key().name();
    let key = key(name).map(|value| json!({name: value}));
    // Collections are not limited here, so that the estimate is as rough as it may be.
    Ok(Some(json!({"ItemCollectionKey": key, "SizeEstimateRangeGB": [0.0, 1.0]})))
}
