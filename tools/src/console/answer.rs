//! What comes of a statement, before it is printed for people or for programs.
//!
//! # As JSON
//!
//! One object on one line for each statement; for each page with `LIMIT ALL`. Items are JSON as [`dynamite_core::json`] has it.
//!
//! ```text
//! GET                 item (or null), version (or null)
//! QUERY, SCAN, MORE   items, count, scanned_count, cursor (where to go on with FROM, or null)
//!   with COUNT        count, scanned_count, cursor
//! SELECT              items, count, scanned_count, cursor (a text, to go on with MORE, or null)
//! PUT                 version, and old with RETURN OLD
//! UPDATE              version, and attributes with RETURN
//! DELETE              deleted (whether there was an item), and old with RETURN OLD
//! other PartiQL       done: true, and returned, if it returns an item
//! within BEGIN        pending: how many actions there are
//! BEGIN, ROLLBACK     pending: 0
//! COMMIT, RESTORE     version (null for a COMMIT of nothing, or of PartiQL)
//! CREATE, ALTER, DROP, USE  table
//! LIST TABLES         tables
//! LIST KEYS           keys
//! HISTORY             versions: objects of version, time (or null) and item (or null)
//! DESCRIBE, EXPLAIN, STATS  what the text says, field by field
//! HELP                help: the text
//! whatever fails      error (the text), kind ("statement", "refused", "condition", "unavailable", "interrupted"),
//!                     and position (the byte of the statement) where there is one
//! ```

use std::time::UNIX_EPOCH;

use dynamite_core::Item;
use dynamite_core::api::ItemVersion;
use dynamite_core::json::item_to_json;
use serde_json::{Map, Value, json};

use crate::console::time;

/// What comes of a statement.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Something was done: what people are told, and what programs are.
    Done {
        text: String,
        json: Value,
    },
    /// The same, with an item.
    DoneWithItem {
        text: String,
        json: Value,
        name: &'static str,
        item: Option<Item>,
    },
    /// An item, the attributes of its key first.
    Found {
        item: Option<Item>,
        version: Option<u64>,
        keys: Vec<String>,
    },
    /// A page of items, the attributes of the key first.
    Page {
        items: Vec<Item>,
        keys: Vec<String>,
        scanned_count: usize,
        cursor: Option<Cursor>,
        goes_on: bool,
    },
    /// `goes_on` says that the next answer is what follows, and nobody has to ask for it.
    Count {
        count: usize,
        scanned_count: usize,
        cursor: Option<Cursor>,
        goes_on: bool,
    },
    /// A list of one kind of things.
    List {
        name: &'static str,
        values: Vec<Value>,
    },
    /// Fields, for people under these names in this order.
    Record {
        fields: Vec<(String, String)>,
        json: Value,
    },
    Versions(Vec<ItemVersion<Item>>),
    Help(String),
}

/// Where a read goes on.
#[derive(Clone, Debug)]
pub(crate) enum Cursor {
    /// Behind the item of this key.
    Key(Item),
    /// Where a token of the database's leads.
    Token(String),
}

impl Answer {
    /// A version that was written.
    pub(crate) fn version(what: &str, version: u64) -> Answer {
        Answer::Done { text: format!("{what}, version {version}"), json: json!({"version": version}) }
    }

    /// An update that only removes found no item.
    pub(crate) fn nothing_to_remove() -> Answer {
        Answer::Done { text: "no such item, nothing was removed".to_owned(), json: json!({"version": 0}) }
    }

    /// Something was done to a table.
    pub(crate) fn table(what: &str, table: &str) -> Answer {
        Answer::Done { text: format!("{what} {table}"), json: json!({"table": table}) }
    }

    /// The object that programs are given.
    pub(crate) fn into_json(self) -> Value {
        match self {
            Answer::Done { json, .. } | Answer::Record { json, .. } => json,
            Answer::DoneWithItem { mut json, name, item, .. } => {
                if let Value::Object(fields) = &mut json {
                    fields.insert(name.to_owned(), optional(item));
                }
                json
            }
            Answer::Found { item, version, .. } => json!({"item": optional(item), "version": version}),
            Answer::Page { items, scanned_count, cursor, .. } => {
                let count = items.len();
                let items: Vec<Value> = items.into_iter().map(item_to_json).collect();
                json!({"items": items, "count": count, "scanned_count": scanned_count, "cursor": cursor.map(Cursor::into_json)})
            }
            Answer::Count { count, scanned_count, cursor, .. } => {
                json!({"count": count, "scanned_count": scanned_count, "cursor": cursor.map(Cursor::into_json)})
            }
            Answer::List { name, values } => {
                Value::Object(Map::from_iter([(name.to_owned(), values.into())]))
            }
            Answer::Versions(versions) => {
                let version = |of: ItemVersion<Item>| json!({"version": of.version, "time": of.time.map(time::format), "item": optional(of.item)});
                json!({"versions": versions.into_iter().map(version).collect::<Vec<_>>()})
            }
            Answer::Help(text) => json!({"help": text}),
        }
    }
}

impl Cursor {
    fn into_json(self) -> Value {
        match self {
            Cursor::Key(item) => item_to_json(item),
            Cursor::Token(token) => token.into(),
        }
    }
}

fn optional(item: Option<Item>) -> Value {
    item.map_or(Value::Null, item_to_json)
}

/// When a version was written, for people.
pub(crate) fn time_of(version: &ItemVersion<Item>) -> String {
    version.time.filter(|time| *time > UNIX_EPOCH).map_or_else(|| "unknown".to_owned(), time::format)
}
