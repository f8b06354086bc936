//! Salvage: every item that can be read of a damaged database, in a new one.
//!
//! Tables are created anew from their descriptions, with their indexes, TTL, streams and history; what belongs to items is made from the
//! items. So nothing of that need be read, and damage of it is no loss. Versions are new; streams and histories begin with the items.
//! A table whose name cannot be read is named after its number, and the names of its key attributes are found by holding the
//! attributes of its first item against that item's key. One whose name is taken has its number in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dynamite_txn::salvage::{Outcome, Receive, TableShape, salvage};
use dynamite_txn::{Durability, Retention, TableId, TableInfo, TxnId};

use crate::api::database::DynaMite;
use crate::api::index_schema::IndexSchema;
use crate::api::inspect::TreeRole;
use crate::api::key;
use crate::api::options::Builder;
use crate::api::schema::Schema;
use crate::api::stream;
use crate::api::table::Table;
use crate::api::tables::MAX_TABLE_NAME_LEN;
use crate::api::ttl::{self, Ttl};
use crate::error::{Error, Result};
use crate::item_codec::ItemView;
use crate::key_codec;
use crate::types::{KeyAttribute, KeySchema};

/// Items that are put in one transaction, at the most, and their bytes.
const ITEMS: usize = 1 << 10;
const BYTES: usize = 2 << 20;

/// What was salvaged, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The tables of users', in the order of their names.
    pub tables: Vec<SalvagedTable>,
    /// No header could be used: this is the newest state that could be guessed.
    pub guessed: bool,
    /// Part of the catalog could not be read, and an older version of it was used.
    pub old_catalog: bool,
    /// The free space could not be read: items that were deleted may be back.
    pub deleted_may_be_back: bool,
    /// Items that stood in pages that nothing leads to any more.
    pub stray_items: u64,
}

/// What was salvaged of a table, and what was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalvagedTable {
    /// Its name in the new database: the same, unless that cannot be read or another table has it.
    pub name: String,
    /// Items that were salvaged.
    pub items: u64,
    /// Items that the damaged database counted in it.
    pub expected: u64,
    /// What cannot be read where it belongs. Some of it may have been found elsewhere.
    pub lost: Vec<LostKeys>,
    /// Items that are none, or that stood under a key that is not theirs, by their stored keys.
    pub unusable: Vec<Vec<u8>>,
}

/// A range of stored keys in which something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostKeys {
    /// The first key that may be among it; `None`: the table's first.
    pub from: Option<Vec<u8>>,
    /// The first key that is not; `None`: to the end of the table.
    pub to: Option<Vec<u8>>,
}

impl SalvagedTable {
    /// Whether nothing was lost, as far as anybody can tell.
    pub fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.unusable.is_empty() && self.items == self.expected
    }
}

impl DynaMite {
    /// Copies every item that can be read of the database in a file, however damaged, to a new database in another file. Nothing is
    /// written to the first.
    ///
    /// `tell` is told a few times for each MiB how many items there are so far.
    ///
    /// # Errors
    ///
    /// If there is nothing to go by in the first file, or the second cannot be written; then the second is not there.
    pub fn salvage(
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        tell: &mut dyn FnMut(u64),
    ) -> Result<Salvaged> {
        let to = to.as_ref();
        let builder = Builder::new().background(false).durability(Durability::Eventual);
        let db = builder.create(to)?;
        let salvaged = salvage_into(from.as_ref(), &db, tell).and_then(|salvaged| {
            db.close()?;
            Ok(salvaged)
        });
        if salvaged.is_err() {
            // What is left of it would be taken for a database.
            let _ = fs::remove_file(to);
        }
        salvaged
    }
}

fn salvage_into(from: &Path, db: &DynaMite, tell: &mut dyn FnMut(u64)) -> Result<Salvaged> {
    let mut taking = Taking { db, tables: BTreeMap::new(), waiting: Vec::new(), bytes: 0, items: 0, tell };
    let outcome = salvage(from, &mut taking)?;
    taking.put_waiting()?;
    let Outcome { guessed, old_catalog, free_space_unknown, stray_items, .. } = outcome;
    let mut tables: Vec<SalvagedTable> = Vec::new();
    for (_, taken) in taking.tables {
        if let Some(mut report) = taken.report {
            // One of which there is no table may have the name of another one.
            if taken.table.is_some() {
                report.items = db.describe_table(&report.name).map_or(0, |described| described.item_count);
            }
            tables.push(report);
        }
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Salvaged { tables, guessed, old_catalog, deleted_may_be_back: free_space_unknown, stray_items })
}

/// A tree of the damaged database.
struct Taken {
    /// What is said of it, if it is a table of users'.
    report: Option<SalvagedTable>,
    /// The table in the new database, as soon as it is there.
    table: Option<Table>,
    retention: Retention,
}

