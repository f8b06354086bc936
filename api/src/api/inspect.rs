//! What stored bytes mean, for those who look at a file past the database: what a tree belongs to, what a stored key and a stored
//! item say, and whether an item is what its table would store.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use dynamite_txn::verify::PayloadCheck;
use dynamite_txn::{TableId, TableInfo};
use serde_json::{Value, json};
use thiserror::Error;

use crate::api::key;
use crate::api::schema::is_of_users;
use crate::api::table::Table;
use crate::api::{table_backup, token};
use crate::item_codec::{self, ItemDamage};
use crate::json;
use crate::key_codec::{self, OwnedKeyValue};
use crate::value::AttributeValue;

/// What a tree is for, which its name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TreeRole {
    /// The items of a table.
    Table(String),
    /// The entries of an index.
    Index {
        /// The table's name.
        table: String,
        /// The index's name.
        index: String,
    },
    /// The queue of what expires.
    Expiry {
        /// The table's name.
        table: String,
    },
    /// The records of a change stream.
    Stream {
        /// The table's name.
        table: String,
        /// When it was enabled, in milliseconds since 1970.
        created_ms: String,
    },
    /// The idempotency tokens of transactions.
    Tokens,
    /// A backup of a table, by its id.
    Backup(String),
    /// Something that this build does not know, or that the layer below made for itself.
    Other(String),
}

impl TreeRole {
    /// What the tree of a name is for.
    pub fn of_name(name: &[u8]) -> TreeRole {
        let text = String::from_utf8_lossy(name).into_owned();
        if is_of_users(name) {
            return TreeRole::Table(text);
        }
        if name == token::TREE {
            return TreeRole::Tokens;
        }
        if let Some(id) = name.strip_prefix(table_backup::PREFIX) {
            return TreeRole::Backup(String::from_utf8_lossy(id).into_owned());
        }
        let Some((table, purpose)) = text.split_once('\0') else { return TreeRole::Other(text) };
        let table = table.to_owned();
        if let Some(index) = purpose.strip_prefix("index\0") {
            return TreeRole::Index { table, index: index.to_owned() };
        }
        if let Some(created_ms) = purpose.strip_prefix("stream ") {
            return TreeRole::Stream { table, created_ms: created_ms.to_owned() };
        }
        match purpose {
            "ttl" => TreeRole::Expiry { table },
            _ => TreeRole::Other(text.escape_debug().to_string()),
        }
    }

    /// The table that it is of.
    pub fn table(&self) -> Option<&str> {
        match self {
            TreeRole::Table(table)
            | TreeRole::Index { table, .. }
            | TreeRole::Expiry { table }
            | TreeRole::Stream { table, .. } => Some(table),
            TreeRole::Tokens | TreeRole::Backup(_) | TreeRole::Other(_) => None,
        }
    }
}

impl fmt::Display for TreeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeRole::Table(table) => write!(f, "table {table}"),
            TreeRole::Index { table, index } => write!(f, "index {index} of table {table}"),
            TreeRole::Expiry { table } => write!(f, "TTL queue of table {table}"),
            TreeRole::Stream { table, created_ms } => write!(f, "stream {created_ms} of table {table}"),
            TreeRole::Tokens => f.write_str("idempotency tokens"),
            TreeRole::Backup(id) => write!(f, "backup {id}"),
            TreeRole::Other(name) => write!(f, "tree {name}"),
        }
    }
}

/// A stored key as JSON: the values that it is made of, in order. `None` if it is not made of values.
pub fn key_to_json(key: &[u8]) -> Option<Value> {
    let (values, rest) = values_of(key);
    rest.is_empty().then(|| Value::from(values))
}

/// The values that a key begins with, and what follows them.
fn values_of(mut key: &[u8]) -> (Vec<Value>, &[u8]) {
    let mut values = Vec::new();
    while let Ok((value, rest)) = key_codec::decode(key) {
        let value = match value {
            OwnedKeyValue::S(text) => AttributeValue::S(text),
            OwnedKeyValue::N(number) => AttributeValue::N(number),
            OwnedKeyValue::B(bytes) => AttributeValue::B(bytes),
        };
        values.push(Value::from(value));
        key = rest;
    }
    (values, key)
}

/// A stored item as JSON. `None` if it is none.
pub fn item_to_json(item: &[u8]) -> Option<Value> {
    item_codec::decode(item).ok().map(json::item_to_json)
}

/// What is wrong with a stored item.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{role}, key {key}: {fault}")]
pub struct ItemFinding {
    /// Where it is stored.
    pub role: TreeRole,
    /// Its key, as JSON where it is one.
    pub key: String,
    /// What is wrong.
    pub fault: ItemFault,
}

/// What can be wrong with a stored item by itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ItemFault {
    /// Its bytes are not those of an item.
    #[error("the item is malformed: {0}")]
    Malformed(ItemDamage),
    /// It is not stored under its own key.
    #[error("the item's own key attributes are others")]
    OtherKey,
    /// The table's description cannot be read, so nothing can be said about its items.
    #[error("the table's description is malformed")]
    Description,
}

