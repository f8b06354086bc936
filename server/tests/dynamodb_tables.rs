//! Tables over HTTP: creating, describing, changing and dropping them; tags, TTL, policies; and that a restart keeps it all.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use dynamite_server::dynamodb::Config;
use serde_json::{Value, json};
use support::Endpoint;

const NOT_FOUND: &str = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
const IN_USE: &str = "com.amazonaws.dynamodb.v20120810#ResourceInUseException";
const INVALID: &str = "One or more parameter values were invalid: ";
const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/";

fn hash(name: &str) -> Value {
    json!({"AttributeName": name, "KeyType": "HASH"})
}

fn range(name: &str) -> Value {
    json!({"AttributeName": name, "KeyType": "RANGE"})
}

fn strings<const N: usize>(names: [&str; N]) -> Value {
    names.map(|name| json!({"AttributeName": name, "AttributeType": "S"})).to_vec().into()
}

fn describe(endpoint: &Endpoint, table: &str) -> Value {
    endpoint.done("DescribeTable", json!({"TableName": table}))["Table"].clone()
}

#[test]
fn a_table_is_described_as_it_was_created() {
    let endpoint = Endpoint::start();
    let created = endpoint.done(
        "CreateTable",
        json!({
            "TableName": "abc", "AttributeDefinitions": strings(["b", "a"]), "KeySchema": [hash("a")],
            "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 2}, "DeletionProtectionEnabled": true,
            "GlobalSecondaryIndexes": [{
                "IndexName": "index", "KeySchema": [hash("b")], "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            }],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}, "Tags": [{"Key": "k", "Value": "v"}],
        }),
    );
    let created = &created["TableDescription"];
    assert_eq!(
        (&created["TableStatus"], &created["GlobalSecondaryIndexes"][0]["IndexStatus"]),
        (&json!("CREATING"), &json!("CREATING"))
    );
    let mut table = describe(&endpoint, "abc");
    assert_eq!(table["TableStatus"], "ACTIVE");
    let id = table["TableId"].as_str().unwrap();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "{id}");
    for field in ["TableId", "CreationDateTime", "LatestStreamLabel", "LatestStreamArn"] {
        assert_eq!(table[field], created[field], "{field}");
        table.as_object_mut().unwrap().remove(field);
    }
    let units = |read: u64, write: u64| json!({"NumberOfDecreasesToday": 0, "ReadCapacityUnits": read, "WriteCapacityUnits": write});
    assert_eq!(
        table,
        json!({
            "TableName": "abc", "TableStatus": "ACTIVE", "TableArn": format!("{ARN}abc"), "ItemCount": 0, "TableSizeBytes": 0,
            "AttributeDefinitions": strings(["b", "a"]), "KeySchema": [hash("a")], "ProvisionedThroughput": units(3, 2),
            "GlobalSecondaryIndexes": [{
                "IndexName": "index", "IndexArn": format!("{ARN}abc/index/index"), "KeySchema": [hash("b")], "IndexStatus": "ACTIVE",
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}, "ItemCount": 0, "IndexSizeBytes": 0,
                "ProvisionedThroughput": units(1, 1),
            }],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}, "DeletionProtectionEnabled": true,
        })
    );
    let protected = "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.";
    endpoint.invalid("DeleteTable", json!({"TableName": "abc"}), protected);
    endpoint.done("UpdateTable", json!({"TableName": "abc", "DeletionProtectionEnabled": false}));
    let deleted = endpoint.done("DeleteTable", json!({"TableName": "abc"}));
    assert_eq!(deleted["TableDescription"]["TableStatus"], "DELETING");
    endpoint.refused(
        "DescribeTable",
        json!({"TableName": "abc"}),
        NOT_FOUND,
        "Requested resource not found: Table: abc not found",
    );
    endpoint.refused(
        "DeleteTable",
        json!({"TableName": "abc"}),
        NOT_FOUND,
        "Requested resource not found: Table: abc not found",
    );
}

