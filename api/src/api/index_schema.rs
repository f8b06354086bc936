//! What a table's description says of its indexes. Each is a map in a list:
//!
//! ```text
//! name        the index's name
//! kind        "GLOBAL" or "LOCAL"
//! tree        the id of the tree of its entries
//! partition   its partition attributes, each as the table's: {"name": …, "type": …}
//! sort        its sort attributes, perhaps none
//! ties        "HASH" if a hash of the items' keys decides among entries of equal keys; else it is not there
//! projection  "ALL", "KEYS_ONLY", or the list of the names that are included
//! building    while it is being built: the transaction that added it
//! skipped     items that the build could not take in, if there were any
//! ```
//!
//! How far a build has come stands with the entries ([`Progress`]), so that a step of it need not describe the table anew.

use dynamite_txn::{TableId, TxnId};

use crate::api::index::{Definition, IndexKind, Projection};
use crate::api::schema::{attribute, describe, tree, tree_of};
use crate::error::Result;
use crate::item_codec;
use crate::types::KeySchema;
use crate::value::{AttributeValue, Item};

/// An index, as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexSchema {
    pub(crate) definition: Definition,
    pub(crate) tree: TableId,
    /// The transaction that added it, as long as it is being built.
    pub(crate) building: Option<TxnId>,
    pub(crate) skipped: u64,
}

/// The name of the tree of an index's entries.
pub(crate) fn tree_name(table: &str, index: &str) -> Vec<u8> {
    format!("{table}\0index\0{index}").into_bytes()
}

impl IndexSchema {
    pub(crate) fn to_value(&self) -> AttributeValue {
        let Definition { name, kind, keys, hashed_ties, projection } = &self.definition;
        let text = |text: &str| AttributeValue::from(text);
        let mut described = Item::from([
            ("name".to_owned(), text(name)),
            ("kind".to_owned(), text(if *kind == IndexKind::Global { "GLOBAL" } else { "LOCAL" })),
            ("tree".to_owned(), tree(self.tree)),
            (
                "partition".to_owned(),
                AttributeValue::L(keys.partition_attributes().iter().map(describe).collect()),
            ),
            ("sort".to_owned(), AttributeValue::L(keys.sort_attributes().iter().map(describe).collect())),
        ]);
        let projection = match projection {
            Projection::All => text("ALL"),
            Projection::KeysOnly => text("KEYS_ONLY"),
            Projection::Include(names) => AttributeValue::L(names.iter().map(|name| text(name)).collect()),
        };
        described.insert("projection".to_owned(), projection);
        if *hashed_ties {
            described.insert("ties".to_owned(), text("HASH"));
        }
        if let Some(since) = self.building {
            described.insert("building".to_owned(), since.0.into());
        }
        if self.skipped > 0 {
            described.insert("skipped".to_owned(), self.skipped.into());
        }
        AttributeValue::M(described)
    }

    /// Reads what `to_value` wrote; `None` if it is malformed.
    pub(crate) fn of_value(value: &AttributeValue) -> Option<IndexSchema> {
        let described = value.as_m()?;
        let attributes =
            |name| described.get(name)?.as_l()?.iter().map(attribute).collect::<Option<Vec<_>>>();
        let projection = match described.get("projection")? {
            AttributeValue::L(names) => {
                let names = names.iter().map(|name| Some(name.as_s()?.to_owned()));
                Projection::Include(names.collect::<Option<_>>()?)
            }
            other => match other.as_s()? {
                "ALL" => Projection::All,
                "KEYS_ONLY" => Projection::KeysOnly,
                _ => return None,
            },
        };
        let definition = Definition {
            name: described.get("name")?.as_s()?.to_owned(),
            kind: match described.get("kind")?.as_s()? {
                "GLOBAL" => IndexKind::Global,
                "LOCAL" => IndexKind::Local,
                _ => return None,
            },
            keys: KeySchema::of_several(attributes("partition")?, attributes("sort")?).ok()?,
            hashed_ties: match described.get("ties").map(AttributeValue::as_s) {
                None => false,
                Some(Some("HASH")) => true,
                Some(_) => return None,
            },
            projection,
        };
        let number = |name| match described.get(name) {
            None => Some(None),
            Some(value) => Some(Some(whole(value)?)),
        };
        Some(IndexSchema {
            definition,
            tree: tree_of(described.get("tree")?)?,
            building: number("building")?.map(TxnId),
            skipped: number("skipped")?.unwrap_or(0),
        })
    }
}

/// How far the build of an index has come. It stands in the tree of the entries until the build is done, under
/// [a key](Progress::KEY) that no entry has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The key of the last item that was looked at; before all, if it is empty.
    pub(crate) cursor: Vec<u8>,
    /// Items that were looked at.
    pub(crate) done: u64,
    /// Those of them that do not fit.
    pub(crate) skipped: u64,
}

impl Progress {
    /// Entries begin with the tag of a value.
    pub(crate) const KEY: &[u8] = &[0];

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        Ok(item_codec::encode(&Item::from([
            ("cursor".to_owned(), AttributeValue::B(self.cursor.clone())),
            ("done".to_owned(), self.done.into()),
            ("skipped".to_owned(), self.skipped.into()),
        ]))?)
    }

    /// Reads a stored progress; `None` if it is malformed.
    pub(crate) fn decode(stored: &[u8]) -> Option<Progress> {
        let stored = item_codec::decode(stored).ok()?;
        Some(Progress {
            cursor: stored.get("cursor")?.as_b()?.to_vec(),
            done: whole(stored.get("done")?)?,
            skipped: whole(stored.get("skipped")?)?,
        })
    }
}

fn whole(value: &AttributeValue) -> Option<u64> {
    value.as_n()?.to_u64()
}
