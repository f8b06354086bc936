//! What the tables hold.

use dynamite_core::typed_fields::binary;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key;
use crate::request::Source;

/// Versions of a memory that are kept, its present one not among them.
pub(super) const KEPT_VERSIONS: u64 = 20;

/// A memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Scope and category.
    pub(super) partition: String,
    pub(super) key: String,
    pub(super) scope: String,
    /// The scope again, if it is of the highest importance: what the index `pinned` knows it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pinned: Option<String>,
    pub(super) version: u64,
    pub(super) content: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) importance: u8,
    /// Milliseconds since 1970, like all times here.
    pub(super) created: u64,
    pub(super) updated: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) accessed: Option<u64>,
    #[serde(default)]
    pub(super) accesses: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<u64>,
    /// Of the content.
    #[serde(with = "binary")]
    pub(super) hash: Vec<u8>,
    pub(super) source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// Its number in the inverted index of its scope.
    pub(super) document: u32,
}

impl Memory {
    pub(super) fn category(&self) -> &str {
        key::split_partition(&self.partition).1
    }

    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// By what its versions, and the sessions that saw it, know it.
    pub(super) fn name(&self) -> String {
        name(&self.partition, &self.key)
    }
}

pub(super) fn name(partition: &str, key: &str) -> String {
    format!("{partition}#{key}")
}

pub(super) fn hash(content: &str) -> Vec<u8> {
    Sha256::digest(content).to_vec()
}

/// What a memory was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    /// The memory's [name](Memory::name).
    pub(super) memory: String,
    pub(super) version: u64,
    pub(super) content: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
    pub(super) importance: u8,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
}

impl Version {
    pub(super) fn of(memory: &Memory) -> Version {
        Version {
            memory: memory.name(),
            version: memory.version,
            content: memory.content.clone(),
            tags: memory.tags.clone(),
            importance: memory.importance,
            created: memory.created,
            updated: memory.updated,
            source: memory.source,
            session: memory.session.clone(),
        }
    }
}

/// What was forgotten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tombstone {
    pub(super) partition: String,
    pub(super) key: String,
    /// The version that it had last.
    pub(super) version: u64,
    pub(super) until: u64,
}

/// Where the memory of a document's number is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) scope: String,
    pub(super) document: u32,
    pub(super) partition: String,
    pub(super) key: String,
}

/// A category of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Category {
    pub(super) scope: String,
    pub(super) category: String,
    /// By which postings name it.
    pub(super) number: u16,
    /// Memories in it, those that have expired but were not swept among them.
    pub(super) count: u64,
    pub(super) updated: u64,
}

/// What is known of a scope as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    pub(super) scope: String,
    /// Documents in the inverted index.
    pub(super) documents: u64,
    /// Their lengths together.
    pub(super) length: u64,
    /// The number of the next one.
    pub(super) next_document: u32,
    /// The number of the next category.
    pub(super) next_category: u16,
}

/// What is to be swept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Due {
    /// Always [`QUEUE_NAME`].
    pub(super) queue: String,
    /// The time, in as many digits as any has, and what it is about.
    pub(super) due: String,
    pub(super) partition: String,
    pub(super) key: String,
    pub(super) what: DueKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DueKind {
    Expiry,
    Tombstone,
}

/// The one partition of the queue.
pub(super) const QUEUE_NAME: &str = "due";

impl Due {
    pub(super) fn new(what: DueKind, at: u64, partition: &str, key: &str) -> Due {
        Due {
            queue: QUEUE_NAME.to_owned(),
            due: format!("{}{}", Due::time(at), name(partition, key)),
            partition: partition.to_owned(),
            key: key.to_owned(),
            what,
        }
    }

    /// How the sort keys of a time begin.
    pub(super) fn time(at: u64) -> String {
        format!("{at:016}#")
    }
}

/// Which version of a memory a session was shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) session: String,
    /// The memory's [name](Memory::name).
    pub(super) memory: String,
    pub(super) version: u64,
    /// In seconds: what the table's items expire by.
    pub(super) expires: u64,
}
