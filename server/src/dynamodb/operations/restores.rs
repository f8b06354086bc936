//! RestoreTableFromBackup, RestoreTableToPointInTime.

use std::time::{Duration, UNIX_EPOCH};

use dynamite_core::api::{IndexKind, RestoreTable, TableDescription};
use dynamite_core::error::Error;
use serde_json::json;

use super::backups::{BACKUP_ARN, find_backup};
use super::continuous_backups::{date_time, find, no_table, window};
use super::create_table::encryption;
use super::index_definitions::{Keys, projection};
use super::reply;
use super::throughput::{check_units, units_of};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{Restored, Statuses, TableSettings, new_id, now_ms};
use crate::dynamodb::{Endpoint, arn};

const TARGET: Field = field("TargetTableName", Shape::String, NAME);
const BILLING: Field = Field { name: "BillingModeOverride", ..BILLING_MODE };
const THROUGHPUT: Field = Field { name: "ProvisionedThroughputOverride", ..PROVISIONED_THROUGHPUT };
const GLOBAL: Field = Field { name: "GlobalSecondaryIndexOverride", ..GLOBAL_INDEXES };
const LOCAL: Field = Field { name: "LocalSecondaryIndexOverride", ..LOCAL_INDEXES };
const SSE: Field = Field { name: "SSESpecificationOverride", ..SSE_SPECIFICATION };

pub(crate) const BACKUP_FIELDS: &[Field] = &[TARGET, BACKUP_ARN, BILLING, GLOBAL, LOCAL, THROUGHPUT, SSE];
pub(crate) const TIME_FIELDS: &[Field] = &[
    field("SourceTableArn", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(1024)]),
    field(
        "SourceTableName",
        Shape::String,
        &[Rule::Pattern(Pattern::Name), Rule::MinLength(3), Rule::MaxLength(255)],
    ),
    TARGET,
    plain("UseLatestRestorableTime", Shape::Boolean),
    plain("RestoreDateTime", Shape::Long),
    BILLING,
    GLOBAL,
    LOCAL,
    THROUGHPUT,
    SSE,
];

pub(crate) fn from_backup(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let arn = request.str("BackupArn").unwrap_or_default();
    let backup = find_backup(endpoint, arn)?;
    let restored = Restored {
        backup: Some(arn::of_backup(&endpoint.config, &backup.table.name, &backup.id)),
        table: arn::of_table(&endpoint.config, &backup.table.name),
        ms: backup.created_ms,
    };
    restore(endpoint, request, &backup.table, restored, |restore| restore.from_backup(&backup.id))
}

pub(crate) fn to_point_in_time(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let source = match (request.str("SourceTableArn"), request.str("SourceTableName")) {
        (Some(arn), None) => arn::table_name(arn),
        (None, Some(name)) => name,
        (Some(_), Some(_)) => {
            return Err(Failure::validation("Must provide exactly one of: sourceTableArn, sourceTableName"));
        }
        (None, None) => {
            return Err(Failure::validation(
                "The parameter 'TableName' is required but was not present in the request",
            ));
        }
    };
    let latest = request.bool("UseLatestRestorableTime").unwrap_or_default();
    let asked = match (latest, request.milliseconds("RestoreDateTime")) {
        (true, None) => None,
        (false, Some(ms)) => Some(ms),
        (true, Some(_)) => {
            return Err(Failure::validation(
                "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore \
                 request. Please specify either RestoreDateTime time or UseLatestRestorableTime",
            ));
        }
        (false, None) => {
            return Err(Failure::validation(
                "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
            ));
        }
    };
    let table = find(endpoint, source)?;
    let Some(recovery) = TableSettings::of(&table)?.recovery else {
        return Err(Failure::dynamodb(
            "PointInTimeRecoveryUnavailableException",
            format!("Point in time recovery is not enabled for table '{source}'"),
        ));
    };
    let (earliest, now) = window(&recovery);
    if let Some(ms) = asked.filter(|ms| !(earliest..=now).contains(ms)) {
        return Err(invalid_time(ms, earliest, now));
    }
    let restored = Restored {
        backup: None,
        table: arn::of_table(&endpoint.config, &table.name),
        ms: asked.unwrap_or(now),
    };
    restore(endpoint, request, &table, restored, |restore| match asked {
        Some(ms) => restore.from_past(&table.name, UNIX_EPOCH + Duration::from_millis(ms)),
        None => restore.from_table(&table.name),
    })
}

fn invalid_time(ms: u64, earliest: u64, latest: u64) -> Failure {
    let text = format!(
        "RestoreDateTime '{}' must be within EarliestRestorableDateTime '{}' and LatestRestorableDateTime '{}'",
        date_time(ms),
        date_time(earliest),
        date_time(latest)
    );
    Failure::dynamodb("InvalidRestoreTimeException", text)
}

