//! Numbers from text, in the syntax that DynamoDB accepts.
//!
//! ```text
//! number   = [ "+" | "-" ] digits [ exponent ]
//! digits   = at least one of "0" ..= "9", and at most one "." before, between or behind them
//! exponent = ( "e" | "E" ) [ "+" | "-" ] at least one of "0" ..= "9"
//! ```
//!
//! Nothing may stand around it, no space either. Zeros at either end do not count as digits, but of zero, whose exponent must be
//! in range too.

use std::str::FromStr;

use super::powers::{checked_power_of_ten, digit_count};
use super::{MAX_DIGITS, Number, NumberError, check_magnitude};

impl Number {
    /// The number that a text means.
    ///
    /// Cost: one pass over the text, without allocation. A text such as `1e100000000` costs no more than another.
    ///
    /// # Errors
    ///
    /// [`Empty`](NumberError::Empty), [`Malformed`](NumberError::Malformed), and for a number that cannot be stored
    /// [`Overflow`](NumberError::Overflow), [`Underflow`](NumberError::Underflow) or, if its magnitude is in range,
    /// [`TooManyDigits`](NumberError::TooManyDigits).
    ///
    /// ```
    /// use dynamite_core::number::{Number, NumberError};
    ///
    /// assert_eq!(Number::parse("+001.50e3")?, Number::from(1500));
    /// assert_eq!(Number::parse("1e126"), Err(NumberError::Overflow));
    /// assert!(Number::parse(" 1").is_err());
    /// # Ok::<(), NumberError>(())
    /// ```
    #[inline]
    pub fn parse(text: &str) -> Result<Number, NumberError> {
        match parse_short(text.as_bytes()) {
            Some(number) => Ok(number),
            None => parse_any(text),
        }
    }
}

impl FromStr for Number {
    type Err = NumberError;

    #[inline]
    fn from_str(text: &str) -> Result<Number, NumberError> {
        Number::parse(text)
    }
}

/// What most numbers are: at most 19 digits, perhaps a minus, perhaps a point. Whatever else is left to [`parse_any`].
#[inline]
fn parse_short(text: &[u8]) -> Option<Number> {
    let (negative, text) = match text {
        [b'-', text @ ..] => (true, text),
        text => (false, text),
    };
    // 19 digits fit into 64 bits.
    if text.len() > 19 {
        return None;
    }
    let mut coefficient = 0u64;
    let mut point = None;
    for (place, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            coefficient = coefficient * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(place);
        } else {
            return None;
        }
    }
    if text.len() == usize::from(point.is_some()) {
        return None;
    }
    let exponent = point.map_or(0, |place| (place + 1) as i32 - text.len() as i32);
    Some(Number::short(negative, coefficient, exponent))
}

/// The digits that were read, as far as a number has room for them.
#[derive(Default)]
struct Digits {
    /// Without the zeros at its end, which wait in `zeros`, since they count only if another digit follows.
    coefficient: u128,
    zeros: u64,
    /// Digits from the first that is not zero.
    count: u64,
    /// Digits behind the point.
    behind_point: u64,
    too_many: bool,
}

impl Digits {
    #[inline]
    fn push(&mut self, digit: u8) {
        if digit == 0 {
            // In front of the first digit they mean nothing.
            let counts = u64::from(self.count > 0);
            self.zeros += counts;
            self.count += counts;
            return;
        }
        self.count += 1;
        if self.count > u64::from(MAX_DIGITS) {
            self.too_many = true;
        } else {
            let power = checked_power_of_ten(self.zeros as u32 + 1).expect("there are at most 38 digits");
            self.coefficient = self.coefficient * power + u128::from(digit);
        }
        self.zeros = 0;
    }
}

#[cold]
fn malformed(text: &str) -> NumberError {
    if text.is_empty() { NumberError::Empty } else { NumberError::Malformed { text: text.to_owned() } }
}

fn parse_any(text: &str) -> Result<Number, NumberError> {
    let mut rest = text.as_bytes();
    let negative = take_sign(&mut rest);

    let mut digits = Digits::default();
    let mut any = false;
    let mut point = false;
    while let [byte, behind @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                any = true;
                digits.push(byte - b'0');
                digits.behind_point += u64::from(point);
            }
            b'.' if !point => point = true,
            _ => break,
        }
        rest = behind;
    }
    if !any {
        return Err(malformed(text));
    }

    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', behind @ ..] => take_exponent(behind).ok_or_else(|| malformed(text))?,
        _ => return Err(malformed(text)),
    };
    // No text has 2^62 digits, and `take_exponent` stops counting there: neither sum overflows.
    let last = exponent - digits.behind_point as i64;
    if digits.coefficient == 0 {
        // As DynamoDB has it, zero is one digit, and has the magnitude that is written.
        return check_magnitude(last).map(|()| Number::ZERO);
    }
    check_magnitude(last + digits.count as i64 - 1)?;
    if digits.too_many {
        return Err(NumberError::TooManyDigits);
    }
    debug_assert_eq!(u64::from(digit_count(digits.coefficient)) + digits.zeros, digits.count);
    Ok(Number::normalised(negative, digits.coefficient, (last + digits.zeros as i64) as i32))
}

/// Takes a sign from the front, and says whether it is a minus.
fn take_sign(rest: &mut &[u8]) -> bool {
    match rest {
        [sign @ (b'-' | b'+'), behind @ ..] => {
            let negative = *sign == b'-';
            *rest = behind;
            negative
        }
        _ => false,
    }
}

/// The exponent that a text is, from its sign to its end. One far out of range may come out nearer, but still far out; one that 64
/// bits do not hold is none, as for DynamoDB.
fn take_exponent(mut rest: &[u8]) -> Option<i64> {
    let negative = take_sign(&mut rest);
    if rest.is_empty() {
        return None;
    }
    let mut exponent = 0u64;
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit >= 10 {
            return None;
        }
        exponent = exponent.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if exponent > i64::MAX as u64 + u64::from(negative) {
        return None;
    }
    let exponent = exponent.min(1 << 62) as i64;
    Some(if negative { -exponent } else { exponent })
}
