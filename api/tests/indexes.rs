//! Secondary indexes as their users see them: what is in them, how they are read, and what is refused, with DynamoDB's texts.

mod common;

use std::sync::Arc;

use common::{directory, pick};
use dynamite_core::api::{
    CreateTable, DynaMite, GlobalIndex, IndexFault, IndexKind, IndexProgress, IndexState, LocalIndex,
    Projection, Query, ReturnValues,
};
use dynamite_core::types::KeyType;
use dynamite_core::{Error, Item};
use dynamite_txn::ManualClock;
use serde_json::{Value, json};

/// A table of orders with an index of each kind.
fn orders() -> DynaMite {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("orders")
        .partition_key("customer", KeyType::String)
        .sort_key("number", KeyType::Number)
        .global_index(
            GlobalIndex::new("by_state")
                .partition_key("state", KeyType::String)
                .sort_key("total", KeyType::Number)
                .projection(Projection::include(["note"])),
        )
        .global_index(
            GlobalIndex::new("by_place")
                .partition_key("country", KeyType::String)
                .partition_key("city", KeyType::String)
                .sort_key("year", KeyType::Number)
                .sort_key("month", KeyType::Number)
                .sort_key("code", KeyType::Binary),
        )
        .global_index(
            GlobalIndex::new("by_number")
                .partition_key("number", KeyType::Number)
                .projection(Projection::KeysOnly),
        )
        .local_index(
            LocalIndex::new("by_total").sort_key("total", KeyType::Number).projection(Projection::KeysOnly),
        )
        .execute()
        .unwrap();
    db
}

fn order(customer: &str, number: i32) -> Value {
    json!({
        "customer": customer, "number": number, "total": number * 10 % 70, "note": format!("note {number}"),
        "state": if number % 2 == 0 { "open" } else { "done" }, "lines": [number, {"a": null}],
        "country": "CH", "city": if number % 3 == 0 { "Bern" } else { "Basel" },
        "year": 2020 + number % 4, "month": 1 + number % 5, "code": {"$binary": "AAE="},
    })
}

fn filled() -> DynaMite {
    let db = orders();
    for number in 0..20 {
        db.put_item("orders", order(if number < 10 { "alice" } else { "bob" }, number)).unwrap();
    }
    db
}

#[track_caller]
fn check_sound(db: &DynaMite) {
    assert_eq!(db.verify_indexes(&mut |_| {}).unwrap(), []);
}

fn part(item: &Value, names: &[&str]) -> Value {
    names.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone()))).collect()
}

#[track_caller]
fn check_error<T: std::fmt::Debug>(result: Result<T, Error>, expected: &str) {
    assert_eq!(result.expect_err(expected).to_string(), expected);
}

#[test]
fn an_index_holds_what_its_projection_says() {
    let db = filled();
    let wanted = order("alice", 4);
    let query = |index| db.query("orders").index(index);
    let found = query("by_state").partition_key("open").sort_key_eq(40).execute().unwrap();
    assert_eq!(pick(&found.items, "number"), [json!(4), json!(18)]);
    assert_eq!(found.items[0], part(&wanted, &["customer", "number", "state", "total", "note"]));
    let found = query("by_number").partition_key(4).execute().unwrap();
    assert_eq!(found.items, [part(&wanted, &["customer", "number"])]);
    let found = query("by_total").partition_key("alice").sort_key_eq(40).execute().unwrap();
    assert_eq!(found.items, [part(&wanted, &["customer", "number", "total"])]);
    let found =
        query("by_place").partition_key("CH").partition_key("Basel").sort_key_eq(2020).execute().unwrap();
    assert_eq!(found.items, [order("bob", 16), order("alice", 8), order("alice", 4)]);
    check_sound(&db);
}

