//! Change streams: what happened to the items of a table, in order, for whoever follows it.
//!
//! A stream is a tree of records, each written in the transaction that changed the item ([`stream_record`](crate::api::stream_record)):
//! all that was committed is in it, and nothing else, in the order of the commits. [`stream_reader`](crate::api::stream_reader)
//! reads it.
//!
//! # Invariants
//!
//! 1. There is a record for each change of an item while the stream is enabled: none for a write that leaves the item as it is.
//! 2. Sequence numbers grow with the commits, so whoever has read up to one never finds a smaller one later.
//! 3. Records are trimmed from the oldest on, when they have reached their age. The number of the last one is kept, so that
//!    whoever comes too late is told.
//!
//! A stream that was disabled stays, closed, until its records have reached their age. One that is enabled later is another, with
//! another label.

use std::ops::{Bound, ControlFlow};

use dynamite_txn::{Access, Range, Retention, Snapshot, TableId, TxnId, WriteTxn};

use crate::api::database::Engine;
use crate::api::housekeeping::Pace;
use crate::api::projection::AS_ITEM;
use crate::api::schema::Schema;
use crate::api::sequence_number::SequenceNumber;
use crate::api::stream_record::{self, Change, StoredRecord, StreamEvent};
use crate::api::table::Table;
use crate::api::tables;
use crate::api::writing::{Course, Writing};
use crate::calendar;
use crate::error::{Error, Result};

/// Rows that one transaction trims at the most.
const TRIMMED: usize = 256;

/// The key under which the last trimmed number stands.
pub(crate) const LAST_TRIMMED: [u8; SequenceNumber::SIZE] = [0; SequenceNumber::SIZE];

/// What the records of a stream show of an item, beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum StreamView {
    /// Nothing.
    KeysOnly,
    /// The item after the change.
    NewImage,
    /// The item before the change.
    OldImage,
    /// Both.
    NewAndOldImages,
}

impl StreamView {
    const ALL: [StreamView; 4] =
        [StreamView::KeysOnly, StreamView::NewImage, StreamView::OldImage, StreamView::NewAndOldImages];

    /// DynamoDB's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamView::KeysOnly => "KEYS_ONLY",
            StreamView::NewImage => "NEW_IMAGE",
            StreamView::OldImage => "OLD_IMAGE",
            StreamView::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    /// The view of a name.
    pub fn of_name(name: &str) -> Option<StreamView> {
        StreamView::ALL.into_iter().find(|view| view.as_str() == name)
    }

    fn has_new(self) -> bool {
        matches!(self, StreamView::NewImage | StreamView::NewAndOldImages)
    }

    fn has_old(self) -> bool {
        matches!(self, StreamView::OldImage | StreamView::NewAndOldImages)
    }
}

/// A stream, as its table's description has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) view: StreamView,
    /// When it was enabled, in milliseconds; no two streams of a table have the same.
    pub(crate) created_ms: u64,
    /// The transaction that enabled it.
    pub(crate) created: TxnId,
    pub(crate) records: TableId,
    /// When it was disabled, if it was, and by which transaction.
    pub(crate) closed: Option<(u64, TxnId)>,
}

/// What is known of a stream.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct StreamDescription {
    /// What tells it from the other streams of its table, earlier and later ones: the time at which it was enabled.
    pub label: String,
    /// What its records show.
    pub view: StreamView,
    /// When it was enabled, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was disabled, in milliseconds since 1970; `None` if it is enabled.
    pub closed_ms: Option<u64>,
    /// All of its records are behind this.
    pub starting_sequence_number: SequenceNumber,
    /// None of its records is behind this; `None` if it is enabled.
    pub ending_sequence_number: Option<SequenceNumber>,
}

impl Stream {
    pub(crate) fn label(&self) -> String {
        label(self.created_ms)
    }

    pub(crate) fn describe(&self) -> StreamDescription {
        StreamDescription {
            label: self.label(),
            view: self.view,
            created_ms: self.created_ms,
            closed_ms: self.closed.map(|(ms, _)| ms),
            starting_sequence_number: SequenceNumber::behind(self.created),
            ending_sequence_number: self.closed.map(|(_, txn)| SequenceNumber::behind(txn)),
        }
    }

    /// The name of its tree among the tables.
    pub(crate) fn tree_name(&self, table: &str) -> Vec<u8> {
        tree_name(table, self.created_ms)
    }
}

fn tree_name(table: &str, created_ms: u64) -> Vec<u8> {
    format!("{table}\0stream {created_ms}").into_bytes()
}

