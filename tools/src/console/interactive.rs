//! Statements from a person at a terminal: a line that can be edited, with a history and completion.
//!
//! A statement may have several lines, by the rules of `split`. Ctrl-C gives a line up, and stops a statement that runs; Ctrl-D on an
//! empty line ends the conversation.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::console::batch::is_empty;
use crate::console::complete::{Known, complete};
use crate::console::error::{ConsoleError, Result};
use crate::console::output::Output;
use crate::console::session::Session;
use crate::console::split::{joined, split_first};

/// Lines that the history keeps.
const HISTORY_LEN: usize = 10_000;

/// Tables whose keys and indexes are looked up for completion, at most: it must not be felt.
const MAX_DESCRIBED: usize = 100;

/// A conversation at a terminal.
pub(crate) struct Interactive<'o, O, E> {
    pub(crate) session: Session,
    pub(crate) output: &'o mut Output<O, E>,
    /// Where the history is kept, if it is.
    pub(crate) history: Option<PathBuf>,
    /// Is to be set when Ctrl-C is pressed.
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl<O: Write, E: Write> Interactive<'_, O, E> {
    /// Converses until the user has had enough.
    pub(crate) fn run(mut self) -> Result<u8> {
        let known = Rc::new(RefCell::new(Known::default()));
        let config = Config::builder()
            .max_history_size(HISTORY_LEN)
            .and_then(|builder| builder.history_ignore_dups(true))
            .map_err(unreadable)?
            .completion_type(CompletionType::List)
            .auto_add_history(true)
            .build();
        let mut editor: Editor<Typing, FileHistory> = Editor::with_config(config).map_err(unreadable)?;
        // The editor has put a handler of its own in place, which is called besides.
        flag::register(SIGINT, self.interrupt.clone())?;
        editor.set_helper(Some(Typing { known: known.clone() }));
        self.load_history(&mut editor);
        while !self.session.is_over() {
            self.look_around(&mut known.borrow_mut());
            match editor.readline(&self.prompt()) {
                Ok(typed) => self.statements(&typed, &known)?,
                // Also one that came while a statement ran, and the editor sees only now.
                Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {}
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(unreadable(error)),
            }
        }
        if self.session.is_in_transaction() {
            self.output.notice("the transaction is forgotten")?;
        }
        self.save_history(&mut editor);
        Ok(0)
    }

    /// Says which table is meant where none is named, and with a star that a transaction is being collected.
    fn prompt(&self) -> String {
        let table = self.session.table().map_or(String::new(), |table| format!(" {table}"));
        let star = if self.session.is_in_transaction() { "*" } else { "" };
        format!("dynamite{table}{star}> ")
    }

    fn statements(&mut self, typed: &str, known: &RefCell<Known>) -> Result<()> {
        let mut left = typed;
        while !left.is_empty() && !self.session.is_over() {
            let (statement, rest) = split_first(left).unwrap_or((left, ""));
            left = rest;
            if is_empty(statement) {
                continue;
            }
            let statement = joined(statement);
            let Interactive { session, output, .. } = self;
            let done = session.execute(&statement, &mut |answer| {
                known.borrow_mut().learn(&answer);
                Ok(output.answer(answer)?)
            });
            match done {
                Ok(()) => {}
                Err((error @ ConsoleError::Output(_), _)) => return Err(error),
                Err((error, position)) => {
                    self.output.failure(&statement, &error, position)?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Learns the names of tables, and of what belongs to them. What cannot be learned is not completed.
    fn look_around(&self, known: &mut Known) {
        let Ok(tables) = self.session.target.list_tables() else { return };
        if tables == known.tables {
            return;
        }
        for description in
            tables.iter().take(MAX_DESCRIBED).flat_map(|table| self.session.target.describe_table(table))
        {
            let keys = description.indexes.iter().map(|index| &index.keys).chain([&description.keys]);
            known.attributes.extend(keys.flat_map(|keys| keys.attributes()).map(|key| key.name().to_owned()));
            known.indexes.extend(description.indexes.iter().map(|index| index.name.clone()));
        }
        known.tables = tables;
    }

    /// A history that is not there yet is empty. One that cannot be read is left alone, and nothing is kept.
    fn load_history(&mut self, editor: &mut Editor<Typing, FileHistory>) {
        let Some(path) = self.history.clone() else { return };
        if let Some(directory) = path.parent() {
            let _ = fs::create_dir_all(directory);
        }
        if path.exists() && editor.load_history(&path).is_err() {
            self.history = None;
            let _ = self
                .output
                .notice(&format!("the history in {} cannot be read; none is kept", path.display()));
        }
    }

    fn save_history(&mut self, editor: &mut Editor<Typing, FileHistory>) {
        let Some(path) = self.history.clone() else { return };
        // Others may have added to it meanwhile.
        if let Err(error) = editor.append_history(&path) {
            let _ = self.output.notice(&format!("the history cannot be kept in {}: {error}", path.display()));
        }
    }
}

/// Where the history is kept if nothing else is said: where the user's state is.
pub(crate) fn default_history() -> Option<PathBuf> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = directory("XDG_STATE_HOME").or_else(|| Some(directory("HOME")?.join(".local/state")))?;
    Some(state.join(Path::new("dynamite/console_history")))
}

fn unreadable(error: ReadlineError) -> ConsoleError {
    let error = match error {
        ReadlineError::Io(error) => error,
        error => std::io::Error::other(error),
    };
    ConsoleError::Terminal(error)
}

/// What helps to type.
struct Typing {
    known: Rc<RefCell<Known>>,
}

impl Helper for Typing {}

impl Hinter for Typing {
    type Hint = String;
}

impl Highlighter for Typing {}

impl Completer for Typing {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let (begin, mut found) = complete(&line[..at], &self.known.borrow());
        if let [only] = &mut found[..] {
            // The next word may follow.
            only.push(' ');
        }
        Ok((begin, found))
    }
}

impl Validator for Typing {
    /// A statement that goes on behind its line wants another one.
    fn validate(&self, typed: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let ended = format!("{}\n", typed.input());
        let mut left = &ended[..];
        while let Some((_, rest)) = split_first(left) {
            left = rest;
        }
        let is_whole = left.is_empty();
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}
