//! States that stay: snapshots of all tables, and tables as they were.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dynamite_core::api::{IntoAttribute, TableDescription};
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::batch::BatchGet;
use crate::client::call::{Repeat, Route, failure, within};
use crate::client::connection::{Connection, Opened};
use crate::client::items::{GetItem, GetItemVersioned};
use crate::client::rows::{Query, Scan};
use crate::client::transact_get::TransactGet;
use crate::error::Result;
use crate::protocol::Operation;
use crate::protocol::operation::{self, Moment};
use crate::protocol::text::Text;

/// A state that the server holds for a connection.
pub(crate) struct Held {
    /// Gives it back, while there still is a connection.
    opened: Opened,
    pub(crate) connection: Arc<Connection>,
}

impl Held {
    pub(crate) fn handle(&self) -> u64 {
        self.opened.held.handle
    }

    fn version(&self) -> u64 {
        self.opened.held.version
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl DynaMiteClient {
    /// A consistent view of all tables as they are now. The server holds it for as long as somebody has it, and the connection lasts.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot { route: self.hold(&operation::OpenSnapshot).await? })
    }

    /// A table with a history, as it was after the transaction of this version.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn as_of(&self, table: &str, version: u64) -> Result<PastTable> {
        let open = operation::OpenPast { table: Text::from(table), moment: Moment::Version(version) };
        Ok(PastTable { route: self.hold(&open).await?, table: table.to_owned() })
    }

    /// A table with a history, as it was at a time.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn as_of_time(&self, table: &str, time: SystemTime) -> Result<PastTable> {
        let open = operation::OpenPast { table: Text::from(table), moment: Moment::TimeMs(time_ms(time)) };
        Ok(PastTable { route: self.hold(&open).await?, table: table.to_owned() })
    }

    async fn hold<O>(&self, open: &O) -> Result<Route>
    where
        O: for<'b> Operation<Answer<'b> = operation::Held>,
    {
        let opened = async {
            // What a lost connection had is gone with it.
            let (connection, reply) = self.shared.call(open, Repeat::Safe).await?;
            match reply.opened {
                Some(opened) => Ok(Held { opened: opened?, connection }),
                None => Err(failure(&reply.body)),
            }
        };
        let held = within(self.shared.options.timeout, opened).await?;
        Ok(Route { client: self.clone(), held: Some(Arc::new(held)), consumed: None })
    }
}

/// A time, as requests say it: in milliseconds since 1970.
pub(crate) fn time_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn version(route: &Route) -> u64 {
    route.held.as_ref().map_or(0, |held| held.version())
}

/// All tables as they were at one moment. Clones share it. Its reads fail when the connection is lost: take another one then.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) route: Route,
}

impl Snapshot {
    /// The newest version that the snapshot sees.
    pub fn version(&self) -> u64 {
        version(&self.route)
    }

    /// Begins to get an item.
    pub fn get_item(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> GetItem {
        GetItem::new(self.route.clone(), table, partition_key, sort_key)
    }

    /// Begins to get an item and its version.
    pub fn get_item_versioned(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> GetItemVersioned {
        GetItemVersioned::new(self.route.clone(), table, partition_key, sort_key)
    }

    /// Begins to get many items.
    pub fn batch_get(&self) -> BatchGet {
        BatchGet::new(self.route.clone())
    }

    /// Begins to get up to a hundred items.
    pub fn transact_get(&self) -> TransactGet {
        TransactGet::new(self.route.clone())
    }

    /// Begins to query one partition of a table.
    pub fn query(&self, table: &str) -> Query {
        Query::new(self.route.clone(), Some(table))
    }

    /// Begins to scan a table.
    pub fn scan(&self, table: &str) -> Scan {
        Scan::new(self.route.clone(), Some(table))
    }

    /// The partition keys of a table; see [`DynaMiteClient::list_partition_keys`].
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn list_partition_keys(&self, table: &str, prefix: &str, limit: usize) -> Result<Vec<Value>> {
        self.route.list_partition_keys(table, prefix, limit).await
    }

    /// The names of all tables, in order.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn list_tables(&self) -> Result<Vec<String>> {
        self.route.list_tables().await
    }

    /// What is known of a table.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn describe_table(&self, table: &str) -> Result<TableDescription> {
        self.route.describe_table(table).await
    }
}

/// One table as it was after some transaction. Clones share it.
#[derive(Clone, Debug)]
pub struct PastTable {
    route: Route,
    table: String,
}

impl PastTable {
    /// The newest version that is seen.
    pub fn version(&self) -> u64 {
        version(&self.route)
    }

    /// Begins to get an item.
    pub fn get_item(&self, partition_key: impl IntoAttribute, sort_key: Option<Value>) -> GetItem {
        GetItem::new(self.route.clone(), &self.table, partition_key, sort_key)
    }

    /// Begins to get an item and its version.
    pub fn get_item_versioned(
        &self,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> GetItemVersioned {
        GetItemVersioned::new(self.route.clone(), &self.table, partition_key, sort_key)
    }

    /// Begins to query one partition.
    pub fn query(&self) -> Query {
        Query::new(self.route.clone(), Some(&self.table))
    }

    /// Begins to scan the table.
    pub fn scan(&self) -> Scan {
        Scan::new(self.route.clone(), Some(&self.table))
    }
}
