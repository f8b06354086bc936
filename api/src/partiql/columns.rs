//! What is selected: paths, and the names under which what is there is returned.

use super::error::{Rule, StatementError};
use super::syntax::{NodeId, Statement, Step, What};
use crate::expression::{Columns, Path};

/// The columns of a SELECT. What is at a path is returned under its last name, with the indexes behind that.
pub(crate) fn columns(statement: &Statement, nodes: &[NodeId]) -> Result<Columns, StatementError> {
    let tree = &statement.tree;
    let mut columns: Vec<(String, Path)> = Vec::with_capacity(nodes.len());
    for id in nodes {
        let What::Path(steps) = tree.what(*id) else { return Err(Rule::Column.broken_at(tree.place(*id))) };
        tree.check_path(steps)?;
        let (mut path, mut name) = (None::<Path>, String::new());
        for step in steps {
            path = Some(match (path, step) {
                (None, Step::Name(attribute)) => {
                    name.clone_from(attribute);
                    Path::of_attribute(attribute)
                }
                (Some(path), Step::Name(entry)) => {
                    name.clone_from(entry);
                    path.entry(entry)
                }
                (Some(path), Step::Index { value, .. }) => {
                    let index = value.unwrap_or_default();
                    name.push_str(&format!("[{index}]"));
                    path.element(index)
                }
                _ => return Err(Rule::Column.broken_at(tree.place(*id))),
            });
        }
        if columns.iter().any(|(other, _)| *other == name) {
            return Err(Rule::DuplicateColumn { name }.broken());
        }
        columns.extend(path.map(|path| (name, path)));
    }
    Columns::new(columns).map_err(StatementError::Expression)
}
