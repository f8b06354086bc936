//! Transactions, snapshots and many threads.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{create_events, directory, events, pick, things};
use dynamite_core::Error;
use dynamite_core::api::{DynaMite, GlobalIndex, LocalIndex, Projection};
use dynamite_core::types::KeyType;
use serde_json::{Value, json};

#[test]
fn a_transaction_reads_what_it_wrote_and_nobody_else_does() {
    let db = events(KeyType::Number);
    db.put_item("events", json!({"device": "d", "at": 1})).unwrap();
    let version = db
        .transact(|txn| {
            let version = txn.put_item("events", json!({"device": "d", "at": 2}))?;
            assert_eq!(version, txn.version());
            txn.put_item_from("events", &json!({"device": "d", "at": 3}))?;
            txn.delete_item("events").partition_key("d").sort_key(1).execute()?;
            txn.batch_write()
                .put("events", json!({"device": "d", "at": 4}))
                .delete_sorted("events", "d", 3)
                .execute()?;
            let inside = txn.query("events").partition_key("d").scan_forward(false).execute()?;
            assert_eq!(pick(&inside.items, "at"), [4, 2]);
            assert_eq!(txn.scan("events").count()?, 2);
            assert_eq!(
                txn.batch_get().get_sorted("events", "d", 3).get_sorted("events", "d", 4).execute()?[0],
                None
            );
            let outside = db.query("events").partition_key("d").execute()?;
            assert_eq!(pick(&outside.items, "at"), [1]);
            Ok(version)
        })
        .unwrap();
    let found = db.get_item_versioned("events").partition_key("d").sort_key(4).execute().unwrap().unwrap();
    assert_eq!(found.version, version);
    assert_eq!(pick(&db.scan("events").execute().unwrap().items, "at"), [2, 4]);
}

#[test]
fn an_error_rolls_everything_back() {
    let db = things();
    let version = db.put_item("things", json!({"id": "a", "n": 1})).unwrap();
    let result = db.transact(|txn| {
        txn.put_item("things", json!({"id": "b"}))?;
        txn.put_item_versioned("things", json!({"id": "a", "n": 2}), Some(version + 1_000))?;
        Ok(())
    });
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Operation { operation: 1, .. }), "{error:?}");
    assert!(matches!(error.cause(), Error::VersionConflict { actual: Some(v), .. } if *v == version));
    assert!(error.to_string().contains("version conflict"), "{error}");
    let aborted = db.transact(|txn| {
        txn.delete_item("things").partition_key("a").execute()?;
        Err::<(), _>(Error::abort("no"))
    });
    assert!(matches!(aborted, Err(Error::Aborted(reason)) if reason.to_string() == "no"));
    assert_eq!(db.scan("things").execute().unwrap().items, [json!({"id": "a", "n": 1})]);
}

#[test]
fn a_conflict_that_is_handled_inside_lets_the_transaction_go_on() {
    let db = things();
    db.put_item("things", json!({"id": "a"})).unwrap();
    db.transact(|txn| {
        let conflict = txn.put_item_versioned("things", json!({"id": "a", "new": true}), Some(0));
        assert!(matches!(conflict, Err(Error::VersionConflict { expected: 0, .. })));
        txn.put_item("things", json!({"id": "b"}))
    })
    .unwrap();
    assert_eq!(db.scan("things").execute().unwrap().items, [json!({"id": "a"}), json!({"id": "b"})]);
}

