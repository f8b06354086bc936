//! `dynamite-fsck`: checks a database file from the headers up.
//!
//! What is checked is in the layers that own it: [`dynamite_txn::verify`] for everything from the catalog down, which calls
//! [`dynamite_bptree::verify`] for each tree and the pager's census for headers, free space and the books;
//! [`dynamite_core::api::inspect`] for each item, in the same walk; and if all that is whole, [`DynaMite::verify_indexes`] and its like,
//! for what belongs to the items of tables. Here findings are counted and printed.
//!
//! Items are looked at by the threads that read pages ahead of the walk, which reports what they say in its own order.
//!
//! Memory: the cache, 16 MiB, of which an undamaged file without old versions needs next to nothing; up to 24 MiB of pages that are read ahead; two bits for each page
//! of the file; and what was found.
//!
//! # Exit codes
//!
//! ```text
//! 0  clean
//! 1  repaired, or warnings: nothing stored is affected
//! 2  damage
//! 3  the file could not be checked: it is not there, not ours, locked, or cannot be read
//! ```
//!
//! # The report as JSON
//!
//! One object on one line. If the file could be looked at:
//!
//! ```text
//! file           the path
//! status         "clean", "warnings" or "damage"
//! pages          pages of the file
//! commit         the commit that was looked at
//! finding_count  how many findings there are
//! findings       up to --limit of them, each:
//!   severity     "warning" or "damage"
//!   first_page   the first page concerned, or null
//!   page_count   how many pages, or null
//!   tree         what the tree concerned is called, or null
//!   table        the table that it is of, or null
//!   message      the text that is printed without --json
//! lost           what cannot be read, each:
//!   tree         what the tree concerned is called
//!   table        the table that it is of, or null
//!   from         the first key that may be among it; null: the first of the tree
//!   to           the first key that is not; null: to the end of the tree
//! ```
//!
//! Otherwise `file`, `status` ("damage" or "cannot check") and `error`, the reason.
//!
//! With `--repair` this is preceded by a line with an object of its own: `repaired`, what was done, and `beyond_repair`, what cannot be
//! done in place, both in words.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use dynamite_core::api::{DynaMite, IndexProgress};
use dynamite_pager::{Finding, Malformation, Problem};
use dynamite_txn::verify::{Found, Owner, Scope};
use serde_json::{Value, json};

use crate::dump::{finding_text, finding_to_json};
use crate::program::{Failure, Verdict};
use crate::progress::{byte_bar, progress_bar};
use crate::survey::{Survey, Wanted, open};
use crate::{repair, salvage};

/// Checks a DynaMite database file. Without --repair it is opened read-only, and nothing is changed.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-fsck",
    version,
    after_help = "Exit codes: 0 clean, 1 repaired, or warnings, 2 damage, 3 the file could not be checked."
)]
pub struct Arguments {
    /// The database file.
    pub file: PathBuf,

    /// Prints the report as one JSON object.
    #[arg(long)]
    pub json: bool,

    /// Prints the findings and nothing else.
    #[arg(long, short)]
    pub quiet: bool,

    /// Repairs what can be made anew from what is whole: headers, free space, counts, indexes, queues of what expires.
    #[arg(long, conflicts_with = "salvage")]
    pub repair: bool,

    /// Repairs a copy, which is made in a new file, and leaves this one as it is.
    #[arg(long, value_name = "COPY", requires = "repair")]
    pub on_copy: Option<PathBuf>,

    /// Copies every item that can be read to a new database, however damaged this one is, and reports what is lost.
    #[arg(long, value_name = "OUT")]
    pub salvage: Option<PathBuf>,

    /// How many findings to print at the most; all are counted.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub limit: usize,
}

/// Checks a file and prints the report.
///
/// # Errors
///
/// Only if the report cannot be printed.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let show_progress = !arguments.quiet && !arguments.json;
    if let Some(to) = &arguments.salvage {
        return salvage::run(&arguments.file, to, arguments.json, show_progress, out);
    }
    if arguments.repair {
        return repair::run(arguments, show_progress, out);
    }
    report(arguments, &arguments.file, show_progress, out)
}

