//! What can be wrong with an expression. The texts are DynamoDB's.

use std::fmt;

use thiserror::Error;

use super::key_condition::KeyConditionProblem;
use crate::limits::ValueError;

/// What an expression is for, by DynamoDB's name of the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ExpressionKind {
    /// `ConditionExpression`: whether a write is done.
    Condition,
    /// `FilterExpression`: which items found are returned.
    Filter,
    /// `KeyConditionExpression`: which keys a query reads.
    KeyCondition,
    /// `ProjectionExpression`: which attributes are returned.
    Projection,
    /// `UpdateExpression`: what is changed.
    Update,
}

impl ExpressionKind {
    /// DynamoDB's name of the parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            ExpressionKind::Condition => "ConditionExpression",
            ExpressionKind::Filter => "FilterExpression",
            ExpressionKind::KeyCondition => "KeyConditionExpression",
            ExpressionKind::Projection => "ProjectionExpression",
            ExpressionKind::Update => "UpdateExpression",
        }
    }
}

impl fmt::Display for ExpressionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the expressions of a request cannot be used, before any item was looked at.
#[derive(Clone, Debug, PartialEq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum ExpressionError {
    /// One expression is wrong.
    #[error("Invalid {kind}: {problem}")]
    Invalid {
        /// Which one.
        kind: ExpressionKind,
        /// The byte of its text at which `token` begins.
        position: usize,
        /// The token that the problem is about, as it is written; empty for the end, and for the whole.
        token: String,
        /// What is wrong.
        problem: Problem,
    },

    /// The key condition cannot be one.
    #[error(transparent)]
    KeyCondition(#[from] KeyConditionProblem),

    /// A map of placeholders without any.
    #[error("{map} must not be empty")]
    NoPlaceholders {
        /// Which map.
        map: Placeholders,
    },

    /// A key of a map of placeholders that is none: `#` or `:`, and then letters, digits and underscores.
    #[error("{map} contains invalid key: Syntax error; key: \"{key}\"")]
    PlaceholderSyntax {
        /// Which map.
        map: Placeholders,
        /// The key.
        key: String,
    },

    /// A key of a map of placeholders of more than 255 bytes.
    #[error(
        "{map} contains invalid key: The expression attribute map contains a key that is too long; size of key: {len}"
    )]
    LongPlaceholder {
        /// Which map.
        map: Placeholders,
        /// Bytes of the key.
        len: usize,
    },

    /// A placeholder for an attribute without a name.
    #[error("ExpressionAttributeNames contains invalid value: Empty attribute name for key {key}")]
    EmptyName {
        /// The placeholder.
        key: String,
    },

    /// A placeholder for an attribute with a longer name than there can be.
    #[error(
        "ExpressionAttributeNames contains invalid value: Attribute name is too large, must be less than 65536 bytes for key {key}"
    )]
    LongName {
        /// The placeholder.
        key: String,
        /// Bytes of the name.
        len: usize,
    },

    /// A placeholder for a value that cannot be stored.
    #[error("ExpressionAttributeValues contains invalid value: {source} for key {key}")]
    InvalidValue {
        /// The placeholder.
        key: String,
        /// Why it cannot be stored.
        source: ValueError,
    },

    /// Placeholders that no expression of the request mentions.
    #[error("Value provided in {map} unused in expressions: keys: {{{}}}", keys.join(", "))]
    UnusedPlaceholders {
        /// Which map.
        map: Placeholders,
        /// The placeholders, in the order in which DynamoDB lists them.
        keys: Vec<String>,
    },

    /// A path that looks into an attribute of the key, which holds no map or list.
    #[error(
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: {name}"
    )]
    InsideKey {
        /// The attribute.
        name: String,
    },

    /// A path into an attribute of the key of an index.
    #[error(
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: {name}"
    )]
    InsideIndexKey {
        /// The attribute.
        name: String,
    },

    /// The filter of a query mentions an attribute of the key, which only the key condition may.
    #[error("Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}")]
    FilterOnKey {
        /// The attribute.
        name: String,
    },

    /// An update of an attribute of the key.
    #[error(
        "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
    )]
    UpdateOfKey {
        /// The attribute.
        name: String,
    },
}

