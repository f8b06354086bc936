//! What the owner of the memory answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::MemoryError;
use crate::request::Source;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Its category.
    pub category: String,
    /// Its key, in its normal form.
    pub key: String,
    /// Its version now.
    pub version: u64,
    /// Whether there was none before.
    pub created: bool,
    /// Whether anything is other than before.
    pub changed: bool,
    /// Others of the category that say nearly the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<Similar>,
    /// What was left out, and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A memory that says nearly the same as another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Similar {
    /// Its key.
    pub key: String,
    /// How alike they are, 0.8 to 1.
    pub score: f64,
}

/// Memories that were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recalled {
    /// The memories.
    pub items: Vec<Item>,
    /// Whether there are more.
    pub more: bool,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A memory that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its category.
    pub category: String,
    /// Its key.
    pub key: String,
    /// The text, or its beginning.
    pub content: String,
    /// Its version.
    pub version: u64,
    /// When it was changed.
    pub updated: String,
    /// How well it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Whether there is more of the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Discovered {
    /// The categories, unless one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<CategoryCount>>,
    /// The keys of the category that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<KeyCount>>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryCount {
    /// Its name.
    pub name: String,
    /// How many memories it has.
    pub count: u64,
    /// When one of them was changed last.
    pub updated: String,
}

/// Keys that begin alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyCount {
    /// How they begin.
    pub prefix: String,
    /// How many there are.
    pub count: u64,
    /// Whether it is a memory's whole key.
    pub leaf: bool,
}

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forgot {
    /// How many.
    pub forgotten: u64,
    /// Until when they can be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restorable_until: Option<String>,
    /// Whether there are more, which have to be asked for again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A memory with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its scope.
    pub scope: String,
    /// Its category.
    pub category: String,
    /// Its key.
    pub key: String,
    /// Its version.
    pub version: u64,
    /// The text.
    pub content: String,
    /// Words that it is found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// 0 to 3.
    #[serde(default)]
    pub importance: u8,
    /// When it was made.
    pub created: String,
    /// When it was changed.
    pub updated: String,
    /// When it was recalled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accessed: Option<String>,
    /// How often it was recalled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub accesses: u64,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Who wrote it.
    #[serde(default)]
    pub source: Source,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A memory as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastVersion {
    /// Its version.
    pub version: u64,
    /// Whether it is the present one.
    pub current: bool,
    /// The text.
    pub content: String,
    /// Words that it was found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it was written.
    pub updated: String,
    /// By whom.
    pub source: Source,
}

/// A portion of memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// The memories.
    pub entries: Vec<Entry>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What a session is to be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Of the highest importance.
    #[serde(default)]
    pub pinned: Vec<Entry>,
    /// Newest first; or, for what was said, best first.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// The categories, with how many they have.
    #[serde(default)]
    pub categories: Vec<CategoryCount>,
}

/// What was swept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Memories that had expired.
    pub expired: u64,
    /// Forgotten ones that cannot be restored any more.
    pub tombstones: u64,
    /// Memories that the encoder had not seen yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub encoded: u64,
    /// Whether there are more.
    pub more: bool,
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Memories of each scope, and its categories.
    pub scopes: BTreeMap<String, BTreeMap<String, u64>>,
    /// Memories, of all scopes.
    pub memories: u64,
    /// Superseded versions that are kept.
    pub versions: u64,
    /// Forgotten memories that can be restored.
    pub tombstones: u64,
    /// Chunks of the inverted index.
    pub postings: u64,
}

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Memories that were looked at.
    pub memories: u64,
    /// What is wrong, in a sentence each; the first of them.
    pub problems: Vec<String>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What became of each memory.
    Remembered(Vec<Result<Remembered, MemoryError>>),
    /// What was found.
    Recalled(Recalled),
    /// What there is.
    Discovered(Discovered),
    /// What was forgotten.
    Forgot(Forgot),
    /// The memory, if there is one.
    Got(Option<Entry>),
    /// Its versions, newest first.
    History(Vec<PastVersion>),
    /// A portion.
    Exported(Exported),
    /// What a session is to be told.
    Opened(Opened),
    /// What was swept.
    Swept(Swept),
    /// Counts.
    Stats(Stats),
    /// What a check has found.
    Checked(Checked),
    /// Nothing but that it was done.
    Done,
}