/// A time as text: `2023-11-14T22:13:20.000`.
fn label(ms: u64) -> String {
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = calendar::date_of(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}", ms % 1_000)
}

/// Enables a stream in a description.
pub(crate) fn open(
    txn: &mut WriteTxn<'_>,
    table: &str,
    schema: &mut Schema,
    view: StreamView,
    now_ms: u64,
) -> Result<()> {
    let last = schema.streams.last().map_or(0, |stream| stream.created_ms + 1);
    let created_ms = now_ms.max(last);
    let records = txn.create_table(&tree_name(table, created_ms), b"", Retention::None)?;
    schema.streams.push(Stream { view, created_ms, created: txn.id(), records, closed: None });
    Ok(())
}

/// What happened to an item.
pub(crate) struct Happening<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) old: Option<&'a [u8]>,
    pub(crate) new: Option<&'a [u8]>,
    /// Whether the database did it by itself.
    pub(crate) by_service: bool,
}

/// Appends what happened to an item, unless that is nothing.
pub(crate) fn append(
    txn: &mut WriteTxn<'_>,
    stream: &Stream,
    course: &Course<'_>,
    Happening { key, old, new, by_service }: Happening<'_>,
) -> Result<()> {
    let event = match (old, new) {
        (None, None) => return Ok(()),
        (Some(old), Some(new)) if old == new => return Ok(()),
        (None, Some(_)) => StreamEvent::Insert,
        (Some(_), Some(_)) => StreamEvent::Modify,
        (Some(_), None) => StreamEvent::Remove,
    };
    let (new, old) = (new.filter(|_| stream.view.has_new()), old.filter(|_| stream.view.has_old()));
    let number = SequenceNumber::new(txn.id(), course.next_ordinal());
    let (row, apart) = Change { event, by_service, time_ms: course.moment().ms(), key, new, old }.encode();
    txn.put(stream.records, &number.to_bytes(), &row)?;
    for (image, bytes) in apart {
        txn.put(stream.records, &image.row_key(number), bytes)?;
    }
    course.expect_trimming();
    Ok(())
}

/// The chore: trims what has reached its age, a step for each stream.
pub(crate) fn trim(engine: &Engine) -> Result<Pace> {
    let tables = tables::all(&mut engine.store.read()?)?;
    let streams = tables.iter().flat_map(|table| table.streams.iter().map(|stream| (&table.name, stream)));
    let mut pace = Pace::WhenRung;
    for (table, stream) in streams {
        pace = pace.min(trim_some(engine, table, stream)?);
    }
    Ok(pace)
}

/// A step for one stream: a look, and a transaction if there is something to do.
fn trim_some(engine: &Engine, table: &str, stream: &Stream) -> Result<Pace> {
    let due_ms = |time_ms: u64| time_ms.saturating_add(engine.stream_retention_ms);
    let now_ms = engine.clock.now_ms();
    let mut read = engine.store.read()?;
    if read.described(stream.records)?.is_none() {
        return Ok(Pace::WhenRung);
    }
    let mut first = None;
    read.scan(stream.records, &records().borrow(), Access::Point, |row| {
        first = Some(stream_record::time_ms(row.payload).unwrap_or(0));
        ControlFlow::Break(())
    })?;
    drop(read);
    // A closed stream goes with its last record, and not before its readers have had the time that records have.
    let due = match (first, stream.closed) {
        (Some(first), _) => due_ms(first),
        (None, Some((closed_ms, _))) => due_ms(closed_ms),
        (None, None) => return Ok(Pace::WhenRung),
    };
    if now_ms < due {
        return Ok(Pace::At(due));
    }
    engine.change(|writing| {
        let txn = writing.txn();
        let Some(info) = txn.table(table.as_bytes())? else { return Ok(()) };
        let mut schema = Schema::decode(&info.meta).ok_or_else(|| tables::malformed(table))?;
        let Some(at) = schema.streams.iter().position(|known| known.records == stream.records) else {
            return Ok(());
        };
        if first.is_some() {
            return trim_rows(writing, stream, |time_ms| due_ms(time_ms) <= now_ms);
        }
        txn.drop_table(&stream.tree_name(table))?;
        schema.streams.remove(at);
        txn.set_table_meta(table.as_bytes(), &schema.encode()?)?;
        Ok(())
    })?;
    Ok(Pace::AtOnce)
}

