//! Looks into an encoded item without decoding it.
//!
//! A view checks what it passes as far as it has to in order to pass it. What it hands out is checked when it is handed
//! out; what it skips is not. Nothing here allocates but `to_value`, `to_item` and `to_json`.

use serde::Deserialize;
use serde_json::Value;

use super::check::Measure;
use super::cursor::{Cursor, Encoded};
use super::layout::{self, tag};
use super::{DecodeError, ItemDamage, de, json, model};
use crate::number::Number;
use crate::value::{AttributeType, AttributeValue, Item};

/// An encoded item.
///
/// ```
/// use dynamite_core::item_codec::{ItemView, encode_json};
/// use serde_json::json;
///
/// let bytes = encode_json(&json!({"id": "alice", "tags": ["a", "b"], "address": {"city": "Bern"}}))?;
/// let item = ItemView::new(&bytes)?;
/// let city = item.get("address")?.and_then(|address| address.get("city").transpose()).transpose()?;
/// assert_eq!(city.unwrap().as_str()?, Some("Bern"));
/// assert!(item.get("street")?.is_none());
/// let tag = item.get("tags")?.unwrap().get_index(1)?.unwrap();
/// assert_eq!(tag.as_str()?, Some("b"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ItemView<'a>(Encoded<'a>);

/// A value in an encoded item. Two are equal if the values are, and both are sound.
#[derive(Clone, Copy, Debug)]
pub struct ValueView<'a>(Encoded<'a>);

impl<'a> ItemView<'a> {
    /// A view of an encoded item, of which only the version is checked here.
    ///
    /// # Errors
    ///
    /// [`ItemDamage::UnknownVersion`], or [`ItemDamage::Truncated`] if there is no byte at all.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, ItemDamage> {
        Encoded::item(bytes).map(ItemView)
    }

    /// The value of an attribute, or `None` if the item does not have it.
    ///
    /// Cost: a step for each attribute up to it, in the order of the names.
    ///
    /// # Errors
    ///
    /// [`ItemDamage`] on the way there.
    #[inline]
    pub fn get(&self, name: &str) -> Result<Option<ValueView<'a>>, ItemDamage> {
        find(self.0.contents(), name)
    }

    /// The attributes, in the order of their names.
    pub fn iter(&self) -> Entries<'a> {
        Entries::of(&self.0)
    }

    /// The item, decoded and checked.
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn to_item(&self) -> Result<Item, ItemDamage> {
        model::read_map(&self.0, 0)
    }

    /// The JSON object of the item, by the rules of [`crate::json`].
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn to_json(&self) -> Result<Value, ItemDamage> {
        json::read(&self.0, 0)
    }

    /// The item as a value of a user's type, see [`from_bytes`](super::from_bytes).
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn deserialize<T: Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        de::from_encoded(self.0, 0)
    }

    pub(super) fn encoded(&self) -> &Encoded<'a> {
        &self.0
    }

    /// The item as a value: a map.
    pub fn as_value(&self) -> ValueView<'a> {
        ValueView(self.0)
    }
}

impl<'a> IntoIterator for ItemView<'a> {
    type Item = Result<(&'a str, ValueView<'a>), ItemDamage>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

impl<'a> ValueView<'a> {
    /// The type.
    pub fn attribute_type(&self) -> AttributeType {
        layout::attribute_type(self.0.tag).expect("a cursor lets no other tags pass")
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        self.0.tag == tag::NULL
    }

