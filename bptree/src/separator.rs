//! Separators: the shortest key that is above one key and not above another.

use dynamite_pager::WriteBatch;

use crate::error::Result;
use crate::items::Items;
use crate::node::{KEY_INLINE_MAX, KEY_KEPT, StoredKey};
use crate::overflow::Overflow;

/// A stored key that owns its bytes.
#[derive(Clone, Debug)]
pub(crate) struct OwnedKey {
    pub(crate) bytes: Vec<u8>,
    pub(crate) run: Option<Overflow>,
}

impl OwnedKey {
    /// A separator, or what stands for the one that a first child does not have.
    pub(crate) fn or_none(separator: Option<&OwnedKey>) -> StoredKey<'_> {
        separator.map_or(StoredKey { bytes: &[], run: None }, OwnedKey::as_ref)
    }

    pub(crate) fn as_ref(&self) -> StoredKey<'_> {
        StoredKey { bytes: &self.bytes, run: self.run }
    }
}

impl<'k> StoredKey<'k> {
    /// Stores a key: what does not stay in the page goes to a run.
    pub(crate) fn store(batch: &mut WriteBatch<'_>, key: &'k [u8]) -> Result<StoredKey<'k>> {
        if key.len() <= KEY_INLINE_MAX {
            return Ok(StoredKey { bytes: key, run: None });
        }
        let (bytes, rest) = key.split_at(KEY_KEPT);
        Ok(StoredKey { bytes, run: Some(Overflow::write(batch, rest)?) })
    }

    pub(crate) fn to_owned(self) -> OwnedKey {
        OwnedKey { bytes: self.bytes.to_vec(), run: self.run }
    }
}

/// The shortest s with `low` < s ≤ `high`, a prefix of `high`.
pub(crate) fn shortest<'k>(low: &[u8], high: &'k [u8]) -> &'k [u8] {
    let shared = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    // Keys that are not in order (which takes a damaged file) have no separator; any key will do for them.
    &high[..high.len().min(shared + 1)]
}

/// The separator between the leaves that end and begin with these two items. If it is long, a run is made for it.
pub(crate) fn between(batch: &mut WriteBatch<'_>, items: &Items, right: usize) -> Result<OwnedKey> {
    let (low, high) = (items.key(right - 1), items.key(right));
    let separator = shortest(low.bytes, high.bytes);
    let differs = separator.len() <= low.bytes.len() && low.bytes[..separator.len()] != *separator;
    // If the low key ends where the separator goes on it must really end there.
    let extends = separator.len() > low.bytes.len() && low.run.is_none();
    if differs || extends {
        return Ok(StoredKey::store(batch, separator)?.to_owned());
    }
    // What is stored of them does not tell them apart.
    let (low, high) = (low.to_owned(), high.to_owned());
    let (low, high) = (whole_key(batch, low)?, whole_key(batch, high)?);
    Ok(StoredKey::store(batch, shortest(&low, &high))?.to_owned())
}

fn whole_key(batch: &mut WriteBatch<'_>, key: OwnedKey) -> Result<Vec<u8>> {
    let OwnedKey { mut bytes, run } = key;
    if let Some(run) = run {
        run.read(batch, &mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use dynamite_pager::Options;
    use proptest::prelude::*;

    use super::*;
    use crate::node_mut::Payload;

    /// Keys over two bytes, so that they share and extend one another.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0..2_u8, 0..12)
    }

    /// The shortest one by trying every string that there is, in order of length.
    fn shortest_naively(low: &[u8], high: &[u8]) -> usize {
        (0..=high.len()).find(|len| *low < high[..*len]).expect("high itself is above low")
    }

    proptest! {
        #[test]
        fn the_shortest_separator_is_the_naive_one(low in key(), high in key()) {
            prop_assume!(low < high);
            let separator = shortest(&low, &high);
            prop_assert!(*low < *separator && *separator <= *high);
            prop_assert_eq!(separator.len(), shortest_naively(&low, &high));
        }

        /// Also between keys whose stored parts are equal, or end where the other one goes on.
        #[test]
        fn a_separator_stands_between_keys_of_any_length(
            shared in prop::sample::select(vec![0, 3, 380, 383, 384, 385, 399, 400, 401, 2000]),
            low in key(),
            high in key(),
        ) {
            prop_assume!(low < high);
            let long = |key: &[u8]| [&vec![1; shared][..], key].concat();
            let (low, high) = (long(&low), long(&high));
            let pager = Options::new().cache_bytes(1 << 20).in_memory(*b"separator tests.").unwrap();
            let mut batch = pager.begin().unwrap();
            let mut items = Items::new(true);
            for key in [&low, &high] {
                let stored = StoredKey::store(&mut batch, key).unwrap();
                items.push(stored, Payload { bytes: b"", spilled: false });
            }
            let separator = between(&mut batch, &items, 1).unwrap();
            prop_assert_eq!(separator.run.is_some(), shortest(&low, &high).len() > KEY_INLINE_MAX);
            let separator = whole_key(&mut batch, separator).unwrap();
            prop_assert_eq!(&separator[..], shortest(&low, &high));
        }
    }
}
