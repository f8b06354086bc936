//! Update expressions: checked, and compiled.
//!
//! DynamoDB reports one problem, in this order: names that are reserved, functions that do not exist, clauses that occur
//! twice, names and then values that are not defined, paths that overlap or conflict, types of what is added or deleted,
//! and then the operands of functions and sums.

use std::sync::Arc;

use super::check::{UPDATE_FUNCTIONS, is_condition_function, wrong_type};
use super::constant::Constant;
use super::error::Problem;
use super::lexer::{Located, Token};
use super::parse_update::{Clause, RawAction, RawUpdate};
use super::path::Path;
use super::path_tree::PathTree;
use super::scope::{Scope, check_words, text_of};
use super::syntax::{Call, Node, NodeId};
use crate::item_codec::{ItemError, ItemView};
use crate::value::AttributeType;

/// A function whose operands are no calls of itself.
const LIST_APPEND: &str = "list_append";

/// A compiled update expression, for any number of items.
///
/// ```
/// use dynamite_core::expression::Expressions;
/// use dynamite_core::item_codec::{ItemView, decode_json, encode_json};
/// use dynamite_core::{AttributeValue, Item};
/// use serde_json::json;
///
/// let values = Item::from([(":one".to_owned(), AttributeValue::from(1))]);
/// let text = "SET visits = if_not_exists(visits, :one) + :one REMOVE tags[0]";
/// let update = Expressions::builder().update(text).values(&values).build()?.update.unwrap();
///
/// let key = Item::from([("id".to_owned(), AttributeValue::from("a"))]);
/// let old = encode_json(&json!({"id": "a", "visits": 41, "tags": ["x", "y"]}))?;
/// let new = update.apply(Some(ItemView::new(&old)?), &key)?;
/// assert_eq!(decode_json(&new)?, json!({"id": "a", "visits": 42, "tags": ["y"]}));
///
/// // What `UPDATED_OLD` and `UPDATED_NEW` return.
/// let updated = update.updated(ItemView::new(&old)?)?.unwrap();
/// assert_eq!(decode_json(&updated)?, json!({"visits": 41, "tags": ["x"]}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Update {
    pub(super) actions: Vec<Action>,
    /// Where the actions change something: an end is an action's number.
    pub(super) tree: PathTree,
}

/// A change of what is at a path.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) path: Path,
    /// Which clause it is in, counted from 0.
    pub(super) clause: usize,
    pub(super) change: Change,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Set(Program),
    Remove,
    /// A number, or members of a set.
    Add(Arc<Constant>),
    /// Members of a set.
    Delete(Arc<Constant>),
}

/// What computes a value: instructions for a stack, on which the value is left. (Nothing calls itself, however deep the
/// functions are nested.)
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) instructions: Vec<Instruction>,
}

#[derive(Clone, Debug)]
pub(super) enum Instruction {
    /// Push what is at a path.
    Path(Path),
    /// Push a value.
    Constant(Arc<Constant>),
    /// Push what is at the path and go on at the instruction of this number, if there is something.
    IfNotExists(Path, usize),
    /// Pop two lists, and push one.
    Append,
    /// Pop two numbers, and push their sum.
    Add,
    /// Pop two numbers, and push their difference.
    Subtract,
}

impl Update {
    /// What of an item the update changes: of the old item what `UPDATED_OLD` returns, of the new one what `UPDATED_NEW`
    /// does. `None` if there is nothing, and then no attributes are returned.
    ///
    /// As in DynamoDB, this is what is at the paths of the expression, in that item: behind a removed element of a list
    /// the next one has moved up, and an element set far beyond the end of a list is not at the index it was set at.
    ///
    /// # Errors
    ///
    /// [`ItemError::Damage`], as far as damage is met.
    pub fn updated(&self, item: ItemView<'_>) -> Result<Option<Vec<u8>>, ItemError> {
        self.tree.project(item)
    }

    /// The paths that are changed, in the order of the expression.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.actions.iter().map(|action| &action.path)
    }

    /// The paths that values are taken from.
    pub fn sources(&self) -> impl Iterator<Item = &Path> {
        let programs = self.actions.iter().filter_map(|action| match &action.change {
            Change::Set(program) => Some(program),
            _ => None,
        });
        programs.flat_map(|program| &program.instructions).filter_map(|instruction| match instruction {
            Instruction::Path(path) | Instruction::IfNotExists(path, _) => Some(path),
            _ => None,
        })
    }
}

impl Update {
    /// Whether nothing is asked for but that attributes, or parts of them, are removed.
    pub(crate) fn only_removes(&self) -> bool {
        self.actions.iter().all(|action| matches!(action.change, Change::Remove))
    }

