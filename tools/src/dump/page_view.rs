//! The bytes of a page, field by field; of a leaf also its entries, and of a table's leaf its items.

use std::io::Write;
use std::path::Path;

use dynamite_bptree::NodeView;
use dynamite_core::api::inspect::{item_to_json, key_text};
use dynamite_pager::format::describe;
use dynamite_pager::{Field, Inspection, PAGE_SIZE, Page, PageId, Pager};
use dynamite_txn::describe::{describe_value, owner_of_node, payload_at};
use dynamite_txn::verify::{Owner, Scope};
use serde_json::{Value, json};

use crate::program::{Failure, Verdict};
use crate::progress::byte_bar;
use crate::survey::{Survey, Wanted, kind_name, open};
use crate::text_table::{self, Align};

/// Bytes of a field that are shown as they stand.
const BYTES_SHOWN: usize = 8;
/// Characters of an item that are shown.
const ITEM_SHOWN: usize = 160;

/// An entry of a leaf, for people.
struct EntryText {
    slot: usize,
    key: String,
    item: Option<Value>,
}

pub(super) fn show(file: &Path, page: u32, as_json: bool, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let inspection = Inspection::open(file)?;
    let id = PageId(page);
    let count = inspection.page_count()?;
    if u64::from(page) >= count {
        return Err(Failure::new(format!("{} has {count} pages, from 0 on", file.display())));
    }
    let mut page = Page::boxed();
    inspection.read(id, &mut page)?;
    let wrong = inspection.check(id, &page).err().map(|why| why.to_string());
    drop(inspection);
    let view = dynamite_bptree::describe(&page);
    // Whose it is can be said of files that can be opened.
    let owner = open(file).ok().and_then(|pager| owner_of(&pager, &page));
    let (mut fields, entries) = (describe::describe(&page), entries(&view, owner.as_ref()));
    fields.extend(with_values(&view, owner.as_ref()));
    let wrong = wrong.or_else(|| view.wrong.map(|why| why.to_string()));
    let verdict = if wrong.is_some() { Verdict::Damage } else { Verdict::Clean };
    let of = owner.as_ref().map(|(_, name)| &name[..]);
    if as_json {
        let entries: Vec<Value> = entries
            .iter()
            .map(|entry| json!({"slot": entry.slot, "key": entry.key, "item": entry.item}))
            .collect();
        let shown = json!({
            "page": id.0,
            "kind": kind_name(&page),
            "tree": of,
            "wrong": wrong,
            "fields": fields.iter().map(|field| field_to_json(field, &page)).collect::<Vec<_>>(),
            "entries": entries,
            "children": view.children.iter().map(|child| child.id.0).collect::<Vec<_>>(),
        });
        writeln!(out, "{shown}")?;
        return Ok(verdict);
    }
    let of = of.map(|name| format!(" of {name}")).unwrap_or_default();
    writeln!(out, "page {id}: {}{of}", kind_name(&page))?;
    if let Some(wrong) = wrong {
        writeln!(out, "damage: {wrong}")?;
    }
    print_fields(&fields, &page, out)?;
    for EntryText { slot, key, item } in entries {
        let item = item.map(|item| format!(" {}", shorten(&item.to_string()))).unwrap_or_default();
        writeln!(out, "entry {slot}: {key}{item}")?;
    }
    Ok(verdict)
}

/// The tree of a node, and its name.
fn owner_of(pager: &Pager, page: &Page) -> Option<(Owner, String)> {
    let owner = owner_of_node(pager, page).ok()??;
    let bar = byte_bar("", false);
    let wanted = Wanted { scope: Scope::Outline, checks_items: false, each_page: None, bar };
    let survey = Survey::of(pager, wanted).ok()?;
    Some((owner, survey.name(owner)))
}

/// The fields of a node, where those of values whose tree is known take the place of the values.
fn with_values(view: &NodeView, owner: Option<&(Owner, String)>) -> Vec<Field> {
    let mut fields = Vec::new();
    for field in &view.fields {
        let entry = view
            .entries
            .iter()
            .find(|entry| entry.value_at == field.offset && field.name.ends_with(" value"));
        let (Some(entry), Some((owner, _))) = (entry, owner) else {
            fields.push(field.clone());
            continue;
        };
        let parts = describe_value(*owner, &entry.key, &entry.value).into_iter();
        fields.extend(parts.filter(|part| part.len > 0).map(|part| Field {
            offset: field.offset + part.offset,
            name: format!("{} {}", field.name, part.name),
            ..part
        }));
    }
    fields
}

fn entries(view: &NodeView, owner: Option<&(Owner, String)>) -> Vec<EntryText> {
    let is_table = matches!(owner, Some((Owner::Table(_), _)));
    let text = |entry: &dynamite_bptree::EntryPlace| {
        let payload = payload_at(&entry.value).filter(|_| is_table && entry.run.is_none());
        let item = payload.and_then(|at| item_to_json(&entry.value[at..]));
        EntryText { slot: entry.slot, key: key_text(&entry.key), item }
    };
    view.entries.iter().map(text).collect()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(ITEM_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Prints fields, and between them the bytes that belong to none.
pub(super) fn print_fields(fields: &[Field], page: &Page, out: &mut dyn Write) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut end = 0;
    let gap = |from: usize, to: usize| {
        let is_zero = page.bytes()[from..to].iter().all(|byte| *byte == 0);
        let what = if is_zero { "(zeros)" } else { "(unused)" };
        vec![from.to_string(), (to - from).to_string(), what.to_owned(), String::new(), String::new()]
    };
    for field in fields {
        if field.offset > end {
            rows.push(gap(end, field.offset));
        }
        end = field.offset + field.len;
        let (offset, len) = (field.offset.to_string(), field.len.to_string());
        rows.push(vec![offset, len, field.name.clone(), hex(field, page), field.value.clone()]);
    }
    if end < PAGE_SIZE {
        rows.push(gap(end, PAGE_SIZE));
    }
    let columns = [
        ("offset", Align::Right),
        ("size", Align::Right),
        ("field", Align::Left),
        ("bytes", Align::Left),
        ("value", Align::Left),
    ];
    Ok(text_table::print(out, &columns, &rows)?)
}

/// The first bytes of a field.
fn hex(field: &Field, page: &Page) -> String {
    let bytes = &page.bytes()[field.offset..field.offset + field.len];
    let shown = bytes.iter().take(BYTES_SHOWN).map(|byte| format!("{byte:02x}"));
    let more = if bytes.len() > BYTES_SHOWN { ".." } else { "" };
    format!("{}{more}", shown.collect::<Vec<_>>().join(" "))
}

/// A field, with all of its bytes.
pub(super) fn field_to_json(field: &Field, page: &Page) -> Value {
    let bytes = &page.bytes()[field.offset..field.offset + field.len];
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"offset": field.offset, "size": field.len, "name": field.name, "value": field.value, "bytes": hex})
}
