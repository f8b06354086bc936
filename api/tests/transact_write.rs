//! Transactions of actions: what they do, which reasons and errors they give, and the reads of their kind.

mod common;

use common::{create_events, things};
use dynamite_core::Error;
use dynamite_core::api::{Check, Consumed, ConsumedKind, Delete, DynaMite, Get, GlobalIndex, Put, Update};
use dynamite_core::error::{CancellationCode, CancellationReason};
use dynamite_core::json::item_to_json;
use dynamite_core::types::KeyType;
use serde_json::{Value, json};

fn get(db: &DynaMite, id: &str) -> Option<Value> {
    db.get_item("things").partition_key(id).execute().unwrap()
}

/// `things` with three of them, and the empty table `events` with numbers as sort keys.
fn tables() -> DynaMite {
    let db = things();
    create_events(&db, KeyType::Number);
    for (id, n) in [("a", 1), ("b", 2), ("c", 3)] {
        db.put_item("things", json!({"id": id, "n": n})).unwrap();
    }
    db
}

const TOO_FEW: &str = "1 validation error detected: Value at 'TransactItems' failed to satisfy constraint: Member must \
                       have length greater than or equal to 1";
const TOO_MANY: &str = "1 validation error detected: Value at 'TransactItems' failed to satisfy constraint: Member must \
                        have length less than or equal to 100";

const NONE: (&str, &str) = ("None", "");
const FAILED: (&str, &str) = ("ConditionalCheckFailed", "The conditional request failed");

/// Checks the reasons of a cancellation, and returns them.
#[track_caller]
fn canceled<T: std::fmt::Debug>(
    result: Result<T, Error>,
    expected: &[(&str, &str)],
) -> Vec<CancellationReason> {
    let error = result.expect_err("it must be canceled");
    let text = error.to_string();
    let Error::TransactionCanceled { reasons } = error else { panic!("{error:?}") };
    let found = reasons.iter().map(|reason| (reason.code.as_str(), reason.message.as_deref().unwrap_or("")));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let codes = expected.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", ");
    let says = "Transaction cancelled, please refer cancellation reasons for specific reasons";
    assert_eq!(text, format!("{says} [{codes}]"));
    reasons
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, Error>, text: &str) {
    let error = result.expect_err("it must be refused");
    assert!(!matches!(error, Error::TransactionCanceled { .. }), "{error:?}");
    assert_eq!(error.cause().to_string(), text);
}

#[test]
fn all_actions_are_done_in_one_commit() {
    let db = tables();
    let commits = db.stats().commits;
    let version = db
        .transact_write()
        .put(Put::new("things").item(json!({"id": "new"})).condition("attribute_not_exists(id)"))
        .put(Put::new("events").item_from(&json!({"device": "d", "at": 1})))
        .update(
            Update::new("things")
                .partition_key("a")
                .update("SET #n = #n + :n")
                .name("#n", "n")
                .value(":n", 10),
        )
        .update(Update::new("events").partition_key("d").sort_key(2))
        .delete(Delete::new("things").partition_key("b").condition("n = :n").value(":n", 2))
        .delete(Delete::new("things").partition_key("nobody"))
        .check(Check::new("things").partition_key("c").condition("n < :n").value(":n", 4))
        .execute()
        .unwrap();
    assert_eq!(db.stats().commits, commits + 1);
    assert_eq!(get(&db, "new"), Some(json!({"id": "new"})));
    assert_eq!(get(&db, "a"), Some(json!({"id": "a", "n": 11})));
    assert_eq!(get(&db, "b"), None);
    assert_eq!(get(&db, "c"), Some(json!({"id": "c", "n": 3})));
    assert_eq!(
        db.scan("events").execute().unwrap().items,
        [json!({"device": "d", "at": 1}), json!({"device": "d", "at": 2})]
    );
    let versioned =
        |id| db.get_item_versioned("things").partition_key(id).execute().unwrap().unwrap().version;
    assert_eq!((versioned("new"), versioned("a")), (version, version));
    assert!(versioned("c") < version);
}

