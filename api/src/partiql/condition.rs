//! Translates conditions, and whatever updates have in common with them, into the [expression](crate::expression) language.
//!
//! A name becomes a placeholder `#0`, `#1`, …, a value `:0`, `:1`, …. What PartiQL has and the language has not is said in other
//! words: `IS` is `attribute_type` or `attribute_not_exists`, and a condition that is compared with a value is that condition, or
//! its opposite, or is decided.

use std::collections::BTreeMap;

use super::error::{Rule, StatementError};
use super::syntax::{NodeId, Step, Tree, TypeName, What};
use super::value::Values;
use crate::expression::{ExpressionError, ExpressionKind, Expressions, MAX_IN_OPERANDS, Problem};
use crate::value::{AttributeValue, Item};

/// The most operators and functions of a condition.
const MAX_OPERATORS: usize = 300;

/// Bytes of a translated condition, beyond which it has too many operators in any case: comparing conditions with each other
/// repeats them.
const MAX_TEXT: usize = 1 << 17;

/// Texts with placeholders, and what these stand for.
pub(crate) struct Translation<'s> {
    pub(super) values: Values<'s>,
    names: BTreeMap<String, String>,
    placeholders: BTreeMap<String, String>,
    constants: Item,
}

/// What a node is in the expression language.
#[derive(Clone, Debug)]
enum Text {
    /// A path, a placeholder or a call of `size`.
    Operand(String),
    /// A condition, and how tight it binds.
    Condition(String, Binding),
    /// Something that has a meaning only for what it is in.
    Other,
}

