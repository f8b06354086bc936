//! What is known of a table, and of what a read costs, field by field.

use dynamite_core::api::{
    Consumed, IndexDescription, IndexKind, IndexState, Projection, StreamDescription, TableDescription,
};
use dynamite_core::types::{KeyAttribute, KeySchema};
use serde_json::{Value, json};

use crate::console::answer::Answer;
use crate::console::time;

/// What `DESCRIBE` says.
pub(crate) fn table(table: &TableDescription) -> Answer {
    let mut fields = vec![
        ("table".to_owned(), table.name.clone()),
        ("key".to_owned(), key_text(&table.keys)),
        ("items".to_owned(), table.item_count.to_string()),
        ("bytes".to_owned(), table.size_bytes.to_string()),
    ];
    let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
    if let Some(created_ms) = table.created_ms {
        add("created", time::format_ms(created_ms));
    }
    if let Some(attribute) = &table.ttl {
        add("ttl", attribute.clone());
    }
    if let Some(stream) = &table.stream {
        add("stream", stream_text(stream));
    }
    for stream in &table.closed_streams {
        add("closed stream", stream_text(stream));
    }
    if let Some(duration) = table.history {
        add("history", duration_text(duration.as_secs()));
    }
    for index in &table.indexes {
        add("index", index_text(index));
    }
    let streams = |stream: &StreamDescription| {
        json!({
            "label": stream.label,
            "view": stream.view.as_str(),
            "created": time::format_ms(stream.created_ms),
            "closed": stream.closed_ms.map(time::format_ms),
        })
    };
    let json = json!({
        "table": table.name,
        "key": key_json(&table.keys),
        "items": table.item_count,
        "bytes": table.size_bytes,
        "created": table.created_ms.map(time::format_ms),
        "ttl": table.ttl,
        "stream": table.stream.as_ref().map(streams),
        "closed_streams": table.closed_streams.iter().map(streams).collect::<Vec<_>>(),
        "history_seconds": table.history.map(|duration| duration.as_secs()),
        "indexes": table.indexes.iter().map(index_json).collect::<Vec<_>>(),
    });
    Answer::Record { fields, json }
}

fn key_text(keys: &KeySchema) -> String {
    let part = |attributes: &[KeyAttribute]| {
        let named: Vec<String> = attributes
            .iter()
            .map(|attribute| format!("{} {}", attribute.name(), attribute.key_type()))
            .collect();
        if named.len() > 1 { format!("({})", named.join(", ")) } else { named.concat() }
    };
    let parts = [keys.partition_attributes(), keys.sort_attributes()];
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|attributes| part(attributes))
        .collect::<Vec<_>>()
        .join(", ")
}

fn key_json(keys: &KeySchema) -> Value {
    let part = |attributes: &[KeyAttribute]| -> Value {
        attributes
            .iter()
            .map(|attribute| json!({"name": attribute.name(), "type": attribute.key_type().letter()}))
            .collect()
    };
    json!({"partition": part(keys.partition_attributes()), "sort": part(keys.sort_attributes())})
}

fn index_text(index: &IndexDescription) -> String {
    let projection = match &index.projection {
        Projection::All => "all attributes".to_owned(),
        Projection::KeysOnly => "keys only".to_owned(),
        Projection::Include(names) => format!("also {}", names.join(", ")),
    };
    let state = match index.state {
        IndexState::Active => String::new(),
        IndexState::Creating { done, of } => format!(", being built: {done} of {of}"),
    };
    let skipped = match index.skipped_count {
        0 => String::new(),
        count => format!(", {count} left out"),
    };
    let local = if index.kind == IndexKind::Local { "local, " } else { "" };
    let ties = if index.hashed_ties { "equal keys by hash, " } else { "" };
    let IndexDescription { name, keys, item_count, size_bytes, .. } = index;
    let keys = key_text(keys);
    format!(
        "{name} ({keys}): {local}{ties}{projection}, {item_count} entries, {size_bytes} bytes{skipped}{state}"
    )
}

fn index_json(index: &IndexDescription) -> Value {
    let projection = match &index.projection {
        Projection::All => json!("all"),
        Projection::KeysOnly => json!("keys"),
        Projection::Include(names) => json!(names),
    };
    let (is_active, done) = match index.state {
        IndexState::Active => (true, None),
        IndexState::Creating { done, of } => (false, Some(json!({"done": done, "of": of}))),
    };
    json!({
        "name": index.name,
        "kind": match index.kind { IndexKind::Global => "global", IndexKind::Local => "local" },
        "key": key_json(&index.keys),
        "hashed_ties": index.hashed_ties,
        "projection": projection,
        "active": is_active,
        "progress": done,
        "items": index.item_count,
        "bytes": index.size_bytes,
        "skipped": index.skipped_count,
    })
}

fn stream_text(stream: &StreamDescription) -> String {
    let closed = stream.closed_ms.map_or(String::new(), |ms| format!(", closed {}", time::format_ms(ms)));
    format!(
        "{}, since {}{closed}, label {}",
        stream.view.as_str(),
        time::format_ms(stream.created_ms),
        stream.label
    )
}

/// A duration in the largest unit that it is a multiple of, as statements have it.
fn duration_text(seconds: u64) -> String {
    let units = [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm')];
    match units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit)) {
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

/// What a read touched.
pub(crate) struct Cost {
    /// What was read, and how it was found, if that is said.
    pub(crate) access: Option<String>,
    pub(crate) index: Option<String>,
    pub(crate) shown: usize,
    pub(crate) examined: usize,
    pub(crate) more: bool,
    pub(crate) consumed: Consumed,
    pub(crate) pages: u64,
    pub(crate) pages_read: u64,
    /// Whether the pages are also those that others touched meanwhile.
    pub(crate) is_shared: bool,
}

/// What `EXPLAIN` says.
pub(crate) fn cost(table: &str, cost: &Cost) -> Answer {
    let bytes: u64 = cost.consumed.entries().iter().map(|entry| entry.bytes).sum();
    let meanwhile = if cost.is_shared { ", of the whole server meanwhile" } else { "" };
    let mut fields: Vec<(String, String)> = vec![
        ("table".to_owned(), table.to_owned()),
        ("index".to_owned(), cost.index.clone().unwrap_or_else(|| "none: the table itself".to_owned())),
    ];
    fields.extend(cost.access.iter().map(|access| ("access".to_owned(), access.clone())));
    fields.push(("items shown".to_owned(), cost.shown.to_string()));
    fields.push(("items looked at".to_owned(), cost.examined.to_string()));
    fields.push(("bytes looked at".to_owned(), bytes.to_string()));
    fields.push(("pages touched".to_owned(), format!("{}{meanwhile}", cost.pages)));
    fields.push(("pages read from disk".to_owned(), format!("{}{meanwhile}", cost.pages_read)));
    fields.push(("more".to_owned(), if cost.more { "yes" } else { "no" }.to_owned()));
    let json = json!({
        "table": table,
        "index": cost.index,
        "access": cost.access,
        "items_shown": cost.shown,
        "items_looked_at": cost.examined,
        "bytes_looked_at": bytes,
        "pages_touched": cost.pages,
        "pages_read": cost.pages_read,
        "shared": cost.is_shared,
        "more": cost.more,
    });
    Answer::Record { fields, json }
}
