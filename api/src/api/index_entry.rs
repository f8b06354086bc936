//! Entries of indexes: what an item has to say to the indexes of its table, and what of them changes with it.
//!
//! ```text
//! key      the index's partition attributes, its sort attributes, and the table's key, each value encoded as in any key; before the
//!          table's key a hash of it, if that is to decide among entries of equal keys
//! payload  the item, or those of its attributes that the index holds: an encoded item too
//! ```
//!
//! Everything is got from the encoded items in one walk over each, and compared as bytes: equal values have equal ones. Nothing
//! is written of an entry that stays as it is.
//!
//! # While an index is being built
//!
//! Its build goes through the items in the order of their keys and takes in those that are older than the index, and only those;
//! whoever writes an item maintains its entry, wherever the build may be. So an item that is not older has its exact entry, and
//! of an older one it is not known whether it has one yet. Then its entry is removed if it is there, and the new one is written even
//! if it is the same: the item is not older any more, and the build will pass it over.

use std::sync::Arc;

use dynamite_txn::{TableId, TxnId, WriteTxn};

use crate::api::consumed::{self, IndexWrite};
use crate::api::index::{Definition, IndexKind, Projection};
use crate::api::index_schema::IndexSchema;
use crate::api::key;
use crate::api::layout::Layout;
use crate::api::table::Table;
use crate::error::{IndexError, Invalid, Result};
use crate::expression::Update;
use crate::item_codec::{ItemDamage, Picked, join, pick};
use crate::key_codec::{KeyRole, KeyValue};
use crate::types::{KeySchema, KeyType};
use crate::value::AttributeType;

/// The indexes of a table.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    each: Vec<Index>,
    /// The attributes that any of them looks at, in order. Others are spoken of by their place in this list.
    names: Vec<Box<str>>,
}

/// An index, ready for use.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) kind: IndexKind,
    pub(crate) projection: Projection,
    pub(crate) layout: Arc<Layout>,
    /// The transaction that added it, as long as it is being built.
    pub(crate) building: Option<TxnId>,
    pub(crate) skipped: u64,
    /// The attributes of its key.
    keys: Vec<KeyPart>,
    /// The attributes that it holds, in order; `None` for all.
    held: Option<Vec<usize>>,
}

#[derive(Debug)]
struct KeyPart {
    name: Box<str>,
    place: usize,
    key_type: KeyType,
    role: KeyRole,
}

/// What an item has of the attributes that indexes look at.
pub(crate) struct Seen<'a> {
    item: &'a [u8],
    picked: Vec<Option<Picked<'a>>>,
}

