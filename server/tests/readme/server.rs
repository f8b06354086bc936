use dynamite_core::types::KeyType;
use dynamite_server::{ClientError, DynaMiteClient, default_socket};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let db = DynaMiteClient::connect(default_socket()).await?;
    db.create_table("counters").partition_key("name", KeyType::String).await?;

    // Every process may do this at the same time, and every visit counts.
    loop {
        let counted = match db.get_item_versioned("counters", "visits", None).await? {
            Some(found) => {
                let mut item = found.item;
                item["count"] = json!(item["count"].as_i64().unwrap() + 1);
                db.put_item_versioned("counters", item, Some(found.version)).await
            }
            None => db.put_item_versioned("counters", json!({"name": "visits", "count": 1}), Some(0)).await,
        };
        match counted {
            Ok(_) => break,
            Err(e) if e.to_string().contains("version conflict") => continue,
            Err(e) => return Err(e),
        }
    }
    let item = db.get_item("counters", "visits", None).await?;
    assert_eq!(item.unwrap()["count"], 1);
    Ok(())
}
