//! What is asked of the server itself, and of the database as a whole.

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat};
use crate::error::Result;
use crate::protocol::operation;
use crate::stats::ServerStats;

impl DynaMiteClient {
    /// Asks for an answer, and nothing else.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn ping(&self) -> Result<()> {
        self.route().read(&operation::Ping, Ok).await
    }

    /// Counters of the server and its database.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn stats(&self) -> Result<ServerStats> {
        self.route().read(&operation::Stats, Ok).await
    }

    /// Collects all the garbage that there is, and sizes the file.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`].
    pub async fn maintain(&self) -> Result<()> {
        self.route().call(&operation::Maintain, Repeat::Safe, Limit::None, Ok).await
    }
}
