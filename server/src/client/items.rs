//! Items by their keys: getting, putting, updating, deleting.

use dynamite_core::Item;
use dynamite_core::api::{
    EncodedItem, IntoAttribute, IntoItem, Replaced, ReturnValues, Updated, VersionedItem,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::call::Route;
use crate::client::form::{self, Form};
use crate::client::told::{Faults, awaited, consumes, expression, item_key, names, placeholders, projects};
use crate::error::Result;
use crate::protocol::operation;
use crate::protocol::terms::{Key, Want};
use crate::protocol::text::Bytes;

/// An item that is about to be read; [`DynaMiteClient::get_item`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is read before it is awaited"]
pub struct GetItem(GetItemVersioned);

/// An item and its version, about to be read; [`DynaMiteClient::get_item_versioned`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is read before it is awaited"]
pub struct GetItemVersioned {
    route: Route,
    faults: Faults,
    get: operation::Get<'static>,
}

impl GetItemVersioned {
    pub(crate) fn new(
        route: Route,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> GetItemVersioned {
        let mut faults = Faults::default();
        let partition = faults.key(partition_key);
        let key = Key { partition, sort: sort_key.and_then(|value| faults.key(value)) };
        let get =
            operation::Get { at: route.at(), table: table.to_owned().into(), key, want: Want::default() };
        GetItemVersioned { route, faults, get }
    }

    projects!(get.want);

    names!(get.want.terms);

    consumes!(route);

    /// Gets the item as JSON, and its version.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<Option<VersionedItem>> {
        self.run(form::value).await
    }

    /// Gets the item with its exact attribute values, and its version.
    pub async fn execute_item(self) -> Result<Option<VersionedItem<Item>>> {
        self.run(form::item).await
    }

    /// Gets the item as a type of one's own, and its version.
    pub async fn execute_as<T: DeserializeOwned>(self) -> Result<Option<VersionedItem<T>>> {
        self.run(form::of_type).await
    }

    fn run<T>(self, form: Form<T>) -> impl Future<Output = Result<Option<VersionedItem<T>>>> {
        let GetItemVersioned { route, faults, get } = self;
        // An `async fn` would keep both itself and its parts.
        async move {
            faults.check()?;
            let decode = |found: Option<(u64, Bytes<'_>)>| {
                let found = found.map(|(version, item)| {
                    Ok(VersionedItem { item: form::decode(form, &get.table, &item)?, version })
                });
                found.transpose()
            };
            route.read(&get, decode).await
        }
    }
}

impl GetItem {
    pub(crate) fn new(
        route: Route,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> GetItem {
        GetItem(GetItemVersioned::new(route, table, partition_key, sort_key))
    }

    /// Only these attributes.
    pub fn attributes<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        GetItem(self.0.attributes(names))
    }

    /// Only what is at these paths, in DynamoDB's language: `age, address.city, tags[0]`.
    pub fn projection(self, expression: &str) -> Self {
        GetItem(self.0.projection(expression))
    }

    /// What a placeholder like `#name` in an expression stands for.
    pub fn name(self, placeholder: &str, name: &str) -> Self {
        GetItem(self.0.name(placeholder, name))
    }

    consumes!(0.route);

    /// Gets the item as JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<Option<Value>> {
        Ok(self.0.run(form::value).await?.map(|found| found.item))
    }

    /// Gets the item with its exact attribute values.
    pub async fn execute_item(self) -> Result<Option<Item>> {
        Ok(self.0.execute_item().await?.map(|found| found.item))
    }

    /// Gets the item as a type of one's own.
    pub async fn execute_as<T: DeserializeOwned>(self) -> Result<Option<T>> {
        Ok(self.0.execute_as().await?.map(|found| found.item))
    }
}

awaited!(GetItem => Option<Value>);
awaited!(GetItemVersioned => Option<VersionedItem>);

/// A put that is about to be made; [`DynaMiteClient::put`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is put before it is awaited"]
pub struct PutItem {
    route: Route,
    faults: Faults,
    put: operation::Put<'static>,
}

impl PutItem {
    /// The item.
    pub fn item(mut self, item: impl IntoItem) -> Self {
        self.put.item = self.faults.item(item);
        self
    }

