//! Checks conditions against DynamoDB's rules, in its order, and resolves what they are made of.
//!
//! DynamoDB reports one problem, and which one depends on the order of its checks: unknown functions anywhere, functions
//! out of place, names that are reserved; and then condition by condition, from left to right, placeholders that are not
//! defined, numbers of operands, operands compared with themselves, and types.

use super::constant::describe;
use super::error::Problem;
use super::lexer::{Comparator, Located, Token};
use super::operand::{Operand, Value};
use super::scope::{Scope, check_words, text_of};
use super::syntax::{Call, Node, NodeId, Tree};
use super::test::Test;
use crate::value::AttributeType;

/// The most values after `IN`.
pub(crate) const MAX_IN_OPERANDS: usize = 100;

/// A condition whose parts are resolved.
pub(super) struct Checked {
    pub(super) tree: Tree,
    pub(super) root: NodeId,
    /// By node: the conditions without others inside.
    pub(super) tests: Vec<Option<Test>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    AttributeExists,
    AttributeNotExists,
    AttributeType,
    BeginsWith,
    Contains,
    Size,
}

impl Function {
    fn from_name(name: &str) -> Option<Function> {
        Some(match name {
            "attribute_exists" => Function::AttributeExists,
            "attribute_not_exists" => Function::AttributeNotExists,
            "attribute_type" => Function::AttributeType,
            "begins_with" => Function::BeginsWith,
            "contains" => Function::Contains,
            "size" => Function::Size,
            _ => return None,
        })
    }

    fn operands(self) -> usize {
        match self {
            Function::AttributeExists | Function::AttributeNotExists | Function::Size => 1,
            Function::AttributeType | Function::BeginsWith | Function::Contains => 2,
        }
    }
}

/// The functions of update expressions.
pub(super) const UPDATE_FUNCTIONS: [&str; 2] = ["if_not_exists", "list_append"];

/// Whether conditions have a function of this name.
pub(super) fn is_condition_function(name: &str) -> bool {
    Function::from_name(name).is_some()
}

pub(super) fn check_condition(
    text: &str,
    tree: Tree,
    root: NodeId,
    scope: &Scope<'_>,
) -> Result<Checked, Located> {
    check_functions(text, &tree)?;
    for node in tree.nodes() {
        if let Node::Path(path) = node {
            check_words(text, path)?;
        }
    }
    let mut checker = Checker { text, tree: &tree, scope, operands: Vec::with_capacity(tree.nodes().len()) };
    let mut tests = Vec::with_capacity(tree.nodes().len());
    let mut first = 0;
    for (index, node) in tree.nodes().iter().enumerate() {
        let is_test = match node {
            Node::Compare { .. } | Node::Between { .. } | Node::In { .. } => true,
            Node::Call(call) => call.is_condition,
            _ => false,
        };
        tests.push(None);
        if is_test {
            tests[index] = Some(checker.test(first, index)?);
            first = index + 1;
        }
    }
    Ok(Checked { tree, root, tests })
}

/// Refuses functions that do not exist, and those that stand in a wrong place.
fn check_functions(text: &str, tree: &Tree) -> Result<(), Located> {
    let calls = || {
        tree.nodes().iter().filter_map(|node| match node {
            Node::Call(call) => Some((call, text_of(text, call.name))),
            _ => None,
        })
    };
    for (call, name) in calls() {
        let function = name.to_owned();
        if UPDATE_FUNCTIONS.contains(&name) {
            return Err(Located::new(call.name, Problem::FunctionInCondition { function }));
        }
        if Function::from_name(name).is_none() {
            return Err(Located::new(call.name, Problem::UnknownFunction { function }));
        }
    }
    for (call, name) in calls() {
        if call.is_condition == (Function::from_name(name) == Some(Function::Size)) {
            return Err(Located::new(call.name, Problem::MisusedFunction { function: name.to_owned() }));
        }
    }
    Ok(())
}

