//! Writes that wait for their durability later: what a series of them promises.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dynamite_core::Error;
use dynamite_core::api::{Check, DynaMite, GlobalIndex, Put, SequenceNumber, StreamView};
use dynamite_core::types::KeyType;
use serde_json::{Value, json};

fn database() -> DynaMite {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
    db
}

fn read(db: &DynaMite, id: &str) -> Option<Value> {
    db.get_item("things").partition_key(id).execute().unwrap()
}

#[test]
fn each_write_of_a_series_is_one_by_itself() {
    let db = database();
    let before = db.put("things").item(json!({"id": "a", "n": 0})).execute().unwrap();
    let writes = db.deferred();
    let put = |id: &str, n: u32| writes.put("things").item(json!({"id": id, "n": n})).execute();
    let versions = writes.in_series(|| {
        let first = put("a", 1).unwrap();
        // Refused, by what one before it has left, and leaves nothing.
        let conflict = writes.put("things").item(json!({"id": "a", "n": 9})).if_version(before).execute();
        assert!(
            matches!(conflict, Err(Error::VersionConflict { actual: Some(found), .. }) if found == first)
        );
        let second =
            writes.put("things").item(json!({"id": "a", "n": 2})).if_version(first).execute().unwrap();
        let check = Check::new("things").partition_key("a").condition("n = :one").value(":one", 1);
        let failed =
            writes.transact_write().put(Put::new("things").item(json!({"id": "b"}))).check(check).execute();
        assert!(matches!(failed, Err(Error::TransactionCanceled { .. })), "{failed:?}");
        // As long as it likes, so it is no part of a series.
        let third = writes
            .transact(|txn| {
                assert_eq!(txn.get_item("things").partition_key("a").execute()?.unwrap()["n"], 2);
                txn.put("things").item(json!({"id": "c"})).execute()
            })
            .unwrap();
        let fourth = put("d", 4).unwrap();
        writes.delete_item("things").partition_key("d").execute().unwrap();
        [first, second, third, fourth]
    });
    let versions = versions.unwrap();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert_eq!(read(&db, "a").unwrap()["n"], 0, "nothing is seen before it is durable");
    db.settle(writes.pending()).unwrap();
    let found = db.get_item_versioned("things").partition_key("a").execute().unwrap().unwrap();
    assert_eq!((found.version, &found.item["n"]), (versions[1], &json!(2)));
    assert_eq!(read(&db, "b"), None);
    assert!(read(&db, "c").is_some());
    assert_eq!(read(&db, "d"), None);
    // Others may write again.
    db.put("things").item(json!({"id": "e"})).execute().unwrap();
}

#[test]
fn indexes_and_streams_follow_a_series() {
    let db = DynaMite::in_memory().unwrap();
    let table =
        db.create_table("things").partition_key("id", KeyType::String).stream(StreamView::NewAndOldImages);
    let index = GlobalIndex::new("by_n").partition_key("n", KeyType::Number);
    table.global_index(index).execute().unwrap();
    let writes = db.deferred();
    let versions = writes.in_series(|| {
        let put = |n: u32| writes.put("things").item(json!({"id": "a", "n": n})).execute().unwrap();
        let first = put(1);
        assert!(writes.put("things").item(json!({"id": "a", "n": 8})).if_version(0).execute().is_err());
        [first, put(2), put(3)]
    });
    db.settle(writes.pending()).unwrap();
    assert_eq!(db.verify_indexes(&mut |_| ()).unwrap(), []);
    let records = db.stream("things").poll(10).unwrap().records;
    let seen: Vec<(SequenceNumber, Value)> = records
        .into_iter()
        .map(|record| (record.sequence_number, record.new_image.unwrap()["n"].clone()))
        .collect();
    assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(seen.iter().map(|(_, n)| n).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(
        db.get_item_versioned("things").partition_key("a").execute().unwrap().unwrap().version,
        versions.unwrap()[2]
    );
}

#[test]
fn a_panic_undoes_the_series_that_it_meets() {
    let db = database();
    let writes = db.deferred();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        writes.in_series(|| {
            writes.put("things").item(json!({"id": "a"})).execute().unwrap();
            std::panic::panic_any("on purpose");
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
    writes.put("things").item(json!({"id": "b"})).execute().unwrap();
    db.settle(writes.pending()).unwrap();
    assert_eq!((read(&db, "a"), read(&db, "b").is_some()), (None, true));
}
