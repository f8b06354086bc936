//! `dynamite-copy`: a table from a DynamoDB endpoint into the database, and from there to an endpoint. Only with the feature `endpoint`.
//!
//! The endpoint is DynamoDB itself, or whatever speaks its protocol; region, credentials and URL are found as the AWS CLI finds them. The table is
//! made where it is not there, with its indexes. Of the endpoint several segments are read at once, each page of which is put in one piece; to it
//! several batches are written at once, which are remembered in the order of the keys. Either way what is done twice changes nothing, since a
//! put that is done again puts the same. `verify` reads both tables, and says whether they hold the same items.
//!
//! `endpoint` is the connection, `table` and `value` are what of its types ours are, `scan` and `batch` how items are read and written, at a
//! `rate`; `from`, `to` and `verify` are what can be done, and `progress` remembers how far that is.

mod batch;
mod endpoint;
mod error;
mod from;
mod progress;
mod rate;
mod scan;
mod table;
mod to;
mod value;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::copy::error::Result;
use crate::copy::verify::Compared;
use crate::transfer::PlaceArguments;
use crate::transfer::checksum::Content;

/// Copies a table from a DynamoDB endpoint into the database, or from the database to an endpoint.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-copy",
    version,
    after_help = "Exit codes: 0 done, 1 the endpoint or the database refused, or the tables differ, 2 wrong arguments, 3 one of them cannot be \
        reached, 130 interrupted."
)]
pub struct Arguments {
    /// What is to be done.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Copies a table from the endpoint into the database. Makes the table, and the database file, if they are not there.
    From(CopyArguments),
    /// Copies a table from the database to the endpoint. Makes the table if it is not there.
    To(CopyArguments),
    /// Reads the table here and there, and says whether they hold the same items. Items that expire within a day are left out.
    Verify(TableArguments),
}

/// Which tables, and how they are reached.
#[derive(Debug, Args)]
pub struct TableArguments {
    /// The database.
    #[command(flatten)]
    pub place: PlaceArguments,

    /// The table in the database.
    #[arg(long, short)]
    pub table: String,

    /// The table at the endpoint (default: of the same name).
    #[arg(long, value_name = "TABLE")]
    pub endpoint_table: Option<String>,

    /// The endpoint, like http://127.0.0.1:8000 (default: what the environment or the profile says, and else DynamoDB in the region).
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,

    /// The region (default: that of the environment, or of the profile).
    #[arg(long)]
    pub region: Option<String>,

    /// The profile of the AWS CLI's files whose region and credentials are used.
    #[arg(long)]
    pub profile: Option<String>,

    /// Capacity units a second, at most, to use at the endpoint: one is 1 KB written, or 4 KB read.
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,

    /// Requests that are under way at the endpoint at a time; of a table that is read, so many segments.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,

    /// Prints what was done as one JSON object, and no progress.
    #[arg(long)]
    pub json: bool,

    /// Shows no progress.
    #[arg(long, short)]
    pub quiet: bool,
}

impl TableArguments {
    /// The table's name at the endpoint.
    pub(crate) fn endpoint_table(&self) -> &str {
        self.endpoint_table.as_ref().unwrap_or(&self.table)
    }

    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.json
    }
}

/// What is copied, and how.
#[derive(Debug, Args)]
pub struct CopyArguments {
    /// The tables.
    #[command(flatten)]
    pub tables: TableArguments,

    /// Goes on where this copy was interrupted.
    #[arg(long, conflicts_with = "restart")]
    pub resume: bool,

    /// Begins anew, although this copy was interrupted.
    #[arg(long)]
    pub restart: bool,

    /// The file that remembers how far this is, until it is done (default: TABLE.copy in the current directory).
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Milliseconds after which it is remembered again how far this is: so much is done again after an interruption.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub checkpoint: u64,
}

/// What a copy came to.
pub(crate) struct Copied {
    pub(crate) content: Content,
    /// Whether the table was made.
    pub(crate) is_created: bool,
    /// What of the table's settings the endpoint does not have.
    pub(crate) warnings: Vec<String>,
}

/// Does what the arguments say, and returns the exit code of the process.
pub fn run(arguments: &Arguments) -> u8 {
    let (tables, done) = match &arguments.action {
        Action::From(copy) => (&copy.tables, from::copy(copy).and_then(|copied| report(copy, &copied))),
        Action::To(copy) => (&copy.tables, to::copy(copy).and_then(|copied| report(copy, &copied))),
        Action::Verify(tables) => {
            (tables, verify::compare(tables).and_then(|found| report_compared(tables, &found)))
        }
    };
    let said = done.or_else(|error| {
        if tables.json {
            say(&json!({"error": error.to_string()}).to_string())?;
        } else {
            let _ = writeln!(io::stderr().lock(), "dynamite-copy: {error}");
        }
        Ok::<u8, error::CopyError>(error.exit_code())
    });
    said.unwrap_or(3)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

fn report(arguments: &CopyArguments, copied: &Copied) -> Result<u8> {
    let TableArguments { table, json, .. } = &arguments.tables;
    let Copied { content, is_created, warnings } = copied;
    let (count, checksum) = (content.item_count, content.checksum().to_string());
    if *json {
        let report = json!({
            "table": table,
            "endpoint_table": arguments.tables.endpoint_table(),
            "created": is_created,
            "items": count,
            "checksum": checksum,
            "warnings": warnings,
        });
        say(&report.to_string())?;
    } else {
        for warning in warnings {
            let _ = writeln!(io::stderr().lock(), "dynamite-copy: {warning}");
        }
        say(&format!("{table}: {count} items, checksum {checksum}"))?;
    }
    Ok(0)
}

fn report_compared(arguments: &TableArguments, compared: &Compared) -> Result<u8> {
    let Compared { here, there } = compared;
    let is_equal = here.content == there.content;
    if arguments.json {
        let side = |side: &verify::Side| {
            json!({
                "items": side.content.item_count,
                "checksum": side.content.checksum().to_string(),
                "left_out": side.left_out,
            })
        };
        let report = json!({
            "table": arguments.table,
            "endpoint_table": arguments.endpoint_table(),
            "equal": is_equal,
            "database": side(here),
            "endpoint": side(there),
        });
        say(&report.to_string())?;
    } else {
        for (name, side) in [("the database", here), ("the endpoint", there)] {
            let left_out = match side.left_out {
                0 => String::new(),
                count => format!(", and {count} that expire within a day and were left out"),
            };
            let (count, checksum) = (side.content.item_count, side.content.checksum());
            say(&format!("{name}: {count} items, checksum {checksum}{left_out}"))?;
        }
        say(if is_equal { "verified: both hold the same items" } else { "NOT VERIFIED: the items differ" })?;
    }
    Ok(u8::from(!is_equal))
}
