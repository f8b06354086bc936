//! The store: the memories in a database, and all that changes with them, in one transaction each.
//!
//! # Tables
//!
//! | table | key | item |
//! |---|---|---|
//! | `memories` | `partition` (`scope#category`), `key` | a memory; indexes `recent` and `pinned` by scope and time |
//! | `versions` | `memory` (`scope#category#key`), `version` | what a memory was, the last 20 times |
//! | `tombstones` | `partition`, `key` | what was forgotten, and until when it can be restored |
//! | `postings` | `term` (`scope#term`), `start` | a chunk of the term's postings, from document `start` on |
//! | `documents` | `scope`, `document` | where the memory of a document's number is |
//! | `vectors` | `scope`, `document` | what the memory means, where there is an encoder |
//! | `categories` | `scope`, `category` | its number, and how many memories it has |
//! | `scopes` | `scope` | how many documents it has, and how long they are together |
//! | `queue` | `queue`, `due` | what is to be swept when: memories that expire, tombstones |
//! | `sessions` | `session`, `memory` | which version of which memory a session was shown; expires by itself |
//! | `meta` | `name` | by which rules the index was made, by which encoder the vectors |
//!
//! # Invariants
//!
//! 1. Whatever changes a memory changes its postings, its vector, its version, the counts and the queue in the same transaction, so none can be
//!    wrong after a crash. `check` compares them all.
//! 2. A memory that has expired, or was forgotten, is returned by nothing, swept or not.
//! 3. A version's number is never given to another text of the same key, forgotten in between or not, until it was purged.
//!
//! # The modules, in reading order
//!
//! `tables` creates them and is how they are read and written; `record` is what they hold; `postings` the inverted index and `ranking` what is made
//! of it; `vectors` what memories mean, `fusion` both together. Then what is done: `change` is the one place that changes a memory; `remember`, `forget`, `history`, `sweep` use it; `search`, `recall`,
//! `discover`, `session` read.

mod change;
mod check;
mod clean;
mod discover;
mod forget;
mod fusion;
mod history;
mod postings;
mod ranking;
mod recall;
mod record;
mod remember;
mod search;
mod session;
mod sweep;
mod tables;
mod vectors;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dynamite_core::api::{Clock, Deferred, DynaMite};
use dynamite_server::Extension;

use crate::error::{MemoryError, Result};
use crate::meaning::Encoder;
use crate::request::{Answer, Request};
pub(crate) use crate::store::clean::MAX_CONTENT;
use crate::store::vectors::Waiting;

/// The operations of the memory, beside the data.
pub struct Store {
    clock: Arc<dyn Clock>,
    encoder: Option<Arc<dyn Encoder>>,
    /// Memories that the encoder has not seen yet.
    waiting: Mutex<Waiting>,
    /// How often memories were recalled since that was last written: a read must not wait for the disk.
    recalled: Mutex<HashMap<(String, String), u64>>,
}

/// Memories whose recalls are counted before they are written. What comes beyond is not counted.
const MOST_RECALLED: usize = 256;

/// Memories that wait for the encoder of which some are given their vectors with every write, and as many with a sweep.
const ENCODED_BESIDE: (usize, usize) = (2, 32);

