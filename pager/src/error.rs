//! What can go wrong in the pager, one variant per decision that a caller can take.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::format::page_id::{Birth, PageId};

/// A `Result` of the pager.
pub type Result<T, E = PagerError> = std::result::Result<T, E>;

/// Why the pager could not do what it was asked.
///
/// Cloneable, since several waiters may get the error of one read.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PagerError {
    /// The operating system refused, or cut short, an operation on the file.
    #[error("{operation} on {} failed: {source}", path.display())]
    Io {
        /// What was tried.
        operation: IoOperation,
        /// The database file.
        path: Arc<Path>,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// The medium returned bytes that we did not write there.
    #[error("page {page} of {} is corrupt: {source}; run dynamite-fsck on the file", path.display())]
    Corrupt {
        /// The page that failed.
        page: PageId,
        /// The database file.
        path: Arc<Path>,
        /// The check that it failed.
        source: Corruption,
    },

    /// A page that is whole and in its place holds what the layer that owns its kind never writes.
    #[error("page {page} of {} is malformed: {source}; run dynamite-fsck on the file", path.display())]
    Malformed {
        /// The page.
        page: PageId,
        /// The database file.
        path: Arc<Path>,
        /// The check of that layer that refused it.
        source: Malformation,
    },

    /// Neither header page can be believed, so nothing says which state is current.
    #[error(
        "no header of {} can be used (page 0: {first}; page 1: {second}); restore a backup",
        path.display()
    )]
    NoValidHeader {
        /// The database file.
        path: Arc<Path>,
        /// Why page 0 was rejected.
        first: Corruption,
        /// Why page 1 was rejected.
        second: Corruption,
    },

    /// The file is not a DynaMite database.
    #[error("{} is not a DynaMite database: {reason}", path.display())]
    NotADatabase {
        /// The file.
        path: Arc<Path>,
        /// What gave it away.
        reason: &'static str,
    },

    /// A crash interrupted the creation of the file. Nothing was ever stored in it.
    #[error("the creation of {} was interrupted and it holds no data; delete it, or open it for creation", path.display())]
    UnfinishedCreate {
        /// The database file.
        path: Arc<Path>,
    },

    /// The file was to become a copy of a database, and whoever made it was interrupted, or is at it.
    #[error("{} is an unfinished copy of a database; delete it, and make the copy again", path.display())]
    UnfinishedCopy {
        /// The file.
        path: Arc<Path>,
    },

    /// The file is shorter than its newest commit says.
    #[error("{} has {found} pages where its header counts {expected}; restore a backup", path.display())]
    Truncated {
        /// The database file.
        path: Arc<Path>,
        /// Whole pages in the file.
        found: u64,
        /// Pages that the header counts.
        expected: u64,
    },

    /// A newer DynaMite wrote the file.
    #[error("{} has format version {version}, this build knows up to {supported}; use a newer build", path.display())]
    NewerVersion {
        /// The database file.
        path: Arc<Path>,
        /// The file's format version.
        version: u32,
        /// The newest version that this build knows.
        supported: u32,
    },

    /// The file uses features that this build lacks.
    #[error("{} uses features {bits:#x} that this build lacks{}; use a newer build", path.display(),
        if *.read_only_would_do { " for writing (a read-only open would do)" } else { "" })]
    UnknownFeatures {
        /// The database file.
        path: Arc<Path>,
        /// The flags that this build does not know.
        bits: u64,
        /// Whether a read-only open would be possible.
        read_only_would_do: bool,
    },

    /// The file has pages of another size.
    #[error("{} has pages of {page_size} bytes, this build reads pages of 4096", path.display())]
    PageSize {
        /// The database file.
        path: Arc<Path>,
        /// Bytes in a page, as the header says.
        page_size: u32,
    },

    /// Another process, or another handle in this one, has the file open.
    #[error("{} is locked by another process or handle; close it there first, or share it through dynamite-server", path.display())]
    FileLocked {
        /// The database file.
        path: Arc<Path>,
    },

    /// There is no such file, or, when creating one, no such directory.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The missing file.
        path: Arc<Path>,
    },

    /// A file that should be created exists.
    #[error("{} already exists; open it, or use open_or_create, or choose another name", path.display())]
    AlreadyExists {
        /// The file.
        path: Arc<Path>,
    },

    /// The path names something that is not a regular file.
    #[error("{} is {kind}, not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: Arc<Path>,
        /// What is there.
        kind: &'static str,
    },

    /// The database was opened read-only.
    #[error("{} was opened read-only", path.display())]
    ReadOnly {
        /// The database file.
        path: Arc<Path>,
    },

    /// An earlier write or flush failed, so what is on disk is unknown until the file is opened again.
    #[error("writes to {} are refused since an earlier write or flush failed ({source}); reopen the database", path.display())]
    Poisoned {
        /// The database file.
        path: Arc<Path>,
        /// The failure.
        source: Arc<io::Error>,
    },

    /// The file cannot grow. Only this batch failed; deletions remain possible.
    #[error("{} cannot grow to {pages} pages: {source}; free space on the device, or delete data", path.display())]
    DiskFull {
        /// The database file.
        path: Arc<Path>,
        /// The size that was asked for.
        pages: u64,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// The file has reached 16 TiB.
    #[error("{} has reached the largest size, 16 TiB", path.display())]
    FileTooLarge {
        /// The database file.
        path: Arc<Path>,
    },

    /// Every frame of the buffer pool is in use by this thread's own unfinished operations, or dirty.
    #[error("the buffer pool of {frames} pages is exhausted; open with a larger cache")]
    PoolExhausted {
        /// Frames in the pool.
        frames: usize,
    },

    /// A setting has a value that means nothing.
    #[error("{setting} is {value:?}; use {expected}")]
    InvalidSetting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The values that mean something.
        expected: &'static str,
    },

    /// The handle was inherited through `fork`.
    #[error("{} was opened by a parent process; a forked child must open it anew", path.display())]
    Forked {
        /// The database file.
        path: Arc<Path>,
    },

    /// What went wrong in another process, in its words: for those who are told of it.
    #[error("{text}")]
    Elsewhere {
        /// The text.
        text: String,
    },
}

