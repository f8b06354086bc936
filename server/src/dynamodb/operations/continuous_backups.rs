//! DescribeContinuousBackups, UpdateContinuousBackups: point-in-time recovery, which is the table's history.

use std::time::Duration;

use dynamite_core::api::TableDescription;
use dynamite_core::calendar;
use serde_json::{Value, json};

use super::{reply, tables};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{Recovery, TableSettings, now_ms, seconds};
use crate::dynamodb::{Endpoint, arn};

pub(crate) const DESCRIBE_FIELDS: &[Field] = &[TABLE];
pub(crate) const UPDATE_FIELDS: &[Field] = &[
    TABLE,
    field(
        "PointInTimeRecoverySpecification",
        Shape::Structure(&Structure {
            name: "PointInTimeRecoverySpecification",
            fields: &[
                field("PointInTimeRecoveryEnabled", Shape::Boolean, &[Rule::NotNull]),
                field("RecoveryPeriodInDays", Shape::Integer, &[Rule::AtLeast(1), Rule::AtMost(35)]),
            ],
        }),
        &[Rule::NotNull],
    ),
];

const DAY_MS: u64 = 86_400_000;
const DEFAULT_DAYS: u64 = 35;
/// How exactly the database knows when a transaction was.
const STEP_MS: u64 = 2_000;

/// The table of an operation on backups, which has an error of its own for one that there is not.
pub(crate) fn find(endpoint: &Endpoint, name: &str) -> Answer<TableDescription> {
    tables::find(endpoint, name).map_err(|_| no_table(name))
}

pub(crate) fn no_table(name: &str) -> Failure {
    Failure::dynamodb("TableNotFoundException", format!("Table not found: {name}"))
}

pub(crate) fn describe(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let table = find(endpoint, arn::table_name(request.str("TableName").unwrap_or_default()))?;
    reply(&described(TableSettings::of(&table)?.recovery.as_ref()))
}

pub(crate) fn update(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    let specification = request.field("PointInTimeRecoverySpecification");
    let wanted = specification.and_then(|given| given.bool("PointInTimeRecoveryEnabled")).unwrap_or_default();
    let days = specification.and_then(|given| given.integer("RecoveryPeriodInDays"));
    if !wanted && days.is_some() {
        return Err(Failure::validation(
            "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
        ));
    }
    let _turn = endpoint.control();
    let table = find(endpoint, name)?;
    let mut settings = TableSettings::of(&table)?;
    let history = match (wanted, settings.recovery.take()) {
        (true, was) => {
            let mut recovery = was.unwrap_or_else(|| Recovery {
                enabled_ms: now_ms(),
                days: DEFAULT_DAYS,
                history_ms: table.history.map_or(0, |history| history.as_millis() as u64),
            });
            recovery.days = days.and_then(|days| u64::try_from(days).ok()).unwrap_or(recovery.days);
            let ms = (recovery.days * DAY_MS).max(recovery.history_ms);
            settings.recovery = Some(recovery);
            Some(ms)
        }
        // A history has no end; one that nobody asked for is as good as none.
        (false, Some(was)) => Some(was.history_ms.max(1)),
        (false, None) => None,
    };
    if let Some(ms) = history {
        let update = endpoint.db.update_table(name).history(Duration::from_millis(ms));
        update.metadata(settings.to_metadata()?).execute()?;
    }
    reply(&described(settings.recovery.as_ref()))
}

fn described(recovery: Option<&Recovery>) -> Value {
    let description = match recovery {
        None => json!({"PointInTimeRecoveryStatus": "DISABLED"}),
        Some(recovery) => {
            let (earliest, latest) = window(recovery);
            json!({
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": recovery.days,
                "EarliestRestorableDateTime": seconds(earliest),
                "LatestRestorableDateTime": seconds(latest),
            })
        }
    };
    json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": description,
    }})
}

/// The first and the last moment that a table can be restored to, in milliseconds.
pub(crate) fn window(recovery: &Recovery) -> (u64, u64) {
    let now = now_ms();
    let earliest = (recovery.enabled_ms + STEP_MS).max(now.saturating_sub(recovery.days * DAY_MS));
    (earliest.min(now), now)
}

/// A moment as errors tell it.
pub(crate) fn date_time(ms: u64) -> String {
    let (days, second) = (ms / DAY_MS, ms % DAY_MS / 1000);
    let (year, month, day) = calendar::date_of(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