impl ExpressionError {
    /// The kind of the expression that is wrong, if it is one alone.
    pub fn kind(&self) -> Option<ExpressionKind> {
        match self {
            ExpressionError::Invalid { kind, .. } => Some(*kind),
            ExpressionError::KeyCondition(_) => Some(ExpressionKind::KeyCondition),
            ExpressionError::FilterOnKey { .. } => Some(ExpressionKind::Filter),
            ExpressionError::UpdateOfKey { .. } => Some(ExpressionKind::Update),
            _ => None,
        }
    }

    /// The byte of the expression's text where the problem is, if it has a place.
    pub fn position(&self) -> Option<usize> {
        match self {
            ExpressionError::Invalid { position, .. } => Some(*position),
            _ => None,
        }
    }
}

/// A map of placeholders, by DynamoDB's name of the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Placeholders {
    /// `ExpressionAttributeNames`
    Names,
    /// `ExpressionAttributeValues`
    Values,
}

/// Bytes of the longest placeholder, with the sign that begins it.
const MAX_PLACEHOLDER_LEN: usize = 255;

impl Placeholders {
    /// The sign that its placeholders begin with.
    const fn sign(self) -> char {
        match self {
            Placeholders::Names => '#',
            Placeholders::Values => ':',
        }
    }

    /// Refuses placeholders that are not: there must be some, each a sign and a word.
    pub fn check<'k>(self, keys: impl ExactSizeIterator<Item = &'k str>) -> Result<(), ExpressionError> {
        if keys.len() == 0 {
            return Err(ExpressionError::NoPlaceholders { map: self });
        }
        for key in keys {
            if key.len() > MAX_PLACEHOLDER_LEN {
                return Err(ExpressionError::LongPlaceholder { map: self, len: key.len() });
            }
            let word = key.strip_prefix(self.sign()).filter(|word| !word.is_empty());
            if !word.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
            {
                return Err(ExpressionError::PlaceholderSyntax { map: self, key: key.to_owned() });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Placeholders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placeholders::Names => "ExpressionAttributeNames",
            Placeholders::Values => "ExpressionAttributeValues",
        })
    }
}