/// What a layer above found wrong with a page of its own.
pub type Malformation = Arc<dyn std::error::Error + Send + Sync>;

/// An operation of the operating system, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoOperation {
    /// Opening the file.
    Open,
    /// Creating the file.
    Create,
    /// Locking the file.
    Lock,
    /// Asking for the file's size or alignment.
    Inspect,
    /// Reading a page.
    Read(PageId),
    /// Writing a page.
    Write(PageId),
    /// Writing the pages of a commit.
    WriteBatch,
    /// Making writes durable.
    Flush,
    /// Extending the file.
    Grow,
    /// Cutting the file.
    Truncate,
    /// Giving the file its name.
    Rename,
    /// Setting up the buffer pool's memory.
    MapMemory,
    /// Starting a background thread.
    Spawn,
}

impl fmt::Display for IoOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IoOperation::Open => f.write_str("open"),
            IoOperation::Create => f.write_str("create"),
            IoOperation::Lock => f.write_str("lock"),
            IoOperation::Inspect => f.write_str("stat"),
            IoOperation::Read(page) => write!(f, "read of page {page}"),
            IoOperation::Write(page) => write!(f, "write of page {page}"),
            IoOperation::WriteBatch => f.write_str("write of a commit"),
            IoOperation::Flush => f.write_str("flush"),
            IoOperation::Grow => f.write_str("growth"),
            IoOperation::Truncate => f.write_str("truncation"),
            IoOperation::Rename => f.write_str("renaming"),
            IoOperation::MapMemory => f.write_str("mapping the buffer pool"),
            IoOperation::Spawn => f.write_str("starting a thread"),
        }
    }
}

/// The check that a page failed, with the value found: a test can name the check that it expects, an operator
/// sees the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Every byte is zero: the page was never written, or its write was lost.
    #[error("the page was never written")]
    Blank,
    /// The bytes are not those that were written.
    #[error("checksum {found:#018x} where the contents have {computed:#018x}")]
    Checksum {
        /// The stored checksum.
        found: u64,
        /// The checksum of the bytes that came back.
        computed: u64,
    },
    /// A whole page, written to the wrong place.
    #[error("this is page {found}, misplaced (expected page {expected})")]
    PageId {
        /// The id inside the page.
        found: PageId,
        /// The id that was read.
        expected: PageId,
    },
    /// A whole page of another commit: the newer write was lost, or the pointer is wrong.
    #[error("written by batch {found} where its parent expects {expected}")]
    Birth {
        /// The birth inside the page.
        found: Birth,
        /// The birth in the pointer.
        expected: Birth,
    },
    /// A pointer leads beyond the end of the file.
    #[error("the page lies beyond the {page_count} pages of the file")]
    OutOfBounds {
        /// Pages in the file.
        page_count: u64,
    },
    /// A page of another kind than its place requires.
    #[error("kind {found} where kind {expected} belongs")]
    Kind {
        /// The kind in the page header.
        found: u8,
        /// The kind that belongs here.
        expected: u8,
    },
    /// A header page without the magic bytes.
    #[error("no DynaMite header")]
    Magic,
    /// A header whose contents contradict each other, although its checksum holds.
    #[error("header field {field} has the impossible value {value}")]
    HeaderField {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// A header whose manifest does not match the pages on disk: its commit never became complete.
    #[error("commit {commit} is incomplete: the pages from {first} on are not those of its manifest")]
    Manifest {
        /// The commit.
        commit: Birth,
        /// The first page of the extent that differs.
        first: PageId,
    },
    /// A page is given up that cannot be in use: two pages lead to it, or a pointer is wrong.
    #[error("page {page} is freed, but was not in use")]
    NotInUse {
        /// The page.
        page: PageId,
    },
    /// A page of the free-space structure that contradicts itself, although its checksum holds.
    #[error("free-space field {field} has the impossible value {value}")]
    SpaceField {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// The path by which errors name an anonymous database in memory.
pub(crate) fn memory_path() -> PathBuf {
    PathBuf::from(":memory:")
}

/// The file that errors speak of.
#[derive(Clone, Debug)]
pub(crate) struct ErrorContext(pub(crate) Arc<Path>);

impl ErrorContext {
    pub(crate) fn io(&self, operation: IoOperation, source: io::Error) -> PagerError {
        PagerError::Io { operation, path: self.0.clone(), source: Arc::new(source) }
    }

    /// The file could not be made `pages` long.
    pub(crate) fn growth(&self, pages: u64, source: io::Error) -> PagerError {
        if is_full(&source) {
            return PagerError::DiskFull { path: self.0.clone(), pages, source: Arc::new(source) };
        }
        self.io(IoOperation::Grow, source)
    }

    pub(crate) fn corrupt(&self, page: PageId, source: Corruption) -> PagerError {
        PagerError::Corrupt { page, path: self.0.clone(), source }
    }

    pub(crate) fn malformed(&self, page: PageId, source: Malformation) -> PagerError {
        PagerError::Malformed { page, path: self.0.clone(), source }
    }
}

/// Whether there is no room for a longer file.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
