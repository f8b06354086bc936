//! Results of many items: what a query and a scan have in common.
//!
//! A *page* is what one `execute` returns: at most 1 MB of items, counted as DynamoDB counts them, and the key from which to
//! go on. A *stream* is what `iter` returns: it holds a snapshot and fetches a portion of rows at a time.

use std::iter::FusedIterator;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use dynamite_txn::{Access, Portions, Range};
use serde_json::Value;

use crate::api::consumed::{self, Consumed, Tally};
use crate::api::index::IndexKind;
use crate::api::index_read::{self, Items, Look};
use crate::api::key::{self, Within};
use crate::api::layout::Layout;
use crate::api::page_meter::PageMeter;
use crate::api::projection::{Decode, Projection, Wanted};
use crate::api::rows::Rows;
use crate::api::segment::Segment;
use crate::api::source::{Reading, Timed};
use crate::api::table::{Place, Table};
use crate::error::{IndexError, Invalid, Result};
use crate::expression::{Condition, Expressions};
use crate::item_codec::ItemView;

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

/// How many items a page has, without the items.
#[derive(Clone, Debug, PartialEq)]
pub struct PageCount {
    /// How many there are.
    pub count: usize,
    /// How many were looked at: more than there are, if a filter dropped some.
    pub scanned_count: usize,
    /// Where to go on, as in [`Page`].
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

/// What queries and scans are told alike.
#[derive(Debug, Default)]
pub(crate) struct Selection<'a> {
    pub(crate) wanted: Wanted<'a>,
    pub(crate) limit: Option<usize>,
    /// The key behind which to begin, as an encoded item.
    pub(crate) start: Option<Result<Vec<u8>>>,
    pub(crate) consumed: Option<&'a Consumed>,
    /// The index to be read.
    pub(crate) index: Option<&'a str>,
    /// All attributes of the items, also those that the index does not hold.
    pub(crate) all_attributes: bool,
    pub(crate) consistent: bool,
}

impl<'a> Selection<'a> {
    /// Refuses what makes no sense for any table, and reads the expressions.
    pub(crate) fn compile(&self) -> Result<Option<Expressions>> {
        if self.limit == Some(0) {
            return Err(Invalid::Limit.into());
        }
        let Wanted { projection, terms } = &self.wanted;
        projection.check(terms.projection())?;
        terms.compile()
    }

    /// Checks what must hold of the place, whatever is asked of it. Returns the key to start behind.
    pub(crate) fn check(&mut self, place: Place<'_>, is_query: bool) -> Result<Option<Vec<u8>>> {
        if self.consistent
            && let Some(index) = place.index.filter(|index| index.kind == IndexKind::Global)
        {
            return Err(IndexError::Consistent { index: index.name.clone() }.into());
        }
        let start = self.start.take().transpose()?;
        start.as_deref().map_or(Ok(()), |start| key::check_start(place.layout(), start, is_query))?;
        Ok(start)
    }

    /// What is read of a place. What does not fit it is refused in the order in which DynamoDB finds it, which is another one for
    /// queries, which stay `within` a partition, than for scans.
    pub(crate) fn walk(
        self,
        place: Place<'_>,
        mut range: Range,
        within: Option<Within>,
        start: Option<Vec<u8>>,
        segment: Segment,
        mut expressions: Option<Expressions>,
    ) -> Result<Walk<'a>> {
        let (layout, table, is_query) = (place.layout(), place.table, within.is_some());
        let said = expressions.as_mut();
        let (filter, projection) =
            said.map_or((None, None), |said| (said.filter.clone(), said.projection.clone()));
        let projection = self.wanted.projection.or(projection);
        let look = || Look::of(place, self.all_attributes, &projection, filter.as_ref());
        let early = if is_query { None } else { Some(look()?) };
        if let Some(start) = start {
            let key = key::start_key(layout, &range, within.as_ref(), &start)?;
            if !segment.holds(layout, &key) {
                return Err(Invalid::StartKeySegment { segment: segment.number, total: segment.total }.into());
            }
            let bound = if range.reverse { &mut range.to } else { &mut range.from };
            *bound = Bound::Excluded(key);
        }
        if let Some(expressions) = &expressions {
            expressions.check_projection(&table.keys, &table.index_keys())?;
            if is_query {
                expressions.check_filter_apart(&layout.keys)?;
            }
        }
        let look = early.map_or_else(look, Ok)?;
        if let Some(expressions) = &expressions {
            expressions.check_conditions(&table.keys, &table.index_keys())?;
        }
        Ok(Walk { range, segment, limit: self.limit, projection, filter, look, consumed: self.consumed })
    }
}

