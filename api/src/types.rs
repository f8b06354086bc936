//! Key types and key schemas: which attributes of an item are its key.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Bytes that the name of a key attribute may have.
pub const MAX_KEY_NAME_LEN: usize = 255;

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum KeyType {
    /// Text, ordered by its UTF-8 bytes: `S`.
    String,
    /// Decimal numbers, ordered by value: `N`.
    Number,
    /// Bytes, ordered as unsigned bytes: `B`.
    Binary,
}

impl KeyType {
    /// DynamoDB's letter for the type: `S`, `N` or `B`.
    ///
    /// ```
    /// use dynamite_core::types::KeyType;
    ///
    /// assert_eq!(KeyType::Binary.letter(), "B");
    /// assert_eq!("N".parse(), Ok(KeyType::Number));
    /// ```
    pub const fn letter(self) -> &'static str {
        match self {
            KeyType::String => "S",
            KeyType::Number => "N",
            KeyType::Binary => "B",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.letter())
    }
}

impl FromStr for KeyType {
    type Err = SchemaError;

    /// The type of a letter: `S`, `N` or `B`, nothing else.
    fn from_str(letter: &str) -> Result<KeyType, SchemaError> {
        match letter {
            "S" => Ok(KeyType::String),
            "N" => Ok(KeyType::Number),
            "B" => Ok(KeyType::Binary),
            _ => Err(SchemaError::UnknownType { letter: letter.to_owned() }),
        }
    }
}

/// An attribute that is a key, or part of one: its name, and the type that its values must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "(String, KeyType)", into = "(String, KeyType)")]
pub struct KeyAttribute {
    name: String,
    key_type: KeyType,
}

impl TryFrom<(String, KeyType)> for KeyAttribute {
    type Error = SchemaError;

    fn try_from((name, key_type): (String, KeyType)) -> Result<KeyAttribute, SchemaError> {
        KeyAttribute::new(name, key_type)
    }
}

impl From<KeyAttribute> for (String, KeyType) {
    fn from(attribute: KeyAttribute) -> Self {
        (attribute.name, attribute.key_type)
    }
}

impl KeyAttribute {
    /// A key attribute.
    ///
    /// # Errors
    ///
    /// [`EmptyName`](SchemaError::EmptyName) and [`LongName`](SchemaError::LongName): a name has 1 to
    /// [`MAX_KEY_NAME_LEN`] bytes.
    pub fn new(name: impl Into<String>, key_type: KeyType) -> Result<KeyAttribute, SchemaError> {
        let name = name.into();
        match name.len() {
            0 => Err(SchemaError::EmptyName),
            1..=MAX_KEY_NAME_LEN => Ok(KeyAttribute { name, key_type }),
            _ => Err(SchemaError::LongName { name }),
        }
    }

    /// The attribute's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its values.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }
}

/// Attributes that each of the two parts of an index's key may have. A table's key has one in each.
pub const MAX_KEY_ATTRIBUTES: usize = 4;

/// A key: the attributes that items are grouped by, and those that the items of a group are ordered by. A table's key has one
/// partition key and perhaps a sort key; the key of a global index may have up to [`MAX_KEY_ATTRIBUTES`] of each.
///
/// ```
/// use dynamite_core::types::{KeyAttribute, KeySchema, KeyType};
///
/// let device = KeyAttribute::new("device_id", KeyType::String)?;
/// let time = KeyAttribute::new("timestamp", KeyType::Number)?;
/// let schema = KeySchema::new(device, Some(time))?;
/// assert_eq!(schema.sort_key().map(KeyAttribute::name), Some("timestamp"));
/// # Ok::<(), dynamite_core::types::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct KeySchema {
    /// The partition attributes, of which there is one at least, and the sort attributes behind them.
    attributes: Vec<KeyAttribute>,
    partition_len: usize,
}

/// The two parts of a key, as serde sees one.
type Parts = (Vec<KeyAttribute>, Vec<KeyAttribute>);

impl TryFrom<Parts> for KeySchema {
    type Error = SchemaError;

    fn try_from((partition, sort): Parts) -> Result<KeySchema, SchemaError> {
        KeySchema::of_several(partition, sort)
    }
}

impl From<KeySchema> for Parts {
    fn from(mut keys: KeySchema) -> Parts {
        let sort = keys.attributes.split_off(keys.partition_len);
        (keys.attributes, sort)
    }
}

