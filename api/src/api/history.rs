//! The past of tables that keep it: what an item was, and what a table was.
//!
//! Every write gives an item a version, the number of its transaction. A table with a history keeps those that were superseded,
//! for a duration: [`DynaMite::item_history`] lists them, [`DynaMite::restore_version`] puts one back.
//! [`past_table`](crate::api::past_table) reads the whole table as of one of them.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynamite_txn::{Retention, TxnError, TxnId};
use serde_json::Value;

use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::{IntoAttribute, KeyArguments, item_key};
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode, Projection};
use crate::api::source::{ReadFrom, Target};
use crate::api::table::Table;
use crate::error::{Error, Invalid, PastMoment, Result};
use crate::value::Item;

/// The versions of an item, about to be listed; [`DynaMite::item_history`] begins, [`execute`](ItemHistory::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is read before execute"]
pub struct ItemHistory<'a> {
    db: &'a DynaMite,
    table: &'a str,
    key: KeyArguments,
    limit: Option<usize>,
    any_table: bool,
}

/// What an item was from one write on until the next.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ItemVersion<T = Value> {
    /// The transaction that wrote it.
    pub version: u64,
    /// When that was committed, to a second. `None` if nothing is known of that time any more.
    pub time: Option<SystemTime>,
    /// The item; `None` if it was deleted.
    pub item: Option<T>,
}

impl<T> ItemVersion<T> {
    /// The version with its item made into something else.
    ///
    /// # Errors
    ///
    /// That of `map`.
    pub fn try_map<U, E>(self, map: impl FnOnce(T) -> Result<U, E>) -> Result<ItemVersion<U>, E> {
        Ok(ItemVersion { version: self.version, time: self.time, item: self.item.map(map).transpose()? })
    }
}

/// A version that is about to be put back; [`DynaMite::restore_version`] begins, [`execute`](RestoreVersion::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is restored before execute"]
pub struct RestoreVersion<'a, T> {
    target: &'a T,
    table: &'a str,
    key: KeyArguments,
    version: u64,
}

impl DynaMite {
    /// Begins to list the versions of an item of a table [with a history](crate::api::CreateTable::history), the newest first: the
    /// present one, those that were current within the table's duration, and perhaps older ones that were not collected yet. What a
    /// transaction writes to an item is one version, however often it does.
    ///
    /// They are what was stored: an item that expired is there until it was deleted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dynamite_core::api::DynaMite;
    /// # use dynamite_core::types::KeyType;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// let pages = db.create_table("pages").partition_key("title", KeyType::String);
    /// pages.history(Duration::from_secs(35 * 24 * 60 * 60)).execute()?;
    /// let first = db.put_item("pages", json!({"title": "Bern", "text": "A city."}))?;
    /// db.put_item("pages", json!({"title": "Bern", "text": "Vandalised!"}))?;
    ///
    /// let versions = db.item_history("pages").partition_key("Bern").execute()?;
    /// assert_eq!(versions[1].version, first);
    /// assert_eq!(versions[1].item, Some(json!({"title": "Bern", "text": "A city."})));
    ///
    /// db.restore_version("pages", first).partition_key("Bern").execute()?;
    /// let now = db.get_item("pages").partition_key("Bern").execute()?;
    /// assert_eq!(now, versions[1].item);
    /// # Ok(())
    /// # }
    /// ```
    pub fn item_history<'a>(&'a self, table: &'a str) -> ItemHistory<'a> {
        ItemHistory { db: self, table, key: KeyArguments::default(), limit: None, any_table: false }
    }

    /// Begins to put an old version of an item back, as a new one; if it is a deletion, the item is deleted. See
    /// [`item_history`](DynaMite::item_history).
    pub fn restore_version<'a>(&'a self, table: &'a str, version: u64) -> RestoreVersion<'a, DynaMite> {
        RestoreVersion::new(self, table, version)
    }
}

