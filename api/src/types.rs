//! Key types and key schemas: which attributes of an item are its key.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Bytes that the name of a key attribute may have.
pub const MAX_KEY_NAME_LEN: usize = 255;

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyAttribute {
    name: String,
    key_type: KeyType,
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

/// A table's key: the partition key, and the sort key if there is one.
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySchema {
    partition_key: KeyAttribute,
    sort_key: Option<KeyAttribute>,
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
        Ok(KeySchema { partition_key, sort_key })
    }

    /// The attribute that items are grouped by.
    pub fn partition_key(&self) -> &KeyAttribute {
        &self.partition_key
    }

    /// The attribute that the items of a partition are ordered by.
    pub fn sort_key(&self) -> Option<&KeyAttribute> {
        self.sort_key.as_ref()
    }

    /// Both attributes, the partition key first.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition_key).chain(&self.sort_key)
    }
}

/// Why something is not a key schema. The texts are DynamoDB's, but for the place in the request, which is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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
}
