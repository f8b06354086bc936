//! Items over HTTP: what is written is read, and what is refused is refused in the service's words.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::Endpoint;

const CONDITIONAL: &str = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
const NOT_FOUND: &str = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
const SERIALIZATION: &str = "com.amazon.coral.service#SerializationException";
const INVALID: &str = "One or more parameter values were invalid: ";

fn key(p: &str, s: &str) -> Value {
    json!({"p": {"S": p}, "s": {"S": s}})
}

#[test]
fn all_ten_types_come_back_as_they_went() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let item = json!({
        "p": {"S": "ä \"quoted\" \u{1f600}\n"}, "b": {"B": "AAECAw=="}, "bool": {"BOOL": false}, "null": {"NULL": true},
        "m": {"M": {"": {"S": ""}, "x": {"L": [{"M": {}}, {"L": []}, {"B": ""}]}}}, "ss": {"SS": ["", "a"]},
        "ns": {"NS": ["-1", "0.5"]}, "bs": {"BS": ["AQ==", "Ag=="]}, "n": {"N": "12345678901234567890123456789012345678"},
    });
    let mut stored = item.clone();
    stored["m"]["M"].as_object_mut().unwrap().remove("");
    endpoint.done("PutItem", json!({"TableName": "hhh", "Item": stored}));
    let found = endpoint.done("GetItem", json!({"TableName": "hhh", "Key": {"p": item["p"]}}));
    assert_eq!(found["Item"], stored);
    let missing = endpoint.done("GetItem", json!({"TableName": "hhh", "Key": {"p": {"S": "other"}}}));
    assert_eq!(missing, json!({}));
}

#[test]
fn numbers_come_back_in_one_form() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    for (given, told) in [
        ("1.0", "1"),
        ("-0", "0"),
        ("1e3", "1000"),
        ("0001", "1"),
        ("1E-2", "0.01"),
        ("100.0100", "100.01"),
        ("9.9999999999999999999999999999999999999E125", &format!("{}{}", "9".repeat(38), "0".repeat(88))),
    ] {
        endpoint.done("PutItem", json!({"TableName": "hhh", "Item": {"p": {"S": "a"}, "n": {"N": given}}}));
        let found = endpoint.done("GetItem", json!({"TableName": "hhh", "Key": {"p": {"S": "a"}}}));
        assert_eq!(found["Item"]["n"], json!({"N": told}), "{given}");
    }
}

#[test]
fn values_that_are_none_are_refused_in_the_services_words() {
    let endpoint = Endpoint::start();
    let several = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";
    let empty = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
    for (value, message) in [
        (json!({}), empty.to_owned()),
        (json!({"X": "a"}), empty.to_owned()),
        (json!({"S": null}), empty.to_owned()),
        (json!({"S": "a", "N": "1"}), several.to_owned()),
        (json!({"NULL": false}), format!("{INVALID}Null attribute value types must have the value of true")),
        (json!({"SS": []}), format!("{INVALID}An string set  may not be empty")),
        (json!({"NS": []}), format!("{INVALID}An number set  may not be empty")),
        (json!({"BS": []}), format!("{INVALID}Binary sets should not be empty")),
        (json!({"SS": ["a", "a"]}), format!("{INVALID}Input collection [a, a] contains duplicates.")),
        (json!({"NS": ["1", "1.0"]}), "Input collection contains duplicates".to_owned()),
        (
            json!({"BS": ["Yg==", "Yg=="]}),
            format!("{INVALID}Input collection [Yg==, Yg==]of type BS contains duplicates."),
        ),
        (json!({"N": ""}), "The parameter cannot be converted to a numeric value".to_owned()),
        (json!({"N": "b"}), "The parameter cannot be converted to a numeric value: b".to_owned()),
        (
            json!({"N": "1e126"}),
            "Number overflow. Attempting to store a number with magnitude larger than supported range"
                .to_owned(),
        ),
        (
            json!({"N": "1e-131"}),
            "Number underflow. Attempting to store a number with magnitude smaller than supported range"
                .to_owned(),
        ),
        (json!({"L": [{"M": {"x": {}}}]}), empty.to_owned()),
    ] {
        // The table is looked for last.
        endpoint.invalid("PutItem", json!({"TableName": "nothing", "Item": {"x": value}}), &message);
        endpoint.invalid("GetItem", json!({"TableName": "nothing", "Key": {"x": value}}), &message);
        let in_values = json!({
            "TableName": "nothing", "Key": {}, "ConditionExpression": "a = :a", "ExpressionAttributeValues": {":a": value},
        });
        let message = format!("ExpressionAttributeValues contains invalid value: {message} for key :a");
        endpoint.invalid("DeleteItem", in_values, &message);
    }
    endpoint.refused(
        "PutItem",
        json!({"TableName": "nothing", "Item": {}}),
        NOT_FOUND,
        "Requested resource not found",
    );
}

