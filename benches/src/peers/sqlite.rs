//! SQLite, by way of rusqlite, with the SQLite that it brings.
//!
//! A table of BLOBs without row ids, so that a row stands in one tree, beside its key. Write-ahead log,
//! `synchronous=FULL`: every commit flushes the log. Checkpoints come when SQLite wants them, and whoever commits then
//! pays for them. One connection for each thread, statements prepared once for each.
//!
//! The budget of `cache_size` is a connection's own, so the sessions share it out. Connections that find the database
//! locked sleep and try again, for longer and longer times; so that threads are not compared by their luck, the
//! sessions of one process queue for a mutex first, as programs with many writers do.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Rows, params};

use super::{Config, Database, Engine, Outcome, Row, Session, Snapshot, Tally};
use crate::dataset::Key;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS t (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID";
const GET: &str = "SELECT v FROM t WHERE k = ?1";
const SCAN: &str = "SELECT k, v FROM t ORDER BY k";
const RANGE: &str = "SELECT k, v FROM t WHERE k >= ?1 AND k < ?2 ORDER BY k";
const PUT: &str = "INSERT INTO t VALUES (?1, ?2) ON CONFLICT DO UPDATE SET v = excluded.v";
const DELETE: &str = "DELETE FROM t WHERE k = ?1";
const BEGIN: &str = "BEGIN";
const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// How long a connection tries. Only checkpoints and snapshots of the same process can be in its way.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn open(directory: &Path, config: &Config) -> Outcome<Box<dyn Engine>> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join("data.sqlite");
    let cache_kib = config.cache_bytes / config.sessions.max(1) / 1024;
    let first = connect(&path, cache_kib)?;
    first.execute_batch(CREATE)?;
    Ok(Box::new(Sqlite { path, cache_kib, first: Mutex::new(first), writers: Mutex::new(()) }))
}

fn connect(path: &Path, cache_kib: usize) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "full")?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if (mode.as_str(), synchronous) != ("wal", 2) {
        return Err(format!("SQLite is in mode {mode} and synchronous={synchronous} in {path:?}").into());
    }
    // Negative means KiB.
    connection.pragma_update(None, "cache_size", -i64::try_from(cache_kib)?)?;
    Ok(connection)
}

struct Sqlite {
    path: PathBuf,
    cache_kib: usize,
    /// Keeps the database open between sessions. When the last connection closes, SQLite writes the whole log back.
    first: Mutex<Connection>,
    /// Held by the session that writes.
    writers: Mutex<()>,
}

impl Database for Sqlite {
    fn close(self: Box<Self>) -> Outcome<()> {
        let first = self.first.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.close().map_err(|(_, error)| error.into())
    }
}

impl Engine for Sqlite {
    fn session(&self) -> Outcome<Box<dyn Session + '_>> {
        let connection = connect(&self.path, self.cache_kib)?;
        Ok(Box::new(SqliteSession { connection, writers: &self.writers }))
    }

    fn snapshot(&self) -> Outcome<Box<dyn Snapshot + '_>> {
        let connection = connect(&self.path, self.cache_kib)?;
        // The transaction has a state only when it has read something.
        connection.execute_batch("BEGIN; SELECT 1 FROM t LIMIT 1")?;
        Ok(Box::new(SqliteSnapshot(connection)))
    }
}

struct SqliteSession<'a> {
    connection: Connection,
    writers: &'a Mutex<()>,
}

impl SqliteSession<'_> {
    #[inline]
    fn rows(&self, visit: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        let mut statement = self.connection.prepare_cached(SCAN)?;
        show(statement.query([])?, visit)
    }

    fn look_up(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> Outcome<()> {
        let mut statement = self.connection.prepare_cached(GET)?;
        let mut rows = statement.query([key])?;
        if let Some(row) = rows.next()? {
            visit(row.get_ref(0)?.as_blob()?);
        }
        Ok(())
    }

    fn execute(&self, statement: &str) -> Outcome<()> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    fn transaction(&self, begin: &str, work: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
        self.execute(begin)?;
        let outcome = work();
        self.execute(if outcome.is_ok() { COMMIT } else { ROLLBACK })?;
        outcome
    }
}

impl Session for SqliteSession<'_> {
    fn get(&mut self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        self.look_up(key, visit)
    }

    fn get_many(&mut self, keys: &[Key], visit: &mut dyn FnMut(usize, &[u8])) -> Outcome<()> {
        self.transaction(BEGIN, || {
            keys.iter()
                .enumerate()
                .try_for_each(|(number, key)| self.look_up(key, |value| visit(number, value)))
        })
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
        let mut statement = self.connection.prepare_cached(RANGE)?;
        show(statement.query([from, to])?, visit)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let _turn = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        // A statement by itself is a transaction.
        self.connection.prepare_cached(PUT)?.execute(params![key, value])?;
        Ok(())
    }

    fn put_many(&mut self, rows: &[Row<'_>]) -> Outcome<()> {
        let _turn = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        self.transaction(BEGIN_WRITE, || {
            let mut statement = self.connection.prepare_cached(PUT)?;
            for (key, value) in rows {
                statement.execute(params![key, value])?;
            }
            Ok(())
        })
    }

    fn delete_many(&mut self, keys: &[Key]) -> Outcome<()> {
        let _turn = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        self.transaction(BEGIN_WRITE, || {
            let mut statement = self.connection.prepare_cached(DELETE)?;
            for key in keys {
                statement.execute([key.as_slice()])?;
            }
            Ok(())
        })
    }
}

#[inline]
fn show(mut rows: Rows<'_>, mut visit: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
    while let Some(row) = rows.next()? {
        visit(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
    }
    Ok(())
}

struct SqliteSnapshot(Connection);

impl Snapshot for SqliteSnapshot {
    fn get(&mut self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let mut statement = self.0.prepare_cached(GET)?;
        let mut rows = statement.query([key])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }
}
