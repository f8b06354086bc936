//! The actions of a transaction: [`Put`], [`Update`], [`Delete`] and [`Check`], each with conditions of its own.

use std::sync::Arc;

use serde::Serialize;

use crate::api::change::{Change, Changed, Wants};
use crate::api::key::{self, IntoAttribute, KeyArguments, item_key};
use crate::api::put::IntoItem;
use crate::api::table::Table;
use crate::api::terms::{Terms, placeholders};
use crate::api::writing::Writing;
use crate::error::{CancellationCode, CancellationReason, Error, IndexError, Invalid, Result};
use crate::expression::Expressions;
use crate::item_codec;
use crate::key_codec::KeyError;

/// Puts an item, as an action of a [`TransactWrite`](crate::api::TransactWrite).
#[derive(Debug)]
#[must_use = "it is nothing before it is given to a transaction"]
pub struct Put<'a> {
    item: Option<Result<Vec<u8>>>,
    asked: Asked<'a>,
}

/// Updates an item, as an action of a [`TransactWrite`](crate::api::TransactWrite).
#[derive(Debug)]
#[must_use = "it is nothing before it is given to a transaction"]
pub struct Update<'a> {
    key: KeyArguments,
    asked: Asked<'a>,
}

/// Deletes an item, as an action of a [`TransactWrite`](crate::api::TransactWrite).
#[derive(Debug)]
#[must_use = "it is nothing before it is given to a transaction"]
pub struct Delete<'a> {
    key: KeyArguments,
    asked: Asked<'a>,
}

/// Checks a condition on an item that it leaves as it is, as an action of a [`TransactWrite`](crate::api::TransactWrite).
#[derive(Debug)]
#[must_use = "it is nothing before it is given to a transaction"]
pub struct Check<'a> {
    key: KeyArguments,
    asked: Asked<'a>,
}

/// What all actions are told alike.
#[derive(Debug)]
struct Asked<'a> {
    table: &'a str,
    expected: Option<u64>,
    terms: Terms<'a>,
    return_old: bool,
}

impl<'a> Asked<'a> {
    fn of(table: &'a str) -> Asked<'a> {
        Asked { table, expected: None, terms: Terms::default(), return_old: false }
    }
}

/// The methods of all actions.
macro_rules! asks {
    () => {
        /// Only if the item has this version; 0 stands for no item.
        pub fn if_version(mut self, version: u64) -> Self {
            self.asked.expected = Some(version);
            self
        }

        /// Only if this holds, in DynamoDB's language, for the item, or for an absent one if there is none.
        pub fn condition(mut self, expression: &'a str) -> Self {
            self.asked.terms.say().condition = Some(expression);
            self
        }

        placeholders!(asked.terms);

        /// Whether the reason of a cancellation carries the item for which a condition of this action did not hold.
        pub fn return_old_on_failure(mut self, return_old: bool) -> Self {
            self.asked.return_old = return_old;
            self
        }
    };
}

impl<'a> Put<'a> {
    /// Puts into this table.
    pub fn new(table: &'a str) -> Put<'a> {
        Put { item: None, asked: Asked::of(table) }
    }

    /// The item.
    pub fn item(mut self, item: impl IntoItem) -> Self {
        self.item = Some(item.encode());
        self
    }

    /// The item, a value of a type of one's own.
    pub fn item_from(mut self, item: &(impl Serialize + ?Sized)) -> Self {
        self.item = Some(item_codec::to_bytes(item).map_err(Error::from));
        self
    }

    asks!();
}

impl<'a> Update<'a> {
    /// Updates an item of this table.
    pub fn new(table: &'a str) -> Update<'a> {
        Update { key: KeyArguments::default(), asked: Asked::of(table) }
    }

    item_key!();

    /// What to do, in DynamoDB's language. Without it an item is only made if there is none.
    pub fn update(mut self, expression: &'a str) -> Self {
        self.asked.terms.say().update = Some(expression);
        self
    }

    asks!();
}

impl<'a> Delete<'a> {
    /// Deletes an item of this table.
    pub fn new(table: &'a str) -> Delete<'a> {
        Delete { key: KeyArguments::default(), asked: Asked::of(table) }
    }

    item_key!();

    asks!();
}

impl<'a> Check<'a> {
    /// Checks an item of this table.
    pub fn new(table: &'a str) -> Check<'a> {
        Check { key: KeyArguments::default(), asked: Asked::of(table) }
    }

    item_key!();

    asks!();
}

/// Any action.
#[derive(Debug)]
pub(crate) struct Action<'a> {
    what: What,
    given: Given,
    asked: Asked<'a>,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Put,
    Update,
    Delete,
    Check,
    /// A put where there must be no item.
    Insert,
}

/// What an action finds its item by.
#[derive(Debug)]
enum Given {
    Item(Option<Result<Vec<u8>>>),
    Key(KeyArguments),
}

impl<'a> From<Put<'a>> for Action<'a> {
    fn from(Put { item, asked }: Put<'a>) -> Action<'a> {
        Action { what: What::Put, given: Given::Item(item), asked }
    }
}

impl<'a> From<Update<'a>> for Action<'a> {
    fn from(Update { key, asked }: Update<'a>) -> Action<'a> {
        Action { what: What::Update, given: Given::Key(key), asked }
    }
}

impl<'a> From<Delete<'a>> for Action<'a> {
    fn from(Delete { key, asked }: Delete<'a>) -> Action<'a> {
        Action { what: What::Delete, given: Given::Key(key), asked }
    }
}

impl<'a> From<Check<'a>> for Action<'a> {
    fn from(Check { key, asked }: Check<'a>) -> Action<'a> {
        Action { what: What::Check, given: Given::Key(key), asked }
    }
}

/// An action of which all was read that can be read without its table.
#[derive(Debug)]
pub(crate) struct Ready<'a> {
    what: What,
    target: Target,
    expressions: Option<Expressions>,
    asked: Asked<'a>,
}

/// As [`Given`], without errors.
#[derive(Debug)]
enum Target {
    Item(Vec<u8>),
    Key(KeyArguments),
    /// The stored key, or why there is none, until it is taken.
    Stored(Option<Result<Vec<u8>>>),
}

impl<'a> Action<'a> {
    pub(crate) fn compile(self) -> Result<Ready<'a>> {
        let Action { what, given, asked } = self;
        let target = match given {
            Given::Item(item) => Target::Item(item.ok_or(Invalid::NoItem)??),
            Given::Key(key) => Target::Key(key),
        };
        let expressions = asked.terms.compile()?;
        let has_condition = expressions.as_ref().is_some_and(|expressions| expressions.condition.is_some());
        if what == What::Check && !has_condition && asked.expected.is_none() {
            return Err(Invalid::NoCondition.into());
        }
        Ok(Ready { what, target, expressions, asked })
    }
}

impl<'a> Ready<'a> {
    /// The action that a statement stands for: on an item, or by its stored key.
    pub(crate) fn of_statement(
        what: What,
        table: &'a str,
        item: Option<Vec<u8>>,
        key: Result<Vec<u8>>,
        expressions: Option<Expressions>,
        return_old: bool,
    ) -> Ready<'a> {
        let target = item.map_or_else(|| Target::Stored(Some(key)), Target::Item);
        Ready { what, target, expressions, asked: Asked { return_old, ..Asked::of(table) } }
    }
}

impl Ready<'_> {
    /// The name of its table.
    pub(crate) fn table(&self) -> &str {
        self.asked.table
    }

