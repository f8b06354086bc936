//! Scan.

use dynamite_core::api::Consumed;

use super::pages::{self, Select};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, attributes_to_get, check_parameters};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn, legacy};

pub(crate) const FIELDS: &[Field] = &[
    SELECT,
    INDEX_NAME,
    field("TotalSegments", Shape::Integer, &[Rule::AtLeast(1), Rule::AtMost(1_000_000)]),
    RETURN_CONSUMED_CAPACITY,
    TABLE_NAME,
    CONDITIONAL_OPERATOR,
    plain("ScanFilter", CONDITIONS),
    field("Segment", Shape::Integer, &[Rule::AtLeast(0), Rule::AtMost(999_999)]),
    LIMIT,
    ATTRIBUTES_TO_GET,
    EXCLUSIVE_START_KEY,
    CONSISTENT_READ,
    FILTER_EXPRESSION,
    PROJECTION_EXPRESSION,
    EXPRESSION_VALUES,
    EXPRESSION_NAMES,
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check_parameters(
        request,
        &["ProjectionExpression", "FilterExpression"],
        &["AttributesToGet", "ScanFilter", "ConditionalOperator"],
    )?;
    let names = attributes_to_get(request)?;
    let filter = legacy::conditions(request, "ScanFilter")?;
    let start = pages::start_key(request)?;
    let segment = segment(request)?;
    let select = Select::of(request)?;
    let mut said = Said::of(request)?;
    let filter = filter.map_or(Ok(None), |filter| legacy::together(filter, request))?;

    let consumed = Consumed::default();
    let table = arn::table_name(request.str("TableName").unwrap_or_default());
    endpoint.creating.check(table)?;
    let mut scan = endpoint.db.scan(table);
    if let Some((segment, total)) = segment {
        scan = scan.segment(segment, total);
    }
    if let Some(filter) = filter {
        scan = scan.filter_by_attribute(filter);
    }
    let scan = pages::ask!(scan, request, said, names, select, start, &consumed);
    let read = pages::read!(scan, select)?;
    pages::tell(request, read, &consumed)
}

fn segment(request: &Json<'_>) -> Answer<Option<(u32, u32)>> {
    let required = |what: &str, given: &str| {
        Failure::validation(format!(
            "The {what} parameter is required but was not present in the request when {given} is present"
        ))
    };
    match (request.integer("Segment"), request.integer("TotalSegments")) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(required("TotalSegments", "Segment parameter")),
        (None, Some(_)) => Err(required("Segment", "parameter TotalSegments")),
        (Some(segment), Some(total)) if segment >= total => Err(Failure::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not \
             less than TotalSegments: {total}"
        ))),
        (Some(segment), Some(total)) => {
            let number = |value| u32::try_from(value).unwrap_or_default();
            Ok(Some((number(segment), number(total))))
        }
    }
}
