//! Values of users' types straight to the stored form.

use serde::ser::{self, Serialize};

use super::encoder::{Encoder, OpenList, OpenMap, encode_with};
use super::layout::tag;
use super::ser_scalar::{Scalar, ScalarSerializer};
use crate::limits::ValueError;
use crate::number::Number;
use crate::typed;

/// The stored form of a value that serializes as a map: a struct, a map, an [`Item`](crate::Item), an enum variant
/// with content.
///
/// What `serde_json` makes of a type is what becomes of it here: `None` and `()` are null, enums are tagged as they say,
/// keys that are integers, booleans or variants become strings. Beyond JSON, bytes (as of the crate `serde_bytes`)
/// become a binary, `f32` keeps its own shortest decimal, `i128` and `u128` are exact, and
/// [`AttributeValue`](crate::AttributeValue) and [`Number`] keep their types. Where JSON has null for NaN and
/// infinities, they are errors. Markers such as `$binary` mean nothing here, also in a `serde_json::Value`, which has
/// [`encode_json`](super::encode_json).
///
/// ```
/// use dynamite_core::item_codec::{decode_json, from_bytes, to_bytes};
/// use serde::{Deserialize, Serialize};
/// use serde_json::json;
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct User<'a> {
///     user_id: &'a str,
///     age: Option<u32>,
/// }
///
/// let user = User { user_id: "alice", age: Some(30) };
/// let bytes = to_bytes(&user)?;
/// assert_eq!(decode_json(&bytes)?, json!({"user_id": "alice", "age": 30}));
/// assert_eq!(from_bytes::<User>(&bytes)?, user);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ValueError`] for what DynamoDB refuses, keys that are no strings, and whatever the value's own `Serialize` fails with.
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, ValueError> {
    let mut bytes = Vec::new();
    to_bytes_into(value, &mut bytes)?;
    Ok(bytes)
}

/// Appends the stored form to a buffer, and returns the item's size as DynamoDB counts it.
///
/// # Errors
///
/// Those of [`to_bytes`]. The buffer is then as it was.
pub fn to_bytes_into<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<usize, ValueError> {
    encode_with(buffer, |encoder| value.serialize(ValueSerializer { encoder, level: 0, mode: Mode::Plain }))
}

impl ser::Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        ValueError::Serialize(message.to_string())
    }
}

/// Writes one value.
struct ValueSerializer<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    level: u32,
    mode: Mode,
}

/// What the value was announced as, see [`typed`].
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Nothing.
    Plain,
    /// The inside of an attribute value: a variant for its type.
    Typed,
    /// The inside of a set with this tag: a sequence of members.
    Set(u8),
}

impl<'e, 'b> ValueSerializer<'e, 'b> {
    fn number(self, number: Number) -> Result<(), ValueError> {
        self.encoder.number(self.level, &number)
    }

    /// Writes the first entry of a map of one, whose value is written next.
    fn begin_variant(&mut self, variant: &str) -> Result<OpenMap, ValueError> {
        let mut outer = self.encoder.begin_map(self.level)?;
        self.encoder.name(&mut outer, variant)?;
        Ok(outer)
    }

    fn begin_list(self, outer: Option<OpenMap>) -> Result<ListSerializer<'e, 'b>, ValueError> {
        let level = outer.as_ref().map_or(self.level, OpenMap::inner_level);
        let (list, set) = match self.mode {
            Mode::Set(tag) => (self.encoder.begin_set(level, tag)?, Some(tag)),
            Mode::Plain | Mode::Typed => (self.encoder.begin_list(level)?, None),
        };
        Ok(ListSerializer { encoder: self.encoder, list, set, outer })
    }

    fn begin_map(self, outer: Option<OpenMap>) -> Result<MapSerializer<'e, 'b>, ValueError> {
        let level = outer.as_ref().map_or(self.level, OpenMap::inner_level);
        let map = self.encoder.begin_map(level)?;
        Ok(MapSerializer { encoder: self.encoder, map, outer })
    }
}

