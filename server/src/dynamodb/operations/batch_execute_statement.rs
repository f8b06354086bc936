//! BatchExecuteStatement: each statement has an answer of its own, also if it fails.

use dynamite_core::AttributeValue;
use dynamite_core::api::{Consumed, Deferred, EncodedItem, StatementOutcome};
use serde::Serialize;
use serde_json::Value;

use super::{reply, writes};
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::target::Statements;
use crate::dynamodb::{Endpoint, attributes};
use crate::protocol::statement::are_reads;

pub(crate) const FIELDS: &[Field] = &[
    field(
        "Statements",
        Shape::List(&Member {
            shape: Shape::Structure(&Structure {
                name: "BatchStatementRequest",
                fields: &[STATEMENT, PARAMETERS, CONSISTENT_READ, RETURN_ON_FAILURE],
            }),
            rules: &[],
        }),
        &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(25)],
    ),
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
    error: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<EncodedItem<'static>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Problem {
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Value>,
}

/// A statement, and what it is told by.
struct Asked {
    text: String,
    /// One with a parameter that is none, or of a table that pretends, is not executed.
    parameters: Answer<Vec<AttributeValue>>,
    is_consistent: bool,
    shows_old: bool,
}

impl Asked {
    fn of(endpoint: &Endpoint, statement: &Json<'_>) -> Asked {
        let text = statement.str("Statement").unwrap_or_default();
        let parameters = attributes::parameters(statement);
        Asked {
            text: text.to_owned(),
            parameters: parameters
                .and_then(|parameters| endpoint.creating.check_statement(text).map(|()| parameters)),
            is_consistent: statement.bool("ConsistentRead").unwrap_or_default(),
            shows_old: writes::shows_old(statement),
        }
    }
}

pub(crate) fn statements(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Statements> {
    let asked = request.array("Statements").unwrap_or_default();
    let asked = asked.iter().map(|statement| Asked::of(endpoint, statement)).collect::<Vec<_>>();
    let wanted = Wanted::of(request);
    let ready = asked.iter().filter(|asked| asked.parameters.is_ok());
    let are_reads = are_reads(ready.map(|asked| &*asked.text));
    Ok(Statements { are_reads, run: Box::new(move |_, target| run(asked, wanted, target)) })
}

fn run(mut asked: Vec<Asked>, wanted: Wanted, target: &Deferred<'_>) -> Answer {
    let consumed = Consumed::default();
    let mut batch = target.statement_batch();
    for Asked { text, parameters, .. } in &mut asked {
        if let Ok(parameters) = parameters {
            batch = batch.statement(text, std::mem::take(parameters));
        }
    }
    if wanted.is_any() {
        batch = batch.consumed(&consumed);
    }
    let mut outcomes = batch.execute_encoded()?.into_iter();
    let mut responses = Vec::with_capacity(asked.len());
    let mut entries = consumed.take().into_iter().peekable();
    let (mut consistent, mut eventual) = (Vec::new(), Vec::new());
    for Asked { parameters, is_consistent, shows_old, .. } in asked {
        let outcome = match parameters {
            Ok(_) => outcomes.next(),
            Err(failure) => {
                responses.push(failed(failure, None));
                continue;
            }
        };
        let Some(StatementOutcome { table, item, .. }) = outcome else { continue };
        if item.is_ok() {
            let told = if is_consistent { &mut consistent } else { &mut eventual };
            told.extend(entries.next());
            // Behind the entry of a table come those of its indexes.
            while let Some(entry) = entries.next_if(|entry| entry.index.is_some()) {
                told.push(entry);
            }
        }
        responses.push(match item {
            Ok(item) => {
                let item = item.filter(|item| !writes::is_empty(item));
                Response { error: None, table_name: table, item }
            }
            Err(error) => failed(writes::failed(shows_old, error), table),
        });
    }
    let consumed_capacity = wanted.is_any().then(|| {
        let mut told = capacity::describe(&eventual, wanted, Rate::of(false));
        told.extend(capacity::describe(&consistent, wanted, Rate::of(true)));
        told
    });
    reply(&Told { responses, consumed_capacity })
}

fn failed(failure: Failure, table: Option<String>) -> Response {
    let code = failure.code().to_owned();
    // What was refused before it was tried does not tell of its table.
    let table_name = table.filter(|_| !matches!(&*code, "ResourceNotFound" | "ValidationError"));
    let item = failure.item().cloned();
    Response {
        error: Some(Problem { code, message: failure.message().to_owned(), item }),
        table_name,
        item: None,
    }
}
