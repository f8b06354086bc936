//! The free pages: how many there are, in which pieces, and where.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use dynamite_txn::verify::Scope;
use serde_json::{Value, json};

use super::{conclude, look};
use crate::program::{Failure, Verdict};
use crate::survey::{extent_text, percent};

pub(super) fn show(file: &Path, as_json: bool, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let survey = look(file, Scope::Outline)?;
    let total: u64 = survey.free.iter().map(|extent| u64::from(extent.count)).sum();
    let longest = survey.free.iter().map(|extent| extent.count).max().unwrap_or(0);
    if as_json {
        let extents: Vec<Value> =
            survey.free.iter().map(|extent| json!([extent.first.0, extent.count])).collect();
        let value = json!({
            "pages": survey.page_count,
            "free_pages": total,
            "longest": longest,
            "extents": extents,
        });
        return conclude(&survey, Some(value), out);
    }
    let part = percent(total, survey.page_count);
    let (pieces, pages) = (survey.free.len(), survey.page_count);
    writeln!(
        out,
        "{total} of {pages} pages are free ({part}), in {pieces} pieces, the longest of {longest}"
    )?;
    // Pieces by the power of two that is not above their length.
    let mut lengths: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for extent in &survey.free {
        let counted = lengths.entry(extent.count.ilog2()).or_default();
        *counted = (counted.0 + 1, counted.1 + u64::from(extent.count));
    }
    for (power, (pieces, pages)) in lengths {
        let (from, to) = (1_u64 << power, (2_u64 << power) - 1);
        writeln!(out, "pieces of {from} to {to} pages: {pieces}, {pages} pages")?;
    }
    for extent in &survey.free {
        writeln!(out, "{}", extent_text(*extent))?;
    }
    conclude(&survey, None, out)
}
