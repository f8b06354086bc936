//! Backups of single tables, kept in the database: copies that stay when the table changes, or is dropped.
//!
//! A backup is a table of its own, which is no user's: its name is a NUL, `backup`, a NUL and the backup's id; its items are those of
//! the table, under the same keys; and what is known of it, in JSON, is what is kept with its name.
//!
//! It is copied from a snapshot, in write transactions of bounded size, so that nobody waits for long. The last one says that it
//! is whole. Before that it is nobody's: what a crash has left is dropped after the next open.
//!
//! A table is restored in one transaction: it is there with all its items, or not at all. Its global indexes are built in the
//! background then.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use dynamite_txn::{Durability, Range, ReadTxn, Retention, Snapshot, TableId, TableInfo, TxnId, WriteTxn};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::api::database::{DynaMite, Engine};
use crate::api::housekeeping::Pace;
use crate::api::index::{Definition, IndexKind, check_together};
use crate::api::index_schema::IndexSchema;
use crate::api::schema::Schema;
use crate::api::table::Table;
use crate::api::tables::{self, TableDescription};
use crate::api::writing::Writing;
use crate::error::{Error, Result};
use crate::value::Item;

/// What the names of backups begin with.
pub(crate) const PREFIX: &[u8] = b"\0backup\0";
/// Bytes that a transaction copies, and one item more.
const STEP_BYTES: usize = 1 << 20;

/// A backup of a table, made by [`DynaMite::create_table_backup`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableBackup {
    /// By which it is found: it begins with when it was made, so that ids are ordered by time.
    pub id: String,
    /// The name that it was given; others may have the same.
    pub name: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The table, as it was then.
    pub table: TableDescription,
    is_whole: bool,
}

/// What is known of backups while the database is open.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    /// Those that are being made.
    underway: Mutex<BTreeSet<String>>,
    /// Whether it was looked for what an earlier life has left.
    is_tidy: AtomicBool,
}

impl Backups {
    fn underway(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Names are whole, whoever panicked.
        self.underway.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backup that is being made; it is not any more when this is dropped.
struct Underway<'a> {
    backups: &'a Backups,
    id: &'a str,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.backups.underway().remove(self.id);
    }
}

impl TableBackup {
    fn tree_name(id: &str) -> Vec<u8> {
        [PREFIX, id.as_bytes()].concat()
    }

    fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|_| tables::malformed(&self.table.name))
    }

    /// What a table is, if it is a backup that is whole.
    fn decode(name: &[u8], info: &TableInfo) -> Result<Option<TableBackup>> {
        let Some(id) = name.strip_prefix(PREFIX) else { return Ok(None) };
        let malformed = |_| tables::malformed(&format!("of backup {}", String::from_utf8_lossy(id)));
        let backup: TableBackup = serde_json::from_slice(&info.meta).map_err(malformed)?;
        Ok(backup.is_whole.then_some(backup))
    }

    fn find(read: &mut ReadTxn<'_>, id: &str) -> Result<(TableId, TableBackup)> {
        let name = TableBackup::tree_name(id);
        let found = match read.table(&name)? {
            Some(info) => TableBackup::decode(&name, &info)?.map(|backup| (info.id, backup)),
            None => None,
        };
        found.ok_or_else(|| not_found(id))
    }
}

fn not_found(id: &str) -> Error {
    Error::BackupNotFound { backup: id.to_owned() }
}

impl DynaMite {
    /// Copies a table, as it is now, to a backup in this database. Reads and writes go on meanwhile. When this returns, the
    /// backup is durable (but with [`Durability::Eventual`](crate::api::Durability::Eventual)); it stays when the table is dropped. Backups of the whole database, in other files, are another thing:
    /// [`DynaMite::backup`].
    ///
    /// ```
    /// # use dynamite_core::api::DynaMite;
    /// # use dynamite_core::types::KeyType;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// db.put_item("users", json!({"user_id": "alice", "age": 30}))?;
    /// let backup = db.create_table_backup("users", "before the summer")?;
    /// db.drop_table("users")?;
    ///
    /// db.restore_table("users").from_backup(&backup.id).execute()?;
    /// assert!(db.get_item("users").partition_key("alice").execute()?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cost: a read and a write of the whole table, in transactions of a megabyte.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`]. After any error nothing is left.
    pub fn create_table_backup(&self, table: &str, name: &str) -> Result<TableBackup> {
        let (state, described, source) = loop {
            let state = self.shared.store.snapshot()?;
            let mut read = state.read()?;
            // What is counted is so of the newest state only; somebody may just have written.
            if read.is_newest() {
                let described = tables::describe(&mut read, table)?;
                let info = read.table(table.as_bytes())?.ok_or_else(|| tables::not_found(table))?;
                drop(read);
                break (state, described, info.id);
            }
        };
        let created_ms = self.shared.clock.now_ms();
        let mut backup = TableBackup {
            id: self.new_id(created_ms, state.txn(), name)?,
            name: name.to_owned(),
            created_ms,
            table: described,
            is_whole: false,
        };
        let id = backup.id.clone();
        let _underway = Underway { backups: &self.shared.backups, id: &id };
        let copied = self.copy(&state, source, &mut backup);
        if copied.is_err() {
            self.shared.write(|txn| Ok(txn.drop_table(&TableBackup::tree_name(&id))?))?;
        }
        copied.map(|()| backup)
    }

