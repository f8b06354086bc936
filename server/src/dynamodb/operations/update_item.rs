//! UpdateItem.

use dynamite_core::api::{Consumed, ReturnValues};
use dynamite_core::error::Error;
use dynamite_core::expression::UpdateError;

use super::writes;
use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, check_parameters, with_placeholders};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn, attributes, legacy};

pub(crate) const FIELDS: &[Field] = &[
    RETURN_CONSUMED_CAPACITY,
    TABLE_NAME,
    RETURN_ITEM_COLLECTION_METRICS,
    RETURN_VALUES,
    RETURN_ON_FAILURE,
    KEY,
    CONDITIONAL_OPERATOR,
    EXPECTED,
    ATTRIBUTE_UPDATES,
    CONDITION_EXPRESSION,
    UPDATE_EXPRESSION,
    EXPRESSION_VALUES,
    EXPRESSION_NAMES,
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check_parameters(
        request,
        &["UpdateExpression", "ConditionExpression"],
        &["AttributeUpdates", "Expected"],
    )?;
    let key = attributes::item_of(request, "Key")?;
    let changes = legacy::update(request)?;
    let expected = writes::expected(request)?;
    let mut said = Said::of(request)?;

    let consumed = Consumed::default();
    let table = arn::table_name(request.str("TableName").unwrap_or_default());
    endpoint.creating.check(table)?;
    let mut update = with_placeholders!(endpoint.db.update_item(table).key(key.clone()), said);
    if let Some(text) = &said.update {
        update = update.update(text);
    }
    if let Some(condition) = &said.condition {
        update = update.condition(condition);
    }
    let is_legacy = changes.is_some();
    if let Some(changes) = changes {
        update = update.update_by_attribute(changes);
    }
    if let Some(condition) = expected {
        update = update.condition_by_attribute(condition);
    }
    if Wanted::of(request).is_any() {
        update = update.consumed(&consumed);
    }
    let updated = update.return_values(return_values(request)).execute_encoded();
    let updated = updated.map_err(|error| match error.cause() {
        // Legacy updates have a text of their own for this.
        Error::Update(UpdateError::OperandType) if is_legacy => {
            Failure::validation("Type mismatch for attribute to update")
        }
        _ => writes::failed(request, error),
    })?;
    writes::answer(endpoint, request, table, &key, updated.attributes, &consumed)
}

fn return_values(request: &Json<'_>) -> ReturnValues {
    match request.str("ReturnValues") {
        Some("ALL_OLD") => ReturnValues::AllOld,
        Some("UPDATED_OLD") => ReturnValues::UpdatedOld,
        Some("ALL_NEW") => ReturnValues::AllNew,
        Some("UPDATED_NEW") => ReturnValues::UpdatedNew,
        _ => ReturnValues::None,
    }
}
