//! Every operation on items, and every mistake that can be made with one.

mod common;

use common::{create_events, events, pick, things};
use dynamite_core::Error;
use dynamite_core::api::DynaMite;
use dynamite_core::error::Invalid;
use dynamite_core::types::KeyType;
use dynamite_core::value::{AttributeValue, Item};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The cause of a refusal that must be one.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Invalid {
    match result {
        Err(Error::Validation(invalid)) => invalid,
        other => panic!("not refused as invalid: {other:?}"),
    }
}

#[test]
fn an_item_is_got_as_it_was_put() {
    let db = things();
    let item = json!({
        "id": "a", "text": "żółw\0", "int": -7, "big": 18_446_744_073_709_551_615_u64, "fraction": 0.1, "yes": true, "no": false,
        "nothing": null, "list": [1, "two", [3.5], {}], "map": {"deep": {"deeper": [null]}, "empty": ""},
        "binary": {"$binary": "AAEC/w=="}, "names": {"$ss": ["a", "b"]}, "numbers": {"$ns": [1, 2.5]},
        "exact": {"$number": "0.12345678901234567890123456789"},
    });
    let version = db.put_item("things", &item).unwrap();
    let found = db.get_item_versioned("things").partition_key("a").execute().unwrap().unwrap();
    assert_eq!((found.item, found.version), (item, version));
    let exact = db.get_item("things").partition_key("a").execute_item().unwrap().unwrap();
    assert_eq!(exact["binary"], AttributeValue::B(vec![0, 1, 2, 255]));
    db.put_item("things", &exact).unwrap();
    assert_eq!(db.get_item("things").partition_key("a").execute_item().unwrap(), Some(exact));
}

#[test]
fn a_put_replaces_the_whole_item() {
    let db = things();
    db.put_item("things", json!({"id": "a", "one": 1})).unwrap();
    db.put_item("things", json!({"id": "a", "two": 2})).unwrap();
    let found = db.get_item("things").partition_key("a").execute().unwrap();
    assert_eq!(found, Some(json!({"id": "a", "two": 2})));
    assert_eq!(db.describe_table("things").unwrap().item_count, 1);
}

#[test]
fn only_the_attributes_asked_for_are_returned() {
    let db = things();
    db.put_item("things", json!({"id": "a", "x": 1, "y": [2], "z": 3})).unwrap();
    let get = |names: &[&str]| {
        let names = names.iter().copied();
        db.get_item("things").partition_key("a").attributes(names).execute().unwrap().unwrap()
    };
    assert_eq!(get(&["y", "x", "absent", "x"]), json!({"x": 1, "y": [2]}));
    assert_eq!(get(&[]), json!({}));
    let page = db.scan("things").attributes(["z"]).execute().unwrap();
    assert_eq!(page.items, [json!({"z": 3})]);
}

#[test]
fn items_go_in_and_out_as_types_of_ones_own() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Event {
        device: String,
        at: i64,
        #[serde(default)]
        note: Option<String>,
        values: Vec<f64>,
    }
    let db = events(KeyType::Number);
    let event = |at: i64| Event {
        device: "d".into(),
        at,
        note: (at > 1).then(|| "late".into()),
        values: vec![0.5; 3],
    };
    for at in 0..4 {
        db.put_item_from("events", &event(at)).unwrap();
    }
    let got: Option<Event> = db.get_item("events").partition_key("d").sort_key(2).execute_as().unwrap();
    assert_eq!(got, Some(event(2)));
    let page = db.query("events").partition_key("d").execute_as::<Event>().unwrap();
    assert_eq!(page.items, (0..4).map(event).collect::<Vec<_>>());
    let all = db.scan("events").iter_as::<Event>().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(all, page.items);
    let both = db.batch_get().get_sorted("events", "d", 3).get_sorted("events", "d", 9);
    assert_eq!(both.execute_as::<Event>().unwrap(), [Some(event(3)), None]);

    let wrong = db.get_item("events").partition_key("d").sort_key(2).execute_as::<Vec<u8>>();
    assert!(matches!(wrong, Err(Error::Decode(_))), "{wrong:?}");
}

