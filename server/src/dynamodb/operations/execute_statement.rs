//! ExecuteStatement.

use dynamite_core::api::Consumed;

use super::writes;
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::Answer;
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::reply::ReplyJson;
use crate::dynamodb::target::{Statements, Write};
use crate::dynamodb::{Endpoint, attributes};
use crate::protocol::statement::are_reads;

pub(crate) const FIELDS: &[Field] = &[
    STATEMENT,
    PARAMETERS,
    CONSISTENT_READ,
    field("NextToken", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(32_768)]),
    RETURN_CONSUMED_CAPACITY,
    LIMIT,
    RETURN_ON_FAILURE,
];

pub(crate) fn statements(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Statements> {
    let parameters = attributes::parameters(request)?;
    let text = request.str("Statement").unwrap_or_default().to_owned();
    endpoint.creating.check_statement(&text)?;
    let is_consistent = request.bool("ConsistentRead").unwrap_or_default();
    let token = request.str("NextToken").map(str::to_owned);
    let limit = request.integer("Limit").map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (wanted, shows_old) = (Wanted::of(request), writes::shows_old(request));
    let are_reads = are_reads([&*text].into_iter());
    let run: Write = Box::new(move |_, target| {
        let consumed = Consumed::default();
        let mut statement = target.statement(&text).parameters(parameters).consistent(is_consistent);
        if let Some(token) = &token {
            statement = statement.next_token(token);
        }
        if let Some(limit) = limit {
            statement = statement.limit(limit);
        }
        if wanted.is_any() {
            statement = statement.consumed(&consumed);
        }
        let page = statement.execute_encoded().map_err(|error| writes::failed(shows_old, error))?;
        let consumed_capacity = capacity::describe_one(&consumed.take(), wanted, Rate::of(is_consistent));
        let mut reply = ReplyJson::new();
        reply.items("Items", &page.items)?;
        reply.optional("NextToken", page.next_token.as_ref())?;
        reply.optional("LastEvaluatedKey", page.last_evaluated_key.as_ref())?;
        reply.optional("ConsumedCapacity", consumed_capacity.as_ref())?;
        reply.end()
    });
    Ok(Statements { are_reads, run })
}