#[test]
fn types_come_first_then_all_constraints_together_then_the_rest() {
    let endpoint = Endpoint::start();
    let refused = |body: Value, message: &str| endpoint.refused("PutItem", body, SERIALIZATION, message);
    refused(json!({"TableName": 1, "Item": []}), "NUMBER_VALUE cannot be converted to String");
    refused(json!({"TableName": {}}), "Start of structure or map found where not expected");
    refused(
        json!({"Item": []}),
        "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
    );
    refused(json!({"Item": {"a": 1}}), "Unexpected value type in payload");
    refused(
        json!({"Item": {"a": {"B": "abc"}}}),
        "Base64 encoded length is expected a multiple of 4 bytes but found: 3",
    );
    refused(json!({"Item": {"a": {"B": "=+/="}}}), "Invalid last non-pad Base64 character dectected");
    refused(json!({"Expected": {"a": {"Value": 1}}}), "Unexpected field type");
    refused(json!({"Item": {"a": {"BOOL": "maybe"}}}), "Unexpected token received from parser");
    endpoint.invalid(
        "PutItem",
        json!({"TableName": "a;", "ReturnConsumedCapacity": "hi", "ReturnValues": "hi"}),
        "5 validation errors detected: Value 'hi' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy \
         enum value set: [INDEXES, TOTAL, NONE]; Value 'a;' at 'tableName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [a-zA-Z0-9_.-]+; Value 'a;' at 'tableName' failed to satisfy constraint: Member must have \
         length greater than or equal to 3; Value null at 'item' failed to satisfy constraint: Member must not be null; Value \
         'hi' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, \
         ALL_OLD, NONE, UPDATED_NEW]",
    );
    endpoint.invalid(
        "PutItem",
        json!({"TableName": "abc", "Item": {}, "ReturnValues": "ALL_NEW"}),
        "ReturnValues can only be ALL_OLD or NONE",
    );
}

#[test]
fn keys_are_given_by_name_and_must_fit() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let schema = "The provided key element does not match the schema";
    for key in [
        json!({}),
        json!({"p": {"S": "a"}}),
        json!({"p": {"S": "a"}, "s": {"N": "1"}}),
        json!({"p": {"S": "a"}, "x": {"S": "a"}}),
        json!({"p": {"S": "a"}, "s": {"S": "a"}, "x": {"S": "a"}}),
    ] {
        for operation in ["GetItem", "DeleteItem", "UpdateItem"] {
            endpoint.invalid(operation, json!({"TableName": "ttt", "Key": key}), schema);
        }
        endpoint.invalid("BatchGetItem", json!({"RequestItems": {"ttt": {"Keys": [key]}}}), schema);
    }
    let empty = "The AttributeValue for a key attribute cannot contain an empty string value. Key: s";
    endpoint.invalid(
        "GetItem",
        json!({"TableName": "ttt", "Key": key("a", "")}),
        &format!("{INVALID}{empty}"),
    );
    let not_valid = format!("One or more parameter values are not valid. {empty}");
    for operation in ["DeleteItem", "UpdateItem"] {
        endpoint.invalid(operation, json!({"TableName": "ttt", "Key": key("a", "")}), &not_valid);
    }
    let batch = json!({"RequestItems": {"ttt": {"Keys": [key("a", "")]}}});
    endpoint.invalid("BatchGetItem", batch, &not_valid);
    let batch = json!({"RequestItems": {"ttt": [{"DeleteRequest": {"Key": key("a", "")}}]}});
    endpoint.invalid("BatchWriteItem", batch, &not_valid);
    endpoint.invalid("PutItem", json!({"TableName": "ttt", "Item": key("a", "")}), &not_valid);
    endpoint.invalid(
        "PutItem",
        json!({"TableName": "ttt", "Item": {"p": {"S": "a"}}}),
        &format!("{INVALID}Missing the key s in the item"),
    );
}

