//! How much is in each tree, and how much room it takes.

use std::io::Write;
use std::path::Path;

use dynamite_pager::PAGE_SIZE;
use dynamite_txn::verify::Scope;
use serde_json::{Value, json};

use super::{conclude, look};
use crate::program::{Failure, Verdict};
use crate::survey::percent;
use crate::text_table::{self, Align};

pub(super) fn show(file: &Path, as_json: bool, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let survey = look(file, Scope::Everything)?;
    let free: u64 = survey.free.iter().map(|extent| u64::from(extent.count)).sum();
    let counted = |owner| survey.trees.iter().find(|tree| tree.owner == owner);
    let mut trees = Vec::new();
    let mut rows = Vec::new();
    for (owner, pages) in &survey.pages {
        let (items, bytes) = counted(*owner).map_or((0, 0), |tree| (tree.items, tree.bytes));
        let room = pages.count() * PAGE_SIZE as u64;
        let name = survey.name(*owner);
        if as_json {
            trees.push(json!({
                "tree": name,
                "table": survey.table(*owner),
                "items": items,
                "bytes": bytes,
                "pages": pages.count(),
                "used_bytes": pages.used(),
                "overflow_pages": pages.runs.0,
                "overflow_used_bytes": pages.runs.1,
                "levels": pages.levels.len(),
            }));
            continue;
        }
        rows.push(vec![
            items.to_string(),
            bytes.to_string(),
            pages.count().to_string(),
            percent(pages.used(), room),
            pages.runs.0.to_string(),
            name,
        ]);
    }
    if as_json {
        let value = json!({
            "pages": survey.page_count,
            "free_pages": free,
            "commit": survey.commit,
            "trees": Value::from(trees),
        });
        return conclude(&survey, Some(value), out);
    }
    let columns = [
        ("items", Align::Right),
        ("bytes", Align::Right),
        ("pages", Align::Right),
        ("used", Align::Right),
        ("overflow", Align::Right),
        ("tree", Align::Left),
    ];
    text_table::print(out, &columns, &rows)?;
    let free_part = percent(free, survey.page_count);
    writeln!(
        out,
        "{} pages, {free} of them free ({free_part}), commit {}",
        survey.page_count, survey.commit
    )?;
    conclude(&survey, None, out)
}
