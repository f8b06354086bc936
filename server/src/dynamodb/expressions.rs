//! What a request says in DynamoDB's language, and what its placeholders stand for.

use std::collections::BTreeMap;

use dynamite_core::Item;
use dynamite_core::expression::{Expressions, Placeholders};

use crate::dynamodb::attributes;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;

/// The expressions of a request, however it said them: legacy parameters become expressions, too.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) condition: Option<String>,
    pub(crate) update: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) key_condition: Option<String>,
    pub(crate) projection: Option<String>,
    pub(crate) names: Option<BTreeMap<String, String>>,
    pub(crate) values: Option<Item>,
}

impl Said {
    /// What a request says by expressions.
    pub(crate) fn of(request: &Json<'_>) -> Answer<Said> {
        let text = |name| request.str(name).map(str::to_owned);
        let (names, values) = placeholders(request)?;
        Ok(Said {
            condition: text("ConditionExpression"),
            update: text("UpdateExpression"),
            filter: text("FilterExpression"),
            key_condition: text("KeyConditionExpression"),
            projection: text("ProjectionExpression"),
            names,
            values,
        })
    }
}

impl Said {
    /// Refuses expressions that cannot be read, where other mistakes that come later are found before they are used.
    pub(crate) fn check(&self) -> Answer<()> {
        let read = Expressions::builder()
            .condition(self.condition.as_deref())
            .update(self.update.as_deref())
            .filter(self.filter.as_deref())
            .key_condition(self.key_condition.as_deref())
            .projection(self.projection.as_deref())
            .names(self.names.as_ref())
            .values(self.values.as_ref())
            .build();
        read.map(drop).map_err(|error| Failure::validation(error.to_string()))
    }
}

type PlaceholderMaps = (Option<BTreeMap<String, String>>, Option<Item>);

/// What placeholders stand for.
fn placeholders(request: &Json<'_>) -> Answer<PlaceholderMaps> {
    let names = request.object("ExpressionAttributeNames");
    if let Some(names) = names {
        check(Placeholders::Names, names.iter().map(|(key, _)| &**key))?;
    }
    let values = request.object("ExpressionAttributeValues");
    if let Some(values) = values {
        check(Placeholders::Values, values.iter().map(|(key, _)| &**key))?;
    }
    let values = values.map(|values| {
        let value = |(key, json): &(std::borrow::Cow<'_, str>, Json<'_>)| match attributes::value(json) {
            Ok(value) => Ok((key.clone().into_owned(), value)),
            Err(text) => Err(Failure::validation(format!(
                "ExpressionAttributeValues contains invalid value: {text} for key {key}"
            ))),
        };
        values.iter().map(value).collect::<Answer<Item>>()
    });
    let names = names.map(|names| {
        let name = |json: &Json<'_>| json.as_str().unwrap_or_default().to_owned();
        names.iter().map(|(key, json)| (key.clone().into_owned(), name(json))).collect()
    });
    Ok((names, values.transpose()?))
}

fn check<'k>(map: Placeholders, keys: impl ExactSizeIterator<Item = &'k str>) -> Answer<()> {
    map.check(keys).map_err(|error| Failure::validation(error.to_string()))
}

/// Refuses expressions beside legacy parameters, and placeholders without expressions.
pub(crate) fn check_parameters(request: &Json<'_>, expressions: &[&str], legacy: &[&str]) -> Answer<()> {
    let given = |names: &[&str]| -> Vec<String> {
        names.iter().filter(|name| request.has(name)).map(|name| (*name).to_owned()).collect()
    };
    let (by_expression, mut by_legacy) = (given(expressions), given(legacy));
    // Legacy conditions on the key may stand beside expressions about other things.
    if !request.has("KeyConditionExpression") {
        by_legacy.retain(|name| name != "KeyConditions");
    }
    if !by_expression.is_empty() && !by_legacy.is_empty() {
        return Err(mixed(&by_legacy.join(", "), &by_expression.join(", ")));
    }
    if request.has("ExpressionAttributeNames") && by_expression.is_empty() {
        let text = "ExpressionAttributeNames can only be specified when using expressions";
        return Err(Failure::validation(text));
    }
    let with_values: Vec<&str> =
        expressions.iter().copied().filter(|name| *name != "ProjectionExpression").collect();
    let has_any = with_values.iter().any(|name| request.has(name));
    if !with_values.is_empty() && request.has("ExpressionAttributeValues") && !has_any {
        let verb = if with_values.len() > 1 { "are" } else { "is" };
        return Err(Failure::validation(format!(
            "ExpressionAttributeValues can only be specified when using expressions: {} {verb} null",
            with_values.join(" and ")
        )));
    }
    Ok(())
}

/// Why legacy parameters and expressions that a request has are refused.
pub(crate) fn mixed(legacy: &str, expressions: &str) -> Failure {
    Failure::validation(format!(
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {{{legacy}}} \
         Expression parameters: {{{expressions}}}"
    ))
}

/// The attributes that a legacy request asks for, none of them twice.
pub(crate) fn attributes_to_get(request: &Json<'_>) -> Answer<Option<Vec<String>>> {
    let Some(names) = request.array("AttributesToGet") else { return Ok(None) };
    let mut seen: Vec<String> = Vec::with_capacity(names.len());
    for name in names.iter().filter_map(Json::as_str) {
        if seen.iter().any(|other| other == name) {
            return Err(Failure::invalid(format_args!("Duplicate value in attribute name: {name}")));
        }
        seen.push(name.to_owned());
    }
    Ok(Some(seen))
}

/// Hands placeholders to a builder that has methods for them.
macro_rules! with_placeholders {
    ($builder:expr, $said:expr) => {{
        let mut builder = $builder;
        if let Some(names) = $said.names.take() {
            builder = builder.names(names);
        }
        if let Some(values) = $said.values.take() {
            builder = builder.values(values);
        }
        builder
    }};
}

/// The same, where there are only names.
macro_rules! with_names {
    ($builder:expr, $said:expr) => {{
        match $said.names.take() {
            Some(names) => $builder.names(names),
            None => $builder,
        }
    }};
}

pub(crate) use {with_names, with_placeholders};
