//! What is at some paths, each under a name of its own.

use super::error::{ExpressionError, ExpressionKind, Problem};
use super::path::Path;
use crate::item_codec::{ItemError, ItemView, ItemWriter};

/// Paths, and the names under which what is there is returned.
///
/// A [`Projection`](super::Projection) keeps the maps and lists that lead to what it returns; this takes it out of them.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// In the order of the names, none of which is there twice.
    columns: Vec<(String, Path)>,
}

impl Columns {
    /// Columns of different names.
    ///
    /// # Errors
    ///
    /// A path has too many levels.
    pub(crate) fn new(mut columns: Vec<(String, Path)>) -> Result<Columns, ExpressionError> {
        if let Some((_, path)) = columns.iter().find(|(_, path)| path.levels() > Path::MAX_LEVELS) {
            let problem = Problem::PathTooDeep { levels: path.levels() };
            let kind = ExpressionKind::Projection;
            return Err(ExpressionError::Invalid { kind, position: 0, token: String::new(), problem });
        }
        columns.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Columns { columns })
    }

    /// An encoded item of what an item has at the paths. Since these may overlap, it may be larger than an item may be: at most as often as
    /// a path has levels, for each of which a part of the item can be there once.
    ///
    /// # Errors
    ///
    /// [`ItemError::Damage`], as far as damage is met.
    pub(crate) fn take(&self, item: ItemView<'_>) -> Result<Vec<u8>, ItemError> {
        let mut writer = ItemWriter::row();
        for (name, path) in &self.columns {
            if let Some(value) = path.find(item)? {
                writer.copy(name, value)?;
            }
        }
        writer.finish()
    }

    /// The paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.columns.iter().map(|(_, path)| path)
    }
}
