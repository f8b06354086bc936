//! Numbers in keys: a double for the order, and the decimal behind it where the double is not the number.
//!
//! Doubles in this form compare as bytes do: a positive one has a greater first bit than a negative one, and the bits of
//! a negative one are inverted, so that the greater magnitude comes first. Numbers with the same double either are that
//! double or lie between it and the next, so they have one sign; they compare as their decimals do.

use super::KeyDamage;
use crate::number::{Floor, MAX_DIGITS, MIN_MAGNITUDE, Number};

const EXACT: u8 = 0;
const INEXACT: u8 = 1;

/// Pairs of digits that a number has at most.
const MAX_PAIRS: usize = MAX_DIGITS as usize / 2;

const SIGN_BIT: u64 = 1 << 63;

/// Appends the body of a number.
pub(super) fn encode_into(number: &Number, key: &mut Vec<u8>) {
    let Floor { double, exact } = number.floor_to_f64();
    let mut body = [0; 9];
    body[..8].copy_from_slice(&ordered_bits(double).to_be_bytes());
    body[8] = if exact { EXACT } else { INEXACT };
    key.extend_from_slice(&body);
    if !exact {
        encode_decimal(number, key);
    }
}

/// Reads the body of a number, and gives what follows it.
pub(super) fn decode(body: &[u8]) -> Result<(Number, &[u8]), KeyDamage> {
    let (double, exact, rest) = split_double(body)?;
    if exact {
        let number = Number::from_all_bits(double).ok_or(KeyDamage::Double { bits: double.to_bits() })?;
        return Ok((number, rest));
    }
    let (number, rest) = decode_decimal(double.is_sign_negative(), rest)?;
    // The double is computed from the decimal, so there is only one that belongs to it.
    if number.floor_to_f64() != (Floor { double, exact: false }) {
        return Err(KeyDamage::NotItsFloor { bits: double.to_bits(), number });
    }
    Ok((number, rest))
}

/// What follows the body of a number.
pub(super) fn skip(body: &[u8]) -> Result<&[u8], KeyDamage> {
    let (double, exact, rest) = split_double(body)?;
    if exact {
        return Ok(rest);
    }
    let (_, pairs) = rest.split_first().ok_or(KeyDamage::Short)?;
    split_pairs(double.is_sign_negative(), pairs).map(|(_, rest)| rest)
}

/// The bits of a double, so that they compare as doubles do.
fn ordered_bits(double: f64) -> u64 {
    let bits = double.to_bits();
    if bits & SIGN_BIT == 0 { bits | SIGN_BIT } else { !bits }
}

/// The double, whether it is all, and what follows.
fn split_double(body: &[u8]) -> Result<(f64, bool, &[u8]), KeyDamage> {
    let (ordered, rest) = body.split_first_chunk().ok_or(KeyDamage::Short)?;
    let (&exact, rest) = rest.split_first().ok_or(KeyDamage::Short)?;
    let ordered = u64::from_be_bytes(*ordered);
    let bits = if ordered & SIGN_BIT == 0 { !ordered } else { ordered & !SIGN_BIT };
    // There is one zero, and it is not negative.
    if bits == SIGN_BIT {
        return Err(KeyDamage::Double { bits });
    }
    match exact {
        EXACT => Ok((f64::from_bits(bits), true, rest)),
        INEXACT => Ok((f64::from_bits(bits), false, rest)),
        exact => Err(KeyDamage::Exact { exact }),
    }
}

/// All bits are inverted in a negative number's decimal.
fn mask(negative: bool) -> u8 {
    if negative { 0xFF } else { 0 }
}

/// Appends the place of the leading digit and the digits.
fn encode_decimal(number: &Number, key: &mut Vec<u8>) {
    let magnitude = number.magnitude();
    let digits = magnitude - number.exponent() + 1;
    let pair_count = (digits as usize).div_ceil(2);
    // An odd number of digits is made even by a zero at its end.
    let coefficient = number.coefficient() * if digits % 2 == 1 { 10 } else { 1 };

    let mut decimal = [0; 1 + MAX_PAIRS];
    decimal[0] = (magnitude - MIN_MAGNITUDE) as u8;
    let pairs = &mut decimal[1..=pair_count];
    write_pairs(coefficient, pairs);
    let (last, others) = pairs.split_last_mut().expect("a number that is not zero has a digit");
    *last *= 2;
    others.iter_mut().for_each(|pair| *pair = *pair * 2 + 1);

    let mask = mask(number.is_negative());
    key.extend(decimal[..=pair_count].iter().map(|byte| byte ^ mask));
}

/// Fills `pairs` with an integer's digits, two a byte.
fn write_pairs(coefficient: u128, pairs: &mut [u8]) {
    // 64 bits are divided much faster than 128, and hold eight pairs.
    const EIGHT_PAIRS: u128 = 10u128.pow(16);
    let mut above = coefficient;
    for eight in pairs.rchunks_mut(8) {
        let mut rest = (above % EIGHT_PAIRS) as u64;
        above /= EIGHT_PAIRS;
        for pair in eight.iter_mut().rev() {
            *pair = (rest % 100) as u8;
            rest /= 100;
        }
    }
}

/// The pairs up to the last one, as they are stored, and what follows.
fn split_pairs(negative: bool, pairs: &[u8]) -> Result<(&[u8], &[u8]), KeyDamage> {
    let has_more = |&byte: &u8| (byte ^ mask(negative)) & 1 == 1;
    let others = pairs.iter().take(MAX_PAIRS).take_while(|byte| has_more(byte)).count();
    if others == MAX_PAIRS {
        return Err(KeyDamage::Digits);
    }
    pairs.split_at_checked(others + 1).ok_or(KeyDamage::Short)
}

/// Reads what [`encode_decimal`] writes, and gives what follows.
fn decode_decimal(negative: bool, rest: &[u8]) -> Result<(Number, &[u8]), KeyDamage> {
    let mask = mask(negative);
    let (&place, rest) = rest.split_first().ok_or(KeyDamage::Short)?;
    let (pairs, rest) = split_pairs(negative, rest)?;
    let mut coefficient = 0;
    for byte in pairs {
        let pair = (byte ^ mask) >> 1;
        if pair > 99 {
            return Err(KeyDamage::Digits);
        }
        coefficient = coefficient * 100 + u128::from(pair);
    }
    // The first pair has the leading digit, and zeros at the end are not written.
    let first = (pairs[0] ^ mask) >> 1;
    if first < 10 || coefficient.is_multiple_of(100) {
        return Err(KeyDamage::Digits);
    }
    let magnitude = i32::from(place ^ mask) + MIN_MAGNITUDE;
    let exponent = magnitude - (2 * pairs.len() as i32 - 1);
    let number = Number::from_parts(negative, coefficient, exponent).map_err(|_| KeyDamage::Digits)?;
    Ok((number, rest))
}
