//! GetItem.

use dynamite_core::api::Consumed;
use dynamite_core::error::{Error, Invalid};
use dynamite_core::key_codec::KeyError;

use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, attributes_to_get, check_parameters, with_names};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::reply::ReplyJson;
use crate::dynamodb::{Endpoint, arn, attributes};

pub(crate) const FIELDS: &[Field] = &[
    RETURN_CONSUMED_CAPACITY,
    ATTRIBUTES_TO_GET,
    TABLE_NAME,
    KEY,
    CONSISTENT_READ,
    PROJECTION_EXPRESSION,
    EXPRESSION_NAMES,
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check_parameters(request, &["ProjectionExpression"], &["AttributesToGet"])?;
    let key = attributes::item_of(request, "Key")?;
    let names = attributes_to_get(request)?;
    let mut said = Said::of(request)?;
    let (wanted, consumed) = (Wanted::of(request), Consumed::default());

    let table = arn::table_name(request.str("TableName").unwrap_or_default());
    endpoint.creating.check(table)?;
    let mut get = with_names!(endpoint.db.get_item(table).key(key), said);
    if let Some(names) = names {
        get = get.attributes(names);
    }
    if let Some(projection) = &said.projection {
        get = get.projection(projection);
    }
    if wanted.is_any() {
        get = get.consumed(&consumed);
    }
    let item = get.execute_encoded().map_err(failed)?;
    let rate = Rate::of(request.bool("ConsistentRead").unwrap_or_default());
    let mut reply = ReplyJson::new();
    reply.optional("ConsumedCapacity", capacity::describe_one(&consumed.take(), wanted, rate).as_ref())?;
    if let Some(item) = &item {
        reply.item("Item", item)?;
    }
    reply.end()
}

/// The service was recorded to have a text of its own for empty keys here.
fn failed(error: Error) -> Failure {
    match error {
        Error::Validation(Invalid::Key(KeyError::Empty { kind, attribute })) => {
            Failure::invalid(format_args!(
                "The AttributeValue for a key attribute cannot contain an empty {kind} value. Key: {attribute}"
            ))
        }
        other => other.into(),
    }
}
