//! Reading a change stream: page by page, or by an iterator that waits for what is yet to come.
//!
//! Readers see published transactions only, whole, in the order of the commits. They keep nothing in the database: a place in a
//! stream is a sequence number, which its reader remembers.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::{Bound, ControlFlow};
use std::time::{Duration, Instant};

use dynamite_txn::{Access, Range, ReadTxn};
use serde_json::Value;

use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode};
use crate::api::schema::is_of_users;
use crate::api::sequence_number::SequenceNumber;
use crate::api::stream::{LAST_TRIMMED, Stream};
use crate::api::stream_record::{StoredRecord, StreamRecord, malformed};
use crate::api::table::Table;
use crate::error::{Error, Invalid, Result};
use crate::value::Item;

/// Bytes of stored records after which a page ends.
const PAGE_BYTES: usize = 1 << 20;
/// A limit up to which pages of the file are not read ahead.
const SHORT: usize = 16;
/// Records that an iterator fetches at once.
const PORTION: usize = 256;

/// A stream that is about to be read; [`DynaMite::stream`] begins, [`poll`](StreamReader::poll) and [`iter`](StreamReader::iter)
/// end.
#[derive(Clone, Debug)]
#[must_use = "nothing is read before poll or iter"]
pub struct StreamReader<'a> {
    db: &'a DynaMite,
    table: &'a str,
    label: Option<&'a str>,
    begin: Begin,
}

/// Where to begin.
#[derive(Clone, Copy, Debug)]
enum Begin {
    Start,
    Latest,
    At(SequenceNumber),
    After(SequenceNumber),
}

/// Records of a stream, and where to go on.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct StreamPage<T = Value> {
    /// The records, in order.
    pub records: Vec<StreamRecord<T>>,
    /// Read on [`after`](StreamReader::after) this. `None` if the stream was disabled and this was the last of it.
    pub next: Option<SequenceNumber>,
}

impl<T> StreamPage<T> {
    /// The page with the keys and images of its records made into something else.
    ///
    /// # Errors
    ///
    /// The first error of `map`.
    pub fn try_map<U, E>(self, mut map: impl FnMut(T) -> Result<U, E>) -> Result<StreamPage<U>, E> {
        let records = self.records.into_iter().map(|record| record.try_map(&mut map));
        Ok(StreamPage { records: records.collect::<Result<_, E>>()?, next: self.next })
    }
}

impl DynaMite {
    /// Begins to read a table's change stream, from its oldest record on unless something else is said: the stream that is
    /// enabled, or, if none is, the one that was enabled last.
    ///
    /// ```
    /// # use dynamite_core::api::{DynaMite, StreamEvent, StreamView};
    /// # use dynamite_core::types::KeyType;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// let users = db.create_table("users").partition_key("user_id", KeyType::String);
    /// users.stream(StreamView::NewAndOldImages).execute()?;
    /// db.put_item("users", json!({"user_id": "alice", "age": 30}))?;
    /// db.put_item("users", json!({"user_id": "alice", "age": 31}))?;
    ///
    /// let page = db.stream("users").poll(100)?;
    /// assert_eq!(page.records[0].event, StreamEvent::Insert);
    /// assert_eq!(page.records[1].old_image, Some(json!({"user_id": "alice", "age": 30})));
    ///
    /// // What comes later, when it comes.
    /// let mut changes = db.stream("users").after(page.next.unwrap()).iter()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| db.delete_item("users").partition_key("alice").execute());
    ///     let change = changes.next().unwrap()?;
    ///     assert_eq!((change.event, change.keys), (StreamEvent::Remove, json!({"user_id": "alice"})));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn stream<'a>(&'a self, table: &'a str) -> StreamReader<'a> {
        StreamReader { db: self, table, label: None, begin: Begin::Start }
    }
}

impl<'a> StreamReader<'a> {
    /// The stream of this label: also one that was disabled, as long as it has records.
    pub fn label(mut self, label: &'a str) -> Self {
        self.label = Some(label);
        self
    }

    /// From the oldest record on: DynamoDB's `TRIM_HORIZON`.
    pub fn from_start(mut self) -> Self {
        self.begin = Begin::Start;
        self
    }

    /// Only what happens from now on: DynamoDB's `LATEST`.
    pub fn latest(mut self) -> Self {
        self.begin = Begin::Latest;
        self
    }

    /// From this record on: DynamoDB's `AT_SEQUENCE_NUMBER`.
    pub fn at(mut self, number: SequenceNumber) -> Self {
        self.begin = Begin::At(number);
        self
    }

