//! UpdateTable over HTTP: what goes together, and what is refused of streams and encryption.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::Endpoint;

const INVALID: &str = "One or more parameter values were invalid: ";
const NOT_FOUND: &str = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";

/// A change of the table `hhh`.
fn change(changes: &[(&str, Value)]) -> Value {
    let mut body = json!({"TableName": "hhh"});
    changes.iter().for_each(|(name, value)| body[name] = value.clone());
    body
}

fn stream() -> (&'static str, Value) {
    ("StreamSpecification", json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}))
}

#[test]
fn changes_that_the_service_makes_alone_are_refused_together() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let units = ("ProvisionedThroughput", json!({"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}));
    let provisioned = ("BillingMode", json!("PROVISIONED"));
    let on_demand = ("BillingMode", json!("PAY_PER_REQUEST"));
    let encryption = ("SSESpecification", json!({"Enabled": true}));
    let protection = ("DeletionProtectionEnabled", json!(false));
    let class = ("TableClass", json!("STANDARD"));
    let warm = ("WarmThroughput", json!({"ReadUnitsPerSecond": 20_000}));
    let most = ("OnDemandThroughput", json!({"MaxReadRequestUnits": 10}));
    let index = ("GlobalSecondaryIndexUpdates", json!([{"Delete": {"IndexName": "index"}}]));
    let alone = |what: &str| format!("{what} must be the only operation in the request");
    let cases = [
        (vec![encryption.clone(), protection.clone()], alone("Server-Side Encryption modification")),
        (vec![protection, class.clone()], alone("DeletionProtection modification")),
        (vec![class, on_demand.clone()], alone("TableClass modification")),
        (vec![warm, stream()], alone("WarmThroughput")),
        (vec![encryption, index.clone()], alone("Server-Side Encryption modification")),
        (
            vec![most, stream()],
            "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request".to_owned(),
        ),
        (
            vec![units.clone(), stream()],
            "You cannot modify stream status while updating table IOPS".to_owned(),
        ),
        (
            vec![provisioned, units.clone(), stream()],
            "You cannot modify stream status while updating table IOPS".to_owned(),
        ),
        (
            vec![units, index.clone()],
            "You cannot create or delete index while updating table IOPS".to_owned(),
        ),
        (vec![index, stream()], "You cannot create or delete index while changing stream status".to_owned()),
        (
            vec![on_demand.clone(), ("GlobalSecondaryIndexUpdates", json!([]))],
            "List of GlobalSecondaryIndexUpdates is empty".to_owned(),
        ),
    ];
    for (changes, text) in cases {
        endpoint.invalid("UpdateTable", change(&changes), &format!("{INVALID}{text}"));
    }
    endpoint.done("UpdateTable", change(&[on_demand, stream()]));
}

#[test]
fn a_stream_is_said_whole() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let specification = |enabled: bool, view: Value| {
        change(&[("StreamSpecification", json!({"StreamEnabled": enabled, "StreamViewType": view}))])
    };
    let text = format!("{INVALID}If stream is being enabled then UpdateViewType is required");
    endpoint.invalid("UpdateTable", specification(true, Value::Null), &text);
    let text = format!("{INVALID}If stream is being disabled, then UpdateViewType must not be specified");
    endpoint.invalid("UpdateTable", specification(false, json!("KEYS_ONLY")), &text);
    let none = "Table has no stream to disable: TableName: hhh";
    endpoint.invalid("UpdateTable", specification(false, Value::Null), none);
    endpoint.done("UpdateTable", change(&[stream()]));
    endpoint.invalid(
        "UpdateTable",
        change(&[stream()]),
        "Table already has an enabled stream: TableName: hhh",
    );
    endpoint.done("UpdateTable", specification(false, Value::Null));
    endpoint.invalid("UpdateTable", specification(false, Value::Null), none);

    let create = |enabled: bool, view: Value| {
        json!({
            "TableName": "new", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "StreamSpecification": {"StreamEnabled": enabled, "StreamViewType": view},
        })
    };
    let text = format!("{INVALID}Table is being created with a stream enabled, UpdateViewType is required");
    endpoint.invalid("CreateTable", create(true, Value::Null), &text);
    let text = format!(
        "{INVALID}Table is being created with a stream disabled, UpdateViewType should not be specified"
    );
    endpoint.invalid("CreateTable", create(false, json!("KEYS_ONLY")), &text);
    endpoint.done("CreateTable", create(false, Value::Null));
}

#[test]
fn encryption_is_on_for_who_says_which() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    for (specification, kind) in [
        (json!({"SSEType": "KMS"}), json!("KMS")),
        (json!({"Enabled": false}), Value::Null),
        (json!({"KMSMasterKeyId": "alias/one"}), json!("KMS")),
        (json!({}), Value::Null),
        (json!({"Enabled": true}), json!("KMS")),
    ] {
        endpoint.done("UpdateTable", change(&[("SSESpecification", specification.clone())]));
        let table = endpoint.done("DescribeTable", json!({"TableName": "hhh"}));
        let encryption = &table["Table"]["SSEDescription"];
        assert_eq!(encryption["SSEType"], kind, "{specification}");
        let key = encryption["KMSMasterKeyArn"].as_str();
        let expected = specification["KMSMasterKeyId"].as_str().unwrap_or("arn:aws:kms:us-east-1:");
        assert_eq!(key.is_some_and(|key| key.starts_with(expected)), kind != Value::Null, "{specification}");
    }
}

#[test]
fn an_index_that_is_not_there_cannot_be_dropped() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let delete = change(&[("GlobalSecondaryIndexUpdates", json!([{"Delete": {"IndexName": "other"}}]))]);
    let text = "Requested resource not found: Index other for table hhh";
    endpoint.refused("UpdateTable", delete, NOT_FOUND, text);
}
