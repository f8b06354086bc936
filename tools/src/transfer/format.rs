//! The forms that files of items have.

use std::path::Path;

use clap::ValueEnum;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A JSON object a line.
    Jsonl,
    /// DynamoDB JSON, `{"Item": {...}}` a line: a directory as DynamoDB's export to S3 writes it, or one of its data files.
    Dynamodb,
    /// Comma-separated values; each heading is `name:TYPE`.
    Csv,
}

impl Format {
    /// What a path looks like.
    pub(crate) fn of_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("jsonl" | "ndjson") => Some(Format::Jsonl),
            Some("json") => Some(Format::Dynamodb),
            Some("csv") => Some(Format::Csv),
            _ if path.is_dir() => Some(Format::Dynamodb),
            _ => None,
        }
    }
}
