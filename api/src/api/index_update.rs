//! Indexes of a table that is in use: adding them, dropping them, and saying what is known of them.

use dynamite_txn::{ReadTxn, Retention, TableId, TxnId, WriteTxn};

use crate::api::index::{Definition, IndexDescription, IndexKind, IndexState, check_together};
use crate::api::index_entry::Index;
use crate::api::index_schema::{IndexSchema, Progress, tree_name};
use crate::api::schema::Schema;
use crate::error::{Damage, Error, IndexError, Invalid, Result};

/// Refuses a change that says two things of one index.
pub(crate) fn check_apart(added: &[Definition], dropped: &[&str]) -> Result<()> {
    let mut names = added.iter().map(|index| &*index.name).chain(dropped.iter().copied()).collect::<Vec<_>>();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(IndexError::UpdatedTwice { index: pair[0].to_owned() }.into()),
        None => Ok(()),
    }
}

impl IndexSchema {
    /// An index with a tree for its entries, empty. It is to be built if it is added by a transaction to a table that may have
    /// items.
    pub(crate) fn create(
        txn: &mut WriteTxn<'_>,
        table: &str,
        definition: Definition,
        building: Option<TxnId>,
    ) -> Result<IndexSchema> {
        let tree = txn.create_table(&tree_name(table, &definition.name), &[], Retention::None)?;
        Ok(IndexSchema { definition, tree, building, skipped: 0 })
    }
}

/// Drops global indexes.
pub(crate) fn drop_indexes(
    txn: &mut WriteTxn<'_>,
    table: &str,
    schema: &mut Schema,
    names: &[&str],
) -> Result<()> {
    for name in names {
        let nth = schema.indexes.iter().position(|index| index.definition.name == *name);
        let missing = || Error::IndexNotFound { table: table.to_owned(), index: (*name).to_owned() };
        if schema.indexes.remove(nth.ok_or_else(missing)?).definition.kind == IndexKind::Local {
            return Err(IndexError::DropOfLocal { index: (*name).to_owned() }.into());
        }
        txn.drop_table(&tree_name(table, name))?;
    }
    Ok(())
}

/// Adds indexes, which are to be built. Returns their trees.
pub(crate) fn add_indexes(
    txn: &mut WriteTxn<'_>,
    table: &str,
    schema: &mut Schema,
    added: Vec<Definition>,
) -> Result<Vec<TableId>> {
    let mut trees = Vec::with_capacity(added.len());
    for definition in added {
        if schema.indexes.iter().any(|index| index.definition.name == definition.name) {
            return Err(IndexError::Exists { index: definition.name }.into());
        }
        let since = txn.id();
        let index = IndexSchema::create(txn, table, definition, Some(since))?;
        trees.push(index.tree);
        schema.indexes.push(index);
    }
    match check_together(&schema.keys, schema.indexes.iter().map(|index| &index.definition)) {
        Err(Error::Validation(Invalid::Index(IndexError::TooManyGlobal))) => {
            Err(IndexError::TooManyGlobalAdded.into())
        }
        checked => checked.map(|()| trees),
    }
}

impl Index {
    /// What is known of it; `of` are the items of its table.
    pub(crate) fn describe(&self, read: &mut ReadTxn<'_>, of: u64) -> Result<IndexDescription> {
        let tree = self.layout.id;
        let mut stats = read.stats(tree)?;
        let (mut state, mut skipped_count) = (IndexState::Active, self.skipped);
        if self.building.is_some() {
            state = IndexState::Creating { done: 0, of };
            let found =
                read.get(tree, Progress::KEY, |_, stored| (stored.len(), Progress::decode(stored)))?;
            if let Some((len, progress)) = found {
                let progress = progress.ok_or_else(|| self.layout.damaged(Damage::Schema))?;
                state = IndexState::Creating { done: progress.done, of };
                skipped_count = progress.skipped;
                // It is no entry.
                stats.items = stats.items.saturating_sub(1);
                stats.bytes = stats.bytes.saturating_sub((Progress::KEY.len() + len) as u64);
            }
        }
        Ok(IndexDescription {
            name: self.name.clone(),
            kind: self.kind,
            keys: self.layout.keys.clone(),
            hashed_ties: self.layout.hashed_ties,
            projection: self.projection.clone(),
            state,
            item_count: stats.items,
            size_bytes: stats.bytes,
            skipped_count,
        })
    }
}
