//! Statements of [PartiQL](crate::partiql), one at a time: reads by pages, and writes of one item.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::ops::Bound;

use serde::de::DeserializeOwned;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::api::change::{Change, Changed, Wants};
use crate::api::consumed::{Consumed, consumes};
use crate::api::database::DynaMite;
use crate::api::encoded::EncodedItem;
use crate::api::key::{self, is_within};
use crate::api::page_meter::PageMeter;
use crate::api::projection::{AS_ENCODED, AS_ITEM, AS_VALUE, Decode, Projection, as_type};
use crate::api::segment::Segment;
use crate::api::source::{ReadFrom, Target};
use crate::api::statement_plan::{self as plan, ReadPlan, WritePlan};
use crate::api::transact_action::What;
use crate::api::update::returned;
use crate::api::walk::Walk;
use crate::error::{Error, Invalid, Result};
use crate::partiql::{Rule, Statement, StatementKind};
use crate::value::{AttributeValue, Item};

/// A statement that is about to be executed; [`DynaMite::statement`] begins, [`execute`](ExecuteStatement::execute) ends.
#[derive(Debug)]
#[must_use = "nothing is done before execute"]
pub struct ExecuteStatement<'a, T = DynaMite> {
    /// What is read.
    db: &'a DynaMite,
    /// Where writes go.
    target: &'a T,
    text: &'a str,
    parameters: Vec<AttributeValue>,
    limit: Option<usize>,
    next_token: Option<&'a str>,
    consistent: bool,
    consumed: Option<&'a Consumed>,
}

/// What a statement gave.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementPage<T = Value> {
    /// The items that were read; or what a write returns.
    pub items: Vec<T>,
    /// Items that were looked at by a read, also those that its condition dropped.
    pub scanned_count: usize,
    /// Where to go on: `Some` if a read ended at its limit, or at 1 MB. There need not be more behind it.
    pub next_token: Option<String>,
    /// The key of the last item that was looked at, where there is a token. Of an index it has the attributes of its key, too.
    pub last_evaluated_key: Option<Item>,
}

impl DynaMite {
    /// Begins to execute a statement in PartiQL, as DynamoDB's `ExecuteStatement` does.
    ///
    /// A SELECT that says which partition, by `=` or `IN`, reads that; another one reads the whole table. UPDATE and DELETE say
    /// which item. What else is said behind WHERE is a filter, or the condition of a write.
    ///
    /// ```
    /// # use dynamite_core::{api::DynaMite, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("Music").partition_key("Artist", KeyType::String).sort_key("SongTitle", KeyType::String).execute()?;
    /// let run = |text: &str| db.statement(text).execute();
    /// run("INSERT INTO Music VALUE {'Artist': 'Acme', 'SongTitle': 'Bells', 'Awards': 1}")?;
    /// run("INSERT INTO Music VALUE {'Artist': 'Acme', 'SongTitle': 'Rocks', 'Tags': <<'a', 'b'>>}")?;
    /// run("UPDATE Music SET Awards = Awards + 1 WHERE Artist = 'Acme' AND SongTitle = 'Bells'")?;
    ///
    /// let found = run("SELECT SongTitle, Awards FROM Music WHERE Artist = 'Acme' ORDER BY SongTitle DESC")?;
    /// assert_eq!(found.items, [json!({"SongTitle": "Rocks"}), json!({"SongTitle": "Bells", "Awards": 2})]);
    ///
    /// let awarded = db.statement("SELECT SongTitle FROM Music WHERE Awards > ?").parameter(1).execute()?;
    /// assert_eq!(awarded.items, [json!({"SongTitle": "Bells"})]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn statement<'a>(&'a self, text: &'a str) -> ExecuteStatement<'a> {
        ExecuteStatement::new(self, self, text)
    }
}

impl<'a, T: Target> ExecuteStatement<'a, T> {
    pub(crate) fn new(db: &'a DynaMite, target: &'a T, text: &'a str) -> Self {
        ExecuteStatement {
            db,
            target,
            text,
            parameters: Vec::new(),
            limit: None,
            next_token: None,
            consistent: false,
            consumed: None,
        }
    }

