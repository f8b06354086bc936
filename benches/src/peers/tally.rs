//! What a scan does with the rows, lest a compiler or an engine spare itself the visit.

use std::hint::black_box;

/// How many rows were seen, and how long they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many rows.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// The sum of the first and the last byte of each value: whoever adds them up has seen both ends.
    pub ends: u64,
}

impl Tally {
    /// Adds a row.
    #[inline]
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        self.bytes += (black_box(key).len() + value.len()) as u64;
        if let (Some(first), Some(last)) = (value.first(), value.last()) {
            self.ends += u64::from(*first) + u64::from(*last);
        }
    }
}
