//! Reads of items by their keys, and the states that they look at.

use std::time::{Duration, UNIX_EPOCH};

use dynamite_core::api::{DynaMite, EncodedItem, Get, ItemVersion};
use dynamite_core::error::{Error, Invalid};

use super::Context;
use super::build::{count, with_consumed, with_key, with_want};
use crate::link::View;
use crate::protocol::fault::{Failure, Refusal};
use crate::protocol::operation::{self, Held, Moment};
use crate::protocol::text::{Bytes, WireValue};

/// What reads the newest state or a snapshot alike, and what reads a past table.
macro_rules! look {
    ($context:expr, $at:expr, |$source:ident| $read:expr, |$past:ident| $of_past:expr) => {
        match $at {
            $crate::protocol::terms::At::Newest => {
                let $source = &$context.engine.db;
                $read
            }
            $crate::protocol::terms::At::Held(handle) => match $context.link.held(handle)? {
                $crate::link::View::Snapshot(snapshot) => {
                    let $source = &snapshot;
                    $read
                }
                $crate::link::View::Past(past) => {
                    let $past = &past;
                    $of_past
                }
            },
        }
    };
}

pub(super) use look;

/// A past table has no others beside it.
pub(super) fn not_of_past<T>() -> Result<T, Failure> {
    Err(Refusal::NoSuchHandle.into())
}

pub(super) fn bytes(item: EncodedItem<'_>) -> Bytes<'static> {
    item.into_bytes().into()
}

pub(super) fn get(
    context: Context<'_>,
    get: &operation::Get<'_>,
) -> Result<Option<(u64, Bytes<'static>)>, Failure> {
    let found = look!(
        context,
        get.at,
        |source| {
            let get = with_want!(with_key!(source.get_item_versioned(&get.table), &get.key), &get.want);
            with_consumed!(get, context.consumed).execute_encoded()
        },
        |past| {
            let get = with_want!(with_key!(past.get_item_versioned(), &get.key), &get.want);
            with_consumed!(get, context.consumed).execute_encoded()
        }
    )?;
    Ok(found.map(|found| (found.version, bytes(found.item))))
}

pub(super) fn batch_get(
    context: Context<'_>,
    batch: &operation::BatchGet<'_>,
) -> Result<Vec<Option<Bytes<'static>>>, Failure> {
    let found = look!(
        context,
        batch.at,
        |source| {
            let mut builder = source.batch_get();
            for (table, key) in &batch.gets {
                builder = match (&key.partition, &key.sort) {
                    (Some(partition), Some(sort)) => builder.get_sorted(table, partition, sort),
                    (Some(partition), None) => builder.get(table, partition),
                    // A client's builder gives one of these.
                    (None, _) => return Err(Error::from(Invalid::KeySchema).into()),
                };
            }
            for (table, want) in &batch.wanted {
                if let Some(names) = &want.attributes {
                    builder = builder.attributes(table, names.iter().map(|name| &**name));
                }
                if let Some(terms) = &want.terms {
                    if let Some(text) = &terms.projection {
                        builder = builder.projection(table, text);
                    }
                    for (placeholder, name) in &terms.names {
                        builder = builder.name(table, placeholder, name);
                    }
                }
            }
            with_consumed!(builder, context.consumed).execute_encoded()
        },
        |_past| return not_of_past()
    )?;
    Ok(found.into_iter().map(|found| found.map(bytes)).collect())
}

pub(super) fn transact_get(
    context: Context<'_>,
    transact: &operation::TransactGet<'_>,
) -> Result<Vec<Option<Bytes<'static>>>, Failure> {
    let found = look!(
        context,
        transact.at,
        |source| {
            let gets = transact.gets.iter().map(|(table, key, want)| {
                let get = with_key!(Get::new(table), key);
                with_want!(get, want)
            });
            let transact = gets.fold(source.transact_get(), |transact, get| transact.get(get));
            with_consumed!(transact, context.consumed).execute_encoded()
        },
        |_past| return not_of_past()
    )?;
    Ok(found.into_iter().map(|found| found.map(bytes)).collect())
}

pub(super) fn item_history(
    db: &DynaMite,
    history: &operation::ItemHistory<'_>,
) -> Result<Vec<ItemVersion<EncodedItem<'static>>>, Failure> {
    let mut builder = with_key!(db.item_history(&history.table), &history.key);
    if let Some(limit) = history.limit {
        builder = builder.limit(count(limit));
    }
    Ok(builder.execute_encoded()?)
}

pub(super) fn list_partition_keys(
    context: Context<'_>,
    list: &operation::ListPartitionKeys<'_>,
) -> Result<Vec<WireValue<'static>>, Failure> {
    let keys = look!(
        context,
        list.at,
        |source| source.list_partition_keys(&list.table, &list.prefix, count(list.limit)),
        |_past| return not_of_past()
    )?;
    let value = |key: serde_json::Value| -> dynamite_core::Result<WireValue<'static>> {
        Ok(WireValue::of(key.try_into()?)?)
    };
    Ok(keys.into_iter().map(value).collect::<dynamite_core::Result<_>>()?)
}

pub(super) fn open_snapshot(context: Context<'_>) -> Result<Held, Failure> {
    let snapshot = context.engine.db.snapshot()?;
    let version = snapshot.version();
    Ok(Held { handle: context.link.hold(View::Snapshot(snapshot))?, version })
}

pub(super) fn open_past(context: Context<'_>, open: &operation::OpenPast<'_>) -> Result<Held, Failure> {
    let db = &context.engine.db;
    let past = match open.moment {
        Moment::Version(version) => db.as_of(&open.table, version)?,
        Moment::TimeMs(ms) => {
            let time = UNIX_EPOCH.checked_add(Duration::from_millis(ms));
            db.as_of_time(&open.table, time.unwrap_or(UNIX_EPOCH))?
        }
    };
    let version = past.version();
    Ok(Held { handle: context.link.hold(View::Past(past))?, version })
}
