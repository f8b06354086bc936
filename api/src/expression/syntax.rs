//! Expressions as trees, before anything is known of what their placeholders stand for.
//!
//! A tree is a vector of nodes in which children come before their parents, from left to right. So whatever looks at all
//! nodes is a loop: nothing here, nor anything that works on trees, calls itself, however deep the tree.

use super::error::Problem;
use super::lexer::{Comparator, Located, Token, TokenKind, Tokens};

/// A node, by its place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
pub(super) enum Node {
    Path(RawPath),
    /// A `:` placeholder.
    Value(Token),
    Call(Call),
    /// A pair of parentheses. What is in them is no other pair.
    Parentheses(NodeId),
    Compare {
        comparator: Comparator,
        token: Token,
        left: NodeId,
        right: NodeId,
    },
    Between {
        token: Token,
        value: NodeId,
        low: NodeId,
        high: NodeId,
    },
    In {
        token: Token,
        value: NodeId,
        list: Vec<NodeId>,
    },
    Not(NodeId),
    And(NodeId, NodeId),
    Or(NodeId, NodeId),
    /// `+` or `-`
    Sum {
        token: Token,
        left: NodeId,
        right: NodeId,
    },
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: Token,
    pub(super) arguments: Vec<NodeId>,
    /// Whether it stands where a condition has to be, not a value.
    pub(super) is_condition: bool,
}

/// A path as it is written.
#[derive(Debug, Default)]
pub(super) struct RawPath {
    pub(super) elements: Vec<RawElement>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum RawElement {
    Name(Token),
    /// A `#` placeholder.
    Placeholder(Token),
    Index(Token),
}

impl RawElement {
    pub(super) fn token(self) -> Token {
        match self {
            RawElement::Name(token) | RawElement::Placeholder(token) | RawElement::Index(token) => token,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    operators: usize,
}

impl Tree {
    pub(super) const MAX_OPERATORS: usize = 300;

    pub(super) fn push(&mut self, node: Node) -> NodeId {
        self.operators += match node {
            Node::Path(_) | Node::Value(_) | Node::Parentheses(_) => 0,
            _ => 1,
        };
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// All nodes, children before their parents.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node itself, or what is in it if it is a pair of parentheses.
    pub(super) fn unwrap(&self, id: NodeId) -> NodeId {
        match self.node(id) {
            Node::Parentheses(inner) => *inner,
            _ => id,
        }
    }

    /// The node, or what its parentheses hold.
    pub(super) fn unwrapped(&self, id: NodeId) -> &Node {
        self.node(self.unwrap(id))
    }

    pub(super) fn can_be_condition(&self, id: NodeId) -> bool {
        !matches!(self.unwrapped(id), Node::Path(_) | Node::Value(_) | Node::Sum { .. })
    }

    pub(super) fn can_be_operand(&self, id: NodeId) -> bool {
        matches!(self.unwrapped(id), Node::Path(_) | Node::Value(_) | Node::Call(_))
    }

    /// Says of a call where it stands.
    pub(super) fn set_place(&mut self, id: NodeId, is_condition: bool) {
        let id = self.unwrap(id);
        if let Node::Call(call) = &mut self.nodes[id.index()] {
            call.is_condition = is_condition;
        }
    }

    /// Puts a node into parentheses, that `token` opens.
    pub(super) fn parenthesise(&mut self, token: Token, inner: NodeId) -> Result<NodeId, Located> {
        if let Node::Parentheses(_) = self.node(inner) {
            return Err(Located::new(token, Problem::RedundantParentheses));
        }
        Ok(self.push(Node::Parentheses(inner)))
    }

    /// The path in front, which may go on one that stands in parentheses already.
    pub(super) fn extend_path(
        &mut self,
        id: NodeId,
        tokens: &mut Tokens<'_>,
    ) -> Result<Option<NodeId>, Located> {
        let (Node::Parentheses(inner), TokenKind::Dot | TokenKind::OpenBracket) =
            (self.node(id), tokens.peek().kind)
        else {
            return Ok(None);
        };
        let Node::Path(path) = self.node(*inner) else {
            return Ok(None);
        };
        let mut path = RawPath { elements: path.elements.clone() };
        path.read_steps(tokens)?;
        Ok(Some(self.push(Node::Path(path))))
    }

    pub(super) fn check_operators(&self, token: Token) -> Result<(), Located> {
        if self.operators <= Self::MAX_OPERATORS {
            return Ok(());
        }
        // DynamoDB counts no further.
        Err(Located::new(token, Problem::TooManyOperators { count: Self::MAX_OPERATORS + 1 }))
    }
}

impl RawPath {
    /// The path in front.
    pub(super) fn read(tokens: &mut Tokens<'_>) -> Result<RawPath, Located> {
        let mut path = RawPath::default();
        path.read_name(tokens)?;
        path.read_steps(tokens)?;
        Ok(path)
    }

    /// The token that the path begins with.
    pub(super) fn token(&self) -> Token {
        self.elements[0].token()
    }

    fn read_name(&mut self, tokens: &mut Tokens<'_>) -> Result<(), Located> {
        let element = match tokens.peek().kind {
            TokenKind::Identifier => RawElement::Name(tokens.advance()),
            TokenKind::NamePlaceholder => RawElement::Placeholder(tokens.advance()),
            _ => return Err(tokens.syntax_error()),
        };
        self.elements.push(element);
        Ok(())
    }

    fn read_steps(&mut self, tokens: &mut Tokens<'_>) -> Result<(), Located> {
        loop {
            if tokens.advance_if(TokenKind::Dot) {
                self.read_name(tokens)?;
            } else if tokens.advance_if(TokenKind::OpenBracket) {
                self.elements.push(RawElement::Index(tokens.expect(TokenKind::Integer)?));
                tokens.expect(TokenKind::CloseBracket)?;
            } else {
                return Ok(());
            }
        }
    }
}
