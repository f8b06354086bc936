//! Statements of PartiQL: one, several, all or nothing; those that read, and those that write.

use dynamite_core::AttributeValue;
use dynamite_core::api::{Consumed, Deferred, DynaMite, EncodedItem, IntoAttribute, StatementOutcome};
use dynamite_core::error::{Error, Invalid, Result};
use dynamite_core::item_codec;

use super::build::{count, with_consumed};
use super::reads::bytes;
use crate::protocol::fault::{Failure, Fault};
use crate::protocol::statement::{
    BatchTerms, Outcome, Statement, StatementPage, StatementTerms, TransactionTerms, are_reads,
};
use crate::protocol::text::{Bytes, WireValue};

/// A statement, told what the request says, executed at the database or through its writer.
macro_rules! execute {
    ($target:expr, $terms:expr, $consumed:expr) => {{
        let terms = $terms;
        let mut builder = $target.statement(&terms.statement.text);
        builder = builder.parameters(parameters(&terms.statement)?).consistent(terms.consistent);
        if let Some(limit) = terms.limit {
            builder = builder.limit(count(limit));
        }
        if let Some(token) = &terms.next_token {
            builder = builder.next_token(token);
        }
        Ok(page(with_consumed!(builder, $consumed).execute_encoded()?)?)
    }};
}

/// The same of statements, each for itself.
macro_rules! execute_batch {
    ($target:expr, $terms:expr, $consumed:expr) => {{
        let mut builder = with_consumed!($target.statement_batch(), $consumed);
        for statement in &$terms.statements {
            builder = builder.statement(&statement.text, parameters(statement)?);
        }
        Ok(builder.execute_encoded()?.into_iter().map(outcome).collect())
    }};
}

/// The same of statements, all or nothing.
macro_rules! execute_transaction {
    ($target:expr, $terms:expr, $consumed:expr) => {{
        let mut builder = with_consumed!($target.statement_transaction(), $consumed);
        for (statement, return_old) in &$terms.statements {
            let parameters = parameters(statement)?;
            builder = builder.statement_returning_old(&statement.text, parameters, *return_old);
        }
        if let Some(token) = &$terms.token {
            builder = builder.token(token);
        }
        Ok(builder.execute_encoded()?.into_iter().map(|found| found.map(bytes)).collect())
    }};
}

pub(super) fn read(
    db: &DynaMite,
    terms: &StatementTerms<'_>,
    consumed: Option<&Consumed>,
) -> Result<StatementPage<'static>, Failure> {
    check_reads([&terms.statement])?;
    execute!(db, terms, consumed)
}

pub(super) fn write(
    target: &Deferred<'_>,
    terms: &StatementTerms<'_>,
    consumed: Option<&Consumed>,
) -> Result<StatementPage<'static>, Failure> {
    execute!(target, terms, consumed)
}

pub(super) fn read_batch(
    db: &DynaMite,
    terms: &BatchTerms<'_>,
    consumed: Option<&Consumed>,
) -> Result<Vec<Outcome<'static>>, Failure> {
    check_reads(&terms.statements)?;
    execute_batch!(db, terms, consumed)
}

pub(super) fn write_batch(
    target: &Deferred<'_>,
    terms: &BatchTerms<'_>,
    consumed: Option<&Consumed>,
) -> Result<Vec<Outcome<'static>>, Failure> {
    execute_batch!(target, terms, consumed)
}

pub(super) fn read_transaction(
    db: &DynaMite,
    terms: &TransactionTerms<'_>,
    consumed: Option<&Consumed>,
) -> Result<Vec<Option<Bytes<'static>>>, Failure> {
    check_reads(terms.statements.iter().map(|(statement, _)| statement))?;
    execute_transaction!(db, terms, consumed)
}

pub(super) fn write_transaction(
    target: &Deferred<'_>,
    terms: &TransactionTerms<'_>,
    consumed: Option<&Consumed>,
) -> Result<Vec<Option<Bytes<'static>>>, Failure> {
    execute_transaction!(target, terms, consumed)
}

/// Readers do not write, whatever a client says that it sends.
fn check_reads<'t>(statements: impl IntoIterator<Item = &'t Statement<'t>>) -> Result<(), Failure> {
    match are_reads(statements.into_iter().map(|statement| &*statement.text)) {
        true => Ok(()),
        false => Err(Error::from(Invalid::Setting("what writes was sent as what reads".to_owned())).into()),
    }
}

fn parameters(statement: &Statement<'_>) -> Result<Vec<AttributeValue>> {
    statement.parameters.iter().map(<&WireValue<'_>>::into_attribute).collect()
}

fn page(page: dynamite_core::api::StatementPage<EncodedItem<'static>>) -> Result<StatementPage<'static>> {
    let last = page.last_evaluated_key.map(|key| item_codec::encode(&key)).transpose()?;
    Ok(StatementPage {
        items: page.items.into_iter().map(bytes).collect(),
        scanned_count: page.scanned_count as u64,
        next_token: page.next_token.map(Into::into),
        last: last.map(Bytes::from),
    })
}

fn outcome(outcome: StatementOutcome<EncodedItem<'static>>) -> Outcome<'static> {
    let item = outcome.item.map(|item| item.map(bytes));
    Outcome { table: outcome.table.map(Into::into), item: item.map_err(|error| Fault::of(error.into())) }
}
