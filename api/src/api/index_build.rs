//! Builds indexes that are added to a table which has items already, while the table is in use.
//!
//! A build goes through the table's items in the order of their keys, in steps. A step is one write transaction: it reads items
//! behind the cursor, puts the entries of those that are older than the index, in the order of the entries, and stores the new cursor
//! with them. So a crash loses a step, and never half of one. How writers and the build share the work is said in
//! [`index_entry`](crate::api::index_entry).
//!
//! The last step describes the table anew: from that transaction on, the index is there for whoever reads. A snapshot that is
//! older sees the description of its own time, and so is told that the index is not there yet: what its entries were then is
//! not known.
//!
//! # The size of a step
//!
//! Entries that are put in their order come to each page once, so that large steps are cheap ones. But nobody else writes during
//! a step. So it grows as long as nobody has written between two of them, and shrinks if somebody has.

use std::collections::VecDeque;
use std::ops::{Bound, ControlFlow};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dynamite_txn::{Access, Durability, Range, TableId, TxnId, WriteTxn};

use crate::api::database::{DynaMite, Engine};
use crate::api::housekeeping::Pace;
use crate::api::index_entry::{Index, Indexes};
use crate::api::index_schema::Progress;
use crate::api::moment::Moment;
use crate::api::source::Reading;
use crate::api::table::Table;
use crate::api::tables;
use crate::error::{Damage, Error, Result};

/// Items that a step looks at, at the least, and at the most.
const ITEMS: [usize; 2] = [1 << 10, 1 << 16];
/// Bytes of entries that a step puts, at the most, and one entry more.
const BYTES: usize = 8 << 20;

/// The builds of an open database. What must survive it stands in the database.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    queue: Mutex<Queue>,
    /// Held during a step.
    step: Mutex<StepSize>,
}

/// What is to be built: names of tables, and the trees of indexes, which are never given out again.
#[derive(Debug, Default)]
struct Queue {
    /// Whether it was looked for what an earlier life has left.
    is_found: bool,
    waiting: VecDeque<(String, TableId)>,
}

/// How an index of a table is found.
#[derive(Clone, Copy)]
enum Which<'a> {
    Name(&'a str),
    Tree(TableId),
}

impl Which<'_> {
    fn find(self, table: &Table) -> Option<&Index> {
        match self {
            Which::Name(name) => table.indexes.find(name),
            Which::Tree(tree) => table.indexes.iter().find(|index| index.layout.id == tree),
        }
    }
}

#[derive(Debug)]
struct StepSize {
    items: usize,
    /// The transaction of the last step.
    last: TxnId,
}

impl Default for StepSize {
    fn default() -> StepSize {
        StepSize { items: ITEMS[0], last: TxnId(0) }
    }
}

impl StepSize {
    /// The size of a step that builds upon a transaction.
    fn upon(&mut self, base: TxnId) -> usize {
        self.items =
            if base == self.last { self.items * 4 } else { self.items / 4 }.clamp(ITEMS[0], ITEMS[1]);
        self.items
    }
}

