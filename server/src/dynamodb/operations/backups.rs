//! CreateBackup, DescribeBackup, ListBackups, DeleteBackup.

use dynamite_core::api::TableBackup;
use dynamite_core::error::Error;
use serde_json::{Value, json};

use super::continuous_backups::{find, no_table};
use super::reply;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{Statuses, TableSettings, seconds};
use crate::dynamodb::{Endpoint, arn};

pub(crate) const BACKUP_ARN: Field =
    field("BackupArn", Shape::String, &[Rule::NotNull, Rule::MinLength(37), Rule::MaxLength(1024)]);

pub(crate) const CREATE_FIELDS: &[Field] = &[TABLE, field("BackupName", Shape::String, NAME)];
pub(crate) const DESCRIBE_FIELDS: &[Field] = &[BACKUP_ARN];
pub(crate) const DELETE_FIELDS: &[Field] = &[BACKUP_ARN];
pub(crate) const LIST_FIELDS: &[Field] = &[
    field("BackupType", Shape::String, &[Rule::OneOf(&["USER", "SYSTEM", "AWS_BACKUP", "ALL"])]),
    field("ExclusiveStartBackupArn", Shape::String, &[Rule::MinLength(37), Rule::MaxLength(1024)]),
    field("Limit", Shape::Integer, &[Rule::AtLeast(1), Rule::AtMost(100)]),
    field("TableName", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(1024)]),
    plain("TimeRangeLowerBound", Shape::Long),
    plain("TimeRangeUpperBound", Shape::Long),
];

const MAX_LISTED: usize = 100;

fn not_found(arn: &str) -> Failure {
    Failure::dynamodb("BackupNotFoundException", format!("Backup not found: {arn}"))
}

