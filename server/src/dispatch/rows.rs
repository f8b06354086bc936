//! Queries and scans: page by page, counted, and streamed.

use dynamite_core::api::{Consumed, EncodedItem, PageCount, Query, Scan, Source as Look};
use dynamite_core::{Result, item_codec};

use super::Context;
use super::build::{count, with_consumed, with_values};
use super::reads::{bytes, look};
use crate::engine::Engine;
use crate::flow::{Next, Source};
use crate::protocol;
use crate::protocol::fault::{Failure, Refusal};
use crate::protocol::operation::{Count, Page, QueryTerms, ScanTerms};
use crate::protocol::terms::{Selection, SortTest};
use crate::protocol::text::{Bytes, Text};

/// Bytes of items after which a page of a stream ends.
const PORTION: usize = 128 << 10;

/// Bytes of items that are looked at in one piece of work, whatever a filter leaves of them.
const LOOKED_AT: usize = 1 << 20;

/// A builder that is told what queries and scans are told alike.
macro_rules! with_selection {
    ($builder:expr, $selection:expr $(, $more:ident)*) => {{
        let (mut builder, selection) = ($builder, $selection);
        if let Some(names) = &selection.want.attributes {
            builder = builder.attributes(names.iter().map(|name| &**name));
        }
        builder = with_values!(builder, selection.want.terms, projection filter $($more)*);
        if let Some(index) = &selection.index {
            builder = builder.index(index);
        }
        if let Some(limit) = selection.limit {
            builder = builder.limit(count(limit));
        }
        if let Some(start) = &selection.start {
            builder = builder.exclusive_start_key(start);
        }
        if selection.all_attributes { builder.all_attributes() } else { builder }
    }};
}

fn told_query<'a, S: Look>(mut query: Query<'a, S>, terms: &'a QueryTerms<'_>) -> Query<'a, S> {
    for value in &terms.partition {
        query = query.partition_key(value);
    }
    for test in &terms.sort {
        query = match test {
            SortTest::Eq(value) => query.sort_key_eq(value),
            SortTest::Lt(value) => query.sort_key_lt(value),
            SortTest::Le(value) => query.sort_key_le(value),
            SortTest::Gt(value) => query.sort_key_gt(value),
            SortTest::Ge(value) => query.sort_key_ge(value),
            SortTest::Between(lower, upper) => query.sort_key_between(lower, upper),
            SortTest::BeginsWith(prefix) => query.sort_key_begins_with(prefix),
        };
    }
    with_selection!(query, &terms.selection, key_condition).scan_forward(!terms.descending)
}

fn told_scan<'a, S: Look>(mut scan: Scan<'a, S>, terms: &'a ScanTerms<'_>) -> Scan<'a, S> {
    if let Some((segment, total)) = terms.segment {
        scan = scan.segment(segment, total);
    }
    with_selection!(scan, &terms.selection)
}

/// The table, which only a past table does without.
fn table<'a>(selection: &'a Selection<'_>) -> Result<&'a Text<'a>, Failure> {
    selection.table.as_ref().ok_or(Refusal::NoSuchHandle.into())
}

/// A query or a scan, begun where it looks, told what it is to do, and ended in some way.
macro_rules! walk {
    ($context:expr, $terms:expr, $begin:ident, $told:ident, $end:ident) => {
        look!(
            $context,
            $terms.selection.at,
            |source| {
                let told = $told(source.$begin(table(&$terms.selection)?), $terms);
                with_consumed!(told, $context.consumed).$end()
            },
            |past| with_consumed!($told(past.$begin(), $terms), $context.consumed).$end()
        )
    };
}

macro_rules! walks {
    ($($query:ident $scan:ident: $end:ident => $answer:ty, $made:expr;)*) => {$(
        pub(super) fn $query(context: Context<'_>, terms: &QueryTerms<'_>) -> Result<$answer, Failure> {
            Ok($made(walk!(context, terms, query, told_query, $end)?)?)
        }

        pub(super) fn $scan(context: Context<'_>, terms: &ScanTerms<'_>) -> Result<$answer, Failure> {
            Ok($made(walk!(context, terms, scan, told_scan, $end)?)?)
        }
    )*};
}

walks! {
    query scan: execute_encoded => Page<'static>, page;
    count_query count_scan: count_page => Count<'static>, counted;
    count_whole_query count_whole_scan: count => u64, unchanged;
}

fn unchanged<T>(answer: T) -> Result<T> {
    Ok(answer)
}

fn counted(page: PageCount) -> Result<Count<'static>> {
    let last = page.last_evaluated_key.as_ref().map(item_codec::encode_json).transpose()?;
    Ok(Count {
        count: page.count as u64,
        scanned_count: page.scanned_count as u64,
        last: last.map(Bytes::from),
    })
}

