//! Secondary indexes as users define them and see them.
//!
//! An index holds an entry for each item of its table that has all the attributes of the index's key: a copy of some of the item's
//! attributes, found by other ones than the table's key. Its entries change with the items, in the same transaction.

use crate::api::tables::check_name;
use crate::error::{IndexError, Invalid, Result};
use crate::types::{KeyAttribute, KeySchema, KeyType};

/// Global indexes that a table may have.
pub const MAX_GLOBAL_INDEXES: usize = 20;
/// Local indexes that a table may have.
pub const MAX_LOCAL_INDEXES: usize = 5;
/// Attributes that one index may [include](Projection::Include).
pub const MAX_INCLUDED: usize = 20;
/// Attributes that all indexes of a table together may include; one that several include counts for each.
pub const MAX_INCLUDED_IN_ALL: usize = 100;

/// Which attributes of its items an index holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Projection {
    /// All.
    #[default]
    All,
    /// Those of the index's key and of the table's.
    KeysOnly,
    /// Those, and the ones with these names.
    Include(Vec<String>),
}

impl Projection {
    /// The attributes of the keys, and those with these names.
    pub fn include<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Projection {
        Projection::Include(names.into_iter().map(Into::into).collect())
    }

    fn check(&self) -> Result<()> {
        let Projection::Include(names) = self else { return Ok(()) };
        if names.is_empty() {
            return Err(IndexError::NothingIncluded.into());
        }
        if names.len() > MAX_INCLUDED {
            return Err(IndexError::TooManyIncluded { names: names.clone() }.into());
        }
        for (nth, name) in names.iter().enumerate() {
            KeyAttribute::new(name, KeyType::String).map_err(Invalid::Schema)?;
            if names[..nth].contains(name) {
                return Err(IndexError::IncludedTwice { name: name.clone() }.into());
            }
        }
        Ok(())
    }
}

/// An index with a partition key of its own.
///
/// ```
/// use dynamite_core::api::{DynaMite, GlobalIndex, Projection};
/// use dynamite_core::types::KeyType;
/// use serde_json::json;
///
/// # fn main() -> Result<(), dynamite_core::Error> {
/// # let db = DynaMite::in_memory()?;
/// db.create_table("users")
///     .partition_key("user_id", KeyType::String)
///     .global_index(
///         GlobalIndex::new("by_city")
///             .partition_key("city", KeyType::String)
///             .sort_key("age", KeyType::Number)
///             .projection(Projection::include(["name"])),
///     )
///     .execute()?;
/// db.put_item("users", json!({"user_id": "alice", "name": "Alice", "city": "Bern", "age": 30, "notes": "…"}))?;
/// db.put_item("users", json!({"user_id": "bob", "name": "Bob", "city": "Bern", "age": 40}))?;
/// db.put_item("users", json!({"user_id": "carol", "name": "Carol"}))?;
///
/// let found = db.query("users").index("by_city").partition_key("Bern").sort_key_lt(35).execute()?;
/// assert_eq!(found.items, [json!({"user_id": "alice", "name": "Alice", "city": "Bern", "age": 30})]);
/// // Who lives nowhere is not in it.
/// assert_eq!(db.scan("users").index("by_city").count()?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct GlobalIndex {
    name: String,
    partition: Vec<(String, KeyType)>,
    sort: Vec<(String, KeyType)>,
    hashed_ties: bool,
    projection: Projection,
}

impl GlobalIndex {
    /// An index of that name, without a key so far, that holds all attributes.
    pub fn new(name: impl Into<String>) -> GlobalIndex {
        GlobalIndex {
            name: name.into(),
            partition: Vec::new(),
            sort: Vec::new(),
            hashed_ties: false,
            projection: Projection::All,
        }
    }

    /// An attribute by which entries are found, and its type. Up to four: all of them are asked for in a query.
    pub fn partition_key(mut self, name: impl Into<String>, key_type: KeyType) -> Self {
        self.partition.push((name.into(), key_type));
        self
    }

    /// An attribute by which the entries of a partition are ordered, and its type. Up to four, the most significant first.
    pub fn sort_key(mut self, name: impl Into<String>, key_type: KeyType) -> Self {
        self.sort.push((name.into(), key_type));
        self
    }

    /// Entries whose keys are equal come in the order of a hash of their items' keys, as in DynamoDB, instead of in the order of these
    /// keys. So pages of a query are those that an application gets there.
    ///
    /// It costs 4 bytes an entry, and that entries of equal keys which are written one after the other, by ascending keys of
    /// their items, do not stand together.
    pub fn hashed_ties(mut self) -> Self {
        self.hashed_ties = true;
        self
    }

    /// Which attributes the index holds (default: all).
    pub fn projection(mut self, projection: Projection) -> Self {
        self.projection = projection;
        self
    }

    pub(crate) fn define(self) -> Result<Definition> {
        check_name(&self.name)?;
        self.projection.check()?;
        let GlobalIndex { name, partition, sort, hashed_ties, projection } = self;
        let keys = KeySchema::of_several(attributes(partition)?, attributes(sort)?);
        let keys = keys.map_err(Invalid::Schema)?;
        Ok(Definition { name, kind: IndexKind::Global, keys, hashed_ties, projection })
    }
}

