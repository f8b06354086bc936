//! CreateTable.

use std::collections::BTreeMap;

use dynamite_core::api::{CreateTable, StreamView};
use serde_json::json;

use super::index_definitions::{Definitions, Keys, global_index, local_index};
use super::throughput::{Owner, check_units, take_over, throughput};
use super::{reply, resource_policy, tables, tags};
use crate::dynamodb::Endpoint;
use crate::dynamodb::arn;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{Billing, Encryption, Statuses, TableSettings, new_id, now_ms};

pub(crate) const FIELDS: &[Field] = &[
    field("AttributeDefinitions", ATTRIBUTE_DEFINITIONS_SHAPE, &[Rule::NotNull]),
    TABLE,
    BILLING_MODE,
    PROVISIONED_THROUGHPUT,
    KEY_SCHEMA,
    GLOBAL_INDEXES,
    LOCAL_INDEXES,
    VECTOR_INDEXES,
    STREAM_SPECIFICATION,
    SSE_SPECIFICATION,
    TABLE_CLASS,
    DELETION_PROTECTION,
    plain("Tags", TAGS_SHAPE),
    ON_DEMAND_THROUGHPUT,
    WARM_THROUGHPUT,
    plain("ResourcePolicy", Shape::String),
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    tables::refuse(request, "VectorIndexes", "vector indexes")?;
    check_billing(request)?;
    let definitions = Definitions::of(request);
    Definitions::check_once(request)?;
    let keys = Keys::of(request);
    check_keys(request, &keys, &definitions)?;
    check_indexes(request, &keys, &definitions)?;

    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    let mut create = endpoint.db.create_table(name);
    for (name, key_type) in keys.partition(&definitions)? {
        create = create.partition_key(name, key_type);
    }
    for (name, key_type) in keys.sort(&definitions)? {
        create = create.sort_key(name, key_type);
    }
    create = add_indexes(create, request, &keys, &definitions)?;
    let stream = stream(
        request,
        "Table is being created with a stream enabled, UpdateViewType is required",
        "Table is being created with a stream disabled, UpdateViewType should not be specified",
    )?;
    if let Some(view) = stream.flatten() {
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
            Some(_) => Err(Failure::invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            )),
        };
    }
    let Some(throughput) = throughput else {
        return Err(Failure::invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ));
    };
    check_units(throughput)
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
        return Err(Failure::invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        ));
    }
    Ok(())
}

/// What the indexes are held against before each is looked at by itself: every attribute of a key is defined, and every one that is
/// defined is in a key.
fn check_indexes(request: &Json<'_>, keys: &Keys<'_>, definitions: &Definitions) -> Answer<()> {
    let (local, global) = (request.array("LocalSecondaryIndexes"), request.array("GlobalSecondaryIndexes"));
    if local.is_some_and(<[_]>::is_empty) {
        return Err(Failure::invalid("List of LocalSecondaryIndexes is empty"));
    }
    if local.is_some() && keys.len() != 2 {
        return Err(Failure::invalid(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ));
    }
    if global.is_some_and(<[_]>::is_empty) {
        return Err(Failure::invalid("List of GlobalSecondaryIndexes is empty"));
    }
    let mut used = keys.names();
    for index in [local, global].into_iter().flatten().flatten() {
        let keys = Keys::of(index);
        keys.check_defined(definitions)?;
        for name in keys.names() {
            if !used.contains(&name) {
                used.push(name);
            }
        }
    }
    if definitions.names.iter().all(|name| used.contains(&name.as_str())) {
        return Ok(());
    }
    Err(Failure::invalid(format_args!(
        "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
        definitions.list(),
        used.join(", ")
    )))
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
            return Err(Failure::invalid(format_args!("Duplicate index name: {name}")));
        }
        names.push(name.to_owned());
        Ok(())
    };
    if let Some(indexes) = request.array("LocalSecondaryIndexes") {
        for index in indexes {
            let local = local_index(index, keys.names()[0], definitions)?;
            add_name(index)?;
            create = create.local_index(local);
        }
        if indexes.len() > dynamite_core::api::MAX_LOCAL_INDEXES {
            return Err(Failure::invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5"));
        }
    }
    if let Some(indexes) = request.array("GlobalSecondaryIndexes") {
        let is_on_demand = request.str("BillingMode") == Some("PAY_PER_REQUEST");
        for index in indexes {
            let global = global_index(index, definitions)?;
            check_index_units(index, is_on_demand)?;
            add_name(index)?;
            create = create.global_index(global);
        }
        if indexes.len() > dynamite_core::api::MAX_GLOBAL_INDEXES {
            return Err(Failure::invalid("GlobalSecondaryIndex count exceeds the per-table limit of 20"));
        }
    }
    Ok(create)
}

