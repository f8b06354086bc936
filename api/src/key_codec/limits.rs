//! What a value must be to be a key's: not empty, and not too long. The texts are DynamoDB's.

use thiserror::Error;

use dynamite_txn::MAX_KEY;

use super::KeyValue;

/// Bytes of a partition key's value, a string's in UTF-8.
pub const MAX_PARTITION_KEY_LEN: usize = 2048;

/// Bytes of a sort key's value, a string's in UTF-8.
pub const MAX_SORT_KEY_LEN: usize = 1024;

// The longest key there can be fits: an entry of an index with four partition and four sort attributes and the table's key
// behind them, all NULs, each of which becomes two bytes, with a tag and an end for each value.
const _: () = assert!(5 * (2 * MAX_PARTITION_KEY_LEN + 3) + 5 * (2 * MAX_SORT_KEY_LEN + 3) <= MAX_KEY);

/// What an attribute is in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum KeyRole {
    /// Items are grouped by it.
    Partition,
    /// The items of a partition are ordered by it.
    Sort,
}

impl KeyRole {
    /// Bytes that a value may have.
    pub const fn max_len(self) -> usize {
        match self {
            KeyRole::Partition => MAX_PARTITION_KEY_LEN,
            KeyRole::Sort => MAX_SORT_KEY_LEN,
        }
    }
}

/// Why a value cannot be that of a key attribute. The texts are those that DynamoDB gives.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum KeyError {
    /// An empty string or binary in a table's key.
    #[error(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {kind} \
        value. Key: {attribute}"
    )]
    Empty {
        /// `string` or `binary`.
        #[serde(deserialize_with = "crate::word::deserialize")]
        kind: crate::word::Word,
        /// The attribute's name.
        attribute: String,
    },

    /// An empty string or binary in an index's key.
    #[error(
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The \
        AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: {index}, IndexKey: {attribute}"
    )]
    EmptyInIndex {
        /// `string` or `binary`.
        #[serde(deserialize_with = "crate::word::deserialize")]
        kind: crate::word::Word,
        /// The index's name.
        index: String,
        /// The attribute's name.
        attribute: String,
    },

    /// A table's partition key of more than [`MAX_PARTITION_KEY_LEN`] bytes. (The blank is missing in DynamoDB's text too.)
    #[error(
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit \
        of{MAX_PARTITION_KEY_LEN} bytes"
    )]
    PartitionKeyTooLong {
        /// Its bytes.
        len: usize,
    },

    /// A table's sort key of more than [`MAX_SORT_KEY_LEN`] bytes.
    #[error(
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
        {MAX_SORT_KEY_LEN} bytes"
    )]
    SortKeyTooLong {
        /// Its bytes.
        len: usize,
    },

    /// A value in an index's key that is too long for its role.
    #[error(
        "One or more parameter values were invalid: Size limit exceeded for Index Key {attribute} Actual Size: {len} bytes \
        Max Size: {max_len} bytes IndexName: {index}"
    )]
    IndexKeyTooLong {
        /// The index's name.
        index: String,
        /// The attribute's name.
        attribute: String,
        /// The value's bytes.
        len: usize,
        /// Bytes that it may have.
        max_len: usize,
    },
}

impl KeyValue<'_> {
    /// Whether the value can be that of a key attribute: of the table's key, or of that of an index.
    ///
    /// The limit holds for each attribute of an index that has several.
    ///
    /// # Errors
    ///
    /// [`KeyError`], whose variants for an index name it.
    ///
    /// ```
    /// use dynamite_core::key_codec::{KeyError, KeyRole, KeyValue};
    ///
    /// assert!(KeyValue::S("alice").check_limits(KeyRole::Partition, "id", None).is_ok());
    /// let error = KeyValue::S("").check_limits(KeyRole::Partition, "id", None).unwrap_err();
    /// assert!(matches!(error, KeyError::Empty { .. }));
    /// ```
    pub fn check_limits(&self, role: KeyRole, attribute: &str, index: Option<&str>) -> Result<(), KeyError> {
        let (len, kind) = match self {
            KeyValue::B(bytes) => (bytes.len(), "binary"),
            KeyValue::S(text) => (text.len(), "string"),
            // All numbers are short.
            KeyValue::N(_) => return Ok(()),
        };
        if (1..=role.max_len()).contains(&len) {
            return Ok(());
        }
        let attribute = attribute.to_owned();
        Err(match (index.map(str::to_owned), role) {
            (None, _) if len == 0 => KeyError::Empty { kind, attribute },
            (Some(index), _) if len == 0 => KeyError::EmptyInIndex { kind, index, attribute },
            (None, KeyRole::Partition) => KeyError::PartitionKeyTooLong { len },
            (None, KeyRole::Sort) => KeyError::SortKeyTooLong { len },
            (Some(index), role) => {
                KeyError::IndexKeyTooLong { index, attribute, len, max_len: role.max_len() }
            }
        })
    }
}