impl<'e, 'b> ser::Serializer for ValueSerializer<'e, 'b> {
    type Ok = ();
    type Error = ValueError;
    type SerializeSeq = ListSerializer<'e, 'b>;
    type SerializeTuple = ListSerializer<'e, 'b>;
    type SerializeTupleStruct = ListSerializer<'e, 'b>;
    type SerializeTupleVariant = ListSerializer<'e, 'b>;
    type SerializeMap = MapSerializer<'e, 'b>;
    type SerializeStruct = StructSerializer<'e, 'b>;
    type SerializeStructVariant = MapSerializer<'e, 'b>;

    fn is_human_readable(&self) -> bool {
        // An attribute value shows its type to formats that are not.
        self.mode != Mode::Typed
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), ValueError> {
        self.encoder.boolean(self.level, value)
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), ValueError> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), ValueError> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), ValueError> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), ValueError> {
        self.number(value.into())
    }

    fn serialize_i128(self, value: i128) -> Result<(), ValueError> {
        self.number(value.try_into()?)
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), ValueError> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), ValueError> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), ValueError> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), ValueError> {
        self.number(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), ValueError> {
        self.number(value.try_into()?)
    }

    fn serialize_f32(self, value: f32) -> Result<(), ValueError> {
        self.number(value.try_into()?)
    }

    fn serialize_f64(self, value: f64) -> Result<(), ValueError> {
        self.number(value.try_into()?)
    }

    fn serialize_char(self, value: char) -> Result<(), ValueError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), ValueError> {
        self.encoder.string(self.level, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), ValueError> {
        self.encoder.binary(self.level, value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), ValueError> {
        self.encoder.null(self.level)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), ValueError> {
        self.encoder.null(self.level)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), ValueError> {
        self.encoder.null(self.level)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), ValueError> {
        self.encoder.string(self.level, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        if !name.starts_with(typed::PREFIX) {
            return value.serialize(self);
        }
        let ValueSerializer { encoder, level, .. } = self;
        let mode = match name {
            typed::VALUE => Mode::Typed,
            typed::STRING_SET => Mode::Set(tag::SS),
            typed::NUMBER_SET => Mode::Set(tag::NS),
            typed::BINARY_SET => Mode::Set(tag::BS),
            typed::NUMBER => {
                return value
                    .serialize(ScalarSerializer::new(|number| encoder.number(level, &number.to_number()?)));
            }
            typed::BINARY => {
                return value
                    .serialize(ScalarSerializer::new(|bytes| encoder.binary(level, bytes.to_bytes()?)));
            }
            _ => Mode::Plain,
        };
        value.serialize(ValueSerializer { encoder, level, mode })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        if self.mode == Mode::Typed {
            return match variant {
                "NULL" => self.encoder.null(self.level),
                _ => value.serialize(ValueSerializer { mode: Mode::Plain, ..self }),
            };
        }
        let outer = self.begin_variant(variant)?;
        let level = outer.inner_level();
        value.serialize(ValueSerializer { encoder: &mut *self.encoder, level, mode: Mode::Plain })?;
        self.encoder.end_map(outer)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<ListSerializer<'e, 'b>, ValueError> {
        self.begin_list(None)
    }

    fn serialize_tuple(self, _len: usize) -> Result<ListSerializer<'e, 'b>, ValueError> {
        self.begin_list(None)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<ListSerializer<'e, 'b>, ValueError> {
        self.begin_list(None)
    }

    fn serialize_tuple_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<ListSerializer<'e, 'b>, ValueError> {
        let outer = self.begin_variant(variant)?;
        self.begin_list(Some(outer))
    }

    #[inline]
    fn serialize_map(self, _len: Option<usize>) -> Result<MapSerializer<'e, 'b>, ValueError> {
        self.begin_map(None)
    }

    #[inline]
    fn serialize_struct(
        self,
        name: &'static str,
        _len: usize,
    ) -> Result<StructSerializer<'e, 'b>, ValueError> {
        match name {
            typed::JSON_NUMBER => Ok(StructSerializer::JsonNumber(self)),
            _ => self.begin_map(None).map(StructSerializer::Map),
        }
    }

    fn serialize_struct_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<MapSerializer<'e, 'b>, ValueError> {
        let outer = self.begin_variant(variant)?;
        self.begin_map(Some(outer))
    }
}

/// Writes the elements of a list, or the members of a set.
struct ListSerializer<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    list: OpenList,
    /// The tag, if it is a set.
    set: Option<u8>,
    /// The map of one entry that the list is the value of, if it is the content of a variant.
    outer: Option<OpenMap>,
}

impl ListSerializer<'_, '_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        if let Some(set) = self.set {
            return self.member(set, value);
        }
        self.encoder.element()?;
        let level = self.list.inner_level();
        value.serialize(ValueSerializer { encoder: &mut *self.encoder, level, mode: Mode::Plain })
    }

    fn member<T: Serialize + ?Sized>(&mut self, set: u8, value: &T) -> Result<(), ValueError> {
        let (encoder, list) = (&mut *self.encoder, &mut self.list);
        value.serialize(ScalarSerializer::new(|member: Scalar<'_>| {
            let above = match set {
                tag::SS => encoder.member(list, member.to_str()?.as_bytes())?,
                tag::NS => encoder.number_member(list, &member.to_number()?)?,
                _ => encoder.member(list, member.to_bytes()?)?,
            };
            match above {
                true => Ok(()),
                false => Err(ser::Error::custom("the members of a set must come in order, each once")),
            }
        }))
    }

    fn finish(self) -> Result<(), ValueError> {
        match self.set {
            Some(_) => self.encoder.end_set(self.list)?,
            None => self.encoder.end_list(self.list),
        }
        self.outer.map_or(Ok(()), |outer| self.encoder.end_map(outer))
    }
}