/// Checks stored items one by one, as they come by: that their bytes are those of an item, and that they are stored under their
/// own keys.
#[derive(Debug, Default)]
pub struct ItemCheck {
    trees: HashMap<TableId, Arc<Known>>,
}

#[derive(Debug)]
struct Known {
    role: TreeRole,
    /// What its items must look like, if it is a table of users'.
    table: Option<Table>,
}

impl Known {
    /// What is wrong with an item, if anything.
    fn fault(&self, key: &[u8], item: &[u8]) -> Option<ItemFault> {
        let is_own = match &self.table {
            Some(table) => key::check_own(table, key, item),
            None => item_codec::check(item).map(|_| true),
        };
        match is_own {
            Ok(true) => None,
            Ok(false) => Some(ItemFault::OtherKey),
            Err(damage) => Some(ItemFault::Malformed(damage)),
        }
    }
}

impl ItemCheck {
    /// Nothing is known yet.
    pub fn new() -> ItemCheck {
        ItemCheck::default()
    }

    /// A table, and what is kept with its name. What is returned is wrong with that.
    pub fn name(&mut self, name: &[u8], info: &TableInfo) -> Option<ItemFinding> {
        let role = TreeRole::of_name(name);
        let is_described = matches!(role, TreeRole::Table(_)) && !info.meta.is_empty();
        let table = is_described.then(|| Table::decode(&String::from_utf8_lossy(name), info));
        let wrong = matches!(table, Some(Err(_))).then(|| ItemFinding {
            role: role.clone(),
            key: String::new(),
            fault: ItemFault::Description,
        });
        self.trees.insert(info.id, Arc::new(Known { role, table: table.and_then(Result::ok) }));
        wrong
    }

    /// What a tree is for, if its name was seen.
    pub fn role(&self, table: TableId) -> Option<&TreeRole> {
        self.trees.get(&table).map(|known| &known.role)
    }

    /// What looks at the items of a tree. Of trees that hold no items nothing is said.
    ///
    /// Cost: one pass over each item.
    pub fn of_tree(&self, table: TableId) -> Option<PayloadCheck> {
        let known = self.trees.get(&table)?;
        let is_of_items = known.table.is_some() || matches!(known.role, TreeRole::Index { .. });
        let known = is_of_items.then(|| known.clone())?;
        Some(Arc::new(move |key, item| {
            let fault = known.fault(key, item)?;
            Some(Arc::new(ItemFinding { role: known.role.clone(), key: key_text(key), fault }))
        }))
    }

    /// What is known of a table of users', as JSON.
    pub fn describe(&self, table: TableId) -> Option<Value> {
        let table = self.trees.get(&table)?.table.as_ref()?;
        let attributes = table.keys.attributes();
        let keys = attributes.map(|key| json!({"name": key.name(), "type": key.key_type().letter()}));
        let indexes: Vec<&str> = table.indexes.iter().map(|index| &index.name[..]).collect();
        Some(json!({
            "keys": keys.collect::<Vec<_>>(),
            "ttl": table.ttl.as_ref().map(|ttl| &ttl.attribute),
            "indexes": indexes,
            "streams": table.streams.len(),
        }))
    }
}

/// A stored key for a message: as JSON, as far as it is made of values. A key that separates two others may end within a text, which
/// then ends with an ellipsis; other bytes are shown with what is no text escaped.
pub fn key_text(key: &[u8]) -> String {
    const SHOWN: usize = 120;
    let (values, rest) = values_of(key);
    let text = match rest {
        [] => Value::from(values).to_string(),
        [b'S', text @ ..] => {
            let mut parts: Vec<String> = values.iter().map(Value::to_string).collect();
            parts.push(format!("\"{}…", String::from_utf8_lossy(text).escape_debug()));
            format!("[{}]", parts.join(","))
        }
        _ => key.escape_ascii().to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], key.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::index_schema;
    use crate::api::ttl;

    /// The names are made elsewhere.
    #[test]
    fn the_names_of_trees_say_what_they_are_for() {
        let text = |name: &[u8]| TreeRole::of_name(name).to_string();
        assert_eq!(text(b"users"), "table users");
        assert_eq!(text(&index_schema::tree_name("users", "by_age")), "index by_age of table users");
        assert_eq!(text(&ttl::queue_name("users")), "TTL queue of table users");
        assert_eq!(text(b"users\0stream 17"), "stream 17 of table users");
        assert_eq!(text(token::TREE), "idempotency tokens");
        assert_eq!(text(b"users\0else"), "tree users\\0else");
    }

    #[test]
    fn keys_are_shown_as_values_or_as_bytes() {
        let mut key = Vec::new();
        key_codec::KeyValue::S("a\0b").encode_into(&mut key);
        key_codec::KeyValue::N(42.into()).encode_into(&mut key);
        assert_eq!(key_text(&key), r#"["a\u0000b",42]"#);
        assert_eq!(key_text(b"\0x"), r"\x00x");
        assert_eq!(key_text(b"Suser 00"), "[\"user 00…]");
        assert!(key_text(&[0; 300]).ends_with("… (300 bytes)"));
    }
}
