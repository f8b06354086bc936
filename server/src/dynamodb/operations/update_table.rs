//! UpdateTable.

use dynamite_core::api::{IndexKind, TableDescription};
use dynamite_core::error::Error;
use serde_json::json;

use super::create_table::{encryption, stream};
use super::index_definitions::{Definitions, global_index};
use super::throughput::{MAX_UNITS, Owner, check_units, take_over, throughput};
use super::{reply, tables};
use crate::dynamodb::creating::in_use;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{Statuses, TableSettings, Throughput, now_ms};
use crate::dynamodb::{Endpoint, arn};

pub(crate) const FIELDS: &[Field] = &[
    TABLE,
    plain("AttributeDefinitions", ATTRIBUTE_DEFINITIONS_SHAPE),
    PROVISIONED_THROUGHPUT,
    BILLING_MODE,
    GLOBAL_INDEX_UPDATES,
    STREAM_SPECIFICATION,
    SSE_SPECIFICATION,
    TABLE_CLASS,
    DELETION_PROTECTION,
    ON_DEMAND_THROUGHPUT,
    WARM_THROUGHPUT,
    REPLICA_UPDATES,
    VECTOR_INDEX_UPDATES,
];

/// What may change beside indexes.
const OTHERS: &[&str] = &[
    "ProvisionedThroughput",
    "BillingMode",
    "SSESpecification",
    "StreamSpecification",
    "TableClass",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "WarmThroughput",
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    check(request)?;
    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    let _turn = endpoint.control();
    let table = tables::find(endpoint, name)?;
    let mut settings = TableSettings::of(&table)?;

    if endpoint.creating.contains(name) {
        return Err(in_use(name));
    }
    let mut told = settings.clone();
    change_throughput(request, &table, &mut settings, &mut told)?;
    change_others(request, &mut settings);
    let mut update = endpoint.db.update_table(name);
    let mut definitions = Definitions::of(request);
    let keys = table.indexes.iter().map(|index| &index.keys).chain([&table.keys]);
    for attribute in keys.flat_map(|keys| keys.attributes()) {
        definitions.keep(attribute.name(), attribute.key_type());
    }
    let mut is_index_change = false;
    for index in request.array("GlobalSecondaryIndexUpdates").unwrap_or_default() {
        if let Some(create) = index.field("Create") {
            update = update.add_index(global_index(create, &definitions)?);
            let (name, mut units) = (create.str("IndexName").unwrap_or_default(), throughput(create));
            take_over(&mut units, create, Owner::Index(name), settings.billing.is_on_demand, true)?;
            settings.indexes.insert(name.to_owned(), units);
            is_index_change = true;
        }
        if let Some(name) = index.field("Delete").and_then(|delete| delete.str("IndexName")) {
            update = update.drop_index(name);
            settings.indexes.remove(name);
            is_index_change = true;
        }
    }
    let stream = stream(
        request,
        "If stream is being enabled then UpdateViewType is required",
        "If stream is being disabled, then UpdateViewType must not be specified",
    )?;
    if let Some(view) = stream {
        update = match view {
            Some(view) => update.stream(view),
            None if table.stream.is_none() => {
                return Err(Failure::validation(format!(
                    "Table has no stream to disable: TableName: {name}"
                )));
            }
            None => update.no_stream(),
        };
    }
    update.metadata(settings.to_metadata()?).execute().map_err(|error| match error {
        Error::IndexNotFound { index, .. } => no_index(name, &index),
        other => other.into(),
    })?;

    // What is told is how the table was, with what is about to change.
    let described = if is_index_change || request.has("StreamSpecification") {
        told = TableSettings { throughput: told.throughput, ..settings };
        tables::find(endpoint, name)?
    } else {
        told = TableSettings { throughput: told.throughput, indexes: told.indexes, ..settings };
        table
    };
    let is_throughput = request.has("ProvisionedThroughput") || request.has("BillingMode");
    let statuses = Statuses { table: "UPDATING", indexes: is_throughput.then_some("UPDATING") };
    reply(&json!({"TableDescription": told.describe(&endpoint.config, &described, statuses)}))
}