#[test]
fn updates_return_what_is_asked_for() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let update = |wanted: &str| {
        let body = json!({
            "TableName": "hhh", "Key": {"p": {"S": "a"}}, "UpdateExpression": "SET m.x = :x, n = n + :x",
            "ExpressionAttributeValues": {":x": {"N": "1"}}, "ReturnValues": wanted,
        });
        endpoint.done("UpdateItem", body)
    };
    let put = || {
        let item = json!({"p": {"S": "a"}, "m": {"M": {"x": {"N": "5"}, "y": {"N": "6"}}}, "n": {"N": "7"}});
        endpoint.done("PutItem", json!({"TableName": "hhh", "Item": item}))
    };
    let x = |x: &str, n: &str| json!({"Attributes": {"m": {"M": {"x": {"N": x}}}, "n": {"N": n}}});
    let whole = |x: &str, n: &str| json!({"Attributes": {"p": {"S": "a"}, "m": {"M": {"x": {"N": x}, "y": {"N": "6"}}}, "n": {"N": n}}});
    for (wanted, told) in [
        ("NONE", json!({})),
        ("ALL_OLD", whole("5", "7")),
        ("ALL_NEW", whole("1", "8")),
        ("UPDATED_OLD", x("5", "7")),
        ("UPDATED_NEW", x("1", "8")),
    ] {
        put();
        assert_eq!(update(wanted), told, "{wanted}");
    }
    // Nothing is no attributes.
    let none = json!({
        "TableName": "hhh", "Key": {"p": {"S": "new"}}, "UpdateExpression": "SET q = :x", "ReturnValues": "UPDATED_OLD",
        "ExpressionAttributeValues": {":x": {"N": "1"}},
    });
    assert_eq!(endpoint.done("UpdateItem", none), json!({}));
}

