//! Numbers: decimals of up to 38 significant digits, exact, as DynamoDB has them.
//!
//! A [`Number`] is ±coefficient · 10^exponent in 24 bytes, copied like an integer. All arithmetic is exact: what does
//! not fit is an error, never a rounded value. `0.1` stays `0.1`, and 9007199254740993 is not 9007199254740992.
//!
//! # Invariants
//!
//! 1. The coefficient has at most 38 digits and does not end in a zero; zero is `0 · 10^0`, without a sign. So equal
//!    numbers have equal fields, and `Eq` and `Hash` are those of the fields.
//! 2. The leading digit stands at 10^-130 ..= 10^125. So the exponent is -167 ..= 125, and every number is a normal
//!    double when it is rounded to one.
//!
//! # The modules, in reading order
//!
//! `parse` and `text` are how a number is read and written, `integer` and `double` the binary numbers that it comes from
//! and goes to, `floor` what keys are made of, `sum` the arithmetic; `powers` and `wide` are what they count with, and
//! `error` is what does not fit.

mod parse;

mod text;

mod integer;

mod double;

mod floor;

mod sum;

mod powers;

mod wide;

mod error;

use std::cmp::Ordering;
use std::fmt;
use std::ops::Neg;

pub(crate) use floor::Floor;

pub use error::NumberError;

use powers::{digit_count, power_of_ten, without_trailing_zeros, without_trailing_zeros_u64};

/// Significant digits that a number has room for.
pub const MAX_DIGITS: u32 = 38;

/// The greatest exponent of a number's leading digit: the greatest number is 9.99…E+125.
pub const MAX_MAGNITUDE: i32 = 125;

/// The least exponent of a number's leading digit: the least positive number is 1E-130.
pub const MIN_MAGNITUDE: i32 = -130;

/// A decimal number, exact: up to 38 significant digits, 0 or 1E-130 ..= 9.99…E+125 in magnitude.
///
/// There is one form of each value: `1`, `1.0` and `1e0` are equal, and so are `0` and `-0`. The order is that of the
/// values. `Display` and `Debug` print what DynamoDB returns: all digits, without an exponent.
///
/// ```
/// use dynamite_core::number::Number;
///
/// let price: Number = "19.90".parse()?;
/// assert_eq!(price.to_string(), "19.9");
/// assert_eq!(price, Number::try_from(19.9)?);
/// assert_eq!(price.checked_add("0.1".parse()?)?, Number::from(20));
/// assert!(price < Number::from(20));
/// # Ok::<(), dynamite_core::number::NumberError>(())
/// ```
//
// The coefficient is in two halves, since a `u128` would align the whole to 16 bytes, and every attribute value with it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Number {
    coefficient_high: u64,
    coefficient_low: u64,
    exponent: i16,
    negative: bool,
}

const _: () = assert!(size_of::<Number>() == 24);

impl Number {
    /// Zero.
    pub const ZERO: Number = Number { coefficient_high: 0, coefficient_low: 0, exponent: 0, negative: false };

    /// The number ±`coefficient` · 10^`exponent`.
    ///
    /// # Errors
    ///
    /// [`Overflow`](NumberError::Overflow), [`Underflow`](NumberError::Underflow) and
    /// [`TooManyDigits`](NumberError::TooManyDigits); zeros at the end of the coefficient do not count as digits.
    ///
    /// ```
    /// use dynamite_core::number::Number;
    ///
    /// let number = Number::from_parts(true, 2500, -3)?;
    /// assert_eq!(number.to_string(), "-2.5");
    /// assert_eq!((number.coefficient(), number.exponent()), (25, -1));
    /// # Ok::<(), dynamite_core::number::NumberError>(())
    /// ```
    pub fn from_parts(negative: bool, coefficient: u128, exponent: i32) -> Result<Number, NumberError> {
        if coefficient == 0 {
            return Ok(Number::ZERO);
        }
        let (coefficient, zeros) = without_trailing_zeros(coefficient);
        let digits = digit_count(coefficient);
        let exponent = i64::from(exponent) + i64::from(zeros);
        check_magnitude(exponent + i64::from(digits) - 1)?;
        if digits > MAX_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        Ok(Number::normalised(negative, coefficient, exponent as i32))
    }

