//! Backups of the whole database, made by the server, and watched.

use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::path::Path;

use dynamite_core::api::BackupProgress;
use dynamite_core::error::Invalid;

use crate::client::DynaMiteClient;
use crate::client::call::{self, Route};
use crate::client::snapshot::Snapshot;
use crate::client::told::awaited;
use crate::error::{ClientError, Result};
use crate::frame::Kind;
use crate::protocol;
use crate::protocol::backup::{Copied, WatchedBackup};

/// What is told how far a backup is.
type Tell = Box<dyn FnMut(BackupProgress) -> ControlFlow<()> + Send>;

/// A backup that is about to be made; [`DynaMiteClient::backup`] and [`Snapshot::backup`] begin one, awaiting it ends.
///
/// The file is the server's: it stands in the server's file system, and belongs to the server's user.
#[must_use = "nothing is copied before it is awaited"]
pub struct Backup {
    route: Route,
    path: Result<String>,
    tell: Option<Tell>,
}

impl Backup {
    fn new(route: Route, path: impl AsRef<Path>) -> Backup {
        let absolute = std::path::absolute(path).map_err(|error| unnameable(&error.to_string()));
        let path = absolute.and_then(|path| {
            path.into_os_string().into_string().map_err(|_| unnameable("its name is no UTF-8"))
        });
        Backup { route, path, tell: None }
    }

    /// Is told again and again how far the backup is, and calls it off by returning [`ControlFlow::Break`]. What comes to pass while it is
    /// told something else, it is not told.
    pub fn progress(
        mut self,
        tell: impl FnMut(BackupProgress) -> ControlFlow<()> + Send + 'static,
    ) -> Backup {
        self.tell = Some(Box::new(tell));
        self
    }

    /// Copies, however long that takes, and returns how much that was. When it returns, the copy is durable.
    ///
    /// Dropping the future calls the backup off, and so does the end of the connection, or of the server. Nothing is left of a backup
    /// that is called off before it is whole; one that is whole stays, and is returned.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`].
    pub async fn execute(self) -> Result<BackupProgress> {
        let Backup { route, path, mut tell } = self;
        let backup = WatchedBackup { at: route.at(), path: path?.into() };
        let mut replies = route.stream(&backup).await?;
        let mut called_off = false;
        loop {
            let lost = || ClientError::Lost { reason: "the stream ended".to_owned() };
            let reply = poll_fn(|context| replies.poll(context)).await.ok_or_else(lost)??;
            match reply.kind {
                // Whether it was called off in time, the last frame says.
                Kind::Page if called_off => {}
                Kind::Page => {
                    let progress = protocol::decode::<Copied>(&reply.body)?.into();
                    match tell.as_mut().map_or(ControlFlow::Continue(()), |tell| tell(progress)) {
                        ControlFlow::Continue(()) => replies.grant(),
                        ControlFlow::Break(()) => {
                            called_off = true;
                            replies.cancel();
                        }
                    }
                }
                Kind::Answer => return Ok(protocol::decode::<Copied>(&reply.body)?.into()),
                _ => return Err(call::failure(&reply.body)),
            }
        }
    }
}

awaited!(Backup => BackupProgress);

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("path", &self.path).finish_non_exhaustive()
    }
}

fn unnameable(reason: &str) -> ClientError {
    let text = format!("the server cannot be told the name of the file: {reason}");
    ClientError::Database(Invalid::Setting(text).into())
}

impl DynaMiteClient {
    /// Begins to have the database, as it is now, copied to a new file, page by page; see
    /// [`DynaMite::backup`](dynamite_core::api::DynaMite::backup).
    ///
    /// ```
    /// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
    /// # use std::ops::ControlFlow;
    /// # use dynamite_core::types::KeyType;
    /// # use dynamite_server::DynaMiteClient;
    /// # use serde_json::json;
    /// # let copy = path.with_extension("copy");
    /// # let db = DynaMiteClient::connect(&path).await?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).await?;
    /// # db.put_item("users", json!({"user_id": "alice"})).await?;
    /// let backup = db.backup(&copy).progress(|done| {
    ///     println!("{} of {} bytes", done.bytes, done.of_bytes);
    ///     ControlFlow::Continue(())
    /// });
    /// assert_eq!(backup.await?.items, 1);
    /// # Ok(())
    /// # });
    /// ```
    pub fn backup(&self, path: impl AsRef<Path>) -> Backup {
        Backup::new(self.route(), path)
    }
}

impl Snapshot {
    /// Begins to have what this snapshot sees copied to a new file, item by item, as short as can be; see
    /// [`Snapshot::backup`](dynamite_core::api::Snapshot::backup).
    pub fn backup(&self, path: impl AsRef<Path>) -> Backup {
        Backup::new(self.route.clone(), path)
    }
}
