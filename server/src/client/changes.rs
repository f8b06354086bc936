//! Change streams: read page by page, or followed, in which case the server sends what happens when it happens.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use dynamite_core::Item;
use dynamite_core::api::{EncodedItem, SequenceNumber, StreamPage, StreamRecord};
use futures_core::Stream;
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::call::Route;
use crate::client::form::{self, Form};
use crate::client::stream::Pages;
use crate::error::Result;
use crate::protocol;
use crate::protocol::operation::{self, Begin};
use crate::protocol::text::Text;

/// A change stream that is about to be read; [`DynaMiteClient::stream`] begins, [`poll`](StreamReader::poll) and
/// [`follow`](StreamReader::follow) end.
#[derive(Clone, Debug)]
#[must_use = "nothing is read before poll or follow"]
pub struct StreamReader {
    route: Route,
    table: String,
    label: Option<String>,
    begin: Begin,
}

impl StreamReader {
    /// The stream of this label: also one that was disabled, as long as it has records.
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// From the oldest record on (default).
    pub fn from_start(mut self) -> Self {
        self.begin = Begin::Start;
        self
    }

    /// Only what happens from now on.
    pub fn latest(mut self) -> Self {
        self.begin = Begin::Latest;
        self
    }

    /// From this record on.
    pub fn at(mut self, number: SequenceNumber) -> Self {
        self.begin = Begin::At(number);
        self
    }

    /// From the record behind this place on.
    pub fn after(mut self, number: SequenceNumber) -> Self {
        self.begin = Begin::After(number);
        self
    }

    /// Reads what there is now, with items as JSON: at most so many records, and about 1 MB.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn poll(self, limit: usize) -> Result<StreamPage> {
        self.page(limit, form::value).await
    }

    /// Reads what there is now, with exact attribute values.
    pub async fn poll_items(self, limit: usize) -> Result<StreamPage<Item>> {
        self.page(limit, form::item).await
    }

    /// All records one after the other, with items as JSON; those that are yet to come are sent when they come.
    ///
    /// # Errors
    ///
    /// Those of [`poll`](StreamReader::poll).
    ///
    /// ```
    /// # dynamite_server::doc_test::with_server(async |path: std::path::PathBuf| -> Result<(), dynamite_server::ClientError> {
    /// # use dynamite_core::api::{StreamEvent, StreamView};
    /// # use dynamite_core::types::KeyType;
    /// # use dynamite_server::DynaMiteClient;
    /// # use serde_json::json;
    /// # let db = DynaMiteClient::connect(&path).await?;
    /// let users = db.create_table("users").partition_key("id", KeyType::String);
    /// users.stream(StreamView::NewAndOldImages).await?;
    /// let mut changes = db.stream("users").latest().follow().await?;
    ///
    /// db.put_item("users", json!({"id": "alice"})).await?;
    /// let change = changes.next().await.unwrap()?;
    /// assert_eq!((change.event, change.keys), (StreamEvent::Insert, json!({"id": "alice"})));
    /// # Ok(())
    /// # });
    /// ```
    pub async fn follow(self) -> Result<ChangeStream<Value>> {
        self.followed(form::value).await
    }

    /// All records one after the other, with exact attribute values; see [`follow`](StreamReader::follow).
    pub async fn follow_items(self) -> Result<ChangeStream<Item>> {
        self.followed(form::item).await
    }

    async fn page<T>(self, limit: usize, form: Form<T>) -> Result<StreamPage<T>> {
        let StreamReader { route, table, label, begin } = self;
        let label = label.as_deref().map(Text::from);
        let poll = operation::Poll { table: Text::from(&*table), label, begin, limit: limit as u64 };
        let decode = |page: StreamPage<EncodedItem<'_>>| {
            page.try_map(|item| form::decode(form, &table, item.as_bytes()))
        };
        route.read(&poll, decode).await
    }

    async fn followed<T: 'static>(self, form: Form<T>) -> Result<ChangeStream<T>> {
        let StreamReader { route, table, label, begin } = self;
        let follow = operation::Follow { table: table.clone().into(), label: label.map(Text::from), begin };
        let decode = move |body: &[u8]| {
            let page = protocol::decode::<operation::Records<'_>>(body)?;
            Ok(page.try_map(|item| form::decode(form, &table, item.as_bytes()))?.records)
        };
        Ok(ChangeStream { pages: Pages::open(&route, &follow, Box::new(decode)).await? })
    }
}

/// The records of a change stream, one after the other, as they come. It ends when the stream is disabled and its last record was
/// read, and after an error. Dropping it ends it, too.
pub struct ChangeStream<T> {
    pages: Pages<StreamRecord<T>>,
}

impl<T> ChangeStream<T> {
    /// The next record, when it comes. If the connection is lost, go on [`after`](StreamReader::after) the last that came.
    pub async fn next(&mut self) -> Option<Result<StreamRecord<T>>> {
        poll_fn(|context| self.pages.poll(context)).await
    }
}

impl<T> Stream for ChangeStream<T> {
    type Item = Result<StreamRecord<T>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().pages.poll(context)
    }
}

// Nothing in it is pinned.
impl<T> Unpin for ChangeStream<T> {}

impl<T> fmt::Debug for ChangeStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeStream").finish_non_exhaustive()
    }
}

impl DynaMiteClient {
    /// Begins to read a table's change stream, from its oldest record on unless something else is said.
    pub fn stream(&self, table: &str) -> StreamReader {
        StreamReader { route: self.route(), table: table.to_owned(), label: None, begin: Begin::Start }
    }
}