#[test]
fn a_versioned_put_asks_for_the_version_that_is_there() {
    let db = things();
    let put = |n: u32, expected| db.put_item_versioned("things", json!({"id": "a", "n": n}), expected);
    let first = put(1, Some(0)).unwrap();
    let there = put(2, Some(0)).unwrap_err();
    assert!(matches!(there, Error::VersionConflict { expected: 0, actual: Some(v) } if v == first));
    let second = put(3, Some(first)).unwrap();
    assert!(second > first);
    let late = put(4, Some(first)).unwrap_err();
    assert!(
        matches!(late, Error::VersionConflict { expected, actual } if expected == first && actual == Some(second))
    );
    let third = put(5, None).unwrap();
    let found = db.get_item_versioned("things").partition_key("a").execute().unwrap().unwrap();
    assert_eq!((found.item["n"].clone(), found.version), (json!(5), third));
}

#[test]
fn a_versioned_delete_asks_for_the_version_that_is_there() {
    let db = things();
    let first = db.put_item("things", json!({"id": "a"})).unwrap();
    let second = db.put_item("things", json!({"id": "a"})).unwrap();
    let delete = |version| db.delete_item("things").partition_key("a").if_version(version).execute();
    assert!(matches!(delete(first), Err(Error::VersionConflict { expected, .. }) if expected == first));
    assert!(delete(second).unwrap());
    assert!(matches!(delete(second), Err(Error::VersionConflict { actual: None, .. })));
    assert!(!db.delete_item("things").partition_key("a").execute().unwrap());
}

#[test]
fn what_is_no_item_of_the_table_is_refused() {
    let db = events(KeyType::Number);
    let put = |item: Value| db.put_item("events", item);
    assert!(matches!(refused(put(json!({"at": 1}))), Invalid::MissingKey { name } if name == "device"));
    assert!(matches!(refused(put(json!({"device": "d"}))), Invalid::MissingKey { name } if name == "at"));
    let mismatch = refused(put(json!({"device": "d", "at": "1"})));
    assert!(
        matches!(&mismatch, Invalid::KeyTypeMismatch { name, expected: KeyType::Number, actual: "S" } if name == "at")
    );
    assert_eq!(
        mismatch.to_string(),
        "One or more parameter values were invalid: Type mismatch for key at expected: N actual: S"
    );
    assert!(matches!(refused(put(json!({"device": "", "at": 1}))), Invalid::Key(_)));
    assert!(matches!(refused(put(json!({"device": "x".repeat(2049), "at": 1}))), Invalid::Key(_)));
    put(json!({"device": "x".repeat(2048), "at": 1})).unwrap();
    for key in [String::new(), "x".repeat(2049)] {
        let get = db.get_item("events").partition_key(&key).sort_key(1).execute();
        assert!(matches!(refused(get), Invalid::Key(_)));
        let delete = db.delete_item("events").sort_key(1).partition_key(&key).execute();
        assert!(matches!(refused(delete), Invalid::Key(_)));
        assert!(matches!(refused(db.query("events").partition_key(&key).execute()), Invalid::Key(_)));
    }
    for not_an_item in [json!([]), json!("text"), json!(5), json!(null)] {
        assert!(put(not_an_item).is_err());
    }
    assert_eq!(db.describe_table("events").unwrap().item_count, 1);
}

#[test]
fn a_table_that_is_not_there_is_an_error_of_every_operation() {
    let db = DynaMite::in_memory().unwrap();
    #[track_caller]
    fn missing<T: std::fmt::Debug>(result: Result<T, Error>) {
        let error = result.unwrap_err();
        assert!(matches!(error.cause(), Error::TableNotFound { table } if table == "nowhere"), "{error:?}");
    }
    missing(db.put_item("nowhere", json!({"id": "a"})));
    missing(db.put_item_from("nowhere", &json!({"id": "a"})));
    missing(db.get_item("nowhere").partition_key("a").execute());
    missing(db.get_item_versioned("nowhere").partition_key("a").execute());
    missing(db.delete_item("nowhere").partition_key("a").execute());
    missing(db.query("nowhere").partition_key("a").execute());
    missing(db.query("nowhere").partition_key("a").iter());
    missing(db.query("nowhere").partition_key("a").count());
    missing(db.scan("nowhere").execute());
    missing(db.scan("nowhere").iter());
    missing(db.batch_get().get("nowhere", "a").execute());
    missing(db.batch_write().put("nowhere", json!({"id": "a"})).execute());
    missing(db.batch_write().delete("nowhere", "a").execute());
    missing(db.list_partition_keys("nowhere", "", 1));
    missing(db.describe_table("nowhere"));
    missing(db.drop_table("nowhere"));
    missing(db.snapshot().unwrap().get_item("nowhere").partition_key("a").execute());
    missing(db.transact(|txn| txn.put_item("nowhere", json!({"id": "a"}))));
}

