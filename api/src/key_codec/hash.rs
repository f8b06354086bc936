//! DynamoDB's hash of keys. By that of their keys it spreads partitions, of which a segment of a scan is a range, and by that of
//! their items' whole keys it orders the entries of a global index whose keys are equal.
//!
//! It is the MD5 of the word `Outliers` and the key's bytes; public records of which items the service returns in
//! which segment, and in which order, agree with it. Text and binaries are their own bytes. A number has the form in which the service keeps it:
//!
//! ```text
//! offset  size  field  meaning
//! ------  ----  -----  -----------------------------------------------------------------------------------
//!      0     1  place  80 if the number is zero, and nothing follows; else half of E, plus C0, where the number
//!                      is 0.d…d · 10^E; if E is odd there is a zero before the first digit, and E is one more
//!                      (all bits are inverted if the number is negative)
//!      1 1-20  pairs  the digits, two a byte: 1 + pair; 65 - pair if the number is negative
//!      .   0,1  end    66 if the number is negative and has less than 20 pairs
//! ```
//!
//! (Hexadecimal.) Of several attributes the bytes of one stand behind those of the other. (Partition keys of several attributes are
//! told of by no record.)

use md5::{Digest, Md5};

use super::{KeyDamage, OwnedKeyValue, decode};
use crate::number::{MAX_DIGITS, Number};

const MAX_PAIRS: usize = MAX_DIGITS as usize / 2 + 1;

/// The first 64 bits of the hash of a stored key, or of the beginning of one.
pub(crate) fn hash(mut key: &[u8]) -> Result<u64, KeyDamage> {
    let mut hasher = Md5::new_with_prefix("Outliers");
    while !key.is_empty() {
        let (value, rest) = decode(key)?;
        match value {
            OwnedKeyValue::S(text) => hasher.update(text),
            OwnedKeyValue::B(bytes) => hasher.update(bytes),
            OwnedKeyValue::N(number) => hash_number(&mut hasher, &number),
        }
        key = rest;
    }
    let hash = u128::from_be_bytes(hasher.finalize().into());
    Ok((hash >> 64) as u64)
}

fn hash_number(hasher: &mut Md5, number: &Number) {
    if number.is_zero() {
        return hasher.update([0x80]);
    }
    let exponent = number.magnitude() + 1;
    let is_odd = exponent.rem_euclid(2);
    let count = (exponent + is_odd - number.exponent()) as usize;
    let mut digits = [0; 2 * MAX_PAIRS];
    let mut rest = number.coefficient();
    for digit in digits[..count].iter_mut().rev() {
        *digit = (rest % 10) as u8;
        rest /= 10;
    }

    let is_negative = number.is_negative();
    let place = (0xC0 + (exponent + is_odd) / 2) as u8;
    hasher.update([if is_negative { !place } else { place }]);
    let pairs = &digits.as_chunks::<2>().0[..count.div_ceil(2)];
    for [tens, ones] in pairs {
        let pair = tens * 10 + ones;
        hasher.update([if is_negative { 0x65 - pair } else { pair + 1 }]);
    }
    if is_negative && pairs.len() < MAX_PAIRS {
        hasher.update([0x66]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_codec::KeyValue;

    fn hash_of(value: KeyValue<'_>) -> u64 {
        let mut key = Vec::new();
        value.encode_into(&mut key);
        hash(&key).unwrap()
    }

    fn hash_of_number(text: &str) -> u64 {
        hash_of(KeyValue::N(text.parse().unwrap()))
    }

    /// The order in which the service was seen to return these keys.
    #[test]
    fn keys_are_in_the_services_order() {
        let texts = ["2", "8", "9", "1", "6", "hello", "0", "5", "4", "äáöü", "aardman", "7", "3", "zapf"]
            .map(KeyValue::S);
        assert!(texts.is_sorted_by_key(|text| hash_of(*text)));
        let numbers =
            ["7", "999.9", "8", "3", "2", "-999.9", "9", "4", "-0.09", "6", "1", "0", "0.012345", "5"];
        assert!(numbers.is_sorted_by_key(|number| hash_of_number(number)));
    }

    /// The segments, of 4,096, in which it was seen to return them.
    #[test]
    fn keys_are_in_the_services_segments() {
        for (key, segment) in [("3635", 0), ("228", 0), ("1668", 1), ("3435", 4)] {
            assert_eq!(hash_of(KeyValue::S(key)) >> 52, segment, "{key}");
            assert_eq!(hash_of(KeyValue::B(key.as_bytes())), hash_of(KeyValue::S(key)), "{key}");
        }
        for (key, segment) in [("251", 1), ("2388", 4095)] {
            assert_eq!(hash_of_number(key) >> 52, segment, "{key}");
        }
    }

    /// As another implementation of the form has them: the first 24 bits.
    #[test]
    fn numbers_of_all_signs_and_sizes_have_the_hashes_that_others_give_them() {
        let nines = "9".repeat(38);
        for (number, expected) in [
            ("-1", 0x0267DF),
            ("-5", 0xB1857F),
            ("-12", 0xF5E199),
            ("0.1", 0xE2D171),
            ("-0.09", 0x8C5531),
            ("1000", 0x47AD4A),
            ("12345.678", 0x587E1C),
            ("1e-130", 0x727DE7),
            ("-1e-130", 0x3AD3E0),
            (&nines, 0xBE31F6),
            (&format!("-{nines}e88"), 0x21889B),
            // It has so many pairs that none ends it.
            (&format!("-{nines}e1"), 0xF13E12),
            ("-0.10000000000000000000000000000000000001", 0xDFAC36),
        ] {
            assert_eq!(hash_of_number(number) >> 40, expected, "{number}");
        }
    }

    #[test]
    fn what_is_no_key_has_no_hash() {
        assert_eq!(hash(b"\xFF"), Err(KeyDamage::Tag { tag: 0xFF }));
    }
}
