//! Paths: where in an item something is.

use std::fmt;

use crate::item_codec::{ItemDamage, ItemView, ValueView};

/// A path into an item, such as `a.b[3].c`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The attribute.
    pub(super) attribute: Box<str>,
    /// The steps from its value on.
    pub(super) steps: Vec<Step>,
}

/// A step of a path into a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// To the entry of a map.
    Name(Box<str>),
    /// To the element of a list.
    Index(usize),
}

impl Path {
    /// The most names and indexes that a path may have.
    pub const MAX_LEVELS: usize = 32;

    /// The path to an attribute.
    pub(crate) fn of_attribute(name: &str) -> Path {
        Path { attribute: name.into(), steps: Vec::new() }
    }

    /// The path to an entry of the map that is at this one.
    pub(crate) fn entry(mut self, name: &str) -> Path {
        self.steps.push(Step::Name(name.into()));
        self
    }

    /// The path to an element of the list that is at this one.
    pub(crate) fn element(mut self, index: usize) -> Path {
        self.steps.push(Step::Index(index));
        self
    }

    /// How many names and indexes it has.
    pub(super) fn levels(&self) -> usize {
        1 + self.steps.len()
    }

    /// The name of the attribute that the path leads into.
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    /// Whether the path leads to an attribute itself, not into it.
    pub fn is_top_level(&self) -> bool {
        self.steps.is_empty()
    }

    /// What is at the path, if there is something.
    pub(super) fn find<'a>(&self, item: ItemView<'a>) -> Result<Option<ValueView<'a>>, ItemDamage> {
        let mut found = item.get(&self.attribute)?;
        for step in &self.steps {
            let Some(value) = found else {
                break;
            };
            found = step.find(value)?;
        }
        Ok(found)
    }

    /// What is at the path without its last step.
    pub(super) fn find_parent<'a>(&self, item: ItemView<'a>) -> Result<Option<ValueView<'a>>, ItemDamage> {
        let Some((_, steps)) = self.steps.split_last() else {
            return Ok(Some(item.as_value()));
        };
        let mut found = item.get(&self.attribute)?;
        for step in steps {
            let Some(value) = found else {
                break;
            };
            found = step.find(value)?;
        }
        Ok(found)
    }
}

impl Step {
    fn find<'a>(&self, value: ValueView<'a>) -> Result<Option<ValueView<'a>>, ItemDamage> {
        match self {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get_index(*index),
        }
    }
}

/// As DynamoDB prints paths in its errors: `[a, b, [3], c]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.attribute)?;
        for step in &self.steps {
            match step {
                Step::Name(name) => write!(f, ", {name}")?,
                Step::Index(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}
