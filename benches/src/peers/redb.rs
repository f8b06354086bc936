//! redb.
//!
//! One database for all threads, one table. Commits are `Durability::Immediate`; the one-phase commit with checksums is
//! the default, and the fastest that survives a power loss. A get begins a read transaction and opens the table, as there
//! is no other way to a row.

use std::path::Path;

use ::redb::{
    Database as RedbDatabase, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use super::{Config, Database, Engine, Outcome, Row, Session, Snapshot, Tally};
use crate::dataset::Key;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("t");

pub(super) fn open(directory: &Path, config: &Config) -> Outcome<Box<dyn Engine>> {
    std::fs::create_dir_all(directory)?;
    let database =
        RedbDatabase::builder().set_cache_size(config.cache_bytes).create(directory.join("data.redb"))?;
    let engine = Redb(database);
    // Readers refuse a table that was never opened for writing.
    engine.write(|transaction| {
        transaction.open_table(TABLE)?;
        Ok(())
    })?;
    Ok(Box::new(engine))
}

struct Redb(RedbDatabase);

impl Redb {
    fn write(&self, change: impl FnOnce(&WriteTransaction) -> Outcome<()>) -> Outcome<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        change(&transaction)?;
        Ok(transaction.commit()?)
    }
}

impl Database for Redb {
    fn close(self: Box<Self>) -> Outcome<()> {
        // It closes when dropped, and tells nobody of failures.
        Ok(())
    }
}

impl Engine for Redb {
    fn session(&self) -> Outcome<Box<dyn Session + '_>> {
        Ok(Box::new(RedbSession(self)))
    }

    fn snapshot(&self) -> Outcome<Box<dyn Snapshot + '_>> {
        Ok(Box::new(RedbSnapshot(self.0.begin_read()?)))
    }
}

struct RedbSession<'a>(&'a Redb);

impl RedbSession<'_> {
    #[inline]
    fn rows(&self, mut visit: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        let table = self.0.0.begin_read()?.open_table(TABLE)?;
        for row in table.iter()? {
            let (key, value) = row?;
            visit(key.value(), value.value());
        }
        Ok(())
    }
}

impl Session for RedbSession<'_> {
    fn get(&mut self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        let table = self.0.0.begin_read()?.open_table(TABLE)?;
        if let Some(value) = table.get(key)? {
            visit(value.value());
        }
        Ok(())
    }

    fn get_many(&mut self, keys: &[Key], visit: &mut dyn FnMut(usize, &[u8])) -> Outcome<()> {
        let table = self.0.0.begin_read()?.open_table(TABLE)?;
        for (number, key) in keys.iter().enumerate() {
            if let Some(value) = table.get(key.as_slice())? {
                visit(number, value.value());
            }
        }
        Ok(())
    }

    fn scan(&mut self) -> Outcome<Tally> {
        let mut tally = Tally::default();
        self.rows(|key, value| tally.add(key, value))?;
        Ok(tally)
    }

    fn for_each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        self.rows(visit)
    }

    fn range(&mut self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        let table = self.0.0.begin_read()?.open_table(TABLE)?;
        for row in table.range(from..to)? {
            let (key, value) = row?;
            visit(key.value(), value.value());
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.0.write(|transaction| {
            transaction.open_table(TABLE)?.insert(key, value)?;
            Ok(())
        })
    }

    fn put_many(&mut self, rows: &[Row<'_>]) -> Outcome<()> {
        self.0.write(|transaction| {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in rows {
                table.insert(key, value)?;
            }
            Ok(())
        })
    }

    fn delete_many(&mut self, keys: &[Key]) -> Outcome<()> {
        self.0.write(|transaction| {
            let mut table = transaction.open_table(TABLE)?;
            for key in keys {
                table.remove(key.as_slice())?;
            }
            Ok(())
        })
    }
}

struct RedbSnapshot(ReadTransaction);

impl Snapshot for RedbSnapshot {
    fn get(&mut self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.0.open_table(TABLE)?.get(key)?.map(|value| value.value().to_vec()))
    }
}
