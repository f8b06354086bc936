//! ExecuteTransaction.

use dynamite_core::api::{Consumed, EncodedItem};
use dynamite_core::error::Error;
use serde::Serialize;
use serde_json::Value;

use super::reply;
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, attributes};

pub(crate) const FIELDS: &[Field] = &[
    field(
        "TransactStatements",
        Shape::List(&Member {
            shape: Shape::Structure(&Structure {
                name: "ParameterizedStatement",
                fields: &[STATEMENT, PARAMETERS, RETURN_ON_FAILURE],
            }),
            rules: &[],
        }),
        &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(100)],
    ),
    field("ClientRequestToken", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(36)]),
    RETURN_CONSUMED_CAPACITY,
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    responses: Vec<Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Value>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<EncodedItem<'static>>,
}

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let statements = request.array("TransactStatements").unwrap_or_default();
    let parameters = statements.iter().map(attributes::parameters).collect::<Answer<Vec<_>>>()?;
    let (wanted, consumed) = (Wanted::of(request), Consumed::default());
    let mut transaction = endpoint.db.statement_transaction();
    for (statement, parameters) in statements.iter().zip(parameters) {
        let text = statement.str("Statement").unwrap_or_default();
        endpoint.creating.check_statement(text)?;
        let returns_old = statement.str("ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD");
        transaction = transaction.statement_returning_old(text, parameters, returns_old);
    }
    if let Some(token) = request.str("ClientRequestToken") {
        transaction = transaction.token(token);
    }
    if wanted.is_any() {
        transaction = transaction.consumed(&consumed);
    }
    let found = transaction.execute_encoded().map_err(failed)?;
    reply(&Told {
        responses: found.into_iter().map(|item| Response { item }).collect(),
        consumed_capacity: wanted
            .is_any()
            .then(|| capacity::describe(&consumed.take(), wanted, Rate::of_transaction())),
    })
}

fn failed(error: Error) -> Failure {
    match error {
        Error::Operation { operation, source } => Failure::from(*source).in_statement(operation),
        other => other.into(),
    }
}
