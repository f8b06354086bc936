//! `dynamite-backup` and `dynamite-restore`: a whole database, as it was at one moment, in another file, and back.
//!
//! A backup is a database of its own, complete or not there: a copy of all pages in use, as fast as the devices read and write, or a dense one,
//! see [`dynamite_core::api::Backup`]. Of a database that a server shares the server makes it, and tells how far it is. Restoring one is copying it in the same way, which checks each page that it reads; the copy
//! comes to stand where it is wanted only when it is complete and durable.

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use dynamite_core::api::{BackupProgress, DynaMite};
use dynamite_pager::IoChoice;
use dynamite_pager::disk::file::sync_directory;
use dynamite_pager::disk::{self, Disk};
use dynamite_server::client::BlockingClient;
use indicatif::ProgressBar;
use serde_json::json;

use crate::fsck;
use crate::program::{Failure, Verdict};
use crate::progress::byte_bar;

/// Bytes of the buffer pool for what is read.
const CACHE_BYTES: usize = 32 << 20;

/// Copies a DynaMite database, as it is now, to a new file, which is complete or not there.
///
/// The file must not be open for writing elsewhere; with --socket the server that has it open copies it.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-backup",
    version,
    allow_missing_positional = true,
    after_help = "Exit codes: 0 copied, 2 damage, 3 it could not be done."
)]
pub struct BackupArguments {
    /// The database file.
    #[arg(required_unless_present = "socket", conflicts_with = "socket")]
    pub file: Option<PathBuf>,

    /// The new file; with --socket it is the server that writes it.
    pub to: PathBuf,

    /// The socket of the server that shares the database. The database stays in use meanwhile.
    #[arg(long, short, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Copies item by item into full pages, so that the copy is as short as can be; named snapshots are left behind.
    #[arg(long)]
    pub dense: bool,

    /// Checks the copy from end to end when it is made.
    #[arg(long)]
    pub verify: bool,

    /// Prints what was done as one JSON object.
    #[arg(long)]
    pub json: bool,

    /// Prints nothing but errors.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Makes a database of a backup. The backup is read only, and stays as it is.
#[derive(Debug, Parser)]
#[command(
    name = "dynamite-restore",
    version,
    after_help = "Exit codes: 0 restored, 2 damage, 3 it could not be done."
)]
pub struct RestoreArguments {
    /// The backup.
    pub backup: PathBuf,

    /// The database file that is to come into being.
    pub file: PathBuf,

    /// Puts it in the place of a database that is there, when it is complete.
    #[arg(long)]
    pub replace: bool,

    /// Prints what was done as one JSON object.
    #[arg(long)]
    pub json: bool,

    /// Prints nothing but errors.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Makes a backup.
///
/// # Errors
///
/// What goes wrong with either file; then there is no copy.
pub fn backup(arguments: &BackupArguments, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let BackupArguments { file, to, socket, dense, verify, json, quiet } = arguments;
    let kind = if *dense { Kind::Dense } else { Kind::Pages };
    let show_progress = !json && !quiet;
    let (from, copied) = match (file, socket) {
        (_, Some(socket)) => (socket, have_copied(socket, to, kind, show_progress)?),
        (Some(file), None) => (file, copy(file, to, kind, show_progress)?),
        (None, None) => return Err(Failure::new("name a database file, or the --socket of its server")),
    };
    if *verify {
        check(to)?;
    }
    told(out, *json, *quiet, "backed up", from, to, copied)?;
    Ok(Verdict::Clean)
}

/// Restores a backup.
///
/// # Errors
///
/// What goes wrong with either file; then nothing has changed.
pub fn restore(arguments: &RestoreArguments, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let RestoreArguments { backup, file, replace, json, quiet } = arguments;
    let show_progress = !json && !quiet;
    let copied = match *replace && file.exists() {
        true => replace_by(backup, file, show_progress)?,
        false => copy(backup, file, Kind::Pages, show_progress)?,
    };
    told(out, *json, *quiet, "restored", backup, file, copied)?;
    Ok(Verdict::Clean)
}

/// Puts a copy of a backup in the place of a file. Nobody writes to that file from before the copy begins until its name is the copy's for
/// good: what somebody had written meanwhile, and was told is durable, would be gone.
fn replace_by(backup: &Path, file: &Path, show_progress: bool) -> Result<BackupProgress, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot replace {}: {error}", file.display()));
    // What a link names is replaced, and not the link.
    let target = fs::canonicalize(file).map_err(failed)?;
    // Whatever it holds: one that is damaged, or no database at all, is what backups are for.
    let _replaced = locked(file)?;
    let mut name = target.clone().into_os_string();
    name.push(".restored");
    let beside = PathBuf::from(name);
    let copied = copy(backup, &beside, Kind::Pages, show_progress)?;
    // Whoever comes as soon as it has its name waits until it will keep it, also if the power fails.
    let _restored = locked(&beside)?;
    fs::rename(&beside, &target).map_err(failed)?;
    sync_directory(&target)?;
    Ok(copied)
}