#[test]
fn each_condition_on_the_sort_key_finds_what_it_says() {
    let db = events(KeyType::Number);
    for at in [-5, 0, 1, 2, 3, 10] {
        db.put_item("events", json!({"device": "d", "at": at})).unwrap();
        db.put_item("events", json!({"device": "other", "at": at})).unwrap();
    }
    let query = || db.query("events").partition_key("d");
    let found = |query: dynamite_core::api::Query<'_, DynaMite>| pick(&query.execute().unwrap().items, "at");
    assert_eq!(found(query()), [-5, 0, 1, 2, 3, 10]);
    assert_eq!(found(query().sort_key_eq(2)), [2]);
    assert_eq!(found(query().sort_key_eq(2.5)), Vec::<Value>::new());
    assert_eq!(found(query().sort_key_lt(1)), [-5, 0]);
    assert_eq!(found(query().sort_key_le(1)), [-5, 0, 1]);
    assert_eq!(found(query().sort_key_gt(1)), [2, 3, 10]);
    assert_eq!(found(query().sort_key_ge(1)), [1, 2, 3, 10]);
    assert_eq!(found(query().sort_key_between(0, 2)), [0, 1, 2]);
    assert_eq!(found(query().sort_key_between(2, 2)), [2]);
    assert_eq!(found(query().sort_key_gt(1).scan_forward(false)), [10, 3, 2]);
    assert_eq!(found(query().sort_key_between(0, 2).scan_forward(false)), [2, 1, 0]);
    assert_eq!(found(query().sort_key_ge(1).limit(2)), [1, 2]);
    assert_eq!(query().sort_key_ge(1).count().unwrap(), 4);
    assert_eq!(query().sort_key_ge(1).iter().unwrap().count(), 4);
    assert_eq!(query().sort_key_ge(1).limit(3).iter().unwrap().count(), 3);
    assert_eq!(found(db.query("events").partition_key("nobody")), Vec::<Value>::new());
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    let db = events(KeyType::Number);
    let query = || db.query("events").partition_key("d");
    assert!(
        matches!(refused(db.query("events").execute()), Invalid::MissingPartitionKey { name } if name == "device")
    );
    assert!(matches!(refused(query().sort_key_eq("text").execute()), Invalid::ConditionType));
    let order = refused(query().sort_key_between(2, 1).execute());
    assert!(matches!(order, Invalid::BetweenOrder { .. }));
    assert!(matches!(refused(query().sort_key_eq(2).sort_key_lt(3).execute()), Invalid::ConditionTwice));
    assert!(matches!(refused(query().limit(0).execute()), Invalid::Limit));
    assert!(matches!(refused(query().limit(0).iter()), Invalid::Limit));
    assert!(matches!(refused(db.scan("events").limit(0).execute()), Invalid::Limit));
    assert!(refused(db.query("events").partition_key(7).execute()).to_string().contains("schema type"));
    let start = |key: Value| refused(query().exclusive_start_key(key).execute());
    assert!(matches!(start(json!({"device": "d"})), Invalid::StartKey));
    assert!(matches!(start(json!({"device": "d", "nothing": 1})), Invalid::StartKey));
    assert!(matches!(start(json!({"device": "d", "at": "x"})), Invalid::KeySchema));
    assert!(matches!(start(json!({"device": "d", "at": 1, "more": 1})), Invalid::StartKey));
    assert!(matches!(start(json!({"device": "other", "at": 1})), Invalid::StartKeyOutside));
    let outside = query().sort_key_lt(5).exclusive_start_key(json!({"device": "d", "at": 7}));
    assert!(matches!(refused(outside.execute()), Invalid::StartKeyRange));
    let other = query().sort_key_lt(5).exclusive_start_key(json!({"device": "other", "at": 4}));
    assert!(matches!(refused(other.execute()), Invalid::StartKeyPartition));
    let scan = |key: Value| refused(db.scan("events").exclusive_start_key(key).execute());
    assert!(matches!(scan(json!({"device": "d"})), Invalid::StartKeySchema));
    assert!(matches!(scan(json!({"device": "d", "at": "x"})), Invalid::StartKeySchema));

    let plain = things();
    assert!(matches!(
        refused(plain.query("things").partition_key("a").sort_key_eq(1).execute()),
        Invalid::NoSortKey
    ));
    let bad_number = db.get_item("events").partition_key("d").sort_key(f64::NAN).execute();
    assert!(bad_number.is_err(), "{bad_number:?}");
}

