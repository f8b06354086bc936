//! CreateTable.

use std::collections::BTreeMap;

use dynamite_core::api::{CreateTable, StreamView};
use serde_json::json;

use super::index_definitions::{Definitions, Keys, global_index, local_index};
use super::{reply, tags};
use crate::dynamodb::Endpoint;
use crate::dynamodb::arn;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{
    Billing, Encryption, Statuses, TableSettings, Throughput, new_id, now_ms,
};

pub(crate) const FIELDS: &[Field] = &[
    field("AttributeDefinitions", ATTRIBUTE_DEFINITIONS_SHAPE, &[Rule::NotNull]),
    TABLE,
    BILLING_MODE,
    PROVISIONED_THROUGHPUT,
    KEY_SCHEMA,
    LOCAL_INDEXES,
    GLOBAL_INDEXES,
    STREAM_SPECIFICATION,
    SSE_SPECIFICATION,
    TABLE_CLASS,
    DELETION_PROTECTION,
    plain("Tags", TAGS_SHAPE),
];

const MAX_UNITS: i64 = 1_000_000_000_000;

fn invalid(text: impl std::fmt::Display) -> Failure {
    Failure::validation(format!("One or more parameter values were invalid: {text}"))
}

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check_billing(request)?;
    let definitions = Definitions::of(request);
    let keys = Keys::of(request);
    check_keys(request, &keys, &definitions)?;

    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    let mut create = endpoint.db.create_table(name);
    for (name, key_type) in keys.partition(&definitions)? {
        create = create.partition_key(name, key_type);
    }
    for (name, key_type) in keys.sort(&definitions)? {
        create = create.sort_key(name, key_type);
    }
    create = add_indexes(create, request, &keys, &definitions)?;
    if let Some(view) = stream(request)?.flatten() {
        create = create.stream(view);
    }
    let settings = settings(request, definitions)?;
    let create = create.metadata(settings.to_metadata()?);

    let _turn = endpoint.control();
    create.execute()?;
    endpoint.creating.add(name, endpoint.config.creation_time);
    let table = endpoint.db.describe_table(name)?;
    let description = settings.describe(&endpoint.config, &table, Statuses::CREATING);
    reply(&json!({"TableDescription": description}))
}

fn check_billing(request: &Json<'_>) -> Answer<()> {
    let throughput = request.field("ProvisionedThroughput");
    if request.str("BillingMode") == Some("PAY_PER_REQUEST") {
        return match throughput {
            None => Ok(()),
            Some(_) => Err(invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            )),
        };
    }
    let Some(throughput) = throughput else {
        return Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ));
    };
    check_units(throughput)
}

/// Refuses units that nobody has.
pub(crate) fn check_units(throughput: &Json<'_>) -> Answer<()> {
    for name in ["ReadCapacityUnits", "WriteCapacityUnits"] {
        let units = throughput.integer(name).unwrap_or_default();
        if units > MAX_UNITS {
            return Err(Failure::validation(format!("Given value {units} for {name} is out of bounds")));
        }
    }
    Ok(())
}

fn check_keys(request: &Json<'_>, keys: &Keys<'_>, definitions: &Definitions) -> Answer<()> {
    if keys.len() > definitions.names.len() {
        let text = "Invalid KeySchema: Some index key attribute have no definition";
        return Err(Failure::validation(text));
    }
    keys.check_defined(definitions)?;
    keys.check_kinds()?;
    let has_indexes = request.has("LocalSecondaryIndexes") || request.has("GlobalSecondaryIndexes");
    let defined = request.array("AttributeDefinitions").unwrap_or_default().len();
    if !has_indexes && keys.len() != defined {
        return Err(invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        ));
    }
    Ok(())
}

