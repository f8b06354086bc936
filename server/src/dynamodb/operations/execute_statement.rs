//! ExecuteStatement.

use dynamite_core::Item;
use dynamite_core::api::{Consumed, EncodedItem};
use serde::Serialize;
use serde_json::Value;

use super::{reply, writes};
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::Answer;
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, attributes};

pub(crate) const FIELDS: &[Field] = &[
    STATEMENT,
    PARAMETERS,
    CONSISTENT_READ,
    field("NextToken", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(32_768)]),
    RETURN_CONSUMED_CAPACITY,
    LIMIT,
    RETURN_ON_FAILURE,
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    items: Vec<EncodedItem<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_key: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Value>,
}

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let parameters = attributes::parameters(request)?;
    let text = request.str("Statement").unwrap_or_default();
    endpoint.creating.check_statement(text)?;
    let is_consistent = request.bool("ConsistentRead").unwrap_or_default();
    let mut statement = endpoint.db.statement(text).parameters(parameters).consistent(is_consistent);
    if let Some(token) = request.str("NextToken") {
        statement = statement.next_token(token);
    }
    if let Some(limit) = request.integer("Limit") {
        statement = statement.limit(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let (wanted, consumed) = (Wanted::of(request), Consumed::default());
    if wanted.is_any() {
        statement = statement.consumed(&consumed);
    }
    let page = statement.execute_encoded().map_err(|error| writes::failed(request, error))?;
    reply(&Told {
        items: page.items,
        next_token: page.next_token,
        last_evaluated_key: page.last_evaluated_key,
        consumed_capacity: capacity::describe_one(&consumed.take(), wanted, Rate::of(is_consistent)),
    })
}
