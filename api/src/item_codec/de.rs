//! Values of users' types straight from the stored form.

use serde::Deserialize;
use serde::de::value::BorrowedBytesDeserializer;
use serde::de::{self, DeserializeSeed, Unexpected, Visitor};
use thiserror::Error;

use super::ItemDamage;
use super::check::check_level;
use super::cursor::{Cursor, Encoded};
use super::de_key::KeyDeserializer;
use super::de_typed::{TypedAccess, f32_of, visit_bytes_as_sequence};
use super::layout::tag;
use super::text_window::TextWindow;
use crate::number::Number;
use crate::typed;

/// The value of a user's type that the stored form of an item means.
///
/// It is what `serde_json` would read from the item's JSON, and beyond that a binary is bytes (as of the crate
/// `serde_bytes`) or a sequence of `u8`, a set is a sequence of its members, `i128` and `u128` are exact,
/// [`AttributeValue`](crate::AttributeValue) and [`Number`] keep their types, and `&str` and `&[u8]` are borrowed from the
/// bytes. An integer can be read from any number that is one, `1.0` included; a double is the nearest one.
///
/// What a type does not ask for is skipped, unchecked. `serde` takes the types of fields that are flattened or of untagged
/// enums from the data: an `AttributeValue` cannot be read there; a number becomes an integer or a double, a set a
/// sequence.
///
/// ```
/// use dynamite_core::item_codec::{encode_json, from_bytes};
/// use serde::Deserialize;
/// use serde_json::json;
///
/// #[derive(Deserialize)]
/// struct User<'a> {
///     user_id: &'a str,
///     #[serde(default)]
///     tags: Vec<&'a str>,
/// }
///
/// let bytes = encode_json(&json!({"user_id": "alice", "age": 30, "tags": {"$ss": ["a", "b"]}}))?;
/// let user: User = from_bytes(&bytes)?;
/// assert_eq!((user.user_id, user.tags), ("alice", vec!["a", "b"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`DecodeError::Damage`] if the bytes are no item, [`DecodeError::Mismatch`] if it is not one of that type.
pub fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    from_encoded(Encoded::item(bytes)?, 0)
}

pub(super) fn from_encoded<'de, T: Deserialize<'de>>(
    value: Encoded<'de>,
    level: u32,
) -> Result<T, DecodeError> {
    T::deserialize(ValueDeserializer { value, level, window: TextWindow::NONE })
}

/// Why the stored form of an item did not become a value of a user's type.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum DecodeError {
    /// The bytes are not an item that this program wrote.
    #[error(transparent)]
    Damage(#[from] ItemDamage),

    /// The item is not of that type, with what the type's `Deserialize` said.
    #[error("{0}")]
    Mismatch(String),
}

impl de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        DecodeError::Mismatch(message.to_string())
    }
}

/// Reads one value.
pub(super) struct ValueDeserializer<'de> {
    pub(super) value: Encoded<'de>,
    pub(super) level: u32,
    /// What is known to be text of the map or list that the value is in.
    pub(super) window: TextWindow<'de>,
}