/// Keeps writers away from a file, as long as this is there.
fn locked(file: &Path) -> Result<Arc<dyn Disk>, Failure> {
    Ok(disk::file::open(file, false, IoChoice::resolve(None)?)?)
}

/// How a database is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Page by page, each to its place.
    Pages,
    /// Item by item, into full pages.
    Dense,
}

/// Copies a database, and returns how much that was.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    kind: Kind,
    show_progress: bool,
) -> Result<BackupProgress, Failure> {
    let db = DynaMite::builder().background(false).read_only(true).cache_size(CACHE_BYTES).open(from)?;
    let bar = byte_bar("copied", show_progress);
    let backup = match kind {
        Kind::Pages => db.backup(to),
        Kind::Dense => db.snapshot()?.backup(to),
    };
    let copied = backup.progress(|done| show(&bar, done)).execute();
    bar.finish_and_clear();
    Ok(copied?)
}

/// Has a server copy the database that it shares, and returns how much that was. A process that is ended meanwhile has called it off.
fn have_copied(socket: &Path, to: &Path, kind: Kind, show_progress: bool) -> Result<BackupProgress, Failure> {
    let client = BlockingClient::connect(socket)?;
    let backup = match kind {
        Kind::Pages => client.client().backup(to),
        Kind::Dense => client.wait(client.client().snapshot())?.backup(to),
    };
    let bar = byte_bar("copied", show_progress);
    let shown = bar.clone();
    let copied = client.wait(backup.progress(move |done| show(&shown, done)));
    bar.finish_and_clear();
    Ok(copied?)
}

fn show(bar: &ProgressBar, done: BackupProgress) -> ControlFlow<()> {
    bar.set_length(done.of_bytes);
    bar.set_position(done.bytes);
    ControlFlow::Continue(())
}

/// A copy that has not come out right is damage.
fn check(copy: &Path) -> Result<(), Failure> {
    let survey = fsck::check(copy, false)?;
    let verdict = Verdict::of_findings(survey.found.iter().map(|found| &found.finding));
    match survey.found.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("the copy is not sound: {}", first.finding);
            Err(Failure { verdict: verdict.max(Verdict::Damage), message })
        }
    }
}

fn told(
    out: &mut dyn Write,
    as_json: bool,
    quiet: bool,
    what: &str,
    from: &Path,
    to: &Path,
    copied: BackupProgress,
) -> Result<(), Failure> {
    let BackupProgress { items, bytes, .. } = copied;
    let (from, to) = (from.display().to_string(), to.display().to_string());
    if as_json {
        writeln!(out, "{}", json!({"from": from, "to": to, "items": items, "bytes": bytes}))?;
    } else if !quiet {
        writeln!(out, "{what} {from} to {to}: {items} items, {bytes} bytes")?;
    }
    Ok(())
}
