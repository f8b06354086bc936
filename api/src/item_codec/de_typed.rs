//! Values whose types `serde` does not know: how they reach those who do, and what becomes of them elsewhere.

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::DecodeError;
use super::de::ValueDeserializer;
use super::layout;
use crate::number::Number;
use crate::typed;
use crate::value::AttributeType;

/// Gives a value as a variant that is named after its type, to an `AttributeValue`, see [`typed`].
pub(super) struct TypedAccess<'de>(pub(super) ValueDeserializer<'de>);

impl TypedAccess<'_> {
    fn attribute_type(&self) -> AttributeType {
        layout::attribute_type(self.0.value.tag).expect("a cursor lets no other tags pass")
    }
}

impl<'de> de::EnumAccess<'de> for TypedAccess<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = BorrowedStrDeserializer::<DecodeError>::new(self.attribute_type().as_str());
        let variant = seed.deserialize(name)?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for TypedAccess<'de> {
    type Error = DecodeError;

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        match self.attribute_type() {
            // DynamoDB writes null as `{"NULL": true}`.
            AttributeType::Null => seed.deserialize(true.into_deserializer()),
            _ => seed.deserialize(self.0),
        }
    }

    fn unit_variant(self) -> Result<(), DecodeError> {
        Err(no_newtype())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, DecodeError> {
        Err(no_newtype())
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, DecodeError> {
        Err(no_newtype())
    }
}

fn no_newtype() -> DecodeError {
    de::Error::custom(format_args!("only an attribute value may call itself {}", typed::VALUE))
}

/// A binary for types that know nothing of bytes, such as `Vec<u8>`.
pub(super) fn visit_bytes_as_sequence<'de, V: Visitor<'de>>(
    bytes: &'de [u8],
    visitor: V,
) -> Result<V::Value, DecodeError> {
    let mut sequence = SeqDeserializer::<_, DecodeError>::new(bytes.iter().copied());
    let result = visitor.visit_seq(&mut sequence)?;
    sequence.end()?;
    Ok(result)
}

/// The nearest `f32`.
pub(super) fn f32_of(number: &Number) -> f32 {
    let double = number.to_f64();
    // Rounding twice goes wrong only if the first step lands halfway between two `f32`s, which is where the 29 bits
    // that an `f32` has less are 1 and zeros; below the normal `f32`s the steps are wider.
    let halfway = double.to_bits() & ((1 << 29) - 1) == 1 << 28;
    if halfway || double.abs() < f64::from(f32::MIN_POSITIVE) {
        let text = format!("{}e{}", number.coefficient(), number.exponent());
        let magnitude: f32 = text.parse().expect("digits and an exponent are a float");
        return if number.is_negative() { -magnitude } else { magnitude };
    }
    double as f32
}
