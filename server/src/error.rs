//! What can go wrong: with a server, and with a client's operation.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

pub use crate::frame::FrameError;
pub use crate::protocol::fault::Refusal;

/// A `Result` of a client.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Why a server does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A server listens on the socket already.
    #[error("a server listens on {} already; use it, stop it, or choose another --socket", path.display())]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },

    /// What is at the socket's path is no socket.
    #[error("{} is no socket; move it away, or choose another --socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },

    /// The path of a socket is too long for the system.
    #[error("the path of a socket has at most 107 bytes, {} has {}; choose a shorter --socket", path.display(), path.as_os_str().len())]
    LongPath {
        /// The path.
        path: PathBuf,
    },

    /// A directory in which others could put a socket of theirs.
    #[error("{} belongs to another user, or others may write to it; name a --socket elsewhere", path.display())]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
    },

    /// There is no default for a path, since the environment does not say where the user's files are.
    #[error("there is no home directory; name a --db")]
    NoHome,

    /// Others may read the secrets of access keys.
    #[error("{} may be read by others; chmod 600 it", path.display())]
    OpenKeys {
        /// The file.
        path: PathBuf,
    },

    /// A line of a file of access keys that is no key.
    #[error("line {line} of {} is not an access key's id and its secret", path.display())]
    MalformedKeys {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
    },

    /// The address for HTTP cannot be listened on.
    #[error("listening on http://{address} failed: {source}")]
    Http {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },

    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] dynamite_core::Error),

    /// The operating system refused something.
    #[error("{what} {} failed: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why an operation of a client was not done, or why it is not known whether it was.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The database's own error, as an embedded database gives it.
    #[error(transparent)]
    Database(#[from] dynamite_core::Error),

    /// The server refused. Nothing was done.
    #[error(transparent)]
    Refused(#[from] Refusal),

    /// No server can be reached. Nothing was done.
    #[error("no server can be reached on {}: {reason}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system, or the server, said.
        reason: String,
    },

    /// The connection ended before the answer came. A write may have been done or not, wholly: read the item, or write with a version, a
    /// condition or a token.
    #[error(
        "the connection was lost before the answer came ({reason}); it is not known whether the operation was done"
    )]
    Lost {
        /// Why the connection ended.
        reason: String,
    },

    /// No answer came in time. As with [`Lost`](ClientError::Lost), it is not known whether the operation was done, or will be.
    #[error("no answer came within {} ms; it is not known whether the operation was done", after.as_millis())]
    TimedOut {
        /// How long it was waited for.
        after: std::time::Duration,
    },

    /// The server sent what is no frame, or not the answer that was asked for.
    #[error("the server does not speak the protocol: {0}")]
    Protocol(#[from] FrameError),

    /// There is no runtime for a blocking client.
    #[error("a blocking client could not start: {reason}")]
    NoRuntime {
        /// Why.
        reason: String,
    },
}

impl ClientError {
    /// The error of the database, if it is one.
    pub fn database(&self) -> Option<&dynamite_core::Error> {
        match self {
            ClientError::Database(error) => Some(error),
            _ => None,
        }
    }
}
