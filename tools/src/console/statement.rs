//! What a statement says, once it has been read: no text is left in it but that of expressions.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynamite_core::api::{GlobalIndex, LocalIndex, ReturnValues, StreamView};
use dynamite_core::expression::ExpressionKind;
use dynamite_core::partiql::{Place, StatementError};
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Error, Item};

use crate::console::error::ConsoleError;

/// One statement.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// What there is to say, or about one command.
    Help(Option<String>),
    /// The table that statements mean which name none.
    Use(String),
    ListTables,
    ListKeys {
        table: Option<String>,
        prefix: String,
        limit: usize,
    },
    Describe(Option<String>),
    CreateTable(Box<TableDefinition>),
    AlterTable(Box<TableChange>),
    DropTable(String),
    Get(Get),
    Put(Put),
    Update(Update),
    Delete(Delete),
    Check(Check),
    Read(Box<Read>),
    /// The next page of the last query, scan or SELECT; or of this SELECT, from where a cursor leads.
    More(Option<(String, PartiQl)>),
    /// What a read costs.
    Explain(Explained),
    History {
        of: ItemKey,
        limit: Option<usize>,
    },
    Restore {
        of: ItemKey,
        version: u64,
    },
    Begin,
    Commit,
    Rollback,
    Stats,
    Exit,
    PartiQl(PartiQl),
}

/// A statement of PartiQL, which the database reads itself.
#[derive(Clone, Debug)]
pub(crate) struct PartiQl {
    pub(crate) text: String,
    /// The byte at which it begins.
    pub(crate) begin: usize,
}

/// What can be explained: what only reads.
#[derive(Clone, Debug)]
pub(crate) enum Explained {
    Get(Get),
    Read(Box<Read>),
    Select(PartiQl),
}

/// The table to be made.
#[derive(Clone, Debug)]
pub(crate) struct TableDefinition {
    pub(crate) name: String,
    pub(crate) partition_key: (String, KeyType),
    pub(crate) sort_key: Option<(String, KeyType)>,
    pub(crate) global: Vec<GlobalIndex>,
    pub(crate) local: Vec<LocalIndex>,
    pub(crate) ttl: Option<String>,
    pub(crate) stream: Option<StreamView>,
    pub(crate) history: Option<Duration>,
}

/// What is to become of a table.
#[derive(Clone, Debug)]
pub(crate) struct TableChange {
    pub(crate) name: String,
    pub(crate) added: Vec<(String, GlobalIndex)>,
    pub(crate) dropped: Vec<String>,
    /// The attribute, or none any more.
    pub(crate) ttl: Option<Option<String>>,
    /// What its records show, or none any more.
    pub(crate) stream: Option<Option<StreamView>>,
    pub(crate) history: Option<Duration>,
}

/// An item by its key.
#[derive(Clone, Debug)]
pub(crate) struct ItemKey {
    pub(crate) table: Option<String>,
    pub(crate) partition: AttributeValue,
    pub(crate) sort: Option<AttributeValue>,
}

/// An expression as the database takes it, and where each of its bytes comes from.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) text: String,
    /// For some bytes of the text, in order, the bytes of the statement that they stand for.
    pub(crate) origins: Vec<(usize, usize)>,
}

impl Expression {
    /// The byte of the statement that a byte of the text stands for.
    pub(crate) fn origin(&self, position: usize) -> usize {
        let before = self.origins.partition_point(|&(at, _)| at <= position);
        match before.checked_sub(1).map(|nth| self.origins[nth]) {
            Some((at, origin)) => origin + (position - at),
            None => self.origins.first().map_or(0, |&(_, origin)| origin),
        }
    }
}

/// What the placeholders of a statement's expressions stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placeholders {
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) values: BTreeMap<String, AttributeValue>,
}

/// The time at which a table is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AsOf {
    Version(u64),
    Time(Moment),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// In milliseconds since 1970.
    At(u64),
    /// Before now, whenever that is.
    Ago(Duration),
}

impl Moment {
    pub(crate) fn time(self) -> SystemTime {
        match self {
            Moment::At(ms) => UNIX_EPOCH + Duration::from_millis(ms),
            Moment::Ago(duration) => SystemTime::now().checked_sub(duration).unwrap_or(UNIX_EPOCH),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Get {
    pub(crate) key: ItemKey,
    pub(crate) projection: Option<Expression>,
    pub(crate) as_of: Option<AsOf>,
    pub(crate) placeholders: Placeholders,
}

/// What writes are told alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) condition: Option<Expression>,
    pub(crate) version: Option<u64>,
    pub(crate) placeholders: Placeholders,
}

#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) table: Option<String>,
    pub(crate) item: Item,
    pub(crate) return_old: bool,
    pub(crate) terms: Terms,
}

#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) key: ItemKey,
    pub(crate) update: Option<Expression>,
    pub(crate) return_values: ReturnValues,
    pub(crate) terms: Terms,
}