#[test]
fn an_index_follows_put_update_and_delete_in_the_same_transaction() {
    let db = filled();
    let open = || db.query("orders").index("by_state").partition_key("open").count().unwrap();
    assert_eq!(open(), 10);
    db.delete_item("orders").partition_key("alice").sort_key(4).execute().unwrap();
    assert_eq!(open(), 9);
    let update = || db.update_item("orders").partition_key("alice").sort_key(6);
    update().update("SET #s = :s").name("#s", "state").value(":s", "done").execute().unwrap();
    assert_eq!(open(), 8);
    update().update("REMOVE #s").name("#s", "state").execute().unwrap();
    assert_eq!(db.scan("orders").index("by_state").count().unwrap(), 18);
    let outcome = db.transact(|txn| {
        txn.put_item("orders", order("carol", 100))?;
        assert_eq!(txn.query("orders").index("by_state").partition_key("open").count()?, 9);
        txn.delete_item("orders").partition_key("carol").sort_key(100).execute()?;
        txn.put_item("orders", order("carol", 102))?;
        let of_carol = txn.query("orders").index("by_total").partition_key("carol").execute()?;
        assert_eq!(pick(&of_carol.items, "number"), [json!(102)]);
        Err::<(), _>(Error::abort("given up"))
    });
    assert!(matches!(outcome, Err(Error::Aborted(_))));
    assert_eq!(open(), 8);
    // What is not in the index may change without it.
    let note =
        update().update("SET note = :n, code2 = :n").value(":n", "new").return_values(ReturnValues::AllNew);
    assert_eq!(note.execute().unwrap().attributes.unwrap()["note"], "new");
    db.put_item("orders", order("alice", 6)).unwrap();
    assert_eq!(open(), 9);
    db.batch_write().put("orders", order("dora", 200)).delete_sorted("orders", "bob", 10).execute().unwrap();
    assert_eq!(open(), 9);
    check_sound(&db);
}

#[test]
fn only_items_with_all_attributes_of_the_key_are_in_an_index() {
    let db = orders();
    for (number, missing) in ["country", "city", "year", "month", "code", "state", "total"].iter().enumerate()
    {
        let mut item = order("alice", number as i32);
        item.as_object_mut().unwrap().remove(*missing);
        db.put_item("orders", item).unwrap();
    }
    let count = |index| db.scan("orders").index(index).count().unwrap();
    assert_eq!((count("by_place"), count("by_state"), count("by_total"), count("by_number")), (2, 5, 6, 7));
    check_sound(&db);
}

/// All pages of a read of an index, each of so many items.
fn pages<'q>(read: impl Fn() -> Query<'q, DynaMite>, limit: usize) -> Vec<Value> {
    let (mut found, mut start) = (Vec::new(), None);
    loop {
        let read = read().limit(limit);
        let page = match start {
            Some(start) => read.exclusive_start_key(start).execute().unwrap(),
            None => read.execute().unwrap(),
        };
        found.extend(page.items);
        assert!(found.len() < 1_000, "the pages go round");
        let Some(last) = page.last_evaluated_key else { return found };
        start = Some(last);
    }
}

#[test]
fn pages_of_an_index_join_without_gap_or_repeat_in_both_directions() {
    let db = filled();
    for limit in 1..8 {
        for forward in [true, false] {
            let place = || {
                let query = db.query("orders").index("by_place").partition_key("CH").partition_key("Basel");
                query.scan_forward(forward)
            };
            assert_eq!(pages(place, limit), place().execute().unwrap().items, "limit {limit}");
            let local = || {
                let query = db.query("orders").index("by_total").partition_key("bob").scan_forward(forward);
                query.attributes(["note"])
            };
            assert_eq!(pages(local, limit), local().execute().unwrap().items, "limit {limit}");
        }
    }
    let page = db.query("orders").index("by_state").partition_key("open").limit(3).execute().unwrap();
    let last = page.last_evaluated_key.unwrap();
    assert_eq!(last, part(&page.items[2], &["state", "total", "customer", "number"]));
    // An attribute that is both in the key of the index and in that of the table stands there once.
    let page = db.scan("orders").index("by_number").limit(3).execute().unwrap();
    assert_eq!(page.last_evaluated_key.unwrap(), json!({"customer": "alice", "number": 2}));
}

