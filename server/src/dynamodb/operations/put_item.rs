//! PutItem.

use dynamite_core::api::Consumed;

use super::writes::{self, Asked};
use crate::dynamodb::Endpoint;
use crate::dynamodb::attributes::Given;
use crate::dynamodb::errors::Answer;
use crate::dynamodb::expressions::{Said, check_parameters, with_placeholders};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::target::Write;

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

pub(crate) fn write(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Write> {
    check_parameters(request, &["ConditionExpression"], &["Expected"])?;
    let item = Given::of(request)?;
    writes::check_return_values(request)?;
    let item = item.encode()?;
    let expected = writes::expected(request)?;
    let (mut said, asked) = (Said::of(request)?, Asked::of(request));
    endpoint.creating.check(&asked.table)?;
    Ok(Box::new(move |endpoint, target| {
        let consumed = Consumed::default();
        let mut put = with_placeholders!(target.put(&asked.table).item(&item), said);
        if let Some(condition) = &said.condition {
            put = put.condition(condition);
        }
        if let Some(condition) = expected {
            put = put.condition_by_attribute(condition);
        }
        if asked.is_counted() {
            put = put.consumed(&consumed);
        }
        let old = match asked.returns_old {
            true => put.execute_returning_old_encoded().map(|replaced| replaced.old),
            false => put.execute().map(|_| None),
        };
        let old = old.map_err(|error| asked.failed(error))?;
        asked.answer(endpoint, |name| writes::value_of(&item, name), old, &consumed)
    }))
}