#[test]
fn a_condition_that_does_not_hold_shows_the_item_if_it_is_asked_to() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    endpoint.done("PutItem", json!({"TableName": "hhh", "Item": {"p": {"S": "a"}, "n": {"N": "1"}}}));
    let put = json!({
        "TableName": "hhh", "Item": {"p": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(p)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    let (status, answer) = endpoint.call("PutItem", put);
    assert_eq!(status, 400);
    let told = json!({"__type": CONDITIONAL, "message": "The conditional request failed", "Item": {"p": {"S": "a"}, "n": {"N": "1"}}});
    assert_eq!(answer, told);
    let legacy =
        json!({"TableName": "hhh", "Key": {"p": {"S": "a"}}, "Expected": {"n": {"Value": {"N": "2"}}}});
    let (status, answer) = endpoint.call("DeleteItem", legacy);
    assert_eq!((status, answer.get("Item")), (400, None));
    assert_eq!(answer["__type"], CONDITIONAL);
}

#[test]
fn legacy_parameters_do_what_expressions_do() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    for (s, n) in [("a", "1"), ("b", "2"), ("c", "3")] {
        let mut item = key("x", s);
        item["n"] = json!({"N": n});
        item["t"] = json!({"SS": [s, "all"]});
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": item}));
    }
    let names = |answer: &Value| -> Vec<String> {
        answer["Items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["s"]["S"].as_str().unwrap().to_owned())
            .collect()
    };
    let partition = json!({"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]});
    for (operator, values, expected) in [
        ("EQ", json!([{"S": "b"}]), vec!["b"]),
        ("LT", json!([{"S": "b"}]), vec!["a"]),
        ("LE", json!([{"S": "b"}]), vec!["a", "b"]),
        ("GT", json!([{"S": "b"}]), vec!["c"]),
        ("GE", json!([{"S": "b"}]), vec!["b", "c"]),
        ("BETWEEN", json!([{"S": "a"}, {"S": "b"}]), vec!["a", "b"]),
        ("BEGINS_WITH", json!([{"S": "c"}]), vec!["c"]),
    ] {
        let conditions =
            json!({"p": partition, "s": {"ComparisonOperator": operator, "AttributeValueList": values}});
        let answer = endpoint.done("Query", json!({"TableName": "ttt", "KeyConditions": conditions}));
        assert_eq!(names(&answer), expected, "{operator}");
    }
    for (operator, values, expected) in [
        ("NE", json!([{"N": "2"}]), vec!["a", "c"]),
        ("IN", json!([{"N": "2"}, {"N": "3"}]), vec!["b", "c"]),
        ("NULL", json!([]), vec![]),
        ("NOT_NULL", json!([]), vec!["a", "b", "c"]),
    ] {
        let filter = json!({"n": {"ComparisonOperator": operator, "AttributeValueList": values}});
        let answer = endpoint.done(
            "Query",
            json!({"TableName": "ttt", "KeyConditions": {"p": partition}, "QueryFilter": filter}),
        );
        assert_eq!(names(&answer), expected, "{operator}");
        let answer = endpoint.done("Scan", json!({"TableName": "ttt", "ScanFilter": filter}));
        assert_eq!(names(&answer), expected, "{operator}");
    }
    for (operator, expected) in [("CONTAINS", vec!["b"]), ("NOT_CONTAINS", vec!["a", "c"])] {
        let filter = json!({"t": {"ComparisonOperator": operator, "AttributeValueList": [{"S": "b"}]}});
        assert_eq!(
            names(&endpoint.done("Scan", json!({"TableName": "ttt", "ScanFilter": filter}))),
            expected
        );
    }
    let either = json!({
        "TableName": "ttt", "ConditionalOperator": "OR",
        "ScanFilter": {
            "n": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1"}]},
            "t": {"ComparisonOperator": "CONTAINS", "AttributeValueList": [{"S": "c"}]},
        },
    });
    assert_eq!(names(&endpoint.done("Scan", either)), ["a", "c"]);
    let updates = json!({
        "TableName": "ttt", "Key": key("x", "a"), "ReturnValues": "ALL_NEW",
        "AttributeUpdates": {
            "n": {"Action": "ADD", "Value": {"N": "10"}}, "t": {"Action": "DELETE", "Value": {"SS": ["all"]}},
            "list": {"Action": "ADD", "Value": {"L": [{"N": "1"}]}}, "new": {"Value": {"S": "v"}}, "gone": {"Action": "DELETE"},
        },
    });
    let mut expected = key("x", "a");
    expected["n"] = json!({"N": "11"});
    expected["t"] = json!({"SS": ["a"]});
    expected["list"] = json!({"L": [{"N": "1"}]});
    expected["new"] = json!({"S": "v"});
    assert_eq!(endpoint.done("UpdateItem", updates)["Attributes"], expected);
    // More values than an expression may have.
    let many: Vec<Value> = (0..5_000).map(|n| json!({"N": n.to_string()})).collect();
    let filter = json!({"n": {"ComparisonOperator": "IN", "AttributeValueList": many}});
    assert_eq!(endpoint.done("Scan", json!({"TableName": "ttt", "ScanFilter": filter}))["Count"], 3);
}

#[test]
fn pages_go_on_where_they_ended() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    for number in 0..10 {
        let mut item = key("x", &format!("{number}"));
        item["l"] = json!({"S": format!("{}", 9 - number)});
        item["g"] = json!({"S": "all"});
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": item}));
    }
    for index in [None, Some("local"), Some("global")] {
        let condition = if index == Some("global") { "g = :v" } else { "p = :v" };
        let value = if index == Some("global") { "all" } else { "x" };
        for forward in [true, false] {
            let (mut start, mut found) = (Value::Null, Vec::new());
            loop {
                let answer = endpoint.done("Query", json!({
                    "TableName": "ttt", "IndexName": index, "KeyConditionExpression": condition, "Limit": 3,
                    "ExpressionAttributeValues": {":v": {"S": value}}, "ScanIndexForward": forward, "ExclusiveStartKey": start,
                }));
                found.extend(
                    answer["Items"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|item| item["s"]["S"].as_str().unwrap().to_owned()),
                );
                assert_eq!(answer["Count"], answer["ScannedCount"]);
                start = answer["LastEvaluatedKey"].clone();
                if start.is_null() {
                    break;
                }
            }
            // Of equal keys of a global index those come first whose items' keys have a lower hash.
            let in_order = match index {
                None => "0123456789",
                Some("local") => "9876543210",
                _ => "9642708153",
            };
            let mut expected: Vec<String> = in_order.chars().map(|digit| digit.to_string()).collect();
            if !forward {
                expected.reverse();
            }
            assert_eq!(found, expected, "{index:?} {forward}");
        }
    }
    let count = endpoint.done("Scan", json!({"TableName": "ttt", "Select": "COUNT"}));
    assert_eq!(count, json!({"Count": 10, "ScannedCount": 10}));
    let total: i64 = (0..4)
        .map(|segment| {
            let body = json!({"TableName": "ttt", "Select": "COUNT", "Segment": segment, "TotalSegments": 4});
            endpoint.done("Scan", body)["Count"].as_i64().unwrap()
        })
        .sum();
    assert_eq!(total, 10);
    let choose = |select: &str, message: &str| {
        let mut body = json!({"TableName": "ttt", "Select": select});
        endpoint.invalid("Scan", body.clone(), message);
        body["KeyConditionExpression"] = json!("p = :p");
        body["ExpressionAttributeValues"] = json!({":p": {"S": "x"}});
        endpoint.invalid("Query", body, message);
    };
    choose(
        "SPECIFIC_ATTRIBUTES",
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
    );
    choose(
        "ALL_PROJECTED_ATTRIBUTES",
        "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
    );
}

#[test]
fn start_keys_that_do_not_fit_are_refused_in_the_services_order() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let query = |condition: &str, start: Value, message: &str| {
        let mut values = json!({":p": {"S": "x"}});
        if condition.contains(":s") {
            values[":s"] = json!({"S": "5"});
        }
        let body = json!({
            "TableName": "ttt", "KeyConditionExpression": condition, "ExpressionAttributeValues": values, "ExclusiveStartKey": start,
        });
        endpoint.invalid("Query", body, message);
    };
    query("p = :p", json!({"p": {"S": "x"}}), "The provided starting key is invalid");
    query("s = :p", json!({"q": {"S": "x"}, "s": {"S": "x"}}), "The provided starting key is invalid");
    query(
        "s = :p",
        json!({"p": {"N": "1"}, "s": {"S": "x"}}),
        "The provided key element does not match the schema",
    );
    query("s = :p", key("x", "1"), "Query condition missed key schema element: p");
    query(
        "p = :p",
        json!({"p": {"S": "x"}, "s": {"N": "1"}}),
        "The provided key element does not match the schema",
    );
    query(
        "p = :p",
        key("y", "1"),
        "The provided starting key is outside query boundaries based on provided conditions",
    );
    query(
        "p = :p AND s < :s",
        key("x", "7"),
        "The provided starting key does not match the range key predicate",
    );
    query("p = :p AND s < :s", key("y", "3"), "The query can return at most one row and cannot be restarted");
    query(
        "p = :p",
        json!({"p": {}, "s": {"S": "a"}}),
        "The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    );
}

#[test]
fn capacity_is_told_by_table_and_index() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let mut item = key("x", "a");
    item["l"] = json!({"S": "l"});
    item["g"] = json!({"S": "g"});
    item["text"] = json!({"S": "x".repeat(2_000)});
    let put = json!({"TableName": "ttt", "Item": item, "ReturnConsumedCapacity": "INDEXES", "ReturnItemCollectionMetrics": "SIZE"});
    assert_eq!(
        endpoint.done("PutItem", put),
        json!({
            "ConsumedCapacity": {
                "TableName": "ttt", "CapacityUnits": 4.0, "Table": {"CapacityUnits": 2.0},
                "LocalSecondaryIndexes": {"local": {"CapacityUnits": 1.0}}, "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 1.0}},
            },
            "ItemCollectionMetrics": {"ItemCollectionKey": {"p": {"S": "x"}}, "SizeEstimateRangeGB": [0.0, 1.0]},
        })
    );
    for (consistent, units) in [(false, 0.5), (true, 1.0)] {
        let get = json!({"TableName": "ttt", "Key": key("x", "a"), "ConsistentRead": consistent, "ReturnConsumedCapacity": "TOTAL", "ProjectionExpression": "p"});
        let told = json!({"TableName": "ttt", "CapacityUnits": units});
        assert_eq!(
            endpoint.done("GetItem", get),
            json!({"Item": {"p": {"S": "x"}}, "ConsumedCapacity": told})
        );
    }
    let query = json!({
        "TableName": "ttt", "IndexName": "local", "Select": "ALL_ATTRIBUTES", "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "x"}}, "ReturnConsumedCapacity": "INDEXES",
    });
    let answer = endpoint.done("Query", query);
    assert_eq!(answer["Items"], json!([item]));
    assert_eq!(
        answer["ConsumedCapacity"],
        json!({
            "TableName": "ttt", "CapacityUnits": 1.0, "Table": {"CapacityUnits": 0.5},
            "LocalSecondaryIndexes": {"local": {"CapacityUnits": 0.5}},
        })
    );
}

#[test]
fn batches_keep_their_limits() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let puts: Vec<Value> =
        (0..25).map(|n| json!({"PutRequest": {"Item": key("x", &format!("{n:02}"))}})).collect();
    assert_eq!(
        endpoint.done("BatchWriteItem", json!({"RequestItems": {"ttt": puts}})),
        json!({"UnprocessedItems": {}})
    );
    let keys: Vec<Value> = (0..30).map(|n| key("x", &format!("{n:02}"))).collect();
    let got = endpoint
        .done("BatchGetItem", json!({"RequestItems": {"ttt": {"Keys": keys, "ProjectionExpression": "s"}}}));
    assert_eq!(got["Responses"]["ttt"].as_array().unwrap().len(), 25);
    assert_eq!(got["UnprocessedKeys"], json!({}));
    let twice = json!({"RequestItems": {"ttt": {"Keys": [key("a", "a"), key("a", "a")]}}});
    endpoint.invalid("BatchGetItem", twice, "Provided list of item keys contains duplicates");
    let twice = json!({"RequestItems": {"ttt": [
        {"PutRequest": {"Item": key("a", "a")}}, {"DeleteRequest": {"Key": key("a", "a")}},
    ]}});
    endpoint.invalid("BatchWriteItem", twice, "Provided list of item keys contains duplicates");
    assert_eq!(endpoint.done("Scan", json!({"TableName": "ttt", "Select": "COUNT"}))["Count"], 25);

    // What does not fit into 1 MB, and an item, is to be asked for again; it is billed as if it were small.
    for n in 0..5 {
        let mut item = key("big", &format!("{n:02}"));
        item["text"] = json!({"S": "x".repeat(400_000)});
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": item}));
    }
    let keys: Vec<Value> = (0..5).map(|n| key("big", &format!("{n:02}"))).chain([key("x", "00")]).collect();
    let got = endpoint.done(
        "BatchGetItem",
        json!({
            "RequestItems": {"ttt": {"Keys": keys, "ConsistentRead": true}}, "ReturnConsumedCapacity": "TOTAL",
        }),
    );
    let (found, left) = (&got["Responses"]["ttt"], &got["UnprocessedKeys"]["ttt"]);
    assert_eq!(found.as_array().unwrap().len(), 4);
    assert_eq!(left["Keys"], json!([key("big", "03"), key("big", "04")]));
    assert_eq!(left["ConsistentRead"], true);
    assert_eq!(got["ConsumedCapacity"][0]["CapacityUnits"], 3.0 * 98.0 + 2.0 + 1.0);
}

#[test]
fn transactions_say_why_they_were_not_done() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    endpoint.done("PutItem", json!({"TableName": "ttt", "Item": key("x", "a")}));
    let actions = json!({"TransactItems": [
        {"Put": {"TableName": "ttt", "Item": key("x", "b")}},
        {"Put": {
            "TableName": "ttt", "Item": key("x", "a"), "ConditionExpression": "attribute_not_exists(p)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }},
    ]});
    let (status, answer) = endpoint.call("TransactWriteItems", actions);
    assert_eq!(status, 400);
    assert_eq!(
        answer,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]",
            "CancellationReasons": [
                {"Code": "None"},
                {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": key("x", "a")},
            ],
        })
    );
    let write = json!({"ClientRequestToken": "t", "TransactItems": [
        {"Update": {
            "TableName": "ttt", "Key": key("x", "a"), "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}},
        }},
        {"ConditionCheck": {"TableName": "ttt", "Key": key("x", "z"), "ConditionExpression": "attribute_not_exists(p)"}},
    ]});
    for _ in 0..3 {
        assert_eq!(endpoint.done("TransactWriteItems", write.clone()), json!({}));
    }
    let get = json!({"TransactItems": [
        {"Get": {"TableName": "ttt", "Key": key("x", "a"), "ProjectionExpression": "n"}}, {"Get": {"TableName": "ttt", "Key": key("x", "b")}},
    ]});
    assert_eq!(
        endpoint.done("TransactGetItems", get),
        json!({"Responses": [{"Item": {"n": {"N": "1"}}}, {}]})
    );
    let other = json!({"ClientRequestToken": "t", "TransactItems": [{"Delete": {"TableName": "ttt", "Key": key("x", "a")}}]});
    let (status, answer) = endpoint.call("TransactWriteItems", other);
    assert_eq!(
        (status, answer["__type"].as_str()),
        (400, Some("com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException"))
    );
}