    /// The item, a value of a type of one's own.
    pub fn item_from(mut self, item: &(impl Serialize + ?Sized)) -> Self {
        self.put.item = self.faults.keep(EncodedItem::of_type(item));
        self
    }

    /// Puts only if the item in its place has this version; 0 stands for none.
    pub fn if_version(mut self, version: u64) -> Self {
        self.put.expected = Some(version);
        self
    }

    expression! {
        /// Puts only if this holds, in DynamoDB's language, for the item in its place, or for an absent one if there is none.
        condition in put.terms
    }

    placeholders!(put.terms);

    consumes!(route);

    /// Puts the item. Returns its version.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<u64> {
        let PutItem { route, faults, put } = self;
        faults.check()?;
        route.write(&put, |(version, _)| Ok(version)).await
    }

    /// Puts the item. Returns the one in its place, too, as JSON.
    pub async fn execute_returning_old(self) -> Result<Replaced> {
        self.replace(form::value).await
    }

    /// Puts the item. Returns the one in its place, too, with its exact attribute values.
    pub async fn execute_returning_old_item(self) -> Result<Replaced<Item>> {
        self.replace(form::item).await
    }

    async fn replace<T>(self, form: Form<T>) -> Result<Replaced<T>> {
        let PutItem { route, faults, mut put } = self;
        faults.check()?;
        put.return_old = true;
        let decode = |(version, old): (u64, Option<Bytes<'_>>)| {
            let old = old.map(|old| form::decode(form, &put.table, &old)).transpose()?;
            Ok(Replaced { version, old })
        };
        route.write(&put, decode).await
    }
}

awaited!(PutItem => u64);

/// An update that is about to be made; [`DynaMiteClient::update_item`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is updated before it is awaited"]
pub struct UpdateItem {
    route: Route,
    faults: Faults,
    update: operation::Update<'static>,
}

impl UpdateItem {
    item_key!(update.key);

    expression! {
        /// What to do, in DynamoDB's language: `SET age = age + :one REMOVE nickname`.
        update in update.terms
    }

    expression! {
        /// Updates only if this holds, in DynamoDB's language, for the item, or for an absent one if there is none.
        condition in update.terms
    }

    placeholders!(update.terms);

    consumes!(route);

    /// Updates only if the item has this version; 0 stands for no item.
    pub fn if_version(mut self, version: u64) -> Self {
        self.update.expected = Some(version);
        self
    }

    /// What to return of the item (default: nothing).
    pub fn return_values(mut self, return_values: ReturnValues) -> Self {
        self.update.return_values = return_values;
        self
    }

    /// Updates the item, and returns what is asked for as JSON.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<Updated> {
        self.run(form::value).await
    }

    /// Updates the item, and returns what is asked for with exact attribute values.
    pub async fn execute_item(self) -> Result<Updated<Item>> {
        self.run(form::item).await
    }

    async fn run<T>(self, form: Form<T>) -> Result<Updated<T>> {
        let UpdateItem { route, faults, update } = self;
        faults.check()?;
        let decode = |(version, attributes): (u64, Option<Bytes<'_>>)| {
            let attributes = attributes.map(|item| form::decode(form, &update.table, &item)).transpose()?;
            Ok(Updated { version, attributes })
        };
        route.write(&update, decode).await
    }
}

awaited!(UpdateItem => Updated);

/// An item that is about to be deleted; [`DynaMiteClient::delete_item`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is deleted before it is awaited"]
pub struct DeleteItem {
    route: Route,
    faults: Faults,
    delete: operation::Delete<'static>,
}

impl DeleteItem {
    item_key!(delete.key);

    /// Deletes only if the item has this version.
    pub fn if_version(mut self, version: u64) -> Self {
        self.delete.expected = Some(version);
        self
    }

    expression! {
        /// Deletes only if this holds, in DynamoDB's language, for the item, or for an absent one if there is none.
        condition in delete.terms
    }

    placeholders!(delete.terms);

    consumes!(route);

