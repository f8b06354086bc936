//! Transactions that decide by what they read, without holding the writer's turn while they do.
//!
//! A transaction reads from a snapshot and remembers the version of each item that it has read; what it writes stays with the client. At
//! the end the server looks, in one write transaction, whether all items still have the versions that were read, and writes then. If
//! not, the transaction is run again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamite_core::api::{EncodedItem, IntoAttribute, IntoItem};
use dynamite_core::error::{Error, Invalid};
use dynamite_core::item_codec::ItemView;
use dynamite_core::types::KeySchema;
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::form;
use crate::client::snapshot::Snapshot;
use crate::client::told::Faults;
use crate::error::{ClientError, Result};
use crate::protocol::operation::{self, Write};
use crate::protocol::terms::Key;
use crate::protocol::text::WireValue;

/// How often a transaction is run at most.
const MOST_ATTEMPTS: usize = 100;

/// A transaction under way, inside [`DynaMiteClient::transact`]. It reads what it wrote.
#[derive(Clone, Debug)]
pub struct Transaction {
    snapshot: Snapshot,
    state: Arc<Mutex<State>>,
}

/// A table, and the encoded parts of an item's key.
type Place = (String, Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Default)]
struct State {
    /// The keys of tables that were written.
    schemas: BTreeMap<String, KeySchema>,
    reads: BTreeMap<Place, (Key<'static>, u64)>,
    writes: BTreeMap<Place, Write<'static>>,
}

impl DynaMiteClient {
    /// Runs a transaction: what it wrote is written when `body` returns `Ok`, all of it or nothing, if nothing that it read has changed
    /// meanwhile. If something has, it is run again, up to a hundred times.
    ///
    /// # Errors
    ///
    /// Whatever `body` returns; [`Error::VersionConflict`] if it met other writers each time; those of the embedded database's, and
    /// [`ClientError`].
    ///
    /// ```
    /// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
    /// # use dynamite_core::types::KeyType;
    /// # use dynamite_server::DynaMiteClient;
    /// # use serde_json::json;
    /// # let db = DynaMiteClient::connect(&path).await?;
    /// # db.create_table("accounts").partition_key("name", KeyType::String).await?;
    /// # for name in ["alice", "bob"] {
    /// #     db.put_item("accounts", json!({"name": name, "balance": 100})).await?;
    /// # }
    /// db.transact(async |txn| {
    ///     for (name, change) in [("alice", -30), ("bob", 30)] {
    ///         let mut account = txn.get_item("accounts", name, None).await?.unwrap();
    ///         account["balance"] = json!(account["balance"].as_i64().unwrap() + change);
    ///         txn.put_item("accounts", account).await?;
    ///     }
    ///     Ok(())
    /// })
    /// .await?;
    /// assert_eq!(db.get_item("accounts", "bob", None).await?.unwrap()["balance"], 130);
    /// # Ok(())
    /// # });
    /// ```
    pub async fn transact<R>(&self, mut body: impl AsyncFnMut(&Transaction) -> Result<R>) -> Result<R> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let transaction = Transaction { snapshot: self.snapshot().await?, state: Arc::default() };
            let result = body(&transaction).await?;
            let State { reads, writes, .. } = std::mem::take(&mut *transaction.state());
            if writes.is_empty() {
                // What it read was one state.
                return Ok(result);
            }
            let reads = reads.into_iter().map(|((table, ..), (key, version))| (table.into(), key, version));
            let writes = writes.into_iter().map(|((table, ..), write)| (table.into(), write));
            let commit = operation::Commit { reads: reads.collect(), writes: writes.collect() };
            match self.route().write(&commit, Ok).await {
                Ok(_) => return Ok(result),
                Err(ClientError::Database(Error::VersionConflict { .. })) if attempts < MOST_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Transaction {
    /// Gets an item: as it was when the transaction began, or as the transaction wrote it.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`].
    pub async fn get_item(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> Result<Option<Value>> {
        let key = key(partition_key, sort_key)?;
        let place = place(table, &key)?;
        match self.state().writes.get(&place) {
            Some(Write::Put(item)) => return form::decode(form::value, table, item.as_bytes()).map(Some),
            Some(Write::Delete(_)) => return Ok(None),
            None => {}
        }
        let (partition, sort) = (value(key.partition.as_ref())?, value(key.sort.as_ref())?);
        let partition = partition.ok_or(Error::from(Invalid::KeySchema))?;
        let found = self.snapshot.get_item_versioned(table, partition, sort.map(Value::from)).await?;
        let version = found.as_ref().map_or(0, |found| found.version);
        self.state().reads.insert(place, (key, version));
        Ok(found.map(|found| found.item))
    }

    /// Puts an item, at the end of the transaction.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's for an item that does not fit its table, and [`ClientError`].
    pub async fn put_item(&self, table: &str, item: impl IntoItem) -> Result<()> {
        let item = EncodedItem::of(item)?;
        let schema = self.schema(table).await?;
        let key = key_of(&schema, &item)?;
        self.state().writes.insert(place(table, &key)?, Write::Put(item));
        Ok(())
    }

    /// Deletes an item, at the end of the transaction.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn delete_item(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> Result<()> {
        let key = key(partition_key, sort_key)?;
        self.state().writes.insert(place(table, &key)?, Write::Delete(key));
        Ok(())
    }

    /// What the transaction looks at, for reads that are not checked at its end.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    async fn schema(&self, table: &str) -> Result<KeySchema> {
        if let Some(schema) = self.state().schemas.get(table) {
            return Ok(schema.clone());
        }
        let keys = self.snapshot.describe_table(table).await?.keys;
        self.state().schemas.insert(table.to_owned(), keys.clone());
        Ok(keys)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(partition_key: impl IntoAttribute, sort_key: Option<Value>) -> Result<Key<'static>> {
    let mut faults = Faults::default();
    let partition = faults.key(partition_key);
    let key = Key { partition, sort: sort_key.and_then(|value| faults.key(value)) };
    faults.check()?;
    Ok(key)
}

/// The key of an item, from its own attributes.
fn key_of(schema: &KeySchema, item: &EncodedItem<'_>) -> Result<Key<'static>> {
    let damaged = |damage: dynamite_core::item_codec::ItemDamage| Error::Decode(damage.to_string());
    let view = ItemView::new(item.as_bytes()).map_err(damaged)?;
    let mut faults = Faults::default();
    let mut part = |name: &str| -> Result<Option<WireValue<'static>>> {
        let value = view.get(name).map_err(damaged)?;
        let value = value.ok_or_else(|| Error::from(Invalid::MissingKey { name: name.to_owned() }))?;
        Ok(faults.key(value.to_value().map_err(damaged)?))
    };
    let partition = part(schema.partition_key().name())?;
    let sort = schema.sort_key().map(|sort| part(sort.name())).transpose()?.flatten();
    Ok(Key { partition, sort })
}

/// Equal keys have equal bytes.
fn place(table: &str, key: &Key<'_>) -> Result<Place> {
    let bytes = |value: &WireValue<'_>| value.as_bytes().to_vec();
    let partition = key.partition.as_ref().map(bytes).ok_or(Error::from(Invalid::KeySchema))?;
    Ok((table.to_owned(), partition, key.sort.as_ref().map(bytes)))
}

fn value(value: Option<&WireValue<'_>>) -> Result<Option<dynamite_core::AttributeValue>> {
    let value = value.map(WireValue::value).transpose();
    Ok(value.map_err(|damage| Error::Decode(damage.to_string()))?)
}