    /// What the next question mark stands for.
    pub fn parameter(mut self, value: impl Into<AttributeValue>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// What all question marks stand for.
    pub fn parameters(mut self, values: Vec<AttributeValue>) -> Self {
        self.parameters = values;
        self
    }

    /// At most so many items are looked at.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes on where the same statement, with the same parameters, ended.
    pub fn next_token(mut self, token: &'a str) -> Self {
        self.next_token = Some(token);
        self
    }

    /// Only what is consistent. All reads are, but DynamoDB refuses to promise it of a global index, and so do we.
    pub fn consistent(mut self, consistent: bool) -> Self {
        self.consistent = consistent;
        self
    }

    consumes!(consumed);

    /// Executes the statement. What it gives is JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Statement`] for what is no statement, or does not fit its table; [`Error::TableNotFound`]; of writes
    /// [`Error::ConditionFailed`], also for an update of an item that is not there, and [`Error::DuplicateItem`]; and those of
    /// the operation that the statement stands for.
    ///
    /// Cost: that of the operation: of a SELECT with its partitions, of a query of each of them; without, of a scan.
    pub fn execute(self) -> Result<StatementPage> {
        self.run(AS_VALUE)
    }

    /// Executes the statement. What it gives are exact attribute values; see [`execute`](ExecuteStatement::execute).
    pub fn execute_items(self) -> Result<StatementPage<Item>> {
        self.run(AS_ITEM)
    }

    /// Executes the statement. What it gives are values of a type of one's own; see [`execute`](ExecuteStatement::execute).
    pub fn execute_as<U: DeserializeOwned + Send>(self) -> Result<StatementPage<U>> {
        self.run(as_type())
    }

    /// Executes the statement. What it gives are items in their stored form; see [`execute`](ExecuteStatement::execute). Of columns
    /// that overlap one may be larger than an item that can be stored.
    pub fn execute_encoded(self) -> Result<StatementPage<EncodedItem<'static>>> {
        self.run(AS_ENCODED)
    }

    fn run<U: Send>(self, decode: Decode<U>) -> Result<StatementPage<U>> {
        if self.limit == Some(0) {
            return Err(Invalid::Limit.into());
        }
        let statement = Statement::parse(self.text)?;
        match statement.kind {
            StatementKind::Select { .. } => self.select(&statement, decode),
            StatementKind::Exists => Err(Rule::ExistsAlone.broken().into()),
            _ => {
                let items = write(self.target, &statement, &self.parameters, self.consumed, decode)?;
                Ok(StatementPage {
                    items: items.into_iter().collect(),
                    scanned_count: 0,
                    next_token: None,
                    last_evaluated_key: None,
                })
            }
        }
    }

    fn select<U>(self, statement: &Statement, decode: Decode<U>) -> Result<StatementPage<U>> {
        let ExecuteStatement { db, text, parameters, limit, next_token, consistent, consumed, .. } = self;
        let request = request_of(text, &parameters);
        let from = next_token.map(|token| Position::read(token, request)).transpose()?;
        let read = db.read_table(&statement.source.table, |table, reading| {
            let place = plan::place(statement, table, consistent)?;
            let layout = place.layout();
            let ReadPlan { ranges, filter, projection, look } =
                plan::read(statement, &parameters, place, plan::projection(statement)?)?;
            let Position { stretch, key } = from.unwrap_or_default();
            let mut behind = Some(key).filter(|key| !key.is_empty());
            if ranges
                .get(stretch)
                .is_none_or(|first| behind.as_ref().is_some_and(|key| !is_within(&first.range, key)))
                && next_token.is_some()
            {
                return Err(Rule::NextToken.broken().into());
            }
            let (mut items, mut scanned_count) = (Vec::new(), 0);
            let mut meter = PageMeter::new(layout);
            let mut walk = Walk {
                range: dynamite_txn::Range::all(),
                segment: Segment::ALL,
                limit,
                projection,
                filter,
                look,
                consumed,
            };
            let count = ranges.len();
            for (nth, next) in ranges.into_iter().enumerate().skip(stretch) {
                let mut range = next.range;
                if let Some(key) = behind.take() {
                    let bound = if range.reverse { &mut range.to } else { &mut range.from };
                    *bound = Bound::Excluded(key);
                }
                walk.range = range;
                walk.limit = limit.map(|limit| limit - scanned_count);
                let visited = walk.visit(reading, place, &mut meter, |item| {
                    items.push(walk.projection.decode(layout, item, decode)?);
                    Ok(())
                })?;
                scanned_count += visited.scanned_count;
                let Some(key) = visited.end else { continue };
                let last = key::to_item(layout, &key)?;
                // Behind the only item of a range is the next range.
                let end = match next.is_item {
                    false => Position { stretch: nth, key },
                    true => Position { stretch: nth + 1, key: Vec::new() },
                };
                let next_token = (end.stretch < count).then(|| end.write(request));
                let last_evaluated_key = next_token.is_some().then_some(last);
                return Ok(StatementPage { items, scanned_count, next_token, last_evaluated_key });
            }
            Ok(StatementPage { items, scanned_count, next_token: None, last_evaluated_key: None })
        });
        read.map_err(|error| match error {
            // What is wrong with the statement is told first.
            Error::TableNotFound { .. } => plan::check(statement, &parameters).err().unwrap_or(error),
            error => error,
        })
    }
}

