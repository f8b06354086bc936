//! PartiQL over HTTP: statements, batches and transactions, and what each of them tells of what went wrong.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::Endpoint;

const DUPLICATE: &str = "com.amazonaws.dynamodb.v20120810#DuplicateItemException";
const CONDITIONAL: &str = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
const CANCELED: &str = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
const MISMATCH: &str = "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException";
const NOT_FOUND: &str = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
const MALFORMED: &str = "Statement wasn't well formed, can't be processed: ";

/// An endpoint with the tables `ttt` and `hhh`, and three items in `ttt`.
fn filled() -> Endpoint {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    endpoint.create_hash_table();
    for s in ["1", "2", "3"] {
        let insert =
            format!("INSERT INTO \"ttt\" VALUE {{'p': 'a', 's': '{s}', 'n': {s}, 'l': 'l{s}', 'g': 'x'}}");
        assert_eq!(endpoint.done("ExecuteStatement", json!({"Statement": insert})), json!({"Items": []}));
    }
    endpoint
}

#[test]
fn a_statement_reads_and_writes() {
    let endpoint = filled();
    let run = |body: Value| endpoint.done("ExecuteStatement", body);
    let found =
        run(json!({"Statement": "SELECT s, n FROM ttt WHERE p = ? AND s > '1'", "Parameters": [{"S": "a"}]}));
    assert_eq!(
        found,
        json!({"Items": [{"s": {"S": "2"}, "n": {"N": "2"}}, {"s": {"S": "3"}, "n": {"N": "3"}}]})
    );
    let updated = run(
        json!({"Statement": "UPDATE ttt SET n = n + 5 WHERE p = 'a' AND s = '1' RETURNING MODIFIED NEW *"}),
    );
    assert_eq!(updated, json!({"Items": [{"n": {"N": "6"}}]}));
    let item = json!({"p": {"S": "a"}, "s": {"S": "1"}, "n": {"N": "6"}, "l": {"S": "l1"}, "g": {"S": "x"}});
    let deleted = run(json!({"Statement": "DELETE FROM ttt WHERE p = 'a' AND s = '1' RETURNING ALL OLD *"}));
    assert_eq!(deleted, json!({"Items": [item]}));
    assert_eq!(
        run(json!({"Statement": "SELECT * FROM ttt WHERE p = 'a' AND s = '1'"})),
        json!({"Items": []})
    );
}

#[test]
fn pages_of_a_statement_join() {
    let endpoint = filled();
    let statement = "SELECT s FROM \"ttt\".\"global\" WHERE g = 'x'";
    let first = endpoint.done("ExecuteStatement", json!({"Statement": statement, "Limit": 2}));
    // The items' keys have hashes in this order.
    assert_eq!(first["Items"], json!([{"s": {"S": "2"}}, {"s": {"S": "3"}}]));
    assert_eq!(first["LastEvaluatedKey"], json!({"p": {"S": "a"}, "s": {"S": "3"}, "g": {"S": "x"}}));
    let token = first["NextToken"].as_str().unwrap();
    let rest = endpoint.done("ExecuteStatement", json!({"Statement": statement, "NextToken": token}));
    assert_eq!(rest, json!({"Items": [{"s": {"S": "1"}}]}));
    let other = json!({"Statement": "SELECT * FROM ttt WHERE p = 'a'", "NextToken": token});
    endpoint.invalid("ExecuteStatement", other, "NextToken does not match request");
    endpoint.invalid(
        "ExecuteStatement",
        json!({"Statement": statement, "NextToken": "x"}),
        "Invalid NextToken",
    );
}

