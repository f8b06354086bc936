//! All trees: what they are for, where they begin, and what the catalog counts in them.

use std::io::Write;
use std::path::Path;

use dynamite_txn::verify::{Owner, Scope, TreeShape};
use serde_json::{Value, json};

use super::{conclude, look};
use crate::program::{Failure, Verdict};
use crate::text_table::{self, Align};

pub(super) fn show(file: &Path, as_json: bool, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let survey = look(file, Scope::Outline)?;
    let number = |tree: &TreeShape| tree.owner.table().map_or(0, |table| table.0);
    let description = |tree: &TreeShape| match tree.owner {
        Owner::Table(table) => survey.items.describe(table),
        _ => None,
    };
    if as_json {
        let trees: Vec<Value> = survey
            .trees
            .iter()
            .map(|tree| {
                json!({
                    "id": number(tree),
                    "tree": survey.name(tree.owner),
                    "table": survey.table(tree.owner),
                    "root": tree.root.map(|root| root.id.0),
                    "birth": tree.root.map(|root| root.birth.0),
                    "levels": tree.level,
                    "entries": tree.entries,
                    "items": tree.items,
                    "bytes": tree.bytes,
                    "dropped": tree.dropped,
                    "description": description(tree),
                })
            })
            .collect();
        return conclude(&survey, Some(json!({"commit": survey.commit, "trees": trees})), out);
    }
    let row = |tree: &TreeShape| {
        let dropped = if tree.dropped { " (dropped)" } else { "" };
        vec![
            number(tree).to_string(),
            tree.root.map_or("-".to_owned(), |root| root.id.to_string()),
            tree.level.to_string(),
            tree.entries.to_string(),
            tree.items.to_string(),
            tree.bytes.to_string(),
            format!("{}{dropped}", survey.name(tree.owner)),
        ]
    };
    let columns = [
        ("id", Align::Right),
        ("root", Align::Right),
        ("levels", Align::Right),
        ("entries", Align::Right),
        ("items", Align::Right),
        ("bytes", Align::Right),
        ("tree", Align::Left),
    ];
    let rows: Vec<Vec<String>> = survey.trees.iter().map(row).collect();
    text_table::print(out, &columns, &rows)?;
    for tree in &survey.trees {
        if let Some(described) = description(tree) {
            writeln!(out, "{}: {described}", survey.name(tree.owner))?;
        }
    }
    conclude(&survey, None, out)
}