fn add_indexes<'c>(
    mut create: CreateTable<'c>,
    request: &Json<'_>,
    keys: &Keys<'_>,
    definitions: &Definitions,
) -> Answer<CreateTable<'c>> {
    let mut names: Vec<String> = Vec::new();
    let mut add_name = |index: &Json<'_>| {
        let name = index.str("IndexName").unwrap_or_default();
        if names.iter().any(|other| other == name) {
            return Err(invalid(format_args!("Duplicate index name: {name}")));
        }
        names.push(name.to_owned());
        Ok(())
    };
    if let Some(indexes) = request.array("LocalSecondaryIndexes") {
        if indexes.is_empty() {
            return Err(invalid("List of LocalSecondaryIndexes is empty"));
        }
        if keys.len() != 2 {
            return Err(invalid(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
            ));
        }
        for index in indexes {
            let local = local_index(index, keys.names()[0], definitions)?;
            add_name(index)?;
            create = create.local_index(local);
        }
        if indexes.len() > dynamite_core::api::MAX_LOCAL_INDEXES {
            return Err(invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5"));
        }
    }
    if let Some(indexes) = request.array("GlobalSecondaryIndexes") {
        if indexes.is_empty() {
            return Err(invalid("List of GlobalSecondaryIndexes is empty"));
        }
        let is_on_demand = request.str("BillingMode") == Some("PAY_PER_REQUEST");
        for index in indexes {
            let global = global_index(index, definitions)?;
            if is_on_demand && index.has("ProvisionedThroughput") {
                return Err(invalid(format_args!(
                    "ProvisionedThroughput should not be specified for index: {} when BillingMode is PAY_PER_REQUEST",
                    index.str("IndexName").unwrap_or_default()
                )));
            }
            add_name(index)?;
            create = create.global_index(global);
        }
        if indexes.len() > dynamite_core::api::MAX_GLOBAL_INDEXES {
            return Err(invalid("GlobalSecondaryIndex count exceeds the per-table limit of 20"));
        }
    }
    Ok(create)
}

/// What is said of the stream: `None` if nothing is, `Some(None)` if there shall be none.
pub(crate) fn stream(request: &Json<'_>) -> Answer<Option<Option<StreamView>>> {
    let Some(specification) = request.field("StreamSpecification") else { return Ok(None) };
    let view = specification.str("StreamViewType");
    match (specification.bool("StreamEnabled").unwrap_or_default(), view) {
        (false, None) => Ok(Some(None)),
        (false, Some(_)) => Err(invalid("StreamEnabled is false, but StreamViewType is specified")),
        (true, None) => Err(invalid("StreamEnabled is true, but StreamViewType is not specified")),
        (true, Some(name)) => Ok(Some(StreamView::of_name(name))),
    }
}

/// Encryption, if it is asked for.
pub(crate) fn encryption(request: &Json<'_>) -> Option<Option<Encryption>> {
    let specification = request.field("SSESpecification")?;
    let encryption = Encryption {
        kind: specification.str("SSEType").unwrap_or("KMS").to_owned(),
        key: specification.str("KMSMasterKeyId").map(str::to_owned),
    };
    Some(specification.bool("Enabled").unwrap_or_default().then_some(encryption))
}

/// Units that are provisioned.
pub(crate) fn throughput(of: &Json<'_>) -> Throughput {
    units_of(of.field("ProvisionedThroughput"))
}

/// Units, if there are any.
pub(crate) fn units_of(throughput: Option<&Json<'_>>) -> Throughput {
    let units = |name| throughput.and_then(|throughput| throughput.integer(name)).unwrap_or_default();
    Throughput {
        read: u64::try_from(units("ReadCapacityUnits")).unwrap_or_default(),
        write: u64::try_from(units("WriteCapacityUnits")).unwrap_or_default(),
        ..Throughput::default()
    }
}

fn settings(request: &Json<'_>, definitions: Definitions) -> Answer<TableSettings> {
    let is_on_demand = request.str("BillingMode") == Some("PAY_PER_REQUEST");
    let indexes = request.array("GlobalSecondaryIndexes").unwrap_or_default().iter();
    let mut tags = BTreeMap::new();
    tags::add(&mut tags, request.array("Tags").unwrap_or_default())?;
    Ok(TableSettings {
        id: new_id()?,
        attributes: definitions.names,
        billing: Billing {
            is_on_demand,
            was_chosen: is_on_demand,
            on_demand_ms: if is_on_demand { now_ms() } else { 0 },
        },
        throughput: throughput(request),
        indexes: indexes
            .map(|index| (index.str("IndexName").unwrap_or_default().to_owned(), throughput(index)))
            .collect(),
        tags,
        deletion_protection: request.bool("DeletionProtectionEnabled"),
        table_class: request.str("TableClass").map(str::to_owned),
        encryption: encryption(request).flatten(),
        ..TableSettings::default()
    })
}
