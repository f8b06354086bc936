//! `dynamite-fsck`: checks a database file from the headers up, and changes nothing.
//!
//! What is checked is in the layers that own it: [`dynamite_txn::verify`] for everything from the catalog down, which calls
//! [`dynamite_bptree::verify`] for each tree and the pager's census for headers, free space and the books; and if all that is whole,
//! [`DynaMite::verify_indexes`] and its like, for what belongs to the items of tables. Here findings are counted and printed.
//!
//! # Exit codes
//!
//! ```text
//! 0  clean
//! 1  warnings: nothing stored is affected
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
//!   message      the text that is printed without --json
//! ```
//!
//! Otherwise `file`, `status` ("damage" or "cannot check") and `error`, the reason.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use dynamite_core::api::{DynaMite, IndexProgress};
use dynamite_pager::{Finding, Malformation, Options, PagerError, Problem, Severity};
use dynamite_txn::TxnError;
use dynamite_txn::verify::{Progress, verify_pager};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// Checks a DynaMite database file. Opens it read-only and changes nothing.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-fsck",
    version,
    after_help = "Exit codes: 0 clean, 1 warnings, 2 damage, 3 the file could not be checked."
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

    /// How many findings to print at the most; all are counted.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub limit: usize,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// Nothing stored is affected.
    Warnings,
    /// Something stored is damaged, or about to be.
    Damage,
    /// The file could not be checked.
    CannotCheck,
}

impl Verdict {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Clean => 0,
            Verdict::Warnings => 1,
            Verdict::Damage => 2,
            Verdict::CannotCheck => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Warnings => "warnings",
            Verdict::Damage => "damage",
            Verdict::CannotCheck => "cannot check",
        }
    }

    fn of_findings(findings: &[Finding]) -> Verdict {
        match findings.iter().map(Finding::severity).max() {
            None => Verdict::Clean,
            Some(Severity::Warning) => Verdict::Warnings,
            Some(Severity::Damage) => Verdict::Damage,
        }
    }

    /// What an error says about the file.
    fn of_error(error: &PagerError) -> Verdict {
        match error {
            PagerError::Corrupt { .. }
            | PagerError::Malformed { .. }
            | PagerError::NoValidHeader { .. }
            | PagerError::Truncated { .. } => Verdict::Damage,
            _ => Verdict::CannotCheck,
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug)]
struct Report {
    pages: u64,
    commit: u64,
    findings: Vec<Finding>,
}

/// Checks a file and prints the report.
///
/// # Errors
///
/// Only if the report cannot be printed.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<Verdict> {
    let show_progress = !arguments.quiet && !arguments.json;
    match check(&arguments.file, show_progress) {
        Ok(report) => {
            let verdict = Verdict::of_findings(&report.findings);
            print(arguments, &report, verdict, out)?;
            Ok(verdict)
        }
        Err(error) => {
            let verdict = match &error {
                TxnError::Tree(dynamite_bptree::TreeError::Pager(error)) => Verdict::of_error(error),
                _ => Verdict::Damage,
            };
            if arguments.json {
                let report = json!({
                    "file": arguments.file.display().to_string(),
                    "status": verdict.name(),
                    "error": error.to_string(),
                });
                writeln!(out, "{report}")?;
            } else {
                writeln!(out, "{error}")?;
            }
            Ok(verdict)
        }
    }
}

fn check(file: &Path, show_progress: bool) -> Result<Report, TxnError> {
    let pager =
        Options::new().background(false).page_check(dynamite_bptree::check_page).open_read_only(file)?;
    let bar = if show_progress { progress_bar("pages") } else { ProgressBar::hidden() };
    let mut findings = verify_pager(&pager, &mut |Progress { pages, of_pages }| {
        bar.set_length(of_pages);
        bar.set_position(pages);
    })?;
    bar.finish_and_clear();
    let (pages, commit) = (pager.stats().page_count, pager.published().birth.0);
    drop(pager);
    // What stands on damaged pages was reported, and cannot be read.
    if Verdict::of_findings(&findings) != Verdict::Damage {
        let bar = if show_progress { progress_bar("items") } else { ProgressBar::hidden() };
        let wrong = belongings(file, &bar).unwrap_or_else(|error| vec![Arc::new(error)]);
        bar.finish_and_clear();
        findings.extend(
            wrong.into_iter().map(|wrong| Finding { pages: None, problem: Problem::Malformed(wrong) }),
        );
    }
    Ok(Report { pages, commit, findings })
}

/// Checks what belongs to the items of tables: their indexes, and what else is kept with them.
fn belongings(file: &Path, bar: &ProgressBar) -> Result<Vec<Malformation>, dynamite_core::Error> {
    let db = DynaMite::builder().background(false).read_only(true).open(file)?;
    let indexes = db.verify_indexes(&mut |IndexProgress { done, of }| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    let others = db.check_belongings()?.into_iter().map(Box::<dyn std::error::Error + Send + Sync>::from);
    let indexes = indexes.into_iter().map(|finding| Arc::new(finding) as Malformation);
    Ok(indexes.chain(others.map(Arc::from)).collect())
}

/// Shown on a terminal only, by itself.
fn progress_bar(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{bar:40}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left"
    ))
    .expect("the template is a constant");
    ProgressBar::no_length().with_style(style)
}

fn print(arguments: &Arguments, report: &Report, verdict: Verdict, out: &mut impl Write) -> io::Result<()> {
    let Report { pages, commit, findings } = report;
    if arguments.json {
        let shown: Vec<Value> = findings.iter().take(arguments.limit).map(finding_to_json).collect();
        let report = json!({
            "file": arguments.file.display().to_string(),
            "status": verdict.name(),
            "pages": pages,
            "commit": commit,
            "finding_count": findings.len(),
            "findings": shown,
        });
        return writeln!(out, "{report}");
    }
    for finding in findings.iter().take(arguments.limit) {
        writeln!(out, "{}: {finding}", severity_name(finding.severity()))?;
    }
    if findings.len() > arguments.limit {
        writeln!(out, "... and {} more", findings.len() - arguments.limit)?;
    }
    if !arguments.quiet {
        let file = arguments.file.display();
        writeln!(
            out,
            "{file}: {} ({pages} pages, commit {commit}, findings: {})",
            verdict.name(),
            findings.len()
        )?;
    }
    Ok(())
}

fn finding_to_json(finding: &Finding) -> Value {
    json!({
        "severity": severity_name(finding.severity()),
        "first_page": finding.pages.map(|pages| pages.first.0),
        "page_count": finding.pages.map(|pages| pages.count),
        "message": finding.to_string(),
    })
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Damage => "damage",
    }
}
