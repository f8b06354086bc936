//! Results of many items: what a query and a scan have in common.
//!
//! A *page* is what one `execute` returns: at most 1 MB of items, counted as DynamoDB counts them, and the key from which to
//! go on. A *stream* is what `iter` returns: it holds a snapshot and fetches a portion of rows at a time.

use std::borrow::Cow;
use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::sync::Arc;

use dynamite_txn::{Access, Portions, Range};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api::index_read::{self, Items, Look};
use crate::api::key;
use crate::api::layout::Layout;
use crate::api::page_meter::PageMeter;
use crate::api::segment::Segment;
use crate::api::source::{Reading, Timed};
use crate::api::table::{Place, Table};
use crate::api::terms::Terms;
use crate::error::{Error, Invalid, Result};
use crate::expression::Condition;
use crate::item_codec::{self, DecodeError, ItemError, ItemView, ItemWriter};
use crate::json;
use crate::value::Item;

/// A limit up to which the pages of the file are read one by one, since reading ahead would mostly be for nothing.
const SHORT: usize = 16;

/// A page of results.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T = Value> {
    /// The items, in order.
    pub items: Vec<T>,
    /// How many were looked at: more than there are, if a filter dropped some.
    pub scanned_count: usize,
    /// Where to go on: `Some` if the page ended at its limit, or at 1 MB. There need not be more behind it.
    pub last_evaluated_key: Option<Value>,
}

impl<T> IntoIterator for Page<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Page<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

/// Makes of a stored item what was asked for.
pub(crate) struct Decode<T> {
    whole: fn(&[u8]) -> Result<T, DecodeError>,
    /// Only these attributes.
    part: fn(ItemView<'_>, &[Cow<'_, str>]) -> Result<T, DecodeError>,
}

impl<T> Clone for Decode<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Decode<T> {}

/// As JSON.
pub(crate) const AS_VALUE: Decode<Value> = Decode {
    whole: |item| Ok(item_codec::decode_json(item)?),
    part: |item, names| {
        let mut part = Map::new();
        for name in names {
            if let Some(value) = item.get(name)? {
                part.insert(name.clone().into_owned(), value.to_json()?);
            }
        }
        // An only attribute with such a name would be taken for a marker.
        if part.len() == 1 && part.keys().any(|name| name.starts_with('$')) {
            return (AS_ITEM.part)(item, names).map(json::item_to_json);
        }
        Ok(Value::Object(part))
    },
};

/// With exact attribute values.
pub(crate) const AS_ITEM: Decode<Item> = Decode {
    whole: |item| Ok(item_codec::decode(item)?),
    part: |item, names| {
        let mut part = Item::new();
        for name in names {
            if let Some(value) = item.get(name)? {
                part.insert(name.clone().into_owned(), value.to_value()?);
            }
        }
        Ok(part)
    },
};

/// As a type of the user's.
pub(crate) const fn as_type<T: DeserializeOwned>() -> Decode<T> {
    Decode {
        whole: |item| item_codec::from_bytes(item),
        part: |item, names| {
            let unfit = |error: ItemError| match error {
                ItemError::Damage(damage) => DecodeError::Damage(damage),
                ItemError::Value(error) => DecodeError::Mismatch(error.to_string()),
            };
            let mut part = ItemWriter::new();
            for name in names {
                if let Some(value) = item.get(name)? {
                    part.copy(name, value).map_err(unfit)?;
                }
            }
            item_codec::from_bytes(&part.finish().map_err(unfit)?)
        },
    }
}

/// Which attributes are wanted: all, or some by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Projection<'a> {
    /// Each once.
    pub(crate) names: Option<Vec<Cow<'a, str>>>,
}

impl<'a> Projection<'a> {
    pub(crate) fn of<N: Into<Cow<'a, str>>>(names: impl IntoIterator<Item = N>) -> Projection<'a> {
        let mut names = names.into_iter().map(Into::into).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        Projection { names: Some(names) }
    }

