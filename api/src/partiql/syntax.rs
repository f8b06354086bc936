//! Statements as trees, before anything is known of their tables and parameters.
//!
//! The expressions of a statement are one vector of nodes in which children come before their parents, from left to right, and in
//! which what belongs to a node stands right before it. So whatever looks at all of it is a loop.

use super::error::{Place, Rule, StatementError};
use super::lexer::Span;

/// A node, by its place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) what: What,
    /// The token that it is named by in errors.
    pub(super) span: Span,
    /// The first of the nodes that belong to it.
    pub(super) first: usize,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Path(Vec<Step>),
    String(String),
    /// With its sign.
    Number(String),
    Bool(bool),
    Null,
    Missing,
    /// What DynamoDB does not read.
    Ion(String),
    /// The parameter of this number.
    Parameter(usize),
    List(Vec<NodeId>),
    Bag(Vec<NodeId>),
    /// Names and values.
    Struct(Vec<(NodeId, NodeId)>),
    /// A function by its name, in small letters.
    Call(String, Vec<NodeId>),
    Not(NodeId),
    And(NodeId, NodeId),
    Or(NodeId, NodeId),
    /// By an operator of the [expression](crate::expression) language.
    Compare(&'static str, NodeId, NodeId),
    Between(NodeId, NodeId, NodeId),
    In(NodeId, NodeId),
    Is(NodeId, TypeName),
    Like(NodeId),
    /// `+`, `-` and others that stand between numbers.
    Arithmetic(&'static str, NodeId, NodeId),
    /// A sign before what is no number.
    Sign(NodeId),
}

/// What stands behind `IS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TypeName {
    Missing,
    /// By DynamoDB's letters.
    Type(&'static str),
    /// One that no value of an item has.
    Other(String),
}

/// A step of a path; the first one is the attribute.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Name(String),
    /// `None` if no list has it.
    Index {
        text: String,
        value: Option<usize>,
        span: Span,
    },
    /// `.*`
    Unpivot,
    /// `[*]`
    Wildcard,
}

/// The nodes of a statement.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    text: String,
    pub(super) nodes: Vec<Node>,
    /// How many parameters there are.
    pub(super) parameters: usize,
}

impl Tree {
    pub(super) fn new(text: &str) -> Tree {
        Tree { text: text.to_owned(), nodes: Vec::new(), parameters: 0 }
    }

    /// The node at a place in the tree.
    pub(super) fn id(&self, place: usize) -> NodeId {
        NodeId(place as u32)
    }

    /// Where a node stands in the statement.
    pub(super) fn place(&self, id: NodeId) -> Place {
        self.node(id).span.place(&self.text)
    }

    pub(super) fn push(&mut self, span: Span, what: What) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        let of = |child: Option<&NodeId>| child.map_or(id.index(), |child| self.nodes[child.index()].first);
        let first = match &what {
            What::List(nodes) | What::Bag(nodes) | What::Call(_, nodes) => of(nodes.first()),
            What::Struct(entries) => of(entries.first().map(|(name, _)| name)),
            What::Not(node) | What::Sign(node) | What::Is(node, _) => of(Some(node)),
            What::And(node, _)
            | What::Or(node, _)
            | What::Compare(_, node, _)
            | What::Between(node, ..)
            | What::In(node, _)
            | What::Like(node)
            | What::Arithmetic(_, node, _) => of(Some(node)),
            _ => id.index(),
        };
        self.nodes.push(Node { what, span, first });
        id
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    pub(super) fn what(&self, id: NodeId) -> &What {
        &self.node(id).what
    }

    /// The nodes that belong to one, and the node itself.
    pub(super) fn within(&self, id: NodeId) -> &[Node] {
        &self.nodes[self.node(id).first..=id.index()]
    }

    /// The attribute that a node is, if it is one.
    pub(super) fn attribute(&self, id: NodeId) -> Option<&str> {
        match self.what(id) {
            What::Path(steps) => match steps.as_slice() {
                [Step::Name(name)] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Refuses steps that no path of an item has.
    pub(super) fn check_path(&self, steps: &[Step]) -> Result<(), StatementError> {
        for step in steps {
            match step {
                Step::Name(name) if name.is_empty() => return Err(Rule::EmptyComponent.broken()),
                Step::Index { text, value: None, span } => {
                    let rule = Rule::ListIndex { index: text.clone() };
                    return Err(rule.broken_at(span.place(&self.text)));
                }
                Step::Unpivot => return Err(Rule::Unpivot.broken()),
                Step::Wildcard => return Err(Rule::Wildcard.broken()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A statement that was read.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(super) tree: Tree,
    pub(crate) kind: StatementKind,
    pub(crate) source: Source,
    /// The WHERE clause.
    pub(crate) condition: Option<NodeId>,
}

#[derive(Clone, Debug)]
pub(crate) enum StatementKind {
    /// What is selected (all of it, if nothing is named), and in which order.
    Select {
        columns: Option<Vec<NodeId>>,
        order: Vec<Order>,
    },
    /// A condition of a transaction: that there is an item.
    Exists,
    Insert {
        item: NodeId,
    },
    Update {
        actions: Vec<Action>,
        returning: Option<Returning>,
    },
    Delete {
        returning: Option<Returning>,
    },
}

/// A table, or an index of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) table: String,
    pub(crate) index: Option<String>,
}

/// An attribute of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) attribute: String,
    pub(crate) descending: bool,
}

/// What an update does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Set(NodeId, NodeId),
    Remove(NodeId),
}

/// What a write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returning {
    AllOld,
    AllNew,
    ModifiedOld,
    ModifiedNew,
}

impl Returning {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Returning::AllOld => "ALL OLD *",
            Returning::AllNew => "ALL NEW *",
            Returning::ModifiedOld => "MODIFIED OLD *",
            Returning::ModifiedNew => "MODIFIED NEW *",
        }
    }
}

impl Statement {
    /// Whether it reads, and does nothing else.
    pub(crate) fn is_select(&self) -> bool {
        matches!(self.kind, StatementKind::Select { .. })
    }
}