    /// The type that the update gives to an attribute, as far as that does not depend on the item.
    pub(crate) fn static_type(&self, attribute: &str) -> Option<AttributeType> {
        let is_it = |action: &&Action| action.path.is_top_level() && action.path.attribute() == attribute;
        match &self.actions.iter().find(is_it)?.change {
            Change::Add(constant) | Change::Delete(constant) => Some(constant.attribute_type()),
            Change::Remove => None,
            Change::Set(program) => match program.instructions.last()? {
                Instruction::Constant(constant) if program.instructions.len() == 1 => {
                    Some(constant.attribute_type())
                }
                Instruction::Append => Some(AttributeType::L),
                Instruction::Add | Instruction::Subtract => Some(AttributeType::N),
                _ => None,
            },
        }
    }
}

pub(super) fn compile_update(text: &str, raw: RawUpdate, scope: &Scope<'_>) -> Result<Update, Located> {
    check_names(text, &raw)?;
    let (paths, sources, constants) = resolve(text, &raw, scope)?;
    let tree = PathTree::new(&paths.iter().collect::<Vec<_>>())
        .map_err(|(number, problem)| Located::new(raw.actions[number].path.token(), problem))?;
    let compiler = Compiler { text, raw: &raw, sources, constants };
    for action in &raw.actions {
        compiler.check_action(action)?;
    }
    compiler.check_operands()?;
    let compile = |(action, path)| compiler.action(action, path);
    Ok(Update { actions: raw.actions.iter().zip(paths).map(compile).collect(), tree })
}

/// The checks that need no placeholders.
fn check_names(text: &str, raw: &RawUpdate) -> Result<(), Located> {
    for action in &raw.actions {
        check_words(text, &action.path)?;
    }
    for node in raw.tree.nodes() {
        if let Node::Path(path) = node {
            check_words(text, path)?;
        }
    }
    for call in calls(raw) {
        let name = text_of(text, call.name);
        let function = name.to_owned();
        if is_condition_function(name) {
            return Err(Located::new(call.name, Problem::FunctionInUpdate { function }));
        }
        if !UPDATE_FUNCTIONS.contains(&name) {
            return Err(Located::new(call.name, Problem::UnknownFunction { function }));
        }
    }
    for call in calls(raw).filter(|call| text_of(text, call.name) == LIST_APPEND) {
        for operand in &call.arguments {
            if let Node::Call(inner) = raw.tree.unwrapped(*operand)
                && text_of(text, inner.name) == LIST_APPEND
            {
                let function = LIST_APPEND.to_owned();
                return Err(Located::new(inner.name, Problem::MisusedFunction { function }));
            }
        }
    }
    for (number, (clause, token)) in raw.clauses.iter().enumerate() {
        if raw.clauses[..number].iter().any(|(other, _)| other == clause) {
            return Err(Located::new(*token, Problem::RepeatedClause { clause: clause.as_str() }));
        }
    }
    Ok(())
}

fn calls(raw: &RawUpdate) -> impl Iterator<Item = &Call> {
    raw.tree.nodes().iter().filter_map(|node| match node {
        Node::Call(call) => Some(call),
        _ => None,
    })
}

/// The paths of the actions; and by node the paths and the constants of the values.
type Resolved = (Vec<Path>, Vec<Option<Path>>, Vec<Option<Arc<Constant>>>);

fn resolve(text: &str, raw: &RawUpdate, scope: &Scope<'_>) -> Result<Resolved, Located> {
    let paths = raw.actions.iter().map(|action| scope.path(text, &action.path)).collect::<Result<_, _>>()?;
    let nodes = raw.tree.nodes();
    let source = |node: &Node| match node {
        Node::Path(path) => scope.path(text, path).map(Some),
        _ => Ok(None),
    };
    let sources = nodes.iter().map(source).collect::<Result<_, _>>()?;
    let constant = |node: &Node| match node {
        Node::Value(token) => scope.value(*token, text_of(text, *token)).map(Some),
        _ => Ok(None),
    };
    let constants = nodes.iter().map(constant).collect::<Result<_, _>>()?;
    Ok((paths, sources, constants))
}

struct Compiler<'c> {
    text: &'c str,
    raw: &'c RawUpdate,
    sources: Vec<Option<Path>>,
    constants: Vec<Option<Arc<Constant>>>,
}

