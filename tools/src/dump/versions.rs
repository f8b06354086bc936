//! The versions of an item that are kept: by its table's history, or for the sake of snapshots.

use std::io::Write;
use std::path::Path;
use std::time::UNIX_EPOCH;

use dynamite_core::api::DynaMite;
use dynamite_core::json::item_from_json;
use serde_json::{Value, json};

use crate::program::{Failure, Verdict};

pub(super) fn show(
    file: &Path,
    table: &str,
    key: &str,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<Verdict, Failure> {
    let json: Value = serde_json::from_str(key)
        .map_err(|error| Failure::new(format!("the key is no JSON object: {error}")))?;
    let key = item_from_json(json).map_err(Failure::new)?;
    let db = DynaMite::builder().background(false).read_only(true).cache_size(16 << 20).open(file)?;
    let versions = db.item_history(table).key(key).any_table().execute()?;
    let shown = versions.iter().map(|version| {
        let time = version.time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let time_ms = time.map(|time| time.as_millis() as u64);
        (version.version, time_ms, &version.item)
    });
    if as_json {
        let versions: Vec<Value> = shown
            .map(|(version, time_ms, item)| json!({"version": version, "time_ms": time_ms, "item": item}))
            .collect();
        writeln!(out, "{}", json!({"table": table, "versions": versions}))?;
        return Ok(Verdict::Clean);
    }
    for (version, time_ms, item) in shown {
        let time = time_ms.map_or("at an unknown time".to_owned(), |time| format!("at {time} ms"));
        let item = item.as_ref().map_or("deleted".to_owned(), Value::to_string);
        writeln!(out, "version {version} {time}: {item}")?;
    }
    if versions.is_empty() {
        writeln!(out, "there is no such item, and no version of it is kept")?;
    }
    Ok(Verdict::Clean)
}
