//! ListStreams, DescribeStream.
//!
//! A stream has one shard: its records are in one order, that of their transactions.

use dynamite_core::api::{StreamDescription, TableDescription};
use serde_json::{Value, json};

use super::{reply, tables};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{key_schema, seconds};
use crate::dynamodb::{Endpoint, arn};

const STREAM_ARN_RULES: &[Rule] = &[Rule::NotNull, Rule::MinLength(37), Rule::MaxLength(1024)];
pub(crate) const STREAM_ARN: Field = field("StreamArn", Shape::String, STREAM_ARN_RULES);

const LIMIT_100: Field = field("Limit", Shape::Integer, &[Rule::AtLeast(1), Rule::AtMost(100)]);

pub(crate) const LIST_FIELDS: &[Field] = &[
    field(
        "TableName",
        Shape::String,
        &[Rule::Pattern(Pattern::Name), Rule::MinLength(3), Rule::MaxLength(255)],
    ),
    LIMIT_100,
    field("ExclusiveStartStreamArn", Shape::String, &[Rule::MinLength(37), Rule::MaxLength(1024)]),
];

pub(crate) const DESCRIBE_FIELDS: &[Field] = &[
    STREAM_ARN,
    LIMIT_100,
    field("ExclusiveStartShardId", Shape::String, &[Rule::MinLength(28), Rule::MaxLength(65)]),
    plain(
        "ShardFilter",
        Shape::Structure(&Structure {
            name: "ShardFilter",
            fields: &[
                field("ShardId", Shape::String, &[Rule::MinLength(28), Rule::MaxLength(65)]),
                field("Type", Shape::String, &[Rule::OneOf(&["CHILD_SHARDS"])]),
            ],
        }),
    ),
];

const MAX_LISTED: usize = 100;

/// A stream that a request names.
pub(crate) struct Named {
    pub(crate) table: TableDescription,
    pub(crate) stream: StreamDescription,
    pub(crate) arn: String,
}

impl Named {
    /// Finds the stream of an ARN.
    pub(crate) fn find(endpoint: &Endpoint, arn: &str) -> Answer<Named> {
        let not_found =
            || Failure::not_found(format!("Requested resource not found: Stream: {arn} not found"));
        let (name, label) = arn::stream(arn).ok_or_else(|| invalid(arn))?;
        let table = tables::find(endpoint, name).map_err(|_| not_found())?;
        let stream = all(&table).find(|stream| stream.label == label).cloned();
        let stream = stream.ok_or_else(not_found)?;
        Ok(Named { table, stream, arn: arn.to_owned() })
    }

    /// The id of its only shard.
    pub(crate) fn shard_id(&self) -> String {
        format!("shardId-{:020}-00000001", self.stream.created_ms)
    }
}

fn invalid(arn: &str) -> Failure {
    Failure::validation(format!("Invalid StreamArn: {arn}"))
}

/// The streams of a table, the oldest first.
fn all(table: &TableDescription) -> impl Iterator<Item = &StreamDescription> {
    table.closed_streams.iter().chain(&table.stream)
}

pub(crate) fn list(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let names = match request.str("TableName") {
        Some(name) => vec![name.to_owned()],
        None => endpoint.db.list_tables()?,
    };
    // What comes behind is told by order: the stream that was told last may be gone by now.
    let start = match request.str("ExclusiveStartStreamArn") {
        Some(start) => arn::stream(start).ok_or_else(|| invalid(start))?,
        None => ("", ""),
    };
    let mut listed: Vec<Value> = Vec::new();
    for name in names {
        // One that was dropped a moment ago has no streams.
        let Ok(table) = endpoint.db.describe_table(&name) else { continue };
        let behind = all(&table).filter(|stream| (table.name.as_str(), stream.label.as_str()) > start);
        listed.extend(behind.map(|stream| {
            json!({
                "StreamArn": arn::of_stream(&endpoint.config, &table.name, &stream.label),
                "StreamLabel": stream.label,
                "TableName": table.name,
            })
        }));
    }
    let limit = request.integer("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_LISTED);
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let last = listed.last().map(|stream| stream["StreamArn"].clone()).filter(|_| has_more);
    let mut told = json!({"Streams": listed});
    if let Some(last) = last {
        told["LastEvaluatedStreamArn"] = last;
    }
    reply(&told)
}

pub(crate) fn describe(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let named = Named::find(endpoint, request.str("StreamArn").unwrap_or_default())?;
    let Named { table, stream, arn } = &named;
    let shard_id = named.shard_id();
    let mut range = json!({"StartingSequenceNumber": stream.starting_sequence_number.to_string()});
    if let Some(end) = &stream.ending_sequence_number {
        range["EndingSequenceNumber"] = json!(end.to_string());
    }
    let is_behind = request.str("ExclusiveStartShardId") == Some(&shard_id);
    // The only shard is no child of one.
    let shards = match is_behind || request.has("ShardFilter") {
        true => json!([]),
        false => json!([{"ShardId": shard_id, "SequenceNumberRange": range}]),
    };
    reply(&json!({"StreamDescription": {
        "StreamArn": arn,
        "StreamLabel": stream.label,
        "StreamStatus": if stream.closed_ms.is_some() { "DISABLED" } else { "ENABLED" },
        "StreamViewType": stream.view.as_str(),
        "CreationRequestDateTime": seconds(stream.created_ms),
        "TableName": table.name,
        "KeySchema": key_schema(&table.keys),
        "Shards": shards,
    }}))
}
