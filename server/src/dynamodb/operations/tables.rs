//! DescribeTable, ListTables, DeleteTable.

use serde_json::json;

use super::reply;
use crate::dynamodb::creating::in_use;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{Statuses, TableSettings};
use crate::dynamodb::{Endpoint, arn};

use dynamite_core::api::TableDescription;
use dynamite_core::error::Error;

pub(crate) const DESCRIBE_FIELDS: &[Field] = &[TABLE];
pub(crate) const DELETE_FIELDS: &[Field] = &[TABLE];
pub(crate) const LIST_FIELDS: &[Field] = &[
    field("Limit", Shape::Integer, &[Rule::AtLeast(1), Rule::AtMost(100)]),
    field(
        "ExclusiveStartTableName",
        Shape::String,
        &[Rule::Pattern(Pattern::Name), Rule::MinLength(3), Rule::MaxLength(255)],
    ),
];

const MAX_LISTED: usize = 100;

/// A table that is itself what a request is about.
pub(crate) fn find(endpoint: &Endpoint, name: &str) -> Answer<TableDescription> {
    endpoint.db.describe_table(name).map_err(|error| match error {
        Error::TableNotFound { .. } => Failure::not_found(error.to_string()),
        other => other.into(),
    })
}

pub(crate) fn describe(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let table = find(endpoint, arn::table_name(request.str("TableName").unwrap_or_default()))?;
    let settings = TableSettings::of(&table)?;
    let statuses =
        if endpoint.creating.contains(&table.name) { Statuses::CREATING } else { Statuses::ACTIVE };
    reply(&json!({"Table": settings.describe(&endpoint.config, &table, statuses)}))
}

pub(crate) fn delete(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    let _turn = endpoint.control();
    let table = find(endpoint, name)?;
    if endpoint.creating.contains(name) {
        return Err(in_use(name));
    }
    let settings = TableSettings::of(&table)?;
    if settings.deletion_protection == Some(true) {
        return Err(Failure::validation(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        ));
    }
    endpoint.db.drop_table(name)?;
    let statuses = Statuses { table: "DELETING", indexes: None };
    reply(&json!({"TableDescription": settings.describe(&endpoint.config, &table, statuses)}))
}

pub(crate) fn list(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let limit = request.integer("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_LISTED);
    let start = request.str("ExclusiveStartTableName");
    let mut names = endpoint.db.list_tables()?;
    names.retain(|name| start.is_none_or(|start| name.as_str() > start));
    let has_more = names.len() > limit;
    names.truncate(limit);
    let mut told = json!({"TableNames": names});
    if let Some(last) = names.last().filter(|_| has_more) {
        told["LastEvaluatedTableName"] = json!(last);
    }
    reply(&told)
}

/// Refuses a request for what tables have none of.
pub(crate) fn refuse(request: &Json<'_>, field: &str, things: &str) -> Answer<()> {
    match request.array(field).is_some_and(|wanted| !wanted.is_empty()) {
        true => {
            Err(Failure::invalid(format_args!("{field} cannot be specified: tables have no {things} here")))
        }
        false => Ok(()),
    }
}