/// Every action is tried, and nothing is done; what would have been done has the reason `None`.
#[test]
fn a_cancellation_tells_the_reason_of_every_action() {
    let db = tables();
    let before = db.scan("things").execute().unwrap();
    let condition = |id: &'static str, return_old| {
        Delete::new("things")
            .partition_key(id)
            .condition("n > :n")
            .value(":n", 100)
            .return_old_on_failure(return_old)
    };
    let update = |id: &'static str, text| Update::new("things").partition_key(id).update(text);
    let stale = db.get_item_versioned("things").partition_key("a").execute().unwrap().unwrap().version + 7;
    let result = db
        .transact_write()
        .put(Put::new("things").item(json!({"id": "fine"})))
        .delete(condition("b", true))
        .delete(condition("c", false))
        .delete(condition("nobody", true))
        .check(Check::new("things").partition_key("a").if_version(stale))
        .update(update("1", "SET x = n + :n").value(":n", 1))
        .update(update("2", "SET x.y = :n").value(":n", 1))
        .update(update("3", "SET x = :n").value(":n", "x".repeat(409_597)))
        .update(update("4", "SET id = :n").value(":n", 1))
        .update(update("5", "SET x = :n").value(":n", 1).condition("attribute_exists(id.x)"))
        .put(Put::new("things").item(json!({"id": 5})))
        .put(Put::new("things").item(json!({"no": "id"})))
        .delete(Delete::new("things").partition_key(5))
        .delete(Delete::new("things").partition_key("a").sort_key(5))
        .check(Check::new("events").partition_key("a").condition("attribute_exists(x)"))
        .put(Put::new("events").item(json!({"device": "d", "at": 1})))
        .execute();
    let schema = ("ValidationError", "The provided key element does not match the schema");
    let reasons = canceled(
        result,
        &[
            NONE,
            FAILED,
            FAILED,
            FAILED,
            (
                "ConditionalCheckFailed",
                &format!(
                    "version conflict: version {stale} was expected, but the item has version {}",
                    stale - 7
                ),
            ),
            (
                "ValidationError",
                "The provided expression refers to an attribute that does not exist in the item",
            ),
            ("ValidationError", "The document path provided in the update expression is invalid for update"),
            ("ValidationError", "Item size to update has exceeded the maximum allowed size"),
            (
                "ValidationError",
                "One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key",
            ),
            (
                "ValidationError",
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: id",
            ),
            (
                "ValidationError",
                "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N",
            ),
            ("ValidationError", "One or more parameter values were invalid: Missing the key id in the item"),
            schema,
            schema,
            schema,
            NONE,
        ],
    );
    assert_eq!(reasons[1].code, CancellationCode::ConditionalCheckFailed);
    let items =
        reasons.into_iter().map(|reason| reason.item.map(|item| item_to_json(*item))).collect::<Vec<_>>();
    assert_eq!(items[1], Some(json!({"id": "b", "n": 2})));
    assert!(items.iter().enumerate().all(|(nth, item)| nth == 1 || item.is_none()), "{items:?}");
    assert_eq!(db.scan("things").execute().unwrap(), before);
    assert_eq!(db.scan("events").count().unwrap(), 0);
}

#[test]
fn what_an_index_does_not_take_is_a_reason_of_its_action() {
    let db = DynaMite::in_memory().unwrap();
    let index = GlobalIndex::new("by_n").partition_key("n", KeyType::Number);
    db.create_table("things").partition_key("id", KeyType::String).global_index(index).execute().unwrap();
    db.put_item("things", json!({"id": "b", "n": 2})).unwrap();
    let result = db
        .transact_write()
        .put(Put::new("things").item(json!({"id": "a", "n": "text"})))
        .update(Update::new("things").partition_key("b").update("SET n = :n").value(":n", "text"))
        .put(Put::new("things").item(json!({"id": "c", "n": 3})))
        .execute();
    let put = "One or more parameter values were invalid: Type mismatch for Index Key n Expected: N Actual: S IndexName: by_n";
    canceled(result, &[("ValidationError", put), ("ValidationError", put), NONE]);
    assert_eq!(db.scan("things").index("by_n").execute().unwrap().items, [json!({"id": "b", "n": 2})]);
    assert_eq!(db.check_belongings().unwrap(), [""; 0]);
}

/// The state before the transaction is what all actions see.
#[test]
fn no_action_sees_what_another_one_does() {
    let db = tables();
    db.transact_write()
        .update(Update::new("things").partition_key("a").update("SET n = :n").value(":n", 5))
        .check(Check::new("things").partition_key("b").condition("n = :n").value(":n", 2))
        .delete(Delete::new("things").partition_key("c").condition("n = :n").value(":n", 3))
        .execute()
        .unwrap();
    assert_eq!(
        db.scan("things").execute().unwrap().items,
        [json!({"id": "a", "n": 5}), json!({"id": "b", "n": 2})]
    );
}