#[test]
fn definitions_that_do_not_fit_together_are_refused() {
    let endpoint = Endpoint::start();
    let units = json!({"ReadCapacityUnits": 1, "WriteCapacityUnits": 1});
    let check = |change: Value, message: &str| {
        let mut body = json!({
            "TableName": "abc", "AttributeDefinitions": strings(["a"]), "KeySchema": [hash("a")], "ProvisionedThroughput": units,
        });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        endpoint.invalid("CreateTable", body, message);
    };
    check(
        json!({"TableName": null}),
        "The parameter 'TableName' is required but was not present in the request",
    );
    check(
        json!({"TableName": "a"}),
        "TableName must be at least 3 characters long and at most 255 characters long",
    );
    check(
        json!({"ProvisionedThroughput": null}),
        &format!(
            "{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        ),
    );
    check(
        json!({"BillingMode": "PAY_PER_REQUEST"}),
        &format!(
            "{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
        ),
    );
    check(
        json!({"ProvisionedThroughput": {"ReadCapacityUnits": 1_000_000_000_001_u64, "WriteCapacityUnits": 1}}),
        "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
    );
    check(
        json!({"KeySchema": [hash("b")]}),
        &format!(
            "{INVALID}Some index key attributes are not defined in AttributeDefinitions. Keys: [b], AttributeDefinitions: [a]"
        ),
    );
    check(
        json!({"AttributeDefinitions": strings(["a", "b"]), "KeySchema": [range("a"), hash("b")]}),
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    );
    check(
        json!({"AttributeDefinitions": strings(["a", "b"])}),
        &format!(
            "{INVALID}Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"
        ),
    );
    check(json!({"LocalSecondaryIndexes": []}), &format!("{INVALID}List of LocalSecondaryIndexes is empty"));
    check(
        json!({"GlobalSecondaryIndexes": [{"IndexName": "abc", "KeySchema": [hash("a")], "Projection": {}}]}),
        &format!("{INVALID}Unknown ProjectionType: null"),
    );
}

#[test]
fn tables_are_listed_in_pages() {
    let endpoint = Endpoint::start();
    for name in ["ccc", "aaa", "bbb"] {
        endpoint.done("CreateTable", json!({
            "TableName": name, "AttributeDefinitions": strings(["a"]), "KeySchema": [hash("a")], "BillingMode": "PAY_PER_REQUEST",
        }));
    }
    let first = endpoint.done("ListTables", json!({"Limit": 2}));
    assert_eq!(first, json!({"TableNames": ["aaa", "bbb"], "LastEvaluatedTableName": "bbb"}));
    let rest = endpoint.done("ListTables", json!({"Limit": 2, "ExclusiveStartTableName": "bbb"}));
    assert_eq!(rest, json!({"TableNames": ["ccc"]}));
}

#[test]
fn units_change_after_the_answer_has_told_the_old_ones() {
    let endpoint = Endpoint::start();
    let units = |read: u64| json!({"ReadCapacityUnits": read, "WriteCapacityUnits": 1});
    endpoint.done("CreateTable", json!({
        "TableName": "abc", "AttributeDefinitions": strings(["a"]), "KeySchema": [hash("a")], "ProvisionedThroughput": units(5),
    }));
    let update = json!({"TableName": "abc", "ProvisionedThroughput": units(2)});
    let told = endpoint.done("UpdateTable", update.clone());
    let told = &told["TableDescription"];
    assert_eq!(
        (&told["TableStatus"], &told["ProvisionedThroughput"]["ReadCapacityUnits"]),
        (&json!("UPDATING"), &json!(5))
    );
    let now = &describe(&endpoint, "abc")["ProvisionedThroughput"];
    assert_eq!((&now["ReadCapacityUnits"], &now["NumberOfDecreasesToday"]), (&json!(2), &json!(1)));
    let (status, answer) = endpoint.call("UpdateTable", update);
    assert_eq!(status, 400);
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .starts_with("The provisioned throughput for the table will not change.")
    );
    endpoint.done("UpdateTable", json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST"}));
    assert_eq!(describe(&endpoint, "abc")["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
}

#[test]
fn an_index_is_added_to_items_that_are_there_and_dropped() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    endpoint.done(
        "PutItem",
        json!({"TableName": "hhh", "Item": {"p": {"S": "a"}, "g": {"N": "1"}, "h": {"S": "x"}}}),
    );
    let created = endpoint.done("UpdateTable", json!({
        "TableName": "hhh",
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "N"}, {"AttributeName": "h", "AttributeType": "S"},
        ],
        // A key of several attributes.
        "GlobalSecondaryIndexUpdates": [{"Create": {
            "IndexName": "added", "KeySchema": [hash("g"), hash("h"), range("p")], "Projection": {"ProjectionType": "ALL"},
        }}],
    }));
    assert_eq!(created["TableDescription"]["TableStatus"], "UPDATING");
    while describe(&endpoint, "hhh")["GlobalSecondaryIndexes"][0]["IndexStatus"] != "ACTIVE" {
        std::thread::sleep(Duration::from_millis(5));
    }
    let found = endpoint.done("Query", json!({
        "TableName": "hhh", "IndexName": "added", "KeyConditionExpression": "g = :g AND h = :h AND p = :p", "Select": "COUNT",
        "ExpressionAttributeValues": {":g": {"N": "1"}, ":h": {"S": "x"}, ":p": {"S": "a"}},
    }));
    assert_eq!(found["Count"], 1);
    endpoint.done(
        "UpdateTable",
        json!({"TableName": "hhh", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "added"}}]}),
    );
    assert_eq!(describe(&endpoint, "hhh").get("GlobalSecondaryIndexes"), None);
}

