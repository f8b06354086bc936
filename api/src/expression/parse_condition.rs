//! Reads condition, filter and key-condition expressions.
//!
//! ```text
//! condition  = condition OR condition | condition AND condition | NOT condition      (binding tighter from left to right)
//!            | operand comparator operand | operand BETWEEN operand AND operand | operand IN ( operand, … )
//!            | call | ( condition )
//! comparator = = | <> | < | <= | > | >=
//! operand    = path | :value | call | ( operand )
//! call       = name ( operand, … )
//! path       = name | #name | path . name | path . #name | path [ index ] | ( path )
//! ```
//!
//! A parenthesis may open a condition or an operand, which only what follows tells. So both are read alike, by operator
//! precedence with a stack of what is not complete yet, and an operator says whether what stands before it fits.

use super::lexer::{Comparator, Keyword, Located, Token, TokenKind, Tokens};
use super::syntax::{Call, Node, NodeId, RawPath, Tree};

/// The tree of a condition, and its root.
pub(super) fn parse_condition(tokens: &mut Tokens<'_>) -> Result<(Tree, NodeId), Located> {
    let mut parser = Parser { tree: Tree::default(), pending: Vec::new() };
    let first = tokens.peek();
    let root = parser.read(tokens)?;
    parser.tree.set_place(root, true);
    parser.tree.check_operators(first)?;
    Ok((parser.tree, root))
}

struct Parser {
    tree: Tree,
    pending: Vec<Pending>,
}

/// Something whose last part is being read.
enum Pending {
    Parentheses {
        token: Token,
        /// Whether only an operand can be in them.
        operand: bool,
    },
    Call {
        name: Token,
        arguments: Vec<NodeId>,
    },
    In {
        token: Token,
        value: NodeId,
        list: Vec<NodeId>,
    },
    Compare {
        comparator: Comparator,
        token: Token,
        left: NodeId,
    },
    BetweenLow {
        token: Token,
        value: NodeId,
    },
    BetweenHigh {
        token: Token,
        value: NodeId,
        low: NodeId,
    },
    Not,
    And(NodeId),
    Or(NodeId),
}

impl Parser {
    fn read(&mut self, tokens: &mut Tokens<'_>) -> Result<NodeId, Located> {
        loop {
            let mut node = self.read_operand(tokens)?;
            // What may follow an operand or a condition, until something needs another operand.
            loop {
                if let Some(path) = self.tree.extend_path(node, tokens)? {
                    node = path;
                    continue;
                }
                match tokens.peek().kind {
                    TokenKind::Close => node = self.close(node, tokens)?,
                    TokenKind::End => {
                        node = self.complete(node, false, tokens)?;
                        let fits = self.pending.is_empty() && self.tree.can_be_condition(node);
                        return if fits { Ok(node) } else { Err(tokens.syntax_error()) };
                    }
                    _ => {
                        self.read_operator(node, tokens)?;
                        break;
                    }
                }
            }
        }
    }

