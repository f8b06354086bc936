//! Reads expressions: conditions, values and paths alike, by operator precedence with a stack of what is not complete yet.
//!
//! ```text
//! expression = expression operator expression     (operators bind tighter from line to line)
//!                OR
//!                AND
//!                NOT expression
//!                = <> !=, IS [NOT] type or MISSING, [NOT] IN ( expression, … ) or [ expression, … ]
//!                < <= > >=, [NOT] BETWEEN expression AND expression, [NOT] LIKE
//!                + - ||
//!                * / %
//!                a sign
//!            | ( expression ) | name ( expression, … ) | path | literal | ?
//!            | [ expression, … ] | << expression, … >> | { expression : expression, … }
//! ```
//!
//! It ends in front of the first token that it cannot go on with; whether something else may stand there is for its reader to say.

use super::error::StatementError;
use super::keywords::{is_function, is_operator};
use super::lexer::{Token, TokenKind, Tokens};
use super::parse_path::parse_path;
use super::syntax::{NodeId, Tree, TypeName, What};

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const EQUALITY: u8 = 4;
const COMPARISON: u8 = 5;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
const SIGN: u8 = 8;

/// Something whose last part is being read.
enum Pending {
    /// Parentheses.
    Group,
    Call {
        name: Token,
        arguments: Vec<NodeId>,
    },
    Sequence {
        token: Token,
        close: TokenKind,
        elements: Vec<NodeId>,
    },
    Struct {
        token: Token,
        entries: Vec<(NodeId, NodeId)>,
        key: Option<NodeId>,
    },
    Not(Token),
    Sign {
        token: Token,
        is_minus: bool,
    },
    Infix {
        token: Token,
        power: u8,
        infix: Infix,
        left: NodeId,
    },
    BetweenLow {
        token: Token,
        negated: bool,
        value: NodeId,
    },
    BetweenHigh {
        token: Token,
        negated: bool,
        value: NodeId,
        low: NodeId,
    },
}

