//! How items are laid out: in which tree they stand, and by which attributes. A table has such a layout, and so has each of its
//! indexes, whose entries are items too; reads of ranges need to know no more.

use dynamite_txn::TableId;

use crate::error::{Damage, Error};
use crate::key_codec::{self, KeyDamage, KeyRole};
use crate::types::{KeyAttribute, KeySchema};

/// A tree of items, and what their keys are made of.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) id: TableId,
    /// The table's name.
    pub(crate) name: String,
    /// The index's name, if this is one.
    pub(crate) index: Option<String>,
    /// What queries may ask for.
    pub(crate) keys: KeySchema,
    /// What stands behind that in the keys of an index, so that no two entries have one: the key of the table.
    pub(crate) table_keys: Option<KeySchema>,
    /// Whether a hash of that key stands before it, which so decides among entries whose own keys are equal.
    pub(crate) hashed_ties: bool,
}

/// Bytes of the hash before the table's key.
const TIE_LEN: usize = 4;

impl Layout {
    /// The attributes that a stored key is made of, in its order, and what each is in its key.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&KeyAttribute, KeyRole)> {
        [Some(&self.keys), self.table_keys.as_ref()].into_iter().flatten().flat_map(|keys| {
            let roles =
                [(keys.partition_attributes(), KeyRole::Partition), (keys.sort_attributes(), KeyRole::Sort)];
            roles.into_iter().flat_map(|(attributes, role)| attributes.iter().map(move |each| (each, role)))
        })
    }

    /// The attributes of its own key, without those that an index has of its table.
    pub(crate) fn own_attributes(&self) -> impl Iterator<Item = (&KeyAttribute, KeyRole)> {
        self.attributes().take(self.keys.attributes().count())
    }

    /// The attributes that stand behind these, of the table's key.
    pub(crate) fn table_attributes(&self) -> impl Iterator<Item = (&KeyAttribute, KeyRole)> {
        self.attributes().skip(self.keys.attributes().count())
    }

    /// Appends the key of an item in the table to the own part of the key of its entry.
    pub(crate) fn append_table_key(&self, table_key: &[u8], key: &mut Vec<u8>) -> Result<(), KeyDamage> {
        if self.hashed_ties {
            // The first bit is 0, so that ranges, which FF ends, end behind it.
            let hash = (key_codec::hash(table_key)? >> 33) as u32;
            key.extend_from_slice(&hash.to_be_bytes());
        }
        key.extend_from_slice(table_key);
        Ok(())
    }

    /// The table's key in what follows the own part of an entry's key.
    pub(crate) fn split_table_key<'k>(&self, behind_own: &'k [u8]) -> Result<&'k [u8], KeyDamage> {
        let tie = if self.hashed_ties { TIE_LEN } else { 0 };
        behind_own.get(tie..).ok_or(KeyDamage::Short)
    }

    /// How many attributes a stored key names: those that it has twice count once.
    pub(crate) fn count_names(&self) -> usize {
        let behind = self.table_keys.iter().flat_map(KeySchema::attributes);
        let is_new =
            |attribute: &&KeyAttribute| self.keys.attributes().all(|key| key.name() != attribute.name());
        self.keys.attributes().count() + behind.filter(is_new).count()
    }

    /// An error of stored bytes, with the name of what they are in.
    #[cold]
    pub(crate) fn damaged(&self, source: impl Into<Damage>) -> Error {
        let table = match &self.index {
            None => self.name.clone(),
            Some(index) => format!("{}/index/{index}", self.name),
        };
        Error::DamagedItem { table, source: source.into() }
    }
}
