//! What an operation must know of a table: its id and the attributes of its key; and the cache that spares it the
//! reading.
//!
//! # Why the cache never lies
//!
//! An entry leads from a name to a table id. Ids are never used again, so an entry is right for a state in which the table of
//! that id still exists, and the lookup of the table's root says so at no cost. If it does not, the name is read anew from
//! the very state that is read. A snapshot may see an older table of the same name: it has a cache of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dynamite_txn::{TableId, TableInfo};

use crate::api::source::Reading;
use crate::error::{Damage, Error, Result};
use crate::item_codec;
use crate::types::{KeyAttribute, KeySchema};
use crate::value::{AttributeValue, Item};

/// What is known of a table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: TableId,
    pub(crate) name: String,
    pub(crate) keys: KeySchema,
}

impl Table {
    pub(crate) fn decode(name: &str, info: &TableInfo) -> Result<Table> {
        let keys = decode_keys(&info.meta)
            .ok_or_else(|| Error::DamagedItem { table: name.to_owned(), source: Damage::Schema })?;
        Ok(Table { id: info.id, name: name.to_owned(), keys })
    }

    /// An error of stored bytes, with the table's name.
    pub(crate) fn damaged(&self, source: impl Into<Damage>) -> Error {
        Error::DamagedItem { table: self.name.clone(), source: source.into() }
    }
}

/// Tables by name, as they were last seen. A lookup takes no lock and writes to no shared memory.
#[derive(Debug, Default)]
pub(crate) struct TableCache {
    tables: ArcSwap<BTreeMap<String, Arc<Table>>>,
}

impl TableCache {
    /// Looks up a table as `reading` sees it.
    pub(crate) fn with<R>(
        &self,
        reading: &mut Reading<'_, '_>,
        name: &str,
        body: impl FnOnce(&Arc<Table>, &mut Reading<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        let tables = self.tables.load();
        if let Some(table) = tables.get(name)
            && reading.has(table.id)?
        {
            return body(table, reading);
        }
        drop(tables);
        body(&self.read(reading, name)?, reading)
    }

    /// A table as `reading` sees it, to be kept.
    pub(crate) fn find(&self, reading: &mut Reading<'_, '_>, name: &str) -> Result<Arc<Table>> {
        self.with(reading, name, |table, _| Ok(table.clone()))
    }

    #[cold]
    fn read(&self, reading: &mut Reading<'_, '_>, name: &str) -> Result<Arc<Table>> {
        let Some(info) = reading.table(name)? else {
            return Err(Error::TableNotFound { table: name.to_owned() });
        };
        let table = Arc::new(Table::decode(name, &info)?);
        self.tables.rcu(|tables| {
            let mut tables = BTreeMap::clone(tables);
            tables.insert(name.to_owned(), table.clone());
            tables
        });
        Ok(table)
    }

    /// Forgets a table that was dropped.
    pub(crate) fn forget(&self, name: &str) {
        self.tables.rcu(|tables| {
            let mut tables = BTreeMap::clone(tables);
            tables.remove(name);
            tables
        });
    }
}

const PARTITION_KEY: &str = "partition_key";
const SORT_KEY: &str = "sort_key";
const NAME: &str = "name";
const TYPE: &str = "type";

/// What is kept with a table's name: an item, so that what is added later needs no new format.
///
/// ```text
/// {"partition_key": {"name": "user_id", "type": "S"}, "sort_key": {"name": "at", "type": "N"}}
/// ```
pub(crate) fn encode_keys(keys: &KeySchema) -> Result<Vec<u8>> {
    let described = |attribute: &KeyAttribute| {
        AttributeValue::M(Item::from([
            (NAME.to_owned(), attribute.name().into()),
            (TYPE.to_owned(), attribute.key_type().letter().into()),
        ]))
    };
    let names = [PARTITION_KEY, SORT_KEY].map(str::to_owned);
    let meta = names.into_iter().zip(keys.attributes().map(described)).collect::<Item>();
    Ok(item_codec::encode(&meta)?)
}

fn decode_keys(meta: &[u8]) -> Option<KeySchema> {
    let meta = item_codec::decode(meta).ok()?;
    let attribute = |value: &AttributeValue| {
        let described = value.as_m()?;
        let key_type = described.get(TYPE)?.as_s()?.parse().ok()?;
        KeyAttribute::new(described.get(NAME)?.as_s()?, key_type).ok()
    };
    let partition_key = attribute(meta.get(PARTITION_KEY)?)?;
    let sort_key = match meta.get(SORT_KEY) {
        Some(value) => Some(attribute(value)?),
        None => None,
    };
    KeySchema::new(partition_key, sort_key).ok()
}
