//! Conditions and updates that are said attribute by attribute, not in the language: what DynamoDB's older parameters say.
//!
//! They have no placeholders, no paths into attributes, and none of the language's limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::condition::Condition;
use super::constant::Constant;
use super::lexer::Comparator;
use super::operand::Operand;
use super::path::Path;
use super::path_tree::PathTree;
use super::test::Test;
use super::update::{Action, Change, Instruction, Program, Update};
use crate::limits::ValueError;
use crate::value::{AttributeType, AttributeValue};

/// What must hold of one attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttributeTest {
    /// It is there.
    NotNull,
    /// It is not there.
    Null,
    /// It is this value.
    Eq(AttributeValue),
    /// It is another value, or none.
    Ne(AttributeValue),
    /// It is less.
    Lt(AttributeValue),
    /// It is not greater.
    Le(AttributeValue),
    /// It is greater.
    Gt(AttributeValue),
    /// It is not less.
    Ge(AttributeValue),
    /// It is between the two, or one of them.
    Between(AttributeValue, AttributeValue),
    /// It is one of these.
    In(Vec<AttributeValue>),
    /// It begins with this.
    BeginsWith(AttributeValue),
    /// It contains this.
    Contains(AttributeValue),
    /// It does not contain this, or is not there.
    NotContains(AttributeValue),
}

/// What an update does to one attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttributeChange {
    /// Gives it this value.
    Put(AttributeValue),
    /// Adds a number to it, or members to a set, or elements to the end of a list; to none if it is not there.
    Add(AttributeValue),
    /// Removes it.
    Remove,
    /// Removes these members from a set.
    Delete(AttributeValue),
}

impl Condition {
    /// The condition that all tests hold, or, with `any`, that one of them does. `None` if there are none.
    ///
    /// # Errors
    ///
    /// [`ValueError`] for values that cannot be stored.
    ///
    /// ```
    /// use dynamite_core::expression::{AttributeTest, Condition};
    /// use dynamite_core::item_codec::{ItemView, encode_json};
    /// use serde_json::json;
    ///
    /// let tests = [("age".to_owned(), AttributeTest::Gt(18.into())), ("name".to_owned(), AttributeTest::NotNull)];
    /// let adult = Condition::of_attributes(tests, false)?.unwrap();
    /// assert!(adult.matches(ItemView::new(&encode_json(&json!({"age": 30, "name": "Alice"}))?)?)?);
    /// assert!(!adult.matches_absent());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_attributes(
        tests: impl IntoIterator<Item = (String, AttributeTest)>,
        any: bool,
    ) -> Result<Option<Condition>, ValueError> {
        let tests = tests.into_iter().map(|(name, test)| compile(name, test));
        Ok(Condition::of_tests(tests.collect::<Result<_, _>>()?, any))
    }
}

/// A test of the language, and whether it must hold or not.
fn compile(name: String, test: AttributeTest) -> Result<(Test, bool), ValueError> {
    let path = || Path { attribute: name.as_str().into(), steps: Vec::new() };
    let attribute = || Operand::Path(path());
    let constant = |value: &AttributeValue| -> Result<Operand, ValueError> {
        Ok(Operand::Constant(Arc::new(Constant::new(value)?)))
    };
    let compare = |comparator, value: &AttributeValue| {
        Ok(Test::Compare { comparator, left: attribute(), right: constant(value)? })
    };
    let must_hold = !matches!(test, AttributeTest::NotContains(_));
    let test: Result<Test, ValueError> = match &test {
        AttributeTest::NotNull => Ok(Test::Exists(path())),
        AttributeTest::Null => Ok(Test::NotExists(path())),
        AttributeTest::Eq(value) => compare(Comparator::Equal, value),
        AttributeTest::Ne(value) => compare(Comparator::NotEqual, value),
        AttributeTest::Lt(value) => compare(Comparator::Less, value),
        AttributeTest::Le(value) => compare(Comparator::LessOrEqual, value),
        AttributeTest::Gt(value) => compare(Comparator::Greater, value),
        AttributeTest::Ge(value) => compare(Comparator::GreaterOrEqual, value),
        AttributeTest::Between(low, high) => {
            Ok(Test::Between { value: attribute(), low: constant(low)?, high: constant(high)? })
        }
        AttributeTest::In(values) => {
            let list = values.iter().map(constant).collect::<Result<_, _>>()?;
            Ok(Test::In { value: attribute(), list })
        }
        AttributeTest::BeginsWith(prefix) => Ok(Test::BeginsWith(attribute(), constant(prefix)?)),
        AttributeTest::Contains(part) | AttributeTest::NotContains(part) => {
            Ok(Test::Contains(attribute(), constant(part)?))
        }
    };
    Ok((test?, must_hold))
}

impl Update {
    /// The update that changes these attributes; what is said last of one counts. `None` if there are none.
    ///
    /// Cost: linear in the changes, but for the order of their names: there may be any number of them.
    ///
    /// # Errors
    ///
    /// [`ValueError`] for values that cannot be stored.
    ///
    /// ```
    /// use dynamite_core::expression::{AttributeChange, Update};
    /// use dynamite_core::item_codec::{ItemView, decode_json, encode_json};
    /// use serde_json::json;
    ///
    /// let changes = [("visits".to_owned(), AttributeChange::Add(1.into())), ("new".to_owned(), AttributeChange::Remove)];
    /// let update = Update::of_attributes(changes)?.unwrap();
    /// let old = encode_json(&json!({"id": "a", "visits": 41, "new": true}))?;
    /// let new = update.apply(Some(ItemView::new(&old)?), &Default::default())?;
    /// assert_eq!(decode_json(&new)?, json!({"id": "a", "visits": 42}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_attributes(
        changes: impl IntoIterator<Item = (String, AttributeChange)>,
    ) -> Result<Option<Update>, ValueError> {
        let changes: BTreeMap<String, AttributeChange> = changes.into_iter().collect();
        let mut actions = Vec::with_capacity(changes.len());
        // In the order of the names, in which the tree only grows at its end.
        for (name, change) in changes {
            let path = Path { attribute: name.into(), steps: Vec::new() };
            let change = changed(&path, &change)?;
            actions.push(Action { path, clause: 0, change });
        }
        let tree = PathTree::new(&actions.iter().map(|action| &action.path).collect::<Vec<_>>());
        let tree =
            tree.unwrap_or_else(|_| unreachable!("attributes do not overlap, and none is there twice"));
        Ok((!actions.is_empty()).then_some(Update { actions, tree }))
    }
}

fn changed(path: &Path, change: &AttributeChange) -> Result<Change, ValueError> {
    let constant = |value: &AttributeValue| Constant::new(value).map(Arc::new);
    Ok(match change {
        AttributeChange::Put(value) => {
            Change::Set(Program { instructions: vec![Instruction::Constant(constant(value)?)] })
        }
        AttributeChange::Add(list) if list.attribute_type() == AttributeType::L => {
            let empty = constant(&AttributeValue::L(Vec::new()))?;
            let instructions = vec![
                Instruction::IfNotExists(path.clone(), 2),
                Instruction::Constant(empty),
                Instruction::Constant(constant(list)?),
                Instruction::Append,
            ];
            Change::Set(Program { instructions })
        }
        AttributeChange::Add(value) => Change::Add(constant(value)?),
        AttributeChange::Remove => Change::Remove,
        AttributeChange::Delete(members) => Change::Delete(constant(members)?),
    })
}