#[derive(Clone, Debug)]
pub(crate) struct Delete {
    pub(crate) key: ItemKey,
    pub(crate) return_old: bool,
    pub(crate) terms: Terms,
}

/// A condition that must hold for a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) key: ItemKey,
    pub(crate) terms: Terms,
}

/// A query, or a scan.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) table: Option<String>,
    pub(crate) way: Way,
    pub(crate) index: Option<String>,
    pub(crate) filter: Option<Expression>,
    pub(crate) projection: Option<Projection>,
    pub(crate) count: bool,
    pub(crate) limit: Limit,
    /// Where to go on.
    pub(crate) cursor: Option<Item>,
    pub(crate) as_of: Option<AsOf>,
    pub(crate) placeholders: Placeholders,
}

/// How a read finds its items.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Query { keys: Keys, descending: bool },
    Scan { segment: Option<(u32, u32)> },
}

/// Which keys a query is for.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    Partition(AttributeValue),
    Condition(Expression),
}

/// What is shown of items.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    pub(crate) expression: Expression,
    /// The attributes at the beginnings of its paths.
    pub(crate) attributes: Vec<String>,
}

/// How many items a read shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// A page.
    Page,
    Items(usize),
    All,
}

/// The expressions of a statement by their kinds, and what of it is PartiQL, to say where in it an error of the database's lies.
#[derive(Debug, Default)]
pub(crate) struct Places {
    expressions: Vec<(ExpressionKind, Expression)>,
    partiql: Option<PartiQl>,
}

impl Statement {
    pub(crate) fn places(&self) -> Places {
        let mut places = Places::default();
        match self {
            Statement::Get(get) | Statement::Explain(Explained::Get(get)) => places.add_get(get),
            Statement::Read(read) | Statement::Explain(Explained::Read(read)) => places.add_read(read),
            Statement::Put(Put { terms, .. }) | Statement::Delete(Delete { terms, .. }) => {
                places.add(ExpressionKind::Condition, terms.condition.as_ref());
            }
            Statement::Update(update) => {
                places.add(ExpressionKind::Condition, update.terms.condition.as_ref());
                places.add(ExpressionKind::Update, update.update.as_ref());
            }
            Statement::PartiQl(partiql)
            | Statement::More(Some((_, partiql)))
            | Statement::Explain(Explained::Select(partiql)) => places.partiql = Some(partiql.clone()),
            _ => {}
        }
        places
    }
}

impl Places {
    fn add_get(&mut self, get: &Get) {
        self.add(ExpressionKind::Projection, get.projection.as_ref());
    }

    fn add_read(&mut self, read: &Read) {
        self.add(ExpressionKind::Filter, read.filter.as_ref());
        self.add(
            ExpressionKind::Projection,
            read.projection.as_ref().map(|projection| &projection.expression),
        );
        if let Way::Query { keys: Keys::Condition(condition), .. } = &read.way {
            self.add(ExpressionKind::KeyCondition, Some(condition));
        }
    }

    fn add(&mut self, kind: ExpressionKind, expression: Option<&Expression>) {
        self.expressions.extend(expression.map(|expression| (kind, expression.clone())));
    }

    /// The byte of the statement where an error lies, if that is known.
    pub(crate) fn of(&self, error: &ConsoleError) -> Option<usize> {
        let ConsoleError::Database(error) = error else { return None };
        match &**error {
            Error::Expression(error) => {
                let (kind, position) = (error.kind()?, error.position()?);
                let (_, expression) = self.expressions.iter().find(|(of, _)| *of == kind)?;
                Some(expression.origin(position))
            }
            Error::Statement(StatementError::Broken { place: Some(place), .. }) => {
                self.partiql.as_ref()?.position(*place)
            }
            _ => None,
        }
    }
}

impl PartiQl {
    /// The byte of the whole at a place, which is counted in lines and characters.
    fn position(&self, place: Place) -> Option<usize> {
        let line = self.text.split('\n').nth(place.line.checked_sub(1)?)?;
        let (at, _) = line.char_indices().nth(place.column.checked_sub(1)?)?;
        let line_begin = self.text.split_inclusive('\n').take(place.line - 1).map(str::len).sum::<usize>();
        Some(self.begin + line_begin + at)
    }
}
