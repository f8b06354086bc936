//! Key conditions: which partition a query reads, and which range of its sort keys.

use thiserror::Error;

use super::check::Checked;
use super::lexer::Comparator;
use super::operand::Operand;
use super::path::Path;
use super::syntax::{Node, NodeId};
use super::test::Test;
use crate::key_codec::KeyRole;
use crate::types::{KeyAttribute, KeySchema};
use crate::value::{AttributeType, AttributeValue};

/// A key-condition expression: conditions on attributes, all of which must hold.
///
/// ```
/// use dynamite_core::expression::{Expressions, SortKeyTest};
/// use dynamite_core::types::{KeyAttribute, KeySchema, KeyType};
/// use dynamite_core::{AttributeValue, Item};
///
/// let values = Item::from([
///     (":d".to_owned(), AttributeValue::from("device_123")),
///     (":t".to_owned(), AttributeValue::from(100)),
/// ]);
/// let text = "device_id = :d AND :t <= seen_at";
/// let expressions = Expressions::builder().key_condition(text).values(&values).build()?;
///
/// let device = KeyAttribute::new("device_id", KeyType::String)?;
/// let schema = KeySchema::new(device, Some(KeyAttribute::new("seen_at", KeyType::Number)?))?;
/// let query = expressions.key_condition.unwrap().resolve(&schema)?;
/// assert_eq!(query.partition, [AttributeValue::from("device_123")]);
/// assert_eq!(query.sort, [SortKeyTest::Ge(AttributeValue::from(100))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KeyCondition {
    /// `None` stands for an operator that no key is searched by.
    conditions: Vec<(String, Option<SortKeyTest>)>,
}

/// A condition on one attribute of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum SortKeyTest {
    /// `=`
    Eq(AttributeValue),
    /// `<`
    Lt(AttributeValue),
    /// `<=`
    Le(AttributeValue),
    /// `>`
    Gt(AttributeValue),
    /// `>=`
    Ge(AttributeValue),
    /// `BETWEEN`: the bounds are of one type, and the lower one is not above the other.
    Between(AttributeValue, AttributeValue),
    /// `begins_with`, a string or a binary.
    BeginsWith(AttributeValue),
}

/// A key condition held against a key schema.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyQuery {
    /// The values of the partition attributes: of a table, one.
    pub partition: Vec<AttributeValue>,
    /// The conditions on the first of the sort attributes, of which all but the last are `=`: none, or on a table one.
    pub sort: Vec<SortKeyTest>,
}

/// Why a condition is not one on keys. The texts are DynamoDB's.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum KeyConditionProblem {
    /// An operator or function that finds no range of keys.
    #[error("Invalid operator used in KeyConditionExpression: {operator}")]
    Operator {
        /// The operator or function.
        #[serde(deserialize_with = "crate::word::deserialize")]
        operator: crate::word::Word,
    },

    /// An operator or function whose first operand must be an attribute.
    #[error(
        "Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute as its first operand"
    )]
    NotFirst {
        /// The operator or function.
        #[serde(deserialize_with = "crate::word::deserialize")]
        operator: crate::word::Word,
    },

    /// `size` within a condition.
    #[error("KeyConditionExpressions cannot contain nested operations")]
    Nested,

    /// An attribute compared with another one.
    #[error("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")]
    MultipleNames,

    /// A path into an attribute.
    #[error("KeyConditionExpressions cannot have conditions on nested attributes")]
    NestedAttribute,

    /// Values compared with each other.
    #[error("Invalid condition in KeyConditionExpression: No key attribute specified")]
    NoAttribute,

    /// Two conditions on one attribute.
    #[error("KeyConditionExpressions must only contain one condition per key")]
    Repeated,

    /// More than two conditions on a table, whatever it is.
    #[error("Conditions can be of length 1 or 2 only")]
    TooMany,

    /// More than two conditions, and more than the key has attributes.
    #[error(
        "The number of query conditions ({conditions}) exceeds the number of key attributes defined in the schema ({attributes})"
    )]
    MoreThanKey {
        /// How many there are.
        conditions: usize,
        /// How many there may be.
        attributes: usize,
    },

    /// A condition on a sort attribute behind others that are not compared by `=`.
    #[error(
        "RANGE key attributes {names} must have equality conditions specified in the query because a condition is present on key \
         attribute {behind}"
    )]
    NotEqual {
        /// The attributes that are not.
        names: String,
        /// The attribute behind them.
        behind: String,
    },

    /// No condition on an attribute of the key that needs one.
    #[error("Query condition missed key schema element: {name}")]
    Missing {
        /// The attribute.
        name: String,
    },

    /// Another condition on the partition key than `=`, or a second one where there is no sort key.
    #[error("Query key condition not supported")]
    NotSupported,

    /// An older operator by which no key is searched.
    #[error("Attempted conditional constraint is not an indexable operation")]
    NotIndexable,

    /// A value of another type than the attribute of the key.
    #[error("One or more parameter values were invalid: Condition parameter type does not match schema type")]
    Type,
}

