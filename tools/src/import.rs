//! `dynamite-import`: items from files into a table.
//!
//! The input is cut into pieces; several threads make items of them, and one puts them, in batches. A tree takes items many times faster in
//! the order of their keys, in which neighbours go into one page: what does not come in order is sorted, in files if there is much. Of two
//! items with one key the later one stays. An import that was interrupted goes on with `--resume`: what it does twice changes nothing,
//! since a put that is done again puts the same.

mod input;
mod parse;
mod runs;
mod write;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use serde_json::{Value, json};

use crate::console::parse_table;
use crate::console::statement::TableDefinition;
use crate::console::target::Target;
use crate::console::text::Text;
use crate::import::input::Input;
use crate::import::write::Writer;
use crate::progress::byte_bar;
use crate::transfer::checksum::Content;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::place::Access;
use crate::transfer::{Format, PlaceArguments, interrupt, pipeline};

/// Puts the items of a file into a table.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-import",
    version,
    after_help = "Exit codes: 0 done, 1 an item was refused or the input is damaged, 2 wrong arguments, 3 a file or the database cannot be \
        used, 130 interrupted."
)]
pub struct Arguments {
    /// The file, or a directory that DynamoDB's export to S3 wrote; - is the standard input. Files that end with .gz are decompressed.
    pub input: PathBuf,

    /// The database.
    #[command(flatten)]
    pub place: PlaceArguments,

    /// The table.
    #[arg(long, short)]
    pub table: String,

    /// The form of the input (default: what its name says: .jsonl, .csv, .json or a directory for DynamoDB's).
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// Creates the table, and a database file, if they are not there: what stands behind the table's name in the console's
    /// CREATE TABLE, like "(id S, at N) INDEX by_kind (kind S)".
    #[arg(long, value_name = "DEFINITION")]
    pub create: Option<String>,

    /// The type of a column of CSV, like age=N; counts more than its heading's. May be said several times.
    #[arg(long = "type", value_name = "NAME=TYPE")]
    pub types: Vec<String>,

    /// Writes what is no item, or is refused, into this file, and goes on.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Goes on where an import of this input was interrupted.
    #[arg(long, conflicts_with = "restart")]
    pub resume: bool,

    /// Begins anew, although an import of this input was interrupted.
    #[arg(long)]
    pub restart: bool,

    /// Reads the table when all is done, and compares it with the input: for tables that were empty, and inputs without keys that
    /// come twice.
    #[arg(long)]
    pub verify: bool,

    /// Threads that read items (default: one for each processor).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,

    /// Milliseconds after which it is remembered again how far this is: so much is done again after an interruption, and what had been
    /// gathered.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub checkpoint: u64,

    /// Prints what was done as one JSON object, and no progress.
    #[arg(long)]
    pub json: bool,

    /// Shows no progress.
    #[arg(long, short)]
    pub quiet: bool,
}

/// What an import came to.
struct Outcome {
    content: Content,
    reject_count: u64,
    /// What the table held in the end, if it was read.
    verified: Option<Content>,
}

/// Does what the arguments say, and returns the exit code of the process.
pub fn run(arguments: &Arguments) -> u8 {
    let said = match import(arguments) {
        Ok(outcome) => report(arguments, &outcome, &mut io::stdout().lock()).map(|()| exit_code(&outcome)),
        Err(error) => {
            let code = error.exit_code();
            let said = if arguments.json {
                writeln!(io::stdout().lock(), "{}", json!({"error": error.to_string()}))
            } else {
                writeln!(io::stderr().lock(), "dynamite-import: {error}")
            };
            said.map(|()| code)
        }
    };
    said.unwrap_or(3)
}

fn exit_code(outcome: &Outcome) -> u8 {
    let is_other = outcome.verified.is_some_and(|verified| verified != outcome.content);
    u8::from(outcome.reject_count > 0 || is_other)
}

