//! Writes that wait for their durability later: what a series of them promises.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynamite_core::Error;
use dynamite_core::api::{Check, DynaMite, GlobalIndex, ManualClock, Put, SequenceNumber, StreamView};
use dynamite_core::types::KeyType;
use dynamite_txn::disk::sim::DiskSim;
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
    let versions = RefCell::new(Vec::new());
    let versions = || versions.borrow_mut();
    let steps: [&dyn Fn(); 6] = [
        &|| versions().push(put("a", 1).unwrap()),
        // Refused, by what one before it has left, and leaves nothing.
        &|| {
            let conflict = writes.put("things").item(json!({"id": "a", "n": 9})).if_version(before).execute();
            let Err(Error::VersionConflict { actual, .. }) = conflict else { panic!("{conflict:?}") };
            assert_eq!(actual, Some(versions()[0]));
            let put = writes.put("things").item(json!({"id": "a", "n": 2})).if_version(versions()[0]);
            versions().push(put.execute().unwrap());
        },
        &|| {
            let check = Check::new("things").partition_key("a").condition("n = :one").value(":one", 1);
            let failed =
                writes.transact_write().put(Put::new("things").item(json!({"id": "b"}))).check(check);
            let failed = failed.execute();
            assert!(matches!(failed, Err(Error::TransactionCanceled { .. })), "{failed:?}");
        },
        // As long as it likes, so it is no part of a series.
        &|| {
            let third = writes.transact(|txn| {
                assert_eq!(txn.get_item("things").partition_key("a").execute()?.unwrap()["n"], 2);
                txn.put("things").item(json!({"id": "c"})).execute()
            });
            versions().push(third.unwrap());
        },
        &|| versions().push(put("d", 4).unwrap()),
        &|| assert!(writes.delete_item("things").partition_key("d").execute().unwrap()),
    ];
    assert!(writes.in_series(steps).iter().all(Result::is_ok));
    let versions = versions().clone();
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
    let versions = writes.in_series((1..=3).map(|n| {
        let writes = &writes;
        move || {
            let version = writes.put("things").item(json!({"id": "a", "n": n})).execute().unwrap();
            assert!(writes.put("things").item(json!({"id": "a", "n": 8})).if_version(0).execute().is_err());
            version
        }
    }));
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
        *versions[2].as_ref().unwrap()
    );
}

#[test]
fn a_panic_undoes_the_series_that_it_meets() {
    let db = database();
    let writes = db.deferred();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        writes.in_series([|| {
            writes.put("things").item(json!({"id": "a"})).execute().unwrap();
            std::panic::panic_any("on purpose");
        }])
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
    writes.put("things").item(json!({"id": "b"})).execute().unwrap();
    db.settle(writes.pending()).unwrap();
    assert_eq!((read(&db, "a"), read(&db, "b").is_some()), (None, true));
}

/// A device that is full when what follows one another at once is put together: that part of the series was not made, and those on
/// the other side of a write by itself were.
#[test]
fn a_part_of_a_series_that_was_not_made_takes_nothing_else_with_it() {
    /// So many tables that the pages which tell of them are more than a full device has in the end.
    const TABLES: usize = 60;
    const APART: usize = 50;
    let table = |nth: usize| format!("table{:04}", nth * APART);
    for lost_first in [true, false] {
        let disk = DiskSim::new(7);
        let clock = Arc::new(ManualClock::at(1_000));
        let db = DynaMite::builder().background(false).cache_size(4 << 20).clock(clock);
        let db = db.create_on(Arc::new(disk.clone())).unwrap();
        for nth in 0..TABLES * APART {
            db.create_table(&format!("table{nth:04}"))
                .partition_key("id", KeyType::String)
                .execute()
                .unwrap();
        }
        // Full, but for what the items take that are put into the tables.
        db.create_table("filler").partition_key("id", KeyType::Number).execute().unwrap();
        let filler = |nth: usize| db.put_item("filler", json!({"id": nth, "text": "x".repeat(3_000)}));
        assert!((0..2 * TABLES).all(|nth| filler(nth).is_ok()));
        db.maintain().unwrap();
        disk.set_capacity(0);
        assert!((2 * TABLES..10_000).any(|nth| filler(nth).is_err()));
        for nth in 0..TABLES + 8 {
            db.delete_item("filler").partition_key(nth as u64).execute().unwrap();
        }
        let writes = db.deferred();
        let put = |table: String, id: &str| writes.put(&table).item(json!({"id": id})).execute();
        let (put, table) = (&put, &table);
        let large = (0..TABLES).map(|nth| Write::Put(table(nth), "large"));
        let by_itself = [Write::ByItself(table(0), "by itself")];
        let small = [Write::Put(table(1), "small")];
        let all: Vec<Write> = match lost_first {
            true => large.chain(by_itself).chain(small).collect(),
            false => small.into_iter().chain(by_itself).chain(large).collect(),
        };
        let told = writes.in_series(all.iter().map(|write| {
            let writes = &writes;
            move || match write {
                Write::Put(table, id) => put(table.clone(), id),
                Write::ByItself(table, id) => writes.batch_write().put(table, json!({"id": id})).execute(),
            }
        }));
        db.settle(writes.pending()).unwrap();
        for (write, told) in all.iter().zip(told) {
            let (Write::Put(table, id) | Write::ByItself(table, id)) = write;
            let is_there = db.get_item(table).partition_key(*id).execute().unwrap().is_some();
            match *id {
                "large" => assert!(!is_there && matches!(told, Err(Error::DiskFull { .. })), "{told:?}"),
                _ => assert!(is_there && matches!(told, Ok(Ok(_))), "{id}: {told:?}"),
            }
        }
    }
}

/// What a part of a series is made of.
enum Write {
    Put(String, &'static str),
    ByItself(String, &'static str),
}

/// The thread that looks after what expires is told when it can see that, not before.
#[test]
fn what_expires_is_deleted_however_late_it_is_settled() {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("things").partition_key("id", KeyType::String).ttl("until").execute().unwrap();
    let count = || db.describe_table("things").unwrap().item_count;
    let until = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() - 60;
    let item = json!({"id": "a", "until": until});
    let writes = db.deferred();
    let alone = || assert!(writes.put("things").item(&item).execute().is_ok());
    let in_series = || assert!(writes.in_series([&alone])[0].is_ok());
    let transact = || assert!(writes.transact(|txn| txn.put_item("things", &item)).is_ok());
    let put: [&dyn Fn(); 3] = [&alone, &in_series, &transact];
    for put in put {
        // The thread has looked, and sleeps until it hears of something.
        std::thread::sleep(Duration::from_millis(200));
        put();
        let pending = writes.pending();
        std::thread::sleep(Duration::from_millis(200));
        db.settle(pending).unwrap();
        let begun = Instant::now();
        while count() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody has deleted it");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