impl KeyCondition {
    pub(super) fn new(mut checked: Checked) -> Result<KeyCondition, KeyConditionProblem> {
        let mut key = KeyCondition { conditions: Vec::new() };
        let mut pending = vec![checked.root];
        while let Some(node) = pending.pop() {
            match *checked.tree.node(node) {
                Node::And(left, right) => pending.extend([right, left]),
                Node::Parentheses(inner) => pending.push(inner),
                Node::Or(..) => return Err(KeyConditionProblem::Operator { operator: "OR" }),
                Node::Not(_) => return Err(KeyConditionProblem::Operator { operator: "NOT" }),
                _ => key.add(take(&mut checked, node))?,
            }
        }
        Ok(key)
    }

    fn add(&mut self, test: Test) -> Result<(), KeyConditionProblem> {
        let (operator, operands) = match test {
            Test::Compare { comparator: Comparator::NotEqual, .. } => {
                return Err(KeyConditionProblem::Operator { operator: "<>" });
            }
            Test::In { .. } => return Err(KeyConditionProblem::Operator { operator: "IN" }),
            Test::Exists(_) => return Err(KeyConditionProblem::Operator { operator: "attribute_exists" }),
            Test::NotExists(_) => {
                return Err(KeyConditionProblem::Operator { operator: "attribute_not_exists" });
            }
            Test::HasType(..) => return Err(KeyConditionProblem::Operator { operator: "attribute_type" }),
            Test::Contains(..) => return Err(KeyConditionProblem::Operator { operator: "contains" }),
            Test::Compare { comparator, left, right } => (Operator::Compare(comparator), vec![left, right]),
            Test::Between { value, low, high } => (Operator::Between, vec![value, low, high]),
            Test::BeginsWith(value, prefix) => (Operator::BeginsWith, vec![value, prefix]),
        };
        let named_first = matches!(operands[0], Operand::Path(_));
        match operator {
            Operator::Between if !named_first => {
                return Err(KeyConditionProblem::NotFirst { operator: "BETWEEN" });
            }
            Operator::BeginsWith if !named_first => {
                return Err(KeyConditionProblem::NotFirst { operator: "begins_with" });
            }
            _ => {}
        }

        let mut name = None;
        let mut values = Vec::new();
        for operand in operands {
            match operand {
                Operand::Size(_) => return Err(KeyConditionProblem::Nested),
                Operand::Path(_) if name.is_some() => return Err(KeyConditionProblem::MultipleNames),
                Operand::Path(path) if !path.is_top_level() => {
                    return Err(KeyConditionProblem::NestedAttribute);
                }
                Operand::Path(Path { attribute, .. }) => name = Some(String::from(attribute)),
                Operand::Constant(constant) => values.push(constant.to_value()),
            }
        }
        let name = name.ok_or(KeyConditionProblem::NoAttribute)?;
        if self.conditions.iter().any(|(other, _)| *other == name) {
            return Err(KeyConditionProblem::Repeated);
        }
        let mut values = values.into_iter();
        // As many values are left as the operator has operands, but for the attribute.
        let mut value = || values.next().ok_or(KeyConditionProblem::NoAttribute);
        let test = match operator {
            Operator::Between => SortKeyTest::Between(value()?, value()?),
            Operator::BeginsWith => SortKeyTest::BeginsWith(value()?),
            Operator::Compare(comparator) => {
                let value = value()?;
                match if named_first { comparator } else { comparator.mirrored() } {
                    Comparator::Less => SortKeyTest::Lt(value),
                    Comparator::LessOrEqual => SortKeyTest::Le(value),
                    Comparator::Greater => SortKeyTest::Gt(value),
                    Comparator::GreaterOrEqual => SortKeyTest::Ge(value),
                    _ => SortKeyTest::Eq(value),
                }
            }
        };
        self.conditions.push((name, Some(test)));
        Ok(())
    }

