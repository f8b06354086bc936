//! `dynamite-export`: the items of a table into files.
//!
//! They are read from one snapshot, in the order of their keys; several threads write them as text, and one writes that to the output, in order.
//! What is written is complete when the output has its name: until then it is `OUTPUT.partial`, or lacks its manifests. An export that was
//! interrupted goes on with `--resume`, behind the last item that is surely in the output, and with a snapshot of its own: what comes
//! behind the interruption is as it stands then. If that does not fit the columns of CSV, which are those of the beginning, it ends there.

mod output;
mod render;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use dynamite_core::Item;
use dynamite_core::api::EncodedItem;
use dynamite_core::types::{KeyAttribute, KeySchema};
use serde_json::json;

use crate::console::error::ConsoleError;
use crate::export::output::Output;
use crate::export::render::{Rendered, Renderer};
use crate::progress::progress_bar;
use crate::transfer::checksum::Content;
use crate::transfer::columns::{Columns, Survey};
use crate::transfer::error::{Result, TransferError};
use crate::transfer::place::{Access, State};
use crate::transfer::{Format, PlaceArguments, interrupt, pipeline};

/// Bytes of stored items, and items, that one thread renders at a time.
const PIECE_BYTES: usize = 256 << 10;
const PIECE_ITEMS: usize = 1000;

/// Writes the items of a table into a file.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-export",
    version,
    after_help = "Exit codes: 0 done, 1 the database refused, 2 wrong arguments, 3 a file or the database cannot be used, 130 interrupted."
)]
pub struct Arguments {
    /// The file; - is the standard output. For DynamoDB's form, a directory, into which it goes as DynamoDB's export to S3 writes it.
    /// What ends with .gz is compressed.
    pub output: PathBuf,

    /// The database.
    #[command(flatten)]
    pub place: PlaceArguments,

    /// The table.
    #[arg(long, short)]
    pub table: String,

    /// The form of the output (default: what its name says: .jsonl, .csv, or DynamoDB's for a directory).
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// Goes on where an export to this output was interrupted.
    #[arg(long, conflicts_with = "restart")]
    pub resume: bool,

    /// Begins anew, although an export to this output was interrupted.
    #[arg(long)]
    pub restart: bool,

    /// Items in each data file of DynamoDB's form.
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub file_items: u64,

    /// Threads that write items as text (default: one for each processor).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,

    /// Milliseconds after which it is remembered again how far this is: so much is done again after an interruption.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub checkpoint: u64,

    /// Prints what was done as one JSON object on the standard error if the output is the standard output, and no progress.
    #[arg(long)]
    pub json: bool,

    /// Shows no progress.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Does what the arguments say, and returns the exit code of the process.
pub fn run(arguments: &Arguments) -> u8 {
    let (said, code) = match export(arguments) {
        Ok(content) => {
            let (count, checksum) = (content.item_count, content.checksum().to_string());
            let report = json!({"table": arguments.table, "items": count, "checksum": checksum});
            let text = format!("{}: {count} items, checksum {checksum}", arguments.table);
            (if arguments.json { report.to_string() } else { text }, 0)
        }
        Err(error) if arguments.json => (json!({"error": error.to_string()}).to_string(), error.exit_code()),
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "dynamite-export: {error}");
            return error.exit_code();
        }
    };
    // Where the items went, nothing else goes.
    let written = if arguments.output.as_os_str() == "-" {
        writeln!(io::stderr().lock(), "{said}")
    } else {
        writeln!(io::stdout().lock(), "{said}")
    };
    written.map_or(3, |()| code)
}