impl Compiler<'_> {
    fn constant(&self, id: NodeId) -> Option<&Arc<Constant>> {
        self.constants[self.raw.tree.unwrap(id).index()].as_ref()
    }

    fn source(&self, id: NodeId) -> Option<&Path> {
        self.sources[self.raw.tree.unwrap(id).index()].as_ref()
    }

    /// Refuses to add or delete what cannot be.
    fn check_action(&self, action: &RawAction) -> Result<(), Located> {
        let (Clause::Add | Clause::Delete, Some(constant)) =
            (action.clause, action.value.and_then(|value| self.constant(value)))
        else {
            return Ok(());
        };
        let found = match constant.attribute_type() {
            AttributeType::Ss | AttributeType::Ns | AttributeType::Bs => return Ok(()),
            AttributeType::N if action.clause == Clause::Add => return Ok(()),
            AttributeType::N => "NUMBER",
            AttributeType::S => "STRING",
            AttributeType::B => "BINARY",
            AttributeType::Bool => "BOOLEAN",
            AttributeType::Null => "NULL",
            AttributeType::L => "LIST",
            AttributeType::M => "MAP",
        };
        let problem = Problem::ActionType { action: action.clause.as_str(), found };
        Err(Located::new(action.path.token(), problem))
    }

    /// Checks the operands of functions and sums.
    fn check_operands(&self) -> Result<(), Located> {
        for node in self.raw.tree.nodes() {
            match node {
                Node::Call(call) => {
                    let name = text_of(self.text, call.name);
                    let [first, second] = *call.arguments.as_slice() else {
                        let problem =
                            Problem::OperandCount { function: name.to_owned(), count: call.arguments.len() };
                        return Err(Located::new(call.name, problem));
                    };
                    if name == LIST_APPEND {
                        self.check_type(name, call.name, &[first, second], AttributeType::L)?;
                        continue;
                    }
                    let Some(path) = self.source(first) else {
                        let problem = Problem::PathRequired { function: name.to_owned() };
                        return Err(Located::new(call.name, problem));
                    };
                    if self.source(second) == Some(path) {
                        let problem =
                            Problem::SameOperand { operator: name.to_owned(), path: path.to_string() };
                        return Err(Located::new(call.name, problem));
                    }
                }
                Node::Sum { token, left, right } => {
                    let operator = text_of(self.text, *token);
                    self.check_type(operator, *token, &[*left, *right], AttributeType::N)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_type(
        &self,
        operator: &str,
        token: Token,
        operands: &[NodeId],
        expected: AttributeType,
    ) -> Result<(), Located> {
        for operand in operands {
            let found = match self.raw.tree.unwrapped(*operand) {
                Node::Call(call) if text_of(self.text, call.name) == LIST_APPEND => Some(AttributeType::L),
                _ => self.constant(*operand).map(|constant| constant.attribute_type()),
            };
            if let Some(found) = found.filter(|found| *found != expected) {
                return Err(wrong_type(operator, token, found.as_str()));
            }
        }
        Ok(())
    }

    fn action(&self, action: &RawAction, path: Path) -> Action {
        let constant = || {
            let constant = action.value.and_then(|value| self.constant(value));
            Arc::clone(constant.expect("what is added or deleted is a value"))
        };
        let change = match action.clause {
            Clause::Set => Change::Set(self.program(action.value.expect("what is set has a value"))),
            Clause::Remove => Change::Remove,
            Clause::Add => Change::Add(constant()),
            Clause::Delete => Change::Delete(constant()),
        };
        Action { path, clause: action.clause_index, change }
    }

    /// The instructions for a value, from its root: what is still to be done waits on a stack.
    fn program(&self, root: NodeId) -> Program {
        enum Todo {
            Value(NodeId),
            Push(Instruction),
            /// The end of the alternative of the instruction of this number.
            EndOf(usize),
        }
        let mut instructions = Vec::new();
        let mut todo = vec![Todo::Value(root)];
        while let Some(next) = todo.pop() {
            let id = match next {
                Todo::Value(id) => id,
                Todo::Push(instruction) => {
                    instructions.push(instruction);
                    continue;
                }
                Todo::EndOf(number) => {
                    let end = instructions.len();
                    if let Instruction::IfNotExists(_, target) = &mut instructions[number] {
                        *target = end;
                    }
                    continue;
                }
            };
            if let Some(path) = self.source(id) {
                instructions.push(Instruction::Path(path.clone()));
            } else if let Some(constant) = self.constant(id) {
                instructions.push(Instruction::Constant(Arc::clone(constant)));
            } else {
                match self.raw.tree.unwrapped(id) {
                    Node::Sum { token, left, right } => {
                        let is_sum = text_of(self.text, *token) == "+";
                        todo.push(Todo::Push(if is_sum { Instruction::Add } else { Instruction::Subtract }));
                        todo.extend([Todo::Value(*right), Todo::Value(*left)]);
                    }
                    Node::Call(call) => {
                        let (first, second) = (call.arguments[0], call.arguments[1]);
                        match self.source(first) {
                            Some(path) if text_of(self.text, call.name) == "if_not_exists" => {
                                todo.extend([Todo::EndOf(instructions.len()), Todo::Value(second)]);
                                instructions.push(Instruction::IfNotExists(path.clone(), 0));
                            }
                            _ => {
                                todo.push(Todo::Push(Instruction::Append));
                                todo.extend([Todo::Value(second), Todo::Value(first)]);
                            }
                        }
                    }
                    _ => unreachable!("a value is nothing else"),
                }
            }
        }
        Program { instructions }
    }
}
