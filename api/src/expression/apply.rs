//! Applies an update to an item.
//!
//! # Invariants
//!
//! 1. Every value is computed from the item as it was, and so is every place: indexes of lists are those before the update.
//! 2. Either all actions are done or none.
//!
//! DynamoDB reports one problem, in this order: paths that go by name into what is no map, or by index into what is no
//! list; operands of a wrong type; and then clause by clause, the last one first, places that are not there, and
//! attributes that are not there; and at last numbers out of range.

use std::collections::BTreeSet;

use thiserror::Error;

use super::constant::Constant;
use super::path::{Path, Step};
use super::path_tree::Place;
use super::update::{Action, Change, Instruction, Program, Update};
use crate::item_codec::{self, ItemDamage, ItemError, ItemView, ItemWriter, ValueView};
use crate::limits::{self, MAX_ITEM_SIZE, ValueError};
use crate::number::{Number, NumberError};
use crate::value::{AttributeType, AttributeValue, Item};

/// Why an update cannot be applied to an item. The texts are DynamoDB's.
#[derive(Clone, Debug, PartialEq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum UpdateError {
    /// A path leads into what is not there, or by name into what is no map, or by index into what is no list.
    #[error("The document path provided in the update expression is invalid for update")]
    InvalidPath,

    /// A value is taken from what is not there.
    #[error("The provided expression refers to an attribute that does not exist in the item")]
    MissingAttribute,

    /// A value of the item has a type that the operation cannot have.
    #[error("An operand in the update expression has an incorrect data type")]
    OperandType,

    /// A sum or difference that no number can hold.
    #[error(transparent)]
    Number(#[from] NumberError),

    /// The item would be too large.
    #[error("Item size to update has exceeded the maximum allowed size")]
    TooLarge,

    /// The item could not be stored for another reason.
    #[error(transparent)]
    Value(ValueError),

    /// The stored item is damaged.
    #[error(transparent)]
    Damage(#[from] ItemDamage),
}

impl From<ValueError> for UpdateError {
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::ItemTooLarge { .. } => UpdateError::TooLarge,
            other => UpdateError::Value(other),
        }
    }
}

impl From<ItemError> for UpdateError {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::Value(error) => error.into(),
            ItemError::Damage(damage) => damage.into(),
        }
    }
}

impl Update {
    /// The encoded item after the update. If there is no item, one is made that has the attributes of `key`; an item that
    /// is there has its key itself. That the update leaves the key alone is checked by
    /// [`check_schema`](super::Expressions::check_schema), not here.
    ///
    /// Cost: a check and a copy of the attributes that stay; those that are changed inside are decoded.
    ///
    /// # Errors
    ///
    /// [`UpdateError`].
    pub fn apply(&self, item: Option<ItemView<'_>>, key: &Item) -> Result<Vec<u8>, UpdateError> {
        let made;
        let (old, is_new) = match item {
            Some(item) => (item, false),
            None => {
                made = item_codec::encode(key)?;
                (ItemView::new(&made)?, true)
            }
        };
        let mut writes = self.compute(old, is_new)?;

        let mut writer = ItemWriter::new();
        let mut places = self.tree.attributes.iter().peekable();
        for entry in old {
            let (name, value) = entry?;
            while let Some((name, place)) = places.next_if(|(place, _)| **place < *name) {
                put_new(&mut writer, name, place, &mut writes)?;
            }
            match places.next_if(|(place, _)| **place == *name) {
                None => writer.copy(name, value)?,
                Some((_, Place::End(number))) => match writes[*number].take() {
                    Some(Write::Put(value)) => value.put(&mut writer, name)?,
                    Some(Write::Remove) => {}
                    Some(Write::Keep) | None => writer.copy(name, value)?,
                },
                Some((_, place)) => {
                    let mut value = value.to_value()?;
                    change(&mut value, place, &mut writes)?;
                    writer.put(name, &value)?;
                }
            }
        }
        for (name, place) in places {
            put_new(&mut writer, name, place, &mut writes)?;
        }
        Ok(writer.finish()?)
    }

    /// By action, what it writes.
    fn compute<'a>(&'a self, old: ItemView<'a>, is_new: bool) -> Result<Vec<Option<Write<'a>>>, UpdateError> {
        let mut reachable = Vec::with_capacity(self.actions.len());
        for Action { path, change, .. } in &self.actions {
            reachable.push(match path.find_parent(old)? {
                Some(parent) if fits(parent, path) => true,
                Some(_) => return Err(UpdateError::InvalidPath),
                // DynamoDB lets anything be removed from an item that does not exist.
                None => is_new && matches!(change, Change::Remove),
            });
        }

        let mut writes = Vec::with_capacity(self.actions.len());
        for action in &self.actions {
            match action.compute(old) {
                Err(error @ (UpdateError::OperandType | UpdateError::Damage(_) | UpdateError::TooLarge)) => {
                    return Err(error);
                }
                write => writes.push(write),
            }
        }

        let last = self.actions.last().map_or(0, |action| action.clause);
        for clause in (0..=last).rev() {
            let numbers = || (0..self.actions.len()).filter(|number| self.actions[*number].clause == clause);
            if numbers().any(|number| !reachable[number]) {
                return Err(UpdateError::InvalidPath);
            }
            if numbers().any(|number| matches!(writes[number], Err(UpdateError::MissingAttribute))) {
                return Err(UpdateError::MissingAttribute);
            }
        }
        writes.into_iter().map(|write| write.map(Some)).collect()
    }
}