    /// Appends all that it was told, so that other actions append other bytes.
    pub(crate) fn describe(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let mut field = |field: &[u8]| {
            bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
            bytes.extend_from_slice(field);
        };
        field(&[self.what as u8, u8::from(self.asked.return_old), u8::from(self.asked.expected.is_some())]);
        field(&self.asked.expected.unwrap_or(0).to_le_bytes());
        field(self.asked.table.as_bytes());
        match &self.target {
            Target::Item(item) => field(item),
            Target::Key(key) => field(&key.describe()?),
            // Statements are told by their texts.
            Target::Stored(_) => {}
        }
        self.asked.terms.describe(&mut field)
    }

    /// The stored key of its item.
    pub(crate) fn key(&mut self, table: &Table) -> Result<Vec<u8>> {
        match &mut self.target {
            Target::Item(item) => key::of_item(table, item),
            Target::Key(key) => std::mem::take(key).encode(table),
            Target::Stored(key) => key.take().unwrap_or_else(|| Err(Invalid::KeySchema.into())),
        }
    }

    /// Bytes of its item or of its key, as DynamoDB counts them.
    pub(crate) fn payload(&self, table: &Arc<Table>, key: &[u8]) -> Result<usize> {
        match &self.target {
            Target::Item(item) => crate::api::consumed::size(table, item),
            Target::Key(_) | Target::Stored(_) => Ok(crate::limits::item_size(&key::to_item(table, key)?)),
        }
    }

    /// Does it.
    pub(crate) fn perform(
        &self,
        writing: &mut Writing<'_, '_>,
        table: &Table,
        key: &[u8],
        wants: Wants,
    ) -> Result<Changed> {
        let expressions = self.expressions.as_ref();
        let change = Change { table, key, expected: self.asked.expected, expressions, wants };
        match (self.what, &self.target) {
            (What::Delete, _) => change.delete(writing).map(|(_, changed)| changed),
            (What::Check, _) => change.check(writing),
            (_, Target::Item(item)) => change.put(writing, item),
            (_, Target::Key(_) | Target::Stored(_)) => change.update(writing),
        }
    }

    /// The reason for which it was not done.
    ///
    /// # Errors
    ///
    /// Errors that are no reason of one action, but of the whole transaction.
    pub(crate) fn reason(&self, error: Error) -> Result<CancellationReason> {
        let error = match error {
            Error::ConditionFailed { .. } if self.what == What::Insert => Error::DuplicateItem,
            error => error,
        };
        let message = Some(error.to_string());
        let (code, item) = match error {
            Error::DuplicateItem => (CancellationCode::DuplicateItem, None),
            Error::ConditionFailed { item } => {
                (CancellationCode::ConditionalCheckFailed, item.filter(|_| self.asked.return_old))
            }
            Error::VersionConflict { .. } => (CancellationCode::ConditionalCheckFailed, None),
            error if is_of_one_action(&error) => (CancellationCode::ValidationError, None),
            error => return Err(error),
        };
        Ok(CancellationReason { code, message, item })
    }
}

/// Whether an error is that of one action, and not of the whole request: whatever depends on the schema of its table or on the
/// item that there is. As in DynamoDB, an empty value of a key is not, of a table or of an index, since none could have it.
pub(crate) fn is_of_one_action(error: &Error) -> bool {
    match error {
        Error::Validation(
            Invalid::Key(KeyError::Empty { .. } | KeyError::EmptyInIndex { .. })
            | Invalid::Index(IndexError::UpdateToEmpty { .. }),
        ) => false,
        Error::Validation(_) | Error::Expression(_) | Error::Update(_) | Error::Statement(_) => true,
        Error::ConditionFailed { .. } | Error::VersionConflict { .. } => true,
        _ => false,
    }
}
