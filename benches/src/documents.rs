//! Engines as stores of documents: DynaMite through its document API, the others with each document as JSON text, which
//! `serde_json` writes and reads, under the same key.
//!
//! Documents that are found by their `id` alone and documents that are found by `id` and `email` go into databases of their
//! own: an engine without tables knows them by their keys only.

use serde_json::Value;

use crate::peers::{Database, Kind, Outcome};

mod people;

mod dynamite;

mod json;

pub use people::{Address, KEY_BYTES, People, Person};

/// All engines, in the order of the tables.
pub const KINDS: &[Kind<dyn Documents>] = &[
    Kind { name: "dynamite", open: dynamite::open },
    Kind { name: "lmdb", open: |directory, config| json::open("lmdb", directory, config) },
    Kind { name: "redb", open: |directory, config| json::open("redb", directory, config) },
    Kind { name: "sqlite", open: |directory, config| json::open("sqlite", directory, config) },
];

/// An open database of documents.
pub trait Documents: Database {
    /// What a thread works with. Each thread has one of its own.
    fn session(&self) -> Outcome<Box<dyn DocumentSession + '_>>;
}

/// How documents are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// By `id`, which no two have in common.
    Id,
    /// By `id`, which many have in common, and `email`.
    IdAndEmail,
}

/// One thread's access to documents. Each call is one transaction of its own; writes are durable when it returns.
pub trait DocumentSession {
    /// The document with this `id`.
    fn get(&mut self, id: &str) -> Outcome<Option<Value>>;

    /// One attribute of it, and as little else as the engine lets one do: the [`email`](Person::email).
    fn email(&mut self, id: &str) -> Outcome<Option<String>>;

    /// The document as a type of one's own.
    fn person(&mut self, id: &str) -> Outcome<Option<Person>>;

    /// Inserts or replaces a document that is found by `id`.
    fn put(&mut self, document: &Value) -> Outcome<()>;

    /// Inserts or replaces documents, all of them or none.
    fn put_many(&mut self, found_by: FoundBy, documents: &[Value]) -> Outcome<()>;

    /// All documents with this `id`, of those found by `id` and `email`, in the order of the latter.
    fn query(&mut self, id: &str) -> Outcome<Vec<Value>>;

    /// Shows every document that is found by `id`, in the order of the ids.
    fn scan(&mut self, visit: &mut dyn FnMut(&Value)) -> Outcome<()>;

    /// Counts the documents that are found by `id` by visiting each, without decoding it.
    fn count(&mut self) -> Outcome<u64>;
}
