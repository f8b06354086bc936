//! Query.

use dynamite_core::api::Consumed;
use dynamite_core::error::Error;
use dynamite_core::expression::ExpressionError;

use super::pages::{self, Select};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, attributes_to_get, check_parameters};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn, legacy};

pub(crate) const FIELDS: &[Field] = &[
    SELECT,
    INDEX_NAME,
    RETURN_CONSUMED_CAPACITY,
    plain("QueryFilter", CONDITIONS),
    TABLE_NAME,
    CONDITIONAL_OPERATOR,
    ATTRIBUTES_TO_GET,
    LIMIT,
    plain("KeyConditions", CONDITIONS),
    EXCLUSIVE_START_KEY,
    CONSISTENT_READ,
    plain("ScanIndexForward", Shape::Boolean),
    KEY_CONDITION_EXPRESSION,
    FILTER_EXPRESSION,
    PROJECTION_EXPRESSION,
    EXPRESSION_VALUES,
    EXPRESSION_NAMES,
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check_parameters(
        request,
        &["ProjectionExpression", "FilterExpression", "KeyConditionExpression"],
        &["AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"],
    )?;
    let filter = legacy::conditions(request, "QueryFilter")?;
    let names = attributes_to_get(request)?;
    let start = pages::start_key(request)?;
    if !request.has("KeyConditions") && !request.has("KeyConditionExpression") {
        return Err(Failure::validation(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ));
    }
    let select = Select::of(request)?;
    let mut said = Said::of(request)?;
    let conditions = legacy::conditions(request, "KeyConditions")?;
    let is_legacy_filter = filter.is_some();
    let filter = filter.map_or(Ok(None), |filter| legacy::together(filter, request))?;

    let table = arn::table_name(request.str("TableName").unwrap_or_default());
    endpoint.creating.check(table)?;
    let consumed = Consumed::default();
    let mut query = endpoint.db.query(table);
    if let Some(conditions) = conditions {
        // The key of an index may have more attributes.
        if conditions.is_empty() || conditions.len() > 2 && !request.has("IndexName") {
            return Err(Failure::validation("Conditions can be of length 1 or 2 only"));
        }
        query = query.key_condition_by_attribute(legacy::key_condition(conditions));
    }
    if let Some(filter) = filter {
        query = query.filter_by_attribute(filter);
    }
    if let Some(key_condition) = &said.key_condition {
        query = query.key_condition(key_condition);
    }
    if request.bool("ScanIndexForward") == Some(false) {
        query = query.scan_forward(false);
    }
    let query = pages::ask!(query, request, said, names, select, start, &consumed);
    let read = pages::read!(query, select).map_err(|error| match error {
        Error::Expression(ExpressionError::FilterOnKey { name }) if is_legacy_filter => Failure::validation(
            format!("QueryFilter can only contain non-primary key attributes: Primary key attribute: {name}"),
        ),
        other => other.into(),
    })?;
    pages::tell(request, read, &consumed)
}
