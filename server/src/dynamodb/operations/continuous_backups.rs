//! DescribeContinuousBackups: tools that describe tables ask for it. There is no point-in-time recovery by this protocol, and so it says.

use serde_json::json;

use super::{reply, tables};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn};

pub(crate) const DESCRIBE_FIELDS: &[Field] = &[TABLE];

pub(crate) fn describe(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let name = arn::table_name(request.str("TableName").unwrap_or_default());
    tables::find(endpoint, name)
        .map_err(|_| Failure::dynamodb("TableNotFoundException", format!("Table not found: {name}")))?;
    reply(&json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }}))
}
