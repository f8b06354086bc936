//! Tables and databases: create, drop, list, describe; open and close.

mod common;

use common::{create_things, directory, things};
use dynamite_core::Error;
use dynamite_core::api::{Durability, DynaMite};
use dynamite_core::error::Invalid;
use dynamite_core::types::{KeyType, SchemaError};
use serde_json::json;

#[test]
fn tables_are_listed_in_order_and_described() {
    let db = things();
    db.create_table("events.2026-01_x")
        .partition_key("device", KeyType::Binary)
        .sort_key("at", KeyType::Number)
        .execute()
        .unwrap();
    assert_eq!(db.list_tables().unwrap(), ["events.2026-01_x", "things"]);
    let table = db.describe_table("events.2026-01_x").unwrap();
    assert_eq!(table.name, "events.2026-01_x");
    let keys = table.keys.attributes().map(|key| (key.name(), key.key_type()));
    assert!(keys.eq([("device", KeyType::Binary), ("at", KeyType::Number)]));
    assert_eq!((table.item_count, table.size_bytes), (0, 0));
    for id in ["a", "b", "a"] {
        db.put_item("things", json!({"id": id})).unwrap();
    }
    let table = db.describe_table("things").unwrap();
    assert_eq!(table.item_count, 2);
    assert!((10..100).contains(&table.size_bytes), "{table:?}");
    db.delete_item("things").partition_key("a").execute().unwrap();
    assert_eq!(db.describe_table("things").unwrap().item_count, 1);
}

#[test]
fn names_and_keys_that_dynamodb_refuses_are_refused() {
    let db = things();
    let create = |name: &str| db.create_table(name).partition_key("id", KeyType::String).execute();
    for name in ["", "ab", "with space", "ümlaut", "a/b", &"x".repeat(256)] {
        let refused = create(name);
        assert!(
            matches!(&refused, Err(Error::Validation(Invalid::TableName { name: n })) if n == name),
            "{refused:?}"
        );
    }
    create(&"x".repeat(255)).unwrap();
    assert!(matches!(create("things"), Err(Error::TableExists { table }) if table == "things"));
    let keyless = db.create_table("keyless").execute();
    assert!(
        matches!(keyless, Err(Error::Validation(Invalid::Schema(SchemaError::NoPartitionKey)))),
        "{keyless:?}"
    );
    let keyless = db.create_table("keyless").sort_key("at", KeyType::Number).execute();
    assert!(
        matches!(keyless, Err(Error::Validation(Invalid::Schema(SchemaError::NoPartitionKey)))),
        "{keyless:?}"
    );
    let twice = db
        .create_table("twice")
        .partition_key("id", KeyType::String)
        .sort_key("id", KeyType::Number)
        .execute();
    assert!(matches!(twice, Err(Error::Validation(Invalid::Schema(_)))), "{twice:?}");
    for name in ["", &"k".repeat(256)] {
        let refused = db.create_table("keys").partition_key(name, KeyType::String).execute();
        assert!(matches!(refused, Err(Error::Validation(Invalid::Schema(_)))), "{refused:?}");
    }
    assert_eq!(db.list_tables().unwrap().len(), 2);
}

#[test]
fn a_dropped_table_is_gone_and_its_name_is_free() {
    let db = things();
    db.put_item("things", json!({"id": "a"})).unwrap();
    let before = db.snapshot().unwrap();
    db.drop_table("things").unwrap();
    assert!(matches!(db.drop_table("things"), Err(Error::TableNotFound { .. })));
    assert!(matches!(db.scan("things").execute(), Err(Error::TableNotFound { .. })));
    db.create_table("things").partition_key("other", KeyType::Number).execute().unwrap();
    assert_eq!(db.scan("things").count().unwrap(), 0);
    db.put_item("things", json!({"other": 1})).unwrap();

    // An older snapshot sees the older table under the same name.
    assert_eq!(before.scan("things").execute().unwrap().items, [json!({"id": "a"})]);
    assert_eq!(before.get_item("things").partition_key("a").execute().unwrap(), Some(json!({"id": "a"})));
    assert_eq!(before.describe_table("things").unwrap().keys.partition_key().name(), "id");
    drop(before);
    assert_eq!(db.get_item("things").partition_key(1).execute().unwrap(), Some(json!({"other": 1})));
}

#[test]
fn a_snapshot_of_before_a_table_does_not_see_it() {
    let db = DynaMite::in_memory().unwrap();
    let before = db.snapshot().unwrap();
    create_things(&db);
    db.put_item("things", json!({"id": "a"})).unwrap();
    assert_eq!(before.list_tables().unwrap(), Vec::<String>::new());
    assert!(matches!(before.scan("things").execute(), Err(Error::TableNotFound { .. })));
    assert!(matches!(before.describe_table("things"), Err(Error::TableNotFound { .. })));
}

