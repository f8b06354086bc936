//! Where the file is, and the socket of who owns it. Only their user can get at either.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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

    /// Where the owner of the file has said that it listens. Whoever started it may have had other directories in his environment: editors start
    /// servers with hardly any of it.
    pub(crate) fn noted_socket(&self) -> Option<PathBuf> {
        let note = note_of(&self.db);
        let found = fs::metadata(&note).ok()?;
        let is_ours = found.uid() == user() && found.permissions().mode() & 0o077 == 0;
        let bytes = fs::read(note).ok().filter(|_| is_ours)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let (db, socket) = (Path::new(OsStr::from_bytes(&bytes[..end])), &bytes[end + 1..]);
        let socket = PathBuf::from(OsStr::from_bytes(socket));
        // A copy of the directory is about the file that was copied. Where others could listen, nobody is asked.
        (db == self.db && check_private(socket.parent()?).is_ok()).then_some(socket)
    }

    /// A file beside the socket.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        with_ending(&self.socket, ending)
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
    let in_runtime = directory("XDG_RUNTIME_DIR").map(|runtime| runtime.join("dynamite"));
    let fits =
        |path: &PathBuf| path.as_os_str().len() + "/memory-0123456789abcdef.sock".len() <= LONGEST_SOCKET;
    let chosen =
        in_runtime.filter(fits).unwrap_or_else(|| std::env::temp_dir().join(format!("dynamite-{}", user())));
    make_private(&chosen).map_err(|error| unreachable(db, &format!("{}: {error}", chosen.display())))?;
    check_private(&chosen).map_err(|reason| unreachable(db, &reason))?;
    Ok(chosen)
}

/// Refuses a directory that others can look into, and says why.
fn check_private(directory: &Path) -> Result<(), String> {
    let name = directory.display();
    let found = fs::symlink_metadata(directory).map_err(|error| format!("{name}: {error}"))?;
    if !found.is_dir() || found.uid() != user() {
        return Err(format!("{name} belongs to somebody else; set XDG_RUNTIME_DIR to a directory of yours"));
    }
    match found.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(format!("others can look into {name}; chmod 700 {name}")),
    }
}

/// Says where the owner of a file listens, beside the file, for those who would look elsewhere. To be said by who has the file.
pub(crate) fn note_socket(db: &Path, socket: &Path) -> io::Result<()> {
    let (db, socket) = (fs::canonicalize(db)?, std::path::absolute(socket)?);
    let bytes = [db.as_os_str().as_bytes(), &[0], socket.as_os_str().as_bytes()].concat();
    let (note, new) = (note_of(&db), with_ending(&db, ".owner.new"));
    // In one step: nobody reads half of it.
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600).open(&new)?.write_all(&bytes)?;
    fs::rename(new, note)
}

fn note_of(db: &Path) -> PathBuf {
    with_ending(db, ".owner")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes a directory if there is none, for nobody else to look into.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn unreachable(db: &Path, reason: &str) -> MemoryError {
    MemoryError::Unreachable { file: db.display().to_string(), reason: reason.to_owned() }
}
