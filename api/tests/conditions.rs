//! Conditions on writes, and updates in place: what they do, what they return, and what they refuse.

mod common;

use common::{events, things};
use dynamite_core::Error;
use dynamite_core::api::{Consumed, DynaMite, GlobalIndex, Put, ReturnValues, StreamView, Update as Action};
use dynamite_core::expression::{AttributeChange, Update as ByAttribute};
use dynamite_core::types::KeyType;
use serde_json::{Value, json};

fn get(db: &DynaMite, id: &str) -> Option<Value> {
    db.get_item("things").partition_key(id).execute().unwrap()
}

/// The item that a failed condition hands back.
#[track_caller]
fn failed<T: std::fmt::Debug>(result: Result<T, Error>) -> Option<Value> {
    match result {
        Err(error @ Error::ConditionFailed { .. }) => {
            assert_eq!(error.to_string(), "The conditional request failed");
            let Error::ConditionFailed { item } = error else { unreachable!() };
            item.map(|item| dynamite_core::json::item_to_json(*item))
        }
        other => panic!("no failed condition: {other:?}"),
    }
}

#[test]
fn a_put_under_a_condition_is_done_only_if_it_holds() {
    let db = things();
    let put = |n: u32, condition| db.put("things").item(json!({"id": "a", "n": n})).condition(condition);
    assert_eq!(failed(put(1, "attribute_exists(id)").execute()), None);
    assert_eq!(get(&db, "a"), None);
    let first = put(2, "attribute_not_exists(id)").execute().unwrap();
    assert_eq!(failed(put(3, "attribute_not_exists(id)").execute()), Some(json!({"id": "a", "n": 2})));
    assert_eq!(get(&db, "a"), Some(json!({"id": "a", "n": 2})));
    put(4, "n < :most AND #n = :two").value(":most", 3).value(":two", 2).name("#n", "n").execute().unwrap();
    assert_eq!(get(&db, "a").unwrap()["n"], 4);

    let late = db.put("things").item(json!({"id": "a"})).if_version(first).execute();
    assert!(matches!(late, Err(Error::VersionConflict { .. })));
    db.put("things").item_from(&json!({"id": "a", "n": 5})).execute().unwrap();
    assert_eq!(get(&db, "a").unwrap()["n"], 5);
    assert!(matches!(db.put("things").execute(), Err(Error::Validation(_))));
}

#[test]
fn a_delete_under_a_condition_is_done_only_if_it_holds() {
    let db = things();
    db.put_item("things", json!({"id": "a", "state": "busy"})).unwrap();
    let delete = || {
        let delete = db.delete_item("things").partition_key("a").condition("#s = :s");
        delete.name("#s", "state")
    };
    assert_eq!(failed(delete().value(":s", "idle").execute()), Some(json!({"id": "a", "state": "busy"})));
    assert!(get(&db, "a").is_some());
    assert!(delete().value(":s", "busy").execute().unwrap());
    assert_eq!(failed(delete().value(":s", "busy").execute()), None);
}

#[test]
fn an_update_changes_what_its_expression_says_and_nothing_else() {
    let db = events(KeyType::Number);
    let old = json!({"device": "d", "at": 1, "n": 5, "list": [1, 2, 3], "gone": true, "map": {"x": 1, "y": 2},
        "tags": {"$ss": ["a", "b"]}});
    let first = db.put_item("events", &old).unwrap();
    let updated = db
        .update_item("events")
        .partition_key("d")
        .sort_key(1)
        .update(
            "SET n = n + :two, #m.z = :text, #l[1] = if_not_exists(nothing, :two) REMOVE gone, #l[0] \
             ADD hits :two DELETE tags :a",
        )
        .name("#m", "map")
        .name("#l", "list")
        .value(":two", 2)
        .value(":text", "ż")
        .value(":a", json!({"$ss": ["a"]}))
        .return_values(ReturnValues::AllNew)
        .execute()
        .unwrap();
    let new = json!({"device": "d", "at": 1, "n": 7, "list": [2, 3], "map": {"x": 1, "y": 2, "z": "ż"}, "hits": 2,
        "tags": {"$ss": ["b"]}});
    assert_eq!(updated.attributes, Some(new.clone()));
    assert!(updated.version > first);
    let found = db.get_item_versioned("events").partition_key("d").sort_key(1).execute().unwrap().unwrap();
    assert_eq!((found.item, found.version), (new, updated.version));
}

