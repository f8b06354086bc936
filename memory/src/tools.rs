//! The four things that an agent can do, `remember`, `recall`, `discover` and `forget`: what they take, from wherever it comes, and what they return.

use serde::Deserialize;

use crate::client::{Memory, answer};
use crate::error::{MemoryError, Result};
use crate::key::GLOBAL;
use crate::request::{
    Discover, Discovered, Forget, Forgot, Mode, Recall, Recalled, Remember, Remembered, Request, Scope,
};
use crate::text::time::parse_ttl;

/// Items of an answer, if nothing is said.
pub const LIMIT: usize = 8;

/// Tokens of an answer, if nothing is said.
pub const MAX_TOKENS: usize = 1500;

/// What `remember` takes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RememberInput {
    /// The category.
    pub category: String,
    /// The key.
    pub key: String,
    /// The text.
    pub content: String,
    /// Words that it is found by.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// 0 to 3.
    #[serde(default)]
    pub importance: Option<u8>,
    /// How long it is kept.
    #[serde(default)]
    pub ttl: Option<String>,
    /// Where it holds; in the project, if nothing is said.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// What becomes of what is there.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The version that must be there.
    #[serde(default)]
    pub if_version: Option<u64>,
}

/// What `recall` takes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallInput {
    /// Only of this category.
    #[serde(default)]
    pub category: Option<String>,
    /// Only keys that begin so.
    #[serde(default)]
    pub prefix: Option<String>,
    /// A question, or words.
    #[serde(default)]
    pub query: Option<String>,
    /// How many at most.
    #[serde(default)]
    pub limit: Option<usize>,
    /// How many tokens at most.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// Where an earlier answer ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Only of this scope; of both, if nothing is said.
    #[serde(default)]
    pub scope: Option<Scope>,
}

/// What `discover` takes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscoverInput {
    /// The category to look into.
    #[serde(default)]
    pub category: Option<String>,
    /// Only keys that begin so.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Segments behind the prefix.
    #[serde(default)]
    pub depth: Option<usize>,
    /// Where an earlier answer ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// What `forget` takes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetInput {
    /// The category.
    pub category: String,
    /// The key of the one.
    #[serde(default)]
    pub key: Option<String>,
    /// Or the path above them.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Whether all below the path are meant.
    #[serde(default)]
    pub recursive: Option<bool>,
    /// The version that it must have.
    #[serde(default)]
    pub if_version: Option<u64>,
    /// Whether nothing of it is to be left.
    #[serde(default)]
    pub purge: Option<bool>,
}

impl Memory {
    /// The scopes that are meant.
    pub(crate) fn chosen(&self, scope: Option<Scope>) -> Vec<String> {
        match scope {
            None => self.scopes(),
            Some(scope) => vec![self.one(scope)],
        }
    }

    fn one(&self, scope: Scope) -> String {
        match scope {
            Scope::Project => self.project.clone(),
            Scope::Global => GLOBAL.to_owned(),
        }
    }

    /// What keeping a memory asks of the owner.
    pub(crate) fn to_remember(&self, input: RememberInput) -> Result<Remember> {
        Ok(Remember {
            scope: self.one(input.scope.unwrap_or(Scope::Project)),
            category: input.category,
            key: input.key,
            content: input.content,
            tags: input.tags,
            importance: input.importance,
            ttl_ms: input.ttl.as_deref().map(parse_ttl).transpose()?,
            mode: input.mode.unwrap_or(Mode::Upsert),
            if_version: input.if_version,
            find_similar: true,
            source: self.source,
            session: self.session.clone(),
            ..Remember::default()
        })
    }

    /// Keeps a memory; with `redact`, without its secrets.
    ///
    /// # Errors
    ///
    /// [`MemoryError`].
    pub async fn remember(&self, input: RememberInput, redact: bool) -> Result<Remembered> {
        let remember = Remember { redact, ..self.to_remember(input)? };
        let mut done = self.remember_all(vec![remember]).await?;
        done.pop().unwrap_or_else(|| Err(MemoryError::Failed("nothing was answered".to_owned())))
    }

    /// Keeps many, in one transaction.
    pub(crate) async fn remember_all(&self, all: Vec<Remember>) -> Result<Vec<Result<Remembered>>> {
        answer!(self, Request::Remember(all), Remembered)
    }

    /// Looks for memories.
    ///
    /// # Errors
    ///
    /// [`MemoryError`].
    pub async fn recall(&self, input: RecallInput) -> Result<Recalled> {
        let recall = Recall {
            scopes: self.chosen(input.scope),
            category: input.category,
            prefix: input.prefix,
            query: input.query,
            limit: input.limit.unwrap_or(LIMIT),
            max_tokens: input.max_tokens.unwrap_or(MAX_TOKENS),
            cursor: input.cursor,
        };
        answer!(self, Request::Recall(recall), Recalled)
    }

    /// Shows what there is.
    ///
    /// # Errors
    ///
    /// [`MemoryError`].
    pub async fn discover(&self, input: DiscoverInput) -> Result<Discovered> {
        let discover = Discover {
            scopes: self.scopes(),
            category: input.category,
            prefix: input.prefix,
            depth: input.depth.unwrap_or(1),
            cursor: input.cursor,
        };
        answer!(self, Request::Discover(discover), Discovered)
    }

    /// Forgets memories: the project's own, or where it has none of that name, those that hold everywhere.
    ///
    /// # Errors
    ///
    /// [`MemoryError`].
    pub async fn forget(&self, input: ForgetInput) -> Result<Forgot> {
        let forget = Forget {
            scopes: self.scopes(),
            category: input.category,
            key: input.key,
            prefix: input.prefix,
            recursive: input.recursive.unwrap_or(false),
            if_version: input.if_version,
            purge: input.purge.unwrap_or(false),
        };
        let mut total = Forgot::default();
        // The owner does it in portions, so that nobody else waits for all of it.
        loop {
            let forgot: Forgot = answer!(self, Request::Forget(forget.clone()), Forgot)?;
            total.forgotten += forgot.forgotten;
            total.restorable_until = forgot.restorable_until.or(total.restorable_until);
            if !forgot.more {
                return Ok(total);
            }
        }
    }
}
