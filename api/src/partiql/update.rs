//! Translates what a statement sets and removes into an update of the [expression](crate::expression) language.
//!
//! `set_add` and `set_delete` are its ADD and DELETE; everything else is SET and REMOVE, as it is here.

use super::condition::Translation;
use super::error::{Rule, StatementError};
use super::syntax::{Action, NodeId, Step, What};
use crate::value::AttributeType;

impl Translation<'_> {
    /// The text of an update, to be [compiled](Self::compile) in the end.
    pub(crate) fn update_text(&mut self, actions: &[Action]) -> Result<String, StatementError> {
        let mut clauses =
            [("SET", Vec::new()), ("REMOVE", Vec::new()), ("ADD", Vec::new()), ("DELETE", Vec::new())];
        for action in actions {
            let (clause, text) = match action {
                Action::Remove(path) => (1, self.path(*path)?),
                Action::Set(path, value) => self.assignment(*path, *value)?,
            };
            clauses[clause].1.push(text);
        }
        let texts = clauses.iter().filter(|(_, actions)| !actions.is_empty());
        let texts = texts.map(|(name, actions)| format!("{name} {}", actions.join(",")));
        Ok(texts.collect::<Vec<_>>().join(" "))
    }

    /// The clause that an assignment belongs to, and what it says there.
    fn assignment(&mut self, path: NodeId, value: NodeId) -> Result<(usize, String), StatementError> {
        let tree = self.tree();
        let (clause, function) = match tree.what(value) {
            What::Call(name, _) if name == "set_add" => (2, "SET_ADD"),
            What::Call(name, _) if name == "set_delete" => (3, "SET_DELETE"),
            _ => {
                let target = self.path(path)?;
                return Ok((0, format!("{target}={}", self.assigned(value)?)));
            }
        };
        let What::Call(_, arguments) = tree.what(value) else { return Err(Rule::Target.broken()) };
        let [first, second] = arguments.as_slice() else {
            return Err(Rule::SetOperands(function).broken_at(tree.place(value)));
        };
        if !self.is_same_path(path, *first) {
            return Err(Rule::SetOfOther(function).broken_at(tree.place(value)));
        }
        let no_set = || Rule::NoSet(function).broken_at(tree.place(*first));
        if !self.values.is_value(*second) {
            return Err(no_set());
        }
        let members = self.values.value(*second)?;
        match members.attribute_type() {
            AttributeType::Ss | AttributeType::Ns | AttributeType::Bs => {}
            _ => return Err(no_set()),
        }
        let target = self.path(path)?;
        Ok((clause, format!("{target} {}", self.bind(members))))
    }

    fn is_same_path(&self, one: NodeId, other: NodeId) -> bool {
        let (What::Path(one), What::Path(other)) = (self.tree().what(one), self.tree().what(other)) else {
            return false;
        };
        let is_same = |(one, other): (&Step, &Step)| match (one, other) {
            (Step::Name(one), Step::Name(other)) => one == other,
            (Step::Index { value: one, .. }, Step::Index { value: other, .. }) => one == other,
            _ => false,
        };
        one.len() == other.len() && one.iter().zip(other).all(is_same)
    }

    /// The text of what is assigned: an operand, or the sum of two, or a list.
    fn assigned(&mut self, id: NodeId) -> Result<String, StatementError> {
        match self.tree().what(id) {
            What::Arithmetic(operator @ ("+" | "-"), left, right) => {
                Ok(format!("{}{operator}{}", self.addend(*left)?, self.addend(*right)?))
            }
            What::Arithmetic(operator, ..) => Err(Rule::UpdateOperator(operator).broken()),
            _ => self.addend(id),
        }
    }

    /// An operand of a sum, or of an assignment.
    fn addend(&mut self, id: NodeId) -> Result<String, StatementError> {
        let tree = self.tree();
        match tree.what(id) {
            What::Path(_) => self.path(id),
            What::Call(name, arguments) if name == "list_append" => {
                let mut texts = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    texts.push(self.member(*argument)?);
                }
                match texts.is_empty() {
                    true => Err(Rule::Function { name: name.clone() }.broken_at(tree.place(id))),
                    false => Ok(format!("list_append({})", texts.join(","))),
                }
            }
            What::Call(name, _) => Err(Rule::Function { name: name.clone() }.broken_at(tree.place(id))),
            _ => self.member(id),
        }
    }

    /// A path or a value.
    fn member(&mut self, id: NodeId) -> Result<String, StatementError> {
        match self.tree().what(id) {
            What::Path(_) => self.path(id),
            What::Missing => Err(Rule::Operand("MISSING").broken()),
            What::Arithmetic(operator, ..) => Err(Rule::UpdateOperator(operator).broken()),
            What::Is(..) => Err(Rule::UpdateOperator("IS").broken()),
            _ if self.values.is_value(id) => {
                let value = self.values.value(id)?;
                Ok(self.bind(value))
            }
            What::Call(name, _) => {
                Err(Rule::Function { name: name.clone() }.broken_at(self.tree().place(id)))
            }
            _ => Err(Rule::Operand("Expression").broken()),
        }
    }
}