/// Refuses units for an index of a table that is billed on demand, and none for one of another table.
fn check_index_units(index: &Json<'_>, is_on_demand: bool) -> Answer<()> {
    let name = index.str("IndexName").unwrap_or_default();
    match (is_on_demand, index.field("ProvisionedThroughput")) {
        (true, None) => Ok(()),
        (false, Some(units)) => check_units(units),
        (true, Some(_)) => Err(Failure::invalid(format_args!(
            "ProvisionedThroughput should not be specified for index: {name} when BillingMode is PAY_PER_REQUEST"
        ))),
        (false, None) => {
            Err(Failure::invalid(format_args!("ProvisionedThroughput is not specified for index: {name}")))
        }
    }
}

/// What is said of the stream: `None` if nothing is, `Some(None)` if there shall be none. The texts are for one whose images are not
/// said, and for none whose images are.
pub(crate) fn stream(
    request: &Json<'_>,
    is_required: &str,
    is_refused: &str,
) -> Answer<Option<Option<StreamView>>> {
    let Some(specification) = request.field("StreamSpecification") else { return Ok(None) };
    let view = specification.str("StreamViewType");
    match (specification.bool("StreamEnabled").unwrap_or_default(), view) {
        (false, None) => Ok(Some(None)),
        (false, Some(_)) => Err(Failure::invalid(is_refused)),
        (true, None) => Err(Failure::invalid(is_required)),
        (true, Some(name)) => Ok(Some(StreamView::of_name(name))),
    }
}

/// Encryption, if it is asked for: also by who only says which.
pub(crate) fn encryption(specification: &Json<'_>) -> Option<Encryption> {
    let (kind, key) = (specification.str("SSEType"), specification.str("KMSMasterKeyId"));
    let is_enabled = specification.bool("Enabled").unwrap_or(kind.is_some() || key.is_some());
    let kind = kind.unwrap_or("KMS").to_owned();
    is_enabled.then(|| Encryption { kind, key: key.map(str::to_owned) })
}

fn settings(request: &Json<'_>, definitions: Definitions) -> Answer<TableSettings> {
    let is_on_demand = request.str("BillingMode") == Some("PAY_PER_REQUEST");
    let mut units = throughput(request);
    take_over(&mut units, request, Owner::Table, is_on_demand, true)?;
    let mut indexes = BTreeMap::new();
    for index in request.array("GlobalSecondaryIndexes").unwrap_or_default() {
        let (name, mut units) = (index.str("IndexName").unwrap_or_default(), throughput(index));
        take_over(&mut units, index, Owner::Index(name), is_on_demand, true)?;
        indexes.insert(name.to_owned(), units);
    }
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
        throughput: units,
        indexes,
        tags,
        policy: request.str("ResourcePolicy").map(resource_policy::first).transpose()?,
        deletion_protection: request.bool("DeletionProtectionEnabled"),
        table_class: request.str("TableClass").map(str::to_owned),
        encryption: request.field("SSESpecification").and_then(encryption),
        ..TableSettings::default()
    })
}
