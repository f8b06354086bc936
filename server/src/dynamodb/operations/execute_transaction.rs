//! ExecuteTransaction.

use dynamite_core::api::Consumed;
use dynamite_core::error::Error;

use super::{reply_transacted, writes};
use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::target::{Statements, Write};
use crate::dynamodb::{Endpoint, attributes};
use crate::protocol::statement::are_reads;

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

pub(crate) fn statements(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Statements> {
    let statements = request.array("TransactStatements").unwrap_or_default();
    let parameters = statements.iter().map(attributes::parameters).collect::<Answer<Vec<_>>>()?;
    let mut asked = Vec::with_capacity(statements.len());
    for (statement, parameters) in statements.iter().zip(parameters) {
        let text = statement.str("Statement").unwrap_or_default();
        endpoint.creating.check_statement(text)?;
        asked.push((text.to_owned(), parameters, writes::shows_old(statement)));
    }
    let token = request.str("ClientRequestToken").map(str::to_owned);
    let wanted = Wanted::of(request);
    let are_reads = are_reads(asked.iter().map(|(text, ..)| &**text));
    let run: Write = Box::new(move |_, target| {
        let consumed = Consumed::default();
        let mut transaction = target.statement_transaction();
        for (text, parameters, returns_old) in &mut asked {
            let parameters = std::mem::take(parameters);
            transaction = transaction.statement_returning_old(text, parameters, *returns_old);
        }
        if let Some(token) = &token {
            transaction = transaction.token(token);
        }
        if wanted.is_any() {
            transaction = transaction.consumed(&consumed);
        }
        let found = transaction.execute_encoded().map_err(failed)?;
        // Of writes nothing is told, not even how many there were.
        reply_transacted(if are_reads { &found } else { &[] }, wanted, &consumed)
    });
    Ok(Statements { are_reads, run })
}

fn failed(error: Error) -> Failure {
    match error {
        Error::Operation { operation, source } => Failure::from(*source).in_statement(operation),
        other => other.into(),
    }
}
