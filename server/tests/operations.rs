//! Every operation of the embedded database, over a socket: the same types, the same results, the same errors.

mod common;

use std::time::{Duration, SystemTime};

use dynamite_core::api::{GlobalIndex, LocalIndex, ReturnValues, StreamEvent, StreamView};
use dynamite_core::error::{CancellationCode, Error};
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Item};
use dynamite_server::client::{Check, Delete, Get, Put, Update};
use dynamite_server::{ClientError, DynaMiteClient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use common::{Shared, run};

async fn things(db: &DynaMiteClient) {
    db.create_table("things").partition_key("id", KeyType::String).await.unwrap();
}

async fn events(db: &DynaMiteClient) {
    let table = db.create_table("events").partition_key("device", KeyType::String);
    table.sort_key("at", KeyType::Number).await.unwrap();
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    id: String,
    pounds: u32,
}

#[test]
fn items_are_put_got_updated_and_deleted_in_all_forms() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        things(&db).await;
        let first = db.put_item("things", json!({"id": "a", "pounds": 1})).await.unwrap();
        let found = db.get_item_versioned("things", "a", None).await.unwrap().unwrap();
        assert_eq!((found.item, found.version), (json!({"id": "a", "pounds": 1}), first));
        let thing = Thing { id: "b".into(), pounds: 2 };
        db.put_item_from("things", &thing).await.unwrap();
        assert_eq!(db.get_item("things", "b", None).execute_as::<Thing>().await.unwrap(), Some(thing));
        let item = db.get_item("things", "b", None).execute_item().await.unwrap().unwrap();
        assert_eq!(item["pounds"], AttributeValue::from(2));
        assert_eq!(db.get_item("things", "c", None).await.unwrap(), None);
        let part = db.get_item("things", "a", None).attributes(["pounds"]).await.unwrap();
        assert_eq!(part, Some(json!({"pounds": 1})));
        let part = db.get_item("things", "a", None).projection("#s").name("#s", "pounds").await.unwrap();
        assert_eq!(part, Some(json!({"pounds": 1})));

        let replaced = db.put("things").item(json!({"id": "a", "pounds": 3})).if_version(first);
        let replaced = replaced.execute_returning_old().await.unwrap();
        assert_eq!(replaced.old, Some(json!({"id": "a", "pounds": 1})));
        assert!(replaced.version > first);

        let update =
            db.update_item("things").partition_key("a").update("SET pounds = pounds + :n").value(":n", 4);
        let updated = update.condition("pounds = :old").value(":old", 3);
        let updated = updated.return_values(ReturnValues::AllNew).await.unwrap();
        assert_eq!(updated.attributes, Some(json!({"id": "a", "pounds": 7})));

        let old = db.delete_item("things").partition_key("a").execute_returning_old().await.unwrap();
        assert_eq!(old, Some(json!({"id": "a", "pounds": 7})));
        assert!(!db.delete_item("things").partition_key("a").await.unwrap());
    });
}

/// What is awaited is allocated for each request: more than this the system's allocator does not keep at hand, and tidies up all that it
/// has before it gives it out, which took a fifth of a get's time.
const AT_HAND: usize = 1032;

#[test]
fn a_request_under_way_takes_little_memory() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        let sizes = [
            size_of_val(&db.get_item("things", "a", None).execute()),
            size_of_val(&db.get_item_versioned("things", "a", None).execute()),
            size_of_val(&db.put("things").execute()),
            size_of_val(&db.update_item("things").execute()),
            size_of_val(&db.delete_item("things").execute()),
        ];
        assert!(sizes.iter().all(|size| *size <= AT_HAND), "{sizes:?}");
    });
}

#[test]
fn all_ten_types_travel_exactly() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        things(&db).await;
        let item = Item::from([
            ("id".into(), "a".into()),
            ("n".into(), AttributeValue::N("12345678901234567890.123456789".parse().unwrap())),
            ("b".into(), AttributeValue::B(vec![0, 255])),
            ("t".into(), true.into()),
            ("z".into(), AttributeValue::Null),
            ("m".into(), AttributeValue::M(Item::from([("l".into(), AttributeValue::L(vec!["x".into()]))]))),
            ("ss".into(), AttributeValue::string_set(["x", "y"])),
            ("ns".into(), AttributeValue::number_set([1, 2])),
            ("bs".into(), AttributeValue::binary_set([vec![1]])),
        ]);
        db.put_item("things", &item).await.unwrap();
        assert_eq!(db.get_item("things", "a", None).execute_item().await.unwrap(), Some(item.clone()));
        assert_eq!(shared.db.get_item("things").partition_key("a").execute_item().unwrap(), Some(item));
    });
}

