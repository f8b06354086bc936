//! Numbers from and to doubles.
//!
//! A double becomes the decimal with the fewest digits among those that are read back as that double: 0.1 is `0.1`, and
//! not the 55 digits of the binary fraction. Of several the nearest is taken, and the even one of two, as serde_json,
//! JavaScript and Python print it. A number becomes the double that is nearest to it, the even one of two.

use super::powers::digit_count;
use super::text::write_digits;
use super::{MAX_DIGITS, Number, NumberError};

/// The powers of ten that are doubles.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Up to here every integer is a double.
pub(super) const EXACT_INTEGERS: u64 = 1 << f64::MANTISSA_DIGITS;

impl Number {
    /// The nearest double, the even one of two.
    ///
    /// Cost: a multiplication or division for up to 15 digits and powers of ten up to 22, else about as much as parsing
    /// a double. Nothing is allocated.
    ///
    /// ```
    /// use dynamite_core::number::Number;
    ///
    /// assert_eq!(Number::parse("0.1")?.to_f64(), 0.1);
    /// assert_eq!(Number::from(9007199254740993u64).to_f64(), 9007199254740992.0);
    /// # Ok::<(), dynamite_core::number::NumberError>(())
    /// ```
    #[inline]
    pub fn to_f64(&self) -> f64 {
        // Both operands are exact, so the one rounding of the operation is the right one.
        // (Clinger, *How to Read Floating Point Numbers Accurately*, 1990.)
        if self.coefficient_high == 0 && self.coefficient_low <= EXACT_INTEGERS {
            let coefficient = self.coefficient_low as f64;
            let power = EXACT_POWERS.get(self.exponent.unsigned_abs() as usize);
            if let Some(power) = power {
                let magnitude = if self.exponent >= 0 { coefficient * power } else { coefficient / power };
                return if self.negative { -magnitude } else { magnitude };
            }
        }
        self.to_f64_by_text()
    }

    /// The double whose shortest decimal is this very number, if there is one. It is the case that a double can stand
    /// for the number wherever doubles are printed with the fewest digits, as in JSON.
    ///
    /// ```
    /// use dynamite_core::number::Number;
    ///
    /// assert_eq!(Number::parse("0.1")?.to_f64_exact(), Some(0.1));
    /// assert_eq!(Number::parse("0.10000000000000000001")?.to_f64_exact(), None);
    /// # Ok::<(), dynamite_core::number::NumberError>(())
    /// ```
    #[inline]
    pub fn to_f64_exact(&self) -> Option<f64> {
        let double = self.to_f64();
        // No two decimals of at most 15 digits are nearest to one double, so no other one is as short.
        let short = self.coefficient() < 10u128.pow(f64::DIGITS);
        (short || Number::try_from(double).as_ref() == Ok(self)).then_some(double)
    }

    /// The nearest double by way of `<coefficient>e<exponent>`, which the standard library rounds correctly.
    #[cold]
    fn to_f64_by_text(self) -> f64 {
        let mut text = *b"00000000000000000000000000000000000000e+000";
        let (coefficient, exponent) = text.split_at_mut(MAX_DIGITS as usize);
        write_digits(self.coefficient(), coefficient);
        if self.exponent < 0 {
            exponent[1] = b'-';
        }
        write_digits(self.exponent.unsigned_abs().into(), &mut exponent[2..]);
        // Zeros in front would be read one by one.
        let start = (MAX_DIGITS - digit_count(self.coefficient())) as usize;
        let text = std::str::from_utf8(&text[start..]).expect("digits and an exponent are ASCII");
        let magnitude: f64 = text.parse().expect("digits and an exponent are a double");
        if self.negative { -magnitude } else { magnitude }
    }
}

impl TryFrom<f64> for Number {
    type Error = NumberError;

    /// The shortest decimal that is read back as this double.
    ///
    /// [`NotFinite`](NumberError::NotFinite), [`Overflow`](NumberError::Overflow) from 1E+126,
    /// [`Underflow`](NumberError::Underflow) below 1E-130.
    fn try_from(value: f64) -> Result<Number, NumberError> {
        // Integers up to 2^53 are their own shortest decimals: the next double is at least 1 away.
        let integer = value as i64;
        if integer as f64 == value && integer.unsigned_abs() <= EXACT_INTEGERS {
            return Ok(Number::from(integer));
        }
        check_finite(value)?;
        Number::parse(zmij::Buffer::new().format_finite(value))
    }
}

impl TryFrom<f32> for Number {
    type Error = NumberError;

    /// The shortest decimal that is read back as this `f32`: `0.1f32` is `0.1`, and not 0.10000000149011612.
    ///
    /// [`NotFinite`](NumberError::NotFinite); every finite `f32` is in range.
    fn try_from(value: f32) -> Result<Number, NumberError> {
        check_finite(f64::from(value))?;
        Number::parse(zmij::Buffer::new().format_finite(value))
    }
}

fn check_finite(value: f64) -> Result<(), NumberError> {
    match value {
        value if value.is_finite() => Ok(()),
        f64::INFINITY => Err(NumberError::NotFinite { name: "Infinity" }),
        f64::NEG_INFINITY => Err(NumberError::NotFinite { name: "-Infinity" }),
        _ => Err(NumberError::NotFinite { name: "NaN" }),
    }
}