#[test]
fn tags_ttl_and_policies_are_kept() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let arn = format!("{ARN}hhh");
    let tags = |endpoint: &Endpoint| {
        endpoint.done("ListTagsOfResource", json!({"ResourceArn": arn}))["Tags"].clone()
    };
    assert_eq!(tags(&endpoint), json!([]));
    endpoint.done(
        "TagResource",
        json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}),
    );
    endpoint.done("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["a", "c"]}));
    assert_eq!(tags(&endpoint), json!([{"Key": "b", "Value": "2"}]));
    let long = "x".repeat(257);
    let many: Vec<Value> = (0..50).map(|nth| json!({"Key": nth.to_string(), "Value": ""})).collect();
    for (refused, text) in [
        (json!([{"Key": "", "Value": "1"}]), "The Tag Key provided is invalid, Key: ".to_owned()),
        (
            json!([{"Key": &long[..129], "Value": "1"}]),
            format!("The Tag Key provided is invalid, Key: {}", &long[..129]),
        ),
        (json!([{"Key": "c", "Value": long}]), format!("The Tag Value provided is invalid, Value: {long}")),
        (json!([{"Key": "c"}]), "The Tag Value provided is invalid, Value: null".to_owned()),
        (
            json!([{"Key": "aws:c", "Value": "1"}]),
            "Tag Key cannot be prefixed with aws:, Key: aws:c".to_owned(),
        ),
        (
            json!([{"Key": "c", "Value": "1"}, {"Key": "c", "Value": "1"}]),
            "Duplicate Tag Keys provided as input: Duplicate Tag Key found c".to_owned(),
        ),
        (many.into(), "Number of Tags exceed the current limit for the provided ResourceArn".to_owned()),
    ] {
        endpoint.invalid("TagResource", json!({"ResourceArn": arn, "Tags": refused}), &text);
    }
    assert_eq!(tags(&endpoint), json!([{"Key": "b", "Value": "2"}]));
    let other = format!("{ARN}other");
    endpoint.refused(
        "ListTagsOfResource",
        json!({"ResourceArn": other}),
        NOT_FOUND,
        &format!("Requested resource not found: ResourcArn: {other} not found"),
    );

    let ttl = |enabled: bool| json!({"TableName": "hhh", "TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": "end"}});
    assert_eq!(
        endpoint.done("UpdateTimeToLive", ttl(true)),
        json!({"TimeToLiveSpecification": {"Enabled": true, "AttributeName": "end"}})
    );
    let described = endpoint.done("DescribeTimeToLive", json!({"TableName": "hhh"}));
    assert_eq!(
        described,
        json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "end"}})
    );
    endpoint.invalid("UpdateTimeToLive", ttl(true), "TimeToLive is already enabled");
    let other = "TimeToLive is active on a different AttributeName: current AttributeName is end";
    for enabled in [true, false] {
        let mut by_other = ttl(enabled);
        by_other["TimeToLiveSpecification"]["AttributeName"] = json!("other");
        endpoint.invalid("UpdateTimeToLive", by_other, other);
    }
    endpoint.done(
        "PutItem",
        json!({"TableName": "hhh", "Item": {"p": {"S": "old"}, "end": {"N": "1700000000"}}}),
    );
    assert_eq!(endpoint.done("GetItem", json!({"TableName": "hhh", "Key": {"p": {"S": "old"}}})), json!({}));
    endpoint.done("UpdateTimeToLive", ttl(false));
    let mut by_other = ttl(false);
    by_other["TimeToLiveSpecification"]["AttributeName"] = json!("other");
    endpoint.invalid("UpdateTimeToLive", by_other, "TimeToLive is already disabled");

    let backups = endpoint.done("DescribeContinuousBackups", json!({"TableName": "hhh"}));
    let recovery = &backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(recovery["PointInTimeRecoveryStatus"], "DISABLED");

    let policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}";
    let put = endpoint.done(
        "PutResourcePolicy",
        json!({"ResourceArn": arn, "Policy": policy, "ExpectedRevisionId": "NO_POLICY"}),
    );
    let got = endpoint.done("GetResourcePolicy", json!({"ResourceArn": arn}));
    assert_eq!(got, json!({"Policy": policy, "RevisionId": put["RevisionId"]}));
    // It is the same however it is written.
    let other = policy.replace("[]", "[{\"Sid\":\"x\",\"Action\":\"*\"}]");
    let mut revisions = vec![put["RevisionId"].clone()];
    for same in [
        [policy, "{\"Statement\": [ ],\n\"Version\":\"2012-10-17\"}"],
        [&other, &other.replace("\"*\"", "[\"*\"]")],
        [policy, policy],
    ] {
        let [first, second] = same.map(|policy| {
            let put = json!({"ResourceArn": arn, "Policy": policy});
            endpoint.done("PutResourcePolicy", put)["RevisionId"].clone()
        });
        assert_eq!(first, second, "{same:?}");
        revisions.push(first);
    }
    assert_eq!(revisions[0], revisions[1]);
    let revisions: Vec<u64> = revisions.iter().map(|id| id.as_str().unwrap().parse().unwrap()).collect();
    assert!(revisions[1] < revisions[2] && revisions[2] < revisions[3], "{revisions:?}");
    for (policy, text) in [
        ("[]".to_owned(), "Invalid policy document: This policy contains invalid Json"),
        ("{".to_owned(), "Invalid policy document: This policy contains invalid Json"),
        (policy.replace("2012", &" ".repeat(20_480)), "Maximum policy size of 20480 bytes exceeded"),
    ] {
        let put = json!({"ResourceArn": arn, "Policy": policy});
        endpoint.invalid("PutResourcePolicy", put, &format!("{INVALID}{text}"));
    }
    endpoint.done("DeleteResourcePolicy", json!({"ResourceArn": arn}));
    let (_, gone) = endpoint.call("GetResourcePolicy", json!({"ResourceArn": arn}));
    assert_eq!(gone["__type"], "com.amazonaws.dynamodb.v20120810#PolicyNotFoundException");
}

