//! Queries and scans.

use dynamite_core::Item;
use dynamite_core::api::{IntoAttribute, IntoItem, Page, PageCount};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat, Route};
use crate::client::form::{self, Form};
use crate::client::stream::ItemStream;
use crate::client::told::{self, Faults, awaited, consumes, expression, placeholders, projects};
use crate::error::Result;
use crate::protocol::operation::{
    self, CountQuery, CountScan, CountWholeQuery, CountWholeScan, QueryTerms, ScanTerms, StreamQuery,
    StreamScan,
};
use crate::protocol::terms::{Selection, SortTest};
use crate::protocol::text::{Bytes, Text, WireValue};

/// A query that is about to be made; [`DynaMiteClient::query`] begins, awaiting it or [`stream`](Query::stream) ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is read before it is awaited"]
pub struct Query {
    route: Route,
    faults: Faults,
    terms: QueryTerms<'static>,
}

/// A scan that is about to be made; [`DynaMiteClient::scan`] begins, awaiting it or [`stream`](Scan::stream) ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is read before it is awaited"]
pub struct Scan {
    route: Route,
    faults: Faults,
    terms: ScanTerms<'static>,
}

/// What both have, with the operations that do it.
macro_rules! selections {
    ($name:ident: $page:ident $count:ident $count_page:ident $stream:ident) => {
        impl $name {
            pub(crate) fn new(route: Route, table: Option<&str>) -> Self {
                let selection = Selection {
                    at: route.at(),
                    table: table.map(|table| table.to_owned().into()),
                    ..Selection::default()
                };
                let mut built = $name { route, faults: Faults::default(), terms: Default::default() };
                built.terms.selection = selection;
                built
            }

            projects!(terms.selection.want);

            expression! {
                /// Only items for which this holds, in DynamoDB's language. Those that it drops count for the limit and the size of a
                /// page, and of what is counted, all the same; a stream's limit is of what it returns.
                filter in terms.selection.want.terms
            }

            placeholders!(terms.selection.want.terms);

            consumes!(route);

            /// Reads an index of the table, in the order of the index's keys.
            pub fn index(mut self, name: &str) -> Self {
                self.terms.selection.index = Some(name.to_owned().into());
                self
            }

            /// All attributes of the items, also those that the index does not hold.
            pub fn all_attributes(mut self) -> Self {
                self.terms.selection.all_attributes = true;
                self
            }

            /// At most so many items: in a page, or in all from a stream.
            pub fn limit(mut self, limit: usize) -> Self {
                self.terms.selection.limit = Some(limit as u64);
                self
            }

            /// Begins behind this key: what the page before gave as its last.
            pub fn exclusive_start_key(mut self, key: impl IntoItem) -> Self {
                self.terms.selection.start = self.faults.item(key);
                self
            }

            /// Reads a page of items as JSON: at most 1 MB of them, counted as DynamoDB counts.
            ///
            /// # Errors
            ///
            /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
            pub async fn execute(self) -> Result<Page> {
                self.page(form::value).await
            }

            /// Reads a page of items with their exact attribute values.
            pub async fn execute_items(self) -> Result<Page<Item>> {
                self.page(form::item).await
            }

            /// Reads a page of items as a type of one's own.
            pub async fn execute_as<T: DeserializeOwned>(self) -> Result<Page<T>> {
                self.page(form::of_type).await
            }

            /// Counts the items, all of them unless a limit is set, without sending any.
            pub async fn count(self) -> Result<u64> {
                let $name { route, faults, terms } = self;
                faults.check()?;
                route.call(&$count(terms), Repeat::Safe, Limit::None, Ok).await
            }

            /// Counts the items of a page. It ends where one with items would.
            pub async fn count_page(self) -> Result<PageCount> {
                let $name { route, faults, terms } = self;
                faults.check()?;
                let operation = $count_page(terms);
                let table = name(&operation.0.selection);
                let decode = |counted: operation::Count<'_>| {
                    Ok(PageCount {
                        count: told::count(counted.count),
                        scanned_count: told::count(counted.scanned_count),
                        last_evaluated_key: decode_key(table, counted.last)?,
                    })
                };
                route.read(&operation, decode).await
            }

            /// Streams all items as JSON, from one snapshot. It ends early, by an error, if the connection is lost.
            ///
            /// # Errors
            ///
            /// Those of [`execute`](Self::execute).
            pub async fn stream(self) -> Result<ItemStream<Value>> {
                self.streamed(form::value).await
            }

            /// Streams all items with their exact attribute values; see [`stream`](Self::stream).
            pub async fn stream_items(self) -> Result<ItemStream<Item>> {
                self.streamed(form::item).await
            }

            /// Streams all items as a type of one's own; see [`stream`](Self::stream).
            pub async fn stream_as<T: DeserializeOwned + 'static>(self) -> Result<ItemStream<T>> {
                self.streamed(form::of_type).await
            }

            async fn page<T>(self, form: Form<T>) -> Result<Page<T>> {
                let $name { route, faults, terms } = self;
                faults.check()?;
                let operation = operation::$page(terms);
                let table = name(&operation.0.selection);
                let decode = |page: operation::Page<'_>| decode_page(form, table, page);
                route.read(&operation, decode).await
            }

            async fn streamed<T: 'static>(self, form: Form<T>) -> Result<ItemStream<T>> {
                let $name { route, faults, terms } = self;
                faults.check()?;
                let table = name(&terms.selection).to_owned();
                ItemStream::open(&route, &$stream(terms), table, form).await
            }
        }

        awaited!($name => Page);
    };
}

