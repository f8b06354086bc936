//! What front ends need that speak for others: keys and placeholders as they came, items as they are stored, older ways to say
//! conditions, what was consumed of which index, and a place for what only they know of a table.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use dynamite_core::api::{
    Consumed, ConsumedKind, DynaMite, EncodedItem, GlobalIndex, IndexKind, LocalIndex, ManualClock,
    Projection,
};
use dynamite_core::error::{Error, Invalid};
use dynamite_core::expression::{
    AttributeChange, AttributeTest, Condition, KeyCondition, SortKeyTest, Update,
};
use dynamite_core::json::item_from_json;
use dynamite_core::key_codec::KeyError;
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Item};
use serde_json::{Value, json};

fn item(json: Value) -> Item {
    item_from_json(json).unwrap()
}

/// Orders by customer and number, with a local index that holds keys, and a global one that holds all.
fn orders() -> DynaMite {
    let db = DynaMite::in_memory().unwrap();
    let local =
        LocalIndex::new("by_total").sort_key("total", KeyType::Number).projection(Projection::KeysOnly);
    let global = GlobalIndex::new("by_state").partition_key("state", KeyType::String);
    let create = db.create_table("orders").partition_key("customer", KeyType::String);
    create.sort_key("number", KeyType::Number).local_index(local).global_index(global).execute().unwrap();
    for number in 1..=3 {
        let order = json!({"customer": "a", "number": number, "total": number * 10, "state": "open", "text": "x".repeat(2000)});
        db.put_item("orders", order).unwrap();
    }
    db
}

#[test]
fn keys_are_given_by_the_names_of_their_attributes() {
    let db = orders();
    let key = || item(json!({"customer": "a", "number": 2}));
    assert!(db.get_item("orders").key(key()).execute().unwrap().is_some());
    for wrong in [
        json!({}),
        json!({"customer": "a"}),
        json!({"customer": "a", "number": "2"}),
        json!({"customer": "a", "nummer": 2}),
        json!({"customer": "a", "number": 2, "more": 1}),
    ] {
        let refused = db.get_item("orders").key(item(wrong.clone())).execute();
        assert!(matches!(refused, Err(Error::Validation(Invalid::KeySchema))), "{wrong}");
    }
    let empty = db.get_item("orders").key(item(json!({"customer": "", "number": 1}))).execute();
    assert!(
        matches!(empty, Err(Error::Validation(Invalid::Key(KeyError::Empty { attribute, .. }))) if attribute == "customer")
    );
    let found = db.batch_get().get_named("orders", key()).execute().unwrap();
    assert_eq!(found[0].as_ref().unwrap()["total"], 20);
    db.batch_write().delete_named("orders", key()).execute().unwrap();
    db.delete_item("orders").key(item(json!({"customer": "a", "number": 1}))).execute().unwrap();
    assert_eq!(db.scan("orders").count().unwrap(), 1);
}

#[test]
fn placeholders_that_are_given_at_once_must_not_be_none() {
    let db = orders();
    let text = |result: Result<_, Error>| result.map(|_: Option<Value>| ()).unwrap_err().to_string();
    let get = || db.get_item("orders").partition_key("a").sort_key(1);
    let names = BTreeMap::from([("#t".to_owned(), "total".to_owned())]);
    let found = get().projection("#t").names(names).execute().unwrap();
    assert_eq!(found, Some(json!({"total": 10})));
    let refused = text(get().projection("total").names(BTreeMap::new()).execute());
    assert_eq!(refused, "ExpressionAttributeNames must not be empty");
    let update =
        db.update_item("orders").partition_key("a").sort_key(1).update("REMOVE x").values(Item::new());
    assert_eq!(update.execute().unwrap_err().to_string(), "ExpressionAttributeValues must not be empty");
}

#[test]
fn items_pass_in_their_stored_form() {
    let db = orders();
    let encoded = db.get_item("orders").partition_key("a").sort_key(1).execute_encoded().unwrap().unwrap();
    let whole = db.get_item("orders").partition_key("a").sort_key(1).execute_item().unwrap().unwrap();
    assert_eq!(encoded.view().unwrap().to_item().unwrap(), whole);
    assert_eq!(encoded, EncodedItem::of(&whole).unwrap());
    assert_eq!(serde_json::to_value(&encoded).unwrap(), serde_json::to_value(&whole).unwrap());
    let part =
        db.get_item("orders").partition_key("a").sort_key(1).attributes(["total"]).execute_encoded().unwrap();
    assert_eq!(part.unwrap().view().unwrap().to_item().unwrap(), item(json!({"total": 10})));
    let replaced = db.put("orders").item(&encoded).execute_returning_old_encoded().unwrap();
    assert_eq!(replaced.old.as_ref(), Some(&encoded));
    let page = db.query("orders").partition_key("a").limit(1).execute_encoded().unwrap();
    assert_eq!(page.items, [encoded]);
    assert!(EncodedItem::new(vec![0xFF; 9]).is_err());
}