    /// Whether the number is less than zero.
    #[inline]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The digits as an integer, which is not divisible by ten, or zero.
    #[inline]
    pub fn coefficient(&self) -> u128 {
        u128::from(self.coefficient_high) << 64 | u128::from(self.coefficient_low)
    }

    /// The exponent of ten that the coefficient is multiplied with: -167 ..= 125.
    #[inline]
    pub fn exponent(&self) -> i32 {
        i32::from(self.exponent)
    }

    /// Whether the number is zero.
    #[inline]
    pub fn is_zero(&self) -> bool {
        self.coefficient_low | self.coefficient_high == 0
    }

    /// The exponent of the leading digit: `MIN_MAGNITUDE ..= MAX_MAGNITUDE`. Zero has none, and gives -1.
    #[inline]
    pub(crate) fn magnitude(&self) -> i32 {
        self.exponent() + digit_count(self.coefficient()) as i32 - 1
    }

    /// A number whose fields keep the invariants already.
    #[inline]
    fn normalised(negative: bool, coefficient: u128, exponent: i32) -> Number {
        debug_assert!(!coefficient.is_multiple_of(10) || (coefficient == 0 && exponent == 0 && !negative));
        debug_assert!(coefficient == 0 || digit_count(coefficient) <= MAX_DIGITS);
        debug_assert!((-167..=MAX_MAGNITUDE).contains(&exponent));
        Number {
            coefficient_high: (coefficient >> 64) as u64,
            coefficient_low: coefficient as u64,
            exponent: exponent as i16,
            negative,
        }
    }

    /// A number of at most 20 digits whose exponent is so near to zero that it cannot be out of range.
    #[inline]
    pub(crate) fn short(negative: bool, coefficient: u64, exponent: i32) -> Number {
        debug_assert!((-100..=100).contains(&exponent));
        if coefficient == 0 {
            return Number::ZERO;
        }
        let (coefficient, zeros) = without_trailing_zeros_u64(coefficient);
        Number::normalised(negative, u128::from(coefficient), exponent + zeros as i32)
    }
}

/// Refuses an exponent of a leading digit that is out of range.
#[inline]
fn check_magnitude(magnitude: i64) -> Result<(), NumberError> {
    if magnitude > i64::from(MAX_MAGNITUDE) {
        return Err(NumberError::Overflow);
    }
    if magnitude < i64::from(MIN_MAGNITUDE) {
        return Err(NumberError::Underflow);
    }
    Ok(())
}

impl Ord for Number {
    #[inline]
    fn cmp(&self, other: &Number) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => cmp_magnitudes(self, other),
            (true, true) => cmp_magnitudes(other, self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Number {
    #[inline]
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares two numbers without their signs.
#[inline]
fn cmp_magnitudes(one: &Number, other: &Number) -> Ordering {
    let (a, b) = (one.coefficient(), other.coefficient());
    if one.exponent == other.exponent || a == 0 || b == 0 {
        return a.cmp(&b);
    }
    one.magnitude().cmp(&other.magnitude()).then_with(|| {
        // The leading digits stand at one place, so the coefficient with the greater exponent has as many digits less
        // as its exponent is greater: with so many zeros added it still has no more than 38.
        match one.exponent() - other.exponent() {
            shift if shift > 0 => (a * power_of_ten(shift as u32)).cmp(&b),
            shift => a.cmp(&(b * power_of_ten(shift.unsigned_abs()))),
        }
    })
}

impl Neg for Number {
    type Output = Number;

    #[inline]
    fn neg(self) -> Number {
        Number { negative: !self.negative && !self.is_zero(), ..self }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