/// Whoever was answered sees what was written, and so does everybody else, and the next process.
#[test]
fn writes_of_many_connections_are_there_when_they_are_answered() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("db");
    let endpoint = Endpoint::on(&path);
    endpoint.create_table();
    let count = |n: usize| {
        json!({
            "TableName": "ttt", "Key": key("x", "count"), "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": n.to_string()}}, "ReturnValues": "UPDATED_NEW",
        })
    };
    std::thread::scope(|scope| {
        for connection in 0..8 {
            let endpoint = &endpoint;
            scope.spawn(move || {
                for n in 0..20 {
                    let key = key("x", &format!("{connection} {n}"));
                    endpoint.done("PutItem", json!({"TableName": "ttt", "Item": key}));
                    let got = endpoint.done("GetItem", json!({"TableName": "ttt", "Key": key}));
                    assert_eq!(got["Item"], key);
                    let counted = endpoint.done("UpdateItem", count(1));
                    assert!(counted["Attributes"]["n"]["N"].as_str().unwrap().parse::<u32>().unwrap() > n);
                    let refused = json!({
                        "TableName": "ttt", "Item": key, "ConditionExpression": "attribute_not_exists(p)",
                    });
                    assert_eq!(endpoint.call("PutItem", refused).0, 400);
                }
            });
        }
    });
    drop(endpoint);
    let endpoint = Endpoint::on(&path);
    assert_eq!(endpoint.done("UpdateItem", count(0))["Attributes"]["n"]["N"], "160");
    assert_eq!(endpoint.done("Scan", json!({"TableName": "ttt", "Select": "COUNT"}))["Count"], 161);
}