#[test]
fn a_page_ends_at_a_megabyte_and_says_where_to_go_on() {
    let db = events(KeyType::Number);
    for at in 0..40 {
        db.put_item("events", json!({"device": "d", "at": at, "text": "x".repeat(100_000)})).unwrap();
    }
    let (mut found, mut start, mut pages) = (Vec::new(), None::<Value>, 0);
    loop {
        let mut query = db.query("events").partition_key("d");
        if let Some(key) = &start {
            query = query.exclusive_start_key(key);
        }
        let page = query.execute().unwrap();
        assert!(page.items.len() <= 11, "{} items", page.items.len());
        found.extend(pick(&page.items, "at"));
        pages += 1;
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(found, (0..40).map(Value::from).collect::<Vec<_>>());
    assert_eq!(pages, 4);
    assert_eq!(db.query("events").partition_key("d").count().unwrap(), 40, "counting knows no pages");
}

#[test]
fn segments_share_a_table_without_gap_or_repeat() {
    let db = events(KeyType::Number);
    for device in 0..50 {
        for at in 0..4 {
            db.put_item("events", json!({"device": format!("device {device}"), "at": at})).unwrap();
        }
    }
    for total in [1, 2, 3, 7, 100] {
        let mut all = Vec::new();
        for segment in 0..total {
            let mut start = None::<Value>;
            loop {
                let mut scan = db.scan("events").segment(segment, total).limit(7);
                if let Some(key) = &start {
                    scan = scan.exclusive_start_key(key);
                }
                let page = scan.execute().unwrap();
                all.extend(page.items);
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
            let streamed = db.scan("events").segment(segment, total).iter().unwrap().count();
            assert_eq!(streamed as u64, db.scan("events").segment(segment, total).count().unwrap());
        }
        let key = |item: &Value| (item["device"].as_str().unwrap().to_owned(), item["at"].as_i64());
        all.sort_by_key(key);
        assert_eq!(all, db.scan("events").execute().unwrap().items.clone().tap_sort(key), "{total} segments");
    }
    for segment in 0..3 {
        let items = db.scan("events").segment(segment, 3).execute().unwrap().items;
        let mut devices = pick(&items, "device");
        devices.dedup();
        assert_eq!(items.len(), 4 * devices.len(), "a partition is in one segment, whole");
    }
    let scan = |segment, total| refused(db.scan("events").segment(segment, total).execute());
    assert!(matches!(scan(4, 4), Invalid::Segment { segment: 4, total: 4 }));
    assert!(matches!(scan(0, 0), Invalid::Segment { .. }));
    assert!(matches!(scan(0, 1_000_001), Invalid::TotalSegments { .. }));
    let key = json!({"device": "device 1", "at": 1});
    let elsewhere = (0..2).filter(|&nth| {
        let scan = db.scan("events").segment(nth, 2).exclusive_start_key(&key).execute();
        matches!(scan, Err(Error::Validation(Invalid::StartKeySegment { .. })))
    });
    assert_eq!(elsewhere.count(), 1);
}

trait TapSort<T> {
    fn tap_sort<K: Ord>(self, key: impl Fn(&T) -> K) -> Vec<T>;
}

impl<T> TapSort<T> for Vec<T> {
    fn tap_sort<K: Ord>(mut self, key: impl Fn(&T) -> K) -> Vec<T> {
        self.sort_by_key(key);
        self
    }
}

#[test]
fn partition_keys_are_listed_once_each_whatever_is_in_them() {
    let db = events(KeyType::Number);
    for device in ["a", "ab", "abc", "b", "ÿ"] {
        for at in 0..50 {
            db.put_item("events", json!({"device": device, "at": at})).unwrap();
        }
    }
    let list = |prefix: &str, limit| db.list_partition_keys("events", prefix, limit).unwrap();
    assert_eq!(list("", 10), ["a", "ab", "abc", "b", "ÿ"]);
    assert_eq!(list("ab", 10), ["ab", "abc"]);
    assert_eq!(list("a", 2), ["a", "ab"]);
    assert_eq!(list("x", 2), Vec::<Value>::new());
    assert_eq!(list("", 0), Vec::<Value>::new());
    assert_eq!(db.snapshot().unwrap().list_partition_keys("events", "b", 9).unwrap(), ["b"]);

    let numbered = DynaMite::in_memory().unwrap();
    numbered.create_table("numbered").partition_key("n", KeyType::Number).execute().unwrap();
    for n in [3, 1, 2] {
        numbered.put_item("numbered", json!({"n": n})).unwrap();
    }
    assert_eq!(numbered.list_partition_keys("numbered", "", 2).unwrap(), [1, 2]);
    assert!(matches!(refused(numbered.list_partition_keys("numbered", "1", 2)), Invalid::BeginsWithNumber));
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    let db = things();
    create_events(&db, KeyType::Number);
    db.put_item("things", json!({"id": "old"})).unwrap();
    let before = db.put_item("things", json!({"id": "gone"})).unwrap();
    let version = db
        .batch_write()
        .put("things", json!({"id": "new"}))
        .delete("things", "gone")
        .delete("things", "never was")
        .put("events", json!({"device": "d", "at": 1}))
        .put_from("events", &json!({"device": "d", "at": 2}))
        .delete_sorted("events", "d", 3)
        .execute()
        .unwrap();
    assert!(version > before);
    let there = db
        .batch_get()
        .get("things", "gone")
        .get_sorted("events", "d", 2)
        .get("things", "new")
        .get("things", "old")
        .execute()
        .unwrap();
    assert_eq!(
        there,
        [None, Some(json!({"device": "d", "at": 2})), Some(json!({"id": "new"})), Some(json!({"id": "old"}))]
    );

    let failed = db
        .batch_write()
        .put("things", json!({"id": "x"}))
        .put("things", json!({"name": "without key"}))
        .execute()
        .unwrap_err();
    assert!(matches!(&failed, Error::Operation { operation: 1, .. }), "{failed:?}");
    let twice = db.batch_write().put("things", json!({"id": "x"})).delete("things", "x").execute();
    assert!(matches!(refused(twice), Invalid::Duplicates));
    let twice = db.batch_get().get("things", "x").get("things", "x").execute();
    assert!(matches!(refused(twice), Invalid::Duplicates));
    assert!(db.get_item("things").partition_key("x").execute().unwrap().is_none());
    assert_eq!(db.batch_get().execute().unwrap(), []);
    db.batch_write().execute().unwrap();
}

#[test]
fn an_item_one_byte_over_the_limit_is_refused_before_anything_is_written() {
    let db = things();
    // "id" + "a" + "text" leave 409,600 - 7 bytes.
    let item = |size: usize| json!({"id": "a", "text": "x".repeat(size)});
    db.put_item("things", item(409_593)).unwrap();
    let before = db.stats().commits;
    for refused in [db.put_item("things", item(409_594)), db.put_item_from("things", &item(409_594))] {
        assert!(matches!(refused, Err(Error::ItemTooLarge)), "{refused:?}");
    }
    assert_eq!(db.stats().commits, before);
    let found = db.get_item("things").partition_key("a").execute().unwrap().unwrap();
    assert_eq!(found["text"].as_str().unwrap().len(), 409_593);
}

#[test]
fn binary_and_number_keys_are_found_again() {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("blobs")
        .partition_key("hash", KeyType::Binary)
        .sort_key("part", KeyType::Binary)
        .execute()
        .unwrap();
    let keys: [&[u8]; 4] = [&[0], &[0, 0], &[0, 255], &[255, 255]];
    for hash in keys {
        for part in keys {
            let item = Item::from([
                ("hash".to_owned(), AttributeValue::B(hash.to_vec())),
                ("part".to_owned(), AttributeValue::B(part.to_vec())),
            ]);
            db.put_item("blobs", item).unwrap();
        }
    }
    for hash in keys {
        let page = db.query("blobs").partition_key(hash).execute_items().unwrap();
        let parts = page.items.iter().map(|item| item["part"].clone()).collect::<Vec<_>>();
        assert_eq!(parts, keys.map(|part| AttributeValue::B(part.to_vec())));
        let begins = db.query("blobs").partition_key(hash).sort_key_begins_with(&[0_u8][..]).count().unwrap();
        assert_eq!(begins, 3);
    }
    let item =
        db.get_item("blobs").partition_key(&[0_u8, 0][..]).sort_key(vec![255_u8, 255]).execute().unwrap();
    assert_eq!(item.unwrap()["part"], json!({"$binary": "//8="}));
}