#[test]
fn a_restart_keeps_everything() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("test.db");
    let before = {
        let endpoint = Endpoint::on(&path);
        endpoint.create_table();
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": {"p": {"S": "a"}, "s": {"S": "b"}}}));
        endpoint.done(
            "TagResource",
            json!({"ResourceArn": format!("{ARN}ttt"), "Tags": [{"Key": "a", "Value": "1"}]}),
        );
        let stream = json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"});
        endpoint.done("UpdateTable", json!({"TableName": "ttt", "StreamSpecification": stream}));
        describe(&endpoint, "ttt")
    };
    let endpoint = Endpoint::on(&path);
    assert_eq!(describe(&endpoint, "ttt"), before);
    assert_eq!(
        endpoint.done("ListTagsOfResource", json!({"ResourceArn": format!("{ARN}ttt")}))["Tags"][0]["Key"],
        "a"
    );
    let found =
        endpoint.done("GetItem", json!({"TableName": "ttt", "Key": {"p": {"S": "a"}, "s": {"S": "b"}}}));
    assert_eq!(found["Item"]["s"], json!({"S": "b"}));
}

#[test]
fn tables_that_came_by_another_door_are_described_too() {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("embedded").partition_key("id", KeyType::Number).execute().unwrap();
    let endpoint = Endpoint::with(db, Config::default());
    let table = describe(&endpoint, "embedded");
    assert_eq!(table["AttributeDefinitions"], json!([{"AttributeName": "id", "AttributeType": "N"}]));
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["TableId"], describe(&endpoint, "embedded")["TableId"]);
}

#[test]
fn tables_may_pretend_that_they_are_being_created() {
    let config = Config { creation_time: Duration::from_secs(3_600), ..Config::default() };
    let endpoint = Endpoint::with(DynaMite::in_memory().unwrap(), config);
    endpoint.create_hash_table();
    assert_eq!(describe(&endpoint, "hhh")["TableStatus"], "CREATING");
    let get = json!({"TableName": "hhh", "Key": {"p": {"S": "a"}}});
    endpoint.refused("GetItem", get, NOT_FOUND, "Requested resource not found");
    endpoint.refused(
        "DeleteTable",
        json!({"TableName": "hhh"}),
        IN_USE,
        "Attempt to change a resource which is still in use: Table is being created: hhh",
    );
    endpoint.refused(
        "UpdateTable",
        json!({"TableName": "hhh", "DeletionProtectionEnabled": true}),
        IN_USE,
        "Attempt to change a resource which is still in use: Table is being created: hhh",
    );
    endpoint.refused(
        "UpdateTimeToLive",
        json!({"TableName": "hhh", "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "end"}}),
        IN_USE,
        "Attempt to change a resource which is still in use: Table hhh is being created",
    );
    endpoint.invalid(
        "DescribeTimeToLive",
        json!({"TableName": "hhh"}),
        "Cannot describe time to live while table is in CREATING state: Current table state is CREATING",
    );
}
