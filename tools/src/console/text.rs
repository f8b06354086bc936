//! A place in the text of a statement, and what can be read there: words, names, values, numbers.
//!
//! Every mistake has a place: the byte of the text at which something else was expected.

use std::time::Duration;

use dynamite_core::{AttributeValue, Item};
use serde_json::Value;

use crate::console::time;
use crate::json_text::{self, JsonError};

/// Why a text is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SyntaxError {
    /// The byte at which it goes wrong.
    pub(crate) position: usize,
    pub(crate) message: String,
}

pub(crate) type Result<T, E = SyntaxError> = std::result::Result<T, E>;

/// A text, and the place up to which it was read.
#[derive(Clone, Debug)]
pub(crate) struct Text<'t> {
    pub(crate) text: &'t str,
    pub(crate) at: usize,
}

impl<'t> Text<'t> {
    pub(crate) fn new(text: &'t str) -> Text<'t> {
        Text { text, at: 0 }
    }

    /// What follows, from the next thing that is neither space nor comment.
    pub(crate) fn rest(&mut self) -> &'t str {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            let rest = &self.text[self.at..];
            if !rest.starts_with("--") {
                return rest;
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    pub(crate) fn peek(&mut self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Says what should stand here.
    pub(crate) fn expected(&mut self, what: &str) -> SyntaxError {
        let found = match self.peek_word() {
            Some(word) => format!("not {word}"),
            None => self.peek().map_or("the statement ends".to_owned(), |found| format!("not {found:?}")),
        };
        SyntaxError { position: self.at, message: format!("expected {what}, {found}") }
    }

    /// Refuses what follows if anything does.
    pub(crate) fn end(&mut self, expected: &str) -> Result<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// The word that stands here, if one does.
    pub(crate) fn peek_word(&mut self) -> Option<&'t str> {
        word_at(self.rest())
    }

    /// Passes over a keyword, in whatever case, if it stands here.
    pub(crate) fn keyword(&mut self, keyword: &str) -> bool {
        let is_there = self.peek_word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if is_there {
            self.at += keyword.len();
        }
        is_there
    }

    /// Passes over several keywords if they stand here one after the other.
    pub(crate) fn keywords(&mut self, keywords: &[&str]) -> bool {
        let before = self.at;
        let are_there = keywords.iter().all(|keyword| self.keyword(keyword));
        if !are_there {
            self.at = before;
        }
        are_there
    }

    pub(crate) fn sign(&mut self, sign: char) -> bool {
        let is_there = self.peek() == Some(sign);
        if is_there {
            self.at += sign.len_utf8();
        }
        is_there
    }

    pub(crate) fn expect_keyword(&mut self, keyword: &str) -> Result<()> {
        if self.keyword(keyword) { Ok(()) } else { Err(self.expected(keyword)) }
    }

    pub(crate) fn expect_sign(&mut self, sign: char) -> Result<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("{sign:?}"))) }
    }

    /// The name of an attribute: a word, or whatever stands in backquotes.
    pub(crate) fn name(&mut self, what: &str) -> Result<String> {
        if self.peek() == Some('`') {
            return self.quoted('`');
        }
        let word = self.peek_word().ok_or_else(|| self.expected(what))?;
        self.at += word.len();
        Ok(word.to_owned())
    }

    /// The name of a table or of an index, which may hold dots and hyphens.
    pub(crate) fn table_name(&mut self, what: &str) -> Result<String> {
        let name = self.name(what)?;
        if self.text[..self.at].ends_with('`') {
            return Ok(name);
        }
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let more = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += more;
        Ok(name + &rest[..more])
    }

    /// A table's name, if one stands here and not a value.
    pub(crate) fn optional_table(&mut self) -> Result<Option<String>> {
        match self.peek_word() {
            None if self.peek() != Some('`') => Ok(None),
            _ => self.table_name("a table's name").map(Some),
        }
    }

    /// What stands in quotes here; a quote in it is written twice.
    fn quoted(&mut self, quote: char) -> Result<String> {
        let begin = self.at;
        let mut quoted = String::new();
        self.at += quote.len_utf8();
        loop {
            let rest = &self.text[self.at..];
            let Some(len) = rest.find(quote) else {
                let message = format!("what stands in {quote} does not end");
                return Err(SyntaxError { position: begin, message });
            };
            quoted.push_str(&rest[..len]);
            self.at += len + quote.len_utf8();
            if !self.text[self.at..].starts_with(quote) {
                return Ok(quoted);
            }
            quoted.push(quote);
            self.at += quote.len_utf8();
        }
    }

    /// A value as JSON, or a text in single quotes.
    pub(crate) fn value(&mut self, what: &str) -> Result<AttributeValue> {
        let begin = {
            self.rest();
            self.at
        };
        match self.peek() {
            Some('\'') => self.quoted('\'').map(AttributeValue::S),
            Some('"' | '{' | '[' | '-' | '0'..='9') => {
                let value = self.json()?;
                value.try_into().map_err(|error| SyntaxError { position: begin, message: format!("{error}") })
            }
            _ => {
                for (word, value) in [
                    ("true", AttributeValue::Bool(true)),
                    ("false", AttributeValue::Bool(false)),
                    ("null", AttributeValue::Null),
                ] {
                    if self.keyword(word) {
                        return Ok(value);
                    }
                }
                Err(self.expected(what))
            }
        }
    }

    /// A value of a key: a text, a number or bytes.
    pub(crate) fn key_value(&mut self, what: &str) -> Result<AttributeValue> {
        self.rest();
        let begin = self.at;
        match self.value(what)? {
            value @ (AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_)) => Ok(value),
            _ => {
                let message =
                    r#"a key is a text, a number, or bytes written as {"$binary": "base64"}"#.to_owned();
                Err(SyntaxError { position: begin, message })
            }
        }
    }

    /// An object of attributes.
    pub(crate) fn item(&mut self, what: &str) -> Result<Item> {
        self.rest();
        let begin = self.at;
        if self.peek() != Some('{') {
            return Err(self.expected(&format!("{what}, which begins with {{")));
        }
        let json = self.json()?;
        let item = dynamite_core::json::item_from_json(json);
        item.map_err(|error| SyntaxError { position: begin, message: format!("{error}") })
    }

    fn json(&mut self) -> Result<Value> {
        let read = json_text::read_prefix(self.text, self.at);
        let (value, end) =
            read.map_err(|JsonError { position, reason }| SyntaxError { position, message: reason })?;
        self.at = end;
        Ok(value)
    }

    /// A whole number.
    pub(crate) fn number(&mut self, what: &str) -> Result<u64> {
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[..len].parse().map_err(|_| self.expected(what))?;
        self.at += len;
        Ok(number)
    }

    /// A whole number that counts things on this machine, 1 at least.
    pub(crate) fn count(&mut self, what: &str) -> Result<usize> {
        self.rest();
        let begin = self.at;
        match self.number(what)? {
            0 => Err(SyntaxError { position: begin, message: format!("expected {what}, 1 at least") }),
            number => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        }
    }

    /// A duration like `7d`.
    pub(crate) fn duration(&mut self) -> Result<Duration> {
        const WHAT: &str = "a duration, like 30s, 15m, 12h or 7d";
        let number = self.number(WHAT)?;
        let second_count = match self.text[self.at..].chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            _ => return Err(self.expected(WHAT)),
        };
        self.at += 1;
        if word_at(&self.text[self.at..]).is_some() {
            return Err(self.expected(WHAT));
        }
        Ok(Duration::from_secs(number.saturating_mul(second_count)))
    }

    /// A time, in quotes, in milliseconds since 1970.
    pub(crate) fn time_ms(&mut self) -> Result<u64> {
        self.rest();
        let position = self.at;
        let message = || r#"expected a time like "2026-11-26T18:30:00Z""#.to_owned();
        match self.value("a time in quotes")? {
            AttributeValue::S(text) => {
                time::parse_ms(&text).ok_or_else(|| SyntaxError { position, message: message() })
            }
            _ => Err(SyntaxError { position, message: message() }),
        }
    }
}

/// The word that a text begins with.
pub(crate) fn word_at(text: &str) -> Option<&str> {
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let len = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    begins.then(|| &text[..len])
}
