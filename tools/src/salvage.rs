//! `dynamite-fsck --salvage OUT`: what can be read of a damaged database goes to a new one, and what is lost is reported, by table and
//! range of keys.

use std::io::Write;
use std::path::Path;

use dynamite_core::api::inspect::key_text;
use dynamite_core::api::{DynaMite, LostKeys, Salvaged, SalvagedTable};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::program::{Failure, Verdict};

/// Salvages, and prints the report.
pub(crate) fn run(
    from: &Path,
    to: &Path,
    as_json: bool,
    show_progress: bool,
    out: &mut dyn Write,
) -> Result<Verdict, Failure> {
    let bar = if show_progress { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let salvaged = DynaMite::salvage(from, to, &mut |items| bar.set_message(format!("{items} items")));
    bar.finish_and_clear();
    let salvaged = salvaged?;
    let is_whole = !salvaged.guessed
        && !salvaged.old_catalog
        && !salvaged.deleted_may_be_back
        && salvaged.tables.iter().all(SalvagedTable::is_whole);
    if as_json {
        print_json(from, to, &salvaged, is_whole, out)?;
    } else {
        print_text(to, &salvaged, is_whole, out)?;
    }
    Ok(if is_whole { Verdict::Clean } else { Verdict::Damage })
}

fn print_text(to: &Path, salvaged: &Salvaged, is_whole: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if salvaged.guessed {
        writeln!(out, "no header could be used: this is the newest state that could be guessed")?;
    }
    if salvaged.old_catalog {
        writeln!(out, "part of the catalog could not be read: an older version of it was used")?;
    }
    if salvaged.deleted_may_be_back {
        writeln!(out, "the free space could not be read: items that were deleted may be back")?;
    }
    for table in &salvaged.tables {
        let SalvagedTable { name, items, expected, lost, unusable } = table;
        writeln!(out, "table {name}: {items} of {expected} items")?;
        for LostKeys { from, to } in lost {
            writeln!(out, "  unreadable: keys from {}", range_text(from.as_deref(), to.as_deref()))?;
        }
        for key in unusable {
            writeln!(out, "  not usable: the item under {}", key_text(key))?;
        }
    }
    if salvaged.stray_items > 0 {
        writeln!(out, "{} items stood in pages that nothing leads to any more", salvaged.stray_items)?;
    }
    let items: u64 = salvaged.tables.iter().map(|table| table.items).sum();
    let how = if is_whole { "nothing was lost" } else { "not all could be read" };
    Ok(writeln!(out, "{}: {} tables, {items} items; {how}", to.display(), salvaged.tables.len())?)
}

fn range_text(from: Option<&[u8]>, to: Option<&[u8]>) -> String {
    let from = from.map_or("the first".to_owned(), key_text);
    let to = to.map_or("the last".to_owned(), |key| format!("before {}", key_text(key)));
    format!("{from} to {to}")
}

fn print_json(
    from: &Path,
    to: &Path,
    salvaged: &Salvaged,
    is_whole: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let text = |key: &Option<Vec<u8>>| key.as_deref().map(key_text);
    let tables: Vec<Value> = salvaged
        .tables
        .iter()
        .map(|table| {
            let lost =
                table.lost.iter().map(|LostKeys { from, to }| json!({"from": text(from), "to": text(to)}));
            json!({
                "table": table.name,
                "items": table.items,
                "expected": table.expected,
                "unreadable": lost.collect::<Vec<_>>(),
                "unusable": table.unusable.iter().map(|key| key_text(key)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let report = json!({
        "file": from.display().to_string(),
        "salvaged_to": to.display().to_string(),
        "status": if is_whole { "clean" } else { "damage" },
        "guessed": salvaged.guessed,
        "old_catalog": salvaged.old_catalog,
        "deleted_may_be_back": salvaged.deleted_may_be_back,
        "stray_items": salvaged.stray_items,
        "tables": tables,
    });
    Ok(writeln!(out, "{report}")?)
}