#[test]
fn a_body_is_read_to_its_end_and_of_several_fields_with_one_name_the_last_counts() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    for sort in ["a", "b"] {
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": key("x", sort)}));
    }
    // What stands behind the point is dropped.
    let body = r#"{"TableName": "nothing", "Select": "COUNT", "Limit": 1.9, "TableName": "ttt"}"#;
    let scan = |body: &str| endpoint.ask("DynamoDB_20120810.Scan", body.as_bytes());
    let answer = scan(body);
    assert_eq!(answer.status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap()["Count"], 1);
    for rest in ["x", "{}", "]"] {
        let answer = scan(&format!("{body} {rest}"));
        let expected = json!({"__type": SERIALIZATION});
        assert_eq!(
            (answer.status, serde_json::from_slice(&answer.body).ok()),
            (400, Some(expected)),
            "{rest}"
        );
    }
}

/// Items about which nothing is out of the ordinary are encoded while they are read; all others in another way.
#[test]
fn an_item_is_the_same_however_its_values_are_written() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let put = |item: &str| {
        let body = format!(r#"{{"TableName": "ttt", "Item": {item}}}"#);
        let answer = endpoint.ask("DynamoDB_20120810.PutItem", body.as_bytes());
        assert_eq!(answer.status, 200, "{item}");
        let key = json!({"TableName": "ttt", "Key": key("x", "a")});
        endpoint.done("GetItem", key)["Item"].clone()
    };
    let plain = r#"{"p": {"S": "x"}, "s": {"S": "a"}, "b": {"BOOL": true}, "m": {"M": {"z": {"NULL": true}, "a": {"N": "1.0"}}}}"#;
    let expected = json!({
        "p": {"S": "x"}, "s": {"S": "a"}, "b": {"BOOL": true}, "m": {"M": {"z": {"NULL": true}, "a": {"N": "1"}}},
    });
    assert_eq!(put(plain), expected);
    for (from, to) in [
        // What the service overlooks, or takes for something else.
        (r#""BOOL": true"#, r#""BOOL": "true""#),
        (r#""NULL": true"#, r#""NULL": "yes""#),
        (r#""N": "1.0""#, r#""N": "1", "S": null"#),
        (r#""N": "1.0""#, r#""N": "1", "other": 5"#),
        (r#""b": {"#, r#""b": {"S": "the last one counts"}, "b": {"#),
    ] {
        let other = plain.replace(from, to);
        assert_ne!(other, plain);
        assert_eq!(put(&other), expected, "{other}");
    }
}

#[test]
fn a_batch_says_in_one_way_which_attributes_it_wants() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    endpoint.create_hash_table();
    let mut tables = json!({
        "ttt": {"Keys": [key("a", "a")], "ProjectionExpression": "p"},
        "hhh": {"Keys": [{"p": {"S": "a"}}], "AttributesToGet": ["p"]},
    });
    endpoint.invalid(
        "BatchGetItem",
        json!({"RequestItems": tables}),
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} \
         Expression parameters: {ProjectionExpression}",
    );
    tables["hhh"].as_object_mut().unwrap().remove("AttributesToGet");
    endpoint.done("BatchGetItem", json!({"RequestItems": tables}));
}

#[test]
fn an_item_of_which_nothing_is_wanted_that_it_has_is_none_in_a_transaction() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    for sort in ["a", "b"] {
        endpoint.done("PutItem", json!({"TableName": "ttt", "Item": key("a", sort)}));
    }
    let get = |sort: &str, wanted: &str| json!({"Get": {"TableName": "ttt", "Key": key("a", sort), "ProjectionExpression": wanted}});
    let found =
        endpoint.done("TransactGetItems", json!({"TransactItems": [get("a", "nothing"), get("b", "p")]}));
    assert_eq!(found["Responses"], json!([{}, {"Item": {"p": {"S": "a"}}}]));
}

#[test]
fn what_is_wrong_with_a_request_is_found_before_a_value_that_is_too_deep() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let nested = |levels: usize| (1..levels).fold(json!({"S": "x"}), |inner, _| json!({"M": {"m": inner}}));
    let put = |levels: usize, returned: &str| json!({"TableName": "hhh", "Item": {"p": {"S": "a"}, "v": nested(levels)}, "ReturnValues": returned});
    endpoint.done("PutItem", put(32, "NONE"));
    let too_deep = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";
    let wrong = "1 validation error detected: Value 'BOGUS' at 'returnValues' failed to satisfy constraint: Member must satisfy \
                 enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]";
    for levels in [33, 62, 63, 64, 100, 120] {
        endpoint.invalid("PutItem", put(levels, "NONE"), too_deep);
        endpoint.invalid("PutItem", put(levels, "BOGUS"), wrong);
    }
    // There is an end to it, and a request that nobody could make by mistake does no harm.
    for levels in [200, 100_000] {
        let value = format!("{}1{}", r#"{"M":{"m":"#.repeat(levels), "}}".repeat(levels));
        let list = format!("{}1{}", r#"{"L":["#.repeat(levels), "]}".repeat(levels));
        let ask = |operation: &str, body: String| {
            endpoint.ask(&format!("DynamoDB_20120810.{operation}"), body.as_bytes()).status
        };
        for value in [&value, &list] {
            let put = format!(r#"{{"TableName": "hhh", "Item": {{"p": {{"S": "a"}}, "v": {value}}}}}"#);
            assert_eq!(ask("PutItem", put), 400, "{levels}");
            assert_eq!(ask("GetItem", format!(r#"{{"TableName": "hhh", "Key": {value}}}"#)), 400, "{levels}");
            let unknown = format!(r#"{{"x": {value}, "TableName": "hhh", "Key": {{"p": {{"S": "a"}}}}}}"#);
            assert_eq!(ask("GetItem", unknown), 200, "{levels}");
        }
    }
}

#[test]
fn a_transaction_says_what_it_does_not_know_and_takes_large_values() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    endpoint.invalid(
        "TransactWriteItems",
        json!({"TransactItems": [{}]}),
        "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
    );
    let key = json!({"p": {"S": "a"}});
    let both = json!({"Delete": {"TableName": "hhh", "Key": key}, "Put": {"TableName": "hhh", "Item": key}});
    endpoint.invalid(
        "TransactWriteItems",
        json!({"TransactItems": [both]}),
        "TransactItems can only contain one of Check, Put, Update or Delete",
    );
    // The first action that is wrong is told of.
    let check = |condition: &str| json!({"ConditionCheck": {"TableName": "hhh", "Key": key, "ConditionExpression": condition}});
    let unnamed = json!({"Put": {"TableName": "hhh", "Item": {"p": {"S": "b"}, "": {"S": "x"}}}});
    for (first, text) in [
        ("attribute_not_exists(", "Invalid ConditionExpression: Syntax error; token: \"<EOF>\", near: \"(\""),
        ("attribute_not_exists(p)", "Empty attribute name"),
    ] {
        let body = json!({"TransactItems": [check(first), unnamed]});
        let (status, answer) = endpoint.call("TransactWriteItems", body);
        assert_eq!(
            (status, answer["message"].as_str().map(|told| told.contains(text))),
            (400, Some(true)),
            "{answer}"
        );
    }
    // With the key it is as large as an item may be, and a token makes no difference.
    let value = "x".repeat(409_600 - "pav".len());
    let update = json!({
        "TableName": "hhh", "Key": key, "UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": {"S": value}},
    });
    let body = json!({"TransactItems": [{"Update": update}], "ClientRequestToken": "token"});
    endpoint.done("TransactWriteItems", body.clone());
    endpoint.done("TransactWriteItems", body);
}

#[test]
fn broken_constraints_are_told_in_the_services_order() {
    let endpoint = Endpoint::start();
    let consumed = "Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: \
                    [INDEXES, TOTAL, NONE]";
    let told = |operation: &str, body: Value, first: &str, second: &str| {
        endpoint.invalid(operation, body, &format!("2 validation errors detected: {first}; {second}"));
    };
    told(
        "UpdateItem",
        json!({"TableName": "hhh", "ConditionalOperator": "XOR"}),
        "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]",
        "Value null at 'key' failed to satisfy constraint: Member must not be null",
    );
    told(
        "TransactWriteItems",
        json!({
            "TransactItems": [{"Delete": {"TableName": "hhh", "Key": {"p": {"S": "a"}}}}],
            "ClientRequestToken": "x".repeat(37), "ReturnConsumedCapacity": "BOGUS",
        }),
        &format!(
            "Value '{}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36",
            "x".repeat(37)
        ),
        consumed,
    );
    told(
        "BatchGetItem",
        json!({"RequestItems": {}, "ReturnConsumedCapacity": "BOGUS"}),
        "Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
        consumed,
    );
    let index = json!({
        "IndexName": "x", "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"},
    });
    let table = json!({
        "TableName": "hhh", "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST",
        "LocalSecondaryIndexes": [index], "GlobalSecondaryIndexes": [index],
    });
    let short = |kind: &str| {
        format!(
            "Value 'x' at '{kind}SecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater \
             than or equal to 3"
        )
    };
    told("CreateTable", table, &short("global"), &short("local"));
}
