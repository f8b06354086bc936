//! JSON as text, read without losing a digit.
//!
//! `serde_json` makes doubles of numbers, and rounds what a double does not hold; DynamoDB's numbers have 38 digits. Here a number goes
//! through [`Number`], and one that no JSON number holds exactly comes out marked, as [`dynamite_core::json`] has it. Everything
//! else is JSON and nothing but JSON, and each mistake has its place.

use std::fmt;

use dynamite_core::{AttributeValue, Number};
use serde_json::{Map, Value};

/// Levels of the deepest value that is read. An item has 32; one that is deeper is refused with the error for items.
const MAX_DEPTH: usize = 64;

/// Where a text is not the JSON that it should be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The byte of the text at which it goes wrong.
    pub position: usize,
    /// Why.
    pub reason: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.position)
    }
}

impl std::error::Error for JsonError {}

/// Reads a text that is one value and nothing else.
///
/// # Errors
///
/// The first mistake.
pub fn read(text: &str) -> Result<Value, JsonError> {
    let (value, end) = read_prefix(text, 0)?;
    let mut reader = Reader { text, at: end, depth: 0 };
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.error("the JSON value ends before this")),
    }
}

/// Reads the value that begins at a byte of a text, and says where it ends.
///
/// # Errors
///
/// The first mistake.
pub fn read_prefix(text: &str, at: usize) -> Result<(Value, usize), JsonError> {
    let mut reader = Reader { text, at, depth: 0 };
    let value = reader.value()?;
    Ok((value, reader.at))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn error(&self, reason: impl Into<String>) -> JsonError {
        JsonError { position: self.at, reason: reason.into() }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let spaces = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += spaces;
        rest.get(spaces).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error(format!("expected '{}'", char::from(byte))))
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.error("expected a JSON value")),
            None => Err(self.error("expected a JSON value, the text ends")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, JsonError>) -> Result<Value, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("values are nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        self.expect(b'{')?;
        let mut entries = Map::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(entries));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a name in double quotes"));
            }
            let begin = self.at;
            let name = self.string()?;
            self.expect(b':')?;
            let value = self.value()?;
            if entries.contains_key(&name) {
                return Err(JsonError {
                    position: begin,
                    reason: format!("the name {name:?} stands here twice"),
                });
            }
            entries.insert(name, value);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.error("expected ',' or '}'")),
            }
        }
        self.at += 1;
        Ok(Value::Object(entries))
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        self.expect(b'[')?;
        let mut elements = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.error("expected ',' or ']'")),
            }
        }
        self.at += 1;
        Ok(Value::Array(elements))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        let rest = &self.text[self.at..];
        let found = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        if found != word {
            return Err(self.error(format!("{found:?} is no JSON value; texts stand in double quotes")));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = &self.text[self.at..self.at + rest.iter().take_while(is_part).count()];
        if !is_number(text.as_bytes()) {
            return Err(self.error(format!("{text:?} is no JSON number")));
        }
        // What a machine's integer holds, which is most of what there is.
        let value = match text.parse::<i64>() {
            Ok(integer) => integer.into(),
            Err(_) => {
                let number: Number = text.parse().map_err(|error| self.error(format!("{error}")))?;
                Value::from(AttributeValue::N(number))
            }
        };
        self.at += text.len();
        Ok(value)
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let begin = self.at;
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..=0x1f)).count();
            string.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => {
                    return Err(self.error("a control character in a text is written as \\u and four digits"));
                }
                None => {
                    return Err(JsonError {
                        position: begin,
                        reason: "the text in quotes does not end".to_owned(),
                    });
                }
            }
        }
    }

    /// The character that is written with a backslash here.
    fn escape(&mut self) -> Result<char, JsonError> {
        let escaped = match self.text.as_bytes().get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("no escape of JSON")),
        };
        self.at += 2;
        Ok(escaped)
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let unit = |at: usize| -> Option<u32> {
            let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            are_digits.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
        };
        let (character, len) = match unit(self.at) {
            Some(high @ 0xd800..=0xdbff) => match unit(self.at + 6) {
                Some(low @ 0xdc00..=0xdfff) => {
                    (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
                }
                _ => (None, 0),
            },
            Some(unit) => (char::from_u32(unit), 6),
            None => (None, 0),
        };
        let character = character.ok_or_else(|| self.error("no character of Unicode"))?;
        self.at += len;
        Ok(character)
    }
}

/// Whether a text is a number as JSON writes one.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let len = digits(exponent);
        return len > 0 && len == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_can_say_is_what_serde_json_reads() {
        for text in [
            "null",
            " true ",
            "[]",
            "{}",
            r#"{"a": [1, -2, 0, 1.5, 0.1, 1e3, {"b": "c"}], "d": false}"#,
            r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#,
            "18446744073709551615",
            "-9223372036854775808",
        ] {
            let expected: Value = serde_json::from_str(text).expect("it is JSON");
            let expected = match text {
                // A number without a fraction is a whole one.
                text if text.contains("1e3") => {
                    json!({"a": [1, -2, 0, 1.5, 0.1, 1000, {"b": "c"}], "d": false})
                }
                _ => expected,
            };
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn no_digit_is_lost() {
        assert_eq!(read("0.12345678901234567890"), Ok(json!({"$number": "0.1234567890123456789"})));
        assert_eq!(read("98765432109876543210"), Ok(json!({"$number": "98765432109876543210"})));
        assert_eq!(read("5e-324").map_err(|error| error.position), Err(0));
    }

    #[track_caller]
    fn check_refused(text: &str, position: usize, reason: &str) {
        let error = read(text).expect_err(text);
        assert_eq!(error.position, position, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }

    #[test]
    fn a_mistake_has_its_place_and_its_reason() {
        check_refused("", 0, "the text ends");
        check_refused("[1, 2", 5, "',' or ']'");
        check_refused("{a: 1}", 1, "a name in double quotes");
        check_refused(r#"{"a" 1}"#, 5, "expected ':'");
        check_refused(r#"{"a": 1, "a": 2}"#, 9, "twice");
        check_refused("01", 0, "no JSON number");
        check_refused("1.", 0, "no JSON number");
        check_refused("1e", 0, "no JSON number");
        check_refused("[alice]", 1, "expected a JSON value");
        check_refused("[no]", 1, "double quotes");
        check_refused("\"abc", 0, "does not end");
        check_refused("\"a\u{1}\"", 2, "control character");
        check_refused(r#""\x""#, 1, "no escape");
        check_refused(r#""\ud800""#, 1, "no character");
        check_refused(r#""\u+123""#, 1, "no character");
        check_refused("1 2", 2, "ends before this");
        check_refused("nullify", 0, "\"nullify\" is no JSON value");
        check_refused(&"[".repeat(65), 64, "64 levels");
    }

    /// Whatever the text, it is read or refused, and what is read is what `serde_json` reads.
    #[test]
    fn every_prefix_of_a_text_is_refused() {
        let text = r#"{"a": [1.25, "\u00e9é", {"b": null}], "c": true}"#;
        for (end, _) in text.char_indices() {
            assert!(read(&text[..end]).is_err(), "{}", &text[..end]);
        }
        assert_eq!(read(text), Ok(serde_json::from_str(text).expect("it is JSON")));
    }
}
