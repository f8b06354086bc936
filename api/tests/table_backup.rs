//! Backups of tables: they are what the table was at one moment, outlive it and the process, and are restored whole.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use common::directory;
use dynamite_core::api::{
    Clock, DynaMite, GlobalIndex, IndexState, LocalIndex, ManualClock, Projection, StreamView,
};
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Error, Item};
use serde_json::{Value, json};

const NOW_MS: u64 = 1_700_000_000_000;

fn create(db: &DynaMite, name: &str) {
    let table = db.create_table(name).partition_key("p", KeyType::String).sort_key("s", KeyType::Number);
    let global = GlobalIndex::new("by_g")
        .partition_key("g", KeyType::String)
        .hashed_ties()
        .projection(Projection::KeysOnly);
    let table =
        table.local_index(LocalIndex::new("by_l").sort_key("l", KeyType::Number)).global_index(global);
    table.ttl("end").stream(StreamView::KeysOnly).execute().unwrap();
}

fn item(n: u64, round: u64) -> Value {
    json!({"p": format!("p{}", n % 7), "s": n, "l": n % 5, "g": format!("g{}", n % 3), "round": round, "x": "x".repeat(2_000)})
}

fn items(db: &DynaMite, table: &str) -> Vec<Value> {
    db.scan(table).iter().unwrap().collect::<Result<_, _>>().unwrap()
}

/// Finishes the indexes that are being built, and checks all that is derived.
fn check(db: &DynaMite, table: &str, count: usize) {
    db.maintain().unwrap();
    let described = db.describe_table(table).unwrap();
    assert!(described.indexes.iter().all(|index| index.state == IndexState::Active), "{described:?}");
    assert!(
        described.indexes.iter().all(|index| index.hashed_ties == (index.name == "by_g")),
        "{described:?}"
    );
    let by_g: usize = ["g0", "g1", "g2"]
        .map(|g| db.query(table).index("by_g").partition_key(g).count().unwrap() as usize)
        .iter()
        .sum();
    let by_l = db.query(table).index("by_l").partition_key("p1").count().unwrap();
    let p1 = db.query(table).partition_key("p1").count().unwrap();
    assert_eq!((by_g, by_l), (count, p1));
    assert_eq!(db.check_belongings().unwrap(), Vec::<String>::new());
    assert_eq!(db.verify_indexes(&mut |_| {}).unwrap(), []);
}

#[test]
fn a_backup_outlives_its_table_and_the_process() {
    let directory = directory();
    let path = directory.path().join("db");
    let db = DynaMite::builder().background(false).create(&path).unwrap();
    create(&db, "things");
    for n in 0..3_000 {
        db.put_item("things", item(n, 0)).unwrap();
    }
    let expected = items(&db, "things");
    let described = db.describe_table("things").unwrap();
    let backup = db.create_table_backup("things", "first").unwrap();
    assert_eq!((&*backup.name, &backup.table), ("first", &described));
    db.put_item("things", item(1, 1)).unwrap();
    let second = db.create_table_backup("things", "first").unwrap();
    assert_ne!(backup.id, second.id);
    db.drop_table("things").unwrap();
    assert_eq!(db.list_tables().unwrap(), Vec::<String>::new());
    db.close().unwrap();

    let db = DynaMite::builder().background(false).open(&path).unwrap();
    db.maintain().unwrap();
    let mut found = db.list_table_backups().unwrap();
    found.sort_by(|a, b| a.table.item_count.cmp(&b.table.item_count).then(a.id.cmp(&b.id)));
    assert_eq!(found.len(), 2);
    assert_eq!(db.describe_table_backup(&backup.id).unwrap(), backup);
    db.restore_table("again").from_backup(&backup.id).execute().unwrap();
    assert!(items(&db, "again") == expected);
    check(&db, "again", 3_000);
    let restored = db.describe_table("again").unwrap();
    assert_eq!((restored.keys, restored.item_count), (described.keys, described.item_count));
    assert_eq!((restored.ttl, restored.stream), (None, None));
    // It is a table like others: its indexes follow.
    db.put_item("again", item(5_000, 0)).unwrap();
    db.delete_item("again").partition_key("p1").sort_key(1).execute().unwrap();
    check(&db, "again", 3_000);

    db.restore_table("plain").from_backup(&second.id).global_indexes([]).local_indexes([]).execute().unwrap();
    assert_eq!(db.describe_table("plain").unwrap().indexes, []);
    let mut expected = expected;
    expected.iter_mut().filter(|found| found["s"] == 1).for_each(|found| *found = item(1, 1));
    assert!(items(&db, "plain") == expected);

    assert_eq!(db.delete_table_backup(&backup.id).unwrap(), backup);
    for refused in [
        db.delete_table_backup(&backup.id).map(drop),
        db.describe_table_backup(&backup.id).map(drop),
        db.restore_table("more").from_backup(&backup.id).execute(),
    ] {
        assert!(
            matches!(&refused, Err(Error::BackupNotFound { backup: id }) if *id == backup.id),
            "{refused:?}"
        );
    }
    assert_eq!(db.list_table_backups().unwrap(), std::slice::from_ref(&second));
    let refused = db.restore_table("again").from_backup(&second.id).execute();
    assert!(matches!(refused, Err(Error::TableExists { .. })));
    let refused = db.restore_table("more").from_backup(&second.id).global_indexes(["by_l"]).execute();
    assert!(matches!(&refused, Err(Error::IndexNotFound { index, .. }) if index == "by_l"), "{refused:?}");
    assert!(matches!(db.create_table_backup("gone", "b"), Err(Error::TableNotFound { .. })));
    assert!(matches!(db.create_table_backup("\0backup\0", "b"), Err(Error::TableNotFound { .. })));
}

