use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    author: String,
    at: u64,
    text: String,
    tags: Vec<String>,
}

fn main() -> dynamite_core::Result<()> {
    let db = DynaMite::in_memory()?;
    db.create_table("notes").partition_key("author", KeyType::String).sort_key("at", KeyType::Number).execute()?;
    for at in 1..=3 {
        let note = Note { author: "ann".into(), at, text: format!("note {at}"), tags: vec!["draft".into()] };
        db.put_item_from("notes", &note)?;
    }
    let newest = db.query("notes").partition_key("ann").scan_forward(false).limit(1).execute_as::<Note>()?;
    assert_eq!(newest.items[0].text, "note 3");
    for note in db.query("notes").partition_key("ann").iter_as::<Note>()? {
        println!("{}", note?.text);
    }
    Ok(())
}