#[test]
fn queries_and_scans_come_in_pages_counted_and_streamed() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        events(&db).await;
        let mut batch = db.batch_write();
        for at in 0..1000 {
            batch = batch.put(
                "events",
                json!({"device": "d", "at": at, "even": at % 2 == 0, "text": "x".repeat(500)}),
            );
        }
        batch.await.unwrap();
        let query = || db.query("events").partition_key("d");
        let page = query().sort_key_between(10, 19).scan_forward(false).limit(3).await.unwrap();
        assert_eq!(
            page.items.iter().map(|item| &item["at"]).collect::<Vec<_>>(),
            [&json!(19), &json!(18), &json!(17)]
        );
        let rest = query().sort_key_between(10, 19).scan_forward(false);
        let rest = rest.exclusive_start_key(page.last_evaluated_key.unwrap()).await.unwrap();
        assert_eq!((rest.items.len(), rest.last_evaluated_key), (7, None));
        let key = db
            .query("events")
            .key_condition("device = :d AND #at < :n")
            .name("#at", "at")
            .value(":d", "d")
            .value(":n", 5);
        assert_eq!(key.execute_items().await.unwrap().items.len(), 5);
        assert_eq!(query().filter("even = :t").value(":t", true).count().await.unwrap(), 500);
        let counted = query().limit(10).count_page().await.unwrap();
        assert_eq!((counted.count, counted.last_evaluated_key), (10, Some(json!({"device": "d", "at": 9}))));
        assert_eq!(db.scan("events").count().await.unwrap(), 1000);

        let mut stream = db.scan("events").stream().await.unwrap();
        let mut next = 0;
        while let Some(item) = stream.next().await {
            assert_eq!(item.unwrap()["at"], next);
            next += 1;
        }
        assert_eq!(next, 1000);
        assert!(stream.next().await.is_none());
        // A limit is of what is returned.
        let mut some = query().filter("even = :t").value(":t", true).limit(7).stream_items().await.unwrap();
        let mut count = 0;
        while let Some(item) = some.next().await {
            item.unwrap();
            count += 1;
        }
        assert_eq!(count, 7);
        let mut parts = 0;
        for segment in 0..3 {
            parts += db.scan("events").segment(segment, 3).count().await.unwrap();
        }
        assert_eq!(parts, 1000);
        assert_eq!(db.list_partition_keys("events", "", 5).await.unwrap(), [json!("d")]);
        // One that is dropped half-way is forgotten by the server, and the connection goes on.
        let mut dropped = db.scan("events").stream().await.unwrap();
        dropped.next().await.unwrap().unwrap();
        drop(dropped);
        db.ping().await.unwrap();
    });
}

#[test]
fn batches_and_transactions_are_all_or_nothing() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        things(&db).await;
        events(&db).await;
        let batch = db
            .batch_write()
            .put("things", json!({"id": "a", "n": 1}))
            .put("events", json!({"device": "d", "at": 1}));
        batch.await.unwrap();
        let found = db.batch_get().get("things", "a").get("things", "b").get_sorted("events", "d", 1);
        let found = found.attributes("things", ["n"]).await.unwrap();
        assert_eq!(found, [Some(json!({"n": 1})), None, Some(json!({"device": "d", "at": 1}))]);
        db.batch_write().delete_sorted("events", "d", 1).delete("things", "none").await.unwrap();

        let transact = db
            .transact_write()
            .put(Put::new("things").item(json!({"id": "b"})).condition("attribute_not_exists(id)"));
        let transact = transact
            .update(Update::new("things").partition_key("a").update("SET n = n + :one").value(":one", 1));
        let transact = transact.check(Check::new("things").partition_key("c").if_version(0));
        let version = transact.delete(Delete::new("things").partition_key("d")).token("once").await.unwrap();
        let found = db
            .transact_get()
            .get(Get::new("things").partition_key("a").projection("n"))
            .get(Get::new("things").partition_key("b"));
        assert_eq!(found.await.unwrap(), [Some(json!({"n": 2})), Some(json!({"id": "b"}))]);

        let again = db.transact_write().put(
            Put::new("things")
                .item(json!({"id": "b"}))
                .condition("attribute_not_exists(id)")
                .return_old_on_failure(true),
        );
        let again = again
            .update(Update::new("things").partition_key("a").update("SET n = :one").value(":one", 1))
            .await;
        let Err(ClientError::Database(Error::TransactionCanceled { reasons })) = again else {
            panic!("{again:?}")
        };
        assert_eq!(reasons[0].code, CancellationCode::ConditionalCheckFailed);
        assert_eq!(reasons[0].item.as_ref().unwrap()["id"], "b".into());
        assert_eq!(reasons[1].code, CancellationCode::None);
        assert!(version > 0);
    });
}

