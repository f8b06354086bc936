//! Tables that pretend that they are being created, since programs should be tested with a service that takes its time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dynamite_core::error::Error;
use dynamite_core::partiql;

use crate::dynamodb::errors::{Answer, Failure};

/// The tables, and until when.
#[derive(Debug, Default)]
pub(crate) struct Creating(Mutex<BTreeMap<String, Instant>>);

impl Creating {
    /// A table was created.
    pub(crate) fn add(&self, table: &str, time: Duration) {
        if time > Duration::ZERO {
            self.tables().insert(table.to_owned(), Instant::now() + time);
        }
    }

    /// Whether a table still pretends.
    pub(crate) fn contains(&self, table: &str) -> bool {
        let mut tables = self.tables();
        let Some(until) = tables.get(table) else { return false };
        if *until > Instant::now() {
            return true;
        }
        tables.remove(table);
        false
    }

    /// Refuses an operation on the items of a table that pretends not to be there yet.
    pub(crate) fn check(&self, table: &str) -> Answer<()> {
        match self.contains(table) {
            true => Err(Error::TableNotFound { table: table.to_owned() }.into()),
            false => Ok(()),
        }
    }

    /// The same, of the table that a statement names.
    pub(crate) fn check_statement(&self, statement: &str) -> Answer<()> {
        if self.tables().is_empty() {
            return Ok(());
        }
        partiql::table_of(statement).map_or(Ok(()), |table| self.check(&table))
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        // Nothing panics between two halves of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table that is being created cannot be dropped.
pub(crate) fn in_use(table: &str) -> Failure {
    Failure::in_use(format!(
        "Attempt to change a resource which is still in use: Table is being created: {table}"
    ))
}
