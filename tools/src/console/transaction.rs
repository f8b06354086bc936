//! What stands between `BEGIN` and `COMMIT`: actions that are collected, and sent as one; or statements of PartiQL, which are sent by
//! themselves.

use crate::console::error::{ConsoleError, Result};
use crate::console::statement::{Check, Delete, Put, Update};

/// What was said so far. One of the two is empty.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) actions: Vec<Action>,
    /// In PartiQL.
    pub(crate) statements: Vec<String>,
}

impl Transaction {
    pub(crate) fn add_action(&mut self, action: Action) -> Result<()> {
        check_one_language(self.statements.is_empty())?;
        self.actions.push(action);
        Ok(())
    }

    pub(crate) fn add_statement(&mut self, text: String) -> Result<()> {
        check_one_language(self.actions.is_empty())?;
        self.statements.push(text);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.actions.len() + self.statements.len()
    }
}

fn check_one_language(is_one: bool) -> Result<()> {
    match is_one {
        true => Ok(()),
        false => {
            let message = "a transaction is said in one language, PartiQL or the console's own";
            Err(ConsoleError::Misplaced(message.to_owned()))
        }
    }
}

/// Something to be done in a table.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) table: String,
    pub(crate) write: Write,
}

#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put(Put),
    Update(Update),
    Delete(Delete),
    Check(Check),
}