/// Whether the last step of a path can lead into this.
fn fits(parent: ValueView<'_>, path: &Path) -> bool {
    let kind = parent.attribute_type();
    match path.steps.last() {
        None => true,
        Some(Step::Name(_)) => kind == AttributeType::M,
        Some(Step::Index(_)) => kind == AttributeType::L,
    }
}

/// What is done at a place.
enum Write<'a> {
    Put(Computed<'a>),
    Remove,
    Keep,
}

/// A value, decoded or not.
enum Computed<'a> {
    Encoded(ValueView<'a>),
    Decoded(AttributeValue),
}

impl Computed<'_> {
    fn put(self, writer: &mut ItemWriter, name: &str) -> Result<(), ItemError> {
        match self {
            Computed::Encoded(value) => writer.copy(name, value),
            Computed::Decoded(value) => writer.put(name, &value),
        }
    }

    fn into_value(self) -> Result<AttributeValue, ItemDamage> {
        match self {
            Computed::Encoded(value) => value.to_value(),
            Computed::Decoded(value) => Ok(value),
        }
    }

    fn number(&self) -> Result<Number, UpdateError> {
        let number = match self {
            Computed::Encoded(value) => value.as_number()?,
            Computed::Decoded(value) => value.as_n(),
        };
        number.ok_or(UpdateError::OperandType)
    }

    fn attribute_type(&self) -> AttributeType {
        match self {
            Computed::Encoded(value) => value.attribute_type(),
            Computed::Decoded(value) => value.attribute_type(),
        }
    }
}

impl Action {
    fn compute<'a>(&'a self, old: ItemView<'a>) -> Result<Write<'a>, UpdateError> {
        Ok(match &self.change {
            Change::Set(program) => Write::Put(program.run(old)?),
            Change::Remove => Write::Remove,
            Change::Add(constant) => match self.path.find(old)? {
                None => Write::Put(Computed::Encoded(constant.view())),
                Some(value) => Write::Put(Computed::Decoded(add(value, constant)?)),
            },
            Change::Delete(constant) => match self.path.find(old)? {
                None => Write::Keep,
                Some(value) => delete(value, constant)?,
            },
        })
    }
}

impl Program {
    fn run<'a>(&'a self, old: ItemView<'a>) -> Result<Computed<'a>, UpdateError> {
        let mut stack = Vec::new();
        let mut at = 0;
        while let Some(instruction) = self.instructions.get(at) {
            at += 1;
            let value = match instruction {
                Instruction::Path(path) => {
                    Computed::Encoded(path.find(old)?.ok_or(UpdateError::MissingAttribute)?)
                }
                Instruction::Constant(constant) => Computed::Encoded(constant.view()),
                Instruction::IfNotExists(path, end) => {
                    let Some(value) = path.find(old)? else {
                        continue;
                    };
                    at = *end;
                    Computed::Encoded(value)
                }
                Instruction::Append => {
                    let (first, second) = pop_two(&mut stack);
                    append(first, second)?
                }
                Instruction::Add | Instruction::Subtract => {
                    let (first, second) = pop_two(&mut stack);
                    let (first, second) = (first.number()?, second.number()?);
                    let is_sum = matches!(instruction, Instruction::Add);
                    let number = if is_sum { first.checked_add(second) } else { first.checked_sub(second) };
                    Computed::Decoded(AttributeValue::N(number?))
                }
            };
            stack.push(value);
        }
        Ok(stack.pop().expect("a program leaves its value on the stack"))
    }
}

fn pop_two<'a>(stack: &mut Vec<Computed<'a>>) -> (Computed<'a>, Computed<'a>) {
    let second = stack.pop().expect("the operands were pushed");
    (stack.pop().expect("the operands were pushed"), second)
}

fn append<'a>(first: Computed<'a>, second: Computed<'a>) -> Result<Computed<'a>, UpdateError> {
    if first.attribute_type() != AttributeType::L || second.attribute_type() != AttributeType::L {
        return Err(UpdateError::OperandType);
    }
    let (AttributeValue::L(mut elements), AttributeValue::L(more)) =
        (first.into_value()?, second.into_value()?)
    else {
        return Err(UpdateError::OperandType);
    };
    elements.extend(more);
    let list = AttributeValue::L(elements);
    // No later than here, so that a short expression cannot make a value of any size.
    if limits::value_size(&list) > MAX_ITEM_SIZE {
        return Err(UpdateError::TooLarge);
    }
    Ok(Computed::Decoded(list))
}

