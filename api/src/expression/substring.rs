//! Finds bytes in bytes, in time that grows with the sum of the lengths, not with their product.
//!
//! Source: D. E. Knuth, J. H. Morris, V. R. Pratt, "Fast pattern matching in strings", SIAM J. Comput. 6 (1977).

/// Whether `needle` occurs in `haystack`.
pub(super) fn is_in(needle: &[u8], haystack: &[u8]) -> bool {
    // For each beginning of the needle, the length of its longest proper beginning that it also ends with.
    let mut borders = vec![0; needle.len()];
    let mut matched = 0;
    for at in 1..needle.len() {
        matched = extend(needle, &borders, matched, needle[at]);
        borders[at] = matched;
    }
    matched = 0;
    for byte in haystack {
        if matched == needle.len() {
            break;
        }
        matched = extend(needle, &borders, matched, *byte);
    }
    matched == needle.len()
}

/// How much of the needle's beginning ends with `byte`, where `matched` bytes of it did before.
fn extend(needle: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && needle[matched] != byte {
        matched = borders[matched - 1];
    }
    matched + usize::from(needle[matched] == byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_needle_is_everywhere() {
        assert!(is_in(b"", b"") && is_in(b"", b"a") && !is_in(b"a", b""));
    }

    proptest! {
        #[test]
        fn needles_are_found_where_windows_find_them(
            needle in prop::collection::vec(0u8..2, 1..6),
            haystack in prop::collection::vec(0u8..2, 0..24),
        ) {
            let expected = haystack.windows(needle.len()).any(|window| window == needle);
            prop_assert_eq!(is_in(&needle, &haystack), expected);
        }
    }
}