/// The methods of a builder with a `selection` that can `compile` its expressions, and whose `walk` says where to go: all but
/// `execute`, whose errors differ.
macro_rules! selections {
    () => {
        crate::api::projection::projects!(selection.wanted);

        /// Only items for which this holds, in DynamoDB's language. Those that it drops count for the limit and the size of a
        /// page, and of what [`count`](Self::count) looks at, all the same; an iterator's limit is of what it returns.
        pub fn filter(mut self, expression: &'a str) -> Self {
            self.selection.wanted.terms.say().filter = Some(expression);
            self
        }

        /// Only items of which this holds, said by attributes, instead of [`filter`](Self::filter).
        pub fn filter_by_attribute(mut self, filter: crate::expression::Condition) -> Self {
            self.selection.wanted.terms.say().by_attribute.filter = Some(filter);
            self
        }

        crate::api::terms::value_placeholders!(selection.wanted.terms);

        crate::api::consumed::consumes!(selection.consumed);

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

        /// Only what is consistent. All reads are, but DynamoDB refuses to promise it of a global index, and so do we.
        pub fn consistent(mut self, consistent: bool) -> Self {
            self.selection.consistent = consistent;
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
            self.page(crate::api::projection::AS_ITEM)
        }

        /// Reads a page of items as a type of one's own, straight from their stored form.
        pub fn execute_as<T: serde::de::DeserializeOwned>(self) -> Result<Page<T>> {
            self.page(crate::api::projection::as_type())
        }

        /// Reads a page of items in their stored form.
        pub fn execute_encoded(self) -> Result<Page<crate::api::EncodedItem<'static>>> {
            self.page(crate::api::projection::AS_ENCODED)
        }

        /// Counts the items, all of them unless a limit is set, without decoding any.
        pub fn count(self) -> Result<u64> {
            let (source, expressions) = (self.source, self.compile()?);
            source.read_table(self.table, |table, reading| {
                let place = table.place(self.selection.index)?;
                self.walk(place, expressions)?.count(reading, place)
            })
        }

        /// Counts the items of a page, without decoding any. The page ends where one with items would.
        pub fn count_page(self) -> Result<crate::api::PageCount> {
            let (source, expressions) = (self.source, self.compile()?);
            source.read_table(self.table, |table, reading| {
                let place = table.place(self.selection.index)?;
                self.walk(place, expressions)?.count_page(reading, place)
            })
        }

        /// Streams all items as JSON, from one snapshot.
        pub fn iter(self) -> Result<crate::api::Iter<S::State<'a>, serde_json::Value>> {
            self.stream(AS_VALUE)
        }

        /// Streams all items with their exact attribute values, from one snapshot.
        pub fn iter_items(self) -> Result<crate::api::Iter<S::State<'a>, crate::Item>> {
            self.stream(crate::api::projection::AS_ITEM)
        }

        /// Streams all items as a type of one's own, from one snapshot.
        pub fn iter_as<T: serde::de::DeserializeOwned>(self) -> Result<crate::api::Iter<S::State<'a>, T>> {
            self.stream(crate::api::projection::as_type())
        }

        /// Streams all items in their stored form, from one snapshot.
        pub fn iter_encoded(
            self,
        ) -> Result<crate::api::Iter<S::State<'a>, crate::api::EncodedItem<'static>>> {
            self.stream(crate::api::projection::AS_ENCODED)
        }

        fn page<T>(self, decode: crate::api::projection::Decode<T>) -> Result<Page<T>> {
            let (source, expressions) = (self.source, self.compile()?);
            source.read_table(self.table, |table, reading| {
                let place = table.place(self.selection.index)?;
                self.walk(place, expressions)?.page(reading, place, decode)
            })
        }

        fn stream<T>(
            self,
            decode: crate::api::projection::Decode<T>,
        ) -> Result<crate::api::Iter<S::State<'a>, T>> {
            let expressions = self.compile()?;
            let (table, state) = self.source.stream(self.table)?;
            let place = table.place(self.selection.index)?;
            let walk = self.walk(place, expressions)?;
            Ok(crate::api::Iter::new(state, table.clone(), place, walk, decode))
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
    pub(crate) consumed: Option<&'a Consumed>,
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
        let mut items = Vec::new();
        let layout = place.layout();
        let PageCount { scanned_count, last_evaluated_key, .. } =
            self.visit_page(reading, place, |item| {
                items.push(self.projection.decode(layout, item, decode)?);
                Ok(())
            })?;
        Ok(Page { items, scanned_count, last_evaluated_key })
    }

    /// Counts the items of a page.
    pub(crate) fn count_page(&self, reading: &mut Reading<'_, '_>, place: Place<'_>) -> Result<PageCount> {
        self.visit_page(reading, place, |_| Ok(()))
    }

    /// Hands the items of a page that pass the filter to `visit`.
    fn visit_page(
        &self,
        reading: &mut Reading<'_, '_>,
        place: Place<'_>,
        visit: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<PageCount> {
        let layout = place.layout();
        let Visited { count, scanned_count, end } =
            self.visit(reading, place, &mut PageMeter::new(layout), visit)?;
        let last_evaluated_key = end.map(|key| key::to_value(layout, &key)).transpose()?;
        Ok(PageCount { count, scanned_count, last_evaluated_key })
    }

    /// Hands the items that pass the filter to `visit`, until the limit is reached, or a page that others may have begun is full.
    pub(crate) fn visit(
        &self,
        reading: &mut Reading<'_, '_>,
        place: Place<'_>,
        meter: &mut PageMeter<'_>,
        mut visit: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Visited> {
        let layout = place.layout();
        let damaged = |damage| layout.damaged(damage);
        let access = match self.limit {
            Some(limit) if limit <= SHORT => Access::Point,
            _ => Access::Scan,
        };
        let before = if self.consumed.is_some() { meter.billed().map_err(damaged)? } else { 0 };
        let (mut count, mut scanned_count, mut entry_bytes) = (0, 0, 0);
        let mut end: Result<Option<Vec<u8>>> = Ok(None);
        index_read::scan(reading, place, self, access, |key, item, entry| {
            if !self.segment.holds(layout, key) {
                return ControlFlow::Continue(());
            }
            scanned_count += 1;
            let mut look = || {
                if passes(self.filter.as_ref(), layout, item)? {
                    visit(item)?;
                    count += 1;
                }
                if self.counts_entries() {
                    entry_bytes += consumed::size(layout, entry)?;
                }
                meter.add(item).map_err(damaged)
            };
            let is_full = match look() {
                Ok(is_full) => is_full,
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
        let end = end?;
        if let Some(consumed) = self.consumed {
            self.tell(consumed, place, meter.billed().map_err(damaged)? - before, entry_bytes);
        }
        Ok(Visited { count, scanned_count, end })
    }

    /// Counts items, without a limit on their size.
    pub(crate) fn count(&self, reading: &mut Reading<'_, '_>, place: Place<'_>) -> Result<u64> {
        let layout = place.layout();
        let (mut count, mut scanned_count, mut bytes, mut entry_bytes) = (0, 0, 0, 0);
        let mut failed = None;
        index_read::scan(reading, place, self, Access::Scan, |key, item, entry| {
            if !self.segment.holds(layout, key) {
                return ControlFlow::Continue(());
            }
            scanned_count += 1;
            let mut look = || {
                if self.consumed.is_some() {
                    bytes += consumed::size(layout, item)?;
                }
                if self.counts_entries() {
                    entry_bytes += consumed::size(layout, entry)?;
                }
                passes(self.filter.as_ref(), layout, item)
            };
            match look() {
                Ok(passes) => count += u64::from(passes),
                Err(error) => failed = Some(error),
            }
            match failed.is_some() || Some(scanned_count) == self.limit {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(consumed) = self.consumed {
            self.tell(consumed, place, bytes, entry_bytes);
        }
        Ok(count)
    }

    /// Whether entries of an index are counted beside the items that they lead to.
    pub(crate) fn counts_entries(&self) -> bool {
        self.consumed.is_some() && self.look == Look::InTable
    }

    /// Tells what was read: of the place, or, if an index led into the table, of both.
    fn tell(&self, consumed: &Consumed, place: Place<'_>, bytes: usize, entry_bytes: usize) {
        consumed.read_place(place, bytes, (self.look == Look::InTable).then_some(entry_bytes));
    }
}

/// What a walk has visited.
#[derive(Debug)]
pub(crate) struct Visited {
    /// Items that passed the filter.
    pub(crate) count: usize,
    /// Items that were looked at.
    pub(crate) scanned_count: usize,
    /// The stored key at which it ended before its range did.
    pub(crate) end: Option<Vec<u8>>,
}

/// Whether an item passes a filter.
fn passes(filter: Option<&Condition>, layout: &Layout, item: &[u8]) -> Result<bool> {
    let Some(filter) = filter else { return Ok(true) };
    ItemView::new(item).and_then(|item| filter.matches(item)).map_err(|damage| layout.damaged(damage))
}

/// The items of a query or a scan, one after the other, all from one state: a [`Snapshot`](crate::api::Snapshot) that it
/// holds, or a transaction, of which it gives what is there when it comes by. It holds a portion of rows besides (at most 256 KiB, or one item), and no lock: it may rest in the
/// hands of its user for hours.
pub struct Iter<S, T> {
    rows: Rows<S>,
    /// Where the items of rows are got that are entries of an index, if that must be.
    items: Option<Items<S>>,
    look: Look,
    table: Arc<Table>,
    layout: Arc<Layout>,
    segment: Segment,
    projection: Projection<'static>,
    filter: Option<Condition>,
    consumed: Option<Tally>,
    decode: Decode<T>,
    left: usize,
    /// The moment by which it judges what has expired.
    seconds: u64,
}

// What a `Source` reads from is all of this, here and below; nobody else makes one.
#[allow(private_bounds)]
impl<S: Portions + Timed + Clone, T> Iter<S, T> {
    pub(crate) fn new(
        state: S,
        table: Arc<Table>,
        place: Place<'_>,
        walk: Walk<'_>,
        decode: Decode<T>,
    ) -> Self {
        let layout = place.layout().clone();
        Iter {
            seconds: state.seconds(),
            items: (walk.look != Look::There).then(|| Items::of(state.clone())),
            look: walk.look,
            rows: Rows::new(state, layout.id, walk.range),
            consumed: walk.consumed.map(|consumed| Tally::new(consumed, place, walk.look == Look::InTable)),
            table,
            layout,
            segment: walk.segment,
            projection: walk.projection.into_owned(),
            filter: walk.filter,
            decode,
            left: walk.limit.unwrap_or(usize::MAX),
        }
    }

    /// The next item, if there is one among the next rows of `bytes` together, of which what is left is left there. `Some(Ok(None))` says that
    /// there is none among them, but rows behind them: for who does not want to wait until a filter has dropped all that it drops.
    pub fn next_within(&mut self, bytes: &mut usize) -> Option<Result<Option<T>>> {
        self.advance(bytes).transpose()
    }

    fn advance(&mut self, bytes: &mut usize) -> Result<Option<Option<T>>> {
        if self.left == 0 {
            return Ok(None);
        }
        while *bytes > 0 {
            let Some(row) = self.rows.next()? else {
                self.left = 0;
                return Ok(None);
            };
            *bytes = bytes.saturating_sub(row.key.len() + row.payload.len());
            if !self.segment.holds(&self.layout, row.key)
                || self.table.is_expired_at(row.payload, self.seconds)?
            {
                continue;
            }
            let mut item = row.payload;
            if let Some(items) = &mut self.items {
                match items.get(&self.table, &self.layout, row.key, self.seconds)? {
                    None => continue,
                    Some(found) if self.look == Look::InTable => {
                        item = found;
                        *bytes = bytes.saturating_sub(item.len());
                    }
                    Some(_) => {}
                }
            }
            if let Some(tally) = &mut self.consumed {
                tally.count(&self.layout, item, row.payload)?;
            }
            if passes(self.filter.as_ref(), &self.layout, item)? {
                self.left -= 1;
                let decoded = self.projection.decode(&self.layout, item, self.decode)?;
                return Ok(Some(Some(decoded)));
            }
        }
        Ok(Some(None))
    }
}

#[allow(private_bounds)]
impl<S: Portions + Timed + Clone, T> Iterator for Iter<S, T> {
    type Item = Result<T>;

    /// The next item. After an error the next call goes on behind it, or tries again what could not be read.
    fn next(&mut self) -> Option<Result<T>> {
        loop {
            let mut no_bound = usize::MAX;
            if let Some(found) = self.next_within(&mut no_bound)?.transpose() {
                return Some(found);
            }
        }
    }
}

#[allow(private_bounds)]
impl<S: Portions + Timed + Clone, T> FusedIterator for Iter<S, T> {}

impl<S, T> std::fmt::Debug for Iter<S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iter").field("table", &self.layout.name).finish_non_exhaustive()
    }
}