selections!(Query: Query CountWholeQuery CountQuery StreamQuery);
selections!(Scan: Scan CountWholeScan CountScan StreamScan);

/// The table's name, for errors; a past table's is not known here.
fn name<'a>(selection: &'a Selection<'_>) -> &'a str {
    selection.table.as_deref().unwrap_or("of the past")
}

fn decode_page<T>(form: Form<T>, table: &str, page: operation::Page<'_>) -> Result<Page<T>> {
    let items = page.items.iter().map(|item| form::decode(form, table, item)).collect::<Result<Vec<T>>>()?;
    let last_evaluated_key = decode_key(table, page.last)?;
    Ok(Page { items, scanned_count: told::count(page.scanned_count), last_evaluated_key })
}

fn decode_key(table: &str, key: Option<Bytes<'_>>) -> Result<Option<Value>> {
    key.map(|key| form::decode(form::value, table, &key)).transpose()
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $method:ident => $test:ident;)*) => {$(
        $(#[$doc])*
        pub fn $method(mut self, value: impl IntoAttribute) -> Self {
            let test = self.faults.key(value).map(SortTest::$test);
            self.terms.sort.extend(test);
            self
        }
    )*};
}

impl Query {
    /// The partition. For an index whose partition key has several attributes it is called once for each, in their order.
    pub fn partition_key(mut self, value: impl IntoAttribute) -> Self {
        let value = self.faults.key(value);
        self.terms.partition.extend(value);
        self
    }

    conditions! {
        /// Only items whose sort key is this.
        sort_key_eq => Eq;
        /// Only items whose sort key is less.
        sort_key_lt => Lt;
        /// Only items whose sort key is less or equal.
        sort_key_le => Le;
        /// Only items whose sort key is greater.
        sort_key_gt => Gt;
        /// Only items whose sort key is greater or equal.
        sort_key_ge => Ge;
        /// Only items whose sort key, a string or a binary, begins so.
        sort_key_begins_with => BeginsWith;
    }

    /// Only items whose sort key is one of these or lies between them.
    pub fn sort_key_between(mut self, lower: impl IntoAttribute, upper: impl IntoAttribute) -> Self {
        if let (Some(lower), Some(upper)) = (self.faults.key(lower), self.faults.key(upper)) {
            self.terms.sort.push(SortTest::Between(lower, upper));
        }
        self
    }

    expression! {
        /// The partition and the condition on the sort key at once, in DynamoDB's language: `device_id = :d AND seen_at > :t`.
        key_condition in terms.selection.want.terms
    }

    /// Whether the least sort key comes first (default), or the greatest.
    pub fn scan_forward(mut self, forward: bool) -> Self {
        self.terms.descending = !forward;
        self
    }
}

impl Scan {
    /// Only the items of one segment, counted from 0, of so many: for workers that share a table.
    pub fn segment(mut self, segment: u32, total: u32) -> Self {
        self.terms.segment = Some((segment, total));
        self
    }
}

impl Route {
    pub(crate) async fn list_partition_keys(
        &self,
        table: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Value>> {
        let list = operation::ListPartitionKeys {
            at: self.at(),
            table: Text::from(table),
            prefix: Text::from(prefix),
            limit: limit as u64,
        };
        let decode = |keys: Vec<WireValue<'_>>| {
            let value = |key: &WireValue<'_>| -> Result<Value> {
                let value = key.value().map_err(|damage| dynamite_core::Error::Decode(damage.to_string()))?;
                Ok(value.into())
            };
            keys.iter().map(value).collect()
        };
        self.read(&list, decode).await
    }
}

impl DynaMiteClient {
    /// Begins to query one partition of a table.
    ///
    /// ```
    /// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
    /// # use dynamite_core::types::KeyType;
    /// # use dynamite_server::DynaMiteClient;
    /// # use serde_json::json;
    /// # let db = DynaMiteClient::connect(&path).await?;
    /// # let events = db.create_table("events").partition_key("device_id", KeyType::String);
    /// # events.sort_key("timestamp", KeyType::Number).await?;
    /// # for timestamp in [50, 100, 150, 200, 250] {
    /// #     db.put_item("events", json!({"device_id": "device_123", "timestamp": timestamp})).await?;
    /// # }
    /// let query = || db.query("events").partition_key("device_123");
    /// let results = query().sort_key_between(100.0, 200.0).await?;
    /// assert_eq!(results.items.len(), 3);
    ///
    /// // All of them, however many, as they come.
    /// let mut events = query().stream().await?;
    /// while let Some(event) = events.next().await {
    ///     println!("{}", event?);
    /// }
    /// # Ok(())
    /// # });
    /// ```
    pub fn query(&self, table: &str) -> Query {
        Query::new(self.route(), Some(table))
    }

    /// Begins to scan a table. Items come in the order of their keys.
    pub fn scan(&self, table: &str) -> Scan {
        Scan::new(self.route(), Some(table))
    }

    /// The partition keys of a table in order, each once: the first `limit` of those that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn list_partition_keys(&self, table: &str, prefix: &str, limit: usize) -> Result<Vec<Value>> {
        self.route().list_partition_keys(table, prefix, limit).await
    }
}
