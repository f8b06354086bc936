//! Rows that look random and are the same in every run.

use crate::random::Random;

/// A key.
pub type Key = [u8; 24];

/// A value.
pub type Value = [u8; 150];

/// Bytes of a key and its value: what a row takes if nothing is added to it.
pub const ROW_BYTES: usize = size_of::<Key>() + size_of::<Value>();

/// Numbered rows. Numbers below [`rows`](Dataset::rows) are those that a database begins with; all others name rows that
/// are not in it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// How many rows a database begins with.
    pub rows: usize,
    /// Other seeds give other keys and values.
    pub seed: u64,
}

impl Dataset {
    /// The key of a row. Different rows have different keys, in no order that the numbers would tell.
    pub fn key(&self, row: usize) -> Key {
        // The first of SplitMix64's numbers depends on its state one to one, so the first eight bytes already differ.
        fill(self.seed.wrapping_add(row as u64))
    }

    /// One of the values that a row may have. Nothing compresses it.
    pub fn value(&self, row: usize, version: u64) -> Value {
        fill(!self.seed.wrapping_add(row as u64) ^ (version << 40))
    }

    /// A row as a database begins with it.
    pub fn row(&self, row: usize) -> (Key, Value) {
        (self.key(row), self.value(row, 0))
    }

    /// Bytes of all keys and values.
    pub fn raw_bytes(&self) -> u64 {
        (self.rows * ROW_BYTES) as u64
    }

    /// The numbers of all rows in ascending order of their keys.
    pub fn ascending(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.rows).collect();
        rows.sort_by_cached_key(|row| self.key(*row));
        rows
    }
}

fn fill<const N: usize>(seed: u64) -> [u8; N] {
    let mut bytes = [0; N];
    let mut random = Random(seed);
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_be_bytes()[..chunk.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DATA: Dataset = Dataset { rows: 10_000, seed: 7 };

    #[test]
    fn no_two_rows_have_the_same_key() {
        let keys: BTreeSet<Key> = (0..2 * DATA.rows).map(|row| DATA.key(row)).collect();
        assert_eq!(keys.len(), 2 * DATA.rows);
    }

    #[test]
    fn each_version_of_a_row_has_another_value() {
        let values: BTreeSet<Value> =
            (0..100).flat_map(|row| [0, 1, 2].map(|version| DATA.value(row, version))).collect();
        assert_eq!(values.len(), 300);
    }

    #[test]
    fn ascending_is_every_row_once_by_key() {
        let rows = DATA.ascending();
        assert!(rows.is_sorted_by_key(|row| DATA.key(*row)));
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), DATA.rows);
        assert!(!rows.is_sorted(), "the numbers do not tell");
    }
}