impl Indexes {
    /// Those that a table's description names.
    pub(crate) fn new(table: &str, table_keys: &KeySchema, described: Vec<IndexSchema>) -> Indexes {
        let mut names: Vec<Box<str>> = Vec::new();
        let held_names = |index: &IndexSchema| -> Option<Vec<String>> {
            let included = match &index.definition.projection {
                Projection::All => return None,
                Projection::KeysOnly => &[][..],
                Projection::Include(names) => names,
            };
            let keys = index.definition.keys.attributes().chain(table_keys.attributes());
            Some(keys.map(|key| key.name().to_owned()).chain(included.iter().cloned()).collect())
        };
        for index in &described {
            names.extend(index.definition.keys.attributes().map(|key| Box::from(key.name())));
            names.extend(held_names(index).into_iter().flatten().map(Box::from));
        }
        names.sort_unstable();
        names.dedup();
        let place = |name: &str| names.partition_point(|other| **other < *name);
        let each = described.into_iter().map(|index| {
            let held = held_names(&index).map(|held| {
                let mut places = held.iter().map(|name| place(name)).collect::<Vec<_>>();
                places.sort_unstable();
                places.dedup();
                places
            });
            let IndexSchema {
                definition: Definition { name, kind, keys, hashed_ties, projection },
                tree,
                building,
                skipped,
            } = index;
            let layout = Layout {
                id: tree,
                name: table.to_owned(),
                index: Some(name.clone()),
                keys,
                table_keys: Some(table_keys.clone()),
                hashed_ties,
            };
            let keys = layout.own_attributes().map(|(attribute, role)| KeyPart {
                name: attribute.name().into(),
                place: place(attribute.name()),
                key_type: attribute.key_type(),
                role,
            });
            let keys = keys.collect();
            Index { name, kind, projection, layout: Arc::new(layout), building, skipped, keys, held }
        });
        Indexes { each: each.collect(), names }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Index> {
        self.each.iter()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Index> {
        self.each.iter().find(|index| index.name == name)
    }

    /// Looks at an item.
    /// Refuses an update that gives an attribute of an index's key another type, whatever the item.
    pub(crate) fn check_update(&self, update: &Update) -> Result<()> {
        for index in self.iter() {
            for part in &index.keys {
                let found = update.static_type(&part.name).map(AttributeType::as_str);
                if let Some(actual) = found.filter(|found| *found != part.key_type.letter()) {
                    let (name, index) = (part.name.to_string(), index.name.clone());
                    return Err(IndexError::KeyType { name, expected: part.key_type, actual, index }.into());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn look<'a>(&self, item: &'a [u8]) -> Result<Seen<'a>, ItemDamage> {
        Ok(Seen { item, picked: pick(item, &self.names)? })
    }
}

impl Index {
    /// Counts what a change writes: the entry that it removes, and the one that it puts.
    fn count(&self, change: &Change, old: Option<&Seen<'_>>, writes: &mut Vec<IndexWrite>) -> Result<()> {
        let mut write = |entry: &[u8]| -> Result<()> {
            let bytes = consumed::size(&self.layout, entry)?;
            writes.push(IndexWrite { index: self.name.clone(), kind: self.kind, bytes });
            Ok(())
        };
        if let Some(old) = old.filter(|_| change.removed.is_some()) {
            let mut entry = Vec::new();
            self.encode_payload(old, &mut entry);
            write(&entry)?;
        }
        change.put.as_ref().map_or(Ok(()), |(_, entry)| write(entry))
    }

    /// Whether an item has an entry: whether it has all attributes of the key.
    ///
    /// # Errors
    ///
    /// An attribute cannot be that of a key: it is of another type, empty or too long.
    pub(crate) fn admits(&self, seen: &Seen<'_>) -> Result<bool> {
        let mut is_complete = true;
        for part in &self.keys {
            match &seen.picked[part.place] {
                None => is_complete = false,
                Some(picked) => self.check_part(part, picked)?,
            }
        }
        Ok(is_complete)
    }

    fn check_part(&self, part: &KeyPart, picked: &Picked<'_>) -> Result<()> {
        let Some(value) = self.key_value(part, picked)? else {
            return Err(IndexError::KeyType {
                name: part.name.to_string(),
                expected: part.key_type,
                actual: picked.value.attribute_type().as_str(),
                index: self.name.clone(),
            }
            .into());
        };
        Ok(value.check_limits(part.role, &part.name, Some(&self.name)).map_err(Invalid::Key)?)
    }

    fn key_value<'a>(&self, part: &KeyPart, picked: &Picked<'a>) -> Result<Option<KeyValue<'a>>> {
        key::viewed(&self.layout, picked.value, part.key_type)
    }

    /// Appends the key of the entry of an item that is admitted.
    pub(crate) fn encode_key(&self, seen: &Seen<'_>, table_key: &[u8], key: &mut Vec<u8>) -> Result<()> {
        for part in &self.keys {
            if let Some(picked) = &seen.picked[part.place]
                && let Some(value) = self.key_value(part, picked)?
            {
                value.encode_into(key);
            }
        }
        self.layout.append_table_key(table_key, key).map_err(|damage| self.layout.damaged(damage))
    }

    /// Appends the payload of the entry of an item.
    pub(crate) fn encode_payload(&self, seen: &Seen<'_>, payload: &mut Vec<u8>) {
        match &self.held {
            None => payload.extend_from_slice(seen.item),
            Some(places) => join(places.iter().filter_map(|place| seen.picked[*place]), payload),
        }
    }

    /// Whether it holds an attribute.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let keys = || self.layout.attributes().any(|(attribute, _)| attribute.name() == name);
        match &self.projection {
            Projection::All => true,
            Projection::KeysOnly => keys(),
            Projection::Include(names) => keys() || names.iter().any(|included| included == name),
        }
    }

    fn has_same_key(&self, a: &Seen<'_>, b: &Seen<'_>) -> bool {
        self.keys.iter().all(|part| a.is_same(b, part.place))
    }

    fn has_same_payload(&self, a: &Seen<'_>, b: &Seen<'_>) -> bool {
        match &self.held {
            None => a.item == b.item,
            Some(places) => places.iter().all(|place| a.is_same(b, *place)),
        }
    }
}

impl Seen<'_> {
    fn is_same(&self, other: &Seen<'_>, place: usize) -> bool {
        self.picked[place].map(|picked| picked.entry) == other.picked[place].map(|picked| picked.entry)
    }
}

