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
                    Ok(Box::new(Rows::of(with_consumed!(told, consumed).iter_encoded()?, consumed)))
                },
                |past| {
                    let told = $told(past.$begin(), terms);
                    Ok(Box::new(Rows::of(with_consumed!(told, consumed).iter_encoded()?, consumed)))
                }
            )
        }
    )*};
}

streams! {
    stream_query of QueryTerms: query told_query;
    stream_scan of ScanTerms: scan told_scan;
}

/// The rows of a stream.
struct Rows<I> {
    /// Gone at their end: what they consumed is told by then.
    items: Option<I>,
    /// An error behind items that were sent before it.
    failed: Option<Failure>,
    consumed: Option<Consumed>,
}

impl<I: Iterator<Item = Result<EncodedItem<'static>>> + Send> Rows<I> {
    fn of(items: I, consumed: Option<&Consumed>) -> Rows<I> {
        Rows { items: Some(items), failed: None, consumed: consumed.cloned() }
    }
}

impl<I: Iterator<Item = Result<EncodedItem<'static>>> + Send> Source for Rows<I> {
    fn next(&mut self, _: &Engine, body: &mut Vec<u8>) -> Result<Next, Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let (mut portion, mut size) = (Vec::new(), 0);
        while size < PORTION {
            match self.items.as_mut().and_then(Iterator::next) {
                Some(Ok(item)) => {
                    size += item.as_bytes().len();
                    portion.push(bytes(item));
                }
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
