//! What a check shows to whoever watches it: whose each page is, names, items, and what cannot be read.

use std::sync::Arc;

use dynamite_pager::{Extent, Finding, Malformation, Page, PagePtr};

use crate::catalog::NAMES;
use crate::names::TableInfo;
use crate::txn_id::TableId;

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pages of the file that were looked at.
    pub pages: u64,
    /// Pages of the file.
    pub of_pages: u64,
}

/// How much of a database is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Everything,
    /// Headers, free space, catalog and names.
    Outline,
    /// These, and a tree.
    Tree(Owner),
}

impl Scope {
    pub(super) fn has(self, owner: Owner) -> bool {
        match self {
            Scope::Everything => true,
            _ if owner == Owner::Table(NAMES) => true,
            Scope::Outline => false,
            Scope::Tree(tree) => tree == owner,
        }
    }
}

/// A tree of the database, or what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The tree of trees.
    Catalog,
    /// The tree of a table.
    Table(TableId),
    /// The superseded versions that a table with retention keeps; those of the others are in table 1.
    HistoryOf(TableId),
}

impl Owner {
    /// The table, if it is one.
    pub fn table(self) -> Option<TableId> {
        match self {
            Owner::Catalog => None,
            Owner::Table(table) | Owner::HistoryOf(table) => Some(table),
        }
    }
}

/// A finding, and the tree in which it was made.
#[derive(Clone, Debug)]
pub struct Found {
    /// The tree; none for headers, for the free space, and for what is about several trees.
    pub owner: Option<Owner>,
    /// What was found.
    pub finding: Finding,
}

/// Looks at an item by itself: its key and its payload, of its newest version. It is called on several threads; what it returns is
/// reported as wrong with the item's leaf, in the order of the keys.
pub type PayloadCheck = Arc<dyn Fn(&[u8], &[u8]) -> Option<Malformation> + Send + Sync>;

/// Sees what a check comes to.
pub trait Watch {
    /// How far the check is; a few times for each MiB.
    fn progress(&mut self, _progress: Progress) {}

    /// What is free. Comes first.
    fn free(&mut self, _extents: &[Extent]) {}

    /// A page of a tree, and how many of its bytes are used.
    fn page(&mut self, _owner: Owner, _page: &Page, _used: usize) {}

    /// A tree, and what the catalog says of it. All of them come before the first item.
    fn tree(&mut self, _tree: TreeShape) {}

    /// The name of a table. The names come before what is in the tables.
    fn name(&mut self, _name: &[u8], _info: &TableInfo) {}

    /// What looks at the items of a table that has a name.
    fn payload_check(&mut self, _table: TableId) -> Option<PayloadCheck> {
        None
    }

    /// Keys of a tree from one up to another that cannot be read; `None`: from the beginning, to the end.
    fn lost(&mut self, _owner: Owner, _from: Option<&[u8]>, _to: Option<&[u8]>) {}
}

/// What the catalog says of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeShape {
    /// The tree.
    pub owner: Owner,
    /// Its root; none if it is empty.
    pub root: Option<PagePtr>,
    /// Levels above the leaves.
    pub level: u8,
    /// Its entries.
    pub entries: u64,
    /// Live items in it, and bytes of their keys and payloads.
    pub items: u64,
    /// See `items`.
    pub bytes: u64,
    /// Whether the table was dropped.
    pub dropped: bool,
}
