//! DeleteItem.

use dynamite_core::api::Consumed;

use super::writes::{self, Asked};
use crate::dynamodb::errors::Answer;
use crate::dynamodb::expressions::{Said, check_parameters, with_placeholders};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::target::Write;
use crate::dynamodb::{Endpoint, attributes};

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

pub(crate) fn write(endpoint: &Endpoint, request: &Json<'_>) -> Answer<Write> {
    check_parameters(request, &["ConditionExpression"], &["Expected"])?;
    let key = attributes::item_of(request, "Key")?;
    writes::check_return_values(request)?;
    let expected = writes::expected(request)?;
    let (mut said, asked) = (Said::of(request)?, Asked::of(request));
    endpoint.creating.check(&asked.table)?;
    Ok(Box::new(move |endpoint, target| {
        let consumed = Consumed::default();
        let mut delete = with_placeholders!(target.delete_item(&asked.table).key(key.clone()), said);
        if let Some(condition) = &said.condition {
            delete = delete.condition(condition);
        }
        if let Some(condition) = expected {
            delete = delete.condition_by_attribute(condition);
        }
        if asked.is_counted() {
            delete = delete.consumed(&consumed);
        }
        let old = match asked.returns_old {
            true => delete.execute_returning_old_encoded(),
            false => delete.execute().map(|_| None),
        };
        let old = old.map_err(|error| asked.failed(error))?;
        asked.answer(endpoint, |name| key.get(name).cloned(), old, &consumed)
    }))
}
