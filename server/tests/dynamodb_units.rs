//! What is said of a table's throughput and policy beside its provisioned units: it is kept, described and changed.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::Endpoint;

const INVALID: &str = "One or more parameter values were invalid: ";
const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/ttt";

fn key(name: &str) -> Value {
    json!([{"AttributeName": name, "KeyType": "HASH"}])
}

/// A table with the index `index`, billed on demand.
fn table() -> Value {
    let strings = ["p", "a"].map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
    let index = json!({"IndexName": "index", "KeySchema": key("a"), "Projection": {"ProjectionType": "ALL"}});
    json!({
        "TableName": "ttt", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": strings, "KeySchema": key("p"),
        "GlobalSecondaryIndexes": [index],
    })
}

/// What is described of the table and of its index.
fn described(endpoint: &Endpoint, field: &str) -> (Value, Value) {
    let table = endpoint.done("DescribeTable", json!({"TableName": "ttt"}))["Table"].clone();
    (table[field].clone(), table["GlobalSecondaryIndexes"][0][field].clone())
}

fn update(endpoint: &Endpoint, mut change: Value) -> Value {
    change["TableName"] = json!("ttt");
    endpoint.done("UpdateTable", change)["TableDescription"].clone()
}

fn on_demand(read: i64, write: i64) -> Value {
    json!({"MaxReadRequestUnits": read, "MaxWriteRequestUnits": write})
}

fn provisioned() -> Value {
    json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 5})
}

#[test]
fn the_most_that_may_be_used_on_demand_is_described_and_changed() {
    let endpoint = Endpoint::start();
    let mut body = table();
    body["OnDemandThroughput"] = on_demand(100, 50);
    body["GlobalSecondaryIndexes"][0]["OnDemandThroughput"] = json!({"MaxReadRequestUnits": 10});
    endpoint.done("CreateTable", body);
    let both = |endpoint: &Endpoint| described(endpoint, "OnDemandThroughput");
    assert_eq!(both(&endpoint), (on_demand(100, 50), json!({"MaxReadRequestUnits": 10})));

    let index = |units: Value| json!([{"Update": {"IndexName": "index", "OnDemandThroughput": units}}]);
    let told = update(&endpoint, json!({"OnDemandThroughput": {"MaxReadRequestUnits": 200}}));
    assert_eq!(told["OnDemandThroughput"], on_demand(200, 50));
    update(&endpoint, json!({"GlobalSecondaryIndexUpdates": index(on_demand(20, 30))}));
    assert_eq!(both(&endpoint), (on_demand(200, 50), on_demand(20, 30)));
    // What is not limited any more is not told.
    update(&endpoint, json!({"OnDemandThroughput": {"MaxWriteRequestUnits": -1}}));
    update(&endpoint, json!({"GlobalSecondaryIndexUpdates": index(on_demand(-1, -1))}));
    assert_eq!(both(&endpoint), (json!({"MaxReadRequestUnits": 200}), Value::Null));

    for (units, of, name) in [
        (json!({"OnDemandThroughput": on_demand(0, 1)}), "table", "MaxReadRequestUnits"),
        (json!({"OnDemandThroughput": on_demand(1, -2)}), "table", "MaxWriteRequestUnits"),
        (
            json!({"GlobalSecondaryIndexUpdates": index(on_demand(1, 0))}),
            "index : index",
            "MaxWriteRequestUnits",
        ),
    ] {
        let mut units = units;
        units["TableName"] = json!("ttt");
        let text =
            format!("{INVALID}Requested {name} for OnDemandThroughput for {of} is outside of valid range");
        endpoint.invalid("UpdateTable", units, &text);
    }

    // It belongs to this way of being billed.
    let units = json!([{"Update": {"IndexName": "index", "ProvisionedThroughput": provisioned()}}]);
    let to = json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": provisioned(), "GlobalSecondaryIndexUpdates": units});
    update(&endpoint, to);
    assert_eq!(both(&endpoint), (Value::Null, Value::Null));
    let body = json!({"TableName": "ttt", "OnDemandThroughput": on_demand(1, 1)});
    let text = format!(
        "{INVALID}MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED"
    );
    endpoint.invalid("UpdateTable", body, &text);
}

