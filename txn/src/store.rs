//! An open database, as the layers above see it: reads, snapshots and write transactions over tables.
//!
//! ```
//! use std::sync::Arc;
//! use dynamite_txn::{ManualClock, Options, Result, Retention};
//!
//! # fn main() -> Result<()> {
//! let store = Options::new(Arc::new(ManualClock::at(0))).in_memory(*b"drawn by chance!")?;
//!
//! // All or nothing, durable when it returns.
//! let fruit = store.write(|txn| -> Result<_> {
//!     let fruit = txn.create_table(b"fruit", b"", Retention::None)?;
//!     txn.put(fruit, b"apple", b"red")?;
//!     Ok(fruit)
//! })?;
//!
//! // A snapshot sees what was, for as long as it is held.
//! let snapshot = store.snapshot()?;
//! store.write(|txn| txn.put(fruit, b"apple", b"green"))?;
//! let colour = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
//! assert_eq!(snapshot.read()?.get(fruit, b"apple", |_, payload| colour(payload))?.unwrap(), "red");
//! assert_eq!(store.read()?.get(fruit, b"apple", |_, payload| colour(payload))?.unwrap(), "green");
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dynamite_pager::disk::Disk;
use dynamite_pager::sync::{Mutex, Turn};
use dynamite_pager::{Durability, IoChoice, Pager, PagerError, Stats};

use crate::catalog::{Catalog, Retention, TIMES};
use crate::clock::Clock;
use crate::error::{Result, TxnError, text};
use crate::group_commit::{Company, GroupCommit};
use crate::known_tables::StoreId;
use crate::move_down::{Descent, Progress};
use crate::read_txn::ReadTxn;
use crate::recent::RecentVersions;
use crate::reclaim::Sweep;
use crate::snapshot::Registry;
use crate::tasks::{Tasks, Worker};
use crate::times;
use crate::txn_id::{TableId, TxnId};
use crate::write_txn::series::Series;
use crate::write_txn::{Nesting, WriteTxn};

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    pager: dynamite_pager::Options,
    clock: Arc<dyn Clock>,
    background: bool,
    eventual_interval: Duration,
}

impl Options {
    /// The defaults of the pager, a clock, work in the background, and [`Durability::Eventual`] commits durable after at most
    /// 100 ms.
    pub fn new(clock: Arc<dyn Clock>) -> Options {
        Options {
            pager: dynamite_pager::Options::new().page_check(dynamite_bptree::check_page),
            clock,
            background: true,
            eventual_interval: Duration::from_millis(100),
        }
    }

