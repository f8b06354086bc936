//! The socket: who may have it, and who may talk to it.
//!
//! # Taking over a socket
//!
//! A server that was killed leaves its socket behind, and the next one replaces it; but never that of one that lives. A file beside
//! the socket, `NAME.lock`, is locked for as long as a server lives: who has the lock may replace the socket, if nobody accepts
//! connections there. (The lock is what keeps two that start at once apart; the look at the socket, one that was made by others.)

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use tokio::net::{UnixListener, UnixStream};

use crate::config;
use crate::error::ServerError;
use crate::frame::{self, Kind};

/// Bytes that the path of a socket may have.
const LONGEST_PATH: usize = 107;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// A socket that is listened on. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: Option<StdListener>,
    /// Its path and the lock beside it, if this server has made it.
    made: Option<(PathBuf, File)>,
}

/// The right to a path, before anything is there.
#[derive(Debug)]
pub(crate) enum Place {
    /// systemd listens already.
    Given(StdListener),
    /// To be made.
    Locked(PathBuf, File),
}

impl Place {
    /// Takes the socket that systemd hands over, or else the right to this path. For a process that is nothing but the server: what another
    /// one was handed is its own.
    pub(crate) fn given_or_taken(path: &Path) -> Result<Place, ServerError> {
        let given = ListenFd::from_env().take_unix_listener(0);
        let given =
            given.map_err(|source| failed("taking the socket from systemd instead of", path, source))?;
        given.map_or_else(|| Place::take(path), |listener| Ok(Place::Given(listener)))
    }

    /// Takes the right to this path.
    pub(crate) fn take(path: &Path) -> Result<Place, ServerError> {
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(ServerError::LongPath { path: path.to_owned() });
        }
        config::make_parent(path)?;
        config::check_private(path)?;
        let lock = lock(path)?;
        check_stale(path)?;
        Ok(Place::Locked(path.to_owned(), lock))
    }

    /// Listens. Only who holds the database may, so that nobody connects in vain.
    pub(crate) fn listen(self) -> Result<Socket, ServerError> {
        let (path, lock) = match self {
            Place::Given(listener) => return Ok(Socket { listener: Some(listener), made: None }),
            Place::Locked(path, lock) => (path, lock),
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("replacing", &path, error));
            }
            _ => {}
        }
        let failed = |source: rustix::io::Errno| failed("listening on", &path, source.into());
        let address = SocketAddrUnix::new(&path).map_err(failed)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
        bind(&listener, &address).map_err(failed)?;
        let socket = Socket { listener: Some(listener.into()), made: Some((path.clone(), lock)) };
        // Before it listens: until then nobody can connect.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .map_err(|source| self::failed("making private", &path, source))?;
        if let Some(listener) = &socket.listener {
            listen(listener, BACKLOG).map_err(failed)?;
        }
        Ok(socket)
    }
}

impl Socket {
    /// The listener, for tokio. To be called in its runtime, once.
    pub(crate) fn listener(&mut self) -> io::Result<UnixListener> {
        let listener = self.listener.take().ok_or(io::ErrorKind::NotConnected)?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some((path, lock)) = self.made.take() {
            // Whoever finds nothing there makes it anew; the lock goes last.
            let _ = fs::remove_file(&path);
            let _ = fs::remove_file(lock_path(&path));
            drop(lock);
        }
    }
}

/// Whether whoever connected is the user whose server this is. Others are told so.
pub(crate) fn admits(stream: &UnixStream) -> bool {
    let user = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == user => true,
        Ok(peer) => {
            tracing::warn!(uid = peer.uid(), "another user was refused");
            let mut goodbye = Vec::new();
            let reason = format!("this server is for user {user} only");
            frame::put_short(&mut goodbye, Kind::Goodbye, 0, reason.as_bytes());
            let _ = stream.try_write(&goodbye);
            false
        }
        Err(error) => {
            tracing::warn!(%error, "nobody knows who connected");
            false
        }
    }
}

fn lock_path(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Locks the file beside a socket.
fn lock(socket: &Path) -> Result<File, ServerError> {
    let path = lock_path(socket);
    loop {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let file = options.open(&path).map_err(|source| failed("opening", &path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(ServerError::SocketInUse { path: socket.to_owned() });
            }
            Err(fs::TryLockError::Error(source)) => return Err(failed("locking", &path, source)),
        }
        // The one that had it may have removed it meanwhile.
        let locked = file.metadata().map_err(|source| failed("looking at", &path, source))?;
        match fs::metadata(&path) {
            Ok(there) if (there.dev(), there.ino()) == (locked.dev(), locked.ino()) => return Ok(file),
            _ => {}
        }
    }
}

/// Refuses a path where somebody listens, or where there is something else than a socket.
fn check_stale(path: &Path) -> Result<(), ServerError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("looking at", path, source)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ServerError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match StdStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(ServerError::SocketInUse { path: path.to_owned() }),
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> ServerError {
    ServerError::Io { what, path: path.to_owned(), source }
}