/// What changes in the indexes of a table with an item.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<Change>);

#[derive(Debug)]
struct Change {
    tree: TableId,
    /// The key of the entry that goes, if it is there.
    removed: Option<Vec<u8>>,
    /// Key and payload of the entry that comes.
    put: Option<(Vec<u8>, Vec<u8>)>,
}

impl Changes {
    /// Holds the item that stands under a key, if there is one, against the one that is to take its place, or none.
    ///
    /// # Errors
    ///
    /// An attribute of the new item cannot be that of an index's key.
    pub(crate) fn of(
        table: &Table,
        old: Option<(TxnId, &[u8])>,
        key: &[u8],
        new: Option<&[u8]>,
        mut writes: Option<&mut Vec<IndexWrite>>,
    ) -> Result<Changes> {
        let indexes = &table.indexes;
        if indexes.is_empty() {
            return Ok(Changes::default());
        }
        let look = |item| indexes.look(item).map_err(|damage: ItemDamage| table.damaged(damage));
        let new = new.map(look).transpose()?;
        let old = match old {
            Some((version, item)) => Some((version, look(item)?)),
            None => None,
        };
        let mut changes = Vec::with_capacity(indexes.each.len());
        for index in indexes.iter() {
            let new = match &new {
                Some(new) => index.admits(new)?.then_some(new),
                None => None,
            };
            let change = index.change(old.as_ref(), new, key)?;
            if let (Some(writes), Some(change)) = (&mut writes, &change) {
                index.count(change, old.as_ref().map(|(_, old)| old), writes)?;
            }
            changes.extend(change);
        }
        Ok(Changes(changes))
    }

    /// Makes them.
    pub(crate) fn apply(self, txn: &mut WriteTxn<'_>) -> Result<()> {
        for Change { tree, removed, put } in self.0 {
            if let Some(key) = removed {
                txn.delete(tree, &key)?;
            }
            if let Some((key, payload)) = put {
                txn.put(tree, &key, &payload)?;
            }
        }
        Ok(())
    }
}

impl Index {
    /// What changes in it if an item that is admitted, or nothing, takes the place of an old one.
    fn change(
        &self,
        old: Option<&(TxnId, Seen<'_>)>,
        new: Option<&Seen<'_>>,
        table_key: &[u8],
    ) -> Result<Option<Change>> {
        // What is not admitted today was not when it was written, or the index is younger and its build has skipped it.
        let old = old.filter(|(_, old)| self.admits(old).unwrap_or(false));
        let is_certain = old.is_none_or(|(version, _)| self.building.is_none_or(|since| *version >= since));
        let key = |seen| -> Result<Vec<u8>> {
            let mut key = Vec::with_capacity(table_key.len() + 64);
            self.encode_key(seen, table_key, &mut key)?;
            Ok(key)
        };
        let mut change = Change { tree: self.layout.id, removed: None, put: None };
        let stays = matches!((old, new), (Some((_, old)), Some(new)) if self.has_same_key(old, new));
        if let Some((_, old)) = old
            && !stays
        {
            change.removed = Some(key(old)?);
        }
        if let Some(new) = new {
            let is_there = stays && is_certain && old.is_some_and(|(_, old)| self.has_same_payload(old, new));
            if !is_there {
                let mut payload = Vec::new();
                self.encode_payload(new, &mut payload);
                change.put = Some((key(new)?, payload));
            }
        }
        Ok((change.removed.is_some() || change.put.is_some()).then_some(change))
    }
}