struct Taking<'a> {
    db: &'a DynaMite,
    tables: BTreeMap<TableId, Taken>,
    /// Items that are to be put.
    waiting: Vec<(TableId, Vec<u8>, Vec<u8>)>,
    bytes: usize,
    items: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl Receive for Taking<'_> {
    type Error = Error;

    fn table(&mut self, id: TableId, name: Option<(&[u8], &TableInfo)>, shape: TableShape) -> Result<()> {
        let role = name.map(|(name, info)| (TreeRole::of_name(name), info));
        let (name, schema) = match role {
            Some((TreeRole::Table(name), info)) => {
                let schema = Schema::decode(&info.meta);
                // What has no description at all was made by the layer below.
                if info.meta.is_empty() { (None, None) } else { (Some(name), schema) }
            }
            // Made anew with the table that it belongs to, or worth nothing now.
            Some(_) => (None, None),
            None => (Some(format!("recovered-{id}")), None),
        };
        let report = name.map(|name| SalvagedTable {
            name,
            items: 0,
            expected: shape.items,
            lost: Vec::new(),
            unusable: Vec::new(),
        });
        let has_report = report.is_some();
        self.tables.insert(id, Taken { report, table: None, retention: shape.retention });
        match schema.filter(|_| has_report) {
            Some(schema) => self.create(id, schema),
            None => Ok(()),
        }
    }

    fn item(&mut self, id: TableId, key: &[u8], _version: TxnId, item: &[u8]) -> Result<()> {
        let Some(taken) = self.tables.get(&id) else { return Ok(()) };
        if taken.report.is_none() {
            return Ok(());
        }
        if taken.table.is_none() {
            let Some(keys) = keys_of(key, item) else { return self.unusable(id, key) };
            self.create(id, Schema::of(keys))?;
        }
        if !self.can_be_of(id, key, item) {
            return self.unusable(id, key);
        }
        self.bytes += key.len() + item.len();
        self.waiting.push((id, key.to_vec(), item.to_vec()));
        if self.waiting.len() >= ITEMS || self.bytes >= BYTES {
            self.put_waiting()?;
        }
        Ok(())
    }

    fn can_be_of(&self, id: TableId, key: &[u8], item: &[u8]) -> bool {
        let table = self.tables.get(&id).and_then(|taken| taken.table.as_ref());
        table.is_some_and(|table| key::check_own(table, key, item) == Ok(true))
    }

    fn lost(&mut self, id: TableId, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<()> {
        if let Some(report) = self.tables.get_mut(&id).and_then(|taken| taken.report.as_mut()) {
            let [from, to] = [from, to].map(|key| key.map(<[u8]>::to_vec));
            report.lost.push(LostKeys { from, to });
        }
        Ok(())
    }
}

impl Taking<'_> {
    fn unusable(&mut self, id: TableId, key: &[u8]) -> Result<()> {
        if let Some(report) = self.tables.get_mut(&id).and_then(|taken| taken.report.as_mut()) {
            report.unusable.push(key.to_vec());
        }
        Ok(())
    }

    fn put_waiting(&mut self) -> Result<()> {
        let Taking { db, tables, waiting, .. } = self;
        let refused = db.shared.change(|writing| {
            let mut refused = Vec::new();
            for (id, key, item) in waiting.iter() {
                let Some(table) = tables.get(id).and_then(|taken| taken.table.as_ref()) else { continue };
                // An item that was there before its index need not fit it; a new index would not take it in either.
                match writing.check_put(table, item) {
                    Ok(()) => writing.put(table, key, item)?,
                    Err(_) => refused.push((*id, key.clone())),
                }
            }
            Ok(refused)
        })?;
        self.items += (self.waiting.len() - refused.len()) as u64;
        self.waiting.clear();
        self.bytes = 0;
        for (id, key) in refused {
            self.unusable(id, &key)?;
        }
        (self.tell)(self.items);
        Ok(())
    }

    /// Creates the table of a tree as it was described; under another name than its own, if that is taken.
    fn create(&mut self, id: TableId, schema: Schema) -> Result<()> {
        let Some(Taken { report: Some(report), retention, .. }) = self.tables.get(&id) else { return Ok(()) };
        let (name, retention) = (self.free_name(&report.name, id)?, *retention);
        let table = self.create_as(&name, schema, retention)?;
        if let Some(taken) = self.tables.get_mut(&id) {
            taken.table = Some(table);
            taken.report.iter_mut().for_each(|report| report.name.clone_from(&name));
        }
        Ok(())
    }

    /// A name that no table has yet, and that users can say: a table can be called what another one is named after its number, and of
    /// an older catalog two trees can have one name.
    fn free_name(&self, name: &str, id: TableId) -> Result<String> {
        let suffixes = std::iter::once(String::new()).chain((0u32..).map(|nth| match nth {
            0 => format!("-recovered-{id}"),
            nth => format!("-recovered-{id}-{nth}"),
        }));
        let names = suffixes.map(|suffix| {
            // Names of users' tables are ASCII.
            let kept = name.get(..MAX_TABLE_NAME_LEN.saturating_sub(suffix.len())).unwrap_or(name);
            format!("{kept}{suffix}")
        });
        let mut read = self.db.shared.store.read()?;
        for name in names {
            if read.table(name.as_bytes())?.is_none() {
                return Ok(name);
            }
        }
        unreachable!("there are fewer tables than numbers")
    }

    fn create_as(&self, name: &str, schema: Schema, retention: Retention) -> Result<Table> {
        // Its history is a new one, from its first item on.
        let Schema { keys, ttl, indexes, streams, created_ms, metadata, history_since: _ } = schema;
        let now_ms = self.db.shared.clock.now_ms();
        self.db.shared.write(|txn| {
            let mut schema = Schema::of(keys);
            (schema.created_ms, schema.metadata) = (created_ms, metadata);
            if let Some(Ttl { attribute, .. }) = ttl {
                schema.ttl = Some(Ttl { attribute, queue: ttl::create_queue(txn, name, false)? });
            }
            let indexes =
                indexes.into_iter().map(|index| IndexSchema::create(txn, name, index.definition, None));
            schema.indexes = indexes.collect::<Result<_>>()?;
            if let Some(open) = streams.last().filter(|stream| stream.closed.is_none()) {
                stream::open(txn, name, &mut schema, open.view, now_ms)?;
            }
            txn.create_table(name.as_bytes(), &schema.encode()?, retention)?;
            Ok(())
        })?;
        let info = self.db.shared.store.read()?.table(name.as_bytes())?;
        let info = info.ok_or_else(|| Error::TableNotFound { table: name.to_owned() })?;
        Table::decode(name, &info)
    }
}

