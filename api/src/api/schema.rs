//! What is kept with a table's name: its description, an item, so that what is added later needs no new format.
//!
//! ```text
//! {
//!   "partition_key": {"name": "user_id", "type": "S"}, "sort_key": {"name": "at", "type": "N"},
//!   "ttl": {"attribute": "expires_at", "queue": 17}, "indexes": […],
//!   "streams": [{"view": "NEW_IMAGE", "created_ms": 1700000000000, "created": 9, "records": 18, "closed_ms": …, "closed": …}],
//!   "created_ms": 1700000000000, "history_since": 21, "metadata": {…}
//! }
//! ```
//!
//! All but the partition key may be missing; an open stream, which can only be the last, has no end. Trees are named by the ids of
//! their tables. What stands in the list of indexes is in [`index_schema`](crate::api::index_schema).
//!
//! Trees that belong to a table are tables of their own, under names that no user can give: the table's name, a NUL, and what
//! they are for. What belongs to no table has a name that begins with the NUL. [`is_of_users`] tells them apart.

use dynamite_txn::{TableId, TxnId};

use crate::api::index_schema::{IndexSchema, tree_name};
use crate::api::stream::{Stream, StreamView};
use crate::api::ttl::{self, Ttl};
use crate::error::Result;
use crate::item_codec;
use crate::types::{KeyAttribute, KeySchema};
use crate::value::{AttributeValue, Item};

const PARTITION_KEY: &str = "partition_key";
const SORT_KEY: &str = "sort_key";
const INDEXES: &str = "indexes";
const NAME: &str = "name";
const TYPE: &str = "type";
const TTL: &str = "ttl";
const ATTRIBUTE: &str = "attribute";
const QUEUE: &str = "queue";
const STREAMS: &str = "streams";
const VIEW: &str = "view";
const CREATED_MS: &str = "created_ms";
const CREATED: &str = "created";
const RECORDS: &str = "records";
const CLOSED_MS: &str = "closed_ms";
const CLOSED: &str = "closed";
const HISTORY_SINCE: &str = "history_since";
const METADATA: &str = "metadata";

/// A table's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    /// The attributes of its items' keys.
    pub(crate) keys: KeySchema,
    /// When its items expire.
    pub(crate) ttl: Option<Ttl>,
    /// Its indexes, in the order in which they were added.
    pub(crate) indexes: Vec<IndexSchema>,
    /// Its streams, the oldest first: those that were closed, and the one that is open.
    pub(crate) streams: Vec<Stream>,
    /// When the table was created; tables of older builds do not say.
    pub(crate) created_ms: Option<u64>,
    /// The transaction from which on the history tells everything, if the table began to keep one after it was created.
    pub(crate) history_since: Option<TxnId>,
    /// What a front end keeps with the table, and the database only hands back.
    pub(crate) metadata: Item,
}

