//! Answers for people: tables that fit the screen.
//!
//! Texts and numbers stand as they are, everything else as JSON. What could move the cursor of a terminal is written as an escape:
//! whatever an item holds, it is shown and does nothing.

use dynamite_core::api::ItemVersion;
use dynamite_core::json::item_to_json;
use dynamite_core::{AttributeValue, Item};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::console::answer::{self, Answer};

/// The narrowest that a column is made to save room.
const MIN_COLUMN: usize = 8;

/// Draws an answer. `width` is that of the screen, if there is one.
pub(crate) fn draw(answer: &Answer, width: Option<usize>) -> String {
    match answer {
        Answer::Done { text, .. } | Answer::Help(text) => format!("{text}\n"),
        Answer::DoneWithItem { text, item, .. } => {
            let shown = item.as_ref().map_or_else(|| "no item\n".to_owned(), |item| record(item, &[]));
            format!("{text}\n{shown}")
        }
        Answer::Found { item: None, .. } => "no item\n".to_owned(),
        Answer::Found { item: Some(item), version, keys } => {
            let version = version.map_or(String::new(), |version| format!("version {version}\n"));
            format!("{}{version}", record(item, keys))
        }
        Answer::Page { items, keys, cursor, scanned_count, goes_on } => {
            let shown = if items.is_empty() { String::new() } else { table(items, keys, width) };
            format!("{shown}{}\n", summary(items.len(), *scanned_count, cursor.is_some(), *goes_on))
        }
        Answer::Count { count, scanned_count, cursor, goes_on } => {
            format!("{}\n", summary(*count, *scanned_count, cursor.is_some(), *goes_on))
        }
        Answer::List { name, values } => {
            let lines = values.iter().map(|value| match value {
                Value::String(text) => format!("{}\n", escaped(text)),
                value => format!("{value}\n"),
            });
            let noun = if values.len() == 1 { name.trim_end_matches('s') } else { name };
            format!("{}({} {noun})\n", lines.collect::<String>(), values.len())
        }
        Answer::Record { fields, .. } => {
            fields_of(fields.iter().map(|(name, value)| (&name[..], &value[..])))
        }
        Answer::Versions(versions) => history(versions, width),
    }
}

fn summary(count: usize, scanned_count: usize, more: bool, goes_on: bool) -> String {
    let items = if count == 1 { "item" } else { "items" };
    let scanned =
        if scanned_count == count { String::new() } else { format!(" of {scanned_count} looked at") };
    let more = match (more, goes_on) {
        (true, false) => "; MORE shows the next ones",
        (true, true) => "; more follow",
        (false, _) => "",
    };
    format!("({count} {items}{scanned}{more})")
}

/// Names and values, one below the other.
fn fields_of<'f>(fields: impl Iterator<Item = (&'f str, &'f str)> + Clone) -> String {
    let width = fields.clone().map(|(name, _)| name.width()).max().unwrap_or(0);
    let line = |(name, value): (&str, &str)| format!("{name}{}  {value}\n", " ".repeat(width - name.width()));
    fields.map(line).collect()
}

/// One item, an attribute a line.
fn record(item: &Item, keys: &[String]) -> String {
    let cells: Vec<(String, String)> = columns(std::slice::from_ref(item), keys)
        .into_iter()
        .filter_map(|name| Some((escaped(name), cell(item.get(name)?))))
        .collect();
    fields_of(cells.iter().map(|(name, value)| (&name[..], &value[..])))
}

/// The attributes of items, those of the key first.
fn columns<'i>(items: &'i [Item], keys: &'i [String]) -> Vec<&'i str> {
    let is_there = |name: &&str| items.iter().any(|item| item.contains_key(*name));
    let mut names: Vec<&str> = keys.iter().map(String::as_str).filter(is_there).collect();
    let mut others: Vec<&str> = items.iter().flat_map(|item| item.keys().map(String::as_str)).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|name| !names.contains(name));
    names.extend(others);
    names
}

/// Items as a table, or one below the other if the screen is too narrow for their columns.
fn table(items: &[Item], keys: &[String], width: Option<usize>) -> String {
    let names = columns(items, keys);
    let headings: Vec<String> = names.iter().map(|name| escaped(name)).collect();
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| names.iter().map(|name| item.get(*name).map_or(String::new(), cell)).collect())
        .collect();
    let is_number = |name: &&str| {
        items.iter().filter_map(|item| item.get(*name)).all(|value| matches!(value, AttributeValue::N(_)))
    };
    let right: Vec<bool> = names.iter().map(is_number).collect();
    if let Some(drawn) = grid(&headings, &rows, &right, width) {
        return drawn;
    }
    let numbered = items.iter().enumerate();
    numbered.map(|(nth, item)| format!("── {} ──\n{}", nth + 1, record(item, keys))).collect()
}

