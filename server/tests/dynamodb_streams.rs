//! Change streams over HTTP.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dynamite_core::api::{DynaMite, ManualClock};
use dynamite_server::dynamodb::Config;
use serde_json::{Value, json};
use support::Endpoint;

fn put(endpoint: &Endpoint, n: u32) {
    endpoint
        .done("PutItem", json!({"TableName": "hhh", "Item": {"p": {"S": "a"}, "n": {"N": n.to_string()}}}));
}

fn stream(endpoint: &Endpoint, enabled: bool) {
    let mut specification = json!({"StreamEnabled": enabled});
    if enabled {
        specification["StreamViewType"] = json!("NEW_AND_OLD_IMAGES");
    }
    endpoint.done("UpdateTable", json!({"TableName": "hhh", "StreamSpecification": specification}));
}

fn iterator(endpoint: &Endpoint, arn: &Value, more: Value) -> Value {
    let shard = &endpoint.done("DescribeStream", json!({"StreamArn": arn}))["StreamDescription"]["Shards"][0]
        ["ShardId"];
    let mut body = json!({"StreamArn": arn, "ShardId": shard});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    endpoint.done("GetShardIterator", body)["ShardIterator"].clone()
}

fn records(endpoint: &Endpoint, iterator: &Value) -> (Vec<Value>, Value) {
    let answer = endpoint.done("GetRecords", json!({"ShardIterator": iterator}));
    (answer["Records"].as_array().unwrap().clone(), answer["NextShardIterator"].clone())
}

fn new_numbers(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["dynamodb"]["NewImage"]["n"]["N"].as_str().unwrap_or("-")).collect()
}

#[test]
fn records_are_read_from_where_each_kind_of_iterator_begins() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    stream(&endpoint, true);
    let listed = endpoint.done("ListStreams", json!({"TableName": "hhh"}));
    let arn = &listed["Streams"][0]["StreamArn"];
    let description = endpoint.done("DescribeStream", json!({"StreamArn": arn}));
    let description = &description["StreamDescription"];
    assert_eq!(
        (&description["StreamStatus"], &description["StreamViewType"], &description["TableName"]),
        (&json!("ENABLED"), &json!("NEW_AND_OLD_IMAGES"), &json!("hhh"))
    );
    put(&endpoint, 1);
    put(&endpoint, 2);
    // A write that changes nothing has no record.
    put(&endpoint, 2);
    let latest = iterator(&endpoint, arn, json!({"ShardIteratorType": "LATEST"}));
    endpoint.done("DeleteItem", json!({"TableName": "hhh", "Key": {"p": {"S": "a"}}}));

    let (all, next) =
        records(&endpoint, &iterator(&endpoint, arn, json!({"ShardIteratorType": "TRIM_HORIZON"})));
    assert_eq!(new_numbers(&all), ["1", "2", "-"]);
    let names: Vec<&Value> = all.iter().map(|record| &record["eventName"]).collect();
    assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"]);
    let change = &all[1]["dynamodb"];
    assert_eq!((&change["Keys"], &change["OldImage"]["n"]), (&json!({"p": {"S": "a"}}), &json!({"N": "1"})));
    assert_eq!((&all[0]["eventSource"], &all[0]["awsRegion"]), (&json!("aws:dynamodb"), &json!("us-east-1")));

    assert_eq!(new_numbers(&records(&endpoint, &latest).0), ["-"]);
    let number = &change["SequenceNumber"];
    for (kind, expected) in [("AT_SEQUENCE_NUMBER", vec!["2", "-"]), ("AFTER_SEQUENCE_NUMBER", vec!["-"])] {
        let begin = iterator(&endpoint, arn, json!({"ShardIteratorType": kind, "SequenceNumber": number}));
        assert_eq!(new_numbers(&records(&endpoint, &begin).0), expected, "{kind}");
    }

    // It goes on, and ends when the stream does.
    let (none, next) = records(&endpoint, &next);
    assert!(none.is_empty());
    put(&endpoint, 3);
    stream(&endpoint, false);
    let (last, end) = records(&endpoint, &next);
    assert_eq!((new_numbers(&last), end), (vec!["3"], Value::Null));
    let description = endpoint.done("DescribeStream", json!({"StreamArn": arn}));
    assert_eq!(description["StreamDescription"]["StreamStatus"], "DISABLED");
}

