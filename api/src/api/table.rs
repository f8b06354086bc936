//! What an operation must know of a table: its id and what its description says; and the cache that spares it the
//! reading.
//!
//! # Why the cache never lies
//!
//! An entry leads from a name to a table id, and to the description that some transaction wrote. Ids are never used again, so
//! an entry is right for a state in which the table of that id exists and was described last by that transaction; the lookup
//! of the table's root says both at no cost. A snapshot looks at the newest root too: there the transaction must also be one that
//! it sees. If it is not so, the name is read anew from the very state that is read.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dynamite_txn::{TableInfo, TxnId};

use crate::api::index_entry::{Index, Indexes};
use crate::api::layout::Layout;
use crate::api::moment::Moment;
use crate::api::schema::{Schema, is_of_users};
use crate::api::source::Reading;
use crate::api::stream::Stream;
use crate::api::tables;
use crate::api::ttl::Ttl;
use crate::error::{Error, IndexError, Result};
use crate::types::KeySchema;

/// What is known of a table.
#[derive(Debug)]
pub(crate) struct Table {
    layout: Arc<Layout>,
    /// The transaction that wrote the description.
    described: TxnId,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) indexes: Indexes,
    /// Its streams, the oldest first: those that were closed, and the one that is open.
    pub(crate) streams: Vec<Stream>,
    /// The transaction from which on the history tells everything, if not from the table's creation on.
    pub(crate) history_since: Option<TxnId>,
    /// Whether this is read as of the past, which indexes do not have.
    is_past: bool,
}

/// A table is first of all its own items.
impl Deref for Table {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

/// Where a read looks: in a table, or in one of its indexes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'t> {
    pub(crate) table: &'t Table,
    pub(crate) index: Option<&'t Index>,
}

impl<'t> Place<'t> {
    /// The tree, and what its keys are made of.
    pub(crate) fn layout(&self) -> &'t Arc<Layout> {
        self.index.map_or(&self.table.layout, |index| &index.layout)
    }
}

impl Table {
    pub(crate) fn decode(name: &str, info: &TableInfo) -> Result<Table> {
        let Schema { keys, ttl, indexes, streams, history_since, .. } =
            Schema::decode(&info.meta).ok_or_else(|| tables::malformed(name))?;
        let indexes = Indexes::new(name, &keys, indexes);
        let layout = Layout {
            id: info.id,
            name: name.to_owned(),
            index: None,
            keys,
            table_keys: None,
            hashed_ties: false,
        };
        let described = info.version;
        let layout = Arc::new(layout);
        Ok(Table { layout, described, ttl, indexes, streams, history_since, is_past: false })
    }

    /// The table, to be read as of the past.
    pub(crate) fn of_past(name: &str, info: &TableInfo) -> Result<Table> {
        Ok(Table { is_past: true, ..Table::decode(name, info)? })
    }

    /// The table's items, or those of an index that can be read.
    pub(crate) fn place(&self, index: Option<&str>) -> Result<Place<'_>> {
        let index = match index {
            None => None,
            Some(name) => {
                let index = self.indexes.find(name);
                Some(index.ok_or_else(|| IndexError::NotFound { index: name.to_owned() })?)
            }
        };
        match index {
            Some(index) if self.is_past => Err(IndexError::NoHistory { index: index.name.clone() }.into()),
            Some(index) if index.building.is_some() => {
                Err(IndexError::IsBuilding { index: index.name.clone() }.into())
            }
            index => Ok(Place { table: self, index }),
        }
    }

    /// Whether this is what `reading` sees under the table's name.
    #[inline]
    fn is_current(&self, reading: &mut Reading<'_, '_>) -> Result<bool> {
        Ok(self.described <= reading.newest() && reading.described(self.id)? == Some(self.described))
    }

    /// The keys of its indexes.
    pub(crate) fn index_keys(&self) -> Vec<&KeySchema> {
        self.indexes.iter().map(|index| &index.layout.keys).collect()
    }

    /// The stream that changes go to.
    #[inline]
    pub(crate) fn open_stream(&self) -> Option<&Stream> {
        self.streams.last().filter(|stream| stream.closed.is_none())
    }

    /// Whether a write of an item is all that there is to do: nothing else belongs to it.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.ttl.is_none() && self.indexes.is_empty() && self.open_stream().is_none()
    }

    /// Whether an item counts as gone although it is stored.
    #[inline]
    pub(crate) fn is_expired(&self, item: &[u8], moment: &Moment<'_>) -> Result<bool> {
        if self.ttl.is_none() { Ok(false) } else { self.is_expired_at(item, moment.seconds()) }
    }

    /// Whether an item counts as gone at a second.
    pub(crate) fn is_expired_at(&self, item: &[u8], seconds: u64) -> Result<bool> {
        let Some(ttl) = &self.ttl else { return Ok(false) };
        ttl.is_expired(item, seconds).map_err(|damage| self.damaged(damage))
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
            && table.is_current(reading)?
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
        let Some(info) = reading.table(name)?.filter(|_| is_of_users(name.as_bytes())) else {
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
