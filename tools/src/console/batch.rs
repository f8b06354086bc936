//! Statements from arguments, or from an input that is no terminal.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::console::error::{ConsoleError, Result};
use crate::console::output::Output;
use crate::console::session::Session;
use crate::console::split::{joined, split_first};

/// Does statements until one fails, or all.
pub(crate) struct Batch<'o, O, E> {
    pub(crate) session: Session,
    pub(crate) output: &'o mut Output<O, E>,
    /// Whether to go on behind one that fails.
    pub(crate) keep_going: bool,
    /// Whether each statement is printed before its answer.
    pub(crate) echo: bool,
    /// Says that input is waited for.
    pub(crate) idle: Arc<AtomicBool>,
}

impl<O: Write, E: Write> Batch<'_, O, E> {
    /// Does the statements of an input, each as soon as it is there. Returns the exit code.
    pub(crate) fn run(&mut self, input: &mut impl BufRead) -> Result<u8> {
        let (mut first, mut read) = (None, String::new());
        loop {
            self.idle.store(true, Ordering::Relaxed);
            let len = input.read_line(&mut read);
            self.idle.store(false, Ordering::Relaxed);
            if len? == 0 {
                // What is left is what goes on behind the end; the parser says what is missing.
                self.statement(&read, &mut first)?;
                return self.end(first);
            }
            while let Some((statement, rest)) = split_first(&read) {
                if self.statement(statement, &mut first)? {
                    return self.end(first);
                }
                read = rest.to_owned();
            }
        }
    }

    /// Does the statements of several texts. Returns the exit code.
    pub(crate) fn run_all(&mut self, texts: &[String]) -> Result<u8> {
        let mut first = None;
        for text in texts {
            let mut left = &text[..];
            while !left.is_empty() {
                let (statement, rest) = split_first(left).unwrap_or((left, ""));
                if self.statement(statement, &mut first)? {
                    return self.end(first);
                }
                left = rest;
            }
        }
        self.end(first)
    }

    /// Does one statement; `first` is the exit code of the first that failed. Returns whether that was the last one.
    fn statement(&mut self, statement: &str, first: &mut Option<u8>) -> Result<bool> {
        if is_empty(statement) {
            return Ok(false);
        }
        if self.echo {
            self.output.echo(statement)?;
        }
        let statement = joined(statement);
        let Batch { session, output, .. } = self;
        let done = session.execute(&statement, &mut |answer| Ok(output.answer(answer)?));
        let Err((error, position)) = done else { return Ok(self.session.is_over()) };
        first.get_or_insert(error.kind().exit_code());
        if let ConsoleError::Output(_) = error {
            return Err(error);
        }
        self.output.failure(&statement, &error, position)?;
        Ok(!self.keep_going || matches!(error, ConsoleError::Interrupted))
    }

    /// The exit code when there are no more statements.
    fn end(&mut self, first: Option<u8>) -> Result<u8> {
        if self.session.is_in_transaction() && first.is_none() {
            let message = "the statements end within a transaction, which is forgotten; COMMIT is missing";
            return Err(ConsoleError::Misplaced(message.to_owned()));
        }
        Ok(first.unwrap_or(0))
    }
}

/// Whether a text is nothing but space and comments.
pub(crate) fn is_empty(statement: &str) -> bool {
    crate::console::text::Text::new(statement).is_at_end()
}
