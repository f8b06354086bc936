//! Legacy parameters, which say in JSON what expressions say in words. They are checked by rules of their own, and become the same
//! conditions and updates of the database.

use dynamite_core::expression::{self, AttributeChange, AttributeTest, KeyCondition, SortKeyTest, Update};
use dynamite_core::{AttributeType, AttributeValue};

use crate::dynamodb::attributes;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;

/// A condition on one attribute.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) attribute: String,
    pub(crate) operator: String,
    pub(crate) values: Vec<AttributeValue>,
}

/// The conditions of a `KeyConditions`, `QueryFilter` or `ScanFilter`.
pub(crate) fn conditions(request: &Json<'_>, field: &str) -> Answer<Option<Vec<Condition>>> {
    let Some(given) = request.object(field) else { return Ok(None) };
    given.iter().map(|(name, json)| condition(name, json)).collect::<Answer<_>>().map(Some)
}

fn condition(attribute: &str, json: &Json<'_>) -> Answer<Condition> {
    let operator = json.str("ComparisonOperator").unwrap_or_default();
    let values = values_of(json)?;
    check_values(operator, &values)?;
    Ok(Condition { attribute: attribute.to_owned(), operator: operator.to_owned(), values })
}

fn values_of(json: &Json<'_>) -> Answer<Vec<AttributeValue>> {
    let values = json.array("AttributeValueList").unwrap_or_default();
    values.iter().map(attributes::value).collect::<Result<_, _>>().map_err(Failure::validation)
}

/// Refuses values that an operator cannot have.
fn check_values(operator: &str, values: &[AttributeValue]) -> Answer<()> {
    check_count(operator, values.len())?;
    check_same_type(values)?;
    if let Some(value) = values.iter().find(|value| !allows(operator, value.attribute_type())) {
        return Err(Failure::invalid(format_args!(
            "ComparisonOperator {operator} is not valid for {} AttributeValue type",
            value.attribute_type()
        )));
    }
    check_between(operator, values)
}

fn check_count(operator: &str, count: usize) -> Answer<()> {
    let fits = match operator {
        "NULL" | "NOT_NULL" => count == 0,
        "IN" => count > 0,
        "BETWEEN" => count == 2,
        _ => count == 1,
    };
    match fits {
        true => Ok(()),
        false => Err(Failure::invalid(format_args!(
            "Invalid number of argument(s) for the {operator} ComparisonOperator"
        ))),
    }
}

fn check_same_type(values: &[AttributeValue]) -> Answer<()> {
    let mut types = values.iter().map(AttributeValue::attribute_type);
    let first = types.next();
    match types.all(|other| Some(other) == first) {
        true => Ok(()),
        false => Err(Failure::invalid("AttributeValues inside AttributeValueList must be of same type")),
    }
}

/// Whether an operator takes values of a type.
fn allows(operator: &str, kind: AttributeType) -> bool {
    use AttributeType::{B, N, S};
    match operator {
        "EQ" | "NE" | "NULL" | "NOT_NULL" => true,
        "BEGINS_WITH" => matches!(kind, S | B),
        _ => matches!(kind, S | N | B),
    }
}

fn check_between(operator: &str, values: &[AttributeValue]) -> Answer<()> {
    match (operator, values) {
        ("BETWEEN", [lower, upper]) if is_greater(lower, upper) => Err(Failure::validation(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        )),
        _ => Ok(()),
    }
}

/// Of two values of a type that has an order.
fn is_greater(a: &AttributeValue, b: &AttributeValue) -> bool {
    match (a, b) {
        (AttributeValue::S(a), AttributeValue::S(b)) => a > b,
        (AttributeValue::N(a), AttributeValue::N(b)) => a > b,
        (AttributeValue::B(a), AttributeValue::B(b)) => a > b,
        _ => false,
    }
}

/// The conditions of an `Expected`, each of which may be said in an older way still.
pub(crate) fn expected(request: &Json<'_>) -> Answer<Option<Vec<Condition>>> {
    let Some(given) = request.object("Expected") else { return Ok(None) };
    given.iter().map(|(name, json)| expectation(name, json)).collect::<Answer<_>>().map(Some)
}