/// Does what a statement says that writes. Returns what it returns.
pub(crate) fn write<T: Send>(
    target: &impl Target,
    statement: &Statement,
    parameters: &[AttributeValue],
    consumed: Option<&Consumed>,
    decode: Decode<T>,
) -> Result<Option<T>> {
    let (written, item) = target.write_few(|writing| {
        let table = writing.table(&statement.source.table)?;
        let WritePlan { what, item, key, expressions, returns } = plan::write(statement, parameters, &table)?;
        let key = match &item {
            Some(item) => key::of_item(&table, item)?,
            None => key?,
        };
        let wants = Wants { old: true, bytes: consumed.is_some() };
        let change =
            Change { table: &table, key: &key, expected: None, expressions: Some(&expressions), wants };
        let mut changed: Changed = match (what, &item) {
            (What::Insert, Some(item)) => change.put(writing, item).map_err(|error| match error {
                Error::ConditionFailed { .. } => Error::DuplicateItem,
                other => other,
            })?,
            (What::Delete, _) => change.delete(writing)?.1,
            _ => change.update(writing)?,
        };
        let written = std::mem::take(&mut changed.written);
        let item = returned(returns, expressions.update.as_ref(), changed)?;
        Ok((written, item.map(|item| Projection::All.decode(&table, &item, decode)).transpose()?))
    })?;
    if let Some(consumed) = consumed {
        consumed.written(&statement.source.table, written);
    }
    Ok(item)
}

/// A digest of a statement and its parameters.
fn request_of(text: &str, parameters: &[AttributeValue]) -> u128 {
    let mut request = text.as_bytes().to_vec();
    request.push(0);
    // What cannot be written as JSON (nothing is known that cannot) is told apart no further.
    request.extend(serde_json::to_vec(parameters).unwrap_or_default());
    xxh3_128(&request)
}

/// Where a page ended, as tokens tell it.
///
/// ```text
/// offset  size  field    meaning
/// ------  ----  -------  --------------------------------------------------------------
///      0     1  version  1
///      1    16  request  xxh3-128 of the statement and its parameters, little-endian
///     17     4  stretch  which of its ranges, little-endian
///     21        key      the stored key of the last item; empty at the range's beginning
/// ```
#[derive(Debug, Default)]
struct Position {
    stretch: usize,
    key: Vec<u8>,
}

impl Position {
    const VERSION: u8 = 1;

    fn write(&self, request: u128) -> String {
        let stretch = (self.stretch as u32).to_le_bytes();
        STANDARD.encode([&[Position::VERSION][..], &request.to_le_bytes(), &stretch, &self.key].concat())
    }

    fn read(token: &str, expected: u128) -> Result<Position> {
        let bytes = STANDARD.decode(token).unwrap_or_default();
        let parts = || {
            let (version, rest) = bytes.split_first()?;
            let (request, rest) = rest.split_first_chunk()?;
            let (stretch, key) = rest.split_first_chunk()?;
            let position = Position { stretch: u32::from_le_bytes(*stretch) as usize, key: key.to_vec() };
            (*version == Position::VERSION).then_some((u128::from_le_bytes(*request), position))
        };
        match parts() {
            None => Err(Rule::NextToken.broken().into()),
            Some((request, _)) if request != expected => Err(Rule::NextTokenOfOther.broken().into()),
            Some((_, position)) => Ok(position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token may be used by a later build.
    #[test]
    fn a_token_has_the_documented_bytes() {
        let token = Position { stretch: 2, key: b"k".to_vec() }.write(0x0304);
        let mut expected = vec![1, 4, 3];
        expected.resize(17, 0);
        expected.extend([2, 0, 0, 0, b'k']);
        assert_eq!(STANDARD.decode(&token).unwrap(), expected);
        let read = Position::read(&token, 0x0304).unwrap();
        assert_eq!((read.stretch, read.key), (2, b"k".to_vec()));
        assert!(Position::read(&token, 5).is_err());
        assert!(Position::read("AQ==", 5).is_err());
        assert!(Position::read("?", 5).is_err());
    }
}
