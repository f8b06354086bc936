//! ExecuteStatement.

use dynamite_core::api::Consumed;

use super::writes;
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::Answer;
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::reply::ReplyJson;
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
    let consumed_capacity = capacity::describe_one(&consumed.take(), wanted, Rate::of(is_consistent));
    let mut reply = ReplyJson::new();
    reply.items("Items", &page.items)?;
    reply.optional("NextToken", page.next_token.as_ref())?;
    reply.optional("LastEvaluatedKey", page.last_evaluated_key.as_ref())?;
    reply.optional("ConsumedCapacity", consumed_capacity.as_ref())?;
    reply.end()
}
