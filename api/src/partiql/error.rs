//! What is wrong with a statement. The texts are DynamoDB's.

use std::fmt;

use thiserror::Error;

use crate::expression::{ExpressionError, Problem};
use crate::word::Word;

/// Why a statement is not executed.
#[derive(Clone, Debug, PartialEq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum StatementError {
    /// No text, or one of more than [`MAX_STATEMENT_LEN`](super::MAX_STATEMENT_LEN) characters.
    #[error(
        "1 validation error detected: Value at 'statement' failed to satisfy constraint: Member must have length {} than or \
         equal to {}",
        if *.len == 0 { "greater" } else { "less" },
        if *.len == 0 { 1 } else { super::MAX_STATEMENT_LEN }
    )]
    Length {
        /// Its characters.
        len: usize,
    },

    /// What cannot be read as a statement.
    #[error("Statement wasn't well formed, can't be processed: {detail}")]
    Malformed {
        /// What was found, if DynamoDB says so.
        #[serde(deserialize_with = "crate::word::deserialize")]
        detail: Word,
    },

    /// What can be read, and is not allowed.
    #[error("{rule}{}", at(.place))]
    Broken {
        /// The rule that it breaks.
        rule: Rule,
        /// Where, if DynamoDB says so.
        place: Option<Place>,
    },

    /// A condition, an update or a value that the expression language refuses.
    #[error("{}", describe(.0))]
    Expression(ExpressionError),
}

/// Where something stands in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// Its characters.
    pub len: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.line, self.column, self.len)
    }
}

fn at(place: &Option<Place>) -> String {
    place.map(|place| format!(" at {place}")).unwrap_or_default()
}

