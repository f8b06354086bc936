//! The command line: what it takes, and which verb does what.
//!
//! It ends with 0 if all is well, 1 for an error, 3 if what was asked for is not there, 4 for a conflict of versions.

mod doctor;
mod print;
mod verbs;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::error::Result;
use crate::owner;
use crate::request::{Mode, Scope};

/// Remembers for coding agents: an MCP server, a command line, and hooks. Without a command it is the MCP server on the standard streams.
#[derive(Debug, Parser)]
#[command(name = "dynamite-memory", version)]
pub(crate) struct Cli {
    /// The file [default: $XDG_DATA_HOME/dynamite/memory.db]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) db: Option<PathBuf>,

    /// Prints JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The project's directory [default: $CLAUDE_PROJECT_DIR, or where this is run]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) project: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Serves MCP, on the standard streams or over HTTP
    Mcp(Mcp),
    /// Stores or corrects one fact
    Remember(RememberArgs),
    /// Searches, or lists a category
    Recall(RecallArgs),
    /// Shows the categories, or the keys of one
    Discover(DiscoverArgs),
    /// Deletes one memory, or all below a path
    Forget(ForgetArgs),
    /// Shows what a memory was
    History(Name),
    /// Makes a memory what it was, or brings a forgotten one back
    Restore(RestoreArgs),
    /// Brings memories in from elsewhere
    Import(ImportArgs),
    /// Takes memories out
    Export(ExportArgs),
    /// Removes what has expired, and what was forgotten long ago
    Gc {
        /// Makes the search index anew as well
        #[arg(long)]
        reindex: bool,
    },
    /// Counts what there is
    Stats,
    /// Finds what is wrong with the installation, and says what helps
    Doctor,
    /// Does what an editor's hook does; reads the event from the standard input
    Hook {
        /// SessionStart, UserPromptSubmit, PreCompact, PostCompact or SessionEnd
        event: String,
    },
    /// Owns the file for all others
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        socket: Option<PathBuf>,
        #[arg(long, value_name = "SECONDS", default_value_t = owner::IDLE_EXIT.as_secs())]
        idle_exit: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// Over HTTP at this address: 127.0.0.1:7337, say
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<SocketAddr>,
    /// The file with the token that clients must send; made if there is none [default: beside the database, .token]
    #[arg(long, value_name = "FILE", requires = "http")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RememberArgs {
    pub(crate) category: String,
    pub(crate) key: String,
    /// The text; read from the standard input if it is missing or -
    pub(crate) content: Option<String>,
    /// A word that it is found by; may be given several times
    #[arg(long = "tag", value_name = "WORD")]
    pub(crate) tags: Vec<String>,
    /// 0 to 3; 3 is shown at the start of every session
    #[arg(long)]
    pub(crate) importance: Option<u8>,
    /// How long it is kept: 24h, 7d, 2w
    #[arg(long)]
    pub(crate) ttl: Option<String>,
    /// Where it holds
    #[arg(long, value_enum)]
    pub(crate) scope: Option<ScopeArg>,
    /// What becomes of what is there
    #[arg(long, value_enum)]
    pub(crate) mode: Option<ModeArg>,
    /// Only if it has this version; 0 for none
    #[arg(long)]
    pub(crate) if_version: Option<u64>,
    /// Stores the text without its secrets instead of refusing it
    #[arg(long)]
    pub(crate) redact: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecallArgs {
    /// A question, or words
    pub(crate) query: Vec<String>,
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// Only keys that begin so
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    #[arg(long)]
    pub(crate) max_tokens: Option<usize>,
    /// Where an earlier answer ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    #[arg(long, value_enum)]
    pub(crate) scope: Option<ScopeArg>,
}

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    pub(crate) category: Option<String>,
    /// Only keys that begin so
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Segments behind the prefix, 1 to 4
    #[arg(long)]
    pub(crate) depth: Option<usize>,
    /// Where an earlier answer ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    pub(crate) category: String,
    pub(crate) key: Option<String>,
    /// The path above those that are meant
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// All below the path
    #[arg(long)]
    pub(crate) recursive: bool,
    /// Only if it has this version
    #[arg(long)]
    pub(crate) if_version: Option<u64>,
    /// Leaves nothing of it
    #[arg(long)]
    pub(crate) purge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Name {
    pub(crate) category: String,
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    pub(crate) category: String,
    pub(crate) key: String,
    /// The version [default: the newest that is not the present one]
    #[arg(long)]
    pub(crate) version: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[arg(value_enum)]
    pub(crate) format: ImportFormat,
    /// The file, or the directory; - for the standard input
    pub(crate) path: PathBuf,
    /// Where it is to hold [default: in the project; JSON lines say it themselves]
    #[arg(long, value_enum)]
    pub(crate) scope: Option<ScopeArg>,
    /// Stores texts without their secrets instead of refusing them
    #[arg(long)]
    pub(crate) redact: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[arg(value_enum)]
    pub(crate) format: ExportFormat,
    /// The file [default: the standard output]
    pub(crate) path: Option<PathBuf>,
    /// Only of this scope [default: of the project and of what holds everywhere]
    #[arg(long, value_enum)]
    pub(crate) scope: Option<ScopeArg>,
    /// Of all projects
    #[arg(long, conflicts_with = "scope")]
    pub(crate) all: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ImportFormat {
    /// The JSON lines of the reference server
    ServerMemory,
    /// CLAUDE.md, or another file of Markdown
    ClaudeMd,
    /// A directory of notes
    MemoryDir,
    /// The JSON lines of export
    Jsonl,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// All that is known, a line each
    Jsonl,
    /// The JSON lines of the reference server
    ServerMemory,
    /// To be read
    Markdown,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ScopeArg {
    /// In the project
    Project,
    /// Everywhere
    Global,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Scope {
        match scope {
            ScopeArg::Project => Scope::Project,
            ScopeArg::Global => Scope::Global,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeArg {
    /// It is replaced, and kept in the history
    Upsert,
    /// It is an error that something is there
    Create,
    /// The text is added at its end
    Append,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Mode {
        match mode {
            ModeArg::Upsert => Mode::Upsert,
            ModeArg::Create => Mode::Create,
            ModeArg::Append => Mode::Append,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody may be there to read it.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            print::error(cli.json, &error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: &Cli) -> Result<ExitCode> {
    if let Some(Verb::Serve { socket, idle_exit }) = &cli.verb {
        return Ok(serve(cli, socket.as_ref(), *idle_exit));
    }
    let mcp = Verb::Mcp(Mcp { http: None, token_file: None });
    let verb = match &cli.verb {
        Some(verb) => verb,
        None if io::stdin().is_terminal() => &Verb::Doctor,
        None => &mcp,
    };
    if cli.verb.is_none() && matches!(verb, Verb::Doctor) {
        let _ = Cli::command().print_help();
        let _ = writeln!(io::stdout());
    }
    // A server has many requests at once; all else has one, and no thread to wake for it.
    let runtime = match verb {
        Verb::Mcp(_) => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime.map_err(|error| crate::error::MemoryError::Failed(error.to_string()))?;
    let code = runtime.block_on(verbs::run(cli, verb));
    // The standard input may have a reader that nothing wakes.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

fn serve(cli: &Cli, socket: Option<&PathBuf>, idle_exit: u64) -> ExitCode {
    let place = match (&cli.db, socket) {
        (Some(db), Some(socket)) => Ok((db.clone(), socket.clone())),
        (db, _) => crate::place::Place::of(db.as_deref()).map(|place| (place.db, place.socket)),
    };
    let (db, socket) = match place {
        Ok(place) => place,
        Err(error) => {
            print::error(false, &error);
            return ExitCode::FAILURE;
        }
    };
    match owner::serve(&db, &socket, Duration::from_secs(idle_exit)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
