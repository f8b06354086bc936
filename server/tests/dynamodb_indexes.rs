//! Global indexes over HTTP: what their keys may be, and what is refused when they are defined, added and changed.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::Endpoint;

const INVALID: &str = "One or more parameter values were invalid: ";
const NOT_FOUND: &str = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
const LIMIT_EXCEEDED: &str = "com.amazonaws.dynamodb.v20120810#LimitExceededException";

/// A key schema in short: the names of the partition attributes, a slash, and those of the sort attributes.
fn keys(short: &str) -> Value {
    let (partition, sort) = short.split_once('/').unwrap_or((short, ""));
    let of_kind = |names: &str, kind: &str| -> Vec<Value> {
        names.split_whitespace().map(|name| json!({"AttributeName": name, "KeyType": kind})).collect()
    };
    [of_kind(partition, "HASH"), of_kind(sort, "RANGE")].concat().into()
}

fn strings(names: &str) -> Value {
    let definition = |name| json!({"AttributeName": name, "AttributeType": "S"});
    names.split_whitespace().map(definition).collect()
}

/// A global index of all attributes.
fn index(name: &str, keys: Value) -> Value {
    json!({"IndexName": name, "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}})
}

/// A table with the key `p`, billed on demand, and these indexes.
fn table(definitions: &str, indexes: Value) -> Value {
    json!({
        "TableName": "ttt", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": strings(definitions), "KeySchema": keys("p"),
        "GlobalSecondaryIndexes": indexes,
    })
}

#[test]
fn the_key_of_a_global_index_may_be_two_partition_attributes() {
    let endpoint = Endpoint::start();
    let created = endpoint.done("CreateTable", table("p a b", json!([index("both", keys("a b"))])));
    assert_eq!(created["TableDescription"]["GlobalSecondaryIndexes"][0]["KeySchema"], keys("a b"));
    for (p, a, b) in [("1", "x", "y"), ("2", "x", "z"), ("3", "y", "x")] {
        let item = json!({"p": {"S": p}, "a": {"S": a}, "b": {"S": b}});
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": item}));
    }
    let found = endpoint.done(
        "Query",
        json!({
            "TableName": "ttt", "IndexName": "both", "KeyConditionExpression": "a = :a AND b = :b",
            "ExpressionAttributeValues": {":a": {"S": "x"}, ":b": {"S": "y"}},
        }),
    );
    assert_eq!(found["Items"], json!([{"p": {"S": "1"}, "a": {"S": "x"}, "b": {"S": "y"}}]));
    // Statements have no such keys, which they say before anything else.
    endpoint.invalid(
        "ExecuteStatement",
        json!({"Statement": "SELECT COUNT(*) FROM ttt.\"both\""}),
        "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.",
    );
}

/// As the service was seen to order entries with these keys of their items: one after the other, also in pages.
#[test]
fn entries_of_equal_keys_are_in_the_services_order() {
    let endpoint = Endpoint::start();
    let created = json!({
        "TableName": "ttt", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": strings("a b c"), "KeySchema": keys("a/b"),
        "GlobalSecondaryIndexes": [index("first", keys("c"))],
    });
    endpoint.done("CreateTable", created);
    let ordered = [("b", "b"), ("a", "a"), ("c", "e"), ("e", "a"), ("d", "a"), ("c", "d")];
    let item = |(a, b)| json!({"a": {"S": a}, "b": {"S": b}, "c": {"S": "x"}});
    for key in ordered {
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": item(key)}));
    }
    endpoint.done(
        "UpdateTable",
        json!({
            "TableName": "ttt", "AttributeDefinitions": strings("c"),
            "GlobalSecondaryIndexUpdates": [{"Create": index("second", keys("c"))}],
        }),
    );
    wait(&endpoint);
    for name in ["first", "second"] {
        let mut found = Vec::new();
        let mut query = json!({
            "TableName": "ttt", "IndexName": name, "KeyConditionExpression": "c = :c", "Limit": 2,
            "ExpressionAttributeValues": {":c": {"S": "x"}},
        });
        loop {
            let page = endpoint.done("Query", query.clone());
            found.extend_from_slice(page["Items"].as_array().unwrap());
            let Some(last) = page.get("LastEvaluatedKey") else { break };
            query["ExclusiveStartKey"] = last.clone();
        }
        assert_eq!(found, ordered.map(item), "{name}");
    }
}

#[test]
fn legacy_conditions_find_by_all_attributes_of_an_index_and_by_two_of_a_table() {
    let endpoint = Endpoint::start();
    let indexes = json!([index("long", keys("a/b c")), index("short", keys("a/b"))]);
    endpoint.done("CreateTable", table("p a b c", indexes));
    for (p, c) in [("1", "x"), ("2", "y"), ("3", "z")] {
        let item = json!({"p": {"S": p}, "a": {"S": "a"}, "b": {"S": "b"}, "c": {"S": c}});
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": item}));
    }
    let is = |operator: &str, value: &str| json!({"ComparisonOperator": operator, "AttributeValueList": [{"S": value}]});
    let by = |index: Option<&str>, conditions: Value| {
        let mut body = json!({"TableName": "ttt", "KeyConditions": conditions});
        if let Some(index) = index {
            body["IndexName"] = json!(index);
        }
        body
    };
    let three = json!({"a": is("EQ", "a"), "b": is("EQ", "b"), "c": is("GT", "x")});
    assert_eq!(endpoint.done("Query", by(Some("long"), three.clone()))["Count"], 2);
    let not_one_or_two = "Conditions can be of length 1 or 2 only";
    endpoint.invalid("Query", by(None, three.clone()), not_one_or_two);
    // It is counted before the table is looked for.
    let by_expression = json!({
        "TableName": "nothing", "KeyConditionExpression": "a = :a AND b = :a AND c = :a",
        "ExpressionAttributeValues": {":a": {"S": "a"}},
    });
    endpoint.invalid("Query", by_expression, not_one_or_two);
    endpoint.invalid("Query", by(Some("long"), json!({})), not_one_or_two);
    let too_many =
        "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)";
    endpoint.invalid("Query", by(Some("short"), three), too_many);
    let gap = json!({"a": is("EQ", "a"), "c": is("GT", "x")});
    let not_equal = "RANGE key attributes b must have equality conditions specified in the query because a condition is present \
                     on key attribute c";
    endpoint.invalid("Query", by(Some("long"), gap), not_equal);
}

#[test]
fn what_is_no_key_of_a_global_index_is_refused() {
    let endpoint = Endpoint::start();
    let all = "p a b c d e";
    let refuse = |keys: Value, text: &str| {
        let mut body = table(all, json!([index("index", keys), index("rest", keys_of_rest())]));
        endpoint.invalid("CreateTable", body.clone(), text);
        // The same for one that is added.
        body["GlobalSecondaryIndexUpdates"] = json!([{"Create": body["GlobalSecondaryIndexes"][0]}]);
        body["TableName"] = json!("hhh");
        body.as_object_mut().unwrap().remove("BillingMode");
        endpoint.invalid("UpdateTable", body, text);
    };
    fn keys_of_rest() -> Value {
        keys("a b c/d e")
    }
    endpoint.create_hash_table();
    let mixed = [keys("a/b").as_array().unwrap().clone(), keys("c").as_array().unwrap().clone()].concat();
    refuse(
        mixed.into(),
        &format!("{INVALID}All HASH key attributes must precede RANGE key attributes in the KeySchema"),
    );
    let twice = "The KeySchema contains multiple key attributes with the same name";
    refuse(keys("a b a"), twice);
    refuse(keys("a b/c b"), twice);
    refuse(keys("a a"), "Both the Hash Key and the Range Key element in the KeySchema have the same name");
    refuse(keys("/a b"), "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    let too_many = |kind: &str| {
        format!("{INVALID}The KeySchema exceeds the maximum allowed number of {kind} key attributes")
    };
    refuse(keys("a b c d e"), &too_many("HASH"));
    refuse(keys("p/a b c d e"), &too_many("RANGE"));
    // A table and a local index have no more than two.
    let mut body = table("p a", json!(null));
    body["KeySchema"] = keys("p a");
    let second = "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type";
    endpoint.invalid("CreateTable", body.clone(), second);
    body["KeySchema"] = keys("p/a");
    body["LocalSecondaryIndexes"] = json!([index("local", keys("p a"))]);
    endpoint.invalid("CreateTable", body, second);
}

#[test]
fn every_attribute_that_is_defined_is_one_of_a_key_and_defined_once() {
    let endpoint = Endpoint::start();
    let on_a = json!([index("index", keys("a"))]);
    let unused = format!(
        "{INVALID}Some AttributeDefinitions are not used. AttributeDefinitions: [p, extra, a], keys used: [p, a]"
    );
    endpoint.invalid("CreateTable", table("p extra a", on_a.clone()), &unused);
    // It is found before what is wrong with an index.
    let mut body = table("p extra a", json!([index("index", keys("a")), index("index", keys("a"))]));
    body["GlobalSecondaryIndexes"][0]["Projection"] = json!({});
    endpoint.invalid("CreateTable", body, &unused);
    for indexes in [on_a.clone(), Value::Null] {
        let mut body = table("p a", indexes);
        let definitions = body["AttributeDefinitions"].as_array_mut().unwrap();
        definitions.push(json!({"AttributeName": "p", "AttributeType": "N"}));
        endpoint.invalid("CreateTable", body, "Attribute Name is duplicated: p");
    }
    endpoint.done("CreateTable", table("p a", on_a));
    // UpdateTable overlooks them.
    let update = json!({"TableName": "ttt", "AttributeDefinitions": strings("x x"), "DeletionProtectionEnabled": false});
    endpoint.done("UpdateTable", update);
}

/// Waits until the indexes of the table can be read.
fn wait(endpoint: &Endpoint) {
    let is_building = || {
        let table = endpoint.done("DescribeTable", json!({"TableName": "ttt"}));
        let indexes = table["Table"]["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
        indexes.iter().any(|index| index["IndexStatus"] != "ACTIVE")
    };
    while is_building() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_index_too_many_exceeds_a_limit_when_it_is_added() {
    let endpoint = Endpoint::start();
    let indexes: Vec<Value> = (0..21).map(|nth| index(&format!("index{nth}"), keys("p"))).collect();
    let text = format!("{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of 20");
    endpoint.invalid("CreateTable", table("p", indexes.clone().into()), &text);
    endpoint.done("CreateTable", table("p", indexes[..20].into()));
    wait(&endpoint);
    let update = json!({"TableName": "ttt", "AttributeDefinitions": strings("p"), "GlobalSecondaryIndexUpdates": [{"Create": indexes[20]}]});
    let text = "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20";
    endpoint.refused("UpdateTable", update, LIMIT_EXCEEDED, text);
}

fn units(read: u64) -> Value {
    json!({"ReadCapacityUnits": read, "WriteCapacityUnits": 1})
}

#[test]
fn an_index_has_units_if_its_table_has_them() {
    let endpoint = Endpoint::start();
    let with_units = |mut index: Value| {
        index["ProvisionedThroughput"] = units(5);
        index
    };
    let plain = index("index", keys("a"));
    let mut provisioned = table("p a", json!([plain]));
    provisioned["BillingMode"] = json!("PROVISIONED");
    provisioned["ProvisionedThroughput"] = units(5);
    let none = format!("{INVALID}ProvisionedThroughput is not specified for index: index");
    endpoint.invalid("CreateTable", provisioned.clone(), &none);
    provisioned["GlobalSecondaryIndexes"][0] = with_units(plain.clone());
    endpoint.done("CreateTable", provisioned);

    let update = |mut body: Value| {
        body["TableName"] = json!("ttt");
        body["AttributeDefinitions"] = strings("p a");
        body
    };
    let updates = |updates: Value| update(json!({"GlobalSecondaryIndexUpdates": updates}));
    let added = index("added", keys("a/p"));
    let both =
        format!("{INVALID}Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: added");
    endpoint.invalid("UpdateTable", updates(json!([{"Create": added}])), &both);
    let again = json!({"Update": {"IndexName": "index", "ProvisionedThroughput": units(5)}});
    let same = "The provisioned throughput for the index index will not change. The requested value equals the current value. \
                Current ReadCapacityUnits provisioned for index index: 5. Requested ReadCapacityUnits: 5. Current \
                WriteCapacityUnits provisioned for index index: 1. Requested WriteCapacityUnits: 1. Refer to the Amazon \
                DynamoDB Developer Guide for current limits and how to request higher limits.";
    endpoint.invalid("UpdateTable", updates(json!([again])), same);
    let several = json!([{"Update": {"IndexName": "index", "ProvisionedThroughput": units(6)}, "Delete": {"IndexName": "index"}}]);
    let one = format!(
        "{INVALID}Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object"
    );
    endpoint.invalid("UpdateTable", updates(several), &one);
    endpoint.done(
        "UpdateTable",
        updates(json!([{"Update": {"IndexName": "index", "ProvisionedThroughput": units(6)}}])),
    );
    let unknown = json!([{"Update": {"IndexName": "other", "ProvisionedThroughput": units(6)}}]);
    let text = "Requested resource not found: Index other for table ttt";
    endpoint.refused("UpdateTable", updates(unknown), NOT_FOUND, text);

    endpoint.done("UpdateTable", update(json!({"BillingMode": "PAY_PER_REQUEST"})));
    let neither = format!(
        "{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: added when BillingMode is PAY_PER_REQUEST"
    );
    endpoint.invalid("UpdateTable", updates(json!([{"Create": with_units(added.clone())}])), &neither);
    let only = format!(
        "{INVALID}The only Updates for index: index when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput"
    );
    endpoint.invalid("UpdateTable", updates(json!([again])), &only);
    endpoint.done("UpdateTable", updates(json!([{"Create": added}])));
}

#[test]
fn a_local_index_has_no_units_to_change() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let update = json!({"TableName": "ttt", "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "local", "ProvisionedThroughput": units(5)}}]});
    endpoint.invalid(
        "UpdateTable",
        update,
        "Cannot update an index that is not a GlobalSecondaryIndex: local",
    );
}

#[test]
fn an_index_that_is_added_defines_its_attributes_whatever_the_table_has() {
    let endpoint = Endpoint::start();
    endpoint.done("CreateTable", table("p a", json!([index("one", keys("a"))])));
    let add = |definitions: &str| {
        json!({
            "TableName": "ttt", "AttributeDefinitions": strings(definitions),
            "GlobalSecondaryIndexUpdates": [{"Create": index("two", keys("p/b"))}],
        })
    };
    let undefined = format!(
        "{INVALID}Some index key attributes are not defined in AttributeDefinitions. Keys: [p, b], AttributeDefinitions: [a, b]"
    );
    endpoint.invalid("UpdateTable", add("a b"), &undefined);
    endpoint.done("UpdateTable", add("p b"));
}

#[test]
fn an_empty_key_of_an_index_is_a_mistake_of_the_whole_transaction() {
    let endpoint = Endpoint::start();
    endpoint.done("CreateTable", table("p a", json!([index("one", keys("a"))])));
    let write = |action: Value, text: &str| {
        endpoint.invalid("TransactWriteItems", json!({"TransactItems": [action]}), text);
    };
    write(
        json!({"Put": {"TableName": "ttt", "Item": {"p": {"S": "x"}, "a": {"S": ""}}}}),
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The \
         AttributeValue for a key attribute cannot contain an empty string value. IndexName: one, IndexKey: a",
    );
    let update = json!({
        "TableName": "ttt", "Key": {"p": {"S": "x"}}, "UpdateExpression": "SET a = :a",
        "ExpressionAttributeValues": {":a": {"S": ""}},
    });
    write(
        json!({"Update": update}),
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a \
         value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value.",
    );
}