/// Two that met each other have both counted.
#[test]
fn a_transaction_of_a_client_is_run_again_when_what_it_read_has_changed() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        things(&db).await;
        db.put_item("things", json!({"id": "n", "count": 0})).await.unwrap();
        let mut runs = 0;
        let seen = db.transact(async |txn| {
            runs += 1;
            let mut item = txn.get_item("things", "n", None).await?.unwrap();
            assert_eq!(txn.get_item("things", "made", None).await?, None);
            if runs == 1 {
                // Somebody else is faster.
                db.put_item("things", json!({"id": "n", "count": 10})).await?;
            }
            item["count"] = json!(item["count"].as_i64().unwrap() + 1);
            txn.put_item("things", item).await?;
            txn.put_item("things", json!({"id": "made", "by": "txn"})).await?;
            txn.delete_item("things", "never", None).await?;
            assert_eq!(txn.get_item("things", "made", None).await?, Some(json!({"id": "made", "by": "txn"})));
            Ok(txn.get_item("things", "n", None).await?.unwrap()["count"].clone())
        });
        assert_eq!(seen.await.unwrap(), 11);
        assert_eq!(runs, 2);
        assert_eq!(db.get_item("things", "n", None).await.unwrap().unwrap()["count"], 11);
        assert!(db.get_item("things", "made", None).await.unwrap().is_some());
        // What it returns as an error leaves nothing behind.
        let failed: Result<(), _> = db
            .transact(async |txn| {
                txn.put_item("things", json!({"id": "lost"})).await?;
                Err(ClientError::Database(Error::abort("no")))
            })
            .await;
        assert_eq!(failed.unwrap_err().to_string(), Error::abort("no").to_string());
        assert_eq!(db.get_item("things", "lost", None).await.unwrap(), None);
    });
}

#[test]
fn tables_indexes_and_their_descriptions_are_those_of_the_database() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        let table =
            db.create_table("users").partition_key("id", KeyType::String).sort_key("at", KeyType::Number);
        let table = table.ttl("expires").stream(StreamView::KeysOnly).history(Duration::from_secs(60));
        let table = table.local_index(LocalIndex::new("by_age").sort_key("age", KeyType::Number));
        table.global_index(GlobalIndex::new("by_city").partition_key("city", KeyType::String)).await.unwrap();
        db.put_item("users", json!({"id": "a", "at": 1, "age": 30, "city": "Bern"})).await.unwrap();
        assert_eq!(db.describe_table("users").await.unwrap(), shared.db.describe_table("users").unwrap());
        assert_eq!(db.list_tables().await.unwrap(), ["users"]);
        assert_eq!(db.query("users").index("by_city").partition_key("Bern").await.unwrap().items.len(), 1);

        let update = db.update_table("users").no_ttl().no_stream().drop_index("by_city");
        update.add_index(GlobalIndex::new("by_name").partition_key("name", KeyType::String)).await.unwrap();
        db.wait_for_index("users", "by_name").await.unwrap();
        assert_eq!(db.scan("users").index("by_name").count().await.unwrap(), 0);
        let described = db.describe_table("users").await.unwrap();
        assert_eq!(described, shared.db.describe_table("users").unwrap());
        assert_eq!(described.ttl, None);
        db.drop_table("users").await.unwrap();
        assert!(db.list_tables().await.unwrap().is_empty());
    });
}