fn check(request: &Json<'_>) -> Answer<()> {
    let updates = request.array("GlobalSecondaryIndexUpdates").unwrap_or_default();
    tables::refuse(request, "ReplicaUpdates", "replicas")?;
    tables::refuse(request, "VectorIndexUpdates", "vector indexes")?;
    if updates.is_empty() && !OTHERS.iter().any(|name| request.has(name)) {
        return Err(Failure::validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
             SSESpecification or ReplicaUpdates is required",
        ));
    }
    check_together(request, updates)?;
    if request.str("BillingMode") == Some("PROVISIONED") && !request.has("ProvisionedThroughput") {
        return Err(Failure::invalid(
            "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        ));
    }
    request.field("ProvisionedThroughput").map_or(Ok(()), check_units)?;
    let mut names: Vec<&str> = Vec::new();
    for update in updates {
        let mut actions = ["Update", "Create", "Delete"].iter().filter_map(|kind| update.field(kind));
        let Some(update) = actions.next() else {
            return Err(Failure::invalid(
                "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                 GlobalSecondaryIndexUpdate.Delete must not be null",
            ));
        };
        if actions.next().is_some() {
            return Err(Failure::invalid(
                "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
            ));
        }
        let name = update.str("IndexName").unwrap_or_default();
        if names.contains(&name) {
            return Err(Failure::invalid(format_args!(
                "Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )));
        }
        names.push(name);
    }
    Ok(())
}

/// Refuses changes that the service does not make together.
fn check_together(request: &Json<'_>, updates: &[Json<'_>]) -> Answer<()> {
    if updates.is_empty() && request.has("GlobalSecondaryIndexUpdates") {
        return Err(Failure::invalid("List of GlobalSecondaryIndexUpdates is empty"));
    }
    let changes = OTHERS.iter().filter(|name| request.has(name)).count() + usize::from(!updates.is_empty());
    for (name, shown) in [
        ("SSESpecification", "Server-Side Encryption modification"),
        ("DeletionProtectionEnabled", "DeletionProtection modification"),
        ("TableClass", "TableClass modification"),
        ("WarmThroughput", "WarmThroughput"),
    ] {
        if changes > 1 && request.has(name) {
            return Err(Failure::invalid(format_args!("{shown} must be the only operation in the request")));
        }
    }
    let has_units = request.has("ProvisionedThroughput");
    let is_provisioned = request.str("BillingMode") == Some("PROVISIONED");
    let has_stream = request.has("StreamSpecification");
    let has_index = updates.iter().any(|update| update.has("Create") || update.has("Delete"));
    let text = if request.has("OnDemandThroughput") && (has_stream || has_index) {
        "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
    } else if has_stream && (has_units || is_provisioned) {
        "You cannot modify stream status while updating table IOPS"
    } else if has_index && has_units {
        "You cannot create or delete index while updating table IOPS"
    } else if has_index && has_stream {
        "You cannot create or delete index while changing stream status"
    } else {
        return Ok(());
    };
    Err(Failure::invalid(text))
}

/// Changes how the table and its indexes are billed. `told` is what the answer shows: the old units, with the new times.
fn change_throughput(
    request: &Json<'_>,
    table: &TableDescription,
    settings: &mut TableSettings,
    told: &mut TableSettings,
) -> Answer<()> {
    let to_on_demand = match request.str("BillingMode") {
        Some(mode) => mode == "PAY_PER_REQUEST",
        None => settings.billing.is_on_demand,
    };
    if request.has("ProvisionedThroughput") && to_on_demand {
        return Err(Failure::invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ));
    }
    let updates = request.array("GlobalSecondaryIndexUpdates").unwrap_or_default();
    if updates.len() > 5 || updates.iter().filter(|update| !update.has("Update")).count() > 1 {
        return Err(Failure::dynamodb(
            "LimitExceededException",
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ));
    }
    let mut changes = Vec::new();
    let global = table.indexes.iter().filter(|index| index.kind == IndexKind::Global);
    let mut remaining: Vec<&str> = global.map(|index| index.name.as_str()).collect();
    for update in updates.iter().filter_map(|update| update.field("Update")) {
        let wanted = update.has("ProvisionedThroughput").then(|| throughput(update));
        let name = update.str("IndexName").unwrap_or_default();
        let is_beyond = |units: &Throughput| units.read.max(units.write) > MAX_UNITS;
        if wanted.as_ref().is_some_and(is_beyond) {
            return Err(Failure::validation(
                "This operation cannot be performed with given input values. Please contact DynamoDB service team for more \
                 info: Action Blocked: IndexUpdate",
            ));
        }
        if !remaining.contains(&name) {
            return Err(unknown_index(table, name));
        }
        if to_on_demand && wanted.is_some() {
            return Err(Failure::invalid(format_args!(
                "The only Updates for index: {name} when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, \
                 WarmThroughput"
            )));
        }
        if wanted.is_some() {
            remaining.retain(|other| *other != name);
        }
        changes.push((name, update, wanted));
    }
    for create in updates.iter().filter_map(|update| update.field("Create")) {
        let name = create.str("IndexName").unwrap_or_default();
        match (to_on_demand, create.field("ProvisionedThroughput")) {
            (false, Some(units)) => check_units(units)?,
            (true, None) => {}
            (false, None) => {
                return Err(Failure::invalid(format_args!(
                    "Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: {name}"
                )));
            }
            (true, Some(_)) => {
                return Err(Failure::invalid(format_args!(
                    "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} when BillingMode is \
                     PAY_PER_REQUEST"
                )));
            }
        }
    }
    let was_on_demand = settings.billing.is_on_demand;
    if !to_on_demand && was_on_demand && !remaining.is_empty() {
        return Err(Failure::invalid(format_args!(
            "ProvisionedThroughput must be specified for index: {}",
            remaining.join(",")
        )));
    }
    if request.has("ProvisionedThroughput") {
        let wanted = throughput(request);
        change_units(&mut settings.throughput, &mut told.throughput, &wanted, was_on_demand, None)?;
    }
    for (name, _, wanted) in &changes {
        let Some(wanted) = wanted else { continue };
        let told = told.indexes.entry((*name).to_owned()).or_default();
        let stored = settings.indexes.entry((*name).to_owned()).or_default();
        change_units(stored, told, wanted, was_on_demand, Some(name))?;
    }
    if to_on_demand && !was_on_demand {
        settings.billing.on_demand_ms = now_ms();
    }
    if to_on_demand != was_on_demand {
        settings.throughput.change_billing(to_on_demand);
        settings.indexes.values_mut().for_each(|units| units.change_billing(to_on_demand));
    }
    take_over(&mut settings.throughput, request, Owner::Table, to_on_demand, false)?;
    told.throughput.take_others(&settings.throughput);
    for (name, update, _) in changes {
        let stored = settings.indexes.entry(name.to_owned()).or_default();
        take_over(stored, update, Owner::Index(name), to_on_demand, false)?;
        told.indexes.entry(name.to_owned()).or_default().take_others(stored);
    }
    settings.billing.is_on_demand = to_on_demand;
    settings.billing.was_chosen |= request.has("BillingMode");
    Ok(())
}

/// An index of an update that is no global index of the table.
fn unknown_index(table: &TableDescription, name: &str) -> Failure {
    match table.indexes.iter().any(|index| index.name == name) {
        true => {
            Failure::validation(format!("Cannot update an index that is not a GlobalSecondaryIndex: {name}"))
        }
        false => no_index(&table.name, name),
    }
}

fn no_index(table: &str, index: &str) -> Failure {
    Failure::not_found(format!("Requested resource not found: Index {index} for table {table}"))
}

/// Changes the units of the table, or of an index.
fn change_units(
    stored: &mut Throughput,
    told: &mut Throughput,
    wanted: &Throughput,
    was_on_demand: bool,
    index: Option<&str>,
) -> Answer<()> {
    if (stored.read, stored.write) == (wanted.read, wanted.write) {
        // The service leaves out the article the second time.
        let (of, of_its) = match index {
            Some(name) => (format!("the index {name}"), format!("index {name}")),
            None => ("the table".to_owned(), "the table".to_owned()),
        };
        return Err(Failure::validation(format!(
            "The provisioned throughput for {of} will not change. The requested value equals the current value. Current \
             ReadCapacityUnits provisioned for {of_its}: {}. Requested ReadCapacityUnits: {}. Current WriteCapacityUnits \
             provisioned for {of_its}: {}. Requested WriteCapacityUnits: {}. Refer to the Amazon DynamoDB Developer Guide for \
             current limits and how to request higher limits.",
            stored.read, wanted.read, stored.write, wanted.write
        )));
    }
    let now = now_ms();
    // The answer tells when it began, which is before it is done.
    if wanted.read > stored.read || wanted.write > stored.write {
        (told.increased_ms, stored.increased_ms) = (now, now + 1);
    }
    if (wanted.read < stored.read || wanted.write < stored.write) && !was_on_demand {
        let day = |ms: u64| ms / 86_400_000;
        stored.decreases = if day(stored.decreased_ms) == day(now) { stored.decreases + 1 } else { 1 };
        (told.decreased_ms, stored.decreased_ms) = (now, now + 1);
    }
    (stored.read, stored.write) = (wanted.read, wanted.write);
    Ok(())
}

fn change_others(request: &Json<'_>, settings: &mut TableSettings) {
    if let Some(specification) = request.field("SSESpecification") {
        settings.encryption = encryption(specification);
    }
    if let Some(class) = request.str("TableClass") {
        settings.table_class = Some(class.to_owned());
    }
    if let Some(protection) = request.bool("DeletionProtectionEnabled") {
        settings.deletion_protection = Some(protection);
    }
}
