//! Checking every index against its table, both ways: each item that has the attributes of the index's key has its entry, which is
//! its projection, and there are no other entries.
//!
//! All is read from one snapshot, so the database may be in use. As many entries as there are items that have theirs can only be
//! theirs; so an entry is looked up in the table only if there are more.

use std::ops::{Bound, ControlFlow};

use dynamite_txn::{Access, Range, ReadTxn, TxnId};
use thiserror::Error;

use crate::api::database::DynaMite;
use crate::api::index_entry::Index;
use crate::api::index_schema::Progress;
use crate::api::key;
use crate::api::table::Table;
use crate::api::tables;
use crate::error::{Damage, Result};

/// Items that are looked at in one read, at the most.
const PORTION: usize = 1 << 10;
/// Bytes of items that are looked at in one read, at the most, and one item more.
const BYTES: usize = 4 << 20;
/// Findings in one index, after which no more are looked for in it.
const ENOUGH: usize = 1000;

/// An index and its table disagree.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("index {index} of table {table}: {fault} {key}")]
pub struct IndexFinding {
    /// The table's name.
    pub table: String,
    /// The index's name.
    pub index: String,
    /// What is wrong.
    pub fault: IndexFault,
    /// The key of the item, or of the entry, as JSON.
    pub key: String,
}

/// What is wrong with an entry of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IndexFault {
    /// An item has no entry.
    #[error("there is no entry for the item")]
    Missing,
    /// An entry holds something else than its item says.
    #[error("the entry does not hold what the item does:")]
    Differs,
    /// An entry belongs to no item.
    #[error("there is no item for the entry")]
    Stray,
}

/// How far a check of the indexes is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexProgress {
    /// Items and entries that were looked at.
    pub done: u64,
    /// Items and entries that there are.
    pub of: u64,
}

impl DynaMite {
    /// Checks every index against its table. What is wrong is returned; reads and writes go on meanwhile.
    ///
    /// # Errors
    ///
    /// Only if something cannot be read at all.
    ///
    /// Cost: every item and every entry is read once, and each entry is looked up.
    pub fn verify_indexes(&self, progress: &mut dyn FnMut(IndexProgress)) -> Result<Vec<IndexFinding>> {
        let snapshot = self.shared.store.snapshot()?;
        let mut check = Check { findings: Vec::new(), progress, counted: IndexProgress::default() };
        let mut read = snapshot.read()?;
        let tables = tables::all(&mut read)?;
        for table in &tables {
            for index in table.indexes.iter() {
                check.counted.of += read.stats(table.id)?.items + read.stats(index.layout.id)?.items;
            }
        }
        drop(read);
        for table in &tables {
            for index in table.indexes.iter() {
                check.index(&snapshot, table, index)?;
            }
        }
        Ok(check.findings)
    }
}

struct Check<'p> {
    findings: Vec<IndexFinding>,
    progress: &'p mut dyn FnMut(IndexProgress),
    counted: IndexProgress,
}

/// The entry that an item should have.
struct Expected {
    key: Vec<u8>,
    payload: Vec<u8>,
    item: Vec<u8>,
}

