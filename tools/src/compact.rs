//! `dynamite-compact`: makes a database file shorter.
//!
//! In place, in bounded steps, each of which is a transaction: garbage is collected, and pages at the end of the file are moved to free ones
//! below, as the database does by itself when it is idle ([`DynaMite::compact`]). Or by a dense copy, which also fills pages up
//! that are half empty.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Parser;
use dynamite_core::api::DynaMite;
use serde_json::json;

use crate::backup::{self, Kind};
use crate::program::{Failure, Verdict};

/// Makes a DynaMite database file shorter: in place, or as a dense copy.
///
/// The file must not be open elsewhere. A database in use compacts itself when it is idle.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-compact",
    version,
    after_help = "Exit codes: 0 done, 2 damage, 3 it could not be done."
)]
pub struct Arguments {
    /// The database file.
    pub file: PathBuf,

    /// Writes a dense copy to a new file, and leaves this one as it is.
    #[arg(long, value_name = "COPY")]
    pub to: Option<PathBuf>,

    /// Prints what was done as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Compacts a database.
///
/// # Errors
///
/// What goes wrong with either file. In place, what was done until then stays done; nothing is lost.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let Arguments { file, to, json } = arguments;
    let before = len(file)?;
    let after = match to {
        Some(to) => {
            backup::copy(file, to, Kind::Dense, !json)?;
            len(to)?
        }
        None => {
            let db = DynaMite::builder().background(false).open(file)?;
            // Each round may leave something to the next: what is cut off is known when both headers know the smaller file.
            let mut last = u64::MAX;
            while len(file)? < last {
                last = len(file)?;
                db.compact()?;
            }
            db.close()?;
            len(file)?
        }
    };
    let what = to.as_ref().unwrap_or(file).display().to_string();
    if *json {
        writeln!(out, "{}", json!({"file": what, "bytes_before": before, "bytes_after": after}))?;
    } else {
        writeln!(out, "{what}: {before} bytes before, {after} now")?;
    }
    Ok(Verdict::Clean)
}

fn len(file: &Path) -> Result<u64, Failure> {
    let metadata = fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(format!("{} does not exist", file.display())),
        _ => Failure::new(format!("cannot look at {}: {error}", file.display())),
    })?;
    Ok(metadata.len())
}