#[test]
fn an_update_returns_what_was_asked_for() {
    let db = things();
    let update = |return_values| {
        db.put_item("things", json!({"id": "a", "n": 1, "other": true})).unwrap();
        let update = db.update_item("things").partition_key("a").update("SET n = n + :one, fresh = :one");
        update.value(":one", 1).return_values(return_values).execute().unwrap().attributes
    };
    assert_eq!(update(ReturnValues::None), None);
    assert_eq!(update(ReturnValues::AllOld), Some(json!({"id": "a", "n": 1, "other": true})));
    assert_eq!(update(ReturnValues::UpdatedOld), Some(json!({"n": 1})));
    assert_eq!(update(ReturnValues::AllNew), Some(json!({"id": "a", "n": 2, "other": true, "fresh": 1})));
    assert_eq!(update(ReturnValues::UpdatedNew), Some(json!({"n": 2, "fresh": 1})));
}

#[test]
fn what_a_write_takes_the_place_of_is_returned() {
    let db = things();
    // A number that JSON cannot hold, so that the two forms differ.
    let exact = "0.30000000000000000000000000000000000001".parse::<dynamite_core::Number>().unwrap();
    let old = json!({"id": "a", "n": {"$number": exact.to_string()}});
    let put = |n: u32| db.put("things").item(json!({"id": "a", "n": n}));
    let first = db.put("things").item(&old).execute_returning_old().unwrap();
    assert_eq!(first.old, None);
    let second = put(2).if_version(first.version).execute_returning_old_item().unwrap();
    assert!(second.version > first.version);
    assert_eq!(second.old.unwrap()["n"], exact.into());
    assert_eq!(
        put(3).condition("n = :two").value(":two", 2).execute_returning_old().unwrap().old,
        Some(json!({"id": "a", "n": 2}))
    );
    assert_eq!(
        failed(put(4).condition("n = :two").value(":two", 2).execute_returning_old()),
        Some(json!({"id": "a", "n": 3}))
    );

    let update = || db.update_item("things").partition_key("a").update("SET n = :n").value(":n", exact);
    let updated = update().return_values(ReturnValues::AllOld).execute_item().unwrap();
    assert_eq!(updated.attributes.unwrap()["n"], 3.into());
    let updated = update().return_values(ReturnValues::UpdatedNew).execute_item().unwrap();
    assert_eq!(updated.attributes.unwrap(), dynamite_core::Item::from([("n".to_owned(), exact.into())]));
    assert!(matches!(update().if_version(first.version).execute(), Err(Error::VersionConflict { .. })));
    update().if_version(updated.version).execute().unwrap();

    let delete = || db.delete_item("things").partition_key("a");
    assert_eq!(
        failed(delete().condition("n < :z").value(":z", 0).execute_returning_old()),
        Some(old.clone())
    );
    assert_eq!(delete().execute_returning_old().unwrap(), Some(old));
    assert_eq!(delete().execute_returning_old_item().unwrap(), None);
    update().execute().unwrap();
    assert_eq!(delete().execute_returning_old_item().unwrap().unwrap()["n"], exact.into());
}

#[test]
fn an_update_of_an_item_that_is_not_there_makes_one_of_its_key() {
    let db = events(KeyType::Number);
    let update = |at: i64| db.update_item("events").partition_key("d").sort_key(at);
    let made = update(1).update("ADD hits :one").value(":one", 1).return_values(ReturnValues::AllOld);
    assert_eq!(made.execute().unwrap().attributes, None);
    update(2).execute().unwrap();
    let guarded = update(3).update("SET x = :x").value(":x", 1).condition("attribute_exists(device)");
    assert_eq!(failed(guarded.execute()), None);
    let items = db.query("events").partition_key("d").execute().unwrap().items;
    assert_eq!(items, [json!({"device": "d", "at": 1, "hits": 1}), json!({"device": "d", "at": 2})]);
}