fn restore<'a>(
    endpoint: &'a Endpoint,
    request: &'a Json<'_>,
    source: &TableDescription,
    restored: Restored,
    from: impl FnOnce(RestoreTable<'a>) -> RestoreTable<'a>,
) -> Answer {
    let target = request.str("TargetTableName").unwrap_or_default();
    let asked_ms = restored.ms;
    let settings = settings(request, source, restored)?;
    let mut restore = from(endpoint.db.restore_table(target)).metadata(settings.to_metadata()?);
    for (field, kind) in [
        ("GlobalSecondaryIndexOverride", IndexKind::Global),
        ("LocalSecondaryIndexOverride", IndexKind::Local),
    ] {
        let Some(indexes) = request.array(field) else { continue };
        indexes.iter().try_for_each(|index| check_override(index, source, kind))?;
        restore = match kind {
            IndexKind::Global => restore.global_indexes(names(indexes)),
            IndexKind::Local => restore.local_indexes(names(indexes)),
        };
    }
    restore.execute().map_err(|error| match error {
        Error::TableExists { table } => {
            Failure::dynamodb("TableAlreadyExistsException", format!("Table already exists: {table}"))
        }
        Error::TableNotFound { table } => no_table(&table),
        Error::BackupNotFound { .. } => Failure::dynamodb(
            "BackupNotFoundException",
            format!("Backup not found: {}", request.str("BackupArn").unwrap_or_default()),
        ),
        Error::IndexNotFound { index, .. } => no_match(&index),
        // The window has moved on since it was looked at.
        Error::BeyondHistory { .. } | Error::NotYet { .. } => {
            let recovery = TableSettings::of(source).ok().and_then(|settings| settings.recovery);
            let (earliest, latest) = recovery.as_ref().map_or((asked_ms, asked_ms), window);
            invalid_time(asked_ms, earliest, latest)
        }
        other => other.into(),
    })?;
    endpoint.creating.add(target, endpoint.config.creation_time);
    let table = endpoint.db.describe_table(target)?;
    let description = settings.describe(&endpoint.config, &table, Statuses::CREATING);
    reply(&json!({"TableDescription": description}))
}

fn names<'a>(indexes: &'a [Json<'_>]) -> impl Iterator<Item = &'a str> {
    indexes.iter().map(|index| index.str("IndexName").unwrap_or_default())
}

/// An index that the source does not have.
fn no_match(index: &str) -> Failure {
    Failure::validation(format!(
        "Invalid Request: Index {index} does not match a secondary index that existed in the source table and cannot be created \
         during the restore operation"
    ))
}

/// Refuses an index that is not as it is in the source: it is restored, not made anew.
fn check_override(index: &Json<'_>, source: &TableDescription, kind: IndexKind) -> Answer<()> {
    let name = index.str("IndexName").unwrap_or_default();
    let found = source.indexes.iter().find(|found| found.name == name && found.kind == kind);
    let found = found.ok_or_else(|| no_match(name))?;
    match Keys::of(index).are(&found.keys) && projection(index)? == found.projection {
        true => Ok(()),
        false => Err(no_match(name)),
    }
}

/// Takes over the units of the indexes that are restored. A table that is not billed on demand any more needs them of each.
fn override_units(request: &Json<'_>, settings: &mut TableSettings, was_on_demand: bool) -> Answer<()> {
    let is_on_demand = settings.billing.is_on_demand;
    for index in request.array("GlobalSecondaryIndexOverride").unwrap_or_default() {
        let name = index.str("IndexName").unwrap_or_default();
        let text = match (index.field("ProvisionedThroughput"), is_on_demand) {
            (Some(units), false) => {
                check_units(units)?;
                settings.indexes.insert(name.to_owned(), units_of(Some(units)));
                continue;
            }
            (None, false) if was_on_demand => format!("Must specify provisioned throughput for index {name}"),
            (None, _) => continue,
            (Some(_), true) if request.has("BillingModeOverride") => format!(
                "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST for index {name}"
            ),
            (Some(_), true) => {
                "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED".to_owned()
            }
        };
        return Err(Failure::validation(format!("Invalid Request: {text}")));
    }
    Ok(())
}

/// What is to be known of the table: what is billed is taken over, what protects, classifies and names it is not.
fn settings(request: &Json<'_>, source: &TableDescription, restored: Restored) -> Answer<TableSettings> {
    let mut settings = TableSettings { restored: Some(restored), ..TableSettings::of(source)? };
    settings.id = new_id()?;
    settings.tags.clear();
    (settings.policy, settings.deletion_protection, settings.recovery) = (None, None, None);
    settings.table_class = None;
    let was_on_demand = settings.billing.is_on_demand;
    let throughput = request.field("ProvisionedThroughputOverride");
    check_billing(request.str("BillingModeOverride"), throughput.is_some(), was_on_demand)?;
    match request.str("BillingModeOverride") {
        Some("PAY_PER_REQUEST") => {
            (settings.billing.is_on_demand, settings.billing.was_chosen) = (true, true);
            settings.billing.on_demand_ms = now_ms();
            settings.throughput = Default::default();
            settings.indexes.values_mut().for_each(|index| *index = Default::default());
        }
        Some(_) => settings.billing.is_on_demand = false,
        None => {}
    }
    if let Some(throughput) = throughput {
        check_units(throughput)?;
        settings.throughput = units_of(Some(throughput));
    }
    override_units(request, &mut settings, was_on_demand)?;
    if let Some(specification) = request.field("SSESpecificationOverride") {
        settings.encryption = encryption(specification);
    }
    Ok(settings)
}

/// Refuses units for a table that is billed on demand, and a table that is not any more without units.
fn check_billing(mode: Option<&str>, has_units: bool, was_on_demand: bool) -> Answer<()> {
    let text = match (mode, has_units, was_on_demand) {
        (Some("PAY_PER_REQUEST"), true, _) => {
            "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST"
        }
        (None, true, true) => "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
        (Some("PROVISIONED"), false, true) => {
            "Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED"
        }
        _ => return Ok(()),
    };
    Err(Failure::validation(format!("Invalid Request: {text}")))
}
