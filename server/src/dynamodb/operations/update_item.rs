//! UpdateItem.

use dynamite_core::api::{Consumed, ReturnValues};
use dynamite_core::error::Error;
use dynamite_core::expression::UpdateError;

use super::writes::{self, Asked};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, check_parameters, with_placeholders};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::target::Write;
use crate::dynamodb::{Endpoint, attributes, legacy};

pub(crate) const FIELDS: &[Field] = &[
    RETURN_CONSUMED_CAPACITY,
    TABLE_NAME,
    RETURN_ITEM_COLLECTION_METRICS,
    RETURN_VALUES,
    RETURN_ON_FAILURE,
    CONDITIONAL_OPERATOR,
    KEY,
    EXPECTED,
    ATTRIBUTE_UPDATES,
    CONDITION_EXPRESSION,
    UPDATE_EXPRESSION,
    EXPRESSION_VALUES,
    EXPRESSION_NAMES,
];

pub(crate) fn write(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Write> {
    check_parameters(
        request,
        &["UpdateExpression", "ConditionExpression"],
        &["AttributeUpdates", "Expected"],
    )?;
    let key = attributes::item_of(request, "Key")?;
    let changes = legacy::update(request)?;
    let expected = writes::expected(request)?;
    let (mut said, asked) = (Said::of(request)?, Asked::of(request));
    let returned = return_values(request);
    endpoint.creating.check(&asked.table)?;
    Ok(Box::new(move |endpoint, target| {
        let consumed = Consumed::default();
        let mut update = with_placeholders!(target.update_item(&asked.table).key(key.clone()), said);
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
        if asked.is_counted() {
            update = update.consumed(&consumed);
        }
        let updated = update.return_values(returned).execute_encoded();
        let updated = updated.map_err(|error| match error.cause() {
            // Legacy updates have a text of their own for this.
            Error::Update(UpdateError::OperandType) if is_legacy => {
                Failure::validation("Type mismatch for attribute to update")
            }
            _ => asked.failed(error),
        })?;
        asked.answer(endpoint, |name| key.get(name).cloned(), updated.attributes, &consumed)
    }))
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
