//! Backups of single tables, kept in the database; and tables restored from them, or as they were.

use std::time::SystemTime;

use dynamite_core::Item;
use dynamite_core::api::TableBackup;

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat, Route};
use crate::client::snapshot::time_ms;
use crate::client::told::{Faults, awaited};
use crate::error::Result;
use crate::protocol::backup::{self, RestoreFrom};
use crate::protocol::text::Text;

/// A table that is about to be restored; [`DynaMiteClient::restore_table`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is restored before it is awaited"]
pub struct RestoreTable {
    route: Route,
    faults: Faults,
    restore: backup::RestoreTable<'static>,
}

impl RestoreTable {
    /// From a backup of a table.
    pub fn from_backup(self, id: &str) -> Self {
        self.with_source(RestoreFrom::Backup(id.to_owned().into()))
    }

    /// From a table with a history, as it was at a time; see [`DynaMiteClient::as_of_time`].
    pub fn from_past(self, table: &str, time: SystemTime) -> Self {
        self.with_source(RestoreFrom::Past(table.to_owned().into(), time_ms(time)))
    }

    /// From a table, as it is now.
    pub fn from_table(self, table: &str) -> Self {
        self.with_source(RestoreFrom::Table(table.to_owned().into()))
    }

    fn with_source(mut self, source: RestoreFrom<'static>) -> Self {
        self.restore.source = Some(source);
        self
    }

    /// Only these of the global indexes.
    pub fn global_indexes<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.restore.global = Some(texts(names));
        self
    }

    /// Only these of the local indexes.
    pub fn local_indexes<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.restore.local = Some(texts(names));
        self
    }

    /// What a front end keeps with the table, instead of what it kept with the one that is restored.
    pub fn metadata(mut self, metadata: Item) -> Self {
        self.restore.metadata = self.faults.item(metadata);
        self
    }

    /// Restores the table, however long that takes. It is there, durably, with all its items, when this returns; global indexes are
    /// built in the background.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<()> {
        let RestoreTable { route, faults, restore } = self;
        faults.check()?;
        route.call(&restore, Repeat::Never, Limit::None, Ok).await
    }
}

awaited!(RestoreTable => ());

fn texts<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Vec<Text<'static>> {
    names.into_iter().map(|name| name.into().into()).collect()
}

impl DynaMiteClient {
    /// Copies a table, as it is now, to a backup in the same database, however long that takes; see
    /// [`DynaMite::create_table_backup`](dynamite_core::api::DynaMite::create_table_backup).
    ///
    /// ```
    /// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
    /// # use dynamite_core::types::KeyType;
    /// # use dynamite_server::DynaMiteClient;
    /// # use serde_json::json;
    /// # let db = DynaMiteClient::connect(&path).await?;
    /// db.create_table("users").partition_key("user_id", KeyType::String).await?;
    /// db.put_item("users", json!({"user_id": "alice", "age": 30})).await?;
    /// let backup = db.create_table_backup("users", "before the summer").await?;
    /// db.drop_table("users").await?;
    ///
    /// db.restore_table("users").from_backup(&backup.id).await?;
    /// assert!(db.get_item("users", "alice", None).await?.is_some());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn create_table_backup(&self, table: &str, name: &str) -> Result<TableBackup> {
        let create = backup::CreateTableBackup { table: table.into(), name: name.into() };
        self.route().call(&create, Repeat::Never, Limit::None, Ok).await
    }

    /// All backups of tables, the oldest first, also of tables that were dropped.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn list_table_backups(&self) -> Result<Vec<TableBackup>> {
        self.route().read(&backup::ListTableBackups, Ok).await
    }

    /// What is known of a backup.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn describe_table_backup(&self, id: &str) -> Result<TableBackup> {
        self.route().read(&backup::DescribeTableBackup { id: id.into() }, Ok).await
    }

    /// Deletes a backup, and returns what was known of it.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn delete_table_backup(&self, id: &str) -> Result<TableBackup> {
        self.route().write(&backup::DeleteTableBackup { id: id.into() }, Ok).await
    }

    /// Begins to restore a table, under a name that no table has.
    pub fn restore_table(&self, name: &str) -> RestoreTable {
        let restore = backup::RestoreTable {
            name: name.to_owned().into(),
            source: None,
            global: None,
            local: None,
            metadata: None,
        };
        RestoreTable { route: self.route(), faults: Faults::default(), restore }
    }
}