impl Text {
    /// Refuses a condition that has become too long.
    fn check_len(&self) -> Translated<()> {
        match self {
            Text::Condition(text, _) if text.len() > MAX_TEXT => Err(too_many_operators()),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    Test,
    Not,
    And,
    Or,
}

type Translated<T> = Result<T, StatementError>;

impl<'s> Translation<'s> {
    pub(crate) fn new(statement: &'s super::Statement, parameters: &'s [AttributeValue]) -> Self {
        Translation {
            values: Values { tree: &statement.tree, parameters },
            names: BTreeMap::new(),
            placeholders: BTreeMap::new(),
            constants: Item::new(),
        }
    }

    /// The values of the statement.
    pub(super) fn tree(&self) -> &'s Tree {
        self.values.tree
    }

    /// The attributes of an item that is inserted.
    pub(crate) fn item(&self, id: NodeId) -> Translated<Item> {
        self.values.item(id)
    }

    /// Refuses a statement that has more parameters than there are.
    pub(crate) fn check_parameters(&self) -> Translated<()> {
        match self.values.parameters.len() < self.tree().parameters {
            true => Err(Rule::Parameters.broken()),
            false => Ok(()),
        }
    }

    /// The text of a condition, to be [compiled](Self::condition) in the end.
    pub(crate) fn condition_text(&mut self, root: NodeId) -> Translated<String> {
        let tree = self.tree();
        self.check_operators(root)?;
        let first = tree.node(root).first;
        let mut texts: Vec<Text> = Vec::with_capacity(root.index() + 1 - first);
        // Children come before their parents, and are asked for by their places.
        for (nth, node) in tree.within(root).iter().enumerate() {
            let id = tree.id(first + nth);
            let text = self.text(id, &node.what, &mut |child| {
                std::mem::replace(&mut texts[child.index() - first], Text::Other)
            })?;
            text.check_len()?;
            texts.push(text);
        }
        match texts.pop() {
            Some(Text::Condition(text, _)) => Ok(text),
            _ => Err(Rule::NoBoolean.broken()),
        }
    }

    /// Compiles a condition of the statement, and perhaps an update, of texts that were translated.
    pub(crate) fn compile(&self, condition: Option<&str>, update: Option<&str>) -> Translated<Expressions> {
        let names = (!self.placeholders.is_empty()).then_some(&self.placeholders);
        let values = (!self.constants.is_empty()).then_some(&self.constants);
        let built = Expressions::builder().condition(condition).update(update).names(names).values(values);
        Ok(built.translated().build()?)
    }

    fn check_operators(&self, root: NodeId) -> Translated<()> {
        let is_operator = |what: &What| {
            matches!(
                what,
                What::Call(..)
                    | What::Not(_)
                    | What::And(..)
                    | What::Or(..)
                    | What::Compare(..)
                    | What::Between(..)
                    | What::In(..)
                    | What::Is(..)
            )
        };
        let count = self.tree().within(root).iter().filter(|node| is_operator(&node.what)).count();
        if count <= MAX_OPERATORS { Ok(()) } else { Err(too_many_operators()) }
    }

    fn text(&mut self, id: NodeId, what: &What, take: &mut dyn FnMut(NodeId) -> Text) -> Translated<Text> {
        let tree = self.tree();
        match what {
            What::Path(_) => Ok(Text::Operand(self.path(id)?)),
            // Lists that are asked for by IN, and members of values, are looked at there.
            What::List(_) | What::Struct(_) | What::Bag(_) => Ok(Text::Other),
            _ if self.values.is_value(id) => Ok(Text::Other),
            What::Missing => Ok(Text::Other),
            What::Call(name, arguments) => self.call(id, name, arguments, take),
            What::Not(inner) => match take(*inner) {
                Text::Condition(text, binding) => Ok(negated(text, binding)),
                _ => Err(Rule::NotOfValue.broken()),
            },
            What::And(left, right) | What::Or(left, right) => {
                let is_and = matches!(what, What::And(..));
                let (left, right) = match (take(*left), take(*right)) {
                    (Text::Condition(left, a), Text::Condition(right, b)) => ((left, a), (right, b)),
                    _ => return Err(Rule::LogicOfValue.broken()),
                };
                Ok(if is_and { both(left, right) } else { either(left, right) })
            }
            What::Compare(operator, left, right) => {
                for side in [left, right] {
                    if matches!(tree.what(*side), What::Missing) {
                        return Err(Rule::MissingCompared.broken());
                    }
                }
                let (left, right) = (self.side(*left, take(*left))?, self.side(*right, take(*right))?);
                self.compare(operator, left, right)
            }
            What::Between(value, low, high) => {
                let mut operand =
                    |id: &NodeId, take: &mut dyn FnMut(NodeId) -> Text| self.operand(*id, take(*id));
                let (value, low, high) = (operand(value, take)?, operand(low, take)?, operand(high, take)?);
                Ok(test(format!("{value} BETWEEN {low} AND {high}")))
            }
            What::In(value, list) => self.is_in(*value, *list, take),
            What::Is(value, kind) => self.is(*value, kind),
            What::Like(..) => Err(Rule::ConditionOperator("LIKE").broken()),
            What::Arithmetic(operator, ..) => Err(Rule::ConditionOperator(operator).broken()),
            _ => Err(Rule::ConditionOperator("-").broken()),
        }
    }

    /// An operand of a comparison, which may be a condition itself.
    fn side(&mut self, id: NodeId, text: Text) -> Translated<Side> {
        Ok(match text {
            Text::Condition(text, binding) => Side::Condition(text, binding),
            Text::Operand(text) => Side::Operand(text),
            Text::Other => Side::Value(self.constant(id)?),
        })
    }

    fn side_text(&mut self, side: Side) -> String {
        match side {
            Side::Condition(text, _) | Side::Operand(text) => text,
            Side::Value(value) => self.bind(value),
        }
    }

    fn operand(&mut self, id: NodeId, text: Text) -> Translated<String> {
        match text {
            Text::Operand(text) => Ok(text),
            Text::Condition(..) => Err(Rule::Operand("Expression").broken()),
            Text::Other => {
                let value = self.constant(id)?;
                Ok(self.bind(value))
            }
        }
    }

    /// The value that stands for an operand.
    fn constant(&self, id: NodeId) -> Translated<AttributeValue> {
        match self.tree().what(id) {
            What::Missing => Err(Rule::MissingCompared.broken()),
            _ => self.values.value(id),
        }
    }

    fn compare(&mut self, operator: &'static str, left: Side, right: Side) -> Translated<Text> {
        let is_equal = operator == "=";
        let (text, binding, other) = match (left, right) {
            (Side::Condition(..), _) | (_, Side::Condition(..)) if !is_equal && operator != "<>" => {
                let problem = Problem::OperandType { operator: operator.to_owned(), found: "BOOL" };
                return Err(refused(problem));
            }
            (Side::Condition(left, a), Side::Condition(right, b)) => {
                let same = both((left.clone(), a), (right.clone(), b));
                let opposite = both(parts(negated(left, a)), parts(negated(right, b)));
                return Ok(unless(is_equal, either(parts(same), parts(opposite))));
            }
            (Side::Condition(text, binding), other) | (other, Side::Condition(text, binding)) => {
                (text, binding, other)
            }
            (left, right) => {
                let (left, right) = (self.side_text(left), self.side_text(right));
                return Ok(test(format!("{left} {operator} {right}")));
            }
        };
        let holds = match other {
            Side::Value(AttributeValue::Bool(true)) => Text::Condition(text, binding),
            Side::Value(AttributeValue::Bool(false)) => negated(text, binding),
            // Whatever it is, it is not equal to anything but a boolean.
            Side::Value(_) => self.never(),
            Side::Operand(operand) | Side::Condition(operand, _) => {
                let (yes, no) =
                    (self.bind(AttributeValue::Bool(true)), self.bind(AttributeValue::Bool(false)));
                let is_true = both((text.clone(), binding), (format!("{operand} = {yes}"), Binding::Test));
                let is_false =
                    both(parts(negated(text, binding)), (format!("{operand} = {no}"), Binding::Test));
                either(parts(is_true), parts(is_false))
            }
        };
        Ok(unless(is_equal, holds))
    }

    /// A condition that does not hold.
    fn never(&mut self) -> Text {
        let (yes, no) = (self.bind(AttributeValue::Bool(true)), self.bind(AttributeValue::Bool(false)));
        test(format!("{yes} = {no}"))
    }

    fn is_in(
        &mut self,
        value: NodeId,
        list: NodeId,
        take: &mut dyn FnMut(NodeId) -> Text,
    ) -> Translated<Text> {
        let tree = self.tree();
        let (What::List(elements) | What::Bag(elements)) = tree.what(list) else {
            return Err(Rule::InOperands.broken());
        };
        if elements.is_empty() {
            return Err(Rule::InOperands.broken());
        }
        match take(value) {
            // The text is repeated for each element, so there may not be many, and it is looked at what has become of it each time.
            Text::Condition(text, binding) => {
                if elements.len() > MAX_IN_OPERANDS {
                    return Err(refused(Problem::TooManyInOperands { count: elements.len() }));
                }
                let mut any = self.never();
                for element in elements {
                    let side = self.side(*element, take(*element))?;
                    let same = self.compare("=", Side::Condition(text.clone(), binding), side)?;
                    any = either(parts(any), parts(same));
                    any.check_len()?;
                }
                Ok(any)
            }
            first => {
                let value = self.operand(value, first)?;
                let mut texts = Vec::with_capacity(elements.len());
                for element in elements {
                    texts.push(self.operand(*element, take(*element))?);
                }
                Ok(test(format!("{value} IN ({})", texts.join(","))))
            }
        }
    }

    fn is(&mut self, value: NodeId, kind: &TypeName) -> Translated<Text> {
        if !matches!(self.tree().what(value), What::Path(_)) {
            return Err(Rule::IsOperand.broken());
        }
        let path = self.path(value)?;
        match kind {
            TypeName::Missing => Ok(test(format!("attribute_not_exists({path})"))),
            TypeName::Type(letters) => {
                let letters = self.bind(AttributeValue::from(*letters));
                Ok(test(format!("attribute_type({path},{letters})")))
            }
            TypeName::Other(name) => Err(Rule::IsType { name: name.clone() }.broken()),
        }
    }

    fn call(
        &mut self,
        id: NodeId,
        name: &str,
        arguments: &[NodeId],
        take: &mut dyn FnMut(NodeId) -> Text,
    ) -> Translated<Text> {
        const FUNCTIONS: [&str; 6] =
            ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"];
        if !FUNCTIONS.contains(&name) {
            return Err(Rule::Function { name: name.to_owned() }.broken_at(self.tree().place(id)));
        }
        if arguments.is_empty() {
            return Err(refused(Problem::OperandCount { function: name.to_owned(), count: 0 }));
        }
        let mut texts = Vec::with_capacity(arguments.len());
        for argument in arguments {
            texts.push(self.operand(*argument, take(*argument))?);
        }
        let text = format!("{name}({})", texts.join(","));
        Ok(if name == "size" { Text::Operand(text) } else { test(text) })
    }

    /// The text of a path.
    pub(super) fn path(&mut self, id: NodeId) -> Translated<String> {
        let What::Path(steps) = self.tree().what(id) else { return Err(Rule::Target.broken()) };
        self.tree().check_path(steps)?;
        let mut text = String::new();
        for (nth, step) in steps.iter().enumerate() {
            match step {
                Step::Name(name) => {
                    text.push_str(if nth == 0 { "" } else { "." });
                    text.push_str(&self.name(name));
                }
                Step::Index { value, .. } => {
                    text.push_str(&format!("[{}]", value.unwrap_or_default()));
                }
                Step::Unpivot | Step::Wildcard => {}
            }
        }
        Ok(text)
    }

    /// The placeholder of a name.
    pub(crate) fn name(&mut self, name: &str) -> String {
        if let Some(placeholder) = self.names.get(name) {
            return placeholder.clone();
        }
        let placeholder = format!("#{}", self.names.len());
        self.names.insert(name.to_owned(), placeholder.clone());
        self.placeholders.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// The placeholder of a value.
    pub(super) fn bind(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", self.constants.len());
        self.constants.insert(placeholder.clone(), value);
        placeholder
    }
}

/// One side of a comparison.
enum Side {
    Condition(String, Binding),
    Operand(String),
    Value(AttributeValue),
}

fn test(text: String) -> Text {
    Text::Condition(text, Binding::Test)
}

fn parts(text: Text) -> (String, Binding) {
    match text {
        Text::Condition(text, binding) => (text, binding),
        Text::Operand(text) => (text, Binding::Test),
        Text::Other => (String::new(), Binding::Test),
    }
}

fn negated(text: String, binding: Binding) -> Text {
    let text = match binding {
        Binding::Test | Binding::Not => format!("NOT {text}"),
        Binding::And | Binding::Or => format!("NOT ({text})"),
    };
    Text::Condition(text, Binding::Not)
}

fn unless(holds: bool, text: Text) -> Text {
    let (text, binding) = parts(text);
    if holds { Text::Condition(text, binding) } else { negated(text, binding) }
}

fn both(left: (String, Binding), right: (String, Binding)) -> Text {
    let side = |(text, binding)| if binding == Binding::Or { format!("({text})") } else { text };
    Text::Condition(format!("{} AND {}", side(left), side(right)), Binding::And)
}

fn either(left: (String, Binding), right: (String, Binding)) -> Text {
    Text::Condition(format!("{} OR {}", left.0, right.0), Binding::Or)
}

/// What the expression language would say.
fn refused(problem: Problem) -> StatementError {
    let kind = ExpressionKind::Condition;
    ExpressionError::Invalid { kind, position: 0, token: String::new(), problem }.into()
}

fn too_many_operators() -> StatementError {
    refused(Problem::TooManyOperators { count: MAX_OPERATORS + 1 })
}

#[cfg(test)]
mod tests {
    use super::super::Statement;
    use super::*;

    /// Comparing conditions repeats them, so that a short statement could ask for any amount of text.
    #[test]
    fn a_condition_that_has_become_too_long_is_not_repeated_for_what_is_left_of_a_list() {
        let chain = ('a'..='m').map(String::from).collect::<Vec<_>>().join("=");
        let others = (0..100).map(|nth| format!("n{nth}")).collect::<Vec<_>>().join(",");
        let text = format!("SELECT * FROM t WHERE ({chain}) IN [{others}]");
        let statement = Statement::parse(&text).unwrap();
        let mut translation = Translation::new(&statement, &[]);
        let condition = statement.condition.unwrap();
        assert_eq!(translation.condition_text(condition), Err(too_many_operators()));
        // Each comparison with an attribute names two values more.
        let values = translation.constants.len();
        assert!(values < 50, "{values}");
    }
}