#[test]
fn what_is_wrong_with_the_request_is_an_error_of_all_of_it() {
    let db = tables();
    let commits = db.stats().commits;
    let fine = || db.transact_write().put(Put::new("things").item(json!({"id": "fine"})));
    says(db.transact_write().execute(), TOO_FEW);
    let many = |count| {
        (0..count).fold(db.transact_write(), |write, nth: u32| {
            write.delete(Delete::new("things").partition_key(nth.to_string()))
        })
    };
    says(many(101).execute(), TOO_MANY);
    says(
        fine().check(Check::new("things").partition_key("fine").condition("n = :n").value(":n", 1)).execute(),
        "Transaction request cannot include multiple operations on one item",
    );
    says(
        fine().put(Put::new("nothing").item(json!({"id": "x"}))).execute(),
        "Requested resource not found: Table: nothing not found",
    );
    says(fine().put(Put::new("things")).execute(), "a put needs an item");
    says(
        fine().check(Check::new("things").partition_key("a")).execute(),
        "a check needs a condition, or a version",
    );
    let empty = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
                 string value. Key: id";
    says(fine().put(Put::new("things").item(json!({"id": ""}))).execute(), empty);
    says(fine().delete(Delete::new("things").partition_key("")).execute(), empty);
    says(
        fine().put(Put::new("things").item(json!({"id": "x", "t": "x".repeat(409_600)}))).execute(),
        "Item size has exceeded the maximum allowed size",
    );
    // Expressions come before tables, and the first action before the others.
    let broken = |text| Delete::new("things").partition_key("a").condition(text);
    let result = db.transact_write().put(Put::new("nothing").item(json!({"id": "x"})));
    let error = result.delete(broken("attribute_not_exists(")).execute().unwrap_err();
    assert!(matches!(error, Error::Operation { operation: 1, .. }), "{error:?}");
    says(Err::<(), _>(error), "Invalid ConditionExpression: Syntax error; token: \"<EOF>\", near: \"(\"");
    let unused = fine().delete(broken("attribute_exists(id)").value(":v", 1)).execute();
    says(unused, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}");
    says(
        fine()
            .update(Update::new("things").partition_key("a").update("SET n = :n").value(":n", f64::NAN))
            .execute(),
        "The parameter cannot be converted to a numeric value: NaN",
    );

    assert_eq!(db.stats().commits, commits);
    assert_eq!(get(&db, "fine"), None);
    many(100).execute().unwrap();
}

#[test]
fn four_megabytes_are_the_most_that_a_transaction_has() {
    let db = tables();
    // Ten items, and the key of an eleventh: 4 MB exactly, if the last item is as long as this.
    let write = |last: usize| {
        let put = |nth: usize, size: usize| {
            Put::new("things").item(json!({"id": nth.to_string(), "t": "x".repeat(size - 4)}))
        };
        let write = (0..10).fold(db.transact_write(), |write, nth| write.put(put(nth, 409_000)));
        write
            .put(Put::new("things").item(json!({"id": "10", "t": "x".repeat(last - 5)})))
            .delete(Delete::new("things").partition_key("abc"))
    };
    let last = (4 << 20) - 10 * 409_000 - 5;
    says(write(last + 1).execute(), "Transaction payload size cannot exceed 4MB. Payload Size: 4194305");
    assert_eq!(db.scan("things").count().unwrap(), 3);
    write(last).execute().unwrap();
    assert_eq!(db.scan("things").count().unwrap(), 14);
    let get = |extra: &'static str| {
        let gets = (0..11).fold(db.transact_get(), |gets, nth: u32| {
            gets.get(Get::new("things").partition_key(nth.to_string()).attributes(["id"]))
        });
        gets.get(Get::new("things").partition_key(extra)).execute()
    };
    assert_eq!(get("nobody").unwrap()[10], Some(json!({"id": "10"})));
    // 5 bytes are left, and this one has 4.
    db.put_item("things", json!({"id": "ab"})).unwrap();
    get("ab").unwrap();
    says(get("a"), "Transaction payload size cannot exceed 4MB. Payload Size: 4194305");
}

#[test]
fn inside_a_transaction_of_the_thread_it_is_refused() {
    let db = tables();
    let result = db.transact(|txn| {
        txn.put_item("things", json!({"id": "x"}))?;
        db.transact_write().delete(Delete::new("things").partition_key("a")).execute()
    });
    assert!(matches!(result, Err(Error::NestedTransaction)), "{result:?}");
    assert_eq!(db.scan("things").count().unwrap(), 3);
}