/// Transfers keep a sum; a backup that is not of one moment would not have it.
#[test]
fn a_backup_is_of_one_moment() {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("accounts").partition_key("id", KeyType::Number).execute().unwrap();
    for id in 0..2_000 {
        db.put_item("accounts", json!({"id": id, "balance": 100, "x": "x".repeat(1_000)})).unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (db, done) = (db.clone(), done.clone());
        move || {
            let mut transfers: u64 = 0;
            while !done.load(Ordering::Relaxed) {
                let (from, to) = (transfers % 2_000, (transfers * 7 + 1_999) % 2_000);
                db.transact(|txn| {
                    for (id, by) in [(from, -1), (to, 1)] {
                        let found = txn.get_item("accounts").partition_key(id).execute()?.unwrap();
                        let balance = found["balance"].as_i64().unwrap() + by;
                        txn.put_item("accounts", json!({"id": id, "balance": balance, "x": found["x"]}))?;
                    }
                    Ok(())
                })
                .unwrap();
                transfers += 1;
            }
            transfers
        }
    });
    for round in 0..5 {
        let backup = db.create_table_backup("accounts", "while transfers go on").unwrap();
        let name = format!("restored{round}");
        db.restore_table(&name).from_backup(&backup.id).execute().unwrap();
        let balances: Vec<i64> =
            items(&db, &name).iter().map(|account| account["balance"].as_i64().unwrap()).collect();
        assert_eq!((balances.len(), balances.iter().sum::<i64>()), (2_000, 200_000));
    }
    done.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 0);
}

#[test]
fn a_table_is_restored_as_it_was_at_a_time() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    create(&db, "things");
    for n in 0..50 {
        db.put_item("things", item(n, 0)).unwrap();
    }
    db.update_table("things").history(Duration::from_secs(3600)).execute().unwrap();
    let mut states = BTreeMap::new();
    for round in 1..8 {
        clock.advance(10_000);
        db.put_item("things", item(round * 2, round)).unwrap();
        db.delete_item("things").partition_key(format!("p{}", round % 7)).sort_key(round).execute().unwrap();
        clock.advance(10_000);
        states.insert(round, (clock.now_ms(), items(&db, "things")));
    }
    for (round, (ms, expected)) in &states {
        let name = format!("at{round}");
        let time = UNIX_EPOCH + Duration::from_millis(*ms);
        db.restore_table(&name).from_past("things", time).execute().unwrap();
        assert!(items(&db, &name) == *expected, "{round}");
        check(&db, &name, expected.len());
    }
    db.restore_table("latest").from_table("things").execute().unwrap();
    assert!(items(&db, "latest") == states[&7].1);
    let early = db.restore_table("early").from_past("things", UNIX_EPOCH + Duration::from_millis(NOW_MS - 1));
    assert!(matches!(early.execute(), Err(Error::BeyondHistory { .. })));
    let early = db.restore_table("early").from_past("latest", UNIX_EPOCH + Duration::from_millis(NOW_MS));
    assert!(matches!(early.execute(), Err(Error::NoHistory { .. })));
    assert!(matches!(db.describe_table("early"), Err(Error::TableNotFound { .. })));
}