fn expectation(name: &str, json: &Json<'_>) -> Answer<Condition> {
    let (list, value) = (json.field("AttributeValueList"), json.field("Value"));
    let (operator, exists) = (json.str("ComparisonOperator"), json.bool("Exists"));
    let condition = |operator: &str, values| Condition {
        attribute: name.to_owned(),
        operator: operator.to_owned(),
        values,
    };
    if list.is_some() && value.is_some() {
        return Err(Failure::invalid(format_args!(
            "Value and AttributeValueList cannot be used together for Attribute: {name}"
        )));
    }
    let Some(operator) = operator else {
        if list.is_some() {
            return Err(Failure::invalid(format_args!(
                "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
            )));
        }
        return match (exists, value) {
            (None | Some(true), None) => {
                let exists = exists.map_or("null", |_| "true");
                Err(Failure::invalid(format_args!(
                    "Value must be provided when Exists is {exists} for Attribute: {name}"
                )))
            }
            (Some(false), Some(_)) => Err(Failure::invalid(format_args!(
                "Value cannot be used when Exists is false for Attribute: {name}"
            ))),
            (Some(false), None) => Ok(condition("NULL", Vec::new())),
            (_, Some(value)) => {
                let value = attributes::value(value).map_err(Failure::validation)?;
                Ok(condition("EQ", vec![value]))
            }
        };
    };
    if exists.is_some() {
        return Err(Failure::invalid(format_args!(
            "Exists and ComparisonOperator cannot be used together for Attribute: {name}"
        )));
    }
    if !matches!(operator, "NULL" | "NOT_NULL") && list.is_none() && value.is_none() {
        return Err(Failure::invalid(format_args!(
            "Value or AttributeValueList must be used with ComparisonOperator: {operator} for Attribute: {name}"
        )));
    }
    let values = match value {
        Some(value) => vec![attributes::value(value).map_err(Failure::validation)?],
        None => values_of(json)?,
    };
    check_values(operator, &values)?;
    Ok(condition(operator, values))
}

/// The condition that the conditions are, taken together.
pub(crate) fn together(
    conditions: Vec<Condition>,
    request: &Json<'_>,
) -> Answer<Option<expression::Condition>> {
    let any = request.str("ConditionalOperator") == Some("OR");
    let tests = conditions.into_iter().map(Condition::test);
    expression::Condition::of_attributes(tests, any).map_err(|error| Failure::validation(error.to_string()))
}

impl Condition {
    /// What it tests.
    fn test(self) -> (String, AttributeTest) {
        let Condition { attribute, operator, values } = self;
        let mut each = values.into_iter();
        // There are as many as the operator has, as was checked.
        let mut next = || each.next().unwrap_or(AttributeValue::Null);
        let test = match operator.as_str() {
            "NULL" => AttributeTest::Null,
            "NOT_NULL" => AttributeTest::NotNull,
            "NE" => AttributeTest::Ne(next()),
            "LE" => AttributeTest::Le(next()),
            "LT" => AttributeTest::Lt(next()),
            "GE" => AttributeTest::Ge(next()),
            "GT" => AttributeTest::Gt(next()),
            "CONTAINS" => AttributeTest::Contains(next()),
            "NOT_CONTAINS" => AttributeTest::NotContains(next()),
            "BEGINS_WITH" => AttributeTest::BeginsWith(next()),
            "IN" => AttributeTest::In(each.collect()),
            "BETWEEN" => AttributeTest::Between(next(), next()),
            _ => AttributeTest::Eq(next()),
        };
        (attribute, test)
    }
}

/// The condition on a key that the conditions are. Some operators are for filters only.
pub(crate) fn key_condition(conditions: Vec<Condition>) -> KeyCondition {
    KeyCondition::of_attributes(conditions.into_iter().map(|condition| {
        let (attribute, test) = condition.test();
        let test = match test {
            AttributeTest::Eq(value) => Some(SortKeyTest::Eq(value)),
            AttributeTest::Lt(value) => Some(SortKeyTest::Lt(value)),
            AttributeTest::Le(value) => Some(SortKeyTest::Le(value)),
            AttributeTest::Gt(value) => Some(SortKeyTest::Gt(value)),
            AttributeTest::Ge(value) => Some(SortKeyTest::Ge(value)),
            AttributeTest::Between(low, high) => Some(SortKeyTest::Between(low, high)),
            AttributeTest::BeginsWith(prefix) => Some(SortKeyTest::BeginsWith(prefix)),
            _ => None,
        };
        (attribute, test)
    }))
}

/// What `AttributeUpdates` say.
pub(crate) fn update(request: &Json<'_>) -> Answer<Option<Update>> {
    let Some(given) = request.object("AttributeUpdates") else { return Ok(None) };
    let changes = given.iter().map(|(name, json)| Ok((name.to_string(), change(json)?)));
    let changes = changes.collect::<Answer<Vec<_>>>()?;
    Update::of_attributes(changes).map_err(|error| Failure::validation(error.to_string()))
}

fn change(json: &Json<'_>) -> Answer<AttributeChange> {
    let action = json.str("Action").unwrap_or("PUT");
    let value = json.field("Value").map(attributes::value).transpose().map_err(Failure::validation)?;
    let Some(value) = value else {
        return match action {
            "DELETE" => Ok(AttributeChange::Remove),
            _ => Err(Failure::invalid("Only DELETE action is allowed when no attribute value is specified")),
        };
    };
    let kind = value.attribute_type();
    let is_set = matches!(kind, AttributeType::Ss | AttributeType::Ns | AttributeType::Bs);
    match action {
        "DELETE" if !is_set => Err(Failure::invalid(format_args!(
            "DELETE action with value is not supported for the type {kind}"
        ))),
        "ADD" if !is_set && !matches!(kind, AttributeType::L | AttributeType::N) => {
            Err(Failure::invalid(format_args!("ADD action is not supported for the type {kind}")))
        }
        "DELETE" => Ok(AttributeChange::Delete(value)),
        "ADD" => Ok(AttributeChange::Add(value)),
        _ => Ok(AttributeChange::Put(value)),
    }
}
