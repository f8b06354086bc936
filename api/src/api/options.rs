//! How to open a database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynamite_txn::disk::Disk;
use dynamite_txn::{Clock, Durability, IoChoice, Options, Store};

use crate::api::clock::SystemClock;
use crate::api::database::DynaMite;
use crate::error::{Error, Invalid, Result};

/// How to open a database: [`DynaMite::builder`] begins, [`create`](Builder::create), [`open`](Builder::open) and their
/// like end.
///
/// ```
/// use dynamite_core::api::{Durability, DynaMite};
///
/// # fn main() -> Result<(), dynamite_core::Error> {
/// let db = DynaMite::builder().cache_size(16 << 20).durability(Durability::Eventual).in_memory()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    options: Options,
    durability: Durability,
    clock: Arc<dyn Clock>,
    background: bool,
    read_only: bool,
    stream_retention: Duration,
}

/// How long DynamoDB keeps the records of a stream.
const STREAM_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

impl Builder {
    pub(crate) fn new() -> Builder {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        Builder {
            options: Options::new(clock.clone()),
            clock,
            background: true,
            durability: Durability::Immediate,
            read_only: false,
            stream_retention: STREAM_RETENTION,
        }
    }

    /// Bytes of the buffer pool, which holds the pages in use. The process needs these and at most a tenth and 16 MiB more.
    pub fn cache_size(mut self, bytes: usize) -> Builder {
        self.options = self.options.cache_bytes(bytes);
        self
    }

    /// Which I/O to use (default: io_uring where the system lets us, else reads and writes by threads).
    pub fn io(mut self, choice: IoChoice) -> Builder {
        self.options = self.options.io(choice);
        self
    }

    /// What a write promises when it returns (default: [`Durability::Immediate`], that no power cut can take it back).
    pub fn durability(mut self, durability: Durability) -> Builder {
        self.durability = durability;
        self
    }

    /// After how long a write with [`Durability::Eventual`] is durable at the latest (default: 100 ms).
    pub fn eventual_interval(mut self, interval: Duration) -> Builder {
        self.options = self.options.eventual_interval(interval);
        self
    }

    /// Opens for reading only: other readers may have the file open too, nobody may write. [`create`](Builder::create)
    /// and [`open_or_create`](Builder::open_or_create) refuse it.
    pub fn read_only(mut self, read_only: bool) -> Builder {
        self.read_only = read_only;
        self
    }

    /// Whether threads in the background collect garbage, flush eventual writes and size the file (default: yes).
    pub fn background(mut self, enabled: bool) -> Builder {
        self.options = self.options.background(enabled);
        self.background = enabled;
        self
    }

    /// Whether nothing counts as free, whatever the file says: for repairs.
    pub(crate) fn forget_free_space(mut self, forget: bool) -> Builder {
        self.options = self.options.forget_free_space(forget);
        self
    }

    /// How long the records of change streams are kept (default: 24 hours). Holds for this opening of the database.
    pub fn stream_retention(mut self, age: Duration) -> Builder {
        self.stream_retention = age;
        self
    }

    /// Takes the time from a clock of the caller's, and so becomes repeatable.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Builder {
        self.options = self.options.clock(clock.clone());
        self.clock = clock;
        self
    }

    /// Creates a database in a new file.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`], [`Error::NotFound`] for a directory that does not exist, and what the system says.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<DynaMite> {
        self.refuse_read_only("create")?;
        self.start(self.options.create(path, new_database_id()?)?)
    }

    /// Opens the database in a file.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::Locked`] within half a second if another process or handle has it open;
    /// [`Error::Corrupt`] and [`Error::Storage`] if it is no database that this build can read.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<DynaMite> {
        let store = match self.read_only {
            true => self.options.open_read_only(path)?,
            false => self.options.open(path)?,
        };
        self.start(store)
    }

    /// Opens the database in a file, or creates one if there is no such file.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Builder::open) and [`create`](Builder::create), but for the file's being there or not.
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<DynaMite> {
        self.refuse_read_only("open_or_create")?;
        self.start(self.options.open_or_create(path, new_database_id()?)?)
    }

    /// Creates a database in memory, gone with its last handle.
    pub fn in_memory(&self) -> Result<DynaMite> {
        self.refuse_read_only("in_memory")?;
        self.start(self.options.in_memory(new_database_id()?)?)
    }

    /// Creates a database on a disk of the caller's.
    pub fn create_on(&self, disk: Arc<dyn Disk>) -> Result<DynaMite> {
        self.refuse_read_only("create_on")?;
        self.start(self.options.create_on(disk, new_database_id()?)?)
    }

    /// Opens the database on a disk of the caller's.
    pub fn open_on(&self, disk: Arc<dyn Disk>) -> Result<DynaMite> {
        self.start(self.options.open_on(disk, !self.read_only)?)
    }

    fn start(&self, store: Store) -> Result<DynaMite> {
        let background = self.background && !self.read_only;
        let stream_retention_ms = u64::try_from(self.stream_retention.as_millis()).unwrap_or(u64::MAX);
        Ok(DynaMite::new(store, self.durability, self.clock.clone(), background, stream_retention_ms))
    }

    fn refuse_read_only(&self, what: &str) -> Result<()> {
        match self.read_only {
            true => Err(Invalid::Setting(format!("read_only is set; {what} makes a new database")).into()),
            false => Ok(()),
        }
    }
}

/// Sixteen bytes that tell this database's pages from those of any other.
pub(crate) fn new_database_id() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        Error::from(Invalid::Setting(format!("the system has no random numbers: {error}")))
    })?;
    Ok(id)
}