/// The key schema of a table of which an item and its key are known: attributes whose values the key is made of.
fn keys_of(mut key: &[u8], item: &[u8]) -> Option<KeySchema> {
    let view = ItemView::new(item).ok()?;
    let mut attributes: Vec<KeyAttribute> = Vec::new();
    while !key.is_empty() {
        let (value, rest) = key_codec::decode(key).ok()?;
        let value = value.borrow();
        let name = view.iter().filter_map(|entry| entry.ok()).find_map(|(name, found)| {
            let is_free = attributes.iter().all(|known| known.name() != name);
            let is_it = match value {
                key_codec::KeyValue::S(text) => found.as_str().ok()? == Some(text),
                key_codec::KeyValue::N(number) => found.as_number().ok()? == Some(number),
                key_codec::KeyValue::B(bytes) => found.as_bytes() == Some(bytes),
            };
            (is_free && is_it).then(|| name.to_owned())
        })?;
        attributes.push(KeyAttribute::new(name, value.key_type()).ok()?);
        key = rest;
    }
    let mut attributes = attributes.into_iter();
    let (partition, sort) = (attributes.next()?, attributes.next());
    if attributes.next().is_some() { None } else { KeySchema::new(partition, sort).ok() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::item_codec;
    use crate::types::KeyType;

    #[test]
    fn a_table_whose_name_is_taken_is_salvaged_under_another_one() {
        let long = format!("{}recovered-9", "x".repeat(MAX_TABLE_NAME_LEN - 11));
        let (old, new) = (DynaMite::in_memory().unwrap(), DynaMite::in_memory().unwrap());
        let mut infos = Vec::new();
        for name in ["recovered-9", &long] {
            old.create_table(name).partition_key("id", KeyType::String).execute().unwrap();
            infos.push((name, old.shared.store.read().unwrap().table(name.as_bytes()).unwrap().unwrap()));
        }
        let tell = &mut |_| ();
        let mut taking =
            Taking { db: &new, tables: BTreeMap::new(), waiting: Vec::new(), bytes: 0, items: 0, tell };
        let shape = || TableShape { items: 1, retention: Retention::None };
        for (id, named) in [
            (5, Some(&infos[0])),
            (9, None),
            // As older catalogs may have them.
            (12, Some(&infos[0])),
            (13, Some(&infos[1])),
            (14, Some(&infos[1])),
        ] {
            let named = named.map(|(name, info)| (name.as_bytes(), info));
            taking.table(TableId(id), named, shape()).unwrap();
            let item = item_codec::encode_json(&json!({"id": "a", "n": id})).unwrap();
            let mut key = Vec::new();
            key_codec::KeyValue::S("a").encode_into(&mut key);
            taking.item(TableId(id), &key, TxnId(1), &item).unwrap();
        }
        taking.put_waiting().unwrap();
        let names = taking.tables.values().map(|taken| taken.report.as_ref().unwrap().name.clone());
        let names = names.collect::<Vec<_>>();
        assert_eq!(names[..3], ["recovered-9", "recovered-9-recovered-9", "recovered-9-recovered-12"]);
        assert_eq!(names[3], long);
        assert!(
            names[4].len() == MAX_TABLE_NAME_LEN && names[4].ends_with("xx-recovered-14"),
            "{}",
            names[4]
        );
        for (name, id) in names.iter().zip([5, 9, 12, 13, 14]) {
            let items = new.scan(name).execute().unwrap().items;
            assert_eq!(items, [json!({"id": "a", "n": id})], "{name}");
        }
    }
}
