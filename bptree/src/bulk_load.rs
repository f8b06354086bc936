//! Making a tree out of entries that come in the order of their keys: each page is written once, and full.

use dynamite_pager::{PagePtr, WriteBatch};

use crate::error::{Malformed, Result, TreeError};
use crate::insert::{StoredValue, check_sizes};
use crate::items::{Fill, Items};
use crate::node::{CAPACITY, INNER, LEAF, LEVEL_MAX, StoredKey};
use crate::node_mut::Payload;
use crate::pages::Pages;
use crate::separator::{OwnedKey, shortest};
use crate::tree::Tree;
use crate::value::NewValue;

/// A tree under construction. Each level holds back the page that is being filled, so memory is a few pages.
///
/// ```
/// # use dynamite_bptree::{Body, BulkLoad, NewValue, check_page};
/// # fn main() -> dynamite_bptree::Result<()> {
/// # let pager = dynamite_pager::Options::new().page_check(check_page).in_memory(*b"drawn by chance!")?;
/// let mut batch = pager.begin()?;
/// let mut load = BulkLoad::new();
/// for number in 0..1000_u32 {
///     let body = dynamite_bptree::Body::Bytes(b"some value");
///     load.push(&mut batch, &number.to_be_bytes(), NewValue { head: b"", body })?;
/// }
/// let tree = load.finish(&mut batch)?;
/// assert_eq!(tree.len(), 1000);
/// # Ok(())
/// # }
/// ```
///
/// Each call may be given another batch, if those before it are committed: what is held back is in no page yet. A tree that
/// is too large for one batch is loaded so, and nothing leads to its pages before it is finished.
#[derive(Debug)]
pub struct BulkLoad {
    /// From the leaves upwards.
    levels: Vec<Level>,
    last_key: Vec<u8>,
    entries: u64,
    /// The value that is added.
    value: Box<StoredValue>,
}

impl Default for BulkLoad {
    fn default() -> BulkLoad {
        let value = Box::new(StoredValue::empty());
        BulkLoad { levels: Vec::new(), last_key: Vec::new(), entries: 0, value }
    }
}

/// The page that is being filled on a level.
#[derive(Debug)]
struct Level {
    items: Items,
    fill: Fill,
    /// What separates the page from the one before it; the first one of a level has none.
    separator: Option<OwnedKey>,
}

impl BulkLoad {
    /// Begins a tree.
    pub fn new() -> BulkLoad {
        BulkLoad::default()
    }

    /// Adds an entry behind the others. Ends the batch's operation whenever it has written a page.
    ///
    /// # Errors
    ///
    /// [`TreeError::NotAscending`], or that a key or value is too long: then nothing was added. After other errors the
    /// batch is to be dropped.
    pub fn push(&mut self, batch: &mut WriteBatch<'_>, key: &[u8], value: NewValue<'_>) -> Result<()> {
        check_sizes(key, &value)?;
        if self.entries > 0 && *key <= *self.last_key {
            return Err(TreeError::NotAscending { position: self.entries });
        }
        let stored = StoredKey::store(batch, key)?;
        self.value.store(batch, key.len(), &value)?;
        let mut written = stored.run.is_some() || self.value.payload().spilled;
        if self.levels.is_empty() {
            self.levels.push(Level::begin(true, None));
        }
        if !self.levels[0].push(stored, self.value.payload()) {
            let separator = StoredKey::store(batch, shortest(&self.last_key, key))?.to_owned();
            self.flush(batch, 0, Some(separator))?;
            let fits = self.levels[0].push(stored, self.value.payload());
            assert!(fits, "any entry fits in an empty page");
            written = true;
        }
        self.entries += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        if written { Ok(batch.end_operation()?) } else { Ok(()) }
    }

    /// Writes what was held back, and returns the tree.
    pub fn finish(mut self, batch: &mut WriteBatch<'_>) -> Result<Tree> {
        let mut level = 0;
        while level < self.levels.len() {
            let is_root = level + 1 == self.levels.len() && self.levels[level].separator.is_none();
            if is_root {
                break;
            }
            self.flush(batch, level, None)?;
            level += 1;
        }
        let tree = match self.levels.last() {
            None => Tree::EMPTY,
            Some(top) => {
                let root = top.write(batch, level as u8)?;
                Tree::from_parts(Some(root), level as u8, self.entries)
            }
        };
        batch.end_operation()?;
        Ok(tree)
    }

    /// Writes the page of a level, adds it to the level above, and begins a new one behind `separator`.
    fn flush(&mut self, batch: &mut WriteBatch<'_>, level: usize, separator: Option<OwnedKey>) -> Result<()> {
        let ptr = self.levels[level].write(batch, level as u8)?;
        if level >= LEVEL_MAX.into() {
            let why = Malformed::Depth { levels: LEVEL_MAX };
            return Err(Pages::malformed(batch, ptr.id, why).into());
        }
        let own = std::mem::replace(&mut self.levels[level], Level::begin(level == 0, separator)).separator;
        if level + 1 == self.levels.len() {
            self.levels.push(Level::begin(false, None));
        }
        if !self.levels[level + 1].push_child(own.as_ref(), ptr) {
            // The child begins the next page, and its separator goes above it.
            self.flush(batch, level + 1, own)?;
            let fits = self.levels[level + 1].push_child(None, ptr);
            assert!(fits, "any child fits in an empty page");
        }
        Ok(())
    }
}

impl Level {
    fn begin(leaf: bool, separator: Option<OwnedKey>) -> Level {
        Level { items: Items::new(leaf), fill: Fill::begin(0), separator }
    }

    /// Adds an item, if it fits in the page.
    fn push(&mut self, key: StoredKey<'_>, payload: Payload<'_>) -> bool {
        self.items.push(key, payload);
        let fits = self.fill.add(&self.items, CAPACITY);
        if !fits {
            self.items.pop();
        }
        fits
    }

    /// Adds a child, if it fits in the page.
    fn push_child(&mut self, separator: Option<&OwnedKey>, child: PagePtr) -> bool {
        let bytes = child.to_bytes();
        self.push(OwnedKey::or_none(separator), Payload { bytes: &bytes, spilled: false })
    }

    fn write(&self, batch: &mut WriteBatch<'_>, level: u8) -> Result<PagePtr> {
        let kind = if level == 0 { LEAF } else { INNER };
        let ptr = batch.allocate(kind, level, Tree::EMPTY.placement(level))?;
        self.items.lay_out(&self.fill.piece(), batch.page_mut(ptr));
        Ok(ptr)
    }
}
