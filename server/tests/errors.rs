//! An error over a socket is the embedded one: the same variant with the same fields, and the same text.

mod common;

use std::time::Duration;

use dynamite_core::api::{GlobalIndex, LocalIndex, StreamView};
use dynamite_core::error::Error;
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Result};
use dynamite_server::client::{Check, Delete, Get, Put, Update};
use dynamite_server::{ClientError, DynaMiteClient};
use serde_json::json;

use common::{Pair, Shared, run};

fn pair() -> Pair {
    Pair::of(|db| {
        let table = db.create_table("things").partition_key("id", KeyType::String);
        let index = GlobalIndex::new("by_city").partition_key("city", KeyType::String);
        table.global_index(index).execute().unwrap();
        let events = db.create_table("events").partition_key("device", KeyType::String);
        events.sort_key("at", KeyType::Number).stream(StreamView::KeysOnly).execute().unwrap();
        let kept = db.create_table("kept").partition_key("id", KeyType::String);
        kept.history(Duration::from_secs(60)).execute().unwrap();
        db.put_item("things", json!({"id": "a", "n": 1, "tags": ["x"]})).unwrap();
    })
}

#[track_caller]
fn check<T: std::fmt::Debug, U: std::fmt::Debug>(here: Result<T>, there: Result<U, ClientError>) {
    let here = here.expect_err("an error is what this is about");
    match &there {
        Err(ClientError::Database(there)) => {
            assert_eq!(format!("{there:?}"), format!("{here:?}"));
            assert_eq!(there.to_string(), here.to_string());
        }
        other => panic!("{other:?}, where {here:?} is expected"),
    }
    assert_eq!(there.unwrap_err().to_string(), here.to_string(), "transparently");
}

macro_rules! same {
    ($here:ident $there:ident: $($embedded:expr, $client:expr;)*) => {
        $(check($embedded.execute(), $client.execute().await);)*
    };
}

#[test]
fn errors_of_writes_are_the_embedded_ones() {
    let pair = pair();
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        same! { here there:
            here.put("nowhere").item(json!({"id": "a"})), there.put("nowhere").item(json!({"id": "a"}));
            here.put("things"), there.put("things");
            here.put("things").item(json!(1)), there.put("things").item(json!(1));
            here.put("things").item(json!({"n": 1})), there.put("things").item(json!({"n": 1}));
            here.put("things").item(json!({"id": 1})), there.put("things").item(json!({"id": 1}));
            here.put("things").item(json!({"id": ""})), there.put("things").item(json!({"id": ""}));
            here.put("things").item(json!({"id": "x".repeat(3000)})), there.put("things").item(json!({"id": "x".repeat(3000)}));
            here.put("things").item(json!({"id": "a", "t": "x".repeat(500_000)})), there.put("things").item(json!({"id": "a", "t": "x".repeat(500_000)}));
            here.put("things").item(json!({"id": "a", "s": {"$ss": []}})), there.put("things").item(json!({"id": "a", "s": {"$ss": []}}));
            here.put("things").item(json!({"id": "a", "b": {"$binary": 1}})), there.put("things").item(json!({"id": "a", "b": {"$binary": 1}}));
            here.put("things").item(json!({"id": "b", "city": 5})), there.put("things").item(json!({"id": "b", "city": 5}));
            here.put("things").item(json!({"id": "a"})).if_version(0), there.put("things").item(json!({"id": "a"})).if_version(0);
            here.put("things").item(json!({"id": "b"})).if_version(7), there.put("things").item(json!({"id": "b"})).if_version(7);
            here.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", 2), there.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", 2);
            here.put("things").item(json!({"id": "a"})).condition("size = :n"), there.put("things").item(json!({"id": "a"})).condition("size = :n");
            here.put("things").item(json!({"id": "a"})).condition("n = "), there.put("things").item(json!({"id": "a"})).condition("n = ");
            here.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", f64::NAN), there.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", f64::NAN);
            here.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", AttributeValue::string_set([""; 0])), there.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", AttributeValue::string_set([""; 0]));
            here.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", 1).value(":m", 1), there.put("things").item(json!({"id": "a"})).condition("n = :n").value(":n", 1).value(":m", 1);
            here.update_item("things").partition_key("a").update("SET tags.x = :n").value(":n", 1), there.update_item("things").partition_key("a").update("SET tags.x = :n").value(":n", 1);
            here.update_item("things").partition_key("a").update("SET n = m"), there.update_item("things").partition_key("a").update("SET n = m");
            here.update_item("things").partition_key("a").update("ADD tags :n").value(":n", 1), there.update_item("things").partition_key("a").update("ADD tags :n").value(":n", 1);
            here.update_item("things").partition_key("a").update("SET city = :n").value(":n", 1), there.update_item("things").partition_key("a").update("SET city = :n").value(":n", 1);
            here.update_item("things").partition_key("a").update("SET n = :n SET n = :n").value(":n", 1), there.update_item("things").partition_key("a").update("SET n = :n SET n = :n").value(":n", 1);
            here.update_item("things").partition_key("a").update("SET id = :n").value(":n", 1), there.update_item("things").partition_key("a").update("SET id = :n").value(":n", 1);
            here.update_item("things"), there.update_item("things");
            here.delete_item("things").partition_key(5), there.delete_item("things").partition_key(5);
            here.delete_item("things").partition_key("a").sort_key(1), there.delete_item("things").partition_key("a").sort_key(1);
            here.delete_item("events").partition_key("a"), there.delete_item("events").partition_key("a");
            here.delete_item("things").partition_key(f32::INFINITY), there.delete_item("things").partition_key(f32::INFINITY);
            here.batch_write().put("things", json!({"id": "b"})).put("things", json!({"id": "b"})), there.batch_write().put("things", json!({"id": "b"})).put("things", json!({"id": "b"}));
            here.batch_write().put("things", json!({"id": "b"})).put("things", json!({"n": 1})), there.batch_write().put("things", json!({"id": "b"})).put("things", json!({"n": 1}));
            here.batch_write().put("things", json!({"id": "b"})).put("things", json!([])), there.batch_write().put("things", json!({"id": "b"})).put("things", json!([]));
            here.transact_write(), there.transact_write();
            here.transact_write().token("").put(dynamite_core::api::Put::new("things").item(json!({"id": "b"}))), there.transact_write().token("").put(Put::new("things").item(json!({"id": "b"})));
            here.transact_write().check(dynamite_core::api::Check::new("things").partition_key("a")), there.transact_write().check(Check::new("things").partition_key("a"));
            here.transact_write().delete(dynamite_core::api::Delete::new("none").partition_key("a")), there.transact_write().delete(Delete::new("none").partition_key("a"));
            here.transact_write().update(dynamite_core::api::Update::new("things").partition_key("a").update("SET n = :x").value(":x", 1).condition("n > :x").return_old_on_failure(true)),
                there.transact_write().update(Update::new("things").partition_key("a").update("SET n = :x").value(":x", 1).condition("n > :x").return_old_on_failure(true));
            here.restore_version("things", 1).partition_key("a"), there.restore_version("things", 1).partition_key("a");
            here.restore_version("kept", 1).partition_key("a"), there.restore_version("kept", 1).partition_key("a");
        }
    });
}