#[test]
fn a_transaction_counts_what_each_action_wrote() {
    let db = tables();
    let consumed = Consumed::default();
    let write = || {
        db.transact_write()
            .put(Put::new("things").item(json!({"id": "a", "text": "x".repeat(100)})))
            .delete(Delete::new("things").partition_key("nobody"))
            .check(Check::new("things").partition_key("b").condition("n = :n").value(":n", 2))
            .update(Update::new("events").partition_key("d").sort_key(1))
            .consumed(&consumed)
    };
    let taken = || {
        consumed.take().into_iter().map(|entry| (entry.table, entry.kind, entry.bytes)).collect::<Vec<_>>()
    };
    let entries = |kind, bytes: [u64; 4]| {
        let tables = ["things", "things", "things", "events"];
        tables
            .into_iter()
            .zip(bytes)
            .map(|(table, bytes)| (table.to_owned(), kind, bytes))
            .collect::<Vec<_>>()
    };
    write().token("t").execute().unwrap();
    assert_eq!(taken(), entries(ConsumedKind::Write, [107, 0, 6, 11]));
    write().token("t").execute().unwrap();
    assert_eq!(taken(), entries(ConsumedKind::Read, [107, 0, 6, 11]));
    let failed =
        write().check(Check::new("things").partition_key("c").condition("n = :n").value(":n", 2)).execute();
    canceled(failed, &[NONE, NONE, NONE, NONE, FAILED]);
    assert_eq!(taken(), []);

    db.transact_get()
        .get(Get::new("things").partition_key("a").projection("id"))
        .get(Get::new("events").partition_key("d").sort_key(9))
        .consumed(&consumed)
        .execute()
        .unwrap();
    assert_eq!(
        taken(),
        [("things".to_owned(), ConsumedKind::Read, 107), ("events".to_owned(), ConsumedKind::Read, 0)]
    );
}

#[test]
fn a_transaction_of_gets_reads_one_state_with_a_projection_each() {
    let db = tables();
    db.put_item("events", json!({"device": "d", "at": 1, "m": {"x": 1, "y": 2}})).unwrap();
    let snapshot = db.snapshot().unwrap();
    db.put_item("things", json!({"id": "b", "n": "changed"})).unwrap();
    fn gets<'a>() -> [Get<'a>; 4] {
        [
            Get::new("things").partition_key("b").attributes(["n"]),
            Get::new("events").partition_key("d").sort_key(1).projection("#m.y").name("#m", "m"),
            Get::new("things").partition_key("nobody"),
            Get::new("things").partition_key("a"),
        ]
    }
    let now = gets().into_iter().fold(db.transact_get(), |all, get| all.get(get)).execute().unwrap();
    let rest = [Some(json!({"m": {"y": 2}})), None, Some(json!({"id": "a", "n": 1}))];
    assert_eq!(now[0], Some(json!({"n": "changed"})));
    assert_eq!(now[1..], rest);
    let then =
        gets().into_iter().fold(snapshot.transact_get(), |all, get| all.get(get)).execute_items().unwrap();
    assert_eq!(then[0].as_ref().unwrap()["n"], 2.into());
    let typed =
        gets().into_iter().fold(db.transact_get(), |all, get| all.get(get)).execute_as::<Value>().unwrap();
    assert_eq!(typed[1..], rest);
}

#[test]
fn a_transaction_of_gets_has_the_errors_of_its_kind() {
    let db = tables();
    let fine = || db.transact_get().get(Get::new("things").partition_key("a"));
    let schema = ("ValidationError", "The provided key element does not match the schema");
    let inside = (
        "ValidationError",
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: id",
    );
    let result = fine().get(Get::new("things")).get(Get::new("events").partition_key(1).sort_key(1));
    canceled(
        result.get(Get::new("things").partition_key("b").projection("id[0]")).execute(),
        &[NONE, schema, schema, inside],
    );
    says(
        fine().get(Get::new("things").partition_key("a").projection("n")).execute(),
        "Transaction request cannot include multiple operations on one item",
    );
    says(
        fine().get(Get::new("nothing").partition_key("a")).execute(),
        "Requested resource not found: Table: nothing not found",
    );
    says(
        fine().get(Get::new("nothing").projection("!!!")).execute(),
        "Invalid ProjectionExpression: Syntax error; token: \"!\", near: \"!!\"",
    );
    says(db.transact_get().execute(), TOO_FEW);
    let many = (0..101).fold(db.transact_get(), |gets, nth: u32| {
        gets.get(Get::new("things").partition_key(nth.to_string()))
    });
    says(many.execute(), TOO_MANY);
}
