//! Reads update expressions, and the lists of paths that projections are.
//!
//! ```text
//! update     = clause clause …
//! clause     = SET path = value, … | REMOVE path, … | ADD path :value, … | DELETE path :value, …
//! value      = sum | ( sum )
//! sum        = operand | operand + operand | operand - operand
//! operand    = path | :value | name ( operand, … ) | ( operand )
//! projection = path, …
//! ```

use super::lexer::{Comparator, Keyword, Located, Token, TokenKind, Tokens};
use super::syntax::{Call, Node, NodeId, RawPath, Tree};

/// An update as it is written.
#[derive(Debug, Default)]
pub(super) struct RawUpdate {
    pub(super) tree: Tree,
    pub(super) actions: Vec<RawAction>,
    /// The clauses, by the tokens that open them.
    pub(super) clauses: Vec<(Clause, Token)>,
}

/// One change.
#[derive(Debug)]
pub(super) struct RawAction {
    pub(super) clause: Clause,
    /// Which clause it is in, counted from 0.
    pub(super) clause_index: usize,
    pub(super) path: RawPath,
    /// What to set, add or delete.
    pub(super) value: Option<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Set,
    Remove,
    Add,
    Delete,
}

impl Clause {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Clause::Set => "SET",
            Clause::Remove => "REMOVE",
            Clause::Add => "ADD",
            Clause::Delete => "DELETE",
        }
    }
}

pub(super) fn parse_update(tokens: &mut Tokens<'_>) -> Result<RawUpdate, Located> {
    let first = tokens.peek();
    let mut update = RawUpdate::default();
    loop {
        let clause = match tokens.peek().kind {
            TokenKind::Keyword(Keyword::Set) => Clause::Set,
            TokenKind::Keyword(Keyword::Remove) => Clause::Remove,
            TokenKind::Keyword(Keyword::Add) => Clause::Add,
            TokenKind::Keyword(Keyword::Delete) => Clause::Delete,
            _ => return Err(tokens.syntax_error()),
        };
        update.clauses.push((clause, tokens.advance()));
        loop {
            let action = update.read_action(clause, tokens)?;
            update.actions.push(action);
            if !tokens.advance_if(TokenKind::Comma) {
                break;
            }
        }
        if tokens.peek().kind == TokenKind::End {
            update.tree.check_operators(first)?;
            return Ok(update);
        }
    }
}

pub(super) fn parse_projection(tokens: &mut Tokens<'_>) -> Result<Vec<RawPath>, Located> {
    let mut paths = vec![RawPath::read(tokens)?];
    while tokens.advance_if(TokenKind::Comma) {
        paths.push(RawPath::read(tokens)?);
    }
    tokens.expect(TokenKind::End)?;
    Ok(paths)
}

/// Something in a value whose last part is being read.
enum Pending {
    Parentheses {
        token: Token,
        /// Whether a sum can be in them: they are not around an operand of something.
        sum: bool,
    },
    Call {
        name: Token,
        arguments: Vec<NodeId>,
    },
    Sum {
        token: Token,
        left: NodeId,
    },
}

impl RawUpdate {
    fn read_action(&mut self, clause: Clause, tokens: &mut Tokens<'_>) -> Result<RawAction, Located> {
        let path = RawPath::read(tokens)?;
        let value = match clause {
            Clause::Set => {
                tokens.expect(TokenKind::Comparator(Comparator::Equal))?;
                Some(self.read_value(tokens)?)
            }
            Clause::Remove => None,
            Clause::Add | Clause::Delete => {
                let token = tokens.expect(TokenKind::ValuePlaceholder)?;
                Some(self.tree.push(Node::Value(token)))
            }
        };
        Ok(RawAction { clause, clause_index: self.clauses.len() - 1, path, value })
    }

    fn read_value(&mut self, tokens: &mut Tokens<'_>) -> Result<NodeId, Located> {
        let mut pending = Vec::new();
        loop {
            let mut node = self.read_operand(&mut pending, tokens)?;
            loop {
                let token = tokens.peek();
                match token.kind {
                    TokenKind::Plus | TokenKind::Minus => {
                        if !can_be_sum(&pending) || !self.tree.can_be_operand(node) {
                            return Err(tokens.syntax_error());
                        }
                        pending.push(Pending::Sum { token: tokens.advance(), left: node });
                        break;
                    }
                    TokenKind::Comma if matches!(pending.last(), Some(Pending::Call { .. })) => {
                        tokens.advance();
                        if let Some(Pending::Call { arguments, .. }) = pending.last_mut() {
                            arguments.push(node);
                        }
                        break;
                    }
                    _ => {}
                }
                if let Some(&Pending::Sum { token, left }) = pending.last() {
                    if !self.tree.can_be_operand(node) {
                        return Err(tokens.syntax_error());
                    }
                    pending.pop();
                    node = self.tree.push(Node::Sum { token, left, right: node });
                }
                if token.kind != TokenKind::Close {
                    return if pending.is_empty() { Ok(node) } else { Err(tokens.syntax_error()) };
                }
                node = match pending.pop() {
                    Some(Pending::Parentheses { token, .. }) => self.tree.parenthesise(token, node)?,
                    Some(Pending::Call { name, mut arguments }) => {
                        arguments.push(node);
                        self.tree.push(Node::Call(Call { name, arguments, is_condition: false }))
                    }
                    _ => return Err(tokens.syntax_error()),
                };
                tokens.advance();
            }
        }
    }

    fn read_operand(
        &mut self,
        pending: &mut Vec<Pending>,
        tokens: &mut Tokens<'_>,
    ) -> Result<NodeId, Located> {
        loop {
            match tokens.peek().kind {
                TokenKind::Open => {
                    let sum = can_be_sum(pending);
                    pending.push(Pending::Parentheses { token: tokens.advance(), sum });
                }
                TokenKind::Identifier if tokens.second() == TokenKind::Open => {
                    let name = tokens.advance();
                    tokens.advance();
                    pending.push(Pending::Call { name, arguments: Vec::new() });
                }
                TokenKind::ValuePlaceholder => {
                    let token = tokens.advance();
                    return Ok(self.tree.push(Node::Value(token)));
                }
                _ => {
                    let path = RawPath::read(tokens)?;
                    return Ok(self.tree.push(Node::Path(path)));
                }
            }
        }
    }
}

fn can_be_sum(pending: &[Pending]) -> bool {
    match pending.last() {
        None => true,
        Some(Pending::Parentheses { sum, .. }) => *sum,
        Some(_) => false,
    }
}