/// A table with a line below its headings; `None` if it cannot be made to fit.
fn grid(headings: &[String], rows: &[Vec<String>], right: &[bool], width: Option<usize>) -> Option<String> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.width()).collect();
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.width()));
    }
    if let Some(screen) = width {
        let lines = 3 * widths.len().saturating_sub(1) + 2;
        shrink(&mut widths, screen.saturating_sub(lines))?;
    }
    let line = |cells: &[String], rights: &dyn Fn(usize) -> bool| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(nth, (cell, &width))| {
            let cell = cut(cell, width);
            let padding = " ".repeat(width - cell.width());
            if rights(nth) { format!("{padding}{cell}") } else { format!("{cell}{padding}") }
        });
        format!(" {}", cells.collect::<Vec<_>>().join(" │ ")).trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
    let mut drawn = line(headings, &|_| false);
    drawn += &(rule.join("┼") + "\n");
    rows.iter().for_each(|row| drawn += &line(row, &|nth| right[nth]));
    Some(drawn)
}

/// Takes from the widest columns until all have room, or says that it cannot be.
fn shrink(widths: &mut [usize], room: usize) -> Option<()> {
    loop {
        let all: usize = widths.iter().sum();
        let excess = all.saturating_sub(room);
        if excess == 0 {
            return Some(());
        }
        let (nth, &widest) = widths.iter().enumerate().max_by_key(|&(_, width)| width)?;
        if widest <= MIN_COLUMN {
            return None;
        }
        let second = widths.iter().copied().filter(|&width| width < widest).max().unwrap_or(0);
        widths[nth] = (widest - excess.min(widest - second).max(1)).max(MIN_COLUMN);
    }
}

/// A cell that is no wider than its column.
fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut shown = String::new();
    for character in cell.chars() {
        shown.push(character);
        if shown.width() >= width {
            shown.pop();
            break;
        }
    }
    shown + "…"
}

fn history(versions: &[ItemVersion<Item>], width: Option<usize>) -> String {
    let headings = ["version", "written", "item"].map(str::to_owned);
    let rows: Vec<Vec<String>> = versions
        .iter()
        .map(|version| {
            let item = version.item.clone();
            let item =
                item.map_or_else(|| "(deleted)".to_owned(), |item| escaped(&item_to_json(item).to_string()));
            vec![version.version.to_string(), answer::time_of(version), item]
        })
        .collect();
    let right = [true, false, false];
    let drawn = grid(&headings, &rows, &right, width).or_else(|| grid(&headings, &rows, &right, None));
    let noun = if versions.len() == 1 { "version" } else { "versions" };
    let drawn = if versions.is_empty() { String::new() } else { drawn.unwrap_or_default() };
    format!("{drawn}({} {noun})\n", versions.len())
}

fn cell(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => escaped(text),
        AttributeValue::N(number) => number.to_string(),
        value => escaped(&Value::from(value.clone()).to_string()),
    }
}

/// A text in which nothing moves the cursor.
pub(crate) fn escaped(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() && !is_invisible(c);
    if text.chars().all(is_harmless) {
        return text.to_owned();
    }
    let escape = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        c if is_harmless(c) => c.to_string(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    };
    text.chars().map(escape).collect()
}

/// Marks that turn the direction of writing around, or take no room at all.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use dynamite_core::json::item_from_json;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(items: &[Value], keys: &[&str], width: Option<usize>, expected: &str) {
        let items: Vec<Item> =
            items.iter().map(|item| item_from_json(item.clone()).expect("it is an item")).collect();
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        assert_eq!(table(&items, &keys, width), expected);
    }

    #[test]
    fn keys_stand_first_and_numbers_to_the_right() {
        check(
            &[json!({"age": 7, "id": "alice", "z": [1]}), json!({"age": 30, "id": "bob", "b": null})],
            &["id"],
            None,
            " id    │ age │ b    │ z\n───────┼─────┼──────┼─────\n alice │   7 │      │ [1]\n bob   │  30 │ null │\n",
        );
    }

    #[test]
    fn a_narrow_screen_cuts_the_widest_columns() {
        let long = "x".repeat(50);
        check(
            &[json!({"id": "a", "long": long, "n": 1})],
            &["id"],
            Some(26),
            " id │ long            │ n\n────┼─────────────────┼───\n a  │ xxxxxxxxxxxxxx… │ 1\n",
        );
        check(
            &[json!({"id": "a", "long": long, "n": 1})],
            &["id"],
            Some(12),
            &format!("── 1 ──\nid    a\nlong  {long}\nn     1\n"),
        );
    }

    #[test]
    fn wide_characters_take_the_room_that_they_take() {
        check(&[json!({"id": "日本"}), json!({"id": "a"})], &["id"], None, " id\n──────\n 日本\n a\n");
    }

    #[test]
    fn nothing_in_an_item_moves_the_cursor() {
        check(
            &[json!({"id": "\u{1b}[2J\n\t\u{9b}\u{202e}é"})],
            &["id"],
            None,
            " id\n──────────────────────────────\n \\u{1b}[2J\\n\\t\\u{9b}\\u{202e}é\n",
        );
    }
}
