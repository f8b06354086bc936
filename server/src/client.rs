//! The client: the database of a server, as if it were embedded.
//!
//! [`DynaMiteClient`] has the operations of [`dynamite_core::api::DynaMite`], as builders that are awaited: `execute` returns the
//! same types and errors, and awaiting a builder executes it.
//!
//! # What happens when something goes wrong
//!
//! - A future that is dropped cancels nothing half-way: what it has asked for is done wholly, or not at all.
//! - If the connection is lost, the client makes another one, with longer and longer pauses. What only reads is asked again, and so
//!   is a transaction with a token; of a write without one nobody knows whether it was done, which is
//!   [`ClientError::Lost`](crate::ClientError::Lost).
//! - Snapshots, streams, transactions and backups of the whole database end with their connection.
//!
//! # The modules, in reading order
//!
//! `connection` is one connection; `call` is how an operation is called, and called again; `told` is what builders are told alike, `form` as
//! what items are returned. Then the operations: `items`, `rows` and their `stream`s, `batch`, `transact_write`, `transact_get`,
//! `statement`, `tables`, `table_backup`, `snapshot`, `transact`, `history`, `changes`, `backup`, `admin`; and `blocking`, for those who
//! do not await.

mod admin;
mod backup;
mod batch;
mod blocking;
pub(crate) mod call;
mod changes;
mod connection;
mod form;
mod history;
mod items;
mod rows;
mod snapshot;
mod statement;
mod stream;
mod table_backup;
mod tables;
mod told;
mod transact;
mod transact_get;
mod transact_write;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use crate::client::backup::Backup;
pub use crate::client::batch::{BatchGet, BatchWrite};
pub use crate::client::blocking::{BlockingClient, BlockingStream};
pub use crate::client::changes::{ChangeStream, StreamReader};
use crate::client::connection::Connection;
pub use crate::client::history::{ItemHistory, RestoreVersion};
pub use crate::client::items::{DeleteItem, GetItem, GetItemVersioned, PutItem, UpdateItem};
pub use crate::client::rows::{Query, Scan};
pub use crate::client::snapshot::{PastTable, Snapshot};
pub use crate::client::statement::{ExecuteStatement, StatementBatch, StatementTransaction};
pub use crate::client::stream::ItemStream;
pub use crate::client::table_backup::RestoreTable;
pub use crate::client::tables::{CreateTable, UpdateTable};
pub use crate::client::transact::Transaction;
pub use crate::client::transact_get::{Get, TransactGet};
pub use crate::client::transact_write::{Check, Delete, Put, TransactWrite, Update};
use crate::error::Result;
use crate::frame::Identity;

/// What a builder is when it is awaited.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A client of a server. Clones share a connection, over which many operations are under way at once.
///
/// It needs a tokio runtime with I/O and time.
///
/// ```
/// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
/// use dynamite_core::types::KeyType;
/// use dynamite_server::DynaMiteClient;
/// use serde_json::json;
///
/// let db = DynaMiteClient::connect(&path).await?;
/// db.create_table("users").partition_key("user_id", KeyType::String).await?;
/// db.put_item("users", json!({"user_id": "alice", "name": "Alice", "age": 30})).await?;
///
/// let item = db.get_item("users", "alice", None).await?;
/// assert_eq!(item.unwrap()["name"], "Alice");
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct DynaMiteClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    options: ClientBuilder,
    connection: Mutex<Arc<Connection>>,
    /// Who reconnects has it.
    reconnecting: tokio::sync::Mutex<()>,
}

/// How a client is to behave; [`DynaMiteClient::builder`] begins, [`connect`](ClientBuilder::connect) ends.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    timeout: Duration,
    reconnect_for: Duration,
}

impl ClientBuilder {
    /// How long an operation may take (default: 30 s). Longer ones are [`ClientError::TimedOut`](crate::ClientError::TimedOut). It does not
    /// hold for what takes as long as it takes: waiting for an index, backups and what is restored from them, counting a table, streams.
    pub fn timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.timeout = timeout;
        self
    }

    /// How long a lost server is looked for again (default: 10 s) before it is
    /// [`ClientError::Unreachable`](crate::ClientError::Unreachable).
    pub fn reconnect_for(mut self, time: Duration) -> ClientBuilder {
        self.reconnect_for = time;
        self
    }

    /// Connects to the server at a socket.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`](crate::ClientError::Unreachable) if there is none, [`ClientError::Protocol`](crate::ClientError::Protocol)
    /// if there is something else.
    pub async fn connect(self, path: impl AsRef<Path>) -> Result<DynaMiteClient> {
        let path = path.as_ref().to_owned();
        let connection = call::within(self.timeout, Connection::open(&path)).await?;
        let (connection, reconnecting) = (Mutex::new(connection), tokio::sync::Mutex::default());
        Ok(DynaMiteClient { shared: Arc::new(Shared { path, options: self, connection, reconnecting }) })
    }
}

impl DynaMiteClient {
    /// Connects to the server at a socket; [`default_socket`](crate::default_socket) is where one is if nothing else was said.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::connect`].
    pub async fn connect(path: impl AsRef<Path>) -> Result<DynaMiteClient> {
        DynaMiteClient::builder().connect(path).await
    }

    /// Begins to say how a client is to behave.
    pub fn builder() -> ClientBuilder {
        ClientBuilder { timeout: Duration::from_secs(30), reconnect_for: Duration::from_secs(10) }
    }

    /// What the server said of itself when the connection was made: its version, and which database it serves.
    pub fn server(&self) -> Identity {
        self.shared.current().identity.clone()
    }
}