#[test]
fn snapshots_and_the_past_stay_what_they_were() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        db.create_table("things")
            .partition_key("id", KeyType::String)
            .history(Duration::from_secs(3600))
            .await
            .unwrap();
        let first = db.put_item("things", json!({"id": "a", "n": 1})).await.unwrap();
        let snapshot = db.snapshot().await.unwrap();
        let second = db.put_item("things", json!({"id": "a", "n": 2})).await.unwrap();
        db.put_item("things", json!({"id": "b"})).await.unwrap();

        assert_eq!(snapshot.version(), first);
        assert_eq!(snapshot.get_item("things", "a", None).await.unwrap().unwrap()["n"], 1);
        assert_eq!(snapshot.scan("things").await.unwrap().items.len(), 1);
        let mut streamed = snapshot.clone().scan("things").stream().await.unwrap();
        drop(snapshot);
        assert_eq!(streamed.next().await.unwrap().unwrap()["n"], 1);
        assert!(streamed.next().await.is_none());

        let past = db.as_of("things", first).await.unwrap();
        assert_eq!(past.get_item("a", None).await.unwrap().unwrap()["n"], 1);
        assert_eq!(past.scan().count().await.unwrap(), 1);
        let now = db.as_of_time("things", SystemTime::now()).await.unwrap();
        assert!(now.version() >= first);
        let history = db.item_history("things").partition_key("a").await.unwrap();
        assert_eq!(history.iter().map(|version| version.version).collect::<Vec<_>>(), [second, first]);
        assert_eq!(history, shared.db.item_history("things").partition_key("a").execute().unwrap());
        db.restore_version("things", first).partition_key("a").await.unwrap();
        assert_eq!(db.get_item("things", "a", None).await.unwrap().unwrap()["n"], 1);
    });
}

#[test]
fn change_streams_are_polled_and_pushed() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        let table = db.create_table("things").partition_key("id", KeyType::String);
        table.stream(StreamView::NewAndOldImages).await.unwrap();
        let mut changes = db.stream("things").follow().await.unwrap();
        let writer = tokio::spawn({
            let db = db.clone();
            async move {
                for n in 0..600 {
                    db.put_item("things", json!({"id": "a", "n": n})).await.unwrap();
                }
                db.delete_item("things").partition_key("a").await.unwrap();
            }
        });
        let mut after = None;
        for n in 0..600 {
            let change = changes.next().await.unwrap().unwrap();
            assert_eq!(change.new_image.unwrap()["n"], n);
            assert_eq!(change.event, if n == 0 { StreamEvent::Insert } else { StreamEvent::Modify });
            after = Some(change.sequence_number);
        }
        assert_eq!(changes.next().await.unwrap().unwrap().event, StreamEvent::Remove);
        writer.await.unwrap();

        let page = db.stream("things").after(after.unwrap()).poll(10).await.unwrap();
        assert_eq!(page, shared.db.stream("things").after(after.unwrap()).poll(10).unwrap());
        assert_eq!(page.records.len(), 1);
        // It ends when the stream does.
        let mut latest = db.stream("things").latest().follow_items().await.unwrap();
        db.update_table("things").no_stream().await.unwrap();
        assert!(changes.next().await.is_none());
        assert!(latest.next().await.is_none());
    });
}

#[test]
fn the_server_tells_of_itself() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        db.ping().await.unwrap();
        let stats = db.stats().await.unwrap();
        assert_eq!((stats.connections, stats.refused), (1, 0));
        assert_eq!(db.server().database, shared.db.database_id());
        assert_eq!(db.server().version, env!("CARGO_PKG_VERSION"));
        db.maintain().await.unwrap();
        things(&db).await;
        db.put_item("things", json!({"id": "a"})).await.unwrap();
    });
}

/// The conflict-retry loop in its usual form.
async fn increment(db: &DynaMiteClient) -> Result<(), ClientError> {
    loop {
        let counted = match db.get_item_versioned("counters", "n", None).await? {
            Some(found) => {
                let mut item: Value = found.item;
                item["count"] = json!(item["count"].as_i64().unwrap() + 1);
                db.put_item_versioned("counters", item, Some(found.version)).await
            }
            None => db.put_item_versioned("counters", json!({"name": "n", "count": 1}), Some(0)).await,
        };
        match counted {
            Ok(_) => return Ok(()),
            Err(e) if e.to_string().contains("version conflict") => continue,
            Err(e) => return Err(e),
        }
    }
}

#[test]
fn many_tasks_that_count_through_conflicts_lose_no_update() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        db.create_table("counters").partition_key("name", KeyType::String).await.unwrap();
        let mut tasks = Vec::new();
        for nth in 0..8 {
            let db = if nth % 2 == 0 { db.clone() } else { shared.client().await };
            tasks.push(tokio::spawn(async move {
                for _ in 0..50 {
                    increment(&db).await.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(db.get_item("counters", "n", None).await.unwrap().unwrap()["count"], 400);
    });
}