#[derive(Clone, Copy)]
enum Infix {
    Or,
    And,
    Compare(&'static str),
    In { negated: bool },
    Like { negated: bool },
    Arithmetic(&'static str),
}

/// What comes behind an operand.
enum Follow {
    Infix(Infix, u8),
    Between {
        negated: bool,
    },
    /// The `AND` of a `BETWEEN`.
    BetweenAnd,
    Is,
    Nothing,
}

/// What becomes of an operand in front of no operator.
enum Closed {
    /// It is part of this one, which is complete.
    Into(NodeId),
    /// It is one of several, and another one follows.
    Open,
    /// It is all that was to be read.
    Whole,
}

/// The expression in front.
pub(super) fn parse_expression(tree: &mut Tree, tokens: &mut Tokens<'_>) -> Result<NodeId, StatementError> {
    Reader { tree, tokens, pending: Vec::new() }.read()
}

struct Reader<'r, 't> {
    tree: &'r mut Tree,
    tokens: &'r mut Tokens<'t>,
    pending: Vec<Pending>,
}

type Read<T> = Result<T, StatementError>;

impl Reader<'_, '_> {
    fn read(&mut self) -> Read<NodeId> {
        loop {
            let mut node = self.read_operand()?;
            loop {
                match self.follow() {
                    Follow::Infix(infix, power) => {
                        let left = self.complete(node, power)?;
                        self.push_infix(infix, power, left);
                        break;
                    }
                    Follow::Between { negated } => {
                        let value = self.complete(node, COMPARISON)?;
                        let token = self.step_operator(negated);
                        self.pending.push(Pending::BetweenLow { token, negated, value });
                        break;
                    }
                    Follow::BetweenAnd => {
                        let low = self.complete(node, SUM)?;
                        if let Some(Pending::BetweenLow { token, negated, value }) = self.pending.pop() {
                            self.pending.push(Pending::BetweenHigh { token, negated, value, low });
                        }
                        self.tokens.advance();
                        break;
                    }
                    Follow::Is => node = self.read_is(node)?,
                    Follow::Nothing => {
                        node = self.complete(node, OR)?;
                        match self.close(node)? {
                            Closed::Into(outer) => node = outer,
                            Closed::Open => break,
                            Closed::Whole => return Ok(node),
                        }
                    }
                }
            }
        }
    }

    /// Reads up to the end of the next path, literal or parameter; what opens before it becomes pending.
    fn read_operand(&mut self) -> Read<NodeId> {
        loop {
            let token = self.tokens.peek();
            match token.kind {
                TokenKind::Open => {
                    self.tokens.advance();
                    self.pending.push(Pending::Group);
                }
                TokenKind::OpenBracket | TokenKind::OpenBag => {
                    self.tokens.advance();
                    let is_list = token.kind == TokenKind::OpenBracket;
                    let close = if is_list { TokenKind::CloseBracket } else { TokenKind::CloseBag };
                    if self.tokens.advance_if(close) {
                        return Ok(self.sequence(token, close, Vec::new()));
                    }
                    self.pending.push(Pending::Sequence { token, close, elements: Vec::new() });
                }
                TokenKind::OpenBrace => {
                    self.tokens.advance();
                    if self.tokens.advance_if(TokenKind::CloseBrace) {
                        return Ok(self.push(token, What::Struct(Vec::new())));
                    }
                    self.pending.push(Pending::Struct { token, entries: Vec::new(), key: None });
                }
                TokenKind::Operator => match self.tokens.text_of(token) {
                    sign @ ("+" | "-") => {
                        self.tokens.advance();
                        self.pending.push(Pending::Sign { token, is_minus: sign == "-" });
                    }
                    _ => return Err(StatementError::malformed("Unexpected operator")),
                },
                TokenKind::Keyword => {
                    if let Some(node) = self.read_keyword(token)? {
                        return Ok(node);
                    }
                }
                TokenKind::Identifier | TokenKind::Quoted => {
                    if self.tokens.second().kind != TokenKind::Open {
                        return parse_path(self.tree, self.tokens);
                    }
                    if let Some(node) = self.open_call() {
                        return Ok(node);
                    }
                }
                TokenKind::End if self.wants_operand() => {
                    return Err(StatementError::malformed(
                        "Missing right-hand side expression of infix operator",
                    ));
                }
                _ => {
                    let what = match token.kind {
                        TokenKind::String => What::String(self.tokens.unquoted(token)),
                        TokenKind::Number => What::Number(self.tokens.text_of(token).to_owned()),
                        TokenKind::Ion => What::Ion(self.tokens.text_of(token).to_owned()),
                        TokenKind::Parameter => {
                            self.tree.parameters += 1;
                            What::Parameter(self.tree.parameters - 1)
                        }
                        _ => return Err(StatementError::malformed("Unexpected term")),
                    };
                    self.tokens.advance();
                    return Ok(self.push(token, what));
                }
            }
        }
    }

    /// A literal that is a keyword, or a function, or NOT.
    fn read_keyword(&mut self, token: Token) -> Read<Option<NodeId>> {
        let word = self.tokens.text_of(token);
        let what = match word.to_ascii_uppercase().as_str() {
            "TRUE" => What::Bool(true),
            "FALSE" => What::Bool(false),
            "NULL" => What::Null,
            "MISSING" => What::Missing,
            "NOT" => {
                self.tokens.advance();
                self.pending.push(Pending::Not(token));
                return Ok(None);
            }
            // A statement that changes something may begin so, but nothing was to be changed.
            "FROM" => return Err(StatementError::malformed("Expected data manipulation")),
            _ if is_operator(word) => return Err(StatementError::malformed("Unexpected operator")),
            _ if is_function(word) && self.tokens.second().kind == TokenKind::Open => {
                return Ok(self.open_call());
            }
            _ => return Err(StatementError::malformed("Unexpected keyword")),
        };
        self.tokens.advance();
        Ok(Some(self.push(token, what)))
    }

    /// Steps over the name of a function and its parenthesis. Returns it, if that is all of it.
    fn open_call(&mut self) -> Option<NodeId> {
        let name = self.tokens.advance();
        self.tokens.advance();
        let is_star = self.tokens.peek().kind == TokenKind::Operator
            && self.tokens.text_of(self.tokens.peek()) == "*"
            && self.tokens.second().kind == TokenKind::Close;
        if is_star {
            self.tokens.advance();
        }
        if self.tokens.advance_if(TokenKind::Close) {
            return Some(self.call(name, Vec::new()));
        }
        self.pending.push(Pending::Call { name, arguments: Vec::new() });
        None
    }

    /// `IS`, with what is behind it.
    fn read_is(&mut self, node: NodeId) -> Read<NodeId> {
        let value = self.complete(node, EQUALITY)?;
        let token = self.tokens.advance();
        let negated = self.tokens.advance_word("NOT");
        let name = self.tokens.advance();
        if !matches!(name.kind, TokenKind::Keyword | TokenKind::Identifier) {
            return Err(StatementError::malformed("Expected type name"));
        }
        let mut word = self.tokens.text_of(name).to_ascii_uppercase();
        for (first, second) in [("DOUBLE", "PRECISION"), ("CHARACTER", "VARYING")] {
            if word == first && self.tokens.advance_word(second) {
                word = format!("{first}_{second}");
            }
        }
        let kind = type_named(word).ok_or_else(|| StatementError::malformed("Expected type name"))?;
        let is = self.push(token, What::Is(value, kind));
        Ok(self.negate(token, negated, is))
    }

    /// What the token in front makes of the operand before it.
    fn follow(&self) -> Follow {
        let token = self.tokens.peek();
        let text = self.tokens.text_of(token);
        match token.kind {
            TokenKind::Operator => match text {
                "=" => Follow::Infix(Infix::Compare("="), EQUALITY),
                "<>" | "!=" => Follow::Infix(Infix::Compare("<>"), EQUALITY),
                "<" => Follow::Infix(Infix::Compare("<"), COMPARISON),
                "<=" => Follow::Infix(Infix::Compare("<="), COMPARISON),
                ">" => Follow::Infix(Infix::Compare(">"), COMPARISON),
                ">=" => Follow::Infix(Infix::Compare(">="), COMPARISON),
                "+" => Follow::Infix(Infix::Arithmetic("+"), SUM),
                "-" => Follow::Infix(Infix::Arithmetic("-"), SUM),
                "||" => Follow::Infix(Infix::Arithmetic("||"), SUM),
                "*" => Follow::Infix(Infix::Arithmetic("*"), PRODUCT),
                "/" => Follow::Infix(Infix::Arithmetic("/"), PRODUCT),
                "%" => Follow::Infix(Infix::Arithmetic("%"), PRODUCT),
                _ => Follow::Nothing,
            },
            TokenKind::Keyword => {
                let negated = text.eq_ignore_ascii_case("NOT");
                let word = if negated { self.tokens.text_of(self.tokens.second()) } else { text };
                match word.to_ascii_uppercase().as_str() {
                    "IN" => Follow::Infix(Infix::In { negated }, EQUALITY),
                    "LIKE" => Follow::Infix(Infix::Like { negated }, COMPARISON),
                    "BETWEEN" => Follow::Between { negated },
                    "AND" if !negated && self.is_within_between() => Follow::BetweenAnd,
                    "AND" if !negated => Follow::Infix(Infix::And, AND),
                    "OR" if !negated => Follow::Infix(Infix::Or, OR),
                    "IS" if !negated => Follow::Is,
                    _ => Follow::Nothing,
                }
            }
            _ => Follow::Nothing,
        }
    }

    /// Whether the next AND belongs to a BETWEEN.
    fn is_within_between(&self) -> bool {
        let binds_tighter = |pending: &&Pending| {
            matches!(pending, Pending::Sign { .. } | Pending::Infix { power: SUM.., .. })
        };
        let outer = self.pending.iter().rev().find(|pending| !binds_tighter(pending));
        matches!(outer, Some(Pending::BetweenLow { .. }))
    }

    /// Whether the last thing that was read is an operator between operands.
    fn wants_operand(&self) -> bool {
        matches!(
            self.pending.last(),
            Some(Pending::Infix { .. } | Pending::BetweenLow { .. } | Pending::BetweenHigh { .. })
        )
    }

    /// Steps over an operator, and a NOT before it.
    fn step_operator(&mut self, negated: bool) -> Token {
        if negated {
            self.tokens.advance();
        }
        self.tokens.advance()
    }

    fn push_infix(&mut self, infix: Infix, power: u8, left: NodeId) {
        let negated = matches!(infix, Infix::In { negated: true } | Infix::Like { negated: true });
        let token = self.step_operator(negated);
        self.pending.push(Pending::Infix { token, power, infix, left });
        // A list may stand in parentheses there, also one of a single element.
        let open = self.tokens.peek();
        if matches!(infix, Infix::In { .. }) && self.tokens.advance_if(TokenKind::Open) {
            let elements = Vec::new();
            self.pending.push(Pending::Sequence { token: open, close: TokenKind::Close, elements });
        }
    }

    /// Completes what binds at least as tight as what comes next.
    fn complete(&mut self, mut node: NodeId, next: u8) -> Read<NodeId> {
        loop {
            let binds = match self.pending.last() {
                Some(Pending::Infix { power, .. }) => *power >= next,
                Some(Pending::BetweenHigh { .. }) => COMPARISON >= next,
                Some(Pending::Not(_)) => NOT >= next,
                Some(Pending::Sign { .. }) => SIGN >= next,
                _ => false,
            };
            if !binds {
                return Ok(node);
            }
            node = match self.pending.pop() {
                Some(Pending::Infix { token, infix, left, .. }) => self.infix(token, infix, left, node),
                Some(Pending::BetweenHigh { token, negated, value, low }) => {
                    let between = self.push(token, What::Between(value, low, node));
                    self.negate(token, negated, between)
                }
                Some(Pending::Not(token)) => self.push(token, What::Not(node)),
                Some(Pending::Sign { token, is_minus }) => self.sign(token, is_minus, node),
                _ => return Ok(node),
            };
        }
    }

    fn infix(&mut self, token: Token, infix: Infix, left: NodeId, right: NodeId) -> NodeId {
        let (what, negated) = match infix {
            Infix::Or => (What::Or(left, right), false),
            Infix::And => (What::And(left, right), false),
            Infix::Compare(operator) => (What::Compare(operator, left, right), false),
            Infix::In { negated } => (What::In(left, right), negated),
            Infix::Like { negated } => (What::Like(left), negated),
            Infix::Arithmetic(operator) => (What::Arithmetic(operator, left, right), false),
        };
        let node = self.push(token, what);
        self.negate(token, negated, node)
    }

    fn negate(&mut self, token: Token, negated: bool, node: NodeId) -> NodeId {
        if negated { self.push(token, What::Not(node)) } else { node }
    }

    /// A number takes its sign, however many there are.
    fn sign(&mut self, token: Token, is_minus: bool, node: NodeId) -> NodeId {
        let What::Number(text) = &mut self.tree.nodes[node.index()].what else {
            return self.push(token, What::Sign(node));
        };
        if is_minus {
            *text = match text.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{text}"),
            };
        }
        node
    }

    /// Looks at what is behind an operand: what it is within may go on, or end.
    fn close(&mut self, node: NodeId) -> Read<Closed> {
        let kind = self.tokens.peek().kind;
        let expected = |what| Err(StatementError::malformed(what));
        match self.pending.pop() {
            None => return Ok(Closed::Whole),
            Some(Pending::Group) => match kind {
                TokenKind::Close => {
                    self.tokens.advance();
                    return Ok(Closed::Into(node));
                }
                TokenKind::Comma => {
                    let token = self.tokens.peek();
                    let elements = vec![node];
                    self.pending.push(Pending::Sequence { token, close: TokenKind::Close, elements });
                }
                _ => return expected("Expected RIGHT_PAREN"),
            },
            Some(Pending::Call { name, mut arguments }) => {
                arguments.push(node);
                match kind {
                    TokenKind::Close => {
                        self.tokens.advance();
                        return Ok(Closed::Into(self.call(name, arguments)));
                    }
                    TokenKind::Comma => self.pending.push(Pending::Call { name, arguments }),
                    _ => return expected("Expected RIGHT_PAREN"),
                }
            }
            Some(Pending::Sequence { token, close, mut elements }) => {
                elements.push(node);
                if kind == close {
                    self.tokens.advance();
                    return Ok(Closed::Into(self.sequence(token, close, elements)));
                }
                match (kind, close) {
                    (TokenKind::Comma, _) => {
                        self.pending.push(Pending::Sequence { token, close, elements });
                    }
                    (_, TokenKind::CloseBag) => return expected("Expected RIGHT_DOUBLE_ANGLE_BRACKET"),
                    (_, TokenKind::CloseBracket) => return expected("Expected RIGHT_BRACKET"),
                    _ => return expected("Expected RIGHT_PAREN"),
                }
            }
            Some(Pending::Struct { token, entries, key: None }) => {
                if kind != TokenKind::Colon {
                    return expected("Expected COLON");
                }
                self.pending.push(Pending::Struct { token, entries, key: Some(node) });
            }
            Some(Pending::Struct { token, mut entries, key: Some(key) }) => {
                entries.push((key, node));
                match kind {
                    TokenKind::CloseBrace => {
                        self.tokens.advance();
                        return Ok(Closed::Into(self.push(token, What::Struct(entries))));
                    }
                    TokenKind::Comma => self.pending.push(Pending::Struct { token, entries, key: None }),
                    _ => return expected("Expected RIGHT_CURLY"),
                }
            }
            Some(_) => return expected("Expected AND after BETWEEN"),
        }
        self.tokens.advance();
        Ok(Closed::Open)
    }

    fn call(&mut self, name: Token, arguments: Vec<NodeId>) -> NodeId {
        let function = self.tokens.unquoted(name).to_ascii_lowercase();
        self.push(name, What::Call(function, arguments))
    }

    fn sequence(&mut self, token: Token, close: TokenKind, elements: Vec<NodeId>) -> NodeId {
        let is_bag = close == TokenKind::CloseBag;
        self.push(token, if is_bag { What::Bag(elements) } else { What::List(elements) })
    }

    fn push(&mut self, token: Token, what: What) -> NodeId {
        self.tree.push(token.span, what)
    }
}

/// What a type of PartiQL is here; `None` if there is no such type.
fn type_named(word: String) -> Option<TypeName> {
    Some(match word.as_str() {
        "MISSING" => TypeName::Missing,
        "NULL" => TypeName::Type("NULL"),
        "BOOL" | "BOOLEAN" => TypeName::Type("BOOL"),
        "BLOB" => TypeName::Type("B"),
        "STRING" => TypeName::Type("S"),
        "NUMERIC" => TypeName::Type("N"),
        "STRUCT" | "TUPLE" => TypeName::Type("M"),
        "LIST" => TypeName::Type("L"),
        "SMALLINT" | "INT" | "INT2" | "INTEGER2" | "INT4" | "INTEGER4" | "INT8" | "INTEGER8" | "INTEGER"
        | "FLOAT" | "REAL" | "DOUBLE_PRECISION" | "DECIMAL" | "TIMESTAMP" | "DATE" | "TIME" | "CHAR"
        | "CHARACTER" | "VARCHAR" | "CHARACTER_VARYING" | "SYMBOL" | "CLOB" | "SEXP" | "BAG" | "ANY" => {
            TypeName::Other(word)
        }
        _ => return None,
    })
}