#[test]
fn a_panic_rolls_back_and_leaves_the_database_usable() {
    let db = things();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        db.transact(|txn| -> Result<(), Error> {
            txn.put_item("things", json!({"id": "a"}))?;
            panic!("by the user's code");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(db.scan("things").count().unwrap(), 0);
    db.put_item("things", json!({"id": "b"})).unwrap();
    assert_eq!(db.scan("things").count().unwrap(), 1);
}

#[test]
fn a_write_beside_the_transaction_of_its_thread_is_refused_and_not_a_deadlock() {
    let db = things();
    db.transact(|txn| {
        txn.put_item("things", json!({"id": "a"}))?;
        for refused in [
            db.put_item("things", json!({"id": "b"})).map(drop),
            db.delete_item("things").partition_key("a").execute().map(drop),
            db.batch_write().execute().map(drop),
            db.transact(|_| Ok(())),
            db.drop_table("things"),
            db.create_table("more").partition_key("id", KeyType::String).execute(),
        ] {
            assert!(matches!(refused, Err(Error::NestedTransaction)), "{refused:?}");
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(db.scan("things").execute().unwrap().items, [json!({"id": "a"})]);
}

#[test]
fn a_stream_of_a_transaction_sees_what_is_written_ahead_of_it() {
    let db = events(KeyType::Number);
    for at in 0..1_000 {
        db.put_item("events", json!({"device": "d", "at": at})).unwrap();
    }
    let seen = db
        .transact(|txn| {
            let mut seen = 0;
            for event in txn.query("events").partition_key("d").iter()? {
                let at = event?["at"].as_i64().unwrap();
                txn.delete_item("events").partition_key("d").sort_key(at).execute()?;
                seen += 1;
            }
            Ok(seen)
        })
        .unwrap();
    assert_eq!(seen, 1_000);
    assert_eq!(db.scan("events").count().unwrap(), 0);
}

/// What is read ahead of a write is read again: of the table, and of indexes, whether these hold the items or lead to them.
#[test]
fn a_stream_of_a_transaction_gives_nothing_that_is_not_there_any_more() {
    let db = DynaMite::builder().background(false).in_memory().unwrap();
    let global =
        |name| GlobalIndex::new(name).partition_key("g", KeyType::Number).sort_key("n", KeyType::Number);
    db.create_table("ttt")
        .partition_key("p", KeyType::String)
        .sort_key("n", KeyType::Number)
        .global_index(global("whole"))
        .global_index(global("keys").projection(Projection::KeysOnly))
        .local_index(LocalIndex::new("local").sort_key("l", KeyType::Number).projection(Projection::KeysOnly))
        .ttl("until")
        .execute()
        .unwrap();
    let item = |n: i64| json!({"p": "p", "n": n, "l": n, "g": 1});
    for name in ["table", "local", "whole", "keys"] {
        (0..20).filter(|n| *n != 15).map(item).for_each(|item| assert!(db.put_item("ttt", item).is_ok()));
        let seen = db
            .transact(|txn| {
                let query = match name {
                    "table" => txn.query("ttt").partition_key("p"),
                    "local" => txn.query("ttt").index(name).partition_key("p").all_attributes(),
                    _ => txn.query("ttt").index(name).partition_key(1),
                };
                let mut seen = Vec::new();
                for found in query.iter()? {
                    let n = found?["n"].as_i64().unwrap();
                    seen.push(n);
                    if n == 3 {
                        txn.delete_item("ttt").partition_key("p").sort_key(n).execute()?;
                        for gone in [4, 7, 19] {
                            txn.delete_item("ttt").partition_key("p").sort_key(gone).execute()?;
                        }
                        // Behind what is read by its own keys, and out of it by others.
                        let moved = json!({"p": "p", "n": 11, "l": 2, "g": 2});
                        txn.put_item("ttt", moved)?;
                        txn.put_item("ttt", item(15))?;
                    }
                }
                Ok(seen)
            })
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let left = (0..20).filter(|n| ![4, 7, 19].contains(n) && (*n != 11 || name == "table"));
        assert_eq!(seen, left.collect::<Vec<_>>(), "{name}");
        assert_eq!(db.verify_indexes(&mut |_| ()).unwrap(), []);
        db.delete_item("ttt").partition_key("p").sort_key(15).execute().unwrap();
    }
}

#[test]
fn a_stream_sees_one_state_whatever_is_written_meanwhile() {
    let db = events(KeyType::Number);
    for at in 0..5_000 {
        db.put_item("events", json!({"device": "d", "at": at, "n": 0})).unwrap();
    }
    let mut stream = db.query("events").partition_key("d").iter().unwrap();
    let mut found = vec![stream.next().unwrap().unwrap()];
    for at in 0..5_000 {
        match at % 3 {
            0 => drop(db.delete_item("events").partition_key("d").sort_key(at).execute().unwrap()),
            _ => drop(db.put_item("events", json!({"device": "d", "at": at, "n": 1})).unwrap()),
        }
    }
    let rest = std::thread::spawn(move || stream.collect::<Result<Vec<_>, _>>().unwrap());
    found.extend(rest.join().unwrap());
    assert_eq!(pick(&found, "at"), (0..5_000).map(Value::from).collect::<Vec<_>>());
    assert!(found.iter().all(|item| item["n"] == 0));
}

/// Accounts whose sum never changes, moved about by many threads, read by others in every way.
#[test]
fn many_threads_never_see_half_a_transfer() {
    const ACCOUNTS: i64 = 20;
    let db = things();
    let name = |nth: i64| format!("account {nth:02}");
    for nth in 0..ACCOUNTS {
        db.put_item("things", json!({"id": name(nth), "balance": 100})).unwrap();
    }
    let sum = |items: &[Value]| items.iter().map(|item| item["balance"].as_i64().unwrap()).sum::<i64>();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_i64)
            .map(|writer| {
                let db = db.clone();
                scope.spawn(move || {
                    for round in 0..200 {
                        let (from, to) =
                            ((writer * 7 + round * 3) % ACCOUNTS, (writer + round * 11 + 1) % ACCOUNTS);
                        db.transact(|txn| {
                            for (nth, change) in [(from, -1), (to, 1)] {
                                let get = txn.get_item("things").partition_key(name(nth));
                                let balance = get.execute()?.unwrap()["balance"].as_i64().unwrap();
                                txn.put_item(
                                    "things",
                                    json!({"id": name(nth), "balance": balance + change}),
                                )?;
                            }
                            Ok(())
                        })
                        .unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let all = db.scan("things").execute().unwrap().items;
                    assert_eq!((all.len() as i64, sum(&all)), (ACCOUNTS, ACCOUNTS * 100));
                    let streamed = db.scan("things").iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
                    assert_eq!(sum(&streamed), ACCOUNTS * 100);
                    let batch =
                        (0..ACCOUNTS).fold(db.batch_get(), |batch, nth| batch.get("things", name(nth)));
                    let batch = batch.execute().unwrap().into_iter().map(Option::unwrap).collect::<Vec<_>>();
                    assert_eq!(sum(&batch), ACCOUNTS * 100);
                    let snapshot = db.snapshot().unwrap();
                    let one_by_one = (0..ACCOUNTS)
                        .map(|nth| {
                            snapshot.get_item("things").partition_key(name(nth)).execute().unwrap().unwrap()
                        })
                        .collect::<Vec<_>>();
                    assert_eq!(sum(&one_by_one), ACCOUNTS * 100);
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Release);
    });
}

/// Read, change, write back if nobody was faster: no increment is lost.
#[test]
fn versioned_puts_of_many_threads_lose_no_update() {
    let db = things();
    db.put_item("things", json!({"id": "counter", "n": 0})).unwrap();
    let conflicts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    loop {
                        let get = db.get_item_versioned("things").partition_key("counter");
                        let mut counter = get.execute().unwrap().unwrap();
                        counter.item["n"] = json!(counter.item["n"].as_u64().unwrap() + 1);
                        match db.put_item_versioned("things", counter.item, Some(counter.version)) {
                            Ok(_) => break,
                            Err(Error::VersionConflict { .. }) => {
                                _ = conflicts.fetch_add(1, Ordering::Relaxed)
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    let counter = db.get_item("things").partition_key("counter").execute().unwrap().unwrap();
    assert_eq!(counter["n"], 400);
}

/// Tables come and go while others use them: each answer is of some state that there was.
#[test]
fn tables_come_and_go_under_running_operations() {
    let directory = directory();
    let db = DynaMite::create(directory.path().join("a.db")).unwrap();
    create_events(&db, KeyType::Number);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..40 {
                db.drop_table("events").unwrap();
                std::thread::sleep(Duration::from_micros(200));
                let sort_key = if round % 2 == 0 { KeyType::String } else { KeyType::Number };
                create_events(&db, sort_key);
            }
            done.store(true, Ordering::Release);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    for at in [json!(1), json!("text")] {
                        match db.put_item("events", json!({"device": "d", "at": at})) {
                            Ok(_) | Err(Error::TableNotFound { .. } | Error::Validation(_)) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    match db.query("events").partition_key("d").execute() {
                        Ok(page) => assert!(page.items.len() <= 1, "{page:?}"),
                        Err(Error::TableNotFound { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
}