fn report(arguments: &Arguments, outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let Outcome { content, reject_count, verified } = outcome;
    let checksum = content.checksum();
    if arguments.json {
        let verified = verified.map(|verified| {
            json!({"items": verified.item_count, "checksum": verified.checksum().to_string(), "equal": verified == *content})
        });
        let report = json!({
            "table": arguments.table,
            "items": content.item_count,
            "checksum": checksum.to_string(),
            "rejected": reject_count,
            "verified": verified,
        });
        return writeln!(out, "{report}");
    }
    writeln!(out, "{}: {} items, checksum {checksum}", arguments.table, content.item_count)?;
    if *reject_count > 0 {
        writeln!(out, "{reject_count} were rejected")?;
    }
    match verified {
        Some(verified) if verified == content => {
            writeln!(out, "verified: the table holds these and nothing else")
        }
        Some(verified) => {
            let (count, checksum) = (verified.item_count, verified.checksum());
            writeln!(out, "NOT VERIFIED: the table holds {count} items, checksum {checksum}")
        }
        None => Ok(()),
    }
}

fn import(arguments: &Arguments) -> Result<Outcome> {
    let definition = arguments.create.as_ref().map(|text| definition(&arguments.table, text)).transpose()?;
    let format = arguments.format.or_else(|| Format::of_path(&arguments.input)).ok_or_else(|| {
        TransferError::Refused("the input's name does not say its form; say --format".to_owned())
    })?;
    let interrupt = interrupt()?;
    let access = if definition.is_some() { Access::Create } else { Access::Write };
    let target = arguments.place.open(access, &interrupt)?;
    if let Some(definition) = definition {
        match target.create_table(&definition) {
            Err(crate::console::error::ConsoleError::Database(error))
                if matches!(*error, dynamite_core::Error::TableExists { .. }) => {}
            created => created?,
        }
    }
    let keys = target.describe_table(&arguments.table)?.keys;
    let input = Input::open(arguments, format)?;
    let mut writer = Writer::new(arguments, &target, &input, &interrupt)?;
    let bar = byte_bar("read", !arguments.quiet && !arguments.json);
    if let Some(len) = input.len() {
        bar.set_length(len);
    }
    let thread_count = arguments.threads.map_or_else(pipeline::default_thread_count, usize::from);
    let start = writer.start();
    bar.set_position(input.len_before(start));
    pipeline::run(
        thread_count,
        |pieces| input.cut(start, |chunk| pieces.push(chunk)),
        parse::parse(format, &keys),
        |parsed| {
            if interrupt.load(Ordering::Relaxed) {
                writer.save()?;
                return Err(TransferError::Interrupted);
            }
            bar.set_position(input.len_before(parsed.end));
            writer.write(parsed)?;
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    let (content, reject_count) = writer.finish()?;
    let verified =
        if arguments.verify { Some(content_of(&target, &arguments.table, &interrupt)?) } else { None };
    Ok(Outcome { content, reject_count, verified })
}

/// What a table holds.
fn content_of(target: &Target, table: &str, interrupt: &Arc<AtomicBool>) -> Result<Content> {
    let mut content = Content::default();
    target.visit_items(table, None, |item| {
        content.add(&item);
        !interrupt.load(Ordering::Relaxed)
    })?;
    if interrupt.load(Ordering::Relaxed) { Err(TransferError::Interrupted) } else { Ok(content) }
}

/// A table, defined as the console's `CREATE TABLE` defines one.
fn definition(table: &str, text: &str) -> Result<TableDefinition> {
    let statement = format!("TABLE `{}` {text}", table.replace('`', "``"));
    parse_table::create(&mut Text::new(&statement))
        .map_err(|error| TransferError::Refused(format!("--create {text:?}: {error}")))
}

/// A field of what was remembered of an import.
fn field(state: &Value, name: &str) -> u64 {
    state[name].as_u64().unwrap_or(0)
}
