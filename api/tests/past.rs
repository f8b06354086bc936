//! Tables that keep their past: versions of items, reads as of a version or a time, and old versions that are put back.

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{create_things, directory, pick};
use dynamite_core::Error;
use dynamite_core::api::{DynaMite, GlobalIndex, ItemVersion, ManualClock};
use dynamite_core::error::{IndexError, Invalid, PastMoment};
use dynamite_core::types::KeyType;
use serde_json::{Value, json};

const NOW_MS: u64 = 1_700_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

/// A database in memory with the table `things`, which keeps its past for an hour, and its clock.
fn remembering() -> (DynaMite, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    db.create_table("things").partition_key("id", KeyType::String).history(HOUR).execute().unwrap();
    (db, clock)
}

fn put(db: &DynaMite, id: &str, n: u64) -> u64 {
    db.put_item("things", json!({"id": id, "n": n})).unwrap()
}

fn get(db: &DynaMite, id: &str) -> Option<Value> {
    db.get_item("things").partition_key(id).execute().unwrap()
}

fn history(db: &DynaMite, id: &str) -> Vec<ItemVersion> {
    db.item_history("things").partition_key(id).execute().unwrap()
}

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

#[test]
fn the_history_of_an_item_lists_its_versions_from_the_newest_on() {
    let (db, clock) = remembering();
    let mut expected = Vec::new();
    for n in 0..4 {
        clock.advance(10_000);
        expected.insert(
            0,
            (put(&db, "a", n), Some(at(NOW_MS + 10_000 * (n + 1))), Some(json!({"id": "a", "n": n}))),
        );
        put(&db, "b", n);
    }
    clock.advance(10_000);
    let deleted = db.transact(|txn| {
        txn.put_item("things", json!({"id": "a", "n": "never seen"}))?;
        txn.delete_item("things").partition_key("a").execute()?;
        Ok(txn.version())
    });
    expected.insert(0, (deleted.unwrap(), Some(at(NOW_MS + 50_000)), None));
    let found: Vec<_> =
        history(&db, "a").into_iter().map(|past| (past.version, past.time, past.item)).collect();
    assert_eq!(found, expected);
    let newest = db.item_history("things").partition_key("a").limit(2).execute_items().unwrap();
    assert_eq!(newest.len(), 2);
    assert_eq!((newest[0].item.as_ref(), newest[1].version), (None, expected[1].0));
    assert_eq!(history(&db, "c"), []);
}

#[test]
fn a_past_table_is_what_it_was() {
    let (db, clock) = remembering();
    let mut versions = Vec::new();
    for n in 0..10 {
        clock.advance(2_000);
        put(&db, "a", n);
        put(&db, "b", n);
        versions.push(put(&db, &format!("c{n}"), n));
    }
    clock.advance(2_000);
    db.delete_item("things").partition_key("a").execute().unwrap();
    for (n, version) in versions.iter().enumerate() {
        let time = at(NOW_MS + 2_000 * (n as u64 + 1) + 1_500);
        for past in [db.as_of("things", *version).unwrap(), db.as_of_time("things", time).unwrap()] {
            assert_eq!(past.version(), *version);
            assert_eq!(
                past.get_item().partition_key("a").execute().unwrap(),
                Some(json!({"id": "a", "n": n}))
            );
            let b = past.get_item_versioned().partition_key("b").execute().unwrap().unwrap();
            assert_eq!(b.item, json!({"id": "b", "n": n}));
            assert_eq!(past.scan().execute().unwrap().items.len(), 3 + n);
            assert_eq!(past.scan().count().unwrap(), 3 + n as u64);
            assert_eq!(past.scan().iter().unwrap().count(), 3 + n);
            assert_eq!(pick(&past.query().partition_key("b").execute().unwrap().items, "n"), [json!(n)]);
        }
    }
    // It stays, whatever becomes of the table.
    let past = db.as_of("things", versions[0]).unwrap();
    db.drop_table("things").unwrap();
    create_things(&db);
    db.maintain().unwrap();
    assert_eq!(past.scan().count().unwrap(), 3);
    let other = past.clone();
    drop(past);
    assert_eq!(other.get_item().partition_key("c0").execute().unwrap(), Some(json!({"id": "c0", "n": 0})));
    assert!(matches!(db.as_of("things", versions[1]), Err(Error::NoHistory { .. })));
}

