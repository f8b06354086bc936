//! JSON lines: a memory each, with all that is known of it. What is exported so comes back with its text, its tags, its importance and its times.
//! Versions and accesses are counted anew, and what comes in so comes from an import.

use crate::error::{MemoryError, Result};
use crate::request::{Entry, Remember};
use crate::text::time::parse_rfc3339;

/// Memories as JSON lines.
pub fn write(entries: &[Entry]) -> String {
    entries.iter().map(|entry| serde_json::to_string(entry).unwrap_or_default() + "\n").collect()
}

/// Reads them, into this scope if one is given. What has expired meanwhile is left out.
///
/// # Errors
///
/// [`MemoryError::Invalid`] for a line that is none.
pub fn read(text: &str, scope: Option<&str>, now: u64) -> Result<Vec<Remember>> {
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let entry: Entry = serde_json::from_str(line)
            .map_err(|error| MemoryError::Invalid(format!("line {number} is no memory: {error}")))?;
        let expires = entry.expires.as_deref().and_then(parse_rfc3339);
        if expires.is_some_and(|at| at <= now) {
            continue;
        }
        all.push(Remember {
            scope: scope.map_or(entry.scope, str::to_owned),
            category: entry.category,
            key: entry.key,
            content: entry.content,
            tags: Some(entry.tags),
            importance: Some(entry.importance),
            ttl_ms: expires.map(|at| at - now),
            session: entry.session,
            created: parse_rfc3339(&entry.created),
            updated: parse_rfc3339(&entry.updated),
            ..Remember::default()
        });
    }
    Ok(all)
}
