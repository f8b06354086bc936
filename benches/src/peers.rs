//! Embedded engines behind one interface, at the level of raw keys and values, so that each does the same work.
//!
//! An engine has a directory of its own, so that all the files it keeps are counted. Each is used as its own
//! documentation tells: what that means is said in its file. None is given less durability than another:
//! whatever [`put`](Session::put) and its siblings return has been flushed.

use std::error::Error;
use std::path::Path;

use crate::dataset::Key;

mod dynamite;

mod lmdb;

mod redb;

mod sqlite;

mod tally;

mod disk_use;

pub use disk_use::{DiskUse, copy_database, drop_page_cache};
pub use tally::Tally;

/// Whatever went wrong: whoever runs a benchmark can only read it.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What everything here returns.
pub type Outcome<T> = Result<T, Failure>;

/// An engine that can be compared.
#[derive(Debug)]
pub struct Kind<E: ?Sized = dyn Engine> {
    /// What tables call it and `--engines` asks for.
    pub name: &'static str,
    /// Opens the database in this directory, and creates it if there is none.
    pub open: fn(&Path, &Config) -> Outcome<Box<E>>,
}

// Derived, these would ask the same of the engine.
impl<E: ?Sized> Clone for Kind<E> {
    fn clone(&self) -> Kind<E> {
        *self
    }
}

impl<E: ?Sized> Copy for Kind<E> {}

/// All engines, in the order of the tables.
pub const KINDS: &[Kind] = &[
    Kind { name: "dynamite", open: dynamite::open },
    Kind { name: "lmdb", open: lmdb::open },
    Kind { name: "redb", open: redb::open },
    Kind { name: "sqlite", open: sqlite::open },
];

/// What an engine is told when it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The memory that the engine may use for pages, all sessions together. For those that leave that to the kernel's
    /// page cache, whoever measures has to see to it that the kernel has no more.
    pub cache_bytes: usize,
    /// How many sessions there will be at a time, where they have to share the memory.
    pub sessions: usize,
    /// Whether the data does not fit into the memory.
    pub exceeds_memory: bool,
}

/// What can be closed.
pub trait Database: Send + Sync {
    /// Ends it in good order.
    fn close(self: Box<Self>) -> Outcome<()>;
}

/// An open database.
pub trait Engine: Database {
    /// What a thread works with. Each thread has one of its own.
    fn session(&self) -> Outcome<Box<dyn Session + '_>>;

    /// Holds on to the present state until dropped. The thread that holds it may go on writing.
    fn snapshot(&self) -> Outcome<Box<dyn Snapshot + '_>>;
}

/// A key and its value.
pub type Row<'a> = (&'a [u8], &'a [u8]);

/// One thread's access to a database. Each call is one transaction of its own.
pub trait Session {
    /// Shows the value of this key, if there is one.
    fn get(&mut self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()>;

    /// Shows the values of those keys that there are, in any order, each with the number of its key.
    fn get_many(&mut self, keys: &[Key], visit: &mut dyn FnMut(usize, &[u8])) -> Outcome<()>;

    /// Visits every row and tallies it. What is called is known when this is compiled: for scans to be measured.
    fn scan(&mut self) -> Outcome<Tally>;

    /// Shows every row, in ascending order of the keys.
    fn for_each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()>;

    /// Shows the rows from one key to another, the latter excluded, in ascending order of the keys.
    fn range(&mut self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()>;

    /// Inserts or replaces one row, durably.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()>;

    /// Inserts or replaces rows, all of them or none, durably.
    fn put_many(&mut self, rows: &[Row<'_>]) -> Outcome<()>;

    /// Deletes rows, all of them or none, durably. Those that are not there are none of its business.
    fn delete_many(&mut self, keys: &[Key]) -> Outcome<()>;

    /// Deletes one row, durably.
    fn delete(&mut self, key: &Key) -> Outcome<()> {
        self.delete_many(std::slice::from_ref(key))
    }
}

/// A state that an engine keeps as it was. For a look now and then, not to be measured.
pub trait Snapshot {
    /// The value that this key had.
    fn get(&mut self, key: &[u8]) -> Outcome<Option<Vec<u8>>>;
}
