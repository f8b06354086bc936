//! `dynamite-console`: a conversation with a database, in a file or at a server's socket.
//!
//! Its language is DynamoDB's operations, a command each, with DynamoDB's expressions in their clauses; `HELP` lists them. PartiQL is
//! handed to the database as it is. It knows no other way to a database than programs have: [`DynaMite`](dynamite_core::api::DynaMite), or a server's client.
//!
//! # Exit codes
//!
//! ```text
//!   0  every statement was done
//!   1  the database refused one
//!   2  one was not understood, or makes no sense where it stands; or the arguments are wrong
//!   3  the database cannot be opened, reached or read, or nobody reads the answers
//!   4  a condition did not hold, or an item had another version
//! 130  interrupted
//! ```
//!
//! # The modules, in reading order
//!
//! `text` is a place in a statement, and what can be read there; `expression`, `parser` and `parse_table` make a `statement` of it,
//! `split` finds where one ends, `time` reads and writes times. `target` is the database, whichever it is; `session` does statements
//! on it, with `transaction` and `pages` (of a `reading`, or of a `selecting` in PartiQL) as what is under way. `answer` is what comes of one, for programs; `describe` makes some
//! of them and `display` draws them for people. `error` is what can go wrong, `help` what there is to say; `batch` and `interactive`
//! are where statements come from, with `complete` for those who type.

mod answer;
mod batch;
mod complete;
mod describe;
mod display;
pub(crate) mod error;
mod expression;
mod help;
mod interactive;
mod output;
mod pages;
pub(crate) mod parse_table;
mod parser;
mod reading;
mod selecting;
mod session;
mod split;
pub(crate) mod statement;
pub(crate) mod target;
pub(crate) mod text;
pub(crate) mod time;
mod transaction;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use dynamite_core::api::DynaMite;
use dynamite_server::client::BlockingClient;
use dynamite_server::default_socket;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::console::batch::Batch;
use crate::console::error::Result;
use crate::console::interactive::{Interactive, default_history};
use crate::console::output::Output;
use crate::console::session::{DEFAULT_PAGE_SIZE, Session};
use crate::console::target::Target;

/// Talks to a DynaMite database: in a file, or at a server's socket.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-console",
    version,
    after_help = "Without FILE and --socket it talks to the server of your user. HELP, as a statement, lists the statements.\n\n\
        Exit codes: 0 done, 1 refused, 2 not understood, 3 no database, 4 a condition did not hold, 130 interrupted."
)]
pub struct Arguments {
    /// The database file.
    pub file: Option<PathBuf>,

    /// The socket of the server that shares the database.
    #[arg(long, short, value_name = "PATH", conflicts_with = "file")]
    pub socket: Option<PathBuf>,

    /// Creates the file if it is not there.
    #[arg(long, requires = "file", conflicts_with = "read_only")]
    pub create: bool,

    /// Opens the file for reading only; others may read it meanwhile.
    #[arg(long, requires = "file")]
    pub read_only: bool,

    /// Does these statements instead of those on the standard input; may be said several times.
    #[arg(long, short, value_name = "STATEMENTS")]
    pub execute: Vec<String>,

    /// Goes on behind a statement that fails.
    #[arg(long)]
    pub keep_going: bool,

    /// Prints each statement before its answer.
    #[arg(long, conflicts_with = "json")]
    pub echo: bool,

    /// Answers with one JSON object a line.
    #[arg(long)]
    pub json: bool,

    /// Where what was typed is remembered (default: dynamite/console_history in $XDG_STATE_HOME or ~/.local/state).
    #[arg(long, value_name = "PATH")]
    pub history_file: Option<PathBuf>,

    /// Remembers nothing of what is typed.
    #[arg(long, conflicts_with = "history_file")]
    pub no_history: bool,

    /// Items in a page.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PAGE_SIZE as u64, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub page_size: u64,

    /// Columns of the screen that tables are to fit (default: those of the terminal; without one, as many as are needed).
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
}

/// Does what the arguments say, and returns the exit code of the process.
pub fn run(arguments: &Arguments) -> u8 {
    let mut output = Output::new(io::stdout(), io::stderr(), arguments.json, width(arguments));
    match converse(arguments, &mut output) {
        Ok(code) => code,
        Err(error) => {
            // If this cannot be said either, the exit code says it.
            let _ = output.failure("", &error, None);
            error.kind().exit_code()
        }
    }
}

fn converse(arguments: &Arguments, output: &mut Output<impl Write, impl Write>) -> Result<u8> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let target = open(arguments, &interrupt)?;
    let page_size = usize::try_from(arguments.page_size).unwrap_or(DEFAULT_PAGE_SIZE);
    let session = Session::new(target, interrupt.clone(), page_size);
    if arguments.execute.is_empty() && io::stdin().is_terminal() {
        let history = arguments.history_file.clone().or_else(default_history);
        let history = history.filter(|_| !arguments.no_history);
        return Interactive { session, output, history, interrupt }.run();
    }
    let idle = Arc::new(AtomicBool::new(false));
    // Whoever waits for input is ended by the signal; who works learns of it, and ends what he does.
    flag::register_conditional_shutdown(SIGINT, 130, idle.clone())?;
    flag::register(SIGINT, interrupt)?;
    let Arguments { execute, keep_going, echo, .. } = arguments;
    let mut batch = Batch { session, output, keep_going: *keep_going, echo: *echo, idle };
    if execute.is_empty() { batch.run(&mut io::stdin().lock()) } else { batch.run_all(execute) }
}

fn open(arguments: &Arguments, interrupt: &Arc<AtomicBool>) -> Result<Target> {
    let Some(file) = &arguments.file else {
        let socket = arguments.socket.clone().unwrap_or_else(default_socket);
        let client = BlockingClient::connect(socket)?;
        return Ok(Target::Server { client, interrupt: interrupt.clone() });
    };
    let builder = DynaMite::builder().read_only(arguments.read_only);
    Ok(Target::File(if arguments.create { builder.open_or_create(file)? } else { builder.open(file)? }))
}

/// The columns of the screen, if there is one.
fn width(arguments: &Arguments) -> Option<usize> {
    let of_terminal = || {
        let stdout = io::stdout();
        let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
        (stdout.is_terminal() && size.ws_col > 0).then_some(usize::from(size.ws_col))
    };
    arguments.width.or_else(of_terminal)
}
