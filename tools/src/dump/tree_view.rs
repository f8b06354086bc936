//! The shape of one tree: its levels, how many pages each of them has and how full these are.

use std::io::Write;
use std::path::Path;

use dynamite_pager::PAGE_SIZE;
use dynamite_txn::verify::Scope;
use serde_json::{Value, json};

use super::{conclude, look};
use crate::program::{Failure, Verdict};
use crate::survey::{TreePages, percent};
use crate::text_table::{self, Align};

/// Characters of the longest bar.
const BAR: u64 = 40;

pub(super) fn show(file: &Path, name: &str, as_json: bool, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let outline = look(file, Scope::Outline)?;
    let owner = outline.find(name).ok_or_else(|| {
        Failure::new(format!("there is no tree {name:?}; `catalog` shows all that there are"))
    })?;
    let survey = look(file, Scope::Tree(owner))?;
    let pages = survey.pages.get(&owner).cloned().unwrap_or_default();
    let shape = survey.trees.iter().find(|tree| tree.owner == owner);
    let name = survey.name(owner);
    if as_json {
        let levels: Vec<Value> = pages
            .levels
            .iter()
            .map(|(level, (count, used))| json!({"level": level, "pages": count, "used_bytes": used}))
            .collect();
        let value = json!({
            "tree": name,
            "root": shape.and_then(|shape| shape.root).map(|root| root.id.0),
            "entries": shape.map(|shape| shape.entries),
            "depth": pages.levels.len(),
            "levels": levels,
            "overflow_pages": pages.runs.0,
            "overflow_used_bytes": pages.runs.1,
            "leaves_by_fill": pages.fills,
        });
        return conclude(&survey, Some(value), out);
    }
    writeln!(out, "{name}")?;
    if let Some(shape) = shape {
        let root =
            shape.root.map_or("none".to_owned(), |root| format!("page {}, birth {}", root.id, root.birth));
        writeln!(out, "root: {root}; entries: {}", shape.entries)?;
    }
    print_levels(&pages, out)?;
    print_fills(&pages, out)?;
    conclude(&survey, None, out)
}

fn print_levels(pages: &TreePages, out: &mut dyn Write) -> Result<(), Failure> {
    let row = |level: String, (count, used): (u64, u64)| {
        vec![level, count.to_string(), percent(used, count * PAGE_SIZE as u64)]
    };
    let named = |level: u8| if level == 0 { "leaves".to_owned() } else { format!("level {level}") };
    let mut rows: Vec<Vec<String>> =
        pages.levels.iter().rev().map(|(level, counted)| row(named(*level), *counted)).collect();
    if pages.runs.0 > 0 {
        rows.push(row("overflow".to_owned(), pages.runs));
    }
    let columns = [("level", Align::Left), ("pages", Align::Right), ("used", Align::Right)];
    Ok(text_table::print(out, &columns, &rows)?)
}

/// How many leaves are how full.
fn print_fills(pages: &TreePages, out: &mut dyn Write) -> Result<(), Failure> {
    let most = pages.fills.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return Ok(());
    }
    writeln!(out, "leaves by how full they are:")?;
    for (tenth, count) in pages.fills.iter().enumerate() {
        let bar = "#".repeat((count * BAR).div_ceil(most) as usize);
        let line = format!("{:>3} to {:>3} %  {count:>8}  {bar}", tenth * 10, tenth * 10 + 10);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
