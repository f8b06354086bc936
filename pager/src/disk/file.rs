//! Opening and creating the database file, and choosing how its I/O is done.
//!
//! The file is locked (`flock`) for as long as the disk lives: exclusively by a writer, shared by readers. It is
//! opened past the page cache (O_DIRECT) wherever the file system allows that for pages, and through the cache, with
//! the same flushes, where it does not. Nothing here ever waits for long: not for a lock, and not for the other end of
//! a FIFO.

use std::env;
use std::ffi::{CStr, CString};
use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::disk::page_file::{Caching, PageFile, retry_interrupted};
use crate::disk::ring::Ring;
use crate::disk::syscall::SyscallDisk;
use crate::disk::uring::UringDisk;
use crate::disk::{Backend, Disk};
use crate::error::{ErrorContext, IoOperation, PagerError, Result, memory_path};
use crate::format::page::{PAGE_SIZE, Page};

/// A locked file is tried this often, with pauses in between: for 300 ms, since the I/O of a process that was killed
/// may be in flight a moment longer.
const LOCK_ATTEMPTS: u32 = 31;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Opens the file of a database and locks it, shared unless it is `writable`.
pub fn open(path: &Path, writable: bool, choice: IoChoice) -> Result<Arc<dyn Disk>> {
    let context = ErrorContext(path.into());
    let engine = Engine::choose(choice).map_err(|error| context.io(IoOperation::Open, error))?;
    let file = open_locked(path, writable, &context)?;
    engine.start(file).map_err(|error| context.io(IoOperation::Open, error))
}

/// Creates an empty file for a database and locks it. The file's name is durable after [`sync_directory`].
pub fn create(path: &Path, choice: IoChoice) -> Result<Arc<dyn Disk>> {
    let context = ErrorContext(path.into());
    // What can be refused is tried first, so that no file is left behind.
    let engine = Engine::choose(choice).map_err(|error| context.io(IoOperation::Create, error))?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(|error| {
        let directory = directory_of(path);
        match error.kind() {
            io::ErrorKind::AlreadyExists => PagerError::AlreadyExists { path: context.0.clone() },
            io::ErrorKind::NotFound if !directory.exists() => PagerError::NotFound { path: directory.into() },
            _ => context.io(IoOperation::Create, error),
        }
    })?;
    for _ in 0..LOCK_ATTEMPTS {
        if try_lock(&file, true).map_err(|error| context.io(IoOperation::Lock, error))? {
            return engine.start(file).map_err(|error| context.io(IoOperation::Create, error));
        }
        thread::sleep(LOCK_PAUSE);
    }
    Err(PagerError::FileLocked { path: context.0 })
}

/// Makes the name of a file that was created, or removed, durable.
pub fn sync_directory(path: &Path) -> Result<()> {
    let synced = File::open(directory_of(path)).and_then(|directory| {
        match retry_interrupted(|| directory.sync_all()) {
            // This file system has no such thing as an unflushed directory.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            other => other,
        }
    });
    synced.map_err(|error| ErrorContext(path.into()).io(IoOperation::Flush, error))
}

/// Gives a file another name in the same directory, which must be free, and makes that durable. After an error it does not have
/// the new name.
pub fn rename_to_new(from: &Path, to: &Path) -> Result<()> {
    let context = ErrorContext(to.into());
    retry_interrupted(|| rename_unless_exists(from, to)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => PagerError::AlreadyExists { path: context.0.clone() },
        _ => context.io(IoOperation::Rename, error),
    })?;
    sync_directory(to).inspect_err(|_| {
        // Whether a power cut would undo the renaming is not known, so nobody may rely on the file.
        let _ = fs::remove_file(to);
    })
}

/// Renames, but not over another file; where the file system cannot see to that by itself, another file that comes into being in this
/// very moment is replaced.
fn rename_unless_exists(from: &Path, to: &Path) -> io::Result<()> {
    let [old, new] = [from, to].map(|path| CString::new(path.as_os_str().as_bytes()));
    let (old, new) = (old?, new?);
    // SAFETY: both are strings that end with a zero byte, and live until the call returns.
    let status = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            old.as_ptr(),
            libc::AT_FDCWD,
            new.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if status == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::ENOSYS) if fs::symlink_metadata(to).is_ok() => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Some(libc::EINVAL | libc::ENOSYS) => fs::rename(from, to),
        _ => Err(error),
    }
}

/// A disk of anonymous memory, empty, gone with the handle.
pub fn memory() -> Result<Arc<dyn Disk>> {
    let file =
        memory_file().map_err(|error| ErrorContext(memory_path().into()).io(IoOperation::Create, error))?;
    Ok(Arc::new(SyscallDisk::in_memory(
        PageFile::new(file, Caching::Memory),
        "a database in memory".to_string(),
    )))
}