/// As in DynamoDB: there is nothing to remove, so nothing is made either.
#[test]
fn an_update_that_only_removes_makes_no_item() {
    let db = DynaMite::builder().background(false).in_memory().unwrap();
    db.create_table("things")
        .partition_key("id", KeyType::String)
        .global_index(GlobalIndex::new("by_id").partition_key("id", KeyType::String))
        .stream(StreamView::NewAndOldImages)
        .execute()
        .unwrap();
    let by_attribute = |changes: &[(&str, AttributeChange)]| {
        let changes = changes.iter().map(|(name, change)| (name.to_string(), change.clone()));
        ByAttribute::of_attributes(changes).unwrap().unwrap()
    };
    let update = |id| db.update_item("things").partition_key(id);
    for returned in [ReturnValues::AllNew, ReturnValues::UpdatedNew, ReturnValues::AllOld] {
        for removing in [
            update("a").update("REMOVE x"),
            update("a").update("REMOVE x.y, z[3]").condition("attribute_not_exists(id)"),
            update("a").update("REMOVE x").if_version(0),
            update("a").update_by_attribute(by_attribute(&[("x", AttributeChange::Remove)])),
        ] {
            let updated = removing.return_values(returned).execute().unwrap();
            assert_eq!((updated.version, updated.attributes), (0, None));
        }
    }
    assert_eq!(failed(update("a").update("REMOVE x").condition("attribute_exists(id)").execute()), None);
    let removing = |id: &'static str| Action::new("things").partition_key(id).update("REMOVE x");
    db.transact_write()
        .update(removing("a"))
        .put(Put::new("things").item(json!({"id": "b"})))
        .execute()
        .unwrap();
    let consumed = Consumed::default();
    update("a").update("REMOVE x").consumed(&consumed).execute().unwrap();
    assert_eq!(consumed.take().iter().map(|entry| entry.bytes).collect::<Vec<_>>(), [0]);
    assert_eq!(db.scan("things").execute().unwrap().items, [json!({"id": "b"})]);
    assert_eq!(db.scan("things").index("by_id").count().unwrap(), 1);
    assert_eq!(db.describe_table("things").unwrap().item_count, 1);
    assert_eq!(db.stream("things").poll(10).unwrap().records.len(), 1, "the put's");

    // Whatever else is said makes one, and so does an update that says nothing.
    let mixed = [("x", AttributeChange::Remove), ("n", AttributeChange::Add(1.into()))];
    for (id, making) in [
        ("set", update("set").update("REMOVE x SET n = :n").value(":n", 1)),
        ("add", update("add").update("REMOVE x ADD n :n").value(":n", 1)),
        ("mixed", update("mixed").update_by_attribute(by_attribute(&mixed))),
    ] {
        let updated = making.return_values(ReturnValues::AllNew).execute().unwrap();
        assert_eq!(updated.attributes, Some(json!({"id": id, "n": 1})));
        assert!(updated.version > 0);
    }
    assert!(update("none").execute().unwrap().version > 0);
    assert_eq!(get(&db, "none"), Some(json!({"id": "none"})));
}

#[test]
fn what_an_expression_may_not_say_is_refused_before_anything_is_written() {
    let db = things();
    db.put_item("things", json!({"id": "a", "note": "x", "n": 1})).unwrap();
    let commits = db.stats().commits;
    let update = |expression| db.update_item("things").partition_key("a").update(expression);
    for (refused, says) in [
        (update("SET id = :v").value(":v", "b").execute(), "This attribute is part of the key"),
        (update("SET n = :v").execute(), "value used in expression is not defined; attribute value: :v"),
        (update("REMOVE n").value(":v", 1).execute(), "unused in expressions: keys: {:v}"),
        (update("SET n = = :v").value(":v", 1).execute(), "Syntax error; token: \"=\""),
        (update("SET n = n + :v").value(":v", f64::NAN).execute(), "NaN"),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Expression(_) | Error::Validation(_)), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    for (refused, says) in [
        (update("SET n = note + :v").value(":v", 1).execute(), "incorrect data type"),
        (update("SET n = absent + :v").value(":v", 1).execute(), "does not exist in the item"),
        (update("SET note.x.y = :v").value(":v", 1).execute(), "invalid for update"),
        (
            update("SET big = :v").value(":v", "x".repeat(409_590)).execute(),
            "Item size to update has exceeded",
        ),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Update(_)), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(db.stats().commits, commits);
    assert_eq!(get(&db, "a"), Some(json!({"id": "a", "note": "x", "n": 1})));
}

