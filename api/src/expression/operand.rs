//! The values that operators and functions work on.

use std::cmp::Ordering;
use std::sync::Arc;

use super::constant::Constant;
use super::path::Path;
use crate::item_codec::{ItemDamage, ItemView, ValueView};
use crate::number::Number;
use crate::value::AttributeType;

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// From the item.
    Path(Path),
    /// From the request.
    Constant(Arc<Constant>),
    /// The size of another one.
    Size(Box<Operand>),
}

/// A value at hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Encoded(ValueView<'a>),
    Size(u64),
}

impl Operand {
    /// The type, as far as it does not depend on the item.
    pub(super) fn static_type(&self) -> Option<AttributeType> {
        match self {
            Operand::Path(_) => None,
            Operand::Constant(constant) => Some(constant.attribute_type()),
            Operand::Size(_) => Some(AttributeType::N),
        }
    }

    /// The path, also of what the size is taken of.
    pub(super) fn path(&self) -> Option<&Path> {
        let mut operand = self;
        loop {
            match operand {
                Operand::Path(path) => return Some(path),
                Operand::Constant(_) => return None,
                Operand::Size(of) => operand = of,
            }
        }
    }

    /// The value for an item; `None` if the item has nothing there, or something that has no size.
    #[inline]
    pub(super) fn value<'a>(&'a self, item: ItemView<'a>) -> Result<Option<Value<'a>>, ItemDamage> {
        match self {
            Operand::Path(path) => Ok(path.find(item)?.map(Value::Encoded)),
            Operand::Constant(constant) => Ok(Some(Value::Encoded(constant.view()))),
            Operand::Size(of) => of.size(item),
        }
    }

    fn size<'a>(&'a self, item: ItemView<'a>) -> Result<Option<Value<'a>>, ItemDamage> {
        let value = match self {
            Operand::Path(path) => path.find(item)?,
            Operand::Constant(constant) => Some(constant.view()),
            // A number has no size. (Such an expression is refused when it is read.)
            Operand::Size(_) => None,
        };
        let Some(value) = value else { return Ok(None) };
        Ok(size(value)?.map(Value::Size))
    }
}

/// The size of a value, as the function `size` has it: units of UTF-16, bytes, or elements.
fn size(value: ValueView<'_>) -> Result<Option<u64>, ItemDamage> {
    let size = match value.attribute_type() {
        AttributeType::S => value.as_str()?.map(|text| text.encode_utf16().count()),
        AttributeType::B => value.as_bytes().map(<[u8]>::len),
        AttributeType::M => Some(count(value.entries())?),
        AttributeType::L | AttributeType::Ss | AttributeType::Ns | AttributeType::Bs => {
            Some(count(value.elements())?)
        }
        AttributeType::N | AttributeType::Bool | AttributeType::Null => None,
    };
    Ok(size.map(|size| size as u64))
}

fn count<T>(mut parts: impl Iterator<Item = Result<T, ItemDamage>>) -> Result<usize, ItemDamage> {
    parts.try_fold(0, |count, part| part.map(|_| count + 1))
}

impl Value<'_> {
    pub(super) fn attribute_type(self) -> AttributeType {
        match self {
            Value::Encoded(value) => value.attribute_type(),
            Value::Size(_) => AttributeType::N,
        }
    }

    /// Whether two values are equal: they have one type, and all that is in them is equal.
    #[inline]
    pub(super) fn equals(self, other: Value<'_>) -> Result<bool, ItemDamage> {
        match (self, other) {
            // Equal values have equal bytes.
            (Value::Encoded(a), Value::Encoded(b)) => Ok(a == b),
            (Value::Size(a), Value::Size(b)) => Ok(a == b),
            (Value::Size(size), Value::Encoded(value)) | (Value::Encoded(value), Value::Size(size)) => {
                Ok(value.as_number()? == Some(Number::from(size)))
            }
        }
    }

    /// The order of two values: of strings, numbers and binaries, if both are of one type.
    #[inline]
    pub(super) fn order(self, other: Value<'_>) -> Result<Option<Ordering>, ItemDamage> {
        let (a, b) = match (self, other) {
            (Value::Encoded(a), Value::Encoded(b)) => (a, b),
            _ => return Ok(self.number()?.zip(other.number()?).map(|(a, b)| a.cmp(&b))),
        };
        if let Some(a) = a.as_number()? {
            return Ok(b.as_number()?.map(|b| a.cmp(&b)));
        }
        if let Some(a) = a.as_str()? {
            return Ok(b.as_str()?.map(|b| a.cmp(b)));
        }
        Ok(a.as_bytes().zip(b.as_bytes()).map(|(a, b)| a.cmp(b)))
    }

    fn number(self) -> Result<Option<Number>, ItemDamage> {
        match self {
            Value::Encoded(value) => value.as_number(),
            Value::Size(size) => Ok(Some(Number::from(size))),
        }
    }
}