fn memory_file() -> io::Result<File> {
    const NAME: &CStr = c"dynamite";
    // SAFETY: `NAME` is a string that ends with a zero byte.
    let fd = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above returned this descriptor, so it is open and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Which I/O to use for the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoChoice {
    /// io_uring where it is available, else system calls. System calls too for a file on a file system in memory: there
    /// io_uring hands each write to a worker thread of the kernel, which takes longer than the copy.
    #[default]
    Auto,
    /// io_uring; where it is refused, opening fails.
    Uring,
    /// System calls.
    Syscall,
}

impl IoChoice {
    /// The environment variable that chooses where no option does.
    pub const VARIABLE: &str = "DYNAMITE_IO";

    /// The choice of the option, if there is one, else of the environment, else `Auto`.
    pub fn resolve(option: Option<IoChoice>) -> Result<IoChoice> {
        match (option, env::var_os(Self::VARIABLE)) {
            (Some(choice), _) => Ok(choice),
            (None, Some(value)) => value.to_string_lossy().parse(),
            (None, None) => Ok(IoChoice::Auto),
        }
    }
}

impl FromStr for IoChoice {
    type Err = PagerError;

    fn from_str(value: &str) -> Result<IoChoice> {
        match value {
            "auto" => Ok(IoChoice::Auto),
            "uring" => Ok(IoChoice::Uring),
            "syscall" => Ok(IoChoice::Syscall),
            _ => Err(PagerError::InvalidSetting {
                setting: Self::VARIABLE,
                value: value.to_string(),
                expected: "auto, uring or syscall",
            }),
        }
    }
}

/// The I/O that was chosen, and why.
struct Engine {
    /// Only io_uring has one.
    ring: Option<Ring>,
    reason: String,
    /// Whether the file may decide otherwise.
    is_auto: bool,
}

impl Engine {
    fn choose(choice: IoChoice) -> io::Result<Engine> {
        let is_auto = choice == IoChoice::Auto;
        if choice == IoChoice::Syscall {
            return Ok(Engine { ring: None, reason: "system calls were asked for".to_string(), is_auto });
        }
        match Ring::new() {
            Ok(ring) => {
                let reason = if choice == IoChoice::Uring { "was asked for" } else { "is available" };
                Ok(Engine { ring: Some(ring), reason: format!("io_uring {reason}"), is_auto })
            }
            Err(error) if choice == IoChoice::Uring => {
                Err(io::Error::new(error.kind(), format!("io_uring was asked for, but is refused: {error}")))
            }
            Err(error) => Ok(Engine { ring: None, reason: format!("io_uring is refused: {error}"), is_auto }),
        }
    }

    fn start(mut self, file: File) -> io::Result<Arc<dyn Disk>> {
        let in_memory = is_in_memory(&file);
        if self.is_auto && self.ring.is_some() && in_memory {
            self.ring = None;
            self.reason = "the file is in memory, where system calls cost less than io_uring".to_string();
        }
        let caching = match bypass_cache(&file)? {
            Ok(()) => Caching::Direct,
            Err(refusal) => {
                self.reason.push_str(&format!(
                    "; reads and writes are cached, since O_DIRECT is refused: {refusal}"
                ));
                Caching::Cached
            }
        };
        let file = PageFile::new(file, caching);
        let disk: Arc<dyn Disk> = match self.ring {
            Some(ring) => Arc::new(UringDisk::new(file, ring, self.reason)),
            None if in_memory => Arc::new(SyscallDisk::in_memory(file, self.reason)),
            None => Arc::new(SyscallDisk::new(file, self.reason)),
        };
        let Backend { kind, direct, reason } = disk.backend();
        tracing::info!(%kind, direct, reason, "opened the disk");
        Ok(disk)
    }
}

/// Opens a file and locks it. Each attempt opens anew, and what was opened must still be what the path names:
/// whoever held the lock may have put another file in its place.
fn open_locked(path: &Path, writable: bool, context: &ErrorContext) -> Result<File> {
    for attempt in 0..LOCK_ATTEMPTS {
        if attempt > 0 {
            thread::sleep(LOCK_PAUSE);
        }
        let file = open_regular(path, writable, context)?;
        if try_lock(&file, writable).map_err(|error| context.io(IoOperation::Lock, error))?
            && is_named_by(&file, path).map_err(|error| context.io(IoOperation::Inspect, error))?
        {
            return Ok(file);
        }
    }
    Err(PagerError::FileLocked { path: context.0.clone() })
}

fn open_regular(path: &Path, writable: bool, context: &ErrorContext) -> Result<File> {
    // Neither wait for the other end of a FIFO, nor become the terminal's session.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let not_a_file = |kind| PagerError::NotAFile { path: context.0.clone(), kind };
    let file = match OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PagerError::NotFound { path: context.0.clone() });
        }
        Err(error) => {
            // Directories and sockets cannot even be opened.
            let kind = fs::metadata(path).ok().and_then(|metadata| kind_if_not_a_file(metadata.file_type()));
            return Err(kind.map_or_else(|| context.io(IoOperation::Open, error), not_a_file));
        }
    };
    let metadata = file.metadata().map_err(|error| context.io(IoOperation::Inspect, error))?;
    match kind_if_not_a_file(metadata.file_type()) {
        Some(kind) => Err(not_a_file(kind)),
        None => Ok(file),
    }
}

