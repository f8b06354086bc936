//! A picture of the file, in which each page is a square, coloured by what it is, whose it is, how old or how full: as SVG, PNG, or a page
//! of HTML to look around in. Without any of these, as text.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dynamite_pager::{Inspection, Page, PageId};
use dynamite_txn::verify::Scope;
use serde_json::json;

use super::conclude;
use crate::map::colours::Colours;
use crate::map::{Class, FileMap, html, png, svg};
use crate::program::{Failure, Verdict};
use crate::progress::byte_bar;
use crate::survey::{Survey, Wanted, open};

/// How the map is drawn, and where to.
#[derive(Debug, Args)]
pub struct MapArguments {
    /// Writes an SVG picture.
    #[arg(long, value_name = "OUT")]
    pub svg: Option<PathBuf>,

    /// Writes a PNG picture.
    #[arg(long, value_name = "OUT")]
    pub png: Option<PathBuf>,

    /// Writes a page of HTML to look around in, which needs nothing else.
    #[arg(long, value_name = "OUT")]
    pub html: Option<PathBuf>,

    /// What the colours of the pictures mean; the HTML page has all of them.
    #[arg(long, value_enum, default_value_t = By::Kind)]
    pub by: By,
}

/// What colours mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// What the page is: a leaf, an inner node, free, and so on.
    Kind,
    /// The tree that it belongs to.
    Table,
    /// The batch that wrote it, from the oldest to the newest.
    Age,
    /// How many of its bytes are used.
    Fill,
}

pub(super) fn show(
    file: &Path,
    arguments: &MapArguments,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<Verdict, Failure> {
    let (map, survey) = match open(file) {
        Ok(pager) => {
            let mut map = FileMap::new(pager.stats().page_count);
            let wanted = Wanted {
                scope: Scope::Everything,
                checks_items: false,
                each_page: Some(&mut |owner, page, used| map.page(owner, page, used)),
                bar: byte_bar("looked at", !as_json),
            };
            let survey = Survey::of(&pager, wanted)?;
            map.complete(&survey);
            (map, Some(survey))
        }
        // Pages by themselves can be shown even so.
        Err(failure) if failure.verdict == Verdict::Damage => {
            writeln!(
                out,
                "the file cannot be opened, so its pages are shown by themselves: {}",
                failure.message
            )?;
            (without_trees(file)?, None)
        }
        Err(failure) => return Err(failure),
    };
    let colours = Colours::of(&map, arguments.by);
    let title = file.display().to_string();
    let mut written = Vec::new();
    let mut write = |path: &Option<PathBuf>, bytes: &dyn Fn() -> Vec<u8>| match path {
        None => Ok(()),
        Some(path) => {
            written.push(path.display().to_string());
            fs::write(path, bytes())
                .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
        }
    };
    write(&arguments.svg, &|| svg::draw(&map, &colours, &title).into_bytes())?;
    write(&arguments.png, &|| png::draw(&map, &colours))?;
    write(&arguments.html, &|| html::draw(&map, &title).into_bytes())?;
    let counts = map.counts();
    if as_json {
        let classes: serde_json::Map<String, serde_json::Value> =
            counts.iter().map(|(class, count)| (class.name().to_owned(), json!(count))).collect();
        let value = json!({"pages": map.page_count, "classes": classes, "written": written});
        return match survey {
            Some(survey) => conclude(&survey, Some(value), out),
            None => {
                writeln!(out, "{value}")?;
                Ok(Verdict::Damage)
            }
        };
    }
    if written.is_empty() {
        for line in map.text() {
            writeln!(out, "{line}")?;
        }
    }
    for (class, count) in counts {
        writeln!(out, "{}  {count:>8} {}", class.letter(), class.name())?;
    }
    match survey {
        Some(survey) => conclude(&survey, None, out),
        None => Ok(Verdict::Damage),
    }
}

/// What each page says of itself.
fn without_trees(file: &Path) -> Result<FileMap, Failure> {
    let inspection = Inspection::open(file)?;
    let mut map = FileMap::new(inspection.page_count()?);
    let mut page = Page::boxed();
    for id in (0..map.page_count).map(|id| PageId(id as u32)) {
        let class = match inspection.read(id, &mut page).map(|()| inspection.check(id, &page)) {
            Ok(Ok(())) => Class::of(&page),
            Ok(Err(dynamite_pager::Corruption::Blank)) => Class::Blank,
            _ => Class::Damaged,
        };
        map.alone(id, class, &page);
    }
    Ok(map)
}
