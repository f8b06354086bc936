//! What is asked of the owner of the memory; and, in [`answer`], what it answers.

mod answer;

use serde::{Deserialize, Serialize};

pub use crate::request::answer::{
    Answer, CategoryCount, Checked, Discovered, Entry, Exported, Forgot, Item, KeyCount, Opened, PastVersion,
    Recalled, Remembered, Similar, Stats, Swept,
};

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

/// All memories of some scopes, in portions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// The scopes; all if there are none.
    pub scopes: Vec<String>,
    /// Where the last portion ended.
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
