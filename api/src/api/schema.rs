//! What is kept with a table's name: its description, an item, so that what is added later needs no new format.
//!
//! ```text
//! {"partition_key": {"name": "user_id", "type": "S"}, "sort_key": {"name": "at", "type": "N"}}
//! ```
//!
//! Trees that belong to a table are tables of their own, under names that no user can give: the table's name, a NUL, and what
//! they are for. [`is_of_users`] tells them apart.

use crate::error::Result;
use crate::item_codec;
use crate::types::{KeyAttribute, KeySchema};
use crate::value::{AttributeValue, Item};

const PARTITION_KEY: &str = "partition_key";
const SORT_KEY: &str = "sort_key";
const NAME: &str = "name";
const TYPE: &str = "type";

/// A table's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    /// The attributes of its items' keys.
    pub(crate) keys: KeySchema,
}

impl Schema {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let names = [PARTITION_KEY, SORT_KEY].map(str::to_owned);
        let meta = names.into_iter().zip(self.keys.attributes().map(describe)).collect::<Item>();
        Ok(item_codec::encode(&meta)?)
    }

    /// Reads a description. `None` if it is malformed.
    pub(crate) fn decode(meta: &[u8]) -> Option<Schema> {
        let meta = item_codec::decode(meta).ok()?;
        let partition_key = attribute(meta.get(PARTITION_KEY)?)?;
        let sort_key = match meta.get(SORT_KEY) {
            Some(value) => Some(attribute(value)?),
            None => None,
        };
        Some(Schema { keys: KeySchema::new(partition_key, sort_key).ok()? })
    }
}

/// Whether a name is that of a table of the user's, and not of a tree that belongs to one.
pub(crate) fn is_of_users(name: &[u8]) -> bool {
    !name.contains(&0)
}

fn describe(attribute: &KeyAttribute) -> AttributeValue {
    AttributeValue::M(Item::from([
        (NAME.to_owned(), attribute.name().into()),
        (TYPE.to_owned(), attribute.key_type().letter().into()),
    ]))
}

fn attribute(value: &AttributeValue) -> Option<KeyAttribute> {
    let described = value.as_m()?;
    let key_type = described.get(TYPE)?.as_s()?.parse().ok()?;
    KeyAttribute::new(described.get(NAME)?.as_s()?, key_type).ok()
}
