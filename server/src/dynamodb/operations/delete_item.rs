//! DeleteItem.

use dynamite_core::api::Consumed;

use super::writes;
use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::errors::Answer;
use crate::dynamodb::expressions::{Said, check_parameters, with_placeholders};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn, attributes};

pub(crate) const FIELDS: &[Field] = &[
    RETURN_CONSUMED_CAPACITY,
    TABLE_NAME,
    RETURN_VALUES,
    RETURN_ITEM_COLLECTION_METRICS,
    RETURN_ON_FAILURE,
    KEY,
    CONDITIONAL_OPERATOR,
    EXPECTED,
    CONDITION_EXPRESSION,
    EXPRESSION_VALUES,
    EXPRESSION_NAMES,
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check_parameters(request, &["ConditionExpression"], &["Expected"])?;
    let key = attributes::item_of(request, "Key")?;
    writes::check_return_values(request)?;
    let expected = writes::expected(request)?;
    let mut said = Said::of(request)?;

    let consumed = Consumed::default();
    let table = arn::table_name(request.str("TableName").unwrap_or_default());
    endpoint.creating.check(table)?;
    let mut delete = with_placeholders!(endpoint.db.delete_item(table).key(key.clone()), said);
    if let Some(condition) = &said.condition {
        delete = delete.condition(condition);
    }
    if let Some(condition) = expected {
        delete = delete.condition_by_attribute(condition);
    }
    if Wanted::of(request).is_any() {
        delete = delete.consumed(&consumed);
    }
    let old = match request.str("ReturnValues") {
        Some("ALL_OLD") => delete.execute_returning_old_encoded(),
        _ => delete.execute().map(|_| None),
    };
    let old = old.map_err(|error| writes::failed(request, error))?;
    writes::answer(endpoint, request, table, &key, old, &consumed)
}