    fn into_owned(self) -> Projection<'static> {
        let owned = |name: Cow<'a, str>| Cow::Owned(name.into_owned());
        Projection { names: self.names.map(|names| names.into_iter().map(owned).collect()) }
    }

    /// Decodes what is wanted of an item.
    #[inline]
    pub(crate) fn decode<T>(&self, layout: &Layout, item: &[u8], decode: Decode<T>) -> Result<T> {
        let decoded = match &self.names {
            None => (decode.whole)(item),
            Some(names) => {
                ItemView::new(item).map_err(Into::into).and_then(|item| (decode.part)(item, names))
            }
        };
        decoded.map_err(|error| match error {
            DecodeError::Damage(damage) => layout.damaged(damage),
            DecodeError::Mismatch(reason) => Error::Decode(reason),
        })
    }
}

/// What queries and scans are told alike.
#[derive(Debug, Default)]
pub(crate) struct Selection<'a> {
    pub(crate) projection: Projection<'a>,
    pub(crate) terms: Terms<'a>,
    pub(crate) limit: Option<usize>,
    /// The key behind which to begin, as an encoded item.
    pub(crate) start: Option<Result<Vec<u8>>>,
    /// The index to be read.
    pub(crate) index: Option<&'a str>,
    /// All attributes of the items, also those that the index does not hold.
    pub(crate) all_attributes: bool,
}

impl<'a> Selection<'a> {
    pub(crate) fn check_limit(&self) -> Result<()> {
        if self.limit == Some(0) { Err(Invalid::Limit.into()) } else { Ok(()) }
    }

    /// The walk over a range, from where it is to begin.
    pub(crate) fn walk(self, place: Place<'_>, mut range: Range, segment: Segment) -> Result<Walk<'a>> {
        let layout = place.layout();
        if let Some(start) = self.start
            && !segment.holds(layout, &key::start_behind(layout, &mut range, &start?)?)
        {
            return Err(Invalid::StartKeySegment { segment: segment.number, total: segment.total }.into());
        }
        let filter = self.terms.compile_filter(layout)?;
        let look = Look::of(place, self.all_attributes, &self.projection, filter.as_ref())?;
        Ok(Walk { range, segment, limit: self.limit, projection: self.projection, filter, look })
    }
}

/// The methods of a builder with a `selection` whose `walk` says where to go: all but `execute`, whose errors differ.
macro_rules! selections {
    () => {
        /// Only these attributes: the others are not decoded.
        pub fn attributes<N: Into<std::borrow::Cow<'a, str>>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.selection.projection = crate::api::walk::Projection::of(names);
            self
        }

        /// Only items for which this holds, in DynamoDB's language. Those that it drops count for the limit and the size of a
        /// page, and of what [`count`](Self::count) looks at, all the same; an iterator's limit is of what it returns.
        pub fn filter(mut self, expression: &'a str) -> Self {
            self.selection.terms.filter = Some(expression);
            self
        }

        crate::api::terms::placeholders!(selection.terms);

        /// Reads an index of the table, in the order of the index's keys.
        pub fn index(mut self, name: &'a str) -> Self {
            self.selection.index = Some(name);
            self
        }

        /// All attributes of the items, also those that the index does not hold: a local index gets them from the table, one
        /// item at a time. Without it a read of an index gives what the index holds.
        pub fn all_attributes(mut self) -> Self {
            self.selection.all_attributes = true;
            self
        }

        /// At most so many items: in a page, or in all from an iterator.
        pub fn limit(mut self, limit: usize) -> Self {
            self.selection.limit = Some(limit);
            self
        }

        /// Begins behind this key: what the page before gave as its last.
        pub fn exclusive_start_key(mut self, key: impl crate::api::IntoItem) -> Self {
            self.selection.start = Some(key.encode());
            self
        }

        /// Reads a page of items with their exact attribute values.
        pub fn execute_items(self) -> Result<Page<crate::Item>> {
            self.page(crate::api::walk::AS_ITEM)
        }

        /// Reads a page of items as a type of one's own, straight from their stored form.
        pub fn execute_as<T: serde::de::DeserializeOwned>(self) -> Result<Page<T>> {
            self.page(crate::api::walk::as_type())
        }

        /// Counts the items, all of them unless a limit is set, without decoding any.
        pub fn count(self) -> Result<u64> {
            let source = self.source;
            source.read_table(self.table, |table, reading| {
                let place = table.place(self.selection.index)?;
                self.walk(place)?.count(reading, place)
            })
        }

        /// Streams all items as JSON, from one snapshot.
        pub fn iter(self) -> Result<crate::api::Iter<S::State<'a>, serde_json::Value>> {
            self.stream(AS_VALUE)
        }

