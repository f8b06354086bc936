//! The client for those who do not await.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use dynamite_core::api::{IntoAttribute, IntoItem, VersionedItem};
use serde_json::Value;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::client::{DynaMiteClient, ItemStream};
use crate::error::{ClientError, Result};

/// A client whose operations block the thread until they are done. Clones share a connection.
///
/// The operations that are used most stand here; [`wait`](BlockingClient::wait) waits for any other of [`client`](BlockingClient::client)'s.
/// Not for threads that run a tokio runtime: those must not be blocked.
///
/// ```
/// # dynamite_server::doc_test::beside_server(|path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
/// use dynamite_core::types::KeyType;
/// use dynamite_server::client::BlockingClient;
/// use serde_json::json;
///
/// let db = BlockingClient::connect(&path)?;
/// db.wait(db.client().create_table("users").partition_key("id", KeyType::String))?;
/// db.put_item("users", json!({"id": "alice", "age": 30}))?;
/// assert_eq!(db.get_item("users", "alice", None)?.unwrap()["age"], 30);
///
/// for user in db.stream(db.client().scan("users").stream())? {
///     println!("{}", user?);
/// }
/// # Ok(())
/// # });
/// ```
#[derive(Clone)]
pub struct BlockingClient {
    client: DynaMiteClient,
    runtime: Arc<Runtime>,
}

impl BlockingClient {
    /// Connects to the server at a socket.
    ///
    /// # Errors
    ///
    /// Those of [`DynaMiteClient::connect`], and [`ClientError::NoRuntime`] inside a runtime.
    pub fn connect(path: impl AsRef<Path>) -> Result<BlockingClient> {
        // What is awaited runs on the thread that waits: no other has to wake up.
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ClientError::NoRuntime { reason: error.to_string() })?;
        let client = block_on(&runtime, DynaMiteClient::connect(path))?;
        Ok(BlockingClient { client, runtime: Arc::new(runtime) })
    }

    /// The client that it waits for.
    pub fn client(&self) -> &DynaMiteClient {
        &self.client
    }

    /// Waits for an operation of [`client`](BlockingClient::client).
    ///
    /// # Errors
    ///
    /// Those of the operation, and [`ClientError::NoRuntime`] inside a runtime.
    pub fn wait<R>(&self, operation: impl IntoFuture<Output = Result<R>>) -> Result<R> {
        block_on(&self.runtime, operation.into_future())
    }

    /// Gets an item; see [`DynaMiteClient::get_item`].
    ///
    /// # Errors
    ///
    /// Those of [`wait`](BlockingClient::wait).
    pub fn get_item(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> Result<Option<Value>> {
        self.wait(self.client.get_item(table, partition_key, sort_key))
    }

    /// Gets an item and its version; see [`DynaMiteClient::get_item_versioned`].
    ///
    /// # Errors
    ///
    /// Those of [`wait`](BlockingClient::wait).
    pub fn get_item_versioned(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> Result<Option<VersionedItem>> {
        self.wait(self.client.get_item_versioned(table, partition_key, sort_key))
    }

    /// Puts an item; see [`DynaMiteClient::put_item`].
    ///
    /// # Errors
    ///
    /// Those of [`wait`](BlockingClient::wait).
    pub fn put_item(&self, table: &str, item: impl IntoItem) -> Result<u64> {
        self.wait(self.client.put_item(table, item))
    }

    /// Puts an item if it has the version that is expected; see [`DynaMiteClient::put_item_versioned`].
    ///
    /// # Errors
    ///
    /// Those of [`wait`](BlockingClient::wait).
    pub fn put_item_versioned(&self, table: &str, item: impl IntoItem, expected: Option<u64>) -> Result<u64> {
        self.wait(self.client.put_item_versioned(table, item, expected))
    }

    /// The items of a stream that is about to be opened, as an iterator.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub fn stream<T>(
        &self,
        opened: impl Future<Output = Result<ItemStream<T>>>,
    ) -> Result<BlockingStream<T>> {
        Ok(BlockingStream { stream: self.wait(opened)?, runtime: self.runtime.clone() })
    }
}

fn block_on<R>(runtime: &Runtime, work: impl Future<Output = Result<R>>) -> Result<R> {
    if Handle::try_current().is_ok() {
        let reason = "this thread runs a tokio runtime; await DynaMiteClient's operations instead".to_owned();
        return Err(ClientError::NoRuntime { reason });
    }
    runtime.block_on(work)
}

impl fmt::Debug for BlockingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingClient").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The items of a stream, for those who do not await.
pub struct BlockingStream<T> {
    stream: ItemStream<T>,
    runtime: Arc<Runtime>,
}

impl<T> Iterator for BlockingStream<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        block_on(&self.runtime, async { self.stream.next().await.transpose() }).transpose()
    }
}

impl<T> fmt::Debug for BlockingStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingStream").finish_non_exhaustive()
    }
}