/// Checks one file and prints the report.
pub(crate) fn report(
    arguments: &Arguments,
    file: &Path,
    show_progress: bool,
    out: &mut dyn Write,
) -> Result<Verdict, Failure> {
    match check(file, show_progress) {
        Ok(survey) => {
            let verdict = Verdict::of_findings(survey.found.iter().map(|found| &found.finding));
            print(arguments, file, &survey, verdict, out)?;
            Ok(verdict)
        }
        Err(Failure { verdict, message }) => {
            if arguments.json {
                let report = json!({
                    "file": file.display().to_string(),
                    "status": verdict.name(),
                    "error": message,
                });
                writeln!(out, "{report}")?;
            } else {
                writeln!(out, "{message}")?;
            }
            Ok(verdict)
        }
    }
}

/// Checks everything in a file.
pub(crate) fn check(file: &Path, show_progress: bool) -> Result<Survey, Failure> {
    let pager = open(file)?;
    let bar = byte_bar("checked", show_progress);
    let wanted = Wanted { scope: Scope::Everything, checks_items: true, each_page: None, bar };
    let mut survey = Survey::of(&pager, wanted)?;
    drop(pager);
    // What stands on damaged pages was reported, and cannot be read.
    if Verdict::of_findings(survey.found.iter().map(|found| &found.finding)) != Verdict::Damage {
        let wrong = belongings(file, &survey, show_progress)
            .unwrap_or_else(|failure| vec![(None, Arc::from(Box::from(failure.message)))]);
        survey.found.extend(wrong.into_iter().map(|(owner, wrong)| {
            let finding = Finding { pages: None, problem: Problem::Malformed(wrong) };
            Found { owner, finding }
        }));
    }
    Ok(survey)
}

/// Checks what belongs to the items of tables: their indexes, and what else is kept with them.
fn belongings(
    file: &Path,
    survey: &Survey,
    show_progress: bool,
) -> Result<Vec<(Option<Owner>, Malformation)>, Failure> {
    let db = DynaMite::builder().background(false).read_only(true).open(file)?;
    let bar = progress_bar("items", show_progress);
    let indexes = db.verify_indexes(&mut |IndexProgress { done, of }| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let others = db.check_belongings()?.into_iter().map(Box::<dyn std::error::Error + Send + Sync>::from);
    let indexes = indexes.into_iter().map(|finding| {
        let owner = survey.find(&format!("{}/{}", finding.table, finding.index));
        (owner, Arc::new(finding) as Malformation)
    });
    Ok(indexes.chain(others.map(|wrong| (None, Arc::from(wrong)))).collect())
}

fn print(
    arguments: &Arguments,
    file: &Path,
    survey: &Survey,
    verdict: Verdict,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Survey { found, page_count, commit, .. } = survey;
    if arguments.json {
        let shown: Vec<Value> =
            found.iter().take(arguments.limit).map(|found| finding_to_json(survey, found)).collect();
        let report = json!({
            "file": file.display().to_string(),
            "status": verdict.name(),
            "pages": page_count,
            "commit": commit,
            "finding_count": found.len(),
            "findings": shown,
            "lost": survey.lost.iter().map(|loss| survey.loss_to_json(loss)).collect::<Vec<_>>(),
        });
        return Ok(writeln!(out, "{report}")?);
    }
    for found in found.iter().take(arguments.limit) {
        writeln!(out, "{}", finding_text(survey, found))?;
    }
    if found.len() > arguments.limit {
        writeln!(out, "... and {} more", found.len() - arguments.limit)?;
    }
    if !arguments.quiet {
        for loss in survey.lost.iter().take(arguments.limit) {
            writeln!(out, "{}", survey.loss_text(loss))?;
        }
        let (file, count) = (file.display(), found.len());
        let verdict = verdict.name();
        writeln!(out, "{file}: {verdict} ({page_count} pages, commit {commit}, findings: {count})")?;
    }
    Ok(())
}
