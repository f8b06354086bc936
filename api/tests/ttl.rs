//! Items that expire: gone for everybody in the second behind the one that they name, deleted when nobody waits for it.

mod common;

use std::sync::Arc;

use common::{directory, pick};
use dynamite_core::api::{DynaMite, ManualClock, ReturnValues};
use dynamite_core::error::Invalid;
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Error};
use serde_json::{Value, json};

/// The second at which the tests begin.
const NOW: u64 = 1_700_000_000;
const FIVE_YEARS: u64 = 5 * 365 * 24 * 60 * 60;

/// A database in memory with the table `things`, whose items expire by `expires`, and its clock.
fn expiring() -> (DynaMite, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW * 1000));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    db.create_table("things").partition_key("id", KeyType::String).ttl("expires").execute().unwrap();
    (db, clock)
}

fn put(db: &DynaMite, id: &str, until: impl Into<Value>) -> u64 {
    db.put_item("things", json!({"id": id, "expires": until.into()})).unwrap()
}

fn get(db: &DynaMite, id: &str) -> Option<Value> {
    db.get_item("things").partition_key(id).execute().unwrap()
}

#[track_caller]
fn check_sound(db: &DynaMite) {
    assert_eq!(db.check_belongings().unwrap(), Vec::<String>::new());
}

fn stored(db: &DynaMite) -> u64 {
    db.describe_table("things").unwrap().item_count
}

#[test]
fn an_item_is_there_in_the_second_that_it_names_and_gone_in_the_next() {
    let (db, clock) = expiring();
    put(&db, "a", NOW + 10);
    clock.set((NOW + 10) * 1000 + 999);
    assert!(get(&db, "a").is_some());
    clock.advance(1);
    assert_eq!(get(&db, "a"), None);
    assert_eq!(stored(&db), 1);
    db.maintain().unwrap();
    assert_eq!(stored(&db), 0);
    check_sound(&db);
}

#[test]
fn only_numbers_of_the_last_five_years_expire() {
    let (db, clock) = expiring();
    let never = [
        json!((NOW - 1).to_string()),
        json!(null),
        json!(true),
        json!([NOW - 1]),
        json!({"at": NOW - 1}),
        json!(-1),
        json!(0),
        json!(NOW - FIVE_YEARS - 1),
        json!(u64::MAX),
        json!({"$number": "1e100"}),
        json!(NOW),
        json!(NOW as f64 + 0.5),
    ];
    for (nth, until) in never.iter().enumerate() {
        put(&db, &format!("kept {nth}"), until.clone());
    }
    db.put_item("things", json!({"id": "without"})).unwrap();
    for (nth, until) in [json!(NOW - 1), json!(NOW - FIVE_YEARS), json!(NOW as f64 - 0.5)].iter().enumerate()
    {
        put(&db, &format!("gone {nth}"), until.clone());
        assert_eq!(get(&db, &format!("gone {nth}")), None, "{until}");
    }
    check_sound(&db);
    db.maintain().unwrap();
    assert_eq!(db.scan("things").count().unwrap(), never.len() as u64 + 1);
    assert_eq!(stored(&db), never.len() as u64 + 1);
    // What is five years old now was meant as a time once.
    clock.advance(1_000);
    db.maintain().unwrap();
    assert_eq!(stored(&db), never.len() as u64 - 1);
    check_sound(&db);
}

