//! Names: of categories, of memories within them, and of the scopes that keep projects apart.
//!
//! A key is a path: segments joined by `/`. `#` is taken for `/`, so that there is one way to write a key. What could not be shown
//! safely (control characters, those that turn the direction of text) or could be taken for a way upwards (`..`) is no key.

use crate::error::{MemoryError, Result};

/// Bytes that a key may have.
pub const MAX_KEY: usize = 512;

/// Characters that a category may have.
pub const MAX_CATEGORY: usize = 64;

/// The scope of what holds everywhere.
pub const GLOBAL: &str = "global";

/// Checks the name of a category.
///
/// # Errors
///
/// [`MemoryError::Invalid`].
pub fn check_category(category: &str) -> Result<()> {
    let mut bytes = category.bytes();
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let first = bytes.next().is_some_and(letter);
    match first && category.len() <= MAX_CATEGORY && bytes.all(|byte| letter(byte) || b"_-".contains(&byte)) {
        true => Ok(()),
        false => Err(MemoryError::Invalid(format!(
            "category {:?} must be 1 to 64 of a-z, 0-9, _ and -, a letter or digit first",
            shortened(category)
        ))),
    }
}

/// The one form of a key.
///
/// # Errors
///
/// [`MemoryError::Invalid`].
pub fn normal_key(key: &str) -> Result<String> {
    let refused = |why: &str| Err(MemoryError::Invalid(format!("key {:?} {why}", shortened(key))));
    let normal = key.trim().replace('#', "/");
    if normal.is_empty() {
        return refused("is empty; name the memory, like db/pool-size");
    }
    if normal.len() > MAX_KEY {
        return refused("has more than 512 bytes; shorten it");
    }
    if normal.chars().any(is_deceptive) {
        return refused("has a control or direction character; leave it out");
    }
    if normal.split('/').any(|segment| segment.trim().is_empty()) {
        return refused("has an empty segment; write a/b, without a slash at either end");
    }
    match normal.split('/').any(|segment| matches!(segment, "." | "..")) {
        true => refused("has a segment . or ..; name the place itself"),
        false => Ok(normal),
    }
}

/// The beginning of keys: like a key, but it may be empty, or end with a slash.
///
/// # Errors
///
/// [`MemoryError::Invalid`].
pub fn normal_prefix(prefix: &str) -> Result<String> {
    let prefix = prefix.trim().replace('#', "/");
    let body = prefix.trim_end_matches('/');
    if body.is_empty() {
        return Ok(String::new());
    }
    let slash = if body.len() < prefix.len() { "/" } else { "" };
    Ok(normal_key(body)? + slash)
}

/// Whether a character could make a text look like another, or end a line where there is one.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

/// The partition of the memories of a category.
pub(crate) fn partition(scope: &str, category: &str) -> String {
    format!("{scope}#{category}")
}

/// The scope and the category of a partition.
pub(crate) fn split_partition(partition: &str) -> (&str, &str) {
    partition.split_once('#').unwrap_or((partition, ""))
}

/// What an error shows of a name: not all of it, should it be a page of text.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_form() {
        assert_eq!(normal_key("db/pool size").unwrap(), "db/pool size");
        assert_eq!(normal_key(" db#pool#size ").unwrap(), "db/pool/size");
        assert_eq!(normal_key("größe/日本").unwrap(), "größe/日本");
        assert_eq!(normal_key(&"k".repeat(MAX_KEY)).unwrap().len(), MAX_KEY);
    }

    #[test]
    fn what_could_deceive_is_no_key() {
        let long = "k".repeat(MAX_KEY + 1);
        for wrong in [
            "",
            "  ",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "a#..",
            "./a",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}",
            "a\0",
            &long,
        ] {
            assert!(normal_key(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_prefix_may_end_within_a_segment_or_after_one() {
        for (given, normal) in [("", ""), ("/", ""), ("db", "db"), ("db/", "db/"), ("db#po", "db/po")] {
            assert_eq!(normal_prefix(given).unwrap(), normal);
        }
        assert!(normal_prefix("../").is_err());
    }

    #[test]
    fn a_category_is_a_short_plain_word() {
        let longest = "c".repeat(MAX_CATEGORY);
        for right in ["a", "9", "user-prefs", "a_b", &longest] {
            check_category(right).unwrap();
        }
        let too_long = "c".repeat(MAX_CATEGORY + 1);
        for wrong in ["", "A", "-a", "_a", "a b", "a#b", "a/b", "é", &too_long] {
            assert!(check_category(wrong).is_err(), "{wrong:?}");
        }
    }
}
