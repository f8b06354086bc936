//! Statements of PartiQL: one, several, all or nothing.

use dynamite_core::api::{IntoAttribute, StatementOutcome, StatementPage};
use dynamite_core::error::Error;
use dynamite_core::expression::ExpressionError;
use dynamite_core::partiql::{self, StatementError};
use dynamite_core::{AttributeValue, Item};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat, Route};
use crate::client::form::{self, Form};
use crate::client::told::{self, Faults, awaited, consumes};
use crate::error::{ClientError, Result};
use crate::protocol::fault::Failure;
use crate::protocol::statement::{
    self, BatchTerms, Outcome, ReadStatement, ReadStatementBatch, ReadStatementTransaction, Statement,
    StatementTerms, TransactionTerms, WriteStatement, WriteStatementBatch, WriteStatementTransaction,
    are_reads,
};
use crate::protocol::text::{Bytes, WireValue};

/// A statement that is about to be executed; [`DynaMiteClient::statement`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is done before it is awaited"]
pub struct ExecuteStatement {
    route: Route,
    faults: Faults,
    terms: StatementTerms<'static>,
}

impl ExecuteStatement {
    /// What the next question mark stands for.
    pub fn parameter(mut self, value: impl IntoAttribute) -> Self {
        let value = self.faults.keep(value.into_attribute());
        let parameter = value.and_then(|value| self.faults.keep(parameter(value)));
        self.terms.statement.parameters.extend(parameter);
        self
    }

    /// What all question marks stand for.
    pub fn parameters(mut self, values: Vec<AttributeValue>) -> Self {
        self.terms.statement.parameters.clear();
        values.into_iter().fold(self, Self::parameter)
    }

    /// At most so many items are looked at.
    pub fn limit(mut self, limit: usize) -> Self {
        self.terms.limit = Some(limit as u64);
        self
    }

    /// Goes on where the same statement, with the same parameters, ended.
    pub fn next_token(mut self, token: &str) -> Self {
        self.terms.next_token = Some(token.to_owned().into());
        self
    }

    /// Only what is consistent. All reads are, but a promise of it is refused for a global index, as DynamoDB does.
    pub fn consistent(mut self, consistent: bool) -> Self {
        self.terms.consistent = consistent;
        self
    }

    consumes!(route);

    /// Executes the statement. What it gives is JSON.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`].
    pub async fn execute(self) -> Result<StatementPage> {
        self.run(form::value).await
    }

    /// Executes the statement. What it gives are exact attribute values.
    pub async fn execute_items(self) -> Result<StatementPage<Item>> {
        self.run(form::item).await
    }

    /// Executes the statement. What it gives are values of a type of one's own.
    pub async fn execute_as<T: DeserializeOwned>(self) -> Result<StatementPage<T>> {
        self.run(form::of_type).await
    }

    async fn run<T>(self, form: Form<T>) -> Result<StatementPage<T>> {
        let ExecuteStatement { route, faults, terms } = self;
        faults.check()?;
        if are_reads([&*terms.statement.text].into_iter()) {
            let read = ReadStatement(terms);
            route.read(&read, |page| decode_page(form, &read.0.statement.text, page)).await
        } else {
            let write = WriteStatement(terms);
            route.write(&write, |page| decode_page(form, &write.0.statement.text, page)).await
        }
    }
}

awaited!(ExecuteStatement => StatementPage);

/// Statements that are about to be executed, each for itself; [`DynaMiteClient::statement_batch`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is done before it is awaited"]
pub struct StatementBatch {
    route: Route,
    faults: Faults,
    terms: BatchTerms<'static>,
}

impl StatementBatch {
    /// One more statement, and what its question marks stand for.
    pub fn statement(mut self, text: &str, parameters: Vec<AttributeValue>) -> Self {
        let statement = self.faults.keep(sent(text, parameters));
        self.terms.statements.extend(statement);
        self
    }

    consumes!(route);

    /// Executes the statements. What they give is JSON, in their order.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`]. What is wrong with one statement is told in its place.
    pub async fn execute(self) -> Result<Vec<StatementOutcome>> {
        self.run(form::value).await
    }