        /// Streams all items with their exact attribute values, from one snapshot.
        pub fn iter_items(self) -> Result<crate::api::Iter<S::State<'a>, crate::Item>> {
            self.stream(crate::api::walk::AS_ITEM)
        }

        /// Streams all items as a type of one's own, from one snapshot.
        pub fn iter_as<T: serde::de::DeserializeOwned>(self) -> Result<crate::api::Iter<S::State<'a>, T>> {
            self.stream(crate::api::walk::as_type())
        }

        fn page<T>(self, decode: crate::api::walk::Decode<T>) -> Result<Page<T>> {
            let source = self.source;
            source.read_table(self.table, |table, reading| {
                let place = table.place(self.selection.index)?;
                self.walk(place)?.page(reading, place, decode)
            })
        }

        fn stream<T>(self, decode: crate::api::walk::Decode<T>) -> Result<crate::api::Iter<S::State<'a>, T>> {
            let (table, state) = self.source.stream(self.table)?;
            let place = table.place(self.selection.index)?;
            let walk = self.walk(place)?;
            let layout = place.layout().clone();
            Ok(crate::api::Iter::new(state, table, layout, walk, decode))
        }
    };
}

pub(crate) use selections;

/// Which items, in which order, how many, and what of them.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(crate) range: Range,
    pub(crate) segment: Segment,
    pub(crate) limit: Option<usize>,
    pub(crate) projection: Projection<'a>,
    pub(crate) filter: Option<Condition>,
    /// Where the items are.
    pub(crate) look: Look,
}