/// A backup by its resource's name.
pub(crate) fn find_backup(endpoint: &Endpoint, arn: &str) -> Answer<TableBackup> {
    if arn.starts_with("arn:") && !arn.starts_with("arn:aws:dynamodb:") {
        return Err(Failure::validation("Invalid Request: BackupArn is not valid"));
    }
    let (table, id) = arn::backup(arn).ok_or_else(|| Failure::validation("Invalid Backup ARN"))?;
    match endpoint.db.describe_table_backup(id) {
        Ok(backup) if backup.table.name == table => Ok(backup),
        Ok(_) | Err(Error::BackupNotFound { .. }) => Err(not_found(arn)),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn create(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    find(endpoint, name)?;
    // One that is being created is not there yet.
    if endpoint.creating.contains(name) {
        return Err(no_table(name));
    }
    let backup = endpoint.db.create_table_backup(name, request.str("BackupName").unwrap_or_default());
    // The table may have been dropped since.
    let backup = backup.map_err(|error| match error {
        Error::TableNotFound { table } => no_table(&table),
        other => other.into(),
    })?;
    // As with tables the answer says so, although nothing needs to be waited for.
    reply(&json!({"BackupDetails": details(endpoint, &backup, "CREATING")}))
}

pub(crate) fn describe(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let backup = find_backup(endpoint, request.str("BackupArn").unwrap_or_default())?;
    reply(&json!({"BackupDescription": description(endpoint, &backup, "AVAILABLE")?}))
}

pub(crate) fn delete(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let arn = request.str("BackupArn").unwrap_or_default();
    let backup = find_backup(endpoint, arn)?;
    match endpoint.db.delete_table_backup(&backup.id) {
        Ok(backup) => reply(&json!({"BackupDescription": description(endpoint, &backup, "DELETED")?})),
        Err(Error::BackupNotFound { .. }) => Err(not_found(arn)),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn list(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let limit = request.integer("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_LISTED);
    let table = request.str("TableName").map(arn::table_name);
    let (from, to) =
        (request.milliseconds("TimeRangeLowerBound"), request.milliseconds("TimeRangeUpperBound"));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Failure::invalid("Time range lower bound must be less than or equal to upper bound"));
    }
    let start = request.str("ExclusiveStartBackupArn").map(|arn| arn::backup(arn).map_or("", |(_, id)| id));
    let is_of_users = matches!(request.str("BackupType"), None | Some("USER" | "ALL"));
    let mut backups = if is_of_users { endpoint.db.list_table_backups()? } else { Vec::new() };
    backups.retain(|backup| {
        table.is_none_or(|table| backup.table.name == table)
            && from.is_none_or(|from| backup.created_ms >= from)
            && to.is_none_or(|to| backup.created_ms < to)
            && start.is_none_or(|start| &*backup.id > start)
    });
    let has_more = backups.len() > limit;
    backups.truncate(limit);
    let mut summaries = Vec::with_capacity(backups.len());
    for backup in &backups {
        let mut summary = details(endpoint, backup, "AVAILABLE");
        summary["TableName"] = json!(backup.table.name);
        summary["TableId"] = json!(TableSettings::of(&backup.table)?.id);
        summary["TableArn"] = json!(arn::of_table(&endpoint.config, &backup.table.name));
        summaries.push(summary);
    }
    let mut told = json!({"BackupSummaries": summaries});
    if let Some(last) = backups.last().filter(|_| has_more) {
        told["LastEvaluatedBackupArn"] = json!(arn::of_backup(&endpoint.config, &last.table.name, &last.id));
    }
    reply(&told)
}

fn details(endpoint: &Endpoint, backup: &TableBackup, status: &str) -> Value {
    json!({
        "BackupArn": arn::of_backup(&endpoint.config, &backup.table.name, &backup.id),
        "BackupName": backup.name,
        "BackupSizeBytes": backup.table.size_bytes,
        "BackupStatus": status,
        "BackupType": "USER",
        "BackupCreationDateTime": seconds(backup.created_ms),
    })
}

fn description(endpoint: &Endpoint, backup: &TableBackup, status: &str) -> Answer<Value> {
    let settings = TableSettings::of(&backup.table)?;
    let table = settings.describe(&endpoint.config, &backup.table, Statuses::ACTIVE);
    let mut source =
        pick(&table, &["TableName", "TableId", "TableArn", "TableSizeBytes", "KeySchema", "ItemCount"]);
    source["TableCreationDateTime"] = table["CreationDateTime"].clone();
    source["ProvisionedThroughput"] = units(&table);
    source["BillingMode"] =
        json!(if settings.billing.is_on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" });
    let mut features = json!({});
    for name in ["LocalSecondaryIndexes", "GlobalSecondaryIndexes"] {
        let indexes = table[name].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|index| {
            let mut told = pick(index, &["IndexName", "KeySchema", "Projection"]);
            if index.get("ProvisionedThroughput").is_some() {
                told["ProvisionedThroughput"] = units(index);
            }
            told
        });
        let indexes: Vec<Value> = indexes.collect();
        if !indexes.is_empty() {
            features[name] = Value::Array(indexes);
        }
    }
    for (from, to) in [("StreamSpecification", "StreamDescription"), ("SSEDescription", "SSEDescription")] {
        if let Some(feature) = table.get(from) {
            features[to] = feature.clone();
        }
    }
    if let Some(attribute) = &backup.table.ttl {
        features["TimeToLiveDescription"] =
            json!({"TimeToLiveStatus": "ENABLED", "AttributeName": attribute});
    }
    Ok(json!({
        "BackupDetails": details(endpoint, backup, status),
        "SourceTableDetails": source,
        "SourceTableFeatureDetails": features,
    }))
}

fn units(of: &Value) -> Value {
    pick(&of["ProvisionedThroughput"], &["ReadCapacityUnits", "WriteCapacityUnits"])
}

fn pick(from: &Value, names: &[&str]) -> Value {
    let fields = names.iter().filter_map(|name| Some(((*name).to_owned(), from.get(name)?.clone())));
    Value::Object(fields.collect())
}
