//! Tables: create, drop, list, describe.

use std::time::Duration;

use dynamite_txn::{ReadTxn, Retention, TableInfo, WriteTxn};

use crate::api::database::DynaMite;
use crate::api::history;
use crate::api::index::{Definition, GlobalIndex, IndexDescription, LocalIndex, check_together};
use crate::api::index_schema::IndexSchema;
use crate::api::schema::{Schema, is_of_users};
use crate::api::stream::{self, Stream, StreamDescription, StreamView};
use crate::api::table::Table;
use crate::api::ttl::{self, Ttl};
use crate::error::{Damage, Error, Invalid, Result};
use crate::types::{KeyAttribute, KeySchema, KeyType, SchemaError};
use crate::value::Item;

/// A table that is about to be created; [`DynaMite::create_table`] begins, [`execute`](CreateTable::execute) ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is created before execute"]
pub struct CreateTable<'a> {
    db: &'a DynaMite,
    name: &'a str,
    partition_key: Option<(String, KeyType)>,
    sort_key: Option<(String, KeyType)>,
    ttl: Option<String>,
    global: Vec<GlobalIndex>,
    local: Vec<LocalIndex>,
    stream: Option<StreamView>,
    history: Option<Duration>,
    metadata: Item,
}

/// What is known of a table.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct TableDescription {
    /// Its name.
    pub name: String,
    /// When it was created, in milliseconds since 1970; tables of older builds do not say.
    pub created_ms: Option<u64>,
    /// What a front end keeps with it.
    pub metadata: Item,
    /// The attributes of its items' keys.
    pub keys: KeySchema,
    /// The attribute that says when an item expires, if items do; see [`CreateTable::ttl`].
    pub ttl: Option<String>,
    /// Its change stream, if it has one; see [`CreateTable::stream`].
    pub stream: Option<StreamDescription>,
    /// Streams that were disabled and can still be read, the oldest first.
    pub closed_streams: Vec<StreamDescription>,
    /// For how long it keeps old versions, if it does; see [`CreateTable::history`].
    pub history: Option<Duration>,
    /// Items in it, exactly, as of now. Those that have expired count until they are deleted in the background.
    pub item_count: u64,
    /// Bytes of these items as they are stored, keys included.
    pub size_bytes: u64,
    /// Its indexes, in the order in which they were added.
    pub indexes: Vec<IndexDescription>,
}

impl DynaMite {
    /// Begins to create a table. Its items are found by their partition key, or by partition key and sort key together.
    ///
    /// # Errors
    ///
    /// [`Error::TableExists`], [`Error::Validation`] for its name or keys.
    ///
    /// ```
    /// # use dynamite_core::api::DynaMite;
    /// # use dynamite_core::types::KeyType;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// db.create_table("events")
    ///     .partition_key("device_id", KeyType::String)
    ///     .sort_key("timestamp", KeyType::Number)
    ///     .execute()?;
    /// assert_eq!(db.list_tables()?, ["events"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_table<'a>(&'a self, name: &'a str) -> CreateTable<'a> {
        CreateTable {
            db: self,
            name,
            partition_key: None,
            sort_key: None,
            ttl: None,
            global: Vec::new(),
            local: Vec::new(),
            stream: None,
            history: None,
            metadata: Item::new(),
        }
    }

    /// Drops a table, all its items and its indexes. Returns at once; the pages are freed in the background, in bounded steps, also after a
    /// crash. Snapshots that were taken before see the table as before.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`].
    pub fn drop_table(&self, table: &str) -> Result<()> {
        self.shared.write(|txn| {
            let (_, schema) = described(txn, table)?;
            for tree in schema.trees(table) {
                txn.drop_table(&tree)?;
            }
            Ok(txn.drop_table(table.as_bytes())?)
        })?;
        self.shared.tables.forget(table);
        Ok(())
    }

    /// The names of all tables, in order.
    pub fn list_tables(&self) -> Result<Vec<String>> {
        list(&mut self.shared.store.read()?)
    }

    /// What is known of a table: its keys, the number of its items and their size. Costs the same for any size of table.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`].
    pub fn describe_table(&self, table: &str) -> Result<TableDescription> {
        describe(&mut self.shared.store.read()?, table)
    }
}