/// Deletes the oldest records as far as they are old enough, and not too many of them.
fn trim_rows(writing: &mut Writing<'_, '_>, stream: &Stream, is_old: impl Fn(u64) -> bool) -> Result<()> {
    let txn = writing.txn();
    let (mut rows, mut last) = (Vec::new(), None);
    txn.scan(stream.records, &records().borrow(), Access::Point, |row| {
        if let Some((number, [])) = SequenceNumber::split(row.key) {
            if rows.len() >= TRIMMED || !is_old(stream_record::time_ms(row.payload).unwrap_or(0)) {
                return ControlFlow::Break(());
            }
            last = Some(number);
        }
        rows.push(row.key.to_vec());
        ControlFlow::Continue(())
    })?;
    for row in rows {
        txn.delete(stream.records, &row)?;
    }
    if let Some(last) = last {
        txn.put(stream.records, &LAST_TRIMMED, &last.to_bytes())?;
    }
    Ok(())
}

/// All records of a stream.
pub(crate) fn records() -> Range {
    Range { from: Bound::Excluded(LAST_TRIMMED.to_vec()), to: Bound::Unbounded, reverse: false }
}

/// Checks a stream against its table. Hands what is wrong to `report`, in words.
pub(crate) fn verify(
    state: &Snapshot,
    table: &Table,
    stream: &Stream,
    report: &mut dyn FnMut(String),
) -> Result<()> {
    let trimmed = state.read()?.get(stream.records, &LAST_TRIMMED, |_, number| number.to_vec())?;
    let trimmed = match trimmed.as_deref().map(SequenceNumber::split) {
        None => SequenceNumber::behind(stream.created),
        Some(Some((number, []))) => number,
        Some(_) => {
            report("the number of the last trimmed record is malformed".to_owned());
            SequenceNumber::ZERO
        }
    };
    let newest = SequenceNumber::behind(stream.closed.map_or(state.txn(), |(_, txn)| txn));
    let mut check = |record: Option<StoredRecord>| {
        let Some(record) = record else { return Ok(()) };
        let wrong = check_record(state, table, &record, trimmed..newest)?;
        wrong.into_iter().for_each(|wrong| report(format!("record {}: {wrong}", record.number)));
        Ok::<(), Error>(())
    };
    let mut rows = state.scan(stream.records, records());
    let mut current: Option<StoredRecord> = None;
    let mut strays = 0;
    while let Some(row) = rows.next()? {
        if let Some(record) = StoredRecord::begin(row.key, row.payload) {
            check(current.replace(record))?;
        } else if !current.as_mut().is_some_and(|record| record.add(row.key, row.payload)) {
            strays += 1;
        }
    }
    check(current)?;
    if strays > 0 {
        report(format!("{strays} rows belong to no record"));
    }
    Ok(())
}

/// What is wrong with a record, all of which lie behind the one end of a range and up to the other.
fn check_record(
    state: &Snapshot,
    table: &Table,
    record: &StoredRecord,
    within: std::ops::Range<SequenceNumber>,
) -> Result<Option<String>> {
    if record.number <= within.start || record.number > within.end {
        return Ok(Some("lies outside its stream".to_owned()));
    }
    let parts = match (record.parts(), record.decode(table, b"", AS_ITEM)) {
        (Some(parts), Ok(_)) => parts,
        (_, Err(error)) => return Ok(Some(error.to_string())),
        (None, Ok(_)) => return Ok(Some("is malformed".to_owned())),
    };
    let (event, new, old) = (parts.event, parts.new.is_some(), parts.old.is_some());
    if (new && event == StreamEvent::Remove) || (old && event == StreamEvent::Insert) {
        return Ok(Some("has an image that its event cannot have".to_owned()));
    }
    let version = state.read()?.get(table.id, parts.key, |version, _| version.0)?;
    Ok(version
        .filter(|version| *version < record.number.version())
        .map(|version| format!("tells of a change that its item, of version {version}, does not know")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_dates_and_times() {
        assert_eq!(label(0), "1970-01-01T00:00:00.000");
        assert_eq!(label(951_782_400_000), "2000-02-29T00:00:00.000");
        assert_eq!(label(951_868_799_999), "2000-02-29T23:59:59.999");
        assert_eq!(label(1_700_000_000_123), "2023-11-14T22:13:20.123");
        assert_eq!(label(4_107_542_400_000), "2100-03-01T00:00:00.000");
        assert_eq!(label(1_735_689_599_000), "2024-12-31T23:59:59.000");
        assert_eq!(label(1_735_689_600_000), "2025-01-01T00:00:00.000");
    }

    #[test]
    fn views_are_known_by_their_names() {
        for view in StreamView::ALL {
            assert_eq!(StreamView::of_name(view.as_str()), Some(view));
        }
        assert_eq!(StreamView::of_name("keys_only"), None);
    }
}
