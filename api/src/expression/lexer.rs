//! Cuts the text of an expression into tokens.
//!
//! Every text has tokens: what DynamoDB does not know is a token of its own, one character long, that no grammar accepts.
//! So there is one place that reports syntax errors, the parser, and it has the neighbours of the token at hand.

use super::error::Problem;

/// A piece of an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Where it begins in the text.
    pub(super) start: u32,
    /// Where it ends.
    pub(super) end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// An attribute's name, or a function's.
    Identifier,
    /// `#name`
    NamePlaceholder,
    /// `:value`
    ValuePlaceholder,
    /// Digits. A zero at the front stands alone.
    Integer,
    Keyword(Keyword),
    Comparator(Comparator),
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
    Dot,
    Plus,
    Minus,
    /// A character that no token begins with.
    Unknown,
    /// The end of the text.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Or,
    Not,
    Between,
    In,
    Set,
    Remove,
    Add,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Keyword {
    const ALL: [(&str, Keyword); 9] = [
        ("AND", Keyword::And),
        ("OR", Keyword::Or),
        ("NOT", Keyword::Not),
        ("BETWEEN", Keyword::Between),
        ("IN", Keyword::In),
        ("SET", Keyword::Set),
        ("REMOVE", Keyword::Remove),
        ("ADD", Keyword::Add),
        ("DELETE", Keyword::Delete),
    ];

    fn from_word(word: &str) -> Option<Keyword> {
        Keyword::ALL.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, keyword)| keyword)
    }
}

impl Comparator {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        }
    }

    /// The comparator that says the same with its operands exchanged.
    pub(super) fn mirrored(self) -> Comparator {
        match self {
            Comparator::Less => Comparator::Greater,
            Comparator::LessOrEqual => Comparator::GreaterOrEqual,
            Comparator::Greater => Comparator::Less,
            Comparator::GreaterOrEqual => Comparator::LessOrEqual,
            same => same,
        }
    }
}

/// The tokens of a text, and a place among them.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'t> Tokens<'t> {
    /// All tokens of a text of less than 4 GiB.
    pub(super) fn new(text: &'t str) -> Self {
        let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
        let mut at = 0;
        while let Some(token) = next(text, at) {
            at = token.end as usize;
            tokens.push(token);
        }
        let end = text.len() as u32;
        tokens.push(Token { kind: TokenKind::End, start: end, end });
        Tokens { text, tokens, at: 0 }
    }

    /// The token in front; at the end, the end.
    pub(super) fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    /// The kind of the token behind the one in front.
    pub(super) fn second(&self) -> TokenKind {
        self.tokens.get(self.at + 1).map_or(TokenKind::End, |token| token.kind)
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

    /// Steps over the token in front, which must be of this kind.
    pub(super) fn expect(&mut self, kind: TokenKind) -> Result<Token, Located> {
        if self.peek().kind == kind { Ok(self.advance()) } else { Err(self.syntax_error()) }
    }

    pub(super) fn text_of(&self, token: Token) -> &'t str {
        &self.text[token.start as usize..token.end as usize]
    }

    /// The token in front has no place here. DynamoDB shows it with its neighbours, as they are written.
    #[cold]
    pub(super) fn syntax_error(&self) -> Located {
        let token = self.peek();
        let name = if token.kind == TokenKind::End { "<EOF>" } else { self.text_of(token) };
        let first = self.tokens[self.at.saturating_sub(1)];
        let last = self.tokens.get(self.at + 1).unwrap_or(&token);
        let near = &self.text[first.start as usize..last.end as usize];
        Located { token, problem: Problem::Syntax { token: name.to_owned(), near: near.to_owned() } }
    }
}

/// What is wrong, and with which token.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) token: Token,
    pub(super) problem: Problem,
}

impl Located {
    #[cold]
    pub(super) fn new(token: Token, problem: Problem) -> Self {
        Located { token, problem }
    }
}

/// The first token at or after a place.
fn next(text: &str, mut at: usize) -> Option<Token> {
    let bytes = text.as_bytes();
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    let word_end = |from: usize| from + bytes[from..].iter().take_while(|byte| is_word(**byte)).count();
    let first = *bytes.get(at)?;
    let (kind, end) = match first {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
            let end = word_end(at);
            let keyword = Keyword::from_word(&text[at..end]);
            (keyword.map_or(TokenKind::Identifier, TokenKind::Keyword), end)
        }
        b'#' | b':' => match (first, word_end(at + 1)) {
            (_, end) if end == at + 1 => (TokenKind::Unknown, end),
            (b'#', end) => (TokenKind::NamePlaceholder, end),
            (_, end) => (TokenKind::ValuePlaceholder, end),
        },
        b'0' => (TokenKind::Integer, at + 1),
        b'1'..=b'9' => {
            (TokenKind::Integer, at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count())
        }
        b'<' => match bytes.get(at + 1) {
            Some(b'>') => (TokenKind::Comparator(Comparator::NotEqual), at + 2),
            Some(b'=') => (TokenKind::Comparator(Comparator::LessOrEqual), at + 2),
            _ => (TokenKind::Comparator(Comparator::Less), at + 1),
        },
        b'>' => match bytes.get(at + 1) {
            Some(b'=') => (TokenKind::Comparator(Comparator::GreaterOrEqual), at + 2),
            _ => (TokenKind::Comparator(Comparator::Greater), at + 1),
        },
        b'=' => (TokenKind::Comparator(Comparator::Equal), at + 1),
        b'(' => (TokenKind::Open, at + 1),
        b')' => (TokenKind::Close, at + 1),
        b'[' => (TokenKind::OpenBracket, at + 1),
        b']' => (TokenKind::CloseBracket, at + 1),
        b',' => (TokenKind::Comma, at + 1),
        b'.' => (TokenKind::Dot, at + 1),
        b'+' => (TokenKind::Plus, at + 1),
        b'-' => (TokenKind::Minus, at + 1),
        _ => (TokenKind::Unknown, at + text[at..].chars().next().map_or(1, char::len_utf8)),
    };
    Some(Token { kind, start: at as u32, end: end as u32 })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