#[test]
fn a_statement_that_fails_is_told_in_the_services_words() {
    let endpoint = filled();
    let statement = |text: &str| json!({"Statement": text});
    let run = "ExecuteStatement";
    endpoint.invalid(run, statement("SELECT * FROM ttt WHERE"), &format!("{MALFORMED}Unexpected term"));
    endpoint.invalid(
        run,
        statement("DELETE FROM ttt WHERE p = 'a'"),
        "Where clause does not contain a mandatory equality on all key attributes",
    );
    endpoint.refused(
        run,
        statement("INSERT INTO ttt VALUE {'p': 'a', 's': '1'}"),
        DUPLICATE,
        "Duplicate primary key exists in table",
    );
    endpoint.refused(
        run,
        statement("SELECT * FROM nothing WHERE p = 'a'"),
        NOT_FOUND,
        "Requested resource not found",
    );
    // What is wrong with a SELECT itself comes before its table is looked for.
    endpoint.invalid(
        run,
        json!({"Statement": "SELECT * FROM nothing WHERE p = 'a' AND n < ?", "Parameters": [{"BOOL": true}]}),
        "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
    );
    let update = "UPDATE ttt SET n = 1 WHERE p = 'a' AND s = '1' AND n = 9";
    endpoint.refused(run, statement(update), CONDITIONAL, "The conditional request failed");
    let (status, answer) =
        endpoint.call(run, json!({"Statement": update, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}));
    assert_eq!((status, &answer["Item"]["n"]), (400, &json!({"N": "1"})));
    // Parameters come before the statement is looked at.
    endpoint.invalid(
        run,
        json!({"Statement": "UPDATE ttt SET WHERE", "Parameters": [{"SS": ["a", "a"]}]}),
        "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
    );
    endpoint.invalid(
        run,
        json!({"Statement": "", "Limit": 0, "Parameters": []}),
        "3 validation errors detected: Value '' at 'statement' failed to satisfy constraint: Member must have length greater \
         than or equal to 1; Value '[]' at 'parameters' failed to satisfy constraint: Member must have length greater than or \
         equal to 1; Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    );
    endpoint.invalid(
        run,
        json!({}),
        "1 validation error detected: Value null at 'statement' failed to satisfy constraint: Member must not be null",
    );
    let (status, answer) = endpoint.call(run, statement(&"x".repeat(8193)));
    assert_eq!(status, 400);
    assert!(
        answer["message"].as_str().unwrap().ends_with("Member must have length less than or equal to 8192")
    );
}

#[test]
fn capacity_is_told_where_it_was_consumed() {
    let endpoint = filled();
    let told = |text: &str, consistent: bool| {
        let body =
            json!({"Statement": text, "ReturnConsumedCapacity": "INDEXES", "ConsistentRead": consistent});
        endpoint.done("ExecuteStatement", body)["ConsumedCapacity"].clone()
    };
    let read = told("SELECT * FROM ttt WHERE p = 'a'", false);
    assert_eq!(read, json!({"TableName": "ttt", "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.5}}));
    assert_eq!(told("SELECT * FROM ttt WHERE p = 'a'", true)["CapacityUnits"], 1.0);
    let index = told("SELECT * FROM ttt.\"global\" WHERE g = 'x'", false);
    assert_eq!((&index["Table"]["CapacityUnits"], &index["CapacityUnits"]), (&json!(0.0), &json!(0.5)));
    let written = told("UPDATE ttt SET l = 'z' WHERE p = 'a' AND s = '1'", false);
    // The table, and an entry of the local index that is removed and one that is put.
    assert_eq!(written["LocalSecondaryIndexes"]["local"]["CapacityUnits"], 2.0);
    assert_eq!(written["Table"]["CapacityUnits"], 1.0);
    endpoint.invalid(
        "ExecuteStatement",
        json!({"Statement": "SELECT * FROM ttt.\"global\" WHERE g = 'x'", "ConsistentRead": true}),
        "Strongly consistent read is not supported on Global Secondary Indexes",
    );
}

#[test]
fn the_statements_of_a_batch_are_answered_one_by_one() {
    let endpoint = filled();
    let batch =
        |statements: &[Value]| endpoint.done("BatchExecuteStatement", json!({"Statements": statements}));
    let statement = |text: &str| json!({"Statement": text});
    let read = batch(&[
        statement("SELECT n FROM ttt WHERE p = 'a' AND s = '2'"),
        statement("SLECT * FROM ttt"),
        statement("SELECT * FROM nothing WHERE p = 'x'"),
        statement("SELECT * FROM ttt WHERE p = 'a'"),
        statement("SELECT * FROM ttt WHERE p = 'a' AND s = 'none'"),
        json!({"Statement": "SELECT * FROM ttt WHERE p = ? AND s = '1'", "Parameters": [{"NS": []}]}),
    ]);
    let key =
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause.";
    let error = |code: &str, message: &str| json!({"Code": code, "Message": message});
    assert_eq!(
        read["Responses"],
        json!([
            {"TableName": "ttt", "Item": {"n": {"N": "2"}}},
            {"Error": error("ValidationError", &format!("{MALFORMED}Expected data manipulation"))},
            {"Error": error("ResourceNotFound", "Requested resource not found")},
            {"Error": error("ValidationError", key)},
            {"TableName": "ttt"},
            {"Error": error("ValidationError", "One or more parameter values were invalid: An number set  may not be empty")},
        ])
    );
    let written = batch(&[
        statement("INSERT INTO hhh VALUE {'p': 'b'}"),
        statement("INSERT INTO hhh VALUE {'p': 'b'}"),
        statement("UPDATE hhh SET n = 1 WHERE p = 'b' RETURNING ALL NEW *"),
        json!({"Statement": "DELETE FROM hhh WHERE p = 'b' AND n = 2", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}),
        statement("UPDATE hhh REMOVE n WHERE p = 'b' RETURNING MODIFIED NEW *"),
    ]);
    let refused = json!({"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": {"p": {"S": "b"}, "n": {"N": "1"}}});
    assert_eq!(
        written["Responses"],
        json!([
            {"TableName": "hhh"},
            {"Error": error("DuplicateItem", "Duplicate primary key exists in table"), "TableName": "hhh"},
            {"TableName": "hhh", "Item": {"p": {"S": "b"}, "n": {"N": "1"}}},
            {"Error": refused, "TableName": "hhh"},
            {"TableName": "hhh"},
        ])
    );
    let many = vec![statement("SELECT * FROM hhh WHERE p = 'b'"); 26];
    let (status, answer) = endpoint.call("BatchExecuteStatement", json!({"Statements": many}));
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().unwrap().contains(
        "'statements' failed to satisfy constraint: Member must have length less than or equal to 25"
    ));
    let consumed = json!({
        "ReturnConsumedCapacity": "TOTAL",
        "Statements": [
            {"Statement": "SELECT * FROM hhh WHERE p = 'b'"}, {"Statement": "SELECT * FROM ttt WHERE p = 'a'"},
            {"Statement": "SELECT * FROM hhh WHERE p = 'b'", "ConsistentRead": true},
        ],
    });
    assert_eq!(
        endpoint.done("BatchExecuteStatement", consumed)["ConsumedCapacity"],
        json!([{"TableName": "hhh", "CapacityUnits": 0.5}, {"TableName": "hhh", "CapacityUnits": 1.0}])
    );
}

#[test]
fn a_transaction_of_statements_is_done_whole_or_told_why_not() {
    let endpoint = filled();
    let body = |texts: &[&str]| {
        let statements = texts.iter().map(|text| json!({"Statement": text})).collect::<Vec<_>>();
        json!({"TransactStatements": statements})
    };
    let run = "ExecuteTransaction";
    let read = endpoint.done(
        run,
        body(&["SELECT n FROM ttt WHERE p = 'a' AND s = '1'", "SELECT * FROM hhh WHERE p = 'none'"]),
    );
    assert_eq!(read, json!({"Responses": [{"Item": {"n": {"N": "1"}}}, {}]}));
    let add = json!({
        "ClientRequestToken": "token", "ReturnConsumedCapacity": "TOTAL",
        "TransactStatements": [
            {"Statement": "UPDATE ttt SET n = n + ? WHERE p = 'a' AND s = '1'", "Parameters": [{"N": "1"}]},
            {"Statement": "EXISTS(SELECT * FROM ttt WHERE p = 'a' AND s = '2' AND n = 2)"},
        ],
    });
    let done = endpoint.done(run, add.clone());
    assert_eq!(
        done["ConsumedCapacity"],
        json!([{"TableName": "ttt", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}])
    );
    assert_eq!(done["Responses"], json!([]));
    endpoint.done(run, add.clone());
    let found =
        endpoint.done("GetItem", json!({"TableName": "ttt", "Key": {"p": {"S": "a"}, "s": {"S": "1"}}}));
    assert_eq!(found["Item"]["n"], json!({"N": "2"}));
    let mut other = add;
    other["TransactStatements"][0]["Parameters"][0] = json!({"N": "2"});
    let (status, answer) = endpoint.call(run, other);
    assert_eq!((status, answer["__type"].as_str()), (400, Some(MISMATCH)));

    let statements = json!({"TransactStatements": [
        {"Statement": "INSERT INTO ttt VALUE {'p': 'a', 's': '1'}"},
        {"Statement": "UPDATE ttt SET n = 1 WHERE p = 'a' AND s = '2' AND n = 9", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
        {"Statement": "INSERT INTO hhh VALUE {'p': 'new'}"},
    ]});
    let (status, answer) = endpoint.call(run, statements);
    assert_eq!((status, answer["__type"].as_str()), (400, Some(CANCELED)));
    assert_eq!(
        answer["Message"],
        "Transaction cancelled, please refer cancellation reasons for specific reasons [DuplicateItem, ConditionalCheckFailed, None]"
    );
    assert_eq!(answer["CancellationReasons"][1]["Item"]["n"], json!({"N": "2"}));
    assert_eq!(answer["CancellationReasons"][2], json!({"Code": "None"}));
    assert_eq!(endpoint.done("GetItem", json!({"TableName": "hhh", "Key": {"p": {"S": "new"}}})), json!({}));

    endpoint.invalid(
        run,
        body(&["SELECT * FROM ttt WHERE"]),
        &format!("Validation failed in TransactStatements[0]: {MALFORMED}Unexpected term"),
    );
    endpoint.invalid(
        run,
        body(&["SELECT * FROM hhh WHERE p = 'a'", "SELECT * FROM ttt.\"global\" WHERE g = 'x'"]),
        "Validation failed in TransactStatements[1]: Reads on indices are not supported within transactions.",
    );
    endpoint.invalid(
        run,
        body(&["SELECT * FROM hhh WHERE p = 'a'", "DELETE FROM hhh WHERE p = 'a'"]),
        "ExecuteTransaction API does not support both read and write operations in the same request.",
    );
    let (status, answer) = endpoint.call(run, body(&["DELETE FROM nothing WHERE p = 'a'"]));
    assert_eq!((status, &answer["CancellationReasons"][0]["Code"]), (400, &json!("ResourceNotFound")));
    let (status, _) = endpoint.call(run, json!({"TransactStatements": []}));
    assert_eq!(status, 400);
}