    /// Executes the statements. What they give are exact attribute values.
    pub async fn execute_items(self) -> Result<Vec<StatementOutcome<Item>>> {
        self.run(form::item).await
    }

    async fn run<T>(self, form: Form<T>) -> Result<Vec<StatementOutcome<T>>> {
        let StatementBatch { route, faults, terms } = self;
        faults.check()?;
        let decode = |outcomes: Vec<Outcome<'_>>| {
            outcomes.into_iter().map(|outcome| decode_outcome(form, outcome)).collect()
        };
        match are_reads(terms.statements.iter().map(|statement| &*statement.text)) {
            true => route.read(&ReadStatementBatch(terms), decode).await,
            false => route.write(&WriteStatementBatch(terms), decode).await,
        }
    }
}

awaited!(StatementBatch => Vec<StatementOutcome>);

/// Statements that are about to be executed, all or nothing; [`DynaMiteClient::statement_transaction`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is done before it is awaited"]
pub struct StatementTransaction {
    route: Route,
    faults: Faults,
    terms: TransactionTerms<'static>,
}

impl StatementTransaction {
    /// One more statement, and what its question marks stand for.
    pub fn statement(self, text: &str, parameters: Vec<AttributeValue>) -> Self {
        self.statement_returning_old(text, parameters, false)
    }

    /// The same; if it is so wanted, the reason of a cancellation carries the item for which a condition of this statement did not
    /// hold.
    pub fn statement_returning_old(
        mut self,
        text: &str,
        parameters: Vec<AttributeValue>,
        return_old: bool,
    ) -> Self {
        let statement = self.faults.keep_of(self.terms.statements.len(), sent(text, parameters));
        self.terms.statements.extend(statement.map(|statement| (statement, return_old)));
        self
    }

    /// Makes it safe to try the same transaction again; see [`TransactWrite::token`](crate::client::TransactWrite::token). The client
    /// tries again by itself if the connection is lost.
    pub fn token(mut self, token: &str) -> Self {
        self.terms.token = Some(token.to_owned().into());
        self
    }

    consumes!(route);

    /// Executes the statements. Returns the items that were read, as JSON, in their order; of writes nothing for each.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`].
    pub async fn execute(self) -> Result<Vec<Option<Value>>> {
        self.run(form::value).await
    }

    /// Executes the statements. Returns exact attribute values.
    pub async fn execute_items(self) -> Result<Vec<Option<Item>>> {
        self.run(form::item).await
    }

    async fn run<T>(self, form: Form<T>) -> Result<Vec<Option<T>>> {
        let StatementTransaction { route, faults, terms } = self;
        faults.check()?;
        let texts = || terms.statements.iter().map(|(statement, _)| &*statement.text);
        if are_reads(texts()) {
            let read = ReadStatementTransaction(terms);
            let decode = |found: Vec<Option<Bytes<'_>>>| {
                let items = found.into_iter().zip(&read.0.statements);
                let decode = |(item, (statement, _)): (Option<Bytes<'_>>, &(Statement<'_>, bool))| {
                    item.map(|item| decode_item(form, &statement.text, &item)).transpose()
                };
                items.map(decode).collect()
            };
            route.read(&read, decode).await
        } else {
            let repeat = if terms.token.is_some() { Repeat::Safe } else { Repeat::Never };
            let nothing = |found: Vec<Option<Bytes<'_>>>| Ok(found.iter().map(|_| None).collect());
            route.call(&WriteStatementTransaction(terms), repeat, Limit::Usual, nothing).await
        }
    }
}

awaited!(StatementTransaction => Vec<Option<Value>>);

/// A statement as it is sent.
fn sent(text: &str, parameters: Vec<AttributeValue>) -> Result<Statement<'static>, Error> {
    let parameters = parameters.into_iter().map(parameter).collect::<Result<_, Error>>()?;
    Ok(Statement { text: text.to_owned().into(), parameters })
}