/// What the expression language says, without the expressions that nobody has written.
fn describe(error: &ExpressionError) -> String {
    match error {
        ExpressionError::Invalid { problem: Problem::UnknownTypeName { name }, .. } => {
            format!(
                "Invalid attribute type name found; type: {name}, valid types: {{N,BS,L,B,NULL,M,S,SS,NS,BOOL}}"
            )
        }
        ExpressionError::Invalid { problem, .. } => problem.to_string(),
        ExpressionError::InvalidValue { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

impl StatementError {
    #[cold]
    pub(super) fn malformed(detail: &'static str) -> StatementError {
        StatementError::Malformed { detail }
    }
}

impl From<ExpressionError> for StatementError {
    fn from(error: ExpressionError) -> StatementError {
        StatementError::Expression(error)
    }
}

/// A rule of statements.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Rule {
    // ---- What a statement may be ----
    /// An expression is no statement.
    #[error("Unsupported operation: {0}")]
    Operation(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// A clause of PartiQL that there is not here.
    #[error("Unsupported clause: {0}")]
    Clause(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// Another name for a table or an attribute.
    #[error("Aliasing is not supported")]
    Alias,

    /// More than one table in FROM.
    #[error("Only select from a single table or index is supported.")]
    SeveralSources,

    /// More parts in FROM than a table and an index.
    #[error("A path may contain at most 2 components in the FROM clause")]
    LongSource,

    /// An index of a table to insert into.
    #[error("FROM clause may only contain a single table name in data manipulation statements")]
    IndexOfInsert,

    /// A write of an index.
    #[error("This operation is not supported on an index")]
    IndexOfWrite,

    /// A name without characters.
    #[error("Path component cannot be an empty string")]
    EmptyComponent,

    /// `SELECT VALUE` and `PIVOT`.
    #[error("Select projection doesn't support value or pivot keywords")]
    ValueOrPivot,

    /// INSERT without VALUE.
    #[error(
        "Unsupported operation: Inserting multiple items in a single statement is not supported, use \"INSERT INTO tableName \
         VALUE item\" instead"
    )]
    SeveralItems,

    /// A place for what is inserted.
    #[error("AT is not supported in insert statements.")]
    At,

    /// What is inserted is no tuple.
    #[error(
        "Unsupported format in item expression. Please use struct format {{...}} to express item values for insert statement."
    )]
    NoTuple,

    /// RETURNING behind INSERT.
    #[error("RETURNING is not supported in INSERT")]
    ReturningOfInsert,

    /// RETURNING without a star.
    #[error("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")]
    ReturningElement,

    /// More than one thing to return.
    #[error("Invalid syntax with multiple returning elements in RETURNING clause")]
    ReturningSeveral,

    /// DELETE returns only the item as it was.
    #[error(
        "Invalid returning clause: RETURNING {0}. Only RETURNING ALL OLD * is allowed in DELETE statements."
    )]
    ReturningOfDelete(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// RETURNING in a transaction.
    #[error("RETURNING clause is not supported in ExecuteTransaction.")]
    ReturningInTransaction,

    /// EXISTS outside a transaction of writes.
    #[error("EXISTS can only be used in ExecuteTransaction write requests.")]
    ExistsAlone,

    /// EXISTS that does not say which item, or what of it.
    #[error("EXISTS() must contain a single item read with additional condition")]
    ExistsOfOne,

    /// EXISTS of an index.
    #[error("Operations on indices are not supported in transactions")]
    ExistsOfIndex,

    // ---- What is selected ----
    /// Something else than paths.
    #[error("Unexpected path component")]
    Column,

    /// A star, and more.
    #[error("Other attributes should not be present in the projection when '*' is used.")]
    StarAndMore,

    /// Two columns of one name.
    #[error("Duplicate identifiers in select clause: {name}")]
    DuplicateColumn {
        /// The name.
        name: String,
    },

    /// `.*` in a path.
    #[error("Unpivot path component like a.*.b are not supported")]
    Unpivot,

    /// `[*]` in a path.
    #[error("Wildcard path component like a[*].b are not supported")]
    Wildcard,

    /// An index that no list has.
    #[error("List index is not within the allowable range; index: [{index}]")]
    ListIndex {
        /// As it is written.
        index: String,
    },

    /// ORDER BY without WHERE.
    #[error("Must have WHERE clause in the statement when using ORDER BY clause.")]
    OrderWithoutCondition,

    /// ORDER BY where WHERE does not say which partitions.
    #[error(
        "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
    )]
    OrderWithoutPartition,

    /// ORDER BY something else than the key.
    #[error("Attribute {name} in ORDER BY clause must be part of the primary key")]
    OrderByOther {
        /// The attribute.
        name: String,
    },

    /// ORDER BY something else than an attribute.
    #[error("Argument to ORDER BY must be of type VariableReference.")]
    OrderByExpression,

    /// Several partitions that are not ordered themselves.
    #[error(
        "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause."
    )]
    OrderOfPartitions,

    /// An index that the table does not have.
    #[error("The table does not have the specified index")]
    NoIndex,

    /// An index whose key has several attributes of one kind.
    #[error(
        "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
    )]
    MultiAttributeKey,

    /// A consistent read of a global index.
    #[error("Strongly consistent read is not supported on Global Secondary Indexes")]
    ConsistentGlobal,

    /// A filter on attributes that an index does not hold.
    #[error(
        "One or more parameter values were invalid: Secondary index {index} does not project one or more filter attributes: \
         [{}]",
        names.join(", ")
    )]
    NotInIndex {
        /// The index.
        index: String,
        /// The attributes, in the order in which DynamoDB lists them.
        names: Vec<String>,
    },

    /// A token that no answer gave.
    #[error("Invalid NextToken")]
    NextToken,

    /// A token of another statement.
    #[error("NextToken does not match request")]
    NextTokenOfOther,

    // ---- Which items ----
    /// A write that does not say which item.
    #[error("Where clause does not contain a mandatory equality on all key attributes")]
    NoKey,

    /// A write of two items.
    #[error("Multiple conditions on same key {name}. Only single item Update/Insert/Delete are supported")]
    SeveralKeys {
        /// The attribute.
        name: String,
    },

    /// A value of another type than the attribute of the key.
    #[error("Key attribute's data type should match its data type in table's schema: Key {name}")]
    KeyType {
        /// The attribute.
        name: String,
    },

    /// Conditions on keys that are met by one item twice.
    #[error("Overlapping conditions with range keys are not supported in where clause")]
    Overlap,

    /// More ranges of keys than are read.
    #[error("Too many decomposed read operations for a given query.")]
    TooManyReads,

    /// A read of a transaction that is not by its key alone.
    #[error("Select statements within ExecuteTransaction must specify the primary key in the where clause.")]
    NoKeyInTransaction,

    /// A read of a batch that is not by its key alone.
    #[error(
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    )]
    NoKeyInBatch,

    /// A read of an index in a transaction.
    #[error("Reads on indices are not supported within transactions.")]
    IndexInTransaction,

    /// Reads and writes in one transaction.
    #[error("ExecuteTransaction API does not support both read and write operations in the same request.")]
    ReadsAndWrites,

    /// Reads and writes in one batch.
    #[error("BatchExecuteStatement API does not support both read and write operations in the same request.")]
    BatchReadsAndWrites,

    // ---- Conditions and updates ----
    /// WHERE with something that is neither true nor false.
    #[error("WHERE clause must contain an expression that resolves to a boolean")]
    NoBoolean,

    /// AND and OR of something that is neither true nor false.
    #[error("The arguments to AND/OR must be Expressions")]
    LogicOfValue,

    /// NOT of something that is neither true nor false.
    #[error("The argument to NOT must be a Type or Expression")]
    NotOfValue,

    /// A function that there is not, or not here.
    #[error("Unrecognized function: {name}")]
    Function {
        /// Its name, in small letters.
        name: String,
    },

    /// Something that is no operand.
    #[error("Unsupported token in expression: {0}")]
    Operand(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// An operator that conditions do not have.
    #[error("Unsupported operator in Condition Expression. Operator: {0}")]
    ConditionOperator(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// An operator that updates do not have.
    #[error("Unsupported operator in Update Expression. Operator: {0}")]
    UpdateOperator(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// IN without a list.
    #[error(
        "IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq with at \
         least one member"
    )]
    InOperands,

    /// MISSING compared by something else than IS.
    #[error("MISSING must be compared using IS operator")]
    MissingCompared,

    /// IS of something that cannot be missing.
    #[error("The left hand side argument to IS must be a Variable Reference, Literal, or Path")]
    IsOperand,

    /// IS with a type that no value has.
    #[error(
        "Unsupported data type for IS operator: {name}. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, \
         NUMERIC, STRUCT, TUPLE, LIST]"
    )]
    IsType {
        /// The name of the type.
        name: String,
    },

    /// SET or REMOVE of something that is no place in an item.
    #[error("Unrecognized assignment target")]
    Target,

    /// A function of sets with too few operands or too many.
    #[error("{0} must have exactly two arguments")]
    SetOperands(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// A function of sets that is not of what it is assigned to.
    #[error("The first argument to {0} must equal the assignment value")]
    SetOfOther(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    /// A function of sets with something else than a set.
    #[error("The second argument to {0} must be a value with type SET")]
    NoSet(#[serde(deserialize_with = "crate::word::deserialize")] Word),

    // ---- Values ----
    /// Fewer parameters than question marks.
    #[error("Number of parameters in request and statement don't match.")]
    Parameters,

    /// A set without members.
    #[error("Empty bags are not supported")]
    EmptyBag,

    /// A set of something else than numbers or strings.
    #[error("Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags")]
    BagMember,

    /// A set that names a string twice.
    #[error("One or more parameter values were invalid: Input collection [{}] contains duplicates.", members.join(", "))]
    DuplicateStrings {
        /// The members as they were given.
        members: Vec<String>,
    },

    /// A set that names a number twice.
    #[error(
        "One or more parameter values were invalid: Input collection [{}] contains duplicates! under {key}",
        members.join(", ")
    )]
    DuplicateNumbers {
        /// The members as they were given.
        members: Vec<String>,
        /// Where in the value.
        key: String,
    },

    /// A number that cannot be stored.
    #[error("{problem} under {key}")]
    Number {
        /// Why.
        problem: crate::number::NumberError,
        /// Where in the value.
        key: String,
    },

    /// What is no value.
    #[error("Unsupported data type: {found} under key {key}")]
    Value {
        /// What it is.
        found: String,
        /// Where in the value.
        key: String,
    },

    /// A value between backticks.
    #[error("Ion Literals are not supported: {text} under key {key}")]
    Ion {
        /// The value.
        text: String,
        /// Where in the value.
        key: String,
    },

    /// A name in a tuple that is no string.
    #[error("Tuple keys must be of type String. Actual type: {found} under {key}")]
    TupleKey {
        /// What it is.
        found: String,
        /// Where in the value.
        key: String,
    },

    /// Two values of one name.
    #[error("Duplicate keys in tuple. Key: {name} under {key}")]
    DuplicateKey {
        /// The name.
        name: String,
        /// Where in the value.
        key: String,
    },

    /// More levels than a value may have.
    #[error("Nesting Levels have exceeded supported limits under {key}")]
    TooDeep {
        /// Where in the value.
        key: String,
    },
}

impl Rule {
    #[cold]
    pub(crate) fn broken(self) -> StatementError {
        StatementError::Broken { rule: self, place: None }
    }

    #[cold]
    pub(super) fn broken_at(self, place: Place) -> StatementError {
        StatementError::Broken { rule: self, place: Some(place) }
    }
}
