//! Statements that are executed all or nothing, as DynamoDB's `ExecuteTransaction` has them: up to a hundred reads, or writes and
//! conditions.
//!
//! They are the actions of [`transact_write`](crate::api::TransactWrite) and [`transact_get`](crate::api::TransactGet), and end as those
//! do: what is wrong with a statement is an error of the request, what depends on its table or item a reason of the cancellation.

use serde_json::Value;

use crate::api::consumed::{Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::KeyArguments;
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Compiled, Decode};
use crate::api::source::{ReadFrom, Target};
use crate::api::statement_plan::{self as plan, WritePlan};
use crate::api::table::Table;
use crate::api::token::Token;
use crate::api::transact_action::{Ready, What};
use crate::api::update::ReturnValues;
use crate::api::{transact_get, transact_write};
use crate::error::{CancellationCode, CancellationReason, Error, Invalid, Result};
use crate::partiql::{Rule, Statement, StatementError};
use crate::value::{AttributeValue, Item};

/// Statements that are about to be executed; [`DynaMite::statement_transaction`] begins, [`execute`](StatementTransaction::execute)
/// ends.
#[derive(Debug)]
#[must_use = "nothing is done before execute"]
pub struct StatementTransaction<'a, T = DynaMite> {
    /// What is read.
    db: &'a DynaMite,
    /// Where writes go.
    target: &'a T,
    statements: Vec<Asked<'a>>,
    token: Option<&'a str>,
    consumed: Option<&'a Consumed>,
}

#[derive(Debug)]
struct Asked<'a> {
    text: &'a str,
    parameters: Vec<AttributeValue>,
    return_old: bool,
}

impl DynaMite {
    /// Begins to execute statements, all or nothing.
    ///
    /// ```
    /// # use dynamite_core::{Error, api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
    /// # db.put_item("users", json!({"id": "alice", "age": 30}))?;
    /// let insert = |name: &str| {
    ///     let adult = "EXISTS(SELECT * FROM users WHERE id = 'alice' AND age > 17)";
    ///     let insert = format!("INSERT INTO users VALUE {{'id': '{name}'}}");
    ///     db.statement_transaction().statement(adult, vec![]).statement(&insert, vec![]).execute()
    /// };
    /// insert("bob")?;
    /// assert!(matches!(insert("bob"), Err(Error::TransactionCanceled { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn statement_transaction(&self) -> StatementTransaction<'_> {
        StatementTransaction::new(self, self)
    }
}

impl<'a, T: Target> StatementTransaction<'a, T> {
    pub(crate) fn new(db: &'a DynaMite, target: &'a T) -> Self {
        StatementTransaction { db, target, statements: Vec::new(), token: None, consumed: None }
    }

    /// One more statement, and what its question marks stand for.
    pub fn statement(self, text: &'a str, parameters: Vec<AttributeValue>) -> Self {
        self.statement_returning_old(text, parameters, false)
    }

    /// The same; if it is so wanted, the reason of a cancellation carries the item for which a condition of this statement did not
    /// hold.
    pub fn statement_returning_old(
        mut self,
        text: &'a str,
        parameters: Vec<AttributeValue>,
        return_old: bool,
    ) -> Self {
        self.statements.push(Asked { text, parameters, return_old });
        self
    }

    /// Makes it safe to try the same transaction again; see [`TransactWrite::token`](crate::api::TransactWrite::token).
    pub fn token(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    consumes!(consumed);

    /// Executes the statements. Returns the items that were read, as JSON, in their order; of writes nothing for each.
    ///
    /// # Errors
    ///
    /// [`Error::TransactionCanceled`] if a condition does not hold, or there is no such table. [`Error::Statement`] for reads beside
    /// writes; within [`Error::Operation`], for a statement that cannot be one of a transaction. Those of
    /// [`TransactWrite::execute`](crate::api::TransactWrite::execute).
    pub fn execute(self) -> Result<Vec<Option<Value>>> {
        self.run(AS_VALUE)
    }

    /// Executes the statements. Returns exact attribute values; see [`execute`](StatementTransaction::execute).
    pub fn execute_items(self) -> Result<Vec<Option<Item>>> {
        self.run(AS_ITEM)
    }

    /// Executes the statements. Returns items in their stored form; see [`execute`](StatementTransaction::execute).
    pub fn execute_encoded(self) -> Result<Vec<Option<EncodedItem<'static>>>> {
        self.run(AS_ENCODED)
    }

    fn run<U>(self, decode: Decode<U>) -> Result<Vec<Option<U>>> {
        let StatementTransaction { db, target, statements, token, consumed } = self;
        transact_write::check_count(statements.len())?;
        token.map(Token::check).transpose()?;
        let parsed = statements.iter().enumerate().map(|(nth, asked)| {
            Statement::parse(asked.text).map_err(|error| Error::Statement(error).of_operation(nth))
        });
        let parsed = parsed.collect::<Result<Vec<_>>>()?;
        let reads = parsed.iter().filter(|statement| statement.is_select()).count();
        match reads {
            0 => {
                write(target, &statements, &parsed, token, consumed)?;
                Ok(std::iter::repeat_with(|| None).take(statements.len()).collect())
            }
            reads if reads < parsed.len() => Err(Rule::ReadsAndWrites.broken().into()),
            _ => read(db, &statements, &parsed, consumed, decode),
        }
    }
}

