//! What is asked of the owner of the memory, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::MemoryError;

/// Who wrote a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A person, at the command line.
    #[default]
    User,
    /// An agent, over MCP.
    Agent,
    /// An import.
    Import,
    /// A hook.
    Hook,
}

/// Where a memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In the project.
    Project,
    /// Everywhere.
    Global,
}

/// What becomes of what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is replaced, and kept in the history.
    #[default]
    Upsert,
    /// It is an error that something is there.
    Create,
    /// The text is added at its end, on a line of its own.
    Append,
}

/// A memory that is to be kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remember {
    /// The scope itself: `global`, or that of a project.
    pub scope: String,
    /// Its category.
    pub category: String,
    /// Its key.
    pub key: String,
    /// The text.
    pub content: String,
    /// Words that it is found by; `None` leaves those that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// 0 to 3, of which 3 is shown at the start of every session; `None` leaves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<u8>,
    /// How long it is kept, in milliseconds; `None` leaves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// What becomes of what is there.
    pub mode: Mode,
    /// The version that must be there; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u64>,
    /// Stores the text without its secrets instead of refusing it.
    pub redact: bool,
    /// Whether to look for what says nearly the same.
    pub find_similar: bool,
    /// Who writes it.
    pub source: Source,
    /// In which session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it was made and changed, for what comes from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// When it was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<u64>,
}

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

/// Memories that are looked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recall {
    /// The scopes, the one first whose memories hide those of the same name in others.
    pub scopes: Vec<String>,
    /// Only of this category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Only keys that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A question, or words. Without one, memories come in the order of their keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// How many at most.
    pub limit: usize,
    /// How many tokens at most.
    pub max_tokens: usize,
    /// Where an earlier answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
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

/// What there is, from above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Discover {
    /// The scopes.
    pub scopes: Vec<String>,
    /// The category to look into; without one, the categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Only keys that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Segments behind the prefix.
    pub depth: usize,
    /// Where an earlier answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
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

/// Memories that are to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Forget {
    /// The scopes, of which the first that has any counts.
    pub scopes: Vec<String>,
    /// The category.
    pub category: String,
    /// The key of the one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Or the path above them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Whether all below the path are meant.
    pub recursive: bool,
    /// The version that it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u64>,
    /// Whether nothing of it is to be left.
    pub purge: bool,
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

/// One memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Get {
    /// The scopes, in the order in which to look.
    pub scopes: Vec<String>,
    /// Its category.
    pub category: String,
    /// Its key.
    pub key: String,
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

/// A memory whose past is asked for, or put back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// The scopes, in the order in which to look.
    pub scopes: Vec<String>,
    /// Its category.
    pub category: String,
    /// Its key.
    pub key: String,
    /// The version to put back; `None` for the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
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

/// All memories of some scopes, in portions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// The scopes; all if there are none.
    pub scopes: Vec<String>,
    /// Where the last portion ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
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

/// What a session is told when it begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The scopes.
    pub scopes: Vec<String>,
    /// Only what this session has not seen, for one that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_by: Option<String>,
}

/// What fits what a person said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// The scopes.
    pub scopes: Vec<String>,
    /// What was said.
    pub prompt: String,
    /// The session, which is not told twice.
    pub session: String,
    /// How many at most.
    pub limit: usize,
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

/// What a session was told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShownTo {
    /// The session.
    pub session: String,
    /// Whether what it was told before was lost to it.
    #[serde(default)]
    pub anew: bool,
    /// Scope, category, key and version of each memory.
    pub shown: Vec<(String, String, String, u64)>,
}

/// What was swept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Memories that had expired.
    pub expired: u64,
    /// Forgotten ones that cannot be restored any more.
    pub tombstones: u64,
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

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Keeps memories, all in one transaction; each by itself may be refused.
    Remember(Vec<Remember>),
    /// Looks for memories.
    Recall(Recall),
    /// Shows what there is.
    Discover(Discover),
    /// Forgets memories.
    Forget(Forget),
    /// Gets one.
    Get(Get),
    /// Shows what one was.
    History(Past),
    /// Makes one what it was.
    Restore(Past),
    /// Gets all.
    Export(Export),
    /// Gets what a session is told when it begins.
    Opening(Opening),
    /// Gets what fits what a person said.
    Prompt(Prompt),
    /// Notes what a session was told.
    Shown(ShownTo),
    /// Counts what a session was told as accesses, and forgets that it was.
    EndSession {
        /// The session.
        session: String,
    },
    /// Sweeps.
    Sweep {
        /// How much at most.
        most: usize,
    },
    /// Counts; of this scope if one is given.
    Stats(Option<String>),
    /// Compares the index with the memories.
    Check,
    /// Makes the index anew.
    Reindex,
}

impl Request {
    /// Whether nothing is changed by it.
    pub fn is_read(&self) -> bool {
        !matches!(
            self,
            Request::Remember(_)
                | Request::Forget(_)
                | Request::Restore(_)
                | Request::Shown(_)
                | Request::EndSession { .. }
                | Request::Sweep { .. }
                | Request::Reindex
        )
    }

    /// Whether it may be done again when nobody knows whether it was done.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Request::Remember(all) => {
                all.iter().all(|one| one.mode == Mode::Upsert && one.if_version.is_none())
            }
            Request::Forget(forget) => forget.if_version.is_none(),
            Request::Restore(_) => false,
            _ => true,
        }
    }
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
