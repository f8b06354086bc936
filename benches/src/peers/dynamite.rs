//! DynaMite, at the level of its transaction layer.
//!
//! One store for all threads, one table. Commits are `Durability::Immediate`. A get is a read of its own, and looks its
//! table up in the catalog, as there is no other way to a row. Scans hold a snapshot and fetch portions, as an iterator
//! that is handed to a user does.

use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dynamite_txn::{
    Access, Clock, Durability, Options, Range, Retention, Store, TableId, TxnError, WriteTxn,
};

use super::{Config, Database, Engine, Outcome, Row, Session, Snapshot, Tally};
use crate::dataset::Key;

pub(super) fn open(directory: &Path, config: &Config) -> Outcome<Box<dyn Engine>> {
    std::fs::create_dir_all(directory)?;
    let options = Options::new(Arc::new(SystemClock::default())).cache_bytes(config.cache_bytes);
    let store = options.open_or_create(directory.join("data.dynamite"), *b"for benchmarking")?;
    let table = store.write(|txn| -> Result<TableId, TxnError> {
        match txn.table(b"t")? {
            Some(info) => Ok(info.id),
            None => txn.create_table(b"t", b"", Retention::None),
        }
    })?;
    Ok(Box::new(Dynamite { store, table }))
}

#[derive(Debug)]
struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

struct Dynamite {
    store: Store,
    table: TableId,
}

impl Dynamite {
    fn write(&self, change: impl FnOnce(&mut WriteTxn<'_>) -> Result<(), TxnError>) -> Outcome<()> {
        Ok(self.store.write(change)?)
    }

    fn write_one(
        &self,
        change: impl FnOnce(&mut WriteTxn<'_>) -> Result<(), TxnError> + Send,
    ) -> Outcome<()> {
        Ok(self.store.write_in_company(Durability::Immediate, change)?)
    }

    #[inline]
    fn rows(&self, mut visit: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        let mut scan = self.store.snapshot()?.scan(self.table, Range::all());
        while let Some(row) = scan.next()? {
            visit(row.key, row.payload);
        }
        Ok(())
    }
}

impl Database for Dynamite {
    fn close(self: Box<Self>) -> Outcome<()> {
        Ok(self.store.close()?)
    }
}

impl Engine for Dynamite {
    fn session(&self) -> Outcome<Box<dyn Session + '_>> {
        Ok(Box::new(DynamiteSession(self)))
    }

    fn snapshot(&self) -> Outcome<Box<dyn Snapshot>> {
        Ok(Box::new(DynamiteSnapshot { snapshot: self.store.snapshot()?, table: self.table }))
    }
}

struct DynamiteSession<'a>(&'a Dynamite);

impl Session for DynamiteSession<'_> {
    fn get(&mut self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        self.0.store.read()?.get(self.0.table, key, |_, payload| visit(payload))?;
        Ok(())
    }

    fn get_many(&mut self, keys: &[Key], visit: &mut dyn FnMut(usize, &[u8])) -> Outcome<()> {
        let keys: Vec<&[u8]> = keys.iter().map(Key::as_slice).collect();
        self.0.store.read()?.get_many(self.0.table, &keys, |number, item| {
            if let Some((_, payload)) = item {
                visit(number, payload);
            }
        })?;
        Ok(())
    }

    fn scan(&mut self) -> Outcome<Tally> {
        let mut tally = Tally::default();
        self.0.rows(|key, value| tally.add(key, value))?;
        Ok(tally)
    }

    fn for_each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        self.0.rows(visit)
    }

    fn range(&mut self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        let range = Range { from: Bound::Included(from), to: Bound::Excluded(to), reverse: false };
        self.0.store.read()?.scan(self.0.table, &range, Access::Scan, |row| {
            visit(row.key, row.payload);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.0.write_one(|txn| txn.put(self.0.table, key, value))
    }

    fn put_many(&mut self, rows: &[Row<'_>]) -> Outcome<()> {
        self.0.write(|txn| rows.iter().try_for_each(|(key, value)| txn.put(self.0.table, key, value)))
    }

    fn delete_many(&mut self, keys: &[Key]) -> Outcome<()> {
        self.0.write(|txn| keys.iter().try_for_each(|key| txn.delete(self.0.table, key).map(drop)))
    }
}

struct DynamiteSnapshot {
    snapshot: dynamite_txn::Snapshot,
    table: TableId,
}

impl Snapshot for DynamiteSnapshot {
    fn get(&mut self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.snapshot.read()?.get(self.table, key, |_, payload| payload.to_vec())?)
    }
}
