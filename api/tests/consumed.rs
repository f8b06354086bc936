//! What operations say that they have consumed, against counts by hand.

mod common;

use common::{create_things, events, things};
use dynamite_core::api::{Consumed, ConsumedKind, DynaMite, ReturnValues};
use dynamite_core::limits::item_size;
use dynamite_core::types::KeyType;
use dynamite_core::{Error, Item};
use serde_json::{Value, json};

const READ: ConsumedKind = ConsumedKind::Read;
const WRITE: ConsumedKind = ConsumedKind::Write;

fn item(json: &Value) -> Item {
    dynamite_core::item_codec::decode(&dynamite_core::item_codec::encode_json(json).unwrap()).unwrap()
}

fn size(json: &Value) -> u64 {
    item_size(&item(json)) as u64
}

/// What was collected since it was looked at last.
fn taken(consumed: &Consumed) -> Vec<(String, ConsumedKind, u64)> {
    consumed.take().into_iter().map(|entry| (entry.table, entry.kind, entry.bytes)).collect()
}

fn entry(table: &str, kind: ConsumedKind, bytes: u64) -> (String, ConsumedKind, u64) {
    (table.to_owned(), kind, bytes)
}

#[test]
fn a_write_consumes_the_larger_of_the_items_before_and_after_it() {
    let db = things();
    let consumed = Consumed::default();
    let (small, large) =
        (json!({"id": "a", "n": 1}), json!({"id": "a", "text": "x".repeat(2_000), "l": [1, {}, []]}));
    let put = |item: &Value| db.put("things").item(item).consumed(&consumed).execute().unwrap();
    put(&small);
    put(&large);
    put(&small);
    let expected = [size(&small), size(&large), size(&large)].map(|bytes| entry("things", WRITE, bytes));
    assert_eq!(taken(&consumed), expected);

    let update = |text| {
        let update = db.update_item("things").partition_key("a").update(text).value(":t", "y".repeat(500));
        let updated = update.consumed(&consumed).return_values(ReturnValues::AllNew).execute().unwrap();
        size(&updated.attributes.unwrap())
    };
    let grown = update("SET t = :t");
    assert_eq!(taken(&consumed), [entry("things", WRITE, grown)]);
    db.update_item("things").partition_key("a").update("REMOVE t").consumed(&consumed).execute().unwrap();
    assert_eq!(taken(&consumed), [entry("things", WRITE, grown)]);

    let delete = || db.delete_item("things").partition_key("a").consumed(&consumed).execute().unwrap();
    assert!(delete());
    assert!(!delete());
    assert_eq!(taken(&consumed), [entry("things", WRITE, size(&small)), entry("things", WRITE, 0)]);
}

#[test]
fn what_failed_has_consumed_nothing() {
    let db = things();
    let consumed = Consumed::default();
    db.put_item("things", json!({"id": "a"})).unwrap();
    let put = db.put("things").item(json!({"id": "a"})).condition("attribute_not_exists(id)");
    assert!(matches!(put.consumed(&consumed).execute(), Err(Error::ConditionFailed { .. })));
    assert!(db.get_item("things").consumed(&consumed).execute().is_err());
    assert!(db.scan("things").limit(0).consumed(&consumed).count_page().is_err());
    assert_eq!(taken(&consumed), []);
}

#[test]
fn every_item_of_a_batch_is_an_entry_in_the_order_of_the_batch() {
    let db = things();
    db.create_table("others").partition_key("id", KeyType::Number).execute().unwrap();
    let consumed = Consumed::default();
    let things = |id: &str, len| json!({"id": id, "text": "t".repeat(len)});
    let other = json!({"id": 12345, "x": null});
    db.put_item("things", things("old", 900)).unwrap();
    db.batch_write()
        .put("things", things("z", 30))
        .put("others", &other)
        .put("things", things("old", 20))
        .delete("things", "nothing")
        .consumed(&consumed)
        .execute()
        .unwrap();
    let expected = [
        entry("things", WRITE, size(&things("z", 30))),
        entry("others", WRITE, size(&other)),
        entry("things", WRITE, size(&things("old", 900))),
        entry("things", WRITE, 0),
    ];
    assert_eq!(taken(&consumed), expected);

    let batch =
        db.batch_get().get("things", "z").get("others", 12345).get("things", "nothing").get("things", "old");
    batch.attributes("things", ["id"]).consumed(&consumed).execute().unwrap();
    let expected = [
        entry("things", READ, size(&things("z", 30))),
        entry("others", READ, size(&other)),
        entry("things", READ, 0),
        entry("things", READ, size(&things("old", 20))),
    ];
    assert_eq!(taken(&consumed), expected);
}

#[test]
fn a_read_consumes_whole_items_also_those_that_are_dropped() {
    let db = events(KeyType::Number);
    let consumed = Consumed::default();
    let item = |at: usize| json!({"device": "d", "at": at, "odd": at % 2 == 1, "text": "x".repeat(at * 997 % 9_000)});
    for at in 0..400 {
        db.put_item("events", item(at)).unwrap();
    }
    let sum = |range: std::ops::Range<usize>| range.map(|at| size(&item(at))).sum::<u64>();

    let get = db.get_item("events").partition_key("d").sort_key(7).projection("odd").consumed(&consumed);
    get.execute().unwrap();
    db.get_item_versioned("events").partition_key("d").sort_key(999).consumed(&consumed).execute().unwrap();
    assert_eq!(taken(&consumed), [entry("events", READ, size(&item(7))), entry("events", READ, 0)]);

    // Pages end at a megabyte, and say what they looked at.
    let query =
        || db.query("events").partition_key("d").filter("odd = :t").value(":t", true).consumed(&consumed);
    let (mut at, mut start) = (0, None::<Value>);
    loop {
        let query = match &start {
            Some(key) => query().exclusive_start_key(key),
            None => query(),
        };
        let page = query.attributes(["at"]).execute().unwrap();
        assert_eq!(taken(&consumed), [entry("events", READ, sum(at..at + page.scanned_count))]);
        at += page.scanned_count;
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(at, 400);

    let page = query().limit(5).count_page().unwrap();
    assert_eq!((page.count, page.scanned_count), (2, 5));
    query().count().unwrap();
    db.scan("events").limit(3).consumed(&consumed).execute_items().unwrap();
    db.query("events").partition_key("nobody").consumed(&consumed).execute().unwrap();
    let expected = [sum(0..5), sum(0..400), sum(0..3), 0].map(|bytes| entry("events", READ, bytes));
    assert_eq!(taken(&consumed), expected);

    // A stream says it at its end, of as many as it has read.
    let mut stream = query().iter().unwrap();
    stream.next().unwrap().unwrap();
    stream.next().unwrap().unwrap();
    assert_eq!(taken(&consumed), []);
    drop(stream);
    assert_eq!(taken(&consumed), [entry("events", READ, sum(0..4))]);
}

#[test]
fn a_transaction_and_a_snapshot_are_counted_alike() {
    let db = DynaMite::in_memory().unwrap();
    create_things(&db);
    let consumed = Consumed::default();
    db.transact(|txn| {
        txn.put("things").item(json!({"id": "a"})).consumed(&consumed).execute()?;
        txn.get_item("things").partition_key("a").consumed(&consumed).execute()
    })
    .unwrap();
    db.snapshot().unwrap().scan("things").consumed(&consumed).execute().unwrap();
    let expected = [entry("things", WRITE, 3), entry("things", READ, 3), entry("things", READ, 3)];
    assert_eq!(consumed.clone().entries().len(), 3);
    assert_eq!(taken(&consumed), expected);
}
