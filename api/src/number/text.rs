//! Numbers as text, in the form that DynamoDB returns: all digits, without an exponent.

use std::fmt;

use super::powers::{digit_count, power_of_ten};
use super::{MAX_MAGNITUDE, Number};

/// Bytes of the longest text without its sign: `0.` and 167 digits, the last 38 of which are not zero.
pub(super) const TEXT_LEN: usize = 2 + 167;

const _: () = assert!((MAX_MAGNITUDE as usize) < TEXT_LEN);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [b'0'; TEXT_LEN];
        let text = write_plain(self.coefficient(), self.exponent(), &mut buffer);
        let text = std::str::from_utf8(text).expect("digits and a point are ASCII");
        // `pad_integral` serves width, alignment, `+` and `0` as it does for Rust's own numbers.
        f.pad_integral(!self.is_negative(), "", text)
    }
}

impl Number {
    /// Appends the text, which is ASCII.
    pub(crate) fn write_text(&self, text: &mut Vec<u8>) {
        if self.is_negative() {
            text.push(b'-');
        }
        let mut buffer = [b'0'; TEXT_LEN];
        text.extend_from_slice(write_plain(self.coefficient(), self.exponent(), &mut buffer));
    }
}

/// Writes `coefficient` · 10^`exponent` without its sign into a buffer of `0`s, and returns what was written.
fn write_plain(coefficient: u128, exponent: i32, buffer: &mut [u8; TEXT_LEN]) -> &[u8] {
    let digits = digit_count(coefficient).max(1) as usize;
    if exponent >= 0 {
        write_digits(coefficient, &mut buffer[..digits]);
        return &buffer[..digits + exponent as usize];
    }
    let fraction = exponent.unsigned_abs() as usize;
    if fraction < digits {
        // One place to the right, then the whole part one to the left again, so that the point has a place.
        let whole = digits - fraction;
        write_digits(coefficient, &mut buffer[1..=digits]);
        buffer.copy_within(1..=whole, 0);
        buffer[whole] = b'.';
        &buffer[..=digits]
    } else {
        buffer[1] = b'.';
        let end = 2 + fraction;
        write_digits(coefficient, &mut buffer[end - digits..end]);
        &buffer[..end]
    }
}

/// Writes an integer's last digits so that they fill the buffer, which is of `0`s.
pub(super) fn write_digits(coefficient: u128, buffer: &mut [u8]) {
    match u64::try_from(coefficient) {
        Ok(coefficient) => write_digits_u64(coefficient, buffer),
        Err(_) => {
            // The lower 19 digits, and the rest: a coefficient has 38 at most.
            let (high, low) = (coefficient / power_of_ten(19), coefficient % power_of_ten(19));
            let (high_digits, low_digits) = buffer.split_at_mut(buffer.len() - 19);
            write_digits_u64(high as u64, high_digits);
            write_digits_u64(low as u64, low_digits);
        }
    }
}

fn write_digits_u64(mut rest: u64, buffer: &mut [u8]) {
    let mut end = buffer.len();
    while rest >= 10 {
        let pair = (rest % 100) as u8;
        rest /= 100;
        buffer[end - 2] = b'0' + pair / 10;
        buffer[end - 1] = b'0' + pair % 10;
        end -= 2;
    }
    if rest > 0 {
        buffer[end - 1] = b'0' + rest as u8;
    }
}
