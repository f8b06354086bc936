//! The handle of an open database.

use std::ops::Deref;
use std::sync::Arc;

use dynamite_txn::{Clock, Durability, Stats, Store, WriteTxn};

use crate::api::housekeeping::{self, Bell, Housekeeper};
use crate::api::index_build::Builds;
use crate::api::news::News;
use crate::api::options::Builder;
use crate::api::table::TableCache;
use crate::api::table_backup::Backups;
use crate::api::writing::{Course, Writing};
use crate::error::Result;

/// An open database. Clones share it; it closes when the last one, and the last snapshot, is gone. All methods may be called
/// from many threads: readers never wait for writers, and writers that commit at the same time share one flush.
///
/// ```
/// use dynamite_core::api::DynaMite;
/// use dynamite_core::types::KeyType;
/// use serde_json::json;
///
/// # fn main() -> Result<(), dynamite_core::Error> {
/// let db = DynaMite::in_memory()?;
/// db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
/// db.put_item("users", json!({"user_id": "alice", "name": "Alice", "age": 30}))?;
///
/// let item = db.get_item("users").partition_key("alice").execute()?;
/// assert_eq!(item.unwrap()["name"], "Alice");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DynaMite {
    pub(crate) shared: Arc<Shared>,
}

/// What the handles of a database share. With the last of them goes the thread that looks after it, and then the rest.
#[derive(Debug)]
pub(crate) struct Shared {
    _housekeeper: Option<Housekeeper>,
    engine: Arc<Engine>,
}

impl Deref for Shared {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

/// An open database, for those who work on it.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) tables: TableCache,
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    /// Rings for the thread that looks after what nobody waits for.
    pub(crate) bell: Bell,
    pub(crate) builds: Builds,
    pub(crate) backups: Backups,
    /// Tells those who follow a stream.
    pub(crate) news: News,
    /// How long the records of streams are kept.
    pub(crate) stream_retention_ms: u64,
}

impl Engine {
    /// Runs a write and commits it.
    pub(crate) fn write<R>(&self, body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R>) -> Result<R> {
        let result = self.store.write_with(self.durability, body)?;
        self.news.announce();
        Ok(result)
    }

    /// Runs a write of items and commits it.
    pub(crate) fn change<R>(&self, body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R>) -> Result<R> {
        self.changed(self.store.write_with(self.durability, |txn| self.run(txn, body)))
    }

    /// As [`change`](Self::change), for few items: if others write at the same time, it may be run on the thread of one of them.
    pub(crate) fn change_in_company<R: Send>(
        &self,
        body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R> + Send,
    ) -> Result<R> {
        self.changed(self.store.write_in_company(self.durability, |txn| self.run(txn, body)))
    }

    /// Runs a write of items. Says when there will be something to do in the background, too.
    fn run<R>(
        &self,
        txn: &mut WriteTxn<'_>,
        body: impl FnOnce(&mut Writing<'_, '_>) -> Result<R>,
    ) -> Result<(R, u64)> {
        let course = self.course();
        let result = body(&mut Writing::new(&self.tables, txn, &course))?;
        Ok((result, course.due_ms()))
    }

    /// Tells of a write of items that was committed.
    fn changed<R>(&self, result: Result<(R, u64)>) -> Result<R> {
        let (result, due_ms) = result?;
        self.news.announce();
        self.bell.expect(due_ms);
        Ok(result)
    }

    /// What a write transaction begins with.
    pub(crate) fn course(&self) -> Course<'_> {
        Course::new(&*self.clock, self.stream_retention_ms)
    }
}

