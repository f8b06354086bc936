//! Both headers, and which of them is current; also of a file that cannot be opened for want of one.

use std::io::Write;
use std::path::Path;

use dynamite_pager::format::describe::describe;
use dynamite_pager::{Inspection, Page, PageId};
use serde_json::{Value, json};

use super::page_view::{field_to_json, print_fields};
use crate::program::{Failure, Verdict};

pub(super) fn show(file: &Path, as_json: bool, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let inspection = Inspection::open(file)?;
    let mut verdict = Verdict::Clean;
    let mut shown = Vec::new();
    for (place, header) in (0..).zip(inspection.headers()) {
        let mut page = Page::boxed();
        inspection.read(PageId(place), &mut page)?;
        let state = match (&header.refused, header.is_current) {
            (Some(_), _) => "cannot be used",
            (None, true) => "current",
            (None, false) => "older",
        };
        if header.refused.is_some() {
            verdict = Verdict::Damage;
        }
        let fields = describe(&page);
        if as_json {
            let fields: Vec<Value> = fields.iter().map(|field| field_to_json(field, &page)).collect();
            shown.push(json!({"page": place, "state": state, "refused": header.refused, "fields": fields}));
            continue;
        }
        let why = header.refused.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(out, "page {place}: header, {state}{why}")?;
        print_fields(&fields, &page, out)?;
    }
    let pages = inspection.page_count()?;
    if as_json {
        writeln!(out, "{}", json!({"file_pages": pages, "headers": shown}))?;
    } else {
        writeln!(out, "The file has {pages} pages.")?;
    }
    Ok(verdict)
}
