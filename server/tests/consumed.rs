//! What operations consume, counted by the server for clients who ask, is what the embedded database counts.

mod common;

use dynamite_core::api::{self as embedded, Consumed, ConsumedEntry, DynaMite, GlobalIndex};
use dynamite_core::types::KeyType;
use dynamite_server::{DynaMiteClient, client};
use serde_json::{Value, json};

use common::{Shared, run};

fn thing(number: u32) -> Value {
    json!({"id": format!("{number:03}"), "kind": if number.is_multiple_of(3) { "a" } else { "b" }, "pad": "x".repeat(200)})
}

fn by_kind() -> GlobalIndex {
    GlobalIndex::new("by_kind").partition_key("kind", KeyType::String)
}

/// The operations that are begun alike embedded and over the socket; `done` ends one, by the method that is named, and keeps what it
/// consumed.
macro_rules! alike {
    ($db:ident, $of:ident, $done:ident) => {
        $done!((0..100).fold($db.batch_write(), |batch, number| batch.put("things", thing(number))), execute);
        $done!($db.put("things").item(json!({"id": "007", "kind": "c"})), execute);
        $done!($db.put("things").item(thing(7)), execute_returning_old);
        let update = $db.update_item("things").partition_key("008").update("SET kind = :k");
        $done!(update.value(":k", "c"), execute);
        $done!($db.delete_item("things").partition_key("009"), execute);
        $done!($db.batch_get().get("things", "001").get("things", "009"), execute);
        $done!($db.transact_get().get($of::Get::new("things").partition_key("003")), execute);
        let put = $of::Put::new("things").item(thing(9));
        let delete = $of::Delete::new("things").partition_key("010");
        $done!($db.transact_write().put(put).delete(delete), execute);
        $done!($db.query("things").index("by_kind").partition_key("a").limit(5), execute);
        $done!($db.query("things").index("by_kind").partition_key("b"), count_page);
        $done!($db.query("things").index("by_kind").partition_key("b"), count);
        $done!($db.scan("things").limit(20), execute);
        $done!($db.scan("things").filter("kind = :k").value(":k", "c"), count_page);
    };
}

fn in_this_process() -> Vec<Vec<ConsumedEntry>> {
    let db = DynaMite::in_memory().unwrap();
    let create = db.create_table("things").partition_key("id", KeyType::String);
    create.global_index(by_kind()).execute().unwrap();
    let consumed = Consumed::default();
    let mut all = Vec::new();
    macro_rules! done {
        ($operation:expr, $end:ident) => {{
            let _ = $operation.consumed(&consumed).$end().unwrap();
            all.push(consumed.take());
        }};
    }
    alike!(db, embedded, done);
    done!(db.get_item("things").partition_key("001"), execute);
    done!(db.get_item("things").partition_key("none"), execute);
    done!(db.get_item_versioned("things").partition_key("002"), execute);
    let items = db.scan("things").filter("kind = :k").value(":k", "none").consumed(&consumed);
    assert_eq!(items.iter().unwrap().count(), 0);
    all.push(consumed.take());
    all
}

async fn over_the_socket(db: &DynaMiteClient) -> Vec<Vec<ConsumedEntry>> {
    db.create_table("things").partition_key("id", KeyType::String).global_index(by_kind()).await.unwrap();
    let consumed = Consumed::default();
    let mut all = Vec::new();
    macro_rules! done {
        ($operation:expr, $end:ident) => {{
            let _ = $operation.consumed(&consumed).$end().await.unwrap();
            all.push(consumed.take());
        }};
    }
    alike!(db, client, done);
    done!(db.get_item("things", "001", None), execute);
    done!(db.get_item("things", "none", None), execute);
    done!(db.get_item_versioned("things", "002", None), execute);
    let items = db.scan("things").filter("kind = :k").value(":k", "none").consumed(&consumed);
    assert!(items.stream().await.unwrap().next().await.is_none());
    all.push(consumed.take());
    all
}

#[test]
fn each_operation_consumes_what_it_does_embedded() {
    let expected = in_this_process();
    assert!(expected.iter().all(|entries| !entries.is_empty()));
    let shared = Shared::new();
    run(async {
        let found = over_the_socket(&shared.client().await).await;
        assert_eq!(found.len(), expected.len());
        for (nth, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "operation {nth}");
        }
    });
}

#[test]
fn who_fails_consumes_nothing_and_snapshots_count_too() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        db.create_table("things").partition_key("id", KeyType::String).await.unwrap();
        db.put_item("things", thing(1)).await.unwrap();
        let consumed = Consumed::default();
        let refused = db.put("things").item(thing(1)).condition("attribute_not_exists(id)");
        assert!(refused.consumed(&consumed).execute().await.is_err());
        assert_eq!(consumed.entries(), []);
        let snapshot = db.snapshot().await.unwrap();
        db.put_item("things", json!({"id": "001"})).await.unwrap();
        snapshot.get_item("things", "001", None).consumed(&consumed).await.unwrap();
        assert!(consumed.take()[0].bytes > 200);
        let get = || db.get_item("things", "001", None).consumed(&consumed);
        get().await.unwrap();
        get().await.unwrap();
        assert_eq!(consumed.entries().len(), 2);
    });
}