impl DynaMite {
    pub(crate) fn new(
        store: Store,
        durability: Durability,
        clock: Arc<dyn Clock>,
        background: bool,
        stream_retention_ms: u64,
    ) -> DynaMite {
        let (tables, bell, builds) = (TableCache::default(), Bell::default(), Builds::default());
        let (news, backups) = (News::default(), Backups::default());
        let engine = Arc::new(Engine {
            store,
            tables,
            durability,
            clock,
            bell,
            builds,
            backups,
            news,
            stream_retention_ms,
        });
        let housekeeper = background.then(|| Housekeeper::start(&engine)).flatten();
        DynaMite { shared: Arc::new(Shared { _housekeeper: housekeeper, engine }) }
    }

    /// Creates a database in a new file, with the settings that suit most; see [`Builder::create`].
    ///
    /// ```
    /// # let directory = tempfile::tempdir_in(std::env::var("CARGO_TARGET_TMPDIR").unwrap_or(".".into()))?;
    /// # let path = directory.path().join("my_database.db");
    /// use dynamite_core::Error;
    /// use dynamite_core::api::DynaMite;
    ///
    /// let db = DynaMite::create(&path)?;
    /// db.close()?;
    /// assert!(matches!(DynaMite::create(&path), Err(Error::AlreadyExists { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(path: impl AsRef<std::path::Path>) -> Result<DynaMite> {
        Builder::new().create(path)
    }

    /// Opens the database in a file; see [`Builder::open`].
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<DynaMite> {
        Builder::new().open(path)
    }

    /// Opens the database in a file, or creates it; see [`Builder::open_or_create`].
    pub fn open_or_create(path: impl AsRef<std::path::Path>) -> Result<DynaMite> {
        Builder::new().open_or_create(path)
    }

    /// Creates a database in memory, gone with its last handle.
    pub fn in_memory() -> Result<DynaMite> {
        Builder::new().in_memory()
    }

    /// Begins to say how a database is to be opened.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Makes every write so far durable: those with [`Durability::Eventual`] that may not be yet.
    pub fn flush(&self) -> Result<()> {
        Ok(self.shared.store.flush()?)
    }

    /// Collects all the garbage that there is (old versions that nobody can see any more, pages of dropped tables) and
    /// sizes the file. The background does it anyway, by and by.
    pub fn maintain(&self) -> Result<()> {
        housekeeping::run(&self.shared)?;
        Ok(self.shared.store.maintain()?)
    }

    /// Makes the file shorter where it is worth while: collects garbage and moves pages at its end to free ones below, in bounded steps between
    /// which others read and write. Items stay what they are, those that have expired too. The background does it when the
    /// database is idle.
    pub fn compact(&self) -> Result<()> {
        Ok(self.shared.store.maintain()?)
    }

    /// What the storage engine did so far, and on what.
    pub fn stats(&self) -> Stats {
        self.shared.store.stats()
    }

    /// How often a page was not in the cache when it was wanted, since the database was opened: `misses` and `shared_misses` of
    /// [`stats`](Self::stats), for those who ask after each operation whether it had to wait for the disk. Cost: two loads.
    ///
    /// ```
    /// # use dynamite_core::api::DynaMite;
    /// # let db = DynaMite::in_memory()?;
    /// let before = db.cache_misses();
    /// db.list_tables()?;
    /// assert_eq!(db.cache_misses(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache_misses(&self) -> u64 {
        self.shared.store.cache_misses()
    }

    /// Sixteen bytes that no other database has, drawn when it was created.
    pub fn database_id(&self) -> [u8; 16] {
        self.shared.store.database_id()
    }

    /// Makes everything durable, marks the file as cleanly closed and gives it free, and says whether that worked. With
    /// other handles or snapshots about it makes everything durable, and the last of them closes the file.
    pub fn close(self) -> Result<()> {
        match Arc::try_unwrap(self.shared) {
            Ok(Shared { _housekeeper, engine }) => {
                drop(_housekeeper);
                // Only the housekeeper had it besides.
                Arc::into_inner(engine).map_or(Ok(()), |engine| Ok(engine.store.close()?))
            }
            Err(shared) => Ok(shared.store.flush()?),
        }
    }
}
