//! PutItem.

use dynamite_core::api::Consumed;
use dynamite_core::api::EncodedItem;

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
    ITEM,
    CONDITIONAL_OPERATOR,
    EXPECTED,
    RETURN_VALUES,
    RETURN_ITEM_COLLECTION_METRICS,
    RETURN_ON_FAILURE,
    CONDITION_EXPRESSION,
    EXPRESSION_VALUES,
    EXPRESSION_NAMES,
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check_parameters(request, &["ConditionExpression"], &["Expected"])?;
    let item = attributes::item_of(request, "Item")?;
    writes::check_return_values(request)?;
    let encoded = EncodedItem::of(&item)?;
    let expected = writes::expected(request)?;
    let mut said = Said::of(request)?;

    let consumed = Consumed::default();
    let table = arn::table_name(request.str("TableName").unwrap_or_default());
    endpoint.creating.check(table)?;
    let mut put = with_placeholders!(endpoint.db.put(table).item(&encoded), said);
    if let Some(condition) = &said.condition {
        put = put.condition(condition);
    }
    if let Some(condition) = expected {
        put = put.condition_by_attribute(condition);
    }
    if Wanted::of(request).is_any() {
        put = put.consumed(&consumed);
    }
    let old = match request.str("ReturnValues") {
        Some("ALL_OLD") => put.execute_returning_old_encoded().map(|replaced| replaced.old),
        _ => put.execute().map(|_| None),
    };
    let old = old.map_err(|error| writes::failed(request, error))?;
    writes::answer(endpoint, request, table, &item, old, &consumed)
}
