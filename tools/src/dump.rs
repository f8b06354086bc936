//! `dynamite-dump`: shows what is in a database file, page by page and tree by tree.
//!
//! It changes nothing. Damaged files are shown as far as they can be read, and what cannot is said: in text behind what is shown,
//! with `--json` under `findings`. Headers and pages are shown of files that nobody can open any more. What the bytes mean is said by
//! the layers that own them.
//!
//! Exit codes are those of [`program`](crate::program): 2 if damage was come across, 3 if the file could not be looked at.

mod catalog;
mod free;
mod header;
pub mod map;
mod page_view;
mod stats;
mod tree_view;
mod versions;

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use dynamite_txn::verify::{Found, Scope};
use serde_json::{Value, json};

use crate::program::{Failure, Verdict};
use crate::progress::byte_bar;
use crate::survey::{Survey, Wanted, open};

/// Shows what is in a DynaMite database file. Opens it read-only and changes nothing.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-dump",
    version,
    after_help = "Exit codes: 0 shown, 2 shown, and damage was come across, 3 the file could not be looked at."
)]
pub struct Arguments {
    /// The database file.
    pub file: PathBuf,

    /// What is shown.
    #[command(subcommand)]
    pub what: What,

    /// Prints one JSON object.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What there is to show.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Both headers, and which of them is current.
    Header,
    /// The bytes of a page: offsets, names and values of its fields.
    Page {
        /// The page's number.
        page: u32,
    },
    /// The shape of a tree: its levels, how full they are.
    Tree {
        /// A table, TABLE/INDEX, the number of a tree as `catalog` shows it, or `catalog`.
        table: String,
    },
    /// The free pages.
    Free,
    /// The versions of an item that are kept.
    Versions {
        /// The item's table.
        table: String,
        /// Its key, a JSON object of its key attributes.
        key: String,
    },
    /// All trees: what they are for, and what is in them.
    Catalog,
    /// All trees: items, bytes, pages, how full these are.
    Stats,
    /// A picture of the file, in which each page is a square.
    Map(map::MapArguments),
}

/// Shows what was asked for.
///
/// # Errors
///
/// If the file cannot be looked at, or nothing can be printed.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let Arguments { file, what, json } = arguments;
    match what {
        What::Header => header::show(file, *json, out),
        What::Page { page } => page_view::show(file, *page, *json, out),
        What::Tree { table } => tree_view::show(file, table, *json, out),
        What::Free => free::show(file, *json, out),
        What::Versions { table, key } => versions::show(file, table, key, *json, out),
        What::Catalog => catalog::show(file, *json, out),
        What::Stats => stats::show(file, *json, out),
        What::Map(arguments) => map::show(file, arguments, *json, out),
    }
}

/// Walks a file, or some of it, without a look at items.
fn look(file: &std::path::Path, scope: Scope) -> Result<Survey, Failure> {
    let bar = byte_bar("looked at", scope == Scope::Everything);
    Survey::of(&open(file)?, Wanted { scope, checks_items: false, each_page: None, bar })
}

/// Ends what is shown with what was found on the way.
fn conclude(survey: &Survey, value: Option<Value>, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let verdict = Verdict::of_findings(survey.found.iter().map(|found| &found.finding));
    match value {
        Some(mut value) => {
            let findings: Vec<Value> =
                survey.found.iter().map(|found| finding_to_json(survey, found)).collect();
            value["findings"] = Value::from(findings);
            writeln!(out, "{value}")?;
        }
        None => {
            for found in &survey.found {
                writeln!(out, "{}", finding_text(survey, found))?;
            }
        }
    }
    // Whoever looks at a file has not checked it: lost pages and the like are no business of theirs.
    Ok(if verdict == Verdict::Damage { Verdict::Damage } else { Verdict::Clean })
}

/// A finding, on a line: how bad it is, the page, what is wrong, and in which tree.
pub(crate) fn finding_text(survey: &Survey, found: &Found) -> String {
    let severity = severity_name(found);
    match found.owner {
        Some(owner) => format!("{severity}: {} ({})", found.finding, survey.name(owner)),
        None => format!("{severity}: {}", found.finding),
    }
}

/// A finding, as a JSON object.
pub(crate) fn finding_to_json(survey: &Survey, found: &Found) -> Value {
    let pages = found.finding.pages;
    json!({
        "severity": severity_name(found),
        "first_page": pages.map(|pages| pages.first.0),
        "page_count": pages.map(|pages| pages.count),
        "tree": found.owner.map(|owner| survey.name(owner)),
        "table": found.owner.and_then(|owner| survey.table(owner)),
        "message": found.finding.to_string(),
    })
}

fn severity_name(found: &Found) -> &'static str {
    match found.finding.severity() {
        dynamite_pager::Severity::Warning => "warning",
        dynamite_pager::Severity::Damage => "damage",
    }
}
