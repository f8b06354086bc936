//! What the operator's programs have in common: their exit codes, how arguments are taken, and how each of them prints its own
//! manual page and the completions for shells.
//!
//! # Exit codes
//!
//! ```text
//! 0  it was done; nothing was found
//! 1  warnings, or something was repaired: nothing stored is affected
//! 2  damage
//! 3  it could not be done: no such file, not ours, locked, not readable, wrong arguments
//! ```
//!
//! # Generated texts
//!
//! `PROGRAM --generate WHAT`, which `--help` does not list, prints what is installed beside the program: `man` a manual page
//! (`man SUBCOMMAND` that of a subcommand), `bash`, `elvish`, `fish`, `powershell` and `zsh` completions.

use std::ffi::OsString;
use std::io::{self, Write, stderr, stdout};
use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser};
use clap_complete::Shell;
use clap_mangen::Man;
use dynamite_core::Error;
use dynamite_pager::{Finding, PagerError, Severity};
use dynamite_server::ClientError;
use dynamite_txn::TxnError;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// Nothing stored is affected.
    Warnings,
    /// Something stored is damaged, or about to be.
    Damage,
    /// It could not be done.
    CannotRead,
}

impl Verdict {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Clean => 0,
            Verdict::Warnings => 1,
            Verdict::Damage => 2,
            Verdict::CannotRead => 3,
        }
    }

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Warnings => "warnings",
            Verdict::Damage => "damage",
            Verdict::CannotRead => "cannot check",
        }
    }

    /// What findings say about a file.
    pub fn of_findings<'a>(findings: impl Iterator<Item = &'a Finding>) -> Verdict {
        match findings.map(Finding::severity).max() {
            None => Verdict::Clean,
            Some(Severity::Warning) => Verdict::Warnings,
            Some(Severity::Damage) => Verdict::Damage,
        }
    }
}

/// Why a program could not do what it was asked, and what that says about the file.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The file is damaged, or it could not be looked at.
    pub verdict: Verdict,
    /// The reason.
    pub message: String,
}

impl Failure {
    /// It could not be done.
    pub fn new(message: impl ToString) -> Failure {
        Failure { verdict: Verdict::CannotRead, message: message.to_string() }
    }
}

impl From<PagerError> for Failure {
    fn from(error: PagerError) -> Failure {
        let verdict = match &error {
            PagerError::Corrupt { .. }
            | PagerError::Malformed { .. }
            | PagerError::NoValidHeader { .. }
            | PagerError::Truncated { .. } => Verdict::Damage,
            _ => Verdict::CannotRead,
        };
        Failure { verdict, message: error.to_string() }
    }
}

impl From<TxnError> for Failure {
    fn from(error: TxnError) -> Failure {
        match error {
            TxnError::Tree(dynamite_bptree::TreeError::Pager(error)) => error.into(),
            TxnError::Damaged { .. } | TxnError::Tree(_) => {
                Failure { verdict: Verdict::Damage, message: error.to_string() }
            }
            _ => Failure::new(error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let verdict = match &error {
            Error::Corrupt { .. } | Error::DamagedItem { .. } => Verdict::Damage,
            _ => Verdict::CannotRead,
        };
        Failure { verdict, message: error.to_string() }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Database(error) => error.into(),
            other => Failure::new(other),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::new(format!("cannot print the report: {error}"))
    }
}

/// The `main` of a program: takes its arguments, and ends with the exit code of what it came to.
pub fn main<A: Parser + CommandFactory>(
    run: impl FnOnce(&A, &mut dyn Write) -> Result<Verdict, Failure>,
) -> ExitCode {
    if let Some(code) = generated::<A>() {
        return code;
    }
    let name = A::command().get_name().to_owned();
    // Wrong arguments must not look like damage.
    let arguments = match A::try_parse_from(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let code = if error.use_stderr() { Verdict::CannotRead.exit_code() } else { 0 };
            return ExitCode::from(code);
        }
    };
    match run(&arguments, &mut stdout().lock()) {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(failure) => end(&name, &failure),
    }
}

/// Prints what `--generate` asks for, if the process was started for that. For programs with exit codes of their own.
pub fn generated<A: CommandFactory>() -> Option<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_none_or(|first| first != "--generate") {
        return None;
    }
    let what: Vec<String> =
        arguments[2..].iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let name = A::command().get_name().to_owned();
    Some(match generate(A::command(), &what, &mut stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&name, &Failure::new(error)),
    })
}

fn end(name: &str, failure: &Failure) -> ExitCode {
    let _ = writeln!(stderr(), "{name}: {}", failure.message);
    ExitCode::from(failure.verdict.exit_code())
}

/// Prints a manual page, or the completions for a shell.
fn generate(mut command: Command, what: &[String], out: &mut dyn Write) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let what: Vec<&str> = what.iter().map(String::as_str).collect();
    match what[..] {
        ["man"] => Man::new(command).render(&mut &mut *out),
        ["man", subcommand] => {
            let found = command.find_subcommand(subcommand).cloned();
            let found =
                found.ok_or_else(|| io::Error::other(format!("there is no subcommand {subcommand}")))?;
            let found = found.display_name(format!("{name}-{subcommand}"));
            Man::new(found.disable_help_subcommand(true)).render(&mut &mut *out)
        }
        [shell] if shell.parse::<Shell>().is_ok() => {
            let shell: Shell = shell.parse().map_err(io::Error::other)?;
            // What is generated goes to memory first: the generator takes a failing writer for a bug.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut text);
            out.write_all(&text)
        }
        _ => Err(io::Error::other(
            "--generate takes man, man SUBCOMMAND, bash, elvish, fish, powershell or zsh",
        )),
    }
}
