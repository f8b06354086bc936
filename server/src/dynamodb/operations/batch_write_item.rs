//! BatchWriteItem.

use std::collections::BTreeMap;

use dynamite_core::Item;
use dynamite_core::api::Consumed;
use dynamite_core::api::EncodedItem;
use dynamite_core::error::{Error, Invalid};
use serde::Serialize;
use serde_json::Value;

use super::{reply, writes};
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
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

enum Write {
    Put(EncodedItem<'static>, Item),
    Delete(Item),
}

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let mut asked: Vec<(String, Write)> = Vec::new();
    for (name, requests) in request.object("RequestItems").unwrap_or_default() {
        let requests = requests.as_array().unwrap_or_default();
        let has_one = |request: &Json<'_>| request.has("PutRequest") != request.has("DeleteRequest");
        if !requests.iter().all(has_one) {
            return Err(Failure::validation(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
            ));
        }
        for request in requests {
            asked.push((arn::table_name(name).to_owned(), write(request)?));
        }
    }
    if asked.len() > MAX_WRITES {
        return Err(Failure::validation("Too many items requested for the BatchWriteItem call"));
    }

    asked.iter().try_for_each(|(table, _)| endpoint.creating.check(table))?;
    let (wanted, consumed) = (Wanted::of(request), Consumed::default());
    let mut batch = endpoint.db.batch_write();
    for (table, write) in &asked {
        batch = match write {
            Write::Put(item, _) => batch.put(table, item),
            Write::Delete(key) => batch.delete_named(table, key.clone()),
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
        item_collection_metrics: metrics(endpoint, request, &asked)?,
    })
}

fn write(request: &Json<'_>) -> Answer<Write> {
    match (request.field("PutRequest"), request.field("DeleteRequest")) {
        (Some(put), _) => {
            let item = attributes::item_of(put, "Item")?;
            let encoded = EncodedItem::of(&item)?;
            Ok(Write::Put(encoded, item))
        }
        (None, Some(delete)) => Ok(Write::Delete(attributes::item_of(delete, "Key")?)),
        (None, None) => Err(Failure::malformed()),
    }
}

fn metrics(
    endpoint: &Endpoint,
    request: &Json<'_>,
    asked: &[(String, Write)],
) -> Answer<Option<BTreeMap<String, Vec<Value>>>> {
    if request.str("ReturnItemCollectionMetrics") != Some("SIZE") {
        return Ok(None);
    }
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (table, write) in asked {
        let (Write::Put(_, key) | Write::Delete(key)) = write;
        if let Some(metrics) = writes::collection_metrics(endpoint, table, key)? {
            told.entry(table.clone()).or_default().push(metrics);
        }
    }
    Ok((!told.is_empty()).then_some(told))
}