/// Gets the items that statements name.
fn read<T>(
    db: &DynaMite,
    statements: &[Asked<'_>],
    parsed: &[Statement],
    consumed: Option<&Consumed>,
    decode: Decode<T>,
) -> Result<Vec<Option<T>>> {
    let (found, sizes) = db.read(|tables, reading| {
        let mut gets = Vec::with_capacity(parsed.len());
        let mut missing = Missing::default();
        for (nth, (statement, asked)) in parsed.iter().zip(statements).enumerate() {
            let failed = |error: Error| error.of_operation(nth);
            let table = match tables.find(reading, &statement.source.table) {
                Err(Error::TableNotFound { .. }) => {
                    missing.add(nth);
                    continue;
                }
                table => table.map_err(failed)?,
            };
            if statement.source.index.is_some() {
                return Err(failed(Rule::IndexInTransaction.broken().into()));
            }
            let key = plan::whole_key(statement, &asked.parameters, &table).map_err(failed)?;
            let key = key.ok_or_else(|| failed(Rule::NoKeyInTransaction.broken().into()))?;
            let projection = plan::projection(statement).map_err(failed)?;
            let key = KeyArguments::of_named(key.into_iter().collect());
            gets.push((statement.source.table.as_str(), key, Compiled::of(projection)));
        }
        missing.check(parsed.len())?;
        transact_get::read(tables, reading, gets, decode)
    })?;
    if let Some(consumed) = consumed {
        parsed.iter().zip(sizes).for_each(|(statement, bytes)| consumed.read(&statement.source.table, bytes));
    }
    Ok(found)
}

/// Does what statements say.
fn write(
    target: &impl Target,
    statements: &[Asked<'_>],
    parsed: &[Statement],
    token: Option<&str>,
    consumed: Option<&Consumed>,
) -> Result<()> {
    let token = token.map(|token| Token::of_request(token, &describe(statements)));
    let (actions, sizes, repeats) = target.write_few(|writing| {
        let mut actions = Vec::with_capacity(parsed.len());
        let mut missing = Missing::default();
        for (nth, (statement, asked)) in parsed.iter().zip(statements).enumerate() {
            match writing.table(&statement.source.table) {
                Err(Error::TableNotFound { .. }) => missing.add(nth),
                table => {
                    let action = table.and_then(|table| action(statement, asked, &table));
                    actions.push(action.map_err(|error| error.of_operation(nth))?);
                }
            }
        }
        missing.check(parsed.len())?;
        let located = transact_write::locate(writing, &mut actions)?;
        if let Some(token) = &token
            && token.find(writing)?.is_some()
        {
            let sizes = consumed.map(|_| transact_write::sizes(writing, &located)).transpose()?;
            return Ok((actions, sizes.unwrap_or_default(), true));
        }
        let sizes = transact_write::perform(writing, &actions, located, consumed.is_some())?;
        let version = writing.version();
        token.as_ref().map_or(Ok(()), |token| token.keep(writing, version))?;
        Ok((actions, sizes, false))
    })?;
    if let Some(consumed) = consumed {
        transact_write::tell(consumed, &actions, sizes, repeats);
    }
    Ok(())
}

/// The action that a statement is.
fn action<'a>(statement: &'a Statement, asked: &Asked<'_>, table: &Table) -> Result<Ready<'a>> {
    let WritePlan { what, item, key, expressions, returns } =
        plan::write(statement, &asked.parameters, table)?;
    if returns != ReturnValues::None {
        return Err(Rule::ReturningInTransaction.broken().into());
    }
    let key = key.map_err(|error| match error {
        Error::Statement(StatementError::Broken { rule: Rule::NoKey | Rule::KeyType { .. }, .. }) => {
            Invalid::KeySchema.into()
        }
        other => other,
    });
    let table = statement.source.table.as_str();
    debug_assert!(what != What::Insert || item.is_some());
    Ok(Ready::of_statement(what, table, item, key, Some(expressions), asked.return_old))
}

/// The statements whose tables are not there. What else is wrong with others is told first.
#[derive(Default)]
struct Missing(Vec<usize>);

impl Missing {
    fn add(&mut self, nth: usize) {
        self.0.push(nth);
    }

    fn check(&self, count: usize) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let reason = |nth| match self.0.contains(&nth) {
            false => CancellationReason::default(),
            true => CancellationReason {
                code: CancellationCode::ResourceNotFound,
                message: Some("Requested resource not found".to_owned()),
                item: None,
            },
        };
        Err(Error::TransactionCanceled { reasons: (0..count).map(reason).collect() })
    }
}

/// All that a transaction was told, so that others are told other bytes.
fn describe(statements: &[Asked<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Asked { text, parameters, return_old } in statements {
        // What cannot be written as JSON (nothing is known that cannot) is told apart no further.
        let parameters = serde_json::to_vec(parameters).unwrap_or_default();
        for field in [text.as_bytes(), &parameters, &[u8::from(*return_old)]] {
            bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
            bytes.extend_from_slice(field);
        }
    }
    bytes
}
