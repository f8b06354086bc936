//! A write transaction: changes that are seen together, durable together, or never were.
//!
//! It reads what it wrote. It is copy-on-write over the transaction before it, durable or not; dropping it undoes it
//! without a trace.
//!
//! # What happens to a version that is superseded
//!
//! 1. Written by this very transaction: nobody has seen it, it is forgotten.
//! 2. Otherwise it is kept: the published state counts as a snapshot, and whoever enters before this transaction is published
//!    may register one that needs the version. Most often nobody does, so it is kept in memory ([`crate::recent`]), and the
//!    new record links past it; an item that is deleted is taken out of the table's tree.
//! 3. If somebody needs it already, if the table's retention does, if it is large, or if the item is deleted and the history holds older
//!    versions of it, it moves to the history tree, and the new record links to it.
//! 4. The next writer of the item looks at what the link leads to: a version that has turned out to be needed by
//!    nobody is dropped there and then, so that an item that is written often beside one old snapshot has
//!    the version that this snapshot needs, and one or two more.
//! 5. What no snapshot can need any more, since all are younger, is collected in the order of the history
//!    ([`crate::reclaim`]).
//!
//! A deletion whose version moves to the history leaves a tombstone in the table, and the history entry says so: when the entry
//! goes, the tombstone goes.

pub(crate) mod series;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dynamite_bptree::{Body, Displaced, MAX_KEY, MAX_VALUE, NewValue, Tree, TreeError, Value};
use dynamite_pager::{Access, Durability, WriteBatch};

use crate::catalog::{Catalog, FIRST_TABLE, HISTORY, NAMES, Retention, TableRecord};
use crate::error::{Damage, Result, TxnError, if_exists, text};
use crate::history::{self, Entry, LONGEST_INLINE_KEY};
use crate::named::NamedSnapshots;
use crate::names::{self, TableInfo};
use crate::recent::{RecentVersion, SupersededHere};
use crate::record::Record;
use crate::scan::{Range, Row};
use crate::store::Shared;
use crate::times;
use crate::txn_id::{TableId, TxnId, VersionKey};
use crate::visibility::View;

/// The longest payload of an item, in bytes.
pub const MAX_PAYLOAD: usize = MAX_VALUE - Record::MAX_SIZE;

/// An open write transaction. Dropping it rolls it back. Belongs to the thread that began it.
#[derive(Debug)]
pub struct WriteTxn<'s> {
    pub(crate) shared: &'s Shared,
    pub(crate) batch: WriteBatch<'s>,
    pub(crate) catalog: Catalog,
    /// Tables that were looked at, as they are now. Those that differ from the catalog are stored at the end.
    tables: BTreeMap<TableId, OpenTable>,
    /// The newest transaction that readers could see when this one began.
    pub(crate) published: TxnId,
    /// What was superseded at or before this is needed by nobody.
    pub(crate) horizon: TxnId,
    next_ordinal: u32,
    /// What this transaction superseded and nobody is known to need, and what others of its [series](series) did.
    recent: SupersededHere,
    recent_before: Vec<SupersededHere>,
    /// The last one of its series before it that has changed anything.
    predecessor: Option<TxnId>,
    changed: bool,
    /// An operation failed half-way.
    failed: bool,
    pub(crate) named: NamedSnapshots<'s>,
    nesting: Nesting,
}

#[derive(Clone, Copy, Debug)]
struct OpenTable {
    record: TableRecord,
    stored: bool,
}

