//! Answers as people read them, and as programs do.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::error::{MemoryError, Result};
use crate::request::{Discovered, Forgot, PastVersion, Recalled, Remembered, Stats, Swept};
use crate::transfer::Imported;

/// An answer for a person.
pub(super) trait Text {
    fn text(&self) -> String;
}

/// Prints an answer.
pub(super) fn answer(as_json: bool, answer: &(impl Serialize + Text)) -> Result<ExitCode> {
    let text = if as_json { serde_json::to_string(answer).unwrap_or_default() } else { answer.text() };
    let printed = writeln!(io::stdout().lock(), "{}", text.trim_end());
    match printed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Whoever reads it has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(MemoryError::Failed(format!("printing failed: {error}"))),
    }
}

/// Says what went wrong: as JSON on the standard output, where a program reads; else on the standard error.
pub(super) fn error(as_json: bool, error: &MemoryError) {
    let _ = match as_json {
        true => writeln!(
            io::stdout().lock(),
            "{}",
            json!({"error": error.to_string(), "code": error.exit_code()})
        ),
        false => writeln!(io::stderr().lock(), "dynamite-memory: {error}"),
    };
}

impl Text for Remembered {
    fn text(&self) -> String {
        let what = match (self.created, self.changed) {
            (true, _) => "remembered",
            (_, true) => "corrected",
            _ => "unchanged",
        };
        let mut text = format!("{what} {}/{} (version {})\n", self.category, self.key, self.version);
        for similar in &self.similar {
            text += &format!("similar: {}/{} ({:.2})\n", self.category, similar.key, similar.score);
        }
        for warning in &self.warnings {
            text += &format!("warning: {warning}\n");
        }
        text
    }
}

impl Text for Recalled {
    fn text(&self) -> String {
        if self.items.is_empty() {
            return "nothing found\n".to_owned();
        }
        let mut text = String::new();
        for item in &self.items {
            let score = item.score.map(|score| format!(", score {score:.2}")).unwrap_or_default();
            let more = if item.truncated { " […]" } else { "" };
            text += &format!(
                "{}/{} (version {}, {}{score})\n{}{more}\n\n",
                item.category, item.key, item.version, item.updated, item.content
            );
        }
        if let Some(cursor) = &self.cursor {
            text += &format!("there is more: --cursor {cursor}\n");
        }
        text
    }
}

impl Text for Discovered {
    fn text(&self) -> String {
        let mut text = String::new();
        for category in self.categories.iter().flatten() {
            text += &format!("{:>6}  {}  ({})\n", category.count, category.name, category.updated);
        }
        for key in self.keys.iter().flatten() {
            text += &format!("{:>6}  {}{}\n", key.count, key.prefix, if key.leaf { "" } else { "…" });
        }
        if let Some(cursor) = &self.cursor {
            text += &format!("there is more: --cursor {cursor}\n");
        }
        if text.is_empty() { "nothing is remembered here\n".to_owned() } else { text }
    }
}

impl Text for Forgot {
    fn text(&self) -> String {
        let until = self.restorable_until.as_ref().map(|until| format!("; it can be restored until {until}"));
        format!("{} forgotten{}\n", self.forgotten, until.unwrap_or_default())
    }
}

impl Text for Vec<PastVersion> {
    fn text(&self) -> String {
        let mut text = String::new();
        for version in self {
            let current = if version.current { ", the present one" } else { "" };
            text += &format!(
                "version {} ({}{current})\n{}\n\n",
                version.version, version.updated, version.content
            );
        }
        text
    }
}

impl Text for Imported {
    fn text(&self) -> String {
        let mut text =
            format!("{} created, {} updated, {} unchanged\n", self.created, self.updated, self.unchanged);
        for refused in &self.refused {
            text += &format!("refused: {refused}\n");
        }
        for warning in &self.warnings {
            text += &format!("warning: {warning}\n");
        }
        text
    }
}

impl Text for Swept {
    fn text(&self) -> String {
        let encoded = if self.encoded > 0 { format!(", {} encoded", self.encoded) } else { String::new() };
        format!("{} expired, {} forgotten for good{encoded}\n", self.expired, self.tombstones)
    }
}

impl Text for Stats {
    fn text(&self) -> String {
        let mut text = format!(
            "{} memories, {} older versions, {} forgotten, {} chunks of the index\n",
            self.memories, self.versions, self.tombstones, self.postings
        );
        for (scope, categories) in &self.scopes {
            text += &format!("{scope}\n");
            for (category, count) in categories {
                text += &format!("{count:>6}  {category}\n");
            }
        }
        text
    }
}
