//! Statements of PartiQL, in the database that they are for.

use dynamite_core::Item;
use dynamite_core::api::{Consumed, StatementPage};

use super::Target;
use crate::console::error::Result;

impl Target {
    /// Executes a statement; of one that reads, what is among so many items that are looked at, behind the place of a token.
    pub(crate) fn statement(
        &self,
        text: &str,
        limit: Option<usize>,
        token: Option<&str>,
        consumed: Option<&Consumed>,
    ) -> Result<StatementPage<Item>> {
        macro_rules! told {
            ($builder:expr) => {{
                let mut builder = $builder;
                if let Some(limit) = limit {
                    builder = builder.limit(limit);
                }
                if let Some(token) = token {
                    builder = builder.next_token(token);
                }
                if let Some(consumed) = consumed {
                    builder = builder.consumed(consumed);
                }
                builder.execute_items()
            }};
        }
        match self {
            Target::File(db) => Ok(told!(db.statement(text))?),
            Target::Server { client, .. } => self.wait(client, told!(client.client().statement(text))),
        }
    }

    /// Executes all statements, or none.
    pub(crate) fn transact_statements(&self, statements: &[String]) -> Result<()> {
        macro_rules! told {
            ($builder:expr) => {
                statements
                    .iter()
                    .fold($builder, |builder, text| builder.statement(text, Vec::new()))
                    .execute()
            };
        }
        match self {
            Target::File(db) => drop(told!(db.statement_transaction())?),
            Target::Server { client, .. } => {
                drop(self.wait(client, told!(client.client().statement_transaction()))?);
            }
        }
        Ok(())
    }
}