#[test]
fn what_is_no_iterator_or_no_stream_is_refused() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    stream(&endpoint, true);
    let arn = endpoint.done("ListStreams", json!({}))["Streams"][0]["StreamArn"].clone();
    for wrong in ["a", "a|1|", "a|1|####", "a|1|UzphOmI=", "a|1|QTo6MA=="] {
        endpoint.invalid(
            "GetRecords",
            json!({"ShardIterator": wrong}),
            &format!("Invalid ShardIterator: {wrong}"),
        );
    }
    let iterator = iterator(&endpoint, &arn, json!({"ShardIteratorType": "TRIM_HORIZON"}));
    let old =
        iterator.as_str().unwrap().split('|').next().unwrap().to_owned() + "|1|Uzo6MTcwMDAwMDAwMDAwMA==";
    let (_, expired) = endpoint.call("GetRecords", json!({"ShardIterator": old}));
    assert_eq!(expired["__type"], "com.amazonaws.dynamodb.v20120810#ExpiredIteratorException");
    let none = "arn:aws:dynamodb:us-east-1:000000000000:table/hhh/stream/2020-01-01T00:00:00.000";
    endpoint.refused(
        "DescribeStream",
        json!({"StreamArn": none}),
        "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
        &format!("Requested resource not found: Stream: {none} not found"),
    );
}

#[test]
fn the_only_shard_has_no_children() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    stream(&endpoint, true);
    let arn = &endpoint.done("ListStreams", json!({}))["Streams"][0]["StreamArn"];
    let shards = |more: Value| {
        let mut body = json!({"StreamArn": arn});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        endpoint.done("DescribeStream", body)["StreamDescription"]["Shards"].clone()
    };
    let id = &shards(json!({}))[0]["ShardId"];
    assert!(id.is_string());
    assert_eq!(shards(json!({"ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": id}})), json!([]));
    let filter = json!({"StreamArn": arn, "ShardFilter": {"Type": "PARENTS"}});
    let text = "1 validation error detected: Value 'PARENTS' at 'shardFilter.type' failed to satisfy constraint: Member must satisfy enum value set: [CHILD_SHARDS]";
    endpoint.invalid("DescribeStream", filter, text);
}

#[test]
fn an_iterator_of_records_that_were_trimmed_is_not_given() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let builder = DynaMite::builder().clock(clock.clone()).stream_retention(Duration::from_secs(10));
    let db = builder.in_memory().unwrap();
    let endpoint = Endpoint::with(db.clone(), Config::default());
    endpoint.create_hash_table();
    stream(&endpoint, true);
    (1..4).for_each(|n| put(&endpoint, n));
    let arn = &endpoint.done("ListStreams", json!({}))["Streams"][0]["StreamArn"];
    let start = iterator(&endpoint, arn, json!({"ShardIteratorType": "TRIM_HORIZON"}));
    let numbers: Vec<Value> = records(&endpoint, &start)
        .0
        .iter()
        .map(|record| record["dynamodb"]["SequenceNumber"].clone())
        .collect();
    clock.advance(11_000);
    db.maintain().unwrap();
    put(&endpoint, 4);
    let shard = &endpoint.done("DescribeStream", json!({"StreamArn": arn}))["StreamDescription"]["Shards"][0]
        ["ShardId"];
    let ask = |kind: &str, number: &Value| {
        let body =
            json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind, "SequenceNumber": number});
        let (status, answer) = endpoint.call("GetShardIterator", body);
        (status, answer["__type"].as_str().unwrap_or_default().to_owned())
    };
    let trimmed = (400, "com.amazonaws.dynamodb.v20120810#TrimmedDataAccessException".to_owned());
    for (kind, given) in [("AT_SEQUENCE_NUMBER", &numbers[..3]), ("AFTER_SEQUENCE_NUMBER", &numbers[..2])] {
        given.iter().for_each(|number| assert_eq!(ask(kind, number), trimmed, "{kind} {number}"));
    }
    // Behind the last that was trimmed is the first that was not.
    assert_eq!(ask("AFTER_SEQUENCE_NUMBER", &numbers[2]).0, 200);
}

#[test]
fn a_list_of_streams_goes_on_behind_one_that_is_gone() {
    let endpoint = Endpoint::start();
    for name in ["aaa", "bbb", "ccc"] {
        endpoint.done("CreateTable", json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST", "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"},
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        }));
    }
    let first = endpoint.done("ListStreams", json!({"Limit": 2}));
    let tables = |answer: &Value| {
        let streams = answer["Streams"].as_array().unwrap().iter();
        streams.map(|stream| stream["TableName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tables(&first), ["aaa", "bbb"]);
    let next = json!({"ExclusiveStartStreamArn": first["LastEvaluatedStreamArn"]});
    assert_eq!(tables(&endpoint.done("ListStreams", next.clone())), ["ccc"]);
    endpoint.done("DeleteTable", json!({"TableName": "bbb"}));
    assert_eq!(tables(&endpoint.done("ListStreams", next)), ["ccc"]);
    let none = "arn:aws:dynamodb:us-east-1:000000000000:table/bbb";
    endpoint.invalid(
        "ListStreams",
        json!({"ExclusiveStartStreamArn": none}),
        &format!("Invalid StreamArn: {none}"),
    );
}
