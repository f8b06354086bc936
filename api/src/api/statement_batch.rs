//! Statements that are executed together, as DynamoDB's `BatchExecuteStatement` has them: each for itself, all reads or all writes.
//!
//! The reads are of one state. The writes are committed one by one, and become durable together.

use serde_json::Value;

use crate::api::consumed::{self, Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::deferred::Together;
use crate::api::encoded::EncodedItem;
use crate::api::key::KeyArguments;
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode};
use crate::api::source::{ReadFrom, Reading};
use crate::api::table::TableCache;
use crate::api::{statement, statement_plan as plan};
use crate::error::{Error, Result};
use crate::partiql::{Rule, Statement, StatementError, StatementKind};
use crate::value::{AttributeValue, Item};

/// Statements that are about to be executed; [`DynaMite::statement_batch`] begins, [`execute`](StatementBatch::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is done before execute"]
pub struct StatementBatch<'a, T = DynaMite> {
    /// What is read.
    db: &'a DynaMite,
    /// Where writes go.
    target: &'a T,
    statements: Vec<(&'a str, Vec<AttributeValue>)>,
    consumed: Option<&'a Consumed>,
}

/// What came of a statement of a batch.
#[derive(Clone, Debug)]
pub struct StatementOutcome<T = Value> {
    /// The table that it names, if it can be read.
    pub table: Option<String>,
    /// The item that was read, or what a write returns.
    pub item: Result<Option<T>>,
}

impl DynaMite {
    /// Begins to execute several statements, each of which may fail for itself.
    ///
    /// ```
    /// # use dynamite_core::{Error, api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
    /// let insert = "INSERT INTO users VALUE {'id': 'alice'}";
    /// let done = db.statement_batch().statement(insert, vec![]).statement(insert, vec![]).execute()?;
    /// assert_eq!(done[0].item.as_ref().unwrap(), &None);
    /// assert!(matches!(done[1].item, Err(Error::DuplicateItem)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn statement_batch(&self) -> StatementBatch<'_> {
        StatementBatch::new(self, self)
    }
}

// Only the database and what defers its writes implement it.
#[allow(private_bounds)]
impl<'a, T: Together> StatementBatch<'a, T> {
    pub(crate) fn new(db: &'a DynaMite, target: &'a T) -> Self {
        StatementBatch { db, target, statements: Vec::new(), consumed: None }
    }

    /// One more statement, and what its question marks stand for.
    pub fn statement(mut self, text: &'a str, parameters: Vec<AttributeValue>) -> Self {
        self.statements.push((text, parameters));
        self
    }

    consumes!(consumed);

    /// Executes the statements. What they give is JSON, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Statement`] for reads beside writes; and whatever fails that is the matter of no single statement. Nothing is known
    /// then of the writes.
    pub fn execute(self) -> Result<Vec<StatementOutcome>> {
        self.run(AS_VALUE)
    }

    /// Executes the statements. What they give are exact attribute values; see [`execute`](StatementBatch::execute).
    pub fn execute_items(self) -> Result<Vec<StatementOutcome<Item>>> {
        self.run(AS_ITEM)
    }

    /// Executes the statements. What they give are items in their stored form; see [`execute`](StatementBatch::execute).
    pub fn execute_encoded(self) -> Result<Vec<StatementOutcome<EncodedItem<'static>>>> {
        self.run(AS_ENCODED)
    }

    fn run<U: Send>(self, decode: Decode<U>) -> Result<Vec<StatementOutcome<U>>> {
        let StatementBatch { db, target, statements, consumed } = self;
        let parsed = statements.iter().map(|(text, _)| Statement::parse(text)).collect::<Vec<_>>();
        let all = || parsed.iter().flatten();
        let reads = all().any(Statement::is_select);
        if reads && all().any(|statement| !statement.is_select()) {
            return Err(Rule::BatchReadsAndWrites.broken().into());
        }
        let given = statements.iter().map(|(_, parameters)| parameters);
        let asked = || parsed.iter().zip(given.clone());
        if reads {
            return db.read(|tables, reading| {
                let get = |statement: &Statement, parameters: &[AttributeValue]| {
                    get(tables, reading, statement, parameters, consumed, decode)
                };
                Ok(outcomes(asked(), get))
            });
        }
        target.together(|writes| {
            outcomes(asked(), |statement, parameters| match statement.kind {
                StatementKind::Exists => Err(Rule::ExistsAlone.broken().into()),
                _ => statement::write(writes, statement, parameters, consumed, decode),
            })
        })
    }
}

/// What comes of all statements, those that could not be read among them.
fn outcomes<'p, T>(
    asked: impl Iterator<Item = (&'p Result<Statement, StatementError>, &'p Vec<AttributeValue>)>,
    mut execute: impl FnMut(&Statement, &[AttributeValue]) -> Result<Option<T>>,
) -> Vec<StatementOutcome<T>> {
    let outcome =
        |(parsed, parameters): (&'p Result<Statement, StatementError>, &'p Vec<AttributeValue>)| match parsed
        {
            Ok(statement) => StatementOutcome {
                table: Some(statement.source.table.clone()),
                item: execute(statement, parameters),
            },
            Err(error) => StatementOutcome { table: None, item: Err(Error::Statement(error.clone())) },
        };
    asked.map(outcome).collect()
}

/// Gets the item of a statement that names it by its key, and says no more.
fn get<T>(
    tables: &TableCache,
    reading: &mut Reading<'_, '_>,
    statement: &Statement,
    parameters: &[AttributeValue],
    consumed: Option<&Consumed>,
    decode: Decode<T>,
) -> Result<Option<T>> {
    let table = tables.find(reading, &statement.source.table)?;
    let place = plan::place(statement, &table, false)?;
    let projection = plan::projection(statement)?;
    let key = plan::whole_key(statement, parameters, &table)?.filter(|_| place.index.is_none());
    let Some(key) = key else { return Err(Rule::NoKeyInBatch.broken().into()) };
    let key = KeyArguments::of_named(key.into_iter().collect()).encode(&table)?;
    let mut bytes = 0;
    let found = reading.get(&table, &key, |_, item| -> Result<T> {
        if consumed.is_some() {
            bytes = consumed::size(&table, item)?;
        }
        projection.decode(&table, item, decode)
    })?;
    if let Some(consumed) = consumed {
        consumed.read(&table.name, bytes);
    }
    found.transpose()
}