    /// An id that no other backup has; it is being made from now on.
    fn new_id(&self, created_ms: u64, txn: TxnId, name: &str) -> Result<String> {
        let mut underway = self.shared.backups.underway();
        let mut salt = u64::from(std::process::id());
        loop {
            let seed = [&txn.0.to_le_bytes(), &salt.to_le_bytes(), name.as_bytes()].concat();
            let id = format!("{created_ms:014}-{:08x}", xxh3_64(&seed) as u32);
            // One that is under way no more has a tree by now, if it was made in the same millisecond of the same state.
            let is_made = self.shared.store.read()?.table(&TableBackup::tree_name(&id))?.is_some();
            if !is_made && underway.insert(id.clone()) {
                return Ok(id);
            }
            salt = salt.wrapping_add(1);
        }
    }

    fn copy(&self, state: &Snapshot, source: TableId, backup: &mut TableBackup) -> Result<()> {
        let name = TableBackup::tree_name(&backup.id);
        let tree =
            self.shared.write(|txn| Ok(txn.create_table(&name, &backup.encode()?, Retention::None)?))?;
        let mut rows = state.scan(source, Range::all());
        loop {
            // The last step, which says that all is there, is the one that is waited for.
            let mut txn = self.shared.store.begin()?;
            let mut bytes = 0;
            let mut is_last = false;
            while bytes < STEP_BYTES && !is_last {
                match rows.next()? {
                    Some(row) => {
                        bytes += row.key.len() + row.payload.len();
                        txn.put(tree, row.key, row.payload)?;
                    }
                    None => is_last = true,
                }
            }
            if is_last {
                backup.is_whole = true;
                txn.set_table_meta(&name, &backup.encode()?)?;
                txn.commit(Durability::Immediate)?;
                return Ok(());
            }
            txn.commit(Durability::Eventual)?;
        }
    }

    /// All backups of tables, the oldest first, also of tables that were dropped.
    pub fn list_table_backups(&self) -> Result<Vec<TableBackup>> {
        let tables = self.shared.store.read()?.tables()?;
        tables.iter().filter_map(|(name, info)| TableBackup::decode(name, info).transpose()).collect()
    }

    /// What is known of a backup.
    ///
    /// # Errors
    ///
    /// [`Error::BackupNotFound`].
    pub fn describe_table_backup(&self, id: &str) -> Result<TableBackup> {
        Ok(TableBackup::find(&mut self.shared.store.read()?, id)?.1)
    }

    /// Deletes a backup, and returns what was known of it. Its pages are freed in the background.
    ///
    /// # Errors
    ///
    /// [`Error::BackupNotFound`].
    pub fn delete_table_backup(&self, id: &str) -> Result<TableBackup> {
        let name = TableBackup::tree_name(id);
        self.shared.write(|txn| {
            let info = txn.table(&name)?.ok_or_else(|| not_found(id))?;
            let backup = TableBackup::decode(&name, &info)?.ok_or_else(|| not_found(id))?;
            txn.drop_table(&name)?;
            Ok(backup)
        })
    }

    /// Begins to restore a table, under a name that no table has.
    pub fn restore_table<'a>(&'a self, name: &'a str) -> RestoreTable<'a> {
        RestoreTable { db: self, name, source: None, global: None, local: None, metadata: None }
    }
}