impl Check<'_> {
    fn index(&mut self, snapshot: &dynamite_txn::Snapshot, table: &Table, index: &Index) -> Result<()> {
        let before = self.findings.len();
        let is_enough = |check: &Self| check.findings.len() >= before + ENOUGH;
        let cursor = built_up_to(&mut snapshot.read()?, index)?;
        let (mut found, mut rest) = (0, Range::all());
        while !is_enough(self) {
            let mut read = snapshot.read()?;
            let (expected, last, looked_at) = expected_of(&mut read, table, index, cursor.as_ref(), &rest)?;
            self.counted.done += looked_at;
            found += self.compare(&mut read, table, index, expected)?;
            self.tell();
            match last {
                Some(last) => rest.from = Bound::Excluded(last),
                None => break,
            }
        }
        let (mut entries, mut rest) = (0, Range::all());
        loop {
            let (keys, is_last) = self.keys_of(&mut snapshot.read()?, index, &rest)?;
            entries += keys.len() as u64;
            let Some(last) = keys.last().filter(|_| !is_last) else { break };
            rest.from = Bound::Excluded(last.clone());
        }
        if entries == found {
            return Ok(());
        }
        rest = Range::all();
        while !is_enough(self) {
            let mut read = snapshot.read()?;
            let (keys, is_last) = self.keys_of(&mut read, index, &rest)?;
            for key in &keys {
                if !has_item(&mut read, table, index, key)? {
                    self.report(table, index, IndexFault::Stray, key::to_value(&index.layout, key));
                }
            }
            let Some(last) = keys.last().filter(|_| !is_last) else { break };
            rest.from = Bound::Excluded(last.clone());
        }
        Ok(())
    }

    /// Holds expected entries against those that there are. Returns how many of them are there, right or wrong.
    fn compare(
        &mut self,
        read: &mut ReadTxn<'_>,
        table: &Table,
        index: &Index,
        mut expected: Vec<Expected>,
    ) -> Result<u64> {
        expected.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let keys = expected.iter().map(|expected| &expected.key[..]).collect::<Vec<_>>();
        let (mut found, mut wrong) = (0, Vec::new());
        read.get_many(index.layout.id, &keys, |nth, entry| match entry {
            None => wrong.push((nth, IndexFault::Missing)),
            Some((_, payload)) => {
                found += 1;
                if payload != expected[nth].payload {
                    wrong.push((nth, IndexFault::Differs));
                }
            }
        })?;
        for (nth, fault) in wrong {
            self.report(table, index, fault, key::to_value(table, &expected[nth].item));
        }
        Ok(found)
    }

    /// Some keys of entries, and whether none are behind them.
    fn keys_of(
        &mut self,
        read: &mut ReadTxn<'_>,
        index: &Index,
        range: &Range,
    ) -> Result<(Vec<Vec<u8>>, bool)> {
        let mut keys = Vec::new();
        let broke_off = read.scan(index.layout.id, &range.borrow(), Access::Scan, |row| {
            if row.key != Progress::KEY {
                keys.push(row.key.to_vec());
            }
            if keys.len() < PORTION { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        self.counted.done += keys.len() as u64;
        self.tell();
        Ok((keys, !broke_off))
    }

    fn report(&mut self, table: &Table, index: &Index, fault: IndexFault, key: Result<serde_json::Value>) {
        let key = key.map_or_else(|error| error.to_string(), |key| key.to_string());
        self.findings.push(IndexFinding { table: table.name.clone(), index: index.name.clone(), fault, key });
    }

    fn tell(&mut self) {
        self.counted.done = self.counted.done.min(self.counted.of);
        (self.progress)(self.counted);
    }
}

/// Which items a build has taken in: those that are not older than the index, and those up to the cursor.
fn built_up_to(read: &mut ReadTxn<'_>, index: &Index) -> Result<Option<(TxnId, Vec<u8>)>> {
    let Some(since) = index.building else { return Ok(None) };
    let progress = read.get(index.layout.id, Progress::KEY, |_, stored| Progress::decode(stored))?;
    let progress = progress.unwrap_or_else(|| Some(Progress::default()));
    let progress = progress.ok_or_else(|| index.layout.damaged(Damage::Schema))?;
    Ok(Some((since, progress.cursor)))
}

/// The entries that some items should have; the key of the last item, if others may be behind it; and how many items these are.
fn expected_of(
    read: &mut ReadTxn<'_>,
    table: &Table,
    index: &Index,
    built: Option<&(TxnId, Vec<u8>)>,
    range: &Range,
) -> Result<(Vec<Expected>, Option<Vec<u8>>, u64)> {
    let (mut expected, mut last, mut looked_at, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    let mut failed = Ok(());
    let broke_off = read.scan(table.id, &range.borrow(), Access::Scan, |row| {
        looked_at += 1;
        bytes += row.payload.len();
        let is_due = built.is_none_or(|(since, cursor)| row.version >= *since || *row.key <= **cursor);
        match expected_entry(table, index, row.key, row.payload) {
            Ok(entry) => expected.extend(entry.filter(|_| is_due)),
            Err(error) => failed = Err(error),
        }
        if looked_at < PORTION as u64 && bytes < BYTES && failed.is_ok() {
            return ControlFlow::Continue(());
        }
        last = row.key.to_vec();
        ControlFlow::Break(())
    })?;
    failed.map(|()| (expected, broke_off.then_some(last), looked_at))
}

fn expected_entry(table: &Table, index: &Index, key: &[u8], item: &[u8]) -> Result<Option<Expected>> {
    let seen = table.indexes.look(item).map_err(|damage| table.damaged(damage))?;
    // Items that do not fit were there before the index.
    if !index.admits(&seen).unwrap_or(false) {
        return Ok(None);
    }
    let mut expected = Expected { key: Vec::new(), payload: Vec::new(), item: key.to_vec() };
    index.encode_key(&seen, key, &mut expected.key)?;
    index.encode_payload(&seen, &mut expected.payload);
    Ok(Some(expected))
}

/// Whether the entry with this key is that of an item.
fn has_item(read: &mut ReadTxn<'_>, table: &Table, index: &Index, key: &[u8]) -> Result<bool> {
    let Ok(table_key) = key::table_key_of(&index.layout, key) else { return Ok(false) };
    let expected = read.get(table.id, table_key, |_, item| expected_entry(table, index, table_key, item))?;
    Ok(expected.transpose()?.flatten().is_some_and(|expected| expected.key == key))
}
