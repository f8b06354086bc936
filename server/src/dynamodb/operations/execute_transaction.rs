//! ExecuteTransaction.

use dynamite_core::api::Consumed;
use dynamite_core::error::Error;

use super::reply_transacted;
use crate::dynamodb::capacity::Wanted;
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
    reply_transacted(&found, wanted, &consumed)
}

fn failed(error: Error) -> Failure {
    match error {
        Error::Operation { operation, source } => Failure::from(*source).in_statement(operation),
        other => other.into(),
    }
}