/// The order in which the service was seen to return entries with these keys of their items; and what is asked of an index otherwise.
#[test]
fn entries_of_equal_keys_are_in_the_order_of_keys_or_of_the_services_hash() {
    let ordered = [("b", "b"), ("a", "a"), ("c", "e"), ("e", "a"), ("d", "a"), ("c", "d")];
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    let index = |name| GlobalIndex::new(name).partition_key("c", KeyType::String);
    let with_sort = |name| index(name).sort_key("n", KeyType::Number);
    let table = db.create_table("things").partition_key("a", KeyType::String).sort_key("b", KeyType::String);
    table.global_index(index("plain")).global_index(index("hashed").hashed_ties()).execute().unwrap();
    let item = |(a, b)| json!({"a": a, "b": b, "c": "x", "n": 1});
    for key in ordered {
        db.put_item("things", item(key)).unwrap();
    }
    db.update_table("things").add_index(with_sort("built").hashed_ties()).execute().unwrap();
    db.wait_for_index("things", "built").unwrap();
    db.close().unwrap();
    let db = DynaMite::open(&path).unwrap();
    db.put_item("things", item(("z", "z"))).unwrap();
    assert!(db.delete_item("things").partition_key("z").sort_key("z").execute().unwrap());

    let expected = ordered.map(item);
    let mut by_key = expected.clone();
    by_key.sort_by_key(|item| (item["a"].to_string(), item["b"].to_string()));
    for (name, mut expected) in [("plain", by_key), ("hashed", expected.clone()), ("built", expected)] {
        let query = |forward| db.query("things").index(name).partition_key("x").scan_forward(forward);
        assert_eq!(query(true).execute().unwrap().items, expected, "{name}");
        if name == "built" {
            assert_eq!(query(true).sort_key_ge(1).execute().unwrap().items, expected);
            assert_eq!(query(true).sort_key_gt(1).count().unwrap(), 0);
        }
        for limit in 1..5 {
            assert_eq!(pages(|| query(true), limit), expected, "{name} by {limit}");
        }
        assert_eq!(db.scan("things").index(name).execute().unwrap().items, expected, "{name}");
        expected.reverse();
        for limit in 1..5 {
            assert_eq!(pages(|| query(false), limit), expected, "{name} by {limit}");
        }
    }
    // Its hash begins with FF, with which ranges end.
    db.put_item("things", item(("398", "z"))).unwrap();
    for name in ["plain", "hashed", "built"] {
        let query = db.query("things").index(name).partition_key("x");
        assert_eq!(query.count().unwrap() as usize, ordered.len() + 1, "{name}");
    }
    let described = db.describe_table("things").unwrap().indexes;
    assert_eq!(described.iter().map(|index| index.hashed_ties).collect::<Vec<_>>(), [false, true, true]);
    check_sound(&db);
}

#[test]
fn conditions_on_several_sort_attributes_go_from_left_to_right() {
    let db = filled();
    let basel = || db.query("orders").index("by_place").partition_key("CH").partition_key("Basel");
    let numbers = |query: Query<'_, DynaMite>| pick(&query.execute().unwrap().items, "number");
    assert_eq!(numbers(basel().sort_key_eq(2020)), [json!(16), json!(8), json!(4)]);
    assert_eq!(numbers(basel().sort_key_eq(2020).sort_key_lt(5)), [json!(16), json!(8)]);
    assert_eq!(numbers(basel().sort_key_eq(2020).sort_key_eq(4).sort_key_begins_with(&[0_u8])), [json!(8)]);
    assert_eq!(numbers(basel().sort_key_between(2021, 2021).scan_forward(false).limit(1)), [json!(13)]);
    check_error(
        db.query("orders").index("by_place").partition_key("CH").execute(),
        "Query condition missed key schema element: city",
    );
    check_error(basel().sort_key_lt(2020).sort_key_eq(5).execute(), "Query key condition not supported");
    check_error(
        basel().partition_key("too much").execute(),
        "KeyConditionExpressions must only contain one condition per key",
    );
    check_error(
        basel().sort_key_eq("2020").execute(),
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    );
    check_error(
        db.query("orders").index("by_number").partition_key(1).sort_key_eq(1).execute(),
        "Query key condition not supported",
    );
}

#[test]
fn filters_iterators_counts_and_segments_read_an_index_as_they_read_a_table() {
    let db = filled();
    let open = || db.query("orders").index("by_state").partition_key("open");
    let page = open().filter("note = :n").value(":n", "note 4").execute().unwrap();
    assert_eq!((page.items.len(), page.scanned_count), (1, 10));
    assert_eq!(
        open().iter().unwrap().map(Result::unwrap).collect::<Vec<_>>(),
        open().execute().unwrap().items
    );
    let items = open().iter_items().unwrap().map(Result::unwrap).collect::<Vec<Item>>();
    assert_eq!(items, open().execute_items().unwrap().items);
    let mut found = 0;
    for segment in 0..3 {
        let cities = db.scan("orders").index("by_place").segment(segment, 3).execute().unwrap();
        found += cities.items.len();
        let fetched = db.scan("orders").index("by_total").segment(segment, 3).all_attributes();
        let fetched = fetched.iter().unwrap().map(Result::unwrap).collect::<Vec<_>>();
        let direct = db.scan("orders").index("by_total").segment(segment, 3).execute().unwrap();
        assert_eq!(pick(&fetched, "number"), pick(&direct.items, "number"));
    }
    assert_eq!(found, 20);
}

