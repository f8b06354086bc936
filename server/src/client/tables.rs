//! Tables: create, change, drop, list, describe.

use std::time::Duration;

use dynamite_core::api::{GlobalIndex, LocalIndex, StreamView, TableDescription};
use dynamite_core::types::KeyType;

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat, Route};
use crate::client::told::awaited;
use crate::error::Result;
use crate::protocol::operation;
use crate::protocol::text::Text;

/// A table that is about to be created; [`DynaMiteClient::create_table`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is created before it is awaited"]
pub struct CreateTable {
    route: Route,
    create: operation::CreateTable<'static>,
}

impl CreateTable {
    /// The attribute that items are grouped by, and its type.
    pub fn partition_key(mut self, name: impl Into<String>, key_type: KeyType) -> Self {
        self.create.partition_key = Some((name.into(), key_type));
        self
    }

    /// The attribute that the items of a partition are ordered by, and its type.
    pub fn sort_key(mut self, name: impl Into<String>, key_type: KeyType) -> Self {
        self.create.sort_key = Some((name.into(), key_type));
        self
    }

    /// The attribute that says when an item expires, in seconds since 1970.
    pub fn ttl(mut self, attribute: impl Into<String>) -> Self {
        self.create.ttl = Some(attribute.into());
        self
    }

    /// An index with a partition key of its own.
    pub fn global_index(mut self, index: GlobalIndex) -> Self {
        self.create.global.push(index);
        self
    }

    /// An index with the table's partition key, and another sort key.
    pub fn local_index(mut self, index: LocalIndex) -> Self {
        self.create.local.push(index);
        self
    }

    /// A change stream whose records show this.
    pub fn stream(mut self, view: StreamView) -> Self {
        self.create.stream = Some(view);
        self
    }

    /// Keeps superseded versions for this long.
    pub fn history(mut self, duration: Duration) -> Self {
        self.create.history = Some(duration);
        self
    }

    /// Creates the table.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<()> {
        self.route.write(&self.create, Ok).await
    }
}

awaited!(CreateTable => ());

/// A table that is about to be changed; [`DynaMiteClient::update_table`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is changed before it is awaited"]
pub struct UpdateTable {
    route: Route,
    update: operation::UpdateTable<'static>,
}

impl UpdateTable {
    /// Items expire by this attribute from now on.
    pub fn ttl(mut self, attribute: impl Into<String>) -> Self {
        self.update.ttl = Some(Some(attribute.into()));
        self
    }

    /// No item expires any more.
    pub fn no_ttl(mut self) -> Self {
        self.update.ttl = Some(None);
        self
    }

    /// Adds an index, which is built while the table is in use; [`DynaMiteClient::wait_for_index`] waits for it.
    pub fn add_index(mut self, index: GlobalIndex) -> Self {
        self.update.added.push(index);
        self
    }

    /// Drops an index.
    pub fn drop_index(mut self, index: &str) -> Self {
        self.update.dropped.push(index.to_owned().into());
        self
    }

    /// Enables a change stream.
    pub fn stream(mut self, view: StreamView) -> Self {
        self.update.stream = Some(Some(view));
        self
    }

    /// Disables the change stream.
    pub fn no_stream(mut self) -> Self {
        self.update.stream = Some(None);
        self
    }

    /// Keeps superseded versions for this long, of a table that keeps them.
    pub fn history(mut self, duration: Duration) -> Self {
        self.update.history = Some(duration);
        self
    }

    /// Changes the table.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<()> {
        self.route.write(&self.update, Ok).await
    }
}

awaited!(UpdateTable => ());

impl Route {
    pub(crate) async fn list_tables(&self) -> Result<Vec<String>> {
        let list = operation::ListTables { at: self.at() };
        self.read(&list, |names| Ok(names.iter().map(|name| name.to_string()).collect())).await
    }

    pub(crate) async fn describe_table(&self, table: &str) -> Result<TableDescription> {
        let describe = operation::DescribeTable { at: self.at(), table: Text::from(table) };
        self.read(&describe, Ok).await
    }
}

impl DynaMiteClient {
    /// Begins to create a table.
    pub fn create_table(&self, name: &str) -> CreateTable {
        let create = operation::CreateTable {
            name: name.to_owned().into(),
            partition_key: None,
            sort_key: None,
            ttl: None,
            global: Vec::new(),
            local: Vec::new(),
            stream: None,
            history: None,
        };
        CreateTable { route: self.route(), create }
    }

    /// Begins to change a table while it is in use.
    pub fn update_table(&self, name: &str) -> UpdateTable {
        let update = operation::UpdateTable {
            name: name.to_owned().into(),
            ttl: None,
            added: Vec::new(),
            dropped: Vec::new(),
            stream: None,
            history: None,
        };
        UpdateTable { route: self.route(), update }
    }

    /// Drops a table with all its items.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn drop_table(&self, table: &str) -> Result<()> {
        self.route().write(&operation::DropTable { table: Text::from(table) }, Ok).await
    }

    /// The names of all tables, in order.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn list_tables(&self) -> Result<Vec<String>> {
        self.route().list_tables().await
    }

    /// What is known of a table.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn describe_table(&self, table: &str) -> Result<TableDescription> {
        self.route().describe_table(table).await
    }

    /// Waits until an index that was added is built.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn wait_for_index(&self, table: &str, index: &str) -> Result<()> {
        let wait = operation::WaitForIndex { table: Text::from(table), index: Text::from(index) };
        self.route().call(&wait, Repeat::Safe, Limit::None, Ok).await
    }
}
