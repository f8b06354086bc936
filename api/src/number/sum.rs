//! Sums and differences, exact or not at all.

use super::powers::checked_power_of_ten;
use super::{Number, NumberError};

impl Number {
    /// The exact sum.
    ///
    /// # Errors
    ///
    /// [`Inexact`](NumberError::Inexact) if it has more than 38 digits, [`Overflow`](NumberError::Overflow) and
    /// [`Underflow`](NumberError::Underflow) if it is out of range.
    ///
    /// ```
    /// use dynamite_core::number::{Number, NumberError};
    ///
    /// let sum = Number::try_from(0.1)?.checked_add(Number::try_from(0.2)?)?;
    /// assert_eq!(sum.to_string(), "0.3");
    /// assert_eq!(Number::parse("1e50")?.checked_add(Number::from(1)), Err(NumberError::Inexact));
    /// # Ok::<(), NumberError>(())
    /// ```
    pub fn checked_add(self, other: Number) -> Result<Number, NumberError> {
        if other.is_zero() {
            return Ok(self);
        }
        if self.is_zero() {
            return Ok(other);
        }
        let (upper, lower) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shift = (upper.exponent() - lower.exponent()) as u32;

        // The upper coefficient with zeros at its end, so that both have the lower exponent. If 128 bits do not hold
        // that, it is beyond 3.4E+38 units of the lower exponent, and the lower coefficient below 1E+38, so the result
        // is beyond 2.4E+38 units. And `shift` is not 0 then, so the digit of the units is the lower one's, which is
        // not zero: that is 39 digits.
        let above = checked_power_of_ten(shift).and_then(|power| upper.coefficient().checked_mul(power));
        let above = above.ok_or(NumberError::Inexact)?;
        let below = lower.coefficient();

        let (negative, coefficient) = if upper.negative == lower.negative {
            (upper.negative, above.checked_add(below).ok_or(NumberError::Inexact)?)
        } else if above >= below {
            (upper.negative, above - below)
        } else {
            (lower.negative, below - above)
        };
        Number::from_parts(negative, coefficient, lower.exponent()).map_err(|error| match error {
            NumberError::TooManyDigits => NumberError::Inexact,
            error => error,
        })
    }

    /// The exact difference.
    ///
    /// # Errors
    ///
    /// Those of [`checked_add`](Number::checked_add).
    pub fn checked_sub(self, other: Number) -> Result<Number, NumberError> {
        self.checked_add(-other)
    }
}
