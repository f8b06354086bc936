//! Results that are streamed. The server sends a few pages ahead, and one more for each that was begun to be read.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::client::call::{self, Route};
use crate::client::connection::Replies;
use crate::client::form::{self, Form};
use crate::error::Result;
use crate::frame::Kind;
use crate::protocol::operation::Counted;
use crate::protocol::{self, Operation, operation};

/// The items of a query or a scan, one after the other. Dropping it ends it.
///
/// It is a [`Stream`]; [`next`](ItemStream::next) spares one the traits for that.
pub struct ItemStream<T> {
    pages: Pages<T>,
}

impl<T> ItemStream<T> {
    pub(crate) async fn open<O: Operation>(
        route: &Route,
        operation: &O,
        table: String,
        form: Form<T>,
    ) -> Result<ItemStream<T>>
    where
        T: 'static,
    {
        let consumed = route.consumed.clone();
        let decode = move |body: &[u8]| {
            let items = match &consumed {
                None => protocol::decode::<operation::Portion<'_>>(body)?,
                Some(consumed) => {
                    let (entries, items) = protocol::decode::<(_, operation::Portion<'_>)>(body)?;
                    consumed.extend(entries);
                    items
                }
            };
            items.iter().map(|item| form::decode(form, &table, item)).collect()
        };
        Ok(ItemStream { pages: Pages::open(route, operation, Box::new(decode)).await? })
    }

    /// The next item. `None` at the end, and after an error.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| self.pages.poll(context)).await
    }
}

impl<T> Stream for ItemStream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().pages.poll(context)
    }
}

// Nothing in it is pinned.
impl<T> Unpin for ItemStream<T> {}

impl<T> fmt::Debug for ItemStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemStream").finish_non_exhaustive()
    }
}

/// Makes of a page what is in it.
type Decode<T> = Box<dyn Fn(&[u8]) -> Result<Vec<T>> + Send + Sync>;

/// What is in the pages of a stream, one after the other.
pub(crate) struct Pages<T> {
    replies: Replies,
    ready: VecDeque<T>,
    decode: Decode<T>,
    failed: bool,
}

impl<T> Pages<T> {
    /// Opens a stream, and waits for its first page, or for what is wrong.
    pub(crate) async fn open<O: Operation>(
        route: &Route,
        operation: &O,
        decode: Decode<T>,
    ) -> Result<Pages<T>> {
        let opened = async {
            let replies = match &route.consumed {
                None => route.stream(operation).await?,
                Some(_) => route.stream(&Counted(operation)).await?,
            };
            let mut pages = Pages { replies, ready: VecDeque::new(), decode, failed: false };
            poll_fn(|context| pages.receive(context)).await?;
            Ok(pages)
        };
        call::within(route.client.shared.options.timeout, opened).await
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(ready)));
            }
            if self.failed {
                return Poll::Ready(None);
            }
            match self.receive(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(None),
                Poll::Ready(Err(error)) => {
                    self.failed = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Receives a page. Returns whether there was one.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        self.replies.poll(context).map(|reply| match reply.transpose()? {
            None => Ok(false),
            Some(reply) => match reply.kind {
                Kind::Page => {
                    self.replies.grant();
                    self.ready.extend((self.decode)(&reply.body)?);
                    Ok(true)
                }
                Kind::Answer => Ok(false),
                _ => Err(call::failure(&reply.body)),
            },
        })
    }
}