/// Drops what was left by a crash. Does so once.
pub(crate) fn tidy(engine: &Engine) -> Result<Pace> {
    if engine.backups.is_tidy.load(Ordering::Relaxed) {
        return Ok(Pace::WhenRung);
    }
    let tables = engine.store.read()?.tables()?;
    for (name, _) in tables.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        engine.write(|txn| {
            let Some(info) = txn.table(name)? else { return Ok(()) };
            let id = String::from_utf8_lossy(&name[PREFIX.len()..]);
            // Whoever makes one is known until the transaction that says it is whole.
            if matches!(TableBackup::decode(name, &info), Ok(None))
                && !engine.backups.underway().contains(&*id)
            {
                txn.drop_table(name)?;
            }
            Ok(())
        })?;
    }
    engine.backups.is_tidy.store(true, Ordering::Relaxed);
    Ok(Pace::WhenRung)
}

/// Where a restored table comes from.
#[derive(Clone, Copy, Debug)]
enum RestoreFrom<'a> {
    Backup(&'a str),
    /// Another table, as it was then, or as it is.
    Table(&'a str, Option<SystemTime>),
}

/// A table that is about to be restored; [`DynaMite::restore_table`] begins, [`execute`](RestoreTable::execute) ends.
///
/// It has the keys and the indexes of the one that it was, and all its items; neither a stream nor a time to live nor a history.
#[derive(Clone, Debug)]
#[must_use = "nothing is restored before execute"]
pub struct RestoreTable<'a> {
    db: &'a DynaMite,
    name: &'a str,
    source: Option<RestoreFrom<'a>>,
    global: Option<Vec<&'a str>>,
    local: Option<Vec<&'a str>>,
    metadata: Option<Item>,
}

impl<'a> RestoreTable<'a> {
    /// From a backup of a table.
    pub fn from_backup(mut self, id: &'a str) -> Self {
        self.source = Some(RestoreFrom::Backup(id));
        self
    }

    /// From a table [with a history](crate::api::CreateTable::history), as it was at a time; see [`DynaMite::as_of_time`].
    pub fn from_past(mut self, table: &'a str, time: SystemTime) -> Self {
        self.source = Some(RestoreFrom::Table(table, Some(time)));
        self
    }

    /// From a table, as it is now.
    pub fn from_table(mut self, table: &'a str) -> Self {
        self.source = Some(RestoreFrom::Table(table, None));
        self
    }

    /// Only these of the global indexes.
    pub fn global_indexes(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.global = Some(names.into_iter().collect());
        self
    }

    /// Only these of the local indexes.
    pub fn local_indexes(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.local = Some(names.into_iter().collect());
        self
    }

