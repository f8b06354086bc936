//! The conditions that others are made of: a comparison, or a function.

use std::cmp::Ordering;

use super::lexer::Comparator;
use super::operand::{Operand, Value};
use super::path::Path;
use super::substring;
use crate::item_codec::{ItemDamage, ItemView, ValueView};
use crate::value::AttributeType;

/// A condition without others inside.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Compare { comparator: Comparator, left: Operand, right: Operand },
    Between { value: Operand, low: Operand, high: Operand },
    In { value: Operand, list: Vec<Operand> },
    Exists(Path),
    NotExists(Path),
    HasType(Operand, AttributeType),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
}

impl Test {
    /// Whether it holds for an item.
    pub(super) fn holds(&self, item: ItemView<'_>) -> Result<bool, ItemDamage> {
        match self {
            Test::Compare { comparator, left, right } => {
                compare(*comparator, left.value(item)?, right.value(item)?)
            }
            Test::Between { value, low, high } => {
                let value = value.value(item)?;
                Ok(compare(Comparator::GreaterOrEqual, value, low.value(item)?)?
                    && compare(Comparator::LessOrEqual, value, high.value(item)?)?)
            }
            Test::In { value, list } => {
                let Some(value) = value.value(item)? else {
                    return Ok(false);
                };
                for candidate in list {
                    if let Some(candidate) = candidate.value(item)?
                        && value.equals(candidate)?
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Exists(path) => Ok(path.find(item)?.is_some()),
            Test::NotExists(path) => Ok(path.find(item)?.is_none()),
            Test::HasType(of, kind) => {
                Ok(of.value(item)?.is_some_and(|value| value.attribute_type() == *kind))
            }
            Test::BeginsWith(value, prefix) => match (value.value(item)?, prefix.value(item)?) {
                (Some(Value::Encoded(value)), Some(Value::Encoded(prefix))) => begins_with(value, prefix),
                _ => Ok(false),
            },
            Test::Contains(whole, part) => match (whole.value(item)?, part.value(item)?) {
                (Some(Value::Encoded(whole)), Some(part)) => contains(whole, part),
                _ => Ok(false),
            },
        }
    }

    /// All operands that come from the item.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let operands: Vec<&Operand> = match self {
            Test::Compare { left, right, .. } => vec![left, right],
            Test::Between { value, low, high } => vec![value, low, high],
            Test::In { value, list } => std::iter::once(value).chain(list).collect(),
            Test::BeginsWith(a, b) | Test::Contains(a, b) => vec![a, b],
            Test::HasType(of, _) => vec![of],
            Test::Exists(path) | Test::NotExists(path) => return vec![path],
        };
        operands.into_iter().filter_map(Operand::path).collect()
    }
}

/// What is missing is not equal to anything, and has no order.
#[inline]
fn compare(
    comparator: Comparator,
    left: Option<Value<'_>>,
    right: Option<Value<'_>>,
) -> Result<bool, ItemDamage> {
    let (Some(left), Some(right)) = (left, right) else {
        return Ok(comparator == Comparator::NotEqual);
    };
    match comparator {
        Comparator::Equal => left.equals(right),
        Comparator::NotEqual => left.equals(right).map(|equal| !equal),
        _ => {
            let Some(order) = left.order(right)? else {
                return Ok(false);
            };
            Ok(match comparator {
                Comparator::Less => order == Ordering::Less,
                Comparator::LessOrEqual => order != Ordering::Greater,
                Comparator::Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
    }
}

fn begins_with(value: ValueView<'_>, prefix: ValueView<'_>) -> Result<bool, ItemDamage> {
    if let (Some(value), Some(prefix)) = (value.as_bytes(), prefix.as_bytes()) {
        return Ok(value.starts_with(prefix));
    }
    match (value.as_str()?, prefix.as_str()?) {
        (Some(value), Some(prefix)) => Ok(value.starts_with(prefix)),
        _ => Ok(false),
    }
}

fn contains(whole: ValueView<'_>, part: Value<'_>) -> Result<bool, ItemDamage> {
    match (whole.attribute_type(), part) {
        (AttributeType::S, Value::Encoded(part)) => match (whole.as_str()?, part.as_str()?) {
            (Some(whole), Some(part)) => Ok(whole.contains(part)),
            _ => Ok(false),
        },
        (AttributeType::B, Value::Encoded(part)) => match (whole.as_bytes(), part.as_bytes()) {
            (Some(whole), Some(part)) => Ok(substring::is_in(part, whole)),
            _ => Ok(false),
        },
        // Members and elements are values themselves, equal only to those of their type.
        (AttributeType::L | AttributeType::Ss | AttributeType::Ns | AttributeType::Bs, part) => {
            for element in whole.elements() {
                if Value::Encoded(element?).equals(part)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}
