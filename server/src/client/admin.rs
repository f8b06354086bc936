//! What is asked of the server itself, and of the database as a whole.

use std::path::Path;

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat};
use crate::error::{ClientError, Result};
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

    /// Copies the database, as it is now, to a new file. Returns how many items that were, and their bytes.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`].
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<(u64, u64)> {
        let path = std::path::absolute(path).map_err(|error| unnameable(&error.to_string()))?;
        let path = path.to_str().ok_or_else(|| unnameable("its name is no UTF-8"))?;
        let backup = operation::Backup { path: path.into() };
        self.route().call(&backup, Repeat::Never, Limit::None, Ok).await
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

fn unnameable(reason: &str) -> ClientError {
    let text = format!("the server cannot be told the name of the file: {reason}");
    ClientError::Database(dynamite_core::error::Invalid::Setting(text).into())
}
