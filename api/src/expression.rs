//! DynamoDB's expression language: condition, filter, key-condition, projection and update expressions.
//!
//! [`Expressions`] reads all expressions of a request at once, since they share their placeholders. What comes out is
//! compiled: `#names` and `:values` are replaced and encoded, so that it serves any number of items, from any thread.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use dynamite_core::expression::Expressions;
//! use dynamite_core::{AttributeValue, Item};
//!
//! let names = BTreeMap::from([("#n".to_owned(), "name".to_owned())]);
//! let values = Item::from([(":a".to_owned(), AttributeValue::from("A"))]);
//! let request = Expressions::builder().filter("begins_with(#n, :a)").projection("id, #n").names(&names).values(&values);
//! let expressions = request.build()?;
//! assert!(expressions.filter.is_some() && expressions.projection.is_some());
//!
//! let error = Expressions::builder().filter("name = :a").values(&values).build().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "Invalid FilterExpression: Attribute name is a reserved keyword; reserved keyword: name"
//! );
//! # Ok::<(), dynamite_core::expression::ExpressionError>(())
//! ```
//!
//! # Limits
//!
//! DynamoDB's: 4096 bytes an expression, 300 operators and functions, 100 values after `IN`, paths of 32 levels. Nothing
//! that reads an expression or works on one calls itself for each level of it, so that no text overflows the stack;
//! only what walks along paths, which have 32 levels at most, does.
//!
//! # The modules, in reading order
//!
//! `lexer` cuts a text into tokens, of which `parse_condition` and `parse_update` make the trees of `syntax`. `scope`
//! knows the placeholders. `check` and `update` hold a tree against DynamoDB's rules and compile it: to a [`Condition`]
//! of `test`s on `operand`s, to a [`KeyCondition`], or to an [`Update`], which `apply` applies. A [`Projection`] is a
//! `path_tree`, as are the places that an update changes; `columns` are paths without one. `error` is what can go wrong.

mod error;

mod lexer;

mod reserved;

mod syntax;

mod parse_condition;

mod parse_update;

mod path;

mod path_tree;

mod constant;

mod hash_order;

mod scope;

mod operand;

mod substring;

mod test;

mod check;

mod condition;

mod key_condition;

mod projection;

mod columns;

mod update;

mod by_attribute;

mod apply;

use std::collections::BTreeMap;

pub use apply::UpdateError;
pub use by_attribute::{AttributeChange, AttributeTest};
pub use condition::Condition;
pub use error::{ExpressionError, ExpressionKind, Placeholders, Problem};
pub use key_condition::{KeyCondition, KeyConditionProblem, KeyQuery, SortKeyTest};
pub use path::Path;
pub use projection::Projection;
pub use update::Update;

pub(crate) use check::MAX_IN_OPERANDS;
pub(crate) use columns::Columns;
pub(crate) use constant::describe;
pub(crate) use hash_order::by_slot;

use crate::types::{KeyAttribute, KeySchema};
use crate::value::AttributeValue;
use check::{Checked, check_condition};
use lexer::{Located, Token, Tokens};
use path_tree::PathTree;
use scope::{Scope, check_words};

/// Bytes of the longest expression.
pub const MAX_EXPRESSION_LEN: usize = 4096;

/// The compiled expressions of one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Expressions {
    /// Whether a write is done.
    pub condition: Option<Condition>,
    /// Which items found are returned.
    pub filter: Option<Condition>,
    /// Which keys a query reads.
    pub key_condition: Option<KeyCondition>,
    /// Which attributes are returned.
    pub projection: Option<Projection>,
    /// What is changed.
    pub update: Option<Update>,
}

/// The expressions of one request as they are written, and what their placeholders stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpressionsBuilder<'r> {
    condition: Option<&'r str>,
    filter: Option<&'r str>,
    key_condition: Option<&'r str>,
    projection: Option<&'r str>,
    update: Option<&'r str>,
    names: Option<&'r BTreeMap<String, String>>,
    values: Option<&'r BTreeMap<String, AttributeValue>>,
    is_translated: bool,
}

impl<'r> ExpressionsBuilder<'r> {
    /// The `ConditionExpression`.
    pub fn condition(self, text: impl Into<Option<&'r str>>) -> Self {
        ExpressionsBuilder { condition: text.into(), ..self }
    }

