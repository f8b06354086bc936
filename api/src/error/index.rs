//! What is wrong with an index, with what an item says to one, or with a read of one.

use thiserror::Error;

use crate::types::KeyType;

/// Why an index cannot be made, changed, maintained or read. The texts are DynamoDB's, where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum IndexError {
    /// An attribute of an index's key has the wrong type in an item.
    #[error(
        "One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: {expected} Actual: {actual} \
        IndexName: {index}"
    )]
    KeyType {
        /// The attribute.
        name: String,
        /// The type that the index says.
        expected: KeyType,
        /// The type of the value, by DynamoDB's letters.
        #[serde(deserialize_with = "crate::word::deserialize")]
        actual: crate::word::Word,
        /// The index.
        index: String,
    },

    /// An update makes an attribute of an index's key one of the wrong type.
    #[error("The update expression attempted to update the secondary index key to unsupported type")]
    UpdateOfType,

    /// An update makes an attribute of an index's key empty.
    #[error(
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a \
        value that is not supported. The AttributeValue for a key attribute cannot contain an empty {kind} value."
    )]
    UpdateToEmpty {
        /// `string` or `binary`.
        #[serde(deserialize_with = "crate::word::deserialize")]
        kind: crate::word::Word,
    },

    /// An update makes an attribute of an index's key too long.
    #[error("The update expression attempted to update the secondary index key beyond allowed size limits")]
    UpdateToTooLong,

    /// A global index is to be read consistently.
    #[error("Consistent reads are not supported on global secondary indexes")]
    Consistent {
        /// The index.
        index: String,
    },

    /// A read of an index that the table does not have, or did not have when the snapshot was taken.
    #[error("The table does not have the specified index: {index}")]
    NotFound {
        /// The name asked for.
        index: String,
    },

    /// A read of an index as of the past: only the items of tables have one.
    #[error("index {index} keeps no history; query or scan its table as of that time")]
    NoHistory {
        /// The index.
        index: String,
    },

    /// A read of an index that is being built, or was when the snapshot was taken.
    #[error("Cannot read from backfilling global secondary index: {index}")]
    IsBuilding {
        /// The index.
        index: String,
    },

    /// All attributes of items, from a global index that does not hold them.
    #[error(
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index \
        {index} because its projection type is not ALL"
    )]
    AllFromGlobal {
        /// The index.
        index: String,
    },

    /// Attributes of items, from a global index that does not hold them.
    #[error(
        "One or more parameter values were invalid: Global secondary index {index} does not project [{}]",
        names.join(", ")
    )]
    NotInGlobal {
        /// The index.
        index: String,
        /// The attributes.
        names: Vec<String>,
    },

    /// Two indexes of one name.
    #[error("One or more parameter values were invalid: Duplicate index name: {index}")]
    Duplicate {
        /// The name.
        index: String,
    },

    /// An index is added to a table that has one of that name.
    #[error("Attempting to create an index which already exists")]
    Exists {
        /// The name.
        index: String,
    },

    /// A local index cannot be dropped without its table.
    #[error("Cannot delete an index that is not a GlobalSecondaryIndex: {index}")]
    DropOfLocal {
        /// The index.
        index: String,
    },

    /// One index is to be dropped and added, or dropped twice, in one change of a table.
    #[error(
        "One or more parameter values were invalid: Only one global secondary index update per index is allowed \
        simultaneously. Index: {index}"
    )]
    UpdatedTwice {
        /// The index.
        index: String,
    },

    /// More global indexes than a table may have.
    #[error(
        "One or more parameter values were invalid: GlobalSecondaryIndex count exceeds the per-table limit of 20"
    )]
    TooManyGlobal,

    /// More global indexes than a table may have, by one that is added. Of DynamoDB that is a `LimitExceededException`.
    #[error("Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20")]
    TooManyGlobalAdded,

    /// More local indexes than a table may have.
    #[error(
        "One or more parameter values were invalid: Number of LocalSecondaryIndexes exceeds per-table limit of 5"
    )]
    TooManyLocal,

    /// A local index of a table without a sort key.
    #[error(
        "One or more parameter values were invalid: Table KeySchema does not have a range key, which is required when \
        specifying a LocalSecondaryIndex"
    )]
    LocalWithoutTableSortKey,

    /// A local index without a sort key.
    #[error(
        "One or more parameter values were invalid: Index KeySchema does not have a range key for index: {index}"
    )]
    LocalWithoutSortKey {
        /// The index.
        index: String,
    },

    /// An index that includes attributes, and names none.
    #[error(
        "One or more parameter values were invalid: ProjectionType is INCLUDE, but NonKeyAttributes is not specified"
    )]
    NothingIncluded,

    /// An index includes an attribute twice.
    #[error("One or more parameter values were invalid: Duplicate element in NonKeyAttributes: {name}")]
    IncludedTwice {
        /// The attribute.
        name: String,
    },

    /// An index includes more attributes than one may.
    #[error(
        "1 validation error detected: Value '[{}]' at 'projection.nonKeyAttributes' failed to satisfy constraint: Member \
        must have length less than or equal to 20",
        names.join(", ")
    )]
    TooManyIncluded {
        /// The attributes.
        names: Vec<String>,
    },

    /// The indexes of a table include more attributes than they may together.
    #[error(
        "One or more parameter values were invalid: Number of NonKeyAttributes over all indexes exceeds the per-table \
        limit of 100"
    )]
    TooManyIncludedInAll,

    /// One attribute is of two types in the keys of a table and its indexes.
    #[error("Attribute Name is duplicated: {name}")]
    KeyOfTwoTypes {
        /// The attribute.
        name: String,
    },
}