    /// True or false, if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.0.tag {
            tag::TRUE => Some(true),
            tag::FALSE => Some(false),
            _ => None,
        }
    }

    /// The string, if this is one.
    ///
    /// # Errors
    ///
    /// [`ItemDamage::NotUtf8`].
    #[inline]
    pub fn as_str(&self) -> Result<Option<&'a str>, ItemDamage> {
        if self.0.tag == tag::S { self.0.text().map(Some) } else { Ok(None) }
    }

    /// The number, if this is one.
    ///
    /// # Errors
    ///
    /// [`ItemDamage::Number`].
    #[inline]
    pub fn as_number(&self) -> Result<Option<Number>, ItemDamage> {
        if self.0.tag == tag::N { self.0.number().map(Some) } else { Ok(None) }
    }

    /// The bytes, if this is a binary.
    #[inline]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        (self.0.tag == tag::B).then_some(self.0.body)
    }

    /// The value of an entry, if this is a map and has it.
    ///
    /// # Errors
    ///
    /// [`ItemDamage`] on the way there.
    #[inline]
    pub fn get(&self, name: &str) -> Result<Option<ValueView<'a>>, ItemDamage> {
        if self.0.tag == tag::M { find(self.0.contents(), name) } else { Ok(None) }
    }

    /// The element at an index counted from 0, if this is a list and has it.
    ///
    /// Cost: a step for each element up to it.
    ///
    /// # Errors
    ///
    /// [`ItemDamage`] on the way there.
    pub fn get_index(&self, index: usize) -> Result<Option<ValueView<'a>>, ItemDamage> {
        if self.0.tag == tag::L { self.elements().nth(index).transpose() } else { Ok(None) }
    }

    /// The entries of a map, in the order of their names. Of another value: none.
    pub fn entries(&self) -> Entries<'a> {
        Entries::of(&self.0)
    }

    /// The elements of a list, or the members of a set in order, which are strings, numbers or binaries. Of another
    /// value: none.
    pub fn elements(&self) -> Elements<'a> {
        let set = match self.0.tag {
            tag::L => None,
            tag @ (tag::SS | tag::NS | tag::BS) => Some(tag),
            _ => return Elements { cursor: Cursor::new(&[], 0), set: None },
        };
        Elements { cursor: self.0.contents(), set }
    }

    /// Checks the value from the first byte to the last, and returns its size as DynamoDB counts it.
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn check(&self) -> Result<usize, ItemDamage> {
        self.measure().map(|measure| measure.size)
    }

    pub(super) fn measure(&self) -> Result<Measure, ItemDamage> {
        let mut measure = Measure::default();
        measure.value(&self.0, 1)?;
        Ok(measure)
    }

    pub(super) fn of(encoded: Encoded<'a>) -> Self {
        ValueView(encoded)
    }

    pub(super) fn encoded(&self) -> &Encoded<'a> {
        &self.0
    }

    /// The value, decoded and checked.
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn to_value(&self) -> Result<AttributeValue, ItemDamage> {
        model::read(&self.0, 1)
    }

    /// The value as JSON, by the rules of [`crate::json`].
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn to_json(&self) -> Result<Value, ItemDamage> {
        json::read(&self.0, 1)
    }

    /// The value as one of a user's type, see [`from_bytes`](super::from_bytes).
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn deserialize<T: Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        de::from_encoded(self.0, 1)
    }
}

/// Equal values have equal bytes.
impl PartialEq for ValueView<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.0.tag, self.0.body) == (other.0.tag, other.0.body)
    }
}

impl Eq for ValueView<'_> {}

/// The entries of a map or item. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    cursor: Cursor<'a>,
    before: &'a [u8],
}

impl<'a> Entries<'a> {
    fn of(map: &Encoded<'a>) -> Self {
        let cursor = if map.tag == tag::M { map.contents() } else { Cursor::new(&[], 0) };
        Entries { cursor, before: &[] }
    }

    fn step(&mut self) -> Result<(&'a str, ValueView<'a>), ItemDamage> {
        let name = self.cursor.name(&mut self.before)?;
        let value = self.cursor.value().ok_or_else(|| self.cursor.value_damage())?;
        Ok((name, ValueView(value)))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a str, ValueView<'a>), ItemDamage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        Some(self.step().inspect_err(|_| self.cursor = Cursor::new(&[], 0)))
    }
}

/// The elements of a list or members of a set. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
    set: Option<u8>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<ValueView<'a>, ItemDamage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let element = match self.set {
            None => self.cursor.value().ok_or_else(|| self.cursor.value_damage()),
            Some(set) => self.cursor.member(set),
        };
        Some(element.map(ValueView).inspect_err(|_| self.cursor = Cursor::new(&[], 0)))
    }
}

#[inline]
fn find<'a>(mut entries: Cursor<'a>, name: &str) -> Result<Option<ValueView<'a>>, ItemDamage> {
    let name = name.as_bytes();
    while !entries.is_empty() {
        let found = entries.name_bytes()?;
        let Some(value) = entries.value() else {
            return Err(entries.value_damage());
        };
        if found == name {
            return Ok(Some(ValueView(value)));
        }
        // Names ascend, so that what is above the one looked for ends the search. One byte tells it most of the time.
        if found[0] > name.first().copied().unwrap_or(0) {
            return Ok(None);
        }
    }
    Ok(None)
}