#[test]
fn errors_of_reads_are_the_embedded_ones() {
    let pair = pair();
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        same! { here there:
            here.get_item("nowhere").partition_key("a"), there.get_item("nowhere", "a", None);
            here.get_item("things").partition_key(1), there.get_item("things", 1, None);
            here.get_item("things").partition_key("a").sort_key(1), there.get_item("things", "a", Some(json!(1)));
            here.get_item("things").partition_key("a").projection("a..b"), there.get_item("things", "a", None).projection("a..b");
            here.get_item("things").partition_key("a").projection("#x"), there.get_item("things", "a", None).projection("#x");
            here.get_item("things").partition_key("a").attributes(["a"]).projection("a"), there.get_item("things", "a", None).attributes(["a"]).projection("a");
            here.batch_get().get("things", "a").get("things", "a"), there.batch_get().get("things", "a").get("things", "a");
            here.batch_get().get("things", "a").get("none", "a"), there.batch_get().get("things", "a").get("none", "a");
            here.transact_get().get(dynamite_core::api::Get::new("things").partition_key(1)), there.transact_get().get(Get::new("things").partition_key(1));
            here.query("events"), there.query("events");
            here.query("events").partition_key(1), there.query("events").partition_key(1);
            here.query("events").partition_key("d").sort_key_eq("x"), there.query("events").partition_key("d").sort_key_eq("x");
            here.query("events").partition_key("d").sort_key_begins_with(1), there.query("events").partition_key("d").sort_key_begins_with(1);
            here.query("events").partition_key("d").sort_key_between(2, 1), there.query("events").partition_key("d").sort_key_between(2, 1);
            here.query("events").partition_key("d").sort_key_lt(2).sort_key_gt(1), there.query("events").partition_key("d").sort_key_lt(2).sort_key_gt(1);
            here.query("events").partition_key("d").limit(0), there.query("events").partition_key("d").limit(0);
            here.query("events").partition_key("d").index("none"), there.query("events").partition_key("d").index("none");
            here.query("events").partition_key("d").filter("#at > :x").name("#at", "at").value(":x", 1), there.query("events").partition_key("d").filter("#at > :x").name("#at", "at").value(":x", 1);
            here.query("events").partition_key("d").key_condition("device = :d"), there.query("events").partition_key("d").key_condition("device = :d");
            here.query("events").key_condition("device <> :d").value(":d", "d"), there.query("events").key_condition("device <> :d").value(":d", "d");
            here.query("events").partition_key("d").exclusive_start_key(json!({"device": "e", "at": 1})), there.query("events").partition_key("d").exclusive_start_key(json!({"device": "e", "at": 1}));
            here.scan("things").segment(3, 2), there.scan("things").segment(3, 2);
            here.scan("things").segment(0, 2_000_000), there.scan("things").segment(0, 2_000_000);
            here.scan("things").exclusive_start_key(json!({"n": 1})), there.scan("things").exclusive_start_key(json!({"n": 1}));
            here.item_history("things").partition_key("a"), there.item_history("things").partition_key("a");
        }
        check(here.as_of("things", 1), there.as_of("things", 1).await);
        check(here.as_of("kept", 1_000_000), there.as_of("kept", 1_000_000).await);
        check(here.list_partition_keys("nowhere", "", 1), there.list_partition_keys("nowhere", "", 1).await);
        check(here.describe_table("nowhere"), there.describe_table("nowhere").await);
        check(here.stream("things").poll(1), there.stream("things").poll(1).await);
        check(here.stream("things").iter(), there.stream("things").follow().await);
        check(here.stream("events").poll(0), there.stream("events").poll(0).await);
        check(here.scan("nowhere").iter(), there.scan("nowhere").stream().await);
        let misfit = there.get_item("things", "a", None).execute_as::<Vec<u8>>().await;
        check(here.get_item("things").partition_key("a").execute_as::<Vec<u8>>(), misfit);
    });
}

