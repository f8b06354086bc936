//! Sequence numbers: the places in a stream, in the order of the commits.

use std::fmt;
use std::str::FromStr;

use dynamite_txn::TxnId;

use crate::error::{Error, Invalid};

/// A place in a stream: the transaction that wrote the record, and which of that transaction's records it is. Greater ones are
/// later, and none is given out twice in the life of a database. As text it has 30 digits, which sort as the numbers do.
///
/// ```
/// use dynamite_core::api::SequenceNumber;
///
/// # fn main() -> Result<(), dynamite_core::Error> {
/// let number: SequenceNumber = "100000000000000000073014444039".parse()?;
/// assert_eq!(number.version(), 17);
/// assert_eq!(number.to_string(), "100000000000000000073014444039");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SequenceNumber {
    txn: u64,
    ordinal: u32,
}

/// What all numbers begin at, so that all texts have one length and none begins with a zero: 10^29, and 96 bits are less.
const FIRST: u128 = 100_000_000_000_000_000_000_000_000_000;
const _: () = assert!(FIRST > u128::MAX >> 32);

impl SequenceNumber {
    /// Bytes of its stored form: the key of a record.
    pub(crate) const SIZE: usize = 12;
    /// Before all records.
    pub(crate) const ZERO: SequenceNumber = SequenceNumber { txn: 0, ordinal: 0 };

    /// The record of a transaction that is the `ordinal`th, from 0 on.
    pub(crate) fn new(txn: TxnId, ordinal: u32) -> SequenceNumber {
        SequenceNumber { txn: txn.0, ordinal }
    }

    /// Behind all records of a transaction.
    pub(crate) fn behind(txn: TxnId) -> SequenceNumber {
        SequenceNumber::new(txn, u32::MAX)
    }

    /// The version of the item that the change wrote: the transaction's.
    pub fn version(&self) -> u64 {
        self.txn
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.txn.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ordinal.to_be_bytes());
        bytes
    }

    /// Reads what begins with a stored number, and gives what follows it.
    pub(crate) fn split(bytes: &[u8]) -> Option<(SequenceNumber, &[u8])> {
        let (txn, rest) = bytes.split_first_chunk::<8>()?;
        let (ordinal, rest) = rest.split_first_chunk::<4>()?;
        let number = SequenceNumber { txn: u64::from_be_bytes(*txn), ordinal: u32::from_be_bytes(*ordinal) };
        Some((number, rest))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (FIRST + (u128::from(self.txn) << 32 | u128::from(self.ordinal))).fmt(f)
    }
}

impl FromStr for SequenceNumber {
    type Err = Error;

    fn from_str(text: &str) -> Result<SequenceNumber, Error> {
        let invalid = || Error::from(Invalid::SequenceNumber { text: text.to_owned() });
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u128 = text.parse().ok().filter(|_| is_digits).ok_or_else(invalid)?;
        let number = number.checked_sub(FIRST).ok_or_else(invalid)?;
        let txn = u64::try_from(number >> 32).map_err(|_| invalid())?;
        Ok(SequenceNumber { txn, ordinal: number as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: SequenceNumber) {
        let text = number.to_string();
        assert_eq!(text.len(), 30, "{text}");
        assert_eq!(text.parse::<SequenceNumber>().unwrap(), number);
        assert_eq!(SequenceNumber::split(&number.to_bytes()), Some((number, &[][..])));
    }

    #[test]
    fn numbers_survive_their_text_and_their_bytes_and_sort_in_all_forms() {
        let mut numbers = Vec::new();
        for txn in [0, 1, 2, 255, 256, u64::from(u32::MAX), u64::MAX] {
            numbers.extend([0, 1, 255, 256, u32::MAX].map(|ordinal| SequenceNumber { txn, ordinal }));
        }
        numbers.iter().for_each(|number| check(*number));
        assert!(numbers.is_sorted());
        assert!(numbers.iter().map(ToString::to_string).is_sorted());
        assert!(numbers.iter().map(|number| number.to_bytes()).is_sorted());
    }

    #[test]
    fn other_texts_are_refused() {
        let least = SequenceNumber::ZERO.to_string();
        let beyond = (FIRST + (1 << 96)).to_string();
        for text in ["", "0", "1", "+100000000000000000000000000000", &least[1..], &beyond, "x", "９"] {
            assert!(text.parse::<SequenceNumber>().is_err(), "{text}");
        }
    }
}
