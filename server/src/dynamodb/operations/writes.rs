//! What the writes of single items share.

use dynamite_core::Item;
use dynamite_core::api::EncodedItem;
use dynamite_core::api::{Consumed, IndexKind};
use dynamite_core::error::Error;
use dynamite_core::expression::Condition;
use serde::Serialize;
use serde_json::{Value, json};

use super::reply;
use crate::dynamodb::Endpoint;
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::legacy;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<EncodedItem<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_collection_metrics: Option<Value>,
}

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

/// The failure of a write, which may show the item that its condition does not hold for.
pub(crate) fn failed(request: &Json<'_>, error: Error) -> Failure {
    match error {
        Error::ConditionFailed { item } => {
            let is_wanted = request.str("ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD");
            Failure::conditional(item.as_deref().filter(|_| is_wanted))
        }
        other => other.into(),
    }
}

/// Tells what was written.
pub(crate) fn answer(
    endpoint: &Endpoint,
    request: &Json<'_>,
    table: &str,
    key: &Item,
    attributes: Option<EncodedItem<'static>>,
    consumed: &Consumed,
) -> Answer {
    reply(&Written {
        attributes: attributes
            .filter(|attributes| attributes.view().is_ok_and(|view| view.iter().next().is_some())),
        consumed_capacity: capacity::describe_one(&consumed.take(), Wanted::of(request), Rate::of(true)),
        item_collection_metrics: metrics(endpoint, request, table, key)?,
    })
}

/// The metrics of an item's collection, if they are asked for and the table has local indexes.
fn metrics(endpoint: &Endpoint, request: &Json<'_>, table: &str, key: &Item) -> Answer<Option<Value>> {
    match request.str("ReturnItemCollectionMetrics") {
        Some("SIZE") => collection_metrics(endpoint, table, key),
        _ => Ok(None),
    }
}

/// The metrics of the collection of the item that has `key`, or contains it.
pub(crate) fn collection_metrics(endpoint: &Endpoint, table: &str, key: &Item) -> Answer<Option<Value>> {
    let table = endpoint.db.describe_table(table)?;
    if table.indexes.iter().all(|index| index.kind != IndexKind::Local) {
        return Ok(None);
    }
    let name = table.keys.partition_key().name();
    let key = key.get(name).map(|value| json!({name: value}));
    // Collections are not limited here, so that the estimate is as rough as it may be.
    Ok(Some(json!({"ItemCollectionKey": key, "SizeEstimateRangeGB": [0.0, 1.0]})))
}
