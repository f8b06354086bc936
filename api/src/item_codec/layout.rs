//! Tags, lengths, varints and numbers, as the [byte table](super) has them.

use crate::limits::MAX_ITEM_SIZE;
use crate::number::Number;
use crate::value::AttributeType;

/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u8 = 1;

/// The type of a value as it stands in the high nibble of its first byte.
pub(super) mod tag {
    pub(in super::super) const NULL: u8 = 0x00;
    pub(in super::super) const FALSE: u8 = 0x10;
    pub(in super::super) const TRUE: u8 = 0x20;
    pub(in super::super) const S: u8 = 0x30;
    pub(in super::super) const N: u8 = 0x40;
    pub(in super::super) const B: u8 = 0x50;
    pub(in super::super) const M: u8 = 0x60;
    pub(in super::super) const L: u8 = 0x70;
    pub(in super::super) const SS: u8 = 0x80;
    pub(in super::super) const NS: u8 = 0x90;
    pub(in super::super) const BS: u8 = 0xA0;
}

/// The type of a tag; `None` for a byte that is none.
#[inline]
pub(super) fn attribute_type(tag: u8) -> Option<AttributeType> {
    Some(match tag {
        tag::NULL => AttributeType::Null,
        tag::FALSE | tag::TRUE => AttributeType::Bool,
        tag::S => AttributeType::S,
        tag::N => AttributeType::N,
        tag::B => AttributeType::B,
        tag::M => AttributeType::M,
        tag::L => AttributeType::L,
        tag::SS => AttributeType::Ss,
        tag::NS => AttributeType::Ns,
        tag::BS => AttributeType::Bs,
        _ => return None,
    })
}

/// The longest body that the tag itself says the length of.
pub(super) const MAX_SHORT: usize = 11;
/// The low nibble of a tag that a length of one byte follows.
pub(super) const LENGTH_1: u8 = 12;
/// The low nibble of a tag that a length of two bytes follows.
pub(super) const LENGTH_2: u8 = 13;
/// The low nibble of a tag that a length of three bytes follows.
pub(super) const LENGTH_3: u8 = 14;

// What counts n bytes towards the limit takes at most 4n of the stored form: at worst an attribute with a name of one
// byte and the set of the empty string, which counts 1 and takes 4. So a varint of three bytes holds every length.
const _: () = assert!(4 * MAX_ITEM_SIZE < 1 << 21);

/// Writes tag and length of a body that follows.
#[inline]
pub(super) fn put_header(buffer: &mut Vec<u8>, tag: u8, len: usize) {
    if len <= MAX_SHORT {
        buffer.push(tag | len as u8);
    } else if len <= 0xFF {
        buffer.extend_from_slice(&[tag | LENGTH_1, len as u8]);
    } else if len <= 0xFFFF {
        buffer.extend_from_slice(&[tag | LENGTH_2, len as u8, (len >> 8) as u8]);
    } else {
        buffer.extend_from_slice(&[tag | LENGTH_3, len as u8, (len >> 8) as u8, (len >> 16) as u8]);
    }
}

/// Writes a varint below 2^21.
#[inline]
pub(super) fn put_varint(buffer: &mut Vec<u8>, value: usize) {
    debug_assert!(value < 1 << 21);
    if value < 1 << 7 {
        buffer.push(value as u8);
    } else if value < 1 << 14 {
        buffer.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
    } else {
        buffer.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8 | 0x80, (value >> 14) as u8]);
    }
}

/// Reads a varint, and takes it off the front. `None` if it is cut off, too long, or longer than needed.
#[inline]
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let (value, rest) = match **bytes {
        [a @ ..0x80, ref rest @ ..] => (usize::from(a), rest),
        [a, b @ 1..0x80, ref rest @ ..] => (usize::from(a & 0x7F) | usize::from(b) << 7, rest),
        [a, b @ 0x80..=0xFF, c @ 1..0x80, ref rest @ ..] => {
            (usize::from(a & 0x7F) | usize::from(b & 0x7F) << 7 | usize::from(c) << 14, rest)
        }
        _ => return None,
    };
    *bytes = rest;
    Some(value)
}

/// The body of a number, on the stack.
pub(super) struct NumberBody {
    bytes: [u8; NumberBody::MAX_LEN],
    len: u8,
}

impl NumberBody {
    /// Two bytes of scale and sixteen of coefficient.
    pub(super) const MAX_LEN: usize = 18;

    #[inline]
    pub(super) fn of(number: &Number) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        let coefficient = number.coefficient();
        if coefficient == 0 {
            return NumberBody { bytes, len: 0 };
        }
        let exponent = number.exponent();
        let zigzag = (exponent << 1 ^ exponent >> 31) as u32;
        let scale = zigzag << 1 | u32::from(number.is_negative());
        let scale_len = if scale < 0x80 {
            bytes[0] = scale as u8;
            bytes[1..17].copy_from_slice(&coefficient.to_le_bytes());
            1
        } else {
            bytes[0] = scale as u8 | 0x80;
            bytes[1] = (scale >> 7) as u8;
            bytes[2..18].copy_from_slice(&coefficient.to_le_bytes());
            2
        };
        let coefficient_len = 16 - coefficient.leading_zeros() as usize / 8;
        NumberBody { bytes, len: (scale_len + coefficient_len) as u8 }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The number that a body means. `None` for a body that no number has.
#[inline]
pub(super) fn number(body: &[u8]) -> Option<Number> {
    match body {
        [] => Some(Number::ZERO),
        // A short coefficient and an exponent near zero: the value is in range whatever they are.
        [scale @ ..0x80, coefficient @ ..] if (1..=8).contains(&coefficient.len()) => {
            let value = coefficient.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
            let (negative, exponent) = unpack_scale(usize::from(*scale));
            let number = Number::short(negative, value, exponent);
            // A zero byte or digit at the end would be a second form of the same number.
            (coefficient[coefficient.len() - 1] != 0 && number.exponent() == exponent).then_some(number)
        }
        _ => long_number(body),
    }
}

fn long_number(body: &[u8]) -> Option<Number> {
    let mut rest = body;
    let (negative, exponent) = unpack_scale(take_varint(&mut rest)?);
    let mut coefficient = [0; 16];
    coefficient.get_mut(..rest.len())?.copy_from_slice(rest);
    let number = Number::from_parts(negative, u128::from_le_bytes(coefficient), exponent).ok()?;
    (*rest.last()? != 0 && number.exponent() == exponent).then_some(number)
}

#[inline]
fn unpack_scale(scale: usize) -> (bool, i32) {
    let zigzag = (scale >> 1) as i32;
    (scale & 1 != 0, zigzag >> 1 ^ -(zigzag & 1))
}
