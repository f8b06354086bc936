//! The ARN of a table stands for its name, wherever a request names a table.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::Endpoint;

const ARN: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/hhh";

fn item(name: &str) -> Value {
    json!({"p": {"S": name}})
}

#[test]
fn items_are_written_and_read_by_the_arn_of_their_table() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    endpoint.done("PutItem", json!({"TableName": ARN, "Item": item("a")}));
    let got = endpoint.done("GetItem", json!({"TableName": ARN, "Key": item("a")}));
    assert_eq!(got, json!({"Item": item("a")}));
    let update = json!({"TableName": ARN, "Key": item("b"), "UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"N": "1"}}});
    endpoint.done("UpdateItem", update);
    let query = json!({"TableName": ARN, "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "b"}}});
    assert_eq!(endpoint.done("Query", query)["Items"], json!([{"p": {"S": "b"}, "x": {"N": "1"}}]));
    endpoint.done("DeleteItem", json!({"TableName": ARN, "Key": item("b")}));
    assert_eq!(endpoint.done("Scan", json!({"TableName": ARN}))["Items"], json!([item("a")]));

    endpoint.done("BatchWriteItem", json!({"RequestItems": {ARN: [{"PutRequest": {"Item": item("c")}}]}}));
    let batch = endpoint.done("BatchGetItem", json!({"RequestItems": {ARN: {"Keys": [item("c")]}}}));
    assert_eq!(batch["Responses"], json!({ARN: [item("c")]}));
    endpoint.done(
        "TransactWriteItems",
        json!({"TransactItems": [{"Delete": {"TableName": ARN, "Key": item("c")}}]}),
    );
    let get = json!({"TransactItems": [{"Get": {"TableName": ARN, "Key": item("a")}}]});
    assert_eq!(endpoint.done("TransactGetItems", get), json!({"Responses": [{"Item": item("a")}]}));
    assert_eq!(endpoint.done("Scan", json!({"TableName": "hhh"}))["Items"], json!([item("a")]));
}

#[test]
fn an_item_is_one_whether_its_table_is_named_or_its_arn_is() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let both = ["hhh", ARN];
    let puts = both.map(|table| json!({"Put": {"TableName": table, "Item": item("a")}}));
    let text = "Transaction request cannot include multiple operations on one item";
    endpoint.invalid("TransactWriteItems", json!({"TransactItems": puts}), text);
    let gets: serde_json::Map<_, _> =
        both.iter().map(|table| ((*table).to_owned(), json!({"Keys": [item("a")]}))).collect();
    let text = "Each table name or ARN can be used only once per BatchGetItem request";
    endpoint.invalid("BatchGetItem", json!({"RequestItems": gets}), text);
}

#[test]
fn tables_are_described_changed_and_dropped_by_their_arn() {
    let endpoint = Endpoint::start();
    let key = json!([{"AttributeName": "p", "KeyType": "HASH"}]);
    let definitions = json!([{"AttributeName": "p", "AttributeType": "S"}]);
    endpoint.done(
        "CreateTable",
        json!({"TableName": ARN, "BillingMode": "PAY_PER_REQUEST", "KeySchema": key, "AttributeDefinitions": definitions}),
    );
    let described = endpoint.done("DescribeTable", json!({"TableName": ARN}));
    assert_eq!(described["Table"]["TableName"], "hhh");
    endpoint.done("UpdateTable", json!({"TableName": ARN, "DeletionProtectionEnabled": false}));
    let ttl = json!({"TableName": ARN, "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "end"}});
    endpoint.done("UpdateTimeToLive", ttl);
    let ttl = endpoint.done("DescribeTimeToLive", json!({"TableName": ARN}));
    assert_eq!(ttl["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLED");
    let recovery =
        json!({"TableName": ARN, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
    endpoint.done("UpdateContinuousBackups", recovery);
    endpoint.done("DescribeContinuousBackups", json!({"TableName": ARN}));
    endpoint.done("CreateBackup", json!({"TableName": ARN, "BackupName": "saved"}));
    endpoint.done("DeleteTable", json!({"TableName": ARN}));
    assert_eq!(endpoint.done("ListTables", json!({})), json!({"TableNames": []}));
}

/// What only looks like an ARN of a table is held against the rules of names.
#[test]
fn other_arns_are_no_names_of_tables() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let long = format!("{}{}", &ARN[..ARN.len() - 3], "x".repeat(256));
    let prefixed = format!("arn:{}:table/hhh", "x".repeat(1020));
    let index = format!("{ARN}/index/x");
    for name in
        ["arn:aws:dynamodb", "aws:table/hhh", "arn:aws:dynamodb:a:0:table/hh", &index, &long, &prefixed]
    {
        let (status, answer) = endpoint.call("GetItem", json!({"TableName": name, "Key": item("a")}));
        let text = answer["message"].as_str().unwrap_or_default();
        let expected = format!(
            "Value '{name}' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        );
        assert!(status == 400 && text.contains(&expected), "{name}: {status} {answer}");
        let gets = json!({"RequestItems": {name: {"Keys": [item("a")]}}});
        assert_eq!(endpoint.call("BatchGetItem", gets).0, 400, "{name}");
        assert_eq!(endpoint.call("CreateTable", json!({"TableName": name})).0, 400, "{name}");
    }
    // An index is not a table.
    let query = json!({"TableName": "hhh", "IndexName": ARN, "KeyConditionExpression": "p = p"});
    assert_eq!(
        endpoint.call("Query", query).1["message"].as_str().map(|text| text.contains("'indexName'")),
        Some(true)
    );
    let restore = json!({"TargetTableName": ARN, "SourceTableName": "hhh", "UseLatestRestorableTime": true});
    assert_eq!(
        endpoint.call("RestoreTableToPointInTime", restore).1["message"]
            .as_str()
            .map(|text| text.contains("'targetTableName'")),
        Some(true)
    );
}