impl CreateTable<'_> {
    /// The attribute by whose value items are found, and its type.
    pub fn partition_key(mut self, name: impl Into<String>, key_type: KeyType) -> Self {
        self.partition_key = Some((name.into(), key_type));
        self
    }

    /// The attribute by whose value the items of a partition are ordered, and its type.
    pub fn sort_key(mut self, name: impl Into<String>, key_type: KeyType) -> Self {
        self.sort_key = Some((name.into(), key_type));
        self
    }

    /// Lets items expire: those in which this attribute is a number of seconds since 1970 are gone for all reads, conditions and
    /// writes when the clock, in whole seconds, has passed it. They are deleted in the background, in bounded steps.
    ///
    /// As in DynamoDB, items without the attribute never expire, nor do those in which it is no number, or lies more than five years
    /// in the past. A [`Snapshot`](crate::api::Snapshot) and a [`Transaction`](crate::api::Transaction) judge by one moment: that
    /// at which the snapshot was taken, or the transaction first asked.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use dynamite_core::api::{DynaMite, ManualClock};
    /// # use dynamite_core::types::KeyType;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    /// let db = DynaMite::builder().clock(clock.clone()).in_memory()?;
    /// db.create_table("sessions").partition_key("id", KeyType::String).ttl("expires_at").execute()?;
    /// db.put_item("sessions", json!({"id": "a", "expires_at": 1_700_000_060}))?;
    /// assert!(db.get_item("sessions").partition_key("a").execute()?.is_some());
    ///
    /// clock.advance(61_000);
    /// assert!(db.get_item("sessions").partition_key("a").execute()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn ttl(mut self, attribute: impl Into<String>) -> Self {
        self.ttl = Some(attribute.into());
        self
    }

    /// One more index, with a partition key of its own.
    pub fn global_index(mut self, index: GlobalIndex) -> Self {
        self.global.push(index);
        self
    }

    /// One more index, with the table's partition key and another sort key.
    pub fn local_index(mut self, index: LocalIndex) -> Self {
        self.local.push(index);
        self
    }

    /// Keeps a change stream: a record of every change of an item, written in the item's transaction, in order; see
    /// [`DynaMite::stream`].
    pub fn stream(mut self, view: StreamView) -> Self {
        self.stream = Some(view);
        self
    }

    /// Keeps the versions of items that were current within this duration before now: see
    /// [`DynaMite::item_history`] and [`DynaMite::as_of`]. [`UpdateTable::history`](crate::api::UpdateTable::history) changes the
    /// duration, and lets a table that keeps none begin to.
    pub fn history(mut self, duration: Duration) -> Self {
        self.history = Some(duration);
        self
    }

    /// What a front end keeps with the table, such as settings that mean nothing to the database;
    /// [`TableDescription::metadata`] hands it back.
    pub fn metadata(mut self, metadata: Item) -> Self {
        self.metadata = metadata;
        self
    }

    /// Creates the table. It is there when this returns: durably, but with
    /// [`Durability::Eventual`](crate::api::Durability::Eventual).
    pub fn execute(self) -> Result<()> {
        check_name(self.name)?;
        let attribute = |(name, key_type)| KeyAttribute::new(name, key_type).map_err(Invalid::Schema);
        let partition_key =
            attribute(self.partition_key.ok_or(Invalid::Schema(SchemaError::NoPartitionKey))?)?;
        let sort_key = self.sort_key.map(attribute).transpose()?;
        let keys = KeySchema::new(partition_key, sort_key).map_err(Invalid::Schema)?;
        self.ttl.as_deref().map_or(Ok(()), ttl::check_attribute)?;
        let global = self.global.into_iter().map(GlobalIndex::define);
        let local = self.local.into_iter().map(|index| index.define(&keys));
        let definitions = global.chain(local).collect::<Result<Vec<Definition>>>()?;
        check_together(&keys, definitions.iter())?;
        self.history.map_or(Ok(()), history::check_duration)?;
        let retention = self.history.map_or(Retention::None, Retention::Duration);
        self.db.shared.write(|txn| {
            if txn.table(self.name.as_bytes())?.is_some() {
                return Err(Error::TableExists { table: self.name.to_owned() });
            }
            let mut schema = Schema::of(keys);
            schema.created_ms = Some(self.db.shared.clock.now_ms());
            schema.metadata = self.metadata;
            if let Some(attribute) = self.ttl {
                schema.ttl = Some(Ttl { attribute, queue: ttl::create_queue(txn, self.name, false)? });
            }
            let indexes =
                definitions.into_iter().map(|index| IndexSchema::create(txn, self.name, index, None));
            schema.indexes = indexes.collect::<Result<_>>()?;
            if let Some(view) = self.stream {
                stream::open(txn, self.name, &mut schema, view, self.db.shared.clock.now_ms())?;
            }
            txn.create_table(self.name.as_bytes(), &schema.encode()?, retention)?;
            Ok(())
        })
    }
}

