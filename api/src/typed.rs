//! How attribute values, numbers and binaries keep their types on their way through `serde`.
//!
//! `serde` has no decimals and no sets. So the types of the data model announce themselves as newtypes with names of
//! their own, as `serde_json`'s raw values do. Our serializer and deserializer know the names; every other format
//! passes them over, and sees what is inside: [DynamoDB JSON](crate::dynamodb_json), or a plain number.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::number::{Number, NumberError};

/// What all the names begin with.
pub(crate) const PREFIX: &str = "$dynamite::private::";

/// An attribute value. Inside: a variant named after the type, whose content follows.
pub(crate) const VALUE: &str = "$dynamite::private::AttributeValue";

/// A number. Inside: an integer, a double, or decimal text.
pub(crate) const NUMBER: &str = "$dynamite::private::Number";

/// A binary. Inside: bytes, or in formats for humans base64.
pub(crate) const BINARY: &str = "$dynamite::private::Binary";

/// A number of `serde_json`, where some crate of the program has switched `arbitrary_precision` on. Inside: a struct with
/// one field, its text.
pub(crate) const JSON_NUMBER: &str = "$serde_json::private::Number";

/// A set of strings, whose members come in order.
pub(crate) const STRING_SET: &str = "$dynamite::private::StringSet";

/// A set of numbers, whose members come in order.
pub(crate) const NUMBER_SET: &str = "$dynamite::private::NumberSet";

/// A set of binaries, whose members come in order.
pub(crate) const BINARY_SET: &str = "$dynamite::private::BinarySet";

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Plain<'a>(&'a Number);

        impl Serialize for Plain<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let number = self.0;
                if !serializer.is_human_readable() {
                    return serializer.collect_str(number);
                }
                match (number.to_u64(), number.to_i64(), number.to_f64_exact()) {
                    (Some(value), _, _) => serializer.serialize_u64(value),
                    (_, Some(value), _) => serializer.serialize_i64(value),
                    (_, _, Some(value)) => serializer.serialize_f64(value),
                    _ => serializer.collect_str(number),
                }
            }
        }

        serializer.serialize_newtype_struct(NUMBER, &Plain(self))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NUMBER, NumberVisitor { text_only: false })
    }
}

/// A number that is decimal text in every format but our own.
pub(crate) struct DecimalText(pub(crate) Number);

impl Serialize for DecimalText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Text<'a>(&'a Number);

        impl Serialize for Text<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self.0)
            }
        }

        serializer.serialize_newtype_struct(NUMBER, &Text(&self.0))
    }
}

impl<'de> Deserialize<'de> for DecimalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = NumberVisitor { text_only: true };
        deserializer.deserialize_newtype_struct(NUMBER, visitor).map(DecimalText)
    }
}

struct NumberVisitor {
    text_only: bool,
}

macro_rules! visit_number {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<Number, E> {
            Number::try_from(value).map_err(E::custom)
        }
    )*};
}

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text_only { "a decimal number in a string" } else { "a number" })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Number, D::Error> {
        if self.text_only || !deserializer.is_human_readable() {
            deserializer.deserialize_str(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }

    visit_number! { visit_u64(u64) visit_i64(i64) visit_u128(u128) visit_i128(i128) visit_f64(f64) visit_f32(f32) }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        text.parse().map_err(|error: NumberError| E::custom(error))
    }
}

/// Bytes that are base64 in formats for humans, and bytes elsewhere.
pub(crate) struct Bytes<T>(pub(crate) T);

impl<T: AsRef<[u8]>> Serialize for Bytes<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Shape<'a>(&'a [u8]);

        impl Serialize for Shape<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(&STANDARD.encode(self.0))
                } else {
                    serializer.serialize_bytes(self.0)
                }
            }
        }

        serializer.serialize_newtype_struct(BINARY, &Shape(self.0.as_ref()))
    }
}

impl<'de> Deserialize<'de> for Bytes<Vec<u8>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes in base64")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Vec<u8>, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(self)
                } else {
                    deserializer.deserialize_byte_buf(self)
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
                STANDARD.decode(text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }

        deserializer.deserialize_newtype_struct(BINARY, BytesVisitor).map(Bytes)
    }
}

/// A set by the name of its type. The members come in order; the function gives them anew each time.
pub(crate) struct TypedSet<F>(pub(crate) &'static str, pub(crate) F);

impl<F, I> Serialize for TypedSet<F>
where
    F: Fn() -> I,
    I: IntoIterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Sequence<'a, F>(&'a F);

        impl<F, I> Serialize for Sequence<'_, F>
        where
            F: Fn() -> I,
            I: IntoIterator<Item: Serialize>,
        {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0())
            }
        }

        serializer.serialize_newtype_struct(self.0, &Sequence(&self.1))
    }
}