impl Store {
    /// Makes the tables if they are not there.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn open(db: &DynaMite, clock: Arc<dyn Clock>) -> Result<Store, dynamite_core::Error> {
        tables::create(db)?;
        check::keep_index(db)?;
        Ok(Store { clock, encoder: None, waiting: Mutex::default(), recalled: Mutex::default() })
    }

    /// Searches by meaning as well. Vectors of another encoder are removed; memories that have none get theirs by and by, with what is written.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn with_encoder(
        self,
        db: &DynaMite,
        encoder: Arc<dyn Encoder>,
    ) -> Result<Store, dynamite_core::Error> {
        let waiting = Mutex::new(Waiting::for_encoder(db, &*encoder)?);
        Ok(Store { encoder: Some(encoder), waiting, ..self })
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn answer_read(&self, db: &DynaMite, request: &Request) -> Result<Answer> {
        let (now, encoder) = (self.now_ms(), self.encoder.as_deref());
        match request {
            Request::Recall(recall) => {
                let answer = recall::recall(db, encoder, now, recall)?;
                self.count_recalled(&answer.1);
                Ok(Answer::Recalled(answer.0))
            }
            Request::Discover(discover) => discover::discover(db, now, discover).map(Answer::Discovered),
            Request::Get(get) => recall::get(db, now, get).map(Answer::Got),
            Request::History(history) => history::history(db, history).map(Answer::History),
            Request::Export(export) => recall::export(db, now, export).map(Answer::Exported),
            Request::Opening(opening) => session::opening(db, now, opening).map(Answer::Opened),
            Request::Prompt(prompt) => session::prompt(db, encoder, now, prompt).map(Answer::Opened),
            Request::Stats(project) => discover::stats(db, now, project).map(Answer::Stats),
            Request::Check => check::check(db).map(Answer::Checked),
            _ => Err(MemoryError::Failed("a write was sent as a read".to_owned())),
        }
    }

    fn answer_write(&self, target: &Deferred<'_>, request: &Request) -> Result<Answer> {
        let (now, encoder) = (self.now_ms(), self.encoder.as_deref());
        match request {
            Request::Remember(remembers) => {
                self.flush_recalled(target, now)?;
                self.encode_waiting(target, ENCODED_BESIDE.0)?;
                remember::remember_all(target, encoder, now, remembers).map(Answer::Remembered)
            }
            Request::Forget(forget) => forget::forget(target, now, forget).map(Answer::Forgot),
            Request::Restore(restore) => {
                history::restore(target, encoder, now, restore).map(|done| Answer::Remembered(vec![Ok(done)]))
            }
            Request::Shown(shown) => session::shown(target, now, shown).map(|()| Answer::Done),
            Request::EndSession { session } => {
                self.flush_recalled(target, now)?;
                session::end(target, now, session).map(|()| Answer::Done)
            }
            Request::Sweep { most } => {
                self.flush_recalled(target, now)?;
                let mut swept = sweep::sweep(target, now, *most)?;
                swept.encoded = self.encode_waiting(target, ENCODED_BESIDE.1)?;
                swept.more |= swept.encoded > 0;
                Ok(Answer::Swept(swept))
            }
            Request::Reindex => check::reindex(target).map(|()| Answer::Done),
            _ => Err(MemoryError::Failed("a read was sent as a write".to_owned())),
        }
    }

    fn count_recalled(&self, found: &[(String, String)]) {
        let mut recalled = self.recalled.lock().unwrap_or_else(PoisonError::into_inner);
        for place in found {
            if recalled.len() < MOST_RECALLED || recalled.contains_key(place) {
                *recalled.entry(place.clone()).or_default() += 1;
            }
        }
    }

    /// Gives some of the memories that wait for the encoder their vectors.
    fn encode_waiting(&self, target: &Deferred<'_>, most: usize) -> Result<u64> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.encoder {
            Some(encoder) if waiting.len() > 0 => waiting.encode(target, &**encoder, most),
            _ => Ok(0),
        }
    }

    /// Writes what was counted. It is a help for who tidies up, so what a crash loses of it does not matter.
    fn flush_recalled(&self, target: &Deferred<'_>, now: u64) -> Result<()> {
        let counted = std::mem::take(&mut *self.recalled.lock().unwrap_or_else(PoisonError::into_inner));
        if counted.is_empty() {
            return Ok(());
        }
        session::count(target, now, counted)
    }
}

/// Requests and answers travel as JSON.
impl Extension for Store {
    fn read(&self, db: &DynaMite, request: &[u8]) -> Vec<u8> {
        encode(decode(request).and_then(|request| self.answer_read(db, &request)))
    }

    fn write(&self, target: &Deferred<'_>, request: &[u8]) -> Vec<u8> {
        encode(decode(request).and_then(|request| self.answer_write(target, &request)))
    }
}

fn decode(request: &[u8]) -> Result<Request> {
    serde_json::from_slice(request).map_err(|error| {
        MemoryError::Failed(format!("the owner of the memory is another build, restart it: {error}"))
    })
}

fn encode(answer: Result<Answer>) -> Vec<u8> {
    serde_json::to_vec(&answer).expect("answers have only keys of text")
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