    /// From the record behind this place on: DynamoDB's `AFTER_SEQUENCE_NUMBER`.
    pub fn after(mut self, number: SequenceNumber) -> Self {
        self.begin = Begin::After(number);
        self
    }

    /// Reads what there is now, with items as JSON: at most so many records, and about 1 MB.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`], [`Error::StreamNotFound`]; [`Error::StreamTrimmed`] if records behind the place were trimmed;
    /// [`Error::Validation`] for a limit of 0.
    ///
    /// Cost: a descent, and the pages that the records stand on.
    pub fn poll(self, limit: usize) -> Result<StreamPage> {
        self.page(limit, AS_VALUE)
    }

    /// Reads what there is now, with exact attribute values; see [`poll`](StreamReader::poll).
    pub fn poll_items(self, limit: usize) -> Result<StreamPage<Item>> {
        self.page(limit, AS_ITEM)
    }

    /// Reads what there is now, with items in their stored form; see [`poll`](StreamReader::poll).
    pub fn poll_encoded(self, limit: usize) -> Result<StreamPage<EncodedItem<'static>>> {
        self.page(limit, AS_ENCODED)
    }

    /// All records one after the other, with items as JSON; at the end it waits for the next commit.
    ///
    /// # Errors
    ///
    /// Those of [`poll`](StreamReader::poll).
    pub fn iter(self) -> Result<StreamIter> {
        self.follow(AS_VALUE)
    }

    /// All records one after the other, with exact attribute values; see [`iter`](StreamReader::iter).
    pub fn iter_items(self) -> Result<StreamIter<Item>> {
        self.follow(AS_ITEM)
    }

    fn page<T>(self, limit: usize, decode: Decode<T>) -> Result<StreamPage<T>> {
        if limit == 0 {
            return Err(Invalid::Limit.into());
        }
        fetch(self.db, self.table, self.label, self.begin, limit, decode)
    }

    fn follow<T>(self, decode: Decode<T>) -> Result<StreamIter<T>> {
        let StreamReader { db, table, label, begin } = self;
        let mut read = db.shared.store.read()?;
        let (_, stream) = find(&mut read, table, label)?;
        let begin = match begin {
            // What is the latest now.
            Begin::Latest => Begin::After(SequenceNumber::behind(read.txn())),
            // What was trimmed before it began is not missed.
            Begin::Start => Begin::After(last_trimmed(&mut read, &stream)?),
            known => known,
        };
        let (db, table, label) = (db.clone(), table.to_owned(), stream.label());
        Ok(StreamIter { db, table, label, rest: Some(begin), fetched: VecDeque::new(), decode })
    }
}

/// The records of a stream, one after the other. Where they end for now, the next call waits for the next commit; it ends when the
/// stream is disabled and its last record was read, and after an error.
///
/// It holds a handle of the database, and no snapshot: it must keep pace with the trimming.
pub struct StreamIter<T = Value> {
    db: DynaMite,
    table: String,
    label: String,
    /// Where to go on; `None` at the end.
    rest: Option<Begin>,
    fetched: VecDeque<StreamRecord<T>>,
    decode: Decode<T>,
}

impl<T> StreamIter<T> {
    /// The next record; `None` if there is none within this time, or at the end.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<StreamRecord<T>>> {
        // A time beyond all times is as good as none.
        self.advance(Instant::now().checked_add(timeout))
    }

    /// Whether the end was reached: the stream was disabled and its last record was read, or there was an error.
    pub fn is_ended(&self) -> bool {
        self.rest.is_none() && self.fetched.is_empty()
    }

    fn advance(&mut self, until: Option<Instant>) -> Result<Option<StreamRecord<T>>> {
        if let Some(record) = self.fetched.pop_front() {
            return Ok(Some(record));
        }
        let db = self.db.clone();
        let mut listener = db.shared.news.listen();
        loop {
            // At the end, and after an error, this is what it stays at.
            let Some(begin) = self.rest.take() else { return Ok(None) };
            let page = fetch(&db, &self.table, Some(&self.label), begin, PORTION, self.decode)?;
            self.rest = page.next.map(Begin::After);
            self.fetched.extend(page.records);
            if let Some(record) = self.fetched.pop_front() {
                return Ok(Some(record));
            }
            if self.rest.is_some() && !listener.wait(until) {
                return Ok(None);
            }
        }
    }
}

impl<T> Iterator for StreamIter<T> {
    type Item = Result<StreamRecord<T>>;

