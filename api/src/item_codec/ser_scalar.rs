//! Values that must be single ones: keys of maps, members of sets, and what is inside a typed number or binary.

use serde::ser::{self, Impossible, Serialize};

use crate::limits::ValueError;
use crate::number::Number;

/// A single value, as it came.
pub(super) enum Scalar<'a> {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F32(f32),
    F64(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    /// Something else.
    Other,
}

impl Scalar<'_> {
    /// The number that it is, or is the text of.
    pub(super) fn to_number(&self) -> Result<Number, ValueError> {
        Ok(match *self {
            Scalar::I64(value) => value.into(),
            Scalar::U64(value) => value.into(),
            Scalar::I128(value) => value.try_into()?,
            Scalar::U128(value) => value.try_into()?,
            Scalar::F32(value) => value.try_into()?,
            Scalar::F64(value) => value.try_into()?,
            Scalar::Str(text) => text.parse()?,
            _ => return Err(ser::Error::custom("a number was expected")),
        })
    }

    /// The bytes that it is.
    pub(super) fn to_bytes(&self) -> Result<&[u8], ValueError> {
        match self {
            Scalar::Bytes(bytes) => Ok(bytes),
            _ => Err(ser::Error::custom("bytes were expected")),
        }
    }

    /// The string that it is.
    pub(super) fn to_str(&self) -> Result<&str, ValueError> {
        match self {
            Scalar::Str(text) => Ok(text),
            _ => Err(ser::Error::custom("a string was expected")),
        }
    }

    /// The key of a map that `serde_json` makes of it.
    #[inline]
    pub(super) fn with_key<T>(
        &self,
        use_key: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Result<T, ValueError> {
        let key = match self {
            Scalar::Str(text) => return use_key(text),
            Scalar::Bool(value) => value.to_string(),
            Scalar::I64(value) => value.to_string(),
            Scalar::U64(value) => value.to_string(),
            Scalar::I128(value) => value.to_string(),
            Scalar::U128(value) => value.to_string(),
            Scalar::F32(value) if value.is_finite() => float_key(value)?,
            Scalar::F64(value) if value.is_finite() => float_key(value)?,
            _ => return Err(ValueError::KeyNotString),
        };
        use_key(&key)
    }
}

fn float_key(value: &impl Serialize) -> Result<String, ValueError> {
    serde_json::to_string(value).map_err(|_| ValueError::KeyNotString)
}

/// Hands a single value to a function.
pub(super) struct ScalarSerializer<F> {
    take: F,
    human_readable: bool,
}

impl<T, F: FnOnce(Scalar<'_>) -> Result<T, ValueError>> ScalarSerializer<F> {
    /// Bytes come as bytes.
    #[inline]
    pub(super) fn new(take: F) -> Self {
        ScalarSerializer { take, human_readable: false }
    }

    /// Whatever has a form for humans comes in that form.
    #[inline]
    pub(super) fn for_humans(take: F) -> Self {
        ScalarSerializer { take, human_readable: true }
    }

    #[inline]
    fn give(self, scalar: Scalar<'_>) -> Result<T, ValueError> {
        (self.take)(scalar)
    }

    /// Something else. Functions refuse it, each with its own error.
    #[cold]
    fn refuse<U>(self) -> Result<U, ValueError> {
        self.give(Scalar::Other)?;
        Err(ValueError::KeyNotString)
    }
}

macro_rules! single {
    ($($method:ident($type:ty) => |$value:ident| $scalar:expr;)*) => {$(
        #[inline]
        fn $method(self, $value: $type) -> Result<T, ValueError> {
            self.give($scalar)
        }
    )*};
}

impl<T, F: FnOnce(Scalar<'_>) -> Result<T, ValueError>> ser::Serializer for ScalarSerializer<F> {
    type Ok = T;
    type Error = ValueError;
    type SerializeSeq = Impossible<T, ValueError>;
    type SerializeTuple = Impossible<T, ValueError>;
    type SerializeTupleStruct = Impossible<T, ValueError>;
    type SerializeTupleVariant = Impossible<T, ValueError>;
    type SerializeMap = Impossible<T, ValueError>;
    type SerializeStruct = Impossible<T, ValueError>;
    type SerializeStructVariant = Impossible<T, ValueError>;

    fn is_human_readable(&self) -> bool {
        self.human_readable
    }

    single! {
        serialize_bool(bool) => |value| Scalar::Bool(value);
        serialize_i8(i8) => |value| Scalar::I64(value.into());
        serialize_i16(i16) => |value| Scalar::I64(value.into());
        serialize_i32(i32) => |value| Scalar::I64(value.into());
        serialize_i64(i64) => |value| Scalar::I64(value);
        serialize_i128(i128) => |value| Scalar::I128(value);
        serialize_u8(u8) => |value| Scalar::U64(value.into());
        serialize_u16(u16) => |value| Scalar::U64(value.into());
        serialize_u32(u32) => |value| Scalar::U64(value.into());
        serialize_u64(u64) => |value| Scalar::U64(value);
        serialize_u128(u128) => |value| Scalar::U128(value);
        serialize_f32(f32) => |value| Scalar::F32(value);
        serialize_f64(f64) => |value| Scalar::F64(value);
        serialize_char(char) => |value| Scalar::Str(value.encode_utf8(&mut [0; 4]));
        serialize_str(&str) => |value| Scalar::Str(value);
        serialize_bytes(&[u8]) => |value| Scalar::Bytes(value);
    }

    fn serialize_none(self) -> Result<T, ValueError> {
        self.refuse()
    }

    fn serialize_some<V: Serialize + ?Sized>(self, value: &V) -> Result<T, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<T, ValueError> {
        self.refuse()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<T, ValueError> {
        self.refuse()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<T, ValueError> {
        self.give(Scalar::Str(variant))
    }

    fn serialize_newtype_struct<V: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &V,
    ) -> Result<T, ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<V: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &V,
    ) -> Result<T, ValueError> {
        self.refuse()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self::SerializeSeq, ValueError> {
        self.refuse()
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self::SerializeTuple, ValueError> {
        self.refuse()
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct, ValueError> {
        self.refuse()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, ValueError> {
        self.refuse()
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self::SerializeMap, ValueError> {
        self.refuse()
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self::SerializeStruct, ValueError> {
        self.refuse()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, ValueError> {
        self.refuse()
    }
}
