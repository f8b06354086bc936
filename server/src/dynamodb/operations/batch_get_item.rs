//! BatchGetItem.

use std::collections::BTreeMap;

use dynamite_core::Item;
use dynamite_core::api::{Consumed, ConsumedEntry, EncodedItem};
use dynamite_core::limits::MAX_ITEM_SIZE;
use serde_json::{Value, json};

use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, attributes_to_get, check_parameters, mixed};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::reply::ReplyJson;
use crate::dynamodb::{Endpoint, arn, attributes};

pub(crate) const FIELDS: &[Field] = &[
    field(
        "RequestItems",
        Shape::Map(&Member {
            shape: Shape::Structure(&Structure {
                name: "KeysAndAttributes",
                fields: &[
                    field(
                        "Keys",
                        Shape::List(&Member { shape: ATTRIBUTES, rules: &[] }),
                        &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(100)],
                    ),
                    ATTRIBUTES_TO_GET,
                    CONSISTENT_READ,
                    PROJECTION_EXPRESSION,
                    EXPRESSION_NAMES,
                ],
            }),
            rules: &[],
        }),
        BY_TABLE,
    ),
    RETURN_CONSUMED_CAPACITY,
];

const MAX_KEYS: usize = 100;

/// Bytes of items in one answer.
const MAX_ANSWER: usize = 16 << 20;

/// Bytes of items of one table in one answer. The service ends at 1 MB for each partition, after whatever item comes next; a table
/// that nobody has split is one partition.
const MAX_OF_TABLE: usize = (1 << 20) + MAX_ITEM_SIZE - 3;

/// What is asked of one table.
struct Asked<'r, 'a> {
    name: String,
    table: String,
    request: &'r Json<'a>,
    keys: Vec<Item>,
    attributes: Option<Vec<String>>,
    said: Said,
}

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let mut asked: Vec<Asked<'_, '_>> = Vec::new();
    let mut count = 0;
    let tables = request.object("RequestItems").unwrap_or_default();
    // One way of saying it for all tables.
    if ["AttributesToGet", "ProjectionExpression"]
        .iter()
        .all(|name| tables.iter().any(|(_, table)| table.has(name)))
    {
        return Err(mixed("AttributesToGet", "ProjectionExpression"));
    }
    for (name, table) in tables {
        check_parameters(table, &["ProjectionExpression"], &["AttributesToGet"])?;
        let attributes = attributes_to_get(table)?;
        let said = Said::of(table)?;
        said.check()?;
        let mut keys: Vec<Item> = Vec::new();
        for key in table.array("Keys").unwrap_or_default() {
            let key = attributes::item(key.as_object().unwrap_or_default()).map_err(Failure::validation)?;
            if keys.contains(&key) {
                return Err(Failure::validation("Provided list of item keys contains duplicates"));
            }
            keys.push(key);
            count += 1;
            if count > MAX_KEYS {
                return Err(Failure::validation("Too many items requested for the BatchGetItem call"));
            }
        }
        let table_name = arn::table_name(name).to_owned();
        if asked.iter().any(|other| other.table == table_name) {
            return Err(Failure::validation(
                "Each table name or ARN can be used only once per BatchGetItem request",
            ));
        }
        asked.push(Asked {
            name: name.to_string(),
            table: table_name,
            request: table,
            keys,
            attributes,
            said,
        });
    }

    asked.iter().try_for_each(|asked| endpoint.creating.check(&asked.table))?;
    let consumed = Consumed::default();
    let mut batch = endpoint.db.batch_get();
    for Asked { table, keys, .. } in &asked {
        for key in keys {
            batch = batch.get_named(table, key.clone());
        }
    }
    for Asked { table, attributes, said, .. } in &asked {
        if let Some(names) = attributes {
            batch = batch.attributes(table, names.iter().map(String::as_str));
        }
        if let Some(projection) = &said.projection {
            batch = batch.projection(table, projection);
        }
        if let Some(names) = &said.names {
            batch = batch.names(table, names.clone());
        }
    }
    let found = batch.consumed(&consumed).execute_encoded().map_err(Failure::from)?;
    tell(request, asked, found, consumed.take())
}

fn tell(
    request: &Json<'_>,
    asked: Vec<Asked<'_, '_>>,
    found: Vec<Option<EncodedItem<'static>>>,
    entries: Vec<ConsumedEntry>,
) -> Answer {
    let wanted = Wanted::of(request);
    let (mut responses, mut unprocessed) = (BTreeMap::new(), BTreeMap::new());
    let mut consumed_capacity = wanted.is_any().then(Vec::new);
    let (mut found, mut entries, mut size) = (found.into_iter(), entries.into_iter(), 0);
    for Asked { name, request, keys, .. } in asked {
        let (mut items, mut left, mut counted) = (Vec::new(), Vec::new(), Vec::new());
        let mut size_of_table = 0;
        for key in keys {
            let (item, entry) = (found.next().flatten(), entries.next());
            // What does not fit in is asked for again; the size is that of the stored item, as it is billed.
            let bytes = entry.as_ref().map_or(0, |entry| entry.bytes as usize);
            if size + bytes > MAX_ANSWER || size_of_table + bytes > MAX_OF_TABLE {
                left.push(key);
                // It was looked for, which costs as much as if it were small.
                counted.extend(entry.map(|mut entry| {
                    entry.bytes = 0;
                    entry
                }));
                continue;
            }
            size += bytes;
            size_of_table += bytes;
            counted.extend(entry);
            items.extend(item);
        }
        if let Some(capacity) = &mut consumed_capacity {
            let rate = Rate::of(request.bool("ConsistentRead").unwrap_or_default());
            capacity.extend(capacity::describe(&counted, wanted, rate));
        }
        if !left.is_empty() {
            unprocessed.insert(name.clone(), again(request, &left));
        }
        responses.insert(name, items);
    }
    let mut reply = ReplyJson::new();
    reply.begin_object("Responses")?;
    responses.iter().try_for_each(|(name, items)| reply.items(name, items))?;
    reply.end_object();
    reply.field("UnprocessedKeys", &unprocessed)?;
    reply.optional("ConsumedCapacity", consumed_capacity.as_ref())?;
    reply.end()
}

/// The request for what is left.
fn again(request: &Json<'_>, keys: &[Item]) -> Value {
    let mut again = json!({"Keys": keys});
    for field in ["AttributesToGet", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"] {
        if let Some(value) = request.field(field) {
            again[field] = serde_json::from_str(&value.to_string()).unwrap_or_default();
        }
    }
    again
}
