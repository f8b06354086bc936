//! Inserting and replacing.

use dynamite_pager::WriteBatch;

use crate::edit::Edit;
use crate::error::{Result, TreeError};
use crate::items::Items;
use crate::node::{
    CELL_MAX, KEY_INLINE_MAX, KEY_KEPT, LEAF, LEAF_HEADER, MAX_HEAD, MAX_KEY, MAX_VALUE, Node, StoredKey,
};
use crate::node_mut::{NodeMut, Payload};
use crate::overflow::Overflow;
use crate::rebalance::Change;
use crate::tree::Tree;
use crate::value::{Body, Displaced, NewValue, Value};

/// Refuses what is too long, before anything is changed.
pub(crate) fn check_sizes(key: &[u8], value: &NewValue<'_>) -> Result<()> {
    let value_len = match value.body {
        Body::Bytes(_) => value.len(),
        // It was stored once, so it can be stored again, whatever its head is now.
        Body::Run(run) => run.len(),
    };
    if key.len() > MAX_KEY {
        Err(TreeError::KeyTooLong { len: key.len(), max: MAX_KEY })
    } else if value.head.len() > MAX_HEAD {
        Err(TreeError::HeadTooLong { len: value.head.len(), max: MAX_HEAD })
    } else if value_len > MAX_VALUE {
        Err(TreeError::ValueTooLong { len: value_len, max: MAX_VALUE })
    } else {
        Ok(())
    }
}

/// What a value becomes in its cell, for which it may need a run.
#[derive(Debug)]
pub(crate) struct StoredValue {
    bytes: [u8; CELL_MAX],
    len: usize,
    spilled: bool,
}

impl StoredValue {
    /// No value yet.
    pub(crate) fn empty() -> StoredValue {
        StoredValue { bytes: [0; CELL_MAX], len: 0, spilled: false }
    }

    /// Stores the value of a key of `key_len` bytes, in the place of the one before: a KiB is not to be moved for each.
    pub(crate) fn store(
        &mut self,
        batch: &mut WriteBatch<'_>,
        key_len: usize,
        value: &NewValue<'_>,
    ) -> Result<()> {
        let key_bytes = if key_len <= KEY_INLINE_MAX { key_len } else { KEY_KEPT + Overflow::SIZE };
        (self.len, self.spilled) = (0, false);
        self.push(value.head);
        match value.body {
            Body::Bytes(body) if LEAF_HEADER + key_bytes + value.head.len() + body.len() <= CELL_MAX => {
                self.push(body);
            }
            Body::Bytes(body) => self.push_run(Overflow::write(batch, body)?),
            Body::Run(run) => self.push_run(run),
        }
        Ok(())
    }

    pub(crate) fn payload(&self) -> Payload<'_> {
        Payload { bytes: &self.bytes[..self.len], spilled: self.spilled }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_run(&mut self, run: Overflow) {
        self.push(&run.to_bytes());
        self.spilled = true;
    }
}

/// Inserts or replaces; `tree` is as it was if that fails.
pub(crate) fn insert(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    key: &[u8],
    value: &NewValue<'_>,
) -> Result<Option<Displaced>> {
    check_sizes(key, value)?;
    let mut edit = Edit::new(*tree, batch);
    let displaced = edit.insert(key, value)?;
    *tree = edit.tree;
    batch.end_operation()?;
    Ok(displaced)
}

/// Inserts unless the key is there, and says whether; `tree` is as it was if that fails.
pub(crate) fn insert_new(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    key: &[u8],
    value: &NewValue<'_>,
) -> Result<bool> {
    let mut edit = Edit::new(*tree, batch);
    let is_new = edit.insert_new(key, value)?;
    *tree = edit.tree;
    batch.end_operation()?;
    Ok(is_new)
}

impl Edit<'_, '_> {
    fn insert_new(&mut self, key: &[u8], value: &NewValue<'_>) -> Result<bool> {
        if self.tree.root.is_none() {
            self.plant(key, value)?;
        } else if let Err(slot) = self.descend(key)? {
            self.insert_at(slot, key, value)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn insert(&mut self, key: &[u8], value: &NewValue<'_>) -> Result<Option<Displaced>> {
        if self.tree.root.is_none() {
            self.plant(key, value)?;
            return Ok(None);
        }
        match self.descend(key)? {
            Ok(slot) => self.replace(slot, key.len(), value).map(Some),
            Err(slot) => self.insert_at(slot, key, value).map(|()| None),
        }
    }

    /// Makes the first leaf of an empty tree.
    fn plant(&mut self, key: &[u8], value: &NewValue<'_>) -> Result<()> {
        let stored_key = StoredKey::store(self.batch, key)?;
        let mut stored_value = StoredValue::empty();
        stored_value.store(self.batch, key.len(), value)?;
        let mut items = Items::new(true);
        items.push(stored_key, stored_value.payload());
        let root = self.batch.allocate(LEAF, 0, self.tree.placement(0))?;
        items.lay_out(&items.whole(), self.batch.page_mut(root));
        self.tree = Tree { root: Some(root), level: 0, entries: 1, ..self.tree };
        Ok(())
    }

    fn insert_at(&mut self, slot: usize, key: &[u8], value: &NewValue<'_>) -> Result<()> {
        let stored_key = StoredKey::store(self.batch, key)?;
        let mut stored_value = StoredValue::empty();
        stored_value.store(self.batch, key.len(), value)?;
        self.tree.entries = self.tree.entries.saturating_add(1);
        let depth = self.leaf_depth();
        let ptr = self.writable(depth)?;
        if NodeMut(self.batch.page_mut(ptr)).insert(slot, stored_key, stored_value.payload()) {
            return Ok(());
        }
        let mut items = Items::of(Node::of(self.batch.page_mut(ptr)));
        items.insert(slot, stored_key, stored_value.payload());
        let change = if slot + 1 == items.len() && self.is_rightmost(depth) {
            Change::GrewAtRightEdge
        } else if slot == 0 && self.is_leftmost(depth) {
            Change::GrewAtLeftEdge
        } else {
            Change::Grew
        };
        self.store(depth, items, change)
    }

    fn replace(&mut self, slot: usize, key_len: usize, value: &NewValue<'_>) -> Result<Displaced> {
        let mut stored_value = StoredValue::empty();
        stored_value.store(self.batch, key_len, value)?;
        let depth = self.leaf_depth();
        let ptr = self.writable(depth)?;
        let mut node = NodeMut(self.batch.page_mut(ptr));
        let old: Value<'_> = node.node().value(slot);
        let (displaced, shrinks) = (old.displaced(), old.len() > stored_value.len);
        if node.replace_value(slot, stored_value.payload()) {
            if shrinks {
                self.refill(depth)?;
            }
            return Ok(displaced);
        }
        let mut items = Items::of(node.node());
        items.set_payload(slot, stored_value.payload());
        self.store(depth, items, Change::Grew)?;
        Ok(displaced)
    }
}