#[test]
fn no_operation_sees_an_expired_item() {
    let clock = Arc::new(ManualClock::at(NOW * 1000));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    let events = db.create_table("events").partition_key("device", KeyType::String);
    events.sort_key("at", KeyType::Number).ttl("expires").execute().unwrap();
    for at in 0..10 {
        // Every other one is short-lived, and one device has no others.
        let until = if at % 2 == 0 { NOW } else { NOW + 100 };
        db.put_item("events", json!({"device": "a", "at": at, "expires": until})).unwrap();
        db.put_item("events", json!({"device": "b", "at": at, "expires": NOW})).unwrap();
    }
    clock.advance(1_000);

    let odd = [json!(1), json!(3), json!(5), json!(7), json!(9)];
    let query = || db.query("events").partition_key("a");
    assert_eq!(pick(&query().execute().unwrap().items, "at"), odd);
    let page = query().limit(2).execute().unwrap();
    assert_eq!((pick(&page.items, "at"), page.scanned_count), (odd[..2].to_vec(), 2));
    let rest = query().exclusive_start_key(page.last_evaluated_key.unwrap()).execute().unwrap();
    assert_eq!(pick(&rest.items, "at"), odd[2..]);
    assert_eq!(query().count().unwrap(), 5);
    assert_eq!(query().iter().unwrap().map(Result::unwrap).count(), 5);
    assert_eq!(db.scan("events").execute().unwrap().scanned_count, 5);
    assert_eq!(db.scan("events").iter().unwrap().count(), 5);
    assert_eq!(db.scan("events").count().unwrap(), 5);
    assert_eq!(db.list_partition_keys("events", "", 10).unwrap(), [json!("a")]);
    let got = db.batch_get().get_sorted("events", "a", 0).get_sorted("events", "a", 1).execute().unwrap();
    assert_eq!((got[0].is_some(), got[1].is_some()), (false, true));
    assert!(db.get_item_versioned("events").partition_key("a").sort_key(0).execute().unwrap().is_none());
    db.transact(|txn| {
        assert_eq!(txn.query("events").partition_key("a").execute()?.items.len(), 5);
        assert_eq!(txn.scan("events").iter()?.count(), 5);
        assert!(txn.get_item("events").partition_key("a").sort_key(0).execute()?.is_none());
        let got = txn.batch_get().get_sorted("events", "a", 0).get_sorted("events", "a", 1).execute()?;
        assert_eq!((got[0].is_some(), got[1].is_some()), (false, true));
        Ok(())
    })
    .unwrap();
    // All of it is still stored.
    assert_eq!(db.describe_table("events").unwrap().item_count, 20);
}

#[test]
fn writes_find_no_item_where_one_has_expired() {
    let (db, clock) = expiring();
    let old = put(&db, "a", NOW);
    clock.advance(1_000);
    assert!(!db.delete_item("things").partition_key("a").execute().unwrap());
    let refused = db.delete_item("things").partition_key("a").if_version(old).execute();
    assert!(matches!(refused, Err(Error::VersionConflict { actual: None, .. })));
    let refused = db.put_item_versioned("things", json!({"id": "a"}), Some(old));
    assert!(matches!(refused, Err(Error::VersionConflict { actual: None, .. })));
    let refused = db.put("things").item(json!({"id": "a"})).condition("attribute_exists(id)").execute();
    assert!(matches!(refused, Err(Error::ConditionFailed { item: None })));
    db.put("things")
        .item(json!({"id": "a", "expires": NOW + 1}))
        .condition("attribute_not_exists(id)")
        .execute()
        .unwrap();

    clock.advance(1_000);
    // An update makes a new item of the key, and knows nothing of the old one.
    let update = db.update_item("things").partition_key("a").update("SET seen = :one").value(":one", 1);
    let updated = update.return_values(ReturnValues::AllOld).execute().unwrap();
    assert_eq!(updated.attributes, None);
    assert_eq!(get(&db, "a"), Some(json!({"id": "a", "seen": 1})));
    check_sound(&db);
    put(&db, "a", NOW + 2);
    clock.advance(1_000);
    assert!(db.put_item_versioned("things", json!({"id": "a", "expires": NOW + 9}), Some(0)).is_ok());
    check_sound(&db);
    db.maintain().unwrap();
    assert!(get(&db, "a").is_some());
}

#[test]
fn an_update_that_postpones_the_end_keeps_the_item() {
    let (db, clock) = expiring();
    put(&db, "a", NOW);
    let update = db.update_item("things").partition_key("a").update("SET expires = :later");
    update.value(":later", NOW + 100).execute().unwrap();
    clock.advance(5_000);
    db.maintain().unwrap();
    assert!(get(&db, "a").is_some());
    db.update_item("things").partition_key("a").update("REMOVE expires").execute().unwrap();
    check_sound(&db);
    clock.advance(1_000_000);
    db.maintain().unwrap();
    assert!(get(&db, "a").is_some());
    check_sound(&db);
}