    /// Deletes the item. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<bool> {
        let DeleteItem { route, faults, delete } = self;
        faults.check()?;
        route.write(&delete, |(was_there, _)| Ok(was_there)).await
    }

    /// Deletes the item. Returns what it was, as JSON.
    pub async fn execute_returning_old(self) -> Result<Option<Value>> {
        self.take(form::value).await
    }

    /// Deletes the item. Returns what it was, with its exact attribute values.
    pub async fn execute_returning_old_item(self) -> Result<Option<Item>> {
        self.take(form::item).await
    }

    async fn take<T>(self, form: Form<T>) -> Result<Option<T>> {
        let DeleteItem { route, faults, mut delete } = self;
        faults.check()?;
        delete.return_old = true;
        let decode = |(_, old): (bool, Option<Bytes<'_>>)| {
            old.map(|old| form::decode(form, &delete.table, &old)).transpose()
        };
        route.write(&delete, decode).await
    }
}

awaited!(DeleteItem => bool);

impl DynaMiteClient {
    pub(crate) fn route(&self) -> Route {
        Route { client: self.clone(), held: None, consumed: None }
    }

    /// Begins to get an item by its partition key, and its sort key if the table has one.
    pub fn get_item(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> GetItem {
        GetItem::new(self.route(), table, partition_key, sort_key)
    }

    /// Begins to get an item and its version.
    pub fn get_item_versioned(
        &self,
        table: &str,
        partition_key: impl IntoAttribute,
        sort_key: Option<Value>,
    ) -> GetItemVersioned {
        GetItemVersioned::new(self.route(), table, partition_key, sort_key)
    }

    /// Begins to put an item in place of whatever has its key. Returns its version.
    pub fn put_item(&self, table: &str, item: impl IntoItem) -> PutItem {
        self.put(table).item(item)
    }

    /// Begins to put an item if the one in its place still has the version that is expected: `Some(v)`. With `Some(0)` only if there is none,
    /// with `None` in any case. Returns the new version.
    ///
    /// ```
    /// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
    /// use dynamite_core::types::KeyType;
    /// use dynamite_server::DynaMiteClient;
    /// use serde_json::json;
    ///
    /// let db = DynaMiteClient::connect(&path).await?;
    /// db.create_table("counters").partition_key("name", KeyType::String).await?;
    /// // Many processes may do this at the same time, and every visit counts.
    /// loop {
    ///     let counted = match db.get_item_versioned("counters", "visits", None).await? {
    ///         Some(found) => {
    ///             let mut item = found.item;
    ///             item["count"] = json!(item["count"].as_i64().unwrap() + 1);
    ///             db.put_item_versioned("counters", item, Some(found.version)).await
    ///         }
    ///         None => db.put_item_versioned("counters", json!({"name": "visits", "count": 1}), Some(0)).await,
    ///     };
    ///     match counted {
    ///         Ok(_) => break,
    ///         Err(e) if e.to_string().contains("version conflict") => continue,
    ///         Err(e) => return Err(e),
    ///     }
    /// }
    /// # assert_eq!(db.get_item("counters", "visits", None).await?.unwrap()["count"], 1);
    /// # Ok(())
    /// # });
    /// ```
    pub fn put_item_versioned(&self, table: &str, item: impl IntoItem, expected: Option<u64>) -> PutItem {
        let mut put = self.put(table).item(item);
        put.put.expected = expected;
        put
    }

    /// Begins to put an item that is a value of the caller's type.
    pub fn put_item_from(&self, table: &str, item: &(impl Serialize + ?Sized)) -> PutItem {
        self.put(table).item_from(item)
    }

    /// Begins to put an item under a condition.
    pub fn put(&self, table: &str) -> PutItem {
        let put = operation::Put {
            table: table.to_owned().into(),
            item: None,
            expected: None,
            terms: None,
            return_old: false,
        };
        PutItem { route: self.route(), faults: Faults::default(), put }
    }

    /// Begins to update an item by an expression of DynamoDB's language. If there is no such item, one is made of the key.
    pub fn update_item(&self, table: &str) -> UpdateItem {
        let update = operation::Update {
            table: table.to_owned().into(),
            key: Key::default(),
            expected: None,
            terms: None,
            return_values: ReturnValues::None,
        };
        UpdateItem { route: self.route(), faults: Faults::default(), update }
    }

    /// Begins to delete an item.
    pub fn delete_item(&self, table: &str) -> DeleteItem {
        let delete = operation::Delete {
            table: table.to_owned().into(),
            key: Key::default(),
            expected: None,
            terms: None,
            return_old: false,
        };
        DeleteItem { route: self.route(), faults: Faults::default(), delete }
    }
}