    /// Reads up to the end of the next path, value or call without arguments; what opens before it becomes pending.
    fn read_operand(&mut self, tokens: &mut Tokens<'_>) -> Result<NodeId, Located> {
        loop {
            match tokens.peek().kind {
                TokenKind::Open => {
                    let operand = self.wants_operand();
                    self.pending.push(Pending::Parentheses { token: tokens.advance(), operand });
                }
                TokenKind::Keyword(Keyword::Not) if !self.wants_operand() => {
                    tokens.advance();
                    self.pending.push(Pending::Not);
                }
                TokenKind::Identifier if tokens.second() == TokenKind::Open => {
                    let name = tokens.advance();
                    tokens.advance();
                    self.pending.push(Pending::Call { name, arguments: Vec::new() });
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

    /// Whether what is read next cannot be a condition.
    fn wants_operand(&self) -> bool {
        match self.pending.last() {
            None | Some(Pending::Not | Pending::And(_) | Pending::Or(_)) => false,
            Some(Pending::Parentheses { operand, .. }) => *operand,
            Some(_) => true,
        }
    }

    fn read_operator(&mut self, node: NodeId, tokens: &mut Tokens<'_>) -> Result<(), Located> {
        let token = tokens.peek();
        match token.kind {
            TokenKind::Comparator(_) | TokenKind::Keyword(Keyword::Between | Keyword::In) => {
                if self.wants_operand() || !self.tree.can_be_operand(node) {
                    return Err(tokens.syntax_error());
                }
                self.tree.set_place(node, false);
                tokens.advance();
                self.pending.push(match token.kind {
                    TokenKind::Comparator(comparator) => Pending::Compare { comparator, token, left: node },
                    TokenKind::Keyword(Keyword::In) => {
                        tokens.expect(TokenKind::Open)?;
                        Pending::In { token, value: node, list: Vec::new() }
                    }
                    _ => Pending::BetweenLow { token, value: node },
                });
            }
            TokenKind::Keyword(Keyword::And)
                if matches!(self.pending.last(), Some(Pending::BetweenLow { .. })) =>
            {
                let Some(Pending::BetweenLow { token, value }) = self.pending.pop() else {
                    return Err(tokens.syntax_error());
                };
                self.tree.set_place(node, false);
                tokens.advance();
                self.pending.push(Pending::BetweenHigh { token, value, low: node });
            }
            TokenKind::Keyword(keyword @ (Keyword::And | Keyword::Or)) => {
                let node = self.complete(node, keyword == Keyword::And, tokens)?;
                if self.wants_operand() || !self.tree.can_be_condition(node) {
                    return Err(tokens.syntax_error());
                }
                self.tree.set_place(node, true);
                tokens.advance();
                let is_and = keyword == Keyword::And;
                self.pending.push(if is_and { Pending::And(node) } else { Pending::Or(node) });
            }
            TokenKind::Comma => {
                let (Some(Pending::Call { arguments: list, .. }) | Some(Pending::In { list, .. })) =
                    self.pending.last_mut()
                else {
                    return Err(tokens.syntax_error());
                };
                list.push(node);
                tokens.advance();
                self.tree.set_place(node, false);
            }
            _ => return Err(tokens.syntax_error()),
        }
        Ok(())
    }

    /// A closing parenthesis behind `node`.
    fn close(&mut self, node: NodeId, tokens: &mut Tokens<'_>) -> Result<NodeId, Located> {
        let node = self.complete(node, false, tokens)?;
        match self.pending.pop() {
            Some(Pending::Parentheses { token, .. }) => {
                tokens.advance();
                self.tree.parenthesise(token, node)
            }
            Some(Pending::Call { name, mut arguments }) => {
                tokens.advance();
                self.tree.set_place(node, false);
                arguments.push(node);
                Ok(self.tree.push(Node::Call(Call { name, arguments, is_condition: true })))
            }
            Some(Pending::In { token, value, mut list }) => {
                tokens.advance();
                self.tree.set_place(node, false);
                list.push(node);
                Ok(self.tree.push(Node::In { token, value, list }))
            }
            _ => Err(tokens.syntax_error()),
        }
    }

    /// Completes what binds tighter than what comes next: everything up to the last parenthesis, or, before `AND`, all but
    /// `OR`.
    fn complete(
        &mut self,
        mut node: NodeId,
        before_and: bool,
        tokens: &Tokens<'_>,
    ) -> Result<NodeId, Located> {
        loop {
            let is_condition =
                matches!(self.pending.last(), Some(Pending::Not | Pending::And(_) | Pending::Or(_)));
            if is_condition && !self.tree.can_be_condition(node) {
                return Err(tokens.syntax_error());
            }
            let complete = match self.pending.last() {
                Some(&Pending::Compare { comparator, token, left }) => {
                    self.tree.set_place(node, false);
                    Node::Compare { comparator, token, left, right: node }
                }
                Some(&Pending::BetweenHigh { token, value, low }) => {
                    self.tree.set_place(node, false);
                    Node::Between { token, value, low, high: node }
                }
                Some(Pending::Not) => Node::Not(node),
                Some(Pending::And(left)) => Node::And(*left, node),
                Some(Pending::Or(left)) if !before_and => Node::Or(*left, node),
                // A range without its upper bound, or nothing that could be completed here.
                _ => return Ok(node),
            };
            if is_condition {
                self.tree.set_place(node, true);
            }
            self.pending.pop();
            node = self.tree.push(complete);
        }
    }
}