#[test]
fn what_had_expired_is_not_in_the_past_either() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    let things = db.create_table("things").partition_key("id", KeyType::String);
    things.history(HOUR).ttl("end_s").execute().unwrap();
    let until = NOW_MS / 1000 + 10;
    let first = db.put_item("things", json!({"id": "a", "end_s": until})).unwrap();
    clock.advance(12_000);
    let second = put(&db, "b", 1);
    clock.advance(2_000);
    db.maintain().unwrap();
    let third = put(&db, "c", 1);
    let count = |version| db.as_of("things", version).unwrap().scan().count().unwrap();
    assert_eq!([first, second, third].map(count), [1, 1, 2]);
    let count_at = |ms| db.as_of_time("things", at(NOW_MS + ms)).unwrap().scan().count().unwrap();
    assert_eq!([10_999, 11_000].map(count_at), [1, 0]);
    // The history shows what was stored.
    let past: Vec<_> = history(&db, "a").into_iter().map(|past| past.item.is_some()).collect();
    assert_eq!(past, [false, true]);
}

#[test]
fn the_past_ends_where_the_duration_does() {
    let (db, clock) = remembering();
    let mut written = Vec::new();
    for n in 0..60 {
        clock.advance(120_000);
        written.push((put(&db, "a", n), NOW_MS + 120_000 * (n + 1)));
        db.maintain().unwrap();
    }
    let now = written.last().unwrap().1;
    let kept = history(&db, "a");
    assert!((30..=32).contains(&kept.len()), "{} versions", kept.len());
    for (n, (version, time)) in written.iter().enumerate() {
        let results = [db.as_of("things", *version), db.as_of_time("things", at(*time))];
        for (result, asked) in
            results.into_iter().zip([PastMoment::Version(*version), PastMoment::TimeMs(*time)])
        {
            match result {
                Ok(past) => {
                    assert!(time + 3_600_000 + 120_000 >= now, "version {n} is too old");
                    let found = past.get_item().partition_key("a").execute().unwrap();
                    assert_eq!(found, Some(json!({"id": "a", "n": n})));
                }
                Err(Error::BeyondHistory { table, asked: refused, .. }) => {
                    assert_eq!((table.as_str(), refused), ("things", asked));
                    assert!(time + 3_600_000 < now, "version {n} is young enough");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(matches!(db.as_of_time("things", UNIX_EPOCH), Err(Error::BeyondHistory { .. })));
    // A past that is looked at stays.
    let past = db.as_of("things", written[50].0).unwrap();
    clock.advance(10 * 3_600_000);
    put(&db, "a", 61);
    clock.advance(2_000);
    put(&db, "a", 62);
    db.maintain().unwrap();
    assert_eq!(past.get_item().partition_key("a").execute().unwrap().unwrap()["n"], 50);
}

#[test]
fn the_duration_can_be_changed() {
    let (db, clock) = remembering();
    assert_eq!(db.describe_table("things").unwrap().history, Some(HOUR));
    for n in 0..40 {
        clock.advance(60_000);
        put(&db, "a", n);
    }
    assert_eq!(history(&db, "a").len(), 40);
    db.update_table("things").history(HOUR / 6).execute().unwrap();
    assert_eq!(db.describe_table("things").unwrap().history, Some(HOUR / 6));
    put(&db, "a", 40);
    db.maintain().unwrap();
    let kept = history(&db, "a").len();
    assert!((10..=12).contains(&kept), "{kept} versions");
    db.update_table("things").history(2 * HOUR).ttl("end").execute().unwrap();
    for n in 41..141 {
        clock.advance(60_000);
        put(&db, "a", n);
        db.maintain().unwrap();
    }
    assert_eq!(history(&db, "a").len(), kept + 100);
}

#[test]
fn a_history_can_begin_later() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
    let before: Vec<u64> = (0..5).map(|n| put(&db, "a", n)).collect();
    put(&db, "untouched", 1);
    // A snapshot holds an old version, which the history would otherwise show.
    let snapshot = db.snapshot().unwrap();
    put(&db, "a", 5);
    let last_before = put(&db, "a", 6);
    clock.advance(10_000);
    db.update_table("things").history(HOUR).execute().unwrap();
    assert_eq!(db.describe_table("things").unwrap().history, Some(HOUR));
    let first = put(&db, "a", 7);
    clock.advance(10_000);
    put(&db, "a", 8);

    let told: Vec<_> = history(&db, "a").into_iter().map(|past| past.item.unwrap()["n"].clone()).collect();
    assert_eq!(told, [8, 7, 6]);
    let told: Vec<_> =
        history(&db, "untouched").into_iter().map(|past| past.item.unwrap()["n"].clone()).collect();
    assert_eq!(told, [1]);
    for version in [before[0], before[4], last_before] {
        match db.as_of("things", version) {
            Err(Error::BeyondHistory { table, asked, oldest: Some(oldest) }) => {
                assert_eq!((&*table, asked), ("things", PastMoment::Version(version)));
                assert!(last_before < oldest && oldest < first, "{oldest}");
                let past = db.as_of("things", oldest).unwrap();
                let a = past.get_item().partition_key("a").execute().unwrap().unwrap();
                assert_eq!(a["n"], 6);
                assert_eq!(past.scan().execute().unwrap().items.len(), 2);
            }
            other => panic!("{other:?}"),
        }
    }
    let long_ago = db.as_of_time("things", at(NOW_MS));
    assert!(matches!(long_ago, Err(Error::BeyondHistory { .. })), "{long_ago:?}");
    let past = db.as_of_time("things", at(NOW_MS + 15_000)).unwrap();
    assert_eq!(past.get_item().partition_key("a").execute().unwrap().unwrap()["n"], 7);
    // The snapshot sees what it saw.
    let a = snapshot.get_item("things").partition_key("a").execute().unwrap().unwrap();
    assert_eq!(a["n"], 4);
    assert_eq!(db.check_belongings().unwrap(), Vec::<String>::new());
}

#[test]
fn an_old_version_is_put_back_as_a_new_one() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    let things = db.create_table("things").partition_key("id", KeyType::String).history(HOUR);
    things.ttl("end").stream(dynamite_core::api::StreamView::NewImage).execute().unwrap();
    let first = put(&db, "a", 1);
    put(&db, "a", 2);
    db.delete_item("things").partition_key("a").execute().unwrap();
    let deleted = history(&db, "a")[0].version;
    let restore = |version| db.restore_version("things", version).partition_key("a").execute();
    let restored = restore(first).unwrap();
    assert!(restored > deleted);
    assert_eq!(get(&db, "a"), Some(json!({"id": "a", "n": 1})));
    assert_eq!(history(&db, "a")[0].version, restored);
    // What belongs to the item goes along.
    let records = db.stream("things").poll(10).unwrap().records;
    assert_eq!(records.last().unwrap().new_image, Some(json!({"id": "a", "n": 1})));
    restore(deleted).unwrap();
    assert_eq!(get(&db, "a"), None);
    db.transact(|txn| {
        txn.restore_version("things", restored).partition_key("a").execute()?;
        assert!(txn.get_item("things").partition_key("a").execute()?.is_some());
        Ok(())
    })
    .unwrap();
    assert_eq!(get(&db, "a"), Some(json!({"id": "a", "n": 1})));
    for version in [0, first - 1, u64::MAX] {
        match restore(version) {
            Err(Error::NoSuchVersion { version: refused, .. }) => assert_eq!(refused, version),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(db.check_belongings().unwrap(), Vec::<String>::new());
}

#[test]
fn mistakes_are_clear_errors() {
    let (db, _) = remembering();
    let version = put(&db, "a", 1);
    db.create_table("plain").partition_key("id", KeyType::String).execute().unwrap();
    let no_history = |result: Result<(), Error>| match result {
        Err(Error::NoHistory { table }) => assert_eq!(table, "plain"),
        other => panic!("{other:?}"),
    };
    no_history(db.as_of("plain", version).map(drop));
    no_history(db.as_of_time("plain", at(NOW_MS)).map(drop));
    no_history(db.item_history("plain").partition_key("a").execute().map(drop));
    no_history(db.restore_version("plain", version).partition_key("a").execute().map(drop));
    let missing = |result: Result<(), Error>| assert!(matches!(result, Err(Error::TableNotFound { .. })));
    missing(db.as_of("missing", version).map(drop));
    missing(db.as_of_time("missing", at(NOW_MS)).map(drop));
    missing(db.item_history("missing").partition_key("a").execute().map(drop));
    missing(db.restore_version("missing", version).partition_key("a").execute().map(drop));
    match db.as_of("things", version + 1_000) {
        Err(Error::NotYet { asked, newest }) => {
            assert_eq!(asked, PastMoment::Version(version + 1_000));
            assert!(newest >= version);
        }
        other => panic!("{other:?}"),
    }
    let later = db.as_of_time("things", at(NOW_MS + 1));
    assert!(matches!(later, Err(Error::NotYet { asked: PastMoment::TimeMs(_), .. })));
    for refused in [
        db.create_table("more").partition_key("id", KeyType::String).history(Duration::ZERO).execute(),
        db.update_table("things").history(Duration::from_micros(1)).execute(),
    ] {
        assert!(matches!(refused, Err(Error::Validation(Invalid::History))));
    }
    let refused = db.item_history("things").partition_key("a").limit(0).execute();
    assert!(matches!(refused, Err(Error::Validation(Invalid::Limit))));
    let refused = db.item_history("things").partition_key(1).execute();
    assert!(matches!(refused, Err(Error::Validation(Invalid::KeySchema))));
}

#[test]
fn indexes_have_no_past_and_say_so() {
    let db = DynaMite::in_memory().unwrap();
    let things = db.create_table("things").partition_key("id", KeyType::String).history(HOUR);
    things.global_index(GlobalIndex::new("by_n").partition_key("n", KeyType::Number)).execute().unwrap();
    let version = put(&db, "a", 1);
    let past = db.as_of("things", version).unwrap();
    let refused = |result: Result<(), Error>| match result {
        Err(Error::Validation(Invalid::Index(IndexError::NoHistory { index }))) => assert_eq!(index, "by_n"),
        other => panic!("{other:?}"),
    };
    refused(past.query().index("by_n").partition_key(1).execute().map(drop));
    refused(past.query().index("by_n").partition_key(1).iter().map(drop));
    refused(past.scan().index("by_n").execute().map(drop));
    refused(past.scan().index("by_n").count().map(drop));
    assert_eq!(past.scan().count().unwrap(), 1);
    // A version that is put back is in the index again.
    put(&db, "a", 2);
    db.restore_version("things", version).partition_key("a").execute().unwrap();
    let found = db.query("things").index("by_n").partition_key(1).execute().unwrap();
    assert_eq!(found.items, [json!({"id": "a", "n": 1})]);
}

#[test]
fn the_past_survives_closing() {
    let directory = directory();
    let path = directory.path().join("db");
    let db = DynaMite::create(&path).unwrap();
    db.create_table("things").partition_key("id", KeyType::String).history(HOUR).execute().unwrap();
    let first = put(&db, "a", 1);
    put(&db, "a", 2);
    let stored = |db: &DynaMite| {
        history(db, "a").into_iter().map(|past| (past.version, past.item)).collect::<Vec<_>>()
    };
    let before = stored(&db);
    db.close().unwrap();
    let db = DynaMite::builder().read_only(true).open(&path).unwrap();
    assert_eq!(stored(&db), before);
    let past = db.as_of("things", first).unwrap();
    assert_eq!(past.get_item().partition_key("a").execute().unwrap(), Some(json!({"id": "a", "n": 1})));
}