impl Schema {
    /// A table of which only the keys are said.
    pub(crate) fn of(keys: KeySchema) -> Schema {
        Schema {
            keys,
            ttl: None,
            indexes: Vec::new(),
            streams: Vec::new(),
            created_ms: None,
            history_since: None,
            metadata: Item::new(),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let names = [PARTITION_KEY, SORT_KEY].map(str::to_owned);
        let mut meta = names.into_iter().zip(self.keys.attributes().map(describe)).collect::<Item>();
        if let Some(ttl) = &self.ttl {
            let described = map([(ATTRIBUTE, ttl.attribute.as_str().into()), (QUEUE, tree(ttl.queue))]);
            meta.insert(TTL.to_owned(), described);
        }
        if !self.indexes.is_empty() {
            let indexes = self.indexes.iter().map(IndexSchema::to_value).collect();
            meta.insert(INDEXES.to_owned(), AttributeValue::L(indexes));
        }
        if !self.streams.is_empty() {
            let described = self.streams.iter().map(describe_stream).collect();
            meta.insert(STREAMS.to_owned(), AttributeValue::L(described));
        }
        if let Some(created_ms) = self.created_ms {
            meta.insert(CREATED_MS.to_owned(), created_ms.into());
        }
        if let Some(since) = self.history_since {
            meta.insert(HISTORY_SINCE.to_owned(), since.0.into());
        }
        if !self.metadata.is_empty() {
            meta.insert(METADATA.to_owned(), AttributeValue::M(self.metadata.clone()));
        }
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
        let ttl = match meta.get(TTL) {
            Some(value) => {
                let described = value.as_m()?;
                let attribute = described.get(ATTRIBUTE)?.as_s()?.to_owned();
                Some(Ttl { attribute, queue: tree_of(described.get(QUEUE)?)? })
            }
            None => None,
        };
        let indexes = match meta.get(INDEXES) {
            Some(indexes) => indexes.as_l()?.iter().map(IndexSchema::of_value).collect::<Option<_>>()?,
            None => Vec::new(),
        };
        let streams = match meta.get(STREAMS) {
            Some(value) => value.as_l()?.iter().map(stream).collect::<Option<_>>()?,
            None => Vec::new(),
        };
        let created_ms = match meta.get(CREATED_MS) {
            Some(value) => Some(value.as_n()?.to_u64()?),
            None => None,
        };
        let history_since = match meta.get(HISTORY_SINCE) {
            Some(value) => Some(TxnId(value.as_n()?.to_u64()?)),
            None => None,
        };
        let metadata = match meta.get(METADATA) {
            Some(value) => value.as_m()?.clone(),
            None => Item::new(),
        };
        let keys = KeySchema::new(partition_key, sort_key).ok()?;
        Some(Schema { keys, ttl, indexes, streams, created_ms, history_since, metadata })
    }

    /// The names of the trees that belong to the table, besides its own.
    pub(crate) fn trees(&self, table: &str) -> Vec<Vec<u8>> {
        let queue = self.ttl.iter().map(|_| ttl::queue_name(table));
        let indexes = self.indexes.iter().map(|index| tree_name(table, &index.definition.name));
        queue.chain(indexes).chain(self.streams.iter().map(|stream| stream.tree_name(table))).collect()
    }
}

/// Whether a name is that of a table of the user's, and not of a tree that belongs to one.
pub(crate) fn is_of_users(name: &[u8]) -> bool {
    !name.contains(&0)
}

/// A key attribute, as it is described.
pub(crate) fn describe(attribute: &KeyAttribute) -> AttributeValue {
    map([(NAME, attribute.name().into()), (TYPE, attribute.key_type().letter().into())])
}

fn map<const N: usize>(entries: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn describe_stream(stream: &Stream) -> AttributeValue {
    let mut described = Item::from([
        (VIEW.to_owned(), stream.view.as_str().into()),
        (CREATED_MS.to_owned(), stream.created_ms.into()),
        (CREATED.to_owned(), stream.created.0.into()),
        (RECORDS.to_owned(), tree(stream.records)),
    ]);
    if let Some((ms, txn)) = stream.closed {
        described.extend([(CLOSED_MS.to_owned(), ms.into()), (CLOSED.to_owned(), txn.0.into())]);
    }
    AttributeValue::M(described)
}

fn stream(value: &AttributeValue) -> Option<Stream> {
    let described = value.as_m()?;
    let number = |name| described.get(name)?.as_n()?.to_u64();
    let closed = match described.contains_key(CLOSED) {
        true => Some((number(CLOSED_MS)?, TxnId(number(CLOSED)?))),
        false => None,
    };
    Some(Stream {
        view: StreamView::of_name(described.get(VIEW)?.as_s()?)?,
        created_ms: number(CREATED_MS)?,
        created: TxnId(number(CREATED)?),
        records: tree_of(described.get(RECORDS)?)?,
        closed,
    })
}

/// The id of a tree.
pub(crate) fn tree(id: TableId) -> AttributeValue {
    u64::from(id.0).into()
}

/// Reads what `tree` wrote; `None` if it is malformed.
pub(crate) fn tree_of(value: &AttributeValue) -> Option<TableId> {
    u32::try_from(value.as_n()?.to_u64()?).ok().map(TableId)
}

/// Reads what `describe` wrote; `None` if it is malformed.
pub(crate) fn attribute(value: &AttributeValue) -> Option<KeyAttribute> {
    let described = value.as_m()?;
    let key_type = described.get(TYPE)?.as_s()?.parse().ok()?;
    KeyAttribute::new(described.get(NAME)?.as_s()?, key_type).ok()
}
