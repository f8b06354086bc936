//! Where the file is, and the socket of who owns it. Only their user can get at either.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{MemoryError, Result};
use crate::text::hash;

/// Bytes that the path of a socket may have, less some for what stands beside it.
const LONGEST_SOCKET: usize = 100;

/// A file of memories and its owner's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The database file, absolute.
    pub db: PathBuf,
    /// The socket.
    pub socket: PathBuf,
    /// The program that is started to own the file: this one, if nothing else is said.
    pub program: Option<PathBuf>,
}

impl Place {
    /// The place of a file, or of the user's own. The directories are made if they are not there.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Unreachable`] if there is no such directory, or others can get at it.
    pub fn of(db: Option<&Path>) -> Result<Place> {
        let db = match db {
            Some(db) => db.to_owned(),
            None => default_db()?,
        };
        let failed = |error: io::Error| unreachable(&db, &error.to_string());
        let absolute = std::path::absolute(&db).map_err(failed)?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(unreachable(&db, "it is no name of a file"));
        };
        make_private(parent).map_err(failed)?;
        // The same file by another path has the same owner.
        let parent = fs::canonicalize(parent).map_err(failed)?;
        let db = fs::canonicalize(parent.join(name)).unwrap_or_else(|_| parent.join(name));
        let hash = hash::short(db.as_os_str().as_encoded_bytes());
        let socket = socket_directory(&db)?.join(format!("memory-{hash}.sock"));
        Ok(Place { db, socket, program: None })
    }

    /// A file beside the socket.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.socket.as_os_str().to_owned();
        name.push(ending);
        name.into()
    }

    /// An error about this file.
    pub(crate) fn unreachable(&self, reason: &str) -> MemoryError {
        unreachable(&self.db, reason)
    }
}

/// A variable that names a directory. What is empty or relative counts as not there, as XDG has it.
fn directory(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn default_db() -> Result<PathBuf> {
    let data = directory("XDG_DATA_HOME").or_else(|| directory("HOME").map(|home| home.join(".local/share")));
    let no_home = || MemoryError::Invalid("there is no home directory; name a file with --db".to_owned());
    Ok(data.ok_or_else(no_home)?.join("dynamite/memory.db"))
}

/// The directory of the sockets: one that only this user can look into.
fn socket_directory(db: &Path) -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let in_runtime = directory("XDG_RUNTIME_DIR").map(|runtime| runtime.join("dynamite"));
    let fits =
        |path: &PathBuf| path.as_os_str().len() + "/memory-0123456789abcdef.sock".len() <= LONGEST_SOCKET;
    let chosen =
        in_runtime.filter(fits).unwrap_or_else(|| std::env::temp_dir().join(format!("dynamite-{user}")));
    let failed = |error: io::Error| unreachable(db, &format!("{}: {error}", chosen.display()));
    make_private(&chosen).map_err(failed)?;
    let found = fs::symlink_metadata(&chosen).map_err(failed)?;
    if !found.is_dir() || found.uid() != user {
        let reason = format!(
            "{} belongs to somebody else; set XDG_RUNTIME_DIR to a directory of yours",
            chosen.display()
        );
        return Err(unreachable(db, &reason));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(unreachable(db, &format!("others can look into {0}; chmod 700 {0}", chosen.display())));
    }
    Ok(chosen)
}

/// Makes a directory if there is none, for nobody else to look into.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn unreachable(db: &Path, reason: &str) -> MemoryError {
    MemoryError::Unreachable { file: db.display().to_string(), reason: reason.to_owned() }
}
