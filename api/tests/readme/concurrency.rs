use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use dynamite_core::{Error, Result};
use serde_json::json;

fn main() -> Result<()> {
    let db = DynaMite::open_or_create("accounts.db")?;
    db.create_table("accounts").partition_key("name", KeyType::String).execute()?;

    // Every item has a version. A write can ask for the one that it has read; 0 asks that there is no item yet.
    let first = db.put_item_versioned("accounts", json!({"name": "alice", "balance": 100}), Some(0))?;
    db.put_item_versioned("accounts", json!({"name": "alice", "balance": 90}), Some(first))?;
    let late = db.put_item_versioned("accounts", json!({"name": "alice", "balance": 80}), Some(first));
    assert!(matches!(late, Err(Error::VersionConflict { .. })));

    // A snapshot sees all tables as they were, for as long as it is held.
    let before = db.snapshot()?;

    // A transaction reads what it wrote, and is committed whole, or not at all.
    db.transact(|txn| {
        let mut alice = txn.get_item("accounts").partition_key("alice").execute()?.unwrap();
        alice["balance"] = json!(alice["balance"].as_i64().unwrap() - 25);
        txn.put_item("accounts", alice)?;
        txn.put_item("accounts", json!({"name": "bob", "balance": 25}))
    })?;
    assert_eq!(db.scan("accounts").execute()?.items.len(), 2);
    assert_eq!(before.scan("accounts").execute()?.items, [json!({"name": "alice", "balance": 90})]);
    Ok(())
}