#[test]
fn conditions_and_updates_are_said_by_attributes() {
    let db = orders();
    let n = AttributeValue::from;
    let check = |tests: Vec<(&str, AttributeTest)>, any: bool, expected: &[u64]| {
        let tests = tests.into_iter().map(|(name, test)| (name.to_owned(), test));
        let filter = Condition::of_attributes(tests, any).unwrap().unwrap();
        let page = db.scan("orders").filter_by_attribute(filter).execute().unwrap();
        let numbers: Vec<u64> = page.items.iter().map(|item| item["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, expected);
    };
    let all = &[1, 2, 3];
    check(vec![("total", AttributeTest::Eq(n(20)))], false, &[2]);
    check(vec![("total", AttributeTest::Ne(n(20)))], false, &[1, 3]);
    check(vec![("missing", AttributeTest::Ne(n(20)))], false, all);
    check(vec![("missing", AttributeTest::Null)], false, all);
    check(vec![("total", AttributeTest::NotNull)], false, all);
    check(vec![("total", AttributeTest::Lt(n(20)))], false, &[1]);
    check(vec![("total", AttributeTest::Le(n(20)))], false, &[1, 2]);
    check(vec![("total", AttributeTest::Gt(n(20)))], false, &[3]);
    check(vec![("total", AttributeTest::Ge(n(20)))], false, &[2, 3]);
    check(vec![("total", AttributeTest::Between(n(15), n(25)))], false, &[2]);
    check(vec![("total", AttributeTest::In(vec![n(10), n(30)]))], false, &[1, 3]);
    check(vec![("state", AttributeTest::BeginsWith("op".into()))], false, all);
    check(vec![("state", AttributeTest::Contains("pe".into()))], false, all);
    check(vec![("state", AttributeTest::NotContains("pe".into()))], false, &[]);
    let (first, third) = (AttributeTest::Eq(n(10)), AttributeTest::Eq(n(30)));
    check(vec![("total", first.clone()), ("total", third.clone())], true, &[1, 3]);
    check(vec![("total", first), ("total", third)], false, &[]);
    check(
        vec![("state", AttributeTest::NotContains("pe".into())), ("total", AttributeTest::Eq(n(20)))],
        true,
        &[2],
    );
    check(
        vec![("total", AttributeTest::Eq(n(20))), ("state", AttributeTest::NotContains("pe".into()))],
        false,
        &[],
    );

    let of = |test| {
        KeyCondition::of_attributes([
            ("customer".to_owned(), Some(SortKeyTest::Eq("a".into()))),
            ("number".to_owned(), test),
        ])
    };
    let query = |test| db.query("orders").key_condition_by_attribute(of(test)).count();
    assert_eq!(query(Some(SortKeyTest::Gt(n(1)))).unwrap(), 2);
    assert_eq!(
        query(None).unwrap_err().to_string(),
        "Attempted conditional constraint is not an indexable operation"
    );

    let list = |numbers: &[u32]| AttributeValue::L(numbers.iter().map(|number| n(*number)).collect());
    let changes = [
        ("total", AttributeChange::Add(n(5))),
        ("list", AttributeChange::Add(list(&[1]))),
        ("text", AttributeChange::Remove),
        ("new", AttributeChange::Put("v".into())),
    ];
    let update =
        Update::of_attributes(changes.map(|(name, change)| (name.to_owned(), change))).unwrap().unwrap();
    for _ in 0..2 {
        db.update_item("orders")
            .partition_key("a")
            .sort_key(1)
            .update_by_attribute(update.clone())
            .execute()
            .unwrap();
    }
    let updated = db.get_item("orders").partition_key("a").sort_key(1).execute().unwrap().unwrap();
    let expected =
        json!({"customer": "a", "number": 1, "total": 20, "state": "open", "list": [1, 1], "new": "v"});
    assert_eq!(updated, expected);
    let never = Condition::of_attributes([("new".to_owned(), AttributeTest::Null)], false).unwrap().unwrap();
    let refused =
        db.delete_item("orders").partition_key("a").sort_key(1).condition_by_attribute(never).execute();
    assert!(matches!(refused, Err(Error::ConditionFailed { .. })));
}

#[test]
fn what_is_consumed_of_indexes_is_told_apart() {
    let db = orders();
    let consumed = Consumed::default();
    let local = || Some(("by_total".to_owned(), IndexKind::Local));
    let global = || Some(("by_state".to_owned(), IndexKind::Global));
    let taken = || -> Vec<_> {
        consumed
            .take()
            .into_iter()
            .map(|entry| (entry.index, entry.kind == ConsumedKind::Write, entry.bytes > 1000))
            .collect()
    };
    let order = json!({"customer": "a", "number": 9, "total": 1, "state": "open", "text": "x".repeat(2000)});
    db.put("orders").item(&order).consumed(&consumed).execute().unwrap();
    assert_eq!(taken(), [(None, true, true), (global(), true, true), (local(), true, false)]);
    // The entry moves: one is removed, and one is put; the other index does not change.
    let update = db.update_item("orders").partition_key("a").sort_key(9).update("SET #t = #t + :n");
    update.name("#t", "total").value(":n", 1).consumed(&consumed).execute().unwrap();
    assert_eq!(
        taken(),
        [(None, true, true), (global(), true, true), (local(), true, false), (local(), true, false)]
    );
    db.delete_item("orders").partition_key("a").sort_key(9).consumed(&consumed).execute().unwrap();
    assert_eq!(taken(), [(None, true, true), (global(), true, true), (local(), true, false)]);
    let query = || db.query("orders").partition_key("a").index("by_total").consumed(&consumed);
    query().execute().unwrap();
    assert_eq!(taken(), [(local(), false, false)]);
    query().all_attributes().execute().unwrap();
    assert_eq!(taken(), [(local(), false, false), (None, false, true)]);
}

#[test]
fn a_stream_of_an_index_tells_what_its_page_tells() {
    let db = orders();
    for number in 1..20 {
        let text = "x".repeat(number as usize * 100);
        db.put_item(
            "orders",
            json!({"customer": "a", "number": number, "total": 1, "state": "open", "text": text}),
        )
        .unwrap();
    }
    let consumed = Consumed::default();
    for (name, all) in [("by_total", false), ("by_total", true), ("by_state", false)] {
        let query = || {
            let query =
                db.query("orders").index(name).consumed(&consumed).filter("#n > :n").name("#n", "number");
            let query = query.value(":n", 10).partition_key(if name == "by_state" { "open" } else { "a" });
            if all { query.all_attributes() } else { query }
        };
        let page = query().execute().unwrap();
        let told = consumed.take();
        assert_eq!(query().iter().unwrap().count(), page.items.len());
        assert_eq!(consumed.take(), told, "{name}");
        assert_eq!(told.len(), 1 + usize::from(all));
        assert_eq!(told[0].index.as_ref().unwrap().0, name);
    }
}

#[test]
fn what_a_front_end_keeps_with_a_table_stays_with_it() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("test.db");
    let clock = Arc::new(ManualClock::at(1_700_000_000_123));
    let builder = || DynaMite::builder().clock(clock.clone());
    {
        let db = builder().create(&path).unwrap();
        let create = db.create_table("things").partition_key("id", KeyType::String);
        create.metadata(item(json!({"tags": {"a": "b"}}))).execute().unwrap();
        db.create_table("plain").partition_key("id", KeyType::String).execute().unwrap();
    }
    let db = builder().open(&path).unwrap();
    let described = db.describe_table("things").unwrap();
    assert_eq!(described.metadata, item(json!({"tags": {"a": "b"}})));
    assert_eq!(described.created_ms, Some(1_700_000_000_123));
    assert_eq!(db.describe_table("plain").unwrap().metadata, Item::new());
    // Other changes leave it alone.
    db.update_table("things").ttl("end").execute().unwrap();
    db.update_table("things")
        .add_index(GlobalIndex::new("by_x").partition_key("x", KeyType::String))
        .execute()
        .unwrap();
    db.wait_for_index("things", "by_x").unwrap();
    assert_eq!(db.describe_table("things").unwrap().metadata, described.metadata);
    db.update_table("things").metadata(item(json!({"new": 1}))).execute().unwrap();
    assert_eq!(db.describe_table("things").unwrap().metadata, item(json!({"new": 1})));
}