/// A table and its description, as a transaction has left it.
pub(crate) fn described(txn: &mut WriteTxn<'_>, table: &str) -> Result<(TableInfo, Schema)> {
    let found = if is_of_users(table.as_bytes()) { txn.table(table.as_bytes())? } else { None };
    let info = found.ok_or_else(|| not_found(table))?;
    let schema = Schema::decode(&info.meta).ok_or_else(|| malformed(table))?;
    Ok((info, schema))
}

/// All tables of the users', in the order of their names. What has no description at all was made by the layer below, and is none
/// of ours.
pub(crate) fn all(read: &mut ReadTxn<'_>) -> Result<Vec<Table>> {
    let tables = read.tables()?.into_iter().filter(|(name, info)| is_of_users(name) && !info.meta.is_empty());
    tables.map(|(name, info)| Table::decode(&String::from_utf8_lossy(&name), &info)).collect()
}

pub(crate) fn list(read: &mut ReadTxn<'_>) -> Result<Vec<String>> {
    let names = read.tables()?.into_iter().map(|(name, _)| name).filter(|name| is_of_users(name));
    Ok(names.map(|name| String::from_utf8_lossy(&name).into_owned()).collect())
}

pub(crate) fn describe(read: &mut ReadTxn<'_>, table: &str) -> Result<TableDescription> {
    let found = if is_of_users(table.as_bytes()) { read.table(table.as_bytes())? } else { None };
    let info = found.ok_or_else(|| not_found(table))?;
    let decoded = Table::decode(table, &info)?;
    let Schema { created_ms, metadata, .. } = Schema::decode(&info.meta).ok_or_else(|| malformed(table))?;
    let stats = read.stats(info.id)?;
    let indexes = decoded.indexes.iter().map(|index| index.describe(read, stats.items));
    let (closed, open): (Vec<_>, Vec<_>) = decoded.streams.iter().partition(|stream| stream.closed.is_some());
    Ok(TableDescription {
        name: table.to_owned(),
        created_ms,
        metadata,
        keys: decoded.keys.clone(),
        ttl: decoded.ttl.as_ref().map(|ttl| ttl.attribute.clone()),
        stream: open.last().map(|stream| stream.describe()),
        closed_streams: closed.into_iter().map(Stream::describe).collect(),
        history: match stats.retention {
            Retention::Duration(duration) => Some(duration),
            _ => None,
        },
        item_count: stats.items,
        size_bytes: stats.bytes,
        indexes: indexes.collect::<Result<_>>()?,
    })
}

/// The error for a description that cannot be read.
pub(crate) fn malformed(table: &str) -> Error {
    Error::DamagedItem { table: table.to_owned(), source: Damage::Schema }
}

pub(crate) fn not_found(table: &str) -> Error {
    Error::TableNotFound { table: table.to_owned() }
}

/// Bytes of the longest name of a table or of an index.
pub(crate) const MAX_TABLE_NAME_LEN: usize = 255;

/// Refuses what cannot be the name of a table or of an index.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    match (3..=MAX_TABLE_NAME_LEN).contains(&name.len()) && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(Invalid::TableName { name: name.to_owned() }.into()),
    }
}