fn kind_if_not_a_file(file_type: FileType) -> Option<&'static str> {
    match file_type {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a directory"),
        kind if kind.is_fifo() => Some("a FIFO"),
        kind if kind.is_socket() => Some("a socket"),
        kind if kind.is_char_device() || kind.is_block_device() => Some("a device"),
        _ => Some("something else"),
    }
}

/// `false`: somebody else has a lock that excludes this one.
fn try_lock(file: &File, exclusive: bool) -> io::Result<bool> {
    let lock = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    // std's own file locks may become something else than `flock` one day, and then exclude older builds no more.
    let locked = retry_interrupted(|| {
        // SAFETY: `flock` touches no memory, and `file` keeps the descriptor open.
        match unsafe { libc::flock(file.as_raw_fd(), lock | libc::LOCK_NB) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    });
    match locked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_named_by(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Turns O_DIRECT on, where it takes pages; the inner error says why it does not.
///
/// The flag is set on the open file rather than by the `open` that made it: some file systems create a file and only
/// then find that they know no O_DIRECT, and a second `open` might meet another file.
fn bypass_cache(file: &File) -> io::Result<Result<(), String>> {
    let alignment = direct_io_alignment(file);
    if let Some(bytes) = alignment
        && (bytes == 0 || !(PAGE_SIZE as u32).is_multiple_of(bytes))
    {
        set_flags(file, 0)?;
        return Ok(Err(match bytes {
            0 => "the file system has no direct I/O for this file".to_string(),
            _ => format!("it needs an alignment of {bytes} bytes"),
        }));
    }
    let mut direct = set_flags(file, libc::O_DIRECT);
    if direct.is_ok() && alignment.is_none() {
        // Nobody told the alignment, but a read of a page shows it, even at the end of the file. Other errors are
        // left to the reads that count.
        let mut page = Page::boxed();
        direct = match retry_interrupted(|| file.read_at(page.bytes_mut(), 0)) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(error),
            _ => Ok(()),
        };
    }
    match direct {
        Ok(()) => Ok(Ok(())),
        Err(refusal) => {
            set_flags(file, 0)?;
            Ok(Err(refusal.to_string()))
        }
    }
}

/// The alignment that direct I/O needs, of memory or of offsets, whichever is larger; 0 where there is no direct I/O,
/// nothing where the kernel (before 6.1) or the file system does not say.
fn direct_io_alignment(file: &File) -> Option<u32> {
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty string that ends with a zero byte, `answer` is large enough for a `statx`, and
    // `file` keeps the descriptor open.
    let status = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            answer.as_mut_ptr(),
        )
    };
    // SAFETY: every bit pattern is a `statx`, and all bytes are initialised: by the kernel, or as zeros.
    let answer = unsafe { answer.assume_init() };
    if status != 0 || answer.stx_mask & libc::STATX_DIOALIGN == 0 {
        return None;
    }
    match (answer.stx_dio_mem_align, answer.stx_dio_offset_align) {
        (0, _) | (_, 0) => Some(0),
        (memory, offset) => Some(memory.max(offset)),
    }
}

/// Whether the file system keeps its files in memory. If it does not say what it is, it does not.
fn is_in_memory(file: &File) -> bool {
    /// RAMFS_MAGIC of the kernel's `magic.h`, which libc does not name.
    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    let mut answer = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `answer` is large enough for a `statfs`, and `file` keeps the descriptor open.
    let status = unsafe { libc::fstatfs(file.as_raw_fd(), answer.as_mut_ptr()) };
    // SAFETY: every bit pattern is a `statfs`, and all bytes are initialised: by the kernel, or as zeros.
    let answer = unsafe { answer.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "the types differ from platform to platform")]
    let (kind, tmpfs) = (answer.f_type as i64, libc::TMPFS_MAGIC as i64);
    status == 0 && (kind == tmpfs || kind == RAMFS_MAGIC)
}

/// Replaces the flags of an open file: O_DIRECT, and the O_NONBLOCK of its opening.
fn set_flags(file: &File, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: F_SETFL touches no memory, and `file` keeps the descriptor open.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The directory that holds the file's name.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_has_a_name_and_other_names_are_refused() {
        for (name, choice) in
            [("auto", IoChoice::Auto), ("uring", IoChoice::Uring), ("syscall", IoChoice::Syscall)]
        {
            assert_eq!(name.parse::<IoChoice>().ok(), Some(choice));
        }
        for name in ["", "Uring", "mmap"] {
            let message = name.parse::<IoChoice>().map_err(|error| error.to_string());
            assert_eq!(message, Err(format!("DYNAMITE_IO is {name:?}; use auto, uring or syscall")));
        }
    }

    /// Whoever held the lock may have put another file in the place of the one that was opened.
    #[test]
    fn a_file_is_known_by_what_it_is_and_not_by_its_name() {
        let [file, other] = [(); 2].map(|()| memory_file().expect("memory is to be had"));
        let path_of = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
        assert!(is_named_by(&file, Path::new(&path_of(&file))).expect("the path leads somewhere"));
        assert!(!is_named_by(&file, Path::new(&path_of(&other))).expect("the path leads somewhere"));
        assert!(!is_named_by(&file, Path::new("/proc/self/fd/missing")).expect("nothing is there"));
    }
}
