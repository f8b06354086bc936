//! Ranges of keys: a partition, and the part of it that a condition on the sort key asks for.
//!
//! Every range is from a key, included, to a byte string, excluded. None reaches out of the keys that begin with the
//! prefix: what lies behind them begins with the prefix and `FF`, which no key does, and what lies behind the values of
//! one type begins with the prefix and the type's tag plus one, which no key does either.

use std::ops::Bound;

use dynamite_txn::Range;

use super::{KeyValue, escape};

/// Behind the values that a key begins with this is greater than whatever may follow.
const BEHIND_ALL: u8 = 0xFF;

/// Encoded values that keys begin with: none, a partition key, or a partition key and sort attributes that are equal.
///
/// ```
/// use dynamite_core::key_codec::{KeyPrefix, KeyValue};
///
/// let key = |year: i32| KeyPrefix::new().with(KeyValue::S("alice")).with(KeyValue::N(year.into())).into_bytes();
/// let range = KeyPrefix::new().with(KeyValue::S("alice")).sort_ge(KeyValue::N(2025.into()));
/// assert!(range.contains(&key(2025)) && range.contains(&key(9999)));
/// assert!(!range.contains(&key(2024)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPrefix {
    bytes: Vec<u8>,
}

/// Keys from `start`, included, to `end`, excluded. `end` is not less than `start`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The least key that may be in it.
    pub start: Vec<u8>,
    /// What is greater than every key in it.
    pub end: Vec<u8>,
}

impl KeyPrefix {
    /// The beginning of every key.
    pub fn new() -> KeyPrefix {
        KeyPrefix::default()
    }

    /// What begins with these values, which are encoded already.
    pub(crate) fn of_encoded(values: Vec<u8>) -> KeyPrefix {
        KeyPrefix { bytes: values }
    }

    /// The prefix and one more value.
    #[must_use]
    pub fn with(mut self, value: KeyValue<'_>) -> KeyPrefix {
        value.encode_into(&mut self.bytes);
        self
    }

    /// The encoded values.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded values: if they are all that a key has, the key.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// All keys that begin with these values: a whole partition, if they are a partition key.
    pub fn all(&self) -> KeyRange {
        KeyRange { start: self.bytes.clone(), end: self.followed_by(&[BEHIND_ALL]) }
    }

    /// Those whose next value is this.
    pub fn sort_eq(&self, value: KeyValue<'_>) -> KeyRange {
        KeyRange { start: self.up_to(value), end: self.behind(value) }
    }

    /// Those whose next value is less.
    pub fn sort_lt(&self, value: KeyValue<'_>) -> KeyRange {
        KeyRange { start: self.first_of_type(value), end: self.up_to(value) }
    }

    /// Those whose next value is less or equal.
    pub fn sort_le(&self, value: KeyValue<'_>) -> KeyRange {
        KeyRange { start: self.first_of_type(value), end: self.behind(value) }
    }

    /// Those whose next value is greater.
    pub fn sort_gt(&self, value: KeyValue<'_>) -> KeyRange {
        KeyRange { start: self.behind(value), end: self.behind_type(value) }
    }

    /// Those whose next value is greater or equal.
    pub fn sort_ge(&self, value: KeyValue<'_>) -> KeyRange {
        KeyRange { start: self.up_to(value), end: self.behind_type(value) }
    }

    /// Those whose next value is one of these or lies between them. None, if `from` is greater than `to`.
    pub fn sort_between(&self, from: KeyValue<'_>, to: KeyValue<'_>) -> KeyRange {
        let start = self.up_to(from);
        let end = self.behind(to).max(start.clone());
        KeyRange { start, end }
    }

    /// Those whose next value is a string or binary that begins so. `None` for a number, which begins with nothing.
    pub fn sort_begins_with(&self, prefix: KeyValue<'_>) -> Option<KeyRange> {
        let bytes = match prefix {
            KeyValue::S(text) => text.as_bytes(),
            KeyValue::B(bytes) => bytes,
            KeyValue::N(_) => return None,
        };
        let mut start = self.first_of_type(prefix);
        escape::escape_into(bytes, &mut start);

        // The first string that does not begin so: the last byte that can be is made greater by one, and what is
        // behind it is cut off. At the latest that is the tag.
        let mut end = start.clone();
        while end.pop_if(|last| *last == u8::MAX).is_some() {}
        *end.last_mut().expect("no tag is FF") += 1;
        Some(KeyRange { start, end })
    }

    fn followed_by(&self, bytes: &[u8]) -> Vec<u8> {
        [&self.bytes, bytes].concat()
    }

    /// The first key with a value, and where it begins: behind all keys with a lesser value.
    fn up_to(&self, value: KeyValue<'_>) -> Vec<u8> {
        self.clone().with(value).into_bytes()
    }

    /// Behind all keys with a value, whatever follows it in them.
    fn behind(&self, value: KeyValue<'_>) -> Vec<u8> {
        let mut bytes = self.up_to(value);
        bytes.push(BEHIND_ALL);
        bytes
    }

    /// Before all values of a type.
    fn first_of_type(&self, value: KeyValue<'_>) -> Vec<u8> {
        self.followed_by(&[value.tag()])
    }

    /// Behind all values of a type.
    fn behind_type(&self, value: KeyValue<'_>) -> Vec<u8> {
        self.followed_by(&[value.tag() + 1])
    }
}

impl KeyRange {
    /// Whether a key is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && *key < *self.end
    }

    /// The range as a pair of bounds.
    pub fn into_bounds(self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        (Bound::Included(self.start), Bound::Excluded(self.end))
    }
}

impl From<KeyRange> for Range {
    /// The range in ascending order.
    fn from(range: KeyRange) -> Range {
        let (from, to) = range.into_bounds();
        Range { from, to, reverse: false }
    }
}