impl Builds {
    /// Puts a new index in the queue.
    pub(crate) fn add(&self, table: &str, tree: TableId) {
        self.queue().waiting.push_back((table.to_owned(), tree));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Names are whole, whoever panicked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does a step of the first build in the queue.
pub(crate) fn chore(engine: &Engine) -> Result<Pace> {
    if !engine.builds.queue().is_found {
        let left = find(engine)?;
        let mut queue = engine.builds.queue();
        queue.waiting.extend(left);
        queue.is_found = true;
    }
    let Some(first) = engine.builds.queue().waiting.front().cloned() else { return Ok(Pace::WhenRung) };
    let (table, tree) = &first;
    match step(engine, table, Which::Tree(*tree)) {
        Ok(Built::Partly) => return Ok(Pace::AtOnce),
        Ok(Built::Whole | Built::Gone) => {}
        Err(error) => {
            // It is tried again after all others.
            let mut queue = engine.builds.queue();
            queue.waiting.retain(|waiting| *waiting != first);
            queue.waiting.push_back(first);
            return Err(error);
        }
    }
    let mut queue = engine.builds.queue();
    queue.waiting.retain(|waiting| *waiting != first);
    Ok(if queue.waiting.is_empty() { Pace::WhenRung } else { Pace::AtOnce })
}

/// The indexes that are being built.
fn find(engine: &Engine) -> Result<Vec<(String, TableId)>> {
    let mut found = Vec::new();
    for table in tables::all(&mut engine.store.read()?)? {
        let building = table.indexes.iter().filter(|index| index.building.is_some());
        found.extend(building.map(|index| (table.name.clone(), index.layout.id)));
    }
    Ok(found)
}

impl DynaMite {
    /// Takes one step in the build of an index; for tests, which look at what stands between two of them.
    #[doc(hidden)]
    pub fn step_of_index_build(&self, table: &str, index: &str) -> Result<()> {
        step(&self.shared, table, Which::Name(index)).map(drop)
    }
}

/// Builds an index to the end.
pub(crate) fn run(engine: &Engine, table: &str, index: &str) -> Result<()> {
    loop {
        match step(engine, table, Which::Name(index))? {
            Built::Partly => {}
            Built::Whole => return Ok(()),
            Built::Gone => {
                let (table, index) = (table.to_owned(), index.to_owned());
                return Err(Error::IndexNotFound { table, index });
            }
        }
    }
}

/// What a step has come to.
enum Built {
    Partly,
    Whole,
    /// There is no such index.
    Gone,
}

fn step(engine: &Engine, table: &str, which: Which<'_>) -> Result<Built> {
    // Numbers are whole, whoever panicked.
    let mut size = engine.builds.step.lock().unwrap_or_else(PoisonError::into_inner);
    if is_built(engine, table, which)? {
        return Ok(Built::Whole);
    }
    let moment = Moment::now(&*engine.clock);
    let mut txn = engine.store.begin()?;
    let items = size.upon(txn.base());
    let found = match engine.tables.find(&mut Reading::within(&mut txn, &moment), table) {
        // Whoever waits for one is told of the table, and the queue forgets it.
        Err(Error::TableNotFound { .. }) if matches!(which, Which::Tree(_)) => None,
        found => Some(found?),
    };
    let index = found.as_ref().and_then(|table| Some((table, which.find(table)?)));
    let Some((table, index, since)) = index.and_then(|(table, index)| Some((table, index, index.building?)))
    else {
        let built = if index.is_some() { Built::Whole } else { Built::Gone };
        txn.roll_back()?;
        return Ok(built);
    };
    let progress = read_progress(&mut txn, index)?;
    let chunk = Chunk::read(&mut txn, table, index, since, progress, items)?;
    let is_last = chunk.is_last;
    chunk.put(&mut txn, table, index)?;
    // Only the last step is waited for: those before it become durable with it, in their order.
    size.last = txn.commit(if is_last { Durability::Immediate } else { Durability::Eventual })?;
    Ok(if is_last { Built::Whole } else { Built::Partly })
}

/// Whether readers see that an index is there: then there is nothing to be done for it, and no turn to wait for.
fn is_built(engine: &Engine, table: &str, which: Which<'_>) -> Result<bool> {
    let moment = Moment::now(&*engine.clock);
    let mut read = engine.store.read()?;
    match engine.tables.find(&mut Reading::of(&mut read, &moment), table) {
        Ok(table) => Ok(which.find(&table).is_some_and(|index| index.building.is_none())),
        Err(Error::TableNotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_progress(txn: &mut WriteTxn<'_>, index: &Index) -> Result<Progress> {
    match txn.get(index.layout.id, Progress::KEY, |_, stored| Progress::decode(stored))? {
        None => Ok(Progress::default()),
        Some(progress) => progress.ok_or_else(|| index.layout.damaged(Damage::Schema)),
    }
}

/// Entries of some items that follow each other.
struct Chunk {
    /// Keys and payloads, one behind the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    progress: Progress,
    /// Whether no item is behind them.
    is_last: bool,
}

struct Entry {
    /// The first bytes of the key behind its tag, which tell most keys apart.
    prefix: u64,
    key: usize,
    payload: usize,
    end: usize,
}

impl Chunk {
    /// Reads up to so many items.
    fn read(
        txn: &mut WriteTxn<'_>,
        table: &Table,
        index: &Index,
        since: TxnId,
        progress: Progress,
        items: usize,
    ) -> Result<Chunk> {
        let mut chunk = Chunk { bytes: Vec::new(), entries: Vec::new(), progress, is_last: false };
        let from = match &chunk.progress.cursor[..] {
            [] => Bound::Unbounded,
            cursor => Bound::Excluded(cursor.to_vec()),
        };
        let range = Range { from, to: Bound::Unbounded, reverse: false };
        let (mut looked_at, mut failed) = (0, None);
        let broke_off = txn.scan(table.id, &range.borrow(), Access::Scan, |row| {
            looked_at += 1;
            // Whoever wrote a younger item has written its entry too.
            if row.version < since
                && let Err(error) = chunk.add(&table.indexes, table, index, row.key, row.payload)
            {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            if looked_at < items && chunk.bytes.len() < BYTES {
                return ControlFlow::Continue(());
            }
            chunk.progress.cursor = row.key.to_vec();
            ControlFlow::Break(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        chunk.progress.done += looked_at as u64;
        chunk.is_last = !broke_off;
        Ok(chunk)
    }

    fn add(
        &mut self,
        indexes: &Indexes,
        table: &Table,
        index: &Index,
        key: &[u8],
        item: &[u8],
    ) -> Result<()> {
        let seen = indexes.look(item).map_err(|damage| table.damaged(damage))?;
        match index.admits(&seen) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(Error::Validation(_)) => {
                self.progress.skipped += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let start = self.bytes.len();
        index.encode_key(&seen, key, &mut self.bytes)?;
        let payload = self.bytes.len();
        index.encode_payload(&seen, &mut self.bytes);
        let mut prefix = [0; 8];
        let behind_tag = &self.bytes[start + 1..payload];
        let len = behind_tag.len().min(8);
        prefix[..len].copy_from_slice(&behind_tag[..len]);
        let prefix = u64::from_be_bytes(prefix);
        self.entries.push(Entry { prefix, key: start, payload, end: self.bytes.len() });
        Ok(())
    }

    /// Puts the entries, and how far the build has come.
    fn put(mut self, txn: &mut WriteTxn<'_>, table: &Table, index: &Index) -> Result<()> {
        let (tree, bytes) = (index.layout.id, &self.bytes);
        self.entries.sort_unstable_by(|a, b| {
            let keys = || bytes[a.key..a.payload].cmp(&bytes[b.key..b.payload]);
            a.prefix.cmp(&b.prefix).then_with(keys)
        });
        let entries = self.entries.iter();
        let entries =
            entries.map(|entry| (&bytes[entry.key..entry.payload], &bytes[entry.payload..entry.end]));
        txn.put_ascending(tree, &entries.collect::<Vec<_>>())?;
        if !self.is_last {
            return Ok(txn.put(tree, Progress::KEY, &self.progress.encode()?)?);
        }
        txn.delete(tree, Progress::KEY)?;
        let (_, mut schema) = tables::described(txn, &table.name)?;
        for described in &mut schema.indexes {
            if described.tree == tree {
                described.building = None;
                described.skipped = self.progress.skipped;
            }
        }
        txn.set_table_meta(table.name.as_bytes(), &schema.encode()?)?;
        Ok(())
    }
}