impl<'s> WriteTxn<'s> {
    /// Begins a transaction; waits while another one is open.
    pub(crate) fn begin(shared: &'s Shared) -> Result<WriteTxn<'s>> {
        let nesting = Nesting::enter(shared)?;
        let batch = shared.pager.begin()?;
        // In this order, see `snapshot`.
        let published = shared.published();
        let horizon = shared.registry.advance(published);
        shared.recent.settle(published, &shared.registry);
        Ok(WriteTxn {
            tables: BTreeMap::new(),
            published,
            horizon,
            catalog: Catalog::at(&batch.roots()),
            next_ordinal: 0,
            recent: SupersededHere::new(batch.birth().into(), shared.recent.room()),
            recent_before: Vec::new(),
            predecessor: None,
            changed: false,
            failed: false,
            named: NamedSnapshots::new(&shared.registry),
            nesting,
            shared,
            batch,
        })
    }

    /// The transaction's id: the version of everything that it writes.
    pub fn id(&self) -> TxnId {
        self.batch.birth().into()
    }

    /// The transaction that this one builds upon: the newest that was committed before it.
    pub fn base(&self) -> TxnId {
        self.predecessor.unwrap_or(self.batch.base().into())
    }

    /// Hands the payload of an item, as this transaction has left it, to `with`.
    pub fn get<R>(
        &mut self,
        table: TableId,
        key: &[u8],
        with: impl FnOnce(TxnId, &[u8]) -> R,
    ) -> Result<Option<R>> {
        self.look(|txn| txn.view(table)?.get(&mut txn.batch, key, with))
    }

    /// Visits the items of a range, as this transaction has left them, until `visit` breaks off. Returns whether it did.
    pub fn scan(
        &mut self,
        table: TableId,
        range: &Range<&[u8]>,
        access: Access,
        visit: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.look(|txn| txn.view(table)?.scan(&mut txn.batch, range, access, visit))
    }

    /// Stores an item, replacing what stands under its key.
    ///
    /// # Errors
    ///
    /// Keys longer than [`MAX_KEY`] and payloads longer than [`MAX_PAYLOAD`] are refused, and the transaction goes on. After any other
    /// error it can only be rolled back.
    ///
    /// Cost: two descents; three if an item is replaced.
    pub fn put(&mut self, table: TableId, key: &[u8], payload: &[u8]) -> Result<()> {
        check_size("key", key.len(), MAX_KEY)?;
        check_size("value", payload.len(), MAX_PAYLOAD)?;
        self.writable_table(table)?;
        self.attempt(|txn| {
            let old = txn.current(table, key)?;
            let older = txn.link_to(table, key, old.as_ref(), false)?;
            let mut record = txn.record(table)?;
            let head = Record::live(txn.id(), older.link).encode();
            let value = NewValue { head: &head, body: Body::Bytes(payload) };
            let displaced = record.tree.insert(&mut txn.batch, key, value)?;
            if let Some(old) = old.filter(|old| !old.record.tombstone) {
                record.forget_item(size(key, old.payload_len));
            }
            record.count_item(size(key, payload.len()));
            txn.supersede(table, &mut record, key, older, displaced, false)?;
            txn.set_table(table, record);
            Ok(())
        })
    }

    /// Stores items that come in the order of their keys, as [`put`](Self::put) does each of them. An error leaves some of them
    /// stored.
    ///
    /// Cost: for those that are new, one descent for all that go to the same leaf.
    pub fn put_ascending(&mut self, table: TableId, items: &[(&[u8], &[u8])]) -> Result<()> {
        for (key, payload) in items {
            check_size("key", key.len(), MAX_KEY)?;
            check_size("value", payload.len(), MAX_PAYLOAD)?;
        }
        self.writable_table(table)?;
        let mut left = items;
        while !left.is_empty() {
            let new = self.attempt(|txn| {
                let mut record = txn.record(table)?;
                let head = Record::live(txn.id(), None).encode();
                let new = record.tree.insert_many(&mut txn.batch, &head, left)?;
                for (key, payload) in &left[..new] {
                    record.count_item(size(key, payload.len()));
                }
                txn.set_table(table, record);
                Ok(new)
            })?;
            left = &left[new..];
            // Something stands in the place of the next.
            if let Some(((key, payload), rest)) = left.split_first() {
                self.put(table, key, payload)?;
                left = rest;
            }
        }
        Ok(())
    }

    /// Deletes an item. Returns whether there was one.
    ///
    /// Cost and errors: as for [`put`](Self::put).
    pub fn delete(&mut self, table: TableId, key: &[u8]) -> Result<bool> {
        self.writable_table(table)?;
        let current = self.look(|txn| txn.current(table, key))?;
        let Some(old) = current.filter(|old| !old.record.tombstone) else { return Ok(false) };
        self.attempt_with_reserve(|txn| {
            // What is kept for others frees nothing.
            let is_kept = txn.record(table)?.retention != Retention::None
                || txn.shared.registry.is_seen(old.record.created, txn.id());
            txn.batch.use_reserve(!is_kept);
            let older = txn.link_to(table, key, Some(&old), true)?;
            let mut record = txn.record(table)?;
            record.forget_item(size(key, old.payload_len));
            let displaced = if older.link.is_none() {
                // Nobody but this transaction ever saw the item, or whoever did finds it in memory.
                record.tree.remove(&mut txn.batch, key)?
            } else {
                let head = Record::tombstone(txn.id(), older.link).encode();
                record.tree.insert(&mut txn.batch, key, NewValue { head: &head, body: Body::Bytes(&[]) })?
            };
            txn.supersede(table, &mut record, key, older, displaced, true)?;
            txn.set_table(table, record);
            Ok(true)
        })
    }

    /// Creates a table under a name. `meta` is kept with the name for the layer above.
    pub fn create_table(&mut self, name: &[u8], meta: &[u8], retention: Retention) -> Result<TableId> {
        if self.table(name)?.is_some() {
            return Err(TxnError::TableExists { name: text(name) });
        }
        let id = self.attempt(|txn| txn.catalog.new_table_id(&mut txn.batch))?;
        self.set_table(id, TableRecord::empty(self.id(), retention));
        self.put(NAMES, name, &names::encode(id, meta))?;
        Ok(id)
    }

    /// Replaces what is kept with a table's name. Returns whether there is such a table.
    pub fn set_table_meta(&mut self, name: &[u8], meta: &[u8]) -> Result<bool> {
        let Some(info) = self.table(name)? else { return Ok(false) };
        let record = self.writable_table(info.id)?;
        self.put(NAMES, name, &names::encode(info.id, meta))?;
        self.set_table(info.id, TableRecord { described: self.id(), ..record });
        Ok(true)
    }

    /// Takes a table's name away. Older snapshots see it as before; when none is left, its pages are freed in bounded steps.
    /// Returns whether there was such a table.
    pub fn drop_table(&mut self, name: &[u8]) -> Result<bool> {
        let Some(info) = self.table(name)? else { return Ok(false) };
        let record = self.writable_table(info.id)?;
        self.delete(NAMES, name)?;
        self.set_table(info.id, TableRecord { dropped: true, ..record });
        self.attempt_with_reserve(|txn| {
            let entry = Entry {
                table: info.id,
                key: Vec::new(),
                long_key: false,
                names_tombstone: false,
                dropped_table: true,
                version: None,
            };
            let mut owner = txn.record(HISTORY)?;
            let at = txn.next_version_key();
            history::insert(&mut owner.tree, &mut txn.batch, at, &entry, Body::Bytes(&[]))?;
            txn.set_table(HISTORY, owner);
            Ok(())
        })?;
        Ok(true)
    }

    /// The transaction that last changed what is kept with the name of a table: [`TableInfo::version`], without looking it up. `None` if
    /// there is no such table, as this transaction has left it.
    pub fn described(&mut self, table: TableId) -> Result<Option<TxnId>> {
        if_exists(self.view(table).map(|view| view.record.described))
    }

    /// Looks up a table by its name.
    pub fn table(&mut self, name: &[u8]) -> Result<Option<TableInfo>> {
        self.look(|txn| {
            let view = txn.view(NAMES)?;
            names::find(&view, &mut txn.batch, name)
        })
    }

    /// Commits the transaction and waits for what `durability` promises. Returns its id.
    ///
    /// A transaction that changed nothing costs nothing, but it waits until what it read is durable: nobody may
    /// act on what a power cut can take back.
    pub fn commit(self, durability: Durability) -> Result<TxnId> {
        let (shared, base) = (self.shared, self.base());
        match self.conclude(durability) {
            Ok((id, needs)) => shared.wait_durable(needs).map(|()| id),
            Err(error) => {
                shared.wait_durable(base)?;
                Err(error)
            }
        }
    }

    /// Commits the transaction and waits for nothing. Returns the transaction that [`Store::wait_durable`](crate::Store::wait_durable)
    /// is to wait for before anybody is told of it: this one, or, if it changed nothing, the one that it is based on.
    ///
    /// Somebody must wait: nobody flushes otherwise. Likewise who drops a transaction, to undo it, has to wait for its
    /// [`base`](WriteTxn::base) before he tells what it read.
    pub fn join(self) -> Result<TxnId> {
        self.conclude(Durability::Immediate).map(|(id, _)| id)
    }

    /// Runs the transaction to its end, without waiting. Returns which one has to be durable before anybody is told of the result.
    pub(crate) fn run<R, E: From<TxnError>>(
        mut self,
        durability: Durability,
        body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> (TxnId, Result<R, E>) {
        let base = self.base();
        let done = body(&mut self).and_then(|result| {
            let (_, needs) = self.conclude(durability)?;
            Ok((needs, result))
        });
        match done {
            Ok((needs, result)) => (needs, Ok(result)),
            Err(error) => (base, Err(error)),
        }
    }

    /// Commits the transaction and waits for nothing. Returns its id, and which transaction has to be durable before anybody is
    /// told.
    fn conclude(mut self, durability: Durability) -> Result<(TxnId, TxnId)> {
        if self.failed {
            return Err(TxnError::Aborted);
        }
        if !self.changed {
            return Ok((self.base(), self.base()));
        }
        self.reclaim_some()?;
        let (shared, birth) = (self.shared, self.batch.birth());
        let id = self.enter_group(durability)?;
        shared.tasks.committed();
        match durability {
            Durability::Immediate => Ok((id, id)),
            Durability::Eventual => {
                shared.tasks.flush_later();
                // Whoever has been told that it was done finds it.
                let visible_after = shared.pager.published_after(birth)?;
                Ok((id, visible_after.map_or(TxnId(0), TxnId::from)))
            }
        }
    }

    /// Undoes everything, and waits until what the transaction read is durable.
    pub fn roll_back(self) -> Result<()> {
        let (shared, base) = (self.shared, self.base());
        drop(self);
        shared.wait_durable(base)
    }

    /// Commits without collecting garbage, and without a word to whoever works when the database is idle.
    pub(crate) fn finish(self) -> Result<TxnId> {
        let shared = self.shared;
        let id = self.enter_group(Durability::Immediate)?;
        shared.wait_durable(id).map(|()| id)
    }

    /// Stores what the transaction leaves behind, and joins the gathering group. The next transaction may begin.
    fn enter_group(mut self, durability: Durability) -> Result<TxnId> {
        let now = self.now_ms();
        // It takes some pages, as many of which the next transaction frees.
        self.batch.use_reserve(true);
        times::note(&mut self, now)?;
        for (table, open) in std::mem::take(&mut self.tables) {
            if !open.stored {
                self.catalog.put(&mut self.batch, table, &open.record)?;
            }
        }
        let mut roots = self.batch.roots();
        self.catalog.store_in(&mut roots);
        roots.horizon = self.horizon.0;
        roots.commit_time = now;
        self.batch.set_roots(roots);
        let (shared, id) = (self.shared, self.id());
        let WriteTxn { batch, named, nesting, recent, recent_before, .. } = self;
        // Before anybody can see the transaction.
        recent_before.into_iter().chain([recent]).for_each(|recent| shared.recent.add(recent));
        batch.finish(durability)?;
        drop(nesting);
        named.committed();
        Ok(id)
    }

    /// The time of this transaction's commit, if it is committed now: never before that of an earlier one.
    pub(crate) fn now_ms(&self) -> u64 {
        self.shared.clock.now_ms().max(self.batch.roots().commit_time)
    }

    /// Runs something that must not be left half-done.
    pub(crate) fn attempt<R>(&mut self, operation: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        if self.failed {
            return Err(TxnError::Aborted);
        }
        self.failed = true;
        let result = self.look(operation)?;
        self.failed = false;
        self.changed = true;
        Ok(result)
    }

    /// [Runs](Self::attempt) something that frees more than it allocates, in the long run at least: it may take the last pages of a full
    /// device.
    pub(crate) fn attempt_with_reserve<R>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        self.batch.use_reserve(true);
        let result = self.attempt(operation);
        self.batch.use_reserve(false);
        result
    }

    /// Runs something that reads. Afterwards no page is held: whose transaction it is may take its time before the next.
    pub(crate) fn look<R>(&mut self, operation: impl FnOnce(&mut Self) -> R) -> R {
        let result = operation(self);
        self.batch.rest();
        result
    }

    /// What stands under a key.
    fn current(&mut self, table: TableId, key: &[u8]) -> Result<Option<Current>> {
        let tree = self.record(table)?.tree;
        let Some(value) = tree.get(&mut self.batch, key)? else { return Ok(None) };
        let (record, payload_at) = Record::decode_of(table, value.head())?;
        let payload_len = value.len() - payload_at;
        Ok(Some(Current { record, payload_at, payload_len, spilled: matches!(value, Value::Spilled { .. }) }))
    }

    /// Where the successor of a version is to link to, and what is to move there.
    fn link_to(
        &mut self,
        table: TableId,
        key: &[u8],
        old: Option<&Current>,
        is_deletion: bool,
    ) -> Result<Link> {
        let Some(old) = old else { return Ok(Link { link: None, moves: Moves::Nothing }) };
        if old.record.created == self.id() {
            // What is in memory is found without a record, but what it links to is not; and a tombstone that nothing leads to would
            // not be found again. So that needs the version from memory in the history.
            if is_deletion && let Some(version) = self.recent.take_if_linked(table, key) {
                return Ok(Link { link: Some(self.next_version_key()), moves: Moves::FromMemory(version) });
            }
            // Its successor takes its place in the chain.
            return Ok(Link { link: old.record.older, moves: Moves::Nothing });
        }
        let older = self.prune(table, old.record.older)?;
        let moved = Current { record: Record { older, ..old.record }, ..*old };
        // Without a record nothing would lead to older versions.
        let is_found = !is_deletion || older.is_none();
        if is_found && self.may_stay_in_memory(table, key, old)? {
            return Ok(Link { link: older, moves: Moves::ToMemory(moved) });
        }
        Ok(Link { link: Some(self.next_version_key()), moves: Moves::ToHistory(moved) })
    }

    /// Whether a version that is superseded need not go to the history: nobody is known to need it, and it is small.
    fn may_stay_in_memory(&mut self, table: TableId, key: &[u8], old: &Current) -> Result<bool> {
        let plain = !old.record.tombstone && !old.spilled;
        Ok(plain
            && self.recent.has_room(key, old.payload_len)
            && self.record(table)?.retention == Retention::None
            && !self.shared.registry.is_seen(old.record.created, self.id()))
    }

    /// Moves a displaced version to where its successor links to, or forgets it.
    fn supersede(
        &mut self,
        table: TableId,
        record: &mut TableRecord,
        key: &[u8],
        Link { link, moves }: Link,
        displaced: Option<Displaced>,
        is_deletion: bool,
    ) -> Result<()> {
        let entry = |version| Entry {
            table,
            key: key.to_vec(),
            long_key: key.len() > LONGEST_INLINE_KEY,
            names_tombstone: is_deletion,
            dropped_table: false,
            version,
        };
        match (link, moves, displaced) {
            (_, Moves::ToMemory(old), Some(Displaced { head, run: None })) => {
                let payload = head[old.payload_at..].to_vec();
                self.recent.add(table, key, RecentVersion { record: old.record, payload });
                Ok(())
            }
            (Some(at), Moves::FromMemory(version), displaced) => {
                self.free_displaced(displaced)?;
                let (entry, payload) = (entry(Some(version.record)), Body::Bytes(&version.payload));
                self.with_history(table, record, |tree, batch| {
                    history::insert(tree, batch, at, &entry, payload)
                })
            }
            (Some(at), Moves::ToHistory(old), Some(Displaced { head, run })) => {
                let payload = match run {
                    Some(run) if old.spilled => Body::Run(run),
                    None => Body::Bytes(&head[old.payload_at..]),
                    Some(_) => return Err(TxnError::Damaged { table, source: Damage::HistoryEntry }),
                };
                self.with_history(table, record, |tree, batch| {
                    history::insert(tree, batch, at, &entry(Some(old.record)), payload)
                })
            }
            (link, _, displaced) => {
                self.free_displaced(displaced)?;
                if link.is_none() || !is_deletion {
                    return Ok(());
                }
                // The transaction deletes what it had itself put over an older version.
                let at = self.next_version_key();
                self.with_history(table, record, |tree, batch| {
                    history::insert(tree, batch, at, &entry(None), Body::Bytes(&[]))
                })
            }
        }
    }

    /// Frees the run of a value that nothing took over.
    fn free_displaced(&mut self, displaced: Option<Displaced>) -> Result<()> {
        displaced.and_then(|displaced| displaced.run).map_or(Ok(()), |run| Ok(run.free(&mut self.batch)?))
    }

    /// Follows a chain of older versions and drops what nobody needs, up to the first that somebody may. Returns the link to it.
    fn prune(&mut self, table: TableId, mut link: Option<VersionKey>) -> Result<Option<VersionKey>> {
        let record = self.record(table)?;
        if let Retention::Versions(count) = record.retention {
            return self.trim(table, link, count);
        }
        let gone = if record.retention == Retention::None { self.horizon } else { record.horizon };
        while let Some(at) = link {
            if at.superseded_by <= gone {
                return Ok(None);
            }
            let (entry, version) = self.version_at(table, at)?;
            if self.is_needed(&record, version.created, at.superseded_by) {
                return Ok(link);
            }
            self.remove_version(table, at, entry.long_key)?;
            link = version.older;
        }
        Ok(None)
    }

    /// Keeps `count` versions of a chain besides the one that is about to join it, and those that snapshots may need.
    fn trim(&mut self, table: TableId, first: Option<VersionKey>, count: u32) -> Result<Option<VersionKey>> {
        let mut link = first;
        let mut newer = TxnId(u64::MAX);
        for depth in 1.. {
            let Some(at) = link else { break };
            let Some(entry) = self.find_version(table, at)? else {
                // Trimmed before: whatever is behind it is gone too.
                break;
            };
            link = match entry.version {
                None => None,
                Some(version) if version.created < newer => {
                    newer = version.created;
                    version.older
                }
                // It would go round in circles.
                Some(version) => return Err(chain_order(table, newer, version.created)),
            };
            if depth >= count && at.superseded_by <= self.horizon {
                self.remove_version(table, at, entry.long_key)?;
            }
        }
        Ok(if count > 1 { first } else { first.filter(|at| at.superseded_by > self.horizon) })
    }

    /// Whether a snapshot, be it one that is registered before this transaction is published, or the table's retention needs a
    /// version.
    pub(crate) fn is_needed(&self, table: &TableRecord, created: TxnId, superseded_by: TxnId) -> bool {
        let retained = match table.retention {
            Retention::None => false,
            Retention::Duration(_) => superseded_by > table.horizon,
            Retention::Versions(_) => true,
        };
        retained || superseded_by > self.published || self.shared.registry.is_seen(created, superseded_by)
    }

    /// The version at a place that a chain leads to.
    pub(crate) fn version_at(&mut self, table: TableId, at: VersionKey) -> Result<(Entry, Record)> {
        let missing = Damage::MissingVersion { superseded_by: at.superseded_by };
        let found = self.find_version(table, at)?;
        found
            .and_then(|entry| entry.version.map(|version| (entry, version)))
            .ok_or(TxnError::Damaged { table, source: missing })
    }

    fn find_version(&mut self, table: TableId, at: VersionKey) -> Result<Option<Entry>> {
        let tree = self.history_of(table)?;
        history::find(&tree, &mut self.batch, at)
    }

    /// The tree that holds a table's superseded versions.
    pub(crate) fn history_of(&mut self, table: TableId) -> Result<Tree> {
        let record = self.record(table)?;
        Ok(if record.retention == Retention::None { self.record(HISTORY)?.tree } else { record.history })
    }

    fn remove_version(&mut self, table: TableId, at: VersionKey, long_key: bool) -> Result<()> {
        let mut record = self.record(table)?;
        self.with_history(table, &mut record, |tree, batch| history::remove(tree, batch, at, long_key))?;
        self.set_table(table, record);
        Ok(())
    }

    /// Changes the tree that holds a table's superseded versions. `record` is the table's record as it is now.
    pub(crate) fn with_history<R>(
        &mut self,
        table: TableId,
        record: &mut TableRecord,
        change: impl FnOnce(&mut Tree, &mut WriteBatch<'s>) -> Result<R>,
    ) -> Result<R> {
        if record.retention != Retention::None {
            return change(&mut record.history, &mut self.batch);
        }
        debug_assert_ne!(table, HISTORY, "the history has no history");
        let mut owner = self.record(HISTORY)?;
        let result = change(&mut owner.tree, &mut self.batch)?;
        self.set_table(HISTORY, owner);
        Ok(result)
    }

    pub(crate) fn next_version_key(&mut self) -> VersionKey {
        let ordinal = self.next_ordinal;
        self.next_ordinal =
            ordinal.checked_add(1).expect("memory for the pages ends long before 2^32 versions");
        VersionKey { superseded_by: self.id(), ordinal }
    }

    /// Versions that this transaction has superseded so far.
    pub(crate) fn superseded(&self) -> u32 {
        self.next_ordinal
    }

    /// The table as this transaction sees it.
    pub(crate) fn view(&mut self, table: TableId) -> Result<View<'s>> {
        let record = self.writable_table(table)?;
        Ok(View { table, record, catalog: self.catalog, recent: &self.shared.recent, as_of: None })
    }

    /// What is known of a table that may be written to.
    fn writable_table(&mut self, table: TableId) -> Result<TableRecord> {
        let record = self.look(|txn| txn.record(table))?;
        let is_system = table < FIRST_TABLE && table != NAMES;
        if record.dropped || is_system { Err(TxnError::NoSuchTable { table }) } else { Ok(record) }
    }

    /// What is known of any table.
    pub(crate) fn record(&mut self, table: TableId) -> Result<TableRecord> {
        if let Some(open) = self.tables.get(&table) {
            return Ok(open.record);
        }
        let mut record = self.catalog.table(&mut self.batch, table)?;
        let mut stored = true;
        if let Retention::Duration(duration) = record.retention {
            let horizon = times::horizon(self, table, record.horizon, duration)?;
            stored = horizon == record.horizon;
            record.horizon = horizon;
        }
        self.tables.insert(table, OpenTable { record, stored });
        Ok(record)
    }

    /// What is known of a table, if it still exists.
    pub(crate) fn find_record(&mut self, table: TableId) -> Result<Option<TableRecord>> {
        if_exists(self.record(table))
    }

    pub(crate) fn set_table(&mut self, table: TableId, record: TableRecord) {
        self.tables.insert(table, OpenTable { record, stored: false });
    }

    /// The tables that differ from what the catalog says of them.
    pub(crate) fn changed_tables(&self) -> Vec<(TableId, TableRecord)> {
        let changed = self.tables.iter().filter(|(_, open)| !open.stored);
        changed.map(|(table, open)| (*table, open.record)).collect()
    }

    /// Removes a table's record for good.
    pub(crate) fn forget_table(&mut self, table: TableId) -> Result<()> {
        self.tables.remove(&table);
        self.catalog.remove(&mut self.batch, table)
    }
}

/// A record as it stands in a table's tree.
#[derive(Clone, Copy, Debug)]
struct Current {
    record: Record,
    payload_at: usize,
    payload_len: usize,
    spilled: bool,
}

/// How the successor of a version is linked.
#[derive(Debug)]
struct Link {
    /// What the successor links to.
    link: Option<VersionKey>,
    moves: Moves,
}

/// What becomes of a version that is superseded.
#[derive(Debug)]
enum Moves {
    /// There is none, or nobody has seen it: it is forgotten.
    Nothing,
    /// It moves to where its successor links to.
    ToHistory(Current),
    /// It is kept in memory.
    ToMemory(Current),
    /// This transaction has put one in its place that it deletes now: it comes back from memory, and moves to where the
    /// tombstone links to.
    FromMemory(RecentVersion),
}

/// The error for a chain that does not lead to ever older versions.
pub(crate) fn chain_order(table: TableId, from: TxnId, to: TxnId) -> TxnError {
    TxnError::Damaged { table, source: Damage::ChainOrder { from, to } }
}

fn size(key: &[u8], payload_len: usize) -> u64 {
    (key.len() + payload_len) as u64
}

fn check_size(what: &'static str, len: usize, max: usize) -> Result<()> {
    if len <= max {
        return Ok(());
    }
    Err(TxnError::Tree(match what {
        "key" => TreeError::KeyTooLong { len, max },
        _ => TreeError::ValueTooLong { len, max },
    }))
}

thread_local! {
    /// The databases on which this thread has a write transaction open.
    static WRITING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Says that this thread has a write transaction open, so that a second one is refused instead of waiting forever.
#[derive(Debug)]
pub(crate) struct Nesting {
    store: usize,
    /// Belongs to the thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Nesting {
    fn enter(shared: &Shared) -> Result<Nesting> {
        Nesting::check(shared)?;
        let store = std::ptr::from_ref(shared).addr();
        WRITING.with_borrow_mut(|writing| writing.push(store));
        Ok(Nesting { store, _not_send: std::marker::PhantomData })
    }

    /// Refuses a thread that has one open.
    pub(crate) fn check(shared: &Shared) -> Result<()> {
        let store = std::ptr::from_ref(shared).addr();
        match WRITING.with_borrow(|writing| writing.contains(&store)) {
            true => Err(TxnError::NestedTransaction),
            false => Ok(()),
        }
    }
}

impl Drop for Nesting {
    fn drop(&mut self) {
        WRITING.with_borrow_mut(|writing| writing.retain(|store| *store != self.store));
    }
}
