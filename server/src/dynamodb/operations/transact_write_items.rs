//! TransactWriteItems.

use std::collections::BTreeMap;

use dynamite_core::Item;
use dynamite_core::api::EncodedItem;
use dynamite_core::api::{Check, Consumed, Delete, Put, TransactWrite, Update};
use serde::Serialize;
use serde_json::Value;

use super::{reply, writes};
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, check_parameters, with_placeholders};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn, attributes};

/// An update of a transaction must say what it updates, and a check what it checks.
const REQUIRED_UPDATE: Field = field("UpdateExpression", Shape::String, &[Rule::NotNull]);
const REQUIRED_CONDITION: Field = field("ConditionExpression", Shape::String, &[Rule::NotNull]);

const ACTION: Structure = Structure {
    name: "TransactWriteItem",
    fields: &[
        plain(
            "ConditionCheck",
            Shape::Structure(&Structure {
                name: "ConditionCheck",
                fields: &[
                    KEY,
                    TABLE_NAME,
                    REQUIRED_CONDITION,
                    EXPRESSION_NAMES,
                    EXPRESSION_VALUES,
                    RETURN_ON_FAILURE,
                ],
            }),
        ),
        plain(
            "Put",
            Shape::Structure(&Structure {
                name: "Put",
                fields: &[
                    ITEM,
                    TABLE_NAME,
                    CONDITION_EXPRESSION,
                    EXPRESSION_NAMES,
                    EXPRESSION_VALUES,
                    RETURN_ON_FAILURE,
                ],
            }),
        ),
        plain(
            "Delete",
            Shape::Structure(&Structure {
                name: "Delete",
                fields: &[
                    KEY,
                    TABLE_NAME,
                    CONDITION_EXPRESSION,
                    EXPRESSION_NAMES,
                    EXPRESSION_VALUES,
                    RETURN_ON_FAILURE,
                ],
            }),
        ),
        plain(
            "Update",
            Shape::Structure(&Structure {
                name: "Update",
                fields: &[
                    KEY,
                    REQUIRED_UPDATE,
                    TABLE_NAME,
                    CONDITION_EXPRESSION,
                    EXPRESSION_NAMES,
                    EXPRESSION_VALUES,
                    RETURN_ON_FAILURE,
                ],
            }),
        ),
    ],
};

pub(crate) const FIELDS: &[Field] = &[
    RETURN_CONSUMED_CAPACITY,
    RETURN_ITEM_COLLECTION_METRICS,
    field(
        "TransactItems",
        Shape::List(&Member { shape: Shape::Structure(&ACTION), rules: &[] }),
        &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(100)],
    ),
    field("ClientRequestToken", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(36)]),
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_collection_metrics: Option<BTreeMap<String, Vec<Value>>>,
}

const KINDS: [&str; 4] = ["ConditionCheck", "Put", "Delete", "Update"];

/// One action.
struct Asked<'r, 'a> {
    kind: &'static str,
    request: &'r Json<'a>,
    /// The item that is put, or the key.
    item: Item,
    encoded: Option<EncodedItem<'static>>,
    said: Said,
}

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let actions = request.array("TransactItems").unwrap_or_default();
    let mut asked = actions.iter().map(read).collect::<Answer<Vec<_>>>()?;
    let (wanted, consumed) = (Wanted::of(request), Consumed::default());
    let placeholders = asked.iter_mut().map(|asked| std::mem::take(&mut asked.said)).collect::<Vec<_>>();
    let mut transaction = endpoint.db.transact_write();
    let said = placeholders.iter();
    for (asked, said) in asked.iter().zip(said) {
        endpoint.creating.check(arn::table_name(asked.request.str("TableName").unwrap_or_default()))?;
        transaction = add(transaction, asked, said);
    }
    if let Some(token) = request.str("ClientRequestToken") {
        transaction = transaction.token(token);
    }
    if wanted.is_any() {
        transaction = transaction.consumed(&consumed);
    }
    transaction.execute().map_err(Failure::from)?;
    reply(&Written {
        consumed_capacity: wanted
            .is_any()
            .then(|| capacity::describe(&consumed.take(), wanted, Rate::of_transaction())),
        item_collection_metrics: metrics(endpoint, request, &asked)?,
    })
}

fn read<'r, 'a>(action: &'r Json<'a>) -> Answer<Asked<'r, 'a>> {
    let mut kinds = KINDS.into_iter().filter(|kind| action.has(kind));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err(Failure::validation(
            "TransactItems can only contain one of Check, Put, Update or Delete",
        ));
    };
    let request = action.field(kind).unwrap_or(action);
    check_parameters(request, &["UpdateExpression", "ConditionExpression"], &[])?;
    let item = attributes::item_of(request, if kind == "Put" { "Item" } else { "Key" })?;
    let encoded = match kind {
        "Put" => Some(EncodedItem::of(&item)?),
        _ => None,
    };
    Ok(Asked { kind, request, item, encoded, said: Said::of(request)? })
}

fn add<'t>(transaction: TransactWrite<'t>, asked: &'t Asked<'_, '_>, said: &'t Said) -> TransactWrite<'t> {
    let table = arn::table_name(asked.request.str("TableName").unwrap_or_default());
    let returns_old = asked.request.str("ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD");
    let mut maps = Said { names: said.names.clone(), values: said.values.clone(), ..Said::default() };
    macro_rules! finish {
        ($action:expr) => {{
            let mut action = with_placeholders!($action, maps).return_old_on_failure(returns_old);
            if let Some(condition) = &said.condition {
                action = action.condition(condition);
            }
            action
        }};
    }
    match asked.kind {
        "Put" => {
            let mut put = Put::new(table);
            if let Some(item) = &asked.encoded {
                put = put.item(item);
            }
            transaction.put(finish!(put))
        }
        "Delete" => transaction.delete(finish!(Delete::new(table).key(asked.item.clone()))),
        "Update" => {
            let mut update = Update::new(table).key(asked.item.clone());
            if let Some(text) = &said.update {
                update = update.update(text);
            }
            transaction.update(finish!(update))
        }
        _ => transaction.check(finish!(Check::new(table).key(asked.item.clone()))),
    }
}

fn metrics(
    endpoint: &Endpoint,
    request: &Json<'_>,
    asked: &[Asked<'_, '_>],
) -> Answer<Option<BTreeMap<String, Vec<Value>>>> {
    if request.str("ReturnItemCollectionMetrics") != Some("SIZE") {
        return Ok(None);
    }
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for asked in asked.iter().filter(|asked| asked.kind != "ConditionCheck") {
        let table = arn::table_name(asked.request.str("TableName").unwrap_or_default());
        if let Some(metrics) = writes::collection_metrics(endpoint, table, &asked.item)? {
            told.entry(table.to_owned()).or_default().push(metrics);
        }
    }
    Ok((!told.is_empty()).then_some(told))
}