fn export(arguments: &Arguments) -> Result<Content> {
    let format = arguments.format.or_else(|| Format::of_path(&arguments.output));
    let format = format.ok_or_else(|| {
        TransferError::Refused("the output's name does not say its form; say --format".to_owned())
    })?;
    let interrupt = interrupt()?;
    let target = arguments.place.open(Access::Read, &interrupt)?;
    let table = target.describe_table(&arguments.table)?;
    let mut output = Output::open(arguments, format, &target)?;
    // One for both looks at the items, so that the second finds those for which the first has found the columns.
    let state = target.state()?;
    let renderer = match format {
        Format::Jsonl => Renderer::Jsonl,
        Format::Dynamodb => Renderer::Dynamodb,
        Format::Csv => {
            let columns = match output.columns() {
                Some(columns) => columns,
                None => survey(&state, &arguments.table, &table.keys, &interrupt)?,
            };
            output.head(&columns)?;
            Renderer::Csv(columns)
        }
    };
    let is_compressed = output.is_compressed();
    let bar = progress_bar("items", !arguments.quiet && !arguments.json);
    bar.set_length(table.item_count);
    bar.set_position(output.content().item_count);
    let thread_count = arguments.threads.map_or_else(pipeline::default_thread_count, usize::from);
    let after = output.after().cloned();
    let count = output.content().item_count;
    pipeline::run(
        thread_count,
        |pieces| {
            let mut cutter = Cutter { count, file_items: arguments.file_items, piece: Vec::new(), bytes: 0 };
            produce(&state, &arguments.table, after.as_ref(), &mut cutter, |piece| pieces.push(piece))
        },
        |items: Vec<EncodedItem<'static>>| renderer.render(&items, &table.keys, is_compressed),
        |rendered: Result<Rendered>| {
            if interrupt.load(Ordering::Relaxed) {
                output.save()?;
                return Err(TransferError::Interrupted);
            }
            output.write(rendered?)?;
            bar.set_position(output.content().item_count);
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    output.finish()
}

/// Cuts the items of a table into pieces, none of which belongs to two data files.
struct Cutter {
    /// Items so far, in this export and in the one that it goes on with.
    count: u64,
    file_items: u64,
    piece: Vec<EncodedItem<'static>>,
    bytes: usize,
}

impl Cutter {
    /// Takes an item, and returns a piece if it is complete.
    fn add(&mut self, item: EncodedItem<'static>) -> Option<Vec<EncodedItem<'static>>> {
        self.bytes += item.as_bytes().len();
        self.count += 1;
        self.piece.push(item);
        let is_complete = self.bytes >= PIECE_BYTES
            || self.piece.len() == PIECE_ITEMS
            || self.count.is_multiple_of(self.file_items);
        is_complete.then(|| {
            self.bytes = 0;
            std::mem::take(&mut self.piece)
        })
    }
}

/// Reads a table in pieces.
fn produce(
    state: &State<'_>,
    table: &str,
    after: Option<&Item>,
    cutter: &mut Cutter,
    mut push: impl FnMut(Vec<EncodedItem<'static>>) -> bool,
) -> Result<()> {
    let mut wanted = true;
    state.visit_items(table, after, |item| {
        if let Some(piece) = cutter.add(item) {
            wanted = push(piece);
        }
        wanted
    })?;
    if wanted && !cutter.piece.is_empty() {
        // If nobody wants it, whoever did not says why.
        let _ = push(std::mem::take(&mut cutter.piece));
    }
    Ok(())
}

/// Looks at all items, to find the columns that they need.
fn survey(state: &State<'_>, table: &str, keys: &KeySchema, interrupt: &AtomicBool) -> Result<Columns> {
    let mut survey = Survey::default();
    let mut damage = None;
    state.visit_items(table, None, |item| {
        damage = survey.add(&item).err();
        damage.is_none() && !interrupt.load(Ordering::Relaxed)
    })?;
    if interrupt.load(Ordering::Relaxed) {
        return Err(ConsoleError::Interrupted.into());
    }
    damage.map_or(Ok(()), |damage| Err(dynamite_core::Error::Decode(damage.to_string())))?;
    Ok(survey.columns(keys.attributes().map(KeyAttribute::name)))
}