impl Walk<'_> {
    /// Reads a page.
    pub(crate) fn page<T>(
        &self,
        reading: &mut Reading<'_, '_>,
        place: Place<'_>,
        decode: Decode<T>,
    ) -> Result<Page<T>> {
        let layout = place.layout();
        let access = match self.limit {
            Some(limit) if limit <= SHORT => Access::Point,
            _ => Access::Scan,
        };
        let (mut items, mut scanned_count, mut meter) = (Vec::new(), 0, PageMeter::default());
        let mut end: Result<Option<Vec<u8>>> = Ok(None);
        index_read::scan(reading, place, self, access, |key, item| {
            if !self.segment.holds(layout, key) {
                return ControlFlow::Continue(());
            }
            scanned_count += 1;
            let metered = meter.add(item).map_err(|damage| layout.damaged(damage));
            let item = match passes(self.filter.as_ref(), layout, item) {
                Ok(true) => self.projection.decode(layout, item, decode).map(Some),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            let is_full = match item.and_then(|item| Ok((item, metered?))) {
                Ok((item, is_full)) => {
                    items.extend(item);
                    is_full
                }
                Err(error) => {
                    end = Err(error);
                    return ControlFlow::Break(());
                }
            };
            if Some(scanned_count) == self.limit || is_full {
                end = Ok(Some(key.to_vec()));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        let last_evaluated_key = end?.map(|key| key::to_value(layout, &key)).transpose()?;
        Ok(Page { items, scanned_count, last_evaluated_key })
    }

    /// Counts items, without a limit on their size.
    pub(crate) fn count(&self, reading: &mut Reading<'_, '_>, place: Place<'_>) -> Result<u64> {
        let layout = place.layout();
        let (mut count, mut scanned_count) = (0, 0);
        let mut failed = None;
        index_read::scan(reading, place, self, Access::Scan, |key, item| {
            if !self.segment.holds(layout, key) {
                return ControlFlow::Continue(());
            }
            scanned_count += 1;
            match passes(self.filter.as_ref(), layout, item) {
                Ok(passes) => count += u64::from(passes),
                Err(error) => failed = Some(error),
            }
            match failed.is_some() || Some(scanned_count) == self.limit {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        failed.map_or(Ok(count), Err)
    }
}

/// Whether an item passes a filter.
fn passes(filter: Option<&Condition>, layout: &Layout, item: &[u8]) -> Result<bool> {
    let Some(filter) = filter else { return Ok(true) };
    ItemView::new(item).and_then(|item| filter.matches(item)).map_err(|damage| layout.damaged(damage))
}

/// The items of a query or a scan, one after the other, all from one state: a [`Snapshot`](crate::api::Snapshot) that it
/// holds, or a transaction. It holds a portion of rows besides (at most 256 KiB, or one item), and no lock: it may rest in the
/// hands of its user for hours.
pub struct Iter<S, T> {
    rows: dynamite_txn::Scan<S>,
    /// Where the items of rows are got that are entries of an index, if that must be.
    items: Option<Items<S>>,
    look: Look,
    table: Arc<Table>,
    layout: Arc<Layout>,
    segment: Segment,
    projection: Projection<'static>,
    filter: Option<Condition>,
    decode: Decode<T>,
    left: usize,
    /// The moment by which it judges what has expired.
    seconds: u64,
}

impl<S: Portions, T> Iter<S, T> {
    pub(crate) fn new(
        state: S,
        table: Arc<Table>,
        layout: Arc<Layout>,
        walk: Walk<'_>,
        decode: Decode<T>,
    ) -> Self
    where
        S: Timed + Clone,
    {
        Iter {
            seconds: state.seconds(),
            items: (walk.look != Look::There).then(|| Items::of(state.clone())),
            look: walk.look,
            rows: dynamite_txn::Scan::new(state, layout.id, walk.range),
            table,
            layout,
            segment: walk.segment,
            projection: walk.projection.into_owned(),
            filter: walk.filter,
            decode,
            left: walk.limit.unwrap_or(usize::MAX),
        }
    }

    fn advance(&mut self) -> Result<Option<T>> {
        if self.left == 0 {
            return Ok(None);
        }
        while let Some(row) = self.rows.next()? {
            if !self.segment.holds(&self.layout, row.key)
                || self.table.is_expired_at(row.payload, self.seconds)?
            {
                continue;
            }
            let mut item = row.payload;
            if let Some(items) = &mut self.items {
                match items.get(&self.table, &self.layout, row.key, self.seconds)? {
                    None => continue,
                    Some(found) if self.look == Look::InTable => item = found,
                    Some(_) => {}
                }
            }
            if passes(self.filter.as_ref(), &self.layout, item)? {
                self.left -= 1;
                return self.projection.decode(&self.layout, item, self.decode).map(Some);
            }
        }
        self.left = 0;
        Ok(None)
    }
}

impl<S: Portions, T> Iterator for Iter<S, T> {
    type Item = Result<T>;

    /// The next item. After an error the next call goes on behind it, or tries again what could not be read.
    fn next(&mut self) -> Option<Result<T>> {
        self.advance().transpose()
    }
}

impl<S: Portions, T> FusedIterator for Iter<S, T> {}

impl<S, T> std::fmt::Debug for Iter<S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iter").field("table", &self.layout.name).finish_non_exhaustive()
    }
}
