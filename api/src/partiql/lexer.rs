//! Cuts a statement into tokens. Spaces and comments, `-- to the end of the line` and `/* between */`, separate them.
//!
//! What no token begins with, and what begins and does not end, is an error of the whole statement, to which DynamoDB adds
//! nothing.

use super::error::{Place, StatementError};
use super::keywords::is_keyword;

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// A stretch of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }

    /// Where it stands in the text, as DynamoDB counts it.
    pub(super) fn place(self, text: &str) -> Place {
        let before = &text[..self.start as usize];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            len: self.of(text).chars().count(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name.
    Identifier,
    /// A name between double quotes.
    Quoted,
    Keyword,
    /// A text between quotes.
    String,
    /// A number without a sign.
    Number,
    /// What stands between backticks, which DynamoDB does not read.
    Ion,
    /// `?`
    Parameter,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    OpenBag,
    CloseBag,
    Comma,
    Dot,
    Colon,
    Semicolon,
    /// `=`, `+` and the like; keywords that are operators are keywords.
    Operator,
    /// The end of the text.
    End,
}

/// The tokens of a statement, and a place among them.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'t> Tokens<'t> {
    /// All tokens of a text of less than 4 GiB.
    pub(super) fn new(text: &'t str) -> Result<Self, StatementError> {
        let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
        let mut at = 0;
        while let Some(token) = next(text, at)? {
            at = token.span.end as usize;
            tokens.push(token);
        }
        let end = text.len() as u32;
        tokens.push(Token { kind: TokenKind::End, span: Span { start: end, end } });
        Ok(Tokens { text, tokens, at: 0 })
    }

    /// The token in front; at the end, the end.
    pub(super) fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    /// The token behind the one in front.
    pub(super) fn second(&self) -> Token {
        self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    /// Steps over the token in front. Nobody steps over the end.
    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// Steps over the token in front if it is of this kind.
    pub(super) fn advance_if(&mut self, kind: TokenKind) -> bool {
        let found = self.peek().kind == kind;
        if found {
            self.advance();
        }
        found
    }

    /// Whether a token is this word, a keyword or a name.
    pub(super) fn is_word(&self, token: Token, word: &str) -> bool {
        matches!(token.kind, TokenKind::Keyword | TokenKind::Identifier)
            && self.text_of(token).eq_ignore_ascii_case(word)
    }

    /// Whether the token in front is this word.
    pub(super) fn at_word(&self, word: &str) -> bool {
        self.is_word(self.peek(), word)
    }

    /// Steps over the token in front if it is this word.
    pub(super) fn advance_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn text_of(&self, token: Token) -> &'t str {
        token.span.of(self.text)
    }

    /// A name as it is meant, or a text without its quotes: a quote in it stands twice.
    pub(super) fn unquoted(&self, token: Token) -> String {
        let text = self.text_of(token);
        let inside = || &text[1..text.len() - 1];
        match token.kind {
            TokenKind::Quoted => inside().replace("\"\"", "\""),
            TokenKind::String => inside().replace("''", "'"),
            _ => text.to_owned(),
        }
    }
}

/// The first token at or after a place.
fn next(text: &str, at: usize) -> Result<Option<Token>, StatementError> {
    let bytes = text.as_bytes();
    let at = skip(bytes, at)?;
    let Some(&first) = bytes.get(at) else { return Ok(None) };
    let follows = |second: u8| bytes.get(at + 1) == Some(&second);
    let (kind, end) = match first {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => {
            let end = at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
            let kind = if is_keyword(&text[at..end]) { TokenKind::Keyword } else { TokenKind::Identifier };
            (kind, end)
        }
        b'"' => (TokenKind::Quoted, end_of_quoted(bytes, at)?),
        b'\'' => (TokenKind::String, end_of_quoted(bytes, at)?),
        b'`' => (TokenKind::Ion, end_of_quoted(bytes, at)?),
        b'0'..=b'9' => (TokenKind::Number, end_of_number(text, at)?),
        b'.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
            (TokenKind::Number, end_of_number(text, at)?)
        }
        b'<' if follows(b'<') => (TokenKind::OpenBag, at + 2),
        b'>' if follows(b'>') => (TokenKind::CloseBag, at + 2),
        b'<' if follows(b'>') || follows(b'=') => (TokenKind::Operator, at + 2),
        b'>' | b'!' if follows(b'=') => (TokenKind::Operator, at + 2),
        b'|' if follows(b'|') => (TokenKind::Operator, at + 2),
        b'<' | b'>' | b'=' | b'+' | b'-' | b'*' | b'/' | b'%' | b'@' => (TokenKind::Operator, at + 1),
        b'?' => (TokenKind::Parameter, at + 1),
        b'(' => (TokenKind::Open, at + 1),
        b')' => (TokenKind::Close, at + 1),
        b'[' => (TokenKind::OpenBracket, at + 1),
        b']' => (TokenKind::CloseBracket, at + 1),
        b'{' => (TokenKind::OpenBrace, at + 1),
        b'}' => (TokenKind::CloseBrace, at + 1),
        b',' => (TokenKind::Comma, at + 1),
        b'.' => (TokenKind::Dot, at + 1),
        b':' => (TokenKind::Colon, at + 1),
        b';' => (TokenKind::Semicolon, at + 1),
        _ => return Err(StatementError::malformed("")),
    };
    Ok(Some(Token { kind, span: Span { start: at as u32, end: end as u32 } }))
}

/// The first place at or after this one that is no space and in no comment.
fn skip(bytes: &[u8], mut at: usize) -> Result<usize, StatementError> {
    loop {
        match &bytes[at..] {
            [b' ' | b'\t' | b'\r' | b'\n', ..] => at += 1,
            [b'-', b'-', rest @ ..] => {
                at += 2 + rest.iter().take_while(|byte| **byte != b'\n').count();
            }
            [b'/', b'*', rest @ ..] => {
                let len = rest.windows(2).position(|pair| pair == b"*/");
                at += 4 + len.ok_or_else(|| StatementError::malformed(""))?;
            }
            _ => return Ok(at),
        }
    }
}

/// Behind the quote that ends what begins at a quote.
fn end_of_quoted(bytes: &[u8], start: usize) -> Result<usize, StatementError> {
    let quote = bytes[start];
    let mut at = start + 1;
    while let Some(len) = bytes[at..].iter().position(|byte| *byte == quote) {
        at += len + 1;
        if bytes.get(at) != Some(&quote) {
            return Ok(at);
        }
        at += 1;
    }
    Err(StatementError::malformed(""))
}

/// Behind a number. Its exponent, and that of its last digit, must fit into 32 bits.
fn end_of_number(text: &str, start: usize) -> Result<usize, StatementError> {
    let bytes = text.as_bytes();
    let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(start);
    let mut decimals = 0;
    if bytes.get(end) == Some(&b'.') {
        let behind = digits(end + 1);
        decimals = behind - end - 1;
        end = behind;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let last = digits(end + 1 + sign);
        if last > end + 1 + sign {
            let exponent = text[end + 1..last].parse::<i32>().ok();
            let scale = exponent
                .and_then(|exponent| i64::from(exponent).checked_neg())
                .map(|negated| negated + decimals as i64);
            if scale.and_then(|scale| i32::try_from(scale).ok()).is_none() {
                return Err(StatementError::malformed(""));
            }
            end = last;
        }
    }
    Ok(end)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}