fn page(page: dynamite_core::api::Page<EncodedItem<'static>>) -> Result<Page<'static>> {
    let last = page.last_evaluated_key.map(|key| item_codec::encode_json(&key)).transpose()?;
    Ok(Page {
        items: page.items.into_iter().map(bytes).collect(),
        scanned_count: page.scanned_count as u64,
        last: last.map(Bytes::from),
    })
}

macro_rules! streams {
    ($($name:ident of $terms:ident: $begin:ident $told:ident;)*) => {$(
        pub(super) fn $name(context: Context<'_>, terms: &$terms<'_>) -> Result<Box<dyn Source>, Failure> {
            let consumed = context.consumed;
            look!(
                context,
                terms.selection.at,
                |source| {
                    let told = $told(source.$begin(table(&terms.selection)?), terms);
                    let mut items = with_consumed!(told, consumed).iter_encoded()?;
                    Ok(Box::new(Rows::of(move |bytes| items.next_within(bytes), consumed)))
                },
                |past| {
                    let told = $told(past.$begin(), terms);
                    let mut items = with_consumed!(told, consumed).iter_encoded()?;
                    Ok(Box::new(Rows::of(move |bytes| items.next_within(bytes), consumed)))
                }
            )
        }
    )*};
}

streams! {
    stream_query of QueryTerms: query told_query;
    stream_scan of ScanTerms: scan told_scan;
}

/// The next item of a stream, as [`next_within`](dynamite_core::api::Iter::next_within) finds it.
type Found = Option<Result<Option<EncodedItem<'static>>>>;

/// The rows of a stream.
struct Rows<I> {
    /// Gone at their end: what they consumed is told by then.
    items: Option<I>,
    /// An error behind items that were sent before it.
    failed: Option<Failure>,
    consumed: Option<Consumed>,
}

impl<I: FnMut(&mut usize) -> Found + Send> Rows<I> {
    fn of(items: I, consumed: Option<&Consumed>) -> Rows<I> {
        Rows { items: Some(items), failed: None, consumed: consumed.cloned() }
    }
}

impl<I: FnMut(&mut usize) -> Found + Send> Source for Rows<I> {
    fn next(&mut self, _: &Engine, body: &mut Vec<u8>) -> Result<Next, Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let (mut portion, mut size, mut left) = (Vec::new(), 0, LOOKED_AT);
        while size < PORTION {
            match self.items.as_mut().and_then(|items| items(&mut left)) {
                Some(Ok(Some(item))) => {
                    size += item.as_bytes().len();
                    portion.push(bytes(item));
                }
                Some(Ok(None)) if portion.is_empty() => return Ok(Next::NotYet),
                Some(Ok(None)) => break,
                Some(Err(error)) if portion.is_empty() => return Err(error.into()),
                Some(Err(error)) => {
                    self.failed = Some(error.into());
                    break;
                }
                None => {
                    self.items = None;
                    break;
                }
            }
        }
        let consumed = self.consumed.as_ref().map(Consumed::take);
        if portion.is_empty() && consumed.as_ref().is_none_or(Vec::is_empty) {
            return Ok(Next::End);
        }
        let encoded = match consumed {
            Some(consumed) => protocol::encode(&(consumed, portion), body),
            None => protocol::encode(&portion, body),
        };
        encoded.map_err(|_| Refusal::AnswerTooLarge)?;
        Ok(Next::Page)
    }
}

#[cfg(test)]
mod tests {
    use dynamite_core::types::KeyType;
    use serde_json::json;

    use super::*;
    use crate::engine::tests::connected;
    use crate::protocol::terms::{Terms, Want};

    /// Whoever else waits has a turn, and whoever wants no more is heard, however many items a filter drops.
    #[tokio::test]
    async fn no_piece_of_work_looks_at_more_than_so_much() {
        let (engine, link, _far) = connected(|_| Ok(()));
        engine.db.create_table("things").partition_key("id", KeyType::Number).execute().unwrap();
        for id in 0..50 {
            engine.db.put_item("things", json!({"id": id, "text": "x".repeat(100_000)})).unwrap();
        }
        let check = |filter: &str, found: usize| {
            let terms = Terms { filter: Some(filter.into()), ..Terms::default() };
            let want = Want { terms: Some(terms.into()), ..Want::default() };
            let selection = Selection { table: Some("things".into()), want, ..Selection::default() };
            let terms = ScanTerms { selection, segment: None };
            let mut rows = stream_scan(Context::new(&engine, &link), &terms).unwrap();
            let (mut pages, mut pieces) = (0, 0);
            loop {
                match rows.next(&engine, &mut Vec::new()).unwrap() {
                    Next::NotYet => pieces += 1,
                    Next::Page => pages += 1,
                    Next::End => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((pages, pieces), (found, 5_000_000 / LOOKED_AT), "{filter}");
        };
        check("attribute_exists(nothing)", 0);
    }
}
