//! Values: literals and parameters, with DynamoDB's texts for what is none.
//!
//! Errors say where in the value: `root.a[1]`. A value with more levels than an item may have is refused before it is looked into,
//! so nothing here goes deeper.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Rule, StatementError};
use super::syntax::{NodeId, Tree, What};
use crate::limits::MAX_LEVELS;
use crate::number::Number;
use crate::value::AttributeValue;

/// The values of a statement.
#[derive(Clone, Copy)]
pub(super) struct Values<'s> {
    pub(super) tree: &'s Tree,
    pub(super) parameters: &'s [AttributeValue],
}

impl Values<'_> {
    /// Whether a node is a value, whatever the item.
    pub(super) fn is_value(&self, id: NodeId) -> bool {
        matches!(
            self.tree.what(id),
            What::String(_)
                | What::Number(_)
                | What::Bool(_)
                | What::Null
                | What::Ion(_)
                | What::Parameter(_)
                | What::List(_)
                | What::Bag(_)
                | What::Struct(_)
        )
    }

    /// The value that a node is.
    pub(super) fn value(&self, id: NodeId) -> Result<AttributeValue, StatementError> {
        match self.tree.what(id) {
            What::Parameter(nth) => {
                self.parameters.get(*nth).cloned().ok_or_else(|| Rule::Parameters.broken())
            }
            _ => self.literal(id, "root", 1),
        }
    }

    fn literal(&self, id: NodeId, key: &str, level: u32) -> Result<AttributeValue, StatementError> {
        if level > MAX_LEVELS {
            return Err(Rule::TooDeep { key: key.to_owned() }.broken());
        }
        Ok(match self.tree.what(id) {
            What::String(text) => AttributeValue::S(text.clone()),
            What::Number(text) => AttributeValue::N(number(text, key)?),
            What::Bool(value) => AttributeValue::Bool(*value),
            What::Null => AttributeValue::Null,
            What::List(elements) => {
                let element =
                    |(nth, id): (usize, &NodeId)| self.literal(*id, &format!("{key}[{nth}]"), level + 1);
                AttributeValue::L(elements.iter().enumerate().map(element).collect::<Result<_, _>>()?)
            }
            What::Struct(entries) => {
                AttributeValue::M(self.entries(entries, key, |name, id| {
                    self.literal(id, &format!("{key}.{name}"), level + 1)
                })?)
            }
            What::Bag(members) => self.bag(members, key)?,
            What::Ion(text) => {
                return Err(Rule::Ion { text: text.clone(), key: key.to_owned() }.broken());
            }
            other => {
                let rule = Rule::Value { found: describe(other), key: key.to_owned() };
                return Err(rule.broken_at(self.tree.place(id)));
            }
        })
    }

    /// The attributes of an item.
    pub(super) fn item(&self, id: NodeId) -> Result<BTreeMap<String, AttributeValue>, StatementError> {
        match self.tree.what(id) {
            What::Struct(entries) => self.entries(entries, "root", |_, id| self.value(id)),
            _ => Err(Rule::NoTuple.broken()),
        }
    }

    fn entries(
        &self,
        entries: &[(NodeId, NodeId)],
        key: &str,
        value: impl Fn(&str, NodeId) -> Result<AttributeValue, StatementError>,
    ) -> Result<BTreeMap<String, AttributeValue>, StatementError> {
        let mut map = BTreeMap::new();
        for (name, id) in entries {
            let key = || key.to_owned();
            let What::String(name) = self.tree.what(*name) else {
                return Err(Rule::TupleKey { found: describe(self.tree.what(*name)), key: key() }.broken());
            };
            if map.insert(name.clone(), value(name, *id)?).is_some() {
                return Err(Rule::DuplicateKey { name: name.clone(), key: key() }.broken());
            }
        }
        Ok(map)
    }

    fn bag(&self, members: &[NodeId], key: &str) -> Result<AttributeValue, StatementError> {
        let whats = || members.iter().map(|id| self.tree.what(*id));
        let written = || {
            let text = |what: &What| match what {
                What::String(text) | What::Number(text) => text.clone(),
                other => describe(other),
            };
            whats().map(text).collect::<Vec<_>>()
        };
        let (mut strings, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for what in whats() {
            match what {
                What::String(text) if numbers.is_empty() => drop(strings.insert(text.clone())),
                What::Number(text) if strings.is_empty() => drop(numbers.insert(number(text, key)?)),
                _ => return Err(Rule::BagMember.broken()),
            }
        }
        match (strings.len(), numbers.len()) {
            (0, 0) => Err(Rule::EmptyBag.broken()),
            (0, len) if len < members.len() => {
                Err(Rule::DuplicateNumbers { members: written(), key: key.to_owned() }.broken())
            }
            (0, _) => Ok(AttributeValue::Ns(numbers)),
            (len, _) if len < members.len() => Err(Rule::DuplicateStrings { members: written() }.broken()),
            _ => Ok(AttributeValue::Ss(strings)),
        }
    }
}

fn number(text: &str, key: &str) -> Result<Number, StatementError> {
    Number::parse(text).map_err(|problem| Rule::Number { problem, key: key.to_owned() }.broken())
}

/// What a node is called that is no value.
fn describe(what: &What) -> String {
    match what {
        What::Parameter(_) => "Parameter".to_owned(),
        What::Call(name, _) => name.clone(),
        What::Path(_) => "VariableReference".to_owned(),
        What::Missing => "Missing".to_owned(),
        What::String(_) => "STRING".to_owned(),
        What::Number(_) => "DECIMAL".to_owned(),
        What::Bool(_) => "BOOL".to_owned(),
        What::Null => "NULL".to_owned(),
        _ => "UNKNOWN".to_owned(),
    }
}
