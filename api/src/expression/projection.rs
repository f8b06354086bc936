//! Projections: what of an item is returned.

use super::path::Path;
use super::path_tree::PathTree;
use crate::item_codec::{ItemError, ItemView};

/// A compiled projection expression, for any number of items.
///
/// ```
/// use dynamite_core::expression::Expressions;
/// use dynamite_core::item_codec::{ItemView, decode_json, encode_json};
/// use serde_json::json;
///
/// let projection = Expressions::builder().projection("id, friends[2], friends[0].nick").build()?.projection.unwrap();
/// let item = encode_json(&json!({"id": 1, "friends": [{"nick": "al", "age": 3}, 5, "bo"], "size": 7}))?;
/// let projected = projection.project(ItemView::new(&item)?)?;
/// assert_eq!(decode_json(&projected)?, json!({"id": 1, "friends": [{"nick": "al"}, "bo"]}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Projection {
    paths: Vec<Path>,
    tree: PathTree,
}

impl Projection {
    pub(super) fn new(paths: Vec<Path>, tree: PathTree) -> Projection {
        Projection { paths, tree }
    }

    /// The encoded item with only what the paths lead to: with the maps and lists that lead there, the elements of lists in
    /// their order and closed up. What an item does not have is left out, and so is a map or list of which nothing is left.
    ///
    /// Cost: a search for each path, and a check and a copy of what is found.
    ///
    /// # Errors
    ///
    /// [`ItemError::Damage`], as far as damage is met.
    pub fn project(&self, item: ItemView<'_>) -> Result<Vec<u8>, ItemError> {
        match self.tree.project(item)? {
            Some(projected) => Ok(projected),
            None => crate::item_codec::ItemWriter::new().finish(),
        }
    }

    /// The paths, in the order of the expression.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter()
    }
}