#[test]
fn errors_of_tables_are_the_embedded_ones() {
    let pair = pair();
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        same! { here there:
            here.create_table("things").partition_key("id", KeyType::String), there.create_table("things").partition_key("id", KeyType::String);
            here.create_table("x").partition_key("id", KeyType::String), there.create_table("x").partition_key("id", KeyType::String);
            here.create_table("new"), there.create_table("new");
            here.create_table("new").partition_key("", KeyType::String), there.create_table("new").partition_key("", KeyType::String);
            here.create_table("new").partition_key("a", KeyType::String).sort_key("a", KeyType::String), there.create_table("new").partition_key("a", KeyType::String).sort_key("a", KeyType::String);
            here.create_table("new").partition_key("a", KeyType::String).local_index(LocalIndex::new("local")), there.create_table("new").partition_key("a", KeyType::String).local_index(LocalIndex::new("local"));
            here.create_table("new").partition_key("a", KeyType::String).history(Duration::ZERO), there.create_table("new").partition_key("a", KeyType::String).history(Duration::ZERO);
            here.update_table("things"), there.update_table("things");
            here.update_table("things").no_ttl(), there.update_table("things").no_ttl();
            here.update_table("things").drop_index("none"), there.update_table("things").drop_index("none");
            here.update_table("things").no_stream(), there.update_table("things").no_stream();
            here.update_table("things").history(Duration::ZERO), there.update_table("things").history(Duration::ZERO);
            here.update_table("things").add_index(GlobalIndex::new("by_city").partition_key("city", KeyType::String)), there.update_table("things").add_index(GlobalIndex::new("by_city").partition_key("city", KeyType::String));
        }
        check(here.drop_table("nowhere"), there.drop_table("nowhere").await);
        check(here.wait_for_index("things", "none"), there.wait_for_index("things", "none").await);
    });
}

/// What is wrong with a file has the same variant, and the same text; nobody decides by more.
#[test]
fn errors_of_files_keep_their_variant_and_their_text() {
    let shared = Shared::new();
    run(async {
        let db: DynaMiteClient = shared.client().await;
        let directory = common::directory();
        let there = directory.path().join("there");
        std::fs::write(&there, "something else").unwrap();
        let backed_up = db.backup(&there).await.unwrap_err();
        let here = shared.db.backup(&there).execute().unwrap_err();
        assert_eq!(format!("{:?}", backed_up.database().unwrap()), format!("{here:?}"));
        let lost = db.backup(directory.path().join("no/such/place")).await.unwrap_err();
        let here = shared.db.backup(directory.path().join("no/such/place")).execute().unwrap_err();
        assert_eq!(lost.to_string(), here.to_string());
        let lost = lost.database().unwrap().clone();
        assert_eq!(std::mem::discriminant(&lost), std::mem::discriminant::<Error>(&here));
    });
}