/// An index with the table's partition key, and another sort key. It can be made only together with the table.
///
/// A read that asks for attributes which it does not hold gets them from the table.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct LocalIndex {
    name: String,
    sort: Vec<(String, KeyType)>,
    projection: Projection,
}

impl LocalIndex {
    /// An index of that name, without a sort key so far, that holds all attributes.
    pub fn new(name: impl Into<String>) -> LocalIndex {
        LocalIndex { name: name.into(), sort: Vec::new(), projection: Projection::All }
    }

    /// The attribute by which the entries of a partition are ordered, and its type.
    pub fn sort_key(mut self, name: impl Into<String>, key_type: KeyType) -> Self {
        self.sort = vec![(name.into(), key_type)];
        self
    }

    /// Which attributes the index holds (default: all).
    pub fn projection(mut self, projection: Projection) -> Self {
        self.projection = projection;
        self
    }

    pub(crate) fn define(self, table: &KeySchema) -> Result<Definition> {
        check_name(&self.name)?;
        if table.sort_key().is_none() {
            return Err(IndexError::LocalWithoutTableSortKey.into());
        }
        self.projection.check()?;
        let sort = attributes(self.sort)?;
        if sort.is_empty() {
            return Err(IndexError::LocalWithoutSortKey { index: self.name }.into());
        }
        let keys =
            KeySchema::of_several(vec![table.partition_key().clone()], sort).map_err(Invalid::Schema)?;
        let LocalIndex { name, projection, .. } = self;
        // No record tells that DynamoDB orders entries of equal keys otherwise than by the table's sort key.
        Ok(Definition { name, kind: IndexKind::Local, keys, hashed_ties: false, projection })
    }
}

fn attributes(named: Vec<(String, KeyType)>) -> Result<Vec<KeyAttribute>> {
    let attribute = |(name, key_type)| Ok(KeyAttribute::new(name, key_type).map_err(Invalid::Schema)?);
    named.into_iter().map(attribute).collect()
}

/// Whether an index has a partition key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum IndexKind {
    /// It has.
    Global,
    /// It has that of the table.
    Local,
}

/// What an index is to be, sound in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) kind: IndexKind,
    pub(crate) keys: KeySchema,
    pub(crate) hashed_ties: bool,
    pub(crate) projection: Projection,
}

/// Refuses indexes that one table cannot have together.
pub(crate) fn check_together<'a>(
    table: &KeySchema,
    indexes: impl Iterator<Item = &'a Definition> + Clone,
) -> Result<()> {
    for (nth, index) in indexes.clone().enumerate() {
        if indexes.clone().take(nth).any(|other| other.name == index.name) {
            return Err(IndexError::Duplicate { index: index.name.clone() }.into());
        }
    }
    let count = |kind| indexes.clone().filter(|index| index.kind == kind).count();
    if count(IndexKind::Local) > MAX_LOCAL_INDEXES {
        return Err(IndexError::TooManyLocal.into());
    }
    if count(IndexKind::Global) > MAX_GLOBAL_INDEXES {
        return Err(IndexError::TooManyGlobal.into());
    }
    let included = indexes.clone().map(|index| match &index.projection {
        Projection::Include(names) => names.len(),
        _ => 0,
    });
    if included.sum::<usize>() > MAX_INCLUDED_IN_ALL {
        return Err(IndexError::TooManyIncludedInAll.into());
    }
    let keys = || std::iter::once(table).chain(indexes.clone().map(|index| &index.keys));
    let attributes = || keys().flat_map(KeySchema::attributes);
    for attribute in attributes() {
        let differs = |other: &KeyAttribute| {
            other.name() == attribute.name() && other.key_type() != attribute.key_type()
        };
        if attributes().any(differs) {
            return Err(IndexError::KeyOfTwoTypes { name: attribute.name().to_owned() }.into());
        }
    }
    Ok(())
}

/// What is known of an index.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct IndexDescription {
    /// Its name.
    pub name: String,
    /// Whether it has a partition key of its own.
    pub kind: IndexKind,
    /// The attributes of its key; that of the table stands behind them.
    pub keys: KeySchema,
    /// Whether entries of equal keys are in the order of [a hash of their items' keys](GlobalIndex::hashed_ties).
    #[serde(default)]
    pub hashed_ties: bool,
    /// Which attributes it holds.
    pub projection: Projection,
    /// Whether it can be read.
    pub state: IndexState,
    /// Entries in it, exactly, as of now.
    pub item_count: u64,
    /// Bytes of these entries as they are stored, keys included.
    pub size_bytes: u64,
    /// Items that were in the table before the index, and are not in it because an attribute of its key is of the wrong type, empty
    /// or too long.
    pub skipped_count: u64,
}

/// Whether an index can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum IndexState {
    /// Not yet: the items that were there before it are still being looked through.
    Creating {
        /// Items that were looked through.
        done: u64,
        /// Items of the table.
        of: u64,
    },
    /// It can.
    Active,
}