/// Twenty thousand items are more pages than one commit may free; and a process that ends at once leaves the rest to the next.
#[test]
fn the_pages_of_a_dropped_table_are_used_again_also_after_a_restart() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::builder().background(false).create(&path).unwrap();
    let fill = |db: &DynaMite| {
        create_things(db);
        for batch in (0..20_000).collect::<Vec<u32>>().chunks(2_000) {
            let write = batch.iter().fold(db.batch_write(), |write, nth| {
                write.put("things", json!({"id": format!("{nth:05}"), "text": "x".repeat(200)}))
            });
            write.execute().unwrap();
        }
    };
    fill(&db);
    let full = std::fs::metadata(&path).unwrap().len();
    let before = db.stats().pages_written;
    db.drop_table("things").unwrap();
    let written = db.stats().pages_written - before;
    assert!(written < 50, "a drop that returns at once wrote {written} pages");
    db.close().unwrap();

    let db = DynaMite::open(&path).unwrap();
    db.maintain().unwrap();
    fill(&db);
    assert_eq!(db.scan("things").count().unwrap(), 20_000);
    let again = std::fs::metadata(&path).unwrap().len();
    assert!(again < full + full / 4, "{full} bytes when full, {again} when full again");
    db.close().unwrap();
}

#[test]
fn a_database_is_opened_and_created_as_its_names_say() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let missing = DynaMite::open(&path);
    assert!(matches!(&missing, Err(Error::NotFound { path: p }) if **p == *path), "{missing:?}");
    let db = DynaMite::open_or_create(&path).unwrap();
    create_things(&db);
    db.close().unwrap();
    let exists = DynaMite::create(&path).unwrap_err();
    assert!(matches!(exists, Error::AlreadyExists { .. }));
    assert!(exists.to_string().contains("open_or_create"), "{exists}");
    let db = DynaMite::open_or_create(&path).unwrap();
    assert_eq!(db.list_tables().unwrap(), ["things"]);
    db.close().unwrap();

    let nowhere = DynaMite::create(directory.path().join("no such directory").join("a.db"));
    assert!(matches!(nowhere, Err(Error::NotFound { .. })), "{nowhere:?}");
    let other = directory.path().join("text.db");
    std::fs::write(&other, "something else entirely, and longer than a page would be ".repeat(200)).unwrap();
    let foreign = DynaMite::open(&other).unwrap_err();
    assert!(foreign.to_string().contains("text.db"), "{foreign}");
}

#[test]
fn who_opens_for_reading_may_read_and_nothing_else() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    create_things(&db);
    db.put_item("things", json!({"id": "a"})).unwrap();
    db.close().unwrap();

    let read_only = DynaMite::builder().read_only(true);
    let (one, two) = (read_only.open(&path).unwrap(), read_only.open(&path).unwrap());
    for db in [&one, &two] {
        assert_eq!(db.get_item("things").partition_key("a").execute().unwrap(), Some(json!({"id": "a"})));
        let refused = db.put_item("things", json!({"id": "b"}));
        assert!(matches!(refused, Err(Error::ReadOnly { .. })), "{refused:?}");
        assert!(matches!(db.drop_table("things"), Err(Error::ReadOnly { .. })));
        assert!(matches!(db.transact(|_| Ok(())), Err(Error::ReadOnly { .. })));
    }
    assert!(matches!(DynaMite::open(&path), Err(Error::Locked { .. })));
    drop((one, two));
    DynaMite::open(&path).unwrap();
    assert!(matches!(
        read_only.create(directory.path().join("b.db")),
        Err(Error::Validation(Invalid::Setting(_)))
    ));
}

#[test]
fn the_last_handle_closes_the_file() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    create_things(&db);
    let other = db.clone();
    db.close().unwrap();
    assert!(matches!(DynaMite::open(&path), Err(Error::Locked { .. })));
    other.put_item("things", json!({"id": "a"})).unwrap();
    let snapshot = other.snapshot().unwrap();
    drop(other);
    assert_eq!(snapshot.scan("things").count().unwrap(), 1, "a snapshot outlives the handle");
    drop(snapshot);
    let db = DynaMite::open(&path).unwrap();
    assert_eq!(db.scan("things").count().unwrap(), 1);
}

#[test]
fn eventual_writes_are_seen_at_once_and_durable_after_a_flush() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::builder().durability(Durability::Eventual).create(&path).unwrap();
    create_things(&db);
    for nth in 0..100 {
        db.put_item("things", json!({"id": nth.to_string()})).unwrap();
    }
    assert_eq!(db.scan("things").count().unwrap(), 100);
    db.flush().unwrap();
    assert!(db.stats().flushes < 60, "{} flushes for 101 writes", db.stats().flushes);
}

#[test]
fn a_damaged_page_is_named_and_never_a_panic() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    create_things(&db);
    for nth in 0..2_000 {
        let write = db.batch_write();
        if nth % 100 == 0 {
            let write = (nth..nth + 100).fold(write, |write, nth| {
                write.put("things", json!({"id": format!("{nth:04}"), "text": "y".repeat(100)}))
            });
            write.execute().unwrap();
        }
    }
    db.close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // Everything but the headers: one byte of each page.
    for page in bytes.chunks_mut(4096).skip(2) {
        page[2000] ^= 1;
    }
    std::fs::write(&path, &bytes).unwrap();
    let error = match DynaMite::open(&path) {
        Err(error) => error,
        Ok(db) => db.scan("things").count().unwrap_err(),
    };
    assert!(matches!(error, Error::Corrupt(_)), "{error:?}");
    assert!(error.to_string().contains("page ") && error.to_string().contains("dynamite-fsck"), "{error}");
}