    /// The `FilterExpression`.
    pub fn filter(self, text: impl Into<Option<&'r str>>) -> Self {
        ExpressionsBuilder { filter: text.into(), ..self }
    }

    /// The `KeyConditionExpression`.
    pub fn key_condition(self, text: impl Into<Option<&'r str>>) -> Self {
        ExpressionsBuilder { key_condition: text.into(), ..self }
    }

    /// The `ProjectionExpression`.
    pub fn projection(self, text: impl Into<Option<&'r str>>) -> Self {
        ExpressionsBuilder { projection: text.into(), ..self }
    }

    /// The `UpdateExpression`.
    pub fn update(self, text: impl Into<Option<&'r str>>) -> Self {
        ExpressionsBuilder { update: text.into(), ..self }
    }

    /// `ExpressionAttributeNames`: what `#` placeholders stand for, with the `#`.
    pub fn names(self, names: impl Into<Option<&'r BTreeMap<String, String>>>) -> Self {
        ExpressionsBuilder { names: names.into(), ..self }
    }

    /// `ExpressionAttributeValues`: what `:` placeholders stand for, with the `:`.
    pub fn values(self, values: impl Into<Option<&'r BTreeMap<String, AttributeValue>>>) -> Self {
        ExpressionsBuilder { values: values.into(), ..self }
    }

    /// The expressions were translated from another language, which limits their length itself, and may have placeholders that
    /// they do not mention.
    pub(crate) fn translated(self) -> Self {
        ExpressionsBuilder { is_translated: true, ..self }
    }

    /// Reads, checks and compiles all expressions.
    ///
    /// Cost: linear in their texts, but for paths that overlap or conflict, which are searched for pair by pair.
    ///
    /// # Errors
    ///
    /// [`ExpressionError`]: the one that DynamoDB reports, if several things are wrong.
    pub fn build(self) -> Result<Expressions, ExpressionError> {
        let scope = Scope::new(self.names, self.values)?;
        let max_len = if self.is_translated { usize::MAX } else { MAX_EXPRESSION_LEN };
        let update = self.update.map(|text| {
            read(ExpressionKind::Update, text, max_len, |tokens| {
                update::compile_update(text, parse_update::parse_update(tokens)?, &scope)
            })
        });
        let update = update.transpose()?;
        let read_condition = |kind, text: Option<&str>| {
            let read = |text| {
                read(kind, text, max_len, |tokens| {
                    let (tree, root) = parse_condition::parse_condition(tokens)?;
                    check_condition(text, tree, root, &scope)
                })
            };
            text.map(read).transpose()
        };
        let condition = read_condition(ExpressionKind::Condition, self.condition)?;
        let key_condition = read_condition(ExpressionKind::KeyCondition, self.key_condition)?;
        let filter = read_condition(ExpressionKind::Filter, self.filter)?;
        let projection = self.projection.map(|text| {
            read(ExpressionKind::Projection, text, max_len, |tokens| read_projection(text, tokens, &scope))
        });
        let projection = projection.transpose()?;
        if !self.is_translated {
            scope.check_unused()?;
        }
        Ok(Expressions {
            condition: condition.map(Condition::new),
            filter: filter.map(Condition::new),
            key_condition: key_condition.map(|checked: Checked| KeyCondition::new(checked)).transpose()?,
            projection,
            update,
        })
    }
}

impl Expressions {
    /// No expressions yet.
    pub fn builder<'r>() -> ExpressionsBuilder<'r> {
        ExpressionsBuilder::default()
    }

    /// Holds the expressions against the key of the table, or of the index that is queried.
    ///
    /// # Errors
    ///
    /// [`InsideKey`](ExpressionError::InsideKey), [`FilterOnKey`](ExpressionError::FilterOnKey) where there is a key condition too,
    /// [`UpdateOfKey`](ExpressionError::UpdateOfKey). Whether the key condition fits is for [`KeyCondition::resolve`] to say.
    pub fn check_schema(&self, schema: &KeySchema) -> Result<(), ExpressionError> {
        self.check(schema, self.key_condition.is_some())
    }

    /// Holds the expressions of a query against the key of the table or index: as [`check_schema`](Self::check_schema) does where
    /// there is a key condition, also if the keys were not given as an expression.
    ///
    /// # Errors
    ///
    /// Those of [`check_schema`](Self::check_schema).
    pub fn check_query(&self, schema: &KeySchema) -> Result<(), ExpressionError> {
        self.check(schema, true)
    }

