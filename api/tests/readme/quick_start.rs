use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde_json::json;

fn main() -> dynamite_core::Result<()> {
    let db = DynaMite::create("my_database.db")?; // also: open, open_or_create, in_memory, builder

    db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    db.put_item("users", json!({"user_id": "alice", "name": "Alice", "age": 30}))?;
    let item = db.get_item("users").partition_key("alice").execute()?;
    assert_eq!(item.unwrap()["name"], "Alice");

    db.create_table("events")
        .partition_key("device_id", KeyType::String)
        .sort_key("timestamp", KeyType::Number)
        .execute()?;
    for timestamp in [50, 100, 150, 200] {
        db.put_item("events", json!({"device_id": "device_123", "timestamp": timestamp}))?;
    }
    let results = db.query("events").partition_key("device_123").sort_key_between(100.0, 200.0).execute()?;
    assert_eq!(results.items.len(), 3);
    db.close()
}
