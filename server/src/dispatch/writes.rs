//! Writes of items.

use dynamite_core::api::{Check, Consumed, Deferred, Delete, Put, Update};
use dynamite_core::error::{Error, Invalid, Result};

use super::build::{with_consumed, with_key, with_values};
use super::reads::bytes;
use crate::protocol::fault::Failure;
use crate::protocol::operation::{self, What, Write};
use crate::protocol::text::Bytes;

type Written = (u64, Option<Bytes<'static>>);

pub(super) fn put(
    target: &Deferred<'_>,
    put: &operation::Put<'_>,
    consumed: Option<&Consumed>,
) -> Result<Written, Failure> {
    let builder = with_values!(target.put(&put.table), put.terms, condition);
    let mut builder = with_consumed!(builder, consumed);
    if let Some(item) = &put.item {
        builder = builder.item(item);
    }
    if let Some(version) = put.expected {
        builder = builder.if_version(version);
    }
    if !put.return_old {
        return Ok((builder.execute()?, None));
    }
    let replaced = builder.execute_returning_old_encoded()?;
    Ok((replaced.version, replaced.old.map(bytes)))
}

pub(super) fn update(
    target: &Deferred<'_>,
    update: &operation::Update<'_>,
    consumed: Option<&Consumed>,
) -> Result<Written, Failure> {
    let builder = with_key!(target.update_item(&update.table), &update.key);
    let builder = with_consumed!(builder, consumed);
    let mut builder = with_values!(builder, update.terms, update condition);
    if let Some(version) = update.expected {
        builder = builder.if_version(version);
    }
    let updated = builder.return_values(update.return_values).execute_encoded()?;
    Ok((updated.version, updated.attributes.map(bytes)))
}

pub(super) fn delete(
    target: &Deferred<'_>,
    delete: &operation::Delete<'_>,
    consumed: Option<&Consumed>,
) -> Result<(bool, Option<Bytes<'static>>), Failure> {
    let builder = with_key!(target.delete_item(&delete.table), &delete.key);
    let builder = with_consumed!(builder, consumed);
    let mut builder = with_values!(builder, delete.terms, condition);
    if let Some(version) = delete.expected {
        builder = builder.if_version(version);
    }
    if !delete.return_old {
        return Ok((builder.execute()?, None));
    }
    let old = builder.execute_returning_old_encoded()?;
    Ok((old.is_some(), old.map(bytes)))
}

pub(super) fn batch_write(
    target: &Deferred<'_>,
    batch: &operation::BatchWrite<'_>,
    consumed: Option<&Consumed>,
) -> Result<u64, Failure> {
    let mut builder = with_consumed!(target.batch_write(), consumed);
    for (table, write) in &batch.writes {
        builder = match write {
            Write::Put(item) => builder.put(table, item),
            Write::Delete(key) => match (&key.partition, &key.sort) {
                (Some(partition), Some(sort)) => builder.delete_sorted(table, partition, sort),
                (Some(partition), None) => builder.delete(table, partition),
                // A client's builder gives one of these.
                (None, _) => return Err(Error::from(Invalid::KeySchema).into()),
            },
        };
    }
    Ok(builder.execute()?)
}

/// An action with what all actions are told alike.
macro_rules! action {
    ($action:expr, $asked:expr, $($expression:ident)*) => {{
        let mut action = with_values!($action, $asked.terms, $($expression)*);
        if let Some(version) = $asked.expected {
            action = action.if_version(version);
        }
        action.return_old_on_failure($asked.return_old)
    }};
}

pub(super) fn transact_write(
    target: &Deferred<'_>,
    transact: &operation::TransactWrite<'_>,
    consumed: Option<&Consumed>,
) -> Result<u64, Failure> {
    let mut builder = with_consumed!(target.transact_write(), consumed);
    for asked in &transact.actions {
        let table = &asked.table;
        builder = match &asked.what {
            What::Put(item) => {
                let put = Put::new(table);
                let put = item.iter().fold(put, |put, item| put.item(item));
                builder.put(action!(put, asked, condition))
            }
            What::Update(key) => {
                builder.update(action!(with_key!(Update::new(table), key), asked, update condition))
            }
            What::Delete(key) => {
                builder.delete(action!(with_key!(Delete::new(table), key), asked, condition))
            }
            What::Check(key) => builder.check(action!(with_key!(Check::new(table), key), asked, condition)),
        };
    }
    if let Some(token) = &transact.token {
        builder = builder.token(token);
    }
    Ok(builder.execute()?)
}

/// Writes what a client's transaction wants written, if all that it read still has the version that it read.
pub(super) fn commit(target: &Deferred<'_>, commit: &operation::Commit<'_>) -> Result<u64, Failure> {
    let version = target.transact(|txn| {
        for (table, key, expected) in &commit.reads {
            let found =
                with_key!(txn.get_item_versioned(table), key).attributes([""; 0]).execute_encoded()?;
            let actual = found.map(|found| found.version);
            if actual.unwrap_or(0) != *expected {
                return Err(Error::VersionConflict { expected: *expected, actual });
            }
        }
        for (table, write) in &commit.writes {
            match write {
                Write::Put(item) => drop(txn.put_item(table, item)?),
                Write::Delete(key) => drop(with_key!(txn.delete_item(table), key).execute()?),
            }
        }
        Ok(txn.version())
    })?;
    Ok(version)
}

pub(super) fn restore_version(
    target: &Deferred<'_>,
    restore: &operation::RestoreVersion<'_>,
) -> Result<u64, Failure> {
    let builder = target.restore_version(&restore.table, restore.version);
    Ok(with_key!(builder, &restore.key).execute()?)
}
