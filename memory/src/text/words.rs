//! The tokenizer: which terms a text is found by.
//!
//! A word is a run of letters, digits, and what joins them in names and paths (`_ - . / : @ # +`). If it has parts, by a joint or
//! by a change of case, it gives itself, whole, and each part: `src/HttpServer.rs` gives `src/httpserver.rs`, `src`, `http`, `server`, `rs`. Parts are
//! [stemmed](crate::text::stem), and [stop words](crate::text::stop_words) among them dropped; the whole is kept as it is, so that an exact
//! name finds what mentions it. Scripts without spaces give each pair of neighbouring characters.

use crate::text::stem::stem;
use crate::text::stop_words::is_stop_word;

/// Bytes that a term may have. What is longer is no word that anybody asks for.
const MAX_TERM: usize = 64;

/// Hands the terms of a text to `visit`, in their order, repeated as often as they occur.
pub fn terms(text: &str, mut visit: impl FnMut(&str)) {
    let mut lower = String::new();
    for word in text.split(|c: char| !is_word(c)) {
        let word = word.trim_matches(is_joint);
        if word.is_empty() {
            continue;
        }
        let mut parts = 0;
        split(word, |part| {
            parts += 1;
            lowercase(part, &mut lower);
            part_terms(&lower, &mut visit);
        });
        if parts > 1 && word.len() <= MAX_TERM {
            lowercase(word, &mut lower);
            visit(&lower);
        }
    }
}

/// The same, collected.
pub fn collect_terms(text: &str) -> Vec<String> {
    let mut collected = Vec::new();
    terms(text, |term| collected.push(term.to_owned()));
    collected
}

fn is_joint(c: char) -> bool {
    "_-./:@#+".contains(c)
}

/// Also the apostrophe, which is left out: `don't` is `dont`.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_joint(c) || matches!(c, '\'' | '’')
}

fn lowercase(word: &str, lower: &mut String) {
    lower.clear();
    lower.extend(word.chars().filter(|c| !matches!(c, '\'' | '’')).flat_map(char::to_lowercase));
}

fn part_terms(part: &str, visit: &mut impl FnMut(&str)) {
    if part.chars().any(is_unspaced) {
        let characters: Vec<_> = part.char_indices().map(|(at, _)| at).chain([part.len()]).collect();
        match characters.len() {
            2 => visit(part),
            _ => characters.windows(3).for_each(|pair| visit(&part[pair[0]..pair[2]])),
        }
    } else if part.len() <= MAX_TERM && !part.is_empty() && !is_stop_word(part) {
        visit(stem(part));
    }
}

/// Chinese, Japanese, Thai and their like.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The parts of a word: between joints, and where the case changes, `HTTPServer` being `HTTP` and `Server`.
fn split(word: &str, mut visit: impl FnMut(&str)) {
    for part in word.split(is_joint).filter(|part| !part.is_empty()) {
        let mut start = 0;
        let mut before: Option<char> = None;
        let mut characters = part.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next_is_lower = characters.peek().is_some_and(|(_, next)| next.is_lowercase());
            let turns = before.is_some_and(|before| {
                c.is_uppercase() && (before.is_lowercase() || before.is_numeric() || next_is_lower)
            });
            if turns {
                visit(&part[start..at]);
                start = at;
            }
            before = Some(c);
        }
        visit(&part[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(collect_terms(text), expected, "{text}");
    }

    #[test]
    fn names_are_found_whole_and_by_their_parts() {
        check("src/HttpServer.rs", &["src", "http", "server", "rs", "src/httpserver.rs"]);
        check("parseURLQuickly", &["pars", "url", "quickl", "parseurlquickly"]);
        check("MAX_POOL_SIZE", &["max", "pool", "siz", "max_pool_size"]);
        check("utf8Decoder v2.1", &["utf8", "decoder", "utf8decoder", "v2", "1", "v2.1"]);
    }

    #[test]
    fn sentences_lose_what_says_nothing() {
        check("What is the port of the database?", &["port", "databas"]);
        check("Don't use `rm -rf`, please...", &["dont", "us", "rm", "rf"]);
    }

    #[test]
    fn scripts_without_spaces_give_pairs() {
        check("数据库", &["数据", "据库"]);
        check("茶", &["茶"]);
    }

    #[test]
    fn nothing_gives_nothing_and_giants_are_left_out() {
        check("  -- ... ''", &[]);
        check(&"x".repeat(MAX_TERM + 1), &[]);
    }
}