#[test]
fn a_snapshot_judges_by_the_moment_at_which_it_was_taken() {
    let (db, clock) = expiring();
    put(&db, "a", NOW);
    let before = db.snapshot().unwrap();
    let mut stream = db.scan("things").iter().unwrap();
    clock.advance(1_000);
    let after = db.snapshot().unwrap();
    db.maintain().unwrap();
    assert_eq!(stored(&db), 0);
    clock.set(0);
    let seen = |snapshot: &dynamite_core::api::Snapshot| snapshot.scan("things").count().unwrap();
    assert_eq!((seen(&before), seen(&after)), (1, 0));
    assert_eq!(before.scan("things").iter().unwrap().count(), 1);
    assert_eq!(after.scan("things").iter().unwrap().count(), 0);
    assert!(stream.next().is_some());
}

#[test]
fn a_transaction_judges_by_one_moment() {
    let (db, clock) = expiring();
    put(&db, "a", NOW);
    db.transact(|txn| {
        let is_there = || Ok::<_, Error>(txn.get_item("things").partition_key("a").execute()?.is_some());
        assert!(is_there()?);
        clock.advance(1_000);
        assert!(is_there()?);
        assert!(txn.delete_item("things").partition_key("a").execute()?);
        Ok(())
    })
    .unwrap();
    check_sound(&db);
}

#[test]
fn many_are_deleted_in_bounded_steps() {
    let (db, clock) = expiring();
    for batch in 0..10 {
        let items = (0..100).map(|nth| json!({"id": format!("{batch} {nth}"), "expires": NOW + batch / 5}));
        items.fold(db.batch_write(), |write, item| write.put("things", item)).execute().unwrap();
    }
    clock.advance(1_000);
    let commits = || db.stats().commits;
    let before = commits();
    db.maintain().unwrap();
    assert_eq!(stored(&db), 500);
    assert!(commits() - before >= 500 / 128, "{} commits", commits() - before);
    check_sound(&db);
    clock.advance(1_000);
    db.maintain().unwrap();
    assert_eq!(stored(&db), 0);
}

#[test]
fn the_background_deletes_by_itself() {
    let directory = directory();
    let clock = Arc::new(ManualClock::at(NOW * 1000));
    let db = DynaMite::builder().clock(clock.clone()).create(directory.path().join("db")).unwrap();
    db.create_table("things").partition_key("id", KeyType::String).ttl("expires").execute().unwrap();
    let wait_until = |count: u64| {
        while stored(&db) != count {
            std::thread::yield_now();
        }
    };
    // One that is due at once wakes it.
    put(&db, "a", NOW - 1);
    put(&db, "b", NOW + 5);
    wait_until(1);
    clock.advance(6_000);
    wait_until(0);
    db.close().unwrap();
}

#[test]
fn ttl_that_is_turned_on_holds_at_once_for_items_that_are_there() {
    let clock = Arc::new(ManualClock::at(NOW * 1000));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    common::create_things(&db);
    for nth in 0..2_000 {
        put(&db, &format!("{nth:04}"), NOW + nth % 4);
    }
    assert_eq!(db.describe_table("things").unwrap().ttl, None);
    let before = db.snapshot().unwrap();
    clock.advance(1_000);
    assert_eq!(db.scan("things").count().unwrap(), 2_000);
    db.update_table("things").ttl("expires").execute().unwrap();
    assert_eq!(db.describe_table("things").unwrap().ttl.as_deref(), Some("expires"));
    assert_eq!(db.scan("things").count().unwrap(), 1_500);
    // Writes before, at and behind the place up to which the table was gone through.
    put(&db, "0000", NOW + 50);
    put(&db, "1999", NOW + 50);
    db.delete_item("things").partition_key("0001").execute().unwrap();
    db.delete_item("things").partition_key("1998").execute().unwrap();
    check_sound(&db);
    db.maintain().unwrap();
    check_sound(&db);
    assert_eq!(stored(&db), db.scan("things").count().unwrap());
    assert_eq!(stored(&db), 1_499);
    assert_eq!(before.scan("things").count().unwrap(), 2_000);
    clock.advance(10_000);
    db.maintain().unwrap();
    assert_eq!(stored(&db), 2);
    check_sound(&db);
}