fn add(value: ValueView<'_>, constant: &Constant) -> Result<AttributeValue, UpdateError> {
    if value.attribute_type() != constant.attribute_type() {
        return Err(UpdateError::OperandType);
    }
    Ok(match (value.to_value()?, constant.to_value()) {
        (AttributeValue::N(number), AttributeValue::N(other)) => {
            AttributeValue::N(number.checked_add(other)?)
        }
        (AttributeValue::Ss(set), AttributeValue::Ss(other)) => AttributeValue::Ss(union(set, other)),
        (AttributeValue::Ns(set), AttributeValue::Ns(other)) => AttributeValue::Ns(union(set, other)),
        (AttributeValue::Bs(set), AttributeValue::Bs(other)) => AttributeValue::Bs(union(set, other)),
        _ => return Err(UpdateError::OperandType),
    })
}

fn union<T: Ord>(mut set: BTreeSet<T>, mut other: BTreeSet<T>) -> BTreeSet<T> {
    set.append(&mut other);
    set
}

fn delete<'a>(value: ValueView<'_>, constant: &Constant) -> Result<Write<'a>, UpdateError> {
    if value.attribute_type() != constant.attribute_type() {
        return Err(UpdateError::OperandType);
    }
    let (is_empty, rest) = match (value.to_value()?, constant.to_value()) {
        (AttributeValue::Ss(set), AttributeValue::Ss(other)) => {
            let rest = difference(set, &other);
            (rest.is_empty(), AttributeValue::Ss(rest))
        }
        (AttributeValue::Ns(set), AttributeValue::Ns(other)) => {
            let rest = difference(set, &other);
            (rest.is_empty(), AttributeValue::Ns(rest))
        }
        (AttributeValue::Bs(set), AttributeValue::Bs(other)) => {
            let rest = difference(set, &other);
            (rest.is_empty(), AttributeValue::Bs(rest))
        }
        _ => return Err(UpdateError::OperandType),
    };
    // There are no empty sets.
    Ok(if is_empty { Write::Remove } else { Write::Put(Computed::Decoded(rest)) })
}

fn difference<T: Ord>(mut set: BTreeSet<T>, other: &BTreeSet<T>) -> BTreeSet<T> {
    set.retain(|member| !other.contains(member));
    set
}

/// Writes an attribute that the item does not have yet. There is nothing that could be changed inside.
fn put_new(
    writer: &mut ItemWriter,
    name: &str,
    place: &Place,
    writes: &mut [Option<Write<'_>>],
) -> Result<(), UpdateError> {
    if let Place::End(number) = place
        && let Some(Write::Put(value)) = writes[*number].take()
    {
        value.put(writer, name)?;
    }
    Ok(())
}

/// Changes a map or list inside. Paths are no deeper than an item may be, so this goes no deeper either.
fn change(
    value: &mut AttributeValue,
    place: &Place,
    writes: &mut [Option<Write<'_>>],
) -> Result<(), UpdateError> {
    match (value, place) {
        (AttributeValue::M(entries), Place::Entries(places)) => {
            for (name, place) in places {
                match place {
                    Place::End(number) => match writes[*number].take() {
                        Some(Write::Put(value)) => {
                            entries.insert(name.to_string(), value.into_value()?);
                        }
                        Some(Write::Remove) => {
                            entries.remove(&**name);
                        }
                        Some(Write::Keep) | None => {}
                    },
                    place => {
                        if let Some(value) = entries.get_mut(&**name) {
                            change(value, place, writes)?;
                        }
                    }
                }
            }
        }
        (AttributeValue::L(elements), Place::Elements(places)) => change_list(elements, places, writes)?,
        // The paths were found to fit.
        _ => return Err(UpdateError::InvalidPath),
    }
    Ok(())
}

fn change_list(
    elements: &mut Vec<AttributeValue>,
    places: &[(usize, Place)],
    writes: &mut [Option<Write<'_>>],
) -> Result<(), UpdateError> {
    // What is removed leaves its index to no other element before all is done.
    let old_len = elements.len();
    let mut removed = BTreeSet::new();
    for (index, place) in places {
        match place {
            Place::End(number) => match writes[*number].take() {
                Some(Write::Put(value)) if *index < old_len => elements[*index] = value.into_value()?,
                // Whatever the index, it comes behind the others, in the order of the indexes.
                Some(Write::Put(value)) => elements.push(value.into_value()?),
                Some(Write::Remove) => {
                    removed.insert(*index);
                }
                Some(Write::Keep) | None => {}
            },
            place if *index < old_len => change(&mut elements[*index], place, writes)?,
            _ => {}
        }
    }
    let mut index = 0;
    elements.retain(|_| {
        index += 1;
        index > old_len || !removed.contains(&(index - 1))
    });
    Ok(())
}