impl<'de> ValueDeserializer<'de> {
    #[inline]
    fn text(&self) -> Result<&'de str, ItemDamage> {
        self.window.text(self.value.body, self.value.end)
    }

    /// The window for what is in the value.
    #[inline]
    fn inner_window(&self) -> TextWindow<'de> {
        TextWindow::within(&self.value, self.level, self.window)
    }

    fn unexpected(&self) -> Unexpected<'de> {
        match self.value.tag {
            tag::S => self.text().map_or(Unexpected::Str("?"), Unexpected::Str),
            tag::N => match self.value.number() {
                Ok(number) => match (number.to_u64(), number.to_i64()) {
                    (Some(value), _) => Unexpected::Unsigned(value),
                    (_, Some(value)) => Unexpected::Signed(value),
                    _ => Unexpected::Float(number.to_f64()),
                },
                Err(_) => Unexpected::Other("number"),
            },
            tag::B => Unexpected::Bytes(self.value.body),
            tag::M => Unexpected::Map,
            tag::NULL => Unexpected::Unit,
            tag::TRUE => Unexpected::Bool(true),
            tag::FALSE => Unexpected::Bool(false),
            _ => Unexpected::Seq,
        }
    }

    #[cold]
    fn mismatch(&self, expected: &dyn de::Expected) -> DecodeError {
        de::Error::invalid_type(self.unexpected(), expected)
    }

    /// Refuses a value that is nested too deep.
    #[inline]
    fn checked(self) -> Result<Self, ItemDamage> {
        check_level(&self.value, self.level)?;
        Ok(self)
    }

    /// The number, or an error if it is none.
    #[inline]
    fn number<V: Visitor<'de>>(&self, visitor: &V) -> Result<Number, DecodeError> {
        if self.value.tag == tag::N { Ok(self.value.number()?) } else { Err(self.mismatch(visitor)) }
    }

    #[inline]
    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self.number(&visitor)?;
        if let Some(value) = number.to_u64() {
            return visitor.visit_u64(value);
        }
        match number.to_i64() {
            Some(value) => visitor.visit_i64(value),
            None => Err(self.mismatch(&visitor)),
        }
    }

    fn wide_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self.number(&visitor)?;
        if number.to_u64().is_some() || number.to_i64().is_some() {
            return self.integer(visitor);
        }
        let magnitude = u32::try_from(number.exponent())
            .ok()
            .and_then(|exponent| 10u128.checked_pow(exponent))
            .and_then(|power| number.coefficient().checked_mul(power));
        match magnitude {
            Some(magnitude) if !number.is_negative() => visitor.visit_u128(magnitude),
            // 38 digits and the zeros behind them may reach beyond the least `i128`.
            Some(magnitude) if magnitude <= i128::MIN.unsigned_abs() => {
                visitor.visit_i128(0i128.wrapping_sub_unsigned(magnitude))
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn sequence<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let set = match self.value.tag {
            tag::L => None,
            tag @ (tag::SS | tag::NS | tag::BS) => Some(tag),
            tag::B => return visit_bytes_as_sequence(self.value.body, visitor),
            _ => return Err(self.mismatch(&visitor)),
        };
        let (cursor, level, window) = (self.value.contents(), self.level + 1, self.inner_window());
        let mut access = SeqAccess { cursor, set, level, window, read: 0 };
        let result = visitor.visit_seq(&mut access)?;
        match access.cursor.is_empty() {
            true => Ok(result),
            false => {
                Err(de::Error::invalid_length(access.read + access.rest(), &"fewer elements in the sequence"))
            }
        }
    }

    #[inline]
    fn map<V: Visitor<'de>>(self, fields: bool, visitor: V) -> Result<V::Value, DecodeError> {
        if self.value.tag != tag::M {
            return Err(self.mismatch(&visitor));
        }
        let (cursor, level, window) = (self.value.contents(), self.level + 1, self.inner_window());
        let mut access = MapAccess { cursor, before: &[], level, window, fields, value: None };
        let result = visitor.visit_map(&mut access)?;
        match access.cursor.is_empty() {
            true => Ok(result),
            false => Err(de::Error::custom("the map has more entries than were asked for")),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.integer(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value.tag {
            tag::S => visitor.visit_borrowed_str(self.text()?),
            tag::N => {
                let number = self.value.number()?;
                match (number.to_u64(), number.to_i64()) {
                    (Some(value), _) => visitor.visit_u64(value),
                    (_, Some(value)) => visitor.visit_i64(value),
                    _ => visitor.visit_f64(number.to_f64()),
                }
            }
            tag::B => visitor.visit_borrowed_bytes(self.value.body),
            tag::M => self.map(false, visitor),
            tag::NULL => visitor.visit_unit(),
            tag::TRUE => visitor.visit_bool(true),
            tag::FALSE => visitor.visit_bool(false),
            _ => self.sequence(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value.tag {
            tag::TRUE => visitor.visit_bool(true),
            tag::FALSE => visitor.visit_bool(false),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.wide_integer(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.wide_integer(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self.number(&visitor)?;
        visitor.visit_f32(f32_of(&number))
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self.number(&visitor)?;
        visitor.visit_f64(number.to_f64())
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value.tag {
            tag::S => visitor.visit_borrowed_str(self.text()?),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value.tag {
            // As `serde_json` does: a type that takes bytes may take text for them, or a list of integers.
            tag::B | tag::S => visitor.visit_borrowed_bytes(self.value.body),
            _ => self.sequence(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value.tag {
            tag::NULL => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value.tag {
            tag::NULL => visitor.visit_unit(),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match name {
            typed::VALUE => visitor.visit_enum(TypedAccess(self)),
            typed::NUMBER => {
                let number = self.number(&visitor)?;
                match (number.to_u64(), number.to_i64()) {
                    (Some(value), _) => visitor.visit_u64(value),
                    (_, Some(value)) => visitor.visit_i64(value),
                    _ => visitor.visit_string(number.to_string()),
                }
            }
            typed::BINARY if self.value.tag == tag::B => visitor.visit_borrowed_bytes(self.value.body),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.sequence(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.map(false, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.value.tag {
            tag::L => self.sequence(visitor),
            _ => self.map(true, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let (variant, content) = match self.value.tag {
            tag::S => (self.text()?, None),
            tag::M => {
                let mut cursor = self.value.contents();
                if cursor.is_empty() {
                    return Err(de::Error::invalid_length(0, &"a map with one entry"));
                }
                let name = cursor.name(&mut &[][..])?;
                let value = cursor.value().ok_or_else(|| cursor.value_damage())?;
                if !cursor.is_empty() {
                    return Err(de::Error::custom(
                        "a variant is a map with one entry, and this one has more",
                    ));
                }
                let (level, window) = (self.level + 1, self.window);
                (name, Some(ValueDeserializer { value, level, window }.checked()?))
            }
            _ => return Err(self.mismatch(&"a string or a map")),
        };
        visitor.visit_enum(EnumAccess { variant, content })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}

/// Gives the entries of a map.
struct MapAccess<'de> {
    cursor: Cursor<'de>,
    before: &'de [u8],
    level: u32,
    window: TextWindow<'de>,
    /// Whether the keys are names of fields, which their type knows: it compares bytes, so they need not be checked
    /// to be text.
    fields: bool,
    value: Option<Encoded<'de>>,
}

impl MapAccess<'_> {
    #[inline]
    fn take_value(&mut self) -> Result<(), ItemDamage> {
        self.value = self.cursor.value();
        if self.value.is_some() { Ok(()) } else { Err(self.cursor.value_damage()) }
    }
}

impl<'de> de::MapAccess<'de> for MapAccess<'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        if self.fields {
            let Some(name) = self.cursor.ascending_name_bytes(&mut self.before) else {
                return Err(self.cursor.ascending_name_damage(self.before).into());
            };
            self.take_value()?;
            return seed.deserialize(BorrowedBytesDeserializer::new(name)).map(Some);
        }
        let name = self.cursor.name_within(&mut self.before, self.window)?;
        self.take_value()?;
        seed.deserialize(KeyDeserializer { name }).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some(value) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let (level, window) = (self.level, self.window);
        seed.deserialize(ValueDeserializer { value, level, window }.checked()?)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.cursor.count_entries().ok()
    }
}

/// Gives the elements of a list, or the members of a set.
struct SeqAccess<'de> {
    cursor: Cursor<'de>,
    /// The tag, if it is a set.
    set: Option<u8>,
    level: u32,
    window: TextWindow<'de>,
    read: usize,
}

impl<'de> SeqAccess<'de> {
    #[inline]
    fn step(&mut self) -> Result<Encoded<'de>, ItemDamage> {
        self.read += 1;
        match self.set {
            None => self.cursor.value().ok_or_else(|| self.cursor.value_damage()),
            Some(set) => self.cursor.member(set),
        }
    }

    /// How many elements were not asked for yet.
    #[inline]
    fn rest(&self) -> usize {
        let mut cursor = self.cursor;
        let mut rest = 0;
        while !cursor.is_empty() {
            let sound = match self.set {
                None => cursor.value().is_some(),
                Some(set) => cursor.member(set).is_ok(),
            };
            if !sound {
                break;
            }
            rest += 1;
        }
        rest
    }
}

impl<'de> de::SeqAccess<'de> for SeqAccess<'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let value = self.step()?;
        // What is in a set is on the level of the set.
        let level = self.level - u32::from(self.set.is_some());
        let window = self.window;
        seed.deserialize(ValueDeserializer { value, level, window }.checked()?).map(Some)
    }

    /// Counting takes less time than a vector that grows does, even one of few elements.
    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.rest())
    }
}

/// Gives a variant: its name and, unless the name stands alone, its content.
struct EnumAccess<'de> {
    variant: &'de str,
    content: Option<ValueDeserializer<'de>>,
}

impl<'de> de::EnumAccess<'de> for EnumAccess<'de> {
    type Error = DecodeError;
    type Variant = VariantAccess<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, VariantAccess<'de>), DecodeError> {
        let variant = seed.deserialize(KeyDeserializer { name: self.variant })?;
        Ok((variant, VariantAccess(self.content)))
    }
}

struct VariantAccess<'de>(Option<ValueDeserializer<'de>>);

impl<'de> VariantAccess<'de> {
    fn content(self, expected: &dyn de::Expected) -> Result<ValueDeserializer<'de>, DecodeError> {
        self.0.ok_or_else(|| de::Error::invalid_type(Unexpected::UnitVariant, expected))
    }
}

impl<'de> de::VariantAccess<'de> for VariantAccess<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.0 {
            None => Ok(()),
            Some(content) => Deserialize::deserialize(content),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.content(&"newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.content(&"tuple variant")?.sequence(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let content = self.content(&"struct variant")?;
        de::Deserializer::deserialize_struct(content, "", fields, visitor)
    }
}
