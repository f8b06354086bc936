//! Change streams: polled, and followed.

use std::sync::Arc;

use dynamite_core::api::{DynaMite, EncodedItem, StreamPage, StreamReader};

use super::build::count;
use crate::engine::Engine;
use crate::flow::{Next, Source};
use crate::news::{Follower, News};
use crate::protocol;
use crate::protocol::fault::{Failure, Refusal};
use crate::protocol::operation::{self, Begin};

/// Records that are sent at once, at the most.
const PORTION: usize = 256;

fn reader<'a>(db: &'a DynaMite, table: &'a str, label: Option<&'a str>, begin: Begin) -> StreamReader<'a> {
    let mut reader = db.stream(table);
    if let Some(label) = label {
        reader = reader.label(label);
    }
    match begin {
        Begin::Start => reader.from_start(),
        Begin::Latest => reader.latest(),
        Begin::At(number) => reader.at(number),
        Begin::After(number) => reader.after(number),
    }
}

pub(super) fn poll(
    db: &DynaMite,
    poll: &operation::Poll<'_>,
) -> Result<StreamPage<EncodedItem<'static>>, Failure> {
    let label = poll.label.as_deref();
    Ok(reader(db, &poll.table, label, poll.begin).poll_encoded(count(poll.limit))?)
}

pub(super) fn follow(
    engine: &Arc<Engine>,
    follow: &operation::Follow<'_>,
) -> Result<Box<dyn Source>, Failure> {
    let follower = News::follow(engine);
    let (db, table) = (&engine.db, &*follow.table);
    // Whatever is enabled later is another stream.
    let label = match &follow.label {
        Some(label) => Some(label.to_string()),
        None => {
            let description = db.describe_table(table)?;
            let youngest = description.stream.as_ref().or(description.closed_streams.last());
            youngest.map(|stream| stream.label.clone())
        }
    };
    let page = reader(db, table, label.as_deref(), follow.begin).poll_encoded(PORTION)?;
    Ok(Box::new(Changes {
        _follower: follower,
        table: table.to_owned(),
        label,
        page: Some(page),
        next: None,
    }))
}

/// The records of a stream, those that are yet to come included.
struct Changes {
    _follower: Follower,
    table: String,
    label: Option<String>,
    /// What was read already.
    page: Option<StreamPage<EncodedItem<'static>>>,
    next: Option<Begin>,
}

impl Source for Changes {
    fn next(&mut self, engine: &Engine, body: &mut Vec<u8>) -> Result<Next, Failure> {
        // The first page is sent whatever is in it: it says that the stream is followed.
        let is_first = self.page.is_some();
        let page = match (self.page.take(), self.next) {
            (Some(page), _) => page,
            (None, Some(begin)) => {
                reader(&engine.db, &self.table, self.label.as_deref(), begin).poll_encoded(PORTION)?
            }
            (None, None) => return Ok(Next::End),
        };
        self.next = page.next.map(Begin::After);
        if page.records.is_empty() && !is_first {
            return Ok(if self.next.is_some() { Next::AfterCommit } else { Next::End });
        }
        protocol::encode(&page, body).map_err(|_| Refusal::AnswerTooLarge)?;
        Ok(Next::Page)
    }
}
