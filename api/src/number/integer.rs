//! Numbers from and to binary integers.

use super::powers::power_of_ten;
use super::{Number, NumberError};

macro_rules! from_unsigned {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            #[inline]
            fn from(value: $integer) -> Number {
                Number::short(false, value as u64, 0)
            }
        }
    )*};
}

macro_rules! from_signed {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            #[inline]
            fn from(value: $integer) -> Number {
                Number::short(value < 0, value.unsigned_abs() as u64, 0)
            }
        }
    )*};
}

from_unsigned!(u8, u16, u32, u64, usize);
from_signed!(i8, i16, i32, i64, isize);

// A wider `usize` would be cut off above.
const _: () = assert!(usize::BITS <= u64::BITS);

impl TryFrom<u128> for Number {
    type Error = NumberError;

    /// [`TooManyDigits`](NumberError::TooManyDigits) for most integers beyond 10^38.
    fn try_from(value: u128) -> Result<Number, NumberError> {
        Number::from_parts(false, value, 0)
    }
}

impl TryFrom<i128> for Number {
    type Error = NumberError;

    /// [`TooManyDigits`](NumberError::TooManyDigits) for most integers beyond ±10^38.
    fn try_from(value: i128) -> Result<Number, NumberError> {
        Number::from_parts(value < 0, value.unsigned_abs(), 0)
    }
}

impl Number {
    /// The same value as an `i64`, if it is one.
    ///
    /// ```
    /// use dynamite_core::number::Number;
    ///
    /// assert_eq!(Number::from(-7).to_i64(), Some(-7));
    /// assert_eq!(Number::try_from(0.5)?.to_i64(), None);
    /// # Ok::<(), dynamite_core::number::NumberError>(())
    /// ```
    #[inline]
    pub fn to_i64(&self) -> Option<i64> {
        let magnitude = self.integer_magnitude()?;
        if self.is_negative() { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
    }

    /// The same value as a `u64`, if it is one.
    #[inline]
    pub fn to_u64(&self) -> Option<u64> {
        if self.is_negative() { None } else { self.integer_magnitude() }
    }

    /// The value without its sign, if 64 bits hold it exactly.
    #[inline]
    pub(super) fn integer_magnitude(&self) -> Option<u64> {
        if self.coefficient_high != 0 {
            return None;
        }
        match self.exponent() {
            0 => Some(self.coefficient_low),
            // 10^19 is the greatest power of ten that 64 bits hold.
            exponent @ 1..=19 => self.coefficient_low.checked_mul(power_of_ten(exponent as u32) as u64),
            _ => None,
        }
    }
}