    /// Takes the time from another clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Options {
        self.clock = clock;
        self
    }

    /// Bytes of the buffer pool; see [`dynamite_pager::Options::cache_bytes`].
    pub fn cache_bytes(mut self, bytes: usize) -> Options {
        self.pager = self.pager.cache_bytes(bytes);
        self
    }

    /// Which I/O to use; see [`dynamite_pager::Options::io`].
    pub fn io(mut self, choice: IoChoice) -> Options {
        self.pager = self.pager.io(choice);
        self
    }

    /// Whether nothing counts as free, whatever the file says; see [`dynamite_pager::Options::forget_free_space`].
    pub fn forget_free_space(mut self, forget: bool) -> Options {
        self.pager = self.pager.forget_free_space(forget);
        self
    }

    /// Whether threads in the background may collect garbage, seal, flush eventual commits and size the file (default: yes). Without
    /// them the owner calls [`Store::maintain`] and [`Store::flush`] now and then.
    pub fn background(mut self, enabled: bool) -> Options {
        self.background = enabled;
        self.pager = self.pager.background(enabled);
        self
    }

    /// After how long an eventual commit is durable at the latest, if the background may flush it.
    pub fn eventual_interval(mut self, interval: Duration) -> Options {
        self.eventual_interval = interval;
        self
    }

    /// Creates a database in a new file; see [`dynamite_pager::Options::create`].
    pub fn create(&self, path: impl AsRef<Path>, database_id: [u8; 16]) -> Result<Store> {
        self.start(self.pager.create(path, database_id)?)
    }

    /// Opens a database for reading and writing; see [`dynamite_pager::Options::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Store> {
        self.start(self.pager.open(path)?)
    }

    /// Opens a database for reading only; see [`dynamite_pager::Options::open_read_only`].
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<Store> {
        self.clone().background(false).start(self.pager.open_read_only(path)?)
    }

    /// Opens a database, creating it if there is none.
    pub fn open_or_create(&self, path: impl AsRef<Path>, database_id: [u8; 16]) -> Result<Store> {
        self.start(self.pager.open_or_create(path, database_id)?)
    }

    /// Creates a database in memory, gone with the handle.
    pub fn in_memory(&self, database_id: [u8; 16]) -> Result<Store> {
        self.start(self.pager.in_memory(database_id)?)
    }

    /// Creates a database on a disk of the caller's.
    pub fn create_on(&self, disk: Arc<dyn Disk>, database_id: [u8; 16]) -> Result<Store> {
        self.start(self.pager.create_on(disk, database_id)?)
    }

    /// Opens a database on a disk of the caller's.
    pub fn open_on(&self, disk: Arc<dyn Disk>, writable: bool) -> Result<Store> {
        let options = if writable { self.clone() } else { self.clone().background(false) };
        options.start(self.pager.open_on(disk, writable)?)
    }

    fn start(&self, pager: Pager) -> Result<Store> {
        let state = pager.published();
        let shared = Arc::new(Shared {
            id: StoreId::new(),
            registry: Registry::new(TxnId(state.roots.horizon)),
            recent: RecentVersions::default(),
            group: GroupCommit::new(state.birth.into(), self.clock.clone()),
            clock: self.clock.clone(),
            sweep: Mutex::default(),
            descent: Mutex::default(),
            dropped: Mutex::default(),
            noted_ms: AtomicU64::new(0),
            tasks: Tasks::new(self.eventual_interval),
            options: self.pager.clone(),
            pager,
        });
        shared.load()?;
        let worker = if self.background { Some(Worker::start(&shared)?) } else { None };
        Ok(Store { shared, worker })
    }
}

/// What everything that belongs to an open database shares.
#[derive(Debug)]
pub(crate) struct Shared {
    id: StoreId,
    pub(crate) registry: Registry,
    pub(crate) recent: RecentVersions,
    pub(crate) group: GroupCommit<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sweep: Mutex<Sweep>,
    pub(crate) descent: Mutex<Descent>,
    /// Tables whose pages are being freed.
    pub(crate) dropped: Mutex<BTreeSet<TableId>>,
    /// A commit time that is known to be stored, see `times`; 0 if none is known.
    pub(crate) noted_ms: AtomicU64,
    pub(crate) tasks: Tasks,
    /// How the file was opened.
    pub(crate) options: dynamite_pager::Options,
    pub(crate) pager: Pager,
}

impl Shared {
    /// Takes up what an earlier life left: snapshots with names, tables that are being freed.
    fn load(&self) -> Result<()> {
        let mut read = self.read(None, None)?;
        for (_, named) in read.named_snapshots()? {
            self.registry.hold(named.txn);
        }
        let catalog = read.catalog;
        let tables = catalog.tables(&mut read.operation)?;
        let freeing = tables.into_iter().filter(|(_, record)| record.freeing);
        self.dropped.lock().extend(freeing.map(|(table, _)| table));
        Ok(())
    }

    #[inline]
    fn read(&self, as_of: Option<TxnId>, only: Option<TableId>) -> Result<ReadTxn<'_>> {
        let (operation, state) = self.pager.enter()?;
        Ok(ReadTxn::new(operation, state, self.id, &self.recent, as_of, only))
    }

    pub(crate) fn wait_durable(&self, txn: TxnId) -> Result<()> {
        self.group.wait_durable(self, txn)
    }

    pub(crate) fn published(&self) -> TxnId {
        self.pager.published().birth.into()
    }

    /// Collects a bounded amount of garbage. Returns whether there may be more.
    pub(crate) fn reclaim(&self, budget: usize) -> Result<bool> {
        let mut txn = WriteTxn::begin(self)?;
        if !txn.reclaim_step(budget)? {
            return Ok(false);
        }
        txn.finish()?;
        Ok(true)
    }

    /// Moves a bounded number of pages down, if the file can become notably shorter. Returns whether there may be more to do.
    pub(crate) fn move_down(&self) -> Result<bool> {
        let mut txn = WriteTxn::begin(self)?;
        match txn.move_down_step()? {
            Progress::Done => Ok(false),
            Progress::Looked => Ok(true),
            Progress::Changed => txn.finish().map(|_| true),
        }
    }
}

