//! Tables: create, drop, list, describe.

use dynamite_txn::{ReadTxn, Retention, TableInfo, WriteTxn};

use crate::api::database::DynaMite;
use crate::api::schema::{Schema, is_of_users};
use crate::api::table::Table;
use crate::api::ttl::{self, Ttl};
use crate::error::{Damage, Error, Invalid, Result};
use crate::types::{KeyAttribute, KeySchema, KeyType};

/// A table that is about to be created; [`DynaMite::create_table`] begins, [`execute`](CreateTable::execute) ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is created before execute"]
pub struct CreateTable<'a> {
    db: &'a DynaMite,
    name: &'a str,
    partition_key: Option<(String, KeyType)>,
    sort_key: Option<(String, KeyType)>,
    ttl: Option<String>,
}

/// What is known of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableDescription {
    /// Its name.
    pub name: String,
    /// The attributes of its items' keys.
    pub keys: KeySchema,
    /// The attribute that says when an item expires, if items do; see [`CreateTable::ttl`].
    pub ttl: Option<String>,
    /// Items in it, exactly, as of now. Those that have expired count until they are deleted in the background.
    pub item_count: u64,
    /// Bytes of these items as they are stored, keys included.
    pub size_bytes: u64,
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
        CreateTable { db: self, name, partition_key: None, sort_key: None, ttl: None }
    }

    /// Drops a table and all its items. Returns at once; the pages are freed in the background, in bounded steps, also after a
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

    /// Creates the table. It is there, durably, when this returns.
    pub fn execute(self) -> Result<()> {
        check_name(self.name)?;
        let attribute = |(name, key_type)| KeyAttribute::new(name, key_type).map_err(Invalid::Schema);
        let partition_key = attribute(self.partition_key.ok_or(Invalid::NoPartitionKey)?)?;
        let sort_key = self.sort_key.map(attribute).transpose()?;
        let keys = KeySchema::new(partition_key, sort_key).map_err(Invalid::Schema)?;
        self.ttl.as_deref().map_or(Ok(()), ttl::check_attribute)?;
        self.db.shared.write(|txn| {
            if txn.table(self.name.as_bytes())?.is_some() {
                return Err(Error::TableExists { table: self.name.to_owned() });
            }
            let mut schema = Schema::of(keys);
            if let Some(attribute) = self.ttl {
                schema.ttl = Some(Ttl { attribute, queue: ttl::create_queue(txn, self.name, false)? });
            }
            txn.create_table(self.name.as_bytes(), &schema.encode()?, Retention::None)?;
            Ok(())
        })
    }
}

/// A table and its description, as a transaction has left it.
pub(crate) fn described(txn: &mut WriteTxn<'_>, table: &str) -> Result<(TableInfo, Schema)> {
    let info = txn.table(table.as_bytes())?.filter(|_| is_of_users(table.as_bytes()));
    let info = info.ok_or_else(|| not_found(table))?;
    let schema = Schema::decode(&info.meta).ok_or_else(|| malformed(table))?;
    Ok((info, schema))
}

/// All tables of the users', in the order of their names.
pub(crate) fn all(read: &mut ReadTxn<'_>) -> Result<Vec<Table>> {
    let tables = read.tables()?.into_iter().filter(|(name, _)| is_of_users(name));
    tables.map(|(name, info)| Table::decode(&String::from_utf8_lossy(&name), &info)).collect()
}

pub(crate) fn list(read: &mut ReadTxn<'_>) -> Result<Vec<String>> {
    let names = read.tables()?.into_iter().map(|(name, _)| name).filter(|name| is_of_users(name));
    Ok(names.map(|name| String::from_utf8_lossy(&name).into_owned()).collect())
}

pub(crate) fn describe(read: &mut ReadTxn<'_>, table: &str) -> Result<TableDescription> {
    let info = read.table(table.as_bytes())?.filter(|_| is_of_users(table.as_bytes()));
    let info = info.ok_or_else(|| not_found(table))?;
    let schema = Schema::decode(&info.meta).ok_or_else(|| malformed(table))?;
    let stats = read.stats(info.id)?;
    Ok(TableDescription {
        name: table.to_owned(),
        keys: schema.keys,
        ttl: schema.ttl.map(|ttl| ttl.attribute),
        item_count: stats.items,
        size_bytes: stats.bytes,
    })
}

/// The error for a description that cannot be read.
pub(crate) fn malformed(table: &str) -> Error {
    Error::DamagedItem { table: table.to_owned(), source: Damage::Schema }
}

fn not_found(table: &str) -> Error {
    Error::TableNotFound { table: table.to_owned() }
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    match (3..=255).contains(&name.len()) && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(Invalid::TableName { name: name.to_owned() }.into()),
    }
}
