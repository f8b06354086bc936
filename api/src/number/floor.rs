//! The greatest double that is not greater than a number, and doubles taken bit by bit: what the keys of numbers are
//! made of.

use std::cmp::Ordering;

use super::Number;
use super::double::EXACT_INTEGERS;
use super::powers::checked_power_of_five;
use super::wide::Wide;

/// The greatest double that is not greater than a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Floor {
    /// The double. Zero is positive.
    pub(crate) double: f64,
    /// Whether it is the number itself.
    pub(crate) exact: bool,
}

impl Number {
    /// The greatest double that is not greater than the number.
    #[inline]
    pub(crate) fn floor_to_f64(&self) -> Floor {
        match self.integer_magnitude() {
            Some(magnitude) if magnitude <= EXACT_INTEGERS => {
                let double = magnitude as f64;
                Floor { double: if self.negative { -double } else { double }, exact: true }
            }
            _ => self.floor_by_comparison(),
        }
    }

    fn floor_by_comparison(&self) -> Floor {
        let double = self.to_f64();
        let order = cmp_exactly(double.abs(), self);
        let above = if self.negative { Ordering::Less } else { Ordering::Greater };
        // The nearest double is at most one step off.
        let double = if order == above { double.next_down() } else { double };
        Floor { double, exact: order == Ordering::Equal }
    }

    /// The number that a double is bit by bit, if that is a number: any integer up to 2^53, any binary fraction of no
    /// more than 38 decimal digits. Not its shortest decimal: 0.1 has 55 digits, and is none.
    pub(crate) fn from_all_bits(double: f64) -> Option<Number> {
        let integer = double as i64;
        if integer as f64 == double && integer.unsigned_abs() <= EXACT_INTEGERS {
            return Some(Number::from(integer));
        }
        // Infinities and NaN look like the greatest exponent, and are too great below; subnormal doubles are too small.
        let (mantissa, exponent) = decompose(double.abs());
        let zeros = mantissa.trailing_zeros();
        let (mut mantissa, mut exponent) = (u128::from(mantissa >> zeros), exponent + zeros as i32);
        let mut tens = 0;
        if exponent < 0 {
            // m · 2^-n = m · 5^n · 10^-n
            mantissa = mantissa.checked_mul(checked_power_of_five(exponent.unsigned_abs())?)?;
            tens = exponent;
        } else {
            // m · 2^n = m / 5^k · 2^(n-k) · 10^k, with as great a k as there is: what is left must fit.
            while tens < exponent && mantissa.is_multiple_of(5) {
                mantissa /= 5;
                tens += 1;
            }
            exponent -= tens;
            if exponent as u32 >= mantissa.leading_zeros() {
                return None;
            }
            mantissa <<= exponent;
        }
        Number::from_parts(double < 0.0, mantissa, tens).ok()
    }
}

/// A positive normal double as mantissa · 2^exponent. The doubles of numbers are normal.
fn decompose(double: f64) -> (u64, i32) {
    let bits = double.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    (fraction | 1 << 52, (bits >> 52) as i32 - 1075)
}

/// Compares a positive double that is the nearest to a number with that number, without its sign.
fn cmp_exactly(double: f64, number: &Number) -> Ordering {
    // m · 2^q against c · 10^e: each side is multiplied with what the other one divides by, and 10 is 2 · 5.
    let (mantissa, binary) = decompose(double);
    let (coefficient, decimal) = (number.coefficient(), number.exponent());
    let twos = binary - decimal;
    let left = Product { factor: u128::from(mantissa), fives: positive(-decimal), twos: positive(twos) };
    let right = Product { factor: coefficient, fives: positive(decimal), twos: positive(-twos) };
    match (left.narrow(), right.narrow()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.wide().cmp(&right.wide()),
    }
}

fn positive(value: i32) -> u32 {
    value.max(0) as u32
}

/// factor · 5^fives · 2^twos
struct Product {
    factor: u128,
    fives: u32,
    twos: u32,
}

impl Product {
    /// The product, if 128 bits hold it.
    #[inline]
    fn narrow(&self) -> Option<u128> {
        let product = self.factor.checked_mul(checked_power_of_five(self.fives)?)?;
        (self.twos <= product.leading_zeros()).then(|| product << self.twos)
    }

    fn wide(&self) -> Wide {
        Wide::new(self.factor).times_power_of_five(self.fives).times_power_of_two(self.twos)
    }
}