    /// The conditions with the names of their attributes, in the order of the expression.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &SortKeyTest)> {
        self.conditions.iter().filter_map(|(name, test)| Some((name.as_str(), test.as_ref()?)))
    }

    /// A condition that was not said in the language, by attributes. `None` stands for an operator that no key is searched by,
    /// which is found when it is held against one.
    pub fn of_attributes(
        conditions: impl IntoIterator<Item = (String, Option<SortKeyTest>)>,
    ) -> KeyCondition {
        KeyCondition { conditions: conditions.into_iter().collect() }
    }

    /// How many attributes it is about.
    pub(crate) fn len(&self) -> usize {
        self.conditions.len()
    }

    /// Holds the condition against the key of a table or of an index.
    ///
    /// # Errors
    ///
    /// [`KeyConditionProblem`]: the partition attributes must all be compared by `=`, and nothing but sort attributes may be
    /// mentioned beside them: from the first on, without a gap, and by `=` but for the last. That the values are not empty and
    /// not too long is not checked here.
    pub fn resolve(&self, schema: &KeySchema) -> Result<KeyQuery, KeyConditionProblem> {
        self.resolve_beside(schema, |_, _| Ok(()))
    }

    /// The same, with something else that is checked attribute by attribute, before the condition on it: DynamoDB finds mistakes
    /// in this order.
    pub(crate) fn resolve_beside<E: From<KeyConditionProblem>>(
        &self,
        schema: &KeySchema,
        mut beside: impl FnMut(&KeyAttribute, KeyRole) -> Result<(), E>,
    ) -> Result<KeyQuery, E> {
        let (conditions, attributes) = (self.conditions.len(), schema.attributes().count());
        if conditions > attributes.max(2) {
            return Err(KeyConditionProblem::MoreThanKey { conditions, attributes }.into());
        }
        let mut query = KeyQuery { partition: Vec::new(), sort: Vec::new() };
        let missing = |attribute: &KeyAttribute| {
            Err(KeyConditionProblem::Missing { name: attribute.name().to_owned() }.into())
        };
        for attribute in schema.partition_attributes() {
            beside(attribute, KeyRole::Partition)?;
            if conditions > attributes {
                return Err(KeyConditionProblem::NotSupported.into());
            }
            match self.test_of(attribute)? {
                None => return missing(attribute),
                Some(SortKeyTest::Eq(value)) => query.partition.push(value.clone()),
                Some(_) => return Err(KeyConditionProblem::NotSupported.into()),
            }
        }
        self.check_equal(schema)?;
        for attribute in schema.sort_attributes() {
            beside(attribute, KeyRole::Sort)?;
            if query.partition.len() + query.sort.len() == conditions {
                continue;
            }
            // What is left is on this attribute, or skips it.
            match self.test_of(attribute)? {
                Some(test) => query.sort.push(test.clone()),
                None => return missing(attribute),
            }
        }
        Ok(query)
    }

    /// Refuses sort attributes that are not compared by `=`, in front of the last one that there is a condition on.
    fn check_equal(&self, schema: &KeySchema) -> Result<(), KeyConditionProblem> {
        let sort = schema.sort_attributes();
        let Some(last) = sort.iter().rposition(|attribute| self.on(attribute).is_some()) else {
            return Ok(());
        };
        let is_equal =
            |attribute: &&KeyAttribute| matches!(self.on(attribute), Some(Some(SortKeyTest::Eq(_))));
        let others = sort[..last].iter().filter(|attribute| !is_equal(attribute));
        let names = others.map(KeyAttribute::name).collect::<Vec<_>>().join(", ");
        match names.is_empty() {
            true => Ok(()),
            false => Err(KeyConditionProblem::NotEqual { names, behind: sort[last].name().to_owned() }),
        }
    }

    /// The condition on an attribute, whatever it is.
    fn on(&self, attribute: &KeyAttribute) -> Option<&Option<SortKeyTest>> {
        self.conditions.iter().find(|(name, _)| name == attribute.name()).map(|(_, test)| test)
    }

    /// The condition on an attribute of a key, with values of its type.
    fn test_of(&self, attribute: &KeyAttribute) -> Result<Option<&SortKeyTest>, KeyConditionProblem> {
        let Some(test) = self.on(attribute) else { return Ok(None) };
        let test = test.as_ref().ok_or(KeyConditionProblem::NotIndexable)?;
        let fits = |value: &AttributeValue| {
            let kind = value.attribute_type();
            AttributeType::from_name(attribute.key_type().letter()) == Some(kind)
        };
        match test {
            SortKeyTest::Eq(value)
            | SortKeyTest::Lt(value)
            | SortKeyTest::Le(value)
            | SortKeyTest::Gt(value)
            | SortKeyTest::Ge(value)
            | SortKeyTest::BeginsWith(value)
                if fits(value) => {}
            SortKeyTest::Between(low, high) if fits(low) && fits(high) => {}
            _ => return Err(KeyConditionProblem::Type),
        }
        Ok(Some(test))
    }
}

enum Operator {
    Compare(Comparator),
    Between,
    BeginsWith,
}

fn take(checked: &mut Checked, node: NodeId) -> Test {
    checked.tests[node.index()].take().expect("what is neither AND, OR, NOT nor parentheses is a test")
}
