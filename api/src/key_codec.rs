//! Keys as byte strings that `memcmp` orders as DynamoDB orders the values.
//!
//! # Layout
//!
//! A key is a sequence of values: of a table the partition key and, if there is one, the sort key; of an index entry the
//! index's partition attributes, its sort attributes, and the table's key behind them, perhaps with a hash of that before it. A value
//! says its own type and where it ends, so no value is the beginning of another, and what follows one can be nothing but the next, such
//! a hash, or the end.
//!
//! ```text
//! offset  size  field  meaning
//! ------  ----  -----  -------------------------------------------------------------------------
//!      0     1  tag    type of the value: 42 'B' binary, 4E 'N' number, 53 'S' string
//!      1     .  body   by type
//!
//! string (UTF-8) and binary
//!      .     .  bytes  each 00 written as 00 FF
//!      .     2  end    00 00
//!
//! number
//!      1     8  floor  the greatest double that is not greater than the number, big-endian;
//!                      all bits inverted if it is negative, else only the sign bit
//!      9     1  exact  00 if that double is the number, and nothing follows; 01 if not, then
//!     10     1  place  exponent of the number's leading digit, plus 130
//!     11  1-19  pairs  the digits from the leading one on, two a byte: twice the pair's value
//!                      0 ..= 99, plus 1 if there are more; the last pair is not 0
//!                      (place and pairs have all bits inverted if the number is negative)
//!
//! hash (it has no tag)
//!      0     4  bits   0, and the first 31 bits of DynamoDB's hash of the table's key, big-endian
//! ```
//!
//! So integers up to 2^53 and binary fractions take 10 bytes with their tag, `19.99` takes 13, and no number more than 30.
//!
//! | value                      | bytes                                             |
//! |----------------------------|---------------------------------------------------|
//! | `"a\0b"`                   | `53 61 00 FF 62 00 00`                            |
//! | 0                          | `4E 80 00 00 00 00 00 00 00 00`                   |
//! | 1                          | `4E BF F0 00 00 00 00 00 00 00`                   |
//! | -2                         | `4E 3F FF FF FF FF FF FF FF 00`                   |
//! | 0.1 (the double is above)  | `4E BF B9 99 99 99 99 99 99 01 81 14`             |
//! | -0.1 (the double is below) | `4E 40 46 66 66 66 66 66 65 01 7E EB`             |
//!
//! # Invariants
//!
//! 1. The order of encoded keys is the order of the sequences of values. (Between types it is that of the tags; no
//!    attribute of a key has values of two types.)
//! 2. A value has one encoding. [`decode`] refuses every other, so keys that decode are equal as values only if they are
//!    equal as bytes.
//! 3. No tag is `FF`, and no hash begins with it. So between a sequence of values and the same with `FF` behind it lie all
//!    the keys that begin with it, and no others.

mod number_key;

mod escape;

mod range;

mod limits;

mod damage;

mod hash;

pub use damage::KeyDamage;
pub(crate) use hash::hash;
pub use limits::{KeyError, KeyRole, MAX_PARTITION_KEY_LEN, MAX_SORT_KEY_LEN};
pub use range::{KeyPrefix, KeyRange};

use crate::number::Number;
use crate::types::KeyType;

/// A value of a key attribute, borrowed.
///
/// The order is that of the encoded values: that of DynamoDB between values of a type.
//
// The variants stand in the order of their tags, so that the derived order is that of the bytes between types too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyValue<'a> {
    /// Bytes.
    B(&'a [u8]),
    /// A number.
    N(Number),
    /// Text.
    S(&'a str),
}

/// A value of a key attribute, as it is got from a stored key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnedKeyValue {
    /// Bytes.
    B(Vec<u8>),
    /// A number.
    N(Number),
    /// Text.
    S(String),
}

impl KeyValue<'_> {
    /// Appends the encoded value.
    ///
    /// Cost: one pass over the value; a number takes some 10 ns if a double holds it exactly, a few times as much if not.
    ///
    /// ```
    /// use dynamite_core::key_codec::{KeyValue, decode};
    ///
    /// let mut key = Vec::new();
    /// KeyValue::S("device_123").encode_into(&mut key);
    /// KeyValue::N(42.into()).encode_into(&mut key);
    ///
    /// let (device, rest) = decode(&key)?;
    /// let (time, rest) = decode(rest)?;
    /// assert_eq!((device.borrow(), time.borrow()), (KeyValue::S("device_123"), KeyValue::N(42.into())));
    /// assert!(rest.is_empty());
    /// # Ok::<(), dynamite_core::key_codec::KeyDamage>(())
    /// ```
    pub fn encode_into(&self, key: &mut Vec<u8>) {
        match self {
            KeyValue::B(bytes) => encode_bytes(self.tag(), bytes, key),
            KeyValue::S(text) => encode_bytes(self.tag(), text.as_bytes(), key),
            KeyValue::N(number) => {
                key.push(self.tag());
                number_key::encode_into(number, key);
            }
        }
    }

    /// What follows the encoded value in a key that begins with it; `None` if the key begins otherwise.
    pub(crate) fn strip_from<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let (first, body) = key.split_first()?;
        if *first != self.tag() {
            return None;
        }
        match self {
            KeyValue::B(bytes) => escape::strip(bytes, body),
            KeyValue::S(text) => escape::strip(text.as_bytes(), body),
            // A number has one encoding.
            KeyValue::N(number) => {
                number_key::decode(body).ok().filter(|(found, _)| found == number).map(|(_, rest)| rest)
            }
        }
    }

    /// The value's type.
    pub fn key_type(&self) -> KeyType {
        match self {
            KeyValue::B(_) => KeyType::Binary,
            KeyValue::N(_) => KeyType::Number,
            KeyValue::S(_) => KeyType::String,
        }
    }

    /// The first byte of the encoded value.
    fn tag(&self) -> u8 {
        tag(self.key_type())
    }
}