struct Checker<'c> {
    text: &'c str,
    tree: &'c Tree,
    scope: &'c Scope<'c>,
    /// By node: what it is resolved to, until it is taken.
    operands: Vec<Option<Operand>>,
}

impl Checker<'_> {
    /// The test at node `last`, whose operands are among the nodes from `first` on.
    fn test(&mut self, first: usize, last: usize) -> Result<Test, Located> {
        let nodes = &self.tree.nodes()[first..=last];
        self.operands.resize_with(first, || None);
        for node in nodes {
            self.operands.push(match node {
                Node::Path(path) => Some(Operand::Path(self.scope.path(self.text, path)?)),
                Node::Value(token) => {
                    Some(Operand::Constant(self.scope.value(*token, text_of(self.text, *token))?))
                }
                _ => None,
            });
        }
        for node in nodes {
            if let Node::Call(call) = node {
                let (name, count) = (text_of(self.text, call.name), call.arguments.len());
                if Function::from_name(name).map(Function::operands) != Some(count) {
                    let problem = Problem::OperandCount { function: name.to_owned(), count };
                    return Err(Located::new(call.name, problem));
                }
            }
        }
        for node in nodes {
            self.check_distinct(node)?;
        }
        for (at, node) in nodes.iter().enumerate() {
            match node {
                Node::Call(call) if !call.is_condition => {
                    let of = self.take(call.arguments[0]);
                    self.check_types("size", call.name, &[&of], |kind| {
                        !matches!(kind, AttributeType::N | AttributeType::Bool | AttributeType::Null)
                    })?;
                    self.operands[first + at] = Some(Operand::Size(Box::new(of)));
                }
                _ => {}
            }
        }
        self.leaf(&self.tree.nodes()[last])
    }

    fn leaf(&mut self, node: &Node) -> Result<Test, Located> {
        match node {
            Node::Compare { comparator, token, left, right } => {
                let (left, right) = (self.take(*left), self.take(*right));
                if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
                    self.check_types(comparator.as_str(), *token, &[&left, &right], has_order)?;
                }
                Ok(Test::Compare { comparator: *comparator, left, right })
            }
            Node::Between { token, value, low, high } => {
                let (value, low, high) = (self.take(*value), self.take(*low), self.take(*high));
                check_bounds(*token, &low, &high)?;
                self.check_types("BETWEEN", *token, &[&value, &low, &high], has_order)?;
                Ok(Test::Between { value, low, high })
            }
            Node::In { token, value, list } => {
                if list.len() > MAX_IN_OPERANDS {
                    return Err(Located::new(*token, Problem::TooManyInOperands { count: list.len() }));
                }
                let value = self.take(*value);
                Ok(Test::In { value, list: list.iter().map(|id| self.take(*id)).collect() })
            }
            Node::Call(call) => self.call(call),
            _ => unreachable!("only these nodes are tests"),
        }
    }

    fn call(&mut self, call: &Call) -> Result<Test, Located> {
        let name = text_of(self.text, call.name);
        let function = Function::from_name(name).expect("the functions were checked");
        let mut arguments = call.arguments.iter().map(|id| self.take(*id)).collect::<Vec<_>>().into_iter();
        let first = arguments.next().expect("the number of operands was checked");
        let needs_path = matches!(function, Function::AttributeExists | Function::AttributeNotExists);
        let first = match first {
            Operand::Path(path) if needs_path => {
                return Ok(match function {
                    Function::AttributeExists => Test::Exists(path),
                    _ => Test::NotExists(path),
                });
            }
            _ if needs_path => {
                return Err(Located::new(call.name, Problem::PathRequired { function: name.to_owned() }));
            }
            first => first,
        };
        let second = arguments.next().expect("the number of operands was checked");
        match function {
            Function::Contains => return Ok(Test::Contains(first, second)),
            Function::AttributeType => return Ok(Test::HasType(first, type_named(call.name, &second)?)),
            _ => {}
        }
        self.check_types(name, call.name, &[&first, &second], |kind| {
            matches!(kind, AttributeType::S | AttributeType::B)
        })?;
        Ok(Test::BeginsWith(first, second))
    }

    /// Refuses an attribute that is compared with itself.
    fn check_distinct(&self, node: &Node) -> Result<(), Located> {
        let (token, first, others) = match node {
            Node::Compare { token, left, right, .. } => (*token, *left, std::slice::from_ref(right)),
            Node::Between { token, value, low, high } => {
                self.check_distinct_from(*token, *value, std::slice::from_ref(low))?;
                (*token, *value, std::slice::from_ref(high))
            }
            Node::In { token, value, list } => (*token, *value, list.as_slice()),
            Node::Call(call) => match call.arguments.split_first() {
                Some((first, others)) => (call.name, *first, others),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.check_distinct_from(token, first, others)
    }

    fn check_distinct_from(&self, token: Token, first: NodeId, others: &[NodeId]) -> Result<(), Located> {
        let path = |id| match &self.operands[self.tree.unwrap(id).index()] {
            Some(Operand::Path(path)) => Some(path),
            _ => None,
        };
        let Some(first) = path(first) else {
            return Ok(());
        };
        if others.iter().any(|other| path(*other) == Some(first)) {
            let operator = text_of(self.text, token);
            let is_keyword = ["between", "in"].iter().any(|keyword| operator.eq_ignore_ascii_case(keyword));
            let operator = if is_keyword { operator.to_ascii_uppercase() } else { operator.to_owned() };
            return Err(Located::new(token, Problem::SameOperand { operator, path: first.to_string() }));
        }
        Ok(())
    }

    fn check_types(
        &self,
        operator: &str,
        token: Token,
        operands: &[&Operand],
        fits: impl Fn(AttributeType) -> bool,
    ) -> Result<(), Located> {
        match operands.iter().filter_map(|operand| operand.static_type()).find(|kind| !fits(*kind)) {
            None => Ok(()),
            Some(kind) => Err(wrong_type(operator, token, kind.as_str())),
        }
    }

    /// What a node is resolved to. Each is the child of one other.
    fn take(&mut self, id: NodeId) -> Operand {
        let index = self.tree.unwrap(id).index();
        self.operands[index].take().expect("operands come before what they are operands of")
    }
}

fn has_order(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::S | AttributeType::N | AttributeType::B)
}

