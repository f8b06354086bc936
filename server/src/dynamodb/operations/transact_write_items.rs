//! TransactWriteItems.

use std::collections::BTreeMap;

use dynamite_core::Item;
use dynamite_core::api::{Check, Consumed, Deferred, Delete, EncodedItem, Put, TransactWrite, Update};
use serde::Serialize;
use serde_json::Value;

use super::{reply, writes};
use crate::dynamodb::attributes::Given;
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, check_parameters, with_placeholders};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::target::Write;
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
    field("ClientRequestToken", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(36)]),
    RETURN_CONSUMED_CAPACITY,
    RETURN_ITEM_COLLECTION_METRICS,
    field(
        "TransactItems",
        Shape::List(&Member { shape: Shape::Structure(&ACTION), rules: &[] }),
        &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(100)],
    ),
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
struct Asked {
    kind: &'static str,
    table: String,
    /// The item that is put.
    item: Option<EncodedItem<'static>>,
    /// The key of one that is not.
    key: Item,
    returns_old: bool,
    said: Said,
}

pub(crate) fn write(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Write> {
    let actions = request.array("TransactItems").unwrap_or_default();
    let mut asked: Vec<Asked> = Vec::with_capacity(actions.len());
    for action in actions {
        match read(action) {
            Ok(action) => asked.push(action),
            Err(failure) => {
                // The first action that is wrong is told of, also if it is its expressions, which are read later.
                asked.iter().try_for_each(|before| before.said.check())?;
                return Err(failure);
            }
        }
    }
    asked.iter().try_for_each(|asked| endpoint.creating.check(&asked.table))?;
    let token = request.str("ClientRequestToken").map(str::to_owned);
    let wanted = Wanted::of(request);
    let has_metrics = request.str("ReturnItemCollectionMetrics") == Some("SIZE");
    Ok(Box::new(move |endpoint, target| {
        let consumed = Consumed::default();
        let mut transaction = asked.iter().fold(target.transact_write(), add);
        if let Some(token) = &token {
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
            item_collection_metrics: if has_metrics { metrics(endpoint, &asked)? } else { None },
        })
    }))
}

fn read(action: &Json<'_>) -> Answer<Asked> {
    let mut kinds = KINDS.into_iter().filter(|kind| action.has(kind));
    let Some(kind) = kinds.next() else {
        let text = "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request";
        return Err(Failure::validation(text));
    };
    if kinds.next().is_some() {
        let text = "TransactItems can only contain one of Check, Put, Update or Delete";
        return Err(Failure::validation(text));
    }
    let request = action.field(kind).unwrap_or(action);
    check_parameters(request, &["UpdateExpression", "ConditionExpression"], &[])?;
    let (item, key) = match kind {
        "Put" => (Some(Given::of(request)?.encode()?), Item::new()),
        _ => (None, attributes::item_of(request, "Key")?),
    };
    Ok(Asked {
        kind,
        table: arn::table_name(request.str("TableName").unwrap_or_default()).to_owned(),
        item,
        key,
        returns_old: request.str("ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD"),
        said: Said::of(request)?,
    })
}

fn add<'t, 'd>(
    transaction: TransactWrite<'t, Deferred<'d>>,
    asked: &'t Asked,
) -> TransactWrite<'t, Deferred<'d>> {
    let (table, said) = (&*asked.table, &asked.said);
    let mut maps = Said { names: said.names.clone(), values: said.values.clone(), ..Said::default() };
    macro_rules! finish {
        ($action:expr) => {{
            let mut action = with_placeholders!($action, maps).return_old_on_failure(asked.returns_old);
            if let Some(condition) = &said.condition {
                action = action.condition(condition);
            }
            action
        }};
    }
    match asked.kind {
        "Put" => {
            let mut put = Put::new(table);
            if let Some(item) = &asked.item {
                put = put.item(item);
            }
            transaction.put(finish!(put))
        }
        "Delete" => transaction.delete(finish!(Delete::new(table).key(asked.key.clone()))),
        "Update" => {
            let mut update = Update::new(table).key(asked.key.clone());
            if let Some(text) = &said.update {
                update = update.update(text);
            }
            transaction.update(finish!(update))
        }
        _ => transaction.check(finish!(Check::new(table).key(asked.key.clone()))),
    }
}

fn metrics(endpoint: &Endpoint, asked: &[Asked]) -> Answer<Option<BTreeMap<String, Vec<Value>>>> {
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for asked in asked.iter().filter(|asked| asked.kind != "ConditionCheck") {
        let metrics = writes::collection_metrics(endpoint, &asked.table, |name| match &asked.item {
            Some(item) => writes::value_of(item, name),
            None => asked.key.get(name).cloned(),
        });
        if let Some(metrics) = metrics? {
            told.entry(asked.table.clone()).or_default().push(metrics);
        }
    }
    Ok((!told.is_empty()).then_some(told))
}