impl KeySchema {
    /// A key of two different attributes, or of one.
    ///
    /// # Errors
    ///
    /// [`SameName`](SchemaError::SameName).
    pub fn new(
        partition_key: KeyAttribute,
        sort_key: Option<KeyAttribute>,
    ) -> Result<KeySchema, SchemaError> {
        if sort_key.as_ref().is_some_and(|sort_key| sort_key.name == partition_key.name) {
            return Err(SchemaError::SameName);
        }
        Ok(KeySchema {
            attributes: std::iter::once(partition_key).chain(sort_key).collect(),
            partition_len: 1,
        })
    }

    /// A key of several attributes in each of its parts, all of them different.
    ///
    /// # Errors
    ///
    /// [`NoPartitionKey`](SchemaError::NoPartitionKey), [`TooManyAttributes`](SchemaError::TooManyAttributes),
    /// [`SameName`](SchemaError::SameName) and [`RepeatedName`](SchemaError::RepeatedName).
    pub fn of_several(
        partition: Vec<KeyAttribute>,
        sort: Vec<KeyAttribute>,
    ) -> Result<KeySchema, SchemaError> {
        for (attributes, role) in [(&partition, "HASH"), (&sort, "RANGE")] {
            if attributes.len() > MAX_KEY_ATTRIBUTES {
                return Err(SchemaError::TooManyAttributes { role });
            }
        }
        let partition_len = partition.len();
        let mut attributes = partition;
        attributes.extend(sort);
        let repeats = |(nth, attribute): (usize, &KeyAttribute)| {
            attributes[..nth].iter().any(|other| other.name == attribute.name)
        };
        match (partition_len, attributes.len()) {
            (0, _) => Err(SchemaError::NoPartitionKey),
            (1, 2) if attributes[0].name == attributes[1].name => Err(SchemaError::SameName),
            _ if attributes.iter().enumerate().any(repeats) => Err(SchemaError::RepeatedName),
            _ => Ok(KeySchema { attributes, partition_len }),
        }
    }

    /// The attribute that items are grouped by: the first, if there are several.
    pub fn partition_key(&self) -> &KeyAttribute {
        &self.attributes[0]
    }

    /// The attribute that the items of a partition are ordered by: the first, if there are several.
    pub fn sort_key(&self) -> Option<&KeyAttribute> {
        self.attributes.get(self.partition_len)
    }

    /// All attributes that items are grouped by.
    pub fn partition_attributes(&self) -> &[KeyAttribute] {
        &self.attributes[..self.partition_len]
    }

    /// All attributes that the items of a partition are ordered by.
    pub fn sort_attributes(&self) -> &[KeyAttribute] {
        &self.attributes[self.partition_len..]
    }

    /// All attributes, those of the partition first.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        self.attributes.iter()
    }
}

/// Why something is not a key schema. The texts are DynamoDB's, but for the place in the request, which is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum SchemaError {
    /// A letter that no key type has.
    #[error(
        "Value '{letter}' at 'attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]"
    )]
    UnknownType {
        /// What stood for the type.
        letter: String,
    },

    /// A key attribute without a name.
    #[error(
        "Value '' at 'attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )]
    EmptyName,

    /// A key attribute's name of more than [`MAX_KEY_NAME_LEN`] bytes.
    #[error(
        "Value '{name}' at 'attributeName' failed to satisfy constraint: \
        Member must have length less than or equal to {MAX_KEY_NAME_LEN}"
    )]
    LongName {
        /// The name.
        name: String,
    },

    /// One attribute cannot be both keys.
    #[error("Both the Hash Key and the Range Key element in the KeySchema have the same name")]
    SameName,

    /// An attribute stands twice in a key of several.
    #[error("The KeySchema contains multiple key attributes with the same name")]
    RepeatedName,

    /// A key without a partition key.
    #[error(
        "One or more parameter values were invalid: No Hash Key specified in schema. All Dynamo DB tables must have exactly one hash key"
    )]
    NoPartitionKey,

    /// More than [`MAX_KEY_ATTRIBUTES`] attributes in one part of a key.
    #[error(
        "One or more parameter values were invalid: The KeySchema exceeds the maximum allowed number of {role} key attributes"
    )]
    TooManyAttributes {
        /// `HASH` or `RANGE`.
        #[serde(deserialize_with = "crate::word::deserialize")]
        role: crate::word::Word,
    },
}
