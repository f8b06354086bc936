//! BatchWriteItem.

use std::collections::BTreeMap;

use dynamite_core::Item;
use dynamite_core::api::Consumed;
use dynamite_core::api::EncodedItem;
use dynamite_core::error::{Error, Invalid};
use serde::Serialize;
use serde_json::Value;

use super::{reply, writes};
use crate::dynamodb::attributes::Given;
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::target::Write;
use crate::dynamodb::{Endpoint, arn, attributes};

pub(crate) const FIELDS: &[Field] = &[
    RETURN_CONSUMED_CAPACITY,
    RETURN_ITEM_COLLECTION_METRICS,
    field(
        "RequestItems",
        Shape::Map(&Member {
            shape: Shape::List(&Member {
                shape: Shape::Structure(&Structure {
                    name: "WriteRequest",
                    fields: &[
                        plain(
                            "DeleteRequest",
                            Shape::Structure(&Structure { name: "DeleteRequest", fields: &[KEY] }),
                        ),
                        plain(
                            "PutRequest",
                            Shape::Structure(&Structure { name: "PutRequest", fields: &[ITEM] }),
                        ),
                    ],
                }),
                rules: &[],
            }),
            rules: &[],
        }),
        WRITES_BY_TABLE,
    ),
];

const MAX_WRITES: usize = 25;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    unprocessed_items: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_collection_metrics: Option<BTreeMap<String, Vec<Value>>>,
}

enum Change {
    Put(EncodedItem<'static>),
    Delete(Item),
}

pub(crate) fn write(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Write> {
    let mut asked: Vec<(String, Change)> = Vec::new();
    for (name, requests) in request.object("RequestItems").unwrap_or_default() {
        let requests = requests.as_array().unwrap_or_default();
        let has_one = |request: &Json<'_>| request.has("PutRequest") != request.has("DeleteRequest");
        if !requests.iter().all(has_one) {
            return Err(Failure::validation(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
            ));
        }
        for request in requests {
            asked.push((arn::table_name(name).to_owned(), change(request)?));
        }
    }
    if asked.len() > MAX_WRITES {
        return Err(Failure::validation("Too many items requested for the BatchWriteItem call"));
    }

    asked.iter().try_for_each(|(table, _)| endpoint.creating.check(table))?;
    let wanted = Wanted::of(request);
    let has_metrics = request.str("ReturnItemCollectionMetrics") == Some("SIZE");
    Ok(Box::new(move |endpoint, target| {
        let consumed = Consumed::default();
        let mut batch = target.batch_write();
        for (table, change) in &asked {
            batch = match change {
                Change::Put(item) => batch.put(table, item),
                Change::Delete(key) => batch.delete_named(table, key.clone()),
            };
        }
        if wanted.is_any() {
            batch = batch.consumed(&consumed);
        }
        batch.execute().map_err(|error| match error.cause() {
            Error::Validation(Invalid::MissingKey { .. } | Invalid::KeyTypeMismatch { .. }) => {
                Failure::validation("The provided key element does not match the schema")
            }
            _ => error.into(),
        })?;
        reply(&Written {
            unprocessed_items: BTreeMap::new(),
            consumed_capacity: wanted
                .is_any()
                .then(|| capacity::describe(&consumed.take(), wanted, Rate::of(true))),
            item_collection_metrics: if has_metrics { metrics(endpoint, &asked)? } else { None },
        })
    }))
}

fn change(request: &Json<'_>) -> Answer<Change> {
    match (request.field("PutRequest"), request.field("DeleteRequest")) {
        (Some(put), _) => Given::of(put)?.encode().map(Change::Put),
        (None, Some(delete)) => Ok(Change::Delete(attributes::item_of(delete, "Key")?)),
        (None, None) => Err(Failure::malformed()),
    }
}

fn metrics(endpoint: &Endpoint, asked: &[(String, Change)]) -> Answer<Option<BTreeMap<String, Vec<Value>>>> {
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (table, change) in asked {
        let metrics = writes::collection_metrics(endpoint, table, |name| match change {
            Change::Put(item) => writes::value_of(item, name),
            Change::Delete(key) => key.get(name).cloned(),
        });
        if let Some(metrics) = metrics? {
            told.entry(table.clone()).or_default().push(metrics);
        }
    }
    Ok((!told.is_empty()).then_some(told))
}