impl ItemHistory<'_> {
    item_key!();

    /// At most so many versions: the newest ones.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Takes tables without a history too. Of their items those versions are listed that snapshots need, and perhaps others that were not
    /// collected yet.
    pub fn any_table(mut self) -> Self {
        self.any_table = true;
        self
    }

    /// Lists the versions, with items as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`]; [`Error::NoHistory`] if the table keeps none; [`Error::Validation`] for a key that does not fit the
    /// table, or a limit of 0.
    ///
    /// Cost: a descent for each version, and some forty of a small tree for its time.
    pub fn execute(self) -> Result<Vec<ItemVersion>> {
        self.run(AS_VALUE)
    }

    /// Lists the versions, with exact attribute values; see [`execute`](ItemHistory::execute).
    pub fn execute_items(self) -> Result<Vec<ItemVersion<Item>>> {
        self.run(AS_ITEM)
    }

    /// Lists the versions, with items in their stored form; see [`execute`](ItemHistory::execute).
    pub fn execute_encoded(self) -> Result<Vec<ItemVersion<EncodedItem<'static>>>> {
        self.run(AS_ENCODED)
    }

    fn run<T>(self, decode: Decode<T>) -> Result<Vec<ItemVersion<T>>> {
        let ItemHistory { db, table, key, limit, any_table } = self;
        if limit == Some(0) {
            return Err(Invalid::Limit.into());
        }
        let store = &db.shared.store;
        let table = db.read_table(table, |table, _| Ok(table.clone()))?;
        let key = key.encode(&table)?;
        let mut read = store.read()?;
        let retention = read.stats(table.id)?.retention;
        if !any_table {
            check_history(&table, retention)?;
        }
        let mut versions = Vec::new();
        read.versions(table.id, &key, |found| {
            let item = found.payload.map(|item| Projection::All.decode(&table, item, decode)).transpose();
            versions.push(item.map(|item| ItemVersion { version: found.version.0, time: None, item }));
            // What was before the history began is not known without gaps.
            let is_first = table.history_since.is_some_and(|since| found.version <= since);
            match Some(versions.len()) == limit || is_first {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        drop(read);
        let timed = versions.into_iter().map(|version| {
            let version = version?;
            let time_ms = store.time_of(TxnId(version.version))?;
            Ok(ItemVersion { time: time_ms.and_then(to_time), ..version })
        });
        timed.collect()
    }
}

impl<'a, T: Target> RestoreVersion<'a, T> {
    pub(crate) fn new(target: &'a T, table: &'a str, version: u64) -> Self {
        RestoreVersion { target, table, key: KeyArguments::default(), version }
    }

    item_key!();

    /// Puts the version back. Returns the new version.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`]; [`Error::NoHistory`] if the table keeps none; [`Error::NoSuchVersion`] if the item has no such
    /// version, or no longer; [`Error::Validation`] for a key that does not fit the table.
    pub fn execute(self) -> Result<u64> {
        let RestoreVersion { target, table, key, version } = self;
        target.write_few(|writing| {
            let table = writing.table(table)?;
            let key = key.encode(&table)?;
            let txn = writing.txn();
            check_history(&table, txn.retention(table.id)?)?;
            let mut found = None;
            txn.versions(table.id, &key, |past| {
                if past.version.0 == version {
                    found = Some(past.payload.map(<[u8]>::to_vec));
                }
                // Older ones have smaller numbers.
                if past.version.0 > version { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            match found {
                Some(Some(item)) => writing.put(&table, &key, &item)?,
                Some(None) => drop(writing.delete(&table, &key)?),
                None => return Err(Error::NoSuchVersion { table: table.name.clone(), version }),
            }
            Ok(writing.version())
        })
    }
}

/// Refuses a table that keeps no history.
fn check_history(table: &Table, retention: Retention) -> Result<()> {
    match retention {
        Retention::Duration(_) => Ok(()),
        _ => Err(Error::NoHistory { table: table.name.clone() }),
    }
}

/// Refuses a duration that is none.
pub(crate) fn check_duration(duration: Duration) -> Result<()> {
    if duration.as_millis() > 0 { Ok(()) } else { Err(Invalid::History.into()) }
}

/// What a table's name, and what was asked for, make of the storage's error.
pub(crate) fn past_error(table: &str, asked: PastMoment, error: TxnError) -> Error {
    let table = table.to_owned();
    match error {
        TxnError::NoRetention { .. } => Error::NoHistory { table },
        TxnError::BelowHorizon { horizon, .. } => {
            Error::BeyondHistory { table, asked, oldest: Some(horizon.0) }
        }
        TxnError::NotYet { newest, .. } => Error::NotYet { asked, newest: newest.0 },
        other => other.into(),
    }
}

/// A time that is stored in milliseconds.
fn to_time(ms: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}
