//! LMDB, by way of heed.
//!
//! One environment for all threads, read transactions tied to threads (the default, and the faster one), one unnamed
//! database. No flag that gives up durability: a commit writes its pages, flushes, and writes the meta page durably.
//!
//! LMDB has no cache of its own: it maps the file. The map's size says how large the file may grow and costs nothing, so
//! the memory budget is the kernel's to keep. Read-ahead is switched off where the data exceeds the memory, as its
//! documentation advises.

use std::ops::Bound;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use heed::types::Bytes;
use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions};

use super::{Config, Database, Engine, Outcome, Row, Session, Snapshot, Tally};
use crate::dataset::Key;

type Tree = heed::Database<'static, Bytes, Bytes>;

/// More than any workload writes.
const MAP_BYTES: usize = 64 << 30;

/// Threads that may read at a time, with room to spare.
const READERS_MAX: u32 = 256;

pub(super) fn open(directory: &Path, config: &Config) -> Outcome<Box<dyn Engine>> {
    std::fs::create_dir_all(directory)?;
    let env = open_env(directory, config)?;
    let created = env.create_databases_and_commit(env.write_txn()?, |opener, transaction| {
        opener.create_database(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    let database = created.commit().ok_or("it is never aborted")?;
    Ok(Box::new(Lmdb { env, database }))
}

#[allow(unsafe_code, reason = "heed has no other way to open an environment")]
fn open_env(directory: &Path, config: &Config) -> heed::Result<Env> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_readers(READERS_MAX);
    if config.exceeds_memory {
        // SAFETY: the flag only changes what the kernel is told of the use of the map. It takes no lock or check away.
        unsafe { options.flags(EnvFlags::NO_READ_AHEAD) };
    }
    // SAFETY: the file is mapped, so nobody may change it but LMDB. It stands in a directory that its benchmark has made
    // for itself, and is copied or measured there, never written, by anybody else.
    unsafe { options.open(directory) }
}

struct Lmdb {
    env: Env,
    database: Tree,
}

impl Database for Lmdb {
    fn close(self: Box<Self>) -> Outcome<()> {
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

impl Engine for Lmdb {
    fn session(&self) -> Outcome<Box<dyn Session + '_>> {
        Ok(Box::new(LmdbSession(self)))
    }

    fn snapshot(&self) -> Outcome<Box<dyn Snapshot + '_>> {
        Ok(Box::new(LmdbSnapshot::take(self.env.clone(), self.database)?))
    }
}

struct LmdbSession<'a>(&'a Lmdb);

impl LmdbSession<'_> {
    #[inline]
    fn rows(&self, mut visit: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        let transaction = self.0.env.read_txn()?;
        for row in self.0.database.iter(&transaction)? {
            let (key, value) = row?;
            visit(key, value);
        }
        Ok(())
    }
}

impl Session for LmdbSession<'_> {
    fn get(&mut self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        let transaction = self.0.env.read_txn()?;
        if let Some(value) = self.0.database.get(&transaction, key)? {
            visit(value);
        }
        Ok(())
    }

    fn get_many(&mut self, keys: &[Key], visit: &mut dyn FnMut(usize, &[u8])) -> Outcome<()> {
        let transaction = self.0.env.read_txn()?;
        for (number, key) in keys.iter().enumerate() {
            if let Some(value) = self.0.database.get(&transaction, key)? {
                visit(number, value);
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
        let transaction = self.0.env.read_txn()?;
        let range = (Bound::Included(from), Bound::Excluded(to));
        for row in self.0.database.range(&transaction, &range)? {
            let (key, value) = row?;
            visit(key, value);
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let mut transaction = self.0.env.write_txn()?;
        self.0.database.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn put_many(&mut self, rows: &[Row<'_>]) -> Outcome<()> {
        let mut transaction = self.0.env.write_txn()?;
        for (key, value) in rows {
            self.0.database.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn delete_many(&mut self, keys: &[Key]) -> Outcome<()> {
        let mut transaction = self.0.env.write_txn()?;
        for key in keys {
            self.0.database.delete(&mut transaction, key)?;
        }
        Ok(transaction.commit()?)
    }
}

/// A question, and where the answer goes.
type Question = (Vec<u8>, Sender<heed::Result<Option<Vec<u8>>>>);

/// A read transaction in a thread of its own: a thread can have only one, and whoever holds this may want another.
struct LmdbSnapshot {
    /// Taken when dropped, which ends the thread.
    questions: Option<Sender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl LmdbSnapshot {
    fn take(env: Env, database: Tree) -> Outcome<LmdbSnapshot> {
        let (questions, asked) = mpsc::channel();
        let (ready, begun) = mpsc::channel();
        let thread = std::thread::spawn(move || hold(&env, database, &ready, &asked));
        let snapshot = LmdbSnapshot { questions: Some(questions), thread: Some(thread) };
        begun.recv()??;
        Ok(snapshot)
    }
}

fn hold(env: &Env, database: Tree, ready: &Sender<heed::Result<()>>, asked: &Receiver<Question>) {
    let transaction = match env.read_txn() {
        Ok(transaction) => transaction,
        // Whoever waits is still there: it returns only after this was received.
        Err(error) => return drop(ready.send(Err(error))),
    };
    drop(ready.send(Ok(())));
    for (key, answer) in asked {
        let value = database.get(&transaction, &key);
        drop(answer.send(value.map(|value| value.map(<[u8]>::to_vec))));
    }
}

impl Snapshot for LmdbSnapshot {
    fn get(&mut self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let (answer, answered) = mpsc::channel();
        let questions = self.questions.as_ref().expect("taken only when dropped");
        questions.send((key.to_vec(), answer))?;
        Ok(answered.recv()??)
    }
}

impl Drop for LmdbSnapshot {
    fn drop(&mut self) {
        self.questions = None;
        // The transaction has ended when this returns. If the thread panicked, it has too.
        self.thread.take().map(JoinHandle::join);
    }
}
