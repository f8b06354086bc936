//! DescribeTimeToLive, UpdateTimeToLive.

use dynamite_core::error::{Error, Invalid};
use serde_json::json;

use super::{reply, tables};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn};

pub(crate) const DESCRIBE_FIELDS: &[Field] = &[TABLE];
pub(crate) const UPDATE_FIELDS: &[Field] = &[
    TABLE,
    field(
        "TimeToLiveSpecification",
        Shape::Structure(&Structure {
            name: "TimeToLiveSpecification",
            fields: &[
                field("Enabled", Shape::Boolean, &[Rule::NotNull]),
                field(
                    "AttributeName",
                    Shape::String,
                    &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(255)],
                ),
            ],
        }),
        &[Rule::NotNull],
    ),
];

pub(crate) fn describe(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let table = tables::find(endpoint, arn::table_name(request.str("TableName").unwrap_or_default()))?;
    if endpoint.creating.contains(&table.name) {
        return Err(Failure::validation(
            "Cannot describe time to live while table is in CREATING state: Current table state is CREATING",
        ));
    }
    reply(&json!({"TimeToLiveDescription": match table.ttl {
        Some(attribute) => json!({"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}),
        None => json!({"TimeToLiveStatus": "DISABLED"}),
    }}))
}

pub(crate) fn update(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    let specification = request.field("TimeToLiveSpecification");
    let enabled = specification.and_then(|specification| specification.bool("Enabled")).unwrap_or_default();
    let attribute =
        specification.and_then(|specification| specification.str("AttributeName")).unwrap_or_default();
    let _turn = endpoint.control();
    let table = tables::find(endpoint, name)?;
    if endpoint.creating.contains(name) {
        return Err(Failure::in_use(format!(
            "Attempt to change a resource which is still in use: Table {name} is being created"
        )));
    }
    // Who switches it off says what by, so that nobody does so by mistake.
    if let Some(current) = table.ttl.filter(|current| !enabled && current != attribute) {
        return Err(Error::Validation(Invalid::TtlAttributeDiffers { current }).into());
    }
    let update = endpoint.db.update_table(name);
    let update = if enabled { update.ttl(attribute) } else { update.no_ttl() };
    update.execute()?;
    reply(&json!({"TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": attribute}}))
}