/// A parameter as it is sent. What no item can hold cannot be.
fn parameter(value: AttributeValue) -> Result<WireValue<'static>, Error> {
    WireValue::of(value).map_err(|source| {
        let error = ExpressionError::InvalidValue { key: "?".to_owned(), source };
        Error::Statement(StatementError::Expression(error))
    })
}

/// Decodes an item that a statement has read.
fn decode_item<T>(form: Form<T>, text: &str, item: &[u8]) -> Result<T> {
    // The table's name is for errors, which are rare.
    form::decode(form, "", item)
        .or_else(|_| form::decode(form, &partiql::table_of(text).unwrap_or_default(), item))
}

fn decode_page<T>(form: Form<T>, text: &str, page: statement::StatementPage<'_>) -> Result<StatementPage<T>> {
    let items = page.items.iter().map(|item| decode_item(form, text, item)).collect::<Result<Vec<T>>>()?;
    let last_evaluated_key = page.last.map(|key| decode_item(form::item, text, &key)).transpose()?;
    let next_token = page.next_token.map(|token| token.to_string());
    Ok(StatementPage {
        items,
        scanned_count: told::count(page.scanned_count),
        next_token,
        last_evaluated_key,
    })
}

fn decode_outcome<T>(form: Form<T>, outcome: Outcome<'_>) -> Result<StatementOutcome<T>> {
    let table = outcome.table.map(|table| table.to_string());
    let item = match outcome.item.map_err(|fault| fault.into_failure()) {
        Ok(None) => Ok(None),
        Ok(Some(item)) => match form::decode(form, table.as_deref().unwrap_or_default(), &item) {
            Ok(item) => Ok(Some(item)),
            Err(ClientError::Database(error)) => Err(error),
            Err(other) => return Err(other),
        },
        Err(Failure::Database(error)) => Err(error),
        Err(Failure::Refused(refusal)) => return Err(refusal.into()),
    };
    Ok(StatementOutcome { table, item })
}

impl DynaMiteClient {
    /// Begins to execute a statement in PartiQL, as DynamoDB's `ExecuteStatement` does; see
    /// [`DynaMite::statement`](dynamite_core::api::DynaMite::statement).
    ///
    /// ```
    /// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
    /// # use dynamite_core::types::KeyType;
    /// # use dynamite_server::DynaMiteClient;
    /// # use serde_json::json;
    /// # let db = DynaMiteClient::connect(&path).await?;
    /// # let music = db.create_table("Music").partition_key("Artist", KeyType::String);
    /// # music.sort_key("SongTitle", KeyType::String).await?;
    /// let insert = "INSERT INTO Music VALUE {'Artist': 'Acme', 'SongTitle': ?}";
    /// db.statement(insert).parameter("Bells").await?;
    /// db.statement(insert).parameter("Rocks").await?;
    ///
    /// let select = "SELECT SongTitle FROM Music WHERE Artist = 'Acme'";
    /// let first = db.statement(select).limit(1).await?;
    /// assert_eq!(first.items, [json!({"SongTitle": "Bells"})]);
    /// let rest = db.statement(select).next_token(&first.next_token.unwrap()).await?;
    /// assert_eq!(rest.items, [json!({"SongTitle": "Rocks"})]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn statement(&self, text: &str) -> ExecuteStatement {
        let statement = Statement { text: text.to_owned().into(), parameters: Vec::new() };
        let terms = StatementTerms { statement, limit: None, next_token: None, consistent: false };
        ExecuteStatement { route: self.route(), faults: Faults::default(), terms }
    }

    /// Begins to execute several statements, each of which may fail for itself.
    pub fn statement_batch(&self) -> StatementBatch {
        StatementBatch { route: self.route(), faults: Faults::default(), terms: BatchTerms::default() }
    }

    /// Begins to execute statements, all or nothing.
    pub fn statement_transaction(&self) -> StatementTransaction {
        StatementTransaction {
            route: self.route(),
            faults: Faults::default(),
            terms: TransactionTerms::default(),
        }
    }
}
