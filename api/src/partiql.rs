//! PartiQL, as DynamoDB has it: statements that read, insert, update and delete items.
//!
//! A statement is read, checked and translated into what the database does anyway: reads of ranges of keys with a filter and a
//! projection, puts, updates and deletes with conditions. Conditions and updates become texts of the [expression](crate::expression)
//! language with placeholders, and are compiled there, so that there is one evaluator, and one place that says which operand of what
//! type goes with which function.
//!
//! [`DynaMite::statement`](crate::api::DynaMite::statement) executes one, and its like several.
//!
//! # Limits
//!
//! A statement has 8192 characters, and 300 operators and functions; a read goes to 50 ranges of keys, and a value has 32 levels.
//! Nothing that reads a statement calls itself for each level of it, so that no text overflows the stack; only what makes a value
//! of a literal does, which has 32 levels at most.
//!
//! # The modules, in reading order
//!
//! `lexer` cuts a text into tokens, of which some are `keywords`; `parse_path`, `parse_expression` and `parse_statement` make the trees of
//! `syntax` of them. `value` makes values of literals and parameters. `condition` translates a WHERE clause, `keys` finds the keys in it,
//! `update` translates what is set and removed, and `columns` what is selected. `error` is what can go wrong.

mod error;

mod keywords;

mod lexer;

mod syntax;

mod parse_path;

mod parse_expression;

mod parse_statement;

mod value;

mod condition;

mod keys;

mod update;

mod columns;

pub use error::{Place, Rule, StatementError};

pub(crate) use columns::columns;
pub(crate) use condition::Translation;
pub(crate) use keys::{Branch, KeyPart, Keys, branches, equalities};
pub(crate) use syntax::{Order, Returning, Statement, StatementKind};

/// Characters of the longest statement.
pub const MAX_STATEMENT_LEN: usize = 8192;

/// The most ranges of keys that one statement reads.
pub(crate) const MAX_READS: usize = 50;

/// The table that a statement names, if it can be read.
pub fn table_of(text: &str) -> Option<String> {
    Statement::parse(text).ok().map(|statement| statement.source.table)
}

/// Whether a statement reads; otherwise it writes, or checks something for others that do.
///
/// # Errors
///
/// Whatever can be known to be wrong without its table.
pub fn reads(text: &str) -> Result<bool, StatementError> {
    Ok(Statement::parse(text)?.is_select())
}

impl Statement {
    /// Reads a statement.
    ///
    /// Cost: linear in its text.
    ///
    /// # Errors
    ///
    /// [`StatementError`]: whatever can be known without its table and its parameters.
    pub(crate) fn parse(text: &str) -> Result<Statement, StatementError> {
        match text.encode_utf16().count() {
            1..=MAX_STATEMENT_LEN => parse_statement::parse(text),
            len => Err(StatementError::Length { len }),
        }
    }
}
