//! A directory of notes, as agents with a memory in files keep one: each file is a memory, its directory the category.

use std::path::Path;

use crate::error::{MemoryError, Result};
use crate::request::Remember;
use crate::transfer::{self, parts, slug};

/// The category of files that lie in no directory of their own.
const CATEGORY: &str = "notes";

/// Files that are notes.
const ENDINGS: &[&str] = &["md", "txt", "markdown", "json", "yaml", "yml", "xml"];

/// The memories in a directory and below it.
///
/// # Errors
///
/// [`MemoryError::Invalid`] for what cannot be read.
pub fn read(directory: &Path, scope: &str) -> Result<Vec<Remember>> {
    let mut all = Vec::new();
    visit(directory, directory, scope, &mut all)?;
    Ok(all)
}

fn visit(root: &Path, directory: &Path, scope: &str, all: &mut Vec<Remember>) -> Result<()> {
    let failed = |error| MemoryError::Invalid(format!("{} cannot be read: {error}", directory.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What a link leads to is not in the directory.
        if name.starts_with('.') || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            visit(root, &path, scope, all)?;
            continue;
        }
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if !ENDINGS.contains(&ending.as_str()) {
            continue;
        }
        let text = transfer::read(&path)?;
        let inside = path.strip_prefix(root).unwrap_or(&path).with_extension("");
        let mut segments: Vec<String> =
            inside.iter().map(|part| part.to_string_lossy().trim().replace('#', "-")).collect();
        let category = if segments.len() > 1 { slug(&segments.remove(0), 64) } else { CATEGORY.to_owned() };
        let key = segments.join("/");
        for (number, part) in (1..).zip(parts(&text)) {
            all.push(Remember {
                scope: scope.to_owned(),
                category: if category.is_empty() { CATEGORY.to_owned() } else { category.clone() },
                key: if number == 1 { key.clone() } else { format!("{key}/{number}") },
                content: part.to_owned(),
                ..Remember::default()
            });
        }
    }
    Ok(())
}
