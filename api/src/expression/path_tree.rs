//! Several paths at once: a tree of the places that they lead to.

use super::error::Problem;
use super::path::{Path, Step};
use crate::item_codec::{ItemDamage, ItemError, ItemView, ItemWriter, ValueView};

/// Attributes, and what of them.
#[derive(Clone, Debug)]
pub(super) struct PathTree {
    /// In the order of the names.
    pub(super) attributes: Vec<(Box<str>, Place)>,
}

/// A place that paths lead to, or through.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The path of this number ends here.
    End(usize),
    /// Entries of a map, in the order of their names.
    Entries(Vec<(Box<str>, Place)>),
    /// Elements of a list, in their order.
    Elements(Vec<(usize, Place)>),
}

impl PathTree {
    /// The tree of these paths, numbered in their order.
    ///
    /// # Errors
    ///
    /// The number of a path, and how it overlaps or conflicts with an earlier one.
    pub(super) fn new(paths: &[&Path]) -> Result<PathTree, (usize, Problem)> {
        let mut attributes = Vec::new();
        for (number, path) in paths.iter().enumerate() {
            if !enter(&mut attributes, path, number) {
                return Err(clash(paths));
            }
        }
        Ok(PathTree { attributes })
    }

    /// An encoded item with only what the paths lead to; `None` if that is nothing. Elements of lists close up.
    pub(super) fn project(&self, item: ItemView<'_>) -> Result<Option<Vec<u8>>, ItemError> {
        let mut writer = ItemWriter::new();
        let mut found = false;
        for (name, place) in &self.attributes {
            if let Some(value) = item.get(name)?
                && place.is_in(value)?
            {
                found = true;
                place.copy(&mut writer, Some(name), value)?;
            }
        }
        if found { writer.finish().map(Some) } else { Ok(None) }
    }
}

impl Place {
    /// Whether a value has something at one of the ends.
    fn is_in(&self, value: ValueView<'_>) -> Result<bool, ItemDamage> {
        match self {
            Place::End(_) => return Ok(true),
            Place::Entries(entries) => {
                for (name, place) in entries {
                    if let Some(value) = value.get(name)?
                        && place.is_in(value)?
                    {
                        return Ok(true);
                    }
                }
            }
            Place::Elements(elements) => {
                for (index, place) in elements {
                    if let Some(value) = value.get_index(*index)?
                        && place.is_in(value)?
                    {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Copies what is at the ends, with what leads to it. The paths are no deeper than an item may be, so this goes no
    /// deeper either.
    fn copy(
        &self,
        writer: &mut ItemWriter,
        name: Option<&str>,
        value: ValueView<'_>,
    ) -> Result<(), ItemError> {
        match (self, name) {
            (Place::End(_), Some(name)) => return writer.copy(name, value),
            (Place::End(_), None) => return writer.push_copy(value),
            (Place::Entries(_), Some(name)) => writer.begin_map(name)?,
            (Place::Entries(_), None) => writer.push_map()?,
            (Place::Elements(_), Some(name)) => writer.begin_list(name)?,
            (Place::Elements(_), None) => writer.push_list()?,
        }
        match self {
            Place::End(_) => {}
            Place::Entries(entries) => {
                for (name, place) in entries {
                    if let Some(value) = value.get(name)?
                        && place.is_in(value)?
                    {
                        place.copy(writer, Some(name), value)?;
                    }
                }
            }
            Place::Elements(elements) => {
                for (index, place) in elements {
                    if let Some(value) = value.get_index(*index)?
                        && place.is_in(value)?
                    {
                        place.copy(writer, None, value)?;
                    }
                }
            }
        }
        writer.end()
    }
}

/// Enters a path, unless it overlaps or conflicts with another.
fn enter(attributes: &mut Vec<(Box<str>, Place)>, path: &Path, number: usize) -> bool {
    let (mut place, mut is_new) = entry(attributes, &path.attribute);
    for step in &path.steps {
        // A new place is whatever the first path that goes through it needs.
        if is_new {
            *place = match step {
                Step::Name(_) => Place::Entries(Vec::new()),
                Step::Index(_) => Place::Elements(Vec::new()),
            };
        }
        (place, is_new) = match (place, step) {
            (Place::Entries(entries), Step::Name(name)) => entry(entries, name),
            (Place::Elements(elements), Step::Index(index)) => entry(elements, index),
            _ => return false,
        };
    }
    *place = Place::End(number);
    is_new
}

/// The place of a key in a sorted vector, and whether it had to be entered.
fn entry<'p, K: Ord + Clone>(places: &'p mut Vec<(K, Place)>, key: &K) -> (&'p mut Place, bool) {
    let found = places.binary_search_by(|(other, _)| other.cmp(key));
    let at = found.unwrap_or_else(|at| {
        places.insert(at, (key.clone(), Place::End(usize::MAX)));
        at
    });
    (&mut places[at].1, found.is_err())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// One path is the other, or leads into it.
    Overlap,
    /// At one place one path goes on by name and the other by index.
    Conflict,
}

/// The pair of paths that DynamoDB names: the first that overlaps, or else the first that conflicts.
#[cold]
fn clash(paths: &[&Path]) -> (usize, Problem) {
    let pair = |relation| {
        paths.iter().enumerate().find_map(|(number, second)| {
            let related = |first: &&&Path| {
                first.attribute == second.attribute
                    && relation_of(&first.steps, &second.steps) == Some(relation)
            };
            paths[..number].iter().find(related).map(|first| (number, first.to_string(), second.to_string()))
        })
    };
    if let Some((number, first, second)) = pair(Relation::Overlap) {
        return (number, Problem::PathsOverlap { first, second });
    }
    let (number, first, second) =
        pair(Relation::Conflict).expect("one path could not be entered beside another");
    (number, Problem::PathsConflict { first, second })
}

fn relation_of(first: &[Step], second: &[Step]) -> Option<Relation> {
    for (first, second) in first.iter().zip(second) {
        match (first, second) {
            (Step::Name(a), Step::Name(b)) if a == b => {}
            (Step::Index(a), Step::Index(b)) if a == b => {}
            (Step::Name(_), Step::Name(_)) | (Step::Index(_), Step::Index(_)) => return None,
            _ => return Some(Relation::Conflict),
        }
    }
    Some(Relation::Overlap)
}