#[test]
fn ttl_that_is_turned_off_lets_what_was_not_deleted_be_seen_again() {
    let (db, clock) = expiring();
    put(&db, "a", NOW);
    clock.advance(1_000);
    assert_eq!(get(&db, "a"), None);
    let while_on = db.snapshot().unwrap();
    db.update_table("things").no_ttl().execute().unwrap();
    assert!(get(&db, "a").is_some());
    assert!(while_on.get_item("things").partition_key("a").execute().unwrap().is_none());
    db.maintain().unwrap();
    assert_eq!(stored(&db), 1);
    // By another attribute from now on.
    db.update_table("things").ttl("end").execute().unwrap();
    db.put_item("things", json!({"id": "b", "end": NOW})).unwrap();
    assert!(get(&db, "a").is_some());
    assert_eq!(get(&db, "b"), None);
    db.maintain().unwrap();
    assert_eq!(stored(&db), 1);
    check_sound(&db);
}

#[test]
fn mistakes_get_dynamodbs_words() {
    let (db, _) = expiring();
    #[track_caller]
    fn check(result: Result<(), Error>, text: &str) {
        assert_eq!(result.unwrap_err().to_string(), text);
    }
    check(db.update_table("things").ttl("expires").execute(), "TimeToLive is already enabled");
    check(
        db.update_table("things").ttl("other").execute(),
        "TimeToLive is active on a different AttributeName: current AttributeName is expires",
    );
    db.update_table("things").no_ttl().execute().unwrap();
    check(db.update_table("things").no_ttl().execute(), "TimeToLive is already disabled");
    for name in [String::new(), "x".repeat(256)] {
        let refused = db.update_table("things").ttl(&name).execute();
        assert!(matches!(refused, Err(Error::Validation(Invalid::TtlAttribute { .. }))));
        let refused = db.create_table("more").partition_key("id", KeyType::String).ttl(&name).execute();
        assert!(matches!(refused, Err(Error::Validation(Invalid::TtlAttribute { .. }))));
    }
    let refused = db.update_table("things").execute();
    assert!(matches!(refused, Err(Error::Validation(Invalid::NoUpdate))));
    let refused = db.update_table("missing").ttl("a").execute();
    assert!(matches!(refused, Err(Error::TableNotFound { .. })));
}

#[test]
fn a_dropped_table_takes_its_queue_along() {
    let (db, clock) = expiring();
    put(&db, "a", NOW);
    db.drop_table("things").unwrap();
    assert_eq!(db.list_tables().unwrap(), Vec::<String>::new());
    common::create_things(&db);
    put(&db, "a", NOW);
    clock.advance(1_000);
    db.maintain().unwrap();
    assert!(get(&db, "a").is_some());
    db.update_table("things").ttl("expires").execute().unwrap();
    db.maintain().unwrap();
    assert_eq!(stored(&db), 0);
    check_sound(&db);
}

#[test]
fn a_key_can_be_the_time_of_the_end() {
    let clock = Arc::new(ManualClock::at(NOW * 1000));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    let table = db.create_table("events").partition_key("device", KeyType::String);
    table.sort_key("at", KeyType::Number).ttl("at").execute().unwrap();
    let item = |at: u64| {
        std::collections::BTreeMap::from([
            ("device".to_owned(), AttributeValue::from("a")),
            ("at".to_owned(), AttributeValue::from(at)),
        ])
    };
    for at in 0..20 {
        db.put_item("events", item(NOW + at)).unwrap();
    }
    clock.advance(10_000);
    assert_eq!(db.query("events").partition_key("a").count().unwrap(), 10);
    db.maintain().unwrap();
    assert_eq!(db.describe_table("events").unwrap().item_count, 10);
}