#[test]
fn a_failed_condition_rolls_a_transaction_back_and_says_which_operation_it_was() {
    let db = things();
    db.put_item("things", json!({"id": "a", "n": 1})).unwrap();
    let result = db.transact(|txn| {
        txn.update_item("things").partition_key("a").update("SET n = :n").value(":n", 2).execute()?;
        let seen = txn.put("things").item(json!({"id": "b"})).condition("attribute_exists(id)").execute();
        assert!(matches!(seen, Err(Error::ConditionFailed { item: None })));
        txn.delete_item("things").partition_key("a").condition("n = :one").value(":one", 1).execute()
    });
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Operation { operation: 2, .. }), "{error:?}");
    let Error::ConditionFailed { item: Some(item) } = error.cause() else { panic!("{error:?}") };
    assert_eq!(item["n"], 2.into(), "the transaction reads what it wrote");
    assert_eq!(get(&db, "a"), Some(json!({"id": "a", "n": 1})));
}

/// Counting by `ADD` from many threads loses nothing: each update reads what it writes in one transaction.
#[test]
fn updates_of_many_threads_lose_nothing() {
    let db = things();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let add = db.update_item("things").partition_key("counter").update("ADD n :one");
                    add.value(":one", 1).execute().unwrap();
                }
            });
        }
    });
    assert_eq!(get(&db, "counter"), Some(json!({"id": "counter", "n": 400})));
}

#[test]
fn a_filter_drops_items_after_they_were_looked_at() {
    let db = events(KeyType::Number);
    for at in 0..100 {
        db.put_item(
            "events",
            json!({"device": "d", "at": at, "kind": if at % 10 == 0 { "rare" } else { "usual" }}),
        )
        .unwrap();
    }
    let rare = || db.query("events").partition_key("d").filter("kind = :k").value(":k", "rare");
    let page = rare().execute().unwrap();
    assert_eq!(common::pick(&page.items, "at"), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    assert_eq!((page.scanned_count, page.last_evaluated_key), (100, None));

    let page = rare().limit(25).execute().unwrap();
    assert_eq!(common::pick(&page.items, "at"), [0, 10, 20]);
    assert_eq!(page.scanned_count, 25);
    let next = rare().limit(25).exclusive_start_key(page.last_evaluated_key.unwrap()).execute().unwrap();
    assert_eq!(common::pick(&next.items, "at"), [30, 40]);

    assert_eq!(rare().count().unwrap(), 10);
    assert_eq!(rare().limit(25).count().unwrap(), 3);
    assert_eq!(rare().iter().unwrap().count(), 10);
    assert_eq!(rare().limit(4).iter().unwrap().count(), 4);
    let scan =
        || db.scan("events").filter("#k <> :k AND #a BETWEEN :a AND :b").name("#k", "kind").name("#a", "at");
    let scan = || scan().value(":k", "usual").value(":a", 15).value(":b", 45);
    assert_eq!(common::pick(&scan().execute().unwrap().items, "at"), [20, 30, 40]);
    let halves = (0..2).map(|nth| scan().segment(nth, 2).execute().unwrap().items.len());
    assert_eq!(halves.sum::<usize>(), 3);
    let ages = scan().attributes(["at"]).iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(ages, [json!({"at": 20}), json!({"at": 30}), json!({"at": 40})]);
    for refused in [
        db.scan("events").filter("kind = ").execute(),
        db.scan("events").filter("kind = :k").execute(),
        db.scan("events").value(":k", 1).execute(),
    ] {
        assert!(matches!(refused, Err(Error::Expression(_))), "{refused:?}");
    }
}
