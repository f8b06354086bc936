//! Texts, bytes and values that are borrowed from the frame in which they arrived, or owned by who is about to send them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use dynamite_core::item_codec::{self, ItemDamage, ItemView, ValueView};
use dynamite_core::limits::ValueError;
use dynamite_core::{AttributeValue, Item};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(Cow<'a, str>);

/// Bytes of which nothing was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bytes<'a>(Cow<'a, [u8]>);

/// An attribute value by itself: an item whose only attribute it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WireValue<'a>(Bytes<'a>);

/// The name of that attribute.
const VALUE: &str = "v";

macro_rules! borrowed {
    ($name:ident, $target:ty, $owned:ty, $serialize:ident, $deserialize:ident, $visit_borrowed:ident, $visit:ident) => {
        impl Deref for $name<'_> {
            type Target = $target;

            fn deref(&self) -> &$target {
                &self.0
            }
        }

        impl<'a> From<&'a $target> for $name<'a> {
            fn from(borrowed: &'a $target) -> Self {
                $name(Cow::Borrowed(borrowed))
            }
        }

        impl From<$owned> for $name<'_> {
            fn from(owned: $owned) -> Self {
                $name(Cow::Owned(owned))
            }
        }

        impl Serialize for $name<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.$serialize(&self.0)
            }
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Borrowing;

                impl<'de> Visitor<'de> for Borrowing {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(stringify!($name))
                    }

                    fn $visit_borrowed<E: de::Error>(self, borrowed: &'de $target) -> Result<Self::Value, E> {
                        Ok(borrowed.into())
                    }

                    fn $visit<E: de::Error>(self, borrowed: &$target) -> Result<Self::Value, E> {
                        Ok(borrowed.to_owned().into())
                    }
                }

                deserializer.$deserialize(Borrowing)
            }
        }
    };
}

borrowed!(Text, str, String, serialize_str, deserialize_str, visit_borrowed_str, visit_str);
borrowed!(Bytes, [u8], Vec<u8>, serialize_bytes, deserialize_bytes, visit_borrowed_bytes, visit_bytes);

impl From<&String> for Text<'_> {
    fn from(text: &String) -> Self {
        text.clone().into()
    }
}

impl Serialize for WireValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The value is checked where it arrives, so that whoever has one may look at it.
impl<'de: 'a, 'a> Deserialize<'de> for WireValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Bytes::deserialize(deserializer)?;
        check_single(&bytes).map_err(de::Error::custom)?;
        Ok(WireValue(bytes))
    }
}

fn check_single(bytes: &[u8]) -> Result<(), String> {
    item_codec::check(bytes).map_err(|damage| damage.to_string())?;
    let mut entries = ItemView::new(bytes).map_err(|damage| damage.to_string())?.iter();
    match (entries.next(), entries.next()) {
        (Some(Ok((VALUE, _))), None) => Ok(()),
        _ => Err("a value is to be the only attribute of its item".to_owned()),
    }
}

impl WireValue<'_> {
    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// What no item can hold.
    pub(crate) fn of(value: AttributeValue) -> Result<WireValue<'static>, ValueError> {
        Ok(WireValue(item_codec::encode(&Item::from([(VALUE.to_owned(), value)]))?.into()))
    }

    /// Its bytes: those of equal values are equal.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value, where it stands.
    pub(crate) fn view(&self) -> Result<ValueView<'_>, ItemDamage> {
        Ok(ItemView::new(&self.0)?.get(VALUE)?.expect("it was checked, or encoded here"))
    }

    /// The value.
    pub(crate) fn value(&self) -> Result<AttributeValue, ItemDamage> {
        self.view()?.to_value()
    }
}

#[cfg(test)]
mod tests {
    use dynamite_core::item_codec::encode_json;
    use serde_json::json;

    use super::*;
    use crate::frame::FrameError;
    use crate::protocol::{decode, encode};

    #[test]
    fn a_value_arrives_as_it_was_sent() {
        let value = AttributeValue::L(vec!["a".into(), 7.into(), AttributeValue::Null]);
        let mut bytes = Vec::new();
        encode(&WireValue::of(value.clone()).unwrap(), &mut bytes).unwrap();
        assert_eq!(bytes, *b"\x0a\x01\x01v\x76\x31a\x42\0\x07\0", "the documented bytes");
        assert_eq!(decode::<WireValue<'_>>(&bytes).unwrap().value().unwrap(), value);
    }

    #[track_caller]
    fn check_refused(item: &[u8]) {
        let mut bytes = Vec::new();
        encode(&Bytes::from(item), &mut bytes).unwrap();
        assert!(matches!(decode::<WireValue<'_>>(&bytes), Err(FrameError::Body(_))));
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        check_refused(b"");
        check_refused(b"\x01");
        check_refused(b"\x02\x01v\x00");
        check_refused(&encode_json(&json!({"v": 1, "w": 2})).unwrap());
        check_refused(&encode_json(&json!({"w": 1})).unwrap());
        // Too deep for anybody who would follow it.
        check_refused(&[&b"\x01\x01v"[..], &[0x7B; 64]].concat());
    }
}
