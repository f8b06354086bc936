//! What is looked at before a text is stored: what is private, what was only recalled, secrets, and limits.

use crate::error::{MemoryError, Result};
use crate::key;
use crate::request::Remember;
use crate::text::{fence, private, secrets};

/// Bytes of a content.
pub(crate) const MAX_CONTENT: usize = 16 << 10;

/// Tags of a memory, and bytes of one.
const MAX_TAGS: (usize, usize) = (16, 64);

/// A memory whose parts may be stored.
#[derive(Clone, Debug)]
pub(super) struct Clean {
    pub(super) key: String,
    pub(super) content: String,
    pub(super) tags: Option<Vec<String>>,
    pub(super) warnings: Vec<String>,
}

/// Checks and cleans what is to be stored.
pub(super) fn clean(remember: &Remember) -> Result<Clean> {
    key::check_category(&remember.category)?;
    let normal = key::normal_key(&remember.key)?;
    if remember.importance.is_some_and(|importance| importance > 3) {
        return Err(MemoryError::Invalid("importance must be 0, 1, 2 or 3".to_owned()));
    }
    let mut warnings = Vec::new();
    let (content, had_private) = private::strip(&remember.content);
    let (content, had_recalled) = fence::strip(&content);
    if had_private {
        warnings.push("what was marked <private> was left out".to_owned());
    }
    if had_recalled {
        warnings.push("what was fenced as recalled was left out".to_owned());
    }
    let content = refuse_secrets(&content, remember.redact, &mut warnings)?;
    let content = content.trim().to_owned();
    if content.is_empty() {
        let why = if warnings.is_empty() { "" } else { " once what may not be stored is left out" };
        return Err(MemoryError::Invalid(format!("content is empty{why}; write what is to be remembered")));
    }
    check_size(&content)?;
    for name in [&normal, &remember.category] {
        refuse_secrets(name, false, &mut warnings)?;
    }
    let tags = remember.tags.as_ref().map(|tags| clean_tags(tags)).transpose()?;
    Ok(Clean { key: normal, content, tags, warnings })
}

pub(super) fn check_size(content: &str) -> Result<()> {
    match content.len() <= MAX_CONTENT {
        true => Ok(()),
        false => Err(MemoryError::Invalid(format!(
            "content has {} bytes, {MAX_CONTENT} are allowed; split it over several keys",
            content.len()
        ))),
    }
}

fn refuse_secrets(text: &str, redact: bool, warnings: &mut Vec<String>) -> Result<String> {
    if redact {
        let (left, rules) = secrets::redact(text);
        warnings.extend(rules.iter().map(|rule| format!("a secret was redacted ({rule})")));
        return Ok(left);
    }
    match secrets::find(text).first() {
        Some(found) => Err(MemoryError::Secret { rule: found.rule.to_owned() }),
        None => Ok(text.to_owned()),
    }
}

fn clean_tags(tags: &[String]) -> Result<Vec<String>> {
    let mut clean: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        if tag.len() > MAX_TAGS.1 || tag.chars().any(key::is_deceptive) {
            let tag = key::shortened(tag);
            return Err(MemoryError::Invalid(format!("tag {tag:?} must be at most 64 bytes of plain text")));
        }
        refuse_secrets(tag, false, &mut Vec::new())?;
        if !clean.iter().any(|other| other == tag) {
            clean.push(tag.to_owned());
        }
    }
    match clean.len() <= MAX_TAGS.0 {
        true => Ok(clean),
        false => Err(MemoryError::Invalid("a memory has at most 16 tags".to_owned())),
    }
}