macro_rules! list_serializer {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for ListSerializer<'_, '_> {
            type Ok = ();
            type Error = ValueError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.element(value)
            }

            fn end(self) -> Result<(), ValueError> {
                self.finish()
            }
        }
    )*};
}

list_serializer! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

/// Writes the entries of a map.
struct MapSerializer<'e, 'b> {
    encoder: &'e mut Encoder<'b>,
    map: OpenMap,
    /// The map of one entry that this one is the value of, if it is the content of a variant.
    outer: Option<OpenMap>,
}

impl MapSerializer<'_, '_> {
    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let level = self.map.inner_level();
        value.serialize(ValueSerializer { encoder: &mut *self.encoder, level, mode: Mode::Plain })
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), ValueError> {
        self.encoder.name(&mut self.map, name)?;
        self.value(value)
    }

    fn finish(self) -> Result<(), ValueError> {
        self.encoder.end_map(self.map)?;
        self.outer.map_or(Ok(()), |outer| self.encoder.end_map(outer))
    }
}

impl ser::SerializeMap for MapSerializer<'_, '_> {
    type Ok = ();
    type Error = ValueError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        let (encoder, map) = (&mut *self.encoder, &mut self.map);
        key.serialize(ScalarSerializer::for_humans(|key| key.with_key(|name| encoder.name(map, name))))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.value(value)
    }

    fn end(self) -> Result<(), ValueError> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for MapSerializer<'_, '_> {
    type Ok = ();
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), ValueError> {
        self.finish()
    }
}

/// Writes the fields of a struct.
enum StructSerializer<'e, 'b> {
    Map(MapSerializer<'e, 'b>),
    /// A number of `serde_json` that keeps its text: its only field.
    JsonNumber(ValueSerializer<'e, 'b>),
}

impl ser::SerializeStruct for StructSerializer<'_, '_> {
    type Ok = ();
    type Error = ValueError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        match self {
            StructSerializer::Map(map) => map.field(name, value),
            StructSerializer::JsonNumber(number) => {
                let (encoder, level) = (&mut *number.encoder, number.level);
                value.serialize(ScalarSerializer::new(|text| encoder.number(level, &text.to_number()?)))
            }
        }
    }

    #[inline]
    fn end(self) -> Result<(), ValueError> {
        match self {
            StructSerializer::Map(map) => map.finish(),
            StructSerializer::JsonNumber(_) => Ok(()),
        }
    }
}