/// What is wrong with one expression.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Problem {
    /// No text.
    #[error("The expression can not be empty;")]
    Empty,

    /// More than 4096 bytes.
    #[error("Expression size has exceeded the maximum allowed size; expression size: {size}")]
    TooLong {
        /// Bytes of the text.
        size: usize,
    },

    /// A token that has no place where it stands.
    #[error("Syntax error; token: \"{token}\", near: \"{near}\"")]
    Syntax {
        /// The token, `<EOF>` for the end.
        token: String,
        /// The text from the token before it to the one after it.
        near: String,
    },

    /// Two pairs of parentheses around the same thing.
    #[error("The expression has redundant parentheses;")]
    RedundantParentheses,

    /// More than 300 operators and functions.
    #[error("The expression contains too many operators; operator count: {count}")]
    TooManyOperators {
        /// Operators counted until the limit was passed.
        count: usize,
    },

    /// More than 100 values after `IN`.
    #[error("The IN operator is provided with too many operands; number of operands: {count}")]
    TooManyInOperands {
        /// How many there are.
        count: usize,
    },

    /// A path of more than 32 names and indexes.
    #[error("The document path has too many nesting levels; nesting levels: {levels}")]
    PathTooDeep {
        /// How many there are.
        levels: usize,
    },

    /// An index that no list can have.
    #[error("List index is not within the allowable range; index: [{index}]")]
    IndexRange {
        /// The index, as it is written.
        index: String,
    },

    /// A function that does not exist. Their names are in small letters.
    #[error("Invalid function name; function: {function}")]
    UnknownFunction {
        /// Its name.
        function: String,
    },

    /// A condition where a value must be, or `size` where a condition must be.
    #[error("The function is not allowed to be used this way in an expression; function: {function}")]
    MisusedFunction {
        /// Its name.
        function: String,
    },

    /// A function of update expressions in another one.
    #[error("The function is not allowed in a condition expression; function: {function}")]
    FunctionInCondition {
        /// Its name.
        function: String,
    },

    /// A function of conditions in an update expression.
    #[error("The function is not allowed in an update expression; function: {function}")]
    FunctionInUpdate {
        /// Its name.
        function: String,
    },

    /// A name that must be written as a placeholder.
    #[error("Attribute name is a reserved keyword; reserved keyword: {word}")]
    ReservedWord {
        /// The name, as it is written.
        word: String,
    },

    /// A `#` placeholder that is not in the map.
    #[error("An expression attribute name used in the document path is not defined; attribute name: {name}")]
    UndefinedName {
        /// The placeholder.
        name: String,
    },

    /// A `:` placeholder that is not in the map.
    #[error("An expression attribute value used in expression is not defined; attribute value: {value}")]
    UndefinedValue {
        /// The placeholder.
        value: String,
    },

    /// A function with too few operands or too many.
    #[error(
        "Incorrect number of operands for operator or function; operator or function: {function}, number of operands: {count}"
    )]
    OperandCount {
        /// Its name.
        function: String,
        /// How many it was given.
        count: usize,
    },

    /// A value of a type that the operator or function cannot have.
    #[error(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {found}"
    )]
    OperandType {
        /// The operator or function.
        operator: String,
        /// The value's type.
        #[serde(deserialize_with = "crate::word::deserialize")]
        found: crate::word::Word,
    },

    /// `ADD` or `DELETE` with a value of a type that it cannot have.
    #[error(
        "Incorrect operand type for operator or function; operator: {action}, operand type: {found}, \
         typeSet: ALLOWED_FOR_{action}_OPERAND"
    )]
    ActionType {
        /// `ADD` or `DELETE`.
        #[serde(deserialize_with = "crate::word::deserialize")]
        action: crate::word::Word,
        /// The value's type.
        #[serde(deserialize_with = "crate::word::deserialize")]
        found: crate::word::Word,
    },

    /// A value where only the path of an attribute makes sense.
    #[error("Operator or function requires a document path; operator or function: {function}")]
    PathRequired {
        /// The function.
        function: String,
    },

    /// An attribute compared with itself.
    #[error(
        "The first operand must be distinct from the remaining operands for this operator or function; \
         operator: {operator}, first operand: {path}"
    )]
    SameOperand {
        /// The operator or function.
        operator: String,
        /// The attribute's path.
        path: String,
    },

    /// `attribute_type` with the name of no type.
    #[error("Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}")]
    UnknownTypeName {
        /// The name.
        name: String,
    },

    /// `BETWEEN` with bounds of two types.
    #[error(
        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: {lower}, \
         upper bound operand: {upper}"
    )]
    BetweenTypes {
        /// The lower bound.
        lower: String,
        /// The upper bound.
        upper: String,
    },

    /// `BETWEEN` with its bounds exchanged.
    #[error(
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; \
         lower bound operand: {lower}, upper bound operand: {upper}"
    )]
    BetweenOrder {
        /// The lower bound.
        lower: String,
        /// The upper bound.
        upper: String,
    },

    /// A clause of an update that is there already.
    #[error("The \"{clause}\" section can only be used once in an update expression;")]
    RepeatedClause {
        /// `SET`, `REMOVE`, `ADD` or `DELETE`.
        #[serde(deserialize_with = "crate::word::deserialize")]
        clause: crate::word::Word,
    },

    /// A path that is another one, or leads to what is inside another one.
    #[error(
        "Two document paths overlap with each other; must remove or rewrite one of these paths; \
         path one: {first}, path two: {second}"
    )]
    PathsOverlap {
        /// The path that is written first.
        first: String,
        /// The other path.
        second: String,
    },

    /// Two paths that use one attribute as a map and as a list.
    #[error(
        "Two document paths conflict with each other; must remove or rewrite one of these paths; \
         path one: {first}, path two: {second}"
    )]
    PathsConflict {
        /// The path that is written first.
        first: String,
        /// The other path.
        second: String,
    },
}