    fn next(&mut self) -> Option<Result<StreamRecord<T>>> {
        self.advance(None).transpose()
    }
}

impl<T> FusedIterator for StreamIter<T> {}

impl<T> fmt::Debug for StreamIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamIter { table, label, rest, .. } = self;
        f.debug_struct("StreamIter").field("table", table).field("label", label).field("rest", rest).finish()
    }
}

/// Reads a page.
fn fetch<T>(
    db: &DynaMite,
    table: &str,
    label: Option<&str>,
    begin: Begin,
    limit: usize,
    decode: Decode<T>,
) -> Result<StreamPage<T>> {
    let mut read = db.shared.store.read()?;
    let (table, stream) = find(&mut read, table, label)?;
    let trimmed = last_trimmed(&mut read, &stream)?;
    let from = match begin {
        Begin::Start => behind(trimmed),
        Begin::Latest => behind(SequenceNumber::behind(read.txn())),
        Begin::At(number) if number > trimmed => Bound::Included(number.to_bytes().to_vec()),
        Begin::After(number) if number >= trimmed => behind(number),
        Begin::At(asked) | Begin::After(asked) => {
            return Err(Error::StreamTrimmed { table: table.name.clone(), asked, trimmed });
        }
    };
    let (stored, is_more) = collect(&mut read, &table, &stream, from, limit)?;
    let next = match stored.last().filter(|_| is_more) {
        Some(last) => Some(last.number),
        None if stream.closed.is_some() => None,
        // Up to here there is nothing else.
        None => Some(SequenceNumber::behind(read.txn())),
    };
    drop(read);
    let mut source = db.shared.store.database_id().to_vec();
    source.extend(stream.records.0.to_le_bytes());
    let records =
        stored.iter().map(|record| record.decode(&table, &source, decode)).collect::<Result<_>>()?;
    Ok(StreamPage { records, next })
}

/// Reads stored records: at most so many, and not too long ones. Returns whether there may be more.
fn collect(
    read: &mut ReadTxn<'_>,
    table: &Table,
    stream: &Stream,
    from: Bound<Vec<u8>>,
    limit: usize,
) -> Result<(Vec<StoredRecord>, bool)> {
    let (mut stored, mut bytes, mut is_sound) = (Vec::<StoredRecord>::new(), 0, true);
    let range = Range { from, to: Bound::Unbounded, reverse: false };
    let access = if limit <= SHORT { Access::Point } else { Access::Scan };
    let is_more = read.scan(stream.records, &range.borrow(), access, |row| {
        bytes += row.payload.len();
        match StoredRecord::begin(row.key, row.payload) {
            Some(_) if stored.len() == limit || (bytes > PAGE_BYTES && !stored.is_empty()) => {
                return ControlFlow::Break(());
            }
            Some(record) => stored.push(record),
            // Images stand behind the record that they belong to.
            None => is_sound &= stored.last_mut().is_some_and(|last| last.add(row.key, row.payload)),
        }
        ControlFlow::Continue(())
    })?;
    if is_sound { Ok((stored, is_more)) } else { Err(malformed(table)) }
}

/// From the record behind a place on: its images too lie behind it.
fn behind(number: SequenceNumber) -> Bound<Vec<u8>> {
    let mut key = number.to_bytes().to_vec();
    key.push(u8::MAX);
    Bound::Excluded(key)
}

/// The last record that was trimmed, or a place before all records.
fn last_trimmed(read: &mut ReadTxn<'_>, stream: &Stream) -> Result<SequenceNumber> {
    let decode = |_, bytes: &[u8]| SequenceNumber::split(bytes).map(|(number, _)| number);
    Ok(read.get(stream.records, &LAST_TRIMMED, decode)?.flatten().unwrap_or(SequenceNumber::ZERO))
}

/// A table and its stream: of this label, or else the youngest.
fn find(read: &mut ReadTxn<'_>, name: &str, label: Option<&str>) -> Result<(Table, Stream)> {
    let info = if is_of_users(name.as_bytes()) { read.table(name.as_bytes())? } else { None };
    let info = info.ok_or_else(|| Error::TableNotFound { table: name.to_owned() })?;
    let table = Table::decode(name, &info)?;
    let mut streams = table.streams.iter().rev();
    let stream = match label {
        Some(label) => streams.find(|stream| stream.label() == label),
        None => streams.next(),
    };
    let not_found =
        || Error::StreamNotFound { table: name.to_owned(), label: label.unwrap_or("(none)").to_owned() };
    let stream = stream.ok_or_else(not_found)?.clone();
    Ok((table, stream))
}
