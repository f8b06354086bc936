//! What a program adds to the operations of the server that it runs: work that belongs beside the data, because it reads much to answer
//! little, or reads before it writes and must not lose a race in between.
//!
//! Requests and answers are bytes that only the program and its clients understand; errors of its own are among them. A read runs where
//! reads run. A write runs on the thread that writes, one after the other, and is answered when it is durable: so what it does in
//! one [`transact`](Deferred::transact) cannot meet a conflict, and many of them share a flush.

use std::fmt::Debug;

use dynamite_core::api::{Deferred, DynaMite};

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat};
use crate::error::Result;
use crate::protocol::operation;

/// The operations that a program adds to a server.
///
/// ```
/// use std::sync::Arc;
///
/// use dynamite_core::api::{Deferred, DynaMite};
/// use dynamite_core::types::KeyType;
/// use dynamite_server::client::BlockingClient;
/// use dynamite_server::{Extension, Server};
/// use serde_json::json;
///
/// /// Counts visits; a request is a visitor's name.
/// #[derive(Debug)]
/// struct Visits;
///
/// impl Visits {
///     fn count(found: Option<serde_json::Value>) -> u64 {
///         found.and_then(|visitor| visitor["visits"].as_u64()).unwrap_or(0)
///     }
/// }
///
/// impl Extension for Visits {
///     fn read(&self, db: &DynaMite, request: &[u8]) -> Vec<u8> {
///         let name = String::from_utf8_lossy(request);
///         let found = db.get_item("visitors").partition_key(&*name).execute();
///         found.map(Visits::count).unwrap_or(0).to_le_bytes().into()
///     }
///
///     fn write(&self, target: &Deferred<'_>, request: &[u8]) -> Vec<u8> {
///         let name = String::from_utf8_lossy(request);
///         let counted = target.transact(|txn| {
///             let visits = 1 + Visits::count(txn.get_item("visitors").partition_key(&*name).execute()?);
///             txn.put_item("visitors", json!({"name": &*name, "visits": visits}))?;
///             Ok(visits)
///         });
///         counted.unwrap_or(0).to_le_bytes().into()
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("d.sock");
/// let db = DynaMite::in_memory()?;
/// db.create_table("visitors").partition_key("name", KeyType::String).execute()?;
/// let server = Server::share_extended(&db, &path, Arc::new(Visits))?;
///
/// // In another process:
/// let client = BlockingClient::connect(&path)?;
/// client.wait(client.client().extended_write(b"alice"))?;
/// assert_eq!(client.wait(client.client().extended_read(b"alice"))?, 1_u64.to_le_bytes());
/// server.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Extension: Debug + Send + Sync {
    /// Answers a request that changes nothing.
    fn read(&self, db: &DynaMite, request: &[u8]) -> Vec<u8>;

    /// Answers a request that may write. The answer is sent when all that was done through `target` is durable; if that fails, its error is
    /// sent instead.
    fn write(&self, target: &Deferred<'_>, request: &[u8]) -> Vec<u8>;
}

impl DynaMiteClient {
    /// Asks the server's [`Extension`] for what changes nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError`](crate::ClientError); [`Refusal::NotExtended`](crate::error::Refusal::NotExtended) if the server has none.
    pub async fn extended_read(&self, request: &[u8]) -> Result<Vec<u8>> {
        let read = operation::ExtendedRead { request: request.into() };
        self.route().call(&read, Repeat::Safe, Limit::Usual, |answer| Ok(answer.to_vec())).await
    }

    /// Asks the server's [`Extension`] for what may write.
    ///
    /// # Errors
    ///
    /// Those of [`extended_read`](DynaMiteClient::extended_read).
    pub async fn extended_write(&self, request: &[u8]) -> Result<Vec<u8>> {
        let write = operation::ExtendedWrite { request: request.into() };
        self.route().call(&write, Repeat::Never, Limit::Usual, |answer| Ok(answer.to_vec())).await
    }
}
