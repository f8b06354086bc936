//! What a server is told, and where things are if it is not.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;

use crate::dynamodb::AccessKeys;
use crate::error::ServerError;

/// Serves one DynaMite database to many processes of one user, over a Unix socket; and, if told so, to DynamoDB's clients.
#[derive(Clone, Debug, Parser)]
#[command(name = "dynamite-server", version)]
pub struct Config {
    /// The database file; made if there is none [default: $XDG_DATA_HOME/dynamite/default.db]
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,

    /// The socket [default: $XDG_RUNTIME_DIR/dynamite.sock]; ignored where systemd hands a socket over
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Speaks DynamoDB's HTTP protocol as well, at this address: 127.0.0.1:8000, say
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,

    /// Verifies the signatures of HTTP requests: a line for each access key, `ID SECRET`, in a file that only its owner may read
    #[arg(long, value_name = "FILE", requires = "http")]
    pub access_key_file: Option<PathBuf>,

    /// Bytes of the cache, with a suffix if you like: 64MiB, 2GiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub cache_size: usize,

    /// Threads that read what is not in the cache
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub readers: u16,

    /// What is logged, on the standard error: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: LevelFilter,

    /// Ends after so many seconds without a connection
    #[arg(long, value_name = "SECONDS", conflicts_with = "http")]
    pub idle_exit: Option<u64>,

    /// Seconds that what is under way has at the end
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub grace: u64,

    /// Seconds from the first byte of a frame to its last
    #[arg(long, value_name = "SECONDS", default_value_t = 30, hide = true)]
    pub frame_timeout: u64,
}

impl Config {
    /// The database file.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoHome`].
    pub fn db_path(&self) -> Result<PathBuf, ServerError> {
        self.db.clone().map_or_else(default_db, Ok)
    }

    /// The keys by which HTTP requests are to be signed, if that matters.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`]; [`ServerError::OpenKeys`] if others may read them, [`ServerError::MalformedKeys`].
    pub fn access_keys(&self) -> Result<Option<AccessKeys>, ServerError> {
        self.access_key_file.as_deref().map(read_keys).transpose()
    }

    /// The socket.
    pub fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default_socket)
    }
}

/// A size in bytes, with or without a suffix.
fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        other => return Err(format!("{other:?} is no unit; use KiB, MiB or GiB")),
    };
    let count = digits.parse::<u64>().map_err(|error| error.to_string())?;
    count.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok()).ok_or("it is too large".into())
}

fn read_keys(path: &Path) -> Result<AccessKeys, ServerError> {
    let failed = |source: io::Error| ServerError::Io { what: "reading", path: path.to_owned(), source };
    let mut file = fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(ServerError::OpenKeys { path: path.to_owned() });
    }
    let mut text = String::new();
    io::Read::read_to_string(&mut file, &mut text).map_err(failed)?;
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [] => {}
            [id, secret] => keys.push((id.to_owned(), secret.to_owned())),
            _ => return Err(ServerError::MalformedKeys { path: path.to_owned(), line: number }),
        }
    }
    Ok(AccessKeys::new(keys))
}

/// A variable that names a directory. What is empty or relative counts as not there, as XDG has it.
fn directory(variable: &str) -> Option<PathBuf> {
    let set = |value: &OsString| Path::new(value).is_absolute();
    std::env::var_os(variable).filter(set).map(PathBuf::from)
}

fn default_db() -> Result<PathBuf, ServerError> {
    let home = || directory("HOME").map(|home| home.join(".local/share"));
    let data = directory("XDG_DATA_HOME").or_else(home).ok_or(ServerError::NoHome)?;
    Ok(data.join("dynamite/default.db"))
}

/// Where a server listens, and a client looks for it, if nothing else is said.
pub fn default_socket() -> PathBuf {
    match directory("XDG_RUNTIME_DIR") {
        Some(runtime) => runtime.join("dynamite.sock"),
        None => private_directory().join("dynamite.sock"),
    }
}

/// A directory for this user in the one for temporary files, where others could make one of that name.
fn private_directory() -> PathBuf {
    std::env::temp_dir().join(format!("dynamite-{}", rustix::process::geteuid().as_raw()))
}

/// Makes the directory of a file if there is none, for nobody else to look into.
pub(crate) fn make_parent(path: &Path) -> Result<(), ServerError> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(|source| ServerError::Io { what: "making the directory", path: parent.to_owned(), source })
}

/// Refuses the directory in the place for temporary files if somebody else has made it.
pub(crate) fn check_private(socket: &Path) -> Result<(), ServerError> {
    let private = private_directory();
    if socket.parent() != Some(&*private) {
        return Ok(());
    }
    let failed = |source: io::Error| ServerError::Io { what: "looking at", path: private.clone(), source };
    let metadata = fs::symlink_metadata(&private).map_err(failed)?;
    let is_ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
    match is_ours && metadata.permissions().mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(ServerError::ForeignDirectory { path: private }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("2 G"), Ok(2 << 30));
        for wrong in ["", "MiB", "-1", "1TB", "99999999999GiB", "1.5MiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