    /// What a front end keeps with the table, instead of what it kept with the one that is restored.
    pub fn metadata(mut self, metadata: Item) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Restores the table. It is there with all its items when this returns (durably, but with
    /// [`Durability::Eventual`](crate::api::Durability::Eventual)); global indexes are built in the background.
    ///
    /// Cost: one transaction that writes all items: others who write wait meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::TableExists`]; [`Error::BackupNotFound`], [`Error::TableNotFound`], or what [`DynaMite::as_of_time`] refuses;
    /// [`Error::IndexNotFound`] for one that is to be restored.
    pub fn execute(self) -> Result<()> {
        tables::check_name(self.name)?;
        let shared = &self.db.shared;
        let (state, source, described) = self.find()?;
        let local = definitions(&described, IndexKind::Local, self.local.as_deref())?;
        let global = definitions(&described, IndexKind::Global, self.global.as_deref())?;
        check_together(&described.keys, local.iter().chain(&global))?;
        let course = shared.course();
        let mut schema = Schema::of(described.keys);
        schema.created_ms = Some(shared.clock.now_ms());
        schema.metadata = self.metadata.unwrap_or(described.metadata);
        let built = shared.write(|txn| {
            if txn.table(self.name.as_bytes())?.is_some() {
                return Err(Error::TableExists { table: self.name.to_owned() });
            }
            let indexes = local.into_iter().map(|index| IndexSchema::create(txn, self.name, index, None));
            schema.indexes = indexes.collect::<Result<_>>()?;
            let id = txn.create_table(self.name.as_bytes(), &schema.encode()?, Retention::None)?;
            put_all(txn, self.name, |txn, table| {
                let mut writing = Writing::new(&shared.tables, txn, &course);
                let mut rows = state.scan(source, Range::all());
                while let Some(row) = rows.next()? {
                    writing.put(table, row.key, row.payload)?;
                }
                Ok(())
            })?;
            // All that this transaction has put is older than these indexes; what comes later is not.
            let since = Some(TxnId(txn.id().0 + 1));
            for index in global {
                schema.indexes.push(IndexSchema::create(txn, self.name, index, since)?);
            }
            txn.set_table_meta(self.name.as_bytes(), &schema.encode()?)?;
            debug_assert_eq!(txn.table(self.name.as_bytes())?.map(|info| info.id), Some(id));
            let building = schema.indexes.iter().filter(|index| index.building.is_some());
            Ok(building.map(|index| index.tree).collect::<Vec<_>>())
        })?;
        built.into_iter().for_each(|tree| shared.builds.add(self.name, tree));
        shared.bell.expect(0);
        Ok(())
    }

    /// A state, the table in it that has the items, and what it was.
    fn find(&self) -> Result<(Snapshot, TableId, TableDescription)> {
        let store = &self.db.shared.store;
        match self.source {
            Some(RestoreFrom::Backup(id)) => {
                let state = store.snapshot()?;
                let (tree, backup) = TableBackup::find(&mut state.read()?, id)?;
                Ok((state, tree, backup.table))
            }
            Some(RestoreFrom::Table(table, time)) => {
                let now = store.snapshot()?;
                let (described, info) = {
                    let mut read = now.read()?;
                    let described = tables::describe(&mut read, table)?;
                    (described, read.table(table.as_bytes())?)
                };
                let id = info.ok_or_else(|| tables::not_found(table))?.id;
                match time.map(|time| self.db.as_of_time(table, time)).transpose()? {
                    None => Ok((now, id, described)),
                    Some(past) if past.table_id() == id => Ok((past.into_state(), id, described)),
                    // It was dropped, and there is another one, since a moment ago.
                    Some(_) => Err(tables::not_found(table)),
                }
            }
            None => Err(not_found("")),
        }
    }
}

/// Hands a table that was just created to whoever fills it.
fn put_all(
    txn: &mut WriteTxn<'_>,
    name: &str,
    fill: impl FnOnce(&mut WriteTxn<'_>, &Table) -> Result<()>,
) -> Result<()> {
    let (info, _) = tables::described(txn, name)?;
    fill(txn, &Table::decode(name, &info)?)
}

/// The indexes of a kind, or those of them that are asked for.
fn definitions(table: &TableDescription, kind: IndexKind, only: Option<&[&str]>) -> Result<Vec<Definition>> {
    let of_kind = || table.indexes.iter().filter(|index| index.kind == kind);
    for name in only.unwrap_or_default() {
        if !of_kind().any(|index| index.name == *name) {
            return Err(Error::IndexNotFound { table: table.name.clone(), index: (*name).to_owned() });
        }
    }
    let wanted = of_kind().filter(|index| only.is_none_or(|only| only.contains(&&*index.name)));
    let define = |index: &crate::api::index::IndexDescription| Definition {
        name: index.name.clone(),
        kind,
        keys: index.keys.clone(),
        hashed_ties: index.hashed_ties,
        projection: index.projection.clone(),
    };
    Ok(wanted.map(define).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::types::KeyType;

    /// What a crash leaves in the middle is seen by nobody, and dropped; what is under way is not.
    #[test]
    fn a_backup_that_is_not_whole_is_nobodys() {
        let db = DynaMite::builder().background(false).in_memory().unwrap();
        db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
        db.put_item("things", json!({"id": "a"})).unwrap();
        let whole = db.create_table_backup("things", "whole").unwrap();
        let names: Vec<String> = ["00000000000001-left", "00000000000002-underway"].map(str::to_owned).into();
        db.shared.backups.underway().insert(names[1].clone());
        for id in &names {
            let backup = TableBackup { id: id.clone(), is_whole: false, ..whole.clone() };
            let name = TableBackup::tree_name(id);
            db.shared.write(|txn| Ok(txn.create_table(&name, &backup.encode()?, Retention::None)?)).unwrap();
        }
        let trees = || {
            let tables = db.shared.store.read().unwrap().tables().unwrap();
            let names = tables.into_iter().filter_map(|(name, _)| Some(name.strip_prefix(PREFIX)?.to_vec()));
            names.map(|name| String::from_utf8(name).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(trees(), [&names[0], &names[1], &whole.id].map(Clone::clone));
        assert_eq!(db.list_table_backups().unwrap(), std::slice::from_ref(&whole));
        for id in &names {
            assert!(matches!(db.describe_table_backup(id), Err(Error::BackupNotFound { .. })));
            assert!(matches!(db.delete_table_backup(id), Err(Error::BackupNotFound { .. })));
            let restored = db.restore_table("more").from_backup(id).execute();
            assert!(matches!(restored, Err(Error::BackupNotFound { .. })));
        }
        db.maintain().unwrap();
        assert_eq!(trees(), [&names[1], &whole.id].map(Clone::clone));
    }
}