#[test]
fn a_restored_table_is_new_and_keeps_what_a_front_end_keeps_with_it() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    let kept = Item::from([("kept".to_owned(), AttributeValue::from("by a front end"))]);
    let table = db.create_table("things").partition_key("p", KeyType::String);
    table.metadata(kept.clone()).execute().unwrap();
    let backup = db.create_table_backup("things", "first").unwrap();
    assert_eq!((backup.created_ms, backup.table.created_ms), (NOW_MS, Some(NOW_MS)));
    clock.advance(5_000);
    db.restore_table("again").from_backup(&backup.id).execute().unwrap();
    let again = db.describe_table("again").unwrap();
    assert_eq!((again.created_ms, again.metadata), (Some(NOW_MS + 5_000), kept));
    let other = Item::from([("kept".to_owned(), AttributeValue::from(2))]);
    db.restore_table("other").from_backup(&backup.id).metadata(other.clone()).execute().unwrap();
    assert_eq!(db.describe_table("other").unwrap().metadata, other);
    for name in ["a", "", "no spaces", "\0backup\0x"] {
        let refused = db.restore_table(name).from_backup(&backup.id).execute();
        assert!(matches!(refused, Err(Error::Validation(_))), "{name:?}: {refused:?}");
    }
    assert_eq!(db.list_tables().unwrap(), ["again", "other", "things"]);
}

/// Others write between the steps. The version of an item is the number of its transaction.
#[test]
fn a_backup_is_copied_in_transactions_of_bounded_size() {
    let db = DynaMite::builder().background(false).in_memory().unwrap();
    create(&db, "things");
    for n in 0..3_000 {
        db.put_item("things", item(n, 0)).unwrap();
    }
    let before = db.put_item("things", item(0, 1)).unwrap();
    db.create_table_backup("things", "first").unwrap();
    let transactions = db.put_item("things", item(0, 2)).unwrap() - before;
    assert!((8..20).contains(&transactions), "{transactions} for 6 MB");
}

#[test]
fn a_backup_is_told_of_when_it_is_whole_and_not_before() {
    let db = DynaMite::in_memory().unwrap();
    create(&db, "things");
    for n in 0..3_000 {
        db.put_item("things", item(n, 0)).unwrap();
    }
    let made = std::thread::spawn({
        let db = db.clone();
        move || db.create_table_backup("things", "first").unwrap()
    });
    let found = loop {
        if let Some(backup) = db.list_table_backups().unwrap().pop() {
            break backup;
        }
        std::thread::yield_now();
    };
    let plain = db.restore_table("again").from_backup(&found.id).global_indexes([]).local_indexes([]);
    plain.execute().unwrap();
    assert_eq!(db.describe_table("again").unwrap().item_count, 3_000);
    assert_eq!(made.join().unwrap(), found);
}

/// What is told of the table is told of the same moment.
#[test]
fn backups_that_are_made_at_once_are_each_of_their_own_moment() {
    let db = DynaMite::builder().clock(Arc::new(ManualClock::at(NOW_MS))).in_memory().unwrap();
    db.create_table("things").partition_key("id", KeyType::Number).execute().unwrap();
    let backups: Vec<_> = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for id in 0..2_000 {
                db.put_item("things", json!({"id": id})).unwrap();
            }
        });
        let make = || (0..20).map(|_| db.create_table_backup("things", "same").unwrap()).collect::<Vec<_>>();
        let makers: Vec<_> = (0..3).map(|_| scope.spawn(make)).collect();
        let backups = makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect();
        writer.join().unwrap();
        backups
    });
    let mut listed = db.list_table_backups().unwrap();
    assert_eq!(listed.len(), 60);
    listed.dedup_by(|a, b| a.id == b.id);
    assert_eq!(listed.len(), 60);
    for (nth, backup) in backups.iter().enumerate() {
        let name = format!("restored{nth}");
        db.restore_table(&name).from_backup(&backup.id).execute().unwrap();
        assert_eq!(db.describe_table(&name).unwrap().item_count, backup.table.item_count);
        db.drop_table(&name).unwrap();
    }
}

#[test]
fn indexes_of_a_restored_table_are_built_without_being_asked_for() {
    let db = DynaMite::in_memory().unwrap();
    create(&db, "things");
    for n in 0..50 {
        db.put_item("things", item(n, 0)).unwrap();
    }
    let backup = db.create_table_backup("things", "first").unwrap();
    db.restore_table("again").from_backup(&backup.id).execute().unwrap();
    let is_built = || {
        let indexes = db.describe_table("again").unwrap().indexes;
        indexes.iter().all(|index| index.state == IndexState::Active)
    };
    while !is_built() {
        std::thread::sleep(Duration::from_millis(5));
    }
    check(&db, "again", 50);
}
