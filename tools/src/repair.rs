//! `dynamite-fsck --repair`: mends a database in place, or a copy of it, and checks what has come of it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use dynamite_core::api::{DynaMite, Repaired};
use dynamite_pager::Inspection;
use serde_json::json;

use crate::fsck::{Arguments, report};
use crate::program::{Failure, Verdict};

/// Repairs, and prints what was done and the report of a check.
pub(crate) fn run(
    arguments: &Arguments,
    show_progress: bool,
    out: &mut dyn Write,
) -> Result<Verdict, Failure> {
    let file = match &arguments.on_copy {
        None => &arguments.file,
        Some(copy) => {
            copy_file(&arguments.file, copy)?;
            copy
        }
    };
    let Repaired { done, beyond } = DynaMite::repair(file)?;
    if arguments.json {
        writeln!(out, "{}", json!({"repaired": done, "beyond_repair": beyond}))?;
    } else {
        for done in &done {
            writeln!(out, "repaired: {done}")?;
        }
        for beyond in &beyond {
            writeln!(out, "cannot be repaired in place: {beyond}")?;
        }
        if !beyond.is_empty() {
            writeln!(
                out,
                "nothing else was repaired; get out what can be read with --salvage, or restore a backup"
            )?;
        }
    }
    let verdict = report(arguments, file, show_progress, out)?;
    Ok(if done.is_empty() { verdict } else { verdict.max(Verdict::Warnings) })
}

/// Copies the file of a database that nobody writes to.
fn copy_file(from: &Path, to: &Path) -> Result<(), Failure> {
    // The lock keeps writers out meanwhile.
    let _locked = Inspection::open(from)?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(format!("{} already exists; choose another name for the copy", to.display()))
        }
        _ => Failure::new(format!("cannot copy {} to {}: {error}", from.display(), to.display())),
    };
    let mut source = fs::File::open(from).map_err(failed)?;
    let mut copy = fs::File::create_new(to).map_err(failed)?;
    io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all()).map_err(failed)
}