#[test]
fn a_local_index_gets_from_the_table_what_it_does_not_hold() {
    let db = filled();
    let local = || db.query("orders").index("by_total").partition_key("alice");
    let whole = local().all_attributes().execute().unwrap().items;
    assert_eq!(whole.len(), 10);
    for item in &whole {
        assert_eq!(*item, order("alice", item["number"].as_i64().unwrap() as i32));
    }
    assert_eq!(local().all_attributes().iter().unwrap().map(Result::unwrap).collect::<Vec<_>>(), whole);
    let named = local().attributes(["note", "total"]).execute().unwrap().items;
    assert_eq!(named, whole.iter().map(|item| part(item, &["note", "total"])).collect::<Vec<_>>());
    let filtered = || local().filter("note = :n").value(":n", "note 4");
    assert_eq!(filtered().execute().unwrap().items, [order("alice", 4)]);
    assert_eq!(filtered().count().unwrap(), 1);
    db.transact(|txn| {
        txn.put_item("orders", order("alice", 50))?;
        let local = txn.query("orders").index("by_total").partition_key("alice").all_attributes();
        assert_eq!(local.iter()?.filter(|item| item.as_ref().unwrap()["note"] == "note 50").count(), 1);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_global_index_refuses_what_it_does_not_hold() {
    let db = filled();
    let open = || db.query("orders").index("by_state").partition_key("open");
    check_error(
        open().all_attributes().execute(),
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary \
         index by_state because its projection type is not ALL",
    );
    let missing =
        "One or more parameter values were invalid: Global secondary index by_state does not project ";
    check_error(open().attributes(["lines", "note", "city"]).execute(), &format!("{missing}[city, lines]"));
    check_error(open().filter("city = :c").value(":c", "Bern").count(), &format!("{missing}[city]"));
    assert_eq!(open().attributes(["note", "customer"]).execute().unwrap().items.len(), 10);
    let all = db.scan("orders").index("by_place").all_attributes();
    assert_eq!(all.attributes(["lines"]).execute().unwrap().items.len(), 20);
}

#[test]
fn an_index_that_is_not_there_cannot_be_read() {
    let db = filled();
    let text = "The table does not have the specified index: by_nothing";
    check_error(db.query("orders").index("by_nothing").partition_key("a").execute(), text);
    check_error(db.scan("orders").index("by_nothing").count(), text);
    check_error(db.scan("orders").index("by_nothing").iter().map(drop), text);
    check_error(db.snapshot().unwrap().scan("orders").index("by_nothing").count(), text);
    // Nor can its tree, by the name that it has within.
    for name in ["orders\0index\0by_state", "orders\0"] {
        assert!(matches!(db.scan(name).execute(), Err(Error::TableNotFound { .. })));
        assert!(matches!(db.drop_table(name), Err(Error::TableNotFound { .. })));
        assert!(matches!(db.describe_table(name), Err(Error::TableNotFound { .. })));
        assert!(matches!(db.put_item(name, order("a", 1)), Err(Error::TableNotFound { .. })));
    }
    assert_eq!(db.list_tables().unwrap(), ["orders"]);
}

#[test]
fn start_keys_of_an_index_have_the_attributes_of_both_keys() {
    let db = filled();
    let start = |key: Value| {
        db.query("orders").index("by_state").partition_key("open").exclusive_start_key(key).execute()
    };
    assert!(start(json!({"state": "open", "total": 20, "customer": "alice", "number": 2})).is_ok());
    for key in [
        json!({"customer": "alice", "number": 2}),
        json!({"state": "open", "total": 20}),
        json!({"state": "open", "total": 20, "customer": "alice", "number": 2, "more": 1}),
        json!({"state": "open", "amount": 20, "customer": "alice", "number": 2}),
    ] {
        check_error(start(key), "The provided starting key is invalid");
    }
    let schema = "The provided key element does not match the schema";
    check_error(start(json!({"state": "open", "total": "20", "customer": "alice", "number": 2})), schema);
    check_error(
        start(json!({"state": "open", "total": 20, "customer": "alice", "number": "2"})),
        &format!("The provided starting key is invalid: {schema}"),
    );
    check_error(
        db.query("orders").index("by_state").partition_key("open").consistent(true).execute(),
        "Consistent reads are not supported on global secondary indexes",
    );
    check_error(
        start(json!({"state": "done", "total": 20, "customer": "alice", "number": 2})),
        "The provided starting key is outside query boundaries based on provided conditions",
    );
}

#[test]
fn items_that_do_not_fit_an_index_are_refused_and_nothing_is_written() {
    let db = filled();
    let long = "x".repeat(2049);
    let check = |attribute: &str, value: Value, put: &str, update: &str| {
        let mut item = order("zoe", 1);
        item[attribute] = value.clone();
        check_error(db.put_item("orders", item.clone()), put);
        check_error(
            db.transact(|txn| {
                txn.put_item("orders", order("yves", 1))?;
                // Who goes on in spite of it keeps the rest.
                check_error(txn.put_item("orders", item.clone()), put);
                let batch = txn.batch_write().put("orders", order("xaver", 1)).put("orders", item.clone());
                check_error(batch.execute(), &format!("operation 1 failed: {put}"));
                assert_eq!(txn.query("orders").partition_key("zoe").count()?, 0);
                assert_eq!(txn.query("orders").partition_key("xaver").count()?, 0);
                assert_eq!(txn.query("orders").index("by_total").partition_key("yves").count()?, 1);
                txn.put_item("orders", item.clone())
            }),
            put,
        );
        let set = db.update_item("orders").partition_key("alice").sort_key(1).update("SET #a = :v");
        check_error(set.name("#a", attribute).value(":v", &value).execute(), update);
        check_sound(&db);
    };
    let mismatch = |attribute, expected, actual, index| {
        format!(
            "One or more parameter values were invalid: Type mismatch for Index Key {attribute} Expected: {expected} \
             Actual: {actual} IndexName: {index}"
        )
    };
    // What an update gives is known in advance, or not before it is computed.
    for (attribute, value, expected, actual, index) in [
        ("state", json!(1), "S", "N", "by_state"),
        ("state", json!(null), "S", "NULL", "by_state"),
        ("total", json!("1"), "N", "S", "by_state"),
        ("month", json!([1]), "N", "L", "by_place"),
    ] {
        let text = mismatch(attribute, expected, actual, index);
        check(attribute, value, &text, &text);
    }
    let set = db.update_item("orders").partition_key("alice").sort_key(1).update("SET #a = #n");
    check_error(
        set.name("#a", "state").name("#n", "number").execute(),
        "The update expression attempted to update the secondary index key to unsupported type",
    );
    let empty = |kind, index, attribute| {
        format!(
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. \
             The AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: {index}, IndexKey: \
             {attribute}"
        )
    };
    let to_empty = |kind| {
        format!(
            "One or more parameter values are not valid. The update expression attempted to update a secondary index key \
             to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty {kind} value."
        )
    };
    check("city", json!(""), &empty("string", "by_place", "city"), &to_empty("string"));
    check("code", json!({"$binary": ""}), &empty("binary", "by_place", "code"), &to_empty("binary"));
    check(
        "city",
        json!(long),
        "One or more parameter values were invalid: Size limit exceeded for Index Key city Actual Size: 2049 bytes Max \
         Size: 2048 bytes IndexName: by_place",
        "The update expression attempted to update the secondary index key beyond allowed size limits",
    );
    // The longest that there can be fit.
    let mut item = order(&"\0".repeat(2048), 1);
    item["country"] = json!("\0".repeat(2048));
    item["city"] = json!("\0".repeat(2048));
    item["state"] = json!("\0".repeat(2048));
    db.put_item("orders", item).unwrap();
    check_sound(&db);
}

#[test]
fn the_longest_key_that_an_entry_can_have_fits() {
    let db = DynaMite::in_memory().unwrap();
    let names = ["a", "b", "c", "d"];
    let index = names.iter().fold(GlobalIndex::new("longest").hashed_ties(), |index, name| {
        index.partition_key(*name, KeyType::String)
    });
    let index = ["e", "f", "g", "h"].iter().fold(index, |index, name| index.sort_key(*name, KeyType::String));
    let table = db.create_table("things").partition_key("p", KeyType::String).sort_key("s", KeyType::String);
    table.global_index(index).execute().unwrap();
    let (partition, sort) = ("\0".repeat(2048), "\0".repeat(1024));
    let mut item = json!({"p": partition, "s": sort});
    names.iter().for_each(|name| item[*name] = json!(partition));
    ["e", "f", "g", "h"].iter().for_each(|name| item[*name] = json!(sort));
    db.put_item("things", item.clone()).unwrap();
    let query =
        names.iter().fold(db.query("things").index("longest"), |query, _| query.partition_key(&partition));
    let page = query.sort_key_eq(&sort).limit(1).execute().unwrap();
    assert_eq!(page.items, [item]);
    assert_eq!(page.last_evaluated_key.unwrap().as_object().unwrap().len(), 10);
    check_sound(&db);
}

#[test]
fn tables_are_described_with_their_indexes() {
    let db = filled();
    let described = db.describe_table("orders").unwrap();
    let names = described.indexes.iter().map(|index| (&*index.name, index.kind)).collect::<Vec<_>>();
    let global = ["by_state", "by_place", "by_number"].map(|name| (name, IndexKind::Global));
    assert_eq!(names, [&global[..], &[("by_total", IndexKind::Local)]].concat());
    for index in &described.indexes {
        assert_eq!((index.state, index.item_count, index.skipped_count), (IndexState::Active, 20, 0));
        assert!(index.size_bytes > 20 * 10);
    }
    let place = &described.indexes[1];
    let attributes = |attributes: &[dynamite_core::types::KeyAttribute]| {
        attributes.iter().map(|attribute| attribute.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(attributes(place.keys.partition_attributes()), ["country", "city"]);
    assert_eq!(attributes(place.keys.sort_attributes()), ["year", "month", "code"]);
    assert_eq!(described.indexes[0].projection, Projection::include(["note"]));
    assert_eq!(described.indexes[3].projection, Projection::KeysOnly);
    assert_eq!(described.indexes[3].keys.partition_key().name(), "customer");
}

#[test]
fn indexes_survive_close_and_reopen_and_go_with_their_table() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    let index = GlobalIndex::new("by_x").partition_key("x", KeyType::Number);
    let create = |db: &DynaMite| {
        let table = db.create_table("things").partition_key("id", KeyType::String);
        table.global_index(index.clone()).execute()
    };
    create(&db).unwrap();
    db.put_item("things", json!({"id": "a", "x": 1})).unwrap();
    db.close().unwrap();
    let db = DynaMite::open(&path).unwrap();
    db.put_item("things", json!({"id": "b", "x": 1})).unwrap();
    let count = || db.query("things").index("by_x").partition_key(1).count().unwrap();
    assert_eq!(count(), 2);
    let snapshot = db.snapshot().unwrap();
    db.drop_table("things").unwrap();
    assert_eq!(snapshot.query("things").index("by_x").partition_key(1).count().unwrap(), 2);
    create(&db).unwrap();
    assert_eq!(count(), 0);
    drop(snapshot);
    db.maintain().unwrap();
    db.put_item("things", json!({"id": "c", "x": 1})).unwrap();
    assert_eq!(count(), 1);
    check_sound(&db);
    db.close().unwrap();
}

#[test]
fn indexes_that_cannot_be_are_refused_with_dynamodbs_text() {
    let db = DynaMite::in_memory().unwrap();
    let table =
        || db.create_table("things").partition_key("id", KeyType::String).sort_key("at", KeyType::Number);
    let global = |name: &str| GlobalIndex::new(name).partition_key("x", KeyType::String);
    let invalid = |text: &str| format!("One or more parameter values were invalid: {text}");
    let check = |table: CreateTable<'_>, text: &str| check_error(table.execute(), text);
    let name = "Invalid table/index name. Table/index names must be between 3 and 255 characters long, and may contain \
                only the characters a-z, A-Z, 0-9, '_', '-', and '.'";
    for bad in ["ab", "a b c", "a\0bc", &"x".repeat(256)] {
        check(table().global_index(global(bad)), name);
        check(table().local_index(LocalIndex::new(bad).sort_key("x", KeyType::String)), name);
    }
    check(
        table().global_index(global("one")).global_index(global("one")),
        &invalid("Duplicate index name: one"),
    );
    check(
        table()
            .global_index(global("one"))
            .local_index(LocalIndex::new("one").sort_key("y", KeyType::String)),
        &invalid("Duplicate index name: one"),
    );
    let many = |count: usize| {
        (0..count).fold(table(), |table, nth| table.global_index(global(&format!("index{nth}"))))
    };
    check(many(21), &invalid("GlobalSecondaryIndex count exceeds the per-table limit of 20"));
    let locals = |count: usize| {
        let local = |nth| LocalIndex::new(format!("index{nth}")).sort_key("x", KeyType::String);
        (0..count).fold(table(), |table, nth| table.local_index(local(nth)))
    };
    check(locals(6), &invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5"));
    check(
        db.create_table("things").partition_key("id", KeyType::String).local_index(LocalIndex::new("one")),
        &invalid(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ),
    );
    check(
        table().local_index(LocalIndex::new("one")),
        &invalid("Index KeySchema does not have a range key for index: one"),
    );
    check(
        table().global_index(GlobalIndex::new("one")),
        &invalid("No Hash Key specified in schema. All Dynamo DB tables must have exactly one hash key"),
    );
    check(
        table().global_index(global("one").sort_key("x", KeyType::String)),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    );
    check(
        table()
            .global_index(global("one").partition_key("y", KeyType::String).sort_key("x", KeyType::String)),
        "The KeySchema contains multiple key attributes with the same name",
    );
    let wide = ["a", "b", "c", "d"]
        .iter()
        .fold(global("one"), |index, name| index.partition_key(*name, KeyType::String));
    check(
        table().global_index(wide),
        &invalid("The KeySchema exceeds the maximum allowed number of HASH key attributes"),
    );
    let include = |names: &[&str]| global("one").projection(Projection::include(names.iter().copied()));
    check(
        table().global_index(include(&[])),
        &invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"),
    );
    check(
        table().global_index(include(&["a", "b", "a"])),
        &invalid("Duplicate element in NonKeyAttributes: a"),
    );
    let names = (0..21).map(|nth| format!("a{nth}")).collect::<Vec<_>>();
    check(
        table().global_index(global("one").projection(Projection::include(names.clone()))),
        &format!(
            "1 validation error detected: Value '[{}]' at 'projection.nonKeyAttributes' failed to satisfy constraint: \
             Member must have length less than or equal to 20",
            names.join(", ")
        ),
    );
    let included = |count: usize| {
        (0..count).fold(table(), |table, nth| {
            let index = global(&format!("index{nth}"));
            table.global_index(index.projection(Projection::include(names[..20].to_vec())))
        })
    };
    check(
        included(6),
        &invalid("Number of NonKeyAttributes over all indexes exceeds the per-table limit of 100"),
    );
    check(
        table().global_index(GlobalIndex::new("one").partition_key("at", KeyType::String)),
        "Attribute Name is duplicated: at",
    );
    check(
        table()
            .global_index(global("one"))
            .global_index(GlobalIndex::new("two").partition_key("x", KeyType::Binary)),
        "Attribute Name is duplicated: x",
    );
    assert!(db.list_tables().unwrap().is_empty());
    // What is just allowed.
    included(5).execute().unwrap();
    db.drop_table("things").unwrap();
    many(20).execute().unwrap();
    db.drop_table("things").unwrap();
    locals(5).execute().unwrap();
    check_error(many(1).execute(), "Table already exists: things");
}

#[test]
fn what_has_expired_is_in_no_index_and_goes_from_all_of_them() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    let index = |name: &str| GlobalIndex::new(name).partition_key("state", KeyType::String);
    db.create_table("orders")
        .partition_key("customer", KeyType::String)
        .sort_key("number", KeyType::Number)
        .global_index(index("whole"))
        .global_index(index("keys").projection(Projection::KeysOnly))
        .global_index(index("told").projection(Projection::include(["until"])))
        .local_index(
            LocalIndex::new("local").sort_key("total", KeyType::Number).projection(Projection::KeysOnly),
        )
        .ttl("until")
        .execute()
        .unwrap();
    for number in 0..200 {
        let mut order = order("alice", number);
        order["until"] = json!(1_700_000_000 + i64::from(number % 4) * 100);
        order["state"] = json!("open");
        db.put_item("orders", order).unwrap();
    }
    let snapshot = db.snapshot().unwrap();
    let names = ["whole", "keys", "told"];
    let check = |expected: u64| {
        for name in names {
            let open = || db.query("orders").index(name).partition_key("open");
            assert_eq!(open().count().unwrap(), expected, "{name}");
            assert_eq!(open().iter().unwrap().count() as u64, expected, "{name}");
            assert_eq!(pages(open, 7).len() as u64, expected, "{name}");
            assert_eq!(snapshot.scan("orders").index(name).count().unwrap(), 200, "{name}");
        }
        let local = || db.query("orders").index("local").partition_key("alice");
        assert_eq!(local().count().unwrap(), expected);
        assert_eq!(local().all_attributes().iter().unwrap().count() as u64, expected);
        assert!(local().execute().unwrap().items.iter().all(|item| item.get("until").is_none()));
        assert_eq!(local().attributes(["note"]).execute().unwrap().items.len() as u64, expected);
        check_sound(&db);
    };
    check(200);
    clock.advance(150_000);
    check(100);
    assert_eq!(db.describe_table("orders").unwrap().indexes[1].item_count, 200);
    db.maintain().unwrap();
    check(100);
    for index in db.describe_table("orders").unwrap().indexes {
        assert_eq!(index.item_count, 100, "{}", index.name);
    }
    // A put in the place of one that has expired.
    clock.advance(100_000);
    let mut order = order("alice", 2);
    order["state"] = json!("open");
    db.put_item("orders", order).unwrap();
    check(51);
    db.maintain().unwrap();
    check(51);
}

#[test]
fn expressions_are_held_against_the_key_of_the_index() {
    let db = filled();
    let place = |text| db.query("orders").index("by_place").key_condition(text);
    let basel =
        |text| place(text).value(":c", "CH").value(":b", "Basel").name("#c", "country").name("#y", "year");
    let several = basel("#y = :y AND city = :b AND #c = :c AND #m < :m").name("#m", "month");
    let found = several.value(":y", 2020).value(":m", 5).execute().unwrap();
    assert_eq!(pick(&found.items, "number"), [json!(16), json!(8)]);
    check_error(
        basel("city = :b AND #c = :c AND #m < :y").name("#m", "month").value(":y", 5).execute(),
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#y}",
    );
    let gap = place("city = :b AND #c = :c AND #m < :m")
        .value(":c", "CH")
        .value(":b", "Basel")
        .name("#c", "country");
    check_error(
        gap.name("#m", "month").value(":m", 5).execute(),
        "RANGE key attributes year must have equality conditions specified in the query because a condition is present on key \
         attribute month",
    );
    // An attribute of the index's key is none that a filter may mention, one of the table's key is.
    let open = || db.query("orders").index("by_state").partition_key("open");
    check_error(
        open().filter("#t > :t").name("#t", "total").value(":t", 1).execute(),
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: total",
    );
    let of_bob = open().filter("customer = :b").value(":b", "bob").count_page().unwrap();
    assert_eq!((of_bob.count, of_bob.scanned_count), (5, 10));
    let scanned = db.scan("orders").index("by_state").filter("#t > :t").name("#t", "total");
    let scanned = scanned.value(":t", 1).count().unwrap();
    assert_eq!(scanned, (0..20).filter(|number| number * 10 % 70 > 1).count() as u64);
    check_error(
        open().projection("note, #l[0]").name("#l", "lines").execute(),
        "One or more parameter values were invalid: Global secondary index by_state does not project [lines]",
    );
    let local =
        db.query("orders").index("by_total").partition_key("alice").projection("#l[0]").name("#l", "lines");
    assert_eq!(local.limit(1).execute().unwrap().items, [json!({"lines": [0]})]);
}

/// What is changed behind the back of the API is found, and named.
#[test]
fn entries_that_are_missing_stray_or_differ_are_found() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    let index = GlobalIndex::new("by_x").partition_key("x", KeyType::Number);
    let table = db.create_table("things").partition_key("id", KeyType::String);
    table.global_index(index.projection(Projection::include(["y"]))).execute().unwrap();
    for nth in 0..5 {
        db.put_item("things", json!({"id": format!("id {nth}"), "x": nth, "y": nth})).unwrap();
    }
    db.close().unwrap();

    let store = dynamite_txn::Options::new(Arc::new(ManualClock::at(1))).open(&path).unwrap();
    let tables = store.read().unwrap().tables().unwrap();
    let tree = tables.iter().find(|(name, _)| name.contains(&0)).unwrap().1.id;
    let mut entries = Vec::new();
    let mut read = store.read().unwrap();
    let collect = |row: dynamite_txn::Row<'_>| {
        entries.push((row.key.to_vec(), row.payload.to_vec()));
        std::ops::ControlFlow::Continue(())
    };
    read.scan(tree, &dynamite_txn::Range::all().borrow(), dynamite_txn::Access::Point, collect).unwrap();
    drop(read);
    let stray = [&entries[4].0[..entries[4].0.len() - 3], &[b'0', 0, 0]].concat();
    store
        .write(|txn| {
            txn.delete(tree, &entries[1].0)?;
            txn.put(tree, &entries[2].0, &entries[3].1)?;
            txn.put(tree, &stray, &entries[4].1)
        })
        .unwrap();
    store.close().unwrap();

    let db = DynaMite::builder().read_only(true).open(&path).unwrap();
    let mut last = IndexProgress::default();
    let findings = db.verify_indexes(&mut |progress| last = progress).unwrap();
    let found = findings.iter().map(|finding| (finding.fault, &*finding.key)).collect::<Vec<_>>();
    let expected = [
        (IndexFault::Missing, r#"{"id":"id 1"}"#),
        (IndexFault::Differs, r#"{"id":"id 2"}"#),
        (IndexFault::Stray, r#"{"id":"id 0","x":4}"#),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        findings[0].to_string(),
        r#"index by_x of table things: there is no entry for the item {"id":"id 1"}"#
    );
    assert_eq!(last, IndexProgress { done: 10, of: 10 });
}
