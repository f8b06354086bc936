//! Items in their stored form, for those who pass them on: a server, say, whose clients decode them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser;
use serde::{Serialize, Serializer};

use crate::api::put::{Encode, IntoItem};
use crate::error::{Error, Result};
use crate::item_codec::{self, ItemDamage, ItemView};

/// An item in its [stored form](crate::item_codec). It can be put like any other item, and reads have methods that return
/// items so.
///
/// ```
/// use dynamite_core::api::EncodedItem;
/// # use dynamite_core::{api::DynaMite, types::KeyType};
/// # use serde_json::json;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let db = DynaMite::in_memory()?;
/// # db.create_table("users").partition_key("id", KeyType::String).execute()?;
/// let alice = EncodedItem::of(json!({"id": "alice", "age": 30}))?;
/// db.put_item("users", &alice)?;
/// let found = db.get_item("users").partition_key("alice").execute_encoded()?.unwrap();
/// assert_eq!(found, alice);
///
/// // Bytes from elsewhere are looked at first.
/// assert!(EncodedItem::new(found.as_bytes()).is_ok());
/// assert!(EncodedItem::new(&b"not an item"[..]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedItem<'a>(Cow<'a, [u8]>);

impl<'a> EncodedItem<'a> {
    /// Takes bytes from anywhere for an item: they are checked from the first to the last, the limits of items included.
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Result<EncodedItem<'a>, ItemDamage> {
        let bytes = bytes.into();
        item_codec::check(&bytes)?;
        Ok(EncodedItem(bytes))
    }

    /// Encodes an item.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] and [`Error::ItemTooLarge`] for what is no item.
    pub fn of(item: impl IntoItem) -> Result<EncodedItem<'static>> {
        item.encode().map(|bytes| EncodedItem(Cow::Owned(bytes)))
    }

    /// Encodes a value of one's own type.
    ///
    /// # Errors
    ///
    /// Those of [`of`](EncodedItem::of).
    pub fn of_type(item: &(impl Serialize + ?Sized)) -> Result<EncodedItem<'static>> {
        Ok(EncodedItem(Cow::Owned(item_codec::to_bytes(item).map_err(Error::from)?)))
    }

    /// To look at the attributes.
    ///
    /// # Errors
    ///
    /// [`ItemDamage`], which can only be met in what was read from a damaged file.
    pub fn view(&self) -> Result<ItemView<'_>, ItemDamage> {
        ItemView::new(&self.0)
    }

    /// Appends the item's [DynamoDB JSON](crate::dynamodb_json), without spaces: what `serde_json` makes of it, faster.
    ///
    /// # Errors
    ///
    /// [`ItemDamage`], as of [`view`](EncodedItem::view). What was appended until then stays.
    pub fn write_dynamodb_json(&self, json: &mut Vec<u8>) -> Result<(), ItemDamage> {
        item_codec::write_dynamodb_json(self.view()?, json)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, of bytes that are its own.
    pub fn into_owned(self) -> EncodedItem<'static> {
        EncodedItem(Cow::Owned(self.0.into_owned()))
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_owned()
    }

    /// What was read from a table.
    pub(crate) fn stored(bytes: Vec<u8>) -> EncodedItem<'static> {
        EncodedItem(Cow::Owned(bytes))
    }
}

/// As bytes; in formats for humans as [DynamoDB JSON](crate::dynamodb_json).
impl Serialize for EncodedItem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => self.view().map_err(ser::Error::custom)?.serialize(serializer),
            false => serializer.serialize_bytes(&self.0),
        }
    }
}

/// From bytes, which are checked; in formats for humans from [DynamoDB JSON](crate::dynamodb_json).
impl<'de: 'a, 'a> Deserialize<'de> for EncodedItem<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EncodedItem<'a>, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = EncodedItem<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of an encoded item")
            }

            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                EncodedItem::new(bytes).map_err(E::custom)
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                self.visit_byte_buf(bytes.to_vec())
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
                EncodedItem::new(bytes).map_err(E::custom)
            }
        }

        if deserializer.is_human_readable() {
            return item_codec::encode_dynamodb_json(deserializer).map(EncodedItem::stored);
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl IntoItem for EncodedItem<'_> {}

impl Encode for EncodedItem<'_> {
    fn encode(&self) -> Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }
}