    fn check(&self, schema: &KeySchema, is_query: bool) -> Result<(), ExpressionError> {
        self.check_projection(schema, &[])?;
        if is_query {
            self.check_filter_apart(schema)?;
        }
        self.check_update_apart(schema)?;
        self.check_conditions(schema, &[])
    }

    /// Refuses an update of the key.
    pub(crate) fn check_update_apart(&self, table: &KeySchema) -> Result<(), ExpressionError> {
        for attribute in table.attributes() {
            let mut paths = self.update.iter().flat_map(Update::paths);
            if paths.any(|path| path.attribute() == attribute.name()) {
                return Err(ExpressionError::UpdateOfKey { name: attribute.name().to_owned() });
            }
        }
        Ok(())
    }

    /// Refuses a projection that looks into attributes of the key of a table or its indexes.
    pub(crate) fn check_projection(
        &self,
        table: &KeySchema,
        indexes: &[&KeySchema],
    ) -> Result<(), ExpressionError> {
        check_scalars(self.projection.iter().flat_map(Projection::paths), table, indexes)
    }

    /// Refuses a filter that mentions the key that is queried.
    pub(crate) fn check_filter_apart(&self, queried: &KeySchema) -> Result<(), ExpressionError> {
        for attribute in queried.attributes() {
            let mut paths = self.filter.iter().flat_map(Condition::paths);
            if paths.any(|path| path.attribute() == attribute.name()) {
                return Err(ExpressionError::FilterOnKey { name: attribute.name().to_owned() });
            }
        }
        Ok(())
    }

    /// Refuses conditions, a filter and an update that look into attributes of keys.
    pub(crate) fn check_conditions(
        &self,
        table: &KeySchema,
        indexes: &[&KeySchema],
    ) -> Result<(), ExpressionError> {
        let conditions = self.condition.iter().chain(&self.filter).flat_map(Condition::paths);
        let updates = self.update.iter().flat_map(|update| update.paths().chain(update.sources()));
        check_scalars(conditions.chain(updates), table, indexes)
    }
}

/// Refuses paths that look into attributes of keys: the table's come first.
fn check_scalars<'p>(
    paths: impl Iterator<Item = &'p Path>,
    table: &KeySchema,
    indexes: &[&KeySchema],
) -> Result<(), ExpressionError> {
    let nested: Vec<&str> = paths.filter(|path| !path.is_top_level()).map(Path::attribute).collect();
    if nested.is_empty() {
        return Ok(());
    }
    let found = |schema: &KeySchema| {
        let mut names = schema.attributes().map(KeyAttribute::name);
        names.find(|name| nested.contains(name)).map(str::to_owned)
    };
    if let Some(name) = found(table) {
        return Err(ExpressionError::InsideKey { name });
    }
    match indexes.iter().find_map(|index| found(index)) {
        Some(name) => Err(ExpressionError::InsideIndexKey { name }),
        None => Ok(()),
    }
}

/// Reads a text within the limits, and says of what is wrong where it is.
fn read<'t, T>(
    kind: ExpressionKind,
    text: &'t str,
    max_len: usize,
    compile: impl FnOnce(&mut Tokens<'t>) -> Result<T, Located>,
) -> Result<T, ExpressionError> {
    let whole = |problem| ExpressionError::Invalid { kind, position: 0, token: String::new(), problem };
    match text.len() {
        0 => return Err(whole(Problem::Empty)),
        size if size <= max_len => {}
        size => return Err(whole(Problem::TooLong { size })),
    }
    compile(&mut Tokens::new(text)).map_err(|Located { token, problem }| ExpressionError::Invalid {
        kind,
        position: token.start as usize,
        token: token_text(text, token).to_owned(),
        problem,
    })
}

fn token_text(text: &str, token: Token) -> &str {
    scope::text_of(text, token)
}

fn read_projection(text: &str, tokens: &mut Tokens<'_>, scope: &Scope<'_>) -> Result<Projection, Located> {
    let raw = parse_update::parse_projection(tokens)?;
    for path in &raw {
        check_words(text, path)?;
    }
    let paths = raw.iter().map(|path| scope.path(text, path)).collect::<Result<Vec<_>, _>>()?;
    let tree = PathTree::new(&paths.iter().collect::<Vec<_>>())
        .map_err(|(number, problem)| Located::new(raw[number].token(), problem))?;
    Ok(Projection::new(paths, tree))
}
