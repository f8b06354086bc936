//! Tables: create, drop, list, describe.

use dynamite_txn::{ReadTxn, Retention, TxnError};

use crate::api::database::DynaMite;
use crate::api::schema::{Schema, is_of_users};
use crate::api::table::Table;
use crate::error::{Error, Invalid, Result};
use crate::types::{KeyAttribute, KeySchema, KeyType};

/// A table that is about to be created; [`DynaMite::create_table`] begins, [`execute`](CreateTable::execute) ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is created before execute"]
pub struct CreateTable<'a> {
    db: &'a DynaMite,
    name: &'a str,
    partition_key: Option<(String, KeyType)>,
    sort_key: Option<(String, KeyType)>,
}

/// What is known of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableDescription {
    /// Its name.
    pub name: String,
    /// The attributes of its items' keys.
    pub keys: KeySchema,
    /// Items in it, exactly, as of now.
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
        CreateTable { db: self, name, partition_key: None, sort_key: None }
    }

    /// Drops a table and all its items. Returns at once; the pages are freed in the background, in bounded steps, also after a
    /// crash. Snapshots that were taken before see the table as before.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`].
    pub fn drop_table(&self, table: &str) -> Result<()> {
        let dropped = self.shared.write(|txn| Ok(txn.drop_table(table.as_bytes())?))?;
        self.shared.tables.forget(table);
        if dropped { Ok(()) } else { Err(not_found(table)) }
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

    /// Creates the table. It is there, durably, when this returns.
    pub fn execute(self) -> Result<()> {
        check_name(self.name)?;
        let attribute = |(name, key_type)| KeyAttribute::new(name, key_type).map_err(Invalid::Schema);
        let partition_key = attribute(self.partition_key.ok_or(Invalid::NoPartitionKey)?)?;
        let sort_key = self.sort_key.map(attribute).transpose()?;
        let keys = KeySchema::new(partition_key, sort_key).map_err(Invalid::Schema)?;
        let meta = Schema { keys }.encode()?;
        self.db.shared.write(|txn| match txn.create_table(self.name.as_bytes(), &meta, Retention::None) {
            Err(TxnError::TableExists { .. }) => Err(Error::TableExists { table: self.name.to_owned() }),
            created => Ok(created.map(drop)?),
        })
    }
}

pub(crate) fn list(read: &mut ReadTxn<'_>) -> Result<Vec<String>> {
    let names = read.tables()?.into_iter().map(|(name, _)| name).filter(|name| is_of_users(name));
    Ok(names.map(|name| String::from_utf8_lossy(&name).into_owned()).collect())
}

pub(crate) fn describe(read: &mut ReadTxn<'_>, table: &str) -> Result<TableDescription> {
    let info = read.table(table.as_bytes())?.ok_or_else(|| not_found(table))?;
    let keys = Table::decode(table, &info)?.keys;
    let stats = read.stats(info.id)?;
    Ok(TableDescription { name: table.to_owned(), keys, item_count: stats.items, size_bytes: stats.bytes })
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