impl Turn for Shared {
    type With<'t> = Series<'t>;
}

impl Company for Shared {
    fn begin(&self, durability: Durability) -> Series<'_> {
        Series::begin(self, durability)
    }

    fn finish(&self, series: Series<'_>) -> Result<TxnId> {
        series.finish()
    }

    fn flush(&self) -> Result<TxnId> {
        Ok(self.pager.commit_group()?.into())
    }
}

/// An open database. Share it by reference, or in an `Arc`; all methods may be called from many threads.
///
/// Dropping it commits what was finished and seals, if it can; [`close`](Store::close) does the same and says whether it
/// worked. The file stays locked while a snapshot of it is held.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    worker: Option<Worker>,
}

impl Store {
    /// Begins a read of the newest published state. For the time of one lookup or one page of results; see
    /// [`ReadTxn`].
    #[inline]
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        self.shared.read(None, None)
    }

    /// Begins a write transaction; waits while another one is open.
    ///
    /// # Errors
    ///
    /// [`TxnError::NestedTransaction`] if this thread has one open.
    pub fn begin(&self) -> Result<WriteTxn<'_>> {
        WriteTxn::begin(&self.shared)
    }

    /// Runs a write transaction and commits it, durable when this returns. An error, or a panic, rolls it back.
    ///
    /// The error of a transaction that was rolled back is given only when everything that the transaction can have read is
    /// durable.
    pub fn write<R, E: From<TxnError>>(
        &self,
        body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.write_with(Durability::Immediate, body)
    }

    /// As [`write`](Store::write), with a durability of one's choice.
    pub fn write_with<R, E: From<TxnError>>(
        &self,
        durability: Durability,
        body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let (needs, result) = self.begin()?.run(durability, body);
        self.wait_durable(needs)?;
        result
    }

    /// As [`write_with`](Store::write_with), for what does not take long: if others write at the same time, one of them may run it on its
    /// thread, in a [series](Store::series) of its own transaction and those of third ones, so that the turn to write need not go from thread to
    /// thread. `body` may borrow all the same.
    ///
    /// Cost: with many threads a third of the processor time of [`write_with`](Store::write_with), and two to three times as many transactions a second.
    pub fn write_in_company<R: Send, E: From<TxnError> + Send>(
        &self,
        durability: Durability,
        body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E> + Send,
    ) -> Result<R, E> {
        let shared = &*self.shared;
        // The thread that will begin it may be another one.
        Nesting::check(shared)?;
        shared.group.perform(shared, durability, |series| series.run(body))?
    }

    /// Begins a series of transactions; waits while another transaction is open. See [`Series`].
    pub fn series(&self, durability: Durability) -> Series<'_> {
        Series::begin(&self.shared, durability)
    }

    /// A snapshot of the newest published state.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut committed_ms = 0;
        let txn = self.shared.registry.register(|| {
            let state = self.shared.pager.published();
            committed_ms = state.roots.commit_time;
            state.birth.into()
        });
        Ok(Snapshot { shared: self.shared.clone(), txn, committed_ms, only: None })
    }

    /// The snapshot that has a name.
    ///
    /// # Errors
    ///
    /// [`TxnError::NoSuchSnapshot`].
    pub fn named_snapshot(&self, name: &[u8]) -> Result<Snapshot> {
        let missing = || TxnError::NoSuchSnapshot { name: text(name) };
        let named = self.read()?.named_snapshot(name)?.ok_or_else(missing)?;
        // Its name may have been deleted this very moment.
        if !self.shared.registry.hold_again(named.txn) {
            return Err(missing());
        }
        let (txn, committed_ms) = (named.txn, named.time_ms);
        Ok(Snapshot { shared: self.shared.clone(), txn, committed_ms, only: None })
    }

    /// One table as it was after some past transaction. The table must keep its versions
    /// [for a duration](Retention::Duration), and still have those.
    ///
    /// # Errors
    ///
    /// [`TxnError::NoRetention`], [`TxnError::BelowHorizon`], [`TxnError::NotYet`].
    pub fn as_of(&self, table: TableId, txn: TxnId) -> Result<Snapshot> {
        let newest = self.shared.published();
        if txn > newest {
            return Err(TxnError::NotYet { asked: txn, newest });
        }
        let mut read = self.read()?;
        let record = read.catalog.table(&mut read.operation, table)?;
        let Retention::Duration(_) = record.retention else {
            return Err(TxnError::NoRetention { table });
        };
        self.shared
            .registry
            .hold_past(table, record.horizon, txn)
            .map_err(|horizon| TxnError::BelowHorizon { table, asked: txn, horizon })?;
        Ok(Snapshot { shared: self.shared.clone(), txn, committed_ms: 0, only: Some(table) })
    }

    /// The newest transaction that was committed at or before a time, in milliseconds since 1970. What was committed more than two seconds
    /// before that time is in it. `None` if
    /// nothing is known of that time.
    pub fn newest_at(&self, time_ms: u64) -> Result<Option<TxnId>> {
        let (mut operation, state) = self.shared.pager.enter()?;
        if time_ms >= state.roots.commit_time {
            return Ok(Some(state.birth.into()));
        }
        let catalog = Catalog::at(&state.roots);
        let times = catalog.table(&mut operation, TIMES)?.tree;
        times::newest_at(&times, &mut operation, time_ms)
    }

    /// Waits until a transaction that [joined](WriteTxn::join) its group, and all before it, is durable. Who waits at the same time
    /// shares one flush.
    pub fn wait_durable(&self, txn: TxnId) -> Result<()> {
        self.shared.wait_durable(txn)
    }

    /// Makes every commit so far durable.
    pub fn flush(&self) -> Result<()> {
        Company::flush(&*self.shared).map(drop)
    }

    /// Collects all the garbage that there is and moves pages down if that makes the file notably shorter, both in bounded steps, and
    /// sizes the file. For owners who have switched the background off, or do not want to wait for it.
    pub fn maintain(&self) -> Result<()> {
        while self.shared.reclaim(MAINTENANCE_STEP)? {}
        while self.shared.move_down()? {}
        self.shared.pager.maintain()?;
        self.shared.tasks.committed();
        Ok(())
    }

    /// Snapshots that are held, named ones included.
    pub fn snapshots_held(&self) -> usize {
        self.shared.registry.count()
    }

    /// What the storage layer did so far, and on what.
    pub fn stats(&self) -> Stats {
        self.shared.pager.stats()
    }

    /// How often a page was not in the cache when it was wanted: see [`Pager::cache_misses`].
    pub fn cache_misses(&self) -> u64 {
        self.shared.pager.cache_misses()
    }

    /// The id that was given at creation.
    pub fn database_id(&self) -> [u8; 16] {
        self.shared.pager.database_id()
    }

    /// Makes everything durable, seals, and gives the file free, unless a snapshot is still held.
    pub fn close(mut self) -> Result<()> {
        drop(self.worker.take());
        Ok(self.shared.pager.seal()?)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.worker.take());
        // The pager does the same, but only when the last snapshot is gone.
        match self.shared.pager.commit_group() {
            Ok(_) | Err(PagerError::ReadOnly { .. } | PagerError::Forked { .. }) => {}
            Err(error) => tracing::warn!(%error, "what was committed last may not be durable"),
        }
    }
}

/// Entries and such that one step of maintenance looks at.
pub(crate) const MAINTENANCE_STEP: usize = 512;

/// A state that stays readable for as long as this is held. Costs the versions that change meanwhile.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) txn: TxnId,
    /// When that was committed; 0 if it is not known, of a past state of one table.
    pub(crate) committed_ms: u64,
    pub(crate) only: Option<TableId>,
}

impl Snapshot {
    /// Begins a read of this state.
    #[inline]
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        self.shared.read(Some(self.txn), self.only)
    }

    /// The state that is seen.
    pub fn txn(&self) -> TxnId {
        self.txn
    }
}

impl Clone for Snapshot {
    fn clone(&self) -> Snapshot {
        self.shared.registry.hold(self.txn);
        Snapshot {
            shared: self.shared.clone(),
            txn: self.txn,
            committed_ms: self.committed_ms,
            only: self.only,
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.shared.registry.release(self.txn);
        self.shared.tasks.snapshot_released();
    }
}
