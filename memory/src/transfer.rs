//! Bringing memories in from elsewhere, and taking them out.
//!
//! What is brought in goes through the same checks as everything else: it is cleaned, and secrets are refused (or redacted, if told so). What could
//! not be kept is counted, and said.

pub mod claude_md;
pub mod jsonl;
pub mod memory_dir;
pub mod server_memory;

use crate::client::{Memory, answer};
use crate::error::{MemoryError, Result};
use crate::request::{Entry, Export, Exported, Remember, Request, Source};

/// Memories that are written in one transaction.
const PORTION: usize = 50;

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Imported {
    /// Memories that are new.
    pub created: u64,
    /// Memories that are other than before.
    pub updated: u64,
    /// Memories that were there already.
    pub unchanged: u64,
    /// What was not kept, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What was left out of what was kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Keeps what was read from elsewhere.
///
/// # Errors
///
/// [`MemoryError`], if that ends it.
pub async fn import(memory: &Memory, all: Vec<Remember>, redact: bool) -> Result<Imported> {
    let mut imported = Imported::default();
    let all: Vec<Remember> =
        all.into_iter().map(|one| Remember { redact, source: Source::Import, ..one }).collect();
    for portion in all.chunks(PORTION) {
        let done = memory.remember_all(portion.to_vec()).await?;
        for (remember, done) in portion.iter().zip(done) {
            let name = format!("{}/{}", remember.category, crate::key::shortened(&remember.key));
            match done {
                Ok(done) => {
                    let count = match (done.created, done.changed) {
                        (true, _) => &mut imported.created,
                        (_, true) => &mut imported.updated,
                        _ => &mut imported.unchanged,
                    };
                    *count += 1;
                    imported
                        .warnings
                        .extend(done.warnings.iter().map(|warning| format!("{name}: {warning}")));
                }
                Err(error) => imported.refused.push(format!("{name}: {error}")),
            }
        }
    }
    Ok(imported)
}

/// All memories of some scopes; of all, if none is named. In the order of scopes, categories and keys.
///
/// # Errors
///
/// [`MemoryError`].
pub async fn export(memory: &Memory, scopes: &[String]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut cursor = None;
    loop {
        let export = Export { scopes: scopes.to_vec(), cursor };
        let exported: Exported = answer!(memory, Request::Export(export), Exported)?;
        entries.extend(exported.entries);
        cursor = exported.cursor;
        if cursor.is_none() {
            break;
        }
    }
    entries.sort_by(|a, b| (&a.scope, &a.category, &a.key).cmp(&(&b.scope, &b.category, &b.key)));
    Ok(entries)
}

/// Memories as Markdown: a heading for each category, and one below it for each key.
pub fn markdown(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut place = None;
    for entry in entries {
        if place != Some((&entry.scope, &entry.category)) {
            let scope = if entry.scope == crate::key::GLOBAL { " (global)" } else { "" };
            text += &format!("# {}{scope}\n\n", entry.category);
            place = Some((&entry.scope, &entry.category));
        }
        text += &format!("## {}\n\n{}\n\n", entry.key, entry.content.trim_end());
    }
    text
}

/// A word that a category can be called, from any text.
pub(crate) fn slug(text: &str, most: usize) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c.is_ascii_alphanumeric() {
            true => slug.push(c),
            false if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            false => {}
        }
        if slug.len() >= most {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A text in parts that fit into a memory, cut between paragraphs, or else lines, or else anywhere.
pub(crate) fn parts(text: &str) -> Vec<&str> {
    let most = crate::store::MAX_CONTENT;
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    while rest.len() > most {
        let limit = rest.floor_char_boundary(most);
        let window = &rest[..limit];
        let at =
            window.rfind("\n\n").or_else(|| window.rfind('\n')).filter(|at| *at > most / 4).unwrap_or(limit);
        parts.push(rest[..at].trim());
        rest = rest[at..].trim();
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
}

/// What a file says.
pub(crate) fn read(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| MemoryError::Invalid(format!("{} cannot be read: {error}", path.display())))
}
