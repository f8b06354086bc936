//! Batches: many gets from one state, many writes in one commit.

use dynamite_core::Item;
use dynamite_core::api::{EncodedItem, IntoAttribute, IntoItem};
use dynamite_core::error::{Error, Result as CoreResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::call::Route;
use crate::client::form::{self, Form};
use crate::client::told::{Faults, awaited, consumes};
use crate::error::Result;
use crate::protocol::operation::{self, Write};
use crate::protocol::terms::{Key, Want};
use crate::protocol::text::Bytes;

/// Gets that are about to be made; [`DynaMiteClient::batch_get`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is read before it is awaited"]
pub struct BatchGet {
    route: Route,
    faults: Faults,
    batch: operation::BatchGet<'static>,
}

impl BatchGet {
    pub(crate) fn new(route: Route) -> BatchGet {
        let batch = operation::BatchGet { at: route.at(), ..Default::default() };
        BatchGet { route, faults: Faults::default(), batch }
    }

    /// Asks for one more item, of a table without sort key.
    pub fn get(mut self, table: &str, partition_key: impl IntoAttribute) -> Self {
        let key = Key { partition: self.faults.key(partition_key), sort: None };
        self.batch.gets.push((table.to_owned().into(), key));
        self
    }

    /// Asks for one more item, of a table with a sort key.
    pub fn get_sorted(
        mut self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: impl IntoAttribute,
    ) -> Self {
        let key = Key { partition: self.faults.key(partition_key), sort: self.faults.key(sort_key) };
        self.batch.gets.push((table.to_owned().into(), key));
        self
    }

    /// Of the items of this table only these attributes.
    pub fn attributes<N: Into<String>>(mut self, table: &str, names: impl IntoIterator<Item = N>) -> Self {
        self.want(table).attributes = Some(names.into_iter().map(|name| name.into().into()).collect());
        self
    }

    /// Of the items of this table only what is at these paths, in DynamoDB's language.
    pub fn projection(mut self, table: &str, expression: &str) -> Self {
        let terms = self.want(table).terms.get_or_insert_default();
        terms.projection = Some(expression.to_owned().into());
        self
    }

    /// What a placeholder like `#name` in the projection of this table stands for.
    pub fn name(mut self, table: &str, placeholder: &str, name: &str) -> Self {
        let terms = self.want(table).terms.get_or_insert_default();
        terms.names.push((placeholder.to_owned().into(), name.to_owned().into()));
        self
    }

    fn want(&mut self, table: &str) -> &mut Want<'static> {
        let wanted = &mut self.batch.wanted;
        let nth = wanted.iter().position(|(name, _)| **name == *table).unwrap_or_else(|| {
            wanted.push((table.to_owned().into(), Want::default()));
            wanted.len() - 1
        });
        &mut wanted[nth].1
    }

    consumes!(route);

    /// Gets the items as JSON, in the order in which they were asked for; `None` stands for one that is not there.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<Vec<Option<Value>>> {
        self.run(form::value).await
    }

    /// Gets the items with their exact attribute values.
    pub async fn execute_items(self) -> Result<Vec<Option<Item>>> {
        self.run(form::item).await
    }

    /// Gets the items as a type of one's own.
    pub async fn execute_as<T: DeserializeOwned>(self) -> Result<Vec<Option<T>>> {
        self.run(form::of_type).await
    }

    async fn run<T>(self, form: Form<T>) -> Result<Vec<Option<T>>> {
        let BatchGet { route, faults, batch } = self;
        faults.check()?;
        let decode = |found: Vec<Option<Bytes<'_>>>| {
            let tables = batch.gets.iter().map(|(table, _)| &**table);
            decode_all(form, tables, found)
        };
        route.read(&batch, decode).await
    }
}

/// Decodes items, each of its table.
pub(crate) fn decode_all<'a, T>(
    form: Form<T>,
    tables: impl Iterator<Item = &'a str>,
    found: Vec<Option<Bytes<'_>>>,
) -> Result<Vec<Option<T>>> {
    let decode = |(item, table): (Option<Bytes<'_>>, &str)| {
        item.map(|item| form::decode(form, table, &item)).transpose()
    };
    found.into_iter().zip(tables).map(decode).collect()
}

awaited!(BatchGet => Vec<Option<Value>>);

/// Writes that are about to be made; [`DynaMiteClient::batch_write`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is written before it is awaited"]
pub struct BatchWrite {
    route: Route,
    faults: Faults,
    batch: operation::BatchWrite<'static>,
}

impl BatchWrite {
    /// Puts one more item.
    pub fn put(self, table: &str, item: impl IntoItem) -> Self {
        self.add_put(table, EncodedItem::of(item))
    }

    /// Puts one more item that is a value of the caller's type.
    pub fn put_from(self, table: &str, item: &(impl Serialize + ?Sized)) -> Self {
        self.add_put(table, EncodedItem::of_type(item))
    }

    fn add_put(mut self, table: &str, item: CoreResult<EncodedItem<'static>>) -> Self {
        let operation = self.batch.writes.len();
        let item = item.map_err(|error| Error::Operation { operation, source: Box::new(error) });
        let write = self.faults.keep(item).map(Write::Put);
        self.batch.writes.extend(write.map(|write| (table.to_owned().into(), write)));
        self
    }

    /// Deletes one more item, of a table without sort key.
    pub fn delete(mut self, table: &str, partition_key: impl IntoAttribute) -> Self {
        let key = Key { partition: self.faults.key(partition_key), sort: None };
        self.batch.writes.push((table.to_owned().into(), Write::Delete(key)));
        self
    }

    /// Deletes one more item, of a table with a sort key.
    pub fn delete_sorted(
        mut self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: impl IntoAttribute,
    ) -> Self {
        let key = Key { partition: self.faults.key(partition_key), sort: self.faults.key(sort_key) };
        self.batch.writes.push((table.to_owned().into(), Write::Delete(key)));
        self
    }

    consumes!(route);

    /// Writes them all, or none. Returns the version of the items that were put.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<u64> {
        let BatchWrite { route, faults, batch } = self;
        faults.check()?;
        route.write(&batch, Ok).await
    }
}

awaited!(BatchWrite => u64);

impl DynaMiteClient {
    /// Begins to get many items, also of several tables, as they stand at one moment.
    pub fn batch_get(&self) -> BatchGet {
        BatchGet::new(self.route())
    }

    /// Begins to put and delete many items, also of several tables, all or nothing, in one commit.
    pub fn batch_write(&self) -> BatchWrite {
        BatchWrite { route: self.route(), faults: Faults::default(), batch: Default::default() }
    }
}