impl OwnedKeyValue {
    /// The value without its ownership.
    pub fn borrow(&self) -> KeyValue<'_> {
        match self {
            OwnedKeyValue::B(bytes) => KeyValue::B(bytes),
            OwnedKeyValue::N(number) => KeyValue::N(*number),
            OwnedKeyValue::S(text) => KeyValue::S(text),
        }
    }
}

/// Takes the first value off a key, and gives what follows it. The bytes may be anything.
///
/// # Errors
///
/// The check that the bytes fail: anything that [`KeyValue::encode_into`] would not have written.
pub fn decode(key: &[u8]) -> Result<(OwnedKeyValue, &[u8]), KeyDamage> {
    let (key_type, body) = split_tag(key)?;
    match key_type {
        KeyType::Binary => escape::decode(body).map(|(bytes, rest)| (OwnedKeyValue::B(bytes), rest)),
        KeyType::Number => number_key::decode(body).map(|(number, rest)| (OwnedKeyValue::N(number), rest)),
        KeyType::String => {
            let (bytes, rest) = escape::decode(body)?;
            let text = String::from_utf8(bytes)
                .map_err(|error| KeyDamage::NotUtf8 { valid_up_to: error.utf8_error().valid_up_to() })?;
            Ok((OwnedKeyValue::S(text), rest))
        }
    }
}

/// Decodes a whole key that is known to be of these types: nothing may follow.
///
/// # Errors
///
/// Those of [`decode`], [`WrongType`](KeyDamage::WrongType) and [`TooLong`](KeyDamage::TooLong).
pub fn decode_all(
    key: &[u8],
    types: impl IntoIterator<Item = KeyType>,
) -> Result<Vec<OwnedKeyValue>, KeyDamage> {
    let (values, rest) = decode_first(key, types)?;
    if !rest.is_empty() {
        return Err(KeyDamage::TooLong { len: rest.len() });
    }
    Ok(values)
}

/// Decodes the values of these types that a key begins with, and gives what follows them.
pub(crate) fn decode_first(
    mut key: &[u8],
    types: impl IntoIterator<Item = KeyType>,
) -> Result<(Vec<OwnedKeyValue>, &[u8]), KeyDamage> {
    let mut values = Vec::new();
    for expected in types {
        let (value, rest) = decode(key)?;
        let found = value.borrow().key_type();
        if found != expected {
            return Err(KeyDamage::WrongType { expected, found });
        }
        values.push(value);
        key = rest;
    }
    Ok((values, key))
}

/// What follows the first value of a key, which is only looked at as far as its end must be found: the table's key behind
/// the attributes of an index entry is got so, without allocation.
///
/// # Errors
///
/// As far as they are seen, those of [`decode`].
pub fn skip(key: &[u8]) -> Result<&[u8], KeyDamage> {
    let (key_type, body) = split_tag(key)?;
    match key_type {
        KeyType::Number => number_key::skip(body),
        KeyType::Binary | KeyType::String => escape::skip(body),
    }
}

/// The tag of a type is DynamoDB's letter for it.
const fn tag(key_type: KeyType) -> u8 {
    key_type.letter().as_bytes()[0]
}

fn split_tag(key: &[u8]) -> Result<(KeyType, &[u8]), KeyDamage> {
    let (&first, body) = key.split_first().ok_or(KeyDamage::Short)?;
    let types = [KeyType::Binary, KeyType::Number, KeyType::String];
    let key_type = types.into_iter().find(|&key_type| tag(key_type) == first);
    Ok((key_type.ok_or(KeyDamage::Tag { tag: first })?, body))
}

fn encode_bytes(tag: u8, bytes: &[u8], key: &mut Vec<u8>) {
    key.reserve(bytes.len() + 3);
    key.push(tag);
    escape::escape_into(bytes, key);
    key.extend_from_slice(&escape::END);
}