#[test]
fn a_new_table_limits_something_or_nothing() {
    let endpoint = Endpoint::start();
    let mut body = table();
    body["OnDemandThroughput"] = on_demand(-1, 1);
    let text = format!(
        "{INVALID}Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range"
    );
    endpoint.invalid("CreateTable", body, &text);
    let mut body = table();
    body["BillingMode"] = json!("PROVISIONED");
    body["ProvisionedThroughput"] = provisioned();
    body["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = provisioned();
    body["OnDemandThroughput"] = json!({"MaxWriteRequestUnits": 1});
    let text = format!(
        "{INVALID}MaxWriteRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED"
    );
    endpoint.invalid("CreateTable", body, &text);
}

#[test]
fn warm_throughput_is_described_and_only_grows() {
    let endpoint = Endpoint::start();
    let warm = |read: u64, write: u64| json!({"ReadUnitsPerSecond": read, "WriteUnitsPerSecond": write});
    let told = |read: u64, write: u64| json!({"ReadUnitsPerSecond": read, "WriteUnitsPerSecond": write, "Status": "ACTIVE"});
    let mut body = table();
    body["WarmThroughput"] = warm(12_000, 4_000);
    endpoint.done("CreateTable", body);
    assert_eq!(described(&endpoint, "WarmThroughput"), (told(12_000, 4_000), Value::Null));
    update(&endpoint, json!({"WarmThroughput": warm(13_000, 4_000)}));
    let index = json!([{"Update": {"IndexName": "index", "WarmThroughput": warm(12_000, 5_000)}}]);
    update(&endpoint, json!({"GlobalSecondaryIndexUpdates": index}));
    assert_eq!(described(&endpoint, "WarmThroughput"), (told(13_000, 4_000), told(12_000, 5_000)));
    let lower = |of: &str, name: &str| {
        format!(
            "{INVALID}Requested {name} for WarmThroughput for {of} is lower than current WarmThroughput, decreasing WarmThroughput is not supported"
        )
    };
    let body = json!({"TableName": "ttt", "WarmThroughput": warm(12_999, 4_000)});
    endpoint.invalid("UpdateTable", body, &lower("table", "ReadUnitsPerSecond"));
    let index = json!([{"Update": {"IndexName": "index", "WarmThroughput": warm(12_000, 4_999)}}]);
    let body = json!({"TableName": "ttt", "GlobalSecondaryIndexUpdates": index});
    endpoint.invalid("UpdateTable", body, &lower("index index", "WriteUnitsPerSecond"));
}

#[test]
fn a_table_may_be_created_with_a_policy() {
    let endpoint = Endpoint::start();
    let policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}";
    let mut body = table();
    body["ResourcePolicy"] = json!("no JSON");
    let text = format!("{INVALID}Invalid policy document: This policy contains invalid Json");
    endpoint.invalid("CreateTable", body.clone(), &text);
    body["ResourcePolicy"] = json!(policy);
    endpoint.done("CreateTable", body);
    let got = endpoint.done("GetResourcePolicy", json!({"ResourceArn": ARN}));
    assert_eq!(got["Policy"], policy);
    let put = endpoint.done("PutResourcePolicy", json!({"ResourceArn": ARN, "Policy": policy}));
    assert_eq!(put["RevisionId"], got["RevisionId"]);
}

#[test]
fn replicas_and_vector_indexes_are_refused() {
    let endpoint = Endpoint::start();
    endpoint.done("CreateTable", table());
    let replicas = json!({"TableName": "ttt", "ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]});
    let text = format!("{INVALID}ReplicaUpdates cannot be specified: tables have no replicas here");
    endpoint.invalid("UpdateTable", replicas, &text);
    let vector = json!([{"IndexName": "near", "VectorAttribute": {"AttributeName": "v"}, "Dimensions": 3}]);
    let refused =
        |field: &str| format!("{INVALID}{field} cannot be specified: tables have no vector indexes here");
    let update = json!({"TableName": "ttt", "VectorIndexUpdates": [{"Create": vector[0]}]});
    endpoint.invalid("UpdateTable", update, &refused("VectorIndexUpdates"));
    let mut create = table();
    create["TableName"] = json!("other");
    create["VectorIndexes"] = vector;
    endpoint.invalid("CreateTable", create, &refused("VectorIndexes"));
}
