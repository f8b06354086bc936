//! GetShardIterator, GetRecords.
//!
//! An iterator is where to go on in a stream, and when that was asked for: nothing is kept of it here, so that it survives a
//! restart, and ends a quarter of an hour after it was given.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dynamite_core::Item;
use dynamite_core::api::{SequenceNumber, StreamRecord};
use serde_json::{Value, json};

use super::reply;
use super::streams::{Named, STREAM_ARN};
use crate::dynamodb::Endpoint;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::now_ms;

pub(crate) const ITERATOR_FIELDS: &[Field] = &[
    STREAM_ARN,
    field("ShardId", Shape::String, &[Rule::NotNull, Rule::MinLength(28), Rule::MaxLength(65)]),
    field(
        "ShardIteratorType",
        Shape::String,
        &[
            Rule::NotNull,
            Rule::OneOf(&["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"]),
        ],
    ),
    field("SequenceNumber", Shape::String, &[Rule::MinLength(21), Rule::MaxLength(40)]),
];

pub(crate) const RECORDS_FIELDS: &[Field] = &[
    field("ShardIterator", Shape::String, &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(2048)]),
    field("Limit", Shape::Integer, &[Rule::AtLeast(1), Rule::AtMost(1000)]),
];

const MAX_RECORDS: usize = 1000;
const LIFE_MS: u64 = 15 * 60 * 1000;

/// Where to go on.
enum Place {
    Start,
    At(SequenceNumber),
    After(SequenceNumber),
    /// Behind the last record of a stream that was disabled.
    End,
}

pub(crate) fn iterator(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let named = Named::find(endpoint, request.str("StreamArn").unwrap_or_default())?;
    let shard = request.str("ShardId").unwrap_or_default();
    if shard != named.shard_id() {
        return Err(Failure::not_found(format!(
            "Requested resource not found: Shard: {shard} in Stream: {} not found",
            named.arn
        )));
    }
    let number = || -> Answer<SequenceNumber> {
        let kind = request.str("ShardIteratorType").unwrap_or_default();
        let text = request.str("SequenceNumber").ok_or_else(|| {
            Failure::invalid(format_args!("SequenceNumber is required for ShardIteratorType {kind}"))
        })?;
        text.parse().map_err(|_| Failure::validation(format!("Invalid SequenceNumber: {text}")))
    };
    let reader = || endpoint.db.stream(&named.table.name).label(&named.stream.label);
    let place = match request.str("ShardIteratorType") {
        // What was trimmed is refused here already.
        Some("AT_SEQUENCE_NUMBER") => {
            let number = number()?;
            reader().at(number).poll_items(1)?;
            Place::At(number)
        }
        Some("AFTER_SEQUENCE_NUMBER") => {
            let number = number()?;
            reader().after(number).poll_items(1)?;
            Place::After(number)
        }
        Some("LATEST") => reader().latest().poll_items(1)?.next.map_or(Place::End, Place::After),
        _ => Place::Start,
    };
    reply(&json!({"ShardIterator": write(&named.arn, &place)}))
}

pub(crate) fn records(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let text = request.str("ShardIterator").unwrap_or_default();
    let (arn, place, given_ms) =
        read(text).ok_or_else(|| Failure::validation(format!("Invalid ShardIterator: {text}")))?;
    if now_ms().saturating_sub(given_ms) > LIFE_MS {
        let text = "The shard iterator has expired: it was given more than 15 minutes ago";
        return Err(Failure::dynamodb("ExpiredIteratorException", text));
    }
    let named = Named::find(endpoint, arn)?;
    let limit = request.integer("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_RECORDS);
    let reader = endpoint.db.stream(&named.table.name).label(&named.stream.label);
    let reader = match place {
        Place::Start => reader.from_start(),
        Place::At(number) => reader.at(number),
        Place::After(number) => reader.after(number),
        Place::End => return reply(&json!({"Records": []})),
    };
    let page = reader.poll_items(limit)?;
    let records: Vec<Value> = page.records.iter().map(|record| describe(endpoint, &named, record)).collect();
    let mut told = json!({"Records": records});
    if let Some(next) = page.next {
        told["NextShardIterator"] = json!(write(&named.arn, &Place::After(next)));
    }
    reply(&told)
}

fn describe(endpoint: &Endpoint, named: &Named, record: &StreamRecord<Item>) -> Value {
    let mut change = json!({
        "ApproximateCreationDateTime": record.approximate_creation_time,
        "Keys": record.keys,
        "SequenceNumber": record.sequence_number.to_string(),
        "SizeBytes": record.size_bytes,
        "StreamViewType": named.stream.view.as_str(),
    });
    for (name, image) in [("NewImage", &record.new_image), ("OldImage", &record.old_image)] {
        if let Some(image) = image {
            change[name] = json!(image);
        }
    }
    let mut told = json!({
        "eventID": record.event_id,
        "eventName": record.event.as_str(),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": endpoint.config.region,
        "dynamodb": change,
    });
    if let Some(identity) = &record.user_identity {
        told["userIdentity"] = json!({"Type": identity.identity_type, "PrincipalId": identity.principal_id});
    }
    told
}

fn write(arn: &str, place: &Place) -> String {
    let (kind, number) = match place {
        Place::Start => ('S', String::new()),
        Place::At(number) => ('I', number.to_string()),
        Place::After(number) => ('A', number.to_string()),
        Place::End => ('E', String::new()),
    };
    format!("{arn}|1|{}", STANDARD.encode(format!("{kind}:{number}:{}", now_ms())))
}

fn read(text: &str) -> Option<(&str, Place, u64)> {
    let (arn, rest) = text.split_once("|1|")?;
    let rest = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let mut parts = rest.split(':');
    let (kind, number, given_ms) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    let place = match kind {
        "S" => Place::Start,
        "I" => Place::At(number.parse().ok()?),
        "A" => Place::After(number.parse().ok()?),
        "E" => Place::End,
        _ => return None,
    };
    Some((arn, place, given_ms))
}