pub(super) fn wrong_type(operator: &str, token: Token, found: &'static str) -> Located {
    Located::new(token, Problem::OperandType { operator: operator.to_owned(), found })
}

/// Refuses bounds of a range that no value can be between, where both are known.
fn check_bounds(token: Token, low: &Operand, high: &Operand) -> Result<(), Located> {
    let (Operand::Constant(low), Operand::Constant(high)) = (low, high) else {
        return Ok(());
    };
    let described = || (describe(&low.to_value()), describe(&high.to_value()));
    if low.attribute_type() != high.attribute_type() {
        let (lower, upper) = described();
        return Err(Located::new(token, Problem::BetweenTypes { lower, upper }));
    }
    let order = Value::Encoded(low.view()).order(Value::Encoded(high.view()));
    if matches!(order, Ok(Some(std::cmp::Ordering::Greater))) {
        let (lower, upper) = described();
        return Err(Located::new(token, Problem::BetweenOrder { lower, upper }));
    }
    Ok(())
}

/// The type that the second operand of `attribute_type` names.
fn type_named(token: Token, operand: &Operand) -> Result<AttributeType, Located> {
    let found = match operand {
        Operand::Constant(constant) => match constant.view().as_str() {
            Ok(Some(name)) => {
                let kind = AttributeType::from_name(name);
                return kind
                    .ok_or_else(|| Located::new(token, Problem::UnknownTypeName { name: name.to_owned() }));
            }
            _ => constant.attribute_type().as_str(),
        },
        Operand::Size(_) => "N",
        // It may be any.
        Operand::Path(_) => "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}",
    };
    Err(wrong_type("attribute_type", token, found))
}
